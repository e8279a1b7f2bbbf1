#include "iommu/iotlb.h"

#include "base/check.h"
#include "base/fault.h"

#include <stdlib.h>
#include <string.h>

#define GENERATION_MAX low_mask(24)
#define PASID_MASK     (UINT64_C(0xfffff) << 16)
#define DOMAIN_MASK    UINT64_C(0xffff)

void iotlb_set_up(struct iotlb *iotlb, const struct iommu_geometry *geometry)
{
    const size_t wanted = (size_t)geometry->sets * geometry->ways;

    CHECK(geometry->sets > 0 && (geometry->sets & (geometry->sets - 1)) == 0);
    CHECK(geometry->ways > 0);
    if (wanted > iotlb->capacity) {
        free(iotlb->entries);
        iotlb->entries = calloc(wanted, sizeof(*iotlb->entries));
        CHECK(iotlb->entries != NULL);
        iotlb->capacity = wanted;
    }
    iotlb->sets = geometry->sets;
    iotlb->ways = geometry->ways;
    iotlb_drop_all(iotlb);
}

void iotlb_free(struct iotlb *iotlb)
{
    free(iotlb->entries);
    *iotlb = (struct iotlb){ 0 };
}

void iotlb_drop_all(struct iotlb *iotlb)
{
    /* Generation 0 belongs to memory that was never written. */
    if (iotlb->generation == GENERATION_MAX) {
        memset(iotlb->entries, 0, iotlb->capacity * sizeof(*iotlb->entries));
        iotlb->generation = 0;
    }
    iotlb->generation++;
    iotlb->clock = 0;
    memset(iotlb->count, 0, sizeof(iotlb->count));
    iotlb->guest_count = 0;
}

static inline uint64_t full_tag(const struct iotlb *iotlb, iotlb_tag_t tag)
{
    if (FAULT(IOTLB_TAG_WITHOUT_PRIVATE) && (tag & IOTLB_TAG_PRIVATE)) {
        fault_triggered();
        tag &= ~IOTLB_TAG_PRIVATE;
    }
    return tag | iotlb->generation << IOTLB_GENERATION_SHIFT;
}

/* First entry of the set of a key. */
static inline struct iotlb_entry *set_of(const struct iotlb *iotlb, uint64_t input, enum iotlb_size size)
{
    const size_t set = (input >> iotlb_shift(size)) & (iotlb->sets - 1);

    return &iotlb->entries[set * iotlb->ways];
}

static inline uint64_t key_of(uint64_t input, enum iotlb_size size)
{
    return align_down(input, iotlb_shift(size)) | size;
}

static inline bool serves(const struct iotlb_entry *entry, enum iommu_access access)
{
    if (access != IOMMU_WRITE) return entry->readable;
    if (FAULT(IOTLB_WRITE_SKIPS_DIRTY) && entry->writable && !entry->serves_write) {
        fault_triggered();
        return true;
    }
    return entry->serves_write;
}

struct iotlb_entry *iotlb_lookup(struct iotlb *iotlb, iotlb_tag_t tag, uint64_t input, enum iommu_access access)
{
    const uint64_t wanted_tag = full_tag(iotlb, tag);

    for (unsigned size = 0; size < IOTLB_SIZES; size++) {
        struct iotlb_entry *entry = set_of(iotlb, input, size);
        const struct iotlb_entry *end = entry + iotlb->ways;
        const uint64_t key = key_of(input, size);

        if (iotlb->count[size] == 0) continue;
        for (; entry < end; entry++) {
            if (entry->key != key || entry->tag != wanted_tag) continue;
            if (!serves(entry, access)) break;
            entry->used = ++iotlb->clock;
            return entry;
        }
    }
    return NULL;
}

static void drop(struct iotlb *iotlb, struct iotlb_entry *entry)
{
    iotlb->count[iotlb_entry_size(entry)]--;
    if (entry->tag & IOTLB_TAG_GUEST) iotlb->guest_count--;
    entry->tag = 0;
}

