/*
 * The format that no hardware has, made to be awkward: whatever takes one level or one granule for another finds
 * other bits there. This comment is its manual; the walker in core/iommu is written from it alone.
 *
 * 1. Shape. The granule is 2 KiB, half a page of memory; tables have 4 KiB and 512 items. An item of level L translates
 *    2^(11 + 9 L) bytes; levels 0 to 4, so up to 56 input bits. Output addresses have up to 47 bits.
 * 2. An item of level L, 0 <= L <= 4:
 *
 *      63    61 60 59+..         ..12+3L ..     10+2L .. 6+2L 5+2L 4+2L 3+2L 2+2L 1+2L  2L
 *     |  L + 1  |SW|   address >> 11    |   -        |  RUN  |  D  | A  |LEAF| W  | R  | P |  -  |
 *
 *      P      present. An item with P = 0 is empty, whatever else it holds
 *      R, W   the right to read, to write. A table item has both: rights are decided in the leaf
 *      LEAF   the item is (part of) a leaf; else it points to a table of level L - 1. Always 1 at level 0
 *      A, D   accessed, dirty: hardware sets A in every item it uses and D in the leaf it writes through
 *      RUN    4 bits (9+2L .. 6+2L): the leaf is a run of 2^RUN items. 0 in a table item
 *      address   36 bits from bit 12 + 3 L on: address bits 46:11. A table lies at a multiple of 4 KiB
 *      SW     software's, table items only: the write of this item was flushed to a walker that does not snoop
 *      63:61  the level of the table that the item is in, plus one
 *    Every other bit is reserved and 0.
 * 3. Leaves. Level 0: RUN 0, 2 or 5. Level 1: 0 or 3. Level 2: 0, 1 or 4. Level 3: 1 only, a single item is reserved.
 *    Level 4 has none. In a run each item holds the address of what it translates itself: it advances.
 * 4. Hardware refuses (reserved) any present item with a wrong level, a reserved bit, a RUN that its level lacks, or
 *    an address that is no multiple of what the item translates (a table: of 4 KiB) or needs more bits than it puts
 * out.
 *
 * A hook that is not told the level reads it from the item. `attrs` are laid out as in level 0, with 0 for the level.
 */
#pragma once

#include "pt/pt_format.h"

#define FAKE_PRESENT (UINT64_C(1) << 0)
#define FAKE_READ    (UINT64_C(1) << 1)
#define FAKE_WRITE   (UINT64_C(1) << 2)
#define FAKE_LEAF    (UINT64_C(1) << 3)
#define FAKE_MARKED  (UINT64_C(1) << 4)
#define FAKE_DIRTY   (UINT64_C(1) << 5)
#define FAKE_RUN     (UINT64_C(15) << 6)
#define FAKE_ADDRESS (((UINT64_C(1) << 36) - 1) << 12)
#define FAKE_FLUSHED (UINT64_C(1) << 60)
#define FAKE_LEVEL   (UINT64_C(7) << 61)

enum {
    fake_GRANULE_SHIFT = 11,
    fake_INDEX_BITS = 9,
    fake_LEVEL_MAX = 4,
    fake_TOP_EXTRA_BITS = 0,
    fake_VA_BITS_MAX = 56,
    fake_OA_BITS_MAX = 47,
    fake_FEATURES = PT_DYNAMIC_TOP | PT_SIGN_EXTEND | PT_FLUSH_RANGE | PT_FLUSH_RANGE_NO_GAPS | PT_DMA_INCOHERENT,
    fake_HAS_RUNS = 1,
    fake_LEAVES_AGREE = 1,
    fake_RUN_ITEMS_ADVANCE = 1,
    fake_LINEAR_OA_BITS = 64,
    fake_HAS_DIRTY = 1,
    fake_TABLES_ARE_MARKED = 1,
    fake_RESIZES_IN_PLACE = 1,
    fake_EXCHANGES_TABLES = 1,
};

/* The level an item says it is of; attrs say none and look like level 0. */
static inline unsigned fake_level(uint64_t item)
{
    return item >> 61 ? (unsigned)(item >> 61) - 1 : 0;
}

/* Where the bits of level 0 are at `level`. The address moves by 3, all others by 2. */
static inline uint64_t fake_flags(uint64_t bits, unsigned level)
{
    return bits << 2 * level;
}

static inline uint64_t fake_address(uint64_t address, unsigned level)
{
    return address >> 11 << (12 + 3 * level);
}

static inline uint64_t fake_tag(unsigned level)
{
    return (uint64_t)(level + 1) << 61;
}

static inline bool fake_is_table(uint64_t item, unsigned level)
{
    return level > 0 && (item >> 2 * level & (FAKE_PRESENT | FAKE_LEAF)) == FAKE_PRESENT;
}

static inline enum pt_kind fake_kind(uint64_t item, unsigned level)
{
    if (!(item >> 2 * level & FAKE_PRESENT)) return PT_EMPTY;
    return fake_is_table(item, level) ? PT_TABLE : PT_LEAF;
}

