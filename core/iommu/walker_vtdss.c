/*
 * VT-d second-stage table as the remapping hardware reads it. formats.md 1.3; Intel VT-d specification 3.7 and 9.8.
 *
 *  63 62 61   52 51                                    12  11 10 9 8  7 6   3 2 1 0
 * |sw|TM|   sw  | output address, or table address       |SNP|sw|D|A|PS| EMT |X|W|R|
 *
 * Level 0: 4K items, 1: 2M, 2: 1G; 3 (SL-PML4) and 4 (SL-PML5) hold tables only.
 *
 * There is no present bit. To this walker an item is absent when it is all zero, as the engine's rule is; hardware
 * takes any item with R = W = X = 0 as not present, whatever else it holds, and so does the walk: it has no right.
 */
#include "iommu/walker.h"

#define VTDSS_READ      UINT64_C(1)
#define VTDSS_WRITE     (UINT64_C(1) << 1)
#define VTDSS_EXECUTE   (UINT64_C(1) << 2)
#define VTDSS_PAGE_SIZE (UINT64_C(1) << 7)
#define VTDSS_ACCESSED  (UINT64_C(1) << 8)
#define VTDSS_DIRTY     (UINT64_C(1) << 9)
#define VTDSS_SNOOP     (UINT64_C(1) << 11)
#define VTDSS_ADDRESS   (low_mask(52) & ~low_mask(12))

enum { VTDSS_LEAF_LEVEL_MAX = 2 };

WALK_INLINE enum item_kind vtdss_decode(const struct iommu_table *table, uint64_t item, unsigned level,
                                        struct item_meaning *meaning)
{
    const bool is_large = level > 0 && (item & VTDSS_PAGE_SIZE);

    /* 1. R = W = X = 0 is not present (9.8: such an item is not used for translation). */
    if (!(item & (VTDSS_READ | VTDSS_WRITE | VTDSS_EXECUTE))) return ITEM_EMPTY;

    /* 2. R and W are ANDed along the path by the walk: bits 0 and 1 are WALK_READ and WALK_WRITE. */
    meaning->rights = item & (VTDSS_READ | VTDSS_WRITE);

    /* 3. PS makes a leaf at levels 1 and 2 and is reserved above; at level 0 it is ignored. */
    meaning->address = item & VTDSS_ADDRESS;
    if (level > 0 && !is_large) return ITEM_TABLE;
    if (level > VTDSS_LEAF_LEVEL_MAX) return ITEM_RESERVED;

    /* 4. Address bits below the size of a large page are reserved. */
    meaning->shift = 12 + 9 * level;
    if (!is_aligned(meaning->address, meaning->shift)) return ITEM_RESERVED;

    /* 5. Address bits beyond the host's width are reserved. */
    return walk_output_fits(table, meaning) ? ITEM_LEAF : ITEM_RESERVED;
}

/* With SSADS hardware sets A in every item it uses and D in the leaf (3.7.2; that tables get A too is INFERRED). */
static const struct walk_format format = {
    .granule_shift = 12,
    .index_bits = 9,
    .top_level_max = 4,
    .accessed = VTDSS_ACCESSED,
    .dirty = VTDSS_DIRTY,
    .forced_coherent = VTDSS_SNOOP,
    .accessed_in_tables = true,
    .decode = vtdss_decode,
};

DEFINE_WALKER(vtdss);
