/* The inside of an IOMMU, shared by iommu.c (devices), translate.c and command.c. */
#pragma once

#include "iommu/iommu.h"
#include "iommu/iotlb.h"
#include "iommu/walk_cache.h"

enum { COMMAND_QUEUE_SIZE = 256 };

struct command {
    bool is_all; /* INV_ALL; else INV_IOMMU_PAGES */
    struct iommu_inv_pages pages;
};

struct iommu {
    struct iommu_config config;
    struct iommu_dte devices[IOMMU_DEVICES];
    struct iotlb iotlb;
    struct walk_cache walk_cache;
    struct command queue[COMMAND_QUEUE_SIZE]; /* a ring */
    unsigned queue_head;                      /* the oldest */
    unsigned queued;
    struct iommu_stats stats;
};
