/* RMPUPDATE and PSMASH with every return code, regions and reset, and the bugs of rmp.md 8 that the RMP alone can show.
 */
#include "rmp/rmp_test_help.h"

/* ---- RMPUPDATE --------------------------------------------------------------------------------------------------- */

static void update_gives_a_4k_page_to_a_guest(void **state)
{
    struct rmp *rmp = *state;

    assert_int_equal(assign(rmp, HEAD + 0x5000, RMP_4K), RMP_OK);

    const struct rmp_entry entry = lookup(rmp, HEAD + 0x5fff);

    assert_true(entry.assigned);
    assert_false(entry.validated || entry.immutable || entry.vmsa || entry.in_use);
    assert_int_equal(entry.asid, GUEST);
    assert_int_equal(entry.size, RMP_4K);
    assert_int_equal(entry.gpa, GUEST_GPA + 0x5000);
    assert_int_equal(entry.perms[0], RMP_PERM_ALL);
    assert_int_equal(entry.perms[1] | entry.perms[2] | entry.perms[3], 0);
    assert_false(lookup(rmp, HEAD + 0x4000).assigned);
    assert_false(lookup(rmp, HEAD + 0x6000).assigned);
}

static void update_2m_writes_one_head_and_511_followers_that_only_hold_assigned(void **state)
{
    struct rmp *rmp = *state;

    assert_int_equal(assign(rmp, HEAD, RMP_2M), RMP_OK);
    for (uint64_t page = HEAD + 0x1000; page < HEAD + 0x200000; page += 0x1000) {
        const struct rmp_entry own = raw(rmp, page);
        const struct rmp_entry seen = lookup(rmp, page);

        assert_true(own.assigned);
        assert_int_equal(own.asid + own.gpa + own.size + own.perms[0], 0);
        assert_int_equal(seen.size, RMP_2M);
        assert_int_equal(seen.asid, GUEST);
        assert_int_equal(seen.gpa, GUEST_GPA + (page - HEAD));
        assert_int_equal(seen.perms[0], RMP_PERM_ALL);
    }
    assert_int_equal(raw(rmp, HEAD).subpage_count, 0);
    assert_false(lookup(rmp, HEAD + 0x200000).assigned);
}

static void update_refuses_a_2m_page_off_its_boundary(void **state)
{
    assert_int_equal(assign(*state, HEAD + 0x1000, RMP_2M), RMP_FAIL_INPUT);
    assert_int_equal(assign(*state, HEAD + 0x100000, RMP_2M), RMP_FAIL_INPUT);
}

static void update_refuses_an_unassigned_state_with_immutable_or_an_asid(void **state)
{
    const struct rmp_state immutable = { .immutable = true };
    const struct rmp_state owned = { .asid = GUEST };

    assert_int_equal(rmp_update(*state, hpa(HEAD), &immutable), RMP_FAIL_INPUT);
    assert_int_equal(rmp_update(*state, hpa(HEAD), &owned), RMP_FAIL_INPUT);
}

static void update_refuses_an_asid_that_no_entry_can_hold(void **state)
{
    const struct rmp_state highest = { .assigned = true, .asid = RMP_ASID_MAX };
    const struct rmp_state lock_value = { .assigned = true, .asid = 0x3ff };
    const struct rmp_state wide = { .assigned = true, .asid = 0x10001 };

    assert_int_equal(rmp_update(*state, hpa(HEAD), &highest), RMP_OK);
    assert_int_equal(rmp_update(*state, hpa(HEAD), &lock_value), RMP_FAIL_INPUT);
    assert_int_equal(rmp_update(*state, hpa(HEAD), &wide), RMP_FAIL_INPUT);
    assert_int_equal(lookup(*state, HEAD).asid, RMP_ASID_MAX);
}

