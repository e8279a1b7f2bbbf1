/*
 * Armv8, six rows. The worked examples of formats.md 1.6 and the tables of start levels. Those of reading (a) that
 * golden/arm also has were run against Linux there; all words of reading (b) are calculated, not run against Linux.
 */
#include "base/test_main.h"
#include "pt/armv8_registers.h"
#include "pt/pt_fixture.h"

#define RW  (PT_READ | PT_WRITE)
#define RWC (RW | PT_CACHE)
#define A   PT_ARM_IO_PGTABLE /* reading (a) */
#define B   PT_CONTIGUOUS     /* reading (b) with the hint */

static int open_bits(struct fixture *f, const char *engine, unsigned va_bits, unsigned oa_bits, uint32_t features)
{
    fixture_open(f, engine);
    f->config.va_bits = va_bits;
    f->config.oa_bits = oa_bits;
    f->config.features = features | PT_FLUSH_RANGE;
    return pt_init(&f->pt, engine_find(engine), &f->config);
}

/* formats.md 1.6 "Worked examples", then what its text says and no example shows. */
static const struct example {
    const char *engine;
    unsigned oa_bits;
    uint32_t features;
    unsigned prot;
    uint64_t pa, length;
    unsigned level, index; /* of the item, index within the leaf */
    uint64_t raw;
} examples[] = {
    { "armv8", 48, A, RWC, 0x80001000, 0x1000, 0, 0, 0x0000000080001f47 },
    { "armv8", 48, A, PT_READ, 0x80001000, 0x1000, 0, 0, 0x0000000080001ec3 },
    { "armv8", 48, A, PT_WRITE, 0x80001000, 0x1000, 0, 0, 0x0000000080001e43 },
    { "armv8", 48, A, RWC | PT_NOEXEC | PT_PRIV, 0x80001000, 0x1000, 0, 0, 0x0060000080001f07 },
    { "armv8", 48, A, RW | PT_MMIO, 0xfee00000, 0x1000, 0, 0, 0x00000000fee00e4b },
    { "armv8", 48, A | PT_HARDWARE_DIRTY, RWC, 0x80001000, 0x1000, 0, 0, 0x0008000080001f47 },
    { "armv8", 48, A, RWC, 0x40200000, 0x200000, 1, 0, 0x0000000040200f45 },
    { "armv8", 48, A, RW, 0x80000000, 0x40000000, 2, 0, 0x0000000080000e41 },
    { "armv8_64k", 52, A, RWC, 0xf000012340000, 0x10000, 0, 0, 0x000000001234ff47 },
    { "armv8_s2", 48, A, RWC, 0x80001000, 0x1000, 0, 0, 0x00000000800017ff },
    { "armv8_s2", 48, A, PT_READ, 0x80001000, 0x1000, 0, 0, 0x0000000080001657 },
    { "armv8_s2", 48, A, RW | PT_MMIO, 0xfee00000, 0x1000, 0, 0, 0x00000000fee006c7 },
    { "armv8_s2", 48, A | PT_STAGE2_FWB, RWC, 0x40200000, 0x200000, 1, 0, 0x00000000402007d9 },
    { "armv8_s2", 48, A, RWC | PT_NOEXEC, 0x80000000, 0x40000000, 2, 0, 0x00600000800007fd },
    /* calculated, not run against Linux: */
    { "armv8", 48, B, RWC, 0x80010000, 0x10000, 0, 0, 0x0010000080010f47 },
    { "armv8", 48, B, RWC, 0x80010000, 0x10000, 0, 1, 0x0010000080011f47 },
    { "armv8", 48, B, RWC, 0x80010000, 0x10000, 0, 15, 0x001000008001ff47 },
    { "armv8", 48, B, RWC, 0x42000000, 0x2000000, 1, 0, 0x0010000042000f45 },
    { "armv8", 48, B, RWC, 0x42000000, 0x2000000, 1, 1, 0x0010000042200f45 },
    { "armv8", 48, B, RWC, 0x42000000, 0x2000000, 1, 15, 0x0010000043e00f45 },
    { "armv8", 48, B, RWC | PT_NOEXEC, 0x80001000, 0x1000, 0, 0, 0x0040000080001f47 },
    { "armv8", 48, PT_NON_SECURE, RWC, 0x80001000, 0x1000, 0, 0, 0x0000000080001f67 },
    { "armv8_16k", 48, B, RWC, 0x80200000, 0x200000, 0, 127, 0x00100000803fcf47 },
    { "armv8_16k", 48, B, RWC, 0x40000000, 0x40000000, 1, 31, 0x001000007e000f45 },
    { "armv8_64k", 48, B, RWC, 0x80200000, 0x200000, 0, 31, 0x00100000803f0f47 },
    { "armv8_64k", 48, B, RWC, 0x400000000, 0x400000000, 1, 31, 0x00100007e0000f45 },
    { "armv8_64k", 52, B, RWC, 0xf800000000000, 0x800000000000, 2, 31, 0x0010fc000000ff45 },
    { "armv8_s2", 48, B | PT_HARDWARE_DIRTY, RWC, 0x80001000, 0x1000, 0, 0, 0x00080000800017ff },
    { "armv8_s2", 48, B, RWC, 0x400000000, 0x400000000, 2, 15, 0x00100007c00007fd },
};

