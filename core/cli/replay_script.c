/*
 * Scripts, text or records: every op with its outcome. The first op whose outcome lacks an expected word, or that the
 * world itself calls a difference, ends the run with both answers. A script that does not parse does not run at all.
 */
#define _GNU_SOURCE /* strsep */
#include "cli/replay.h"

#include "cli/plugin_guard.h"
#include "cli/replay_accept.h"
#include "import/input.h"
#include "script/script.h"
#include "world/world_words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OUTCOME_BYTES = 512,
    PLACE_BYTES = 4352,
    OP_WIDTH = 72, /* column of the arrows */
};

#define SCRIPT_BYTES_MAX (UINT64_C(64) << 20)

/* One file's run. */
struct run {
    struct replay *replay;
    const char *path;
    struct script script; /* notes are NULL for records */
    struct op world;      /* with the options' overrides */
    size_t index;         /* of the op under way */
    uint64_t findings;
    const char *lacking; /* the first op that the engine lacks: its name; from there on expectations are n/a */
    char *text;          /* the file, whole */
    size_t text_size;
    struct accept accept;
};

/* FILE:LINE of the op under way; records have no lines, so the op's number. */
static const char *place_of(const struct run *run, char place[PLACE_BYTES])
{
    const struct script_note *notes = run->script.notes;

    if (notes && notes[run->index].line) {
        snprintf(place, PLACE_BYTES, "%s:%u", run->path, notes[run->index].line);
    } else {
        snprintf(place, PLACE_BYTES, "%s: op %zu", run->path, run->index);
    }
    return place;
}

/* Is `word` one of the blank-separated words of `text`? */
static bool has_word(const char *text, const char *word)
{
    const size_t length = strlen(word);

    for (const char *at = text; (at = strstr(at, word)); at++) {
        if ((at == text || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0)) return true;
    }
    return false;
}

/* Is every word of `expected` among those of `outcome`? */
static bool outcome_meets(const char *outcome, const char *expected)
{
    char *copy = strdup(expected);
    char *rest = copy;
    bool is_met = copy != NULL;
    char *word;

    while (is_met && (word = strsep(&rest, " \t"))) is_met = !*word || has_word(outcome, word);
    free(copy);
    return is_met;
}

static void print_op(const struct run *run, const char *outcome)
{
    char text[OP_TEXT_MAX];

    op_print(&run->script.ops[run->index], &run->world, text);
    replay_print(run->replay, "%-*s -> %s\n", OP_WIDTH, text, outcome);
}

/* Indented, as comments: what stands there is no script line, but behind the # there is one. */
static void print_step(void *context, const struct host_step *step, const struct world_outcome *outcome)
{
    const struct run *run = context;
    char text[OP_TEXT_MAX], result[OUTCOME_BYTES];

    op_print(&step->op, &run->world, text);
    world_print_result(outcome, result, sizeof(result));
    replay_print(run->replay, "  # %-8s %-*s -> %s\n", host_actor_name(step->by), OP_WIDTH - 13, text, result);
}

/* Compare with the expectation. REPLAY_OK: met, none, or accepted. */
static enum replay_status judge(struct run *run, const char *outcome)
{
    const char *expected = run->script.notes ? run->script.notes[run->index].expectation : NULL;
    char place[PLACE_BYTES];

    if (!expected || outcome_meets(outcome, expected)) return REPLAY_OK;
    if (run->lacking) {
        replay_print(run->replay, "%s: n/a, as the engine has no %s: expected: %s\n", place_of(run, place),
                     run->lacking, expected);
        return REPLAY_OK;
    }
    if (run->replay->options.accepts)
        return accept_add(&run->accept, run->script.notes[run->index].line, outcome) ? REPLAY_OK : REPLAY_BAD;
    place_of(run, place);
    replay_print(run->replay, "%s: expected: %s\n", place, expected);
    replay_print(run->replay, "%s: happened: %s\n", place, outcome);
    if (world_difference(run->replay->world)) replay_print_text(run->replay, world_difference(run->replay->world));
    return REPLAY_DIFFERS;
}

static enum replay_status report_difference(struct run *run, const char *what)
{
    char place[PLACE_BYTES];
    const char *text = world_difference(run->replay->world);

    replay_print(run->replay, "%s: %s\n", place_of(run, place), what);
    replay_print_text(run->replay, text ? text : "(the world kept no description)");
    return REPLAY_DIFFERS;
}

static void count_finding(struct run *run, const struct world_outcome *outcome)
{
    if (outcome->finding == FINDING_NONE) return;
    run->findings++;
    replay_print(run->replay, "  finding: %s (%s): %s\n", world_finding_name(outcome->finding),
                 world_rule_name(outcome->rule), world_rule_title(outcome->rule));
}

static enum replay_status run_op(struct run *run)
{
    const struct op *op = &run->script.ops[run->index];
    struct world_outcome outcome;
    char text[OUTCOME_BYTES];
    char place[PLACE_BYTES];
    enum replay_status status;

    if (run->replay->options.plugin) plugin_guard_place(place_of(run, place));
    world_apply(run->replay->world, op, &outcome);
    plugin_guard_place(NULL);
    world_print_result(&outcome, text, sizeof(text));
    print_op(run, text);
    count_finding(run, &outcome);
    if (outcome.is_lacking && !run->lacking) run->lacking = op_kind_name(op_kind_of(op));
    if (run->replay->options.explains) replay_explain(run->replay, op, &outcome);
    if (outcome.is_difference) {
        judge(run, text);
        return report_difference(run, "difference: engine, walker, RMP or IOMMU against the oracle");
    }
    status = judge(run, text);
    if (status == REPLAY_OK && run->replay->options.checks_all && world_check(run->replay->world) > 0)
        return report_difference(run, "the check of everything fails after this op");
    return status;
}

