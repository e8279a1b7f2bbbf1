/*
 * Scripts drawn at random. Two ideas carry them: ops meet earlier ops (most addresses are taken from, or beside, what
 * is live), and each script is drawn in its own style (swarm weights), so that runs of one kind of op go deep.
 */
#include "script/script.h"

#include "base/bits.h"
#include "base/check.h"
#include "script/op_table.h"
#include "script/script_draw.h"

#include <string.h>

enum {
    LEAVES_USUAL = 12, /* an op's checks cost walks per leaf: at most this in most ops, */
    MANY_ONE_IN = 32,  /* in a style of many leaves, this often enough to fill a table of 512 */
    NEAR_REGION_PERCENT = 80,
    FIND_PLACE_TRIES = 4,
    GUEST_PAGE_OPS = 4,
    REGION_PERCENT = 40, /* of lockstep maps: a 2M region, as S2 and RMP can agree on */
};

/* What one op is drawn from. */
struct draw {
    struct random *random;
    const struct script_style *style;
    const struct script_context *context;
    const struct script_limits *limits;
};

/* How likely a kind is next: ops on what is live wait until something is. */
static unsigned weight_now(const struct draw *draw, unsigned kind)
{
    const struct script_context *context = draw->context;
    const unsigned weight = draw->style->weight[kind];

    switch (kind) {
    case OP_UNMAP: return context->live_count > 6 ? weight * 2 : context->live_count ? weight : weight / 16;
    case OP_CUT:
    case OP_RESIZE:
    case OP_DIRTY_READ:
    case OP_DMA: return context->live_count ? weight : weight / 16;
    case OP_SYNC:
    case OP_COMPLETION_WAIT: return context->has_pending ? weight : weight / 8;
    case OP_EVICT: return context->dma_count ? weight : 0;
    case OP_FAIL_ALLOC: return context->is_limited ? weight * 8 : weight;
    case OP_PSMASH: return context->page_count ? weight : 0;
    case OP_STALL: return context->is_stalled ? weight * 16 : weight;
    default: return kind >= OP_RECLAIM && kind <= OP_RMP_HOLD && !context->page_count ? 0 : weight;
    }
}

static enum op_kind draw_kind(const struct draw *draw)
{
    unsigned total = 0;
    uint64_t at;

    for (unsigned row = 1; op_spec_at(row); row++) total += weight_now(draw, op_spec_at(row)->kind);
    at = random_below(draw->random, total ? total : 1);
    for (unsigned row = 1; op_spec_at(row); row++) {
        const unsigned weight = weight_now(draw, op_spec_at(row)->kind);

        if (at < weight) return (enum op_kind)op_spec_at(row)->kind;
        at -= weight;
    }
    return OP_MAP;
}

/* ---- addresses ------------------------------------------------------------------------------------------------- */

/* A live range, of the given stage if there is one; NULL without any. */
static const struct script_live *draw_live(const struct draw *draw, unsigned stage)
{
    const struct script_context *context = draw->context;
    unsigned at;

    if (context->live_count == 0) return NULL;
    at = (unsigned)random_below(draw->random, context->live_count);
    for (unsigned i = 0; i < context->live_count; i++) {
        const struct script_live *live = &context->live[(at + i) % context->live_count];

        if (live->stage == stage) return live;
    }
    return &context->live[at];
}

/* An input address that has nothing to do with earlier ones, usually inside the table. */
static uint64_t draw_far_input(const struct draw *draw, unsigned shift)
{
    static const uint8_t edges[] = { 21, 30, 39, 47, 48, 57, 63 };
    const uint64_t low = low_mask(draw->limits->input_bits);
    uint64_t address = random_u64(draw->random);

    switch (random_below(draw->random, 8)) {
    case 0:
    case 1: /* around the place where another table, or another level, begins */
        address = bit(edges[random_below(draw->random, sizeof(edges))]);
        address += (random_below(draw->random, 5) - 2) << shift;
        break;
    case 2: /* the last pages */ address = low - (random_below(draw->random, 4) << shift); break;
    case 3: break;
    default: address &= low_mask(26); break;
    }
    address &= low;
    if (draw->limits->has_halves && random_one_in(draw->random, 3)) address |= ~low;
    if (draw->limits->is_upper && !random_one_in(draw->random, 30)) address |= ~low;
    return address;
}

