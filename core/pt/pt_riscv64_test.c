/*
 * RISC-V, both stages. First-stage words are those of formats.md 1.4, which Linux wrote. Linux 7.0 has no second stage:
 * its words are calculated, not run against Linux.
 */
#include "base/test_main.h"
#include "pt/formats/riscv64.h"
#include "pt/pt_fixture.h"

#define RW (PT_READ | PT_WRITE)

static const char *const stages[] = { "riscv64", "riscv64_s2" };

/* A table of that width and these features on top of the flush rule; 0 or the errno. */
static int open_width(struct fixture *f, const char *engine, unsigned va_bits, uint32_t features)
{
    fixture_open(f, engine);
    f->config.va_bits = va_bits;
    f->config.top_level = 0;
    f->config.features = features | PT_FLUSH_RANGE;
    return pt_init(&f->pt, engine_find(engine), &f->config);
}

/* formats.md 1.4, Sv48 with NAPOT; then sizes that the sheet does not show. */
static const struct example {
    uint64_t va, pa, length;
    unsigned prot, level;
    uint64_t raw;
} examples[] = {
    { 0x1000, 0x5000, 0x1000, RW, 0, 0x00000000000014df },
    { 0x2000, 0x6000, 0x1000, PT_READ, 0, 0x000000000000185b },
    { 0x3000, 0x7000, 0x1000, PT_WRITE | PT_NOEXEC, 0, 0x0000000000001cd7 },
    { 0x4000, 0x7000, 0x1000, PT_READ | PT_NOEXEC | PT_MMIO, 0, 0x0000000000001c53 },
    { 0x10000, 0x50010000, 0x10000, RW, 0, 0x80000000140060df },
    { 0x200000, 0x8000200000, 0x200000, RW, 1, 0x00000020000800df },
    { 0x40000000, 0x80000000, 0x40000000, PT_READ | PT_NOEXEC, 2, 0x0000000020000053 },
    { 0x8000000000, 0x8000000000, 0x8000000000, RW | PT_NOEXEC, 3, 0x00000020000000d7 },
    { 0x5000, 0xfffffffffff000, 0x1000, RW | PT_CACHE | PT_PRIV, 0, 0x003ffffffffffcdf },
    { 0x30000, 0xffffffffff0000, 0x10000, PT_READ, 0, 0x803fffffffffe05b },
};

/* The second stage has the same leaves: U is set in both. */
static void worked_examples_have_their_words(void **state)
{
    (void)state;
    for (unsigned stage = 0; stage < 2; stage++) {
        struct fixture f;

        fixture_init(&f, stages[stage]);
        for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
            const struct example *e = &examples[i];

            fixture_map_ok(&f, e->va, e->pa, e->length, e->prot);
            assert_int_equal(fixture_raw(&f, e->level, e->va), e->raw);
            assert_int_equal(fixture_phys(&f, e->va + e->length - 1), e->pa + e->length - 1);
        }
        for (unsigned i = 0; i < 16; i++)
            assert_int_equal(*fixture_slot(&f, 0, 0x10000 + i * 0x1000), 0x80000000140060df);
        assert_int_equal(fixture_check(&f), 0);
        fixture_close(&f);
    }
}

static void table_items_hold_the_address_and_v(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, "riscv64");
    f.pool.base = 0x123455000; /* the top; its first child is T = 0x123456000 */
    assert_int_equal(pt_init(&f.pt, engine_find("riscv64"), &f.config), 0);
    fixture_map_ok(&f, 0x1000, 0x5000, 0x1000, RW);
    assert_int_equal(fixture_raw(&f, 3, 0), 0x0000000048d15801);
    fixture_close(&f);
}

