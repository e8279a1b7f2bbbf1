/*
 * The truth tables of rmp.md 4.6 as data: every S1 x S2 x RMP cell of every hardware variant, private and shared,
 * through real tables and iommu_translate. The tables below are typed from the sheet, row by row.
 */
#include "iommu/test_machine.h"

enum { S1_NONE, S1_4K, S1_2M, S1_1G, S1_KINDS };
enum { S2_KINDS = 8 };

/* Leaves that map TARGET: level, items and raw word (formats.md 1.1, FC | IW | IR, hpa 0x40000000). */
static const struct {
    const char *name;
    uint64_t bytes;
    unsigned level, items;
    uint64_t item;
} s2_leaves[S2_KINDS] = {
    { "4K", 0x1000, 0, 1, 0x7000000040000001 },    { "16K", 0x4000, 0, 4, 0x7000000040001e01 },
    { "64K", 0x10000, 0, 16, 0x7000000040007e01 }, { "1M", 0x100000, 0, 256, 0x700000004007fe01 },
    { "2M", 0x200000, 1, 1, 0x7000000040000001 },  { "4M", 0x400000, 1, 2, 0x70000000401ffe01 },
    { "8M", 0x800000, 1, 4, 0x70000000403ffe01 },  { "1G", 0x40000000, 2, 1, 0x7000000040000001 },
};

/*
 * Cells: 4, 2, 1 = OK with a 4K, 2M, 1G entry; F = rmp-size; O = rmp-owner. Columns: S2 4K 16K 64K 1M 2M 4M 8M 1G.
 * Rows: S1 none, 4K, 2M, 1G.
 */
struct truth {
    const char *variant;
    const char *rmp_4k[S1_KINDS];        /* private, RMP entry 4K */
    const char *rmp_2m[S1_KINDS];        /* private, RMP entry 2M */
    const char *shared[S1_KINDS];        /* the whole 2M region unassigned */
    const char *page_assigned[S1_KINDS]; /* shared access to an assigned page */
    const char *region_mixed[S1_KINDS];  /* the page is unassigned, another of its 2M region is not */
};

static const struct truth truths[] = {
    { "amd", /* table (a), disputed cell as a2 */
      { "4444FFFF", "4444FFFF", "4444FFFF", "4444FFFF" },
      { "FFFF2222", "FFFF4444", "FFFF2222", "FFFF2222" },
      { "44442222", "44444444", "44442222", "44442222" },
      { "OOOOOOOO", "OOOOOOOO", "OOOOOOOO", "OOOOOOOO" },
      { "4444OOOO", "4444OOOO", "4444OOOO", "4444OOOO" } },
    { "amd-fill-2m", /* table (a), disputed cell as a1 */
      { "4444FFFF", "4444FFFF", "4444FFFF", "4444FFFF" },
      { "FFFF2222", "FFFF2222", "FFFF2222", "FFFF2222" },
      { "44442222", "44442222", "44442222", "44442222" },
      { "OOOOOOOO", "OOOOOOOO", "OOOOOOOO", "OOOOOOOO" },
      { "4444OOOO", "4444OOOO", "4444OOOO", "4444OOOO" } },
    { "smallest", /* table (b) */
      { "44444444", "44444444", "44444444", "44444444" },
      { "44442222", "44444444", "44442222", "44442222" },
      { "44442222", "44444444", "44442222", "44442222" },
      { "OOOOOOOO", "OOOOOOOO", "OOOOOOOO", "OOOOOOOO" },
      { "4444OOOO", "4444OOOO", "4444OOOO", "4444OOOO" } },
    { "expanding", /* table (c) with every S2 in S on RMP 2M = OK-2M (c2) */
      { "4444FFFF", "4444FFFF", "4444FFFF", "4444FFFF" },
      { "22222222", "22222222", "22222222", "22222222" },
      { "44442222", "44442222", "44442222", "44442222" },
      { "OOOOOOOO", "OOOOOOOO", "OOOOOOOO", "OOOOOOOO" },
      { "4444OOOO", "4444OOOO", "4444OOOO", "4444OOOO" } },
    { "cpu", /* the result of (b) */
      { "44444444", "44444444", "44444444", "44444444" },
      { "44442222", "44444444", "44442222", "44442222" },
      { "44442222", "44444444", "44442222", "44442222" },
      { "OOOOOOOO", "OOOOOOOO", "OOOOOOOO", "OOOOOOOO" },
      { "4444OOOO", "4444OOOO", "4444OOOO", "4444OOOO" } },
    { "cca", /* owner of the 4K page only; min(S1, S2) */
      { "44442221", "44444444", "44442222", "44442221" },
      { "44442221", "44444444", "44442222", "44442221" },
      { "44442221", "44444444", "44442222", "44442221" },
      { "OOOOOOOO", "OOOOOOOO", "OOOOOOOO", "OOOOOOOO" },
      { "44442221", "44444444", "44442222", "44442221" } },
    { "off", /* no check; min(S1, S2) */
      { "44442221", "44444444", "44442222", "44442221" },
      { "44442221", "44444444", "44442222", "44442221" },
      { "44442221", "44444444", "44442222", "44442221" },
      { "44442221", "44444444", "44442222", "44442221" },
      { "44442221", "44444444", "44442222", "44442221" } },
};

