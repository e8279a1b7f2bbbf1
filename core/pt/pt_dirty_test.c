/*
 * What a dirty read does with part of a leaf (pt.h, "Sub-ranges"), on every configuration whose dirty bits can be read
 * and every leaf size: whole leaves are reported and cleaned, NO_CLEAR changes no byte, the gather gets what was
 * cleaned. Sequences with cut and resize: core/world/dirty_model_test.c.
 */
#include "pt/pt_bitmap.h"
#include "pt/pt_kunit.h"

enum { REPORTS_MAX = 8 };

struct range {
    uint64_t first, last;
};

struct reports {
    unsigned count;
    struct range ranges[REPORTS_MAX];
};

static void note_report(void *context, iova_t start, uint64_t length)
{
    struct reports *reports = context;

    assert_true(reports->count < REPORTS_MAX);
    reports->ranges[reports->count++] = (struct range){ start.value, start.value + (length - 1) };
}

/* One read; the gather, not synced. */
static struct pt_gather read_dirty(struct fixture *f, struct range range, unsigned flags, struct reports *reports)
{
    struct pt_gather gather = pt_gather_empty();

    f->syncs = f->flushes = 0;
    if (reports) reports->count = 0;
    assert_int_equal(pt_read_and_clear_dirty(&f->pt, iova(range.first), range.last - range.first + 1, flags,
                                             reports ? note_report : NULL, reports, &gather),
                     0);
    assert_int_equal(gather.freed.count, 0);
    assert_int_equal(f->syncs, 0);
    if (flags & PT_DIRTY_NO_CLEAR) {
        assert_false(pt_gather_has_range(&gather));
        assert_int_equal(f->flushes, 0);
    } else if (reports) { /* one item of each leaf is dirty: that one is written back */
        assert_int_equal(f->flushes, f->pt.features & PT_DMA_INCOHERENT ? reports->count : 0);
    }
    return gather;
}

static void assert_range(struct range a, uint64_t first, uint64_t last)
{
    assert_int_equal(a.first, first);
    assert_int_equal(a.last, last);
}

static void assert_gathered(const struct pt_gather *gather, uint64_t first, uint64_t last)
{
    assert_range((struct range){ gather->first.value, gather->last.value }, first, last);
}

/* Is no item of the leaf at [first, last] dirty? Looked up item by item, by the raw bits. */
static bool is_clean(const struct fixture *f, struct range leaf)
{
    const uint64_t step = bit(kunit_item_shift(f, kunit_find(f, leaf.first, 0).level));

    for (uint64_t offset = 0; offset <= leaf.last - leaf.first; offset += step) {
        const struct kunit_found found = kunit_find(f, leaf.first + offset, 0);

        assert_int_equal(found.decoded.kind, PT_LEAF);
        if (found.decoded.is_dirty) return false;
    }
    return true;
}

/* ---- scenes: a leaf, a page below it and a page above it, where there is room --------------------------------------
 */

struct scene {
    struct range leaf, below, above, all; /* below, above: first > last where there is none */
    uint64_t granule, item;
};

static bool exists(struct range range)
{
    return range.first <= range.last;
}

static struct scene open_scene(struct fixture *f, const struct kunit_config *config, unsigned shift)
{
    const uint64_t granule = kunit_granule(f);
    const uint64_t base = kunit_base(config, kunit_halves(config) - 1);
    const uint64_t place = kunit_place(config, shift);
    const uint64_t va = base | place;
    struct scene s = { { va, va + low_mask(shift) }, { 1, 0 }, { 1, 0 }, { va, va + low_mask(shift) }, granule, 0 };

    kunit_map_ok(f, va, 0, bit(shift));
    s.item = bit(kunit_item_shift(f, kunit_find(f, va, 0).level));
    if (place >= granule) {
        s.below = (struct range){ va - granule, va - 1 };
        kunit_map_ok(f, s.below.first, 5 * granule, granule);
        s.all.first = s.below.first;
    }
    if (kunit_last(config) - place >= low_mask(shift) + granule) {
        s.above = (struct range){ s.leaf.last + 1, s.leaf.last + granule };
        kunit_map_ok(f, s.above.first, 7 * granule, granule);
        s.all.last = s.above.last;
    }
    read_dirty(f, s.all, 0, NULL); /* some formats are born dirty; nobody listens */
    assert_true(is_clean(f, s.leaf));
    return s;
}

static void close_scene(struct fixture *f, const struct scene *s)
{
    const uint64_t length = s->all.last - s->all.first + 1;

    assert_int_equal(fixture_unmap(f, s->all.first, length), length);
}

/* Run `check` on a scene of every leaf size. */
static void on_every_size(struct fixture *f, const struct kunit_config *config,
                          void (*check)(struct fixture *, const struct scene *))
{
    for (unsigned shift = 0; shift < 64 && fixture_reads_dirty(f); shift++) {
        struct scene s;

        if (!(f->pt.page_sizes & bit(shift)) || !kunit_fits(config, shift)) continue;
        s = open_scene(f, config, shift);
        check(f, &s);
        close_scene(f, &s);
    }
}

