/*
 * The init matrix (formats.md 2.1) of formats that no golden file has: each errno by each way to it, and what a table
 * has when it is made. Golden files have amdv1, x86_64, vtdss and riscv64. Rows of Arm and of the second stage of
 * RISC-V are calculated, not run against Linux; fake has no Linux.
 */
#include "pt/pt_fixture.h"

#include "base/test_main.h"

#define FR   PT_FLUSH_RANGE
#define DYN  (PT_FLUSH_RANGE | PT_DYNAMIC_TOP)
#define SX   (PT_FLUSH_RANGE | PT_SIGN_EXTEND)
#define INC  (PT_FLUSH_RANGE | PT_DMA_INCOHERENT)
#define S(n) (UINT64_C(1) << (n))

#define FAKE_L1 (S(11) | S(13) | S(16) | S(20) | S(23))
#define FAKE_L2 (FAKE_L1 | S(29) | S(30) | S(33))
#define RV_39   (S(12) | S(21) | S(30))
#define RV_48   (RV_39 | S(39))
#define RV_57   (RV_48 | S(48))

enum { NO_HOOKS = 1, NO_MEMORY = 2 };

static const struct init_row {
    const char *format;
    unsigned va_bits, oa_bits, top_level;
    uint32_t features;
    uint64_t asked; /* page_sizes */
    unsigned lacks; /* NO_HOOKS, NO_MEMORY */
    int error;
    unsigned top; /* where it works: top level, features gone, page sizes */
    uint32_t dropped;
    uint64_t page_sizes;
} rows[] = {
    /* 1. widths */
    { "fake", 0, 47, 3, FR, 0, 0, -EINVAL, 0, 0, 0 },
    { "fake", 57, 47, 4, FR, 0, 0, -EINVAL, 0, 0, 0 },
    { "fake", 46, 0, 3, FR, 0, 0, -EINVAL, 0, 0, 0 },
    /* 2. the format's own: top levels 1 to 4, before the output width */
    { "fake", 46, 47, 0, FR, 0, 0, -EOPNOTSUPP, 0, 0, 0 },
    { "fake", 46, 48, 5, FR, 0, 0, -EOPNOTSUPP, 0, 0, 0 },
    { "fake", 28, 47, 1, FR, 0, 0, 0, 1, 0, FAKE_L1 },
    { "fake", 37, 47, 2, FR, 0, 0, 0, 2, 0, FAKE_L2 },
    /* 3. output width */
    { "fake", 46, 48, 3, FR, 0, 0, -EINVAL, 0, 0, 0 },
    { "fake", 46, 47, 3, FR, 0, 0, 0, 3, 0, FAKE_L2 | S(39) },
    { "fake", 46, 39, 3, FR, 0, 0, 0, 3, 0, FAKE_L2 },
    { "fake", 46, 11, 3, FR, 0, 0, -EINVAL, 0, 0, 0 }, /* no size is left */
    { "fake", 46, 12, 3, FR, 0, 0, 0, 3, 0, S(11) },
    /* 4. nothing to grow into: silently fixed */
    { "fake", 56, 47, 4, DYN, 0, 0, 0, 4, PT_DYNAMIC_TOP, FAKE_L2 | S(39) },
    { "fake", 28, 47, 1, DYN, 0, 0, 0, 1, PT_DYNAMIC_TOP, FAKE_L1 },
    { "fake", 29, 47, 1, DYN, 0, 0, 0, 1, PT_DYNAMIC_TOP, FAKE_L1 },
    { "fake", 30, 47, 1, DYN, 0, 0, 0, 1, 0, FAKE_L2 },
    /* 6. features */
    { "fake", 46, 47, 3, FR | PT_ENCRYPT_TABLES, 0, 0, -EOPNOTSUPP, 0, 0, 0 },
    { "fake", 46, 47, 3, FR | PT_NAPOT_64K, 0, 0, -EOPNOTSUPP, 0, 0, 0 },
    { "fake", 46, 47, 3, FR | PT_FULL_VA, 0, 0, -EOPNOTSUPP, 0, 0, 0 },
    { "fake", 46, 47, 3, FR | PT_UPPER_HALF, 0, 0, -EOPNOTSUPP, 0, 0, 0 },
    /* 7. wider than a fixed top decodes */
    { "fake", 47, 47, 3, FR, 0, 0, 0, 3, 0, FAKE_L2 | S(39) },
    { "fake", 48, 47, 3, FR, 0, 0, -EOPNOTSUPP, 0, 0, 0 },
    { "fake", 48, 47, 3, DYN, 0, 0, 0, 3, 0, FAKE_L2 | S(39) },
    /* 9. what must be there, what excludes each other */
    { "fake", 56, 47, 1, DYN, 0, NO_HOOKS, -EINVAL, 0, 0, 0 },
    { "fake", 56, 47, 4, DYN, 0, NO_HOOKS, 0, 4, PT_DYNAMIC_TOP, FAKE_L2 | S(39) },
    { "fake", 46, 47, 3, INC, 0, NO_HOOKS, -EINVAL, 0, 0, 0 },
    { "fake", 46, 47, 3, INC, 0, 0, 0, 3, 0, FAKE_L2 | S(39) },
    { "fake", 56, 47, 1, DYN | PT_SIGN_EXTEND, 0, 0, -EINVAL, 0, 0, 0 },
    { "fake", 47, 47, 3, SX, 0, 0, 0, 3, 0, FAKE_L2 | S(39) },
    /* ours: a top none of whose items is used, sizes that are not there */
    { "fake", 37, 47, 3, FR, 0, 0, -EINVAL, 0, 0, 0 },
    { "fake", 38, 47, 3, FR, 0, 0, 0, 3, 0, FAKE_L2 | S(39) },
    { "fake", 46, 47, 3, FR, S(12), 0, -EINVAL, 0, 0, 0 },
    { "fake", 46, 47, 3, FR, S(12) | S(20), 0, 0, 3, 0, S(20) },
    /* 11. */
    { "fake", 46, 47, 3, FR, 0, NO_MEMORY, -ENOMEM, 0, 0, 0 },

    { "riscv64_s2", 0, 56, 0, FR, 0, 0, -EINVAL, 0, 0, 0 },
    { "riscv64_s2", 60, 56, 0, FR, 0, 0, -EINVAL, 0, 0, 0 },
    { "riscv64_s2", 41, 0, 0, FR, 0, 0, -EINVAL, 0, 0, 0 },
    { "riscv64_s2", 41, 57, 0, FR, 0, 0, -EINVAL, 0, 0, 0 },
    { "riscv64_s2", 39, 56, 0, FR, 0, 0, -EINVAL, 0, 0, 0 },
    { "riscv64_s2", 48, 56, 0, FR, 0, 0, -EINVAL, 0, 0, 0 },
    { "riscv64_s2", 57, 56, 0, FR, 0, 0, -EINVAL, 0, 0, 0 },
    { "riscv64_s2", 41, 56, 0, FR, 0, 0, 0, 2, 0, RV_39 },
    { "riscv64_s2", 50, 56, 0, FR, 0, 0, 0, 3, 0, RV_48 },
    { "riscv64_s2", 59, 56, 0, FR, 0, 0, 0, 4, 0, RV_57 },
    { "riscv64_s2", 59, 56, 0, FR | PT_NAPOT_64K, 0, 0, 0, 4, 0, RV_57 | S(16) },
    { "riscv64_s2", 59, 48, 0, FR, 0, 0, 0, 4, 0, RV_48 },
    { "riscv64_s2", 50, 56, 2, FR, 0, 0, -EINVAL, 0, 0, 0 },
    { "riscv64_s2", 50, 56, 3, FR, 0, 0, 0, 3, 0, RV_48 },
    { "riscv64_s2", 50, 56, 0, SX, 0, 0, -EOPNOTSUPP, 0, 0, 0 },
    { "riscv64_s2", 50, 56, 0, INC, 0, 0, -EOPNOTSUPP, 0, 0, 0 },
    { "riscv64_s2", 50, 56, 0, DYN, 0, 0, 0, 3, PT_DYNAMIC_TOP, RV_48 },
    { "riscv64_s2", 50, 56, 0, FR, S(13), 0, -EINVAL, 0, 0, 0 },
    { "riscv64_s2", 50, 56, 0, FR, 0, NO_MEMORY, -ENOMEM, 0, 0, 0 },

    { "armv8", 0, 48, 0, FR, 0, 0, -EINVAL, 0, 0, 0 },
    { "armv8", 48, 0, 0, FR, 0, 0, -EINVAL, 0, 0, 0 },
    { "armv8", 48, 47, 0, FR, 0, 0, -EINVAL, 0, 0, 0 }, /* no such output width */
    { "armv8", 65, 48, 0, FR, 0, 0, -EINVAL, 0, 0, 0 },
    { "armv8", 48, 48, 0, FR, 0, 0, 0, 3, 0, S(12) | S(21) | S(30) },
    { "armv8", 39, 48, 0, FR, 0, 0, 0, 2, 0, S(12) | S(21) | S(30) },
    { "armv8", 48, 48, 0, FR | PT_CONTIGUOUS, 0, 0, 0, 3, 0, S(12) | S(16) | S(21) | S(25) | S(30) | S(34) },
    { "armv8", 48, 48, 0, SX, 0, 0, -EOPNOTSUPP, 0, 0, 0 },
    { "armv8", 48, 48, 0, FR | PT_STAGE2_FWB, 0, 0, -EOPNOTSUPP, 0, 0, 0 },
    { "armv8", 48, 48, 0, INC, 0, NO_HOOKS, -EINVAL, 0, 0, 0 },
    { "armv8", 48, 48, 0, FR, 0, NO_MEMORY, -ENOMEM, 0, 0, 0 },
    { "armv8_16k", 48, 48, 0, FR | PT_CONTIGUOUS, 0, 0, 0, 3, 0, S(14) | S(21) | S(25) | S(30) },
    { "armv8_64k", 48, 48, 0, FR, 0, 0, 0, 2, 0, S(16) | S(29) },
    { "armv8_s2", 48, 48, 0, FR | PT_UPPER_HALF, 0, 0, -EOPNOTSUPP, 0, 0, 0 },
    { "armv8_s2", 48, 48, 0, FR, 0, 0, 0, 3, 0, S(12) | S(21) | S(30) },
    { "armv8_s2", 40, 40, 0, FR, 0, 0, 0, 2, 0, S(12) | S(21) | S(30) }, /* two tables side by side */
    { "armv8_s2", 42, 42, 0, FR, 0, 0, 0, 2, 0, S(12) | S(21) | S(30) }, /* eight */
    { "armv8_s2_16k", 40, 40, 0, FR, 0, 0, 0, 1, 0, S(14) | S(25) },     /* sixteen */
};

