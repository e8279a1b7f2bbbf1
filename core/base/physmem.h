/*
 * The memory the model sees. A physical address is never a pointer: only this module turns one into the other.
 *
 *   table pool   one contiguous run of 4K pages that holds page tables. Items hold addresses in [base, base + size).
 *                The host's pool has hpa addresses; a guest's has gpa addresses and is attached at its backing hpa.
 *   physmem      data RAM [0, memory_bytes), which has bytes only where someone wrote, plus up to PHYSMEM_WINDOWS
 *                attached pools. An address outside all of these reads as absent.
 *
 * Invariant P1: a page on a pool's free list is all zero, so an allocation never clears. Engines only return tables
 * whose items they have cleared (or say so: table_pool_free_dirty).
 *
 * Cost: alloc, free and address conversion are O(1); reset costs what was touched. Bookkeeping: 5 bytes a page.
 * Thread safety: alloc and free may be called from several threads; the rest may not.
 */
#pragma once

#include "base/addr.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    POOL_PAGE_SHIFT = 12,
    POOL_PAGE_BYTES = 1 << POOL_PAGE_SHIFT,
    POOL_ORDERS = 9, /* tables of 1 .. 256 pages */
    PHYSMEM_WINDOWS = 4,
};

#define POOL_NO_PAGE  UINT32_MAX
#define POOL_NO_LIMIT UINT64_MAX

enum pool_page_state {
    POOL_FREE,    /* never used, or returned */
    POOL_LIVE,    /* a table in use, first page of it */
    POOL_BODY,    /* the second or a later page of a table */
    POOL_RETIRED, /* off the tree, on a gather's list, waiting for the sync that covers it */
};

struct table_pool {
    uint8_t *bytes;                   /* page 0 in this process; reserved, populated by touch */
    uint64_t base;                    /* what items hold for page 0: hpa or gpa, 4K aligned */
    uint32_t page_count;              /* pages reserved */
    uint32_t fresh;                   /* pages from here on were never used */
    uint32_t free_heads[POOL_ORDERS]; /* lists of returned tables of 2^order pages, POOL_NO_PAGE at the end */
    uint32_t live_pages;              /* pages that are not free, retired ones included */
    uint32_t live_bodies;             /* of these, second and later pages of a table */
    uint32_t peak_pages;              /* highest live_pages since the last reset */
    uint32_t *next;                   /* link per page: free list, or a gather's list */
    uint8_t *state;                   /* enum pool_page_state per page */
    uint64_t allocations_left;        /* fault injection: this many succeed, then all fail; POOL_NO_LIMIT = off */
    uint64_t allocations;             /* successful ones since the last reset */
    atomic_flag lock;
};

/* A list of retired tables, linked through the pool. Zero pages: { POOL_NO_PAGE, POOL_NO_PAGE, 0 }. */
struct table_list {
    uint32_t head;
    uint32_t tail;
    uint32_t count; /* tables, not pages */
};

/* Reserve `page_count` pages (1 .. 2^31) whose first has address `base`. CHECKs that the reservation succeeds. */
void table_pool_init(struct table_pool *pool, uint64_t base, uint32_t page_count);

/* Give the memory back. */
void table_pool_destroy(struct table_pool *pool);

/* Every page free and zero again, limit off, counters 0. Cost: pages touched since the last reset. */
void table_pool_reset(struct table_pool *pool);

/*
 * A zeroed table of `bytes` (1 .. 512 KiB, rounded up to a power of two of pages, aligned to its size).
 * NULL: the pool is full, or allocations_left is 0. Nothing is changed then.
 */
void *table_pool_alloc(struct table_pool *pool, size_t bytes);

/* Return the table at `table`, which is all zero already (P1). */
void table_pool_free(struct table_pool *pool, void *table);

/* As table_pool_free, and clear it first. */
void table_pool_free_dirty(struct table_pool *pool, void *table);

/* Put a live table on `list`: it is off the tree, but a walker may still read it until the covering sync. */
void table_pool_retire(struct table_pool *pool, struct table_list *list, void *table);

