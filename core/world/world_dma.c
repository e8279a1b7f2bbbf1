/*
 * DMA against the oracle. A miss must end as the truth tables say for the tables and owners of now; a hit must come
 * from an entry that was filled and not invalidated since. Findings (STALE, LOSES DMA, EXPANDS) are judged here too.
 *
 * Three things make an outcome lawful that the tables of now do not give, each only where the IOMMU says that it began
 * at a cached upper-level item: a leaf that was split or removed and not invalidated; a table that was removed and not
 * yet synced (not-present); an A/D update against a cached item of a table whose page a script has given away.
 *
 * Guest tables are reached through S2. Where S2 does not lead to their real place, what the walk reads there is not the
 * guest's tables: the outcome is not predicted, and counted in world_totals.unpredicted.
 */
#include "world/world_dma.h"
#include "script/op.h"

#include <errno.h>
#include <inttypes.h>

static enum iommu_fault fault_of(enum oracle_fault fault)
{
    static const enum iommu_fault faults[] = {
        [ORACLE_NO_FAULT] = IOMMU_NO_FAULT,
        [ORACLE_NOT_PRESENT] = IOMMU_NOT_PRESENT,
        [ORACLE_PERMISSION] = IOMMU_PERMISSION,
        [ORACLE_CANONICAL] = IOMMU_CANONICAL,
        [ORACLE_RMP_OWNER] = IOMMU_RMP_OWNER,
        [ORACLE_RMP_GPA] = IOMMU_RMP_GPA,
        [ORACLE_RMP_SIZE] = IOMMU_RMP_SIZE,
        [ORACLE_RMP_IMMUTABLE] = IOMMU_RMP_IMMUTABLE,
        [ORACLE_RMP_NOT_VALIDATED] = IOMMU_RMP_NOT_VALIDATED,
        [ORACLE_RMP_RANGE] = IOMMU_RMP_RANGE,
    };

    return faults[fault];
}

/* ---- the request ------------------------------------------------------------------------------------------------- */

static bool has_s1(const struct world *world, unsigned device)
{
    return device == 1 && world->has_s1;
}

/* A driver knows which pasids its devices use, and invalidates those. */
static void note_pasid(struct world *world, uint32_t pasid)
{
    for (unsigned i = 0; i < world->pasid_count; i++) {
        if (world->pasids[i] == pasid) return;
    }
    if (world->pasid_count == WORLD_PASIDS_MAX)
        world->pasids_overflowed = true;
    else
        world->pasids[world->pasid_count++] = pasid;
}

struct dma world_dma_of(struct world *world, const struct op *op)
{
    const unsigned device = (unsigned)op_get(op, FIELD_DEVICE);
    const enum op_private asked = (enum op_private)op_get(op, FIELD_PRIVATE);
    const bool is_trusted = device < 2;
    struct dma dma = { .world = world };

    dma.request = (struct iommu_request){
        .device = device,
        .address = iova(op_get(op, FIELD_INPUT)),
        .access = op_get(op, FIELD_ACCESS) ? IOMMU_WRITE : IOMMU_READ,
        .is_private = asked == PRIVATE_DEFAULT ? is_trusted : asked == PRIVATE_YES,
        .pasid = (uint32_t)op_get(op, FIELD_PASID),
    };
    if (device >= WORLD_DEVICES) return dma;
    dma.s2 = &world->tables[device == 3];
    dma.s1 = has_s1(world, device) ? &world->tables[WORLD_S1_TABLE] : NULL;
    dma.access = (struct oracle_access){
        .s1 = dma.s1 ? &dma.s1->oracle : NULL,
        .s2 = &dma.s2->oracle,
        .address = dma.request.address.value,
        .is_write = dma.request.access == IOMMU_WRITE,
        .is_private = dma.request.is_private && is_trusted,
        .asid = 1,
    };
    dma.tag = (struct fill_tag){ dma.s2->domain, dma.access.is_private, dma.s1 != NULL, dma.request.pasid };
    return dma;
}

/* ---- findings ---------------------------------------------------------------------------------------------------- */

