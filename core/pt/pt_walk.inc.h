/* Where things are in a table of this format: shifts, indexes, range checks, the walk that remembers its path. */

/* Size of what one item of `level` translates, and of what its table does. */
static inline unsigned item_shift(unsigned level)
{
    return FMT(GRANULE_SHIFT) + FMT(INDEX_BITS) * level;
}

static inline unsigned table_shift(unsigned level)
{
    return item_shift(level + 1);
}

/* Size of what a top table of `level` translates at most. */
static inline unsigned top_shift(unsigned level)
{
    return table_shift(level) + FMT(TOP_EXTRA_BITS);
}

static inline unsigned level_of_shift(unsigned shift)
{
    return (shift - FMT(GRANULE_SHIFT)) / FMT(INDEX_BITS);
}

static inline unsigned index_of(uint64_t va, unsigned level)
{
    return (unsigned)(va >> item_shift(level)) & low_mask(FMT(INDEX_BITS));
}

/* In the top table: all bits of the VA width count, and no bits beyond (sign extension). */
static inline unsigned top_index(const struct pt *pt, uint64_t va, unsigned level)
{
    return (unsigned)((va & pt->va_mask) >> item_shift(level));
}

static inline pt_item_t *table_of_item(const struct pt *pt, uint64_t item)
{
    return table_pool_pointer_at(pt->origin, FMT(table_address)(pt, item));
}

struct top {
    pt_item_t *table;
    unsigned level;
};

static inline struct top load_top(const struct pt *pt)
{
    uint64_t word = atomic_load_explicit(&pt->top, memory_order_acquire);
    const unsigned level = (unsigned)(word & 7);

    if (FAULT(PT_TOP_READ_TWICE)) {
        pt_sync_before((const pt_item_t *)(const void *)&pt->top); /* here is the window: hitless_test looks in */
        word = atomic_load(&pt->top);
        if ((word & 7) != level) fault_triggered();
    }
    return (struct top){ table_pool_pointer_at(pt->origin, word & ~UINT64_C(7)), level };
}

/* Does a table with this top decode [va, last]? Both ends must lie in one half of a sign-extended table. */
static inline bool range_is_inside(const struct pt *pt, unsigned top_level, uint64_t va, uint64_t last)
{
    unsigned decoded_bits = (unsigned)min_u64(top_shift(top_level), pt->va_bits);

    if (FAULT(PT_RANGE_BEYOND_WIDTH) && top_shift(top_level) > pt->va_bits) {
        fault_triggered();
        decoded_bits = top_shift(top_level);
    }
    if (FMT(FEATURES) & PT_SIGN_EXTEND && pt->features & PT_SIGN_EXTEND) {
        const int64_t upper = (int64_t)va >> (decoded_bits - 1);

        if (FAULT(PT_HOLE_IS_CROSSED) && upper == 0 && last >> (decoded_bits - 1) == 1) {
            fault_triggered();
            return true;
        }
        return (upper == 0 || upper == -1) && (int64_t)last >> (decoded_bits - 1) == upper;
    }
    if (FMT(FEATURES) & PT_UPPER_HALF && pt->features & PT_UPPER_HALF) return ~va >> decoded_bits == 0 && last >= va;
    if (FAULT(PT_UPPER_ADDRESS_ACCEPTED) && decoded_bits == pt->va_bits && decoded_bits < 64 &&
        ~last >> decoded_bits == 0) {
        fault_triggered();
        return true;
    }
    return decoded_bits >= 64 || last >> decoded_bits == 0;
}

/* A walk down the tree and along a range: tables[level .. top_level] are those that hold `va`'s items. */
struct walk {
    pt_item_t *tables[FMT(LEVEL_MAX) + 1];
    uint64_t va;
    unsigned level;
    unsigned top_level;
    struct pt_gather gather; /* map only: empty tables that were replaced by leaves */
};

static inline void walk_start(const struct pt *pt, struct walk *walk)
{
    const struct top top = load_top(pt);

    walk->tables[top.level] = top.table;
    walk->level = top.level;
    walk->top_level = top.level;
    walk->va = 0;
}

/* The lowest level from `level` up whose remembered table holds `va` too. */
static inline unsigned walk_reuse(const struct walk *walk, uint64_t va, unsigned level)
{
    if (level < walk->level) level = walk->level;
    while (level < walk->top_level && (va ^ walk->va) >> table_shift(level)) level++;
    return level;
}

static inline pt_item_t *walk_item(const struct pt *pt, const struct walk *walk, uint64_t va, unsigned level)
{
    return walk->tables[level] + (level == walk->top_level ? top_index(pt, va, level) : index_of(va, level));
}

/* What a walk met: the first item of the leaf, or the empty item. */
struct found {
    enum pt_kind kind; /* PT_LEAF or PT_EMPTY */
    unsigned shift;    /* of the leaf, or of what the empty item would translate */
    unsigned count;    /* items */
    pt_item_t *items;
};

