/*
 * A bitmap of dirty memory: what pt_read_and_clear_dirty finds, in pieces of a size that the reader chooses (Linux:
 * iova_bitmap, what iommufd's IOMMU_HWPT_GET_DIRTY_BITMAP fills).
 *
 * It shows a window of bits * 2^shift bytes. Bit n stands for [start + n * 2^shift, + 2^shift) and is bit n % 64 of
 * words[n / 64]. A report sets every bit of which it holds a byte, and no other:
 *   - a piece smaller than the leaf: all bits of the leaf, as hardware does not say which part was written;
 *   - a piece larger than the leaf: the bit is set although only part of the piece was reported;
 *   - what lies outside the window is dropped. A read that cleans has cleaned it all the same (see pt.h): a window that
 *     does not start and end between leaves loses what the leaves at its edges hold outside it.
 * Bits are set and never cleared, so several reads may go into one bitmap.
 */
#pragma once

#include "base/addr.h"

#include <stdbool.h>
#include <stdint.h>

struct pt_bitmap {
    uint64_t *words; /* the caller's, pt_bitmap_words(bits) of them */
    iova_t start;    /* of bit 0; need not be aligned */
    uint64_t bits;
    unsigned shift; /* log2 of the bytes that a bit stands for, 0..63 */
};

/* Words that `bits` bits take. No overflow. */
static inline uint64_t pt_bitmap_words(uint64_t bits)
{
    return bits / 64 + (bits % 64 != 0);
}

/*
 * May this window be? 0; -EINVAL: no bits, or a shift above 63; -EOVERFLOW: it does not end at 2^64 or before. Sign
 * extended addresses are what they are, 64 bits: a window may end with the last byte, and none crosses it.
 */
int pt_bitmap_check(const struct pt_bitmap *bitmap);

/* Clear all bits. Cost: one store per word. */
void pt_bitmap_clear(struct pt_bitmap *bitmap);

/*
 * A pt_dirty_report; `bitmap` is a struct pt_bitmap that pt_bitmap_check allows. `length` is not 0 and the report does
 * not cross 2^64. Cost: one store per word that it touches, so 4096 for a 1G leaf in pieces of 4K.
 */
void pt_bitmap_report(void *bitmap, iova_t start, uint64_t length);

/* Is bit n set? n < bits. */
static inline bool pt_bitmap_has(const struct pt_bitmap *bitmap, uint64_t n)
{
    return bitmap->words[n / 64] >> n % 64 & 1;
}

/* How many bits are set. Bits of the last word beyond the window are not, unless the caller set them. Cost: words. */
uint64_t pt_bitmap_count(const struct pt_bitmap *bitmap);
