/* Small changes to scripts, for fuzzers: ops come, go, move, meet other addresses; two scripts have a child. */
#include "script/script.h"

#include "base/bits.h"
#include "base/check.h"
#include "script/op_table.h"
#include "script/script_format.h"

#include <string.h>

enum {
    INSERT_MAX = 24,
    DROP_MAX = 4,
    LONG = 100,
    LIMITED_MAX = 10,
    RESIZES_MAX = 6,
    LEAVES_FEW = 24,
    FRESH_ONE_IN = 8,
    LOOK_BACK = 3 * SCRIPT_LIVE_MAX,
    HARDWARE_ONE_IN = 3,
    SWITCH_ONE_IN = 6,
    BACKING_ONE_IN = 4,
};

/* The ops being changed. ops[0] is the world and stays in front. */
struct edit {
    struct op *ops;
    size_t count, capacity;
    enum script_theme theme;
};

static void open_gap(struct edit *edit, size_t at, size_t width)
{
    CHECK(edit->count + width <= edit->capacity);
    memmove(edit->ops + at + width, edit->ops + at, (edit->count - at) * sizeof(*edit->ops));
    edit->count += width;
}

static void close_gap(struct edit *edit, size_t at, size_t width)
{
    memmove(edit->ops + at, edit->ops + at + width, (edit->count - at - width) * sizeof(*edit->ops));
    edit->count -= width;
}

/* The sketch of what stands before op `at`; what is far away is left out, since it keeps only the latest ranges. */
static void context_before(const struct edit *edit, size_t at, struct script_context *context)
{
    script_context_begin(context, &edit->ops[0]);
    for (size_t i = at > LOOK_BACK ? at - LOOK_BACK : 1; i < at; i++) script_context_note(context, &edit->ops[i]);
}

/* A place among the ops behind the world; the end is as likely as all others together. */
static size_t draw_place(struct random *random, const struct edit *edit)
{
    if (random_one_in(random, 2)) return edit->count;
    return 1 + random_below(random, edit->count);
}

/* An existing op, or 0 where there is only the world. */
static size_t draw_op(struct random *random, const struct edit *edit)
{
    return edit->count > 1 ? 1 + random_below(random, edit->count - 1) : 0;
}

static void drop_ops(struct random *random, struct edit *edit)
{
    const size_t at = draw_op(random, edit);
    const uint64_t most = random_one_in(random, 4) ? 1 + edit->count / 4 : DROP_MAX;
    const uint64_t width = 1 + random_below(random, most);

    if (at) close_gap(edit, at, min_u64(width, edit->count - at));
}

/* New ops; in a script that is long already most often fewer, since long scripts cost time and hide what matters. */
static void insert_ops(struct random *random, struct edit *edit)
{
    const size_t at = draw_place(random, edit);
    const struct script_style style = script_generate_style(random, edit->theme, &edit->ops[0]);
    size_t width = 1 + random_below(random, random_one_in(random, 3) ? INSERT_MAX : 3);
    struct script_context context;

    if (edit->count > LONG && !random_one_in(random, 4)) {
        drop_ops(random, edit);
        return;
    }
    width = min_u64(width, edit->capacity - edit->count);
    context_before(edit, at, &context);
    open_gap(edit, at, width);
    for (size_t i = 0; i < width; i++) {
        edit->ops[at + i] = script_generate_op(random, &style, &context);
        script_context_note(&context, &edit->ops[at + i]);
    }
}

static void swap_ops(struct random *random, struct edit *edit)
{
    const size_t a = draw_op(random, edit);
    const size_t b = draw_op(random, edit);
    const struct op kept = edit->ops[a];

    edit->ops[a] = edit->ops[b];
    edit->ops[b] = kept;
}

static void duplicate_op(struct random *random, struct edit *edit)
{
    const size_t from = draw_op(random, edit);
    const struct op copy = edit->ops[from];
    size_t to;

    if (from == 0 || edit->count == edit->capacity) return;
    to = from + 1 + random_below(random, edit->count - from);
    open_gap(edit, to, 1);
    edit->ops[to] = copy;
}

static bool is_wide(enum op_field field)
{
    return op_field_row(field)->width == 64;
}

/* A 64-bit value near, above, below or far from the old one. */
static uint64_t change_wide(struct random *random, uint64_t value)
{
    static const uint8_t shifts[] = { 12, 12, 13, 16, 20, 21, 22, 29, 30, 39 };
    const uint64_t step = bit(shifts[random_below(random, sizeof(shifts))]);

    switch (random_below(random, 8)) {
    case 0: return value + step;
    case 1: return value - step;
    case 2: return value ^ step;
    case 3: return align_down(value, log2_floor(step));
    case 4: return step;
    case 5: return value ^ bit((unsigned)random_below(random, 64));
    case 6: return value * 2;
    default: return value / 2;
    }
}

