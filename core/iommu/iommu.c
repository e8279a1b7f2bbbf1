/* Device table, life and counters of an IOMMU. Translation: translate.c; commands: command.c. */
#include "base/check.h"
#include "iommu/iommu_state.h"

#include <stdlib.h>
#include <string.h>

struct iommu *iommu_new(const struct iommu_config *config)
{
    struct iommu *iommu = calloc(1, sizeof(*iommu));

    CHECK(iommu != NULL);
    iommu_reset(iommu, config);
    return iommu;
}

void iommu_free(struct iommu *iommu)
{
    if (!iommu) return;
    iotlb_free(&iommu->iotlb);
    walk_cache_free(&iommu->walk_cache);
    free(iommu);
}

void iommu_reset(struct iommu *iommu, const struct iommu_config *config)
{
    CHECK(config->memory != NULL);
    CHECK(config->variant != NULL);
    iommu->config = *config;
    for (unsigned i = 0; i < IOMMU_DEVICES; i++) iommu->devices[i].valid = false;
    iotlb_set_up(&iommu->iotlb, &config->geometry);
    walk_cache_set_up(&iommu->walk_cache, config->geometry.walk_cache_entries);
    iommu->queue_head = 0;
    iommu->queued = 0;
    iommu->stats = (struct iommu_stats){ 0 };
}

static void check_table(const struct iommu_table *table)
{
    CHECK(table->walker != NULL);
    CHECK(is_aligned(table->root, SHIFT_4K));
    CHECK(table->top_level <= table->walker->format->top_level_max);
    CHECK(table->va_bits >= 1 && table->va_bits <= 64);
}

void iommu_set_device(struct iommu *iommu, unsigned device, const struct iommu_dte *dte)
{
    CHECK(device < IOMMU_DEVICES);
    if (dte->valid) {
        check_table(&dte->s2);
        if (dte->has_s1) check_table(&dte->s1);
    }
    iommu->devices[device] = *dte;
}

const struct iommu_dte *iommu_device(const struct iommu *iommu, unsigned device)
{
    CHECK(device < IOMMU_DEVICES);
    return &iommu->devices[device];
}

void iommu_set_root(struct iommu *iommu, uint16_t domain_id, bool s1, uint64_t root, unsigned top_level)
{
    for (unsigned i = 0; i < IOMMU_DEVICES; i++) {
        struct iommu_dte *dte = &iommu->devices[i];
        struct iommu_table *table = s1 ? &dte->s1 : &dte->s2;

        if (!dte->valid || dte->domain_id != domain_id || (s1 && !dte->has_s1)) continue;
        table->root = root;
        table->top_level = top_level;
        check_table(table);
    }
}

bool iommu_evict(struct iommu *iommu, unsigned device, iova_t address, uint32_t pasid)
{
    const struct iommu_dte *dte = iommu_device(iommu, device);
    unsigned dropped;

    if (!dte->valid) return false;
    dropped = iotlb_evict(&iommu->iotlb, iotlb_tag(dte->domain_id, dte->has_s1, pasid), address.value);
    iommu->stats.evictions += dropped;
    return dropped > 0;
}

void iommu_drop_caches(struct iommu *iommu)
{
    iotlb_drop_all(&iommu->iotlb);
    walk_cache_drop_all(&iommu->walk_cache);
}

void iommu_rmp_changed(struct iommu *iommu, hpa_t page, uint64_t length)
{
    CHECK(length > 0);
    if (iommu->config.switches.invalidate_on_rmpupdate) {
        iotlb_drop_hpa(&iommu->iotlb, page.value, page.value + length - 1);
    }
}

const struct iommu_stats *iommu_stats(const struct iommu *iommu)
{
    return &iommu->stats;
}

void iommu_occupancy(const struct iommu *iommu, uint64_t *entries, uint64_t *reach_bytes)
{
    *entries = 0;
    *reach_bytes = 0;
    for (unsigned size = 0; size < IOTLB_SIZES; size++) {
        *entries += iommu->iotlb.count[size];
        *reach_bytes += iommu->iotlb.count[size] << iotlb_shift(size);
    }
}
