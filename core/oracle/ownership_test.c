/* Page ownership against rmp.md 2 and against a twin with one flat entry a page. */
#include "oracle/ownership.h"

#include "base/bits.h"
#include "base/random.h"
#include "base/test_main.h"

#include <stdlib.h>
#include <string.h>

enum { MIB = 1 << 20, LARGE = 2 * MIB, PAGE = 4096 };

static const struct owner_state unassigned_4k = { 0 };

static struct owner_state guest_page(uint64_t gpa, bool is_large)
{
    return (struct owner_state){ .gpa = gpa, .asid = 1, .assigned = true, .is_large = is_large };
}

static struct owner_guest_page operand(uint64_t hpa, uint64_t gpa, bool is_large)
{
    return (struct owner_guest_page){ hpa, gpa, 1, is_large };
}

static struct ownership fresh(void)
{
    struct ownership ownership = { 0 };

    ownership_reset(&ownership, 8 * LARGE);
    return ownership;
}

static void update_refuses_in_the_order_of_the_manual(void **state)
{
    struct ownership o = fresh();
    const struct owner_state large = guest_page(LARGE, true);
    const struct owner_state small = guest_page(0, false);
    const struct owner_state fixed = { .gpa = 0, .asid = 1, .assigned = true, .immutable = true };
    const struct owner_state bad = { .asid = 1 };

    (void)state;
    assert_int_equal(ownership_update(&o, PAGE, &large), OWNER_FAIL_INPUT);
    assert_int_equal(ownership_update(&o, 0, &bad), OWNER_FAIL_INPUT);
    assert_int_equal(ownership_update(&o, 8 * LARGE, &small), OWNER_FAIL_INPUT);
    assert_int_equal(ownership_update(&o, LARGE, &large), OWNER_OK);
    assert_int_equal(ownership_update(&o, LARGE, &small), OWNER_FAIL_OVERLAP);
    assert_int_equal(ownership_update(&o, LARGE + 5 * PAGE, &unassigned_4k), OWNER_FAIL_OVERLAP);
    assert_int_equal(ownership_update(&o, LARGE, &large), OWNER_OK);
    assert_int_equal(ownership_update(&o, 3 * PAGE, &small), OWNER_OK);
    assert_int_equal(ownership_update(&o, 0, &large), OWNER_FAIL_OVERLAP);
    assert_int_equal(ownership_update(&o, 0, &fixed), OWNER_OK);
    assert_int_equal(ownership_update(&o, 0, &unassigned_4k), OWNER_FAIL_PERMISSION);
    assert_int_equal(ownership_update(&o, 0, &large), OWNER_FAIL_PERMISSION);
    ownership_free(&o);
}

static void psmash_keeps_everything_but_the_size(void **state)
{
    struct ownership o = fresh();
    const struct owner_state large = guest_page(3 * LARGE, true);
    const struct owner_guest_page whole = operand(LARGE, 3 * LARGE, true);
    struct owner_page page;

    (void)state;
    ownership_update(&o, LARGE, &large);
    assert_int_equal(ownership_validate(&o, &whole, true), OWNER_OK);
    assert_int_equal(ownership_adjust(&o, &whole, 2, 3, true), OWNER_OK);
    assert_int_equal(ownership_psmash(&o, LARGE + PAGE), OWNER_FAIL_INPUT);
    assert_int_equal(ownership_psmash(&o, 0), OWNER_FAIL_BADADDR);
    assert_int_equal(ownership_psmash(&o, LARGE), OWNER_OK);
    assert_int_equal(ownership_psmash(&o, LARGE), OWNER_FAIL_BADADDR);
    for (uint64_t i = 0; i < 512; i++) {
        page = ownership_lookup(&o, LARGE + i * PAGE + 7);
        assert_true(page.assigned && page.validated && page.vmsa && !page.is_large && !page.immutable);
        assert_int_equal(page.gpa, 3 * LARGE + i * PAGE);
        assert_int_equal(page.asid, 1);
        assert_int_equal(page.rights[0], OWNER_ALL_RIGHTS);
        assert_int_equal(page.rights[2], 3);
    }
    assert_false(ownership_lookup(&o, LARGE - 1).assigned);
    assert_false(ownership_lookup(&o, 2 * LARGE).assigned);
    ownership_free(&o);
}

