/*
 * One access of a device: IOTLB, else S1 walk (each table fetch through S2 and the RMP), S2 walk, RMP check, fill.
 * rmp.md 4.2, 4.3, 4.6 and "Accesses that are easy to forget".
 *
 * Decided here where sources are silent (INFERRED):
 *   - guest tables of a trusted device are private, those of another device shared;
 *   - fetches of guest tables use the walk cache of S2 and no IOTLB entry;
 *   - host tables are read unchecked, but an A/D write to one needs a hypervisor-owned page (rmp.md 8).
 */
#include "base/check.h"
#include "base/fault.h"
#include "iommu/iommu_check.h"
#include "iommu/iommu_state.h"

enum { NO_S1_SHIFT = 64 };

/* One guest physical address on its way through S2 and the RMP. */
struct passage {
    uint64_t gpa;
    enum iommu_access access;
    bool is_private;
    /* out */
    enum iommu_fault fault;
    uint64_t hpa;
    unsigned shift; /* of the S2 leaf */
    bool is_large;  /* its class after the size rule */
    bool readable, writable, serves_write, repaired;
};

/* What the callbacks of one walk need, and why a fetch failed. */
struct fetcher {
    struct iommu *iommu;
    const struct iommu_dte *dte;
    struct iommu_outcome *outcome; /* reads are counted here */
    enum iommu_fault fault;
    bool failed; /* the walk ended because a fetch or an update did */
};

static bool is_host_page_writable(const struct iommu *iommu, uint64_t address)
{
    struct rmp_entry entry;

    if (!iommu_has_rmp(&iommu->config)) return true;
    return !rmp_lookup(iommu->config.rmp, hpa(address), &entry) || !entry.assigned;
}

static bool read_host(void *context, uint64_t address, uint64_t *value)
{
    struct fetcher *fetcher = context;

    fetcher->outcome->reads++;
    if (physmem_read64(fetcher->iommu->config.memory, hpa(address), value)) return true;
    fetcher->fault = IOMMU_NO_MEMORY;
    return false;
}

static bool cas_host(void *context, uint64_t address, uint64_t expected, uint64_t desired)
{
    struct fetcher *fetcher = context;

    fetcher->outcome->reads++;
    if (!is_host_page_writable(fetcher->iommu, address)) {
        fetcher->fault = IOMMU_RMP_OWNER;
        return false;
    }
    if (physmem_cas64(fetcher->iommu->config.memory, hpa(address), expected, desired)) return true;
    fetcher->fault = IOMMU_NO_MEMORY;
    return false;
}

/* Walk from the deepest item that the walk cache has for this input, else from the root; keep what was fetched. */
static void walk_cached(struct fetcher *fetcher, const struct iommu_table *table, const struct iommu_memory *memory,
                        iotlb_tag_t tag, struct walk *walk)
{
    struct walk_cache *cache = &fetcher->iommu->walk_cache;
    struct walk_start start;

    walk->start = walk_cache_lookup(cache, tag, walk->input);
    if (walk->start) {
        start = *walk->start; /* fetches of guest tables may push the entry out */
        walk->start = &start;
        fetcher->outcome->from_walk_cache = true;
    }
    walk_table(table, memory, walk);
    walk->start = NULL;
    walk_cache_keep(cache, tag, table, walk);
    if (walk->leaf.fault != IOMMU_NO_MEMORY) return;
    CHECK(fetcher->fault != IOMMU_NO_FAULT);
    fetcher->failed = true;
    walk->leaf.fault = fetcher->fault;
}

/* May a write use the leaf without a walk: is it marked dirty where it has to be? */
static bool leaf_serves_write(const struct iommu_table *table, const struct iommu_leaf *leaf)
{
    if (!leaf->writable) return false;
    return !table->set_accessed_dirty || leaf->dirty || table->walker->format->dirty == 0;
}

static void pass_s2(struct fetcher *guest, struct passage *passage)
{
    struct fetcher fetcher = { guest->iommu, guest->dte, guest->outcome, IOMMU_NO_FAULT, false };
    const struct iommu_memory memory = { .read = read_host, .cas = cas_host, .context = &fetcher };
    const struct iommu_table *table = &guest->dte->s2;
    struct rmp_question question;
    struct rmp_answer answer;
    struct walk walk;

    walk.input = passage->gpa;
    walk.access = passage->access;
    walk_cached(&fetcher, table, &memory, iotlb_tag(guest->dte->domain_id, false, 0), &walk);
    passage->fault = walk.leaf.fault;
    if (passage->fault != IOMMU_NO_FAULT) return;
    passage->hpa = walk.leaf.address;
    passage->shift = walk.leaf.shift;

    question = (struct rmp_question){ passage->hpa,        passage->gpa,    passage->shift >= SHIFT_2M,
                                      passage->is_private, passage->access, guest->dte->asid };
    answer = iommu_check_rmp(&guest->iommu->config, &question);
    passage->fault = answer.fault;
    passage->is_large = answer.is_large;
    passage->repaired = answer.repaired;
    passage->readable = walk.leaf.readable;
    passage->writable = walk.leaf.writable && !answer.read_only;
    passage->serves_write = leaf_serves_write(table, &walk.leaf) && !answer.read_only;
}

