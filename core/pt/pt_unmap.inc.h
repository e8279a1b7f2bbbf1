/* Unmap: clear leaves upward from the start until the range ends or a hole (formats.md 2.8). */

/* What a call may clear. */
struct clearing {
    uint64_t start, last;
    struct table_list *freed;
    struct unflushed *waiting; /* for a walker that does not snoop: lowest to highest item cleared. NULL: it does */
};

#define CLEAR_INLINE static inline __attribute__((always_inline))

/* Where items of the walk's table end that an unmap from va's item `first` on may clear: with the table, or `last`. */
static inline pt_item_t *items_end(const struct walk *walk, pt_item_t *first, uint64_t va, uint64_t last)
{
    const unsigned shift = item_shift(walk->level);
    const uint64_t room = low_mask(FMT(INDEX_BITS)) - ((va >> shift) & low_mask(FMT(INDEX_BITS))) + 1;
    const uint64_t wanted = ((last - align_down(va, shift)) >> shift) + 1;

    return first + min_u64(wanted, room);
}

/*
 * Clear leaves of the walk's table from *va on, at most up to the table's end or the leaf that holds `last`. *va moves
 * behind the last leaf cleared. False: stopped at an item that is no leaf.
 */
CLEAR_INLINE bool clear_leaves(struct pt *pt, struct walk *walk, uint64_t *va, const struct clearing *clearing)
{
    const unsigned level = walk->level;
    const unsigned shift = item_shift(level);
    pt_item_t *const first = walk_item(pt, walk, *va, level);
    pt_item_t *const end = items_end(walk, first, *va, clearing->last);
    pt_item_t *at = first;
    bool is_leaf = true;

    while (at < end) {
        uint64_t item;
        unsigned run;

        at = pt_sync_clear_while(at, end, FMT(single_mask)(level), FMT(single_value)(level));
        if (at >= end) break;
        item = pt_sync_load(at);
        is_leaf = FMT(kind)(item, level) == PT_LEAF;
        if (!is_leaf) break;
        if (!FMT(HAS_RUNS) && !FMT(LEAVES_AGREE)) { /* another kind of leaf than most: as many as are like it */
            const uint64_t mask = FMT(single_mask)(level);

            at = pt_sync_clear_while(at, end, mask, item & mask);
            continue;
        }
        run = 1u << (FMT(leaf_shift)(item, level) - shift);
        pt_sync_fill(at, run, 0, 0);
        if (FAULT(PT_CLEAR_SKIPS_LAST_OF_RUN)) {
            fault_triggered();
            pt_sync_store(at + run - 1, item);
        }
        at += run;
    }
    if (clearing->waiting && FAULT(PT_UNMAP_FLUSH_LATE_START) && at > first) {
        fault_triggered();
        note_unflushed(pt, walk, clearing->waiting, first + 1, at);
    } else if (clearing->waiting) {
        note_unflushed(pt, walk, clearing->waiting, first, at);
    }
    *va += (uint64_t)(at - first) << shift;
    return is_leaf;
}

/*
 * `va` is the end of the walk's table, all of whose items from `start` on were cleared. Retire each table that the
 * range [start, last] covers whole, the item above it first cleared; the walk moves up to the first that stays.
 */
CLEAR_INLINE void retire_covered(struct pt *pt, struct walk *walk, const struct clearing *clearing)
{
    uint64_t va = walk->va;

    while (walk->level < walk->top_level) {
        const unsigned shift = table_shift(walk->level);
        const uint64_t table_last = va | low_mask(shift);
        pt_item_t *table = walk->tables[walk->level];
        pt_item_t *above;

        if (align_down(va, shift) < clearing->start || table_last > clearing->last) return;
        walk->level++;
        above = walk_item(pt, walk, va, walk->level);
        pt_sync_store(above, 0);
        if (clearing->waiting) note_unflushed(pt, walk, clearing->waiting, above, above + 1);
        table_pool_retire(pt->pool, clearing->freed, table);
        /* The table above is emptied by this too only if this was its last item. */
        if ((va & low_mask(table_shift(walk->level))) >> item_shift(walk->level) != low_mask(FMT(INDEX_BITS))) return;
    }
}

