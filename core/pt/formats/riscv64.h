/*
 * RISC-V Sv39, Sv48, Sv57 and, with RISCV64_STAGE2, their second-stage forms Sv39x4, Sv48x4, Sv57x4. Level 0 holds 4K
 * leaves, 1: 2 MiB, 2: 1 GiB, 3: 512 GiB, 4: 256 TiB; any level may hold leaves. Svnapot: 16 identical items of level 0
 * are one leaf of 64K.
 *
 *   63 62 61 60 54 53                          10 9 8 7 6 5 4 3 2 1 0
 *  |N |PBMT |  -  |  output or table address >> 2 | RSW|D|A|G|U|X|W|R|V|
 *
 * V without R, W and X above level 0 is a table. N with address bits 15:12 = 8: a leaf of 64K.
 *
 * The second stage has two VA bits more and a root of four pages (2048 items), no sign extension, and needs U in every
 * leaf, which the first stage sets too as devices are users (INFERRED for Linux, which has no second stage in 7.0).
 *
 * Capabilities (formats.md 6): both. Svnapot says that where items of a run disagree, one of the translations is
 * chosen, and which cannot be known; a walker may also cache a leaf for any part of it and keep several entries for one
 * address (address-translation caches need no break-before-make). A cut changes items one by one to items with the same
 * translation and the same rights, so whichever is chosen is right. A and D are set from birth: none can get lost.
 *
 * Source: RISC-V privileged specification 12.3 to 12.6, Svnapot chapter, IOMMU specification; formats.md 1.4.
 */
#pragma once

#include "pt/pt_format.h"

#ifndef RISCV64_STAGE2
#define RISCV64_STAGE2 0
#endif

#define RISCV64_VALID    (UINT64_C(1) << 0)
#define RISCV64_READ     (UINT64_C(1) << 1)
#define RISCV64_WRITE    (UINT64_C(1) << 2)
#define RISCV64_EXECUTE  (UINT64_C(1) << 3)
#define RISCV64_USER     (UINT64_C(1) << 4)
#define RISCV64_ACCESSED (UINT64_C(1) << 6)
#define RISCV64_DIRTY    (UINT64_C(1) << 7)
#define RISCV64_ADDRESS  UINT64_C(0x003ffffffffffc00)
#define RISCV64_NAPOT    (UINT64_C(1) << 63)
#define RISCV64_RIGHTS   (RISCV64_READ | RISCV64_WRITE | RISCV64_EXECUTE)

enum {
    riscv64_GRANULE_SHIFT = 12,
    riscv64_INDEX_BITS = 9,
    riscv64_LEVEL_MAX = 4,
    riscv64_TOP_EXTRA_BITS = RISCV64_STAGE2 ? 2 : 0,
    riscv64_VA_BITS_MAX = 57 + riscv64_TOP_EXTRA_BITS,
    riscv64_OA_BITS_MAX = 56,
    riscv64_FEATURES = PT_FLUSH_RANGE | PT_NAPOT_64K | (RISCV64_STAGE2 ? 0 : PT_SIGN_EXTEND),
    riscv64_HAS_RUNS = 1,
    riscv64_LEAVES_AGREE = 1,
    riscv64_RUN_ITEMS_ADVANCE = 0,
    riscv64_LINEAR_OA_BITS = 64,
    riscv64_HAS_DIRTY = 0,
    riscv64_TABLES_ARE_MARKED = 0,
    riscv64_RESIZES_IN_PLACE = 1,
    riscv64_EXCHANGES_TABLES = 1,
    riscv64_NAPOT_SHIFT = 16,
};

/* An address stands two bits lower in an item. */
#define RISCV64_ADDRESS_SHIFT 2
#define RISCV64_NAPOT_SIZE    (UINT64_C(8) << 10) /* what an item of 64K has in address bits 15:12 */

static inline bool riscv64_is_table(uint64_t item, unsigned level)
{
    return level > 0 && (item & (RISCV64_VALID | RISCV64_RIGHTS)) == RISCV64_VALID;
}

static inline enum pt_kind riscv64_kind(uint64_t item, unsigned level)
{
    if (!(item & RISCV64_VALID)) return PT_EMPTY;
    return riscv64_is_table(item, level) ? PT_TABLE : PT_LEAF;
}

/* Every leaf is readable (riscv64_attrs). */
static inline uint64_t riscv64_single_mask(unsigned level)
{
    return RISCV64_VALID | (level > 0 ? RISCV64_READ : RISCV64_NAPOT);
}

static inline uint64_t riscv64_single_value(unsigned level)
{
    return riscv64_single_mask(level) & ~RISCV64_NAPOT;
}

