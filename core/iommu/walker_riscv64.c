/* RISC-V first stage: Sv39, Sv48, Sv57. */
#include "iommu/walker_riscv64.h"

/* Hardware that updates A and D (Svadu; IOMMU: tc.SADE) does so in the leaf item it read. */
static const struct walk_format format = {
    .granule_shift = 12,
    .index_bits = 9,
    .top_level_max = 4,
    .accessed = RISCV64_ACCESSED,
    .dirty = RISCV64_DIRTY,
    .decode = riscv64_decode,
};

DEFINE_WALKER(riscv64);
