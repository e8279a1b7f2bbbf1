/* Does the engine write what the manuals and formats.md say, and answer as formats.md 2 and 7 say? */
#include "base/test_main.h"
#include "pt/pt_fixture.h"

#define RW (PT_READ | PT_WRITE)

/* formats.md 1.1: every size 4K .. 2^51 except 512G, and the raw item of each. Both builds. */
static void every_amdv1_leaf_size_has_the_item_of_the_manual(void **state)
{
    static const char *const rows[] = { "amdv1", "amdv1-vector" };

    (void)state;
    for (unsigned row = 0; row < 2; row++) {
        if (!engine_find(rows[row])) continue;
        for (unsigned shift = 12; shift <= 51; shift++) {
            const unsigned level = (shift - 12) / 9;
            const unsigned run = 1u << (shift - 12 - 9 * level);
            struct fixture f;
            uint64_t raw = UINT64_C(0x7000000000000001);

            if (shift == 39) continue;
            if (run > 1) raw |= 0xe00 | (bit(shift - 13) - 1) << 12;
            fixture_init(&f, rows[row]);
            fixture_map_ok(&f, 0, 0, bit(shift), RW);
            for (unsigned i = 0; i < run; i++)
                assert_int_equal(fixture_raw(&f, level, (uint64_t)i << (12 + 9 * level)), raw);
            assert_int_equal(fixture_raw(&f, level, (uint64_t)run << (12 + 9 * level)), 0);
            assert_int_equal(fixture_check(&f), 0);
            assert_int_equal(fixture_unmap(&f, 0, 1), bit(shift));
            fixture_close(&f);
        }
    }
}

struct example {
    uint64_t va, pa, length;
    unsigned prot, level;
    uint64_t raw;
};

static void check_examples(const char *engine, unsigned c_bit, const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct example *e = &examples[i];
        struct fixture f;

        fixture_open(&f, engine);
        f.config.c_bit = c_bit;
        f.config.features |= PT_ENCRYPT_TABLES;
        assert_int_equal(pt_init(&f.pt, engine_find(engine), &f.config), 0);
        fixture_map_ok(&f, e->va, e->pa, e->length, e->prot);
        assert_int_equal(fixture_raw(&f, e->level, e->va), e->raw);
        assert_int_equal(fixture_check(&f), 0);
        fixture_close(&f);
    }
}

static void amdv1_worked_examples(void **state)
{
    static const struct example plain[] = {
        { 0x1000, 0x5000, 0x1000, RW, 0, UINT64_C(0x7000000000005001) },
        { 0x10000, 0x40010000, 0x10000, PT_READ, 0, UINT64_C(0x3000000040017e01) },
        { 0x100000, 0x300000, 0x100000, RW, 0, UINT64_C(0x700000000037fe01) },
        { 0x200000, UINT64_C(0x8000200000), 0x200000, PT_WRITE, 1, UINT64_C(0x5000008000200001) },
        { 0x800000, UINT64_C(0x10000800000), 0x400000, RW, 1, UINT64_C(0x70000100009ffe01) },
        { 0x40000000, 0x80000000, 0x40000000, RW, 2, UINT64_C(0x7000000080000001) },
        { -UINT64_C(0x1000), 0x1000, 0x1000, RW, 0, UINT64_C(0x7000000000001001) },
    };
    static const struct example encrypted[] = {
        { 0x1000, 0x5000, 0x1000, RW, 0, UINT64_C(0x7000800000005001) },
        { 0x1000, 0x5000, 0x1000, RW | PT_MMIO, 0, UINT64_C(0x7000000000005001) },
        { 0x8000, 0x40010000, 0x8000, PT_READ, 0, UINT64_C(0x3000800040013e01) },
    };

    (void)state;
    check_examples("amdv1", 0, plain, sizeof(plain) / sizeof(plain[0]));
    check_examples("amdv1", 47, encrypted, sizeof(encrypted) / sizeof(encrypted[0]));
}