static inline uint64_t riscv64_leaf_sizes(unsigned level)
{
    return bit(riscv64_GRANULE_SHIFT + riscv64_INDEX_BITS * level) | (level == 0 ? bit(riscv64_NAPOT_SHIFT) : 0);
}

static inline uint64_t riscv64_optional_sizes(const struct pt *pt)
{
    return pt->features & PT_NAPOT_64K ? 0 : bit(riscv64_NAPOT_SHIFT);
}

static inline uint64_t riscv64_table_item(const struct pt *pt, uint64_t address, unsigned level)
{
    (void)pt, (void)level;
    return address >> RISCV64_ADDRESS_SHIFT | RISCV64_VALID;
}

static inline uint64_t riscv64_table_address(const struct pt *pt, uint64_t item)
{
    (void)pt;
    return (item & RISCV64_ADDRESS) << RISCV64_ADDRESS_SHIFT;
}

/* W without R is reserved, so what may be written may be read. CACHE, MMIO and PRIV mean nothing (Svpbmt: Linux 7.2).
 */
static inline int riscv64_attrs(const struct pt *pt, unsigned prot, uint64_t *attrs)
{
    const uint64_t rights = (prot & (PT_READ | PT_WRITE) ? RISCV64_READ : 0) | (prot & PT_WRITE ? RISCV64_WRITE : 0) |
                            (prot & PT_NOEXEC ? 0 : RISCV64_EXECUTE);

    (void)pt;
    if (rights == 0) return -EOPNOTSUPP;
    *attrs = RISCV64_VALID | rights | RISCV64_USER | RISCV64_ACCESSED | (prot & PT_WRITE ? RISCV64_DIRTY : 0);
    return 0;
}

static inline uint64_t riscv64_leaf_item(uint64_t attrs, uint64_t oa, unsigned level, unsigned shift)
{
    (void)level;
    return attrs | oa >> RISCV64_ADDRESS_SHIFT |
           (shift == riscv64_NAPOT_SHIFT ? RISCV64_NAPOT | RISCV64_NAPOT_SIZE : 0);
}

static inline uint64_t riscv64_leaf_step(unsigned shift)
{
    return bit(shift - RISCV64_ADDRESS_SHIFT);
}

static inline unsigned riscv64_leaf_shift(uint64_t item, unsigned level)
{
    if (level == 0 && item & RISCV64_NAPOT) return riscv64_NAPOT_SHIFT;
    return riscv64_GRANULE_SHIFT + riscv64_INDEX_BITS * level;
}

static inline uint64_t riscv64_leaf_address(const struct pt *pt, uint64_t item, unsigned level)
{
    return align_down(riscv64_table_address(pt, item), riscv64_leaf_shift(item, level));
}

static inline uint64_t riscv64_item_address(const struct pt *pt, uint64_t item)
{
    return riscv64_table_address(pt, item);
}

static inline uint64_t riscv64_leaf_attrs(const struct pt *pt, uint64_t item)
{
    (void)pt;
    return item & ~(RISCV64_ADDRESS | RISCV64_NAPOT);
}

static inline bool riscv64_is_dirty(uint64_t item)
{
    return item & RISCV64_DIRTY;
}

static inline uint64_t riscv64_set_dirty(uint64_t item)
{
    return item | RISCV64_DIRTY;
}

static inline uint64_t riscv64_clear_dirty(uint64_t item)
{
    return item & ~RISCV64_DIRTY;
}

/* The VA width alone says the top level; a configuration may leave top_level at 0, or must name the same. */
static inline int riscv64_init(struct pt *pt, const struct pt_config *config, unsigned *top_level)
{
    const unsigned width = config->va_bits - riscv64_TOP_EXTRA_BITS;

    (void)pt;
    if (width != 39 && width != 48 && width != 57) return -EINVAL;
    *top_level = (width - riscv64_GRANULE_SHIFT) / riscv64_INDEX_BITS - 1;
    return config->top_level && config->top_level != *top_level ? -EINVAL : 0;
}

static inline uint32_t riscv64_features_required(const struct pt *pt)
{
    (void)pt;
    return 0;
}

static inline uint64_t riscv64_flushed_bit(const struct pt *pt)
{
    (void)pt;
    return 0;
}

static inline uint64_t riscv64_address_bits(unsigned level)
{
    (void)level;
    return RISCV64_ADDRESS;
}

static inline uint64_t riscv64_level_bits(void)
{
    return 0;
}

static inline uint64_t riscv64_hardware_bits(const struct pt *pt, unsigned level)
{
    (void)pt, (void)level;
    return RISCV64_ACCESSED | RISCV64_DIRTY;
}
