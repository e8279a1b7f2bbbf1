/*
 * What does a map cost that lies beyond the reach of the root? It puts 1, 2 or 3 roots on top of the present one, tells
 * the hardware once, and makes the tables down to its page. Trees of their own, one page mapped in each, stand ready;
 * an operation is one map of one page in one of them. 0_levels needs no new root and is there to be compared with.
 *
 * amdv1 grows in its default configuration, from level 2 up to 5; fake is configured to, from level 1 up to 4.
 */
#include "bench_table.h"

#include "base/bits.h"
#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { GROWTH_TREES = 32, GROWTH_LEVELS_MAX = 3, GROWTH_POOL_PAGES = 1 << 12 };

#define TARGET_KEPT  (UINT64_C(1) << 44) /* of the page that is there before */
#define TARGET_ADDED (UINT64_C(3) << 44)

/* What a case's `shape` points to. */
static const unsigned levels_grown[GROWTH_LEVELS_MAX + 1] = { 0, 1, 2, 3 };

struct tree {
    struct pt pt;
    unsigned changes; /* of the root, since it was planted */
    unsigned level;   /* told with the last of them */
};

struct growth {
    const struct engine *engine;
    struct table_pool pool;
    struct tree trees[GROWTH_TREES];
    unsigned levels;
    unsigned top_level; /* before */
    iova_t kept, added;
    uint64_t page_bytes;
    uint64_t failures;
    uint32_t pages_settled;
};

static void top_changed(void *context, hpa_t top, unsigned level)
{
    struct tree *tree = context;

    (void)top;
    tree->changes++;
    tree->level = level;
}

static uint64_t map_page(struct growth *growth, struct tree *tree, iova_t start, uint64_t target)
{
    uint64_t mapped;
    const int error = pt_map_range(&tree->pt, start, hpa(target), growth->page_bytes, PT_READ | PT_WRITE, &mapped);

    return (uint64_t)error | (mapped ^ growth->page_bytes);
}

/* False: the format's top never grows. */
static bool config_that_grows(const struct engine *engine, struct pt_config *config)
{
    *config = engine_default_config(engine);
    if (config->features & PT_DYNAMIC_TOP) return true;
    if (!(engine->features & PT_DYNAMIC_TOP)) return false;
    config->features = PT_DYNAMIC_TOP | PT_FLUSH_RANGE;
    config->va_bits = engine->va_bits_max;
    config->top_level = 1;
    return true;
}

static void plant(struct growth *growth)
{
    static const struct pt_hooks hooks = { .top_changed = top_changed };
    struct pt_config config;

    CHECK(config_that_grows(growth->engine, &config));
    config.pool = &growth->pool;
    config.hooks = &hooks;
    for (unsigned i = 0; i < GROWTH_TREES; i++) {
        struct tree *tree = &growth->trees[i];

        config.context = tree;
        tree->changes = 0;
        growth->failures |= (uint64_t)pt_init(&tree->pt, growth->engine, &config);
        growth->failures |= map_page(growth, tree, growth->kept, TARGET_KEPT);
    }
}

static void fell(struct growth *growth)
{
    for (unsigned i = 0; i < GROWTH_TREES; i++) pt_deinit(&growth->trees[i].pt);
}

static void run(void *work, uint64_t count)
{
    struct growth *growth = work;
    uint64_t failures = 0;

    for (uint64_t i = 0; i < count; i++) failures |= map_page(growth, &growth->trees[i], growth->added, TARGET_ADDED);
    growth->failures |= failures;
}

static void reset(void *work)
{
    struct growth *growth = work;

    fell(growth);
    plant(growth);
}

