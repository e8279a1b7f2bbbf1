/*
 * Do the Armv8 walkers read descriptors as the manual says? Words are typed from formats.md 1.6; those of contiguous
 * runs and of stage 2 with the modifier are calculated, not run against Linux.
 */
#include "base/bits.h"
#include "base/test_main.h"
#include "iommu/iommu.h"

#define MEMORY_BYTES (UINT64_C(1) << 24)
#define ROOT         UINT64_C(0x100000)
#define TABLE(level) (ROOT + UINT64_C(0x100000) * ((level) + 1)) /* of the level below the top */

struct bed {
    struct physmem memory;
    struct iommu_table table;
    unsigned granule_shift;
};

static bool bed_read(void *context, uint64_t address, uint64_t *value)
{
    struct bed *bed = context;

    return physmem_read64(&bed->memory, hpa(address), value);
}

static bool bed_cas(void *context, uint64_t address, uint64_t expected, uint64_t desired)
{
    struct bed *bed = context;

    return physmem_cas64(&bed->memory, hpa(address), expected, desired);
}

/* One path of tables for input 0 down to level 0; leaves are put by the tests. */
static void bed_open(struct bed *bed, const char *format, unsigned granule_shift, unsigned top_level)
{
    *bed = (struct bed){ .granule_shift = granule_shift };
    physmem_init(&bed->memory, MEMORY_BYTES);
    bed->table = (struct iommu_table){ .walker = iommu_find_walker(format),
                                       .root = ROOT,
                                       .top_level = top_level,
                                       .va_bits = granule_shift == 16 ? 52 : 48,
                                       .oa_bits = granule_shift == 16 ? 52 : 48 };
    assert_non_null(bed->table.walker);
    for (unsigned level = top_level; level > 0; level--)
        assert_true(physmem_write64(&bed->memory, hpa(level == top_level ? ROOT : TABLE(level)), TABLE(level - 1) | 3));
}

static uint64_t place(const struct bed *bed, unsigned level, unsigned index)
{
    return (level == bed->table.top_level ? ROOT : TABLE(level)) + 8 * (uint64_t)index;
}

static void put(struct bed *bed, unsigned level, unsigned index, uint64_t item)
{
    assert_true(physmem_write64(&bed->memory, hpa(place(bed, level, index)), item));
}

static uint64_t at(struct bed *bed, unsigned level, unsigned index)
{
    uint64_t item = 0;

    assert_true(physmem_read64(&bed->memory, hpa(place(bed, level, index)), &item));
    return item;
}

static struct iommu_leaf walk(struct bed *bed, uint64_t input, enum iommu_access access)
{
    const struct iommu_memory memory = { .read = bed_read, .cas = bed_cas, .context = bed };

    return iommu_walk(&bed->table, &memory, input, access);
}

/* A leaf at input 0, read at byte `offset`. */
static const struct {
    const char *format;
    unsigned granule_shift, top_level, level;
    uint64_t item, offset, address;
    unsigned shift;
    bool readable, writable;
} leaves[] = {
    { "armv8", 12, 3, 0, 0x0000000080001f47, 0x123, 0x80001123, 12, true, true },
    { "armv8", 12, 3, 0, 0x0000000080001ec3, 0x123, 0x80001123, 12, true, false },
    { "armv8", 12, 3, 0, 0x0060000080001f07, 0x123, 0x80001123, 12, true, true },
    { "armv8", 12, 3, 1, 0x0000000040200f45, 0x12345, 0x40212345, 21, true, true },
    { "armv8", 12, 3, 2, 0x0000000080000e41, 0x12345678, 0x92345678, 30, true, true },
    { "armv8", 12, 3, 0, 0x0010000080010f47, 0x123, 0x80010123, 16, true, true },
    { "armv8", 12, 3, 1, 0x0010000042000f45, 0x12345, 0x42012345, 25, true, true },
    { "armv8_16k", 14, 3, 0, 0x0010000080200f47, 0x123, 0x80200123, 21, true, true },
    { "armv8_16k", 14, 3, 1, 0x0010000040000f45, 0x123, 0x40000123, 30, true, true },
    { "armv8_64k", 16, 2, 0, 0x000000001234ff47, 0x123, 0xf000012340123, 16, true, true },
    { "armv8_64k", 16, 2, 0, 0x0010000080200f47, 0x123, 0x80200123, 21, true, true },
    { "armv8_64k", 16, 2, 2, 0x0000040000000f45, 0x123, 0x40000000123, 42, true, true },
    { "armv8_s2", 12, 3, 0, 0x00000000800017ff, 0x123, 0x80001123, 12, true, true },
    { "armv8_s2", 12, 3, 0, 0x0000000080001657, 0x123, 0x80001123, 12, true, false },
    { "armv8_s2", 12, 3, 0, 0x0000000080001697, 0x123, 0x80001123, 12, false, true },
    { "armv8_s2", 12, 3, 1, 0x00000000402007d9, 0x12345, 0x40212345, 21, true, true },
    { "armv8_s2", 12, 3, 2, 0x00600000800007fd, 0x12345678, 0x92345678, 30, true, true },
};

