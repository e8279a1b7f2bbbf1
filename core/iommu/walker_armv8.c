/*
 * Armv8 VMSAv8-64 tables as an SMMU reads them: stage 1 and stage 2, granules of 4K, 16K and 64K; 48-bit addresses, 52
 * with 64K. Arm ARM DDI 0487 D8.3 (descriptors), D8.4 (access control), D8.5 (hardware management); formats.md 1.6.
 *
 *   63 62 61 60 59 58:55 54 53 52 51 50:48 47         12 11 10 9 8  7  6 5 4    2  1   0
 *  |NT|  AP | XN  | sw  | XN  |CH|DM|  0  |   address   |nG|AF| SH |RO|E0|N| Attr |TP|VALID|     stage 1
 *  |       -      | sw  | XN  |CH|DM|  0  |   address   |- |AF| SH |W |R | MemAttr|TP|VALID|     stage 2
 *
 * Levels count up from the pages (Arm's number is 3 - level). 63:59 are of stage 1 tables only: NSTable, APTable[1] (no
 * writes below), APTable[0] (privileged only below), UXNTable, PXNTable. Devices make data accesses: XN does not
 * matter, nor does nG. NS and memory types say how an access is made and not whether it may be: they are reported.
 *
 * The contiguous hint does not change what one item says: hardware that ignores it reads the same address from the item
 * itself, which is why addresses advance along a run. It only makes the cached translation larger.
 *
 * Hardware management (TCR.HA and HD) is on where the table's set_accessed_dirty is: an access flag that is clear gets
 * set, and a write through an item with DM that is not writable yet makes it so. Without, such accesses fault.
 *
 * What Arm ARM calls a translation fault by a reserved descriptor and an address size fault, and RES0 bits that are
 * set, all end as reserved bits here: no software should write them. INFERRED, the sheet has no RES0 list: 50:48 are
 * RES0 (49:48 are address bits with LPA2, 50 is GP with FEAT_BTI; neither is built), SH = 1 is reserved, and so are
 * address bits below the size of a block (bit 16 is nT with FEAT_BBM level 1).
 */
#include "iommu/walker.h"

#define ARM_VALID      UINT64_C(1)
#define ARM_TABLE      (UINT64_C(1) << 1) /* page at level 0 */
#define ARM_ATTR_SHIFT 2
#define ARM_S1_ATTR    UINT64_C(7)         /* index into MAIR */
#define ARM_S2_ATTR    UINT64_C(15)        /* memory type itself */
#define ARM_NS         (UINT64_C(1) << 5)  /* stage 1 */
#define ARM_NSTABLE    (UINT64_C(1) << 63) /* stage 1 */
#define ARM_AP_USER    (UINT64_C(1) << 6)  /* stage 1 */
#define ARM_AP_RO      (UINT64_C(1) << 7)  /* stage 1 */
#define ARM_S2AP_READ  (UINT64_C(1) << 6)
#define ARM_S2AP_WRITE (UINT64_C(1) << 7)
#define ARM_SH         (UINT64_C(3) << 8)
#define ARM_SH_BAD     (UINT64_C(1) << 8)
#define ARM_AF         (UINT64_C(1) << 10)
#define ARM_RES0       (low_mask(51) & ~low_mask(48))
#define ARM_DBM        (UINT64_C(1) << 51)
#define ARM_CONTIGUOUS (UINT64_C(1) << 52)
#define ARM_APT_USER   (UINT64_C(1) << 61) /* APTable[0]: no unprivileged access below */
#define ARM_APT_RO     (UINT64_C(1) << 62) /* APTable[1]: no writes below */

/* What tells the six rows apart. */
struct arm_shape {
    unsigned granule_shift;
    bool is_stage2;
};

/* Bits 47:granule; 64K items keep address bits 51:48 in 15:12. */
WALK_INLINE uint64_t arm_address(struct arm_shape shape, uint64_t item)
{
    const uint64_t address = item & (low_mask(48) & ~low_mask(shape.granule_shift));

    return shape.granule_shift == 16 ? address | (item >> 12 & 15) << 48 : address;
}

/* Address bits that a 16K item has no use for. */
WALK_INLINE uint64_t arm_res0(struct arm_shape shape)
{
    return ARM_RES0 | (shape.granule_shift == 14 ? low_mask(14) & ~low_mask(12) : 0);
}

/* Table D8-15 and following: where a block may be. 4T blocks of 64K tables need 52-bit output addresses. */
WALK_INLINE bool arm_may_be_leaf(struct arm_shape shape, const struct iommu_table *table, unsigned level)
{
    switch (shape.granule_shift) {
    case 12: return level <= 2;
    case 14: return level <= 1;
    default: return level <= 1 || (level == 2 && table->oa_bits > 48);
    }
}

/* log2 of the items of a run: 16 with 4K; 128 pages or 32 blocks with 16K; 32 with 64K. */
WALK_INLINE unsigned arm_run_bits(struct arm_shape shape, unsigned level)
{
    switch (shape.granule_shift) {
    case 12: return 4;
    case 14: return level == 0 ? 7 : 5;
    default: return 5;
    }
}

WALK_INLINE unsigned arm_table_rights(struct arm_shape shape, const struct iommu_table *table, uint64_t item)
{
    if (shape.is_stage2) return WALK_READ | WALK_WRITE;
    if (table->unprivileged && item & ARM_APT_USER) return 0;
    return WALK_READ | (item & ARM_APT_RO ? 0 : WALK_WRITE) | (item & ARM_NSTABLE ? WALK_NON_SECURE : 0);
}

