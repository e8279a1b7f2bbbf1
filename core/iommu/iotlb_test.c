/*
 * What the IOTLB and the walk cache keep and when they let go: fills, staleness, tags, LRU, PDE, evictions; and the
 * IOTLB against a slow twin under random use.
 */
#include "base/random.h"
#include "iommu/iotlb.h"
#include "iommu/test_machine.h"

#define PAGE  UINT64_C(0x1000)
#define LARGE UINT64_C(0x200000)

static void map_page(struct machine *m, uint64_t offset, uint64_t target)
{
    s2_put(m, TARGET_GPA + offset, 0, 1, AMD_RW | target);
    make_private(m, target, TARGET_GPA + offset, RMP_4K);
}

static void map_large(struct machine *m)
{
    s2_put(m, TARGET_GPA, 1, 1, AMD_RW | TARGET_HPA);
    make_private(m, TARGET_HPA, TARGET_GPA, RMP_2M);
}

struct inv {
    uint64_t start, length;
    bool page_tables, guest;
    uint32_t pasid;
    uint16_t domain_id;
};

static void invalidate(struct machine *m, const struct inv *inv)
{
    const struct iommu_inv_pages command = { .domain_id = inv->domain_id,
                                             .address = iommu_encode_inv_address(iova(inv->start), inv->length),
                                             .page_tables = inv->page_tables,
                                             .guest = inv->guest,
                                             .pasid = inv->pasid };

    assert_true(iommu_inv_pages(m->iommu, &command));
    assert_int_equal(iommu_completion_wait(m->iommu), 1);
}

static struct iommu_outcome dma_pasid(struct machine *m, unsigned device, uint64_t address, uint32_t pasid)
{
    const struct iommu_request request = { .device = device,
                                           .address = iova(address),
                                           .is_private = iommu_device(m->iommu, device)->trusted,
                                           .pasid = pasid };
    struct iommu_outcome outcome;

    iommu_translate(m->iommu, &request, &outcome);
    return outcome;
}

static void an_entry_outlives_the_table_that_made_it(void **state)
{
    struct machine m = { 0 };
    struct iommu_outcome outcome;

    (void)state;
    machine_begin(&m, "amd", true);
    map_page(&m, 0, TARGET_HPA);
    outcome = dma(&m, DEV_PRIVATE, TARGET_GPA + 0x10, IOMMU_WRITE);
    assert_false(outcome.is_hit);
    assert_int_equal(outcome.reads, 3);
    map_page(&m, 0, TARGET_HPA + 5 * PAGE); /* remapped without invalidation */
    outcome = dma(&m, DEV_PRIVATE, TARGET_GPA + 0x20, IOMMU_WRITE);
    assert_true(outcome.is_hit);
    assert_int_equal(outcome.hpa.value, TARGET_HPA + 0x20);
    assert_int_equal(outcome.reads, 0);
    invalidate(&m, &(struct inv){ TARGET_GPA, PAGE, true, false, 0, DOMAIN });
    outcome = dma(&m, DEV_PRIVATE, TARGET_GPA + 0x20, IOMMU_WRITE);
    assert_false(outcome.is_hit);
    assert_int_equal(outcome.hpa.value, TARGET_HPA + 5 * PAGE + 0x20);
    machine_end(&m);
}

static void an_invalidation_of_one_byte_takes_a_2m_entry(void **state)
{
    struct machine m = { 0 };

    (void)state;
    machine_begin(&m, "amd", true);
    map_large(&m);
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).fill_shift, 21);
    assert_true(dma(&m, DEV_PRIVATE, TARGET_GPA + LARGE - 1, IOMMU_READ).is_hit);
    invalidate(&m, &(struct inv){ TARGET_GPA + LARGE, PAGE, true, false, 0, DOMAIN });
    invalidate(&m, &(struct inv){ TARGET_GPA - PAGE, PAGE, true, false, 0, DOMAIN });
    assert_true(dma(&m, DEV_PRIVATE, TARGET_GPA + LARGE - 1, IOMMU_READ).is_hit);
    invalidate(&m, &(struct inv){ TARGET_GPA + 7 * PAGE, 1, true, false, 0, DOMAIN });
    assert_false(dma(&m, DEV_PRIVATE, TARGET_GPA + LARGE - 1, IOMMU_READ).is_hit);
    machine_end(&m);
}

