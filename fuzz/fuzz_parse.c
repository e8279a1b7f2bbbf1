/*
 * Does every reader of text and bytes from outside survive anything, say where a mistake is, and lose nothing?
 *
 * Input:  the first byte chooses (its value modulo 4, so that seeds start with a digit and are text), the rest is read:
 *         0 a script, 1 records, 2 ftrace lines, 3 layout lines.
 * Oracle: a script that parses prints, and the print parses to the same ops and notes and prints the same again; one
 *         that does not has a place inside the text. Decoded records are legal ops, encode to the bytes they came from
 *         and print as a script with the same ops. Trace and layout lines are read one by one and as a file: each ends
 *         at its end or with `path:line:column: expected ...` inside it, and every line is counted once. Maps never
 *         overlap what is live, unmaps remove what is.
 * Limits: 64 KiB. The file lives in memory. Nothing is kept between inputs but the counters below.
 */
#define _GNU_SOURCE
#include "fuzz.h"
#include "fuzz_end.h"

#include "base/check.h"
#include "import/event.h"
#include "import/import.h"
#include "import/input.h"
#include "script/script.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MODES = 4, BYTES_MAX = 1 << 16, PATH_BYTES = 64 };

static struct {
    uint64_t execs;
    uint64_t units; /* ops of scripts and records, lines of traces and layouts */
    uint64_t refused;
} counters;

static int memory_file = -1;
static char memory_path[PATH_BYTES];

static void print_counters(void)
{
    fprintf(stderr, "mapproof: execs=%" PRIu64 " ops=%" PRIu64 " findings=0\n", counters.execs, counters.units);
    fprintf(stderr, "mapproof: refused=%" PRIu64 "\n", counters.refused);
}

static void start(void)
{
    memory_file = memfd_create("fuzz_parse", 0);
    CHECK(memory_file >= 0);
    snprintf(memory_path, sizeof(memory_path), "/proc/self/fd/%d", memory_file);
    fuzz_end_begin(print_counters, NULL);
}

static _Noreturn void differ(const char *what, const char *first, const char *second)
{
    fprintf(stderr, "mapproof: difference: %s\n--- first\n%s\n--- second\n%s\n", what, first, second);
    abort();
}

/* ---- scripts and records ----------------------------------------------------------------------------------------- */

static bool same_ops(const struct op *a, size_t a_count, const struct op *b, size_t b_count)
{
    return a_count == b_count && memcmp(a, b, a_count * sizeof(*a)) == 0;
}

static bool same_text(const char *a, const char *b)
{
    return (!a || !b) ? a == b : strcmp(a, b) == 0;
}

static bool same_notes(const struct script *a, const struct script *b)
{
    for (size_t i = 0; i < a->count; i++) {
        if (!same_text(a->notes[i].expectation, b->notes[i].expectation)) return false;
        if (!same_text(a->notes[i].comment, b->notes[i].comment)) return false;
    }
    return true;
}

/* A place is inside the text: the line exists, the column is on it or one behind. */
static void check_place(const char *text, size_t length, const struct script_error *error)
{
    const char *line = text;
    const char *end = text + length;
    const char *newline = NULL;
    unsigned number = 1;

    while (number < error->line && (newline = memchr(line, '\n', (size_t)(end - line)))) {
        line = newline + 1;
        number++;
    }
    newline = memchr(line, '\n', (size_t)(end - line));
    if (number == error->line && error->column >= 1 && error->message[0] &&
        error->column <= (size_t)((newline ? newline : end) - line) + 1)
        return;
    fprintf(stderr, "place %u:%u\n", error->line, error->column);
    differ("an error has no place in the text", text, error->message);
}

/* The message as compilers write it. */
static void check_message(const struct script_error *error)
{
    char wanted[SCRIPT_MESSAGE_MAX + PATH_BYTES], got[SCRIPT_MESSAGE_MAX + PATH_BYTES];

    snprintf(wanted, sizeof(wanted), "a.ops:%u:%u: %s", error->line, error->column, error->message);
    script_format_error("a.ops", error, got, sizeof(got));
    if (strcmp(wanted, got) != 0) differ("the form of a message", wanted, got);
}

