/*
 * The two line formats. The trace's is fixed by the kernel (include/trace/events/iommu.h prints it):
 *
 *   TASK-PID [CPU] FLAGS SECONDS: map: IOMMU: iova=0xA - 0xB paddr=0xP size=N
 *   TASK-PID [CPU] FLAGS SECONDS: unmap: IOMMU: iova=0xA - 0xB size=N unmapped_size=N
 *
 * Task names are free text, so the event is looked for by its name behind the time stamp (or behind `iommu:`, as other
 * tools print it), not by columns.
 */
#include "import/event.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct scan {
    const char *line;
    const char *at;
    const char *expected; /* what was missing at `at`; NULL: all well so far */
};

/* Step over `word` and the blanks behind it. */
static void take_word(struct scan *scan, const char *word)
{
    if (scan->expected) return;
    if (strncmp(scan->at, word, strlen(word)) != 0) {
        scan->expected = word;
        return;
    }
    scan->at += strlen(word);
    scan->at += strspn(scan->at, " ");
}

static uint64_t take_number(struct scan *scan, bool is_hex, const char *expected)
{
    const char *digits = scan->at + (is_hex ? 2 : 0);
    uint64_t number;
    char *end;

    if (scan->expected) return 0;
    scan->expected = expected;
    if (is_hex && strncmp(scan->at, "0x", 2) != 0) return 0;
    if (!(is_hex ? isxdigit((unsigned char)*digits) : isdigit((unsigned char)*digits))) return 0;
    errno = 0;
    number = strtoull(digits, &end, is_hex ? 16 : 10);
    if (errno != 0 || (*end != ' ' && *end != 0)) return 0;
    scan->expected = NULL;
    scan->at = end + strspn(end, " ");
    return number;
}

static uint64_t take_address(struct scan *scan)
{
    return take_number(scan, true, "an address, 0x and at most 16 hexadecimal digits");
}

static uint64_t take_size(struct scan *scan)
{
    return take_number(scan, false, "a decimal number of bytes");
}

static void take_end(struct scan *scan)
{
    if (!scan->expected && *scan->at != 0) scan->expected = "the end of the line";
}

static struct event bad(const struct scan *scan)
{
    return (struct event){
        .kind = EVENT_BAD,
        .column = (unsigned)(scan->at - scan->line) + 1,
        .expected = scan->expected,
    };
}

static struct event skip(enum import_skip reason)
{
    return (struct event){ .kind = EVENT_SKIP, .reason = reason };
}

/* Is the text before `name` a time stamp's end, or the event's system? */
static bool stands_for_event(const char *line, const char *name)
{
    const char *end = name;

    while (end > line && end[-1] == ' ') end--;
    if (end == name) return name - line >= 6 && strncmp(name - 6, "iommu:", 6) == 0;
    return end - line >= 2 && end[-1] == ':' && isdigit((unsigned char)end[-2]);
}

/* The event's name if it is map or unmap, else NULL. */
static const char *find_event(const char *line)
{
    const char *at = line;

    while ((at = strstr(at, "map:"))) {
        const char *name = at - line >= 2 && strncmp(at - 2, "un", 2) == 0 ? at - 2 : at;

        if (stands_for_event(line, name)) return name;
        at++;
    }
    return NULL;
}

static struct event parse_event(const char *line, const char *name)
{
    struct scan scan = { line, name, NULL };
    struct event event = { .kind = *name == 'u' ? EVENT_UNMAP : EVENT_MAP };
    const char *size_at;
    uint64_t end;

    take_word(&scan, event.kind == EVENT_MAP ? "map:" : "unmap:");
    take_word(&scan, "IOMMU:");
    take_word(&scan, "iova=");
    event.input = take_address(&scan);
    take_word(&scan, "-");
    end = take_address(&scan);
    if (event.kind == EVENT_MAP) {
        take_word(&scan, "paddr=");
        event.target = take_address(&scan);
    }
    take_word(&scan, "size=");
    size_at = scan.at;
    event.length = take_size(&scan);
    if (!scan.expected && (event.length == 0 || end - event.input != event.length)) {
        scan.at = size_at;
        scan.expected = "a size that is the distance of the two addresses, not 0";
    }
    if (event.kind == EVENT_UNMAP) {
        take_word(&scan, "unmapped_size=");
        event.unmapped = take_size(&scan);
    }
    take_end(&scan);
    return scan.expected ? bad(&scan) : event;
}

/* Does the line have ftrace's `[CPU] ... SECONDS.MICROSECONDS: `? */
static bool is_some_event(const char *line)
{
    for (const char *colon = strstr(line, ": "); colon; colon = strstr(colon + 1, ": ")) {
        const char *at = colon;

        while (at > line && isdigit((unsigned char)at[-1])) at--;
        if (at < colon && at - line >= 2 && at[-1] == '.' && isdigit((unsigned char)at[-2])) return true;
    }
    return false;
}

/* `CPU:1 [LOST 42 EVENTS]` */
static uint64_t lost_events(const char *line)
{
    const char *lost = strstr(line, "[LOST ");

    return lost ? strtoull(lost + 6, NULL, 10) : 0;
}

struct event event_of_trace(const char *line)
{
    const char *name;
    struct event event;

    if (*line == 0 || *line == '#') return skip(SKIP_COMMENT);
    name = find_event(line);
    if (name) return parse_event(line, name);
    if (is_some_event(line)) return skip(SKIP_OTHER_EVENT);
    event = skip(SKIP_OTHER_LINE);
    event.lost = lost_events(line);
    return event;
}

struct event event_of_layout(const char *line)
{
    struct scan scan = { line, line, NULL };
    struct event event = { .kind = EVENT_MAP };
    const char *size_at;

    scan.at += strspn(scan.at, " \t");
    if (*scan.at == 0 || *scan.at == '#') return skip(SKIP_COMMENT);
    take_word(&scan, "gpa=");
    event.input = take_address(&scan);
    take_word(&scan, "hpa=");
    event.target = take_address(&scan);
    take_word(&scan, "size=");
    size_at = scan.at;
    event.length = take_address(&scan);
    if (!scan.expected && (event.length == 0 || event.length - 1 > UINT64_MAX - event.input)) {
        scan.at = size_at;
        scan.expected = "a size, not 0, that ends within 64 bits";
    }
    take_end(&scan);
    return scan.expected ? bad(&scan) : event;
}
