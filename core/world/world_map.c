/* Ops on page tables: do, compare with the oracle, walk what was touched. */
#include "script/op.h"
#include "world/world_internal.h"

#include <errno.h>
#include <inttypes.h>

enum { NOMEM_PAGES = 8 }; /* an allocation that failed may have given back this many pages of its own */

struct world_table *world_table_of_op(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    struct world_table *table = world_table_of(world, op_get(op, FIELD_DOMAIN), op_get(op, FIELD_STAGE));

    outcome->is_skipped = !table;
    if (!table) return NULL;
    table->syncs = table->tops = 0;
    table->synced_hull = (struct world_range){ UINT64_MAX, 0 };
    return table;
}

/* Log2 of the pages of a table below the top: of 16K and 64K granules they are several. */
static unsigned table_order(const struct world_table *table)
{
    const unsigned table_shift = table->oracle.config.format->index_bits + 3;

    return table_shift > POOL_PAGE_SHIFT ? table_shift - POOL_PAGE_SHIFT : 0;
}

/*
 * May an allocation have failed? Only at the limit of fail_alloc, or where the pool is as good as full: for a table of
 * several pages, where none came back and the rest of the pool, less what alignment takes, is too short.
 */
static bool memory_is_out(const struct world_table *table)
{
    const struct table_pool *pool = table->pt.pool;
    const unsigned order = table_order(table);

    if (pool->allocations_left == 0 || pool->page_count - pool->live_pages < NOMEM_PAGES) return true;
    return order > 0 && pool->free_heads[order] == POOL_NO_PAGE && pool->page_count - pool->fresh < bit(order + 1);
}

static uint64_t last_of(uint64_t start, uint64_t length)
{
    return start + length - 1;
}

/* ---- map --------------------------------------------------------------------------------------------------------- */

/* The top of the oracle follows; the hardware must have been told of exactly that. */
static void follow_top(struct world_table *table, const struct oracle_map_result *expected, int error)
{
    struct oracle_table *oracle = &table->oracle;
    const unsigned before = oracle->top_level;
    const bool failed_early = error == -ENOMEM && table->walk.top_level == before;
    const unsigned level = failed_early ? before : expected->top_level;

    oracle->top_level = level;
    if (table->walk.top_level != level || table->tops != (level != before))
        world_differ(table->world, "top level: expected %u told %u times, hardware was told %u, %u times\n", level,
                     level != before, table->walk.top_level, table->tops);
}

/* Tables that came back to a pool since its last reset. */
static uint64_t tables_freed(const struct table_pool *pool)
{
    return pool->allocations - table_pool_live_tables(pool);
}

/*
 * Invariants 24 and 27: a map syncs where it removed tables, all that it freed, and only there; inside its own range.
 * Growth without memory frees tops that nobody saw.
 */
static void check_map_sync(struct world_table *table, uint64_t start, uint64_t last, uint64_t freed)
{
    const struct world_outcome *outcome = table->world->outcome;

    if (outcome->error != -ENOMEM && freed != outcome->freed)
        world_differ(table->world, "map: %" PRIu64 " tables were freed, syncs named %" PRIu64 "\n", freed,
                     (uint64_t)outcome->freed);
    if (table->syncs == 0) return;
    if (table->synced_tables == 0 || table->synced_hull.first < start || table->synced_hull.last > last ||
        (table->syncs > 1 && !table->no_gaps))
        world_differ(table->world, "map: %u syncs, the last of [0x%" PRIx64 ", 0x%" PRIx64 "] with %u tables\n",
                     table->syncs, table->synced.first, table->synced.last, table->synced_tables);
}

static void count_map(struct world_table *table, uint64_t start, uint64_t mapped)
{
    struct world_totals *totals = &table->world->totals;
    const uint64_t last = last_of(start, mapped);
    struct oracle_run run;

    totals->mapped_bytes += mapped;
    totals->pages += mapped >> SHIFT_4K;
    totals->table_pages_peak = max_u64(totals->table_pages_peak, table->world->pool.peak_pages);
    if (mapped == 0) return;
    for (uint64_t from = start; oracle_next_run(&table->oracle, from, last, &run); from = oracle_run_last(&run) + 1) {
        totals->leaves_by_shift[run.shift] += run.length >> run.shift;
        if (oracle_run_last(&run) >= last) return;
    }
}