static void change_field(struct random *random, struct edit *edit)
{
    struct op *op = &edit->ops[draw_op(random, edit)];
    const struct op_spec *spec = op_spec_of(op_kind_of(op));
    const struct op_field_row *row;
    enum op_field field;

    if (spec->kind == OP_WORLD || spec->field_count == 0) return;
    field = (enum op_field)(spec->fields[random_below(random, spec->field_count)] & OP_FIELD_MASK);
    row = op_field_row(field);
    if (is_wide(field)) {
        op_set(op, field, change_wide(random, op_get(op, field)));
    } else if (field == FIELD_DOMAIN) {
        op_set(op, field, random_below(random, 2));
    } else if (field == FIELD_DEVICE) {
        op_set(op, field, random_below(random, 4));
    } else if (field == FIELD_STAGE) {
        op_set(op, field, op_get(&edit->ops[0], FIELD_S1) ? random_below(random, 3) : STAGE_DEFAULT);
    } else if (field == FIELD_STRIDE) {
        const uint64_t strides[] = { op_get(op, FIELD_PIECE), 2 * op_get(op, field), op_get(op, field) / 2,
                                     op_get(op, FIELD_PIECE) + bit(SHIFT_4K) };

        op_set(op, field, align_down(strides[random_below(random, 4)], row->unit) & row->max);
    } else if (field == FIELD_ASID || field == FIELD_PASID) {
        op_set(op, field, random_below(random, 3));
    } else {
        op_set(op, field, row->min + random_below(random, row->max - row->min + 1));
    }
}

/* Move an op's address to, or beside, one that an earlier op uses. */
static void nudge_address(struct random *random, struct edit *edit)
{
    static const uint8_t fields[] = { FIELD_INPUT, FIELD_AT, FIELD_HPA, FIELD_GPA };
    const size_t at = draw_op(random, edit);
    struct op *op = &edit->ops[at];
    const enum op_field field = (enum op_field)fields[random_below(random, sizeof(fields))];
    struct script_context context;
    const struct script_live *live;
    uint64_t address;

    if (at == 0 || !op_has(op_kind_of(op), field)) return;
    context_before(edit, at, &context);
    if (context.live_count == 0) return;
    live = &context.live[random_below(random, context.live_count)];
    address = field == FIELD_HPA ? live->target : live->input;
    switch (random_below(random, 4)) {
    case 0: address += live->length; break;
    case 1: address -= op_has(op_kind_of(op), FIELD_LENGTH) ? op_get(op, FIELD_LENGTH) : bit(SHIFT_4K); break;
    case 2: address += align_down(random_below(random, live->length), SHIFT_4K); break;
    default: break;
    }
    op_set(op, field, address);
}

static void redraw_op(struct random *random, struct edit *edit)
{
    const size_t at = draw_op(random, edit);
    struct script_context context;
    struct script_style style;

    if (at == 0) return;
    style = script_generate_style(random, edit->theme, &edit->ops[0]);
    context_before(edit, at, &context);
    edit->ops[at] = script_generate_op(random, &style, &context);
}

static void redraw_world_field(struct random *random, struct edit *edit, enum op_field field)
{
    op_set(&edit->ops[0], field, random_below(random, op_field_row(field)->max + 1));
}

/* A guest's tables need a place; a script that got stage 1 later lacks it. */
static void back_s1(struct edit *edit)
{
    struct op backing[2];
    size_t count;

    if (!op_get(&edit->ops[0], FIELD_S1)) return;
    count = script_back_s1(&edit->ops[0], backing);
    if (edit->capacity - edit->count < count) return;
    if (edit->count > 1 && memcmp(&edit->ops[1], &backing[0], sizeof(backing[0])) == 0) return;
    open_gap(edit, 1, count);
    memcpy(edit->ops + 1, backing, count * sizeof(*backing));
}

/*
 * The same ops on other hardware, or with another switch: what coverage does not see and a child would inherit for
 * ever.
 */
static void change_world(struct random *random, struct edit *edit)
{
    static const uint8_t fields[] = { FIELD_S1,
                                      FIELD_CHECK_VALIDATED,
                                      FIELD_RECHECK_ON_HIT,
                                      FIELD_INVALIDATE_ON_RMPUPDATE,
                                      FIELD_SHARED_READ_CHECKED,
                                      FIELD_KEEP_WALK_CACHE,
                                      FIELD_IOTLB,
                                      FIELD_POLICY,
                                      FIELD_BACKING };

    if (random_one_in(random, HARDWARE_ONE_IN)) redraw_world_field(random, edit, FIELD_HW);
    if (random_one_in(random, SWITCH_ONE_IN))
        redraw_world_field(random, edit, (enum op_field)fields[random_below(random, sizeof(fields))]);
    if (random_one_in(random, BACKING_ONE_IN)) back_s1(edit);
}

