/*
 * Random instructions against a model too simple to be wrong: one struct per page in a flat array, 2M pages written out
 * in full, the sub-page count and the in-use question answered by counting. After each step every entry, every lookup
 * and rmp_check must agree.
 */
#include "base/test_main.h"

#include "base/bits.h"
#include "base/random.h"
#include "rmp/rmp_firmware.h"

#include <string.h>

enum {
    PAGES = 512 + 512 + 100, /* the last region is covered in part */
    REGIONS = 3,
    STEPS = 3000,
    SEEDS = 5,
    GUESTS = 2,
    RESULTS = RMP_FW_INVALID_PAGE_STATE + 1,
};

struct model {
    struct rmp_entry pages[PAGES]; /* subpage_count stays 0 here: it is counted when asked for */
    struct {
        enum rmp_hold what;
        unsigned page, left;
    } holds[REGIONS];
};

static unsigned head_of(unsigned page)
{
    return page / 512 * 512;
}

static bool is_inside_2m_page(const struct model *model, unsigned page)
{
    return model->pages[head_of(page)].assigned && model->pages[head_of(page)].size == RMP_2M;
}

static unsigned last_of_region(unsigned page)
{
    return head_of(page) + 511 < PAGES ? head_of(page) + 511 : PAGES - 1;
}

/* How many pages of the region after its first are assigned. */
static unsigned count_assigned(const struct model *model, unsigned page)
{
    unsigned count = 0;

    for (unsigned i = head_of(page) + 1; i <= last_of_region(page); i++) count += model->pages[i].assigned;
    return count;
}

static bool any_in_use(const struct model *model, unsigned page)
{
    for (unsigned i = head_of(page); i <= last_of_region(page); i++)
        if (model->pages[i].in_use) return true;
    return false;
}

static bool any_fixed(const struct model *model, unsigned page)
{
    for (unsigned i = head_of(page); i <= last_of_region(page); i++)
        if (model->pages[i].immutable && !model->pages[i].assigned) return true;
    return false;
}

/* What a hold answers to an RMPUPDATE, or RMP_OK where there is none. */
static enum rmp_result model_hold(struct model *model, unsigned page, bool is_2m)
{
    const unsigned region = page / 512;

    if (model->holds[region].left == 0) return RMP_OK;
    if (model->holds[region].what == RMP_HOLD_OVERLAP) {
        model->holds[region].left--;
        return RMP_FAIL_OVERLAP;
    }
    if (!is_2m && model->holds[region].page != page) return RMP_OK;
    model->holds[region].left--;
    return RMP_FAIL_INUSE;
}

static enum rmp_result model_update(struct model *model, unsigned page, const struct rmp_state *state)
{
    const bool is_2m = state->size == RMP_2M;

    if (is_2m && page % 512 != 0) return RMP_FAIL_INPUT;
    if (!state->assigned && (state->immutable || state->asid != 0)) return RMP_FAIL_INPUT;
    if (state->asid > RMP_ASID_MAX) return RMP_FAIL_INPUT;
    if (page >= PAGES || (is_2m && page + 512 > PAGES)) return RMP_FAIL_INPUT;
    if (model->pages[page].immutable || (is_2m && any_fixed(model, page))) return RMP_FAIL_PERMISSION;

    const enum rmp_result held = model_hold(model, page, is_2m);

    if (held != RMP_OK) return held;
    if (is_2m ? any_in_use(model, page) : model->pages[page].in_use) return RMP_FAIL_INUSE;
    if (!is_2m && is_inside_2m_page(model, page)) return RMP_FAIL_OVERLAP;
    if (is_2m && !is_inside_2m_page(model, page) && (model->pages[page].assigned || count_assigned(model, page) > 0))
        return RMP_FAIL_OVERLAP;

    struct rmp_entry entry = { 0 };