static void every_worked_example_has_its_word(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        const struct example *example = &examples[i];
        const struct pt_geometry *geometry;
        struct fixture f;
        uint64_t offset;
        hpa_t found;

        assert_int_equal(open_bits(&f, example->engine, example->oa_bits, example->oa_bits, example->features), 0);
        geometry = &f.pt.engine->geometry;
        offset = (uint64_t)example->index << (geometry->granule_shift + geometry->index_bits * example->level);
        fixture_map_ok(&f, 0, example->pa, example->length, example->prot);
        assert_int_equal(fixture_raw(&f, example->level, offset), example->raw);
        assert_true(pt_iova_to_phys(&f.pt, iova(offset + 5), &found));
        assert_int_equal(found.value, example->pa + offset + 5);
        assert_int_equal(fixture_check(&f), 0);
        fixture_close(&f);
    }
}

static void table_items_are_those_of_the_sheet(void **state)
{
    static const struct {
        const char *engine;
        unsigned bits;
        uint32_t features;
        uint64_t raw, address;
    } rows[] = {
        { "armv8", 48, A, 0x0000000123456003, 0x123456000 },
        { "armv8", 48, A | PT_NON_SECURE, 0x8000000123456003, 0x123456000 },
        { "armv8_s2_16k", 48, A, 0x0000000123454003, 0x123454000 },
        { "armv8_64k", 52, A, 0x000000001234a003, 0xa000012340000 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pt_decoded decoded;
        struct fixture f;

        assert_int_equal(open_bits(&f, rows[i].engine, rows[i].bits, rows[i].bits, rows[i].features), 0);
        f.pt.engine->decode(&f.pt, rows[i].raw, 1, &decoded);
        assert_int_equal(decoded.kind, PT_TABLE);
        assert_int_equal(decoded.address, rows[i].address);
        assert_int_equal(decoded.canonical, rows[i].raw);
        fixture_close(&f);
    }
}

/* The note that an item was written back: both readings, both stages. */
static void a_walker_that_does_not_snoop_gets_the_software_bit(void **state)
{
    static const struct {
        const char *engine;
        uint32_t reading;
        uint64_t bit;
    } rows[] = { { "armv8", A, 55 }, { "armv8_s2", A, 55 }, { "armv8", B, 55 }, { "armv8_s2", B, 56 } };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;

        assert_int_equal(open_bits(&f, rows[i].engine, 48, 48, rows[i].reading | PT_DMA_INCOHERENT), 0);
        fixture_map_ok(&f, 0x1000, 0x5000, 0x1000, RW);
        for (unsigned level = 1; level <= 3; level++)
            assert_int_equal(fixture_raw(&f, level, 0) >> 52, bit((unsigned)rows[i].bit) >> 52);
        assert_int_equal(fixture_check(&f), 0);
        fixture_close(&f);
    }
}

/* formats.md 1.6: start level (Arm's number) and bytes of the top, IAS = OAS. (b) is calculated, not run against Linux.
 */
