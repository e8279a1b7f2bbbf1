/*
 * What does changing the size of live leaves cost? Only on formats whose capability columns allow it (armv8 has
 * neither).
 *
 *   cut/F/2M_at_4K     one leaf of 2M; one pt_cut 4K behind its start; both sides get the largest leaves
 *   resize/F/2M_to_4K  one pt_resize_range over one leaf of 2M: 512 leaves of 4K come out
 *   resize/F/4K_to_2M  and back: they are merged
 *   warm, cold         the leaf is a run and stays in its table; tables come or go inside the operation
 *
 * Undone by a resize, untimed. `leaves` are the small ones, made or merged; of a cut, all that are there after it.
 */
#include "bench_table.h"

#include "base/bits.h"
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

/* log2 of sizes: of the leaf and of the offset to cut at, or of the leaves before and after. */
static const struct resize_shape {
    unsigned from, to;
} cuts[] = { { 16, 11 }, { 16, 12 }, { 20, 12 }, { 20, 19 }, { 21, 12 }, { 21, 20 }, { 30, 12 }, { 30, 29 } },
  resizes[] = { { 16, 11 }, { 11, 16 }, { 16, 12 }, { 12, 16 }, { 20, 11 }, { 11, 20 }, { 20, 12 }, { 12, 20 },
                { 21, 12 }, { 12, 21 }, { 29, 20 }, { 20, 29 }, { 30, 12 }, { 12, 30 }, { 30, 21 }, { 21, 30 } };

struct resize {
    struct bench_table *table;
    unsigned from, to;
    bool is_cut;
    bool keeps_tables;
};

static bool has_leaf(const struct bench_format *format, unsigned shift)
{
    return (format->leaf_sizes & bit(shift)) != 0;
}

/* Everything stays in one table. */
static bool keeps_tables(const struct bench_format *format, const struct resize_shape *shape, bool is_cut)
{
    const unsigned large = shape->from > shape->to ? shape->from : shape->to;
    const unsigned small = shape->from > shape->to ? shape->to : shape->from;
    const unsigned level = bench_leaf_level(format, large);

    return is_cut ? small >= bench_level_shift(format, level) : bench_leaf_level(format, small) == level;
}

static bool fits(const struct engine *engine, const struct resize_shape *shape, bool is_cut)
{
    const struct bench_format *format = bench_format_find(engine->format);

    if (!has_leaf(format, shape->from) || shape->to < format->granule_shift) return false;
    if (!is_cut && !has_leaf(format, shape->to)) return false;
    if (is_cut ? !engine->cut : !engine->resize) return false;
    return keeps_tables(format, shape, is_cut) ? engine->resizes_in_place : engine->exchanges_tables;
}

/* What must be there: the leaves before the operation, or after it. */
static void expect(struct resize *resize, bool is_after)
{
    resize->table->cut = is_after && resize->is_cut ? bit(resize->to) : 0;
    resize->table->leaf_max = is_after && !resize->is_cut ? resize->to : resize->from;
}

static uint64_t count_leaves(const struct bench_table *table)
{
    uint64_t leaves = 0;

    for (uint64_t offset = 0; offset < table->shape.length; leaves++)
        offset += bit(bench_table_leaf_shift(table, 0, offset));
    return leaves;
}

static uint64_t resize_place(struct bench_table *table, uint64_t place, unsigned shift)
{
    return (uint64_t)pt_resize_range(&table->pt, bench_table_iova(table, place), table->shape.length, bit(shift));
}

static void run(void *work, uint64_t count)
{
    struct resize *resize = work;
    struct bench_table *table = resize->table;
    uint64_t failures = 0;

    for (uint64_t place = 0; place < count; place++) {
        if (resize->is_cut)
            failures |= (uint64_t)pt_cut(&table->pt, iova(bench_table_iova(table, place).value + bit(resize->to)));
        else
            failures |= resize_place(table, place, resize->to);
    }
    table->failures |= failures;
    table->done = count;
}

static void reset(void *work)
{
    struct resize *resize = work;

    for (uint64_t place = 0; place < resize->table->done; place++)
        resize->table->failures |= resize_place(resize->table, place, resize->from);
}

static void tear_down(void *work)
{
    struct resize *resize = work;

    bench_table_close(resize->table);
    free(resize);
}

