/*
 * Mappings of real machines as a stream of ops: ftrace text of `iommu:map` / `iommu:unmap`, and memory layouts
 * (`gpa= hpa= size=` lines). Streamed: memory is what is live at a time.
 *
 * The rule for what does not fit one table (a trace does not say which domain an event belongs to):
 *   - a map that overlaps a live one is skipped, as a whole
 *   - an unmap removes exactly its range of what is live. Each run without a hole becomes one unmap. Where an edge of
 *     the range lies inside a live mapping, a cut at that edge comes first, so that no larger leaf goes with it
 *   - an unmap that finds nothing live is skipped
 * Everything that is skipped is counted by reason. What is not an iommu map or unmap event is counted too; such an
 * event that does not parse ends the stream with its place.
 *
 * Traces: `iova=A - B` is exclusive (size == B - A, checked). They show no access rights: mappings are read-write.
 */
#pragma once

#include "import/input.h"

#include <stdbool.h>
#include <stdint.h>

enum import_op_kind { IMPORT_MAP, IMPORT_UNMAP, IMPORT_CUT };

struct import_op {
    enum import_op_kind kind;
    uint64_t input;  /* iova or gpa, bytes; of a cut: where */
    uint64_t target; /* hpa; maps only */
    uint64_t length; /* bytes; maps and unmaps */
    uint64_t line;   /* of the event in the file */
};

enum import_skip {
    SKIP_COMMENT,     /* comment and empty lines */
    SKIP_AFTER_END,   /* lines after TRACE-END */
    SKIP_OTHER_EVENT, /* events of other kinds */
    SKIP_OTHER_LINE,  /* lines that are no event */
    SKIP_OVERLAP,     /* maps over a live mapping */
    SKIP_NOT_LIVE,    /* unmaps of nothing live */
    SKIP_REASONS,
};

/* Words for a reason, as reports show it. */
const char *import_skip_name(enum import_skip reason);

struct import_totals {
    uint64_t lines;
    uint64_t maps_read, unmaps_read; /* events that parsed, skipped ones included */
    uint64_t ops;                    /* handed out */
    uint64_t skipped[SKIP_REASONS];
    uint64_t joined_unmaps;   /* one unmap over several maps */
    uint64_t partial_unmaps;  /* part of the range was not live */
    uint64_t cutting_unmaps;  /* an edge inside a live mapping */
    uint64_t short_in_kernel; /* unmapped_size differs from size: the kernel found less (or more) */
    uint64_t events_lost;     /* by the kernel's own count: its buffer overran and the trace has holes */
    uint64_t live_ranges;     /* maps live so far */
    uint64_t target_end;      /* one past the highest hpa mapped */
};

struct import;

/*
 * Read `input` (INPUT_TRACE or INPUT_LAYOUT by input_kind; anything else is a CHECK) from its start. The input stays
 * the caller's. NULL: no memory.
 */
struct import *import_new(struct input *input);
void import_free(struct import *import);

/*
 * The next op.
 *   1  *op is one      0  the end      -1  malformed or unreadable: import_message is `path:line:column: ...`
 */
int import_next(struct import *import, struct import_op *op);

const struct import_totals *import_totals(const struct import *import);
const char *import_message(const struct import *import);

/* What a reader of the totals should know about this input, one sentence a call from index 0 on; NULL past the last. */
const char *import_note(const struct import *import, unsigned index);
