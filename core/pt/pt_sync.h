/*
 * Every access to an item that a hardware walker or another thread may see at the same time. Nothing else in core/pt
 * dereferences a pointer to an item of a live table.
 *
 * Order: an item is one aligned 64-bit word, so it is never seen torn. A table is installed with release order after
 * it was filled; loads that follow a pointer acquire. Leaf stores need no order among themselves: each stands alone.
 * The general build (PT_VECTOR 0) stores one word at a time. The vector build stores 16 aligned bytes at a time, which
 * every x86 CPU with AVX does in one piece; engine_is_usable() asks for AVX. Weak-memory order is argued, not proved.
 *
 * PT_OBSERVED 1 is for world/hitless_test.c and pt_flush_test.c: it calls pt_sync_observe around every single word that
 * is written. A vector build then writes its 16 bytes as two words, which shows the test more states than hardware can
 * meet.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef PT_VECTOR
#define PT_VECTOR 0
#endif

#ifndef PT_OBSERVED
#define PT_OBSERVED 0
#endif

#if PT_VECTOR
#include <emmintrin.h>
#endif

/* One 64-bit word of a table, 8-byte aligned also where uint64_t is not (i386). */
typedef uint64_t pt_item_t __attribute__((aligned(8)));

/* Only a program with an observed engine has it: a word is about to be written, or (`is_written`) has just been. */
void pt_sync_observe(const pt_item_t *item, bool is_written);

static inline void pt_sync_before(const pt_item_t *item)
{
#if PT_OBSERVED
    pt_sync_observe(item, false);
#else
    (void)item;
#endif
}

static inline void pt_sync_after(const pt_item_t *item)
{
#if PT_OBSERVED
    pt_sync_observe(item, true);
#else
    (void)item;
#endif
}

static inline uint64_t pt_sync_load(const pt_item_t *item)
{
    return __atomic_load_n(item, __ATOMIC_ACQUIRE);
}

static inline void pt_sync_store(pt_item_t *item, uint64_t value)
{
    pt_sync_before(item);
    __atomic_store_n(item, value, __ATOMIC_RELAXED);
    pt_sync_after(item);
}

