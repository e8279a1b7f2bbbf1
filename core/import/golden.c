/*
 * Golden files, case by case: read a case whole, check its form, run it. A malformed case stops the file before any
 * line of it ran.
 */
#include "import/golden.h"

#include "import/golden_arm.h"
#include "import/golden_case.h"
#include "import/input.h"
#include "pt/pt_plugin_host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    POOL_PAGES = 1 << 16, /* 256 MiB of tables; only what is touched costs anything. Golden cases need at most 40 */
};

/* Far from 0, and below the C-bits in use, so that a lost base shows. */
#define POOL_BASE UINT64_C(0x4000000000)

struct reader {
    struct golden_run *run;
    struct golden_totals *totals;
    struct input *input;
    struct table_pool pool;
    struct golden_case golden_case;
    char format[32]; /* of the case under way */
    char skipped_format[32];
    uint64_t skipped_count; /* cases of skipped_format not yet reported */
};

static void case_clear(struct golden_case *golden_case)
{
    for (unsigned i = 0; i < golden_case->count; i++) free(golden_case->lines[i].text);
    golden_case->count = 0;
}

static int case_add(struct golden_case *golden_case, uint64_t number, enum golden_kind kind, const char *text)
{
    if (golden_case->count == golden_case->capacity) {
        const unsigned capacity = golden_case->capacity ? 2 * golden_case->capacity : 64;
        void *lines = realloc(golden_case->lines, capacity * sizeof(*golden_case->lines));

        if (!lines) return -ENOMEM;
        golden_case->lines = lines;
        golden_case->capacity = capacity;
    }
    golden_case->lines[golden_case->count] = (struct golden_case_line){ number, kind, strdup(text) };
    if (!golden_case->lines[golden_case->count].text) return -ENOMEM;
    golden_case->count++;
    return 0;
}

static int malformed(struct reader *reader, unsigned column, const char *text)
{
    snprintf(reader->run->message, sizeof(reader->run->message), "%s:%llu:%u: %s", input_path(reader->input),
             (unsigned long long)input_line_number(reader->input), column, text);
    return -EINVAL;
}

static void report_skipped(struct reader *reader)
{
    if (reader->skipped_count > 0 && reader->run->skipped)
        reader->run->skipped(reader->run->context, input_path(reader->input), reader->skipped_format,
                             reader->skipped_count);
    reader->skipped_count = 0;
}

static void skip_case(struct reader *reader)
{
    if (strcmp(reader->format, reader->skipped_format) != 0) {
        report_skipped(reader);
        snprintf(reader->skipped_format, sizeof(reader->skipped_format), "%s", reader->format);
    }
    reader->skipped_count++;
    reader->totals->skipped++;
}

/* The engine for the case under way; NULL: none. */
static const struct engine *engine_for(const struct reader *reader)
{
    const struct golden_run *run = reader->run;
    const struct engine *engine = run->engine ? run->engine : engine_find(reader->format);

    if (run->plugin) return plugin_engine(run->plugin, reader->format);
    return engine && strcmp(engine->format, reader->format) == 0 ? engine : NULL;
}

static int run_case(struct reader *reader)
{
    const struct engine *engine = engine_for(reader);
    struct golden_mismatch mismatch;
    int result;

    if (!engine) {
        skip_case(reader);
        return 0;
    }
    result = golden_case_run(&reader->golden_case, engine, &reader->pool, &mismatch);
    if (result < 0) return result;
    if (result == 0) {
        reader->totals->passed++;
        return 0;
    }
    reader->totals->failed++;
    if (reader->run->difference) {
        const struct golden_difference difference = {
            input_path(reader->input), mismatch.line,   reader->golden_case.name ? reader->golden_case.name : "init",
            mismatch.golden,           mismatch.engine,
        };

        reader->run->difference(reader->run->context, &difference);
    }
    free(mismatch.golden);
    free(mismatch.engine);
    return 0;
}

