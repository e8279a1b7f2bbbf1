/*
 * pt_plugin.h: the contract between mapproof and a page-table engine from outside.
 *
 * Copyright (c) 2026 the mapproof authors. SPDX-License-Identifier: MIT
 *
 * An engine is a shared object (FILE.so) that includes this header, exports one symbol, ptp_plugin_table, and builds
 * page tables in memory that mapproof gives it. mapproof then runs it as it runs its own: the same benchmarks, hardware
 * walkers, oracle, invariants, golden files and fuzz targets.
 *
 *     cc -std=c99 -O2 -g -fPIC -shared -I core my_engine.c -o my_engine.so
 *     mapproof-replay --engine ./my_engine.so FILE...                scripts, traces, layouts; --golden: golden files
 *     mapproof-bench --engine ./my_engine.so                         the same benchmark names, this engine's times
 *     MAPPROOF_ENGINE=./my_engine.so fuzz_engine CORPUS              coverage counts where the .so is built with
 *                                                                    -fsanitize-coverage=inline-8bit-counters,pc-table
 *     scripts/gate --engine-a FILE.so --engine-b OTHER.so            is B slower than A? "general" is mapproof's own
 *
 * core/pt/plugins/README.md tells how to wrap an engine of a kernel tree; rewalk.c there is a whole example. This
 * header needs nothing but itself: C99 or C++11, stdint, stddef.
 *
 * ---- Words ----------------------------------------------------------------------------------------------------------
 *
 *   item      one 64-bit word of a table, in the format's own bits; 0 is empty
 *   leaf      one translation: one item, or a naturally aligned run of items ("contiguous")
 *   level     counts up from 0, the table of the smallest leaves
 *   iova, pa  input and output address. A pa is a number in items, never a pointer: see ptp_pointer
 *   length    bytes; `first`/`last` are inclusive
 *   error     0 or a negative Linux errno (-22 is -EINVAL on every machine, whatever its own errno.h says)
 *
 * Behaviour is that of Linux's generic_pt (iommu_pt.h of 7.1); what must be equal is the bits in the tables, results,
 * errnos, byte counts, what is flushed and which tables are freed. mapproof compares all of these with its oracle.
 *
 * ---- Rules ----------------------------------------------------------------------------------------------------------
 *
 *   R1  Tables come from host->alloc_table and nothing else does: walkers read that memory, checkers account for every
 *       page of it. Bookkeeping of the engine (struct ptp_table) lies in memory of its own, malloc or static.
 *
 *   R2  Whatever hardware may have seen (a table that was ever linked) is given back through a gather, by its
 *       gather_free_table, and neither read nor written from then on: it returns to the pool after the flush. What
 *       hardware never saw is given back by host->free_table.
 *
 *   R3  destroy gives everything back. A table that is left over is a leak and is reported.
 *
 *   R4  Items are written as single aligned 64-bit stores. A table is filled before it is linked.
 *
 *   R5  No call waits for another thread, reads a clock or depends on the value of a pointer: a run must repeat.
 *
 *   R6  Entries are called by one thread at a time. PTP_THREAD_SAFE in get_info is reserved for runs of several threads
 *       on disjoint ranges of one table; nothing here does that to a plugin. So an item that another thread has written
 *       and not yet flushed is not acted out either, as it is for the built-in engine.
 *
 * Breaking R2, R3, or the ranges given at a callback is reported with the name of the plugin and of the entry at work.
 * In mapproof-replay and the fuzz targets the tables given back last are unmapped while an entry runs: who reads or
 * writes one crashes at once, and the report says so.
 *
 * ---- Versions -------------------------------------------------------------------------------------------------------
 *
 *   PTP_ABI      changes when something that exists changes its meaning. A plugin of another number is refused.
 *   struct_size  first field of every struct that may grow. Fields are only ever added at the end; a field beyond the
 *                writer's struct_size is not there: an entry counts as NULL, a number as 0. Whoever makes a struct sets
 *                sizeof of it as it knew it; whoever reads one looks at no field beyond. So an old plugin runs under a
 *                new mapproof and the other way round. A struct below the size of version 1 is refused.
 */
#ifndef MAPPROOF_PT_PLUGIN_H
#define MAPPROOF_PT_PLUGIN_H
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PTP_ABI 1u

