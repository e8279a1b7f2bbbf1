/*
 * README.md shows the op table. Each row of the table is made here and must stand in README.md word for word; what is
 * missing is printed, ready to be pasted.
 */
#include "base/test_main.h"
#include "script/op_table.h"

#include <stdlib.h>
#include <string.h>

enum { ROW_MAX = 600 };

static char *readme;

static int read_readme(void **state)
{
    const char *path = MAPPROOF_SOURCE_DIR "/core/script/README.md";
    FILE *file = fopen(path, "rb");
    const size_t capacity = 1 << 20;
    size_t length;

    (void)state;
    if (!file) return -1;
    readme = malloc(capacity + 1);
    length = readme ? fread(readme, 1, capacity, file) : 0;
    fclose(file);
    if (!readme) return -1;
    readme[length] = 0;
    return 0;
}

static int free_readme(void **state)
{
    (void)state;
    free(readme);
    return 0;
}

static void append(char *row, const char *text)
{
    const size_t length = strlen(row);

    snprintf(row + length, ROW_MAX - length, "%s", text);
}

/* "map: **iova**, **hpa**, ..., prot": required keys are bold. */
static void make_op_row(const struct op_spec *spec, char *row)
{
    snprintf(row, ROW_MAX, "| `%s` | %u | ", spec->name, spec->kind);
    for (unsigned i = 0; spec->kind != OP_WORLD && i < spec->field_count; i++) {
        const enum op_field field = (enum op_field)(spec->fields[i] & OP_FIELD_MASK);
        const bool is_required = spec->fields[i] & OP_REQUIRED;

        append(row, i ? ", " : "");
        append(row, is_required ? "**" : "");
        append(row, op_field_row(field)->name);
        append(row, field == FIELD_INPUT && op_has((enum op_kind)spec->kind, FIELD_STAGE) ? "/gpa" : "");
        append(row, is_required ? "**" : "");
    }
    append(row, spec->kind == OP_WORLD ? "see below" : spec->field_count ? "" : "none");
    append(row, " | ");
    append(row, spec->meaning);
    append(row, " |\n");
}

static void append_values(char *row, enum op_field field)
{
    const struct op_field_row *place = op_field_row(field);
    char text[OP_VALUE_TEXT_MAX];

    switch (place->form) {
    case FORM_NAMES:
        for (unsigned i = 0; i <= place->max; i++) {
            append(row, i ? " " : "");
            append(row, place->names[i]);
        }
        return;
    case FORM_PROT: append(row, "r w rw cache noexec mmio priv none"); return;
    case FORM_LIMIT: append(row, "number or off"); return;
    case FORM_COUNT: append(row, "number or all"); return;
    case FORM_POWER: append(row, "power of two"); return;
    case FORM_PIECE: append(row, "power of two or off"); return;
    default: break;
    }
    if (place->max == UINT64_MAX) {
        append(row, "64 bits");
        return;
    }
    op_format_value(field, place->min, text);
    append(row, text);
    append(row, " to ");
    op_format_value(field, place->max, text);
    append(row, text);
    if (place->unit) append(row, ", multiples of 4K");
}

static void make_field_row(enum op_field field, bool is_required_everywhere, char *row)
{
    const struct op_field_row *place = op_field_row(field);
    char text[OP_VALUE_TEXT_MAX];

    snprintf(row, ROW_MAX, "| `%s` | ", place->name);
    append_values(row, field);
    append(row, " | ");
    op_format_value(field, place->standard, text);
    append(row, is_required_everywhere ? "required" : text);
    append(row, " | ");
    if (place->word) snprintf(text, sizeof(text), "operand %u", place->word - 1);
    append(row, place->word ? text : "head");
    snprintf(text, sizeof(text), " %u..%u", place->shift, place->shift + place->width - 1);
    append(row, text);
    append(row, " | ");
    append(row, place->meaning);
    append(row, " |\n");
}

static unsigned missing(const char *row)
{
    if (strstr(readme, row)) return 0;
    fputs(row, stderr);
    return 1;
}

static void every_op_stands_in_the_readme(void **state)
{
    char row[ROW_MAX];
    unsigned count = 0;

    (void)state;
    for (unsigned i = 0; op_spec_at(i); i++) {
        make_op_row(op_spec_at(i), row);
        count += missing(row);
    }
    assert_int_equal(count, 0);
}

/* Is the field used, and required by every op that has it? */
static bool is_used(enum op_field field, bool *is_required)
{
    bool is_found = false;

    *is_required = true;
    for (unsigned i = 0; op_spec_at(i); i++) {
        const struct op_spec *spec = op_spec_at(i);

        for (unsigned j = 0; j < spec->field_count; j++) {
            if ((spec->fields[j] & OP_FIELD_MASK) != field) continue;
            is_found = true;
            if (!(spec->fields[j] & OP_REQUIRED)) *is_required = false;
        }
    }
    return is_found;
}

static void every_key_stands_in_the_readme_with_values_default_and_place(void **state)
{
    char row[ROW_MAX];
    unsigned count = 0;

    (void)state;
    for (unsigned field = 0; field < OP_FIELD_COUNT; field++) {
        bool is_required;

        if (!is_used((enum op_field)field, &is_required)) continue;
        make_field_row((enum op_field)field, is_required, row);
        count += missing(row);
    }
    assert_int_equal(count, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_op_stands_in_the_readme, read_readme, free_readme),
        cmocka_unit_test_setup_teardown(every_key_stands_in_the_readme_with_values_default_and_place, read_readme,
                                        free_readme),
    };

    return TEST_MAIN(tests, argc, argv);
}
