/*
 * The walk cache: items of level 1 and up as a walk read them, tables and large leaves alike ("PDE cache"; its counter
 * also covers 2M and 1G leaves, rmp.md 5.3). A later walk starts at the deepest one that covers its input. Fully
 * associative, least recently used goes first; an item stays until an invalidation with PDE = 1 covers it, however
 * memory has changed since. Reset costs O(1).
 */
#pragma once

#include "iommu/iotlb.h"
#include "iommu/walker.h"

struct walk_cache_entry {
    iotlb_tag_t tag; /* of the table: host tables by domain, guest tables by domain and pasid */
    uint64_t page;   /* input >> shift */
    struct walk_start item;
    uint16_t newer, older; /* list by last use; slot numbers */
    uint8_t shift;         /* input bits of one item of that level */
    bool is_live;
};

struct walk_cache {
    struct walk_cache_entry *entries;
    unsigned capacity; /* entries allocated */
    unsigned size;     /* entries that may be used */
    unsigned count;    /* entries in use so far: [0, count); those that are not live are reused first */
    uint16_t newest, oldest;
};

/* Empty, `size` entries (0 .. 65534; 0 = no cache). `cache` is zeroed or was set up before. */
void walk_cache_set_up(struct walk_cache *cache, unsigned size);
void walk_cache_free(struct walk_cache *cache);
void walk_cache_drop_all(struct walk_cache *cache);

/* The deepest item kept for `input` under `tag`; NULL = none. Marks it used. O(entries). */
const struct walk_start *walk_cache_lookup(struct walk_cache *cache, iotlb_tag_t tag, uint64_t input);

/* Keep what a successful walk fetched at level 1 and up. */
void walk_cache_keep(struct walk_cache *cache, iotlb_tag_t tag, const struct iommu_table *table,
                     const struct walk *walk);

/* Drop items of `tag`'s tables that cover a byte of [first, last]. */
void walk_cache_invalidate(struct walk_cache *cache, iotlb_tag_t tag, uint64_t first, uint64_t last);
