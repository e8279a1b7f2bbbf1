/*
 * What a resize must leave, worked out on runs: no leaf of the range above the limit, and every aligned block that can
 * be one leaf is one (pt.h, pt_resize_range). Addresses and sizes only; no table is thought of but to count them.
 */
#include "base/bits.h"
#include "oracle/oracle_internal.h"

#include <errno.h>

/* Consecutive leaves with consecutive targets and the same attributes. */
struct strip {
    uint64_t start, length, target;
    unsigned rights;
};

struct planner {
    const struct oracle_table *table;
    struct oracle_resize *resize;
    uint64_t sizes;     /* to merge to */
    unsigned max_shift; /* leaves above it are split */
};

/* What of a leaf's prot its item shows. */
static unsigned rights_of(const struct oracle_table *table, unsigned prot)
{
    return prot & (table->config.format->prot_bits | (table->config.has_c_bit ? ORACLE_MMIO : 0));
}

static void note_change(struct planner *planner, const struct oracle_run *run)
{
    const struct sorted_item item = item_of_run(run);

    sorted_insert(&planner->resize->changes, &item);
}

/* ---- merges ------------------------------------------------------------------------------------------------------ */

/* The leaves over [start, start + length) become leaves of 2^shift: which tables go, and may the format do it? */
static void count_merge(struct planner *planner, uint64_t start, uint64_t length, unsigned shift)
{
    const struct oracle_format *format = planner->table->config.format;
    const unsigned item_shift = oracle_item_shift_of_leaf(format, shift);
    const unsigned smallest = format->granule_shift + format->index_bits;
    const uint64_t last = start + (length - 1);
    struct oracle_resize *resize = planner->resize;
    struct oracle_run run;

    if (shift > item_shift && !format->can_resize) resize->error = -EOPNOTSUPP;
    for (unsigned region = smallest; region <= item_shift; region += format->index_bits)
        resize->tables += length >> region;
    for (uint64_t from = start; oracle_next_run(planner->table, from, last, &run); from = oracle_run_last(&run) + 1) {
        /* Where a leaf is as large as a table's region there was no table. */
        for (unsigned region = smallest; region <= min_u64(item_shift, run.shift); region += format->index_bits)
            resize->tables -= run.length >> region;
        if (run.shift < item_shift) {
            if (!format->can_exchange) resize->error = -EOPNOTSUPP;
            resize->first = min_u64(resize->first, align_down(run.start, item_shift));
            resize->last = max_u64(resize->last, oracle_run_last(&run) | low_mask(item_shift));
            resize->items += (run.length >> item_shift) + 2;
        }
        if (oracle_run_last(&run) >= last) return;
    }
}

/* Is any leaf of the block dirty? */
static bool any_dirty(const struct oracle_table *table, uint64_t start, unsigned shift)
{
    struct oracle_leaf leaf;

    return oracle_next_dirty(table, start, start + low_mask(shift), &leaf);
}

/* The largest size that may start at the strip's start and ends in it; 0: none. */
static unsigned largest_fit(const struct planner *planner, const struct strip *strip)
{
    const unsigned aligned = trailing_zeros(strip->start | strip->target);
    const uint64_t fitting = planner->sizes & low_mask((unsigned)min_u64(aligned, log2_floor(strip->length)) + 1);

    return fitting ? log2_floor(fitting) : 0;
}

/* Deal with the leaves at the strip's start; returns how many bytes that were. */
static uint64_t plan_step(struct planner *planner, const struct strip *strip)
{
    const unsigned shift = largest_fit(planner, strip);
    struct oracle_run old, merged;
    struct oracle_piece piece;
    uint64_t alike;

    oracle_next_run(planner->table, strip->start, strip->start + (strip->length - 1), &old);
    if (shift < old.shift) return bit(old.shift); /* its size is not allowed any more, but small enough */
    piece = oracle_greedy(planner->sizes, strip->start, strip->target, strip->length);
    if (shift == old.shift) return min_u64(piece.length, old.length);
    alike = align_down(min_u64(piece.length, old.length), shift); /* whole blocks of equal leaves */
    merged = (struct oracle_run){ .start = strip->start,
                                  .length = alike ? alike : bit(shift),
                                  .target = strip->target,
                                  .shift = shift,
                                  .prot = old.prot,
                                  .dirty = alike ? old.dirty : any_dirty(planner->table, strip->start, shift) };
    note_change(planner, &merged);
    count_merge(planner, merged.start, merged.length, shift);
    return merged.length;
}

static void plan_strip(struct planner *planner, struct strip strip)
{
    while (strip.length > 0) {
        const uint64_t done = plan_step(planner, &strip);

        strip.start += done;
        strip.target += done;
        strip.length -= done;
    }
}

/* ---- splits ------------------------------------------------------------------------------------------------------ */

/* Leaves that are too large: all of the largest size that is allowed. */
static void plan_split(struct planner *planner, const struct oracle_run *old)
{
    const struct oracle_format *format = planner->table->config.format;
    const unsigned item_shift = oracle_item_shift_of_leaf(format, old->shift);
    struct oracle_run parts = *old;

    parts.shift = log2_floor(planner->sizes);
    planner->resize->splits = true;
    if (old->shift > item_shift && !format->can_resize) planner->resize->error = -EOPNOTSUPP;
    if (parts.shift < item_shift && !format->can_exchange) planner->resize->error = -EOPNOTSUPP;
    note_change(planner, &parts);
}

