/* The format half of the kernel's tests (formats.md 4) on every configuration: see pt_kunit.h. */
#include "pt/pt_kunit.h"

/* A page at the highest address, so that every level has an item (formats.md 4: "repeated on every level"). */
static uint64_t fill_levels(struct fixture *f, const struct kunit_config *config)
{
    const uint64_t granule = kunit_granule(f);
    const uint64_t va = kunit_base(config, kunit_halves(config) - 1) | (kunit_last(config) - granule + 1);

    kunit_map_ok(f, va, granule * 3, granule);
    return va;
}

static void on_test_init(struct fixture *f, const struct kunit_config *config)
{
    struct pt_info info;

    pt_get_info(&f->pt, &info);
    assert_true(info.page_sizes != 0);
    assert_int_equal(info.page_sizes & -info.page_sizes, bit(f->pt.engine->geometry.granule_shift));
    assert_int_equal(info.oa_bits, config->oa_bits);
    assert_int_equal(info.va_bits, config->va_bits);
    assert_int_equal(f->pool.live_pages > 0, 1);
    assert_int_equal(fixture_phys(f, kunit_base(config, 0)), UINT64_MAX);
}
KUNIT_TEST(test_init)

/* The table pointer of every level: reads back, may be stored again, and empties what is below when cleared. */
static void on_test_table_ptr(struct fixture *f, const struct kunit_config *config)
{
    const uint64_t va = fill_levels(f, config);
    const uint64_t pa = fixture_phys(f, va);
    struct pt_info info;

    pt_get_info(&f->pt, &info);
    for (unsigned level = 1; level <= info.top_level; level++) {
        const struct kunit_found found = kunit_find(f, va, level);
        const uint64_t raw = pt_sync_load(found.item);
        const uint64_t address_bits = found.decoded.address_bits;
        struct pt_decoded again;

        assert_int_equal(found.level, level);
        assert_int_equal(found.decoded.kind, PT_TABLE);
        assert_true(table_pool_is_live(&f->pool, found.decoded.address));
        assert_int_equal((raw ^ found.decoded.canonical) & ~found.decoded.software_bits, 0);
        pt_sync_store(found.item, found.decoded.canonical);
        f->pt.engine->decode(&f->pt, pt_sync_load(found.item), level, &again);
        assert_int_equal(again.kind, PT_TABLE);
        assert_int_equal(again.address, found.decoded.address);
        assert_int_equal(fixture_phys(f, va), pa);
        pt_sync_store(found.item, 0);
        assert_int_equal(fixture_phys(f, va), UINT64_MAX);
        pt_sync_store(found.item, raw);
        assert_true(raw & address_bits);
    }
}
KUNIT_TEST(test_table_ptr)

static void on_test_max_va(struct fixture *f, const struct kunit_config *config)
{
    const uint64_t granule = kunit_granule(f);
    const uint64_t va = fill_levels(f, config);
    const struct pt_geometry *geometry = &f->pt.engine->geometry;
    struct pt_info info;

    pt_get_info(&f->pt, &info);
    assert_true(kunit_item_shift(f, info.top_level) <= config->va_bits);
    assert_true(kunit_item_shift(f, info.top_level + 1) + geometry->top_extra_bits >= config->va_bits ||
                info.top_level == geometry->level_max);
    kunit_leads(f, va, granule * 3, granule);
    if (config->features & PT_SIGN_EXTEND) { /* the hole, and a range that runs into it (formats.md 2.4) */
        assert_int_equal(fixture_map(f, bit(config->va_bits - 1), 0, granule, RW), -ERANGE);
        assert_int_equal(fixture_map(f, bit(config->va_bits - 1) - granule, 0, 2 * granule, RW), -ERANGE);
    }
    if (va + granule == 0) return; /* the end of all 64 bits */
    assert_int_equal(fixture_map(f, va + granule, 0, granule, RW), -ERANGE);
    assert_int_equal(fixture_phys(f, va + granule), UINT64_MAX);
}
KUNIT_TEST(test_max_va)

