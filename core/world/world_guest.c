/* Where tables lie, as far as DMA minds: guest tables behind S2 and the RMP, host tables on pages given away. */
#include "world/world_dma.h"

/* Reasons are compared as iommu faults: the order of enum oracle_fault is the world_dma.c table's business. */
static unsigned fault_bit(enum oracle_fault fault)
{
    switch (fault) {
    case ORACLE_NOT_PRESENT: return 1u << IOMMU_NOT_PRESENT;
    case ORACLE_PERMISSION: return 1u << IOMMU_PERMISSION;
    case ORACLE_CANONICAL: return 1u << IOMMU_CANONICAL;
    case ORACLE_RMP_OWNER: return 1u << IOMMU_RMP_OWNER;
    case ORACLE_RMP_GPA: return 1u << IOMMU_RMP_GPA;
    case ORACLE_RMP_SIZE: return 1u << IOMMU_RMP_SIZE;
    case ORACLE_RMP_IMMUTABLE: return 1u << IOMMU_RMP_IMMUTABLE;
    case ORACLE_RMP_NOT_VALIDATED: return 1u << IOMMU_RMP_NOT_VALIDATED;
    case ORACLE_RMP_RANGE: return 1u << IOMMU_RMP_RANGE;
    case ORACLE_NO_FAULT: break;
    }
    return 0;
}

/* Could an A/D update at this host address change a table? */
static bool holds_tables(const struct world *world, uint64_t address)
{
    return table_pool_covers(&world->pool, address) || address - world->s1_backing < WORLD_S1_TABLE_BYTES;
}

static bool some_table_page_is_assigned(const struct world *world)
{
    uint64_t where;

    return world->checks_owner && world->pool.fresh > 0 &&
           ownership_any(&world->ownership, world->pool.base, (uint64_t)world->pool.fresh << POOL_PAGE_SHIFT, &where);
}

static void look_at_guest_page(struct dma *dma, uint32_t page)
{
    const struct world *world = dma->world;
    const uint64_t offset = (uint64_t)page << POOL_PAGE_SHIFT;
    const struct oracle_access fetch = {
        .s2 = dma->access.s2, .address = world->s1_tables + offset, .is_private = true, .asid = dma->access.asid
    };
    const struct oracle_expectation expected = oracle_expect(&world->machine, &fetch);
    struct oracle_leaf leaf;
    unsigned index = 0;

    dma->guest.faults |= fault_bit(expected.fault);
    if (!expected.fault && expected.hpa != world->s1_backing + offset) {
        dma->guest.is_unknown = true;
        dma->guest.is_dangerous |= holds_tables(world, expected.hpa);
    }
    while (leftovers_next(&dma->s2->leftovers, fetch.address, &index, &leaf)) {
        dma->guest.is_unknown = true;
        dma->guest.is_dangerous |= leaf.target != world->s1_backing + offset && holds_tables(world, leaf.target);
    }
}

void world_look_at_guest_tables(struct dma *dma)
{
    const struct table_pool *pool = &dma->world->s1_pool;

    dma->guest = (struct guest_tables){ .is_unknown = dma->s2->hull_tables || dma->s1->hull_tables,
                                        .is_dangerous = dma->s2->leftovers.overflowed };
    /* Retired tables too: a cached item may still lead there. */
    for (uint32_t page = 0; page < pool->fresh; page++) {
        if (pool->state[page] != POOL_FREE) look_at_guest_page(dma, page);
    }
    if (some_table_page_is_assigned(dma->world)) dma->guest.faults |= 1u << IOMMU_RMP_OWNER;
}

/* A fetch from one page of the guest's tables: must it fault? *is_elsewhere: what it reads is not the guest's table. */
static bool fetch_faults(const struct dma *dma, uint64_t page, bool *is_elsewhere)
{
    const struct world *world = dma->world;
    const struct oracle_access fetch = {
        .s2 = dma->access.s2, .address = page, .is_private = true, .asid = dma->access.asid
    };
    const struct oracle_expectation expected = oracle_expect(&world->machine, &fetch);

    *is_elsewhere = expected.hpa - world->s1_backing != page - world->s1_tables;
    return expected.fault != ORACLE_NO_FAULT;
}

bool world_guest_path_faults(const struct dma *dma)
{
    const struct iommu_leaf walk = world_walk(dma->s1, dma->access.address);
    uint64_t page = dma->s1->walk.root;

    for (unsigned i = 0; i < walk.reads; i++) {
        bool is_elsewhere;

        if (fetch_faults(dma, page, &is_elsewhere)) return true;
        if (is_elsewhere) return false;
        page = iommu_item_address(&dma->s1->walk, walk.items[i], dma->s1->walk.top_level - i);
    }
    return false;
}

bool world_guest_tables_explain(const struct dma *dma, const struct iommu_outcome *got)
{
    if (!got->of_s1_table) return false;
    return dma->guest.is_unknown || dma->guest.faults >> got->fault & 1;
}

/* Only where a script has given pages of the table pool away. The page of the leaf's item is read off the raw walk. */
void world_look_at_host_tables(struct dma *dma)
{
    const struct world *world = dma->world;
    const uint64_t needed = dma->access.is_write ? 0x60 : 0x20; /* D and A, formats.md 1.1 */
    struct oracle_translation path;
    struct iommu_leaf walk;
    uint64_t table;

    dma->block = BLOCK_NONE;
    dma->some_table_is_given_away = some_table_page_is_assigned(world);
    if (!dma->some_table_is_given_away) return;
    path = oracle_translate(&dma->access);
    if (path.fault) return;
    walk = world_walk(dma->s2, path.gpa);
    if (walk.reads == 0) return;
    table = walk.reads == 1 ? dma->s2->walk.root
                            : iommu_item_address(&dma->s2->walk, walk.items[walk.reads - 2], walk.level + 1);
    if (!ownership_lookup(&world->ownership, table).assigned) return;
    dma->block = (walk.items[walk.reads - 1] & needed) == needed ? BLOCK_STALE_ONLY : BLOCK_SURE;
}

void world_adopt_dirty(struct world_table *table)
{
    struct oracle_run run;
    uint64_t from = 0;

    if (!oracle_reads_dirty(&table->oracle.config)) return;
    while (oracle_next_run(&table->oracle, from, UINT64_MAX, &run)) {
        const unsigned item_shift = oracle_item_shift_of_leaf(table->oracle.config.format, run.shift);
        const uint64_t end = run.start + run.length;

        for (uint64_t at = run.start; !run.dirty && at != end; at += bit(item_shift)) {
            if (world_walk(table, at).dirty) oracle_set_dirty(&table->oracle, at, true);
        }
        if (end == 0) return;
        from = end;
    }
}
