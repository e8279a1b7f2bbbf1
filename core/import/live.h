/*
 * Which input addresses are mapped at a point of a trace: sorted ranges, one for each map, never merged, so that an
 * unmap can tell how many maps it covers. Internal to the importers.
 *
 * Sorted chunks of at most 256 ranges: every call costs two binary searches and moves at most 4 KiB.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Inclusive, so that the last byte of 64 bits has a place. */
struct live_range {
    uint64_t first, last;
};

struct live_chunk;

/* Start with { 0 }. */
struct live {
    struct live_chunk **chunks; /* none is empty */
    size_t count, capacity;
    uint64_t ranges;
};

void live_free(struct live *live);

/* The first range that has a byte of [first, last]. False: none. */
bool live_find(const struct live *live, uint64_t first, uint64_t last, struct live_range *range);

/* Add a range that overlaps none (CHECKed). False: no memory, nothing added. */
bool live_add(struct live *live, struct live_range range);

/* Take [first, last], which lies inside one range, out of it; what is left stays as one or two ranges. False: no
 * memory. */
bool live_remove(struct live *live, uint64_t first, uint64_t last);
