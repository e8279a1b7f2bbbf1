/* Generated scripts: no difference, the same outcomes every time and in a used world. */
#include "world/world_test_help.h"

#include <inttypes.h>
#include <stdlib.h>

enum { OPS_MAX = 96, TEXT_MAX = OPS_MAX * 128 };

static void fail_script(const struct world *world, uint64_t seed, const struct op *ops, size_t count)
{
    size_t length;
    char *text = script_print_ops(ops, count, &length);

    fail_msg("seed %" PRIu64 "\n%s\n%s", seed, world_difference(world), text);
}

/* Play it; the outcomes as text, one a line. False: the world was refused. */
static bool outcomes(struct world *world, uint64_t seed, char *text, bool check_all)
{
    struct random random = random_seeded(seed);
    struct op ops[OPS_MAX];
    const size_t count = script_generate(&random, ops, OPS_MAX);
    char message[256];
    size_t used = 0;

    text[0] = 0;
    if (world_begin(world, &ops[0], message, sizeof(message))) return false;
    for (size_t i = 1; i < count; i++) {
        struct world_outcome outcome;

        world_apply(world, &ops[i], &outcome);
        if (check_all) world_check(world);
        if (world_difference(world)) fail_script(world, seed, ops, i + 1);
        used += (size_t)world_print_outcome(&outcome, text + used, TEXT_MAX - used);
        used += (size_t)snprintf(text + used, TEXT_MAX - used, " %s\n", world_finding_name(outcome.finding));
        assert_true(used < TEXT_MAX);
    }
    world_check(world);
    if (world_difference(world)) fail_script(world, seed, ops, count);
    return true;
}

static void generated_scripts_have_no_difference(void **state)
{
    struct world *world = world_new();
    char *text = malloc(TEXT_MAX);
    unsigned played = 0;

    (void)state;
    assert_non_null(text);
    for (uint64_t seed = 1; seed <= 300; seed++) played += outcomes(world, seed, text, seed % 16 == 0);
    assert_in_range(played, 200, 300);
    free(text);
    world_free(world);
}

static void the_same_ops_have_the_same_outcomes_in_a_fresh_and_in_a_used_world(void **state)
{
    struct world *used = world_new();
    char *one = malloc(TEXT_MAX);
    char *other = malloc(TEXT_MAX);

    (void)state;
    assert_non_null(one);
    assert_non_null(other);
    for (uint64_t seed = 1000; seed < 1040; seed++) {
        struct world *fresh = world_new();
        const bool began = outcomes(fresh, seed, one, false);

        assert_int_equal(outcomes(used, seed, other, false), began);
        assert_string_equal(one, other);
        assert_int_equal(outcomes(used, seed, other, true), began); /* looking changes nothing */
        assert_string_equal(one, other);
        world_free(fresh);
    }
    free(one);
    free(other);
    world_free(used);
}

static void the_vector_engine_has_the_same_outcomes(void **state)
{
    struct world *general = world_new();
    struct world *vector = world_new();
    char *one = malloc(TEXT_MAX);
    char *other = malloc(TEXT_MAX);
    unsigned played = 0;

    (void)state;
    assert_non_null(one);
    assert_non_null(other);
    if (!engine_find("amdv1-vector")) skip();
    world_use_engine(vector, "amdv1-vector");
    for (uint64_t seed = 2000; seed < 2060; seed++) {
        if (!outcomes(vector, seed, other, false)) continue; /* another format, or refused */
        assert_true(outcomes(general, seed, one, false));
        assert_string_equal(one, other);
        played++;
    }
    assert_true(played > 10);
    free(one);
    free(other);
    world_free(general);
    world_free(vector);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generated_scripts_have_no_difference),
        cmocka_unit_test(the_same_ops_have_the_same_outcomes_in_a_fresh_and_in_a_used_world),
        cmocka_unit_test(the_vector_engine_has_the_same_outcomes),
    };

    return TEST_MAIN(tests, argc, argv);
}
