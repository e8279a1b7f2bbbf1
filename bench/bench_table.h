/*
 * A page table with places: what the map, unmap and lookup cases work on.
 *
 * A shape is one mapping; a place is one spot for it. A run works on disjoint places in ascending order.
 *
 *   warm   tables exist before and after. Places lie side by side, and as many as have WARM_ITEM_BYTES of items
 *          together, so that a batch stays in a first-level cache. Untimed unmaps go half a table at a time, so no
 *          table is ever covered as a whole. bench_table_settle checks that no table came or went.
 *   cold   tables come (map) or go (unmap) inside the operation: places lie so far apart that they share the root
 *          only. The reset throws the whole table away. "Cold" speaks of tables: their memory is in the cache.
 */
#pragma once

#include "bench.h"
#include "bench_shape.h"

#include "base/physmem.h"
#include "pt/pt_plugin_host.h"

enum {
    WARM_ITEM_BYTES = 24 << 10, /* three quarters of the smallest first-level cache around (32 KiB) */
    WARM_PLACES_MAX = 1024,
    COLD_TABLE_PAGES = 128, /* about as many pages of tables in a cold batch */
    COLD_PLACES_MAX = 32,
    TABLE_POOL_PAGES = 1 << 16, /* reserved, not touched */
    TAKES_POOL_PAGES = 64,
};

/* Write the line at `line` back to memory. */
typedef void bench_write_back(const void *line);

/* What becomes of flushes, for walkers that do not snoop (bench_incoherent.c). */
struct bench_flusher {
    bench_write_back *write_back; /* NULL: they are counted only */
    uint64_t flushes, bytes;
    uint8_t *seen;  /* a copy of the pool that gets what is flushed; NULL: none */
    bool loses_one; /* self-test: the copy does not get the next */
};

/* A run of memory in a place: [offset, offset + length) leads to target onward. */
struct bench_run {
    uint64_t offset, length, target;
};

struct bench_table {
    const struct engine *engine;
    const struct bench_format *format;
    struct table_shape shape;
    bool is_cold;
    uint32_t features; /* beyond the default configuration */
    struct table_pool pool;
    struct pt pt;
    uint64_t iova_start; /* of place 0 */
    uint64_t iova_stride;
    uint64_t target_start;
    uint64_t target_stride;
    uint64_t places;
    unsigned leaf_shift; /* the leaf that must come out */
    unsigned leaf_level;
    uint64_t unmap_unit; /* half a table: the piece of an unmap that covers none */
    bool covers_tables;  /* one call over a place covers more than one whole table */
    uint64_t leaves;     /* of one place */
    unsigned leaf_max;   /* what must come out has no larger leaf than 2^this; 0: any size */
    uint64_t cut;        /* and a leaf begins at this offset of each place; 0: need not */
    const struct bench_run
        *runs; /* what the one place leads to, run by run and mapped so; NULL: all its places alike */
    uint64_t run_count;
    uint64_t done;                /* places of the last run */
    uint64_t failures;            /* not 0: some call of a run returned the wrong thing */
    uint32_t pages_settled;       /* pages of tables between batches */
    uint64_t allocations_settled; /* warm: made by set-up, and none after */
    struct bench_flusher flusher;
};

/* The hook of PT_DMA_INCOHERENT; `context` is the bench_table. */
void bench_flush(void *context, hpa_t address, unsigned offset, unsigned length);

enum bench_rows { BENCH_ALL, BENCH_GENERAL, BENCH_VECTOR };

/* Measure the rows of this plugin (not NULL), or of one build of the built-in engine, and no others. Their cases then
 * have the names of the general rows, so that two runs can be compared by name. BENCH_ALL: every row of this build. */
void bench_choose_engines(const struct plugin *plugin, enum bench_rows rows);

/* Rows to measure: index -> engine that this CPU runs, NULL past the end. */
const struct engine *bench_engine_at(unsigned index);

/* Does it make tables with these features (PT_*) beside the default ones? A plugin may refuse them: n/a. */
bool bench_engine_takes(const struct engine *engine, uint32_t features);

/* "warm", "cold", "warm-vector", "cold-vector". */
const char *bench_state_name(const struct engine *engine, bool is_cold);

