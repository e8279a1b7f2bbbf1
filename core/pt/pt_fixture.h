/* What the tests of core/pt share: a pool, a table on it, and hooks that write down what they were told. */
#pragma once

#include "base/bits.h"
#include "base/check.h"
#include "base/test_main.h"
#include "pt/engine.h"
#include "pt/pt_check.h"
#include "pt/pt_sync.h"
#include "pt/recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what ran: scripts/matrix ------------------------------------------------------------------------------------ */

static struct recorder_set fixture_recorders;

/* A case is evidence of an operation if it did it at all. */
static int fixture_print_case(void **state)
{
    (void)state;
    recorder_print(&fixture_recorders, "unit", NUMBER_ONE, stdout);
    return 0;
}

/* With MAPPROOF_RAN set, what is done to the table is recorded. */
static inline int fixture_pt_init(struct pt *pt, const struct engine *engine, const struct pt_config *config)
{
    const int error = pt_init(pt, engine, config);

    if (error || !getenv("MAPPROOF_RAN")) return error;
    recorder_attach(&fixture_recorders, pt);
    if (!test_case_end) test_case_end = fixture_print_case;
    return 0;
}

/* So that no test can forget it. */
#define pt_init(pt, engine, config) fixture_pt_init(pt, engine, config)

struct fixture {
    struct table_pool pool;
    struct pt pt;
    struct pt_hooks hooks;
    struct pt_config config;
    unsigned syncs, freed, tops, flushes;
    iova_t first, last; /* of the last sync */
    unsigned top_level;
    unsigned flush_offset, flush_length; /* of the last flush */
    uint64_t mapped;                     /* by the last map of a test */
    unsigned seen[64];                   /* pt_check violations by number */
};

static void fixture_sync(void *context, iova_t first, iova_t last, unsigned freed)
{
    struct fixture *f = context;

    f->syncs++;
    f->freed += freed;
    f->first = first;
    f->last = last;
}

static void fixture_top_changed(void *context, hpa_t top, unsigned level)
{
    struct fixture *f = context;

    (void)top;
    f->tops++;
    f->top_level = level;
}

static void fixture_flush(void *context, hpa_t table, unsigned offset, unsigned length)
{
    struct fixture *f = context;

    (void)table;
    f->flushes++;
    f->flush_offset = offset;
    f->flush_length = length;
}

static inline void fixture_open(struct fixture *f, const char *engine)
{
    memset(f, 0, sizeof(*f));
    table_pool_init(&f->pool, UINT64_C(0x100000000), 4096);
    f->hooks = (struct pt_hooks){ fixture_sync, fixture_top_changed, fixture_flush };
    f->config = engine_default_config(engine_find(engine));
    f->config.pool = &f->pool;
    f->config.hooks = &f->hooks;
    f->config.context = f;
}

static inline void fixture_init(struct fixture *f, const char *engine)
{
    fixture_open(f, engine);
    CHECK(pt_init(&f->pt, engine_find(engine), &f->config) == 0);
}

static void fixture_violation(void *context, const struct pt_violation *violation)
{
    struct fixture *f = context;

    f->seen[violation->invariant]++;
}

/* Run pt_check; returns the number of violations, counted by number in f->seen. */
static inline unsigned fixture_check(struct fixture *f)
{
    const struct pt_check_report report = { .violation = fixture_violation, .context = f };

    memset(f->seen, 0, sizeof(f->seen));
    return pt_check(&f->pt, &report);
}

/* Every table gone after deinit, every free page zero. */
static inline void fixture_close(struct fixture *f)
{
    pt_deinit(&f->pt);
    CHECK(f->pool.live_pages == 0);
    CHECK(table_pool_find_dirty_free_page(&f->pool) == POOL_NO_PAGE);
    table_pool_destroy(&f->pool);
}

/* Returns the errno; f->mapped is how far it got. */
static inline int fixture_map(struct fixture *f, uint64_t va, uint64_t pa, uint64_t length, unsigned prot)
{
    f->mapped = 7; /* must be set, not added to */
    return pt_map_range(&f->pt, iova(va), hpa(pa), length, prot, &f->mapped);
}

