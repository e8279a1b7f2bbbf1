/*
 * Invalidations: what the engine's hooks do, the record of commands and of what unmaps left behind, and the checks of
 * gathers (formats.md 3, invariants 23 to 27).
 *
 * The record is the world's own: what an IOTLB may still hold (oracle/fills.h), what a walk cache may (leftovers.h),
 * which removed ranges nobody has flushed yet.
 */
#include "base/check.h"
#include "base/fault.h"
#include "world/world_internal.h"

#include <inttypes.h>

/* ---- the record -------------------------------------------------------------------------------------------------- */

static struct world_range empty_range(void)
{
    return (struct world_range){ UINT64_MAX, 0 };
}

static bool is_empty(struct world_range range)
{
    return range.first > range.last;
}

static struct world_range hull_of(struct world_range a, struct world_range b)
{
    return (struct world_range){ min_u64(a.first, b.first), max_u64(a.last, b.last) };
}

void world_forget_gather(struct world_table *table)
{
    table->hull = empty_range();
    table->hull_tables = 0;
    table->removed_count = 0;
    table->removed_overflowed = false;
    table->syncs = 0;
    table->tops = 0;
}

static void effect_of(struct world *world, const struct world_command *command)
{
    const struct fills_range everything = { .last = UINT64_MAX };

    if (command->is_all) {
        fills_reset(&world->fills);
        for (unsigned i = 0; i < WORLD_TABLES; i++)
            leftovers_invalidate(&world->tables[i].leftovers, everything.first, everything.last);
        return;
    }
    fills_invalidate(&world->fills, &command->range);
    if (!command->page_tables && world->switches.leaf_only_invalidation_keeps_walk_cache) return;
    for (unsigned i = 0; i < WORLD_TABLES; i++) {
        struct world_table *table = &world->tables[i];

        if (!table->exists || table->domain != command->range.domain || table->is_s1 != command->range.is_guest)
            continue;
        /* Guest items are cached per pasid, the list is not: only a lone pasid's are known to be gone. */
        if (table->is_s1 && (world->pasid_count > 1 || world->pasids_overflowed)) continue;
        leftovers_invalidate(&table->leftovers, command->range.first, command->range.last);
    }
}

/*
 * The IOTLB holds no more entries than were filled and not invalidated since. Guest entries filled while S2 leads
 * elsewhere than to the guest's tables are not known well enough to be counted.
 */
void world_check_held(struct world *world)
{
    uint64_t held, reach;

    if (world->has_s1) return;
    iommu_occupancy(world->iommu, &held, &reach);
    if (held > fills_count(&world->fills))
        world_differ(world, "the IOTLB holds %" PRIu64 " entries, expected at most %" PRIu64 "\n", held,
                     fills_count(&world->fills));
}

void world_wait(struct world *world)
{
    const unsigned taken = iommu_completion_wait(world->iommu);

    if (taken != world->queued)
        world_differ(world, "completion wait: expected %u commands, the IOMMU did %u\n", world->queued, taken);
    for (unsigned i = 0; i < world->queued; i++) effect_of(world, &world->queue[i]);
    world->queued = 0;
    world_check_held(world);
}

bool world_queue(struct world *world, const struct world_command *command)
{
    const struct fills_range *range = &command->range;
    bool taken;

    if (command->is_all) {
        taken = iommu_inv_all(world->iommu);
    } else {
        const uint64_t address = range->first == 0 && range->last == UINT64_MAX
                                     ? iommu_encode_inv_address(iova(0), UINT64_MAX)
                                     : iommu_encode_inv_address(iova(range->first), range->last - range->first + 1);
        const struct iommu_inv_pages pages = { range->domain, address, command->page_tables, range->is_guest,
                                               range->pasid };

        taken = iommu_inv_pages(world->iommu, &pages);
    }
    if (taken != (world->queued < WORLD_QUEUE_MAX))
        world_differ(world, "invalidation with %u commands queued: the IOMMU %s it\n", world->queued,
                     taken ? "took" : "refused");
    if (!taken || world->queued == WORLD_QUEUE_MAX) return false;
    world->queue[world->queued++] = *command;
    return true;
}

