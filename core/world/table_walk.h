/* What hardware is told of a table: the device table entry that a driver writes for a struct pt. */
#pragma once

#include "base/bits.h"
#include "base/check.h"
#include "iommu/iommu.h"
#include "pt/engine.h"

/* As the table is now: a growing top moves root and top_level. A and D are not marked unless the caller says so. */
static inline struct iommu_table table_walk(const struct pt *pt)
{
    struct iommu_table table;
    struct pt_info info;

    pt_get_info(pt, &info);
    table = (struct iommu_table){
        .walker = iommu_find_walker(pt->engine->format),
        .root = info.top.value,
        .top_level = info.top_level,
        .va_bits = info.va_bits,
        .oa_bits = info.oa_bits,
        .c_bit_mask = info.c_bit ? bit(info.c_bit) : 0,
        .sign_extend = info.features & PT_SIGN_EXTEND,
        .upper_half = info.features & PT_UPPER_HALF,
        .forces_write_back = info.features & PT_STAGE2_FWB,
    };
    CHECK(table.walker != NULL);
    return table;
}
