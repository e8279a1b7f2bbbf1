/*
 * What an engine writes is what hardware reads: for every configuration of pt_kunit.h, every leaf size and every prot,
 * the walker of core/iommu, which was written from the manual, finds the same address, size and rights. And what the
 * manual calls reserved makes it fault, bit by bit.
 */
#include "iommu/iommu.h"
#include "oracle/oracle.h"
#include "pt/pt_kunit.h"
#include "world/table_walk.h"

/* Hardware that walks the fixture's table. */
struct walked {
    struct physmem memory;
    struct iommu_table table;
};

static void walk_open(struct walked *walked, struct fixture *f, const struct kunit_config *config)
{
    physmem_init(&walked->memory, 0);
    physmem_attach(&walked->memory, hpa(f->pool.base), &f->pool);
    walked->table = table_walk(&f->pt);
    walked->table.set_accessed_dirty = config->features & PT_HARDWARE_DIRTY; /* elsewhere what needs it shows */
}

static struct iommu_leaf look(const struct walked *walked, uint64_t va, enum iommu_access access)
{
    return iommu_walk_physmem(&walked->table, &walked->memory, va, access);
}

struct one_leaf {
    uint64_t va, pa;
    unsigned shift, prot;
};

static unsigned item_shift_of(const struct fixture *f, unsigned shift)
{
    const struct pt_geometry *geometry = &f->pt.engine->geometry;

    return kunit_item_shift(f, (shift - geometry->granule_shift) / geometry->index_bits);
}

static void check_byte(const struct walked *walked, const struct kunit_config *config, const struct one_leaf *leaf,
                       uint64_t offset)
{
    const bool may_read = leaf->prot & PT_READ || oracle_find_format(config->format)->read_is_implied;
    const bool may_write = leaf->prot & PT_WRITE;
    const struct iommu_leaf read = look(walked, leaf->va + offset, IOMMU_READ);
    const struct iommu_leaf write = look(walked, leaf->va + offset, IOMMU_WRITE);

    assert_int_equal(read.fault, may_read ? IOMMU_NO_FAULT : IOMMU_PERMISSION);
    assert_int_equal(write.fault, may_write ? IOMMU_NO_FAULT : IOMMU_PERMISSION);
    assert_int_equal(read.address, leaf->pa + offset);
    assert_int_equal(write.address, read.address);
    assert_int_equal(read.shift, leaf->shift);
    assert_int_equal(read.readable, may_read);
    assert_int_equal(read.writable, may_write);
    if (config->c_bit) assert_int_equal(read.encrypted, !(leaf->prot & PT_MMIO));
    assert_int_equal((may_read ? read : write).non_secure, (config->features & PT_NON_SECURE) != 0);
    if (strncmp(config->format, "armv8", 5) == 0)
        assert_int_equal((may_read ? read : write).write_back, (leaf->prot & (PT_CACHE | PT_MMIO)) == PT_CACHE);
}

static void assert_nothing_at(const struct walked *walked, uint64_t va)
{
    const enum iommu_fault fault = look(walked, va, IOMMU_READ).fault;

    if (fault != IOMMU_NOT_PRESENT && fault != IOMMU_CANONICAL) fail_msg("%s", iommu_fault_name(fault));
}