/* Planted: where an unmap goes on that adds the size of the largest table it just finished to where it began. */
static inline uint64_t step_too_far(const struct walk *walk, uint64_t start, uint64_t va, uint64_t last)
{
    unsigned level = walk->level;

    if (!is_aligned(va, table_shift(level)) || is_aligned(start, table_shift(level))) return va;
    while (level + 1 < walk->top_level && is_aligned(va, table_shift(level + 1))) level++;
    if (start + bit(table_shift(level)) <= va || va > last) return va;
    fault_triggered();
    return min_u64(start + bit(table_shift(level)), last + 1);
}

/* Clear from the start on; returns the address behind the last leaf cleared. */
CLEAR_INLINE uint64_t clear_range(struct pt *pt, struct walk *walk, const struct clearing *clearing)
{
    uint64_t va = clearing->start;

    for (;;) {
        const struct found found = walk_to(pt, walk, va);
        bool is_leaf;

        if (FAULT(PT_UNMAP_FORGETS_AT_HOLE) && found.kind != PT_LEAF && va > clearing->start) {
            fault_triggered();
            return clearing->start;
        }
        if (found.kind != PT_LEAF) return va;
        if (FAULT(PT_UNMAP_DESCENDS_LEAF) && walk->level > 0 && !is_aligned(va, found.shift)) {
            fault_triggered();
            pt_sync_load(&table_of_item(pt, pt_sync_load(found.items))[index_of(va, walk->level - 1)]);
            return va + bit(item_shift(walk->level - 1));
        }
        if (!is_aligned(va, found.shift)) return va; /* inside a leaf: only at the start of the call */
        is_leaf = clear_leaves(pt, walk, &va, clearing);
        walk->va = va - 1;
        if (is_leaf && is_aligned(va, table_shift(walk->level))) retire_covered(pt, walk, clearing);
        if (FAULT(PT_UNMAP_STEPS_TOO_FAR)) /* fault_triggered() there */
            va = step_too_far(walk, clearing->start, va, clearing->last);
        if (va - 1 >= clearing->last) return va;
    }
}

/* What an unmap answers that removed nothing: 0, and the gather is as it was. */
static uint64_t removed_nothing(struct pt_gather *gather, uint64_t start)
{
    if (FAULT(PT_GATHERS_NOTHING_REMOVED)) {
        fault_triggered();
        gather_add(gather, start, start - 1);
    }
    if (FAULT(PT_UNMAP_RETURNS_ERRNO)) {
        fault_triggered();
        return (uint64_t)-ENOENT;
    }
    return 0;
}

/* `waiting` is a constant, NULL or not, in each of the two below. */
CLEAR_INLINE uint64_t unmap_with(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *gather,
                                 struct unflushed *waiting)
{
    struct table_list freed = table_list_empty();
    const struct clearing clearing = { start.value, start.value + length - 1, &freed, waiting };
    struct walk walk;
    uint64_t removed;

    if (length == 0 || clearing.last < start.value) return 0;
    walk_start(pt, &walk);
    if (!range_is_inside(pt, walk.top_level, start.value, clearing.last)) return 0;
    removed = clear_range(pt, &walk, &clearing) - start.value;
    if (waiting) flush_rest(pt, waiting);
    if (removed == 0) return removed_nothing(gather, start.value);
    if (FAULT(PT_FREE_BEFORE_SYNC) && freed.count) {
        fault_triggered();
        table_pool_free_list(pt->pool, &freed);
    }
    if (FAULT(PT_GATHER_REQUESTED_LENGTH) && removed > length) {
        fault_triggered();
        gather_removed(pt, gather, start.value, clearing.last, &freed);
        return removed;
    }
    gather_removed(pt, gather, start.value, start.value + removed - 1, &freed);
    return removed;
}

static __attribute__((noinline, cold)) uint64_t unmap_incoherent(struct pt *pt, iova_t start, uint64_t length,
                                                                 struct pt_gather *gather)
{
    struct unflushed waiting = { 0 };

    return unmap_with(pt, start, length, gather, &waiting);
}

static uint64_t FMT(unmap_range)(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *gather)
{
    if (is_incoherent(pt)) return unmap_incoherent(pt, start, length, gather);
    return unmap_with(pt, start, length, gather, NULL);
}
