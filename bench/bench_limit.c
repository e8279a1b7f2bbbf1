/*
 * How fast can this machine store the items of a mapping, with nothing around it? The lower bound that the map cases
 * are compared with, measured in the same run and on the same kind of memory (pages of a table pool).
 *
 *   store_2KiB         256 items of consecutive leaves, as 256x4K; places as in its warm case, so the same cache level
 *   store_2MiB         262144 items, as 1GiB_as_4K
 *   store_8KiB, ...    as many as the scale cases have (bench_scale.c)
 *   ..._scalar         with general registers only
 *
 * Between batches the memory is cleared, untimed, by plain stores in ascending order: what the unmaps between two maps
 * do to the caches.
 *
 * Vector stores allowed: every way this CPU has is tried at set-up, the fastest is taken and named in the label. The
 * items differ from each other, as those of separate leaves do, so `rep stosq` is not among the ways.
 */
#include "bench_limit.h"
#include "bench_table.h"

#include "base/bits.h"
#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define FIRST_ITEM (UINT64_C(1) << 44 | 1)

struct limit {
    struct table_pool pool;
    uint64_t *items;
    size_t items_per_place;
    uint64_t places;
    bench_store *store;
    uint64_t done;
};

static const struct limit_shape {
    const char *name;
    size_t bytes;
    uint64_t batch;
    bool is_scalar;
} shapes[] = {
    { "store_2KiB", 2 << 10, 960, false },   { "store_2KiB_scalar", 2 << 10, 960, true },
    { "store_8KiB", 8 << 10, 240, false },   { "store_8KiB_scalar", 8 << 10, 240, true },
    { "store_32KiB", 32 << 10, 16, false },  { "store_32KiB_scalar", 32 << 10, 16, true },
    { "store_128KiB", 128 << 10, 1, false }, { "store_128KiB_scalar", 128 << 10, 1, true },
    { "store_256KiB", 256 << 10, 1, false }, { "store_256KiB_scalar", 256 << 10, 1, true },
    { "store_512KiB", 512 << 10, 1, false }, { "store_512KiB_scalar", 512 << 10, 1, true },
    { "store_1MiB", 1 << 20, 1, false },     { "store_1MiB_scalar", 1 << 20, 1, true },
    { "store_2MiB", 2 << 20, 1, false },     { "store_2MiB_scalar", 2 << 20, 1, true },
    { "store_4MiB", 4 << 20, 1, false },     { "store_4MiB_scalar", 4 << 20, 1, true },
    { "store_8MiB", 8 << 20, 1, false },     { "store_8MiB_scalar", 8 << 20, 1, true },
    { "store_32MiB", 32 << 20, 1, false },   { "store_32MiB_scalar", 32 << 20, 1, true },
};

#if defined(__x86_64__)
/* name, CPU feature, vector type, its words, and the intrinsics to load, broadcast, add and store. */
#define DEFINE_STORE(name, cpu, vector, words, load, broadcast, add, write)                                            \
    __attribute__((target(cpu))) static void name(uint64_t *items, size_t count, uint64_t first)                       \
    {                                                                                                                  \
        static const uint64_t offsets[8] __attribute__((aligned(64))) = { 0,                                           \
                                                                          BENCH_ITEM_STEP,                             \
                                                                          2 * BENCH_ITEM_STEP,                         \
                                                                          3 * BENCH_ITEM_STEP,                         \
                                                                          4 * BENCH_ITEM_STEP,                         \
                                                                          5 * BENCH_ITEM_STEP,                         \
                                                                          6 * BENCH_ITEM_STEP,                         \
                                                                          7 * BENCH_ITEM_STEP };                       \
        const vector step = broadcast((long long)(words * BENCH_ITEM_STEP));                                           \
        vector item0 = add(load((const vector *)(const void *)offsets), broadcast((long long)first));                  \
                                                                                                                       \
        for (size_t i = 0; i < count; i += 4 * words) {                                                                \
            const vector item1 = add(item0, step);                                                                     \
            const vector item2 = add(item1, step);                                                                     \
            const vector item3 = add(item2, step);                                                                     \
                                                                                                                       \
            write((vector *)(void *)(items + i), item0);                                                               \
            write((vector *)(void *)(items + i + words), item1);                                                       \
            write((vector *)(void *)(items + i + 2 * words), item2);                                                   \
            write((vector *)(void *)(items + i + 3 * words), item3);                                                   \
            item0 = add(item3, step);                                                                                  \
        }                                                                                                              \
    }

DEFINE_STORE(store_sse2, "sse2", __m128i, 2, _mm_load_si128, _mm_set1_epi64x, _mm_add_epi64, _mm_store_si128)
DEFINE_STORE(store_avx2, "avx2", __m256i, 4, _mm256_load_si256, _mm256_set1_epi64x, _mm256_add_epi64,
             _mm256_store_si256)
DEFINE_STORE(store_avx2_stream, "avx2", __m256i, 4, _mm256_load_si256, _mm256_set1_epi64x, _mm256_add_epi64,
             _mm256_stream_si256)
