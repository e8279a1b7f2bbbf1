/* The oracle against worked examples of formats.md and against a twin that knows each page by itself. */
#include "oracle/oracle_test_help.h"

static int map_error(const struct oracle_table *table, struct oracle_request request)
{
    return oracle_map_predict(table, &request).error;
}

static uint64_t unmap(struct oracle_table *table, uint64_t start, uint64_t length)
{
    const uint64_t removed = oracle_unmap_predict(table, start, length).removed;

    oracle_unmap_commit(table, start, removed);
    return removed;
}

/* ---- worked examples ------------------------------------------------------------------------------------------- */

static void page_sizes_are_those_of_formats_1(void **state)
{
    struct oracle_table amdv1 = amdv1_table();
    struct oracle_table x86 = x86_table(false);

    (void)state;
    assert_int_equal(amdv1.page_sizes, 0x000fff7ffffff000);
    assert_int_equal(x86.page_sizes, 0x40201000);
    oracle_table_free(&amdv1);
    oracle_table_free(&x86);
}

static void greedy_takes_the_largest_leaf_at_each_place(void **state)
{
    struct oracle_table table = amdv1_table();

    (void)state;
    assert_int_equal(map(&table, 0x1000, 0x5000, 0x8000).error, 0);
    assert_string_equal(sizes(&table), "12 13 14 12");
    assert_int_equal(unmap(&table, 0x1000, 0x8000), 0x8000);
    map(&table, 0, 0, UINT64_C(1) << 39);
    assert_string_equal(sizes(&table), "38 38"); /* formats.md 1.1: a 512G request is two 256G leaves */
    oracle_table_free(&table);
}

static void greedy_does_not_grow_where_the_target_is_not_congruent(void **state)
{
    struct oracle_table table = amdv1_table();

    (void)state;
    map(&table, 0x200000, 0x201000, 0x4000);
    assert_string_equal(sizes(&table), "12 12 12 12");
    oracle_table_free(&table);
}

static void collision_counts_the_leaves_before_it(void **state)
{
    struct oracle_table table = amdv1_table();
    struct oracle_map_result result;

    (void)state;
    map(&table, 0x5000, 0x100000, 0x1000);
    result = map(&table, 0x1000, 0x1000, 0x8000); /* formats.md 2.6: 4K and 8K stay */
    assert_int_equal(result.error, -EADDRINUSE);
    assert_int_equal(result.mapped, 0x3000);
    assert_string_equal(sizes(&table), "12 13 12");
    oracle_table_free(&table);
}

static void map_checks_its_arguments_in_the_order_of_formats_2_3(void **state)
{
    struct oracle_table table = amdv1_table();
    const uint64_t end = UINT64_C(1) << 52;

    (void)state;
    assert_int_equal(map_error(&table, (struct oracle_request){ 0x1000, end, 0x1000, 0 }), -EINVAL);
    assert_int_equal(map_error(&table, (struct oracle_request){ 0x1000, end, 0, RW }), -ERANGE);
    assert_int_equal(map_error(&table, (struct oracle_request){ 0x1000, 0x1000, 0, RW }), -EINVAL);
    assert_int_equal(map_error(&table, (struct oracle_request){ -0x1000ull, 0x1001, 0x2000, RW }), -EOVERFLOW);
    assert_int_equal(map_error(&table, (struct oracle_request){ 0x1000, end - 0x1000, 0x2000, RW }), -ERANGE);
    assert_int_equal(map_error(&table, (struct oracle_request){ 0x1000, 0x1000, 0x1800, RW }), -ENXIO);
    assert_int_equal(map_error(&table, (struct oracle_request){ 0x1000, end - 0x1000, 0x1800, RW }), -ENXIO);
    assert_int_equal(map_error(&table, (struct oracle_request){ 0x1800, 0x1000, 0x1000, RW }), -ENXIO);
    assert_int_equal(map_error(&table, (struct oracle_request){ -0x1000ull, 0x1000, 0x1000, RW }), 0);
    oracle_table_free(&table);
}

