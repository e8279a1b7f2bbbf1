/* What an IOTLB may hold. See fills.h. */
#include "oracle/fills.h"

#include "base/bits.h"

/*
 * key = first input byte | who:
 *   63     11   10       9     8 7   6                 0
 *  |  input  |domain|private|size|number of the pasid |   (0 without S1)
 *
 * word[0] = hpa | class and rights in bits 3:0, word[1] = gpa.
 */
enum {
    KEY_SIZE_SHIFT = 7,
    KEY_PRIVATE = 1 << 9,
    KEY_DOMAIN = 1 << 10,
    KEY_PASID_MASK = 0x7f,
    WORD_READABLE = 1,
    WORD_WRITABLE = 2,
    WORD_LARGE = 4,
    WORD_SERVES_WRITE = 8,
    PASID_UNKNOWN = 0x7f,
};

/* 4K, 2M, 1G, 2K. */
static unsigned size_code(unsigned shift)
{
    return shift == SHIFT_2K ? 3 : (shift - SHIFT_4K) / 9;
}

static unsigned shift_of_key(uint64_t key)
{
    const unsigned code = key >> KEY_SIZE_SHIFT & 3;

    return code == 3 ? SHIFT_2K : SHIFT_4K + 9 * code;
}

static uint64_t base_of_key(uint64_t key)
{
    return align_down(key, SHIFT_2K);
}

void fills_reset(struct fills *fills)
{
    sorted_reset(&fills->host);
    sorted_reset(&fills->guest);
    fills->pasid_count = 0;
    fills->overflowed = false;
}

void fills_free(struct fills *fills)
{
    sorted_free(&fills->host);
    sorted_free(&fills->guest);
}

/* The short number of a pasid, from 1 on; PASID_UNKNOWN where it has none. */
static unsigned pasid_number(const struct fills *fills, uint32_t pasid)
{
    for (unsigned i = 0; i < fills->pasid_count; i++) {
        if (fills->pasids[i] == pasid) return i + 1;
    }
    return PASID_UNKNOWN;
}

static uint64_t key_of(const struct fills *fills, const struct fill_tag *tag, uint64_t input, unsigned shift)
{
    return input | (tag->domain ? KEY_DOMAIN : 0) | (tag->is_private ? KEY_PRIVATE : 0) |
           (uint64_t)size_code(shift) << KEY_SIZE_SHIFT | (tag->has_s1 ? pasid_number(fills, tag->pasid) : 0);
}

void fills_add(struct fills *fills, const struct fill_tag *tag, const struct fill *fill)
{
    struct sorted *set = tag->has_s1 ? &fills->guest : &fills->host;
    struct sorted_place place;
    struct sorted_item item = {
        0,
        { fill->hpa | (fill->readable ? WORD_READABLE : 0) | (fill->writable ? WORD_WRITABLE : 0) |
              (fill->s2_is_large ? WORD_LARGE : 0) | (fill->serves_write ? WORD_SERVES_WRITE : 0),
          fill->gpa, 0 },
    };

    if (tag->has_s1 && pasid_number(fills, tag->pasid) == PASID_UNKNOWN) {
        if (fills->pasid_count == FILLS_PASIDS) {
            fills->overflowed = true;
            return;
        }
        fills->pasids[fills->pasid_count++] = tag->pasid;
    }
    item.key = key_of(fills, tag, fill->input, fill->shift);
    if (sorted_find(set, item.key, &place) && sorted_at(set, place)->key == item.key)
        *sorted_at(set, place) = item;
    else
        sorted_insert(set, &item);
}

bool fills_find(const struct fills *fills, const struct fill_tag *tag, uint64_t input, unsigned shift,
                struct fill *fill)
{
    const struct sorted *set = tag->has_s1 ? &fills->guest : &fills->host;
    const uint64_t key = key_of(fills, tag, input, shift);
    struct sorted_place place;
    const struct sorted_item *item;

    if (!sorted_find(set, key, &place)) return false;
    item = sorted_at(set, place);
    if (item->key != key) return false;
    *fill = (struct fill){
        .input = base_of_key(item->key),
        .gpa = item->word[1],
        .hpa = align_down(item->word[0], SHIFT_2K),
        .shift = shift,
        .s2_is_large = item->word[0] & WORD_LARGE,
        .readable = item->word[0] & WORD_READABLE,
        .writable = item->word[0] & WORD_WRITABLE,
        .serves_write = item->word[0] & WORD_SERVES_WRITE,
    };
    return true;
}

static bool meets(uint64_t base, unsigned shift, uint64_t first, uint64_t last)
{
    return base <= last && base + low_mask(shift) >= first;
}

static bool is_of_domain(const struct fills_range *range, uint64_t key)
{
    return !!(key & KEY_DOMAIN) == (range->domain != 0);
}