/* ---- guest tables ------------------------------------------------------------------------------------------------ */

static bool reach_guest_table(struct fetcher *fetcher, uint64_t address, enum iommu_access access, uint64_t *host)
{
    struct passage passage = { .gpa = address, .access = access, .is_private = fetcher->dte->trusted };

    pass_s2(fetcher, &passage);
    if (FAULT(IOMMU_S1_FETCH_UNCHECKED) && passage.fault >= IOMMU_RMP_OWNER && passage.fault <= IOMMU_RMP_RANGE) {
        fault_triggered();
        passage.fault = IOMMU_NO_FAULT;
    }
    *host = passage.hpa;
    fetcher->iommu->stats.repairs += passage.repaired;
    if (passage.repaired) fetcher->outcome->repaired = true;
    if (passage.fault != IOMMU_NO_FAULT) fetcher->fault = passage.fault;
    return passage.fault == IOMMU_NO_FAULT;
}

static bool read_guest(void *context, uint64_t address, uint64_t *value)
{
    uint64_t host;

    return reach_guest_table(context, address, IOMMU_READ, &host) && read_host(context, host, value);
}

/* The page is the guest's, so the RMP was asked as for any write of the device. */
static bool cas_guest(void *context, uint64_t address, uint64_t expected, uint64_t desired)
{
    struct fetcher *fetcher = context;
    uint64_t host;

    if (!reach_guest_table(fetcher, address, IOMMU_WRITE, &host)) return false;
    fetcher->outcome->reads++;
    if (physmem_cas64(fetcher->iommu->config.memory, hpa(host), expected, desired)) return true;
    fetcher->fault = IOMMU_NO_MEMORY;
    return false;
}

/* ---- the access -------------------------------------------------------------------------------------------------- */

static enum iotlb_size fill_size(const struct iommu_config *config, unsigned s1_shift, const struct passage *passage)
{
    const unsigned shift = s1_shift < passage->shift ? s1_shift : passage->shift;
    enum iommu_fill_rule rule = iommu_has_rmp(config) ? config->variant->fill_rule : FILL_S1_S2;

    if (FAULT(IOMMU_FILL_IGNORES_S1) && rule == FILL_SMALLEST && passage->is_large && s1_shift < SHIFT_2M) {
        fault_triggered();
        rule = FILL_S2_CLASS;
    }
    switch (rule) {
    case FILL_S2_CLASS: return passage->is_large ? IOTLB_2M : IOTLB_4K;
    case FILL_SMALLEST: return passage->is_large && s1_shift >= SHIFT_2M ? IOTLB_2M : IOTLB_4K;
    case FILL_S1_S2: break;
    }
    if (shift >= SHIFT_1G) return IOTLB_1G;
    if (shift >= SHIFT_2M) return IOTLB_2M;
    return shift >= SHIFT_4K ? IOTLB_4K : IOTLB_2K;
}

static void describe_entry(const struct iotlb_entry *entry, struct iommu_outcome *outcome)
{
    outcome->fill_shift = iotlb_shift(iotlb_entry_size(entry));
    outcome->entry_input = iotlb_entry_input(entry);
    outcome->entry_hpa = entry->hpa;
    outcome->readable = entry->readable;
    outcome->writable = entry->writable;
}

static void fill(struct fetcher *fetcher, iotlb_tag_t tag, uint64_t input, unsigned s1_shift,
                 const struct passage *passage)
{
    struct iommu *iommu = fetcher->iommu;
    const enum iotlb_size size = fill_size(&iommu->config, s1_shift, passage);
    bool evicted;
    struct iotlb_entry *entry = iotlb_place(&iommu->iotlb, tag, input, size, &evicted);

    /* The bases are forced to the entry's alignment: that is how an expanded entry can lead elsewhere. */
    entry->hpa = align_down(passage->hpa, iotlb_shift(size));
    entry->gpa = align_down(passage->gpa, iotlb_shift(size));
    entry->readable = passage->readable;
    entry->writable = passage->writable;
    entry->serves_write = passage->serves_write;
    entry->s2_is_large = passage->shift >= SHIFT_2M;
    describe_entry(entry, fetcher->outcome);
    iommu->stats.evictions += evicted;
    iommu->stats.fills++;
    iommu->stats.fills_by_shift[iotlb_shift(size)]++;
}

