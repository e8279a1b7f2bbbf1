/*
 * The page-state protocol, for every plan (host_protocol.h).
 *
 *   to shared    GIVE (guest: PVALIDATE 0), OWNER (RMPUPDATE), FLUSH
 *   to private   OWNER, FLUSH, ACCEPT (guest: PVALIDATE 1)
 *   a plan that answers before it flushes: the same without FLUSH, the answer, then TIDY (cuts of S2) and FLUSH
 *
 * A pass walks the range page by page, 2M at a time where that is one page. Where a page cannot be handled as it is, a
 * list of moves on its 2M region comes first, and then the page again.
 */
#include "host/host_protocol.h"

#include "base/bits.h"
#include "base/check.h"

#include <errno.h>

enum pass { PASS_GIVE, PASS_OWNER, PASS_ACCEPT, PASS_ANSWER, PASS_TIDY, PASS_FLUSH, PASS_END };

enum list { LIST_NONE, LIST_SPLIT, LIST_SMASH, LIST_CUT, LIST_JOIN };

static const struct host_moves smash_only = { { MOVE_PSMASH }, false };

struct job {
    struct host_conversion *conversion;
    const struct host_plan *plan;
    const struct host_view *view;
    struct host_step *step;
};

/* ---- the range --------------------------------------------------------------------------------------------------- */

static uint64_t end_of(const struct host_conversion *c)
{
    return c->request.gpa + c->request.length;
}

static bool is_whole_region(const struct host_conversion *c)
{
    return is_aligned(c->at, SHIFT_2M) && end_of(c) - c->at >= bit(SHIFT_2M);
}

static void advance(struct host_conversion *c, uint64_t bytes)
{
    c->at += bytes;
    c->tries = c->faults = 0;
    if (is_aligned(c->at, SHIFT_2M)) c->is_small = false;
}

static uint64_t step_bytes(const struct host_conversion *c)
{
    return c->step_size == RMP_2M ? bit(SHIFT_2M) : bit(SHIFT_4K);
}

static struct host_leaf leaf_at(const struct job *job, uint64_t gpa)
{
    return job->view->leaf(job->view->context, gpa);
}

/* ---- passes ------------------------------------------------------------------------------------------------------ */

static void enter(struct host_conversion *c, enum pass pass)
{
    c->pass = (uint8_t)pass;
    c->at = c->request.gpa;
    c->moves = c->move = c->tries = c->faults = 0;
    c->is_small = false;
}

static enum pass pass_after(const struct host_conversion *c, const struct host_plan *plan)
{
    const bool is_late = plan->answers_before_flush;

    switch ((enum pass)c->pass) {
    case PASS_GIVE: return PASS_OWNER;
    case PASS_OWNER:
        if (c->request.to_private && is_late) return PASS_ACCEPT;
        return is_late ? PASS_ANSWER : PASS_FLUSH;
    case PASS_FLUSH: return c->request.to_private && !is_late && !c->reason ? PASS_ACCEPT : PASS_END;
    case PASS_ACCEPT: return is_late ? PASS_ANSWER : PASS_END;
    case PASS_ANSWER: return PASS_TIDY;
    case PASS_TIDY: return PASS_FLUSH;
    case PASS_END: break;
    }
    return PASS_END;
}

/* What changed hands is invalidated also where the rest is refused. */
static void refuse(struct job *job, enum host_reason reason)
{
    struct host_conversion *c = job->conversion;

    c->reason = (uint8_t)reason;
    c->is_answered |= job->plan->answers_before_flush;
    enter(c, c->has_changed && job->plan->flushes ? PASS_FLUSH : PASS_END);
}

/* ---- moves ------------------------------------------------------------------------------------------------------- */

static const struct host_moves *list_of(const struct host_plan *plan, enum list list)
{
    switch (list) {
    case LIST_SPLIT: return &plan->split;
    case LIST_CUT: return &plan->cut;
    case LIST_JOIN: return &plan->join;
    default: return &smash_only;
    }
}

static void begin_moves(struct job *job, enum list list, unsigned leaf_shift)
{
    struct host_conversion *c = job->conversion;

    if (++c->faults > HOST_TRIES_MAX) {
        refuse(job, HOST_OTHER);
        return;
    }
    c->moves = (uint8_t)list;
    c->move = c->tries = 0;
    c->leaf_shift = (uint8_t)leaf_shift;
}