static void x86_64_worked_examples(void **state)
{
    static const struct example plain[] = {
        { 0x1000, 0x5000, 0x1000, RW, 0, 0x5067 },
        { 0x2000, 0x6000, 0x1000, PT_READ, 0, 0x6025 },
        { 0x3000, 0x7000, 0x1000, PT_WRITE | PT_CACHE | PT_NOEXEC | PT_MMIO, 0, 0x7067 },
        { 0x200000, UINT64_C(0x8000200000), 0x200000, RW, 1, UINT64_C(0x80002000e7) },
        { 0x40000000, 0x80000000, 0x40000000, PT_READ, 2, 0x800000a5 },
    };
    static const struct example encrypted[] = {
        { 0x1000, 0x5000, 0x1000, RW, 0, UINT64_C(0x0008000000005067) },
        { 0x1000, 0x5000, 0x1000, RW | PT_MMIO, 0, 0x5067 },
    };

    (void)state;
    check_examples("x86_64", 0, plain, sizeof(plain) / sizeof(plain[0]));
    check_examples("x86_64", 51, encrypted, sizeof(encrypted) / sizeof(encrypted[0]));
}

/* A table item at level L carries next level L, and the C-bit where tables are encrypted. */
static void table_items_name_their_level(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, "amdv1");
    f.config.c_bit = 47;
    assert_int_equal(pt_init(&f.pt, engine_find("amdv1"), &f.config), 0);
    fixture_map_ok(&f, bit(60), 0x1000, 0x1000, RW);
    for (unsigned level = 1; level <= 5; level++) {
        const uint64_t raw = fixture_raw(&f, level, bit(60));

        assert_int_equal(raw & ~UINT64_C(0xfffff000), UINT64_C(0x6000800000000001) | (uint64_t)level << 9 | bit(32));
    }
    assert_int_equal(f.tops, 1); /* grown from 2 to 5 in one step */
    assert_int_equal(f.top_level, 5);
    fixture_close(&f);
}

static void a_512g_request_becomes_two_runs_of_256g(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    fixture_map_ok(&f, 0, 0, bit(39), RW);
    assert_int_equal(fixture_raw(&f, 2, 0), UINT64_C(0x7000001ffffffe01));
    assert_int_equal(fixture_raw(&f, 2, bit(38)), UINT64_C(0x7000005ffffffe01));
    assert_int_equal(fixture_unmap(&f, 0, bit(39)), bit(39));
    fixture_close(&f);
}

/* The order of formats.md 2.3, one row a rule; where Linux is undefined the clean answer of section 7. */
static void every_refusal_has_its_errno_and_changes_nothing(void **state)
{
    static const struct {
        uint64_t va, pa, length;
        unsigned prot;
        int error;
    } rows[] = {
        { 0x1000, 0x1000, 0x1000, 0, -EINVAL },
        { 0x1000, 0x1000, 0x1000, PT_CACHE, -EINVAL },
        { 0x1000, UINT64_C(1) << 52, 0x1000, RW, -ERANGE },
        { 0x1000, 0x1000, 0, RW, -EINVAL },
        { -UINT64_C(0x1000), 0x1000, 0x2000, RW, -EOVERFLOW },
        { 0x1001, 0x1000, 0x1000, RW, -ENXIO },
        { 0x1000, 0x1010, 0x1000, RW, -ENXIO },
        { 0x1000, 0x1000, 0x1800, RW, -ENXIO },
        { 0x1000, 0x1000, 0x800, RW, -ENXIO },
        { 0x1000, (UINT64_C(1) << 52) - 0x1000, 0x2000, RW, -ERANGE },
    };
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(fixture_map(&f, rows[i].va, rows[i].pa, rows[i].length, rows[i].prot), rows[i].error);
        assert_int_equal(f.mapped, 0);
        assert_int_equal(f.pool.live_pages, 1);
    }
    fixture_close(&f);
}

