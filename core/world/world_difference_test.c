/*
 * Every kind of difference is noticed: the truth is changed behind the world's back, or the engine is one that lies,
 * and the world must say so. A check that is not proven here could as well not be there.
 */
#include "world/world_test_help.h"

#include "pt/engine.h"
#include "pt/pt_check.h"

#include <errno.h>

/* Where the level 0 item of gpa 4K lies: top, level 1, level 0 are the first tables of domain 0. */
static hpa_t item_address(struct world *world, uint64_t address)
{
    const struct iommu_leaf walk = world_walk(&world->tables[0], address);
    const uint64_t table = walk.items[walk.reads - 2] & UINT64_C(0x000ffffffffff000) & ~world->tables[0].c_bit_mask;

    return hpa(table + (address >> (12 + 9 * walk.level) & 511) * 8);
}

static void change_item(struct world *world, uint64_t address, uint64_t flip)
{
    const hpa_t at = item_address(world, address);
    uint64_t item;

    assert_true(physmem_read64(&world->memory, at, &item));
    assert_true(physmem_write64(&world->memory, at, item ^ flip));
}

/* ---- raw memory -------------------------------------------------------------------------------------------------- */

static void assert_check_notices_flip(uint64_t address, uint64_t flip)
{
    struct world *world = small_world();

    change_item(world, address, flip);
    assert_true(world_check(world) > 0);
    assert_non_null(world_difference(world));
    world_free(world);
}

static void world_check_notices_every_wrong_bit_of_a_leaf(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        if (i == 5) continue; /* A: hardware sets it whenever it likes */
        assert_check_notices_flip(0x1000, bit(i));
        assert_check_notices_flip(0x400000, bit(i));
        assert_check_notices_flip(0x18000, bit(i)); /* one item of a run */
    }
}

/* 200 leaves in one run: its ends and an even sample of 64 are walked, the 4th leaf is 3 * 199 / 63 = 9. */
static void world_check_notices_wrong_ends_and_samples_of_a_long_run(void **state)
{
    static const uint64_t leaves[] = { 0, 9, 199 };

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct world *world = world_new();

        play_in(world, "world page_sizes=4K\nmap gpa=0x0 hpa=0x200000 length=800K\n");
        change_item(world, leaves[i] << 12, bit(22));
        assert_true(world_check(world) > 0);
        assert_differs(world, "the hardware walk differs");
        world_free(world);
    }
}

static void an_op_notices_a_leaf_that_vanished_beside_it(void **state)
{
    struct world *world = small_world();

    (void)state;
    assert_true(physmem_write64(&world->memory, item_address(world, 0x2000), 0));
    assert_true(apply(world, "map gpa=0x3000 hpa=0x3000 length=4K").is_difference);
    assert_differs(world, "the hardware walk differs");
    assert_differs(world, "op 7: map");
    assert_differs(world, "oracle: leaf 0x2000");
    assert_differs(world, "fault=not-present");
    world_free(world);
}

static void an_op_notices_a_leaf_that_nobody_mapped(void **state)
{
    struct world *world = small_world();

    (void)state;
    assert_true(
        physmem_write64(&world->memory, hpa(item_address(world, 0x2000).value + 8), UINT64_C(0x7000000000009001)));
    apply(world, "unmap gpa=0x2000 length=4K");
    assert_differs(world, "the hardware walk finds something");
    world_free(world);
    world = small_world();
    assert_true(
        physmem_write64(&world->memory, hpa(item_address(world, 0x2000).value + 64), UINT64_C(0x700000000000a001)));
    assert_true(world_check(world) > 0);
    assert_differs(world, "and 21 (invariants 4 and 18)");
    world_free(world);
}

static void unmap_and_map_results_are_compared(void **state)
{
    struct world *world = small_world();

    (void)state;
    assert_true(physmem_write64(&world->memory, item_address(world, 0x2000), 0));
    apply(world, "unmap gpa=0x1000 length=8K");
    assert_differs(world, "unmap: expected 0x2000 bytes removed, engine removed 0x1000");
    world_free(world);
    world = small_world();
    assert_true(physmem_write64(&world->memory, item_address(world, 0x2000), 0));
    apply(world, "map gpa=0x2000 hpa=0x2000 length=4K");
    assert_differs(world, "map: expected -98 mapped=0x0, engine gave 0 mapped=0x1000");
    world_free(world);
}