/* Each address bit decides the index of one level and no other: tables decode the VA with no gap and no overlap. */
static void on_test_table_radix(struct fixture *f, const struct kunit_config *config)
{
    const uint64_t granule = kunit_granule(f);
    const uint64_t base = kunit_base(config, 0);
    struct pt_info info;

    fill_levels(f, config);
    kunit_map_ok(f, base, 0, granule);
    pt_get_info(&f->pt, &info);
    for (unsigned b = trailing_zeros(granule); b < 64 && bit(b) <= kunit_last(config); b++) {
        const unsigned level =
            min_u64((b - trailing_zeros(granule)) / f->pt.engine->geometry.index_bits, info.top_level);
        const uint64_t va = base | bit(b);
        const unsigned index_bit = b - kunit_item_shift(f, level);

        kunit_map_ok(f, va, granule, granule);
        assert_int_equal(fixture_phys(f, va), granule);
        assert_int_equal(fixture_phys(f, base), 0);
        assert_ptr_equal(kunit_find(f, va, level).item, kunit_find(f, base, level).item + (UINT64_C(1) << index_bit));
        if (level < info.top_level)
            assert_ptr_equal(kunit_find(f, va, level + 1).item, kunit_find(f, base, level + 1).item);
        assert_int_equal(fixture_unmap(f, va, granule), granule);
    }
}
KUNIT_TEST(test_table_radix)

static void on_test_entry_possible_sizes(struct fixture *f, const struct kunit_config *config)
{
    const struct pt_geometry *geometry = &f->pt.engine->geometry;
    uint64_t sizes = 0;

    (void)config;
    for (unsigned level = 0; level <= geometry->level_max; level++) {
        const uint64_t here = geometry->leaf_sizes(level);

        assert_int_equal(here & low_mask(kunit_item_shift(f, level)), 0);
        if (kunit_item_shift(f, level + 1) < 64) assert_int_equal(here >> kunit_item_shift(f, level + 1), 0);
        sizes |= here;
    }
    assert_true(geometry->leaf_sizes(0) & bit(geometry->granule_shift));
    assert_int_equal(f->pt.page_sizes & ~sizes, 0);
}
KUNIT_TEST(test_entry_possible_sizes)

/* One leaf: size, address, its items, and what lies beside it. */
static void check_leaf(struct fixture *f, uint64_t va, uint64_t pa, unsigned shift)
{
    const struct kunit_found first = kunit_find(f, va, 0);
    const unsigned item_shift = kunit_item_shift(f, first.level);
    const unsigned run = 1u << (shift - item_shift);

    for (unsigned i = 0; i < run; i += i < 4 || i + 4 >= run ? 1 : 7) { /* all of a short run, a sample of a long one */
        struct pt_decoded decoded;

        f->pt.engine->decode(&f->pt, pt_sync_load(&first.item[i]), first.level, &decoded);
        assert_int_equal(decoded.kind, PT_LEAF);
        assert_int_equal(decoded.shift, shift);
        assert_int_equal(decoded.address, pa);
        if (f->pt.engine->geometry.run_items_advance)
            assert_int_equal(decoded.item_address, pa + ((uint64_t)i << item_shift));
        assert_int_equal(decoded.canonical, pt_sync_load(&first.item[i]));
        assert_int_equal(decoded.reserved | decoded.missing, 0);
    }
    assert_true(f->pt.engine->geometry.leaf_sizes(first.level) & bit(shift));
}

