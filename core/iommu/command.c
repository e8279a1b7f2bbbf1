/* The command queue: what software asks the IOMMU to forget, and when that takes effect (rmp.md 5.1, 5.4). */
#include "base/check.h"
#include "iommu/iommu_state.h"

#define INV_SIZE      UINT64_C(1)                  /* S */
#define INV_ALL_PAGES UINT64_C(0x7ffffffffffff000) /* with S: everything */

enum { INV_LARGEST_BIT = 51 }; /* beyond: everything */

uint64_t iommu_encode_inv_address(iova_t start, uint64_t length)
{
    const uint64_t last = start.value + (length ? length - 1 : 0);
    unsigned differs;

    if (last < start.value) return INV_ALL_PAGES | INV_SIZE;
    if (start.value >> SHIFT_4K == last >> SHIFT_4K) return align_down(start.value, SHIFT_4K);

    /* The highest bit in which first and last byte differ is 0 in `start`; all bits below it become ones. */
    differs = log2_floor(start.value ^ last);
    if (differs > INV_LARGEST_BIT) return INV_ALL_PAGES | INV_SIZE;
    return align_down(start.value | low_mask(differs), SHIFT_4K) | INV_SIZE;
}

void iommu_decode_inv_address(uint64_t encoded, uint64_t *first, uint64_t *last)
{
    const uint64_t page = encoded >> SHIFT_4K;
    unsigned shift = SHIFT_4K;

    if (encoded & INV_SIZE) shift += trailing_zeros(~page) + 1;
    if (shift > 63) {
        *first = 0;
        *last = UINT64_MAX;
        return;
    }
    *first = align_down(encoded, shift);
    *last = *first + low_mask(shift);
}

static void take_effect(struct iommu *iommu, const struct command *command)
{
    const struct iommu_inv_pages *pages = &command->pages;
    struct iotlb_range range;

    iommu->stats.invalidations++;
    if (command->is_all) {
        iommu_drop_caches(iommu);
        return;
    }
    range.tag = iotlb_tag(pages->domain_id, pages->guest, pages->pasid);
    iommu_decode_inv_address(pages->address, &range.first, &range.last);
    iotlb_invalidate(&iommu->iotlb, &range);
    if (pages->page_tables || !iommu->config.switches.leaf_only_invalidation_keeps_walk_cache) {
        walk_cache_invalidate(&iommu->walk_cache, range.tag, range.first, range.last);
    }
}

static bool enqueue(struct iommu *iommu, const struct command *command)
{
    if (iommu->queued == COMMAND_QUEUE_SIZE) return false;
    iommu->queue[(iommu->queue_head + iommu->queued) % COMMAND_QUEUE_SIZE] = *command;
    iommu->queued++;
    return true;
}

bool iommu_inv_pages(struct iommu *iommu, const struct iommu_inv_pages *command)
{
    return enqueue(iommu, &(struct command){ .pages = *command });
}

bool iommu_inv_all(struct iommu *iommu)
{
    return enqueue(iommu, &(struct command){ .is_all = true });
}

bool iommu_take_one_command(struct iommu *iommu)
{
    if (iommu->queued == 0) return false;
    take_effect(iommu, &iommu->queue[iommu->queue_head]);
    iommu->queue_head = (iommu->queue_head + 1) % COMMAND_QUEUE_SIZE;
    iommu->queued--;
    return true;
}

unsigned iommu_completion_wait(struct iommu *iommu)
{
    unsigned taken = 0;

    while (iommu_take_one_command(iommu)) taken++;
    return taken;
}

unsigned iommu_queued(const struct iommu *iommu)
{
    return iommu->queued;
}
