/* See world_rule.h. A new reason is a new row here and a line in one of the three functions below it. */
#include "world/world_rule.h"

#include "world/world_dma.h"

static const struct {
    const char *name;
    enum world_finding finding;
    const char *title;
} rules[RULE_COUNT] = {
    [RULE_NONE] = { "none", FINDING_NONE, "nothing wrong" },
    [RULE_AFTER_OWNER_CHANGE] = { "after-owner-change", FINDING_STALE,
                                  "A live IOTLB entry still reaches a page that no longer belongs to this device's "
                                  "side: the RMP changed and nothing invalidated the entry" },
    [RULE_AFTER_UNMAP] = { "after-unmap", FINDING_STALE,
                           "A live IOTLB entry still reaches a page that was unmapped: its invalidation was "
                           "forgotten" },
    [RULE_AFTER_REMAP] = { "after-remap", FINDING_STALE,
                           "A live IOTLB entry still reaches the page that was mapped here before: the mapping leads "
                           "elsewhere, and the old one's invalidation was forgotten" },
    [RULE_AFTER_RIGHTS] = { "after-rights", FINDING_STALE,
                            "A live IOTLB entry still grants a right that the mapping no longer gives" },
    [RULE_STALE_WALK] = { "stale-walk", FINDING_STALE,
                          "A walk began at a cached upper-level item that outlived its table: the invalidation left "
                          "upper levels cached, or was forgotten" },
    [RULE_NEVER_MAPPED] = { "never-mapped", FINDING_STALE,
                            "A live IOTLB entry reaches a page that it never had a right to: it is larger than the "
                            "leaf "
                            "that it was filled from" },
    [RULE_SIZE_BYSTANDER] = { "rmp-size-bystander", FINDING_LOSES_DMA,
                              "A page that nobody converts faults by size: the device was served there before, then "
                              "its 2M region was split on one side only, in S2 or in the RMP" },
    [RULE_SIZE_LEAF_LARGER] = { "rmp-size-leaf-larger", FINDING_LOSES_DMA,
                                "An S2 leaf of 2M or more stands over RMP pages of 4K, and every access through it "
                                "faults by size" },
    [RULE_SIZE_LEAF_SMALLER] = { "rmp-size-leaf-smaller", FINDING_LOSES_DMA,
                                 "An S2 leaf below 2M stands over an RMP page of 2M, and every access through it "
                                 "faults by size" },
    [RULE_SIZE_S1_TABLE] = { "rmp-size-s1-table", FINDING_LOSES_DMA,
                             "The fetch of the guest's own S1 table meets an S2 leaf and an RMP page of different "
                             "size: all DMA behind that table is lost" },
    [RULE_SIZE_RECHECK] = { "rmp-size-recheck", FINDING_LOSES_DMA,
                            "A right IOTLB entry is refused when it is checked again: the size of the RMP page "
                            "changed after the fill" },
    [RULE_OWNER_MIXED_REGION] = { "owner-mixed-2m", FINDING_LOSES_DMA,
                                  "Ordinary DMA to a page that nobody owns faults: its leaf of 2M or more also covers "
                                  "a page that belongs to a guest" },
    [RULE_OWNER_HOST_TABLE] = { "owner-host-table", FINDING_LOSES_DMA,
                                "Hardware cannot mark the S2 leaf accessed or dirty: the page of the host's table "
                                "belongs to a guest" },
    [RULE_OLD_ENTRY] = { "old-entry", FINDING_LOSES_DMA,
                         "An outdated IOTLB entry stands before a right mapping, and its check fails" },
    [RULE_OLD_WALK] = { "old-walk", FINDING_LOSES_DMA,
                        "A walk began at an outdated cached item and missed the right mapping" },
    [RULE_LOST_OTHER] = { "lost-other", FINDING_LOSES_DMA, "An authorised access faulted for another reason" },
    [RULE_BEYOND_S2_LEAF] = { "beyond-s2-leaf", FINDING_EXPANDS,
                              "The IOTLB entry is larger than the host's S2 leaf: the device reaches pages that the "
                              "host mapped elsewhere, for others, or not at all" },
    [RULE_BEYOND_S1_LEAF] = { "beyond-s1-leaf", FINDING_EXPANDS,
                              "The IOTLB entry is larger than the guest's S1 leaf: the device reaches guest pages that "
                              "the guest never mapped for it" },
    [RULE_OTHER_OWNER] = { "other-owner", FINDING_EXPANDS,
                           "The IOTLB entry covers pages of another owner: only the touched 4K page was checked" },
    [RULE_FILLED_BY_OLD_WALK] = { "filled-by-old-walk", FINDING_EXPANDS,
                                  "The IOTLB entry was filled through a cached item of a leaf that is gone, and covers "
                                  "what is mapped otherwise by now, or not at all" },
};

const char *world_finding_name(enum world_finding finding)
{
    static const char *const names[] = { "none", "STALE", "LOSES DMA", "EXPANDS" };

    return (unsigned)finding < FINDING_KINDS ? names[finding] : "?";
}

const char *world_finding_token(enum world_finding finding)
{
    static const char *const tokens[] = { "none", "stale", "loses-dma", "expands" };

    return (unsigned)finding < FINDING_KINDS ? tokens[finding] : "?";
}

