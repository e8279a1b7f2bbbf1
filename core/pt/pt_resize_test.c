/* Does a resize leave exactly the leaves that pt.h promises, and every translation, attribute and dirty bit? */
#include "base/test_main.h"
#include "pt/pt_fixture.h"

#define RW (PT_READ | PT_WRITE)

enum { PROBES_MAX = 2048 };

static int resize(struct fixture *f, uint64_t va, uint64_t length, uint64_t max_leaf)
{
    return pt_resize_range(&f->pt, iova(va), length, max_leaf);
}

/* First and last byte of `count` even pieces of a range lead `offset` further on. */
static void check_translations(struct fixture *f, uint64_t va, uint64_t length, uint64_t offset)
{
    const uint64_t step = max_u64(length / PROBES_MAX, 0x1000);

    for (uint64_t at = 0; at < length; at += step) {
        assert_int_equal(fixture_phys(f, va + at), va + at + offset);
        assert_int_equal(fixture_phys(f, va + at + step - 1), va + at + step - 1 + offset);
    }
}

static bool may_change(const struct engine *engine)
{
    return engine->resizes_in_place && engine->exchanges_tables;
}

struct leaf_count {
    const struct pt *pt;
    unsigned items[64];
};

static void count_item(void *context, const struct pt_item *item)
{
    struct leaf_count *count = context;
    struct pt_decoded decoded;

    if (item->is_table) return;
    count->pt->engine->decode(count->pt, item->raw, item->level, &decoded);
    count->items[decoded.shift]++;
}

/* Leaves of 2^shift bytes in the table. */
static uint64_t leaves_of(struct fixture *f, unsigned shift)
{
    const struct pt_geometry *geometry = &f->pt.engine->geometry;
    struct leaf_count count = { .pt = &f->pt };

    pt_walk_items(&f->pt, count_item, &count);
    return count.items[shift] >> (shift - geometry->granule_shift) % geometry->index_bits;
}

/* ---- layouts ----------------------------------------------------------------------------------------------------- */

/* A table that maps the same, made with no leaf above `max_leaf`. */
static void check_twin(struct fixture *f, uint64_t va, uint64_t length, uint64_t offset, uint64_t max_leaf)
{
    struct fixture twin;

    fixture_open(&twin, f->pt.engine->name);
    twin.config.page_sizes = 2 * max_leaf - 1;
    assert_int_equal(pt_init(&twin.pt, f->pt.engine, &twin.config), 0);
    fixture_map_ok(&twin, va, va + offset, length, RW);
    assert_int_equal(fixture_fingerprint(f), fixture_fingerprint(&twin));
    assert_int_equal(f->pool.live_pages, twin.pool.live_pages);
    assert_int_equal(fixture_check(f), 0);
    fixture_close(&twin);
}

/* From the largest leaves to each size and back: always what a map with these sizes would have made. */
static void check_every_size(const struct engine *engine)
{
    const uint64_t va = UINT64_C(0x40000000), length = 0x4a00000;
    const uint64_t offset = UINT64_C(0x40000000);
    struct fixture f;

    fixture_init(&f, engine->name);
    fixture_map_ok(&f, va, va + offset, length, RW);
    for (unsigned shift = engine->geometry.granule_shift; shift <= 26; shift++) {
        if (!(f.pt.page_sizes & bit(shift))) continue;
        assert_int_equal(resize(&f, va, length, bit(shift)), 0);
        check_twin(&f, va, length, offset, bit(shift));
        check_translations(&f, va, length, offset);
        f.syncs = f.freed = 0;
        assert_int_equal(resize(&f, va, length, bit(38)), 0);
        check_twin(&f, va, length, offset, bit(38));
        check_translations(&f, va, length, offset);
        assert_true(f.freed == 0 ? f.syncs == 0 : f.syncs > 0);
        f.syncs = 0;
        assert_int_equal(resize(&f, va, length, bit(38)), 0); /* nothing left to do */
        assert_int_equal(f.syncs, 0);
    }
    fixture_close(&f);
}

/* Two levels at once, 513 tables. */
static void check_gigabyte(const struct engine *engine)
{
    const uint64_t size = UINT64_C(0x40000000);
    struct fixture f;

    fixture_init(&f, engine->name);
    fixture_map_ok(&f, size, 2 * size, size, RW);
    assert_int_equal(resize(&f, size, size, bit(engine->geometry.granule_shift)), 0);
    check_twin(&f, size, size, size, bit(engine->geometry.granule_shift));
    assert_int_equal(resize(&f, size, size, size), 0);
    check_twin(&f, size, size, size, size);
    assert_int_equal(f.syncs, 1);
    fixture_close(&f);
}

