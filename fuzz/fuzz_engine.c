/*
 * Does every op do to the page tables, as hardware reads them, what it was asked to do, and nothing else?
 *
 * Input:  op records or a text script (fuzz.h); the first op is a world, the default one if there is none.
 * Oracle: world_apply compares result, errno and bytes with the oracle and walks the raw bits of what was touched;
 *         world_check looks at everything: at the end of each input, and after every op of one input in 256.
 * Limits: 256 ops. Nothing is kept between inputs but the counters below.
 *
 * MAPPROOF_ENGINE names another row of core/pt/engine.h for worlds of its format; `vector` means <format>-vector.
 */
#include "fuzz.h"

#include "base/fault.h"
#include "script/script.h"
#include "world/world.h"

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_ALL_ONE_IN = 256 };

static struct {
    uint64_t execs, ops, findings;
    uint64_t skipped; /* ops that mean nothing in their world */
    uint64_t refused; /* maps, unmaps, cuts and dirty reads that did nothing */
    uint64_t worlds_refused;
} counters;

static struct world *world;
static struct sigaction previous_abort;

static void print_counters(void)
{
    fprintf(stderr, "mapproof: execs=%" PRIu64 " ops=%" PRIu64 " findings=%" PRIu64 "\n", counters.execs, counters.ops,
            counters.findings);
    fprintf(stderr, "mapproof: worlds_refused=%" PRIu64 " ops_skipped=%" PRIu64 " ops_refused=%" PRIu64 "\n",
            counters.worlds_refused, counters.skipped, counters.refused);
}

/* abort() comes from the program itself, in the middle of no library call that matters: printing is safe. */
static void on_abort(int number)
{
    print_counters();
    fault_report();
    sigaction(SIGABRT, &previous_abort, NULL);
    if (previous_abort.sa_handler == SIG_DFL || previous_abort.sa_handler == SIG_IGN)
        raise(number);
    else if (previous_abort.sa_flags & SA_SIGINFO)
        previous_abort.sa_sigaction(number, NULL, NULL);
    else
        previous_abort.sa_handler(number);
}

/* At the first input, when libFuzzer has installed its own handler: that one runs after ours. */
static void start(void)
{
    const struct sigaction action = { .sa_handler = on_abort };

    world = world_new();
    atexit(print_counters);
    sigaction(SIGABRT, &action, &previous_abort);
}

static _Noreturn void report(const struct op *ops, size_t count, size_t at)
{
    size_t length;
    char *text = script_print_ops(ops, count, &length);

    fprintf(stderr, "mapproof: difference at op %zu of %zu\n%s\nscript:\n%s", at, count - 1, world_difference(world),
            text);
    free(text);
    abort();
}

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

/* The engine row for this world, or NULL for the format's own. */
static const char *engine_name(const struct op *world_op)
{
    static char name[64];
    const char *wanted = getenv("MAPPROOF_ENGINE");
    const char *format = op_format_name((unsigned)op_get(world_op, FIELD_FORMAT));

    if (!wanted || !wanted[0]) return NULL;
    if (strcmp(wanted, "vector") == 0) {
        snprintf(name, sizeof(name), "%s-vector", format);
        return name;
    }
    return strncmp(wanted, format, strlen(format)) == 0 ? wanted : NULL;
}

static void count_outcome(const struct world_outcome *outcome)
{
    const bool is_table_op = outcome->kind == OP_MAP || outcome->kind == OP_UNMAP || outcome->kind == OP_CUT ||
                             outcome->kind == OP_DIRTY_READ;

    counters.skipped += outcome->is_skipped;
    if (!is_table_op || outcome->is_skipped) return;
    counters.refused += (outcome->error && !outcome->bytes) || (outcome->kind == OP_UNMAP && !outcome->bytes);
}

static void run(const struct op *ops, size_t count)
{
    const bool check_all = checks_every_op(ops, count);

    for (size_t i = 1; i < count; i++) {
        struct world_outcome outcome;

        world_apply(world, &ops[i], &outcome);
        counters.ops++;
        counters.findings += outcome.finding != FINDING_NONE;
        count_outcome(&outcome);
        if (check_all) world_check(world);
        if (world_difference(world)) report(ops, count, i);
    }
    world_check(world);
    if (world_difference(world)) report(ops, count, count - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct op ops[FUZZ_OPS_MAX];
    const size_t count = fuzz_decode(data, size, ops);
    char message[256];

    if (!world) start();
    counters.execs++;
    world_use_engine(world, engine_name(&ops[0]));
    if (world_begin(world, &ops[0], message, sizeof(message)) != 0) {
        counters.worlds_refused++;
        return 0;
    }
    run(ops, count);
    return 0;
}
