/*
 * Traces and layouts through a world: every op checked against the oracle, made-up DMA behind each, totals at the end.
 * Streamed; Ctrl-C, a malformed event or a difference ends it with the totals so far.
 */
#include "cli/replay.h"

#include "base/bits.h"
#include "cli/plugin_guard.h"
#include "cli/replay_traffic.h"
#include "import/import.h"
#include "script/script.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    OUTCOME_BYTES = 512,
    PLACE_BYTES = 4352,
    PROGRESS_OPS = 4096, /* between two updates of the bar */
    PROGRESS_WIDTH = 40,
};

/* Host addresses of an input are those of another machine: room for all of them. Sparse, so it costs nothing. */
#define STREAM_MEMORY (UINT64_C(1) << 40)
/* 4 GiB as 4K pages takes 8 MiB of tables. */
#define STREAM_POOL (UINT64_C(1) << 30)

struct stream {
    struct replay *replay;
    struct input *input;
    struct import *import;
    struct traffic traffic;
    struct op world;
    unsigned page_shift;  /* smallest leaf of the table */
    uint64_t line;        /* of the event under way */
    uint64_t applied;     /* import ops */
    uint64_t refused;     /* maps that ended with an error, or short */
    uint64_t dma, served; /* DMAs made up, and how many of them got their data */
    uint64_t faulted;     /* after an unmap: as they must */
    uint64_t findings;
    uint64_t lacking;     /* ops that need what the engine lacks */
    uint64_t missed_line; /* of the event whose cut the engine lacks; 0: none */
    bool has_bar;
};

static void show_progress(struct stream *stream)
{
    const uint64_t total = input_bytes_total(stream->input);
    const uint64_t done = input_bytes_read(stream->input);
    const unsigned filled = total ? (unsigned)(done * PROGRESS_WIDTH / total) : PROGRESS_WIDTH;

    if (!stream->has_bar || stream->applied % PROGRESS_OPS != 0) return;
    fprintf(stderr, "\r[%-*.*s] line %llu ", PROGRESS_WIDTH, (int)filled, "########################################",
            (unsigned long long)stream->line);
    fflush(stderr);
}

static void clear_progress(const struct stream *stream)
{
    if (stream->has_bar) fprintf(stderr, "\r%*s\r", PROGRESS_WIDTH + 32, "");
}

static struct op default_world(void)
{
    struct op op = op_make(OP_WORLD);

    op_set(&op, FIELD_MEMORY, STREAM_MEMORY);
    op_set(&op, FIELD_POOL, STREAM_POOL);
    op_set(&op, FIELD_RMP, 0);
    return op;
}

static struct op op_of(const struct import_op *source)
{
    struct op op;

    switch (source->kind) {
    case IMPORT_MAP:
        op = op_make(OP_MAP);
        op_set(&op, FIELD_INPUT, source->input);
        op_set(&op, FIELD_HPA, source->target);
        op_set(&op, FIELD_LENGTH, source->length);
        return op;
    case IMPORT_UNMAP:
        op = op_make(OP_UNMAP);
        op_set(&op, FIELD_INPUT, source->input);
        op_set(&op, FIELD_LENGTH, source->length);
        return op;
    case IMPORT_CUT: break;
    }
    op = op_make(OP_CUT);
    op_set(&op, FIELD_AT, source->input);
    return op;
}

static enum replay_status report(struct stream *stream, const struct op *op, const char *outcome, const char *what)
{
    const struct replay *replay = stream->replay;
    const char *difference = world_difference(replay->world);
    char text[OP_TEXT_MAX];

    clear_progress(stream);
    op_print(op, &stream->world, text);
    replay_print(replay, "%s:%llu: %s\n", input_path(stream->input), (unsigned long long)stream->line, what);
    replay_print(replay, "  %s -> %s\n", text, outcome);
    if (difference) replay_print_text(replay, difference);
    return REPLAY_DIFFERS;
}

/* Apply one op, made up or not. */
static enum replay_status apply(struct stream *stream, const struct op *op, struct world_outcome *outcome)
{
    struct replay *replay = stream->replay;
    char text[OUTCOME_BYTES];

    world_apply(replay->world, op, outcome);
    stream->findings += outcome->finding != FINDING_NONE;
    if (!outcome->is_difference && !(replay->options.checks_all && world_check(replay->world) > 0)) return REPLAY_OK;
    world_print_outcome(outcome, text, sizeof(text));
    return report(stream, op, text,
                  outcome->is_difference ? "difference: engine, walker or IOMMU against the oracle"
                                         : "the check of everything fails after this op");
}

