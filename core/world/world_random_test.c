/* Generated scripts: no difference, the same outcomes every time and in a used world. */
#include "world/world_test_help.h"

#include <inttypes.h>
#include <stdlib.h>

enum { OPS_MAX = 96, TEXT_MAX = OPS_MAX * 128 };

/* Of the script played last, one a line. */
static char outcomes[TEXT_MAX];

static void fail_script(const struct world *world, uint64_t seed, const struct op *ops, size_t count)
{
    size_t length;
    char *text = script_print_ops(ops, count, &length);

    fail_msg("seed %" PRIu64 "\n%s\n%s", seed, world_difference(world), text);
}

/* Play it into `outcomes`. False: the world was refused. */
static bool play_ops(struct world *world, uint64_t seed, const struct op *ops, size_t count, bool check_all)
{
    char message[256];
    struct world_outcome outcome;

    if (world_begin(world, &ops[0], message, sizeof(message))) return false;
    outcomes[0] = 0;
    for (size_t i = 1, used = 0; i < count; i++) {
        world_apply(world, &ops[i], &outcome);
        if (check_all) world_check(world);
        if (world_difference(world)) fail_script(world, seed, ops, i + 1);
        used += (size_t)world_print_outcome(&outcome, outcomes + used, TEXT_MAX - used);
        used += (size_t)snprintf(outcomes + used, TEXT_MAX - used, " %s\n", world_finding_name(outcome.finding));
        assert_true(used < TEXT_MAX);
    }
    world_check(world);
    if (world_difference(world)) fail_script(world, seed, ops, count);
    return true;
}

static bool play_seed(struct world *world, uint64_t seed, bool check_all)
{
    struct random random = random_seeded(seed);
    struct op ops[OPS_MAX];
    const size_t count = script_generate(&random, ops, OPS_MAX);

    return play_ops(world, seed, ops, count, check_all);
}

static void generated_scripts_have_no_difference(void **state)
{
    struct world *world = world_new();
    unsigned played = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) played += play_seed(world, seed, seed % 16 == 0);
    assert_in_range(played, 200, 300);
    world_free(world);
}

static void the_same_ops_have_the_same_outcomes_in_a_fresh_and_in_a_used_world(void **state)
{
    struct world *used = world_new();
    static char first[TEXT_MAX];

    (void)state;
    for (uint64_t seed = 1000; seed < 1040; seed++) {
        struct world *fresh = world_new();
        const bool began = play_seed(fresh, seed, false);

        memcpy(first, outcomes, sizeof(first));
        assert_int_equal(play_seed(used, seed, false), began);
        assert_string_equal(first, outcomes);
        assert_int_equal(play_seed(used, seed, true), began); /* looking changes nothing */
        assert_string_equal(first, outcomes);
        world_free(fresh);
    }
    world_free(used);
}

static void the_vector_engine_has_the_same_outcomes(void **state)
{
    struct world *general = world_new();
    struct world *vector = world_new();
    static char first[TEXT_MAX];
    unsigned played = 0;

    (void)state;
    if (!engine_find("amdv1-vector")) skip();
    world_use_engine(vector, engine_find("amdv1-vector"));
    for (uint64_t seed = 2000; seed < 2060; seed++) {
        if (!play_seed(vector, seed, false)) continue; /* another format, or refused */
        memcpy(first, outcomes, sizeof(first));
        assert_true(play_seed(general, seed, false));
        assert_string_equal(first, outcomes);
        played++;
    }
    assert_true(played > 10);
    world_free(general);
    world_free(vector);
}

/* ---- two stages, in a space so small that everything meets everything -------------------------------------------- */

static const char *const two_stages[] = {
    "rmpupdate hpa=0x0 size=2M gpa=0x40000000",        "map gpa=0x40000000 hpa=0x0 length=2M",
    "rmpupdate hpa=0x200000 size=2M gpa=0x200000",     "map gpa=0x200000 hpa=0x200000 length=2M",
    "map iova=0x5000 hpa=0x203000 length=4K stage=s1", "map iova=0x200000 hpa=0x200000 length=2M stage=s1",
};

enum { SETUP = sizeof(two_stages) / sizeof(two_stages[0]) };

static uint64_t draw_address(struct random *random)
{
    static const uint64_t bases[] = { 0x200000, 0x5000, 0x40000000, 0x0, 0x203000, 0x3ff000 };

    return bases[random_below(random, 6)] + (random_below(random, 4) << 12);
}

static void draw_field(struct random *random, struct op *op, enum op_field field, uint64_t value)
{
    if (op_has(op_kind_of(op), field) && !random_one_in(random, 8)) op_set(op, field, value);
}

