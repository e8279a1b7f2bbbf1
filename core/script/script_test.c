#include "base/bits.h"
#include "base/random.h"
#include "base/test_main.h"
#include "script/op_table.h"
#include "script/script.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 4000, CAPACITY = 64 };

static struct op random_op(struct random *random)
{
    struct op op;

    op.head = (random_u64(random) & ~UINT64_C(0xff)) | op_spec_at((unsigned)random_below(random, 15))->kind;
    for (unsigned i = 0; i < 3; i++) {
        op.operand[i] = random_u64(random) >> random_below(random, 64);
        if (random_one_in(random, 2)) op.operand[i] = align_down(op.operand[i], 12);
    }
    op_sanitize(&op);
    return op;
}

static struct op random_world(struct random *random)
{
    struct op op = random_op(random);

    op.head &= ~UINT64_C(0xff);
    op_sanitize(&op);
    return op;
}

static void parse_or_fail(const char *text, struct script *script)
{
    struct script_error error;

    if (!script_parse(text, strlen(text), script, &error)) {
        fail_msg("%u:%u: %s\n%s", error.line, error.column, error.message, text);
    }
}

static void every_legal_op_survives_print_and_parse(void **state)
{
    const uint64_t seed = 3;
    struct random random = random_seeded(seed);

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct op ops[2] = { random_world(&random), random_op(&random) };
        const size_t count = op_kind_of(&ops[1]) == OP_WORLD ? 1 : 2;
        struct script script;
        size_t length;
        char *text = script_print_ops(ops, count, &length);

        parse_or_fail(text, &script);
        assert_int_equal(script.count, count);
        if (memcmp(script.ops, ops, count * sizeof(*ops)) != 0)
            fail_msg("seed %" PRIu64 " round %u:\n%s", seed, i, text);
        script_free(&script);
        free(text);
    }
}

static void printing_what_was_parsed_changes_nothing_the_second_time(void **state)
{
    const uint64_t seed = 4;
    struct random random = random_seeded(seed);

    (void)state;
    for (unsigned i = 0; i < ROUNDS / 40; i++) {
        struct op ops[CAPACITY];
        const size_t count = script_generate(&random, ops, CAPACITY);
        struct script script, again;
        size_t length;
        char *bare = script_print_ops(ops, count, &length);
        char *once, *twice;

        parse_or_fail(bare, &script);
        assert_int_equal(script.count, count);
        assert_memory_equal(script.ops, ops, count * sizeof(*ops));
        once = script_print(&script, &length);
        parse_or_fail(once, &again);
        twice = script_print(&again, &length);
        if (strcmp(once, twice) != 0) fail_msg("seed %" PRIu64 " round %u:\n%s\n%s", seed, i, once, twice);
        script_free(&script);
        script_free(&again);
        free(bare);
        free(once);
        free(twice);
    }
}

static void records_give_back_every_op(void **state)
{
    const uint64_t seed = 5;
    struct random random = random_seeded(seed);
    struct op ops[CAPACITY], back[CAPACITY];
    uint8_t bytes[CAPACITY * OP_RECORD_BYTES];

    (void)state;
    for (unsigned i = 0; i < ROUNDS / 40; i++) {
        ops[0] = random_world(&random);
        for (size_t at = 1; at < CAPACITY; at++) {
            do {
                ops[at] = random_op(&random);
            } while (op_kind_of(&ops[at]) == OP_WORLD);
        }
        assert_int_equal(script_encode(ops, CAPACITY, bytes, sizeof(bytes)), sizeof(bytes));
        assert_int_equal(script_decode(bytes, sizeof(bytes), back, CAPACITY), CAPACITY);
        assert_memory_equal(ops, back, sizeof(ops));
        assert_false(script_is_text(bytes, sizeof(bytes)));
    }
}

static void any_bytes_are_some_legal_script(void **state)
{
    const uint64_t seed = 6;
    struct random random = random_seeded(seed);
    uint8_t bytes[CAPACITY * OP_RECORD_BYTES];
    struct op ops[CAPACITY];

    (void)state;
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        const size_t size = random_below(&random, sizeof(bytes) + 1);
        const size_t capacity = 1 + random_below(&random, CAPACITY);
        size_t count;

        for (size_t at = 0; at < size; at++) bytes[at] = (uint8_t)(random_u64(&random) >> 8);
        for (size_t at = 0; at < size; at += OP_RECORD_BYTES) bytes[at] = (uint8_t)random_below(&random, 36);
        count = script_decode(bytes, size, ops, capacity);
        assert_in_range(count, 1, capacity);
        assert_int_equal(op_kind_of(&ops[0]), OP_WORLD);
        for (size_t at = 0; at < count; at++) {
            assert_true(op_is_legal(&ops[at]));
            if (at) assert_int_not_equal(op_kind_of(&ops[at]), OP_WORLD);
        }
    }
}

