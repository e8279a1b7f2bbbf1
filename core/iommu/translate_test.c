/* Two stages, the order and reach of RMP checks, and what each switch changes. */
#include "iommu/test_machine.h"

#define PAGE  UINT64_C(0x1000)
#define LARGE UINT64_C(0x200000)

static void map_both_stages(struct machine *m)
{
    map_private_page(m, 0);
    s1_put(m, TARGET_IOVA, 0, 0x67 | TARGET_GPA);
}

static void no_walk_cache(struct machine *m)
{
    m->config.geometry.walk_cache_entries = 0;
    machine_reconfigure(m);
}

/* ---- two stages -------------------------------------------------------------------------------------------------- */

/* Each of 4 S1 items costs 3 S2 items and itself; then 3 S2 items for the page. */
static void every_guest_table_is_reached_through_s2(void **state)
{
    struct machine m = { 0 };
    struct iommu_outcome outcome;

    (void)state;
    machine_begin(&m, "amd", true);
    no_walk_cache(&m);
    map_both_stages(&m);
    outcome = dma(&m, DEV_PRIVATE_S1, TARGET_IOVA + 0x123, IOMMU_WRITE);
    assert_int_equal(outcome.fault, IOMMU_NO_FAULT);
    assert_int_equal(outcome.hpa.value, TARGET_HPA + 0x123);
    assert_int_equal(outcome.reads, 4 * (3 + 1) + 3);
    assert_int_equal(iommu_stats(m.iommu)->walk_reads, 19);
    assert_false(outcome.from_walk_cache);
    machine_end(&m);
}

static void the_walk_cache_shortens_both_stages(void **state)
{
    struct machine m = { 0 };
    struct iommu_outcome outcome;

    (void)state;
    machine_begin(&m, "amd", true);
    map_both_stages(&m);
    map_private_page(&m, PAGE);
    s1_put(&m, TARGET_IOVA + PAGE, 0, 0x67 | (TARGET_GPA + PAGE));
    dma(&m, DEV_PRIVATE_S1, TARGET_IOVA, IOMMU_READ);
    outcome = dma(&m, DEV_PRIVATE_S1, TARGET_IOVA + PAGE, IOMMU_READ);
    assert_true(outcome.from_walk_cache);
    assert_int_equal(outcome.reads, 1 + 1 + 1); /* S2 leaf of the S1 table, S1 leaf, S2 leaf */
    assert_int_equal(outcome.hpa.value, TARGET_HPA + PAGE);
    machine_end(&m);
}

/* Software maps into holes without invalidating anything: what is absent is never kept. */
static void what_was_not_present_is_found_as_soon_as_it_is_mapped(void **state)
{
    struct machine m = { 0 };

    (void)state;
    machine_begin(&m, "amd", true);
    assert_fault(&m, DEV_PRIVATE_S1, IOMMU_NOT_PRESENT, false);
    s1_put(&m, TARGET_IOVA, 0, 0x67 | TARGET_GPA);
    assert_fault(&m, DEV_PRIVATE_S1, IOMMU_NOT_PRESENT, false);
    assert_fault(&m, DEV_PRIVATE, IOMMU_NOT_PRESENT, false);
    map_private_page(&m, 0);
    assert_fault(&m, DEV_PRIVATE, IOMMU_NO_FAULT, false);
    assert_fault(&m, DEV_PRIVATE_S1, IOMMU_NO_FAULT, false);
    machine_end(&m);
}

