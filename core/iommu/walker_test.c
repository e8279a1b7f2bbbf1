/*
 * Do the hardware walkers read every item as the manuals say? All raw words here are typed from formats.md 1.1 and 1.2
 * (what the Linux engine wrote), never computed by an engine of ours.
 */
#include "iommu/walker_test.h"

/* formats.md 1.1 "Encoding for every size": OA = 0, RW, FC. */
static const struct {
    unsigned shift, level, items;
    uint64_t item;
} amdv1_sizes[] = {
    { 12, 0, 1, 0x7000000000000001 },   { 13, 0, 2, 0x7000000000000e01 },   { 14, 0, 4, 0x7000000000001e01 },
    { 15, 0, 8, 0x7000000000003e01 },   { 16, 0, 16, 0x7000000000007e01 },  { 17, 0, 32, 0x700000000000fe01 },
    { 18, 0, 64, 0x700000000001fe01 },  { 19, 0, 128, 0x700000000003fe01 }, { 20, 0, 256, 0x700000000007fe01 },
    { 21, 1, 1, 0x7000000000000001 },   { 22, 1, 2, 0x70000000001ffe01 },   { 23, 1, 4, 0x70000000003ffe01 },
    { 24, 1, 8, 0x70000000007ffe01 },   { 25, 1, 16, 0x7000000000fffe01 },  { 26, 1, 32, 0x7000000001fffe01 },
    { 27, 1, 64, 0x7000000003fffe01 },  { 28, 1, 128, 0x7000000007fffe01 }, { 29, 1, 256, 0x700000000ffffe01 },
    { 30, 2, 1, 0x7000000000000001 },   { 31, 2, 2, 0x700000003ffffe01 },   { 32, 2, 4, 0x700000007ffffe01 },
    { 33, 2, 8, 0x70000000fffffe01 },   { 34, 2, 16, 0x70000001fffffe01 },  { 35, 2, 32, 0x70000003fffffe01 },
    { 36, 2, 64, 0x70000007fffffe01 },  { 37, 2, 128, 0x7000000ffffffe01 }, { 38, 2, 256, 0x7000001ffffffe01 },
    { 40, 3, 2, 0x7000007ffffffe01 },   { 41, 3, 4, 0x700000fffffffe01 },   { 42, 3, 8, 0x700001fffffffe01 },
    { 43, 3, 16, 0x700003fffffffe01 },  { 44, 3, 32, 0x700007fffffffe01 },  { 45, 3, 64, 0x70000ffffffffe01 },
    { 46, 3, 128, 0x70001ffffffffe01 }, { 47, 3, 256, 0x70003ffffffffe01 }, { 48, 4, 1, 0x7000000000000001 },
    { 49, 4, 2, 0x7000fffffffffe01 },   { 50, 4, 4, 0x7001fffffffffe01 },   { 51, 4, 8, 0x7003fffffffffe01 },
};

static void amdv1_reads_every_leaf_size_at_every_item_of_the_run(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(amdv1_sizes) / sizeof(amdv1_sizes[0]); i++) {
        const unsigned shift = amdv1_sizes[i].shift;
        const unsigned level = amdv1_sizes[i].level;
        const uint64_t start = bit(shift + 1) | bit(57); /* goes through all six levels */
        const uint64_t target = bit(shift);              /* below 2^52 for every shift */
        const struct iommu_table table = amdv1(5);
        struct physmem memory = memory_new();

        put_path(&memory, true, 5, level, start);
        for (unsigned n = 0; n < amdv1_sizes[i].items; n++) {
            put(&memory, level, index_of(start, level) + n, amdv1_sizes[i].item | target);
        }
        for (unsigned n = 0; n < amdv1_sizes[i].items; n++) {
            const uint64_t offset = ((uint64_t)n << (12 + 9 * level)) + 0xabc;
            const struct iommu_leaf leaf = iommu_walk_physmem(&table, &memory, start + offset, IOMMU_WRITE);

            assert_leads_to(&leaf, target + offset, shift);
            assert_int_equal(leaf.level, level);
            assert_int_equal(leaf.reads, 6 - level);
            assert_int_equal(leaf.items[5 - level], amdv1_sizes[i].item | target);
            assert_true(leaf.forced_coherent && leaf.readable && leaf.writable && !leaf.dirty && !leaf.encrypted);
        }
        assert_int_equal(iommu_walk_physmem(&table, &memory, start - 1, IOMMU_READ).fault, IOMMU_NOT_PRESENT);
        assert_int_equal(iommu_walk_physmem(&table, &memory, start + bit(shift), IOMMU_READ).fault, IOMMU_NOT_PRESENT);
        physmem_destroy(&memory);
    }
}

