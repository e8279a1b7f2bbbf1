/*
 * Argument abuse: every row of formats.md 2.3 (what map refuses, in its order), 2.4 (ranges) and 7 (where the clean
 * answer differs from Linux), on every configuration of pt_kunit.h. A refused call changes nothing: not one byte of a
 * table, not one field of the handle, and no hook is called.
 */
#include "pt/pt_kunit.h"

enum { VALUES_MAX = 24 };

/* A table with leaves, a bit copy of all there is, and the values that arguments are drawn from. */
struct abuse {
    struct fixture *f;
    const struct kunit_config *config;
    uint64_t base, page, table; /* bytes of a smallest page and of a lowest table */
    uint64_t free_va;           /* nothing there, its lowest table exists */
    uint64_t far_va;            /* nothing there, no lowest table */
    uint64_t page_va, large_va; /* where leaves start */
    struct pt pt;
    uint8_t *bytes;
    size_t byte_count;
    unsigned syncs, tops, flushes;
    uint64_t va[VALUES_MAX], length[VALUES_MAX], pa[VALUES_MAX];
    unsigned va_count, length_count, pa_count;
    unsigned refused, seen[11]; /* calls, by row of formats.md 2.3 */
};

/* ---- nothing changed --------------------------------------------------------------------------------------------- */

static void remember(struct abuse *a)
{
    const struct table_pool *pool = &a->f->pool;

    a->byte_count = (size_t)pool->fresh << POOL_PAGE_SHIFT;
    a->bytes = realloc(a->bytes, a->byte_count);
    CHECK(a->bytes != NULL);
    memcpy(a->bytes, pool->bytes, a->byte_count);
    memcpy(&a->pt, &a->f->pt, sizeof(a->pt));
    a->syncs = a->f->syncs;
    a->tops = a->f->tops;
    a->flushes = a->f->flushes;
}

static bool is_unchanged(const struct abuse *a)
{
    const struct fixture *f = a->f;
    const void *now = &f->pt, *before = &a->pt; /* bytes, padding too: nothing may be written there */

    return (size_t)f->pool.fresh << POOL_PAGE_SHIFT == a->byte_count &&
           memcmp(a->bytes, f->pool.bytes, a->byte_count) == 0 && memcmp(before, now, sizeof(a->pt)) == 0 &&
           f->syncs == a->syncs && f->tops == a->tops && f->flushes == a->flushes;
}

static void abuse_open(struct abuse *a, struct fixture *f, const struct kunit_config *config)
{
    const uint64_t window = bit(kunit_item_shift(f, 2));

    *a = (struct abuse){ .f = f, .config = config, .base = kunit_base(config, 0) };
    a->page = kunit_granule(f);
    a->table = bit(kunit_item_shift(f, 1));
    a->page_va = a->base | (window + 5 * a->page);
    a->free_va = a->base | (window + 7 * a->page);
    a->large_va = a->base | (window + 8 * a->table);
    a->far_va = a->base | (window + 40 * a->table);
    kunit_map_ok(f, a->page_va, 5 * a->page, a->page);
    kunit_map_ok(f, a->large_va, 0, a->table);
    remember(a);
}

static void abuse_close(struct abuse *a)
{
    free(a->bytes);
}

/* ---- formats.md 2.3 and 2.4, once more --------------------------------------------------------------------------- */

struct call {
    uint64_t va, pa, length;
    unsigned prot;
    bool is_memory_out;
};

/* 2.4: is all of [va, last] where a table of this width decodes? Written by comparing with the ends of the halves. */
static bool is_decoded(const struct kunit_config *config, uint64_t va, uint64_t last)
{
    const uint64_t end = kunit_last(config);

    if (config->features & PT_UPPER_HALF) return va >= kunit_base(config, 0) && last >= va;
    if (config->features & PT_SIGN_EXTEND) {
        const bool is_lower = va <= end && last <= end;
        const bool is_upper = va >= ~end && last >= ~end;

        return is_lower || is_upper;
    }
    return va <= end && last <= end;
}

/* Would the top have to grow for it? */
static bool needs_growth(const struct abuse *a, uint64_t last)
{
    struct pt_info info;

    pt_get_info(&a->f->pt, &info);
    return info.features & PT_DYNAMIC_TOP && last >> kunit_item_shift(a->f, info.top_level + 1);
}

