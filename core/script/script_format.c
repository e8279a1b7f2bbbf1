/* The formats as drawing sees them. See script_format.h. */
#include "script/script_format.h"

#include "base/bits.h"
#include "base/check.h"
#include "script/op_table.h"

#include <string.h>

static void draw_amdv1(struct random *random, struct op *world)
{
    op_set(world, FIELD_TOP_LEVEL, DRAW_OF(random, 0, 0, 0, 1, 2, 3, 4));
    if (random_one_in(random, 6)) {
        const bool is_full = random_one_in(random, 3);

        op_set(world, FIELD_SMALL_VA, 1);
        op_set(world, FIELD_TOP_LEVEL, is_full ? 5 : 2);
        op_set(world, FIELD_VA_BITS, is_full ? 64 : DRAW_OF(random, 32, 36, 39));
    }
    op_set(world, FIELD_RMP, !random_one_in(random, 3));
    if (op_get(world, FIELD_RMP)) op_set(world, FIELD_HW, random_below(random, 7));
    /* The engine insists on it; one world in many may hear that. */
    if (random_one_in(random, 500)) op_set(world, FIELD_FORCE_COHERENCE, PRIVATE_NO);
}

static void draw_x86_64(struct random *random, struct op *world)
{
    switch (random_below(random, 6)) {
    case 0:
        op_set(world, FIELD_SIGN_EXTEND, 1);
        op_set(world, FIELD_VA_BITS, 48);
        break;
    case 1:
        op_set(world, FIELD_TOP_LEVEL, 4);
        op_set(world, FIELD_VA_BITS, DRAW_OF(random, 56, 57));
        break;
    case 2:
        op_set(world, FIELD_TOP_LEVEL, 4);
        op_set(world, FIELD_SIGN_EXTEND, 1);
        op_set(world, FIELD_VA_BITS, 57);
        break;
    case 3: op_set(world, FIELD_VA_BITS, DRAW_OF(random, 40, 42, 48)); break;
    default: break;
    }
}

/* The VA may be narrower than the top decodes. */
static void draw_vtdss(struct random *random, struct op *world)
{
    op_set(world, FIELD_TOP_LEVEL, DRAW_OF(random, 0, 0, 2, 3, 4));
    if (random_one_in(random, 4)) op_set(world, FIELD_VA_BITS, DRAW_OF(random, 39, 39, 30, 34));
    if (op_get(world, FIELD_VA_BITS) && op_get(world, FIELD_VA_BITS) < 39) op_set(world, FIELD_TOP_LEVEL, 2);
    if (op_get(world, FIELD_TOP_LEVEL) == 4) op_set(world, FIELD_VA_BITS, DRAW_OF(random, 48, 57));
    op_set(world, FIELD_FORCE_COHERENCE, random_below(random, 3));
    if (random_one_in(random, 6)) op_set(world, FIELD_FORCE_WRITEABLE, 1);
}

static void draw_riscv64(struct random *random, struct op *world)
{
    op_set(world, FIELD_TOP_LEVEL, DRAW_OF(random, 0, 0, 2, 3, 4));
    if (random_one_in(random, 4)) op_set(world, FIELD_CONTIGUOUS, 0);
}

/* The top level follows from the width. */
static void draw_armv8(struct random *random, struct op *world)
{
    if (random_one_in(random, 2)) op_set(world, FIELD_VA_BITS, DRAW_OF(random, 32, 36, 40, 40, 40, 42, 44, 48));
    if (random_one_in(random, 4)) op_set(world, FIELD_CONTIGUOUS, 0);
    if (random_one_in(random, 3)) op_set(world, FIELD_HARDWARE_DIRTY, 1);
    /* Each has its stages; settling takes the others back. */
    if (random_one_in(random, 3)) op_set(world, FIELD_UPPER_HALF, 1);
    if (random_one_in(random, 4)) op_set(world, FIELD_NON_SECURE, 1);
    if (random_one_in(random, 3)) op_set(world, FIELD_FWB, 1);
    if (random_one_in(random, 4)) op_set(world, FIELD_IO_PGTABLE, 1);
}

/* Half a page of memory as granule; the VA may be narrower than the top decodes. */
static void draw_fake(struct random *random, struct op *world)
{
    op_set(world, FIELD_TOP_LEVEL, DRAW_OF(random, 0, 0, 1, 2, 4));
    if (random_one_in(random, 4)) op_set(world, FIELD_OA_BITS, DRAW_OF(random, 36, 40));
}

