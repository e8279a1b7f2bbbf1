/*
 * Scripts drawn at random. Two ideas carry them: ops meet earlier ops (most addresses are taken from, or beside, what
 * is live), and each script is drawn in its own style (swarm weights), so that runs of one kind of op go deep.
 *
 * Never two draws in one expression: C leaves their order to the compiler, and a seed must mean one script.
 */
#include "script/script.h"

#include "base/bits.h"
#include "base/check.h"
#include "script/op_table.h"

enum {
    LEAVES_USUAL = 40, /* an op's checks cost walks per leaf: few leaves in most ops, */
    LEAVES_MANY = 600, /* now and then enough to fill a table of 512 */
    LARGE_SHIFT_MAX = 42,
};

static bool percent(struct random *random, unsigned chance)
{
    return random_below(random, 100) < chance;
}

/* ---- worlds ---------------------------------------------------------------------------------------------------- */

static uint64_t pick(struct random *random, const uint8_t *choices, unsigned count)
{
    return choices[random_below(random, count)];
}

#define PICK(random, ...) pick(random, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void draw_amdv1(struct random *random, struct op *world)
{
    op_set(world, FIELD_TOP_LEVEL, PICK(random, 0, 0, 0, 1, 2, 3, 4));
    if (random_one_in(random, 16)) {
        op_set(world, FIELD_SMALL_VA, 1);
        op_set(world, FIELD_VA_BITS, PICK(random, 32, 39, 48, 64));
        op_set(world, FIELD_TOP_LEVEL, PICK(random, 2, 5));
    }
    if (random_one_in(random, 16)) op_set(world, FIELD_FORCE_COHERENCE, PRIVATE_NO);
    op_set(world, FIELD_RMP, !random_one_in(random, 3));
    if (op_get(world, FIELD_RMP)) op_set(world, FIELD_HW, random_below(random, 7));
    if (random_one_in(random, 8)) op_set(world, FIELD_S1, 1);
}

static void draw_x86_64(struct random *random, struct op *world)
{
    op_set(world, FIELD_RMP, 0);
    switch (random_below(random, 6)) {
    case 0:
        op_set(world, FIELD_SIGN_EXTEND, 1);
        op_set(world, FIELD_VA_BITS, 48);
        break;
    case 1:
        op_set(world, FIELD_TOP_LEVEL, 4);
        op_set(world, FIELD_VA_BITS, PICK(random, 56, 57));
        break;
    case 2:
        op_set(world, FIELD_TOP_LEVEL, 4);
        op_set(world, FIELD_SIGN_EXTEND, 1);
        op_set(world, FIELD_VA_BITS, 57);
        break;
    case 3: op_set(world, FIELD_VA_BITS, PICK(random, 40, 42, 48)); break;
    default: break;
    }
}

struct op script_generate_world(struct random *random)
{
    struct op world = op_make(OP_WORLD);

    op_set(&world, FIELD_FORMAT, random_below(random, 2));
    if (op_get(&world, FIELD_FORMAT) == 0)
        draw_amdv1(random, &world);
    else
        draw_x86_64(random, &world);
    if (random_one_in(random, 6)) op_set(&world, FIELD_C_BIT, PICK(random, 47, 51));
    if (random_one_in(random, 8)) op_set(&world, FIELD_OA_BITS, PICK(random, 36, 40, 46, 48));
    /* A C-bit is an address bit that outputs must not reach. */
    if (op_get(&world, FIELD_C_BIT) && !op_get(&world, FIELD_OA_BITS)) {
        op_set(&world, FIELD_OA_BITS, op_get(&world, FIELD_C_BIT));
    }
    if (random_one_in(random, 8)) op_set(&world, FIELD_PAGE_SIZES, random_below(random, 7));
    if (random_one_in(random, 4)) op_set(&world, FIELD_FLUSH, 1);
    if (random_one_in(random, 8)) op_set(&world, FIELD_POOL, (8 + random_below(random, 24)) << SHIFT_4K);
    if (random_one_in(random, 4)) op_set(&world, FIELD_MEMORY, bit(22 + (unsigned)random_below(random, 10)));
    op_set(&world, FIELD_IOTLB, PICK(random, OP_IOTLB_DEFAULT, OP_IOTLB_DEFAULT, OP_IOTLB_TINY, OP_IOTLB_SMALL));
    if (random_one_in(random, 8)) op_set(&world, FIELD_CHECK_VALIDATED, 1);
    if (random_one_in(random, 8)) op_set(&world, FIELD_RECHECK_ON_HIT, 1);
    if (random_one_in(random, 8)) op_set(&world, FIELD_INVALIDATE_ON_RMPUPDATE, 1);
    if (random_one_in(random, 8)) op_set(&world, FIELD_SHARED_READ_CHECKED, 0);
    if (random_one_in(random, 8)) op_set(&world, FIELD_KEEP_WALK_CACHE, 0);
    return world;
}