static void records_without_world_get_the_default_one_in_either_format(void **state)
{
    uint8_t bytes[2 * OP_RECORD_BYTES + 5] = { OP_SYNC };
    struct op ops[4];

    (void)state;
    assert_int_equal(script_decode(bytes, sizeof(bytes), ops, 4), 3);
    assert_int_equal(op_get(&ops[0], FIELD_FORMAT), 0);
    assert_int_equal(op_kind_of(&ops[1]), OP_SYNC);
    assert_int_equal(op_kind_of(&ops[2]), OP_MAP); /* a world further on */
    bytes[1] = 0x40;
    assert_int_equal(script_decode(bytes, sizeof(bytes), ops, 1), 1);
    assert_int_equal(op_kind_of(&ops[0]), OP_WORLD);
    assert_int_equal(op_get(&ops[0], FIELD_FORMAT), 1);
    assert_int_equal(script_decode(bytes, 31, ops, 4), 1);
    assert_int_equal(script_decode(NULL, 0, ops, 4), 1);
    assert_true(script_is_text((const uint8_t *)"map\t\r\n\xc3\xa4", 8));
    assert_true(script_is_text(NULL, 0));
}

static void a_record_is_little_endian(void **state)
{
    struct op op = op_make(OP_CUT);
    uint8_t bytes[OP_RECORD_BYTES];

    (void)state;
    op_set(&op, FIELD_AT, 0x1122334455667788);
    assert_int_equal(script_encode(&op, 1, bytes, sizeof(bytes)), OP_RECORD_BYTES);
    assert_int_equal(bytes[0], OP_CUT);
    assert_int_equal(bytes[8], 0x88);
    assert_int_equal(bytes[15], 0x11);
    assert_int_equal(script_encode(&op, 1, bytes, OP_RECORD_BYTES - 1), 0);
}

/* The numbers of one script, written down once: a seed must mean the same script with every compiler. A format more
 * changes them. */
static void a_seed_means_one_script_with_every_compiler(void **state)
{
    struct random random = random_seeded(7);
    struct op ops[256];
    uint64_t hash = 0;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        size_t count = script_generate(&random, ops, 256);

        count = script_mutate(&random, ops, count, 256);
        for (size_t at = 0; at < count; at++) {
            hash = (hash ^ ops[at].head) * UINT64_C(0x100000001b3);
            for (unsigned word = 0; word < 3; word++) hash = (hash ^ ops[at].operand[word]) * UINT64_C(0x100000001b3);
        }
    }
    assert_int_equal(hash, UINT64_C(0xa96d2d1efa8a137e));
}

static void generated_and_mutated_scripts_are_legal_and_fit(void **state)
{
    const uint64_t seed = 8;
    struct random random = random_seeded(seed);
    struct op a[CAPACITY], b[CAPACITY], child[CAPACITY];
    size_t a_count = 1, b_count = 1;

    (void)state;
    a[0] = b[0] = op_make(OP_WORLD);
    for (unsigned i = 0; i < ROUNDS; i++) {
        const size_t capacity = 1 + random_below(&random, CAPACITY);
        struct script_part parents[2] = { { a, a_count }, { b, b_count } };
        const size_t count = script_crossover(&random, parents, child, capacity);

        assert_in_range(count, 1, capacity);
        assert_int_equal(op_kind_of(&child[0]), OP_WORLD);
        memcpy(a, child, count * sizeof(*a));
        a_count = script_mutate(&random, a, count, CAPACITY);
        b_count = i % 8 ? script_mutate(&random, b, b_count, CAPACITY) : script_generate(&random, b, CAPACITY);
        assert_in_range(a_count, 1, CAPACITY);
        for (size_t at = 0; at < a_count; at++) {
            if (!op_is_legal(&a[at])) fail_msg("seed %" PRIu64 " round %u op %zu", seed, i, at);
            if ((op_kind_of(&a[at]) == OP_WORLD) != (at == 0))
                fail_msg("seed %" PRIu64 " round %u op %zu", seed, i, at);
        }
    }
}

static bool starts_at_a_live_range(const struct script_context *context, const struct op *op)
{
    for (unsigned i = 0; i < context->live_count; i++) {
        if (context->live[i].input == op_get(op, FIELD_INPUT)) return true;
    }
    return false;
}