    if (state->assigned) {
        entry.assigned = true;
        entry.immutable = state->immutable;
        entry.asid = (uint16_t)state->asid;
        entry.size = state->size;
        entry.gpa = state->gpa / (is_2m ? 0x200000 : 0x1000) * (is_2m ? 0x200000 : 0x1000);
        entry.perms[0] = 31;
    }
    model->pages[page] = entry;
    for (unsigned i = 1; is_2m && i < 512; i++)
        model->pages[page + i] = (struct rmp_entry){ .assigned = state->assigned };
    return RMP_OK;
}

static enum rmp_result model_psmash(struct model *model, unsigned page)
{
    if (page % 512 != 0 || page >= PAGES) return RMP_FAIL_INPUT;
    if (model_hold(model, page, true) != RMP_OK || any_in_use(model, page)) return RMP_FAIL_INUSE;
    if (!is_inside_2m_page(model, page)) return RMP_FAIL_BADADDR;
    model->pages[page].size = RMP_4K;
    for (unsigned i = 1; i < 512; i++) {
        model->pages[page + i] = model->pages[page];
        model->pages[page + i].gpa += i * UINT64_C(0x1000);
    }
    return RMP_OK;
}

/* Pages in the middle of a 2M page read as reclaim, 4K: there is nothing in them but assigned. */
static enum rmp_result model_reclaim(struct model *model, unsigned page, enum rmp_page_size size)
{
    if (size == RMP_2M && page % 512 != 0) return RMP_FW_INVALID_ADDRESS;
    if (page >= PAGES) return RMP_FW_INVALID_PAGE_STATE;

    struct rmp_entry *entry = &model->pages[page];
    const bool is_context = entry->asid == 0 && entry->gpa == 0 && entry->vmsa;
    const bool is_foreign = entry->asid == 0 && entry->gpa != 0 && entry->gpa >> 48 != 1;

    if (!entry->assigned || !entry->immutable || is_context || is_foreign) return RMP_FW_INVALID_PAGE_STATE;
    if (entry->size != size) return RMP_FW_INVALID_PAGE_SIZE;
    entry->immutable = false;
    return RMP_OK;
}

static enum rmp_result model_unsmash(struct model *model, unsigned page)
{
    if (page % 512 != 0) return RMP_FW_INVALID_ADDRESS;
    if (page + 511 >= PAGES) return RMP_FW_INVALID_PAGE_STATE;

    struct rmp_entry *head = &model->pages[page];

    if (head->gpa % 0x200000 != 0) return RMP_FW_INVALID_PAGE_STATE;
    for (unsigned i = 0; i < 512; i++) {
        const struct rmp_entry *own = &model->pages[page + i];

        if (!own->assigned || !own->immutable || own->vmsa || own->asid == 0 || own->size == RMP_2M ||
            own->asid != head->asid || own->validated != head->validated || own->gpa != head->gpa + i * 0x1000 ||
            memcmp(own->perms, head->perms, sizeof(own->perms)) != 0)
            return RMP_FW_INVALID_PAGE_STATE;
    }
    head->size = RMP_2M;
    for (unsigned i = 1; i < 512; i++)
        model->pages[page + i] = (struct rmp_entry){ .assigned = true, .in_use = model->pages[page + i].in_use };
    return RMP_OK;
}

/* The changes of state that keep owner and gpa, and HV-fixed: what runs through all states is rmp_firmware_test's. */
static enum rmp_result model_set_state(struct model *model, unsigned page, enum rmp_page_size size,
                                       enum rmp_page_state to)
{
    if (size == RMP_2M && page % 512 != 0) return RMP_FW_INVALID_ADDRESS;
    if (page >= PAGES) return RMP_FW_INVALID_PAGE_STATE;

    struct rmp_entry *entry = &model->pages[page];
    const bool is_guests = entry->assigned && entry->asid != 0;
    const bool is_firmware = entry->assigned && entry->asid == 0 && entry->immutable && entry->gpa == 0;

