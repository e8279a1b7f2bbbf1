/* Values of options that more than one program takes; what is wrong with one is said by argp, exit 2. */
#pragma once

#include <argp.h>

/* Names by index, NULL past the end. */
typedef const char *name_at(unsigned index);

/* The index of `wanted`, or a message with every name there is; `what` they are names of. */
int option_name(struct argp_state *state, const char *what, name_at *names, const char *wanted);

struct option_range {
    const char *option; /* "--timeout" */
    const char *what;   /* is expected: "seconds" */
    unsigned least, most;
};

/* A decimal number in the range. */
unsigned option_number(struct argp_state *state, const struct option_range *range, const char *text);
