/*
 * Every kind of difference is noticed: the truth is changed behind the world's back, or the engine is one that lies,
 * and the world must say so. A check that is not proven here could as well not be there.
 */
#include "world/world_test_help.h"

#include "pt/engine.h"
#include "pt/pt_check.h"

#include <errno.h>

/* Two mapped pages, one in the cache of the IOMMU, one table page to spare. */
static struct world *small_world(void)
{
    struct world *world = world_new();

    play_in(world, "world\n"
                   "rmpupdate hpa=0x5000 gpa=0x1000\n"
                   "rmpupdate hpa=0x400000 size=2M gpa=0x400000\n"
                   "map gpa=0x1000 hpa=0x5000 length=8K\n"
                   "map gpa=0x10000 hpa=0x10000 length=64K\n"
                   "map gpa=0x400000 hpa=0x400000 length=2M\n"
                   "dma iova=0x1000\n");
    return world;
}

/* Where the level 0 item of gpa 4K lies: top, level 1, level 0 are the first tables of domain 0. */
static hpa_t item_address(struct world *world, uint64_t address)
{
    const struct iommu_leaf walk = world_walk(&world->tables[0], address);
    const uint64_t table = walk.items[walk.reads - 2] & UINT64_C(0x000ffffffffff000);

    return hpa(table + (address >> (12 + 9 * walk.level) & 511) * 8);
}

static void change_item(struct world *world, uint64_t address, uint64_t flip)
{
    const hpa_t at = item_address(world, address);
    uint64_t item;

    assert_true(physmem_read64(&world->memory, at, &item));
    assert_true(physmem_write64(&world->memory, at, item ^ flip));
}

/* ---- raw memory -------------------------------------------------------------------------------------------------- */

static void assert_check_notices_flip(uint64_t address, uint64_t flip)
{
    struct world *world = small_world();

    change_item(world, address, flip);
    assert_true(world_check(world) > 0);
    assert_non_null(world_difference(world));
    world_free(world);
}

static void world_check_notices_every_wrong_bit_of_a_leaf(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        if (i == 5) continue; /* A: hardware sets it whenever it likes */
        assert_check_notices_flip(0x1000, bit(i));
        assert_check_notices_flip(0x400000, bit(i));
        assert_check_notices_flip(0x18000, bit(i)); /* one item of a run */
    }
}

static void an_op_notices_a_leaf_that_vanished_beside_it(void **state)
{
    struct world *world = small_world();

    (void)state;
    assert_true(physmem_write64(&world->memory, item_address(world, 0x2000), 0));
    assert_true(apply(world, "map gpa=0x3000 hpa=0x3000 length=4K").is_difference);
    assert_differs(world, "the hardware walk differs");
    assert_differs(world, "op 7: map");
    assert_differs(world, "oracle: leaf 0x2000");
    assert_differs(world, "fault=not-present");
    world_free(world);
}

static void an_op_notices_a_leaf_that_nobody_mapped(void **state)
{
    struct world *world = small_world();

    (void)state;
    assert_true(
        physmem_write64(&world->memory, hpa(item_address(world, 0x2000).value + 8), UINT64_C(0x7000000000009001)));
    apply(world, "unmap gpa=0x2000 length=4K");
    assert_differs(world, "the hardware walk finds something");
    world_free(world);
    world = small_world();
    assert_true(
        physmem_write64(&world->memory, hpa(item_address(world, 0x2000).value + 64), UINT64_C(0x700000000000a001)));
    assert_true(world_check(world) > 0);
    assert_differs(world, "expected 21 (invariants 4 and 18)");
    world_free(world);
}

static void unmap_and_map_results_are_compared(void **state)
{
    struct world *world = small_world();

    (void)state;
    assert_true(physmem_write64(&world->memory, item_address(world, 0x2000), 0));
    apply(world, "unmap gpa=0x1000 length=8K");
    assert_differs(world, "unmap: expected 0x2000 bytes removed, engine removed 0x1000");
    world_free(world);
    world = small_world();
    assert_true(physmem_write64(&world->memory, item_address(world, 0x2000), 0));
    apply(world, "map gpa=0x2000 hpa=0x2000 length=4K");
    assert_differs(world, "map: expected -98 mapped=0x0, engine gave 0 mapped=0x1000");
    world_free(world);
}