static void every_size_and_back_is_the_greedy_layout(void **state)
{
    (void)state;
    for (unsigned i = 0; engine_at(i); i++) {
        if (engine_is_usable(engine_at(i)) && may_change(engine_at(i))) {
            check_every_size(engine_at(i));
            check_gigabyte(engine_at(i));
        }
    }
}

/* A format that may not change live leaves: an answer before anything is changed, and 0 where nothing must. */
/* Pages that would be one leaf of `size`: a run, or the item of a table. */
static void check_merge_refused(const struct engine *engine, uint64_t size)
{
    const uint64_t page = bit(engine->geometry.granule_shift);
    uint64_t all, before;
    struct fixture f;

    fixture_init(&f, engine->name);
    all = f.pt.page_sizes;
    f.pt.page_sizes = page;
    fixture_map_ok(&f, bit(34), bit(34), size, RW);
    f.pt.page_sizes = all;
    assert_true(all & size);
    before = fixture_fingerprint(&f);
    assert_int_equal(resize(&f, bit(34), size, size), -EOPNOTSUPP);
    assert_int_equal(resize(&f, bit(34), size, page), 0);
    assert_int_equal(fixture_fingerprint(&f), before);
    fixture_close(&f);
}

static void formats_without_the_capabilities_refuse(void **state)
{
    (void)state;
    for (unsigned i = 0; engine_at(i); i++) {
        const struct engine *engine = engine_at(i);
        const unsigned granule = engine->geometry.granule_shift;
        struct fixture f;
        uint64_t before, run;

        if (!engine_is_usable(engine) || may_change(engine)) continue;
        fixture_init(&f, engine->name);
        fixture_map_ok(&f, bit(34), bit(34), bit(30), RW);
        fixture_map_ok(&f, 0, bit(30), bit(granule), RW);
        fixture_map_ok(&f, bit(granule), bit(30) + bit(granule), bit(granule), RW);
        before = fixture_fingerprint(&f);
        assert_int_equal(resize(&f, bit(34), bit(30), bit(granule)), -EOPNOTSUPP);
        assert_int_equal(resize(&f, bit(34), bit(30), bit(40)), 0);
        assert_int_equal(resize(&f, 0, bit(granule + 1), bit(granule)), 0);
        assert_int_equal(fixture_fingerprint(&f), before);
        run = f.pt.page_sizes & ~bit(granule);
        fixture_close(&f);
        if (!engine->resizes_in_place) check_merge_refused(engine, run & -run);
        if (!engine->exchanges_tables) check_merge_refused(engine, bit(granule + engine->geometry.index_bits));
    }
}

/* A leaf over an edge of the range is split whole; smaller ones over an edge, or outside, are left alone. */
static void edges_of_the_range_are_where_pt_h_says(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    fixture_map_ok(&f, 0x200000, 0x200000, 0x600000, RW); /* 2M, 4M */
    assert_int_equal(resize(&f, 0x3ff000, 0x2000, 0x10000), 0);
    assert_int_equal(leaves_of(&f, 16), 0x600000 >> 16);
    assert_int_equal(leaves_of(&f, 21), 0);
    assert_int_equal(resize(&f, 0x208000, 0x30000, 0x20000), 0); /* [0x220000, 0x230000) and less */
    assert_int_equal(leaves_of(&f, 17), 0);
    assert_int_equal(resize(&f, 0x208000, 0x38000, 0x20000), 0); /* [0x220000, 0x240000) */
    assert_int_equal(leaves_of(&f, 17), 1);
    assert_int_equal(resize(&f, 0x220000, 0x10000, 0x20000), 0); /* half of a leaf that is small enough */
    assert_int_equal(leaves_of(&f, 17), 1);
    assert_int_equal(leaves_of(&f, 16), (0x600000 >> 16) - 2);
    check_translations(&f, 0x200000, 0x600000, 0);
    assert_int_equal(fixture_check(&f), 0);
    fixture_close(&f);
}

