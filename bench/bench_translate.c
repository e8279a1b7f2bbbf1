/*
 * What does one translation cost, and what comes out of it? Each cell of the truth tables (rmp.md 4.6) is a machine of
 * its own: variant x S1 {none, 4K, 2M} x S2 {4K, 2M} x RMP {4K, 2M}. A cell that translates has two cases, one that
 * faults a third:
 *
 *   hit     HIT_PLACES places that the IOTLB holds, round and round: half of it, so that all ways are looked at
 *   miss    MISS_PLACES places, twice what the IOTLB holds, in the same order again and again, least recently used goes
 *           first: each access misses, walks from the root (no walk cache), and evicts
 *   fault   HIT_PLACES places; each access walks from the root and is refused (nothing is cached of it)
 *
 * Places are 2M + 4K apart, so that entries of either size spread evenly over the sets. Every access is a private
 * write. Walks read tables that stay in the CPU's second-level cache: this times the model's work, not DRAM.
 */
#include "bench.h"
#include "bench_predict.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HIT_PLACES = 256,
    MISS_PLACES = 1024,
    BATCH = 4096,
    OFFSET = 0x5a8, /* asked for inside each page */
    SHAPES_MAX = 256,
};

#define GPA_START    UINT64_C(0x40000000)
#define PLACE_STRIDE (bit(SHIFT_2M) + bit(SHIFT_4K))

struct translate_shape {
    struct machine_plan plan;
    bool is_miss;
};

struct translate {
    struct machine *machine;
    const struct translate_shape *shape;
    uint64_t places;
    uint64_t next; /* place of the next access: partial runs must not shorten the cycle */
    uint64_t hpa_sum;
    struct iommu_stats before; /* of the last batch */
};

static uint64_t place_gpa(uint64_t place)
{
    return GPA_START + place * PLACE_STRIDE + OFFSET;
}

static uint64_t place_input(const struct translate *translate, uint64_t place)
{
    return place_gpa(place) + (translate->shape->plan.s1_shift ? MACHINE_IOVA_OFFSET : 0);
}

static void run(void *work, uint64_t count)
{
    struct translate *translate = work;
    struct iommu *iommu = translate->machine->iommu;
    const uint64_t mask = translate->places - 1;
    const uint64_t start = place_input(translate, 0);
    struct iommu_request request = { .access = IOMMU_WRITE, .is_private = true };
    struct iommu_outcome outcome;
    uint64_t place = translate->next;
    uint64_t sum = 0;

    translate->before = *iommu_stats(iommu);
    for (uint64_t i = 0; i < count; i++) {
        request.address = iova(start + place * PLACE_STRIDE);
        iommu_translate(iommu, &request, &outcome);
        sum += outcome.hpa.value;
        place = (place + 1) & mask;
    }
    translate->next = place;
    translate->hpa_sum = sum;
}

/* ---- what must come out ------------------------------------------------------------------------------------------ */

/* Items that a walk from the root reads: amdv1 with 3 levels, x86_64 with 4 whose tables lie behind 4K S2 leaves. */
static uint64_t wanted_reads(const struct machine_plan *plan)
{
    const uint64_t s2 = plan->s2_shift == SHIFT_4K ? 3 : 2;
    const uint64_t s1 = plan->s1_shift == 0 ? 0 : plan->s1_shift == SHIFT_4K ? 4 : 3;

    return s1 * (3 + 1) + s2;
}

static bool is_one_of(uint64_t value, uint64_t wanted, const char *what, char *message)
{
    if (value == wanted) return true;
    snprintf(message, BENCH_MESSAGE_BYTES, "%s: %" PRIu64 " in a batch, wanted %" PRIu64, what, value, wanted);
    return false;
}