static void dma_through_a_changed_leaf_is_noticed(void **state)
{
    struct world *world = small_world();

    (void)state;
    change_item(world, 0x2000, bit(20));
    apply(world, "dma iova=0x2000 device=dev2");
    assert_differs(world, "dma: expected fault=none hpa=0x6000");
    world_free(world);
}

static void dirty_bits_that_come_or_go_are_noticed(void **state)
{
    struct world *world = small_world();

    (void)state;
    change_item(world, 0x1000, bit(6));
    apply(world, "dirty_read gpa=0 length=1M");
    assert_differs(world, "dirty_read: unexpected report of 0x1000");
    world_free(world);
    world = small_world();
    play_in(world, "dma iova=0x1000 access=write -> hpa=0x5000 fill=4K\n");
    change_item(world, 0x1000, bit(6));
    apply(world, "dirty_read gpa=0 length=1M");
    assert_differs(world, "dirty_read: a dirty leaf was not reported");
    world_free(world);
}

/* ---- RMP, IOMMU, pool -------------------------------------------------------------------------------------------- */

static void rmp_entries_that_change_by_themselves_are_noticed(void **state)
{
    struct world *world = small_world();
    const struct rmp_state gone = { 0 };

    (void)state;
    rmp_update(world->rmp, hpa(0x5000), &gone);
    assert_true(world_check(world) > 0);
    assert_differs(world, "rmp of hpa 0x5000");
    world_free(world);
    world = small_world();
    rmp_psmash(world->rmp, hpa(0x400000));
    apply(world, "psmash hpa=0x400000");
    assert_differs(world, "rmp: expected ok, got FAIL_BADADDR");
    world_free(world);
    world = small_world();
    rmp_psmash(world->rmp, hpa(0x400000));
    apply(world, "dma iova=0x400000");
    assert_differs(world, "dma: expected fault=none");
    world_free(world);
}

static void an_iotlb_entry_that_outlives_its_invalidation_is_noticed(void **state)
{
    struct world *world = small_world();
    const struct fills_range range = { .first = 0x1000, .last = 0x1fff };

    (void)state;
    fills_invalidate(&world->fills, &range); /* as if a command had been lost */
    apply(world, "dma iova=0x1000");
    assert_differs(world, "no such entry was filled, or it was invalidated");
    world_free(world);
}

static void an_iotlb_entry_with_other_content_is_noticed(void **state)
{
    struct world *world = small_world();
    struct fill fill;
    const struct fill_tag tag = { .is_private = true };

    (void)state;
    assert_true(fills_find(&world->fills, &tag, 0x1000, 12, &fill));
    fill.hpa += 0x1000;
    fills_add(&world->fills, &tag, &fill);
    apply(world, "dma iova=0x1000");
    assert_differs(world, "the entry is not as it was filled");
    world_free(world);
}

static void commands_that_nobody_gave_are_noticed(void **state)
{
    struct world *world = small_world();

    (void)state;
    iommu_inv_all(world->iommu);
    assert_true(world_check(world) > 0);
    assert_differs(world, "commands queued");
    world_free(world);
}

static void pool_pages_that_leak_or_are_not_zero_are_noticed(void **state)
{
    struct world *world = small_world();
    uint8_t *page;

    (void)state;
    page = table_pool_alloc(&world->pool, 4096);
    assert_true(world_check(world) > 0);
    assert_differs(world, "pool: 5 pages live, of them 5 tables with 21 items, expected 22");
    world_free(world);
    world = small_world();
    page = table_pool_alloc(&world->pool, 4096);
    page[77] = 1;
    table_pool_free(&world->pool, page);
    assert_true(world_check(world) > 0);
    assert_differs(world, "free and not zero (P1)");
    world_free(world);
}

/* ---- engines that lie -------------------------------------------------------------------------------------------- */

static const struct engine *honest;
static struct engine liar;

/* The world of above, whose engine is one that calls what the test puts into `liar`. */
static struct world *world_of_liar(void)
{
    struct world *world = small_world();

    honest = world->tables[0].pt.engine;
    liar = *honest;
    world->tables[0].pt.engine = &liar;
    return world;
}

static enum map_lie {
    MAP_REPORTS_TOO_MUCH,
    MAP_IGNORES_WRITE,
    MAP_RUNS_OUT_AT_WILL,
    MAP_SYNCS_FOR_NOTHING,
    MAP_IN_SMALL_PIECES
} map_lie;

