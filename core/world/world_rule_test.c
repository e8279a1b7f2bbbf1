/* Which rule a finding gets: for each rule a script that breaks it, and its neighbours that break another or none. */
#include "world/world_test_help.h"
#include "world/world_words.h"

/* The outcome of the script's last op; a finding before it must be of rule `earlier`. The world is left for a look. */
static struct world_outcome last_of(struct world *world, enum world_rule earlier, const char *text)
{
    struct world_outcome outcome = { .rule = RULE_NONE };
    struct script script;
    struct script_error error;
    char message[256] = "";

    if (!script_parse(text, strlen(text), &script, &error)) fail_msg("%u: %s\n%s", error.line, error.message, text);
    if (world_begin(world, &script.ops[0], message, sizeof(message))) fail_msg("world: %s", message);
    for (size_t i = 1; i < script.count; i++) {
        if (outcome.finding != FINDING_NONE && outcome.rule != earlier)
            fail_msg("line %u: %s already before\n%s", script.notes[i].line, world_rule_name(outcome.rule), text);
        world_apply(world, &script.ops[i], &outcome);
        assert_no_difference(world);
    }
    world_check(world);
    assert_no_difference(world);
    script_free(&script);
    return outcome;
}

static void expect_last(enum world_rule rule, enum world_rule earlier, const char *text)
{
    struct world *world = world_new();
    const struct world_outcome outcome = last_of(world, earlier, text);

    if (outcome.rule != rule)
        fail_msg("expected %s, got %s:\n%s", world_rule_name(rule), world_rule_name(outcome.rule), text);
    assert_int_equal(outcome.finding, world_rule_finding(rule));
    world_free(world);
}

static void expect_rule(enum world_rule rule, const char *text)
{
    expect_last(rule, RULE_NONE, text);
}

/* ---- LOSES DMA by size ------------------------------------------------------------------------------------------- */

#define REGION                                                                                                         \
    "rmpupdate hpa=0x400000 size=2M gpa=0x200000\n"                                                                    \
    "map gpa=0x200000 hpa=0x400000 length=2M\n"

#define INVALIDATE "inv_pages gpa=0x200000 length=2M now=yes\n"

static void bystander_was_served_before_one_side_was_split(void **state)
{
    (void)state;
    expect_rule(RULE_SIZE_BYSTANDER, "world\n" REGION "dma iova=0x201000\ncut at=0x300000\n" INVALIDATE ""
                                     "dma iova=0x300000 access=write\n");
    expect_rule(RULE_SIZE_BYSTANDER, "world\n" REGION "dma iova=0x201000\npsmash hpa=0x400000\nevict iova=0x201000\n"
                                     "dma iova=0x300000\n");
    /* Another page of the region is given back: the one that faults is not it. */
    expect_rule(RULE_SIZE_BYSTANDER, "world\n" REGION "dma iova=0x201000\npsmash hpa=0x400000\n"
                                     "rmpupdate hpa=0x400000 assigned=no\nevict iova=0x201000\ndma iova=0x300000\n");
    expect_rule(RULE_SIZE_BYSTANDER, "world hw=amd-fill-2m\n" REGION "dma iova=0x201000\ncut at=0x300000\n" INVALIDATE
                                     "dma iova=0x300000\n");
}

static void bystander_of_a_guest_with_tables_of_its_own(void **state)
{
    static const char prefix[] = "world s1=x86_64\n" REGION "map gpa=0x40000000 hpa=0x0 length=2M\n"
                                 "rmpupdate hpa=0x0 size=2M gpa=0x40000000\n"
                                 "map iova=0x1000 gpa=0x201000 length=4K stage=s1\n";
    char text[1024];

    (void)state;
    snprintf(text, sizeof(text),
             "%sdma iova=0x1000 device=dev1\ncut at=0x300000 stage=s2\n%sdma iova=0x1000 device=dev1\n", prefix,
             INVALIDATE);
    expect_rule(RULE_SIZE_BYSTANDER, text);
    /* Another process address space was not served. */
    snprintf(text, sizeof(text), "%sdma iova=0x1000 device=dev1\ncut at=0x300000 stage=s2\n%s", prefix,
             INVALIDATE "dma iova=0x1000 device=dev1 pasid=1\n");
    expect_rule(RULE_SIZE_LEAF_SMALLER, text);
}

