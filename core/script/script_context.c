/* What a script did so far, as a sketch: enough to draw next ops that meet earlier ones. */
#include "script/script.h"

#include "base/bits.h"
#include "script/script_format.h"

#include <string.h>

static struct script_limits limits_of(const struct op *world)
{
    const struct script_format *format = script_format_of(world);
    const unsigned oa_bits = (unsigned)op_get(world, FIELD_OA_BITS);
    const uint64_t sizes = script_format_sizes(format, world);

    return (struct script_limits){
        .input_bits = (uint8_t)script_format_input_bits(format, world),
        .output_bits = oa_bits ? (uint8_t)oa_bits : format->oa_bits,
        .page_shift = sizes ? (uint8_t)trailing_zeros(sizes) : format->page_shift,
        .page_sizes = sizes,
        .has_rmp = strcmp(format->name, "amdv1") == 0 && op_get(world, FIELD_RMP),
        .has_s1 = op_get(world, FIELD_S1) != 0,
        .has_halves = format->has_halves || op_get(world, FIELD_SIGN_EXTEND),
        .is_upper = op_get(world, FIELD_UPPER_HALF),
        .memory = op_get(world, FIELD_MEMORY),
    };
}

void script_context_begin(struct script_context *context, const struct op *world)
{
    context->world = *world;
    context->limits = limits_of(world);
    context->live_count = context->live_next = 0;
    context->page_count = context->page_next = 0;
    context->dma_count = context->dma_next = 0;
    context->is_limited = context->has_pending = false;
}

const struct script_live *script_context_find(const struct script_context *context, const struct script_live *range)
{
    const struct script_live *first = NULL;

    for (unsigned i = 0; i < context->live_count; i++) {
        const struct script_live *live = &context->live[i];

        if (live->domain != range->domain || live->stage != range->stage) continue;
        if (live->input - range->input >= range->length && range->input - live->input >= live->length) continue;
        if (!first || live->input < first->input) first = live;
    }
    return first;
}

/* Does the engine take these arguments, as far as alignment and widths go? */
static bool fits(const struct script_limits *limits, const struct script_live *range)
{
    const uint64_t low = low_mask(limits->input_bits);
    const bool is_high = (range->input & ~low) == ~low;
    const uint64_t input = is_high && (limits->has_halves || limits->is_upper) ? range->input & low : range->input;

    if (limits->is_upper && !is_high) return false;
    if (!is_aligned(range->input | range->target | range->length, limits->page_shift)) return false;
    if (range->length == 0 || input > low || range->length - 1 > low - input) return false;
    return range->target <= low_mask(limits->output_bits) &&
           range->length - 1 <= low_mask(limits->output_bits) - range->target;
}

uint64_t script_leading_leaves(const struct script_limits *limits, const struct script_live *range, unsigned count)
{
    uint64_t done = 0;

    while (count-- > 0 && done < range->length) {
        const uint64_t left = range->length - done;
        const unsigned aligned = trailing_zeros((range->input + done) | (range->target + done));
        const unsigned shift = (unsigned)min_u64(aligned, log2_floor(left));
        const uint64_t sizes = limits->page_sizes & low_mask(shift + 1);

        if (!sizes) break;
        done += bit(log2_floor(sizes));
    }
    return done;
}

bool script_limit_map(const struct script_limits *limits, struct op *op, unsigned leaves)
{
    struct script_live range;
    uint64_t length;

    if (op_kind_of(op) != OP_MAP) return false;
    range = (struct script_live){ .input = op_get(op, FIELD_INPUT),
                                  .target = op_get(op, FIELD_HPA),
                                  .length = op_get(op, FIELD_LENGTH) };
    if (!fits(limits, &range)) return false;
    length = script_leading_leaves(limits, &range, leaves);
    if (length == 0 || length == range.length) return false;
    op_set(op, FIELD_LENGTH, length);
    return true;
}

void script_limit_resize(const struct script_context *context, struct op *op)
{
    struct script_live range;
    unsigned shift;

    if (op_kind_of(op) != OP_RESIZE) return;
    range = (struct script_live){ .input = op_get(op, FIELD_INPUT),
                                  .length = op_get(op, FIELD_LENGTH),
                                  .domain = (uint8_t)op_get(op, FIELD_DOMAIN),
                                  .stage = (uint8_t)op_get(op, FIELD_STAGE) };
    shift = (unsigned)op_get(op, FIELD_MAX);
    for (unsigned i = 0; i < context->live_count; i++) {
        const struct script_live *live = &context->live[i];

        if (live->domain != range.domain || live->stage != range.stage) continue;
        if (live->input - range.input >= range.length && range.input - live->input >= live->length) continue;
        while (shift < 63 && live->length >> shift > 2 * SCRIPT_LEAVES_MAX) shift++;
    }
    op_set(op, FIELD_MAX, shift);
}

/* A map goes as far as the first range in its way. */
static void note_map(struct script_context *context, const struct op *op)
{
    struct script_live range = {
        .input = op_get(op, FIELD_INPUT),
        .target = op_get(op, FIELD_HPA),
        .length = op_get(op, FIELD_LENGTH),
        .domain = (uint8_t)op_get(op, FIELD_DOMAIN),
        .stage = (uint8_t)op_get(op, FIELD_STAGE),
    };
    const struct script_live *obstacle;

    if (!(op_get(op, FIELD_PROT) & 3) || !fits(&context->limits, &range)) return;
    obstacle = script_context_find(context, &range);
    if (obstacle && obstacle->input <= range.input) return;
    if (obstacle) range.length = obstacle->input - range.input;
    context->live[context->live_next] = range;
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
    const struct script_live first = { .input = op_get(op, FIELD_INPUT),
                                       .length = 1,
                                       .domain = (uint8_t)op_get(op, FIELD_DOMAIN),
                                       .stage = (uint8_t)op_get(op, FIELD_STAGE) };

    if (!op_get(op, FIELD_SYNC)) context->has_pending = true;
    /* It stops at the first hole: nothing there, nothing done. */
    if (!script_context_find(context, &first)) return;
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
}

static void note_dma(struct script_context *context, const struct op *op)
{
    context->dma[context->dma_next].input = op_get(op, FIELD_INPUT);
    context->dma[context->dma_next].pasid = (uint32_t)op_get(op, FIELD_PASID);
    context->dma[context->dma_next].device = (uint8_t)op_get(op, FIELD_DEVICE);
    context->dma_next = (context->dma_next + 1) % SCRIPT_DMA_MAX;
    if (context->dma_count < SCRIPT_DMA_MAX) context->dma_count++;
}

static void note_rmpupdate(struct script_context *context, const struct op *op)
{
    if (!op_get(op, FIELD_ASSIGNED) || op_get(op, FIELD_HPA) >= context->limits.memory) return;
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
    case OP_DMA: note_dma(context, op); break;
    case OP_SYNC:
    case OP_COMPLETION_WAIT: context->has_pending = false; break;
    case OP_INV_PAGES: context->has_pending = true; break;
    case OP_RMPUPDATE: note_rmpupdate(context, op); break;
    case OP_FAIL_ALLOC: context->is_limited = op_get(op, FIELD_COUNT_N) != UINT64_MAX; break;
    default: break;
    }
}