DEFINE_STORE(store_avx512, "avx512f", __m512i, 8, _mm512_load_si512, _mm512_set1_epi64, _mm512_add_epi64,
             _mm512_store_si512)
DEFINE_STORE(store_avx512_stream, "avx512f", __m512i, 8, _mm512_load_si512, _mm512_set1_epi64, _mm512_add_epi64,
             _mm512_stream_si512)
#endif

struct way {
    const char *name;
    bench_store *store;
    bool is_usable;
};

enum { WAYS = 6 };

static size_t list_ways(struct way *ways, bool is_scalar)
{
    size_t count = 0;

    ways[count++] = (struct way){ "general", bench_store_general, true };
    if (is_scalar) return count;
#if defined(__x86_64__)
    ways[count++] = (struct way){ "sse2", store_sse2, true };
    ways[count++] = (struct way){ "avx2", store_avx2, __builtin_cpu_supports("avx2") };
    ways[count++] = (struct way){ "avx2 stream", store_avx2_stream, __builtin_cpu_supports("avx2") };
    ways[count++] = (struct way){ "avx512", store_avx512, __builtin_cpu_supports("avx512f") };
    ways[count++] = (struct way){ "avx512 stream", store_avx512_stream, __builtin_cpu_supports("avx512f") };
#endif
    return count;
}

static void run(void *work, uint64_t count)
{
    struct limit *limit = work;
    uint64_t place = 0;

    for (uint64_t i = 0; i < count; i++) {
        const uint64_t first = place * limit->items_per_place;

        limit->store(limit->items + first, limit->items_per_place, FIRST_ITEM + first * BENCH_ITEM_STEP);
        if (++place == limit->places) place = 0;
    }
    limit->done = count;
}

/* As an unmap leaves it. */
static void reset(void *work)
{
    struct limit *limit = work;

    bench_clear_general(limit->items, limit->places * limit->items_per_place);
}

static double seconds(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The best of several tries of one batch with each way. */
static const char *choose_way(struct limit *limit, bool is_scalar, uint64_t batch)
{
    enum { ITEMS_TRIED = 1 << 20, TRIES_MIN = 3, TRIES_MAX = 12 };
    const uint64_t tries = max_u64(TRIES_MIN, min_u64(TRIES_MAX, ITEMS_TRIED / limit->items_per_place));
    struct way ways[WAYS];
    const size_t count = list_ways(ways, is_scalar);
    double best_seconds = 1e9;
    size_t best = 0;

    for (uint64_t try = 0; try < tries; try++) {
        for (size_t i = 0; i < count; i++) {
            double started;
            double taken;

            if (!ways[i].is_usable) continue;
            limit->store = ways[i].store;
            run(limit, batch);
            reset(limit);
            started = seconds();
            run(limit, batch);
            taken = seconds() - started;
            if (taken >= best_seconds) continue;
            best_seconds = taken;
            best = i;
        }
    }
    limit->store = ways[best].store;
    return ways[best].name;
}

static void *set_up(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    const struct limit_shape *shape = bench->shape;
    struct limit *limit = calloc(1, sizeof(*limit));
    const uint64_t places = max_u64(1, WARM_ITEM_BYTES / shape->bytes);
    const uint64_t pages = shape->bytes * places / POOL_PAGE_BYTES;

    (void)message;
    CHECK(limit != NULL);
    table_pool_init(&limit->pool, 0, TABLE_POOL_PAGES);
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t *page = table_pool_alloc(&limit->pool, POOL_PAGE_BYTES);

        CHECK(page != NULL);
        if (i == 0) limit->items = page;
        CHECK(page == limit->items + i * (POOL_PAGE_BYTES / sizeof(uint64_t)));
    }
    limit->items_per_place = shape->bytes / sizeof(uint64_t);
    limit->places = places;
    facts->label = choose_way(limit, shape->is_scalar, shape->batch);
    facts->batch = shape->batch;
    facts->stored_bytes = (double)shape->bytes;
    return limit;
}

static bool verify(void *work, char *message)
{
    const struct limit *limit = work;

    for (uint64_t i = 0; i < limit->places * limit->items_per_place; i++) {
        if (limit->items[i] == FIRST_ITEM + i * BENCH_ITEM_STEP) continue;
        snprintf(message, BENCH_MESSAGE_BYTES, "word %" PRIu64 " holds 0x%" PRIx64, i, limit->items[i]);
        return false;
    }
    return true;
}

static void tear_down(void *work)
{
    struct limit *limit = work;

    table_pool_destroy(&limit->pool);
    free(limit);
}

static void spoil(void *work)
{
    const struct limit *limit = work;

    limit->items[limit->places * limit->items_per_place - 1]++;
}

static const struct bench_family limits = { set_up, run, reset, verify, NULL, tear_down, NULL, spoil };

void bench_add_limits(struct bench_list *list)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct bench_case *bench = bench_list_add(list, "limit/%s", shapes[i].name);

        bench->family = &limits;
        bench->shape = &shapes[i];
    }
}
