/*
 * Cut: split the leaf at an address (formats.md 6), hitless; the splits of a resize too. Everything that needs memory
 * is built on the side first. Then each item of the old leaf is changed by one exchange, to a smaller run or to a table
 * with the same translation; an A or D bit that hardware sets in between makes the exchange fail and is carried into
 * its second try.
 */

enum { CUT_ITEMS_MAX = 1 << (FMT(INDEX_BITS) - 1) }; /* a run is at most half a table */

struct cut {
    uint64_t va, oa, end; /* the old leaf */
    uint64_t at;          /* inside it; or its end: no cut, all parts of the largest of page_sizes */
    uint64_t attrs;       /* of the old leaf, dirty if any of its items was */
    uint64_t page_sizes;  /* allowed for its parts */
    struct walk *walk;    /* at the old leaf's table */
    pt_item_t *items;
    unsigned count;
};

/* The part of the old leaf that starts at `va`, up to the cut or the leaf's end. */
static struct span cut_span(const struct cut *cut, uint64_t va)
{
    const uint64_t end = va < cut->at ? cut->at : cut->end;

    return (struct span){ va, cut->oa + (va - cut->va), end - va, cut->attrs };
}

static uint64_t cut_item_va(const struct cut *cut, unsigned index)
{
    return cut->va + ((uint64_t)index << item_shift(cut->walk->level));
}

/*
 * How many items the next leaves of one size from item `index` on cover; 0: the item must become a table, because the
 * cut is inside it or no leaf of this level may start there. `index` is where a leaf of the new layout starts.
 */
static unsigned cut_leaf_items(const struct cut *cut, unsigned index, unsigned *shift)
{
    const unsigned level = cut->walk->level;
    const uint64_t va = cut_item_va(cut, index);
    const struct span span = cut_span(cut, va);
    uint64_t leaves;

    if (cut->at > va && cut->at - va < bit(item_shift(level))) return 0;
    *shift = greedy_shift(cut->page_sizes, &span);
    if (level_of_shift(*shift) < level) return 0;
    leaves = min_u64(greedy_count(cut->page_sizes, &span, *shift), linear_leaves(span.oa, *shift));
    return (unsigned)(leaves << (*shift - item_shift(level)));
}

/*
 * A table of `level` full of leaves of 2^shift bytes, `oa` its first address, with tables between where they are of a
 * lower level. NULL: no memory, nothing left. Recursion is bounded by the level.
 */
static pt_item_t *build_uniform(struct pt *pt, uint64_t oa, uint64_t attrs, unsigned level, unsigned shift)
{
    pt_item_t *table = table_pool_alloc(pt->pool, bit(FMT(INDEX_BITS) + 3));

    if (table && level == level_of_shift(shift)) {
        const struct span span = { 0, oa, 0, attrs };

        store_leaves(table, &span, level, shift, (1u << FMT(INDEX_BITS)) >> (shift - item_shift(level)));
    }
    for (unsigned i = 0; table && level > level_of_shift(shift) && i < 1u << FMT(INDEX_BITS); i++) {
        pt_item_t *child = build_uniform(pt, oa + ((uint64_t)i << item_shift(level)), attrs, level - 1, shift);

        if (!child) {
            free_subtree(pt, table, level, i);
            return NULL;
        }
        pt_sync_store(&table[i], FMT(table_item)(pt, table_pool_address(pt->pool, child), level) |
                                     (is_incoherent(pt) ? FMT(flushed_bit)(pt) : 0));
    }
    if (table && is_incoherent(pt)) flush(pt, table, 0, 1u << FMT(INDEX_BITS));
    return table;
}

/* A table that translates item `index` as the old leaf did, cut where the cut is. NULL: no memory, nothing left. */
static pt_item_t *cut_build_table(struct pt *pt, const struct cut *cut, unsigned index)
{
    const uint64_t end = cut_item_va(cut, index) + bit(item_shift(cut->walk->level));
    const unsigned level = cut->walk->level - 1;
    struct walk walk = *cut->walk;
    struct span span = cut_span(cut, cut_item_va(cut, index));
    pt_item_t *table;

    if (cut->at == cut->end) return build_uniform(pt, span.oa, cut->attrs, level, log2_floor(cut->page_sizes));
    table = table_pool_alloc(pt->pool, bit(FMT(INDEX_BITS) + 3));
    if (!table) return NULL;
    if (is_incoherent(pt)) flush(pt, table, 0, 1u << FMT(INDEX_BITS));
    walk.tables[level] = table;
    walk.level = level;
    walk.va = span.va;
    while (span.va != end) {
        span = cut_span(cut, span.va);
        span.length = min_u64(span.length, end - span.va);
        while (span.length > 0) {
            if (map_some(pt, &walk, &span, NULL) == 0) continue;
            free_subtree(pt, table, level, 1u << FMT(INDEX_BITS));
            return NULL;
        }
    }
    return table;
}

/* Hardware wrote through the old leaf meanwhile: every part is dirty. Recursion is bounded by the level. */
static void cut_mark_dirty(struct pt *pt, pt_item_t *table, unsigned level)
{
    for (unsigned i = 0; i < 1u << FMT(INDEX_BITS); i++) {
        const uint64_t item = pt_sync_load(&table[i]);

        if (FMT(is_table)(item, level))
            cut_mark_dirty(pt, table_of_item(pt, item), level - 1);
        else
            pt_sync_store(&table[i], FMT(set_dirty)(item));
    }
    if (is_incoherent(pt)) flush(pt, table, 0, 1u << FMT(INDEX_BITS));
}