enum { TRUTHS = sizeof(truths) / sizeof(truths[0]) };

/* One cell, and where in the S2 leaf the access goes. */
struct cell {
    const char *variant;
    unsigned s1, s2;
    uint64_t offset;
    unsigned device;
    char expected;
};

static void put_leaves(struct machine *m, const struct cell *cell)
{
    const uint64_t page = cell->offset & ~UINT64_C(0xfff);
    const uint64_t piece = cell->offset & ~UINT64_C(0x1fffff);

    s2_put(m, TARGET_GPA, s2_leaves[cell->s2].level, s2_leaves[cell->s2].items, s2_leaves[cell->s2].item);
    switch (cell->s1) {
    case S1_4K: s1_put(m, TARGET_IOVA + page, 0, 0x67 | (TARGET_GPA + page)); break;
    case S1_2M: s1_put(m, TARGET_IOVA + piece, 1, 0xe7 | (TARGET_GPA + piece)); break;
    case S1_1G: s1_put(m, TARGET_IOVA, 2, 0xe7 | TARGET_GPA); break;
    default: break;
    }
}

static uint64_t input_of(const struct cell *cell)
{
    return (cell->s1 == S1_NONE ? TARGET_GPA : TARGET_IOVA) + cell->offset;
}

static void assert_cell(struct machine *m, const struct cell *cell)
{
    static const unsigned s1_shifts[S1_KINDS] = { 0, 12, 21, 30 };
    const unsigned fill = cell->expected == '4' ? 12 : cell->expected == '2' ? 21 : 30;
    const uint64_t mask = (UINT64_C(1) << fill) - 1;
    const struct iommu_outcome first = dma(m, cell->device, input_of(cell), IOMMU_WRITE);
    const struct iommu_outcome second = dma(m, cell->device, input_of(cell), IOMMU_WRITE);
    const char found = first.fault == IOMMU_RMP_SIZE    ? 'F'
                       : first.fault == IOMMU_RMP_OWNER ? 'O'
                       : first.fault != IOMMU_NO_FAULT  ? '!'
                       : first.fill_shift == 12         ? '4'
                       : first.fill_shift == 21         ? '2'
                                                        : '1';

    if (found != cell->expected) {
        fail_msg("%s dev%u S1 row %u S2 %s offset 0x%llx: %c (%s) instead of %c", cell->variant, cell->device, cell->s1,
                 s2_leaves[cell->s2].name, (unsigned long long)cell->offset, found, iommu_fault_name(first.fault),
                 cell->expected);
    }
    assert_int_equal(first.s1_shift, s1_shifts[cell->s1]);
    assert_int_equal(UINT64_C(1) << first.s2_shift, s2_leaves[cell->s2].bytes);
    assert_false(first.is_hit);
    assert_false(first.of_s1_table);
    if (found == 'F' || found == 'O') {
        assert_int_equal(second.fault, first.fault);
        assert_false(second.is_hit);
        return;
    }
    assert_int_equal(first.hpa.value, TARGET_HPA + cell->offset);
    assert_int_equal(first.entry_input, input_of(cell) & ~mask);
    assert_int_equal(first.entry_hpa, (TARGET_HPA + cell->offset) & ~mask);
    assert_true(second.is_hit);
    assert_int_equal(second.hpa.value, TARGET_HPA + cell->offset);
    assert_int_equal(second.fill_shift, fill);
}