static void a_range_gets_64k_leaves_where_both_addresses_allow(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "riscv64");
    fixture_map_ok(&f, 0x20000, 0, 0x31000, RW);
    assert_int_equal(fixture_raw(&f, 0, 0x20000), 0x80000000000020df);
    assert_int_equal(fixture_raw(&f, 0, 0x3f000), 0x80000000000060df);
    assert_int_equal(fixture_raw(&f, 0, 0x4f000), 0x800000000000a0df);
    assert_int_equal(fixture_raw(&f, 0, 0x50000), 0x000000000000c0df);
    assert_int_equal(fixture_raw(&f, 0, 0x51000), 0);
    assert_int_equal(fixture_unmap(&f, 0x20000, 0x1000),
                     0x10000); /* a run goes as a whole, and is flushed so: formats.md 5.5 */
    assert_int_equal(f.first.value, 0x20000);
    assert_int_equal(f.last.value, 0x2ffff);
    assert_int_equal(fixture_unmap(&f, 0x31000, 0x1000), 0);
    assert_int_equal(fixture_unmap(&f, 0x30000, 0x21000), 0x21000);
    fixture_close(&f);
}

static void without_napot_there_are_no_64k_leaves(void **state)
{
    struct fixture f;

    (void)state;
    assert_int_equal(open_width(&f, "riscv64", 48, PT_SIGN_EXTEND), 0);
    assert_int_equal(f.pt.page_sizes, 0x8040201000);
    fixture_map_ok(&f, 0x10000, 0x50010000, 0x10000, RW);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(fixture_raw(&f, 0, 0x10000 + i * 0x1000), 0x140040df + i * 0x400);
    assert_int_equal(fixture_check(&f), 0);
    fixture_close(&f);
}

/* Linux derives the top from the width; a top level that says otherwise is refused. */
static void the_width_says_the_top_level(void **state)
{
    static const struct {
        const char *engine;
        unsigned va_bits, top_level, found;
        uint64_t page_sizes;
        int error;
    } rows[] = {
        { "riscv64", 39, 0, 2, 0x40211000, 0 },
        { "riscv64", 48, 3, 3, 0x8040211000, 0 },
        { "riscv64", 57, 4, 4, 0x1008040211000, 0 },
        { "riscv64", 48, 4, 0, 0, -EINVAL },
        { "riscv64", 41, 0, 0, 0, -EINVAL },
        { "riscv64", 1, 0, 0, 0, -EINVAL },
        { "riscv64_s2", 41, 2, 2, 0x40211000, 0 },
        { "riscv64_s2", 50, 0, 3, 0x8040211000, 0 },
        { "riscv64_s2", 59, 0, 4, 0x1008040211000, 0 },
        { "riscv64_s2", 59, 3, 0, 0, -EINVAL },
        { "riscv64_s2", 48, 0, 0, 0, -EINVAL },
        { "riscv64_s2", 60, 0, 0, 0, -EINVAL },
        { "riscv64_s2", 1, 0, 0, 0, -EINVAL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pt_info info;
        struct fixture f;

        fixture_open(&f, rows[i].engine);
        f.config.va_bits = rows[i].va_bits;
        f.config.top_level = rows[i].top_level;
        assert_int_equal(pt_init(&f.pt, engine_find(rows[i].engine), &f.config), rows[i].error);
        assert_int_equal(f.pool.live_pages > 0, rows[i].error == 0);
        if (rows[i].error == 0) {
            pt_get_info(&f.pt, &info);
            assert_int_equal(info.top_level, rows[i].found);
            assert_int_equal(info.page_sizes, rows[i].page_sizes);
            fixture_close(&f);
        } else {
            table_pool_destroy(&f.pool);
        }
    }
}

static void the_second_stage_does_not_sign_extend(void **state)
{
    struct fixture f;

    (void)state;
    assert_int_equal(open_width(&f, "riscv64_s2", 50, PT_SIGN_EXTEND), -EOPNOTSUPP);
    table_pool_destroy(&f.pool);
    fixture_init(&f, "riscv64_s2");
    fixture_map_ok(&f, bit(50) - 0x1000, 0x2000, 0x1000, RW);
    assert_int_equal(fixture_phys(&f, bit(50) - 0x1000), 0x2000);
    assert_int_equal(fixture_map(&f, bit(50), 0x2000, 0x1000, RW), -ERANGE);
    assert_int_equal(fixture_map(&f, -UINT64_C(0x1000), 0x2000, 0x1000, RW), -ERANGE);
    assert_int_equal(fixture_map(&f, bit(50) - 0x2000, 0x2000, 0x3000, RW), -ERANGE);
    assert_int_equal(fixture_phys(&f, -UINT64_C(0x1000)), UINT64_MAX);
    fixture_close(&f);
}

static void the_first_stage_has_two_halves(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "riscv64");
    fixture_map_ok(&f, UINT64_C(0xffff800000000000), 0x5000, 0x1000, RW);
    fixture_map_ok(&f, -bit(39), bit(39), bit(39), RW);
    assert_int_equal(fixture_raw(&f, 0, UINT64_C(0xffff800000000000)), 0x14df);
    assert_int_equal(fixture_raw(&f, 3, -bit(39)), UINT64_C(0x20000000df));
    assert_int_equal(fixture_phys(&f, UINT64_MAX), bit(40) - 1);
    assert_int_equal(fixture_map(&f, bit(47), 0x5000, 0x1000, RW), -ERANGE);
    assert_int_equal(fixture_map(&f, bit(47) - 0x1000, 0x5000, 0x2000, RW), -ERANGE);
    assert_int_equal(fixture_check(&f), 0);
    fixture_close(&f);
}

