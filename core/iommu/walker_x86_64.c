/*
 * x86-64 page table as an IOMMU reads it: AMD guest ("v2") table, VT-d first stage. formats.md 1.2; Intel SDM vol. 3
 * sections 4.4 and 4.5, VT-d 9.7, AMD 48882 section 2.2.6.
 *
 *  63 62       52 51                                    12 11    9 8  7 6 5 4 3 2 1 0
 * |XD|     -     | output address, or table address       |  sw  |G|PS|D|A|-|-|U|W|P|
 *
 * Level 0: 4K items, 1: 2M, 2: 1G, 3: 512G (PML4), 4: 256T (PML5). Bit 12 of a 2M or 1G leaf is PAT.
 *
 * Devices make data accesses as a user: every item of the path needs U, and XD does not matter. 62:52 and 11:9 are left
 * to software; PWT, PCD, PAT and G only choose memory type and TLB life.
 */
#include "iommu/walker.h"

#define X86_64_PRESENT   UINT64_C(1)
#define X86_64_WRITE     (UINT64_C(1) << 1)
#define X86_64_USER      (UINT64_C(1) << 2)
#define X86_64_ACCESSED  (UINT64_C(1) << 5)
#define X86_64_DIRTY     (UINT64_C(1) << 6)
#define X86_64_PAGE_SIZE (UINT64_C(1) << 7)
#define X86_64_ADDRESS   (low_mask(52) & ~low_mask(12))
#define X86_64_LARGE_PAT (UINT64_C(1) << 12)

enum { LEAF_LEVEL_MAX = 2 };

WALK_INLINE enum item_kind x86_64_decode(const struct iommu_table *table, uint64_t item, unsigned level,
                                         struct item_meaning *meaning)
{
    const bool is_large = level > 0 && (item & X86_64_PAGE_SIZE);

    /* 1. P = 0 is empty, whatever else the item holds. */
    if (!(item & X86_64_PRESENT)) return ITEM_EMPTY;

    /* 2. Read needs U, write needs U and W (bit 1, as WALK_WRITE); ANDed along the path by the walk. */
    meaning->rights = item & X86_64_USER ? WALK_READ | (item & X86_64_WRITE) : 0;

    /* 3. PS makes a leaf at levels 1 and 2 and is reserved above. At level 0 the bit is PAT. */
    meaning->address = item & X86_64_ADDRESS;
    if (level > 0 && !is_large) return ITEM_TABLE;
    if (level > LEAF_LEVEL_MAX) return ITEM_RESERVED;

    /* 4. Address bits below a large page are reserved, except 12 = PAT. */
    meaning->shift = 12 + 9 * level;
    if (is_large) meaning->address &= ~X86_64_LARGE_PAT;
    if (!is_aligned(meaning->address, meaning->shift)) return ITEM_RESERVED;

    /* 5. Address bits beyond the output width are reserved. */
    return walk_output_fits(table, meaning) ? ITEM_LEAF : ITEM_RESERVED;
}

/* Processors, and IOMMUs walking their tables, mark every item they use. */
static const struct walk_format format = {
    .granule_shift = 12,
    .index_bits = 9,
    .top_level_max = 4,
    .accessed = X86_64_ACCESSED,
    .dirty = X86_64_DIRTY,
    .accessed_in_tables = true,
    .decode = x86_64_decode,
};

DEFINE_WALKER(x86_64);
