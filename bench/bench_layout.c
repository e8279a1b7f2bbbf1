/*
 * What does the memory of a real guest cost to map, whose pieces lie as a host's allocator left them? One operation is
 * the whole layout, 4 GiB without a hole (corpus/layouts): 13476 runs where the host had 4K pages, 148 with huge pages.
 *
 *   map/F/pagemap-4k            one pt_map_range a run, from an empty tree
 *   map/F/list_pagemap-4k       one pt_map_list of all of them
 *   unmap/F/pagemap-4k          one pt_unmap_range of all, and the sync that frees its tables
 *   unmap/F/ranges_pagemap-4k   one pt_unmap_ranges: the receiver gets the runs back
 *   resize/F/pagemap-4k_merged  the memory has been made contiguous but the leaves are as small as the runs were: one
 *                               pt_resize_range makes them as large as the format has them up to 1G
 *
 * Tables come or go inside each. The layouts are of machines with 4K pages: formats whose smallest leaf is larger have
 * no such case, and formats that may not change a live leaf no `merged`. Unlike replay/, whose operation is one run, an
 * unmap is timed, and lists and merges are.
 */
#include "bench_table.h"

#include "base/bits.h"
#include "base/check.h"
#include "import/import.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum layout_way { WAY_CALLS, WAY_LIST, WAY_UNMAP, WAY_RANGES, WAY_MERGE };

#define LAYOUT_4K  "pagemap-4k", "corpus/layouts/pagemap-4k-4g.txt.xz"
#define LAYOUT_THP "pagemap-thp", "corpus/layouts/pagemap-thp-4g.txt.xz"

static const struct layout_shape {
    const char *operation, *prefix, *name, *path, *suffix;
    enum layout_way way;
} shapes[] = {
    { "map", "", LAYOUT_4K, "", WAY_CALLS },
    { "map", "list_", LAYOUT_4K, "", WAY_LIST },
    { "unmap", "", LAYOUT_4K, "", WAY_UNMAP },
    { "unmap", "ranges_", LAYOUT_4K, "", WAY_RANGES },
    { "resize", "", LAYOUT_4K, "_merged", WAY_MERGE },
    { "map", "", LAYOUT_THP, "", WAY_CALLS },
    { "map", "list_", LAYOUT_THP, "", WAY_LIST },
    { "unmap", "", LAYOUT_THP, "", WAY_UNMAP },
    { "unmap", "ranges_", LAYOUT_THP, "", WAY_RANGES },
    { "resize", "", LAYOUT_THP, "_merged", WAY_MERGE },
};

struct layout {
    struct bench_table *table;
    enum layout_way way;
    struct bench_run *runs;  /* by address, without a hole from 0 on */
    struct pt_piece *pieces; /* the same, for a list */
    uint64_t run_count;
    uint64_t removed_runs, removed_bytes, removed_sum; /* by the last run of WAY_RANGES */
};

static uint64_t map_calls(struct layout *layout)
{
    uint64_t failures = 0;

    for (uint64_t i = 0; i < layout->run_count; i++) {
        const struct bench_run *run = &layout->runs[i];
        uint64_t mapped;
        const int error = pt_map_range(&layout->table->pt, iova(run->offset), hpa(run->target), run->length,
                                       PT_READ | PT_WRITE, &mapped);

        failures |= (uint64_t)error | (mapped ^ run->length);
    }
    return failures;
}

static uint64_t map_list(struct layout *layout)
{
    const struct pt_list list = { layout->pieces, layout->run_count };
    uint64_t mapped;
    const int error = pt_map_list(&layout->table->pt, iova(0), &list, PT_READ | PT_WRITE, &mapped);

    return (uint64_t)error | (mapped ^ layout->table->shape.length);
}

static void note(void *context, iova_t start, hpa_t target, uint64_t length)
{
    struct layout *layout = context;

    layout->removed_runs++;
    layout->removed_bytes += length;
    layout->removed_sum += start.value ^ target.value;
}