/* Install `desired` if the item still holds `*expected`, with release; else *expected becomes what is there. */
static inline bool pt_sync_exchange(pt_item_t *item, uint64_t *expected, uint64_t desired)
{
    bool is_done;

    pt_sync_before(item);
    is_done = __atomic_compare_exchange_n(item, expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    if (is_done) pt_sync_after(item);
    return is_done;
}

#if PT_VECTOR
/* Two words, 16 bytes aligned. */
static inline void pt_sync_store_pair(__m128i *pair, __m128i value)
{
#if PT_OBSERVED
    pt_item_t *items = (pt_item_t *)(void *)pair;

    pt_sync_store(&items[0], (uint64_t)_mm_cvtsi128_si64(value));
    pt_sync_store(&items[1], (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(value, value)));
#else
    _mm_store_si128(pair, value);
#endif
}
#endif

/* A plain load for tests of items that only this call may change (formats.md 2.11). */
static inline uint64_t pt_sync_peek(const pt_item_t *item)
{
    return __atomic_load_n(item, __ATOMIC_RELAXED);
}

/* How many of the items up to `end` make whole turns of eight. */
static inline size_t pt_sync_turns(const pt_item_t *items, const pt_item_t *end)
{
    return (size_t)(end - items) & ~(size_t)7;
}

/*
 * Are all `count` items zero? Eight a turn into four sums: one sum would be a chain of `count` dependent steps. Plain
 * loads, which a compiler can fold into the ORs: empty items of the caller's own range are written by nobody else, and
 * where one is not empty the caller looks again.
 * The vector build's 16-byte loads may be split by the CPU; that is harmless, the caller owns these items' range.
 */
static inline bool pt_sync_all_empty(const pt_item_t *items, unsigned count)
{
    const pt_item_t *const end = items + count;
    const pt_item_t *turns_end;
    uint64_t a = 0, b = 0, c = 0, d = 0;

#if PT_VECTOR
    if (count >= 9) {
        __m128i wide0 = _mm_setzero_si128(), wide1 = wide0, wide2 = wide0, wide3 = wide0;

        if ((uintptr_t)items & 15) a = pt_sync_peek(items++);
        for (; end - items >= 8; items += 8) {
            const __m128i *at = (const __m128i *)(const void *)items;

            wide0 = _mm_or_si128(wide0, at[0]);
            wide1 = _mm_or_si128(wide1, at[1]);
            wide2 = _mm_or_si128(wide2, at[2]);
            wide3 = _mm_or_si128(wide3, at[3]);
        }
        wide0 = _mm_or_si128(_mm_or_si128(wide0, wide1), _mm_or_si128(wide2, wide3));
        b = (uint64_t)_mm_cvtsi128_si64(_mm_or_si128(wide0, _mm_unpackhi_epi64(wide0, wide0)));
    }
#endif
    turns_end = items + pt_sync_turns(items, end);
    for (; items < turns_end; items += 8) {
        a |= items[0];
        b |= items[1];
        c |= items[2];
        d |= items[3];
        a |= items[4];
        b |= items[5];
        c |= items[6];
        d |= items[7];
    }
    for (; items < end; items++) a |= *items;
    return (a | b | c | d) == 0;
}

/* items[i] = value + i * step, ascending. Eight a turn, each from the turn's first value: no chain of additions. */
static inline void pt_sync_fill(pt_item_t *items, unsigned count, uint64_t value, uint64_t step)
{
    pt_item_t *const end = items + count;
    pt_item_t *turns_end;

#if PT_VECTOR
    if (count >= 9) {
        __m128i pair0, pair1, pair2, pair3, turn;

        if ((uintptr_t)items & 15) {
            pt_sync_store(items++, value);
            value += step;
        }
        pair0 = _mm_set_epi64x((long long)(value + step), (long long)value);
        turn = _mm_set1_epi64x((long long)(2 * step));
        pair1 = _mm_add_epi64(pair0, turn);
        pair2 = _mm_add_epi64(pair1, turn);
        pair3 = _mm_add_epi64(pair2, turn);
        turn = _mm_set1_epi64x((long long)(8 * step));
        for (; end - items >= 8; items += 8) {
            __m128i *at = (__m128i *)(void *)items;

            pt_sync_store_pair(&at[0], pair0);
            pt_sync_store_pair(&at[1], pair1);
            pt_sync_store_pair(&at[2], pair2);
            pt_sync_store_pair(&at[3], pair3);
            pair0 = _mm_add_epi64(pair0, turn);
            pair1 = _mm_add_epi64(pair1, turn);
            pair2 = _mm_add_epi64(pair2, turn);
            pair3 = _mm_add_epi64(pair3, turn);
        }
        value = (uint64_t)_mm_cvtsi128_si64(pair0);
    }
#endif
    turns_end = items + pt_sync_turns(items, end);
    for (; items < turns_end; items += 8) {
        const uint64_t middle = value + 4 * step;

        pt_sync_store(&items[0], value);
        pt_sync_store(&items[1], value + step);
        pt_sync_store(&items[2], value + 2 * step);
        pt_sync_store(&items[3], value + 3 * step);
        pt_sync_store(&items[4], middle);
        pt_sync_store(&items[5], middle + step);
        pt_sync_store(&items[6], middle + 2 * step);
        pt_sync_store(&items[7], middle + 3 * step);
        value += 8 * step;
    }
    for (; items < end; items++) {
        pt_sync_store(items, value);
        value += step;
    }
}

/*
 * Clear items from `items` on, up to `end`, as long as (item & mask) == value; `value` lies inside `mask`. Returns the
 * first item that was not cleared. Eight a turn: bits that must be set are ANDed, bits that must not be are ORed.
 */
static inline pt_item_t *pt_sync_clear_while(pt_item_t *items, pt_item_t *end, uint64_t mask, uint64_t value)
{
    pt_item_t *turns_end;

#if PT_VECTOR
    const __m128i wide_mask = _mm_set1_epi64x((long long)mask), wide_value = _mm_set1_epi64x((long long)value);
    const __m128i zero = _mm_setzero_si128();

    if ((uintptr_t)items & 15 && items < end && (pt_sync_peek(items) & mask) == value) pt_sync_store(items++, 0);
    for (; !((uintptr_t)items & 15) && end - items >= 8; items += 8) {
        __m128i *at = (__m128i *)(void *)items;
        const __m128i all = _mm_and_si128(_mm_and_si128(at[0], at[1]), _mm_and_si128(at[2], at[3]));
        const __m128i any = _mm_or_si128(_mm_or_si128(at[0], at[1]), _mm_or_si128(at[2], at[3]));
        const __m128i wrong = _mm_or_si128(_mm_xor_si128(_mm_and_si128(all, wide_mask), wide_value),
                                           _mm_xor_si128(_mm_and_si128(any, wide_mask), wide_value));

        if (_mm_movemask_epi8(_mm_cmpeq_epi8(wrong, zero)) != 0xffff) break;
        for (unsigned i = 0; i < 4; i++) pt_sync_store_pair(&at[i], zero);
    }
#endif
    turns_end = items + pt_sync_turns(items, end);
    for (; items < turns_end; items += 8) {
        uint64_t all = pt_sync_peek(&items[0]), any = all;

#pragma GCC unroll 8
        for (unsigned i = 1; i < 8; i++) {
            const uint64_t item = pt_sync_peek(&items[i]);

            all &= item;
            any |= item;
        }
        if ((all & mask) != value || (any & mask) != value) break;
        __asm__("" : "+r"(items)); /* or gcc keeps the addresses of all eight, most of them on the stack */
#pragma GCC unroll 8
        for (unsigned i = 0; i < 8; i++) pt_sync_store(&items[i], 0);
    }
    while (items < end && (pt_sync_peek(items) & mask) == value) pt_sync_store(items++, 0);
    return items;
}