/* formats.md 1.1 "Worked examples". */
static const struct {
    uint64_t va, pa, item;
    unsigned level, shift;
    bool readable, writable, encrypted;
    uint64_t c_bit;
} amdv1_examples[] = {
    { 0x1000, 0x5000, 0x7000000000005001, 0, 12, true, true, false, 0 },
    { 0x10000, 0x40010000, 0x3000000040017e01, 0, 16, true, false, false, 0 },
    { 0x100000, 0x300000, 0x700000000037fe01, 0, 20, true, true, false, 0 },
    { 0x200000, 0x8000200000, 0x5000008000200001, 1, 21, false, true, false, 0 },
    { 0x800000, 0x10000800000, 0x70000100009ffe01, 1, 22, true, true, false, 0 },
    { 0x40000000, 0x80000000, 0x7000000080000001, 2, 30, true, true, false, 0 },
    { 0x1000, 0x5000, 0x7000800000005001, 0, 12, true, true, true, UINT64_C(1) << 47 },
    { 0x1000, 0x5000, 0x7000000000005001, 0, 12, true, true, false, UINT64_C(1) << 47 },
    { 0x8000, 0x40010000, 0x3000800040013e01, 0, 15, true, false, true, UINT64_C(1) << 47 },
    { 0, 0, 0x7000001ffffffe01, 2, 38, true, true, false, 0 },
    { 0x4000000000, 0x4000000000, 0x7000005ffffffe01, 2, 38, true, true, false, 0 },
    { 0xfffffffffffff000, 0x1000, 0x7000000000001001, 0, 12, true, true, false, 0 },
};

static void amdv1_reads_the_worked_examples(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(amdv1_examples) / sizeof(amdv1_examples[0]); i++) {
        struct iommu_table table = amdv1(5);
        struct physmem memory = memory_new();
        struct iommu_leaf leaf;

        table.c_bit_mask = amdv1_examples[i].c_bit;
        put_path(&memory, true, 5, amdv1_examples[i].level, amdv1_examples[i].va);
        put(&memory, amdv1_examples[i].level, index_of(amdv1_examples[i].va, amdv1_examples[i].level),
            amdv1_examples[i].item);
        leaf = iommu_walk_physmem(&table, &memory, amdv1_examples[i].va + 0x123,
                                  amdv1_examples[i].readable ? IOMMU_READ : IOMMU_WRITE);
        assert_leads_to(&leaf, amdv1_examples[i].pa + 0x123, amdv1_examples[i].shift);
        assert_int_equal(leaf.readable, amdv1_examples[i].readable);
        assert_int_equal(leaf.writable, amdv1_examples[i].writable);
        assert_int_equal(leaf.encrypted, amdv1_examples[i].encrypted);
        physmem_destroy(&memory);
    }
}

