/*
 * A table for hitless_test.c, and the hardware that walks it at every store of an observed engine (PT_OBSERVED): from
 * the root, and from table items that it cached before the operation, until the sync that covers them. In the late and
 * storm runs it also writes.
 */
#pragma once

#include "iommu/walker.h"
#include "pt/pt_kunit.h"
#include "world/table_walk.h"

enum { PROBES_MAX = 24, LIVE_MAX = 2048, CACHED_MAX = 2, POOL_PAGES = 4096, FEW = 64, EVERY = 8 };

/* ---- what hardware sees ------------------------------------------------------------------------------------------ */

enum fate { KEEPS, APPEARS, VANISHES };

struct sight {
    bool is_present;
    uint64_t address;
    unsigned rights; /* enum walk_right, then forced_coherent and encrypted */
};

struct probe {
    uint64_t va;
    enum fate fate;
    struct sight old, last; /* before the operation; when a walk from the root looked last */
    uint64_t new_address;   /* APPEARS */
    struct walk_start cached[CACHED_MAX];
    unsigned cached_count;
    bool was_written, was_reported;
};

enum mode { LOOK, LATE, STORM };

struct scene {
    struct fixture f; /* the hooks' context is the scene */
    const struct kunit_config *config;
    const char *action;
    struct physmem memory;
    struct iommu_table table; /* as hardware was told */
    uint64_t va, pa, granule;
    unsigned shift; /* of the leaf in question */
    bool has_below, has_above;
    struct probe probes[PROBES_MAX];
    unsigned probe_count, turn;
    bool is_visited[POOL_PAGES]; /* by a walk: the pages of live tables */
    enum mode mode;
    uint64_t moment, late_at;
    uint64_t live[LIVE_MAX]; /* moments of accesses to live tables */
    unsigned live_count;
    struct random random;
};

static struct scene *watched; /* the observer has no context */
static void (*intrude)(void); /* once, at the next word written: what another thread might do there */
static struct {
    uint64_t stores, walks, writes, marks, cases, refused;
    bool is_recorded; /* for scripts/matrix */
} total;

static bool read_pool(void *context, uint64_t address, uint64_t *value)
{
    struct scene *s = context;

    if (table_pool_covers(&s->f.pool, address)) s->is_visited[(address - s->f.pool.base) >> POOL_PAGE_SHIFT] = true;
    return physmem_read64(&s->memory, hpa(address), value);
}

static bool mark_pool(void *context, uint64_t address, uint64_t expected, uint64_t desired)
{
    struct scene *s = context;

    return physmem_cas64(&s->memory, hpa(address), expected, desired);
}

/* One walk; with `marks` it sets A and D. */
static struct walk walk_of(struct scene *s, uint64_t va, enum iommu_access access, const struct walk_start *start,
                           bool marks)
{
    const struct iommu_memory memory = { .read = read_pool, .cas = marks ? mark_pool : NULL, .context = s };
    struct walk walk;

    walk.input = va;
    walk.access = access;
    walk.start = start;
    walk_table(&s->table, &memory, &walk);
    total.walks++;
    return walk;
}

static void fail_at(const struct scene *s, const struct probe *probe, const char *why)
{
    watched = NULL;
    fail_msg("%s on %s, %s of 2^%u: 0x%llx at moment %llu: %s", s->config->name, s->f.pt.engine->name, s->action,
             s->shift, (unsigned long long)probe->va, (unsigned long long)s->moment, why);
}

static struct sight sight_of(const struct scene *s, const struct probe *probe, const struct iommu_leaf *leaf)
{
    const unsigned rights = (leaf->readable ? WALK_READ : 0u) | (leaf->writable ? WALK_WRITE : 0u) |
                            (leaf->forced_coherent ? 4u : 0) | (leaf->encrypted ? 8u : 0);

    if (leaf->fault == IOMMU_NOT_PRESENT || leaf->fault == IOMMU_CANONICAL) return (struct sight){ false, 0, 0 };
    if (leaf->fault != IOMMU_NO_FAULT) fail_at(s, probe, iommu_fault_name(leaf->fault));
    return (struct sight){ true, leaf->address, rights };
}

