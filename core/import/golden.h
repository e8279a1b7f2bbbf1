/*
 * Golden files: requests and what Linux's engine answered, line by line, and their replay on an engine of ours.
 * The format stands in corpus/golden/README.md; every key a line may have, in golden_parse.c.
 *
 * A case starts with a fresh table. Each line is printed again from what our engine answers, and the two texts must
 * be equal: results, bytes, flushed ranges and freed pages, table counts, and the final table item by item. The first
 * line that differs ends its case. Files of formats.md's other formats are read and checked for form, and skipped.
 *
 * Cases of the base set show neither flushes nor table counts along the way; they are told from the others by the
 * missing table_pages line of the fresh table, and only then are unmap lines compared by their bytes alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GOLDEN_MESSAGE_BYTES = 768,
    GOLDEN_FIELDS_MAX = 64, /* of one line */
};

struct engine;
struct plugin;

struct golden_totals {
    uint64_t passed, failed, skipped; /* cases; an init line is a case */
};

struct golden_difference {
    const char *path;
    uint64_t line;
    const char *case_name; /* text of the case's `#` line */
    const char *golden;    /* the line in the file */
    const char *engine;    /* the line our engine makes of it */
};

struct golden_run {
    const struct engine *engine; /* a row; NULL: the row named as the file's format */
    const struct plugin *plugin; /* its row of the file's format, before `engine`; NULL: none */
    void (*difference)(void *context, const struct golden_difference *difference); /* may be NULL */
    /* `count` cases of one format were skipped, because no such engine is built (or `engine` is of another one) */
    void (*skipped)(void *context, const char *path, const char *format, uint64_t count); /* may be NULL */
    void *context;
    char message[GOLDEN_MESSAGE_BYTES]; /* out: why the file could not be read */
};

/*
 * Run every case of the file at `path` (plain or .xz) and add to *totals.
 *   0        read to its end; differences are in *totals
 *   -EINVAL  malformed: message is `path:line:column: ...`; the case in question did not run
 *   -EIO     unreadable or damaged: message starts with the path
 *   -ENOMEM  no memory
 */
int golden_run_file(struct golden_run *run, const char *path, struct golden_totals *totals);