static enum iommu_fault miss(struct fetcher *fetcher, const struct iommu_request *request, iotlb_tag_t tag)
{
    const struct iommu_dte *dte = fetcher->dte;
    const bool has_s1 = dte->has_s1;
    struct iommu_outcome *outcome = fetcher->outcome;
    struct passage passage = { .gpa = request->address.value,
                               .access = request->access,
                               .is_private = tag & IOTLB_TAG_PRIVATE };
    unsigned s1_shift = NO_S1_SHIFT;
    struct walk walk;

    if (has_s1) {
        const struct iommu_memory memory = { .read = read_guest, .cas = cas_guest, .context = fetcher };

        walk.input = request->address.value;
        walk.access = request->access;
        walk_cached(fetcher, &dte->s1, &memory, tag & ~IOTLB_TAG_PRIVATE, &walk);
        outcome->of_s1_table = fetcher->failed;
        if (walk.leaf.fault != IOMMU_NO_FAULT) return walk.leaf.fault;
        passage.gpa = walk.leaf.address;
        s1_shift = walk.leaf.shift;
        outcome->s1_shift = s1_shift;
    }
    pass_s2(fetcher, &passage);
    outcome->s2_shift = passage.shift;
    outcome->repaired |= passage.repaired;
    fetcher->iommu->stats.repairs += passage.repaired;
    if (passage.fault != IOMMU_NO_FAULT) return passage.fault;
    if (has_s1) {
        passage.readable &= walk.leaf.readable;
        passage.writable &= walk.leaf.writable;
        passage.serves_write &= leaf_serves_write(&dte->s1, &walk.leaf);
    }
    outcome->hpa = hpa(passage.hpa);
    fill(fetcher, tag, request->address.value, s1_shift, &passage);
    return IOMMU_NO_FAULT;
}

static enum iommu_fault hit(struct iommu *iommu, const struct iommu_request *request, const struct iotlb_entry *entry,
                            struct iommu_outcome *outcome)
{
    const uint64_t offset = request->address.value - iotlb_entry_input(entry);

    iommu->stats.hits++;
    outcome->is_hit = true;
    describe_entry(entry, outcome);
    if (iommu->config.switches.recheck_on_hit) {
        const struct rmp_question question = { entry->hpa + offset, entry->gpa + offset,
                                               entry->s2_is_large,  entry->tag & IOTLB_TAG_PRIVATE,
                                               request->access,     iommu->devices[request->device].asid };
        const struct rmp_answer answer = iommu_check_rmp(&iommu->config, &question);

        if (answer.fault != IOMMU_NO_FAULT) return answer.fault;
    }
    outcome->hpa = hpa(entry->hpa + offset);
    return IOMMU_NO_FAULT;
}

static enum iommu_fault pass_translated(const struct iommu *iommu, const struct iommu_request *request, bool is_private,
                                        struct iommu_outcome *outcome)
{
    const struct rmp_question question = { .hpa = request->address.value,
                                           .is_private = is_private,
                                           .access = request->access,
                                           .asid = iommu->devices[request->device].asid };
    const enum iommu_fault fault = iommu_check_translated(&iommu->config, &question);

    if (fault == IOMMU_NO_FAULT) outcome->hpa = hpa(request->address.value);
    return fault;
}

void iommu_translate(struct iommu *iommu, const struct iommu_request *request, struct iommu_outcome *outcome)
{
    const struct iommu_dte *dte = iommu_device(iommu, request->device);
    const bool is_private = request->is_private && dte->trusted;
    const struct iotlb_entry *entry;
    iotlb_tag_t tag;

    *outcome = (struct iommu_outcome){ 0 };
    iommu->stats.translations++;
    tag = iotlb_tag(dte->domain_id, dte->has_s1, request->pasid) | (is_private ? IOTLB_TAG_PRIVATE : 0);
    if (!dte->valid) {
        outcome->fault = IOMMU_NOT_PRESENT;
    } else if (request->is_translated) {
        outcome->fault = pass_translated(iommu, request, is_private, outcome);
    } else if ((entry = iotlb_lookup(&iommu->iotlb, tag, request->address.value, request->access)) != NULL) {
        outcome->fault = hit(iommu, request, entry, outcome);
    } else {
        struct fetcher fetcher = { iommu, dte, outcome, IOMMU_NO_FAULT, false };

        outcome->fault = miss(&fetcher, request, tag);
        iommu->stats.walk_reads += outcome->reads;
    }
    if (outcome->fault != IOMMU_NO_FAULT) iommu->stats.faults[outcome->fault]++;
}