static struct op draw_op(struct random *random)
{
    static const enum op_kind kinds[] = { OP_MAP,       OP_UNMAP,  OP_CUT,       OP_DIRTY_READ, OP_SYNC,
                                          OP_RMPUPDATE, OP_PSMASH, OP_INV_PAGES, OP_EVICT };
    /* Mostly DMA: what the rest changes shows in hits and misses. */
    struct op op = op_make(random_one_in(random, 3) ? kinds[random_below(random, 9)] : OP_DMA);

    draw_field(random, &op, FIELD_INPUT, draw_address(random));
    draw_field(random, &op, FIELD_AT, draw_address(random));
    draw_field(random, &op, FIELD_HPA, draw_address(random));
    draw_field(random, &op, FIELD_GPA, draw_address(random));
    draw_field(random, &op, FIELD_LENGTH, random_one_in(random, 2) ? 0x200000 : 0x1000 << random_below(random, 3));
    draw_field(random, &op, FIELD_STAGE, 1 + random_below(random, 2));
    draw_field(random, &op, FIELD_SYNC, random_below(random, 2));
    draw_field(random, &op, FIELD_PDE, random_below(random, 2));
    draw_field(random, &op, FIELD_NOW, random_below(random, 2));
    draw_field(random, &op, FIELD_SIZE, random_below(random, 2));
    draw_field(random, &op, FIELD_ASSIGNED, !random_one_in(random, 4));
    draw_field(random, &op, FIELD_ACCESS, random_below(random, 2));
    draw_field(random, &op, FIELD_DEVICE, random_below(random, 4));
    draw_field(random, &op, FIELD_PASID, random_below(random, 3));
    return op;
}

static void two_stages_in_a_small_space_have_no_difference(void **state)
{
    struct world *world = world_new();
    uint64_t findings[FINDING_KINDS] = { 0 };

    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct random random = random_seeded(seed);
        struct op ops[OPS_MAX] = { op_of("world s1=x86_64") };

        op_set(&ops[0], FIELD_HW, random_below(&random, 7));
        op_set(&ops[0], FIELD_IOTLB, random_below(&random, 4));
        op_set(&ops[0], FIELD_RMP, !random_one_in(&random, 4));
        op_set(&ops[0], FIELD_RECHECK_ON_HIT, random_one_in(&random, 4));
        op_set(&ops[0], FIELD_INVALIDATE_ON_RMPUPDATE, random_one_in(&random, 4));
        for (size_t i = 0; i < SETUP; i++) ops[1 + i] = op_of(two_stages[i]);
        for (size_t i = 1 + SETUP; i < OPS_MAX; i++) ops[i] = draw_op(&random);
        assert_true(play_ops(world, seed, ops, OPS_MAX, seed % 16 == 0));
        for (unsigned i = 0; i < FINDING_KINDS; i++) findings[i] += world_totals(world)->findings[i];
    }
    /* The space is worth its name only if everything happens in it. */
    assert_true(findings[FINDING_STALE] > 20);
    assert_true(findings[FINDING_LOSES_DMA] > 50);
    assert_true(findings[FINDING_EXPANDS] > 5);
    world_free(world);
}

/* Every policy on every hardware, interrupted anywhere; everything is checked after every op of some. */
static void conversions_under_every_policy_have_no_difference(void **state)
{
    struct world *world = world_new();
    uint64_t ended = 0, refused = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 420; seed++) {
        struct random random = random_seeded(0x5eed0000 + seed);
        struct script_context context;
        struct script_style style;
        struct op ops[OPS_MAX];

        ops[0] = script_generate_world(&random, SCRIPT_LOCKSTEP);
        op_set(&ops[0], FIELD_RMP, 1);
        op_set(&ops[0], FIELD_POLICY, 1 + seed % 6);
        op_set(&ops[0], FIELD_HW, seed / 6 % 7);
        style = script_generate_style(&random, SCRIPT_LOCKSTEP, &ops[0]);
        style.weight[OP_CONVERT] = 60;
        style.weight[OP_STEP] = 60;
        script_context_begin(&context, &ops[0]);
        for (size_t i = 1; i < OPS_MAX; i++) {
            ops[i] = script_generate_op(&random, &style, &context);
            script_context_note(&context, &ops[i]);
        }
        if (!play_ops(world, 0x5eed0000 + seed, ops, OPS_MAX, seed % 40 == 0)) continue;
        ended += world_totals(world)->conversions;
        refused += world_totals(world)->refused;
    }
    assert_in_range(refused, 20, ended * 19 / 20);
    assert_in_range(ended, 200, UINT32_MAX);
    world_free(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generated_scripts_have_no_difference),
        cmocka_unit_test(the_same_ops_have_the_same_outcomes_in_a_fresh_and_in_a_used_world),
        cmocka_unit_test(the_vector_engine_has_the_same_outcomes),
        cmocka_unit_test(two_stages_in_a_small_space_have_no_difference),
        cmocka_unit_test(conversions_under_every_policy_have_no_difference),
    };

    return TEST_MAIN(tests, argc, argv);
}