static void update_refuses_pages_outside_the_table(void **state)
{
    struct rmp *rmp = *state;

    assert_int_equal(assign(rmp, COVERED, RMP_4K), RMP_FAIL_INPUT);
    assert_int_equal(assign(rmp, COVERED, RMP_2M), RMP_FAIL_INPUT);
    assert_int_equal(make_shared(rmp, UINT64_MAX, RMP_4K), RMP_FAIL_INPUT);
    assert_int_equal(assign(rmp, COVERED - 0x1000, RMP_4K), RMP_OK);
    rmp_reset(rmp, COVERED - 0x1000);
    assert_int_equal(assign(rmp, COVERED - 0x200000, RMP_2M), RMP_FAIL_INPUT);
    assert_int_equal(assign(rmp, COVERED - 0x2000, RMP_4K), RMP_OK);
    rmp_reset(rmp, 0);
    assert_int_equal(assign(rmp, 0, RMP_4K), RMP_FAIL_INPUT);
}

static void update_refuses_an_immutable_page(void **state)
{
    struct rmp *rmp = *state;

    assert_int_equal(assign_immutable(rmp, HEAD + 0x1000, RMP_4K), RMP_OK);
    assert_int_equal(assign(rmp, HEAD + 0x1000, RMP_4K), RMP_FAIL_PERMISSION);
    assert_int_equal(make_shared(rmp, HEAD + 0x1000, RMP_4K), RMP_FAIL_PERMISSION);
    assert_true(lookup(rmp, HEAD + 0x1000).immutable);
}

static void update_tests_input_before_immutable_before_in_use_before_overlap(void **state)
{
    struct rmp *rmp = *state;
    const struct rmp_state bad = { .asid = GUEST };

    assign_immutable(rmp, HEAD, RMP_4K);
    rmp_set_in_use(rmp, hpa(HEAD), true);
    assert_int_equal(rmp_update(rmp, hpa(HEAD), &bad), RMP_FAIL_INPUT);
    assert_int_equal(assign(rmp, HEAD, RMP_2M), RMP_FAIL_PERMISSION);
    assign(rmp, HEAD + 0x200000, RMP_4K);
    rmp_set_in_use(rmp, hpa(HEAD + 0x200000), true);
    assert_int_equal(assign(rmp, HEAD + 0x200000, RMP_2M), RMP_FAIL_INUSE);
    rmp_set_in_use(rmp, hpa(HEAD + 0x200000), false);
    assert_int_equal(assign(rmp, HEAD + 0x200000, RMP_2M), RMP_FAIL_OVERLAP);
}

static void update_refuses_a_page_in_use_and_leaves_its_neighbours_free(void **state)
{
    struct rmp *rmp = *state;

    assert_true(rmp_set_in_use(rmp, hpa(HEAD + 0x3000), true));
    assert_int_equal(assign(rmp, HEAD + 0x3000, RMP_4K), RMP_FAIL_INUSE);
    assert_int_equal(assign(rmp, HEAD, RMP_2M), RMP_FAIL_INUSE);
    assert_int_equal(assign(rmp, HEAD + 0x4000, RMP_4K), RMP_OK);
    assert_true(rmp_set_in_use(rmp, hpa(HEAD + 0x3000), false));
    assert_int_equal(assign(rmp, HEAD + 0x3000, RMP_4K), RMP_OK);
    assert_false(rmp_set_in_use(rmp, hpa(COVERED), true));
}

static void update_refuses_a_4k_page_inside_a_2m_page(void **state)
{
    struct rmp *rmp = *state;

    assign(rmp, HEAD, RMP_2M);
    assert_int_equal(make_shared(rmp, HEAD, RMP_4K), RMP_FAIL_OVERLAP);
    assert_int_equal(assign(rmp, HEAD, RMP_4K), RMP_FAIL_OVERLAP);
    assert_int_equal(assign(rmp, HEAD + 0x1ff000, RMP_4K), RMP_FAIL_OVERLAP);
}

static void update_refuses_a_2m_page_over_an_assigned_4k_page(void **state)
{
    struct rmp *rmp = *state;

    assign(rmp, HEAD + 0x1ff000, RMP_4K);
    assert_int_equal(assign(rmp, HEAD, RMP_2M), RMP_FAIL_OVERLAP);
    assert_int_equal(make_shared(rmp, HEAD, RMP_2M), RMP_FAIL_OVERLAP);
    make_shared(rmp, HEAD + 0x1ff000, RMP_4K);
    assign(rmp, HEAD, RMP_4K);
    assert_int_equal(assign(rmp, HEAD, RMP_2M), RMP_FAIL_OVERLAP);
    make_shared(rmp, HEAD, RMP_4K);
    assert_int_equal(assign(rmp, HEAD, RMP_2M), RMP_OK);
}

