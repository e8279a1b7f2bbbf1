/* Lists of pieces drawn at random (map_list). */
#include "script/script.h"

#include "base/bits.h"
#include "script/script_draw.h"

enum { STRIDE_MAX_SHIFT = 31, LEAVES_FEW = 24, MANY_ONE_IN = 32, BAD_ONE_IN = 6, EMPTY_ONE_IN = 64, FIND_TRIES = 3 };

/* The range in parts that continue each other, so that its leaves span them; or the same parts the other way round. */
static void draw_parts(struct random *random, unsigned page, uint64_t length, struct op *op)
{
    const unsigned parts_shift = 1 + (unsigned)random_below(random, 4);
    const unsigned usual = random_one_in(random, 2) ? SHIFT_2M : page + 4;
    uint64_t piece, count;

    if (length < bit(page + 2)) {
        length = bit(usual);
        op_set(op, FIELD_INPUT, align_down(op_get(op, FIELD_INPUT), usual));
        op_set(op, FIELD_HPA, align_down(op_get(op, FIELD_HPA), usual));
    }
    piece = max_u64(align_down(length >> parts_shift, page), bit(page));
    count = max_u64(min_u64(length / piece, OP_PIECES_MAX), 1);

    op_set(op, FIELD_PIECES, count);
    op_set(op, FIELD_PIECE, piece);
    op_set(op, FIELD_STRIDE, min_u64(align_down(piece, SHIFT_4K), bit(STRIDE_MAX_SHIFT)));
    if (!random_one_in(random, 3)) return;
    op_set(op, FIELD_ORDER, ORDER_DOWN);
    op_set(op, FIELD_HPA, op_get(op, FIELD_HPA) + (count - 1) * op_get(op, FIELD_STRIDE));
}

/* Pieces of a few pages, here and there. */
static void draw_scattered(struct random *random, unsigned page, struct op *op)
{
    const unsigned stride_min = page > SHIFT_4K ? page : SHIFT_4K;
    const uint64_t count_max = random_one_in(random, 4) ? OP_PIECES_MAX : 10;
    const unsigned stride = stride_min + (unsigned)random_below(random, random_one_in(random, 4) ? 14 : 5);
    const unsigned size = random_one_in(random, 8) ? SHIFT_2M : page + (unsigned)random_below(random, 3);

    op_set(op, FIELD_PIECES, 1 + random_below(random, count_max));
    op_set(op, FIELD_PIECE, bit(size < page ? page : size));
    op_set(op, FIELD_STRIDE, bit(stride < STRIDE_MAX_SHIFT ? stride : STRIDE_MAX_SHIFT));
    op_set(op, FIELD_MIX, random_below(random, 256));
    /* Over the edge of a table, to pages that it lacks perhaps. */
    if (random_one_in(random, 4))
        op_set(op, FIELD_INPUT, (op_get(op, FIELD_INPUT) | low_mask(SHIFT_2M)) + 1 - (random_below(random, 8) << page));
}

/* Mostly to where nothing is in the way. */
static void find_room(struct random *random, const struct script_context *context, struct op *op)
{
    for (unsigned tries = 0; tries < FIND_TRIES && !random_one_in(random, 4); tries++) {
        struct script_live runs[OP_PIECES_MAX];
        const unsigned count = script_runs_of(op, runs);
        const struct script_live *obstacle;

        for (unsigned i = 1; i < count; i++) runs[0].length += runs[i].length;
        obstacle = count ? script_context_find(context, &runs[0]) : NULL;
        if (!obstacle) return;
        op_set(op, FIELD_INPUT, obstacle->input + obstacle->length);
    }
}

void script_draw_list(struct random *random, const struct script_context *context, uint64_t length, struct op *op)
{
    const unsigned page = context->limits.page_shift;
    const bool has_many = random_one_in(random, MANY_ONE_IN);

    if (random_one_in(random, 3))
        draw_parts(random, page, length, op);
    else
        draw_scattered(random, page, op);
    script_limit_map(&context->limits, op, has_many ? SCRIPT_LEAVES_MAX : LEAVES_FEW);
    find_room(random, context, op);
    if (random_one_in(random, BAD_ONE_IN)) op_set(op, FIELD_LAST, 1 + random_below(random, 7));
    if (random_one_in(random, EMPTY_ONE_IN)) op_set(op, FIELD_PIECES, 0);
}
