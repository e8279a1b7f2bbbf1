/* The concurrency contract of formats.md 2.11 with real threads; run under TSan too (preset tsan). */
#include "base/test_main.h"
#include "pt/pt_fixture.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 300 };

struct worker {
    struct fixture *f;
    unsigned number;
    unsigned failures;
};

/* Disjoint 2M pieces that share every interior table, mapped and unmapped over and over. */
static void *map_and_unmap(void *argument)
{
    struct worker *worker = argument;
    struct pt *pt = &worker->f->pt;

    for (unsigned round = 0; round < ROUNDS; round++) {
        const uint64_t va = ((uint64_t)round * THREADS + worker->number) << 21;
        struct pt_gather gather = pt_gather_empty();
        uint64_t mapped;
        hpa_t result;

        worker->failures += pt_map_range(pt, iova(va), hpa(0x1000), 0x200000, PT_READ, &mapped) != 0;
        worker->failures += !pt_iova_to_phys(pt, iova(va + 0x1fffff), &result) || result.value != 0x200fff;
        if (round % 2) worker->failures += pt_unmap_range(pt, iova(va), 0x200000, &gather) != 0x200000;
        pt_gather_sync(pt, &gather);
    }
    return NULL;
}

/* Each thread needs a higher top than the one before: growth races with growth and with maps below. */
static void *map_far_away(void *argument)
{
    struct worker *worker = argument;

    for (unsigned bits = 30; bits < 64; bits++) {
        const uint64_t va = bit(bits) + ((uint64_t)worker->number << 12);
        uint64_t mapped;
        hpa_t result;

        worker->failures += pt_map_range(&worker->f->pt, iova(va), hpa(va & 0xffff000), 0x1000, PT_READ, &mapped) != 0;
        worker->failures += !pt_iova_to_phys(&worker->f->pt, iova(va), &result) || result.value != (va & 0xffff000);
    }
    return NULL;
}

static void run(struct fixture *f, void *(*body)(void *argument))
{
    struct worker workers[THREADS];
    pthread_t threads[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){ f, i, 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, body, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].failures, 0);
    }
}

static void disjoint_maps_share_tables_without_harm(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    f.hooks.sync = NULL; /* the fixture's counters are not for several threads */
    run(&f, map_and_unmap);
    assert_int_equal(fixture_check(&f), 0);
    for (uint64_t piece = 0; piece < THREADS * ROUNDS; piece++) {
        hpa_t result;

        assert_int_equal(pt_iova_to_phys(&f.pt, iova(piece << 21), &result), piece / THREADS % 2 == 0);
    }
    fixture_close(&f);
}

static void growing_tops_race_without_harm(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "amdv1");
    f.hooks.sync = NULL;
    run(&f, map_far_away);
    assert_int_equal(fixture_check(&f), 0);
    assert_int_equal(f.top_level, 5);
    assert_in_range(f.tops, 1, 3);
    fixture_close(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disjoint_maps_share_tables_without_harm),
        cmocka_unit_test(growing_tops_race_without_harm),
    };

    return TEST_MAIN(tests, argc, argv);
}