static bool world_is_amdv1(const struct op *world)
{
    return op_get(world, FIELD_FORMAT) == 0;
}

static bool world_has_rmp(const struct op *world)
{
    return world_is_amdv1(world) && op_get(world, FIELD_RMP);
}

/* ---- styles ---------------------------------------------------------------------------------------------------- */

struct script_style script_generate_style(struct random *random, const struct op *world)
{
    static const uint8_t usual[OP_KIND_LIMIT] = {
        [OP_MAP] = 60,      [OP_UNMAP] = 32,          [OP_SYNC] = 4,
        [OP_CUT] = 14,      [OP_DIRTY_READ] = 12,     [OP_RMPUPDATE] = 12,
        [OP_PSMASH] = 4,    [OP_PVALIDATE] = 6,       [OP_RMPADJUST] = 2,
        [OP_INV_PAGES] = 4, [OP_COMPLETION_WAIT] = 3, [OP_DMA] = 26,
        [OP_EVICT] = 2,     [OP_FAIL_ALLOC] = 4,
    };
    struct script_style style = { .is_two_stage = op_get(world, FIELD_S1) != 0 };

    style.cold_percent = (uint8_t)(5 + random_below(random, 30));
    style.odd_percent = random_one_in(random, 2) ? (uint8_t)random_below(random, 6) : 0;
    style.size_shift_max = random_one_in(random, 8) ? LARGE_SHIFT_MAX : (uint8_t)(13 + random_below(random, 18));
    for (unsigned row = 1; op_spec_at(row); row++) {
        const unsigned kind = op_spec_at(row)->kind;
        const bool is_rmp = kind >= OP_RMPUPDATE && kind <= OP_RMPADJUST;
        const unsigned chance = (unsigned)random_below(random, 8);

        if (is_rmp && !world_has_rmp(world)) continue;
        if (kind != OP_MAP && chance < 2) continue;
        style.weight[kind] = (uint8_t)(usual[kind] * (chance < 5 ? 2 : chance < 7 ? 1 : 4) / 2);
    }
    return style;
}

/* How likely a kind is next: ops on what is live wait until something is. */
static unsigned weight_now(const struct script_style *style, const struct script_context *context, unsigned kind)
{
    const unsigned weight = style->weight[kind];

    switch (kind) {
    case OP_UNMAP:
    case OP_CUT:
    case OP_DIRTY_READ:
    case OP_DMA: return context->live_count ? weight : weight / 8;
    case OP_SYNC:
    case OP_COMPLETION_WAIT: return context->has_pending ? weight : weight / 8;
    case OP_FAIL_ALLOC: return context->is_limited ? weight * 3 : weight;
    case OP_PSMASH: return context->page_count ? weight : 0;
    default: return weight;
    }
}

static enum op_kind draw_kind(struct random *random, const struct script_style *style,
                              const struct script_context *context)
{
    unsigned total = 0;
    uint64_t at;

    for (unsigned row = 1; op_spec_at(row); row++) total += weight_now(style, context, op_spec_at(row)->kind);
    at = random_below(random, total ? total : 1);
    for (unsigned row = 1; op_spec_at(row); row++) {
        const unsigned weight = weight_now(style, context, op_spec_at(row)->kind);

        if (at < weight) return (enum op_kind)op_spec_at(row)->kind;
        at -= weight;
    }
    return OP_MAP;
}

/* ---- addresses ------------------------------------------------------------------------------------------------- */

