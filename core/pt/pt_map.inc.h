/* Map: argument checks, growth of the top, greedy sizes, storing leaves (formats.md 2.3 to 2.7). */

/* What is still to be mapped. */
struct span {
    uint64_t va;
    uint64_t oa;
    uint64_t length;
    uint64_t attrs;
};

/* The leaf sizes that a map of this span may use. */
static inline uint64_t sizes_for(const struct pt *pt, const struct span *span)
{
    if (FAULT(PT_ONE_PAGE_IGNORES_SIZES) && span->length == bit(FMT(GRANULE_SHIFT)) &&
        !(pt->page_sizes & bit(FMT(GRANULE_SHIFT)))) {
        fault_triggered();
        return pt->page_sizes | bit(FMT(GRANULE_SHIFT));
    }
    return pt->page_sizes;
}

/* The bits of a leaf that prot asks for. 0, or -errno where the format refuses prot. */
static inline int attrs_for(const struct pt *pt, unsigned prot, uint64_t *attrs)
{
    int error;

    if (FAULT(PT_RIGHTS_ARE_SWAPPED) && !(prot & PT_READ) != !(prot & PT_WRITE)) {
        fault_triggered();
        prot ^= PT_READ | PT_WRITE;
    }
    error = FMT(attrs)(pt, prot, attrs);
    if (FAULT(PT_MMIO_GETS_C_BIT) && prot & PT_MMIO && pt->c_bit_mask) {
        fault_triggered();
        *attrs |= pt->c_bit_mask;
    }
    if (FAULT(PT_ATTRS_OF_32_BITS) && *attrs >> 32) {
        fault_triggered();
        *attrs = (uint32_t)*attrs;
    }
    return error;
}

/* The largest allowed size that fits the alignment of both addresses and the length; page_sizes has one. */
static inline unsigned greedy_shift(uint64_t page_sizes, const struct span *span)
{
    uint64_t aligned = span->va | span->oa;
    unsigned limit;

    if (FAULT(PT_GREEDY_IGNORES_TARGET)) {
        if (trailing_zeros(span->va) != trailing_zeros(aligned)) fault_triggered();
        aligned = span->va;
    }
    limit = (unsigned)min_u64(trailing_zeros(aligned), log2_floor(span->length));
    return log2_floor(page_sizes & low_mask(limit + 1));
}

/* How many leaves of `shift` until a larger size can start, or the length is used up (formats.md 2.5). */
static inline uint64_t greedy_count(uint64_t page_sizes, const struct span *span, unsigned shift)
{
    const uint64_t larger = page_sizes & ~low_mask(shift + 1);
    uint64_t bytes = span->length;

    if (larger) {
        const unsigned next = trailing_zeros(larger);
        const uint64_t distance = -span->va & low_mask(next);

        if (is_aligned(span->va ^ span->oa, next) && distance < bytes && (bytes - distance) >> next) bytes = distance;
    }
    return bytes >> shift;
}

/* ---- growing the top ------------------------------------------------------------------------------------------- */

/* Free a chain of new tops that was not published: each but the lowest points down from index 0. */
static void free_chain(struct pt *pt, pt_item_t *top, unsigned level, unsigned old_level)
{
    while (level > old_level) {
        pt_item_t *below = level - 1 > old_level ? table_of_item(pt, pt_sync_load(&top[0])) : NULL;

        table_pool_free_dirty(pt->pool, top);
        top = below;
        level--;
    }
}