/* Four pages and not one; 512G leaves in each of them, mapped and removed across the 512th item in one call. */
static void the_root_of_the_second_stage_has_2048_items(void **state)
{
    struct fixture f;
    struct pt_info info;

    (void)state;
    fixture_init(&f, "riscv64_s2");
    pt_get_info(&f.pt, &info);
    assert_int_equal(f.pool.live_pages, 4);
    assert_true(is_aligned(info.top.value, 14));
    fixture_map_ok(&f, 510 * bit(39), 0, 4 * bit(39), RW);
    for (unsigned i = 0; i < 4; i++) {
        const pt_item_t *top = table_pool_pointer(&f.pool, info.top.value);

        assert_int_equal(pt_sync_load(&top[510 + i]), i * bit(37) | 0xdf); /* 512G >> 12 << 10 */
        assert_int_equal(fixture_raw(&f, 3, (510 + i) * bit(39)), i * bit(37) | 0xdf);
    }
    fixture_map_ok(&f, 2047 * bit(39) + 0x1000, 0x5000, 0x1000, RW);
    assert_int_equal(fixture_raw(&f, 0, 2047 * bit(39) + 0x1000), 0x14df);
    assert_int_equal(fixture_check(&f), 0);
    assert_int_equal(fixture_unmap(&f, 510 * bit(39), 4 * bit(39)), 4 * bit(39));
    assert_int_equal(fixture_phys(&f, 512 * bit(39)), UINT64_MAX);
    fixture_close(&f);
}

static void sv57_has_leaves_of_256t(void **state)
{
    struct fixture f;

    (void)state;
    for (unsigned stage = 0; stage < 2; stage++) {
        assert_int_equal(open_width(&f, stages[stage], stage ? 59 : 57, PT_NAPOT_64K), 0);
        fixture_map_ok(&f, bit(56), bit(55), bit(48), RW);
        assert_int_equal(fixture_raw(&f, 4, bit(56)), bit(53) | 0xdf);
        assert_int_equal(fixture_phys(&f, bit(56) + 0x123), bit(55) + 0x123);
        assert_int_equal(fixture_map(&f, 0, UINT64_C(0xff) << 48, bit(49), RW), -ERANGE); /* beyond 56 bits */
        fixture_close(&f);
    }
}

