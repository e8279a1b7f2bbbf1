/*
 * The fuzzer without a fuzzer: scripts drawn from fixed seeds, each op compared with the oracle and the hardware walk,
 * in every format, with general and vector engines; with any compiler, on every test run.
 */
#include "base/test_main.h"
#include "script/script.h"
#include "world/world.h"

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
        world_use_engine(run.world, engine);
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_does_what_the_oracle_says_on_drawn_scripts),
        cmocka_unit_test(vector_engines_do_the_same_as_general_ones),
        cmocka_unit_test(same_seeds_give_the_same_outcomes_and_table_bytes_whatever_ran_before),
        cmocka_unit_test(a_world_forgets_what_ran_in_it_before),
    };

    return TEST_MAIN(tests, argc, argv);
}