static void mark(struct fixture *f, struct range range, uint64_t offset)
{
    if (exists(range)) assert_int_equal(pt_set_dirty(&f->pt, iova(range.first + offset)), 0);
}

/* ---- sub-ranges -------------------------------------------------------------------------------------------------- */

/* Item 0, one in the middle or the last makes the leaf dirty; any byte of the leaf, asked for alone, gives all of it.
 */
static void check_one_dirty_item(struct fixture *f, const struct scene *s)
{
    const uint64_t last = s->leaf.last - s->leaf.first;
    const uint64_t marks[] = { 0, last / 2, last };
    const uint64_t asks[] = { 0, (last / 2 + 1) & last, last, last - (s->granule - 1) };

    for (unsigned i = 0; i < 12; i++) {
        const uint64_t at = s->leaf.first + asks[i % 4];
        struct reports reports;
        struct pt_gather gather;
        uint64_t before;

        mark(f, s->leaf, marks[i / 4]);
        before = fixture_image(f);
        read_dirty(f, (struct range){ at, at }, PT_DIRTY_NO_CLEAR, &reports);
        assert_int_equal(fixture_image(f), before);
        assert_int_equal(reports.count, 1);
        assert_range(reports.ranges[0], s->leaf.first, s->leaf.last);
        gather = read_dirty(f, (struct range){ at, at }, 0, &reports);
        assert_int_equal(reports.count, 1);
        assert_range(reports.ranges[0], s->leaf.first, s->leaf.last);
        assert_gathered(&gather, s->leaf.first, s->leaf.last);
        assert_true(is_clean(f, s->leaf));
        read_dirty(f, s->all, PT_DIRTY_NO_CLEAR, &reports);
        assert_int_equal(reports.count, 0);
    }
}

static void on_any_byte_of_a_leaf_gives_and_cleans_all_of_it(struct fixture *f, const struct kunit_config *config)
{
    on_every_size(f, config, check_one_dirty_item);
}
KUNIT_TEST(any_byte_of_a_leaf_gives_and_cleans_all_of_it)

/* Ranges that begin in one leaf and end in the next: both go whole, and what they do not touch stays dirty. */
static void check_ends_inside_leaves(struct fixture *f, const struct scene *s)
{
    struct reports reports;
    struct pt_gather gather;

    mark(f, s->below, 0);
    mark(f, s->leaf, 0);
    mark(f, s->above, s->granule - 1);
    if (exists(s->below)) {
        gather = read_dirty(f, (struct range){ s->below.last, s->leaf.first }, 0, &reports);
        assert_int_equal(reports.count, 2);
        assert_range(reports.ranges[0], s->below.first, s->below.last);
        assert_range(reports.ranges[1], s->leaf.first, s->leaf.last);
        assert_gathered(&gather, s->below.first, s->leaf.last);
        assert_true(is_clean(f, s->below) && is_clean(f, s->leaf));
    }
    if (exists(s->above)) {
        assert_false(is_clean(f, s->above));
        mark(f, s->leaf, 0);
        gather = read_dirty(f, (struct range){ s->leaf.last, s->above.first }, 0, &reports);
        assert_int_equal(reports.count, 2);
        assert_range(reports.ranges[0], s->leaf.first, s->leaf.last);
        assert_range(reports.ranges[1], s->above.first, s->above.last);
        assert_gathered(&gather, s->leaf.first, s->above.last);
    }
    read_dirty(f, s->all, 0, NULL);
}

static void on_ranges_that_end_inside_leaves_take_them_whole(struct fixture *f, const struct kunit_config *config)
{
    on_every_size(f, config, check_ends_inside_leaves);
}
KUNIT_TEST(ranges_that_end_inside_leaves_take_them_whole)

/* Every item is dirty, or only the neighbours are: with and without somebody to tell. */
static void check_without_report(struct fixture *f, const struct scene *s)
{
    struct reports reports;
    struct pt_gather gather;

    for (uint64_t at = 0; at <= s->leaf.last - s->leaf.first; at += s->item) mark(f, s->leaf, at);
    gather = read_dirty(f, s->leaf, PT_DIRTY_NO_CLEAR, NULL);
    assert_false(is_clean(f, s->leaf));
    gather = read_dirty(f, s->leaf, 0, NULL);
    assert_gathered(&gather, s->leaf.first, s->leaf.last);
    assert_true(is_clean(f, s->leaf));
    gather = read_dirty(f, s->leaf, 0, NULL);
    assert_false(pt_gather_has_range(&gather)); /* nothing was left to clean */
    if (!exists(s->below) || !exists(s->above)) return;
    mark(f, s->below, 0);
    mark(f, s->above, 0);
    gather = read_dirty(f, s->all, 0, &reports);
    assert_int_equal(reports.count, 2); /* the leaf between them is clean, and the gather is a hull */
    assert_range(reports.ranges[0], s->below.first, s->below.last);
    assert_range(reports.ranges[1], s->above.first, s->above.last);
    assert_gathered(&gather, s->all.first, s->all.last);
}

