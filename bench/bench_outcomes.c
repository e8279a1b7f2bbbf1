/*
 * `mapproof-bench --outcomes`: what page sizes do to an IOTLB, counted and not timed, for a reader with one minute.
 *
 *   1  one translation: the size of its entry or its fault, by S1, S2, RMP and variant (the truth tables, as the model
 *      answers them; compared with those typed in bench_predict.c)
 *   2  what 4K-only costs, and what a mismatch costs: extracts of 3
 *   3  for each traffic: fills, hit ratio over the sweep of geometries, faults, by S2, RMP and variant
 *
 * Every figure is a count of a batch that agrees with its prediction; a difference ends the program with code 1.
 */
#include "bench.h"
#include "bench_iotlb.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { S2_KINDS = 3, CELL_BYTES = 32, COLUMN = 17, VARIANTS_MAX = 16, ROWS = S2_KINDS * MACHINE_RMP_KINDS };

/* A shape measured. */
struct outcome {
    const struct iotlb_shape *shape;
    struct batch_counts counts; /* default geometry */
    struct iotlb_band band;
};

static unsigned variant_count(void)
{
    unsigned count = 0;

    while (iommu_variant_at(count)) count++;
    CHECK(count <= VARIANTS_MAX);
    return count;
}

static void print_head(const char *title)
{
    const struct iommu_variant *variant;

    printf("%-12s", title);
    for (unsigned i = 0; (variant = iommu_variant_at(i)); i++) {
        printf(iommu_variant_at(i + 1) ? "%-*s" : "%.*s\n", iommu_variant_at(i + 1) ? COLUMN : 99, variant->name);
    }
}

/* Cells after a row's name; the last one without blanks behind it. */
static void print_cell(const char *cell, unsigned column)
{
    if (column + 1 < variant_count())
        printf("%-*s", COLUMN, cell);
    else
        printf("%s\n", cell);
}

/* ---- 1: one translation ------------------------------------------------------------------------------------------ */

static const char *verdict_name(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_4K: return "4K";
    case VERDICT_2M: return "2M";
    case VERDICT_SIZE_FAULT: return "rmp-size";
    case VERDICT_OWNER_FAULT: return "rmp-owner";
    }
    return "?";
}

static enum verdict verdict_of(const struct iommu_outcome *outcome)
{
    if (outcome->fault == IOMMU_RMP_SIZE) return VERDICT_SIZE_FAULT;
    if (outcome->fault != IOMMU_NO_FAULT) return VERDICT_OWNER_FAULT;
    return outcome->fill_shift == SHIFT_2M ? VERDICT_2M : VERDICT_4K;
}

/* One write, answered by the model. False: *message. */
static bool translate_once(const struct machine_plan *plan, char *cell, char *message)
{
    const struct iommu_geometry geometry = iommu_default_geometry();
    struct machine *machine = machine_open(plan, &geometry, message);
    struct iommu_request request = { .access = IOMMU_WRITE, .is_private = true };
    struct iommu_outcome outcome;
    bool is_wider, is_right;

    if (!machine) return false;
    request.address = iova(plan->gpa + 0x3000 + (plan->s1_shift ? MACHINE_IOVA_OFFSET : 0));
    iommu_translate(machine->iommu, &request, &outcome);
    is_wider = outcome.fill_shift > outcome.s2_shift || (outcome.s1_shift && outcome.fill_shift > outcome.s1_shift);
    is_right = verdict_of(&outcome) == predict_verdict(plan, false) && is_wider == predict_expands(plan) &&
               outcome.repaired == predict_repair(plan, false);
    if (!is_right) {
        snprintf(message, BENCH_MESSAGE_BYTES, "%s %s-%s-%s: %s, predicted %s", plan->variant->name,
                 machine_s1_name(plan->s1_shift), machine_s2_name(plan->s2_shift), machine_rmp_name(plan->rmp),
                 verdict_name(verdict_of(&outcome)), verdict_name(predict_verdict(plan, false)));
    }
    snprintf(cell, CELL_BYTES, "%s%s%s", verdict_name(verdict_of(&outcome)), is_wider ? " EXPANDS" : "",
             outcome.repaired ? " repaired" : "");
    machine_close(machine);
    return is_right;
}

