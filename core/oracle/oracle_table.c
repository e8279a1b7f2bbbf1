/* The runs of a table: looking them up, and what map and unmap must do. See oracle.h. */
#include "base/bits.h"
#include "oracle/oracle_internal.h"

#include <errno.h>

/* ---- looking up ------------------------------------------------------------------------------------------------ */

/* The run over `address`, or the first one after it. False: neither. */
static bool seek(const struct oracle_table *table, uint64_t address, struct sorted_place *place)
{
    const struct sorted_item *item;

    if (!sorted_find(&table->runs, address, place)) return sorted_first(&table->runs, place);
    item = sorted_at(&table->runs, *place);
    if (address - item->key < item->word[0]) return true;
    return sorted_next(&table->runs, place);
}

bool oracle_find(const struct oracle_table *table, uint64_t address, struct oracle_leaf *leaf)
{
    struct sorted_place place;
    struct oracle_run run;
    uint64_t offset;

    if (!sorted_find(&table->runs, address, &place)) return false;
    run = run_of_item(sorted_at(&table->runs, place));
    if (address - run.start >= run.length) return false;
    offset = align_down(address - run.start, run.shift);
    *leaf = (struct oracle_leaf){ run.start + offset, run.target + offset, run.shift, run.prot, run.dirty };
    return true;
}

/* Keep the leaves of *run that overlap [from, last]; there is at least one. */
static void clip(struct oracle_run *run, uint64_t from, uint64_t last)
{
    if (from > run->start) {
        const uint64_t cut = align_down(from - run->start, run->shift);

        run->start += cut;
        run->target += cut;
        run->length -= cut;
    }
    if (last < oracle_run_last(run)) run->length = align_down(last - run->start, run->shift) + bit(run->shift);
}

bool oracle_next_run(const struct oracle_table *table, uint64_t from, uint64_t last, struct oracle_run *run)
{
    struct sorted_place place;

    if (!seek(table, from, &place)) return false;
    *run = run_of_item(sorted_at(&table->runs, place));
    if (run->start > last) return false;
    clip(run, from, last);
    return true;
}

bool oracle_any(const struct oracle_table *table, uint64_t first, uint64_t last, uint64_t *where)
{
    struct sorted_place place;
    const struct sorted_item *item;

    if (!seek(table, first, &place)) return false;
    item = sorted_at(&table->runs, place);
    if (item->key > last) return false;
    *where = max_u64(item->key, first);
    return true;
}

/* ---- checks ---------------------------------------------------------------------------------------------------- */

int oracle_check_length(uint64_t start, uint64_t length)
{
    if (length == 0) return -EINVAL;
    return start + (length - 1) < start ? -EOVERFLOW : 0;
}

bool oracle_level_covers(const struct oracle_table *table, unsigned level, uint64_t first, uint64_t last)
{
    const unsigned top = oracle_item_shift(table->config.format, level + 1);
    const unsigned bits = table->config.grows ? (unsigned)min_u64(top, table->config.va_bits) : table->config.va_bits;

    if (table->config.upper_half) return first >= ~low_mask(bits) && last >= first;
    if (!table->config.sign_extend) return last <= low_mask(bits);
    return last <= low_mask(bits - 1) || first >= ~low_mask(bits - 1);
}

/* formats.md 2.3 with the clean answers of formats.md 7. */
int oracle_check_prot(const struct oracle_table *table, unsigned prot, uint64_t target)
{
    if (!(prot & (ORACLE_READ | ORACLE_WRITE))) return -EINVAL;
    if (target > low_mask(table->config.oa_bits)) return -ERANGE;
    return table->config.needs_write && !(prot & ORACLE_WRITE) ? -EINVAL : 0;
}

int oracle_check_place(const struct oracle_table *table, const struct oracle_request *request)
{
    const uint64_t granule = table->page_sizes & -table->page_sizes;
    const uint64_t oa_last = low_mask(table->config.oa_bits);
    int error;

    if (request->target > oa_last) return -ERANGE;
    error = oracle_check_length(request->start, request->length);
    if (error) return error;
    if ((request->start | request->target | request->length) & (granule - 1)) return -ENXIO;
    return request->length - 1 > oa_last - request->target ? -ERANGE : 0;
}

static int check_map(const struct oracle_table *table, const struct oracle_request *request)
{
    int error = oracle_check_prot(table, request->prot, request->target);

    if (!error) error = oracle_check_place(table, request);
    if (error) return error;
    return oracle_level_covers(table, table->config.format->max_level, request->start,
                               request->start + (request->length - 1))
               ? 0
               : -ERANGE;
}

/* ---- map ------------------------------------------------------------------------------------------------------- */

