/*
 * --accept: other expectations in a text script, and not a byte changed elsewhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct accepted {
    uint32_t line; /* of the script, from 1 */
    char *outcome;
};

/* Expectations to write, ascending by line. Start with { 0 }. */
struct accept {
    struct accepted *changes;
    size_t count, capacity;
};

/* False: no memory. */
bool accept_add(struct accept *accept, uint32_t line, const char *outcome);

/*
 * The script with the changes made: the text behind `->` replaced, or ` -> OUTCOME` put behind the op where it has
 * none; comments stay. A malloc'd string of *length bytes; NULL: no memory.
 */
char *accept_rewrite(const struct accept *accept, const char *script, size_t size, size_t *length);

void accept_free(struct accept *accept);
