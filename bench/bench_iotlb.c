/*
 * What do page sizes do to an IOTLB? For each variant, {S2 4K, 2M, best} x {RMP 4K, 2M, mixed} x traffic: how many
 * entries of which size, walks, faults, reach; and what one translation of that traffic costs the model.
 *
 * A batch is the whole traffic from empty caches, with the default geometry. Accesses are private writes, but to the
 * one shared page that each 2M region has where the RMP is mixed: those are shared writes, as the guest's driver would
 * make them. Counters are per access, but iotlb_entries and reach_bytes, which are what a batch leaves.
 *
 * hit_ratio_min and _max are a band over a sweep of geometries: nobody outside knows the silicon's (rmp.md 5.3).
 *
 * Every batch that is counted is predicted independently (bench_predict.h), walk reads included; a difference fails the
 * case.
 */
#include "bench_iotlb.h"

#include "bench.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

enum { S2_KINDS = 3, CASES_PER_VARIANT = S2_KINDS * MACHINE_RMP_KINDS * TRAFFIC_KINDS, SHAPES_MAX = 512 };

struct iotlb_work {
    const struct iotlb_shape *shape;
    struct machine *machine;
    struct access_list list;
    uint64_t hpa_sum; /* of the last run */
    uint64_t fault_count;
    struct iommu_stats before; /* the last run */
};

/* 16 to 4096 entries; fully associative ones to 256: larger ones are not built, and take long to model. */
static const struct iommu_geometry sweep[] = {
    { 16, 1, 64 },  { 1, 16, 64 }, { 64, 1, 64 },   { 1, 64, 64 },   { 1, 256, 64 },
    { 512, 1, 64 }, { 64, 8, 64 }, { 4096, 1, 64 }, { 256, 16, 64 },
};

const struct iommu_geometry *iotlb_geometry_at(unsigned index)
{
    return index < sizeof(sweep) / sizeof(sweep[0]) ? &sweep[index] : NULL;
}

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

const struct iotlb_shape *iotlb_shape_at(unsigned index)
{
    static const unsigned s2_shifts[S2_KINDS] = { SHIFT_4K, SHIFT_2M, 0 };
    static struct iotlb_shape shapes[SHAPES_MAX]; /* the same in every call */
    const struct iommu_variant *variant = iommu_variant_at(index / CASES_PER_VARIANT);
    const unsigned cell = index % CASES_PER_VARIANT;
    struct iotlb_shape *shape;

    if (!variant) return NULL;
    CHECK(index < SHAPES_MAX);
    shape = &shapes[index];
    shape->traffic = (enum traffic_kind)(cell % TRAFFIC_KINDS);
    shape->plan = (struct machine_plan){ .variant = variant,
                                         .s2_shift = s2_shifts[cell / (MACHINE_RMP_KINDS * TRAFFIC_KINDS)],
                                         .rmp = (enum machine_rmp)(cell / TRAFFIC_KINDS % MACHINE_RMP_KINDS) };
    traffic_memory(shape->traffic, &shape->plan.gpa, &shape->plan.length);
    return shape;
}

void iotlb_shape_name(const struct iotlb_shape *shape, char *name, size_t size)
{
    snprintf(name, size, "iotlb/%s/%s-%s/%s", shape->plan.variant->name, machine_s2_name(shape->plan.s2_shift),
             machine_rmp_name(shape->plan.rmp), traffic_name(shape->traffic));
}

/* ---- a batch ----------------------------------------------------------------------------------------------------- */

struct iotlb_work *iotlb_open(const struct iotlb_shape *shape, char *message)
{
    const struct iommu_geometry geometry = iommu_default_geometry();
    struct iotlb_work *work = calloc(1, sizeof(*work));

    CHECK(work != NULL);
    work->shape = shape;
    if (traffic_list(shape->traffic, &shape->plan, &work->list, message)) {
        work->machine = machine_open(&shape->plan, &geometry, message);
        if (work->machine) return work;
    }
    traffic_free(&work->list);
    free(work);
    return NULL;
}

void iotlb_close(struct iotlb_work *work)
{
    machine_close(work->machine);
    traffic_free(&work->list);
    free(work);
}

static void reset(void *context)
{
    struct iotlb_work *work = context;

    iommu_drop_caches(work->machine->iommu);
    work->before = *iommu_stats(work->machine->iommu);
}

static void run(void *context, uint64_t count)
{
    struct iotlb_work *work = context;
    struct iommu *iommu = work->machine->iommu;
    const uint64_t *accesses = work->list.accesses;
    struct iommu_request request = { .access = IOMMU_WRITE };
    struct iommu_outcome outcome;
    uint64_t sum = 0;

    for (uint64_t i = 0; i < count; i++) {
        request.address = iova(accesses[i] & ~ACCESS_SHARED);
        request.is_private = !(accesses[i] & ACCESS_SHARED);
        iommu_translate(iommu, &request, &outcome);
        sum += outcome.hpa.value;
    }
    work->hpa_sum = sum;
}

