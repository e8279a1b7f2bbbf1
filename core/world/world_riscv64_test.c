/* Worlds with RISC-V tables: how keys of the world op become a mode, and what devices see. */
#include "world/world_test_help.h"

#include <errno.h>

/* A width alone brings its top level, a top level alone its width. */
static void a_width_or_a_top_level_says_the_mode(void **state)
{
    static const struct {
        const char *world;
        unsigned va_bits, top_level;
    } rows[] = {
        { "world format=riscv64", 48, 3 },
        { "world format=riscv64 va_bits=39", 39, 2 },
        { "world format=riscv64 top_level=2", 39, 2 },
        { "world format=riscv64 va_bits=57", 57, 4 },
        { "world format=riscv64 top_level=4 va_bits=57 sign_extend=yes", 57, 4 },
        { "world format=riscv64_s2", 50, 3 },
        { "world format=riscv64_s2 va_bits=41", 41, 2 },
        { "world format=riscv64_s2 top_level=4", 59, 4 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *world = world_begun(rows[i].world, 0);
        struct pt_info info;

        pt_get_info(world_table(world, 0, STAGE_DEFAULT), &info);
        assert_int_equal(info.va_bits, rows[i].va_bits);
        assert_int_equal(info.top_level, rows[i].top_level);
        world_free(world);
    }
}

static void modes_that_do_not_exist_are_refused(void **state)
{
    static const struct {
        const char *world;
        int error;
    } rows[] = {
        { "world format=riscv64 va_bits=40", -EINVAL },
        { "world format=riscv64 va_bits=1", -EINVAL },
        { "world format=riscv64 va_bits=39 top_level=3", -EINVAL },
        { "world format=riscv64 top_level=1", -EINVAL },
        { "world format=riscv64_s2 va_bits=48", -EINVAL },
        { "world format=riscv64_s2 sign_extend=yes va_bits=50", -EOPNOTSUPP },
        { "world format=riscv64 flush=nogaps", -EOPNOTSUPP },
        { "world format=riscv64 c_bit=47", -EOPNOTSUPP },
        { "world format=riscv64 s1=riscv64", -EINVAL },
        { "world format=riscv64_s2 s1=x86_64", -EINVAL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) assert_begins_with(rows[i].world, rows[i].error);
}

/* To this IOTLB a 64K leaf is entries of 4K; a cut drops none of them. */
static void devices_reach_64k_leaves_before_and_after_a_cut(void **state)
{
    (void)state;
    play("world format=riscv64\n"
         "map iova=0x10000 hpa=0x50000 length=64K prot=r     -> ok\n"
         "dma iova=0x13123                                   -> hpa=0x53123 fill=4K\n"
         "dma iova=0x13123 access=write                      -> fault=permission\n"
         "cut at=0x15000                                     -> ok\n"
         "dma iova=0x14123                                   -> hpa=0x54123 fill=4K\n"
         "unmap iova=0x18000 length=32K                      -> bytes=0x8000\n"
         "dma iova=0x18123                                   -> fault=not-present\n"
         "dma iova=0x13123                                   -> hpa=0x53123 hit=4K\n"
         "unmap iova=0x10000 length=4K                       -> bytes=0x1000\n"
         "map iova=0xffff800000000000 hpa=0x200000 length=2M -> ok\n"
         "dma iova=0xffff800000012345                        -> hpa=0x212345 fill=2M\n"
         "dma iova=0x800000012345                            -> fault=canonical\n");
}

static void the_second_stage_ends_at_its_two_bits_more(void **state)
{
    (void)state;
    play("world format=riscv64_s2\n"
         "map gpa=0x3fffffffff000 hpa=0x5000 length=4K -> ok\n"
         "dma iova=0x3fffffffff123 access=write        -> hpa=0x5123 fill=4K\n"
         "map gpa=0x4000000000000 hpa=0x5000 length=4K -> errno=ERANGE mapped=0x0\n"
         "dma iova=0x4000000000000                     -> fault=canonical\n"
         "dma iova=0xfffffffffffff000                  -> fault=canonical\n");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_width_or_a_top_level_says_the_mode),
        cmocka_unit_test(modes_that_do_not_exist_are_refused),
        cmocka_unit_test(devices_reach_64k_leaves_before_and_after_a_cut),
        cmocka_unit_test(the_second_stage_ends_at_its_two_bits_more),
    };

    return TEST_MAIN(tests, argc, argv);
}