static void leaves_lead_where_the_sheet_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        struct iommu_leaf leaf;
        struct bed bed;

        bed_open(&bed, leaves[i].format, leaves[i].granule_shift, leaves[i].top_level);
        put(&bed, leaves[i].level, 0, leaves[i].item);
        leaf = walk(&bed, leaves[i].offset, leaves[i].readable ? IOMMU_READ : IOMMU_WRITE);
        assert_int_equal(leaf.fault, IOMMU_NO_FAULT);
        assert_int_equal(leaf.address, leaves[i].address);
        assert_int_equal(leaf.shift, leaves[i].shift);
        assert_int_equal(leaf.level, leaves[i].level);
        assert_int_equal(leaf.readable, leaves[i].readable);
        assert_int_equal(leaf.writable, leaves[i].writable);
        assert_int_equal(walk(&bed, leaves[i].offset, leaves[i].readable ? IOMMU_WRITE : IOMMU_READ).fault,
                         leaves[i].readable && leaves[i].writable ? IOMMU_NO_FAULT : IOMMU_PERMISSION);
        physmem_destroy(&bed.memory);
    }
}

/* The hint is a hint: an item that disagrees with its run leads where it says itself. */
static void an_item_of_a_run_is_read_by_itself(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, "armv8", 12, 3);
    put(&bed, 0, 3, 0x0010000077774f47);
    assert_int_equal(walk(&bed, 0x3123, IOMMU_READ).address, 0x77774123);
    assert_int_equal(walk(&bed, 0x3123, IOMMU_READ).shift, 16);
    physmem_destroy(&bed.memory);
}

static void what_no_software_should_write_faults(void **state)
{
    static const struct {
        const char *format;
        unsigned granule_shift, top_level, level;
        uint64_t item;
        enum iommu_fault fault;
    } rows[] = {
        { "armv8", 12, 3, 0, 0x0000000080001f46, IOMMU_NOT_PRESENT },
        { "armv8", 12, 3, 0, 0x0000000080001f45, IOMMU_RESERVED_BITS }, /* 0b01 among the pages */
        { "armv8", 12, 3, 3, 0x0000000000000f45, IOMMU_RESERVED_BITS }, /* 512G block: LPA2 only */
        { "armv8_16k", 14, 3, 2, 0x0000000000000f45, IOMMU_RESERVED_BITS },
        { "armv8", 12, 3, 1, 0x0000000040201f45, IOMMU_RESERVED_BITS }, /* not a multiple of 2M */
        { "armv8_16k", 14, 3, 0, 0x0000000080001f47, IOMMU_RESERVED_BITS },
        { "armv8", 12, 3, 0, 0x0001000080001f47, IOMMU_RESERVED_BITS }, /* bit 48 */
        { "armv8", 12, 3, 0, 0x0000000080001d47, IOMMU_RESERVED_BITS }, /* SH 1 */
        { "armv8", 12, 3, 0, 0x0000000080001b47, IOMMU_ACCESS_FLAG },
        { "armv8_s2", 12, 3, 0, 0x00000000800013ff, IOMMU_ACCESS_FLAG },
    };
    struct bed bed;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bed_open(&bed, rows[i].format, rows[i].granule_shift, rows[i].top_level);
        put(&bed, rows[i].level, 0, rows[i].item);
        assert_int_equal(walk(&bed, 0, IOMMU_READ).fault, rows[i].fault);
        physmem_destroy(&bed.memory);
    }
    bed_open(&bed, "armv8_64k", 16, 2); /* address size: 4T blocks and bits 51:48 need 52 */
    put(&bed, 0, 0, 0x000000001234ff47);
    bed.table.oa_bits = 48;
    assert_int_equal(walk(&bed, 0, IOMMU_READ).fault, IOMMU_RESERVED_BITS);
    put(&bed, 2, 0, 0x0000040000000f45);
    assert_int_equal(walk(&bed, 0, IOMMU_READ).fault, IOMMU_RESERVED_BITS);
    physmem_destroy(&bed.memory);
}

