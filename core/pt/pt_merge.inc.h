/*
 * Merge: blocks of smaller leaves become one each; half of a resize (pt_resize.inc.h). Each item of the block's level
 * is exchanged by itself, so that at every store a walker sees the old or the new translation. A table that an exchange
 * took off the tree keeps its content until the sync: a walker that has the old item cached may read it and mark leaves
 * in it. What it marked is looked at again then.
 */

enum { MERGE_DETACHED_MAX = 64 };

/* A table that is off the tree, and the item that took its place. */
struct detached {
    pt_item_t *table;
    pt_item_t *item;
    unsigned level; /* of the table */
};

struct resize {
    uint64_t start, last;
    uint64_t sizes;     /* allowed, not larger than asked, and of a level that the top has */
    unsigned max_shift; /* larger leaves are split */
    bool is_rehearsal;  /* only look whether the format may do it */
    struct walk walk;
    struct pt_gather gather; /* the detached tables: what to sync, what to free */
    struct detached detached[MERGE_DETACHED_MAX];
    unsigned detached_count;
};

/* ---- tables off the tree ----------------------------------------------------------------------------------------- */

/* What hardware noted in a leaf item: its accessed and dirty bits as attrs have them, the same at every level. */
static uint64_t leaf_marks(const struct pt *pt, uint64_t item)
{
    return FMT(leaf_attrs)(pt, item) & FMT(hardware_bits)(pt, 0);
}

/* The same of all leaves below `table`. Leaves of one table have their marks in the same bits: one OR of them all.
 * Recursion is bounded by the level. */
static uint64_t subtree_marks(const struct pt *pt, const pt_item_t *table, unsigned level)
{
    uint64_t leaves = 0, marks = 0;

    for (unsigned i = 0; i < 1u << FMT(INDEX_BITS); i++) {
        const uint64_t item = pt_sync_load(&table[i]);

        if (level > 0 && FMT(is_table)(item, level))
            marks |= subtree_marks(pt, table_of_item(pt, item), level - 1);
        else
            leaves |= item;
    }
    return marks | leaf_marks(pt, leaves);
}

/* A leaf item with more marks. */
static uint64_t add_marks(const struct pt *pt, uint64_t item, unsigned level, uint64_t marks)
{
    const uint64_t oa = FMT(RUN_ITEMS_ADVANCE) ? FMT(item_address)(pt, item) : FMT(leaf_address)(pt, item, level);

    return FMT(leaf_item)(FMT(leaf_attrs)(pt, item) | marks, oa, level, FMT(leaf_shift)(item, level));
}

/* Put the tables of a subtree on the list; walkers may still read them. */
static void retire_whole(struct pt *pt, struct table_list *list, pt_item_t *table, unsigned level)
{
    for (unsigned i = 0; level > 0 && i < 1u << FMT(INDEX_BITS); i++) {
        const uint64_t item = pt_sync_load(&table[i]);

        if (FMT(is_table)(item, level)) retire_whole(pt, list, table_of_item(pt, item), level - 1);
    }
    table_pool_retire(pt->pool, list, table);
}

/* No walker reads them any more: pool rule P1. */
static void clear_whole(struct pt *pt, pt_item_t *table, unsigned level)
{
    for (unsigned i = 0; level > 0 && i < 1u << FMT(INDEX_BITS); i++) {
        const uint64_t item = pt_sync_load(&table[i]);

        if (FMT(is_table)(item, level)) clear_whole(pt, table_of_item(pt, item), level - 1);
    }
    pt_sync_fill(table, 1u << FMT(INDEX_BITS), 0, 0);
}

/* The leaf that replaced a table takes over what walkers marked in the table until the sync. */
static void take_marks(struct pt *pt, const struct detached *detached)
{
    const uint64_t marks = subtree_marks(pt, detached->table, detached->level);
    uint64_t item = pt_sync_load(detached->item);

    if ((leaf_marks(pt, item) & marks) == marks) return;
    while (!pt_sync_exchange(detached->item, &item, add_marks(pt, item, detached->level + 1, marks))) {
    }
    if (is_incoherent(pt)) flush(pt, detached->item, 0, 1);
}

