/*
 * Events into ops, by the rule in import.h.
 */
#include "import/import.h"

#include "base/check.h"
#include "import/event.h"
#include "import/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_OPS = 3 /* of one run: a cut at each edge and the unmap */ };

struct import {
    struct input *input;
    bool is_layout;
    bool is_after_end;
    struct live live;
    /* ops of one run of an unmap, waiting to be handed out */
    struct import_op queue[QUEUE_OPS];
    unsigned queue_start, queue_count;
    /* what is left of the unmap under way */
    bool has_unmap;
    uint64_t unmap_first, unmap_last;
    struct import_totals totals;
    char message[INPUT_MESSAGE_BYTES];
};

const char *import_skip_name(enum import_skip reason)
{
    static const char *const names[SKIP_REASONS] = {
        [SKIP_COMMENT] = "comment and empty lines",   [SKIP_AFTER_END] = "lines after TRACE-END",
        [SKIP_OTHER_EVENT] = "events of other kinds", [SKIP_OTHER_LINE] = "lines that are no event",
        [SKIP_OVERLAP] = "maps over a live mapping",  [SKIP_NOT_LIVE] = "unmaps of nothing live",
    };

    return names[reason];
}

struct import *import_new(struct input *input)
{
    const enum input_kind kind = input_kind(input);
    struct import *import = calloc(1, sizeof(*import));

    CHECK(kind == INPUT_TRACE || kind == INPUT_LAYOUT);
    if (!import) return NULL;
    import->input = input;
    import->is_layout = kind == INPUT_LAYOUT;
    return import;
}

void import_free(struct import *import)
{
    if (!import) return;
    live_free(&import->live);
    free(import);
}

static int fail(struct import *import, unsigned column, const char *what, const char *text)
{
    snprintf(import->message, sizeof(import->message), "%s:%llu:%u: %s%s", input_path(import->input),
             (unsigned long long)input_line_number(import->input), column, what, text);
    return -1;
}

static int no_memory(struct import *import)
{
    return fail(import, 1, "no memory", "");
}

static void queue(struct import *import, enum import_op_kind kind, uint64_t input, uint64_t length)
{
    CHECK(import->queue_start + import->queue_count < QUEUE_OPS);
    import->queue[import->queue_start + import->queue_count++] = (struct import_op){
        .kind = kind,
        .input = input,
        .length = length,
        .line = input_line_number(import->input),
    };
}

/*
 * Queue the first run without a hole of the unmap under way. The live set follows at once: the ops that leave it that
 * way come out before anything else. False: no memory.
 */
static bool queue_run(struct import *import, const struct live_range *first_range)
{
    const uint64_t first = first_range->first > import->unmap_first ? first_range->first : import->unmap_first;
    struct live_range range = *first_range;
    uint64_t next = first;
    uint64_t last;
    bool has_more;

    if (range.first < first) queue(import, IMPORT_CUT, first, 0);
    do {
        last = range.last < import->unmap_last ? range.last : import->unmap_last;
        if (last < range.last) queue(import, IMPORT_CUT, last + 1, 0);
        if (!live_remove(&import->live, next, last)) return false;
        next = last + 1;
        has_more = last < import->unmap_last && live_find(&import->live, next, next, &range);
    } while (has_more);
    queue(import, IMPORT_UNMAP, first, last - first + 1);
    import->has_unmap = last < import->unmap_last;
    import->unmap_first = next;
    return true;
}

/* Get the next run of the unmap under way into the queue. 1: there is one, 0: the unmap is done, -1: no memory. */
static int continue_unmap(struct import *import)
{
    struct live_range range;

    import->queue_start = 0;
    if (!import->has_unmap) return 0;
    if (!live_find(&import->live, import->unmap_first, import->unmap_last, &range)) {
        import->has_unmap = false;
        return 0;
    }
    return queue_run(import, &range) ? 1 : no_memory(import);
}