/* Cut of a 2M leaf, leaf-only invalidation: the walk starts at the 2M leaf that the walk cache kept. */
static void pde_0_leaves_a_stale_large_leaf_in_the_walk_cache(void **state)
{
    struct machine m = { 0 };
    struct iommu_outcome outcome;

    (void)state;
    machine_begin(&m, "amd", true);
    map_large(&m);
    dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ);
    poke(&m, s2_item_address(&m, TARGET_GPA, 1), 0); /* the leaf becomes a table of 4K leaves */
    s2_put(&m, TARGET_GPA, 0, 1, AMD_RW | TARGET_HPA);
    assert_int_equal(rmp_psmash(m.rmp, hpa(TARGET_HPA)), RMP_OK);

    assert_true(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).is_hit); /* the old 2M entry, still right */
    invalidate(&m, &(struct inv){ TARGET_GPA, PAGE, false, false, 0, DOMAIN });
    outcome = dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ);
    assert_true(outcome.from_walk_cache);
    assert_int_equal(outcome.s2_shift, 21);
    assert_int_equal(outcome.fault, IOMMU_RMP_SIZE); /* the stale leaf meets the smashed RMP */
    invalidate(&m, &(struct inv){ TARGET_GPA, PAGE, true, false, 0, DOMAIN });
    outcome = dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ);
    assert_int_equal(outcome.fault, IOMMU_NO_FAULT);
    assert_int_equal(outcome.s2_shift, 12);
    machine_end(&m);
}

/* A table taken off the tree: with PDE = 0 hardware goes on reading it. */
static void pde_0_leaves_a_pointer_to_a_freed_table(void **state)
{
    struct machine m = { 0 };
    uint64_t low;

    (void)state;
    machine_begin(&m, "amd", true);
    map_page(&m, 0, TARGET_HPA);
    dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ);
    low = s2_item_address(&m, TARGET_GPA, 0);
    s2_put(&m, TARGET_GPA, 1, 1, 0);
    poke(&m, low, AMD_RW | (TARGET_HPA + 9 * PAGE)); /* someone else's data now */
    make_private(&m, TARGET_HPA + 9 * PAGE, TARGET_GPA, RMP_4K);
    invalidate(&m, &(struct inv){ TARGET_GPA, PAGE, false, false, 0, DOMAIN });
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).hpa.value, TARGET_HPA + 9 * PAGE);
    invalidate(&m, &(struct inv){ TARGET_GPA, PAGE, true, false, 0, DOMAIN });
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).fault, IOMMU_NOT_PRESENT);
    machine_end(&m);
}

static void pde_0_drops_the_walk_cache_too_if_the_switch_says_so(void **state)
{
    struct machine m = { 0 };

    (void)state;
    machine_begin(&m, "amd", true);
    m.config.switches.leaf_only_invalidation_keeps_walk_cache = false;
    machine_reconfigure(&m);
    map_large(&m);
    dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ);
    invalidate(&m, &(struct inv){ TARGET_GPA, PAGE, false, false, 0, DOMAIN });
    assert_false(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).from_walk_cache);
    machine_end(&m);
}

