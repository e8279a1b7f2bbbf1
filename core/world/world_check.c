/* Everything at once: every table, every range, the RMP, the pools. O(all but the leaves of long runs): ends of inputs
 * and --check=all. */
#include "pt/pt_check.h"
#include "world/world_internal.h"

#include <inttypes.h>

enum { REGIONS_CHECKED = 64 }; /* 2M regions from hpa 0 on: 128M, most scripts' whole memory */

/* ---- tables ------------------------------------------------------------------------------------------------------ */

struct pt_report {
    struct world_table *table;
    unsigned violations;
};

/* The number of tables in use (invariant 4, no item) is check_pool's, which knows who else takes from the pool. */
static void on_pt_violation(void *context, const struct pt_violation *found)
{
    struct pt_report *report = context;

    if (found->invariant == 4 && found->item == 0) return;
    report->violations++;
    world_differ_at(report->table, found->va.value, "pt_check: invariant %u at level %u, item %016" PRIx64 ": %s\n",
                    found->invariant, found->level, found->item, found->text);
}

/* A dirty contiguous leaf: some item of it is. A clean one: none is. */
static void check_dirty_run(struct world_table *table, const struct oracle_run *run)
{
    const unsigned item_shift = oracle_item_shift_of_leaf(table->oracle.config.format, run->shift);
    bool is_dirty;

    if (!oracle_reads_dirty(&table->oracle.config) || item_shift == run->shift) return;
    is_dirty = world_any_dirty(table, run->start, run->start + low_mask(run->shift), bit(item_shift));
    if (is_dirty != run->dirty)
        world_differ_at(table, run->start, "a run of items is %sdirty\n", is_dirty ? "" : "not ");
}

/* Every run: walks over its leaves (all, or a sample), nothing just outside it. */
static void check_ranges(struct world_table *table)
{
    uint64_t bytes = 0;
    uint64_t leaves = 0;
    struct oracle_run run;

    table->leaf_items = 0;
    for (uint64_t from = 0; oracle_next_run(&table->oracle, from, UINT64_MAX, &run); from = oracle_run_last(&run) + 1) {
        world_check_run(table, &run);
        world_check_outside(table, run.start, oracle_run_last(&run));
        check_dirty_run(table, &run);
        bytes += run.length;
        leaves += run.length >> run.shift;
        table->leaf_items += run.length >> oracle_item_shift_of_leaf(table->oracle.config.format, run.shift);
        if (oracle_run_last(&run) == UINT64_MAX) break;
    }
    if (bytes != table->oracle.mapped_bytes || leaves != table->oracle.leaves)
        world_differ(table->world, "the oracle lost count of its own leaves\n");
}

