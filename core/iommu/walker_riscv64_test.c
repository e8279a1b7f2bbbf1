/*
 * Do the RISC-V walkers read items as the privileged specification says? Words are typed from formats.md 1.4 (Linux
 * wrote those of the first stage; what concerns the second is calculated, not run against Linux), or put together here
 * from the fields of the specification.
 */
#include "iommu/walker_test.h"

/* Fields of an item, as in the specification's figures. */
enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128 };
#define N   bit(63)
#define RWX (V | R | W | X | U | A | D)

static const struct {
    const char *name;
    unsigned extra_bits;
} stages[] = { { "riscv64", 0 }, { "riscv64_s2", 2 } };

/* A table with the top at `top`: Sv39 to Sv57 or their x4 forms. */
static struct iommu_table riscv64(unsigned stage, unsigned top)
{
    return (struct iommu_table){ .walker = iommu_find_walker(stages[stage].name),
                                 .root = table_at(top),
                                 .top_level = top,
                                 .va_bits = 21 + 9 * top + stages[stage].extra_bits,
                                 .oa_bits = 56,
                                 .sign_extend = stage == 0 };
}

static uint64_t item_of(uint64_t address, uint64_t flags)
{
    return address >> 12 << 10 | flags;
}

/* Table items from `top` down to `level` on the path of `input`; the top's index has all bits that are left. */
static void put_tables(struct physmem *memory, const struct iommu_table *table, unsigned level, uint64_t input)
{
    for (unsigned l = table->top_level; l > level; l--) {
        const uint64_t index =
            l == table->top_level ? (input & low_mask(table->va_bits)) >> (12 + 9 * l) : index_of(input, l);

        put(memory, l, index, item_of(table_at(l - 1), V));
    }
}

static void put_leaf(struct physmem *memory, const struct iommu_table *table, unsigned level, uint64_t input,
                     uint64_t item)
{
    const uint64_t index =
        level == table->top_level ? (input & low_mask(table->va_bits)) >> (12 + 9 * level) : index_of(input, level);

    put_tables(memory, table, level, input);
    put(memory, level, index, item);
}

static void the_worked_examples_are_read(void **state)
{
    static const struct {
        uint64_t va, pa, item;
        unsigned level, shift;
        bool writable;
    } examples[] = {
        { 0x1000, 0x5000, 0x00000000000014df, 0, 12, true },
        { 0x2000, 0x6000, 0x000000000000185b, 0, 12, false },
        { 0x3000, 0x7000, 0x0000000000001cd7, 0, 12, true },
        { 0x4000, 0x7000, 0x0000000000001c53, 0, 12, false },
        { 0x10000, 0x50010000, 0x80000000140060df, 0, 16, true },
        { 0x200000, 0x8000200000, 0x00000020000800df, 1, 21, true },
        { 0x40000000, 0x80000000, 0x0000000020000053, 2, 30, false },
        { 0x8000000000, 0x8000000000, 0x00000020000000d7, 3, 39, true },
    };

    (void)state;
    for (unsigned stage = 0; stage < 2; stage++) {
        const struct iommu_table table = riscv64(stage, 3);

        for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
            struct physmem memory = memory_new();
            struct iommu_leaf leaf;

            put_leaf(&memory, &table, examples[i].level, examples[i].va, examples[i].item);
            leaf = iommu_walk_physmem(&table, &memory, examples[i].va + 0x123, IOMMU_READ);
            assert_leads_to(&leaf, examples[i].pa + 0x123, examples[i].shift);
            assert_true(leaf.readable);
            assert_int_equal(leaf.writable, examples[i].writable);
            assert_int_equal(leaf.dirty, examples[i].writable);
            assert_int_equal(leaf.reads, 4 - examples[i].level);
            physmem_destroy(&memory);
        }
    }
}

static void a_table_item_leads_to_the_address_it_holds(void **state)
{
    const struct iommu_table table = { .walker = iommu_find_walker("riscv64"),
                                       .root = ROOT,
                                       .top_level = 3,
                                       .va_bits = 48,
                                       .oa_bits = 56,
                                       .sign_extend = true };
    struct physmem memory;
    struct iommu_leaf leaf;

    (void)state;
    physmem_init(&memory, UINT64_C(1) << 40);
    assert_true(physmem_write64(&memory, hpa(ROOT), 0x0000000048d15801));
    assert_true(physmem_write64(&memory, hpa(0x123456000), 0xabc0));
    leaf = iommu_walk_physmem(&table, &memory, 0, IOMMU_READ);
    assert_int_equal(leaf.fault, IOMMU_NOT_PRESENT);
    assert_int_equal(leaf.items[1], 0xabc0);
    assert_int_equal(iommu_item_address(&table, 0x0000000048d15801, 1), 0x123456000);
    assert_int_equal(iommu_item_address(&table, 0x80000000140060df, 0), 0x50010000);
    assert_int_equal(iommu_item_address(&table, 0xabc0, 0), 0);
    physmem_destroy(&memory);
}