static int map_range(struct pt *pt, iova_t start, hpa_t target, uint64_t length, unsigned prot, uint64_t *mapped)
{
    uint64_t done;
    int error = 0;

    *mapped = 0;
    switch (map_lie) {
    case MAP_REPORTS_TOO_MUCH:
        error = honest->map_range(pt, start, target, length, prot, mapped);
        *mapped += 0x1000;
        return error;
    case MAP_IGNORES_WRITE: return honest->map_range(pt, start, target, length, prot & ~(unsigned)PT_WRITE, mapped);
    case MAP_RUNS_OUT_AT_WILL: return -ENOMEM;
    case MAP_SYNCS_FOR_NOTHING:
        pt->hooks->sync(pt->context, start, start, 0);
        return honest->map_range(pt, start, target, length, prot, mapped);
    case MAP_IN_SMALL_PIECES: break;
    }
    for (; !error && *mapped < length; *mapped += done)
        error = honest->map_range(pt, iova(start.value + *mapped), hpa(target.value + *mapped), 0x1000, prot, &done);
    return error;
}

static void a_map_that_lies_is_noticed(void **state)
{
    static const char *const texts[] = {
        [MAP_REPORTS_TOO_MUCH] = "engine gave 0 mapped=0x5000", [MAP_IGNORES_WRITE] = "the hardware walk differs",
        [MAP_RUNS_OUT_AT_WILL] = "engine gave -12 mapped=0x0",  [MAP_SYNCS_FOR_NOTHING] = "map: 1 syncs",
        [MAP_IN_SMALL_PIECES] = "the hardware walk differs",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct world *world = world_of_liar();

        map_lie = (enum map_lie)i;
        liar.map_range = map_range;
        assert_true(apply(world, "map gpa=0x80000 hpa=0x80000 length=16K").is_difference);
        assert_differs(world, texts[i]);
        world_free(world);
    }
}

static uint64_t unmap_gathers_what_was_asked(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *gather)
{
    const uint64_t removed = honest->unmap_range(pt, start, length, gather);

    gather->last.value = start.value + length - 1;
    return removed;
}

static uint64_t unmap_forgets_to_gather(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *gather)
{
    const struct pt_gather before = *gather;
    const uint64_t removed = honest->unmap_range(pt, start, length, gather);

    *gather = before;
    return removed;
}

static uint64_t unmap_only_says_so(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *gather)
{
    (void)pt;
    gather->first = start;
    gather->last.value = start.value + length - 1;
    return length;
}

static uint64_t unmap_frees_at_once(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *gather)
{
    const uint64_t removed = honest->unmap_range(pt, start, length, gather);

    table_pool_free_list(pt->pool, &gather->freed);
    return removed;
}

