/* Engines that lie: each entry of struct engine in turn is replaced by one that is wrong in one way. */
#include "world/world_liar.h"

#include "pt/engine.h"

#include <errno.h>

static enum map_lie {
    MAP_REPORTS_TOO_MUCH,
    MAP_IGNORES_WRITE,
    MAP_RUNS_OUT_AT_WILL,
    MAP_SYNCS_FOR_NOTHING,
    MAP_TELLS_A_WRONG_TOP,
    MAP_TELLS_THE_SAME_TOP,
    MAP_TAKES_FROM_THE_END,
    MAP_IN_SMALL_PIECES
} map_lie;

static int map_range(struct pt *pt, iova_t start, hpa_t target, uint64_t length, unsigned prot, uint64_t *mapped)
{
    struct pt_gather gather = pt_gather_empty();
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
    case MAP_TELLS_A_WRONG_TOP:
        pt->hooks->top_changed(pt->context, hpa(align_down(pt->top, 12)), 3);
        return honest->map_range(pt, start, target, length, prot, mapped);
    case MAP_TELLS_THE_SAME_TOP:
        pt->hooks->top_changed(pt->context, hpa(align_down(pt->top, 12)), 2);
        return honest->map_range(pt, start, target, length, prot, mapped);
    case MAP_TAKES_FROM_THE_END:
        error = honest->map_range(pt, start, target, length, prot, mapped);
        honest->unmap_range(pt, iova(start.value + length - 0x1000), 0x1000, &gather);
        return error;
    case MAP_IN_SMALL_PIECES: break;
    }
    for (; !error && *mapped < length; *mapped += done)
        error = honest->map_range(pt, iova(start.value + *mapped), hpa(target.value + *mapped), 0x1000, prot, &done);
    return error;
}

