/* What firmware's commands do to the list of assigned pages (rmp.md 1.7), and who holds what. See ownership.h. */
#include "oracle/ownership_internal.h"

#include "base/bits.h"

#include <stddef.h>

/* What firmware writes above the 48 bits of a gpa in pages of its own. */
enum { TAG_SHIFT = 48, TAG_METADATA = 1, TAG_IOMMU = 2 };

/* The name of an assigned page. Firmware reads the page's own entry: within a 2M page that is a bare `assigned`. */
static bool is_named(const struct sorted_item *item, uint64_t page, enum owner_name name)
{
    const uint64_t flags = item->word[2];
    const bool is_guests = flags >> 16 && item->key == page;
    const bool is_firmwares = !(flags >> 16) && flags & IS_IMMUTABLE && !(flags & IS_VALIDATED) && item->key == page;
    const uint64_t gpa = item->word[0];

    switch (name) {
    case OWNER_FIRMWARE: return is_firmwares && gpa == 0 && !(flags & IS_VMSA);
    case OWNER_CONTEXT: return is_firmwares && gpa == 0 && flags & IS_VMSA;
    case OWNER_METADATA: return is_firmwares && gpa >> TAG_SHIFT == TAG_METADATA && gpa << (64 - TAG_SHIFT);
    case OWNER_FIRMWARE_IOMMU:
        return is_firmwares && gpa == ((uint64_t)TAG_IOMMU << TAG_SHIFT | SMALL_BYTES) && !(flags & IS_VMSA);
    case OWNER_PRE_GUEST: return is_guests && flags & IS_IMMUTABLE && !(flags & IS_VALIDATED);
    case OWNER_PRE_SWAP: return is_guests && flags & IS_IMMUTABLE && flags & IS_VALIDATED;
    case OWNER_GUEST_INVALID: return is_guests && !(flags & (IS_IMMUTABLE | IS_VALIDATED));
    case OWNER_GUEST_VALID: return is_guests && !(flags & IS_IMMUTABLE) && flags & IS_VALIDATED;
    default: return false;
    }
}

enum owner_result ownership_reclaim(struct ownership *ownership, uint64_t hpa, bool is_large)
{
    const uint64_t page = align_down(hpa, SHIFT_4K);
    struct sorted_item *item = ownership_page_over(ownership, page);

    if (is_large && !is_aligned(page, SHIFT_2M)) return OWNER_INVALID_ADDRESS;
    if (!item) return OWNER_INVALID_PAGE_STATE;
    if (!is_named(item, page, OWNER_METADATA) && !is_named(item, page, OWNER_FIRMWARE) &&
        !is_named(item, page, OWNER_PRE_GUEST) && !is_named(item, page, OWNER_PRE_SWAP))
        return OWNER_INVALID_PAGE_STATE;
    if (!!(item->word[2] & IS_LARGE) != is_large) return OWNER_INVALID_PAGE_SIZE;
    item->word[2] &= ~(uint64_t)IS_IMMUTABLE;
    return OWNER_OK;
}

/* Are these 512 items the same page after page? */
static bool is_one_page(const struct ownership *ownership, uint64_t region, const struct sorted_item *first)
{
    for (uint64_t offset = 0; offset < LARGE_BYTES; offset += SMALL_BYTES) {
        const struct sorted_item *item = ownership_page_over(ownership, region + offset);

        if (!item || item->key != region + offset || item->word[0] != first->word[0] + offset) return false;
        if (item->word[1] != first->word[1] || item->word[2] != first->word[2]) return false;
    }
    return true;
}

enum owner_result ownership_unsmash(struct ownership *ownership, uint64_t hpa)
{
    const uint64_t region = align_down(hpa, SHIFT_4K);
    struct sorted_item large;
    const struct sorted_item *first;

    if (!is_aligned(region, SHIFT_2M)) return OWNER_INVALID_ADDRESS;
    first = ownership_page_over(ownership, region);
    if (!first || first->word[2] & (IS_LARGE | IS_VMSA)) return OWNER_INVALID_PAGE_STATE;
    if (!is_named(first, region, OWNER_PRE_GUEST) && !is_named(first, region, OWNER_PRE_SWAP))
        return OWNER_INVALID_PAGE_STATE;
    if (!is_aligned(first->word[0], SHIFT_2M) || !is_one_page(ownership, region, first))
        return OWNER_INVALID_PAGE_STATE;
    large = *first;
    large.word[2] |= IS_LARGE;
    for (uint64_t offset = 0; offset < LARGE_BYTES; offset += SMALL_BYTES)
        ownership_erase(&ownership->pages, region + offset);
    sorted_insert(&ownership->pages, &large);
    return OWNER_OK;
}