static void set_format(struct reader *reader, const struct golden_line *line)
{
    const char *format = golden_line_get(line, "fmt");

    if (golden_line_get(line, "granule")) /* init lines of armv8 name no format */
        golden_arm_engine_name(line, reader->format, sizeof(reader->format));
    else
        snprintf(reader->format, sizeof(reader->format), "%s", format ? format : "(no fmt=)");
}

/* Is a line of that kind allowed as number `count` of a case? NULL: yes. */
static const char *misplaced(enum golden_kind kind, unsigned count)
{
    if (kind == GOLDEN_TABLE && count > 0) return "a second table line; expected end";
    if (kind != GOLDEN_TABLE && count == 0) return "expected a table line after the title";
    if (count == 1 && kind != GOLDEN_PAGE_SIZES) return "expected a page_sizes line after the table line";
    return NULL;
}

/* A line that is part of a case. */
static int read_case_line(struct reader *reader, const struct golden_line *line, const char *text)
{
    const uint64_t number = input_line_number(reader->input);
    const bool is_init = line->kind == GOLDEN_INIT && reader->golden_case.count == 0;
    const char *wrong = is_init ? NULL : misplaced(line->kind, reader->golden_case.count);
    int result;

    if (wrong) return malformed(reader, 1, wrong);
    if (is_init || line->kind == GOLDEN_TABLE) set_format(reader, line);
    result = case_add(&reader->golden_case, number, line->kind, text);
    if (result < 0) return result;
    if (!is_init && line->kind != GOLDEN_END) return 0;
    result = run_case(reader);
    case_clear(&reader->golden_case);
    return result;
}

static int read_title(struct reader *reader, const char *text)
{
    if (reader->golden_case.count > 0) return malformed(reader, 1, "a title inside a case; expected end");
    free(reader->golden_case.name);
    text += strspn(text, "# ");
    reader->golden_case.name = strdup(text);
    return reader->golden_case.name ? 0 : -ENOMEM;
}

static int read_line(struct reader *reader, const char *text)
{
    struct golden_line line;
    char message[256];
    unsigned column;
    char *copy;
    bool is_good;
    int result;

    if (*text == 0) return reader->golden_case.count > 0 ? malformed(reader, 1, "an empty line inside a case") : 0;
    copy = strdup(text);
    if (!copy) return -ENOMEM;
    is_good = golden_line_parse(&line, copy, &column, message, sizeof(message));
    if (!is_good) {
        result = malformed(reader, column, message);
    } else if (line.kind == GOLDEN_TITLE) {
        result = read_title(reader, text);
    } else if (!reader->golden_case.name && line.kind != GOLDEN_INIT) {
        result = malformed(reader, 1, "expected a title line: # NAME");
    } else {
        result = read_case_line(reader, &line, text);
    }
    free(copy);
    return result;
}

static int read_file(struct reader *reader)
{
    const char *text;
    int result = 0;
    int got;

    while (result == 0 && (got = input_line(reader->input, &text)) != 0) {
        if (got < 0) {
            snprintf(reader->run->message, sizeof(reader->run->message), "%s", input_message(reader->input));
            return -EIO;
        }
        result = read_line(reader, text);
    }
    if (result == 0 && reader->golden_case.count > 0)
        result = malformed(reader, 1, "the file ends inside a case; expected end");
    if (result == 0 && input_line_number(reader->input) == 0)
        result = malformed(reader, 1, "an empty file; expected # NAME");
    return result;
}

int golden_run_file(struct golden_run *run, const char *path, struct golden_totals *totals)
{
    struct reader reader = { .run = run, .totals = totals };
    int result;

    run->message[0] = 0;
    reader.input = input_open(path, run->message, sizeof(run->message));
    if (!reader.input) return -EIO;
    table_pool_init(&reader.pool, POOL_BASE, POOL_PAGES);
    result = read_file(&reader);
    report_skipped(&reader);
    if (result == -ENOMEM) snprintf(run->message, sizeof(run->message), "%s: no memory", path);
    case_clear(&reader.golden_case);
    free(reader.golden_case.lines);
    free(reader.golden_case.name);
    table_pool_destroy(&reader.pool);
    input_close(reader.input);
    return result;
}
