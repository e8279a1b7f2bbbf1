/* Worlds: scripts with their outcomes, findings, and that every kind of difference is noticed. */
#include "world/world_internal.h"

#include "base/random.h"
#include "base/test_main.h"
#include "script/script.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void assert_no_difference(const struct world *world)
{
    if (world_difference(world)) fail_msg("%s", world_difference(world));
}

/* Run a script; where a line has an expectation, the outcome must be it. `finding` words stand in the comment. */
static void run_script(struct world *world, const char *text)
{
    struct script script;
    struct script_error error;
    struct world_outcome outcome;
    char message[256] = "";

    if (!script_parse(text, strlen(text), &script, &error)) fail_msg("%u: %s", error.line, error.message);
    if (world_begin(world, &script.ops[0], message, sizeof(message))) fail_msg("world: %s", message);
    for (size_t i = 1; i < script.count; i++) {
        const struct script_note *note = &script.notes[i];
        char got[200];

        world_apply(world, &script.ops[i], &outcome);
        assert_no_difference(world);
        world_print_outcome(&outcome, got, sizeof(got));
        if (note->expectation && strcmp(got, note->expectation) != 0)
            fail_msg("line %u: expected '%s', got '%s'", note->line, note->expectation, got);
        if (note->comment && strcmp(world_finding_name(outcome.finding), note->comment) != 0)
            fail_msg("line %u: expected finding %s, got %s", note->line, note->comment,
                     world_finding_name(outcome.finding));
        assert_int_equal(world_check(world), 0);
    }
    script_free(&script);
}

static void play(const char *text)
{
    struct world *world = world_new();

    run_script(world, text);
    world_free(world);
}

/* ---- scripts ----------------------------------------------------------------------------------------------------- */

/* design.md 3, with `resize` as cuts. */
static void the_script_of_the_design_document_plays_as_written(void **state)
{
    struct world *world = world_new();
    struct world_outcome outcome;
    struct op cut = op_make(OP_CUT);

    (void)state;
    run_script(world, "world           format=amdv1 hw=amd policy=script memory=8M\n"
                      "rmpupdate       hpa=0x400000 size=2M asid=1 gpa=0x200000          -> ok\n"
                      "pvalidate       hpa=0x400000 asid=1 gpa=0x200000 size=2M          -> ok\n"
                      "map             gpa=0x200000 hpa=0x400000 length=2M prot=rw       -> ok\n"
                      "dma             iova=0x201000 access=write                        -> hpa=0x401000 fill=2M\n");
    for (uint64_t at = 0x201000; at < 0x400000; at += 0x1000) {
        op_set(&cut, FIELD_AT, at);
        world_apply(world, &cut, &outcome);
        assert_int_equal(outcome.error, 0);
    }
    assert_no_difference(world);
    assert_int_equal(world_check(world), 0);
    const char *const rest[] = {
        "dma iova=0x300000 access=write -> hpa=0x500000 hit=2M",
        "inv_pages gpa=0x200000 length=2M -> ok",
        "completion_wait -> ok",
        "dma iova=0x300000 access=write -> fault=rmp-size # LOSES DMA",
        "psmash hpa=0x400000 -> ok",
        "dma iova=0x300000 access=write -> hpa=0x500000 fill=4K",
    };

    for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++) {
        struct script script;
        struct script_error error;
        char got[200];

        assert_true(script_parse(rest[i], strlen(rest[i]), &script, &error));
        world_apply(world, &script.ops[1], &outcome);
        assert_no_difference(world);
        world_print_outcome(&outcome, got, sizeof(got));
        assert_string_equal(got, script.notes[1].expectation);
        if (script.notes[1].comment) assert_string_equal(world_finding_name(outcome.finding), script.notes[1].comment);
        script_free(&script);
    }
    assert_int_equal(world_check(world), 0);
    world_free(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_script_of_the_design_document_plays_as_written),
    };

    (void)play;
    return TEST_MAIN(tests, argc, argv);
}
