/* What the oracle knows of each format: leaf sizes and capabilities, no bits. Sources: formats.md 1.0 to 1.4, 6. */
#include "base/bits.h"
#include "oracle/oracle_internal.h"

#include <stddef.h>
#include <string.h>

#define SIZE(shift)        (UINT64_C(1) << (shift))
#define SIZES(first, last) (SIZE((last) + 1) - SIZE(first)) /* every power of two from 2^first to 2^last */

/* Every kind of memory and of right of formats.md 1.6 has its own bits. Stage 1 always reads; stage 2 knows no EL0. */
#define ARMV8_BOTH_BITS (ORACLE_WRITE | ORACLE_CACHE | ORACLE_NOEXEC | ORACLE_MMIO)
#define ARMV8_S1_BITS   (ARMV8_BOTH_BITS | ORACLE_PRIV)
#define ARMV8_S2_BITS   (ARMV8_BOTH_BITS | ORACLE_READ)

static const struct oracle_format formats[] = {
    {
        .name = "amdv1",
        .granule_shift = 12,
        .index_bits = 9,
        .max_level = 5,
        /* 2^39 alone is a hardware bug; nothing reaches 2^52. A run is at most half a table. */
        .leaf_sizes = { SIZES(12, 20), SIZES(21, 29), SIZES(30, 38), SIZES(40, 47), SIZES(48, 51) },
        .dirty_is_readable = true,
        .can_resize = true,
        .can_exchange = true,
        .prot_bits = ORACLE_READ | ORACLE_WRITE,
    },
    {
        .name = "x86_64",
        .granule_shift = 12,
        .index_bits = 9,
        .max_level = 4,
        .leaf_sizes = { SIZE(12), SIZE(21), SIZE(30) },
        .read_is_implied = true,
        .starts_dirty = true,
        .can_resize = true,
        .can_exchange = true,
        .prot_bits = ORACLE_WRITE,
    },
    {
        .name = "vtdss",
        .granule_shift = 12,
        .index_bits = 9,
        .max_level = 4,
        .leaf_sizes = { SIZE(12), SIZE(21), SIZE(30) },
        .dirty_is_readable = true,
        .can_resize = true,
        .can_exchange = true,
        .prot_bits = ORACLE_READ | ORACLE_WRITE,
    },
    {
        .name = "riscv64",
        .granule_shift = 12,
        .index_bits = 9,
        .max_level = 4,
        .width_says_top = true,
        .leaf_sizes = { SIZE(12) | SIZE(16), SIZE(21), SIZE(30), SIZE(39), SIZE(48) },
        .contiguous_sizes = SIZE(16),
        .read_is_implied = true, /* W without R is reserved */
        .starts_dirty = true,
        .can_resize = true,
        .can_exchange = true,
        .prot_bits = ORACLE_WRITE | ORACLE_NOEXEC,
    },
    {
        .name = "riscv64_s2",
        .granule_shift = 12,
        .index_bits = 9,
        .max_level = 4,
        .top_extra_bits = 2,
        .width_says_top = true,
        .leaf_sizes = { SIZE(12) | SIZE(16), SIZE(21), SIZE(30), SIZE(39), SIZE(48) },
        .contiguous_sizes = SIZE(16),
        .read_is_implied = true, /* W without R is reserved */
        .starts_dirty = true,
        .can_resize = true,
        .can_exchange = true,
        .prot_bits = ORACLE_WRITE | ORACLE_NOEXEC,
    },
    /* Arm ARM D8.2: pages and blocks by granule, each with the run of the contiguous hint. No live leaf is changed. */
    {
        .name = "armv8",
        .granule_shift = 12,
        .index_bits = 9,
        .max_level = 3,
        .leaf_sizes = { SIZE(12) | SIZE(16), SIZE(21) | SIZE(25), SIZE(30) | SIZE(34) },
        .contiguous_sizes = SIZE(16) | SIZE(25) | SIZE(34),
        .width_says_top = true,
        .read_is_implied = true,
        .dirty_is_readable = true,
        .dirty_by_switch = true,
        .starts_dirty = true,
        .prot_bits = ARMV8_S1_BITS,
    },
    {
        .name = "armv8_16k",
        .granule_shift = 14,
        .index_bits = 11,
        .max_level = 3,
        .leaf_sizes = { SIZE(14) | SIZE(21), SIZE(25) | SIZE(30) },
        .contiguous_sizes = SIZE(21) | SIZE(30),
        .width_says_top = true,
        .read_is_implied = true,
        .dirty_is_readable = true,
        .dirty_by_switch = true,
        .starts_dirty = true,
        .prot_bits = ARMV8_S1_BITS,
    },
    {
        .name = "armv8_64k",
        .granule_shift = 16,
        .index_bits = 13,
        .max_level = 2,
        .leaf_sizes = { SIZE(16) | SIZE(21), SIZE(29) | SIZE(34), SIZE(42) | SIZE(47) },
        .contiguous_sizes = SIZE(21) | SIZE(34) | SIZE(47),
        .wide_sizes = SIZE(42) | SIZE(47), /* blocks of 4T: with 52-bit output only */
        .width_says_top = true,
        .read_is_implied = true,
        .dirty_is_readable = true,
        .dirty_by_switch = true,
        .starts_dirty = true,
        .prot_bits = ARMV8_S1_BITS,
    },
    {
        .name = "armv8_s2",
        .granule_shift = 12,
        .index_bits = 9,
        .max_level = 3,
        .leaf_sizes = { SIZE(12) | SIZE(16), SIZE(21) | SIZE(25), SIZE(30) | SIZE(34) },
        .contiguous_sizes = SIZE(16) | SIZE(25) | SIZE(34),
        .top_extra_bits = 4, /* up to 16 tables side by side */
        .width_says_top = true,
        .dirty_is_readable = true,
        .dirty_by_switch = true,
        .starts_dirty = true,
        .prot_bits = ARMV8_S2_BITS,
    },
    {
        .name = "armv8_s2_16k",
        .granule_shift = 14,
        .index_bits = 11,
        .max_level = 3,
        .leaf_sizes = { SIZE(14) | SIZE(21), SIZE(25) | SIZE(30) },
        .contiguous_sizes = SIZE(21) | SIZE(30),
        .top_extra_bits = 4, /* up to 16 tables side by side */
        .width_says_top = true,
        .dirty_is_readable = true,
        .dirty_by_switch = true,
        .starts_dirty = true,
        .prot_bits = ARMV8_S2_BITS,
    },
    {
        .name = "armv8_s2_64k",
        .granule_shift = 16,
        .index_bits = 13,
        .max_level = 2,
        .leaf_sizes = { SIZE(16) | SIZE(21), SIZE(29) | SIZE(34), SIZE(42) | SIZE(47) },
        .contiguous_sizes = SIZE(21) | SIZE(34) | SIZE(47),
        .wide_sizes = SIZE(42) | SIZE(47), /* blocks of 4T: with 52-bit output only */
        .top_extra_bits = 4,               /* up to 16 tables side by side */
        .width_says_top = true,
        .dirty_is_readable = true,
        .dirty_by_switch = true,
        .starts_dirty = true,
        .prot_bits = ARMV8_S2_BITS,
    },
    {
        .name = "fake",
        .granule_shift = 11,
        .index_bits = 9,
        .max_level = 4,
        .leaf_sizes = { SIZE(11) | SIZE(13) | SIZE(16), SIZE(20) | SIZE(23), SIZE(29) | SIZE(30) | SIZE(33), SIZE(39) },
        .dirty_is_readable = true,
        .can_resize = true,
        .can_exchange = true,
        .prot_bits = ORACLE_READ | ORACLE_WRITE,
    },
};