static void update_replaces_a_2m_page_by_another_2m_state(void **state)
{
    struct rmp *rmp = *state;
    const struct rmp_state other = { .assigned = true, .asid = 7, .size = RMP_2M, .gpa = 0x600000 };

    assign(rmp, HEAD, RMP_2M);
    assert_int_equal(rmp_update(rmp, hpa(HEAD), &other), RMP_OK);
    assert_int_equal(lookup(rmp, HEAD + 0x9000).asid, 7);
    assert_int_equal(lookup(rmp, HEAD + 0x9000).gpa, 0x609000);
    assert_int_equal(make_shared(rmp, HEAD, RMP_2M), RMP_OK);
    assert_false(lookup(rmp, HEAD + 0x9000).assigned);
}

static void a_2m_page_made_shared_can_be_given_out_in_4k_pages_again(void **state)
{
    struct rmp *rmp = *state;

    assign(rmp, HEAD, RMP_2M);
    make_shared(rmp, HEAD, RMP_2M);
    assert_int_equal(raw(rmp, HEAD).size, RMP_4K);
    assert_int_equal(assign(rmp, HEAD, RMP_4K), RMP_OK);
    assert_int_equal(assign(rmp, HEAD + 0x1000, RMP_4K), RMP_OK);
}

static void update_clears_validated_and_vmsa_and_lower_vmpls(void **state)
{
    struct rmp *rmp = *state;
    const struct rmp_guest_page page = guest_page(HEAD, RMP_4K);

    assign(rmp, HEAD, RMP_4K);
    validate(rmp, HEAD, RMP_4K);
    assert_int_equal(rmp_adjust(rmp, &page, 2, RMP_PERM_READ, true), RMP_OK);
    assert_true(lookup(rmp, HEAD).validated && lookup(rmp, HEAD).vmsa);
    assert_int_equal(assign(rmp, HEAD, RMP_4K), RMP_OK);
    assert_false(lookup(rmp, HEAD).validated || lookup(rmp, HEAD).vmsa);
    assert_int_equal(lookup(rmp, HEAD).perms[2], 0);
}

static void update_keeps_only_the_gpa_bits_that_a_page_of_its_size_has(void **state)
{
    struct rmp *rmp = *state;
    const struct rmp_state large = { .assigned = true, .asid = GUEST, .size = RMP_2M, .gpa = 0x234567 };
    const struct rmp_state small = { .assigned = true, .asid = GUEST, .gpa = 0x234567 };
    const struct rmp_state shared = { .gpa = 0x234000 };

    rmp_update(rmp, hpa(HEAD), &large);
    rmp_update(rmp, hpa(HEAD + 0x200000), &small);
    assert_int_equal(lookup(rmp, HEAD).gpa, 0x200000);
    assert_int_equal(lookup(rmp, HEAD + 0x200000).gpa, 0x234000);
    assert_int_equal(rmp_update(rmp, hpa(HEAD + 0x200000), &shared), RMP_OK);
    assert_int_equal(lookup(rmp, HEAD + 0x200000).gpa, 0);
}

/* ---- PSMASH ------------------------------------------------------------------------------------------------------ */

static void psmash_copies_every_field_and_counts_gpas_up(void **state)
{
    struct rmp *rmp = *state;
    const struct rmp_guest_page page = guest_page(HEAD, RMP_2M);

    assign(rmp, HEAD, RMP_2M);
    validate(rmp, HEAD, RMP_2M);
    rmp_adjust(rmp, &page, 3, RMP_PERM_READ | RMP_PERM_XUSER, true);
    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_OK);
    for (uint64_t offset = 0; offset < 0x200000; offset += 0x1000) {
        const struct rmp_entry entry = raw(rmp, HEAD + offset);

        assert_true(entry.assigned && entry.validated && entry.vmsa);
        assert_int_equal(entry.size, RMP_4K);
        assert_int_equal(entry.asid, GUEST);
        assert_int_equal(entry.gpa, GUEST_GPA + offset);
        assert_int_equal(entry.perms[0], RMP_PERM_ALL);
        assert_int_equal(entry.perms[3], RMP_PERM_READ | RMP_PERM_XUSER);
    }
    assert_int_equal(raw(rmp, HEAD).subpage_count, 511);
}

