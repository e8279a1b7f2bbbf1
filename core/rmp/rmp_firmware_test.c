/* Firmware's commands on the RMP: states by name, PAGE_RECLAIM, PAGE_UNSMASH, PAGE_SET_STATE and its kin; holds, the
 * switch of rmp.md 1.6, segments, and a table that covers itself. */
#include "rmp/rmp_test_help.h"

#include "rmp/rmp_firmware.h"
#include "rmp/rmp_layout.h"

#include <string.h>

enum { LARGE_BYTES = 0x200000, TABLE_BASE = 0x500000, TABLE_END = 0x8fffff };

static enum rmp_page_state state_of(const struct rmp *rmp, uint64_t page)
{
    return rmp_page_state(rmp, hpa(page));
}

static enum rmp_result make_firmware(struct rmp *rmp, uint64_t page, enum rmp_page_size size)
{
    return rmp_update(rmp, hpa(page), &(struct rmp_state){ .assigned = true, .immutable = true, .size = size });
}

static enum rmp_result set(struct rmp *rmp, uint64_t page, enum rmp_page_size size, enum rmp_page_state to)
{
    return rmp_set_page_state(rmp, hpa(page), size, to, to == RMP_STATE_METADATA ? 0x7000 : 0);
}

/* A 4K page in each state, made by the instructions and commands that lead there. */
static void make_page_in(struct rmp *rmp, uint64_t page, enum rmp_page_state to)
{
    static const struct rmp_state reclaim = { .assigned = true };

    switch (to) {
    case RMP_STATE_HYPERVISOR: return;
    case RMP_STATE_RECLAIM: assert_int_equal(rmp_update(rmp, hpa(page), &reclaim), RMP_OK); return;
    case RMP_STATE_FIRMWARE: assert_int_equal(make_firmware(rmp, page, RMP_4K), RMP_OK); return;
    case RMP_STATE_PRE_GUEST: assert_int_equal(assign_immutable(rmp, page, RMP_4K), RMP_OK); return;
    case RMP_STATE_GUEST_INVALID: assert_int_equal(assign(rmp, page, RMP_4K), RMP_OK); return;
    case RMP_STATE_GUEST_VALID:
        assert_int_equal(assign(rmp, page, RMP_4K), RMP_OK);
        assert_int_equal(validate(rmp, page, RMP_4K), RMP_OK);
        return;
    case RMP_STATE_PRE_SWAP: assert_int_equal(assign_immutable(rmp, page, RMP_4K), RMP_OK); break;
    case RMP_STATE_FIRMWARE_IOMMU: break;
    default: assert_int_equal(make_firmware(rmp, page, RMP_4K), RMP_OK); break;
    }
    assert_int_equal(set(rmp, page, RMP_4K, to), RMP_OK);
}

/* Every stored bit of two entries. */
static void expect_same(const struct rmp_entry *a, const struct rmp_entry *b)
{
    const struct rmp_raw raws[2] = { { .entry = *a }, { .entry = *b } };
    uint64_t words[2][2];

    assert_true(rmp_raw_encode(&raws[0], words[0]));
    assert_true(rmp_raw_encode(&raws[1], words[1]));
    assert_memory_equal(words[0], words[1], sizeof(words[0]));
}

static void every_state_is_reached_and_read_off_its_entry(void **state)
{
    struct rmp *rmp = *state;

    for (unsigned to = RMP_STATE_HYPERVISOR; to < RMP_STATE_DEFAULT; to++) {
        const uint64_t page = HEAD + 0x10000 + to * 0x1000;

        make_page_in(rmp, page, (enum rmp_page_state)to);
        if (state_of(rmp, page) != to)
            fail_msg("%s, not %s", rmp_state_name(state_of(rmp, page)), rmp_state_name((enum rmp_page_state)to));
        assert_int_equal(rmp_check(rmp, NULL, NULL), 0);
    }
    assert_int_equal(state_of(rmp, COVERED), RMP_STATE_DEFAULT);
    assert_string_equal(rmp_state_name(RMP_STATE_FIRMWARE_IOMMU), "firmware-iommu");
}