/* Five S1 levels over six S2 levels, nothing cached, A and D to be set everywhere. */
static void the_longest_walk_takes_as_many_reads_as_the_header_says(void **state)
{
    const uint64_t tops = S2_TABLES + 0x80000;
    struct machine m = { 0 };
    struct iommu_dte dte;

    (void)state;
    machine_begin(&m, "amd", true);
    no_walk_cache(&m);
    map_private_page(&m, 0);
    s1_put(&m, TARGET_IOVA, 0, 0x07 | TARGET_GPA);
    for (unsigned level = 3; level <= 5; level++) { /* three more levels above the S2 top */
        const uint64_t below = level == 3 ? S2_TABLES : tops + PAGE * (level - 1);

        poke(&m, tops + PAGE * level, UINT64_C(0x6000000000000001) | (uint64_t)level << 9 | below);
    }
    poke(&m, S1_BACKING + 8 * PAGE, 0x07 | S1_TABLES); /* one more above the S1 top; accessed bits clear everywhere */
    for (unsigned l = 1; l <= 3; l++) {
        const uint64_t at = s1_item_address(&m, TARGET_IOVA, l);

        poke(&m, at, peek(&m, at) & ~UINT64_C(0x20));
    }
    dte = *iommu_device(m.iommu, DEV_PRIVATE_S1);
    dte.s2.root = tops + 5 * PAGE;
    dte.s2.top_level = 5;
    dte.s1.root = S1_TABLES + 8 * PAGE;
    dte.s1.top_level = 4;
    dte.s1.va_bits = 57;
    dte.s1.set_accessed_dirty = true;
    dte.s2.set_accessed_dirty = true;
    iommu_set_device(m.iommu, DEV_PRIVATE_S1, &dte);
    assert_int_equal(dma(&m, DEV_PRIVATE_S1, TARGET_IOVA, IOMMU_WRITE).reads, IOMMU_READS_MAX);
    machine_end(&m);
}

static void a_fault_tells_guest_tables_from_the_page(void **state)
{
    struct machine m = { 0 };
    uint64_t leaf_table;

    (void)state;
    machine_begin(&m, "amd", true);
    no_walk_cache(&m);
    map_both_stages(&m);
    leaf_table = s1_item_address(&m, TARGET_IOVA, 0) & ~UINT64_C(0xfff); /* host address of the lowest S1 table */

    s1_put(&m, TARGET_IOVA, 0, 0);
    assert_fault(&m, DEV_PRIVATE_S1, IOMMU_NOT_PRESENT, false); /* the guest mapped nothing */
    s1_put(&m, TARGET_IOVA, 0, 0x25 | TARGET_GPA);
    assert_fault(&m, DEV_PRIVATE_S1, IOMMU_PERMISSION, false);
    s1_put(&m, TARGET_IOVA, 3, 0xe7);
    assert_fault(&m, DEV_PRIVATE_S1, IOMMU_RESERVED_BITS, false);
    s1_put(&m, TARGET_IOVA, 3, 0x27 | (S1_TABLES + PAGE));
    s1_put(&m, TARGET_IOVA, 0, 0x67 | TARGET_GPA);
    assert_fault(&m, DEV_PRIVATE_S1, IOMMU_NO_FAULT, false);

    iommu_drop_caches(m.iommu);
    s2_put(&m, TARGET_GPA, 0, 1, 0);
    assert_fault(&m, DEV_PRIVATE_S1, IOMMU_NOT_PRESENT, false); /* the host did not map the page */
    s2_put(&m, TARGET_GPA, 0, 1, AMD_RW | TARGET_HPA);
    make_shared(&m, leaf_table, RMP_4K);
    assert_fault(&m, DEV_PRIVATE_S1, IOMMU_RMP_OWNER, true); /* the table is not the guest's */
    make_private(&m, leaf_table, TARGET_GPA, RMP_4K);
    assert_fault(&m, DEV_PRIVATE_S1, IOMMU_RMP_GPA, true);
    s2_put(&m, S1_TABLES + (leaf_table - S1_BACKING), 0, 1, 0);
    assert_fault(&m, DEV_PRIVATE_S1, IOMMU_NOT_PRESENT, true); /* the host did not map the table */
    s2_put(&m, S1_TABLES + (leaf_table - S1_BACKING), 0, 1, UINT64_C(0x5000000000000001) | leaf_table);
    assert_fault(&m, DEV_PRIVATE_S1, IOMMU_PERMISSION, true); /* or not for reading */
    s2_put(&m, S1_TABLES + (leaf_table - S1_BACKING), 0, 1, AMD_RW | (MACHINE_MEMORY + PAGE));
    assert_fault(&m, DEV_PRIVATE_S1, IOMMU_RMP_RANGE, true);
    machine_end(&m);
}

