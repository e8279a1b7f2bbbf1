#include "iommu/iommu_check.h"

#include "base/bits.h"
#include "base/fault.h"

static enum iommu_fault check_private_entry(const struct iommu_config *config, const struct rmp_question *question,
                                            const struct rmp_entry *entry)
{
    if (!entry->assigned || entry->asid != question->asid || question->asid == 0) return IOMMU_RMP_OWNER;
    if (config->variant->owner_only) return IOMMU_NO_FAULT;
    if (entry->gpa != align_down(question->gpa, RMP_PAGE_SHIFT)) return IOMMU_RMP_GPA;
    if (entry->immutable) return IOMMU_RMP_IMMUTABLE;
    return IOMMU_NO_FAULT;
}

/* Step 5. The class to go on with is in answer->is_large. */
static void apply_size_rule(enum iommu_size_rule rule, bool rmp_is_large, struct rmp_answer *answer)
{
    if (rule == SIZE_IGNORED || answer->is_large == rmp_is_large) return;
    switch (rule) {
    case SIZE_IGNORED: break;
    case SIZE_MUST_MATCH: answer->fault = IOMMU_RMP_SIZE; break;
    case SIZE_SMALL_EXPANDS:
        if (answer->is_large) answer->fault = IOMMU_RMP_SIZE;
        answer->is_large = true;
        break;
    case SIZE_REPAIRED:
        answer->repaired = true;
        answer->is_large = false;
        break;
    case SIZE_MISMATCH_SHRINKS: answer->is_large = false; break;
    }
}

static bool is_in_large_page(const struct rmp_entry *entry, uint64_t page)
{
    const bool is_large = entry->size == RMP_2M;

    if (FAULT(IOMMU_SIZE_OF_OWN_ENTRY) && is_large && !is_aligned(align_down(page, RMP_PAGE_SHIFT), RMP_LARGE_SHIFT)) {
        fault_triggered();
        return false;
    }
    return is_large;
}

static struct rmp_answer check_private(const struct iommu_config *config, const struct rmp_question *question)
{
    struct rmp_answer answer = { .is_large = question->s2_is_large };
    struct rmp_entry entry;

    if (!rmp_lookup(config->rmp, hpa(question->hpa), &entry)) {
        answer.fault = IOMMU_RMP_RANGE;
        return answer;
    }
    answer.fault = check_private_entry(config, question, &entry);
    if (answer.fault != IOMMU_NO_FAULT || config->variant->owner_only) return answer;
    apply_size_rule(config->variant->size_rule, is_in_large_page(&entry, question->hpa), &answer);
    if (answer.fault == IOMMU_NO_FAULT && config->switches.check_validated && !entry.validated) {
        answer.fault = IOMMU_RMP_NOT_VALIDATED;
    }
    return answer;
}

static bool page_is_shared(const struct iommu_config *config, uint64_t page)
{
    struct rmp_entry entry;

    return !rmp_lookup(config->rmp, hpa(page), &entry) || !entry.assigned;
}

static bool region_is_shared(const struct iommu_config *config, uint64_t page)
{
    const bool is_shared = rmp_region_is_shared(config->rmp, hpa(page));

    if (FAULT(IOMMU_SHARED_LARGE_BY_PAGE) && !is_shared && page_is_shared(config, page)) {
        fault_triggered();
        return true;
    }
    return is_shared;
}

static struct rmp_answer check_shared(const struct iommu_config *config, const struct rmp_question *question)
{
    const bool whole_piece = question->s2_is_large && !config->variant->owner_only;
    struct rmp_answer answer = { .is_large = question->s2_is_large };

    if (question->access == IOMMU_READ && !config->switches.shared_read_checked) {
        answer.read_only = true;
        return answer;
    }
    if (!(whole_piece ? region_is_shared(config, question->hpa) : page_is_shared(config, question->hpa)))
        answer.fault = IOMMU_RMP_OWNER;
    return answer;
}

struct rmp_answer iommu_check_rmp(const struct iommu_config *config, const struct rmp_question *question)
{
    if (!iommu_has_rmp(config)) return (struct rmp_answer){ .is_large = question->s2_is_large };
    return question->is_private ? check_private(config, question) : check_shared(config, question);
}

enum iommu_fault iommu_check_translated(const struct iommu_config *config, const struct rmp_question *question)
{
    const struct iommu_variant owner_only = { .checks_owner = config->variant->checks_owner, .owner_only = true };
    struct iommu_config narrowed = *config;

    if (!config->switches.ats_translated_checked) return IOMMU_NO_FAULT;
    narrowed.variant = &owner_only;
    return iommu_check_rmp(&narrowed, question).fault;
}
