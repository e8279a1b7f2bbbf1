/*
 * What an IOMMU's walk cache may still hold of leaves that are gone: upper-level items are cached as they were read,
 * and stay until an invalidation that names them. A cut, or an unmap whose invalidation is outstanding, leaves some.
 *
 * An upper bound: a leaf is listed whether hardware ever walked it or not. Plain list; the few entries are scanned.
 */
#pragma once

#include "oracle/oracle.h"

enum { LEFTOVERS_MAX = 512 };

struct leftovers {
    const struct oracle_format *format;
    struct oracle_run runs[LEFTOVERS_MAX];
    unsigned count;
    bool overflowed; /* there were more: anything may be cached */
};

/* Empty, for tables of `format`. */
void leftovers_reset(struct leftovers *leftovers, const struct oracle_format *format);

/* These leaves were just removed or split. Those of the lowest level are not kept: they are in no upper level. */
void leftovers_add(struct leftovers *leftovers, const struct oracle_run *run);

/* Cached items that hold a byte of [first, last] are gone. */
void leftovers_invalidate(struct leftovers *leftovers, uint64_t first, uint64_t last);

/* The leaf over `address` in entry `index` and on; *index moves behind it. False: no more. */
bool leftovers_next(const struct leftovers *leftovers, uint64_t address, unsigned *index, struct oracle_leaf *leaf);
