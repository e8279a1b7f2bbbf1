/*
 * AMD host page table ("v1"), as IOMMU hardware reads it. formats.md 1.1; AMD 48882 section 2.2.3, tables 14 and 15.
 *
 *  63 62 61 60 59 58   52 51                              12 11  9 8 7 6 5 4  1 0
 * | - |IW|IR|FC| - |  -  | output address, or table address | NL  | - |D|A| -  |PR|
 *
 * Level 0: 4K items, 1: 2M, 2: 1G, 3: 512G, 4: 256T, 5: 128P (128 items). The manual counts levels from 1.
 *
 * INFERRED, the sheet only says "written 0": bits 58:52 and 59 are reserved (and FC in a table item); 63, 8:7 and 4:1
 * are left to software and not looked at. A table item that skips levels (NL below its own level) is legal for
 * hardware in general; no engine here writes one, so it counts as reserved, which is what finds a wrong NL.
 */
#include "iommu/walker.h"

#define AMDV1_PRESENT      UINT64_C(1)
#define AMDV1_ACCESSED     (UINT64_C(1) << 5)
#define AMDV1_DIRTY        (UINT64_C(1) << 6)
#define AMDV1_ADDRESS      (low_mask(52) & ~low_mask(12))
#define AMDV1_RESERVED     (low_mask(60) & ~low_mask(52))
#define AMDV1_FORCE_COHERE (UINT64_C(1) << 60)

enum {
    RIGHTS_SHIFT = 61,
    NEXT_LEVEL_SHIFT = 9,
    NEXT_LEVEL_LEAF = 0,    /* a leaf of the level's own size */
    NEXT_LEVEL_ENCODED = 7, /* a leaf whose size is in the low address bits */
    LEAF_LEVEL_MAX = 4,
    NO_SINGLE_LEAF_LEVEL = 3, /* 512G: hardware bug, formats.md 1.1 */
    ADDRESS_SHIFT = 12,
    LARGEST_LEAF_SHIFT = 51,
};

/* NL = 7: below bit s - 1, which is 0, all address bits are ones, and the leaf has 2^s bytes. */
WALK_INLINE unsigned amdv1_encoded_shift(uint64_t item)
{
    return trailing_zeros(~(item >> ADDRESS_SHIFT)) + ADDRESS_SHIFT + 1;
}

WALK_INLINE enum item_kind amdv1_decode_leaf(const struct iommu_table *table, uint64_t item, unsigned level,
                                             struct item_meaning *meaning)
{
    const unsigned item_shift = 12 + 9 * level;
    const bool is_encoded = (item >> NEXT_LEVEL_SHIFT & 7) == NEXT_LEVEL_ENCODED;

    /* 4. Level 5 has no leaves, and 512G is never one item. */
    if (level > LEAF_LEVEL_MAX) return ITEM_RESERVED;
    if (!is_encoded && level == NO_SINGLE_LEAF_LEVEL) return ITEM_RESERVED;

    /* 5. An encoded size is above the item's own and at most half a table, and below 2^52. */
    meaning->shift = is_encoded ? amdv1_encoded_shift(item) : item_shift;
    if (is_encoded && meaning->shift <= item_shift) return ITEM_RESERVED;
    if (meaning->shift > item_shift + 8 || meaning->shift > LARGEST_LEAF_SHIFT) return ITEM_RESERVED;
    if (FAULT(WALK_HALVES_LONG_RUNS) && meaning->shift >= item_shift + 4) {
        fault_triggered();
        meaning->shift--;
    }

    /* 6. Address bits below the size hold the size code, or nothing. Hardware reads one item of a run: only this one.
     */
    meaning->address = item & AMDV1_ADDRESS;
    if (is_encoded) meaning->address = align_down(meaning->address, meaning->shift);
    if (!is_aligned(meaning->address, meaning->shift)) return ITEM_RESERVED;
    return walk_output_fits(table, meaning) ? ITEM_LEAF : ITEM_RESERVED;
}

WALK_INLINE enum item_kind amdv1_decode(const struct iommu_table *table, uint64_t item, unsigned level,
                                        struct item_meaning *meaning)
{
    const unsigned next_level = item >> NEXT_LEVEL_SHIFT & 7;

    /* 1. PR = 0 is empty, whatever else the item holds. */
    if (!(item & AMDV1_PRESENT)) return ITEM_EMPTY;
    if (item & AMDV1_RESERVED) return ITEM_RESERVED;

    /* 2. IR and IW are ANDed along the path by the walk: bits 61 and 62 are WALK_READ and WALK_WRITE. */
    meaning->rights = item >> RIGHTS_SHIFT & (WALK_READ | WALK_WRITE);

    /* 3. NL 0 and 7 are leaves; any other is a table one level down, and NL says which. */
    if (next_level == NEXT_LEVEL_LEAF || next_level == NEXT_LEVEL_ENCODED) {
        return amdv1_decode_leaf(table, item, level, meaning);
    }
    if (next_level != level || (item & AMDV1_FORCE_COHERE)) return ITEM_RESERVED;
    meaning->address = item & AMDV1_ADDRESS;
    return ITEM_TABLE;
}

/* A is set in the leaf only: whether hardware marks table items as well is not in the sheet (INFERRED). */
static const struct walk_format format = {
    .granule_shift = 12,
    .index_bits = 9,
    .top_level_max = 5,
    .accessed = AMDV1_ACCESSED,
    .dirty = AMDV1_DIRTY,
    .forced_coherent = AMDV1_FORCE_COHERE,
    .decode = amdv1_decode,
};

DEFINE_WALKER(amdv1);
