/* Field values as text: the printed forms of op_table.h. */
#include "script/op_table.h"

#include "base/bits.h"
#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static unsigned format_size(uint64_t value, char *text)
{
    static const char units[] = "KMGTP";

    /* The largest unit that divides it, where that leaves a number one reads at a glance. */
    for (unsigned i = sizeof(units) - 1; i-- > 0;) {
        const unsigned shift = 10 * (i + 1);

        if (value == 0 || !is_aligned(value, shift) || value >> shift > 1023) continue;
        return (unsigned)snprintf(text, OP_VALUE_TEXT_MAX, "%" PRIu64 "%c", value >> shift, units[i]);
    }
    return (unsigned)snprintf(text, OP_VALUE_TEXT_MAX, value ? "0x%" PRIx64 : "%" PRIx64, value);
}

static unsigned format_prot(uint64_t value, char *text)
{
    static const char *const words[] = { "cache", "noexec", "mmio", "priv" };
    unsigned length = 0;

    if (value & 1) text[length++] = 'r';
    if (value & 2) text[length++] = 'w';
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!(value & bit(2 + i))) continue;
        length += (unsigned)snprintf(text + length, OP_VALUE_TEXT_MAX - length, length ? ",%s" : "%s", words[i]);
    }
    if (length == 0) length = (unsigned)snprintf(text, OP_VALUE_TEXT_MAX, "none");
    text[length] = 0;
    return length;
}

unsigned op_format_value(enum op_field field, uint64_t value, char text[OP_VALUE_TEXT_MAX])
{
    const struct op_field_row *row = op_field_row(field);

    switch (row->form) {
    case FORM_ADDRESS: return (unsigned)snprintf(text, OP_VALUE_TEXT_MAX, "0x%" PRIx64, value);
    case FORM_SIZE: return format_size(value, text);
    case FORM_PIECE:
        if (value == 0) return (unsigned)snprintf(text, OP_VALUE_TEXT_MAX, "off");
        return format_size(bit((unsigned)value), text);
    case FORM_POWER: return format_size(bit((unsigned)value), text);
    case FORM_DEVICE: return (unsigned)snprintf(text, OP_VALUE_TEXT_MAX, "dev%" PRIu64, value);
    case FORM_NAMES:
        CHECK(value <= row->max);
        return (unsigned)snprintf(text, OP_VALUE_TEXT_MAX, "%s", row->names[value]);
    case FORM_PROT: return format_prot(value, text);
    case FORM_LIMIT:
        if (value == UINT64_MAX) return (unsigned)snprintf(text, OP_VALUE_TEXT_MAX, "off");
        break;
    case FORM_COUNT:
        if (value == UINT64_MAX) return (unsigned)snprintf(text, OP_VALUE_TEXT_MAX, "all");
        break;
    case FORM_NUMBER: break;
    }
    return (unsigned)snprintf(text, OP_VALUE_TEXT_MAX, "%" PRIu64, value);
}