static bool is_same(const struct sight *a, const struct sight *b)
{
    return a->is_present == b->is_present && a->address == b->address && a->rights == b->rights;
}

/* Where `before` was seen, may `seen` be? */
static bool may_follow(const struct probe *probe, const struct sight *before, const struct sight *seen)
{
    if (is_same(before, seen)) return true;
    switch (probe->fate) {
    case KEEPS: return false;
    case APPEARS:
        return !before->is_present && seen->is_present && seen->address == probe->new_address &&
               (seen->rights & (WALK_READ | WALK_WRITE)) == (WALK_READ | WALK_WRITE);
    case VANISHES: return !seen->is_present;
    }
    return false;
}

static void judge(const struct scene *s, struct probe *probe, const struct iommu_leaf *leaf, bool is_from_root)
{
    const struct sight seen = sight_of(s, probe, leaf);

    if (!may_follow(probe, is_from_root ? &probe->last : &probe->old, &seen))
        fail_at(s, probe, is_from_root ? "a third translation" : "a third translation, by a cached table");
    if (is_from_root) probe->last = seen;
}

/* Table items that were dropped by a sync are not in probe->cached any more. */
static void look_at(struct scene *s, struct probe *probe, bool by_cached)
{
    struct walk walk = walk_of(s, probe->va, IOMMU_READ, NULL, false);

    judge(s, probe, &walk.leaf, true);
    for (unsigned i = 0; by_cached && i < probe->cached_count; i++) {
        walk = walk_of(s, probe->va, IOMMU_READ, &probe->cached[i], false);
        judge(s, probe, &walk.leaf, false);
    }
}

static void look_at_all(struct scene *s, bool by_cached)
{
    for (unsigned i = 0; i < s->probe_count; i++) look_at(s, &s->probes[i], by_cached);
}

/* A device writes somewhere, by the tables as they are or by a cached item. */
static void write_somewhere(struct scene *s)
{
    struct probe *probe = &s->probes[random_below(&s->random, s->probe_count)];
    const uint64_t choice = random_below(&s->random, probe->cached_count + 1);
    const struct walk_start *start = choice < probe->cached_count ? &probe->cached[choice] : NULL;
    const struct walk walk = walk_of(s, probe->va, IOMMU_WRITE, start, true);

    if (walk.leaf.fault == IOMMU_PERMISSION) return;
    judge(s, probe, &walk.leaf, !start);
    if (walk.leaf.fault != IOMMU_NO_FAULT) return;
    probe->was_written = true;
    total.writes++;
}

/* Something happens at a live table, or at one that no walk reached: there two probes a store, in turn, are enough
 * to see that it shows nowhere. By cached items: at the first FEW moments, at the hooks, and now and then in a long row
 * of stores, where each is like the one before. */
static void pass_moment(struct scene *s, bool is_live, bool is_change)
{
    s->moment++;
    if (s->mode == LATE) {
        if (s->moment == s->late_at) write_somewhere(s);
        return;
    }
    if (s->mode == STORM) {
        if (is_live) write_somewhere(s);
        return;
    }
    if (is_live && s->live_count < LIVE_MAX) s->live[s->live_count++] = s->moment;
    if (is_live && is_change) look_at_all(s, s->live_count < FEW || s->live_count % EVERY < 2);
    for (unsigned i = 0; !is_live && is_change && i < 2; i++) look_at(s, &s->probes[s->turn++ % s->probe_count], true);
}

/* A table that an item still leads to must not be on its way to the pool (formats.md 2.6d; invariant 24). */
static void check_linked_table(const struct scene *s, const pt_item_t *item)
{
    const struct table_pool *pool = &s->f.pool;
    struct pt_decoded decoded;
    uint64_t page = (table_pool_address(pool, item) - pool->base) >> POOL_PAGE_SHIFT;

    if (pool->state[page] == POOL_RETIRED) return;                     /* nobody gets there by items */
    s->f.pt.engine->decode(&s->f.pt, pt_sync_load(item), 1, &decoded); /* level 1: as a table, if it may be one */
    if (decoded.kind != PT_TABLE || !table_pool_covers(pool, decoded.address)) return;
    page = (decoded.address - pool->base) >> POOL_PAGE_SHIFT;
    if (pool->state[page] == POOL_RETIRED)
        fail_msg("%s on %s, %s of 2^%u: an item leads to a table that was given up", s->config->name,
                 s->f.pt.engine->name, s->action, s->shift);
}

