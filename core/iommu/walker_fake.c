/*
 * The invented format, as hardware would read it; written from its manual alone, the comment of pt/formats/fake.h
 * (sections 1 to 4).
 *
 * Level 0: 2K items, 1: 1M, 2: 512M, 3: 256G, 4: 128T. Flags move up by two bits a level, the address by three.
 */
#include "iommu/walker.h"

enum {
    FAKE_GRANULE_SHIFT = 11,
    FAKE_TABLE_SHIFT = 12,
    FLAG_PRESENT = 0, /* bit numbers at level 0 */
    FLAG_RIGHTS = 1,
    FLAG_LEAF = 3,
    FLAG_ACCESSED = 4,
    FLAG_DIRTY = 5,
    FIELD_RUN = 6,
    FIELD_RUN_BITS = 4,
    FIELD_ADDRESS = 12,
    FIELD_ADDRESS_BITS = 36,
    BIT_SOFTWARE = 60,
    FIELD_LEVEL = 61,
    FLAG_STEP = 2, /* bits further up a level */
    ADDRESS_STEP = 3,
};

/* By level: bit r set = a run of 2^r items is a leaf there. */
static const uint16_t fake_runs[] = { 1 << 0 | 1 << 2 | 1 << 5, 1 << 0 | 1 << 3, 1 << 0 | 1 << 1 | 1 << 4, 1 << 1, 0 };

WALK_INLINE uint64_t fake_field(uint64_t item, unsigned first, unsigned bits)
{
    return item >> first & low_mask(bits);
}

/* Bits of an item of `level` that mean something. */
WALK_INLINE uint64_t fake_known(unsigned level)
{
    return low_mask(FIELD_RUN + FIELD_RUN_BITS) << FLAG_STEP * level |
           low_mask(FIELD_ADDRESS_BITS) << (FIELD_ADDRESS + ADDRESS_STEP * level) | ~low_mask(FIELD_LEVEL);
}

WALK_INLINE enum item_kind fake_decode(const struct iommu_table *table, uint64_t item, unsigned level,
                                       struct item_meaning *meaning)
{
    const uint64_t flags = item >> FLAG_STEP * level;
    const unsigned run = (unsigned)fake_field(flags, FIELD_RUN, FIELD_RUN_BITS);
    const unsigned item_shift = FAKE_GRANULE_SHIFT + 9 * level;
    const bool is_leaf = fake_field(flags, FLAG_LEAF, 1);

    /* P = 0 is empty, whatever else. */
    if (!fake_field(flags, FLAG_PRESENT, 1)) return ITEM_EMPTY;

    /* 4. Wrong level, reserved bits; SW is known in a table item only. */
    if (item >> FIELD_LEVEL != level + 1) return ITEM_RESERVED;
    if (item & ~(fake_known(level) | (is_leaf ? 0 : bit(BIT_SOFTWARE)))) return ITEM_RESERVED;

    /* R below W, as in enum walk_right. */
    meaning->rights = (unsigned)fake_field(flags, FLAG_RIGHTS, 2);
    meaning->address = fake_field(item, FIELD_ADDRESS + ADDRESS_STEP * level, FIELD_ADDRESS_BITS) << FAKE_GRANULE_SHIFT;
    if (!is_leaf) {
        if (level == 0 || run != 0 || !is_aligned(meaning->address, FAKE_TABLE_SHIFT)) return ITEM_RESERVED;
        return ITEM_TABLE;
    }
    /* 3. Each item of a run holds its own address: that of the run is found by clearing what the run's index adds. */
    if (!(fake_runs[level] >> run & 1) || !is_aligned(meaning->address, item_shift)) return ITEM_RESERVED;
    meaning->shift = item_shift + run;
    meaning->address = align_down(meaning->address, meaning->shift);
    return walk_output_fits(table, meaning) ? ITEM_LEAF : ITEM_RESERVED;
}

static const struct walk_format format = {
    .granule_shift = FAKE_GRANULE_SHIFT,
    .index_bits = 9,
    .top_level_max = 4,
    .accessed = UINT64_C(1) << FLAG_ACCESSED,
    .dirty = UINT64_C(1) << FLAG_DIRTY,
    .marks_step = FLAG_STEP,
    .accessed_in_tables = true,
    .decode = fake_decode,
};

DEFINE_WALKER(fake);
