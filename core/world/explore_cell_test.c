/*
 * Cells whose answer is known: rmp.md 6, and the expectations that the project set out with. They are tests of the
 * model under its default switches, not of any machine.
 */
#include "base/test_main.h"
#include "world/explore_cell.h"

#include <stdlib.h>
#include <string.h>

static struct explore_verdict search(const char *policy, const char *hardware, enum explore_guest guest,
                                     enum explore_device device, enum explore_backing backing)
{
    const struct explore_cell cell = { policy, hardware, guest, backing, device, 0 };
    const struct explore_plan limits = { .depth = 60 };
    struct explore *explore = explore_new();
    struct explore_verdict verdict;

    if (explore_cell(explore, &cell, &limits, &verdict)) fail_msg("%s on %s: %s", policy, hardware, verdict.message);
    assert_true(verdict.result.is_closed);
    for (unsigned bit = 0; bit < VERDICT_COUNT; bit++) {
        char *text;

        if (!(verdict.found >> bit & 1)) continue;
        text = explore_cell_script(explore, &cell, &verdict, bit);
        assert_non_null(strstr(text, policy));
        free(text);
    }
    explore_free(explore);
    return verdict;
}

static void cut_first_loses_dma_of_bystanders_on_amd_and_nothing_on_smallest(void **state)
{
    (void)state;
    assert_int_equal(search("cut-first", "amd", EXPLORE_4K, EXPLORE_T1, EXPLORE_BACKING_2M).found, VERDICT_LOSES_DMA);
    assert_int_equal(search("cut-first", "smallest", EXPLORE_4K, EXPLORE_T1, EXPLORE_BACKING_2M).found & VERDICT_UNSAFE,
                     0);
}

static void psmash_first_loses_dma_and_late_uses_what_was_given_away(void **state)
{
    const struct explore_verdict late =
        search("psmash-first-late", "amd", EXPLORE_HOSTILE, EXPLORE_T1, EXPLORE_BACKING_2M);

    (void)state;
    assert_int_equal(search("psmash-first", "amd", EXPLORE_4K, EXPLORE_T1, EXPLORE_BACKING_2M).found,
                     VERDICT_LOSES_DMA);
    assert_int_equal(late.found, VERDICT_LOSES_DMA | VERDICT_STALE);
}

static void engine_only_stalls(void **state)
{
    (void)state;
    assert_int_equal(search("engine", "amd", EXPLORE_HOSTILE, EXPLORE_T1, EXPLORE_BACKING_2M).found, VERDICT_STALLS);
}

static void default_faults_ordinary_dma_beside_a_private_page(void **state)
{
    const struct explore_verdict verdict = search("default", "amd", EXPLORE_4K, EXPLORE_T0, EXPLORE_BACKING_2M);

    (void)state;
    assert_true(verdict.found & VERDICT_LOSES_DMA);
    assert_true(verdict.result.finds[RULE_OWNER_MIXED_REGION].is_known);
}

static void leaves_of_4k_alone_break_on_memory_of_2m(void **state)
{
    (void)state;
    assert_true(search("4k-only", "amd", EXPLORE_4K, EXPLORE_T1, EXPLORE_BACKING_2M).found & VERDICT_LOSES_DMA);
    assert_false(search("4k-only", "amd", EXPLORE_4K, EXPLORE_T1, EXPLORE_BACKING_4K).found & VERDICT_LOSES_DMA);
}

static void fill_2m_exposes_neighbours_of_a_small_guest_leaf(void **state)
{
    (void)state;
    assert_true(search("cut-first", "amd-fill-2m", EXPLORE_4K, EXPLORE_T1_S1, EXPLORE_BACKING_2M).found &
                VERDICT_EXPANDS);
    assert_false(search("cut-first", "amd", EXPLORE_4K, EXPLORE_T1_S1, EXPLORE_BACKING_2M).found & VERDICT_EXPANDS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_first_loses_dma_of_bystanders_on_amd_and_nothing_on_smallest),
        cmocka_unit_test(psmash_first_loses_dma_and_late_uses_what_was_given_away),
        cmocka_unit_test(engine_only_stalls),
        cmocka_unit_test(default_faults_ordinary_dma_beside_a_private_page),
        cmocka_unit_test(leaves_of_4k_alone_break_on_memory_of_2m),
        cmocka_unit_test(fill_2m_exposes_neighbours_of_a_small_guest_leaf),
    };

    return TEST_MAIN(tests, argc, argv);
}
