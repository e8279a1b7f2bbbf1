/* See option.h. */
#include "cli/option.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KNOWN_BYTES = 1024 };

int option_name(struct argp_state *state, const char *what, name_at *names, const char *wanted)
{
    char known[KNOWN_BYTES] = "";
    size_t length = 0;

    for (unsigned i = 0; names(i); i++) {
        if (strcmp(names(i), wanted) == 0) return (int)i;
        if (length < sizeof(known)) length += (size_t)snprintf(known + length, sizeof(known) - length, " %s", names(i));
    }
    argp_error(state, "unknown %s '%s'; there are:%s", what, wanted, known);
    return -1;
}

unsigned option_number(struct argp_state *state, const struct option_range *range, const char *text)
{
    char *end;
    const unsigned long number = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end || number < range->least || number > range->most)
        argp_error(state, "%s '%s': expected %s, %u to %u", range->option, text, range->what, range->least,
                   range->most);
    return (unsigned)number;
}
