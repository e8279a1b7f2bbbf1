/* Firmware's commands on RMP entries. See rmp_firmware.h. */
#include "rmp/rmp_firmware.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/fault.h"
#include "rmp/rmp_internal.h"

#include <string.h>

enum { TABLE_SHIFT = 20 }; /* firmware wants whole megabytes (rmp.md 1.1) */

/* ---- states ------------------------------------------------------------------------------------------------------ */

/* A page of ASID 0 that is immutable: firmware's in one way or another. */
static enum rmp_page_state firmware_state(const struct rmp_entry *entry)
{
    const uint64_t tag = entry->gpa >> RMP_GPA_TAG_SHIFT;
    const uint64_t frame = (entry->gpa & low_mask(RMP_GPA_TAG_SHIFT)) >> RMP_PAGE_SHIFT;

    if (entry->validated) return RMP_STATE_INVALID;
    if (entry->gpa == 0) return entry->vmsa ? RMP_STATE_CONTEXT : RMP_STATE_FIRMWARE;
    if (tag == RMP_GPA_TAG_METADATA && frame > 0) return RMP_STATE_METADATA;
    if (tag == RMP_GPA_TAG_IOMMU && frame == 1 && !entry->vmsa) return RMP_STATE_FIRMWARE_IOMMU;
    return RMP_STATE_INVALID;
}

enum rmp_page_state rmp_entry_state(const struct rmp_entry *entry)
{
    if (!entry->assigned) {
        if (entry->asid != 0 || entry->validated) return RMP_STATE_INVALID;
        return entry->immutable ? RMP_STATE_HV_FIXED : RMP_STATE_HYPERVISOR;
    }
    if (entry->asid == 0) {
        if (entry->immutable) return firmware_state(entry);
        return entry->validated ? RMP_STATE_INVALID : RMP_STATE_RECLAIM;
    }
    if (entry->immutable) return entry->validated ? RMP_STATE_PRE_SWAP : RMP_STATE_PRE_GUEST;
    return entry->validated ? RMP_STATE_GUEST_VALID : RMP_STATE_GUEST_INVALID;
}

enum rmp_page_state rmp_page_state(const struct rmp *rmp, hpa_t page)
{
    struct rmp_entry entry;

    return rmp_raw_entry(rmp, page, &entry) ? rmp_entry_state(&entry) : RMP_STATE_DEFAULT;
}