/* Accesses in the first page and, where the leaf is larger, in its last one. */
static unsigned offsets_of(unsigned s2, uint64_t offsets[2])
{
    offsets[0] = 0x123;
    offsets[1] = s2_leaves[s2].bytes - 0x1000 + 0xfff;
    return s2_leaves[s2].bytes > 0x1000 ? 2 : 1;
}

static unsigned device_of(bool trusted, unsigned s1)
{
    return trusted ? (s1 == S1_NONE ? DEV_PRIVATE : DEV_PRIVATE_S1) : (s1 == S1_NONE ? DEV_SHARED : DEV_SHARED_S1);
}

static unsigned run_private(struct machine *m, const struct truth *truth, bool rmp_is_2m)
{
    unsigned cells = 0;

    for (unsigned s1 = 0; s1 < S1_KINDS; s1++) {
        for (unsigned s2 = 0; s2 < S2_KINDS; s2++) {
            uint64_t offsets[2];
            const unsigned count = offsets_of(s2, offsets);

            for (unsigned i = 0; i < count; i++) {
                const char expected = (rmp_is_2m ? truth->rmp_2m : truth->rmp_4k)[s1][s2];
                const struct cell cell = { truth->variant, s1, s2, offsets[i], device_of(true, s1), expected };
                const uint64_t unit = rmp_is_2m ? 0x1fffff : 0xfff;
                const uint64_t start = offsets[i] & ~unit;

                machine_begin(m, truth->variant, true);
                put_leaves(m, &cell);
                make_private(m, TARGET_HPA + start, TARGET_GPA + start, rmp_is_2m ? RMP_2M : RMP_4K);
                assert_cell(m, &cell);
                cells++;
            }
        }
    }
    return cells;
}

static void private_cells_are_as_the_sheet_says(void **state)
{
    struct machine machine = { 0 };
    unsigned cells = 0;

    (void)state;
    for (unsigned i = 0; i < TRUTHS; i++) {
        cells += run_private(&machine, &truths[i], false);
        cells += run_private(&machine, &truths[i], true);
    }
    assert_int_equal(cells, TRUTHS * 2 * S1_KINDS * (S2_KINDS * 2 - 1));
    machine_end(&machine);
}

/* `assigned`: offset of a page of the accessed 2M region that belongs to a guest, 1 = none. */
static void run_shared_cell(struct machine *m, const struct cell *cell, uint64_t assigned)
{
    machine_begin(m, cell->variant, cell->device == DEV_PRIVATE_S1);
    put_leaves(m, cell);
    if (assigned != 1) make_private(m, TARGET_HPA + assigned, TARGET_GPA + assigned, RMP_4K);
    assert_cell(m, cell);
}

static void run_shared(struct machine *m, const struct truth *truth, unsigned s1, unsigned s2)
{
    uint64_t offsets[2];
    const unsigned count = offsets_of(s2, offsets);

    for (unsigned i = 0; i < count; i++) {
        const uint64_t page = offsets[i] & ~UINT64_C(0xfff);
        struct cell cell = { truth->variant, s1, s2, offsets[i], device_of(false, s1), truth->shared[s1][s2] };

        run_shared_cell(m, &cell, 1);
        cell.expected = truth->page_assigned[s1][s2];
        run_shared_cell(m, &cell, page);
        cell.expected = truth->region_mixed[s1][s2];
        run_shared_cell(m, &cell, page ^ 0x1000);
        run_shared_cell(m, &cell, page ^ 0x100000);
    }
}

static void shared_cells_are_as_the_sheet_says(void **state)
{
    struct machine machine = { 0 };

    (void)state;
    for (unsigned i = 0; i < TRUTHS; i++) {
        for (unsigned s1 = 0; s1 < S1_KINDS; s1++) {
            for (unsigned s2 = 0; s2 < S2_KINDS; s2++) run_shared(&machine, &truths[i], s1, s2);
        }
    }
    machine_end(&machine);
}

