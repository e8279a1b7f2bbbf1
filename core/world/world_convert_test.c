/* Conversions: the steps of each policy, one by one, what they cost, and what devices meet between them. */
#include "world/world_test_help.h"

#include <stdio.h>

enum { TEXT_MAX = 4096 };

/* Steps as text, "guest pvalidate ... -> ok" a line. */
struct steps {
    const struct world *world;
    char text[TEXT_MAX];
};

static void on_step(void *context, const struct host_step *step, const struct world_outcome *outcome)
{
    struct steps *steps = context;
    const size_t used = strlen(steps->text);
    char op[OP_TEXT_MAX], result[200];

    op_print(&step->op, &steps->world->world_op, op);
    world_print_outcome(outcome, result, sizeof(result));
    snprintf(steps->text + used, TEXT_MAX - used, "%s %s -> %s\n", host_actor_name(step->by), op, result);
}

/* Guest memory of 2M at gpa 2M, hpa 4M: private by one 2M page, by 4K pages around one shared, or shared. */
#define MAPPED "map gpa=0x200000 hpa=0x400000 length=2M\n"
#define PRIVATE_2M                                                                                                     \
    MAPPED "rmpupdate hpa=0x400000 size=2M gpa=0x200000\n"                                                             \
           "pvalidate hpa=0x400000 size=2M gpa=0x200000\n"

static struct world *world_of(const char *keys, const char *setup)
{
    struct world *world = world_new();
    char text[TEXT_MAX];

    snprintf(text, sizeof(text), "world %s\n%s", keys, setup);
    play_in(world, text);
    return world;
}

/* Play `line` in it: the steps and the outcome must be these. */
static void assert_steps(struct world *world, const char *line, const char *expected, const char *outcome)
{
    struct steps steps = { .world = world };
    struct world_outcome got;
    char text[200];

    world_watch_steps(world, (struct world_step_hook){ on_step, &steps });
    got = apply(world, line);
    world_watch_steps(world, (struct world_step_hook){ 0 });
    world_print_outcome(&got, text, sizeof(text));
    if (strcmp(steps.text, expected) != 0) fail_msg("%s\nexpected:\n%sgot:\n%s", line, expected, steps.text);
    if (strcmp(text, outcome) != 0) fail_msg("%s\nexpected: %s\ngot: %s", line, outcome, text);
    world_check(world);
    assert_no_difference(world);
}

struct conversion {
    const char *keys, *setup, *line, *steps, *outcome;
};

static void assert_conversions(const struct conversion *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct world *world = world_of(rows[i].keys, rows[i].setup);

        assert_steps(world, rows[i].line, rows[i].steps, rows[i].outcome);
        world_free(world);
    }
}

#define ASSERT_CONVERSIONS(rows) assert_conversions(rows, sizeof(rows) / sizeof((rows)[0]))

#define FAULT_4K "guest pvalidate hpa=0x401000 gpa=0x201000 validate=no -> NPF_SIZEM\n"
#define GIVE_4K  "guest pvalidate hpa=0x401000 gpa=0x201000 validate=no -> ok\n"
#define TAKE_4K  "host rmpupdate hpa=0x401000 assigned=no -> ok\n"
#define PSMASH   "host psmash hpa=0x400000 -> ok\n"
#define CUT      "host resize gpa=0x200000 length=2M max=4K -> ok\n"
#define FLUSH_2M                                                                                                       \
    "host inv_pages gpa=0x200000 length=2M -> ok\n"                                                                    \
    "host completion_wait -> ok\n"
#define FLUSH_4K                                                                                                       \
    "host inv_pages gpa=0x201000 length=4K -> ok\n"                                                                    \
    "host completion_wait -> ok\n"