/*
 * An input address not taken from a live range, at a multiple of 2^shift: mostly in the same region as one, so that
 * scripts fill few tables (whole-tree checks cost by the table) and meet in them. Far away, growth may lack memory.
 */
static uint64_t draw_cold_input(const struct draw *draw, unsigned shift)
{
    static const uint8_t regions[] = { 21, 21, 22, 24, 30 };
    const struct script_live *live = draw_live(draw, STAGE_DEFAULT);
    uint64_t address;
    unsigned region;

    if (!live || draw->context->is_limited || !draw_percent(draw->random, NEAR_REGION_PERCENT)) {
        address = draw_far_input(draw, shift);
    } else {
        region = regions[random_below(draw->random, sizeof(regions))];
        address = align_down(live->input, region) | (random_u64(draw->random) & low_mask(region));
    }
    return align_down(address, shift);
}

/* An output address: data RAM more often than not, since only there RMP and DMA have something to say. */
static uint64_t draw_target(const struct draw *draw)
{
    const unsigned chance = draw->style->theme == SCRIPT_LOCKSTEP ? 95 : 70;

    if (draw_percent(draw->random, chance)) return random_below(draw->random, draw->limits->memory);
    return random_u64(draw->random) & low_mask(draw->limits->output_bits);
}

/* An input address inside, at an edge of, or beside a live range. */
static uint64_t draw_near(const struct draw *draw, const struct script_live *live, unsigned shift)
{
    const uint64_t inside = random_below(draw->random, live->length);

    switch (random_below(draw->random, 8)) {
    case 0:
    case 1: return live->input + live->length;
    case 2: return live->input - bit(shift);
    case 3: return align_down(live->input + inside, SHIFT_2M);
    case 4: return align_down(live->input + inside, SHIFT_4K);
    default: return live->input;
    }
}

/* A page order between the world's smallest page and `max`; the smallest more often than the others. */
static unsigned draw_shift(const struct draw *draw, unsigned max)
{
    const unsigned min = draw->limits->page_shift;

    if (max <= min || draw_percent(draw->random, 30)) return min;
    return min + (unsigned)random_below(draw->random, max - min + 1);
}

/* Spoil a value: the engine's argument checks want exercise too. */
static uint64_t make_odd(struct random *random, uint64_t value)
{
    switch (random_below(random, 4)) {
    case 0: return value ^ bit((unsigned)random_below(random, 12));
    case 1: return value ^ bit((unsigned)random_below(random, 64));
    case 2: return 0;
    default: return UINT64_MAX - (random_below(random, 3) << SHIFT_4K);
    }
}

/* ---- ops on tables --------------------------------------------------------------------------------------------- */

static void draw_table(const struct draw *draw, struct op *op)
{
    if (draw->style->is_two_stage && draw_percent(draw->random, 35))
        op_set(op, FIELD_STAGE, STAGE_S1);
    else if (random_one_in(draw->random, 6))
        op_set(op, FIELD_DOMAIN, 1);
}

/* Take over the table of a range. */
static void use_table_of(struct op *op, const struct script_live *live)
{
    op_set(op, FIELD_DOMAIN, live->domain);
    op_set(op, FIELD_STAGE, live->stage);
}

static uint64_t draw_length(const struct draw *draw, unsigned shift)
{
    const unsigned page = draw->limits->page_shift;
    uint64_t length = bit(shift);

    switch (random_below(draw->random, 6)) {
    case 0: length *= 1 + random_below(draw->random, 4); break;
    case 1: length += bit(page) << random_below(draw->random, 4); break;
    case 2: length -= shift > page ? bit(page) : 0; break;
    default: break;
    }
    return length;
}

