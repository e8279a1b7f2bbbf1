#include "bench_predict.h"

#include "base/check.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Private accesses, rmp.md 4.6: size of the entry (4, 2) or x for a size fault. Four cells per S1 (none, 4K, 2M):
 * S2 4K on RMP 4K, S2 4K on RMP 2M, S2 2M on RMP 4K, S2 2M on RMP 2M.
 */
static const struct truth {
    const char *variant;
    const char *s1[3];
    bool shared_large_faults; /* a shared page under a large leaf beside a private one: table "Shared access", row L */
} truths[] = {
    { "amd", { "4xx2", "4xx4", "4xx2" }, true },      { "amd-fill-2m", { "4xx2", "4xx2", "4xx2" }, true },
    { "smallest", { "4442", "4444", "4442" }, true }, { "expanding", { "42x2", "42x2", "42x2" }, true },
    { "cpu", { "4442", "4444", "4442" }, true },      { "cca", { "4422", "4444", "4422" }, false },
    { "off", { "4422", "4444", "4422" }, false },
};

static const struct truth *truth_of(const struct machine_plan *plan)
{
    for (size_t i = 0; i < sizeof(truths) / sizeof(truths[0]); i++) {
        if (strcmp(truths[i].variant, plan->variant->name) == 0) return &truths[i];
    }
    CHECK(!"a variant without a row here");
    return NULL;
}

enum verdict predict_verdict(const struct machine_plan *plan, bool is_shared)
{
    const struct truth *truth = truth_of(plan);
    const bool is_large = plan->s2_shift != SHIFT_4K;
    const unsigned s1 = plan->s1_shift == 0 ? 0 : plan->s1_shift == SHIFT_4K ? 1 : 2;

    if (is_shared) {
        CHECK(plan->s1_shift == 0); /* no case mixes S1 and shared pages */
        if (!is_large) return VERDICT_4K;
        return truth->shared_large_faults ? VERDICT_OWNER_FAULT : VERDICT_2M;
    }
    switch (truth->s1[s1][2 * is_large + (plan->rmp == MACHINE_RMP_2M)]) {
    case '4': return VERDICT_4K;
    case '2': return VERDICT_2M;
    default: return VERDICT_SIZE_FAULT;
    }
}

bool predict_expands(const struct machine_plan *plan)
{
    const bool is_small = plan->s1_shift == SHIFT_4K || plan->s2_shift == SHIFT_4K;

    return is_small && predict_verdict(plan, false) == VERDICT_2M;
}

bool predict_repair(const struct machine_plan *plan, bool is_shared)
{
    const bool is_mismatch = (plan->s2_shift != SHIFT_4K) != (plan->rmp == MACHINE_RMP_2M);

    return strcmp(plan->variant->name, "cpu") == 0 && is_mismatch && !is_shared;
}

/* ---- a cache ----------------------------------------------------------------------------------------------------- */

/* Sets of ways, least recently used goes first. A key is not 0. */
struct stamps {
    uint64_t *keys;
    uint64_t *used;
    uint64_t sets, ways, clock;
};

static struct stamps stamps_new(uint64_t sets, uint64_t ways)
{
    struct stamps cache = { calloc(sets * ways + 1, sizeof(uint64_t)), calloc(sets * ways + 1, sizeof(uint64_t)), sets,
                            ways, 0 };

    CHECK(cache.keys != NULL);
    CHECK(cache.used != NULL);
    return cache;
}

static void stamps_free(struct stamps *cache)
{
    free(cache->keys);
    free(cache->used);
}

static bool stamps_touch(struct stamps *cache, uint64_t set, uint64_t key)
{
    const uint64_t first = (set & (cache->sets - 1)) * cache->ways;

    for (uint64_t way = first; way < first + cache->ways; way++) {
        if (cache->keys[way] != key) continue;
        cache->used[way] = ++cache->clock;
        return true;
    }
    return false;
}

/* A key that is not there. */
static void stamps_put(struct stamps *cache, uint64_t set, uint64_t key)
{
    const uint64_t first = (set & (cache->sets - 1)) * cache->ways;
    uint64_t oldest = first;

    if (cache->ways == 0) return;
    for (uint64_t way = first; way < first + cache->ways; way++) {
        if (cache->used[way] < cache->used[oldest]) oldest = way;
    }
    cache->keys[oldest] = key;
    cache->used[oldest] = ++cache->clock;
}

/* ---- a batch ----------------------------------------------------------------------------------------------------- */

enum { KEY_SMALL = 1, KEY_LARGE, KEY_TABLE_OF_TABLES, KEY_BITS = 3 };

static uint64_t key_of(uint64_t address, unsigned shift, unsigned kind, bool is_shared)
{
    return ((address >> shift) << 1 | is_shared) << KEY_BITS | kind;
}

/*
 * Items read below the deepest one that the walk cache has. The item of level 2 spans 1G, that of level 1 2M: a leaf,
 * or a table of 4K leaves, which are level 0 and not kept.
 */
