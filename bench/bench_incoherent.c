/*
 * What does a walker that does not snoop cost? The shapes of bench_map.c and bench_unmap.c with PT_DMA_INCOHERENT: the
 * engine calls its owner's flush for the items that it wrote. The format's token ends in `_incoherent`.
 *
 *   warm            the hook counts: the call, and the engine's own work for it
 *   warm-writeback  the hook also writes each line of 64 bytes back, with the best instruction that this CPU has (the
 *                   label says which), and fences, as Linux's clflush_cache_range does
 *
 * Formats whose features have it: x86_64, vtdss, armv8 and fake. amd and riscv64 walkers snoop.
 * `flushes` and `flushed_bytes` are those of one operation. Verified is not their number but what they are for: a copy
 * of all tables that is written only by flushes must in the end be what the tables are.
 */
#include "bench_table.h"

#include "base/bits.h"
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

enum { LINE_BYTES = 64 };

struct write_way {
    const char *name; /* NULL: none */
    bench_write_back *write;
};

#if defined(__x86_64__)
__attribute__((target("clwb"))) static void write_clwb(const void *line)
{
    _mm_clwb((void *)(uintptr_t)line);
}

__attribute__((target("clflushopt"))) static void write_clflushopt(const void *line)
{
    _mm_clflushopt((void *)(uintptr_t)line);
}

static void write_clflush(const void *line)
{
    _mm_clflush(line);
}

/* CPUID 7.0 EBX: bit 24 clwb, bit 23 clflushopt; every x86-64 has clflush. */
static struct write_way best_way(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;

    __get_cpuid_count(7, 0, &a, &b, &c, &d);
    if (b & bit(24)) return (struct write_way){ "clwb", write_clwb };
    if (b & bit(23)) return (struct write_way){ "clflushopt", write_clflushopt };
    return (struct write_way){ "clflush", write_clflush };
}

static void fence(void)
{
    _mm_sfence();
}
#else
static struct write_way best_way(void)
{
    return (struct write_way){ NULL, NULL };
}

static void fence(void)
{
}
#endif

void bench_flush(void *context, hpa_t address, unsigned offset, unsigned length)
{
    struct bench_table *table = context;
    struct bench_flusher *flusher = &table->flusher;
    const uint8_t *start = (const uint8_t *)table_pool_pointer(&table->pool, address.value) + offset;

    flusher->flushes++;
    flusher->bytes += length;
    if (flusher->write_back) {
        const uintptr_t first = (uintptr_t)start & ~(uintptr_t)(LINE_BYTES - 1);

        for (uintptr_t line = first; line < (uintptr_t)start + length; line += LINE_BYTES)
            flusher->write_back((const void *)line);
        fence();
    }
    if (flusher->seen && !flusher->loses_one) memcpy(flusher->seen + (start - table->pool.bytes), start, length);
    if (flusher->seen) flusher->loses_one = false;
}

/* A set-up table gets its way, and the facts their counters. */
static void *begin(struct bench_table *table, const struct bench_case *bench, bool writes_back,
                   struct bench_facts *facts)
{
    const struct write_way way = best_way();

    if (!table) return NULL;
    if (writes_back) {
        table->flusher.write_back = way.write;
        facts->label = way.name;
    }
    table->flusher.flushes = 0;
    table->flusher.bytes = 0;
    bench->family->run(table, 1);
    bench_facts_add(facts, "flushes", (double)table->flusher.flushes);
    bench_facts_add(facts, "flushed_bytes", (double)table->flusher.bytes);
    bench->family->reset(table);
    return table;
}

static void *map_counted(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    return begin(bench_map_set_up(bench, facts, message), bench, false, facts);
}

static void *map_written(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    return begin(bench_map_set_up(bench, facts, message), bench, true, facts);
}

static void *unmap_counted(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    return begin(bench_unmap_set_up(bench, facts, message), bench, false, facts);
}