/* A shared access of a trusted device (above vTOM, C-bit clear) is judged as one of an ordinary device. */
static void a_trusted_device_is_judged_as_shared_when_it_asks_for_that(void **state)
{
    struct machine machine = { 0 };
    struct iommu_request request = { .device = DEV_PRIVATE, .address = iova(TARGET_GPA), .access = IOMMU_READ };
    struct iommu_outcome outcome;

    (void)state;
    machine_begin(&machine, "amd", true);
    s2_put(&machine, TARGET_GPA, 1, 1, AMD_RW | TARGET_HPA);
    iommu_translate(machine.iommu, &request, &outcome);
    assert_int_equal(outcome.fault, IOMMU_NO_FAULT);
    assert_int_equal(outcome.fill_shift, 21);
    make_private(&machine, TARGET_HPA, TARGET_GPA, RMP_2M);
    iommu_drop_caches(machine.iommu);
    iommu_translate(machine.iommu, &request, &outcome);
    assert_int_equal(outcome.fault, IOMMU_RMP_OWNER);
    request.is_private = true;
    iommu_translate(machine.iommu, &request, &outcome);
    assert_int_equal(outcome.fault, IOMMU_NO_FAULT);
    request.device = DEV_SHARED; /* and T=0 cannot ask for a private one */
    iommu_translate(machine.iommu, &request, &outcome);
    assert_int_equal(outcome.fault, IOMMU_RMP_OWNER);
    machine_end(&machine);
}

/* The cpu row counts a repair exactly where S2 class and RMP size differ; no other row does. */
static void only_a_processor_repairs_and_only_mismatches(void **state)
{
    struct machine m = { 0 };

    (void)state;
    for (unsigned i = 0; i < TRUTHS; i++) {
        for (unsigned s2 = 0; s2 < S2_KINDS; s2++) {
            for (unsigned rmp_is_2m = 0; rmp_is_2m < 2; rmp_is_2m++) {
                const bool differs = (s2 < 4) == (rmp_is_2m == 1);
                const struct cell cell = { truths[i].variant, S1_NONE, s2, 0, DEV_PRIVATE, 0 };
                const bool is_cpu = strcmp(cell.variant, "cpu") == 0;

                machine_begin(&m, cell.variant, true);
                put_leaves(&m, &cell);
                make_private(&m, TARGET_HPA, TARGET_GPA, rmp_is_2m ? RMP_2M : RMP_4K);
                assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).repaired, is_cpu && differs);
                assert_int_equal(iommu_stats(m.iommu)->repairs, is_cpu && differs);
            }
        }
    }
    machine_end(&m);
}

/* Rows of the code and rows of this file are the same ones. */
static void every_variant_has_its_truth(void **state)
{
    unsigned rows = 0;

    (void)state;
    while (iommu_variant_at(rows)) rows++;
    assert_int_equal(rows, TRUTHS);
    for (unsigned i = 0; i < TRUTHS; i++) assert_non_null(iommu_find_variant(truths[i].variant));
    assert_null(iommu_find_variant("intel"));
}

/* Without an RMP in the machine every variant translates as "off". */
static void without_an_rmp_every_variant_fills_as_off(void **state)
{
    struct machine m = { 0 };

    (void)state;
    for (unsigned i = 0; i < TRUTHS; i++) {
        for (unsigned s2 = 0; s2 < S2_KINDS; s2++) {
            struct cell cell = { truths[i].variant, S1_NONE, s2, 0x123, DEV_PRIVATE, "44442221"[s2] };

            machine_begin(&m, cell.variant, true);
            m.config.rmp = NULL;
            machine_reconfigure(&m);
            put_leaves(&m, &cell);
            assert_cell(&m, &cell);
        }
    }
    machine_end(&m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(private_cells_are_as_the_sheet_says),
    cmocka_unit_test(shared_cells_are_as_the_sheet_says),
    cmocka_unit_test(a_trusted_device_is_judged_as_shared_when_it_asks_for_that),
    cmocka_unit_test(only_a_processor_repairs_and_only_mismatches),
    cmocka_unit_test(every_variant_has_its_truth),
    cmocka_unit_test(without_an_rmp_every_variant_fills_as_off),
};

int main(int argc, char **argv)
{
    return TEST_MAIN(tests, argc, argv);
}
