/* Page ownership as a list of assigned pages. See ownership.h; order of checks: rmp.md 2.2 to 2.5. */
#include "oracle/ownership_internal.h"

#include <stddef.h>

void ownership_reset(struct ownership *ownership, uint64_t covered_bytes)
{
    ownership->covered_bytes = covered_bytes;
    ownership->keeps_page_size = false;
    sorted_reset(&ownership->pages);
    sorted_reset(&ownership->fixed);
    sorted_reset(&ownership->notes);
}

void ownership_free(struct ownership *ownership)
{
    sorted_free(&ownership->pages);
    sorted_free(&ownership->fixed);
    sorted_free(&ownership->notes);
}

/* The item with exactly this key. */
static struct sorted_item *item_at(const struct sorted *sorted, uint64_t key)
{
    struct sorted_place place;

    return sorted_find(sorted, key, &place) && sorted_at(sorted, place)->key == key ? sorted_at(sorted, place) : NULL;
}

void ownership_erase(struct sorted *sorted, uint64_t key)
{
    struct sorted_place place;

    if (sorted_find(sorted, key, &place) && sorted_at(sorted, place)->key == key) sorted_erase(sorted, &place);
}

/* A note on a 2M region: word[0] = instructions a hold still refuses, word[1] = its page, word[2]: */
enum { HOLDS_REGION = 1, KEPT_SIZE = 2 };

static struct sorted_item *note_of(const struct ownership *ownership, uint64_t hpa)
{
    return item_at(&ownership->notes, align_down(hpa, SHIFT_2M));
}

static struct sorted_item *obtain_note(struct ownership *ownership, uint64_t hpa)
{
    const struct sorted_item empty = { .key = align_down(hpa, SHIFT_2M) };

    if (!note_of(ownership, hpa)) sorted_insert(&ownership->notes, &empty);
    return note_of(ownership, hpa);
}

static uint64_t bytes_of(const struct sorted_item *item)
{
    return item->word[2] & IS_LARGE ? LARGE_BYTES : SMALL_BYTES;
}

struct sorted_item *ownership_page_over(const struct ownership *ownership, uint64_t hpa)
{
    struct sorted_place place;
    struct sorted_item *item;

    if (!sorted_find(&ownership->pages, hpa, &place)) return NULL;
    item = sorted_at(&ownership->pages, place);
    return hpa - item->key < bytes_of(item) ? item : NULL;
}

bool ownership_any(const struct ownership *ownership, uint64_t start, uint64_t length, uint64_t *where)
{
    struct sorted_place place;

    *where = start;
    if (ownership_page_over(ownership, start)) return true;
    if (!sorted_find_from(&ownership->pages, start, &place)) return false;
    *where = sorted_at(&ownership->pages, place)->key;
    return *where - start < length;
}

struct owner_page ownership_lookup(const struct ownership *ownership, uint64_t hpa)
{
    const struct sorted_item *item;
    struct owner_page page = { .covered = hpa < ownership->covered_bytes };

    if (!page.covered) return page;
    item = ownership_page_over(ownership, hpa);
    if (!item) {
        const struct sorted_item *note = note_of(ownership, hpa);

        page.immutable = item_at(&ownership->fixed, align_down(hpa, SHIFT_4K)) != NULL;
        page.is_large = note && note->word[2] & KEPT_SIZE && note->key == align_down(hpa, SHIFT_4K);
        return page;
    }
    page.assigned = true;
    page.is_large = item->word[2] & IS_LARGE;
    page.gpa = item->word[0] + align_down(hpa - item->key, SHIFT_4K);
    page.asid = (uint16_t)(item->word[2] >> 16);
    page.immutable = item->word[2] & IS_IMMUTABLE;
    page.vmsa = item->word[2] & IS_VMSA;
    page.validated = item->word[2] & IS_VALIDATED;
    for (unsigned i = 0; i < OWNER_VMPLS; i++) page.rights[i] = (uint8_t)(item->word[1] >> 8 * i);
    return page;
}

/* A note that says nothing goes, so that equal machines have equal notes (world_digest). */
static void drop_empty_note(struct ownership *ownership, uint64_t hpa)
{
    const struct sorted_item *note = note_of(ownership, hpa);

    if (note && !note->word[0] && !note->word[2]) ownership_erase(&ownership->notes, note->key);
}

