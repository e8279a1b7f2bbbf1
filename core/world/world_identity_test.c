/*
 * What every format's engine writes, its hardware walker reads as it was mapped: every leaf size with every prot, at
 * both ends of the input space, each item of a run. Formats that are built later take part by themselves.
 */
#include "base/bits.h"
#include "base/test_main.h"
#include "iommu/iommu.h"
#include "oracle/oracle.h"
#include "pt/engine.h"

#include <string.h>

struct bed {
    struct table_pool pool;
    struct physmem memory;
    struct pt pt;
    struct pt_config config;
    const struct oracle_format *format;
};

static void top_changed(void *context, hpa_t top, unsigned level)
{
    (void)context, (void)top, (void)level;
}

static const struct pt_hooks hooks = { .top_changed = top_changed };

static void bed_open(struct bed *bed, const struct engine *engine)
{
    memset(bed, 0, sizeof(*bed));
    table_pool_init(&bed->pool, UINT64_C(1) << 32, 4096);
    physmem_init(&bed->memory, 0);
    physmem_attach(&bed->memory, hpa(bed->pool.base), &bed->pool);
    bed->config = engine_default_config(engine);
    bed->config.pool = &bed->pool;
    bed->config.hooks = &hooks;
    bed->format = oracle_find_format(engine->format);
    assert_non_null(bed->format);
    assert_int_equal(pt_init(&bed->pt, engine, &bed->config), 0);
}

static void bed_close(struct bed *bed)
{
    pt_deinit(&bed->pt);
    physmem_destroy(&bed->memory);
    table_pool_destroy(&bed->pool);
}

/* As hardware is told now; without A/D updates, so that what needs them shows. */
static struct iommu_table table_of(const struct bed *bed)
{
    struct pt_info info;

    pt_get_info(&bed->pt, &info);
    return (struct iommu_table){ .walker = iommu_find_walker(bed->pt.engine->format),
                                 .root = info.top.value,
                                 .top_level = info.top_level,
                                 .va_bits = info.va_bits,
                                 .oa_bits = info.oa_bits,
                                 .sign_extend = info.features & PT_SIGN_EXTEND };
}

struct one_leaf {
    uint64_t va, pa;
    unsigned shift, prot;
};

static void assert_byte(const struct bed *bed, const struct iommu_table *table, const struct one_leaf *leaf,
                        uint64_t offset)
{
    const bool readable = leaf->prot & PT_READ || bed->format->read_is_implied;
    const bool writable = leaf->prot & PT_WRITE;
    const struct iommu_leaf read = iommu_walk_physmem(table, &bed->memory, leaf->va + offset, IOMMU_READ);
    const struct iommu_leaf write = iommu_walk_physmem(table, &bed->memory, leaf->va + offset, IOMMU_WRITE);

    if (read.fault != (readable ? IOMMU_NO_FAULT : IOMMU_PERMISSION) ||
        write.fault != (writable ? IOMMU_NO_FAULT : IOMMU_PERMISSION) || read.address != leaf->pa + offset ||
        write.address != read.address || read.shift != leaf->shift || read.readable != readable ||
        read.writable != writable)
        fail_msg("%s: 0x%llx + 0x%llx -> 0x%llx size 2^%u prot %u: faults %s %s, 0x%llx size 2^%u r=%d w=%d",
                 bed->pt.engine->name, (unsigned long long)leaf->va, (unsigned long long)offset,
                 (unsigned long long)leaf->pa, leaf->shift, leaf->prot, iommu_fault_name(read.fault),
                 iommu_fault_name(write.fault), (unsigned long long)read.address, read.shift, read.readable,
                 read.writable);
}

/* Map it, read a byte of each item and the last one, look beside it, take it away. */
static void check_leaf(struct bed *bed, const struct one_leaf *leaf)
{
    const uint64_t item_bytes = bit(oracle_item_shift_of_leaf(bed->format, leaf->shift));
    struct pt_gather gather = pt_gather_empty();
    struct iommu_table table;
    uint64_t mapped;

    assert_int_equal(pt_map_range(&bed->pt, iova(leaf->va), hpa(leaf->pa), bit(leaf->shift), leaf->prot, &mapped), 0);
    table = table_of(bed);
    for (uint64_t offset = 0; offset < bit(leaf->shift); offset += item_bytes)
        assert_byte(bed, &table, leaf, offset + 0x123);
    assert_byte(bed, &table, leaf, low_mask(leaf->shift));
    assert_int_not_equal(iommu_walk_physmem(&table, &bed->memory, leaf->va - 1, IOMMU_READ).fault, IOMMU_NO_FAULT);
    assert_int_not_equal(iommu_walk_physmem(&table, &bed->memory, leaf->va + bit(leaf->shift), IOMMU_READ).fault,
                         IOMMU_NO_FAULT);
    assert_int_equal(pt_unmap_range(&bed->pt, iova(leaf->va), bit(leaf->shift), &gather), bit(leaf->shift));
    pt_gather_sync(&bed->pt, &gather);
    assert_int_not_equal(iommu_walk_physmem(&table, &bed->memory, leaf->va, IOMMU_READ).fault, IOMMU_NO_FAULT);
}

/* The lowest places but one, and the highest, of input and output. */
static void check_size(struct bed *bed, unsigned shift, unsigned prot)
{
    const uint64_t last_in = bed->config.features & PT_SIGN_EXTEND ? UINT64_MAX : low_mask(bed->config.va_bits);
    const uint64_t last_out = low_mask(bed->config.oa_bits);
    const struct one_leaf low = { bit(shift), bit(shift), shift, prot };
    const struct one_leaf high = { align_down(last_in, shift), align_down(last_out, shift), shift, prot };

    if (bit(shift) < last_in >> 1 && bit(shift) < last_out) check_leaf(bed, &low);
    check_leaf(bed, &high);
}

static void hardware_reads_every_leaf_as_it_was_mapped(void **state)
{
    static const unsigned prots[] = {
        PT_READ,
        PT_WRITE,
        PT_READ | PT_WRITE,
        PT_READ | PT_NOEXEC,
        PT_WRITE | PT_NOEXEC | PT_CACHE,
        PT_READ | PT_WRITE | PT_CACHE,
        PT_READ | PT_WRITE | PT_MMIO | PT_NOEXEC,
        PT_READ | PT_PRIV,
    };

    (void)state;
    for (unsigned row = 0; engine_at(row); row++) {
        if (!engine_is_usable(engine_at(row))) continue;
        for (size_t i = 0; i < sizeof(prots) / sizeof(prots[0]); i++) {
            struct bed bed;

            bed_open(&bed, engine_at(row));
            for (unsigned shift = 0; shift < 64; shift++) {
                if (bed.pt.page_sizes & bit(shift)) check_size(&bed, shift, prots[i]);
            }
            bed_close(&bed);
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hardware_reads_every_leaf_as_it_was_mapped),
    };

    return TEST_MAIN(tests, argc, argv);
}
