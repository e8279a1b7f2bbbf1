/*
 * What drawing needs to know of each table format: enough that most maps fit and most worlds are taken. Sizes and
 * widths from formats.md 1, said here once more: this layer does not see the engines.
 */
#pragma once

#include "script/op.h"
#include "script/script_draw.h"

#include <stdbool.h>
#include <stdint.h>

struct script_format {
    const char *name;
    uint8_t page_shift, index_bits;
    uint8_t va_bits, oa_bits, top_level; /* default configuration */
    bool grows;                          /* the top grows: widths are limits, not shapes */
    bool has_halves;                     /* always sign extended; va_bits counts the sign */
    bool has_dirty;                      /* dirtiness can be read; armv8: with hardware_dirty= */
    uint64_t sizes;                      /* bitmap of leaf sizes of all levels */
    uint64_t contiguous_sizes;           /* of these, what contiguous=no takes away */
    const char *s1[2];                   /* first stages that hardware walks above it */
    /* Draw the keys of a world that are this format's business. NULL: none. */
    void (*draw)(struct random *random, struct op *world);
};

/* The row of a world's format. */
const struct script_format *script_format_of(const struct op *world);

/* Input bits that its tables translate, of the lower half where there are two. */
unsigned script_format_input_bits(const struct script_format *format, const struct op *world);

/* Leaf sizes that a map of this world may use; 0: none, the engine would refuse it. */
uint64_t script_format_sizes(const struct script_format *format, const struct op *world);

/* A format, most often one with much to it, and all keys that go with it. */
void script_format_draw(struct random *random, struct op *world);

/* Take back to their defaults the keys that this format has no use for: a change of one key mostly leaves some. */
void script_format_settle(struct op *world);
