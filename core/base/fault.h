/*
 * Planted faults: wrong code on purpose, to prove that the checks notice. One build (`faults`) has them; in every
 * other build FAULT() is the constant 0 and the wrong code is gone.
 *
 * The environment variable MAPPROOF_FAULT names the one that is on (a name of the list below). FAULT(name) is true
 * when it is on: the wrong branch counts as reached each time FAULT() is asked, and the fault site calls
 * fault_triggered() when its wrong branch made a difference. Counters are printed at exit to stderr:
 *     fault NAME reached=N triggered=N
 *
 * To plant one: add a row here and `if (FAULT(NAME)) ...` at the site. See fuzz/faults/README.md.
 */
#pragma once

#include <stdbool.h>

#define FAULT_LIST(X)                                                                                                  \
    X(PT_GATHER_REQUESTED_LENGTH, "unmap gathers the length asked for, not the length removed")                        \
    X(PT_SKIP_LAST_OF_RUN, "map leaves out the last item of a contiguous run")                                         \
    X(PT_OVERWRITE_LEAF, "map does not see a leaf in the way when it is not the first item")                           \
    X(PT_LOSE_MAPPED_ON_NOMEM, "map forgets its progress when an allocation fails")                                    \
    X(PT_GREEDY_IGNORES_TARGET, "the page size is chosen by the alignment of the iova alone")                          \
    X(PT_FREE_BEFORE_SYNC, "unmap frees a table before the sync that covers it")                                       \
    X(PT_CUT_LOSES_DIRTY, "cut does not carry the dirty bit into the parts")

enum fault_id {
    FAULT_NONE,
#define X(name, text) FAULT_##name,
    FAULT_LIST(X)
#undef X
        FAULT_COUNT,
};

#ifdef MAPPROOF_FAULTS
/* Is this fault on? Counts it as reached if so. */
bool fault_is_on(enum fault_id fault);
/* The fault that is on changed something. */
void fault_triggered(void);
/* Print the counters of the fault that is on, for programs that end in abort(). */
void fault_report(void);
#define FAULT(name) fault_is_on(FAULT_##name)
#else
#define FAULT(name) false
static inline void fault_triggered(void)
{
}
static inline void fault_report(void)
{
}
#endif
