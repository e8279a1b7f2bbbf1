/*
 * The map_pages engine: a radix page table in memory that IOMMU hardware walks.
 *
 * Words (formats.md 0, Linux generic_pt):
 *   item    one 64-bit word of a table; all zero = empty
 *   leaf    one translation: one item, or a naturally aligned power-of-two run of items ("contiguous")
 *   level   counts up from 0 = the table of the smallest leaves; the top level is inclusive
 *   shift   log2 of a size;  `last` is inclusive, `end` is one past;  lengths and sizes are bytes
 *
 * The functions here dispatch once through `struct engine` (engine.h); below that, each format is compiled as a whole
 * (pt_engine.inc.h) with no function pointer. Results are 0 or -errno with Linux numbers.
 *
 * Concurrency (formats.md 2.11): map, unmap, cut and resize need their whole range exclusively, lookups need it shared.
 * Calls on disjoint ranges may run in parallel: interior tables are installed by compare-exchange, and a table is
 * removed only by a call whose range covers all of it. Two calls must not use one gather at the same time.
 *
 * Source: behaviour of Linux 7.0/7.1 generic_pt as recorded in formats.md 2; where that is undefined or wrong
 * (formats.md 7) the clean answer is taken and said at the function.
 */
#pragma once

#include "base/addr.h"
#include "base/physmem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;

/* Access and memory type of a mapping; numbers as IOMMU_* of Linux (formats.md 0). */
enum pt_prot {
    PT_READ = 1 << 0,
    PT_WRITE = 1 << 1,
    PT_CACHE = 1 << 2,
    PT_NOEXEC = 1 << 3,
    PT_MMIO = 1 << 4,
    PT_PRIV = 1 << 5,
};

/* What a table is asked to do. Which of them a format knows is in its header; others give -EOPNOTSUPP at init. */
enum pt_feature {
    PT_DMA_INCOHERENT = 1 << 0,      /* the walker does not snoop: written items are flushed */
    PT_FULL_VA = 1 << 1,             /* the table decodes 64 bits; set by init where it does */
    PT_DYNAMIC_TOP = 1 << 2,         /* the top grows when a map needs it */
    PT_SIGN_EXTEND = 1 << 3,         /* two halves, as on a CPU; va_bits includes the sign bit */
    PT_FLUSH_RANGE = 1 << 4,         /* gathers may have gaps: one flush spans them */
    PT_FLUSH_RANGE_NO_GAPS = 1 << 5, /* a disjoint range syncs the gather first */
    PT_ENCRYPT_TABLES = 1 << 6,      /* the C-bit goes into tables and non-MMIO leaves */
    PT_FORCE_COHERENCE = 1 << 7,     /* leaves demand snooping (AMD FC, VT-d SNP) */
    PT_FORCE_WRITEABLE = 1 << 8,     /* read-only leaves are refused (VT-d erratum) */
    PT_NAPOT_64K = 1 << 9,           /* RISC-V Svnapot: 64K leaves of 16 items */
    PT_SMALL_VA = 1 << 10,           /* amdv1 as Linux 7.2: a VA no larger than the start level, and start level 5 */
    PT_CONTIGUOUS = 1 << 11,         /* Arm: leaves of several items by the contiguous hint (formats.md 1.6 (b)) */
    PT_UPPER_HALF = 1 << 12,         /* Arm TTBR1: input addresses have all bits above va_bits set */
    PT_HARDWARE_DIRTY = 1 << 13,     /* Arm DBM: writable leaves carry it, dirtiness can be read */
    PT_NON_SECURE = 1 << 14,         /* Arm NS: leaves and tables of a secure walker that point to non-secure memory */
    PT_STAGE2_FWB = 1 << 15,         /* Arm S2 FWB: memory types force write-back */
    PT_ARM_IO_PGTABLE = 1 << 16,     /* Arm: reading (a) of formats.md 1.6, Linux's io-pgtable-arm (formats/armv8.h) */
};

