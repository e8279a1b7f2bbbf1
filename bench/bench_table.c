#include "bench_table.h"

#include "base/bits.h"
#include "base/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TARGET_START (UINT64_C(1) << 44) /* aligned to every leaf in use, below the 52 bits of an output address */

/* Set once, before the list of cases is made. */
static struct {
    const struct plugin *plugin;
    enum bench_rows rows;
} chosen;

void bench_choose_engines(const struct plugin *plugin, enum bench_rows rows)
{
    chosen.plugin = plugin;
    chosen.rows = rows;
}

const struct engine *bench_engine_at(unsigned index)
{
    const struct engine *engine;

    if (chosen.plugin) return plugin_engine_at(chosen.plugin, index);
    for (unsigned row = 0; (engine = engine_at(row)); row++) {
        if (!engine_is_usable(engine)) continue;
        if (chosen.rows != BENCH_ALL && engine->is_vector != (chosen.rows == BENCH_VECTOR)) continue;
        if (index-- == 0) return engine;
    }
    return NULL;
}

static void top_changed(void *context, hpa_t top, unsigned level)
{
    (void)context;
    (void)top;
    (void)level;
}

static void ignore_flush(void *context, hpa_t table, unsigned offset, unsigned length)
{
    (void)context, (void)table, (void)offset, (void)length;
}

static const struct pt_hooks table_hooks = { .top_changed = top_changed, .flush = bench_flush };

bool bench_engine_takes(const struct engine *engine, uint32_t features)
{
    static const struct pt_hooks hooks = { .top_changed = top_changed, .flush = ignore_flush };
    struct pt_config config = engine_default_config(engine);
    struct table_pool pool;
    struct pt pt;
    int error;

    if (features & ~engine->features) return false;
    if (!chosen.plugin) return true;
    table_pool_init(&pool, 0, TAKES_POOL_PAGES);
    config.features |= features;
    config.pool = &pool;
    config.hooks = &hooks;
    error = pt_init(&pt, engine, &config);
    if (!error) pt_deinit(&pt);
    table_pool_destroy(&pool);
    return error != -EOPNOTSUPP;
}

const char *bench_state_name(const struct engine *engine, bool is_cold)
{
    if (engine && engine->is_vector && chosen.rows == BENCH_ALL) return is_cold ? "cold-vector" : "warm-vector";
    return is_cold ? "cold" : "warm";
}

void bench_add_table_cases(struct bench_list *list, const char *operation, const struct bench_family *family,
                           bench_shape_filter *has)
{
    const struct engine *engine;
    const struct bench_shape *shape;
    struct table_shape fitted;

    for (unsigned i = 0; (engine = bench_engine_at(i / 2)); i++) {
        const bool is_cold = i % 2;

        for (unsigned k = 0; (shape = bench_shape_at(k)); k++) {
            struct bench_case *bench;

            if (!bench_shape_fit(bench_format_find(engine->format), shape, &fitted) || !has(engine, shape, is_cold))
                continue;
            bench = bench_list_add(list, "%s/%s/%s/%s", operation, engine->format, fitted.name,
                                   bench_state_name(engine, is_cold));
            bench->family = family;
            bench->engine = engine;
            bench->shape = shape;
            bench->is_cold = is_cold;
        }
    }
}

/* Places of a cold batch: as many as the tables allow. */
static uint64_t count_cold_places(const struct bench_format *format, uint64_t item_bytes, unsigned levels)
{
    const uint64_t table_bytes = sizeof(uint64_t) << format->index_bits;
    const uint64_t tables = COLD_TABLE_PAGES * (uint64_t)POOL_PAGE_BYTES / table_bytes;

    return max_u64(1, min_u64(COLD_PLACES_MAX, tables / (1 + item_bytes / table_bytes) / levels));
}