static void a_firmware_page_whose_gpa_has_no_known_tag_is_in_no_state(void **state)
{
    const uint64_t gpas[] = { 0x1000, bit(48), bit(48) * 2, bit(48) * 2 + 0x2000, bit(48) * 3 + 0x1000 };
    const struct rmp_entry metadata = { .assigned = true, .immutable = true, .gpa = bit(48) + 0x1000 };

    (void)state;
    for (unsigned i = 0; i < sizeof(gpas) / sizeof(gpas[0]); i++) {
        const struct rmp_entry entry = { .assigned = true, .immutable = true, .gpa = gpas[i] };

        assert_int_equal(rmp_entry_state(&entry), RMP_STATE_INVALID);
    }
    assert_int_equal(rmp_entry_state(&metadata), RMP_STATE_METADATA);
    assert_int_equal(rmp_entry_state(&(struct rmp_entry){ .assigned = true, .validated = true }), RMP_STATE_INVALID);
}

/* Which of all pairs of states a command may go between; rmp_firmware.h has the list. */
static void only_the_listed_changes_of_state_happen(void **state)
{
    struct rmp *rmp = *state;
    unsigned allowed = 0;

    for (unsigned from = 0; from < RMP_STATE_DEFAULT; from++) {
        for (unsigned to = 0; to < RMP_STATE_DEFAULT; to++) {
            enum rmp_result result;

            rmp_reset(rmp, COVERED);
            make_page_in(rmp, HEAD + 0x3000, (enum rmp_page_state)from);
            result = set(rmp, HEAD + 0x3000, RMP_4K, (enum rmp_page_state)to);
            allowed += result == RMP_OK;
            assert_int_equal(state_of(rmp, HEAD + 0x3000), result == RMP_OK ? to : from);
            if (result != RMP_OK) assert_int_equal(result, RMP_FW_INVALID_PAGE_STATE);
            if (from == RMP_STATE_HV_FIXED) assert_int_not_equal(result, RMP_OK);
            assert_int_equal(rmp_check(rmp, NULL, NULL), 0);
        }
    }
    assert_int_equal(allowed, 11);
}

static void commands_refuse_bad_addresses_sizes_and_parameters(void **state)
{
    struct rmp *rmp = *state;

    make_firmware(rmp, HEAD, RMP_2M);
    assert_int_equal(set(rmp, HEAD + 0x1000, RMP_2M, RMP_STATE_HV_FIXED), RMP_FW_INVALID_ADDRESS);
    assert_int_equal(set(rmp, HEAD, RMP_4K, RMP_STATE_HV_FIXED), RMP_FW_INVALID_PAGE_SIZE);
    assert_int_equal(set(rmp, HEAD, RMP_2M, RMP_STATE_CONTEXT), RMP_FW_INVALID_PAGE_SIZE);
    assert_int_equal(set(rmp, HEAD + 0x1000, RMP_4K, RMP_STATE_HV_FIXED), RMP_FW_INVALID_PAGE_STATE);
    assert_int_equal(set(rmp, COVERED, RMP_4K, RMP_STATE_HV_FIXED), RMP_FW_INVALID_PAGE_STATE);
    make_firmware(rmp, 0x1000, RMP_4K);
    assert_int_equal(rmp_set_page_state(rmp, hpa(0x1000), RMP_4K, RMP_STATE_METADATA, 0), RMP_FW_INVALID_PARAM);
    assert_int_equal(rmp_set_page_state(rmp, hpa(0x1000), RMP_4K, RMP_STATE_METADATA, 0x1800), RMP_FW_INVALID_PARAM);
    assert_int_equal(rmp_set_page_state(rmp, hpa(0x1000), RMP_4K, RMP_STATE_METADATA, bit(48)), RMP_FW_INVALID_PARAM);
    assert_int_equal(rmp_reclaim(rmp, hpa(HEAD + 0x1000), RMP_2M), RMP_FW_INVALID_ADDRESS);
    assert_int_equal(rmp_unsmash(rmp, hpa(HEAD + 0x1000)), RMP_FW_INVALID_ADDRESS);
}

