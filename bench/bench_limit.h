/* Stores of items as a map makes them: word i holds first + i * BENCH_ITEM_STEP. What the limit cases choose from. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define BENCH_ITEM_STEP UINT64_C(4096) /* items of consecutive 4K leaves */

/* `count` is a multiple of 32, `items` aligned to 64 bytes. */
typedef void bench_store(uint64_t *items, size_t count, uint64_t first);

/* 8 bytes a store from general registers: what code without vector registers can reach. */
bench_store bench_store_general;

/* Zeroes, one word a store, in ascending order. `count` is a multiple of 8. */
void bench_clear_general(uint64_t *items, size_t count);
