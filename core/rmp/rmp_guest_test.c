/* What a guest runs: PVALIDATE, RMPADJUST, RMPQUERY with every return code; and RMPREAD. */
#include "rmp/rmp_test_help.h"

/* ---- PVALIDATE --------------------------------------------------------------------------------------------------- */

static void pvalidate_sets_and_clears_and_says_when_nothing_changed(void **state)
{
    struct rmp *rmp = *state;
    const struct rmp_guest_page page = guest_page(HEAD + 0x1000, RMP_4K);

    assign(rmp, HEAD + 0x1000, RMP_4K);
    assert_int_equal(rmp_pvalidate(rmp, &page, false), RMP_NOUPDATE);
    assert_int_equal(rmp_pvalidate(rmp, &page, true), RMP_OK);
    assert_int_equal(rmp_pvalidate(rmp, &page, true), RMP_NOUPDATE);
    assert_true(lookup(rmp, HEAD + 0x1000).validated);
    assert_int_equal(rmp_pvalidate(rmp, &page, false), RMP_OK);
    assert_false(lookup(rmp, HEAD + 0x1000).validated);
}

static void pvalidate_2m_validates_all_512_pages(void **state)
{
    struct rmp *rmp = *state;

    assign(rmp, HEAD, RMP_2M);
    assert_int_equal(validate(rmp, HEAD, RMP_2M), RMP_OK);
    assert_true(lookup(rmp, HEAD + 0x1ff000).validated);
}

static void pvalidate_refuses_a_misaligned_gpa_before_anything_else(void **state)
{
    struct rmp_guest_page page = guest_page(HEAD + 0x1000, RMP_2M);

    page.vmpl = 1;
    assert_int_equal(rmp_pvalidate(*state, &page, true), RMP_FAIL_INPUT);
    page.size = RMP_4K;
    page.gpa.value += 0x800;
    assert_int_equal(rmp_pvalidate(*state, &page, true), RMP_FAIL_INPUT);
}

static void pvalidate_is_for_vmpl0_only(void **state)
{
    struct rmp_guest_page page = guest_page(HEAD, RMP_4K);

    assign(*state, HEAD, RMP_4K);
    page.vmpl = 1;
    assert_int_equal(rmp_pvalidate(*state, &page, true), RMP_FAIL_PERMISSION);
}

static void pvalidate_2m_of_a_4k_entry_is_a_size_mismatch(void **state)
{
    assign(*state, HEAD, RMP_4K);
    assert_int_equal(validate(*state, HEAD, RMP_2M), RMP_FAIL_SIZEMISMATCH);
}

static void pvalidate_4k_of_a_2m_entry_faults_with_sizem_until_it_is_smashed(void **state)
{
    struct rmp *rmp = *state;

    assign(rmp, HEAD, RMP_2M);
    assert_int_equal(validate(rmp, HEAD, RMP_4K), RMP_NPF_SIZEM);
    assert_int_equal(validate(rmp, HEAD + 0x8000, RMP_4K), RMP_NPF_SIZEM);
    rmp_psmash(rmp, hpa(HEAD));
    assert_int_equal(validate(rmp, HEAD + 0x8000, RMP_4K), RMP_OK);
    assert_false(lookup(rmp, HEAD + 0x7000).validated);
}

static void pvalidate_of_a_page_that_is_not_the_guests_faults(void **state)
{
    struct rmp *rmp = *state;
    struct rmp_guest_page page = guest_page(HEAD, RMP_4K);

    assert_int_equal(rmp_pvalidate(rmp, &page, true), RMP_NPF);
    assign(rmp, HEAD, RMP_4K);
    page.asid = 2;
    assert_int_equal(rmp_pvalidate(rmp, &page, true), RMP_NPF);
    page = guest_page(HEAD, RMP_4K);
    page.gpa.value += 0x1000;
    assert_int_equal(rmp_pvalidate(rmp, &page, true), RMP_NPF);
    page.page = hpa(COVERED);
    assert_int_equal(rmp_pvalidate(rmp, &page, true), RMP_NPF);
}

