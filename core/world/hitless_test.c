/*
 * Hitless, store by store (invariant 36). The engines here are built with PT_OBSERVED: around every word they write,
 * hardware walks. For every configuration of pt_kunit.h, every operation, on leaves of every level:
 *
 *   outside the range   the old translation, always
 *   map                 nothing or the new one, and once new always new
 *   unmap               the old one or nothing, and once nothing never again old
 *   the others          the old translation, always; only leaf sizes, A and D change
 *
 * Hardware walks from the root, and from table items that it cached before the operation, until the sync that covers
 * them. In the late and storm runs it also writes, between any two accesses of the engine: what it wrote must be
 * reported as dirty when all is over.
 */
#include "world/hitless_scene.h"

enum { LATE_RUNS = 6, PAGES_MAX = 512, PARTS_MAX = 1024 };

#define X(token) extern const struct engine token##_observed_engine;
WALKER_LIST(X)
#undef X
#ifdef __x86_64__
#define X(token) extern const struct engine token##_vector_observed_engine;
WALKER_LIST(X)
#undef X
#endif

static const struct engine *const engines[] = {
#define X(token) &token##_observed_engine,
    WALKER_LIST(X)
#undef X
#ifdef __x86_64__
#define X(token) &token##_vector_observed_engine,
        WALKER_LIST(X)
#undef X
#endif
};

/* ---- actions ----------------------------------------------------------------------------------------------------- */

enum { NOT_HERE = 1 }; /* an action makes no sense for this leaf */

struct action {
    const char *name;
    int (*prepare)(struct scene *s); /* unobserved. NULL: nothing to do; 0, NOT_HERE, -EOPNOTSUPP */
    int (*run)(struct scene *s);
    enum fate fate; /* of what lies in [first, last] of the leaf */
    bool is_misaligned, is_partial;
};

static int map_leaf(struct scene *s)
{
    return fixture_map(&s->f, s->va, s->pa, bit(s->shift), RW);
}

static bool is_page(const struct scene *s)
{
    return bit(s->shift) == s->granule;
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
    { "map", NULL, map_leaf, APPEARS, false, false },
    { "map-pages", can_map_pages, map_pages, APPEARS, true, false },
    { "map-over-empty-tables", leave_empty_tables, map_leaf, APPEARS, false, false },
    { "map-until-blocked", block_middle, map_pages_until_blocked, APPEARS, true, false },
    { "unmap", map_leaf, unmap_all, VANISHES, false, false },
    { "unmap-pages", map_pages, unmap_all, VANISHES, true, false },
    { "unmap-some-pages", map_pages, unmap_part, VANISHES, true, true },
    { "cut-middle", map_leaf_to_split, cut_middle, KEEPS, false, false },
    { "cut-first-page", map_leaf_to_split, cut_first_page, KEEPS, false, false },
    { "split-a-little", map_leaf_to_split, split_a_little, KEEPS, false, false },
    { "split-to-tables", map_leaf_over_tables, split_to_tables, KEEPS, false, false },
    { "merge-halves", prepare_merge_of_halves, merge, KEEPS, false, false },
    { "merge-table", prepare_merge_of_table, merge, KEEPS, false, false },
    { "merge-tree", prepare_merge_of_tree, merge, KEEPS, false, false },
    { "set-dirty", map_leaf, set_dirty, KEEPS, false, false },
    { "clear-dirty", map_dirty_leaf, clear_dirty, KEEPS, false, false },
    { "clear-dirty-pages", map_dirty_pages, clear_dirty, KEEPS, true, false },
    { "grow-top", map_leaf_to_grow, grow_top, KEEPS, false, false },
};

enum { ACTIONS = sizeof(actions) / sizeof(actions[0]) };

/* ---- one run ----------------------------------------------------------------------------------------------------- */

static bool has_dirty(const struct scene *s)
{
    const struct engine *engine = s->f.pt.engine;

    return engine->has_dirty && (!(engine->features & PT_HARDWARE_DIRTY) || s->f.pt.features & PT_HARDWARE_DIRTY);
}

