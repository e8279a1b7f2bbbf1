/* Hardware walks of what an op touched, compared with the oracle; and what the engine's own lookup says there. */
#include "base/check.h"
#include "world/world_internal.h"

#include <inttypes.h>

/* ---- one byte ---------------------------------------------------------------------------------------------------- */

/* What a walk reads outside its table's pool. Guest tables lie at guest addresses: their pool is all there is. */
static bool read_elsewhere(void *context, uint64_t address, uint64_t *value)
{
    const struct world_table *table = context;

    return !table->is_s1 && physmem_read64(&table->world->memory, hpa(address), value);
}

/* The table's pool is read directly, whatever else is memory through physmem. S2 is not asked about guest tables. */
void world_aim_walks(struct world_table *table)
{
    const struct table_pool *pool =
        table->world->is_incoherent ? &table->world->views[table->is_s1].image : table->pt.pool;

    table->walk_memory = (struct iommu_memory){ .read = read_elsewhere,
                                                .context = table,
                                                .window = pool->bytes,
                                                .window_base = pool->base,
                                                .window_bytes = table_pool_size(pool) };
}

/* The next walk begins at the root: memory may have changed since the last. */
static void begin_walks(struct world_table *table)
{
    table->chain.is_known = false;
}

/* Valid until the next walk. */
static const struct iommu_leaf *walk_for(struct world_table *table, uint64_t address, enum iommu_access access)
{
    table->world->totals.walks++;
    iommu_walk_on(&table->walk, &table->walk_memory, address, access, &table->chain);
    return &table->chain.leaf;
}

struct iommu_leaf world_walk(struct world_table *table, uint64_t address)
{
    begin_walks(table);
    if (walk_for(table, address, IOMMU_READ)->fault == IOMMU_PERMISSION) {
        begin_walks(table);
        walk_for(table, address, IOMMU_WRITE);
    }
    return table->chain.leaf;
}

bool world_any_dirty(struct world_table *table, uint64_t first, uint64_t last, uint64_t step)
{
    begin_walks(table);
    for (uint64_t at = first;; at += step) {
        const struct iommu_leaf *leaf = walk_for(table, at, IOMMU_READ);

        if (leaf->fault == IOMMU_PERMISSION) leaf = walk_for(table, at, IOMMU_WRITE);
        if (leaf->dirty) return true;
        if (last - at < step) return false;
    }
}

/* Is the dirty bit right? A run is dirty when any of its items is, so a clean item of a dirty run proves nothing. */
static bool dirty_fits(const struct world_table *table, const struct oracle_leaf *leaf, const struct iommu_leaf *walk)
{
    const struct oracle_format *format = table->oracle.config.format;
    const bool is_run = leaf->shift != oracle_item_shift_of_leaf(format, leaf->shift);

    if (format->starts_dirty && !oracle_reads_dirty(&table->oracle.config))
        return walk->dirty == ((leaf->prot & ORACLE_WRITE) != 0);
    return walk->dirty == leaf->dirty || (is_run && leaf->dirty);
}

/* Is memory cached as was asked? Only Arm's items say. */
static bool cache_fits(const struct world_table *table, const struct oracle_leaf *leaf, const struct iommu_leaf *walk)
{
    const bool is_told = table->oracle.config.format->prot_bits & ORACLE_CACHE;

    return walk->write_back == (is_told && leaf->prot & ORACLE_CACHE && !(leaf->prot & ORACLE_MMIO));
}

static bool leaf_fits(const struct world_table *table, const struct oracle_leaf *leaf, uint64_t address,
                      const struct iommu_leaf *walk)
{
    const bool readable = table->oracle.config.format->read_is_implied || leaf->prot & ORACLE_READ;

    return walk->fault == IOMMU_NO_FAULT && walk->address == leaf->target + (address - leaf->start) &&
           walk->shift == leaf->shift && walk->readable == readable &&
           walk->writable == ((leaf->prot & ORACLE_WRITE) != 0) && walk->forced_coherent == table->forced_coherent &&
           walk->encrypted == (table->c_bit_mask && !(leaf->prot & ORACLE_MMIO)) &&
           walk->non_secure == table->non_secure && cache_fits(table, leaf, walk) && dirty_fits(table, leaf, walk);
}

static void check_mapped(struct world_table *table, const struct oracle_leaf *leaf, uint64_t address)
{
    const bool readable = table->oracle.config.format->read_is_implied || leaf->prot & ORACLE_READ;
    const struct iommu_leaf *walk = walk_for(table, address, readable ? IOMMU_READ : IOMMU_WRITE);
    hpa_t found = { 0 };

    if (!leaf_fits(table, leaf, address, walk)) {
        world_differ_at(table, address, "the hardware walk differs from the oracle\n");
        return;
    }
    if (!pt_iova_to_phys(&table->pt, iova(address), &found) || found.value != walk->address)
        world_differ_at(table, address, "iova_to_phys differs from the oracle\n");
}