static inline uint64_t fake_single_mask(unsigned level)
{
    return fake_flags(FAKE_PRESENT | FAKE_LEAF | FAKE_RUN, level) | FAKE_LEVEL;
}

static inline uint64_t fake_single_value(unsigned level)
{
    return fake_flags(FAKE_PRESENT | FAKE_LEAF, level) | fake_tag(level);
}

/* Level 0: 2K 8K 64K, 1: 1M 8M, 2: 512M 1G 8G, 3: 512G. */
static inline uint64_t fake_leaf_sizes(unsigned level)
{
    static const uint64_t sizes[] = {
        UINT64_C(0x25) << 11, UINT64_C(0x9) << 20, UINT64_C(0x13) << 29, UINT64_C(0x2) << 38, 0,
    };

    return sizes[level];
}

static inline uint64_t fake_optional_sizes(const struct pt *pt)
{
    (void)pt;
    return 0;
}

static inline uint64_t fake_table_item(const struct pt *pt, uint64_t address, unsigned level)
{
    (void)pt;
    return fake_flags(FAKE_PRESENT | FAKE_READ | FAKE_WRITE, level) | fake_address(address, level) | fake_tag(level);
}

/* The address that an item of any kind holds. */
static inline uint64_t fake_item_address(const struct pt *pt, uint64_t item)
{
    (void)pt;
    return (item >> 3 * fake_level(item) & FAKE_ADDRESS) >> 12 << 11;
}

static inline uint64_t fake_table_address(const struct pt *pt, uint64_t item)
{
    return fake_item_address(pt, item);
}

/* CACHE, NOEXEC, MMIO and PRIV mean nothing here. */
static inline int fake_attrs(const struct pt *pt, unsigned prot, uint64_t *attrs)
{
    (void)pt;
    *attrs = FAKE_PRESENT | FAKE_LEAF | (prot & PT_READ ? FAKE_READ : 0) | (prot & PT_WRITE ? FAKE_WRITE : 0);
    return 0;
}

static inline uint64_t fake_leaf_item(uint64_t attrs, uint64_t oa, unsigned level, unsigned shift)
{
    const uint64_t run = shift - (fake_GRANULE_SHIFT + fake_INDEX_BITS * level);

    return fake_flags(attrs | run << 6, level) | fake_address(oa, level) | fake_tag(level);
}

static inline uint64_t fake_leaf_step(unsigned shift)
{
    return fake_address(bit(shift), (shift - fake_GRANULE_SHIFT) / fake_INDEX_BITS);
}

static inline unsigned fake_leaf_shift(uint64_t item, unsigned level)
{
    return fake_GRANULE_SHIFT + fake_INDEX_BITS * level + (unsigned)((item >> 2 * level & FAKE_RUN) >> 6);
}

static inline uint64_t fake_leaf_address(const struct pt *pt, uint64_t item, unsigned level)
{
    return align_down(fake_item_address(pt, item), fake_leaf_shift(item, level));
}

/* Reserved bits stay: pt_check looks for them here. */
static inline uint64_t fake_leaf_attrs(const struct pt *pt, uint64_t item)
{
    const unsigned level = fake_level(item);
    const uint64_t elsewhere = FAKE_ADDRESS << 3 * level | fake_flags(FAKE_RUN, level) | FAKE_LEVEL;

    (void)pt;
    return (item & ~elsewhere) >> 2 * level;
}

static inline bool fake_is_dirty(uint64_t item)
{
    return item & fake_flags(FAKE_DIRTY, fake_level(item));
}

static inline uint64_t fake_set_dirty(uint64_t item)
{
    return item | fake_flags(FAKE_DIRTY, fake_level(item));
}

static inline uint64_t fake_clear_dirty(uint64_t item)
{
    return item & ~fake_flags(FAKE_DIRTY, fake_level(item));
}

/* Top levels 1 to 4, fixed or growing; the VA may be narrower than the top decodes. */
static inline int fake_init(struct pt *pt, const struct pt_config *config, unsigned *top_level)
{
    (void)pt;
    if (config->top_level < 1 || config->top_level > fake_LEVEL_MAX) return -EOPNOTSUPP;
    *top_level = config->top_level;
    return 0;
}

static inline uint32_t fake_features_required(const struct pt *pt)
{
    (void)pt;
    return 0;
}

static inline uint64_t fake_flushed_bit(const struct pt *pt)
{
    (void)pt;
    return FAKE_FLUSHED;
}

static inline uint64_t fake_address_bits(unsigned level)
{
    return FAKE_ADDRESS << 3 * level;
}

static inline uint64_t fake_level_bits(void)
{
    return FAKE_LEVEL;
}

static inline uint64_t fake_hardware_bits(const struct pt *pt, unsigned level)
{
    (void)pt;
    return fake_flags(FAKE_MARKED | FAKE_DIRTY, level);
}