static bool map_fits(const struct world_table *table, const struct oracle_request *request,
                     const struct oracle_map_result *expected, const struct world_outcome *outcome)
{
    if (outcome->error == expected->error && outcome->bytes == expected->mapped) return true;
    return outcome->error == -ENOMEM && memory_is_out(table) &&
           oracle_map_may_stop(&table->oracle, request, outcome->bytes);
}

static void differ_in_map(struct world_table *table, uint64_t start, const struct oracle_map_result *expected,
                          const struct world_outcome *outcome)
{
    world_differ_at(table, start + outcome->bytes,
                    "map: expected %d mapped=0x%" PRIx64 ", engine gave %d mapped=0x%" PRIx64 "\n", expected->error,
                    expected->mapped, outcome->error, outcome->bytes);
}

/* What a map of [start, last] left behind; the oracle knows of it already. */
static void check_map(struct world_table *table, uint64_t start, uint64_t last, uint64_t freed_before)
{
    const struct world_outcome *outcome = table->world->outcome;

    check_map_sync(table, start, last, tables_freed(table->pt.pool) - freed_before);
    count_map(table, start, outcome->bytes);
    if (outcome->bytes) {
        world_check_range(table, start, last_of(start, outcome->bytes), false);
        world_check_outside(table, start, last_of(start, outcome->bytes));
    } else {
        world_check_byte(table, start);
    }
    if (outcome->error) world_check_byte(table, last);
}

void world_do_map(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    struct world_table *table = world_table_of_op(world, op, outcome);
    const struct oracle_request request = { op_get(op, FIELD_INPUT), op_get(op, FIELD_HPA), op_get(op, FIELD_LENGTH),
                                            (unsigned)op_get(op, FIELD_PROT) };
    struct oracle_map_result expected;
    uint64_t freed_before;

    if (!table) return;
    freed_before = tables_freed(table->pt.pool);
    expected = oracle_map_predict(&table->oracle, &request);
    outcome->error = pt_map_range(&table->pt, iova(request.start), hpa(request.target), request.length, request.prot,
                                  &outcome->bytes);
    world->totals.maps++;
    if (!map_fits(table, &request, &expected, outcome)) {
        differ_in_map(table, request.start, &expected, outcome);
        return;
    }
    follow_top(table, &expected, outcome->error);
    outcome->leaves = oracle_map_commit(&table->oracle, &request, outcome->bytes);
    check_map(table, request.start, last_of(request.start, request.length), freed_before);
}

/* ---- map_list ---------------------------------------------------------------------------------------------------- */

/* One list, as the engine takes it and as the oracle does. */
struct lists {
    struct pt_piece pieces[OP_PIECES_MAX];
    struct oracle_extent extents[OP_PIECES_MAX];
    struct pt_list asked;
    struct oracle_list oracle;
    uint64_t length; /* modulo 2^64 */
};

static void make_lists(const struct op *op, struct lists *lists)
{
    struct op_piece pieces[OP_PIECES_MAX];
    const unsigned count = op_pieces(op, pieces);

    lists->length = 0;
    for (unsigned i = 0; i < count; i++) {
        lists->pieces[i] = (struct pt_piece){ hpa(pieces[i].target), pieces[i].length };
        lists->extents[i] = (struct oracle_extent){ pieces[i].target, pieces[i].length };
        lists->length += pieces[i].length;
    }
    lists->asked = (struct pt_list){ lists->pieces, count };
    lists->oracle =
        (struct oracle_list){ op_get(op, FIELD_INPUT), (unsigned)op_get(op, FIELD_PROT), count, lists->extents };
}

