/*
 * What the two kunit programs share: the configurations on which every test of formats.md 4 runs, on both builds of the
 * engine, and the loop over them. A configuration of an engine that is not built is skipped; a new format adds rows
 * here.
 *
 * With MAPPROOF_RAN set in the environment each test prints `ran FORMAT CONFIGURATION TEST` for what it has run: what
 * scripts/matrix reads.
 */
#pragma once

#include "base/random.h"
#include "base/test_main.h"
#include "pt/pt_fixture.h"

#include <stdlib.h>

#define RW (PT_READ | PT_WRITE)

struct kunit_config {
    const char *name, *format;
    unsigned va_bits, oa_bits, top_level; /* top_level 0: the width says it */
    uint32_t features;
    unsigned c_bit;
};

#define AMDV1_ALL (PT_DYNAMIC_TOP | PT_ENCRYPT_TABLES | PT_FORCE_COHERENCE | PT_FLUSH_RANGE)

/* formats.md 4, and what else a format can be switched to. */
static const struct kunit_config kunit_configs[] = {
    { "amdv1-l1", "amdv1", 64, 52, 1, AMDV1_ALL, 0 },
    { "amdv1-l2", "amdv1", 64, 52, 2, AMDV1_ALL, 0 },
    { "amdv1-l3", "amdv1", 64, 52, 3, AMDV1_ALL, 0 },
    { "amdv1-l4", "amdv1", 64, 52, 4, AMDV1_ALL, 0 },
    { "amdv1-l5", "amdv1", 64, 52, 5, AMDV1_ALL | PT_SMALL_VA, 0 },
    { "amdv1-cbit47", "amdv1", 64, 47, 2, AMDV1_ALL, 47 },
    { "x86_64-47", "x86_64", 47, 52, 3, PT_FLUSH_RANGE, 0 },
    { "x86_64-48sx", "x86_64", 48, 52, 3, PT_SIGN_EXTEND | PT_FLUSH_RANGE_NO_GAPS, 0 },
    { "x86_64-56", "x86_64", 56, 52, 4, PT_FLUSH_RANGE | PT_DMA_INCOHERENT, 0 },
    { "x86_64-57sx", "x86_64", 57, 52, 4, PT_SIGN_EXTEND | PT_FLUSH_RANGE, 0 },
    { "vtdss-39", "vtdss", 39, 52, 2, PT_FLUSH_RANGE, 0 },
    { "vtdss-48fc", "vtdss", 48, 52, 3, PT_FORCE_COHERENCE | PT_FLUSH_RANGE | PT_DMA_INCOHERENT, 0 },
    { "vtdss-57", "vtdss", 57, 52, 4, PT_FLUSH_RANGE, 0 },
    { "vtdss-48fw", "vtdss", 48, 52, 3, PT_FORCE_WRITEABLE | PT_FLUSH_RANGE, 0 },
    { "riscv64-39n", "riscv64", 39, 56, 0, PT_SIGN_EXTEND | PT_NAPOT_64K | PT_FLUSH_RANGE, 0 },
    { "riscv64-48", "riscv64", 48, 56, 0, PT_SIGN_EXTEND | PT_FLUSH_RANGE, 0 },
    { "riscv64-57n", "riscv64", 57, 56, 0, PT_SIGN_EXTEND | PT_NAPOT_64K | PT_FLUSH_RANGE, 0 },
    { "riscv64_s2-41n", "riscv64_s2", 41, 56, 0, PT_NAPOT_64K | PT_FLUSH_RANGE, 0 },
    { "riscv64_s2-50", "riscv64_s2", 50, 56, 0, PT_FLUSH_RANGE, 0 },
    { "riscv64_s2-50n", "riscv64_s2", 50, 56, 0, PT_NAPOT_64K | PT_FLUSH_RANGE, 0 },
    { "riscv64_s2-59n", "riscv64_s2", 59, 56, 0, PT_NAPOT_64K | PT_FLUSH_RANGE, 0 },
    /* Arm: 4K, 16K and 64K, each as stage 1 (TTBR0, TTBR1) and stage 2; then concatenated tops. */
    { "armv8-48", "armv8", 48, 48, 0, PT_CONTIGUOUS | PT_HARDWARE_DIRTY | PT_FLUSH_RANGE, 0 },
    { "armv8-48u", "armv8", 48, 48, 0, PT_CONTIGUOUS | PT_UPPER_HALF | PT_DMA_INCOHERENT, 0 },
    { "armv8_16k-48", "armv8_16k", 48, 48, 0, PT_CONTIGUOUS | PT_HARDWARE_DIRTY | PT_FLUSH_RANGE, 0 },
    { "armv8_16k-47u", "armv8_16k", 47, 48, 0, PT_CONTIGUOUS | PT_UPPER_HALF | PT_DMA_INCOHERENT, 0 },
    { "armv8_64k-48", "armv8_64k", 48, 48, 0, PT_CONTIGUOUS | PT_NON_SECURE | PT_DMA_INCOHERENT, 0 },
    { "armv8_64k-52u", "armv8_64k", 52, 52, 0, PT_CONTIGUOUS | PT_UPPER_HALF | PT_HARDWARE_DIRTY, 0 },
    { "armv8_s2-48", "armv8_s2", 48, 48, 0, PT_CONTIGUOUS | PT_FLUSH_RANGE, 0 },
    { "armv8_s2-40", "armv8_s2", 40, 40, 0, PT_CONTIGUOUS | PT_STAGE2_FWB | PT_DMA_INCOHERENT, 0 },
    { "armv8_s2-42", "armv8_s2", 42, 42, 0, PT_CONTIGUOUS | PT_HARDWARE_DIRTY | PT_FLUSH_RANGE, 0 },
    { "armv8_s2_16k-48", "armv8_s2_16k", 48, 48, 0, PT_CONTIGUOUS | PT_DMA_INCOHERENT, 0 },
    { "armv8_s2_16k-40", "armv8_s2_16k", 40, 40, 0, PT_CONTIGUOUS | PT_HARDWARE_DIRTY | PT_FLUSH_RANGE, 0 },
    { "armv8_s2_64k-48", "armv8_s2_64k", 48, 48, 0, PT_CONTIGUOUS | PT_HARDWARE_DIRTY | PT_DMA_INCOHERENT, 0 },
    { "armv8_s2_64k-47", "armv8_s2_64k", 47, 48, 0, PT_CONTIGUOUS | PT_FLUSH_RANGE, 0 },
    { "fake-46", "fake", 46, 47, 3, PT_FLUSH_RANGE, 0 },
    { "fake-47sx", "fake", 47, 47, 3, PT_SIGN_EXTEND | PT_FLUSH_RANGE_NO_GAPS, 0 },
    { "fake-56", "fake", 56, 47, 4, PT_DMA_INCOHERENT, 0 },
    { "fake-grows", "fake", 56, 47, 1, PT_DYNAMIC_TOP | PT_FLUSH_RANGE, 0 },
};

