/* Batches on every configuration: a list against one map per run, an unmap that reports against plain unmap. */
#include "pt/pt_kunit.h"

enum { PIECES_MAX = 32, REPORTS_MAX = 64 };

/* A list, and the runs it comes to: pieces that continue each other in memory are one. */
struct batch {
    uint64_t start, length;
    struct pt_piece pieces[PIECES_MAX], runs[PIECES_MAX];
    size_t count, run_count;
};

static void add_piece(struct batch *batch, uint64_t target, uint64_t length)
{
    struct pt_piece *run = &batch->runs[batch->run_count];

    CHECK(batch->count < PIECES_MAX);
    batch->pieces[batch->count++] = (struct pt_piece){ hpa(target), length };
    batch->length += length;
    if (batch->run_count > 0 && run[-1].target.value + run[-1].length == target) {
        run[-1].length += length;
        return;
    }
    *run = batch->pieces[batch->count - 1];
    batch->run_count++;
}

/* An allowed leaf size up to an item of level 1. */
static unsigned draw_size(const struct fixture *f, struct random *random)
{
    uint64_t sizes = f->pt.page_sizes & low_mask(kunit_item_shift(f, 1) + 1);

    for (unsigned skip = (unsigned)random_below(random, (uint64_t)__builtin_popcountll(sizes)); skip > 0; skip--)
        sizes &= sizes - 1;
    return trailing_zeros(sizes);
}

/* A few pages, what is missing to the next boundary, a leaf's size and alignment, or the memory behind the last. */
static void draw_piece(const struct fixture *f, struct batch *batch, struct random *random)
{
    const uint64_t granule = kunit_granule(f), va = batch->start + batch->length;
    const unsigned size = draw_size(f, random);
    uint64_t target = random_below(random, bit(f->pt.oa_bits - 1)) & -granule;
    uint64_t length = granule * (1 + random_below(random, 4));

    switch (random_below(random, 4)) {
    case 0: break;
    case 1:
        if (-va & low_mask(size)) length = -va & low_mask(size);
        break;
    case 2:
        target = align_down(target, size);
        length = bit(size);
        break;
    case 3:
        if (batch->count > 0)
            target = batch->pieces[batch->count - 1].target.value + batch->pieces[batch->count - 1].length;
        break;
    }
    add_piece(batch, target, length);
}

static struct batch draw_batch(const struct fixture *f, uint64_t start, struct random *random)
{
    struct batch batch = { .start = start };
    const size_t count = 1 + random_below(random, PIECES_MAX);

    while (batch.count < count) draw_piece(f, &batch, random);
    return batch;
}

static int map_list(struct fixture *f, const struct batch *batch)
{
    return pt_map_list(&f->pt, iova(batch->start), &(struct pt_list){ batch->pieces, batch->count }, RW, &f->mapped);
}

/* What a list promises: one pt_map_range for each run, until one fails. */
static int map_runs(struct fixture *f, const struct batch *batch)
{
    uint64_t done = 0;
    int error = 0;

    for (size_t i = 0; i < batch->run_count && !error; i++) {
        error = fixture_map(f, batch->start + done, batch->runs[i].target.value, batch->runs[i].length, RW);
        done += f->mapped;
    }
    f->mapped = done;
    return error;
}

static void same_tables(struct fixture *f, struct fixture *twin)
{
    assert_int_equal(fixture_fingerprint(f), fixture_fingerprint(twin));
    assert_int_equal(f->pool.live_pages, twin->pool.live_pages);
}

/* A place at a boundary of items of level 0, 1 and 2. */
static uint64_t start_of(const struct fixture *f, const struct kunit_config *config, unsigned level)
{
    const uint64_t offset = level ? bit(kunit_item_shift(f, level)) - 3 * kunit_granule(f) : 0;

    return kunit_base(config, level % kunit_halves(config)) + offset;
}

static void on_a_list_is_one_map_per_run(struct fixture *f, const struct kunit_config *config)
{
    struct random random = random_seeded(config->va_bits);

    for (unsigned round = 0; round < 9; round++) {
        const struct batch batch = draw_batch(f, start_of(f, config, round % 3), &random);
        struct fixture twins[2];
        uint64_t va = batch.start;

        for (unsigned i = 0; i < 2; i++) kunit_open(&twins[i], f->pt.engine, config);
        assert_int_equal(map_list(&twins[0], &batch), 0);
        assert_int_equal(map_runs(&twins[1], &batch), 0);
        assert_int_equal(twins[0].mapped, batch.length);
        same_tables(&twins[0], &twins[1]);
        for (size_t i = 0; i < batch.count; va += batch.pieces[i++].length)
            kunit_leads(&twins[0], va, batch.pieces[i].target.value, batch.pieces[i].length);
        assert_int_equal(fixture_check(&twins[0]), 0);
        for (unsigned i = 0; i < 2; i++) fixture_close(&twins[i]);
    }
}
KUNIT_TEST(a_list_is_one_map_per_run)