/* Holes, other rights, targets that do not follow or are not aligned: such neighbours stay apart. */
static void only_alike_neighbours_are_merged(void **state)
{
    static const char *const rows[] = { "amdv1", "x86_64", "vtdss" };

    (void)state;
    for (unsigned row = 0; row < 3; row++) {
        const uint64_t small = 0x1000, large = 0x200000;
        struct fixture f;

        fixture_open(&f, rows[row]);
        f.config.page_sizes = small;
        assert_int_equal(pt_init(&f.pt, engine_find(rows[row]), &f.config), 0);
        f.pt.page_sizes = small | large;
        for (uint64_t at = 0; at < large; at += small) {
            fixture_map_ok(&f, at, at, small, at == 0x5000 ? PT_READ : RW);        /* rights */
            fixture_map_ok(&f, large + at, at == 0 ? 0x40000000 : at, small, RW);  /* targets */
            if (at != 0x1ff000) fixture_map_ok(&f, 2 * large + at, at, small, RW); /* a hole */
            fixture_map_ok(&f, 3 * large + at, bit(30) + small + at, small, RW);   /* alignment */
            fixture_map_ok(&f, 4 * large + at, bit(30) + at, small, RW);           /* none of these */
        }
        assert_int_equal(resize(&f, 0, 8 * large, large), 0);
        assert_int_equal(leaves_of(&f, 21), 1);
        assert_int_equal(leaves_of(&f, 12), 4 * 512 - 1);
        assert_int_equal(fixture_phys(&f, 4 * large + 0x5123), bit(30) + 0x5123);
        assert_int_equal(f.syncs, 1);
        assert_int_equal(f.freed, 1);
        assert_int_equal(f.first.value, 4 * large);
        assert_int_equal(f.last.value, 5 * large - 1);
        assert_int_equal(fixture_check(&f), 0);
        fixture_close(&f);
    }
}

/* MMIO leaves have no C-bit: a merge and a split keep that apart. */
static void the_c_bit_is_an_attribute(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, "amdv1");
    f.config.c_bit = 47;
    f.config.oa_bits = 47;
    assert_int_equal(pt_init(&f.pt, engine_find("amdv1"), &f.config), 0);
    fixture_map_ok(&f, 0, 0, 0x200000, RW);
    fixture_map_ok(&f, 0x200000, 0x200000, 0x200000, RW | PT_MMIO);
    assert_int_equal(resize(&f, 0, 0x400000, 0x1000), 0);
    assert_int_equal(fixture_raw(&f, 0, 0x1ff000) >> 47 & 1, 1);
    assert_int_equal(fixture_raw(&f, 0, 0x200000) >> 47 & 1, 0);
    assert_int_equal(resize(&f, 0, 0x400000, 0x400000), 0);
    assert_int_equal(leaves_of(&f, 21), 2);
    assert_int_equal(fixture_raw(&f, 1, 0), UINT64_C(0x7000800000000001));
    assert_int_equal(fixture_raw(&f, 1, 0x200000), UINT64_C(0x7000000000200001));
    fixture_close(&f);
}

/* Sizes that are no longer allowed stay where they are small enough, unless they can be merged. */
static void sizes_no_longer_allowed_stay_or_are_merged(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    fixture_map_ok(&f, 0, 0, 0x10000, RW);
    fixture_map_ok(&f, 0x200000, 0x200000, 0x100000, RW);
    fixture_map_ok(&f, 0x300000, 0x300000, 0x100000, RW);
    assert_int_equal(pt_set_page_sizes(&f.pt, 0x201000), 0);
    assert_int_equal(resize(&f, 0, 0x400000, 0x100000), 0);
    assert_int_equal(leaves_of(&f, 16), 1);
    assert_int_equal(leaves_of(&f, 20), 2);
    assert_int_equal(resize(&f, 0, 0x400000, 0x400000), 0);
    assert_int_equal(leaves_of(&f, 16), 1);
    assert_int_equal(leaves_of(&f, 21), 1);
    assert_int_equal(resize(&f, 0, 0x400000, 0x8000), 0);
    assert_int_equal(leaves_of(&f, 12), 16 + 512);
    assert_int_equal(pt_set_page_sizes(&f.pt, 0x200000), 0);
    assert_int_equal(resize(&f, 0, 0x400000, 0x200000), 0); /* below the smallest allowed: no size fits there */
    assert_int_equal(leaves_of(&f, 12), 16);
    assert_int_equal(leaves_of(&f, 21), 1);
    check_translations(&f, 0x200000, 0x200000, 0);
    fixture_close(&f);
}