static void the_walk_cache_saves_reads_and_forgets_the_oldest(void **state)
{
    struct machine m = { 0 };

    (void)state;
    machine_begin(&m, "amd", true);
    m.config.geometry.walk_cache_entries = 3;
    machine_reconfigure(&m);
    for (unsigned i = 0; i < 4; i++) map_page(&m, i * LARGE, TARGET_HPA + i * LARGE);
    map_page(&m, 3 * LARGE + PAGE, TARGET_HPA + PAGE);
    map_page(&m, PAGE, TARGET_HPA + 3 * PAGE);
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).reads, 3);             /* keeps levels 2 and 1 */
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA + LARGE, IOMMU_READ).reads, 2);     /* from level 2 */
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA + 2 * LARGE, IOMMU_READ).reads, 2); /* pushes the first L1 out */
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA + 3 * LARGE, IOMMU_READ).reads, 2);
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA + 3 * LARGE + PAGE, IOMMU_READ).reads, 1);
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA + PAGE, IOMMU_READ).reads, 2);
    m.config.geometry.walk_cache_entries = 0;
    machine_reconfigure(&m);
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).reads, 3);
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA + PAGE, IOMMU_READ).reads, 3);
    machine_end(&m);
}

static void a_cached_item_keeps_the_rights_above_it(void **state)
{
    struct machine m = { 0 };
    struct iommu_outcome outcome;

    (void)state;
    machine_begin(&m, "amd", true);
    map_page(&m, 0, TARGET_HPA);
    map_page(&m, PAGE, TARGET_HPA + PAGE);
    poke(&m, s2_item_address(&m, TARGET_GPA, 2), peek(&m, s2_item_address(&m, TARGET_GPA, 2)) & ~bit(62));
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).fault, IOMMU_NO_FAULT);
    outcome = dma(&m, DEV_PRIVATE, TARGET_GPA + PAGE, IOMMU_WRITE);
    assert_int_equal(outcome.reads, 1);
    assert_int_equal(outcome.fault, IOMMU_PERMISSION);
    machine_end(&m);
}

static void an_invalidation_leaves_the_walk_cache_of_its_neighbours_alone(void **state)
{
    struct machine m = { 0 };

    (void)state;
    machine_begin(&m, "amd", true);
    map_page(&m, LARGE, TARGET_HPA);
    map_page(&m, LARGE + PAGE, TARGET_HPA + PAGE);
    map_page(&m, LARGE + 2 * PAGE, TARGET_HPA + 2 * PAGE);
    dma(&m, DEV_PRIVATE, TARGET_GPA + LARGE, IOMMU_READ);
    invalidate(&m, &(struct inv){ TARGET_GPA, PAGE, true, false, 0, DOMAIN }); /* the 1G item goes, this one stays */
    invalidate(&m, &(struct inv){ TARGET_GPA + 2 * LARGE, PAGE, true, false, 0, DOMAIN });
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA + LARGE + PAGE, IOMMU_READ).reads, 1);
    invalidate(&m, &(struct inv){ TARGET_GPA + LARGE, PAGE, true, false, 0, DOMAIN });
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA + LARGE + 2 * PAGE, IOMMU_READ).reads, 3);
    machine_end(&m);
}

/* One set of four ways: the entry not used for longest goes, and only it. */
static void the_least_recently_used_way_is_lost(void **state)
{
    struct machine m = { 0 };

    (void)state;
    machine_begin(&m, "amd", true);
    m.config.geometry = (struct iommu_geometry){ .sets = 1, .ways = 4, .walk_cache_entries = 0 };
    machine_reconfigure(&m);
    for (unsigned i = 0; i < 5; i++) map_page(&m, i * PAGE, TARGET_HPA + i * PAGE);
    for (unsigned i = 0; i < 4; i++) dma(&m, DEV_PRIVATE, TARGET_GPA + i * PAGE, IOMMU_READ);
    assert_true(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).is_hit); /* page 1 is the oldest now */
    assert_int_equal(iommu_stats(m.iommu)->evictions, 0);
    assert_false(dma(&m, DEV_PRIVATE, TARGET_GPA + 4 * PAGE, IOMMU_READ).is_hit);
    assert_int_equal(iommu_stats(m.iommu)->evictions, 1);
    assert_true(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).is_hit);
    assert_true(dma(&m, DEV_PRIVATE, TARGET_GPA + 2 * PAGE, IOMMU_READ).is_hit);
    assert_true(dma(&m, DEV_PRIVATE, TARGET_GPA + 3 * PAGE, IOMMU_READ).is_hit);
    assert_true(dma(&m, DEV_PRIVATE, TARGET_GPA + 4 * PAGE, IOMMU_READ).is_hit);
    assert_false(dma(&m, DEV_PRIVATE, TARGET_GPA + PAGE, IOMMU_READ).is_hit);
    machine_end(&m);
}