static void pvalidate_of_an_immutable_page_faults(void **state)
{
    assign_immutable(*state, HEAD, RMP_4K);
    assert_int_equal(validate(*state, HEAD, RMP_4K), RMP_NPF);
}

/* Size answers would tell one guest about the pages of another: ownership comes first. */
static void pvalidate_does_not_show_the_size_of_a_foreign_page(void **state)
{
    struct rmp_guest_page page = guest_page(HEAD, RMP_4K);

    assign(*state, HEAD, RMP_2M);
    page.asid = 2;
    assert_int_equal(rmp_pvalidate(*state, &page, true), RMP_NPF);
    page.size = RMP_2M;
    assert_int_equal(rmp_pvalidate(*state, &page, true), RMP_NPF);
}

static void asid_0_is_no_guest(void **state)
{
    const struct rmp_state reclaim = { .assigned = true };
    const struct rmp_guest_page page = { .page = hpa(HEAD) };

    rmp_update(*state, hpa(HEAD), &reclaim);
    assert_int_equal(rmp_pvalidate(*state, &page, true), RMP_NPF);
}

/* ---- RMPADJUST, RMPQUERY, RMPREAD -------------------------------------------------------------------------------- */

static void adjust_gives_permissions_to_a_lower_vmpl(void **state)
{
    struct rmp *rmp = *state;
    struct rmp_guest_page page = guest_page(HEAD, RMP_2M);

    assign(rmp, HEAD, RMP_2M);
    assert_int_equal(rmp_adjust(rmp, &page, 1, RMP_PERM_READ | RMP_PERM_WRITE, false), RMP_OK);
    assert_int_equal(lookup(rmp, HEAD + 0x3000).perms[1], RMP_PERM_READ | RMP_PERM_WRITE);
    page.vmpl = 1;
    assert_int_equal(rmp_adjust(rmp, &page, 2, RMP_PERM_READ, true), RMP_OK);
    assert_int_equal(lookup(rmp, HEAD).perms[2], RMP_PERM_READ);
    assert_false(lookup(rmp, HEAD).vmsa); /* only VMPL0 decides about vmsa */
}

static void adjust_refuses_what_the_caller_does_not_have(void **state)
{
    struct rmp *rmp = *state;
    struct rmp_guest_page page = guest_page(HEAD, RMP_4K);

    assign(rmp, HEAD, RMP_4K);
    assert_int_equal(rmp_adjust(rmp, &page, 0, RMP_PERM_READ, false), RMP_FAIL_PERMISSION);
    assert_int_equal(rmp_adjust(rmp, &page, 1, RMP_PERM_READ, false), RMP_OK);
    page.vmpl = 1;
    assert_int_equal(rmp_adjust(rmp, &page, 1, RMP_PERM_READ, false), RMP_FAIL_PERMISSION);
    assert_int_equal(rmp_adjust(rmp, &page, 2, RMP_PERM_WRITE, false), RMP_FAIL_PERMISSION);
    assert_int_equal(lookup(rmp, HEAD).perms[2], 0);
}

static void adjust_refuses_bad_operands_sizes_and_foreign_pages(void **state)
{
    struct rmp *rmp = *state;
    struct rmp_guest_page page = guest_page(HEAD, RMP_2M);

    assign(rmp, HEAD, RMP_4K);
    assert_int_equal(rmp_adjust(rmp, &page, 4, 0, false), RMP_FAIL_INPUT);
    assert_int_equal(rmp_adjust(rmp, &page, 1, 0x20, false), RMP_FAIL_INPUT);
    assert_int_equal(rmp_adjust(rmp, &page, 1, 0, false), RMP_FAIL_SIZEMISMATCH);
    page.gpa.value += 0x1000;
    assert_int_equal(rmp_adjust(rmp, &page, 1, 0, false), RMP_FAIL_INPUT);
    page = guest_page(HEAD + 0x200000, RMP_4K);
    assert_int_equal(rmp_adjust(rmp, &page, 1, 0, false), RMP_NPF);
    assign(rmp, HEAD + 0x200000, RMP_2M);
    assert_int_equal(rmp_adjust(rmp, &page, 1, 0, false), RMP_NPF_SIZEM);
}