/* The exported symbol, for dlsym: const struct ptp_plugin *ptp_plugin_table(void). */
#define PTP_SYMBOL "ptp_plugin_table"

/* Put it before the definition of that function: exported also under -fvisibility=hidden. */
#if defined(__GNUC__)
#define PTP_EXPORT __attribute__((visibility("default")))
#else
#define PTP_EXPORT
#endif

/* Rights and memory type of a mapping, ORed; numbers as IOMMU_* of Linux. */
#define PTP_READ   (1u << 0)
#define PTP_WRITE  (1u << 1)
#define PTP_CACHE  (1u << 2)
#define PTP_NOEXEC (1u << 3)
#define PTP_MMIO   (1u << 4)
#define PTP_PRIV   (1u << 5)

/* What a table is asked to do (ptp_config.features), ORed. Bits not listed here: refuse with -EOPNOTSUPP. */
#define PTP_DMA_INCOHERENT      (1u << 0)  /* the walker does not snoop: call host->flush for what you write */
#define PTP_FULL_VA             (1u << 1)  /* the table decodes 64 bits; create sets it where it does */
#define PTP_DYNAMIC_TOP         (1u << 2)  /* the top grows when a map needs it; tell host->top_changed */
#define PTP_SIGN_EXTEND         (1u << 3)  /* two halves, as on a CPU; va_bits includes the sign bit */
#define PTP_FLUSH_RANGE         (1u << 4)  /* gathers may have gaps; nothing for the plugin to do */
#define PTP_FLUSH_RANGE_NO_GAPS (1u << 5)  /* they may not: gather add flushes by itself first; nothing to do either */
#define PTP_ENCRYPT_TABLES      (1u << 6)  /* c_bit goes into table items and leaves that are not MMIO */
#define PTP_FORCE_COHERENCE     (1u << 7)  /* leaves demand snooping (AMD FC, VT-d SNP) */
#define PTP_FORCE_WRITEABLE     (1u << 8)  /* VT-d erratum: a map without PTP_WRITE is -EINVAL */
#define PTP_NAPOT_64K           (1u << 9)  /* RISC-V Svnapot: 64K leaves */
#define PTP_SMALL_VA            (1u << 10) /* amdv1 as Linux 7.2: VA no larger than the start level, start level 5 */
#define PTP_CONTIGUOUS          (1u << 11) /* Arm: the contiguous hint makes leaves of several items */
#define PTP_UPPER_HALF          (1u << 12) /* Arm TTBR1: input addresses have all bits above va_bits set */
#define PTP_HARDWARE_DIRTY      (1u << 13) /* Arm DBM: dirtiness can be read */
#define PTP_NON_SECURE          (1u << 14) /* Arm NS */
#define PTP_STAGE2_FWB          (1u << 15) /* Arm stage 2 forced write-back */
#define PTP_ARM_IO_PGTABLE      (1u << 16) /* Arm as io-pgtable-arm writes it, not generic_pt */

struct ptp_table;  /* the plugin's: one page table; what is in it is its own business */
struct ptp_gather; /* the host's: ranges to flush and tables to free after that, of one call */

/* ---- what the host does for a plugin -------------------------------------------------------------------------------
 *
 * One for each table, from before create until destroy has returned. Every function takes `context` of this struct
 * first, or the gather it was given. All may be called from inside any entry but get_info, top and iova_to_phys.
 */
struct ptp_host {
    size_t struct_size;
    void *context;

    /*
     * What turns a pa of a table into a pointer by one addition, as a kernel's linear map does: ptp_pointer and ptp_pa
     * below. Good for every table of this host, for as long as the host is there; for nothing else.
     */
    uintptr_t linear_offset;

    /*
     * A table of `size` bytes (1 to 512 KiB; rounded up to a power of two, at least 4096), all zero, its pa aligned to
     * the larger of `align` (a power of two up to 512 KiB) and the rounded size. NULL: no memory, or size or align are
     * out of range (that is reported). Answer -ENOMEM then.
     */
    void *(*alloc_table)(void *context, size_t size, size_t align);

    /*
     * Give a table back that no walker has ever seen, or, in destroy and in a create that fails, any table. `table` is
     * what alloc_table returned. Its contents do not matter.
     */
    void (*free_table)(void *context, void *table);

