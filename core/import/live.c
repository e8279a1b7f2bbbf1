/*
 * Sorted ranges in chunks. A chunk that is full splits in halves, one that runs empty goes.
 */
#include "import/live.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_RANGES = 256 };

struct live_chunk {
    size_t count;
    struct live_range ranges[CHUNK_RANGES];
};

/* A range by chunk and position in it; chunk == count is behind the last one. */
struct place {
    size_t chunk, index;
};

void live_free(struct live *live)
{
    for (size_t i = 0; i < live->count; i++) free(live->chunks[i]);
    free(live->chunks);
    *live = (struct live){ 0 };
}

/* The first range whose last byte is at `address` or above. */
static struct place first_reaching(const struct live *live, uint64_t address)
{
    size_t low = 0;
    size_t high = live->count;
    struct place place;

    while (low < high) {
        const size_t middle = (low + high) / 2;
        const struct live_chunk *chunk = live->chunks[middle];

        if (chunk->ranges[chunk->count - 1].last < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    place = (struct place){ low, 0 };
    if (low == live->count) return place;
    high = live->chunks[low]->count;
    low = 0;
    while (low < high) {
        const size_t middle = (low + high) / 2;

        if (live->chunks[place.chunk]->ranges[middle].last < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    place.index = low;
    return place;
}

bool live_find(const struct live *live, uint64_t first, uint64_t last, struct live_range *range)
{
    const struct place place = first_reaching(live, first);

    if (place.chunk == live->count) return false;
    *range = live->chunks[place.chunk]->ranges[place.index];
    return range->first <= last;
}

/* Put `chunk` into the list at `position`. */
static bool insert_chunk(struct live *live, size_t position, struct live_chunk *chunk)
{
    if (live->count == live->capacity) {
        const size_t capacity = live->capacity ? 2 * live->capacity : 64;
        struct live_chunk **chunks = realloc(live->chunks, capacity * sizeof(*chunks));

        if (!chunks) return false;
        live->chunks = chunks;
        live->capacity = capacity;
    }
    memmove(live->chunks + position + 1, live->chunks + position, (live->count - position) * sizeof(*live->chunks));
    live->chunks[position] = chunk;
    live->count++;
    return true;
}

/* Give the place's chunk room for one more range. False: no memory. */
static bool make_room(struct live *live, struct place *place)
{
    struct live_chunk *upper;
    struct live_chunk *chunk;

    if (place->chunk < live->count && live->chunks[place->chunk]->count < CHUNK_RANGES) return true;
    upper = calloc(1, sizeof(*upper));
    if (!upper) return false;
    if (!insert_chunk(live, place->chunk < live->count ? place->chunk + 1 : place->chunk, upper)) {
        free(upper);
        return false;
    }
    chunk = live->chunks[place->chunk];
    if (chunk == upper) return true;
    upper->count = CHUNK_RANGES / 2;
    chunk->count = CHUNK_RANGES - upper->count;
    memcpy(upper->ranges, chunk->ranges + chunk->count, upper->count * sizeof(*upper->ranges));
    if (place->index > chunk->count) {
        place->index -= chunk->count;
        place->chunk++;
    }
    return true;
}

bool live_add(struct live *live, struct live_range range)
{
    struct place place = first_reaching(live, range.first);
    struct live_chunk *chunk;
    struct live_range next;

    CHECK(range.first <= range.last);
    CHECK(!live_find(live, range.first, range.last, &next));
    /* behind everything: at the end of the last chunk rather than in a chunk of its own */
    if (place.chunk == live->count && live->count > 0)
        place = (struct place){ live->count - 1, live->chunks[live->count - 1]->count };
    if (!make_room(live, &place)) return false;
    chunk = live->chunks[place.chunk];
    memmove(chunk->ranges + place.index + 1, chunk->ranges + place.index,
            (chunk->count - place.index) * sizeof(*chunk->ranges));
    chunk->ranges[place.index] = range;
    chunk->count++;
    live->ranges++;
    return true;
}

static void drop(struct live *live, struct place place)
{
    struct live_chunk *chunk = live->chunks[place.chunk];

    chunk->count--;
    memmove(chunk->ranges + place.index, chunk->ranges + place.index + 1,
            (chunk->count - place.index) * sizeof(*chunk->ranges));
    live->ranges--;
    if (chunk->count > 0) return;
    free(chunk);
    live->count--;
    memmove(live->chunks + place.chunk, live->chunks + place.chunk + 1,
            (live->count - place.chunk) * sizeof(*live->chunks));
}

bool live_remove(struct live *live, uint64_t first, uint64_t last)
{
    const struct place place = first_reaching(live, first);
    struct live_range *range;
    struct live_range upper;

    CHECK(place.chunk < live->count);
    range = &live->chunks[place.chunk]->ranges[place.index];
    CHECK(range->first <= first);
    CHECK(last <= range->last);
    upper = (struct live_range){ last + 1, range->last };
    if (range->first == first && range->last == last) {
        drop(live, place);
    } else if (range->first == first) {
        range->first = last + 1;
    } else {
        const bool has_upper = range->last != last;

        range->last = first - 1;
        if (has_upper) return live_add(live, upper);
    }
    return true;
}
