/* What an IOTLB and a walk cache may still hold. */
#include "oracle/fills.h"

#include "base/bits.h"
#include "base/test_main.h"
#include "oracle/leftovers.h"

static const struct fill_tag host = { .domain = 0 };
static const struct fill_tag guest7 = { .has_s1 = true, .pasid = 7 };

static void add(struct fills *fills, const struct fill_tag *tag, uint64_t input, unsigned shift)
{
    const struct fill fill = {
        input, input + 0x40000000, input + 0x80000000, shift, shift > 12, true, false, shift > 12
    };

    fills_add(fills, tag, &fill);
}

static bool holds(const struct fills *fills, const struct fill_tag *tag, uint64_t input, unsigned shift)
{
    struct fill fill;

    return fills_find(fills, tag, input, shift, &fill);
}

static void fills_come_back_as_they_were(void **state)
{
    struct fills fills = { 0 };
    struct fill fill;

    (void)state;
    add(&fills, &host, 0x200000, 21);
    add(&fills, &host, 0x200000, 12);
    assert_true(fills_find(&fills, &host, 0x200000, 21, &fill));
    assert_int_equal(fill.input, 0x200000);
    assert_int_equal(fill.gpa, 0x40200000);
    assert_int_equal(fill.hpa, 0x80200000);
    assert_true(fill.readable && !fill.writable && fill.s2_is_large && fill.serves_write);
    assert_true(fills_find(&fills, &host, 0x200000, 12, &fill));
    assert_true(fill.readable && !fill.writable && !fill.s2_is_large && !fill.serves_write);
    assert_int_equal(fill.hpa, 0x80200000);
    assert_int_equal(fills_count(&fills), 2);
    assert_false(holds(&fills, &host, 0x200000, 30));
    assert_false(holds(&fills, &(struct fill_tag){ .is_private = true }, 0x200000, 21));
    assert_false(holds(&fills, &(struct fill_tag){ .domain = 1 }, 0x200000, 21));
    assert_false(holds(&fills, &guest7, 0x200000, 21));
    fills_free(&fills);
}

static void an_invalidation_drops_every_size_that_meets_it_and_nothing_else(void **state)
{
    const struct fill_tag other = { .domain = 1 };
    const struct fills_range range = { .domain = 0, .first = 0x40201000, .last = 0x40201fff };
    struct fills fills = { 0 };

    (void)state;
    add(&fills, &host, 0x40000000, 30);
    add(&fills, &host, 0x40200000, 21);
    add(&fills, &host, 0x40200000, 12);
    add(&fills, &host, 0x40201000, 12);
    add(&fills, &host, 0x40202000, 12);
    add(&fills, &host, 0x40400000, 21);
    add(&fills, &other, 0x40201000, 12);
    fills_invalidate(&fills, &range);
    assert_false(holds(&fills, &host, 0x40000000, 30));
    assert_false(holds(&fills, &host, 0x40200000, 21));
    assert_true(holds(&fills, &host, 0x40200000, 12));
    assert_false(holds(&fills, &host, 0x40201000, 12));
    assert_true(holds(&fills, &host, 0x40202000, 12));
    assert_true(holds(&fills, &host, 0x40400000, 21));
    assert_true(holds(&fills, &other, 0x40201000, 12));
    fills_free(&fills);
}

static void guest_entries_go_by_pasid_and_input_or_by_gpa(void **state)
{
    const struct fill_tag guest9 = { .has_s1 = true, .pasid = 9 };
    struct fills_range range = { .is_guest = true, .pasid = 7, .first = 0x1000, .last = 0x1fff };
    struct fills fills = { 0 };

    (void)state;
    add(&fills, &guest7, 0x1000, 12);
    add(&fills, &guest9, 0x1000, 12);
    add(&fills, &host, 0x1000, 12);
    fills_invalidate(&fills, &range);
    assert_false(holds(&fills, &guest7, 0x1000, 12));
    assert_true(holds(&fills, &guest9, 0x1000, 12));
    assert_true(holds(&fills, &host, 0x1000, 12));
    range = (struct fills_range){ .first = 0x40001000, .last = 0x40001fff };
    fills_invalidate(&fills, &range);
    assert_false(holds(&fills, &guest9, 0x1000, 12));
    assert_true(holds(&fills, &host, 0x1000, 12));
    fills_free(&fills);
}

static bool is_any(const struct fills *fills, bool is_guest, uint64_t first, uint64_t last)
{
    const struct fills_range range = { .is_guest = is_guest, .pasid = 99, .first = first, .last = last };
    uint64_t input;

    return fills_any(fills, &range, &input);
}