/* What the last run did. */
static void count(const struct iotlb_work *work, struct batch_counts *counts)
{
    const struct iommu_stats *now = iommu_stats(work->machine->iommu);
    const struct iommu_stats *before = &work->before;

    *counts = (struct batch_counts){
        .accesses = now->translations - before->translations,
        .hits = now->hits - before->hits,
        .fill_4k = now->fills_by_shift[SHIFT_4K] - before->fills_by_shift[SHIFT_4K],
        .fill_2m = now->fills_by_shift[SHIFT_2M] - before->fills_by_shift[SHIFT_2M],
        .faults_rmp_size = now->faults[IOMMU_RMP_SIZE] - before->faults[IOMMU_RMP_SIZE],
        .repairs = now->repairs - before->repairs,
        .walk_reads = now->walk_reads - before->walk_reads,
        .hpa_sum = work->hpa_sum,
    };
    for (unsigned i = 1; i < IOMMU_FAULT_COUNT; i++) counts->faults += now->faults[i] - before->faults[i];
    iommu_occupancy(work->machine->iommu, &counts->entries, &counts->reach_bytes);
}

static bool compare(const struct iotlb_work *work, const struct iommu_geometry *geometry,
                    const struct batch_counts *counts, char *message)
{
    struct batch_counts predicted;
    char difference[BENCH_MESSAGE_BYTES / 2];

    predict_batch(&work->shape->plan, geometry, &work->list, &predicted);
    if (batch_counts_agree(counts, &predicted, difference, sizeof(difference))) return true;
    snprintf(message, BENCH_MESSAGE_BYTES, "%u sets of %u: %s", geometry->sets, geometry->ways, difference);
    return false;
}

bool iotlb_measure(struct iotlb_work *work, const struct iommu_geometry *geometry, struct batch_counts *counts,
                   char *message)
{
    machine_set_geometry(work->machine, geometry);
    reset(work);
    run(work, work->list.count);
    count(work, counts);
    return compare(work, geometry, counts, message);
}

bool iotlb_sweep(struct iotlb_work *work, struct iotlb_band *band, struct batch_counts *usual, char *message)
{
    const struct iommu_geometry usual_geometry = iommu_default_geometry();
    const struct iommu_geometry *geometry;
    struct batch_counts counts;

    *usual = (struct batch_counts){ 0 };
    *band = (struct iotlb_band){ 1, 0 };
    for (unsigned i = 0; (geometry = iotlb_geometry_at(i)); i++) {
        double hit_ratio;

        if (!iotlb_measure(work, geometry, &counts, message)) return false;
        if (geometry->sets == usual_geometry.sets && geometry->ways == usual_geometry.ways) *usual = counts;
        hit_ratio = (double)counts.hits / (double)counts.accesses;
        if (hit_ratio < band->hit_ratio_min) band->hit_ratio_min = hit_ratio;
        if (hit_ratio > band->hit_ratio_max) band->hit_ratio_max = hit_ratio;
    }
    CHECK(usual->accesses > 0);
    return true;
}

/* ---- the cases --------------------------------------------------------------------------------------------------- */

static void *set_up(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    struct iotlb_work *work = iotlb_open(bench->shape, message);

    if (!work) return NULL;
    reset(work);
    facts->batch = work->list.count;
    facts->label = "model, not silicon";
    return work;
}

static bool verify(void *context, char *message)
{
    const struct iotlb_work *work = context;
    const struct iommu_geometry geometry = iommu_default_geometry();
    struct batch_counts counts;

    count(work, &counts);
    return compare(work, &geometry, &counts, message);
}

static void tear_down(void *work)
{
    iotlb_close(work);
}

/* What the sweep of a shape found, kept: Google Benchmark opens a case several times. */
struct found {
    bool is_known;
    struct iotlb_band band;
    struct batch_counts counts;
};

static bool describe(void *context, struct bench_facts *facts, char *message)
{
    static struct found all[SHAPES_MAX];
    struct iotlb_work *work = context;
    struct found *found = &all[work->shape - iotlb_shape_at(0)];
    const struct iommu_geometry geometry = iommu_default_geometry();
    double accesses;

    if (!found->is_known) {
        found->is_known = iotlb_sweep(work, &found->band, &found->counts, message);
        if (!found->is_known) return false;
        machine_set_geometry(work->machine, &geometry);
        reset(work);
    }
    accesses = (double)found->counts.accesses;
    bench_facts_add(facts, "accesses", accesses);
    bench_facts_add(facts, "hit_ratio", (double)found->counts.hits / accesses);
    bench_facts_add(facts, "hit_ratio_min", found->band.hit_ratio_min);
    bench_facts_add(facts, "hit_ratio_max", found->band.hit_ratio_max);
    bench_facts_add(facts, "fill_4K", (double)found->counts.fill_4k / accesses);
    bench_facts_add(facts, "fill_2M", (double)found->counts.fill_2m / accesses);
    bench_facts_add(facts, "walk_reads", (double)found->counts.walk_reads / accesses);
    bench_facts_add(facts, "faults_rmp_size", (double)found->counts.faults_rmp_size / accesses);
    bench_facts_add(facts, "faults", (double)found->counts.faults / accesses);
    bench_facts_add(facts, "repairs", (double)found->counts.repairs / accesses);
    bench_facts_add(facts, "expands", predict_expands(&work->shape->plan));
    bench_facts_add(facts, "iotlb_entries", (double)found->counts.entries);
    bench_facts_add(facts, "reach_bytes", (double)found->counts.reach_bytes);
    return true;
}

static const struct bench_family iotlbs = { set_up, run, reset, verify, NULL, tear_down, describe, NULL };

void bench_add_iotlbs(struct bench_list *list)
{
    const struct iotlb_shape *shape;

    for (unsigned i = 0; (shape = iotlb_shape_at(i)); i++) {
        char name[BENCH_NAME_BYTES];
        struct bench_case *bench;

        iotlb_shape_name(shape, name, sizeof(name));
        bench = bench_list_add(list, "%s", name);
        bench->family = &iotlbs;
        bench->shape = shape;
    }
}
