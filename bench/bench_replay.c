/*
 * What does a real input cost on the engine alone? Its maps, unmaps and cuts stand ready in memory; one operation is
 * one of them, a batch is the whole input on an empty tree (tables come and go inside), each unmap with its own gather,
 * freed at once as under strict invalidation. No oracle, no IOMMU, no parsing: mapproof-replay does those. The inputs
 * are of machines with 4K pages: formats whose smallest leaf is larger have no such case.
 *
 * Which events become operations: core/import/import.h. leaves and bytes are those of the maps, spread over all
 * operations; table_bytes is the peak.
 */
#include "bench_table.h"

#include "base/bits.h"
#include "base/check.h"
#include "import/import.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct replay_shape {
    const char *name;
    const char *path; /* below the source directory */
} shapes[] = {
    { "nvme-e1000e", "corpus/traces/linux-6.12-vtd-nvme-e1000e.trace.xz" },
    { "pagemap-thp", "corpus/layouts/pagemap-thp-4g.txt.xz" },
    { "pagemap-4k", "corpus/layouts/pagemap-4k-4g.txt.xz" },
};

/* A 4K page that is mapped when the input is over, or once was. */
struct page {
    uint64_t number; /* input address >> 12, plus 1; 0: free slot */
    uint64_t target; /* hpa; only if is_mapped */
    bool is_mapped;
};

/* What must be mapped in the end, page by page: a hash table with linear probing. */
struct pages {
    struct page *slots;
    uint64_t capacity; /* a power of two */
    uint64_t used;
    uint64_t mapped;
};

struct replay {
    struct bench_table *table;
    struct import_op *ops;
    uint64_t op_count;
    struct pages pages;
};

static struct page *slot_of(const struct pages *pages, uint64_t number)
{
    uint64_t slot = (number * UINT64_C(0x9e3779b97f4a7c15)) >> 32;

    while (true) {
        struct page *page = &pages->slots[slot & (pages->capacity - 1)];

        if (page->number == 0 || page->number == number) return page;
        slot++;
    }
}

static void pages_grow(struct pages *pages)
{
    const struct pages old = *pages;

    pages->capacity = old.capacity ? 2 * old.capacity : 1 << 12;
    pages->slots = calloc(pages->capacity, sizeof(*pages->slots));
    CHECK(pages->slots != NULL);
    for (uint64_t i = 0; i < old.capacity; i++) {
        if (old.slots[i].number) *slot_of(pages, old.slots[i].number) = old.slots[i];
    }
    free(old.slots);
}

static void pages_apply(struct pages *pages, const struct import_op *op)
{
    if (op->kind == IMPORT_CUT) return;
    for (uint64_t offset = 0; offset < op->length; offset += POOL_PAGE_BYTES) {
        const uint64_t number = ((op->input + offset) >> SHIFT_4K) + 1;
        struct page *page;

        if (2 * pages->used >= pages->capacity) pages_grow(pages);
        page = slot_of(pages, number);
        pages->used += page->number == 0;
        pages->mapped -= page->is_mapped;
        *page = (struct page){ number, op->target + offset, op->kind == IMPORT_MAP };
        pages->mapped += page->is_mapped;
    }
}

/* Leaves of a greedy map (formats.md 2.5). */
static uint64_t leaves_of(const struct import_op *op, uint64_t leaf_sizes)
{
    uint64_t leaves = 0;

    for (uint64_t offset = 0; offset < op->length; leaves++) {
        const unsigned fit = trailing_zeros((op->input + offset) | (op->target + offset));
        const unsigned room = log2_floor(op->length - offset);

        offset += bit(log2_floor(leaf_sizes & low_mask((fit < room ? fit : room) + 1)));
    }
    return leaves;
}

static void append(struct replay *replay, const struct import_op *op, struct bench_facts *facts)
{
    if ((replay->op_count & (replay->op_count - 1)) == 0) {
        const uint64_t capacity = replay->op_count ? 2 * replay->op_count : 1;

        replay->ops = realloc(replay->ops, capacity * sizeof(*replay->ops));
        CHECK(replay->ops != NULL);
    }
    replay->ops[replay->op_count++] = *op;
    pages_apply(&replay->pages, op);
    if (op->kind == IMPORT_MAP) {
        facts->leaves += (double)leaves_of(op, replay->table->format->leaf_sizes);
        facts->mapped_bytes += (double)op->length;
    }
}

/* Read the whole input into memory. */
static bool load(struct replay *replay, const char *path, struct bench_facts *facts, char *message)
{
    struct input *input = input_open(path, message, BENCH_MESSAGE_BYTES);
    struct import *import;
    struct import_op op;
    int result = -1;

    if (!input) return false;
    if (input_kind(input) != INPUT_TRACE && input_kind(input) != INPUT_LAYOUT) {
        snprintf(message, BENCH_MESSAGE_BYTES, "%s: neither a trace nor a layout", path);
        input_close(input);
        return false;
    }
    import = import_new(input);
    CHECK(import != NULL);
    while ((result = import_next(import, &op)) == 1) append(replay, &op, facts);
    if (result < 0) snprintf(message, BENCH_MESSAGE_BYTES, "%s", import_message(import));
    import_free(import);
    input_close(input);
    if (result == 0 && replay->op_count == 0) {
        snprintf(message, BENCH_MESSAGE_BYTES, "%s: nothing to replay", path);
        return false;
    }
    return result == 0;
}

