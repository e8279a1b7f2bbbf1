/*
 * One input through one world, for targets that apply ops: what they have in common. Each op is compared with the
 * oracle; a difference prints the script and aborts. world_check looks at everything: at the end of each input, and
 * after every op of one input in 256.
 *
 * Counters go to stderr at the end, also of a run that libFuzzer, Ctrl-C or SIGTERM ends:
 *   mapproof: execs=N ops=N findings=N
 *
 * MAPPROOF_ENGINE names another engine (fuzz_chosen.h).
 */
#pragma once

#include "fuzz.h"

#include "world/world.h"

/* The input under way. */
struct fuzz_input {
    const struct op *ops; /* the world first */
    size_t count, at;     /* at: the op that was just applied */
    uint64_t exec;        /* number of the input, from 1 */
    double seconds;       /* since the first input began */
};

struct fuzz_target {
    /* An op ended in a finding (and no difference). NULL: findings are counted and no more. */
    void (*on_finding)(const struct fuzz_input *input, const struct world_outcome *outcome);
    /* Printed below the counters at the end. NULL: nothing. */
    void (*print)(void);
};

/* Always the same target in one program. */
void fuzz_run(const struct fuzz_target *target, const uint8_t *data, size_t size);

/* Print what happened, below it the script, and abort: `what` is one line without newline, `details` may be NULL. */
_Noreturn void fuzz_abort(const struct fuzz_input *input, const char *what, const char *details);
