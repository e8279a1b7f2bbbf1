/*
 * Batches: a list of pieces mapped by one walk, and an unmap that hands over the memory it took away. They call what
 * plain map and unmap are made of and leave the text of both alone, so those cost what they did.
 */

/* ---- map ------------------------------------------------------------------------------------------------------- */

/* The pieces that are not read yet. */
struct piece_list {
    const struct pt_piece *next, *end;
};

/* A piece of nothing never joins: it is refused where it stands. */
static inline bool piece_joins(const struct pt_piece *piece, const struct span *run)
{
    return piece->target.value == run->oa + run->length && piece->length > 0 && run->length > 0 &&
           piece->length <= UINT64_MAX - run->length;
}

/*
 * Put the next run into run->oa and run->length: a piece and all behind it that continue it in memory, as Linux's
 * iommu_map_sg joins entries of a scatterlist. False: no more.
 */
static inline bool next_run(struct piece_list *list, struct span *run)
{
    if (list->next == list->end) return false;
    run->oa = list->next->target.value;
    run->length = list->next->length;
    for (list->next++; list->next != list->end && piece_joins(list->next, run); list->next++)
        run->length += list->next->length;
    return true;
}

/* Nothing is, but for a planted fault: the last run, when the others are mapped. */
static inline bool is_checked_late(const struct pt *pt, const struct piece_list *list, const struct span *run)
{
    if (!FAULT(PT_LIST_CHECKS_LAST_LATE) || list->next != list->end) return false;
    if (check_span(pt, run)) fault_triggered();
    return true;
}

/*
 * What pt_map_range would say to the arguments of each run in its turn: the first refusal, before any change. *whole
 * has the start; it becomes all that is to be mapped, its oa that of the first piece.
 */
static inline int check_list(const struct pt *pt, struct piece_list list, unsigned prot, struct span *whole)
{
    struct span run = *whole;
    bool has_wrapped = false;
    int error;

    whole->oa = list.next->target.value;
    if (!(prot & (PT_READ | PT_WRITE))) return -EINVAL;
    if (whole->oa >> pt->oa_bits) return -ERANGE;
    error = attrs_for(pt, prot, &whole->attrs);
    if (error) return error;
    while (next_run(&list, &run)) {
        if (run.va != whole->va && is_checked_late(pt, &list, &run)) {
            run.va += run.length;
            break;
        }
        if (run.oa >> pt->oa_bits) return -ERANGE;
        if (has_wrapped && run.length > 0) return -EOVERFLOW;
        error = check_span(pt, &run);
        if (error) return error;
        run.va += run.length;
        has_wrapped = run.va == 0;
    }
    whole->length = run.va - whole->va;
    if (whole->length == 0) return -EOVERFLOW; /* 2^64 bytes: *mapped could not say it */
    return check_hole(pt, whole);
}

/* Grow the top for all of the list at once, and start the walk below it. As in map_range: 0, -ERANGE, -ENOMEM. */
static inline int start_list(struct pt *pt, struct walk *walk, const struct span *whole, struct piece_list list)
{
    const uint64_t last = whole->va + whole->length - 1;
    struct span first = *whole;
    unsigned level;
    int error;

    next_run(&list, &first);
    level = level_of_shift(greedy_shift(pt->page_sizes, &first));
    walk->gather = pt_gather_empty();
    walk_start(pt, walk);
    if (range_is_inside(pt, walk->top_level, whole->va, last) && level <= walk->top_level) return 0;
    error = grow_top(pt, last, level);
    walk_start(pt, walk);
    return error;
}

/*
 * One smallest page, its item empty in a table that the walk stands in: most pieces of a scattered list. False: nothing
 * was done, the full path decides.
 */
static inline bool map_one_beside(struct pt *pt, struct walk *walk, struct span *span)
{
    pt_item_t *at;

    if (span->length != bit(FMT(GRANULE_SHIFT)) || is_incoherent(pt)) return false;
    if (walk_reuse(walk, span->va, 0) != 0) {
        if (!FAULT(PT_LIST_BESIDE_EDGE) || walk->level != 0) return false;
        fault_triggered();
    }
    at = walk_item(pt, walk, span->va, 0);
    if (pt_sync_peek(at) != 0) return false;
    pt_sync_store(at, FMT(leaf_item)(span->attrs, span->oa, 0, FMT(GRANULE_SHIFT)));
    walk->va = span->va;
    span->va += span->length;
    return true;
}

static int FMT(map_list)(struct pt *pt, iova_t start, const struct pt_list *asked, unsigned prot, uint64_t *mapped)
{
    static const struct pt_piece nothing;
    struct piece_list list = { asked->count ? asked->pieces : &nothing,
                               asked->count ? asked->pieces + asked->count : &nothing + 1 };
    struct span run = { start.value, 0, 0, 0 };
    struct unflushed waiting = { 0 };
    struct walk walk;
    int error = check_list(pt, list, prot, &run);

    *mapped = 0;
    if (!error) error = start_list(pt, &walk, &run, list);
    if (error) return error;
    while (!error && next_run(&list, &run)) {
        if (is_checked_late(pt, &list, &run) && (error = check_span(pt, &run)) != 0) break;
        if (map_one_beside(pt, &walk, &run)) continue;
        do {
            error = map_some(pt, &walk, &run, &waiting);
        } while (!error && run.length > 0);
    }
    *mapped = run.va - start.value;
    if (is_incoherent(pt)) flush_rest(pt, &waiting);
    finish_walk(pt, &walk);
    return error;
}

