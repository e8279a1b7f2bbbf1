/*
 * Walkers that do not snoop (formats.md 2.12, invariant 31): every operation on every configuration that can be
 * incoherent, both builds of the engine, each event held to the rules of pt_flush_log.h; the trace of 2.12 word for
 * word; and the flush that a thread owes for another one's table.
 */
#include "pt/pt_flush_log.h"

#include <pthread.h>

#define FORMATS(X)                                                                                                     \
    X(x86_64) X(vtdss) X(armv8) X(armv8_16k) X(armv8_64k) X(armv8_s2) X(armv8_s2_16k) X(armv8_s2_64k) X(fake)

#define X(token) extern const struct engine token##_observed_engine;
FORMATS(X)
#undef X
#ifdef __x86_64__
#define X(token) extern const struct engine token##_vector_observed_engine;
FORMATS(X)
#undef X
#endif

static const struct engine *const engines[] = {
#define X(token) &token##_observed_engine,
    FORMATS(X)
#undef X
#ifdef __x86_64__
#define X(token) &token##_vector_observed_engine,
        FORMATS(X)
#undef X
#endif
};

enum { RANDOM_CALLS = 400, PIECES = 40, LIMITS = 6 };

/* ---- calls under observation ------------------------------------------------------------------------------------- */

static int map(struct flush_log *log, uint64_t va, uint64_t pa, uint64_t length)
{
    int error;

    log_begin(log, LOG_MAP);
    error = fixture_map(&log->f, va, pa, length, RW);
    log_end(log);
    return error;
}

static uint64_t unmap(struct flush_log *log, uint64_t va, uint64_t length)
{
    uint64_t removed;

    log_begin(log, LOG_UNMAP);
    removed = fixture_unmap(&log->f, va, length);
    log_end(log);
    return removed;
}

static void forget_report(void *context, iova_t start, hpa_t target, uint64_t length)
{
    (void)context, (void)start, (void)target, (void)length;
}

static uint64_t hand_over(struct flush_log *log, uint64_t va, uint64_t length)
{
    const struct pt_receiver receiver = { forget_report, NULL };
    struct pt_gather gather = pt_gather_empty();
    uint64_t removed;

    log_begin(log, LOG_UNMAP);
    removed = pt_unmap_ranges(&log->f.pt, iova(va), length, &gather, &receiver);
    log_end(log);
    log_begin(log, LOG_OTHER);
    pt_gather_sync(&log->f.pt, &gather);
    log_end(log);
    return removed;
}

/* Pages that do not follow each other, then some that do. */
static int map_list(struct flush_log *log, uint64_t va, uint64_t pa, unsigned count)
{
    const uint64_t granule = kunit_granule(&log->f);
    struct pt_piece pieces[PIECES];
    const struct pt_list list = { pieces, count };
    uint64_t mapped;
    int error;

    assert_true(count <= PIECES);
    for (unsigned i = 0; i < count; i++)
        pieces[i] = (struct pt_piece){ hpa(pa + (i < count / 2 ? 2 * i : i + count) * granule), granule };
    log_begin(log, LOG_MAP_LIST);
    error = pt_map_list(&log->f.pt, iova(va), &list, RW, &mapped);
    log_end(log);
    return error;
}

static int cut(struct flush_log *log, uint64_t at)
{
    int error;

    log_begin(log, LOG_OTHER);
    error = pt_cut(&log->f.pt, iova(at));
    log_end(log);
    return error;
}

static int resize(struct flush_log *log, uint64_t va, uint64_t length, uint64_t max_leaf)
{
    int error;

    log_begin(log, LOG_OTHER);
    error = pt_resize_range(&log->f.pt, iova(va), length, max_leaf);
    log_end(log);
    return error;
}

/* As hardware would, then read and clean. */
static void dirty(struct flush_log *log, uint64_t va, uint64_t length)
{
    struct pt_gather gather = pt_gather_empty();

    log_begin(log, LOG_OTHER);
    pt_set_dirty(&log->f.pt, iova(va));
    log_end(log);
    log_begin(log, LOG_OTHER);
    pt_read_and_clear_dirty(&log->f.pt, iova(va), length, 0, NULL, NULL, &gather);
    pt_gather_sync(&log->f.pt, &gather);
    log_end(log);
}

