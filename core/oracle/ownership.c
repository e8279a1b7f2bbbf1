/* Page ownership as a list of assigned pages. See ownership.h; order of checks: rmp.md 2.2 to 2.5. */
#include "oracle/ownership.h"

#include "base/bits.h"

#include <stddef.h>

enum { LARGE_BYTES = 1 << SHIFT_2M, SMALL_BYTES = 1 << SHIFT_4K };

/*
 * word[0] = gpa, word[1] = rights of VMPL 3..0 (8 bits each), word[2]:
 *   31    16 15         4    3      2      1     0
 *  |   asid |     -     | validated | vmsa | immutable | large |
 */
enum { IS_LARGE = 1, IS_IMMUTABLE = 2, IS_VMSA = 4, IS_VALIDATED = 8 };

void ownership_reset(struct ownership *ownership, uint64_t covered_bytes)
{
    ownership->covered_bytes = covered_bytes;
    sorted_reset(&ownership->pages);
}

void ownership_free(struct ownership *ownership)
{
    sorted_free(&ownership->pages);
}

static uint64_t bytes_of(const struct sorted_item *item)
{
    return item->word[2] & IS_LARGE ? LARGE_BYTES : SMALL_BYTES;
}

/* The assigned page that contains `hpa`. NULL: hypervisor-owned. */
static struct sorted_item *page_over(const struct ownership *ownership, uint64_t hpa)
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
    if (page_over(ownership, start)) return true;
    if (!sorted_find_from(&ownership->pages, start, &place)) return false;
    *where = sorted_at(&ownership->pages, place)->key;
    return *where - start < length;
}

struct owner_page ownership_lookup(const struct ownership *ownership, uint64_t hpa)
{
    const struct sorted_item *item;
    struct owner_page page = { .covered = hpa < ownership->covered_bytes };

    if (!page.covered) return page;
    item = page_over(ownership, hpa);
    if (!item) return page;
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

/* rmp.md 2.2, steps 2 to 8. */
static enum owner_result update_result(const struct ownership *ownership, uint64_t page,
                                       const struct owner_state *state)
{
    const uint64_t bytes = state->is_large ? LARGE_BYTES : SMALL_BYTES;
    const struct sorted_item *old = page_over(ownership, page);
    uint64_t where;

    if (page & (bytes - 1)) return OWNER_FAIL_INPUT;
    if (!state->assigned && (state->immutable || state->asid)) return OWNER_FAIL_INPUT;
    if (state->asid >= OWNER_ASID_LIMIT) return OWNER_FAIL_INPUT;
    if (page >= ownership->covered_bytes || ownership->covered_bytes - page < bytes) return OWNER_FAIL_INPUT;
    if (old && old->key == page && old->word[2] & IS_IMMUTABLE) return OWNER_FAIL_PERMISSION;
    if (!state->is_large) return old && old->word[2] & IS_LARGE ? OWNER_FAIL_OVERLAP : OWNER_OK;
    if (old && old->word[2] & IS_LARGE) return OWNER_OK;
    return ownership_any(ownership, page, LARGE_BYTES, &where) ? OWNER_FAIL_OVERLAP : OWNER_OK;
}

enum owner_result ownership_update(struct ownership *ownership, uint64_t hpa, const struct owner_state *state)
{
    const uint64_t page = align_down(hpa, SHIFT_4K);
    const enum owner_result result = update_result(ownership, page, state);
    struct sorted_place place;
    struct sorted_item item = {
        page,
        { align_down(state->gpa, state->is_large ? SHIFT_2M : SHIFT_4K), OWNER_ALL_RIGHTS,
          (uint64_t)state->asid << 16 | (state->is_large ? IS_LARGE : 0) | (state->immutable ? IS_IMMUTABLE : 0) },
    };

    if (result != OWNER_OK) return result;
    if (sorted_find(&ownership->pages, page, &place) && sorted_at(&ownership->pages, place)->key == page)
        sorted_erase(&ownership->pages, &place);
    if (state->assigned) sorted_insert(&ownership->pages, &item);
    return OWNER_OK;
}

enum owner_result ownership_psmash(struct ownership *ownership, uint64_t hpa)
{
    const uint64_t page = align_down(hpa, SHIFT_4K);
    struct sorted_item *old;
    struct sorted_item small;

    if (!is_aligned(page, SHIFT_2M) || page >= ownership->covered_bytes) return OWNER_FAIL_INPUT;
    old = page_over(ownership, page);
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
    item = page_over(ownership, page->hpa);
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
    item = page_over(ownership, page->hpa);
    if (rights & ~item->word[1] & OWNER_ALL_RIGHTS) return OWNER_FAIL_PERMISSION;
    item->word[1] = (item->word[1] & ~(UINT64_C(0xff) << 8 * vmpl)) | (uint64_t)rights << 8 * vmpl;
    item->word[2] = (item->word[2] & ~(uint64_t)IS_VMSA) | (vmsa ? IS_VMSA : 0);
    return OWNER_OK;
}