/* ---- changes of state -------------------------------------------------------------------------------------------- */

static bool may_become(const struct ownership *ownership, uint64_t page, enum owner_name to)
{
    const struct sorted_item *item = ownership_page_over(ownership, page);

    if (to == OWNER_FIRMWARE_IOMMU)
        return page < ownership->covered_bytes && !item && !ownership_lookup(ownership, page).immutable;
    if (!item) return false;
    switch (to) {
    case OWNER_HV_FIXED:
    case OWNER_CONTEXT:
    case OWNER_METADATA: return is_named(item, page, OWNER_FIRMWARE);
    case OWNER_FIRMWARE: return is_named(item, page, OWNER_CONTEXT) || is_named(item, page, OWNER_METADATA);
    case OWNER_RECLAIM: return is_named(item, page, OWNER_FIRMWARE_IOMMU);
    case OWNER_GUEST_VALID: return is_named(item, page, OWNER_PRE_GUEST);
    case OWNER_PRE_GUEST: return is_named(item, page, OWNER_GUEST_INVALID);
    case OWNER_PRE_SWAP: return is_named(item, page, OWNER_GUEST_VALID) || is_named(item, page, OWNER_PRE_GUEST);
    default: return false;
    }
}

/* Only pages that keep owner and contents, or leave them for good, can be 2M ones. */
static bool is_small_only(enum owner_name to)
{
    return to == OWNER_FIRMWARE_IOMMU || to == OWNER_CONTEXT || to == OWNER_METADATA || to == OWNER_FIRMWARE ||
           to == OWNER_RECLAIM;
}

static void fix(struct ownership *ownership, uint64_t page, bool is_large)
{
    ownership_erase(&ownership->pages, page);
    for (uint64_t offset = 0; offset < (is_large ? LARGE_BYTES : SMALL_BYTES); offset += SMALL_BYTES)
        sorted_insert(&ownership->fixed, &(struct sorted_item){ .key = page + offset });
}

static void become(struct ownership *ownership, uint64_t page, enum owner_name to, uint64_t gpa)
{
    struct sorted_item *item;

    if (to == OWNER_FIRMWARE_IOMMU) {
        const struct sorted_item made = { page, { (uint64_t)TAG_IOMMU << TAG_SHIFT | SMALL_BYTES, 0, IS_IMMUTABLE } };

        sorted_insert(&ownership->pages, &made);
        return;
    }
    item = ownership_page_over(ownership, page);
    if (to == OWNER_METADATA) item->word[0] = (uint64_t)TAG_METADATA << TAG_SHIFT | gpa;
    if (to == OWNER_FIRMWARE || to == OWNER_RECLAIM) item->word[0] = 0;
    if (to == OWNER_CONTEXT) item->word[2] |= IS_VMSA;
    if (to == OWNER_FIRMWARE) item->word[2] &= ~(uint64_t)IS_VMSA;
    if (to == OWNER_PRE_GUEST || to == OWNER_PRE_SWAP) item->word[2] |= IS_IMMUTABLE;
    if (to == OWNER_GUEST_VALID || to == OWNER_RECLAIM) item->word[2] &= ~(uint64_t)IS_IMMUTABLE;
    if (to == OWNER_GUEST_VALID || to == OWNER_PRE_SWAP) item->word[2] |= IS_VALIDATED;
}

enum owner_result ownership_set_name(struct ownership *ownership, uint64_t hpa, bool is_large, enum owner_name to,
                                     uint64_t gpa)
{
    const uint64_t page = align_down(hpa, SHIFT_4K);

    if (is_large && !is_aligned(page, SHIFT_2M)) return OWNER_INVALID_ADDRESS;
    if (to == OWNER_METADATA && (gpa == 0 || gpa >> TAG_SHIFT || !is_aligned(gpa, SHIFT_4K)))
        return OWNER_INVALID_PARAM;
    if (!may_become(ownership, page, to)) return OWNER_INVALID_PAGE_STATE;
    if (ownership_lookup(ownership, page).is_large != is_large) return OWNER_INVALID_PAGE_SIZE;
    if (is_large && is_small_only(to)) return OWNER_INVALID_PAGE_SIZE;
    if (to == OWNER_HV_FIXED)
        fix(ownership, page, is_large);
    else
        become(ownership, page, to, gpa);
    return OWNER_OK;
}