static void an_entry_over_a_range_is_found_whatever_its_size_and_pasid(void **state)
{
    struct fills fills = { 0 };
    const struct fills_range other = { .domain = 1, .last = UINT64_MAX };
    uint64_t input;

    (void)state;
    assert_false(is_any(&fills, false, 0, UINT64_MAX));
    add(&fills, &host, 0x40000000, 30);
    add(&fills, &host, 0x200000, 21);
    add(&fills, &host, 0x7000, 12);
    assert_true(is_any(&fills, false, 0x7fffffff, 0x7fffffff));
    assert_false(is_any(&fills, false, 0x80000000, UINT64_MAX));
    assert_true(is_any(&fills, false, 0x3fffff, 0x3fffff));
    assert_false(is_any(&fills, false, 0x400000, 0x3fffffff));
    assert_true(is_any(&fills, false, 0x7fff, 0x8000));
    assert_false(is_any(&fills, false, 0, 0x6fff));
    assert_false(is_any(&fills, false, 0x8000, 0x1fffff));
    assert_false(fills_any(&fills, &other, &input));
    assert_false(is_any(&fills, true, 0, UINT64_MAX));
    add(&fills, &guest7, 0x9000, 12);
    assert_true(is_any(&fills, true, 0x9000, 0x9fff));
    assert_false(is_any(&fills, false, 0x9000, 0x9fff));
    assert_true(is_any(&fills, false, 0x40009000, 0x40009fff)); /* by gpa, and by the entry of 1G */
    fills_invalidate(&fills, &(struct fills_range){ .first = 0x40000000, .last = 0x40000fff });
    assert_true(is_any(&fills, false, 0x40009000, 0x40009fff));
    assert_false(is_any(&fills, false, 0x4000a000, 0x40200000 - 1));
    fills_free(&fills);
}

static void host_pages_that_change_take_their_entries_along(void **state)
{
    struct fills fills = { 0 };

    (void)state;
    add(&fills, &host, 0x1000, 12);
    add(&fills, &guest7, 0x200000, 21);
    fills_invalidate_hpa(&fills, 0x80201000, 0x80201fff);
    assert_true(holds(&fills, &host, 0x1000, 12));
    assert_false(holds(&fills, &guest7, 0x200000, 21));
    fills_free(&fills);
}

static void too_many_pasids_are_admitted(void **state)
{
    struct fills fills = { 0 };

    (void)state;
    for (uint32_t pasid = 0; pasid <= FILLS_PASIDS; pasid++)
        add(&fills, &(struct fill_tag){ .has_s1 = true, .pasid = pasid }, 0x1000, 12);
    assert_true(fills.overflowed);
    assert_true(holds(&fills, &(struct fill_tag){ .has_s1 = true, .pasid = FILLS_PASIDS - 1 }, 0x1000, 12));
    fills_free(&fills);
}

static unsigned leaves_over(const struct leftovers *leftovers, uint64_t address)
{
    struct oracle_leaf leaf;
    unsigned index = 0;
    unsigned count = 0;

    while (leftovers_next(leftovers, address, &index, &leaf)) {
        assert_int_equal(leaf.target, address + 0x100000000);
        count++;
    }
    return count;
}

static void leftovers_lose_the_items_that_an_invalidation_names(void **state)
{
    struct leftovers *leftovers = test_malloc(sizeof(*leftovers));
    const struct oracle_run run = { 0x800000, 0x800000, 0x100800000, 23, 3, false }; /* one leaf of four 2M items */
    const struct oracle_run small = { 0x1000, 0x1000, 0x100001000, 12, 3, false };

    (void)state;
    leftovers_reset(leftovers, oracle_find_format("amdv1"));
    leftovers_add(leftovers, &run);
    leftovers_add(leftovers, &small); /* in no upper level */
    assert_int_equal(leaves_over(leftovers, 0x1000), 0);
    assert_int_equal(leaves_over(leftovers, 0xa00000), 1);
    leftovers_invalidate(leftovers, 0xa01000, 0xa01fff);
    assert_int_equal(leaves_over(leftovers, 0x9fffff), 1);
    assert_int_equal(leaves_over(leftovers, 0xa00000), 0);
    assert_int_equal(leaves_over(leftovers, 0xbfffff), 0);
    assert_int_equal(leaves_over(leftovers, 0xc00000), 1);
    leftovers_invalidate(leftovers, 0, UINT64_MAX);
    assert_int_equal(leftovers->count, 0);
    for (unsigned i = 0; i <= LEFTOVERS_MAX; i++) leftovers_add(leftovers, &run);
    assert_true(leftovers->overflowed);
    leftovers_invalidate(leftovers, 0, UINT64_MAX);
    assert_false(leftovers->overflowed);
    test_free(leftovers);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_come_back_as_they_were),
        cmocka_unit_test(an_invalidation_drops_every_size_that_meets_it_and_nothing_else),
        cmocka_unit_test(guest_entries_go_by_pasid_and_input_or_by_gpa),
        cmocka_unit_test(an_entry_over_a_range_is_found_whatever_its_size_and_pasid),
        cmocka_unit_test(host_pages_that_change_take_their_entries_along),
        cmocka_unit_test(too_many_pasids_are_admitted),
        cmocka_unit_test(leftovers_lose_the_items_that_an_invalidation_names),
    };

    return TEST_MAIN(tests, argc, argv);
}