/* A page of 4K inside an RMP page of 2M. Where S2 is split already only the RMP is behind. */
static void begin_split(struct job *job)
{
    const struct host_leaf leaf = leaf_at(job, job->conversion->at);

    begin_moves(job, leaf.shift >= SHIFT_2M ? LIST_SPLIT : LIST_SMASH, leaf.shift);
}

/* Held DMA must go on whatever failed. */
static void fail_move(struct job *job, enum host_reason reason)
{
    struct host_conversion *c = job->conversion;
    const uint8_t *moves = list_of(job->plan, (enum list)c->moves)->moves;

    for (unsigned i = c->move; moves[i] != MOVE_END; i++) {
        if (moves[i] != MOVE_RESUME) continue;
        c->reason = (uint8_t)reason;
        c->move = (uint8_t)i;
        return;
    }
    refuse(job, reason);
}

/* The list is done. A command that the firmware did not answer well is the end of the conversion. */
static void end_moves(struct job *job, bool of_firmware)
{
    struct host_conversion *c = job->conversion;

    c->moves = c->move = c->tries = 0;
    if (of_firmware && !c->reason && c->request.engine == ENGINE_PARTIAL) c->reason = HOST_PARTIAL;
    if (of_firmware && !c->reason && c->request.engine != ENGINE_OK) c->reason = HOST_TIMEOUT;
    if (c->reason) refuse(job, (enum host_reason)c->reason);
}

/* The host's polls end here. True: the firmware does no more. */
static bool gives_up(struct job *job)
{
    struct host_conversion *c = job->conversion;

    if (c->move < c->request.after) return false;
    if (c->request.engine == ENGINE_TIMEOUT) {
        refuse(job, HOST_TIMEOUT);
        return true;
    }
    if (c->request.engine == ENGINE_LATE) {
        c->reason = HOST_TIMEOUT;
        c->is_answered = true;
    }
    return false;
}

/* The whole 2M region. */
static void make_resize(struct job *job, unsigned max)
{
    struct op *op = &job->step->op;

    *op = op_make(OP_RESIZE);
    op_set(op, FIELD_INPUT, align_down(job->conversion->at, SHIFT_2M));
    op_set(op, FIELD_LENGTH, bit(SHIFT_2M));
    op_set(op, FIELD_MAX, max);
}

static void make_invalidation(struct job *job, uint64_t gpa, uint64_t length)
{
    struct op *op = &job->step->op;

    *op = op_make(OP_INV_PAGES);
    op_set(op, FIELD_INPUT, gpa);
    op_set(op, FIELD_LENGTH, length);
}

static void make_stall(struct job *job, bool on)
{
    job->step->op = op_make(OP_STALL);
    op_set(&job->step->op, FIELD_ON, on);
}

static void make_psmash(struct job *job)
{
    job->step->op = op_make(OP_PSMASH);
    op_set(&job->step->op, FIELD_HPA, align_down(leaf_at(job, job->conversion->at).hpa, SHIFT_2M));
}

static void make_move(struct job *job, enum host_move move)
{
    const struct host_conversion *c = job->conversion;
    const uint64_t leaf = align_down(c->at, c->leaf_shift);

    switch (move) {
    case MOVE_CUT: make_resize(job, SHIFT_4K); break;
    case MOVE_JOIN: make_resize(job, SHIFT_2M); break;
    case MOVE_INVALIDATE: make_invalidation(job, leaf, bit(c->leaf_shift)); break;
    case MOVE_WAIT: job->step->op = op_make(OP_COMPLETION_WAIT); break;
    case MOVE_PSMASH: make_psmash(job); break;
    case MOVE_STALL: make_stall(job, true); break;
    case MOVE_RESUME: make_stall(job, false); break;
    case MOVE_END: break;
    }
}

