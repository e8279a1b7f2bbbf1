/* One handler an op: on tables in world_map.c and world_resize.c, DMA in world_dma.c; here the RMP and the rest. */
#include "base/check.h"
#include "base/fault.h"
#include "rmp/rmp_firmware.h"
#include "script/op.h"
#include "world/world_internal.h"

#include <errno.h>
#include <inttypes.h>

/* ---- RMP --------------------------------------------------------------------------------------------------------- */

/* The RMP's result against the oracle's; numbers are those of the manual on both sides. */
static void compare_rmp(struct world *world, const struct op *op, enum owner_result expected, enum rmp_result result)
{
    struct rmp_entry entry = { 0 };
    const uint64_t page = op_get(op, FIELD_HPA);

    if ((int)expected == (int)result) return;
    rmp_lookup(world->rmp, hpa(page), &entry);
    world_differ(world,
                 "rmp: expected %s, got %s\nrmp of hpa 0x%" PRIx64
                 " after it: assigned=%d size=%d asid=%u gpa=0x%" PRIx64 "\n",
                 rmp_result_name((enum rmp_result)expected), rmp_result_name(result), page, entry.assigned, entry.size,
                 entry.asid, entry.gpa);
}

static bool fields_agree(const struct owner_page *page, const struct rmp_entry *entry)
{
    if (page->assigned != entry->assigned) return false;
    if (page->immutable != entry->immutable || page->is_large != (entry->size == RMP_2M)) return false;
    if (!page->assigned) return true;
    for (unsigned i = 0; i < OWNER_VMPLS; i++) {
        if (page->rights[i] != entry->perms[i]) return false;
    }
    return page->gpa == entry->gpa && page->asid == entry->asid && page->vmsa == entry->vmsa &&
           page->validated == entry->validated;
}

void world_check_owner(struct world *world, uint64_t address)
{
    const struct owner_page page = ownership_lookup(&world->ownership, address);
    struct rmp_entry entry;
    const bool covered = rmp_lookup(world->rmp, hpa(address), &entry);

    if (covered == page.covered && (!covered || fields_agree(&page, &entry))) return;
    world_differ(world,
                 "rmp of hpa 0x%" PRIx64 "\noracle: covered=%d assigned=%d large=%d asid=%u gpa=0x%" PRIx64
                 " immutable=%d vmsa=%d validated=%d\nrmp: covered=%d assigned=%d large=%d asid=%u gpa=0x%" PRIx64
                 " immutable=%d vmsa=%d validated=%d\n",
                 address, page.covered, page.assigned, page.is_large, page.asid, page.gpa, page.immutable, page.vmsa,
                 page.validated, covered, entry.assigned, entry.size == RMP_2M, entry.asid, entry.gpa, entry.immutable,
                 entry.vmsa, entry.validated);
}

/* First and last page of the 2M region around the op's page, and the page itself. */
static void check_owners_around(struct world *world, uint64_t address)
{
    const uint64_t region = align_down(address, SHIFT_2M);

    world_check_owner(world, address);
    world_check_owner(world, region);
    world_check_owner(world, region + bit(SHIFT_2M) - 1);
}

static void do_rmpupdate(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    const uint64_t page = op_get(op, FIELD_HPA);
    const bool is_large = op_get(op, FIELD_SIZE);
    const struct rmp_state state = { .gpa = op_get(op, FIELD_GPA),
                                     .asid = (uint32_t)op_get(op, FIELD_ASID),
                                     .assigned = op_get(op, FIELD_ASSIGNED),
                                     .immutable = op_get(op, FIELD_IMMUTABLE),
                                     .size = is_large ? RMP_2M : RMP_4K };
    const struct owner_state owner = { state.gpa, state.asid, state.assigned, state.immutable, is_large };
    const uint64_t first = align_down(page, SHIFT_4K);
    const uint64_t length = is_large ? bit(SHIFT_2M) : bit(SHIFT_4K);
    uint64_t told = length;

    outcome->is_skipped = !world->has_rmp;
    if (outcome->is_skipped) return;
    outcome->rmp = rmp_update(world->rmp, hpa(page), &state);
    compare_rmp(world, op, ownership_update(&world->ownership, page, &owner), outcome->rmp);
    check_owners_around(world, page);
    if (outcome->rmp != RMP_OK) return;
    history_note_conversion(&world->history, &(struct history_conversion){ first, first + length - 1, world->moment });
    if (FAULT(WORLD_RMPUPDATE_TELLS_FIRST) && is_large && world->switches.invalidate_on_rmpupdate) {
        fault_triggered();
        told = bit(SHIFT_4K);
    }
    iommu_rmp_changed(world->iommu, hpa(first), told);
    if (world->switches.invalidate_on_rmpupdate) fills_invalidate_hpa(&world->fills, first, first + length - 1);
    world_check_held(world);
}