/* A completed access that is not what is authorised now, outside the window of an unmap's invalidation. */
static void judge_stale(struct dma *dma, struct world_outcome *outcome, uint64_t gpa_then)
{
    uint64_t wanted;

    if (oracle_wants(&dma->world->machine, &dma->access, &wanted) && wanted == outcome->dma.hpa.value) return;
    if (world_may_lag(dma->s2, gpa_then, true)) return;
    if (dma->s2->domain == 0 && world_is_converting(dma->world, gpa_then)) return;
    if (dma->s1 && world_may_lag(dma->s1, dma->access.address, true)) return;
    dma->gpa_reached = gpa_then;
    outcome->finding = FINDING_STALE;
}

static void judge_fault(struct dma *dma, struct world_outcome *outcome)
{
    uint64_t wanted;

    /* Guest tables that S2 does not map, or that belong to somebody else, authorise nothing. */
    if (outcome->dma.of_s1_table && outcome->dma.fault != IOMMU_RMP_SIZE) return;
    if (dma->s2->domain == 0 && world_is_converting(dma->world, oracle_translate(&dma->access).gpa)) return;
    if (oracle_wants(&dma->world->machine, &dma->access, &wanted)) outcome->finding = FINDING_LOSES_DMA;
}

/* From an item of before, while the invalidation of its unmap is under way: what it covers may lag as a whole. */
static bool is_in_window(const struct dma *dma, const struct iommu_outcome *got, uint64_t gpa_then)
{
    if (!got->from_walk_cache) return false;
    return world_may_lag(dma->s2, gpa_then, true) || (dma->s1 && world_may_lag(dma->s1, dma->access.address, true));
}

static void judge_fill(struct dma *dma, struct world_outcome *outcome)
{
    const struct iommu_outcome *got = &outcome->dma;
    const struct oracle_entry entry = { got->entry_input, got->entry_hpa, got->fill_shift, got->readable,
                                        got->writable };

    if (oracle_expands(&dma->world->machine, &dma->access, &entry)) outcome->finding = FINDING_EXPANDS;
}

/* ---- hits -------------------------------------------------------------------------------------------------------- */

static const char *hit_problem(const struct dma *dma, const struct fill *fill, const struct iommu_outcome *got)
{
    const uint64_t offset = dma->access.address - fill->input;
    const struct oracle_translation path = { .gpa = fill->gpa + offset,
                                             .hpa = fill->hpa + offset,
                                             .s2_shift = fill->s2_is_large ? SHIFT_2M : SHIFT_4K };
    enum oracle_fault expected = ORACLE_NO_FAULT;

    if (got->entry_hpa != fill->hpa || got->readable != fill->readable || got->writable != fill->writable)
        return "the entry is not as it was filled";
    if (dma->access.is_write ? !fill->writable : !fill->readable) return "the entry has no right for this access";
    if (dma->access.is_write && !fill->serves_write) return "a write, and the leaf had no dirty bit yet";
    if (dma->world->switches.recheck_on_hit && fill->gpa == FILL_GPA_UNKNOWN) return NULL; /* what the RMP was asked */
    if (dma->world->switches.recheck_on_hit) expected = oracle_recheck(&dma->world->machine, &dma->access, &path);
    if (got->fault != fault_of(expected)) return "the recheck ends in another fault";
    if (!got->fault && got->hpa.value != path.hpa) return "the entry leads to another byte";
    return NULL;
}

static void check_hit(struct dma *dma, struct world_outcome *outcome)
{
    const struct iommu_outcome *got = &outcome->dma;
    struct fill fill = { .gpa = dma->access.address, .input = dma->access.address };
    const char *problem;

    if (fills_find(&dma->world->fills, &dma->tag, got->entry_input, got->fill_shift, &fill))
        problem = hit_problem(dma, &fill, got);
    else
        problem = dma->s1 && dma->world->fills.overflowed ? NULL : "no such entry was filled, or it was invalidated";
    if (problem) {
        world_differ_at(dma->s2, dma->access.address,
                        "dma: hit on input 0x%" PRIx64 " size 2^%u -> 0x%" PRIx64 " fault=%s: %s\n", got->entry_input,
                        got->fill_shift, got->entry_hpa, iommu_fault_name(got->fault), problem);
        return;
    }
    if (got->fault)
        judge_fault(dma, outcome);
    else if (fill.gpa != FILL_GPA_UNKNOWN)
        judge_stale(dma, outcome, fill.gpa + (dma->access.address - fill.input));
}

