/* One case being run: its parts in order, and the clocks of bench.h. */
#include "bench.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT ((void)0)
#endif

#define LONG_SECONDS 30e-6 /* of one run: the clock's 240 ns are below 1 % of it */
#define PREEMPTED_SECONDS                                                                                              \
    200e-6 /* longer than any short run and its interrupts, shorter than another thread's turn                         \
            */

struct bench_session {
    const struct bench_case *bench;
    void *work;
    struct bench_facts facts;
    bool has_long_runs;       /* timed by the thread's CPU clock, else by ticks */
    uint64_t rounds;          /* timed so far */
    uint64_t rounds_kept;     /* those whose ticks count */
    uint64_t ticks_in_runs;   /* of these */
    uint64_t ticks_dropped;   /* of the others */
    uint64_t ticks_at_start;  /* of the loop */
    double clock_at_start;    /* of the loop: CLOCK_MONOTONIC */
    double cpu_in_runs;       /* seconds, where has_long_runs */
    uint64_t ticks_preempted; /* a short section that takes so long was preempted */
};

#if defined(__x86_64__)
#include <x86intrin.h>

/* The fences keep the section's work inside and everybody else's outside. */
static inline uint64_t ticks_open(void)
{
    uint64_t ticks;

    _mm_lfence();
    ticks = __rdtsc();
    _mm_lfence();
    return ticks;
}

static inline uint64_t ticks_close(void)
{
    unsigned processor;
    const uint64_t ticks = __rdtscp(&processor);

    _mm_lfence();
    return ticks;
}
#else
static inline uint64_t ticks_open(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t ticks_close(void)
{
    return ticks_open();
}
#endif

static double seconds_of(clockid_t clock)
{
    struct timespec now;

    CHECK(clock_gettime(clock, &now) == 0);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

struct bench_session *bench_session_open(const struct bench_case *bench, char *message)
{
    struct bench_session *session = calloc(1, sizeof(*session));

    CHECK(session != NULL);
    session->bench = bench;
    session->work = bench->family->set_up(bench, &session->facts, message);
    if (!session->work) {
        free(session);
        return NULL;
    }
    CHECK(session->facts.batch > 0);
    return session;
}

void bench_session_close(struct bench_session *session)
{
    session->bench->family->tear_down(session->work);
    free(session);
}

const struct bench_facts *bench_session_facts(const struct bench_session *session)
{
    return &session->facts;
}

static void reset(struct bench_session *session)
{
    if (session->bench->family->reset) session->bench->family->reset(session->work);
}

/* CPU seconds of one batch, wherever the thread was preempted. */
static double run_by_clock(struct bench_session *session)
{
    const double started = seconds_of(CLOCK_THREAD_CPUTIME_ID);

    session->bench->family->run(session->work, session->facts.batch);
    return seconds_of(CLOCK_THREAD_CPUTIME_ID) - started;
}

/* Ticks of PREEMPTED_SECONDS. The least of a few tries: a turn of another thread between the two clocks makes it more.
 */
static uint64_t count_preempted_ticks(void)
{
    enum { TRIES = 3 };
    double least = 1e18;

    for (unsigned try = 0; try < TRIES; try++) {
        const double started = seconds_of(CLOCK_MONOTONIC);
        const uint64_t opened = ticks_open();
        double seconds = 0;
        double ticks;

        while (seconds < PREEMPTED_SECONDS / 4) seconds = seconds_of(CLOCK_MONOTONIC) - started;
        ticks = (double)(ticks_close() - opened) * PREEMPTED_SECONDS / seconds;
        if (ticks < least) least = ticks;
    }
    return (uint64_t)least;
}

void bench_session_start(struct bench_session *session)
{
    session->has_long_runs = run_by_clock(session) >= LONG_SECONDS;
    reset(session);
    session->rounds = 0;
    session->rounds_kept = 0;
    session->ticks_in_runs = 0;
    session->ticks_dropped = 0;
    session->cpu_in_runs = 0;
    session->ticks_preempted = count_preempted_ticks();
    session->clock_at_start = seconds_of(CLOCK_MONOTONIC);
    session->ticks_at_start = ticks_open();
}

double bench_session_stop(struct bench_session *session)
{
    const uint64_t ticks = ticks_close() - session->ticks_at_start;
    const double seconds_per_tick = (seconds_of(CLOCK_MONOTONIC) - session->clock_at_start) / (double)ticks;

    if (session->has_long_runs) return session->cpu_in_runs;
    if (session->rounds_kept == 0) return seconds_per_tick * (double)session->ticks_dropped;
    return seconds_per_tick * (double)session->ticks_in_runs * (double)session->rounds / (double)session->rounds_kept;
}

void bench_session_round(struct bench_session *session)
{
    uint64_t ticks;

    session->rounds++;
    if (session->has_long_runs) {
        session->cpu_in_runs += run_by_clock(session);
    } else {
        ticks = ticks_open();
        session->bench->family->run(session->work, session->facts.batch);
        ticks = ticks_close() - ticks;
        if (ticks < session->ticks_preempted) {
            session->ticks_in_runs += ticks;
            session->rounds_kept++;
        } else {
            session->ticks_dropped += ticks;
        }
    }
    reset(session);
}

void bench_session_count(struct bench_session *session, uint64_t count)
{
    while (count > 0) {
        const uint64_t part = count < session->facts.batch ? count : session->facts.batch;

        CALLGRIND_TOGGLE_COLLECT;
        session->bench->family->run(session->work, part);
        CALLGRIND_TOGGLE_COLLECT;
        reset(session);
        count -= part;
    }
}

bool bench_session_verify(struct bench_session *session, char *message)
{
    const struct bench_family *family = session->bench->family;
    const char *self_test = getenv("MAPPROOF_BENCH_SELF_TEST");
    bool is_right;

    family->run(session->work, session->facts.batch);
    if (family->spoil && self_test && strcmp(self_test, "spoil") == 0) family->spoil(session->work);
    is_right = family->verify(session->work, message);
    reset(session);
    return is_right && (!family->settle || family->settle(session->work, message));
}

bool bench_session_describe(struct bench_session *session, char *message)
{
    const struct bench_family *family = session->bench->family;

    return !family->describe || family->describe(session->work, &session->facts, message);
}

double bench_section_overhead_ns(void)
{
    enum { SECTIONS = 20000 };
    uint64_t ticks = 0;
    const double started = seconds_of(CLOCK_MONOTONIC);
    const uint64_t opened = ticks_open();

    for (unsigned i = 0; i < SECTIONS; i++) {
        const uint64_t section = ticks_open();

        ticks += ticks_close() - section;
    }
    const uint64_t all = ticks_close() - opened;
    const double seconds = seconds_of(CLOCK_MONOTONIC) - started;

    return 1e9 * seconds * (double)ticks / (double)all / SECTIONS;
}