/* A live range, of the given stage if there is one; NULL without any. */
static const struct script_live *draw_live(struct random *random, const struct script_context *context, unsigned stage)
{
    unsigned at;

    if (context->live_count == 0) return NULL;
    at = (unsigned)random_below(random, context->live_count);
    for (unsigned i = 0; i < context->live_count; i++) {
        const struct script_live *live = &context->live[(at + i) % context->live_count];

        if (live->stage == stage) return live;
    }
    return &context->live[at];
}

static unsigned input_bits(const struct op *world)
{
    const unsigned bits = (unsigned)op_get(world, FIELD_VA_BITS);

    if (bits) return bits - (op_get(world, FIELD_SIGN_EXTEND) ? 1 : 0);
    return world_is_amdv1(world) ? 64 : 47;
}

/* An input address that has nothing to do with earlier ones, at a multiple of 2^shift, usually inside the table. */
static uint64_t draw_cold_input(struct random *random, const struct op *world, unsigned shift)
{
    static const uint8_t edges[] = { 21, 30, 39, 47, 48, 57, 63 };
    const unsigned bits = input_bits(world);
    uint64_t address = random_u64(random);

    switch (random_below(random, 8)) {
    case 0:
    case 1: /* around the place where another table, or another level, begins */
        address = bit(edges[random_below(random, sizeof(edges))]);
        address += (random_below(random, 5) - 2) << shift;
        break;
    case 2: /* the last pages */ address = low_mask(bits) - (random_below(random, 4) << shift); break;
    case 3: break;
    default: address &= low_mask(26); break;
    }
    address = align_down(address & low_mask(bits), shift);
    if (op_get(world, FIELD_SIGN_EXTEND) && random_one_in(random, 3)) address |= ~low_mask(bits);
    return address;
}

/* An output address: data RAM more often than not, since only there RMP and DMA have something to say. */
static uint64_t draw_target(struct random *random, const struct op *world, unsigned shift)
{
    const unsigned oa_bits = (unsigned)op_get(world, FIELD_OA_BITS);
    const uint64_t memory = op_get(world, FIELD_MEMORY);

    if (percent(random, 70)) return align_down(random_below(random, memory), shift);
    return align_down(random_u64(random) & low_mask(oa_bits ? oa_bits : 52), shift);
}

/* An input address inside, at an edge of, or beside live range `live`. */
static uint64_t draw_near(struct random *random, const struct script_live *live, unsigned shift)
{
    const uint64_t inside = live->length ? random_below(random, live->length) : 0;

    switch (random_below(random, 8)) {
    case 0: return live->input + live->length;
    case 1: return live->input - bit(shift);
    case 2: return align_down(live->input + inside, SHIFT_2M);
    case 3:
    case 4: return align_down(live->input + inside, SHIFT_4K);
    default: return live->input;
    }
}

/* Spoil an aligned value a little: the engine's argument checks want exercise too. */
static uint64_t make_odd(struct random *random, uint64_t value)
{
    switch (random_below(random, 4)) {
    case 0: return value ^ bit((unsigned)random_below(random, 12));
    case 1: return value ^ bit((unsigned)random_below(random, 64));
    case 2: return 0;
    default: return UINT64_MAX - (random_below(random, 3) << SHIFT_4K);
    }
}

static unsigned draw_shift(struct random *random, unsigned max)
{
    if (percent(random, 30)) return SHIFT_4K;
    return SHIFT_4K + (unsigned)random_below(random, max - SHIFT_4K + 1);
}

/* ---- ops ------------------------------------------------------------------------------------------------------- */

static void draw_table(struct random *random, const struct script_style *style, struct op *op)
{
    if (style->is_two_stage && percent(random, 35)) op_set(op, FIELD_STAGE, STAGE_S1);
    if (random_one_in(random, 6)) op_set(op, FIELD_DOMAIN, 1);
}

/* Size of the leaves that map [input, ...) to an address that agrees with it in the low `relative` bits. */
static unsigned leaf_shift(const struct op *world, unsigned relative)
{
    if (world_is_amdv1(world)) return relative == SHIFT_512G ? SHIFT_512G - 1 : relative;
    return relative >= SHIFT_1G ? SHIFT_1G : relative >= SHIFT_2M ? SHIFT_2M : SHIFT_4K;
}