static inline struct found walk_to(const struct pt *pt, struct walk *walk, uint64_t va)
{
    unsigned level = walk_reuse(walk, va, 0);
    pt_item_t *at = walk_item(pt, walk, va, level);
    uint64_t item = pt_sync_load(at);
    struct found found = { PT_EMPTY, 0, 1, at };

    while (FMT(is_table)(item, level)) {
        level--;
        walk->tables[level] = table_of_item(pt, item);
        at = walk->tables[level] + index_of(va, level);
        item = pt_sync_load(at);
    }
    walk->level = level;
    walk->va = va;
    found.kind = FMT(kind)(item, level);
    found.shift = item_shift(level);
    found.items = at;
    if (FMT(HAS_RUNS) && found.kind == PT_LEAF) {
        found.shift = FMT(leaf_shift)(item, level);
        found.count = 1u << (found.shift - item_shift(level));
        found.items = at - ((va >> item_shift(level)) & (found.count - 1));
    }
    return found;
}

/* Is any item of the run dirty? */
static bool run_is_dirty(const pt_item_t *items, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (FMT(is_dirty)(pt_sync_load(&items[i]))) return true;
    }
    return false;
}

/* Write items [first, first + count) of `table` back for a walker that does not snoop. */
static __attribute__((noinline)) void flush(struct pt *pt, const pt_item_t *table, unsigned first, unsigned count)
{
    const uint64_t address = table_pool_address(pt->pool, table);

    pt->hooks->flush(pt->context, hpa(align_down(address, 12)), (unsigned)(address & 0xfff) + first * 8, count * 8);
}

static inline bool is_incoherent(const struct pt *pt)
{
    return FMT(FEATURES) & PT_DMA_INCOHERENT && pt->features & PT_DMA_INCOHERENT;
}

/*
 * Where a call writes to a table more than once, one flush of all of it does (formats.md 2.12): what each level's table
 * waits for, with the items between. An ascending walk comes to each table once.
 */
struct unflushed {
    struct {
        const pt_item_t *table; /* NULL: none */
        const pt_item_t *first, *end;
    } levels[FMT(LEVEL_MAX) + 1];
};

static __attribute__((noinline, cold)) void flush_level(struct pt *pt, struct unflushed *waiting, unsigned level)
{
    if (waiting->levels[level].table)
        flush(pt, waiting->levels[level].first, 0,
              (unsigned)(waiting->levels[level].end - waiting->levels[level].first));
    waiting->levels[level].table = NULL;
}

/* Items [first, end) of the walk's table, above all that waits there. */
static __attribute__((noinline, cold)) void note_unflushed(struct pt *pt, const struct walk *walk,
                                                           struct unflushed *waiting, const pt_item_t *first,
                                                           const pt_item_t *end)
{
    if (first == end) return;
    if (waiting->levels[walk->level].table != walk->tables[walk->level]) {
        flush_level(pt, waiting, walk->level);
        waiting->levels[walk->level].table = walk->tables[walk->level];
        waiting->levels[walk->level].first = first;
    }
    waiting->levels[walk->level].end = end;
}

/* The end of the call: before it returns, and before the sync of what it removed. */
static __attribute__((noinline, cold)) void flush_rest(struct pt *pt, struct unflushed *waiting)
{
    for (unsigned level = 0; level <= FMT(LEVEL_MAX); level++) flush_level(pt, waiting, level);
}

/* Is there a gap between what `gather` holds and [first, last]? Touching ranges have none. */
static inline bool gather_is_disjoint(const struct pt_gather *gather, uint64_t first, uint64_t last)
{
    const uint64_t begin = gather->first.value;
    const uint64_t end = gather->last.value;

    return pt_gather_has_range(gather) && ((first > end && first - end > 1) || (begin > last && begin - last > 1));
}

/* Extend what `gather` will flush by [first, last]. */
static inline void gather_add(struct pt_gather *gather, uint64_t first, uint64_t last)
{
    gather->first.value = min_u64(gather->first.value, first);
    gather->last.value = max_u64(gather->last.value, last);
}

/* As gather_add, with the tables that went too. Where gaps are not allowed, what is gathered so far is synced first. */
static inline void gather_removed(struct pt *pt, struct pt_gather *gather, uint64_t first, uint64_t last,
                                  struct table_list *freed)
{
    if (pt->features & PT_FLUSH_RANGE_NO_GAPS && gather_is_disjoint(gather, first, last)) pt_gather_sync(pt, gather);
    if (FAULT(PT_NO_GAPS_GATHERS_NOTHING) && pt->features & PT_FLUSH_RANGE_NO_GAPS)
        fault_triggered();
    else
        gather_add(gather, first, last);
    if (FAULT(PT_LIST_SPLICED_TWICE) && freed->count) {
        struct table_list again = *freed;

        fault_triggered();
        table_pool_splice(pt->pool, &gather->freed, &again);
    }
    table_pool_splice(pt->pool, &gather->freed, freed);
}

/* Free the subtree below `table`, and the table. Recursion is bounded by the level. */
static void free_subtree(struct pt *pt, pt_item_t *table, unsigned level, unsigned item_count)
{
    for (unsigned i = 0; level > 0 && i < item_count; i++) {
        const uint64_t item = pt_sync_load(&table[i]);

        if (FMT(kind)(item, level) == PT_TABLE)
            free_subtree(pt, table_of_item(pt, item), level - 1, 1u << FMT(INDEX_BITS));
    }
    table_pool_free_dirty(pt->pool, table);
}
