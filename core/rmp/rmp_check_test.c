/* Each rule R1-R8 of rmp.h fires when an entry breaks it, at the right page, and not otherwise. */
#include "base/test_main.h"

#include "base/bits.h"
#include "rmp/rmp.h"
#include "rmp/rmp_internal.h"

#include <string.h>

/* One assigned 2M page, one region with the 4K pages 3 and 4 assigned to a guest, one untouched. */
enum { LARGE = 0x200000, SMALL = 0x400000 };

struct seen {
    unsigned of_rule[9];
    uint64_t last_page;
};

static void note(void *context, const struct rmp_violation *found)
{
    struct seen *seen = context;

    assert_in_range(found->rule, 1, 8);
    assert_non_null(found->text);
    seen->of_rule[found->rule]++;
    seen->last_page = found->page.value;
}

static int set_up(void **state)
{
    struct rmp *rmp = rmp_new(8 << 20);
    const struct rmp_state large = { .assigned = true, .asid = 1, .gpa = 0x600000, .size = RMP_2M };
    const struct rmp_state small = { .assigned = true, .asid = 2, .gpa = 0x5000 };

    rmp_update(rmp, hpa(LARGE), &large);
    rmp_update(rmp, hpa(SMALL + 0x3000), &small);
    rmp_update(rmp, hpa(SMALL + 0x4000), &small);
    *state = rmp;
    return 0;
}

static int tear_down(void **state)
{
    rmp_free(*state);
    return 0;
}

/* The stored entry of a page, to corrupt. */
static struct rmp_slot *slot_at(struct rmp *rmp, uint64_t page)
{
    struct rmp_region *region = rmp_region_find(rmp, hpa(page));
    const unsigned index = rmp_page_index(hpa(page));

    assert_non_null(region);
    if (index == 0) return &region->head;
    rmp_region_expand(rmp, region);
    return &region->pages[index];
}

/* Exactly one violation: this rule at this page. */
static void expect_only(const struct rmp *rmp, unsigned rule, uint64_t page)
{
    struct seen seen = { 0 };

    assert_int_equal(rmp_check(rmp, note, &seen), 1);
    assert_int_equal(seen.of_rule[rule], 1);
    assert_int_equal(seen.last_page, page);
    assert_int_equal(rmp_check(rmp, NULL, NULL), 1);
}

static void a_sound_table_breaks_no_rule(void **state)
{
    struct seen seen = { 0 };

    assert_int_equal(rmp_check(*state, note, &seen), 0);
    slot_at(*state, LARGE + 0x1000); /* followers stored in full are as sound as implied ones */
    assert_int_equal(rmp_check(*state, note, &seen), 0);
}

static void r1_fires_on_validated_in_an_unassigned_entry(void **state)
{
    slot_at(*state, SMALL + 0x8000)->word |= SLOT_VALIDATED;
    expect_only(*state, 1, SMALL + 0x8000);
}

static void r1_fires_on_vmsa_in_an_unassigned_entry(void **state)
{
    slot_at(*state, SMALL)->word |= SLOT_VMSA;
    expect_only(*state, 1, SMALL);
}

static void r1_fires_on_a_gpa_in_an_unassigned_entry(void **state)
{
    slot_at(*state, SMALL + 0x1ff000)->word |= 0x1000;
    expect_only(*state, 1, SMALL + 0x1ff000);
}

static void r2_fires_on_an_asid_in_an_unassigned_entry(void **state)
{
    slot_at(*state, SMALL + 0x5000)->asid = 1;
    expect_only(*state, 2, SMALL + 0x5000);
}

static void r2_and_r3_fire_on_size_2m_left_behind_in_an_unassigned_head(void **state)
{
    struct seen seen = { 0 };

    slot_at(*state, SMALL)->word |= SLOT_LARGE;
    assert_int_equal(rmp_check(*state, note, &seen), 2);
    assert_int_equal(seen.of_rule[2], 1);
    assert_int_equal(seen.of_rule[3], 1);
}

static void r3_fires_on_size_2m_off_a_2m_boundary(void **state)
{
    struct rmp_slot *slot = slot_at(*state, SMALL + 0x3000);

    slot->word = SLOT_ASSIGNED | SLOT_LARGE; /* gpa 0: R6 holds */
    expect_only(*state, 3, SMALL + 0x3000);
}

static void r4_fires_on_a_follower_that_holds_more_than_assigned(void **state)
{
    slot_at(*state, LARGE + 0x7000)->word |= SLOT_VALIDATED;
    expect_only(*state, 4, LARGE + 0x7000);
}

static void r4_fires_on_a_follower_with_an_asid_or_permissions(void **state)
{
    slot_at(*state, LARGE + 0x7000)->asid = 1;
    expect_only(*state, 4, LARGE + 0x7000);
    slot_at(*state, LARGE + 0x7000)->asid = 0;
    slot_at(*state, LARGE + 0x7000)->perms[0] = RMP_PERM_READ;
    expect_only(*state, 4, LARGE + 0x7000);
}