/* The table items of formats.md 1.1 and 1.2 point at 0x123456000; the C-bit of a table item is no address bit. */
static void table_items_lead_to_the_address_they_hold(void **state)
{
    static const struct {
        const char *format;
        unsigned level;
        uint64_t item, c_bit;
    } cases[] = {
        { "amdv1", 1, 0x6000000123456201, 0 },
        { "amdv1", 2, 0x6000000123456401, 0 },
        { "amdv1", 3, 0x6000000123456601, 0 },
        { "amdv1", 4, 0x6000000123456801, 0 },
        { "amdv1", 5, 0x6000000123456a01, 0 },
        { "amdv1", 1, 0x6000800123456201, UINT64_C(1) << 47 },
        { "x86_64", 3, 0x0000000123456027, 0 },
        { "x86_64", 4, 0x0000000123456227, 0 },
        { "x86_64", 3, 0x0008000123456027, UINT64_C(1) << 51 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct physmem memory;
        struct iommu_table table = { .walker = iommu_find_walker(cases[i].format),
                                     .root = ROOT,
                                     .va_bits = 57,
                                     .oa_bits = 52,
                                     .top_level = cases[i].level,
                                     .c_bit_mask = cases[i].c_bit };
        struct iommu_leaf leaf;

        physmem_init(&memory, UINT64_C(1) << 40);
        assert_true(physmem_write64(&memory, hpa(ROOT), cases[i].item));
        /* Whatever the child's level, an item of a size above it or none is refused; a marker shows what was read. */
        assert_true(physmem_write64(&memory, hpa(0x123456000), 0xabc0));
        leaf = iommu_walk_physmem(&table, &memory, 0, IOMMU_READ);
        assert_int_equal(leaf.fault, IOMMU_NOT_PRESENT);
        assert_int_equal(leaf.reads, 2);
        assert_int_equal(leaf.items[1], 0xabc0);
        assert_int_equal(leaf.level, cases[i].level - 1);
        physmem_destroy(&memory);
    }
}

/* One item at `level` of a table whose top is `top`, walked at address 0. */
struct item_case {
    const char *what;
    unsigned level;
    uint64_t item;
    enum iommu_fault fault;
};

static void assert_item_faults(const struct iommu_table *table, bool is_amd, const struct item_case *expected)
{
    struct physmem memory = memory_new();
    struct iommu_leaf leaf;

    put_path(&memory, is_amd, table->top_level, expected->level, 0);
    put(&memory, expected->level, 0, expected->item);
    leaf = iommu_walk_physmem(table, &memory, 0, IOMMU_READ);
    if (leaf.fault != expected->fault) {
        fail_msg("%s: %s instead of %s", expected->what, iommu_fault_name(leaf.fault),
                 iommu_fault_name(expected->fault));
    }
    assert_int_equal(leaf.level, expected->level);
    physmem_destroy(&memory);
}

static void amdv1_refuses_items_that_no_software_should_write(void **state)
{
    static const struct item_case cases[] = {
        { "PR = 0 is empty whatever else is set", 0, 0xfffffffffffffffe, IOMMU_NOT_PRESENT },
        { "PR = 0 in a table item", 2, 0x6000000000011400, IOMMU_NOT_PRESENT },
        { "NL 1 in the last table", 0, 0x7000000000005201, IOMMU_RESERVED_BITS },
        { "NL 6 in the last table", 0, 0x7000000000005c01, IOMMU_RESERVED_BITS },
        { "NL skips a level", 2, 0x6000000000010201, IOMMU_RESERVED_BITS },
        { "NL above the table's own level", 2, 0x6000000000010601, IOMMU_RESERVED_BITS },
        { "NL 6 in a level 5 table", 5, 0x6000000000010c01, IOMMU_RESERVED_BITS },
        { "FC in a table item", 1, 0x7000000000010201, IOMMU_RESERVED_BITS },
        { "leaf in a level 5 table", 5, 0x7000000000000001, IOMMU_RESERVED_BITS },
        { "encoded leaf in a level 5 table", 5, 0x7003fffffffffe01, IOMMU_RESERVED_BITS },
        { "512G as one item", 3, 0x7000000000000001, IOMMU_RESERVED_BITS },
        { "512G encoded in level 3", 3, 0x7000003ffffffe01, IOMMU_RESERVED_BITS },
        { "512G encoded in level 2 is a whole table", 2, 0x7000003ffffffe01, IOMMU_RESERVED_BITS },
        { "2M encoded in level 0 is a whole table", 0, 0x70000000000ffe01, IOMMU_RESERVED_BITS },
        { "2M encoded in level 1 is not above the item's size", 1, 0x70000000000ffe01, IOMMU_RESERVED_BITS },
        { "8K encoded in level 1", 1, 0x7000000000000e01, IOMMU_RESERVED_BITS },
        { "1G encoded in level 2", 2, 0x700000001ffffe01, IOMMU_RESERVED_BITS },
        { "2^52 encoded in level 4", 4, 0x7007fffffffffe01, IOMMU_RESERVED_BITS },
        { "all address bits ones", 4, 0x700ffffffffffe01, IOMMU_RESERVED_BITS },
        { "2M leaf with a 4K address bit", 1, 0x7000000000201001, IOMMU_RESERVED_BITS },
        { "1G leaf with a 2M address bit", 2, 0x7000000040200001, IOMMU_RESERVED_BITS },
        { "bit 52", 0, 0x7010000000005001, IOMMU_RESERVED_BITS },
        { "bit 58", 0, 0x7400000000005001, IOMMU_RESERVED_BITS },
        { "bit 59", 0, 0x7800000000005001, IOMMU_RESERVED_BITS },
        { "bit 52 in a table item", 1, 0x6010000000010201, IOMMU_RESERVED_BITS },
        { "software bits are not looked at", 0, 0xf00000000000519f, IOMMU_NO_FAULT },
        { "neither IR nor IW", 0, 0x1000000000005001, IOMMU_PERMISSION },
    };
    const struct iommu_table table = amdv1(5);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) assert_item_faults(&table, true, &cases[i]);
}