static void pvalidate_tells_sizes_owners_and_no_change_apart(void **state)
{
    struct ownership o = fresh();
    const struct owner_state large = guest_page(LARGE, true);
    const struct owner_state small = guest_page(9 * PAGE, false);
    struct owner_guest_page page = operand(LARGE, LARGE, true);

    (void)state;
    ownership_update(&o, LARGE, &large);
    ownership_update(&o, 0, &small);
    assert_int_equal(ownership_validate(&o, &page, true), OWNER_OK);
    assert_int_equal(ownership_validate(&o, &page, true), OWNER_NOUPDATE);
    page = operand(LARGE, LARGE, false);
    assert_int_equal(ownership_validate(&o, &page, true), OWNER_NPF_SIZEM);
    page = operand(0, 9 * PAGE, true);
    assert_int_equal(ownership_validate(&o, &page, true), OWNER_FAIL_INPUT);
    page = operand(0, 9 * PAGE, false);
    assert_int_equal(ownership_validate(&o, &page, false), OWNER_NOUPDATE);
    page.asid = 2;
    assert_int_equal(ownership_validate(&o, &page, true), OWNER_NPF);
    page = operand(0, 8 * PAGE, false);
    assert_int_equal(ownership_validate(&o, &page, true), OWNER_NPF);
    page = operand(0, 0, true);
    assert_int_equal(ownership_validate(&o, &page, true), OWNER_NPF);
    ownership_free(&o);
}

static void rmpupdate_clears_what_the_guest_had_set(void **state)
{
    struct ownership o = fresh();
    const struct owner_state small = guest_page(PAGE, false);
    const struct owner_guest_page page = operand(PAGE, PAGE, false);

    (void)state;
    ownership_update(&o, PAGE, &small);
    ownership_validate(&o, &page, true);
    assert_int_equal(ownership_adjust(&o, &page, 0, 1, false), OWNER_FAIL_PERMISSION);
    assert_int_equal(ownership_adjust(&o, &page, 1, 0x1f, true), OWNER_OK);
    assert_int_equal(ownership_update(&o, PAGE, &small), OWNER_OK);
    assert_false(ownership_lookup(&o, PAGE).validated);
    assert_false(ownership_lookup(&o, PAGE).vmsa);
    assert_int_equal(ownership_lookup(&o, PAGE).rights[1], 0);
    ownership_free(&o);
}

/* The twin: one entry a page, a 2M page is 512 entries that say so. */
enum { TWIN_PAGES = 4 * 512 };

struct twin_entry {
    bool assigned, is_large, validated;
    uint64_t gpa;
};

static enum owner_result twin_update(struct twin_entry *twin, unsigned index, const struct owner_state *state)
{
    struct twin_entry *first = &twin[index];
    const unsigned count = state->is_large ? 512 : 1;

    if (index % count) return OWNER_FAIL_INPUT;
    if (!state->is_large && first->assigned && first->is_large) return OWNER_FAIL_OVERLAP;
    for (unsigned i = 0; i < count; i++)
        if (state->is_large && first[i].assigned && !first[i].is_large) return OWNER_FAIL_OVERLAP;
    for (unsigned i = 0; i < count; i++)
        first[i] = state->assigned ? (struct twin_entry){ true, state->is_large, false, state->gpa + i * PAGE }
                                   : (struct twin_entry){ 0 };
    return OWNER_OK;
}

static enum owner_result twin_psmash(struct twin_entry *twin, unsigned index)
{
    if (index % 512) return OWNER_FAIL_INPUT;
    if (!twin[index].assigned || !twin[index].is_large) return OWNER_FAIL_BADADDR;
    for (unsigned i = 0; i < 512; i++) twin[index + i].is_large = false;
    return OWNER_OK;
}

static void assert_twin_agrees(const struct ownership *o, const struct twin_entry *twin)
{
    uint64_t where;

    for (unsigned i = 0; i < TWIN_PAGES; i++) {
        const struct owner_page page = ownership_lookup(o, (uint64_t)i * PAGE);

        assert_int_equal(page.assigned, twin[i].assigned);
        assert_int_equal(ownership_any(o, (uint64_t)i * PAGE, PAGE, &where), twin[i].assigned);
        if (!page.assigned) continue;
        assert_int_equal(page.is_large, twin[i].is_large);
        assert_int_equal(page.gpa, twin[i].gpa);
    }
}

static void ownership_agrees_with_a_flat_twin(void **state)
{
    struct twin_entry *twin = calloc(TWIN_PAGES, sizeof(*twin));
    struct random random = random_seeded(7);
    struct ownership o = { 0 };

    (void)state;
    assert_non_null(twin);
    ownership_reset(&o, TWIN_PAGES * PAGE);
    for (unsigned step = 0; step < 4000; step++) {
        const bool is_large = random_one_in(&random, 2);
        unsigned index = (unsigned)random_below(&random, TWIN_PAGES);
        const struct owner_state update = { .gpa = (uint64_t)is_large * LARGE + (is_large ? 0 : index * PAGE),
                                            .asid = 0,
                                            .assigned = random_one_in(&random, 2),
                                            .is_large = is_large };

        if (is_large && !random_one_in(&random, 8)) index -= index % 512;
        if (random_one_in(&random, 6))
            assert_int_equal(ownership_psmash(&o, (uint64_t)index * PAGE), twin_psmash(twin, index));
        else
            assert_int_equal(ownership_update(&o, (uint64_t)index * PAGE, &update), twin_update(twin, index, &update));
        if (step % 100 == 0) assert_twin_agrees(&o, twin);
        if (step % 300 == 0) {
            ownership_reset(&o, TWIN_PAGES * PAGE);
            memset(twin, 0, TWIN_PAGES * sizeof(*twin));
        }
    }
    assert_twin_agrees(&o, twin);
    ownership_free(&o);
    free(twin);
}

