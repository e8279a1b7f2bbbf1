/* Text to script. The grammar stands in README.md; every message has its case in script_parse_test.c. */
#include "script/script.h"

#include "base/check.h"
#include "script/script_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    const char *text;
    size_t length;
    size_t at;         /* next byte */
    size_t line_start; /* offset of the line's first byte */
    unsigned line;
    struct script *script;
    size_t capacity; /* of ops and notes */
    char *strings;   /* where the next string goes, in script->text */
    char *before;    /* the string of comment lines that is being collected, or NULL */
    struct script_error *error;
};

/* One op's line while it is read. Columns are 0 for keys that are not there. */
struct line {
    const struct op_spec *spec;
    struct op op;
    unsigned name_column;
    unsigned columns[OP_FIELD_COUNT];
    unsigned iova_column, gpa_column; /* the two names of an input address, until the stage is known */
    uint64_t iova, gpa;
};

static unsigned column_at(const struct parser *parser, size_t at)
{
    return (unsigned)(at - parser->line_start) + 1;
}

static bool fail(const struct parser *parser, unsigned column)
{
    parser->error->line = parser->line;
    parser->error->column = column;
    return false;
}

#define FAIL(parser, column, ...)                                                                                      \
    (snprintf((parser)->error->message, SCRIPT_MESSAGE_MAX, __VA_ARGS__), fail(parser, column))

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool at_line_end(const struct parser *parser)
{
    return parser->at == parser->length || parser->text[parser->at] == '\n';
}

static void skip_blanks(struct parser *parser)
{
    while (!at_line_end(parser) && is_blank(parser->text[parser->at])) parser->at++;
}

static struct script_slice take_token(struct parser *parser)
{
    const size_t start = parser->at;

    while (!at_line_end(parser) && !is_blank(parser->text[parser->at]) && parser->text[parser->at] != '#') parser->at++;
    return (struct script_slice){ parser->text + start, parser->at - start };
}

static struct script_slice trimmed(struct script_slice slice)
{
    while (slice.length && is_blank(slice.start[0])) {
        slice.start++;
        slice.length--;
    }
    while (slice.length && is_blank(slice.start[slice.length - 1])) slice.length--;
    return slice;
}

static const char *keep(struct parser *parser, struct script_slice slice)
{
    char *copy = parser->strings;

    memcpy(copy, slice.start, slice.length);
    copy[slice.length] = 0;
    parser->strings += slice.length + 1;
    return copy;
}

/* A blank or comment line: part of what stands above the next op. */
static void keep_line(struct parser *parser)
{
    struct script_slice line;

    while (!at_line_end(parser)) parser->at++;
    line = (struct script_slice){ parser->text + parser->line_start, parser->at - parser->line_start };
    while (line.length && is_blank(line.start[line.length - 1])) line.length--;
    if (!parser->before) parser->before = parser->strings;
    memcpy(parser->strings, line.start, line.length);
    parser->strings[line.length] = '\n';
    parser->strings += line.length + 1;
}

static const char *finish_before(struct parser *parser)
{
    const char *before = parser->before;

    if (before) *parser->strings++ = 0;
    parser->before = NULL;
    return before;
}

static void append_op(struct parser *parser, struct op op, struct script_note note)
{
    struct script *script = parser->script;

    if (script->count == parser->capacity) {
        parser->capacity = parser->capacity ? parser->capacity * 2 : 64;
        script->ops = realloc(script->ops, parser->capacity * sizeof(*script->ops));
        script->notes = realloc(script->notes, parser->capacity * sizeof(*script->notes));
        CHECK(script->ops != NULL);
        CHECK(script->notes != NULL);
    }
    script->ops[script->count] = op;
    script->notes[script->count++] = note;
}

static int list_names(const struct op_spec *spec, char *list, int size)
{
    int length = 0;

    for (unsigned i = 0; spec && i < spec->field_count && length < size; i++) {
        const enum op_field field = (enum op_field)(spec->fields[i] & OP_FIELD_MASK);

        length += snprintf(list + length, (size_t)(size - length), "%s%s", i ? " " : "", op_field_row(field)->name);
        if (field == FIELD_INPUT && op_has((enum op_kind)spec->kind, FIELD_STAGE) && length < size) {
            length += snprintf(list + length, (size_t)(size - length), "|gpa");
        }
    }
    for (unsigned i = 0; !spec && op_spec_at(i) && length < size; i++) {
        length += snprintf(list + length, (size_t)(size - length), "%s%s", i ? " " : "", op_spec_at(i)->name);
    }
    return length;
}

static bool fail_unknown(const struct parser *parser, unsigned column, struct script_slice name,
                         const struct op_spec *spec)
{
    char list[SCRIPT_MESSAGE_MAX] = "no key";
    const int shown = name.length < 40 ? (int)name.length : 40;

    list_names(spec, list, sizeof(list));
    if (!spec) return FAIL(parser, column, "unknown op '%.*s'; expected one of %.180s", shown, name.start, list);
    return FAIL(parser, column, "%s: unknown key '%.*s'; expected one of %.160s", spec->name, shown, name.start, list);
}