typedef void kunit_test(struct fixture *f, const struct kunit_config *config);

static inline void kunit_configure(struct fixture *f, const struct kunit_config *config)
{
    f->config.va_bits = config->va_bits;
    f->config.oa_bits = config->oa_bits;
    f->config.top_level = config->top_level;
    f->config.features = config->features;
    f->config.c_bit = config->c_bit;
}

static inline void kunit_open(struct fixture *f, const struct engine *engine, const struct kunit_config *config)
{
    fixture_open(f, engine->name);
    kunit_configure(f, config);
    if (pt_init(&f->pt, engine, &f->config) != 0) fail_msg("%s: pt_init refuses the configuration", config->name);
}

/* Run `test` on a fresh table of every configuration, on both builds. Nothing may be left over. */
static inline void kunit_on_all(const char *name, kunit_test *test)
{
    for (size_t i = 0; i < sizeof(kunit_configs) / sizeof(kunit_configs[0]); i++) {
        const struct kunit_config *config = &kunit_configs[i];
        bool has_run = false;

        for (unsigned row = 0; engine_at(row); row++) {
            const struct engine *engine = engine_at(row);
            struct fixture f;

            if (strcmp(engine->format, config->format) != 0 || !engine_is_usable(engine)) continue;
            print_message("%s on %s\n", config->name, engine->name);
            kunit_open(&f, engine, config);
            test(&f, config);
            assert_int_equal(fixture_check(&f), 0);
            fixture_close(&f);
            has_run = true;
        }
        if (has_run && getenv("MAPPROOF_RAN")) printf("ran %s %s %s\n", config->format, config->name, name);
    }
}