/* ---- on everything ----------------------------------------------------------------------------------------------- */

typedef void flush_test(struct flush_log *log, const struct engine *engine, const struct kunit_config *config);

static struct flush_log the_log;

static void on_all(const char *name, flush_test *test)
{
    for (size_t i = 0; i < sizeof(kunit_configs) / sizeof(kunit_configs[0]); i++) {
        const struct kunit_config *config = &kunit_configs[i];
        bool has_run = false;

        for (size_t row = 0; row < sizeof(engines) / sizeof(engines[0]); row++) {
            if (strcmp(engines[row]->format, config->format) != 0 || !engine_is_usable(engines[row])) continue;
            test(&the_log, engines[row], config);
            has_run = true;
        }
        if (has_run && getenv("MAPPROOF_RAN")) printf("ran %s %s %s\n", config->format, config->name, name);
    }
    print_message("%llu calls: %llu stores, %llu flushes, %llu links, %llu bits, %llu removals, %llu syncs\n",
                  (unsigned long long)log_total.calls, (unsigned long long)log_total.stores,
                  (unsigned long long)log_total.flushes, (unsigned long long)log_total.links,
                  (unsigned long long)log_total.bits, (unsigned long long)log_total.removals,
                  (unsigned long long)log_total.syncs);
}

#define FLUSH_TEST(name)                                                                                               \
    static void name(void **state)                                                                                     \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        on_all(#name, on_##name);                                                                                      \
    }

/* One leaf of every size: pages first, so that large leaves find empty tables; cut, joined, cleaned, removed. */
static void live_through(struct flush_log *log, unsigned shift)
{
    const uint64_t va = kunit_base(log->config, 0) | kunit_place(log->config, shift), granule = kunit_granule(&log->f);
    const uint64_t length = bit(shift), pa = shift < log->config->oa_bits ? length & low_mask(log->config->oa_bits) : 0;
    int error;

    assert_int_equal(map(log, va, 0, granule), 0);
    assert_int_equal(unmap(log, va, granule), granule);
    assert_int_equal(map(log, va, pa, length), 0);
    assert_int_equal(map(log, va, pa, length), -EADDRINUSE);
    dirty(log, va, length);
    error = cut(log, va + granule);
    if (shift == trailing_zeros(granule)) assert_int_equal(error, -ENOENT);
    dirty(log, va, length);
    resize(log, va, length, length);
    dirty(log, va, length);
    assert_int_equal(unmap(log, va, length), length);
    map(log, va, pa, length);
    assert_int_equal(hand_over(log, va, length), length);
}

static void on_every_call_keeps_the_rules(struct flush_log *log, const struct engine *engine,
                                          const struct kunit_config *config)
{
    log_open(log, engine, config);
    for (unsigned shift = trailing_zeros(kunit_granule(&log->f)); shift < 64; shift++) {
        if (log->f.pt.page_sizes & bit(shift) && kunit_fits(config, shift)) live_through(log, shift);
    }
    log_close(log);
}
FLUSH_TEST(every_call_keeps_the_rules)

/* Calls over a few tables' worth of addresses, most of which overlap something. */
static void random_call(struct flush_log *log, struct random *random)
{
    const uint64_t granule = kunit_granule(&log->f), window = 3 * (granule << log->f.pt.engine->geometry.index_bits);
    const uint64_t base = kunit_base(log->config, 0);
    const unsigned shift = trailing_zeros(granule);
    const uint64_t at = random_below(random, window / granule) << shift;
    const uint64_t most = random_one_in(random, 3) ? window - at : min_u64(window - at, 64 * granule);
    const uint64_t length = (random_below(random, most / granule) + 1) << shift;
    const uint64_t pa = random_one_in(random, 2) ? at : at + granule;

    switch (random_below(random, 8)) {
    case 0:
    case 1: map(log, base | at, pa, length); break;
    case 2: unmap(log, base | at, length); break;
    case 3: hand_over(log, base | at, length); break;
    case 4: map_list(log, base | at, pa, (unsigned)random_below(random, PIECES) + 1); break;
    case 5: cut(log, base | at); break;
    case 6: resize(log, base | at, length, bit(shift + (unsigned)random_below(random, 20))); break;
    default: dirty(log, base | at, length); break;
    }
}

