/* What a script did so far, as a sketch: enough to draw next ops that meet earlier ones. */
#include "script/script.h"

#include "base/bits.h"
#include "script/script_format.h"

#include <string.h>

enum { RUNS_NOTED = 2 };

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
    context->is_limited = context->is_stalled = context->has_pending = false;
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

unsigned script_runs_of(const struct op *op, struct script_live runs[OP_PIECES_MAX])
{
    const bool is_list = op_kind_of(op) == OP_MAP_LIST;
    struct op_piece pieces[OP_PIECES_MAX];
    uint64_t input = op_get(op, FIELD_INPUT);
    unsigned piece_count = 1, count = 0;

    if (is_list)
        piece_count = op_pieces(op, pieces);
    else
        pieces[0] = (struct op_piece){ op_get(op, FIELD_HPA), op_get(op, FIELD_LENGTH) };
    for (unsigned i = 0; i < piece_count; i++) {
        struct script_live *before = count ? &runs[count - 1] : NULL;

        if (before && before->target + before->length == pieces[i].target)
            before->length += pieces[i].length;
        else
            runs[count++] = (struct script_live){ .input = input,
                                                  .target = pieces[i].target,
                                                  .length = pieces[i].length,
                                                  .domain = (uint8_t)op_get(op, FIELD_DOMAIN),
                                                  .stage = (uint8_t)op_get(op, FIELD_STAGE) };
        input += pieces[i].length;
    }
    return count;
}

/* As script_leading_leaves; *count becomes how many were left over. */
static uint64_t take_leaves(const struct script_limits *limits, const struct script_live *range, unsigned *count)
{
    uint64_t done = 0;

    for (; *count > 0 && done < range->length; --*count) {
        const uint64_t left = range->length - done;
        const unsigned aligned = trailing_zeros((range->input + done) | (range->target + done));
        const unsigned shift = (unsigned)min_u64(aligned, log2_floor(left));
        const uint64_t sizes = limits->page_sizes & low_mask(shift + 1);

        if (!sizes) break;
        done += bit(log2_floor(sizes));
    }
    return done;
}

uint64_t script_leading_leaves(const struct script_limits *limits, const struct script_live *range, unsigned count)
{
    return take_leaves(limits, range, &count);
}

/* Does the engine take all of these, and do they make more than `leaves` leaves? */
static bool are_too_many(const struct script_limits *limits, const struct script_live *runs, unsigned count,
                         unsigned leaves)
{
    bool is_more = false;

    for (unsigned i = 0; i < count; i++) {
        if (!fits(limits, &runs[i])) return false;
        if (!is_more) is_more = take_leaves(limits, &runs[i], &leaves) < runs[i].length;
    }
    return is_more;
}

/* Fewer pieces; a single one that is still too long is shortened. */
static void shorten_list(const struct script_limits *limits, struct op *op, unsigned leaves)
{
    struct script_live runs[OP_PIECES_MAX];

    while (op_get(op, FIELD_PIECES) > 1 && are_too_many(limits, runs, script_runs_of(op, runs), leaves))
        op_set(op, FIELD_PIECES, op_get(op, FIELD_PIECES) / 2);
    if (op_get(op, FIELD_PIECES) > 1 || !are_too_many(limits, runs, script_runs_of(op, runs), leaves)) return;
    op_set(op, FIELD_PIECE, script_leading_leaves(limits, &runs[0], leaves));
}

bool script_limit_map(const struct script_limits *limits, struct op *op, unsigned leaves)
{
    const enum op_kind kind = op_kind_of(op);
    struct script_live runs[OP_PIECES_MAX];
    unsigned count;

    if (kind != OP_MAP && kind != OP_MAP_LIST) return false;
    count = script_runs_of(op, runs);
    if (!limits->page_sizes || !are_too_many(limits, runs, count, leaves)) return false;
    if (kind == OP_MAP)
        op_set(op, FIELD_LENGTH, script_leading_leaves(limits, &runs[0], leaves));
    else
        shorten_list(limits, op, leaves);
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

/* A map goes as far as the first range in its way. False: something is, or was at its start. */
static bool note_run(struct script_context *context, struct script_live range)
{
    const struct script_live *obstacle = script_context_find(context, &range);

    if (obstacle && obstacle->input <= range.input) return false;
    if (obstacle) range.length = obstacle->input - range.input;
    context->live[context->live_next] = range;
    context->live_next = (context->live_next + 1) % SCRIPT_LIVE_MAX;
    if (context->live_count < SCRIPT_LIVE_MAX) context->live_count++;
    return !obstacle;
}

/* A list of few runs is its runs; a longer one counts as one range, so that it does not push out all else. */
static void note_map(struct script_context *context, const struct op *op)
{
    struct script_live runs[OP_PIECES_MAX];
    unsigned count = script_runs_of(op, runs);

    if (!(op_get(op, FIELD_PROT) & 3)) return;
    for (unsigned i = 0; i < count; i++) {
        if (!fits(&context->limits, &runs[i])) return;
    }
    if (count > RUNS_NOTED) {
        for (unsigned i = 1; i < count; i++) runs[0].length += runs[i].length;
        count = 1;
    }
    for (unsigned i = 0; i < count && note_run(context, runs[i]); i++) {
    }
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
    case OP_MAP:
    case OP_MAP_LIST: note_map(context, op); break;
    case OP_UNMAP: note_unmap(context, op); break;
    case OP_DMA: note_dma(context, op); break;
    case OP_SYNC:
    case OP_COMPLETION_WAIT: context->has_pending = false; break;
    case OP_INV_PAGES: context->has_pending = true; break;
    case OP_RMPUPDATE: note_rmpupdate(context, op); break;
    case OP_STALL: context->is_stalled = op_get(op, FIELD_ON); break;
    case OP_FAIL_ALLOC: context->is_limited = op_get(op, FIELD_COUNT_N) != UINT64_MAX; break;
    default: break;
    }
}