static void tops_are_those_of_both_readings(void **state)
{
    static const struct {
        const char *engine;
        unsigned bits;
        int a_start;
        unsigned a_bytes;
        int b_start; /* -1: -EINVAL */
        unsigned b_bytes;
    } rows[] = {
        { "armv8", 32, 1, 32, 1, 32 },
        { "armv8", 40, 0, 16, 0, 16 },
        { "armv8", 48, 0, 4096, 0, 4096 },
        { "armv8_s2", 32, 1, 32, 2, 16384 },
        { "armv8_s2", 36, 1, 512, 1, 512 },
        { "armv8_s2", 40, 1, 8192, 1, 8192 },
        { "armv8_s2", 42, 1, 32768, 1, 32768 },
        { "armv8_s2", 44, 0, 256, 0, 256 },
        { "armv8_s2", 48, 0, 4096, 0, 4096 },
        { "armv8_16k", 48, 0, 16, 0, 16 },
        { "armv8_s2_16k", 36, 2, 16384, 2, 16384 },
        { "armv8_s2_16k", 40, 2, 262144, 2, 262144 },
        { "armv8_s2_16k", 42, 1, 512, 1, 512 },
        { "armv8_s2_16k", 48, 1, 32768, 1, 32768 },
        { "armv8_64k", 52, 1, 8192, 1, 8192 },
        { "armv8_s2_64k", 44, 1, 32, 2, 262144 },
        { "armv8_s2_64k", 48, 1, 512, 1, 512 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned reading = 0; reading < 2; reading++) {
            const int start = reading ? rows[i].b_start : rows[i].a_start;
            struct armv8_registers registers;
            struct fixture f;

            assert_int_equal(open_bits(&f, rows[i].engine, rows[i].bits, rows[i].bits, reading ? B : A), 0);
            assert_true(armv8_registers(&f.pt, false, &registers));
            assert_int_equal(registers.start_level, start);
            assert_int_equal(registers.top_bytes, reading ? rows[i].b_bytes : rows[i].a_bytes);
            /* the last page of the input: the last of the concatenated tables */
            fixture_map_ok(&f, bit(rows[i].bits) - 0x10000, 0x10000, 0x10000, RW);
            assert_int_equal(fixture_check(&f), 0);
            fixture_close(&f);
        }
    }
}

static void what_neither_reading_allows_is_refused(void **state)
{
    static const struct {
        const char *engine;
        unsigned va_bits, oa_bits;
        uint32_t features;
        int error;
    } rows[] = {
        { "armv8", 24, 48, 0, -EINVAL },        { "armv8", 48, 46, 0, -EINVAL },
        { "armv8", 49, 48, 0, -EINVAL },        { "armv8", 48, 52, 0, -EINVAL }, /* LPA2 is not built */
        { "armv8_64k", 52, 50, 0, -EINVAL },    { "armv8", 48, 48, A | B, -EOPNOTSUPP },
        { "armv8_s2", 25, 48, 0, -EINVAL },     { "armv8_s2", 48, 40, 0, -EINVAL },
        { "armv8_s2", 48, 40, A, -EINVAL },     { "armv8_s2", 48, 48, PT_NON_SECURE, -EOPNOTSUPP },
        { "armv8_s2_16k", 44, 40, 0, -EINVAL }, { "armv8_s2_16k", 44, 40, A, -EINVAL },
        { "armv8_s2_64k", 48, 42, 0, -EINVAL }, { "armv8_s2", 48, 48, A | PT_HARDWARE_DIRTY, -EOPNOTSUPP },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;

        assert_int_equal(open_bits(&f, rows[i].engine, rows[i].va_bits, rows[i].oa_bits, rows[i].features),
                         rows[i].error);
        f.pt.engine = NULL;
        table_pool_destroy(&f.pool);
    }
}

