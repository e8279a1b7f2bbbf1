/*
 * One combination of S2 leaves, RMP entries and traffic on one variant, and what its IOTLB makes of it. Shared by the
 * timed cases and the table of --outcomes.
 */
#pragma once

#include "bench_traffic.h"

struct iotlb_shape {
    struct machine_plan plan;
    enum traffic_kind traffic;
};

/* The shapes in the order of the report: variant, S2, RMP, traffic. NULL past the end. */
const struct iotlb_shape *iotlb_shape_at(unsigned index);
/* "iotlb/<hw>/<s2>-<rmp>/<traffic>" */
void iotlb_shape_name(const struct iotlb_shape *shape, char *name, size_t size);

/* Hits per access over iotlb_geometry_at, and where they were least and most. Model, not silicon. */
struct iotlb_band {
    double hit_ratio_min, hit_ratio_max;
};

/* The sweep: 16 to 4096 entries, direct-mapped to fully associative. NULL past the end. */
const struct iommu_geometry *iotlb_geometry_at(unsigned index);

struct iotlb_work;

/* NULL: *message says why. */
struct iotlb_work *iotlb_open(const struct iotlb_shape *shape, char *message);
void iotlb_close(struct iotlb_work *work);

/* Run a batch with this geometry from empty caches, count, and compare with the prediction. False: *message. */
bool iotlb_measure(struct iotlb_work *work, const struct iommu_geometry *geometry, struct batch_counts *counts,
                   char *message);

/* The whole sweep, each geometry measured and compared; *usual: the counts with the default one. False: *message. */
bool iotlb_sweep(struct iotlb_work *work, struct iotlb_band *band, struct batch_counts *usual, char *message);