/* The top table is not replaced for a leaf; above it nothing is mapped. */
static void the_top_does_not_grow(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, "amdv1");
    f.config.top_level = 1;
    f.config.page_sizes = 0x200000;
    assert_int_equal(pt_init(&f.pt, engine_find("amdv1"), &f.config), 0);
    fixture_map_ok(&f, 0, 0, 0x40000000, RW);
    f.pt.page_sizes = 0x60200000;
    assert_int_equal(resize(&f, 0, bit(60), bit(40)), 0);
    assert_int_equal(f.tops, 0);
    assert_int_equal(leaves_of(&f, 29), 2);
    assert_int_equal(resize(&f, bit(50), bit(50), bit(40)), 0);
    check_translations(&f, 0, 0x40000000, 0);
    fixture_close(&f);
}

/* The whole of a 64-bit and of a sign-extended space: nothing wraps at its end. */
static void the_ends_of_the_space_work(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    fixture_map_ok(&f, -UINT64_C(0x400000), 0x400000, 0x400000, RW);
    fixture_map_ok(&f, 0, 0x800000, 0x200000, RW);
    assert_int_equal(resize(&f, -bit(63), bit(63), 0x1000), 0);
    assert_int_equal(leaves_of(&f, 12), 1024);
    assert_int_equal(resize(&f, -bit(63), bit(63), 0x400000), 0);
    assert_int_equal(leaves_of(&f, 22), 1);
    assert_int_equal(fixture_phys(&f, UINT64_MAX), 0x7fffff);
    fixture_close(&f);
    fixture_open(&f, "x86_64");
    f.config.features |= PT_SIGN_EXTEND;
    f.config.va_bits = 48;
    assert_int_equal(pt_init(&f.pt, engine_find("x86_64"), &f.config), 0);
    fixture_map_ok(&f, -UINT64_C(0x200000), 0x400000, 0x200000, RW);
    assert_int_equal(resize(&f, -bit(47), bit(47), 0x1000), 0);
    assert_int_equal(leaves_of(&f, 12), 512);
    assert_int_equal(resize(&f, bit(47) - 0x1000, 0x2000, 0x1000), -ERANGE);
    assert_int_equal(resize(&f, -bit(47), bit(47), bit(30)), 0);
    assert_int_equal(leaves_of(&f, 21), 1);
    fixture_close(&f);
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

static void arguments_are_checked_in_this_order(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, "x86_64");
    f.config.page_sizes = 0x40200000;
    assert_int_equal(pt_init(&f.pt, engine_find("x86_64"), &f.config), 0);
    assert_int_equal(resize(&f, 0x200000, 0, 0x200000), -EINVAL);
    assert_int_equal(resize(&f, 0x200000, 0x200000, 0), -EINVAL);
    assert_int_equal(resize(&f, -UINT64_C(0x200000), 0x400000, 0x300000), -EINVAL);
    assert_int_equal(resize(&f, -UINT64_C(0x200000), 0x400001, 0x200000), -EOVERFLOW);
    assert_int_equal(resize(&f, bit(47), 0x200000, 0x100000), -ENXIO);
    assert_int_equal(resize(&f, bit(47) + 0x1000, 0x200000, 0x200000), -ENXIO);
    assert_int_equal(resize(&f, 0, 0x201000, 0x200000), -ENXIO);
    assert_int_equal(resize(&f, bit(47), 0x200000, 0x200000), -ERANGE);
    assert_int_equal(resize(&f, bit(47) - 0x200000, 0x400000, 0x200000), -ERANGE);
    assert_int_equal(resize(&f, 0, bit(47), bit(63)), 0);
    assert_int_equal(resize(&f, 0, bit(47), 0x200000), 0);
    fixture_close(&f);
}

/* Every allocation fails once: no translation is lost, the tree is whole, and a retry does the rest. */
static void check_failures(const struct engine *engine)
{
    const unsigned shifts[] = { engine->geometry.granule_shift, engine->geometry.granule_shift + 4, 21 };

    for (unsigned i = 0; i < 3; i++) {
        uint64_t n = 0;
        int error = -ENOMEM;

        for (; error; n = n < 16 ? n + 1 : n + 97) {
            struct fixture f;

            fixture_init(&f, engine->name);
            fixture_map_ok(&f, bit(30), bit(30), bit(30) + 0x600000, RW);
            f.pool.allocations_left = n;
            error = resize(&f, 0, bit(34), f.pt.page_sizes & bit(shifts[i]) ? bit(shifts[i]) : bit(21));
            assert_true(error == 0 || error == -ENOMEM);
            check_translations(&f, bit(30), bit(30) + 0x600000, 0);
            assert_int_equal(fixture_check(&f), 0);
            f.pool.allocations_left = POOL_NO_LIMIT;
            assert_int_equal(resize(&f, 0, bit(34), bit(21)), 0);
            assert_int_equal(leaves_of(&f, 21), 512 + 3);
            fixture_close(&f);
        }
        assert_true(n > 1);
    }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    check_failures(engine_find("amdv1"));
    check_failures(engine_find("x86_64"));
    check_failures(engine_find("vtdss"));
}