static void tear_down(void *work)
{
    struct replay *replay = work;

    bench_table_close(replay->table);
    free(replay->pages.slots);
    free(replay->ops);
    free(replay);
}

static void reset(void *work)
{
    struct replay *replay = work;

    bench_table_clear(replay->table);
}

static uint64_t apply(struct pt *pt, const struct import_op *op)
{
    struct pt_gather gather;
    uint64_t bytes;
    int error;

    switch (op->kind) {
    case IMPORT_MAP:
        error = pt_map_range(pt, iova(op->input), hpa(op->target), op->length, PT_READ | PT_WRITE, &bytes);
        return (uint64_t)error | (bytes ^ op->length);
    case IMPORT_UNMAP:
        gather = pt_gather_empty();
        bytes = pt_unmap_range(pt, iova(op->input), op->length, &gather);
        pt_gather_sync(pt, &gather);
        return bytes ^ op->length;
    case IMPORT_CUT: return (uint64_t)pt_cut(pt, iova(op->input));
    }
    return 1;
}

static void run(void *work, uint64_t count)
{
    struct replay *replay = work;
    uint64_t failures = 0;

    for (uint64_t i = 0; i < count; i++) failures |= apply(&replay->table->pt, &replay->ops[i]);
    replay->table->failures |= failures;
}

static void *set_up(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    static const struct bench_shape page = { SHAPE_ONE, SHIFT_4K };
    const struct bench_case table = { .engine = bench->engine, .shape = &page, .is_cold = true };
    const struct replay_shape *shape = bench->shape;
    const char *root = getenv("MAPPROOF_SOURCE_DIR");
    struct replay *replay = calloc(1, sizeof(*replay));
    char path[BENCH_MESSAGE_BYTES / 2];

    CHECK(replay != NULL);
    snprintf(path, sizeof(path), "%s/%s", root ? root : MAPPROOF_SOURCE_DIR, shape->path);
    replay->table = bench_table_open(&table, facts, message);
    if (!replay->table) {
        free(replay);
        return NULL;
    }
    *facts = (struct bench_facts){ 0 };
    if (!load(replay, path, facts, message)) {
        tear_down(replay);
        return NULL;
    }
    reset(replay);
    run(replay, replay->op_count);
    facts->table_bytes = (uint64_t)replay->table->pool.peak_pages * POOL_PAGE_BYTES;
    reset(replay);
    facts->batch = replay->op_count;
    facts->leaves /= (double)replay->op_count;
    facts->mapped_bytes /= (double)replay->op_count;
    return replay;
}

struct mapped {
    const struct bench_format *format;
    uint64_t bytes;
};

static void add_span(void *context, const struct pt_item *item)
{
    struct mapped *mapped = context;

    if (!item->is_table) mapped->bytes += bench_item_span(mapped->format, item->level);
}

/* Each page that is left leads where its map said, at its first and last byte; and nothing else is mapped. */
static bool verify(void *work, char *message)
{
    const struct replay *replay = work;
    struct mapped mapped = { replay->table->format, 0 };

    for (uint64_t i = 0; i < replay->pages.capacity; i++) {
        const struct page *page = &replay->pages.slots[i];
        const uint64_t address = (page->number - 1) << SHIFT_4K;
        hpa_t first = { 0 };
        hpa_t last = { 0 };

        if (page->number == 0 || !page->is_mapped) continue;
        if (pt_iova_to_phys(&replay->table->pt, iova(address), &first) && first.value == page->target &&
            pt_iova_to_phys(&replay->table->pt, iova(address + POOL_PAGE_BYTES - 1), &last) &&
            last.value == page->target + POOL_PAGE_BYTES - 1)
            continue;
        snprintf(message, BENCH_MESSAGE_BYTES, "iova 0x%" PRIx64 " leads to 0x%" PRIx64 ", wanted 0x%" PRIx64, address,
                 first.value, page->target);
        return false;
    }
    pt_walk_items(&replay->table->pt, add_span, &mapped);
    if (mapped.bytes == replay->pages.mapped * POOL_PAGE_BYTES) return true;
    snprintf(message, BENCH_MESSAGE_BYTES, "0x%" PRIx64 " bytes are mapped in the end, wanted 0x%" PRIx64, mapped.bytes,
             replay->pages.mapped * POOL_PAGE_BYTES);
    return false;
}

static bool settle(void *work, char *message)
{
    const struct replay *replay = work;

    return bench_table_settle(replay->table, message);
}

static void spoil(void *work)
{
    const struct replay *replay = work;

    bench_table_spoil(replay->table);
}

static const struct bench_family replays = { set_up, run, reset, verify, settle, tear_down, NULL, spoil };

void bench_add_replays(struct bench_list *list)
{
    const struct engine *engine;

    for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) {
        for (unsigned i = 0; (engine = bench_engine_at(i)); i++) {
            struct bench_case *bench;

            if (!engine->cut && strstr(shapes[k].path, "/traces/")) continue; /* unmaps of a part need one */
            if (engine->is_vector || bench_format_find(engine->format)->granule_shift > SHIFT_4K) continue;
            bench = bench_list_add(list, "replay/%s/%s", shapes[k].name, engine->format);
            bench->family = &replays;
            bench->engine = engine;
            bench->shape = &shapes[k];
        }
    }
}
