/* What the oracle knows of each format: leaf sizes and capabilities, no bits. Sources: formats.md 1.0 to 1.2, 6. */
#include "base/bits.h"
#include "oracle/oracle.h"

#include <stddef.h>
#include <string.h>

static const struct oracle_format formats[] = {
    {
        .name = "amdv1",
        .max_level = 5,
        .max_leaf_level = 4,
        .has_contiguous = true,
        .excluded_sizes = UINT64_C(1) << 39, /* a single 512G leaf is a hardware bug */
        .dirty_is_readable = true,
        .can_cut = true,
    },
    {
        .name = "x86_64",
        .max_level = 4,
        .max_leaf_level = 2,
        .read_is_implied = true,
        .starts_dirty = true,
        .can_cut = true,
    },
};

const struct oracle_format *oracle_find_format(const char *name)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(formats[i].name, name) == 0) return &formats[i];
    }
    return NULL;
}

enum { GRANULE_SHIFT = 12, INDEX_BITS = 9 };

static unsigned item_shift(unsigned level)
{
    return GRANULE_SHIFT + INDEX_BITS * level;
}

/* Leaf sizes of one level: the item itself, and with contiguous runs every power of two up to half a table. */
static uint64_t level_sizes(const struct oracle_format *format, unsigned level)
{
    uint64_t sizes = bit(item_shift(level));

    if (!format->has_contiguous) return sizes;
    for (unsigned shift = item_shift(level); shift < item_shift(level) + INDEX_BITS; shift++) sizes |= bit(shift);
    return sizes;
}

/*
 * formats.md 2.1: a fixed top offers the levels up to it, a growing one every level whose item is smaller than the
 * input space; nothing reaches 2^oa_bits. With small_va no size exceeds the input space (Linux 7.2).
 */
static uint64_t possible_sizes(const struct oracle_config *config)
{
    uint64_t sizes = 0;

    for (unsigned level = 0; level <= config->format->max_leaf_level; level++) {
        if (config->grows ? item_shift(level) >= config->va_bits : level > config->top_level) break;
        sizes |= level_sizes(config->format, level);
    }
    if (config->small_va) sizes &= low_mask((unsigned)min_u64(config->va_bits + 1, 64));
    return sizes & low_mask(config->oa_bits) & ~config->format->excluded_sizes;
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
    const unsigned top = item_shift(table->top_level) + INDEX_BITS;

    if (!table->config.grows) return table->config.va_bits;
    return (unsigned)min_u64(top, table->config.va_bits);
}

/* formats.md 2.4: the bits above the reach are all 0, or with sign extension all equal to the top bit of the reach. */
static bool fits(unsigned bits, bool sign_extend, uint64_t address)
{
    const uint64_t high = ~low_mask(sign_extend ? bits - 1 : bits);

    return (address & high) == 0 || (sign_extend && (address & high) == high);
}

bool oracle_decodes(const struct oracle_table *table, uint64_t address)
{
    return fits(oracle_reach_bits(table), table->config.sign_extend, address);
}
