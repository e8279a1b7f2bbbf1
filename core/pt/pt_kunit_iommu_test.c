/* The IOMMU half of the kernel's tests (formats.md 4) on every configuration: see pt_kunit.h. */
#include "pt/pt_kunit.h"

/* A map just past what the top decodes grows it by exactly one level, up to the last. Fixed tops refuse. */
static void on_test_increase_level(struct fixture *f, const struct kunit_config *config)
{
    const uint64_t granule = kunit_granule(f);
    struct pt_info info;

    pt_get_info(&f->pt, &info);
    if (!(info.features & PT_DYNAMIC_TOP)) {
        if (config->va_bits < 64) /* an upper half: the address after the last is 0 */
            assert_int_equal(fixture_map(f, kunit_base(config, 0) + bit(config->va_bits), 0, granule, RW), -ERANGE);
        assert_int_equal(f->tops, 0);
        return;
    }
    while (info.top_level < f->pt.engine->geometry.level_max) {
        const unsigned level = info.top_level;
        const uint64_t past = bit(kunit_item_shift(f, level + 1));

        if (kunit_item_shift(f, level + 1) >= config->va_bits) break;
        kunit_map_ok(f, past, granule, granule);
        pt_get_info(&f->pt, &info);
        assert_int_equal(info.top_level, level + 1);
        assert_int_equal(f->top_level, level + 1);
        assert_int_equal(fixture_phys(f, past), granule);
        assert_int_equal(fixture_phys(f, 0), UINT64_MAX);
    }
    assert_true(f->tops > 0);
}
KUNIT_TEST(test_increase_level)

struct leaf_counts {
    const struct fixture *f;
    uint64_t items[64]; /* leaf items seen, by the size of their leaf */
};

static void count_leaf_items(void *context, const struct pt_item *item)
{
    struct leaf_counts *counts = context;
    struct pt_decoded decoded;

    if (item->is_table) return;
    counts->f->pt.engine->decode(&counts->f->pt, item->raw, item->level, &decoded);
    counts->items[decoded.shift]++;
}

/* Leaves of 2^shift in the whole table. */
static uint64_t leaves_of(const struct fixture *f, unsigned shift)
{
    const struct pt_geometry *geometry = &f->pt.engine->geometry;
    struct leaf_counts counts = { .f = f };

    pt_walk_items(&f->pt, count_leaf_items, &counts);
    return counts.items[shift] >> (shift - geometry->granule_shift) % geometry->index_bits;
}

static bool is_usable(const struct fixture *f, const struct kunit_config *config, unsigned shift)
{
    return f->pt.page_sizes & bit(shift) && kunit_fits(config, shift);
}

/* Every page size once, one behind the other; one leaf of each; gone after one unmap each. */
static void on_test_map_simple(struct fixture *f, const struct kunit_config *config)
{
    for (unsigned half = 0; half < kunit_halves(config); half++) {
        const uint64_t base = kunit_base(config, half);

        for (unsigned shift = 0; shift < 64; shift++) {
            if (!is_usable(f, config, shift)) continue;
            kunit_map_ok(f, base | kunit_place(config, shift), kunit_place(config, shift) & low_mask(config->oa_bits),
                         bit(shift));
            assert_int_equal(leaves_of(f, shift), 1);
            assert_int_equal(fixture_map(f, base | kunit_place(config, shift), 0, bit(shift), RW), -EADDRINUSE);
        }
        for (unsigned shift = 0; shift < 64; shift++) {
            if (!is_usable(f, config, shift)) continue;
            kunit_leads(f, base | kunit_place(config, shift), kunit_place(config, shift) & low_mask(config->oa_bits),
                        bit(shift));
            assert_int_equal(fixture_unmap(f, base | kunit_place(config, shift), bit(shift)), bit(shift));
            assert_int_equal(leaves_of(f, shift), 0);
        }
    }
}
KUNIT_TEST(test_map_simple)

/*
 * A region in leaves of the next smaller size, or of the smallest; unmapped half by one call and half leaf by leaf, so
 * that empty tables stay. A leaf of the whole region takes their place.
 */