/* Build tops from `old` up to `level`, each with the one below at index 0. NULL: no memory, nothing left behind. */
static pt_item_t *build_chain(struct pt *pt, struct top old, unsigned level)
{
    pt_item_t *below = old.table;

    for (unsigned at = old.level + 1; at <= level; at++) {
        pt_item_t *table = table_pool_alloc(pt->pool, bit(FMT(INDEX_BITS) + 3));

        if (!table) {
            if (FAULT(PT_GROWTH_LEAKS_TOPS) && at - 1 > old.level)
                fault_triggered();
            else
                free_chain(pt, below, at - 1, old.level);
            return NULL;
        }
        if (FAULT(PT_GROWTH_LOSES_OLD) && below == old.table)
            fault_triggered();
        else
            pt_sync_store(&table[0], FMT(table_item)(pt, table_pool_address(pt->pool, below), at) |
                                         (is_incoherent(pt) ? FMT(flushed_bit)(pt) : 0));
        if (is_incoherent(pt) && FAULT(PT_TOP_NOT_FLUSHED))
            fault_triggered();
        else if (is_incoherent(pt))
            flush(pt, table, 0, 1u << FMT(INDEX_BITS));
        below = table;
    }
    return below;
}

/* The lowest top level that decodes up to `last` and has leaves at `leaf_level`, or LEVEL_MAX + 1. */
static unsigned level_needed(const struct pt *pt, unsigned level, uint64_t last, unsigned leaf_level)
{
    while (level <= FMT(LEVEL_MAX) && (level < leaf_level || !range_is_inside(pt, level, last, last))) {
        level++;
        if (level > FMT(LEVEL_MAX) || item_shift(level) >= pt->va_bits) return FMT(LEVEL_MAX) + 1;
    }
    return level;
}

/* How hardware is told of a new top: by its address in memory. */
static inline hpa_t root_to_tell(const pt_item_t *table, uint64_t address)
{
    if (FAULT(PT_TOP_BY_POINTER)) {
        fault_triggered();
        return hpa((uintptr_t)table);
    }
    return hpa(address);
}

/*
 * Grow the top until [.., last] and a leaf at `leaf_level` fit. The hardware learns the final top, once, before any
 * software can put something that only the new top reaches (formats.md 2.11). 0, -ERANGE, -ENOMEM.
 */