/* Cut a range to what the widths allow and to the leaves that an op should have. */
static void clamp(const struct draw *draw, struct script_live *range)
{
    const bool has_many = draw->style->has_many_leaves && random_one_in(draw->random, MANY_ONE_IN);
    const unsigned few = 1 + (unsigned)random_below(draw->random, 1 + random_below(draw->random, LEAVES_USUAL));
    const uint64_t low = low_mask(draw->limits->input_bits);
    const uint64_t high = low_mask(draw->limits->output_bits);
    const uint64_t last = low - (range->input & low); /* offset of the table's last byte */

    range->target &= high;
    if (range->length - 1 > last) range->length = last + 1;
    if (range->length - 1 > high - range->target) range->length = high - range->target + 1;
    range->length = script_leading_leaves(draw->limits, range, has_many ? SCRIPT_LEAVES_MAX : few);
    if (range->length == 0) range->length = bit(SHIFT_4K); /* nothing fits: the engine may say so */
}

/* A place for a new mapping: mostly beside what is live, seldom on top of it. */
static struct script_live draw_place(const struct draw *draw, const struct op *op)
{
    const bool is_region = draw->style->theme == SCRIPT_LOCKSTEP && draw_percent(draw->random, REGION_PERCENT);
    const unsigned shift = is_region ? SHIFT_2M : draw_shift(draw, draw->style->size_shift_max);
    const unsigned align = is_region || draw_percent(draw->random, 75) ? shift : draw_shift(draw, shift);
    const unsigned relative = is_region || draw_percent(draw->random, 65) ? shift : draw_shift(draw, shift);
    const struct script_live *live = draw_live(draw, (unsigned)op_get(op, FIELD_STAGE));
    struct script_live range = { .domain = (uint8_t)op_get(op, FIELD_DOMAIN),
                                 .stage = (uint8_t)op_get(op, FIELD_STAGE),
                                 .length = is_region ? bit(shift) : draw_length(draw, shift) };

    if (live && !(draw->context->is_limited && random_one_in(draw->random, 3)) &&
        !draw_percent(draw->random, draw->style->cold_percent))
        range.input = draw_near(draw, live, align);
    else
        range.input = draw_cold_input(draw, align);
    for (unsigned tries = 0; tries < FIND_PLACE_TRIES && !draw_percent(draw->random, 6); tries++) {
        live = script_context_find(draw->context, &range);
        if (!live) break;
        range.input = tries ? draw_cold_input(draw, align) : live->input + live->length;
    }
    range.target = draw_target(draw);
    /* What a guest maps in S1 is usually something that S2 maps. */
    live = range.stage == STAGE_S1 ? draw_live(draw, STAGE_DEFAULT) : NULL;
    if (live && draw_percent(draw->random, 80)) range.target = live->input;
    range.target = align_down(range.target, relative) | (range.input & low_mask(relative));
    clamp(draw, &range);
    return range;
}

static void draw_map(const struct draw *draw, struct op *op)
{
    struct script_live range;

    draw_table(draw, op);
    range = draw_place(draw, op);
    op_set(op, FIELD_INPUT, range.input);
    op_set(op, FIELD_HPA, range.target);
    if (op_kind_of(op) == OP_MAP)
        op_set(op, FIELD_LENGTH, range.length);
    else
        script_draw_list(draw->random, draw->context, range.length, op);
    if (random_one_in(draw->random, 6)) op_set(op, FIELD_PROT, random_below(draw->random, 64));
    if (op_get(op, FIELD_PROT) % 4 == 0 && !draw_percent(draw->random, draw->style->odd_percent))
        op_set(op, FIELD_PROT, DRAW_OF(draw->random, 1, 2, 3));
}

