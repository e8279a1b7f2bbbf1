/*
 * What does one call with many pieces save? 256 pages whose targets lie in another order than their addresses, so that
 * no two are one run: what a driver gets from a scatterlist. All three of a row do the same work on the same table.
 *
 *   map/F/list_256x4K       one pt_map_list of 256 pieces
 *   map/F/calls_256x4K      256 pt_map_range
 *   map/F/list_1x1M         one pt_map_list of 256 pieces that do continue each other: the largest leaves, as 1x1M
 *   unmap/F/ranges_256x4K   one pt_unmap_ranges, whose receiver gets 256 pieces
 *   unmap/F/lookups_256x4K  what an owner does without it: 256 pt_iova_to_phys, one pt_unmap_range
 *   unmap/F/calls_256x4K    256 pt_unmap_range, and nobody learns what memory it was
 *   unmap/F/ranges_1x1M     one pt_unmap_ranges, whose receiver gets one piece
 */
#include "bench_table.h"

#include "base/bits.h"
#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum batch_way { WAY_LIST, WAY_CALLS, WAY_RANGES, WAY_LOOKUPS };

static const struct batch_shape {
    const char *name;
    enum batch_way way;
    bool is_unmap;
    bool is_scattered;
} shapes[] = {
    { "list", WAY_LIST, false, true },     { "calls", WAY_CALLS, false, true },    { "list", WAY_LIST, false, false },
    { "ranges", WAY_RANGES, true, true },  { "lookups", WAY_LOOKUPS, true, true }, { "calls", WAY_CALLS, true, true },
    { "ranges", WAY_RANGES, true, false },
};

/* What became known of the memory that was taken away. */
struct removed {
    uint64_t pieces, bytes;
    uint64_t sum; /* of their targets */
};

struct batch {
    struct bench_table *table;
    enum batch_way way;
    bool is_unmap;
    struct pt_piece *pieces; /* SHAPE_MANY_LEAVES of each place */
    struct removed removed;  /* by the last run */
    uint64_t page_bytes;
};

static const struct pt_piece *pieces_of(const struct batch *batch, uint64_t place)
{
    return &batch->pieces[place * SHAPE_MANY_LEAVES];
}

static uint64_t map_list(const struct batch *batch, uint64_t place)
{
    struct bench_table *table = batch->table;
    const struct pt_list list = { pieces_of(batch, place), SHAPE_MANY_LEAVES };
    uint64_t mapped;
    const int error = pt_map_list(&table->pt, bench_table_iova(table, place), &list, PT_READ | PT_WRITE, &mapped);

    return (uint64_t)error | (mapped ^ table->shape.length);
}

static uint64_t map_calls(const struct batch *batch, uint64_t place)
{
    struct bench_table *table = batch->table;
    const struct pt_piece *pieces = pieces_of(batch, place);
    const uint64_t start = bench_table_iova(table, place).value;
    uint64_t failures = 0;

    for (uint64_t i = 0; i < SHAPE_MANY_LEAVES; i++) {
        uint64_t mapped;
        const int error = pt_map_range(&table->pt, iova(start + i * batch->page_bytes), pieces[i].target,
                                       pieces[i].length, PT_READ | PT_WRITE, &mapped);

        failures |= (uint64_t)error | (mapped ^ pieces[i].length);
    }
    return failures;
}

/* For set-up, where an engine from outside need not have lists: calls, where they make the same leaves. */
static uint64_t map_again(const struct batch *batch, uint64_t place)
{
    return batch->table->engine->map_list ? map_list(batch, place) : map_calls(batch, place);
}

static void note(void *context, iova_t start, hpa_t target, uint64_t length)
{
    struct removed *removed = context;

    (void)start;
    removed->pieces++;
    removed->bytes += length;
    removed->sum += target.value;
}

