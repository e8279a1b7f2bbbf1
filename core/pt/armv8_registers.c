/* TCR, VTCR and MAIR of an armv8 table. See armv8_registers.h. */
#include "pt/armv8_registers.h"

#include "pt/engine.h"

#include <string.h>

/* Index 0 normal non-cacheable, 1 normal write-back, 2 Device-nGnRE, 3 inner non-cacheable outer write-back. */
#define MAIR_VALUE UINT64_C(0xf404ff44)

enum {
    SHAREABLE_OUTER = 2,
    SHAREABLE_INNER = 3,
    WALKS_NOT_CACHED = 0,
    WALKS_WRITE_BACK = 1,
    LEVEL_OF_PAGES = 3, /* Arm's number */
};

static unsigned output_width_code(unsigned bits)
{
    static const unsigned widths[] = { 32, 36, 40, 42, 44, 48, 52 };
    unsigned code = 0;

    while (code < 6 && widths[code] < bits) code++;
    return code;
}

static unsigned granule_code(unsigned shift, bool is_upper_half)
{
    if (shift == 12) return is_upper_half ? 2 : 0;
    if (shift == 14) return is_upper_half ? 1 : 2;
    return is_upper_half ? 3 : 1;
}

/* 4K counts 0 = level 2, 1 = level 1, 2 = level 0; 16K and 64K count 0 = level 3 upward. */
static unsigned start_level_code(unsigned granule_shift, unsigned start_level)
{
    return granule_shift == 12 ? ~(start_level + 1) & 3 : ~start_level & 3;
}

bool armv8_registers(const struct pt *pt, bool outer_write_back, struct armv8_registers *registers)
{
    const struct pt_geometry *geometry = &pt->engine->geometry;
    const bool is_coherent = !(pt->features & PT_DMA_INCOHERENT);
    const bool is_stage2 = pt->engine->features & PT_STAGE2_FWB;
    struct pt_info info;

    if (strncmp(pt->engine->format, "armv8", 5) != 0) return false;
    if (outer_write_back && (is_coherent || is_stage2)) return false;
    pt_get_info(pt, &info);
    *registers = (struct armv8_registers){
        .is_stage2 = is_stage2,
        .ps = output_width_code(info.oa_bits),
        .tg = granule_code(geometry->granule_shift, info.features & PT_UPPER_HALF),
        .sh = is_coherent ? SHAREABLE_INNER : SHAREABLE_OUTER,
        .orgn = is_coherent || outer_write_back ? WALKS_WRITE_BACK : WALKS_NOT_CACHED,
        .irgn = is_coherent ? WALKS_WRITE_BACK : WALKS_NOT_CACHED,
        .tsz = 64 - info.va_bits,
        .mair = is_stage2 ? 0 : MAIR_VALUE,
        .start_level = LEVEL_OF_PAGES - info.top_level,
        .top_bytes = 8u << (info.va_bits - geometry->granule_shift - geometry->index_bits * info.top_level),
    };
    if (is_stage2) registers->sl0 = start_level_code(geometry->granule_shift, registers->start_level);
    return true;
}