static void do_psmash(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    const uint64_t page = op_get(op, FIELD_HPA);

    outcome->is_skipped = !world->has_rmp;
    if (outcome->is_skipped) return;
    outcome->rmp = rmp_psmash(world->rmp, hpa(page));
    compare_rmp(world, op, ownership_psmash(&world->ownership, page), outcome->rmp);
    check_owners_around(world, page);
}

static void do_pvalidate(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    const bool is_large = op_get(op, FIELD_SIZE);
    const struct rmp_guest_page page = { .page = hpa(op_get(op, FIELD_HPA)),
                                         .gpa = gpa(op_get(op, FIELD_GPA)),
                                         .asid = (uint16_t)op_get(op, FIELD_ASID),
                                         .size = is_large ? RMP_2M : RMP_4K };
    const struct owner_guest_page owner = { page.page.value, page.gpa.value, page.asid, is_large };
    const bool validate = op_get(op, FIELD_VALIDATE);

    outcome->is_skipped = !world->has_rmp;
    if (outcome->is_skipped) return;
    outcome->rmp = rmp_pvalidate(world->rmp, &page, validate);
    compare_rmp(world, op, ownership_validate(&world->ownership, &owner, validate), outcome->rmp);
    check_owners_around(world, page.page.value);
}

static void do_rmpadjust(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    const bool is_large = op_get(op, FIELD_SIZE);
    const struct rmp_guest_page page = { .page = hpa(op_get(op, FIELD_HPA)),
                                         .gpa = gpa(op_get(op, FIELD_GPA)),
                                         .asid = (uint16_t)op_get(op, FIELD_ASID),
                                         .size = is_large ? RMP_2M : RMP_4K };
    const struct owner_guest_page owner = { page.page.value, page.gpa.value, page.asid, is_large };
    const unsigned vmpl = (unsigned)op_get(op, FIELD_VMPL);
    const uint8_t perms = (uint8_t)op_get(op, FIELD_PERMS);
    const bool vmsa = op_get(op, FIELD_VMSA);

    outcome->is_skipped = !world->has_rmp;
    if (outcome->is_skipped) return;
    outcome->rmp = rmp_adjust(world->rmp, &page, vmpl, perms, vmsa);
    compare_rmp(world, op, ownership_adjust(&world->ownership, &owner, vmpl, perms, vmsa), outcome->rmp);
    check_owners_around(world, page.page.value);
}

static void do_reclaim(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    const uint64_t page = op_get(op, FIELD_HPA);
    const bool is_large = op_get(op, FIELD_SIZE);

    outcome->is_skipped = !world->has_rmp;
    if (outcome->is_skipped) return;
    outcome->rmp = rmp_reclaim(world->rmp, hpa(page), is_large ? RMP_2M : RMP_4K);
    compare_rmp(world, op, ownership_reclaim(&world->ownership, page, is_large), outcome->rmp);
    check_owners_around(world, page);
}

static void do_unsmash(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    const uint64_t page = op_get(op, FIELD_HPA);

    outcome->is_skipped = !world->has_rmp;
    if (outcome->is_skipped) return;
    outcome->rmp = rmp_unsmash(world->rmp, hpa(page));
    compare_rmp(world, op, ownership_unsmash(&world->ownership, page), outcome->rmp);
    check_owners_around(world, page);
}

/* Firmware writes the entry itself: no RMPUPDATE, so nothing tells the IOMMU. */
static void do_set_state(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    const uint64_t page = op_get(op, FIELD_HPA);
    const bool is_large = op_get(op, FIELD_SIZE);
    const unsigned to = (unsigned)op_get(op, FIELD_STATE);
    const uint64_t guest = op_get(op, FIELD_GPA);
    const uint64_t first = align_down(page, SHIFT_4K);

    outcome->is_skipped = !world->has_rmp;
    if (outcome->is_skipped) return;
    outcome->rmp =
        rmp_set_page_state(world->rmp, hpa(page), is_large ? RMP_2M : RMP_4K, (enum rmp_page_state)to, guest);
    compare_rmp(world, op, ownership_set_name(&world->ownership, page, is_large, (enum owner_name)to, guest),
                outcome->rmp);
    check_owners_around(world, page);
    if (outcome->rmp != RMP_OK) return;
    history_note_conversion(
        &world->history,
        &(struct history_conversion){ first, first + low_mask(is_large ? SHIFT_2M : SHIFT_4K), world->op_number });
    world_check_held(world);
}