/* Any level, each top, both stages; the top's last item, which the second stage has at 2047 of its four pages. */
static void leaves_of_every_level_are_read_under_every_top(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2 * 3 * 5; i++) {
        const unsigned stage = i % 2, top = 2 + i / 2 % 3, level = i / 6;
        const struct iommu_table table = riscv64(stage, top);
        const unsigned shift = 12 + 9 * level;
        const uint64_t last = stage == 0 ? UINT64_MAX : low_mask(table.va_bits);
        const uint64_t places[] = { 0, align_down(last, shift),
                                    align_down(last >> (stage ? 1 : 65 - table.va_bits), shift) };

        for (unsigned place = 0; level <= top && place < 3; place++) {
            const uint64_t target = align_down(UINT64_C(0xa5a5a5a5a5a5a5), shift);
            struct physmem memory = memory_new();
            struct iommu_leaf leaf;

            put_leaf(&memory, &table, level, places[place], item_of(target, RWX));
            leaf = iommu_walk_physmem(&table, &memory, places[place] + low_mask(shift), IOMMU_WRITE);
            assert_leads_to(&leaf, target + low_mask(shift), shift);
            assert_int_equal(leaf.level, level);
            physmem_destroy(&memory);
        }
    }
}

/* Svnapot: hardware reads one item, whichever; the low four bits of the page number come from the address. */
static void any_item_of_a_64k_run_stands_for_all(void **state)
{
    const struct iommu_table table = riscv64(0, 3);
    struct physmem memory = memory_new();

    (void)state;
    put_tables(&memory, &table, 0, 0);
    for (unsigned i = 16; i < 32; i++) {
        struct iommu_leaf leaf;

        put(&memory, 0, i, 0x80000000140060df);
        leaf = iommu_walk_physmem(&table, &memory, i * 0x1000 + 0xabc, IOMMU_WRITE);
        assert_leads_to(&leaf, 0x50010abc + (i - 16) * 0x1000, 16);
        put(&memory, 0, i, 0);
    }
    physmem_destroy(&memory);
}

static void reserved_bits_and_encodings_fault(void **state)
{
    static const struct {
        unsigned level;
        uint64_t item;
        enum iommu_fault fault;
    } rows[] = {
        { 0, 0, IOMMU_NOT_PRESENT },
        { 0, (0x5000 >> 2 | RWX) & ~(uint64_t)V, IOMMU_NOT_PRESENT },
        { 2, ~UINT64_C(1), IOMMU_NOT_PRESENT },
        { 0, 0x5000 >> 2 | V | W | U | A | D, IOMMU_RESERVED_BITS },     /* W without R */
        { 0, 0x5000 >> 2 | V | W | X | U | A | D, IOMMU_RESERVED_BITS }, /* also with X */
        { 1, V | W, IOMMU_RESERVED_BITS },
        { 0, 0x5000 >> 2 | V, IOMMU_RESERVED_BITS }, /* a table below level 0 */
        { 0, 0x5000 >> 2 | V | U | A, IOMMU_RESERVED_BITS },
        { 1, 0x10000 >> 2 | V | U, IOMMU_RESERVED_BITS }, /* U, A, D, N of a table */
        { 1, 0x10000 >> 2 | V | A, IOMMU_RESERVED_BITS },
        { 1, 0x10000 >> 2 | V | D, IOMMU_RESERVED_BITS },
        { 1, 0x10000 >> 2 | V | UINT64_C(1) << 63, IOMMU_RESERVED_BITS },
        { 1, 0x201000 >> 2 | RWX, IOMMU_RESERVED_BITS }, /* misaligned */
        { 1, 0x300000 >> 2 | RWX, IOMMU_RESERVED_BITS },
        { 2, 0x40200000 >> 2 | RWX, IOMMU_RESERVED_BITS },
        { 3, UINT64_C(0x8040000000) >> 2 | RWX, IOMMU_RESERVED_BITS },
        { 1, 0x200000 >> 2 | RWX | UINT64_C(1) << 63, IOMMU_RESERVED_BITS }, /* N above level 0 */
        { 1, 0x2008000 >> 2 | RWX | UINT64_C(1) << 63, IOMMU_RESERVED_BITS },
        { 0, 0x5000 >> 2 | G | RWX | 3 << 8, IOMMU_NO_FAULT }, /* G and RSW are nothing to a device */
        { 3, UINT64_C(0x8000000000) >> 2 | RWX, IOMMU_NO_FAULT },
    };

    (void)state;
    for (unsigned stage = 0; stage < 2; stage++) {
        const struct iommu_table table = riscv64(stage, 3);

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct physmem memory = memory_new();

            put_leaf(&memory, &table, rows[i].level, 0, rows[i].item);
            assert_int_equal(iommu_walk_physmem(&table, &memory, 0, IOMMU_READ).fault, rows[i].fault);
            physmem_destroy(&memory);
        }
    }
}

