/* The list of pieces that a map_list stands for. See op.h. */
#include "script/op.h"

#include "base/bits.h"
#include "base/check.h"

/* splitmix64 (Steele et al., 2014): the same on every machine, and no state. */
static uint64_t draw(uint64_t seed, unsigned number)
{
    uint64_t z = (seed << 8 | number) * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* `va`: where the piece will be mapped. */
static void vary(struct op_piece *piece, const struct op_piece *before, uint64_t drawn, uint64_t va)
{
    static const uint8_t times[] = { 1, 1, 1, 1, 2, 3, 4, 8 };

    piece->length *= times[drawn & 7];
    switch (drawn >> 3 & 3) {
    case 0: piece->target = before->target + before->length; break;
    case 1: piece->target = align_down(piece->target, SHIFT_2M) | (va & low_mask(SHIFT_2M)); break;
    default: break;
    }
}

static void change_last(enum op_last last, struct op_piece *piece, uint64_t first_target)
{
    switch (last) {
    case LAST_ALIKE: break;
    case LAST_FIRST: piece->target = first_target; break;
    case LAST_HALF: piece->length /= 2; break;
    case LAST_EMPTY: piece->length = 0; break;
    case LAST_ODD: piece->target += 0x100; break;
    case LAST_RAGGED: piece->length += 0x100; break;
    case LAST_BEYOND: piece->target = bit(63); break;
    case LAST_ENDLESS: piece->length = -bit(SHIFT_2M); break;
    }
}

unsigned op_pieces(const struct op *op, struct op_piece pieces[OP_PIECES_MAX])
{
    const unsigned count = (unsigned)op_get(op, FIELD_PIECES);
    const uint64_t length = op_get(op, FIELD_PIECE), mix = op_get(op, FIELD_MIX);
    const uint64_t stride =
        op_get(op, FIELD_ORDER) == ORDER_DOWN ? -op_get(op, FIELD_STRIDE) : op_get(op, FIELD_STRIDE);
    uint64_t va = op_get(op, FIELD_INPUT);

    CHECK(count <= OP_PIECES_MAX);
    for (unsigned i = 0; i < count; i++) {
        pieces[i] = (struct op_piece){ op_get(op, FIELD_HPA) + i * stride, length };
        if (i > 0 && mix) vary(&pieces[i], &pieces[i - 1], draw(mix, i), va);
        va += pieces[i].length;
    }
    if (count > 0) change_last((enum op_last)op_get(op, FIELD_LAST), &pieces[count - 1], pieces[0].target);
    return count;
}
