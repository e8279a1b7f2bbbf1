/* Does pt_check notice? Each invariant of its list is broken once, by hand, and must be reported by its number. */
#include "base/test_main.h"
#include "pt/pt_fixture.h"

#define RW (PT_READ | PT_WRITE)

static void map_ok(struct fixture *f, uint64_t va, uint64_t pa, uint64_t length)
{
    uint64_t mapped;

    assert_int_equal(pt_map_range(&f->pt, iova(va), hpa(pa), length, RW, &mapped), 0);
}

/* A table with leaves of every kind: 4K, a run of 16 items, 2M, a run of two 2M items, 1G. */
static void open_mixed(struct fixture *f, const char *engine)
{
    fixture_init(f, engine);
    map_ok(f, 0x1000, 0x5000, 0x1000);
    map_ok(f, 0x10000, 0x10000, 0x10000);
    map_ok(f, 0x200000, 0x600000, 0x200000);
    map_ok(f, 0x800000, 0x800000, 0x400000);
    map_ok(f, 0x40000000, 0x80000000, 0x40000000);
    assert_int_equal(fixture_check(f), 0);
}

/* Break one item, look, put it back. */
static void expect(struct fixture *f, pt_item_t *slot, uint64_t broken, unsigned invariant)
{
    const uint64_t right = *slot;

    *slot = broken;
    assert_true(fixture_check(f) > 0);
    assert_true(f->seen[invariant] > 0);
    *slot = right;
    assert_int_equal(fixture_check(f), 0);
}

static void amdv1_items_that_are_wrong_are_reported(void **state)
{
    struct fixture f;
    pt_item_t *leaf, *run, *large, *level1, *level2;

    (void)state;
    open_mixed(&f, "amdv1");
    leaf = fixture_slot(&f, 0, 0x1000);
    run = fixture_slot(&f, 0, 0x10000);
    large = fixture_slot(&f, 1, 0x200000);
    level1 = fixture_slot(&f, 1, 0);
    level2 = fixture_slot(&f, 2, 0);
    expect(&f, leaf, *leaf & ~UINT64_C(1), 1);
    expect(&f, level1, UINT64_C(0x6000000000000201) | UINT64_C(0x1000000), 3); /* outside the pool */
    expect(&f, level1, *level2 & ~UINT64_C(0xe00), 9);                         /* a leaf with a 4K address */
    expect(&f, level1, (*level1 & ~UINT64_C(0xe00)) | 0x400, 5);               /* next level 2 at level 1 */
    expect(&f, level1, *level1 & ~(UINT64_C(1) << 61), 14);
    expect(&f, level1, *level1 | UINT64_C(1) << 60, 16); /* FC in a table item */
    expect(&f, level2, *level1, 5);
    expect(&f, leaf, *leaf | UINT64_C(1) << 59, 16);
    expect(&f, leaf, *leaf & ~(UINT64_C(1) << 60), 15);
    expect(&f, large, *large | 0x1000, 9);
    expect(&f, large, *large | UINT64_C(0x1ff) << 12 | 0xe00, 11);                          /* says it is a run of 4M */
    expect(&f, large, (*large & ~UINT64_C(0xffffff000)) | UINT64_C(0xff) << 12 | 0xe00, 5); /* 2M, encoded */
    expect(&f, run + 3, *leaf, 11);
    expect(&f, run + 3, 0, 11);
    expect(&f, run + 3, *run & ~(UINT64_C(1) << 62), 12);
    expect(&f, run + 16, *run, 11); /* an item of the run outside it */
    fixture_close(&f);
}

static void an_amdv1_leaf_of_512g_is_reported(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    map_ok(&f, bit(40), bit(40), bit(40));
    expect(&f, fixture_slot(&f, 3, 0), UINT64_C(0x7000000000000001), 13);
    fixture_close(&f);
}

static void x86_64_items_that_are_wrong_are_reported(void **state)
{
    struct fixture f;
    pt_item_t *leaf, *large, *level3;

    (void)state;
    open_mixed(&f, "x86_64");
    leaf = fixture_slot(&f, 0, 0x1000);
    large = fixture_slot(&f, 1, 0x200000);
    level3 = fixture_slot(&f, 3, 0);
    expect(&f, leaf, *leaf | 0x80, 16);              /* PS (PAT) in a 4K leaf */
    expect(&f, leaf, *leaf | UINT64_C(1) << 63, 16); /* XD is never written */
    expect(&f, leaf, *leaf & ~UINT64_C(4), 14);      /* U is always written */
    expect(&f, large, *large | 0x3000, 9);
    expect(&f, level3, *level3 & ~UINT64_C(2), 14);
    expect(&f, level3, *level3 | 0x100, 16);
    expect(&f, level3 + 256, *level3, 7); /* 47 bits: the upper half of the top is not used */
    fixture_close(&f);
}