static void on_test_entry_oa(struct fixture *f, const struct kunit_config *config)
{
    struct random random = random_seeded(4);

    for (unsigned shift = 0; shift < 64; shift++) {
        const uint64_t oa_mask = low_mask(config->oa_bits) & ~low_mask(shift);
        const uint64_t patterns[] = { 0, oa_mask, random_u64(&random) & oa_mask,
                                      UINT64_C(0x5555555555555555) & oa_mask };
        const uint64_t va = kunit_base(config, kunit_halves(config) - 1) | kunit_place(config, shift);

        if (!(f->pt.page_sizes & bit(shift)) || !kunit_fits(config, shift)) continue;
        for (unsigned i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
            kunit_map_ok(f, va, patterns[i], bit(shift));
            check_leaf(f, va, patterns[i], shift);
            kunit_leads(f, va, patterns[i], bit(shift));
            assert_int_equal(fixture_unmap(f, va, bit(shift)), bit(shift));
            assert_int_equal(fixture_phys(f, va), UINT64_MAX);
            assert_int_equal(pt_sync_load(kunit_find(f, va, 0).item), 0);
        }
    }
}
KUNIT_TEST(test_entry_oa)

/* Every prot that the format takes, at every size: an entry made of what is read from an entry is that entry. */
static void on_test_attr_from_entry(struct fixture *f, const struct kunit_config *config)
{
    unsigned accepted = 0;

    for (unsigned shift = 0; shift < 64; shift++) {
        const uint64_t va = kunit_base(config, 0) | kunit_place(config, shift);

        if (!(f->pt.page_sizes & bit(shift)) || !kunit_fits(config, shift)) continue;
        for (unsigned prot = 0; prot < 64; prot++) {
            const int error = fixture_map(f, va, 0, bit(shift), prot);

            if (!(prot & RW) || (config->features & PT_FORCE_WRITEABLE && !(prot & PT_WRITE))) {
                assert_int_equal(error, -EINVAL);
                continue;
            }
            assert_int_equal(error, 0);
            check_leaf(f, va, 0, shift);
            assert_int_equal(fixture_unmap(f, va, bit(shift)), bit(shift));
            accepted++;
        }
    }
    assert_true(accepted >= 32);
}
KUNIT_TEST(test_attr_from_entry)

static uint64_t dirty_leaves(struct fixture *f, uint64_t va, uint64_t length, unsigned flags, uint64_t seen[3])
{
    struct pt_gather gather = pt_gather_empty();

    seen[0] = 0;
    assert_int_equal(pt_read_and_clear_dirty(&f->pt, iova(va), length, flags, fixture_count_dirty, seen, &gather), 0);
    assert_int_equal(pt_gather_has_range(&gather), seen[0] && !flags);
    pt_gather_sync(&f->pt, &gather);
    return seen[0];
}

/* Dirty items 0, in the middle and last make the leaf dirty; cleaning cleans all of them. */
static void check_dirty(struct fixture *f, uint64_t va, unsigned shift)
{
    const unsigned run_bits = shift - kunit_item_shift(f, kunit_find(f, va, 0).level);
    uint64_t seen[3];

    dirty_leaves(f, va, bit(shift), 0, seen); /* some formats are born dirty */
    assert_int_equal(dirty_leaves(f, va, bit(shift), 0, seen), 0);
    for (unsigned i = 0; i < 3; i++) {
        const uint64_t item = (i == 0 ? 0 : i == 1 ? bit(run_bits) / 2 : bit(run_bits) - 1) << (shift - run_bits);

        assert_int_equal(pt_set_dirty(&f->pt, iova(va + item)), 0);
        assert_int_equal(dirty_leaves(f, va, 1, PT_DIRTY_NO_CLEAR, seen), 1);
        assert_int_equal(dirty_leaves(f, va + bit(shift) - 1, 1, 0, seen), 1);
        assert_int_equal(seen[1], va);
        assert_int_equal(seen[2], bit(shift));
        assert_int_equal(dirty_leaves(f, va, bit(shift), 0, seen), 0);
    }
}

static void on_test_dirty(struct fixture *f, const struct kunit_config *config)
{
    const bool is_arm = strncmp(config->format, "armv8", 5) == 0;

    for (unsigned shift = 0; shift < 64; shift++) {
        const uint64_t va = kunit_base(config, 0) | kunit_place(config, shift);

        if (!(f->pt.page_sizes & bit(shift)) || !kunit_fits(config, shift)) continue;
        kunit_map_ok(f, va, 0, bit(shift));
        if (!f->pt.engine->has_dirty || (is_arm && !(config->features & PT_HARDWARE_DIRTY)))
            assert_int_equal(pt_set_dirty(&f->pt, iova(va)), -EOPNOTSUPP);
        else
            check_dirty(f, va, shift);
        assert_int_equal(fixture_unmap(f, va, bit(shift)), bit(shift));
    }
}
KUNIT_TEST(test_dirty)

