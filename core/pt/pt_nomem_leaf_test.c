/* The failure sweep of cut and resize: what splits and merges leaves (pt_sweep.h). Map: pt_nomem_test.c. */
#include "pt/pt_sweep.h"

/* ---- cut and resize ---------------------------------------------------------------------------------------------- */

/* A leaf of `size` at `offset`, to be cut `distance` into it. False: something is in the way, or no such size. */
static bool aim_leaf(struct sweep *s, uint64_t offset, uint64_t size, uint64_t distance)
{
    if (!(s->f->pt.page_sizes & size) || !aim_aligned(s, offset, size) || s->pa & (size - 1)) return false;
    if (fixture_map(s->f, s->va, s->pa, size, RW) != 0) return false;
    s->undo_va = s->va;
    s->undo_length = distance;
    s->va += distance;
    return true;
}

static int run_cut(struct sweep *s)
{
    const int result = pt_cut(&s->f->pt, iova(s->va));

    if (result) s->undo_length = 0;
    return result;
}

static bool aim_cut_first(struct sweep *s)
{
    return aim_leaf(s, s->window + 32 * s->table, s->table, s->page);
}

static bool aim_cut_middle(struct sweep *s)
{
    return aim_leaf(s, s->window + 32 * s->table, s->table, s->table / 2 + s->page);
}

static bool aim_cut_run(struct sweep *s)
{
    const uint64_t run = run_size(s, 1, false);

    return run && aim_leaf(s, s->window + s->large_table, run, run / 2 + s->page);
}

static bool aim_cut_huge(struct sweep *s)
{
    return aim_leaf(s, 2 * s->window, s->large_table, s->large_table - s->page);
}

/* The largest leaf there is, a page before its middle: a table on every level below. */
static bool aim_cut_largest(struct sweep *s)
{
    unsigned shift = log2_floor(s->f->pt.page_sizes);

    while (!(s->f->pt.page_sizes & bit(shift)) || !kunit_fits(s->config, shift)) shift--;
    return aim_leaf(s, kunit_place(s->config, shift), bit(shift), bit(shift - 1) - s->page);
}

static const struct operation cuts[] = {
    { "cut behind a page", aim_cut_first, run_cut, NOTHING },
    { "cut at the middle", aim_cut_middle, run_cut, NOTHING },
    { "cut a run", aim_cut_run, run_cut, NOTHING },
    { "cut a huge leaf", aim_cut_huge, run_cut, NOTHING },
    { "cut the largest leaf", aim_cut_largest, run_cut, NOTHING },
};

static int run_resize(struct sweep *s)
{
    const int result = pt_resize_range(&s->f->pt, iova(s->va), s->length, s->max_leaf);

    s->undo_va = s->va;
    s->undo_length = result ? 0 : s->length;
    return result;
}

static bool aim_resize(struct sweep *s, uint64_t offset, uint64_t length, uint64_t max_leaf)
{
    if (!aim_aligned(s, offset, length) || s->pa & (length - 1) & (s->page - 1)) return false;
    s->max_leaf = max_leaf;
    return fixture_map(s->f, s->va, s->pa, length, RW) == 0;
}

/* A page, two large leaves (a run of them, perhaps) and a page, all to pages. */
static bool aim_down(struct sweep *s)
{
    return aim_resize(s, s->window + 32 * s->table - s->page, 2 * s->table + 2 * s->page, s->page);
}

/* Three large leaves that are none together. */
static bool aim_down_apart(struct sweep *s)
{
    const uint64_t all = s->f->pt.page_sizes;
    const uint64_t count = s->f->pt.engine->geometry.index_bits <= 9 ? 3 : 1;
    bool is_mapped;

    s->f->pt.page_sizes = s->page | s->table;
    is_mapped = aim_resize(s, s->window + 32 * s->table, count * s->table, s->table / 2);
    s->f->pt.page_sizes = all;
    return is_mapped;
}

static bool aim_down_run(struct sweep *s)
{
    const uint64_t run = run_size(s, 1, true);

    return run && run <= 4 * s->table && aim_resize(s, s->window + s->large_table, run, s->table / 2);
}

static bool aim_down_huge(struct sweep *s)
{
    return s->f->pt.page_sizes & s->large_table && aim_resize(s, 2 * s->window, s->large_table, s->table);
}

/* Merging makes room. */
static bool aim_up(struct sweep *s)
{
    const uint64_t all = s->f->pt.page_sizes;
    bool is_mapped;

    s->f->pt.page_sizes = s->page;
    is_mapped = aim_resize(s, s->window + 32 * s->table, s->table, s->table);
    s->f->pt.page_sizes = all;
    return is_mapped;
}

static const struct operation resizes[] = {
    { "resize to pages", aim_down, run_resize, BY_SPLITS },  { "resize apart", aim_down_apart, run_resize, BY_SPLITS },
    { "resize a run", aim_down_run, run_resize, BY_SPLITS }, { "resize huge", aim_down_huge, run_resize, BY_SPLITS },
    { "resize up", aim_up, run_resize, BY_SPLITS },
};

SWEEP(sweep_cut, cuts)
SWEEP(sweep_resize, resizes)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sweep_cut),
        cmocka_unit_test(sweep_resize),
    };

    return SWEEP_MAIN(tests, argc, argv);
}