static uint64_t predict_walk(struct stamps *cache, bool is_large, uint64_t address)
{
    const uint64_t upper = key_of(address, SHIFT_1G, KEY_TABLE_OF_TABLES, false);
    const uint64_t lower = key_of(address, SHIFT_2M, KEY_LARGE, false);
    uint64_t reads = is_large ? 0 : 1;

    if (stamps_touch(cache, 0, lower)) return reads;
    reads++;
    if (!stamps_touch(cache, 0, upper)) {
        reads++;
        stamps_put(cache, 0, upper);
    }
    stamps_put(cache, 0, lower);
    return reads;
}

static void count_left(const struct stamps *iotlb, struct batch_counts *counts)
{
    for (uint64_t i = 0; i < iotlb->sets * iotlb->ways; i++) {
        if (!iotlb->keys[i]) continue;
        counts->entries++;
        counts->reach_bytes += bit((iotlb->keys[i] & low_mask(KEY_BITS)) == KEY_LARGE ? SHIFT_2M : SHIFT_4K);
    }
}

struct prediction {
    const struct machine_plan *plan;
    struct stamps iotlb, walk_cache;
    enum verdict verdicts[2]; /* of private and shared accesses */
    bool repairs[2];
};

static void predict_access(struct prediction *prediction, uint64_t access, struct batch_counts *counts)
{
    const bool is_shared = access & ACCESS_SHARED;
    const uint64_t address = access & ~ACCESS_SHARED;
    const enum verdict verdict = prediction->verdicts[is_shared];
    const unsigned shift = verdict == VERDICT_2M ? SHIFT_2M : SHIFT_4K;
    const uint64_t key = key_of(address, shift, verdict == VERDICT_2M ? KEY_LARGE : KEY_SMALL, is_shared);
    const bool faults = verdict == VERDICT_SIZE_FAULT || verdict == VERDICT_OWNER_FAULT;

    if (!faults) counts->hpa_sum += address + MACHINE_HPA_OFFSET;
    if (!faults && stamps_touch(&prediction->iotlb, address >> shift, key)) {
        counts->hits++;
        return;
    }
    counts->walk_reads += predict_walk(&prediction->walk_cache, prediction->plan->s2_shift != SHIFT_4K, address);
    counts->faults += faults;
    counts->faults_rmp_size += verdict == VERDICT_SIZE_FAULT;
    if (faults) return;
    counts->repairs += prediction->repairs[is_shared];
    counts->fill_4k += shift == SHIFT_4K;
    counts->fill_2m += shift == SHIFT_2M;
    stamps_put(&prediction->iotlb, address >> shift, key);
}

void predict_batch(const struct machine_plan *plan, const struct iommu_geometry *geometry,
                   const struct access_list *list, struct batch_counts *counts)
{
    struct prediction prediction = { .plan = plan,
                                     .iotlb = stamps_new(geometry->sets, geometry->ways),
                                     .walk_cache = stamps_new(1, geometry->walk_cache_entries) };

    CHECK(plan->s1_shift == 0);
    for (unsigned i = 0; i < 2; i++) {
        const bool is_shared = i == 1;

        prediction.verdicts[i] = predict_verdict(plan, is_shared);
        prediction.repairs[i] = predict_repair(plan, is_shared);
    }
    *counts = (struct batch_counts){ .accesses = list->count };
    for (uint64_t i = 0; i < list->count; i++) predict_access(&prediction, list->accesses[i], counts);
    count_left(&prediction.iotlb, counts);
    stamps_free(&prediction.iotlb);
    stamps_free(&prediction.walk_cache);
}

bool batch_counts_agree(const struct batch_counts *counted, const struct batch_counts *predicted, char *message,
                        size_t size)
{
    static const struct {
        const char *name;
        size_t offset;
    } fields[] = {
        { "accesses", offsetof(struct batch_counts, accesses) },
        { "hits", offsetof(struct batch_counts, hits) },
        { "fill_4K", offsetof(struct batch_counts, fill_4k) },
        { "fill_2M", offsetof(struct batch_counts, fill_2m) },
        { "faults_rmp_size", offsetof(struct batch_counts, faults_rmp_size) },
        { "faults", offsetof(struct batch_counts, faults) },
        { "repairs", offsetof(struct batch_counts, repairs) },
        { "walk_reads", offsetof(struct batch_counts, walk_reads) },
        { "iotlb_entries", offsetof(struct batch_counts, entries) },
        { "reach_bytes", offsetof(struct batch_counts, reach_bytes) },
        { "sum of addresses", offsetof(struct batch_counts, hpa_sum) },
    };
    const uint64_t accounted = counted->hits + counted->fill_4k + counted->fill_2m + counted->faults;

    if (accounted != counted->accesses) {
        snprintf(message, size, "hits + fills + faults = %" PRIu64 " of %" PRIu64 " accesses", accounted,
                 counted->accesses);
        return false;
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        uint64_t left, right;

        memcpy(&left, (const char *)counted + fields[i].offset, sizeof(left));
        memcpy(&right, (const char *)predicted + fields[i].offset, sizeof(right));
        if (left == right) continue;
        snprintf(message, size, "%s: %" PRIu64 ", predicted %" PRIu64, fields[i].name, left, right);
        return false;
    }
    return true;
}
