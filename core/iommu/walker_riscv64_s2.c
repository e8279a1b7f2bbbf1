/* RISC-V second stage: Sv39x4, Sv48x4, Sv57x4. A root of four pages; input bits beyond 41, 50 or 59 are zero. */
#include "iommu/walker_riscv64.h"

/* Hardware that updates A and D (Svadu; IOMMU: tc.GADE) does so in the leaf item it read. */
static const struct walk_format format = {
    .granule_shift = 12,
    .index_bits = 9,
    .top_level_max = 4,
    .top_extra_bits = 2,
    .accessed = RISCV64_ACCESSED,
    .dirty = RISCV64_DIRTY,
    .decode = riscv64_decode,
};

DEFINE_WALKER(riscv64_s2);
