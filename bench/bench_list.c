/* The cases of this build, in the order of the report. */
#include "bench.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bench_case *bench_list_add(struct bench_list *list, const char *name, ...)
{
    struct bench_case *bench;
    va_list arguments;
    int length;

    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 64;
        list->cases = realloc(list->cases, list->capacity * sizeof(*list->cases));
        CHECK(list->cases != NULL);
    }
    bench = &list->cases[list->count++];
    *bench = (struct bench_case){ .name = "" };
    va_start(arguments, name);
    length = vsnprintf(bench->name, sizeof(bench->name), name, arguments);
    va_end(arguments);
    CHECK(length > 0);
    CHECK((size_t)length < sizeof(bench->name));
    return bench;
}

void bench_facts_add(struct bench_facts *facts, const char *name, double value)
{
    CHECK(facts->counter_count < BENCH_COUNTERS_MAX);
    facts->counters[facts->counter_count++] = (struct bench_counter){ name, value };
}

void bench_list_all(struct bench_list *list)
{
    const char *self_test = getenv("MAPPROOF_BENCH_SELF_TEST");

    *list = (struct bench_list){ 0 };
    bench_add_maps(list);
    bench_add_unmaps(list);
    bench_add_batches(list);
    bench_add_incoherents(list);
    bench_add_growths(list);
    bench_add_lookups(list);
    bench_add_dirties(list);
    bench_add_resizes(list);
    bench_add_layouts(list);
    bench_add_replays(list);
    bench_add_scales(list);
    bench_add_limits(list);
    bench_add_translates(list);
    bench_add_iotlbs(list);
    if (self_test && strcmp(self_test, "1") == 0) bench_add_self_tests(list);
}

void bench_list_free(struct bench_list *list)
{
    free(list->cases);
    *list = (struct bench_list){ 0 };
}