const char *world_rule_name(enum world_rule rule)
{
    return (unsigned)rule < RULE_COUNT ? rules[rule].name : "?";
}

const char *world_rule_title(enum world_rule rule)
{
    return (unsigned)rule < RULE_COUNT ? rules[rule].title : "?";
}

enum world_finding world_rule_finding(enum world_rule rule)
{
    return (unsigned)rule < RULE_COUNT ? rules[rule].finding : FINDING_NONE;
}

/* ---- which one --------------------------------------------------------------------------------------------------- */

/* Sizes aside: does the page that was reached still pass the check of an access like this one? */
static bool is_still_owned(const struct dma *dma, uint64_t hpa)
{
    const struct world *world = dma->world;
    struct oracle_translation path = { .gpa = dma->gpa_reached, .hpa = hpa, .s2_shift = SHIFT_4K };
    enum oracle_fault fault;

    /* A leaf of the RMP page's own size: what is left is the page itself. */
    if (world->has_rmp && dma->access.is_private && ownership_lookup(&world->ownership, hpa).is_large)
        path.s2_shift = SHIFT_2M;
    fault = oracle_recheck(&world->machine, &dma->access, &path);
    return fault == ORACLE_NO_FAULT || fault == ORACLE_RMP_SIZE;
}

static enum world_rule stale_rule(const struct dma *dma, const struct iommu_outcome *got)
{
    const struct oracle_translation now = oracle_translate(&dma->access);
    const struct fill entry = { .input = got->entry_input, .shift = got->fill_shift };

    if (got->from_walk_cache) return RULE_STALE_WALK;
    if (!history_was_walked(&dma->world->history, &dma->tag, &entry, dma->access.address)) return RULE_NEVER_MAPPED;
    if (!is_still_owned(dma, got->hpa.value)) return RULE_AFTER_OWNER_CHANGE;
    if (now.fault == ORACLE_PERMISSION) return RULE_AFTER_RIGHTS;
    return now.fault ? RULE_AFTER_UNMAP : RULE_AFTER_REMAP;
}

static enum world_rule size_rule(const struct dma *dma, const struct oracle_translation *now)
{
    if (history_was_served(&dma->world->history, &dma->tag, dma->access.address, now->hpa)) return RULE_SIZE_BYSTANDER;
    return now->s2_shift >= SHIFT_2M ? RULE_SIZE_LEAF_LARGER : RULE_SIZE_LEAF_SMALLER;
}

static enum world_rule recheck_rule(const struct dma *dma, const struct iommu_outcome *got)
{
    const struct oracle_translation now = oracle_translate(&dma->access);
    const uint64_t offset = dma->access.address - got->entry_input;

    if (got->fault == IOMMU_RMP_SIZE && got->entry_hpa + offset == now.hpa) return RULE_SIZE_RECHECK;
    /* The entry's leaf was large, and so the whole region is asked for its owners. */
    if (got->fault == IOMMU_RMP_OWNER && got->entry_hpa + offset == now.hpa) return RULE_OWNER_MIXED_REGION;
    return RULE_OLD_ENTRY;
}

/* The access is authorised, and faulted. */
static enum world_rule loses_rule(const struct dma *dma, const struct iommu_outcome *got)
{
    const struct oracle_expectation now = oracle_expect(&dma->world->machine, &dma->access);

    if (got->of_s1_table) return RULE_SIZE_S1_TABLE;
    if (got->is_hit) return recheck_rule(dma, got);
    if (got->fault == IOMMU_RMP_SIZE && now.fault == ORACLE_RMP_SIZE) return size_rule(dma, &now.path);
    if (got->fault == IOMMU_RMP_OWNER && now.fault == ORACLE_RMP_OWNER) return RULE_OWNER_MIXED_REGION;
    if (got->fault == IOMMU_RMP_OWNER && dma->block != BLOCK_NONE) return RULE_OWNER_HOST_TABLE;
    return got->from_walk_cache ? RULE_OLD_WALK : RULE_LOST_OTHER;
}

static enum world_rule expands_rule(const struct dma *dma, const struct iommu_outcome *got)
{
    const struct oracle_translation now = oracle_translate(&dma->access);

    if (got->s2_shift < got->fill_shift) return RULE_BEYOND_S2_LEAF;
    if (got->s1_shift && got->s1_shift < got->fill_shift) return RULE_BEYOND_S1_LEAF;
    if (now.fault || now.hpa != got->hpa.value || now.s2_shift < got->fill_shift ||
        (now.s1_shift && now.s1_shift < got->fill_shift))
        return RULE_FILLED_BY_OLD_WALK;
    return RULE_OTHER_OWNER;
}

enum world_rule world_rule_of(const struct dma *dma, const struct world_outcome *outcome)
{
    switch (outcome->finding) {
    case FINDING_STALE: return stale_rule(dma, &outcome->dma);
    case FINDING_LOSES_DMA: return loses_rule(dma, &outcome->dma);
    case FINDING_EXPANDS: return expands_rule(dma, &outcome->dma);
    default: return RULE_NONE;
    }
}