/* Remember what hardware sees now, and the last table items on the way. */
static void add_probe(struct scene *s, const struct action *action, uint64_t va)
{
    struct probe *probe = &s->probes[s->probe_count++];
    const struct walk walk = walk_of(s, va, IOMMU_READ, NULL, true);
    const uint64_t offset = va - s->va;
    bool is_inside = offset < bit(s->shift);

    if (action->is_partial) is_inside = offset >= s->granule && offset < bit(s->shift - 1);
    probe->va = va;
    probe->old = probe->last = sight_of(s, probe, &walk.leaf);
    probe->fate = is_inside ? action->fate : KEEPS;
    if (probe->fate == APPEARS && probe->old.is_present) probe->fate = KEEPS;
    probe->new_address = s->pa + offset + (action->is_misaligned ? s->granule : 0);
    for (unsigned i = walk.leaf.reads; i >= 2 && probe->cached_count < CACHED_MAX; i--)
        probe->cached[probe->cached_count++] = walk.path[i - 2];
}

static void add_probes(struct scene *s, const struct action *action)
{
    const uint64_t half = bit(s->shift) / 2, mask = low_mask(s->shift);
    const uint64_t offsets[] = { 0, s->granule, half - 1, half, half + s->granule, mask - s->granule, mask };

    if (s->has_below) add_probe(s, action, s->va - s->granule);
    if (s->has_below) add_probe(s, action, s->va - 1);
    if (s->has_above) add_probe(s, action, end_of(s) + 1);
    if (s->has_above) add_probe(s, action, end_of(s) + s->granule - 8);
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) add_probe(s, action, s->va + (offsets[i] & mask));
    for (unsigned i = 0; i < 3; i++) add_probe(s, action, s->va + (random_u64(&s->random) & mask));
}

/* The accessed bit of an item where hardware sets and software may clear it, else 0. */
static uint64_t accessed_bit(const struct scene *s, const struct kunit_found *found)
{
    const struct walk_format *format = s->table.walker->format;

    return format->accessed << format->marks_step * found->level & found->decoded.hardware_bits & ~format->inverted;
}

/* Software forgets accesses; the next one marks the item again. */
static void forget_accessed(struct scene *s)
{
    for (unsigned i = 0; i < s->probe_count; i++) {
        const struct kunit_found found = kunit_find(&s->f, s->probes[i].va, 0);

        if (found.decoded.kind == PT_LEAF)
            pt_sync_store(found.item, pt_sync_load(found.item) & ~accessed_bit(s, &found));
    }
}

/* Cleaning takes the dirty bit away and nothing else: a write that came meanwhile has left its accessed bit. */
static void check_accessed(const struct scene *s)
{
    for (unsigned i = 0; i < s->probe_count; i++) {
        const struct kunit_found found = kunit_find(&s->f, s->probes[i].va, 0);
        const uint64_t wanted = s->probes[i].was_written ? accessed_bit(s, &found) : 0;

        if (~pt_sync_load(found.item) & wanted) fail_at(s, &s->probes[i], "the accessed bit of a write is lost");
        total.marks += wanted != 0;
    }
}

/* Everything that hardware wrote and that is still mapped has been reported, or is now. */
static void check_written(struct scene *s)
{
    struct pt_gather gather = pt_gather_empty();
    const uint64_t first = s->has_below ? s->va - s->granule : s->va;
    const uint64_t last = s->has_above ? end_of(s) + s->granule : end_of(s);

    if (!has_dirty(s)) return;
    assert_int_equal(
        pt_read_and_clear_dirty(&s->f.pt, iova(first), last - first + 1, PT_DIRTY_NO_CLEAR, note_report, s, &gather),
        0);
    for (unsigned i = 0; i < s->probe_count; i++) {
        const struct probe *probe = &s->probes[i];

        if (probe->was_written && probe->last.is_present && !probe->was_reported)
            fail_at(s, probe, "written, and not reported as dirty");
    }
}

