/*
 * The fuzzer without a fuzzer: scripts drawn from fixed seeds, each op compared with the oracle and the hardware walk,
 * in every format, with general and vector engines; with any compiler, on every test run.
 */
#include "base/test_main.h"
#include "script/script.h"
#include "world/world_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { OPS_MAX = 128, SCRIPTS = 200, WATCHED_ONE_IN = 16 };

struct run {
    struct world *world;
    const struct op *ops;
    size_t count;
    uint64_t seed;
    bool is_watched; /* look at everything after every op */
    uint64_t hash;   /* of every outcome */
    uint64_t applied, skipped, refused, walks;
};

static struct recorder_set recorders; /* for scripts/matrix */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static void expect_no_difference(const struct run *run, size_t at)
{
    size_t length;
    char *text;

    if (!world_difference(run->world)) return;
    text = script_print_ops(run->ops, run->count, &length);
    fprintf(stderr, "seed %" PRIu64 " op %zu\n%s\n%s", run->seed, at, world_difference(run->world), text);
    free(text);
    fail();
}

static uint64_t hash_outcome(uint64_t hash, const struct world_outcome *outcome)
{
    char text[256];

    world_print_outcome(outcome, text, sizeof(text));
    for (const char *c = text; *c; c++) hash = mix(hash, (unsigned char)*c);
    hash = mix(hash, outcome->bytes);
    hash = mix(hash, outcome->leaves);
    hash = mix(hash, outcome->freed);
    return mix(hash, outcome->dma.reads);
}

/* The bytes of every table page, where S2 and the host's pool have any. */
static uint64_t hash_tables(uint64_t hash, struct world *world)
{
    const struct pt *pt = world_table(world, 0, STAGE_DEFAULT);
    const struct table_pool *pool = pt->pool;

    for (uint64_t page = 0; page < pool->fresh; page++) {
        const uint8_t *bytes = pool->bytes + page * POOL_PAGE_BYTES;

        for (size_t at = 0; at < POOL_PAGE_BYTES; at += sizeof(uint64_t)) {
            uint64_t item;

            memcpy(&item, bytes + at, sizeof(item));
            hash = item ? mix(mix(hash, page * POOL_PAGE_BYTES + at), item) : hash;
        }
    }
    return hash;
}

static bool run_script(struct run *run)
{
    char message[256];

    if (world_begin(run->world, &run->ops[0], message, sizeof(message)) != 0) return false;
    if (getenv("MAPPROOF_RAN")) world_record(run->world, &recorders);
    for (size_t i = 1; i < run->count; i++) {
        struct world_outcome outcome;

        world_apply(run->world, &run->ops[i], &outcome);
        run->applied++;
        run->skipped += outcome.is_skipped;
        run->refused += outcome.error != 0;
        run->hash = hash_outcome(run->hash, &outcome);
        if (run->is_watched) world_check(run->world);
        expect_no_difference(run, i);
    }
    world_check(run->world);
    expect_no_difference(run, run->count - 1);
    run->hash = hash_tables(run->hash, run->world);
    run->walks += world_totals(run->world)->walks;
    return true;
}

/* Scripts of one format, each with its own seed, so that a failure names what to run again. */
static struct run run_seeds(unsigned format, uint64_t first_seed, const char *engine)
{
    struct run run = { .world = world_new() };
    unsigned refused_worlds = 0, scripts = 0;

    for (uint64_t seed = first_seed; scripts < SCRIPTS; seed++) {
        struct random random = random_seeded(seed);
        struct op ops[OPS_MAX];
        const size_t count = script_generate(&random, ops, OPS_MAX);

        if (op_get(&ops[0], FIELD_FORMAT) != format) continue;
        scripts++;
        run.ops = ops;
        run.count = count;
        run.seed = seed;
        run.is_watched = seed % WATCHED_ONE_IN == 0;
        world_use_engine(run.world, engine ? engine_find(engine) : NULL);
        refused_worlds += !run_script(&run);
    }
    print_message("%s: %u scripts (%u worlds refused), %" PRIu64 " ops, %" PRIu64 " skipped, %" PRIu64
                  " refused, %" PRIu64 " walks\n",
                  engine ? engine : op_format_name(format), scripts, refused_worlds, run.applied, run.skipped,
                  run.refused, run.walks);
    /* A generator whose scripts do nothing would pass everything. */
    assert_true(refused_worlds * 20 <= scripts);
    assert_true(run.skipped * 20 <= run.applied);
    assert_true(run.refused * 3 <= run.applied);
    assert_true(run.walks > run.applied);
    world_free(run.world);
    return run;
}