static void replace_tables(struct fixture *f, const struct kunit_config *config, unsigned small, unsigned large)
{
    const uint64_t va = kunit_base(config, 0) | kunit_place(config, large);
    const uint64_t all = f->pt.page_sizes;

    f->pt.page_sizes = all & low_mask(small + 1);
    kunit_map_ok(f, va, 0, bit(large));
    assert_int_equal(fixture_unmap(f, va, bit(large) / 2), bit(large) / 2);
    for (uint64_t at = bit(large) / 2; at < bit(large); at += bit(small))
        assert_int_equal(fixture_unmap(f, va + at, bit(small)), bit(small));
    f->pt.page_sizes = all;
    assert_int_equal(fixture_phys(f, va), UINT64_MAX);
    kunit_map_ok(f, va, 0, bit(large));
    assert_int_equal(leaves_of(f, large), 1);
    kunit_leads(f, va, 0, bit(large));
    assert_int_equal(fixture_unmap(f, va, bit(large)), bit(large));
}

static void on_test_map_table_to_oa(struct fixture *f, const struct kunit_config *config)
{
    unsigned smaller = 0, replaced = 0;

    for (unsigned shift = 0; shift < 64; shift++) {
        if (!is_usable(f, config, shift)) continue;
        if (smaller && shift - smaller <= 13) {
            replace_tables(f, config, smaller, shift);
            replaced++;
        }
        smaller = shift;
    }
    assert_true(replaced > 0);
    assert_true(f->freed > 0);
}
KUNIT_TEST(test_map_table_to_oa)

/* The smallest length at the start of a big leaf takes the whole leaf, and nothing of the next one. */
static void on_test_unmap_split(struct fixture *f, const struct kunit_config *config)
{
    for (unsigned shift = 0; shift < 64; shift++) {
        const uint64_t va = kunit_base(config, 0);

        if (!is_usable(f, config, shift) || !kunit_fits(config, shift + 1)) continue;
        if (config->oa_bits <= shift) continue;
        kunit_map_ok(f, va, 0, bit(shift));
        kunit_map_ok(f, va + bit(shift), 0, bit(shift));
        assert_int_equal(fixture_unmap(f, va, 1), bit(shift));
        assert_int_equal(fixture_phys(f, va), UINT64_MAX);
        assert_int_equal(fixture_phys(f, va + bit(shift) - 1), UINT64_MAX);
        kunit_leads(f, va + bit(shift), 0, bit(shift));
        if (bit(shift) > kunit_granule(f)) assert_int_equal(fixture_unmap(f, va + bit(shift) + kunit_granule(f), 1), 0);
        assert_int_equal(fixture_unmap(f, va + bit(shift), kunit_granule(f)), bit(shift));
    }
}
KUNIT_TEST(test_unmap_split)

/* ---- random maps ------------------------------------------------------------------------------------------------- */

enum { RANDOM_MAPS = 1000, RANDOM_KEPT = 64 };

struct mapped {
    uint64_t va, pa, length;
};

static void remove_mapped(struct fixture *f, struct mapped *kept, unsigned *count, unsigned index)
{
    assert_int_equal(fixture_unmap(f, kept[index].va, kept[index].length), kept[index].length);
    kept[index] = kept[--*count];
}

static bool meet(const struct mapped *a, const struct mapped *b)
{
    return a->va <= b->va + (b->length - 1) && b->va <= a->va + (a->length - 1);
}

/* Up to a few large leaves with ragged ends in a window of 16K smallest pages: 64 MiB on 4K. */
static struct mapped draw(struct fixture *f, const struct kunit_config *config, struct random *random)
{
    const unsigned granule_shift = trailing_zeros(kunit_granule(f));
    const uint64_t window = min_u64(low_mask(granule_shift + 14), kunit_last(config));
    const unsigned largest = (unsigned)random_below(random, 10);
    struct mapped map;

    map.length = (1 + random_below(random, bit(largest))) << granule_shift;
    map.va = align_down(random_below(random, window + 1 - map.length), granule_shift);
    map.pa = align_down(random_below(random, low_mask(min_u64(config->oa_bits, 40)) - map.length), granule_shift);
    /* Half of them agree modulo a large size: then large leaves are chosen. */
    if (random_one_in(random, 2))
        map.pa = align_down(map.pa, granule_shift + 9) | (map.va & low_mask(granule_shift + 9));
    if (map.pa + map.length > bit(config->oa_bits)) map.pa = 0;
    map.va |= kunit_base(config, (unsigned)random_below(random, kunit_halves(config)));
    return map;
}