static void psmash_keeps_an_immutable_page_immutable(void **state)
{
    struct rmp *rmp = *state;

    assign_immutable(rmp, HEAD, RMP_2M);
    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_OK);
    assert_int_equal(make_shared(rmp, HEAD + 0x1000, RMP_4K), RMP_FAIL_PERMISSION);
}

static void psmash_refuses_misaligned_and_outside_pages(void **state)
{
    assert_int_equal(rmp_psmash(*state, hpa(HEAD + 0x1000)), RMP_FAIL_INPUT);
    assert_int_equal(rmp_psmash(*state, hpa(COVERED)), RMP_FAIL_INPUT);
}

static void psmash_refuses_what_is_not_an_assigned_2m_page(void **state)
{
    struct rmp *rmp = *state;

    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_FAIL_BADADDR);
    assign(rmp, HEAD, RMP_4K);
    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_FAIL_BADADDR);
    make_shared(rmp, HEAD, RMP_4K);
    assign(rmp, HEAD, RMP_2M);
    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_OK);
    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_FAIL_BADADDR);
}

static void psmash_refuses_a_page_of_which_a_part_is_in_use(void **state)
{
    struct rmp *rmp = *state;

    assign(rmp, HEAD, RMP_2M);
    rmp_set_in_use(rmp, hpa(HEAD + 0x7000), true);
    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_FAIL_INUSE);
    assert_int_equal(lookup(rmp, HEAD + 0x7000).size, RMP_2M);
    assert_true(lookup(rmp, HEAD + 0x7000).in_use);
    assert_false(lookup(rmp, HEAD).in_use);
    rmp_set_in_use(rmp, hpa(HEAD + 0x7000), false);
    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_OK);
}

/* ---- Regions, coverage, reset ------------------------------------------------------------------------------------ */

static void region_is_shared_only_while_all_512_pages_are_unassigned(void **state)
{
    struct rmp *rmp = *state;
    const hpa_t inside = hpa(HEAD + 0x123456);

    assert_true(rmp_region_is_shared(rmp, inside));
    assign(rmp, HEAD, RMP_4K);
    assert_false(rmp_region_is_shared(rmp, inside));
    make_shared(rmp, HEAD, RMP_4K);
    assert_true(rmp_region_is_shared(rmp, inside));
    assign(rmp, HEAD + 0x1ff000, RMP_4K);
    assert_false(rmp_region_is_shared(rmp, inside));
    make_shared(rmp, HEAD + 0x1ff000, RMP_4K);
    assign(rmp, HEAD, RMP_2M);
    assert_false(rmp_region_is_shared(rmp, inside));
    assert_true(rmp_region_is_shared(rmp, hpa(HEAD - 1)));
    assert_true(rmp_region_is_shared(rmp, hpa(COVERED)));
}

/* A 2M leaf reaches the covered part too, whichever byte of it is touched. */
static void region_that_the_table_ends_in_is_shared_as_a_whole_or_not(void **state)
{
    struct rmp *rmp = rmp_new(HEAD + 0x3000);

    (void)state;
    assert_true(rmp_region_is_shared(rmp, hpa(HEAD + 0x3000)));
    assign(rmp, HEAD + 0x2000, RMP_4K);
    assert_false(rmp_region_is_shared(rmp, hpa(HEAD + 0x1000)));
    assert_false(rmp_region_is_shared(rmp, hpa(HEAD + 0x3000)));
    assert_true(rmp_region_is_shared(rmp, hpa(HEAD + 0x200000)));
    rmp_free(rmp);
}

