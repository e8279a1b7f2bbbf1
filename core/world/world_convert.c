/*
 * Conversions: the ops of the world's policy, one after the other, as if a script had said them; what they cost; and
 * the stall of DMA that one of them needs.
 */
#include "base/check.h"
#include "script/op.h"
#include "world/world_internal.h"

#include <errno.h>

void world_convert_begin(struct world *world)
{
    world->policy = host_policy_find(op_policy_name((unsigned)op_get(&world->world_op, FIELD_POLICY)));
    world->conversion = (struct host_conversion){ 0 };
    world->costs = (struct world_costs){ 0 };
    world->is_stalled = false;
    world->is_step = false;
    world->held_count = 0;
    world->moment = 0;
}

bool world_is_converting(const struct world *world, uint64_t gpa)
{
    const struct host_conversion *conversion = &world->conversion;

    if (conversion->state != HOST_RUNNING || conversion->is_answered) return false;
    return gpa - conversion->request.gpa < conversion->request.length;
}

const struct host_conversion *world_conversion(const struct world *world)
{
    return &world->conversion;
}

bool world_is_stalled(const struct world *world)
{
    return world->is_stalled;
}

unsigned world_held(const struct world *world)
{
    return world->held_count;
}

void world_watch_steps(struct world *world, struct world_step_hook hook)
{
    world->step_hook = hook;
}

/* ---- what the policy sees ---------------------------------------------------------------------------------------- */

/* By a walk of the raw bits: what the tables say, whatever anybody remembers. */
static struct host_leaf leaf_of(void *context, uint64_t gpa)
{
    struct world_table *table = context;
    struct iommu_leaf leaf;

    if (!oracle_decodes(&table->oracle, gpa)) return (struct host_leaf){ 0 };
    leaf = world_walk(table, gpa);
    return leaf.fault == IOMMU_NO_FAULT ? (struct host_leaf){ leaf.address, leaf.shift } : (struct host_leaf){ 0 };
}

static struct host_view view_of(struct world *world)
{
    return (struct host_view){ .leaf = leaf_of,
                               .context = &world->tables[0],
                               .rmp = world->rmp,
                               .is_stalled = world->is_stalled,
                               .backing_is_large = op_get(&world->world_op, FIELD_BACKING) == 0 };
}

/* ---- costs ------------------------------------------------------------------------------------------------------- */

static void add_costs(struct world_costs *sum, const struct world_costs *costs)
{
    sum->steps += costs->steps;
    sum->exits += costs->exits;
    sum->updates += costs->updates;
    sum->psmashes += costs->psmashes;
    sum->splits += costs->splits;
    sum->joins += costs->joins;
    sum->tables += costs->tables;
    sum->invalidations += costs->invalidations;
    sum->flushes += costs->flushes;
    sum->stalls += costs->stalls;
}

static void count_step(struct world *world, const struct op *op, uint32_t tables_before)
{
    struct world_costs costs = { .steps = 1 };

    switch (op_kind_of(op)) {
    case OP_RMPUPDATE: costs.updates = 1; break;
    case OP_PSMASH: costs.psmashes = 1; break;
    case OP_INV_PAGES: costs.invalidations = 1; break;
    case OP_COMPLETION_WAIT: costs.flushes = 1; break;
    case OP_STALL: costs.stalls = op_get(op, FIELD_ON); break;
    case OP_RESIZE:
        costs.splits = op_get(op, FIELD_MAX) == SHIFT_4K;
        costs.joins = !costs.splits;
        costs.flushes = world->tables[0].syncs; /* of the tables that a join empties */
        if (world->pool.live_pages > tables_before) costs.tables = world->pool.live_pages - tables_before;
        break;
    default: break;
    }
    add_costs(&world->costs, &costs);
    add_costs(&world->totals.costs, &costs);
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

/* What happened inside an op is the op's: its first finding is its own, the others are only counted. */
static void take_finding(struct world *world, struct world_outcome *outcome, const struct world_outcome *inside)
{
    if (inside->finding == FINDING_NONE) return;
    if (outcome->finding != FINDING_NONE) {
        world->totals.findings[inside->finding]++;
        return;
    }
    outcome->finding = inside->finding;
    outcome->rule = inside->rule;
    outcome->finding_op = inside->finding_op;
    outcome->dma = inside->dma;
}

static void do_step(struct world *world, const struct host_step *step, struct world_outcome *outcome)
{
    const uint32_t tables_before = world->pool.live_pages;
    struct world_outcome inside;

    world_apply_inside(world, &step->op, &inside);
    CHECK(!inside.is_skipped);
    count_step(world, &step->op, tables_before);
    take_finding(world, outcome, &inside);
    host_note(&world->conversion, inside.error, inside.rmp);
    if (world->step_hook.step) world->step_hook.step(world->step_hook.context, step, &inside);
}

/* Up to `budget` steps. The conversion ends with its last step, not when another one is asked for. */
static void go_on(struct world *world, uint64_t budget, struct world_outcome *outcome)
{
    struct host_conversion *conversion = &world->conversion;
    struct host_view view = view_of(world);
    struct host_step step;

    while (host_next(conversion, &view, &step) && outcome->steps < budget) {
        do_step(world, &step, outcome);
        outcome->steps++;
        view = view_of(world);
    }
    world->totals.costs.exits += conversion->exits - world->costs.exits;
    world->costs.exits = conversion->exits;
    if (conversion->state != HOST_RUNNING) {
        world->totals.conversions++;
        world->totals.refused += conversion->state == HOST_REFUSED;
    }
    outcome->state = (enum host_state)conversion->state;
    outcome->reason = (enum host_reason)conversion->reason;
    outcome->is_answered = conversion->is_answered;
    outcome->leaked = conversion->leaked;
    outcome->costs = world->costs;
}

void world_do_convert(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    const struct host_request request = {
        .gpa = op_get(op, FIELD_GPA),
        .length = op_get(op, FIELD_LENGTH),
        .to_private = op_get(op, FIELD_TO) != 0,
        .engine = (uint8_t)op_get(op, FIELD_ENGINE),
        .after = (uint8_t)op_get(op, FIELD_AFTER),
    };

    outcome->is_skipped = !world->has_rmp || world->policy < 0;
    if (outcome->is_skipped) return;
    outcome->is_busy = world->conversion.state == HOST_RUNNING;
    if (outcome->is_busy) return;
    world->costs = (struct world_costs){ 0 };
    host_begin(&world->conversion, (unsigned)world->policy, &request);
    go_on(world, op_get(op, FIELD_STEPS), outcome);
}

void world_do_step(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    outcome->is_skipped = !world->has_rmp || world->policy < 0;
    if (outcome->is_skipped || world->conversion.state != HOST_RUNNING) return;
    go_on(world, op_get(op, FIELD_STEP_N), outcome);
}

/* ---- the stall --------------------------------------------------------------------------------------------------- */

/* In the order in which they came. */
static void serve_held(struct world *world, struct world_outcome *outcome)
{
    const unsigned count = world->held_count;

    world->held_count = 0;
    for (unsigned i = 0; i < count; i++) {
        struct world_outcome inside;

        world_apply_inside(world, &world->held[i], &inside);
        outcome->faults += inside.dma.fault != IOMMU_NO_FAULT;
        take_finding(world, outcome, &inside);
    }
    outcome->served = count;
}

void world_do_stall(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    world->is_stalled = op_get(op, FIELD_ON);
    if (!world->is_stalled) serve_held(world, outcome);
}
