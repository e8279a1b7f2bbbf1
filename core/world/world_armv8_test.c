/* Worlds with Arm tables: what the keys of the world op make of them, and what hardware sees there. */
#include "world/world_test_help.h"

#include <errno.h>

/* formats.md 1.6: (b) puts tables side by side where 16 or fewer would be the top, (a) where Arm has no such start. */
static void the_widths_say_the_top_level_in_both_readings(void **state)
{
    static const struct {
        const char *world;
        unsigned top_level;
    } rows[] = {
        { "world format=armv8_s2", 3 },
        { "world format=armv8_s2 va_bits=40", 2 },
        { "world format=armv8_s2 va_bits=40 io_pgtable=yes", 3 },
        { "world format=armv8_s2 va_bits=40 oa_bits=40 io_pgtable=yes", 2 },
        { "world format=armv8_s2 va_bits=42 oa_bits=42 io_pgtable=yes", 2 },
        { "world format=armv8_s2 va_bits=40 oa_bits=44 io_pgtable=yes", 3 },
        { "world format=armv8_s2 va_bits=32 io_pgtable=yes", 2 },
        { "world format=armv8_s2 va_bits=32", 1 },
        { "world format=armv8_s2_16k io_pgtable=yes", 2 },
        { "world format=armv8_s2_16k va_bits=40 oa_bits=40 io_pgtable=yes", 1 },
        { "world format=armv8_s2_16k va_bits=40 io_pgtable=yes", 2 },
        { "world format=armv8_s2_64k va_bits=44 io_pgtable=yes", 2 },
        { "world format=armv8_s2_64k va_bits=44", 1 },
        { "world format=armv8_16k va_bits=48 io_pgtable=yes", 3 },
        { "world format=armv8 va_bits=40 oa_bits=40 io_pgtable=yes", 3 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *world = world_begun(rows[i].world, 0);
        struct pt_info info;

        pt_get_info(world_table(world, 0, STAGE_DEFAULT), &info);
        if (info.top_level != rows[i].top_level) fail_msg("%s: top level %u", rows[i].world, info.top_level);
        world_free(world);
    }
}

static void keys_of_the_other_stage_or_reading_are_refused(void **state)
{
    static const struct {
        const char *world;
        int error;
    } rows[] = {
        { "world format=armv8_s2 upper_half=yes", -EOPNOTSUPP },
        { "world format=armv8_s2 non_secure=yes", -EOPNOTSUPP },
        { "world format=armv8 fwb=yes", -EOPNOTSUPP },
        { "world format=armv8_s2 io_pgtable=yes hardware_dirty=yes", -EOPNOTSUPP },
        { "world format=armv8_s2 oa_bits=40 io_pgtable=yes", -EINVAL }, /* 512 tables side by side */
        { "world format=amdv1 io_pgtable=yes", -EOPNOTSUPP },
        { "world format=x86_64 upper_half=yes", -EOPNOTSUPP },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) assert_begins_with(rows[i].world, rows[i].error);
}

/* The items on the way to `address`, top first. */
static struct iommu_leaf walk_of(const char *script, uint64_t address)
{
    struct world *world = world_new();
    struct iommu_leaf leaf;

    play_in(world, script);
    leaf = world_walk(&world->tables[0], address);
    world_free(world);
    return leaf;
}

/* Words of formats.md 1.6 and of pt_armv8_test.c; NS and FWB are io-pgtable-arm's in both readings. */
static void items_are_as_the_keys_say(void **state)
{
    static const struct {
        const char *script;
        uint64_t address, leaf, table_bits; /* table_bits: 63 of every table item */
        bool non_secure, write_back;
    } rows[] = {
        { "world format=armv8 non_secure=yes\nmap iova=0x1000 hpa=0x80001000 length=4K prot=rw,cache\n", 0x1000,
          0x0000000080001f67, UINT64_C(1) << 63, true, true },
        { "world format=armv8\nmap iova=0x1000 hpa=0x80001000 length=4K prot=rw,cache\n", 0x1000, 0x0000000080001f47, 0,
          false, true },
        { "world format=armv8_s2 fwb=yes io_pgtable=yes\nmap gpa=0x200000 hpa=0x40200000 length=2M prot=rw,cache\n",
          0x200000, 0x00000000402007d9, 0, false, true },
        { "world format=armv8_s2 io_pgtable=yes\nmap gpa=0x200000 hpa=0x40200000 length=2M prot=rw,cache\n", 0x200000,
          0x00000000402007fd, 0, false, true },
        { "world format=armv8_s2 fwb=yes\nmap gpa=0x200000 hpa=0x40200000 length=2M prot=rw\n", 0x200000,
          0x00000000402006d5, 0, false, false },
        { "world format=armv8 upper_half=yes va_bits=40\nmap iova=0xffffff0000001000 hpa=0x80001000 length=4K\n",
          0xffffff0000001000, 0x0000000080001e43, 0, false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct iommu_leaf leaf = walk_of(rows[i].script, rows[i].address);

        assert_int_equal(leaf.fault, IOMMU_NO_FAULT);
        assert_int_equal(leaf.items[leaf.reads - 1], rows[i].leaf);
        for (unsigned read = 0; read + 1 < leaf.reads; read++)
            assert_int_equal(leaf.items[read] & UINT64_C(1) << 63, rows[i].table_bits);
        assert_int_equal(leaf.non_secure, rows[i].non_secure);
        assert_int_equal(leaf.write_back, rows[i].write_back);
    }
}

static void an_upper_half_begins_where_its_width_says(void **state)
{
    (void)state;
    play("world format=armv8 upper_half=yes va_bits=36\n"
         "map iova=0xfffffff000000000 hpa=0x4000 length=4K -> ok\n"
         "map iova=0xffffffffffe00000 hpa=0x200000 length=2M -> ok\n"
         "map iova=0xffffffefffffe000 hpa=0x6000 length=8K -> errno=ERANGE mapped=0x0\n"
         "map iova=0x1000 hpa=0x1000 length=4K -> errno=ERANGE mapped=0x0\n"
         "dma iova=0xffffffffffffffff access=write -> hpa=0x3fffff fill=2M\n"
         "dma iova=0xffffffefffffffff -> fault=canonical\n"
         "dma iova=0x0 -> fault=canonical\n"
         "unmap iova=0xffffffffffe00000 length=2M -> bytes=0x200000\n"
         "dma iova=0xffffffffffffffff -> fault=not-present\n");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_widths_say_the_top_level_in_both_readings),
        cmocka_unit_test(keys_of_the_other_stage_or_reading_are_refused),
        cmocka_unit_test(items_are_as_the_keys_say),
        cmocka_unit_test(an_upper_half_begins_where_its_width_says),
    };

    return TEST_MAIN(tests, argc, argv);
}