static inline void fixture_map_ok(struct fixture *f, uint64_t va, uint64_t pa, uint64_t length, unsigned prot)
{
    assert_int_equal(fixture_map(f, va, pa, length, prot), 0);
    assert_int_equal(f->mapped, length);
}

/* Unmap with a gather of its own, synced. */
static inline uint64_t fixture_unmap(struct fixture *f, uint64_t va, uint64_t length)
{
    struct pt_gather gather = pt_gather_empty();
    const uint64_t removed = pt_unmap_range(&f->pt, iova(va), length, &gather);

    pt_gather_sync(&f->pt, &gather);
    return removed;
}

/* UINT64_MAX: nowhere. */
static inline uint64_t fixture_phys(const struct fixture *f, uint64_t va)
{
    hpa_t result = { 0 };

    return pt_iova_to_phys(&f->pt, iova(va), &result) ? result.value : UINT64_MAX;
}

/* The item that translates `va` where the walk ends, or NULL. */
struct fixture_item {
    uint64_t va;
    unsigned level;
    bool found;
    uint64_t raw;
};

static void fixture_match(void *context, const struct pt_item *item)
{
    struct fixture_item *wanted = context;

    if (item->va.value != wanted->va || item->level != wanted->level) return;
    wanted->found = true;
    wanted->raw = item->raw;
}

/* The raw item at `level` whose first address is `va`; 0 where it is empty. */
static inline uint64_t fixture_raw(struct fixture *f, unsigned level, uint64_t va)
{
    struct fixture_item wanted = { .va = va, .level = level };

    pt_walk_items(&f->pt, fixture_match, &wanted);
    return wanted.raw;
}

static void fixture_mix(void *context, const struct pt_item *item)
{
    uint64_t *hash = context;
    const uint64_t words[] = { item->level, item->va.value, item->bare };

    for (unsigned i = 0; i < 3; i++) *hash = (*hash ^ words[i]) * UINT64_C(0x100000001b3);
}

/* A hash of every item but for the addresses of tables. */
static inline uint64_t fixture_fingerprint(struct fixture *f)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    pt_walk_items(&f->pt, fixture_mix, &hash);
    return hash;
}

/* A hash of every byte of every table there ever was. */
static inline uint64_t fixture_image(const struct fixture *f)
{
    const uint64_t *words = table_pool_pointer(&f->pool, f->pool.base);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < (size_t)f->pool.fresh * (POOL_PAGE_BYTES / 8); i++)
        hash = (hash ^ words[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Can dirtiness be read from this table? */
static inline bool fixture_reads_dirty(const struct fixture *f)
{
    const struct engine *engine = f->pt.engine;

    return engine->has_dirty && (!(engine->features & PT_HARDWARE_DIRTY) || f->pt.features & PT_HARDWARE_DIRTY);
}

/* A pt_dirty_report into uint64_t[3]: how many leaves, first iova and length of the last. */
static inline void fixture_count_dirty(void *context, iova_t start, uint64_t length)
{
    uint64_t *seen = context;

    seen[0]++;
    seen[1] = start.value;
    seen[2] = length;
}

/* Where that item is, to corrupt it. Walks by hand so that tests may break anything. */
static inline pt_item_t *fixture_slot(struct fixture *f, unsigned level, uint64_t va)
{
    struct pt_info info;
    pt_item_t *table;

    pt_get_info(&f->pt, &info);
    table = table_pool_pointer(&f->pool, info.top.value);
    for (unsigned at = info.top_level; at > level; at--) {
        struct pt_decoded decoded;

        f->pt.engine->decode(&f->pt, table[va >> (12 + 9 * at) & 511], at, &decoded);
        CHECK(decoded.kind == PT_TABLE);
        table = table_pool_pointer(&f->pool, decoded.address);
    }
    return &table[va >> (12 + 9 * level) & 511];
}
