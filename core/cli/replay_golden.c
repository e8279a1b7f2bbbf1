/*
 * mapproof-replay --golden: the reports around golden_run_file.
 */
#include "cli/plugin_guard.h"
#include "cli/replay.h"

#include <stdio.h>

static void print_difference(void *context, const struct golden_difference *difference)
{
    const struct replay *replay = context;

    replay_print(replay, "%s:%llu: case \"%s\" differs\n", difference->path, (unsigned long long)difference->line,
                 difference->case_name);
    replay_print(replay, "  golden: %s\n", difference->golden);
    replay_print(replay, "  engine: %s\n", difference->engine);
}

static void print_skipped(void *context, const char *path, const char *format, uint64_t count)
{
    const struct replay *replay = context;
    const struct replay_options *options = &replay->options;
    const char *engine = options->engine ? options->engine->name : NULL;

    if (options->plugin) engine = plugin_path(options->plugin);
    replay_print(replay, "%s: %llu cases of format %s skipped: %s%s\n", path, (unsigned long long)count, format,
                 engine ? "engine is " : "it is not built", engine ? engine : "");
}

enum replay_status replay_golden(struct replay *replay, const char *path)
{
    struct golden_totals totals = { 0 };
    struct golden_run run = {
        .engine = replay->options.engine,
        .plugin = replay->options.plugin,
        .difference = print_difference,
        .skipped = print_skipped,
        .context = replay,
    };
    const char *complaint = NULL;
    int result;

    if (run.plugin) plugin_forget(replay->options.plugin);
    plugin_guard_place(path);
    result = golden_run_file(&run, path, &totals);
    plugin_guard_place(NULL);
    if (run.plugin) complaint = plugin_complaint(run.plugin);
    if (result < 0) replay_error("%s", run.message);
    replay_print(replay, "%s: %llu passed, %llu failed, %llu skipped\n", path, (unsigned long long)totals.passed,
                 (unsigned long long)totals.failed, (unsigned long long)totals.skipped);
    if (replay->json) {
        json_object_set_new(replay->json, "passed", json_integer((json_int_t)totals.passed));
        json_object_set_new(replay->json, "failed", json_integer((json_int_t)totals.failed));
        json_object_set_new(replay->json, "skipped", json_integer((json_int_t)totals.skipped));
    }
    replay->golden.passed += totals.passed;
    replay->golden.failed += totals.failed;
    replay->golden.skipped += totals.skipped;
    if (result < 0) return REPLAY_BAD;
    if (complaint) replay_print(replay, "%s: plugin %s\n", path, complaint);
    return totals.failed > 0 || complaint ? REPLAY_DIFFERS : REPLAY_OK;
}