/* Counters of one batch against the typed truth, each a hand formula. */
static bool verify_counts(const struct translate *translate, char *message)
{
    const struct machine_plan *plan = &translate->shape->plan;
    const enum verdict verdict = predict_verdict(plan, false);
    const struct iommu_stats *now = iommu_stats(translate->machine->iommu);
    const struct iommu_stats *before = &translate->before;
    const uint64_t faults = verdict == VERDICT_SIZE_FAULT ? BATCH : 0;
    const uint64_t fills = faults || !translate->shape->is_miss ? 0 : BATCH;
    uint64_t sum = 0;

    for (uint64_t place = 0; place < translate->places && !faults; place++) {
        sum += (place_gpa(place) + MACHINE_HPA_OFFSET) * (BATCH / translate->places);
    }
    return is_one_of(now->translations - before->translations, BATCH, "accesses", message) &&
           is_one_of(now->hits - before->hits, BATCH - faults - fills, "hits", message) &&
           is_one_of(now->fills - before->fills, fills, "fills", message) &&
           is_one_of(now->fills_by_shift[SHIFT_4K] - before->fills_by_shift[SHIFT_4K],
                     verdict == VERDICT_4K ? fills : 0, "fill_4K", message) &&
           is_one_of(now->evictions - before->evictions, fills, "evictions", message) &&
           is_one_of(now->faults[IOMMU_RMP_SIZE] - before->faults[IOMMU_RMP_SIZE], faults, "faults_rmp_size",
                     message) &&
           is_one_of(now->walk_reads - before->walk_reads, (fills + faults) * wanted_reads(plan), "walk_reads",
                     message) &&
           is_one_of(now->repairs - before->repairs, predict_repair(plan, false) ? fills : 0, "repairs", message) &&
           is_one_of(translate->hpa_sum, sum, "sum of addresses", message);
}

/* Every place once more, one by one: where it leads, hit or not, and the entry's size. */
static bool verify_places(struct translate *translate, char *message)
{
    const struct machine_plan *plan = &translate->shape->plan;
    const enum verdict verdict = predict_verdict(plan, false);
    struct iommu_request request = { .access = IOMMU_WRITE, .is_private = true };

    for (uint64_t i = 0; i < translate->places; i++) {
        struct iommu_outcome outcome;
        const uint64_t place = translate->next;
        bool is_right;

        translate->next = (place + 1) & (translate->places - 1);
        request.address = iova(place_input(translate, place));
        iommu_translate(translate->machine->iommu, &request, &outcome);
        if (verdict == VERDICT_SIZE_FAULT) {
            is_right = outcome.fault == IOMMU_RMP_SIZE && !outcome.of_s1_table && outcome.fill_shift == 0;
        } else {
            is_right = outcome.fault == IOMMU_NO_FAULT && outcome.hpa.value == place_gpa(place) + MACHINE_HPA_OFFSET;
            is_right = is_right && outcome.is_hit != translate->shape->is_miss;
            is_right = is_right && outcome.fill_shift == (verdict == VERDICT_2M ? SHIFT_2M : SHIFT_4K);
        }
        if (is_right) continue;
        snprintf(message, BENCH_MESSAGE_BYTES, "place %" PRIu64 ": %s, hpa 0x%" PRIx64 ", %s of 2^%u bytes", place,
                 iommu_fault_name(outcome.fault), outcome.hpa.value, outcome.is_hit ? "hit" : "fill",
                 outcome.fill_shift);
        return false;
    }
    return true;
}

static bool verify(void *work, char *message)
{
    return verify_counts(work, message) && verify_places(work, message);
}

/* ---- the case ---------------------------------------------------------------------------------------------------- */

static void add_counters(const struct translate *translate, struct bench_facts *facts)
{
    const struct iommu_stats *now = iommu_stats(translate->machine->iommu);
    const struct iommu_stats *before = &translate->before;
    uint64_t faults = 0;
    uint64_t entries, reach_bytes;

    for (unsigned i = 1; i < IOMMU_FAULT_COUNT; i++) faults += now->faults[i] - before->faults[i];
    iommu_occupancy(translate->machine->iommu, &entries, &reach_bytes);
    bench_facts_add(facts, "hit_ratio", (double)(now->hits - before->hits) / BATCH);
    bench_facts_add(facts, "fill_4K",
                    (double)(now->fills_by_shift[SHIFT_4K] - before->fills_by_shift[SHIFT_4K]) / BATCH);
    bench_facts_add(facts, "fill_2M",
                    (double)(now->fills_by_shift[SHIFT_2M] - before->fills_by_shift[SHIFT_2M]) / BATCH);
    bench_facts_add(facts, "walk_reads", (double)(now->walk_reads - before->walk_reads) / BATCH);
    bench_facts_add(facts, "faults_rmp_size",
                    (double)(now->faults[IOMMU_RMP_SIZE] - before->faults[IOMMU_RMP_SIZE]) / BATCH);
    bench_facts_add(facts, "faults", (double)faults / BATCH);
    bench_facts_add(facts, "repairs", (double)(now->repairs - before->repairs) / BATCH);
    bench_facts_add(facts, "expands", predict_expands(&translate->shape->plan));
    bench_facts_add(facts, "iotlb_entries", (double)entries);
    bench_facts_add(facts, "reach_bytes", (double)reach_bytes);
}