static uint64_t draw_length(struct random *random, unsigned shift, unsigned leaf)
{
    const uint64_t leaves = random_one_in(random, 24) ? LEAVES_MANY : LEAVES_USUAL;
    const uint64_t limit = leaves << leaf;
    uint64_t length = bit(shift);

    switch (random_below(random, 6)) {
    case 0: length *= 1 + random_below(random, 4); break;
    case 1: length += bit(SHIFT_4K) << random_below(random, 4); break;
    case 2: length -= shift > SHIFT_4K ? bit(SHIFT_4K) : 0; break;
    default: break;
    }
    return length > limit ? limit : length;
}

static void draw_map(struct random *random, const struct script_style *style, const struct script_context *context,
                     struct op *op)
{
    const unsigned shift = draw_shift(random, style->size_shift_max);
    const unsigned align = percent(random, 75) ? shift : draw_shift(random, shift);
    const unsigned relative = percent(random, 65) ? shift : draw_shift(random, shift);
    const struct script_live *live;
    uint64_t input, target;

    draw_table(random, style, op);
    live = draw_live(random, context, (unsigned)op_get(op, FIELD_STAGE));
    if (live && !percent(random, style->cold_percent))
        input = draw_near(random, live, align);
    else
        input = draw_cold_input(random, &context->world, align);
    target = draw_target(random, &context->world, SHIFT_4K);
    /* What a guest maps in S1 is usually something that S2 maps. */
    live = draw_live(random, context, STAGE_DEFAULT);
    if (op_get(op, FIELD_STAGE) == STAGE_S1 && live && percent(random, 80)) target = live->input;
    target = align_down(target, relative) | (input & low_mask(relative));
    op_set(op, FIELD_INPUT, input);
    op_set(op, FIELD_HPA, target);
    op_set(op, FIELD_LENGTH, draw_length(random, shift, leaf_shift(&context->world, relative)));
    if (random_one_in(random, 6)) op_set(op, FIELD_PROT, random_below(random, 64));
    if (op_get(op, FIELD_PROT) % 4 == 0 && !percent(random, style->odd_percent))
        op_set(op, FIELD_PROT, PICK(random, 1, 2, 3));
}

/* A range of what is live: whole, its front, its back, or more than it. */
static void draw_live_range(struct random *random, const struct script_style *style,
                            const struct script_context *context, struct op *op)
{
    const struct script_live *live = draw_live(random, context, (unsigned)op_get(op, FIELD_STAGE));
    const unsigned shift = draw_shift(random, style->size_shift_max);
    uint64_t input, length;

    if (!live || percent(random, style->cold_percent / 3)) {
        op_set(op, FIELD_INPUT, draw_cold_input(random, &context->world, shift));
        op_set(op, FIELD_LENGTH, bit(shift));
        return;
    }
    input = live->input;
    length = live->length;
    switch (random_below(random, 8)) {
    case 0: length = bit(shift); break;
    case 1: input = draw_near(random, live, shift); break;
    case 2: /* the aligned region around it */
        input = align_down(input, shift);
        length = bit(shift);
        break;
    case 3: length += bit(shift); break;
    case 4: length = align_down(random_below(random, length) + bit(SHIFT_4K), SHIFT_4K); break;
    default: break;
    }
    op_set(op, FIELD_INPUT, input);
    op_set(op, FIELD_LENGTH, length);
    if (op_get(op, FIELD_DOMAIN) != live->domain && percent(random, 90)) op_set(op, FIELD_DOMAIN, live->domain);
    if (op_get(op, FIELD_STAGE) != live->stage) op_set(op, FIELD_STAGE, live->stage);
}

static void draw_cut(struct random *random, const struct script_style *style, const struct script_context *context,
                     struct op *op)
{
    const unsigned shift = draw_shift(random, style->size_shift_max);
    const struct script_live *live;
    uint64_t at;

