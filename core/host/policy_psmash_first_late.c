/* P4 of rmp.md 6 reversed, and wrong: the guest is answered before the invalidation, which old entries outlive. */
#include "host/host_protocol.h"

static const struct host_plan plan = {
    .split = { { MOVE_PSMASH }, false },
    .cut = { { MOVE_CUT, MOVE_INVALIDATE, MOVE_WAIT }, false },
    .join = { { MOVE_JOIN }, false },
    .flushes = true,
    .answers_before_flush = true,
};

const struct host_policy host_psmash_first_late = { "psmash-first-late",
                                                    "the page changes hands before S2 is cut and flushed", 0, &plan };
