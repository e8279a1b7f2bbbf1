/*
 * The instructions that change and read the RMP, and the lookups the IOMMU model needs.
 *
 * Each instruction first decides (a function that returns the code and changes nothing), then writes. The order of the
 * tests is the order of rmp.md 2; where that leaves room the choice stands beside the test.
 */
#include "rmp/rmp.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/fault.h"
#include "rmp/rmp_internal.h"

#include <string.h>

static unsigned size_shift(enum rmp_page_size size)
{
    return size == RMP_2M ? RMP_LARGE_SHIFT : RMP_PAGE_SHIFT;
}

/* Does the table have entries for all of [page, page + 2^shift), aligned? Coverage ends only at ends of segments. */
static bool covers(const struct rmp *rmp, hpa_t page, unsigned shift)
{
    return rmp_covers(rmp, hpa(page.value + low_mask(shift)));
}

static bool slot_is_assigned(const struct rmp_slot *slot)
{
    return (slot->word & SLOT_ASSIGNED) != 0;
}

/* ---- RMPUPDATE and PSMASH ---------------------------------------------------------------------------------------- */

/* Does the region's hold refuse an RMPUPDATE of this page? One that does is used up by one. */
static bool is_held(struct rmp_region *region, unsigned index, enum rmp_page_size size)
{
    if (region->hold_left == 0) return false;
    if (region->hold == RMP_HOLD_INUSE && size == RMP_4K && index != region->held_page) return false;
    if (FAULT(RMP_HOLD_NEVER_ENDS) && region->hold_left == 1) {
        fault_triggered();
        return true;
    }
    region->hold_left -= region->hold_left != RMP_HOLD_FOR_EVER;
    return true;
}

/* Does the old entry keep this 4K update out? A head that kept its size (switch) does, assigned or not (rmp.md 1.6). */
static bool small_overlaps(const struct rmp_region *region, unsigned index, const struct rmp_slot *old)
{
    if (index == 0) return old->word & SLOT_LARGE;
    return rmp_region_is_large(region);
}

/* Steps 5 to 8 of rmp.md 2.2, against the entries that stand. */
static enum rmp_result update_refusal(struct rmp_region *region, unsigned index, enum rmp_page_size size)
{
    const struct rmp_slot old = rmp_region_slot(region, index);

    if (old.word & SLOT_IMMUTABLE) return RMP_FAIL_PERMISSION;
    /* An HV-fixed page is fixed from outside its 4K too. The sub-page count does not know of it: it is not assigned. */
    if (size == RMP_2M && region->fixed_count > 0) {
        if (!FAULT(RMP_FIXED_BY_HEAD)) return RMP_FAIL_PERMISSION;
        fault_triggered();
    }
    if (is_held(region, index, size)) return region->hold == RMP_HOLD_INUSE ? RMP_FAIL_INUSE : RMP_FAIL_OVERLAP;
    if (size == RMP_4K) {
        if (old.word & SLOT_IN_USE) return RMP_FAIL_INUSE;
        if (!small_overlaps(region, index, &old)) return RMP_OK;
        if (!FAULT(RMP_PUNCHES_LARGE) || index == 0) return RMP_FAIL_OVERLAP;
        fault_triggered();
        return RMP_OK;
    }
    /* A 2M page is in use when any part of it is. */
    if (region->in_use_count > 0) return RMP_FAIL_INUSE;
    if (rmp_region_is_large(region)) return RMP_OK; /* one 2M state replaces another */
    return slot_is_assigned(&region->head) || region->subpage_count > 0 ? RMP_FAIL_OVERLAP : RMP_OK;
}

/* Does an unassigned page keep the size it was written with? */
static bool keeps_size(const struct rmp *rmp, const struct rmp_state *state)
{
    return rmp->switches.keeps_page_size && state->size == RMP_2M;
}

/* The entry that `state` leaves behind: validated and vmsa clear; nothing at all when unassigned (R1, R2, R7). */
static struct rmp_slot slot_of_state(const struct rmp *rmp, const struct rmp_state *state)
{
    if (!state->assigned) return (struct rmp_slot){ .word = keeps_size(rmp, state) ? SLOT_LARGE : 0 };

    /* R6: gpa bits below the page size have no place in the entry. */
    struct rmp_slot slot = {
        .word = align_down(state->gpa, size_shift(state->size)) | SLOT_ASSIGNED,
        .asid = (uint16_t)state->asid,
        .perms = { RMP_PERM_ALL },
    };

    if (state->size == RMP_2M) slot.word |= SLOT_LARGE;
    if (state->immutable) slot.word |= SLOT_IMMUTABLE;
    return slot;
}