static void every_format_does_what_the_oracle_says_on_drawn_scripts(void **state)
{
    (void)state;
    for (unsigned format = 0; op_format_name(format); format++) run_seeds(format, 1000 * (1 + format), NULL);
    recorder_print(&recorders, "oracle", NUMBER_CALLS, stdout);
}

/* ---- what drawn scripts seldom come to --------------------------------------------------------------------------- */

enum { PAGES = 128, ROUNDS = 8 };

static struct op on_range(enum op_kind kind, uint64_t start, uint64_t length)
{
    struct op op = op_make(kind);

    op_set(&op, FIELD_INPUT, start);
    op_set(&op, FIELD_LENGTH, length);
    return op;
}

static void apply(struct run *run, struct op op)
{
    struct world_outcome outcome;

    world_apply(run->world, &op, &outcome);
    assert_false(outcome.is_skipped);
    run->ops = &op;
    run->count = 1;
    expect_no_difference(run, 0);
}

static void apply_resize(struct run *run, uint64_t start, uint64_t length, unsigned shift)
{
    struct op op = on_range(OP_RESIZE, start, length);

    op_set(&op, FIELD_MAX, shift);
    apply(run, op);
}

static void apply_map(struct run *run, uint64_t start, uint64_t target, uint64_t length)
{
    struct op op = on_range(OP_MAP, start, length);

    op_set(&op, FIELD_HPA, target);
    apply(run, op);
}

/* As the oracle says, mapped or not; a later dirty_read compares what became of it. */
static void set_dirty(struct world *world, uint64_t address)
{
    struct world_table *table = &world->tables[0];
    const int expected = oracle_set_dirty_predict(&table->oracle, address);

    assert_int_equal(pt_set_dirty(&table->pt, iova(address)), expected);
    if (!expected) oracle_set_dirty(&table->oracle, address, true);
}

static unsigned flushes;

static void count_flush(void *context, hpa_t table, unsigned offset, unsigned length)
{
    (void)context, (void)table, (void)offset, (void)length;
    flushes++;
}

/* The table of domain 0 again, as no world can have it: hardware does not snoop, and the top may grow. */
static void vary(struct world *world)
{
    static struct pt_hooks hooks;
    struct world_table *table = &world->tables[0];
    const struct engine *engine = table->pt.engine;
    struct pt_config config = engine_default_config(engine);
    struct oracle_config oracle = table->oracle.config;
    struct pt_info info;

    hooks = world_hooks;
    hooks.flush = count_flush;
    config.pool = &world->pool;
    config.hooks = &hooks;
    config.context = table;
    config.features |= engine->features & PT_DMA_INCOHERENT;
    if (engine->features & PT_DYNAMIC_TOP && !(config.features & PT_DYNAMIC_TOP)) {
        config.features |= PT_DYNAMIC_TOP;
        oracle.va_bits = config.va_bits = engine->va_bits_max;
        oracle.top_level = config.top_level = 1;
        oracle.grows = true;
    }
    pt_deinit(&table->pt);
    assert_int_equal(pt_init(&table->pt, engine, &config), 0);
    pt_get_info(&table->pt, &info);
    table->walk.root = info.top.value;
    table->walk.top_level = info.top_level;
    table->walk.va_bits = info.va_bits;
    oracle_table_free(&table->oracle);
    oracle_table_init(&table->oracle, &oracle);
}