static void tear_down(void *work)
{
    struct translate *translate = work;

    machine_close(translate->machine);
    free(translate);
}

static void *set_up(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    struct translate *translate = calloc(1, sizeof(*translate));
    struct iommu_geometry geometry = iommu_default_geometry();

    CHECK(translate != NULL);
    translate->shape = bench->shape;
    translate->places = translate->shape->is_miss ? MISS_PLACES : HIT_PLACES;
    geometry.walk_cache_entries = 0;
    CHECK(2 * HIT_PLACES == geometry.sets * geometry.ways);
    CHECK(MISS_PLACES == 2 * geometry.sets * geometry.ways);
    translate->machine = machine_open(&translate->shape->plan, &geometry, message);
    if (!translate->machine) {
        free(translate);
        return NULL;
    }
    facts->batch = BATCH;
    facts->label = "model, not silicon";
    run(translate, BATCH); /* fills the IOTLB */
    run(translate, BATCH);
    add_counters(translate, facts);
    return translate;
}

static const struct bench_family translates = { set_up, run, NULL, verify, NULL, tear_down, NULL, NULL };

static void add_case(struct bench_list *list, struct translate_shape *shape, const char *kind)
{
    const struct machine_plan *plan = &shape->plan;
    struct bench_case *bench;

    bench = bench_list_add(list, "translate/%s/%s-%s-%s/%s", plan->variant->name, machine_s1_name(plan->s1_shift),
                           machine_s2_name(plan->s2_shift), machine_rmp_name(plan->rmp), kind);
    bench->family = &translates;
    bench->shape = shape;
}

/* The cases of one cell: fault, or hit and miss. Returns how many. */
static unsigned add_cell(struct bench_list *list, struct translate_shape *shapes, const struct machine_plan *plan)
{
    shapes[0] = (struct translate_shape){ *plan, false };
    shapes[1] = (struct translate_shape){ *plan, true };
    shapes[0].plan.gpa = shapes[1].plan.gpa = GPA_START;
    shapes[0].plan.length = align_down(HIT_PLACES * PLACE_STRIDE, SHIFT_2M) + bit(SHIFT_2M);
    shapes[1].plan.length = align_down(MISS_PLACES * PLACE_STRIDE, SHIFT_2M) + bit(SHIFT_2M);
    if (predict_verdict(plan, false) == VERDICT_SIZE_FAULT) {
        add_case(list, &shapes[0], "fault");
        return 1;
    }
    add_case(list, &shapes[0], "hit");
    add_case(list, &shapes[1], "miss");
    return 2;
}

/* Cell 0..11 of a variant, in the order of the truth tables. */
static struct machine_plan cell_plan(const struct iommu_variant *variant, unsigned cell)
{
    static const unsigned s1_shifts[] = { 0, SHIFT_4K, SHIFT_2M };

    return (struct machine_plan){ .variant = variant,
                                  .s1_shift = s1_shifts[cell / 4],
                                  .s2_shift = cell & 2 ? SHIFT_2M : SHIFT_4K,
                                  .rmp = cell & 1 ? MACHINE_RMP_2M : MACHINE_RMP_4K };
}

void bench_add_translates(struct bench_list *list)
{
    static struct translate_shape shapes[SHAPES_MAX]; /* the cases point into it; the same in every call */
    const struct iommu_variant *variant;
    unsigned used = 0;

    for (unsigned row = 0; (variant = iommu_variant_at(row)); row++) {
        for (unsigned cell = 0; cell < 12; cell++) {
            const struct machine_plan plan = cell_plan(variant, cell);

            CHECK(used + 2 <= SHAPES_MAX);
            used += add_cell(list, &shapes[used], &plan);
        }
    }
}