struct oracle_piece oracle_greedy(uint64_t page_sizes, uint64_t start, uint64_t target, uint64_t length)
{
    const unsigned aligned = trailing_zeros(start | target);
    const uint64_t fitting = page_sizes & low_mask(min_u64(aligned, log2_floor(length)) + 1);
    const unsigned shift = log2_floor(fitting);
    const uint64_t larger = page_sizes & ~low_mask(shift + 1) & low_mask(trailing_zeros(start ^ target) + 1);
    struct oracle_piece piece = { shift, align_down(length, shift) };

    /* The next larger size that both addresses reach together starts at the next multiple of it, if it fits there. */
    if (larger) {
        const uint64_t size = larger & -larger;
        const uint64_t to_start = -start & (size - 1);

        if (to_start < length && length - to_start >= size && to_start > 0) piece.length = to_start;
    }
    return piece;
}

uint64_t oracle_leaf_boundary(const struct oracle_table *table, const struct oracle_request *request, uint64_t where)
{
    const uint64_t goal = where - request->start;
    uint64_t done = 0;

    for (;;) {
        const struct oracle_piece piece =
            oracle_greedy(table->page_sizes, request->start + done, request->target + done, request->length - done);

        if (goal - done < piece.length) return done + align_down(goal - done, piece.shift);
        done += piece.length;
    }
}

unsigned oracle_level_needed(const struct oracle_table *table, const struct oracle_request *request, unsigned shift)
{
    const struct oracle_format *format = table->config.format;
    const unsigned leaf_level = (shift - format->granule_shift) / format->index_bits;
    unsigned level = leaf_level > table->top_level ? leaf_level : table->top_level;

    while (!oracle_level_covers(table, level, request->start, request->start + (request->length - 1))) level++;
    return level;
}

static unsigned level_needed(const struct oracle_table *table, const struct oracle_request *request)
{
    const struct oracle_piece first =
        oracle_greedy(table->page_sizes, request->start, request->target, request->length);

    return oracle_level_needed(table, request, first.shift);
}

struct oracle_map_result oracle_map_predict(const struct oracle_table *table, const struct oracle_request *request)
{
    struct oracle_map_result result = { check_map(table, request), 0, table->top_level };
    uint64_t where;

    if (result.error) return result;
    if (table->config.grows) result.top_level = level_needed(table, request);
    if (oracle_any(table, request->start, request->start + (request->length - 1), &where)) {
        result.error = -EADDRINUSE;
        result.mapped = oracle_leaf_boundary(table, request, where);
    } else {
        result.mapped = request->length;
    }
    return result;
}

bool oracle_map_may_stop(const struct oracle_table *table, const struct oracle_request *request, uint64_t mapped)
{
    const struct oracle_map_result whole = oracle_map_predict(table, request);

    if (whole.error != 0 && whole.error != -EADDRINUSE) return false;
    if (mapped > whole.mapped || mapped >= request->length) return false;
    return oracle_leaf_boundary(table, request, request->start + mapped) == mapped;
}

/* Does `run` go on where the stored one ends? Then one run holds both. */
static bool continues(const struct oracle_run *before, const struct oracle_run *run)
{
    return before->start + before->length == run->start && before->target + before->length == run->target &&
           before->shift == run->shift && before->prot == run->prot && before->dirty == run->dirty;
}

void oracle_insert(struct oracle_table *table, const struct oracle_run *run)
{
    const struct sorted_item item = item_of_run(run);
    struct sorted_place place;

    if (sorted_find(&table->runs, run->start, &place)) {
        struct sorted_item *before = sorted_at(&table->runs, place);
        const struct oracle_run before_run = run_of_item(before);

        if (continues(&before_run, run)) {
            before->word[0] += run->length;
            return;
        }
    }
    sorted_insert(&table->runs, &item);
}

uint64_t oracle_map_commit(struct oracle_table *table, const struct oracle_request *request, uint64_t mapped)
{
    const bool starts_dirty = table->config.format->starts_dirty && oracle_reads_dirty(&table->config);
    uint64_t leaves = 0;
    uint64_t done = 0;

    if (mapped) table->top_level = table->config.grows ? level_needed(table, request) : table->top_level;
    while (done < mapped) {
        /* Sizes follow from the whole request, also where it stopped early. */
        const struct oracle_piece piece =
            oracle_greedy(table->page_sizes, request->start + done, request->target + done, request->length - done);
        const struct oracle_run run = {
            .start = request->start + done,
            .length = min_u64(piece.length, mapped - done),
            .target = request->target + done,
            .shift = piece.shift,
            .prot = request->prot & 0xff,
            .dirty = starts_dirty && request->prot & ORACLE_WRITE,
        };

        oracle_insert(table, &run);
        leaves += run.length >> run.shift;
        done += run.length;
    }
    table->mapped_bytes += mapped;
    table->leaves += leaves;
    return leaves;
}

