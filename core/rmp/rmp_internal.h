/*
 * How the RMP is stored: one record per 2M region that someone touched, found through a hash. Only core/rmp and its
 * tests include this.
 *
 * A region keeps the entry of its 2M-aligned page (the head) and, once one of the other 511 differs from what the head
 * implies, an array for all 512. Without the array the 511 are followers of an assigned 2M head, or untouched. So 2M
 * pages cost 40 bytes and RMPUPDATE of one is O(1), although it changes 512 entries.
 */
#pragma once

#include "base/bits.h"
#include "rmp/rmp.h"

/* Flags of an entry, in the 12 low bits of the word that holds its page-aligned gpa. */
enum {
    SLOT_ASSIGNED = 1 << 0,
    SLOT_LARGE = 1 << 1,
    SLOT_IMMUTABLE = 1 << 2,
    SLOT_VMSA = 1 << 3,
    SLOT_VALIDATED = 1 << 4,
    SLOT_IN_USE = 1 << 5,
};

struct rmp_slot {
    uint64_t word; /* gpa | flags */
    uint16_t asid;
    uint16_t unused;
    uint8_t perms[RMP_VMPL_COUNT];
};

struct rmp_region {
    uint64_t number; /* hpa >> 21 */
    struct rmp_slot head;
    struct rmp_slot *pages; /* 512, element 0 is not used; NULL: what the head implies */
    uint32_t bucket;        /* where the hash holds it */
    uint16_t subpage_count;
    uint16_t in_use_count; /* pages of the region in use by a running VMRUN, head included */
    uint16_t fixed_count;  /* HV-fixed pages, head included */
    uint16_t held_page;    /* the page that a hold names */
    enum rmp_hold hold;
    uint64_t hold_left; /* how many instructions it still refuses; 0: no hold, RMP_HOLD_FOR_EVER: all */
};

struct rmp {
    uint64_t covered_bytes; /* end of what is covered; with segments there may be holes below it */
    uint64_t *segments;     /* RMP_SEGMENTS_MAX times the bytes covered from its start; NULL: one flat table */
    unsigned segment_shift;
    hpa_t table_first, table_end; /* memory that holds the RMP itself; equal: not given */
    struct rmp_switches switches;
    struct rmp_region *regions;
    uint32_t region_count, region_capacity;
    uint32_t *buckets;        /* index into regions + 1, 0 = empty; linear probing, at most half full */
    uint32_t bucket_shift;    /* log2 of the number of buckets */
    struct rmp_slot **spares; /* arrays of 512 that no region uses, not cleared */
    uint32_t spare_count, spare_capacity;
};

static inline bool rmp_covers(const struct rmp *rmp, hpa_t page)
{
    if (page.value >= rmp->covered_bytes) return false;
    if (!rmp->segments) return true;
    return (page.value & low_mask(rmp->segment_shift)) < rmp->segments[page.value >> rmp->segment_shift];
}

static inline uint64_t rmp_region_number(hpa_t page)
{
    return page.value >> RMP_LARGE_SHIFT;
}

static inline unsigned rmp_page_index(hpa_t page)
{
    return (unsigned)(page.value >> RMP_PAGE_SHIFT) % RMP_PAGES_PER_LARGE;
}

static inline bool rmp_slot_is_large(const struct rmp_slot *slot)
{
    return (slot->word & (SLOT_ASSIGNED | SLOT_LARGE)) == (SLOT_ASSIGNED | SLOT_LARGE);
}

static inline bool rmp_region_is_large(const struct rmp_region *region)
{
    return rmp_slot_is_large(&region->head);
}

static inline uint64_t rmp_slot_gpa(const struct rmp_slot *slot)
{
    return align_down(slot->word, RMP_PAGE_SHIFT);
}

/* What the entry of page `index` holds, whether stored or implied. */
static inline struct rmp_slot rmp_region_slot(const struct rmp_region *region, unsigned index)
{
    if (index == 0) return region->head;
    if (region->pages) return region->pages[index];
    return (struct rmp_slot){ .word = rmp_region_is_large(region) ? SLOT_ASSIGNED : 0 };
}

/* The region of a page, or NULL if nobody touched it. O(1). The pointer is good until the next rmp_region_obtain. */
struct rmp_region *rmp_region_find(const struct rmp *rmp, hpa_t page);

/* The same, made if there is none. */
struct rmp_region *rmp_region_obtain(struct rmp *rmp, hpa_t page);

/* Give the region its array, filled with what the head implies, unless it has one. */
void rmp_region_expand(struct rmp *rmp, struct rmp_region *region);

/* Give the region its array without filling it: the caller writes elements 1..511. */
void rmp_region_attach_pages(struct rmp *rmp, struct rmp_region *region);

/* Write one 4K entry of a region whose head is not 2M. Keeps R5 and what the region knows of HV-fixed pages. */
void rmp_region_write_small(struct rmp *rmp, struct rmp_region *region, unsigned index, struct rmp_slot slot);

/* Take the array away: the other 511 are what the head implies from here on. */
void rmp_region_compact(struct rmp *rmp, struct rmp_region *region);
