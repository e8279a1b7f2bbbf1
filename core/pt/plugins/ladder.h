/* The engine of ladder.c, as a driver would offer it. */
#pragma once

#include "ladder_kernel.h"

#define LADDER_SNOOP    (1u << 0) /* flag of a domain: leaves demand snooping */
#define LADDER_NONCOHER (1u << 1) /* the walker does not snoop: write back by hand */

#define IOMMU_READ  (1 << 0)
#define IOMMU_WRITE (1 << 1)

struct ladder_domain {
    spinlock_t lock; /* protects everything below pgd; lookups take none */
    u64 *pgd;
    int levels; /* 3..5 */
    unsigned gaw;
    unsigned flags;
};

struct ladder_domain *ladder_domain_alloc(int levels, unsigned gaw, unsigned flags);
void ladder_domain_free(struct ladder_domain *domain);

/*
 * Map `count` pages of `size`; *mapped grows by what was mapped. -EEXIST: something is there already. Tables without
 * leaves in the way of a large page go to `gather`.
 */
struct ladder_request {
    u64 iova, size;
    phys_addr_t phys;
    size_t count;
    int prot;
    gfp_t gfp;
};
int ladder_map_pages(struct ladder_domain *domain, const struct ladder_request *request,
                     struct iommu_iotlb_gather *gather, size_t *mapped);

/* Remove every page of [iova, iova + size), whole pages only; holes do not matter. Returns the bytes that were there.
 */
size_t ladder_unmap(struct ladder_domain *domain, u64 iova, size_t size, struct iommu_iotlb_gather *gather);

/* The entry that maps iova, and the size of its page; NULL: nothing is mapped there. */
u64 *ladder_lookup(const struct ladder_domain *domain, u64 iova, u64 *size);

phys_addr_t ladder_iova_to_phys(const struct ladder_domain *domain, u64 iova); /* 0: nothing, or address 0 */
