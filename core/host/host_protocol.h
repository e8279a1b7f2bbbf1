/*
 * What the policies of one kind share: the page-state protocol with its passes over the range (rmp.md 3.3 to 3.5). A
 * plan says how a policy splits and what it invalidates; its file holds nothing else.
 */
#pragma once

#include "host/host.h"

/* One move on the 2M region that has to be split, or joined. */
enum host_move {
    MOVE_END,
    MOVE_CUT,        /* resize S2 to 4K */
    MOVE_JOIN,       /* resize S2 to 2M */
    MOVE_INVALIDATE, /* queue the invalidation of the old leaf */
    MOVE_WAIT,
    MOVE_PSMASH,
    MOVE_STALL,
    MOVE_RESUME,
};

enum { HOST_MOVES_MAX = 8 };

struct host_moves {
    uint8_t moves[HOST_MOVES_MAX]; /* enum host_move, up to MOVE_END */
    bool of_firmware;
};

struct host_plan {
    struct host_moves split;   /* RMP 2M under a larger S2 leaf, and 4K of it change hands */
    struct host_moves cut;     /* S2 leaf of 2M or more, RMP 4K, and 4K of it change hands; nothing = left alone */
    struct host_moves join;    /* 2M were assigned as one page, S2 has 4K leaves */
    bool flushes;              /* invalidates the range after its pages changed hands */
    bool answers_before_flush; /* tells the guest before cuts of S2 and invalidations, not after */
    bool goes_on;              /* an error of RMPUPDATE to shared is logged and the page skipped, as KVM does */
};

bool host_protocol_next(struct host_conversion *conversion, const struct host_plan *plan, const struct host_view *view,
                        struct host_step *step);

extern const struct host_plan host_kvm_plan; /* of both policies that tell the IOMMU nothing */
/* The rows, each in its file. */
extern const struct host_policy host_default, host_4k_only, host_cut_first, host_psmash_first, host_psmash_first_late,
    host_engine;