static void sizes_that_never_agreed_are_no_bystanders(void **state)
{
    (void)state;
    expect_rule(RULE_SIZE_LEAF_LARGER, "world\nrmpupdate hpa=0x400000 gpa=0x200000\n"
                                       "map gpa=0x200000 hpa=0x400000 length=2M\ndma iova=0x200000\n");
    expect_rule(RULE_SIZE_LEAF_SMALLER, "world\nrmpupdate hpa=0x400000 size=2M gpa=0x200000\n"
                                        "map gpa=0x200000 hpa=0x400000 length=4K\ndma iova=0x200000\n");
    /* Served as shared, or in the other domain, is not served as private here. */
    expect_rule(RULE_SIZE_LEAF_SMALLER,
                "world\nmap gpa=0x200000 hpa=0x400000 length=4K\ndma iova=0x200000 device=dev2\n"
                "rmpupdate hpa=0x400000 size=2M gpa=0x200000\ndma iova=0x200000\n");
}

/* The page itself went to and fro since: it is what was converted. */
static void page_that_was_converted_itself_is_no_bystander(void **state)
{
    (void)state;
    expect_rule(RULE_SIZE_LEAF_LARGER, "world\n" REGION "dma iova=0x201000\npsmash hpa=0x400000\n"
                                       "rmpupdate hpa=0x401000 assigned=no\nrmpupdate hpa=0x401000 gpa=0x201000\n"
                                       "evict iova=0x201000\ndma iova=0x201000\n");
}

static void sizes_that_hardware_accepts_are_no_finding(void **state)
{
    static const char rest[] =
        REGION "dma iova=0x201000\npsmash hpa=0x400000\nevict iova=0x201000\ndma iova=0x300000\n";
    static const char *const hardware[] = { "smallest", "cpu", "cca", "off" };
    char text[512];

    (void)state;
    for (size_t i = 0; i < sizeof(hardware) / sizeof(hardware[0]); i++) {
        snprintf(text, sizeof(text), "world hw=%s\n%s", hardware[i], rest);
        expect_rule(RULE_NONE, text);
    }
}

static void fetch_of_a_guest_table_faults_by_size(void **state)
{
    (void)state;
    expect_rule(RULE_SIZE_S1_TABLE, "world s1=x86_64\nmap gpa=0x40000000 hpa=0x0 length=2M\n"
                                    "rmpupdate hpa=0x0 gpa=0x40000000\n" REGION
                                    "map iova=0x1000 gpa=0x200000 length=4K stage=s1\ndma iova=0x1000 device=dev1\n");
}

static void hit_that_is_checked_again_faults_by_size(void **state)
{
    (void)state;
    expect_rule(RULE_SIZE_RECHECK,
                "world recheck_on_hit=yes\n" REGION "dma iova=0x201000\npsmash hpa=0x400000\ndma iova=0x201000\n");
    expect_rule(RULE_NONE, "world\n" REGION "dma iova=0x201000\npsmash hpa=0x400000\ndma iova=0x201000\n");
}

/* ---- LOSES DMA otherwise ----------------------------------------------------------------------------------------- */

static void ordinary_dma_in_a_mixed_region(void **state)
{
    (void)state;
    expect_rule(RULE_OWNER_MIXED_REGION, "world\nmap gpa=0x200000 hpa=0x400000 length=2M\n"
                                         "rmpupdate hpa=0x400000 gpa=0x200000\ndma iova=0x201000 device=dev2\n");
    /* A trusted device that asks for shared memory is no better off. */
    expect_rule(RULE_OWNER_MIXED_REGION, "world\nmap gpa=0x200000 hpa=0x400000 length=2M\n"
                                         "rmpupdate hpa=0x400000 gpa=0x200000\ndma iova=0x201000 private=no\n");
    /* The touched page is the guest's, or the leaf is small: deserved, or no fault. */
    expect_rule(RULE_NONE, "world\nmap gpa=0x200000 hpa=0x400000 length=2M\n"
                           "rmpupdate hpa=0x401000 gpa=0x201000\ndma iova=0x201000 device=dev2\n");
    expect_rule(RULE_NONE, "world page_sizes=4K\nmap gpa=0x200000 hpa=0x400000 length=8K\n"
                           "rmpupdate hpa=0x400000 gpa=0x200000\ndma iova=0x201000 device=dev2\n");
}

static void table_page_of_the_host_given_away(void **state)
{
    (void)state;
    expect_rule(RULE_OWNER_HOST_TABLE, "world\nrmpupdate hpa=0x800000 size=2M gpa=0x200000\n"
                                       "map gpa=0x200000 hpa=0x400000 length=4K\ndma iova=0x200000 device=dev2\n");
}

