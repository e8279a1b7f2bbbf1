/*
 * Does the cost of a leaf stay the same however large the call? One pt_map_range of 1 MiB to 1 TiB on warm tables, in
 * leaves of the format's smallest size up to 16 GiB (4K: 32 MiB of items) and of its second level above (2M).
 *
 * The unmaps between touch every item, so tables of more than a cache come from beyond it in the map, as they would.
 * limit/store_BYTES stores as many items into as much memory of a pool, cleared between in the same way: what machine
 * and caches do to plain stores is there, and bench/scale.py and the nightly page show one beside the other.
 */
#include "bench_table.h"

#include "base/bits.h"

enum { SHIFT_LAST_SMALL = 34 };

/* What a case's `shape` points to: log2 of the bytes of a call. */
static const unsigned char shifts[] = { 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40 };

static void *set_up(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    const unsigned shift = *(const unsigned char *)bench->shape;
    const struct bench_format *format = bench_format_find(bench->engine->format);
    const struct table_shape call = {
        .length = bit(shift),
        .skew_shift = bench_level_shift(format, shift > SHIFT_LAST_SMALL ? 1 : 0),
    };
    struct bench_table *table = bench_table_open_shape(bench, &call, facts, message);

    if (table && !bench_table_warm(table, message)) {
        bench_table_close(table);
        return NULL;
    }
    return table;
}

static const struct bench_family scales = {
    set_up, bench_map_run,         bench_map_reset, bench_map_verify, bench_map_settle, bench_table_tear_down,
    NULL,   bench_table_spoil_work
};

void bench_add_scales(struct bench_list *list)
{
    const struct engine *engine;

    for (unsigned i = 0; (engine = bench_engine_at(i)); i++) {
        for (size_t k = 0; !engine->is_vector && k < sizeof(shifts); k++) {
            struct bench_case *bench = bench_list_add(list, "scale/%s/map_%u%ciB/warm", engine->format,
                                                      1U << shifts[k] % 10, "MGT"[shifts[k] / 10 - 2]);

            bench->family = &scales;
            bench->engine = engine;
            bench->shape = &shifts[k];
        }
    }
}
