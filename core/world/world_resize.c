/* The resize op: predict, do, compare, walk what was touched. */
#include "script/op.h"
#include "world/world_internal.h"

#include <errno.h>
#include <inttypes.h>

enum { ITEMS_PER_SYNC = 64 }; /* pt.h */

/* A split or merged leaf may stay in a walk cache, until a sync of this very call or later. */
static void note_leftovers(struct world_table *table)
{
    struct oracle_run changed, old;
    bool splits;

    for (uint64_t at = 0; oracle_resize_next(&table->oracle, &table->resize, at, &changed, &splits);) {
        const uint64_t last = oracle_run_last(&changed);

        for (uint64_t from = changed.start; oracle_next_run(&table->oracle, from, last, &old);) {
            leftovers_add(&table->leftovers, &old);
            if (oracle_run_last(&old) >= last) break;
            from = oracle_run_last(&old) + 1;
        }
        if (last == UINT64_MAX) return;
        at = last + 1;
    }
}

/* Every table that merges emptied, named by what it translated; nothing else, and not piece by piece. */
static void check_syncs(struct world_table *table, const struct world_outcome *outcome)
{
    const struct oracle_resize *resize = &table->resize;
    const uint64_t tables = outcome->error ? 0 : resize->tables;
    const uint64_t syncs_max = table->no_gaps ? resize->items : resize->items / ITEMS_PER_SYNC + 1;

    if (table->tops) world_differ(table->world, "resize: the top changed\n");
    if (tables == 0 && table->syncs == 0) return;
    if (outcome->freed == tables && table->syncs >= 1 && table->syncs <= syncs_max &&
        table->synced_hull.first == resize->first && table->synced_hull.last == resize->last)
        return;
    world_differ(table->world,
                 "resize: expected syncs over [0x%" PRIx64 ", 0x%" PRIx64 "] and %" PRIu64
                 " tables, engine gave %u over [0x%" PRIx64 ", 0x%" PRIx64 "] and %u\n",
                 resize->first, resize->last, tables, table->syncs, table->synced_hull.first, table->synced_hull.last,
                 outcome->freed);
}

/*
 * Where memory ran out: *leaf is the first that should have been split, into leaves of 2^*shift, and is as it was.
 * Splits come first and in ascending order. False: all were split.
 */
static bool find_unsplit(struct world_table *table, struct oracle_leaf *leaf, unsigned *shift)
{
    struct oracle_run run;
    bool splits;

    for (uint64_t at = 0; oracle_resize_next(&table->oracle, &table->resize, at, &run, &splits);) {
        *shift = run.shift;
        for (uint64_t done = 0; splits && done < run.length; done += bit(leaf->shift)) {
            if (!oracle_find(&table->oracle, run.start + done, leaf)) return false;
            if (world_walk(table, leaf->start).shift == leaf->shift) return true;
        }
        if (oracle_run_last(&run) == UINT64_MAX) return false;
        at = oracle_run_last(&run) + 1;
    }
    return false;
}

/* May memory have run out there? The tables that the split took in vain came back, those of splits before it did not.
 */
static bool may_lack_memory(const struct world_table *table, const struct oracle_leaf *leaf, unsigned shift)
{
    const struct table_pool *pool = table->pt.pool;

    return pool->allocations_left == 0 || pool->page_count - pool->live_pages <
                                              oracle_tables_of_split(table->oracle.config.format, leaf->shift, shift);
}

/* The leaves over the range, those that reach over its edges included. */
static void check_leaves(struct world_table *table, const struct oracle_request *request)
{
    uint64_t first = request->start, last = request->start + (request->length - 1);
    struct oracle_run run;
    bool splits;

    if (oracle_resize_next(&table->oracle, &table->resize, 0, &run, &splits)) first = min_u64(first, run.start);
    for (uint64_t at = first; oracle_resize_next(&table->oracle, &table->resize, at, &run, &splits);) {
        last = max_u64(last, oracle_run_last(&run));
        if (oracle_run_last(&run) == UINT64_MAX) break;
        at = oracle_run_last(&run) + 1;
    }
    world_check_range(table, first, last, false);
    world_check_outside(table, first, last);
}

void world_do_resize(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    struct world_table *table = world_table_of_op(world, op, outcome);
    const struct oracle_request request = { .start = op_get(op, FIELD_INPUT), .length = op_get(op, FIELD_LENGTH) };
    const uint64_t max_leaf = bit((unsigned)op_get(op, FIELD_MAX));
    struct oracle_leaf unsplit = { 0 };
    unsigned shift = 0;
    bool is_lawful;
    int expected;

    if (table) outcome->is_skipped = outcome->is_lacking = !table->pt.engine->resize;
    if (!table || outcome->is_skipped) return;
    oracle_resize_predict(&table->oracle, &request, max_leaf, &table->resize);
    expected = table->resize.error;
    note_leftovers(table);
    outcome->error = pt_resize_range(&table->pt, iova(request.start), request.length, max_leaf);
    if (outcome->error == -ENOMEM && table->resize.splits)
        is_lawful = find_unsplit(table, &unsplit, &shift) && may_lack_memory(table, &unsplit, shift);
    else
        is_lawful = outcome->error == expected;
    if (!is_lawful) {
        world_differ_at(table, request.start, "resize: expected %d, engine gave %d\n", expected, outcome->error);
        return;
    }
    world->totals.table_pages_peak = max_u64(world->totals.table_pages_peak, world->pool.peak_pages);
    check_syncs(table, outcome);
    if (expected) {
        world_check_byte(table, request.start);
        return;
    }
    if (outcome->error)
        oracle_resize_commit_splits(&table->oracle, &table->resize, unsplit.start);
    else
        oracle_resize_commit(&table->oracle, &table->resize);
    check_leaves(table, &request);
}
