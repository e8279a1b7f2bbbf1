/*
 * What does finding one address cost? 1 GiB is mapped in leaves of one size; every 4K page of it is asked for once in a
 * batch, in ascending or in a seeded random order, at an offset inside the page. Lookups do not depend on each other,
 * so this is throughput, and the order's list (1 MiB, read once) is part of the cost in both.
 */
#include "bench_table.h"

#include "base/bits.h"
#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PAGES = 1 << 18, /* of 1 GiB */
    OFFSET = 0x5a8,  /* asked for inside each page */
};

struct lookup {
    struct bench_table *table;
    bool is_random;
    uint64_t sum; /* of the addresses found in the last run */
    uint64_t found;
};

static const struct lookup_shape {
    const char *name;
    bool is_random;
    struct table_shape mapping;
} shapes[] = {
    { "sequential_1GiB_of_4K", false, { "1GiB_of_4K", UINT64_C(1) << SHIFT_1G, SHIFT_4K } },
    { "random_1GiB_of_4K", true, { "1GiB_of_4K", UINT64_C(1) << SHIFT_1G, SHIFT_4K } },
    { "sequential_1GiB_of_2M", false, { "1GiB_of_2M", UINT64_C(1) << SHIFT_1G, SHIFT_2M } },
    { "random_1GiB_of_2M", true, { "1GiB_of_2M", UINT64_C(1) << SHIFT_1G, SHIFT_2M } },
};

/*
 * The page after `page` in an order that visits each of the PAGES once: a linear congruential generator of full period
 * (increment odd, multiplier 1 mod 4; Knuth 2, 3.2.1.2), its high half mixed into the low one, whose own period is
 * short.
 */
static inline uint64_t next_state(uint64_t state)
{
    return (state * 0x2f475 + 0x1c3b7) % PAGES;
}

static inline uint64_t page_of(uint64_t state)
{
    return state ^ state >> 9;
}

static void *set_up(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    const struct lookup_shape *shape = bench->shape;
    const struct bench_case mapping = { .engine = bench->engine, .shape = &shape->mapping };
    struct bench_table *table = bench_table_open(&mapping, facts, message);
    struct lookup *lookup;

    if (!table) return NULL;
    if (!bench_table_map(table, 1)) table->failures = 1;
    lookup = calloc(1, sizeof(*lookup));
    CHECK(lookup != NULL);
    lookup->table = table;
    lookup->is_random = shape->is_random;
    facts->batch = PAGES;
    facts->leaves = 1;
    facts->mapped_bytes = 0;
    return lookup;
}

/* The first `count` pages of an order. */
static inline void look_up(struct lookup *lookup, uint64_t count, bool is_random)
{
    const struct pt *pt = &lookup->table->pt;
    const uint64_t start = bench_table_iova(lookup->table, 0).value + OFFSET;
    uint64_t sum = 0;
    uint64_t found = 0;
    uint64_t state = 0;

    for (uint64_t i = 0; i < count; i++) {
        const uint64_t page = is_random ? page_of(state) : i;
        hpa_t target = { 0 };

        found += pt_iova_to_phys(pt, iova(start + (page << SHIFT_4K)), &target);
        sum += target.value;
        state = next_state(state);
    }
    lookup->sum = sum;
    lookup->found = found;
}

static void run(void *work, uint64_t count)
{
    struct lookup *lookup = work;

    if (lookup->is_random)
        look_up(lookup, count, true);
    else
        look_up(lookup, count, false);
}

/* Of the timed answers themselves: all were found, and their sum is that of all pages. Then the table. */
static bool verify(void *work, char *message)
{
    const struct lookup *lookup = work;
    const uint64_t first = bench_table_target(lookup->table, 0).value + OFFSET;
    const uint64_t wanted = PAGES * first + (uint64_t)PAGES / 2 * (PAGES - 1) * POOL_PAGE_BYTES;

    if (lookup->found != PAGES || lookup->sum != wanted) {
        snprintf(message, BENCH_MESSAGE_BYTES, "%" PRIu64 " of %d pages found, sum 0x%" PRIx64 ", wanted 0x%" PRIx64,
                 lookup->found, PAGES, lookup->sum, wanted);
        return false;
    }
    for (uint64_t page = 0; page < PAGES; page++) {
        hpa_t found = { 0 };

        pt_iova_to_phys(&lookup->table->pt, iova(bench_table_iova(lookup->table, 0).value + (page << SHIFT_4K)),
                        &found);
        if (found.value == first - OFFSET + (page << SHIFT_4K)) continue;
        snprintf(message, BENCH_MESSAGE_BYTES, "page %" PRIu64 " leads to 0x%" PRIx64, page, found.value);
        return false;
    }
    return true;
}

static void tear_down(void *work)
{
    struct lookup *lookup = work;

    bench_table_close(lookup->table);
    free(lookup);
}

static const struct bench_family lookups = { set_up, run, NULL, verify, NULL, tear_down, NULL };

void bench_add_lookups(struct bench_list *list)
{
    const struct engine *engine;

    for (unsigned i = 0; (engine = bench_engine_at(i)); i++) {
        for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) {
            struct bench_case *bench = bench_list_add(list, "lookup/%s/%s/%s", engine->format, shapes[k].name,
                                                      bench_state_name(engine, false));

            bench->family = &lookups;
            bench->engine = engine;
            bench->shape = &shapes[k];
        }
    }
}
