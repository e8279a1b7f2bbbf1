/*
 * An engine in another idiom than ours, to be wrapped (ladder_wrap.c): a recursive table of VT-d's second stage as a
 * driver of a kernel would have it. A spinlock around the whole tree, GFP flags, phys_to_virt, WARN_ON, errnos and a
 * gather of its own, pages of one size per call, an unmap that does not stop at holes. Nothing in this file knows
 * mapproof; it is left as its author wrote it, and the wrapper adapts.
 *
 * Bits: Intel VT-d specification 3.7 and 9.8.
 */
#include "ladder.h"

#define PTE_READ  ((u64)1 << 0)
#define PTE_WRITE ((u64)1 << 1)
#define PTE_SUPER ((u64)1 << 7)
#define PTE_CLEAN ((u64)1 << 10) /* software: a table entry that was written back */
#define PTE_SNP   ((u64)1 << 11)
#define PTE_PHYS  ((u64)0x000ffffffffff000)

enum { PTRS = 512, PAGE_SIZE = 4096, SUPER_LEVEL_MAX = 3 };

/* Levels count from 1, the table of 4K pages, as the manual does. */
static u64 level_size(int level)
{
    return (u64)PAGE_SIZE << (9 * (level - 1));
}

static unsigned slot_of(u64 iova, int level)
{
    return (unsigned)(iova / level_size(level) % PTRS);
}

static bool pte_is_table(u64 pte, int level)
{
    return pte && level > 1 && (level > SUPER_LEVEL_MAX || !(pte & PTE_SUPER));
}

static u64 *pte_table(u64 pte)
{
    return phys_to_virt(pte & PTE_PHYS);
}

static void write_back(const struct ladder_domain *domain, const u64 *pte, size_t count)
{
    if (domain->flags & LADDER_NONCOHER && count > 0) clflush_cache_range(pte, count * sizeof(*pte));
}

static void set_pte(const struct ladder_domain *domain, u64 *pte, u64 value)
{
    lockdep_assert_held(&domain->lock);
    WRITE_ONCE(*pte, value);
}

/* ---- map --------------------------------------------------------------------------------------------------------- */

static u64 *descend(struct ladder_domain *domain, u64 *pte, gfp_t gfp)
{
    u64 *table;

    if (*pte) return pte_table(*pte);
    table = iommu_alloc_page(gfp, PAGE_SIZE);
    if (!table) return NULL;
    write_back(domain, table, PTRS);
    set_pte(domain, pte, virt_to_phys(table) | PTE_READ | PTE_WRITE);
    write_back(domain, pte, 1);
    if (domain->flags & LADDER_NONCOHER) set_pte(domain, pte, *pte | PTE_CLEAN);
    return table;
}

static bool subtree_is_empty(const u64 *table, int level)
{
    for (unsigned i = 0; i < PTRS; i++) {
        if (!table[i]) continue;
        if (!pte_is_table(table[i], level) || !subtree_is_empty(pte_table(table[i]), level - 1)) return false;
    }
    return true;
}

static void free_subtree(struct ladder_domain *domain, u64 *table, int level, struct iommu_iotlb_gather *gather)
{
    for (unsigned i = 0; level > 1 && i < PTRS; i++) {
        if (pte_is_table(table[i], level)) free_subtree(domain, pte_table(table[i]), level - 1, gather);
    }
    iommu_pages_list_add(gather, table);
}

/* Something is where a page shall go. Only tables that map nothing may be moved. */
static int make_room(struct ladder_domain *domain, u64 *pte, int level, struct iommu_iotlb_gather *gather)
{
    const u64 old = *pte;

    if (!pte_is_table(old, level) || !subtree_is_empty(pte_table(old), level - 1)) return -EEXIST_;
    set_pte(domain, pte, 0);
    write_back(domain, pte, 1);
    free_subtree(domain, pte_table(old), level - 1, gather);
    return 0;
}

/* What is left to map, shared by the recursion. */
struct ladder_walk {
    struct ladder_domain *domain;
    struct ladder_request rest;
    struct iommu_iotlb_gather *gather;
};

static int map_leaves(struct ladder_walk *walk, u64 *table, int level)
{
    struct ladder_request *rest = &walk->rest;
    const unsigned first = slot_of(rest->iova, level);
    const u64 bits = (rest->prot & IOMMU_READ ? PTE_READ : 0) | (rest->prot & IOMMU_WRITE ? PTE_WRITE : 0) |
                     (walk->domain->flags & LADDER_SNOOP ? PTE_SNP : 0) | (level > 1 ? PTE_SUPER : 0);
    unsigned slot = first;
    int ret = 0;

    for (; slot < PTRS && rest->count > 0; slot++) {
        if (table[slot]) {
            const u64 start = rest->iova;

            ret = make_room(walk->domain, &table[slot], level, walk->gather);
            if (ret) break;
            iommu_iotlb_gather_add_range(walk->gather, start, rest->size);
        }
        set_pte(walk->domain, &table[slot], rest->phys | bits);
        rest->iova += rest->size;
        rest->phys += rest->size;
        rest->count--;
    }
    write_back(walk->domain, &table[first], slot - first);
    return ret;
}

