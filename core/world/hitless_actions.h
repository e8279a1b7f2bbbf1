/* What hitless_test.c does to a leaf: prepare, then the change whose every store is watched. */
#pragma once

#include "world/hitless_scene.h"

enum {
    NOT_HERE = 1, /* an action makes no sense for this leaf */
    PAGES_MAX = 512,
    PARTS_MAX = 1024,
};

static bool is_page(const struct scene *s)
{
    return bit(s->shift) == s->granule;
}

/* Lists lead to the leaf's own target, with halves or with pages in pairs exchanged. */
enum turn { STRAIGHT, HALVES, PAGES };

static uint64_t turned(const struct scene *s, enum turn turn, uint64_t offset)
{
    if (turn == HALVES && !is_page(s)) return offset ^ bit(s->shift - 1);
    return turn == PAGES && !is_page(s) ? offset ^ s->granule : offset;
}

struct action {
    const char *name;
    int (*prepare)(struct scene *s); /* unobserved. NULL: nothing to do; 0, NOT_HERE, -EOPNOTSUPP */
    int (*run)(struct scene *s);
    enum fate fate; /* of what lies in [first, last] of the leaf */
    bool is_misaligned, is_partial;
    enum turn turn; /* lists: where a byte of the leaf leads */
};

static int map_leaf(struct scene *s)
{
    return fixture_map(&s->f, s->va, s->pa, bit(s->shift), RW);
}

/* By smallest pages: the target is one off. */
static int map_pages(struct scene *s)
{
    if (is_page(s) || bit(s->shift) / s->granule > PAGES_MAX) return NOT_HERE;
    return fixture_map(&s->f, s->va, s->pa + s->granule, bit(s->shift), RW);
}

static int can_map_pages(struct scene *s)
{
    return is_page(s) || bit(s->shift) / s->granule > PAGES_MAX ? NOT_HERE : 0;
}

/* The leaf by a list of pieces of `length`. */
static int map_list(struct scene *s, enum turn turn, uint64_t length)
{
    static struct pt_piece pieces[PAGES_MAX];
    const struct pt_list list = { pieces, bit(s->shift) / length };

    if (list.count > PAGES_MAX) return NOT_HERE;
    for (size_t i = 0; i < list.count; i++)
        pieces[i] = (struct pt_piece){ hpa(s->pa + turned(s, turn, i * length)), length };
    return pt_map_list(&s->f.pt, iova(s->va), &list, RW, &s->f.mapped);
}

static int map_list_halves(struct scene *s)
{
    return map_list(s, HALVES, is_page(s) ? s->granule : bit(s->shift - 1));
}

static int map_list_pages(struct scene *s)
{
    return is_page(s) ? NOT_HERE : map_list(s, PAGES, s->granule);
}

/* Parts in their order, which one leaf spans. */
static int map_list_parts(struct scene *s)
{
    return map_list(s, STRAIGHT, max_u64(bit(s->shift) / 8, s->granule));
}

static int map_list_until_blocked(struct scene *s)
{
    return map_list_pages(s) == -EADDRINUSE && s->f.mapped == bit(s->shift - 1) ? 0 : -EIO;
}

static int leave_empty_tables(struct scene *s)
{
    if (is_page(s)) return NOT_HERE;
    kunit_map_ok(&s->f, s->va, 0, s->granule);
    return fixture_unmap(&s->f, s->va, s->granule) == s->granule ? 0 : -EIO;
}

static int block_middle(struct scene *s)
{
    if (can_map_pages(s) != 0) return NOT_HERE;
    return fixture_map(&s->f, s->va + bit(s->shift - 1), 3 * s->granule, s->granule, RW);
}

static int map_pages_until_blocked(struct scene *s)
{
    return map_pages(s) == -EADDRINUSE && s->f.mapped == bit(s->shift - 1) ? 0 : -EIO;
}

static int unmap_all(struct scene *s)
{
    return fixture_unmap(&s->f, s->va, bit(s->shift)) == bit(s->shift) ? 0 : -EIO;
}

