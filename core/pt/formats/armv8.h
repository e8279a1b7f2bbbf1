/*
 * Armv8 VMSAv8-64 long descriptors: stage 1 and stage 2; 4K, 16K and 64K granules; 48-bit addresses, 52 with 64K.
 * Arm ARM DDI 0487 chapter D8; formats.md 1.6. An instance (formats/armv8*.c) says which it is:
 *
 *   ARMV8_GRANULE_SHIFT   12, 14 or 16
 *   ARMV8_STAGE           1 or 2
 *
 *   63 62:59 58:55 54 53 52 51 50:48 47         12 11 10 9 8  7  6 5 4    2  1   0
 *  |NT|  -  | sw  |XN|XN|CH|DM|  -  |   address   |nG|AF| SH |  AP |N| Attr |TP|VALID|     stage 1 (N = NS)
 *  |- |  -  | sw  |XN|XN|CH|DM|  -  |   address   |- |AF| SH | S2AP| MemAttr|TP|VALID|     stage 2
 *
 * TP: 1 = table, or page at level 0; 0 = block. CH: contiguous hint. DM: dirty bit modifier. NT: NSTable, in tables.
 * With 64K granules bits 15:12 of an address field hold address bits 51:48. Levels count up from the pages: Arm's
 * number is 3 - level. LPA2 (52 bits with 4K and 16K) is not built.
 *
 * Two readings of formats.md 1.6. Common bits and sizes apart, they differ in what PT_ARM_IO_PGTABLE switches:
 *
 *                             (b) default, generic_pt's armv8       (a) PT_ARM_IO_PGTABLE, io-pgtable-arm
 *   contiguous hint           with PT_CONTIGUOUS                    none; PT_CONTIGUOUS is refused
 *   stage 2 top               folded where it has <= 16 items       folded only where the architecture demands it
 *   stage 2 start level       checked against the output width      not checked
 *   4K stage 2, one level     -EINVAL                               accepted
 *   NOEXEC                    bit 54                                bits 54 and 53
 *   item was written back     stage 1 bit 55, stage 2 bit 56        bit 55
 *   dirty bits                both stages                           stage 1
 *
 * What the sheet leaves open is taken from (a) for both: NS and FWB, prot=WRITE alone, address widths. Which of its
 * software bits (b) uses for write-back is not in the sheet: the first that it lists for the stage is taken. All of
 * reading (b) is calculated, not run against Linux; (a) is (corpus/golden/arm).
 */
#pragma once

#include "pt/pt_format.h"

/* Read alone, the header is stage 1 with 4K. */
#ifndef ARMV8_GRANULE_SHIFT
#define ARMV8_GRANULE_SHIFT 12
#endif
#ifndef ARMV8_STAGE
#define ARMV8_STAGE 1
#endif

#define ARMV8_VALID      (UINT64_C(1) << 0)
#define ARMV8_TABLE      (UINT64_C(1) << 1) /* at level 0: page */
#define ARMV8_ATTR_SHIFT 2                  /* stage 1: index into MAIR, 3 bits; stage 2: memory type, 4 bits */
#define ARMV8_NS         (UINT64_C(1) << 5) /* stage 1 */
#define ARMV8_AP_EL0     (UINT64_C(1) << 6) /* stage 1: unprivileged accesses too */
#define ARMV8_AP_RO      (UINT64_C(1) << 7) /* stage 1 */
#define ARMV8_S2AP_READ  (UINT64_C(1) << 6)
#define ARMV8_S2AP_WRITE (UINT64_C(1) << 7)
#define ARMV8_SH_OUTER   (UINT64_C(2) << 8)
#define ARMV8_SH_INNER   (UINT64_C(3) << 8)
#define ARMV8_AF         (UINT64_C(1) << 10)
#define ARMV8_NG         (UINT64_C(1) << 11) /* stage 1 */
#define ARMV8_DBM        (UINT64_C(1) << 51)
#define ARMV8_CONTIGUOUS (UINT64_C(1) << 52)
#define ARMV8_XN_LOW     (UINT64_C(1) << 53) /* UXN, XN[0] */
#define ARMV8_XN_HIGH    (UINT64_C(1) << 54) /* PXN, XN[1] */
#define ARMV8_SOFTWARE_A (UINT64_C(1) << 55)
#define ARMV8_SOFTWARE_B (UINT64_C(1) << 56)
#define ARMV8_NSTABLE    (UINT64_C(1) << 63)
#define ARMV8_FIELD      (low_mask(48) & ~low_mask(12)) /* where addresses are; low bits of large granules stay 0 */