static bool is_fixed(const struct rmp_slot *slot)
{
    return (slot->word & (SLOT_ASSIGNED | SLOT_IMMUTABLE)) == SLOT_IMMUTABLE;
}

void rmp_region_write_small(struct rmp *rmp, struct rmp_region *region, unsigned index, struct rmp_slot slot)
{
    const struct rmp_slot old = rmp_region_slot(region, index);

    region->fixed_count += is_fixed(&slot);
    region->fixed_count -= is_fixed(&old);
    if (index == 0) {
        region->head = slot;
        return;
    }
    if (!region->pages && slot.word == 0) return; /* hypervisor-owned as it was */
    rmp_region_expand(rmp, region);
    region->subpage_count += slot_is_assigned(&slot);
    if (FAULT(RMP_SUBPAGES_NOT_COUNTED) && slot_is_assigned(&old) && !slot_is_assigned(&slot)) {
        fault_triggered();
        region->subpage_count++;
    }
    region->subpage_count -= slot_is_assigned(&old);
    region->pages[index] = slot;
}

enum rmp_result rmp_update(struct rmp *rmp, hpa_t page, const struct rmp_state *state)
{
    const hpa_t start = hpa(align_down(page.value, RMP_PAGE_SHIFT));

    if (!is_aligned(start.value, size_shift(state->size))) return RMP_FAIL_INPUT;
    if (!state->assigned && (state->immutable || state->asid != 0)) return RMP_FAIL_INPUT;
    if (state->asid > RMP_ASID_MAX) return RMP_FAIL_INPUT;
    if (!covers(rmp, start, size_shift(state->size))) return RMP_FAIL_INPUT;

    struct rmp_region *region = rmp_region_find(rmp, start);

    if (!region) {
        if (!state->assigned && !keeps_size(rmp, state)) return RMP_OK; /* hypervisor-owned as it was */
        region = rmp_region_obtain(rmp, start);
    }
    const enum rmp_result refusal = update_refusal(region, rmp_page_index(start), state->size);

    if (refusal != RMP_OK) return refusal;
    if (state->size == RMP_4K) {
        rmp_region_write_small(rmp, region, rmp_page_index(start), slot_of_state(rmp, state));
        return RMP_OK;
    }
    CHECK(region->subpage_count == 0); /* R5: no 4K page was in the way, and the old 2M page counted none */
    /* R4: nothing of the region is in use, so the head alone says what the other 511 hold. */
    region->head = slot_of_state(rmp, state);
    region->fixed_count = 0;
    rmp_region_compact(rmp, region);
    return RMP_OK;
}

enum rmp_result rmp_psmash(struct rmp *rmp, hpa_t page)
{
    const hpa_t start = hpa(align_down(page.value, RMP_PAGE_SHIFT));

    if (!is_aligned(start.value, RMP_LARGE_SHIFT)) return RMP_FAIL_INPUT;
    if (!covers(rmp, start, RMP_PAGE_SHIFT)) return RMP_FAIL_INPUT;

    struct rmp_region *region = rmp_region_find(rmp, start);

    if (!region) return RMP_FAIL_BADADDR;
    if (is_held(region, 0, RMP_2M) || region->in_use_count > 0) return RMP_FAIL_INUSE;
    if (!rmp_region_is_large(region)) return RMP_FAIL_BADADDR;

    rmp_region_attach_pages(rmp, region);
    region->head.word &= ~(uint64_t)SLOT_LARGE;
    for (unsigned i = 1; i < RMP_PAGES_PER_LARGE; i++) {
        region->pages[i] = region->head;
        region->pages[i].word += (uint64_t)i << RMP_PAGE_SHIFT;
    }
    if (FAULT(RMP_PSMASH_LOSES_VALIDATED) && (region->head.word & SLOT_VALIDATED)) {
        fault_triggered();
        region->pages[RMP_PAGES_PER_LARGE - 1].word &= ~(uint64_t)SLOT_VALIDATED;
    }
    region->subpage_count = RMP_PAGES_PER_LARGE - 1;
    return RMP_OK;
}

/* ---- Guest instructions ------------------------------------------------------------------------------------------ */

/*
 * The RMP check of the guest's own access (rmp.md 3.1). It comes before any look at the size, so that a guest learns
 * nothing about pages of others. ASID 0 is no guest: pages assigned with it are firmware's or reclaim pages.
 */
static enum rmp_result owned_entry(const struct rmp *rmp, const struct rmp_guest_page *page, struct rmp_entry *entry)
{
    if (!rmp_lookup(rmp, page->page, entry)) return RMP_NPF;
    if (!entry->assigned || page->asid == 0 || entry->asid != page->asid) return RMP_NPF;
    if (entry->gpa != align_down(page->gpa.value, RMP_PAGE_SHIFT)) return RMP_NPF;
    return entry->immutable ? RMP_NPF : RMP_OK;
}