/* A range of what is live: whole, its front, its back, or more than it. */
static void draw_live_range(const struct draw *draw, struct op *op)
{
    const struct script_live *live;
    const unsigned shift = draw_shift(draw, draw->style->size_shift_max);
    uint64_t input, length;

    draw_table(draw, op);
    live = draw_live(draw, (unsigned)op_get(op, FIELD_STAGE));
    if (!live || draw_percent(draw->random, draw->style->cold_percent / 4)) {
        op_set(op, FIELD_INPUT, draw_cold_input(draw, shift));
        op_set(op, FIELD_LENGTH, bit(shift));
        return;
    }
    use_table_of(op, live);
    input = live->input;
    length = live->length;
    switch (random_below(draw->random, 12)) {
    case 0: length = bit(shift); break;
    case 1: input = draw_near(draw, live, shift); break;
    case 2: /* the aligned region around it */
        input = align_down(input, shift);
        length = bit(shift);
        break;
    case 3:
    case 4: length += bit(shift); break;
    case 5:
    case 6: length = align_down(random_below(draw->random, length), SHIFT_4K) + bit(SHIFT_4K); break;
    default: break;
    }
    op_set(op, FIELD_INPUT, input);
    op_set(op, FIELD_LENGTH, length);
}

static void draw_cut(const struct draw *draw, struct op *op)
{
    const unsigned shift = draw_shift(draw, draw->style->size_shift_max);
    const struct script_live *live;
    unsigned align = shift;
    uint64_t at;

    draw_table(draw, op);
    live = draw_live(draw, (unsigned)op_get(op, FIELD_STAGE));
    if (!live || draw_percent(draw->random, draw->style->cold_percent / 4)) {
        op_set(op, FIELD_AT, draw_cold_input(draw, shift));
        return;
    }
    use_table_of(op, live);
    at = live->input + random_below(draw->random, live->length);
    /* Deep cuts of large leaves make hundreds of small ones: a level or so below the range's size is the usual depth.
     */
    if (live->length >= bit(SHIFT_1G))
        align = draw_percent(draw->random, 90) ? SHIFT_2M + shift % 10 : SHIFT_4K;
    else if (random_one_in(draw->random, 2))
        align = draw->limits->page_shift;
    op_set(op, FIELD_AT, align_down(at, align));
}

/* Both ways, over what is live: the same range comes with small leaves and, later, with large ones. */
static void draw_resize(const struct draw *draw, struct op *op)
{
    const unsigned page = draw->limits->page_shift;
    unsigned shift = DRAW_OF(draw->random, SHIFT_4K, SHIFT_4K, 16, SHIFT_2M, SHIFT_2M, SHIFT_1G, 40);

    draw_live_range(draw, op);
    if (random_one_in(draw->random, 4)) shift = draw_shift(draw, draw->style->size_shift_max);
    op_set(op, FIELD_MAX, shift < page ? page : shift);
    op_set(op, FIELD_INPUT, align_down(op_get(op, FIELD_INPUT), page));
    op_set(op, FIELD_LENGTH, max_u64(align_down(op_get(op, FIELD_LENGTH), page), bit(page)));
    script_limit_resize(draw->context, op);
}

/* ---- ops on devices and the RMP -------------------------------------------------------------------------------- */

static void draw_dma(const struct draw *draw, struct op *op)
{
    const bool is_evict = op_kind_of(op) == OP_EVICT;
    const unsigned stage = draw->style->is_two_stage && draw_percent(draw->random, 50) ? STAGE_S1 : STAGE_DEFAULT;
    const struct script_live *live = draw_live(draw, stage);
    const unsigned again = draw->style->theme == SCRIPT_LOCKSTEP ? 45 : 25;
    uint64_t address = draw_cold_input(draw, 0);
    unsigned device = (unsigned)random_below(draw->random, 4);
    uint32_t pasid = 0;

    /* Every pasid of a device has the same table (world.h), and IOTLB entries of its own. */
    if (draw->style->is_two_stage && random_one_in(draw->random, 3)) pasid = (uint32_t)random_below(draw->random, 3);
    if (draw->context->dma_count && draw_percent(draw->random, is_evict ? 85 : again)) {
        /* Again what the IOTLB may hold. */
        const unsigned at = (unsigned)random_below(draw->random, draw->context->dma_count);

        address = draw->context->dma[at].input;
        device = draw->context->dma[at].device;
        if (!random_one_in(draw->random, 4)) pasid = draw->context->dma[at].pasid;
    } else if (live && !draw_percent(draw->random, draw->style->cold_percent / 2)) {
        const bool is_last = random_one_in(draw->random, 3);

        address = live->input + (is_last ? live->length - 1 : random_below(draw->random, live->length));
        /* dev1 has the stage 1, dev3 the other domain (world.h). */
        device = live->stage == STAGE_S1 ? 1 : live->domain ? 3 : DRAW_OF(draw->random, 0, 0, 1, 2);
        if (device == 1 && live->stage != STAGE_S1 && draw->style->is_two_stage) device = 2;
    }
    op_set(op, FIELD_INPUT, address);
    op_set(op, FIELD_DEVICE, device);
    if (device == 1) op_set(op, FIELD_PASID, pasid);
    if (is_evict) return;
    op_set(op, FIELD_ACCESS, !random_one_in(draw->random, 3));
    if (random_one_in(draw->random, 5)) op_set(op, FIELD_PRIVATE, random_below(draw->random, 3));
}

