/* The state of a world as a digest: world.h. */
#include "world/world_internal.h"

enum { NAMES_MAX = 256 };

/* Tables in the order in which a walk from the roots meets them. */
struct names {
    const struct world *world;
    uint64_t tables[NAMES_MAX];
    unsigned count;
    bool has_stale; /* something was asked for that is none of these */
};

struct naming {
    struct names *names;
    struct digest *digest;
    const struct world_table *table;
};

/* ---- names --------------------------------------------------------------------------------------------------------
 */

static void name_table(struct names *names, uint64_t address)
{
    if (names->count < NAMES_MAX) names->tables[names->count++] = address;
}

/*
 * What a cached item leads to after its table went off the tree keeps its address: which table will be given out there
 * next is then a part of the state.
 */
static uint64_t name_of_table(void *context, uint64_t address)
{
    struct names *names = context;
    const uint64_t table = align_down(address, POOL_PAGE_SHIFT);

    for (unsigned i = 0; i < names->count; i++) {
        if (names->tables[i] == table) return (uint64_t)i << POOL_PAGE_SHIFT | (address - table);
    }
    names->has_stale = true;
    return address;
}

static uint64_t name_of_item(void *context, uint64_t item, unsigned level, bool of_guest)
{
    struct names *names = context;
    const struct pt *pt = &names->world->tables[of_guest ? WORLD_S1_TABLE : 0].pt;
    struct pt_decoded decoded;

    pt->engine->decode(pt, item, level, &decoded);
    if (decoded.kind != PT_TABLE) return item;
    return (item & ~decoded.address_bits) ^ name_of_table(context, decoded.address);
}

/* ---- tables -------------------------------------------------------------------------------------------------------
 */

static void add_item(void *context, const struct pt_item *item)
{
    struct naming *naming = context;
    const struct pt *pt = &naming->table->pt;
    struct pt_decoded decoded;

    digest_add(naming->digest, item->va.value | item->level);
    digest_add(naming->digest, item->is_table ? item->bare : item->raw);
    if (!item->is_table) return;
    pt->engine->decode(pt, item->raw, item->level, &decoded);
    name_table(naming->names, decoded.address);
}

static void add_run(struct digest *set, const struct oracle_run *run)
{
    struct digest digest = digest_empty();

    digest_add(&digest, run->start);
    digest_add(&digest, run->length);
    digest_add(&digest, run->target);
    digest_add(&digest, run->shift | (uint64_t)run->prot << 8 | (uint64_t)run->dirty << 16);
    digest_join(set, digest);
}

/* What was removed and not flushed, and what walks may remember. */
static void add_pending(struct digest *digest, const struct world_table *table)
{
    struct digest left = digest_empty();

    digest_add(digest, table->gather.first.value);
    digest_add(digest, table->gather.last.value);
    digest_add(digest, table->gather.freed.count);
    digest_add(digest, table->removed_count | (uint64_t)table->removed_overflowed << 32);
    for (unsigned i = 0; i < table->removed_count; i++) {
        digest_add(digest, table->removed[i].first);
        digest_add(digest, table->removed[i].last);
    }
    for (unsigned i = 0; i < table->leftovers.count; i++) add_run(&left, &table->leftovers.runs[i]);
    digest_add(digest, left.lane[0]);
    digest_add(digest, left.lane[1] + table->leftovers.overflowed);
}

static void add_table(struct digest *digest, struct names *names, const struct world_table *table)
{
    struct naming naming = { names, digest, table };
    struct pt_info info;

    pt_get_info(&table->pt, &info);
    name_table(names, info.top.value);
    digest_add(digest, info.top_level | (uint64_t)info.features << 32);
    digest_add(digest, info.page_sizes);
    pt_walk_items(&table->pt, add_item, &naming);
    add_pending(digest, table);
}

/* ---- the rest -----------------------------------------------------------------------------------------------------
 */

static void add_sorted(struct digest *digest, const struct sorted *sorted)
{
    struct sorted_place place;

    digest_add(digest, sorted->count);
    for (bool more = sorted_first(sorted, &place); more; more = sorted_next(sorted, &place)) {
        const struct sorted_item *item = sorted_at(sorted, place);

        digest_add(digest, item->key);
        for (unsigned i = 0; i < 3; i++) digest_add(digest, item->word[i]);
    }
}

/* Not what it cost so far: that decides nothing. */
static void add_conversion(struct digest *digest, const struct world *world)
{
    const struct host_conversion *c = &world->conversion;
    const uint64_t numbers[] = {
        c->state,           c->is_answered,   c->request.gpa, c->request.length, c->request.to_private,
        c->request.engine,  c->request.after, c->at,          c->leaf_shift,     c->policy,
        c->reason,          c->pass,          c->moves,       c->move,           c->tries,
        c->faults,          c->must_wait,     c->is_small,    c->has_changed,    c->has_result,
        (uint64_t)c->error, (uint64_t)c->rmp, c->step_size,   c->leaked,
    };

    digest_add(digest, world->is_stalled | (uint64_t)world->held_count << 8);
    for (unsigned i = 0; i < world->held_count; i++) {
        digest_add(digest, world->held[i].head);
        digest_add(digest, world->held[i].operand[0]);
    }
    if (c->state != HOST_RUNNING) return;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) digest_add(digest, numbers[i]);
}

struct digest world_digest(const struct world *world)
{
    struct names names = { .world = world };
    const struct iommu_names named = { name_of_table, name_of_item, &names };
    struct digest digest = digest_empty(), part;

    for (unsigned i = 0; i < WORLD_TABLES; i++) {
        if (world->tables[i].exists) add_table(&digest, &names, &world->tables[i]);
    }
    add_sorted(&digest, &world->ownership.pages);
    add_sorted(&digest, &world->ownership.fixed);
    add_sorted(&digest, &world->ownership.notes);
    add_sorted(&digest, &world->fills.host);
    add_sorted(&digest, &world->fills.guest);
    for (unsigned i = 0; i < world->fills.pasid_count; i++) digest_add(&digest, world->fills.pasids[i]);
    digest_add(&digest, world->pasid_count | (uint64_t)world->pasids_overflowed << 32);
    digest_add(&digest, world->pool.allocations_left);
    add_conversion(&digest, world);
    part = iommu_digest(world->iommu, &named);
    digest_add(&digest, part.lane[0]);
    digest_add(&digest, part.lane[1]);
    if (names.has_stale) digest_add(&digest, (uint64_t)world->pool.free_heads[0] << 32 | world->pool.fresh);
    return digest_end(digest);
}