/* The field of a key, OP_FIELD_COUNT if the op has none of that name. gpa= may stand for FIELD_INPUT. */
static enum op_field find_field(const struct op_spec *spec, struct script_slice key)
{
    for (unsigned i = 0; i < spec->field_count; i++) {
        const enum op_field field = (enum op_field)(spec->fields[i] & OP_FIELD_MASK);

        if (script_slice_is(key, op_field_row(field)->name)) return field;
    }
    return OP_FIELD_COUNT;
}

/* Does the op's input address go by two names, iova= and gpa=? dma and evict speak for devices: iova= only. */
static bool has_two_names(const struct op_spec *spec)
{
    return op_has((enum op_kind)spec->kind, FIELD_INPUT) && op_has((enum op_kind)spec->kind, FIELD_STAGE);
}

static bool parse_pair(struct parser *parser, struct line *line)
{
    const unsigned column = column_at(parser, parser->at);
    const struct script_slice token = take_token(parser);
    const char *equals = memchr(token.start, '=', token.length);
    struct script_slice key, text;
    enum op_field field;
    unsigned *seen;
    char message[SCRIPT_MESSAGE_MAX - 32]; /* the longest key is 23 bytes */
    uint64_t value;
    bool is_gpa_name;

    if (!equals) {
        return FAIL(parser, column, "'%.*s' found; expected key=value, '->' or '#'",
                    token.length < 40 ? (int)token.length : 40, token.start);
    }
    key = (struct script_slice){ token.start, (size_t)(equals - token.start) };
    text = (struct script_slice){ equals + 1, token.length - key.length - 1 };
    is_gpa_name = has_two_names(line->spec) && script_slice_is(key, "gpa");
    field = is_gpa_name ? FIELD_INPUT : find_field(line->spec, key);
    if (field == OP_FIELD_COUNT) return fail_unknown(parser, column, key, line->spec);

    seen = &line->columns[field];
    if (field == FIELD_INPUT && has_two_names(line->spec)) seen = is_gpa_name ? &line->gpa_column : &line->iova_column;
    if (*seen) {
        return FAIL(parser, column, "%s: duplicate key '%.*s'; it stands in column %u already", line->spec->name,
                    (int)key.length, key.start, *seen);
    }
    *seen = column;
    if (!script_parse_value(field, text, &value, message, sizeof(message))) {
        return FAIL(parser, column + (unsigned)key.length + 1, "%.*s: %s", (int)key.length, key.start, message);
    }
    if (seen == &line->iova_column)
        line->iova = value;
    else if (seen == &line->gpa_column)
        line->gpa = value;
    else
        op_set(&line->op, field, value);
    return true;
}

static bool world_has_s1(const struct parser *parser)
{
    return parser->script->count && op_get(&parser->script->ops[0], FIELD_S1) != 0;
}

static void set_input(struct line *line, uint64_t value, unsigned column)
{
    op_set(&line->op, FIELD_INPUT, value);
    line->columns[FIELD_INPUT] = column;
}

/*
 * Which of iova= and gpa= is the input address (design.md 3): iova= for S1, gpa= for S2, either in a world with one
 * stage. An iova= in a world of two stages means S1; the target of an S1 map is a gpa and may be written so.
 */
static bool resolve_input(struct parser *parser, struct line *line)
{
    const bool is_map = line->spec->kind == OP_MAP || line->spec->kind == OP_MAP_LIST;
    uint64_t stage;

    if (!has_two_names(line->spec)) return true;
    stage = op_get(&line->op, FIELD_STAGE);
    if (stage == STAGE_DEFAULT && world_has_s1(parser) && line->iova_column) {
        stage = STAGE_S1;
        op_set(&line->op, FIELD_STAGE, STAGE_S1);
        line->columns[FIELD_STAGE] = line->iova_column;
    }
    if (stage == STAGE_S1) {
        if (is_map && line->gpa_column && !line->columns[FIELD_HPA]) {
            op_set(&line->op, FIELD_HPA, line->gpa);
            line->columns[FIELD_HPA] = line->gpa_column;
            line->gpa_column = 0;
        }
        if (line->gpa_column) {
            return FAIL(parser, line->gpa_column,
                        "%s: gpa= is no input address of stage 1; expected iova=", line->spec->name);
        }
    } else if (line->iova_column && line->gpa_column) {
        return FAIL(parser, line->gpa_column,
                    "%s: duplicate key 'gpa'; iova= in column %u is the input address already", line->spec->name,
                    line->iova_column);
    } else if (stage == STAGE_S2 && line->iova_column && world_has_s1(parser)) {
        return FAIL(parser, line->iova_column,
                    "%s: iova= is no input address of stage 2; expected gpa=", line->spec->name);
    }
    if (line->iova_column)
        set_input(line, line->iova, line->iova_column);
    else if (line->gpa_column)
        set_input(line, line->gpa, line->gpa_column);
    return true;
}

