/*
 * One case of a golden file, and its replay. Internal to the golden reader.
 */
#pragma once

#include "base/physmem.h"
#include "import/golden_line.h"
#include "pt/engine.h"

struct golden_case_line {
    uint64_t number; /* in the file */
    enum golden_kind kind;
    char *text;
};

/* All lines between the title and the next one; the last is `end`. An init line is a case of one line. */
struct golden_case {
    char *name;
    struct golden_case_line *lines;
    unsigned count, capacity;
};

/* The first line where the two disagree; both texts are the caller's to free. */
struct golden_mismatch {
    uint64_t line;
    char *golden, *engine;
};

/*
 * Run the case on `engine`, tables from `pool`, which is reset first. The lines were parsed before and are well formed.
 *   0  every line agrees     1  *mismatch is filled     -ENOMEM
 */
int golden_case_run(const struct golden_case *golden_case, const struct engine *engine, struct table_pool *pool,
                    struct golden_mismatch *mismatch);
