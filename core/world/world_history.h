/*
 * What devices were served, and which pages were converted since: tells a page that worked until something else
 * changed from one that never worked. The latest HISTORY_MAX of each; older ones are forgotten.
 */
#pragma once

#include "oracle/fills.h"

enum { HISTORY_MAX = 256 };

struct history_fill {
    uint64_t input, hpa; /* first byte of the entry */
    uint64_t number;     /* of the op */
    struct fill_tag tag;
    unsigned shift;
    uint64_t walked; /* a byte of the leaf that the walk ended in, */
    unsigned
        walked_shift; /* and its size, the smaller of both stages'; what the entry covers beyond it was not looked at */
};

struct history_conversion {
    uint64_t first, last; /* hpa, both inclusive */
    uint64_t number;
};

struct history {
    struct history_fill fills[HISTORY_MAX];
    struct history_conversion conversions[HISTORY_MAX];
    uint64_t fill_count, conversion_count; /* all ever noted; the rings hold the latest */
};

void history_reset(struct history *history);
void history_note_fill(struct history *history, const struct history_fill *fill);
/* RMPUPDATE changed these pages. */
void history_note_conversion(struct history *history, const struct history_conversion *conversion);

/* Did the latest fill of this entry end in a leaf that holds `address`? True also where it is not known any more. */
bool history_was_walked(const struct history *history, const struct fill_tag *tag, const struct fill *entry,
                        uint64_t address);

/*
 * Was this byte of this device, at this hpa, within an entry filled before, and no page of the entry's that holds it
 * converted since? O(HISTORY_MAX).
 */
bool history_was_served(const struct history *history, const struct fill_tag *tag, uint64_t input, uint64_t hpa);
