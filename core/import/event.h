/*
 * Lines of traces and layouts, taken apart one at a time. Internal to the importers.
 */
#pragma once

#include "import/import.h"

enum event_kind { EVENT_MAP, EVENT_UNMAP, EVENT_SKIP, EVENT_BAD };

struct event {
    enum event_kind kind;
    uint64_t input, target, length;
    uint64_t unmapped;       /* EVENT_UNMAP: what the kernel says it removed */
    uint64_t lost;           /* EVENT_SKIP: events the kernel says it lost here */
    enum import_skip reason; /* EVENT_SKIP */
    unsigned column;         /* EVENT_BAD: from 1 */
    const char *expected;    /* EVENT_BAD: what should stand there */
};

/* One line of ftrace text. */
struct event event_of_trace(const char *line);

/* One line of a layout: gpa= hpa= size=, a comment or nothing. */
struct event event_of_layout(const char *line);
