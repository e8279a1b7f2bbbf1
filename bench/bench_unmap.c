/*
 * What does one unmap call cost, by size and by leaf? Shapes as in bench_map.c. The gather starts empty for each call
 * and no flush follows: invalidation is the hardware driver's.
 *
 *   warm   the tables stay. Where a single call would cover whole tables, which frees them (1GiB_as_4K), one operation
 *          is several calls of half a table each: 1024 calls of 1 MiB.
 *   cold   the tables go: one call over whole, full tables, and the sync that gives them back. Only shapes that fill
 *          whole tables have it: 1GiB_as_4K and 1GiB_as_2M, but not 32 leaves of 32M in a table of 2048.
 */
#include "bench_table.h"

#include "base/bits.h"

static uint64_t run_warm(struct bench_table *table, uint64_t count)
{
    const uint64_t length = table->shape.length;
    const uint64_t unit = table->covers_tables ? table->unmap_unit : length;
    uint64_t failures = 0;

    for (uint64_t place = 0; place < count; place++) {
        const uint64_t start = bench_table_iova(table, place).value;

        for (uint64_t done = 0; done < length; done += unit) {
            struct pt_gather gather = pt_gather_empty();

            failures |= pt_unmap_range(&table->pt, iova(start + done), unit, &gather) ^ unit;
            failures |= gather.freed.count;
        }
    }
    return failures;
}

static uint64_t run_cold(struct bench_table *table, uint64_t count)
{
    const uint64_t length = table->shape.length;
    uint64_t failures = 0;

    for (uint64_t place = 0; place < count; place++) {
        struct pt_gather gather = pt_gather_empty();

        failures |= pt_unmap_range(&table->pt, bench_table_iova(table, place), length, &gather) ^ length;
        failures |= gather.freed.count == 0;
        pt_gather_sync(&table->pt, &gather);
    }
    return failures;
}

void bench_unmap_run(void *work, uint64_t count)
{
    struct bench_table *table = work;

    table->failures |= table->is_cold ? run_cold(table, count) : run_warm(table, count);
    table->done = count;
}

void bench_unmap_reset(void *work)
{
    struct bench_table *table = work;

    if (!bench_table_map(table, table->done)) table->failures = 1;
}

void *bench_unmap_set_up(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    struct bench_table *table = bench_table_open(bench, facts, message);

    if (!table) return NULL;
    table->done = table->places;
    bench_unmap_reset(table);
    bench_unmap_run(table, table->places);
    table->pages_settled = table->pool.live_pages;
    bench_unmap_reset(table);
    table->allocations_settled = table->pool.allocations;
    return table;
}

bool bench_unmap_verify(void *work, char *message)
{
    return bench_table_verify_empty(work, message);
}

/* The places are mapped again: they must be right, and when they are gone, as many tables be left as after set-up. */
bool bench_unmap_settle(void *work, char *message)
{
    struct bench_table *table = work;

    if (!bench_table_verify_mapped(table, message)) return false;
    bench_unmap_run(table, table->places);
    return bench_table_verify_empty(table, message) && bench_table_settle(table, message);
}

static const struct bench_family unmaps = { bench_unmap_set_up,
                                            bench_unmap_run,
                                            bench_unmap_reset,
                                            bench_unmap_verify,
                                            bench_unmap_settle,
                                            bench_table_tear_down,
                                            NULL,
                                            bench_table_spoil_work };

static bool fills_tables(const struct bench_format *format, const struct bench_shape *shape)
{
    return shape->kind == SHAPE_GIB_AS && bit(SHIFT_1G) >= bench_item_span(format, shape->parameter + 1);
}

static bool is_measured(const struct engine *engine, const struct bench_shape *shape, bool is_cold)
{
    const struct bench_format *format = bench_format_find(engine->format);

    if (is_cold && !fills_tables(format, shape)) return false;
    return !engine->is_vector || bench_shape_is_everywhere(format, shape);
}

void bench_add_unmaps(struct bench_list *list)
{
    bench_add_table_cases(list, "unmap", &unmaps, is_measured);
}