/* -ENOMEM is lawful wherever a map of the piece alone might stop. */
static bool list_fits(const struct world_table *table, const struct oracle_list *list,
                      const struct oracle_map_result *expected, const struct world_outcome *outcome)
{
    if (outcome->error == expected->error && outcome->bytes == expected->mapped) return true;
    return outcome->error == -ENOMEM && memory_is_out(table) &&
           oracle_list_may_stop(&table->oracle, list, outcome->bytes);
}

/* Nothing of a refused list may be there: the first byte of what each piece would have had. */
static void check_refused(struct world_table *table, const struct oracle_list *list)
{
    uint64_t va = list->start;

    for (unsigned i = 0; i < list->count; i++) {
        world_check_byte(table, va);
        va += list->extents[i].length;
    }
}

void world_do_map_list(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    struct world_table *table = world_table_of_op(world, op, outcome);
    const uint64_t start = op_get(op, FIELD_INPUT);
    struct oracle_map_result expected;
    struct lists lists;
    uint64_t freed_before;

    if (!table) return;
    freed_before = tables_freed(table->pt.pool);
    outcome->is_skipped = !table->pt.engine->map_list;
    if (outcome->is_skipped) return;
    make_lists(op, &lists);
    expected = oracle_list_predict(&table->oracle, &lists.oracle);
    outcome->error = pt_map_list(&table->pt, iova(start), &lists.asked, lists.oracle.prot, &outcome->bytes);
    world->totals.maps++;
    if (!list_fits(table, &lists.oracle, &expected, outcome)) {
        differ_in_map(table, start, &expected, outcome);
        return;
    }
    follow_top(table, &expected, outcome->error);
    outcome->leaves = oracle_list_commit(&table->oracle, &lists.oracle, outcome->bytes);
    check_map(table, start, last_of(start, lists.length), freed_before);
    if (outcome->error && outcome->bytes == 0) check_refused(table, &lists.oracle);
}

/* ---- unmap and sync ---------------------------------------------------------------------------------------------- */

/* Large leaves that go without an invalidation may stay in a walk cache. */
static void note_leftovers(struct world_table *table, uint64_t first, uint64_t last)
{
    struct oracle_run run;

    for (uint64_t from = first; oracle_next_run(&table->oracle, from, last, &run); from = oracle_run_last(&run) + 1) {
        leftovers_add(&table->leftovers, &run);
        if (oracle_run_last(&run) >= last) return;
    }
}

static void commit_unmap(struct world_table *table, uint64_t start, const struct oracle_unmap_result *expected,
                         bool sync)
{
    const uint64_t last = last_of(start, expected->removed);

    world_note_removed(table, start, last, expected->tables);
    world_check_gather(table);
    world_check_range(table, start, last, true);
    if (!sync) note_leftovers(table, start, last);
    oracle_unmap_commit(&table->oracle, start, expected->removed);
    world_check_outside(table, start, last);
}

/* What the memory that an unmap hands over is compared with: the leaves that the oracle still has. */
struct removal_reader {
    struct world_table *table;
    struct world_outcome *outcome;
    uint64_t next; /* where the next report must begin */
    uint64_t left; /* bytes that are to be reported */
};

static void on_removed(void *context, iova_t start, hpa_t target, uint64_t length)
{
    struct removal_reader *reader = context;
    struct world_table *table = reader->table;
    struct oracle_extent memory = { 0 };
    hpa_t found;

    reader->outcome->reports++;
    if (reader->left == 0 || start.value != reader->next ||
        !oracle_memory(&table->oracle, start.value, last_of(start.value, reader->left), &memory) ||
        target.value != memory.target || length != memory.length)
        world_differ_at(table, start.value,
                        "unmap: expected a report of 0x%" PRIx64 ", 0x%" PRIx64 " to 0x%" PRIx64
                        ", engine reports 0x%" PRIx64 ", 0x%" PRIx64 " to 0x%" PRIx64 "\n",
                        reader->next, memory.length, memory.target, start.value, length, target.value);
    else if (pt_iova_to_phys(&table->pt, start, &found) ||
             pt_iova_to_phys(&table->pt, iova(last_of(start.value, length)), &found))
        world_differ_at(table, start.value, "unmap: what it reports is still mapped\n");
    reader->next += length;
    reader->left -= min_u64(length, reader->left);
}