static void x86_64_refuses_items_that_no_software_should_write(void **state)
{
    static const struct item_case cases[] = {
        { "P = 0 is empty whatever else is set", 0, 0xfffffffffffffffe, IOMMU_NOT_PRESENT },
        { "P = 0 in a table item", 2, 0x0000000000011026, IOMMU_NOT_PRESENT },
        { "PS in a PML4 item", 3, 0x00000000000000e7, IOMMU_RESERVED_BITS },
        { "PS in a PML5 item", 4, 0x00000000000000e7, IOMMU_RESERVED_BITS },
        { "2M leaf with address bit 13", 1, 0x00000000002020e7, IOMMU_RESERVED_BITS },
        { "2M leaf with address bit 20", 1, 0x00000000003000e7, IOMMU_RESERVED_BITS },
        { "1G leaf with address bit 13", 2, 0x00000000400020e7, IOMMU_RESERVED_BITS },
        { "1G leaf with address bit 29", 2, 0x00000000600000e7, IOMMU_RESERVED_BITS },
        { "2M leaf with PAT in bit 12", 1, 0x00000000002010e7, IOMMU_NO_FAULT },
        { "1G leaf with PAT in bit 12", 2, 0x00000000400010e7, IOMMU_NO_FAULT },
        { "PAT of a 4K leaf in bit 7", 0, 0x00000000000050e7, IOMMU_NO_FAULT },
        { "software bits and XD are not looked at", 0, 0xfff0000000005e67, IOMMU_NO_FAULT },
        { "supervisor page", 0, 0x0000000000005063, IOMMU_PERMISSION },
    };
    const struct iommu_table table = x86_64(57, 4);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) assert_item_faults(&table, false, &cases[i]);
}

static void a_leaf_beyond_the_output_width_is_refused(void **state)
{
    struct iommu_table amd = amdv1(5);
    struct iommu_table x86 = x86_64(48, 3);

    (void)state;
    amd.oa_bits = 40;
    x86.oa_bits = 40;
    assert_item_faults(&amd, true, &(struct item_case){ "last page", 0, 0x700000fffffff001, IOMMU_NO_FAULT });
    assert_item_faults(&amd, true, &(struct item_case){ "one more", 0, 0x7000010000000001, IOMMU_RESERVED_BITS });
    assert_item_faults(&amd, true, &(struct item_case){ "2^40 fits", 3, 0x7000007ffffffe01, IOMMU_NO_FAULT });
    assert_item_faults(&amd, true, &(struct item_case){ "2^41 at 0", 3, 0x700000fffffffe01, IOMMU_RESERVED_BITS });
    assert_item_faults(&x86, false, &(struct item_case){ "last page", 0, 0x000000fffffff067, IOMMU_NO_FAULT });
    assert_item_faults(&x86, false, &(struct item_case){ "one more", 0, 0x0000010000000067, IOMMU_RESERVED_BITS });
    assert_item_faults(&x86, false, &(struct item_case){ "2M beyond", 1, 0x00000100000000e7, IOMMU_RESERVED_BITS });
}

static void a_table_where_no_memory_is_faults(void **state)
{
    struct physmem memory = memory_new();
    const struct iommu_table table = amdv1(2);

    (void)state;
    put(&memory, 2, 0, 0x6000000fff000401);
    assert_int_equal(iommu_walk_physmem(&table, &memory, 0, IOMMU_READ).fault, IOMMU_NO_MEMORY);
    assert_int_equal(iommu_walk_physmem(&table, &memory, 0, IOMMU_READ).reads, 1);
    physmem_destroy(&memory);
}