static void dma_through_a_changed_leaf_is_noticed(void **state)
{
    struct world *world = small_world();

    (void)state;
    change_item(world, 0x2000, bit(20));
    apply(world, "dma iova=0x2000 device=dev2");
    assert_differs(world, "dma: expected fault=none hpa=0x6000");
    world_free(world);
}

static void dirty_bits_that_come_or_go_are_noticed(void **state)
{
    struct world *world = small_world();

    (void)state;
    change_item(world, 0x1000, bit(6));
    apply(world, "dirty_read gpa=0 length=1M");
    assert_differs(world, "dirty_read: unexpected report of 0x1000");
    world_free(world);
    world = small_world();
    play_in(world, "dma iova=0x1000 access=write -> hpa=0x5000 fill=4K\n");
    change_item(world, 0x1000, bit(6));
    apply(world, "dirty_read gpa=0 length=1M");
    assert_differs(world, "dirty_read: a dirty leaf was not reported");
    world_free(world);
}

/* ---- RMP, IOMMU, pool -------------------------------------------------------------------------------------------- */

static void rmp_entries_that_change_by_themselves_are_noticed(void **state)
{
    struct world *world = small_world();
    const struct rmp_state gone = { 0 };

    (void)state;
    rmp_update(world->rmp, hpa(0x5000), &gone);
    assert_true(world_check(world) > 0);
    assert_differs(world, "rmp of hpa 0x5000");
    world_free(world);
    world = small_world();
    rmp_psmash(world->rmp, hpa(0x400000));
    apply(world, "psmash hpa=0x400000");
    assert_differs(world, "rmp: expected ok, got FAIL_BADADDR");
    world_free(world);
    world = small_world();
    rmp_psmash(world->rmp, hpa(0x400000));
    apply(world, "dma iova=0x400000");
    assert_differs(world, "dma: expected fault=none");
    world_free(world);
}

static void an_iotlb_entry_that_outlives_its_invalidation_is_noticed(void **state)
{
    struct world *world = small_world();
    const struct fills_range range = { .first = 0x1000, .last = 0x1fff };

    (void)state;
    fills_invalidate(&world->fills, &range); /* as if a command had been lost */
    apply(world, "dma iova=0x1000");
    assert_differs(world, "no such entry was filled, or it was invalidated");
    world_free(world);
}

static void an_iotlb_entry_with_other_content_is_noticed(void **state)
{
    struct world *world = small_world();
    struct fill fill;
    const struct fill_tag tag = { .is_private = true };

    (void)state;
    assert_true(fills_find(&world->fills, &tag, 0x1000, 12, &fill));
    fill.hpa += 0x1000;
    fills_add(&world->fills, &tag, &fill);
    apply(world, "dma iova=0x1000");
    assert_differs(world, "the entry is not as it was filled");
    world_free(world);
}

static void a_write_through_an_entry_of_a_clean_leaf_is_noticed(void **state)
{
    const struct fill_tag tag = { .is_private = true };
    struct world *world = small_world();
    struct fill fill;

    (void)state;
    apply(world, "dma iova=0x2000 access=read");
    assert_false(fills_find(&world->fills, &tag, 0x2000, 12, &fill));
    apply(world, "rmpupdate hpa=0x6000 gpa=0x2000");
    apply(world, "dma iova=0x2000 access=read");
    assert_true(fills_find(&world->fills, &tag, 0x2000, 12, &fill));
    assert_false(fill.serves_write);
    assert_false(apply(world, "dma iova=0x2000 access=write").dma.is_hit);
    assert_true(fills_find(&world->fills, &tag, 0x2000, 12, &fill));
    assert_true(fill.serves_write);
    assert_true(apply(world, "dma iova=0x2000 access=write").dma.is_hit);
    assert_no_difference(world);
    fill.serves_write = false;
    fills_add(&world->fills, &tag, &fill);
    apply(world, "dma iova=0x2000 access=write");
    assert_differs(world, "the leaf had no dirty bit yet");
    world_free(world);
}