static void both_halves_of_a_sign_extended_table_map_and_its_hole_does_not(void **state)
{
    struct oracle_table table = x86_table(true);
    const uint64_t edge = UINT64_C(1) << 47;

    (void)state;
    assert_int_equal(map_error(&table, (struct oracle_request){ edge - 0x1000, 0x1000, 0x2000, RW }), -ERANGE);
    assert_int_equal(map_error(&table, (struct oracle_request){ edge, 0x1000, 0x1000, RW }), -ERANGE);
    assert_int_equal(map(&table, -edge, 0x2000, 0x1000).error, 0);
    assert_int_equal(map(&table, edge - 0x1000, 0x2000, 0x1000).error, 0);
    assert_false(oracle_decodes(&table, edge));
    assert_true(oracle_decodes(&table, -edge));
    oracle_table_free(&table);
}

static void a_large_leaf_alone_makes_the_top_grow(void **state)
{
    struct oracle_table table = amdv1_table();

    (void)state;
    assert_int_equal(map(&table, 0, 0, UINT64_C(1) << 40).top_level, 3); /* formats.md 2.6 a */
    assert_int_equal(oracle_reach_bits(&table), 48);
    assert_int_equal(map(&table, -0x1000ull, 0x1000, 0x1000).top_level, 5);
    assert_int_equal(table.top_level, 5);
    oracle_table_free(&table);
}

/* The range fits a table of 1G, its only leaf is one of the next level. */
static void a_leaf_as_large_as_the_whole_table_makes_the_top_grow(void **state)
{
    struct oracle_table table = { 0 };
    const struct oracle_config config = {
        .format = oracle_find_format("amdv1"), .va_bits = 64, .oa_bits = 52, .top_level = 1, .grows = true
    };

    (void)state;
    oracle_table_init(&table, &config);
    assert_int_equal(map(&table, 0, 0x40000000, 0x40000000).top_level, 2);
    assert_string_equal(sizes(&table), "30");
    oracle_table_free(&table);
}

static void unmap_takes_whole_leaves_until_the_first_hole(void **state)
{
    struct oracle_table table = amdv1_table();

    (void)state;
    map(&table, 0x800000, 0x800000, 0x400000);
    assert_int_equal(unmap(&table, 0x801000, 0x1000), 0);        /* inside a leaf */
    assert_int_equal(unmap(&table, 0x800000, 0x1000), 0x400000); /* formats.md 2.8: the whole leaf */
    map(&table, 0x1000, 0x1000, 0x1000);
    map(&table, 0x2000, 0x9000, 0x1000);
    map(&table, 0x4000, 0x4000, 0x1000);
    assert_int_equal(unmap(&table, 0x1000, 1), 0x1000);
    assert_int_equal(unmap(&table, 0x2000, 0x10000), 0x1000);
    assert_int_equal(unmap(&table, 0x3000, 0x2000), 0);
    assert_int_equal(unmap(&table, 0x4000, 0), 0);
    assert_int_equal(table.leaves, 1);
    oracle_table_free(&table);
}

static uint64_t freed_tables(struct oracle_table *table, uint64_t start, uint64_t length)
{
    const struct oracle_unmap_result result = oracle_unmap_predict(table, start, length);

    oracle_unmap_commit(table, start, result.removed);
    return result.tables;
}

