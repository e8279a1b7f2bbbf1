/* See world_words.h. Tables of words first, then one function an op; DMA is at the end, since it has most to tell. */
#include "world/world_words.h"

#include "rmp/rmp_firmware.h"
#include "world/world_dma.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct words {
    char *buffer;
    size_t size;
    int length; /* as snprintf counts */
};

static void say(struct words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct words *words, const char *format, ...)
{
    const size_t used = (size_t)words->length < words->size ? (size_t)words->length : words->size;
    va_list arguments;

    va_start(arguments, format);
    words->length += vsnprintf(words->buffer + used, words->size - used, format, arguments);
    va_end(arguments);
}

/* 4K, 2M, 1G, or bytes in hex. */
static void say_size(struct words *words, uint64_t bytes)
{
    static const struct {
        unsigned shift;
        char unit;
    } units[] = { { 50, 'P' }, { 40, 'T' }, { 30, 'G' }, { 20, 'M' }, { 10, 'K' } };

    for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (bytes < bit(units[i].shift) || !is_aligned(bytes, units[i].shift)) continue;
        say(words, "%" PRIu64 "%c", bytes >> units[i].shift, units[i].unit);
        return;
    }
    say(words, "0x%" PRIx64 " bytes", bytes);
}

/* ---- the machine ------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *words;
} hardware_words[] = {
    { "amd", "S2 leaf and RMP page must agree in size, else a private DMA faults" },
    { "amd-fill-2m",
      "S2 leaf and RMP page must agree in size, and an IOTLB entry takes the size of the S2 leaf, however "
      "small the guest's S1 leaf is" },
    { "smallest", "an IOTLB entry takes the smallest of the S1, S2 and RMP sizes, and no size faults" },
    { "expanding", "an S2 leaf of 4K on an RMP page of 2M is accepted, and cached as 2M" },
    { "cpu", "a size mismatch is repaired as a CPU's fault handler would do it, and tried again" },
    { "cca", "the IOMMU checks the owner of the touched 4K page and nothing else" },
    { "off", "the IOMMU does not look at the RMP" },
};

/* A switch, the value that is worth a word, and the word. */
static const struct {
    enum op_field field;
    uint64_t value;
    const char *words;
} switch_words[] = {
    { FIELD_RECHECK_ON_HIT, 1, "every IOTLB hit is checked against the RMP again" },
    { FIELD_INVALIDATE_ON_RMPUPDATE, 1, "RMPUPDATE drops IOTLB entries over the page" },
    { FIELD_CHECK_VALIDATED, 1, "private pages must be validated" },
    { FIELD_SHARED_READ_CHECKED, 0, "shared reads are not checked" },
    { FIELD_ATS_TRANSLATED_CHECKED, 0, "translated requests are not checked" },
    { FIELD_KEEP_WALK_CACHE, 0, "invalidating leaves drops cached upper levels too" },
    { FIELD_IOTLB, OP_IOTLB_TINY, "the IOTLB holds 4 entries" },
    { FIELD_IOTLB, OP_IOTLB_SMALL, "the IOTLB holds 8 entries" },
};