static void try_row(const struct init_row *row, const char *engine)
{
    struct fixture f;
    int error;

    fixture_open(&f, engine);
    f.config.va_bits = row->va_bits;
    f.config.oa_bits = row->oa_bits;
    f.config.top_level = row->top_level;
    f.config.features = row->features;
    f.config.page_sizes = row->asked;
    if (row->lacks & NO_HOOKS) f.config.hooks = NULL;
    if (row->lacks & NO_MEMORY) f.pool.allocations_left = 0;
    error = pt_init(&f.pt, engine_find(engine), &f.config);
    if (error != row->error)
        fail_msg("%s va=%u oa=%u top=%u features=0x%x: %d, not %d", engine, row->va_bits, row->oa_bits, row->top_level,
                 row->features, error, row->error);
    if (error == 0) {
        struct pt_info info;

        pt_get_info(&f.pt, &info);
        assert_int_equal(info.top_level, row->top);
        assert_int_equal(info.features, row->features & ~row->dropped);
        assert_int_equal(info.page_sizes, row->page_sizes);
        assert_int_equal(fixture_check(&f), 0);
        fixture_close(&f);
        return;
    }
    assert_int_equal(f.pool.live_pages, 0);
    table_pool_destroy(&f.pool);
}

static void every_row_of_the_matrix_has_its_errno_or_its_table(void **state)
{
    unsigned tried = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char vector[64];

        if (!engine_find(rows[i].format)) continue; /* not built */
        try_row(&rows[i], rows[i].format);
        snprintf(vector, sizeof(vector), "%s-vector", rows[i].format);
        if (engine_find(vector)) try_row(&rows[i], vector);
        tried++;
    }
    assert_true(tried > 30);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_matrix_has_its_errno_or_its_table),
    };

    return TEST_MAIN(tests, argc, argv);
}
