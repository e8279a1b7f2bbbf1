/* Bitmaps of dirty memory, a word at a time. See pt_bitmap.h. */
#include "pt/pt_bitmap.h"

#include "base/bits.h"
#include "base/check.h"

#include <errno.h>
#include <string.h>

/* How far the last byte of the window is from its first. */
static uint64_t last_offset(const struct pt_bitmap *bitmap)
{
    return (bitmap->bits - 1) << bitmap->shift | low_mask(bitmap->shift);
}

int pt_bitmap_check(const struct pt_bitmap *bitmap)
{
    const uint64_t room = UINT64_MAX - bitmap->start.value;

    if (bitmap->bits == 0 || bitmap->shift > 63) return -EINVAL;
    if (bitmap->bits - 1 > room >> bitmap->shift || last_offset(bitmap) > room) return -EOVERFLOW;
    return 0;
}

void pt_bitmap_clear(struct pt_bitmap *bitmap)
{
    memset(bitmap->words, 0, pt_bitmap_words(bitmap->bits) * sizeof(*bitmap->words));
}

/* Set bits first .. last, inclusive. */
static void set_bits(uint64_t *words, uint64_t first, uint64_t last)
{
    uint64_t *const from = words + first / 64;
    uint64_t *const to = words + last / 64;
    const uint64_t from_first = UINT64_MAX << first % 64;
    const uint64_t up_to_last = UINT64_MAX >> (63 - last % 64);

    if (from == to) {
        *from |= from_first & up_to_last;
        return;
    }
    *from |= from_first;
    memset(from + 1, 0xff, (size_t)(to - from - 1) * sizeof(*from));
    *to |= up_to_last;
}

void pt_bitmap_report(void *context, iova_t start, uint64_t length)
{
    struct pt_bitmap *bitmap = context;
    const uint64_t window = bitmap->start.value;
    const uint64_t last = start.value + (length - 1);

    CHECK(length != 0 && last >= start.value);
    if (last < window) return;
    if (start.value > window && start.value - window > last_offset(bitmap)) return;
    set_bits(bitmap->words, (max_u64(start.value, window) - window) >> bitmap->shift,
             min_u64(last - window, last_offset(bitmap)) >> bitmap->shift);
}

uint64_t pt_bitmap_count(const struct pt_bitmap *bitmap)
{
    uint64_t count = 0;

    for (uint64_t i = 0; i < pt_bitmap_words(bitmap->bits); i++)
        count += (unsigned)__builtin_popcountll(bitmap->words[i]);
    return count;
}
