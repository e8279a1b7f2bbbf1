/*
 * Resize: no leaf of a range larger than asked, none smaller than need be (formats.md 6, "increase" and "decrease").
 * First every leaf that is too large is split, by the cut's means (pt_cut.inc.h); only this needs memory. Then blocks
 * of smaller leaves are merged (pt_merge.inc.h).
 */

static int split_leaf(struct pt *pt, struct resize *resize, const struct found *found, uint64_t va)
{
    const unsigned level = resize->walk.level;
    struct cut cut;

    if (found->count > 1 && !FMT(RESIZES_IN_PLACE)) return -EOPNOTSUPP;
    if (log2_floor(resize->sizes) < item_shift(level) && !FMT(EXCHANGES_TABLES)) return -EOPNOTSUPP;
    if (resize->is_rehearsal) return 0;
    cut_begin(pt, &cut, &resize->walk, found, va);
    cut.at = cut.end;
    cut.page_sizes = resize->sizes;
    return cut_apply(pt, &cut);
}

/* Split every leaf that overlaps the range and is too large. None lies in an aligned block of max_shift with a smaller
 * one, so one look at each block is enough. */
static int split_range(struct pt *pt, struct resize *resize)
{
    uint64_t va = resize->start;

    for (;;) {
        const struct found found = walk_to(pt, &resize->walk, va);
        const unsigned shift = found.shift > resize->max_shift ? found.shift : resize->max_shift;
        const uint64_t last = va | low_mask(shift);

        if (found.kind == PT_LEAF && found.shift > resize->max_shift) {
            const int error = split_leaf(pt, resize, &found, va);

            if (error) return error;
        }
        if (last >= resize->last) return 0;
        va = last + 1;
    }
}

/* Where a format may not do everything: look first, so that nothing is changed when something may not. */
static int rehearse(struct pt *pt, struct resize *resize)
{
    int error;

    if (FMT(RESIZES_IN_PLACE) && FMT(EXCHANGES_TABLES)) return 0;
    resize->is_rehearsal = true;
    error = split_range(pt, resize);
    if (!error) error = merge_range(pt, resize);
    resize->is_rehearsal = false;
    return error;
}

static int FMT(resize_range)(struct pt *pt, iova_t start, uint64_t length, uint64_t max_leaf)
{
    struct resize resize = { .start = start.value, .last = start.value + length - 1, .gather = pt_gather_empty() };
    int error;

    if (length == 0 || max_leaf == 0 || (max_leaf & (max_leaf - 1))) return -EINVAL;
    if (resize.last < resize.start) return -EOVERFLOW;
    resize.max_shift = log2_floor(max_leaf);
    resize.sizes = pt->page_sizes & low_mask(resize.max_shift + 1);
    if (!resize.sizes || !is_aligned(start.value | length, trailing_zeros(pt->page_sizes))) return -ENXIO;
    if (!range_is_inside(pt, FMT(LEVEL_MAX), resize.start, resize.last)) return -ERANGE;
    walk_start(pt, &resize.walk);
    resize.sizes &= low_mask(table_shift(resize.walk.top_level)); /* the top does not grow for a leaf */
    if (!resize.sizes) return 0;
    if (FMT(FEATURES) & PT_DYNAMIC_TOP && !range_is_inside(pt, resize.walk.top_level, resize.start, resize.last)) {
        if (!range_is_inside(pt, resize.walk.top_level, resize.start, resize.start)) return 0;
        resize.last = low_mask(top_shift(resize.walk.top_level)); /* nothing is mapped above */
    }
    error = rehearse(pt, &resize);
    if (!error) error = split_range(pt, &resize);
    if (!error) error = merge_range(pt, &resize);
    sync_detached(pt, &resize);
    return error;
}
