/*
 * Breadth-first search over all interleavings of what may happen to a small world.
 *
 * A plan is a prefix (always the same beginning), a program (ops that happen in their order, each at any time: a
 * policy's steps, a guest's) and events (ops that may happen at any time, any number of times: DMA, evictions, an
 * invalidation that takes effect). A state is how far the program is and world_digest; what was met before is not gone
 * into again. So the search ends when nothing new can happen ("closed"), at the depth asked for, or when it is stopped.
 *
 * There are no snapshots: a state is the ops that lead to it, done again from the start. A new world costs about 1 us
 * and most ops less, so that a transition of a plan like those of explore_test.c costs some 10 to 30 us.
 *
 * Of the DMAs that a stall holds back, two are told apart; a third one is not gone into.
 *
 * Breadth first makes the script of each finding as short as any. It is checked with a sample of the walks that
 * world_apply does by default: replay what is found.
 */
#pragma once

#include "script/op.h"
#include "world/world.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EXPLORE_EVENTS_MAX = 64, EXPLORE_DEPTH_MAX = 250 };

struct explore_plan {
    const struct op *prefix; /* the first is the world op */
    size_t prefix_count;
    const struct op *program;
    size_t program_count; /* may be 0 */
    const struct op *events;
    size_t event_count;  /* 0 .. EXPLORE_EVENTS_MAX */
    uint64_t idle_only;  /* bit n: event n happens only while no conversion is under way */
    unsigned depth;      /* 1 .. EXPLORE_DEPTH_MAX ops behind the prefix */
    uint32_t states_max; /* stop there; 0 = 2^24 */
    /* Called every 4096 transitions; false stops the search. NULL: never. */
    bool (*go_on)(void *context, uint32_t states, unsigned depth);
    void *context;
};

/* What a conversion may come to beside findings (design.md 6). */
enum explore_end {
    END_HANGS,   /* its next step changes nothing: it can never complete */
    END_LEAKS,   /* pages stay assigned that nobody owns */
    END_REFUSES, /* the guest gets an error */
    END_STALLS,  /* DMA was held back */
    EXPLORE_ENDS,
};

/* The first script that breaks a rule, or comes to such an end. */
struct explore_find {
    uint32_t state; /* the state before the op */
    uint16_t op;    /* number of the event; of the program's op: event_count */
    bool is_known;
};

struct explore_result {
    bool is_closed;  /* every reachable state was gone into */
    bool is_stopped; /* by go_on or states_max */
    unsigned depth;  /* of the deepest state */
    uint32_t states;
    uint64_t transitions;
    struct explore_find finds[RULE_COUNT]; /* by rule; RULE_NONE: a difference, which is a bug of mapproof */
    struct explore_find ends[EXPLORE_ENDS];
};

struct explore;

struct explore *explore_new(void);
void explore_free(struct explore *explore);

/*
 * Search. 0, or what world_begin said of the prefix, with its message (size bytes). A difference ends the search; it
 * is finds[RULE_NONE]. Memory: about 60 bytes a state.
 */
int explore_run(struct explore *explore, const struct explore_plan *plan, struct explore_result *result, char *message,
                size_t size);

/* The ops of a find, prefix included: at most `max`. Returns how many. Of the plan that was run last. */
size_t explore_script(const struct explore *explore, const struct explore_plan *plan, const struct explore_find *find,
                      struct op *ops, size_t max);