/* The lower half without its first page. */
static int unmap_part(struct scene *s)
{
    const uint64_t length = bit(s->shift - 1) - s->granule;

    if (length == 0) return 0;
    return fixture_unmap(&s->f, s->va + s->granule, length) == length ? 0 : -EIO;
}

/* What is handed over lies in the leaf's memory, and is all of what was asked. */
struct handed {
    const struct scene *s;
    uint64_t next, bytes;
};

static void take_memory(void *context, iova_t start, hpa_t target, uint64_t length)
{
    struct handed *handed = context;

    if (start.value != handed->next || fixture_phys(&handed->s->f, start.value) != UINT64_MAX ||
        target.value - handed->s->pa > bit(handed->s->shift))
        fail_at(handed->s, &handed->s->probes[0], "a wrong report");
    handed->next += length;
    handed->bytes += length;
}

static int unmap_ranges(struct scene *s, uint64_t offset, uint64_t length)
{
    struct pt_gather gather = pt_gather_empty();
    struct handed handed = { s, s->va + offset, 0 };
    const struct pt_receiver receiver = { take_memory, &handed };
    const uint64_t removed = pt_unmap_ranges(&s->f.pt, iova(s->va + offset), length, &gather, &receiver);

    pt_gather_sync(&s->f.pt, &gather);
    return removed == length && handed.bytes == length ? 0 : -EIO;
}

static int unmap_all_ranges(struct scene *s)
{
    return unmap_ranges(s, 0, bit(s->shift));
}

static int unmap_part_ranges(struct scene *s)
{
    const uint64_t length = bit(s->shift - 1) - s->granule;

    return length ? unmap_ranges(s, s->granule, length) : 0;
}

static int map_leaf_to_split(struct scene *s)
{
    return is_page(s) ? NOT_HERE : map_leaf(s);
}

static int cut_middle(struct scene *s)
{
    return pt_cut(&s->f.pt, iova(s->va + bit(s->shift - 1)));
}

static int cut_first_page(struct scene *s)
{
    return pt_cut(&s->f.pt, iova(s->va + s->granule));
}

static int resize_to(struct scene *s, uint64_t max_leaf)
{
    return pt_resize_range(&s->f.pt, iova(s->va), bit(s->shift), max_leaf);
}

/* The next smaller size, often of a run. */
static int split_a_little(struct scene *s)
{
    return resize_to(s, bit(log2_floor(s->f.pt.page_sizes & low_mask(s->shift))));
}

/* The items of the level below; 0: there is none, or there are too many. */
static uint64_t lower_item(const struct scene *s)
{
    const struct pt_geometry *geometry = &s->f.pt.engine->geometry;
    const unsigned level = (s->shift - geometry->granule_shift) / geometry->index_bits;
    const uint64_t size = level ? bit(kunit_item_shift(&s->f, level - 1)) : 0;

    return size & s->f.pt.page_sizes && bit(s->shift) / size <= PARTS_MAX ? size : 0;
}

static int map_leaf_over_tables(struct scene *s)
{
    return lower_item(s) ? map_leaf(s) : NOT_HERE;
}

static int split_to_tables(struct scene *s)
{
    return resize_to(s, lower_item(s));
}

static int merge(struct scene *s)
{
    return resize_to(s, bit(s->shift));
}

static int prepare_merge_of_halves(struct scene *s)
{
    const int error = map_leaf_to_split(s);

    return error ? error : split_a_little(s);
}

static int prepare_merge_of_table(struct scene *s)
{
    const int error = map_leaf_over_tables(s);

    return error ? error : split_to_tables(s);
}

/* Tables below tables. */
static int prepare_merge_of_tree(struct scene *s)
{
    const int error = prepare_merge_of_table(s);

    return error ? error : cut_first_page(s);
}

static int set_dirty(struct scene *s)
{
    return pt_set_dirty(&s->f.pt, iova(s->va + bit(s->shift) / 2));
}

static void note_report(void *context, iova_t start, uint64_t length)
{
    struct scene *s = context;

    for (unsigned i = 0; i < s->probe_count; i++) {
        if (s->probes[i].va - start.value < length) s->probes[i].was_reported = true;
    }
}

