/* What the tests of worlds share: playing scripts with their expectations. */
#pragma once

#include "base/test_main.h"
#include "script/script.h"
#include "world/world_internal.h"

#include <string.h>

static inline void assert_no_difference(const struct world *world)
{
    if (world_difference(world)) fail_msg("%s", world_difference(world));
}

static inline void assert_differs(const struct world *world, const char *text)
{
    if (!world_difference(world)) fail_msg("no difference was noticed, expected: %s", text);
    if (!strstr(world_difference(world), text)) fail_msg("expected '%s' in:\n%s", text, world_difference(world));
}

/* One op of a script, with its expectation; a comment that is a finding's name must be the finding. */
static inline void play_op(struct world *world, const struct op *op, const struct script_note *note)
{
    struct world_outcome outcome;
    char got[200];

    world_apply(world, op, &outcome);
    assert_no_difference(world);
    world_print_outcome(&outcome, got, sizeof(got));
    if (note->expectation && strcmp(got, note->expectation) != 0)
        fail_msg("line %u: expected '%s', got '%s'", note->line, note->expectation, got);
    if (strcmp(world_finding_name(outcome.finding), note->comment ? note->comment : "none") != 0)
        fail_msg("line %u: finding %s", note->line, world_finding_name(outcome.finding));
}

/* Begin the world of the script, or go on in the present one where the text has none. */
static inline void play_in(struct world *world, const char *text)
{
    struct script script;
    struct script_error error;
    char message[256] = "";

    if (!script_parse(text, strlen(text), &script, &error)) fail_msg("%u: %s", error.line, error.message);
    if (script.has_world && world_begin(world, &script.ops[0], message, sizeof(message)))
        fail_msg("world: %s", message);
    for (size_t i = 1; i < script.count; i++) play_op(world, &script.ops[i], &script.notes[i]);
    world_check(world);
    assert_no_difference(world);
    script_free(&script);
}

static inline void play(const char *text)
{
    struct world *world = world_new();

    play_in(world, text);
    world_free(world);
}

/* The op of one line. */
static inline struct op op_of(const char *line)
{
    struct script script;
    struct script_error error;
    struct op op;

    if (!script_parse(line, strlen(line), &script, &error)) fail_msg("%s: %s", line, error.message);
    op = script.ops[script.count - 1];
    script_free(&script);
    return op;
}

/* What beginning the world of a line gives; where it is not `error`, the test ends with the message. */
static inline struct world *world_begun(const char *line, int error)
{
    struct world *world = world_new();
    const struct op op = op_of(line);
    char message[256] = "";

    if (world_begin(world, &op, message, sizeof(message)) != error) fail_msg("%s: %s", line, message);
    assert_no_difference(world);
    return world;
}

static inline void assert_begins_with(const char *line, int error)
{
    world_free(world_begun(line, error));
}

static inline struct world_outcome apply(struct world *world, const char *line)
{
    const struct op op = op_of(line);
    struct world_outcome outcome;

    world_apply(world, &op, &outcome);
    return outcome;
}

/* Small, contiguous and large leaves; the first page of them in the IOTLB. */
static inline struct world *small_world(void)
{
    struct world *world = world_new();

    play_in(world, "world\n"
                   "rmpupdate hpa=0x5000 gpa=0x1000\n"
                   "rmpupdate hpa=0x400000 size=2M gpa=0x400000\n"
                   "map gpa=0x1000 hpa=0x5000 length=8K\n"
                   "map gpa=0x10000 hpa=0x10000 length=64K\n"
                   "map gpa=0x400000 hpa=0x400000 length=2M\n"
                   "dma iova=0x1000\n");
    return world;
}