/* A large leaf given page by page is one leaf; the same pages in descending order are many. */
static void on_a_leaf_may_span_pieces(struct fixture *f, const struct kunit_config *config)
{
    const unsigned level = 1;
    const uint64_t part = bit(kunit_item_shift(f, level)) / 8, start = kunit_base(config, 0) + 8 * part;
    struct batch up = { .start = start }, down = { .start = start };

    for (unsigned i = 0; i < 8; i++) {
        add_piece(&up, 8 * part + i * part, part);
        add_piece(&down, 8 * part + (7 - i) * part, part);
    }
    assert_int_equal(map_list(f, &up), 0);
    assert_int_equal(kunit_find(f, start, 0).level, level);
    assert_int_equal(kunit_find(f, start, 0).decoded.shift, kunit_item_shift(f, level));
    assert_int_equal(fixture_unmap(f, start, 1), 8 * part);
    assert_int_equal(map_list(f, &down), 0);
    assert_int_equal(kunit_find(f, start, 0).level, 0);
    kunit_leads(f, start, 15 * part, part);
    assert_int_equal(fixture_unmap(f, start, 8 * part), 8 * part);
}
KUNIT_TEST(a_leaf_may_span_pieces)

static void on_a_leaf_in_the_way_stops_a_list(struct fixture *f, const struct kunit_config *config)
{
    struct random random = random_seeded(config->oa_bits);

    for (unsigned round = 0; round < 9; round++) {
        const struct batch batch = draw_batch(f, start_of(f, config, 2), &random);
        const uint64_t at = batch.start + (random_below(&random, batch.length) & -kunit_granule(f));
        struct fixture twins[2];

        for (unsigned i = 0; i < 2; i++) {
            kunit_open(&twins[i], f->pt.engine, config);
            kunit_map_ok(&twins[i], at, 0, kunit_granule(f));
            kunit_map_ok(&twins[i], batch.start + batch.length, 0,
                         kunit_granule(f)); /* the top is as high as it gets */
        }
        assert_int_equal(map_list(&twins[0], &batch), -EADDRINUSE);
        assert_int_equal(map_runs(&twins[1], &batch), -EADDRINUSE);
        assert_int_equal(twins[0].mapped, twins[1].mapped);
        assert_true(twins[0].mapped <= at - batch.start);
        same_tables(&twins[0], &twins[1]);
        for (unsigned i = 0; i < 2; i++) fixture_close(&twins[i]);
    }
}
KUNIT_TEST(a_leaf_in_the_way_stops_a_list)

/* The n-th allocation of a table fails, for every n: progress is exact, and what is left can be mapped after it. */
static void on_every_failing_allocation_leaves_exact_progress(struct fixture *f, const struct kunit_config *config)
{
    const uint64_t granule = kunit_granule(f);
    struct batch batch = { .start = start_of(f, config, 2) };
    unsigned failures = 0;
    int error;

    for (unsigned i = 0; i < 5; i++) add_piece(&batch, (20 - 2 * i) * granule, granule);
    add_piece(&batch, granule, bit(kunit_item_shift(f, 1)));
    add_piece(&batch, 77 * granule, 2 * granule);
    do {
        struct fixture twin;

        kunit_open(&twin, f->pt.engine, config);
        twin.pool.allocations_left = failures;
        error = map_list(&twin, &batch);
        twin.pool.allocations_left = POOL_NO_LIMIT;
        assert_int_equal(error, error ? -ENOMEM : 0);
        for (uint64_t at = 0, i = 0, in = 0; at < batch.length; at += granule) {
            assert_int_equal(fixture_phys(&twin, batch.start + at),
                             at < twin.mapped ? batch.pieces[i].target.value + in : UINT64_MAX);
            in += granule;
            if (in == batch.pieces[i].length) i++, in = 0;
        }
        assert_int_equal(fixture_check(&twin), 0);
        if (error && twin.mapped) assert_int_equal(fixture_unmap(&twin, batch.start, twin.mapped), twin.mapped);
        if (error) assert_int_equal(map_list(&twin, &batch), 0);
        assert_int_equal(twin.mapped, batch.length);
        assert_int_equal(fixture_check(&twin), 0);
        fixture_close(&twin);
        failures += error != 0;
    } while (error && failures < 100);
    assert_int_equal(error, 0);
    assert_true(failures >= 3); /* the tables of level 0 at least */
}
KUNIT_TEST(every_failing_allocation_leaves_exact_progress)