/* The first row of formats.md 2.3 that refuses the call, and its errno; 0: none does before something changes. */
static unsigned refusing_row(const struct abuse *a, const struct call *call, int *error)
{
    const unsigned oa_bits = a->config->oa_bits;
    const uint64_t last = call->va + call->length - 1;

    if (!(call->prot & RW)) return *error = -EINVAL, 1;
    if (call->pa >= bit(oa_bits)) return *error = -ERANGE, 2;
    if (a->config->features & PT_FORCE_WRITEABLE && !(call->prot & PT_WRITE)) return *error = -EINVAL, 3;
    if (call->length == 0) return *error = -EINVAL, 4;
    if (last < call->va) return *error = -EOVERFLOW, 5;
    if (call->va % a->page || call->pa % a->page || call->length % a->page) return *error = -ENXIO, 6;
    if (call->length > bit(oa_bits) || call->pa + call->length > bit(oa_bits)) return *error = -ERANGE, 7;
    if (!is_decoded(a->config, call->va, last)) return *error = -ERANGE, 7;
    if (needs_growth(a, last)) return *error = -ENOMEM, call->is_memory_out ? 8 : 0;
    if (call->va == a->page_va || call->va == a->large_va || call->va == a->large_va + a->page)
        return *error = -EADDRINUSE, 9;
    if (call->is_memory_out && call->va == a->far_va && call->length < a->table) return *error = -ENOMEM, 10;
    return 0;
}

static void try_map(struct abuse *a, const struct call *call)
{
    struct fixture *f = a->f;
    int expected, error;
    const unsigned row = refusing_row(a, call, &expected);

    if (row == 0) return;
    f->mapped = 7; /* must become 0 */
    f->pool.allocations_left = call->is_memory_out ? 0 : POOL_NO_LIMIT;
    error = fixture_map(f, call->va, call->pa, call->length, call->prot);
    f->pool.allocations_left = POOL_NO_LIMIT;
    if (error != expected || f->mapped != 0 || !is_unchanged(a))
        fail_msg("row %u: map va=%#llx pa=%#llx length=%#llx prot=%u memory=%d: %d, not %d, mapped %#llx%s", row,
                 (unsigned long long)call->va, (unsigned long long)call->pa, (unsigned long long)call->length,
                 call->prot, !call->is_memory_out, error, expected, (unsigned long long)f->mapped,
                 is_unchanged(a) ? "" : ", something changed");
    a->refused++;
    a->seen[row]++;
}

static void add(uint64_t *values, unsigned *count, uint64_t value)
{
    CHECK(*count < VALUES_MAX);
    values[(*count)++] = value;
}

static void choose_values(struct abuse *a)
{
    const uint64_t end = kunit_last(a->config);
    const uint64_t edge = bit(a->config->oa_bits);
    const uint64_t va[] = {
        a->free_va,
        a->far_va,
        a->page_va,
        a->large_va,
        a->large_va + a->page, /* inside */
        a->free_va + 1,
        a->free_va + a->page / 2,
        a->free_va + a->page - 1, /* not aligned */
        a->base | (end - a->page + 1),
        -a->page, /* the last page of the half, of all */
        (a->base | end) + 1,
        ~end - a->page,
        ~end,
        bit(63), /* around the hole, or the end */
        a->base - a->page,
        (a->base | end) + 1 + a->page / 2,
    };
    const uint64_t length[] = {
        0,           1,        a->page - 1, a->page,           a->page + 1, a->page + a->page / 2,
        2 * a->page, a->table, end + 1,     end + 1 + a->page, UINT64_MAX,  -a->page
    };
    const uint64_t pa[] = { 0,    a->page,  1,       a->page / 2, edge - a->page, edge - a->page + 1,
                            edge, edge + 1, bit(63), -a->page };

    a->va_count = a->length_count = a->pa_count = 0;
    for (unsigned i = 0; i < sizeof(va) / sizeof(va[0]); i++) add(a->va, &a->va_count, va[i]);
    for (unsigned i = 0; i < sizeof(length) / sizeof(length[0]); i++) add(a->length, &a->length_count, length[i]);
    for (unsigned i = 0; i < sizeof(pa) / sizeof(pa[0]); i++) add(a->pa, &a->pa_count, pa[i]);
    if (a->config->features & PT_SIGN_EXTEND) add(a->va, &a->va_count, bit(a->config->va_bits));
}

