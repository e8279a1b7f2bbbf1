/* mapproof-bench: choose cases by name, then measure them, count them or list them. */
#include "bench.h"
#include "bench_options.h"
#include "bench_table.h"

#include "base/check.h"
#include "cli/plugin_guard.h"

#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

enum { PATH_BYTES = 4096 };

/* Cases that the filter lets through, in order. */
struct selection {
    const struct bench_case **cases;
    size_t count;
};

static bool select_cases(struct selection *selection, const struct bench_list *list,
                         const struct bench_options *options)
{
    regex_t regex;
    const int error = regcomp(&regex, options->filter ? options->filter : "", REG_EXTENDED | REG_NOSUB);

    if (error) {
        char text[128];

        regerror(error, &regex, text, sizeof(text));
        fprintf(stderr, "mapproof-bench: --benchmark_filter=%s: %s\n", options->filter, text);
        return false;
    }
    selection->count = 0;
    selection->cases = calloc(list->count, sizeof(selection->cases[0]));
    CHECK(selection->cases != NULL);
    for (size_t i = 0; i < list->count; i++) {
        const bool matches = regexec(&regex, list->cases[i].name, 0, NULL, 0) == 0;

        if (matches != options->filter_excludes) selection->cases[selection->count++] = &list->cases[i];
    }
    regfree(&regex);
    if (selection->count == 0) {
        fprintf(stderr, "mapproof-bench: no case matches '%s' (see --list)\n", options->filter ? options->filter : "");
        free(selection->cases);
        return false;
    }
    return true;
}

static int count_case(const struct bench_list *list, const struct bench_options *options)
{
    char message[BENCH_MESSAGE_BYTES] = "";
    const struct bench_case *bench = NULL;
    struct bench_session *session;
    bool is_right;

    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->cases[i].name, options->count_case) == 0) bench = &list->cases[i];
    }
    if (!bench) {
        fprintf(stderr, "mapproof-bench: no case is named '%s' (see --list)\n", options->count_case);
        return BENCH_CANNOT_RUN;
    }
    plugin_guard_place(bench->name);
    session = bench_session_open(bench, message);
    if (!session) {
        fprintf(stderr, "mapproof-bench: %s: %s\n", bench->name, message);
        return BENCH_WRONG;
    }
    bench_session_count(session, options->count);
    is_right = bench_session_verify(session, message);
    bench_session_close(session);
    if (!is_right) {
        fprintf(stderr, "mapproof-bench: %s: %s\n", bench->name, message);
        return BENCH_WRONG;
    }
    printf("count: %s %" PRIu64 " ops\n", bench->name, options->count);
    return BENCH_OK;
}

/* Debian's library calls itself a debug build, whatever ours is; these keys tell what was measured. */
static void add_context(void)
{
    char text[1024];
    size_t used = 0;
    const struct engine *engine;

    bench_google_context("mapproof_build_type", MAPPROOF_BUILD_TYPE);
    bench_google_context("mapproof_compiler", COMPILER);
    bench_google_context("mapproof_flags", MAPPROOF_BUILD_FLAGS);
    text[0] = '\0';
    for (unsigned i = 0; (engine = bench_engine_at(i)); i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? " " : "", engine->name);
        CHECK(used < sizeof(text));
    }
    bench_google_context("mapproof_engines", text);
    bench_google_context("cpu_time_is", "CPU time of the timed sections, per operation; real_time repeats it");
    snprintf(text, sizeof(text), "%.1f", bench_section_overhead_ns());
    bench_google_context("timer_section_ns", text);
}

/* Google Benchmark writes to `part`; only a whole file takes the place of options->out. */
static bool open_part(const struct bench_options *options, char *part)
{
    FILE *file;

    if ((size_t)snprintf(part, PATH_BYTES, "%s.part", options->out) >= PATH_BYTES) {
        fprintf(stderr, "mapproof-bench: --benchmark_out: the path is too long\n");
        return false;
    }
    file = fopen(part, "w");
    if (!file) {
        fprintf(stderr, "mapproof-bench: %s: %s\n", options->out, strerror(errno));
        return false;
    }
    fclose(file);
    return true;
}

