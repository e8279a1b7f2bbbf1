/*
 * Every access to an item that a hardware walker or another thread may see at the same time. Nothing else in core/pt
 * dereferences a pointer to an item of a live table.
 *
 * Order: an item is one aligned 64-bit word, so it is never seen torn. A table is installed with release order after
 * it was filled; loads that follow a pointer acquire. Leaf stores need no order among themselves: each stands alone.
 * The general build (PT_VECTOR 0) stores one word at a time. The vector build stores 16 aligned bytes at a time, which
 * every x86 CPU with AVX does in one piece; engine_is_usable() asks for AVX. Weak-memory order is argued, not proved.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifndef PT_VECTOR
#define PT_VECTOR 0
#endif

#if PT_VECTOR
#include <emmintrin.h>
#endif

/* One 64-bit word of a table, 8-byte aligned also where uint64_t is not (i386). */
typedef uint64_t pt_item_t __attribute__((aligned(8)));

static inline uint64_t pt_sync_load(const pt_item_t *item)
{
    return __atomic_load_n(item, __ATOMIC_ACQUIRE);
}

static inline void pt_sync_store(pt_item_t *item, uint64_t value)
{
    __atomic_store_n(item, value, __ATOMIC_RELAXED);
}

/* Install `desired` if the item still holds `*expected`, with release; else *expected becomes what is there. */
static inline bool pt_sync_exchange(pt_item_t *item, uint64_t *expected, uint64_t desired)
{
    return __atomic_compare_exchange_n(item, expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* Are all `count` items zero? */
static inline bool pt_sync_all_empty(const pt_item_t *items, unsigned count)
{
    uint64_t seen = 0;
    unsigned i = 0;

#if PT_VECTOR
    /* A plain 16-byte load may be split; that is harmless here: the caller owns these items' range (formats.md 2.11).
     */
    if (count >= 9) {
        __m128i wide = _mm_setzero_si128();

        if ((uintptr_t)items & 15) seen = __atomic_load_n(&items[i++], __ATOMIC_RELAXED);
        for (; i + 8 <= count; i += 8) {
            const __m128i *at = (const __m128i *)(const void *)(items + i);

            wide = _mm_or_si128(wide, _mm_or_si128(_mm_or_si128(at[0], at[1]), _mm_or_si128(at[2], at[3])));
        }
        seen |= (uint64_t)_mm_cvtsi128_si64(_mm_or_si128(wide, _mm_unpackhi_epi64(wide, wide)));
    }
#endif
#pragma GCC unroll 8
    for (; i < count; i++) seen |= __atomic_load_n(&items[i], __ATOMIC_RELAXED);
    return seen == 0;
}

/* items[i] = value + i * step. */
static inline void pt_sync_fill(pt_item_t *items, unsigned count, uint64_t value, uint64_t step)
{
    unsigned i = 0;

#if PT_VECTOR
    if (count >= 4) {
        __m128i pair, two_steps;

        if ((uintptr_t)items & 15) {
            pt_sync_store(&items[0], value);
            i = 1;
            value += step;
        }
        pair = _mm_set_epi64x((long long)(value + step), (long long)value);
        two_steps = _mm_set1_epi64x((long long)(2 * step));
        for (; i + 2 <= count; i += 2) {
            _mm_store_si128((__m128i *)(void *)(items + i), pair);
            pair = _mm_add_epi64(pair, two_steps);
        }
        value = (uint64_t)_mm_cvtsi128_si64(pair);
    }
#endif
#pragma GCC unroll 8
    for (; i < count; i++) {
        pt_sync_store(&items[i], value);
        value += step;
    }
}