static void an_unmap_that_lies_is_noticed(void **state)
{
    static const struct {
        uint64_t (*unmap)(struct pt *, iova_t, uint64_t, struct pt_gather *);
        const char *line, *text;
    } cases[] = {
        { unmap_gathers_what_was_asked, "unmap gpa=0x10000 length=4K sync=no", "gather: expected [0x10000, 0x1ffff]" },
        { unmap_forgets_to_gather, "unmap gpa=0x1000 length=4K sync=no", "gather: expected [0x1000, 0x1fff]" },
        { unmap_forgets_to_gather, "unmap gpa=0x1000 length=4K", "gather: expected [0x1000, 0x1fff]" },
        { unmap_only_says_so, "unmap gpa=0x1000 length=4K", "the hardware walk finds something" },
        { unmap_frees_at_once, "unmap gpa=0x600000 length=2M", "and 1 tables (invariants 23, 25, 26), engine has" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world *world = world_of_liar();

        play_in(world, "map gpa=0x600000 hpa=0x601000 length=2M -> ok\n");
        liar.unmap_range = cases[i].unmap;
        apply(world, cases[i].line);
        assert_differs(world, cases[i].text);
        world_free(world);
    }
}

static bool lookup_forgets_the_offset(const struct pt *pt, iova_t address, hpa_t *result)
{
    const bool found = honest->iova_to_phys(pt, address, result);

    result->value = align_down(result->value, 12);
    return found;
}

static bool lookup_finds_everything(const struct pt *pt, iova_t address, hpa_t *result)
{
    return honest->iova_to_phys(pt, address, result) || true;
}

static int cut_does_nothing(struct pt *pt, iova_t at)
{
    (void)pt, (void)at;
    return 0;
}

static int cut_says_no(struct pt *pt, iova_t at)
{
    (void)pt, (void)at;
    return -EOPNOTSUPP;
}

static int cut_drops_the_leaf(struct pt *pt, iova_t at)
{
    struct pt_gather gather = pt_gather_empty();

    honest->unmap_range(pt, iova(align_down(at.value, 21)), 0x200000, &gather);
    return 0;
}

static void lookups_and_cuts_that_lie_are_noticed(void **state)
{
    struct world *world = world_of_liar();

    (void)state;
    liar.iova_to_phys = lookup_forgets_the_offset;
    apply(world, "map gpa=0x80000 hpa=0x80000 length=4K");
    assert_differs(world, "iova_to_phys differs");
    world_free(world);
    world = world_of_liar();
    liar.iova_to_phys = lookup_finds_everything;
    apply(world, "unmap gpa=0x1000 length=4K");
    assert_differs(world, "iova_to_phys finds something");
    world_free(world);
    world = world_of_liar();
    liar.cut = cut_does_nothing;
    apply(world, "cut at=0x401000");
    assert_differs(world, "the hardware walk differs");
    world_free(world);
    world = world_of_liar();
    liar.cut = cut_says_no;
    apply(world, "cut at=0x401000");
    assert_differs(world, "cut: expected 0, engine gave -95");
    world_free(world);
    world = world_of_liar();
    liar.cut = cut_drops_the_leaf;
    apply(world, "cut at=0x401000");
    assert_differs(world, "the hardware walk differs");
    world_free(world);
}

/* Clears in spite of PT_DIRTY_NO_CLEAR. */
static int read_and_clear_dirty(struct pt *pt, iova_t start, uint64_t length, unsigned flags, pt_dirty_report *report,
                                void *context, struct pt_gather *gather)
{
    (void)flags;
    return honest->read_and_clear_dirty(pt, start, length, 0, report, context, gather);
}

/* What the fault PT_CUT_LOSES_DIRTY does: the parts of a dirty leaf are clean. */
static int cut_loses_dirty(struct pt *pt, iova_t at)
{
    struct pt_gather gather = pt_gather_empty();

    honest->read_and_clear_dirty(pt, at, 1, 0, NULL, NULL, &gather);
    return honest->cut(pt, at);
}

static void dirty_bits_that_are_lost_are_noticed(void **state)
{
    struct world *world = world_of_liar();

    (void)state;
    play_in(world, "dma iova=0x1000 access=write -> hpa=0x5000 fill=4K\n");
    liar.read_and_clear_dirty = read_and_clear_dirty;
    apply(world, "dirty_read gpa=0x0 length=1M clear=no");
    assert_differs(world, "dirty_read: expected a gather");
    world_free(world);
    world = world_of_liar();
    play_in(world, "dma iova=0x400000 access=write -> hpa=0x400000 fill=2M\n");
    liar.cut = cut_loses_dirty;
    apply(world, "cut at=0x401000");
    assert_differs(world, "the hardware walk differs");
    world_free(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(world_check_notices_every_wrong_bit_of_a_leaf),
        cmocka_unit_test(an_op_notices_a_leaf_that_vanished_beside_it),
        cmocka_unit_test(an_op_notices_a_leaf_that_nobody_mapped),
        cmocka_unit_test(unmap_and_map_results_are_compared),
        cmocka_unit_test(dma_through_a_changed_leaf_is_noticed),
        cmocka_unit_test(dirty_bits_that_come_or_go_are_noticed),
        cmocka_unit_test(rmp_entries_that_change_by_themselves_are_noticed),
        cmocka_unit_test(an_iotlb_entry_that_outlives_its_invalidation_is_noticed),
        cmocka_unit_test(an_iotlb_entry_with_other_content_is_noticed),
        cmocka_unit_test(commands_that_nobody_gave_are_noticed),
        cmocka_unit_test(pool_pages_that_leak_or_are_not_zero_are_noticed),
        cmocka_unit_test(a_map_that_lies_is_noticed),
        cmocka_unit_test(an_unmap_that_lies_is_noticed),
        cmocka_unit_test(lookups_and_cuts_that_lie_are_noticed),
        cmocka_unit_test(dirty_bits_that_are_lost_are_noticed),
    };

    return TEST_MAIN(tests, argc, argv);
}