/* One sync for all that is detached; then the tables are free. */
static void sync_detached(struct pt *pt, struct resize *resize)
{
    struct pt_gather *gather = &resize->gather;

    if (resize->detached_count == 0) return;
    if (pt->hooks && pt->hooks->sync) pt->hooks->sync(pt->context, gather->first, gather->last, gather->freed.count);
    for (unsigned i = 0; i < resize->detached_count; i++) {
        take_marks(pt, &resize->detached[i]);
        clear_whole(pt, resize->detached[i].table, resize->detached[i].level);
    }
    table_pool_free_list(pt->pool, &gather->freed);
    *gather = pt_gather_empty();
    resize->detached_count = 0;
}

/* A table went off the tree; it translated from `va` on. */
static void detach(struct pt *pt, struct resize *resize, uint64_t va, const struct detached *detached)
{
    const uint64_t last = va + low_mask(table_shift(detached->level));
    struct pt_gather *gather = &resize->gather;

    if (resize->detached_count == MERGE_DETACHED_MAX ||
        (pt->features & PT_FLUSH_RANGE_NO_GAPS && gather_is_disjoint(gather, va, last)))
        sync_detached(pt, resize);
    gather_add(gather, va, last);
    retire_whole(pt, &gather->freed, detached->table, detached->level);
    resize->detached[resize->detached_count++] = *detached;
}

/* ---- larger leaves ----------------------------------------------------------------------------------------------- */

/* The largest size that may start here and ends in the strip; 0: none. */
static unsigned block_shift(const struct resize *resize, const struct span *strip)
{
    const unsigned limit = (unsigned)min_u64(trailing_zeros(strip->va | strip->oa), log2_floor(strip->length));
    const uint64_t fitting = resize->sizes & low_mask(limit + 1);

    return fitting ? log2_floor(fitting) : 0;
}

/* May the format make one leaf of these items? */
static bool merge_is_allowed(const pt_item_t *items, unsigned count, unsigned level)
{
    if (!FMT(RESIZES_IN_PLACE) && count > 1) return false;
    for (unsigned i = 0; !FMT(EXCHANGES_TABLES) && i < count; i++) {
        if (FMT(is_table)(pt_sync_load(&items[i]), level)) return false;
    }
    return true;
}

/* What becomes of one item of a block. */
struct merge {
    pt_item_t *at;
    uint64_t va, oa; /* oa: what the item holds */
    uint64_t attrs;  /* without marks */
    unsigned shift;  /* of the new leaf */
};

/* Exchange an item for its part of the new leaf, with the marks that it, or the leaves below it, has. */
static void merge_item(struct pt *pt, struct resize *resize, const struct merge *merge)
{
    const unsigned level = resize->walk.level;
    uint64_t item = pt_sync_load(merge->at);
    uint64_t leaf;

    do {
        uint64_t marks =
            FMT(is_table)(item, level) ? subtree_marks(pt, table_of_item(pt, item), level - 1) : leaf_marks(pt, item);

        if (FAULT(PT_MERGE_LOSES_DIRTY) && FMT(is_dirty)(marks)) {
            marks = FMT(clear_dirty)(marks);
            fault_triggered();
        }
        leaf = FMT(leaf_item)(merge->attrs | marks, merge->oa, level, merge->shift);
    } while (!pt_sync_exchange(merge->at, &item, leaf));
    if (is_incoherent(pt)) flush(pt, merge->at, 0, 1);
    if (FMT(is_table)(item, level))
        detach(pt, resize, merge->va, &(struct detached){ table_of_item(pt, item), merge->at, level - 1 });
}

/* Make the leaves over the first 2^shift bytes of the strip one. The walk is at the first of them. */
static int merge_block(struct pt *pt, struct resize *resize, const struct span *strip, unsigned shift)
{
    const unsigned level = level_of_shift(shift);
    const unsigned count = 1u << (shift - item_shift(level));
    pt_item_t *items = walk_item(pt, &resize->walk, strip->va, level);

    if (resize->is_rehearsal) return merge_is_allowed(items, count, level) ? 0 : -EOPNOTSUPP;
    resize->walk.level = level; /* tables below go */
    for (unsigned i = 0; i < count; i++) {
        const uint64_t offset = (uint64_t)i << item_shift(level);
        const struct merge merge = { .at = &items[i],
                                     .va = strip->va + offset,
                                     .oa = strip->oa + (FMT(RUN_ITEMS_ADVANCE) ? offset : 0),
                                     .attrs = strip->attrs,
                                     .shift = shift };

        merge_item(pt, resize, &merge);
    }
    return 0;
}