static uint64_t unmap(struct layout *layout)
{
    const struct pt_receiver receiver = { note, layout };
    struct bench_table *table = layout->table;
    struct pt_gather gather = pt_gather_empty();
    uint64_t bytes;

    layout->removed_runs = 0;
    layout->removed_bytes = 0;
    layout->removed_sum = 0;
    if (layout->way == WAY_RANGES)
        bytes = pt_unmap_ranges(&table->pt, iova(0), table->shape.length, &gather, &receiver);
    else
        bytes = pt_unmap_range(&table->pt, iova(0), table->shape.length, &gather);
    pt_gather_sync(&table->pt, &gather);
    return bytes ^ table->shape.length;
}

static uint64_t apply(struct layout *layout)
{
    struct bench_table *table = layout->table;

    switch (layout->way) {
    case WAY_CALLS: return map_calls(layout);
    case WAY_LIST: return map_list(layout);
    case WAY_UNMAP:
    case WAY_RANGES: return unmap(layout);
    case WAY_MERGE: return (uint64_t)pt_resize_range(&table->pt, iova(0), table->shape.length, bit(SHIFT_1G));
    }
    return 1;
}

static void run(void *work, uint64_t count)
{
    struct layout *layout = work;

    CHECK(count == 1);
    layout->table->failures |= apply(layout);
}

/* An empty tree, or one that has what is to be unmapped or merged. */
static void reset(void *work)
{
    struct layout *layout = work;

    bench_table_renew(layout->table);
    if (layout->way != WAY_CALLS && layout->way != WAY_LIST) layout->table->failures |= map_calls(layout);
}

static void tear_down(void *work)
{
    struct layout *layout = work;

    bench_table_close(layout->table);
    free(layout->runs);
    free(layout->pieces);
    free(layout);
}

static bool append(struct layout *layout, const struct import_op *op, uint64_t end, char *message)
{
    if (op->kind != IMPORT_MAP || op->input != end) {
        snprintf(message, BENCH_MESSAGE_BYTES, "line %" PRIu64 ": not a run behind the one before", op->line);
        return false;
    }
    if ((layout->run_count & (layout->run_count - 1)) == 0) {
        const uint64_t capacity = layout->run_count ? 2 * layout->run_count : 1;

        layout->runs = realloc(layout->runs, capacity * sizeof(layout->runs[0]));
        layout->pieces = realloc(layout->pieces, capacity * sizeof(layout->pieces[0]));
        CHECK(layout->runs != NULL);
        CHECK(layout->pieces != NULL);
    }
    layout->runs[layout->run_count] = (struct bench_run){ op->input, op->length, op->target };
    layout->pieces[layout->run_count++] = (struct pt_piece){ hpa(op->target), op->length };
    return true;
}

/* Returns where the layout ends, 0 on error. */
static uint64_t load(struct layout *layout, const char *path, char *message)
{
    struct input *input = input_open(path, message, BENCH_MESSAGE_BYTES);
    struct import *import;
    struct import_op op;
    uint64_t end = 0;
    int result;

    if (!input) return 0;
    import = import_new(input);
    CHECK(import != NULL);
    while ((result = import_next(import, &op)) == 1) {
        if (!append(layout, &op, end, message)) break;
        end = op.input + op.length;
    }
    if (result < 0) snprintf(message, BENCH_MESSAGE_BYTES, "%s", import_message(import));
    import_free(import);
    input_close(input);
    return result == 0 ? end : 0;
}

/* The leaves that are made, removed or merged. */
static void describe_leaves(struct layout *layout, struct bench_facts *facts)
{
    struct bench_table *table = layout->table;
    uint64_t offset = 0;

    facts->leaves = 0;
    for (; offset < table->shape.length; facts->leaves++) offset += bit(bench_table_leaf_shift(table, 0, offset));
    facts->mapped_bytes = (double)table->shape.length;
    facts->batch = 1;
    bench_facts_add(facts, "runs", (double)layout->run_count);
}