#define SIZE(shift)        (UINT64_C(1) << (shift))
#define X86_SIZES          (SIZE(12) | SIZE(21) | SIZE(30))
#define RISCV_SIZES        (X86_SIZES | SIZE(16) | SIZE(39) | SIZE(48))
#define ARM_4K_CONTIGUOUS  (SIZE(16) | SIZE(25) | SIZE(34))
#define ARM_16K_CONTIGUOUS (SIZE(21) | SIZE(30))
#define ARM_64K_CONTIGUOUS (SIZE(21) | SIZE(34))
#define ARM_4K             (X86_SIZES | ARM_4K_CONTIGUOUS)
#define ARM_16K            (SIZE(14) | SIZE(25) | ARM_16K_CONTIGUOUS)
#define FAKE_SIZES         (SIZE(11) | SIZE(13) | SIZE(16) | SIZE(20) | SIZE(23) | SIZE(29) | SIZE(30) | SIZE(33) | SIZE(39))
#define ARM_64K            (SIZE(16) | SIZE(29) | ARM_64K_CONTIGUOUS)

/* clang-format off */
static const struct script_format formats[] = {
    /* every power of two but 512G */
    { "amdv1", 12, 9, 64, 52, 2, true, false, true, ((UINT64_C(1) << 52) - 4096) & ~SIZE(39), 0,
      { "x86_64" }, draw_amdv1 },
    { "x86_64", 12, 9, 47, 52, 3, false, false, false, X86_SIZES, 0, { NULL }, draw_x86_64 },
    { "vtdss", 12, 9, 48, 52, 3, false, false, true, X86_SIZES, 0, { "x86_64" }, draw_vtdss },
    { "riscv64", 12, 9, 48, 56, 3, false, true, false, RISCV_SIZES, SIZE(16), { NULL }, draw_riscv64 },
    { "riscv64_s2", 12, 9, 50, 56, 3, false, false, false, RISCV_SIZES, SIZE(16), { "riscv64" }, draw_riscv64 },
    { "armv8", 12, 9, 48, 48, 3, false, false, true, ARM_4K, ARM_4K_CONTIGUOUS, { NULL }, draw_armv8 },
    { "armv8_16k", 14, 11, 48, 48, 3, false, false, true, ARM_16K, ARM_16K_CONTIGUOUS, { NULL }, draw_armv8 },
    { "armv8_64k", 16, 13, 48, 48, 2, false, false, true, ARM_64K, ARM_64K_CONTIGUOUS, { NULL }, draw_armv8 },
    { "armv8_s2", 12, 9, 48, 48, 3, false, false, true, ARM_4K, ARM_4K_CONTIGUOUS, { "armv8" }, draw_armv8 },
    { "armv8_s2_16k", 14, 11, 48, 48, 2, false, false, true, ARM_16K, ARM_16K_CONTIGUOUS, { "armv8" }, draw_armv8 },
    { "armv8_s2_64k", 16, 13, 48, 48, 2, false, false, true, ARM_64K, ARM_64K_CONTIGUOUS, { "armv8" }, draw_armv8 },
    { "fake", 11, 9, 46, 47, 3, false, false, true, FAKE_SIZES, 0, { NULL }, draw_fake },
};
/* clang-format on */

const struct script_format *script_format_of(const struct op *world)
{
    const char *name = op_format_name((unsigned)op_get(world, FIELD_FORMAT));

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(formats[i].name, name) == 0) return &formats[i];
    }
    CHECK(!"a format= without a row here");
    return NULL;
}

unsigned script_format_input_bits(const struct script_format *format, const struct op *world)
{
    const bool is_extended = format->has_halves || op_get(world, FIELD_SIGN_EXTEND);
    const unsigned top_level = (unsigned)op_get(world, FIELD_TOP_LEVEL);
    unsigned bits = (unsigned)op_get(world, FIELD_VA_BITS);

    if (bits) return bits - is_extended;
    bits = format->va_bits;
    if (top_level && !format->grows) bits += format->index_bits * (top_level - format->top_level);
    return bits - format->has_halves;
}

uint64_t script_format_sizes(const struct script_format *format, const struct op *world)
{
    const uint64_t allowed = op_world_page_sizes(world);
    uint64_t sizes = format->sizes & low_mask(script_format_input_bits(format, world));

    if (!op_get(world, FIELD_CONTIGUOUS) || op_get(world, FIELD_IO_PGTABLE)) sizes &= ~format->contiguous_sizes;
    return allowed ? sizes & allowed : sizes;
}

/* A first stage above this format by its place in s1=, or 0 (none). */
static unsigned s1_above(const struct script_format *format)
{
    for (unsigned i = 1; format->s1[0] && op_s1_name(i); i++) {
        if (strcmp(op_s1_name(i), format->s1[0]) == 0) return i;
    }
    return 0;
}