/* ---- tags -------------------------------------------------------------------------------------------------------- */

static void domains_do_not_share_entries(void **state)
{
    struct machine m = { 0 };
    struct iommu_dte other;

    (void)state;
    machine_begin(&m, "amd", true);
    map_page(&m, 0, TARGET_HPA);
    other = *iommu_device(m.iommu, DEV_PRIVATE);
    other.domain_id = DOMAIN + 1;
    iommu_set_device(m.iommu, 9, &other);
    dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ);
    assert_false(dma(&m, 9, TARGET_GPA, IOMMU_READ).is_hit);
    invalidate(&m, &(struct inv){ TARGET_GPA, PAGE, true, false, 0, DOMAIN });
    assert_true(dma(&m, 9, TARGET_GPA, IOMMU_READ).is_hit);
    assert_false(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).is_hit);
    machine_end(&m);
}

static void devices_of_a_domain_share_entries_but_not_private_with_shared_ones(void **state)
{
    struct machine m = { 0 };

    (void)state;
    machine_begin(&m, "amd", true);
    iommu_set_device(m.iommu, 9, iommu_device(m.iommu, DEV_PRIVATE));
    map_page(&m, 0, TARGET_HPA);
    dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ);
    assert_true(dma(&m, 9, TARGET_GPA, IOMMU_READ).is_hit);
    assert_int_equal(dma(&m, DEV_SHARED, TARGET_GPA, IOMMU_READ).fault, IOMMU_RMP_OWNER); /* not the private entry */
    make_shared(&m, TARGET_HPA, RMP_4K);
    assert_int_equal(dma(&m, DEV_SHARED, TARGET_GPA, IOMMU_READ).fault, IOMMU_NO_FAULT);
    assert_true(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).is_hit); /* stale: the page is not the guest's any more */
    assert_int_equal(iommu_stats(m.iommu)->fills, 2);
    machine_end(&m);
}

static void pasids_do_not_share_entries_and_are_invalidated_one_by_one(void **state)
{
    struct machine m = { 0 };

    (void)state;
    machine_begin(&m, "amd", true);
    map_page(&m, 0, TARGET_HPA);
    s1_put(&m, TARGET_IOVA, 0, 0x67 | TARGET_GPA);
    assert_false(dma_pasid(&m, DEV_PRIVATE_S1, TARGET_IOVA, 1).is_hit);
    assert_false(dma_pasid(&m, DEV_PRIVATE_S1, TARGET_IOVA, 2).is_hit);
    assert_true(dma_pasid(&m, DEV_PRIVATE_S1, TARGET_IOVA, 1).is_hit);
    invalidate(&m, &(struct inv){ TARGET_IOVA, PAGE, true, true, 1, DOMAIN });
    assert_true(dma_pasid(&m, DEV_PRIVATE_S1, TARGET_IOVA, 2).is_hit);
    assert_false(dma_pasid(&m, DEV_PRIVATE_S1, TARGET_IOVA, 1).is_hit);
    /* Without S1 the pasid means nothing. */
    assert_false(dma_pasid(&m, DEV_PRIVATE, TARGET_GPA, 1).is_hit);
    assert_true(dma_pasid(&m, DEV_PRIVATE, TARGET_GPA, 2).is_hit);
    machine_end(&m);
}