static void on_test_random_map(struct fixture *f, const struct kunit_config *config)
{
    struct random random = random_seeded(11);
    struct mapped kept[RANDOM_KEPT];
    unsigned count = 0, collisions = 0;

    for (unsigned i = 0; i < RANDOM_MAPS; i++) {
        const struct mapped map = draw(f, config, &random);
        bool collides = false;
        int error;

        if (count == RANDOM_KEPT) remove_mapped(f, kept, &count, (unsigned)random_below(&random, count));
        for (unsigned at = 0; at < count; at++) collides |= meet(&kept[at], &map);
        error = fixture_map(f, map.va, map.pa, map.length, RW);
        assert_int_equal(error, collides ? -EADDRINUSE : 0);
        if (error) {
            if (f->mapped) assert_int_equal(fixture_unmap(f, map.va, f->mapped), f->mapped);
            for (unsigned at = count; at-- > 0;) {
                if (meet(&kept[at], &map)) remove_mapped(f, kept, &count, at);
            }
            kunit_map_ok(f, map.va, map.pa, map.length);
            collisions++;
        }
        kunit_leads(f, map.va, map.pa, map.length);
        kept[count++] = map;
    }
    assert_true(collisions > RANDOM_MAPS / 50);
    while (count > 0) {
        kunit_leads(f, kept[0].va, kept[0].pa, kept[0].length);
        remove_mapped(f, kept, &count, 0);
    }
    for (unsigned shift = 0; shift < 64; shift++) {
        if (is_usable(f, config, shift)) assert_int_equal(leaves_of(f, shift), 0);
    }
}
KUNIT_TEST(test_random_map)

/* ---- the kernel's two regressions -------------------------------------------------------------------------------- */

/* An address of a 4K format at this granule, inside the half. */
static uint64_t scaled(const struct fixture *f, const struct kunit_config *config, uint64_t address)
{
    const unsigned granule_shift = f->pt.engine->geometry.granule_shift;
    const uint64_t moved = granule_shift < 12 ? address >> (12 - granule_shift) : address << (granule_shift - 12);

    return moved & kunit_last(config);
}

/* 4K: va 0xfef80000, 0x20000 bytes, to 0x208b95d000. */
static void on_test_pgsize_boundary(struct fixture *f, const struct kunit_config *config)
{
    const uint64_t va = kunit_base(config, 0) | scaled(f, config, 0xfef80000);
    const uint64_t pa = scaled(f, config, UINT64_C(0x208b95d000)) & low_mask(config->oa_bits);
    const uint64_t length = scaled(f, config, 0x20000);

    kunit_map_ok(f, va, pa, length);
    for (uint64_t at = 0; at < length; at += kunit_granule(f)) kunit_leads(f, va + at, pa + at, kunit_granule(f));
    assert_int_equal(fixture_unmap(f, va, length), length);
}
KUNIT_TEST(test_pgsize_boundary)

/* 14 leaves up to a boundary of the larger size, 3 of the larger, 3 small again: 20 (4K: [0x3fe400000, 0x4c0600000)).
 */
static void map_mixed(struct fixture *f, const struct kunit_config *config, unsigned small, unsigned large)
{
    const uint64_t all = f->pt.page_sizes;
    const uint64_t boundary = min_u64(16, (kunit_last(config) >> large) - 4) << large;
    const uint64_t start = boundary - 14 * bit(small);
    const uint64_t length = 14 * bit(small) + 3 * bit(large) + 3 * bit(small);

    f->pt.page_sizes = bit(small) | bit(large);
    kunit_map_ok(f, kunit_base(config, 0) | start, start, length);
    assert_int_equal(leaves_of(f, small), 17);
    assert_int_equal(leaves_of(f, large), 3);
    for (uint64_t at = 0; at < length; at += bit(small))
        assert_int_equal(fixture_phys(f, (kunit_base(config, 0) | start) + at), start + at);
    assert_int_equal(fixture_unmap(f, kunit_base(config, 0) | start, length), length);
    f->pt.page_sizes = all;
}

static void on_test_mixed(struct fixture *f, const struct kunit_config *config)
{
    unsigned pairs = 0;

    for (unsigned level = 0; level < f->pt.engine->geometry.level_max; level++) {
        const unsigned small = kunit_item_shift(f, level), large = kunit_item_shift(f, level + 1);

        if (!is_usable(f, config, small) || !is_usable(f, config, large)) continue;
        if (!kunit_fits(config, large + 3) || large + 5 > config->oa_bits) continue;
        map_mixed(f, config, small, large);
        pairs++;
    }
    assert_true(pairs > 0);
}
KUNIT_TEST(test_mixed)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_increase_level),  cmocka_unit_test(test_map_simple),
        cmocka_unit_test(test_map_table_to_oa), cmocka_unit_test(test_unmap_split),
        cmocka_unit_test(test_random_map),      cmocka_unit_test(test_pgsize_boundary),
        cmocka_unit_test(test_mixed),
    };

    return TEST_MAIN(tests, argc, argv);
}