/* What an unmap of [first, last] meets, for the totals. */
static void count_unmap(struct import *import, uint64_t first, uint64_t last)
{
    uint64_t next = first;
    uint64_t maps = 0;
    bool is_partial = false;
    bool is_cutting = false;
    struct live_range range;

    while (live_find(&import->live, next, last, &range)) {
        is_partial |= range.first > next;
        is_cutting |= range.first < first || range.last > last;
        maps++;
        next = range.last + 1;
        if (range.last >= last) break;
    }
    import->totals.skipped[SKIP_NOT_LIVE] += maps == 0;
    import->totals.joined_unmaps += maps > 1;
    import->totals.partial_unmaps += maps > 0 && (is_partial || next - 1 < last);
    import->totals.cutting_unmaps += is_cutting;
}

static void start_unmap(struct import *import, const struct event *event)
{
    import->totals.unmaps_read++;
    import->totals.short_in_kernel += event->unmapped != event->length;
    import->has_unmap = true;
    import->unmap_first = event->input;
    import->unmap_last = event->input + event->length - 1;
    count_unmap(import, import->unmap_first, import->unmap_last);
}

/* 1: *op is the map, 0: skipped, -1: no memory */
static int take_map(struct import *import, const struct event *event, struct import_op *op)
{
    const struct live_range wanted = { event->input, event->input + event->length - 1 };
    const uint64_t target_end = event->target + event->length;
    struct live_range range;

    import->totals.maps_read++;
    if (live_find(&import->live, wanted.first, wanted.last, &range)) {
        import->totals.skipped[SKIP_OVERLAP]++;
        return 0;
    }
    if (!live_add(&import->live, wanted)) return no_memory(import);
    if (target_end > import->totals.target_end) import->totals.target_end = target_end;
    *op =
        (struct import_op){ IMPORT_MAP, event->input, event->target, event->length, input_line_number(import->input) };
    return 1;
}

static void count_skipped(struct import *import, const struct event *event)
{
    import->totals.skipped[event->reason]++;
    import->totals.events_lost += event->lost;
}

/* Read one line. 1: *op is one, 0: nothing from this line, or it started an unmap, -1: malformed */
static int take_line(struct import *import, const char *line, struct import_op *op)
{
    struct event event;

    import->totals.lines++;
    if (import->is_after_end || (!import->is_layout && strncmp(line, "TRACE-END", 9) == 0)) {
        import->is_after_end = true;
        import->totals.skipped[SKIP_AFTER_END]++;
        return 0;
    }
    event = import->is_layout ? event_of_layout(line) : event_of_trace(line);
    switch (event.kind) {
    case EVENT_MAP: return take_map(import, &event, op);
    case EVENT_UNMAP: start_unmap(import, &event); return 0;
    case EVENT_SKIP: count_skipped(import, &event); return 0;
    case EVENT_BAD: break;
    }
    return fail(import, event.column, "expected ", event.expected);
}

static int take_queued(struct import *import, struct import_op *op)
{
    *op = import->queue[import->queue_start++];
    import->queue_count--;
    return 1;
}

int import_next(struct import *import, struct import_op *op)
{
    const char *line;
    int result = 0;

    while (result == 0) {
        if (import->queue_count == 0 && continue_unmap(import) < 0) return -1;
        if (import->queue_count > 0) {
            result = take_queued(import, op);
            break;
        }
        result = input_line(import->input, &line);
        if (result == 0) return 0;
        if (result < 0) {
            snprintf(import->message, sizeof(import->message), "%s", input_message(import->input));
            return -1;
        }
        result = take_line(import, line, op);
    }
    import->totals.ops += result == 1;
    import->totals.live_ranges = import->live.ranges;
    return result;
}

const struct import_totals *import_totals(const struct import *import)
{
    return &import->totals;
}

const char *import_message(const struct import *import)
{
    return import->message;
}

const char *import_note(const struct import *import, unsigned index)
{
    const struct import_totals *totals = &import->totals;
    const struct {
        bool applies;
        const char *text;
    } notes[] = {
        { !import->is_layout && totals->unmaps_read > 0 && totals->maps_read == 0,
          "this trace has unmaps but no maps: kernels from 7.1 on whose domains use the generic page table log unmaps "
          "but no maps through these events, so there is nothing to replay" },
        { totals->events_lost > 0,
          "the kernel lost events while it recorded (its trace buffer overran): mappings after a loss may be wrong" },
        { totals->maps_read + totals->unmaps_read == 0, "this input has no mapping at all" },
    };

    for (unsigned i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
        if (notes[i].applies && index-- == 0) return notes[i].text;
    }
    return NULL;
}