/* "Accesses that are easy to forget": table fetches meet the size rule as any other access. */
static void guest_tables_meet_the_size_rule(void **state)
{
    struct machine m = { 0 };

    (void)state;
    machine_begin(&m, "amd", true);
    no_walk_cache(&m);
    map_both_stages(&m);
    s2_put(&m, S1_TABLES, 1, 1, AMD_RW | S1_BACKING); /* one 2M leaf over tables with 4K RMP entries */
    assert_fault(&m, DEV_PRIVATE_S1, IOMMU_RMP_SIZE, true);
    m.config.variant = iommu_find_variant("cpu");
    machine_reconfigure(&m);
    assert_fault(&m, DEV_PRIVATE_S1, IOMMU_NO_FAULT, false);
    assert_int_equal(iommu_stats(m.iommu)->repairs, 4);
    machine_end(&m);
}

static void a_shared_table_of_an_untrusted_device_is_read_as_shared(void **state)
{
    struct machine m = { 0 };

    (void)state;
    machine_begin(&m, "amd", false);
    map_both_stages(&m);
    make_shared(&m, TARGET_HPA, RMP_4K);
    assert_fault(&m, DEV_SHARED_S1, IOMMU_NO_FAULT, false);
    iommu_drop_caches(m.iommu);
    make_private(&m, S1_BACKING, S1_TABLES, RMP_4K);
    assert_fault(&m, DEV_SHARED_S1, IOMMU_RMP_OWNER, true);
    machine_end(&m);
}

static void rights_of_both_stages_are_needed(void **state)
{
    struct machine m = { 0 };
    struct iommu_outcome outcome;

    (void)state;
    machine_begin(&m, "amd", true);
    map_both_stages(&m);
    s2_put(&m, TARGET_GPA, 0, 1, UINT64_C(0x3000000000000001) | TARGET_HPA); /* read only in S2 */
    outcome = dma(&m, DEV_PRIVATE_S1, TARGET_IOVA, IOMMU_READ);
    assert_int_equal(outcome.fault, IOMMU_NO_FAULT);
    assert_true(outcome.readable && !outcome.writable);
    assert_fault(&m, DEV_PRIVATE_S1, IOMMU_PERMISSION, false); /* and not through the entry either */
    assert_true(dma(&m, DEV_PRIVATE_S1, TARGET_IOVA, IOMMU_READ).is_hit);
    machine_end(&m);
}

/* amd-fill-2m: a 4K guest leaf becomes a 2M entry whose base is forced: even the mapped page's neighbours translate. */
static void an_expanded_entry_reaches_what_the_guest_never_mapped(void **state)
{
    struct machine m = { 0 };
    struct iommu_outcome outcome;

    (void)state;
    machine_begin(&m, "amd-fill-2m", true);
    s2_put(&m, TARGET_GPA, 1, 1, AMD_RW | TARGET_HPA);
    make_private(&m, TARGET_HPA, TARGET_GPA, RMP_2M);
    s1_put(&m, TARGET_IOVA + 3 * PAGE, 0, 0x67 | (TARGET_GPA + 9 * PAGE)); /* not at the same offset */
    outcome = dma(&m, DEV_PRIVATE_S1, TARGET_IOVA + 3 * PAGE, IOMMU_WRITE);
    assert_int_equal(outcome.hpa.value, TARGET_HPA + 9 * PAGE);
    assert_int_equal(outcome.entry_input, TARGET_IOVA);
    assert_int_equal(outcome.entry_hpa, TARGET_HPA);
    outcome = dma(&m, DEV_PRIVATE_S1, TARGET_IOVA + 3 * PAGE, IOMMU_WRITE);
    assert_true(outcome.is_hit);
    assert_int_equal(outcome.hpa.value, TARGET_HPA + 3 * PAGE); /* the wrong page */
    assert_true(dma(&m, DEV_PRIVATE_S1, TARGET_IOVA + 100 * PAGE, IOMMU_WRITE).is_hit);
    machine_end(&m);
}

/* ---- the RMP check ----------------------------------------------------------------------------------------------- */