static void outdated_entry_before_a_right_mapping(void **state)
{
    (void)state;
    expect_rule(RULE_OLD_ENTRY,
                "world recheck_on_hit=yes\nmap gpa=0x0 hpa=0x400000 length=4K\ndma iova=0x0 device=dev2\n"
                "unmap gpa=0x0 length=4K sync=no\nmap gpa=0x0 hpa=0x401000 length=4K\n"
                "rmpupdate hpa=0x400000\ndma iova=0x0 device=dev2\n");
}

static void outdated_item_before_a_right_mapping(void **state)
{
    (void)state;
    expect_rule(RULE_OLD_WALK, "world hw=off\nmap gpa=0x200000 hpa=0x400000 length=2M prot=w\n"
                               "dma iova=0x200000 access=write\nunmap gpa=0x200000 length=4K sync=no\n"
                               "map gpa=0x200000 hpa=0x400000 length=4K\ndma iova=0x200000\n");
}

/* ---- STALE ------------------------------------------------------------------------------------------------------- */

static void use_after_an_unmap_without_invalidation(void **state)
{
    static const char rest[] = "map gpa=0x200000 hpa=0x400000 length=4K\ndma iova=0x200000 device=dev2\n"
                               "unmap gpa=0x200000 length=4K %s\n%sdma iova=0x200000 device=dev2\n";
    char text[512];

    (void)state;
    snprintf(text, sizeof(text), rest, "sync=no", "");
    expect_rule(RULE_AFTER_UNMAP, text);
    snprintf(text, sizeof(text), rest, "", "");
    expect_rule(RULE_NONE, text);
    /* The window: the invalidation is on its way. */
    snprintf(text, sizeof(text), rest, "sync=no", "inv_pages gpa=0x200000 length=4K\n");
    expect_rule(RULE_NONE, text);
    /* And the page went to a guest meanwhile: worse. */
    snprintf(text, sizeof(text), rest, "sync=no", "rmpupdate hpa=0x400000 gpa=0x200000\n");
    expect_rule(RULE_AFTER_OWNER_CHANGE, text);
}

/* The entry was too large from the start: nobody forgot anything. */
static void use_of_what_was_never_mapped(void **state)
{
    (void)state;
    expect_last(RULE_NEVER_MAPPED, RULE_BEYOND_S2_LEAF,
                "world hw=expanding\nrmpupdate hpa=0x400000 size=2M gpa=0x200000\n"
                "map gpa=0x200000 hpa=0x400000 length=4K\ndma iova=0x200000\ndma iova=0x201000\n");
    /* The page that was mapped is another matter. */
    expect_last(RULE_AFTER_UNMAP, RULE_BEYOND_S2_LEAF,
                "world hw=expanding\nrmpupdate hpa=0x400000 size=2M gpa=0x200000\n"
                "map gpa=0x200000 hpa=0x400000 length=4K\ndma iova=0x200000\nunmap gpa=0x200000 length=4K sync=no\n"
                "dma iova=0x200000\n");
}

static void use_after_a_remap_or_with_rights_of_before(void **state)
{
    (void)state;
    expect_rule(RULE_AFTER_REMAP, "world\nmap gpa=0x200000 hpa=0x400000 length=4K\ndma iova=0x200000 device=dev2\n"
                                  "unmap gpa=0x200000 length=4K sync=no\nmap gpa=0x200000 hpa=0x500000 length=4K\n"
                                  "dma iova=0x200000 device=dev2\n");
    expect_rule(RULE_AFTER_RIGHTS, "world\nmap gpa=0x200000 hpa=0x400000 length=4K\ndma iova=0x200000 device=dev2\n"
                                   "unmap gpa=0x200000 length=4K sync=no\n"
                                   "map gpa=0x200000 hpa=0x400000 length=4K prot=w\ndma iova=0x200000 device=dev2\n");
}

static void use_after_the_rmp_changed(void **state)
{
    static const char rest[] = "rmpupdate hpa=0x400000 gpa=0x200000\nmap gpa=0x200000 hpa=0x400000 length=4K\n"
                               "dma iova=0x200000\n%s\ndma iova=0x200000\n";
    char text[512];

    (void)state;
    snprintf(text, sizeof(text), rest, "rmpupdate hpa=0x400000 assigned=no");
    expect_rule(RULE_AFTER_OWNER_CHANGE, text);
    snprintf(text, sizeof(text), rest, "rmpupdate hpa=0x400000 gpa=0x300000");
    expect_rule(RULE_AFTER_OWNER_CHANGE, text);
    snprintf(text, sizeof(text), rest, "rmpupdate hpa=0x401000 gpa=0x300000");
    expect_rule(RULE_NONE, text);
    expect_rule(RULE_NONE, "world\n" REGION "dma iova=0x201000\npsmash hpa=0x400000\ndma iova=0x201000\n");
}