/* Both stages were walked to their end: no fault, or one of the RMP. */
static bool is_past_the_tables(enum iommu_fault fault)
{
    return fault != IOMMU_NOT_PRESENT && fault != IOMMU_PERMISSION && fault != IOMMU_CANONICAL;
}

/* ---- misses ------------------------------------------------------------------------------------------------------ */

static bool fits(const struct dma *dma, const struct oracle_expectation *expected, const struct iommu_outcome *got)
{
    const struct oracle_translation *path = &expected->path;

    if (got->fault != fault_of(expected->fault) || got->of_s1_table) return false;
    if (got->fault) return true;
    return got->hpa.value == expected->hpa && got->fill_shift == expected->fill_shift &&
           got->entry_input == align_down(dma->access.address, expected->fill_shift) &&
           got->entry_hpa == align_down(expected->hpa, expected->fill_shift) && got->s1_shift == path->s1_shift &&
           got->s2_shift == path->s2_shift && got->readable == path->readable &&
           got->writable == (path->writable && !expected->read_only_entry) &&
           (got->repaired == expected->repaired || (dma->s1 && got->repaired));
}

/* Does the outcome follow from the tables of now, or from cached items that nobody invalidated? *then: from which. */
static bool follows(struct dma *dma, const struct iommu_outcome *got, struct oracle_expectation *then)
{
    struct oracle_access access = dma->access;
    struct oracle_leaf s1_leaf, s2_leaf;
    unsigned s1_index = 0;

    do {
        unsigned s2_index = 0;

        access.s2_leaf = NULL;
        do {
            /* A leaf of now that cannot be marked was not used; an old one may have had its mark. */
            const bool is_blocked = dma->block == BLOCK_SURE && !access.s1_leaf && !access.s2_leaf;

            *then = oracle_expect(&dma->world->machine, &access);
            if (!is_blocked && fits(dma, then, got)) return true;
            if (!got->from_walk_cache || !leftovers_next(&dma->s2->leftovers, then->path.gpa, &s2_index, &s2_leaf))
                break;
            access.s2_leaf = &s2_leaf;
        } while (true);
        if (!dma->s1 || !got->from_walk_cache ||
            !leftovers_next(&dma->s1->leftovers, access.address, &s1_index, &s1_leaf))
            return false;
        access.s1_leaf = &s1_leaf;
    } while (true);
}

/* Outcomes that need no translation to be lawful; see the top of this file. */
static bool is_lawful_lag(const struct dma *dma, const struct iommu_outcome *got)
{
    if (!got->from_walk_cache) return false;
    if (dma->s2->leftovers.overflowed || (dma->s1 && dma->s1->leftovers.overflowed)) return true;
    if (got->fault == IOMMU_RMP_OWNER && dma->block != BLOCK_NONE) return true;
    /* An old item led the walk to another leaf than now, whose mark is refused. */
    if (got->fault == IOMMU_RMP_OWNER && dma->some_table_is_given_away &&
        (dma->s2->leftovers.count > 0 || (dma->s1 && dma->s1->leftovers.count > 0)))
        return true;
    return got->fault == IOMMU_NOT_PRESENT && (dma->s2->hull_tables || (dma->s1 && dma->s1->hull_tables));
}

/* May the walk have used an item of before for this S2 leaf? */
static bool may_be_old(const struct dma *dma, const struct iommu_outcome *got, uint64_t gpa)
{
    struct oracle_leaf leaf;
    unsigned index = 0;

    return got->from_walk_cache &&
           (dma->s2->leftovers.overflowed || leftovers_next(&dma->s2->leftovers, gpa, &index, &leaf));
}

/*
 * A write may use the entry only if no D bit is left to be set in the S2 leaf: it was written, or dirty already. What
 * an item of before said is not known. Leaves of a format that starts dirty, guest tables' among them, always serve.
 */
