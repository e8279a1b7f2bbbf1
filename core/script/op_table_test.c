#include "base/bits.h"
#include "base/random.h"
#include "base/test_main.h"
#include "script/op_table.h"

#include <inttypes.h>
#include <string.h>

enum { ROUNDS = 20000 };

static struct op random_bytes(struct random *random)
{
    struct op op;

    op.head = random_u64(random);
    for (unsigned i = 0; i < 3; i++) op.operand[i] = random_u64(random);
    return op;
}

static uint64_t bits_of(const struct op_field_row *row)
{
    return low_mask(row->width) << row->shift;
}

static void fields_of_an_op_share_no_bit_and_fit_their_words(void **state)
{
    (void)state;
    for (unsigned i = 0; op_spec_at(i); i++) {
        const struct op_spec *spec = op_spec_at(i);
        uint64_t used[4] = { 0xff, 0, 0, 0 };

        for (unsigned j = 0; j < spec->field_count; j++) {
            const struct op_field_row *row = op_field_row((enum op_field)(spec->fields[j] & OP_FIELD_MASK));

            assert_non_null(row->name);
            assert_in_range(row->width, 1, 64);
            assert_true(row->shift + row->width <= 64);
            assert_int_equal(used[row->word] & bits_of(row), 0);
            assert_true(row->max >> row->unit <= low_mask(row->width));
            assert_true(row->min <= row->max);
            assert_true(row->standard >= row->min && row->standard <= row->max);
            used[row->word] |= bits_of(row);
        }
    }
}

static void every_row_has_as_many_fields_as_it_says_and_names_stand_once(void **state)
{
    (void)state;
    for (unsigned i = 0; op_spec_at(i); i++) {
        const struct op_spec *spec = op_spec_at(i);

        assert_ptr_equal(op_spec_of((enum op_kind)spec->kind), spec);
        assert_ptr_equal(op_spec_find(spec->name, (unsigned)strlen(spec->name)), spec);
        for (unsigned j = spec->field_count; j < OP_SPEC_FIELDS_MAX; j++) assert_int_equal(spec->fields[j], 0);
        for (unsigned j = 0; j < spec->field_count; j++) {
            for (unsigned k = 0; k < j; k++)
                assert_int_not_equal(spec->fields[j] & OP_FIELD_MASK, spec->fields[k] & OP_FIELD_MASK);
        }
    }
    for (unsigned field = 0; field < OP_FIELD_COUNT; field++) {
        const struct op_field_row *row = op_field_row((enum op_field)field);
        unsigned names = 0;

        while (row->names && row->names[names]) names++;
        if (row->form == FORM_NAMES)
            assert_int_equal(names, row->max + 1);
        else
            assert_int_equal(names, 0);
    }
}

static bool is_listed(const struct op_spec *spec, enum op_field field)
{
    for (unsigned i = 0; i < spec->field_count; i++) {
        if ((spec->fields[i] & OP_FIELD_MASK) == field) return true;
    }
    return false;
}

static void a_kind_has_the_fields_its_row_lists_and_no_others(void **state)
{
    (void)state;
    for (unsigned i = 0; op_spec_at(i); i++) {
        const struct op_spec *spec = op_spec_at(i);

        for (unsigned field = 0; field < OP_FIELD_COUNT; field++) {
            const bool has = op_has((enum op_kind)spec->kind, (enum op_field)field);

            if (has != is_listed(spec, (enum op_field)field)) {
                fail_msg("%s %s", spec->name, op_field_row((enum op_field)field)->name);
            }
        }
    }
    assert_false(op_has(OP_RECLAIM, FIELD_INPUT));
    assert_false(op_has((enum op_kind)200, FIELD_INPUT));
}

/* The quick answer by masks against the rows: set one bit at a time, and every value of small fields. */
static void an_op_is_legal_by_its_fields_and_not_by_other_bits(void **state)
{
    (void)state;
    for (unsigned i = 0; op_spec_at(i); i++) {
        const struct op_spec *spec = op_spec_at(i);
        uint64_t used[4] = { 0xff, 0, 0, 0 };

        for (unsigned j = 0; j < spec->field_count; j++) {
            const struct op_field_row *row = op_field_row((enum op_field)(spec->fields[j] & OP_FIELD_MASK));
            const bool is_whole = row->min == 0 && row->max >> row->unit == low_mask(row->width);

            used[row->word] |= bits_of(row);
            for (uint64_t raw = 0; raw <= low_mask(row->width) && row->width <= 10; raw++) {
                struct op op = op_make((enum op_kind)spec->kind);
                uint64_t *word = row->word ? &op.operand[row->word - 1] : &op.head;

                *word = (*word & ~bits_of(row)) | raw << row->shift;
                assert_int_equal(op_is_legal(&op), is_whole || raw <= row->max >> row->unit);
            }
        }
        for (unsigned number = 8; number < 256; number++) {
            struct op op = op_make((enum op_kind)spec->kind);
            uint64_t *word = number < 64 ? &op.head : &op.operand[number / 64 - 1];

            *word |= bit(number % 64);
            if (!(used[number / 64] & bit(number % 64))) assert_false(op_is_legal(&op));
        }
    }
}

