/*
 * Intel VT-d second stage. Level 0 holds 4K leaves, 1: 2 MiB, 2: 1 GiB; 3- to 5-level tables.
 *
 *   63 62 61  52 51                         12  11 10  9 8  7  6  3 2 1 0
 *  | -|TM|  -   |           address           |SNP|sw| D|A|PS| EMT |X|W|R|
 *
 * There is no present bit: any item that is not zero is present. A table item's R and W are set, rights are decided in
 * the leaf. Source: Intel VT-d specification 3.7 and 9.8; formats.md 1.3.
 */
#pragma once

#include "pt/pt_format.h"

#define VTDSS_READ      (UINT64_C(1) << 0)
#define VTDSS_WRITE     (UINT64_C(1) << 1)
#define VTDSS_PAGE_SIZE (UINT64_C(1) << 7)
#define VTDSS_ACCESSED  (UINT64_C(1) << 8)
#define VTDSS_DIRTY     (UINT64_C(1) << 9)
#define VTDSS_FLUSHED   (UINT64_C(1) << 10) /* software bit 0 of a table item: its write was flushed */
#define VTDSS_SNOOP     (UINT64_C(1) << 11)
#define VTDSS_ADDRESS   UINT64_C(0x000ffffffffff000)

enum {
    vtdss_GRANULE_SHIFT = 12,
    vtdss_INDEX_BITS = 9,
    vtdss_LEVEL_MAX = 4,
    vtdss_TOP_EXTRA_BITS = 0,
    vtdss_VA_BITS_MAX = 57,
    vtdss_OA_BITS_MAX = 52,
    vtdss_FEATURES = PT_FLUSH_RANGE | PT_FORCE_COHERENCE | PT_FORCE_WRITEABLE | PT_DMA_INCOHERENT,
    vtdss_HAS_RUNS = 0,
    vtdss_LEAVES_AGREE = 0,
    vtdss_RUN_ITEMS_ADVANCE = 0,
    vtdss_LINEAR_OA_BITS = 64,
    vtdss_HAS_DIRTY = 1,
    vtdss_TABLES_ARE_MARKED = 1,
    vtdss_RESIZES_IN_PLACE = 1,
    vtdss_EXCHANGES_TABLES = 1,
};

/* Page size is looked at where a leaf may be: levels 1 and 2. */
static inline bool vtdss_is_table(uint64_t item, unsigned level)
{
    return item && level > 0 && (level > 2 || !(item & VTDSS_PAGE_SIZE));
}

static inline enum pt_kind vtdss_kind(uint64_t item, unsigned level)
{
    if (!item) return PT_EMPTY;
    return vtdss_is_table(item, level) ? PT_TABLE : PT_LEAF;
}

static inline uint64_t vtdss_single_mask(unsigned level)
{
    return VTDSS_READ | VTDSS_WRITE | (level > 0 ? VTDSS_PAGE_SIZE : 0);
}

/* Read-write leaves; others differ in these two bits and are told by vtdss_kind. */
static inline uint64_t vtdss_single_value(unsigned level)
{
    return vtdss_single_mask(level);
}

static inline uint64_t vtdss_leaf_sizes(unsigned level)
{
    return level <= 2 ? bit(vtdss_GRANULE_SHIFT + vtdss_INDEX_BITS * level) : 0;
}

static inline uint64_t vtdss_optional_sizes(const struct pt *pt)
{
    (void)pt;
    return 0;
}

static inline uint64_t vtdss_table_item(const struct pt *pt, uint64_t address, unsigned level)
{
    (void)pt, (void)level;
    return address | VTDSS_READ | VTDSS_WRITE;
}

static inline uint64_t vtdss_table_address(const struct pt *pt, uint64_t item)
{
    (void)pt;
    return item & VTDSS_ADDRESS;
}

/* CACHE, NOEXEC, MMIO and PRIV mean nothing here: X and the memory type stay 0. */
static inline int vtdss_attrs(const struct pt *pt, unsigned prot, uint64_t *attrs)
{
    if (pt->features & PT_FORCE_WRITEABLE && !(prot & PT_WRITE)) {
        if (!FAULT(PT_READ_ONLY_IN_SPITE_OF_ERRATUM)) return -EINVAL;
        fault_triggered();
    }
    *attrs = (prot & PT_READ ? VTDSS_READ : 0) | (prot & PT_WRITE ? VTDSS_WRITE : 0) |
             (pt->features & PT_FORCE_COHERENCE ? VTDSS_SNOOP : 0);
    return 0;
}

static inline uint64_t vtdss_leaf_item(uint64_t attrs, uint64_t oa, unsigned level, unsigned shift)
{
    (void)shift;
    return attrs | oa | (level > 0 ? VTDSS_PAGE_SIZE : 0);
}

static inline uint64_t vtdss_leaf_step(unsigned shift)
{
    return bit(shift);
}

static inline unsigned vtdss_leaf_shift(uint64_t item, unsigned level)
{
    (void)item;
    return vtdss_GRANULE_SHIFT + vtdss_INDEX_BITS * level;
}

static inline uint64_t vtdss_leaf_address(const struct pt *pt, uint64_t item, unsigned level)
{
    (void)pt;
    return align_down(item & VTDSS_ADDRESS, vtdss_leaf_shift(item, level));
}

static inline uint64_t vtdss_item_address(const struct pt *pt, uint64_t item)
{
    (void)pt;
    return item & VTDSS_ADDRESS;
}

static inline uint64_t vtdss_leaf_attrs(const struct pt *pt, uint64_t item)
{
    (void)pt;
    return item & ~(VTDSS_ADDRESS | VTDSS_PAGE_SIZE);
}

static inline bool vtdss_is_dirty(uint64_t item)
{
    return item & VTDSS_DIRTY;
}

static inline uint64_t vtdss_set_dirty(uint64_t item)
{
    return item | VTDSS_DIRTY;
}

static inline uint64_t vtdss_clear_dirty(uint64_t item)
{
    return item & ~VTDSS_DIRTY;
}

/* Top levels 2, 3 and 4; the VA may be narrower than the top decodes. */
static inline int vtdss_init(struct pt *pt, const struct pt_config *config, unsigned *top_level)
{
    (void)pt;
    if (config->top_level < 2 || config->top_level > vtdss_LEVEL_MAX) return -EOPNOTSUPP;
    *top_level = config->top_level;
    if (FAULT(PT_INIT_REFUSES_WIDE_TOP) && config->va_bits <= 12 + 9 * config->top_level) {
        fault_triggered();
        return -EOPNOTSUPP;
    }
    return 0;
}

static inline uint32_t vtdss_features_required(const struct pt *pt)
{
    (void)pt;
    return 0;
}

static inline uint64_t vtdss_flushed_bit(const struct pt *pt)
{
    (void)pt;
    return VTDSS_FLUSHED;
}

static inline uint64_t vtdss_address_bits(unsigned level)
{
    (void)level;
    return VTDSS_ADDRESS;
}

static inline uint64_t vtdss_level_bits(void)
{
    return 0;
}

static inline uint64_t vtdss_hardware_bits(const struct pt *pt, unsigned level)
{
    (void)pt, (void)level;
    return VTDSS_ACCESSED | VTDSS_DIRTY;
}