static void a_page_of_a_private_2m_page_becomes_shared_as_each_policy_does_it(void **state)
{
    static const char line[] = "convert gpa=0x201000 length=4K to=shared";
    static const struct conversion rows[] = {
        { "policy=default", PRIVATE_2M, line, FAULT_4K PSMASH GIVE_4K TAKE_4K,
          "done steps=4 exits=2 updates=1 psmashes=1" },
        { "policy=4k-only", PRIVATE_2M, line, FAULT_4K PSMASH GIVE_4K TAKE_4K,
          "done steps=4 exits=2 updates=1 psmashes=1" },
        { "policy=cut-first", PRIVATE_2M, line, FAULT_4K CUT FLUSH_2M PSMASH GIVE_4K TAKE_4K FLUSH_4K,
          "done steps=9 exits=2 updates=1 psmashes=1 splits=1 tables=1 flushes=2" },
        { "policy=psmash-first", PRIVATE_2M, line, FAULT_4K PSMASH CUT FLUSH_2M GIVE_4K TAKE_4K FLUSH_4K,
          "done steps=9 exits=2 updates=1 psmashes=1 splits=1 tables=1 flushes=2" },
        { "policy=psmash-first-late", PRIVATE_2M, line, FAULT_4K PSMASH GIVE_4K TAKE_4K CUT FLUSH_2M FLUSH_4K,
          "done steps=9 exits=2 updates=1 psmashes=1 splits=1 tables=1 flushes=2" },
        { "policy=engine", PRIVATE_2M, line,
          FAULT_4K "firmware stall -> ok\n"
                   "firmware resize gpa=0x200000 length=2M max=4K -> ok\n"
                   "firmware psmash hpa=0x400000 -> ok\n"
                   "firmware inv_pages gpa=0x200000 length=2M -> ok\n"
                   "firmware completion_wait -> ok\n"
                   "firmware stall on=no -> ok\n" GIVE_4K TAKE_4K FLUSH_4K,
          "done steps=11 exits=2 updates=1 psmashes=1 splits=1 tables=1 flushes=2 stalls=1" },
    };

    (void)state;
    ASSERT_CONVERSIONS(rows);
}

static void a_whole_2m_page_becomes_shared_as_one(void **state)
{
    static const char line[] = "convert gpa=0x200000 length=2M to=shared";
    static const char give[] = "guest pvalidate hpa=0x400000 gpa=0x200000 size=2M validate=no -> ok\n"
                               "host rmpupdate hpa=0x400000 size=2M assigned=no -> ok\n";
    static const char give_and_flush[] = "guest pvalidate hpa=0x400000 gpa=0x200000 size=2M validate=no -> ok\n"
                                         "host rmpupdate hpa=0x400000 size=2M assigned=no -> ok\n" FLUSH_2M;
    static const struct conversion rows[] = {
        { "policy=default", PRIVATE_2M, line, give, "done steps=2 exits=1 updates=1" },
        { "policy=4k-only", PRIVATE_2M, line, give, "done steps=2 exits=1 updates=1" },
        { "policy=cut-first", PRIVATE_2M, line, give_and_flush, "done steps=4 exits=1 updates=1 flushes=1" },
        { "policy=psmash-first", PRIVATE_2M, line, give_and_flush, "done steps=4 exits=1 updates=1 flushes=1" },
        { "policy=psmash-first-late", PRIVATE_2M, line, give_and_flush, "done steps=4 exits=1 updates=1 flushes=1" },
        { "policy=engine", PRIVATE_2M, line, give_and_flush, "done steps=4 exits=1 updates=1 flushes=1" },
    };

    (void)state;
    ASSERT_CONVERSIONS(rows);
}

#define ASSIGN_4K "host rmpupdate hpa=0x401000 gpa=0x201000 -> ok\n"
#define ACCEPT_4K "guest pvalidate hpa=0x401000 gpa=0x201000 -> ok\n"