/* ---- arguments -------------------------------------------------------------------------------------------------- */

/* Two good pieces and a bad one: nothing may change. */
static void refuses(struct fixture *f, uint64_t start, uint64_t target, uint64_t length, int error)
{
    const uint64_t granule = kunit_granule(f), before = fixture_fingerprint(f);
    const struct pt_piece pieces[] = { { hpa(8 * granule), granule },
                                       { hpa(4 * granule), granule },
                                       { hpa(target), length } };
    const unsigned live = f->pool.live_pages, tops = f->tops;

    f->mapped = 1;
    assert_int_equal(pt_map_list(&f->pt, iova(start), &(struct pt_list){ pieces, 3 }, RW, &f->mapped), error);
    assert_int_equal(f->mapped, 0);
    assert_int_equal(fixture_fingerprint(f), before);
    assert_int_equal(f->pool.live_pages, live);
    assert_int_equal(f->tops, tops);
}

static void on_a_bad_argument_changes_nothing(struct fixture *f, const struct kunit_config *config)
{
    const uint64_t granule = kunit_granule(f), start = kunit_base(config, 0), end = start + kunit_last(config) + 1;
    const uint64_t outputs = bit(f->pt.oa_bits), half = granule / 2;
    const struct pt_piece halves[] = { { hpa(granule), half }, { hpa(granule + half), half } };

    refuses(f, start, granule, 0, -EINVAL);
    refuses(f, start, granule + half, granule, -ENXIO);
    refuses(f, start, granule, granule + half, -ENXIO);
    refuses(f, start + half, granule, granule, -ENXIO);
    refuses(f, start, outputs, granule, -ERANGE);
    refuses(f, start, outputs + half, 0, -ERANGE); /* formats.md 2.3: the target comes first */
    refuses(f, start, outputs - granule, 2 * granule, -ERANGE);
    refuses(f, start, granule, -granule, -EOVERFLOW);
    refuses(f, -2 * granule, granule, granule, -EOVERFLOW); /* the piece before it ends at 2^64 */
    refuses(f, -2 * granule, granule, 0, -EINVAL);
    refuses(f, end - 2 * granule, granule, granule, end == 0 ? -EOVERFLOW : -ERANGE);
    assert_int_equal(pt_map_list(&f->pt, iova(start), &(struct pt_list){ halves, 0 }, RW, &f->mapped), -EINVAL);
    assert_int_equal(pt_map_list(&f->pt, iova(start), &(struct pt_list){ NULL, 0 }, RW, &f->mapped), -EINVAL);
    assert_int_equal(pt_map_list(&f->pt, iova(start), &(struct pt_list){ halves, 1 }, RW, &f->mapped), -ENXIO);
    assert_int_equal(pt_map_list(&f->pt, iova(start), &(struct pt_list){ halves, 2 }, PT_NOEXEC, &f->mapped), -EINVAL);
    assert_int_equal(pt_map_list(&f->pt, iova(start), &(struct pt_list){ halves, 2 }, RW, &f->mapped),
                     0); /* alignment is asked of runs */
    assert_int_equal(f->mapped, granule);
}
KUNIT_TEST(a_bad_argument_changes_nothing)

/* The top grows for all of a list at once, and the hardware hears of it once. */
static void on_the_top_grows_once_for_a_list(struct fixture *f, const struct kunit_config *config)
{
    const unsigned level = f->pt.engine->geometry.level_max;
    struct batch batch = { .start = kunit_base(config, 0) };
    const uint64_t granule = kunit_granule(f);
    struct pt_info info;

    pt_get_info(&f->pt, &info);
    if (!(info.features & PT_DYNAMIC_TOP)) return;
    for (unsigned at = info.top_level + 1; at <= level && kunit_item_shift(f, at) < config->va_bits; at++) {
        batch.start = bit(kunit_item_shift(f, at)) - granule;
        batch.count = batch.run_count = batch.length = 0;
        add_piece(&batch, 8 * granule, granule);
        add_piece(&batch, 2 * granule, granule);
        f->tops = 0;
        assert_int_equal(map_list(f, &batch), 0);
        assert_int_equal(f->tops, 1);
        assert_int_equal(f->top_level, at);
    }
}
KUNIT_TEST(the_top_grows_once_for_a_list)

