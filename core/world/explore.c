/* See explore.h. */
#include "world/explore.h"

#include "base/bits.h"
#include "base/check.h"

#include <stdlib.h>
#include <string.h>

enum {
    NO_STATE = UINT32_MAX,
    STATES_MAX = 1 << 24,
    GO_ON_EVERY = 4096,
    WALKS = 4,    /* leaves looked at per op */
    HELD_MAX = 2, /* DMAs that a stall holds back; more make no new order among them */
};

struct state {
    struct digest digest;
    uint32_t parent;
    uint16_t op;
    uint16_t depth;
    uint32_t done;      /* ops of the program */
    bool is_converting; /* a conversion is under way */
};

struct explore {
    struct world *world;
    struct state *states;
    uint32_t count, capacity;
    uint32_t *buckets; /* number of a state + 1; 0 = empty; linear probing, at most half full */
    unsigned bucket_shift;
};

struct explore *explore_new(void)
{
    struct explore *explore = calloc(1, sizeof(*explore));

    CHECK(explore != NULL);
    explore->world = world_new();
    world_limit_walks(explore->world, WALKS);
    return explore;
}

void explore_free(struct explore *explore)
{
    if (!explore) return;
    world_free(explore->world);
    free(explore->states);
    free(explore->buckets);
    free(explore);
}

/* ---- states met ---------------------------------------------------------------------------------------------------
 */

static void fill_buckets(struct explore *explore)
{
    const uint32_t mask = (uint32_t)low_mask(explore->bucket_shift);

    free(explore->buckets);
    explore->buckets = calloc((size_t)mask + 1, sizeof(*explore->buckets));
    CHECK(explore->buckets != NULL);
    for (uint32_t i = 0; i < explore->count; i++) {
        uint32_t at = (uint32_t)explore->states[i].digest.lane[0] & mask;

        while (explore->buckets[at]) at = (at + 1) & mask;
        explore->buckets[at] = i + 1;
    }
}

static void grow(struct explore *explore)
{
    if (explore->count < explore->capacity) return;
    explore->capacity = explore->capacity ? 2 * explore->capacity : 1 << 12;
    explore->states = realloc(explore->states, explore->capacity * sizeof(*explore->states));
    CHECK(explore->states != NULL);
    explore->bucket_shift = log2_floor(explore->capacity) + 1;
    fill_buckets(explore);
}

/* Was the state met before? If not, now it was. */
static bool is_new(struct explore *explore, const struct state *state)
{
    uint32_t mask, at;

    grow(explore);
    mask = (uint32_t)low_mask(explore->bucket_shift);
    at = (uint32_t)state->digest.lane[0] & mask;
    for (; explore->buckets[at]; at = (at + 1) & mask) {
        const struct state *other = &explore->states[explore->buckets[at] - 1];

        if (other->done == state->done && digest_equal(other->digest, state->digest)) return false;
    }
    explore->buckets[at] = explore->count + 1;
    explore->states[explore->count++] = *state;
    return true;
}

/* ---- going there --------------------------------------------------------------------------------------------------
 */

static const struct op *op_of(const struct explore_plan *plan, uint16_t number, uint32_t done)
{
    return number == plan->event_count ? &plan->program[done] : &plan->events[number];
}

/* The numbers of the ops behind the prefix that lead to a state; returns how many. */
static unsigned path_to(const struct explore *explore, uint32_t state, uint16_t path[EXPLORE_DEPTH_MAX])
{
    const unsigned length = explore->states[state].depth;

    for (unsigned i = length; i > 0; i--) {
        path[i - 1] = explore->states[state].op;
        state = explore->states[state].parent;
    }
    return length;
}

static int begin(struct explore *explore, const struct explore_plan *plan, char *message, size_t size)
{
    const int error = world_begin(explore->world, &plan->prefix[0], message, size);
    struct world_outcome outcome;

    if (error) return error;
    for (size_t i = 1; i < plan->prefix_count; i++) world_apply(explore->world, &plan->prefix[i], &outcome);
    return 0;
}

/* The world as it is in a state. */
static void go_to(struct explore *explore, const struct explore_plan *plan, uint32_t state)
{
    uint16_t path[EXPLORE_DEPTH_MAX];
    const unsigned length = path_to(explore, state, path);
    struct world_outcome outcome;
    uint32_t done = 0;

    CHECK(begin(explore, plan, NULL, 0) == 0);
    for (unsigned i = 0; i < length; i++) {
        world_apply(explore->world, op_of(plan, path[i], done), &outcome);
        done += path[i] == plan->event_count;
    }
}

/* ---- the search ---------------------------------------------------------------------------------------------------
 */

static void note(struct explore_find *find, uint32_t state, uint16_t op)
{
    if (!find->is_known) *find = (struct explore_find){ state, op, true };
}