static enum replay_status make_traffic(struct stream *stream, const struct import_op *source)
{
    enum replay_status status = REPLAY_OK;
    struct world_outcome outcome;
    struct op op;
    bool must_fault;

    traffic_note(&stream->traffic, source);
    while (status == REPLAY_OK && traffic_next(&stream->traffic, &op, &must_fault)) {
        status = apply(stream, &op, &outcome);
        stream->dma++;
        stream->served += outcome.dma.fault == IOMMU_NO_FAULT;
        stream->faulted += must_fault && outcome.dma.fault != IOMMU_NO_FAULT;
        if (status == REPLAY_OK && must_fault && outcome.dma.fault == IOMMU_NO_FAULT)
            return report(stream, &op, "served", "a page that was just unmapped is still reachable");
    }
    return status;
}

/* A table whose smallest leaf is 16K or 64K cannot hold what a machine with 4K pages mapped. */
static bool fits_format(const struct stream *stream, const struct import_op *source)
{
    const uint64_t all = source->input | source->length | (source->kind == IMPORT_MAP ? source->target : 0);
    const char *format = op_format_name((unsigned)op_get(&stream->world, FIELD_FORMAT));
    char have[REPLAY_SIZE_BYTES];
    char need[REPLAY_SIZE_BYTES];

    if (!(all & low_mask(stream->page_shift))) return true;
    clear_progress(stream);
    replay_error("%s:%llu: this event needs pages of %s; the smallest leaf of format=%s is %s",
                 input_path(stream->input), (unsigned long long)source->line, replay_size(trailing_zeros(all), need),
                 format, replay_size(stream->page_shift, have));
    return false;
}

/*
 * An unmap of a part of a leaf that the engine cannot cut is n/a: the leaf stays. What the input does to that place
 * later, the table refuses or does in part.
 */
static bool is_lacking(struct stream *stream, const struct import_op *source)
{
    if (source->kind != IMPORT_UNMAP || source->line != stream->missed_line) return false;
    stream->lacking++;
    stream->applied++;
    return true;
}

static enum replay_status take_op(struct stream *stream, const struct import_op *source)
{
    const struct op op = op_of(source);
    struct world_outcome outcome;
    enum replay_status status;

    if (!fits_format(stream, source)) return REPLAY_BAD;
    stream->line = source->line;
    if (is_lacking(stream, source)) return REPLAY_OK;
    status = apply(stream, &op, &outcome);
    stream->applied++;
    stream->lacking += outcome.is_lacking;
    if (outcome.is_missed) stream->missed_line = source->line;
    stream->refused += outcome.error != 0 || (source->kind != IMPORT_CUT && outcome.bytes != source->length);
    if (stream->missed_line && source->kind == IMPORT_UNMAP && outcome.bytes == 0) return status;
    if (status == REPLAY_OK && outcome.error == 0) status = make_traffic(stream, source);
    show_progress(stream);
    return status;
}

static enum replay_status take_all(struct stream *stream)
{
    enum replay_status status = REPLAY_OK;
    char place[PLACE_BYTES];
    struct import_op op;
    int got = 0;

    while (status == REPLAY_OK && (got = import_next(stream->import, &op)) == 1) {
        if (replay_is_interrupted()) return REPLAY_STOPPED;
        if (stream->replay->options.plugin) {
            snprintf(place, sizeof(place), "%s:%llu", input_path(stream->input), (unsigned long long)op.line);
            plugin_guard_place(place);
        }
        status = take_op(stream, &op);
    }
    plugin_guard_place(NULL);
    clear_progress(stream);
    if (status != REPLAY_OK) return status;
    if (got < 0) {
        replay_error("%s", import_message(stream->import));
        return REPLAY_BAD;
    }
    if (world_check(stream->replay->world) > 0 || world_difference(stream->replay->world)) {
        replay_print(stream->replay, "%s: the check of everything fails at the end\n", input_path(stream->input));
        if (world_difference(stream->replay->world))
            replay_print_text(stream->replay, world_difference(stream->replay->world));
        return REPLAY_DIFFERS;
    }
    if (world_end(stream->replay->world) > 0) {
        replay_print(stream->replay, "%s: the engine does not end cleanly\n", input_path(stream->input));
        replay_print_text(stream->replay, world_difference(stream->replay->world));
        return REPLAY_DIFFERS;
    }
    if (stream->replay->options.is_strict && stream->findings > 0) return REPLAY_DIFFERS;
    return REPLAY_OK;
}

