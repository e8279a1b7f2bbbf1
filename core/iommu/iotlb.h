/*
 * The IOTLB: finished translations with their size, set-associative, least recently used goes first.
 *
 * Sizes live side by side: 4K, 2M and 1G, and 2K where the granule of the tables is that small. A lookup asks each size
 * that is present, small before large (2K last), in the set that the input's page number of that size selects. What is
 * in here is what a device gets, right or stale: only invalidations, evictions and fills remove entries. Reset and drop
 * are O(1) by a generation in the tag.
 *
 * Tag: domain, pasid and "guest" for translations through S1, private or shared (rmp.md 5.2). The ASID is not part of
 * it.
 */
#pragma once

#include "base/bits.h"
#include "iommu/iommu.h"

enum iotlb_size { IOTLB_4K, IOTLB_2M, IOTLB_1G, IOTLB_2K, IOTLB_SIZES };

/* 12, 21, 30; 11. */
static inline unsigned iotlb_shift(enum iotlb_size size)
{
    return size == IOTLB_2K ? SHIFT_2K : SHIFT_4K + 9 * (unsigned)size;
}

/* Who the translation is for: domain 15:0, pasid 35:16, guest 36, private 37. */
typedef uint64_t iotlb_tag_t;

#define IOTLB_TAG_GUEST   (UINT64_C(1) << 36)
#define IOTLB_TAG_PRIVATE (UINT64_C(1) << 37)

static inline iotlb_tag_t iotlb_tag(uint16_t domain_id, bool is_guest, uint32_t pasid)
{
    return domain_id | (is_guest ? IOTLB_TAG_GUEST | (uint64_t)(pasid & 0xfffff) << 16 : 0);
}

struct iotlb_entry {
    uint64_t key;            /* input base | size */
    uint64_t tag;            /* iotlb_tag_t, generation in 63:40 */
    uint64_t used;           /* clock of the last use */
    uint64_t hpa;            /* base */
    uint64_t gpa;            /* base, S2's input; equals the input without S1 */
    bool readable, writable; /* of the translation */
    bool serves_write;       /* writable, and no dirty bit is left to be set */
    bool s2_is_large;        /* class of the S2 leaf, for recheck_on_hit */
};

struct iotlb {
    struct iotlb_entry *entries; /* sets * ways */
    size_t capacity;             /* entries allocated */
    unsigned sets, ways;
    uint64_t clock;
    uint64_t generation;
    uint64_t count[IOTLB_SIZES]; /* live entries */
    uint64_t guest_count;        /* live entries through S1 */
};

/* Empty, with this geometry. `iotlb` is zeroed or was set up before. CHECKs that sets is a power of two and ways > 0.
 */
void iotlb_set_up(struct iotlb *iotlb, const struct iommu_geometry *geometry);
void iotlb_free(struct iotlb *iotlb);

/* Every entry goes. O(1). */
void iotlb_drop_all(struct iotlb *iotlb);

/* The smallest entry that covers `input` and may serve the access; NULL = miss. Marks it used. */
struct iotlb_entry *iotlb_lookup(struct iotlb *iotlb, iotlb_tag_t tag, uint64_t input, enum iommu_access access);

/* A place for the translation of `input` at `size`, key and tag set: the entry of the same key and tag, or a free one,
 * or the least recently used of its set, which is lost (*evicted). The caller fills in the rest. */
struct iotlb_entry *iotlb_place(struct iotlb *iotlb, iotlb_tag_t tag, uint64_t input, enum iotlb_size size,
                                bool *evicted);

/* What an invalidation names: entries of the tag's domain that meet [first, last]. */
struct iotlb_range {
    iotlb_tag_t tag; /* with IOTLB_TAG_GUEST: inputs of guest entries of this pasid. Without: host entries' inputs and
                      * guest entries' gpas. PRIVATE is ignored. */
    uint64_t first, last;
};

void iotlb_invalidate(struct iotlb *iotlb, const struct iotlb_range *range);

/* Drop entries of the tag (PRIVATE ignored) that cover `input`. Returns how many. */
unsigned iotlb_evict(struct iotlb *iotlb, iotlb_tag_t tag, uint64_t input);

/* Drop entries that lead into [first, last] of host memory. O(entries). */
void iotlb_drop_hpa(struct iotlb *iotlb, uint64_t first, uint64_t last);

enum { IOTLB_GENERATION_SHIFT = 40 };

/* Was the entry placed since the last drop_all, and not removed? */
static inline bool iotlb_is_live(const struct iotlb *iotlb, const struct iotlb_entry *entry)
{
    return entry->tag >> IOTLB_GENERATION_SHIFT == iotlb->generation;
}

static inline enum iotlb_size iotlb_entry_size(const struct iotlb_entry *entry)
{
    return (enum iotlb_size)(entry->key & 3);
}

static inline uint64_t iotlb_entry_input(const struct iotlb_entry *entry)
{
    return entry->key & ~UINT64_C(3);
}