/* Asking for what it has, or for what is not its own. */
static bool is_guests_mistake(enum host_reason reason)
{
    return reason == HOST_BAD_REQUEST || reason == HOST_NOT_OWNED || reason == HOST_NOT_MAPPED;
}

static void note_ends(struct explore_result *result, const struct world_outcome *outcome, const struct state *after,
                      bool has_changed)
{
    const bool is_conversion = outcome->kind == OP_CONVERT || outcome->kind == OP_STEP;

    if (outcome->is_held) note(&result->ends[END_STALLS], after->parent, after->op);
    if (!is_conversion || outcome->is_busy || outcome->is_skipped) return;
    if (outcome->leaked) note(&result->ends[END_LEAKS], after->parent, after->op);
    if (outcome->state == HOST_REFUSED && !is_guests_mistake(outcome->reason))
        note(&result->ends[END_REFUSES], after->parent, after->op);
    if (outcome->state == HOST_RUNNING && outcome->kind == OP_STEP && !has_changed)
        note(&result->ends[END_HANGS], after->parent, after->op);
}

/* What the world is like in the state that it is in now. */
static void look(const struct explore *explore, struct state *state)
{
    state->digest = world_digest(explore->world);
    state->is_converting = world_conversion(explore->world)->state == HOST_RUNNING;
}

/* One op from a state. */
static void try_op(struct explore *explore, const struct explore_plan *plan, struct explore_result *result,
                   uint32_t from, uint16_t op)
{
    const struct state before = explore->states[from];
    unsigned held;
    struct state after = { .parent = from, .op = op, .depth = (uint16_t)(before.depth + 1), .done = before.done };
    struct world_outcome outcome;

    if (op < plan->event_count && plan->idle_only >> op & 1 && before.is_converting) return;
    go_to(explore, plan, from);
    held = world_held(explore->world);
    world_apply(explore->world, op_of(plan, op, before.done), &outcome);
    result->transitions++;
    if (world_difference(explore->world)) note(&result->finds[RULE_NONE], from, op);
    if (outcome.finding != FINDING_NONE) note(&result->finds[outcome.rule], from, op);
    after.done += op == plan->event_count;
    look(explore, &after);
    if (outcome.is_held && held >= HELD_MAX) return;
    note_ends(result, &outcome, &after, !digest_equal(before.digest, after.digest));
    if (is_new(explore, &after)) result->depth = after.depth;
}

static bool may_go_on(const struct explore *explore, const struct explore_plan *plan, struct explore_result *result)
{
    const uint32_t most = plan->states_max ? plan->states_max : STATES_MAX;

    if (result->finds[RULE_NONE].is_known) return false;
    if (explore->count >= most) result->is_stopped = true;
    if (plan->go_on && result->transitions % GO_ON_EVERY == 0 &&
        !plan->go_on(plan->context, explore->count, result->depth))
        result->is_stopped = true;
    return !result->is_stopped;
}

int explore_run(struct explore *explore, const struct explore_plan *plan, struct explore_result *result, char *message,
                size_t size)
{
    const int error = begin(explore, plan, message, size);
    struct state first = { .parent = NO_STATE };
    uint32_t at = 0;

    CHECK(plan->event_count <= EXPLORE_EVENTS_MAX && plan->depth >= 1 && plan->depth <= EXPLORE_DEPTH_MAX);
    *result = (struct explore_result){ 0 };
    if (error) return error;
    if (world_difference(explore->world)) result->finds[RULE_NONE] = (struct explore_find){ NO_STATE, 0, true };
    explore->count = 0;
    if (explore->buckets) memset(explore->buckets, 0, sizeof(*explore->buckets) << explore->bucket_shift);
    look(explore, &first);
    is_new(explore, &first);
    for (; at < explore->count && explore->states[at].depth < plan->depth; at++) {
        const uint16_t ops = (uint16_t)(plan->event_count + (explore->states[at].done < plan->program_count));

        for (uint16_t op = 0; op < ops && may_go_on(explore, plan, result); op++) try_op(explore, plan, result, at, op);
        if (result->is_stopped || result->finds[RULE_NONE].is_known) break;
    }
    result->states = explore->count;
    result->is_closed = at == explore->count;
    return 0;
}

size_t explore_script(const struct explore *explore, const struct explore_plan *plan, const struct explore_find *find,
                      struct op *ops, size_t max)
{
    uint16_t path[EXPLORE_DEPTH_MAX + 1];
    size_t count = min_u64(plan->prefix_count, max);
    unsigned length = 0;
    uint32_t done = 0;

    memcpy(ops, plan->prefix, count * sizeof(*ops));
    if (find->state == NO_STATE) return count;
    length = path_to(explore, find->state, path);
    path[length++] = find->op;
    for (unsigned i = 0; i < length && count < max; i++) {
        ops[count++] = *op_of(plan, path[i], done);
        done += path[i] == plan->event_count;
    }
    return count;
}