/* AMD's two: memory encryption, and gathers without gaps (formats.md 1.0). */
static bool is_amd(const struct script_format *format)
{
    return strcmp(format->name, "amdv1") == 0 || strcmp(format->name, "x86_64") == 0;
}

static bool can_be_incoherent(const struct script_format *format)
{
    return strcmp(format->name, "amdv1") != 0 && strncmp(format->name, "riscv64", 7) != 0;
}

void script_format_draw(struct random *random, struct op *world)
{
    const struct script_format *format;

    /* amdv1 has the most to it: growing tops, runs of every size, the RMP. */
    op_set(world, FIELD_FORMAT,
           random_one_in(random, 3) ? 0 : random_below(random, op_field_row(FIELD_FORMAT)->max + 1));
    format = script_format_of(world);
    op_set(world, FIELD_RMP, 0);
    if (format->draw) format->draw(random, world);
    if (can_be_incoherent(format) && random_one_in(random, 3)) {
        op_set(world, FIELD_INCOHERENT, 1);
        op_set(world, FIELD_WRITEBACK, random_below(random, 256));
    }
    if (random_one_in(random, 8)) op_set(world, FIELD_S1, s1_above(format));
}

/* Outputs that Arm's registers can say. Stage 2 starts at a level that its output width must allow: from 44 bits all
 * do. */
static bool is_arm_width(uint64_t bits, bool is_stage2)
{
    if (is_stage2 && bits < 44) return false;
    return bits == 32 || bits == 36 || bits == 40 || bits == 42 || bits == 44 || bits == 48;
}

static void settle_arm(struct op *world, bool is_arm, bool is_stage2)
{
    if (!is_arm || is_stage2) op_set(world, FIELD_UPPER_HALF, 0);
    if (!is_arm || is_stage2) op_set(world, FIELD_NON_SECURE, 0);
    if (!is_arm || !is_stage2) op_set(world, FIELD_FWB, 0);
    if (!is_arm) op_set(world, FIELD_IO_PGTABLE, 0);
    /* io-pgtable-arm has no dirty bits in stage 2. */
    if (!is_arm || (is_stage2 && op_get(world, FIELD_IO_PGTABLE))) op_set(world, FIELD_HARDWARE_DIRTY, 0);
    if (is_arm && !is_arm_width(op_get(world, FIELD_OA_BITS), is_stage2)) op_set(world, FIELD_OA_BITS, 0);
    /* The narrowest that a second stage of 16K has as its output: sixteen tables side by side (formats.md 5, 39). */
    if (strcmp(script_format_of(world)->name, "armv8_s2_16k") == 0 && op_get(world, FIELD_VA_BITS) == 40 &&
        !op_get(world, FIELD_IO_PGTABLE))
        op_set(world, FIELD_OA_BITS, 40);
}

void script_format_settle(struct op *world)
{
    const struct script_format *format = script_format_of(world);
    const bool is_amdv1 = strcmp(format->name, "amdv1") == 0;
    const bool is_arm = strncmp(format->name, "armv8", 5) == 0;
    const unsigned s1 = s1_above(format);

    if (op_get(world, FIELD_S1) && op_get(world, FIELD_S1) != s1) op_set(world, FIELD_S1, s1);
    if (!is_amd(format)) op_set(world, FIELD_C_BIT, 0);
    if (!is_amd(format)) op_set(world, FIELD_FLUSH, 0);
    if (!is_amdv1) op_set(world, FIELD_SMALL_VA, 0);
    if (strcmp(format->name, "x86_64") != 0) op_set(world, FIELD_SIGN_EXTEND, 0);
    if (strcmp(format->name, "vtdss") != 0) op_set(world, FIELD_FORCE_WRITEABLE, 0);
    if (!is_amdv1 && strcmp(format->name, "vtdss") != 0) op_set(world, FIELD_FORCE_COHERENCE, PRIVATE_DEFAULT);
    if (op_get(world, FIELD_OA_BITS) > format->oa_bits) op_set(world, FIELD_OA_BITS, 0);
    settle_arm(world, is_arm, format->s1[0]);
    if (!can_be_incoherent(format)) op_set(world, FIELD_INCOHERENT, 0);
    if (op_get(world, FIELD_INCOHERENT)) op_set(world, FIELD_HARDWARE_DIRTY, 0);
    if (!op_get(world, FIELD_INCOHERENT)) op_set(world, FIELD_WRITEBACK, 0);
    if (script_format_sizes(format, world) == 0) op_set(world, FIELD_PAGE_SIZES, 0);
}