static void do_rmp_hold(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    const uint64_t page = op_get(op, FIELD_HPA);
    const bool is_region = op_get(op, FIELD_HOLD);
    const uint64_t n = op_get(op, FIELD_HOLD_N);
    bool expected;

    outcome->is_skipped = !world->has_rmp;
    if (outcome->is_skipped) return;
    outcome->rmp =
        rmp_hold(world->rmp, hpa(page), is_region ? RMP_HOLD_OVERLAP : RMP_HOLD_INUSE, n) ? RMP_OK : RMP_FAIL_INPUT;
    expected = ownership_hold(&world->ownership, page, is_region, n);
    compare_rmp(world, op, expected ? OWNER_OK : OWNER_FAIL_INPUT, outcome->rmp);
}

/* ---- commands ---------------------------------------------------------------------------------------------------- */

/* now=yes: hardware may take a command early; commands take effect in order, so all before it do too. */
static void do_inv_pages(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    const struct world_table *table = world_table_of(world, op_get(op, FIELD_DOMAIN), op_get(op, FIELD_STAGE));
    const uint64_t start = op_get(op, FIELD_INPUT);
    const uint64_t length = op_get(op, FIELD_LENGTH);
    struct world_command command = { .page_tables = op_get(op, FIELD_PDE) };

    outcome->is_skipped = !table;
    if (!table) return;
    command.range = (struct fills_range){ .domain = table->domain,
                                          .is_guest = table->is_s1,
                                          .pasid = (uint32_t)op_get(op, FIELD_PASID) };
    /* What the encoded address names is what counts: enclosing power of two, rmp.md 5.1. */
    iommu_decode_inv_address(iommu_encode_inv_address(iova(start), length), &command.range.first, &command.range.last);
    outcome->error = world_queue(world, &command) ? 0 : -EAGAIN;
    if (op_get(op, FIELD_NOW)) world_wait(world);
}

static void do_completion_wait(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    (void)op;
    (void)outcome;
    world_wait(world);
}

static void do_fail_alloc(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    (void)outcome;
    world->pool.allocations_left = op_get(op, FIELD_COUNT_N);
    world->s1_pool.allocations_left = op_get(op, FIELD_COUNT_N);
}

/* ---- the table of handlers --------------------------------------------------------------------------------------- */

typedef void handler(struct world *world, const struct op *op, struct world_outcome *outcome);

static handler *const handlers[OP_KIND_LIMIT] = {
    [OP_MAP] = world_do_map,         [OP_UNMAP] = world_do_unmap,
    [OP_SYNC] = world_do_sync,       [OP_CUT] = world_do_cut,
    [OP_RESIZE] = world_do_resize,   [OP_DIRTY_READ] = world_do_dirty_read,
    [OP_RMPUPDATE] = do_rmpupdate,   [OP_PSMASH] = do_psmash,
    [OP_PVALIDATE] = do_pvalidate,   [OP_RECLAIM] = do_reclaim,
    [OP_UNSMASH] = do_unsmash,       [OP_SET_STATE] = do_set_state,
    [OP_RMP_HOLD] = do_rmp_hold,     [OP_RMPADJUST] = do_rmpadjust,
    [OP_INV_PAGES] = do_inv_pages,   [OP_COMPLETION_WAIT] = do_completion_wait,
    [OP_DMA] = world_do_dma,         [OP_EVICT] = world_do_evict,
    [OP_FAIL_ALLOC] = do_fail_alloc, [OP_MAP_LIST] = world_do_map_list,
    [OP_CONVERT] = world_do_convert, [OP_STEP] = world_do_step,
    [OP_STALL] = world_do_stall,
};

static void apply(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    const enum op_kind kind = op_kind_of(op);

    CHECK((unsigned)kind < OP_KIND_LIMIT);
    CHECK(handlers[kind] != NULL);
    *outcome = (struct world_outcome){ .kind = kind };
    world->op = *op;
    world->outcome = outcome;
    world->moment++;
    world_device_begin_op(world);
    handlers[kind](world, op, outcome);
    world_check_complaint(world);
    world_device_end_op(world);
}

void world_apply_inside(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    struct world_outcome *const around = world->outcome;
    const struct op op_around = world->op;
    const bool was_step = world->is_step;

    world->is_step = true;
    apply(world, op, outcome);
    world->is_step = was_step;
    world->op = op_around;
    world->outcome = around;
    around->is_difference |= outcome->is_difference;
}

void world_apply(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    world->op_number++;
    world->totals.ops++;
    apply(world, op, outcome);
    if (outcome->finding != FINDING_NONE) world->totals.findings[outcome->finding]++;
    world->outcome = NULL;
}
