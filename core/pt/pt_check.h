/*
 * pt_check: one walk over the whole tree that reports every violation of the structural invariants.
 * O(items): tests, fuzz targets and --check=all call it, never an operation.
 *
 * Numbers are those of formats.md 3. Checked here: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 34 35; of 14 and 15 what
 * holds for every leaf of a table (the rights and the C-bit of one mapping are known to a model only). The others
 * compare with a model or watch an operation: core/oracle and the world do that.
 */
#pragma once

#include "base/addr.h"

struct pt;

struct pt_violation {
    unsigned invariant; /* number in formats.md 3 */
    unsigned level;
    iova_t va;        /* first address of the item */
    uint64_t item;    /* the raw word, 0 where there is none */
    const char *text; /* what is wrong, one sentence without a full stop */
};

struct pt_check_report {
    void (*violation)(void *context, const struct pt_violation *violation); /* NULL: count only */
    void *context;
    unsigned tables_elsewhere; /* live pages of the pool that belong to somebody else (invariant 4) */
    uint32_t *reached;         /* NULL, or where the number of tables that the top leads to goes, itself included */
};

/* Walk everything; returns the number of violations. `report` may be NULL. */
unsigned pt_check(const struct pt *pt, const struct pt_check_report *report);