static __attribute__((noinline)) int grow_top(struct pt *pt, uint64_t last, unsigned leaf_level)
{
    for (;;) {
        const struct top old = load_top(pt);
        const unsigned level = level_needed(pt, old.level, last, leaf_level);
        const uint64_t old_word = table_pool_address(pt->pool, old.table) | old.level;
        pt_item_t *table;
        uint64_t address;
        bool is_unchanged;

        if (level == old.level) return 0;
        if (level > FMT(LEVEL_MAX) || !(pt->features & PT_DYNAMIC_TOP)) return -ERANGE;
        table = build_chain(pt, old, level);
        if (!table) return -ENOMEM;
        address = table_pool_address(pt->pool, table);
        while (atomic_flag_test_and_set_explicit(&pt->top_lock, memory_order_acquire)) {
        }
        is_unchanged = atomic_load_explicit(&pt->top, memory_order_acquire) == old_word;
        if (FAULT(PT_GROWTH_RACES) && !is_unchanged) {
            fault_triggered();
            is_unchanged = true;
        }
        if (FAULT(PT_GROWTH_PUBLISHED_FIRST) && is_unchanged) {
            fault_triggered();
            atomic_store(&pt->top, address | level);
        }
        if (is_unchanged) {
            pt->hooks->top_changed(pt->context, root_to_tell(table, address), level);
            atomic_store_explicit(&pt->top, address | level, memory_order_release);
        }
        atomic_flag_clear_explicit(&pt->top_lock, memory_order_release);
        if (is_unchanged) return 0;
        free_chain(pt, table, level, old.level); /* somebody else grew it; look again */
    }
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

/* A walker that does not snoop: write the item back, then note in it that this was done (formats.md 2.12). */
static __attribute__((noinline)) void flush_table_item(struct pt *pt, pt_item_t *table, unsigned index, uint64_t item)
{
    if (FAULT(PT_BIT_BEFORE_FLUSH)) {
        fault_triggered();
        pt_sync_exchange(&table[index], &item, item | FMT(flushed_bit)(pt));
    }
    if (FAULT(PT_POINTER_NOT_FLUSHED))
        fault_triggered();
    else
        flush(pt, table, index, 1);
    pt_sync_exchange(&table[index], &item, item | FMT(flushed_bit)(pt));
}

/*
 * Put a new table under the empty item `at`, or find the one another thread put there first. *item becomes the table
 * item. 0, -EADDRINUSE (a leaf appeared), -ENOMEM.
 */
static __attribute__((noinline)) int install_table(struct pt *pt, pt_item_t *at, unsigned level, uint64_t *item)
{
    pt_item_t *child = table_pool_alloc(pt->pool, bit(FMT(INDEX_BITS) + 3));
    uint64_t expected = *item;
    uint64_t desired;

    if (!child) return -ENOMEM;
    if (is_incoherent(pt) && FAULT(PT_CHILD_NOT_FLUSHED))
        fault_triggered();
    else if (is_incoherent(pt))
        flush(pt, child, 0, 1u << FMT(INDEX_BITS));
    desired = FMT(table_item)(pt, table_pool_address(pt->pool, child), level);
    if (pt_sync_exchange(at, &expected, desired)) {
        *item = desired;
        return 0;
    }
    table_pool_free(pt->pool, child);
    *item = expected;
    return FMT(is_table)(expected, level) ? 0 : -EADDRINUSE;
}

/* Walk to the table of `level` that holds span's va, installing what is missing. 0, -EADDRINUSE, -ENOMEM. */
static inline int walk_install(struct pt *pt, struct walk *walk, uint64_t va, unsigned level)
{
    unsigned at_level = walk_reuse(walk, va, level);

    for (; at_level > level; at_level--) {
        pt_item_t *at = walk_item(pt, walk, va, at_level);
        uint64_t item = pt_sync_load(at);
        const bool is_trusted = is_incoherent(pt) && FAULT(PT_FINDER_TRUSTS_ITEM) && FMT(is_table)(item, at_level);

        if (!FMT(is_table)(item, at_level)) {
            int error = -EADDRINUSE;

            if (FMT(kind)(item, at_level) == PT_EMPTY) error = install_table(pt, at, at_level, &item);
            if (error) {
                walk->level = at_level;
                walk->va = va;
                return error;
            }
        }
        if (is_incoherent(pt) && !(item & FMT(flushed_bit)(pt)) && is_trusted)
            fault_triggered();
        else if (is_incoherent(pt) && !(item & FMT(flushed_bit)(pt)))
            flush_table_item(pt, walk->tables[at_level], (unsigned)(at - walk->tables[at_level]), item);
        walk->tables[at_level - 1] = table_of_item(pt, item);
    }
    walk->level = level;
    walk->va = va;
    return 0;
}

/* Does the subtree have no leaf? Recursion is bounded by the level. */
static bool subtree_is_empty(const struct pt *pt, const pt_item_t *table, unsigned level)
{
    for (unsigned i = 0; i < 1u << FMT(INDEX_BITS); i++) {
        const uint64_t item = pt_sync_load(&table[i]);
        const enum pt_kind kind = FMT(kind)(item, level);

        if (kind == PT_LEAF) return false;
        if (kind == PT_TABLE && !subtree_is_empty(pt, table_of_item(pt, item), level - 1)) return false;
    }
    return true;
}

/* Put the tables of a subtree without leaves on the list, and clear them (pool rule P1). */
static void retire_subtree(struct pt *pt, struct table_list *list, pt_item_t *table, unsigned level)
{
    for (unsigned i = 0; level > 0 && i < 1u << FMT(INDEX_BITS); i++) {
        const uint64_t item = pt_sync_load(&table[i]);

        if (!FMT(is_table)(item, level)) continue;
        pt_sync_store(&table[i], 0);
        retire_subtree(pt, list, table_of_item(pt, item), level - 1);
    }
    table_pool_retire(pt->pool, list, table);
}

/*
 * Make `count` items at `items` empty: empty tables among them go to the gather, cleared from their item first.
 * -EADDRINUSE: a leaf is in the way; tables before it stay removed, as in Linux (formats.md 7).
 */
static int clear_way(struct pt *pt, struct walk *walk, pt_item_t *items, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const uint64_t item = pt_sync_load(&items[i]);
        const uint64_t va = walk->va + ((uint64_t)i << item_shift(walk->level));
        struct table_list freed = table_list_empty();

        if (FMT(kind)(item, walk->level) == PT_LEAF) {
            if (i == 0 || !FAULT(PT_OVERWRITE_LEAF)) return -EADDRINUSE;
            fault_triggered();
        }
        if (!FMT(is_table)(item, walk->level)) continue;
        if (!subtree_is_empty(pt, table_of_item(pt, item), walk->level - 1)) return -EADDRINUSE;
        if (FAULT(PT_TABLE_RETIRED_FIRST)) {
            fault_triggered();
            retire_subtree(pt, &freed, table_of_item(pt, item), walk->level - 1);
        }
        if (FAULT(PT_TABLE_STAYS_LINKED))
            fault_triggered();
        else
            pt_sync_store(&items[i], 0);
        if (is_incoherent(pt) && FAULT(PT_REMOVAL_NOT_FLUSHED))
            fault_triggered();
        else if (is_incoherent(pt))
            flush(pt, &items[i], 0, 1);
        if (freed.count == 0) retire_subtree(pt, &freed, table_of_item(pt, item), walk->level - 1);
        gather_removed(pt, &walk->gather, va, va + low_mask(item_shift(walk->level)), &freed);
    }
    if (FAULT(PT_CLEARS_BEYOND_LEAF) && index_of(walk->va, walk->level) + count < 1u << FMT(INDEX_BITS) &&
        FMT(is_table)(pt_sync_load(&items[count]), walk->level)) {
        fault_triggered();
        pt_sync_store(&items[count], 0);
    }
    return 0;
}