/* Where the places lie: see bench_table.h. */
static void lay_out(struct bench_table *table)
{
    const struct bench_format *format = table->format;
    const struct table_shape *shape = &table->shape;
    const unsigned fit_shift = shape->skew_shift ? shape->skew_shift : log2_floor(shape->length);
    uint64_t item_bytes;

    table->leaf_shift = log2_floor(format->leaf_sizes & low_mask(fit_shift + 1));
    table->leaf_level = bench_leaf_level(format, table->leaf_shift);
    table->leaves = shape->is_scattered ? SHAPE_MANY_LEAVES : shape->length >> table->leaf_shift;
    table->unmap_unit = bench_item_span(format, table->leaf_level + 1) / 2;
    table->covers_tables = shape->length > 2 * table->unmap_unit;
    table->target_start = TARGET_START;
    if (shape->skew_shift) table->target_start += bit(shape->skew_shift);
    table->target_stride = shape->length;
    item_bytes = shape->length / bench_item_span(format, table->leaf_level) * sizeof(uint64_t);
    if (table->is_cold) {
        const unsigned top = format->shared_level > table->leaf_level ? format->shared_level : table->leaf_level + 1;

        table->iova_stride = bench_item_span(format, top);
        table->places = count_cold_places(format, item_bytes, top);
    } else {
        table->iova_stride = shape->length;
        table->places = max_u64(1, min_u64(WARM_PLACES_MAX, WARM_ITEM_BYTES / item_bytes));
    }
    if (shape->places) table->places = shape->places;
    CHECK(table->iova_stride >= shape->length);
}

/*
 * One call must not cover a table even where it maps as much as one holds: 1 GiB as 2M then starts one leaf later and
 * lies across two tables. (1 GiB as 4K cannot avoid it; its unmaps are split.)
 */
static void step_off_the_table(struct bench_table *table)
{
    if (table->is_cold || table->shape.length != 2 * table->unmap_unit) return;
    table->iova_start = bit(table->leaf_shift);
    table->iova_stride = 2 * table->shape.length;
    table->target_start = TARGET_START;
    table->target_stride = 2 * table->shape.length;
}

/* An empty tree. */
static int plant(struct bench_table *table)
{
    struct pt_config config = engine_default_config(table->engine);

    config.features |= table->features;
    config.pool = &table->pool;
    config.hooks = &table_hooks;
    config.context = table;
    return pt_init(&table->pt, table->engine, &config);
}

/* Let the root grow to where the places need it: a page behind the last place comes and goes. */
static bool grow(struct bench_table *table)
{
    const iova_t behind = bench_table_iova(table, table->places);
    const uint64_t page = bit(table->format->granule_shift);
    struct pt_gather gather = pt_gather_empty();
    uint64_t mapped;

    return pt_map_range(&table->pt, behind, hpa(TARGET_START), page, PT_READ | PT_WRITE, &mapped) == 0 &&
           pt_unmap_range(&table->pt, behind, page, &gather) == page;
}

struct bench_table *bench_table_open(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    struct table_shape shape;

    CHECK(bench_shape_fit(bench_format_find(bench->engine->format), bench->shape, &shape));
    return bench_table_open_shape(bench, &shape, facts, message);
}

struct bench_table *bench_table_open_shape(const struct bench_case *bench, const struct table_shape *shape,
                                           struct bench_facts *facts, char *message)
{
    struct bench_table *table = calloc(1, sizeof(*table));
    int error;

    CHECK(table != NULL);
    table->engine = bench->engine;
    table->format = bench_format_find(bench->engine->format);
    CHECK(table->format != NULL);
    table->shape = *shape;
    table->is_cold = bench->is_cold;
    table->features = bench->features;
    lay_out(table);
    step_off_the_table(table);
    table_pool_init(&table->pool, 0, TABLE_POOL_PAGES);
    error = plant(table);
    if (error) {
        snprintf(message, BENCH_MESSAGE_BYTES, "pt_init: %s", strerror(-error));
        table_pool_destroy(&table->pool);
        free(table);
        return NULL;
    }
    if (!bench_table_map(table, 1)) table->failures = 1;
    facts->table_bytes = (uint64_t)table->pool.live_pages * POOL_PAGE_BYTES;
    facts->leaves = (double)table->leaves;
    facts->mapped_bytes = (double)table->shape.length;
    facts->batch = table->places;
    bench_table_renew(table);
    return table;
}