const struct oracle_format *oracle_find_format(const char *name)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(formats[i].name, name) == 0) return &formats[i];
    }
    return NULL;
}

/*
 * formats.md 2.1: a fixed top offers the levels up to it, a growing one every level whose item is smaller than the
 * input space; nothing reaches 2^oa_bits. With small_va no size exceeds the input space (Linux 7.2).
 */
static uint64_t possible_sizes(const struct oracle_config *config)
{
    const struct oracle_format *format = config->format;
    uint64_t sizes = 0;

    for (unsigned level = 0; level <= format->max_level; level++) {
        if (config->grows ? oracle_item_shift(format, level) >= config->va_bits : level > config->top_level) break;
        sizes |= format->leaf_sizes[level];
    }
    if (!config->is_contiguous) sizes &= ~format->contiguous_sizes;
    if (config->oa_bits <= 48) sizes &= ~format->wide_sizes;
    if (config->small_va) sizes &= low_mask((unsigned)min_u64(config->va_bits + 1, 64));
    return sizes & low_mask(config->oa_bits);
}

/* Where Arm has no stage 2 that starts at `level` (formats.md 1.6): tables of the level below stand side by side. */
static bool must_fold(const struct oracle_config *config, unsigned level)
{
    const unsigned oa_bits = config->oa_bits;

    switch (config->format->granule_shift) {
    case 12: return level == 3 && (oa_bits == 40 || oa_bits == 42);
    case 14: return (level == 3 && (oa_bits == 48 || config->va_bits == 48)) || (level == 2 && oa_bits == 40);
    default: return false;
    }
}

unsigned oracle_top_level(const struct oracle_config *config)
{
    const struct oracle_format *format = config->format;
    const unsigned extra_bits = config->keeps_top ? 0 : format->top_extra_bits;
    unsigned level = 0;

    if (!format->width_says_top) return config->top_level;
    while (oracle_item_shift(format, level + 1) + extra_bits < config->va_bits) level++;
    return config->keeps_top && format->top_extra_bits && must_fold(config, level) ? level - 1 : level;
}

bool oracle_reads_dirty(const struct oracle_config *config)
{
    return config->format->dirty_is_readable && (!config->format->dirty_by_switch || config->hardware_dirty);
}

void oracle_table_init(struct oracle_table *table, const struct oracle_config *config)
{
    table->config = *config;
    table->page_sizes = possible_sizes(config);
    if (config->page_sizes) table->page_sizes &= config->page_sizes;
    table->top_level = config->top_level;
    table->mapped_bytes = 0;
    table->leaves = 0;
    sorted_reset(&table->runs);
}

void oracle_table_free(struct oracle_table *table)
{
    sorted_free(&table->runs);
}

unsigned oracle_reach_bits(const struct oracle_table *table)
{
    const unsigned top = oracle_item_shift(table->config.format, table->top_level + 1);

    if (!table->config.grows) return table->config.va_bits;
    return (unsigned)min_u64(top, table->config.va_bits);
}

/*
 * formats.md 2.4: the bits above the reach are all 0, in an upper half all 1, or with sign extension all equal to the
 * top bit of the reach.
 */
bool oracle_decodes(const struct oracle_table *table, uint64_t address)
{
    const struct oracle_config *config = &table->config;
    const unsigned bits = oracle_reach_bits(table);
    const uint64_t high = ~low_mask(config->sign_extend ? bits - 1 : bits);

    if (config->upper_half) return (address & high) == high;
    return (address & high) == 0 || (config->sign_extend && (address & high) == high);
}