/* A byte of every item (of a long run's ends, but for one prot), the last byte, those beside it; then it goes. */
static void check_leaf(struct fixture *f, const struct kunit_config *config, const struct one_leaf *leaf)
{
    const unsigned item_shift = item_shift_of(f, leaf->shift);
    const unsigned run = 1u << (leaf->shift - item_shift);
    const uint64_t last = leaf->va + low_mask(leaf->shift);
    struct walked walked;

    walk_open(&walked, f, config); /* after the map: a top may have grown */
    for (unsigned i = 0; i < run; i += leaf->prot == RW || i < 4 || i + 3 >= run ? 1 : run - i - 3)
        check_byte(&walked, config, leaf, ((uint64_t)i << item_shift) + low_mask(item_shift) / 3);
    check_byte(&walked, config, leaf, low_mask(leaf->shift));
    assert_int_equal(look(&walked, leaf->va, leaf->prot & PT_READ ? IOMMU_READ : IOMMU_WRITE).level,
                     (item_shift - kunit_item_shift(f, 0)) / f->pt.engine->geometry.index_bits);
    assert_nothing_at(&walked, leaf->va - 1);
    assert_nothing_at(&walked, last + 1);
    assert_int_equal(fixture_unmap(f, leaf->va, bit(leaf->shift)), bit(leaf->shift));
    assert_nothing_at(&walked, leaf->va);
    assert_nothing_at(&walked, last);
    physmem_destroy(&walked.memory);
}

/* The second place of that size, to address 0; or the last one, to the last address. */
static void check_sizes(struct fixture *f, const struct kunit_config *config, bool is_last)
{
    const uint64_t base = kunit_base(config, kunit_halves(config) - 1);

    for (unsigned shift = 0; shift < 64; shift++) {
        const uint64_t place = is_last ? align_down(kunit_last(config), shift) : kunit_place(config, shift);
        struct one_leaf leaf = { base | place, is_last ? align_down(low_mask(config->oa_bits), shift) : 0, shift, 0 };

        if (!(f->pt.page_sizes & bit(shift)) || !kunit_fits(config, shift)) continue;
        for (; leaf.prot < 64; leaf.prot++) {
            if (fixture_map(f, leaf.va, leaf.pa, bit(shift), leaf.prot) == 0) check_leaf(f, config, &leaf);
        }
    }
}

static void on_hardware_reads_what_the_engine_wrote(struct fixture *f, const struct kunit_config *config)
{
    check_sizes(f, config, false); /* first: the others make tops grow */
    check_sizes(f, config, true);
}
KUNIT_TEST(hardware_reads_what_the_engine_wrote)

/* Each single address bit of the output, at every size. */
static void on_hardware_reads_every_address_bit(struct fixture *f, const struct kunit_config *config)
{
    for (unsigned shift = 0; shift < 64; shift++) {
        const uint64_t va = kunit_base(config, 0) | kunit_place(config, shift);

        if (!(f->pt.page_sizes & bit(shift)) || !kunit_fits(config, shift)) continue;
        for (unsigned b = shift; b < config->oa_bits; b++) {
            struct walked walked;

            kunit_map_ok(f, va, bit(b), bit(shift));
            walk_open(&walked, f, config);
            assert_int_equal(look(&walked, va + low_mask(shift), IOMMU_READ).address, bit(b) + low_mask(shift));
            assert_int_equal(look(&walked, va, IOMMU_READ).shift, shift);
            physmem_destroy(&walked.memory);
            assert_int_equal(fixture_unmap(f, va, bit(shift)), bit(shift));
        }
    }
}
KUNIT_TEST(hardware_reads_every_address_bit)

/* ---- reserved bits ----------------------------------------------------------------------------------------------- */

#define BITS(first, last) (low_mask((last) + 1) & ~low_mask(first))

/* 1.6: 50:48 are RES0, 0b01 is no page, and items of a block lie at multiples of what they translate. */
static uint64_t arm_reserved_bits(const char *format, unsigned level, unsigned shift)
{
    const unsigned granule_shift = strstr(format, "_16k") ? 14 : strstr(format, "_64k") ? 16 : 12;
    const unsigned item_shift = granule_shift + (granule_shift - 3) * level;

    if (!shift) return BITS(48, 50);
    return BITS(48, 50) | (level == 0 ? BITS(1, 1) : BITS(granule_shift, item_shift - 1));
}

/* What the manuals reserve in an item of `level`, said here from them and not taken from a header. `shift` is the size
 * of a leaf, 0 for a table. Address bits below a leaf's size are among them where the format has no other use for them.
 */