static void say_machine(struct words *words, const struct world *world, const struct op *op)
{
    const char *hardware = op_hw_name((unsigned)op_get(op, FIELD_HW));
    const uint64_t sizes = op_world_page_sizes(op);

    say(words, "A machine with ");
    say_size(words, op_get(op, FIELD_MEMORY));
    say(words, " of memory");
    for (unsigned i = 0; world->has_rmp && i < sizeof(hardware_words) / sizeof(hardware_words[0]); i++) {
        if (strcmp(hardware_words[i].name, hardware) == 0)
            say(words, " and hardware `%s`: %s", hardware, hardware_words[i].words);
    }
    if (!world->has_rmp) say(words, " and no RMP");
    if (sizes) say(words, "; the host uses no leaf below 2^%u bytes", trailing_zeros(sizes));
    if (world->has_s1) {
        say(words, "; the guest has an S1 table of its own at gpa 0x%" PRIx64 ", kept at hpa 0x%" PRIx64,
            op_get(op, FIELD_S1_TABLES), op_get(op, FIELD_S1_BACKING));
    }
    for (unsigned i = 0; i < sizeof(switch_words) / sizeof(switch_words[0]); i++) {
        if (op_get(op, switch_words[i].field) == switch_words[i].value) say(words, "; %s", switch_words[i].words);
    }
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static bool is_of_s1(const struct world *world, const struct op *op)
{
    const struct world_table *table =
        world_table_of((struct world *)world, op_get(op, FIELD_DOMAIN), op_get(op, FIELD_STAGE));

    return table && table->is_s1;
}

/* "The host unmaps 2M at gpa 0x200000" */
static void say_range(struct words *words, const struct world *world, const struct op *op, const char *verb)
{
    const bool is_s1 = is_of_s1(world, op);

    say(words, "The %s %s ", is_s1 ? "guest" : "host", verb);
    say_size(words, op_get(op, FIELD_LENGTH));
    say(words, " at %s 0x%" PRIx64, is_s1 ? "iova" : "gpa", op_get(op, FIELD_INPUT));
    if (op_get(op, FIELD_DOMAIN)) say(words, " of domain %" PRIu64, op_get(op, FIELD_DOMAIN));
}

static void say_refusal(struct words *words, const struct world_outcome *outcome)
{
    char text[128];

    world_print_outcome(outcome, text, sizeof(text));
    say(words, ": refused, %s", text);
}

static void say_map(struct words *words, struct world *world, const struct op *op, const struct world_outcome *outcome)
{
    const struct world_table *table = world_table_of(world, op_get(op, FIELD_DOMAIN), op_get(op, FIELD_STAGE));
    const uint64_t prot = op_get(op, FIELD_PROT);
    struct oracle_leaf leaf;

    say_range(words, world, op, "maps");
    say(words, " to %s 0x%" PRIx64, table->is_s1 ? "gpa" : "hpa", op_get(op, FIELD_HPA));
    say(words, ", to %s", (prot & 3) == 3 ? "read and write" : prot & 2 ? "write" : "read");
    if (outcome->error) {
        say_refusal(words, outcome);
        return;
    }
    if (!oracle_find(&table->oracle, op_get(op, FIELD_INPUT), &leaf)) return;
    if (outcome->leaves == 1)
        say(words, ", by one leaf of ");
    else
        say(words, ", by %" PRIu64 " leaves, the first of ", outcome->leaves);
    say_size(words, bit(leaf.shift));
}

/* The pieces by number and length: they need not lie as the first two do. */
static void say_map_list(struct words *words, struct world *world, const struct op *op,
                         const struct world_outcome *outcome)
{
    struct op_piece pieces[OP_PIECES_MAX];
    const unsigned count = op_pieces(op, pieces);
    const bool is_s1 = is_of_s1(world, op);
    uint64_t length = 0;

    for (unsigned i = 0; i < count; i++) length += pieces[i].length;
    say(words, "The %s maps a list of %u piece%s, ", is_s1 ? "guest" : "host", count, count == 1 ? "" : "s");
    say_size(words, length);
    say(words, " in all, at %s 0x%" PRIx64, is_s1 ? "iova" : "gpa", op_get(op, FIELD_INPUT));
    if (count) say(words, "; the first leads to %s 0x%" PRIx64, is_s1 ? "gpa" : "hpa", pieces[0].target);
    if (outcome->error)
        say_refusal(words, outcome);
    else
        say(words, ", by %" PRIu64 " %s", outcome->leaves, outcome->leaves == 1 ? "leaf" : "leaves");
}

static void say_unmap(struct words *words, struct world *world, const struct op *op,
                      const struct world_outcome *outcome)
{
    say_range(words, world, op, "unmaps");
    if (outcome->bytes == 0)
        say(words, ", where nothing is mapped");
    else if (op_get(op, FIELD_SYNC))
        say(words, ", invalidates what may be cached of it, and waits");
    else
        say(words, " and sends no invalidation: what is cached of it stays");
    if (outcome->bytes && outcome->bytes != op_get(op, FIELD_LENGTH)) {
        say(words, " (");
        say_size(words, outcome->bytes);
        say(words, " went: leaves go as a whole)");
    }
    if (outcome->reports)
        say(words, ", and hands over %u piece%s of memory", outcome->reports, outcome->reports == 1 ? "" : "s");
}

static void say_cut(struct words *words, struct world *world, const struct op *op, const struct world_outcome *outcome)
{
    const struct world_table *table = world_table_of(world, op_get(op, FIELD_DOMAIN), op_get(op, FIELD_STAGE));
    struct oracle_leaf leaf;

    say(words, "The %s splits its leaf at %s 0x%" PRIx64, table->is_s1 ? "guest" : "host",
        table->is_s1 ? "iova" : "gpa", op_get(op, FIELD_AT));
    if (outcome->error) {
        say_refusal(words, outcome);
        return;
    }
    if (!oracle_find(&table->oracle, op_get(op, FIELD_AT), &leaf)) return;
    say(words, ": a leaf of ");
    say_size(words, bit(leaf.shift));
    say(words, " begins there now, every translation stays, and the RMP hears nothing of it");
}

/* What the oracle has at the start of the range: the usual size there now. */
static void say_resize(struct words *words, struct world *world, const struct op *op,
                       const struct world_outcome *outcome)
{
    const struct world_table *table = world_table_of(world, op_get(op, FIELD_DOMAIN), op_get(op, FIELD_STAGE));
    struct oracle_leaf leaf;

    say_range(words, world, op, "makes the leaves of");
    say(words, " as large as they can be up to ");
    say_size(words, bit((unsigned)op_get(op, FIELD_MAX)));
    if (outcome->error) {
        say_refusal(words, outcome);
        return;
    }
    if (!oracle_find(&table->oracle, op_get(op, FIELD_INPUT), &leaf)) return;
    say(words, ": the first is of ");
    say_size(words, bit(leaf.shift));
    say(words, " now, every translation stays, and the RMP hears nothing of it");
}

static void say_invalidation(struct words *words, const struct world *world, const struct op *op)
{
    const bool is_now = op_get(op, FIELD_NOW);

    say_range(words, world, op, is_now ? "invalidates" : "queues an invalidation of");
    if (op_get(op, FIELD_PASID)) say(words, " for pasid %" PRIu64, op_get(op, FIELD_PASID));
    say(words, op_get(op, FIELD_PDE) ? ", upper levels included" : ", leaves only: cached upper levels may stay");
    if (!is_now) say(words, "; it takes effect at the wait");
}

static void say_convert(struct words *words, const struct world *world, const struct op *op,
                        const struct world_outcome *outcome)
{
    say(words, "Guest 1 asks the host, whose policy is `%s`, to make ",
        op_policy_name((unsigned)op_get(&world->world_op, FIELD_POLICY)));
    say_size(words, op_get(op, FIELD_LENGTH));
    say(words, " at gpa 0x%" PRIx64 " %s", op_get(op, FIELD_GPA), op_get(op, FIELD_TO) ? "private" : "shared");
    say(words, outcome->is_busy ? "; another conversion is under way, and this one is refused" : ": ");
}

static void say_progress(struct words *words, const struct world_outcome *outcome)
{
    static const char *const words_of[] = { [HOST_IDLE] = "ended before",
                                            [HOST_RUNNING] = "is under way",
                                            [HOST_DONE] = "is complete",
                                            [HOST_REFUSED] = "has ended in an error: " };

    if (outcome->is_busy) return;
    say(words, "%" PRIu64 " step%s done; the conversion %s%s", outcome->steps, outcome->steps == 1 ? " is" : "s are",
        words_of[outcome->state], host_reason_name(outcome->reason));
    if (outcome->leaked) say(words, "; %u pages of 4K stay the guest's, and the host does not know", outcome->leaked);
}

static void say_stall(struct words *words, const struct op *op, const struct world_outcome *outcome)
{
    if (op_get(op, FIELD_ON))
        say(words, "DMA is held back from now on");
    else
        say(words, "DMA goes on; %u that were held are served, %u of them fault", outcome->served, outcome->faults);
}

/* ---- the RMP ----------------------------------------------------------------------------------------------------- */

static const char *size_of(const struct op *op)
{
    return op_get(op, FIELD_SIZE) ? "2M" : "4K";
}

static void say_rmpupdate(struct words *words, const struct op *op)
{
    const uint64_t page = op_get(op, FIELD_HPA);

    if (!op_get(op, FIELD_ASSIGNED)) {
        say(words, "The host takes the %s page at hpa 0x%" PRIx64 " back: it belongs to nobody, anyone may share it",
            size_of(op), page);
        return;
    }
    say(words, "The host assigns the %s page at hpa 0x%" PRIx64 " to guest %" PRIu64 ", at gpa 0x%" PRIx64, size_of(op),
        page, op_get(op, FIELD_ASID), op_get(op, FIELD_GPA));
    if (op_get(op, FIELD_IMMUTABLE)) say(words, ", for good");
}

static void say_hold(struct words *words, const struct op *op)
{
    const uint64_t page = op_get(op, FIELD_HPA);
    const uint64_t n = op_get(op, FIELD_HOLD_N);

    if (n == 0)
        say(words, "Whoever held the RMP entries around hpa 0x%" PRIx64 " lets go", page);
    else if (op_get(op, FIELD_HOLD))
        say(words, "Firmware holds the RMP entries of the 2M around hpa 0x%" PRIx64, page);
    else
        say(words, "Another CPU holds the RMP entry of hpa 0x%" PRIx64, page);
    if (n == UINT64_MAX) say(words, " for ever: the host's instructions on them are refused");
    if (n != 0 && n != UINT64_MAX) say(words, ": the host's next %" PRIu64 " on them are refused", n);
}

/* Also what psmash and the guest's ops have no part in. */
static void say_firmware_op(struct words *words, const struct op *op)
{
    const uint64_t page = op_get(op, FIELD_HPA);

    switch (op_kind_of(op)) {
    case OP_RECLAIM:
        say(words, "Firmware unlocks the %s page at hpa 0x%" PRIx64 ": immutable no longer, the host may update it",
            size_of(op), page);
        break;
    case OP_UNSMASH:
        say(words, "Firmware makes one 2M RMP page of the 512 at hpa 0x%" PRIx64 ", same owner; S2 hears nothing",
            page);
        break;
    case OP_SET_STATE:
        say(words, "Firmware puts the %s page at hpa 0x%" PRIx64 " into state %s", size_of(op), page,
            rmp_state_name((enum rmp_page_state)op_get(op, FIELD_STATE)));
        break;
    default: say_hold(words, op); break;
    }
}

static void say_rmp_op(struct words *words, const struct op *op, const struct world_outcome *outcome)
{
    switch (outcome->kind) {
    case OP_RMPUPDATE: say_rmpupdate(words, op); break;
    case OP_PSMASH:
        say(words, "The host smashes the 2M RMP page at hpa 0x%" PRIx64 " into 512 of 4K, same owner; S2 hears nothing",
            op_get(op, FIELD_HPA));
        break;
    case OP_PVALIDATE:
        say(words, "Guest %" PRIu64 " %s the %s page at gpa 0x%" PRIx64 ", hpa 0x%" PRIx64, op_get(op, FIELD_ASID),
            op_get(op, FIELD_VALIDATE) ? "accepts" : "gives up", size_of(op), op_get(op, FIELD_GPA),
            op_get(op, FIELD_HPA));
        break;
    case OP_RECLAIM:
    case OP_UNSMASH:
    case OP_SET_STATE:
    case OP_RMP_HOLD: say_firmware_op(words, op); break;
    default:
        say(words, "Guest %" PRIu64 " sets the rights of VMPL %" PRIu64 " on the %s page at gpa 0x%" PRIx64,
            op_get(op, FIELD_ASID), op_get(op, FIELD_VMPL), size_of(op), op_get(op, FIELD_GPA));
        break;
    }
    if (outcome->rmp != RMP_OK) say(words, ": refused, %s", rmp_result_name(outcome->rmp));
}

/* ---- DMA --------------------------------------------------------------------------------------------------------- */

static const char *const although[RULE_COUNT] = {
    [RULE_AFTER_OWNER_CHANGE] = "although the RMP no longer has that page for this access",
    [RULE_AFTER_UNMAP] = "although nothing is mapped here any more",
    [RULE_AFTER_REMAP] = "although the mapping leads elsewhere by now",
    [RULE_AFTER_RIGHTS] = "although the mapping no longer gives that right",
    [RULE_STALE_WALK] = "by a cached upper-level item that is outdated",
    [RULE_NEVER_MAPPED] = "although nobody ever mapped this for the device: the entry is larger than its leaf",
    [RULE_SIZE_BYSTANDER] = "although nobody converted this page and the device was served here before",
    [RULE_SIZE_LEAF_LARGER] = "although the page is the guest's and is mapped",
    [RULE_SIZE_LEAF_SMALLER] = "although the page is the guest's and is mapped",
    [RULE_SIZE_S1_TABLE] = "although page and table are the guest's",
    [RULE_SIZE_RECHECK] = "although the entry is still right",
    [RULE_OWNER_MIXED_REGION] = "although the touched page is free to share",
    [RULE_OWNER_HOST_TABLE] = "because the page of the host's own table was given to a guest",
    [RULE_OLD_ENTRY] = "although the mapping of now is right",
    [RULE_OLD_WALK] = "although the mapping of now is right",
    [RULE_LOST_OTHER] = "although the access is authorised",
    [RULE_BEYOND_S2_LEAF] = "which also covers pages outside the host's S2 leaf",
    [RULE_BEYOND_S1_LEAF] = "which also covers pages outside the guest's S1 leaf",
    [RULE_OTHER_OWNER] = "which also covers pages that this access may not touch",
    [RULE_FILLED_BY_OLD_WALK] = "which also covers what is mapped otherwise by now, or not at all",
};

static void say_owner(struct words *words, const struct world *world, uint64_t hpa)
{
    const struct owner_page page = ownership_lookup(&world->ownership, hpa);

    if (page.assigned)
        say(words, "hpa 0x%" PRIx64 " belongs to guest %u at gpa 0x%" PRIx64, hpa, page.asid,
            page.gpa | (hpa & low_mask(SHIFT_4K)));
    else
        say(words, "hpa 0x%" PRIx64 " belongs to nobody", hpa);
}

static void say_leaf(struct words *words, unsigned shift)
{
    say(words, "the ");
    say_size(words, bit(shift));
    say(words, " leaf");
}

static void say_size_fault(struct words *words, const struct dma *dma, uint64_t hpa, unsigned s2_shift)
{
    say_leaf(words, s2_shift);
    say(words, " of S2 meets a %s RMP page", ownership_lookup(&dma->world->ownership, hpa).is_large ? "2M" : "4K");
}

static void say_owner_fault(struct words *words, const struct dma *dma, uint64_t hpa, unsigned s2_shift)
{
    const struct ownership *ownership = &dma->world->ownership;
    uint64_t where;

    say_owner(words, dma->world, hpa);
    if (dma->access.is_private || ownership_lookup(ownership, hpa).assigned || s2_shift < SHIFT_2M) return;
    if (!ownership_any(ownership, align_down(hpa, SHIFT_2M), bit(SHIFT_2M), &where)) return;
    say(words, ", but ");
    say_leaf(words, s2_shift);
    say(words, " of S2 also covers another page: ");
    say_owner(words, dma->world, where);
}

/* A write through an entry that a read made: hardware walks again, to mark the leaf dirty. */
static bool is_first_write(const struct dma *dma, const struct iommu_outcome *got)
{
    struct fill fill;

    if (!dma->access.is_write || got->is_hit) return false;
    for (unsigned shift = SHIFT_4K; shift <= SHIFT_1G; shift += 9) {
        const uint64_t input = align_down(dma->access.address, shift);

        if (fills_find(&dma->world->fills, &dma->tag, input, shift, &fill) && fill.writable && !fill.serves_write)
            return true;
    }
    return false;
}

static void say_fault(struct words *words, const struct dma *dma, const struct iommu_outcome *got)
{
    const struct oracle_translation path = oracle_translate(&dma->access);
    const unsigned s2_shift = got->s2_shift ? got->s2_shift : path.s2_shift;
    const char *of_table = got->of_s1_table ? "the fetch of the guest's S1 table fails: " : "";

    say(words, "%s", of_table);
    if (got->of_s1_table || got->is_hit || path.fault) {
        if (got->is_hit) say(words, "the IOTLB entry is checked again and refused: ");
        say(words, "%s", got->fault == IOMMU_NOT_PRESENT ? "nothing is mapped there" : iommu_fault_name(got->fault));
        return;
    }
    switch (got->fault) {
    case IOMMU_NOT_PRESENT: say(words, "nothing is mapped there"); break;
    case IOMMU_PERMISSION: say(words, "the mapping gives no right to do that"); break;
    case IOMMU_RMP_SIZE: say_size_fault(words, dma, path.hpa, s2_shift); break;
    case IOMMU_RMP_OWNER: say_owner_fault(words, dma, path.hpa, s2_shift); break;
    case IOMMU_RMP_GPA: say_owner(words, dma->world, path.hpa); break;
    case IOMMU_RMP_IMMUTABLE: say(words, "hpa 0x%" PRIx64 " is immutable", path.hpa); break;
    case IOMMU_RMP_NOT_VALIDATED: say(words, "the guest has not accepted hpa 0x%" PRIx64, path.hpa); break;
    case IOMMU_RMP_RANGE: say(words, "the RMP does not cover hpa 0x%" PRIx64, path.hpa); break;
    default: say(words, "%s", iommu_fault_name(got->fault)); break;
    }
}

static void say_success(struct words *words, const struct iommu_outcome *got)
{
    if (got->is_hit) {
        say(words, "an IOTLB entry of ");
        say_size(words, bit(got->fill_shift));
        say(words, " serves it, from hpa 0x%" PRIx64, got->hpa.value);
        return;
    }
    if (got->s1_shift) {
        say_leaf(words, got->s1_shift);
        say(words, " of S1 and ");
    }
    say_leaf(words, got->s2_shift);
    say(words, " of S2 lead%s to hpa 0x%" PRIx64, got->s1_shift ? "" : "s", got->hpa.value);
    if (got->repaired) say(words, ", the sizes of S2 and RMP are made to agree");
    say(words, ", and the IOTLB takes an entry of ");
    say_size(words, bit(got->fill_shift));
}

static void say_dma(struct words *words, struct world *world, const struct op *op, const struct world_outcome *outcome)
{
    const struct dma dma = world_dma_of(world, op);
    const struct iommu_outcome *got = &outcome->dma;
    const char *kind = dma.request.device < 2 ? "trusted" : "ordinary";

    if (!dma.s2) {
        say(words, "Device dev%u, which has no device table entry, asks for 0x%" PRIx64 ": fault", dma.request.device,
            dma.access.address);
        return;
    }
    say(words, "The %s device dev%u %s %s 0x%" PRIx64, kind, dma.request.device,
        dma.access.is_write ? "writes" : "reads", dma.s1 ? "iova" : "gpa", dma.access.address);
    if (dma.request.device < 2) say(words, dma.access.is_private ? " as private" : " as shared");
    say(words, ": ");
    if (got->fault) {
        if (is_first_write(&dma, got)) say(words, "the first write walks again, to mark the leaf dirty, and ");
        say_fault(words, &dma, got);
        say(words, "; fault");
    } else {
        say_success(words, got);
    }
    if (outcome->finding == FINDING_NONE) return;
    say(words, ", %s (%s)", although[outcome->rule] ? although[outcome->rule] : world_rule_title(outcome->rule),
        world_finding_name(outcome->finding));
}

/* ---- any op ------------------------------------------------------------------------------------------------------ */

static void say_op(struct words *words, struct world *world, const struct op *op, const struct world_outcome *outcome)
{
    switch (outcome->kind) {
    case OP_MAP: say_map(words, world, op, outcome); break;
    case OP_MAP_LIST: say_map_list(words, world, op, outcome); break;
    case OP_UNMAP: say_unmap(words, world, op, outcome); break;
    case OP_CUT: say_cut(words, world, op, outcome); break;
    case OP_RESIZE: say_resize(words, world, op, outcome); break;
    case OP_DIRTY_READ:
        say_range(words, world, op,
                  op_get(op, FIELD_CLEAR) ? "reads and clears the dirty bits of" : "reads dirty bits of");
        if (op_get(op, FIELD_UNSYNCED) && op_get(op, FIELD_CLEAR)) say(words, ", and invalidates nothing");
        break;
    case OP_SYNC:
        say(words, "What was unmapped without one gets its invalidation and wait, and tables are freed");
        break;
    case OP_INV_PAGES: say_invalidation(words, world, op); break;
    case OP_COMPLETION_WAIT: say(words, "The host waits: every queued invalidation takes effect"); break;
    case OP_DMA:
        if (outcome->is_held || outcome->is_not_sent)
            say(words, "The device has to wait: DMA is held back");
        else
            say_dma(words, world, op, outcome);
        break;
    case OP_EVICT:
        say(words, "Hardware drops the IOTLB entry over 0x%" PRIx64 ", as it may at any time%s",
            op_get(op, FIELD_INPUT), outcome->error ? "; there is none" : "");
        break;
    case OP_CONVERT:
        say_convert(words, world, op, outcome);
        say_progress(words, outcome);
        break;
    case OP_STEP: say_progress(words, outcome); break;
    case OP_STALL: say_stall(words, op, outcome); break;
    case OP_FAIL_ALLOC:
        if (op_get(op, FIELD_COUNT_N) == UINT64_MAX)
            say(words, "Memory for tables is there again");
        else
            say(words, "Memory for tables runs short: %" PRIu64 " more pages", op_get(op, FIELD_COUNT_N));
        break;
    default: say_rmp_op(words, op, outcome); break;
    }
}

int world_print_words(struct world *world, const struct op *op, const struct world_outcome *outcome, char *buffer,
                      size_t size)
{
    struct words words = { buffer, size, 0 };

    if (op_kind_of(op) == OP_WORLD)
        say_machine(&words, world, op);
    else if (outcome->is_skipped)
        say(&words, "This op means nothing in this world and is left out");
    else
        say_op(&words, world, op, outcome);
    say(&words, ".");
    return words.length;
}

int world_print_result(const struct world_outcome *outcome, char *buffer, size_t size)
{
    struct words words = { buffer, size, world_print_outcome(outcome, buffer, size) };

    if (outcome->finding != FINDING_NONE)
        say(&words, " finding=%s rule=%s", world_finding_token(outcome->finding), world_rule_name(outcome->rule));
    return words.length;
}

int world_print_entitled(struct world *world, const struct op *op, const struct world_outcome *outcome, char *buffer,
                         size_t size)
{
    const struct dma dma = world_dma_of(world, op_kind_of(op) == OP_DMA ? op : &outcome->finding_op);
    struct words words = { buffer, size, 0 };
    uint64_t hpa;
    const bool is_wanted = oracle_wants(&world->machine, &dma.access, &hpa);
    const struct oracle_translation path = oracle_translate(&dma.access);

    if (outcome->finding == FINDING_EXPANDS && path.fault) {
        say(&words, "no IOTLB entry: nothing is mapped here any more");
    } else if (outcome->finding == FINDING_EXPANDS) {
        say(&words, "an IOTLB entry that covers only bytes which lead where it says, with the same rights: at most ");
        say_size(&words, bit(path.s1_shift && path.s1_shift < path.s2_shift ? path.s1_shift : path.s2_shift));
        say(&words, " at hpa 0x%" PRIx64, hpa);
    } else if (is_wanted) {
        say(&words, "to reach hpa 0x%" PRIx64 ": it is mapped here, and ", hpa);
        if (world->checks_owner)
            say_owner(&words, world, hpa);
        else
            say(&words, "the tables alone decide");
    } else {
        say(&words, "a fault: ");
        if (path.fault)
            say(&words,
                path.fault == ORACLE_PERMISSION ? "the mapping gives no right to do that" : "nothing is mapped here");
        else
            say_owner(&words, world, path.hpa);
    }
    return words.length;
}