static void four_tebibytes_cost_only_what_is_touched(void **state)
{
    const uint64_t covered = UINT64_C(4) << 40;
    struct rmp *rmp = *state;

    rmp_reset(rmp, covered);
    for (uint64_t page = 0; page < covered; page += bit(32)) assert_int_equal(assign(rmp, page, RMP_2M), RMP_OK);
    assert_int_equal(assign(rmp, covered - 0x1000, RMP_4K), RMP_OK);
    assert_int_equal(rmp->region_count, 1025);
    assert_int_equal(rmp->spare_count, 0); /* one array in all, for the 4K page; none was needed for 2M pages */
    rmp_reset(rmp, covered);
    assert_int_equal(rmp->spare_count, 1);
    assert_int_equal(rmp->region_count, 0);
    for (uint64_t page = 0; page < covered; page += bit(32)) assert_false(lookup(rmp, page).assigned);
}

static void reset_forgets_everything_and_changes_coverage(void **state)
{
    struct rmp *rmp = *state;
    struct rmp_entry entry;

    assign_immutable(rmp, HEAD, RMP_2M);
    assign(rmp, HEAD + 0x201000, RMP_4K);
    rmp_set_in_use(rmp, hpa(HEAD + 0x202000), true);
    rmp_reset(rmp, HEAD + 0x300000);
    assert_int_equal(rmp_covered_bytes(rmp), HEAD + 0x300000);
    assert_false(rmp_lookup(rmp, hpa(HEAD + 0x300000), &entry));
    for (uint64_t page = HEAD; page < HEAD + 0x300000; page += 0x1000) {
        assert_false(lookup(rmp, page).assigned || lookup(rmp, page).immutable || lookup(rmp, page).in_use);
    }
    /* The array that the 4K page had is used again, and nothing of it shows. */
    assert_int_equal(assign(rmp, HEAD + 0x5000, RMP_4K), RMP_OK);
    assert_int_equal(raw(rmp, HEAD).subpage_count, 1);
    assert_false(lookup(rmp, HEAD + 0x1000).assigned || lookup(rmp, HEAD + 0x2000).in_use);
}

static void results_have_the_names_of_the_manual(void **state)
{
    (void)state;
    assert_string_equal(rmp_result_name(RMP_OK), "ok");
    assert_string_equal(rmp_result_name(RMP_FAIL_OVERLAP), "FAIL_OVERLAP");
    assert_string_equal(rmp_result_name(RMP_NPF_SIZEM), "NPF_SIZEM");
}

/* ---- Bugs that happened, rmp.md 8 -------------------------------------------------------------------------------- */

/* 4: pages went back to the hypervisor without the count, and a 2M host write faulted later. */
static void bug_4_count_follows_every_page_back_to_the_hypervisor(void **state)
{
    struct rmp *rmp = *state;

    assign(rmp, HEAD, RMP_2M);
    rmp_psmash(rmp, hpa(HEAD));
    for (unsigned i = 1; i < 512; i++) {
        assert_int_equal(make_shared(rmp, HEAD + i * UINT64_C(0x1000), RMP_4K), RMP_OK);
        assert_int_equal(raw(rmp, HEAD).subpage_count, 511 - i);
        assert_false(rmp_region_is_shared(rmp, hpa(HEAD)));
    }
    make_shared(rmp, HEAD, RMP_4K);
    assert_true(rmp_region_is_shared(rmp, hpa(HEAD)));
}

/* 3: a fixed page handed to a guest: RMPUPDATE answers PERMISSION however often it is asked, at either size. */
static void bug_3_an_immutable_page_stays_out_of_reach(void **state)
{
    struct rmp *rmp = *state;
    const struct rmp_state firmware = { .assigned = true, .immutable = true, .size = RMP_2M };

    rmp_update(rmp, hpa(HEAD), &firmware);
    for (unsigned i = 0; i < 4; i++) assert_int_equal(assign(rmp, HEAD, RMP_2M), RMP_FAIL_PERMISSION);
    assert_int_equal(assign(rmp, HEAD, RMP_4K), RMP_FAIL_PERMISSION);
}