/* Does the range name the entry at `key`, as far as the tag goes? */
static bool names(const struct fills *fills, const struct fills_range *range, uint64_t key)
{
    if (!is_of_domain(range, key)) return false;
    return !range->is_guest || (key & KEY_PASID_MASK) == pasid_number(fills, range->pasid);
}

/* Drop entries of `set` whose input starts in [from, last] and meets the range. */
static void drop_inputs(const struct fills *fills, struct sorted *set, const struct fills_range *range, uint64_t from,
                        uint64_t last)
{
    struct sorted_place place;
    bool more = sorted_find_from(set, from, &place);

    while (more) {
        const uint64_t key = sorted_at(set, place)->key;

        if (base_of_key(key) > last) return;
        if (names(fills, range, key) && meets(base_of_key(key), shift_of_key(key), range->first, range->last))
            more = sorted_erase(set, &place);
        else
            more = sorted_next(set, &place);
    }
}

/* An entry that meets [first, last] starts in it, or at the 1G, 2M or 4K boundary before it. */
static void drop_by_input(const struct fills *fills, struct sorted *set, const struct fills_range *range)
{
    const uint64_t first = range->first;

    if (set->count == 0) return;
    drop_inputs(fills, set, range, align_down(first, SHIFT_1G), align_down(first, SHIFT_1G));
    drop_inputs(fills, set, range, align_down(first, SHIFT_2M), align_down(first, SHIFT_2M));
    drop_inputs(fills, set, range, align_down(first, SHIFT_4K), range->last);
}

static void drop_guest_by_gpa(struct fills *fills, const struct fills_range *range)
{
    struct sorted_place place;
    bool more = sorted_first(&fills->guest, &place);

    while (more) {
        const struct sorted_item *item = sorted_at(&fills->guest, place);

        if (names(fills, range, item->key) && meets(item->word[1], shift_of_key(item->key), range->first, range->last))
            more = sorted_erase(&fills->guest, &place);
        else
            more = sorted_next(&fills->guest, &place);
    }
}

void fills_invalidate(struct fills *fills, const struct fills_range *range)
{
    if (range->is_guest) {
        drop_by_input(fills, &fills->guest, range);
        return;
    }
    drop_by_input(fills, &fills->host, range);
    drop_guest_by_gpa(fills, range);
}

/* An entry of `set` whose input starts in [from, last] and meets the range. */
static bool any_input(const struct sorted *set, const struct fills_range *range, uint64_t from, uint64_t last,
                      uint64_t *input)
{
    struct sorted_place place;

    for (bool more = sorted_find_from(set, from, &place); more; more = sorted_next(set, &place)) {
        const uint64_t key = sorted_at(set, place)->key;

        *input = base_of_key(key);
        if (*input > last) return false;
        if (is_of_domain(range, key) && meets(*input, shift_of_key(key), range->first, range->last)) return true;
    }
    return false;
}

static bool any_guest_gpa(const struct fills *fills, const struct fills_range *range, uint64_t *input)
{
    struct sorted_place place;

    for (bool more = sorted_first(&fills->guest, &place); more; more = sorted_next(&fills->guest, &place)) {
        const struct sorted_item *item = sorted_at(&fills->guest, place);

        *input = base_of_key(item->key);
        if (is_of_domain(range, item->key) && meets(item->word[1], shift_of_key(item->key), range->first, range->last))
            return true;
    }
    return false;
}

bool fills_any(const struct fills *fills, const struct fills_range *range, uint64_t *input)
{
    const struct sorted *set = range->is_guest ? &fills->guest : &fills->host;
    const uint64_t first = range->first;

    if (set->count > 0 && (any_input(set, range, align_down(first, SHIFT_1G), align_down(first, SHIFT_1G), input) ||
                           any_input(set, range, align_down(first, SHIFT_2M), align_down(first, SHIFT_2M), input) ||
                           any_input(set, range, align_down(first, SHIFT_4K), range->last, input)))
        return true;
    return !range->is_guest && any_guest_gpa(fills, range, input);
}

static void drop_by_hpa(struct sorted *set, uint64_t first, uint64_t last)
{
    struct sorted_place place;
    bool more = sorted_first(set, &place);

    while (more) {
        const struct sorted_item *item = sorted_at(set, place);

        if (meets(align_down(item->word[0], SHIFT_2K), shift_of_key(item->key), first, last))
            more = sorted_erase(set, &place);
        else
            more = sorted_next(set, &place);
    }
}

void fills_invalidate_hpa(struct fills *fills, uint64_t first, uint64_t last)
{
    drop_by_hpa(&fills->host, first, last);
    drop_by_hpa(&fills->guest, first, last);
}
