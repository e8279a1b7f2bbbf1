/*
 * What ladder.c takes from a kernel, for a process: the part of a wrapper that a kernel tree's engine needs most. Each
 * stub does what the kernel's does as far as an engine can tell, and complains where a kernel would (WARN_ON ends the
 * call by SIGABRT, which mapproof reports with the entry at work).
 *
 * Kernel functions take no context, callbacks of mapproof do: `ladder_host` is the host of the table at work, set by
 * the wrapper at each entry, as `current` is a task.
 */
#pragma once

#include "pt/pt_plugin.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

typedef uint64_t u64;
typedef uint64_t phys_addr_t;
typedef unsigned gfp_t;

enum { EEXIST_ = 17, ENOMEM_ = 12, EINVAL_ = 22 }; /* Linux's numbers, whatever this system's errno.h says */

/* initial-exec: one load instead of a call each time; room for a few words is there also for what dlopen loads. */
#define PER_THREAD _Thread_local __attribute__((tls_model("initial-exec")))

extern PER_THREAD const struct ptp_host *ladder_host;
extern PER_THREAD unsigned ladder_locks_held;

static inline bool kernel_warn(bool is_true, const char *what, int line)
{
    if (!is_true) return false;
    fprintf(stderr, "ladder.c:%d: WARN_ON(%s)\n", line, what);
    abort();
}

#define WARN_ON(condition)  kernel_warn(condition, #condition, __LINE__)
#define READ_ONCE(x)        __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define WRITE_ONCE(x, item) __atomic_store_n(&(x), item, __ATOMIC_RELEASE)

/* Allocation: GFP_KERNEL may sleep, so not under a lock. Memory of the host is zero already. */
#define GFP_KERNEL ((gfp_t)1)
#define GFP_ATOMIC ((gfp_t)2)

/* R5: nobody waits. What is left of a lock is to find out who takes it twice, or never. */
typedef struct {
    bool is_held;
} spinlock_t;

static inline void spin_lock(spinlock_t *lock)
{
    WARN_ON(lock->is_held);
    lock->is_held = true;
    ladder_locks_held++;
}

static inline void spin_unlock(spinlock_t *lock)
{
    WARN_ON(!lock->is_held);
    lock->is_held = false;
    ladder_locks_held--;
}

static inline void lockdep_assert_held(const spinlock_t *lock)
{
    WARN_ON(!lock->is_held);
}

static inline void *iommu_alloc_page(gfp_t gfp, size_t bytes)
{
    WARN_ON(gfp & GFP_KERNEL && ladder_locks_held > 0);
    return ladder_host->alloc_table(ladder_host->context, bytes, bytes);
}

static inline void iommu_free_page(void *page)
{
    ladder_host->free_table(ladder_host->context, page);
}

static inline void *phys_to_virt(phys_addr_t address)
{
    return ptp_pointer(ladder_host, address);
}

static inline phys_addr_t virt_to_phys(const void *pointer)
{
    return ptp_pa(ladder_host, pointer);
}

/* A kernel flushes by address. The host wants table and offset: tables of this engine are pages, so a pa's low bits. */
static inline void clflush_cache_range(const void *from, size_t bytes)
{
    const size_t offset = virt_to_phys(from) & 4095;

    ladder_host->flush(ladder_host->context, (const char *)from - offset, offset, bytes);
}

/*
 * The kernel's gather: a range and a list of pages. There the list runs through struct page; a process has none, and
 * the pages themselves may still be read by hardware, so the list is an array beside them.
 */
struct iommu_iotlb_gather {
    u64 start, end; /* inclusive; start > end: nothing */
    void **pages;
    size_t page_count, page_room;
};

static inline void iommu_iotlb_gather_init(struct iommu_iotlb_gather *gather)
{
    *gather = (struct iommu_iotlb_gather){ .start = ~(u64)0 };
}

static inline void iommu_iotlb_gather_add_range(struct iommu_iotlb_gather *gather, u64 iova, u64 size)
{
    if (iova < gather->start) gather->start = iova;
    if (iova + size - 1 > gather->end) gather->end = iova + size - 1;
}

static inline void iommu_pages_list_add(struct iommu_iotlb_gather *gather, void *page)
{
    if (gather->page_count == gather->page_room) {
        gather->page_room = gather->page_room ? 2 * gather->page_room : 16;
        gather->pages = realloc(gather->pages, gather->page_room * sizeof(*gather->pages));
        WARN_ON(!gather->pages);
    }
    gather->pages[gather->page_count++] = page;
}
