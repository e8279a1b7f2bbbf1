/*
 * x86-64 page tables: AMD IOMMU v2 (guest) tables, VT-d first stage, CPUs. Level 0 holds 4K leaves, 1: 2 MiB, 2: 1 GiB;
 * levels 3 and 4 (PML5) hold tables only.
 *
 *   63 62      52 51                         12 11  9  8 7  6 5 4 3 2 1 0
 *  |XD|    -     |           address           |  sw |G|PS|D|A|-|-|U|W|P|
 *
 * There is no read permission: a leaf is readable. Source: Intel SDM vol. 3 4.4/4.5, VT-d 9.7, AMD 2.2.6;
 * formats.md 1.2.
 */
#pragma once

#include "pt/pt_format.h"

#define X86_64_PRESENT   (UINT64_C(1) << 0)
#define X86_64_WRITE     (UINT64_C(1) << 1)
#define X86_64_USER      (UINT64_C(1) << 2)
#define X86_64_ACCESSED  (UINT64_C(1) << 5)
#define X86_64_DIRTY     (UINT64_C(1) << 6)
#define X86_64_PAGE_SIZE (UINT64_C(1) << 7)
#define X86_64_FLUSHED   (UINT64_C(1) << 9) /* software bit 0 of a table item: its write was flushed */
#define X86_64_ADDRESS   UINT64_C(0x000ffffffffff000)

enum {
    x86_64_GRANULE_SHIFT = 12,
    x86_64_INDEX_BITS = 9,
    x86_64_LEVEL_MAX = 4,
    x86_64_TOP_EXTRA_BITS = 0,
    x86_64_VA_BITS_MAX = 57,
    x86_64_OA_BITS_MAX = 52,
    x86_64_FEATURES = PT_SIGN_EXTEND | PT_FLUSH_RANGE | PT_FLUSH_RANGE_NO_GAPS | PT_ENCRYPT_TABLES | PT_DMA_INCOHERENT,
    x86_64_HAS_RUNS = 0,
    x86_64_LEAVES_AGREE = 1,
    x86_64_RUN_ITEMS_ADVANCE = 0,
    x86_64_LINEAR_OA_BITS = 64,
    x86_64_HAS_DIRTY = 0,
    x86_64_TABLES_ARE_MARKED = 1,
    x86_64_RESIZES_IN_PLACE = 1,
    x86_64_EXCHANGES_TABLES = 1,
};

/* Page size is looked at where a leaf may be: levels 1 and 2. */
static inline bool x86_64_is_table(uint64_t item, unsigned level)
{
    return item & X86_64_PRESENT && level > 0 && (level > 2 || !(item & X86_64_PAGE_SIZE));
}

static inline enum pt_kind x86_64_kind(uint64_t item, unsigned level)
{
    if (!(item & X86_64_PRESENT)) return PT_EMPTY;
    return x86_64_is_table(item, level) ? PT_TABLE : PT_LEAF;
}

static inline uint64_t x86_64_single_mask(unsigned level)
{
    return level == 0 ? X86_64_PRESENT : X86_64_PRESENT | X86_64_PAGE_SIZE;
}

static inline uint64_t x86_64_single_value(unsigned level)
{
    return x86_64_single_mask(level);
}

static inline uint64_t x86_64_leaf_sizes(unsigned level)
{
    return level <= 2 ? bit(x86_64_GRANULE_SHIFT + x86_64_INDEX_BITS * level) : 0;
}

static inline uint64_t x86_64_optional_sizes(const struct pt *pt)
{
    (void)pt;
    return 0;
}

static inline uint64_t x86_64_table_item(const struct pt *pt, uint64_t address, unsigned level)
{
    (void)level;
    return address | pt->c_bit_mask | X86_64_PRESENT | X86_64_WRITE | X86_64_USER | X86_64_ACCESSED;
}

static inline uint64_t x86_64_table_address(const struct pt *pt, uint64_t item)
{
    return item & pt->address_mask;
}

/* Reading is implied; CACHE, NOEXEC and PRIV mean nothing here; MMIO only keeps the C-bit out. D is set with W, so that
 * hardware never has to write it. */
static inline int x86_64_attrs(const struct pt *pt, unsigned prot, uint64_t *attrs)
{
    *attrs = X86_64_PRESENT | X86_64_USER | X86_64_ACCESSED | (prot & PT_WRITE ? X86_64_WRITE | X86_64_DIRTY : 0) |
             (prot & PT_MMIO ? 0 : pt->c_bit_mask);
    return 0;
}

static inline uint64_t x86_64_leaf_item(uint64_t attrs, uint64_t oa, unsigned level, unsigned shift)
{
    (void)shift;
    if (FAULT(PT_PAGE_SIZE_IN_4K) && level == 0) {
        fault_triggered();
        return attrs | oa | X86_64_PAGE_SIZE;
    }
    return attrs | oa | (level > 0 ? X86_64_PAGE_SIZE : 0);
}

static inline uint64_t x86_64_leaf_step(unsigned shift)
{
    return bit(shift);
}

static inline unsigned x86_64_leaf_shift(uint64_t item, unsigned level)
{
    (void)item;
    return x86_64_GRANULE_SHIFT + x86_64_INDEX_BITS * level;
}

static inline uint64_t x86_64_leaf_address(const struct pt *pt, uint64_t item, unsigned level)
{
    return align_down(item & pt->address_mask, x86_64_leaf_shift(item, level));
}

static inline uint64_t x86_64_item_address(const struct pt *pt, uint64_t item)
{
    return item & pt->address_mask;
}

static inline uint64_t x86_64_leaf_attrs(const struct pt *pt, uint64_t item)
{
    return (item & ~(X86_64_ADDRESS | X86_64_PAGE_SIZE)) | (item & pt->c_bit_mask);
}

static inline bool x86_64_is_dirty(uint64_t item)
{
    return item & X86_64_DIRTY;
}

static inline uint64_t x86_64_set_dirty(uint64_t item)
{
    return item | X86_64_DIRTY;
}

static inline uint64_t x86_64_clear_dirty(uint64_t item)
{
    return item & ~X86_64_DIRTY;
}

static inline int x86_64_init(struct pt *pt, const struct pt_config *config, unsigned *top_level)
{
    (void)pt;
    if (config->top_level < 3 || config->top_level > x86_64_LEVEL_MAX) return -EOPNOTSUPP;
    *top_level = config->top_level;
    return 0;
}

static inline uint32_t x86_64_features_required(const struct pt *pt)
{
    (void)pt;
    return 0;
}

static inline uint64_t x86_64_flushed_bit(const struct pt *pt)
{
    (void)pt;
    return X86_64_FLUSHED;
}

static inline uint64_t x86_64_address_bits(unsigned level)
{
    (void)level;
    return X86_64_ADDRESS;
}

static inline uint64_t x86_64_level_bits(void)
{
    return 0;
}

static inline uint64_t x86_64_hardware_bits(const struct pt *pt, unsigned level)
{
    (void)pt, (void)level;
    return X86_64_ACCESSED | X86_64_DIRTY;
}