    /*
     * The root is about to be the table at `pa`, of `level`: hardware is told before this returns. Once per call that
     * grows the top, after the new tables are filled and before anything that only they reach is stored. Only with
     * PTP_DYNAMIC_TOP. Create does not call it; the host asks the entry `top` after it.
     */
    void (*top_changed)(void *context, uint64_t pa, unsigned level);

    /*
     * Only with PTP_DMA_INCOHERENT: the bytes [offset, offset + length) of `table` were written; write them back before
     * this returns. Order: contents of a new table, then the item that links to it; leaves and cleared items
     * before the call returns (a good engine: once per table and call, from the first to the last byte changed).
     */
    void (*flush)(void *context, const void *table, size_t offset, size_t length);

    /*
     * The leaves of [first, last] were removed or changed: to be flushed from IOTLBs before the gather's tables are
     * free. Extends the gather's range to the hull of both. With PTP_FLUSH_RANGE_NO_GAPS and a gap between them, what
     * was gathered before is synced first; pieces of one call that touch each other count as one, so page by page is as
     * good as all at once. Call it for what was really removed, not for what was asked.
     */
    void (*gather_add)(struct ptp_gather *gather, uint64_t first, uint64_t last);

    /*
     * `table` is linked no more. It is free once the gather is synced, and may be read by hardware until then; its
     * contents count as gone at once (the host clears them). `is_zero` not 0 promises that every item is 0 already,
     * which saves that. gather_add what the table translated first: with PTP_FLUSH_RANGE_NO_GAPS
     * that may sync, and a table must wait for the sync of its own range.
     */
    void (*gather_free_table)(struct ptp_gather *gather, void *table, int is_zero);

    /*
     * Flush what was gathered, wait, free the tables and start over with an empty gather. Rarely needed: the host syncs
     * by itself, after a map, cut or resize that freed tables, and when the owner asks after an unmap or dirty read.
     */
    void (*gather_sync)(struct ptp_gather *gather);
};

/* A table's pa as a pointer, and back. */
static inline void *ptp_pointer(const struct ptp_host *host, uint64_t pa)
{
    return (void *)((uintptr_t)pa + host->linear_offset);
}

static inline uint64_t ptp_pa(const struct ptp_host *host, const void *table)
{
    return (uint64_t)((uintptr_t)table - host->linear_offset);
}

/* ---- what a table is to be -----------------------------------------------------------------------------------------
 */

struct ptp_config {
    size_t struct_size;
    const struct ptp_host *host; /* good until destroy returns, or a failing create does */

    /*
     * The format's token: amdv1, x86_64, vtdss, riscv64, riscv64_s2, armv8, armv8_16k, armv8_64k, armv8_s2,
     * armv8_s2_16k, armv8_s2_64k or fake; one of ptp_plugin.formats. Good during create only.
     */
    const char *format;

    unsigned va_bits;   /* width of an iova, as hardware is configured: 1 to the format's maximum, or to be refused */
    unsigned oa_bits;   /* width of a pa, the same */
    unsigned top_level; /* amdv1: start level 1..5; x86_64: 3 or 4; vtdss: 2..4; riscv64: 0 or what va_bits says */
    unsigned c_bit;     /* number of the memory-encryption bit; 0 = none. Only with PTP_ENCRYPT_TABLES */
    uint32_t features;  /* PTP_* */
    uint32_t reserved;  /* 0 */

    /* Leaf sizes that maps may use: bit s set = 2^s bytes. ANDed into what the format offers; 0 = all of these. */
    uint64_t page_sizes;
};

struct ptp_info {
    size_t struct_size;        /* the host's; fill in no field beyond */
    uint64_t page_sizes;       /* leaf sizes in use: bit s = 2^s bytes */
    uint64_t first, last;      /* aperture, inclusive; with PTP_SIGN_EXTEND the lower half only */
    uint32_t features;         /* PTP_*, as they are after create: DYNAMIC_TOP may have gone, FULL_VA come */
    uint32_t flags;            /* PTP_THREAD_SAFE, or 0 */
    unsigned va_bits, oa_bits; /* in effect */
};

#define PTP_THREAD_SAFE (1u << 0) /* R6: reserved */

/* Requests. They do not grow within one PTP_ABI, so they need no struct_size. Good during the call only. */

struct ptp_map {
    uint64_t iova, pa, length;
    unsigned prot; /* PTP_READ ... */
};

/* A piece of memory. */
struct ptp_piece {
    uint64_t pa, length;
};

