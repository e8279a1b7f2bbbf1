/*
 * What does it cost to ask which pages a device wrote? 1 GiB is mapped in leaves of one size, some are dirty, and one
 * operation is one call over all of it, which reports them.
 *
 *   scan   reads and clears; the gather is synced without a flush. Leaves are made dirty again between, untimed
 *   peek   reads only (PT_DIRTY_NO_CLEAR)
 *   set    what a device's walker does, by pt_set_dirty: one operation marks one clean leaf, all leaves are a batch
 *   0pct, 1pct, 50pct, 100pct   of the leaves are dirty, drawn leaf by leaf: no pattern that a loop could use
 *
 * The receiver counts and sums, which is less than any real one does. Formats without a dirty bit that software reads
 * have no such case; armv8 is configured with hardware dirty state (DBM).
 */
#include "bench_table.h"

#include "base/bits.h"
#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const struct dirty_shape {
    struct bench_shape mapping;
    enum dirty_way { WAY_SCAN, WAY_PEEK, WAY_SET } way;
    unsigned percent;
} shapes[] = {
    { { SHAPE_GIB_AS, 0 }, WAY_SCAN, 0 },   { { SHAPE_GIB_AS, 0 }, WAY_SCAN, 1 },
    { { SHAPE_GIB_AS, 0 }, WAY_SCAN, 50 },  { { SHAPE_GIB_AS, 0 }, WAY_SCAN, 100 },
    { { SHAPE_GIB_AS, 0 }, WAY_PEEK, 1 },   { { SHAPE_GIB_AS, 0 }, WAY_PEEK, 50 },
    { { SHAPE_GIB_AS, 0 }, WAY_PEEK, 100 }, { { SHAPE_GIB_AS, 0 }, WAY_SET, 100 },
    { { SHAPE_GIB_AS, 1 }, WAY_SCAN, 0 },   { { SHAPE_GIB_AS, 1 }, WAY_SCAN, 1 },
    { { SHAPE_GIB_AS, 1 }, WAY_SCAN, 50 },  { { SHAPE_GIB_AS, 1 }, WAY_SCAN, 100 },
};

struct reported {
    uint64_t leaves, bytes;
    uint64_t sum; /* of their addresses */
};

struct dirty {
    struct bench_table *table;
    const struct dirty_shape *shape;
    struct reported wanted;
    struct reported found; /* by the last run */
};