static void a_sign_extended_table_has_two_halves_and_a_hole(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, "x86_64");
    f.config.va_bits = 48;
    f.config.features |= PT_SIGN_EXTEND;
    assert_int_equal(pt_init(&f.pt, engine_find("x86_64"), &f.config), 0);
    fixture_map_ok(&f, UINT64_C(0xffff800000000000), 0x2000, 0x1000, RW);
    assert_int_equal(fixture_raw(&f, 0, UINT64_C(0xffff800000000000)), 0x2067);
    assert_int_equal(fixture_map(&f, UINT64_C(0x800000000000), 0x2000, 0x1000, RW), -ERANGE);
    assert_int_equal(fixture_map(&f, UINT64_C(0x7ffffffff000), 0x2000, 0x2000, RW), -ERANGE);
    fixture_map_ok(&f, UINT64_C(0x7ffffffff000), 0x2000, 0x1000, RW);
    fixture_map_ok(&f, -UINT64_C(0x1000), 0x2000, 0x1000, RW);
    assert_int_equal(fixture_phys(&f, UINT64_C(0xffff800000000abc)), 0x2abc);
    assert_int_equal(fixture_phys(&f, UINT64_C(0x800000000abc)), UINT64_MAX);
    assert_int_equal(fixture_unmap(&f, UINT64_C(0x7ffffffff000), 0x2000), 0);
    assert_int_equal(fixture_check(&f), 0);
    fixture_close(&f);
}

/* formats.md 2.6: 0x5000 is taken; one 4K and one 8K leaf fit before it. */
static void a_leaf_in_the_way_stops_the_map_where_it_is(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    fixture_map_ok(&f, 0x5000, 0x9000, 0x1000, RW);
    assert_int_equal(fixture_map(&f, 0x1000, 0x1000, 0x8000, RW), -EADDRINUSE);
    assert_int_equal(f.mapped, 0x3000);
    assert_int_equal(fixture_phys(&f, 0x3fff), 0x3fff);
    assert_int_equal(fixture_phys(&f, 0x5000), 0x9000);
    assert_int_equal(fixture_phys(&f, 0x4000), UINT64_MAX);
    assert_int_equal(fixture_unmap(&f, 0x1000, f.mapped), f.mapped);
    fixture_close(&f);
}

/* formats.md 2.8: a leaf goes as a whole; a start inside a leaf removes nothing; a hole stops. */
static void unmap_removes_whole_leaves_up_to_the_first_hole(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    fixture_map_ok(&f, 0x800000, 0x800000, 0x400000, RW);
    assert_int_equal(fixture_unmap(&f, 0x801000, 0x1000), 0);
    assert_int_equal(fixture_unmap(&f, 0xa00000, 0x200000), 0);
    assert_int_equal(fixture_unmap(&f, 0x800000, 0x1000), 0x400000);
    assert_int_equal(f.first.value, 0x800000); /* CVE-2026-31735: the gather covers what went, not what was asked */
    assert_int_equal(f.last.value, 0xbfffff);
    fixture_map_ok(&f, 0x1000, 0x10000, 0x1000, RW);
    fixture_map_ok(&f, 0x2000, 0x20000, 0x1000, RW);
    fixture_map_ok(&f, 0x4000, 0x40000, 0x1000, RW);
    assert_int_equal(fixture_unmap(&f, 0x1000, 0x1001), 0x2000);
    assert_int_equal(fixture_unmap(&f, 0x3000, 0x2000), 0);
    assert_int_equal(fixture_unmap(&f, 0x4000, 1), 0x1000);
    fixture_close(&f);
}

/* A zero-byte unmap gathers nothing; Linux gathers [start, start - 1]. */
static void unmapping_nothing_gathers_nothing(void **state)
{
    struct pt_gather gather = pt_gather_empty();
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    assert_int_equal(pt_unmap_range(&f.pt, iova(0), 0x1000, &gather), 0);
    assert_false(pt_gather_has_range(&gather));
    pt_gather_sync(&f.pt, &gather);
    assert_int_equal(f.syncs, 0);
    fixture_close(&f);
}