/* What the table's owner (an IOMMU driver) does for it. Any entry may be NULL unless said otherwise. */
struct pt_hooks {
    /*
     * Drop what hardware caches of [first, last], inclusive, tables included, and wait. `freed` tables are returned
     * to the pool when this comes back. Called by pt_gather_sync, by a map that replaced an empty table and by a
     * resize that merged tables.
     */
    void (*sync)(void *context, iova_t first, iova_t last, unsigned freed);
    /* The root changes to `top` at `level`; tell the hardware before returning. Called once per growing map, before
     * anything that needs the new top is visible. Must be given for PT_DYNAMIC_TOP (else -EINVAL at init). */
    void (*top_changed)(void *context, hpa_t top, unsigned level);
    /*
     * Write [table + offset, + length) back for a walker that does not snoop. Must be given for PT_DMA_INCOHERENT.
     * Order and economy: formats.md 2.12; whatever a call wrote is flushed when it returns, also with an error, cleared
     * and marked dirty bits too (Linux leaves those).
     */
    void (*flush)(void *context, hpa_t table, unsigned offset, unsigned length);
};

struct pt_config {
    unsigned va_bits;        /* input address width, 1 .. format's maximum */
    unsigned oa_bits;        /* output address width, 1 .. format's maximum */
    unsigned top_level;      /* amdv1: start level 1..5; x86_64: 3 or 4; riscv64: 0 or what va_bits says; armv8: - */
    uint32_t features;       /* enum pt_feature, ORed */
    unsigned c_bit;          /* number of the memory-encryption bit, 12..51; 0 = off */
    uint64_t page_sizes;     /* allowed leaf sizes, ANDed into what the format offers; 0 = all */
    struct table_pool *pool; /* where tables live; items hold its addresses */
    const struct pt_hooks *hooks; /* NULL: none */
    void *context;                /* handed to the hooks */
};

/* A page table. Fields are the engine's; callers use pt_get_info. */
struct pt {
    _Atomic uint64_t top; /* address of the top table | its level (0..7): one word, never torn (formats.md 2.11) */
    struct table_pool *pool;
    uint64_t page_sizes;   /* bitmap of leaf sizes a map may use; bit s = 2^s bytes */
    uint64_t c_bit_mask;   /* 0 or the C-bit */
    uint64_t address_mask; /* bits of an item that hold an address, without the C-bit */
    uint64_t va_mask;      /* low va_bits: what indexes are taken from */
    uintptr_t origin;      /* a table's address + origin is where it is in this process */
    uint32_t features;
    uint8_t va_bits;
    uint8_t oa_bits;
    const struct engine *engine;
    const struct pt_hooks *hooks;
    void *context;
    atomic_flag top_lock;
    void *plugin; /* the handle of an engine from outside; NULL for built-in ones */
};

struct pt_info {
    uint64_t page_sizes; /* bitmap in use */
    iova_t first, last;  /* aperture; with PT_SIGN_EXTEND the lower half only */
    uint32_t features;   /* as they are after init */
    hpa_t top;           /* address of the top table */
    unsigned top_level;
    unsigned va_bits, oa_bits;
    unsigned c_bit; /* 0 = off */
};

/*
 * What unmaps removed and nobody flushed yet: one inclusive range and the tables to free after its flush.
 * Start with pt_gather_empty(). `first > last` means no range.
 */
struct pt_gather {
    iova_t first, last;
    struct table_list freed;
};

/* Receives one dirty leaf: its first iova and its whole length in bytes. */
typedef void pt_dirty_report(void *context, iova_t start, uint64_t length);

enum { PT_DIRTY_NO_CLEAR = 1 << 0 };

/*
 * Make an empty table for `engine` in *pt. Order of checks and errno as formats.md 2.1:
 *   -EINVAL      widths 0 or above the format's maximum, a bad start level or VA width, no hook where one is needed,
 *                PT_SIGN_EXTEND with PT_FULL_VA or PT_DYNAMIC_TOP, va_bits below the item size of the top level
 *   -EOPNOTSUPP  a bad top level, features the format lacks or must have, va_bits above what a fixed top decodes
 *   -ENOMEM      no memory for the top table
 * On error *pt is unusable and nothing is allocated. Cost: one table.
 */
int pt_init(struct pt *pt, const struct engine *engine, const struct pt_config *config);

/* Free every table, whatever is still mapped. Hardware must be detached. Cost: tables. */
void pt_deinit(struct pt *pt);

