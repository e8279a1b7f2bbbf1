/* What the RMP tests share: a 16 MiB table, guest 1 with its pages at GUEST_GPA, one call per usual instruction. */
#pragma once

#include "base/test_main.h"

#include "base/bits.h"
#include "rmp/rmp.h"
#include "rmp/rmp_internal.h"

enum { COVERED = 16 << 20, HEAD = 0x400000, GUEST = 1, GUEST_GPA = 0x10200000 };

static inline int set_up(void **state)
{
    *state = rmp_new(COVERED);
    return 0;
}

/* Whatever a test did, the table it leaves behind keeps every rule. */
static inline int tear_down(void **state)
{
    const unsigned broken = rmp_check(*state, NULL, NULL);

    rmp_free(*state);
    return broken ? -1 : 0;
}

static inline enum rmp_result assign(struct rmp *rmp, uint64_t page, enum rmp_page_size size)
{
    return rmp_update(
        rmp, hpa(page),
        &(struct rmp_state){ .assigned = true, .asid = GUEST, .size = size, .gpa = GUEST_GPA + (page - HEAD) });
}

static inline enum rmp_result make_shared(struct rmp *rmp, uint64_t page, enum rmp_page_size size)
{
    return rmp_update(rmp, hpa(page), &(struct rmp_state){ .size = size });
}

static inline enum rmp_result assign_immutable(struct rmp *rmp, uint64_t page, enum rmp_page_size size)
{
    return rmp_update(
        rmp, hpa(page),
        &(struct rmp_state){
            .assigned = true, .asid = GUEST, .immutable = true, .size = size, .gpa = GUEST_GPA + (page - HEAD) });
}

static inline struct rmp_guest_page guest_page(uint64_t page, enum rmp_page_size size)
{
    return (
        struct rmp_guest_page){ .page = hpa(page), .gpa = gpa(GUEST_GPA + (page - HEAD)), .asid = GUEST, .size = size };
}

static inline enum rmp_result validate(struct rmp *rmp, uint64_t page, enum rmp_page_size size)
{
    const struct rmp_guest_page asked = guest_page(page, size);

    return rmp_pvalidate(rmp, &asked, true);
}

static inline struct rmp_entry lookup(const struct rmp *rmp, uint64_t page)
{
    struct rmp_entry entry;

    assert_true(rmp_lookup(rmp, hpa(page), &entry));
    return entry;
}

static inline struct rmp_entry raw(const struct rmp *rmp, uint64_t page)
{
    struct rmp_entry entry;

    assert_true(rmp_raw_entry(rmp, hpa(page), &entry));
    return entry;
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