struct ptp_map_list {
    uint64_t iova;
    const struct ptp_piece *pieces;
    size_t count;
    unsigned prot;
};

struct ptp_unmap {
    uint64_t iova, length;
};

struct ptp_dirty_read {
    uint64_t iova, length;
    unsigned flags;                                                /* PTP_DIRTY_NO_CLEAR or 0 */
    void (*report)(void *context, uint64_t iova, uint64_t length); /* NULL: clear only */
    void *context;
};

/* Whom removed memory is reported to. */
struct ptp_receiver {
    void (*report)(void *context, uint64_t iova, uint64_t pa, uint64_t length);
    void *context;
};

struct ptp_resize {
    uint64_t iova, length, max_leaf;
};

#define PTP_DIRTY_NO_CLEAR (1u << 0) /* report, and leave the bits and the gather alone */

/* ---- the table of functions ----------------------------------------------------------------------------------------
 *
 * M: must be given. O: may be NULL; callers get -EOPNOTSUPP, benchmarks and ops that need it are n/a.
 * Ranges: the host passes on whatever its user asked, sense or nonsense; every check below is the plugin's.
 */
struct ptp_plugin {
    size_t struct_size;
    uint32_t abi;        /* PTP_ABI */
    uint32_t reserved;   /* 0 */
    const char *name;    /* M, for reports: letters, digits, . _ - */
    const char *version; /* O, any text of one line */

    /* M: tokens that create knows, NULL at the end, at least one. Others are never asked for. */
    const char *const *formats;

    /*
     * M. Make an empty table: allocate the top, fill in *table. Checks in this order (formats' own rules at 2):
     *   1 -EINVAL      va_bits 0 or above the format's maximum, oa_bits 0
     *   2              amdv1: start level not 1..5 -EINVAL; x86_64, vtdss: bad top level -EOPNOTSUPP; riscv64: va_bits
     *                  not 39, 48 or 57 -EINVAL
     *   3 -EINVAL      oa_bits above the format's maximum
     *   4              drop DYNAMIC_TOP where the top is the highest, or decodes va_bits already; set FULL_VA where 64
     *                  bits are decoded
     *   5 -EOPNOTSUPP  features that the format lacks, or that it must have and were not given
     *   6 -EOPNOTSUPP  va_bits above what a fixed top decodes, unless it is the highest
     *   7 -EINVAL      DYNAMIC_TOP without host->top_changed; SIGN_EXTEND with FULL_VA or DYNAMIC_TOP; DMA_INCOHERENT
     *                  without host->flush; va_bits below the item size of the top level; no page size left
     *   8 -ENOMEM
     * A plugin that lacks a feature or a width of the format itself says -EOPNOTSUPP; that counts as n/a, every other
     * answer is compared.
     */
    int (*create)(const struct ptp_config *config, struct ptp_table **table);

    /* M. Give everything back (R3), whatever is still mapped. Hardware is detached. */
    void (*destroy)(struct ptp_table *table);

    /* M. Fill in *info; the host has set struct_size. */
    void (*get_info)(const struct ptp_table *table, struct ptp_info *info);

    /* M. pa and level of the top table as hardware must be told it now. */
    void (*top)(const struct ptp_table *table, uint64_t *pa, unsigned *level);

    /*
     * M. Map [iova, iova + length) to pa onward, at each place the largest leaf that both alignments, what is left and
     * the page sizes allow. Never splits, merges or overwrites a leaf. A table in the way of a large leaf that has no
     * leaf in it is removed (gather_add of what it translated, gather_free_table of it and those below).
     *
     *   *mapped   out: bytes mapped from iova on, also on error. It is 0 at the call; set it, do not add to it
     *
     * Checks in this order, the first six before any change:
     *   -EINVAL      neither PTP_READ nor PTP_WRITE
     *   -ERANGE      pa beyond oa_bits
     *   as given     the format refuses prot (-EINVAL vtdss with FORCE_WRITEABLE, -EOPNOTSUPP riscv64)
     *   -EINVAL      length 0
     *   -EOVERFLOW   iova + length - 1 wraps
     *   -ENXIO       iova, pa or length is no multiple of the smallest allowed page
     *   -ERANGE      pa + length beyond oa_bits; outside the VA width; across the hole of a sign-extended table; too
     * far for the top to grow
     *
     *   The top grows once, until the range and the level of the first leaf fit.
     *
     *   -EADDRINUSE  a leaf is in the way; leaves before it stay and are counted in *mapped
     *
     *   -ENOMEM      the same; new empty tables may stay
     */
    int (*map_range)(struct ptp_table *table, const struct ptp_map *map, struct ptp_gather *gather, uint64_t *mapped);