/* Only a table whose every item went, under a range that covers it, is freed; and only after the sync. */
static void a_full_table_is_freed_after_its_sync_a_sparse_one_stays(void **state)
{
    struct pt_gather gather = pt_gather_empty();
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    fixture_map_ok(&f, 0, 0x1000, 0x200000, RW);
    assert_int_equal(f.pool.live_pages, 3);
    assert_int_equal(pt_unmap_range(&f.pt, iova(0), 0x200000, &gather), 0x200000);
    assert_int_equal(f.pool.live_pages, 3);
    assert_int_equal(gather.freed.count, 1);
    pt_gather_sync(&f.pt, &gather);
    assert_int_equal(f.pool.live_pages, 2);
    assert_int_equal(f.freed, 1);
    fixture_map_ok(&f, 0x200000, 0x1000, 0x1000, RW);
    assert_int_equal(fixture_unmap(&f, 0x200000, 0x200000), 0x1000);
    assert_int_equal(f.pool.live_pages, 3);
    fixture_map_ok(&f, 0, 0x1000, 0x200000, RW);
    assert_int_equal(fixture_unmap(&f, 0, 0x100000), 0x100000);
    assert_int_equal(fixture_unmap(&f, 0x100000, 0x100000), 0x100000);
    assert_int_equal(f.pool.live_pages, 4); /* emptied by two calls: stays */
    fixture_close(&f);
}

static void a_large_leaf_replaces_empty_tables_with_one_sync(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    fixture_map_ok(&f, 0x400000, 0x1000, 0x1000, RW);
    fixture_map_ok(&f, 0x600000, 0x1000, 0x1000, RW);
    assert_int_equal(fixture_unmap(&f, 0x400000, 0x1000), 0x1000);
    assert_int_equal(fixture_unmap(&f, 0x600000, 0x1000), 0x1000);
    assert_int_equal(f.pool.live_pages, 4);
    f.syncs = 0;
    fixture_map_ok(&f, 0x400000, 0x400000, 0x400000, RW);
    assert_int_equal(f.syncs, 1);
    assert_int_equal(f.first.value, 0x400000);
    assert_int_equal(f.last.value, 0x7fffff);
    assert_int_equal(f.pool.live_pages, 2);
    fixture_close(&f);
}

static void no_gaps_syncs_before_a_disjoint_range(void **state)
{
    struct pt_gather gather = pt_gather_empty();
    struct fixture f;

    (void)state;
    fixture_open(&f, "amdv1");
    f.config.features |= PT_FLUSH_RANGE_NO_GAPS;
    assert_int_equal(pt_init(&f.pt, engine_find("amdv1"), &f.config), 0);
    fixture_map_ok(&f, 0x1000, 0x1000, 0x2000, RW);
    fixture_map_ok(&f, 0x9000, 0x1000, 0x1000, RW);
    pt_unmap_range(&f.pt, iova(0x1000), 0x1000, &gather);
    pt_unmap_range(&f.pt, iova(0x2000), 0x1000, &gather);
    assert_int_equal(f.syncs, 0); /* they touch */
    pt_unmap_range(&f.pt, iova(0x9000), 0x1000, &gather);
    assert_int_equal(f.syncs, 1);
    assert_int_equal(f.first.value, 0x1000);
    assert_int_equal(f.last.value, 0x2fff);
    pt_gather_sync(&f.pt, &gather);
    assert_int_equal(f.first.value, 0x9000);
    fixture_close(&f);
}

/*
 * The n-th allocation fails, for every n: exact progress, translations right, a retry succeeds, nothing leaks. The map
 * grows the top twice and crosses from one subtree of it to the next.
 */
static void every_failing_allocation_leaves_exact_progress(void **state)
{
    const uint64_t start = bit(52) - 0x200000, length = 0x400000;
    unsigned failures = 0;
    int error;

    (void)state;
    do {
        struct fixture f;
        uint64_t mapped;

        fixture_init(&f, "amdv1");
        f.pool.allocations_left = failures;
        error = fixture_map(&f, start, 0x1000, length, RW);
        mapped = f.mapped;
        assert_true(error ? error == -ENOMEM && mapped < length : mapped == length);
        assert_int_equal(mapped % 0x200000, 0);
        for (uint64_t at = 0; at < length; at += 0x1000)
            assert_int_equal(fixture_phys(&f, start + at), at < mapped ? 0x1000 + at : UINT64_MAX);
        f.pool.allocations_left = POOL_NO_LIMIT;
        if (error) fixture_map_ok(&f, start + mapped, 0x1000 + mapped, length - mapped, RW);
        assert_int_equal(fixture_check(&f), 0);
        fixture_close(&f);
        failures += error != 0;
    } while (error && failures < 100);
    assert_int_equal(error, 0);
    assert_int_equal(failures, 2 + 4 + 4); /* two tops, then levels 3 to 0 on either side of 2^52 */
}

