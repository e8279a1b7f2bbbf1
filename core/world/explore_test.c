/* The search against what is known of small plans, and of two policies as programs (rmp.md 6, P4 and P4 reversed). */
#include "base/bits.h"
#include "world/explore.h"
#include "world/world_test_help.h"

#include <stdio.h>
#include <string.h>

enum { OPS_MAX = 64 };

struct text_ops {
    struct op ops[OPS_MAX];
    size_t count;
};

static struct text_ops ops_of(const char *text, bool with_world)
{
    struct text_ops result = { .count = 0 };
    struct script script;
    struct script_error error;

    if (!script_parse(text, strlen(text), &script, &error)) fail_msg("%u: %s", error.line, error.message);
    for (size_t i = with_world ? 0 : 1; i < script.count; i++) {
        assert_true(result.count < OPS_MAX);
        result.ops[result.count++] = script.ops[i];
    }
    script_free(&script);
    return result;
}

/* A 2M page of guest 1 under a 2M leaf; page 1 of it is to be shared, page 256 is a bystander. */
#define PREFIX(hardware)                                                                                               \
    "world hw=" hardware " memory=8M iotlb=small\n"                                                                    \
    "rmpupdate hpa=0x400000 size=2M asid=1 gpa=0x200000\n"                                                             \
    "pvalidate hpa=0x400000 asid=1 gpa=0x200000 size=2M\n"                                                             \
    "map gpa=0x200000 hpa=0x400000 length=2M prot=rw\n"

#define EVENTS                                                                                                         \
    "dma iova=0x300000 access=write\n"                                                                                 \
    "evict iova=0x300000\n"

#define CUT   "resize gpa=0x200000 length=2M max=4K\n"
#define FLUSH "inv_pages gpa=0x200000 length=2M\ncompletion_wait\n"
#define SMASH "psmash hpa=0x400000\n"

/*
 * What a search of the texts finds. The script of every find is done again, with all checks, and must find it too.
 * `lengths`: of these scripts behind the prefix.
 */
static struct explore_result search_for(const char *prefix, const char *program, const char *events, unsigned depth,
                                        size_t lengths[RULE_COUNT])
{
    const struct text_ops begin = ops_of(prefix, true), steps = ops_of(program, false), more = ops_of(events, false);
    const struct explore_plan plan = { .prefix = begin.ops,
                                       .prefix_count = begin.count,
                                       .program = steps.ops,
                                       .program_count = steps.count,
                                       .events = more.ops,
                                       .event_count = more.count,
                                       .depth = depth };
    struct explore *explore = explore_new();
    struct world *world = world_new();
    struct explore_result result;
    struct world_outcome outcome;
    struct op ops[OPS_MAX];
    char message[200];

    assert_int_equal(explore_run(explore, &plan, &result, message, sizeof(message)), 0);
    for (unsigned rule = 1; rule < RULE_COUNT; rule++) {
        size_t count;

        if (!result.finds[rule].is_known) continue;
        count = explore_script(explore, &plan, &result.finds[rule], ops, OPS_MAX);
        assert_int_equal(world_begin(world, &ops[0], message, sizeof(message)), 0);
        for (size_t i = 1; i < count; i++) world_apply(world, &ops[i], &outcome);
        assert_null(world_difference(world));
        assert_string_equal(world_rule_name(outcome.rule), world_rule_name((enum world_rule)rule));
        lengths[rule] = count - begin.count;
    }
    assert_false(result.finds[RULE_NONE].is_known);
    printf("%u states, %lu transitions, depth %u%s\n", result.states, (unsigned long)result.transitions, result.depth,
           result.is_closed ? ", closed" : "");
    world_free(world);
    explore_free(explore);
    return result;
}

static struct explore_result search(const char *prefix, const char *program, const char *events, unsigned depth)
{
    size_t lengths[RULE_COUNT];

    return search_for(prefix, program, events, depth, lengths);
}

static unsigned found(const struct explore_result *result, enum world_finding finding)
{
    unsigned count = 0;

    for (unsigned rule = 1; rule < RULE_COUNT; rule++)
        count += result->finds[rule].is_known && world_rule_finding((enum world_rule)rule) == finding;
    return count;
}

static void cut_first_loses_dma_of_bystanders_where_sizes_must_match(void **state)
{
    const struct explore_result result = search(PREFIX("amd"), CUT FLUSH SMASH, EVENTS, 40);

    (void)state;
    assert_true(result.is_closed);
    assert_true(result.finds[RULE_SIZE_BYSTANDER].is_known);
    assert_int_equal(found(&result, FINDING_STALE), 0);
    assert_int_equal(found(&result, FINDING_EXPANDS), 0);
}

static void cut_first_loses_nothing_where_the_smallest_size_counts(void **state)
{
    const struct explore_result result = search(PREFIX("smallest"), CUT FLUSH SMASH, EVENTS, 40);

    (void)state;
    assert_true(result.is_closed);
    assert_int_equal(found(&result, FINDING_LOSES_DMA) + found(&result, FINDING_STALE), 0);
}

#define SHARE  "rmpupdate hpa=0x401000 assigned=no\n"
#define TARGET "dma iova=0x201000 access=write\n"