static void on_any_row_of_calls_keeps_the_rules(struct flush_log *log, const struct engine *engine,
                                                const struct kunit_config *config)
{
    struct random random = random_seeded(config->va_bits);

    log_open(log, engine, config);
    for (unsigned i = 0; i < RANDOM_CALLS; i++) random_call(log, &random);
    log_close(log);
}
FLUSH_TEST(any_row_of_calls_keeps_the_rules)

/* The n-th allocation of each call fails: what was written before that is flushed all the same. */
static void on_a_call_that_runs_out_of_memory_keeps_the_rules(struct flush_log *log, const struct engine *engine,
                                                              const struct kunit_config *config)
{
    struct random random = random_seeded(config->oa_bits);

    log_open(log, engine, config);
    for (unsigned i = 0; i < RANDOM_CALLS; i++) {
        log->f.pool.allocations_left = i % 2 ? random_below(&random, LIMITS) : POOL_NO_LIMIT;
        random_call(log, &random);
    }
    log_close(log);
}
FLUSH_TEST(a_call_that_runs_out_of_memory_keeps_the_rules)

/* ---- growth ------------------------------------------------------------------------------------------------------ */

static void a_new_top_is_written_back_before_hardware_is_told(void **state)
{
    static const struct kunit_config config = { "fake-grows", "fake", 56, 47, 1, PT_DYNAMIC_TOP | PT_FLUSH_RANGE, 0 };

    (void)state;
    for (unsigned limit = 0; limit <= 6; limit++) {
        log_open(&the_log, &fake_observed_engine, &config);
        assert_int_equal(map(&the_log, 0x800, 0x800, 0x800), 0);
        the_log.f.pool.allocations_left = limit < 6 ? limit : POOL_NO_LIMIT;
        assert_int_equal(map(&the_log, bit(50), 0x1000, 0x800), limit < 6 ? -ENOMEM : 0);
        the_log.f.pool.allocations_left = POOL_NO_LIMIT;
        assert_int_equal(map(&the_log, bit(51), 0x1000, 0x800), 0);
        assert_int_equal(fixture_phys(&the_log.f, 0x800), 0x800);
        log_close(&the_log);
    }
}

/* ---- the trace of formats.md 2.12 ---------------------------------------------------------------------------------
 */

enum { TRACE_MAX = 16 };

struct trace {
    struct fixture f;
    struct {
        hpa_t table;
        unsigned offset, length;
    } events[TRACE_MAX];
    unsigned count;
};

static void trace_flush(void *context, hpa_t table, unsigned offset, unsigned length)
{
    struct trace *trace = context;

    assert_true(trace->count < TRACE_MAX);
    trace->events[trace->count].table = table;
    trace->events[trace->count].offset = offset;
    trace->events[trace->count++].length = length;
}

static void expect(const struct trace *trace, unsigned index, unsigned offset, unsigned length)
{
    assert_true(index < trace->count);
    assert_int_equal(trace->events[index].offset, offset);
    assert_int_equal(trace->events[index].length, length);
}

static void trace_open(struct trace *trace, const char *engine)
{
    memset(trace, 0, sizeof(*trace));
    fixture_open(&trace->f, engine);
    trace->f.hooks.flush = trace_flush;
    trace->f.config.context = trace;
    trace->f.config.features |= PT_DMA_INCOHERENT;
    assert_int_equal(pt_init(&trace->f.pt, engine_find(engine), &trace->f.config), 0);
}

