/* Conversions drawn at random: pages that have an owner, or are mapped, and policies interrupted anywhere. */
#include "script/script.h"

#include "base/bits.h"
#include "script/op_table.h"
#include "script/script_draw.h"

enum { WHOLE_ONE_IN = 5, PAGES_MAX = 4, STEPS_MAX = 9, FAILS_ONE_IN = 3 };

/* A guest page, 2M aligned where the RMP page is large and `is_whole`. */
static uint64_t draw_page(struct random *random, const struct script_context *context, bool is_whole)
{
    const unsigned shift = is_whole ? SHIFT_2M : SHIFT_4K;
    uint64_t gpa = 0;

    if (context->page_count && draw_percent(random, 60)) {
        const unsigned at = (unsigned)random_below(random, context->page_count);

        gpa = context->pages[at].gpa;
        if (context->pages[at].is_large) gpa += random_below(random, bit(SHIFT_2M));
    } else if (context->live_count) {
        const struct script_live *live = &context->live[random_below(random, context->live_count)];

        gpa = live->input + random_below(random, live->length);
    }
    return align_down(gpa, shift);
}

void script_draw_convert(struct random *random, const struct script_context *context, struct op *op)
{
    bool is_whole;

    if (op_kind_of(op) == OP_STALL) {
        op_set(op, FIELD_ON, !context->is_stalled);
        return;
    }
    if (op_kind_of(op) == OP_STEP) {
        op_set(op, FIELD_STEP_N, random_one_in(random, 3) ? UINT64_MAX : 1 + random_below(random, 3));
        return;
    }
    if (op_kind_of(op) != OP_CONVERT) return;
    is_whole = random_one_in(random, WHOLE_ONE_IN);
    op_set(op, FIELD_GPA, draw_page(random, context, is_whole));
    op_set(op, FIELD_LENGTH, is_whole ? bit(SHIFT_2M) : (1 + random_below(random, PAGES_MAX)) << SHIFT_4K);
    op_set(op, FIELD_TO, random_below(random, 2));
    if (!random_one_in(random, 3)) op_set(op, FIELD_STEPS, random_below(random, STEPS_MAX));
    if (!random_one_in(random, FAILS_ONE_IN)) return;
    op_set(op, FIELD_ENGINE, random_below(random, op_field_row(FIELD_ENGINE)->max + 1));
    op_set(op, FIELD_AFTER, random_below(random, op_field_row(FIELD_AFTER)->max + 1));
}