/* Every combination: so every two rules are broken at once, and more, and the first of the table decides. */
static void on_map_refuses_in_the_order_of_the_table(struct fixture *f, const struct kunit_config *config)
{
    const unsigned prots[] = { 0, PT_CACHE | PT_NOEXEC | PT_MMIO | PT_PRIV, PT_READ, RW };
    struct abuse a;

    abuse_open(&a, f, config);
    choose_values(&a);
    for (unsigned v = 0; v < a.va_count; v++) {
        for (unsigned i = 0; i < a.length_count * a.pa_count * 8; i++) {
            const struct call call = { a.va[v], a.pa[i / 8 / a.length_count], a.length[i / 8 % a.length_count],
                                       prots[i % 4], i % 8 >= 4 };

            try_map(&a, &call);
        }
    }
    for (unsigned row = 1; row <= 10; row++) {
        if (row == 3 && !(config->features & PT_FORCE_WRITEABLE)) continue;
        if (row == 8 && !(f->pt.features & PT_DYNAMIC_TOP)) continue;
        if (!a.seen[row]) fail_msg("row %u of the table never decided", row);
    }
    abuse_close(&a);
}
KUNIT_TEST(map_refuses_in_the_order_of_the_table)

/* ---- the other calls on such ranges ------------------------------------------------------------------------------ */

static void try_unmap(struct abuse *a, uint64_t va, uint64_t length)
{
    struct pt_gather gather = pt_gather_empty();
    const struct pt_gather untouched = gather;

    assert_int_equal(pt_unmap_range(&a->f->pt, iova(va), length, &gather), 0);
    assert_memory_equal(&gather, &untouched, sizeof(gather));
}

static int refusal(const struct abuse *a, uint64_t va, uint64_t length)
{
    if (length == 0) return -EINVAL;
    if (va + length - 1 < va) return -EOVERFLOW;
    return is_decoded(a->config, va, va + length - 1) ? 0 : -ERANGE;
}

static bool has_dirty(const struct abuse *a)
{
    const bool is_arm = strncmp(a->config->format, "armv8", 5) == 0;

    return a->f->pt.engine->has_dirty && (!is_arm || a->config->features & PT_HARDWARE_DIRTY);
}

static void try_dirty(struct abuse *a, uint64_t va, uint64_t length)
{
    struct pt_gather gather = pt_gather_empty();
    const struct pt_gather untouched = gather;
    const int expected = has_dirty(a) ? refusal(a, va, length) : -EOPNOTSUPP;

    assert_int_equal(pt_read_and_clear_dirty(&a->f->pt, iova(va), length, 0, NULL, NULL, &gather), expected);
    assert_memory_equal(&gather, &untouched, sizeof(gather));
}

/* Single addresses: lookup (7: false, never an errno), set_dirty, cut. */
static void try_address(struct abuse *a, uint64_t va)
{
    const bool is_inside = is_decoded(a->config, va, va);
    hpa_t result = { 99 };

    if (is_inside) return;
    assert_false(pt_iova_to_phys(&a->f->pt, iova(va), &result));
    assert_int_equal(result.value, 99);
    assert_int_equal(pt_set_dirty(&a->f->pt, iova(va)), has_dirty(a) ? -ERANGE : -EOPNOTSUPP);
    assert_int_equal(pt_cut(&a->f->pt, iova(va)), va % a->page ? -ENXIO : -ERANGE);
}

static void try_resize(struct abuse *a, uint64_t va, uint64_t length)
{
    const int range = refusal(a, va, length);
    const bool is_ragged = va % a->page || length % a->page;
    const int expected = length == 0 || range == -EOVERFLOW ? range : is_ragged ? -ENXIO : range;

    assert_int_equal(pt_resize_range(&a->f->pt, iova(va), length, 0), -EINVAL);
    assert_int_equal(pt_resize_range(&a->f->pt, iova(va), length, 3 * a->page), -EINVAL);
    assert_int_equal(pt_resize_range(&a->f->pt, iova(va), length, a->page), expected);
    assert_int_equal(pt_resize_range(&a->f->pt, iova(va), length, a->page / 2),
                     expected == -EINVAL || expected == -EOVERFLOW ? expected : -ENXIO);
}