/* APTable of stage 1 holds for everything below; stage 2 ignores those bits. */
static void tables_of_stage_1_limit_rights_below(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, "armv8", 12, 3);
    put(&bed, 0, 0, 0x0008000080001f47);
    put(&bed, 2, 0, TABLE(1) | 3 | bit(62));
    bed.table.set_accessed_dirty = true;
    assert_int_equal(walk(&bed, 0, IOMMU_READ).fault, IOMMU_NO_FAULT);
    assert_int_equal(walk(&bed, 0, IOMMU_WRITE).fault, IOMMU_PERMISSION);
    put(&bed, 2, 0, TABLE(1) | 3 | bit(61) | bit(63) | bit(60) | bit(59));
    assert_int_equal(walk(&bed, 0, IOMMU_WRITE).fault, IOMMU_NO_FAULT);
    bed.table.unprivileged = true;
    assert_int_equal(walk(&bed, 0, IOMMU_READ).fault, IOMMU_PERMISSION);
    put(&bed, 2, 0, TABLE(1) | 3);
    assert_int_equal(walk(&bed, 0, IOMMU_READ).fault, IOMMU_NO_FAULT);
    put(&bed, 0, 0, 0x0060000080001f07); /* PRIV */
    assert_int_equal(walk(&bed, 0, IOMMU_READ).fault, IOMMU_PERMISSION);
    physmem_destroy(&bed.memory);
    bed_open(&bed, "armv8_s2", 12, 3);
    put(&bed, 0, 0, 0x00000000800017ff);
    put(&bed, 2, 0, TABLE(1) | 3 | bit(61) | bit(62));
    assert_int_equal(walk(&bed, 0, IOMMU_WRITE).fault, IOMMU_NO_FAULT);
    physmem_destroy(&bed.memory);
}

/* HA sets the access flag; HD makes a writable-clean leaf writable on a write, and nothing else. */
static void hardware_marks_by_the_rights_themselves(void **state)
{
    static const struct {
        const char *format;
        uint64_t clean, read, written; /* the item before, after a read, after a write */
        uint64_t read_only;            /* without the modifier */
    } rows[] = {
        { "armv8", 0x0008000080001bc7, 0x0008000080001fc7, 0x0008000080001f47, 0x0000000080001fc7 },
        { "armv8_s2", 0x000800008000137f, 0x000800008000177f, 0x00080000800017ff, 0x000000008000177f },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct iommu_leaf leaf;
        struct bed bed;

        bed_open(&bed, rows[i].format, 12, 3);
        put(&bed, 0, 0, rows[i].read);
        leaf = walk(&bed, 0, IOMMU_WRITE); /* without HD the modifier means nothing */
        assert_int_equal(leaf.fault, IOMMU_PERMISSION);
        assert_false(leaf.writable);
        bed.table.set_accessed_dirty = true;
        put(&bed, 0, 0, rows[i].clean);
        leaf = walk(&bed, 0, IOMMU_READ);
        assert_int_equal(leaf.fault, IOMMU_NO_FAULT);
        assert_true(leaf.writable && !leaf.dirty);
        assert_int_equal(at(&bed, 0, 0), rows[i].read);
        leaf = walk(&bed, 0, IOMMU_WRITE);
        assert_int_equal(leaf.fault, IOMMU_NO_FAULT);
        assert_true(leaf.dirty);
        assert_int_equal(at(&bed, 0, 0), rows[i].written);
        put(&bed, 0, 0, rows[i].read_only);
        assert_int_equal(walk(&bed, 0, IOMMU_WRITE).fault, IOMMU_PERMISSION);
        assert_int_equal(at(&bed, 0, 0), rows[i].read_only);
        physmem_destroy(&bed.memory);
    }
}

static void an_upper_half_decodes_addresses_of_ones(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, "armv8", 12, 3);
    put(&bed, 0, 1, 0x0000000080001f47);
    bed.table.upper_half = true;
    assert_int_equal(walk(&bed, UINT64_C(0xffff000000001123), IOMMU_READ).address, 0x80001123);
    assert_int_equal(walk(&bed, 0x1123, IOMMU_READ).fault, IOMMU_CANONICAL);
    assert_int_equal(walk(&bed, UINT64_C(0xfffe000000001123), IOMMU_READ).fault, IOMMU_CANONICAL);
    physmem_destroy(&bed.memory);
}

/* 42 bits, 4K: eight tables of level 2 side by side. */
static void concatenated_tops_are_one_table(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, "armv8_s2", 12, 2);
    bed.table.va_bits = 42;
    put(&bed, 2, 4095, 0x00600000800007fd);
    assert_int_equal(walk(&bed, bit(42) - 1, IOMMU_READ).address, 0xbfffffff);
    assert_int_equal(walk(&bed, bit(42), IOMMU_READ).fault, IOMMU_CANONICAL);
    physmem_destroy(&bed.memory);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_lead_where_the_sheet_says),
        cmocka_unit_test(an_item_of_a_run_is_read_by_itself),
        cmocka_unit_test(what_no_software_should_write_faults),
        cmocka_unit_test(tables_of_stage_1_limit_rights_below),
        cmocka_unit_test(hardware_marks_by_the_rights_themselves),
        cmocka_unit_test(an_upper_half_decodes_addresses_of_ones),
        cmocka_unit_test(concatenated_tops_are_one_table),
    };

    return TEST_MAIN(tests, argc, argv);
}