/* A guest that keeps the device away from the page from its request on. */
static void psmash_first_uses_old_entries_where_the_page_is_given_away_before_the_flush(void **state)
{
    const struct explore_result late = search(PREFIX("amd"), TARGET SMASH CUT SHARE TARGET FLUSH, EVENTS, 40);
    const struct explore_result early = search(PREFIX("amd"), TARGET SMASH CUT FLUSH SHARE TARGET, EVENTS, 40);

    (void)state;
    assert_true(late.is_closed && early.is_closed);
    assert_true(found(&late, FINDING_LOSES_DMA) > 0 && found(&early, FINDING_LOSES_DMA) > 0);
    assert_true(late.finds[RULE_AFTER_OWNER_CHANGE].is_known);
    assert_int_equal(found(&early, FINDING_STALE), 0);
}

/* A device that touches the page between the flush and its new owner has an entry that nothing takes away. */
static void a_flush_before_the_new_owner_does_not_stop_a_device_that_goes_on(void **state)
{
    const struct explore_result early = search(PREFIX("amd"), SMASH CUT FLUSH SHARE, EVENTS TARGET, 40);
    const struct explore_result after = search(PREFIX("amd"), SMASH CUT SHARE FLUSH TARGET, EVENTS, 40);

    (void)state;
    assert_true(early.is_closed && after.is_closed);
    assert_true(early.finds[RULE_AFTER_OWNER_CHANGE].is_known);
    assert_int_equal(found(&after, FINDING_STALE), 0);
}

static void the_script_of_a_find_is_as_short_as_any(void **state)
{
    size_t lengths[RULE_COUNT];

    (void)state;
    search_for(PREFIX("amd"), CUT FLUSH SMASH, EVENTS, 40, lengths);
    /* A fill, the cut, and the flush: an eviction alone leaves the 2M item in the walk cache. Then the access. */
    assert_int_equal(lengths[RULE_SIZE_BYSTANDER], 5);
}

static void a_search_that_is_cut_off_says_so(void **state)
{
    const struct explore_result result = search(PREFIX("amd"), CUT FLUSH SMASH, EVENTS, 2);

    (void)state;
    assert_false(result.is_closed);
    assert_int_equal(result.depth, 2);
}

/* The digest: what is the same whichever way it was reached, and what is not. */
static struct digest digest_after(const char *text)
{
    struct world *world = world_new();
    struct digest digest;

    play_in(world, text);
    digest = world_digest(world);
    world_free(world);
    return digest;
}

static void worlds_alike_have_one_digest_and_others_another(void **state)
{
    static const char both[] = "world memory=8M\nmap gpa=0 hpa=0 length=4K\nmap gpa=1G hpa=0x1000 length=4K\n";
    static const char swapped[] = "world memory=8M\nmap gpa=1G hpa=0x1000 length=4K\nmap gpa=0 hpa=0 length=4K\n";
    static const char *const others[] = {
        "world memory=8M\nmap gpa=0 hpa=0 length=4K\n",
        "world memory=8M\nmap gpa=0 hpa=0 length=4K\nmap gpa=1G hpa=0x2000 length=4K\n",
        "world memory=8M\nmap gpa=0 hpa=0 length=4K\nmap gpa=1G hpa=0x1000 length=4K prot=r\n",
        "world memory=8M\nmap gpa=0 hpa=0 length=4K\nmap gpa=1G hpa=0x1000 length=4K\nrmpupdate hpa=0 asid=1 gpa=0\n",
        "world memory=8M\nmap gpa=0 hpa=0 length=4K\nmap gpa=1G hpa=0x1000 length=4K\ndma device=dev2 iova=0\n",
        "world memory=8M\nmap gpa=0 hpa=0 length=4K\nmap gpa=1G hpa=0x1000 length=4K\ninv_pages gpa=0 length=4K\n",
        "world memory=8M\nmap gpa=0 hpa=0 length=4K\nmap gpa=1G hpa=0x1000 length=4K\nunmap gpa=0 length=4K sync=no\n",
        "world memory=8M\nmap gpa=0 hpa=0 length=4K\nmap gpa=1G hpa=0x1000 length=4K\nfail_alloc n=1\n",
    };
    const struct digest digest = digest_after(both);

    (void)state;
    assert_true(digest_equal(digest, digest_after(both)));
    assert_true(digest_equal(digest, digest_after(swapped))); /* tables lie elsewhere */
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (digest_equal(digest, digest_after(others[i]))) fail_msg("the same digest: %s", others[i]);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_first_loses_dma_of_bystanders_where_sizes_must_match),
        cmocka_unit_test(cut_first_loses_nothing_where_the_smallest_size_counts),
        cmocka_unit_test(psmash_first_uses_old_entries_where_the_page_is_given_away_before_the_flush),
        cmocka_unit_test(a_flush_before_the_new_owner_does_not_stop_a_device_that_goes_on),
        cmocka_unit_test(the_script_of_a_find_is_as_short_as_any),
        cmocka_unit_test(a_search_that_is_cut_off_says_so),
        cmocka_unit_test(worlds_alike_have_one_digest_and_others_another),
    };

    return TEST_MAIN(tests, argc, argv);
}