static enum rmp_result size_refusal(enum rmp_page_size asked, enum rmp_page_size entry)
{
    if (asked == entry) return RMP_OK;
    return asked == RMP_2M ? RMP_FAIL_SIZEMISMATCH : RMP_NPF_SIZEM;
}

/* The slot that holds what rmp_lookup said about an assigned page: the head's for a 2M page. */
static struct rmp_slot *owning_slot(struct rmp *rmp, hpa_t page)
{
    struct rmp_region *region = rmp_region_find(rmp, page);
    const unsigned index = rmp_page_index(page);

    return index == 0 || rmp_region_is_large(region) ? &region->head : &region->pages[index];
}

enum rmp_result rmp_pvalidate(struct rmp *rmp, const struct rmp_guest_page *page, bool validate)
{
    struct rmp_entry entry;

    if (!is_aligned(page->gpa.value, size_shift(page->size))) return RMP_FAIL_INPUT;
    if (page->vmpl != 0) return RMP_FAIL_PERMISSION;

    enum rmp_result refusal = owned_entry(rmp, page, &entry);

    if (refusal == RMP_OK) refusal = size_refusal(page->size, entry.size);
    if (refusal != RMP_OK) return refusal;
    if (entry.validated == validate) return RMP_NOUPDATE;
    owning_slot(rmp, page->page)->word ^= SLOT_VALIDATED;
    return RMP_OK;
}

enum rmp_result rmp_adjust(struct rmp *rmp, const struct rmp_guest_page *page, unsigned target_vmpl, uint8_t perms,
                           bool vmsa)
{
    struct rmp_entry entry;

    if (!is_aligned(page->gpa.value, size_shift(page->size))) return RMP_FAIL_INPUT;
    if (target_vmpl >= RMP_VMPL_COUNT || perms > RMP_PERM_ALL) return RMP_FAIL_INPUT;
    if (target_vmpl <= page->vmpl) return RMP_FAIL_PERMISSION;

    enum rmp_result refusal = owned_entry(rmp, page, &entry);

    if (refusal == RMP_OK) refusal = size_refusal(page->size, entry.size);
    if (refusal != RMP_OK) return refusal;
    if (perms & ~entry.perms[page->vmpl]) return RMP_FAIL_PERMISSION;

    struct rmp_slot *slot = owning_slot(rmp, page->page);

    slot->perms[target_vmpl] = perms;
    if (page->vmpl == 0) slot->word = vmsa ? slot->word | SLOT_VMSA : slot->word & ~(uint64_t)SLOT_VMSA;
    return RMP_OK;
}

enum rmp_result rmp_query(const struct rmp *rmp, const struct rmp_guest_page *page, unsigned target_vmpl,
                          uint8_t *perms, bool *vmsa, enum rmp_page_size *size)
{
    struct rmp_entry entry;

    if (target_vmpl >= RMP_VMPL_COUNT || target_vmpl < page->vmpl) return RMP_FAIL_PERMISSION;

    const enum rmp_result refusal = owned_entry(rmp, page, &entry);

    if (refusal != RMP_OK) return refusal;
    *perms = entry.perms[target_vmpl];
    *vmsa = entry.vmsa;
    *size = entry.size;
    return RMP_OK;
}

/* ---- Lookups ----------------------------------------------------------------------------------------------------- */

static struct rmp_entry entry_of_slot(const struct rmp_slot *slot)
{
    struct rmp_entry entry = {
        .gpa = rmp_slot_gpa(slot),
        .asid = slot->asid,
        .assigned = (slot->word & SLOT_ASSIGNED) != 0,
        .immutable = (slot->word & SLOT_IMMUTABLE) != 0,
        .vmsa = (slot->word & SLOT_VMSA) != 0,
        .validated = (slot->word & SLOT_VALIDATED) != 0,
        .in_use = (slot->word & SLOT_IN_USE) != 0,
        .size = slot->word & SLOT_LARGE ? RMP_2M : RMP_4K,
    };

    memcpy(entry.perms, slot->perms, sizeof(entry.perms));
    return entry;
}

bool rmp_raw_entry(const struct rmp *rmp, hpa_t page, struct rmp_entry *entry)
{
    *entry = (struct rmp_entry){ 0 };
    if (!rmp_covers(rmp, page)) return false;

    const struct rmp_region *region = rmp_region_find(rmp, page);
    const unsigned index = rmp_page_index(page);

    if (!region) return true;
    const struct rmp_slot slot = rmp_region_slot(region, index);

    *entry = entry_of_slot(&slot);
    if (index == 0) entry->subpage_count = region->subpage_count;
    return true;
}

