/* Sorted items in blocks. See sorted.h. */
#include "oracle/sorted.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

static struct sorted_block *take_block(struct sorted *sorted)
{
    struct sorted_block *block = sorted->spares;

    if (block)
        sorted->spares = block->next_spare;
    else
        block = malloc(sizeof(*block));
    CHECK(block != NULL);
    block->count = 0;
    return block;
}

static void give_block(struct sorted *sorted, struct sorted_block *block)
{
    block->next_spare = sorted->spares;
    sorted->spares = block;
}

void sorted_reset(struct sorted *sorted)
{
    for (uint32_t i = 0; i < sorted->block_count; i++) give_block(sorted, sorted->blocks[i]);
    sorted->block_count = 0;
    sorted->count = 0;
}

void sorted_free(struct sorted *sorted)
{
    sorted_reset(sorted);
    while (sorted->spares) {
        struct sorted_block *block = sorted->spares;

        sorted->spares = block->next_spare;
        free(block);
    }
    free(sorted->blocks);
    *sorted = (struct sorted){ 0 };
}

/* Number of blocks whose first key is <= `key`. */
static uint32_t blocks_up_to(const struct sorted *sorted, uint64_t key)
{
    uint32_t low = 0;
    uint32_t high = sorted->block_count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (sorted->blocks[middle]->items[0].key <= key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Number of items of the block with a key <= `key`. */
static uint32_t items_up_to(const struct sorted_block *block, uint64_t key)
{
    uint32_t low = 0;
    uint32_t high = block->count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (block->items[middle].key <= key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool sorted_find(const struct sorted *sorted, uint64_t key, struct sorted_place *place)
{
    const uint32_t blocks = blocks_up_to(sorted, key);

    if (blocks == 0) return false;
    *place = (struct sorted_place){ blocks - 1, items_up_to(sorted->blocks[blocks - 1], key) - 1 };
    return true;
}

bool sorted_find_from(const struct sorted *sorted, uint64_t key, struct sorted_place *place)
{
    if (!sorted_find(sorted, key, place)) return sorted_first(sorted, place);
    if (sorted_at(sorted, *place)->key == key) return true;
    return sorted_next(sorted, place);
}

/* Make room for one more block at directory position `at`. */
static void open_directory(struct sorted *sorted, uint32_t at)
{
    if (sorted->block_count == sorted->block_capacity) {
        sorted->block_capacity = sorted->block_capacity ? 2 * sorted->block_capacity : 8;
        sorted->blocks = realloc(sorted->blocks, sorted->block_capacity * sizeof(*sorted->blocks));
        CHECK(sorted->blocks != NULL);
    }
    memmove(sorted->blocks + at + 1, sorted->blocks + at, (sorted->block_count - at) * sizeof(*sorted->blocks));
    sorted->block_count++;
}

/* Move the upper half of a full block into a block of its own. In ascending fills the full block stays full. */
static void split_block(struct sorted *sorted, uint32_t at, uint32_t insert_index)
{
    struct sorted_block *upper = take_block(sorted);
    struct sorted_block *lower = sorted->blocks[at];
    const uint32_t keep = insert_index == SORTED_BLOCK_ITEMS ? SORTED_BLOCK_ITEMS - 1 : SORTED_BLOCK_ITEMS / 2;

    upper->count = SORTED_BLOCK_ITEMS - keep;
    memcpy(upper->items, lower->items + keep, upper->count * sizeof(upper->items[0]));
    lower->count = keep;
    open_directory(sorted, at + 1);
    sorted->blocks[at + 1] = upper;
}

struct sorted_place sorted_insert(struct sorted *sorted, const struct sorted_item *item)
{
    struct sorted_place place;
    struct sorted_block *block;

    if (sorted->block_count == 0) {
        open_directory(sorted, 0);
        sorted->blocks[0] = take_block(sorted);
    }
    if (sorted->count && sorted_find(sorted, item->key, &place)) {
        CHECK(sorted_at(sorted, place)->key != item->key);
        place.index++;
    } else {
        place = (struct sorted_place){ 0, 0 };
    }
    if (sorted->blocks[place.block]->count == SORTED_BLOCK_ITEMS) {
        split_block(sorted, place.block, place.index);
        if (place.index > sorted->blocks[place.block]->count) {
            place.index -= sorted->blocks[place.block]->count;
            place.block++;
        }
    }
    block = sorted->blocks[place.block];
    memmove(block->items + place.index + 1, block->items + place.index,
            (block->count - place.index) * sizeof(block->items[0]));
    block->items[place.index] = *item;
    block->count++;
    sorted->count++;
    return place;
}

bool sorted_erase(struct sorted *sorted, struct sorted_place *place)
{
    struct sorted_block *block = sorted->blocks[place->block];

    sorted->count--;
    block->count--;
    memmove(block->items + place->index, block->items + place->index + 1,
            (block->count - place->index) * sizeof(block->items[0]));
    if (block->count == 0) {
        give_block(sorted, block);
        sorted->block_count--;
        memmove(sorted->blocks + place->block, sorted->blocks + place->block + 1,
                (sorted->block_count - place->block) * sizeof(*sorted->blocks));
    } else if (place->index < block->count) {
        return true;
    } else {
        place->block++;
    }
    place->index = 0;
    return place->block < sorted->block_count;
}