static uint64_t unmap_with_reports(struct world_table *table, const struct op *op,
                                   const struct oracle_unmap_result *expected, struct world_outcome *outcome)
{
    const uint64_t start = op_get(op, FIELD_INPUT);
    struct removal_reader reader = { table, outcome, start, expected->removed };
    const struct pt_receiver receiver = { on_removed, &reader };
    const uint64_t removed =
        pt_unmap_ranges(&table->pt, iova(start), op_get(op, FIELD_LENGTH), &table->gather, &receiver);

    if (removed == expected->removed && reader.left > 0)
        world_differ_at(table, reader.next, "unmap: 0x%" PRIx64 " bytes of what was removed were not reported\n",
                        reader.left);
    return removed;
}

void world_do_unmap(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    struct world_table *table = world_table_of_op(world, op, outcome);
    const uint64_t start = op_get(op, FIELD_INPUT);
    const uint64_t length = op_get(op, FIELD_LENGTH);
    struct oracle_unmap_result expected;

    if (!table) return;
    expected = oracle_unmap_predict(&table->oracle, start, length);
    outcome->has_reports = op_get(op, FIELD_RANGES) && table->pt.engine->unmap_ranges;
    if (outcome->has_reports)
        outcome->bytes = unmap_with_reports(table, op, &expected, outcome);
    else
        outcome->bytes = pt_unmap_range(&table->pt, iova(start), length, &table->gather);
    outcome->leaves = expected.leaves;
    world->totals.unmaps++;
    world->totals.unmapped_bytes += outcome->bytes;
    if (outcome->bytes != expected.removed) {
        world_differ_at(table, start, "unmap: expected 0x%" PRIx64 " bytes removed, engine removed 0x%" PRIx64 "\n",
                        expected.removed, outcome->bytes);
        return;
    }
    if (expected.removed) {
        commit_unmap(table, start, &expected, op_get(op, FIELD_SYNC));
    } else {
        world_check_gather(table); /* formats.md 7: nothing removed, nothing gathered */
        world_check_byte(table, start);
    }
    if (op_get(op, FIELD_SYNC)) world_sync_gather(table);
}

void world_do_sync(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    struct world_table *table = world_table_of_op(world, op, outcome);

    if (table) world_sync_gather(table);
}

/* ---- cut --------------------------------------------------------------------------------------------------------- */

void world_do_cut(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    struct world_table *table = world_table_of_op(world, op, outcome);
    const uint64_t at = op_get(op, FIELD_AT);
    struct oracle_leaf leaf;
    bool splits;
    int expected;

    if (!table) return;
    expected = oracle_cut_predict(&table->oracle, at, &leaf, &splits);
    outcome->is_skipped = outcome->is_lacking = !table->pt.engine->cut;
    outcome->is_missed = outcome->is_lacking && !expected && splits;
    if (outcome->is_skipped) return;
    outcome->error = pt_cut(&table->pt, iova(at));
    if (outcome->error != expected && !(outcome->error == -ENOMEM && splits && memory_is_out(table))) {
        world_differ_at(table, at, "cut: expected %d, engine gave %d\n", expected, outcome->error);
        return;
    }
    if (table->syncs || table->tops) world_differ(world, "cut: the engine called a hook\n");
    if (!outcome->error && splits) {
        const struct oracle_run old = { leaf.start, bit(leaf.shift), leaf.target, leaf.shift, leaf.prot, leaf.dirty };

        leftovers_add(&table->leftovers, &old);
        oracle_cut_commit(&table->oracle, at);
    }
    if (expected || !splits) {
        world_check_byte(table, at);
        return;
    }
    world_check_range(table, leaf.start, last_of(leaf.start, bit(leaf.shift)), false);
    world_check_outside(table, leaf.start, last_of(leaf.start, bit(leaf.shift)));
}