static void a_guest_entry_goes_by_its_iova_with_gn_and_by_its_gpa_without(void **state)
{
    struct machine m = { 0 };
    const struct inv by_gpa_elsewhere = { TARGET_IOVA, PAGE, true, false, 0, DOMAIN };
    const struct inv by_iova_elsewhere = { TARGET_GPA, PAGE, true, true, 0, DOMAIN };

    (void)state;
    machine_begin(&m, "amd", true);
    map_page(&m, 0, TARGET_HPA);
    s1_put(&m, TARGET_IOVA, 0, 0x67 | TARGET_GPA);
    dma(&m, DEV_PRIVATE_S1, TARGET_IOVA, IOMMU_READ);
    dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ);
    invalidate(&m, &by_gpa_elsewhere);
    invalidate(&m, &by_iova_elsewhere);
    assert_true(dma(&m, DEV_PRIVATE_S1, TARGET_IOVA, IOMMU_READ).is_hit);
    assert_true(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).is_hit);
    invalidate(&m, &(struct inv){ TARGET_IOVA, PAGE, true, true, 0, DOMAIN });
    assert_false(dma(&m, DEV_PRIVATE_S1, TARGET_IOVA, IOMMU_READ).is_hit);
    assert_true(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).is_hit);
    invalidate(&m, &(struct inv){ TARGET_GPA, PAGE, true, false, 0, DOMAIN });
    assert_false(dma(&m, DEV_PRIVATE_S1, TARGET_IOVA, IOMMU_READ).is_hit);
    assert_false(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).is_hit);
    machine_end(&m);
}

static void hardware_may_evict_what_covers_an_address(void **state)
{
    struct machine m = { 0 };

    (void)state;
    machine_begin(&m, "amd", true);
    map_large(&m);
    dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ);
    assert_false(iommu_evict(m.iommu, DEV_PRIVATE, iova(TARGET_GPA + LARGE), 0));
    assert_false(iommu_evict(m.iommu, DEV_PRIVATE_S1, iova(TARGET_GPA), 0));
    assert_true(iommu_evict(m.iommu, DEV_PRIVATE, iova(TARGET_GPA + LARGE - 1), 0));
    assert_false(iommu_evict(m.iommu, DEV_PRIVATE, iova(TARGET_GPA + LARGE - 1), 0));
    assert_false(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).is_hit);
    assert_int_equal(iommu_stats(m.iommu)->evictions, 1);
    machine_end(&m);
}

/* ---- the twin ---------------------------------------------------------------------------------------------------- */

enum { TWIN_SETS = 4, TWIN_WAYS = 3, TWIN_ENTRIES = TWIN_SETS * TWIN_WAYS, TWIN_STEPS = 60000 };

/* A plain list: oldest use first. */
struct twin {
    struct {
        uint64_t base, gpa;
        iotlb_tag_t tag;
        unsigned shift;
    } entry[TWIN_ENTRIES + 1]; /* one more while one moves */
    unsigned count;
};

static void twin_remove(struct twin *twin, unsigned at)
{
    twin->count--;
    memmove(&twin->entry[at], &twin->entry[at + 1], (twin->count - at) * sizeof(twin->entry[0]));
}

static bool twin_touch(struct twin *twin, iotlb_tag_t tag, uint64_t input, unsigned shift)
{
    for (unsigned i = 0; i < twin->count; i++) {
        if (twin->entry[i].tag != tag || twin->entry[i].shift != shift) continue;
        if (twin->entry[i].base >> shift != input >> shift) continue;
        twin->entry[twin->count] = twin->entry[i];
        twin->count++;
        twin_remove(twin, i);
        return true;
    }
    return false;
}

