/* Bit arithmetic on 64-bit values. A shift is the base-2 logarithm of a size; shifts run from 0 to 63. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    SHIFT_2K = 11,
    SHIFT_4K = 12,
    SHIFT_2M = 21,
    SHIFT_1G = 30,
    SHIFT_512G = 39,
};

/* 2^shift. */
static inline uint64_t bit(unsigned shift)
{
    return UINT64_C(1) << shift;
}

/* The low `count` bits set; count 0..64. */
static inline uint64_t low_mask(unsigned count)
{
    return count >= 64 ? UINT64_MAX : bit(count) - 1;
}

/* Number of zero bits below the lowest set bit; 64 for 0. */
static inline unsigned trailing_zeros(uint64_t value)
{
    return value ? (unsigned)__builtin_ctzll(value) : 64;
}

/* Number of the highest set bit. `value` is not 0. */
static inline unsigned log2_floor(uint64_t value)
{
    return 63u - (unsigned)__builtin_clzll(value);
}

static inline bool is_aligned(uint64_t value, unsigned shift)
{
    return (value & low_mask(shift)) == 0;
}

static inline uint64_t align_down(uint64_t value, unsigned shift)
{
    return value & ~low_mask(shift);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}
