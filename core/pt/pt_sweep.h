/*
 * What the programs of the failure sweep share (pt_nomem_test.c, pt_nomem_leaf_test.c): the n-th table allocation of an
 * operation fails, for every n, every operation, every configuration of pt_kunit.h and several starting tables. Each
 * time the progress must be exact, every other translation as it was, nothing leaked, and what is left must succeed
 * afterwards, with the very table of an undisturbed run.
 */
#pragma once

#include "pt/pt_kunit.h"

/* ---- what a table holds ------------------------------------------------------------------------------------------ */

struct leaf_item {
    uint64_t va;
    uint64_t hash; /* of level, address and raw word */
};

struct snapshot {
    struct leaf_item *leaves; /* every item of every leaf, ascending */
    size_t count, room;
    uint64_t sum;         /* of their hashes */
    uint64_t fingerprint; /* of every item but for the addresses of tables */
    uint32_t tables;
    unsigned top_level;
};

static void note_item(void *context, const struct pt_item *item)
{
    struct snapshot *snapshot = context;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    fixture_mix(&snapshot->fingerprint, item);
    if (item->is_table) return;
    fixture_mix(&hash, item);
    if (snapshot->count == snapshot->room) {
        snapshot->room = snapshot->room ? 2 * snapshot->room : 1024;
        snapshot->leaves = realloc(snapshot->leaves, snapshot->room * sizeof(snapshot->leaves[0]));
        CHECK(snapshot->leaves != NULL);
    }
    hash ^= hash >> 29;
    snapshot->leaves[snapshot->count++] = (struct leaf_item){ item->va.value, hash };
    snapshot->sum += hash;
}

static void take(struct fixture *f, struct snapshot *snapshot)
{
    struct pt_info info;

    snapshot->count = 0;
    snapshot->sum = 0;
    snapshot->fingerprint = UINT64_C(0xcbf29ce484222325);
    pt_walk_items(&f->pt, note_item, snapshot);
    pt_get_info(&f->pt, &info);
    snapshot->tables = table_pool_live_tables(&f->pool);
    snapshot->top_level = info.top_level;
}

/* The sum of the leaf items that start inside [va, va + length). */
static uint64_t sum_inside(const struct snapshot *snapshot, uint64_t va, uint64_t length)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < snapshot->count; i++) {
        if (snapshot->leaves[i].va - va < length) sum += snapshot->leaves[i].hash;
    }
    return sum;
}

/* ---- one operation on one starting table ------------------------------------------------------------------------- */

enum { SAMPLES = 48, PIECES_MAX = 16 };

struct sweep {
    struct fixture *f;
    const struct kunit_config *config;
    const struct engine *engine;
    uint64_t base;                      /* of the half that is used */
    uint64_t page, table, large_table;  /* bytes of a smallest page, of a lowest table, of one above */
    uint64_t window;                    /* where tables lie and operations happen */
    uint64_t va, pa, length, max_leaf;  /* the operation's arguments */
    uint64_t done;                      /* bytes of it, maps only */
    struct pt_piece pieces[PIECES_MAX]; /* of a list */
    size_t piece_count;                 /* 0: the operation is no list */
    uint64_t undo_va, undo_length;      /* what an unmap takes away afterwards */
    struct snapshot before, after, now;
    struct {
        uint64_t va, pa;
    } samples[SAMPLES];
    unsigned sample_count;
    int result; /* undisturbed */
    uint64_t result_done, allocations;
};

/* What may have happened when memory ran out. */
enum progress {
    BY_LEAVES, /* `done` says how far: leaves before are there, nothing else is */
    BY_SPLITS, /* leaves up to some leaf's end are as afterwards, the others as before */
    NOTHING,   /* not one item differs */
};

struct operation {
    const char *name;
    bool (*aim)(struct sweep *s); /* set the arguments, map what it needs. False: no room for it here */
    int (*run)(struct sweep *s);
    enum progress progress;
};

struct start {
    const char *name;
    void (*build)(struct sweep *s);
};

static unsigned points; /* allocations that were made to fail */
static bool is_swept[sizeof(kunit_configs) / sizeof(kunit_configs[0])];