static bool propose_move(struct job *job)
{
    struct host_conversion *c = job->conversion;
    const struct host_moves *list = list_of(job->plan, (enum list)c->moves);
    const enum host_move move = (enum host_move)list->moves[c->move];

    if (list->of_firmware && gives_up(job)) return false;
    if (move == MOVE_END) {
        end_moves(job, list->of_firmware);
        return false;
    }
    if (move == MOVE_PSMASH && list->of_firmware && c->request.engine == ENGINE_PARTIAL) {
        c->move++;
        return false;
    }
    if (leaf_at(job, c->at).shift == 0 && move != MOVE_RESUME) {
        fail_move(job, HOST_NOT_MAPPED);
        return false;
    }
    make_move(job, move);
    job->step->by = list->of_firmware ? HOST_BY_FIRMWARE : HOST_BY_HOST;
    return true;
}

static bool is_small_now(const struct job *job)
{
    struct rmp_entry entry;

    return rmp_lookup(job->view->rmp, hpa(leaf_at(job, job->conversion->at).hpa), &entry) && entry.size == RMP_4K;
}

static void take_psmash(struct job *job)
{
    struct host_conversion *c = job->conversion;

    if (c->rmp == RMP_FAIL_INUSE && ++c->tries < HOST_TRIES_MAX) return;
    if (c->rmp == RMP_FAIL_INUSE)
        fail_move(job, HOST_IN_USE);
    else if (c->rmp == RMP_OK || job->plan->goes_on || is_small_now(job))
        c->move++;
    else
        fail_move(job, HOST_OTHER);
}

static void take_move(struct job *job)
{
    struct host_conversion *c = job->conversion;

    switch ((enum host_move)list_of(job->plan, (enum list)c->moves)->moves[c->move]) {
    case MOVE_CUT:
    case MOVE_JOIN:
        if (c->error)
            fail_move(job, c->error == -ENOMEM ? HOST_NO_MEMORY : HOST_OTHER);
        else
            c->move++;
        break;
    case MOVE_INVALIDATE:
        c->must_wait = c->error == -EAGAIN;
        c->move += !c->must_wait;
        break;
    case MOVE_PSMASH: take_psmash(job); break;
    default: c->move++; break;
    }
}

/* ---- the guest's part -------------------------------------------------------------------------------------------- */

static bool propose_guest(struct job *job)
{
    struct host_conversion *c = job->conversion;
    const struct host_leaf leaf = leaf_at(job, c->at);
    struct op *op = &job->step->op;

    if (leaf.shift == 0) {
        refuse(job, HOST_NOT_MAPPED);
        return false;
    }
    c->step_size = is_whole_region(c) && !c->is_small ? RMP_2M : RMP_4K;
    *op = op_make(OP_PVALIDATE);
    op_set(op, FIELD_HPA, align_down(leaf.hpa, SHIFT_4K));
    op_set(op, FIELD_GPA, c->at);
    op_set(op, FIELD_ASID, HOST_ASID);
    op_set(op, FIELD_SIZE, c->step_size);
    op_set(op, FIELD_VALIDATE, c->pass == PASS_ACCEPT);
    job->step->by = HOST_BY_GUEST;
    return true;
}

static void take_guest(struct job *job)
{
    struct host_conversion *c = job->conversion;

    switch ((enum rmp_result)c->rmp) {
    case RMP_OK:
    case RMP_NOUPDATE: advance(c, step_bytes(c)); break;
    case RMP_FAIL_SIZEMISMATCH: c->is_small = true; break; /* 4K pages, then */
    case RMP_NPF_SIZEM:                                    /* an exit, after which the guest tries again */
        c->exits++;
        begin_split(job);
        break;
    default: refuse(job, HOST_NOT_OWNED); break;
    }
}

/* ---- the host's part --------------------------------------------------------------------------------------------- */

static void make_update(struct job *job, uint64_t page, enum rmp_page_size size)
{
    const struct host_conversion *c = job->conversion;
    struct op *op = &job->step->op;

    job->conversion->step_size = (uint8_t)size;
    *op = op_make(OP_RMPUPDATE);
    op_set(op, FIELD_HPA, align_down(page, SHIFT_4K));
    op_set(op, FIELD_SIZE, size);
    op_set(op, FIELD_ASSIGNED, c->request.to_private);
    op_set(op, FIELD_ASID, c->request.to_private ? HOST_ASID : 0);
    op_set(op, FIELD_GPA, c->request.to_private ? c->at : 0);
    job->step->by = HOST_BY_HOST;
}

