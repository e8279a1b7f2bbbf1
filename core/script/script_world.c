/* Worlds and styles drawn at random: the frame in which script_generate.c draws ops. */
#include "script/script.h"

#include "base/bits.h"
#include "script/op_table.h"
#include "script/script_draw.h"
#include "script/script_format.h"

#include <string.h>

enum { LARGE_SHIFT_MAX = 42 };

/* Output width and C-bit: outputs must not reach the bit. */
static void draw_outputs(struct random *random, struct op *world)
{
    const unsigned c_bit = random_one_in(random, 6) ? DRAW_OF(random, 47, 51) : 0;
    const unsigned oa_bits = random_one_in(random, 8) ? DRAW_OF(random, 36, 40, 46, 48) : c_bit;

    op_set(world, FIELD_C_BIT, c_bit);
    op_set(world, FIELD_OA_BITS, c_bit && oa_bits > c_bit ? c_bit : oa_bits);
}

static void draw_switches(struct random *random, struct op *world)
{
    static const uint8_t fields[] = { FIELD_CHECK_VALIDATED, FIELD_RECHECK_ON_HIT, FIELD_INVALIDATE_ON_RMPUPDATE,
                                      FIELD_SHARED_READ_CHECKED, FIELD_KEEP_WALK_CACHE };

    for (unsigned i = 0; i < sizeof(fields); i++) {
        const enum op_field field = (enum op_field)fields[i];

        if (random_one_in(random, 8)) op_set(world, field, !op_get(world, field));
    }
    op_set(world, FIELD_IOTLB,
           DRAW_OF(random, OP_IOTLB_DEFAULT, OP_IOTLB_DEFAULT, OP_IOTLB_TINY, OP_IOTLB_TINY, OP_IOTLB_SMALL));
}

/* Who answers conversions, where there is an RMP: mostly nobody. */
static void draw_policy(struct random *random, struct op *world)
{
    if (!random_one_in(random, 4)) return;
    op_set(world, FIELD_POLICY, random_below(random, op_field_row(FIELD_POLICY)->max + 1));
    op_set(world, FIELD_BACKING, random_one_in(random, 4));
}

/* All that decides what a DMA ends in, each value often; shapes of tables seldom. */
static struct op draw_lockstep_world(struct random *random)
{
    static const uint8_t switches[] = { FIELD_CHECK_VALIDATED,         FIELD_RECHECK_ON_HIT,
                                        FIELD_INVALIDATE_ON_RMPUPDATE, FIELD_SHARED_READ_CHECKED,
                                        FIELD_ATS_TRANSLATED_CHECKED,  FIELD_KEEP_WALK_CACHE };
    struct op world = op_make(OP_WORLD);

    if (!random_one_in(random, 4)) op_set(&world, FIELD_HW, random_below(random, op_field_row(FIELD_HW)->max + 1));
    op_set(&world, FIELD_RMP, !random_one_in(random, 24));
    op_set(&world, FIELD_S1, draw_percent(random, 40));
    for (unsigned i = 0; i < sizeof(switches); i++) {
        const enum op_field field = (enum op_field)switches[i];

        if (random_one_in(random, 5)) op_set(&world, field, !op_get(&world, field));
    }
    op_set(&world, FIELD_IOTLB, random_below(random, op_field_row(FIELD_IOTLB)->max + 1));
    if (random_one_in(random, 4)) op_set(&world, FIELD_PAGE_SIZES, random_below(random, 7));
    if (random_one_in(random, 6)) op_set(&world, FIELD_FLUSH, 1);
    if (random_one_in(random, 8)) op_set(&world, FIELD_MEMORY, bit(22 + (unsigned)random_below(random, 4)));
    if (random_one_in(random, 8)) op_set(&world, FIELD_POOL, (8 + random_below(random, 24)) << SHIFT_4K);
    if (random_one_in(random, 12)) draw_outputs(random, &world);
    if (random_one_in(random, 12)) op_set(&world, FIELD_TOP_LEVEL, DRAW_OF(random, 1, 2, 3, 4));
    draw_policy(random, &world);
    return world;
}

struct op script_generate_world(struct random *random, enum script_theme theme)
{
    struct op world = op_make(OP_WORLD);

    if (theme == SCRIPT_LOCKSTEP) return draw_lockstep_world(random);
    script_format_draw(random, &world);
    draw_outputs(random, &world);
    if (random_one_in(random, 8)) op_set(&world, FIELD_PAGE_SIZES, random_below(random, 7));
    if (random_one_in(random, 4)) op_set(&world, FIELD_FLUSH, 1);
    if (random_one_in(random, 8)) op_set(&world, FIELD_POOL, (8 + random_below(random, 24)) << SHIFT_4K);
    if (random_one_in(random, 4)) op_set(&world, FIELD_MEMORY, bit(22 + (unsigned)random_below(random, 10)));
    draw_switches(random, &world);
    if (op_get(&world, FIELD_FORMAT) == 0) draw_policy(random, &world);
    script_format_settle(&world);
    return world;
}