static int clear_dirty(struct scene *s)
{
    struct pt_gather gather = pt_gather_empty();
    const int error = pt_read_and_clear_dirty(&s->f.pt, iova(s->va), bit(s->shift), 0, note_report, s, &gather);

    pt_gather_sync(&s->f.pt, &gather);
    return error;
}

static int map_dirty_leaf(struct scene *s)
{
    const int error = map_leaf(s);

    return error ? error : set_dirty(s);
}

static int map_dirty_pages(struct scene *s)
{
    const int error = map_pages(s);

    return error ? error : set_dirty(s);
}

static int map_leaf_to_grow(struct scene *s)
{
    const struct pt_geometry *geometry = &s->f.pt.engine->geometry;
    struct pt_info info;

    pt_get_info(&s->f.pt, &info);
    if (!(info.features & PT_DYNAMIC_TOP) || info.top_level >= geometry->level_max) return NOT_HERE;
    return map_leaf(s);
}

/* A page at the very end: the taller tops lead to the tables that were there. */
static int grow_top(struct scene *s)
{
    const uint64_t place = align_down(kunit_last(s->config), trailing_zeros(s->granule)) - 16 * s->granule;
    const unsigned level = s->table.top_level;
    const int error = fixture_map(&s->f, place, 0, s->granule, RW);

    if (error) return error;
    return s->table.top_level > level || place < end_of(s) ? 0 : -EIO;
}

static const struct action actions[] = {
    { "map", NULL, map_leaf, APPEARS, false, false, STRAIGHT },
    { "map-pages", can_map_pages, map_pages, APPEARS, true, false, STRAIGHT },
    { "map-over-empty-tables", leave_empty_tables, map_leaf, APPEARS, false, false, STRAIGHT },
    { "map-until-blocked", block_middle, map_pages_until_blocked, APPEARS, true, false, STRAIGHT },
    { "map-list-halves", NULL, map_list_halves, APPEARS, false, false, HALVES },
    { "map-list-pages", can_map_pages, map_list_pages, APPEARS, false, false, PAGES },
    { "map-list-parts", NULL, map_list_parts, APPEARS, false, false, STRAIGHT },
    { "map-list-over-empty-tables", leave_empty_tables, map_list_parts, APPEARS, false, false, STRAIGHT },
    { "map-list-until-blocked", block_middle, map_list_until_blocked, APPEARS, false, false, PAGES },
    { "unmap", map_leaf, unmap_all, VANISHES, false, false, STRAIGHT },
    { "unmap-ranges", map_leaf, unmap_all_ranges, VANISHES, false, false, STRAIGHT },
    { "unmap-pages-ranges", map_list_pages, unmap_all_ranges, VANISHES, false, false, STRAIGHT },
    { "unmap-some-pages-ranges", map_list_pages, unmap_part_ranges, VANISHES, false, true, STRAIGHT },
    { "unmap-pages", map_pages, unmap_all, VANISHES, true, false, STRAIGHT },
    { "unmap-some-pages", map_pages, unmap_part, VANISHES, true, true, STRAIGHT },
    { "cut-middle", map_leaf_to_split, cut_middle, KEEPS, false, false, STRAIGHT },
    { "cut-first-page", map_leaf_to_split, cut_first_page, KEEPS, false, false, STRAIGHT },
    { "split-a-little", map_leaf_to_split, split_a_little, KEEPS, false, false, STRAIGHT },
    { "split-to-tables", map_leaf_over_tables, split_to_tables, KEEPS, false, false, STRAIGHT },
    { "merge-halves", prepare_merge_of_halves, merge, KEEPS, false, false, STRAIGHT },
    { "merge-table", prepare_merge_of_table, merge, KEEPS, false, false, STRAIGHT },
    { "merge-tree", prepare_merge_of_tree, merge, KEEPS, false, false, STRAIGHT },
    { "set-dirty", map_leaf, set_dirty, KEEPS, false, false, STRAIGHT },
    { "clear-dirty", map_dirty_leaf, clear_dirty, KEEPS, false, false, STRAIGHT },
    { "clear-dirty-pages", map_dirty_pages, clear_dirty, KEEPS, true, false, STRAIGHT },
    { "grow-top", map_leaf_to_grow, grow_top, KEEPS, false, false, STRAIGHT },
};