void bench_table_close(struct bench_table *table)
{
    pt_deinit(&table->pt);
    table_pool_destroy(&table->pool);
    free(table);
}

void bench_table_tear_down(void *work)
{
    bench_table_close(work);
}

void bench_table_clear(struct bench_table *table)
{
    pt_deinit(&table->pt);
    table_pool_reset(&table->pool);
    if (plant(table) != 0) table->failures = 1;
    table->pages_settled = table->pool.live_pages;
}

void bench_table_renew(struct bench_table *table)
{
    pt_deinit(&table->pt);
    if (plant(table) != 0 || !grow(table)) table->failures = 1;
    table->pages_settled = table->pool.live_pages;
}

bool bench_table_warm(struct bench_table *table, char *message)
{
    if (!bench_table_map(table, table->places) || !bench_table_unmap(table, table->places)) {
        snprintf(message, BENCH_MESSAGE_BYTES, "set-up: a map or unmap failed");
        return false;
    }
    table->pages_settled = table->pool.live_pages;
    table->allocations_settled = table->pool.allocations;
    return true;
}

bool bench_table_map(struct bench_table *table, uint64_t count)
{
    for (uint64_t place = 0; place < count; place++) {
        uint64_t mapped;

        if (pt_map_range(&table->pt, bench_table_iova(table, place), bench_table_target(table, place),
                         table->shape.length, PT_READ | PT_WRITE, &mapped) != 0)
            return false;
        if (mapped != table->shape.length) return false;
    }
    return true;
}

bool bench_table_unmap(struct bench_table *table, uint64_t count)
{
    for (uint64_t place = 0; place < count; place++) {
        const uint64_t start = bench_table_iova(table, place).value;
        const uint64_t unit = min_u64(table->unmap_unit, table->shape.length);

        for (uint64_t done = 0; done < table->shape.length; done += unit) {
            struct pt_gather gather = pt_gather_empty();

            if (pt_unmap_range(&table->pt, iova(start + done), unit, &gather) != unit) return false;
            pt_gather_sync(&table->pt, &gather);
        }
    }
    return true;
}

/* ---- is it right? ---- */