/* rmp.md 3.5 */
static bool propose_take(struct job *job, uint64_t page)
{
    struct host_conversion *c = job->conversion;
    struct rmp_entry entry;

    if (!rmp_lookup(job->view->rmp, hpa(page), &entry) || !entry.assigned) {
        advance(c, bit(SHIFT_4K));
        return false;
    }
    if (entry.size == RMP_4K) {
        make_update(job, page, RMP_4K);
        return true;
    }
    if (is_whole_region(c) && is_aligned(page, SHIFT_2M)) {
        make_update(job, page, RMP_2M);
        return true;
    }
    begin_split(job);
    return false;
}

static bool is_contiguous(const struct job *job, const struct host_leaf *first)
{
    const uint64_t start = job->conversion->at;

    if (first->shift >= SHIFT_2M) return true;
    for (uint64_t offset = 0; offset < bit(SHIFT_2M); offset += bit(SHIFT_4K)) {
        const struct host_leaf leaf = leaf_at(job, start + offset);

        if (leaf.shift == 0 || leaf.hpa != first->hpa + offset) return false;
    }
    return true;
}

/* rmp.md 3.4, for a request that covers the 2M: a smaller one has the backing split. */
static bool is_one_page(const struct job *job, const struct host_leaf *leaf)
{
    return job->view->backing_is_large && is_whole_region(job->conversion) && is_aligned(leaf->hpa, SHIFT_2M) &&
           rmp_region_is_shared(job->view->rmp, hpa(leaf->hpa)) && is_contiguous(job, leaf);
}

static bool propose_assign(struct job *job, const struct host_leaf *leaf)
{
    struct host_conversion *c = job->conversion;
    const bool cuts_now = job->plan->cut.moves[0] != MOVE_END && !job->plan->answers_before_flush;
    struct rmp_entry entry;

    if (rmp_lookup(job->view->rmp, hpa(leaf->hpa), &entry) && entry.assigned) {
        advance(c, bit(SHIFT_4K));
        return false;
    }
    if (is_one_page(job, leaf)) {
        make_update(job, leaf->hpa, RMP_2M);
        return true;
    }
    if (cuts_now && leaf->shift >= SHIFT_2M) {
        begin_moves(job, LIST_CUT, leaf->shift);
        return false;
    }
    make_update(job, leaf->hpa, RMP_4K);
    return true;
}

static bool propose_owner(struct job *job)
{
    struct host_conversion *c = job->conversion;
    const struct host_leaf leaf = leaf_at(job, c->at);

    if (leaf.shift == 0) {
        refuse(job, HOST_NOT_MAPPED);
        return false;
    }
    return c->request.to_private ? propose_assign(job, &leaf) : propose_take(job, leaf.hpa);
}

/* KVM logs it and leaves the page as it is, for whoever gets it next; others tell the guest. */
static void give_page_up(struct job *job, enum host_reason reason)
{
    struct host_conversion *c = job->conversion;

    if (!job->plan->goes_on || c->request.to_private) {
        refuse(job, reason);
        return;
    }
    c->leaked += (uint32_t)(step_bytes(c) >> SHIFT_4K);
    advance(c, step_bytes(c));
}

static void take_update(struct job *job)
{
    struct host_conversion *c = job->conversion;
    const bool joins = c->request.to_private && c->step_size == RMP_2M && job->plan->join.moves[0] != MOVE_END;

    switch ((enum rmp_result)c->rmp) {
    case RMP_OK:
        c->has_changed = true;
        if (joins && leaf_at(job, c->at).shift < SHIFT_2M)
            begin_moves(job, LIST_JOIN, SHIFT_2M); /* the pages are passed over afterwards: they are assigned */
        else
            advance(c, step_bytes(c));
        break;
    case RMP_FAIL_OVERLAP:
        if (++c->tries >= HOST_TRIES_MAX) give_page_up(job, HOST_OVERLAP);
        break;
    case RMP_FAIL_INUSE: give_page_up(job, HOST_IN_USE); break;
    case RMP_FAIL_PERMISSION: give_page_up(job, HOST_NOT_OWNED); break;
    default: give_page_up(job, HOST_OTHER); break;
    }
}

/* ---- behind the answer ------------------------------------------------------------------------------------------- */