    draw_table(random, style, op);
    live = draw_live(random, context, (unsigned)op_get(op, FIELD_STAGE));
    if (!live || percent(random, style->cold_percent / 3)) {
        op_set(op, FIELD_AT, draw_cold_input(random, &context->world, shift));
        return;
    }
    at = live->input + random_below(random, live->length);
    op_set(op, FIELD_AT, align_down(at, percent(random, 60) ? SHIFT_4K : shift));
    op_set(op, FIELD_DOMAIN, live->domain);
    op_set(op, FIELD_STAGE, live->stage);
}

static void draw_dma(struct random *random, const struct script_style *style, const struct script_context *context,
                     struct op *op)
{
    const unsigned stage = style->is_two_stage && percent(random, 50) ? STAGE_S1 : STAGE_DEFAULT;
    const struct script_live *live = draw_live(random, context, stage);
    uint64_t address = draw_cold_input(random, &context->world, 0);
    unsigned device = (unsigned)random_below(random, 4);

    if (live && !percent(random, style->cold_percent / 2)) {
        const uint64_t offset = random_one_in(random, 3) ? live->length - 1 : random_below(random, live->length);

        address = live->input + offset;
        /* dev1 has the stage 1, dev3 the other domain (world.h). */
        device = live->stage == STAGE_S1 ? 1 : live->domain ? 3 : (unsigned)PICK(random, 0, 0, 1, 2);
    }
    op_set(op, FIELD_INPUT, address);
    op_set(op, FIELD_DEVICE, device);
    if (!op_has(op_kind_of(op), FIELD_ACCESS)) return;
    op_set(op, FIELD_ACCESS, !random_one_in(random, 3));
    if (random_one_in(random, 5)) op_set(op, FIELD_PRIVATE, random_below(random, 3));
}

/* A page for the RMP: what a live mapping leads to, or one that is in the RMP already. */
static void draw_rmp_page(struct random *random, const struct script_style *style, const struct script_context *context,
                          struct op *op)
{
    const struct script_live *live = draw_live(random, context, STAGE_DEFAULT);
    const bool has_gpa = op_has(op_kind_of(op), FIELD_GPA);
    const bool is_old = context->page_count && percent(random, op_kind_of(op) == OP_RMPUPDATE ? 25 : 85);
    uint64_t hpa = draw_target(random, &context->world, SHIFT_4K);
    uint64_t gpa = draw_cold_input(random, &context->world, SHIFT_4K);
    bool is_large = random_one_in(random, 2);

    if (is_old) {
        const unsigned at = (unsigned)random_below(random, context->page_count);

        hpa = context->pages[at].hpa;
        gpa = context->pages[at].gpa;
        is_large = context->pages[at].is_large;
        if (is_large && random_one_in(random, 4)) is_large = false;
    } else if (live && live->stage != STAGE_S1 && !percent(random, style->cold_percent)) {
        const uint64_t offset = align_down(random_below(random, live->length), SHIFT_4K);

        hpa = live->target + offset;
        gpa = live->input + offset;
        is_large = is_large || is_aligned(live->length | live->target | live->input, SHIFT_2M);
    }
    if (is_large && !percent(random, style->odd_percent)) {
        hpa = align_down(hpa, SHIFT_2M);
        gpa = align_down(gpa, SHIFT_2M);
    }
    op_set(op, FIELD_HPA, hpa);
    if (has_gpa) op_set(op, FIELD_GPA, gpa);
    if (has_gpa) op_set(op, FIELD_SIZE, is_large);
}

static void draw_rmp_rest(struct random *random, struct op *op)
{
    switch (op_kind_of(op)) {
    case OP_RMPUPDATE:
        op_set(op, FIELD_ASSIGNED, !random_one_in(random, 5));
        op_set(op, FIELD_ASID, op_default(op, FIELD_ASID));
        if (random_one_in(random, 10)) op_set(op, FIELD_ASID, random_below(random, 3));
        if (random_one_in(random, 40)) op_set(op, FIELD_IMMUTABLE, 1);
        break;
    case OP_PVALIDATE: op_set(op, FIELD_VALIDATE, !random_one_in(random, 6)); break;
    case OP_RMPADJUST:
        op_set(op, FIELD_VMPL, random_below(random, 4));
        op_set(op, FIELD_PERMS, random_below(random, 32));
        op_set(op, FIELD_VMSA, random_one_in(random, 8));
        break;
    default: break;
    }
}