static void reclaim_clears_immutable_and_nothing_else(void **state)
{
    static const struct {
        enum rmp_page_state from, to;
    } rows[] = { { RMP_STATE_METADATA, RMP_STATE_RECLAIM },
                 { RMP_STATE_FIRMWARE, RMP_STATE_RECLAIM },
                 { RMP_STATE_PRE_GUEST, RMP_STATE_GUEST_INVALID },
                 { RMP_STATE_PRE_SWAP, RMP_STATE_GUEST_VALID } };
    struct rmp *rmp = *state;

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const uint64_t page = HEAD + i * 0x1000;
        struct rmp_entry before;
        struct rmp_entry after;

        make_page_in(rmp, page, rows[i].from);
        before = raw(rmp, page);
        assert_int_equal(rmp_reclaim(rmp, hpa(page), RMP_2M), i ? RMP_FW_INVALID_ADDRESS : RMP_FW_INVALID_PAGE_SIZE);
        assert_int_equal(rmp_reclaim(rmp, hpa(page), RMP_4K), RMP_OK);
        after = raw(rmp, page);
        assert_int_equal(rmp_entry_state(&after), rows[i].to);
        after.immutable = true;
        after.subpage_count = before.subpage_count;
        expect_same(&before, &after);
        assert_int_equal(rmp_reclaim(rmp, hpa(page), RMP_4K), RMP_FW_INVALID_PAGE_STATE);
        assert_int_equal(make_shared(rmp, page, RMP_4K), RMP_OK);
    }
}

static void reclaim_refuses_every_other_state(void **state)
{
    struct rmp *rmp = *state;

    for (unsigned from = 0; from < RMP_STATE_DEFAULT; from++) {
        if (from == RMP_STATE_METADATA || from == RMP_STATE_FIRMWARE || from == RMP_STATE_PRE_GUEST ||
            from == RMP_STATE_PRE_SWAP)
            continue;
        make_page_in(rmp, HEAD + from * 0x1000, (enum rmp_page_state)from);
        assert_int_equal(rmp_reclaim(rmp, hpa(HEAD + from * 0x1000), RMP_4K), RMP_FW_INVALID_PAGE_STATE);
    }
    assert_int_equal(rmp_reclaim(rmp, hpa(COVERED), RMP_4K), RMP_FW_INVALID_PAGE_STATE);
}

static void reclaim_takes_a_2m_page_whole_or_not_at_all(void **state)
{
    struct rmp *rmp = *state;

    assign_immutable(rmp, HEAD, RMP_2M);
    assert_int_equal(rmp_reclaim(rmp, hpa(HEAD), RMP_4K), RMP_FW_INVALID_PAGE_SIZE);
    assert_int_equal(rmp_reclaim(rmp, hpa(HEAD + 0x1000), RMP_4K), RMP_FW_INVALID_PAGE_STATE);
    assert_int_equal(rmp_reclaim(rmp, hpa(HEAD), RMP_2M), RMP_OK);
    assert_int_equal(state_of(rmp, HEAD), RMP_STATE_GUEST_INVALID);
    assert_int_equal(make_shared(rmp, HEAD, RMP_2M), RMP_OK);
}

static void hv_fixed_pages_refuse_rmpupdate_for_good(void **state)
{
    struct rmp *rmp = *state;

    make_page_in(rmp, HEAD + 0x5000, RMP_STATE_HV_FIXED);
    assert_int_equal(assign(rmp, HEAD + 0x5000, RMP_4K), RMP_FAIL_PERMISSION);
    assert_int_equal(make_shared(rmp, HEAD + 0x5000, RMP_4K), RMP_FAIL_PERMISSION);
    assert_int_equal(assign(rmp, HEAD, RMP_2M), RMP_FAIL_PERMISSION);
    assert_int_equal(make_shared(rmp, HEAD, RMP_2M), RMP_FAIL_PERMISSION);
    assert_int_equal(assign(rmp, HEAD + 0x6000, RMP_4K), RMP_OK);
    assert_int_equal(rmp_reclaim(rmp, hpa(HEAD + 0x5000), RMP_4K), RMP_FW_INVALID_PAGE_STATE);
    assert_int_equal(lookup(rmp, HEAD).subpage_count, 1);
}