static void mutate_once(struct random *random, struct edit *edit)
{
    switch (random_below(random, 20)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5: insert_ops(random, edit); break;
    case 6:
    case 7: drop_ops(random, edit); break;
    case 8: swap_ops(random, edit); break;
    case 9:
    case 10: duplicate_op(random, edit); break;
    case 11:
    case 12:
    case 13: nudge_address(random, edit); break;
    case 14:
    case 15:
    case 16: change_field(random, edit); break;
    case 17:
    case 18: redraw_op(random, edit); break;
    default:
        if (random_one_in(random, 4))
            edit->ops[0] = script_generate_world(random, edit->theme);
        else
            insert_ops(random, edit);
        break;
    }
}

static struct script_live range_of(const struct op *op, enum op_field field)
{
    const enum op_kind kind = op_kind_of(op);

    return (struct script_live){ .input = op_get(op, field),
                                 .length = 1,
                                 .domain = op_has(kind, FIELD_DOMAIN) ? (uint8_t)op_get(op, FIELD_DOMAIN) : 0,
                                 .stage = op_has(kind, FIELD_STAGE) ? (uint8_t)op_get(op, FIELD_STAGE) : 0 };
}

/* An op on a mapping that is not there: move it to one that is, keeping how far into it the op reached. */
static void move_to_live(struct random *random, const struct script_context *context, struct op *op)
{
    const enum op_field field = op_kind_of(op) == OP_CUT ? FIELD_AT : FIELD_INPUT;
    const struct script_live *live = &context->live[random_below(random, context->live_count)];
    const bool is_first = op_kind_of(op) != OP_CUT && !random_one_in(random, 4);
    const uint64_t inside = random_below(random, live->length);

    op_set(op, field, live->input + (is_first ? 0 : align_down(inside, SHIFT_4K)));
    if (op_kind_of(op) == OP_DMA) {
        op_set(op, FIELD_INPUT, live->input + inside);
        op_set(op, FIELD_DEVICE, live->stage == STAGE_S1 ? 1 : live->domain ? 3 : 2 * random_below(random, 2));
        return;
    }
    if (op_has(op_kind_of(op), FIELD_LENGTH) && !random_one_in(random, 3)) op_set(op, FIELD_LENGTH, live->length);
    op_set(op, FIELD_DOMAIN, live->domain);
    op_set(op, FIELD_STAGE, live->stage);
}

static bool misses(const struct script_context *context, const struct op *op)
{
    struct script_live range;

    switch (op_kind_of(op)) {
    case OP_UNMAP:
    case OP_RESIZE:
    case OP_DIRTY_READ: range = range_of(op, FIELD_INPUT); break;
    case OP_CUT: range = range_of(op, FIELD_AT); break;
    case OP_DMA:
        range = range_of(op, FIELD_INPUT);
        range.domain = op_get(op, FIELD_DEVICE) == 3;
        break;
    default: return false;
    }
    return !script_context_find(context, &range);
}

/* A map that the widths or page sizes refuse, or that starts on something: make it fit, put it behind that. */
static void move_to_free(const struct script_context *context, struct op *op)
{
    const struct script_limits *limits = &context->limits;
    const uint64_t low = low_mask(limits->input_bits);
    const bool is_high = limits->is_upper || (limits->has_halves && op_get(op, FIELD_INPUT) > low);
    const uint64_t half = is_high ? ~low : 0;
    uint64_t delta = 0;
    const enum op_field size = op_kind_of(op) == OP_MAP ? FIELD_LENGTH : FIELD_PIECE;
    struct script_live range;
    const struct script_live *obstacle;

    op_set(op, FIELD_INPUT, (align_down(op_get(op, FIELD_INPUT), limits->page_shift) & low) | half);
    op_set(op, FIELD_HPA, align_down(op_get(op, FIELD_HPA), limits->page_shift) & low_mask(limits->output_bits));
    op_set(op, size, max_u64(align_down(op_get(op, size), limits->page_shift), bit(limits->page_shift)));
    range = range_of(op, FIELD_INPUT);
    obstacle = script_context_find(context, &range);
    if (obstacle) delta = obstacle->input + obstacle->length - range.input;
    op_set(op, FIELD_INPUT, range.input + delta);
    op_set(op, FIELD_HPA, op_get(op, FIELD_HPA) + delta);
}

/* Ops of two-stage worlds, or on the RMP, in a world that has none. */
static void move_to_world(const struct script_limits *limits, struct op *op)
{
    const enum op_kind kind = op_kind_of(op);

    if (!limits->has_s1 && op_has(kind, FIELD_STAGE) && op_get(op, FIELD_STAGE) == STAGE_S1) {
        op_set(op, FIELD_STAGE, STAGE_DEFAULT);
    }
    if (limits->has_s1 && op_has(kind, FIELD_STAGE) && op_get(op, FIELD_STAGE) == STAGE_S1) op_set(op, FIELD_DOMAIN, 0);
    if (limits->has_rmp) return;
    if ((kind >= OP_RMPUPDATE && kind <= OP_RMP_HOLD) || kind == OP_CONVERT || kind == OP_STEP) *op = op_make(OP_DMA);
}