/* Everything is wrong at first; each repair brings the next reason to light. */
static void reasons_come_in_the_order_of_the_manual(void **state)
{
    const uint64_t page = TARGET_HPA + 2 * PAGE;
    struct rmp_state entry = { .gpa = TARGET_GPA, .asid = ASID + 1, .assigned = true, .immutable = false };
    struct rmp_guest_page valid = { .page = hpa(TARGET_HPA), .gpa = gpa(TARGET_GPA), .asid = ASID, .size = RMP_2M };
    struct machine m = { 0 };

    (void)state;
    machine_begin(&m, "amd", true);
    m.config.switches.check_validated = true;
    machine_reconfigure(&m);
    s2_put(&m, TARGET_GPA, 1, 1, AMD_RW | MACHINE_MEMORY); /* a 2M leaf beyond the RMP */
    assert_fault(&m, DEV_PRIVATE, IOMMU_RMP_RANGE, false);
    s2_put(&m, TARGET_GPA, 1, 1, AMD_RW | TARGET_HPA);
    iommu_drop_caches(m.iommu);
    assert_fault(&m, DEV_PRIVATE, IOMMU_RMP_OWNER, false); /* not assigned */
    rmp_update(m.rmp, hpa(TARGET_HPA), &entry);
    assert_fault(&m, DEV_PRIVATE, IOMMU_RMP_OWNER, false); /* another guest's */
    entry.asid = ASID;
    entry.gpa = TARGET_GPA + PAGE;
    rmp_update(m.rmp, hpa(TARGET_HPA), &entry);
    assert_fault(&m, DEV_PRIVATE, IOMMU_RMP_GPA, false);
    entry.gpa = TARGET_GPA;
    rmp_update(m.rmp, hpa(TARGET_HPA), &entry);
    assert_fault(&m, DEV_PRIVATE, IOMMU_RMP_SIZE, false);
    make_shared(&m, TARGET_HPA, RMP_4K);
    make_private(&m, TARGET_HPA, TARGET_GPA, RMP_2M);
    assert_fault(&m, DEV_PRIVATE, IOMMU_RMP_NOT_VALIDATED, false);
    assert_int_equal(rmp_pvalidate(m.rmp, &valid, true), RMP_OK);
    assert_fault(&m, DEV_PRIVATE, IOMMU_NO_FAULT, false);

    /* immutable comes before size: a 4K immutable page under a 2M leaf */
    iommu_drop_caches(m.iommu);
    make_shared(&m, TARGET_HPA, RMP_2M);
    entry = (struct rmp_state){ .gpa = TARGET_GPA + 2 * PAGE, .asid = ASID, .assigned = true, .immutable = true };
    assert_int_equal(rmp_update(m.rmp, hpa(page), &entry), RMP_OK);
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA + 2 * PAGE, IOMMU_READ).fault, IOMMU_RMP_IMMUTABLE);
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA + 4 * PAGE, IOMMU_READ).fault, IOMMU_RMP_OWNER);

    /* and after gpa: an immutable page elsewhere in the guest */
    entry.gpa = TARGET_GPA;
    assert_int_equal(rmp_update(m.rmp, hpa(TARGET_HPA + 4 * PAGE), &entry), RMP_OK);
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA + 4 * PAGE, IOMMU_READ).fault, IOMMU_RMP_GPA);
    machine_end(&m);
}

static void firmware_pages_and_devices_without_a_guest_own_nothing(void **state)
{
    struct rmp_state firmware = { .assigned = true, .immutable = true };
    struct machine m = { 0 };
    struct iommu_dte dte;

    (void)state;
    machine_begin(&m, "amd", true);
    s2_put(&m, TARGET_GPA, 0, 1, AMD_RW | TARGET_HPA);
    assert_int_equal(rmp_update(m.rmp, hpa(TARGET_HPA), &firmware), RMP_OK);
    dte = *iommu_device(m.iommu, DEV_PRIVATE);
    dte.asid = 0;
    iommu_set_device(m.iommu, DEV_PRIVATE, &dte);
    assert_fault(&m, DEV_PRIVATE, IOMMU_RMP_OWNER, false);
    machine_end(&m);
}