/* The smallest size that a merge can make; 0: none. Blocks of any size start at multiples of it. */
static uint64_t smallest_block(const struct resize *resize)
{
    const uint64_t sizes = resize->sizes & ~low_mask(FMT(GRANULE_SHIFT) + 1);

    return sizes & -sizes;
}

/* Leaves that follow each other in both spaces and are alike: make each block of them that can be a leaf one. */
static int merge_strip(struct pt *pt, struct resize *resize, struct span strip)
{
    const uint64_t block = smallest_block(resize);

    if ((strip.va ^ strip.oa) & (block - 1)) return 0;
    for (;;) {
        uint64_t step = -strip.va & (block - 1); /* to where a block may start */

        if (step == 0 && strip.length >= block) {
            const struct found found = walk_to(pt, &resize->walk, strip.va);
            const unsigned shift = block_shift(resize, &strip);
            const int error = shift > found.shift ? merge_block(pt, resize, &strip, shift) : 0;

            if (error) return error;
            step = bit(shift > found.shift ? shift : found.shift);
            if (step < block) step = block;
        }
        if (step == 0 || step >= strip.length) return 0;
        strip.va += step;
        strip.oa += step;
        strip.length -= step;
    }
}

/* Does `leaf` go on where `strip` ends? No block crosses a multiple of the largest size: a strip ends there. */
static bool strip_continues(const struct resize *resize, const struct span *strip, const struct span *leaf)
{
    if (strip->length == 0 || is_aligned(leaf->va, log2_floor(resize->sizes))) return false;
    if (strip->va + strip->length != leaf->va || strip->oa + strip->length != leaf->oa) return false;
    return strip->attrs == leaf->attrs;
}

/*
 * How many leaves from the one found on, which starts at `va`, are alike in all but marks and follow each other: in its
 * table, in the range, and up to the next multiple of the largest size, or of its own if that is larger.
 */
static uint64_t alike_leaves(const struct pt *pt, const struct resize *resize, const struct found *found, uint64_t va)
{
    const unsigned level = resize->walk.level;
    const uint64_t item = pt_sync_load(found->items), oa = FMT(leaf_address)(pt, item, level);
    const uint64_t marks = FMT(hardware_bits)(pt, level), step = FMT(leaf_step)(found->shift);
    uint64_t end = va | low_mask(table_shift(level));
    uint64_t limit;

    if (found->shift < log2_floor(resize->sizes)) end = min_u64(end, va | low_mask(log2_floor(resize->sizes)));
    end = min_u64(end, resize->last);
    limit = min_u64(linear_leaves(oa, found->shift), ((low_mask(pt->oa_bits) - oa) >> found->shift) + 1);
    limit = min_u64(limit, ((end - va - low_mask(found->shift)) >> found->shift) + 1);
    for (uint64_t i = 1; i < limit; i++) {
        if ((pt_sync_load(&found->items[i * found->count]) ^ (item + i * step)) & ~marks) return i;
    }
    return limit;
}

/* Merge what can be merged of the leaves that lie inside the range. */
static int merge_range(struct pt *pt, struct resize *resize)
{
    struct span strip = { 0 };
    uint64_t va = resize->start;

    if (!smallest_block(resize)) return 0;
    for (;;) {
        const struct found found = walk_to(pt, &resize->walk, va);
        const uint64_t first = align_down(va, found.shift);
        uint64_t last = first + low_mask(found.shift);
        struct span leaf = { first, 0, 0, 0 };

        if (found.kind == PT_LEAF && first >= resize->start && last <= resize->last) {
            const uint64_t item = pt_sync_load(found.items);
            const uint64_t length = alike_leaves(pt, resize, &found, first) << found.shift;

            last = first + length - 1;
            leaf.oa = FMT(leaf_address)(pt, item, resize->walk.level);
            leaf.attrs = FMT(leaf_attrs)(pt, item) & ~FMT(hardware_bits)(pt, 0);
            if (found.shift < log2_floor(resize->sizes)) leaf.length = length; /* or it is large enough */
        }
        if (leaf.length > 0 && strip_continues(resize, &strip, &leaf)) {
            strip.length += leaf.length;
        } else {
            const int error = merge_strip(pt, resize, strip);

            if (error) return error;
            strip = leaf;
        }
        if (last >= resize->last) return merge_strip(pt, resize, strip);
        va = last + 1;
    }
}
