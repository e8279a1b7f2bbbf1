/*
 * Seeded random numbers, the same on every machine (splitmix64; Steele, Lea, Flood 2014, public domain constants).
 * Whatever draws at random takes one of these; there is no global generator.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

static inline struct random random_seeded(uint64_t seed)
{
    return (struct random){ seed };
}

static inline uint64_t random_u64(struct random *random)
{
    uint64_t z = (random->state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 .. limit - 1; limit is not 0. The bias of at most limit / 2^64 does not matter here. */
static inline uint64_t random_below(struct random *random, uint64_t limit)
{
    return random_u64(random) % limit;
}

/* True in one of `n` draws on average. */
static inline bool random_one_in(struct random *random, unsigned n)
{
    return random_below(random, n) == 0;
}
