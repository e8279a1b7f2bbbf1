/*
 * AMD IOMMU host page tables ("v1"). Level 0 holds 4K leaves, 1: 2 MiB, 2: 1 GiB, 3: 512 GiB (never a single leaf:
 * hardware bug), 4: 256 TiB; 5 is top only. Between these, every power of two as a run of identical items.
 *
 *   63  62 61 60 59    52 51                         12 11  9 8 7  6 5 4   1  0
 *  | - |IW|IR|FC|   -    |  address, or size in ones   |  NL | - |D|A|  -  |PR|
 *
 * NL (next level): in a table item the level it sits in; 0 = leaf of the item's size; 7 = leaf of 2^s bytes, with
 * address bits 12 .. s-2 ones and bit s-1 zero. Source: AMD IOMMU specification 2.2.3, tables 14 and 15;
 * formats.md 1.1.
 */
#pragma once

#include "pt/pt_format.h"

#define AMDV1_PRESENT    (UINT64_C(1) << 0)
#define AMDV1_ACCESSED   (UINT64_C(1) << 5)
#define AMDV1_DIRTY      (UINT64_C(1) << 6)
#define AMDV1_NEXT_LEVEL (UINT64_C(7) << 9)
#define AMDV1_ADDRESS    UINT64_C(0x000ffffffffff000)
#define AMDV1_COHERENT   (UINT64_C(1) << 60)
#define AMDV1_READ       (UINT64_C(1) << 61)
#define AMDV1_WRITE      (UINT64_C(1) << 62)

enum {
    amdv1_GRANULE_SHIFT = 12,
    amdv1_INDEX_BITS = 9,
    amdv1_LEVEL_MAX = 5,
    amdv1_TOP_EXTRA_BITS = 0,
    amdv1_VA_BITS_MAX = 64,
    amdv1_OA_BITS_MAX = 52,
    amdv1_FEATURES = PT_FULL_VA | PT_DYNAMIC_TOP | PT_FLUSH_RANGE | PT_FLUSH_RANGE_NO_GAPS | PT_ENCRYPT_TABLES |
                     PT_FORCE_COHERENCE | PT_SMALL_VA,
    amdv1_HAS_RUNS = 1,
    amdv1_LEAVES_AGREE = 1,
    amdv1_RUN_ITEMS_ADVANCE = 0,
    amdv1_LINEAR_OA_BITS = 64,
    amdv1_HAS_DIRTY = 1,
    amdv1_TABLES_ARE_MARKED = 1,
    amdv1_RESIZES_IN_PLACE = 1,
    amdv1_EXCHANGES_TABLES = 1,
};

/* Present, above level 0, and the next level is neither 0 nor 7. */
static inline bool amdv1_is_table(uint64_t item, unsigned level)
{
    return item & AMDV1_PRESENT && level > 0 && (item >> 9 & 7) - 1 < 6;
}

static inline enum pt_kind amdv1_kind(uint64_t item, unsigned level)
{
    if (!(item & AMDV1_PRESENT)) return PT_EMPTY;
    return amdv1_is_table(item, level) ? PT_TABLE : PT_LEAF;
}

static inline uint64_t amdv1_single_mask(unsigned level)
{
    (void)level;
    return AMDV1_PRESENT | AMDV1_NEXT_LEVEL;
}

static inline uint64_t amdv1_single_value(unsigned level)
{
    (void)level;
    return AMDV1_PRESENT;
}

/* Level 0: 4K .. 1M, 1: 2M .. 512M, 2: 1G .. 256G, 3: 1T .. 128T, 4: 256T .. 2P. A run is at most half a table. */
static inline uint64_t amdv1_leaf_sizes(unsigned level)
{
    static const uint64_t sizes[] = {
        UINT64_C(0x1ff) << 12, UINT64_C(0x1ff) << 21, UINT64_C(0x1ff) << 30,
        UINT64_C(0xff) << 40,  UINT64_C(0xf) << 48,   0,
    };

    if (FAULT(PT_LEAF_OF_512G) && level == 3) {
        fault_triggered();
        return sizes[level] | bit(39);
    }
    return sizes[level];
}

static inline uint64_t amdv1_optional_sizes(const struct pt *pt)
{
    (void)pt;
    return 0;
}

static inline uint64_t amdv1_table_item(const struct pt *pt, uint64_t address, unsigned level)
{
    uint64_t item = address | pt->c_bit_mask | AMDV1_PRESENT | AMDV1_READ | AMDV1_WRITE | (uint64_t)level << 9;

    if (FAULT(PT_NEXT_LEVEL_OFF_BY_ONE)) {
        fault_triggered();
        item += UINT64_C(1) << 9;
    }
    if (FAULT(PT_TABLE_WITHOUT_RIGHTS)) {
        fault_triggered();
        item &= ~(AMDV1_READ | AMDV1_WRITE);
    }
    return item;
}

