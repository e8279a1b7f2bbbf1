/*
 * Which operations a program did on which engines: a row that notes each call and passes it on to the engine's own. For
 * tests and fuzz targets, which print it for scripts/matrix; nothing else pays for it.
 *
 * An operation is what the call was and what came of it: a resize is counted as the direction in which it went, a map
 * that needed a taller top also as growth, and any change of a table whose walker does not snoop also as incoherent.
 */
#pragma once

#include "pt/engine.h"

#include <stdio.h>

enum pt_operation {
    OPERATION_MAP,
    OPERATION_UNMAP,
    OPERATION_MAP_LIST,
    OPERATION_UNMAP_RANGES,
    OPERATION_LOOKUP,
    OPERATION_DIRTY,
    OPERATION_SET_DIRTY,
    OPERATION_CUT,
    OPERATION_DECREASE,
    OPERATION_INCREASE,
    OPERATION_GROWTH,
    OPERATION_INCOHERENT,
    OPERATION_COUNT,
};

/* As the matrix writes it: "map", "unmap", "map_list", ... */
const char *operation_name(enum pt_operation operation);

struct operation_counts {
    uint64_t calls[OPERATION_COUNT];
    uint64_t events[OPERATION_COUNT]; /* what happened in those calls: recorder_event */
    uint64_t pending;                 /* events of the call under way */
    unsigned last;                    /* operations of the last call: bit 1 << operation */
};

struct recorder {
    struct engine row; /* first: a table's engine is where its recorder is */
    const struct engine *real;
    struct operation_counts *counts;
};

enum { RECORDERS_MAX = 64 };

/* One recorder an engine. All zero is empty. */
struct recorder_set {
    struct recorder recorders[RECORDERS_MAX];
    struct operation_counts counts[RECORDERS_MAX];
    unsigned count;
};

/* From now on calls on this table, which pt_init made, are counted in `set`. A table that is recorded already stays. */
void recorder_attach(struct recorder_set *set, struct pt *pt);

/* Something happened in a call on this table, which is recorded: in the one under way, or because of the last one. */
void recorder_event(const struct pt *pt);
void recorder_event_of_last(const struct pt *pt);

/*
 * One line a format and operation that has any: `did EVIDENCE FORMAT OPERATION NUMBER`. NUMBER is that of calls, of
 * events, or 1. Counts start again from 0.
 */
enum recorder_number { NUMBER_CALLS, NUMBER_EVENTS, NUMBER_ONE };
void recorder_print(struct recorder_set *set, const char *evidence, enum recorder_number number, FILE *file);