static void unmap_frees_the_tables_it_covers_and_empties(void **state)
{
    struct oracle_table table = amdv1_table();
    const uint64_t gib = UINT64_C(1) << 30;

    (void)state;
    map(&table, 0x200000, 0x1000, 0x200000); /* 4K leaves: one full level 0 table */
    assert_int_equal(freed_tables(&table, 0x200000, 0x200000), 1);
    map(&table, 0x200000, 0x1000, 0x200000);
    assert_int_equal(freed_tables(&table, 0x200000, 0x1ff000), 0);
    assert_int_equal(freed_tables(&table, 0x3ff000, 0x1000), 0);
    map(&table, 0x200000, 0x200000, 0x200000); /* one 2M leaf: no table of its own */
    assert_int_equal(freed_tables(&table, 0x200000, 0x200000), 0);
    map(&table, gib, gib + 0x1000, gib); /* 512 level 0 tables and their parent */
    assert_int_equal(freed_tables(&table, gib, gib), 513);
    map(&table, gib, gib, gib);          /* one 1G leaf */
    map(&table, 2 * gib, 0x200000, gib); /* 512 leaves of 2M below one table */
    map(&table, 3 * gib, 0x1000, 0x200000);
    assert_int_equal(freed_tables(&table, gib, 3 * gib), 2);
    map(&table, gib, 0x100000, 0x200000);
    map(&table, gib + 0x200000, 0x200000, 0x400000); /* a 4M leaf that the range ends in */
    assert_int_equal(freed_tables(&table, gib, 0x200001), 1);
    oracle_table_free(&table);
}

static void unmap_beyond_the_top_of_now_removes_nothing(void **state)
{
    struct oracle_table table = amdv1_table();

    (void)state;
    map(&table, 0x1000, 0x1000, 0x1000);
    assert_int_equal(unmap(&table, 0x1000, UINT64_C(1) << 40), 0); /* formats.md 2.8: out of range */
    oracle_table_free(&table);
}

static void cut_makes_two_greedy_halves_with_the_old_rights_and_dirt(void **state)
{
    struct oracle_table table = amdv1_table();
    struct oracle_table small = x86_table(false);
    struct oracle_leaf leaf;
    bool splits;

    (void)state;
    map(&table, 0x200000, 0x40200000, 0x200000);
    oracle_set_dirty(&table, 0x2ff000, true);
    assert_int_equal(oracle_cut_predict(&table, 0x203000, &leaf, &splits), 0);
    assert_true(splits);
    oracle_cut_commit(&table, 0x203000);
    assert_string_equal(sizes(&table), "13 12 12 14 15 16 17 18 19 20");
    for (uint64_t at = 0x200000; at < 0x400000; at += 0x1000) {
        assert_true(oracle_find(&table, at, &leaf));
        assert_int_equal(leaf.target + (at - leaf.start), at + 0x40000000);
        assert_true(leaf.dirty);
        assert_int_equal(leaf.prot, RW);
    }
    assert_int_equal(oracle_cut_predict(&table, 0x203000, &leaf, &splits), 0);
    assert_false(splits);
    assert_int_equal(oracle_cut_predict(&table, 0x203800, &leaf, &splits), -ENXIO);
    assert_int_equal(oracle_cut_predict(&table, 0x400000, &leaf, &splits), -ENOENT);
    assert_int_equal(oracle_cut_predict(&table, UINT64_C(1) << 40, &leaf, &splits), -ENOENT); /* it could grow */
    assert_int_equal(oracle_cut_predict(&small, UINT64_C(1) << 47, &leaf, &splits), -ERANGE);
    oracle_table_free(&small);
    oracle_table_free(&table);
}

static void dirty_is_kept_per_leaf(void **state)
{
    struct oracle_table table = amdv1_table();
    struct oracle_leaf leaf;

    (void)state;
    map(&table, 0x200000, 0x201000, 0x4000);
    oracle_set_dirty(&table, 0x202fff, true);
    assert_true(oracle_next_dirty(&table, 0, UINT64_MAX, &leaf));
    assert_int_equal(leaf.start, 0x202000);
    assert_false(oracle_next_dirty(&table, 0x203000, UINT64_MAX, &leaf));
    assert_false(oracle_next_dirty(&table, 0x200000, 0x201fff, &leaf));
    oracle_set_dirty(&table, 0x202000, false);
    assert_false(oracle_next_dirty(&table, 0, UINT64_MAX, &leaf));
    assert_int_equal(oracle_dirty_check(&table, 0, UINT64_C(1) << 39), 0);
    assert_int_equal(oracle_dirty_check(&table, 1, UINT64_C(1) << 39), -ERANGE);
    oracle_table_free(&table);
}