/* Free every table of `list` (all zero, P1) and empty it. */
void table_pool_free_list(struct table_pool *pool, struct table_list *list);

/* Append `from` to `to` and empty it. */
void table_pool_splice(struct table_pool *pool, struct table_list *to, struct table_list *from);

/* Is [address, address + 8) inside a live table of the pool? */
bool table_pool_is_live(const struct table_pool *pool, uint64_t address);

/* First page that is free and not all zero, or POOL_NO_PAGE. O(pages touched): checkers only. */
uint32_t table_pool_find_dirty_free_page(const struct table_pool *pool);

/* Tables that are not free, retired ones included. */
static inline uint32_t table_pool_live_tables(const struct table_pool *pool)
{
    return pool->live_pages - pool->live_bodies;
}

static inline uint64_t table_pool_size(const struct table_pool *pool)
{
    return (uint64_t)pool->page_count << POOL_PAGE_SHIFT;
}

/* Does the pool cover `address`? */
static inline bool table_pool_covers(const struct table_pool *pool, uint64_t address)
{
    return address - pool->base < table_pool_size(pool);
}

/* The bytes of an address the pool covers. */
static inline void *table_pool_pointer(const struct table_pool *pool, uint64_t address)
{
    return pool->bytes + (address - pool->base);
}

/* What turns addresses of the pool into pointers by one addition: pointer = address + origin, as integers. */
static inline uintptr_t table_pool_origin(const struct table_pool *pool)
{
    return (uintptr_t)pool->bytes - (uintptr_t)pool->base;
}

static inline void *table_pool_pointer_at(uintptr_t origin, uint64_t address)
{
    return (void *)(origin + (uintptr_t)address);
}

/* The address of a pointer into the pool. */
static inline uint64_t table_pool_address(const struct table_pool *pool, const void *pointer)
{
    return pool->base + (uint64_t)((const uint8_t *)pointer - pool->bytes);
}

static inline struct table_list table_list_empty(void)
{
    return (struct table_list){ POOL_NO_PAGE, POOL_NO_PAGE, 0 };
}

struct physmem_window {
    uint64_t start; /* hpa of the pool's first byte */
    struct table_pool *pool;
};

struct physmem_page {
    uint64_t number; /* hpa >> 12 */
    uint64_t *words; /* 512 words */
};

struct physmem {
    uint64_t memory_bytes; /* data RAM is [0, memory_bytes) */
    struct physmem_window windows[PHYSMEM_WINDOWS];
    unsigned window_count;
    struct physmem_page *pages; /* data pages that someone wrote, hashed by number, linear probing */
    uint32_t page_capacity;     /* a power of two, or 0 */
    uint32_t page_count;
};

/* Memory of `memory_bytes` of data RAM (0 .. 2^52, a multiple of 4K), no window. */
void physmem_init(struct physmem *memory, uint64_t memory_bytes);
void physmem_destroy(struct physmem *memory);

/* Forget all data bytes and windows, set a new size. Cost: what was touched. */
void physmem_reset(struct physmem *memory, uint64_t memory_bytes);

/* Make `pool` visible at [start, start + pool size). A window hides data RAM below it. At most PHYSMEM_WINDOWS. */
void physmem_attach(struct physmem *memory, hpa_t start, struct table_pool *pool);

/*
 * The 8-byte word at `address` (8-byte aligned). False: no memory there, *value untouched. A data page that nobody
 * wrote reads as 0. Windows are read atomically (a walker may run beside an engine).
 */
bool physmem_read64(const struct physmem *memory, hpa_t address, uint64_t *value);

/* Store a word. False: no memory there. */
bool physmem_write64(struct physmem *memory, hpa_t address, uint64_t value);

/*
 * Store `desired` if the word still holds `expected` (hardware A/D updates). False: no memory there or the word
 * differs; nothing was stored.
 */
bool physmem_cas64(struct physmem *memory, hpa_t address, uint64_t expected, uint64_t desired);

/* Is there memory at `address`? */
bool physmem_has(const struct physmem *memory, hpa_t address);