static void an_entry_that_a_sync_leaves_over_is_noticed(void **state)
{
    const struct fill_tag tag = { .has_s1 = true, .pasid = 9 }; /* the driver was never told of this pasid */
    const struct fill fill = { 0x5000, 0x5000, 0x5000, 12, false, true, true, true };
    struct world *world = world_new();

    (void)state;
    play_in(world, "world s1=x86_64\n"
                   "map stage=s1 iova=0x4000 hpa=0x4000 length=8K\n");
    fills_add(&world->fills, &tag, &fill);
    apply(world, "unmap stage=s1 iova=0x4000 length=4K");
    assert_no_difference(world);
    apply(world, "unmap stage=s1 iova=0x5000 length=4K");
    assert_differs(world, "the IOTLB may still hold the entry at input 0x5000");
    world_free(world);
}

static void an_entry_more_than_was_filled_is_noticed(void **state)
{
    struct world *world = small_world();

    (void)state;
    fills_reset(&world->fills);
    world_check(world);
    assert_differs(world, "the IOTLB holds 1 entries, expected at most 0");
    world_free(world);
    world = small_world();
    fills_reset(&world->fills);
    apply(world, "completion_wait");
    assert_differs(world, "the IOTLB holds 1 entries");
    world_free(world);
    world = small_world();
    fills_reset(&world->fills);
    apply(world, "rmpupdate hpa=0x6000 gpa=0x2000");
    assert_differs(world, "the IOTLB holds 1 entries");
    world_free(world);
}

static void commands_that_nobody_gave_are_noticed(void **state)
{
    struct world *world = small_world();

    (void)state;
    iommu_inv_all(world->iommu);
    assert_true(world_check(world) > 0);
    assert_differs(world, "commands queued");
    world_free(world);
}

static void pool_pages_that_leak_or_are_not_zero_are_noticed(void **state)
{
    struct world *world = small_world();
    uint8_t *page;

    (void)state;
    page = table_pool_alloc(&world->pool, 4096);
    assert_true(world_check(world) > 0);
    assert_differs(world, "pool: 5 pages live, of them 5 tables with 21 items, expected 4 and 22");
    world_free(world);
    world = small_world();
    page = table_pool_alloc(&world->pool, 4096);
    page[77] = 1;
    table_pool_free(&world->pool, page);
    assert_true(world_check(world) > 0);
    assert_differs(world, "free and not zero (P1)");
    world_free(world);
}

/* ---- what only worlds of some shape show --------------------------------------------------------------------------
 */

/* Begin a world, flip a bit of the item at gpa 0x2000, map the page behind it. */
static void assert_neighbour_notices(const char *world_line, uint64_t flip)
{
    struct world *world = world_new();

    play_in(world, world_line);
    play_in(world, "map gpa=0x2000 hpa=0x2000 length=4K -> ok\n");
    change_item(world, 0x2000, flip);
    apply(world, "map gpa=0x3000 hpa=0x9000 length=4K");
    assert_differs(world, "the hardware walk differs");
    world_free(world);
}

static void every_attribute_is_compared_by_walks(void **state)
{
    (void)state;
    assert_neighbour_notices("world rmp=off", bit(60));          /* FC */
    assert_neighbour_notices("world rmp=off", bit(6));           /* D */
    assert_neighbour_notices("world rmp=off", bit(61));          /* IR */
    assert_neighbour_notices("world rmp=off", bit(62));          /* IW */
    assert_neighbour_notices("world rmp=off c_bit=47", bit(47)); /* C */
    assert_neighbour_notices("world format=x86_64", bit(6));     /* D, born set */
    assert_neighbour_notices("world format=x86_64 c_bit=51", bit(51));
}

static void the_end_of_the_input_space_is_compared(void **state)
{
    struct world *world = world_new();

    (void)state;
    play_in(world, "world format=x86_64\n");
    world->tables[0].walk.va_bits = 48; /* as if the hardware had been told too much */
    apply(world, "map iova=0x7ffffffff000 hpa=0x1000 length=4K");
    assert_differs(world, "expected fault=canonical");
    world_free(world);
}

static void a_dirty_item_of_a_run_that_becomes_clean_is_noticed(void **state)
{
    struct world *world = small_world();

    (void)state;
    play_in(world, "dma iova=0x1a000 access=write device=dev2 -> hpa=0x1a000 fill=4K\n");
    change_item(world, 0x1a000, bit(6));
    assert_true(world_check(world) > 0);
    assert_differs(world, "a run of items is not dirty");
    world_free(world);
}

static void a_root_that_the_hardware_was_not_told_is_noticed(void **state)
{
    struct world *world = small_world();

    (void)state;
    world->tables[1].walk.root = world->tables[0].walk.root;
    assert_true(world_check(world) > 0);
    assert_differs(world, "the engine's top is not the one");
    world_free(world);
}