/* ---- leaves ------------------------------------------------------------------------------------------------------ */

/* Store `leaves` leaves of `shift` at empty items. In line everywhere: as a call it would cost a map nine instructions.
 */
static inline __attribute__((always_inline)) void store_leaves(pt_item_t *items, const struct span *span,
                                                               unsigned level, unsigned shift, unsigned leaves)
{
    const unsigned run = FMT(HAS_RUNS) ? 1u << (shift - item_shift(level)) : 1;
    uint64_t item = FMT(leaf_item)(span->attrs, span->oa, level, shift);

    if (FMT(RUN_ITEMS_ADVANCE)) {
        pt_sync_fill(items, leaves * run, item, FMT(leaf_step)(item_shift(level)));
        return;
    }
    if (run == 1) {
        pt_sync_fill(items, leaves, item, FMT(leaf_step)(shift));
        return;
    }
    for (unsigned i = 0; i < leaves; i++) {
        pt_sync_fill(items + (size_t)i * run, run, item, 0);
        if (FAULT(PT_SKIP_LAST_OF_RUN)) {
            pt_sync_store(items + (size_t)i * run + run - 1, 0);
            fault_triggered();
        }
        item += FMT(leaf_step)(shift);
    }
}

/* As store_leaves, one leaf after the other, where something is in the way. *leaves becomes how many were stored. */
static __attribute__((noinline)) int store_leaves_slowly(struct pt *pt, struct walk *walk, const struct span *span,
                                                         unsigned shift, unsigned *leaves)
{
    const unsigned run = 1u << (shift - item_shift(walk->level));
    const unsigned wanted = *leaves;
    pt_item_t *items = walk_item(pt, walk, span->va, walk->level);
    struct span one = *span;

    for (*leaves = 0; *leaves < wanted; ++*leaves) {
        int error;

        walk->va = one.va;
        error = clear_way(pt, walk, items, run);
        if (error) return error;
        store_leaves(items, &one, walk->level, shift, 1);
        items += run;
        one.va += bit(shift);
        one.oa += bit(shift);
    }
    return 0;
}

