/* The structural invariants of formats.md 3, read through the format's decode hook. See pt_check.h. */
#include "pt/pt_check.h"

#include "base/bits.h"
#include "base/check.h"
#include "pt/engine.h"
#include "pt/pt_sync.h"

#include <stdlib.h>

struct check {
    const struct pt *pt;
    const struct pt_geometry *geometry;
    const struct pt_check_report *report;
    uint8_t *seen; /* per pool page: reached from the top */
    unsigned violations;
    uint32_t tables; /* reached */
};

/* Where the walk is. */
struct place {
    const pt_item_t *table;
    unsigned level;
    unsigned index;
    uint64_t va;
    uint64_t item;
};

static void fail(struct check *check, unsigned invariant, const struct place *place, const char *text)
{
    const struct pt_violation violation = { invariant, place->level, iova(place->va), place->item, text };

    check->violations++;
    if (check->report && check->report->violation) check->report->violation(check->report->context, &violation);
}

static unsigned item_shift(const struct check *check, unsigned level)
{
    return check->geometry->granule_shift + check->geometry->index_bits * level;
}

/* Bits that differ from what the format writes, classed. */
static void check_table_bits(struct check *check, const struct place *place, const struct pt_decoded *decoded)
{
    const uint64_t different = (place->item ^ decoded->canonical) & ~decoded->software_bits;

    if (different & decoded->level_bits) fail(check, 5, place, "the next level of a table item is not its level");
    if (different & check->pt->c_bit_mask) fail(check, 15, place, "a table item without the C-bit");
    if (different & decoded->canonical & ~decoded->level_bits & ~check->pt->c_bit_mask)
        fail(check, 14, place, "a table item lacks a fixed permission bit");
    if (different & ~decoded->canonical & ~decoded->level_bits)
        fail(check, 16, place, "a reserved bit is set in a table item");
}

static void check_leaf_size(struct check *check, const struct place *place, const struct pt_decoded *decoded)
{
    const unsigned table_shift = item_shift(check, place->level + 1);

    if (check->geometry->leaf_sizes(place->level) & bit(decoded->shift)) {
        if (check->geometry->optional_sizes(check->pt) & bit(decoded->shift))
            fail(check, 10, place, "a leaf size that this table lacks the feature for");
        return;
    }
    if (check->geometry->leaf_sizes(place->level) == 0)
        fail(check, 2, place, "a leaf at a level that has none");
    else if (decoded->shift >= table_shift || decoded->shift == item_shift(check, place->level))
        fail(check, 13, place, "a leaf of a size that must not exist, or that covers a whole table");
    else
        fail(check, 10, place, "a leaf size that this level does not have");
}

static void check_leaf_bits(struct check *check, const struct place *place, const struct pt_decoded *decoded)
{
    const uint64_t different = place->item ^ decoded->canonical;
    const uint64_t bytes = bit(decoded->shift);

    if (different & decoded->level_bits) fail(check, 5, place, "the size is encoded where it is the item's own");
    if (different & decoded->address_bits) fail(check, 9, place, "the output address is not a multiple of the leaf");
    if (different & ~decoded->level_bits & ~decoded->address_bits)
        fail(check, 16, place, "a bit is set that leaves of this level do not have");
    if (decoded->address > low_mask(check->pt->oa_bits) || bytes - 1 > low_mask(check->pt->oa_bits) - decoded->address)
        fail(check, 9, place, "the leaf ends beyond the output width");
    if (decoded->reserved) fail(check, 16, place, "a reserved bit is set in a leaf");
    if (decoded->missing)
        fail(check, check->pt->features & PT_FORCE_COHERENCE ? 15 : 14, place,
             "a leaf lacks a bit that all leaves have");
}

static void check_leaf_place(struct check *check, const struct place *place, const struct pt_decoded *decoded)
{
    const uint64_t last = place->va + low_mask(decoded->shift);
    const unsigned used_bits = check->pt->va_bits;

    if (used_bits < 64 && last >> used_bits) fail(check, 35, place, "a leaf beyond the VA width");
    if (check->pt->features & PT_SIGN_EXTEND && (place->va ^ last) >> (used_bits - 1))
        fail(check, 8, place, "a leaf across the halves of a sign-extended table");
}

/* All items of the run that starts at `place`. Returns how many items to skip. */
static unsigned check_run(struct check *check, const struct place *place, const struct pt_decoded *decoded)
{
    const unsigned shift = item_shift(check, place->level);
    const unsigned count = decoded->shift > shift ? 1u << (decoded->shift - shift) : 1;
    const uint64_t may_differ = decoded->hardware_bits;

    if (decoded->shift >= item_shift(check, place->level + 1)) return 1;
    if (place->index & (count - 1)) {
        fail(check, 11, place, "a run that does not start at a multiple of its length");
        return 1;
    }
    for (unsigned i = 1; i < count; i++) {
        const uint64_t other = pt_sync_load(&place->table[place->index + i]);
        struct pt_decoded also;

        check->pt->engine->decode(check->pt, other, place->level, &also);
        if (also.kind != PT_LEAF || also.shift != decoded->shift || also.address != decoded->address) {
            fail(check, 11, place, "a run with an item missing");
            return i;
        }
        if (check->geometry->run_items_advance) {
            if (also.item_address != decoded->address + ((uint64_t)i << shift))
                fail(check, 12, place, "addresses of a run do not advance by its items");
            if ((other ^ place->item) & ~may_differ & ~decoded->address_bits)
                fail(check, 12, place, "items of a run differ");
        } else if ((other ^ place->item) & ~may_differ) {
            fail(check, 12, place, "items of a run differ");
        }
    }
    return count;
}