static void *set_up(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    const struct bench_format *format = bench_format_find(bench->engine->format);
    struct growth *growth = calloc(1, sizeof(*growth));
    struct pt_config config;

    CHECK(growth != NULL);
    growth->engine = bench->engine;
    growth->levels = *(const unsigned *)bench->shape;
    growth->page_bytes = bit(format->granule_shift);
    CHECK(config_that_grows(bench->engine, &config));
    growth->top_level = config.top_level;
    growth->kept = iova(0);
    /* The last page below what the old root reaches, or the first that needs so many more roots. */
    growth->added = iova(growth->levels ? bit(bench_level_shift(format, growth->top_level + growth->levels))
                                        : bit(bench_level_shift(format, growth->top_level + 1)) - growth->page_bytes);
    table_pool_init(&growth->pool, 0, GROWTH_POOL_PAGES);
    plant(growth);
    growth->pages_settled = growth->pool.live_pages;
    run(growth, GROWTH_TREES); /* their memory is touched once */
    facts->table_bytes = (uint64_t)growth->pool.live_pages / GROWTH_TREES * POOL_PAGE_BYTES;
    bench_facts_add(facts, "tables_made", (double)(growth->pool.live_pages - growth->pages_settled) / GROWTH_TREES);
    reset(growth);
    facts->batch = GROWTH_TREES;
    facts->leaves = 1;
    facts->mapped_bytes = (double)growth->page_bytes;
    if (growth->failures == 0) return growth;
    snprintf(message, BENCH_MESSAGE_BYTES, "set-up: a tree could not be planted or grown");
    table_pool_destroy(&growth->pool);
    free(growth);
    return NULL;
}

static void count_leaf_items(void *context, const struct pt_item *item)
{
    uint64_t *count = context;

    *count += !item->is_table;
}

static bool leads_to(const struct growth *growth, const struct tree *tree, iova_t start, uint64_t target)
{
    const uint64_t last = growth->page_bytes - 1;
    hpa_t found = { 0 };

    return pt_iova_to_phys(&tree->pt, start, &found) && found.value == target &&
           pt_iova_to_phys(&tree->pt, iova(start.value + last), &found) && found.value == target + last;
}

/* Both pages are there and nothing else, the root has the level it needs, and the hardware heard of it once. */
static bool verify(void *work, char *message)
{
    const struct growth *growth = work;
    const unsigned level = growth->top_level + growth->levels;

    for (unsigned i = 0; i < GROWTH_TREES; i++) {
        const struct tree *tree = &growth->trees[i];
        uint64_t items = 0;
        struct pt_info info;

        pt_get_info(&tree->pt, &info);
        pt_walk_items(&tree->pt, count_leaf_items, &items);
        if (items == 2 && info.top_level == level && tree->changes == (growth->levels > 0) &&
            (growth->levels == 0 || tree->level == level) && leads_to(growth, tree, growth->kept, TARGET_KEPT) &&
            leads_to(growth, tree, growth->added, TARGET_ADDED))
            continue;
        snprintf(message, BENCH_MESSAGE_BYTES,
                 "tree %u: root of level %u, wanted %u; %" PRIu64 " leaf items, wanted 2; %u changes of the root", i,
                 info.top_level, level, items, tree->changes);
        return false;
    }
    return true;
}

static bool settle(void *work, char *message)
{
    const struct growth *growth = work;

    if (growth->failures == 0 && growth->pool.live_pages == growth->pages_settled) return true;
    snprintf(message, BENCH_MESSAGE_BYTES, "a call failed, or tables are left: %" PRIu32 " pages, %" PRIu32 " before",
             growth->pool.live_pages, growth->pages_settled);
    return false;
}

static void tear_down(void *work)
{
    struct growth *growth = work;

    fell(growth);
    table_pool_destroy(&growth->pool);
    free(growth);
}

static void spoil(void *work)
{
    const struct growth *growth = work;

    CHECK(bench_spoil_item(&growth->trees[GROWTH_TREES - 1].pt, &growth->pool));
}

static const struct bench_family growths = { set_up, run, reset, verify, settle, tear_down, NULL, spoil };

void bench_add_growths(struct bench_list *list)
{
    const struct engine *engine;

    for (unsigned i = 0; (engine = bench_engine_at(i)); i++) {
        struct pt_config config;

        if (!config_that_grows(engine, &config)) continue;
        for (unsigned levels = 0; levels <= GROWTH_LEVELS_MAX; levels++) {
            struct bench_case *bench = bench_list_add(list, "growth/%s/%u_level%s/%s", engine->format, levels,
                                                      levels == 1 ? "" : "s", bench_state_name(engine, true));

            bench->family = &growths;
            bench->engine = engine;
            bench->shape = &levels_grown[levels];
            bench->is_cold = true;
        }
    }
}
