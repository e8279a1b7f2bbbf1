/* One chain of tables in otherwise empty memory, written as raw words: for the tests of the walkers. */
#pragma once

#include "base/bits.h"
#include "base/test_main.h"
#include "iommu/iommu.h"

#define TABLE_BYTES UINT64_C(0x1000)
#define ROOT        UINT64_C(0x10000) /* the table of level L lies at ROOT + L pages */
#define RW          UINT64_C(0x6000000000000000)

static inline struct physmem memory_new(void)
{
    struct physmem memory;

    physmem_init(&memory, UINT64_C(1) << 24);
    return memory;
}

static inline uint64_t table_at(unsigned level)
{
    return ROOT + level * TABLE_BYTES;
}

static inline void put(struct physmem *memory, unsigned level, uint64_t index, uint64_t item)
{
    assert_true(physmem_write64(memory, hpa(table_at(level) + 8 * index), item));
}

static inline uint64_t index_of(uint64_t input, unsigned level)
{
    return (input >> (12 + 9 * level)) & 511;
}

/* Table items from `top` down to `level` on the path of `input`: amdv1 carries NL = its level, x86_64 does not. */
static inline void put_path(struct physmem *memory, bool is_amd, unsigned top, unsigned level, uint64_t input)
{
    for (unsigned l = top; l > level; l--) {
        put(memory, l, index_of(input, l), table_at(l - 1) | (is_amd ? RW | (uint64_t)l << 9 | 1 : 0x27));
    }
}

static inline struct iommu_table amdv1(unsigned top)
{
    return (struct iommu_table){
        .walker = iommu_find_walker("amdv1"), .root = table_at(top), .top_level = top, .va_bits = 64, .oa_bits = 52
    };
}

static inline struct iommu_table x86_64(unsigned va_bits, unsigned top)
{
    return (struct iommu_table){ .walker = iommu_find_walker("x86_64"),
                                 .root = table_at(top),
                                 .top_level = top,
                                 .va_bits = va_bits,
                                 .oa_bits = 52 };
}

static inline void assert_leads_to(const struct iommu_leaf *leaf, uint64_t address, unsigned shift)
{
    assert_int_equal(leaf->fault, IOMMU_NO_FAULT);
    assert_int_equal(leaf->address, address);
    assert_int_equal(leaf->shift, shift);
}
