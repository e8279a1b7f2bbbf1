/* The address encoding of INV_IOMMU_PAGES against a twin that looks at every page, and the command queue. */
#include "base/random.h"
#include "iommu/test_machine.h"

#define PAGE UINT64_C(0x1000)
#define S    UINT64_C(1)

/* rmp.md 5.1, worked by hand. */
static void known_ranges_encode_as_linux_does(void **state)
{
    static const struct {
        uint64_t start, length, encoded, first, last;
    } cases[] = {
        { 0x5000, 0x1000, 0x5000, 0x5000, 0x5fff },                         /* one page: S = 0 */
        { 0x5123, 1, 0x5000, 0x5000, 0x5fff },                              /* one byte of it */
        { 0x5000, 0, 0x5000, 0x5000, 0x5fff },                              /* nothing counts as one byte */
        { 0x4000, 0x2000, 0x4000 | S, 0x4000, 0x5fff },                     /* lowest clear bit 12: 8K */
        { 0x5000, 0x2000, 0x5000 | S, 0x4000, 0x7fff },                     /* two pages astride an 8K line: 16K */
        { 0x4000, 0x4000, 0x5000 | S, 0x4000, 0x7fff },                     /* 16K */
        { 0x200000, 0x200000, 0x2ff000 | S, 0x200000, 0x3fffff },           /* lowest clear bit 20: 2M */
        { 0x1ff000, 0x2000, 0x1ff000 | S, 0x0, 0x3fffff },                  /* two pages astride a 2M line: 4M */
        { 0x3ff000, 0x2000, 0x3ff000 | S, 0x0, 0x7fffff },                  /* and astride a 4M line: 8M */
        { 0x40000000, 0x40000000, 0x5ffff000 | S, 0x40000000, 0x7fffffff }, /* 1G */
        { 0, 0x10000000000000, 0x7fffffffff000 | S, 0, 0xfffffffffffff },   /* bit 51 differs: 2^52 bytes */
        { 0, 0x10000000000001, 0x7ffffffffffff000 | S, 0, UINT64_MAX },     /* one more: all */
        { 0xfffffffffffff000, 0x1000, 0xfffffffffffff000, 0xfffffffffffff000, UINT64_MAX }, /* the very last page */
        { 0xffffffffffffe000, 0x2000, 0xffffffffffffe000 | S, 0xffffffffffffe000, UINT64_MAX },
        { 0x5000, UINT64_MAX, 0x7ffffffffffff000 | S, 0, UINT64_MAX },         /* wraps, and ends in the page before */
        { 0xfffffffffffff000, 0x2000, 0x7ffffffffffff000 | S, 0, UINT64_MAX }, /* wraps: all */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint64_t encoded = iommu_encode_inv_address(iova(cases[i].start), cases[i].length);
        uint64_t first, last;

        assert_int_equal(encoded, cases[i].encoded);
        iommu_decode_inv_address(encoded, &first, &last);
        assert_int_equal(first, cases[i].first);
        assert_int_equal(last, cases[i].last);
    }
}

/* The twin: what a command names, by the manual's words, one page at a time and bit by bit. */
static bool twin_names_page(uint64_t encoded, uint64_t page)
{
    unsigned clear = 12;

    if (!(encoded & S)) return page == (encoded & ~UINT64_C(0xfff));
    while (clear < 64 && (encoded & UINT64_C(1) << clear)) clear++;
    for (unsigned i = clear + 1; i < 64; i++) {
        if ((encoded ^ page) & UINT64_C(1) << i) return false;
    }
    return true;
}

static void assert_range_is_covered(uint64_t start, uint64_t length)
{
    const uint64_t encoded = iommu_encode_inv_address(iova(start), length);
    uint64_t first, last;

    iommu_decode_inv_address(encoded, &first, &last);
    for (uint64_t page = start & ~(PAGE - 1); page <= start + length - 1; page += PAGE) {
        if (!twin_names_page(encoded, page) || page < first || page + PAGE - 1 > last) {
            fail_msg("0x%llx + 0x%llx: page 0x%llx is not covered", (unsigned long long)start,
                     (unsigned long long)length, (unsigned long long)page);
        }
    }
    /* Both readings end at the same page, and no smaller aligned power of two would do. */
    assert_true(twin_names_page(encoded, first) && twin_names_page(encoded, last & ~(PAGE - 1)));
    if (first != 0) assert_false(twin_names_page(encoded, first - PAGE));
    if (last != UINT64_MAX) assert_false(twin_names_page(encoded, last + 1));
    if (encoded & S)
        assert_true(start <= first + (last - first) / 2 && start + length - 1 > first + (last - first) / 2);
}

static void every_page_of_a_range_is_covered(void **state)
{
    struct random random = random_seeded(20261122);

    (void)state;
    for (uint64_t start = 0; start < 40; start++) {
        for (uint64_t pages = 1; pages < 40; pages++) assert_range_is_covered(start * PAGE, pages * PAGE);
    }
    for (unsigned i = 0; i < 20000; i++) {
        const uint64_t start = random_below(&random, UINT64_C(1) << (13 + random_below(&random, 38)));
        const uint64_t length = 1 + random_below(&random, UINT64_C(1) << (1 + random_below(&random, 20)));

        assert_range_is_covered(start, length);
    }
}