static void a_map_that_lies_is_noticed(void **state)
{
    static const char *const texts[] = {
        [MAP_REPORTS_TOO_MUCH] = "engine gave 0 mapped=0x5000",
        [MAP_IGNORES_WRITE] = "the hardware walk differs",
        [MAP_RUNS_OUT_AT_WILL] = "engine gave -12 mapped=0x0",
        [MAP_SYNCS_FOR_NOTHING] = "map: 1 syncs",
        [MAP_TELLS_A_WRONG_TOP] = "top level: expected 2 told 0 times, hardware was told 3, 1 times",
        [MAP_TELLS_THE_SAME_TOP] = "the top went from level 2 to 2",
        [MAP_TAKES_FROM_THE_END] = "the hardware walk differs",
        [MAP_IN_SMALL_PIECES] = "the hardware walk differs",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct world *world = world_of_liar();

        map_lie = (enum map_lie)i;
        play_in(world, "map gpa=0x88000 hpa=0x1000 length=4K\nmap gpa=0x8f000 hpa=0x1000 length=4K\n");
        liar.map_range = map_range;
        assert_true(apply(world, i == MAP_TAKES_FROM_THE_END ? "map gpa=0x80000 hpa=0x80000 length=64K"
                                                             : "map gpa=0x80000 hpa=0x80000 length=16K")
                        .is_difference);
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

/* What Linux does at address 0 (formats.md 7). */
static uint64_t unmap_gathers_nothing_as_everything(struct pt *pt, iova_t start, uint64_t length,
                                                    struct pt_gather *gather)
{
    const uint64_t removed = honest->unmap_range(pt, start, length, gather);

    if (removed == 0) *gather = (struct pt_gather){ start, { start.value - 1 }, gather->freed };
    return removed;
}

static uint64_t unmap_syncs_without_need(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *gather)
{
    const uint64_t removed = honest->unmap_range(pt, start, length, gather);

    pt_gather_sync(pt, gather);
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
        { unmap_gathers_nothing_as_everything, "unmap gpa=0x0 length=4K",
          "engine has [0x0, 0xffffffffffffffff] and 0" },
        { unmap_syncs_without_need, "unmap gpa=0x1000 length=4K", "unmap: expected 0 syncs in it, the engine did 1" },
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

static int cut_syncs(struct pt *pt, iova_t at)
{
    pt->hooks->sync(pt->context, at, at, 0);
    return honest->cut(pt, at);
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
    liar.cut = cut_syncs;
    apply(world, "cut at=0x401000");
    assert_differs(world, "cut: the engine called a hook");
    world_free(world);
    world = world_of_liar();
    liar.cut = cut_drops_the_leaf;
    apply(world, "cut at=0x401000");
    assert_differs(world, "the hardware walk differs");
    world_free(world);
}

static bool refuses_after_all;

/* Clears in spite of PT_DIRTY_NO_CLEAR, or reports although it refuses. */
static int read_and_clear_dirty(struct pt *pt, iova_t start, uint64_t length, unsigned flags, pt_dirty_report *report,
                                void *context, struct pt_gather *gather)
{
    (void)flags;
    if (refuses_after_all) {
        honest->read_and_clear_dirty(pt, start, 0x2000, flags, report, context, gather);
        return -ERANGE;
    }
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
    play_in(world, "dma iova=0x1000 access=write -> hpa=0x5000 fill=4K\n");
    refuses_after_all = true;
    liar.read_and_clear_dirty = read_and_clear_dirty;
    apply(world, "dirty_read gpa=0x0 length=1P");
    assert_differs(world, "dirty_read: reports in spite of -34");
    refuses_after_all = false;
    world_free(world);
    world = world_of_liar();
    play_in(world, "dma iova=0x400000 access=write -> hpa=0x400000 fill=2M\n");
    liar.cut = cut_loses_dirty;
    apply(world, "cut at=0x401000");
    assert_differs(world, "the hardware walk differs");
    world_free(world);
}

/* A sync that loses its tables: the hook takes them off the gather before they are freed. */
static void lose_tables(void *context, iova_t first, iova_t last, unsigned freed)
{
    struct world_table *table = context;

    table->gather.freed = table_list_empty();
    world_hooks.sync(context, first, last, freed);
}

static void tables_that_a_sync_does_not_free_are_noticed(void **state)
{
    static const struct pt_hooks hooks = { .sync = lose_tables };
    struct world *world = small_world();

    (void)state;
    play_in(world, "map gpa=0x600000 hpa=0x601000 length=2M -> ok\n");
    world->tables[0].pt.hooks = &hooks;
    apply(world, "unmap gpa=0x600000 length=2M");
    assert_differs(world, "sync: expected 1 pages to be freed, 0 were");
    world_free(world);
}

static void a_sync_that_covers_too_little_is_noticed(void **state)
{
    struct world *world = small_world();

    (void)state;
    play_in(world, "unmap gpa=0x1000 length=8K sync=no -> bytes=0x2000\n");
    world->tables[0].gather.last.value = 0x1fff;
    apply(world, "sync");
    assert_differs(world, "sync: expected [0x1000, 0x2fff] and 0 tables");
    world_free(world);
    world = small_world();
    play_in(world, "unmap gpa=0x1000 length=4K sync=no -> bytes=0x1000\n");
    world->tables[0].hull_tables = 1; /* as if it had left a table */
    apply(world, "sync");
    assert_differs(world, "and 1 tables (invariants 23, 25, 26), engine gave [0x1000, 0x1fff] and 0");
    world_free(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_that_lies_is_noticed),
        cmocka_unit_test(an_unmap_that_lies_is_noticed),
        cmocka_unit_test(lookups_and_cuts_that_lie_are_noticed),
        cmocka_unit_test(dirty_bits_that_are_lost_are_noticed),
        cmocka_unit_test(tables_that_a_sync_does_not_free_are_noticed),
        cmocka_unit_test(a_sync_that_covers_too_little_is_noticed),
    };

    return TEST_MAIN(tests, argc, argv);
}
