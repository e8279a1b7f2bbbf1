/* Two stages, every pair that hardware has: S1 tables lie in guest memory and are reached through S2. */
#include "base/test_main.h"
#include "world/world_test_help.h"

#include <stdlib.h>

static const struct pair {
    const char *s1, *s2;
} pairs[] = {
    { "x86_64", "amdv1 rmp=off" }, { "x86_64", "vtdss" },       { "riscv64", "riscv64_s2" },
    { "armv8", "armv8_s2" },       { "armv8", "armv8_s2_16k" }, { "armv8", "armv8_s2_64k" },
};

/* Play a script in the world of each pair that is built; returns how many. Guest tables at gpa 1G, backed by hpa 1G. */
static unsigned play_pairs(const char *script)
{
    unsigned played = 0;

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        char text[4096];
        char format[32];

        snprintf(format, sizeof(format), "%.*s", (int)strcspn(pairs[i].s2, " "), pairs[i].s2);
        if (!engine_find(pairs[i].s1) || !engine_find(format)) continue;
        snprintf(text, sizeof(text), "world s1=%s format=%s memory=2G s1_backing=0x40000000\n%s", pairs[i].s1,
                 pairs[i].s2, script);
        play(text);
        if (getenv("MAPPROOF_RAN"))
            printf("ran %s %s nested\nran %s %s nested\n", format, pairs[i].s1, pairs[i].s1, format);
        played++;
    }
    return played;
}

static void a_device_reaches_what_both_stages_map(void **state)
{
    (void)state;
    assert_true(play_pairs("map gpa=0x40000000 hpa=0x40000000 length=512M         -> ok\n"
                           "map gpa=0x20000000 hpa=0x20000000 length=512M         -> ok\n"
                           "map iova=0x5000 hpa=0x20203000 length=4K stage=s1     -> ok\n"
                           "map iova=0x600000 hpa=0x20400000 length=2M stage=s1   -> ok\n"
                           "dma iova=0x5123 device=dev1 access=write              -> hpa=0x20203123 fill=4K\n"
                           "dma iova=0x5123 device=dev1                           -> hpa=0x20203123 hit=4K\n"
                           "dma iova=0x612345 device=dev1                         -> hpa=0x20412345 fill=2M\n"
                           "dma iova=0x6000 device=dev1                           -> fault=not-present\n"
                           "unmap iova=0x5000 length=4K stage=s1\n"
                           "dma iova=0x5123 device=dev1                           -> fault=not-present\n") >= 2);
}

static void the_second_stage_has_the_last_word_on_rights(void **state)
{
    (void)state;
    assert_true(play_pairs("map gpa=0x40000000 hpa=0x40000000 length=512M         -> ok\n"
                           "map gpa=0x20000000 hpa=0x20000000 length=512M prot=r  -> ok\n"
                           "map iova=0x5000 hpa=0x20203000 length=4K stage=s1     -> ok\n"
                           "dma iova=0x5000 device=dev1                           -> hpa=0x20203000 fill=4K\n"
                           "dma iova=0x5000 device=dev1 access=write              -> fault=permission\n") >= 2);
}

static void guest_tables_that_s2_does_not_map_fault(void **state)
{
    (void)state;
    assert_true(play_pairs("map gpa=0x20000000 hpa=0x20000000 length=512M         -> ok\n"
                           "map iova=0x5000 hpa=0x20203000 length=4K stage=s1     -> ok\n"
                           "dma iova=0x5000 device=dev1                           -> fault=s1-not-present\n"
                           "map gpa=0x40000000 hpa=0x40000000 length=512M         -> ok\n"
                           "dma iova=0x5000 device=dev1                           -> hpa=0x20203000 fill=4K\n") >= 2);
}

static void an_entry_is_as_small_as_the_smaller_leaf(void **state)
{
    (void)state;
    assert_true(play_pairs("map gpa=0x40000000 hpa=0x40000000 length=512M         -> ok\n"
                           "map gpa=0x20000000 hpa=0x20000000 length=512M         -> ok\n"
                           "map iova=0x40000000 hpa=0x20000000 length=64K stage=s1 -> ok\n"
                           "dma iova=0x40001000 device=dev1                       -> hpa=0x20001000 fill=4K\n") >= 2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_reaches_what_both_stages_map),
        cmocka_unit_test(the_second_stage_has_the_last_word_on_rights),
        cmocka_unit_test(guest_tables_that_s2_does_not_map_fault),
        cmocka_unit_test(an_entry_is_as_small_as_the_smaller_leaf),
    };

    return TEST_MAIN(tests, argc, argv);
}
