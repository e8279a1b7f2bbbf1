/*
 * RISC-V page tables as an IOMMU reads them, first and second stage. formats.md 1.4; RISC-V privileged specification
 * 12.3 to 12.6 (Sv39, Sv48, Sv57, address translation process), the hypervisor chapter (x4 forms, U = 1), Svnapot;
 * RISC-V IOMMU specification.
 *
 *  63 62 61 60 54 53                                 10 9 8 7 6 5 4 3 2 1 0
 * |N |PBMT |  -  | output or table page number          |RSW|D|A|G|U|X|W|R|V|
 *
 * Level 0: 4K items, 1: 2M, 2: 1G, 3: 512G, 4: 256T; each level may hold leaves.
 *
 * This hardware has Svnapot and neither Svpbmt nor Svrsw60t59b: 62:61 and 60:54 are reserved in all items. What the
 * specification calls a page fault is told apart here: V = 0 is not present, a reserved bit or encoding or a misaligned
 * leaf is reserved bits, what R, W, U (and, without hardware updates, A and D) deny is a permission fault.
 * G and RSW are not looked at; X matters to no data access.
 */
#pragma once

#include "iommu/walker.h"

#define RISCV64_VALID    UINT64_C(1)
#define RISCV64_READ     (UINT64_C(1) << 1)
#define RISCV64_WRITE    (UINT64_C(1) << 2)
#define RISCV64_EXECUTE  (UINT64_C(1) << 3)
#define RISCV64_USER     (UINT64_C(1) << 4)
#define RISCV64_ACCESSED (UINT64_C(1) << 6)
#define RISCV64_DIRTY    (UINT64_C(1) << 7)
#define RISCV64_RESERVED (low_mask(63) & ~low_mask(54)) /* PBMT among them */
#define RISCV64_NAPOT    (UINT64_C(1) << 63)

enum {
    RISCV64_PAGE_NUMBER_SHIFT = 10,
    RISCV64_PAGE_NUMBER_BITS = 44,
    RISCV64_NAPOT_BITS = 4,       /* of the page number: the one encoding that exists, 16 pages */
    RISCV64_NAPOT_ENCODING = 0x8, /* in them */
};

WALK_INLINE enum item_kind riscv64_decode_leaf(const struct iommu_table *table, uint64_t item, unsigned level,
                                               struct item_meaning *meaning)
{
    uint64_t page = item >> RISCV64_PAGE_NUMBER_SHIFT & low_mask(RISCV64_PAGE_NUMBER_BITS);

    /* 4. N: at level 0 only, and only 64K, which the low bits of the page number must say. */
    meaning->shift = 12 + 9 * level;
    if (item & RISCV64_NAPOT) {
        if (level > 0 || (page & low_mask(RISCV64_NAPOT_BITS)) != RISCV64_NAPOT_ENCODING) return ITEM_RESERVED;
        page &= ~low_mask(RISCV64_NAPOT_BITS);
        meaning->shift += RISCV64_NAPOT_BITS;
    }

    /* 5. A leaf lies at a multiple of its size. */
    meaning->address = page << 12;
    if (!is_aligned(meaning->address, meaning->shift)) return ITEM_RESERVED;

    /* 6. Devices are users in both stages: nothing without U. Bits 1 and 2 are WALK_READ and WALK_WRITE, shifted. */
    meaning->rights = item & RISCV64_USER ? item >> 1 & (WALK_READ | WALK_WRITE) : 0;

    /* 7. Where hardware does not update A and D (Svade), it faults instead. */
    if (!table->set_accessed_dirty) {
        if (!(item & RISCV64_ACCESSED)) meaning->rights = 0;
        if (!(item & RISCV64_DIRTY)) meaning->rights &= ~(unsigned)WALK_WRITE;
    }

    /* 8. Addresses beyond the machine's width: refused here as a reserved bit; a machine raises an access fault. */
    return walk_output_fits(table, meaning) ? ITEM_LEAF : ITEM_RESERVED;
}

WALK_INLINE enum item_kind riscv64_decode(const struct iommu_table *table, uint64_t item, unsigned level,
                                          struct item_meaning *meaning)
{
    /* 1. V = 0 is empty, whatever else the item holds. */
    if (!(item & RISCV64_VALID)) return ITEM_EMPTY;

    /* 2. Reserved bits; W without R is reserved. */
    if (item & RISCV64_RESERVED) return ITEM_RESERVED;
    if (item & RISCV64_WRITE && !(item & RISCV64_READ)) return ITEM_RESERVED;

    /* 3. R or X makes a leaf. Else it is a table: none below level 0, and D, A, U and N are reserved in it. */
    if (item & (RISCV64_READ | RISCV64_EXECUTE)) return riscv64_decode_leaf(table, item, level, meaning);
    if (level == 0) return ITEM_RESERVED;
    if (item & (RISCV64_DIRTY | RISCV64_ACCESSED | RISCV64_USER | RISCV64_NAPOT)) return ITEM_RESERVED;
    meaning->address = (item >> RISCV64_PAGE_NUMBER_SHIFT & low_mask(RISCV64_PAGE_NUMBER_BITS)) << 12;
    meaning->rights = WALK_READ | WALK_WRITE;
    return ITEM_TABLE;
}