void pt_sync_observe(const pt_item_t *item, bool is_written)
{
    struct scene *s = watched;

    if (intrude) {
        void (*const once)(void) = intrude;

        intrude = NULL;
        once();
    }
    if (!s) return;
    if (!is_written) check_linked_table(s, item);
    total.stores += is_written;
    if (is_written && total.is_recorded) recorder_event(&s->f.pt);
    pass_moment(s, s->is_visited[(table_pool_address(&s->f.pool, item) - s->f.pool.base) >> POOL_PAGE_SHIFT],
                is_written);
}

/* ---- hooks ------------------------------------------------------------------------------------------------------- */

/* Caches are good until here, and only what the range names goes. */
static void on_sync(void *context, iova_t first, iova_t last, unsigned freed)
{
    struct scene *s = context;

    (void)freed;
    if (watched) pass_moment(s, true, true);
    if (watched && s->mode == LOOK) look_at_all(s, true);
    for (unsigned i = 0; i < s->probe_count; i++) {
        if (s->probes[i].va >= first.value && s->probes[i].va <= last.value) s->probes[i].cached_count = 0;
    }
}

static void on_top_changed(void *context, hpa_t top, unsigned level)
{
    struct scene *s = context;

    s->table.root = top.value;
    s->table.top_level = level;
    if (watched) pass_moment(s, true, true);
    if (watched && s->mode == LOOK) look_at_all(s, true);
}

static void on_flush(void *context, hpa_t table, unsigned offset, unsigned length)
{
    (void)context, (void)table, (void)offset, (void)length;
}

/* ---- scenes ------------------------------------------------------------------------------------------------------ */

static uint64_t end_of(const struct scene *s)
{
    return s->va + low_mask(s->shift); /* inclusive */
}

/* A table with a read-only page below the place of the leaf, where that can be, and a writable one above. */
static inline void scene_open(struct scene *s, const struct engine *engine, const struct kunit_config *config,
                              unsigned shift)
{
    const uint64_t base = kunit_base(config, 0), place = kunit_place(config, shift);
    struct pt_info info;

    memset(s, 0, sizeof(*s));
    fixture_open(&s->f, config->format);
    s->f.hooks = (struct pt_hooks){ on_sync, on_top_changed, on_flush };
    s->f.config.context = s;
    kunit_configure(&s->f, config);
    assert_int_equal(pt_init(&s->f.pt, engine, &s->f.config), 0);
    physmem_init(&s->memory, 0);
    physmem_attach(&s->memory, hpa(s->f.pool.base), &s->f.pool);
    pt_get_info(&s->f.pt, &info);
    s->config = config;
    s->table = table_walk(&s->f.pt);
    s->table.set_accessed_dirty = true;
    s->granule = kunit_granule(&s->f);
    s->shift = shift;
    s->va = base + place;
    s->pa = shift + 1 <= config->oa_bits ? bit(shift) & low_mask(config->oa_bits) : 0;
    s->has_below = place >= s->granule;
    s->has_above = kunit_last(config) - place >= low_mask(shift) + s->granule;
    if (s->has_below && fixture_map(&s->f, s->va - s->granule, 5 * s->granule, s->granule, PT_READ) != 0)
        kunit_map_ok(&s->f, s->va - s->granule, 5 * s->granule, s->granule);
    if (s->has_above) kunit_map_ok(&s->f, end_of(s) + 1, 7 * s->granule, s->granule);
}

static inline void scene_close(struct scene *s)
{
    assert_int_equal(fixture_check(&s->f), 0);
    physmem_destroy(&s->memory);
    fixture_close(&s->f);
}