static void queue_surely(struct world *world, const struct world_command *command)
{
    if (world->queued == WORLD_QUEUE_MAX) world_wait(world);
    world_queue(world, command);
}

/* What a driver does to make hardware forget [first, last] of a table. Guest entries go pasid by pasid. */
static void invalidate(struct world_table *table, struct world_range range)
{
    struct world *world = table->world;
    unsigned told = world->pasid_count;
    struct world_command command = { .page_tables = true,
                                     .range = { .domain = table->domain, .first = range.first, .last = range.last } };

    if (FAULT(WORLD_FORGETS_PASID) && table->is_s1 && told > 1) {
        fault_triggered();
        told--;
    }
    if (FAULT(WORLD_INVALIDATES_SHORT) && !is_empty(range) && range.last - range.first >= bit(SHIFT_4K)) {
        fault_triggered();
        command.range.last -= bit(SHIFT_4K);
    }
    if (is_empty(range)) {
        command.range.first = 0;
        command.range.last = UINT64_MAX;
    }
    if (!table->is_s1) {
        queue_surely(world, &command);
    } else if (world->pasids_overflowed) {
        command.is_all = true;
        queue_surely(world, &command);
    } else {
        command.range.is_guest = true;
        for (unsigned i = 0; i < told; i++) {
            command.range.pasid = world->pasids[i];
            queue_surely(world, &command);
        }
        /* Every pasid was told. */
        leftovers_invalidate(&table->leftovers, command.range.first, command.range.last);
    }
    world_wait(world);
}

/* ---- hooks ------------------------------------------------------------------------------------------------------- */

static void on_sync(void *context, iova_t first, iova_t last, unsigned freed)
{
    struct world_table *table = context;

    table->syncs++;
    table->synced = (struct world_range){ first.value, last.value };
    table->synced_tables = freed;
    table->synced_hull = hull_of(table->synced_hull, table->synced);
    if (table->world->outcome) table->world->outcome->freed += freed;
    invalidate(table, table->synced);
}

/* Formats.md 3, invariant 6: the level of the top never falls, and the hardware learns of it once, before software. */
static void on_top_changed(void *context, hpa_t top, unsigned level)
{
    struct world_table *table = context;
    uint64_t told = top.value;
    struct pt_info info;

    if (level <= table->walk.top_level)
        world_differ(table->world, "the top went from level %u to %u\n", table->walk.top_level, level);
    if (!table->pt.plugin) pt_get_info(&table->pt, &info);
    if (!table->pt.plugin && info.top.value != table->walk.root)
        world_differ(table->world, "the new top was published before the hardware was told of it\n");
    table->tops++;
    if (FAULT(WORLD_TOP_WITHOUT_ROOT)) {
        fault_triggered();
        told = table->walk.root;
    }
    table->walk.root = top.value;
    table->walk.top_level = level;
    iommu_set_root(table->world->iommu, table->domain, table->is_s1, told, level);
}

const struct pt_hooks world_hooks = { .sync = on_sync, .top_changed = on_top_changed, .flush = world_on_flush };

/* ---- gathers ----------------------------------------------------------------------------------------------------- */

/* Is there a gap between the two? Touching ranges have none. */
static bool has_gap(struct world_range a, struct world_range b)
{
    if (is_empty(a) || is_empty(b)) return false;
    return (a.last < b.first && b.first - a.last > 1) || (b.last < a.first && a.first - b.last > 1);
}

static void check_synced(struct world_table *table, struct world_range range, uint64_t tables)
{
    if (table->synced.first != range.first || table->synced.last != range.last || table->synced_tables != tables)
        world_differ(table->world,
                     "sync: expected [0x%" PRIx64 ", 0x%" PRIx64 "] and %" PRIu64 " tables (invariants 23, 25, 26), "
                     "engine gave [0x%" PRIx64 ", 0x%" PRIx64 "] and %u\n",
                     range.first, range.last, tables, table->synced.first, table->synced.last, table->synced_tables);
}