static bool print_translations(char *message)
{
    static const unsigned s1_shifts[] = { 0, SHIFT_4K, SHIFT_2M };

    printf("One translation: size of its IOTLB entry, or its fault.\n"
           "EXPANDS: the entry is wider than a leaf it came from, and reaches what that leaf does not map.\n"
           "repaired: a CPU's fault handler would have made S2 and RMP agree first; a DMA has none.\n\n");
    print_head("S1-S2-RMP");
    for (unsigned row = 0; row < 12; row++) {
        struct machine_plan plan = { .s1_shift = s1_shifts[row / 4],
                                     .s2_shift = row & 2 ? SHIFT_2M : SHIFT_4K,
                                     .rmp = row & 1 ? MACHINE_RMP_2M : MACHINE_RMP_4K,
                                     .gpa = bit(SHIFT_1G),
                                     .length = bit(SHIFT_2M) };
        char name[CELL_BYTES], cell[CELL_BYTES];

        snprintf(name, sizeof(name), "%s-%s-%s", machine_s1_name(plan.s1_shift), machine_s2_name(plan.s2_shift),
                 machine_rmp_name(plan.rmp));
        printf("%-12s", name);
        for (unsigned i = 0; (plan.variant = iommu_variant_at(i)); i++) {
            if (!translate_once(&plan, cell, message)) return false;
            print_cell(cell, i);
        }
    }
    return true;
}

/* ---- 2 and 3: traffic -------------------------------------------------------------------------------------------- */

static const struct outcome *find(const struct outcome *outcomes, const struct machine_plan *plan,
                                  enum traffic_kind traffic)
{
    for (unsigned i = 0; outcomes[i].shape; i++) {
        const struct iotlb_shape *shape = outcomes[i].shape;

        if (shape->traffic == traffic && shape->plan.variant == plan->variant &&
            shape->plan.s2_shift == plan->s2_shift && shape->plan.rmp == plan->rmp)
            return &outcomes[i];
    }
    CHECK(!"every combination is measured");
    return NULL;
}

/* A ratio as percent, with as many decimals as keep what is not all below 100. */
static void percent(char *text, double ratio)
{
    int decimals = 0;

    if (ratio > 0.99 && ratio < 1) decimals = ratio > 0.999 ? 2 : 1;
    snprintf(text, CELL_BYTES, "%.*f", decimals, 100 * ratio);
}

/* "1000 0-98%", "998 0% F2", "2.0 13-99.8% X", "all fault" */
static void describe(char *cell, const struct outcome *outcome)
{
    const struct batch_counts *counts = &outcome->counts;
    const double per_1000 = 1000.0 / (double)counts->accesses;
    char least[CELL_BYTES], most[CELL_BYTES], faults[CELL_BYTES] = "";
    const bool is_band = outcome->band.hit_ratio_min < outcome->band.hit_ratio_max;

    if (counts->faults == counts->accesses) {
        snprintf(cell, CELL_BYTES, "all fault");
        return;
    }
    percent(least, outcome->band.hit_ratio_min);
    percent(most, outcome->band.hit_ratio_max);
    if (counts->faults) snprintf(faults, sizeof(faults), " F%.0f", per_1000 * (double)counts->faults);
    snprintf(cell, CELL_BYTES, "%.*f %.5s%s%.5s%%%.6s%s%s", counts->fill_4k > 0 ? 0 : 1,
             per_1000 * (double)(counts->fill_4k + counts->fill_2m), is_band ? least : "", is_band ? "-" : "", most,
             faults, counts->repairs ? " R" : "", predict_expands(&outcome->shape->plan) ? " X" : "");
}

static struct machine_plan row_plan(unsigned row)
{
    static const unsigned s2_shifts[S2_KINDS] = { SHIFT_4K, SHIFT_2M, 0 };

