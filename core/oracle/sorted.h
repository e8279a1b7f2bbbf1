/*
 * A sorted array in blocks: items of four words ordered by their first. The oracle keeps everything in these: runs of
 * leaves by address, owned pages by address, IOTLB fills by input address.
 *
 * Blocks keep it from being quadratic: an insert moves at most one block (SORTED_BLOCK_ITEMS items), a search is a
 * binary search over block starts and one inside the block. Reset costs O(blocks) and keeps the memory.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { SORTED_BLOCK_ITEMS = 64 };

struct sorted_item {
    uint64_t key;
    uint64_t word[3];
};

struct sorted_block {
    uint32_t count; /* 1 .. SORTED_BLOCK_ITEMS while in use */
    struct sorted_block *next_spare;
    struct sorted_item items[SORTED_BLOCK_ITEMS];
};

/* All zero is an empty one. */
struct sorted {
    struct sorted_block **blocks; /* in order, none empty */
    uint32_t block_count;
    uint32_t block_capacity;
    struct sorted_block *spares;
    uint64_t count;
};

/* Where an item is. Insert and erase make every other place invalid. */
struct sorted_place {
    uint32_t block;
    uint32_t index;
};

void sorted_reset(struct sorted *sorted);
void sorted_free(struct sorted *sorted);

/* The last item with key <= `key`. False: none. */
bool sorted_find(const struct sorted *sorted, uint64_t key, struct sorted_place *place);

/* The first item with key >= `key`. False: none. */
bool sorted_find_from(const struct sorted *sorted, uint64_t key, struct sorted_place *place);

/* Add an item; no item has its key (CHECKed). Returns where it went. */
struct sorted_place sorted_insert(struct sorted *sorted, const struct sorted_item *item);

/* Remove the item at `place`. True: `place` is the item that followed; false: there is none. */
bool sorted_erase(struct sorted *sorted, struct sorted_place *place);

static inline struct sorted_item *sorted_at(const struct sorted *sorted, struct sorted_place place)
{
    return &sorted->blocks[place.block]->items[place.index];
}

/* Step to the next item. False: `place` was the last one. */
static inline bool sorted_next(const struct sorted *sorted, struct sorted_place *place)
{
    if (place->index + 1 < sorted->blocks[place->block]->count) {
        place->index++;
        return true;
    }
    if (place->block + 1 >= sorted->block_count) return false;
    *place = (struct sorted_place){ place->block + 1, 0 };
    return true;
}

/* The first item. False: empty. */
static inline bool sorted_first(const struct sorted *sorted, struct sorted_place *place)
{
    *place = (struct sorted_place){ 0, 0 };
    return sorted->count != 0;
}