static void page_sizes_limit_what_a_map_uses(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    assert_int_equal(pt_set_page_sizes(&f.pt, bit(21) | bit(30)), 0);
    assert_int_equal(fixture_map(&f, 0x1000, 0x1000, 0x1000, RW), -ENXIO); /* no 4K: also not on a short path */
    fixture_map_ok(&f, 0x400000, 0x400000, 0x400000, RW);
    assert_int_equal(fixture_raw(&f, 1, 0x400000), UINT64_C(0x7000000000400001));
    assert_int_equal(pt_set_page_sizes(&f.pt, bit(12)), -EINVAL);
    assert_int_equal(pt_map_pages(&f.pt, iova(0), hpa(0), 0x1000, 1, RW, &f.mapped), -ENXIO);
    assert_int_equal(pt_map_pages(&f.pt, iova(0), hpa(0), 0x200000, 2, RW, &f.mapped), 0);
    assert_int_equal(f.mapped, 0x400000);
    fixture_close(&f);
}

struct dirty_log {
    unsigned count;
    uint64_t start, length;
};

static void log_dirty(void *context, iova_t start, uint64_t length)
{
    struct dirty_log *log = context;

    log->count++;
    log->start = start.value;
    log->length = length;
}

/* A run is dirty as a whole and reported as a whole (Linux 7.0 reports it one item short). */
static void a_dirty_run_is_reported_and_cleaned_as_a_whole(void **state)
{
    struct pt_gather gather = pt_gather_empty();
    struct dirty_log log = { 0 };
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    fixture_map_ok(&f, 0x10000, 0x10000, 0x10000, RW);
    assert_int_equal(pt_set_dirty(&f.pt, iova(0x1f000)), 0);
    assert_int_equal(pt_set_dirty(&f.pt, iova(0x30000)), -ENOENT);
    assert_int_equal(pt_read_and_clear_dirty(&f.pt, iova(0), 0x100000, PT_DIRTY_NO_CLEAR, log_dirty, &log, &gather), 0);
    assert_int_equal(log.count, 1);
    assert_int_equal(log.start, 0x10000);
    assert_int_equal(log.length, 0x10000);
    assert_int_equal(pt_read_and_clear_dirty(&f.pt, iova(0x1f000), 0x1000, 0, log_dirty, &log, &gather), 0);
    assert_int_equal(log.length, 0x10000);
    assert_int_equal(gather.first.value, 0x10000);
    assert_int_equal(gather.last.value, 0x1ffff);
    assert_int_equal(pt_read_and_clear_dirty(&f.pt, iova(0), 0x100000, 0, log_dirty, &log, &gather), 0);
    assert_int_equal(log.count, 2);
    fixture_close(&f);
}

