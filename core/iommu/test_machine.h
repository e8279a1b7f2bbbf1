/*
 * A small machine for the tests of this folder: memory, RMP, one IOMMU, and page tables written as raw words typed
 * from formats.md 1 (no engine is involved).
 *
 *   hpa 0x100000   S2 tables (amdv1, top level 2), handed out page by page
 *   hpa 0x200000   backing of the guest's S1 tables (x86_64, 4 levels), at gpa 0x1000000: 4K S2 leaves, RMP 4K entries
 *   TARGET         1G-aligned iova -> gpa -> hpa, all different, where tests map what they like
 *
 * Device 0: trusted, ASID 1, no S1. 1: trusted, ASID 1, S1. 2: untrusted, no S1. 3: untrusted, S1. All in domain 7.
 */
#pragma once

#include "base/bits.h"
#include "base/test_main.h"
#include "iommu/iommu.h"

#include <string.h>

#define MACHINE_MEMORY UINT64_C(0x200000000) /* 8G, and the RMP covers it */
#define S2_TABLES      UINT64_C(0x100000)
#define S1_BACKING     UINT64_C(0x200000)
#define S1_TABLES      UINT64_C(0x1000000)
#define TARGET_IOVA    UINT64_C(0xc0000000)
#define TARGET_GPA     UINT64_C(0x80000000)
#define TARGET_HPA     UINT64_C(0x40000000)
#define DOMAIN         7
#define ASID           1
#define AMD_RW         UINT64_C(0x7000000000000001)

enum { DEV_PRIVATE, DEV_PRIVATE_S1, DEV_SHARED, DEV_SHARED_S1 };
enum { S1_TABLE_PAGES = 16 };

struct machine {
    struct physmem memory;
    struct rmp *rmp;
    struct iommu *iommu;
    struct iommu_config config;
    unsigned s2_tables, s1_tables; /* pages in use */
};

static inline uint64_t peek(struct machine *m, uint64_t address)
{
    uint64_t word = 0;

    assert_true(physmem_read64(&m->memory, hpa(address), &word));
    return word;
}

static inline void poke(struct machine *m, uint64_t address, uint64_t word)
{
    assert_true(physmem_write64(&m->memory, hpa(address), word));
}

static inline uint64_t index_at(uint64_t input, unsigned level)
{
    return (input >> (12 + 9 * level)) & 511;
}

/* Address of the S2 item of `gpa` at `level`, tables made on the way. */
static inline uint64_t s2_item_address(struct machine *m, uint64_t gpa_value, unsigned level)
{
    uint64_t table = S2_TABLES;

    for (unsigned l = 2; l > level; l--) {
        const uint64_t at = table + 8 * index_at(gpa_value, l);

        if (!(peek(m, at) & 1)) {
            poke(m, at, UINT64_C(0x6000000000000001) | (uint64_t)l << 9 | (S2_TABLES + 0x1000 * m->s2_tables++));
        }
        table = peek(m, at) & UINT64_C(0xffffffffff000);
    }
    return table + 8 * index_at(gpa_value, level);
}

/* `count` identical items, the whole of a leaf. */
static inline void s2_put(struct machine *m, uint64_t gpa_value, unsigned level, unsigned count, uint64_t item)
{
    const uint64_t at = s2_item_address(m, gpa_value, level);

    for (unsigned i = 0; i < count; i++) poke(m, at + 8 * i, item);
}

/* Host address of the S1 item of `iova` at `level`. */
static inline uint64_t s1_item_address(struct machine *m, uint64_t iova_value, unsigned level)
{
    uint64_t table = S1_TABLES;

    for (unsigned l = 3; l > level; l--) {
        const uint64_t at = table - S1_TABLES + S1_BACKING + 8 * index_at(iova_value, l);

        assert_true(m->s1_tables < S1_TABLE_PAGES);
        if (!(peek(m, at) & 1)) poke(m, at, 0x27 | (S1_TABLES + 0x1000 * m->s1_tables++));
        table = peek(m, at) & UINT64_C(0xffffffffff000);
    }
    return table - S1_TABLES + S1_BACKING + 8 * index_at(iova_value, level);
}

static inline void s1_put(struct machine *m, uint64_t iova_value, unsigned level, uint64_t item)
{
    poke(m, s1_item_address(m, iova_value, level), item);
}

static inline void make_private(struct machine *m, uint64_t page, uint64_t gpa_value, enum rmp_page_size size)
{
    const struct rmp_state state = { .gpa = gpa_value, .asid = ASID, .assigned = true, .size = size };

    assert_int_equal(rmp_update(m->rmp, hpa(page), &state), RMP_OK);
}