static void shared_dma_beyond_the_rmp_passes_and_private_dma_does_not(void **state)
{
    struct machine m = { 0 };

    (void)state;
    machine_begin(&m, "amd", true);
    s2_put(&m, TARGET_GPA, 0, 1, AMD_RW | (MACHINE_MEMORY + 7 * PAGE));
    assert_int_equal(dma(&m, DEV_SHARED, TARGET_GPA, IOMMU_WRITE).hpa.value, MACHINE_MEMORY + 7 * PAGE);
    assert_fault(&m, DEV_PRIVATE, IOMMU_RMP_RANGE, false);
    machine_end(&m);
}

/* ---- switches ---------------------------------------------------------------------------------------------------- */

static void a_hit_is_checked_again_only_if_the_switch_says_so(void **state)
{
    struct machine m = { 0 };
    struct iommu_outcome outcome;

    (void)state;
    for (unsigned recheck = 0; recheck < 2; recheck++) {
        machine_begin(&m, "amd", true);
        m.config.switches.recheck_on_hit = recheck;
        machine_reconfigure(&m);
        s2_put(&m, TARGET_GPA, 1, 1, AMD_RW | TARGET_HPA);
        make_private(&m, TARGET_HPA, TARGET_GPA, RMP_2M);
        assert_fault(&m, DEV_PRIVATE, IOMMU_NO_FAULT, false);
        outcome = dma(&m, DEV_PRIVATE, TARGET_GPA + PAGE, IOMMU_READ);
        assert_true(outcome.is_hit);
        assert_int_equal(outcome.fault, IOMMU_NO_FAULT);
        assert_int_equal(rmp_psmash(m.rmp, hpa(TARGET_HPA)), RMP_OK);
        assert_fault(&m, DEV_PRIVATE, recheck ? IOMMU_RMP_SIZE : IOMMU_NO_FAULT, false);
        make_shared(&m, TARGET_HPA, RMP_4K);
        assert_fault(&m, DEV_PRIVATE, recheck ? IOMMU_RMP_OWNER : IOMMU_NO_FAULT, false);
        assert_true(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_WRITE).is_hit); /* the entry stays either way */
    }
    machine_end(&m);
}

static void an_rmpupdate_drops_entries_only_if_the_switch_says_so(void **state)
{
    struct machine m = { 0 };

    (void)state;
    for (unsigned drops = 0; drops < 2; drops++) {
        machine_begin(&m, "amd", true);
        m.config.switches.invalidate_on_rmpupdate = drops;
        machine_reconfigure(&m);
        map_both_stages(&m);
        dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ);
        dma(&m, DEV_PRIVATE_S1, TARGET_IOVA, IOMMU_READ);
        iommu_rmp_changed(m.iommu, hpa(TARGET_HPA + PAGE), PAGE);
        assert_true(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).is_hit); /* another page */
        iommu_rmp_changed(m.iommu, hpa(TARGET_HPA), PAGE);
        assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).is_hit, !drops);
        assert_int_equal(dma(&m, DEV_PRIVATE_S1, TARGET_IOVA, IOMMU_READ).is_hit, !drops);
    }
    machine_end(&m);
}

/* An unchecked read leaves an entry that does not let writes through. */
static void unchecked_shared_reads_do_not_open_the_page_for_writes(void **state)
{
    struct machine m = { 0 };

    (void)state;
    machine_begin(&m, "amd", true);
    map_private_page(&m, 0);
    assert_int_equal(dma(&m, DEV_SHARED, TARGET_GPA, IOMMU_READ).fault, IOMMU_RMP_OWNER);
    m.config.switches.shared_read_checked = false;
    machine_reconfigure(&m);
    assert_int_equal(dma(&m, DEV_SHARED, TARGET_GPA, IOMMU_READ).fault, IOMMU_NO_FAULT);
    assert_true(dma(&m, DEV_SHARED, TARGET_GPA, IOMMU_READ).is_hit);
    assert_int_equal(dma(&m, DEV_SHARED, TARGET_GPA, IOMMU_WRITE).fault, IOMMU_RMP_OWNER);
    make_shared(&m, TARGET_HPA, RMP_4K);
    assert_int_equal(dma(&m, DEV_SHARED, TARGET_GPA, IOMMU_WRITE).fault, IOMMU_NO_FAULT);
    machine_end(&m);
}