static void note_piece(struct world_table *table, struct world_range piece)
{
    if (table->removed_count == WORLD_REMOVED_MAX)
        table->removed_overflowed = true;
    else
        table->removed[table->removed_count++] = piece;
}

/* An unmap of the op that runs removed [first, last] with `tables` tables: what must the engine's gather hold? */
void world_note_removed(struct world_table *table, uint64_t first, uint64_t last, uint64_t tables)
{
    const struct world_range piece = { first, last };
    const bool syncs_first = table->no_gaps && has_gap(table->hull, piece);

    if (table->syncs != syncs_first) {
        world_differ(table->world, "unmap: expected %u syncs in it, the engine did %u\n", syncs_first, table->syncs);
    } else if (syncs_first) {
        check_synced(table, table->hull, table->hull_tables);
        world_forget_gather(table);
    }
    table->hull = hull_of(table->hull, piece);
    table->hull_tables += tables;
    note_piece(table, piece);
}

void world_check_gather(struct world_table *table)
{
    const struct pt_gather *gather = &table->gather;

    if (gather->first.value != table->hull.first || gather->last.value != table->hull.last ||
        gather->freed.count != table->hull_tables)
        world_differ(table->world,
                     "gather: expected [0x%" PRIx64 ", 0x%" PRIx64 "] and %" PRIu64 " tables (invariants 23, 25, 26), "
                     "engine has [0x%" PRIx64 ", 0x%" PRIx64 "] and %u\n",
                     table->hull.first, table->hull.last, table->hull_tables, gather->first.value, gather->last.value,
                     gather->freed.count);
}

/* After a sync no entry may be left over what was removed, whatever the pasid: the driver's part, held to the fills. */
static void check_forgotten(struct world_table *table)
{
    const struct fills_range range = {
        .domain = table->domain, .is_guest = table->is_s1, .first = table->hull.first, .last = table->hull.last
    };
    uint64_t input;

    if (!is_empty(table->hull) && fills_any(&table->world->fills, &range, &input))
        world_differ(table->world,
                     "sync of [0x%" PRIx64 ", 0x%" PRIx64 "]: the IOTLB may still hold the entry at input 0x%" PRIx64
                     "\n",
                     range.first, range.last, input);
}

void world_sync_gather(struct world_table *table)
{
    const bool has_something = !is_empty(table->hull) || table->hull_tables;
    const uint32_t live_before = table_pool_live_tables(table->pt.pool);

    table->syncs = 0;
    pt_gather_sync(&table->pt, &table->gather);
    if (table->syncs != has_something)
        world_differ(table->world, "sync: expected %u calls of the hook, the engine made %u\n", has_something,
                     table->syncs);
    else if (has_something)
        check_synced(table, table->hull, table->hull_tables);
    if (live_before - table_pool_live_tables(table->pt.pool) != table->hull_tables)
        world_differ(table->world, "sync: expected %" PRIu64 " pages to be freed, %u were\n", table->hull_tables,
                     live_before - table_pool_live_tables(table->pt.pool));
    check_forgotten(table);
    world_forget_gather(table);
}

/*
 * May an outcome at `address` still be that of before an unmap (design.md 3)? It was removed by an unmap that nobody
 * synced; with needs_command, a queued invalidation names it too, so that the window of rmp.md 8 (a) is open.
 */
bool world_may_lag(const struct world_table *table, uint64_t address, bool needs_command)
{
    const struct world *world = table->world;
    bool is_removed = table->removed_overflowed;
    bool is_named = !needs_command;

    for (unsigned i = 0; i < table->removed_count && !is_removed; i++)
        is_removed = table->removed[i].first <= address && address <= table->removed[i].last;
    for (unsigned i = 0; i < world->queued && !is_named; i++) {
        const struct fills_range *range = &world->queue[i].range;

        is_named = world->queue[i].is_all || (range->domain == table->domain && range->is_guest == table->is_s1 &&
                                              range->first <= address && address <= range->last);
    }
    return is_removed && is_named;
}