/* ---- unmap ----------------------------------------------------------------------------------------------------- */

/* 2^64 / 2^shift regions do not fit: one less is near enough for a count of tables, and no table is that large. */
static uint64_t aligned_regions(uint64_t first, uint64_t last, unsigned shift)
{
    const uint64_t begin = (first >> shift) + !is_aligned(first, shift);
    const uint64_t end = (last >> shift) + is_aligned(last + 1, shift);

    return end > begin ? end - begin : 0;
}

/*
 * Tables that an unmap of the whole of [first, last] takes off the tree (invariant 23): those it covers and empties.
 * A table at a level covers a region of this size; it exists unless a leaf of a higher level covers the region.
 */
static uint64_t tables_of(const struct oracle_table *table, uint64_t first, uint64_t last)
{
    const unsigned index_bits = table->config.format->index_bits;
    const unsigned smallest = table->config.format->granule_shift + index_bits;
    struct oracle_run run = { .start = first };
    uint64_t tables = 0;

    if (aligned_regions(first, last, smallest) == 0) return 0;
    for (unsigned level = 0; level < table->top_level; level++)
        tables += aligned_regions(first, last, smallest + index_bits * level);
    for (uint64_t from = first; oracle_next_run(table, from, last, &run); from = oracle_run_last(&run) + 1) {
        const uint64_t length = min_u64(oracle_run_last(&run), last) - run.start + 1;

        for (unsigned shift = smallest; shift <= run.shift; shift += index_bits) tables -= length >> shift;
        if (oracle_run_last(&run) >= last) break;
    }
    return tables;
}

/* The leaves that go: *result but for its tables. */
static void unmap_leaves(const struct oracle_table *table, uint64_t start, uint64_t last,
                         struct oracle_unmap_result *result)
{
    struct sorted_place place;
    struct oracle_run run;

    if (!sorted_find(&table->runs, start, &place)) return;
    run = run_of_item(sorted_at(&table->runs, place));
    if (start - run.start >= run.length || !is_aligned(start - run.start, run.shift)) return;
    clip(&run, start, last);
    for (;;) {
        result->leaves += run.length >> run.shift;
        result->removed += run.length;
        if (oracle_run_last(&run) >= last || !sorted_next(&table->runs, &place)) return;
        run = run_of_item(sorted_at(&table->runs, place));
        if (run.start != start + result->removed) return;
        clip(&run, run.start, last);
    }
}

struct oracle_unmap_result oracle_unmap_predict(const struct oracle_table *table, uint64_t start, uint64_t length)
{
    struct oracle_unmap_result result = { 0 };
    uint64_t last;

    if (oracle_check_length(start, length)) return result;
    last = start + (length - 1);
    if (!oracle_level_covers(table, table->top_level, start, last)) return result;
    unmap_leaves(table, start, last, &result);
    if (result.removed) result.tables = tables_of(table, start, min_u64(last, start + (result.removed - 1)));
    return result;
}

/* Cut the run at `place` so that a run starts at `at`, a leaf boundary inside it. */
static void split_run(struct oracle_table *table, struct sorted_place place, uint64_t at)
{
    struct sorted_item *item = sorted_at(&table->runs, place);
    struct oracle_run upper = run_of_item(item);
    struct sorted_item upper_item;

    upper.length -= at - upper.start;
    upper.target += at - upper.start;
    item->word[0] -= upper.length;
    upper.start = at;
    upper_item = item_of_run(&upper);
    sorted_insert(&table->runs, &upper_item);
}

/* Make `at` a run boundary, if a run crosses it. */
static void split_at(struct oracle_table *table, uint64_t at)
{
    struct sorted_place place;

    if (!sorted_find(&table->runs, at, &place)) return;
    if (at != sorted_at(&table->runs, place)->key &&
        at - sorted_at(&table->runs, place)->key < sorted_at(&table->runs, place)->word[0])
        split_run(table, place, at);
}

void oracle_unmap_commit(struct oracle_table *table, uint64_t start, uint64_t removed)
{
    struct sorted_place place;
    bool more;

    if (removed == 0) return;
    split_at(table, start);
    if (start + removed != 0) split_at(table, start + removed);
    more = sorted_find_from(&table->runs, start, &place);
    while (more && sorted_at(&table->runs, place)->key - start < removed) {
        const struct oracle_run run = run_of_item(sorted_at(&table->runs, place));

        table->mapped_bytes -= run.length;
        table->leaves -= run.length >> run.shift;
        more = sorted_erase(&table->runs, &place);
    }
}

/* ---- cut ------------------------------------------------------------------------------------------------------- */