static void walk_from_an_item_that_outlived_its_table(void **state)
{
    (void)state;
    expect_rule(RULE_STALE_WALK, "world\nmap gpa=0x0 hpa=0x0 length=1G\ndma iova=0x0 device=dev2\n"
                                 "unmap gpa=0x0 length=1G sync=no\ndma iova=0x200000 device=dev2\n");
}

/* ---- EXPANDS ----------------------------------------------------------------------------------------------------- */

static void entry_beyond_the_leaf_of_the_host(void **state)
{
    (void)state;
    expect_rule(RULE_BEYOND_S2_LEAF, "world hw=expanding\nrmpupdate hpa=0x400000 size=2M gpa=0x200000\n"
                                     "map gpa=0x200000 hpa=0x400000 length=4K\ndma iova=0x200000\n");
    /* The whole region is mapped, if by small leaves: nothing is exposed. */
    expect_rule(RULE_NONE, "world hw=expanding page_sizes=4K\n" REGION "dma iova=0x200000\n");
    expect_rule(RULE_NONE, "world hw=expanding\n" REGION "dma iova=0x200000\n");
}

static void entry_beyond_the_leaf_of_the_guest(void **state)
{
    static const char rest[] = "map gpa=0x40000000 hpa=0x0 length=2M\nrmpupdate hpa=0x0 size=2M gpa=0x40000000\n" REGION
                               "map iova=0x1000 gpa=0x201000 length=4K stage=s1\ndma iova=0x1000 device=dev1\n";
    char text[512];

    (void)state;
    snprintf(text, sizeof(text), "world hw=amd-fill-2m s1=x86_64\n%s", rest);
    expect_rule(RULE_BEYOND_S1_LEAF, text);
    snprintf(text, sizeof(text), "world hw=amd s1=x86_64\n%s", rest);
    expect_rule(RULE_NONE, text);
}

static void entry_over_pages_of_another_owner(void **state)
{
    (void)state;
    expect_rule(RULE_OTHER_OWNER, "world hw=cca\nrmpupdate hpa=0x400000 gpa=0x200000\n"
                                  "map gpa=0x200000 hpa=0x400000 length=2M\ndma iova=0x201000 device=dev2\n");
}

static void entry_from_an_item_of_before(void **state)
{
    static const char rest[] = "world\nmap gpa=0x200000 hpa=0x400000 length=2M\ndma iova=0x200000 device=dev2\n"
                               "unmap gpa=0x200000 length=2M sync=no\n%sevict iova=0x200000 device=dev2\n"
                               "dma iova=0x200000 device=dev2\n";
    char text[512];

    (void)state;
    snprintf(text, sizeof(text), rest, "map gpa=0x200000 hpa=0x400000 length=4K\n");
    expect_rule(RULE_FILLED_BY_OLD_WALK, text);
    /* In the window of the unmap's invalidation all of it may lag. */
    snprintf(text, sizeof(text), rest, "inv_pages gpa=0x200000 length=2M\n");
    expect_rule(RULE_NONE, text);
}

/* ---- names and words --------------------------------------------------------------------------------------------- */

static void names_are_unique_and_fit_into_file_names(void **state)
{
    (void)state;
    for (unsigned rule = RULE_NONE + 1; rule < RULE_COUNT; rule++) {
        const char *name = world_rule_name((enum world_rule)rule);

        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(name));
        assert_int_not_equal(world_rule_finding((enum world_rule)rule), FINDING_NONE);
        assert_true(strlen(world_rule_title((enum world_rule)rule)) > 20);
        for (unsigned other = 0; other < rule; other++)
            assert_string_not_equal(name, world_rule_name((enum world_rule)other));
    }
}

static void expect_words(const char *script, const char *words, const char *entitled)
{
    struct world *world = world_new();
    const struct world_outcome outcome = last_of(world, RULE_NONE, script);
    char got[WORLD_WORDS_MAX];

    world_print_words(world, &world->op, &outcome, got, sizeof(got));
    assert_string_equal(got, words);
    world_print_entitled(world, &world->op, &outcome, got, sizeof(got));
    assert_string_equal(got, entitled);
    world_free(world);
}

