/*
 * What must come out, from sources of its own: the truth tables of rmp.md 4.6 typed in by hand, an IOTLB and a walk
 * cache written once more (flat arrays, stamps). Nothing of core/iommu but the names of its variants is used, so a case
 * whose counters agree with this was computed twice.
 */
#pragma once

#include "bench_machine.h"

/* What one translation without a hit ends in. */
enum verdict { VERDICT_4K, VERDICT_2M, VERDICT_SIZE_FAULT, VERDICT_OWNER_FAULT };

/* Of an access to a private or shared page. Leaves: as planned. */
enum verdict predict_verdict(const struct machine_plan *plan, bool is_shared);

/* Does the entry reach further than the smaller of the S1 and S2 leaf: does it expose what nobody mapped? */
bool predict_expands(const struct machine_plan *plan);

/* Would a processor have had to repair this (variant cpu)? */
bool predict_repair(const struct machine_plan *plan, bool is_shared);

/* Counted, or predicted, of one batch that starts with empty caches. */
struct batch_counts {
    uint64_t accesses, hits, fill_4k, fill_2m, faults_rmp_size, faults, repairs, walk_reads;
    uint64_t entries, reach_bytes; /* left in the IOTLB */
    uint64_t hpa_sum;              /* of the addresses that were reached */
};

/* An access: guest physical address; bit 0: as a shared page. */
#define ACCESS_SHARED UINT64_C(1)

struct access_list {
    uint64_t *accesses;
    uint64_t count;
};

/* No S1. A miss walks S2 with a walk cache; every level above the last read is kept. O(accesses * ways). */
void predict_batch(const struct machine_plan *plan, const struct iommu_geometry *geometry,
                   const struct access_list *list, struct batch_counts *counts);

/* False: *message names the first difference. Also: every access is a hit, a fill or a fault. */
bool batch_counts_agree(const struct batch_counts *counted, const struct batch_counts *predicted, char *message,
                        size_t size);