/* 10: a page in use stays assigned when the hole is punched; whoever frees it anyway gives away a private page. */
static void bug_10_a_page_in_use_stays_assigned(void **state)
{
    struct rmp *rmp = *state;

    assign(rmp, HEAD + 0x1000, RMP_4K);
    rmp_set_in_use(rmp, hpa(HEAD + 0x1000), true);
    assert_int_equal(make_shared(rmp, HEAD + 0x1000, RMP_4K), RMP_FAIL_INUSE);
    assert_true(lookup(rmp, HEAD + 0x1000).assigned);
    assert_false(rmp_region_is_shared(rmp, hpa(HEAD)));
}

/* 13, 14: FAIL_OVERLAP is not transient while the region is 2M: waiting does not help, only PSMASH does. */
static void bug_14_overlap_lasts_until_somebody_smashes(void **state)
{
    struct rmp *rmp = *state;

    assign(rmp, HEAD, RMP_2M);
    rmp_set_in_use(rmp, hpa(HEAD), true);
    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_FAIL_INUSE);
    for (unsigned retry = 0; retry < 1000; retry++)
        assert_int_equal(make_shared(rmp, HEAD + 0x1000, RMP_4K), RMP_FAIL_OVERLAP);
    rmp_set_in_use(rmp, hpa(HEAD), false);
    assert_int_equal(make_shared(rmp, HEAD + 0x1000, RMP_4K), RMP_FAIL_OVERLAP);
    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_OK);
    assert_int_equal(make_shared(rmp, HEAD + 0x1000, RMP_4K), RMP_OK);
}

/* 20: the document lacked the test for a page that is not the head. */
static void bug_20_no_4k_hole_in_a_2m_page_at_any_of_its_512_pages(void **state)
{
    struct rmp *rmp = *state;

    assign(rmp, HEAD, RMP_2M);
    for (uint64_t offset = 0; offset < 0x200000; offset += 0x1000)
        assert_int_equal(make_shared(rmp, HEAD + offset, RMP_4K), RMP_FAIL_OVERLAP);
    assert_int_equal(lookup(rmp, HEAD + 0x1000).size, RMP_2M);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(update_gives_a_4k_page_to_a_guest),
        CASE(update_2m_writes_one_head_and_511_followers_that_only_hold_assigned),
        CASE(update_refuses_a_2m_page_off_its_boundary),
        CASE(update_refuses_an_unassigned_state_with_immutable_or_an_asid),
        CASE(update_refuses_an_asid_that_no_entry_can_hold),
        CASE(update_refuses_pages_outside_the_table),
        CASE(update_refuses_an_immutable_page),
        CASE(update_tests_input_before_immutable_before_in_use_before_overlap),
        CASE(update_refuses_a_page_in_use_and_leaves_its_neighbours_free),
        CASE(update_refuses_a_4k_page_inside_a_2m_page),
        CASE(update_refuses_a_2m_page_over_an_assigned_4k_page),
        CASE(update_replaces_a_2m_page_by_another_2m_state),
        CASE(a_2m_page_made_shared_can_be_given_out_in_4k_pages_again),
        CASE(update_clears_validated_and_vmsa_and_lower_vmpls),
        CASE(update_keeps_only_the_gpa_bits_that_a_page_of_its_size_has),
        CASE(psmash_copies_every_field_and_counts_gpas_up),
        CASE(psmash_keeps_an_immutable_page_immutable),
        CASE(psmash_refuses_misaligned_and_outside_pages),
        CASE(psmash_refuses_what_is_not_an_assigned_2m_page),
        CASE(psmash_refuses_a_page_of_which_a_part_is_in_use),
        CASE(region_is_shared_only_while_all_512_pages_are_unassigned),
        CASE(region_that_the_table_ends_in_is_shared_as_a_whole_or_not),
        CASE(four_tebibytes_cost_only_what_is_touched),
        CASE(reset_forgets_everything_and_changes_coverage),
        CASE(results_have_the_names_of_the_manual),
        CASE(bug_3_an_immutable_page_stays_out_of_reach),
        CASE(bug_4_count_follows_every_page_back_to_the_hypervisor),
        CASE(bug_10_a_page_in_use_stays_assigned),
        CASE(bug_14_overlap_lasts_until_somebody_smashes),
        CASE(bug_20_no_4k_hole_in_a_2m_page_at_any_of_its_512_pages),
    };

    return TEST_MAIN(tests, argc, argv);
}
