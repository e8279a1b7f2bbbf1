/* The state of caches and queue as a digest: iommu.h. */
#include "iommu/iommu_state.h"

static void add_entry(struct digest *set, const struct iotlb_entry *entry)
{
    struct digest digest = digest_empty();

    digest_add(&digest, entry->key);
    digest_add(&digest, entry->tag & low_mask(IOTLB_GENERATION_SHIFT)); /* the rest is the generation */
    digest_add(&digest, entry->hpa);
    digest_add(&digest, entry->gpa);
    digest_add(&digest, entry->readable | (uint64_t)entry->writable << 1 | (uint64_t)entry->serves_write << 2 |
                            (uint64_t)entry->s2_is_large << 3);
    digest_join(set, digest);
}

static struct digest digest_iotlb(const struct iotlb *iotlb)
{
    struct digest set = digest_empty();
    const size_t entries = (size_t)iotlb->sets * iotlb->ways;
    uint64_t live = iotlb->count[IOTLB_4K] + iotlb->count[IOTLB_2M] + iotlb->count[IOTLB_1G] + iotlb->count[IOTLB_2K];

    for (size_t i = 0; i < entries && live > 0; i++) {
        if (!iotlb_is_live(iotlb, &iotlb->entries[i])) continue;
        add_entry(&set, &iotlb->entries[i]);
        live--;
    }
    return set;
}

static struct digest digest_walk_cache(const struct iommu *iommu, const struct iommu_names *names)
{
    struct digest set = digest_empty();

    for (unsigned i = 0; i < iommu->walk_cache.count; i++) {
        const struct walk_cache_entry *entry = &iommu->walk_cache.entries[i];
        struct digest digest = digest_empty();

        if (!entry->is_live) continue;
        digest_add(&digest, entry->tag);
        digest_add(&digest, entry->page);
        digest_add(&digest, entry->item.level | (uint64_t)entry->shift << 8 | (uint64_t)entry->item.rights << 16);
        digest_add(&digest,
                   names->item(names->context, entry->item.item, entry->item.level, entry->tag & IOTLB_TAG_GUEST));
        digest_add(&digest, names->table(names->context, entry->item.address));
        digest_join(&set, digest);
    }
    return set;
}

struct digest iommu_digest(const struct iommu *iommu, const struct iommu_names *names)
{
    struct digest digest = digest_empty();
    const struct digest parts[] = { digest_iotlb(&iommu->iotlb), digest_walk_cache(iommu, names) };

    for (unsigned i = 0; i < 2; i++) {
        digest_add(&digest, parts[i].lane[0]);
        digest_add(&digest, parts[i].lane[1]);
    }
    for (unsigned i = 0; i < iommu->queued; i++) {
        const struct command *command = &iommu->queue[(iommu->queue_head + i) % COMMAND_QUEUE_SIZE];

        digest_add(&digest, command->is_all);
        digest_add(&digest, command->pages.domain_id | (uint64_t)command->pages.page_tables << 16 |
                                (uint64_t)command->pages.guest << 17 | (uint64_t)command->pages.pasid << 32);
        digest_add(&digest, command->pages.address);
    }
    return digest_end(digest);
}
