/*
 * The command line of mapproof-bench: Google Benchmark's flags and our own, every one checked before Google Benchmark
 * sees it (which exits 0 after a flag or a value that it does not understand).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum bench_mode { BENCH_RUN, BENCH_LIST, BENCH_COUNT, BENCH_OUTCOMES, BENCH_HELP };

struct bench_options {
    enum bench_mode mode;
    const char *filter;      /* extended regular expression, searched; NULL: every case */
    bool filter_excludes;    /* the filter began with '-' */
    const char *count_case;  /* BENCH_COUNT: exact name */
    uint64_t count;          /* BENCH_COUNT: operations, at least 1 */
    const char *traffic;     /* BENCH_OUTCOMES: only this, or "" */
    const char *out;         /* --benchmark_out, or NULL */
    const char *engine;      /* --engine: general, vector, or a path of a plugin; NULL: all rows of this build */
    unsigned timeout;        /* --timeout: seconds that a call of a plugin may take, 0 = any time */
    char **google_arguments; /* what Google Benchmark gets: program name first, filter and out left out */
    int google_count;
};

/* False: a message stands on stderr. Points into argv and into one allocation that bench_options_free returns. */
bool bench_options_parse(struct bench_options *options, int argc, char **argv);
void bench_options_free(struct bench_options *options);
void bench_options_help(const char *program);