static void query_tells_permissions_vmsa_and_size_of_the_guests_own_page(void **state)
{
    struct rmp *rmp = *state;
    struct rmp_guest_page page = guest_page(HEAD + 0x5000, RMP_4K);
    const struct rmp_guest_page head = guest_page(HEAD, RMP_2M);
    enum rmp_page_size size;
    uint8_t perms;
    bool vmsa;

    assert_int_equal(rmp_query(rmp, &page, 1, &perms, &vmsa, &size), RMP_NPF);
    assign(rmp, HEAD, RMP_2M);
    rmp_adjust(rmp, &head, 1, RMP_PERM_XSUPER, true);
    assert_int_equal(rmp_query(rmp, &page, 1, &perms, &vmsa, &size), RMP_OK);
    assert_int_equal(perms, RMP_PERM_XSUPER);
    assert_int_equal(size, RMP_2M);
    assert_true(vmsa);
    assert_int_equal(rmp_query(rmp, &page, 4, &perms, &vmsa, &size), RMP_FAIL_PERMISSION);
    page.vmpl = 2;
    assert_int_equal(rmp_query(rmp, &page, 1, &perms, &vmsa, &size), RMP_FAIL_PERMISSION);
}

static void read_shows_the_pages_own_entry(void **state)
{
    struct rmp *rmp = *state;
    struct rmp_state seen;

    assign_immutable(rmp, HEAD, RMP_2M);
    assert_int_equal(rmp_read(rmp, hpa(HEAD), &seen), RMP_OK);
    assert_true(seen.assigned && seen.immutable && !seen.region_status);
    assert_int_equal(seen.size, RMP_2M);
    assert_int_equal(seen.asid, GUEST);
    assert_int_equal(seen.gpa, GUEST_GPA);
    assert_int_equal(rmp_read(rmp, hpa(HEAD + 0x1000), &seen), RMP_OK);
    assert_true(seen.assigned && !seen.immutable);
    assert_int_equal(seen.size + seen.asid + seen.gpa, 0);
    assert_int_equal(rmp_read(rmp, hpa(COVERED), &seen), RMP_FAIL_INPUT);
}

static void read_reports_region_status_at_the_2m_aligned_page_only(void **state)
{
    struct rmp *rmp = *state;
    struct rmp_state seen;

    assign(rmp, HEAD + 0x6000, RMP_4K);
    rmp_read(rmp, hpa(HEAD), &seen);
    assert_true(seen.region_status && !seen.assigned);
    rmp_read(rmp, hpa(HEAD + 0x6000), &seen);
    assert_false(seen.region_status);
    make_shared(rmp, HEAD + 0x6000, RMP_4K);
    rmp_read(rmp, hpa(HEAD), &seen);
    assert_false(seen.region_status);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(pvalidate_sets_and_clears_and_says_when_nothing_changed),
        CASE(pvalidate_2m_validates_all_512_pages),
        CASE(pvalidate_refuses_a_misaligned_gpa_before_anything_else),
        CASE(pvalidate_is_for_vmpl0_only),
        CASE(pvalidate_2m_of_a_4k_entry_is_a_size_mismatch),
        CASE(pvalidate_4k_of_a_2m_entry_faults_with_sizem_until_it_is_smashed),
        CASE(pvalidate_of_a_page_that_is_not_the_guests_faults),
        CASE(pvalidate_of_an_immutable_page_faults),
        CASE(pvalidate_does_not_show_the_size_of_a_foreign_page),
        CASE(asid_0_is_no_guest),
        CASE(adjust_gives_permissions_to_a_lower_vmpl),
        CASE(adjust_refuses_what_the_caller_does_not_have),
        CASE(adjust_refuses_bad_operands_sizes_and_foreign_pages),
        CASE(query_tells_permissions_vmsa_and_size_of_the_guests_own_page),
        CASE(read_shows_the_pages_own_entry),
        CASE(read_reports_region_status_at_the_2m_aligned_page_only),
    };

    return TEST_MAIN(tests, argc, argv);
}