/* A cmocka test NAME that runs `static void on_NAME(f, config)` on everything. */
#define KUNIT_TEST(name)                                                                                               \
    static void name(void **state)                                                                                     \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        kunit_on_all(#name, on_##name);                                                                                \
    }

/* ---- addresses --------------------------------------------------------------------------------------------------- */

static inline unsigned kunit_item_shift(const struct fixture *f, unsigned level)
{
    return f->pt.engine->geometry.granule_shift + f->pt.engine->geometry.index_bits * level;
}

/* What is ORed to an offset of this half: 0 lower, 1 upper. An upper-half table has that one only. */
static inline uint64_t kunit_base(const struct kunit_config *config, unsigned half)
{
    if (config->features & PT_UPPER_HALF) return ~low_mask(config->va_bits);
    return half ? ~low_mask(config->va_bits - 1) : 0;
}

static inline unsigned kunit_halves(const struct kunit_config *config)
{
    return config->features & PT_SIGN_EXTEND ? 2 : 1;
}

/* Offsets of a half: 0 .. this, inclusive. */
static inline uint64_t kunit_last(const struct kunit_config *config)
{
    return low_mask(config->va_bits - (config->features & PT_SIGN_EXTEND ? 1 : 0));
}

static inline uint64_t kunit_granule(const struct fixture *f)
{
    return bit(trailing_zeros(f->pt.page_sizes));
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static inline void kunit_map_ok(struct fixture *f, uint64_t va, uint64_t pa, uint64_t length)
{
    fixture_map_ok(f, va, pa, length, RW);
}

/* The first byte, the last and one between lead where they should. */
static inline void kunit_leads(const struct fixture *f, uint64_t va, uint64_t pa, uint64_t length)
{
    assert_int_equal(fixture_phys(f, va), pa);
    assert_int_equal(fixture_phys(f, va + length - 1), pa + length - 1);
    assert_int_equal(fixture_phys(f, va + length / 2 + 1), pa + length / 2 + 1);
}

/* Where the walk from the top ends for `va`: the item and what the format says of it. Nothing is taken from the
 * engine's own lookup. */
struct kunit_found {
    pt_item_t *item;
    unsigned level;
    struct pt_decoded decoded;
};

static inline struct kunit_found kunit_find(const struct fixture *f, uint64_t va, unsigned lowest_level)
{
    const struct pt_geometry *geometry = &f->pt.engine->geometry;
    struct kunit_found found = { 0 };
    struct pt_info info;
    pt_item_t *table;

    pt_get_info(&f->pt, &info);
    found.level = info.top_level;
    table = table_pool_pointer(&f->pool, info.top.value);
    found.item = &table[(va & low_mask(info.va_bits)) >> kunit_item_shift(f, found.level)];
    for (;;) {
        f->pt.engine->decode(&f->pt, pt_sync_load(found.item), found.level, &found.decoded);
        if (found.decoded.kind != PT_TABLE || found.level <= lowest_level) return found;
        found.level--;
        table = table_pool_pointer(&f->pool, found.decoded.address);
        found.item = &table[va >> kunit_item_shift(f, found.level) & low_mask(geometry->index_bits)];
    }
}

/* Where a leaf of 2^shift can lie: offset 0 of a half, or the second place of that size where there is one. */
static inline uint64_t kunit_place(const struct kunit_config *config, unsigned shift)
{
    return bit(shift) < kunit_last(config) ? bit(shift) & kunit_last(config) : 0;
}

static inline bool kunit_fits(const struct kunit_config *config, unsigned shift)
{
    return low_mask(shift) <= kunit_last(config);
}