static int run_cases(const struct selection *selection, const struct bench_options *options)
{
    char part[PATH_BYTES] = "";
    char out_flag[PATH_BYTES + 32];
    char filter_flag[] = "--benchmark_filter=all"; /* over BENCHMARK_FILTER: the choice is made */
    char format_flag[] = "--benchmark_out_format=json";
    struct bench_google_options google = { options->google_count, options->google_arguments, options->out != NULL };
    int result;

    if (options->out) {
        if (!open_part(options, part)) return BENCH_CANNOT_RUN;
        snprintf(out_flag, sizeof(out_flag), "--benchmark_out=%s", part);
        google.argv[google.argc++] = out_flag;
        google.argv[google.argc++] = format_flag;
    }
    google.argv[google.argc++] = filter_flag;
    add_context();
    result = bench_google_run(selection->cases, selection->count, &google);
    if (!options->out) return result;
    if (result != BENCH_CANNOT_RUN && rename(part, options->out) != 0) {
        fprintf(stderr, "mapproof-bench: %s: %s\n", options->out, strerror(errno));
        result = BENCH_CANNOT_RUN;
    }
    if (result == BENCH_CANNOT_RUN) remove(part);
    return result;
}

static int main_with(const struct bench_list *list, const struct bench_options *options)
{
    struct selection selection;
    int result = BENCH_OK;

    if (options->mode == BENCH_COUNT) return count_case(list, options);
    if (options->mode == BENCH_OUTCOMES) return bench_print_outcomes(options->traffic);
    if (!select_cases(&selection, list, options)) return BENCH_CANNOT_RUN;
    if (options->mode == BENCH_LIST) {
        for (size_t i = 0; i < selection.count; i++) puts(selection.cases[i]->name);
    } else {
        result = run_cases(&selection, options);
    }
    free(selection.cases);
    return result;
}

/* --engine. False: a message stands on stderr. */
static bool choose_engine(const struct bench_options *options, struct plugin **plugin)
{
    char message[PLUGIN_MESSAGE_BYTES];
    const bool is_vector = options->engine && strcmp(options->engine, "vector") == 0;

    if (!options->engine) return true;
    if (!plugin_is_path(options->engine)) {
        bench_choose_engines(NULL, is_vector ? BENCH_VECTOR : BENCH_GENERAL);
        return true;
    }
    *plugin = plugin_open(options->engine, message);
    if (!*plugin) {
        fprintf(stderr, "mapproof-bench: %s\n", message);
        return false;
    }
    bench_choose_engines(*plugin, BENCH_ALL);
    plugin_guard("mapproof-bench", *plugin, options->timeout, BENCH_WRONG);
    return true;
}

/* What a plugin did wrong beside the cases' own verification (a leak shows when its last table goes). */
static int close_plugin(struct plugin *plugin, int result)
{
    if (plugin && plugin_complaint(plugin)) {
        fprintf(stderr, "mapproof-bench: plugin %s\n", plugin_complaint(plugin));
        if (result == BENCH_OK) result = BENCH_WRONG;
    }
    plugin_guard_end();
    plugin_close(plugin);
    return result;
}

int main(int argc, char **argv)
{
    struct bench_options options;
    struct plugin *plugin = NULL;
    struct bench_list list;
    int result = BENCH_CANNOT_RUN;

    if (bench_options_parse(&options, argc, argv)) {
        if (options.mode == BENCH_HELP) {
            bench_options_help(argv[0]);
            result = BENCH_OK;
        } else if (choose_engine(&options, &plugin)) {
            bench_list_all(&list);
            result = main_with(&list, &options);
            bench_list_free(&list);
            result = close_plugin(plugin, result);
        }
    }
    bench_options_free(&options);
    return result;
}
