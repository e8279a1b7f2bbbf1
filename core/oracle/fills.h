/*
 * The oracle of the IOTLB: every entry that hardware may still hold. Fills add; invalidations that have taken effect
 * remove what they must. Hardware may have dropped more (evictions), never less: a hit outside this set is a bug.
 *
 * A command counts from when it takes effect, as told; the queue is the caller's.
 */
#pragma once

#include "oracle/sorted.h"

#include <stdbool.h>
#include <stdint.h>

enum { FILLS_PASIDS = 63 };

/* A fill's gpa where nobody could tell which way its walk went: no invalidation by gpa is sure to have named it. */
#define FILL_GPA_UNKNOWN UINT64_MAX

struct fill {
    uint64_t input, gpa, hpa; /* first byte of the entry; gpa = input without stage 1 */
    unsigned shift;           /* 12, 21 or 30 */
    bool s2_is_large;         /* size class of the S2 leaf it came from */
    bool readable, writable;
    bool serves_write; /* a write may be served without a walk */
};

/* Who may use an entry. */
struct fill_tag {
    uint16_t domain; /* 0..1 */
    bool is_private;
    bool has_s1;
    uint32_t pasid; /* with has_s1 only */
};

struct fills {
    struct sorted host, guest; /* without and with stage 1 */
    uint32_t pasids[FILLS_PASIDS];
    unsigned pasid_count;
    bool overflowed; /* more pasids than that: guest entries are not known any more */
};

/* Nothing filled. An all-zero struct is fine. */
void fills_reset(struct fills *fills);
void fills_free(struct fills *fills);

void fills_add(struct fills *fills, const struct fill_tag *tag, const struct fill *fill);

/* Is an entry of that place and size among those that may be held? */
bool fills_find(const struct fills *fills, const struct fill_tag *tag, uint64_t input, unsigned shift,
                struct fill *fill);

/* How many entries may be held; too few where the pasids overflowed. */
static inline uint64_t fills_count(const struct fills *fills)
{
    return fills->host.count + fills->guest.count;
}

/* What an invalidation names, both ends inclusive. */
struct fills_range {
    uint16_t domain;
    bool is_guest; /* entries with S1 of `pasid`, by input; else those without by input and those with S1 by gpa */
    uint32_t pasid;
    uint64_t first, last;
};

/* May an entry be held that the range names, of whatever pasid? *input: its first byte. */
bool fills_any(const struct fills *fills, const struct fills_range *range, uint64_t *input);

void fills_invalidate(struct fills *fills, const struct fills_range *range);
void fills_invalidate_hpa(struct fills *fills, uint64_t first, uint64_t last);
