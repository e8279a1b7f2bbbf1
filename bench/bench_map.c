/*
 * What does one map call cost, by size and by leaf?
 *
 *   - 1x2^n: one call of 2^n bytes at addresses aligned to it: the largest leaves the format has. amdv1 has every
 *     power of two, so it is one leaf (of up to 256 items); x86_64 has 4K, 2M and 1G, so 1x1M is 256 leaves.
 *   - 256x4K, ...: one call, 256 leaves: target and iova differ by one leaf, so nothing larger fits.
 *   - 1GiB_as_...: one call of 1 GiB in such leaves; 1GiB_best: fully aligned.
 *   - warm, cold: see bench_table.h.
 *
 * 256x and 1GiB_as_ take the sizes of the format's levels: 4K, 2M, 1G, or 16K, 32M (armv8_16k), and so on.
 */
#include "bench_table.h"

void *bench_map_set_up(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    struct bench_table *table = bench_table_open(bench, facts, message);

    if (table && !table->is_cold && !bench_table_warm(table, message)) {
        bench_table_close(table);
        return NULL;
    }
    return table;
}

void bench_map_run(void *work, uint64_t count)
{
    struct bench_table *table = work;
    const uint64_t length = table->shape.length;
    uint64_t failures = 0;

    for (uint64_t place = 0; place < count; place++) {
        uint64_t mapped;
        const int error = pt_map_range(&table->pt, bench_table_iova(table, place), bench_table_target(table, place),
                                       length, PT_READ | PT_WRITE, &mapped);

        failures |= (uint64_t)error | (mapped ^ length);
    }
    table->failures |= failures;
    table->done = count;
}

void bench_map_reset(void *work)
{
    struct bench_table *table = work;

    if (table->is_cold)
        bench_table_renew(table);
    else if (!bench_table_unmap(table, table->done))
        table->failures = 1;
}

bool bench_map_verify(void *work, char *message)
{
    return bench_table_verify_mapped(work, message);
}

bool bench_map_settle(void *work, char *message)
{
    return bench_table_verify_empty(work, message) && bench_table_settle(work, message);
}

static const struct bench_family maps = {
    bench_map_set_up,      bench_map_run, bench_map_reset,       bench_map_verify, bench_map_settle,
    bench_table_tear_down, NULL,          bench_table_spoil_work
};

static bool is_measured(const struct engine *engine, const struct bench_shape *shape, bool is_cold)
{
    const bool is_narrow = is_cold || engine->is_vector;

    return !is_narrow || bench_shape_is_everywhere(bench_format_find(engine->format), shape);
}

void bench_add_maps(struct bench_list *list)
{
    bench_add_table_cases(list, "map", &maps, is_measured);
}