    /*
     * M. Remove leaves from iova on until the range ends or the first hole. Returns the bytes removed: 0 for nothing
     * mapped at iova, iova inside a leaf, length 0, wrap, out of range; more than `length` where the end falls inside a
     * leaf (it goes as a whole). gather_add [iova, iova + result - 1], nothing where the result is 0. A table is freed
     * exactly if the range covers all that its item translates and every item in it was removed by this call.
     */
    uint64_t (*unmap_range)(struct ptp_table *table, const struct ptp_unmap *unmap, struct ptp_gather *gather);

    /* M. Where does iova lead? 1: *pa is set. 0: nowhere, also outside the table. No alignment asked. */
    int (*iova_to_phys)(const struct ptp_table *table, uint64_t iova, uint64_t *pa);

    /* O. Leaf sizes of later maps: page_sizes &= mask. -EINVAL where nothing would be left; nothing changed. */
    int (*set_page_sizes)(struct ptp_table *table, uint64_t mask);

    /* O. Leaves of later maps get PTP_FORCE_COHERENCE. Before the first map. 0 or -EOPNOTSUPP. */
    int (*enforce_coherence)(struct ptp_table *table);

    /*
     * O. Report each leaf of [iova, iova + length) whose dirty bit (of any item) is set, ascending, whole (first iova
     * and length of the leaf). Unless PTP_DIRTY_NO_CLEAR in `flags`, clear the bits of all its items and gather_add it
     * (the hull, never a sync). Hardware may set bits at the same time: clear by atomic operations. Holes are fine. 0,
     * -EOPNOTSUPP (format without dirty bits), -EINVAL (length 0), -EOVERFLOW, -ERANGE; in this order.
     */
    int (*read_and_clear_dirty)(struct ptp_table *table, const struct ptp_dirty_read *read, struct ptp_gather *gather);

    /* O. As hardware at a write: mark the item at iova. 0, -EOPNOTSUPP (no dirty bits), -ERANGE, -ENOENT (no leaf). */
    int (*set_dirty)(struct ptp_table *table, uint64_t iova);

    /*
     * O. Split so that no leaf crosses iova; both sides get the largest leaves. Attributes and dirtiness are kept, and
     * at each store a walker sees the old or the new translation. Nothing is flushed. -ENXIO (iova is no multiple of
     * the smallest allowed page), -ERANGE, -ENOENT (nothing mapped there), -EOPNOTSUPP (the format must not change a
     * live leaf), -ENOMEM (nothing changed); in this order.
     */
    int (*cut)(struct ptp_table *table, uint64_t iova, struct ptp_gather *gather);

    /*
     * O. Make the leaves of the range at most max_leaf bytes, and as large as that allows; hitless as cut. Tables that
     * merges emptied go to the gather with what they translated, at most 64 of them before a gather_sync.
     * -EINVAL (length 0, max_leaf no power of two), -EOVERFLOW, -ENXIO, -ERANGE, -EOPNOTSUPP, -ENOMEM as
     * pt_resize_range in core/pt/pt.h says, which is the whole text.
     */
    int (*resize)(struct ptp_table *table, const struct ptp_resize *resize, struct ptp_gather *gather);

    /* O. map_range of all pieces one behind the other; pieces that continue each other in pa are one. All checks
     * come before any change (core/pt/pt.h, pt_map_list). */
    int (*map_list)(struct ptp_table *table, const struct ptp_map_list *list, struct ptp_gather *gather,
                    uint64_t *mapped);

    /* O. unmap_range that reports what the removed leaves led to, ascending; neighbours in iova and pa are one report.
     * It must not call anything that changes this table. */
    uint64_t (*unmap_ranges)(struct ptp_table *table, const struct ptp_unmap *unmap, struct ptp_gather *gather,
                             const struct ptp_receiver *receiver);
};

/* What a plugin exports. The result is static and the same at every call; NULL: this machine cannot run the engine. */
PTP_EXPORT const struct ptp_plugin *ptp_plugin_table(void);

#ifdef __cplusplus
}
#endif

#endif