/* Bits 62:54 in leaves and tables; of the 16 values that 64K items may have below, one. */
static void each_reserved_bit_and_each_napot_encoding_is_judged(void **state)
{
    const struct iommu_table table = riscv64(1, 3);

    (void)state;
    for (unsigned i = 54; i < 63; i++) {
        for (unsigned level = 0; level < 4; level++) {
            struct physmem memory = memory_new();

            put_leaf(&memory, &table, level, 0, RWX | bit(i));
            assert_int_equal(iommu_walk_physmem(&table, &memory, 0, IOMMU_READ).fault, IOMMU_RESERVED_BITS);
            put(&memory, level, 0, (level ? item_of(table_at(level - 1), V) : V) | bit(i));
            assert_int_equal(iommu_walk_physmem(&table, &memory, 0, IOMMU_READ).fault, IOMMU_RESERVED_BITS);
            physmem_destroy(&memory);
        }
    }
    for (uint64_t low = 0; low < 16; low++) {
        struct physmem memory = memory_new();

        put_leaf(&memory, &table, 0, 0, item_of(0x70000 + low * 0x1000, RWX | N));
        assert_int_equal(iommu_walk_physmem(&table, &memory, 0, IOMMU_READ).fault,
                         low == 8 ? IOMMU_NO_FAULT : IOMMU_RESERVED_BITS);
        physmem_destroy(&memory);
    }
}

static void rights_are_those_of_the_leaf_and_of_a_user(void **state)
{
    static const struct {
        uint64_t flags;
        bool readable, writable;
    } rows[] = {
        { V | R | U | A, true, false },      { V | R | W | U | A | D, true, true }, { V | R | X | U | A, true, false },
        { V | X | U | A, false, false },     { V | R | W | A | D, false, false }, /* U = 0: not a device's */
        { V | R | W | U | D, false, false },                                      /* A = 0, D = 0: Svade */
        { V | R | W | U | A, true, false },
    };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        const unsigned row = (unsigned)i / 2;
        const struct iommu_table table = riscv64(i % 2, 2);
        struct physmem memory = memory_new();

        put_leaf(&memory, &table, 0, 0x1000, item_of(0x5000, rows[row].flags));
        assert_int_equal(iommu_walk_physmem(&table, &memory, 0x1000, IOMMU_READ).fault,
                         rows[row].readable ? IOMMU_NO_FAULT : IOMMU_PERMISSION);
        assert_int_equal(iommu_walk_physmem(&table, &memory, 0x1000, IOMMU_WRITE).fault,
                         rows[row].writable ? IOMMU_NO_FAULT : IOMMU_PERMISSION);
        physmem_destroy(&memory);
    }
}

static void addresses_beyond_the_mode_are_not_canonical(void **state)
{
    static const struct {
        unsigned stage, top;
        uint64_t inside, outside;
    } rows[] = {
        { 0, 2, 0x3fffffffff, 0x4000000000 },           { 0, 2, 0xffffffc000000000, 0xffffffbfffffffff },
        { 0, 3, 0x7fffffffffff, 0x800000000000 },       { 0, 3, 0xffff800000000000, 0xffff7fffffffffff },
        { 0, 4, 0xffffffffffffff, 0x100000000000000 },  { 0, 4, 0xff00000000000000, 0x8000000000000000 },
        { 1, 2, 0x1ffffffffff, 0x20000000000 },         { 1, 3, 0x3ffffffffffff, 0x4000000000000 },
        { 1, 4, 0x7ffffffffffffff, 0x800000000000000 }, { 1, 3, 0x2000000000000, 0xffffffffffffffff },
    };
    struct physmem memory = memory_new();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct iommu_table table = riscv64(rows[i].stage, rows[i].top);

        assert_int_equal(iommu_walk_physmem(&table, &memory, rows[i].inside, IOMMU_READ).fault, IOMMU_NOT_PRESENT);
        assert_int_equal(iommu_walk_physmem(&table, &memory, rows[i].outside, IOMMU_READ).fault, IOMMU_CANONICAL);
    }
    physmem_destroy(&memory);
}