/* Leaves over empty tables that unmaps left: the tables go, with one sync for all pieces. */
static void on_replaced_tables_cost_one_sync(struct fixture *f, const struct kunit_config *config)
{
    const uint64_t size = bit(kunit_item_shift(f, 1)), start = kunit_base(config, 0) + 8 * size;
    struct batch batch = { .start = start };

    for (unsigned i = 0; i < 4; i++) {
        kunit_map_ok(f, start + i * size, 0, kunit_granule(f));
        assert_int_equal(fixture_unmap(f, start + i * size, 1), kunit_granule(f));
        add_piece(&batch, (16 - 2 * i) * size, size);
    }
    f->syncs = f->freed = 0;
    assert_int_equal(map_list(f, &batch), 0);
    assert_int_equal(f->syncs, 1);
    assert_int_equal(f->freed, 4);
    assert_int_equal(f->first.value, start);
    assert_int_equal(f->last.value, start + 4 * size - 1);
}
KUNIT_TEST(replaced_tables_cost_one_sync)

/* ---- unmap ------------------------------------------------------------------------------------------------------- */

struct reports {
    const struct fixture *f; /* NULL: nothing is asked of it */
    struct {
        uint64_t va, target, length;
    } at[REPORTS_MAX];
    unsigned count;
};

static void take_report(void *context, iova_t start, hpa_t target, uint64_t length)
{
    struct reports *reports = context;

    CHECK(reports->count < REPORTS_MAX);
    reports->at[reports->count].va = start.value;
    reports->at[reports->count].target = target.value;
    reports->at[reports->count].length = length;
    reports->count++;
    if (!reports->f) return;
    assert_int_equal(fixture_phys(reports->f, start.value), UINT64_MAX); /* gone already */
    assert_int_equal(fixture_phys(reports->f, start.value + length - 1), UINT64_MAX);
}

/* What the table says of [start, start + length), all mapped, page by page: joined where memory continues. */
static struct reports ask_table(const struct fixture *f, uint64_t start, uint64_t length)
{
    const uint64_t granule = kunit_granule(f);
    struct reports wanted = { 0 };

    for (uint64_t done = 0; done < length; done += granule) {
        const uint64_t target = fixture_phys(f, start + done);
        const unsigned last = wanted.count - 1;

        if (wanted.count > 0 && wanted.at[last].target + wanted.at[last].length == target)
            wanted.at[last].length += granule;
        else
            take_report(&wanted, iova(start + done), hpa(target), granule);
    }
    return wanted;
}

/* Unmap on both, plain on the twin: all must be the same, and what is reported what the table said before. */
static uint64_t unmap_both(struct fixture *f, struct fixture *twin, uint64_t start, uint64_t length)
{
    struct pt_gather gather = pt_gather_empty(), plain = pt_gather_empty();
    const uint64_t removed = pt_unmap_range(&twin->pt, iova(start), length, &plain);
    const struct reports wanted = ask_table(f, start, removed);
    struct reports got = { .f = f };

    assert_int_equal(pt_unmap_ranges(&f->pt, iova(start), length, &gather, &(struct pt_receiver){ take_report, &got }),
                     removed);
    assert_int_equal(got.count, wanted.count);
    assert_memory_equal(got.at, wanted.at, sizeof(got.at));
    assert_int_equal(gather.first.value, plain.first.value);
    assert_int_equal(gather.last.value, plain.last.value);
    assert_int_equal(gather.freed.count, plain.freed.count);
    pt_gather_sync(&f->pt, &gather);
    pt_gather_sync(&twin->pt, &plain);
    assert_int_equal(f->syncs, twin->syncs);
    assert_int_equal(f->flushes, twin->flushes);
    same_tables(f, twin);
    return removed;
}

static void on_unmap_reports_what_was_there(struct fixture *f, const struct kunit_config *config)
{
    struct random random = random_seeded(config->va_bits + config->oa_bits);
    const uint64_t granule = kunit_granule(f);
    unsigned stopped = 0;
    struct fixture twin;

    kunit_open(&twin, f->pt.engine, config);
    for (unsigned round = 0; round < 6; round++) {
        const struct batch batch = draw_batch(f, start_of(f, config, round % 3), &random);

        assert_int_equal(map_list(f, &batch), 0);
        assert_int_equal(map_list(&twin, &batch), 0);
        for (unsigned i = 0; i < 12; i++) {
            const uint64_t skip = i == 0 ? 0 : random_below(&random, batch.length) & -granule;
            const uint64_t length = 1 + random_below(&random, batch.length - skip);
            const uint64_t removed = unmap_both(f, &twin, batch.start + skip, length);

            stopped += removed > 0 && removed < length;
        }
        for (uint64_t done = 0; done < batch.length;) {
            const bool is_hole = fixture_phys(f, batch.start + done) == UINT64_MAX;

            done += is_hole ? granule : unmap_both(f, &twin, batch.start + done, batch.length - done);
        }
    }
    assert_true(stopped > 0);
    fixture_close(&twin);
}
KUNIT_TEST(unmap_reports_what_was_there)