static void repair_op(struct random *random, const struct script_context *context, struct op *op)
{
    if (!random_one_in(random, 16)) move_to_world(&context->limits, op);
    if (random_one_in(random, 4)) return;
    if (op_kind_of(op) == OP_MAP || op_kind_of(op) == OP_MAP_LIST)
        move_to_free(context, op);
    else if (context->live_count && misses(context, op))
        move_to_live(random, context, op);
}

/*
 * Keep a script affordable: checks cost walks per leaf. One map of hundreds of leaves, two cuts of leaves into 512, a
 * few resizes; what comes after does less, or something else.
 */
static void limit_cost(const struct script_limits *limits, struct op *op, unsigned *large_maps, unsigned *cuts)
{
    struct op copy = *op;

    if (script_limit_map(limits, &copy, LEAVES_FEW)) {
        *large_maps += 1;
        if (*large_maps > 1)
            *op = copy;
        else
            script_limit_map(limits, op, SCRIPT_LEAVES_MAX);
    }
    if (op_kind_of(op) == OP_CUT && !(limits->page_sizes & bit(limits->page_shift + 1)) && ++*cuts > 2)
        *op = op_make(OP_DMA);
}

/*
 * Ops that were moved, copied from another script or lost what they stood on mostly do nothing. Give most of them
 * something to do; drop limits on allocations that nobody lifts.
 */
static void repair(struct random *random, struct edit *edit)
{
    struct script_context context;
    unsigned limited = 0, large_maps = 0, cuts = 0, resizes = 0;

    script_context_begin(&context, &edit->ops[0]);
    for (size_t i = 1; i < edit->count; i++) {
        struct op *op = &edit->ops[i];

        limited = context.is_limited ? limited + 1 : 0;
        if (limited > LIMITED_MAX && random_one_in(random, 4)) *op = op_make(OP_FAIL_ALLOC);
        limit_cost(&context.limits, op, &large_maps, &cuts);
        if (op_kind_of(op) == OP_RESIZE && ++resizes > RESIZES_MAX) *op = op_make(OP_DMA);
        repair_op(random, &context, op);
        script_limit_resize(&context, op);
        script_context_note(&context, op);
    }
}

size_t script_mutate(struct random *random, struct op *ops, size_t count, size_t capacity)
{
    return script_mutate_for(random, SCRIPT_ANY, ops, count, capacity);
}

size_t script_mutate_for(struct random *random, enum script_theme theme, struct op *ops, size_t count, size_t capacity)
{
    struct edit edit = { ops, count, capacity, theme };
    unsigned rounds = 1 + (unsigned)random_below(random, 4);

    CHECK(count >= 1);
    CHECK(count <= capacity);
    CHECK(op_kind_of(&ops[0]) == OP_WORLD);
    /* Little to change in a script that does nothing; and what needs a world and ops that fit it is drawn sooner than
     * mutated. */
    if (count < 3 || (theme == SCRIPT_LOCKSTEP && random_one_in(random, FRESH_ONE_IN)))
        return script_generate_for(random, theme, ops, capacity);
    while (rounds-- > 0) mutate_once(random, &edit);
    if (theme == SCRIPT_LOCKSTEP) change_world(random, &edit);
    repair(random, &edit);
    return edit.count;
}

static void append_part(struct edit *edit, const struct script_part *parent, size_t from, size_t end)
{
    const size_t width = min_u64(end - from, edit->capacity - edit->count);

    memcpy(edit->ops + edit->count, parent->ops + from, width * sizeof(*edit->ops));
    edit->count += width;
}

size_t script_crossover(struct random *random, const struct script_part parents[2], struct op *ops, size_t capacity)
{
    struct edit edit = { .ops = ops, .count = 1, .capacity = capacity };
    const size_t from = random_below(random, parents[0].count);
    const size_t resume = from + random_below(random, parents[0].count - from);
    const size_t start = random_below(random, parents[1].count);
    const size_t end = start + random_below(random, parents[1].count - start);

    CHECK(capacity >= 1);
    ops[0] = parents[0].ops[0];
    /* The first with one piece exchanged for one of the other, or with it put in; length stays about what it was. */
    append_part(&edit, &parents[0], 1, from + 1);
    append_part(&edit, &parents[1], start + 1, end + 1);
    append_part(&edit, &parents[0], random_one_in(random, 4) ? from + 1 : resume + 1, parents[0].count);
    repair(random, &edit);
    return edit.count;
}