static void kinds_keep_their_numbers(void **state)
{
    static const struct {
        const char *name;
        unsigned kind;
    } frozen[] = {
        { "world", 0 },      { "map", 1 },        { "unmap", 2 },
        { "sync", 3 },       { "cut", 4 },        { "resize", 5 },
        { "dirty_read", 6 }, { "map_list", 7 },   { "rmpupdate", 16 },
        { "psmash", 17 },    { "pvalidate", 18 }, { "rmpadjust", 19 },
        { "reclaim", 20 },   { "unsmash", 21 },   { "set_state", 22 },
        { "rmp_hold", 23 },  { "inv_pages", 32 }, { "completion_wait", 33 },
        { "dma", 34 },       { "evict", 35 },     { "convert", 48 },
        { "step", 50 },      { "stall", 51 },     { "fail_alloc", 64 },
    };
    unsigned count = 0;

    (void)state;
    while (op_spec_at(count)) count++;
    assert_int_equal(count, sizeof(frozen) / sizeof(frozen[0]));
    for (unsigned i = 0; i < count; i++) {
        assert_string_equal(op_kind_name((enum op_kind)frozen[i].kind), frozen[i].name);
    }
    assert_null(op_kind_name((enum op_kind)24));
    assert_null(op_kind_name((enum op_kind)255));
}

/* One known op, bit for bit: the record format is frozen. */
static void a_map_lies_in_its_record_as_op_h_draws_it(void **state)
{
    struct op op = op_make(OP_MAP);

    (void)state;
    op_set(&op, FIELD_INPUT, 0x1000);
    op_set(&op, FIELD_HPA, 0x5000);
    op_set(&op, FIELD_LENGTH, 0x3000);
    op_set(&op, FIELD_PROT, 0x11);
    op_set(&op, FIELD_STAGE, STAGE_S2);
    op_set(&op, FIELD_DOMAIN, 1);
    assert_int_equal(op.head, 0x02101101);
    assert_int_equal(op.operand[0], 0x1000);
    assert_int_equal(op.operand[1], 0x5000);
    assert_int_equal(op.operand[2], 0x3000);
    op = op_make(OP_WORLD);
    assert_int_equal(op.head, 0x0000027000200000);
    assert_int_equal(op.operand[0], 0x800);
    assert_int_equal(op.operand[1], UINT64_C(0x1000) << 40 | 0x40000);
    assert_int_equal(op.operand[2], 0);
}

/* So is that of a list, and of an unmap that hands over. */
static void a_list_lies_in_its_record_as_readme_says(void **state)
{
    struct op op = op_make(OP_MAP_LIST);

    (void)state;
    assert_int_equal(op.head, UINT64_C(0x0000100000000307));
    op_set(&op, FIELD_PIECES, 5);
    op_set(&op, FIELD_STRIDE, 0x12345000);
    op_set(&op, FIELD_ORDER, ORDER_DOWN);
    op_set(&op, FIELD_LAST, LAST_RAGGED);
    op_set(&op, FIELD_MIX, 0xab);
    op_set(&op, FIELD_PIECE, 0x3000);
    assert_int_equal(op.head, UINT64_C(0x12345abb14000307));
    assert_int_equal(op.operand[2], 0x3000);
    op = op_make(OP_UNMAP);
    op_set(&op, FIELD_RANGES, 1);
    assert_int_equal(op.head, 0xc000002);
}

static struct op make_list(unsigned pieces, uint64_t piece, uint64_t stride)
{
    struct op op = op_make(OP_MAP_LIST);

    op_set(&op, FIELD_INPUT, 0x10000);
    op_set(&op, FIELD_HPA, 0x80000);
    op_set(&op, FIELD_PIECES, pieces);
    op_set(&op, FIELD_PIECE, piece);
    op_set(&op, FIELD_STRIDE, stride);
    return op;
}