static void a_table_without_the_c_bit_is_reported(void **state)
{
    struct fixture f;
    pt_item_t *slot;

    (void)state;
    fixture_open(&f, "amdv1");
    f.config.c_bit = 47;
    assert_int_equal(pt_init(&f.pt, engine_find("amdv1"), &f.config), 0);
    map_ok(&f, 0x1000, 0x1000, 0x1000);
    slot = fixture_slot(&f, 2, 0);
    expect(&f, slot, *slot & ~bit(47), 15);
    fixture_close(&f);
}

/* Two items to one table, a table that nobody points to, a freed table that is still pointed to. */
static void a_tree_that_is_no_tree_is_reported(void **state)
{
    struct fixture f;
    pt_item_t *level1;
    void *lost;

    (void)state;
    fixture_init(&f, "amdv1");
    map_ok(&f, 0x1000, 0x1000, 0x1000);
    level1 = fixture_slot(&f, 1, 0);
    expect(&f, level1 + 1, *level1, 3);
    expect(&f, level1, 0, 4);
    lost = table_pool_alloc(&f.pool, 4096);
    assert_int_equal(fixture_check(&f), 1);
    assert_int_equal(f.seen[4], 1);
    table_pool_free(&f.pool, lost);
    fixture_close(&f);
}

static void a_leaf_beyond_the_output_width_or_the_va_width_is_reported(void **state)
{
    struct fixture f;
    pt_item_t *slot;

    (void)state;
    fixture_open(&f, "amdv1");
    f.config.oa_bits = 40;
    assert_int_equal(pt_init(&f.pt, engine_find("amdv1"), &f.config), 0);
    map_ok(&f, 0x1000, 0x1000, 0x1000);
    slot = fixture_slot(&f, 0, 0x1000);
    expect(&f, slot, *slot | bit(40), 9);
    fixture_close(&f);

    fixture_open(&f, "x86_64");
    f.config.va_bits = 39;
    assert_int_equal(pt_init(&f.pt, engine_find("x86_64"), &f.config), 0);
    map_ok(&f, 0x1000, 0x1000, 0x1000);
    slot = fixture_slot(&f, 3, 0);
    expect(&f, slot + 1, *slot, 7);
    fixture_close(&f);
}

static void a_leaf_across_the_hole_is_reported(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, "x86_64");
    f.config.va_bits = 39; /* a top table of one item: its halves meet inside a level-2 table */
    f.config.features |= PT_SIGN_EXTEND;
    assert_int_equal(pt_init(&f.pt, engine_find("x86_64"), &f.config), 0);
    map_ok(&f, 0x1000, 0x1000, 0x1000);
    f.pt.va_bits = 13; /* pretend: the boundary is now inside the 2M item */
    *fixture_slot(&f, 1, 0x0) = UINT64_C(0xe7);
    fixture_check(&f);
    assert_true(f.seen[8] > 0);
    assert_true(f.seen[35] > 0);
    table_pool_destroy(&f.pool);
}

static void page_sizes_that_cannot_be_and_levels_that_cannot_be_are_reported(void **state)
{
    struct fixture f;
    const char *const engine = "x86_64";
    uint64_t sizes;

    (void)state;
    fixture_init(&f, engine);
    sizes = f.pt.page_sizes;
    f.pt.page_sizes |= bit(39);
    assert_int_equal(fixture_check(&f), 1);
    assert_int_equal(f.seen[34], 1);
    f.pt.page_sizes = sizes;
    f.pt.top += 2; /* level 5: one more than the format has */
    fixture_check(&f);
    assert_true(f.seen[6] > 0);
    f.pt.top -= 2;
    fixture_close(&f);
}

/* Leaves where a level has none: level 3 of x86_64 never decodes as a leaf, level 5 of amdv1 does. */
static void a_leaf_at_a_level_without_leaves_is_reported(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    map_ok(&f, bit(60), 0x1000, 0x1000);
    expect(&f, fixture_slot(&f, 5, 0) + 1, UINT64_C(0x7000000000000001), 2);
    fixture_close(&f);
}

/* A 128K leaf would be fine at level 0, and a run of half a table at level 1 is; 2^s that level 4 lacks is not. */
static void a_size_that_the_level_lacks_is_reported(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    map_ok(&f, bit(60), 0x1000, 0x1000);
    expect(&f, fixture_slot(&f, 4, 0) + 16, UINT64_C(0x7000000000000e01) | low_mask(52 - 13) << 12, 10);
    fixture_close(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amdv1_items_that_are_wrong_are_reported),
        cmocka_unit_test(an_amdv1_leaf_of_512g_is_reported),
        cmocka_unit_test(x86_64_items_that_are_wrong_are_reported),
        cmocka_unit_test(a_table_without_the_c_bit_is_reported),
        cmocka_unit_test(a_tree_that_is_no_tree_is_reported),
        cmocka_unit_test(a_leaf_beyond_the_output_width_or_the_va_width_is_reported),
        cmocka_unit_test(a_leaf_across_the_hole_is_reported),
        cmocka_unit_test(page_sizes_that_cannot_be_and_levels_that_cannot_be_are_reported),
        cmocka_unit_test(a_leaf_at_a_level_without_leaves_is_reported),
        cmocka_unit_test(a_size_that_the_level_lacks_is_reported),
    };

    return TEST_MAIN(tests, argc, argv);
}