    if (to == RMP_STATE_HV_FIXED && (!is_firmware || entry->vmsa)) return RMP_FW_INVALID_PAGE_STATE;
    if (to != RMP_STATE_HV_FIXED && !is_guests) return RMP_FW_INVALID_PAGE_STATE;
    if (to == RMP_STATE_PRE_GUEST && (entry->immutable || entry->validated)) return RMP_FW_INVALID_PAGE_STATE;
    if (to == RMP_STATE_GUEST_VALID && !(entry->immutable && !entry->validated)) return RMP_FW_INVALID_PAGE_STATE;
    if (to == RMP_STATE_PRE_SWAP && entry->immutable == entry->validated) return RMP_FW_INVALID_PAGE_STATE;
    if (entry->size != size) return RMP_FW_INVALID_PAGE_SIZE;
    if (to == RMP_STATE_HV_FIXED) {
        for (unsigned i = 0; i < (size == RMP_2M ? 512u : 1u); i++)
            entry[i] = (struct rmp_entry){ .immutable = true, .in_use = entry[i].in_use };
        return RMP_OK;
    }
    entry->immutable = to != RMP_STATE_GUEST_VALID;
    entry->validated = to != RMP_STATE_PRE_GUEST;
    return RMP_OK;
}

/* What the page's entry says to hardware: from the head for a 2M page. */
static struct rmp_entry model_lookup(const struct model *model, unsigned page)
{
    const unsigned from = is_inside_2m_page(model, page) && model->pages[page].assigned ? head_of(page) : page;
    struct rmp_entry entry = model->pages[from];

    entry.gpa += (page - from) * UINT64_C(0x1000);
    entry.in_use = model->pages[page].in_use;
    if (page % 512 == 0)
        entry.subpage_count = is_inside_2m_page(model, page) ? 0 : (uint16_t)count_assigned(model, page);
    return entry;
}

/* PVALIDATE and RMPADJUST up to the size test. */
static enum rmp_result model_guest_access(const struct model *model, const struct rmp_guest_page *page)
{
    const uint64_t number = page->page.value >> 12;

    if (number >= PAGES) return RMP_NPF;

    const struct rmp_entry entry = model_lookup(model, (unsigned)number);

    if (!entry.assigned || page->asid == 0 || entry.asid != page->asid || entry.immutable) return RMP_NPF;
    if (entry.gpa != page->gpa.value / 0x1000 * 0x1000) return RMP_NPF;
    if (page->size == RMP_2M && entry.size == RMP_4K) return RMP_FAIL_SIZEMISMATCH;
    if (page->size == RMP_4K && entry.size == RMP_2M) return RMP_NPF_SIZEM;
    return RMP_OK;
}

static struct rmp_entry *model_owner(struct model *model, const struct rmp_guest_page *page)
{
    const unsigned number = (unsigned)(page->page.value >> 12);

    return &model->pages[is_inside_2m_page(model, number) ? head_of(number) : number];
}

static bool is_misaligned(const struct rmp_guest_page *page)
{
    return page->gpa.value % (page->size == RMP_2M ? 0x200000 : 0x1000) != 0;
}

static enum rmp_result model_pvalidate(struct model *model, const struct rmp_guest_page *page, bool validate)
{
    if (is_misaligned(page)) return RMP_FAIL_INPUT;
    if (page->vmpl != 0) return RMP_FAIL_PERMISSION;
    const enum rmp_result access = model_guest_access(model, page);

    if (access != RMP_OK) return access;
    if (model_owner(model, page)->validated == validate) return RMP_NOUPDATE;
    model_owner(model, page)->validated = validate;
    return RMP_OK;
}

struct adjustment {
    unsigned vmpl;
    uint8_t perms;
    bool vmsa;
};

static enum rmp_result model_adjust(struct model *model, const struct rmp_guest_page *page,
                                    const struct adjustment *asked)
{
    if (is_misaligned(page) || asked->vmpl > 3 || asked->perms > 31) return RMP_FAIL_INPUT;
    if (asked->vmpl <= page->vmpl) return RMP_FAIL_PERMISSION;
    const enum rmp_result access = model_guest_access(model, page);

    if (access != RMP_OK) return access;
    struct rmp_entry *entry = model_owner(model, page);

    if ((asked->perms | entry->perms[page->vmpl]) != entry->perms[page->vmpl]) return RMP_FAIL_PERMISSION;
    entry->perms[asked->vmpl] = asked->perms;
    if (page->vmpl == 0) entry->vmsa = asked->vmsa;
    return RMP_OK;
}