static void a_2m_page_becomes_512_hv_fixed_pages(void **state)
{
    struct rmp *rmp = *state;

    make_firmware(rmp, HEAD, RMP_2M);
    assert_int_equal(set(rmp, HEAD, RMP_2M, RMP_STATE_HV_FIXED), RMP_OK);
    for (uint64_t page = HEAD; page < HEAD + LARGE_BYTES; page += 0x1000) {
        assert_int_equal(state_of(rmp, page), RMP_STATE_HV_FIXED);
        assert_int_equal(assign(rmp, page, RMP_4K), RMP_FAIL_PERMISSION);
    }
    assert_true(rmp_region_is_shared(rmp, hpa(HEAD)));
    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_FAIL_BADADDR);
    assert_int_equal(assign(rmp, HEAD, RMP_2M), RMP_FAIL_PERMISSION);
}

/* ---- PAGE_UNSMASH ------------------------------------------------------------------------------------------------ */

/* 512 pre-guest pages that unsmash accepts. */
static void make_unsmashable(struct rmp *rmp)
{
    rmp_reset(rmp, COVERED);
    assert_int_equal(assign_immutable(rmp, HEAD, RMP_2M), RMP_OK);
    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_OK);
}

static void unsmash_undoes_psmash(void **state)
{
    struct rmp *rmp = *state;
    struct rmp_entry before;
    struct rmp_entry after;

    make_unsmashable(rmp);
    before = lookup(rmp, HEAD + 0x7000);
    assert_int_equal(lookup(rmp, HEAD).subpage_count, 511);
    assert_int_equal(rmp_unsmash(rmp, hpa(HEAD)), RMP_OK);
    after = lookup(rmp, HEAD + 0x7000);
    assert_int_equal(after.size, RMP_2M);
    after.size = RMP_4K;
    expect_same(&before, &after);
    assert_int_equal(lookup(rmp, HEAD).subpage_count, 0);
    assert_true(raw(rmp, HEAD + 0x7000).assigned);
    assert_false(raw(rmp, HEAD + 0x7000).immutable);
    assert_int_equal(raw(rmp, HEAD + 0x7000).asid, 0);
    assert_int_equal(rmp_unsmash(rmp, hpa(HEAD)), RMP_FW_INVALID_PAGE_STATE);
    assert_int_equal(rmp_reclaim(rmp, hpa(HEAD), RMP_2M), RMP_OK);
}

static void unsmash_keeps_who_runs_where(void **state)
{
    struct rmp *rmp = *state;

    make_unsmashable(rmp);
    rmp_set_in_use(rmp, hpa(HEAD + 0x9000), true);
    assert_int_equal(rmp_unsmash(rmp, hpa(HEAD)), RMP_OK);
    assert_int_equal(rmp_check(rmp, NULL, NULL), 0);
    assert_true(lookup(rmp, HEAD + 0x9000).in_use);
    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_FAIL_INUSE);
    rmp_set_in_use(rmp, hpa(HEAD + 0x9000), false);
    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_OK);
}

/* Each condition broken alone, at one page: the first, one in the middle, the last. */
static void unsmash_wants_512_equal_pages_in_a_row(void **state)
{
    static const struct {
        uint64_t flip;
        uint16_t asid;
        uint8_t perms;
    } breaks[] = { { SLOT_IMMUTABLE, 0, 0 },
                   { SLOT_VMSA, 0, 0 },
                   { SLOT_VALIDATED, 0, 0 },
                   { 0x1000, 0, 0 },
                   { SLOT_ASSIGNED, 0, 0 },
                   { 0, 3, 0 },
                   { 0, 0, 4 } };
    static const unsigned pages[] = { 0, 200, 511 };
    struct rmp *rmp = *state;

    for (unsigned i = 0; i < 3 * sizeof(breaks) / sizeof(breaks[0]); i++) {
        struct rmp_region *region;
        struct rmp_slot *slot;

        make_unsmashable(rmp);
        region = rmp_region_find(rmp, hpa(HEAD));
        slot = pages[i % 3] ? &region->pages[pages[i % 3]] : &region->head;
        slot->word ^= breaks[i / 3].flip;
        slot->asid ^= breaks[i / 3].asid;
        slot->perms[2] ^= breaks[i / 3].perms;
        assert_int_equal(rmp_unsmash(rmp, hpa(HEAD)), RMP_FW_INVALID_PAGE_STATE);
        assert_int_equal(region->subpage_count, 511);
    }
    rmp_reset(rmp, COVERED);
}