enum {
    armv8_IS_STAGE2 = ARMV8_STAGE == 2,
    armv8_GRANULE_SHIFT = ARMV8_GRANULE_SHIFT,
    armv8_INDEX_BITS = ARMV8_GRANULE_SHIFT - 3,
    armv8_LEVEL_MAX = ARMV8_GRANULE_SHIFT == 16 ? 2 : 3,
    armv8_TOP_EXTRA_BITS = armv8_IS_STAGE2 ? 4 : 0, /* up to 16 tables side by side */
    armv8_VA_BITS_MAX = ARMV8_GRANULE_SHIFT == 16 ? 52 : 48,
    armv8_VA_BITS_MIN = 25, /* TxSZ 39 */
    armv8_OA_BITS_MAX = armv8_VA_BITS_MAX,
    armv8_FEATURES_BOTH = PT_DMA_INCOHERENT | PT_FLUSH_RANGE | PT_FLUSH_RANGE_NO_GAPS | PT_CONTIGUOUS |
                          PT_HARDWARE_DIRTY | PT_ARM_IO_PGTABLE,
    armv8_FEATURES = armv8_FEATURES_BOTH | (armv8_IS_STAGE2 ? PT_STAGE2_FWB : PT_UPPER_HALF | PT_NON_SECURE),
    armv8_HAS_RUNS = 1,
    armv8_LEAVES_AGREE = 1,
    armv8_RUN_ITEMS_ADVANCE = 1,
    armv8_LINEAR_OA_BITS = ARMV8_GRANULE_SHIFT == 16 ? 48 : 64,
    armv8_HAS_DIRTY = 1,
    armv8_TABLES_ARE_MARKED = 0,
    armv8_RESIZES_IN_PLACE = 0, /* both need break-before-make without FEAT_BBM level 2 */
    armv8_EXCHANGES_TABLES = 0,
};

/* Memory types: MAIR indexes of stage 1 (armv8_registers.h), values of stage 2. */
enum {
    ARMV8_S1_NONCACHED = 0,
    ARMV8_S1_CACHED = 1,
    ARMV8_S1_DEVICE = 2,
    ARMV8_S2_DEVICE = 1,
    ARMV8_S2_NONCACHED = 5,
    ARMV8_S2_FWB_CACHED = 6,
    ARMV8_S2_CACHED = 15,
};

static inline enum pt_kind armv8_kind(uint64_t item, unsigned level)
{
    if (!(item & ARMV8_VALID)) return PT_EMPTY;
    return level > 0 && item & ARMV8_TABLE ? PT_TABLE : PT_LEAF;
}

static inline bool armv8_is_table(uint64_t item, unsigned level)
{
    return level > 0 && (item & (ARMV8_VALID | ARMV8_TABLE)) == (ARMV8_VALID | ARMV8_TABLE);
}

/* Bits 1:0 of a leaf: page at level 0, block above. */
static inline uint64_t armv8_leaf_type(unsigned level)
{
    return level == 0 ? ARMV8_VALID | ARMV8_TABLE : ARMV8_VALID;
}

static inline uint64_t armv8_single_mask(unsigned level)
{
    (void)level;
    return ARMV8_VALID | ARMV8_TABLE | ARMV8_CONTIGUOUS;
}

static inline uint64_t armv8_single_value(unsigned level)
{
    return armv8_leaf_type(level);
}

/* log2 of the items that the contiguous hint joins at a level; 0: none. */
static inline unsigned armv8_run_bits(unsigned level)
{
    if (armv8_GRANULE_SHIFT == 12) return level <= 2 ? 4 : 0;
    if (armv8_GRANULE_SHIFT == 14) return level == 0 ? 7 : level == 1 ? 5 : 0;
    return 5;
}

static inline uint64_t armv8_leaf_sizes(unsigned level)
{
    const unsigned shift = armv8_GRANULE_SHIFT + armv8_INDEX_BITS * level;
    const unsigned leaf_level_max = armv8_GRANULE_SHIFT == 14 ? 1 : 2;

    return level <= leaf_level_max ? bit(shift) | bit(shift + armv8_run_bits(level)) : 0;
}

/* Runs need the hint. 64K granule: blocks of 4T and their runs exist with 52-bit output addresses only. */
static inline uint64_t armv8_optional_sizes(const struct pt *pt)
{
    uint64_t lacking = 0;

    for (unsigned level = 0; level <= 2 && !(pt->features & PT_CONTIGUOUS); level++)
        lacking |= armv8_leaf_sizes(level) & ~bit(armv8_GRANULE_SHIFT + armv8_INDEX_BITS * level);
    if (armv8_GRANULE_SHIFT == 16 && pt->oa_bits <= 48) lacking |= armv8_leaf_sizes(2);
    return lacking;
}

static inline uint64_t armv8_pack(uint64_t address)
{
    return armv8_GRANULE_SHIFT == 16 ? (address & low_mask(48)) | (address >> 48 << 12) : address;
}

