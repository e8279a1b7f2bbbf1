/* The example engine's bits, its walk and what both of its files need. See rewalk.c. */
#pragma once

#include "pt/pt_plugin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BIT(n)  ((uint64_t)1 << (n))
#define LOW(n)  ((n) >= 64 ? ~(uint64_t)0 : BIT(n) - 1)
#define ADDRESS ((uint64_t)0x000ffffffffff000)

#define AMD_PRESENT BIT(0)
#define AMD_DIRTY   BIT(6)
#define AMD_LEVEL   ((uint64_t)7 << 9)
#define AMD_FC      BIT(60)
#define AMD_READ    BIT(61)
#define AMD_WRITE   BIT(62)

#define X86_PRESENT  BIT(0)
#define X86_WRITE    BIT(1)
#define X86_USER     BIT(2)
#define X86_ACCESSED BIT(5)
#define X86_DIRTY    BIT(6)
#define X86_LARGE    BIT(7)
#define X86_FLUSHED  BIT(9) /* software bit of a table item: it was written back */

enum { LEVEL_MAX = 5, TABLE_ITEMS = 512, TABLE_BYTES = 4096 };

enum kind { AMDV1, X86_64 };

struct ptp_table {
    const struct ptp_host *host;
    enum kind kind;
    uint64_t *top;
    unsigned top_level;
    unsigned va_bits, oa_bits;
    uint32_t features;
    uint64_t page_sizes;
    uint64_t c_bit;   /* mask, or 0 */
    uint64_t address; /* bits of an item that hold an address */
};

/* What differs between the two: limits. Bits are in the functions below. */
struct limits {
    unsigned level_max, va_bits_max;
    uint32_t features, required;
};

static inline const struct limits *limits_of(enum kind kind)
{
    static const struct limits limits[] = {
        { 5, 64,
          PTP_FULL_VA | PTP_DYNAMIC_TOP | PTP_FLUSH_RANGE | PTP_FLUSH_RANGE_NO_GAPS | PTP_ENCRYPT_TABLES |
              PTP_FORCE_COHERENCE | PTP_SMALL_VA,
          PTP_DYNAMIC_TOP | PTP_ENCRYPT_TABLES | PTP_FORCE_COHERENCE },
        { 4, 57, PTP_SIGN_EXTEND | PTP_FLUSH_RANGE | PTP_FLUSH_RANGE_NO_GAPS | PTP_ENCRYPT_TABLES | PTP_DMA_INCOHERENT,
          0 },
    };

    return &limits[kind];
}

static inline unsigned log2_of(uint64_t value)
{
    return 63u - (unsigned)__builtin_clzll(value);
}

/* Size of what an item, and what a table of `level` translates. */
static inline unsigned item_shift(unsigned level)
{
    return 12 + 9 * level;
}

static inline unsigned table_shift(unsigned level)
{
    return item_shift(level + 1);
}

static inline uint64_t load(const uint64_t *item)
{
    return __atomic_load_n(item, __ATOMIC_ACQUIRE);
}

static inline void store(uint64_t *item, uint64_t value)
{
    __atomic_store_n(item, value, __ATOMIC_RELEASE);
}

/* ---- items ------------------------------------------------------------------------------------------------------ */

static inline uint64_t leaf_sizes(enum kind kind, unsigned level)
{
    static const uint64_t amd[] = { (uint64_t)0x1ff << 12, (uint64_t)0x1ff << 21, (uint64_t)0x1ff << 30,
                                    (uint64_t)0xff << 40,  (uint64_t)0xf << 48,   0 };

    if (kind == AMDV1) return amd[level];
    return level <= 2 ? BIT(item_shift(level)) : 0;
}

static inline int is_table(const struct ptp_table *table, uint64_t item, unsigned level)
{
    const unsigned next = (unsigned)(item >> 9 & 7);

    if (!(item & 1) || level == 0) return 0;
    if (table->kind == AMDV1) return next != 0 && next != 7;
    return level > 2 || !(item & X86_LARGE);
}

static inline uint64_t table_item(const struct ptp_table *table, const uint64_t *child, unsigned level)
{
    const uint64_t pa = ptp_pa(table->host, child) | table->c_bit;

    if (table->kind == AMDV1) return pa | AMD_PRESENT | AMD_READ | AMD_WRITE | (uint64_t)level << 9;
    return pa | X86_PRESENT | X86_WRITE | X86_USER | X86_ACCESSED;
}

static inline uint64_t *child_of(const struct ptp_table *table, uint64_t item)
{
    return ptp_pointer(table->host, item & table->address);
}

