/* Script to text: what script_parse reads back. */
#include "script/script.h"

#include "base/check.h"
#include "script/op_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUTCOME_COLUMN_MAX = 76 }; /* longer ops push their own outcome further right, not everybody's */

/* Which name the input address of `op` goes by; the reverse of the parser's resolve_input. */
static const char *input_name(const struct op *op, const struct op *world)
{
    const enum op_kind kind = op_kind_of(op);
    bool has_rmp;

    if (!op_has(kind, FIELD_STAGE)) return "iova";
    if (op_get(op, FIELD_STAGE) == STAGE_S1) return "iova";
    if (op_get(op, FIELD_STAGE) == STAGE_S2 || !world || op_get(world, FIELD_S1)) return "gpa";
    has_rmp = op_get(world, FIELD_RMP) && strcmp(op_format_name((unsigned)op_get(world, FIELD_FORMAT)), "amdv1") == 0;
    return has_rmp ? "gpa" : "iova";
}

static const char *field_name(const struct op *op, const struct op *world, enum op_field field)
{
    if (field == FIELD_INPUT) return input_name(op, world);
    if (field == FIELD_HPA && op_has(op_kind_of(op), FIELD_STAGE) && op_get(op, FIELD_STAGE) == STAGE_S1) return "gpa";
    return op_field_row(field)->name;
}

unsigned op_print(const struct op *op, const struct op *world, char text[OP_TEXT_MAX])
{
    const struct op_spec *spec = op_spec_of(op_kind_of(op));
    unsigned length;

    CHECK(spec != NULL);
    length = (unsigned)snprintf(text, OP_TEXT_MAX, "%s", spec->name);
    for (unsigned i = 0; i < spec->field_count; i++) {
        const enum op_field field = (enum op_field)(spec->fields[i] & OP_FIELD_MASK);
        const uint64_t value = op_get(op, field);
        const bool is_required = (spec->fields[i] & OP_REQUIRED) || field == FIELD_FORMAT;
        char value_text[OP_VALUE_TEXT_MAX];

        if (!is_required && value == op_default(op, field)) continue;
        op_format_value(field, value, value_text);
        length +=
            (unsigned)snprintf(text + length, OP_TEXT_MAX - length, " %s=%s", field_name(op, world, field), value_text);
        CHECK(length < OP_TEXT_MAX);
    }
    return length;
}

struct text_buffer {
    char *bytes;
    size_t length, capacity;
};

static void append(struct text_buffer *buffer, const char *bytes, size_t length)
{
    if (buffer->length + length + 1 > buffer->capacity) {
        buffer->capacity = (buffer->length + length + 1) * 2;
        buffer->bytes = realloc(buffer->bytes, buffer->capacity);
        CHECK(buffer->bytes != NULL);
    }
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    buffer->bytes[buffer->length] = 0;
}

static void append_text(struct text_buffer *buffer, const char *text)
{
    append(buffer, text, strlen(text));
}

/* Blanks until the line that starts at `line_start` is `column` long; at least `least` of them. */
static void append_blanks(struct text_buffer *buffer, size_t line_start, size_t column, size_t least)
{
    const size_t length = buffer->length - line_start;
    size_t blanks = column > length ? column - length : 0;

    for (blanks = blanks > least ? blanks : least; blanks > 0; blanks--) append(buffer, " ", 1);
}

/* Columns that make a script readable: where keys, outcomes and comments start. */
struct layout {
    size_t keys, outcomes, comments;
};

static size_t keys_column(const struct op *ops, size_t count)
{
    size_t widest = 0;

    for (size_t i = 0; i < count; i++) {
        const size_t length = strlen(op_kind_name(op_kind_of(&ops[i])));

        if (length > widest) widest = length;
    }
    return widest + 1;
}

/* Width of an op's line up to and without its outcome. */
static size_t op_width(const struct op *op, const struct op *world, const struct layout *layout)
{
    char text[OP_TEXT_MAX];
    const size_t length = op_print(op, world, text);
    const size_t name_length = strlen(op_kind_name(op_kind_of(op)));

    return length == name_length ? length : layout->keys + length - name_length - 1;
}

static struct layout script_layout(const struct script *script)
{
    const struct op *world = &script->ops[0];
    const size_t first = script->has_world ? 0 : 1;
    struct layout layout = { .keys = keys_column(script->ops + first, script->count - first) };

    for (size_t i = 0; i < script->count; i++) {
        const struct script_note *note = &script->notes[i];
        size_t width = op_width(&script->ops[i], world, &layout);

        if (note->expectation && width < OUTCOME_COLUMN_MAX && width + 1 > layout.outcomes) layout.outcomes = width + 1;
    }
    for (size_t i = 0; i < script->count; i++) {
        const struct script_note *note = &script->notes[i];
        size_t width = op_width(&script->ops[i], world, &layout);

        if (!note->comment) continue;
        if (note->expectation) {
            width = (width + 1 > layout.outcomes ? width + 1 : layout.outcomes) + 3 + strlen(note->expectation);
        }
        if (width + 2 > layout.comments && width < OUTCOME_COLUMN_MAX + 30) layout.comments = width + 2;
    }
    return layout;
}

static void append_op(struct text_buffer *buffer, const struct op *op, const struct op *world, size_t keys)
{
    const size_t start = buffer->length;
    const size_t name_length = strlen(op_kind_name(op_kind_of(op)));
    char text[OP_TEXT_MAX];

    op_print(op, world, text);
    append(buffer, text, name_length);
    if (!text[name_length]) return;
    append_blanks(buffer, start, keys, 1);
    append_text(buffer, text + name_length + 1);
}

char *script_print(const struct script *script, size_t *length)
{
    const struct layout layout = script_layout(script);
    struct text_buffer buffer = { 0 };

    append(&buffer, "", 0);
    for (size_t i = script->has_world ? 0 : 1; i < script->count; i++) {
        const struct script_note *note = &script->notes[i];
        size_t start;

        if (note->before) append_text(&buffer, note->before);
        start = buffer.length;
        append_op(&buffer, &script->ops[i], &script->ops[0], layout.keys);
        if (note->expectation) {
            append_blanks(&buffer, start, layout.outcomes, 1);
            append_text(&buffer, "-> ");
            append_text(&buffer, note->expectation);
        }
        if (note->comment) {
            append_blanks(&buffer, start, layout.comments, 2);
            append_text(&buffer, note->comment[0] ? "# " : "#");
            append_text(&buffer, note->comment);
        }
        append(&buffer, "\n", 1);
    }
    if (script->after) append_text(&buffer, script->after);
    *length = buffer.length;
    return buffer.bytes;
}

char *script_print_ops(const struct op *ops, size_t count, size_t *length)
{
    struct text_buffer buffer = { 0 };
    const size_t keys = keys_column(ops, count);
    const struct op *world = count && op_kind_of(&ops[0]) == OP_WORLD ? &ops[0] : NULL;

    append(&buffer, "", 0);
    for (size_t i = 0; i < count; i++) {
        append_op(&buffer, &ops[i], world, keys);
        append(&buffer, "\n", 1);
    }
    *length = buffer.length;
    return buffer.bytes;
}