/* ---- drawing steps ----------------------------------------------------------------------------------------------- */

/* Heads and their neighbours often, any page sometimes, a page outside now and then. */
static unsigned draw_page(struct random *random)
{
    const unsigned head = 512 * (unsigned)random_below(random, 3);

    if (random_one_in(random, 20)) return PAGES + (unsigned)random_below(random, 3);
    if (random_one_in(random, 3)) return (unsigned)random_below(random, PAGES);
    return head + (random_one_in(random, 2) ? 0 : (unsigned)random_below(random, 4));
}

/* The gpa at which pages lie by default; wrong or misaligned one time in eight. */
static uint64_t draw_gpa(struct random *random, unsigned page)
{
    const uint64_t usual = 0x40000000 + page * UINT64_C(0x1000);

    return random_one_in(random, 8) ? usual + bit(8 + (unsigned)random_below(random, 16)) : usual;
}

static struct rmp_guest_page draw_guest_page(struct random *random)
{
    const enum rmp_page_size size = random_one_in(random, 3) ? RMP_2M : RMP_4K;
    const unsigned drawn = draw_page(random);
    const unsigned page = size == RMP_2M && !random_one_in(random, 8) ? head_of(drawn) : drawn;

    return (struct rmp_guest_page){
        .page = hpa(page * UINT64_C(0x1000)),
        .gpa = gpa(draw_gpa(random, page)),
        .asid = (uint16_t)(random_one_in(random, 8) ? random_below(random, GUESTS + 1) : 1),
        .size = size,
        .vmpl = random_one_in(random, 4) ? (unsigned)random_below(random, 4) : 0,
    };
}

static struct rmp_state draw_state(struct random *random, unsigned page)
{
    struct rmp_state state = { .size = random_one_in(random, page % 512 == 0 ? 2 : 10) ? RMP_2M : RMP_4K };

    state.assigned = !random_one_in(random, 3);
    if (state.assigned) state.asid = random_one_in(random, 8) ? (uint32_t)random_below(random, 1024) : 1;
    state.gpa = draw_gpa(random, page);
    state.immutable = random_one_in(random, 30) && state.assigned;
    if (state.immutable && random_one_in(random, 3)) state.asid = state.gpa = 0;
    return state;
}

/* A command of firmware's in both. */
static void firmware_step(struct rmp *rmp, struct model *model, struct random *random, enum rmp_result results[2])
{
    static const enum rmp_page_state targets[] = { RMP_STATE_HV_FIXED, RMP_STATE_PRE_GUEST, RMP_STATE_PRE_SWAP,
                                                   RMP_STATE_GUEST_VALID };
    const unsigned drawn = draw_page(random);
    const unsigned page = random_one_in(random, 2) ? head_of(drawn) : drawn;
    const hpa_t address = hpa(page * UINT64_C(0x1000));
    enum rmp_page_size size = random_one_in(random, 4) ? RMP_2M : RMP_4K;
    struct rmp_entry entry;

    if (rmp_lookup(rmp, address, &entry) && random_one_in(random, 2)) size = entry.size;
    if (random_one_in(random, 4)) {
        const enum rmp_hold what = random_one_in(random, 2) ? RMP_HOLD_INUSE : RMP_HOLD_OVERLAP;
        const unsigned n = (unsigned)random_below(random, 3);

        results[0] = rmp_hold(rmp, address, what, n);
        results[1] = page < PAGES;
        if (page >= PAGES) return;
        model->holds[page / 512].what = what;
        model->holds[page / 512].page = page;
        model->holds[page / 512].left = n;
    } else if (random_one_in(random, 2)) {
        results[0] = rmp_reclaim(rmp, address, size);
        results[1] = model_reclaim(model, page, size);
    } else {
        const enum rmp_page_state to = targets[random_below(random, 4)];

        results[0] = rmp_set_page_state(rmp, address, size, to, 0);
        results[1] = model_set_state(model, page, size, to);
    }
}