/* How often each op comes, as far as a style does not change it. */
static const uint8_t usual_weights[][OP_KIND_LIMIT] = {
    [SCRIPT_ANY] = {
        [OP_MAP] = 46,      [OP_UNMAP] = 36,          [OP_SYNC] = 4,
        [OP_CUT] = 14,      [OP_DIRTY_READ] = 12,     [OP_RMPUPDATE] = 14,
        [OP_PSMASH] = 4,    [OP_PVALIDATE] = 6,       [OP_RMPADJUST] = 2,
        [OP_INV_PAGES] = 4, [OP_COMPLETION_WAIT] = 3, [OP_DMA] = 30,
        [OP_EVICT] = 2,     [OP_FAIL_ALLOC] = 2,      [OP_RESIZE] = 8,
        [OP_MAP_LIST] = 16, [OP_RECLAIM] = 5, [OP_UNSMASH] = 4, [OP_SET_STATE] = 5, [OP_RMP_HOLD] = 4,
 [OP_CONVERT] = 16, [OP_STEP] = 8, [OP_STALL] = 2,
    },
    [SCRIPT_LOCKSTEP] = {
        [OP_MAP] = 30,       [OP_UNMAP] = 16,          [OP_SYNC] = 4,
        [OP_CUT] = 10,       [OP_DIRTY_READ] = 2,      [OP_RMPUPDATE] = 30,
        [OP_PSMASH] = 8,     [OP_PVALIDATE] = 8,       [OP_RMPADJUST] = 2,
        [OP_INV_PAGES] = 10, [OP_COMPLETION_WAIT] = 6, [OP_DMA] = 70,
        [OP_EVICT] = 14,     [OP_FAIL_ALLOC] = 1,      [OP_RESIZE] = 6,
        [OP_MAP_LIST] = 6, [OP_RECLAIM] = 4, [OP_UNSMASH] = 3, [OP_SET_STATE] = 4, [OP_RMP_HOLD] = 2,
 [OP_CONVERT] = 24, [OP_STEP] = 16, [OP_STALL] = 1,
    },
};

/* Few pages, most of them whole 2M regions where S2 and RMP can agree or not. */
static void draw_lockstep_style(struct random *random, struct script_style *style)
{
    style->cold_percent = (uint8_t)random_below(random, 15);
    style->size_shift_max = SHIFT_2M + (uint8_t)random_below(random, 3);
    style->has_many_leaves = false;
}

struct script_style script_generate_style(struct random *random, enum script_theme theme, const struct op *world)
{
    const uint8_t *usual = usual_weights[theme];
    const struct script_format *format = script_format_of(world);
    const bool has_rmp = strcmp(format->name, "amdv1") == 0 && op_get(world, FIELD_RMP);
    const bool has_policy = has_rmp && op_get(world, FIELD_POLICY) != 0;
    const bool cut_is_dear = !(format->sizes & bit(format->page_shift + 1)); /* it makes a table full of leaves */
    struct script_style style = { .theme = theme, .is_two_stage = op_get(world, FIELD_S1) != 0 };

    style.cold_percent = (uint8_t)(5 + random_below(random, 30));
    style.odd_percent = random_one_in(random, 2) ? (uint8_t)random_below(random, 6) : 0;
    style.size_shift_max = random_one_in(random, 8) ? LARGE_SHIFT_MAX : (uint8_t)(13 + random_below(random, 18));
    style.has_many_leaves = random_one_in(random, 16);
    if (theme == SCRIPT_LOCKSTEP) draw_lockstep_style(random, &style);
    for (unsigned row = 1; op_spec_at(row); row++) {
        const unsigned kind = op_spec_at(row)->kind;
        const bool is_rmp = kind >= OP_RMPUPDATE && kind <= OP_RMP_HOLD;
        const unsigned chance = (unsigned)random_below(random, 8);

        if (is_rmp && !has_rmp) continue;
        if ((kind == OP_CONVERT || kind == OP_STEP) && !has_policy) continue;
        if (kind == OP_DIRTY_READ && !format->has_dirty && chance) continue;
        if (kind != OP_MAP && chance < 2) continue;
        style.weight[kind] = (uint8_t)(usual[kind] * (chance < 5 ? 2 : chance < 7 ? 1 : 4) / 2);
    }
    if (cut_is_dear) style.weight[OP_CUT] /= style.has_many_leaves ? 2 : 8;
    return style;
}

size_t script_back_s1(const struct op *world, struct op ops[2])
{
    const uint64_t gpa = op_get(world, FIELD_S1_TABLES);
    const uint64_t hpa = op_get(world, FIELD_S1_BACKING);

    ops[0] = op_make(OP_MAP);
    op_set(&ops[0], FIELD_INPUT, gpa);
    op_set(&ops[0], FIELD_HPA, hpa);
    op_set(&ops[0], FIELD_LENGTH, bit(SHIFT_2M));
    ops[1] = op_make(OP_RMPUPDATE);
    op_set(&ops[1], FIELD_HPA, hpa);
    op_set(&ops[1], FIELD_GPA, gpa);
    op_set(&ops[1], FIELD_SIZE, 1);
    return op_get(world, FIELD_RMP) ? 2 : 1;
}

size_t script_generate(struct random *random, struct op *ops, size_t capacity)
{
    return script_generate_for(random, SCRIPT_ANY, ops, capacity);
}
