/*
 * The failure sweep of init, map and what needs no memory at all (pt_sweep.h). Cut and resize: pt_nomem_leaf_test.c.
 */
#include "pt/pt_sweep.h"

/* ---- map --------------------------------------------------------------------------------------------------------- */

static int run_map(struct sweep *s)
{
    int result;

    s->f->mapped = 7; /* is set, not added to */
    result = fixture_map(s->f, s->va + s->done, s->pa + s->done, s->length - s->done, RW);
    s->done += s->f->mapped;
    s->undo_va = s->va;
    s->undo_length = s->done;
    return result;
}

static bool aim_page(struct sweep *s)
{
    return aim_aligned(s, s->window + 5 * s->page, s->page);
}

static bool aim_large(struct sweep *s)
{
    return aim_aligned(s, s->window + s->table, s->table);
}

/* Three pages of the table below (a full one, perhaps), two large leaves, three pages. */
static bool aim_mixed(struct sweep *s)
{
    return aim_aligned(s, s->window - 3 * s->page, 2 * s->table + 6 * s->page);
}

/* As mixed, up to where a page of the sparse table is in the way. */
static bool aim_blocked(struct sweep *s)
{
    return aim_aligned(s, s->window - 3 * s->page, 2 * s->table + 12 * s->page);
}

/* A leaf of a whole table of large leaves, and a page. */
static bool aim_huge(struct sweep *s)
{
    return s->f->pt.page_sizes & s->large_table && aim_aligned(s, s->window, s->large_table + s->page);
}

/* Four pages, two on each side of an item of the top. */
static bool aim_boundary(struct sweep *s)
{
    struct pt_info info;

    pt_get_info(&s->f->pt, &info);
    return aim_at(s, bit(kunit_item_shift(s->f, info.top_level)) - 2 * s->page, 16 * s->page, 4 * s->page);
}

/* Pages only: the target is not aligned. Four lowest tables, where these are not large. */
static bool aim_tables(struct sweep *s)
{
    const uint64_t full = s->f->pt.engine->geometry.index_bits <= 9 ? 2 * s->table : 0;

    return aim_at(s, s->window + 4 * s->table - s->page, 3 * s->page, full + 2 * s->page);
}

/* Two pages at the end of the half: every level of it, and every taller top. */
static bool aim_last(struct sweep *s)
{
    return aim_at(s, align_down(kunit_last(s->config), trailing_zeros(s->page)) - 3 * s->page, 3 * s->page,
                  2 * s->page);
}

/* A leaf larger than all the top holds: the leaf alone wants a taller top. */
static bool aim_tall(struct sweep *s)
{
    struct pt_info info;
    unsigned shift;

    pt_get_info(&s->f->pt, &info);
    if (!(info.features & PT_DYNAMIC_TOP)) return false;
    shift = log2_floor(info.page_sizes);
    return shift >= kunit_item_shift(s->f, info.top_level + 1) && aim_at(s, 0, 0, bit(shift));
}

static const struct operation maps[] = {
    { "map a page", aim_page, run_map, BY_LEAVES },        { "map large", aim_large, run_map, BY_LEAVES },
    { "map mixed", aim_mixed, run_map, BY_LEAVES },        { "map into a leaf", aim_blocked, run_map, BY_LEAVES },
    { "map huge", aim_huge, run_map, BY_LEAVES },          { "map boundary", aim_boundary, run_map, BY_LEAVES },
    { "map many tables", aim_tables, run_map, BY_LEAVES }, { "map the end", aim_last, run_map, BY_LEAVES },
    { "map above the top", aim_tall, run_map, BY_LEAVES },
};

SWEEP(sweep_map, maps)

/* ---- map_list ---------------------------------------------------------------------------------------------------- */

/* What is left of the list behind s->done. */
static int run_list(struct sweep *s)
{
    struct pt_piece pieces[PIECES_MAX];
    struct pt_list list = { pieces, 0 };
    uint64_t before = 0, mapped = 7;
    int result;

    for (size_t i = 0; i < s->piece_count; before += s->pieces[i++].length) {
        const uint64_t skip = s->done > before ? min_u64(s->done - before, s->pieces[i].length) : 0;

        if (skip == s->pieces[i].length) continue;
        pieces[list.count++] = (struct pt_piece){ hpa(s->pieces[i].target.value + skip), s->pieces[i].length - skip };
    }
    result = pt_map_list(&s->f->pt, iova(s->va + s->done), &list, RW, &mapped);
    s->done += mapped;
    s->undo_va = s->va;
    s->undo_length = s->done;
    return result;
}

/* `count` pieces of `length` at va, in memory `stride` apart from pa on. */
static bool add_pieces(struct sweep *s, size_t count, uint64_t length, uint64_t stride)
{
    uint64_t target = s->piece_count ? s->pieces[s->piece_count - 1].target.value + stride : s->pa;

    for (size_t i = 0; i < count; i++, target += stride)
        s->pieces[s->piece_count++] = (struct pt_piece){ hpa(target), length };
    return true;
}

/* Pages here and there, over the edge of a full lower table. */
static bool aim_list_pages(struct sweep *s)
{
    return aim_at(s, s->window - 3 * s->page, 40 * s->page, 7 * s->page) && add_pieces(s, 7, s->page, 3 * s->page);
}