/* How many leaves of `shift` from `oa` on until items stop following from each other by addition. */
static inline uint64_t linear_leaves(uint64_t oa, unsigned shift)
{
    if (FMT(LINEAR_OA_BITS) >= 64) return UINT64_MAX;
    return ((low_mask(FMT(LINEAR_OA_BITS)) - (oa & low_mask(FMT(LINEAR_OA_BITS)))) >> shift) + 1;
}

/* Now, or with what else the call writes to the table. */
static __attribute__((noinline, cold)) void
flush_leaves(struct pt *pt, const struct walk *walk, struct unflushed *waiting, const pt_item_t *items, unsigned count)
{
    if (FAULT(PT_LEAF_FLUSH_SHORT)) {
        fault_triggered();
        count--;
    }
    if (waiting)
        note_unflushed(pt, walk, waiting, items, items + count);
    else
        flush(pt, items, 0, count);
}

/* Map one run of equal leaves within one table: as many as greedy_count allows and the table holds. Their flush may
 * wait where more of the same table is likely to follow: then the caller ends with flush_rest. NULL: it does not. */
static inline int map_some(struct pt *pt, struct walk *walk, struct span *span, struct unflushed *waiting)
{
    const unsigned shift = greedy_shift(sizes_for(pt, span), span);
    const unsigned level = level_of_shift(shift);
    const uint64_t room = (low_mask(table_shift(level)) - (span->va & low_mask(table_shift(level)))) >> shift;
    const uint64_t wanted = greedy_count(sizes_for(pt, span), span, shift);
    unsigned leaves = (unsigned)min_u64(min_u64(wanted, room + 1), linear_leaves(span->oa, shift));
    const unsigned items_needed = leaves << (FMT(HAS_RUNS) ? shift - item_shift(level) : 0);
    int error = walk_install(pt, walk, span->va, level);
    pt_item_t *items;
    unsigned stored;

    if (error) return error;
    if (FAULT(PT_CONCATENATED_LIMITS) && level == walk->top_level &&
        top_index(pt, span->va, level) >> FMT(INDEX_BITS)) {
        fault_triggered();
        span->length = 0;
        return 0;
    }
    items = walk_item(pt, walk, span->va, level);
    stored = leaves;
    if (FAULT(PT_END_INDEX_OFF_BY_ONE) && wanted > room && leaves > 1) {
        fault_triggered();
        stored--;
    }
    if (__builtin_expect(pt_sync_all_empty(items, items_needed), 1))
        store_leaves(items, span, level, shift, stored);
    else
        error = store_leaves_slowly(pt, walk, span, shift, &leaves);
    if (is_incoherent(pt) && leaves > 0)
        flush_leaves(pt, walk, waiting, items, leaves << (FMT(HAS_RUNS) ? shift - item_shift(level) : 0));
    span->va += (uint64_t)leaves << shift;
    span->oa += (uint64_t)leaves << shift;
    span->length -= (uint64_t)leaves << shift;
    return error;
}

/* The end of a map: empty tables that it replaced are free once the hardware has forgotten them. */
static inline void finish_walk(struct pt *pt, struct walk *walk)
{
    if (walk->gather.freed.count == 0) return;
    if (FAULT(PT_REPLACES_WITHOUT_SYNC)) {
        fault_triggered();
        table_pool_free_list(pt->pool, &walk->gather.freed);
        return;
    }
    pt_gather_sync(pt, &walk->gather);
}

/* The checks of formats.md 2.3 that come before any change, in its order, but for the hole. */
static inline int check_span(const struct pt *pt, const struct span *span)
{
    uint64_t ends;

    if (span->length == 0) return -EINVAL;
    if (span->va + span->length - 1 < span->va) return -EOVERFLOW;
    ends = span->va | span->oa | span->length;
    if (FAULT(PT_TAIL_UNCHECKED) && span->length & low_mask(FMT(GRANULE_SHIFT))) {
        fault_triggered();
        ends = span->va | span->oa;
    }
    if (ends & ((sizes_for(pt, span) & -sizes_for(pt, span)) - 1)) return -ENXIO;
    if (span->length > bit(pt->oa_bits) - span->oa) {
        if (!FAULT(PT_OA_END_UNCHECKED)) return -ERANGE;
        fault_triggered();
    }
    return 0;
}