static void cut_swap_in(struct pt *pt, const struct cut *cut, unsigned index, pt_item_t *table)
{
    const unsigned level = cut->walk->level;
    const uint64_t desired = FMT(table_item)(pt, table_pool_address(pt->pool, table), level);
    uint64_t item = pt_sync_load(&cut->items[index]);
    bool is_dirty = FMT(is_dirty)(cut->attrs);

    do {
        if (FMT(is_dirty)(item) && !is_dirty) {
            cut_mark_dirty(pt, table, level - 1);
            is_dirty = true;
        }
    } while (!pt_sync_exchange(&cut->items[index], &item, desired));
    if (is_incoherent(pt)) flush_table_item(pt, cut->items, index, desired);
}

/* Give the `count` items from `index` on the leaves of `shift` that they are part of. */
static void cut_rewrite(struct pt *pt, const struct cut *cut, unsigned index, unsigned count, unsigned shift)
{
    const struct span span = cut_span(cut, cut_item_va(cut, index));
    const unsigned run = 1u << (shift - item_shift(cut->walk->level));
    const unsigned each = FMT(RUN_ITEMS_ADVANCE) ? 1 : run; /* items of one value */
    const uint64_t step = FMT(leaf_step)(FMT(RUN_ITEMS_ADVANCE) ? item_shift(cut->walk->level) : shift);
    uint64_t leaf = FMT(leaf_item)(span.attrs, span.oa, cut->walk->level, shift);

    for (unsigned i = 0; i < count; i++) {
        pt_item_t *at = &cut->items[index + i];
        uint64_t item = pt_sync_load(at);

        if (i > 0 && (i & (each - 1)) == 0) leaf += step;
        while (!pt_sync_exchange(at, &item, FMT(is_dirty)(item) ? FMT(set_dirty)(leaf) : leaf)) {
        }
    }
    if (is_incoherent(pt)) flush(pt, cut->items, index, count);
}

/* Build every table that is needed, or none: -ENOMEM. */
static int cut_prepare(struct pt *pt, const struct cut *cut, pt_item_t **tables)
{
    unsigned i = 0;

    while (i < cut->count) {
        unsigned shift;
        const unsigned items = cut_leaf_items(cut, i, &shift);

        tables[i] = items ? NULL : cut_build_table(pt, cut, i);
        if (!items && !tables[i]) {
            for (unsigned done = 0; done < i; done++) {
                if (tables[done]) free_subtree(pt, tables[done], cut->walk->level - 1, 1u << FMT(INDEX_BITS));
            }
            return -ENOMEM;
        }
        for (unsigned other = 1; other < items; other++) tables[i + other] = NULL;
        i += items ? items : 1;
    }
    return 0;
}

static int cut_apply(struct pt *pt, const struct cut *cut)
{
    pt_item_t *tables[CUT_ITEMS_MAX];
    const int error = cut_prepare(pt, cut, tables);
    unsigned i = 0;

    if (error) return error;
    while (i < cut->count) {
        unsigned shift;
        const unsigned items = cut_leaf_items(cut, i, &shift);

        if (items)
            cut_rewrite(pt, cut, i, items, shift);
        else
            cut_swap_in(pt, cut, i, tables[i]);
        i += items ? items : 1;
    }
    return 0;
}

/* Take in the leaf over `va`, where `walk` is; `at` and `page_sizes` are the caller's. */
static void cut_begin(const struct pt *pt, struct cut *cut, struct walk *walk, const struct found *found, uint64_t va)
{
    const uint64_t item = pt_sync_load(&found->items[0]);

    cut->walk = walk;
    cut->va = align_down(va, found->shift);
    cut->end = cut->va + bit(found->shift);
    cut->items = found->items;
    cut->count = found->count;
    cut->oa = FMT(leaf_address)(pt, item, walk->level);
    cut->attrs = FMT(leaf_attrs)(pt, item);
    if (FMT(HAS_DIRTY) && run_is_dirty(found->items, found->count)) cut->attrs = FMT(set_dirty)(cut->attrs);
    if (FAULT(PT_CUT_LOSES_DIRTY) && FMT(is_dirty)(cut->attrs)) {
        cut->attrs = FMT(clear_dirty)(cut->attrs);
        fault_triggered();
    }
}

static int FMT(cut)(struct pt *pt, iova_t at)
{
    struct walk walk;
    struct cut cut;
    struct found found;

    if (!is_aligned(at.value, trailing_zeros(pt->page_sizes))) return -ENXIO;
    if (!range_is_inside(pt, FMT(LEVEL_MAX), at.value, at.value)) return -ERANGE;
    walk_start(pt, &walk);
    if (!range_is_inside(pt, walk.top_level, at.value, at.value)) return -ENOENT;
    found = walk_to(pt, &walk, at.value);
    if (found.kind != PT_LEAF) return -ENOENT;
    if (is_aligned(at.value, found.shift)) return 0;
    cut_begin(pt, &cut, &walk, &found, at.value);
    cut.at = at.value;
    cut.page_sizes = pt->page_sizes | (bit(item_shift(walk.level)) & FMT(leaf_sizes)(walk.level));
    if (cut.count > 1 && !FMT(RESIZES_IN_PLACE)) return -EOPNOTSUPP;
    if (!is_aligned(at.value, item_shift(walk.level)) && !FMT(EXCHANGES_TABLES)) return -EOPNOTSUPP;
    return cut_apply(pt, &cut);
}
