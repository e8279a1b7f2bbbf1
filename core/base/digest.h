/*
 * A 128-bit digest of a sequence of words, for telling states of a model apart: not for adversaries. Two lanes of
 * multiply and rotate with different constants; a lane alone repeats after about 2^32 states, both after about 2^64.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct digest {
    uint64_t lane[2];
};

static inline struct digest digest_empty(void)
{
    return (struct digest){ { UINT64_C(0x243f6a8885a308d3), UINT64_C(0x13198a2e03707344) } };
}

static inline uint64_t digest_turn(uint64_t value, unsigned by)
{
    return value << by | value >> (64 - by);
}

static inline void digest_add(struct digest *digest, uint64_t word)
{
    digest->lane[0] = digest_turn((digest->lane[0] ^ word) * UINT64_C(0x9e3779b97f4a7c15), 29);
    digest->lane[1] = digest_turn((digest->lane[1] + word) * UINT64_C(0xc2b2ae3d27d4eb4f), 31);
}

/* Spread the last words over all bits. */
static inline struct digest digest_end(struct digest digest)
{
    for (unsigned i = 0; i < 3; i++) {
        const uint64_t other = digest.lane[0];

        digest_add(&digest, digest.lane[1]);
        digest_add(&digest, other);
    }
    return digest;
}

/* For sets: what is added this way may come in any order. Add each member's own ended digest. */
static inline void digest_join(struct digest *set, struct digest member)
{
    member = digest_end(member);
    set->lane[0] += member.lane[0];
    set->lane[1] += member.lane[1];
}

static inline bool digest_equal(struct digest a, struct digest b)
{
    return a.lane[0] == b.lane[0] && a.lane[1] == b.lane[1];
}
