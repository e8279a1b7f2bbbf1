/*
 * A machine to translate in: host memory, S2 (and S1) tables written by the engine, an RMP, an IOMMU with one trusted
 * device of one guest.
 *
 *   guest memory   [gpa, gpa + length) -> hpa = gpa + MACHINE_HPA_OFFSET, private to the guest. The offset is a
 * multiple of 512M and not of 1G: `best` leaves end below 1G, for which rmp.md 4.6 has no cell of its own S2 amdv1,
 * leaves of at most the plan's size S1             x86_64, iova = gpa + MACHINE_IOVA_OFFSET, leaves of at most the
 * plan's size. Its tables lie in guest memory, whose S2 leaves and RMP entries are 4K: their fetches never meet a
 * mismatch RMP            4K: RMPUPDATE to 2M, then PSMASH. Mixed: page MACHINE_SHARED_PAGE of each 2M region is shared
 * then
 *
 * No A/D updates. Everything is rebuilt for each plan; nothing is shared between machines.
 */
#pragma once

#include "base/bits.h"
#include "iommu/iommu.h"
#include "pt/engine.h"

#define MACHINE_HPA_OFFSET  UINT64_C(0x120000000) /* 4.5 GiB */
#define MACHINE_IOVA_OFFSET UINT64_C(0x1000000000)

enum {
    MACHINE_SHARED_PAGE = 300, /* of 512; the guest gave it back, and its driver uses it as shared */
    MACHINE_TABLE_PAGES = 1 << 14,
};

enum machine_rmp { MACHINE_RMP_4K, MACHINE_RMP_2M, MACHINE_RMP_MIXED, MACHINE_RMP_KINDS };

struct machine_plan {
    const struct iommu_variant *variant;
    unsigned s1_shift; /* largest S1 leaf: 12, 21; 0: no S1 */
    unsigned s2_shift; /* largest S2 leaf: 12, 21; 0: as large as the addresses allow */
    enum machine_rmp rmp;
    uint64_t gpa, length; /* multiples of 2M */
};

struct machine {
    struct machine_plan plan;
    struct physmem memory;
    struct table_pool s2_pool, s1_pool;
    struct pt s2, s1;
    struct rmp *rmp;
    struct iommu *iommu;
};

/* "4K", "2M", and "none" for S1 or "best" for S2; "4K", "2M", "mixed". */
const char *machine_s1_name(unsigned s1_shift);
const char *machine_s2_name(unsigned s2_shift);
const char *machine_rmp_name(enum machine_rmp rmp);

/* Build and check: leaf sizes by hardware walks, RMP entries by lookups. NULL: *message says what is wrong. */
struct machine *machine_open(const struct machine_plan *plan, const struct iommu_geometry *geometry, char *message);
void machine_close(struct machine *machine);

/* Another geometry: caches empty, counters 0. */
void machine_set_geometry(struct machine *machine, const struct iommu_geometry *geometry);

/* Is this page of guest memory shared? */
static inline bool machine_is_shared(const struct machine_plan *plan, uint64_t gpa)
{
    return plan->rmp == MACHINE_RMP_MIXED && (gpa >> SHIFT_4K) % RMP_PAGES_PER_LARGE == MACHINE_SHARED_PAGE;
}
