/* Storage of the RMP: hash of touched regions, spare arrays, reset at the cost of what was touched. */
#include "rmp/rmp_internal.h"

#include "base/check.h"
#include "rmp/rmp_layout.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BUCKET_SHIFT = 6 };

static void *grown(void *array, size_t count, size_t size)
{
    void *larger = reallocarray(array, count, size);

    CHECK(larger != NULL);
    return larger;
}

static void allocate_buckets(struct rmp *rmp, uint32_t shift)
{
    free(rmp->buckets);
    rmp->buckets = calloc((size_t)1 << shift, sizeof(*rmp->buckets));
    CHECK(rmp->buckets != NULL);
    rmp->bucket_shift = shift;
}

struct rmp *rmp_new(uint64_t covered_bytes)
{
    struct rmp *rmp = calloc(1, sizeof(*rmp));

    CHECK(rmp != NULL);
    allocate_buckets(rmp, FIRST_BUCKET_SHIFT);
    rmp_reset(rmp, covered_bytes);
    return rmp;
}

void rmp_free(struct rmp *rmp)
{
    if (!rmp) return;
    rmp_reset(rmp, 0);
    for (uint32_t i = 0; i < rmp->spare_count; i++) free(rmp->spares[i]);
    free(rmp->spares);
    free(rmp->regions);
    free(rmp->buckets);
    free(rmp);
}

void rmp_reset(struct rmp *rmp, uint64_t covered_bytes)
{
    CHECK(is_aligned(covered_bytes, RMP_PAGE_SHIFT));
    for (uint32_t i = 0; i < rmp->region_count; i++) {
        rmp_region_compact(rmp, &rmp->regions[i]);
        rmp->buckets[rmp->regions[i].bucket] = 0;
    }
    rmp->region_count = 0;
    rmp->covered_bytes = covered_bytes;
    free(rmp->segments);
    rmp->segments = NULL;
    rmp->table_first = rmp->table_end = hpa(0);
    rmp->switches = (struct rmp_switches){ 0 };
}

void rmp_reset_segmented(struct rmp *rmp, unsigned shift, const uint64_t entries[RMP_SEGMENTS_MAX])
{
    CHECK(shift >= RMP_SEGMENT_SHIFT_MIN);
    CHECK(shift <= RMP_SEGMENT_SHIFT_MAX);
    rmp_reset(rmp, 0);
    rmp->segments = calloc(RMP_SEGMENTS_MAX, sizeof(*rmp->segments));
    CHECK(rmp->segments != NULL);
    rmp->segment_shift = shift;
    for (unsigned i = 0; i < RMP_SEGMENTS_MAX; i++) {
        rmp->segments[i] = min_u64(rmp_segment_covered_bytes(entries[i]), bit(shift));
        if (rmp->segments[i]) rmp->covered_bytes = ((uint64_t)i << shift) + rmp->segments[i];
    }
}

uint64_t rmp_covered_bytes(const struct rmp *rmp)
{
    return rmp->covered_bytes;
}

/* The bucket that holds region `number`, or the empty one where it belongs. At most half are full, so one is empty. */
static uint32_t bucket_of(const struct rmp *rmp, uint64_t number)
{
    const uint32_t mask = (uint32_t)low_mask(rmp->bucket_shift);
    /* Fibonacci hashing: the top bits of a product with 2^64 / golden ratio spread neighbours evenly. */
    uint32_t bucket = (uint32_t)((number * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - rmp->bucket_shift));

    while (rmp->buckets[bucket] != 0 && rmp->regions[rmp->buckets[bucket] - 1].number != number)
        bucket = (bucket + 1) & mask;
    return bucket;
}

struct rmp_region *rmp_region_find(const struct rmp *rmp, hpa_t page)
{
    const uint32_t entry = rmp->buckets[bucket_of(rmp, rmp_region_number(page))];

    return entry == 0 ? NULL : &rmp->regions[entry - 1];
}

static void grow_buckets(struct rmp *rmp)
{
    CHECK(rmp->bucket_shift < 31);
    allocate_buckets(rmp, rmp->bucket_shift + 1);
    for (uint32_t i = 0; i < rmp->region_count; i++) {
        struct rmp_region *region = &rmp->regions[i];

        region->bucket = bucket_of(rmp, region->number);
        rmp->buckets[region->bucket] = i + 1;
    }
}

struct rmp_region *rmp_region_obtain(struct rmp *rmp, hpa_t page)
{
    const uint64_t number = rmp_region_number(page);
    uint32_t bucket = bucket_of(rmp, number);

    if (rmp->buckets[bucket] != 0) return &rmp->regions[rmp->buckets[bucket] - 1];
    if (rmp->region_count == rmp->region_capacity) {
        rmp->region_capacity = rmp->region_capacity ? 2 * rmp->region_capacity : 16;
        rmp->regions = grown(rmp->regions, rmp->region_capacity, sizeof(*rmp->regions));
    }
    if (2 * ((uint64_t)rmp->region_count + 1) > bit(rmp->bucket_shift)) {
        grow_buckets(rmp);
        bucket = bucket_of(rmp, number);
    }
    struct rmp_region *region = &rmp->regions[rmp->region_count++];

    *region = (struct rmp_region){ .number = number, .bucket = bucket };
    rmp->buckets[bucket] = rmp->region_count;
    return region;
}

void rmp_region_attach_pages(struct rmp *rmp, struct rmp_region *region)
{
    if (region->pages) return;
    if (rmp->spare_count > 0) {
        region->pages = rmp->spares[--rmp->spare_count];
        return;
    }
    region->pages = malloc(RMP_PAGES_PER_LARGE * sizeof(*region->pages));
    CHECK(region->pages != NULL);
}

void rmp_region_expand(struct rmp *rmp, struct rmp_region *region)
{
    if (region->pages) return;
    const struct rmp_slot implied = rmp_region_slot(region, 1);

    rmp_region_attach_pages(rmp, region);
    if (implied.word == 0) {
        memset(region->pages, 0, RMP_PAGES_PER_LARGE * sizeof(*region->pages));
        return;
    }
    for (unsigned i = 0; i < RMP_PAGES_PER_LARGE; i++) region->pages[i] = implied;
}

void rmp_region_compact(struct rmp *rmp, struct rmp_region *region)
{
    if (!region->pages) return;
    if (rmp->spare_count == rmp->spare_capacity) {
        rmp->spare_capacity = rmp->spare_capacity ? 2 * rmp->spare_capacity : 16;
        rmp->spares = grown(rmp->spares, rmp->spare_capacity, sizeof(*rmp->spares));
    }
    rmp->spares[rmp->spare_count++] = region->pages;
    region->pages = NULL;
}