static void a_leaf_beyond_the_output_width_is_refused(void **state)
{
    struct iommu_table table = riscv64(0, 3);
    struct physmem memory = memory_new();

    (void)state;
    table.oa_bits = 44;
    put_leaf(&memory, &table, 0, 0, item_of(bit(44) - 0x1000, RWX));
    put(&memory, 0, 1, item_of(bit(44), RWX));
    put(&memory, 0, 16, item_of(bit(55) | 0x8000, RWX | N));
    assert_int_equal(iommu_walk_physmem(&table, &memory, 0, IOMMU_READ).fault, IOMMU_NO_FAULT);
    assert_int_equal(iommu_walk_physmem(&table, &memory, 0x1000, IOMMU_READ).fault, IOMMU_RESERVED_BITS);
    assert_int_equal(iommu_walk_physmem(&table, &memory, 0x10000, IOMMU_READ).fault, IOMMU_RESERVED_BITS);
    table.oa_bits = 56;
    assert_int_equal(iommu_walk_physmem(&table, &memory, 0x10000, IOMMU_READ).address, bit(55));
    physmem_destroy(&memory);
}

/* ---- A and D ----------------------------------------------------------------------------------------------------- */

static bool read_word(void *context, uint64_t address, uint64_t *value)
{
    return physmem_read64(context, hpa(address), value);
}

static bool cas_word(void *context, uint64_t address, uint64_t expected, uint64_t desired)
{
    return physmem_cas64(context, hpa(address), expected, desired);
}

static uint64_t word(const struct physmem *memory, unsigned level, uint64_t index)
{
    uint64_t item = 0;

    assert_true(physmem_read64(memory, hpa(table_at(level) + 8 * index), &item));
    return item;
}

/* With hardware updates (Svadu, SADE, GADE): in the item that was read, and in no table. */
static void hardware_updates_mark_the_one_item_they_read(void **state)
{
    (void)state;
    for (unsigned stage = 0; stage < 2; stage++) {
        struct iommu_table table = riscv64(stage, 3);
        struct physmem memory = memory_new();
        const struct iommu_memory access = { .read = read_word, .cas = cas_word, .context = &memory };
        const uint64_t item = item_of(0x50018000, N | V | R | W | U);
        struct iommu_leaf leaf;

        table.set_accessed_dirty = true;
        put_tables(&memory, &table, 0, 0);
        for (unsigned i = 16; i < 32; i++) put(&memory, 0, i, item);
        leaf = iommu_walk(&table, &access, 0x13000, IOMMU_READ);
        assert_leads_to(&leaf, 0x50013000, 16);
        assert_true(leaf.writable && !leaf.dirty);
        assert_int_equal(word(&memory, 0, 19), item | A);
        leaf = iommu_walk(&table, &access, 0x13000, IOMMU_WRITE);
        assert_true(leaf.dirty);
        assert_int_equal(word(&memory, 0, 19), item | A | D);
        assert_int_equal(word(&memory, 0, 18), item);
        for (unsigned level = 1; level < 4; level++)
            assert_int_equal(word(&memory, level, 0), item_of(table_at(level - 1), V));
        put(&memory, 0, 16, item & ~(uint64_t)U);
        assert_int_equal(iommu_walk(&table, &access, 0x10000, IOMMU_WRITE).fault, IOMMU_PERMISSION);
        put(&memory, 0, 17, item ^ item_of(0x1000, 0));
        assert_int_equal(iommu_walk(&table, &access, 0x11000, IOMMU_WRITE).fault, IOMMU_RESERVED_BITS);
        assert_int_equal(word(&memory, 0, 16), item & ~(uint64_t)U); /* what faults is not marked */
        assert_int_equal(word(&memory, 0, 17), item ^ item_of(0x1000, 0));
        physmem_destroy(&memory);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worked_examples_are_read),
        cmocka_unit_test(a_table_item_leads_to_the_address_it_holds),
        cmocka_unit_test(leaves_of_every_level_are_read_under_every_top),
        cmocka_unit_test(any_item_of_a_64k_run_stands_for_all),
        cmocka_unit_test(reserved_bits_and_encodings_fault),
        cmocka_unit_test(each_reserved_bit_and_each_napot_encoding_is_judged),
        cmocka_unit_test(rights_are_those_of_the_leaf_and_of_a_user),
        cmocka_unit_test(addresses_beyond_the_mode_are_not_canonical),
        cmocka_unit_test(a_leaf_beyond_the_output_width_is_refused),
        cmocka_unit_test(hardware_updates_mark_the_one_item_they_read),
    };

    return TEST_MAIN(tests, argc, argv);
}
