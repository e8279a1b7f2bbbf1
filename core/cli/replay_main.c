/*
 * mapproof-replay: run scripts, records, traces, layouts and golden files through engine, IOMMU model and oracle.
 */
#define _GNU_SOURCE /* sigaction */
#include "cli/option.h"
#include "cli/plugin_guard.h"
#include "cli/replay.h"

#include "import/input.h"

#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_BYTES = 256, TIMEOUT = 60, TIMEOUT_MAX = 86400 };

enum option_key {
    OPTION_FORMAT = 'f',
    OPTION_HW = 'w',
    OPTION_POLICY = 'p',
    OPTION_ENGINE = 'e',
    OPTION_GOLDEN = 'g',
    OPTION_RMP = 256,
    OPTION_CHECK,
    OPTION_ACCEPT,
    OPTION_OUTCOMES,
    OPTION_JSON,
    OPTION_KTAP,
    OPTION_EXPLAIN,
    OPTION_STRICT,
    OPTION_TIMEOUT,
};

static const struct argp_option argp_options[] = {
    { "golden", OPTION_GOLDEN, NULL, 0, "FILEs are golden files: compare every line with the engine", 1 },
    { "format", OPTION_FORMAT, "NAME", 0, "Table format instead of the input's (traces and layouts: amdv1)", 2 },
    { "hw", OPTION_HW, "NAME", 0, "Hardware variant instead of the input's", 2 },
    { "policy", OPTION_POLICY, "NAME", 0, "Host policy instead of the input's", 2 },
    { "engine", OPTION_ENGINE, "ROW|FILE.so", 0,
      "Engine instead of the format's own: a row, e.g. amdv1-vector, or one from outside (core/pt/pt_plugin.h)", 2 },
    { "timeout", OPTION_TIMEOUT, "SECONDS", 0, "What one call of an engine from outside may take (60; 0: any time)",
      2 },
    { "rmp", OPTION_RMP, "on|off", 0, "RMP instead of the input's (traces and layouts: off)", 2 },
    { "check", OPTION_CHECK, "all|end", 0, "Check everything after every op, or at the end (default)", 3 },
    { "strict", OPTION_STRICT, NULL, 0, "A finding (STALE, LOSES DMA, EXPANDS) makes the exit code 1", 3 },
    { "accept", OPTION_ACCEPT, NULL, 0, "Rewrite the expectations of text scripts that no longer hold", 3 },
    { "outcomes", OPTION_OUTCOMES, NULL, 0, "Print the IOTLB table at the end (traces and layouts: always)", 4 },
    { "explain", OPTION_EXPLAIN, NULL, 0, "Put faults, errors and findings in words", 4 },
    { "json", OPTION_JSON, "FILE", 0, "Write the totals to FILE, whole or not at all", 4 },
    { "ktap", OPTION_KTAP, NULL, 0, "Print KTAP, one test a file, for kernel CI systems", 4 },
    { 0 },
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

bool replay_is_interrupted(void)
{
    return interrupted != 0;
}

/* ---- options ------------------------------------------------------------------------------------------------------
 */

static const char *rmp_name(unsigned index)
{
    static const char *const names[] = { "off", "on", NULL };

    return names[index];
}

static const char *engine_name_at(unsigned index)
{
    const struct engine *engine = engine_at(index);

    return engine ? engine->name : NULL;
}

static bool check_everything(struct argp_state *state, const char *when)
{
    if (strcmp(when, "all") == 0) return true;
    if (strcmp(when, "end") != 0) argp_error(state, "unknown --check '%s'; there are: all end", when);
    return false;
}

static void set_engine(struct argp_state *state, struct replay_options *options, const char *name)
{
    char message[PLUGIN_MESSAGE_BYTES];

    plugin_close(options->plugin);
    options->plugin = NULL;
    options->engine = NULL;
    if (plugin_is_path(name)) {
        options->plugin = plugin_open(name, message);
        if (!options->plugin) argp_failure(state, REPLAY_BAD, 0, "%s", message);
        plugin_shut_tables(options->plugin);
        return;
    }
    option_name(state, "engine", engine_name_at, name);
    options->engine = engine_find(name);
    if (!options->engine) argp_error(state, "engine '%s' needs a CPU with AVX", name);
}

static void check_together(struct argp_state *state, const struct replay_options *options)
{
    const bool overrides = options->format >= 0 || options->hw >= 0 || options->policy >= 0 || options->rmp >= 0;

    if (options->accepts && (overrides || options->engine || options->plugin))
        argp_error(state, "--accept would write the answers of another world than the script's: "
                          "no --format, --hw, --policy, --engine or --rmp with it");
    if (options->is_golden && (overrides || options->accepts))
        argp_error(state, "--golden takes its world from the files: no --format, --hw, --policy, --rmp or --accept");
}

static const struct option_range timeout_option = { "--timeout", "seconds", 0, TIMEOUT_MAX };

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct replay_options *options = state->input;

    switch (key) {
    case OPTION_GOLDEN: options->is_golden = true; break;
    case OPTION_FORMAT: options->format = option_name(state, "format", op_format_name, argument); break;
    case OPTION_HW: options->hw = option_name(state, "hw", op_hw_name, argument); break;
    case OPTION_POLICY: options->policy = option_name(state, "policy", op_policy_name, argument); break;
    case OPTION_RMP: options->rmp = option_name(state, "rmp", rmp_name, argument); break;
    case OPTION_ENGINE: set_engine(state, options, argument); break;
    case OPTION_TIMEOUT: options->timeout = option_number(state, &timeout_option, argument); break;
    case OPTION_CHECK: options->checks_all = check_everything(state, argument); break;
    case OPTION_STRICT: options->is_strict = true; break;
    case OPTION_ACCEPT: options->accepts = true; break;
    case OPTION_OUTCOMES: options->shows_iotlb = true; break;
    case OPTION_EXPLAIN: options->explains = true; break;
    case OPTION_JSON: options->json_path = argument; break;
    case OPTION_KTAP: options->is_ktap = true; break;
    case ARGP_KEY_ARGS:
        options->paths = state->argv + state->next;
        options->path_count = (unsigned)(state->argc - state->next);
        break;
    case ARGP_KEY_NO_ARGS: argp_error(state, "no FILE"); break;
    case ARGP_KEY_END: check_together(state, options); break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* ---- files --------------------------------------------------------------------------------------------------------
 */

static void override(struct op *op, enum op_field field, int value)
{
    if (value >= 0) op_set(op, field, (uint64_t)value);
}

/* The row for the world of `op`. False: the plugin has no such format. */
static bool choose_engine(struct replay *replay, const struct op *op, const char *place)
{
    const struct replay_options *options = &replay->options;
    const char *format = op_format_name((unsigned)op_get(op, FIELD_FORMAT));
    const struct engine *engine = options->engine;

    if (options->plugin) {
        plugin_forget(options->plugin);
        engine = plugin_engine(options->plugin, format);
        if (!engine) replay_error("%s: %s has no format %s", place, plugin_path(options->plugin), format);
        if (!engine) return false;
    }
    world_use_engine(replay->world, engine);
    return true;
}

bool replay_begin(struct replay *replay, struct op *op, const char *place)
{
    const struct replay_options *options = &replay->options;
    char message[MESSAGE_BYTES];

    override(op, FIELD_FORMAT, options->format);
    override(op, FIELD_HW, options->hw);
    override(op, FIELD_POLICY, options->policy);
    override(op, FIELD_RMP, options->rmp);
    if (!replay->world) replay->world = world_new();
    if (!choose_engine(replay, op, place)) return false;
    if (world_begin(replay->world, op, message, sizeof(message)) == 0) return true;
    replay_error("%s: this world cannot be: %s", place, message);
    if (world_difference(replay->world)) replay_error("%s", world_difference(replay->world));
    return false;
}

static enum replay_status replay_by_content(struct replay *replay, const char *path)
{
    char message[INPUT_MESSAGE_BYTES];
    struct input *input = input_open(path, message, sizeof(message));
    enum replay_status status = REPLAY_BAD;

    if (!input) {
        replay_error("%s", message);
        return REPLAY_BAD;
    }
    switch (input_kind(input)) {
    case INPUT_EMPTY:
        replay_error("%s:1:1: an empty file; expected a script, records, a trace or a layout", path);
        break;
    case INPUT_GOLDEN: replay_error("%s:1:1: a golden file; run it with --golden", path); break;
    case INPUT_SCRIPT:
    case INPUT_RECORDS: status = replay_script(replay, input); break;
    case INPUT_TRACE:
    case INPUT_LAYOUT: status = replay_stream(replay, input); break;
    }
    input_close(input);
    return status;
}

static const char *status_name(enum replay_status status)
{
    switch (status) {
    case REPLAY_OK: return "ok";
    case REPLAY_DIFFERS: return "differs";
    case REPLAY_BAD: return "bad input";
    case REPLAY_STOPPED: return "stopped";
    }
    return "";
}

static enum replay_status replay_path(struct replay *replay, const char *path)
{
    const uint64_t skipped_before = replay->golden.skipped;
    const uint64_t run_before = replay->golden.passed + replay->golden.failed;
    enum replay_status status;

    if (replay->json_files) {
        replay->json = json_object();
        json_object_set_new(replay->json, "path", json_string(path));
        json_array_append_new(replay->json_files, replay->json);
    }
    status = replay->options.is_golden ? replay_golden(replay, path) : replay_by_content(replay, path);
    replay_json_string(replay, "result", status_name(status));
    replay->json = NULL;
    if (replay->options.is_ktap) {
        const bool is_skipped =
            replay->golden.skipped > skipped_before && run_before == replay->golden.passed + replay->golden.failed;

        printf("%s %u %s%s\n", status == REPLAY_OK ? "ok" : "not ok", ++replay->tests, path,
               is_skipped && status == REPLAY_OK ? " # SKIP format not built" : "");
    }
    fflush(stdout);
    return status;
}

static enum replay_status worse(enum replay_status a, enum replay_status b)
{
    return a > b ? a : b;
}

static enum replay_status replay_all(struct replay *replay)
{
    const struct replay_options *options = &replay->options;
    enum replay_status status = REPLAY_OK;

    if (options->is_ktap) printf("KTAP version 1\n1..%u\n", options->path_count);
    for (unsigned i = 0; i < options->path_count && status != REPLAY_STOPPED; i++)
        status = worse(status, replay_path(replay, options->paths[i]));
    if (options->is_golden)
        replay_print(replay, "golden: %llu passed, %llu failed, %llu skipped\n",
                     (unsigned long long)replay->golden.passed, (unsigned long long)replay->golden.failed,
                     (unsigned long long)replay->golden.skipped);
    return status;
}

/* Everything that --json shows. */
static bool write_json(struct replay *replay, struct whole_file *file, enum replay_status status)
{
    json_t *all = json_pack("{s:i, s:s, s:o}", "schema", 1, "result", status_name(status), "files", replay->json_files);
    const bool is_written = whole_file_finish_json(file, all);

    json_decref(all);
    return is_written;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        argp_options,
        parse_option,
        "FILE...",
        "Run FILEs through the map_pages engine, the IOMMU model and the oracle. What a FILE holds is told from its "
        "content: a script (text ops), records (32-byte ops), a trace (ftrace iommu:map and unmap), a layout (gpa= "
        "hpa= size= lines), or with --golden a golden file; plain or .xz."
        "\vExit codes: 0 all well, 1 a difference or an expectation that does not hold, 2 bad input or options, 130 "
        "stopped by Ctrl-C.",
        NULL,
        NULL,
        NULL,
    };
    struct replay replay = { .options = { .format = -1, .hw = -1, .policy = -1, .rmp = -1, .timeout = TIMEOUT } };
    const struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = SA_RESETHAND | SA_RESTART };
    struct whole_file json_file;
    enum replay_status status;

    argp_err_exit_status = REPLAY_BAD;
    argp_parse(&argp, argc, argv, 0, NULL, &replay.options);
    if (replay.options.json_path) {
        if (!whole_file_begin(&json_file, replay.options.json_path)) return REPLAY_BAD;
        replay.json_files = json_array();
    }
    sigaction(SIGINT, &action, NULL);
    if (replay.options.plugin)
        plugin_guard("mapproof-replay", replay.options.plugin, replay.options.timeout, REPLAY_DIFFERS);
    status = replay_all(&replay);
    if (replay.json_files && !write_json(&replay, &json_file, status)) status = REPLAY_BAD;
    if (replay.world) world_free(replay.world);
    plugin_guard_end();
    plugin_close(replay.options.plugin);
    if (fflush(stdout) != 0) {
        replay_error("mapproof-replay: the output could not be written");
        status = worse(status, REPLAY_BAD);
    }
    return (int)status;
}