static inline void make_shared(struct machine *m, uint64_t page, enum rmp_page_size size)
{
    const struct rmp_state state = { .size = size };

    assert_int_equal(rmp_update(m->rmp, hpa(page), &state), RMP_OK);
}

static inline void machine_set_device(struct machine *m, unsigned device)
{
    struct iommu_dte dte = {
        .valid = true,
        .trusted = device == DEV_PRIVATE || device == DEV_PRIVATE_S1,
        .domain_id = DOMAIN,
        .asid = ASID,
        .has_s1 = device == DEV_PRIVATE_S1 || device == DEV_SHARED_S1,
    };

    dte.s2 = (struct iommu_table){
        .walker = iommu_find_walker("amdv1"), .root = S2_TABLES, .top_level = 2, .va_bits = 64, .oa_bits = 52
    };
    if (dte.has_s1) {
        dte.s1 = (struct iommu_table){
            .walker = iommu_find_walker("x86_64"), .root = S1_TABLES, .top_level = 3, .va_bits = 47, .oa_bits = 52
        };
    }
    iommu_set_device(m->iommu, device, &dte);
}

/* Begin again with empty tables. `private_tables`: the guest's S1 tables are private pages, else shared ones. */
static inline void machine_begin(struct machine *m, const char *variant, bool private_tables)
{
    if (!m->rmp) {
        m->rmp = rmp_new(MACHINE_MEMORY);
        physmem_init(&m->memory, MACHINE_MEMORY);
    }
    physmem_reset(&m->memory, MACHINE_MEMORY);
    rmp_reset(m->rmp, MACHINE_MEMORY);
    m->s2_tables = 1;
    m->s1_tables = 1;
    m->config = (struct iommu_config){ .memory = &m->memory,
                                       .rmp = m->rmp,
                                       .variant = iommu_find_variant(variant),
                                       .switches = iommu_default_switches(),
                                       .geometry = iommu_default_geometry() };
    assert_non_null(m->config.variant);
    if (!m->iommu) m->iommu = iommu_new(&m->config);
    iommu_reset(m->iommu, &m->config);
    for (unsigned device = DEV_PRIVATE; device <= DEV_SHARED_S1; device++) machine_set_device(m, device);
    for (unsigned i = 0; i < S1_TABLE_PAGES; i++) {
        s2_put(m, S1_TABLES + 0x1000 * i, 0, 1, AMD_RW | (S1_BACKING + 0x1000 * i));
        if (private_tables) make_private(m, S1_BACKING + 0x1000 * i, S1_TABLES + 0x1000 * i, RMP_4K);
    }
}

/* m->config has changed: start the IOMMU again with it, same tables. */
static inline void machine_reconfigure(struct machine *m)
{
    iommu_reset(m->iommu, &m->config);
    for (unsigned device = DEV_PRIVATE; device <= DEV_SHARED_S1; device++) machine_set_device(m, device);
}

static inline void machine_end(struct machine *m)
{
    iommu_free(m->iommu);
    rmp_free(m->rmp);
    physmem_destroy(&m->memory);
    memset(m, 0, sizeof(*m));
}

static inline struct iommu_outcome dma(struct machine *m, unsigned device, uint64_t address, enum iommu_access access)
{
    struct iommu_request request = { .device = device, .address = iova(address), .access = access };
    struct iommu_outcome outcome;

    request.is_private = iommu_device(m->iommu, device)->trusted;
    iommu_translate(m->iommu, &request, &outcome);
    return outcome;
}

/* One 4K page of TARGET, private, both tables in agreement. */
static inline void map_private_page(struct machine *m, uint64_t offset)
{
    s2_put(m, TARGET_GPA + offset, 0, 1, AMD_RW | (TARGET_HPA + offset));
    make_private(m, TARGET_HPA + offset, TARGET_GPA + offset, RMP_4K);
}

/* A write to the first byte of TARGET. */
static inline void assert_fault(struct machine *m, unsigned device, enum iommu_fault fault, bool of_s1_table)
{
    const uint64_t input = iommu_device(m->iommu, device)->has_s1 ? TARGET_IOVA : TARGET_GPA;
    const struct iommu_outcome outcome = dma(m, device, input, IOMMU_WRITE);

    if (outcome.fault != fault) {
        fail_msg("%s instead of %s", iommu_fault_name(outcome.fault), iommu_fault_name(fault));
    }
    assert_int_equal(outcome.of_s1_table, of_s1_table);
    if (fault != IOMMU_NO_FAULT) {
        assert_int_equal(outcome.hpa.value, 0);
        assert_int_equal(iommu_stats(m->iommu)->faults[fault] > 0, true);
    }
}