/*
 * Map [start, start + length) to target onward, each time with the largest leaf that both addresses' alignment, the
 * remaining length and page_sizes allow (greedy; formats.md 2.5). Never splits, merges or overwrites a leaf. Empty
 * tables in the way of a large leaf are removed, which costs one sync at the end of the call.
 *
 *   *mapped      out: bytes mapped from `start` on, also on error; it is set, not added to
 *
 * The checks before any change come in the order of formats.md 2.3: access bits, target's start, prot, length 0, wrap,
 * alignment, end of the target (ours), hole (ours), growth.
 *
 *    0           all of it
 *   -EINVAL      neither PT_READ nor PT_WRITE, length 0, or the format refuses prot; nothing changed
 *   -ERANGE      target or start outside the table's widths, target + length beyond oa_bits (Linux wraps), or a range
 *                across the hole of a sign-extended table (Linux aliases); nothing changed
 *   -EOVERFLOW   start + length - 1 wraps; nothing changed
 *   -ENXIO       an address or the length is not a multiple of the smallest allowed page; nothing changed
 *   -EADDRINUSE  a leaf is in the way; leaves before it stay mapped and are counted
 *   -ENOMEM      no table; leaves before it stay mapped and are counted, new tables stay
 *
 * To undo: pt_unmap_range(pt, start, *mapped). Cost: one descent per table touched, one store per item.
 */
int pt_map_range(struct pt *pt, iova_t start, hpa_t target, uint64_t length, unsigned prot, uint64_t *mapped);

/* pt_map_range of `count` pages of `page_size`: the old driver interface. -ENXIO where page_size is not one allowed
 * size, -EOVERFLOW where the product wraps. */
int pt_map_pages(struct pt *pt, iova_t start, hpa_t target, uint64_t page_size, uint64_t count, unsigned prot,
                 uint64_t *mapped);

/*
 * Remove leaves from `start` on until the range ends or the first hole. Returns the bytes removed: more than `length`
 * when the end falls inside a leaf (it goes as a whole), 0 when nothing is mapped at `start`, `start` is inside a
 * leaf, or the arguments are bad. Tables that the range covers and that were fully populated go to gather->freed.
 * The removed range is added to the gather; nothing is added when nothing was removed (Linux adds [start, start - 1]).
 * With PT_FLUSH_RANGE_NO_GAPS a range that does not touch the gathered one syncs first.
 */
uint64_t pt_unmap_range(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *gather);

/* ---- batches: many pieces in one call -----------------------------------------------------------------------------
 */

/* A piece of memory. */
struct pt_piece {
    hpa_t target;
    uint64_t length; /* bytes */
};

struct pt_list {
    const struct pt_piece *pieces;
    size_t count;
};

/*
 * Map the pieces of the list one behind the other from `start` on, in one call and one walk: the tables of a piece are
 * at hand for the next. Pieces that continue each other in memory are joined to one run first, as Linux's iommu_map_sg
 * does (so alignment is asked of runs, and a leaf may span pieces); a run gets the leaves that one pt_map_range would
 * write.
 *
 *   *mapped      out: bytes mapped from `start` on over all pieces, also on error; it is set, not added to
 *
 * Every check that comes before any change in pt_map_range comes before any change here, for all runs, in the order of
 * the list: what is wrong with the last piece leaves the table as it was. (Linux notices it when it gets there and
 * takes away what it mapped.) Whether the table has the input addresses is asked last, once for all of them; the top
 * grows once, too.
 *
 *    0           all of it
 *   -EINVAL      neither PT_READ nor PT_WRITE, no piece, a piece of length 0 (Linux skips it), or the format refuses
 *                prot; nothing changed
 *   -ERANGE      a target, its end or an iova outside the table's widths, or a range across the hole of a
 *                sign-extended table; nothing changed
 *   -EOVERFLOW   a piece ends behind address 2^64, or all pieces are 2^64 bytes; nothing changed
 *   -ENXIO       the start, a run's target or its length is not a multiple of the smallest allowed page; nothing
 *                changed
 *   -EADDRINUSE  a leaf is in the way; leaves before it, of its own piece too, stay mapped and are counted
 *   -ENOMEM      no table; leaves before it stay mapped and are counted, new tables stay
 *   -EOPNOTSUPP  an engine without batches
 *
 * Empty tables replaced by large leaves cost one sync at the end, however many pieces (more with
 * PT_FLUSH_RANGE_NO_GAPS, where they lie apart). To undo: pt_unmap_range(pt, start, *mapped). Cost: the list is read
 * twice; one descent per table touched, one store per item.
 */
