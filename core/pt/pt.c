/* The public calls: one dispatch each, and what needs no format. */
#include "pt/pt.h"

#include "base/bits.h"
#include "base/fault.h"
#include "pt/engine.h"
#include "pt/pt_format.h"
#include "pt/pt_sync.h"

#include <errno.h>

int pt_init(struct pt *pt, const struct engine *engine, const struct pt_config *config)
{
    *pt = (struct pt){ .engine = engine };
    return engine->init(pt, config);
}

void pt_deinit(struct pt *pt)
{
    pt->engine->deinit(pt);
}

int pt_map_range(struct pt *pt, iova_t start, hpa_t target, uint64_t length, unsigned prot, uint64_t *mapped)
{
    return pt->engine->map_range(pt, start, target, length, prot, mapped);
}

int pt_map_pages(struct pt *pt, iova_t start, hpa_t target, uint64_t page_size, uint64_t count, unsigned prot,
                 uint64_t *mapped)
{
    uint64_t length;

    *mapped = 0;
    if (page_size == 0 || (page_size & (page_size - 1)) || !(page_size & pt->page_sizes)) return -ENXIO;
    if (__builtin_mul_overflow(page_size, count, &length)) return -EOVERFLOW;
    return pt->engine->map_range(pt, start, target, length, prot, mapped);
}

uint64_t pt_unmap_range(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *gather)
{
    return pt->engine->unmap_range(pt, start, length, gather);
}

int pt_map_list(struct pt *pt, iova_t start, const struct pt_list *list, unsigned prot, uint64_t *mapped)
{
    *mapped = 0;
    return pt->engine->map_list ? pt->engine->map_list(pt, start, list, prot, mapped) : -EOPNOTSUPP;
}

uint64_t pt_unmap_ranges(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *gather,
                         const struct pt_receiver *receiver)
{
    return pt->engine->unmap_ranges ? pt->engine->unmap_ranges(pt, start, length, gather, receiver) : 0;
}

void pt_gather_sync(struct pt *pt, struct pt_gather *gather)
{
    if (!pt_gather_has_range(gather) && gather->freed.count == 0) {
        if (!FAULT(PT_SYNCS_NOTHING)) return;
        fault_triggered();
    }
    if (FAULT(PT_SYNC_TELLS_NOBODY) && gather->freed.count == 0) {
        fault_triggered();
        *gather = pt_gather_empty();
        return;
    }
    if (pt->hooks && pt->hooks->sync) pt->hooks->sync(pt->context, gather->first, gather->last, gather->freed.count);
    table_pool_free_list(pt->pool, &gather->freed);
    *gather = pt_gather_empty();
}

bool pt_iova_to_phys(const struct pt *pt, iova_t address, hpa_t *result)
{
    return pt->engine->iova_to_phys(pt, address, result);
}

int pt_read_and_clear_dirty(struct pt *pt, iova_t start, uint64_t length, unsigned flags, pt_dirty_report *report,
                            void *context, struct pt_gather *gather)
{
    return pt->engine->read_and_clear_dirty(pt, start, length, flags, report, context, gather);
}

int pt_set_dirty(struct pt *pt, iova_t address)
{
    return pt->engine->set_dirty(pt, address);
}

int pt_cut(struct pt *pt, iova_t at)
{
    return pt->engine->cut ? pt->engine->cut(pt, at) : -EOPNOTSUPP;
}

int pt_resize_range(struct pt *pt, iova_t start, uint64_t length, uint64_t max_leaf)
{
    return pt->engine->resize ? pt->engine->resize(pt, start, length, max_leaf) : -EOPNOTSUPP;
}

void pt_get_info(const struct pt *pt, struct pt_info *info)
{
    pt->engine->get_info(pt, info);
}

int pt_enforce_coherence(struct pt *pt)
{
    if (!(pt->engine->features & PT_FORCE_COHERENCE)) return -EOPNOTSUPP;
    if (pt->engine->enforce_coherence) return pt->engine->enforce_coherence(pt);
    pt->features |= PT_FORCE_COHERENCE;
    return 0;
}

int pt_set_page_sizes(struct pt *pt, uint64_t mask)
{
    if ((pt->page_sizes & mask) == 0) return -EINVAL;
    if (pt->engine->set_page_sizes) return pt->engine->set_page_sizes(pt, mask);
    pt->page_sizes &= mask;
    return 0;
}

/* ---- every item, ascending --------------------------------------------------------------------------------------- */

struct item_walk {
    const struct pt *pt;
    void (*visit)(void *context, const struct pt_item *item);
    void *context;
};

static iova_t canonical(const struct pt *pt, uint64_t va)
{
    const unsigned unused = 64u - pt->va_bits;

    if (pt->features & PT_UPPER_HALF) return iova(va | ~low_mask(pt->va_bits));
    if (!(pt->features & PT_SIGN_EXTEND)) return iova(va);
    return iova((uint64_t)((int64_t)(va << unused) >> unused));
}

/* Recursion is bounded by the level. */
static void walk_table(const struct item_walk *walk, const pt_item_t *table, unsigned level, uint64_t va,
                       unsigned count)
{
    const struct pt *pt = walk->pt;
    const struct pt_geometry *geometry = &pt->engine->geometry;
    const unsigned shift = geometry->granule_shift + geometry->index_bits * level;

    for (unsigned i = 0; i < count; i++) {
        struct pt_item item = { .level = level, .raw = pt_sync_load(&table[i]) };
        struct pt_decoded decoded;

        if (i % 8 == 0 && i + 8 <= count && pt_sync_all_empty(&table[i], 8)) i += 7; /* most items of most tables */
        if (item.raw == 0) continue;
        item.va = canonical(pt, va + ((uint64_t)i << shift));
        pt->engine->decode(pt, item.raw, level, &decoded);
        item.is_table = decoded.kind == PT_TABLE;
        item.bare = item.is_table ? item.raw & ~decoded.address_bits : item.raw;
        walk->visit(walk->context, &item);
        if (item.is_table)
            walk_table(walk, table_pool_pointer(pt->pool, decoded.address), level - 1, va + ((uint64_t)i << shift),
                       1u << geometry->index_bits);
    }
}

void pt_walk_items(const struct pt *pt, void (*visit)(void *context, const struct pt_item *item), void *context)
{
    const struct item_walk walk = { pt, visit, context };
    const struct pt_geometry *geometry = &pt->engine->geometry;
    struct pt_info info;
    unsigned shift, count_shift;

    pt_get_info(pt, &info);
    shift = geometry->granule_shift + geometry->index_bits * info.top_level;
    count_shift = (unsigned)min_u64(geometry->index_bits + geometry->top_extra_bits,
                                    pt->va_bits > shift ? pt->va_bits - shift : 0);
    walk_table(&walk, table_pool_pointer(pt->pool, info.top.value), info.top_level, 0, 1u << count_shift);
}