/* ---- the range --------------------------------------------------------------------------------------------------- */

/* Leave out leaves that reach over an edge of [first, last]. */
static void keep_inside(struct oracle_run *run, uint64_t first, uint64_t last)
{
    if (run->start < first) {
        run->start += bit(run->shift);
        run->target += bit(run->shift);
        run->length -= bit(run->shift);
    }
    if (run->length && oracle_run_last(run) > last) run->length -= bit(run->shift);
}

static void plan_range(struct planner *planner, uint64_t first, uint64_t last)
{
    struct strip strip = { 0 };
    struct oracle_run run;

    for (uint64_t from = first; oracle_next_run(planner->table, from, last, &run);) {
        const unsigned rights = rights_of(planner->table, run.prot);
        const uint64_t run_last = oracle_run_last(&run);

        if (run.shift > planner->max_shift) {
            plan_split(planner, &run);
            run.length = 0;
        } else {
            keep_inside(&run, first, last);
        }
        if (run.length && strip.length && strip.start + strip.length == run.start &&
            strip.target + strip.length == run.target && strip.rights == rights) {
            strip.length += run.length;
        } else {
            plan_strip(planner, strip);
            strip = (struct strip){ run.start, run.length, run.target, rights };
        }
        if (run_last >= last) break;
        from = run_last + 1;
    }
    plan_strip(planner, strip);
}

static int check(const struct oracle_table *table, const struct oracle_request *request, uint64_t max_leaf)
{
    const uint64_t granule = table->page_sizes & -table->page_sizes;
    int error;

    if (request->length == 0 || max_leaf == 0 || (max_leaf & (max_leaf - 1))) return -EINVAL;
    error = oracle_check_length(request->start, request->length);
    if (error) return error;
    if (max_leaf < granule || (request->start | request->length) & (granule - 1)) return -ENXIO;
    return oracle_level_covers(table, table->config.format->max_level, request->start,
                               request->start + (request->length - 1))
               ? 0
               : -ERANGE;
}

void oracle_resize_predict(const struct oracle_table *table, const struct oracle_request *request, uint64_t max_leaf,
                           struct oracle_resize *resize)
{
    const unsigned reach = oracle_item_shift(table->config.format, table->top_level + 1);
    struct planner planner = { .table = table, .resize = resize };

    sorted_reset(&resize->changes);
    resize->splits = false;
    resize->tables = resize->items = 0;
    resize->first = UINT64_MAX;
    resize->last = 0;
    resize->error = check(table, request, max_leaf);
    if (resize->error) return;
    planner.max_shift = log2_floor(max_leaf);
    planner.sizes = table->page_sizes & low_mask(planner.max_shift + 1) & low_mask(reach);
    if (planner.sizes) plan_range(&planner, request->start, request->start + (request->length - 1));
    if (resize->error) sorted_reset(&resize->changes); /* all or nothing */
}

void oracle_resize_free(struct oracle_resize *resize)
{
    sorted_free(&resize->changes);
}

/* ---- what happened ----------------------------------------------------------------------------------------------- */

bool oracle_resize_next(const struct oracle_table *table, const struct oracle_resize *resize, uint64_t from,
                        struct oracle_run *run, bool *splits)
{
    struct sorted_place place;
    struct oracle_leaf leaf = { 0 };

    if (resize->changes.count == 0 || !sorted_find_from(&resize->changes, from, &place)) return false;
    *run = run_of_item(sorted_at(&resize->changes, place));
    *splits = oracle_find(table, run->start, &leaf) && leaf.shift > run->shift;
    return true;
}

uint64_t oracle_tables_of_split(const struct oracle_format *format, unsigned from, unsigned to)
{
    uint64_t tables = 0;

    /* A table for every region of a table's size that the old leaf held and no new one does. */
    for (unsigned region = format->granule_shift; region <= from; region += format->index_bits) {
        if (region > to && region > format->granule_shift) tables += bit(from - region);
    }
    return tables;
}

static void replace(struct oracle_table *table, const struct oracle_run *run)
{
    oracle_unmap_commit(table, run->start, run->length);
    oracle_insert(table, run);
    table->mapped_bytes += run->length;
    table->leaves += run->length >> run->shift;
}

void oracle_resize_commit(struct oracle_table *table, const struct oracle_resize *resize)
{
    struct sorted_place place;
    bool more = sorted_first(&resize->changes, &place);

    for (; more; more = sorted_next(&resize->changes, &place)) {
        const struct oracle_run run = run_of_item(sorted_at(&resize->changes, place));

        replace(table, &run);
    }
}

void oracle_resize_commit_splits(struct oracle_table *table, const struct oracle_resize *resize, uint64_t end)
{
    struct sorted_place place;
    bool more = sorted_first(&resize->changes, &place);

    for (; more; more = sorted_next(&resize->changes, &place)) {
        struct oracle_run run = run_of_item(sorted_at(&resize->changes, place));
        struct oracle_leaf leaf;

        if (run.start >= end) return;
        if (!oracle_find(table, run.start, &leaf) || leaf.shift < run.shift) continue;
        run.length = min_u64(run.length, end - run.start);
        replace(table, &run);
    }
}