/* Is this leaf one that the device wrote? Mixed well enough that a per cent of 512 leaves is not their first. */
static bool is_drawn(uint64_t leaf, unsigned percent)
{
    const uint64_t mixed = (leaf + 1) * UINT64_C(0x9e3779b97f4a7c15);

    return (mixed ^ mixed >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> 32 < percent * (bit(32) / 100 + 1);
}

static void note(void *context, iova_t start, uint64_t length)
{
    struct reported *reported = context;

    reported->leaves++;
    reported->bytes += length;
    reported->sum += start.value;
}

/* Ask for what is dirty. */
static void scan(struct dirty *dirty, unsigned flags, struct reported *reported)
{
    struct bench_table *table = dirty->table;
    struct pt_gather gather = pt_gather_empty();

    *reported = (struct reported){ 0 };
    if (pt_read_and_clear_dirty(&table->pt, bench_table_iova(table, 0), table->shape.length, flags, note, reported,
                                &gather) != 0)
        table->failures = 1;
    pt_gather_sync(&table->pt, &gather);
}

static void set(struct dirty *dirty, uint64_t count)
{
    struct bench_table *table = dirty->table;
    const uint64_t leaf_bytes = bit(table->leaf_shift);
    const uint64_t start = bench_table_iova(table, 0).value;
    uint64_t failures = 0;

    for (uint64_t leaf = 0; leaf < count; leaf++)
        failures |= (uint64_t)pt_set_dirty(&table->pt, iova(start + leaf * leaf_bytes));
    table->failures |= failures;
}

static void run(void *work, uint64_t count)
{
    struct dirty *dirty = work;

    if (dirty->shape->way == WAY_SET) {
        set(dirty, count);
    } else {
        CHECK(count == 1);
        scan(dirty, dirty->shape->way == WAY_PEEK ? PT_DIRTY_NO_CLEAR : 0, &dirty->found);
    }
}

/* What the device does: it writes to the drawn leaves. */
static void write_memory(struct dirty *dirty)
{
    struct bench_table *table = dirty->table;
    const uint64_t leaf_bytes = bit(table->leaf_shift);
    const uint64_t start = bench_table_iova(table, 0).value;

    for (uint64_t leaf = 0; leaf < table->leaves; leaf++) {
        if (!is_drawn(leaf, dirty->shape->percent)) continue;
        if (pt_set_dirty(&table->pt, iova(start + leaf * leaf_bytes)) != 0) table->failures = 1;
    }
}

static void reset(void *work)
{
    struct dirty *dirty = work;

    if (dirty->shape->way == WAY_SCAN) write_memory(dirty);
    if (dirty->shape->way == WAY_SET) scan(dirty, 0, &dirty->found);
}

static void *set_up(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    const struct dirty_shape *shape = bench->shape;
    const struct bench_case mapping = {
        .engine = bench->engine,
        .features = bench->engine->features & PT_HARDWARE_DIRTY,
    };
    struct dirty *dirty = calloc(1, sizeof(*dirty));
    struct table_shape fitted;

    CHECK(dirty != NULL);
    CHECK(bench_shape_fit(bench_format_find(bench->engine->format), &shape->mapping, &fitted));
    fitted.places = 1;
    dirty->shape = shape;
    dirty->table = bench_table_open_shape(&mapping, &fitted, facts, message);
    if (!dirty->table) {
        free(dirty);
        return NULL;
    }
    if (!bench_table_map(dirty->table, 1)) dirty->table->failures = 1;
    dirty->table->pages_settled = dirty->table->pool.live_pages;
    dirty->table->allocations_settled = dirty->table->pool.allocations;
    scan(dirty, 0, &dirty->found); /* some formats map writable leaves as dirty */
    if (shape->way != WAY_SET) write_memory(dirty);
    for (uint64_t leaf = 0; leaf < dirty->table->leaves; leaf++) {
        const uint64_t address = bench_table_iova(dirty->table, 0).value + (leaf << dirty->table->leaf_shift);

        if (is_drawn(leaf, shape->percent)) note(&dirty->wanted, iova(address), bit(dirty->table->leaf_shift));
    }
    facts->mapped_bytes = 0;
    if (shape->way == WAY_SET) {
        facts->batch = dirty->table->leaves;
        facts->leaves = 1;
    } else {
        bench_facts_add(facts, "dirty_leaves", (double)dirty->wanted.leaves);
    }
    return dirty;
}

static bool is_reported(const struct reported *found, const struct reported *wanted, const char *when, char *message)
{
    if (found->leaves == wanted->leaves && found->bytes == wanted->bytes && found->sum == wanted->sum) return true;
    snprintf(message, BENCH_MESSAGE_BYTES, "%s: %" PRIu64 " leaves of 0x%" PRIx64 " bytes are dirty, wanted %" PRIu64,
             when, found->leaves, found->bytes, wanted->leaves);
    return false;
}

/* The right leaves were reported; afterwards they are dirty or clean as asked, and the table is as it was. */
static bool verify(void *work, char *message)
{
    static const struct reported none = { 0 };
    struct dirty *dirty = work;
    struct reported left;

    if (dirty->shape->way != WAY_SET && !is_reported(&dirty->found, &dirty->wanted, "reported", message)) return false;
    scan(dirty, 0, &left);
    if (!is_reported(&left, dirty->shape->way == WAY_SCAN ? &none : &dirty->wanted, "left behind", message))
        return false;
    if (!bench_table_verify_mapped(dirty->table, message)) return false;
    if (dirty->shape->way == WAY_PEEK) write_memory(dirty);
    return true;
}

static bool settle(void *work, char *message)
{
    const struct dirty *dirty = work;

    return bench_table_settle(dirty->table, message);
}

static void tear_down(void *work)
{
    struct dirty *dirty = work;

    bench_table_close(dirty->table);
    free(dirty);
}

/* One leaf too many is dirty, or one too few. */
static void spoil(void *work)
{
    const struct dirty *dirty = work;
    struct bench_table *table = dirty->table;
    struct pt_gather gather = pt_gather_empty();
    struct reported dropped = { 0 };

    if (dirty->shape->way == WAY_SCAN)
        CHECK(pt_set_dirty(&table->pt, bench_table_iova(table, 0)) == 0);
    else
        CHECK(pt_read_and_clear_dirty(&table->pt, bench_table_iova(table, 0), table->shape.length / 2, 0, note,
                                      &dropped, &gather) == 0);
}

static const struct bench_family dirties = { set_up, run, reset, verify, settle, tear_down, NULL, spoil };

static void add(struct bench_list *list, const struct engine *engine, const struct dirty_shape *shape)
{
    struct table_shape fitted;
    struct bench_case *bench;
    const char *size;

    if (!engine->has_dirty || !bench_shape_fit(bench_format_find(engine->format), &shape->mapping, &fitted)) return;
    if (fitted.length >> fitted.skew_shift < 100) return; /* one per cent would be none */
    size = fitted.name + sizeof("1GiB_as_") - 1;
    if (shape->way == WAY_SET)
        bench =
            bench_list_add(list, "dirty/%s/set_1GiB_of_%s/%s", engine->format, size, bench_state_name(engine, false));
    else
        bench = bench_list_add(list, "dirty/%s/%s_1GiB_of_%s_%upct/%s", engine->format,
                               shape->way == WAY_PEEK ? "peek" : "scan", size, shape->percent,
                               bench_state_name(engine, false));
    bench->family = &dirties;
    bench->engine = engine;
    bench->shape = shape;
}

void bench_add_dirties(struct bench_list *list)
{
    const struct engine *engine;

    for (unsigned i = 0; (engine = bench_engine_at(i)); i++) {
        for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) add(list, engine, &shapes[k]);
    }
}
