/* The walkers by name, and walks for callers that bring their own memory. */
#include "iommu/walker.h"

#include <string.h>

static const struct iommu_walker *const walkers[] = {
#define X(token) &walker_##token,
    WALKER_LIST(X)
#undef X
};

const struct iommu_walker *iommu_find_walker(const char *format)
{
    for (size_t i = 0; i < sizeof(walkers) / sizeof(walkers[0]); i++) {
        if (strcmp(walkers[i]->name, format) == 0) return walkers[i];
    }
    return NULL;
}

const char *iommu_walker_name(const struct iommu_walker *walker)
{
    return walker->name;
}

uint64_t iommu_item_address(const struct iommu_table *table, uint64_t item, unsigned level)
{
    struct item_meaning meaning;

    switch (table->walker->format->decode(table, item & ~table->c_bit_mask, level, &meaning)) {
    case ITEM_TABLE:
    case ITEM_LEAF: return meaning.address;
    case ITEM_EMPTY:
    case ITEM_NOT_ACCESSED:
    case ITEM_RESERVED: break;
    }
    return 0;
}

enum walk_mark walk_exchange(const struct iommu_memory *memory, uint64_t address, uint64_t item, uint64_t desired)
{
    uint64_t found = 0;

    if (memory->cas(memory->context, address, item, desired)) return MARKED;
    if (memory->read(memory->context, address, &found) && found != item) return ITEM_CHANGED;
    return MARK_FAULTED;
}

void iommu_walk_on(const struct iommu_table *table, const struct iommu_memory *memory, uint64_t input,
                   enum iommu_access access, struct iommu_chain *chain)
{
    table->walker->look(table, memory, input, access, chain);
}

struct iommu_leaf iommu_walk(const struct iommu_table *table, const struct iommu_memory *memory, uint64_t input,
                             enum iommu_access access)
{
    struct walk walk;

    walk.input = input;
    walk.access = access;
    walk.start = NULL;
    walk_table(table, memory, &walk);
    return walk.leaf;
}

static bool read_physmem(void *context, uint64_t address, uint64_t *value)
{
    const struct physmem *const *memory = context;

    return physmem_read64(*memory, hpa(address), value);
}

struct iommu_leaf iommu_walk_physmem(const struct iommu_table *table, const struct physmem *memory, uint64_t input,
                                     enum iommu_access access)
{
    return iommu_walk(table, &(struct iommu_memory){ .read = read_physmem, .context = &memory }, input, access);
}