static void a_shared_page_of_4k_becomes_private_as_each_policy_does_it(void **state)
{
    static const char line[] = "convert gpa=0x201000 length=4K to=private";
    static const struct conversion rows[] = {
        { "policy=default", MAPPED, line, ASSIGN_4K ACCEPT_4K, "done steps=2 exits=1 updates=1" },
        { "policy=4k-only", MAPPED, line, ASSIGN_4K ACCEPT_4K, "done steps=2 exits=1 updates=1" },
        { "policy=cut-first", MAPPED, line, CUT FLUSH_2M ASSIGN_4K FLUSH_4K ACCEPT_4K,
          "done steps=7 exits=1 updates=1 splits=1 tables=1 flushes=2" },
        { "policy=psmash-first", MAPPED, line, CUT FLUSH_2M ASSIGN_4K FLUSH_4K ACCEPT_4K,
          "done steps=7 exits=1 updates=1 splits=1 tables=1 flushes=2" },
        { "policy=psmash-first-late", MAPPED, line, ASSIGN_4K ACCEPT_4K CUT FLUSH_2M FLUSH_4K,
          "done steps=7 exits=1 updates=1 splits=1 tables=1 flushes=2" },
        { "policy=engine", MAPPED, line, CUT FLUSH_2M ASSIGN_4K FLUSH_4K ACCEPT_4K,
          "done steps=7 exits=1 updates=1 splits=1 tables=1 flushes=2" },
        { "policy=cut-first page_sizes=4K", MAPPED, line, ASSIGN_4K FLUSH_4K ACCEPT_4K,
          "done steps=4 exits=1 updates=1 flushes=1" },
    };

    (void)state;
    ASSERT_CONVERSIONS(rows);
}

static void shared_2m_become_private_as_one_page_where_the_backing_is_one(void **state)
{
    static const char line[] = "convert gpa=0x200000 length=2M to=private";
    static const struct conversion rows[] = {
        { "policy=default", MAPPED, line,
          "host rmpupdate hpa=0x400000 size=2M gpa=0x200000 -> ok\n"
          "guest pvalidate hpa=0x400000 gpa=0x200000 size=2M -> ok\n",
          "done steps=2 exits=1 updates=1" },
        { "policy=cut-first", MAPPED, line,
          "host rmpupdate hpa=0x400000 size=2M gpa=0x200000 -> ok\n" FLUSH_2M
          "guest pvalidate hpa=0x400000 gpa=0x200000 size=2M -> ok\n",
          "done steps=4 exits=1 updates=1 flushes=1" },
        { "policy=engine", MAPPED "resize gpa=0x200000 length=2M max=4K\n", line,
          "host rmpupdate hpa=0x400000 size=2M gpa=0x200000 -> ok\n"
          "host resize gpa=0x200000 length=2M max=2M -> ok\n" FLUSH_2M
          "guest pvalidate hpa=0x400000 gpa=0x200000 size=2M -> ok\n",
          "done steps=5 exits=1 updates=1 joins=1 flushes=2" },
    };
    struct world *world = world_of("policy=default backing=4K", MAPPED);
    struct rmp_entry entry;

    (void)state;
    ASSERT_CONVERSIONS(rows);
    /* 512 updates, a 2M PVALIDATE that does not fit, and 512 that do. */
    assert_int_equal(apply(world, line).costs.steps, 1025);
    assert_true(rmp_lookup(world_rmp(world), hpa(0x5ff000), &entry));
    assert_int_equal(entry.size, RMP_4K);
    assert_true(entry.assigned && entry.validated);
    world_free(world);
}

static void pages_of_4k_are_converted_as_they_are(void **state)
{
    static const char line[] = "convert gpa=0x1000 length=4K to=shared";
    static const char setup[] = "map gpa=0x1000 hpa=0x5000 length=4K\nrmpupdate hpa=0x5000 gpa=0x1000\n"
                                "pvalidate hpa=0x5000 gpa=0x1000\n";
    static const char steps[] = "guest pvalidate hpa=0x5000 gpa=0x1000 validate=no -> ok\n"
                                "host rmpupdate hpa=0x5000 assigned=no -> ok\n";
    static const char steps_and_flush[] = "guest pvalidate hpa=0x5000 gpa=0x1000 validate=no -> ok\n"
                                          "host rmpupdate hpa=0x5000 assigned=no -> ok\n"
                                          "host inv_pages gpa=0x1000 length=4K -> ok\n"
                                          "host completion_wait -> ok\n";
    static const struct conversion rows[] = {
        { "policy=default", setup, line, steps, "done steps=2 exits=1 updates=1" },
        { "policy=engine", setup, line, steps_and_flush, "done steps=4 exits=1 updates=1 flushes=1" },
        { "policy=psmash-first-late", setup, line, steps_and_flush, "done steps=4 exits=1 updates=1 flushes=1" },
    };

    (void)state;
    ASSERT_CONVERSIONS(rows);
}