/* ---- syncs ------------------------------------------------------------------------------------------------------- */

/* 64 items that led to tables a sync; where gaps are not allowed one for each piece. */
static void merged_tables_are_freed_after_few_syncs(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "vtdss");
    fixture_map_ok(&f, 0, 0x200000, 130 * UINT64_C(0x200000), RW);
    fixture_map_ok(&f, bit(30), bit(30), 0x400000, RW);
    assert_int_equal(resize(&f, 0, bit(31), 0x1000), 0);
    assert_int_equal(f.syncs, 0);
    assert_int_equal(resize(&f, 0, bit(31), 0x200000), 0);
    assert_int_equal(f.syncs, 3);
    assert_int_equal(f.freed, 132);
    assert_int_equal(f.first.value, 128 * UINT64_C(0x200000));
    assert_int_equal(f.last.value, bit(30) + 0x3fffff);
    fixture_close(&f);

    fixture_open(&f, "x86_64");
    f.config.features = PT_FLUSH_RANGE_NO_GAPS;
    assert_int_equal(pt_init(&f.pt, engine_find("x86_64"), &f.config), 0);
    fixture_map_ok(&f, 0, 0x200000, 0x800000, RW);
    fixture_map_ok(&f, bit(30), bit(30), 0x400000, RW);
    assert_int_equal(resize(&f, 0, bit(31), 0x1000), 0);
    assert_int_equal(resize(&f, 0, bit(31), 0x200000), 0);
    assert_int_equal(f.syncs, 2);
    assert_int_equal(f.freed, 6);
    assert_int_equal(f.first.value, bit(30));
    fixture_close(&f);
}

/* ---- walkers that do not snoop ----------------------------------------------------------------------------------- */

static uint64_t shadow[256][512]; /* what such a walker finds in the pool's first pages */

static void flush_to_shadow(void *context, hpa_t table, unsigned offset, unsigned length)
{
    struct fixture *f = context;
    const uint64_t page = (table.value - f->pool.base) >> POOL_PAGE_SHIFT;

    assert_true(page < 256);
    memcpy((char *)shadow[page] + offset, f->pool.bytes + (page << POOL_PAGE_SHIFT) + offset, length);
}

/* Every word of every table was written back, but for the software bit that says so. */
static void check_shadow(struct fixture *f, uint64_t flushed_bit)
{
    for (uint32_t page = 0; page < f->pool.fresh; page++) {
        const uint64_t *words = (const uint64_t *)(const void *)(f->pool.bytes + ((size_t)page << POOL_PAGE_SHIFT));

        if (f->pool.state[page] != POOL_LIVE) continue;
        for (unsigned i = 0; i < 512; i++) assert_int_equal(words[i] & ~flushed_bit, shadow[page][i] & ~flushed_bit);
    }
}

static void every_item_is_written_back(void **state)
{
    static const struct {
        const char *row;
        uint64_t flushed_bit;
    } rows[] = { { "x86_64", 0x200 }, { "vtdss", 0x400 } };

    (void)state;
    for (unsigned row = 0; row < 2; row++) {
        struct fixture f;

        memset(shadow, 0, sizeof(shadow));
        fixture_open(&f, rows[row].row);
        f.hooks.flush = flush_to_shadow;
        f.config.features |= PT_DMA_INCOHERENT;
        assert_int_equal(pt_init(&f.pt, engine_find(rows[row].row), &f.config), 0);
        fixture_map_ok(&f, bit(30), bit(30), 0x8000000, RW);
        assert_int_equal(resize(&f, 0, bit(32), 0x1000), 0);
        check_shadow(&f, rows[row].flushed_bit);
        assert_int_equal(fixture_check(&f), 0);
        assert_int_equal(resize(&f, bit(30), 0x4001000, 0x200000), 0);
        check_shadow(&f, rows[row].flushed_bit);
        assert_int_equal(resize(&f, 0, bit(32), bit(30)), 0);
        check_shadow(&f, rows[row].flushed_bit);
        assert_int_equal(fixture_check(&f), 0);
        fixture_close(&f);
    }
}

