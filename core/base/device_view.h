/*
 * What a walker that does not snoop finds in table memory: a second image of a pool. Only write-backs bring what the
 * CPU stored into it: those that software asks for (flush), and those that a cache does by itself, since it may evict
 * any line at any time. A page that was never written back holds what some earlier owner left there: garbage, in which
 * every word looks like an item. A freed table keeps in the image what was written back last.
 *
 * Flushes are taken word by word, as asked for: a real one takes whole lines, and a caller that relies on that is wrong
 * only where lines end. Evictions take lines.
 *
 * One thread at a time. Memory: as much as the pool touches.
 */
#pragma once

#include "base/physmem.h"

enum { DEVICE_LINE_BYTES = 64 };

struct device_view {
    const struct table_pool *pool;
    struct table_pool image; /* its bytes, base and page_count alone mean something: for physmem_attach and walks */
    uint32_t known;          /* pages of the pool that were used before; those from here on hold nothing yet */
    uint64_t garbage;        /* seed of what they will hold */
};

/* Reserve an image of `pool`. CHECKs that there is room. */
void device_view_init(struct device_view *view, const struct table_pool *pool);
void device_view_destroy(struct device_view *view);

/* Forget everything, after a reset of the pool or a new base: memory of which nobody knows what it holds. Cost: pages
 * touched since the last reset. */
void device_view_reset(struct device_view *view, uint64_t garbage);

/* Write [address, address + bytes) back: multiples of 8, inside the pool. */
void device_view_flush(struct device_view *view, uint64_t address, uint64_t bytes);

/* Write back the line of `address`, which the pool covers. */
void device_view_evict(struct device_view *view, uint64_t address);

/* The word at `address`, which the pool covers, as the device and as the CPU see it. */
uint64_t device_view_read(struct device_view *view, uint64_t address);
uint64_t device_view_read_cpu(const struct device_view *view, uint64_t address);
