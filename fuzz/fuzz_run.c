/* See fuzz_run.h. */
#include "fuzz_run.h"

#include "fuzz_chosen.h"
#include "fuzz_end.h"

#include "base/fault.h"
#include "pt/recorder.h"
#include "script/script.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHECK_ALL_ONE_IN = 256 };

static struct {
    uint64_t execs, ops, findings;
    uint64_t skipped; /* ops that mean nothing in their world */
    uint64_t refused; /* maps, unmaps, cuts and dirty reads that did nothing */
    uint64_t worlds_refused;
} counters;

static const struct fuzz_target *running;
static struct world *world;
static struct timespec started;
static struct recorder_set recorders; /* for scripts/matrix */

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void print_counters(void)
{
    fprintf(stderr, "mapproof: execs=%" PRIu64 " ops=%" PRIu64 " findings=%" PRIu64 "\n", counters.execs, counters.ops,
            counters.findings);
    fprintf(stderr, "mapproof: worlds_refused=%" PRIu64 " ops_skipped=%" PRIu64 " ops_refused=%" PRIu64 "\n",
            counters.worlds_refused, counters.skipped, counters.refused);
    if (running->print) running->print();
    recorder_print(&recorders, "fuzz", NUMBER_CALLS, stderr);
}

static void start(const struct fuzz_target *target)
{
    world = world_new();
    running = target;
    clock_gettime(CLOCK_MONOTONIC, &started);
    fuzz_end_begin(print_counters, fault_report);
}

_Noreturn void fuzz_abort(const struct fuzz_input *input, const char *what, const char *details)
{
    size_t length;
    char *text = script_print_ops(input->ops, input->count, &length);

    fprintf(stderr, "mapproof: %s at op %zu of %zu\n%s\nscript:\n%s", what, input->at, input->count - 1,
            details ? details : "", text);
    free(text);
    abort();
}

/* ---- one input --------------------------------------------------------------------------------------------------- */

/* Same ops, same answer: which inputs are looked at op by op. */
static bool checks_every_op(const struct op *ops, size_t count)
{
    uint64_t hash = count;

    for (size_t i = 0; i < count; i++) {
        hash = (hash ^ ops[i].head) * UINT64_C(0x9e3779b97f4a7c15);
        for (unsigned word = 0; word < 3; word++) hash = (hash ^ ops[i].operand[word]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return (hash >> 40) % CHECK_ALL_ONE_IN == 0;
}

static void count_outcome(const struct world_outcome *outcome)
{
    const bool is_table_op = outcome->kind == OP_MAP || outcome->kind == OP_MAP_LIST || outcome->kind == OP_UNMAP ||
                             outcome->kind == OP_CUT || outcome->kind == OP_DIRTY_READ;

    counters.ops++;
    counters.skipped += outcome->is_skipped;
    if (!is_table_op || outcome->is_skipped) return;
    counters.refused += (outcome->error && !outcome->bytes) || (outcome->kind == OP_UNMAP && !outcome->bytes);
}

static void abort_on_difference(const struct fuzz_input *input)
{
    if (world_difference(world)) fuzz_abort(input, "difference", world_difference(world));
}

static void note_finding(struct fuzz_input *input, const struct world_outcome *outcome)
{
    struct timespec now;

    counters.findings++;
    if (!running->on_finding) return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    input->seconds = (double)(now.tv_sec - started.tv_sec) + 1e-9 * (double)(now.tv_nsec - started.tv_nsec);
    running->on_finding(input, outcome);
}

static void run_ops(const struct op *ops, size_t count)
{
    const bool checks_all = checks_every_op(ops, count);
    struct fuzz_input input = { .ops = ops, .count = count, .exec = counters.execs };

    for (input.at = 1; input.at < count; input.at++) {
        struct world_outcome outcome;

        world_apply(world, &ops[input.at], &outcome);
        count_outcome(&outcome);
        if (checks_all) world_check(world);
        abort_on_difference(&input);
        if (outcome.finding != FINDING_NONE) note_finding(&input, &outcome);
    }
    input.at = count - 1;
    world_check(world);
    world_end(world);
    abort_on_difference(&input);
}

/* A world that cannot be is not run; one that the engine should have made is a difference. */
static void refuse_world(const struct op *ops, size_t count)
{
    const struct fuzz_input input = { .ops = ops, .count = count, .exec = counters.execs };

    counters.worlds_refused++;
    abort_on_difference(&input);
}

void fuzz_run(const struct fuzz_target *target, const uint8_t *data, size_t size)
{
    struct op ops[FUZZ_OPS_MAX];
    const size_t count = fuzz_decode(data, size, ops);
    char message[256];

    if (!world) start(target);
    counters.execs++;
    world_use_engine(world, fuzz_engine(&ops[0]));
    if (world_begin(world, &ops[0], message, sizeof(message)) == 0) {
        if (getenv("MAPPROOF_RAN") && !fuzz_plugin()) world_record(world, &recorders);
        run_ops(ops, count);
    } else {
        refuse_world(ops, count);
    }
    fuzz_end_if_asked();
}