static void neighbours_with_other_rights_keep_them(void **state)
{
    struct oracle_table table = amdv1_table();
    const struct oracle_request read_only = { 0x2000, 0x202000, 0x1000, ORACLE_READ };
    struct oracle_leaf leaf;

    (void)state;
    map(&table, 0x1000, 0x201000, 0x1000);
    oracle_map_commit(&table, &read_only, 0x1000);
    assert_true(oracle_find(&table, 0x2000, &leaf));
    assert_int_equal(leaf.prot, ORACLE_READ);
    assert_true(oracle_find(&table, 0x1000, &leaf));
    assert_int_equal(leaf.prot, RW);
    oracle_table_free(&table);
}

static void an_allocation_may_fail_only_at_a_leaf_boundary(void **state)
{
    struct oracle_table table = amdv1_table();
    const struct oracle_request request = { 0x1000, 0x5000, 0x8000, RW };

    (void)state;
    assert_true(oracle_map_may_stop(&table, &request, 0));
    assert_true(oracle_map_may_stop(&table, &request, 0x1000));
    assert_false(oracle_map_may_stop(&table, &request, 0x2000));
    assert_true(oracle_map_may_stop(&table, &request, 0x3000));
    assert_false(oracle_map_may_stop(&table, &request, 0x8000));
    map(&table, 0x5000, 0x100000, 0x1000);
    assert_false(oracle_map_may_stop(&table, &request, 0x7000)); /* behind the collision */
    oracle_table_free(&table);
}

/* ---- the twin: one entry a page, one leaf at a time ------------------------------------------------------------- */

enum { TWIN_PAGES = 1024 };

struct twin_page {
    bool is_mapped, dirty;
    uint8_t shift;
    uint64_t leaf_start, target; /* target of this page */
};

struct twin {
    struct twin_page pages[TWIN_PAGES];
    uint64_t page_sizes;
    uint64_t base;
};

static unsigned twin_size(const struct twin *twin, uint64_t start, uint64_t target, uint64_t left)
{
    for (unsigned shift = 63; shift > 12; shift--) {
        if (twin->page_sizes & bit(shift) && is_aligned(start | target, shift) && bit(shift) <= left) return shift;
    }
    return 12;
}

static uint64_t twin_map(struct twin *twin, uint64_t start, uint64_t target, uint64_t length, bool dirty)
{
    uint64_t done = 0;

    while (done < length) {
        const unsigned shift = twin_size(twin, start + done, target + done, length - done);
        struct twin_page *first = &twin->pages[(start + done - twin->base) >> 12];

        for (uint64_t i = 0; i < bit(shift - 12); i++)
            if (first[i].is_mapped) return done;
        for (uint64_t i = 0; i < bit(shift - 12); i++)
            first[i] = (struct twin_page){ true, dirty, (uint8_t)shift, start + done, target + done + (i << 12) };
        done += bit(shift);
    }
    return done;
}

static uint64_t twin_unmap(struct twin *twin, uint64_t start, uint64_t length)
{
    uint64_t done = 0;

    while (done < length && start + done - twin->base < (uint64_t)TWIN_PAGES << 12) {
        struct twin_page *first = &twin->pages[(start + done - twin->base) >> 12];
        const unsigned shift = first->shift;

        if (!first->is_mapped || first->leaf_start != start + done) break;
        memset(first, 0, sizeof(*first) << (shift - 12));
        done += bit(shift);
    }
    return done;
}

static void twin_cut(struct twin *twin, uint64_t at)
{
    const struct twin_page page = twin->pages[(at - twin->base) >> 12];
    const uint64_t target = page.target - (at - page.leaf_start);

    if (!page.is_mapped || page.leaf_start == at) return;
    memset(&twin->pages[(page.leaf_start - twin->base) >> 12], 0, sizeof(page) << (page.shift - 12));
    twin_map(twin, page.leaf_start, target, at - page.leaf_start, page.dirty);
    twin_map(twin, at, page.target, page.leaf_start + bit(page.shift) - at, page.dirty);
}