static void twin_add(struct twin *twin, iotlb_tag_t tag, uint64_t input, uint64_t gpa_base, unsigned shift)
{
    const uint64_t base = input >> shift << shift;
    unsigned in_set = 0;
    unsigned oldest = 0;

    if (twin_touch(twin, tag, input, shift)) return;
    for (unsigned i = twin->count; i-- > 0;) {
        const unsigned set = (twin->entry[i].base >> twin->entry[i].shift) % TWIN_SETS;

        if (set != (input >> shift) % TWIN_SETS) continue;
        in_set++;
        oldest = i;
    }
    if (in_set == TWIN_WAYS) twin_remove(twin, oldest);
    twin->entry[twin->count].base = base;
    twin->entry[twin->count].gpa = gpa_base;
    twin->entry[twin->count].tag = tag;
    twin->entry[twin->count].shift = shift;
    twin->count++;
}

static void twin_invalidate(struct twin *twin, const struct iotlb_range *range)
{
    for (unsigned i = twin->count; i-- > 0;) {
        const iotlb_tag_t tag = twin->entry[i].tag;
        const bool is_guest = tag >> 36 & 1;
        const bool by_input = !is_guest || (range->tag >> 36 & 1);
        const uint64_t base = by_input ? twin->entry[i].base : twin->entry[i].gpa;

        if ((tag & 0xffff) != (range->tag & 0xffff)) continue;
        if ((range->tag >> 36 & 1) && (!is_guest || (tag >> 16 & 0xfffff) != (range->tag >> 16 & 0xfffff))) continue;
        if (base > range->last || base + (UINT64_C(1) << twin->entry[i].shift) - 1 < range->first) continue;
        twin_remove(twin, i);
    }
}

static unsigned twin_evict(struct twin *twin, iotlb_tag_t tag, uint64_t input)
{
    unsigned dropped = 0;

    for (unsigned i = twin->count; i-- > 0;) {
        const unsigned shift = twin->entry[i].shift;

        if ((twin->entry[i].tag | IOTLB_TAG_PRIVATE) != (tag | IOTLB_TAG_PRIVATE)) continue;
        if (twin->entry[i].base >> shift != input >> shift) continue;
        twin_remove(twin, i);
        dropped++;
    }
    return dropped;
}

/* In the order in which a lookup asks. */
static const unsigned shifts[IOTLB_SIZES] = { 12, 21, 30, 11 };

static unsigned size_of(unsigned shift)
{
    unsigned size = 0;

    while (shifts[size] != shift) size++;
    return size;
}

static void assert_same_content(const struct iotlb *iotlb, const struct twin *twin)
{
    uint64_t counts[IOTLB_SIZES] = { 0 };

    for (unsigned i = 0; i < twin->count; i++) counts[size_of(twin->entry[i].shift)]++;
    for (unsigned size = 0; size < IOTLB_SIZES; size++) assert_int_equal(iotlb->count[size], counts[size]);
}

/* One random step on both. */
static void twin_step(struct iotlb *iotlb, struct twin *twin, struct random *random)
{
    const uint64_t input = (random_below(random, 3) << 30) + (random_below(random, 4) << 21) +
                           (random_below(random, 6) << 12) + random_below(random, PAGE);
    const uint64_t gpa_value = input ^ (random_one_in(random, 2) ? UINT64_C(0x40000000) : 0);
    iotlb_tag_t tag =
        iotlb_tag((uint16_t)random_below(random, 2), random_one_in(random, 3), (uint32_t)random_below(random, 2));
    const unsigned size = (unsigned)random_below(random, IOTLB_SIZES);
    struct iotlb_range range = { tag, input, input + (PAGE << random_below(random, 22)) };
    bool evicted;

    if (random_one_in(random, 2)) tag |= IOTLB_TAG_PRIVATE;
    switch (random_below(random, 16)) {
    case 0:
        iotlb_invalidate(iotlb, &range);
        twin_invalidate(twin, &range);
        break;
    case 1: assert_int_equal(iotlb_evict(iotlb, tag, input), twin_evict(twin, tag, input)); break;
    case 2:
        if (!random_one_in(random, 50)) break;
        iotlb_drop_all(iotlb);
        twin->count = 0;
        break;
    case 3:
    case 4:
    case 5:
    case 6: {
        struct iotlb_entry *entry = iotlb_place(iotlb, tag, input, size, &evicted);
        const unsigned shift = iotlb_shift(size);

        if (!twin_touch(twin, tag, input, shift)) {
            entry->gpa = align_down(gpa_value, shift);
            twin_add(twin, tag, input, entry->gpa, shift);
        }
        entry->readable = true;
        break;
    }
    default: {
        const struct iotlb_entry *found = iotlb_lookup(iotlb, tag, input, IOMMU_READ);
        unsigned asked = 0;

        while (asked < IOTLB_SIZES && !twin_touch(twin, tag, input, shifts[asked])) asked++;
        assert_int_equal(found != NULL, asked < IOTLB_SIZES);
        if (found) assert_int_equal(found->key, align_down(input, shifts[asked]) | asked);
    }
    }
}