static void ats_translated_requests_are_checked_by_owner_alone(void **state)
{
    struct iommu_request request = { .device = DEV_PRIVATE,
                                     .address = iova(TARGET_HPA + 5),
                                     .access = IOMMU_WRITE,
                                     .is_private = true,
                                     .is_translated = true };
    struct machine m = { 0 };
    struct iommu_outcome outcome;

    (void)state;
    machine_begin(&m, "amd", true);
    iommu_translate(m.iommu, &request, &outcome);
    assert_int_equal(outcome.fault, IOMMU_RMP_OWNER);
    make_private(&m, TARGET_HPA, TARGET_GPA + LARGE, RMP_2M); /* gpa and size do not matter: there is no walk */
    iommu_translate(m.iommu, &request, &outcome);
    assert_int_equal(outcome.fault, IOMMU_NO_FAULT);
    assert_int_equal(outcome.hpa.value, TARGET_HPA + 5);
    assert_int_equal(outcome.fill_shift, 0);
    request.device = DEV_SHARED;
    iommu_translate(m.iommu, &request, &outcome);
    assert_int_equal(outcome.fault, IOMMU_RMP_OWNER);
    m.config.switches.ats_translated_checked = false;
    machine_reconfigure(&m);
    iommu_translate(m.iommu, &request, &outcome);
    assert_int_equal(outcome.fault, IOMMU_NO_FAULT);
    assert_int_equal(iommu_stats(m.iommu)->fills, 0);
    machine_end(&m);
}

/* ---- devices ----------------------------------------------------------------------------------------------------- */

static void an_invalid_device_entry_lets_nothing_through(void **state)
{
    const struct iommu_dte none = { .valid = false };
    struct machine m = { 0 };

    (void)state;
    machine_begin(&m, "off", true);
    map_private_page(&m, 0);
    iommu_set_device(m.iommu, DEV_PRIVATE, &none);
    assert_fault(&m, DEV_PRIVATE, IOMMU_NOT_PRESENT, false);
    assert_false(iommu_evict(m.iommu, DEV_PRIVATE, iova(TARGET_GPA), 0));
    machine_end(&m);
}

/* A growing table: the devices of the domain see the new top, those of another do not. */
static void a_new_root_is_seen_by_the_domain(void **state)
{
    const uint64_t top = S2_TABLES + 0x80000;
    struct machine m = { 0 };
    struct iommu_dte other;

    (void)state;
    machine_begin(&m, "amd", true);
    map_private_page(&m, 0);
    other = *iommu_device(m.iommu, DEV_PRIVATE);
    other.domain_id = DOMAIN + 1;
    iommu_set_device(m.iommu, 9, &other);
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA + bit(40), IOMMU_READ).fault, IOMMU_CANONICAL);
    poke(&m, top, UINT64_C(0x6000000000000601) | S2_TABLES);
    poke(&m, top + 16, UINT64_C(0x6000000000000601) | S2_TABLES); /* 1T up: the same tables again */
    iommu_set_root(m.iommu, DOMAIN, false, top, 3);
    assert_fault(&m, DEV_PRIVATE, IOMMU_NO_FAULT, false);
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA + bit(40), IOMMU_READ).fault, IOMMU_RMP_GPA);
    assert_int_equal(dma(&m, 9, TARGET_GPA + bit(40), IOMMU_READ).fault, IOMMU_CANONICAL);
    assert_int_equal(iommu_device(m.iommu, DEV_PRIVATE_S1)->s2.root, top);
    assert_int_equal(iommu_device(m.iommu, DEV_PRIVATE_S1)->s1.root, S1_TABLES);
    iommu_set_root(m.iommu, DOMAIN, true, S1_TABLES + 8 * PAGE, 4);
    assert_int_equal(iommu_device(m.iommu, DEV_PRIVATE_S1)->s1.root, S1_TABLES + 8 * PAGE);
    assert_int_equal(iommu_device(m.iommu, DEV_PRIVATE)->s2.root, top);
    machine_end(&m);
}