/* Unreachable through map, which wants READ or WRITE; W without R would be reserved. */
static void no_leaf_lacks_every_right(void **state)
{
    const struct pt pt = { 0 };
    uint64_t attrs = 0;

    (void)state;
    assert_int_equal(riscv64_attrs(&pt, PT_NOEXEC, &attrs), -EOPNOTSUPP);
    assert_int_equal(riscv64_attrs(&pt, PT_NOEXEC | PT_MMIO | PT_CACHE, &attrs), -EOPNOTSUPP);
    assert_int_equal(riscv64_attrs(&pt, 0, &attrs), 0);
    assert_int_equal(attrs, 0x59);
    assert_int_equal(riscv64_attrs(&pt, PT_WRITE | PT_NOEXEC, &attrs), 0);
    assert_int_equal(attrs, 0xd7);
}

/* A 64K run becomes 16 pages, a 2M leaf a table of 64K leaves and pages; attributes stay, D of a read-write leaf too.
 */
static void cut_splits_runs_and_leaves(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "riscv64");
    fixture_map_ok(&f, 0x10000, 0x50010000, 0x10000, RW | PT_NOEXEC);
    assert_int_equal(pt_cut(&f.pt, iova(0x13000)), 0);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(fixture_raw(&f, 0, 0x10000 + i * 0x1000), 0x140040d7 + i * 0x400);
    fixture_map_ok(&f, 0x200000, 0x8000200000, 0x200000, PT_READ);
    assert_int_equal(pt_cut(&f.pt, iova(0x211000)), 0);
    assert_int_equal(fixture_raw(&f, 1, 0x200000) & 0x3ff, 1); /* a table */
    assert_int_equal(fixture_raw(&f, 0, 0x200000), UINT64_C(0x800000200008205b));
    assert_int_equal(fixture_raw(&f, 0, 0x210000), UINT64_C(0x000000200008405b));
    assert_int_equal(fixture_raw(&f, 0, 0x21f000), UINT64_C(0x0000002000087c5b));
    assert_int_equal(fixture_raw(&f, 0, 0x220000), UINT64_C(0x8000002000088000) | 0x205b);
    assert_int_equal(fixture_phys(&f, 0x211fff), 0x8000211fff);
    assert_int_equal(fixture_check(&f), 0);
    fixture_close(&f);
}

/* Dirtiness cannot be read: as Linux answers. */
static void there_is_no_dirty_tracking(void **state)
{
    struct pt_gather gather = pt_gather_empty();
    struct fixture f;

    (void)state;
    fixture_init(&f, "riscv64");
    fixture_map_ok(&f, 0, 0, 0x1000, RW);
    assert_int_equal(pt_set_dirty(&f.pt, iova(0)), -EOPNOTSUPP);
    assert_int_equal(pt_read_and_clear_dirty(&f.pt, iova(0), 0x1000, 0, NULL, NULL, &gather), -EOPNOTSUPP);
    fixture_close(&f);
}

/* ---- pt_check ---------------------------------------------------------------------------------------------------- */

/* Break one item, look, put it back. */
static void expect(struct fixture *f, pt_item_t *slot, uint64_t broken, unsigned invariant)
{
    const uint64_t right = *slot;

    *slot = broken;
    fixture_check(f);
    if (f->seen[invariant] == 0) fail_msg("%016llx: not reported as %u", (unsigned long long)broken, invariant);
    *slot = right;
    assert_int_equal(fixture_check(f), 0);
}