static void *set_up(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    const struct layout_shape *shape = bench->shape;
    const struct bench_case warm = { .engine = bench->engine };
    const char *root = getenv("MAPPROOF_SOURCE_DIR");
    struct layout *layout = calloc(1, sizeof(*layout));
    struct table_shape place = { .places = 1 };
    char path[BENCH_MESSAGE_BYTES / 2];

    CHECK(layout != NULL);
    layout->way = shape->way;
    snprintf(path, sizeof(path), "%s/%s", root ? root : MAPPROOF_SOURCE_DIR, shape->path);
    place.length = load(layout, path, message);
    if (place.length > 0) layout->table = bench_table_open_shape(&warm, &place, facts, message);
    if (!layout->table) {
        free(layout->runs);
        free(layout->pieces);
        free(layout);
        return NULL;
    }
    layout->table->runs = layout->runs;
    layout->table->run_count = layout->run_count;
    for (uint64_t i = 0; layout->way == WAY_MERGE && i < layout->run_count; i++)
        layout->runs[i].target = bench_table_target(layout->table, 0).value + layout->runs[i].offset;
    describe_leaves(layout, facts);
    if (layout->way == WAY_MERGE) {
        layout->table->runs = NULL;
        layout->table->leaf_max = SHIFT_1G;
    }
    reset(layout);
    run(layout, 1);
    facts->table_bytes = (uint64_t)layout->table->pool.peak_pages * POOL_PAGE_BYTES;
    reset(layout);
    return layout;
}

/* The receiver got the runs, each once. */
static bool verify_removed(const struct layout *layout, char *message)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < layout->run_count; i++) sum += layout->runs[i].offset ^ layout->runs[i].target;
    if (layout->removed_runs == layout->run_count && layout->removed_bytes == layout->table->shape.length &&
        layout->removed_sum == sum)
        return true;
    snprintf(message, BENCH_MESSAGE_BYTES, "%" PRIu64 " runs of 0x%" PRIx64 " bytes were removed, wanted %" PRIu64,
             layout->removed_runs, layout->removed_bytes, layout->run_count);
    return false;
}

static bool verify(void *work, char *message)
{
    const struct layout *layout = work;

    if (layout->way == WAY_RANGES && !verify_removed(layout, message)) return false;
    if (layout->way == WAY_UNMAP || layout->way == WAY_RANGES) return bench_table_verify_empty(layout->table, message);
    return bench_table_verify_mapped(layout->table, message);
}

static bool settle(void *work, char *message)
{
    const struct layout *layout = work;

    if (layout->table->failures == 0) return true;
    snprintf(message, BENCH_MESSAGE_BYTES, "a call returned an error or the wrong length");
    return false;
}

static void spoil(void *work)
{
    const struct layout *layout = work;

    bench_table_spoil(layout->table);
}

static const struct bench_family layouts = { set_up, run, reset, verify, settle, tear_down, NULL, spoil };

static bool is_measured(const struct engine *engine, const struct layout_shape *shape)
{
    if (engine->is_vector || bench_format_find(engine->format)->granule_shift > SHIFT_4K) return false;
    if (shape->way == WAY_LIST) return engine->map_list != NULL;
    if (shape->way == WAY_RANGES) return engine->unmap_ranges != NULL;
    return shape->way != WAY_MERGE || (engine->resize && engine->resizes_in_place && engine->exchanges_tables);
}

void bench_add_layouts(struct bench_list *list)
{
    const struct engine *engine;

    for (unsigned i = 0; (engine = bench_engine_at(i)); i++) {
        for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) {
            const struct layout_shape *shape = &shapes[k];
            struct bench_case *bench;

            if (!is_measured(engine, shape)) continue;
            bench = bench_list_add(list, "%s/%s/%s%s%s/cold", shape->operation, engine->format, shape->prefix,
                                   shape->name, shape->suffix);
            bench->family = &layouts;
            bench->engine = engine;
            bench->shape = shape;
        }
    }
}
