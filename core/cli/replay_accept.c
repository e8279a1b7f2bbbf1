/*
 * Line by line over the script's own text, so that its layout and comments stay as their author wrote them.
 */
#define _GNU_SOURCE /* memmem */
#include "cli/replay_accept.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARROW_COLUMN = 66 }; /* where arrows stand that were not there before */

bool accept_add(struct accept *accept, uint32_t line, const char *outcome)
{
    char *copy = strdup(outcome);

    if (copy && accept->count == accept->capacity) {
        const size_t capacity = accept->capacity ? 2 * accept->capacity : 64;
        void *changes = realloc(accept->changes, capacity * sizeof(*accept->changes));

        if (changes) {
            accept->changes = changes;
            accept->capacity = capacity;
        }
    }
    if (!copy || accept->count == accept->capacity) {
        free(copy);
        return false;
    }
    accept->changes[accept->count++] = (struct accepted){ line, copy };
    return true;
}

void accept_free(struct accept *accept)
{
    for (size_t i = 0; i < accept->count; i++) free(accept->changes[i].outcome);
    free(accept->changes);
    *accept = (struct accept){ 0 };
}

static size_t without_blanks(const char *text, size_t length)
{
    while (length > 0 && strchr(" \t\r", text[length - 1])) length--;
    return length;
}

/* The line with its expectation replaced: op, arrow, outcome, comment with the blanks in front of it. */
static void write_line(FILE *out, const char *line, size_t length, const char *outcome)
{
    const char *comment = memchr(line, '#', length);
    const size_t before_comment = comment ? (size_t)(comment - line) : length;
    const size_t body = without_blanks(line, before_comment);
    const char *arrow = memmem(line, body, "->", 2);

    if (arrow) {
        fprintf(out, "%.*s-> %s", (int)(arrow - line), line, outcome);
    } else {
        fprintf(out, "%-*.*s -> %s", ARROW_COLUMN - 1, (int)body, line, outcome);
    }
    if (comment) fwrite(line + body, 1, length - body, out);
}

char *accept_rewrite(const struct accept *accept, const char *script, size_t size, size_t *length)
{
    const char *end = script + size;
    size_t change = 0;
    char *text = NULL;
    FILE *out = open_memstream(&text, length);

    if (!out) return NULL;
    for (uint32_t line = 1; script < end; line++) {
        const char *newline = memchr(script, '\n', (size_t)(end - script));
        const char *stop = newline ? newline : end;

        if (change < accept->count && accept->changes[change].line == line) {
            write_line(out, script, (size_t)(stop - script), accept->changes[change++].outcome);
        } else {
            fwrite(script, 1, (size_t)(stop - script), out);
        }
        if (newline) fputc('\n', out);
        script = stop + 1;
    }
    if (fclose(out) == 0) return text;
    free(text);
    return NULL;
}