static void findings_are_told_with_what_was_owed(void **state)
{
    (void)state;
    expect_words("world\n" REGION "dma iova=0x201000\ncut at=0x300000\n" INVALIDATE "dma iova=0x300000\n",
                 "The trusted device dev0 reads gpa 0x300000 as private: the 1M leaf of S2 meets a 2M RMP page; fault, "
                 "although nobody converted this page and the device was served here before (LOSES DMA).",
                 "to reach hpa 0x500000: it is mapped here, and hpa 0x500000 belongs to guest 1 at gpa 0x300000");
    expect_words(
        "world\nmap gpa=0x200000 hpa=0x400000 length=2M\nrmpupdate hpa=0x400000 gpa=0x200000\n"
        "dma iova=0x201000 device=dev2 access=write\n",
        "The ordinary device dev2 writes gpa 0x201000: hpa 0x401000 belongs to nobody, but the 2M leaf of S2 "
        "also covers another page: hpa 0x400000 belongs to guest 1 at gpa 0x200000; fault, although the touched "
        "page is free to share (LOSES DMA).",
        "to reach hpa 0x401000: it is mapped here, and hpa 0x401000 belongs to nobody");
    expect_words(
        "world\nmap gpa=0x200000 hpa=0x400000 length=4K\ndma iova=0x200000 device=dev2\n"
        "unmap gpa=0x200000 length=4K sync=no\ndma iova=0x200000 device=dev2\n",
        "The ordinary device dev2 reads gpa 0x200000: an IOTLB entry of 4K serves it, from hpa 0x400000, although "
        "nothing is mapped here any more (STALE).",
        "a fault: nothing is mapped here");
}

/* Not what is said, but that all is: any op, any outcome, within its buffer. */
static void every_op_has_words(void **state)
{
    struct world *world = world_new();
    struct op ops[256];
    char words[WORLD_WORDS_MAX], message[256];

    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct random random = random_seeded(seed);
        const size_t count = script_generate_for(&random, SCRIPT_LOCKSTEP, ops, 256);

        if (world_begin(world, &ops[0], message, sizeof(message)) != 0) continue;
        assert_in_range(world_print_words(world, &ops[0], NULL, words, sizeof(words)), 20, WORLD_WORDS_MAX - 1);
        for (size_t i = 1; i < count; i++) {
            struct world_outcome outcome;
            int length;

            world_apply(world, &ops[i], &outcome);
            length = world_print_words(world, &ops[i], &outcome, words, sizeof(words));
            assert_in_range(length, 10, WORLD_WORDS_MAX - 1);
            assert_int_equal(words[length - 1], '.');
            assert_int_equal(outcome.finding, world_rule_finding(outcome.rule));
        }
    }
    world_free(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bystander_was_served_before_one_side_was_split),
        cmocka_unit_test(bystander_of_a_guest_with_tables_of_its_own),
        cmocka_unit_test(sizes_that_never_agreed_are_no_bystanders),
        cmocka_unit_test(page_that_was_converted_itself_is_no_bystander),
        cmocka_unit_test(sizes_that_hardware_accepts_are_no_finding),
        cmocka_unit_test(fetch_of_a_guest_table_faults_by_size),
        cmocka_unit_test(hit_that_is_checked_again_faults_by_size),
        cmocka_unit_test(ordinary_dma_in_a_mixed_region),
        cmocka_unit_test(table_page_of_the_host_given_away),
        cmocka_unit_test(outdated_entry_before_a_right_mapping),
        cmocka_unit_test(outdated_item_before_a_right_mapping),
        cmocka_unit_test(use_after_an_unmap_without_invalidation),
        cmocka_unit_test(use_of_what_was_never_mapped),
        cmocka_unit_test(use_after_a_remap_or_with_rights_of_before),
        cmocka_unit_test(use_after_the_rmp_changed),
        cmocka_unit_test(walk_from_an_item_that_outlived_its_table),
        cmocka_unit_test(entry_beyond_the_leaf_of_the_host),
        cmocka_unit_test(entry_beyond_the_leaf_of_the_guest),
        cmocka_unit_test(entry_over_pages_of_another_owner),
        cmocka_unit_test(entry_from_an_item_of_before),
        cmocka_unit_test(names_are_unique_and_fit_into_file_names),
        cmocka_unit_test(findings_are_told_with_what_was_owed),
        cmocka_unit_test(every_op_has_words),
    };

    return TEST_MAIN(tests, argc, argv);
}