static void check_absent(struct world_table *table, uint64_t address)
{
    const enum iommu_fault expected = oracle_decodes(&table->oracle, address) ? IOMMU_NOT_PRESENT : IOMMU_CANONICAL;
    hpa_t found;

    if (walk_for(table, address, IOMMU_READ)->fault != expected)
        world_differ_at(table, address, "the hardware walk finds something: expected fault=%s\n",
                        iommu_fault_name(expected));
    else if (pt_iova_to_phys(&table->pt, iova(address), &found))
        world_differ_at(table, address, "iova_to_phys finds something: expected nothing\n");
}

void world_check_byte(struct world_table *table, uint64_t address)
{
    struct oracle_leaf leaf;

    begin_walks(table);
    if (oracle_find(&table->oracle, address, &leaf))
        check_mapped(table, &leaf, address);
    else
        check_absent(table, address);
}

/* ---- ranges ------------------------------------------------------------------------------------------------------ */

static void check_leaf_byte(struct world_table *table, const struct oracle_leaf *leaf, uint64_t offset, bool is_removed)
{
    if (is_removed)
        check_absent(table, leaf->start + offset);
    else
        check_mapped(table, leaf, leaf->start + offset);
}

/* First, middle and last byte of leaf `index` of a run. */
static void check_leaf(struct world_table *table, const struct oracle_run *run, uint64_t index, bool is_removed)
{
    const uint64_t offset = index << run->shift;
    const struct oracle_leaf leaf = { run->start + offset, run->target + offset, run->shift, run->prot, run->dirty };

    check_leaf_byte(table, &leaf, 0, is_removed);
    check_leaf_byte(table, &leaf, bit(run->shift) / 2 + 0x123, is_removed);
    check_leaf_byte(table, &leaf, low_mask(run->shift), is_removed);
}

/* Every stride-th leaf, odd so that it visits every place of a table in time. 1: every one. */
static uint64_t stride_for(const struct world_table *table, uint64_t first, uint64_t last)
{
    struct oracle_run run;
    uint64_t leaves = 0;

    for (uint64_t from = first; oracle_next_run(&table->oracle, from, last, &run); from = oracle_run_last(&run) + 1) {
        leaves += run.length >> run.shift;
        if (oracle_run_last(&run) >= last) break;
    }
    return leaves <= table->world->leaves_checked ? 1 : (leaves / table->world->leaves_checked) | 1;
}

/*
 * The leaves that the oracle has in [first, last]: all of them up to leaves_checked, beyond that an evenly spread
 * sample of about as many. is_removed: the oracle still has them, the table must not.
 */
void world_check_range(struct world_table *table, uint64_t first, uint64_t last, bool is_removed)
{
    const bool is_small = last - first <= (uint64_t)table->world->leaves_checked
                                              << table->oracle.config.format->granule_shift;
    const uint64_t stride = is_small ? 1 : stride_for(table, first, last);
    uint64_t skip = 0;
    struct oracle_run run;

    begin_walks(table);
    for (uint64_t from = first; oracle_next_run(&table->oracle, from, last, &run); from = oracle_run_last(&run) + 1) {
        const uint64_t leaves = run.length >> run.shift;
        uint64_t index = skip;

        for (; index < leaves; index += stride) check_leaf(table, &run, index, is_removed);
        skip = index - leaves;
        if (oracle_run_last(&run) >= last) return;
    }
}

void world_limit_walks(struct world *world, unsigned leaves)
{
    CHECK(leaves >= 1);
    world->leaves_checked = leaves;
}

/* The leaves of a run: all up to WORLD_RUN_SAMPLE, beyond that so many, evenly spread, first and last among them. */
void world_check_run(struct world_table *table, const struct oracle_run *run)
{
    const uint64_t leaves = run->length >> run->shift;

    begin_walks(table);
    if (leaves <= WORLD_RUN_SAMPLE) {
        for (uint64_t index = 0; index < leaves; index++) check_leaf(table, run, index, false);
        return;
    }
    for (uint64_t i = 0; i < WORLD_RUN_SAMPLE; i++)
        check_leaf(table, run, i * (leaves - 1) / (WORLD_RUN_SAMPLE - 1), false);
}

/* The bytes just before and behind [first, last], where there are such. */
void world_check_outside(struct world_table *table, uint64_t first, uint64_t last)
{
    if (first > 0) world_check_byte(table, first - 1);
    if (last < UINT64_MAX) world_check_byte(table, last + 1);
}
