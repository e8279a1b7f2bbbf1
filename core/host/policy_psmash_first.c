/* P4 of rmp.md 6 reversed: PSMASH, then cut, invalidate and wait, and only then does the page change hands. */
#include "host/host_protocol.h"

static const struct host_plan plan = {
    .split = { { MOVE_PSMASH, MOVE_CUT, MOVE_INVALIDATE, MOVE_WAIT }, false },
    .cut = { { MOVE_CUT, MOVE_INVALIDATE, MOVE_WAIT }, false },
    .join = { { MOVE_JOIN }, false },
    .flushes = true,
};

const struct host_policy host_psmash_first = { "psmash-first", "the RMP is smashed, then S2 is cut and flushed", 0,
                                               &plan };