const struct bench_run *bench_table_run_at(const struct bench_table *table, uint64_t offset)
{
    uint64_t low = 0;
    uint64_t high = table->run_count;

    while (high - low > 1) {
        const uint64_t middle = low + (high - low) / 2;

        if (table->runs[middle].offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return &table->runs[low];
}

/* Where the leaf at `offset` must have ended at the latest. */
static uint64_t leaf_limit(const struct bench_table *table, uint64_t offset)
{
    if (table->runs) {
        const struct bench_run *run = bench_table_run_at(table, offset);

        return run->offset + run->length;
    }
    return offset < table->cut ? table->cut : table->shape.length;
}

unsigned bench_table_leaf_shift(const struct bench_table *table, uint64_t place, uint64_t offset)
{
    const struct table_shape *shape = &table->shape;
    const uint64_t address = bench_table_iova(table, place).value + offset;
    const uint64_t space = leaf_limit(table, offset) - offset;
    const unsigned room = shape->is_scattered ? table->format->granule_shift : log2_floor(space);
    unsigned fit = trailing_zeros(address | bench_table_target_at(table, place, offset));

    if (fit > room) fit = room;
    if (table->leaf_max && fit > table->leaf_max) fit = table->leaf_max;
    return log2_floor(table->format->leaf_sizes & low_mask(fit + 1));
}

/* Where `address` leads must be `wanted`. */
static bool leads_to(const struct bench_table *table, uint64_t address, uint64_t wanted, char *message)
{
    hpa_t found = { 0 };

    if (pt_iova_to_phys(&table->pt, iova(address), &found) && found.value == wanted) return true;
    snprintf(message, BENCH_MESSAGE_BYTES, "iova 0x%" PRIx64 " leads to 0x%" PRIx64 ", wanted 0x%" PRIx64, address,
             found.value, wanted);
    return false;
}

/* Walks all items beside the wanted leaves, in ascending order. */
struct item_reader {
    const struct bench_table *table;
    uint64_t place, offset;  /* of the leaf that the next item belongs to */
    uint64_t index;          /* of the next item in that leaf */
    unsigned shift;          /* of that leaf */
    unsigned previous_shift; /* of the leaf before it, 0: it is the first of a place */
    uint64_t items;          /* leaf items seen */
    uint64_t raw;            /* of the item before */
    uint64_t wrong;          /* items that are not as wanted */
    struct pt_item first_wrong;
};

static void start_place(struct item_reader *reader, uint64_t place)
{
    reader->place = place;
    reader->offset = 0;
    reader->index = 0;
    reader->previous_shift = 0;
    if (place < reader->table->places) reader->shift = bench_table_leaf_shift(reader->table, place, 0);
}

/* On to the next item: of this leaf, the next one, or the next place. */
static void advance(struct item_reader *reader, uint64_t item_span)
{
    const struct bench_table *table = reader->table;

    if (++reader->index * item_span < bit(reader->shift)) return;
    reader->index = 0;
    reader->offset += bit(reader->shift);
    reader->previous_shift = reader->shift;
    if (reader->offset == table->shape.length)
        start_place(reader, reader->place + 1);
    else
        reader->shift = bench_table_leaf_shift(table, reader->place, reader->offset);
}

/*
 * Leaf sizes are told apart without decoding items. A run of one word: the same in each item, and two leaves cannot be,
 * as they lead to different places. Advancing runs: each word is the one before and a step, and says what run it is of.
 */
static bool word_is_right(const struct item_reader *reader, const struct pt_item *item, unsigned level)
{
    const struct bench_format *format = reader->table->format;
    const bool starts_leaf = reader->index == 0;
    struct bench_run_word word;
    bool follows;

    if (format->runs == RUNS_NONE || format->runs == RUNS_OF_ONE_WORD)
        return starts_leaf != (reader->items > 0 && item->raw == reader->raw);
    word = bench_run_word(format, level, reader->shift - bench_level_shift(format, level));
    follows = !starts_leaf ||
              (reader->previous_shift == reader->shift && !reader->table->shape.is_scattered && !reader->table->runs);
    return (item->raw & word.mask) == word.value && (!follows || item->raw - reader->raw == word.step);
}

static void read_item(void *context, const struct pt_item *item)
{
    struct item_reader *reader = context;
    const struct bench_table *table = reader->table;
    const unsigned level = bench_leaf_level(table->format, reader->shift);
    const uint64_t item_span = bench_item_span(table->format, level);
    bool is_right;

    if (item->is_table) return;
    is_right = reader->place < table->places && item->level == level;
    is_right &=
        item->va.value == bench_table_iova(table, reader->place).value + reader->offset + reader->index * item_span;
    is_right &= word_is_right(reader, item, level);
    if (!is_right && reader->wrong++ == 0) reader->first_wrong = *item;
    reader->items++;
    reader->raw = item->raw;
    if (reader->place < table->places) advance(reader, item_span);
}

static bool verify_items(const struct bench_table *table, char *message)
{
    struct item_reader reader = { .table = table };

    start_place(&reader, 0);
    pt_walk_items(&table->pt, read_item, &reader);
    if (reader.wrong) {
        snprintf(message, BENCH_MESSAGE_BYTES,
                 "%" PRIu64 " items are not as wanted, the first: iova 0x%" PRIx64 " level %u item 0x%" PRIx64,
                 reader.wrong, reader.first_wrong.va.value, reader.first_wrong.level, reader.first_wrong.raw);
        return false;
    }
    if (reader.place != table->places) {
        snprintf(message, BENCH_MESSAGE_BYTES, "%" PRIu64 " leaf items, which end in place %" PRIu64 " of %" PRIu64,
                 reader.items, reader.place, table->places);
        return false;
    }
    return true;
}

static bool verify_place(const struct bench_table *table, uint64_t place, char *message)
{
    const uint64_t start = bench_table_iova(table, place).value;
    uint64_t leaf_bytes;

    for (uint64_t offset = 0; offset < table->shape.length; offset += leaf_bytes) {
        const uint64_t address = start + offset;
        const uint64_t target = bench_table_target_at(table, place, offset);

        leaf_bytes = bit(bench_table_leaf_shift(table, place, offset));
        if (!leads_to(table, address, target, message)) return false;
        if (!leads_to(table, address + leaf_bytes / 2, target + leaf_bytes / 2, message)) return false;
        if (!leads_to(table, address + leaf_bytes - 1, target + leaf_bytes - 1, message)) return false;
    }
    return true;
}

bool bench_table_verify_mapped(const struct bench_table *table, char *message)
{
    for (uint64_t place = 0; place < table->places; place++) {
        if (!verify_place(table, place, message)) return false;
    }
    return verify_items(table, message);
}

static void count_leaf_items(void *context, const struct pt_item *item)
{
    uint64_t *count = context;

    *count += !item->is_table;
}

bool bench_table_verify_empty(const struct bench_table *table, char *message)
{
    uint64_t leaf_items = 0;

    pt_walk_items(&table->pt, count_leaf_items, &leaf_items);
    for (uint64_t place = 0; place < table->places; place++) {
        const uint64_t address = bench_table_iova(table, place).value;
        hpa_t found;

        leaf_items += pt_iova_to_phys(&table->pt, iova(address), &found);
        leaf_items += pt_iova_to_phys(&table->pt, iova(address + table->shape.length - 1), &found);
    }
    if (leaf_items == 0) return true;
    snprintf(message, BENCH_MESSAGE_BYTES, "%" PRIu64 " leaf items left after unmapping everything", leaf_items);
    return false;
}

static void note_leaf_item(void *context, const struct pt_item *item)
{
    if (!item->is_table) *(struct pt_item *)context = *item;
}

bool bench_spoil_item(const struct pt *pt, const struct table_pool *pool)
{
    enum { ADDRESS_BIT = 40 }; /* in every format and leaf size here */
    uint64_t *words = (uint64_t *)(void *)pool->bytes;
    struct pt_item last = { 0 };

    pt_walk_items(pt, note_leaf_item, &last);
    for (uint64_t i = (uint64_t)pool->fresh * (POOL_PAGE_BYTES / sizeof(*words)); last.raw != 0 && i-- > 0;) {
        if (words[i] != last.raw) continue;
        words[i] ^= bit(ADDRESS_BIT);
        return true;
    }
    return false;
}

void bench_table_spoil(struct bench_table *table)
{
    const uint64_t page = bit(table->format->granule_shift);
    uint64_t mapped;

    if (bench_spoil_item(&table->pt, &table->pool)) return;
    CHECK(pt_map_range(&table->pt, bench_table_iova(table, 0), hpa(TARGET_START), page, PT_READ, &mapped) == 0);
}

void bench_table_spoil_work(void *work)
{
    bench_table_spoil(work);
}

bool bench_table_settle(const struct bench_table *table, char *message)
{
    if (table->failures) {
        snprintf(message, BENCH_MESSAGE_BYTES, "a call returned an error or the wrong length");
        return false;
    }
    if (table->pool.live_pages != table->pages_settled ||
        (!table->is_cold && table->pool.allocations != table->allocations_settled)) {
        snprintf(message, BENCH_MESSAGE_BYTES,
                 "tables came or went: %" PRIu32 " pages, %" PRIu32 " after set-up; %" PRIu64 " allocations since",
                 table->pool.live_pages, table->pages_settled, table->pool.allocations - table->allocations_settled);
        return false;
    }
    return true;
}