static void pieces_lie_a_stride_apart_and_the_last_is_what_it_is_called(void **state)
{
    static const struct op_piece last[] = {
        { 0x84000, 0x2000 }, { 0x80000, 0x2000 }, { 0x84000, 0x1000 },           { 0x84000, 0 },
        { 0x84100, 0x2000 }, { 0x84000, 0x2100 }, { UINT64_C(1) << 63, 0x2000 }, { 0x84000, -UINT64_C(0x200000) },
    };
    struct op op = make_list(3, 0x2000, 0x2000);
    struct op_piece pieces[OP_PIECES_MAX];

    (void)state;
    for (unsigned i = 0; i < sizeof(last) / sizeof(last[0]); i++) {
        op_set(&op, FIELD_LAST, i);
        assert_int_equal(op_pieces(&op, pieces), 3);
        assert_int_equal(pieces[0].target, 0x80000);
        assert_int_equal(pieces[1].target, 0x82000);
        assert_int_equal(pieces[1].length, 0x2000);
        assert_int_equal(pieces[2].target, last[i].target);
        assert_int_equal(pieces[2].length, last[i].length);
    }
    op_set(&op, FIELD_LAST, LAST_ALIKE);
    op_set(&op, FIELD_ORDER, ORDER_DOWN);
    op_pieces(&op, pieces);
    assert_int_equal(pieces[2].target, 0x7c000);
    op_set(&op, FIELD_PIECES, 0);
    op_set(&op, FIELD_LAST, LAST_ENDLESS);
    assert_int_equal(op_pieces(&op, pieces), 0);
}

/* A stored corpus keeps its meaning: what a seed draws is frozen. */
static void a_mixed_list_is_drawn_from_its_seed_alone(void **state)
{
    static const uint64_t wanted[][2] = { { 0x80000, 0x1000 }, { 0x11000, 0x3000 }, { 0xa0000, 0x1000 },
                                          { 0xb0000, 0x1000 }, { 0xc0000, 0x1000 }, { 0x17000, 0x1000 },
                                          { 0xe0000, 0x3000 } };
    struct op op = make_list(7, 0x1000, 0x10000);
    struct op_piece pieces[OP_PIECES_MAX];

    (void)state;
    op_set(&op, FIELD_MIX, 1);
    assert_int_equal(op_pieces(&op, pieces), 7);
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(pieces[i].target, wanted[i][0]);
        assert_int_equal(pieces[i].length, wanted[i][1]);
    }
}

static void sanitize_makes_any_bytes_legal_and_is_idempotent(void **state)
{
    const uint64_t seed = 1;
    struct random random = random_seeded(seed);

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct op op = random_bytes(&random);
        struct op once, twice;

        if (i % 2) op.head = (op.head & ~UINT64_C(0xff)) | op_spec_at(i / 2 % 24)->kind;
        once = op;
        op_sanitize(&once);
        twice = once;
        op_sanitize(&twice);
        if (memcmp(&once, &twice, sizeof(once)) != 0) fail_msg("seed %" PRIu64 " round %u: not idempotent", seed, i);
        assert_true(op_is_legal(&once));
        assert_non_null(op_spec_of(op_kind_of(&once)));
        if (op_spec_of(op_kind_of(&op)))
            assert_int_equal(op_kind_of(&op), op_kind_of(&once));
        else
            assert_int_not_equal(op_kind_of(&once), OP_WORLD);
    }
}

static void sanitize_leaves_every_legal_value_alone(void **state)
{
    const uint64_t seed = 2;
    struct random random = random_seeded(seed);

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        const struct op_spec *spec = op_spec_at(i % 24);
        struct op op = op_make((enum op_kind)spec->kind);
        struct op copy;

        for (unsigned j = 0; j < spec->field_count; j++) {
            const enum op_field field = (enum op_field)(spec->fields[j] & OP_FIELD_MASK);
            const struct op_field_row *row = op_field_row(field);
            const uint64_t span = row->max - row->min;
            const uint64_t value =
                row->min + (span == UINT64_MAX ? random_u64(&random) : random_below(&random, span + 1));

            op_set(&op, field, align_down(value, row->unit));
            assert_int_equal(op_get(&op, field), align_down(value, row->unit));
        }
        copy = op;
        op_sanitize(&copy);
        if (memcmp(&op, &copy, sizeof(op)) != 0) fail_msg("seed %" PRIu64 " round %u (%s)", seed, i, spec->name);
    }
}

