#include "bench_options.h"

#include "base/check.h"
#include "pt/pt_plugin_host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT = 60 };

enum value_kind { VALUE_BOOL, VALUE_NUMBER, VALUE_COUNT, VALUE_TEXT, VALUE_FORMAT, VALUE_JSON, VALUE_UNIT };

/* Flags of Google Benchmark 1.7.1. Left out: benchmark_perf_counters, which Debian's build accepts and ignores. */
static const struct google_flag {
    const char *name;
    enum value_kind kind;
} google_flags[] = {
    { "benchmark_min_time", VALUE_NUMBER },
    { "benchmark_min_warmup_time", VALUE_NUMBER },
    { "benchmark_repetitions", VALUE_COUNT },
    { "benchmark_enable_random_interleaving", VALUE_BOOL },
    { "benchmark_report_aggregates_only", VALUE_BOOL },
    { "benchmark_display_aggregates_only", VALUE_BOOL },
    { "benchmark_format", VALUE_FORMAT },
    { "benchmark_out_format", VALUE_JSON },
    { "benchmark_color", VALUE_TEXT },
    { "benchmark_counters_tabular", VALUE_BOOL },
    { "benchmark_context", VALUE_TEXT },
    { "benchmark_time_unit", VALUE_UNIT },
    { "v", VALUE_COUNT },
};

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++) {
        if (strcmp(text, *words) == 0) return true;
    }
    return false;
}

static bool is_count(const char *text)
{
    char *end;

    errno = 0;
    return text[0] >= '0' && text[0] <= '9' && strtoul(text, &end, 10) <= INT32_MAX && *end == '\0' && errno == 0;
}

static bool is_number(const char *text)
{
    char *end;
    const double value = strtod(text, &end);

    return end != text && *end == '\0' && value >= 0 && value < 1e6;
}

/* NULL: the value is fine; else what was expected. */
static const char *value_expected(enum value_kind kind, const char *value)
{
    static const char *const bools[] = { "true", "false", "yes", "no", "on", "off", "1", "0", NULL };
    static const char *const formats[] = { "console", "json", NULL };
    static const char *const units[] = { "ns", "us", "ms", "s", NULL };

    switch (kind) {
    case VALUE_BOOL: return !*value || is_one_of(value, bools) ? NULL : "true or false";
    case VALUE_NUMBER: return is_number(value) ? NULL : "a number of seconds without unit";
    case VALUE_COUNT: return is_count(value) ? NULL : "a whole number";
    case VALUE_TEXT: return *value ? NULL : "a value";
    case VALUE_FORMAT: return is_one_of(value, formats) ? NULL : "console or json";
    case VALUE_JSON: return strcmp(value, "json") == 0 ? NULL : "json";
    case VALUE_UNIT: return is_one_of(value, units) ? NULL : "ns, us, ms or s";
    }
    return "nothing";
}

/* If argument is `--name` or `--name=value`: its value, "" where there is none. Else NULL. */
static const char *value_of(const char *argument, const char *name)
{
    const size_t length = strlen(name);

    if (strncmp(argument, "--", 2) != 0 || strncmp(argument + 2, name, length) != 0) return NULL;
    if (argument[2 + length] == '\0') return "";
    return argument[2 + length] == '=' ? argument + 3 + length : NULL;
}

static bool take_google_flag(struct bench_options *options, char *argument, const char *program)
{
    for (size_t i = 0; i < sizeof(google_flags) / sizeof(google_flags[0]); i++) {
        const char *value = value_of(argument, google_flags[i].name);
        const char *expected;

        if (!value) continue;
        expected = value_expected(google_flags[i].kind, value);
        if (expected) {
            fprintf(stderr, "%s: %s: expected %s\n", program, argument, expected);
            return false;
        }
        options->google_arguments[options->google_count++] = argument;
        return true;
    }
    fprintf(stderr, "%s: unknown argument '%s' (see --help)\n", program, argument);
    return false;
}

static bool set_count(struct bench_options *options, const char *number, const char *name, const char *program)
{
    char *end;

    errno = 0;
    options->count = number ? strtoull(number, &end, 10) : 0;
    if (!number || number[0] < '0' || number[0] > '9' || *end != '\0' || errno != 0 || options->count == 0) {
        fprintf(stderr, "%s: --count: expected a number of operations, at least 1\n", program);
        return false;
    }
    if (!name || name[0] == '-') {
        fprintf(stderr, "%s: --count: expected the name of a case after the number\n", program);
        return false;
    }
    options->count_case = name;
    options->mode = BENCH_COUNT;
    return true;
}

