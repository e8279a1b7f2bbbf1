/*
 * What ops mean to tables of all formats at once (fuzz_formats.c): addresses and lengths in units that every format
 * has.
 */
#pragma once

#include "base/bits.h"
#include "pt/pt.h"
#include "script/script.h"

#include <errno.h>
#include <stdint.h>

enum {
    UNIT_SHIFT = 16, /* the largest granule */
    INPUT_BITS = 38,
    OUTPUT_BITS = 44,
};

struct live {
    uint64_t input, target, length;
    unsigned prot;
};

static inline uint64_t input_of(uint64_t value)
{
    return align_down(value & low_mask(INPUT_BITS), UNIT_SHIFT);
}

/* Where both addresses agree modulo 2M or 1G, large leaves keep long maps cheap. */
static inline struct live span_of(const struct op *op)
{
    struct live span = { .input = input_of(op_get(op, FIELD_INPUT)),
                         .target = align_down(op_get(op, FIELD_HPA) & low_mask(OUTPUT_BITS - 1), UNIT_SHIFT),
                         .length = align_down(op_get(op, FIELD_LENGTH), UNIT_SHIFT),
                         .prot = (unsigned)op_get(op, FIELD_PROT) };
    const unsigned agree = trailing_zeros(span.input ^ span.target);
    const uint64_t most = agree >= SHIFT_1G ? bit(32) : agree >= SHIFT_2M ? bit(26) : bit(22);

    span.length = min_u64(min_u64(span.length, most), bit(INPUT_BITS) - span.input);
    if (span.length == 0) span.length = bit(UNIT_SHIFT);
    return span;
}

/* What a map_list comes to: pieces for the engine, and the maps that are live when it is done. */
struct list {
    struct pt_piece pieces[OP_PIECES_MAX];
    struct live runs[OP_PIECES_MAX];
    unsigned count, run_count;
    struct live whole; /* target: of the first piece */
    int error;         /* of what its last piece is like */
};

static inline void spoil_last(enum op_last last, struct list *list)
{
    struct pt_piece *piece = &list->pieces[list->count - 1];

    switch (last) {
    case LAST_EMPTY: piece->length = 0; break;
    case LAST_ODD: piece->target.value += 0x100; break;
    case LAST_RAGGED: piece->length += 0x100; break;
    case LAST_BEYOND: piece->target.value = bit(63); break;
    default: return;
    }
    list->error = last == LAST_EMPTY ? -EINVAL : last == LAST_BEYOND ? -ERANGE : -ENXIO;
}

/* In units of 64K, none longer than 4M; what would leave the input addresses is left out. */
static inline void make_list(const struct op *op, struct list *list)
{
    const unsigned prot = (unsigned)op_get(op, FIELD_PROT);
    struct op_piece pieces[OP_PIECES_MAX];
    const unsigned count = op_pieces(op, pieces);
    uint64_t input = input_of(op_get(op, FIELD_INPUT));

    list->count = list->run_count = 0;
    list->error = 0;
    list->whole = (struct live){ .input = input, .prot = prot };
    for (unsigned i = 0; i < count; i++) {
        const uint64_t target = align_down(pieces[i].target & low_mask(OUTPUT_BITS - 1), UNIT_SHIFT);
        const uint64_t length = max_u64(align_down(min_u64(pieces[i].length, bit(22)), UNIT_SHIFT), bit(UNIT_SHIFT));
        struct live *run = list->run_count ? &list->runs[list->run_count - 1] : NULL;

        if (length > bit(INPUT_BITS) - input) break;
        list->pieces[list->count++] = (struct pt_piece){ hpa(target), length };
        if (run && run->target + run->length == target)
            run->length += length;
        else
            list->runs[list->run_count++] = (struct live){ input, target, length, prot };
        input += length;
        list->whole.length += length;
    }
    if (list->count == 0) return;
    list->whole.target = list->runs[0].target;
    spoil_last((enum op_last)op_get(op, FIELD_LAST), list);
}