/* DBM is set where a write is allowed; clean is read-only, dirty is writable; a leaf without it never changes. */
static void dirtiness_is_the_right_to_write_under_the_modifier(void **state)
{
    static const char *const engines[] = { "armv8", "armv8_s2" };

    (void)state;
    for (unsigned stage = 0; stage < 2; stage++) {
        const uint64_t clean = stage ? 0 : bit(7), dirty = stage ? bit(7) : 0;
        struct pt_gather gather = pt_gather_empty();
        struct fixture f;
        uint64_t read_only;

        assert_int_equal(open_bits(&f, engines[stage], 48, 48, B | PT_HARDWARE_DIRTY), 0);
        fixture_map_ok(&f, 0, 0x10000, 0x10000, RW);
        fixture_map_ok(&f, 0x10000, 0x40000, 0x1000, PT_READ);
        read_only = fixture_raw(&f, 0, 0x10000);
        assert_int_equal(fixture_raw(&f, 0, 0x3000) & (bit(51) | bit(7)), bit(51) | dirty);
        assert_int_equal(pt_read_and_clear_dirty(&f.pt, iova(0), 0x11000, 0, NULL, NULL, &gather), 0);
        assert_int_equal(gather.last.value, 0xffff);
        for (uint64_t va = 0; va < 0x10000; va += 0x1000)
            assert_int_equal(fixture_raw(&f, 0, va) & (bit(51) | bit(7)), bit(51) | clean);
        assert_int_equal(pt_set_dirty(&f.pt, iova(0x3000)), 0);
        assert_int_equal(fixture_raw(&f, 0, 0x3000) & bit(7), dirty);
        assert_int_equal(fixture_raw(&f, 0, 0x4000) & bit(7), clean);
        assert_int_equal(fixture_check(&f), 0); /* items of a run differ in what hardware marks only */
        assert_int_equal(pt_set_dirty(&f.pt, iova(0x10000)), 0);
        assert_int_equal(fixture_raw(&f, 0, 0x10000), read_only);
        pt_gather_sync(&f.pt, &gather);
        fixture_close(&f);
    }
}

static void without_the_modifier_nothing_can_be_read(void **state)
{
    struct pt_gather gather = pt_gather_empty();
    struct fixture f;

    (void)state;
    fixture_init(&f, "armv8");
    fixture_map_ok(&f, 0, 0x10000, 0x1000, RW);
    assert_int_equal(pt_read_and_clear_dirty(&f.pt, iova(0), 0x1000, 0, NULL, NULL, &gather), -EOPNOTSUPP);
    assert_int_equal(pt_set_dirty(&f.pt, iova(0)), -EOPNOTSUPP);
    assert_int_equal(pt_cut(&f.pt, iova(0)), 0);
    fixture_map_ok(&f, 0x200000, 0x200000, 0x200000, RW);
    assert_int_equal(pt_cut(&f.pt, iova(0x201000)), -EOPNOTSUPP); /* break-before-make */
    fixture_close(&f);
}

static void an_upper_half_has_its_own_addresses_and_no_others(void **state)
{
    const uint64_t start = UINT64_C(0xffff000000000000);
    struct pt_info info;
    struct fixture f;

    (void)state;
    assert_int_equal(open_bits(&f, "armv8", 48, 48, B | PT_UPPER_HALF), 0);
    pt_get_info(&f.pt, &info);
    assert_int_equal(info.first.value, start);
    assert_int_equal(info.last.value, UINT64_MAX);
    fixture_map_ok(&f, start, 0x10000, 0x1000, RW);
    fixture_map_ok(&f, UINT64_MAX - 0xfff, 0x20000, 0x1000, RW);
    assert_int_equal(fixture_map(&f, 0x1000, 0x10000, 0x1000, RW), -ERANGE);
    assert_int_equal(f.mapped, 0);
    assert_int_equal(fixture_map(&f, start - 0x1000, 0x10000, 0x2000, RW), -ERANGE);
    assert_int_equal(f.mapped, 0);
    assert_int_equal(fixture_map(&f, bit(63), 0x10000, 0x1000, RW), -ERANGE);
    assert_int_equal(f.mapped, 0);
    assert_int_equal(fixture_check(&f), 0);
    fixture_close(&f);
}