static void unsmash_wants_a_guest_and_a_2m_aligned_gpa(void **state)
{
    struct rmp *rmp = *state;

    make_firmware(rmp, HEAD, RMP_2M);
    rmp_psmash(rmp, hpa(HEAD));
    assert_int_equal(rmp_unsmash(rmp, hpa(HEAD)), RMP_FW_INVALID_PAGE_STATE);
    rmp_reset(rmp, COVERED);
    for (unsigned i = 0; i < 512; i++) {
        const struct rmp_state page = {
            .assigned = true, .immutable = true, .asid = GUEST, .gpa = 0x1000 + i * UINT64_C(0x1000)
        };

        assert_int_equal(rmp_update(rmp, hpa(HEAD + i * UINT64_C(0x1000)), &page), RMP_OK);
    }
    assert_int_equal(rmp_unsmash(rmp, hpa(HEAD)), RMP_FW_INVALID_PAGE_STATE);
    assert_int_equal(rmp_unsmash(rmp, hpa(COVERED)), RMP_FW_INVALID_PAGE_STATE);
}

static void validated_pages_come_back_as_one_without_the_guest(void **state)
{
    struct rmp *rmp = *state;

    assign(rmp, HEAD, RMP_2M);
    validate(rmp, HEAD, RMP_2M);
    rmp_psmash(rmp, hpa(HEAD));
    assert_int_equal(rmp_unsmash(rmp, hpa(HEAD)), RMP_FW_INVALID_PAGE_STATE);
    for (uint64_t page = HEAD; page < HEAD + LARGE_BYTES; page += 0x1000)
        assert_int_equal(set(rmp, page, RMP_4K, RMP_STATE_PRE_SWAP), RMP_OK);
    assert_int_equal(rmp_unsmash(rmp, hpa(HEAD)), RMP_OK);
    assert_int_equal(rmp_reclaim(rmp, hpa(HEAD), RMP_2M), RMP_OK);
    assert_int_equal(state_of(rmp, HEAD), RMP_STATE_GUEST_VALID);
    assert_int_equal(lookup(rmp, HEAD + 0x1ff000).size, RMP_2M);
    assert_true(lookup(rmp, HEAD + 0x1ff000).validated);
}

/* ---- holds and the switch ---------------------------------------------------------------------------------------- */

static void a_hold_on_a_page_refuses_n_times_and_ends(void **state)
{
    struct rmp *rmp = *state;

    assert_true(rmp_hold(rmp, hpa(HEAD + 0x2000), RMP_HOLD_INUSE, 2));
    assert_int_equal(assign(rmp, HEAD + 0x3000, RMP_4K), RMP_OK); /* not the page */
    assert_int_equal(make_shared(rmp, HEAD + 0x3000, RMP_4K), RMP_OK);
    assert_int_equal(assign(rmp, HEAD + 0x1000, RMP_2M), RMP_FAIL_INPUT); /* judged before it, uses nothing up */
    assert_int_equal(assign(rmp, HEAD + 0x2000, RMP_4K), RMP_FAIL_INUSE);
    assert_int_equal(assign(rmp, HEAD, RMP_2M), RMP_FAIL_INUSE);
    assert_int_equal(assign(rmp, HEAD, RMP_2M), RMP_OK);
    assert_true(rmp_hold(rmp, hpa(HEAD + 0x2000), RMP_HOLD_INUSE, 1));
    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_FAIL_INUSE);
    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_OK);
    assert_false(rmp_hold(rmp, hpa(COVERED), RMP_HOLD_INUSE, 1));
}

static void a_locked_region_answers_overlap_and_shows_the_lock_asid(void **state)
{
    struct rmp *rmp = *state;
    struct rmp_state shown;

    assert_true(rmp_hold(rmp, hpa(HEAD + 0x2000), RMP_HOLD_OVERLAP, 3));
    assert_int_equal(rmp_read(rmp, hpa(HEAD), &shown), RMP_OK);
    assert_int_equal(shown.asid, RMP_ASID_LOCKED);
    assert_int_equal(rmp_read(rmp, hpa(HEAD + 0x2000), &shown), RMP_OK);
    assert_int_equal(shown.asid, 0);
    assert_int_equal(assign(rmp, HEAD + 0x7000, RMP_4K), RMP_FAIL_OVERLAP);
    assert_int_equal(assign(rmp, HEAD, RMP_2M), RMP_FAIL_OVERLAP);
    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_FAIL_INUSE);
    assert_int_equal(rmp_read(rmp, hpa(HEAD), &shown), RMP_OK);
    assert_int_equal(shown.asid, 0);
    assert_int_equal(assign(rmp, HEAD, RMP_2M), RMP_OK);
}