/* A leaf of 2M and back, pages that are one, dirtiness in between. */
static void play_round(struct run *run, uint64_t start)
{
    const unsigned granule = run->world->tables[0].pt.engine->geometry.granule_shift;
    const uint64_t pages = start + bit(SHIFT_1G);

    apply_map(run, start, start, bit(22));
    set_dirty(run->world, start + bit(SHIFT_2M) + bit(granule));
    set_dirty(run->world, pages);
    apply_resize(run, start, bit(22), granule);
    apply(run, on_range(OP_DIRTY_READ, start, bit(22)));
    set_dirty(run->world, start + 3 * bit(granule));
    apply_resize(run, start, bit(22), SHIFT_2M);
    for (unsigned i = 0; i < PAGES; i++) apply_map(run, pages + (i << granule), pages + (i << granule), bit(granule));
    set_dirty(run->world, pages + bit(granule));
    apply_resize(run, pages, (uint64_t)PAGES << granule, SHIFT_1G);
    apply(run, on_range(OP_DIRTY_READ, start, bit(31)));
    apply(run, on_range(OP_UNMAP, start, bit(22)));
    world_check(run->world);
}

enum beside { PLAIN, MARKED, VARIED, BESIDES };

/* False: the format has no such world. */
static bool begin_beside(struct world *world, unsigned format, enum beside beside)
{
    struct op op = op_make(OP_WORLD);
    char message[256];

    op_set(&op, FIELD_FORMAT, format);
    op_set(&op, FIELD_HARDWARE_DIRTY, beside == MARKED);
    op_set(&op, FIELD_RMP, 0);
    if (world_begin(world, &op, message, sizeof(message)) != 0) return false;
    if (beside == VARIED) vary(world);
    if (getenv("MAPPROOF_RAN")) world_record(world, &recorders);
    return true;
}

static void every_format_splits_merges_and_marks_as_the_oracle_says(void **state)
{
    struct run run = { .world = world_new() };

    (void)state;
    for (unsigned format = 0; op_format_name(format); format++) {
        unsigned played = 0, incoherent = 0;

        for (unsigned round = 0; round < ROUNDS * BESIDES; round++) {
            const struct pt *pt = &run.world->tables[0].pt;

            if (!begin_beside(run.world, format, (enum beside)(round % BESIDES))) continue;
            flushes = 0;
            play_round(&run, (1 + round / BESIDES) * bit(33));
            played++;
            incoherent += flushes > 0;
            assert_int_equal(flushes > 0, (pt->features & PT_DMA_INCOHERENT) != 0);
        }
        assert_true(played >= 2 * ROUNDS);
        assert_int_equal(incoherent, engine_find(op_format_name(format))->features & PT_DMA_INCOHERENT ? ROUNDS : 0);
    }
    recorder_print(&recorders, "oracle", NUMBER_CALLS, stdout);
    world_free(run.world);
}

static void vector_engines_do_the_same_as_general_ones(void **state)
{
    (void)state;
    for (unsigned format = 0; op_format_name(format); format++) {
        const uint64_t seed = 1000 * (1 + format);
        char engine[64];

        snprintf(engine, sizeof(engine), "%s-vector", op_format_name(format));
        if (!engine_find(engine)) continue; /* a CPU without 16-byte atomic stores */
        assert_int_equal(run_seeds(format, seed, engine).hash, run_seeds(format, seed, NULL).hash);
    }
}

static void same_seeds_give_the_same_outcomes_and_table_bytes_whatever_ran_before(void **state)
{
    struct run first, second;

    (void)state;
    first = run_seeds(0, 5000, NULL);
    run_seeds(1, 6000, NULL);
    second = run_seeds(0, 5000, NULL);
    assert_int_equal(first.hash, second.hash);
}

static uint64_t hash_of(struct run *run, const struct op *ops, size_t count)
{
    run->ops = ops;
    run->count = count;
    run->hash = 0;
    run_script(run);
    return run->hash;
}