/* A run changes its length in place; an item that the cut passes through becomes a table. */
static bool can_split(const struct oracle_format *format, const struct oracle_leaf *leaf, uint64_t at)
{
    const unsigned item_shift = oracle_item_shift_of_leaf(format, leaf->shift);

    return (leaf->shift == item_shift || format->can_resize) && (is_aligned(at, item_shift) || format->can_exchange);
}

int oracle_cut_predict(const struct oracle_table *table, uint64_t at, struct oracle_leaf *leaf, bool *splits)
{
    const uint64_t granule = table->page_sizes & -table->page_sizes;

    *splits = false;
    if (at & (granule - 1)) return -ENXIO;
    if (!oracle_level_covers(table, table->config.format->max_level, at, at)) return -ERANGE;
    if (!oracle_find(table, at, leaf)) return -ENOENT;
    if (leaf->start == at) return 0;
    if (!can_split(table->config.format, leaf, at)) return -EOPNOTSUPP;
    *splits = true;
    return 0;
}

/* Greedy leaves over [start, start + length) with the rights and dirtiness of `old`. */
static void insert_half(struct oracle_table *table, const struct oracle_leaf *old, uint64_t start, uint64_t length)
{
    uint64_t done = 0;

    while (done < length) {
        const uint64_t target = old->target + (start - old->start) + done;
        const struct oracle_piece piece = oracle_greedy(table->page_sizes, start + done, target, length - done);
        const struct oracle_run run = { start + done, piece.length, target, piece.shift, old->prot, old->dirty };

        oracle_insert(table, &run);
        table->leaves += piece.length >> piece.shift;
        done += piece.length;
    }
    table->mapped_bytes += length;
}

void oracle_cut_commit(struct oracle_table *table, uint64_t at)
{
    struct oracle_leaf leaf;

    if (!oracle_find(table, at, &leaf) || leaf.start == at) return;
    oracle_unmap_commit(table, leaf.start, bit(leaf.shift));
    insert_half(table, &leaf, leaf.start, at - leaf.start);
    insert_half(table, &leaf, at, leaf.start + bit(leaf.shift) - at);
}

/* ---- dirty ----------------------------------------------------------------------------------------------------- */

int oracle_dirty_check(const struct oracle_table *table, uint64_t start, uint64_t length)
{
    int error;

    if (!oracle_reads_dirty(&table->config)) return -EOPNOTSUPP;
    error = oracle_check_length(start, length);
    if (error) return error;
    return oracle_level_covers(table, table->top_level, start, start + (length - 1)) ? 0 : -ERANGE;
}

bool oracle_next_dirty(const struct oracle_table *table, uint64_t from, uint64_t last, struct oracle_leaf *leaf)
{
    struct sorted_place place;
    bool more = seek(table, from, &place);

    for (; more; more = sorted_next(&table->runs, &place)) {
        struct oracle_run run = run_of_item(sorted_at(&table->runs, place));

        if (run.start > last) return false;
        if (!run.dirty) continue;
        clip(&run, from, last);
        *leaf = (struct oracle_leaf){ run.start, run.target, run.shift, run.prot, true };
        return true;
    }
    return false;
}

bool oracle_dirty_bits(const struct oracle_window *window, const struct oracle_leaf *leaf, uint64_t *first,
                       uint64_t *last)
{
    /* By the number of the piece in all of the address space: the last one is below 2^64. */
    const uint64_t window_first = window->start >> window->shift;
    const uint64_t window_last = window_first + (window->bits - 1);
    const uint64_t leaf_first = leaf->start >> window->shift;
    const uint64_t leaf_last = (leaf->start | low_mask(leaf->shift)) >> window->shift;

    if (leaf_last < window_first || leaf_first > window_last) return false;
    *first = leaf_first < window_first ? 0 : leaf_first - window_first;
    *last = leaf_last > window_last ? window->bits - 1 : leaf_last - window_first;
    return true;
}

void oracle_set_dirty(struct oracle_table *table, uint64_t address, bool dirty)
{
    struct oracle_leaf leaf;
    struct sorted_place place;

    if (!oracle_find(table, address, &leaf) || leaf.dirty == dirty) return;
    split_at(table, leaf.start);
    if (leaf.start + bit(leaf.shift) != 0) split_at(table, leaf.start + bit(leaf.shift));
    if (sorted_find(&table->runs, leaf.start, &place)) sorted_at(&table->runs, place)->word[2] ^= UINT64_C(1) << 16;
}

int oracle_set_dirty_predict(const struct oracle_table *table, uint64_t address)
{
    struct oracle_leaf leaf;

    if (!oracle_reads_dirty(&table->config)) return -EOPNOTSUPP;
    if (!oracle_decodes(table, address)) return -ERANGE;
    return oracle_find(table, address, &leaf) ? 0 : -ENOENT;
}