static void check_items(struct check *check, const pt_item_t *table, unsigned level, uint64_t va, unsigned count);

static void check_child(struct check *check, const struct place *place, const struct pt_decoded *decoded)
{
    const struct table_pool *pool = check->pt->pool;
    const unsigned table_shift = check->geometry->index_bits + 3;
    uint64_t page;

    check_table_bits(check, place, decoded);
    if (!is_aligned(decoded->address, table_shift) || !table_pool_is_live(pool, decoded->address)) {
        fail(check, 3, place, "a table item points to no live table");
        return;
    }
    page = (decoded->address - pool->base) >> POOL_PAGE_SHIFT;
    if (check->seen[page]) {
        fail(check, 3, place, "a table is reached twice");
        return;
    }
    check->seen[page] = 1;
    check->tables++;
    check_items(check, table_pool_pointer(pool, decoded->address), place->level - 1, place->va,
                1u << check->geometry->index_bits);
}

/* Items [0, count) of one table. Recursion is bounded by the level. */
static void check_items(struct check *check, const pt_item_t *table, unsigned level, uint64_t va, unsigned count)
{
    unsigned step;

    for (unsigned i = 0; i < count; i += step) {
        struct place place = { table, level, i, va + ((uint64_t)i << item_shift(check, level)), 0 };
        struct pt_decoded decoded;

        step = 1;
        if (i % 8 == 0 && i + 8 <= count && pt_sync_all_empty(&table[i], 8)) {
            step = 8; /* most items of most tables */
            continue;
        }
        place.item = pt_sync_load(&table[i]);
        if (place.item == 0) continue;
        check->pt->engine->decode(check->pt, place.item, level, &decoded);
        if (decoded.kind == PT_EMPTY) {
            fail(check, 1, &place, "an empty item that is not zero");
        } else if (decoded.kind == PT_TABLE) {
            check_child(check, &place, &decoded);
        } else {
            check_leaf_size(check, &place, &decoded);
            check_leaf_bits(check, &place, &decoded);
            check_leaf_place(check, &place, &decoded);
            step = check_run(check, &place, &decoded);
        }
    }
}

static void check_top(struct check *check, const struct pt_info *info)
{
    const unsigned shift = item_shift(check, info->top_level);
    const unsigned bits_here = check->pt->va_bits > shift ? check->pt->va_bits - shift : 0;
    const unsigned used = 1u << min_u64(bits_here, check->geometry->index_bits + check->geometry->top_extra_bits);
    const unsigned page_items = POOL_PAGE_BYTES / sizeof(pt_item_t);
    const unsigned allocated = (used + page_items - 1) & ~(page_items - 1); /* nothing else is in its last page */
    const struct table_pool *pool = check->pt->pool;
    struct place place = { NULL, info->top_level, 0, 0, 0 };

    if (info->top_level > check->geometry->level_max) fail(check, 6, &place, "the top level is above the format's");
    if (!table_pool_is_live(pool, info->top.value)) {
        fail(check, 3, &place, "the top is no live table");
        return;
    }
    place.table = table_pool_pointer(pool, info->top.value);
    check->seen[(info->top.value - pool->base) >> POOL_PAGE_SHIFT] = 1;
    check->tables++;
    check_items(check, place.table, info->top_level, 0, used);
    for (place.index = used; place.index < allocated; place.index++) {
        place.item = pt_sync_load(&place.table[place.index]);
        if (place.item) fail(check, 7, &place, "an item of the top table beyond the VA width");
    }
}

/* 34: sizes of reachable levels only, below the output width. */
static void check_page_sizes(struct check *check, const struct pt_info *info)
{
    const struct place place = { NULL, info->top_level, 0, 0, info->page_sizes };
    uint64_t possible = 0;

    for (unsigned level = 0; level <= check->geometry->level_max; level++) {
        const bool is_reachable =
            info->features & PT_DYNAMIC_TOP ? item_shift(check, level) < info->va_bits : level <= info->top_level;

        if (is_reachable) possible |= check->geometry->leaf_sizes(level);
    }
    possible &= ~check->geometry->optional_sizes(check->pt);
    if (info->page_sizes & ~(possible & low_mask(info->oa_bits)))
        fail(check, 34, &place, "page_sizes has a size that the table cannot hold");
}

unsigned pt_check(const struct pt *pt, const struct pt_check_report *report)
{
    struct check check = { .pt = pt, .geometry = &pt->engine->geometry, .report = report };
    const unsigned elsewhere = report ? report->tables_elsewhere : 0;
    const struct place nowhere = { 0 };
    struct pt_info info;

    check.seen = calloc((size_t)pt->pool->fresh + 1, 1);
    CHECK(check.seen != NULL);
    pt_get_info(pt, &info);
    check_page_sizes(&check, &info);
    check_top(&check, &info);
    if (table_pool_live_tables(pt->pool) != check.tables + elsewhere)
        fail(&check, 4, &nowhere, "live tables and reachable tables differ in number");
    if (report && report->reached) *report->reached = check.tables;
    free(check.seen);
    return check.violations;
}