struct iotlb_entry *iotlb_place(struct iotlb *iotlb, iotlb_tag_t tag, uint64_t input, enum iotlb_size size,
                                bool *evicted)
{
    const uint64_t key = key_of(input, size);
    const uint64_t wanted_tag = full_tag(iotlb, tag);
    struct iotlb_entry *entry = set_of(iotlb, input, size);
    const struct iotlb_entry *end = entry + iotlb->ways;
    struct iotlb_entry *victim = entry;

    *evicted = false;
    for (; entry < end; entry++) {
        if (entry->key == key && entry->tag == wanted_tag) {
            entry->used = ++iotlb->clock;
            return entry;
        }
        if (!iotlb_is_live(iotlb, victim)) continue;
        if (!iotlb_is_live(iotlb, entry) || entry->used < victim->used) victim = entry;
    }
    if (iotlb_is_live(iotlb, victim)) {
        *evicted = true;
        drop(iotlb, victim);
    }
    victim->key = key;
    victim->tag = wanted_tag;
    victim->used = ++iotlb->clock;
    iotlb->count[size]++;
    if (tag & IOTLB_TAG_GUEST) iotlb->guest_count++;
    return victim;
}

static bool meets(uint64_t base, enum iotlb_size size, uint64_t first, uint64_t last)
{
    return base <= last && base + low_mask(iotlb_shift(size)) >= first;
}

static bool is_named(const struct iotlb_entry *entry, const struct iotlb_range *range)
{
    const bool is_guest = entry->tag & IOTLB_TAG_GUEST;
    const bool by_input = !is_guest || (range->tag & IOTLB_TAG_GUEST);
    uint64_t base = by_input ? iotlb_entry_input(entry) : entry->gpa;

    if ((entry->tag ^ range->tag) & DOMAIN_MASK) return false;
    if (FAULT(IOTLB_GUEST_BY_INPUT) && !by_input) {
        fault_triggered();
        base = iotlb_entry_input(entry);
    }
    if ((range->tag & IOTLB_TAG_GUEST) && (!is_guest || ((entry->tag ^ range->tag) & PASID_MASK))) return false;
    if (!meets(base, iotlb_entry_size(entry), range->first, range->last)) return false;
    if (FAULT(IOTLB_KEEPS_OVERLAPPING) && base < range->first) {
        fault_triggered();
        return false;
    }
    return true;
}

static void invalidate_entries(struct iotlb *iotlb, const struct iotlb_range *range, struct iotlb_entry *entry,
                               size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (iotlb_is_live(iotlb, &entry[i]) && is_named(&entry[i], range)) drop(iotlb, &entry[i]);
    }
}

void iotlb_invalidate(struct iotlb *iotlb, const struct iotlb_range *range)
{
    /* Guest entries are filed by their input: a range of gpas may be anywhere. */
    const bool is_anywhere = iotlb->guest_count > 0 && !(range->tag & IOTLB_TAG_GUEST);

    for (unsigned size = 0; size < IOTLB_SIZES; size++) {
        const uint64_t pages = (range->last >> iotlb_shift(size)) - (range->first >> iotlb_shift(size)) + 1;

        if (iotlb->count[size] == 0 && !is_anywhere) continue;
        if (is_anywhere || pages >= iotlb->sets) {
            invalidate_entries(iotlb, range, iotlb->entries, (size_t)iotlb->sets * iotlb->ways);
            return;
        }
        for (uint64_t i = 0; i < pages; i++) {
            const uint64_t input = range->first + (i << iotlb_shift(size));

            invalidate_entries(iotlb, range, set_of(iotlb, input, size), iotlb->ways);
        }
    }
}

unsigned iotlb_evict(struct iotlb *iotlb, iotlb_tag_t tag, uint64_t input)
{
    unsigned dropped = 0;

    for (unsigned size = 0; size < IOTLB_SIZES; size++) {
        struct iotlb_entry *entry = set_of(iotlb, input, size);

        for (unsigned way = 0; way < iotlb->ways; way++) {
            if (entry[way].key != key_of(input, size)) continue;
            if ((entry[way].tag & ~IOTLB_TAG_PRIVATE) != full_tag(iotlb, tag & ~IOTLB_TAG_PRIVATE)) continue;
            drop(iotlb, &entry[way]);
            dropped++;
        }
    }
    return dropped;
}

void iotlb_drop_hpa(struct iotlb *iotlb, uint64_t first, uint64_t last)
{
    const size_t count = (size_t)iotlb->sets * iotlb->ways;

    for (size_t i = 0; i < count; i++) {
        struct iotlb_entry *entry = &iotlb->entries[i];

        if (iotlb_is_live(iotlb, entry) && meets(entry->hpa, iotlb_entry_size(entry), first, last)) drop(iotlb, entry);
    }
}