static void the_trace_of_the_kernel_is_ours(void **state)
{
    static const char *const rows[] = { "x86_64", "vtdss" };

    (void)state;
    for (unsigned row = 0; row < 2; row++) {
        struct trace trace;
        hpa_t parent;

        trace_open(&trace, rows[row]);
        parent = trace.events[0].table;
        assert_int_equal(trace.count, 1);
        expect(&trace, 0, 0, strcmp(rows[row], "vtdss") == 0 ? 4096 : 2048); /* 47 bits use half a top */
        fixture_map_ok(&trace.f, 0x1000, 0x5000, 0x1000, RW);
        assert_int_equal(trace.count, 1 + 3 * 2 + 1);
        for (unsigned i = 1; i < 7; i += 2) {
            expect(&trace, i, 0, 4096); /* the child, as a whole */
            expect(&trace, i + 1, 0, 8);
            assert_int_equal(trace.events[i + 1].table.value, parent.value);
            parent = trace.events[i].table;
        }
        expect(&trace, 7, 8, 8);
        assert_int_equal(trace.events[7].table.value, parent.value);
        fixture_map_ok(&trace.f, 0x2000, 0x6000, 0x3000, RW);
        assert_int_equal(trace.count, 9);
        expect(&trace, 8, 0x10, 0x18);
        /* Items that lie between are flushed with them. */
        assert_int_equal(fixture_unmap(&trace.f, 0x1000, 0x4000), 0x4000);
        assert_int_equal(trace.count, 10);
        expect(&trace, 9, 8, 0x20);
        /* An empty table in the way: its item cleared, then the leaf. */
        fixture_map_ok(&trace.f, 0, bit(21), bit(21), RW);
        assert_int_equal(trace.count, 12);
        expect(&trace, 10, 0, 8);
        expect(&trace, 11, 0, 8);
        assert_int_equal(trace.events[11].table.value, trace.events[10].table.value);
        pt_deinit(&trace.f.pt);
        table_pool_destroy(&trace.f.pool);
    }
}

/* Two tables go with the second one's parent: a flush for each, one for both items that led to them. */
static void an_unmap_flushes_each_table_once(void **state)
{
    struct trace trace;

    (void)state;
    trace_open(&trace, "x86_64");
    fixture_map_ok(&trace.f, 0, 0x1000, 3u << 21, RW);
    trace.count = 0;
    assert_int_equal(fixture_unmap(&trace.f, 0, 3u << 21), 3u << 21);
    assert_int_equal(trace.count, 4);
    for (unsigned i = 0; i < 3; i++) expect(&trace, i, 0, 4096);
    expect(&trace, 3, 0, 24);
    pt_deinit(&trace.f.pt);
    table_pool_destroy(&trace.f.pool);
}

/* ---- another thread's table -------------------------------------------------------------------------------------- */

/* By hand: each table item on the way in turn without its bit, as another thread leaves it before its flush. */
static void an_item_without_the_bit_is_flushed_by_its_finder(void **state)
{
    (void)state;
    for (unsigned level = 1; level <= 3; level++) {
        struct trace trace;
        pt_item_t *item;
        uint64_t bits;

        trace_open(&trace, "x86_64");
        fixture_map_ok(&trace.f, 0x1000, 0x5000, 0x1000, RW);
        item = fixture_slot(&trace.f, level, 0);
        bits = pt_sync_load(item);
        assert_true(bits & 0x200);
        pt_sync_store(item, bits & ~UINT64_C(0x200));
        trace.count = 0;
        fixture_map_ok(&trace.f, 0x2000, 0x6000, 0x1000, RW);
        assert_int_equal(trace.count, 2);
        assert_int_equal(trace.events[0].table.value,
                         align_down(table_pool_address(&trace.f.pool, item), POOL_PAGE_SHIFT));
        expect(&trace, 0, 0, 8);
        expect(&trace, 1, 16, 8);
        assert_int_equal(pt_sync_load(item), bits);
        pt_deinit(&trace.f.pt);
        table_pool_destroy(&trace.f.pool);
    }
}

enum { PAIR_PAGES = 512, PAIR_WORDS = PAIR_PAGES * 512, WAITS = 1000000, PAIR_ROUNDS = 200 };

/* Two threads and what the device sees of their tables. */
static _Thread_local bool is_first_thread;

struct pair {
    struct fixture f;
    _Atomic uint64_t image[PAIR_WORDS];
    atomic_bool second_is_done;
    atomic_bool holds_first; /* the first thread's flush of a table item waits for the other thread */
    unsigned held;
};

static void pair_flush(void *context, hpa_t table, unsigned offset, unsigned length)
{
    struct pair *pair = context;
    const pt_item_t *items = table_pool_pointer(&pair->f.pool, table.value + offset);
    const uint64_t word = (table.value + offset - pair->f.pool.base) / 8;

    if (length == 8 && is_first_thread && pair->holds_first) {
        for (unsigned i = 0; i < WAITS && !atomic_load(&pair->second_is_done); i++) sched_yield();
        pair->held += atomic_load(&pair->second_is_done);
        pair->holds_first = false;
    }
    for (unsigned i = 0; i < length / 8; i++) atomic_store(&pair->image[word + i], pt_sync_load(&items[i]));
}