/* Text that script_print made: must parse to the same and print the same. */
static void check_printed(const struct script *script, const char *printed, size_t length)
{
    struct script again;
    struct script_error error;
    size_t again_length;
    char *again_printed;

    if (!script_parse(printed, length, &again, &error))
        differ("a printed script does not parse", printed, error.message);
    again_printed = script_print(&again, &again_length);
    if (!same_ops(script->ops, script->count, again.ops, again.count) || !same_notes(script, &again))
        differ("a printed script means something else", printed, again_printed);
    if (length != again_length || memcmp(printed, again_printed, length) != 0)
        differ("a script prints otherwise the second time", printed, again_printed);
    free(again_printed);
    script_free(&again);
}

static void check_ops(const struct op *ops, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct op sanitized = ops[i];
        char text[OP_TEXT_MAX];

        op_print(&ops[i], &ops[0], text);
        op_sanitize(&sanitized);
        if (!op_is_legal(&ops[i]) || memcmp(&sanitized, &ops[i], sizeof(sanitized)) != 0)
            differ("an op that is not legal", text, "");
        if ((op_kind_of(&ops[i]) == OP_WORLD) != (i == 0)) differ("a world in the wrong place", text, "");
    }
}

/* Ops -> bytes -> ops, and ops -> text -> ops. */
static void check_both_ways(const struct op *ops, size_t count)
{
    const size_t size = count * OP_RECORD_BYTES;
    uint8_t *bytes = malloc(size);
    struct op *decoded = malloc((count + 1) * sizeof(*decoded));
    struct script script;
    struct script_error error;
    size_t length;
    char *text = script_print_ops(ops, count, &length);

    CHECK(bytes != NULL);
    CHECK(decoded != NULL);
    if (script_encode(ops, count, bytes, size) != size ||
        !same_ops(ops, count, decoded, script_decode(bytes, size, decoded, count + 1)))
        differ("records are not lossless", text, "");
    if (!script_parse(text, length, &script, &error)) differ("printed ops do not parse", text, error.message);
    if (!same_ops(ops, count, script.ops, script.count)) differ("printed ops mean something else", text, "");
    script_free(&script);
    free(text);
    free(decoded);
    free(bytes);
    counters.units += count;
}

static void parse_script(const char *text, size_t size)
{
    struct script script;
    struct script_error error;
    size_t length;
    char *printed;

    if (!script_parse(text, size, &script, &error)) {
        counters.refused++;
        check_place(text, size, &error);
        check_message(&error);
        return;
    }
    check_ops(script.ops, script.count);
    check_both_ways(script.ops, script.count);
    printed = script_print(&script, &length);
    if (strlen(printed) != length) differ("a printed script holds a zero byte", printed, "");
    check_printed(&script, printed, length);
    free(printed);
    script_free(&script);
}

static void parse_records(const uint8_t *bytes, size_t size)
{
    static struct op ops[BYTES_MAX / OP_RECORD_BYTES + 1];
    const size_t records = size / OP_RECORD_BYTES;
    const size_t count = script_decode(bytes, size, ops, records + 1);

    if (count < 1 || count < records) differ("records were dropped", "", "");
    check_ops(ops, count);
    check_both_ways(ops, count);
}

/* ---- traces and layouts ------------------------------------------------------------------------------------------ */

/* Takes one line, as the importers do; its column lies on the line or one behind. */
static void check_line(const char *line, bool is_layout)
{
    const struct event event = is_layout ? event_of_layout(line) : event_of_trace(line);
    bool is_sane = true;

    counters.units++;
    switch (event.kind) {
    case EVENT_BAD: is_sane = event.column >= 1 && event.column <= strlen(line) + 1 && event.expected; break;
    case EVENT_SKIP: is_sane = event.reason < SKIP_REASONS; break;
    case EVENT_MAP:
    case EVENT_UNMAP: is_sane = event.length != 0; break;
    }
    if (!is_sane) differ("a line of a trace or layout", line, event.expected ? event.expected : "");
}