/* A region to unsmash: 512 pre-guest pages, one of them spoilt every other time by what came before or comes here. */
static void unsmash_step(struct rmp *rmp, struct model *model, struct random *random, enum rmp_result results[2])
{
    const unsigned head = 512 * (unsigned)random_below(random, 2);
    const hpa_t address = hpa(head * UINT64_C(0x1000));
    const struct rmp_state large = {
        .assigned = true, .immutable = true, .asid = 1, .size = RMP_2M, .gpa = 0x40000000 + address.value
    };
    const unsigned spoilt = head + (random_one_in(random, 4) ? 511 : (unsigned)random_below(random, 512));
    const struct rmp_state other = { .assigned = true, .immutable = true, .asid = 1, .gpa = 0x7000 };

    for (unsigned way = 0; way < 2; way++) {
        const hpa_t page = hpa(spoilt * UINT64_C(0x1000));

        assert_int_equal(rmp_update(rmp, address, &large), model_update(model, head, &large));
        assert_int_equal(rmp_psmash(rmp, address), model_psmash(model, head));
        if (way == 1) {
            assert_int_equal(rmp_reclaim(rmp, page, RMP_4K), model_reclaim(model, spoilt, RMP_4K));
            assert_int_equal(rmp_update(rmp, page, &other), model_update(model, spoilt, &other));
        }
        results[0] = rmp_unsmash(rmp, address);
        results[1] = model_unsmash(model, head);
        if (results[0] != results[1]) return;
        if (way == 1) return;
        results[0] = rmp_reclaim(rmp, address, RMP_4K);
        results[1] = model_reclaim(model, head, RMP_4K);
        if (results[0] != results[1] || random_one_in(random, 2)) return;
        assert_int_equal(rmp_reclaim(rmp, address, RMP_2M), model_reclaim(model, head, RMP_2M));
    }
}

/* The same step in both; returns the pair of results. */
static void step(struct rmp *rmp, struct model *model, struct random *random, enum rmp_result results[2])
{
    const unsigned page = draw_page(random);
    const hpa_t address = hpa(page * UINT64_C(0x1000));
    const struct rmp_guest_page guest = draw_guest_page(random);
    const bool flag = random_one_in(random, 2);

    switch (random_below(random, 16)) {
    case 0: /* mostly cleared, so that a page stays in use for some steps only */
        results[0] = rmp_set_in_use(rmp, address, guest.vmpl > 1);
        results[1] = page < PAGES;
        if (page < PAGES) model->pages[page].in_use = guest.vmpl > 1;
        break;
    case 1:
    case 2:
        results[0] = rmp_psmash(rmp, address);
        results[1] = model_psmash(model, page);
        break;
    case 3:
    case 4:
    case 5:
    case 8:
        results[0] = rmp_pvalidate(rmp, &guest, flag);
        results[1] = model_pvalidate(model, &guest, flag);
        break;
    case 6: {
        const struct adjustment asked = { .vmpl = (unsigned)random_below(random, 5),
                                          .perms = (uint8_t)random_below(random, 34),
                                          .vmsa = flag };

        results[0] = rmp_adjust(rmp, &guest, asked.vmpl, asked.perms, asked.vmsa);
        results[1] = model_adjust(model, &guest, &asked);
        break;
    }
    case 7: firmware_step(rmp, model, random, results); break;
    case 9: unsmash_step(rmp, model, random, results); break;
    default: {
        const struct rmp_state state = draw_state(random, page);

        results[0] = rmp_update(rmp, address, &state);
        results[1] = model_update(model, page, &state);
    }
    }
}