struct rmp_page {
    uint64_t hpa, gpa;
    bool is_large;
};

/* The range mapped last, or NULL: what was just mapped has no owner yet. */
static const struct script_live *latest_live(const struct script_context *context)
{
    const unsigned latest = (context->live_next + SCRIPT_LIVE_MAX - 1) % SCRIPT_LIVE_MAX;

    return latest < context->live_count ? &context->live[latest] : NULL;
}

/* The page behind a live mapping that lies in data RAM. False: none found. */
static bool draw_mapped_page(const struct draw *draw, struct rmp_page *page)
{
    for (unsigned tries = 0; tries < FIND_PLACE_TRIES; tries++) {
        const bool is_latest = draw->style->theme == SCRIPT_LOCKSTEP && random_one_in(draw->random, 2);
        const struct script_live *live = is_latest ? latest_live(draw->context) : draw_live(draw, STAGE_DEFAULT);
        uint64_t offset;

        if (!live) return false;
        offset = align_down(random_below(draw->random, live->length), SHIFT_4K);
        if (live->stage == STAGE_S1 || live->target + offset >= draw->limits->memory) continue;
        page->hpa = live->target + offset;
        page->gpa = live->input + offset;
        page->is_large |= live->length >= bit(SHIFT_2M) && is_aligned(live->target ^ live->input, SHIFT_2M);
        return true;
    }
    return false;
}

/* A page for the RMP: what a live mapping leads to, or one that is in the RMP already. */
static void draw_rmp_page(const struct draw *draw, struct op *op)
{
    const bool is_update = op_kind_of(op) == OP_RMPUPDATE;
    const struct script_context *context = draw->context;
    struct rmp_page page = { .is_large = random_one_in(draw->random, 3) };

    if (context->page_count && draw_percent(draw->random, is_update ? 25 : 90)) {
        const unsigned at = (unsigned)random_below(draw->random, context->page_count);

        page = (struct rmp_page){ context->pages[at].hpa, context->pages[at].gpa, context->pages[at].is_large };
        if (page.is_large && random_one_in(draw->random, 4)) page.is_large = false;
    } else if (!draw_mapped_page(draw, &page)) {
        page.hpa = align_down(random_below(draw->random, draw->limits->memory), SHIFT_4K);
        page.gpa = draw_cold_input(draw, SHIFT_4K);
    }
    if (page.is_large && !draw_percent(draw->random, draw->style->odd_percent)) {
        page.hpa = align_down(page.hpa, SHIFT_2M);
        page.gpa = align_down(page.gpa, SHIFT_2M);
    }
    op_set(op, FIELD_HPA, page.hpa);
    if (op_has(op_kind_of(op), FIELD_GPA)) op_set(op, FIELD_GPA, page.gpa);
    if (op_has(op_kind_of(op), FIELD_SIZE)) op_set(op, FIELD_SIZE, page.is_large);
}