/* How many lines a reader must see, and each of them read alone. */
static uint64_t check_lines(char *text, bool is_layout)
{
    uint64_t lines = 0;
    char *line = text;

    while (*line) {
        char *newline = strchr(line, '\n');

        if (newline) *newline = 0;
        check_line(line, is_layout);
        lines++;
        if (!newline) break;
        line = newline + 1;
    }
    return lines;
}

static void check_import_message(const char *message, uint64_t line)
{
    char wanted[PATH_BYTES + 32];
    const int length = snprintf(wanted, sizeof(wanted), "%s:%" PRIu64 ":", memory_path, line);
    char *end = NULL;

    if (strncmp(message, wanted, (size_t)length) == 0 && strtoul(message + length, &end, 10) >= 1 &&
        strncmp(end, ": expected ", 11) == 0)
        return;
    differ("a message without its place", message, wanted);
}

/* Reads the memory file to its end or first mistake. `lines`: how many there are. */
static void import_file(uint64_t lines)
{
    char message[INPUT_MESSAGE_BYTES];
    struct input *input = input_open(memory_path, message, sizeof(message));
    struct import *import;
    struct import_op op;
    uint64_t ops = 0;
    int result;

    if (!input) differ("the file in memory does not open", message, "");
    import = import_new(input);
    CHECK(import != NULL);
    while ((result = import_next(import, &op)) == 1) {
        ops++;
        if (op.line != input_line_number(input) || (op.kind != IMPORT_CUT && op.length == 0))
            differ("an op of an import", import_message(import), "");
    }
    if (result < 0) {
        counters.refused++;
        check_import_message(import_message(import), input_line_number(input));
    } else if (input_line_number(input) != lines || import_totals(import)->lines != lines) {
        differ("lines were lost", "", "");
    }
    if (import_totals(import)->ops != ops) differ("ops were lost", "", "");
    for (unsigned i = 0; import_note(import, i); i++) CHECK(import_note(import, i)[0] != 0);
    import_free(import);
    input_close(input);
}

/* A first line tells the reader which kind it is, whatever follows; bytes that no text has are blanked. */
static void parse_lines(const uint8_t *bytes, size_t size, bool is_layout)
{
    static const char trace_head[] = "# tracer: nop\n";
    static const char layout_head[] = "gpa=0xfffffffffffff000 hpa=0x0 size=0x1000\n";
    const char *head = is_layout ? layout_head : trace_head;
    const size_t head_length = strlen(head);
    char *text = malloc(head_length + size + 1);

    CHECK(text != NULL);
    memcpy(text, head, head_length);
    for (size_t i = 0; i < size; i++) {
        const bool is_text = (bytes[i] >= 0x20 && bytes[i] != 0x7f) || bytes[i] == '\n' || bytes[i] == '\t';

        text[head_length + i] = is_text ? (char)bytes[i] : ' ';
    }
    text[head_length + size] = 0;
    CHECK(ftruncate(memory_file, 0) == 0);
    CHECK(pwrite(memory_file, text, head_length + size, 0) == (ssize_t)(head_length + size));
    /* Lines of a layout with an event in them make it a trace; what is checked holds for either. */
    import_file(check_lines(text, is_layout));
    free(text);
}

static void parse(const uint8_t *data, size_t size)
{
    switch (data[0] % MODES) {
    case 0: parse_script((const char *)data + 1, size - 1); break;
    case 1: parse_records(data + 1, size - 1); break;
    case 2: parse_lines(data + 1, size - 1, false); break;
    default: parse_lines(data + 1, size - 1, true); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (memory_file < 0) start();
    counters.execs++;
    if (size > 0 && size <= BYTES_MAX) parse(data, size);
    fuzz_end_if_asked();
    return 0;
}