/* Does one leaf of 2^shift fit over `start`, and is there none so large yet? Then it is. */
static void twin_merge(struct twin *twin, uint64_t start, unsigned shift)
{
    struct twin_page *first = &twin->pages[(start - twin->base) >> 12];
    bool dirty = false;

    for (uint64_t i = 0; i < bit(shift - 12); i++) {
        if (!first[i].is_mapped || first[i].target != first->target + (i << 12)) return;
        if (first[i].leaf_start < start || first[i].shift >= shift) return;
        if (first[i].leaf_start + bit(first[i].shift) > start + bit(shift)) return;
        dirty |= first[i].dirty;
    }
    if (!is_aligned(first->target, shift)) return;
    for (uint64_t i = 0; i < bit(shift - 12); i++) {
        first[i].leaf_start = start;
        first[i].shift = (uint8_t)shift;
        first[i].dirty = dirty;
    }
}

static void twin_resize(struct twin *twin, uint64_t start, uint64_t length, unsigned max_shift)
{
    unsigned largest = 63;

    while (largest > max_shift || !(twin->page_sizes & bit(largest))) largest--;
    for (uint64_t at = start; at < start + length; at += 0x1000) {
        const struct twin_page page = twin->pages[(at - twin->base) >> 12];

        if (!page.is_mapped || page.shift <= max_shift) continue;
        for (uint64_t i = 0; i < bit(page.shift - 12); i++) {
            struct twin_page *part = &twin->pages[((page.leaf_start - twin->base) >> 12) + i];

            part->shift = (uint8_t)largest;
            part->leaf_start = align_down(page.leaf_start + (i << 12), largest);
        }
    }
    for (unsigned shift = largest; shift > 12; shift--) {
        if (!(twin->page_sizes & bit(shift))) continue;
        for (uint64_t at = (start + low_mask(shift)) & ~low_mask(shift); at + bit(shift) <= start + length;
             at += bit(shift))
            twin_merge(twin, at, shift);
    }
}

static void assert_twins_agree(const struct oracle_table *table, const struct twin *twin)
{
    uint64_t mapped = 0;

    for (unsigned i = 0; i < TWIN_PAGES; i++) {
        const struct twin_page *page = &twin->pages[i];
        const uint64_t address = twin->base + ((uint64_t)i << 12);
        struct oracle_leaf leaf;

        assert_int_equal(oracle_find(table, address + 0x7ff, &leaf), page->is_mapped);
        if (!page->is_mapped) continue;
        mapped += 0x1000;
        assert_int_equal(leaf.start, page->leaf_start);
        assert_int_equal(leaf.shift, page->shift);
        assert_int_equal(leaf.target + (address - leaf.start), page->target);
        assert_int_equal(leaf.dirty, page->dirty);
    }
    assert_int_equal(table->mapped_bytes, mapped);
}

static void twin_step(struct oracle_table *table, struct twin *twin, struct random *random)
{
    const uint64_t first = random_below(random, TWIN_PAGES);
    const uint64_t pages =
        1 + random_below(random, random_one_in(random, 4) ? TWIN_PAGES - first : min_u64(40, TWIN_PAGES - first));
    const uint64_t start = twin->base + (first << 12);
    const uint64_t target = (random_one_in(random, 3) ? random_below(random, 64) << 12 : 0) + (first << 12);
    struct oracle_leaf leaf;
    bool splits;

    switch (random_below(random, 7)) {
    case 0:
    case 1: {
        const struct oracle_map_result result = map(table, start, target, pages << 12);

        assert_int_equal(result.mapped, twin_map(twin, start, target, pages << 12, false));
        assert_int_equal(result.error, result.mapped == pages << 12 ? 0 : -EADDRINUSE);
        break;
    }
    case 2: assert_int_equal(unmap(table, start, pages << 12), twin_unmap(twin, start, pages << 12)); break;
    case 3:
        oracle_cut_predict(table, start, &leaf, &splits);
        oracle_cut_commit(table, start);
        twin_cut(twin, start);
        break;
    case 4: {
        const unsigned max_shift = 12 + (unsigned)random_below(random, 11);
        const struct oracle_request request = { .start = start, .length = pages << 12 };
        struct oracle_resize resize = { 0 };

        oracle_resize_predict(table, &request, bit(max_shift), &resize);
        assert_int_equal(resize.error, 0);
        oracle_resize_commit(table, &resize);
        oracle_resize_free(&resize);
        twin_resize(twin, start, pages << 12, max_shift);
        break;
    }
    default: {
        const bool dirty = random_one_in(random, 2);

        if (!oracle_find(table, start, &leaf)) break;
        oracle_set_dirty(table, start, dirty);
        for (uint64_t i = 0; i < bit(leaf.shift - 12); i++)
            twin->pages[((leaf.start - twin->base) >> 12) + i].dirty = dirty;
    }
    }
}