/* What must have happened when an action is over. */
static void check_end(struct scene *s, const struct action *action)
{
    look_at_all(s, true);
    for (unsigned i = 0; i < s->probe_count; i++) {
        const struct probe *probe = &s->probes[i];
        const bool is_beyond = action->run == map_pages_until_blocked && probe->va - s->va >= bit(s->shift - 1);

        if (probe->fate == APPEARS && probe->last.is_present == is_beyond) fail_at(s, probe, "not as mapped");
        if (probe->fate == VANISHES && probe->last.is_present) fail_at(s, probe, "still mapped");
    }
    check_written(s);
    if (action->run == clear_dirty) check_accessed(s);
}

/* May the format refuse this? */
static bool is_refusable(const struct scene *s, const struct action *action)
{
    const struct engine *engine = s->f.pt.engine;

    if (action->run == set_dirty || action->run == clear_dirty) return !has_dirty(s);
    return action->fate == KEEPS && !(engine->resizes_in_place && engine->exchanges_tables);
}

/* 0, NOT_HERE, -EOPNOTSUPP; all else fails the test. The scene is open before and after. */
static int act(struct scene *s, const struct action *action)
{
    int error;

    s->action = action->name;
    error = action->prepare ? action->prepare(s) : 0;
    if (error == NOT_HERE) return NOT_HERE;
    if (!error) {
        add_probes(s, action);
        if (action->run == clear_dirty) forget_accessed(s);
        watched = s;
        error = action->run(s);
        watched = NULL;
    }
    if (error == -EOPNOTSUPP && is_refusable(s, action)) return error;
    if (error) fail_at(s, &s->probes[0], "the call failed");
    check_end(s, action);
    return 0;
}

struct where {
    const struct engine *engine;
    const struct kunit_config *config;
    unsigned shift;
};

/* Once looking at every store; then with writes at moments that the first run found interesting. */
static void check_action(const struct where *where, const struct action *action)
{
    static struct scene first, again;
    int result;

    scene_open(&first, where->engine, where->config, where->shift);
    first.random = random_seeded(where->shift);
    result = act(&first, action);
    if (result == 0) total.cases++;
    if (result == -EOPNOTSUPP) total.refused++;
    for (unsigned run = 0; result == 0 && has_dirty(&first) && run <= LATE_RUNS; run++) {
        const unsigned count = first.live_count;

        scene_open(&again, where->engine, where->config, where->shift);
        again.random = random_seeded(where->shift * 1000 + run);
        again.mode = run < LATE_RUNS ? LATE : STORM;
        if (count && run < LATE_RUNS)
            again.late_at = first.live[count <= LATE_RUNS ? run % count : run * (count - 1) / (LATE_RUNS - 1)];
        assert_int_equal(act(&again, action), 0);
        scene_close(&again);
    }
    scene_close(&first);
}

/* The items of every level, and of its runs one: another in each configuration. */
static bool is_chosen(const struct scene *s, unsigned shift, unsigned number)
{
    const struct pt_geometry *geometry = &s->f.pt.engine->geometry;
    const unsigned level = (shift - geometry->granule_shift) / geometry->index_bits;
    const unsigned item_shift = kunit_item_shift(&s->f, level);
    unsigned runs[64], count = 0;

    if (shift == item_shift) return true;
    for (unsigned other = item_shift + 1; other < item_shift + geometry->index_bits && other < 64; other++) {
        if (s->f.pt.page_sizes & bit(other)) runs[count++] = other;
    }
    return count > 0 && runs[number % count] == shift;
}

static void check_configuration(const struct engine *engine, unsigned number)
{
    const struct kunit_config *config = &kunit_configs[number];
    static struct scene probe;
    struct where where = { engine, config, 0 };

    scene_open(&probe, engine, config, engine->geometry.granule_shift);
    for (where.shift = 0; where.shift < 64; where.shift++) {
        if (!(probe.f.pt.page_sizes & bit(where.shift)) || !kunit_fits(config, where.shift)) continue;
        if (!is_chosen(&probe, where.shift, number)) continue;
        for (unsigned i = 0; i < ACTIONS; i++) check_action(&where, &actions[i]);
    }
    scene_close(&probe);
}

