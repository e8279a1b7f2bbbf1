/* The lines of corpus/golden/arm that the other sets do not have. See golden_arm.h. */
#include "import/golden_arm.h"

#include "base/bits.h"
#include "base/check.h"
#include "pt/armv8_registers.h"
#include "pt/engine.h"

#include <stdio.h>
#include <string.h>

/* A quirk that the driver knows for no table of this format: a feature that no engine has. */
#define UNKNOWN_QUIRK (UINT32_C(1) << 31)

static const struct {
    const char *name;
    uint32_t feature;
} quirks[] = {
    { "none", 0 },
    { "ns", PT_NON_SECURE },
    { "hd", PT_HARDWARE_DIRTY },
    { "ttbr1", PT_UPPER_HALF },
    { "s2fwb", PT_STAGE2_FWB },
    { "outer-wbwa", 0 },
};

static bool request_is(const struct golden_line *line, const char *key, const char *wanted)
{
    const char *value = golden_line_get(line, key);

    return value && strcmp(value, wanted) == 0;
}

static bool is_stage2(const struct golden_line *line)
{
    return golden_line_number(line, "stage") == 2;
}

static unsigned granule_shift(const struct golden_line *line)
{
    if (request_is(line, "granule", "16K")) return 14;
    return request_is(line, "granule", "64K") ? 16 : 12;
}

void golden_arm_engine_name(const struct golden_line *line, char *name, size_t size)
{
    static const char *const suffixes[] = { [12] = "", [14] = "_16k", [16] = "_64k" };

    snprintf(name, size, "armv8%s%s", is_stage2(line) ? "_s2" : "", suffixes[granule_shift(line)]);
}

/* One bit for each known name of a comma-separated list, UNKNOWN_QUIRK for any other. */
static uint32_t features_of(const char *list, bool *outer_write_back)
{
    uint32_t features = 0;

    *outer_write_back = false;
    while (*list) {
        const size_t length = strcspn(list, ",");
        uint32_t feature = UNKNOWN_QUIRK;

        for (size_t i = 0; i < sizeof(quirks) / sizeof(quirks[0]); i++) {
            if (strlen(quirks[i].name) == length && memcmp(quirks[i].name, list, length) == 0)
                feature = quirks[i].feature;
        }
        if (length == strlen("outer-wbwa") && memcmp(list, "outer-wbwa", length) == 0) *outer_write_back = true;
        features |= feature;
        list += length + (list[length] == ',');
    }
    return features;
}

bool golden_arm_config(const struct golden_line *line, struct pt_config *config, struct golden_arm *arm)
{
    const unsigned granule = granule_shift(line);
    const unsigned bits_max = granule == 16 ? 52 : 48;
    const bool is_coherent = request_is(line, "coherent", "yes");
    const char *list = golden_line_get(line, "quirks");

    config->va_bits = (unsigned)min_u64(golden_line_number(line, "ias"), bits_max);
    config->oa_bits = (unsigned)min_u64(golden_line_number(line, "oas"), bits_max);
    config->features |= PT_ARM_IO_PGTABLE | (is_coherent ? 0 : PT_DMA_INCOHERENT);
    config->features |= features_of(list ? list : "", &arm->outer_write_back);
    arm->listed_sizes = granule == 12   ? bit(12) | bit(21) | bit(30)
                        : granule == 14 ? bit(14) | bit(25)
                                        : bit(16) | bit(29);
    if (granule == 16 && config->oa_bits > 48) arm->listed_sizes |= bit(42);
    return !arm->outer_write_back || (!is_coherent && !is_stage2(line));
}

uint64_t golden_arm_page_sizes(const struct pt *pt, const struct golden_arm *arm)
{
    const struct pt_geometry *geometry = &pt->engine->geometry;
    struct pt_info info;

    pt_get_info(pt, &info);
    return info.page_sizes |
           (arm->listed_sizes & ~low_mask(geometry->granule_shift + geometry->index_bits * (info.top_level + 1)));
}

void golden_arm_print_registers(const struct pt *pt, const struct golden_arm *arm, char *text, size_t size)
{
    struct armv8_registers registers;

    CHECK(armv8_registers(pt, arm->outer_write_back, &registers));
    if (registers.is_stage2)
        snprintf(text, size, "ps=%u tg=%u sh=%u orgn=%u irgn=%u sl0=%u tsz=%u", registers.ps, registers.tg,
                 registers.sh, registers.orgn, registers.irgn, registers.sl0, registers.tsz);
    else
        snprintf(text, size, "ips=%u tg=%u sh=%u orgn=%u irgn=%u tsz=%u mair=0x%llx", registers.ps, registers.tg,
                 registers.sh, registers.orgn, registers.irgn, registers.tsz, (unsigned long long)registers.mair);
}