/* Whole tables go in one call, with the memory of all their items in one report. */
static void on_whole_tables_are_reported_at_once(struct fixture *f, const struct kunit_config *config)
{
    const uint64_t granule = kunit_granule(f), size = bit(kunit_item_shift(f, 1));
    const uint64_t start = kunit_base(config, 0) + 4 * size;
    struct reports got = { .f = f };
    struct pt_gather gather = pt_gather_empty();

    kunit_map_ok(f, start, granule, 3 * size);
    assert_int_equal(
        pt_unmap_ranges(&f->pt, iova(start), 3 * size, &gather, &(struct pt_receiver){ take_report, &got }), 3 * size);
    assert_int_equal(got.count, 1);
    assert_int_equal(got.at[0].va, start);
    assert_int_equal(got.at[0].target, granule);
    assert_int_equal(got.at[0].length, 3 * size);
    assert_int_equal(gather.freed.count, 3);
    assert_int_equal(f->freed, 0);
    pt_gather_sync(&f->pt, &gather);
    assert_int_equal(f->freed, 3);
}
KUNIT_TEST(whole_tables_are_reported_at_once)

static void on_an_unmap_of_nothing_reports_nothing(struct fixture *f, const struct kunit_config *config)
{
    const unsigned shift = kunit_item_shift(f, 1);
    const uint64_t granule = kunit_granule(f), start = kunit_base(config, 0) + bit(shift);
    struct fixture twin;

    kunit_open(&twin, f->pt.engine, config);
    kunit_map_ok(f, start, 0, bit(shift));
    kunit_map_ok(&twin, start, 0, bit(shift));
    assert_int_equal(unmap_both(f, &twin, start, 0), 0);
    assert_int_equal(unmap_both(f, &twin, start, -start + granule), 0);      /* wraps */
    assert_int_equal(unmap_both(f, &twin, start + granule, granule), 0);     /* inside a leaf */
    assert_int_equal(unmap_both(f, &twin, start - granule, 2 * granule), 0); /* a hole first */
    if (config->va_bits < 64)
        assert_int_equal(unmap_both(f, &twin, kunit_base(config, 0) + kunit_last(config) + 1 - granule, 2 * granule),
                         0);
    assert_int_equal(unmap_both(f, &twin, start, 1), bit(shift));
    fixture_close(&twin);
}
KUNIT_TEST(an_unmap_of_nothing_reports_nothing)

static void a_row_without_batches_refuses_them(void **state)
{
    struct engine row = *engine_find("x86_64");
    const struct pt_piece piece = { hpa(0x1000), 0x1000 };
    struct pt_gather gather = pt_gather_empty();
    struct reports got = { 0 };
    struct fixture f;

    (void)state;
    row.map_list = NULL;
    row.unmap_ranges = NULL;
    fixture_init(&f, "x86_64");
    f.pt.engine = &row;
    f.mapped = 1;
    assert_int_equal(pt_map_list(&f.pt, iova(0), &(struct pt_list){ &piece, 1 }, RW, &f.mapped), -EOPNOTSUPP);
    assert_int_equal(f.mapped, 0);
    kunit_map_ok(&f, 0, 0x1000, 0x1000);
    assert_int_equal(pt_unmap_ranges(&f.pt, iova(0), 0x1000, &gather, &(struct pt_receiver){ take_report, &got }), 0);
    assert_int_equal(got.count, 0);
    assert_int_equal(fixture_phys(&f, 0), 0x1000);
    fixture_close(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_one_map_per_run),
        cmocka_unit_test(a_leaf_may_span_pieces),
        cmocka_unit_test(a_leaf_in_the_way_stops_a_list),
        cmocka_unit_test(every_failing_allocation_leaves_exact_progress),
        cmocka_unit_test(a_bad_argument_changes_nothing),
        cmocka_unit_test(the_top_grows_once_for_a_list),
        cmocka_unit_test(replaced_tables_cost_one_sync),
        cmocka_unit_test(unmap_reports_what_was_there),
        cmocka_unit_test(whole_tables_are_reported_at_once),
        cmocka_unit_test(an_unmap_of_nothing_reports_nothing),
        cmocka_unit_test(a_row_without_batches_refuses_them),
    };

    return TEST_MAIN(tests, argc, argv);
}