static bool finish_line(struct parser *parser, struct line *line)
{
    if (!resolve_input(parser, line)) return false;
    for (unsigned i = 0; i < line->spec->field_count; i++) {
        const enum op_field field = (enum op_field)(line->spec->fields[i] & OP_FIELD_MASK);

        if (line->columns[field]) continue;
        if (!(line->spec->fields[i] & OP_REQUIRED)) {
            op_set(&line->op, field, op_default(&line->op, field));
            continue;
        }
        if (field == FIELD_INPUT && has_two_names(line->spec)) {
            return FAIL(parser, line->name_column, "%s: missing key; expected iova= or gpa=", line->spec->name);
        }
        return FAIL(parser, line->name_column, "%s: missing key; expected %s=", line->spec->name,
                    op_field_row(field)->name);
    }
    CHECK(op_is_legal(&line->op));
    return true;
}

/* `-> outcome`, up to a comment or the end of the line. */
static bool parse_expectation(struct parser *parser, struct script_note *note)
{
    const unsigned column = column_at(parser, parser->at);
    const size_t start = parser->at + 2;
    struct script_slice slice;

    while (!at_line_end(parser) && parser->text[parser->at] != '#') parser->at++;
    slice = trimmed((struct script_slice){ parser->text + start, parser->at - start });
    if (slice.length == 0) return FAIL(parser, column, "nothing after '->'; expected an outcome such as ok");
    note->expectation = keep(parser, slice);
    return true;
}

static void parse_comment(struct parser *parser, struct script_note *note)
{
    const size_t start = ++parser->at;

    while (!at_line_end(parser)) parser->at++;
    note->comment = keep(parser, trimmed((struct script_slice){ parser->text + start, parser->at - start }));
}

static bool at_arrow(const struct parser *parser)
{
    return parser->at + 1 < parser->length && memcmp(parser->text + parser->at, "->", 2) == 0;
}

static bool parse_op_line(struct parser *parser)
{
    struct script_note note = { .line = parser->line };
    struct line line = { .name_column = column_at(parser, parser->at) };
    const struct script_slice name = take_token(parser);

    line.spec = op_spec_find(name.start, (unsigned)name.length);
    if (!line.spec) return fail_unknown(parser, line.name_column, name, NULL);
    if (line.spec->kind == OP_WORLD && parser->script->count) {
        return FAIL(parser, line.name_column, "world is not the first op; expected it once, before all others");
    }
    if (line.spec->kind != OP_WORLD && parser->script->count == 0) {
        append_op(parser, op_make(OP_WORLD), (struct script_note){ 0 });
    }
    parser->script->has_world |= line.spec->kind == OP_WORLD;
    line.op = op_make((enum op_kind)line.spec->kind);
    note.before = finish_before(parser);
    for (skip_blanks(parser); !at_line_end(parser); skip_blanks(parser)) {
        if (parser->text[parser->at] == '#') {
            parse_comment(parser, &note);
        } else if (at_arrow(parser)) {
            if (!parse_expectation(parser, &note)) return false;
        } else if (!parse_pair(parser, &line)) {
            return false;
        }
    }
    if (!finish_line(parser, &line)) return false;
    append_op(parser, line.op, note);
    return true;
}

/* Control bytes have no place in a script; most often someone fed records or an archive. */
static bool check_bytes(struct parser *parser)
{
    for (size_t i = parser->at; i < parser->length && parser->text[i] != '\n'; i++) {
        const unsigned char byte = (unsigned char)parser->text[i];

        if ((byte < 0x20 && byte != '\t' && byte != '\r') || byte == 0x7f) {
            return FAIL(parser, column_at(parser, i), "byte 0x%02x found; expected text", byte);
        }
    }
    return true;
}

static bool parse_lines(struct parser *parser)
{
    while (parser->at < parser->length) {
        parser->line++;
        parser->line_start = parser->at;
        if (!check_bytes(parser)) return false;
        skip_blanks(parser);
        if (at_line_end(parser) || parser->text[parser->at] == '#')
            keep_line(parser);
        else if (!parse_op_line(parser))
            return false;
        if (parser->at < parser->length) parser->at++;
    }
    return true;
}

bool script_parse(const char *text, size_t length, struct script *script, struct script_error *error)
{
    struct parser parser = { .text = text, .length = length, .script = script, .error = error };

    *script = (struct script){ 0 };
    *error = (struct script_error){ 0 };
    /* Every string is cut from the text and ends where at least one byte of it was left out; 16 for the last line. */
    script->text = malloc(length + 16);
    CHECK(script->text != NULL);
    parser.strings = script->text;
    if (!parse_lines(&parser)) {
        script_free(script);
        return false;
    }
    script->after = finish_before(&parser);
    if (script->count == 0) append_op(&parser, op_make(OP_WORLD), (struct script_note){ 0 });
    return true;
}

void script_free(struct script *script)
{
    free(script->ops);
    free(script->notes);
    free(script->text);
    *script = (struct script){ 0 };
}

int script_format_error(const char *file, const struct script_error *error, char *buffer, size_t size)
{
    return snprintf(buffer, size, "%s:%u:%u: %s", file, error->line, error->column, error->message);
}