/* An empty table. All of the old one must have gone back to the pool, and zeroed. */
static void restart(struct sweep *s)
{
    struct fixture *f = s->f;
    struct pt_info info;

    pt_deinit(&f->pt);
    assert_int_equal(f->pool.live_pages, 0);
    assert_int_equal(table_pool_find_dirty_free_page(&f->pool), POOL_NO_PAGE);
    table_pool_reset(&f->pool);
    f->freed = f->tops = f->syncs = f->flushes = 0;
    assert_int_equal(pt_init(&f->pt, s->engine, &f->config), 0);
    pt_get_info(&f->pt, &info);
    s->base = kunit_base(s->config, kunit_halves(s->config) - 1);
    s->page = kunit_granule(f);
    s->table = bit(kunit_item_shift(f, 1));
    s->large_table = bit(kunit_item_shift(f, 2));
    s->window = s->large_table;
    s->done = s->undo_length = s->max_leaf = 0;
    s->piece_count = 0;
    assert_true(s->window * 4 <= kunit_last(s->config));
}

static void prepare(struct sweep *s, const struct start *start)
{
    restart(s);
    start->build(s);
}

static void note_samples(struct sweep *s)
{
    const size_t step = s->before.count / SAMPLES + 1;

    s->sample_count = 0;
    for (size_t i = 0; i < s->before.count; i += step) {
        const uint64_t va = s->before.leaves[i].va + s->page - 1;

        s->samples[s->sample_count].va = va;
        s->samples[s->sample_count++].pa = fixture_phys(s->f, va);
    }
}

static void check_samples(const struct sweep *s)
{
    for (unsigned i = 0; i < s->sample_count; i++)
        assert_int_equal(fixture_phys(s->f, s->samples[i].va), s->samples[i].pa);
}

/* Is the table as afterwards in the first `bytes` of the range, and as before elsewhere? */
static bool is_done_up_to(const struct sweep *s, uint64_t bytes)
{
    const uint64_t elsewhere = s->before.sum - sum_inside(&s->before, s->va, bytes);

    return s->now.sum == elsewhere + sum_inside(&s->after, s->va, bytes);
}

static bool is_done_up_to_a_leaf(const struct sweep *s)
{
    if (is_done_up_to(s, 0)) return true;
    for (size_t i = 0; i < s->before.count; i++) {
        const uint64_t offset = s->before.leaves[i].va - s->va;

        if (offset < s->length && is_done_up_to(s, offset)) return true;
    }
    return false;
}

/* Where byte `offset` of the operation leads when it is done. */
static uint64_t target_of(const struct sweep *s, uint64_t offset)
{
    for (size_t i = 0; i < s->piece_count; i++) {
        if (offset < s->pieces[i].length) return s->pieces[i].target.value + offset;
        offset -= s->pieces[i].length;
    }
    return s->pa + offset;
}

static void check_map_progress(const struct sweep *s, uint64_t n)
{
    const unsigned growth = s->after.top_level - s->before.top_level;

    assert_true(s->done <= s->result_done);
    if (n < growth) { /* taller tops come first, all or none */
        assert_int_equal(s->done, 0);
        assert_int_equal(s->now.fingerprint, s->before.fingerprint);
        assert_int_equal(s->now.tables, s->before.tables);
        assert_int_equal(s->f->tops, 0);
        return;
    }
    assert_true(is_done_up_to(s, s->done));
    assert_int_equal(s->now.tables + s->f->freed, s->before.tables + n); /* those that were made stay */
    assert_int_equal(s->now.top_level, s->after.top_level);
    assert_int_equal(s->f->tops, growth > 0);
    assert_int_equal(fixture_phys(s->f, s->va + s->done), UINT64_MAX);
    if (s->done == 0) return;
    assert_int_equal(fixture_phys(s->f, s->va), target_of(s, 0));
    assert_int_equal(fixture_phys(s->f, s->va + s->done - 1), target_of(s, s->done - 1));
}

static void check_progress(struct sweep *s, const struct operation *operation, uint64_t n)
{
    assert_int_equal(fixture_check(s->f), 0);
    take(s->f, &s->now);
    check_samples(s);
    if (operation->progress == BY_LEAVES) {
        check_map_progress(s, n);
    } else if (operation->progress == NOTHING) {
        assert_int_equal(s->now.fingerprint, s->before.fingerprint);
        assert_int_equal(s->now.tables, s->before.tables);
    } else {
        assert_true(is_done_up_to_a_leaf(s));
    }
}

/* The memory that an unmap must hand over: what the operation mapped there. */
struct handed {
    const struct sweep *s;
    uint64_t bytes;
};

