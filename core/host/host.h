/*
 * Host policies: what a host does when a guest asks it to make pages shared or private (rmp.md 3 and 6).
 *
 * A policy is a generator of ops. It does nothing itself: host_next says which op comes next and whose it is, whoever
 * owns the world applies it as if a script had said it, and host_note tells the conversion how it ended. So every step
 * is checked and seen, anything may happen between two steps, and the steps written down are a script that does the
 * same without a policy.
 *
 * A conversion under way is plain data without pointers: it may be copied, compared and saved. What it decides it
 * decides when asked, by what host_view shows at that moment, as a kernel reads the tables when it gets there.
 *
 * Choices where the facts leave room stand in README.md.
 */
#pragma once

#include "rmp/rmp.h"
#include "script/op.h"

#include <stdbool.h>
#include <stdint.h>

/* Whose instruction or command a step is. */
enum host_actor { HOST_BY_GUEST, HOST_BY_HOST, HOST_BY_FIRMWARE };

enum host_state { HOST_IDLE, HOST_RUNNING, HOST_DONE, HOST_REFUSED };

/* Why a conversion ended with an error that the guest sees. */
enum host_reason {
    HOST_NO_REASON,
    HOST_BAD_REQUEST, /* not in pages of 4K, empty, wraps, or above HOST_LENGTH_MAX */
    HOST_NOT_MAPPED,  /* S2 has nothing there */
    HOST_NOT_OWNED,   /* the page is not this guest's at this gpa, or immutable */
    HOST_NO_MEMORY,   /* no page for a table */
    HOST_IN_USE,      /* FAIL_INUSE to the last try */
    HOST_OVERLAP,     /* FAIL_OVERLAP to the last try */
    HOST_TIMEOUT,     /* the firmware did not answer in time */
    HOST_PARTIAL,     /* the firmware did a part */
    HOST_OTHER,       /* an error that none of these names */
    HOST_REASONS,
};

enum {
    HOST_TRIES_MAX = 4,         /* of one instruction that says FAIL_INUSE or FAIL_OVERLAP; Linux: no bound (O8) */
    HOST_LENGTH_MAX = 16 << 20, /* bytes of one request: a bound of this model, a GHCB buffer holds 253 entries */
    HOST_ASID = 1,              /* the guest that asks */
};

/* What the guest asks for. */
struct host_request {
    uint64_t gpa, length; /* bytes */
    bool to_private;
    uint8_t engine; /* enum op_engine; only policy engine looks at it */
    uint8_t after;  /* of the firmware's steps, where it is late or hangs */
};

/* A conversion, from the request to its last step. All zero = none. */
struct host_conversion {
    struct host_request request;
    uint64_t at;        /* gpa: below it this pass is done */
    uint8_t leaf_shift; /* size of the S2 leaf over it that is being split */
    uint8_t policy;     /* row of host_policy_at */
    uint8_t state;      /* enum host_state */
    uint8_t reason;     /* enum host_reason; set before the end where steps follow an error */
    uint8_t pass;       /* inside of host_protocol.c, as all below */
    uint8_t moves;      /* the list of moves under way, 0: none */
    uint8_t move;       /* place in it */
    uint8_t tries;      /* of one instruction */
    uint8_t faults;     /* splits for one page */
    bool must_wait;     /* the command queue is full */
    bool is_small;      /* the guest was told that this region is of 4K pages */
    bool has_changed;   /* some page changed hands: what is cached of the range must go */
    bool is_answered;   /* the guest knows the result: the page is no longer being converted */
    bool has_result;    /* of the last step, not looked at yet */
    int16_t error;      /* it: 0 or -errno */
    int16_t rmp;        /* it: enum rmp_result */
    uint8_t step_size;  /* it: enum rmp_page_size of the page that it was about */
    uint32_t leaked;    /* 4K pages that stay assigned because the policy goes on behind an error */
    uint32_t exits;     /* from the guest to the host: the request, and faults */
};

/* The S2 leaf over a gpa. */
struct host_leaf {
    uint64_t hpa;   /* of the byte asked for */
    unsigned shift; /* 0: nothing is mapped */
};

/* What a policy may look at. */
struct host_view {
    struct host_leaf (*leaf)(void *context, uint64_t gpa); /* cost: a walk */
    void *context;
    const struct rmp *rmp;
    bool is_stalled;       /* DMA is held */
    bool backing_is_large; /* guest memory may come in pages of 2M */
};

struct host_step {
    struct op op;
    enum host_actor by;
};

struct host_plan; /* host_protocol.h: how a policy splits, what it invalidates, when it answers */

/* One policy. */
struct host_policy {
    const char *name;    /* as in op_policy_name */
    const char *title;   /* one line for people */
    uint64_t page_sizes; /* S2 leaves that it maps, 0 = all of the format's */
    const struct host_plan *plan;
};

/* Row `index`, NULL past the end. */
const struct host_policy *host_policy_at(unsigned index);
/* The number of the row of that name, or -1 (`script` and unknown names). */
int host_policy_find(const char *name);

/* Start a conversion under row `policy`. A bad request is refused at once, without a step. */
void host_begin(struct host_conversion *conversion, unsigned policy, const struct host_request *request);

/*
 * The next step, or false: the conversion has ended (state HOST_DONE or HOST_REFUSED). Asked twice without a host_note
 * and with the same view it says the same. Cost: O(1) walks, except where 2M of 4K leaves are looked at.
 */
bool host_next(struct host_conversion *conversion, const struct host_view *view, struct host_step *step);

/* How the step that host_next gave ended: errno of ops on tables and commands, result of RMP ops. */
void host_note(struct host_conversion *conversion, int error, enum rmp_result rmp);

/* "not-mapped", "in-use", ...; "" for HOST_NO_REASON */
const char *host_reason_name(enum host_reason reason);
/* "guest", "host", "firmware" */
const char *host_actor_name(enum host_actor actor);