const char *rmp_state_name(enum rmp_page_state state)
{
    static const char *const names[] = {
        [RMP_STATE_HYPERVISOR] = "hypervisor",
        [RMP_STATE_HV_FIXED] = "hv-fixed",
        [RMP_STATE_RECLAIM] = "reclaim",
        [RMP_STATE_FIRMWARE] = "firmware",
        [RMP_STATE_FIRMWARE_IOMMU] = "firmware-iommu",
        [RMP_STATE_CONTEXT] = "context",
        [RMP_STATE_METADATA] = "metadata",
        [RMP_STATE_PRE_GUEST] = "pre-guest",
        [RMP_STATE_PRE_SWAP] = "pre-swap",
        [RMP_STATE_GUEST_INVALID] = "guest-invalid",
        [RMP_STATE_GUEST_VALID] = "guest-valid",
        [RMP_STATE_DEFAULT] = "default",
        [RMP_STATE_INVALID] = "invalid",
    };

    return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

/* ---- what commands have in common -------------------------------------------------------------------------------- */

static bool is_of_table(const struct rmp *rmp, hpa_t page, uint64_t bytes)
{
    return page.value < rmp->table_end.value && page.value + (bytes - 1) >= rmp->table_first.value;
}

static enum rmp_result address_refusal(const struct rmp *rmp, hpa_t page, enum rmp_page_size size)
{
    const unsigned shift = size == RMP_2M ? RMP_LARGE_SHIFT : RMP_PAGE_SHIFT;

    if (!is_aligned(page.value, shift) || is_of_table(rmp, page, bit(shift))) return RMP_FW_INVALID_ADDRESS;
    return RMP_OK;
}

static hpa_t page_of(hpa_t page)
{
    return hpa(align_down(page.value, RMP_PAGE_SHIFT));
}

/* The slot of a page whose own entry firmware has read: the region's array is there if it is not the head. */
static struct rmp_slot *own_slot(struct rmp *rmp, hpa_t page)
{
    struct rmp_region *region = rmp_region_obtain(rmp, page);
    const unsigned index = rmp_page_index(page);

    if (index == 0) return &region->head;
    rmp_region_expand(rmp, region);
    return &region->pages[index];
}

/* ---- PAGE_RECLAIM ------------------------------------------------------------------------------------------------ */

static bool is_reclaimable(enum rmp_page_state state)
{
    return state == RMP_STATE_METADATA || state == RMP_STATE_FIRMWARE || state == RMP_STATE_PRE_GUEST ||
           state == RMP_STATE_PRE_SWAP;
}

enum rmp_result rmp_reclaim(struct rmp *rmp, hpa_t page, enum rmp_page_size size)
{
    const hpa_t start = page_of(page);
    const enum rmp_result refusal = address_refusal(rmp, start, size);
    struct rmp_entry entry;

    if (refusal != RMP_OK) return refusal;
    if (!rmp_raw_entry(rmp, start, &entry) || !is_reclaimable(rmp_entry_state(&entry)))
        return RMP_FW_INVALID_PAGE_STATE;
    if (entry.size != size) {
        if (!FAULT(RMP_RECLAIM_ANY_SIZE)) return RMP_FW_INVALID_PAGE_SIZE;
        fault_triggered();
    }
    own_slot(rmp, start)->word &= ~(uint64_t)SLOT_IMMUTABLE;
    if (FAULT(RMP_RECLAIM_DROPS_VALIDATED) && entry.validated) {
        fault_triggered();
        own_slot(rmp, start)->word &= ~(uint64_t)SLOT_VALIDATED;
    }
    return RMP_OK;
}

/* ---- PAGE_UNSMASH ------------------------------------------------------------------------------------------------ */

/* Page `index` as it must be under this head: the same but for its gpa and who runs on it. */
static bool fits_head(const struct rmp_slot *head, const struct rmp_slot *slot, unsigned index)
{
    const uint64_t wanted = (head->word & ~(uint64_t)SLOT_IN_USE) + ((uint64_t)index << RMP_PAGE_SHIFT);
    const uint64_t word = slot->word & ~(uint64_t)SLOT_IN_USE;
    const bool has_gpa = rmp_slot_gpa(slot) == align_down(wanted, RMP_PAGE_SHIFT);

    if (FAULT(RMP_UNSMASH_ANY_GPA) && !has_gpa &&
        (word & low_mask(RMP_PAGE_SHIFT)) == (wanted & low_mask(RMP_PAGE_SHIFT))) {
        fault_triggered();
        return true;
    }
    return word == wanted && slot->asid == head->asid && memcmp(slot->perms, head->perms, sizeof(slot->perms)) == 0;
}

static bool can_unsmash(const struct rmp_region *region)
{
    const struct rmp_slot *head = &region->head;
    const uint64_t needed = SLOT_ASSIGNED | SLOT_IMMUTABLE;

    if ((head->word & (needed | SLOT_LARGE | SLOT_VMSA)) != needed || head->asid == 0) return false;
    if (!region->pages || !is_aligned(rmp_slot_gpa(head), RMP_LARGE_SHIFT)) return false;
    for (unsigned i = 1; i < RMP_PAGES_PER_LARGE; i++) {
        if (!fits_head(head, &region->pages[i], i)) return false;
    }
    return true;
}

enum rmp_result rmp_unsmash(struct rmp *rmp, hpa_t page)
{
    const hpa_t start = page_of(page);
    const enum rmp_result refusal = address_refusal(rmp, start, RMP_2M);
    struct rmp_region *region;

    if (refusal != RMP_OK) return refusal;
    region = rmp_region_find(rmp, start);
    if (!region || !can_unsmash(region)) return RMP_FW_INVALID_PAGE_STATE;
    region->head.word |= SLOT_LARGE;
    for (unsigned i = 1; i < RMP_PAGES_PER_LARGE; i++)
        region->pages[i] = (struct rmp_slot){ .word = SLOT_ASSIGNED | (region->pages[i].word & SLOT_IN_USE) };
    region->subpage_count = 0;
    if (FAULT(RMP_UNSMASH_KEEPS_COUNT)) {
        fault_triggered();
        region->subpage_count = RMP_PAGES_PER_LARGE - 1;
    }
    /* Without the array the 511 are what the head implies, and nobody runs on them. */
    if (region->in_use_count == ((region->head.word & SLOT_IN_USE) != 0)) rmp_region_compact(rmp, region);
    return RMP_OK;
}

/* ---- changes of state -------------------------------------------------------------------------------------------- */

static const struct transition {
    enum rmp_page_state from, to;
    bool is_small_only;
} transitions[] = {
    { RMP_STATE_FIRMWARE, RMP_STATE_HV_FIXED, false },     { RMP_STATE_FIRMWARE, RMP_STATE_CONTEXT, true },
    { RMP_STATE_CONTEXT, RMP_STATE_FIRMWARE, true },       { RMP_STATE_FIRMWARE, RMP_STATE_METADATA, true },
    { RMP_STATE_METADATA, RMP_STATE_FIRMWARE, true },      { RMP_STATE_HYPERVISOR, RMP_STATE_FIRMWARE_IOMMU, true },
    { RMP_STATE_FIRMWARE_IOMMU, RMP_STATE_RECLAIM, true }, { RMP_STATE_PRE_GUEST, RMP_STATE_GUEST_VALID, false },
    { RMP_STATE_PRE_GUEST, RMP_STATE_PRE_SWAP, false },    { RMP_STATE_GUEST_INVALID, RMP_STATE_PRE_GUEST, false },
    { RMP_STATE_GUEST_VALID, RMP_STATE_PRE_SWAP, false },
};

static const struct transition *find_transition(enum rmp_page_state from, enum rmp_page_state to)
{
    for (size_t i = 0; i < sizeof(transitions) / sizeof(transitions[0]); i++) {
        if (transitions[i].from == from && transitions[i].to == to) return &transitions[i];
    }
    return NULL;
}

static void fix_large(struct rmp *rmp, struct rmp_region *region)
{
    const struct rmp_slot fixed = { .word = SLOT_IMMUTABLE };

    rmp_region_expand(rmp, region);
    for (unsigned i = 1; i < RMP_PAGES_PER_LARGE; i++) {
        const uint64_t in_use = region->pages[i].word & SLOT_IN_USE;

        region->pages[i] = (struct rmp_slot){ .word = fixed.word | in_use };
    }
    region->head = (struct rmp_slot){ .word = fixed.word | (region->head.word & SLOT_IN_USE) };
    region->fixed_count = RMP_PAGES_PER_LARGE;
    CHECK(region->subpage_count == 0);
}

/* The entry of `to`, made of the old one. */
static struct rmp_slot slot_in_state(struct rmp_slot slot, enum rmp_page_state to, uint64_t gpa)
{
    const uint64_t kept = slot.word & (SLOT_IN_USE | SLOT_LARGE);
    const uint64_t firmware = kept | SLOT_ASSIGNED | SLOT_IMMUTABLE;

    switch (to) {
    case RMP_STATE_HV_FIXED: return (struct rmp_slot){ .word = kept | SLOT_IMMUTABLE };
    case RMP_STATE_FIRMWARE: slot.word = firmware; break;
    case RMP_STATE_CONTEXT: slot.word = firmware | SLOT_VMSA; break;
    case RMP_STATE_METADATA: slot.word = firmware | gpa | (uint64_t)RMP_GPA_TAG_METADATA << RMP_GPA_TAG_SHIFT; break;
    case RMP_STATE_FIRMWARE_IOMMU:
        slot.word = firmware | bit(RMP_PAGE_SHIFT) | (uint64_t)RMP_GPA_TAG_IOMMU << RMP_GPA_TAG_SHIFT;
        break;
    case RMP_STATE_RECLAIM: slot.word = kept | SLOT_ASSIGNED; break;
    case RMP_STATE_PRE_GUEST: slot.word |= SLOT_IMMUTABLE; break;
    case RMP_STATE_PRE_SWAP: slot.word |= SLOT_IMMUTABLE | SLOT_VALIDATED; break;
    case RMP_STATE_GUEST_VALID: slot.word = (slot.word & ~(uint64_t)SLOT_IMMUTABLE) | SLOT_VALIDATED; break;
    default: CHECK(!"no transition leads here");
    }
    return slot;
}

enum rmp_result rmp_set_page_state(struct rmp *rmp, hpa_t page, enum rmp_page_size size, enum rmp_page_state to,
                                   uint64_t gpa)
{
    const hpa_t start = page_of(page);
    const enum rmp_result refusal = address_refusal(rmp, start, size);
    const struct transition *transition;
    struct rmp_region *region;
    struct rmp_entry entry;
    struct rmp_slot slot;

    if (refusal != RMP_OK) return refusal;
    if (to == RMP_STATE_METADATA && (gpa == 0 || gpa & ~(low_mask(RMP_GPA_TAG_SHIFT) - low_mask(RMP_PAGE_SHIFT))))
        return RMP_FW_INVALID_PARAM;
    if (!rmp_raw_entry(rmp, start, &entry)) return RMP_FW_INVALID_PAGE_STATE;
    transition = find_transition(rmp_entry_state(&entry), to);
    if (!transition) return RMP_FW_INVALID_PAGE_STATE;
    if (entry.size != size || (size == RMP_2M && transition->is_small_only)) return RMP_FW_INVALID_PAGE_SIZE;
    region = rmp_region_obtain(rmp, start);
    if (size == RMP_2M && to == RMP_STATE_HV_FIXED) {
        fix_large(rmp, region);
        return RMP_OK;
    }
    slot = slot_in_state(rmp_region_slot(region, rmp_page_index(start)), to, gpa);
    if (size == RMP_2M)
        region->head = slot;
    else
        rmp_region_write_small(rmp, region, rmp_page_index(start), slot);
    return RMP_OK;
}

enum rmp_result rmp_cover_table(struct rmp *rmp, hpa_t base, hpa_t end)
{
    const struct rmp_slot firmware = { .word = SLOT_ASSIGNED | SLOT_IMMUTABLE };

    if (base.value > end.value || !is_aligned(base.value, TABLE_SHIFT) || !is_aligned(end.value + 1, TABLE_SHIFT))
        return RMP_FW_INVALID_PARAM;
    for (uint64_t page = base.value; page < end.value; page += bit(RMP_PAGE_SHIFT)) {
        if (rmp_page_state(rmp, hpa(page)) != RMP_STATE_HYPERVISOR) return RMP_FW_INVALID_PARAM;
    }
    for (uint64_t page = base.value; page < end.value; page += bit(RMP_PAGE_SHIFT))
        rmp_region_write_small(rmp, rmp_region_obtain(rmp, hpa(page)), rmp_page_index(hpa(page)), firmware);
    rmp->table_first = base;
    rmp->table_end = hpa(end.value + 1);
    return RMP_OK;
}
