/*
 * ladder.c as a plugin: what stands between a driver's engine and pt_plugin.h. Each function says what differs. The
 * steps are those of README.md in this folder.
 *
 *     cc -std=gnu11 -O2 -g -fPIC -shared -I core core/pt/plugins/ladder*.c -o ladder.so
 *
 * It has no cut, resize, lists, dirtiness: what needs them is n/a.
 */
#include "ladder.h"

PER_THREAD const struct ptp_host *ladder_host;
PER_THREAD unsigned ladder_locks_held;

/* Linux's numbers. The driver's -EEXIST is -EADDRINUSE here. */
enum {
    W_ENXIO = 6,
    W_ENOMEM = 12,
    W_EINVAL = 22,
    W_ERANGE = 34,
    W_EOVERFLOW = 75,
    W_EOPNOTSUPP = 95,
    W_EADDRINUSE = 98
};

enum { GAW_MAX = 57, OA_MAX = 52 };

#define FEATURES (PTP_FLUSH_RANGE | PTP_FORCE_COHERENCE | PTP_FORCE_WRITEABLE | PTP_DMA_INCOHERENT)

struct ptp_table {
    const struct ptp_host *host;
    struct ladder_domain *domain;
    unsigned va_bits, oa_bits;
    uint32_t features;
    uint64_t page_sizes;
};

static uint64_t below(unsigned bits)
{
    return bits >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << bits) - 1;
}

/* ---- errno and order of checks: the driver trusts its caller, the contract does not ------------------------------ */

static int errno_of(int ret)
{
    return ret == -EEXIST_ ? -W_EADDRINUSE : ret;
}

static int check_map(const struct ptp_table *table, const struct ptp_map *map)
{
    const uint64_t last = map->iova + map->length - 1;

    if (!(map->prot & (PTP_READ | PTP_WRITE))) return -W_EINVAL;
    if (map->pa > below(table->oa_bits)) return -W_ERANGE;
    if (table->features & PTP_FORCE_WRITEABLE && !(map->prot & PTP_WRITE)) return -W_EINVAL;
    if (map->length == 0) return -W_EINVAL;
    if (last < map->iova) return -W_EOVERFLOW;
    if ((map->iova | map->pa | map->length) & ((table->page_sizes & -table->page_sizes) - 1)) return -W_ENXIO;
    if (map->length - 1 > below(table->oa_bits) - map->pa) return -W_ERANGE;
    return last > below(table->va_bits) ? -W_ERANGE : 0;
}

/* Steps 1 to 3, then 5 to 7, of create; a fixed top has no step 4 but to forget that it might grow. */
static int check_config(struct ptp_table *table, const struct ptp_config *config)
{
    const unsigned item_bits = 12 + 9 * config->top_level;

    if (config->va_bits == 0 || config->va_bits > GAW_MAX || config->oa_bits == 0) return -W_EINVAL;
    if (config->top_level < 2 || config->top_level > 4) return -W_EOPNOTSUPP;
    if (config->oa_bits > OA_MAX) return -W_EINVAL;
    if (config->top_level == 4 || config->va_bits <= item_bits + 9) table->features &= ~(uint32_t)PTP_DYNAMIC_TOP;
    if (table->features & ~(uint32_t)FEATURES) return -W_EOPNOTSUPP;
    if (config->top_level != 4 && config->va_bits > item_bits + 9) return -W_EOPNOTSUPP;
    if (table->features & PTP_DMA_INCOHERENT && !config->host->flush) return -W_EINVAL;
    return config->va_bits < item_bits || !table->page_sizes ? -W_EINVAL : 0;
}

/* ---- gather: the driver collects, the host is told at the end of the call: range first, tables behind it --------- */