static void on_a_read_without_report_cleans_and_gathers(struct fixture *f, const struct kunit_config *config)
{
    on_every_size(f, config, check_without_report);
}
KUNIT_TEST(a_read_without_report_cleans_and_gathers)

/* Holes of every size below, between and above; all of the table at once, and a hole alone. */
static void on_holes_are_fine(struct fixture *f, const struct kunit_config *config)
{
    const uint64_t base = kunit_base(config, kunit_halves(config) - 1), granule = kunit_granule(f);
    const struct range everything = { base, base + kunit_last(config) };
    struct reports reports;
    struct pt_gather gather;
    uint64_t before;

    if (!fixture_reads_dirty(f)) return;
    if (config->features & PT_DYNAMIC_TOP) return; /* its range is what the top decodes */
    read_dirty(f, everything, 0, &reports);
    assert_int_equal(reports.count, 0); /* an empty table */
    kunit_map_ok(f, base + 4 * granule, 0, granule);
    kunit_map_ok(f, everything.last - granule + 1, granule, granule);
    read_dirty(f, everything, 0, NULL);
    assert_int_equal(pt_set_dirty(&f->pt, iova(base + 4 * granule)), 0);
    assert_int_equal(pt_set_dirty(&f->pt, iova(everything.last)), 0);
    before = fixture_image(f);
    gather = read_dirty(f, (struct range){ base + 5 * granule, everything.last - granule }, 0, &reports);
    assert_int_equal(reports.count, 0);
    assert_false(pt_gather_has_range(&gather));
    assert_int_equal(fixture_image(f), before);
    gather = read_dirty(f, everything, 0, &reports);
    assert_int_equal(reports.count, 2);
    assert_range(reports.ranges[0], base + 4 * granule, base + 5 * granule - 1);
    assert_range(reports.ranges[1], everything.last - granule + 1, everything.last);
    assert_gathered(&gather, base + 4 * granule, everything.last);
}
KUNIT_TEST(holes_are_fine)

/* ---- bitmaps ----------------------------------------------------------------------------------------------------- */

/* Set exactly the bits that hold a byte of the leaf. */
static void check_window(struct fixture *f, const struct scene *s, struct pt_bitmap *bitmap)
{
    const uint64_t window = bitmap->start.value;
    struct pt_gather gather = pt_gather_empty();
    uint64_t set = 0;

    pt_bitmap_clear(bitmap);
    assert_int_equal(pt_read_and_clear_dirty(&f->pt, iova(s->leaf.first), s->leaf.last - s->leaf.first + 1,
                                             PT_DIRTY_NO_CLEAR, pt_bitmap_report, bitmap, &gather),
                     0);
    for (uint64_t n = 0; n < bitmap->bits; n++) {
        const uint64_t first = window + (n << bitmap->shift);
        const bool expected = first <= s->leaf.last && first + low_mask(bitmap->shift) >= s->leaf.first;

        assert_int_equal(pt_bitmap_has(bitmap, n), expected);
        set += expected;
    }
    assert_int_equal(pt_bitmap_count(bitmap), set);
}

/* Windows of 100 bits that begin before, at, inside and at the end of the leaf, in pieces small and large. */
static void check_windows(struct fixture *f, const struct scene *s)
{
    const uint64_t last = s->leaf.last - s->leaf.first;
    const uint64_t starts[] = { s->all.first, s->leaf.first, s->leaf.first + last / 2, s->leaf.last };
    const unsigned granule = trailing_zeros(s->granule), size = log2_floor(last);
    const unsigned shifts[] = { 0, granule, granule + 1, size, size + 1, size + 2, size + 9 };
    uint64_t words[2];

    mark(f, s->leaf, last / 3);
    for (unsigned i = 0; i < 28; i++) {
        struct pt_bitmap bitmap = { words, iova(starts[i % 4]), 100, shifts[i / 4] };

        while (bitmap.bits > 1 && pt_bitmap_check(&bitmap) != 0) bitmap.bits--;
        if (pt_bitmap_check(&bitmap) == 0) check_window(f, s, &bitmap);
        bitmap.start.value = align_down(bitmap.start.value, bitmap.shift);
        if (pt_bitmap_check(&bitmap) == 0) check_window(f, s, &bitmap);
    }
    read_dirty(f, s->all, 0, NULL);
}

static void on_a_bitmap_shows_a_leaf_in_any_window(struct fixture *f, const struct kunit_config *config)
{
    on_every_size(f, config, check_windows);
}
KUNIT_TEST(a_bitmap_shows_a_leaf_in_any_window)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_byte_of_a_leaf_gives_and_cleans_all_of_it),
        cmocka_unit_test(ranges_that_end_inside_leaves_take_them_whole),
        cmocka_unit_test(a_read_without_report_cleans_and_gathers),
        cmocka_unit_test(holes_are_fine),
        cmocka_unit_test(a_bitmap_shows_a_leaf_in_any_window),
    };

    return TEST_MAIN(tests, argc, argv);
}
