/* Firmware's commands and holds as ops: their words and the oracle's view of them; and a machine of 4T that costs what
 * is touched of it. */
#include "base/test_main.h"
#include "world/world_test_help.h"
#include "world/world_words.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void expect_words(const char *line, const char *wanted)
{
    struct world *world = world_new();
    const struct op op = op_of(line);
    const struct op machine = op_make(OP_WORLD);
    struct world_outcome outcome;
    char message[160];
    char words[WORLD_WORDS_MAX];

    assert_int_equal(world_begin(world, &machine, message, sizeof(message)), 0);
    world_apply(world, &op, &outcome);
    world_print_words(world, &op, &outcome, words, sizeof(words));
    assert_string_equal(words, wanted);
    world_free(world);
}

static void each_op_has_its_sentence(void **state)
{
    (void)state;
    expect_words("reclaim hpa=0x1000\n",
                 "Firmware unlocks the 4K page at hpa 0x1000: immutable no longer, the host may "
                 "update it: refused, INVALID_PAGE_STATE.");
    expect_words("unsmash hpa=0x1000\n",
                 "Firmware makes one 2M RMP page of the 512 at hpa 0x1000, same owner; S2 hears "
                 "nothing: refused, INVALID_ADDRESS.");
    expect_words("set_state hpa=0x1000 state=firmware-iommu\n",
                 "Firmware puts the 4K page at hpa 0x1000 into state firmware-iommu.");
    expect_words("rmp_hold hpa=0x1000 n=3\n",
                 "Another CPU holds the RMP entry of hpa 0x1000: the host's next 3 on them "
                 "are refused.");
    expect_words("rmp_hold hpa=0x1000 what=overlap n=off\n",
                 "Firmware holds the RMP entries of the 2M around hpa 0x1000 for ever: the host's instructions on them "
                 "are refused.");
    expect_words("rmp_hold hpa=0x1000 n=0\n", "Whoever held the RMP entries around hpa 0x1000 lets go.");
}

static void without_an_rmp_they_are_skipped(void **state)
{
    (void)state;
    play("world rmp=off\n"
         "reclaim hpa=0x1000                                  -> skipped\n"
         "unsmash hpa=0x200000                                -> skipped\n"
         "set_state hpa=0x1000 state=hv-fixed                 -> skipped\n"
         "rmp_hold hpa=0x1000                                 -> skipped\n");
}

static void an_unsmashed_page_serves_2m_again(void **state)
{
    (void)state;
    play("world\n"
         "map gpa=0x200000 hpa=0x400000 length=2M             -> ok\n"
         "rmpupdate hpa=0x400000 size=2M gpa=0x200000 immutable=yes -> ok\n"
         "psmash hpa=0x400000                                 -> ok\n"
         "unsmash hpa=0x400000                                -> ok\n"
         "dma iova=0x201000                                   -> fault=rmp-immutable\n"
         "reclaim hpa=0x400000 size=2M                        -> ok\n"
         "dma iova=0x201000                                   -> hpa=0x401000 fill=2M\n");
}

/* ---- 4T ---------------------------------------------------------------------------------------------------------- */

static uint64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long total = 0;
    unsigned long resident = 0;

    if (!file) return 0;
    if (fscanf(file, "%lu %lu", &total, &resident) != 2) resident = 0;
    fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* A flat RMP of it would take 16G, its memory 4T: what stays is tables, 64 regions of the RMP and what checks need. */
static void a_machine_of_4t_costs_what_is_touched(void **state)
{
    const uint64_t before = resident_bytes();
    struct world *world = world_new();
    char line[512];

    (void)state;
    play_in(world, "world memory=4T page_sizes=4K+2M+1G\n"
                   "map gpa=0x0 hpa=0x0 length=4T                       -> ok\n"
                   "rmpupdate hpa=0x30000000000 size=2M gpa=0x30000000000 -> ok\n"
                   "psmash hpa=0x30000000000                            -> ok\n"
                   "rmpupdate hpa=0x3ffffe00000 size=2M gpa=0x3ffffe00000 -> ok\n"
                   "dma iova=0x3ffffe00000                              -> hpa=0x3ffffe00000 fill=2M\n"
                   "dma iova=0x30000001000                              -> fault=rmp-size # LOSES DMA\n"
                   "resize gpa=0x30000000000 length=2M max=4K           -> ok\n"
                   "inv_pages gpa=0x30000000000 length=2M               -> ok\n"
                   "completion_wait                                     -> ok\n"
                   "dma iova=0x30000001000                              -> hpa=0x30000001000 fill=4K\n"
                   "dma iova=0x1000 device=dev2 access=write            -> hpa=0x1000 fill=2M\n");
    for (uint64_t i = 0; i < 64; i++) {
        const uint64_t page = i * (UINT64_C(4) << 40) / 64 + 0x400000;

        snprintf(line, sizeof(line), "rmpupdate hpa=0x%llx gpa=0x%llx\n", (unsigned long long)page,
                 (unsigned long long)page);
        apply(world, line);
    }
    assert_int_equal(world_check(world), 0);
    print_message("resident: %llu bytes more\n", (unsigned long long)(resident_bytes() - before));
    assert_true(resident_bytes() - before < 64 << 20);
    world_free(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_op_has_its_sentence),
        cmocka_unit_test(without_an_rmp_they_are_skipped),
        cmocka_unit_test(an_unsmashed_page_serves_2m_again),
        cmocka_unit_test(a_machine_of_4t_costs_what_is_touched),
    };

    return TEST_MAIN(tests, argc, argv);
}