bool rmp_lookup(const struct rmp *rmp, hpa_t page, struct rmp_entry *entry)
{
    const unsigned index = rmp_page_index(page);

    *entry = (struct rmp_entry){ 0 };
    if (!rmp_covers(rmp, page)) return false;

    const struct rmp_region *region = rmp_region_find(rmp, page);

    if (!region) return true;
    const struct rmp_slot own = rmp_region_slot(region, index);

    if (index == 0 || !slot_is_assigned(&own) || !rmp_region_is_large(region)) {
        *entry = entry_of_slot(&own);
        if (index == 0) entry->subpage_count = region->subpage_count;
        return true;
    }
    *entry = entry_of_slot(&region->head);
    entry->gpa += (uint64_t)index << RMP_PAGE_SHIFT;
    entry->in_use = (own.word & SLOT_IN_USE) != 0;
    return true;
}

enum rmp_result rmp_read(const struct rmp *rmp, hpa_t page, struct rmp_state *state)
{
    struct rmp_entry entry;

    *state = (struct rmp_state){ 0 };
    if (!rmp_raw_entry(rmp, page, &entry)) return RMP_FAIL_INPUT;
    *state = (struct rmp_state){
        .gpa = entry.gpa,
        .asid = entry.asid,
        .assigned = entry.assigned,
        .immutable = entry.immutable,
        .size = entry.size,
        .region_status = entry.subpage_count > 0,
    };
    if (rmp_page_index(page) == 0) {
        const struct rmp_region *region = rmp_region_find(rmp, page);

        if (region && region->hold == RMP_HOLD_OVERLAP && region->hold_left > 0) state->asid = RMP_ASID_LOCKED;
    }
    return RMP_OK;
}

bool rmp_region_is_shared(const struct rmp *rmp, hpa_t page)
{
    const struct rmp_region *region = rmp_region_find(rmp, page);

    return !region || (!slot_is_assigned(&region->head) && region->subpage_count == 0);
}

bool rmp_set_in_use(struct rmp *rmp, hpa_t page, bool in_use)
{
    if (!rmp_covers(rmp, page)) return false;

    const unsigned index = rmp_page_index(page);
    struct rmp_region *region = in_use ? rmp_region_obtain(rmp, page) : rmp_region_find(rmp, page);

    if (!region) return true;
    const struct rmp_slot old = rmp_region_slot(region, index);

    if (((old.word & SLOT_IN_USE) != 0) == in_use) return true;
    if (index != 0) rmp_region_expand(rmp, region);
    if (index != 0)
        region->pages[index].word ^= SLOT_IN_USE;
    else
        region->head.word ^= SLOT_IN_USE;
    region->in_use_count += in_use ? 1 : -1;
    return true;
}

bool rmp_hold(struct rmp *rmp, hpa_t page, enum rmp_hold what, uint64_t n)
{
    if (!rmp_covers(rmp, page)) return false;

    struct rmp_region *region = n ? rmp_region_obtain(rmp, page) : rmp_region_find(rmp, page);

    if (!region) return true;
    region->hold = what;
    region->held_page = (uint16_t)rmp_page_index(page);
    region->hold_left = n;
    return true;
}

void rmp_set_switches(struct rmp *rmp, const struct rmp_switches *switches)
{
    rmp->switches = *switches;
}

const char *rmp_result_name(enum rmp_result result)
{
    switch (result) {
    case RMP_OK: return "ok";
    case RMP_FAIL_INPUT: return "FAIL_INPUT";
    case RMP_FAIL_PERMISSION: return "FAIL_PERMISSION";
    case RMP_FAIL_INUSE: return "FAIL_INUSE";
    case RMP_FAIL_OVERLAP: return "FAIL_OVERLAP";
    case RMP_FAIL_SIZEMISMATCH: return "FAIL_SIZEMISMATCH";
    case RMP_FAIL_BADADDR: return "FAIL_BADADDR";
    case RMP_NOUPDATE: return "NOUPDATE";
    case RMP_NPF: return "NPF";
    case RMP_NPF_SIZEM: return "NPF_SIZEM";
    case RMP_FW_INVALID_ADDRESS: return "INVALID_ADDRESS";
    case RMP_FW_INVALID_PARAM: return "INVALID_PARAM";
    case RMP_FW_INVALID_PAGE_SIZE: return "INVALID_PAGE_SIZE";
    case RMP_FW_INVALID_PAGE_STATE: return "INVALID_PAGE_STATE";
    }
    return "?";
}