static inline uint64_t leaf_item(const struct ptp_table *table, uint64_t pa, unsigned prot, unsigned shift)
{
    const unsigned level = (shift - 12) / 9;
    const uint64_t c_bit = prot & PTP_MMIO ? 0 : table->c_bit;
    uint64_t item = pa | c_bit;

    if (table->kind == X86_64)
        return item | X86_PRESENT | X86_USER | X86_ACCESSED | (prot & PTP_WRITE ? X86_WRITE | X86_DIRTY : 0) |
               (level > 0 ? X86_LARGE : 0);
    item |= AMD_PRESENT | (prot & PTP_READ ? AMD_READ : 0) | (prot & PTP_WRITE ? AMD_WRITE : 0);
    if (table->features & PTP_FORCE_COHERENCE) item |= AMD_FC;
    if (shift != item_shift(level)) item |= AMD_LEVEL | LOW(shift - 13) << 12; /* size in ones */
    return item;
}

static inline unsigned leaf_shift(const struct ptp_table *table, uint64_t item, unsigned level)
{
    if (table->kind == X86_64 || !(item & AMD_LEVEL)) return item_shift(level);
    return 13 + (unsigned)__builtin_ctzll(~(item >> 12));
}

/* ---- the walk ---------------------------------------------------------------------------------------------------- */

static inline int is_inside(const struct ptp_table *table, unsigned top_level, uint64_t first, uint64_t last)
{
    const unsigned decoded = table_shift(top_level) < table->va_bits ? table_shift(top_level) : table->va_bits;

    if (table->features & PTP_SIGN_EXTEND) {
        const int64_t half = (int64_t)first >> (decoded - 1);

        return (half == 0 || half == -1) && (int64_t)last >> (decoded - 1) == half;
    }
    return decoded >= 64 || last >> decoded == 0;
}

/* The item of `iova` in a table of `level`: the top has an index of all bits of the VA width. */
static inline uint64_t *item_of(const struct ptp_table *table, uint64_t *items, unsigned level, uint64_t iova)
{
    const uint64_t index = (iova & LOW(table->va_bits)) >> item_shift(level);

    return items + (level == table->top_level ? index : index % TABLE_ITEMS);
}

struct place {
    uint64_t *table, *item; /* the table and the item in it where the walk ended */
    unsigned level;
};

/* From the root down to `level`, or to where there is no table below. */
static inline struct place walk(const struct ptp_table *table, uint64_t iova, unsigned level)
{
    struct place at = { table->top, item_of(table, table->top, table->top_level, iova), table->top_level };

    while (at.level > level && is_table(table, load(at.item), at.level)) {
        at.table = child_of(table, load(at.item));
        at.level--;
        at.item = item_of(table, at.table, at.level, iova);
    }
    return at;
}

/* A leaf that the walk ended at, or the hole. */
struct leaf {
    struct place at; /* of its first item */
    unsigned shift, count;
    int is_there;
};

static inline struct leaf find(const struct ptp_table *table, uint64_t iova)
{
    struct leaf leaf = { walk(table, iova, 0), 0, 1, 0 };
    const uint64_t item = load(leaf.at.item);

    leaf.is_there = item & 1;
    leaf.shift = leaf.is_there ? leaf_shift(table, item, leaf.at.level) : item_shift(leaf.at.level);
    leaf.count = 1u << (leaf.shift - item_shift(leaf.at.level));
    leaf.at.item -= (iova >> item_shift(leaf.at.level)) & (leaf.count - 1);
    return leaf;
}

static inline int is_incoherent(const struct ptp_table *table)
{
    return (table->features & PTP_DMA_INCOHERENT) != 0;
}

static inline void flush(const struct ptp_table *table, const struct place *at, unsigned count)
{
    const struct ptp_host *host = table->host;

    if (is_incoherent(table))
        host->flush(host->context, at->table, (size_t)((char *)at->item - (char *)at->table), count * sizeof(uint64_t));
}

static inline int is_dirty(const struct leaf *leaf)
{
    for (unsigned i = 0; leaf->is_there && i < leaf->count; i++) {
        if (load(&leaf->at.item[i]) & AMD_DIRTY) return 1;
    }
    return 0;
}

/* Give a table back, and those below it. */
static inline void free_below(struct ptp_table *table, uint64_t *items, unsigned level, size_t count)
{
    for (size_t i = 0; level > 0 && i < count; i++) {
        if (is_table(table, load(&items[i]), level))
            free_below(table, child_of(table, load(&items[i])), level - 1, TABLE_ITEMS);
    }
    table->host->free_table(table->host->context, items);
}

int rewalk_cut(struct ptp_table *table, uint64_t iova, struct ptp_gather *gather); /* rewalk_cut.c */
