#include "iommu/walk_cache.h"

#include "base/fault.h"

#include <stdlib.h>

enum { NO_SLOT = 0xffff };

void walk_cache_set_up(struct walk_cache *cache, unsigned size)
{
    CHECK(size < NO_SLOT);
    if (size > cache->capacity) {
        free(cache->entries);
        cache->entries = calloc(size, sizeof(*cache->entries));
        CHECK(cache->entries != NULL);
        cache->capacity = size;
    }
    cache->size = size;
    walk_cache_drop_all(cache);
}

void walk_cache_free(struct walk_cache *cache)
{
    free(cache->entries);
    *cache = (struct walk_cache){ 0 };
}

void walk_cache_drop_all(struct walk_cache *cache)
{
    cache->count = 0;
    cache->newest = NO_SLOT;
    cache->oldest = NO_SLOT;
}

static void take_out(struct walk_cache *cache, const struct walk_cache_entry *entry)
{
    if (entry->newer == NO_SLOT) {
        cache->newest = entry->older;
    } else {
        cache->entries[entry->newer].older = entry->older;
    }
    if (entry->older == NO_SLOT) {
        cache->oldest = entry->newer;
    } else {
        cache->entries[entry->older].newer = entry->newer;
    }
}

static void put_newest(struct walk_cache *cache, uint16_t slot)
{
    struct walk_cache_entry *entry = &cache->entries[slot];

    entry->newer = NO_SLOT;
    entry->older = cache->newest;
    if (cache->newest == NO_SLOT) {
        cache->oldest = slot;
    } else {
        cache->entries[cache->newest].newer = slot;
    }
    cache->newest = slot;
}

static void put_oldest(struct walk_cache *cache, uint16_t slot)
{
    struct walk_cache_entry *entry = &cache->entries[slot];

    entry->older = NO_SLOT;
    entry->newer = cache->oldest;
    if (cache->oldest == NO_SLOT) {
        cache->newest = slot;
    } else {
        cache->entries[cache->oldest].older = slot;
    }
    cache->oldest = slot;
}

const struct walk_start *walk_cache_lookup(struct walk_cache *cache, iotlb_tag_t tag, uint64_t input)
{
    struct walk_cache_entry *deepest = NULL;

    for (unsigned slot = 0; slot < cache->count; slot++) {
        struct walk_cache_entry *entry = &cache->entries[slot];

        if (entry->page != input >> entry->shift || entry->tag != tag || !entry->is_live) continue;
        if (!deepest || entry->shift < deepest->shift) deepest = entry;
    }
    if (!deepest) return NULL;
    take_out(cache, deepest);
    put_newest(cache, (uint16_t)(deepest - cache->entries));
    return &deepest->item;
}

/* A slot for one more item: an unused one, or the one at the old end of the list. */
static struct walk_cache_entry *place(struct walk_cache *cache)
{
    uint16_t slot = cache->oldest;

    if (cache->count < cache->size && (slot == NO_SLOT || cache->entries[slot].is_live)) {
        slot = (uint16_t)cache->count++;
    } else {
        take_out(cache, &cache->entries[slot]);
    }
    put_newest(cache, slot);
    return &cache->entries[slot];
}

void walk_cache_keep(struct walk_cache *cache, iotlb_tag_t tag, const struct iommu_table *table,
                     const struct walk *walk)
{
    if (cache->size == 0) return;
    if (walk->restarted) walk_cache_invalidate(cache, tag, walk->input, walk->input); /* something kept was stale */
    if (walk->leaf.fault != IOMMU_NO_FAULT) return;
    for (unsigned i = 0; i < walk->leaf.reads && walk->path[i].level > 0; i++) {
        const unsigned shift = walk_item_shift(table->walker->format, walk->path[i].level);
        struct walk_cache_entry *entry = place(cache);

        entry->tag = tag;
        entry->shift = (uint8_t)shift;
        entry->page = walk->input >> shift;
        entry->item = walk->path[i];
        entry->is_live = true;
    }
}

void walk_cache_invalidate(struct walk_cache *cache, iotlb_tag_t tag, uint64_t first, uint64_t last)
{
    for (unsigned slot = 0; slot < cache->count; slot++) {
        struct walk_cache_entry *entry = &cache->entries[slot];

        if (!entry->is_live || entry->tag != tag) continue;
        if (entry->page < first >> entry->shift || entry->page > last >> entry->shift) continue;
        if (FAULT(IOTLB_KEEPS_WALK_CACHE)) {
            fault_triggered();
            continue;
        }
        entry->is_live = false;
        take_out(cache, entry);
        put_oldest(cache, (uint16_t)slot);
    }
}
