/* What a script did so far, as a sketch: enough to draw next ops that meet earlier ones. */
#include "script/script.h"

#include "base/bits.h"

void script_context_begin(struct script_context *context, const struct op *world)
{
    *context = (struct script_context){ .world = *world };
}

static void note_map(struct script_context *context, const struct op *op)
{
    struct script_live *live = &context->live[context->live_next];

    if (op_get(op, FIELD_LENGTH) == 0) return;
    *live = (struct script_live){
        .input = op_get(op, FIELD_INPUT),
        .target = op_get(op, FIELD_HPA),
        .length = op_get(op, FIELD_LENGTH),
        .domain = (uint8_t)op_get(op, FIELD_DOMAIN),
        .stage = (uint8_t)op_get(op, FIELD_STAGE),
    };
    context->live_next = (context->live_next + 1) % SCRIPT_LIVE_MAX;
    if (context->live_count < SCRIPT_LIVE_MAX) context->live_count++;
}

/* What is left of a live range without [first, end); length 0 = nothing. A hole keeps the part in front of it. */
static void take_away(struct script_live *live, uint64_t first, uint64_t length)
{
    const uint64_t offset = live->input - first; /* of the range in what goes, if it starts there */

    if (offset < length) {
        const uint64_t lost = length - offset < live->length ? length - offset : live->length;

        live->input += lost;
        live->target += lost;
        live->length -= lost;
    } else if (first - live->input < live->length) {
        live->length = first - live->input;
    }
}

static void note_unmap(struct script_context *context, const struct op *op)
{
    for (unsigned i = 0; i < context->live_count;) {
        struct script_live *live = &context->live[i];

        if (live->domain == op_get(op, FIELD_DOMAIN) && live->stage == op_get(op, FIELD_STAGE)) {
            take_away(live, op_get(op, FIELD_INPUT), op_get(op, FIELD_LENGTH));
        }
        if (live->length) {
            i++;
            continue;
        }
        *live = context->live[--context->live_count];
        context->live_next = context->live_count;
    }
    if (!op_get(op, FIELD_SYNC)) context->has_pending = true;
}

static void note_rmpupdate(struct script_context *context, const struct op *op)
{
    if (!op_get(op, FIELD_ASSIGNED)) return;
    context->pages[context->page_next].hpa = op_get(op, FIELD_HPA);
    context->pages[context->page_next].gpa = op_get(op, FIELD_GPA);
    context->pages[context->page_next].is_large = op_get(op, FIELD_SIZE) != 0;
    context->page_next = (context->page_next + 1) % SCRIPT_PAGES_MAX;
    if (context->page_count < SCRIPT_PAGES_MAX) context->page_count++;
}

void script_context_note(struct script_context *context, const struct op *op)
{
    switch (op_kind_of(op)) {
    case OP_MAP: note_map(context, op); break;
    case OP_UNMAP: note_unmap(context, op); break;
    case OP_SYNC:
    case OP_COMPLETION_WAIT: context->has_pending = false; break;
    case OP_INV_PAGES: context->has_pending = true; break;
    case OP_RMPUPDATE: note_rmpupdate(context, op); break;
    case OP_FAIL_ALLOC: context->is_limited = op_get(op, FIELD_COUNT_N) != UINT64_MAX; break;
    default: break;
    }
}
