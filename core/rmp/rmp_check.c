/* The rules R1-R8 of rmp.h over every touched entry. O(touched regions * 512): tests and checkers only. */
#include "rmp/rmp.h"

#include "base/bits.h"
#include "base/check.h"
#include "rmp/rmp_internal.h"

#include <string.h>

struct report {
    void (*violation)(void *context, const struct rmp_violation *found);
    void *context;
    unsigned count;
    bool keeps_page_size;
};

static void report_unless(struct report *report, bool holds, unsigned rule, hpa_t page, const char *text)
{
    if (holds) return;
    report->count++;
    if (!report->violation) return;
    report->violation(report->context, &(struct rmp_violation){ .rule = rule, .page = page, .text = text });
}

static bool perms_fit(const struct rmp_slot *slot)
{
    for (unsigned i = 0; i < RMP_VMPL_COUNT; i++)
        if (slot->perms[i] > RMP_PERM_ALL) return false;
    return true;
}

static bool has_perms(const struct rmp_slot *slot)
{
    static const uint8_t none[RMP_VMPL_COUNT];

    return memcmp(slot->perms, none, sizeof(none)) != 0;
}

/* The rules that look at one entry. */
static void check_entry(struct report *report, const struct rmp_slot *slot, hpa_t page)
{
    const bool is_assigned = slot->word & SLOT_ASSIGNED;
    const bool may_keep_size = report->keeps_page_size && is_aligned(page.value, RMP_LARGE_SHIFT);
    const bool has_size_2m = (slot->word & SLOT_LARGE) && (is_assigned || !may_keep_size);
    const uint64_t gpa = rmp_slot_gpa(slot);

    report_unless(report, perms_fit(slot), 7, page, "permissions of more than 5 bits");
    if (!is_assigned) {
        report_unless(report, !(slot->word & (SLOT_VALIDATED | SLOT_VMSA)) && gpa == 0, 1, page,
                      "validated, vmsa or a gpa in an unassigned entry");
        report_unless(report, slot->asid == 0 && !has_size_2m, 2, page, "an unassigned entry has an asid or size 2M");
        report_unless(report, !has_perms(slot), 7, page, "an unassigned entry has permissions");
    }
    report_unless(report, !has_size_2m || (is_assigned && is_aligned(page.value, RMP_LARGE_SHIFT)), 3, page,
                  "size 2M in an unassigned entry or off a 2M boundary");
    report_unless(report, !(is_assigned && slot->asid != 0 && has_size_2m) || is_aligned(gpa, RMP_LARGE_SHIFT), 6, page,
                  "the gpa of a guest's 2M page is not 2M aligned");
}

static bool is_follower(const struct rmp_slot *slot)
{
    return (slot->word & ~(uint64_t)SLOT_IN_USE) == SLOT_ASSIGNED && slot->asid == 0 && !has_perms(slot);
}

static bool is_fixed(const struct rmp_slot *slot)
{
    return (slot->word & (SLOT_ASSIGNED | SLOT_IMMUTABLE)) == SLOT_IMMUTABLE;
}

static void check_region(struct report *report, const struct rmp_region *region)
{
    const uint64_t start = region->number << RMP_LARGE_SHIFT;
    const bool is_large = rmp_region_is_large(region);
    unsigned assigned = 0;
    unsigned in_use = (region->head.word & SLOT_IN_USE) != 0;
    unsigned fixed = is_fixed(&region->head);

    check_entry(report, &region->head, hpa(start));
    for (unsigned i = 1; i < RMP_PAGES_PER_LARGE && region->pages; i++) {
        const struct rmp_slot *slot = &region->pages[i];
        const hpa_t page = hpa(start + ((uint64_t)i << RMP_PAGE_SHIFT));

        check_entry(report, slot, page);
        report_unless(report, !is_large || is_follower(slot), 4, page,
                      "a follower of a 2M head holds something else than assigned");
        assigned += slot->word & SLOT_ASSIGNED;
        in_use += (slot->word & SLOT_IN_USE) != 0;
        fixed += is_fixed(slot);
    }
    report_unless(report, region->subpage_count == (is_large ? 0 : assigned), 5, hpa(start),
                  "the sub-page count is not the number of assigned pages among the other 511");
    report_unless(report, region->fixed_count == fixed, 8, hpa(start),
                  "the number of HV-fixed pages that the region knows of is not how many there are");
    CHECK(region->in_use_count == in_use);
}

unsigned rmp_check(const struct rmp *rmp, void (*violation)(void *context, const struct rmp_violation *found),
                   void *context)
{
    struct report report = { .violation = violation,
                             .context = context,
                             .keeps_page_size = rmp->switches.keeps_page_size };

    for (uint32_t i = 0; i < rmp->region_count; i++) check_region(&report, &rmp->regions[i]);
    return report.count;
}