/* Everything that a correct machine must satisfy at the end, and what --strict adds. */
static enum replay_status finish_run(struct run *run)
{
    if (world_check(run->replay->world) > 0) return report_difference(run, "the check of everything fails at the end");
    if (world_end(run->replay->world) > 0) return report_difference(run, "the engine does not end cleanly");
    if (run->replay->options.is_strict && run->findings > 0) {
        replay_print(run->replay, "%s: %llu findings, and --strict allows none\n", run->path,
                     (unsigned long long)run->findings);
        return REPLAY_DIFFERS;
    }
    return REPLAY_OK;
}

static enum replay_status run_ops(struct run *run)
{
    enum replay_status status;
    char place[PLACE_BYTES];

    run->world = run->script.ops[0];
    if (!replay_begin(run->replay, &run->world, place_of(run, place))) return REPLAY_BAD;
    run->script.ops[0] = run->world;
    print_op(run, "ok");
    if (world_difference(run->replay->world))
        return report_difference(run, "difference: new tables against the oracle");
    status = judge(run, "ok");
    world_watch_steps(run->replay->world, (struct world_step_hook){ print_step, run });
    for (run->index = 1; status == REPLAY_OK && run->index < run->script.count; run->index++) {
        if (replay_is_interrupted()) return REPLAY_STOPPED;
        status = run_op(run);
        if (status != REPLAY_OK) return status;
    }
    run->index = run->script.count - 1;
    return status == REPLAY_OK ? finish_run(run) : status;
}

/* Put the accepted expectations into the file. */
static enum replay_status write_accepted(struct run *run)
{
    struct whole_file file;
    size_t length;
    char *text;
    bool is_written;

    if (run->accept.count == 0) {
        replay_print(run->replay, "%s: every expectation holds, nothing to accept\n", run->path);
        return REPLAY_OK;
    }
    text = accept_rewrite(&run->accept, run->text, run->text_size, &length);
    if (!text || !whole_file_begin(&file, run->path)) {
        free(text);
        return REPLAY_BAD;
    }
    is_written = whole_file_finish(&file, text, length);
    free(text);
    if (is_written) replay_print(run->replay, "%s: %zu expectations rewritten\n", run->path, run->accept.count);
    return is_written ? REPLAY_OK : REPLAY_BAD;
}

/* --accept on a script without a single expectation: every op gets one. */
static void expect_everything(struct run *run)
{
    for (size_t i = 0; i < run->script.count; i++) {
        if (run->script.notes[i].expectation) return;
    }
    for (size_t i = run->script.has_world ? 0 : 1; i < run->script.count; i++) run->script.notes[i].expectation = "?";
}

static bool can_accept(const struct run *run, const struct input *input, bool is_text)
{
    if (!is_text) replay_error("%s: --accept rewrites text scripts; these are records", run->path);
    if (input_is_compressed(input)) replay_error("%s: --accept does not rewrite .xz files", run->path);
    return is_text && !input_is_compressed(input);
}

static bool load(struct run *run, struct input *input, bool is_text)
{
    struct script_error error;
    char message[PLACE_BYTES + SCRIPT_MESSAGE_MAX];
    size_t size, capacity;
    char *bytes = input_read_all(input, SCRIPT_BYTES_MAX, &size);
    bool is_good = true;

    if (!bytes) {
        replay_error("%s", input_message(input));
        return false;
    }
    if (is_text) {
        is_good = script_parse(bytes, size, &run->script, &error);
        if (!is_good) {
            script_format_error(run->path, &error, message, sizeof(message));
            replay_error("%s", message);
        }
    } else {
        capacity = size / OP_RECORD_BYTES + 1;
        run->script.ops = calloc(capacity, sizeof(*run->script.ops));
        is_good = run->script.ops != NULL;
        if (is_good) run->script.count = script_decode((const uint8_t *)bytes, size, run->script.ops, capacity);
    }
    run->text = bytes;
    run->text_size = size;
    return is_good;
}

static void print_totals(struct run *run)
{
    struct replay *replay = run->replay;

    replay_print(replay, "%s: %zu ops, %llu findings\n", run->path, run->script.count - 1,
                 (unsigned long long)run->findings);
    if (replay->json) {
        json_object_set_new(replay->json, "ops", json_integer((json_int_t)(run->script.count - 1)));
        json_object_set_new(replay->json, "ops_done", json_integer((json_int_t)world_totals(replay->world)->ops));
    }
    if (replay->options.shows_iotlb) replay_world_totals(replay);
    if (replay->options.shows_iotlb) replay_iotlb_totals(replay);
}

enum replay_status replay_script(struct replay *replay, struct input *input)
{
    const bool is_text = input_kind(input) != INPUT_RECORDS;
    const bool accepts = replay->options.accepts;
    struct run run = { .replay = replay, .path = input_path(input) };
    enum replay_status status = REPLAY_BAD;

    if (accepts && !can_accept(&run, input, is_text)) return REPLAY_BAD;
    replay_json_string(replay, "kind", is_text ? "script" : "records");
    if (load(&run, input, is_text)) {
        if (accepts) expect_everything(&run);
        status = run_ops(&run);
        world_watch_steps(replay->world, (struct world_step_hook){ 0 });
        if (status == REPLAY_OK && accepts) status = write_accepted(&run);
        if (status != REPLAY_BAD) print_totals(&run);
    }
    script_free(&run.script);
    accept_free(&run.accept);
    free(run.text);
    return status;
}