/* A large S2 leaf over a region that is mixed now. */
static bool propose_tidy(struct job *job)
{
    struct host_conversion *c = job->conversion;
    const struct host_leaf leaf = leaf_at(job, c->at);
    struct rmp_entry entry;

    if (leaf.shift >= SHIFT_2M && rmp_lookup(job->view->rmp, hpa(leaf.hpa), &entry) && entry.size == RMP_4K &&
        !rmp_region_is_shared(job->view->rmp, hpa(leaf.hpa))) {
        begin_moves(job, LIST_CUT, leaf.shift);
        return false;
    }
    /* Not beyond the end: behind the last region of all there is no address. */
    advance(c, min_u64(bit(SHIFT_2M) - (c->at & low_mask(SHIFT_2M)), end_of(c) - c->at));
    return false;
}

static bool propose_flush(struct job *job)
{
    struct host_conversion *c = job->conversion;

    if (!job->plan->flushes || !c->has_changed) {
        enter(c, pass_after(c, job->plan));
        return false;
    }
    job->step->by = HOST_BY_HOST;
    if (c->move == 0)
        make_invalidation(job, c->request.gpa, c->request.length);
    else
        job->step->op = op_make(OP_COMPLETION_WAIT);
    return true;
}

static void take_flush(struct host_conversion *c)
{
    if (c->move == 0) {
        c->must_wait = c->error == -EAGAIN;
        c->move = !c->must_wait;
    } else {
        c->has_changed = false;
    }
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static void take_result(struct job *job)
{
    struct host_conversion *c = job->conversion;

    c->has_result = false;
    if (c->must_wait)
        c->must_wait = false;
    else if (c->moves)
        take_move(job);
    else if (c->pass == PASS_OWNER)
        take_update(job);
    else if (c->pass == PASS_FLUSH)
        take_flush(c);
    else
        take_guest(job);
}

/* True: *step is the next. False: the conversion went on without one, or has ended. */
static bool propose(struct job *job)
{
    struct host_conversion *c = job->conversion;
    const bool walks_range = c->pass != PASS_FLUSH && c->pass != PASS_ANSWER && c->pass != PASS_END;

    if (c->must_wait) {
        *job->step = (struct host_step){ op_make(OP_COMPLETION_WAIT), HOST_BY_HOST };
        return true;
    }
    if (c->moves) return propose_move(job);
    if (walks_range && c->at >= end_of(c)) {
        enter(c, pass_after(c, job->plan));
        return false;
    }
    switch ((enum pass)c->pass) {
    case PASS_GIVE:
    case PASS_ACCEPT: return propose_guest(job);
    case PASS_OWNER: return propose_owner(job);
    case PASS_TIDY: return propose_tidy(job);
    case PASS_FLUSH: return propose_flush(job);
    case PASS_ANSWER:
        c->is_answered = true;
        enter(c, pass_after(c, job->plan));
        break;
    case PASS_END:
        c->is_answered = true;
        c->state = c->reason ? HOST_REFUSED : HOST_DONE;
        break;
    }
    return false;
}

bool host_protocol_next(struct host_conversion *conversion, const struct host_plan *plan, const struct host_view *view,
                        struct host_step *step)
{
    struct job job = { conversion, plan, view, step };

    if (conversion->has_result) take_result(&job);
    while (conversion->state == HOST_RUNNING) {
        if (propose(&job)) return true;
    }
    return false;
}

void host_begin(struct host_conversion *conversion, unsigned policy, const struct host_request *request)
{
    const uint64_t last = request->gpa + (request->length - 1);

    CHECK(host_policy_at(policy) != NULL);
    *conversion = (struct host_conversion){ .request = *request, .policy = (uint8_t)policy, .state = HOST_RUNNING };
    conversion->exits = 1;
    enter(conversion, request->to_private ? PASS_OWNER : PASS_GIVE);
    if (request->length && request->length <= HOST_LENGTH_MAX && last >= request->gpa && last != UINT64_MAX &&
        is_aligned(request->gpa | request->length, SHIFT_4K))
        return;
    conversion->state = HOST_REFUSED;
    conversion->reason = HOST_BAD_REQUEST;
    conversion->is_answered = true;
}