static int map_level(struct ladder_walk *walk, u64 *table, int level)
{
    if (level_size(level) == walk->rest.size) return map_leaves(walk, table, level);
    for (unsigned slot = slot_of(walk->rest.iova, level); slot < PTRS && walk->rest.count > 0; slot++) {
        u64 *below;
        int ret;

        if (table[slot] && !pte_is_table(table[slot], level)) return -EEXIST_;
        below = descend(walk->domain, &table[slot], walk->rest.gfp);
        if (!below) return -ENOMEM_;
        ret = map_level(walk, below, level - 1);
        if (ret) return ret;
    }
    return 0;
}

int ladder_map_pages(struct ladder_domain *domain, const struct ladder_request *request,
                     struct iommu_iotlb_gather *gather, size_t *mapped)
{
    struct ladder_walk walk = { domain, *request, gather };
    int ret;

    if (WARN_ON((request->iova | request->phys) & (request->size - 1))) return -EINVAL_;
    spin_lock(&domain->lock);
    ret = map_level(&walk, domain->pgd, domain->levels);
    spin_unlock(&domain->lock);
    *mapped += (request->count - walk.rest.count) * request->size;
    return ret;
}

/* ---- unmap ------------------------------------------------------------------------------------------------------- */

/* The part of a table that lies in [start, last]. `base` is the first address that the table maps. */
struct ladder_span {
    u64 base, start, last;
    struct iommu_iotlb_gather *gather;
};

static size_t clear_level(struct ladder_domain *domain, u64 *table, int level, const struct ladder_span *span)
{
    const u64 size = level_size(level);
    const unsigned first = span->start > span->base ? (unsigned)((span->start - span->base) / size) : 0;
    size_t unmapped = 0;
    unsigned slot = first;

    for (; slot < PTRS && span->base + slot * size <= span->last; slot++) {
        const u64 base = span->base + slot * size;
        const bool is_covered = base >= span->start && base + size - 1 <= span->last;
        const u64 pte = table[slot];

        if (pte_is_table(pte, level)) {
            const struct ladder_span below = { base, span->start, span->last, span->gather };

            unmapped += clear_level(domain, pte_table(pte), level - 1, &below);
            if (is_covered) iommu_pages_list_add(span->gather, pte_table(pte));
        } else if (pte && is_covered) {
            unmapped += size;
        }
        if (pte && is_covered) set_pte(domain, &table[slot], 0);
    }
    write_back(domain, &table[first], slot - first);
    return unmapped;
}

size_t ladder_unmap(struct ladder_domain *domain, u64 iova, size_t size, struct iommu_iotlb_gather *gather)
{
    const struct ladder_span span = { 0, iova, iova + size - 1, gather };
    size_t unmapped;

    spin_lock(&domain->lock);
    unmapped = clear_level(domain, domain->pgd, domain->levels, &span);
    spin_unlock(&domain->lock);
    if (unmapped) iommu_iotlb_gather_add_range(gather, iova, size);
    return unmapped;
}

/* ---- lookup and life --------------------------------------------------------------------------------------------- */

u64 *ladder_lookup(const struct ladder_domain *domain, u64 iova, u64 *size)
{
    u64 *table = domain->pgd;

    for (int level = domain->levels;; level--) {
        u64 *pte = &table[slot_of(iova, level)];
        const u64 value = READ_ONCE(*pte);

        *size = level_size(level);
        if (!value) return NULL;
        if (!pte_is_table(value, level)) return pte;
        table = pte_table(value);
    }
}

phys_addr_t ladder_iova_to_phys(const struct ladder_domain *domain, u64 iova)
{
    u64 size;
    const u64 *pte = ladder_lookup(domain, iova, &size);

    return pte ? (READ_ONCE(*pte) & PTE_PHYS & ~(size - 1)) | (iova & (size - 1)) : 0;
}

struct ladder_domain *ladder_domain_alloc(int levels, unsigned gaw, unsigned flags)
{
    struct ladder_domain *domain = calloc(1, sizeof(*domain));

    if (!domain) return NULL;
    domain->levels = levels;
    domain->gaw = gaw;
    domain->flags = flags;
    domain->pgd = iommu_alloc_page(GFP_KERNEL, PAGE_SIZE);
    if (!domain->pgd) {
        free(domain);
        return NULL;
    }
    write_back(domain, domain->pgd, PTRS);
    return domain;
}

static void free_tables(u64 *table, int level)
{
    for (unsigned i = 0; level > 1 && i < PTRS; i++) {
        if (pte_is_table(table[i], level)) free_tables(pte_table(table[i]), level - 1);
    }
    iommu_free_page(table);
}

void ladder_domain_free(struct ladder_domain *domain)
{
    free_tables(domain->pgd, domain->levels);
    free(domain);
}
