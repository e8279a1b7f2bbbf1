/* Accessed and dirty bits through both stages, through S2 for guest tables, and with caches in between. */
#include "iommu/test_machine.h"

#define LARGE UINT64_C(0x200000)

static void mark_accessed_dirty(struct machine *m, unsigned device)
{
    struct iommu_dte dte = *iommu_device(m->iommu, device);

    dte.s1.set_accessed_dirty = dte.has_s1;
    dte.s2.set_accessed_dirty = true;
    iommu_set_device(m->iommu, device, &dte);
}

/* A read's entry must not swallow the first write: its D bit would be lost. */
static void a_write_through_a_clean_entry_walks_once_to_set_dirty(void **state)
{
    struct machine m = { 0 };
    uint64_t item;

    (void)state;
    machine_begin(&m, "amd", true);
    mark_accessed_dirty(&m, DEV_PRIVATE);
    map_private_page(&m, 0);
    item = s2_item_address(&m, TARGET_GPA, 0);
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).reads, 4);
    assert_int_equal(peek(&m, item), AMD_RW | TARGET_HPA | 0x20);
    assert_true(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).is_hit);
    assert_false(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_WRITE).is_hit);
    assert_int_equal(peek(&m, item), AMD_RW | TARGET_HPA | 0x60);
    assert_true(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_WRITE).is_hit);
    machine_end(&m);
}

static void both_stages_are_marked_and_guest_tables_become_dirty_in_s2(void **state)
{
    struct machine m = { 0 };
    uint64_t s1_item;

    (void)state;
    machine_begin(&m, "amd", true);
    mark_accessed_dirty(&m, DEV_PRIVATE_S1);
    map_private_page(&m, 0);
    s1_put(&m, TARGET_IOVA, 0, 0x07 | TARGET_GPA);
    s1_item = s1_item_address(&m, TARGET_IOVA, 0);
    assert_fault(&m, DEV_PRIVATE_S1, IOMMU_NO_FAULT, false);
    assert_int_equal(peek(&m, s1_item), 0x67 | TARGET_GPA);
    assert_int_equal(peek(&m, s2_item_address(&m, TARGET_GPA, 0)), AMD_RW | TARGET_HPA | 0x60);
    assert_int_equal(peek(&m, s2_item_address(&m, S1_TABLES + (s1_item - S1_BACKING), 0)) & 0x60, 0x60);
    machine_end(&m);
}

static void a_guest_table_that_s2_does_not_let_write_faults_on_the_update(void **state)
{
    struct machine m = { 0 };
    uint64_t table;

    (void)state;
    machine_begin(&m, "amd", true);
    mark_accessed_dirty(&m, DEV_PRIVATE_S1);
    map_private_page(&m, 0);
    s1_put(&m, TARGET_IOVA, 0, 0x07 | TARGET_GPA);
    table = s1_item_address(&m, TARGET_IOVA, 0) & ~UINT64_C(0xfff);
    s2_put(&m, S1_TABLES + (table - S1_BACKING), 0, 1, UINT64_C(0x3000000000000001) | table);
    assert_fault(&m, DEV_PRIVATE_S1, IOMMU_PERMISSION, true);
    assert_int_equal(peek(&m, table + 8 * index_at(TARGET_IOVA, 0)), 0x07 | TARGET_GPA);
    machine_end(&m);
}

/* rmp.md 8: hardware A/D writes to the host's own tables need hypervisor-owned pages. */
static void host_tables_are_marked_only_in_hypervisor_pages(void **state)
{
    struct machine m = { 0 };
    uint64_t table;

    (void)state;
    machine_begin(&m, "amd", true);
    map_private_page(&m, 0);
    table = s2_item_address(&m, TARGET_GPA, 0) & ~UINT64_C(0xfff);
    make_private(&m, table, TARGET_GPA + LARGE, RMP_4K);
    assert_fault(&m, DEV_PRIVATE, IOMMU_NO_FAULT, false); /* reading is not checked */
    iommu_drop_caches(m.iommu);
    mark_accessed_dirty(&m, DEV_PRIVATE);
    assert_fault(&m, DEV_PRIVATE, IOMMU_RMP_OWNER, false);
    machine_end(&m);
}

/* A large leaf kept in the walk cache is marked in memory, or walked again where memory has changed. */
static void a_cached_leaf_is_marked_where_it_lies(void **state)
{
    struct machine m = { 0 };
    struct iommu_outcome outcome;
    uint64_t item;

    (void)state;
    machine_begin(&m, "amd", true);
    mark_accessed_dirty(&m, DEV_PRIVATE);
    s2_put(&m, TARGET_GPA, 1, 1, AMD_RW | TARGET_HPA);
    make_private(&m, TARGET_HPA, TARGET_GPA, RMP_2M);
    item = s2_item_address(&m, TARGET_GPA, 1);
    dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ);
    outcome = dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_WRITE);
    assert_true(outcome.from_walk_cache);
    assert_int_equal(outcome.reads, 1); /* the update alone */
    assert_int_equal(peek(&m, item), AMD_RW | TARGET_HPA | 0x60);

    /* software cleaned and moved it without any invalidation: the next update notices */
    iommu_evict(m.iommu, DEV_PRIVATE, iova(TARGET_GPA), 0);
    poke(&m, item, AMD_RW | (TARGET_HPA + LARGE));
    make_private(&m, TARGET_HPA + LARGE, TARGET_GPA, RMP_2M);
    outcome = dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_WRITE);
    assert_int_equal(outcome.hpa.value, TARGET_HPA + LARGE);
    assert_int_equal(peek(&m, item), AMD_RW | (TARGET_HPA + LARGE) | 0x60);

    /* and the walk cache has let go of what it found stale */
    iommu_evict(m.iommu, DEV_PRIVATE, iova(TARGET_GPA), 0);
    outcome = dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ);
    assert_int_equal(outcome.hpa.value, TARGET_HPA + LARGE);
    assert_int_equal(outcome.reads, 0);
    machine_end(&m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_write_through_a_clean_entry_walks_once_to_set_dirty),
    cmocka_unit_test(both_stages_are_marked_and_guest_tables_become_dirty_in_s2),
    cmocka_unit_test(a_guest_table_that_s2_does_not_let_write_faults_on_the_update),
    cmocka_unit_test(host_tables_are_marked_only_in_hypervisor_pages),
    cmocka_unit_test(a_cached_leaf_is_marked_where_it_lies),
};

int main(int argc, char **argv)
{
    return TEST_MAIN(tests, argc, argv);
}