/* Pages downwards, then a large leaf in four parts, then pages. */
static bool aim_list_mixed(struct sweep *s)
{
    if (!aim_at(s, s->window - 3 * s->page, 64 * s->page, s->table + 6 * s->page)) return false;
    add_pieces(s, 3, s->page, -2 * s->page);
    s->pieces[s->piece_count++] = (struct pt_piece){ hpa(4 * s->table), s->table / 4 };
    add_pieces(s, 3, s->table / 4, s->table / 4);
    s->pieces[s->piece_count++] = (struct pt_piece){ hpa(s->page), s->page };
    return add_pieces(s, 2, s->page, 5 * s->page);
}

/* As mixed, up to where a page of the sparse table is in the way. */
static bool aim_list_blocked(struct sweep *s)
{
    if (!aim_at(s, s->window + 2 * s->table + 2 * s->page, 40 * s->page, 9 * s->page)) return false;
    return add_pieces(s, 9, s->page, 2 * s->page);
}

/* A lowest table for each piece. */
static bool aim_list_tables(struct sweep *s)
{
    const uint64_t length = min_u64(s->table, 512 * s->page);

    if (length != s->table) return false;
    return aim_at(s, s->window + 4 * s->table + s->page, 3 * s->page, 3 * length) &&
           add_pieces(s, 3, length, length + s->page);
}

/* Two pages on each side of an item of the top. */
static bool aim_list_boundary(struct sweep *s)
{
    return aim_boundary(s) && add_pieces(s, 4, s->page, 2 * s->page);
}

/* A leaf larger than all the top holds, in two parts. */
static bool aim_list_tall(struct sweep *s)
{
    return aim_tall(s) && add_pieces(s, 2, s->length / 2, s->length / 2);
}

static bool aim_list_last(struct sweep *s)
{
    return aim_last(s) && add_pieces(s, 2, s->page, 2 * s->page);
}

static const struct operation lists[] = {
    { "list of pages", aim_list_pages, run_list, BY_LEAVES },
    { "list mixed", aim_list_mixed, run_list, BY_LEAVES },
    { "list into a leaf", aim_list_blocked, run_list, BY_LEAVES },
    { "list of many tables", aim_list_tables, run_list, BY_LEAVES },
    { "list over a boundary", aim_list_boundary, run_list, BY_LEAVES },
    { "list above the top", aim_list_tall, run_list, BY_LEAVES },
    { "list to the end", aim_list_last, run_list, BY_LEAVES },
};

SWEEP(sweep_list, lists)

/* ---- what needs no memory ---------------------------------------------------------------------------------------- */

static bool aim_mapped(struct sweep *s)
{
    return aim_aligned(s, s->window + 31 * s->table + s->page, s->table) &&
           fixture_map(s->f, s->va, s->pa, s->length, RW) == 0;
}

static int run_unmap(struct sweep *s)
{
    return fixture_unmap(s->f, s->va, s->length) == s->length ? 0 : -EIO;
}

static void count_memory(void *context, iova_t start, hpa_t target, uint64_t length)
{
    struct sweep *s = context;

    assert_int_equal(start.value, s->va + s->done);
    assert_int_equal(target.value, s->pa + s->done);
    s->done += length;
}

static int run_unmap_ranges(struct sweep *s)
{
    struct pt_gather gather = pt_gather_empty();
    const struct pt_receiver receiver = { count_memory, s };
    const uint64_t removed = pt_unmap_ranges(&s->f->pt, iova(s->va), s->length, &gather, &receiver);

    pt_gather_sync(&s->f->pt, &gather);
    return removed == s->length && s->done == s->length ? 0 : -EIO;
}

static int run_dirty(struct sweep *s)
{
    struct pt_gather gather = pt_gather_empty();
    int result = pt_set_dirty(&s->f->pt, iova(s->va));

    if (!result) result = pt_read_and_clear_dirty(&s->f->pt, iova(s->va), s->length, 0, NULL, NULL, &gather);
    pt_gather_sync(&s->f->pt, &gather);
    return result;
}

static const struct operation frugal[] = {
    { "unmap", aim_mapped, run_unmap, NOTHING },
    { "unmap with reports", aim_mapped, run_unmap_ranges, NOTHING },
    { "dirty", aim_mapped, run_dirty, NOTHING },
};

static void on_sweep_no_memory_needed(struct fixture *f, const struct kunit_config *config)
{
    const unsigned points_before = points;

    sweep_table(f, config, frugal, sizeof(frugal) / sizeof(frugal[0]));
    assert_int_equal(points, points_before);
}
KUNIT_TEST(sweep_no_memory_needed)

/* One table, the top: nothing is left behind without it. */
static void on_sweep_init(struct fixture *f, const struct kunit_config *config)
{
    const struct engine *engine = f->pt.engine;

    pt_deinit(&f->pt);
    f->pool.allocations_left = 0;
    assert_int_equal(pt_init(&f->pt, engine, &f->config), -ENOMEM);
    assert_int_equal(f->pool.live_pages, 0);
    assert_int_equal(table_pool_find_dirty_free_page(&f->pool), POOL_NO_PAGE);
    f->pool.allocations_left = 1;
    assert_int_equal(pt_init(&f->pt, engine, &f->config), 0);
    assert_int_equal(table_pool_live_tables(&f->pool), 1);
    f->pool.allocations_left = POOL_NO_LIMIT;
    is_swept[config - kunit_configs] = true;
    points++;
}
KUNIT_TEST(sweep_init)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sweep_init),
        cmocka_unit_test(sweep_map),
        cmocka_unit_test(sweep_list),
        cmocka_unit_test(sweep_no_memory_needed),
    };

    return SWEEP_MAIN(tests, argc, argv);
}
