/*
 * The RMP check of a translation (rmp.md 4.2, 4.3, 4.6): what the IOMMU asks the RMP once it knows the host page.
 *
 * Private (T=1 and the C-bit side), in the order of rmp.md 3.1, which is stated for the CPU (for IOMMUs INFERRED):
 *   1  the RMP covers the page                        rmp-range
 *   2  assigned, and to the device's ASID             rmp-owner
 *   3  the entry's gpa is the one translated          rmp-gpa
 *   4  not immutable                                  rmp-immutable
 *   5  size of entry and class of S2 leaf, by variant rmp-size
 *   6  validated, if the switch says so               rmp-not-validated
 * All of the touched 4K page's own entry; under a 2M entry that is the head's (rmp_lookup).
 * Shared: the 4K page, or for a leaf of 2M and more all 512 pages of its 2M piece, is unassigned, else rmp-owner.
 * Beyond the RMP everything is shared.
 */
#pragma once

#include "iommu/iommu.h"

struct rmp_question {
    uint64_t hpa, gpa; /* of the byte asked for */
    bool s2_is_large;  /* class of the S2 leaf: 2M and more */
    bool is_private;
    enum iommu_access access;
    uint16_t asid;
};

struct rmp_answer {
    enum iommu_fault fault;
    bool is_large;  /* class to go on with: the S2 class after the size rule */
    bool repaired;  /* SIZE_REPAIRED met a mismatch */
    bool read_only; /* the owner check was skipped for a read: nothing is known about writes */
};

/* Is anything checked at all? */
static inline bool iommu_has_rmp(const struct iommu_config *config)
{
    return config->rmp && config->variant->checks_owner;
}

struct rmp_answer iommu_check_rmp(const struct iommu_config *config, const struct rmp_question *question);

/* ATS: the device brings an hpa of its own cache. No gpa and no leaf size are known: range and owner of the 4K page. */
enum iommu_fault iommu_check_translated(const struct iommu_config *config, const struct rmp_question *question);