static inline uint64_t armv8_unpack(uint64_t item)
{
    const uint64_t field = item & ARMV8_FIELD;

    return armv8_GRANULE_SHIFT == 16 ? align_down(field, 16) | (field & 0xf000) << 36 : field;
}

static inline uint64_t armv8_table_item(const struct pt *pt, uint64_t address, unsigned level)
{
    uint64_t field = armv8_pack(address);

    if (FAULT(PT_TABLE_IS_NOT_PACKED) && field != address) {
        fault_triggered();
        field = address;
    }
    (void)level;
    return field | ARMV8_VALID | ARMV8_TABLE | (pt->features & PT_NON_SECURE ? ARMV8_NSTABLE : 0);
}

static inline uint64_t armv8_table_address(const struct pt *pt, uint64_t item)
{
    (void)pt;
    return armv8_unpack(item);
}

/* A leaf is always readable at stage 1: prot=WRITE alone gives read-write. */
static inline uint64_t armv8_s1_attrs(const struct pt *pt, unsigned prot)
{
    const uint64_t index = prot & PT_MMIO ? ARMV8_S1_DEVICE : prot & PT_CACHE ? ARMV8_S1_CACHED : ARMV8_S1_NONCACHED;
    const uint64_t writable = pt->features & PT_HARDWARE_DIRTY ? ARMV8_DBM : 0;

    return ARMV8_NG | index << ARMV8_ATTR_SHIFT | (prot & PT_WRITE ? writable : ARMV8_AP_RO) |
           (prot & PT_PRIV ? 0 : ARMV8_AP_EL0) | (pt->features & PT_NON_SECURE ? ARMV8_NS : 0);
}

static inline uint64_t armv8_s2_attrs(const struct pt *pt, unsigned prot)
{
    const uint64_t cached = pt->features & PT_STAGE2_FWB ? ARMV8_S2_FWB_CACHED : ARMV8_S2_CACHED;
    const uint64_t type = prot & PT_MMIO ? ARMV8_S2_DEVICE : prot & PT_CACHE ? cached : ARMV8_S2_NONCACHED;
    const uint64_t writable = ARMV8_S2AP_WRITE | (pt->features & PT_HARDWARE_DIRTY ? ARMV8_DBM : 0);

    return type << ARMV8_ATTR_SHIFT | (prot & PT_READ ? ARMV8_S2AP_READ : 0) | (prot & PT_WRITE ? writable : 0);
}

static inline int armv8_attrs(const struct pt *pt, unsigned prot, uint64_t *attrs)
{
    const uint64_t noexec = ARMV8_XN_HIGH | (pt->features & PT_ARM_IO_PGTABLE ? ARMV8_XN_LOW : 0);

    *attrs = ARMV8_AF | (prot & PT_CACHE ? ARMV8_SH_INNER : ARMV8_SH_OUTER) | (prot & PT_NOEXEC ? noexec : 0) |
             (armv8_IS_STAGE2 ? armv8_s2_attrs(pt, prot) : armv8_s1_attrs(pt, prot));
    return 0;
}

static inline uint64_t armv8_leaf_item(uint64_t attrs, uint64_t oa, unsigned level, unsigned shift)
{
    const bool is_run = shift > armv8_GRANULE_SHIFT + armv8_INDEX_BITS * level;

    return attrs | armv8_pack(oa) | armv8_leaf_type(level) | (is_run ? ARMV8_CONTIGUOUS : 0);
}

static inline uint64_t armv8_leaf_step(unsigned shift)
{
    return bit(shift);
}

static inline unsigned armv8_leaf_shift(uint64_t item, unsigned level)
{
    return armv8_GRANULE_SHIFT + armv8_INDEX_BITS * level + (item & ARMV8_CONTIGUOUS ? armv8_run_bits(level) : 0);
}

static inline uint64_t armv8_leaf_address(const struct pt *pt, uint64_t item, unsigned level)
{
    (void)pt;
    return align_down(armv8_unpack(item), armv8_leaf_shift(item, level));
}

static inline uint64_t armv8_item_address(const struct pt *pt, uint64_t item)
{
    (void)pt;
    return armv8_unpack(item);
}

static inline uint64_t armv8_leaf_attrs(const struct pt *pt, uint64_t item)
{
    (void)pt;
    return item & ~(ARMV8_FIELD | ARMV8_VALID | ARMV8_TABLE | ARMV8_CONTIGUOUS);
}

/* Writable by the modifier and not (or no longer) read-only: stage 1 has the right inverted. */
static inline bool armv8_is_dirty(uint64_t item)
{
    return item & ARMV8_DBM && (armv8_IS_STAGE2 ? item & ARMV8_S2AP_WRITE : !(item & ARMV8_AP_RO));
}

