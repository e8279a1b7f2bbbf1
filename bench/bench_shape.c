#include "bench_shape.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

#define SIZE(shift) (UINT64_C(1) << (shift))
#define SIZES_4K    (SIZE(12) | SIZE(21) | SIZE(30))
#define EVERYTHING  UINT64_MAX
#define ARM_SIZES   (SIZES_4K | SIZE(16) | SIZE(25) | SIZE(34)) /* runs of 16 at every level */
#define ARM_16K     (SIZE(14) | SIZE(21) | SIZE(25) | SIZE(30)) /* runs of 128 and of 32 */
#define ARM_64K     (SIZE(16) | SIZE(21) | SIZE(29) | SIZE(34)) /* runs of 32; 4T would need 52 bits */
#define RISCV_SIZES (SIZES_4K | SIZE(16) | SIZE(39))            /* Sv48 with Svnapot */
#define FAKE_SIZES                                                                                                     \
    (SIZE(11) | SIZE(13) | SIZE(16) | SIZE(20) | SIZE(23) | SIZE(29) | SIZE(30) | SIZE(33) | SIZE(39)) /* fake.h 3 */
#define AMDV1_SIZES UINT64_C(0x000fff7ffffff000) /* each power of two 4K .. 2^51 but 512G */

/* formats.md 1.1 .. 1.6; what a plain name means: engine.h. */
static const struct bench_format formats[] = {
    { "amdv1", 12, 9, AMDV1_SIZES, 2, RUNS_OF_ONE_WORD, EVERYTHING },
    { "x86_64", 12, 9, SIZES_4K, 3, RUNS_NONE, EVERYTHING },
    { "vtdss", 12, 9, SIZES_4K, 3, RUNS_NONE, SIZES_4K },
    { "riscv64", 12, 9, RISCV_SIZES, 3, RUNS_OF_ONE_WORD, RISCV_SIZES },
    { "riscv64_s2", 12, 9, RISCV_SIZES, 3, RUNS_OF_ONE_WORD, RISCV_SIZES },
    { "armv8", 12, 9, ARM_SIZES, 3, RUNS_OF_ARM, ARM_SIZES },
    { "armv8_16k", 14, 11, ARM_16K, 2, RUNS_OF_ARM, ARM_16K },
    { "armv8_64k", 16, 13, ARM_64K, 2, RUNS_OF_ARM, ARM_64K },
    { "armv8_s2", 12, 9, ARM_SIZES, 3, RUNS_OF_ARM, ARM_SIZES },
    { "armv8_s2_16k", 14, 11, ARM_16K, 2, RUNS_OF_ARM, ARM_16K },
    { "armv8_s2_64k", 16, 13, ARM_64K, 2, RUNS_OF_ARM, ARM_64K },
    { "fake", 11, 9, FAKE_SIZES, 3, RUNS_OF_FAKE, FAKE_SIZES },
};

static const struct bench_shape shapes[] = {
    { SHAPE_ONE, 11 },     { SHAPE_ONE, 12 }, { SHAPE_ONE, 13 }, { SHAPE_ONE, 14 },   { SHAPE_ONE, 15 },
    { SHAPE_ONE, 16 },     { SHAPE_ONE, 17 }, { SHAPE_ONE, 18 }, { SHAPE_ONE, 19 },   { SHAPE_ONE, 20 },
    { SHAPE_ONE, 21 },     { SHAPE_ONE, 22 }, { SHAPE_ONE, 23 }, { SHAPE_ONE, 24 },   { SHAPE_ONE, 25 },
    { SHAPE_ONE, 26 },     { SHAPE_ONE, 27 }, { SHAPE_ONE, 28 }, { SHAPE_ONE, 29 },   { SHAPE_ONE, 30 },
    { SHAPE_MANY, 0 },     { SHAPE_MANY, 1 }, { SHAPE_MANY, 2 }, { SHAPE_GIB_AS, 0 }, { SHAPE_GIB_AS, 1 },
    { SHAPE_GIB_BEST, 0 },
};

const struct bench_format *bench_format_find(const char *name)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(formats[i].name, name) == 0) return &formats[i];
    }
    return NULL;
}

struct bench_run_word bench_run_word(const struct bench_format *format, unsigned level, unsigned run_shift)
{
    const unsigned level_shift = bench_level_shift(format, level);

    if (format->runs == RUNS_OF_ARM)
        return (struct bench_run_word){ bit(52), run_shift > 0 ? bit(52) : 0, bit(level_shift) };
    CHECK(format->runs == RUNS_OF_FAKE);
    return (struct bench_run_word){
        .mask = UINT64_C(15) << (6 + 2 * level),
        .value = (uint64_t)run_shift << (6 + 2 * level),
        .step = bit(level_shift - 11 + 12 + 3 * level),
    };
}

const struct bench_shape *bench_shape_at(unsigned index)
{
    return index < sizeof(shapes) / sizeof(shapes[0]) ? &shapes[index] : NULL;
}

const char *bench_size_name(unsigned shift, char text[SHAPE_NAME_BYTES])
{
    CHECK(shift >= 10 && shift < 40);
    snprintf(text, SHAPE_NAME_BYTES, "%u%c", 1U << shift % 10, "KMG"[shift / 10 - 1]);
    return text;
}

bool bench_shape_fit(const struct bench_format *format, const struct bench_shape *shape, struct table_shape *fitted)
{
    const unsigned parameter = shape->parameter;
    const unsigned level_shift = bench_level_shift(format, parameter);
    char size[SHAPE_NAME_BYTES];

    *fitted = (struct table_shape){ .length = bit(SHIFT_1G) };
    switch (shape->kind) {
    case SHAPE_ONE:
        fitted->length = bit(parameter);
        snprintf(fitted->name, sizeof(fitted->name), "1x%.4s", bench_size_name(parameter, size));
        return parameter >= format->granule_shift;
    case SHAPE_MANY:
        if (level_shift > SHIFT_1G || !(format->leaf_sizes & bit(level_shift))) return false;
        fitted->length = SHAPE_MANY_LEAVES * bit(level_shift);
        snprintf(fitted->name, sizeof(fitted->name), "256x%.4s", bench_size_name(level_shift, size));
        break;
    case SHAPE_GIB_AS:
        if (level_shift >= SHIFT_1G || !(format->leaf_sizes & bit(level_shift))) return false;
        snprintf(fitted->name, sizeof(fitted->name), "1GiB_as_%.4s", bench_size_name(level_shift, size));
        break;
    case SHAPE_GIB_BEST: snprintf(fitted->name, sizeof(fitted->name), "1GiB_best"); return true;
    }
    fitted->skew_shift = level_shift;
    return true;
}

bool bench_shape_is_everywhere(const struct bench_format *format, const struct bench_shape *shape)
{
    return shape->kind != SHAPE_ONE || format->sweep & bit(shape->parameter);
}