/* One place is mapped as one leaf; small ones are made of it. Tables and their memory are warm after one round. */
static void *prepare(struct resize *resize, struct bench_facts *facts)
{
    struct bench_table *table = resize->table;

    if (!bench_table_map(table, table->places)) table->failures = 1;
    table->done = table->places;
    reset(resize);
    facts->table_bytes = (uint64_t)table->pool.live_pages * POOL_PAGE_BYTES;
    run(resize, table->places);
    facts->table_bytes = max_u64(facts->table_bytes, (uint64_t)table->pool.live_pages * POOL_PAGE_BYTES);
    reset(resize);
    expect(resize, resize->is_cut || resize->from > resize->to);
    facts->leaves = (double)count_leaves(table);
    expect(resize, true);
    table->pages_settled = table->pool.live_pages;
    table->allocations_settled = table->pool.allocations;
    return resize;
}

static void *set_up_any(const struct bench_case *bench, struct bench_facts *facts, bool is_cut, char *message)
{
    const struct resize_shape *shape = bench->shape;
    const struct bench_format *format = bench_format_find(bench->engine->format);
    const unsigned large = shape->from > shape->to ? shape->from : shape->to;
    const unsigned small = shape->from > shape->to ? shape->to : shape->from;
    const unsigned levels = bench_leaf_level(format, large) - bench_leaf_level(format, small);
    const uint64_t table_bytes = sizeof(uint64_t) << format->index_bits;
    const uint64_t items = bit(large - bench_level_shift(format, bench_leaf_level(format, small)));
    const uint64_t item_bytes = is_cut && levels > 0 ? levels * table_bytes : items * sizeof(uint64_t);
    const struct table_shape place = {
        .length = bit(large),
        .places = max_u64(1, min_u64(WARM_PLACES_MAX, WARM_ITEM_BYTES / item_bytes)),
    };
    const struct bench_case warm = { .engine = bench->engine };
    struct resize *resize = calloc(1, sizeof(*resize));

    CHECK(resize != NULL);
    *resize = (struct resize){ bench_table_open_shape(&warm, &place, facts, message), shape->from, shape->to, is_cut,
                               keeps_tables(format, shape, is_cut) };
    if (!resize->table) {
        free(resize);
        return NULL;
    }
    return prepare(resize, facts);
}

static void *set_up_cut(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    return set_up_any(bench, facts, true, message);
}

static void *set_up_resize(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    return set_up_any(bench, facts, false, message);
}

static bool verify(void *work, char *message)
{
    struct resize *resize = work;

    return bench_table_verify_mapped(resize->table, message);
}

/* The leaves are back as set-up left them, the tables as many; where none may come or go, none did. */
static bool settle(void *work, char *message)
{
    struct resize *resize = work;
    bool is_right;

    if (!resize->keeps_tables) resize->table->allocations_settled = resize->table->pool.allocations;
    expect(resize, false);
    is_right = bench_table_verify_mapped(resize->table, message) && bench_table_settle(resize->table, message);
    expect(resize, true);
    return is_right;
}

static void spoil(void *work)
{
    const struct resize *resize = work;

    bench_table_spoil(resize->table);
}

static const struct bench_family cut_family = { set_up_cut, run, reset, verify, settle, tear_down, NULL, spoil };
static const struct bench_family resize_family = { set_up_resize, run, reset, verify, settle, tear_down, NULL, spoil };

static void add(struct bench_list *list, const struct engine *engine, const struct resize_shape *shape, bool is_cut)
{
    const struct bench_format *format = bench_format_find(engine->format);
    char from[SHAPE_NAME_BYTES];
    char to[SHAPE_NAME_BYTES];
    struct bench_case *bench;

    if (!fits(engine, shape, is_cut)) return;
    bench = bench_list_add(list, "%s/%s/%s_%s_%s/%s", is_cut ? "cut" : "resize", engine->format,
                           bench_size_name(shape->from, from), is_cut ? "at" : "to", bench_size_name(shape->to, to),
                           bench_state_name(engine, !keeps_tables(format, shape, is_cut)));
    bench->family = is_cut ? &cut_family : &resize_family;
    bench->engine = engine;
    bench->shape = shape;
}

void bench_add_resizes(struct bench_list *list)
{
    const struct engine *engine;

    for (unsigned i = 0; (engine = bench_engine_at(i)); i++) {
        for (size_t k = 0; k < sizeof(cuts) / sizeof(cuts[0]); k++) add(list, engine, &cuts[k], true);
        for (size_t k = 0; k < sizeof(resizes) / sizeof(resizes[0]); k++) add(list, engine, &resizes[k], false);
    }
}
