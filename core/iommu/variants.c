/* What differs between IOMMUs (rmp.md 4.6, design.md 6). A new device is a new row, never a new branch. */
#include "iommu/iommu.h"

#include <string.h>

const struct iommu_variant iommu_variants[] = {
    /* (a) with a2, the default reading: a mismatch faults, a nested entry is as small as its S1 leaf */
    { .name = "amd", .size_rule = SIZE_MUST_MATCH, .fill_rule = FILL_SMALLEST, .checks_owner = true },
    /* (a) with a1 = (c): the other reading of the disputed cell; EXPANDS with a 4K S1 leaf */
    { .name = "amd-fill-2m", .size_rule = SIZE_MUST_MATCH, .fill_rule = FILL_S2_CLASS, .checks_owner = true },
    /* (b): the smallest of S1, S2 and RMP; never a size fault */
    { .name = "smallest", .size_rule = SIZE_MISMATCH_SHRINKS, .fill_rule = FILL_SMALLEST, .checks_owner = true },
    /* (c) with c2: S2 4K on RMP 2M is accepted as 2M; broken on purpose */
    { .name = "expanding", .size_rule = SIZE_SMALL_EXPANDS, .fill_rule = FILL_S2_CLASS, .checks_owner = true },
    /* (b)'s result after the repair that a processor's fault handler would have made, counted */
    { .name = "cpu", .size_rule = SIZE_REPAIRED, .fill_rule = FILL_SMALLEST, .checks_owner = true },
    /* a granule check: the 4K page's owner and nothing else */
    { .name = "cca", .size_rule = SIZE_IGNORED, .fill_rule = FILL_S1_S2, .checks_owner = true, .owner_only = true },
    { .name = "off", .size_rule = SIZE_IGNORED, .fill_rule = FILL_S1_S2 },
};

const struct iommu_variant *iommu_variant_at(unsigned index)
{
    return index < sizeof(iommu_variants) / sizeof(iommu_variants[0]) ? &iommu_variants[index] : NULL;
}

const struct iommu_variant *iommu_find_variant(const char *name)
{
    const struct iommu_variant *variant;

    for (unsigned i = 0; (variant = iommu_variant_at(i)) != NULL; i++) {
        if (strcmp(variant->name, name) == 0) return variant;
    }
    return NULL;
}

struct iommu_switches iommu_default_switches(void)
{
    return (struct iommu_switches){
        .shared_read_checked = true,
        .ats_translated_checked = true,
        .leaf_only_invalidation_keeps_walk_cache = true,
    };
}

struct iommu_geometry iommu_default_geometry(void)
{
    return (struct iommu_geometry){ .sets = 64, .ways = 8, .walk_cache_entries = 64 };
}

const char *iommu_fault_name(enum iommu_fault fault)
{
    static const char *const names[IOMMU_FAULT_COUNT] = {
        [IOMMU_NO_FAULT] = "none",
        [IOMMU_NOT_PRESENT] = "not-present",
        [IOMMU_PERMISSION] = "permission",
        [IOMMU_CANONICAL] = "canonical",
        [IOMMU_RESERVED_BITS] = "reserved-bits",
        [IOMMU_RMP_OWNER] = "rmp-owner",
        [IOMMU_RMP_GPA] = "rmp-gpa",
        [IOMMU_RMP_SIZE] = "rmp-size",
        [IOMMU_RMP_IMMUTABLE] = "rmp-immutable",
        [IOMMU_RMP_NOT_VALIDATED] = "rmp-not-validated",
        [IOMMU_RMP_RANGE] = "rmp-range",
        [IOMMU_NO_MEMORY] = "no-memory",
        [IOMMU_ACCESS_FLAG] = "access-flag",
    };

    return (unsigned)fault < IOMMU_FAULT_COUNT ? names[fault] : "unknown";
}