/* A write is also allowed where hardware would make the item writable on the way. */
WALK_INLINE unsigned arm_leaf_rights(struct arm_shape shape, const struct iommu_table *table, uint64_t item)
{
    const bool becomes_writable = item & ARM_DBM && table->set_accessed_dirty;

    if (shape.is_stage2)
        return (item & ARM_S2AP_READ ? WALK_READ : 0) | (item & ARM_S2AP_WRITE || becomes_writable ? WALK_WRITE : 0);
    if (table->unprivileged && !(item & ARM_AP_USER)) return 0;
    return WALK_READ | (!(item & ARM_AP_RO) || becomes_writable ? WALK_WRITE : 0) |
           (item & ARM_NS ? WALK_NON_SECURE : 0);
}

/*
 * Stage 1: index 1 is write-back in the MAIR that software sets (armv8_registers.h). Stage 2, D8.6: 0b1111 says inner
 * and outer write-back; with FEAT_S2FWB 0b0110 does, and 0b1111 is reserved.
 */
WALK_INLINE bool arm_is_write_back(struct arm_shape shape, const struct iommu_table *table, uint64_t item)
{
    const uint64_t attr = item >> ARM_ATTR_SHIFT;

    if (!shape.is_stage2) return (attr & ARM_S1_ATTR) == 1;
    return (attr & ARM_S2_ATTR) == (table->forces_write_back ? 6 : 15);
}

WALK_INLINE enum item_kind arm_decode(struct arm_shape shape, const struct iommu_table *table, uint64_t item,
                                      unsigned level, struct item_meaning *meaning)
{
    const unsigned shift = shape.granule_shift + (shape.granule_shift - 3) * level;

    /* 1. Bit 0 clear is invalid, whatever else the item holds. */
    if (!(item & ARM_VALID)) return ITEM_EMPTY;
    if (item & arm_res0(shape)) return ITEM_RESERVED;
    meaning->address = arm_address(shape, item);

    /* 2. 0b11 above the pages is a table. Attributes of stage 1 tables hold for everything below. */
    if (level > 0 && item & ARM_TABLE) {
        meaning->rights = arm_table_rights(shape, table, item);
        return ITEM_TABLE;
    }

    /* 3. 0b01 is reserved among the pages, and a block where the granule has one. */
    if (level == 0 && !(item & ARM_TABLE)) return ITEM_RESERVED;
    if (!arm_may_be_leaf(shape, table, level)) return ITEM_RESERVED;

    /* 4. Addresses: nothing below the block, nothing beyond the output width (address size fault). */
    meaning->shift = shift;
    if (!is_aligned(meaning->address, shift) || !walk_output_fits(table, meaning)) return ITEM_RESERVED;
    if ((item & ARM_SH) == ARM_SH_BAD) return ITEM_RESERVED;

    /* 5. The access flag comes before permissions. */
    if (!(item & ARM_AF) && !table->set_accessed_dirty) return ITEM_NOT_ACCESSED;
    meaning->rights = arm_leaf_rights(shape, table, item);

    /* 6. A run counts as one leaf; its address is what this item says. */
    if (item & ARM_CONTIGUOUS) meaning->shift += arm_run_bits(shape, level);
    return ITEM_LEAF;
}

/* Writable is marked by clearing RO at stage 1, by setting W at stage 2. */
#define ARM_WALKER(token, granule, stage, top)                                                                         \
    WALK_INLINE enum item_kind token##_decode(const struct iommu_table *table, uint64_t item, unsigned level,          \
                                              struct item_meaning *meaning)                                            \
    {                                                                                                                  \
        return arm_decode((struct arm_shape){ granule, (stage) == 2 }, table, item, level, meaning);                   \
    }                                                                                                                  \
    WALK_INLINE bool token##_is_write_back(const struct iommu_table *table, uint64_t item)                             \
    {                                                                                                                  \
        return arm_is_write_back((struct arm_shape){ granule, (stage) == 2 }, table, item);                            \
    }                                                                                                                  \
    static const struct walk_format token##_format = {                                                                 \
        .granule_shift = (granule),                                                                                    \
        .index_bits = (granule)-3,                                                                                     \
        .top_level_max = (top),                                                                                        \
        .top_extra_bits = (stage) == 2 ? 4 : 0,                                                                        \
        .accessed = ARM_AF,                                                                                            \
        .dirty = (stage) == 2 ? ARM_S2AP_WRITE : ARM_AP_RO,                                                            \
        .inverted = (stage) == 2 ? 0 : ARM_AP_RO,                                                                      \
        .items_advance = true,                                                                                         \
        .has_upper_half = (stage) == 1,                                                                                \
        .decode = token##_decode,                                                                                      \
        .is_write_back = token##_is_write_back,                                                                        \
    };                                                                                                                 \
    DEFINE_WALKER_OF(token, token##_format)

ARM_WALKER(armv8, 12, 1, 3);
ARM_WALKER(armv8_16k, 14, 1, 3);
ARM_WALKER(armv8_64k, 16, 1, 2);
ARM_WALKER(armv8_s2, 12, 2, 3);
ARM_WALKER(armv8_s2_16k, 14, 2, 3);
ARM_WALKER(armv8_s2_64k, 16, 2, 2);