int pt_map_list(struct pt *pt, iova_t start, const struct pt_list *list, unsigned prot, uint64_t *mapped);

/*
 * Receives memory that an unmap took away: [target, target + length), where [start, start + length) led. Must not call
 * anything that changes this table.
 */
typedef void pt_removed_report(void *context, iova_t start, hpa_t target, uint64_t length);

struct pt_receiver {
    pt_removed_report *report; /* must be given */
    void *context;
};

/*
 * pt_unmap_range that hands over the memory as it goes: what an owner needs that has pinned it and would have to ask
 * pt_iova_to_phys for every page before. Same result, table and gather as pt_unmap_range. The receiver's `report` is
 * called ascending by iova; the lengths add up to the result (so the last leaf is reported whole); leaves that continue
 * each other in memory are one report, and no two that follow could be one. What is reported is gone from the table,
 * but hardware may reach it until pt_gather_sync: unpin and reuse it after that. 0 also from an engine without batches.
 */
uint64_t pt_unmap_ranges(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *gather,
                         const struct pt_receiver *receiver);

/* ---- flush, lookup, dirtiness -------------------------------------------------------------------------------------
 */

/* Flush what was gathered (hook sync, once, if there is a range or a table), then free the tables. */
void pt_gather_sync(struct pt *pt, struct pt_gather *gather);

/* Where does `address` lead? False: nowhere (also outside the table; Linux returns -errno as an address there). */
bool pt_iova_to_phys(const struct pt *pt, iova_t address, hpa_t *result);

/*
 * Report every dirty leaf that overlaps [start, start + length), ascending, each as a whole; holes are fine. `report`
 * may be NULL: then leaves are only cleaned. pt_bitmap.h has one that fills a bitmap. Unless PT_DIRTY_NO_CLEAR, each
 * dirty leaf is cleaned, after it was reported, and added to the gather.
 *
 * Sub-ranges: dirtiness is known per leaf, and a leaf is dirty if any of its items is (formats.md 2.10). So a range
 * that starts or ends inside a leaf reports and cleans the whole leaf, up to its far end. Who keeps only what lies
 * inside the range loses the rest of it: ask for ranges that start and end between leaves (pt_cut makes such places),
 * use PT_DIRTY_NO_CLEAR, or keep the report as it comes. (Linux 7.0 reports a run that starts or ends in the range one
 * item short, the last page of a run not at all, and still cleans all of it.)
 *
 * A walker may have noted that a leaf is dirty and then mark no more writes through it: what is written between the
 * cleaning and pt_gather_sync of `gather` may go unnoted. So sync, and only then read the memory that was reported. The
 * gather gets the hull of what was cleaned, also with PT_FLUSH_RANGE_NO_GAPS (as in Linux): a read never syncs. Nothing
 * else in an item changes; accessed and dirty bits that hardware sets meanwhile stay.
 *   0, -EOPNOTSUPP (format without dirty bits), -EINVAL (length 0), -EOVERFLOW, -ERANGE
 * Needs the range, and what leaves reach beyond its edges, shared. Cost: one walk step a leaf and one load an item up
 * to the first dirty one; one load an item and one exchange a dirty item where a leaf is cleaned.
 */
int pt_read_and_clear_dirty(struct pt *pt, iova_t start, uint64_t length, unsigned flags, pt_dirty_report *report,
                            void *context, struct pt_gather *gather);

/* Do what hardware does on a write: mark the leaf at `address`. 0, -ENOENT (no leaf), -EOPNOTSUPP, -ERANGE. */
int pt_set_dirty(struct pt *pt, iova_t address);