/* Bits that software or hardware may set in a table item: alone or together, no translation changes. */
static void on_test_sw_bit_table(struct fixture *f, const struct kunit_config *config)
{
    const uint64_t va = fill_levels(f, config);
    const uint64_t pa = fixture_phys(f, va);
    struct pt_info info;

    pt_get_info(&f->pt, &info);
    for (unsigned level = 1; level <= info.top_level; level++) {
        const struct kunit_found found = kunit_find(f, va, level);
        const uint64_t raw = pt_sync_load(found.item);

        for (unsigned b = 0; b < 64; b++) {
            if (!(found.decoded.software_bits & bit(b))) continue;
            pt_sync_store(found.item, raw ^ bit(b));
            assert_int_equal(fixture_phys(f, va), pa);
            assert_int_equal(kunit_find(f, va, level).decoded.address, found.decoded.address);
            assert_int_equal(fixture_check(f), 0);
        }
        pt_sync_store(found.item, raw | found.decoded.software_bits);
        assert_int_equal(fixture_phys(f, va), pa);
        pt_sync_store(found.item, raw);
    }
}
KUNIT_TEST(test_sw_bit_table)

/* Accessed and dirty in a leaf disturb neither its address nor its attributes. */
static void on_test_sw_bit_leaf(struct fixture *f, const struct kunit_config *config)
{
    for (unsigned shift = 0; shift < 64; shift++) {
        const uint64_t va = kunit_base(config, 0) | kunit_place(config, shift);
        struct kunit_found found;
        uint64_t raw;

        if (!(f->pt.page_sizes & bit(shift)) || !kunit_fits(config, shift)) continue;
        kunit_map_ok(f, va, 0, bit(shift));
        found = kunit_find(f, va, 0);
        raw = pt_sync_load(found.item);
        for (unsigned b = 0; b < 64; b++) {
            if (!(found.decoded.hardware_bits & bit(b))) continue;
            pt_sync_store(found.item, raw ^ bit(b));
            kunit_leads(f, va, 0, bit(shift));
            assert_int_equal(kunit_find(f, va, 0).decoded.canonical, raw ^ bit(b));
        }
        pt_sync_store(found.item, raw);
        assert_int_equal(fixture_unmap(f, va, bit(shift)), bit(shift));
    }
}
KUNIT_TEST(test_sw_bit_leaf)

/* ---- the choice of sizes ----------------------------------------------------------------------------------------- */

/* The largest allowed size that divides both addresses and is left over; 64 tries, no bit tricks. */
static unsigned best_by_trying(uint64_t sizes, uint64_t va, uint64_t pa, uint64_t length)
{
    unsigned best = 0;

    for (unsigned shift = 0; shift < 64; shift++) {
        const uint64_t size = UINT64_C(1) << shift;

        if (sizes & size && va % size == 0 && pa % size == 0 && size <= length) best = shift;
    }
    return best;
}

/* [va, va + length) must be made of these leaves and no others. Returns how many. */
static unsigned check_layout(struct fixture *f, uint64_t va, uint64_t pa, uint64_t length)
{
    const uint64_t sizes = f->pt.page_sizes;
    unsigned leaves = 0;

    while (length > 0) {
        const unsigned best = best_by_trying(sizes, va, pa, length);
        const struct kunit_found found = kunit_find(f, va, 0);

        assert_int_equal(found.decoded.kind, PT_LEAF);
        assert_int_equal(found.decoded.shift, best);
        assert_int_equal(found.decoded.address, pa);
        va += bit(best);
        pa += bit(best);
        length -= bit(best);
        leaves++;
    }
    return leaves;
}

