/*
 * Which mappings are measured on which format, and what the formats offer: said here once more, typed from formats.md 1
 * and not asked of the engine.
 */
#pragma once

#include "base/bits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the items of a leaf of several items hold. */
enum bench_runs {
    RUNS_NONE,
    RUNS_OF_ONE_WORD, /* formats.md 2.7: each the same */
    RUNS_OF_ARM,      /* advancing addresses, and the contiguous hint */
    RUNS_OF_FAKE,     /* advancing addresses, and log2 of the items (fake.h 2) */
};

/* A format in its default configuration. A new format is one row of the table in bench_shape.c. */
struct bench_format {
    const char *name;
    unsigned granule_shift; /* smallest leaf */
    unsigned index_bits;    /* log2 of the items of an interior table */
    uint64_t leaf_sizes;    /* bit s = 2^s bytes */
    /* The lowest level whose tables may be shared by places that are far apart: the root, or what is below it where
     * the root has too few items (armv8_16k: 2). */
    unsigned shared_level;
    enum bench_runs runs;
    uint64_t sweep; /* n of the 1x2^n cases that every build and state has; the others are warm-general only */
};

enum bench_shape_kind {
    SHAPE_ONE,      /* 1x2^parameter: one call of so many bytes, aligned to it */
    SHAPE_MANY,     /* 256 leaves of level `parameter`; nothing larger fits */
    SHAPE_GIB_AS,   /* 1 GiB in leaves of level `parameter` */
    SHAPE_GIB_BEST, /* 1 GiB, fully aligned */
};

/* What a case's `shape` points to: the same for every format. */
struct bench_shape {
    enum bench_shape_kind kind;
    unsigned parameter;
};

enum { SHAPE_NAME_BYTES = 16, SHAPE_MANY_LEAVES = 256 };

/* A shape on a format: one mapping. */
struct table_shape {
    char name[SHAPE_NAME_BYTES]; /* the work part of the case's name */
    uint64_t length;             /* bytes of one operation */
    /* 0: iova and target are aligned to `length`. Else target - iova is an odd multiple of 2^skew_shift, so that no
     * leaf above 2^skew_shift fits anywhere. */
    unsigned skew_shift;
    bool is_scattered; /* SHAPE_MANY_LEAVES pages whose targets lie in another order (bench_scatter) */
    uint64_t places;   /* 0: as many as bench_table.h says */
};

/* NULL: no such format. */
const struct bench_format *bench_format_find(const char *name);

/* The shapes of the map and unmap cases, in the order of the report; NULL past the end. */
const struct bench_shape *bench_shape_at(unsigned index);

/* False: the format has no such leaf, or none of that level below 1 GiB. */
bool bench_shape_fit(const struct bench_format *format, const struct bench_shape *shape, struct table_shape *fitted);

/* Is the shape measured in the vector build and cold too, or warm with general registers only? */
bool bench_shape_is_everywhere(const struct bench_format *format, const struct bench_shape *shape);

/* What tells the items of a run of 2^run_shift items, where addresses advance: the bits of `mask` are `value`, and each
 * word is the one before plus `step`. */
struct bench_run_word {
    uint64_t mask, value, step;
};

/* runs: RUNS_OF_ARM or RUNS_OF_FAKE. */
struct bench_run_word bench_run_word(const struct bench_format *format, unsigned level, unsigned run_shift);

/* "4K", "512M", "1G", for 2^shift bytes, shift 10 .. 39. */
const char *bench_size_name(unsigned shift, char text[SHAPE_NAME_BYTES]);

/* log2 of what one item of a level translates. */
static inline unsigned bench_level_shift(const struct bench_format *format, unsigned level)
{
    return format->granule_shift + format->index_bits * level;
}

/* The level whose items hold leaves of 2^leaf_shift bytes. */
static inline unsigned bench_leaf_level(const struct bench_format *format, unsigned leaf_shift)
{
    return (leaf_shift - format->granule_shift) / format->index_bits;
}

/* Where the page at `offset` of a scattered place leads: no two pages that follow do so in memory. */
static inline uint64_t bench_scatter(const struct bench_format *format, uint64_t offset)
{
    const uint64_t page = offset >> format->granule_shift;

    return (page * 77 % SHAPE_MANY_LEAVES) << format->granule_shift | (offset & low_mask(format->granule_shift));
}

/* Bytes that one item of a level translates. */
static inline uint64_t bench_item_span(const struct bench_format *format, unsigned level)
{
    return bit(bench_level_shift(format, level));
}