static void on_other_calls_refuse_the_same_ranges(struct fixture *f, const struct kunit_config *config)
{
    struct abuse a;
    unsigned tried = 0;

    abuse_open(&a, f, config);
    choose_values(&a);
    for (unsigned v = 0; v < a.va_count; v++) {
        try_address(&a, a.va[v]);
        for (unsigned i = 0; i < a.length_count; i++) {
            if (refusal(&a, a.va[v], a.length[i]) == 0) continue;
            try_unmap(&a, a.va[v], a.length[i]);
            try_dirty(&a, a.va[v], a.length[i]);
            try_resize(&a, a.va[v], a.length[i]);
            tried++;
        }
    }
    assert_true(tried > 20);
    assert_true(is_unchanged(&a));
    assert_int_equal(pt_cut(&f->pt, iova(a.far_va)), -ENOENT);
    assert_int_equal(pt_cut(&f->pt, iova(a.far_va + 1)), -ENXIO);
    try_unmap(&a, a.free_va, a.page);           /* nothing there */
    try_unmap(&a, a.far_va, a.page);            /* not even a table */
    try_unmap(&a, a.large_va + a.page, a.page); /* inside a leaf */
    assert_true(is_unchanged(&a));
    abuse_close(&a);
}
KUNIT_TEST(other_calls_refuse_the_same_ranges)

/* ---- formats.md 7 ------------------------------------------------------------------------------------------------ */

/* The short path for one page honours page_sizes, and so does pt_map_pages. */
static void on_a_page_size_that_is_not_allowed_is_refused(struct fixture *f, const struct kunit_config *config)
{
    struct abuse a;

    abuse_open(&a, f, config);
    assert_int_equal(pt_set_page_sizes(&f->pt, 1), -EINVAL);
    assert_int_equal(pt_set_page_sizes(&f->pt, 0), -EINVAL);
    assert_true(is_unchanged(&a));
    assert_int_equal(pt_set_page_sizes(&f->pt, ~a.page), 0);
    remember(&a);
    assert_int_equal(fixture_map(f, a.free_va, a.page, a.page, RW), -ENXIO);
    assert_int_equal(pt_map_pages(&f->pt, iova(a.free_va), hpa(0), a.page, 1, RW, &f->mapped), -ENXIO);
    assert_int_equal(pt_map_pages(&f->pt, iova(a.free_va), hpa(0), 0, 1, RW, &f->mapped), -ENXIO);
    assert_int_equal(pt_map_pages(&f->pt, iova(a.free_va), hpa(0), 3 * a.table, 1, RW, &f->mapped), -ENXIO);
    assert_int_equal(pt_map_pages(&f->pt, iova(a.far_va), hpa(0), a.table, UINT64_MAX, RW, &f->mapped), -EOVERFLOW);
    assert_int_equal(pt_map_pages(&f->pt, iova(a.far_va), hpa(0), a.table, 0, RW, &f->mapped), -EINVAL);
    assert_true(is_unchanged(&a));
    abuse_close(&a);
}
KUNIT_TEST(a_page_size_that_is_not_allowed_is_refused)

/* A VA below the item size of the top. amdv1 of Linux 7.1 refuses it earlier, for want of a top that grows. */
static void on_a_width_below_the_top_is_refused(struct fixture *f, const struct kunit_config *config)
{
    const struct engine *engine = f->pt.engine;
    const bool is_old_amdv1 = strcmp(config->format, "amdv1") == 0 && !(config->features & PT_SMALL_VA);
    struct pt_info info;
    unsigned shift;

    pt_get_info(&f->pt, &info);
    shift = kunit_item_shift(f, config->top_level ? info.top_level : 0);
    pt_deinit(&f->pt);
    f->config.va_bits = shift - 1;
    assert_int_equal(pt_init(&f->pt, engine, &f->config), is_old_amdv1 ? -EOPNOTSUPP : -EINVAL);
    assert_int_equal(f->pool.live_pages, 0);
    f->config.va_bits = config->va_bits;
    assert_int_equal(pt_init(&f->pt, engine, &f->config), 0);
}
KUNIT_TEST(a_width_below_the_top_is_refused)