/*
 * Split so that no leaf crosses `at`; both sides get the largest leaves (formats.md 6). Attributes and dirtiness are
 * carried, every translation stays, and at each store a walker sees the old or the new leaf (hitless). A walker may
 * keep the old large IOTLB entry; it is still right.
 *   0            done, or a leaf starts at `at` already
 * Checks in this order:
 *   -ENXIO       `at` is not a multiple of the smallest allowed page
 *   -ERANGE      outside the VA width
 *   -ENOENT      nothing mapped there
 *   -EOPNOTSUPP  the format must not change a live leaf
 *   -ENOMEM      no table; nothing changed
 * Items of the old leaf that the cut does not pass through keep at least their item size, allowed or not.
 */
int pt_cut(struct pt *pt, iova_t at);

/*
 * Make the leaves of [start, start + length) at most max_leaf bytes, and as large as that allows (formats.md 6,
 * "decrease" and "increase"; Linux has neither yet). Afterwards
 *   - no leaf that overlaps the range is larger than max_leaf. A larger one is split as a whole, also where it reaches
 *     over an edge of the range, into leaves of the largest allowed size up to max_leaf.
 *   - every aligned block (iova and target) of an allowed size up to max_leaf that lies inside the range, is mapped
 *     without a hole to consecutive targets and has the same attributes throughout, is one leaf, or part of a larger
 *     one. Smaller leaves that cannot be merged stay, also of a size that is no longer allowed. Sizes beyond what the
 *     present top can hold do not count: the top does not grow.
 * Attributes are carried, and dirtiness: the parts of a dirty leaf are dirty, a merged leaf is if any of its parts was.
 * Accessed and dirty bits do not make leaves differ. Holes are fine. Every translation stays, and at each store a
 * walker sees the old or the new leaf (hitless). Tables that merges empty are freed after hook sync was told of their
 * span: one call for up to 64 items that led to tables, or per gap with PT_FLUSH_RANGE_NO_GAPS. Without such a table
 * nothing is synced: walkers may keep old entries, which are still right; later unmaps name them.
 *   0            done, or nothing to do
 * Checks in this order:
 *   -EINVAL      length 0, or max_leaf is no power of two
 *   -EOVERFLOW   start + length - 1 wraps
 *   -ENXIO       no allowed size up to max_leaf, or start or length is not a multiple of the smallest allowed page
 *   -ERANGE      outside the VA width, or across the hole of a sign-extended table
 *   -EOPNOTSUPP  something would have to change that the format must not change live: the length of a run
 *                (resizes_in_place), a leaf for a table or back (exchanges_tables); nothing changed
 *   -ENOMEM      no table; splits come first, in ascending order, and those before it stay
 * Needs the range, and what leaves reach beyond its edges, exclusively. Cost: one walk step a leaf; a split builds its
 * tables before its first store; a merged table is read twice and cleared once.
 */
int pt_resize_range(struct pt *pt, iova_t start, uint64_t length, uint64_t max_leaf);

/* Widths, sizes, aperture and root as they are. */
void pt_get_info(const struct pt *pt, struct pt_info *info);

/*
 * Leaves of later maps demand snooping (PT_FORCE_COHERENCE after init: VT-d turns it on when the first device that
 * needs it is attached). Before the first map; leaves that exist are not changed. 0, or -EOPNOTSUPP.
 */
int pt_enforce_coherence(struct pt *pt);

/* Limit the leaf sizes of later maps: page_sizes &= mask. -EINVAL where nothing would be left; nothing changed. */
int pt_set_page_sizes(struct pt *pt, uint64_t mask);

static inline struct pt_gather pt_gather_empty(void)
{
    return (struct pt_gather){ { UINT64_MAX }, { 0 }, { POOL_NO_PAGE, POOL_NO_PAGE, 0 } };
}

static inline bool pt_gather_has_range(const struct pt_gather *gather)
{
    return gather->first.value <= gather->last.value;
}

/* One non-empty item as pt_walk_items shows it. */
struct pt_item {
    unsigned level;
    iova_t va;    /* first address the item translates, sign extended where the table is */
    uint64_t raw; /* the 64-bit word */
    bool is_table;
    uint64_t bare; /* raw without the address bits (tables: what golden files show) */
};

/* Call `visit` for every non-empty item, ascending, depth first. For dumps and tests. */
void pt_walk_items(const struct pt *pt, void (*visit)(void *context, const struct pt_item *item), void *context);