static bool entries_agree(const struct rmp_entry *a, const struct rmp_entry *b)
{
    return a->gpa == b->gpa && a->asid == b->asid && a->subpage_count == b->subpage_count && a->size == b->size &&
           a->assigned == b->assigned && a->immutable == b->immutable && a->vmsa == b->vmsa &&
           a->validated == b->validated && a->in_use == b->in_use && memcmp(a->perms, b->perms, sizeof(a->perms)) == 0;
}

static void compare_all(const struct rmp *rmp, const struct model *model)
{
    for (unsigned page = 0; page < PAGES; page++) {
        const hpa_t address = hpa(page * UINT64_C(0x1000) + 0xfff);
        const struct rmp_entry wanted = model_lookup(model, page);
        struct rmp_entry raw_wanted = model->pages[page];
        struct rmp_entry seen, raw;

        raw_wanted.subpage_count = wanted.subpage_count;
        assert_true(rmp_lookup(rmp, address, &seen));
        assert_true(rmp_raw_entry(rmp, address, &raw));
        if (entries_agree(&seen, &wanted) && entries_agree(&raw, &raw_wanted)) continue;
        fail_msg("page %u: gpa %#jx wanted %#jx, asid %u wanted %u, count %u wanted %u", page, (uintmax_t)seen.gpa,
                 (uintmax_t)wanted.gpa, seen.asid, wanted.asid, seen.subpage_count, wanted.subpage_count);
    }
    for (unsigned page = 0; page < PAGES; page += 512)
        assert_int_equal(rmp_region_is_shared(rmp, hpa(page * UINT64_C(0x1000))),
                         !model->pages[page].assigned && count_assigned(model, page) == 0);
}

static void run(uint64_t seed, unsigned tally[RESULTS])
{
    struct rmp *rmp = rmp_new(PAGES * UINT64_C(0x1000));
    struct random random = random_seeded(seed);
    static struct model model;

    memset(&model, 0, sizeof(model));
    for (unsigned i = 0; i < STEPS; i++) {
        enum rmp_result results[2];

        if (i % 250 == 0) { /* HV-fixed pages pile up: nothing but a reset removes them */
            rmp_reset(rmp, PAGES * UINT64_C(0x1000));
            memset(&model, 0, sizeof(model));
        }
        step(rmp, &model, &random, results);
        if (results[0] != results[1])
            fail_msg("seed %ju step %u: %s, the model says %s", (uintmax_t)seed, i, rmp_result_name(results[0]),
                     rmp_result_name(results[1]));
        if (rmp_check(rmp, NULL, NULL) != 0) fail_msg("seed %ju step %u: rmp_check", (uintmax_t)seed, i);
        compare_all(rmp, &model);
        tally[results[0]]++;
    }
    rmp_free(rmp);
}

static void random_instructions_agree_with_a_flat_model(void **state)
{
    static const enum rmp_result reached[] = { RMP_OK,
                                               RMP_FAIL_INPUT,
                                               RMP_FAIL_PERMISSION,
                                               RMP_FAIL_INUSE,
                                               RMP_FAIL_OVERLAP,
                                               RMP_FAIL_SIZEMISMATCH,
                                               RMP_FAIL_BADADDR,
                                               RMP_NOUPDATE,
                                               RMP_NPF,
                                               RMP_NPF_SIZEM,
                                               RMP_FW_INVALID_ADDRESS,
                                               RMP_FW_INVALID_PAGE_SIZE,
                                               RMP_FW_INVALID_PAGE_STATE };
    unsigned tally[RESULTS] = { 0 };

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) run(seed, tally);
    /* A walk that never gets to an answer proves nothing about it. */
    for (unsigned i = 0; i < sizeof(reached) / sizeof(reached[0]); i++) {
        print_message("%-18s %u\n", rmp_result_name(reached[i]), tally[reached[i]]);
        assert_true(tally[reached[i]] >= 20);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_instructions_agree_with_a_flat_model),
    };

    return TEST_MAIN(tests, argc, argv);
}