static uint64_t reserved_bits(const char *format, unsigned level, unsigned shift)
{
    if (strcmp(format, "amdv1") == 0) return BITS(52, 59) | (shift ? 0 : BITS(60, 60));                      /* 1.1 */
    if (strcmp(format, "x86_64") == 0) return shift > 13 ? BITS(13, shift - 1) : level > 2 ? BITS(7, 7) : 0; /* 1.2 */
    if (strcmp(format, "vtdss") == 0) return shift > 12 ? BITS(12, shift - 1) : level > 2 ? BITS(7, 7) : 0;  /* 1.3 */
    if (strncmp(format, "riscv64", 7) == 0) { /* 1.4: 62:54; in a table D, A, U too; N is 64K at level 0 only */
        if (!shift) return BITS(54, 63) | BITS(6, 7) | BITS(4, 4);
        if (shift == 16) return BITS(54, 62) | BITS(10, 13); /* the encoding of 64K */
        return BITS(54, 63) | (shift > 16 ? BITS(10, shift - 3) : 0);
    }
    if (strcmp(format, "fake") == 0) { /* formats/fake.h 2 */
        const uint64_t known = BITS(2 * level, 9 + 2 * level) | BITS(12 + 3 * level, 47 + 3 * level);

        return (~known & ~BITS(60, 63)) | BITS(61, 63) |
               (shift ? BITS(60, 60) : BITS(6 + 2 * level, 9 + 2 * level) | BITS(12 + 3 * level, 12 + 3 * level)) |
               (shift && level ? BITS(12 + 3 * level, 11 + 12 * level) : 0);
    }
    return arm_reserved_bits(format, level, shift);
}

static void check_reserved(struct fixture *f, const struct kunit_config *config, const struct kunit_found *found,
                           uint64_t va, uint64_t reserved)
{
    const uint64_t raw = pt_sync_load(found->item);
    struct walked walked;

    walk_open(&walked, f, config);
    for (unsigned b = 0; b < 64; b++) {
        if (!(reserved & bit(b))) continue;
        pt_sync_store(found->item, raw ^ bit(b));
        if (look(&walked, va, IOMMU_READ).fault != IOMMU_RESERVED_BITS)
            fail_msg("%s: level %u, bit %u of 0x%016llx does not fault", config->name, found->level, b,
                     (unsigned long long)raw);
        pt_sync_store(found->item, raw);
    }
    assert_int_equal(look(&walked, va, IOMMU_READ).fault, IOMMU_NO_FAULT);
    physmem_destroy(&walked.memory);
}

static void on_every_reserved_bit_faults(struct fixture *f, const struct kunit_config *config)
{
    for (unsigned shift = 0; shift < 64; shift++) {
        const uint64_t va = kunit_base(config, 0) | kunit_place(config, shift);
        struct kunit_found found;
        struct pt_info info;

        if (!(f->pt.page_sizes & bit(shift)) || !kunit_fits(config, shift)) continue;
        kunit_map_ok(f, va, 0, bit(shift));
        found = kunit_find(f, va, 0);
        check_reserved(f, config, &found, va, reserved_bits(config->format, found.level, shift));
        pt_get_info(&f->pt, &info);
        for (unsigned level = found.level + 1; level <= info.top_level; level++) {
            found = kunit_find(f, va, level);
            check_reserved(f, config, &found, va, reserved_bits(config->format, level, 0));
        }
        assert_int_equal(fixture_unmap(f, va, bit(shift)), bit(shift));
    }
}
KUNIT_TEST(every_reserved_bit_faults)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hardware_reads_what_the_engine_wrote),
        cmocka_unit_test(hardware_reads_every_address_bit),
        cmocka_unit_test(every_reserved_bit_faults),
    };

    return TEST_MAIN(tests, argc, argv);
}