/* ---- DMA --------------------------------------------------------------------------------------------------------- */

/* Tell the oracle that [start, + length) is mapped in another way than it is. */
static void believe(struct world *world, uint64_t start, uint64_t length, unsigned prot)
{
    const struct oracle_request request = { start, start, length, prot };

    oracle_unmap_commit(&world->tables[0].oracle, start, length);
    for (uint64_t done = 0; done < length; done += 0x1000) {
        const struct oracle_request page = { request.start + done, request.target + done, 0x1000, prot };

        oracle_map_commit(&world->tables[0].oracle, &page, 0x1000);
    }
}

static void rights_and_leaf_sizes_of_a_translation_are_compared(void **state)
{
    struct world *world = small_world();

    (void)state;
    believe(world, 0x10000, 0x10000, PT_READ | PT_WRITE); /* 4K leaves instead of one of 64K: the same fill */
    apply(world, "dma iova=0x10000 device=dev2");
    assert_differs(world, "(s1 2^0 s2 2^12");
    world_free(world);
    world = small_world();
    play_in(world, "map gpa=0x20000 hpa=0x20000 length=4K -> ok\n");
    believe(world, 0x20000, 0x1000, PT_READ);
    apply(world, "dma iova=0x20000 device=dev2");
    assert_differs(world, "r=1 w=0 repaired=0)");
    world_free(world);
    world = small_world();
    play_in(world, "map gpa=0x20000 hpa=0x20000 length=4K -> ok\n");
    believe(world, 0x20000, 0x1000, PT_WRITE);
    apply(world, "dma iova=0x20000 device=dev2 access=write");
    assert_differs(world, "r=0 w=1 repaired=0)");
    world_free(world);
}

static void a_recheck_that_lets_through_is_noticed(void **state)
{
    struct world *world = world_new();
    const struct owner_state gone = { 0 };

    (void)state;
    play_in(world, "world recheck_on_hit=yes\n"
                   "rmpupdate hpa=0x5000 gpa=0x1000\n"
                   "map gpa=0x1000 hpa=0x5000 length=4K\n"
                   "dma iova=0x1000                                     -> hpa=0x5000 fill=4K\n");
    ownership_update(&world->ownership, 0x5000, &gone);
    apply(world, "dma iova=0x1000");
    assert_differs(world, "the recheck ends in another fault");
    world_free(world);
}

/* A table waits for its sync; that excuses a stale walk only where there was a cached item to begin at. */
static void a_pending_table_does_not_excuse_a_full_walk(void **state)
{
    struct world *world = world_new();

    (void)state;
    play_in(world, "world rmp=off iotlb=tiny\n"
                   "map gpa=0x200000 hpa=0x1000 length=2M               -> ok\n"
                   "unmap gpa=0x200000 length=2M sync=no                -> bytes=0x200000\n"
                   "map gpa=0x400000 hpa=0x1000 length=4K               -> ok\n");
    assert_true(physmem_write64(&world->memory, item_address(world, 0x400000), 0));
    apply(world, "dma iova=0x400000");
    assert_differs(world, "dma: expected fault=none");
    world_free(world);
}

static void a_fetch_of_a_guest_table_that_faults_for_no_reason_is_noticed(void **state)
{
    struct world *world = world_new();

    (void)state;
    play_in(world, "world s1=x86_64\n"
                   "rmpupdate hpa=0x0 size=2M gpa=0x40000000            -> ok\n"
                   "map gpa=0x40000000 hpa=0x0 length=2M                -> ok\n");
    rmp_psmash(world->rmp, hpa(0));
    apply(world, "dma iova=0x5000 device=dev1");
    assert_differs(world, "iommu    fault=s1-rmp-size");
    world_free(world);
}

/* The page behind the guest's root belongs to somebody else, says the oracle; the RMP has not heard of it. */
static void a_fetch_of_a_guest_table_that_ought_to_fault_is_noticed(void **state)
{
    const struct owner_state other = { .gpa = 0x40000000, .asid = 2, .assigned = true, .is_large = true };
    struct world *world = world_new();

    (void)state;
    play_in(world, "world s1=x86_64 iotlb=tiny\n"
                   "rmpupdate hpa=0x0 size=2M gpa=0x40000000            -> ok\n"
                   "map gpa=0x40000000 hpa=0x0 length=2M                -> ok\n"
                   "dma iova=0x5000 device=dev1                         -> fault=not-present\n");
    ownership_update(&world->ownership, 0, &other);
    apply(world, "dma iova=0x5000 device=dev1");
    assert_differs(world, "a fetch of a guest table had to fault");
    world_free(world);
}