/* A cut changes leaf sizes and no translation; both sides are what two maps would have made, item by item. */
static void cut_gives_the_greedy_layout_on_both_sides(void **state)
{
    static const struct {
        const char *engine;
        unsigned shift;
        uint64_t at;
    } rows[] = {
        { "amdv1", 22, 0x201000 },
        { "amdv1", 22, 0x200000 },
        { "amdv1", 22, 0x1000 },
        { "amdv1", 16, 0x3000 },
        { "amdv1", 30, 0x12345000 },
        { "amdv1", 38, UINT64_C(0x1234567000) },
        { "amdv1", 40, UINT64_C(0x8000000000) }, /* 512G: no single leaf of that size */
        { "amdv1", 47, UINT64_C(0x408000000000) },
        { "amdv1", 51, UINT64_C(0x4000000001000) },
        { "x86_64", 21, 0x1000 },
        { "x86_64", 30, 0x201000 },
        { "x86_64", 30, 0x200000 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const uint64_t length = bit(rows[i].shift), at = rows[i].at, va = length;
        struct fixture cut, twin;

        fixture_init(&cut, rows[i].engine);
        fixture_init(&twin, rows[i].engine);
        fixture_map_ok(&cut, va, length, length, RW);
        assert_int_equal(pt_cut(&cut.pt, iova(va + at)), 0);
        fixture_map_ok(&twin, va, length, at, RW);
        fixture_map_ok(&twin, va + at, length + at, length - at, RW);
        assert_int_equal(fixture_fingerprint(&cut), fixture_fingerprint(&twin));
        assert_int_equal(cut.pool.live_pages, twin.pool.live_pages);
        assert_int_equal(fixture_check(&cut), 0);
        assert_int_equal(fixture_unmap(&cut, va + at, length - at), length - at);
        assert_int_equal(fixture_unmap(&cut, va, at), at);
        fixture_close(&cut);
        fixture_close(&twin);
    }
}

static void cut_refuses_what_it_must(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    fixture_map_ok(&f, 0x200000, 0x200000, 0x200000, RW);
    assert_int_equal(pt_cut(&f.pt, iova(0x200800)), -ENXIO);
    assert_int_equal(pt_cut(&f.pt, iova(0x400000)), -ENOENT);
    assert_int_equal(pt_cut(&f.pt, iova(bit(60))), -ENOENT);
    assert_int_equal(pt_cut(&f.pt, iova(0x200000)), 0);
    f.pool.allocations_left = 0;
    assert_int_equal(pt_cut(&f.pt, iova(0x201000)), -ENOMEM);
    assert_int_equal(fixture_raw(&f, 1, 0x200000), UINT64_C(0x7000000000200001));
    fixture_close(&f);
}

/* Rights, C-bit and dirtiness go into every part. */
static void cut_carries_attributes_and_dirtiness(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, "amdv1");
    f.config.c_bit = 47;
    assert_int_equal(pt_init(&f.pt, engine_find("amdv1"), &f.config), 0);
    fixture_map_ok(&f, 0x400000, 0x400000, 0x400000, PT_READ);
    assert_int_equal(pt_set_dirty(&f.pt, iova(0x700000)), 0);
    assert_int_equal(pt_cut(&f.pt, iova(0x401000)), 0);
    assert_int_equal(fixture_raw(&f, 0, 0x400000), UINT64_C(0x3000800000400041));
    assert_int_equal(fixture_raw(&f, 0, 0x401000), UINT64_C(0x3000800000401041));
    assert_int_equal(fixture_raw(&f, 1, 0x600000), UINT64_C(0x3000800000600041));
    fixture_close(&f);
}

static void small_va_is_the_answer_of_linux_7_2(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, "amdv1");
    f.config.va_bits = 32;
    assert_int_equal(pt_init(&f.pt, engine_find("amdv1"), &f.config), -EOPNOTSUPP);
    f.config.features |= PT_SMALL_VA;
    assert_int_equal(pt_init(&f.pt, engine_find("amdv1"), &f.config), 0);
    assert_int_equal(f.pt.page_sizes, UINT64_C(0x1fffff000)); /* nothing larger than the VA space */
    fixture_map_ok(&f, 0, 0, bit(32), RW);
    assert_int_equal(fixture_map(&f, bit(32), 0, 0x1000, RW), -ERANGE);
    fixture_close(&f);
    fixture_open(&f, "amdv1");
    f.config.top_level = 5;
    f.config.features |= PT_SMALL_VA;
    assert_int_equal(pt_init(&f.pt, engine_find("amdv1"), &f.config), 0);
    fixture_map_ok(&f, -UINT64_C(0x1000), 0x1000, 0x1000, RW);
    assert_int_equal(f.tops, 0);
    assert_int_equal(fixture_check(&f), 0);
    fixture_close(&f);
}