static void the_iotlb_does_what_a_plain_list_does(void **state)
{
    const struct iommu_geometry geometry = { .sets = TWIN_SETS, .ways = TWIN_WAYS };
    struct random random = random_seeded(4711);
    struct iotlb iotlb = { 0 };
    struct twin twin = { .count = 0 };

    (void)state;
    iotlb_set_up(&iotlb, &geometry);
    for (unsigned step = 0; step < TWIN_STEPS; step++) {
        twin_step(&iotlb, &twin, &random);
        assert_same_content(&iotlb, &twin);
    }
    iotlb_free(&iotlb);
}

/* The generation counter has 24 bits; entries of the first generation must not come back after it has gone round. */
static void nothing_comes_back_after_16_million_resets(void **state)
{
    const struct iommu_geometry geometry = { .sets = 4, .ways = 2 };
    struct iotlb iotlb = { 0 };
    bool evicted;

    (void)state;
    iotlb_set_up(&iotlb, &geometry);
    iotlb_place(&iotlb, iotlb_tag(1, false, 0), 0x1000, IOTLB_4K, &evicted)->readable = true;
    for (unsigned i = 0; i < (1u << 24) - 1; i++) {
        iotlb_drop_all(&iotlb);
        iotlb.count[IOTLB_4K] = 1; /* so that a lookup looks */
        if (iotlb.generation < 3) assert_null(iotlb_lookup(&iotlb, iotlb_tag(1, false, 0), 0x1000, IOMMU_READ));
    }
    iotlb_free(&iotlb);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_entry_outlives_the_table_that_made_it),
    cmocka_unit_test(an_invalidation_of_one_byte_takes_a_2m_entry),
    cmocka_unit_test(pde_0_leaves_a_stale_large_leaf_in_the_walk_cache),
    cmocka_unit_test(pde_0_leaves_a_pointer_to_a_freed_table),
    cmocka_unit_test(pde_0_drops_the_walk_cache_too_if_the_switch_says_so),
    cmocka_unit_test(the_walk_cache_saves_reads_and_forgets_the_oldest),
    cmocka_unit_test(a_cached_item_keeps_the_rights_above_it),
    cmocka_unit_test(an_invalidation_leaves_the_walk_cache_of_its_neighbours_alone),
    cmocka_unit_test(the_least_recently_used_way_is_lost),
    cmocka_unit_test(domains_do_not_share_entries),
    cmocka_unit_test(devices_of_a_domain_share_entries_but_not_private_with_shared_ones),
    cmocka_unit_test(pasids_do_not_share_entries_and_are_invalidated_one_by_one),
    cmocka_unit_test(a_guest_entry_goes_by_its_iova_with_gn_and_by_its_gpa_without),
    cmocka_unit_test(hardware_may_evict_what_covers_an_address),
    cmocka_unit_test(the_iotlb_does_what_a_plain_list_does),
    cmocka_unit_test(nothing_comes_back_after_16_million_resets),
};

int main(int argc, char **argv)
{
    return TEST_MAIN(tests, argc, argv);
}