static void r4_fires_on_an_unassigned_follower(void **state)
{
    slot_at(*state, LARGE + 0x1ff000)->word = 0;
    expect_only(*state, 4, LARGE + 0x1ff000);
}

static void r4_ignores_that_a_follower_is_in_use(void **state)
{
    rmp_set_in_use(*state, hpa(LARGE + 0x7000), true);
    assert_int_equal(rmp_check(*state, NULL, NULL), 0);
}

static void r5_fires_on_a_count_that_is_off_by_one(void **state)
{
    rmp_region_find(*state, hpa(SMALL))->subpage_count++;
    expect_only(*state, 5, SMALL);
    rmp_region_find(*state, hpa(SMALL))->subpage_count -= 2;
    expect_only(*state, 5, SMALL);
}

static void r5_fires_on_a_2m_head_with_a_count(void **state)
{
    rmp_region_find(*state, hpa(LARGE))->subpage_count = 511;
    expect_only(*state, 5, LARGE);
}

static void r6_fires_on_a_2m_guest_page_whose_gpa_is_not_2m_aligned(void **state)
{
    slot_at(*state, LARGE)->word += 0x1000;
    expect_only(*state, 6, LARGE);
    slot_at(*state, LARGE)->asid = 0; /* firmware keeps other things in the gpa field */
    assert_int_equal(rmp_check(*state, NULL, NULL), 0);
}

static void r7_fires_on_permissions_of_more_than_5_bits(void **state)
{
    slot_at(*state, SMALL + 0x4000)->perms[3] = 0x20;
    expect_only(*state, 7, SMALL + 0x4000);
}

static void r7_fires_on_permissions_in_an_unassigned_entry(void **state)
{
    slot_at(*state, SMALL + 0x6000)->perms[1] = RMP_PERM_READ;
    expect_only(*state, 7, SMALL + 0x6000);
}

static void r2_and_r3_leave_a_size_alone_that_the_switch_keeps(void **state)
{
    *slot_at(*state, LARGE) = (struct rmp_slot){ .word = SLOT_LARGE };
    for (uint64_t page = LARGE + 0x1000; page < LARGE + 0x200000; page += 0x1000) slot_at(*state, page)->word = 0;
    assert_int_not_equal(rmp_check(*state, NULL, NULL), 0);
    rmp_set_switches(*state, &(struct rmp_switches){ .keeps_page_size = true });
    assert_int_equal(rmp_check(*state, NULL, NULL), 0);
    slot_at(*state, SMALL + 0x6000)->word = SLOT_LARGE;
    assert_int_not_equal(rmp_check(*state, NULL, NULL), 0);
}

static void r8_fires_on_hv_fixed_pages_that_the_region_does_not_know_of(void **state)
{
    slot_at(*state, SMALL + 0x6000)->word = SLOT_IMMUTABLE;
    expect_only(*state, 8, SMALL);
    rmp_region_find(*state, hpa(SMALL))->fixed_count = 1;
    assert_int_equal(rmp_check(*state, NULL, NULL), 0);
    rmp_region_find(*state, hpa(SMALL))->fixed_count = 2;
    expect_only(*state, 8, SMALL);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(a_sound_table_breaks_no_rule),
        CASE(r1_fires_on_validated_in_an_unassigned_entry),
        CASE(r1_fires_on_vmsa_in_an_unassigned_entry),
        CASE(r1_fires_on_a_gpa_in_an_unassigned_entry),
        CASE(r2_fires_on_an_asid_in_an_unassigned_entry),
        CASE(r2_and_r3_fire_on_size_2m_left_behind_in_an_unassigned_head),
        CASE(r3_fires_on_size_2m_off_a_2m_boundary),
        CASE(r4_fires_on_a_follower_that_holds_more_than_assigned),
        CASE(r4_fires_on_a_follower_with_an_asid_or_permissions),
        CASE(r4_fires_on_an_unassigned_follower),
        CASE(r4_ignores_that_a_follower_is_in_use),
        CASE(r5_fires_on_a_count_that_is_off_by_one),
        CASE(r5_fires_on_a_2m_head_with_a_count),
        CASE(r6_fires_on_a_2m_guest_page_whose_gpa_is_not_2m_aligned),
        CASE(r7_fires_on_permissions_of_more_than_5_bits),
        CASE(r7_fires_on_permissions_in_an_unassigned_entry),
        CASE(r2_and_r3_leave_a_size_alone_that_the_switch_keeps),
        CASE(r8_fires_on_hv_fixed_pages_that_the_region_does_not_know_of),
    };

    return TEST_MAIN(tests, argc, argv);
}