static uint64_t unmap_ranges(struct batch *batch, uint64_t place)
{
    struct bench_table *table = batch->table;
    const struct pt_receiver receiver = { note, &batch->removed };
    struct pt_gather gather = pt_gather_empty();

    return pt_unmap_ranges(&table->pt, bench_table_iova(table, place), table->shape.length, &gather, &receiver) ^
           table->shape.length;
}

static uint64_t unmap_lookups(struct batch *batch, uint64_t place)
{
    struct bench_table *table = batch->table;
    const uint64_t start = bench_table_iova(table, place).value;
    struct pt_gather gather = pt_gather_empty();

    for (uint64_t i = 0; i < SHAPE_MANY_LEAVES; i++) {
        hpa_t target = { 0 };

        if (!pt_iova_to_phys(&table->pt, iova(start + i * batch->page_bytes), &target)) return 1;
        note(&batch->removed, iova(start), target, batch->page_bytes);
    }
    return pt_unmap_range(&table->pt, iova(start), table->shape.length, &gather) ^ table->shape.length;
}

static uint64_t unmap_calls(struct batch *batch, uint64_t place)
{
    struct bench_table *table = batch->table;
    const uint64_t start = bench_table_iova(table, place).value;
    struct pt_gather gather = pt_gather_empty();
    uint64_t failures = 0;

    for (uint64_t i = 0; i < SHAPE_MANY_LEAVES; i++)
        failures |= pt_unmap_range(&table->pt, iova(start + i * batch->page_bytes), batch->page_bytes, &gather) ^
                    batch->page_bytes;
    return failures;
}

static uint64_t map_place(struct batch *batch, uint64_t place)
{
    return batch->way == WAY_CALLS ? map_calls(batch, place) : map_list(batch, place);
}

static uint64_t unmap_place(struct batch *batch, uint64_t place)
{
    if (batch->way == WAY_RANGES) return unmap_ranges(batch, place);
    return batch->way == WAY_LOOKUPS ? unmap_lookups(batch, place) : unmap_calls(batch, place);
}

static void run(void *work, uint64_t count)
{
    struct batch *batch = work;
    uint64_t failures = 0;

    batch->removed = (struct removed){ 0 };
    for (uint64_t place = 0; place < count; place++)
        failures |= batch->is_unmap ? unmap_place(batch, place) : map_place(batch, place);
    batch->table->failures |= failures;
    batch->table->done = count;
}

static void reset(void *work)
{
    struct batch *batch = work;
    struct bench_table *table = batch->table;

    for (uint64_t place = 0; batch->is_unmap && place < table->done; place++)
        table->failures |= map_again(batch, place);
    if (!batch->is_unmap && !bench_table_unmap(table, table->done)) table->failures = 1;
}

static void tear_down(void *work)
{
    struct batch *batch = work;

    bench_table_close(batch->table);
    free(batch->pieces);
    free(batch);
}

static void fill_pieces(struct batch *batch)
{
    const struct bench_table *table = batch->table;

    batch->pieces = calloc(table->places * SHAPE_MANY_LEAVES, sizeof(batch->pieces[0]));
    CHECK(batch->pieces != NULL);
    for (uint64_t i = 0; i < table->places * SHAPE_MANY_LEAVES; i++) {
        const uint64_t offset = i % SHAPE_MANY_LEAVES * batch->page_bytes;
        const uint64_t target = bench_table_target_at(table, i / SHAPE_MANY_LEAVES, offset);

        batch->pieces[i] = (struct pt_piece){ hpa(target), batch->page_bytes };
    }
}