    return (struct machine_plan){ .s2_shift = s2_shifts[row / MACHINE_RMP_KINDS],
                                  .rmp = (enum machine_rmp)(row % MACHINE_RMP_KINDS) };
}

static void print_row_name(const struct machine_plan *plan)
{
    char name[CELL_BYTES];

    snprintf(name, sizeof(name), "%s-%s", machine_s2_name(plan->s2_shift), machine_rmp_name(plan->rmp));
    printf("%-12s", name);
}

/* A line a pair of sizes, a column a variant, of one traffic. `describe_outcome` writes a cell of CELL_BYTES. */
static void print_matrix(const struct outcome *outcomes, enum traffic_kind traffic,
                         void (*describe_outcome)(char *cell, const struct outcome *outcome))
{
    print_head("S2-RMP");
    for (unsigned row = 0; row < ROWS; row++) {
        struct machine_plan plan = row_plan(row);

        print_row_name(&plan);
        for (unsigned i = 0; (plan.variant = iommu_variant_at(i)); i++) {
            char cell[CELL_BYTES];

            describe_outcome(cell, find(outcomes, &plan, traffic));
            print_cell(cell, i);
        }
    }
}

static void print_traffic(const struct outcome *outcomes, enum traffic_kind traffic)
{
    printf("\n%s: %s.\n", traffic_name(traffic), traffic_text(traffic));
    print_matrix(outcomes, traffic, describe);
}

static double ratio(uint64_t a, uint64_t b)
{
    return b ? (double)a / (double)b : 0;
}

static void print_4k_row(enum traffic_kind traffic, const struct batch_counts *small, const struct batch_counts *large)
{
    char cells[3][64], small_hits[CELL_BYTES], large_hits[CELL_BYTES];

    snprintf(cells[0], sizeof(cells[0]), "%" PRIu64 " / %" PRIu64 " = %.0f x", small->fill_4k, large->fill_2m,
             ratio(small->fill_4k, large->fill_2m));
    snprintf(cells[1], sizeof(cells[1]), "%" PRIu64 " / %" PRIu64 " = %.0f x", small->walk_reads, large->walk_reads,
             ratio(small->walk_reads, large->walk_reads));
    snprintf(cells[2], sizeof(cells[2]), "%" PRIu64 " / %" PRIu64, small->reach_bytes >> 10, large->reach_bytes >> 10);
    percent(small_hits, ratio(small->hits, small->accesses));
    percent(large_hits, ratio(large->hits, large->accesses));
    printf("%-12s%-26s%-26s%-26s%s%% / %s%%\n", traffic_name(traffic), cells[0], cells[1], cells[2], small_hits,
           large_hits);
}

static void print_4k_only(const struct outcome *outcomes, const bool *is_chosen)
{
    const struct iommu_variant *amd = iommu_find_variant("amd");
    const struct machine_plan small = { .variant = amd, .s2_shift = SHIFT_4K, .rmp = MACHINE_RMP_4K };
    const struct machine_plan large = { .variant = amd, .s2_shift = SHIFT_2M, .rmp = MACHINE_RMP_2M };

    printf("\nWhat 4K-only costs: 4K-4K against 2M-2M on amd.\n%-12s%-26s%-26s%-26s%s\n", "", "fills", "walk reads",
           "KiB reached at the end", "accesses that hit");
    for (unsigned i = 0; i < TRAFFIC_KINDS; i++) {
        const enum traffic_kind traffic = (enum traffic_kind)i;

        if (!is_chosen[i]) continue;
        print_4k_row(traffic, &find(outcomes, &small, traffic)->counts, &find(outcomes, &large, traffic)->counts);
    }
}

/* "4K", "2M EXPANDS", "all lost", "4K, 0.2% lost" */
static void describe_loss(char *cell, const struct outcome *outcome)
{
    const struct batch_counts *counts = &outcome->counts;
    char lost[CELL_BYTES] = "";

    if (counts->faults == counts->accesses) {
        snprintf(cell, CELL_BYTES, "all lost");
        return;
    }
    if (counts->faults) snprintf(lost, sizeof(lost), ", %.1f%% lost", 100 * ratio(counts->faults, counts->accesses));
    snprintf(cell, CELL_BYTES, "%s%s%.14s", counts->fill_2m ? "2M" : "4K",
             predict_expands(&outcome->shape->plan) ? " EXPANDS"
             : counts->repairs                      ? " R"
                                                    : "",
             lost);
}