/* A page inside a dirty leaf: the whole leaf is reported and cleaned. */
static void on_a_part_of_a_dirty_leaf_reports_and_cleans_all_of_it(struct fixture *f, const struct kunit_config *config)
{
    for (unsigned shift = 0; shift < 64; shift++) {
        const uint64_t va = kunit_base(config, 0) | kunit_place(config, shift);
        struct pt_gather gather = pt_gather_empty();
        uint64_t seen[3] = { 0 };

        if (!(f->pt.page_sizes & bit(shift)) || !kunit_fits(config, shift)) continue;
        kunit_map_ok(f, va, 0, bit(shift));
        if (pt_set_dirty(&f->pt, iova(va)) == 0) {
            const uint64_t inside = va + bit(shift) - kunit_granule(f);

            assert_int_equal(pt_read_and_clear_dirty(&f->pt, iova(inside), 1, 0, fixture_count_dirty, seen, &gather),
                             0);
            assert_int_equal(seen[0], 1);
            assert_int_equal(seen[1], va);
            assert_int_equal(seen[2], bit(shift));
            assert_int_equal(gather.first.value, va);
            assert_int_equal(gather.last.value, va + low_mask(shift));
            pt_read_and_clear_dirty(&f->pt, iova(va), bit(shift), 0, fixture_count_dirty, seen, &gather);
            assert_int_equal(seen[0], 1);
            pt_gather_sync(&f->pt, &gather);
        }
        assert_int_equal(fixture_unmap(f, va, bit(shift)), bit(shift));
    }
}
KUNIT_TEST(a_part_of_a_dirty_leaf_reports_and_cleans_all_of_it)

/* A run over an empty table, then a leaf in its last item: refused, and the empty table is gone (kept as in Linux). */
static void on_a_refused_run_drops_the_empty_tables_before_the_leaf(struct fixture *f,
                                                                    const struct kunit_config *config)
{
    const unsigned item = kunit_item_shift(f, 1);
    const uint64_t sizes = f->pt.page_sizes & low_mask(kunit_item_shift(f, 2)) & ~low_mask(item + 1);
    const uint64_t run = sizes & -sizes;
    const uint64_t va = kunit_base(config, 0) | bit(kunit_item_shift(f, 2));
    const uint64_t last_page = va + run - kunit_granule(f);
    uint32_t tables;

    if (run == 0) return;
    kunit_map_ok(f, va, 0, kunit_granule(f));
    kunit_map_ok(f, last_page, kunit_granule(f), kunit_granule(f));
    assert_int_equal(fixture_unmap(f, va, kunit_granule(f)), kunit_granule(f));
    tables = table_pool_live_tables(&f->pool);
    f->syncs = f->freed = 0;
    assert_int_equal(fixture_map(f, va, 0, run, RW), -EADDRINUSE);
    assert_int_equal(f->mapped, 0);
    assert_int_equal(table_pool_live_tables(&f->pool), tables - 1);
    assert_int_equal(f->freed, 1);
    assert_int_equal(f->syncs, 1);
    assert_int_equal(fixture_phys(f, va), UINT64_MAX);
    assert_int_equal(fixture_phys(f, last_page), kunit_granule(f));
}
KUNIT_TEST(a_refused_run_drops_the_empty_tables_before_the_leaf)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_refuses_in_the_order_of_the_table),
        cmocka_unit_test(other_calls_refuse_the_same_ranges),
        cmocka_unit_test(a_page_size_that_is_not_allowed_is_refused),
        cmocka_unit_test(a_width_below_the_top_is_refused),
        cmocka_unit_test(a_part_of_a_dirty_leaf_reports_and_cleans_all_of_it),
        cmocka_unit_test(a_refused_run_drops_the_empty_tables_before_the_leaf),
    };

    return TEST_MAIN(tests, argc, argv);
}