static void items_that_are_wrong_are_reported(void **state)
{
    (void)state;
    for (unsigned stage = 0; stage < 2; stage++) {
        struct fixture f;
        pt_item_t *leaf, *run, *large, *level1, *level3;

        fixture_init(&f, stages[stage]);
        fixture_map_ok(&f, 0x1000, 0x5000, 0x1000, RW);
        fixture_map_ok(&f, 0x10000, 0x50010000, 0x10000, RW);
        fixture_map_ok(&f, 0x200000, 0x600000, 0x200000, PT_READ | PT_NOEXEC);
        assert_int_equal(fixture_check(&f), 0);
        leaf = fixture_slot(&f, 0, 0x1000);
        run = fixture_slot(&f, 0, 0x10000);
        large = fixture_slot(&f, 1, 0x200000);
        level1 = fixture_slot(&f, 1, 0);
        level3 = fixture_slot(&f, 3, 0);
        expect(&f, leaf, *leaf & ~UINT64_C(1), 1);
        expect(&f, leaf, *leaf & ~bit(4), 14); /* U */
        expect(&f, leaf, *leaf & ~bit(1), 14); /* W without R */
        for (unsigned i = 54; i < 63; i++) expect(&f, leaf, *leaf | bit(i), 16);
        expect(&f, leaf, *leaf | bit(5), 16);                         /* G */
        expect(&f, leaf, *leaf | bit(8), 16);                         /* RSW */
        expect(&f, leaf, *leaf | bit(63), 9);                         /* a reserved encoding: 4K */
        expect(&f, leaf, (*leaf & ~bit(12)) | bit(63) | bit(13), 11); /* 64K in the middle of a run */
        expect(&f, large, *large | bit(63), 16);                      /* N above level 0 */
        expect(&f, large, *large | bit(10), 9);                       /* misaligned */
        expect(&f, large, *large & ~UINT64_C(0xe), 3);                /* no right: a table, and none is there */
        expect(&f, run + 3, *run ^ bit(12), 12);                      /* says 0xc: an encoding that is reserved */
        expect(&f, run + 3, *run & ~bit(2), 12);
        expect(&f, run + 3, (*run & ~bit(63)) | 0x2000, 11); /* a 4K item in the run */
        expect(&f, run + 3, 0, 11);
        expect(&f, run + 3, *run + bit(14), 11); /* the next 64K */
        expect(&f, run + 16, *run, 11);
        for (unsigned i = 54; i < 64; i++) expect(&f, level1, *level1 | bit(i), 16);
        expect(&f, level1, *level1 | bit(4), 16); /* U, A, D in a table item */
        expect(&f, level3, *level3 | bit(6), 16);
        expect(&f, level3, *level3 | bit(7), 16);
        fixture_close(&f);
    }
}

static void sizes_without_their_feature_are_reported(void **state)
{
    struct fixture f;
    pt_item_t *run;

    (void)state;
    assert_int_equal(open_width(&f, "riscv64", 48, PT_SIGN_EXTEND), 0);
    fixture_map_ok(&f, 0x10000, 0x50010000, 0x10000, RW);
    assert_int_equal(fixture_check(&f), 0);
    run = fixture_slot(&f, 0, 0x10000);
    for (unsigned i = 0; i < 16; i++) run[i] = UINT64_C(0x80000000140060df);
    assert_true(fixture_check(&f) > 0);
    assert_true(f.seen[10] > 0);
    for (unsigned i = 0; i < 16; i++) run[i] = 0x140040df + i * 0x400;
    f.pt.page_sizes |= 0x10000;
    assert_int_equal(fixture_check(&f), 1);
    assert_int_equal(f.seen[34], 1);
    fixture_close(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_examples_have_their_words),
        cmocka_unit_test(table_items_hold_the_address_and_v),
        cmocka_unit_test(a_range_gets_64k_leaves_where_both_addresses_allow),
        cmocka_unit_test(without_napot_there_are_no_64k_leaves),
        cmocka_unit_test(the_width_says_the_top_level),
        cmocka_unit_test(the_second_stage_does_not_sign_extend),
        cmocka_unit_test(the_first_stage_has_two_halves),
        cmocka_unit_test(the_root_of_the_second_stage_has_2048_items),
        cmocka_unit_test(sv57_has_leaves_of_256t),
        cmocka_unit_test(no_leaf_lacks_every_right),
        cmocka_unit_test(cut_splits_runs_and_leaves),
        cmocka_unit_test(there_is_no_dirty_tracking),
        cmocka_unit_test(items_that_are_wrong_are_reported),
        cmocka_unit_test(sizes_without_their_feature_are_reported),
    };

    return TEST_MAIN(tests, argc, argv);
}
