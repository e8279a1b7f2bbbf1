/* Field values from text; the reverse of op_format_value. For the parser. */
#pragma once

#include "script/op_table.h"

#include <stdbool.h>
#include <stddef.h>

struct script_slice {
    const char *start;
    size_t length;
};

/* Is the slice exactly this word? */
bool script_slice_is(struct script_slice slice, const char *word);

/* False: not a value of that field; `message` says what was found and expected, without the key's name. */
bool script_parse_value(enum op_field field, struct script_slice text, uint64_t *value, char *message, size_t size);