static void a_hold_for_ever_ends_when_it_is_taken_away(void **state)
{
    struct rmp *rmp = *state;

    rmp_hold(rmp, hpa(HEAD), RMP_HOLD_OVERLAP, RMP_HOLD_FOR_EVER);
    for (unsigned i = 0; i < 1000; i++) assert_int_equal(assign(rmp, HEAD, RMP_4K), RMP_FAIL_OVERLAP);
    rmp_hold(rmp, hpa(HEAD), RMP_HOLD_OVERLAP, 0);
    assert_int_equal(assign(rmp, HEAD, RMP_4K), RMP_OK);
}

static void a_size_that_stays_keeps_4k_updates_of_the_head_out(void **state)
{
    struct rmp *rmp = *state;
    struct rmp_state shown;

    rmp_set_switches(rmp, &(struct rmp_switches){ .keeps_page_size = true });
    assign(rmp, HEAD, RMP_2M);
    assert_int_equal(make_shared(rmp, HEAD, RMP_2M), RMP_OK);
    assert_int_equal(rmp_check(rmp, NULL, NULL), 0);
    rmp_read(rmp, hpa(HEAD), &shown);
    assert_true(!shown.assigned && shown.size == RMP_2M);
    assert_true(rmp_region_is_shared(rmp, hpa(HEAD)));
    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_FAIL_BADADDR);
    assert_int_equal(assign(rmp, HEAD, RMP_4K), RMP_FAIL_OVERLAP);
    assert_int_equal(make_shared(rmp, HEAD, RMP_4K), RMP_FAIL_OVERLAP);
    assert_int_equal(assign(rmp, HEAD + 0x1000, RMP_4K), RMP_OK);
    assert_int_equal(make_shared(rmp, HEAD + 0x1000, RMP_4K), RMP_OK);
    assert_int_equal(assign(rmp, HEAD, RMP_2M), RMP_OK);
    assert_int_equal(rmp_psmash(rmp, hpa(HEAD)), RMP_OK);
    assert_int_equal(make_shared(rmp, HEAD, RMP_4K), RMP_OK); /* a 4K page has nothing to keep */
    assert_int_equal(assign(rmp, HEAD, RMP_4K), RMP_OK);
    rmp_reset(rmp, COVERED);
    assign(rmp, HEAD, RMP_2M);
    make_shared(rmp, HEAD, RMP_2M);
    assert_int_equal(assign(rmp, HEAD, RMP_4K), RMP_OK); /* the default */
}

/* ---- coverage ---------------------------------------------------------------------------------------------------- */

static void segments_cover_what_they_say_with_holes_between(void **state)
{
    struct rmp *rmp = *state;
    uint64_t entries[RMP_SEGMENTS_MAX] = { 0 };

    entries[0] = rmp_segment_entry(0x1000000, 2);
    entries[2] = rmp_segment_entry(0x2000000, 9); /* more than a segment: cut off */
    entries[5] = rmp_segment_entry(0x3000000, 1);
    rmp_reset_segmented(rmp, 32, entries);
    assert_int_equal(rmp_covered_bytes(rmp), (UINT64_C(5) << 32) + bit(30));
    assert_int_equal(assign(rmp, bit(31) - LARGE_BYTES, RMP_2M), RMP_OK);
    assert_int_equal(assign(rmp, bit(31), RMP_4K), RMP_FAIL_INPUT);
    assert_int_equal(assign(rmp, UINT64_C(1) << 32, RMP_2M), RMP_FAIL_INPUT);
    assert_int_equal(assign(rmp, UINT64_C(2) << 32, RMP_2M), RMP_OK);
    assert_int_equal(assign(rmp, (UINT64_C(3) << 32) - 0x1000, RMP_4K), RMP_OK);
    assert_int_equal(assign(rmp, UINT64_C(3) << 32, RMP_4K), RMP_FAIL_INPUT);
    assert_int_equal(assign(rmp, (UINT64_C(5) << 32) + bit(30) - LARGE_BYTES, RMP_2M), RMP_OK);
    assert_int_equal(assign(rmp, (UINT64_C(5) << 32) + bit(30), RMP_4K), RMP_FAIL_INPUT);
    assert_int_equal(rmp_psmash(rmp, hpa(UINT64_C(1) << 32)), RMP_FAIL_INPUT);
    assert_int_equal(state_of(rmp, UINT64_C(4) << 32), RMP_STATE_DEFAULT);
    assert_int_equal(state_of(rmp, 0), RMP_STATE_HYPERVISOR);
}