static void a_device_without_an_entry_that_gets_through_is_noticed(void **state)
{
    struct world *world = small_world();
    const struct iommu_dte dte = *iommu_device(world->iommu, 2);

    (void)state;
    iommu_set_device(world->iommu, 9, &dte);
    apply(world, "dma iova=0x10000 device=dev9");
    assert_differs(world, "device 9 has no device table entry");
    world_free(world);
}

static void a_lost_command_is_noticed_at_the_wait(void **state)
{
    struct world *world = small_world();

    (void)state;
    play_in(world, "inv_pages gpa=0x0 length=4K -> ok\n");
    iommu_take_one_command(world->iommu);
    apply(world, "completion_wait");
    assert_differs(world, "completion wait: expected 1 commands, the IOMMU did 0");
    world_free(world);
}

static void a_page_that_somebody_retired_is_noticed(void **state)
{
    struct world *world = small_world();
    struct table_list list = table_list_empty();

    (void)state;
    table_pool_retire(&world->pool, &list, table_pool_alloc(&world->pool, 4096));
    assert_true(world_check(world) > 0);
    assert_differs(world, "1 retired, expected 0");
    world_free(world);
}

static void an_rmp_page_that_nobody_assigned_is_noticed(void **state)
{
    struct world *world = small_world();
    const struct rmp_state state_of_page = { .assigned = true, .asid = 3 };

    (void)state;
    rmp_update(world->rmp, hpa(0xa07000), &state_of_page);
    assert_true(world_check(world) > 0);
    assert_differs(world, "the 2M region at hpa 0xa00000 is not free");
    world_free(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(world_check_notices_every_wrong_bit_of_a_leaf),
        cmocka_unit_test(world_check_notices_wrong_ends_and_samples_of_a_long_run),
        cmocka_unit_test(an_op_notices_a_leaf_that_vanished_beside_it),
        cmocka_unit_test(an_op_notices_a_leaf_that_nobody_mapped),
        cmocka_unit_test(unmap_and_map_results_are_compared),
        cmocka_unit_test(dma_through_a_changed_leaf_is_noticed),
        cmocka_unit_test(dirty_bits_that_come_or_go_are_noticed),
        cmocka_unit_test(rmp_entries_that_change_by_themselves_are_noticed),
        cmocka_unit_test(an_iotlb_entry_that_outlives_its_invalidation_is_noticed),
        cmocka_unit_test(an_iotlb_entry_with_other_content_is_noticed),
        cmocka_unit_test(a_write_through_an_entry_of_a_clean_leaf_is_noticed),
        cmocka_unit_test(an_entry_that_a_sync_leaves_over_is_noticed),
        cmocka_unit_test(an_entry_more_than_was_filled_is_noticed),
        cmocka_unit_test(commands_that_nobody_gave_are_noticed),
        cmocka_unit_test(pool_pages_that_leak_or_are_not_zero_are_noticed),
        cmocka_unit_test(every_attribute_is_compared_by_walks),
        cmocka_unit_test(the_end_of_the_input_space_is_compared),
        cmocka_unit_test(a_dirty_item_of_a_run_that_becomes_clean_is_noticed),
        cmocka_unit_test(a_root_that_the_hardware_was_not_told_is_noticed),
        cmocka_unit_test(rights_and_leaf_sizes_of_a_translation_are_compared),
        cmocka_unit_test(a_recheck_that_lets_through_is_noticed),
        cmocka_unit_test(a_pending_table_does_not_excuse_a_full_walk),
        cmocka_unit_test(a_fetch_of_a_guest_table_that_faults_for_no_reason_is_noticed),
        cmocka_unit_test(a_fetch_of_a_guest_table_that_ought_to_fault_is_noticed),
        cmocka_unit_test(a_device_without_an_entry_that_gets_through_is_noticed),
        cmocka_unit_test(a_lost_command_is_noticed_at_the_wait),
        cmocka_unit_test(a_page_that_somebody_retired_is_noticed),
        cmocka_unit_test(an_rmp_page_that_nobody_assigned_is_noticed),
    };

    return TEST_MAIN(tests, argc, argv);
}