/* ---- unmap ------------------------------------------------------------------------------------------------------- */

/* Memory that was taken away and not reported yet, because more of it may follow. */
struct removal {
    const struct pt_receiver *receiver;
    uint64_t va, oa, length;
};

static inline void report_removal(const struct removal *removal)
{
    if (removal->length > 0)
        removal->receiver->report(removal->receiver->context, iova(removal->va), hpa(removal->oa), removal->length);
}

/* Leaves at the address behind those removed so far led to [oa, oa + length). */
static inline void add_removal(struct removal *removal, uint64_t oa, uint64_t length)
{
    if (oa == removal->oa + removal->length) {
        removal->length += length;
        return;
    }
    report_removal(removal);
    removal->va += removal->length;
    removal->oa = oa;
    removal->length = length;
}

/* clear_leaves (pt_unmap.inc.h), which looks at every item before it is gone. */
CLEAR_INLINE bool hand_over_leaves(struct pt *pt, struct walk *walk, uint64_t *va, const struct clearing *clearing,
                                   struct removal *removal)
{
    const unsigned level = walk->level;
    const unsigned shift = item_shift(level);
    pt_item_t *const first = walk_item(pt, walk, *va, level);
    pt_item_t *const end = items_end(walk, first, *va, clearing->last);
    pt_item_t *at = first;
    bool is_leaf = true;

    while (at < end) {
        const uint64_t item = pt_sync_load(at);
        unsigned run = 1;

        if ((item & FMT(single_mask)(level)) != FMT(single_value)(level)) {
            is_leaf = FMT(kind)(item, level) == PT_LEAF;
            if (!is_leaf) break;
            run = 1u << (FMT(leaf_shift)(item, level) - shift);
        }
        add_removal(removal, FMT(leaf_address)(pt, item, level), (uint64_t)run << shift);
        if (run == 1)
            pt_sync_store(at, 0);
        else
            pt_sync_fill(at, run, 0, 0);
        at += run;
    }
    if (clearing->waiting) note_unflushed(pt, walk, clearing->waiting, first, at);
    *va += (uint64_t)(at - first) << shift;
    return is_leaf;
}

/* clear_range (pt_unmap.inc.h) with a report. Returns the address behind the last leaf cleared. */
CLEAR_INLINE uint64_t hand_over_range(struct pt *pt, struct walk *walk, const struct clearing *clearing,
                                      struct removal *removal)
{
    uint64_t va = clearing->start;

    for (;;) {
        const struct found found = walk_to(pt, walk, va);
        bool is_leaf;

        if (found.kind != PT_LEAF) return va;
        if (!is_aligned(va, found.shift)) return va; /* inside a leaf: only at the start of the call */
        is_leaf = hand_over_leaves(pt, walk, &va, clearing, removal);
        walk->va = va - 1;
        if (is_leaf && is_aligned(va, table_shift(walk->level))) retire_covered(pt, walk, clearing);
        if (va - 1 >= clearing->last) return va;
        if (FAULT(PT_REPORT_LOST_AT_EDGE) && is_aligned(va, table_shift(0))) {
            fault_triggered();
            removal->va += removal->length;
            removal->length = 0;
        }
    }
}

/* As unmap_with (pt_unmap.inc.h), with a report. */
CLEAR_INLINE uint64_t hand_over_with(struct pt *pt, const struct span *asked, struct pt_gather *gather,
                                     const struct pt_receiver *receiver, struct unflushed *waiting)
{
    struct table_list freed = table_list_empty();
    const struct clearing clearing = { asked->va, asked->va + asked->length - 1, &freed, waiting };
    struct removal removal = { receiver, asked->va, 0, 0 };
    struct walk walk;
    uint64_t removed;

    if (asked->length == 0 || clearing.last < asked->va) return 0;
    walk_start(pt, &walk);
    if (!range_is_inside(pt, walk.top_level, asked->va, clearing.last)) return 0;
    removed = hand_over_range(pt, &walk, &clearing, &removal) - asked->va;
    if (waiting) flush_rest(pt, waiting);
    if (removed == 0) return removed_nothing(gather, asked->va);
    if (FAULT(PT_RECEIVER_MISSES_PARTIAL) && removed < asked->length)
        fault_triggered();
    else
        report_removal(&removal);
    gather_removed(pt, gather, asked->va, asked->va + removed - 1, &freed);
    return removed;
}

static __attribute__((noinline, cold)) uint64_t hand_over_incoherent(struct pt *pt, const struct span *asked,
                                                                     struct pt_gather *gather,
                                                                     const struct pt_receiver *receiver)
{
    struct unflushed waiting = { 0 };

    return hand_over_with(pt, asked, gather, receiver, &waiting);
}

static uint64_t FMT(unmap_ranges)(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *gather,
                                  const struct pt_receiver *receiver)
{
    const struct span asked = { start.value, 0, length, 0 };

    if (is_incoherent(pt)) return hand_over_incoherent(pt, &asked, gather, receiver);
    return hand_over_with(pt, &asked, gather, receiver, NULL);
}