static void end_hold(struct ownership *ownership, uint64_t hpa)
{
    struct sorted_item *note = note_of(ownership, hpa);

    if (!note) return;
    note->word[0] = note->word[1] = 0;
    note->word[2] &= KEPT_SIZE;
    drop_empty_note(ownership, hpa);
}

/* A hold that this instruction of the hypervisor runs into. `page` is 2M aligned where the whole region is meant. */
static enum owner_result meet_hold(struct ownership *ownership, uint64_t page, bool is_large)
{
    struct sorted_item *note = note_of(ownership, page);
    enum owner_result result;

    if (!note || !note->word[0]) return OWNER_OK;
    if (!(note->word[2] & HOLDS_REGION) && !is_large && note->word[1] != page) return OWNER_OK;
    result = note->word[2] & HOLDS_REGION ? OWNER_FAIL_OVERLAP : OWNER_FAIL_INUSE;
    if (note->word[0] != UINT64_MAX && --note->word[0] == 0) end_hold(ownership, page);
    return result;
}

/* Steps 2 to 4 of rmp.md 2.2. */
static bool is_bad_operand(const struct ownership *ownership, uint64_t page, const struct owner_state *state)
{
    const uint64_t bytes = state->is_large ? LARGE_BYTES : SMALL_BYTES;

    if (page & (bytes - 1)) return true;
    if (!state->assigned && (state->immutable || state->asid)) return true;
    if (state->asid >= OWNER_ASID_LIMIT) return true;
    return page >= ownership->covered_bytes || ownership->covered_bytes - page < bytes;
}

/* Step 5, and HV-fixed pages anywhere under a 2M update. */
static bool is_fixed(const struct ownership *ownership, uint64_t page, bool is_large)
{
    const struct sorted_item *old = ownership_page_over(ownership, page);
    struct sorted_place place;

    if (old && old->key == page && old->word[2] & IS_IMMUTABLE) return true;
    if (!sorted_find_from(&ownership->fixed, page, &place)) return false;
    return sorted_at(&ownership->fixed, place)->key - page < (is_large ? LARGE_BYTES : SMALL_BYTES);
}

/* rmp.md 2.2, steps 2 to 8. */
static enum owner_result update_result(struct ownership *ownership, uint64_t page, const struct owner_state *state)
{
    const struct sorted_item *old = ownership_page_over(ownership, page);
    enum owner_result held;
    uint64_t where;

    if (is_bad_operand(ownership, page, state)) return OWNER_FAIL_INPUT;
    if (is_fixed(ownership, page, state->is_large)) return OWNER_FAIL_PERMISSION;
    held = meet_hold(ownership, page, state->is_large);
    if (held != OWNER_OK) return held;
    if (!state->is_large) return ownership_lookup(ownership, page).is_large ? OWNER_FAIL_OVERLAP : OWNER_OK;
    if (old && old->word[2] & IS_LARGE) return OWNER_OK;
    return ownership_any(ownership, page, LARGE_BYTES, &where) ? OWNER_FAIL_OVERLAP : OWNER_OK;
}

enum owner_result ownership_update(struct ownership *ownership, uint64_t hpa, const struct owner_state *state)
{
    const uint64_t page = align_down(hpa, SHIFT_4K);
    const enum owner_result result = update_result(ownership, page, state);
    struct sorted_item item = {
        page,
        { align_down(state->gpa, state->is_large ? SHIFT_2M : SHIFT_4K), OWNER_ALL_RIGHTS,
          (uint64_t)state->asid << 16 | (state->is_large ? IS_LARGE : 0) | (state->immutable ? IS_IMMUTABLE : 0) },
    };

    if (result != OWNER_OK) return result;
    ownership_erase(&ownership->pages, page);
    if (state->assigned) sorted_insert(&ownership->pages, &item);
    if (state->is_large && ownership->keeps_page_size) {
        struct sorted_item *note = obtain_note(ownership, page);

        note->word[2] = (note->word[2] & ~(uint64_t)KEPT_SIZE) | (state->assigned ? 0 : KEPT_SIZE);
        drop_empty_note(ownership, page);
    }
    return OWNER_OK;
}

