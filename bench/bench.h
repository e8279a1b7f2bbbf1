/*
 * Benchmarks: what a case is, and how it is run.
 *
 * A case is split into parts, so that Google Benchmark (bench_shim.cc) and `--count` (bench_main.c) run the same body:
 *
 *   set_up   everything that must exist before; ends in the state that `run` expects
 *   run      `count` operations, 1 <= count <= batch: the only part that is timed or counted
 *   reset    undo what the last run did, untimed; NULL where a run leaves nothing behind
 *   verify   after a run of a whole batch, before its reset: is the result right?
 *   settle   after the last reset: is the state what set_up left? (warm: the same tables)
 *
 * Timing. cpu_time is the figure: CPU time of the `run` sections alone, per operation. Three ways to leave out the
 * resets were measured (2.3 GHz Sapphire Rapids under KVM; a batch of 256-leaf maps that stays in the first-level cache
 * takes about 1000 ns):
 *
 *   PauseTiming/ResumeTiming      +290 ns a section: two system calls for the thread's CPU clock
 *   CLOCK_THREAD_CPUTIME_ID       +230..245 ns a section, the same call once
 *   fenced time stamp counter      +20 ns a section (16 at best): chosen
 *
 * The counter runs on while the thread is preempted, which a short section hardly ever is: one that took 200 us instead
 * of less than 30 is left out, and the others stand for it. Where a run takes 30 us or more of CPU time (asked of the
 * thread's CPU clock by one run before the loop), that clock times every run. So a busy machine makes figures worse by
 * its caches only. (The CPU time of the whole loop times the share of ticks, which was here before, was several times
 * too low when a short loop was preempted in a reset.) Nothing is subtracted: a section's 20 ns are in the figure
 * (context key timer_section_ns), so batches are made long enough that they are below 3 % of it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    BENCH_NAME_BYTES = 64,
    BENCH_MESSAGE_BYTES = 512,
    BENCH_COUNTERS_MAX = 16,
};

enum { BENCH_OK = 0, BENCH_WRONG = 1, BENCH_CANNOT_RUN = 2 }; /* exit codes */

struct engine;
struct bench_case;

struct bench_counter {
    const char *name;
    double value;
};

/* What set_up finds out about a case. Zero: the counter is left out. */
struct bench_facts {
    uint64_t batch;       /* operations of one run, at least 1 */
    double leaves;        /* leaves that one operation makes, removes or finds (replay: on average) */
    double mapped_bytes;  /* bytes that one operation maps or unmaps */
    double stored_bytes;  /* limits: bytes that one operation stores */
    uint64_t table_bytes; /* all tables of one fresh mapping, the root included */
    const char *label;    /* shown beside the figure; NULL: nothing */
    struct bench_counter counters[BENCH_COUNTERS_MAX]; /* the family's own, shown even if zero */
    unsigned counter_count;
};

struct bench_family {
    /* NULL: cannot be run, *message says why. */
    void *(*set_up)(const struct bench_case *bench, struct bench_facts *facts, char *message);
    void (*run)(void *work, uint64_t count);
    void (*reset)(void *work);
    bool (*verify)(void *work, char *message); /* false: wrong, *message says what */
    bool (*settle)(void *work, char *message); /* NULL: nothing to check */
    void (*tear_down)(void *work);
    /* Counters that cost too much for set_up (--count has no use for them), between batches; NULL: none. False: wrong.
     */
    bool (*describe)(void *work, struct bench_facts *facts, char *message);
    /* After a run: make its result wrong, so that verify must say so. For the self-test
     * (MAPPROOF_BENCH_SELF_TEST=spoil, where a family without it counts as right). */
    void (*spoil)(void *work);
};

struct bench_case {
    char name[BENCH_NAME_BYTES]; /* as in bench.json: op/format/work/state, design.md 7 */
    const struct bench_family *family;
    const struct engine *engine; /* NULL: none (limits) */
    const void *shape;           /* the family's own parameters */
    bool is_cold;                /* tables come or go inside the operation */
    uint32_t features;           /* enum pt_feature, on top of those of the default configuration */
};

struct bench_list {
    struct bench_case *cases;
    size_t count;
    size_t capacity;
};

/* Append a case; the name is printf-like and must fit. */
struct bench_case *bench_list_add(struct bench_list *list, const char *name, ...) __attribute__((format(printf, 2, 3)));

/* Append a counter of the family's own. */
void bench_facts_add(struct bench_facts *facts, const char *name, double value);

/* Every case of this build that this CPU can run, in the order of the report. */
void bench_list_all(struct bench_list *list);
void bench_list_free(struct bench_list *list);

/* The families. */
void bench_add_maps(struct bench_list *list);
void bench_add_unmaps(struct bench_list *list);
void bench_add_batches(struct bench_list *list);
void bench_add_dirties(struct bench_list *list);
void bench_add_growths(struct bench_list *list);
void bench_add_incoherents(struct bench_list *list);
void bench_add_layouts(struct bench_list *list);
void bench_add_lookups(struct bench_list *list);
void bench_add_limits(struct bench_list *list);
void bench_add_replays(struct bench_list *list);
void bench_add_resizes(struct bench_list *list);
void bench_add_scales(struct bench_list *list);
void bench_add_translates(struct bench_list *list);
void bench_add_iotlbs(struct bench_list *list);
void bench_add_self_tests(
    struct bench_list *list); /* cases that fail on purpose; only with MAPPROOF_BENCH_SELF_TEST=1 */

/* ---- one case being run (bench_session.c) ---- */

struct bench_session;

/* NULL: *message (BENCH_MESSAGE_BYTES) says why. */
struct bench_session *bench_session_open(const struct bench_case *bench, char *message);
void bench_session_close(struct bench_session *session);
const struct bench_facts *bench_session_facts(const struct bench_session *session);

/* Start (which runs one batch, untimed) and stop the loop's clocks; the rounds between them are timed. Stop returns CPU
 * seconds of the run sections. */
void bench_session_start(struct bench_session *session);
double bench_session_stop(struct bench_session *session);
void bench_session_round(struct bench_session *session);

/* `count` operations with only the run sections visible to callgrind. */
void bench_session_count(struct bench_session *session, uint64_t count);

/* One more whole batch, untimed: verify, reset, settle. False: *message says what is wrong. */
bool bench_session_verify(struct bench_session *session, char *message);

/* The family's describe. Between start/stop and verify. */
bool bench_session_describe(struct bench_session *session, char *message);

/* What an empty run section costs, in nanoseconds: mean of many. */
double bench_section_overhead_ns(void);

/* ---- IOTLB outcomes as a table (bench_outcomes.c) ---- */

/* What `translate` and `iotlb` cases count, without timing, on standard output, the same bytes in every run. traffic:
 * of that traffic only; "": of all. BENCH_OK; BENCH_WRONG (a count differs from its prediction) and BENCH_CANNOT_RUN
 * (no such traffic) with a message on standard error. */
int bench_print_outcomes(const char *traffic);

/* ---- Google Benchmark (bench_shim.cc) ---- */

struct bench_google_options {
    int argc; /* flags for Google Benchmark, checked already */
    char **argv;
    bool has_out; /* argv holds --benchmark_out; the file gets JSON */
};

void bench_google_context(const char *key, const char *value);

/* Run the cases and report them. BENCH_OK, or BENCH_WRONG when a case reported an error. */
int bench_google_run(const struct bench_case *const *cases, size_t count, const struct bench_google_options *options);

#ifdef __cplusplus
}
#endif