static void take_memory(void *context, iova_t start, hpa_t target, uint64_t length)
{
    struct handed *handed = context;
    const struct sweep *s = handed->s;
    uint64_t va = 0;

    assert_int_equal(start.value, s->va + handed->bytes);
    for (size_t i = 0; i < s->piece_count; va += s->pieces[i++].length) {
        const uint64_t first = va - handed->bytes, last = first + s->pieces[i].length - 1;

        if (first < length) assert_int_equal(target.value + first, target_of(s, va));
        if (last < length) assert_int_equal(target.value + last, target_of(s, handed->bytes + last));
    }
    handed->bytes += length;
    assert_true(handed->bytes == s->done || target_of(s, handed->bytes) != target.value + length);
}

/* All that a list mapped so far goes, and is handed over: nothing more, nothing less. */
static void hand_back(const struct sweep *s)
{
    struct pt_gather gather = pt_gather_empty();
    struct handed handed = { s, 0 };

    assert_int_equal(
        pt_unmap_ranges(&s->f->pt, iova(s->va), s->done, &gather, &(struct pt_receiver){ take_memory, &handed }),
        s->done);
    assert_int_equal(handed.bytes, s->done);
    pt_gather_sync(&s->f->pt, &gather);
}

/* What was left worked, led to the table of the undisturbed run, and can be unmapped. */
static void check_finished(struct sweep *s, int result)
{
    assert_int_equal(result, s->result);
    assert_int_equal(s->done, s->result_done);
    take(s->f, &s->now);
    assert_int_equal(s->now.fingerprint, s->after.fingerprint);
    assert_int_equal(s->now.sum, s->after.sum);
    assert_int_equal(s->now.tables, s->after.tables);
    if (s->piece_count > 0 && s->done > 0)
        hand_back(s);
    else if (s->undo_length > 0)
        assert_int_equal(fixture_unmap(s->f, s->undo_va, s->undo_length), s->undo_length);
    assert_int_equal(fixture_check(s->f), 0);
}

/* From the same start, with `limit` tables to be had. */
static int run_again(struct sweep *s, const struct start *start, const struct operation *operation, uint64_t limit)
{
    int result;

    prepare(s, start);
    assert_true(operation->aim(s));
    assert_int_equal(table_pool_live_tables(&s->f->pool), s->before.tables);
    s->f->freed = s->f->tops = 0;
    s->f->pool.allocations_left = limit;
    result = operation->run(s);
    s->f->pool.allocations_left = POOL_NO_LIMIT;
    return result;
}

static void sweep_operation(struct sweep *s, const struct start *start, const struct operation *operation)
{
    prepare(s, start);
    if (!operation->aim(s)) return;
    take(s->f, &s->before);
    note_samples(s);
    s->f->pool.allocations = 0;
    s->result = operation->run(s);
    assert_int_not_equal(s->result, -ENOMEM);
    s->allocations = s->f->pool.allocations;
    s->result_done = s->done;
    assert_int_equal(fixture_check(s->f), 0);
    take(s->f, &s->after);
    check_finished(s, s->result);
    if (s->undo_length > 0) { /* the unmap took that and nothing else */
        take(s->f, &s->now);
        assert_int_equal(s->now.sum, s->after.sum - sum_inside(&s->after, s->undo_va, s->undo_length));
    }
    for (uint64_t n = 0; n < s->allocations; n++) {
        if (run_again(s, start, operation, n) != -ENOMEM)
            fail_msg("%s from %s: no -ENOMEM at allocation %u", operation->name, start->name, (unsigned)n);
        if (getenv("MAPPROOF_RAN")) recorder_event_of_last(&s->f->pt);
        check_progress(s, operation, n);
        if (s->piece_count > 0 && s->done > 0) { /* progress taken back by the call that reports it, then all again */
            hand_back(s);
            assert_int_equal(fixture_check(s->f), 0);
            assert_int_equal(run_again(s, start, operation, n), -ENOMEM);
        }
        check_finished(s, operation->run(s));
        points++;
    }
}

/* ---- starting tables --------------------------------------------------------------------------------------------- */

static void map_page(struct sweep *s, uint64_t offset)
{
    kunit_map_ok(s->f, s->base | offset, 7 * s->page, s->page);
}

static void start_empty(struct sweep *s)
{
    (void)s;
}

/* Single pages, of which one lies in the way of some operations. */
static void start_sparse(struct sweep *s)
{
    map_page(s, 0);
    map_page(s, s->window - 8 * s->page);
    map_page(s, s->window + 2 * s->table + 7 * s->page);
    map_page(s, align_down(kunit_last(s->config), trailing_zeros(s->page)));
}