enum owner_result ownership_psmash(struct ownership *ownership, uint64_t hpa)
{
    const uint64_t page = align_down(hpa, SHIFT_4K);
    struct sorted_item *old;
    struct sorted_item small;

    if (!is_aligned(page, SHIFT_2M) || page >= ownership->covered_bytes) return OWNER_FAIL_INPUT;
    if (meet_hold(ownership, page, true) != OWNER_OK) return OWNER_FAIL_INUSE;
    old = ownership_page_over(ownership, page);
    if (!old || !(old->word[2] & IS_LARGE)) return OWNER_FAIL_BADADDR;
    old->word[2] &= ~(uint64_t)IS_LARGE;
    small = *old;
    for (unsigned i = 1; i < LARGE_BYTES / SMALL_BYTES; i++) {
        small.key += SMALL_BYTES;
        small.word[0] += SMALL_BYTES;
        sorted_insert(&ownership->pages, &small);
    }
    return OWNER_OK;
}

bool ownership_hold(struct ownership *ownership, uint64_t hpa, bool is_region, uint64_t n)
{
    struct sorted_item *note;

    if (hpa >= ownership->covered_bytes) return false;
    end_hold(ownership, hpa);
    if (n == 0) return true;
    note = obtain_note(ownership, hpa);
    note->word[0] = n;
    note->word[1] = align_down(hpa, SHIFT_4K);
    note->word[2] = (note->word[2] & ~(uint64_t)HOLDS_REGION) | (is_region ? HOLDS_REGION : 0);
    return true;
}

bool ownership_is_locked(const struct ownership *ownership, uint64_t hpa)
{
    const struct sorted_item *note = note_of(ownership, hpa);

    return note && note->word[0] && note->word[2] & HOLDS_REGION;
}

/* What PVALIDATE and RMPADJUST have in common: the guest's page as it asked for it. */
static enum owner_result guest_result(const struct ownership *ownership, const struct owner_guest_page *guest)
{
    const struct owner_page page = ownership_lookup(ownership, guest->hpa);

    if (!page.assigned || guest->asid == 0 || page.asid != guest->asid) return OWNER_NPF;
    if (page.gpa != align_down(guest->gpa, SHIFT_4K) || page.immutable) return OWNER_NPF;
    if (guest->is_large && !page.is_large) return OWNER_FAIL_SIZEMISMATCH;
    if (!guest->is_large && page.is_large) return OWNER_NPF_SIZEM;
    return OWNER_OK;
}

static bool is_misaligned(const struct owner_guest_page *guest)
{
    return !is_aligned(guest->gpa, guest->is_large ? SHIFT_2M : SHIFT_4K);
}

enum owner_result ownership_validate(struct ownership *ownership, const struct owner_guest_page *page, bool validate)
{
    enum owner_result result;
    struct sorted_item *item;

    if (is_misaligned(page)) return OWNER_FAIL_INPUT;
    result = guest_result(ownership, page);
    if (result != OWNER_OK) return result;
    item = ownership_page_over(ownership, page->hpa);
    if (!!(item->word[2] & IS_VALIDATED) == validate) return OWNER_NOUPDATE;
    item->word[2] ^= IS_VALIDATED;
    return OWNER_OK;
}

enum owner_result ownership_adjust(struct ownership *ownership, const struct owner_guest_page *page, unsigned vmpl,
                                   uint8_t rights, bool vmsa)
{
    enum owner_result result;
    struct sorted_item *item;

    if (is_misaligned(page) || vmpl >= OWNER_VMPLS || rights > OWNER_ALL_RIGHTS) return OWNER_FAIL_INPUT;
    if (vmpl == 0) return OWNER_FAIL_PERMISSION;
    result = guest_result(ownership, page);
    if (result != OWNER_OK) return result;
    item = ownership_page_over(ownership, page->hpa);
    if (rights & ~item->word[1] & OWNER_ALL_RIGHTS) return OWNER_FAIL_PERMISSION;
    item->word[1] = (item->word[1] & ~(UINT64_C(0xff) << 8 * vmpl)) | (uint64_t)rights << 8 * vmpl;
    item->word[2] = (item->word[2] & ~(uint64_t)IS_VMSA) | (vmsa ? IS_VMSA : 0);
    return OWNER_OK;
}