/* The clean answer of formats.md 7: a table that does not grow, or only in part of the addresses, knows early. */
static inline int check_hole(const struct pt *pt, const struct span *span)
{
    if (!(pt->features & FMT(FEATURES) & (PT_SIGN_EXTEND | PT_UPPER_HALF))) return 0;
    return range_is_inside(pt, FMT(LEVEL_MAX), span->va, span->va + span->length - 1) ? 0 : -ERANGE;
}

/*
 * One smallest page where every table exists and the item is empty: nearly all maps of a DMA API (formats.md 2.6b).
 * False: nothing was done, the full path decides.
 */
static inline bool map_one(struct pt *pt, const struct span *span)
{
    const struct top top = load_top(pt);
    unsigned level = top.level;
    unsigned shift = item_shift(level);
    pt_item_t *at;

    if (!(sizes_for(pt, span) & bit(FMT(GRANULE_SHIFT))) || is_incoherent(pt)) return false;
    if (!range_is_inside(pt, level, span->va, span->va)) return false;
    at = &top.table[(span->va & pt->va_mask) >> shift];
    while (level > 0) {
        const uint64_t item = pt_sync_load(at);

        if (!FMT(is_table)(item, level)) return false;
        shift -= FMT(INDEX_BITS);
        level--;
        at = &table_of_item(pt, item)[span->va >> shift & low_mask(FMT(INDEX_BITS))];
    }
    if (pt_sync_peek(at) != 0) return false;
    pt_sync_store(at, FMT(leaf_item)(span->attrs, span->oa, 0, FMT(GRANULE_SHIFT)));
    return true;
}

static int FMT(map_range)(struct pt *pt, iova_t start, hpa_t target, uint64_t length, unsigned prot, uint64_t *mapped)
{
    struct span span = { start.value, target.value, length, 0 };
    struct walk walk;
    int error;

    *mapped = 0;
    if (!(prot & (PT_READ | PT_WRITE))) return -EINVAL;
    if (target.value >> pt->oa_bits) return -ERANGE;
    error = attrs_for(pt, prot, &span.attrs);
    if (!error) error = check_span(pt, &span);
    if (!error) error = check_hole(pt, &span);
    if (error) return error;
    if (length == bit(FMT(GRANULE_SHIFT)) && map_one(pt, &span)) {
        *mapped = length;
        return 0;
    }
    walk_start(pt, &walk);
    if (!range_is_inside(pt, walk.top_level, span.va, span.va + length - 1) ||
        level_of_shift(greedy_shift(sizes_for(pt, &span), &span)) > walk.top_level) {
        error = grow_top(pt, span.va + length - 1, level_of_shift(greedy_shift(sizes_for(pt, &span), &span)));
        if (error) return error;
        walk_start(pt, &walk);
    }
    walk.gather = pt_gather_empty();
    do {
        error = map_some(pt, &walk, &span, NULL);
        if (FAULT(PT_MAP_STOPS_AT_TABLE_END) && !error && span.length && is_aligned(span.va, table_shift(walk.level))) {
            fault_triggered();
            break;
        }
    } while (!error && span.length > 0);
    *mapped = length - span.length;
    if (error == -ENOMEM && FAULT(PT_LOSE_MAPPED_ON_NOMEM) && *mapped) {
        *mapped = 0;
        fault_triggered();
    }
    if (FAULT(PT_MAP_LOSES_ERRNO) && error) {
        fault_triggered();
        error = 0;
    }
    finish_walk(pt, &walk);
    return error;
}