static inline uint64_t amdv1_table_address(const struct pt *pt, uint64_t item)
{
    return item & pt->address_mask;
}

/* CACHE, NOEXEC and PRIV mean nothing here; MMIO only keeps the C-bit out. */
static inline int amdv1_attrs(const struct pt *pt, unsigned prot, uint64_t *attrs)
{
    *attrs = AMDV1_PRESENT | (prot & PT_READ ? AMDV1_READ : 0) | (prot & PT_WRITE ? AMDV1_WRITE : 0) |
             (pt->features & PT_FORCE_COHERENCE ? AMDV1_COHERENT : 0) | (prot & PT_MMIO ? 0 : pt->c_bit_mask);
    return 0;
}

static inline uint64_t amdv1_leaf_item(uint64_t attrs, uint64_t oa, unsigned level, unsigned shift)
{
    if (shift == amdv1_GRANULE_SHIFT + amdv1_INDEX_BITS * level) return attrs | oa;
    return attrs | oa | AMDV1_NEXT_LEVEL | low_mask(shift - 13) << 12;
}

static inline uint64_t amdv1_leaf_step(unsigned shift)
{
    return bit(shift);
}

static inline unsigned amdv1_leaf_shift(uint64_t item, unsigned level)
{
    if ((item & AMDV1_NEXT_LEVEL) == 0) return amdv1_GRANULE_SHIFT + amdv1_INDEX_BITS * level;
    return trailing_zeros(~(item >> 12)) + 13;
}

static inline uint64_t amdv1_leaf_address(const struct pt *pt, uint64_t item, unsigned level)
{
    return align_down(item & pt->address_mask, amdv1_leaf_shift(item, level));
}

static inline uint64_t amdv1_item_address(const struct pt *pt, uint64_t item)
{
    return item & pt->address_mask;
}

/*
 * The C-bit of a leaf is an attribute of it (MMIO has none), but it looks like an address bit: pt says which it is. A
 * C-bit among the size ones cannot be told from them; bits 47 and 51 never are, as no leaf with a C-bit is that large.
 */
static inline uint64_t amdv1_leaf_attrs(const struct pt *pt, uint64_t item)
{
    return (item & ~(AMDV1_ADDRESS | AMDV1_NEXT_LEVEL)) | (item & pt->c_bit_mask);
}

static inline bool amdv1_is_dirty(uint64_t item)
{
    return item & AMDV1_DIRTY;
}

static inline uint64_t amdv1_set_dirty(uint64_t item)
{
    return item | AMDV1_DIRTY;
}

static inline uint64_t amdv1_clear_dirty(uint64_t item)
{
    return item & ~AMDV1_DIRTY;
}

/*
 * Start levels 1..5. Start level 5, or a VA that the start level decodes already, leaves nothing to grow into:
 * Linux 7.1 then drops PT_DYNAMIC_TOP and refuses for the lack of it; with PT_SMALL_VA (Linux 7.2, formats.md 5.1-10)
 * it works.
 */
static inline int amdv1_init(struct pt *pt, const struct pt_config *config, unsigned *top_level)
{
    if (config->top_level < 1 || config->top_level > amdv1_LEVEL_MAX) return -EINVAL;
    *top_level = config->top_level;
    if (!(config->features & PT_DYNAMIC_TOP) && config->top_level != amdv1_LEVEL_MAX)
        pt->va_bits = (uint8_t)min_u64(config->va_bits, 12 + 9 * (config->top_level + 1));
    return 0;
}

static inline uint32_t amdv1_features_required(const struct pt *pt)
{
    const uint32_t required = PT_DYNAMIC_TOP | PT_ENCRYPT_TABLES | PT_FORCE_COHERENCE;

    if (FAULT(PT_INIT_REFUSES_SMALL_VA) && pt->features & PT_SMALL_VA) {
        fault_triggered();
        return required;
    }
    return pt->features & PT_SMALL_VA ? required & ~(uint32_t)PT_DYNAMIC_TOP : required;
}

static inline uint64_t amdv1_flushed_bit(const struct pt *pt)
{
    (void)pt;
    return 0;
}

static inline uint64_t amdv1_address_bits(unsigned level)
{
    (void)level;
    return AMDV1_ADDRESS;
}

static inline uint64_t amdv1_level_bits(void)
{
    return AMDV1_NEXT_LEVEL;
}

static inline uint64_t amdv1_hardware_bits(const struct pt *pt, unsigned level)
{
    (void)pt, (void)level;
    return AMDV1_ACCESSED | AMDV1_DIRTY;
}