/*
 * Make an empty table and lay out the places of the case (bench->shape is a bench_shape that fits the format); fill in
 * leaves, mapped_bytes, table_bytes and batch. NULL: *message says why.
 */
struct bench_table *bench_table_open(const struct bench_case *bench, struct bench_facts *facts, char *message);
struct bench_table *bench_table_open_shape(const struct bench_case *bench, const struct table_shape *shape,
                                           struct bench_facts *facts, char *message);
void bench_table_close(struct bench_table *table);

/* Map every place once and take them out again, so that the tables exist; note how many there are. False: message. */
bool bench_table_warm(struct bench_table *table, char *message);

/* Start again with an empty tree, and with a pool that never was used. */
void bench_table_clear(struct bench_table *table);

/* Start again with an empty tree whose root is as high as the places need. The pool keeps its warm pages. */
void bench_table_renew(struct bench_table *table);

/* Untimed: map or unmap places [0, count), unmaps in pieces that keep the tables. False: a call failed. */
bool bench_table_map(struct bench_table *table, uint64_t count);
bool bench_table_unmap(struct bench_table *table, uint64_t count);

/*
 * log2 of the leaf that must be at `offset` of a place, where one begins: the largest that addresses, the rest of the
 * place, leaf_max and cut allow.
 */
unsigned bench_table_leaf_shift(const struct bench_table *table, uint64_t place, uint64_t offset);

/* Every place is mapped as wanted: the first, middle and last byte of every leaf, and every item's level and size. */
bool bench_table_verify_mapped(const struct bench_table *table, char *message);

/* Nothing is mapped at all. */
bool bench_table_verify_empty(const struct bench_table *table, char *message);

/* Self-test: the last leaf item leads elsewhere; where nothing is mapped, the first page of place 0 is. */
void bench_table_spoil(struct bench_table *table);

/* Turn one address bit of the last leaf item of a table in `pool`. False: there is none. */
bool bench_spoil_item(const struct pt *pt, const struct table_pool *pool);

/* Did any call of a run fail, did a table come or go since set-up? */
bool bench_table_settle(const struct bench_table *table, char *message);

static inline iova_t bench_table_iova(const struct bench_table *table, uint64_t place)
{
    return iova(table->iova_start + place * table->iova_stride);
}

static inline hpa_t bench_table_target(const struct bench_table *table, uint64_t place)
{
    return hpa(table->target_start + place * table->target_stride);
}

/* The run that `offset` lies in, of a table that has runs. */
const struct bench_run *bench_table_run_at(const struct bench_table *table, uint64_t offset);

/* Where `offset` of a place must lead; scattered: where the page at `offset` must. */
static inline uint64_t bench_table_target_at(const struct bench_table *table, uint64_t place, uint64_t offset)
{
    if (table->runs)
        return bench_table_run_at(table, offset)->target + offset - bench_table_run_at(table, offset)->offset;
    if (table->shape.is_scattered) offset = bench_scatter(table->format, offset);
    return bench_table_target(table, place).value + offset;
}

/*
 * Append `operation/FORMAT/WORK/STATE` for every engine, both states and every shape that fits the format, where `has`
 * says so.
 */
typedef bool bench_shape_filter(const struct engine *engine, const struct bench_shape *shape, bool is_cold);
void bench_add_table_cases(struct bench_list *list, const char *operation, const struct bench_family *family,
                           bench_shape_filter *has);

/* The parts of the map and unmap families (bench_map.c, bench_unmap.c); `work` is a struct bench_table. */
void *bench_map_set_up(const struct bench_case *bench, struct bench_facts *facts, char *message);
void bench_map_run(void *work, uint64_t count);
void bench_map_reset(void *work);
bool bench_map_verify(void *work, char *message);
bool bench_map_settle(void *work, char *message);
void *bench_unmap_set_up(const struct bench_case *bench, struct bench_facts *facts, char *message);
void bench_unmap_run(void *work, uint64_t count);
void bench_unmap_reset(void *work);
bool bench_unmap_verify(void *work, char *message);
bool bench_unmap_settle(void *work, char *message);
void bench_table_tear_down(void *work);
void bench_table_spoil_work(void *work); /* bench_table_spoil */