/* Where the device's walk of a 4K page of x86_64 ends; 0: nowhere. */
static uint64_t pair_walk(struct pair *pair, uint64_t va)
{
    struct pt_info info;
    uint64_t table, item = 0;

    pt_get_info(&pair->f.pt, &info);
    table = info.top.value;
    for (unsigned level = info.top_level + 1; level-- > 0; table = item & UINT64_C(0x000ffffffffff000)) {
        item = atomic_load(&pair->image[(table - pair->f.pool.base) / 8 + (va >> (12 + 9 * level) & 511)]);
        if (!(item & 1)) return 0;
    }
    return item & UINT64_C(0x000ffffffffff000);
}

struct pair_thread {
    struct pair *pair;
    uint64_t va;
};

static bool pair_map(struct pair *pair, uint64_t va)
{
    uint64_t mapped;

    return pt_map_range(&pair->f.pt, iova(va), hpa(va), 0x1000, RW, &mapped) == 0 && pair_walk(pair, va) == va;
}

/* What is mapped is seen by the device when the call is back, whoever installed the tables. */
static void *map_and_look(void *argument)
{
    struct pair_thread *thread = argument;

    for (unsigned i = 0; i < PAIR_ROUNDS; i++) {
        if (!pair_map(thread->pair, thread->va + ((uint64_t)i << 21))) return argument;
    }
    return NULL;
}

static void *map_first(void *argument)
{
    struct pair_thread *thread = argument;

    is_first_thread = true;
    return pair_map(thread->pair, thread->va) ? NULL : argument;
}

static void pair_open(struct pair *pair)
{
    memset(pair, 0, sizeof(*pair));
    fixture_open(&pair->f, "x86_64");
    pair->f.pool.page_count = PAIR_PAGES;
    pair->f.hooks.flush = pair_flush;
    pair->f.config.context = pair;
    pair->f.config.features |= PT_DMA_INCOHERENT;
    assert_int_equal(pt_init(&pair->f.pt, engine_find("x86_64"), &pair->f.config), 0);
}

static void pair_close(struct pair *pair)
{
    pt_deinit(&pair->f.pt);
    pair->f.pool.page_count = 4096;
    table_pool_destroy(&pair->f.pool);
}

/* The one that installs a table is held before its flush; the other finds the item, and must not rely on it. */
static void a_held_thread_does_not_hide_what_another_maps(void **state)
{
    static struct pair pair;
    struct pair_thread first = { &pair, 0x1000 };
    pthread_t thread;
    void *failed;

    (void)state;
    pair_open(&pair);
    pair.holds_first = true;
    assert_int_equal(pthread_create(&thread, NULL, map_first, &first), 0);
    while (pt_sync_load(fixture_slot(&pair.f, 3, 0)) == 0) sched_yield();
    assert_true(pair_map(&pair, 0x2000));
    atomic_store(&pair.second_is_done, true);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_int_equal(pair.held, 1);
    pair_close(&pair);
}

static void threads_see_their_maps_through_the_device(void **state)
{
    static struct pair pair;
    struct pair_thread workers[2] = { { &pair, 0x1000 }, { &pair, 0x2000 } };
    pthread_t threads[2];

    (void)state;
    pair_open(&pair);
    for (unsigned i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, map_and_look, &workers[i]), 0);
    for (unsigned i = 0; i < 2; i++) {
        void *failed;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    pair_close(&pair);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_keeps_the_rules),
        cmocka_unit_test(any_row_of_calls_keeps_the_rules),
        cmocka_unit_test(a_call_that_runs_out_of_memory_keeps_the_rules),
        cmocka_unit_test(a_new_top_is_written_back_before_hardware_is_told),
        cmocka_unit_test(the_trace_of_the_kernel_is_ours),
        cmocka_unit_test(an_unmap_flushes_each_table_once),
        cmocka_unit_test(an_item_without_the_bit_is_flushed_by_its_finder),
        cmocka_unit_test(a_held_thread_does_not_hide_what_another_maps),
        cmocka_unit_test(threads_see_their_maps_through_the_device),
    };

    return TEST_MAIN(tests, argc, argv);
}