/* formats.md 2.12: the trace of a first 4K map at 0x1000 with 4 levels, then of three pages. */
static void a_walker_that_does_not_snoop_gets_its_write_backs(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, "x86_64");
    f.config.features |= PT_DMA_INCOHERENT;
    assert_int_equal(pt_init(&f.pt, engine_find("x86_64"), &f.config), 0);
    assert_int_equal(f.flushes, 1);
    fixture_map_ok(&f, 0x1000, 0x5000, 0x1000, RW);
    assert_int_equal(f.flushes, 1 + 3 * 2 + 1);
    assert_int_equal(f.flush_offset, 8);
    assert_int_equal(f.flush_length, 8);
    assert_int_equal(fixture_raw(&f, 3, 0) & 0xfff, 0x227);
    fixture_map_ok(&f, 0x2000, 0x6000, 0x3000, RW);
    assert_int_equal(f.flushes, 9);
    assert_int_equal(f.flush_offset, 0x10);
    assert_int_equal(f.flush_length, 0x18);
    assert_int_equal(fixture_check(&f), 0);
    fixture_close(&f);
}

/* kunit test_mixed and test_pgsize_boundary (formats.md 4). */
static void the_layouts_that_broke_kernels_are_right(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "x86_64");
    fixture_map_ok(&f, UINT64_C(0x3fe400000), UINT64_C(0x3fe400000), UINT64_C(0xc2200000), RW);
    assert_int_equal(fixture_raw(&f, 1, UINT64_C(0x3fe400000)), UINT64_C(0x3fe4000e7));
    assert_int_equal(fixture_raw(&f, 2, UINT64_C(0x400000000)), UINT64_C(0x4000000e7));
    assert_int_equal(fixture_raw(&f, 1, UINT64_C(0x4c0400000)), UINT64_C(0x4c04000e7));
    assert_int_equal(fixture_unmap(&f, UINT64_C(0x3fe400000), UINT64_C(0xc2200000)), UINT64_C(0xc2200000));
    fixture_map_ok(&f, 0xfef80000, UINT64_C(0x208b95d000), 0x20000, RW);
    assert_int_equal(fixture_phys(&f, 0xfef9ffff), UINT64_C(0x208b97cfff));
    fixture_close(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_amdv1_leaf_size_has_the_item_of_the_manual),
        cmocka_unit_test(amdv1_worked_examples),
        cmocka_unit_test(x86_64_worked_examples),
        cmocka_unit_test(table_items_name_their_level),
        cmocka_unit_test(a_512g_request_becomes_two_runs_of_256g),
        cmocka_unit_test(every_refusal_has_its_errno_and_changes_nothing),
        cmocka_unit_test(a_sign_extended_table_has_two_halves_and_a_hole),
        cmocka_unit_test(a_leaf_in_the_way_stops_the_map_where_it_is),
        cmocka_unit_test(unmap_removes_whole_leaves_up_to_the_first_hole),
        cmocka_unit_test(unmapping_nothing_gathers_nothing),
        cmocka_unit_test(a_full_table_is_freed_after_its_sync_a_sparse_one_stays),
        cmocka_unit_test(a_large_leaf_replaces_empty_tables_with_one_sync),
        cmocka_unit_test(no_gaps_syncs_before_a_disjoint_range),
        cmocka_unit_test(every_failing_allocation_leaves_exact_progress),
        cmocka_unit_test(page_sizes_limit_what_a_map_uses),
        cmocka_unit_test(a_dirty_run_is_reported_and_cleaned_as_a_whole),
        cmocka_unit_test(cut_gives_the_greedy_layout_on_both_sides),
        cmocka_unit_test(cut_refuses_what_it_must),
        cmocka_unit_test(cut_carries_attributes_and_dirtiness),
        cmocka_unit_test(small_va_is_the_answer_of_linux_7_2),
        cmocka_unit_test(a_walker_that_does_not_snoop_gets_its_write_backs),
        cmocka_unit_test(the_layouts_that_broke_kernels_are_right),
    };

    return TEST_MAIN(tests, argc, argv);
}
