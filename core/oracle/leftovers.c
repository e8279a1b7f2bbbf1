/* Leaves that a walk cache may remember. See leftovers.h. */
#include "oracle/leftovers.h"

#include "base/bits.h"
#include "oracle/oracle_internal.h"

void leftovers_reset(struct leftovers *leftovers, const struct oracle_format *format)
{
    leftovers->format = format;
    leftovers->count = 0;
    leftovers->overflowed = false;
}

void leftovers_add(struct leftovers *leftovers, const struct oracle_run *run)
{
    if (run->shift < oracle_item_shift(leftovers->format, 1)) return;
    if (leftovers->count == LEFTOVERS_MAX) {
        leftovers->overflowed = true;
        return;
    }
    leftovers->runs[leftovers->count++] = *run;
}

/* A piece of a run, item-aligned: only its translation matters, so it may start inside a leaf. */
static struct oracle_run piece_of(const struct oracle_run *run, uint64_t start, uint64_t length)
{
    struct oracle_run piece = *run;

    piece.start = start;
    piece.target += start - run->start;
    piece.length = length;
    return piece;
}

void leftovers_invalidate(struct leftovers *leftovers, uint64_t first, uint64_t last)
{
    const unsigned count = leftovers->count;
    unsigned kept = 0;
    struct oracle_run rest[LEFTOVERS_MAX];
    unsigned rest_count = 0;

    if (first == 0 && last == UINT64_MAX) leftovers->overflowed = false;
    for (unsigned i = 0; i < count; i++) {
        const struct oracle_run run = leftovers->runs[i];
        const uint64_t run_last = oracle_run_last(&run);
        const unsigned item_shift = oracle_item_shift_of_leaf(leftovers->format, run.shift);
        uint64_t gone_first, gone_last; /* a contiguous leaf has several items, each cached by itself */

        if (first > run_last || last < run.start) {
            leftovers->runs[kept++] = run;
            continue;
        }
        gone_first = align_down(max_u64(first, run.start), item_shift);
        gone_last = min_u64(last, run_last) | low_mask(item_shift);
        if (gone_first > run.start) leftovers->runs[kept++] = piece_of(&run, run.start, gone_first - run.start);
        if (gone_last < run_last) rest[rest_count++] = piece_of(&run, gone_last + 1, run_last - gone_last);
    }
    leftovers->count = kept;
    for (unsigned i = 0; i < rest_count; i++) leftovers_add(leftovers, &rest[i]);
}

bool leftovers_next(const struct leftovers *leftovers, uint64_t address, unsigned *index, struct oracle_leaf *leaf)
{
    while (*index < leftovers->count) {
        const struct oracle_run *run = &leftovers->runs[(*index)++];
        const uint64_t offset = address - run->start;

        if (offset >= run->length) continue;
        *leaf = (struct oracle_leaf){ address, run->target + offset, run->shift, run->prot, run->dirty };
        return true;
    }
    return false;
}