/* The same script before and after others in one world: nothing may be left over. */
static void a_world_forgets_what_ran_in_it_before(void **state)
{
    struct run run = { .world = world_new() };
    struct op ops[OPS_MAX], other[OPS_MAX];
    struct random random = random_seeded(7000);

    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        const size_t count = script_generate(&random, ops, OPS_MAX);
        const size_t other_count = script_generate(&random, other, OPS_MAX);
        uint64_t hash;

        run.seed = i;
        hash = hash_of(&run, ops, count);
        hash_of(&run, other, other_count);
        assert_int_equal(hash_of(&run, ops, count), hash);
    }
    world_free(run.world);
}

/* ---- batches ----------------------------------------------------------------------------------------------------- */

struct endings {
    unsigned lists, ok, in_use, partly, no_memory, invalid, unaligned, out_of_range, overflow;
    unsigned unmaps, with_reports, with_many_reports, leaves_span_pieces;
};

static void count_ending(struct endings *endings, const struct op *op, const struct world_outcome *outcome)
{
    if (outcome->is_skipped) return;
    if (outcome->kind == OP_UNMAP && outcome->has_reports) {
        endings->unmaps++;
        endings->with_reports += outcome->reports > 0;
        endings->with_many_reports += outcome->reports > 2;
    }
    if (outcome->kind != OP_MAP_LIST) return;
    endings->lists++;
    endings->ok += outcome->error == 0;
    endings->leaves_span_pieces += outcome->error == 0 && outcome->leaves < op_get(op, FIELD_PIECES);
    endings->in_use += outcome->error == -EADDRINUSE;
    endings->partly += outcome->error == -EADDRINUSE && outcome->bytes > 0;
    endings->no_memory += outcome->error == -ENOMEM && outcome->bytes > 0;
    endings->invalid += outcome->error == -EINVAL;
    endings->unaligned += outcome->error == -ENXIO;
    endings->out_of_range += outcome->error == -ERANGE;
    endings->overflow += outcome->error == -EOVERFLOW;
}

/* Are lists and unmaps that hand over drawn so that each way to end is met? */
static void batches_end_in_every_way_there_is(void **state)
{
    struct world *world = world_new();
    struct endings all = { 0 };

    (void)state;
    for (uint64_t seed = 1; seed <= 12 * SCRIPTS; seed++) {
        struct random random = random_seeded(seed);
        struct op ops[OPS_MAX];
        const size_t count = script_generate(&random, ops, OPS_MAX);
        char message[256];

        if (world_begin(world, &ops[0], message, sizeof(message)) != 0) continue;
        for (size_t i = 1; i < count; i++) {
            struct world_outcome outcome;

            world_apply(world, &ops[i], &outcome);
            count_ending(&all, &ops[i], &outcome);
        }
    }
    print_message("%u lists: %u ok (%u with leaves that span pieces), %u in use (%u after some), %u no memory after "
                  "some, %u EINVAL, %u ENXIO, %u ERANGE, %u EOVERFLOW; %u unmaps: %u with reports, %u with many\n",
                  all.lists, all.ok, all.leaves_span_pieces, all.in_use, all.partly, all.no_memory, all.invalid,
                  all.unaligned, all.out_of_range, all.overflow, all.unmaps, all.with_reports, all.with_many_reports);
    assert_true(all.ok * 2 > all.lists);
    assert_true(all.leaves_span_pieces > 100);
    assert_true(all.partly > 50);
    assert_true(all.no_memory > 5);
    assert_true(all.invalid > 50 && all.unaligned > 50 && all.out_of_range > 50 && all.overflow > 5);
    assert_true(all.with_reports * 2 > all.unmaps);
    assert_true(all.with_many_reports > 100);
    world_free(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_does_what_the_oracle_says_on_drawn_scripts),
        cmocka_unit_test(every_format_splits_merges_and_marks_as_the_oracle_says),
        cmocka_unit_test(vector_engines_do_the_same_as_general_ones),
        cmocka_unit_test(same_seeds_give_the_same_outcomes_and_table_bytes_whatever_ran_before),
        cmocka_unit_test(a_world_forgets_what_ran_in_it_before),
        cmocka_unit_test(batches_end_in_every_way_there_is),
    };

    return TEST_MAIN(tests, argc, argv);
}