/* Misalign, wrap or empty one address or length. */
static void draw_odd(struct random *random, struct op *op)
{
    static const uint8_t fields[] = { FIELD_INPUT, FIELD_HPA, FIELD_LENGTH, FIELD_AT };
    const enum op_field field = (enum op_field)fields[random_below(random, sizeof(fields))];

    if (op_has(op_kind_of(op), field)) op_set(op, field, make_odd(random, op_get(op, field)));
}

struct op script_generate_op(struct random *random, const struct script_style *style,
                             const struct script_context *context)
{
    struct op op = op_make(draw_kind(random, style, context));

    switch (op_kind_of(&op)) {
    case OP_MAP: draw_map(random, style, context, &op); break;
    case OP_UNMAP:
        draw_table(random, style, &op);
        draw_live_range(random, style, context, &op);
        op_set(&op, FIELD_SYNC, !random_one_in(random, 4));
        break;
    case OP_DIRTY_READ:
        draw_table(random, style, &op);
        draw_live_range(random, style, context, &op);
        op_set(&op, FIELD_CLEAR, !random_one_in(random, 4));
        break;
    case OP_INV_PAGES:
        draw_table(random, style, &op);
        draw_live_range(random, style, context, &op);
        op_set(&op, FIELD_NOW, random_one_in(random, 2));
        op_set(&op, FIELD_PDE, !random_one_in(random, 4));
        break;
    case OP_SYNC: draw_table(random, style, &op); break;
    case OP_CUT: draw_cut(random, style, context, &op); break;
    case OP_DMA:
    case OP_EVICT: draw_dma(random, style, context, &op); break;
    case OP_RMPUPDATE:
    case OP_PSMASH:
    case OP_PVALIDATE:
    case OP_RMPADJUST:
        draw_rmp_page(random, style, context, &op);
        draw_rmp_rest(random, &op);
        break;
    case OP_FAIL_ALLOC: op_set(&op, FIELD_COUNT_N, context->is_limited ? UINT64_MAX : random_below(random, 6)); break;
    default: break;
    }
    if (percent(random, style->odd_percent)) draw_odd(random, &op);
    CHECK(op_is_legal(&op));
    return op;
}

/* Give stage 1 somewhere to live: S2 maps the guest's table area, and the guest owns what backs it. */
static size_t generate_s1_backing(const struct op *world, struct op *ops, size_t capacity)
{
    const uint64_t gpa = op_get(world, FIELD_S1_TABLES);
    const uint64_t hpa = op_get(world, FIELD_S1_BACKING);
    size_t count = 0;

    if (capacity < 2) return 0;
    ops[count] = op_make(OP_MAP);
    op_set(&ops[count], FIELD_INPUT, gpa);
    op_set(&ops[count], FIELD_HPA, hpa);
    op_set(&ops[count++], FIELD_LENGTH, bit(SHIFT_2M));
    if (!world_has_rmp(world)) return count;
    ops[count] = op_make(OP_RMPUPDATE);
    op_set(&ops[count], FIELD_HPA, hpa);
    op_set(&ops[count], FIELD_GPA, gpa);
    op_set(&ops[count++], FIELD_SIZE, 1);
    return count;
}

size_t script_generate(struct random *random, struct op *ops, size_t capacity)
{
    struct script_context context;
    struct script_style style;
    size_t wanted, count = 1;

    CHECK(capacity >= 1);
    ops[0] = script_generate_world(random);
    style = script_generate_style(random, &ops[0]);
    script_context_begin(&context, &ops[0]);
    wanted = min_u64(capacity, 2 + random_below(random, random_one_in(random, 4) ? 255 : 64));
    if (style.is_two_stage && percent(random, 80)) {
        count += generate_s1_backing(&ops[0], ops + 1, capacity - 1);
        for (size_t i = 1; i < count; i++) script_context_note(&context, &ops[i]);
    }
    for (; count < wanted; count++) {
        ops[count] = script_generate_op(random, &style, &context);
        script_context_note(&context, &ops[count]);
    }
    return count;
}
