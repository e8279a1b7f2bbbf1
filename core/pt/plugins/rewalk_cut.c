/* Splitting a live leaf: every part is built on the side, then each item of the leaf is exchanged once. See rewalk.c.
 */
#include "rewalk.h"

/* A leaf that is being split: what its parts are made of. */
struct cut {
    struct ptp_map whole; /* prot is not used: attrs are */
    uint64_t at;          /* where the second part begins */
    uint64_t attrs;       /* of the leaf, without address and size */
    uint64_t sizes;       /* that parts may have */
};

/* An item of a part: the leaf's attributes at another address and size. */
static uint64_t part_item(const struct ptp_table *table, const struct cut *cut, uint64_t iova, unsigned shift)
{
    const unsigned level = (shift - 12) / 9;
    const uint64_t item = cut->attrs | (cut->whole.pa + (iova - cut->whole.iova));

    if (table->kind == X86_64) return item | (level > 0 ? X86_LARGE : 0);
    return shift == item_shift(level) ? item : item | AMD_LEVEL | LOW(shift - 13) << 12;
}

/* The largest leaf at `iova` of its side of the cut, inside `room` bytes. */
static unsigned part_shift(const struct cut *cut, uint64_t iova, uint64_t room)
{
    const uint64_t end = iova < cut->at ? cut->at : cut->whole.iova + cut->whole.length;
    const uint64_t both = iova | (cut->whole.pa + (iova - cut->whole.iova));
    const uint64_t length = end - iova < room ? end - iova : room;
    uint64_t fitting = cut->sizes & LOW(log2_of(length) + 1);

    if (both) fitting &= both ^ (both - 1);
    return log2_of(fitting);
}

/* A table of `level` with what an item at `iova` translated; NULL: no memory, nothing left. */
static uint64_t *build_part(struct ptp_table *table, const struct cut *cut, uint64_t iova, unsigned level)
{
    const struct ptp_host *host = table->host;
    uint64_t *items = host->alloc_table(host->context, TABLE_BYTES, TABLE_BYTES);
    unsigned i = 0;

    while (items && i < TABLE_ITEMS) {
        const uint64_t at = iova + ((uint64_t)i << item_shift(level));
        const unsigned shift = part_shift(cut, at, (uint64_t)(TABLE_ITEMS - i) << item_shift(level));
        uint64_t *below = NULL;

        if (shift < item_shift(level)) {
            below = build_part(table, cut, at, level - 1);
            if (!below) {
                free_below(table, items, level, TABLE_ITEMS);
                return NULL;
            }
            store(&items[i++], table_item(table, below, level) | (is_incoherent(table) ? X86_FLUSHED : 0));
            continue;
        }
        for (unsigned end = i + (1u << (shift - item_shift(level))); i < end; i++)
            store(&items[i], part_item(table, cut, at, shift));
    }
    if (items && is_incoherent(table)) host->flush(host->context, items, 0, TABLE_BYTES);
    return items;
}

/* Every part of a new table is dirty: hardware wrote through the old leaf meanwhile. */
static void mark_all_dirty(struct ptp_table *table, uint64_t *items, unsigned level)
{
    for (unsigned i = 0; i < TABLE_ITEMS; i++) {
        if (is_table(table, load(&items[i]), level))
            mark_all_dirty(table, child_of(table, load(&items[i])), level - 1);
        else
            store(&items[i], load(&items[i]) | AMD_DIRTY);
    }
}

/* Exchange an item of the old leaf for `desired`, or for the table `below`; a dirty bit set meanwhile is carried over.
 */
static void exchange(struct ptp_table *table, const struct place *at, uint64_t desired, uint64_t *below)
{
    uint64_t old = load(at->item);

    do {
        if (!below) desired |= old & AMD_DIRTY; /* the same bit in both formats */
        if (below && old & AMD_DIRTY) mark_all_dirty(table, below, at->level - 1);
    } while (!__atomic_compare_exchange_n(at->item, &old, desired, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    flush(table, at, 1);
    if (below && is_incoherent(table)) store(at->item, load(at->item) | X86_FLUSHED);
}

static void begin_cut(const struct ptp_table *table, struct cut *cut, const struct leaf *leaf, uint64_t iova)
{
    const uint64_t item = load(leaf->at.item);
    const uint64_t size_bits = table->kind == AMDV1 ? AMD_LEVEL : X86_LARGE;

    cut->whole.iova = iova & ~LOW(leaf->shift);
    cut->whole.pa = item & table->address & ~LOW(leaf->shift);
    cut->whole.length = BIT(leaf->shift);
    cut->at = iova;
    cut->attrs = (item & ~(ADDRESS | size_bits)) | (item & table->c_bit);
    if (is_dirty(leaf)) cut->attrs |= AMD_DIRTY;
    cut->sizes = table->page_sizes | (BIT(item_shift(leaf->at.level)) & leaf_sizes(table->kind, leaf->at.level));
}

static void split(struct ptp_table *table, const struct cut *cut, const struct leaf *leaf, uint64_t *below)
{
    const unsigned item = item_shift(leaf->at.level);
    unsigned i = 0;

    while (i < leaf->count) {
        const uint64_t start = cut->whole.iova + ((uint64_t)i << item);
        const unsigned shift = part_shift(cut, start, cut->whole.length);
        struct place at = { leaf->at.table, leaf->at.item + i, leaf->at.level };

        if (cut->at > start && cut->at - start < BIT(item)) {
            exchange(table, &at, table_item(table, below, leaf->at.level), below);
            i++;
            continue;
        }
        for (unsigned end = i + (1u << (shift - item)); i < end; i++, at.item++)
            exchange(table, &at, part_item(table, cut, start, shift), NULL);
    }
}

/* Only the item that the cut passes through becomes a table; it is built before anything changes. */
int rewalk_cut(struct ptp_table *table, uint64_t iova, struct ptp_gather *gather)
{
    const unsigned top_most = limits_of(table->kind)->level_max;
    uint64_t *below = NULL;
    struct leaf leaf;
    struct cut cut;

    (void)gather;
    if (iova & ((table->page_sizes & -table->page_sizes) - 1)) return -ENXIO;
    if (!is_inside(table, top_most, iova, iova)) return -ERANGE;
    if (!is_inside(table, table->top_level, iova, iova)) return -ENOENT;
    leaf = find(table, iova);
    if (!leaf.is_there) return -ENOENT;
    if (!(iova & LOW(leaf.shift))) return 0;
    begin_cut(table, &cut, &leaf, iova);
    if (iova & LOW(item_shift(leaf.at.level))) {
        below = build_part(table, &cut, iova & ~LOW(item_shift(leaf.at.level)), leaf.at.level - 1);
        if (!below) return -ENOMEM;
    }
    split(table, &cut, &leaf, below);
    return 0;
}
