/* Accessed and dirty bits as the walkers set them, also while another agent changes the item. */
#include "iommu/walker_test.h"

static uint64_t item_at(const struct physmem *memory, unsigned level, uint64_t index)
{
    uint64_t item = 0;

    assert_true(physmem_read64(memory, hpa(table_at(level) + 8 * index), &item));
    return item;
}

/* Memory in which another agent sets an item right after the walker's fetch of it, once. */
struct busy_memory {
    struct physmem *memory;
    uint64_t change_at, change_to; /* 0 = nobody interferes */
    unsigned updates;
};

static bool busy_read(void *context, uint64_t address, uint64_t *value)
{
    struct busy_memory *busy = context;
    const bool found = physmem_read64(busy->memory, hpa(address), value);

    if (busy->change_at && address == busy->change_at) {
        assert_true(physmem_write64(busy->memory, hpa(address), busy->change_to));
        busy->change_at = 0;
    }
    return found;
}

static bool busy_cas(void *context, uint64_t address, uint64_t expected, uint64_t desired)
{
    struct busy_memory *busy = context;

    busy->updates++;
    return physmem_cas64(busy->memory, hpa(address), expected, desired);
}

static bool refuse_cas(void *context, uint64_t address, uint64_t expected, uint64_t desired)
{
    (void)context;
    (void)address;
    (void)expected;
    (void)desired;
    return false;
}

static void amdv1_marks_the_leaf_item_it_read(void **state)
{
    struct physmem memory = memory_new();
    struct iommu_table table = amdv1(2);
    struct busy_memory busy = { .memory = &memory };
    const struct iommu_memory access = { .read = busy_read, .cas = busy_cas, .context = &busy };
    struct iommu_leaf leaf;

    (void)state;
    table.set_accessed_dirty = true;
    put_path(&memory, true, 2, 0, 0);
    for (unsigned i = 0; i < 16; i++) put(&memory, 0, i, 0x7000000040007e01);
    leaf = iommu_walk(&table, &access, 0x3000, IOMMU_READ);
    assert_leads_to(&leaf, 0x40003000, 16);
    assert_int_equal(item_at(&memory, 0, 3), 0x7000000040007e21); /* A */
    leaf = iommu_walk(&table, &access, 0x3000, IOMMU_WRITE);
    assert_true(leaf.dirty);
    assert_int_equal(item_at(&memory, 0, 3), 0x7000000040007e61); /* A and D */
    assert_int_equal(busy.updates, 2);
    iommu_walk(&table, &access, 0x3000, IOMMU_WRITE);
    assert_int_equal(busy.updates, 2); /* set already: nothing is written */
    assert_int_equal(item_at(&memory, 0, 2), 0x7000000040007e01);
    assert_int_equal(item_at(&memory, 1, 0), table_at(0) | RW | 0x201); /* tables stay as they are */
    physmem_destroy(&memory);
}

static void x86_64_marks_every_item_of_the_path(void **state)
{
    struct physmem memory = memory_new();
    struct iommu_table table = x86_64(48, 3);
    struct busy_memory busy = { .memory = &memory };
    const struct iommu_memory access = { .read = busy_read, .cas = busy_cas, .context = &busy };

    (void)state;
    table.set_accessed_dirty = true;
    for (unsigned l = 3; l > 0; l--) put(&memory, l, 0, table_at(l - 1) | 0x7);
    put(&memory, 0, 0, 0x5007);
    assert_int_equal(iommu_walk(&table, &access, 0, IOMMU_READ).fault, IOMMU_NO_FAULT);
    for (unsigned l = 3; l > 0; l--) assert_int_equal(item_at(&memory, l, 0), table_at(l - 1) | 0x27);
    assert_int_equal(item_at(&memory, 0, 0), 0x5027);
    assert_int_equal(iommu_walk(&table, &access, 0, IOMMU_WRITE).fault, IOMMU_NO_FAULT);
    assert_int_equal(item_at(&memory, 0, 0), 0x5067);
    physmem_destroy(&memory);
}

static void nothing_is_marked_without_permission_or_without_the_switch(void **state)
{
    struct physmem memory = memory_new();
    struct iommu_table table = amdv1(2);
    struct busy_memory busy = { .memory = &memory };
    const struct iommu_memory access = { .read = busy_read, .cas = busy_cas, .context = &busy };

    (void)state;
    put_path(&memory, true, 2, 0, 0);
    put(&memory, 0, 0, 0x3000000000005001);
    assert_int_equal(iommu_walk(&table, &access, 0, IOMMU_READ).fault, IOMMU_NO_FAULT);
    table.set_accessed_dirty = true;
    assert_int_equal(iommu_walk(&table, &access, 0, IOMMU_WRITE).fault, IOMMU_PERMISSION);
    assert_int_equal(iommu_walk_physmem(&table, &memory, 0, IOMMU_READ).fault, IOMMU_NO_FAULT);
    assert_int_equal(item_at(&memory, 0, 0), 0x3000000000005001);

    table = x86_64(48, 3);
    for (unsigned l = 3; l > 0; l--) put(&memory, l, 0, table_at(l - 1) | 0x7);
    put(&memory, 0, 0, 0x5007);
    assert_int_equal(iommu_walk(&table, &access, 0, IOMMU_WRITE).fault, IOMMU_NO_FAULT);
    assert_int_equal(busy.updates, 0);
    physmem_destroy(&memory);
}

/* The leaf becomes another one between fetch and update: D must not land in a stale item, nor be lost. */
static void a_leaf_that_changes_under_the_walk_is_walked_again(void **state)
{
    struct physmem memory = memory_new();
    struct iommu_table table = amdv1(2);
    struct busy_memory busy = { &memory, table_at(0), 0x7000000000009001, 0 };
    const struct iommu_memory access = { .read = busy_read, .cas = busy_cas, .context = &busy };
    struct iommu_leaf leaf;

    (void)state;
    table.set_accessed_dirty = true;
    put_path(&memory, true, 2, 0, 0);
    put(&memory, 0, 0, 0x7000000000005001);
    leaf = iommu_walk(&table, &access, 0x10, IOMMU_WRITE);
    assert_leads_to(&leaf, 0x9010, 12);
    assert_int_equal(leaf.reads, 3);
    assert_int_equal(item_at(&memory, 0, 0), 0x7000000000009061);
    physmem_destroy(&memory);
}

static void an_update_that_faults_ends_the_walk(void **state)
{
    struct physmem memory = memory_new();
    struct iommu_table table = amdv1(2);
    struct busy_memory busy = { .memory = &memory };
    const struct iommu_memory access = { .read = busy_read, .cas = refuse_cas, .context = &busy };

    (void)state;
    table.set_accessed_dirty = true;
    put_path(&memory, true, 2, 0, 0);
    put(&memory, 0, 0, 0x7000000000005001);
    assert_int_equal(iommu_walk(&table, &access, 0, IOMMU_READ).fault, IOMMU_NO_MEMORY);
    physmem_destroy(&memory);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(amdv1_marks_the_leaf_item_it_read),
    cmocka_unit_test(x86_64_marks_every_item_of_the_path),
    cmocka_unit_test(nothing_is_marked_without_permission_or_without_the_switch),
    cmocka_unit_test(a_leaf_that_changes_under_the_walk_is_walked_again),
    cmocka_unit_test(an_update_that_faults_ends_the_walk),
};

int main(int argc, char **argv)
{
    return TEST_MAIN(tests, argc, argv);
}