/* ---- firmware and holds ------------------------------------------------------------------------------------------ */

static void a_frozen_page_is_smashed_unsmashed_and_launched(void **state)
{
    const struct owner_state frozen = {
        .gpa = LARGE, .asid = 1, .assigned = true, .immutable = true, .is_large = true
    };
    struct ownership o = { 0 };

    (void)state;
    ownership_reset(&o, 4 * LARGE);
    assert_int_equal(ownership_update(&o, LARGE, &frozen), OWNER_OK);
    assert_int_equal(ownership_reclaim(&o, LARGE, false), OWNER_INVALID_PAGE_SIZE);
    assert_int_equal(ownership_reclaim(&o, LARGE + PAGE, false), OWNER_INVALID_PAGE_STATE);
    assert_int_equal(ownership_unsmash(&o, LARGE), OWNER_INVALID_PAGE_STATE);
    assert_int_equal(ownership_psmash(&o, LARGE), OWNER_OK);
    assert_int_equal(ownership_set_name(&o, LARGE + 7 * PAGE, false, OWNER_PRE_SWAP, 0), OWNER_OK);
    assert_int_equal(ownership_unsmash(&o, LARGE), OWNER_INVALID_PAGE_STATE);
    for (unsigned i = 0; i < 512; i++) ownership_set_name(&o, LARGE + i * (uint64_t)PAGE, false, OWNER_PRE_SWAP, 0);
    assert_int_equal(ownership_unsmash(&o, LARGE), OWNER_OK);
    assert_int_equal(o.pages.count, 1);
    assert_int_equal(ownership_reclaim(&o, LARGE, true), OWNER_OK);
    assert_true(ownership_lookup(&o, LARGE + 3 * PAGE).validated);
    assert_int_equal(ownership_lookup(&o, LARGE + 3 * PAGE).gpa, LARGE + 3 * PAGE);
    ownership_free(&o);
}

static void hv_fixed_pages_and_holds_refuse(void **state)
{
    const struct owner_state firmware = { .assigned = true, .immutable = true };
    const struct owner_state large = { .gpa = LARGE, .asid = 1, .assigned = true, .is_large = true };
    struct ownership o = { 0 };

    (void)state;
    ownership_reset(&o, 4 * LARGE);
    assert_int_equal(ownership_update(&o, LARGE + PAGE, &firmware), OWNER_OK);
    assert_int_equal(ownership_set_name(&o, LARGE + PAGE, false, OWNER_HV_FIXED, 0), OWNER_OK);
    assert_int_equal(ownership_update(&o, LARGE, &large), OWNER_FAIL_PERMISSION);
    assert_true(ownership_lookup(&o, LARGE + PAGE).immutable);
    assert_false(ownership_lookup(&o, LARGE + PAGE).assigned);
    ownership_hold(&o, 2 * LARGE + PAGE, true, 1);
    assert_true(ownership_is_locked(&o, 2 * LARGE));
    assert_int_equal(ownership_update(&o, 2 * LARGE, &large), OWNER_FAIL_OVERLAP);
    assert_int_equal(o.notes.count, 0); /* a note that says nothing goes */
    assert_int_equal(ownership_update(&o, 2 * LARGE, &large), OWNER_OK);
    ownership_hold(&o, 2 * LARGE + PAGE, false, 1);
    assert_int_equal(ownership_psmash(&o, 2 * LARGE), OWNER_FAIL_INUSE);
    assert_int_equal(ownership_psmash(&o, 2 * LARGE), OWNER_OK);
    ownership_free(&o);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(update_refuses_in_the_order_of_the_manual),
        cmocka_unit_test(psmash_keeps_everything_but_the_size),
        cmocka_unit_test(a_frozen_page_is_smashed_unsmashed_and_launched),
        cmocka_unit_test(hv_fixed_pages_and_holds_refuse),
        cmocka_unit_test(pvalidate_tells_sizes_owners_and_no_change_apart),
        cmocka_unit_test(rmpupdate_clears_what_the_guest_had_set),
        cmocka_unit_test(ownership_agrees_with_a_flat_twin),
    };

    return TEST_MAIN(tests, argc, argv);
}
