/*
 * What does finding one address cost? 1 GiB is mapped in leaves of one size; every page of it (as large as the format's
 * smallest leaf) is asked for once in a batch, in ascending or in a seeded random order, at an offset inside the page.
 * Lookups do not depend on each other, so this is throughput, and computing the next page is part of the cost in both.
 */
#include "bench_table.h"

#include "base/bits.h"
#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    OFFSET = 0x5a8, /* asked for inside each page */
};

struct lookup {
    struct bench_table *table;
    bool is_random;
    uint64_t sum; /* of the addresses found in the last run */
    uint64_t found;
};

static const struct lookup_shape {
    bool is_random;
    struct bench_shape mapping;
} shapes[] = {
    { false, { SHAPE_GIB_AS, 0 } },
    { true, { SHAPE_GIB_AS, 0 } },
    { false, { SHAPE_GIB_AS, 1 } },
    { true, { SHAPE_GIB_AS, 1 } },
};

/* Pages of 1 GiB. */
static inline uint64_t pages_of(unsigned page_shift)
{
    return bit(SHIFT_1G - page_shift);
}

/*
 * The page after `page` in an order that visits each of the 2^n pages once: a linear congruential generator of full
 * period (increment odd, multiplier 1 mod 4; Knuth 2, 3.2.1.2), its high half mixed into the low one, whose own period
 * is short.
 */
static inline uint64_t next_state(uint64_t state, uint64_t pages)
{
    return (state * 0x2f475 + 0x1c3b7) % pages;
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
    facts->batch = pages_of(table->format->granule_shift);
    facts->leaves = 1;
    facts->mapped_bytes = 0;
    return lookup;
}

/* The first `count` pages of an order. */
static inline __attribute__((always_inline)) void look_up(struct lookup *lookup, uint64_t count, bool is_random,
                                                          unsigned page_shift)
{
    const struct pt *pt = &lookup->table->pt;
    const uint64_t start = bench_table_iova(lookup->table, 0).value + OFFSET;
    uint64_t sum = 0;
    uint64_t found = 0;
    uint64_t state = 0;

    for (uint64_t i = 0; i < count; i++) {
        const uint64_t page = is_random ? page_of(state) : i;
        hpa_t target = { 0 };

        found += pt_iova_to_phys(pt, iova(start + (page << page_shift)), &target);
        sum += target.value;
        state = next_state(state, pages_of(page_shift));
    }
    lookup->sum = sum;
    lookup->found = found;
}

/* One loop a page size, so that its shift and mask are constants, as in a caller that knows its table. */
#define DEFINE_LOOK_UP(page_shift)                                                                                     \
    static __attribute__((noinline)) void look_up_##page_shift(struct lookup *lookup, uint64_t count)                  \
    {                                                                                                                  \
        if (lookup->is_random)                                                                                         \
            look_up(lookup, count, true, page_shift);                                                                  \
        else                                                                                                           \
            look_up(lookup, count, false, page_shift);                                                                 \
    }

DEFINE_LOOK_UP(11)
DEFINE_LOOK_UP(12)
DEFINE_LOOK_UP(14)
DEFINE_LOOK_UP(16)

static void run(void *work, uint64_t count)
{
    struct lookup *lookup = work;

    switch (lookup->table->format->granule_shift) {
    case 11: look_up_11(lookup, count); break;
    case 12: look_up_12(lookup, count); break;
    case 14: look_up_14(lookup, count); break;
    case 16: look_up_16(lookup, count); break;
    default: CHECK(!"a granule without a loop");
    }
}

/* Of the timed answers themselves: all were found, and their sum is that of all pages. Then the table. */
static bool verify(void *work, char *message)
{
    const struct lookup *lookup = work;
    const unsigned page_shift = lookup->table->format->granule_shift;
    const uint64_t pages = pages_of(page_shift);
    const uint64_t first = bench_table_target(lookup->table, 0).value + OFFSET;
    const uint64_t wanted = pages * first + (pages / 2 * (pages - 1) << page_shift);

    if (lookup->found != pages || lookup->sum != wanted) {
        snprintf(message, BENCH_MESSAGE_BYTES,
                 "%" PRIu64 " of %" PRIu64 " pages found, sum 0x%" PRIx64 ", wanted 0x%" PRIx64, lookup->found, pages,
                 lookup->sum, wanted);
        return false;
    }
    for (uint64_t page = 0; page < pages; page++) {
        hpa_t found = { 0 };

        pt_iova_to_phys(&lookup->table->pt, iova(bench_table_iova(lookup->table, 0).value + (page << page_shift)),
                        &found);
        if (found.value == first - OFFSET + (page << page_shift)) continue;
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

static const struct bench_family lookups = { set_up, run, NULL, verify, NULL, tear_down, NULL, NULL };

static void add(struct bench_list *list, const struct engine *engine, const struct lookup_shape *shape)
{
    const struct bench_format *format = bench_format_find(engine->format);
    char size[SHAPE_NAME_BYTES];
    struct table_shape fitted;
    struct bench_case *bench;

    CHECK(format != NULL);
    if (!bench_shape_fit(format, &shape->mapping, &fitted)) return;
    bench =
        bench_list_add(list, "lookup/%s/%s_1GiB_of_%s/%s", engine->format, shape->is_random ? "random" : "sequential",
                       bench_size_name(fitted.skew_shift, size), bench_state_name(engine, false));
    bench->family = &lookups;
    bench->engine = engine;
    bench->shape = shape;
}

void bench_add_lookups(struct bench_list *list)
{
    const struct engine *engine;

    for (unsigned i = 0; (engine = bench_engine_at(i)); i++) {
        for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) add(list, engine, &shapes[k]);
    }
}