static void generated_scripts_use_every_op_and_meet_their_own_addresses(void **state)
{
    struct random random = random_seeded(9);
    struct op ops[256];
    unsigned kinds[OP_KIND_LIMIT] = { 0 };
    unsigned unmaps = 0, met = 0;

    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        const size_t count = script_generate(&random, ops, 256);
        struct script_context context;

        script_context_begin(&context, &ops[0]);
        for (size_t at = 1; at < count; at++) {
            kinds[op_kind_of(&ops[at])]++;
            if (op_kind_of(&ops[at]) == OP_UNMAP) {
                unmaps++;
                met += starts_at_a_live_range(&context, &ops[at]);
            }
            script_context_note(&context, &ops[at]);
        }
    }
    for (unsigned i = 1; op_spec_at(i); i++) {
        if (kinds[op_spec_at(i)->kind] < 20)
            fail_msg("%s drawn %u times", op_spec_at(i)->name, kinds[op_spec_at(i)->kind]);
    }
    assert_true(unmaps > 500);
    assert_true(met * 10 > unmaps * 6);
}

/* What the minimiser is asked to keep: a map of at least 64K and, later, an unmap of an address inside it. */
static bool needs_a_map_and_an_unmap(void *context, const struct op *ops, size_t count)
{
    const struct op *map = NULL;

    ++*(unsigned *)context;
    for (size_t i = 1; i < count; i++) {
        if (op_kind_of(&ops[i]) == OP_MAP && op_get(&ops[i], FIELD_LENGTH) >= 0x10000) map = &ops[i];
        if (op_kind_of(&ops[i]) == OP_UNMAP && map) return true;
    }
    return false;
}

static void simplify_leaves_only_what_the_finding_needs(void **state)
{
    struct random random = random_seeded(10);
    struct op ops[256];
    size_t count, length;
    unsigned asked = 0;
    char *text;

    (void)state;
    do {
        count = script_generate(&random, ops, 256);
    } while (count < 100 || !needs_a_map_and_an_unmap(&asked, ops, count));
    asked = 0;
    count = script_simplify(ops, count, needs_a_map_and_an_unmap, &asked, 10000);
    text = script_print_ops(ops, count, &length);
    assert_string_equal(text, "world format=amdv1\n"
                              "map   gpa=0x0 hpa=0x0 length=64K\n"
                              "unmap gpa=0x0 length=4K\n");
    assert_in_range(asked, 1, 600);
    free(text);
}

static bool needs_every_op(void *context, const struct op *ops, size_t count)
{
    (void)ops;
    ++*(unsigned *)context;
    return count == CAPACITY;
}

static void simplify_says_when_there_is_nothing_to_keep_and_respects_its_budget(void **state)
{
    struct op ops[2] = { op_make(OP_WORLD), op_make(OP_SYNC) };
    struct op many[CAPACITY];
    unsigned asked = 0;

    (void)state;
    assert_int_equal(script_simplify(ops, 2, needs_a_map_and_an_unmap, &asked, 100), 0);
    assert_int_equal(asked, 1);
    assert_int_equal(script_simplify(ops, 2, needs_a_map_and_an_unmap, &asked, 0), 0);
    assert_int_equal(asked, 1);
    for (unsigned i = 0; i < CAPACITY; i++) many[i] = op_make(i ? OP_SYNC : OP_WORLD);
    asked = 0;
    assert_int_equal(script_simplify(many, CAPACITY, needs_every_op, &asked, 7), CAPACITY);
    assert_int_equal(asked, 7);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_legal_op_survives_print_and_parse),
        cmocka_unit_test(printing_what_was_parsed_changes_nothing_the_second_time),
        cmocka_unit_test(records_give_back_every_op),
        cmocka_unit_test(any_bytes_are_some_legal_script),
        cmocka_unit_test(records_without_world_get_the_default_one_in_either_format),
        cmocka_unit_test(a_record_is_little_endian),
        cmocka_unit_test(a_seed_means_one_script_with_every_compiler),
        cmocka_unit_test(generated_and_mutated_scripts_are_legal_and_fit),
        cmocka_unit_test(generated_scripts_use_every_op_and_meet_their_own_addresses),
        cmocka_unit_test(simplify_leaves_only_what_the_finding_needs),
        cmocka_unit_test(simplify_says_when_there_is_nothing_to_keep_and_respects_its_budget),
    };

    return TEST_MAIN(tests, argc, argv);
}