static void a_table_covers_itself_with_firmware_pages(void **state)
{
    struct rmp *rmp = *state;
    struct rmp_state shown;

    assert_int_equal(rmp_cover_table(rmp, hpa(TABLE_BASE + 0x1000), hpa(TABLE_END)), RMP_FW_INVALID_PARAM);
    assert_int_equal(rmp_cover_table(rmp, hpa(COVERED), hpa(COVERED + 0xfffff)), RMP_FW_INVALID_PARAM);
    assert_int_equal(rmp_cover_table(rmp, hpa(TABLE_BASE), hpa(TABLE_END)), RMP_OK);
    assert_int_equal(state_of(rmp, TABLE_BASE - 0x1000), RMP_STATE_HYPERVISOR);
    assert_int_equal(state_of(rmp, TABLE_BASE), RMP_STATE_FIRMWARE);
    assert_int_equal(state_of(rmp, TABLE_END), RMP_STATE_FIRMWARE);
    assert_int_equal(state_of(rmp, TABLE_END + 1), RMP_STATE_HYPERVISOR);
    assert_int_equal(lookup(rmp, 0x400000).subpage_count, 256); /* second half of its region */
    assert_int_equal(lookup(rmp, 0x600000).subpage_count, 511);
    assert_int_equal(lookup(rmp, 0x800000).subpage_count, 255); /* first half, the head not counted */
    rmp_read(rmp, hpa(0x400000), &shown);
    assert_true(!shown.assigned && shown.region_status);
    assert_int_equal(assign(rmp, 0x400000, RMP_2M), RMP_FAIL_OVERLAP);
    assert_int_equal(assign(rmp, TABLE_BASE, RMP_4K), RMP_FAIL_PERMISSION);
    assert_int_equal(rmp_reclaim(rmp, hpa(TABLE_BASE), RMP_4K), RMP_FW_INVALID_ADDRESS);
    assert_int_equal(rmp_unsmash(rmp, hpa(0x400000)), RMP_FW_INVALID_ADDRESS);
    assert_int_equal(set(rmp, TABLE_END - 0xfff, RMP_4K, RMP_STATE_HV_FIXED), RMP_FW_INVALID_ADDRESS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(every_state_is_reached_and_read_off_its_entry),
        CASE(a_firmware_page_whose_gpa_has_no_known_tag_is_in_no_state),
        CASE(only_the_listed_changes_of_state_happen),
        CASE(commands_refuse_bad_addresses_sizes_and_parameters),
        CASE(reclaim_clears_immutable_and_nothing_else),
        CASE(reclaim_refuses_every_other_state),
        CASE(reclaim_takes_a_2m_page_whole_or_not_at_all),
        CASE(hv_fixed_pages_refuse_rmpupdate_for_good),
        CASE(a_2m_page_becomes_512_hv_fixed_pages),
        CASE(unsmash_undoes_psmash),
        CASE(unsmash_keeps_who_runs_where),
        CASE(unsmash_wants_512_equal_pages_in_a_row),
        CASE(unsmash_wants_a_guest_and_a_2m_aligned_gpa),
        CASE(validated_pages_come_back_as_one_without_the_guest),
        CASE(a_hold_on_a_page_refuses_n_times_and_ends),
        CASE(a_locked_region_answers_overlap_and_shows_the_lock_asid),
        CASE(a_hold_for_ever_ends_when_it_is_taken_away),
        CASE(a_size_that_stays_keeps_4k_updates_of_the_head_out),
        CASE(segments_cover_what_they_say_with_holes_between),
        CASE(a_table_covers_itself_with_firmware_pages),
    };

    return TEST_MAIN(tests, argc, argv);
}