static void defaults_of_a_made_op_are_those_of_the_table(void **state)
{
    struct op op;

    (void)state;
    for (unsigned i = 0; op_spec_at(i); i++) {
        const struct op_spec *spec = op_spec_at(i);

        op = op_make((enum op_kind)spec->kind);
        assert_true(op_is_legal(&op));
        for (unsigned j = 0; j < spec->field_count; j++) {
            const enum op_field field = (enum op_field)(spec->fields[j] & OP_FIELD_MASK);

            assert_int_equal(op_get(&op, field), op_default(&op, field));
        }
    }
    op = op_make(OP_RMPUPDATE);
    assert_int_equal(op_default(&op, FIELD_ASID), 1);
    op_set(&op, FIELD_ASSIGNED, 0);
    assert_int_equal(op_default(&op, FIELD_ASID), 0);
}

static void names_and_page_sizes_end_where_the_table_ends(void **state)
{
    (void)state;
    assert_string_equal(op_format_name(0), "amdv1");
    assert_string_equal(op_format_name(1), "x86_64");
    assert_string_equal(op_format_name(2), "vtdss");
    assert_string_equal(op_format_name(3), "riscv64");
    assert_string_equal(op_format_name(4), "riscv64_s2");
    assert_string_equal(op_format_name(10), "armv8_s2_64k");
    assert_string_equal(op_format_name(11), "fake");
    assert_null(op_format_name(12));
    assert_string_equal(op_hw_name(6), "off");
    assert_null(op_hw_name(7));
    assert_string_equal(op_policy_name(0), "script");
    assert_string_equal(op_policy_name(6), "engine");
    assert_null(op_policy_name(7));
    assert_int_equal(op_page_sizes_mask(0), 0);
    assert_int_equal(op_page_sizes_mask(3), 0x40201000);
    assert_int_equal(op_page_sizes_mask(5), 0x40200000);
}

static void values_print_in_the_shortest_readable_form(void **state)
{
    static const struct {
        enum op_field field;
        uint64_t value;
        const char *text;
    } cases[] = {
        { FIELD_LENGTH, 0, "0" },
        { FIELD_LENGTH, 1, "0x1" },
        { FIELD_LENGTH, 4096, "4K" },
        { FIELD_LENGTH, 0x201000, "0x201000" },
        { FIELD_LENGTH, 0x180000, "0x180000" },
        { FIELD_LENGTH, 512 << 10, "512K" },
        { FIELD_LENGTH, UINT64_C(3) << 50, "3P" },
        { FIELD_LENGTH, UINT64_C(1) << 63, "0x8000000000000000" },
        { FIELD_INPUT, 0, "0x0" },
        { FIELD_DEVICE, 15, "dev15" },
        { FIELD_PROT, 0, "none" },
        { FIELD_PROT, 3, "rw" },
        { FIELD_PROT, 17, "r,mmio" },
        { FIELD_PROT, 60, "cache,noexec,mmio,priv" },
        { FIELD_PROT, 63, "rw,cache,noexec,mmio,priv" },
        { FIELD_COUNT_N, UINT64_MAX, "off" },
        { FIELD_COUNT_N, 3, "3" },
        { FIELD_PAGE_SIZES, 5, "2M+1G" },
    };
    char text[OP_VALUE_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(op_format_value(cases[i].field, cases[i].value, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_an_op_share_no_bit_and_fit_their_words),
        cmocka_unit_test(every_row_has_as_many_fields_as_it_says_and_names_stand_once),
        cmocka_unit_test(a_kind_has_the_fields_its_row_lists_and_no_others),
        cmocka_unit_test(an_op_is_legal_by_its_fields_and_not_by_other_bits),
        cmocka_unit_test(kinds_keep_their_numbers),
        cmocka_unit_test(a_map_lies_in_its_record_as_op_h_draws_it),
        cmocka_unit_test(a_list_lies_in_its_record_as_readme_says),
        cmocka_unit_test(pieces_lie_a_stride_apart_and_the_last_is_what_it_is_called),
        cmocka_unit_test(a_mixed_list_is_drawn_from_its_seed_alone),
        cmocka_unit_test(sanitize_makes_any_bytes_legal_and_is_idempotent),
        cmocka_unit_test(sanitize_leaves_every_legal_value_alone),
        cmocka_unit_test(defaults_of_a_made_op_are_those_of_the_table),
        cmocka_unit_test(names_and_page_sizes_end_where_the_table_ends),
        cmocka_unit_test(values_print_in_the_shortest_readable_form),
    };

    return TEST_MAIN(tests, argc, argv);
}