/* The last region of all: what follows it is no address. */
static void a_conversion_may_end_close_to_the_last_address(void **state)
{
    static const struct conversion rows[] = {
        { "policy=psmash-first-late", "map gpa=0xffffffffffffd000 hpa=0x5000 length=4K\n",
          "convert gpa=0xffffffffffffd000 length=4K to=private",
          "host rmpupdate hpa=0x5000 gpa=0xffffffffffffd000 -> ok\n"
          "guest pvalidate hpa=0x5000 gpa=0xffffffffffffd000 -> ok\n"
          "host inv_pages gpa=0xffffffffffffd000 length=4K -> ok\n"
          "host completion_wait -> ok\n",
          "done steps=4 exits=1 updates=1 flushes=1" },
    };

    (void)state;
    ASSERT_CONVERSIONS(rows);
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static void what_cannot_be_converted_is_refused_and_changes_nothing(void **state)
{
    static const struct conversion rows[] = {
        { "policy=default", "", "convert gpa=0x1000 length=4K to=shared", "", "refused=not-mapped steps=0 exits=1" },
        { "policy=engine", "", "convert gpa=0x1000 length=4K to=private", "", "refused=not-mapped steps=0 exits=1" },
        { "policy=default", "", "convert gpa=0x1001 length=4K to=shared", "", "refused=bad-request steps=0 exits=1" },
        { "policy=default", "", "convert gpa=0x1000 length=0 to=shared", "", "refused=bad-request steps=0 exits=1" },
        { "policy=default", "", "convert gpa=0x0 length=32M to=shared", "", "refused=bad-request steps=0 exits=1" },
        { "policy=default", "", "convert gpa=0xfffffffffffff000 length=8K to=shared", "",
          "refused=bad-request steps=0 exits=1" },
        { "policy=default", MAPPED, "convert gpa=0x201000 length=4K to=shared",
          "guest pvalidate hpa=0x401000 gpa=0x201000 validate=no -> NPF\n", "refused=not-owned steps=1 exits=1" },
        { "policy=script", MAPPED, "convert gpa=0x201000 length=4K to=shared", "", "skipped" },
        { "policy=engine rmp=off", MAPPED, "convert gpa=0x201000 length=4K to=shared", "", "skipped" },
        { "policy=engine", MAPPED, "step", "", "idle" },
    };

    (void)state;
    ASSERT_CONVERSIONS(rows);
}

static void without_memory_for_a_table_the_guest_gets_an_error(void **state)
{
    static const char line[] = "convert gpa=0x201000 length=4K to=shared";
    static const char no_memory[] = PRIVATE_2M "fail_alloc n=0\n";
    static const struct conversion rows[] = {
        { "policy=cut-first", no_memory, line, FAULT_4K "host resize gpa=0x200000 length=2M max=4K -> errno=ENOMEM\n",
          "refused=no-memory steps=2 exits=2 splits=1" },
        { "policy=psmash-first", no_memory, line,
          FAULT_4K PSMASH "host resize gpa=0x200000 length=2M max=4K -> errno=ENOMEM\n",
          "refused=no-memory steps=3 exits=2 psmashes=1 splits=1" },
        { "policy=engine", no_memory, line,
          FAULT_4K "firmware stall -> ok\n"
                   "firmware resize gpa=0x200000 length=2M max=4K -> errno=ENOMEM\n"
                   "firmware stall on=no -> ok\n",
          "refused=no-memory steps=4 exits=2 splits=1 stalls=1" },
    };

    (void)state;
    ASSERT_CONVERSIONS(rows);
}

static void the_firmware_may_hang_be_late_or_do_a_part(void **state)
{
#define ENGINE_LINE "convert gpa=0x201000 length=4K to=shared engine="
#define SWAPPED                                                                                                        \
    FAULT_4K "firmware stall -> ok\n"                                                                                  \
             "firmware resize gpa=0x200000 length=2M max=4K -> ok\n"
    static const struct conversion rows[] = {
        { "policy=engine", PRIVATE_2M, ENGINE_LINE "timeout", SWAPPED,
          "refused=timeout steps=3 exits=2 splits=1 tables=1 stalls=1" },
        { "policy=engine", PRIVATE_2M, ENGINE_LINE "timeout after=0", FAULT_4K, "refused=timeout steps=1 exits=2" },
        { "policy=engine", PRIVATE_2M, ENGINE_LINE "late steps=3", SWAPPED, "answered=timeout steps=3" },
        { "policy=engine", PRIVATE_2M, ENGINE_LINE "late",
          SWAPPED "firmware psmash hpa=0x400000 -> ok\n"
                  "firmware inv_pages gpa=0x200000 length=2M -> ok\n"
                  "firmware completion_wait -> ok\n"
                  "firmware stall on=no -> ok\n",
          "refused=timeout steps=7 exits=2 psmashes=1 splits=1 tables=1 flushes=1 stalls=1" },
        { "policy=engine", PRIVATE_2M, ENGINE_LINE "partial",
          SWAPPED "firmware inv_pages gpa=0x200000 length=2M -> ok\n"
                  "firmware completion_wait -> ok\n"
                  "firmware stall on=no -> ok\n",
          "refused=partial steps=6 exits=2 splits=1 tables=1 flushes=1 stalls=1" },
        { "policy=cut-first", PRIVATE_2M, ENGINE_LINE "partial", FAULT_4K CUT FLUSH_2M PSMASH GIVE_4K TAKE_4K FLUSH_4K,
          "done steps=9 exits=2 updates=1 psmashes=1 splits=1 tables=1 flushes=2" },
    };

    (void)state;
    ASSERT_CONVERSIONS(rows);
}

/* ---- between two steps ------------------------------------------------------------------------------------------- */

static void one_conversion_at_a_time(void **state)
{
    (void)state;
    play("world policy=cut-first\n" PRIVATE_2M "convert gpa=0x201000 length=4K to=shared steps=2   -> running steps=2\n"
         "convert gpa=0x202000 length=4K to=shared                                                  -> busy\n"
         "step n=3                                                                       -> running steps=3\n"
         "step n=all -> done steps=4 exits=2 updates=1 psmashes=1 splits=1 tables=1 flushes=2\n"
         "step                                                                           -> idle\n"
         "convert gpa=0x202000 length=4K to=shared -> done steps=4 exits=1 updates=1 flushes=1\n");
}

/* The queue of commands is full when the policy wants to send one: it waits first. */
static void a_full_queue_is_waited_for(void **state)
{
    struct world *world = world_of("policy=cut-first", MAPPED);

    (void)state;
    for (unsigned i = 0; i < WORLD_QUEUE_MAX; i++) apply(world, "inv_pages gpa=0x0 length=4K");
    assert_steps(world, "convert gpa=0x201000 length=4K to=private",
                 CUT "host inv_pages gpa=0x200000 length=2M -> errno=EAGAIN\n"
                     "host completion_wait -> ok\n" FLUSH_2M ASSIGN_4K FLUSH_4K ACCEPT_4K,
                 "done steps=9 exits=1 updates=1 splits=1 tables=1 flushes=3");
    world_free(world);
}

static void the_page_being_converted_may_lag_until_the_guest_has_its_answer(void **state)
{
    (void)state;
    play("world policy=psmash-first-late\n" PRIVATE_2M
         "dma iova=0x201000 access=write                              -> hpa=0x401000 fill=2M\n"
         "convert gpa=0x201000 length=4K to=shared steps=3            -> running steps=3\n"
         "dma iova=0x201000 access=write                              -> hpa=0x401000 hit=2M\n"
         "step                                                        -> answered steps=1\n"
         "dma iova=0x201000 access=write                              -> hpa=0x401000 hit=2M # STALE\n");
    play("world policy=cut-first\n" PRIVATE_2M
         "convert gpa=0x201000 length=4K to=shared steps=4            -> running steps=4\n"
         "dma iova=0x201000 access=write                              -> fault=rmp-size\n"
         "dma iova=0x202000 access=write                              -> fault=rmp-size # LOSES DMA\n"
         "step n=3                                                    -> running steps=3\n"
         "dma iova=0x201000 access=write device=dev3                  -> fault=not-present\n");
}

static void held_dma_is_served_in_order_when_the_stall_ends(void **state)
{
    struct world *world = world_new();

    (void)state;
    play_in(world, "world policy=engine\n" PRIVATE_2M
                   "dma iova=0x300000 access=write                        -> hpa=0x500000 fill=2M\n"
                   "convert gpa=0x201000 length=4K to=shared steps=3      -> running steps=3\n"
                   "dma iova=0x300000 access=write                        -> held\n"
                   "dma iova=0x800000                                     -> held\n"
                   "step n=4                                              -> running steps=4\n"
                   "dma iova=0x300000 access=write                        -> hpa=0x500000 hit=4K\n"
                   "stall                                                 -> ok\n"
                   "dma iova=0x300000                                     -> held\n"
                   "dma iova=0x800000                                     -> held\n"
                   "stall on=no                                           -> ok served=2 faults=1\n"
                   "stall on=no                                           -> ok\n"
                   "stall                                                 -> ok\n");
    for (unsigned i = 0; i < WORLD_HELD_MAX; i++) apply(world, "dma iova=0x300000");
    play_in(world, "dma iova=0x300000                                     -> not-sent\n");
    assert_int_equal(world_totals(world)->costs.held, 4 + WORLD_HELD_MAX);
    assert_int_equal(world_totals(world)->costs.stalls, 1);
    world_free(world);
}

/* The op that ends a stall has the finding of what it serves, and totals count each. */
static void findings_of_held_dma_are_those_of_the_op_that_serves_it(void **state)
{
    struct world *world = world_new();
    struct world_outcome outcome;

    (void)state;
    play_in(world, "world\n" PRIVATE_2M "psmash hpa=0x400000\nstall\n"
                   "dma iova=0x201000 -> held\ndma iova=0x202000 -> held\n");
    outcome = apply(world, "stall on=no");
    assert_int_equal(outcome.finding, FINDING_LOSES_DMA);
    assert_int_equal(outcome.faults, 2);
    assert_int_equal(op_get(&outcome.finding_op, FIELD_INPUT), 0x201000);
    assert_int_equal(world_totals(world)->findings[FINDING_LOSES_DMA], 2);
    world_free(world);
}

static void costs_of_all_conversions_add_up(void **state)
{
    struct world *world = world_of("policy=engine", PRIVATE_2M);
    const struct world_totals *totals = world_totals(world);

    (void)state;
    apply(world, "convert gpa=0x201000 length=4K to=shared");
    apply(world, "convert gpa=0x201000 length=4K to=private");
    apply(world, "convert gpa=0x900000 length=4K to=private");
    assert_int_equal(totals->conversions, 3);
    assert_int_equal(totals->refused, 1);
    assert_int_equal(totals->costs.exits, 4);
    assert_int_equal(totals->costs.steps, 15);
    assert_int_equal(totals->costs.updates, 2);
    assert_int_equal(totals->costs.flushes, 3);
    assert_int_equal(totals->costs.stalls, 1);
    world_free(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_of_a_private_2m_page_becomes_shared_as_each_policy_does_it),
        cmocka_unit_test(a_whole_2m_page_becomes_shared_as_one),
        cmocka_unit_test(a_shared_page_of_4k_becomes_private_as_each_policy_does_it),
        cmocka_unit_test(shared_2m_become_private_as_one_page_where_the_backing_is_one),
        cmocka_unit_test(pages_of_4k_are_converted_as_they_are),
        cmocka_unit_test(a_conversion_may_end_close_to_the_last_address),
        cmocka_unit_test(what_cannot_be_converted_is_refused_and_changes_nothing),
        cmocka_unit_test(without_memory_for_a_table_the_guest_gets_an_error),
        cmocka_unit_test(the_firmware_may_hang_be_late_or_do_a_part),
        cmocka_unit_test(one_conversion_at_a_time),
        cmocka_unit_test(a_full_queue_is_waited_for),
        cmocka_unit_test(the_page_being_converted_may_lag_until_the_guest_has_its_answer),
        cmocka_unit_test(held_dma_is_served_in_order_when_the_stall_ends),
        cmocka_unit_test(findings_of_held_dma_are_those_of_the_op_that_serves_it),
        cmocka_unit_test(costs_of_all_conversions_add_up),
    };

    return TEST_MAIN(tests, argc, argv);
}