static void print_input_totals(struct stream *stream)
{
    struct replay *replay = stream->replay;
    const struct import_totals *totals = import_totals(stream->import);
    static const char *const skip_keys[SKIP_REASONS] = {
        [SKIP_COMMENT] = "skipped_comments",         [SKIP_AFTER_END] = "skipped_after_end",
        [SKIP_OTHER_EVENT] = "skipped_other_events", [SKIP_OTHER_LINE] = "skipped_other_lines",
        [SKIP_OVERLAP] = "skipped_overlapping_maps", [SKIP_NOT_LIVE] = "skipped_unmaps_of_nothing",
    };

    replay_number(replay, "lines", "lines read", totals->lines);
    replay_number(replay, "maps_read", "maps read", totals->maps_read);
    replay_number(replay, "unmaps_read", "unmaps read", totals->unmaps_read);
    for (unsigned reason = 0; reason < SKIP_REASONS; reason++) {
        char name[64];

        snprintf(name, sizeof(name), "skipped: %s", import_skip_name((enum import_skip)reason));
        replay_number(replay, skip_keys[reason], name, totals->skipped[reason]);
    }
    replay_number(replay, "joined_unmaps", "unmaps over several maps", totals->joined_unmaps);
    replay_number(replay, "partial_unmaps", "unmaps with holes", totals->partial_unmaps);
    replay_number(replay, "cutting_unmaps", "unmaps that cut a mapping", totals->cutting_unmaps);
    replay_number(replay, "short_in_kernel", "unmaps that the kernel found short", totals->short_in_kernel);
    if (totals->events_lost) replay_number(replay, "events_lost", "events the kernel lost", totals->events_lost);
    replay_number(replay, "live_ranges", "mappings live at the end", totals->live_ranges);
}

static void print_notes(struct stream *stream)
{
    const char *note;

    for (unsigned i = 0; (note = import_note(stream->import, i)); i++) {
        replay_print(stream->replay, "  note: %s\n", note);
        if (i == 0) replay_json_string(stream->replay, "note", note);
    }
    if (import_totals(stream->import)->target_end > STREAM_MEMORY)
        replay_print(stream->replay, "  note: some host addresses are above 1 TiB, the memory of this world\n");
}

static void print_totals(struct stream *stream, enum replay_status status)
{
    struct replay *replay = stream->replay;
    const uint64_t faulted_else = stream->dma - stream->served - stream->faulted;

    if (status != REPLAY_OK) replay_print(replay, "totals up to line %llu\n", (unsigned long long)stream->line);
    print_input_totals(stream);
    replay_number(replay, "ops", "ops", stream->applied);
    replay_number(replay, "refused", "ops that the table refused, or did in part", stream->refused);
    if (stream->lacking) replay_number(replay, "lacking", "n/a: ops that need what the engine lacks", stream->lacking);
    replay_world_totals(replay);
    replay_print(replay, "  traffic: %s\n", traffic_words);
    replay_json_string(replay, "traffic", traffic_words);
    replay_number(replay, "dma", "DMA accesses", stream->dma);
    replay_number(replay, "dma_served", "served", stream->served);
    replay_number(replay, "dma_after_unmap_faulted", "faulted after an unmap, as they must", stream->faulted);
    replay_number(replay, "dma_faulted", "faulted otherwise", faulted_else);
    replay_iotlb_totals(replay);
    print_notes(stream);
}

enum replay_status replay_stream(struct replay *replay, struct input *input)
{
    const bool is_trace = input_kind(input) == INPUT_TRACE;
    struct stream stream = {
        .replay = replay,
        .input = input,
        .world = default_world(),
        .has_bar = isatty(STDERR_FILENO) != 0,
    };
    enum replay_status status;
    char text[OP_TEXT_MAX];
    struct pt_info info;

    if (replay->options.accepts) {
        replay_error("%s: --accept rewrites text scripts; this is a %s", input_path(input),
                     is_trace ? "trace" : "layout");
        return REPLAY_BAD;
    }
    if (!replay_begin(replay, &stream.world, input_path(input))) return REPLAY_BAD;
    pt_get_info(world_table(replay->world, 0, STAGE_DEFAULT), &info);
    stream.page_shift = trailing_zeros(info.page_sizes);
    stream.import = import_new(input);
    if (!stream.import) {
        replay_error("%s: no memory", input_path(input));
        return REPLAY_BAD;
    }
    traffic_begin(&stream.traffic);
    op_print(&stream.world, &stream.world, text);
    replay_print(replay, "%s: %s, %s\n", input_path(input), is_trace ? "trace" : "layout", text);
    replay_json_string(replay, "kind", is_trace ? "trace" : "layout");
    replay_json_string(replay, "world", text);
    status = take_all(&stream);
    print_totals(&stream, status);
    import_free(stream.import);
    return status;
}