/* formats.md 1.2 "Examples". */
static const struct {
    uint64_t va, pa, item;
    unsigned level;
    bool writable, dirty;
    uint64_t c_bit;
} x86_64_examples[] = {
    { 0x1000, 0x5000, 0x0000000000005067, 0, true, true, 0 },
    { 0x2000, 0x6000, 0x0000000000006025, 0, false, false, 0 },
    { 0x3000, 0x7000, 0x0000000000007067, 0, true, true, 0 },
    { 0x200000, 0x8000200000, 0x00000080002000e7, 1, true, true, 0 },
    { 0x40000000, 0x80000000, 0x00000000800000a5, 2, false, false, 0 },
    { 0xffff800000000000, 0x2000, 0x0000000000002067, 0, true, true, 0 },
    { 0x1000, 0x5000, 0x0008000000005067, 0, true, true, UINT64_C(1) << 51 },
    { 0x1000, 0x5000, 0x0000000000005067, 0, true, true, UINT64_C(1) << 51 },
};

static void x86_64_reads_the_worked_examples(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(x86_64_examples) / sizeof(x86_64_examples[0]); i++) {
        const unsigned level = x86_64_examples[i].level;
        const uint64_t va = x86_64_examples[i].va;
        struct iommu_table table = x86_64(48, 3);
        struct physmem memory = memory_new();
        struct iommu_leaf leaf;

        table.sign_extend = true;
        table.c_bit_mask = x86_64_examples[i].c_bit;
        put_path(&memory, false, 3, level, va);
        put(&memory, level, index_of(va, level), x86_64_examples[i].item);
        leaf = iommu_walk_physmem(&table, &memory, va + 0xfff, IOMMU_READ);
        assert_leads_to(&leaf, x86_64_examples[i].pa + 0xfff, 12 + 9 * level);
        assert_int_equal(leaf.writable, x86_64_examples[i].writable);
        assert_int_equal(leaf.dirty, x86_64_examples[i].dirty);
        assert_int_equal(leaf.encrypted, (x86_64_examples[i].item & table.c_bit_mask) != 0);
        leaf = iommu_walk_physmem(&table, &memory, va, IOMMU_WRITE);
        assert_int_equal(leaf.fault, x86_64_examples[i].writable ? IOMMU_NO_FAULT : IOMMU_PERMISSION);
        physmem_destroy(&memory);
    }
}