static bool may_serve_writes(const struct dma *dma, const struct iommu_outcome *got, uint64_t gpa)
{
    struct oracle_leaf leaf;

    if (dma->access.is_write || !oracle_reads_dirty(&dma->s2->oracle.config)) return true;
    if (!dma->s2->walk.set_accessed_dirty) return true;
    if (may_be_old(dma, got, gpa)) return true;
    if (dma->s1 && got->from_walk_cache && dma->s1->leftovers.count > 0) return true;
    return !oracle_find(&dma->s2->oracle, gpa, &leaf) || leaf.dirty;
}

static unsigned smaller_shift(unsigned s1_shift, unsigned s2_shift)
{
    return s1_shift && s1_shift < s2_shift ? s1_shift : s2_shift;
}

/* path: the way the walk went, NULL where that is not known. */
static void remember_fill(struct dma *dma, const struct iommu_outcome *got, const struct oracle_translation *path)
{
    const struct fill fill = {
        .input = got->entry_input,
        .gpa = path ? align_down(path->gpa, got->fill_shift) : FILL_GPA_UNKNOWN,
        .hpa = got->entry_hpa,
        .shift = got->fill_shift,
        .s2_is_large = got->s2_shift >= SHIFT_2M,
        .readable = got->readable,
        .writable = got->writable,
        .serves_write = !path || dma->guest.is_unknown || may_serve_writes(dma, got, path->gpa),
    };

    fills_add(&dma->world->fills, &dma->tag, &fill);
    history_note_fill(&dma->world->history,
                      &(struct history_fill){ .input = fill.input,
                                              .hpa = fill.hpa,
                                              .number = dma->world->moment,
                                              .tag = dma->tag,
                                              .shift = fill.shift,
                                              .walked = dma->access.address,
                                              .walked_shift = smaller_shift(got->s1_shift, got->s2_shift) });
}

/* May the walk have used an item of before of stage 1? Then another page than the tables of now say was met. */
static bool may_lead_elsewhere(const struct dma *dma, const struct iommu_outcome *got)
{
    struct oracle_leaf leaf;
    unsigned index = 0;

    return dma->s1 && got->from_walk_cache &&
           (dma->s1->leftovers.overflowed || leftovers_next(&dma->s1->leftovers, dma->access.address, &index, &leaf));
}

/*
 * Hardware marks the S2 leaf in its walk, before it asks the RMP. A cached item of before may have had its mark
 * already: then the leaf of now gets none, and only a look at it tells.
 */
static void follow_dirty(struct dma *dma, const struct iommu_outcome *got, uint64_t gpa)
{
    struct oracle_table *oracle = &dma->s2->oracle;
    struct oracle_leaf leaf;

    if (!dma->access.is_write || !oracle_reads_dirty(&oracle->config) || !dma->s2->walk.set_accessed_dirty) return;
    if (may_lead_elsewhere(dma, got)) {
        world_adopt_dirty(dma->s2);
        return;
    }
    if (may_be_old(dma, got, gpa) ? world_walk(dma->s2, gpa).dirty : oracle_find(oracle, gpa, &leaf))
        oracle_set_dirty(oracle, gpa, true);
}

static void differ(struct dma *dma, const struct iommu_outcome *got, const char *why)
{
    const struct oracle_expectation expected = oracle_expect(&dma->world->machine, &dma->access);

    world_differ_at(dma->s2, expected.path.gpa,
                    "dma: %sexpected fault=%s hpa=0x%" PRIx64 " fill 2^%u (s1 2^%u s2 2^%u r=%d w=%d repaired=%d)\n"
                    "     iommu    fault=%s%s hpa=0x%" PRIx64 " fill 2^%u (s1 2^%u s2 2^%u r=%d w=%d repaired=%d) "
                    "entry 0x%" PRIx64 " -> 0x%" PRIx64 " walk_cache=%d\n",
                    why, iommu_fault_name(fault_of(expected.fault)), expected.hpa, expected.fill_shift,
                    expected.path.s1_shift, expected.path.s2_shift, expected.path.readable,
                    expected.path.writable && !expected.read_only_entry, expected.repaired,
                    got->of_s1_table ? "s1-" : "", iommu_fault_name(got->fault), got->hpa.value, got->fill_shift,
                    got->s1_shift, got->s2_shift, got->readable, got->writable, got->repaired, got->entry_input,
                    got->entry_hpa, got->from_walk_cache);
}