/* An offset with `zeros` low zero bits that leaves room for `length`. */
static uint64_t draw_place(struct random *random, uint64_t last, uint64_t length, unsigned zeros)
{
    const uint64_t room = last - (length - 1);

    return room == UINT64_MAX ? align_down(random_u64(random), zeros)
                              : align_down(random_below(random, room + 1), zeros);
}

static void on_test_best_pgsize(struct fixture *f, const struct kunit_config *config)
{
    const uint64_t all = f->pt.page_sizes;
    const uint64_t granule = kunit_granule(f);
    const unsigned granule_shift = trailing_zeros(granule);
    const unsigned room_shift = (unsigned)min_u64(config->va_bits - 2, config->oa_bits - 1);
    struct random random = random_seeded(7);

    for (unsigned i = 0; i < 60; i++) {
        const unsigned largest = granule_shift + (unsigned)random_below(&random, room_shift - granule_shift);
        const unsigned zeros = granule_shift + (unsigned)random_below(&random, largest - granule_shift + 1);
        uint64_t length, va, pa;

        f->pt.page_sizes = all & (random_u64(&random) | granule);
        /* Multiples of 2^zeros, and not more leaves than a test can look at. */
        length = align_down(bit(largest) + random_below(&random, bit(largest)), zeros);
        while (length >> log2_floor(f->pt.page_sizes & low_mask(zeros + 1)) > 500)
            length = align_down(length / 2, zeros);
        if (length == 0) continue;
        va = kunit_base(config, (unsigned)random_below(&random, kunit_halves(config))) |
             draw_place(&random, kunit_last(config), length, zeros);
        pa = draw_place(&random, low_mask(config->oa_bits), length, zeros);
        kunit_map_ok(f, va, pa, length);
        check_layout(f, va, pa, length);
        assert_int_equal(fixture_unmap(f, va, length), length);
    }
    f->pt.page_sizes = all;
}
KUNIT_TEST(test_best_pgsize)

/* Two sizes, one smallest page short of the larger one's boundary: that many small leaves, then large ones. */
static void on_test_pgsz_count(struct fixture *f, const struct kunit_config *config)
{
    const uint64_t all = f->pt.page_sizes;
    const uint64_t small = kunit_granule(f);
    const uint64_t base = kunit_base(config, 0);

    for (unsigned shift = trailing_zeros(small) + 1; shift < 64; shift++) {
        const uint64_t large = bit(shift);

        if (!(all & large) || large / small > 512 || !kunit_fits(config, shift + 2)) continue;
        f->pt.page_sizes = small | large;
        kunit_map_ok(f, base + small, small, 3 * large);
        assert_int_equal(check_layout(f, base + small, small, 3 * large), large / small - 1 + 2 + 1);
        assert_int_equal(fixture_unmap(f, base + small, 3 * large), 3 * large);
        kunit_map_ok(f, base + small, 2 * small, large); /* never aligned together: small ones only */
        assert_int_equal(check_layout(f, base + small, 2 * small, large), large / small);
        assert_int_equal(fixture_unmap(f, base + small, large), large);
    }
    f->pt.page_sizes = small;
    kunit_map_ok(f, base, 0, small * 1024);
    assert_int_equal(check_layout(f, base, 0, small * 1024), 1024);
    assert_int_equal(fixture_unmap(f, base, small * 1024), small * 1024);
    f->pt.page_sizes = all;
}
KUNIT_TEST(test_pgsz_count)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_table_ptr),
        cmocka_unit_test(test_max_va),
        cmocka_unit_test(test_table_radix),
        cmocka_unit_test(test_entry_possible_sizes),
        cmocka_unit_test(test_entry_oa),
        cmocka_unit_test(test_attr_from_entry),
        cmocka_unit_test(test_dirty),
        cmocka_unit_test(test_sw_bit_table),
        cmocka_unit_test(test_sw_bit_leaf),
        cmocka_unit_test(test_best_pgsize),
        cmocka_unit_test(test_pgsz_count),
    };

    return TEST_MAIN(tests, argc, argv);
}