static void draw_rmp_op(const struct draw *draw, struct op *op)
{
    struct random *random = draw->random;

    draw_rmp_page(draw, op);
    switch (op_kind_of(op)) {
    case OP_RMPUPDATE:
        op_set(op, FIELD_ASSIGNED, !random_one_in(random, 5));
        op_set(op, FIELD_ASID, op_default(op, FIELD_ASID));
        if (random_one_in(random, 10)) op_set(op, FIELD_ASID, random_below(random, 3));
        if (!random_one_in(random, 20) || !op_get(op, FIELD_ASSIGNED)) break;
        op_set(op, FIELD_IMMUTABLE, 1);
        if (random_one_in(random, 3)) { /* a firmware page */
            op_set(op, FIELD_ASID, 0);
            op_set(op, FIELD_GPA, 0);
        }
        break;
    case OP_SET_STATE: op_set(op, FIELD_STATE, 1 + random_below(random, 10)); break;
    case OP_RMP_HOLD:
        op_set(op, FIELD_HOLD, random_below(random, 2));
        op_set(op, FIELD_HOLD_N, random_one_in(random, 8) ? UINT64_MAX : random_below(random, 4));
        break;
    case OP_PVALIDATE: op_set(op, FIELD_VALIDATE, !random_one_in(random, 6)); break;
    case OP_RMPADJUST:
        op_set(op, FIELD_VMPL, 1 + random_below(random, 3));
        if (random_one_in(random, 8)) op_set(op, FIELD_VMPL, 0);
        op_set(op, FIELD_PERMS, random_below(random, 32));
        op_set(op, FIELD_VMSA, random_one_in(random, 8));
        break;
    default: break;
    }
}

/* ---- whole ops and scripts ------------------------------------------------------------------------------------- */

/* Misalign, wrap or empty one address or length, or leave a half. */
static void draw_odd(const struct draw *draw, struct op *op)
{
    const enum op_field field =
        (enum op_field)DRAW_OF(draw->random, FIELD_INPUT, FIELD_HPA, FIELD_LENGTH, FIELD_AT, FIELD_PIECE);

    if (draw->limits->has_halves && op_has(op_kind_of(op), FIELD_LENGTH) && random_one_in(draw->random, 4)) {
        op_set(op, FIELD_INPUT, bit(draw->limits->input_bits) - bit(draw->limits->page_shift));
        op_set(op, FIELD_LENGTH, bit(draw->limits->page_shift + 1));
        return;
    }
    if (op_has(op_kind_of(op), field)) op_set(op, field, make_odd(draw->random, op_get(op, field)));
}

static void draw_fields(const struct draw *draw, struct op *op)
{
    switch (op_kind_of(op)) {
    case OP_MAP:
    case OP_MAP_LIST: draw_map(draw, op); break;
    case OP_UNMAP:
        draw_live_range(draw, op);
        op_set(op, FIELD_SYNC, !random_one_in(draw->random, 4));
        op_set(op, FIELD_RANGES, random_one_in(draw->random, 3));
        break;
    case OP_DIRTY_READ:
        draw_live_range(draw, op);
        op_set(op, FIELD_CLEAR, !random_one_in(draw->random, 4));
        if (random_one_in(draw->random, 3))
            op_set(op, FIELD_PAGE, DRAW_OF(draw->random, SHIFT_4K, SHIFT_4K, 4, 11, 14, 16, 18, SHIFT_2M, 33, 63));
        op_set(op, FIELD_UNSYNCED, random_one_in(draw->random, 8));
        break;
    case OP_INV_PAGES:
        draw_live_range(draw, op);
        op_set(op, FIELD_NOW, random_one_in(draw->random, 2));
        op_set(op, FIELD_PDE, !random_one_in(draw->random, 4));
        break;
    case OP_SYNC: draw_table(draw, op); break;
    case OP_CUT: draw_cut(draw, op); break;
    case OP_RESIZE: draw_resize(draw, op); break;
    case OP_DMA:
    case OP_EVICT: draw_dma(draw, op); break;
    case OP_FAIL_ALLOC:
        op_set(op, FIELD_COUNT_N, draw->context->is_limited ? UINT64_MAX : random_below(draw->random, 8));
        break;
    default:
        if (op_kind_of(op) >= OP_RMPUPDATE && op_kind_of(op) <= OP_RMP_HOLD) draw_rmp_op(draw, op);
        script_draw_convert(draw->random, draw->context, op);
        break;
    }
}

