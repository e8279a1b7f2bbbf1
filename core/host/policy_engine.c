/* P5 of rmp.md 6: one command to the firmware, which holds DMA back for its steps. The host polls for the answer. */
#include "host/host_protocol.h"

static const struct host_plan plan = {
    .split = { { MOVE_STALL, MOVE_CUT, MOVE_PSMASH, MOVE_INVALIDATE, MOVE_WAIT, MOVE_RESUME }, true },
    .cut = { { MOVE_CUT, MOVE_INVALIDATE, MOVE_WAIT }, false },
    .join = { { MOVE_JOIN }, false },
    .flushes = true,
};

const struct host_policy host_engine = { "engine", "firmware stalls DMA while it splits S2 and the RMP", 0, &plan };