static void ranges_agree_with_a_twin_that_knows_each_page(void **state)
{
    struct twin *twin = malloc(sizeof(*twin));
    struct oracle_table table = { 0 };

    (void)state;
    assert_non_null(twin);
    for (unsigned seed = 0; seed < 20; seed++) {
        struct random random = random_seeded(seed);
        const struct oracle_config config = { .format = oracle_find_format(seed & 1 ? "x86_64" : "amdv1"),
                                              .va_bits = seed & 1 ? 47 : 64,
                                              .oa_bits = 52,
                                              .top_level = 3,
                                              .grows = !(seed & 1) };

        memset(twin, 0, sizeof(*twin));
        oracle_table_init(&table, &config);
        twin->page_sizes = table.page_sizes;
        twin->base = seed & 2 ? UINT64_C(0x3ff00000) : 0;
        for (unsigned step = 0; step < 600; step++) {
            twin_step(&table, twin, &random);
            if (step % 20 == 0) assert_twins_agree(&table, twin);
        }
        assert_twins_agree(&table, twin);
    }
    oracle_table_free(&table);
    free(twin);
}

static void a_hundred_thousand_runs_do_not_take_quadratic_time(void **state)
{
    struct oracle_table table = amdv1_table();
    const uint64_t count = 100000;

    (void)state;
    for (uint64_t i = count; i-- > 0;) map(&table, i << 13, (i * 7 % count) << 14, 0x1000); /* descending */
    assert_int_equal(table.leaves, count);
    for (uint64_t i = 0; i < count; i++) assert_int_equal(unmap(&table, i << 13, 0x1000), 0x1000);
    assert_int_equal(table.runs.count, 0);
    oracle_table_free(&table);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_sizes_are_those_of_formats_1),
        cmocka_unit_test(greedy_takes_the_largest_leaf_at_each_place),
        cmocka_unit_test(greedy_does_not_grow_where_the_target_is_not_congruent),
        cmocka_unit_test(collision_counts_the_leaves_before_it),
        cmocka_unit_test(map_checks_its_arguments_in_the_order_of_formats_2_3),
        cmocka_unit_test(both_halves_of_a_sign_extended_table_map_and_its_hole_does_not),
        cmocka_unit_test(a_large_leaf_alone_makes_the_top_grow),
        cmocka_unit_test(a_leaf_as_large_as_the_whole_table_makes_the_top_grow),
        cmocka_unit_test(unmap_takes_whole_leaves_until_the_first_hole),
        cmocka_unit_test(unmap_frees_the_tables_it_covers_and_empties),
        cmocka_unit_test(unmap_beyond_the_top_of_now_removes_nothing),
        cmocka_unit_test(cut_makes_two_greedy_halves_with_the_old_rights_and_dirt),
        cmocka_unit_test(dirty_is_kept_per_leaf),
        cmocka_unit_test(neighbours_with_other_rights_keep_them),
        cmocka_unit_test(an_allocation_may_fail_only_at_a_leaf_boundary),
        cmocka_unit_test(ranges_agree_with_a_twin_that_knows_each_page),
        cmocka_unit_test(a_hundred_thousand_runs_do_not_take_quadratic_time),
    };

    return TEST_MAIN(tests, argc, argv);
}
