/* P4 of rmp.md 6: cut the S2 leaf, invalidate and wait, then PSMASH. Between the last two every miss of a neighbour
 * fails. */
#include "host/host_protocol.h"

static const struct host_plan plan = {
    .split = { { MOVE_CUT, MOVE_INVALIDATE, MOVE_WAIT, MOVE_PSMASH }, false },
    .cut = { { MOVE_CUT, MOVE_INVALIDATE, MOVE_WAIT }, false },
    .join = { { MOVE_JOIN }, false },
    .flushes = true,
};

const struct host_policy host_cut_first = { "cut-first", "S2 is cut and flushed, then the RMP is smashed", 0, &plan };