static void an_address_without_a_clear_bit_names_everything(void **state)
{
    uint64_t first, last;

    (void)state;
    iommu_decode_inv_address(UINT64_C(0xfffffffffffff001), &first, &last);
    assert_int_equal(first, 0);
    assert_int_equal(last, UINT64_MAX);
    iommu_decode_inv_address(UINT64_C(0x3ffffffffffff001), &first, &last);
    assert_int_equal(first, 0);
    assert_int_equal(last, INT64_MAX);
}

/* ---- the queue --------------------------------------------------------------------------------------------------- */

static bool inv(struct machine *m, uint64_t start, uint64_t length)
{
    const struct iommu_inv_pages command = { .domain_id = DOMAIN,
                                             .address = iommu_encode_inv_address(iova(start), length),
                                             .page_tables = true };

    return iommu_inv_pages(m->iommu, &command);
}

static void an_invalidation_takes_effect_at_the_completion_wait(void **state)
{
    struct machine m = { 0 };

    (void)state;
    machine_begin(&m, "amd", true);
    map_private_page(&m, 0);
    map_private_page(&m, PAGE);
    dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ);
    dma(&m, DEV_PRIVATE, TARGET_GPA + PAGE, IOMMU_READ);
    s2_put(&m, TARGET_GPA, 0, 1, 0);
    s2_put(&m, TARGET_GPA + PAGE, 0, 1, 0);

    /* stale, and that is the point */
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).hpa.value, TARGET_HPA);
    assert_true(inv(&m, TARGET_GPA, PAGE));
    assert_true(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).is_hit);
    assert_int_equal(iommu_queued(m.iommu), 1);
    assert_int_equal(iommu_completion_wait(m.iommu), 1);
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).fault, IOMMU_NOT_PRESENT);
    assert_true(dma(&m, DEV_PRIVATE, TARGET_GPA + PAGE, IOMMU_READ).is_hit); /* not named */
    assert_int_equal(iommu_completion_wait(m.iommu), 0);
    machine_end(&m);
}

static void commands_take_effect_in_order_and_one_by_one_if_the_hardware_likes(void **state)
{
    struct machine m = { 0 };

    (void)state;
    machine_begin(&m, "amd", true);
    map_private_page(&m, 0);
    map_private_page(&m, PAGE);
    dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ);
    dma(&m, DEV_PRIVATE, TARGET_GPA + PAGE, IOMMU_READ);
    assert_true(inv(&m, TARGET_GPA, PAGE));
    assert_true(inv(&m, TARGET_GPA + PAGE, PAGE));
    assert_true(iommu_take_one_command(m.iommu));
    assert_false(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).is_hit);
    assert_true(dma(&m, DEV_PRIVATE, TARGET_GPA + PAGE, IOMMU_READ).is_hit);
    assert_true(iommu_take_one_command(m.iommu));
    assert_false(dma(&m, DEV_PRIVATE, TARGET_GPA + PAGE, IOMMU_READ).is_hit);
    assert_false(iommu_take_one_command(m.iommu));
    assert_int_equal(iommu_stats(m.iommu)->invalidations, 2);
    machine_end(&m);
}

static void the_queue_holds_256_commands_and_goes_round(void **state)
{
    struct machine m = { 0 };

    (void)state;
    machine_begin(&m, "amd", true);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 256; i++) assert_true(inv(&m, TARGET_GPA, PAGE));
        assert_false(inv(&m, TARGET_GPA, PAGE));
        assert_false(iommu_inv_all(m.iommu));
        assert_int_equal(iommu_queued(m.iommu), 256);
        assert_true(iommu_take_one_command(m.iommu));
        assert_true(iommu_inv_all(m.iommu));
        assert_int_equal(iommu_completion_wait(m.iommu), 256);
    }
    machine_end(&m);
}

static void inv_all_drops_everything_of_every_domain(void **state)
{
    struct machine m = { 0 };
    uint64_t entries, reach;

    (void)state;
    machine_begin(&m, "amd", true);
    map_private_page(&m, 0);
    s1_put(&m, TARGET_IOVA, 0, 0x67 | TARGET_GPA);
    dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ);
    dma(&m, DEV_PRIVATE_S1, TARGET_IOVA, IOMMU_READ);
    iommu_occupancy(m.iommu, &entries, &reach);
    assert_int_equal(entries, 2);
    assert_int_equal(reach, 2 * PAGE);
    assert_true(iommu_inv_all(m.iommu));
    iommu_completion_wait(m.iommu);
    iommu_occupancy(m.iommu, &entries, &reach);
    assert_int_equal(entries, 0);
    assert_int_equal(reach, 0);
    assert_false(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).from_walk_cache);
    machine_end(&m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(known_ranges_encode_as_linux_does),
    cmocka_unit_test(every_page_of_a_range_is_covered),
    cmocka_unit_test(an_address_without_a_clear_bit_names_everything),
    cmocka_unit_test(an_invalidation_takes_effect_at_the_completion_wait),
    cmocka_unit_test(commands_take_effect_in_order_and_one_by_one_if_the_hardware_likes),
    cmocka_unit_test(the_queue_holds_256_commands_and_goes_round),
    cmocka_unit_test(inv_all_drops_everything_of_every_domain),
};

int main(int argc, char **argv)
{
    return TEST_MAIN(tests, argc, argv);
}