/* A tree with a violation is not walked further: its items may lead anywhere. */
static void check_table(struct world_table *table)
{
    struct pt_report report = { table, 0 };
    struct pt_info info;

    pt_check(&table->pt, &(struct pt_check_report){
                             .violation = on_pt_violation, .context = &report, .reached = &table->tables_reached });
    pt_get_info(&table->pt, &info);
    if (info.top.value != table->walk.root || info.top_level != table->walk.top_level)
        world_differ(table->world, "the engine's top is not the one the hardware was told of\n");
    world_check_gather(table);
    world_device_check(table);
    if (!report.violations) check_ranges(table);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static void on_rmp_violation(void *context, const struct rmp_violation *found)
{
    world_differ(context, "rmp_check: rule R%u at hpa 0x%" PRIx64 ": %s\n", found->rule, found->page.value,
                 found->text);
}

/* Every assigned page and the ends of its 2M region; and that the first regions are as free as they should be. */
static void check_owners(struct world *world)
{
    struct sorted_place place;
    bool more = sorted_first(&world->ownership.pages, &place);
    uint64_t where;

    for (; more; more = sorted_next(&world->ownership.pages, &place)) {
        const uint64_t page = sorted_at(&world->ownership.pages, place)->key;

        world_check_owner(world, page);
        world_check_owner(world, page + bit(SHIFT_4K));
        world_check_owner(world, page | low_mask(SHIFT_2M));
    }
    for (uint64_t region = 0; region < min_u64(world->ownership.covered_bytes, REGIONS_CHECKED << SHIFT_2M);
         region += bit(SHIFT_2M)) {
        const bool is_free = !ownership_any(&world->ownership, region, bit(SHIFT_2M), &where);

        if (rmp_region_is_shared(world->rmp, hpa(region)) != is_free)
            world_differ(world, "rmp: the 2M region at hpa 0x%" PRIx64 " is %sfree\n", region, is_free ? "not " : "");
    }
    rmp_check(world->rmp, on_rmp_violation, world);
}

/* Words of a page that are not 0. */
static unsigned count_items(const struct table_pool *pool, uint32_t page)
{
    const uint64_t *words = table_pool_pointer(pool, pool->base + ((uint64_t)page << POOL_PAGE_SHIFT));
    unsigned count = 0;

    for (unsigned i = 0; i < POOL_PAGE_BYTES / sizeof(*words); i++) count += words[i] != 0;
    return count;
}

/* What is in a pool's pages, and what must be by the oracle and the gathers. */
struct pool_sum {
    uint64_t tables, retired, items;
};

static struct pool_sum count_pool(const struct table_pool *pool)
{
    struct pool_sum sum = { 0 };

    for (uint32_t page = 0; page < pool->fresh; page++) {
        if (pool->state[page] == POOL_FREE) continue;
        sum.tables += pool->state[page] == POOL_LIVE;
        sum.retired += pool->state[page] == POOL_RETIRED;
        sum.items += count_items(pool, page);
    }
    return sum;
}

/*
 * Invariants 4 and 18 over a whole pool. Every item in it is one of a leaf that the oracle knows or leads to a table,
 * and every table but the tops is led to once (pt_check: and by one item), down from a top (a chain of tops that was
 * never published leads to the old one): a leaf too many or a table that leaked breaks the sum. Retired tables wait in
 * gathers and are empty. P1: free pages are zero.
 */
static void check_pool(struct world *world, const struct table_pool *pool)
{
    const struct pool_sum found = count_pool(pool);
    struct pool_sum expected = { .items = found.tables };
    uint32_t dirty_page;

    for (unsigned i = 0; i < WORLD_TABLES; i++) {
        const struct world_table *table = &world->tables[i];

        if (!table->exists || table->pt.pool != pool) continue;
        expected.tables += table->tables_reached;
        expected.retired += table->hull_tables;
        expected.items += table->leaf_items - 1; /* nothing leads to the top */
    }
    if (found.tables != expected.tables || found.items != expected.items || found.retired != expected.retired ||
        table_pool_live_tables(pool) != found.tables + found.retired)
        world_differ(world,
                     "pool: %u pages live, of them %" PRIu64 " tables with %" PRIu64 " items, expected %" PRIu64
                     " and %" PRIu64 " (invariants 4 and 18); %" PRIu64 " retired, expected %" PRIu64 "\n",
                     table_pool_live_tables(pool), found.tables, found.items, expected.tables, expected.items,
                     found.retired, expected.retired);
    dirty_page = table_pool_find_dirty_free_page(pool);
    if (dirty_page != POOL_NO_PAGE) world_differ(world, "page %u of the pool is free and not zero (P1)\n", dirty_page);
}

static void check_iommu(struct world *world)
{
    if (iommu_queued(world->iommu) != world->queued)
        world_differ(world, "the IOMMU has %u commands queued, expected %u\n", iommu_queued(world->iommu),
                     world->queued);
    world_check_held(world);
}

unsigned world_check(struct world *world)
{
    world->problems = 0;
    for (unsigned i = 0; i < WORLD_TABLES; i++) {
        if (world->tables[i].exists) check_table(&world->tables[i]);
    }
    if (world->has_rmp) check_owners(world);
    check_iommu(world);
    if (world->problems) return world->problems; /* counts of tables that were not walked say nothing */
    check_pool(world, &world->pool);
    if (world->has_s1) check_pool(world, &world->s1_pool);
    return world->problems;
}