/* Not predicted: guest tables are not where they should be. Follow what cannot be known. */
static void follow_unpredicted(struct dma *dma, struct world_outcome *outcome)
{
    const struct oracle_translation path = oracle_translate(&dma->access);
    const bool leads_there = path.fault == ORACLE_NO_FAULT && path.hpa == outcome->dma.hpa.value;

    dma->world->totals.unpredicted++;
    world_adopt_dirty(dma->s2);
    if (!outcome->dma.fault) remember_fill(dma, &outcome->dma, leads_there ? &path : NULL);
}

static void check_miss(struct dma *dma, struct world_outcome *outcome)
{
    const struct iommu_outcome *got = &outcome->dma;
    struct oracle_expectation then;

    if (dma->block == BLOCK_SURE && got->fault == IOMMU_RMP_OWNER && !got->of_s1_table) {
        judge_fault(dma, outcome);
        return;
    }
    if (dma->s1 && world_guest_tables_explain(dma, got)) {
        judge_fault(dma, outcome);
        return;
    }
    if (dma->s1 && !got->from_walk_cache && !got->of_s1_table && world_guest_path_faults(dma)) {
        differ(dma, got, "a fetch of a guest table had to fault\n");
        return;
    }
    if (dma->s1 && dma->guest.is_unknown) {
        follow_unpredicted(dma, outcome);
        return;
    }
    if (!follows(dma, got, &then)) {
        if (is_lawful_lag(dma, got)) {
            if (got->fault) judge_fault(dma, outcome);
            if (!got->fault) follow_unpredicted(dma, outcome);
            return;
        }
        differ(dma, got, "");
        return;
    }
    if (is_past_the_tables(got->fault)) follow_dirty(dma, got, then.path.gpa);
    if (got->fault) {
        judge_fault(dma, outcome);
        return;
    }
    remember_fill(dma, got, &then.path);
    if (!is_in_window(dma, got, then.path.gpa)) judge_fill(dma, outcome);
    if (got->from_walk_cache) judge_stale(dma, outcome, then.path.gpa);
}

/* ---- ops --------------------------------------------------------------------------------------------------------- */

/* A stalled device waits; what it sends beyond its credits is not sent. */
static void hold(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    outcome->is_held = world->held_count < WORLD_HELD_MAX;
    outcome->is_not_sent = !outcome->is_held;
    if (!outcome->is_held) return;
    world->held[world->held_count++] = *op;
    world->costs.held++;
    world->totals.costs.held++;
}

void world_do_dma(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    struct dma dma = world_dma_of(world, op);

    if (world->is_stalled) {
        hold(world, op, outcome);
        return;
    }
    if (!dma.s2) {
        iommu_translate(world->iommu, &dma.request, &outcome->dma);
        if (outcome->dma.fault != IOMMU_NOT_PRESENT)
            world_differ(world, "dma: device %u has no device table entry, yet %s\n", dma.request.device,
                         iommu_fault_name(outcome->dma.fault));
        return;
    }
    if (dma.s1) {
        note_pasid(world, dma.request.pasid);
        world_look_at_guest_tables(&dma);
        outcome->is_skipped = dma.guest.is_dangerous;
        if (outcome->is_skipped) return;
    }
    world_look_at_host_tables(&dma);
    iommu_translate(world->iommu, &dma.request, &outcome->dma);
    if (outcome->dma.is_hit)
        check_hit(&dma, outcome);
    else
        check_miss(&dma, outcome);
    if (outcome->finding != FINDING_NONE) outcome->rule = world_rule_of(&dma, outcome);
    outcome->finding_op = *op;
}

void world_do_evict(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    const bool found = iommu_evict(world->iommu, (unsigned)op_get(op, FIELD_DEVICE), iova(op_get(op, FIELD_INPUT)),
                                   (uint32_t)op_get(op, FIELD_PASID));

    outcome->error = found ? 0 : -ENOENT;
}