/* ---- dirtiness --------------------------------------------------------------------------------------------------- */

struct dirty_sum {
    uint64_t bytes, first;
};

static void add_dirty(void *context, iova_t start, uint64_t length)
{
    struct dirty_sum *sum = context;

    if (sum->bytes == 0) sum->first = start.value;
    sum->bytes += length;
}

static struct dirty_sum dirty_in(struct fixture *f, uint64_t va, uint64_t length)
{
    struct pt_gather gather = pt_gather_empty();
    struct dirty_sum sum = { 0 };

    assert_int_equal(pt_read_and_clear_dirty(&f->pt, iova(va), length, PT_DIRTY_NO_CLEAR, add_dirty, &sum, &gather), 0);
    return sum;
}

/* All parts of a dirty leaf are dirty; a leaf with a dirty part is. By the last item of a run as well. */
static void dirtiness_is_carried_both_ways(void **state)
{
    static const char *const rows[] = { "amdv1", "amdv1-vector", "vtdss" };

    (void)state;
    for (unsigned row = 0; row < 3; row++) {
        struct fixture f;

        if (!engine_find(rows[row])) continue;
        fixture_init(&f, rows[row]);
        fixture_map_ok(&f, 0, 0, 0x800000, RW);
        assert_int_equal(resize(&f, 0, 0x800000, 0x1000), 0);
        assert_int_equal(dirty_in(&f, 0, 0x800000).bytes, 0);
        assert_int_equal(pt_set_dirty(&f.pt, iova(0x3ff000)), 0);
        assert_int_equal(resize(&f, 0, 0x800000, 0x200000), 0);
        assert_int_equal(dirty_in(&f, 0, 0x800000).bytes, 0x200000);
        assert_int_equal(dirty_in(&f, 0, 0x800000).first, 0x200000);
        assert_int_equal(resize(&f, 0, 0x800000, 0x10000), 0);
        assert_int_equal(dirty_in(&f, 0, 0x800000).bytes, 0x200000);
        assert_int_equal(resize(&f, 0, 0x800000, 0x800000), 0);
        assert_int_equal(dirty_in(&f, 0, 0x800000).bytes, f.pt.page_sizes & 0x800000 ? 0x800000 : 0x200000);
        assert_int_equal(resize(&f, 0, 0x800000, 0x1000), 0);
        assert_int_equal(dirty_in(&f, 0, 0x800000).bytes, f.pt.page_sizes & 0x800000 ? 0x800000 : 0x200000);
        assert_int_equal(fixture_check(&f), 0);
        fixture_close(&f);
    }
}

/* A run made of runs: the one dirty item stays the dirty one. */
static void runs_keep_the_mark_of_each_item(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    fixture_map_ok(&f, 0, 0, 0x10000, RW);
    assert_int_equal(resize(&f, 0, 0x10000, 0x8000), 0);
    assert_int_equal(pt_set_dirty(&f.pt, iova(0xd000)), 0);
    assert_int_equal(resize(&f, 0, 0x10000, 0x10000), 0);
    for (uint64_t at = 0; at < 0x10000; at += 0x1000)
        assert_int_equal(fixture_raw(&f, 0, at), UINT64_C(0x7000000000007e01) | (at == 0xd000 ? 0x40 : 0));
    assert_int_equal(f.syncs, 0);
    assert_int_equal(dirty_in(&f, 0, 0x10000).bytes, 0x10000);
    fixture_close(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_and_back_is_the_greedy_layout),
        cmocka_unit_test(formats_without_the_capabilities_refuse),
        cmocka_unit_test(edges_of_the_range_are_where_pt_h_says),
        cmocka_unit_test(only_alike_neighbours_are_merged),
        cmocka_unit_test(the_c_bit_is_an_attribute),
        cmocka_unit_test(sizes_no_longer_allowed_stay_or_are_merged),
        cmocka_unit_test(the_top_does_not_grow),
        cmocka_unit_test(the_ends_of_the_space_work),
        cmocka_unit_test(arguments_are_checked_in_this_order),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(merged_tables_are_freed_after_few_syncs),
        cmocka_unit_test(every_item_is_written_back),
        cmocka_unit_test(dirtiness_is_carried_both_ways),
        cmocka_unit_test(runs_keep_the_mark_of_each_item),
    };

    return TEST_MAIN(tests, argc, argv);
}