static void every_store_shows_old_or_new(void **state)
{
    (void)state;
    for (unsigned number = 0; number < sizeof(kunit_configs) / sizeof(kunit_configs[0]); number++) {
        const struct kunit_config *config = &kunit_configs[number];
        bool has_run = false;

        for (size_t row = 0; row < sizeof(engines) / sizeof(engines[0]); row++) {
            if (strcmp(engines[row]->format, config->format) != 0 || !engine_is_usable(engines[row])) continue;
            check_configuration(engines[row], number);
            has_run = true;
        }
        assert_true(has_run);
        if (getenv("MAPPROOF_RAN")) printf("ran %s %s hitless\n", config->format, config->name);
    }
    assert_true(total.marks > 100);
    printf("hitless: %llu stores observed, %llu walks, %llu writes, %llu configurations x operations x sizes, "
           "%llu refused by the format\n",
           (unsigned long long)total.stores, (unsigned long long)total.walks, (unsigned long long)total.writes,
           (unsigned long long)total.cases, (unsigned long long)total.refused);
}

static int print_stores(void **state)
{
    (void)state;
    recorder_print(&fixture_recorders, "hitless", NUMBER_EVENTS, stdout);
    return 0;
}

/* ---- one thing at a time: what the bug history asks for (fuzz/faults/history.txt) ------------------------------- */

static struct scene scene;

static void open_growing_scene(void)
{
    for (size_t i = 0; i < sizeof(kunit_configs) / sizeof(kunit_configs[0]); i++) {
        if (strcmp(kunit_configs[i].name, "amdv1-l1") == 0) scene_open(&scene, engines[0], &kunit_configs[i], SHIFT_2M);
    }
    assert_string_equal(scene.f.pt.engine->format, "amdv1");
}

/* Two levels more than the start level has. */
static void grow_far(void)
{
    kunit_map_ok(&scene.f, bit(41), 0x5000, 0x1000);
}

static void a_growth_that_meets_another_looks_again(void **state)
{
    (void)state;
    open_growing_scene();
    intrude = grow_far;
    kunit_map_ok(&scene.f, bit(32), 0x6000, 0x1000); /* its first store is in a top that nobody sees yet */
    assert_null(intrude);
    assert_int_equal(scene.table.top_level, 3);
    assert_int_equal(fixture_phys(&scene.f, bit(32)), 0x6000);
    assert_int_equal(fixture_phys(&scene.f, bit(41)), 0x5000);
    scene_close(&scene);
}

static void an_unmap_beside_a_growth_removes_what_is_there(void **state)
{
    (void)state;
    open_growing_scene();
    kunit_map_ok(&scene.f, scene.va, 0x6000, 0x1000);
    intrude = grow_far;
    assert_int_equal(fixture_unmap(&scene.f, scene.va, 0x1000), 0x1000);
    assert_null(intrude);
    assert_int_equal(fixture_phys(&scene.f, bit(41)), 0x5000);
    scene_close(&scene);
}

static void a_table_is_given_up_after_its_item_is_cleared(void **state)
{
    (void)state;
    open_growing_scene();
    assert_int_equal(leave_empty_tables(&scene), 0);
    scene.action = "map over empty tables";
    scene.mode = LATE; /* nobody walks: only what items lead to is looked at */
    watched = &scene;
    assert_int_equal(map_leaf(&scene), 0);
    watched = NULL;
    scene_close(&scene);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_store_shows_old_or_new),
        cmocka_unit_test(a_growth_that_meets_another_looks_again),
        cmocka_unit_test(an_unmap_beside_a_growth_removes_what_is_there),
        cmocka_unit_test(a_table_is_given_up_after_its_item_is_cleared),
    };

    total.is_recorded = getenv("MAPPROOF_RAN") != NULL;
    test_case_end = print_stores;
    return TEST_MAIN(tests, argc, argv);
}