/* 64K with 52 bits: bits 51:48 lie elsewhere, so that a row of items must not be counted up across 2^48. */
static void addresses_go_on_across_two_to_the_48(void **state)
{
    struct fixture f;
    hpa_t found;

    (void)state;
    assert_int_equal(open_bits(&f, "armv8_64k", 52, 52, 0), 0);
    fixture_map_ok(&f, 0, bit(48) - 0x20000, 0x40000, RWC);
    assert_int_equal(fixture_raw(&f, 0, 0x10000), 0x0000ffffffff0f47);
    assert_int_equal(fixture_raw(&f, 0, 0x20000), 0x0000000000001f47);
    assert_true(pt_iova_to_phys(&f.pt, iova(0x30001), &found));
    assert_int_equal(found.value, bit(48) + 0x10001);
    fixture_close(&f);
}

/* What only these formats can break; each row is one word set wrong. */
static void broken_words_are_reported_by_their_invariant(void **state)
{
    static const struct {
        unsigned level;
        uint64_t va, flip;
        unsigned invariant;
    } rows[] = {
        { 0, 0x1000, UINT64_C(1) << 1, 16 },   /* 0b01 among the pages */
        { 0, 0x1000, UINT64_C(1) << 10, 14 },  /* no access flag */
        { 0, 0x1000, UINT64_C(1) << 4, 16 },   /* a MAIR index that nobody programmed */
        { 0, 0x1000, UINT64_C(1) << 53, 16 },  /* reading (b) has one XN bit */
        { 0, 0x1000, UINT64_C(1) << 50, 16 },  /* RES0 */
        { 1, 0x200000, UINT64_C(1) << 12, 9 }, /* a block's address below its size */
        { 0, 0x1000, UINT64_C(1) << 52, 11 },  /* a run of one item */
        { 0, 0x13000, UINT64_C(1) << 12, 12 }, /* an address in a run */
        { 0, 0x13000, UINT64_C(1) << 7, 12 },  /* a right in a run, without the modifier */
        { 1, 0, UINT64_C(1) << 63, 16 },       /* NSTable of a secure table */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pt_item_t *slot;
        struct fixture f;

        fixture_init(&f, "armv8");
        fixture_map_ok(&f, 0x1000, 0x5000, 0x1000, RWC);
        fixture_map_ok(&f, 0x10000, 0x40000, 0x10000, RWC);
        fixture_map_ok(&f, 0x200000, 0x200000, 0x200000, RWC);
        assert_int_equal(fixture_check(&f), 0);
        slot = fixture_slot(&f, rows[i].level, rows[i].va);
        *slot ^= rows[i].flip;
        fixture_check(&f);
        assert_int_not_equal(f.seen[rows[i].invariant], 0);
        *slot ^= rows[i].flip;
        fixture_close(&f);
    }
}

/* 4K, stage 2, all three granules' SL0, TTBR1's granule code: values of the Arm ARM. golden/arm has the rest. */
static void registers_are_for_armv8_only(void **state)
{
    struct armv8_registers registers;
    struct fixture f;

    (void)state;
    fixture_init(&f, "vtdss");
    assert_false(armv8_registers(&f.pt, false, &registers));
    fixture_close(&f);
    fixture_init(&f, "armv8_s2_16k");
    assert_false(armv8_registers(&f.pt, true, &registers));
    assert_true(armv8_registers(&f.pt, false, &registers));
    assert_int_equal(registers.tg, 2);
    assert_int_equal(registers.sl0, 2);
    assert_int_equal(registers.tsz, 16);
    assert_int_equal(registers.ps, 5);
    assert_int_equal(registers.top_bytes, 32768);
    fixture_close(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_worked_example_has_its_word),
        cmocka_unit_test(table_items_are_those_of_the_sheet),
        cmocka_unit_test(a_walker_that_does_not_snoop_gets_the_software_bit),
        cmocka_unit_test(tops_are_those_of_both_readings),
        cmocka_unit_test(what_neither_reading_allows_is_refused),
        cmocka_unit_test(dirtiness_is_the_right_to_write_under_the_modifier),
        cmocka_unit_test(without_the_modifier_nothing_can_be_read),
        cmocka_unit_test(an_upper_half_has_its_own_addresses_and_no_others),
        cmocka_unit_test(addresses_go_on_across_two_to_the_48),
        cmocka_unit_test(broken_words_are_reported_by_their_invariant),
        cmocka_unit_test(registers_are_for_armv8_only),
    };

    return TEST_MAIN(tests, argc, argv);
}
