/*
 * Which addresses a device asks for. An access is one translation: the first packet to a 4K page. (Further packets of
 * the same page would hit whatever the size of the entry, and say nothing about sizes.)
 *
 *   sequential  256 MiB, page after page, once
 *   random      256 MiB, as many accesses as pages, drawn with repetition, seed fixed
 *   strided     256 MiB in 1008 buffers of 260 KiB (256 KiB and a guard page); the first page of each, 65 rounds
 *   trace       what corpus/traces' NVMe and e1000e drivers mapped, in their order: every page of every map once, at
 *               the address of the memory itself (the iommu:map event's paddr), taken as guest physical: what the
 * device of a guest without S1 would ask for. The guest has 2 GiB; 191,571 accesses to 1,211 pages
 */
#pragma once

#include "bench_predict.h"

enum traffic_kind { TRAFFIC_SEQUENTIAL, TRAFFIC_RANDOM, TRAFFIC_STRIDED, TRAFFIC_TRACE, TRAFFIC_KINDS };

/* sequential, random, strided, trace. */
const char *traffic_name(enum traffic_kind kind);

/* One sentence of the above for reports. */
const char *traffic_text(enum traffic_kind kind);

/* Guest memory that the traffic lies in. */
void traffic_memory(enum traffic_kind kind, uint64_t *gpa, uint64_t *length);

/* The accesses, each marked as shared where the plan's page is. False: *message says what cannot be read. */
bool traffic_list(enum traffic_kind kind, const struct machine_plan *plan, struct access_list *list, char *message);
void traffic_free(struct access_list *list);