static void a_reset_forgets_devices_entries_commands_and_counts(void **state)
{
    struct machine m = { 0 };
    uint64_t entries, reach;

    (void)state;
    machine_begin(&m, "amd", true);
    map_private_page(&m, 0);
    dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ);
    assert_true(iommu_inv_all(m.iommu));
    m.config.geometry = (struct iommu_geometry){ .sets = 512, .ways = 8, .walk_cache_entries = 128 };
    iommu_reset(m.iommu, &m.config);
    assert_fault(&m, DEV_PRIVATE, IOMMU_NOT_PRESENT, false);
    assert_int_equal(iommu_completion_wait(m.iommu), 0);
    machine_reconfigure(&m);
    iommu_occupancy(m.iommu, &entries, &reach);
    assert_int_equal(entries, 0);
    assert_int_equal(iommu_stats(m.iommu)->translations, 0);
    assert_int_equal(dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ).reads, 3);
    machine_end(&m);
}

static void counters_add_up(void **state)
{
    struct machine m = { 0 };
    const struct iommu_stats *stats;

    (void)state;
    machine_begin(&m, "amd", true);
    map_private_page(&m, 0);
    s2_put(&m, TARGET_GPA + LARGE, 1, 1, AMD_RW | (TARGET_HPA + LARGE));
    make_private(&m, TARGET_HPA + LARGE, TARGET_GPA + LARGE, RMP_2M);
    dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ);
    dma(&m, DEV_PRIVATE, TARGET_GPA, IOMMU_READ);
    dma(&m, DEV_PRIVATE, TARGET_GPA + LARGE, IOMMU_READ);
    dma(&m, DEV_PRIVATE, TARGET_GPA + PAGE, IOMMU_READ);
    stats = iommu_stats(m.iommu);
    assert_int_equal(stats->translations, 4);
    assert_int_equal(stats->hits, 1);
    assert_int_equal(stats->fills, 2);
    assert_int_equal(stats->fills_by_shift[12], 1);
    assert_int_equal(stats->fills_by_shift[21], 1);
    assert_int_equal(stats->faults[IOMMU_NOT_PRESENT], 1);
    assert_int_equal(stats->walk_reads, 3 + 1 + 1);
    machine_end(&m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_guest_table_is_reached_through_s2),
    cmocka_unit_test(the_walk_cache_shortens_both_stages),
    cmocka_unit_test(what_was_not_present_is_found_as_soon_as_it_is_mapped),
    cmocka_unit_test(the_longest_walk_takes_as_many_reads_as_the_header_says),
    cmocka_unit_test(a_fault_tells_guest_tables_from_the_page),
    cmocka_unit_test(guest_tables_meet_the_size_rule),
    cmocka_unit_test(a_shared_table_of_an_untrusted_device_is_read_as_shared),
    cmocka_unit_test(rights_of_both_stages_are_needed),
    cmocka_unit_test(an_expanded_entry_reaches_what_the_guest_never_mapped),
    cmocka_unit_test(reasons_come_in_the_order_of_the_manual),
    cmocka_unit_test(firmware_pages_and_devices_without_a_guest_own_nothing),
    cmocka_unit_test(shared_dma_beyond_the_rmp_passes_and_private_dma_does_not),
    cmocka_unit_test(a_hit_is_checked_again_only_if_the_switch_says_so),
    cmocka_unit_test(an_rmpupdate_drops_entries_only_if_the_switch_says_so),
    cmocka_unit_test(unchecked_shared_reads_do_not_open_the_page_for_writes),
    cmocka_unit_test(ats_translated_requests_are_checked_by_owner_alone),
    cmocka_unit_test(an_invalid_device_entry_lets_nothing_through),
    cmocka_unit_test(a_new_root_is_seen_by_the_domain),
    cmocka_unit_test(a_reset_forgets_devices_entries_commands_and_counts),
    cmocka_unit_test(counters_add_up),
};

int main(int argc, char **argv)
{
    return TEST_MAIN(tests, argc, argv);
}