static void addresses_that_the_table_does_not_decode_are_not_canonical(void **state)
{
    static const struct {
        const char *format;
        unsigned va_bits, top;
        bool sign_extend;
        uint64_t input;
        bool is_canonical;
    } cases[] = {
        { "amdv1", 64, 2, false, 0x7fffffffff, true },       { "amdv1", 64, 2, false, 0x8000000000, false },
        { "amdv1", 64, 5, false, 0xffffffffffffffff, true }, { "amdv1", 48, 4, false, 0xffffffffffff, true },
        { "amdv1", 48, 4, false, 0x1000000000000, false },   { "amdv1", 64, 4, false, 0x200000000000000, false },
        { "x86_64", 47, 3, false, 0x7fffffffffff, true },    { "x86_64", 47, 3, false, 0x800000000000, false },
        { "x86_64", 48, 3, true, 0x7fffffffffff, true },     { "x86_64", 48, 3, true, 0x800000000000, false },
        { "x86_64", 48, 3, true, 0xffff800000000000, true }, { "x86_64", 48, 3, true, 0xffff7fffffffffff, false },
        { "x86_64", 57, 4, true, 0xff00000000000000, true }, { "x86_64", 57, 4, true, 0x0100000000000000, false },
        { "x86_64", 47, 3, true, 0xffffc00000000000, true }, { "x86_64", 47, 3, true, 0x0000400000000000, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct physmem memory = memory_new();
        const struct iommu_table table = { .walker = iommu_find_walker(cases[i].format),
                                           .root = ROOT,
                                           .oa_bits = 52,
                                           .top_level = cases[i].top,
                                           .va_bits = cases[i].va_bits,
                                           .sign_extend = cases[i].sign_extend };

        assert_int_equal(iommu_walk_physmem(&table, &memory, cases[i].input, IOMMU_READ).fault,
                         cases[i].is_canonical ? IOMMU_NOT_PRESENT : IOMMU_CANONICAL);
        physmem_destroy(&memory);
    }
}

/* With 47 bits sign-extended the top table has 256 items in use and the upper half starts at 128 (formats.md 1.2). */
static void a_narrow_sign_extended_table_indexes_its_own_bits_only(void **state)
{
    struct physmem memory = memory_new();
    struct iommu_table table = x86_64(47, 3);
    struct iommu_leaf leaf;

    (void)state;
    table.sign_extend = true;
    put_path(&memory, false, 2, 0, 0);
    put(&memory, 3, 128, table_at(2) | 0x27);
    put(&memory, 0, 0, 0x2067);
    leaf = iommu_walk_physmem(&table, &memory, 0xffffc00000000000, IOMMU_READ);
    assert_leads_to(&leaf, 0x2000, 12);
    physmem_destroy(&memory);
}

static void rights_are_the_and_of_the_path(void **state)
{
    struct physmem memory = memory_new();
    const struct iommu_table amd = amdv1(2);
    const struct iommu_table x86 = x86_64(48, 3);

    (void)state;
    put_path(&memory, true, 2, 0, 0);
    put(&memory, 0, 0, 0x7000000000005001);
    put(&memory, 1, 0, table_at(0) | UINT64_C(0x2000000000000201)); /* IR only */
    assert_int_equal(iommu_walk_physmem(&amd, &memory, 0, IOMMU_READ).fault, IOMMU_NO_FAULT);
    assert_int_equal(iommu_walk_physmem(&amd, &memory, 0, IOMMU_WRITE).fault, IOMMU_PERMISSION);
    put(&memory, 2, 0, table_at(1) | UINT64_C(0x4000000000000401)); /* IW only: nothing is left */
    assert_int_equal(iommu_walk_physmem(&amd, &memory, 0, IOMMU_READ).fault, IOMMU_PERMISSION);

    put_path(&memory, false, 3, 0, 0);
    put(&memory, 0, 0, 0x5067);
    put(&memory, 2, 0, table_at(1) | 0x25); /* not W */
    assert_int_equal(iommu_walk_physmem(&x86, &memory, 0, IOMMU_WRITE).fault, IOMMU_PERMISSION);
    assert_int_equal(iommu_walk_physmem(&x86, &memory, 0, IOMMU_READ).fault, IOMMU_NO_FAULT);
    put(&memory, 2, 0, table_at(1) | 0x23); /* not U */
    assert_int_equal(iommu_walk_physmem(&x86, &memory, 0, IOMMU_READ).fault, IOMMU_PERMISSION);
    physmem_destroy(&memory);
}

static bool read_nothing(void *context, uint64_t address, uint64_t *value)
{
    (void)context;
    (void)address;
    (void)value;
    return false;
}

/* Two tables in an array: the top at 0x10000 is seen through the window, and so is the one below it. */
static void words_in_the_window_are_read_without_a_call(void **state)
{
    static uint64_t words[1024];
    struct iommu_memory memory = {
        .read = read_nothing, .window = (const uint8_t *)words, .window_base = ROOT, .window_bytes = sizeof(words)
    };
    struct iommu_table table = amdv1(1);
    struct iommu_leaf leaf;

    (void)state;
    table.root = ROOT;
    words[3] = (ROOT + TABLE_BYTES) | RW | 0x201;
    words[512 + 7] = 0x6000000000005001;
    leaf = iommu_walk(&table, &memory, 0x607123, IOMMU_READ);
    assert_leads_to(&leaf, 0x5123, 12);
    assert_int_equal(iommu_walk(&table, &memory, 0x3ff000, IOMMU_READ).fault, IOMMU_NOT_PRESENT);
    memory.window_bytes = TABLE_BYTES; /* what is left over is asked for */
    assert_int_equal(iommu_walk(&table, &memory, 0x607123, IOMMU_READ).fault, IOMMU_NO_MEMORY);
}

static bool read_memory(void *context, uint64_t address, uint64_t *value)
{
    const struct physmem *const *memory = context;

    return physmem_read64(*memory, hpa(address), value);
}

static void assert_same_leaf(const struct iommu_leaf *a, const struct iommu_leaf *b)
{
    assert_int_equal(a->fault, b->fault);
    assert_int_equal(a->address, b->address);
    assert_int_equal(a->shift, b->shift);
    assert_int_equal(a->readable, b->readable);
    assert_int_equal(a->writable, b->writable);
    assert_int_equal(a->dirty, b->dirty);
    assert_int_equal(a->level, b->level);
}

/* Inputs that stay in the last table, leave it at every level, hit large leaves, holes and what is not decoded. */
static void assert_chain_follows_walks(const struct physmem *memory, const struct iommu_table *table, bool is_amd)
{
    const struct iommu_memory access = { .read = read_memory, .context = &memory };
    const unsigned beyond = is_amd ? 63 : table->va_bits - 1;
    struct iommu_chain chain = { .is_known = false };
    uint64_t random = 1;
    unsigned saved = 0;

    for (unsigned i = 0; i < 20000; i++) {
        uint64_t input = 0;
        struct iommu_leaf leaf;

        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        input = (random >> 60) << 12 | (random >> 20 & 0xfff);
        if ((random >> 50 & 3) == 0) input |= bit(12 + 9 * (random >> 45 & 3));
        if ((random >> 40 & 63) == 0) input |= bit(beyond);
        leaf = iommu_walk_physmem(table, memory, input, random >> 38 & 1 ? IOMMU_WRITE : IOMMU_READ);
        iommu_walk_on(table, &access, input, random >> 38 & 1 ? IOMMU_WRITE : IOMMU_READ, &chain);
        assert_same_leaf(&chain.leaf, &leaf);
        saved += leaf.reads - chain.leaf.reads;
    }
    assert_true(saved > 20000);
}

static void a_chain_of_walks_finds_what_walks_from_the_root_find(void **state)
{
    struct physmem memory = memory_new();
    const struct iommu_table amd = amdv1(3);
    struct iommu_table x86 = x86_64(47, 3);

    (void)state;
    put_path(&memory, true, 3, 0, 0);
    put(&memory, 1, 0, table_at(0) | UINT64_C(0x2000000000000201)); /* IR only */
    for (unsigned i = 0; i < 12; i++) put(&memory, 0, i, UINT64_C(0x6000000000100001) + i * TABLE_BYTES + (i & 2) * 32);
    put(&memory, 1, 1, 0x6000000000200001);
    put(&memory, 2, 1, 0x6000000040000001);
    assert_chain_follows_walks(&memory, &amd, true);

    put_path(&memory, false, 3, 0, 0);
    put(&memory, 2, 0, table_at(1) | 0x25); /* not W */
    for (unsigned i = 0; i < 12; i++) put(&memory, 0, i, 0x100027 + i * TABLE_BYTES);
    put(&memory, 1, 1, 0x2000e7);
    put(&memory, 2, 1, 0x400000e7);
    assert_chain_follows_walks(&memory, &x86, false);
    x86.sign_extend = true;
    assert_chain_follows_walks(&memory, &x86, false);
    physmem_destroy(&memory);
}

static void walkers_are_found_by_their_format(void **state)
{
    (void)state;
    assert_string_equal(iommu_walker_name(iommu_find_walker("amdv1")), "amdv1");
    assert_string_equal(iommu_walker_name(iommu_find_walker("x86_64")), "x86_64");
    assert_false(iommu_has_walker("amdv2"));
    assert_false(iommu_has_walker(""));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(amdv1_reads_every_leaf_size_at_every_item_of_the_run),
    cmocka_unit_test(amdv1_reads_the_worked_examples),
    cmocka_unit_test(table_items_lead_to_the_address_they_hold),
    cmocka_unit_test(amdv1_refuses_items_that_no_software_should_write),
    cmocka_unit_test(x86_64_refuses_items_that_no_software_should_write),
    cmocka_unit_test(a_leaf_beyond_the_output_width_is_refused),
    cmocka_unit_test(a_table_where_no_memory_is_faults),
    cmocka_unit_test(x86_64_reads_the_worked_examples),
    cmocka_unit_test(addresses_that_the_table_does_not_decode_are_not_canonical),
    cmocka_unit_test(a_narrow_sign_extended_table_indexes_its_own_bits_only),
    cmocka_unit_test(rights_are_the_and_of_the_path),
    cmocka_unit_test(words_in_the_window_are_read_without_a_call),
    cmocka_unit_test(a_chain_of_walks_finds_what_walks_from_the_root_find),
    cmocka_unit_test(walkers_are_found_by_their_format),
};

int main(int argc, char **argv)
{
    return TEST_MAIN(tests, argc, argv);
}
