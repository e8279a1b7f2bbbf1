/* Built with -mgeneral-regs-only, as the general rows of the engine are. */
#include "bench_limit.h"

void bench_store_general(uint64_t *items, size_t count, uint64_t first)
{
    const uint64_t *end = items + count;

    /* Eight values from one, so that no store waits for a chain of additions. */
    for (; items < end; items += 8) {
        items[0] = first;
        items[1] = first + 1 * BENCH_ITEM_STEP;
        items[2] = first + 2 * BENCH_ITEM_STEP;
        items[3] = first + 3 * BENCH_ITEM_STEP;
        items[4] = first + 4 * BENCH_ITEM_STEP;
        items[5] = first + 5 * BENCH_ITEM_STEP;
        items[6] = first + 6 * BENCH_ITEM_STEP;
        items[7] = first + 7 * BENCH_ITEM_STEP;
        first += 8 * BENCH_ITEM_STEP;
    }
}

/* Relaxed atomic stores, as the engine's: the compiler makes no memset of them. */
void bench_clear_general(uint64_t *items, size_t count)
{
    const uint64_t *end = items + count;

    for (; items < end; items += 8) {
        __atomic_store_n(&items[0], 0, __ATOMIC_RELAXED);
        __atomic_store_n(&items[1], 0, __ATOMIC_RELAXED);
        __atomic_store_n(&items[2], 0, __ATOMIC_RELAXED);
        __atomic_store_n(&items[3], 0, __ATOMIC_RELAXED);
        __atomic_store_n(&items[4], 0, __ATOMIC_RELAXED);
        __atomic_store_n(&items[5], 0, __ATOMIC_RELAXED);
        __atomic_store_n(&items[6], 0, __ATOMIC_RELAXED);
        __atomic_store_n(&items[7], 0, __ATOMIC_RELAXED);
    }
}