struct op script_generate_op(struct random *random, const struct script_style *style,
                             const struct script_context *context)
{
    const struct draw draw = { random, style, context, &context->limits };
    struct op op = op_make(draw_kind(&draw));

    draw_fields(&draw, &op);
    if (draw_percent(random, style->odd_percent)) {
        draw_odd(&draw, &op);
        script_limit_map(&context->limits, &op, SCRIPT_LEAVES_MAX);
        script_limit_resize(context, &op);
    }
    CHECK(op_is_legal(&op));
    return op;
}

/*
 * A 2M page of the guest's, S2 and RMP agreed, with a few 4K pages of it in S1, and a device that uses one: what all
 * that concerns two stages and sizes starts from. Drawn op by op it comes together too seldom.
 */
static size_t draw_guest_page(struct random *random, const struct op *world, struct op ops[GUEST_PAGE_OPS])
{
    const uint64_t region = (1 + random_below(random, 3)) << SHIFT_2M;
    const uint64_t offset = random_below(random, 496) << SHIFT_4K;
    size_t count = 0;

    ops[count] = op_make(OP_MAP);
    op_set(&ops[count], FIELD_INPUT, region);
    op_set(&ops[count], FIELD_HPA, region);
    op_set(&ops[count++], FIELD_LENGTH, bit(SHIFT_2M));
    if (op_get(world, FIELD_RMP)) {
        ops[count] = op_make(OP_RMPUPDATE);
        op_set(&ops[count], FIELD_HPA, region);
        op_set(&ops[count], FIELD_GPA, region);
        op_set(&ops[count++], FIELD_SIZE, 1);
    }
    ops[count] = op_make(OP_MAP);
    op_set(&ops[count], FIELD_INPUT, region + offset);
    op_set(&ops[count], FIELD_HPA, region + offset);
    op_set(&ops[count], FIELD_LENGTH, (1 + random_below(random, 16)) << SHIFT_4K);
    op_set(&ops[count++], FIELD_STAGE, STAGE_S1);
    ops[count] = op_make(OP_DMA);
    op_set(&ops[count], FIELD_INPUT, region + offset + random_below(random, 4096));
    op_set(&ops[count], FIELD_ACCESS, random_below(random, 2));
    op_set(&ops[count++], FIELD_DEVICE, 1);
    return count;
}

size_t script_generate_for(struct random *random, enum script_theme theme, struct op *ops, size_t capacity)
{
    struct script_context context;
    struct script_style style;
    size_t wanted, count = 1;

    CHECK(capacity >= 1);
    ops[0] = script_generate_world(random, theme);
    style = script_generate_style(random, theme, &ops[0]);
    script_context_begin(&context, &ops[0]);
    wanted = random_one_in(random, 4) ? 255 : 64;
    if (theme == SCRIPT_LOCKSTEP) wanted /= 2; /* what sizes do to each other takes few ops */
    wanted = min_u64(capacity, 2 + random_below(random, wanted));
    if (style.is_two_stage && draw_percent(random, 80)) {
        struct op backing[2];
        const size_t backed = min_u64(script_back_s1(&ops[0], backing), capacity - 1);

        memcpy(ops + 1, backing, backed * sizeof(*ops));
        count += backed;
        if (theme == SCRIPT_LOCKSTEP && random_one_in(random, 2) && capacity - count >= GUEST_PAGE_OPS)
            count += draw_guest_page(random, &ops[0], ops + count);
        for (size_t i = 1; i < count; i++) script_context_note(&context, &ops[i]);
    }
    for (; count < wanted; count++) {
        ops[count] = script_generate_op(random, &style, &context);
        script_context_note(&context, &ops[count]);
    }
    return count;
}