/* A leaf without the modifier stays as it is: hardware would refuse the write, or has nothing to note. */
static inline uint64_t armv8_set_dirty(uint64_t item)
{
    if (!(item & ARMV8_DBM)) return item;
    return armv8_IS_STAGE2 ? item | ARMV8_S2AP_WRITE : item & ~ARMV8_AP_RO;
}

static inline uint64_t armv8_clear_dirty(uint64_t item)
{
    if (!(item & ARMV8_DBM)) return item;
    return armv8_IS_STAGE2 ? item & ~ARMV8_S2AP_WRITE : item | ARMV8_AP_RO;
}

/* What TCR.IPS and VTCR.PS can say. */
static inline bool armv8_is_output_width(unsigned bits)
{
    return bits == 32 || bits == 36 || bits == 40 || bits == 42 || bits == 44 || bits == 48 || bits == 52;
}

/* Reading (a): a top of `level` must become 2^n tables of the level below (Arm ARM D8.2, "concatenated"). */
static inline bool armv8_must_fold(const struct pt_config *config, unsigned level)
{
    if (armv8_GRANULE_SHIFT == 12) return level == 3 && (config->oa_bits == 40 || config->oa_bits == 42);
    if (armv8_GRANULE_SHIFT == 16) return false;
    if (level == 3) return config->oa_bits == 48 || config->va_bits == 48;
    return level == 2 && config->oa_bits == 40;
}

/* Reading (b): is that start level there for this output width? */
static inline bool armv8_may_start(const struct pt_config *config, unsigned level)
{
    if (armv8_GRANULE_SHIFT == 12) return level != 0 && (level != 3 || config->oa_bits >= 44);
    return level != 2 || config->oa_bits >= (armv8_GRANULE_SHIFT == 14 ? 42 : 44);
}

/* Top level of stage 2, where `level` with 2^index_bits items would do. -1: no such table. */
static inline int armv8_s2_top(const struct pt_config *config, unsigned level, unsigned index_bits)
{
    const bool is_small = index_bits <= armv8_TOP_EXTRA_BITS;

    if (FAULT(PT_16K_STAGE2_NOT_FOLDED) && armv8_GRANULE_SHIFT == 14 && level == 2 && config->oa_bits == 40) {
        fault_triggered();
        return (int)level;
    }
    if (config->features & PT_ARM_IO_PGTABLE) {
        if (!armv8_must_fold(config, level)) return (int)level;
        return is_small ? (int)level - 1 : -1;
    }
    if (is_small && level > 0) level--;
    return armv8_may_start(config, level) ? (int)level : -1;
}

/* The top level follows from va_bits; config->top_level is not looked at. */
static inline int armv8_init(struct pt *pt, const struct pt_config *config, unsigned *top_level)
{
    const unsigned index_bits = config->va_bits - armv8_GRANULE_SHIFT;
    int top;

    (void)pt;
    if (config->va_bits < armv8_VA_BITS_MIN || !armv8_is_output_width(config->oa_bits)) return -EINVAL;
    if (config->features & PT_ARM_IO_PGTABLE && config->features & PT_CONTIGUOUS) return -EOPNOTSUPP;
    if (config->features & PT_ARM_IO_PGTABLE && config->features & PT_HARDWARE_DIRTY && armv8_IS_STAGE2)
        return -EOPNOTSUPP;
    top = (int)((index_bits - 1) / armv8_INDEX_BITS);
    if (armv8_IS_STAGE2) top = armv8_s2_top(config, (unsigned)top, index_bits - (unsigned)top * armv8_INDEX_BITS);
    if (top < 0) return -EINVAL;
    *top_level = (unsigned)top;
    return 0;
}

static inline uint32_t armv8_features_required(const struct pt *pt)
{
    (void)pt;
    return 0;
}

static inline uint64_t armv8_flushed_bit(const struct pt *pt)
{
    return armv8_IS_STAGE2 && !(pt->features & PT_ARM_IO_PGTABLE) ? ARMV8_SOFTWARE_B : ARMV8_SOFTWARE_A;
}

static inline uint64_t armv8_address_bits(unsigned level)
{
    (void)level;
    return ARMV8_FIELD;
}

static inline uint64_t armv8_level_bits(void)
{
    return 0;
}

/* Software sets the access flag in every leaf: hardware never has to. */
static inline uint64_t armv8_hardware_bits(const struct pt *pt, unsigned level)
{
    (void)level;
    return pt->features & PT_HARDWARE_DIRTY ? (armv8_IS_STAGE2 ? ARMV8_S2AP_WRITE : ARMV8_AP_RO) : 0;
}