static void *set_up(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    const struct batch_shape *shape = bench->shape;
    const struct bench_format *format = bench_format_find(bench->engine->format);
    const struct table_shape place = {
        .length = SHAPE_MANY_LEAVES * bit(format->granule_shift),
        .is_scattered = shape->is_scattered,
    };
    struct batch *batch = calloc(1, sizeof(*batch));

    CHECK(batch != NULL);
    batch->table = bench_table_open_shape(bench, &place, facts, message);
    if (!batch->table) {
        free(batch);
        return NULL;
    }
    batch->way = shape->way;
    batch->is_unmap = shape->is_unmap;
    batch->page_bytes = bit(format->granule_shift);
    fill_pieces(batch);
    for (uint64_t i = 0; i < batch->table->places; i++) batch->table->failures |= map_again(batch, i);
    if (!bench_table_unmap(batch->table, batch->table->places)) batch->table->failures = 1;
    batch->table->pages_settled = batch->table->pool.live_pages;
    batch->table->allocations_settled = batch->table->pool.allocations;
    batch->table->done = batch->table->places;
    if (batch->is_unmap) reset(batch);
    return batch;
}

/* What the receiver or the lookups learnt is what the pieces are; `calls` learnt nothing. */
static bool verify_removed(const struct batch *batch, char *message)
{
    const struct bench_table *table = batch->table;
    const uint64_t count = table->places * SHAPE_MANY_LEAVES;
    const struct removed *found = &batch->removed;
    struct removed wanted = { 0 };

    for (uint64_t i = 0; batch->way != WAY_CALLS && i < count; i++) {
        const hpa_t target = batch->pieces[i].target;
        const bool is_first = i % SHAPE_MANY_LEAVES == 0;

        wanted.bytes += batch->pieces[i].length;
        if (!table->shape.is_scattered && !is_first) continue;
        wanted.pieces++;
        wanted.sum += target.value;
    }
    if (found->pieces == wanted.pieces && found->bytes == wanted.bytes && found->sum == wanted.sum) return true;
    snprintf(message, BENCH_MESSAGE_BYTES, "%" PRIu64 " pieces of 0x%" PRIx64 " bytes were removed, wanted %" PRIu64,
             found->pieces, found->bytes, wanted.pieces);
    return false;
}

static bool verify(void *work, char *message)
{
    struct batch *batch = work;

    if (!batch->is_unmap) return bench_table_verify_mapped(batch->table, message);
    return bench_table_verify_empty(batch->table, message) && verify_removed(batch, message);
}

/* After an unmap's reset all is mapped: right, and gone again it leaves as many tables as set-up did. */
static bool settle(void *work, char *message)
{
    struct batch *batch = work;

    if (batch->is_unmap && !bench_table_verify_mapped(batch->table, message)) return false;
    if (batch->is_unmap) run(batch, batch->table->places);
    return bench_table_verify_empty(batch->table, message) && bench_table_settle(batch->table, message);
}

static void spoil(void *work)
{
    const struct batch *batch = work;

    bench_table_spoil(batch->table);
}

static const struct bench_family batches = { set_up, run, reset, verify, settle, tear_down, NULL, spoil };

static void add(struct bench_list *list, const struct engine *engine, const struct batch_shape *shape)
{
    const unsigned granule_shift = bench_format_find(engine->format)->granule_shift;
    const unsigned leaf_shift = shape->is_scattered ? granule_shift : granule_shift + log2_floor(SHAPE_MANY_LEAVES);
    char size[SHAPE_NAME_BYTES];
    struct bench_case *bench;

    if ((shape->way == WAY_LIST || !shape->is_scattered) && !engine->map_list) return;
    if (shape->way == WAY_RANGES && !engine->unmap_ranges) return;
    bench = bench_list_add(list, "%s/%s/%s_%dx%s/%s", shape->is_unmap ? "unmap" : "map", engine->format, shape->name,
                           shape->is_scattered ? SHAPE_MANY_LEAVES : 1, bench_size_name(leaf_shift, size),
                           bench_state_name(engine, false));
    bench->family = &batches;
    bench->engine = engine;
    bench->shape = shape;
}

void bench_add_batches(struct bench_list *list)
{
    const struct engine *engine;

    for (unsigned i = 0; (engine = bench_engine_at(i)); i++) {
        for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) add(list, engine, &shapes[k]);
    }
}
