/* Leaves that a walk cache may remember. See leftovers.h. */
#include "oracle/leftovers.h"

#include "base/bits.h"
#include "oracle/oracle_internal.h"

void leftovers_reset(struct leftovers *leftovers)
{
    leftovers->count = 0;
    leftovers->overflowed = false;
}

void leftovers_add(struct leftovers *leftovers, const struct oracle_run *run)
{
    if (run->shift < SHIFT_2M) return;
    if (leftovers->count == LEFTOVERS_MAX) {
        leftovers->overflowed = true;
        return;
    }
    leftovers->runs[leftovers->count++] = *run;
}

/* Size of one item at the level of a leaf: a contiguous leaf has several, each cached by itself. */
static unsigned item_shift(const struct oracle_run *run)
{
    return run->shift - (run->shift - ORACLE_GRANULE_SHIFT) % ORACLE_INDEX_BITS;
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
        uint64_t gone_first, gone_last;

        if (first > run_last || last < run.start) {
            leftovers->runs[kept++] = run;
            continue;
        }
        gone_first = align_down(max_u64(first, run.start), item_shift(&run));
        gone_last = min_u64(last, run_last) | low_mask(item_shift(&run));
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
