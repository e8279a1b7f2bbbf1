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
#include "world/hitless_actions.h"

enum { LATE_RUNS = 6 };

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

enum { ACTIONS = sizeof(actions) / sizeof(actions[0]) };

/* ---- one run ----------------------------------------------------------------------------------------------------- */

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
    probe->new_address = s->pa + turned(s, action->turn, offset) + (action->is_misaligned ? s->granule : 0);
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

    if (!fixture_reads_dirty(&s->f)) return;
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
        const bool is_beyond = (action->run == map_pages_until_blocked || action->run == map_list_until_blocked) &&
                               probe->va - s->va >= bit(s->shift - 1);

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

    if (action->run == set_dirty || action->run == clear_dirty) return !fixture_reads_dirty(&s->f);
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
    for (unsigned run = 0; result == 0 && fixture_reads_dirty(&first.f) && run <= LATE_RUNS; run++) {
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