/* One of them is given. */
static bool set_engine(struct bench_options *options, const char *engine, const char *timeout, const char *program)
{
    if (engine) options->engine = engine;
    if (timeout) options->timeout = (unsigned)strtoul(timeout, NULL, 10);
    if (engine && strcmp(engine, "general") != 0 && strcmp(engine, "vector") != 0 && !plugin_is_path(engine)) {
        fprintf(stderr, "%s: --engine: expected general, vector or FILE.so\n", program);
        return false;
    }
    if (timeout && !is_count(timeout)) {
        fprintf(stderr, "%s: --timeout: expected a whole number of seconds\n", program);
        return false;
    }
    return true;
}

static void set_filter(struct bench_options *options, const char *filter)
{
    options->filter_excludes = filter[0] == '-';
    options->filter = options->filter_excludes ? filter + 1 : filter;
    if (!*options->filter || strcmp(options->filter, "all") == 0) options->filter = NULL;
}

/* Our own flags, and those of Google Benchmark that we do ourselves. 1: taken, 0: not one of them, -1: bad. */
static int take_own_flag(struct bench_options *options, const char *argument, const char *program)
{
    const char *value;

    if (strcmp(argument, "--list") == 0) {
        options->mode = BENCH_LIST;
    } else if ((value = value_of(argument, "benchmark_list_tests"))) {
        if (value_expected(VALUE_BOOL, value)) {
            fprintf(stderr, "%s: %s: expected true or false\n", program, argument);
            return -1;
        }
        if (!*value || strchr("ty1o", value[0])) options->mode = strcmp(value, "off") == 0 ? BENCH_RUN : BENCH_LIST;
    } else if ((value = value_of(argument, "outcomes"))) {
        options->mode = BENCH_OUTCOMES;
        options->traffic = value;
    } else if (strcmp(argument, "--help") == 0) {
        options->mode = BENCH_HELP;
    } else if ((value = value_of(argument, "benchmark_filter"))) {
        set_filter(options, value);
    } else if ((value = value_of(argument, "benchmark_out")) && *value) {
        options->out = value;
    } else {
        return 0;
    }
    return 1;
}

bool bench_options_parse(struct bench_options *options, int argc, char **argv)
{
    *options = (struct bench_options){ .mode = BENCH_RUN, .timeout = TIMEOUT };
    options->google_arguments = calloc((size_t)argc + 4, sizeof(char *));
    CHECK(options->google_arguments != NULL);
    options->google_arguments[options->google_count++] = argv[0];
    for (int i = 1; i < argc; i++) {
        const char *number = value_of(argv[i], "count");
        const char *engine = value_of(argv[i], "engine");
        const char *timeout = value_of(argv[i], "timeout");
        int taken;

        if ((engine && !*engine) || (timeout && !*timeout)) { /* the value stands apart */
            const char *next = i + 1 < argc ? argv[++i] : "";

            *(engine ? &engine : &timeout) = next;
        }
        if (engine || timeout) {
            if (!set_engine(options, engine, timeout, argv[0])) return false;
            continue;
        }

        if (number) {
            const bool is_apart = !*number;

            if (is_apart) number = i + 1 < argc ? argv[++i] : NULL;
            if (!set_count(options, number, i + 1 < argc ? argv[i + 1] : NULL, argv[0])) return false;
            i++;
            continue;
        }
        taken = take_own_flag(options, argv[i], argv[0]);
        if (taken < 0) return false;
        if (taken == 0 && !take_google_flag(options, argv[i], argv[0])) return false;
    }
    return true;
}

void bench_options_free(struct bench_options *options)
{
    free(options->google_arguments);
    options->google_arguments = NULL;
}

void bench_options_help(const char *program)
{
    printf("usage: %s [--list] [--benchmark_filter=REGEX] [Google Benchmark flag]...\n"
           "       %s --count N CASE\n"
           "       %s --outcomes[=TRAFFIC]\n"
           "\n"
           "  --list                     names of the cases, one a line (also --benchmark_list_tests)\n"
           "  --count N CASE             exactly N operations of one case without Google Benchmark, for callgrind\n"
           "  --outcomes[=TRAFFIC]       what page sizes do to an IOTLB, as tables: counted, not timed; of all "
           "traffic, or\n"
           "                             of sequential, random, strided or trace\n"
           "  --engine general|vector|FILE.so\n"
           "                             one build of the engine, or one from outside (core/pt/pt_plugin.h), under the "
           "names\n"
           "                             of the general build\n"
           "  --timeout SECONDS          what one call of an engine from outside may take (60; 0: any time)\n"
           "  --benchmark_filter=REGEX   cases whose name matches; -REGEX: whose name does not\n"
           "  --benchmark_out=FILE       JSON, written whole or not at all\n"
           "\n"
           "Handed on to Google Benchmark:\n",
           program, program, program);
    for (size_t i = 0; i < sizeof(google_flags) / sizeof(google_flags[0]); i++)
        printf("  --%s\n", google_flags[i].name);
    printf("\nExit code: 0 measured, 1 a case failed its verification, 2 could not run. See bench/README.md.\n");
}