static void *unmap_written(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    return begin(bench_unmap_set_up(bench, facts, message), bench, true, facts);
}

/* One more batch, and what it flushes goes to a copy of the tables: is that all that changed? */
static bool verify_flushes(struct bench_table *table, void (*run)(void *, uint64_t), void (*reset)(void *),
                           char *message)
{
    const size_t bytes = (size_t)table->pool.fresh << POOL_PAGE_SHIFT;
    size_t wrong = 0;

    reset(table);
    table->flusher.seen = malloc(bytes);
    CHECK(table->flusher.seen != NULL);
    memcpy(table->flusher.seen, table->pool.bytes, bytes);
    run(table, table->places);
    while (wrong < bytes && table->flusher.seen[wrong] == table->pool.bytes[wrong]) wrong++;
    free(table->flusher.seen);
    table->flusher.seen = NULL;
    if (wrong == bytes) return true;
    snprintf(message, BENCH_MESSAGE_BYTES, "a walker that does not snoop sees something else at 0x%zx of the pool",
             wrong);
    return false;
}

static bool verify_map(void *work, char *message)
{
    return bench_map_verify(work, message) && verify_flushes(work, bench_map_run, bench_map_reset, message);
}

static bool verify_unmap(void *work, char *message)
{
    return bench_unmap_verify(work, message) && verify_flushes(work, bench_unmap_run, bench_unmap_reset, message);
}

/* The walker misses one flush. */
static void spoil(void *work)
{
    struct bench_table *table = work;

    table->flusher.loses_one = true;
}

#define MAP_FAMILY(set_up)                                                                                             \
    {                                                                                                                  \
        set_up, bench_map_run, bench_map_reset, verify_map, bench_map_settle, bench_table_tear_down, NULL, spoil       \
    }
#define UNMAP_FAMILY(set_up)                                                                                           \
    {                                                                                                                  \
        set_up, bench_unmap_run, bench_unmap_reset, verify_unmap, bench_unmap_settle, bench_table_tear_down, NULL,     \
            spoil                                                                                                      \
    }

/* [is unmap][writes back] */
static const struct bench_family families[2][2] = {
    { MAP_FAMILY(map_counted), MAP_FAMILY(map_written) },
    { UNMAP_FAMILY(unmap_counted), UNMAP_FAMILY(unmap_written) },
};

/* One leaf of the smallest size, and 256 of them. */
static const struct bench_shape shapes[] = {
    { SHAPE_ONE, 11 }, { SHAPE_ONE, 12 }, { SHAPE_ONE, 14 }, { SHAPE_ONE, 16 }, { SHAPE_MANY, 0 },
};

static void add(struct bench_list *list, const struct engine *engine, bool is_unmap, bool writes_back)
{
    const struct bench_format *format = bench_format_find(engine->format);
    struct table_shape fitted;

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct bench_case *bench;

        if (shapes[i].kind == SHAPE_ONE && shapes[i].parameter != format->granule_shift) continue;
        CHECK(bench_shape_fit(format, &shapes[i], &fitted));
        bench = bench_list_add(list, "%s/%s_incoherent/%s/%s%s", is_unmap ? "unmap" : "map", engine->format,
                               fitted.name, bench_state_name(engine, false), writes_back ? "-writeback" : "");
        bench->family = &families[is_unmap][writes_back];
        bench->engine = engine;
        bench->shape = &shapes[i];
        bench->features = PT_DMA_INCOHERENT;
    }
}

void bench_add_incoherents(struct bench_list *list)
{
    const struct engine *engine;

    for (unsigned i = 0; (engine = bench_engine_at(i)); i++) {
        if (!bench_engine_takes(engine, PT_DMA_INCOHERENT)) continue;
        for (unsigned is_unmap = 0; is_unmap <= 1; is_unmap++) {
            add(list, engine, is_unmap, false);
            if (!engine->is_vector && best_way().name) add(list, engine, is_unmap, true);
        }
    }
}