/* The lowest table below the window is full but for its last three items; of a larger one, half a thousand items. */
static void start_full(struct sweep *s)
{
    const uint64_t all = s->f->pt.page_sizes;
    const uint64_t bytes = min_u64(s->table, 512 * s->page);

    s->f->pt.page_sizes = s->page;
    kunit_map_ok(s->f, s->base | (s->window - bytes), s->page, bytes - 3 * s->page);
    s->f->pt.page_sizes = all;
}

/* Empty tables of all levels that unmaps left. */
static void start_leftover(struct sweep *s)
{
    const uint64_t offsets[] = { 0, s->window - s->page, s->window + s->page, s->window + s->table + 9 * s->page,
                                 s->window + 40 * s->table };

    for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        map_page(s, offsets[i]);
        assert_int_equal(fixture_unmap(s->f, s->base | offsets[i], s->page), s->page);
    }
}

/* The smallest (or largest) size of several items of `level`; 0: none. */
static uint64_t run_size(const struct sweep *s, unsigned level, bool is_smallest)
{
    const uint64_t sizes = s->f->pt.page_sizes & low_mask(kunit_item_shift(s->f, level + 1)) &
                           ~low_mask(kunit_item_shift(s->f, level) + 1);

    if (sizes == 0) return 0;
    return is_smallest ? sizes & -sizes : bit(log2_floor(sizes));
}

/* Leaves of several items where the format has them, large leaves of one where not. */
static void start_runs(struct sweep *s)
{
    const uint64_t low = run_size(s, 0, false), high = run_size(s, 1, false);

    kunit_map_ok(s->f, s->base | (s->window - s->table), 0, low ? low : s->page);
    kunit_map_ok(s->f, s->base | (s->window + s->large_table / 2), 0, high ? high : s->table);
    if (run_size(s, 1, true)) kunit_map_ok(s->f, s->base | (s->window + s->large_table / 4), 0, run_size(s, 1, true));
}

static const struct start starts[] = {
    { "an empty table", start_empty },     { "a sparse table", start_sparse },
    { "leftover tables", start_leftover }, { "runs", start_runs },
    { "a full lower table", start_full },
};

/* ---- arguments --------------------------------------------------------------------------------------------------- */

/* False where the half or the output width ends before. */
static bool aim_at(struct sweep *s, uint64_t offset, uint64_t pa, uint64_t length)
{
    if (offset > kunit_last(s->config) || length - 1 > kunit_last(s->config) - offset) return false;
    if (length > bit(s->config->oa_bits) - pa) return false;
    s->va = s->base | offset;
    s->pa = pa;
    s->length = length;
    return true;
}

/* To a target that is aligned as far as the widths allow. */
static bool aim_aligned(struct sweep *s, uint64_t offset, uint64_t length)
{
    return aim_at(s, offset, offset & low_mask(s->config->oa_bits - 1), length);
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static void sweep_table(struct fixture *f, const struct kunit_config *config, const struct operation *operations,
                        size_t count)
{
    struct sweep s = { .f = f, .config = config, .engine = f->pt.engine };
    const unsigned points_before = points;

    for (size_t start = 0; start < sizeof(starts) / sizeof(starts[0]); start++) {
        if (starts[start].build == start_full && operations->progress != BY_LEAVES) continue; /* beside maps only */
        for (size_t i = 0; i < count; i++) sweep_operation(&s, &starts[start], &operations[i]);
    }
    if (points > points_before) is_swept[config - kunit_configs] = true;
    free(s.before.leaves);
    free(s.after.leaves);
    free(s.now.leaves);
}

#define SWEEP(name, operations)                                                                                        \
    static void on_##name(struct fixture *f, const struct kunit_config *config)                                        \
    {                                                                                                                  \
        sweep_table(f, config, operations, sizeof(operations) / sizeof(operations[0]));                                \
    }                                                                                                                  \
    KUNIT_TEST(name)

static int sweep_print_case(void **state)
{
    (void)state;
    recorder_print(&fixture_recorders, "sweep", NUMBER_EVENTS, stdout);
    return 0;
}

/* What the closing line of each program says. */
static int sweep_report(int failed)
{
    unsigned configurations = 0;

    for (size_t i = 0; i < sizeof(is_swept) / sizeof(is_swept[0]); i++) configurations += is_swept[i];
    printf("swept %u failure points over %u configurations\n", points, configurations);
    return failed;
}

/* The main of each program. */
#define SWEEP_MAIN(tests, argc, argv) (test_case_end = sweep_print_case, sweep_report(TEST_MAIN(tests, argc, argv)))