static void hand_over(const struct ptp_table *table, struct iommu_iotlb_gather *from, struct ptp_gather *gather)
{
    if (from->start <= from->end) table->host->gather_add(gather, from->start, from->end);
    for (size_t i = 0; i < from->page_count; i++) table->host->gather_free_table(gather, from->pages[i], 0);
    free(from->pages);
    iommu_iotlb_gather_init(from);
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

static int wrap_create(const struct ptp_config *config, struct ptp_table **result)
{
    struct ptp_table *table = calloc(1, sizeof(*table));
    unsigned flags = 0;
    int error;

    if (!table) return -W_ENOMEM;
    table->host = ladder_host = config->host;
    table->va_bits = config->va_bits;
    table->oa_bits = config->oa_bits;
    table->features = config->features;
    table->page_sizes = (1u << 12 | 1u << 21 | 1u << 30) & below(config->oa_bits);
    if (config->page_sizes) table->page_sizes &= config->page_sizes;
    error = check_config(table, config);
    if (table->features & PTP_FORCE_COHERENCE) flags |= LADDER_SNOOP;
    if (table->features & PTP_DMA_INCOHERENT) flags |= LADDER_NONCOHER;
    if (!error) {
        table->domain = ladder_domain_alloc((int)config->top_level + 1, config->va_bits, flags);
        if (!table->domain) error = -W_ENOMEM;
    }
    if (error) {
        free(table);
        return error;
    }
    *result = table;
    return 0;
}

static void wrap_destroy(struct ptp_table *table)
{
    ladder_host = table->host;
    ladder_domain_free(table->domain);
    free(table);
}

static void wrap_get_info(const struct ptp_table *table, struct ptp_info *info)
{
    info->page_sizes = table->page_sizes;
    info->first = 0;
    info->last = below(table->va_bits);
    info->features = table->features;
    info->flags = 0;
    info->va_bits = table->va_bits;
    info->oa_bits = table->oa_bits;
}

/* The driver counts levels from 1. */
static void wrap_top(const struct ptp_table *table, uint64_t *pa, unsigned *level)
{
    *pa = ptp_pa(table->host, table->domain->pgd);
    *level = (unsigned)table->domain->levels - 1;
}

/*
 * What a kernel's IOMMU core does between its callers and a driver: the largest page that fits here, and how many of
 * them until a larger one fits.
 */
static struct ladder_request next_pages(const struct ptp_table *table, const struct ptp_map *rest)
{
    const uint64_t both = rest->iova | rest->pa;
    uint64_t fitting = table->page_sizes & below(64 - (unsigned)__builtin_clzll(rest->length));
    uint64_t larger, size, length = rest->length;

    if (both) fitting &= (both & -both) | ((both & -both) - 1);
    size = (uint64_t)1 << (63 - __builtin_clzll(fitting));
    larger = table->page_sizes & ~(size | (size - 1));
    if (larger && ((rest->iova ^ rest->pa) & ((larger & -larger) - 1)) == 0) {
        const uint64_t step = larger & -larger;
        const uint64_t until = step - (rest->iova & (step - 1));

        if (length >= until && length - until >= step) length = until;
    }
    return (struct ladder_request){ rest->iova, size, rest->pa, length / size, (int)rest->prot, GFP_ATOMIC };
}

static int wrap_map(struct ptp_table *table, const struct ptp_map *map, struct ptp_gather *gather, uint64_t *mapped)
{
    struct iommu_iotlb_gather ours;
    struct ptp_map rest = *map;
    int error = check_map(table, map);

    ladder_host = table->host;
    iommu_iotlb_gather_init(&ours);
    *mapped = 0;
    while (!error && rest.length > 0) {
        const struct ladder_request request = next_pages(table, &rest);
        size_t done = 0; /* the driver adds to it */

        error = errno_of(ladder_map_pages(table->domain, &request, &ours, &done));
        rest.iova += done;
        rest.pa += done;
        rest.length -= done;
        *mapped += done;
    }
    hand_over(table, &ours, gather);
    return error;
}

/* The pages from iova on, until the range ends or the first hole: where the last one starts, and where it ends. */
static uint64_t find_end(const struct ptp_table *table, const struct ptp_unmap *unmap, uint64_t *last_start)
{
    const uint64_t last = unmap->iova + unmap->length - 1;
    uint64_t at = unmap->iova;

    while (at <= last && at <= below(table->va_bits)) {
        uint64_t size;

        if (!ladder_lookup(table->domain, at, &size) || at & (size - 1)) break;
        *last_start = at;
        at += size;
    }
    return at;
}

/*
 * The driver removes all that lies in a range and frees the tables that the range covers; the contract stops at a hole,
 * takes a page that the range cuts as a whole, and frees by what was asked. So look first, and let a last page that
 * sticks out go by itself: it covers no table.
 */
static uint64_t wrap_unmap(struct ptp_table *table, const struct ptp_unmap *unmap, struct ptp_gather *gather)
{
    const uint64_t last = unmap->iova + unmap->length - 1;
    struct iommu_iotlb_gather ours;
    uint64_t end, body, last_start;

    if (unmap->length == 0 || last < unmap->iova || last > below(table->va_bits)) return 0;
    ladder_host = table->host;
    last_start = unmap->iova;
    end = find_end(table, unmap, &last_start);
    if (end == unmap->iova) return 0;
    body = end - 1 > last ? last_start : end;
    iommu_iotlb_gather_init(&ours);
    if (body > unmap->iova) ladder_unmap(table->domain, unmap->iova, body - unmap->iova, &ours);
    if (end > body) ladder_unmap(table->domain, body, end - body, &ours);
    hand_over(table, &ours, gather);
    return end - unmap->iova;
}

/* The driver's own answer cannot tell address 0 from nothing. */
static int wrap_iova_to_phys(const struct ptp_table *table, uint64_t iova, uint64_t *pa)
{
    uint64_t size;

    ladder_host = table->host;
    if (iova > below(table->va_bits) || !ladder_lookup(table->domain, iova, &size)) return 0;
    *pa = ladder_iova_to_phys(table->domain, iova);
    return 1;
}

PTP_EXPORT const struct ptp_plugin *ptp_plugin_table(void)
{
    static const char *const formats[] = { "vtdss", NULL };
    static const struct ptp_plugin plugin = {
        .struct_size = sizeof(plugin),
        .abi = PTP_ABI,
        .name = "ladder",
        .version = "1",
        .formats = formats,
        .create = wrap_create,
        .destroy = wrap_destroy,
        .get_info = wrap_get_info,
        .top = wrap_top,
        .map_range = wrap_map,
        .unmap_range = wrap_unmap,
        .iova_to_phys = wrap_iova_to_phys,
    };

    return &plugin;
}