/* Of one traffic: the order of accesses does not decide whether they fault. */
static void print_mismatch(const struct outcome *outcomes, enum traffic_kind traffic)
{
    printf("\nWhat a mismatch costs: size of the entries, and accesses that fault (= DMA lost; %s).\n",
           traffic_name(traffic));
    print_matrix(outcomes, traffic, describe_loss);
}

/* The traffic asked for; false: there is none of that name. */
static bool choose(bool *is_chosen, const char *name)
{
    bool any = false;

    for (unsigned traffic = 0; traffic < TRAFFIC_KINDS; traffic++) {
        is_chosen[traffic] = !*name || strcmp(traffic_name((enum traffic_kind)traffic), name) == 0;
        any |= is_chosen[traffic];
    }
    return any;
}

/* Every shape of the chosen traffic, in the order of the shapes; the rest of `outcomes` stays zero. */
static bool measure(struct outcome *outcomes, const bool *is_chosen, char *message)
{
    const struct iotlb_shape *shape;

    for (unsigned i = 0; (shape = iotlb_shape_at(i)); i++) {
        struct iotlb_work *work;
        bool is_right;

        if (!is_chosen[shape->traffic]) continue;
        work = iotlb_open(shape, message);
        if (!work) return false;
        outcomes->shape = shape;
        is_right = iotlb_sweep(work, &outcomes->band, &outcomes->counts, message);
        iotlb_close(work);
        if (!is_right) return false;
        outcomes++;
    }
    return true;
}

static void print_key(void)
{
    const struct iommu_geometry *geometry;

    printf("\nPer traffic: fills per 1000 accesses, hits in %% (least-most over the sweep), F = faults per 1000,\n"
           "R = each fill after a repair, X = EXPANDS. Fills and faults: 64 sets of 8 ways.\n"
           "Sweep (sets x ways):");
    for (unsigned i = 0; (geometry = iotlb_geometry_at(i)); i++) printf(" %ux%u", geometry->sets, geometry->ways);
    printf(".\nAn access is the first packet to a 4K page. mixed: in each 2M region one 4K page is shared.\n");
}

static void print_chosen(const struct outcome *outcomes, const bool *is_chosen)
{
    unsigned first = 0;

    while (!is_chosen[first]) first++;
    print_4k_only(outcomes, is_chosen);
    print_mismatch(outcomes, (enum traffic_kind)first);
    print_key();
    for (unsigned traffic = 0; traffic < TRAFFIC_KINDS; traffic++) {
        if (is_chosen[traffic]) print_traffic(outcomes, (enum traffic_kind)traffic);
    }
}

int bench_print_outcomes(const char *traffic)
{
    char message[BENCH_MESSAGE_BYTES] = "";
    bool is_chosen[TRAFFIC_KINDS];
    struct outcome *outcomes;
    unsigned count = 0;
    bool is_right;

    if (!choose(is_chosen, traffic)) {
        fprintf(stderr, "mapproof-bench: --outcomes=%s: expected sequential, random, strided or trace\n", traffic);
        return BENCH_CANNOT_RUN;
    }
    while (iotlb_shape_at(count)) count++;
    outcomes = calloc(count + 1, sizeof(*outcomes));
    CHECK(outcomes != NULL);
    printf("IOTLB outcomes. Model, not silicon.\n\n");
    is_right = print_translations(message);
    fflush(stdout);
    is_right = is_right && measure(outcomes, is_chosen, message);
    if (is_right)
        print_chosen(outcomes, is_chosen);
    else
        fprintf(stderr, "mapproof-bench: --outcomes: %s\n", message);
    free(outcomes);
    return is_right ? BENCH_OK : BENCH_WRONG;
}
