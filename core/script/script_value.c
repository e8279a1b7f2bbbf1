#include "script/script_value.h"

#include "base/bits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_MAX = 40 }; /* of a wrong value, in a message */

bool script_slice_is(struct script_slice slice, const char *word)
{
    return strlen(word) == slice.length && memcmp(slice.start, word, slice.length) == 0;
}

static int shown(struct script_slice slice)
{
    return slice.length < SHOWN_MAX ? (int)slice.length : SHOWN_MAX;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 99;
}

static unsigned unit_shift(char c)
{
    static const char units[] = "KMGTP";
    const char *found = memchr(units, c, sizeof(units) - 1);

    return found ? 10 * (unsigned)(found - units + 1) : 0;
}

enum number_result { NUMBER_OK, NUMBER_BAD, NUMBER_TOO_LARGE };

/* 0x1f, 31, or 31 and a unit. */
static enum number_result parse_number(struct script_slice text, uint64_t *value)
{
    const bool is_hex = text.length > 2 && text.start[0] == '0' && (text.start[1] == 'x' || text.start[1] == 'X');
    const uint64_t base = is_hex ? 16 : 10;
    size_t end = text.length;
    unsigned shift = 0;
    uint64_t number = 0;

    if (!is_hex && end > 1) shift = unit_shift(text.start[end - 1]);
    if (shift) end--;
    if (end == 0) return NUMBER_BAD;
    for (size_t i = is_hex ? 2 : 0; i < end; i++) {
        if ((uint64_t)digit_value(text.start[i]) >= base) return NUMBER_BAD;
    }
    for (size_t i = is_hex ? 2 : 0; i < end; i++) {
        const uint64_t digit = (uint64_t)digit_value(text.start[i]);

        if (number > (UINT64_MAX - digit) / base) return NUMBER_TOO_LARGE;
        number = number * base + digit;
    }
    if (shift && number > UINT64_MAX >> shift) return NUMBER_TOO_LARGE;
    *value = number << shift;
    return NUMBER_OK;
}

/* The word that a form has besides numbers. */
static const char *none_of(enum op_form form)
{
    if (form == FORM_COUNT) return ", or all";
    return form == FORM_LIMIT || form == FORM_PIECE ? ", or off" : "";
}

static bool parse_number_field(enum op_field field, struct script_slice text, uint64_t *value, char *message,
                               size_t size)
{
    const struct op_field_row *row = op_field_row(field);
    char low[OP_VALUE_TEXT_MAX];
    char high[OP_VALUE_TEXT_MAX];

    switch (parse_number(text, value)) {
    case NUMBER_BAD:
        snprintf(message, size, "'%.*s' is not a number; expected hex, decimal, or decimal with K M G T P%s",
                 shown(text), text.start, none_of(row->form));
        return false;
    case NUMBER_TOO_LARGE:
        snprintf(message, size, "%.*s does not fit in 64 bits", shown(text), text.start);
        return false;
    case NUMBER_OK: break;
    }
    if (row->form == FORM_POWER || row->form == FORM_PIECE) {
        if (*value < (row->form == FORM_PIECE ? 2 : 1) || *value & (*value - 1)) {
            snprintf(message, size, "%.*s is no power of two%s", shown(text), text.start,
                     row->form == FORM_PIECE ? " above 1" : "");
            return false;
        }
        *value = trailing_zeros(*value);
    }
    if (*value < row->min || *value > row->max) {
        op_format_value(field, row->min, low);
        op_format_value(field, row->max, high);
        snprintf(message, size, "%.*s is out of range; expected %s to %s", shown(text), text.start, low, high);
        return false;
    }
    if (!is_aligned(*value, row->unit)) {
        snprintf(message, size, "%.*s is not a multiple of %uK", shown(text), text.start, (1u << row->unit) / 1024);
        return false;
    }
    return true;
}

static bool parse_name(enum op_field field, struct script_slice text, uint64_t *value, char *message, size_t size)
{
    const struct op_field_row *row = op_field_row(field);
    int length;

    for (unsigned i = 0; i <= row->max; i++) {
        if (!script_slice_is(text, row->names[i])) continue;
        *value = i;
        return true;
    }
    length = snprintf(message, size, "unknown value '%.*s'; expected", shown(text), text.start);
    for (unsigned i = 0; i <= row->max && length > 0 && (size_t)length < size; i++) {
        length += snprintf(message + length, size - (size_t)length, "%s %s", i ? "," : "", row->names[i]);
    }
    return false;
}

static bool parse_device(enum op_field field, struct script_slice text, uint64_t *value, char *message, size_t size)
{
    const struct op_field_row *row = op_field_row(field);
    const struct script_slice number = { text.start + 3, text.length - 3 };

    if (text.length > 3 && memcmp(text.start, "dev", 3) == 0 && parse_number(number, value) == NUMBER_OK &&
        *value <= row->max) {
        return true;
    }
    snprintf(message, size, "unknown value '%.*s'; expected dev0 to dev%" PRIu64, shown(text), text.start, row->max);
    return false;
}

/* One word of a prot value: bits, or 0 if it is none. */
static uint64_t prot_bits(struct script_slice word)
{
    static const struct {
        const char *name;
        uint64_t bits;
    } words[] = {
        { "r", 1 }, { "w", 2 }, { "rw", 3 }, { "cache", 4 }, { "noexec", 8 }, { "mmio", 16 }, { "priv", 32 }
    };

    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (script_slice_is(word, words[i].name)) return words[i].bits;
    }
    return 0;
}

static bool parse_prot(struct script_slice text, uint64_t *value, char *message, size_t size)
{
    size_t start = 0;

    *value = 0;
    if (script_slice_is(text, "none")) return true;
    while (start <= text.length) {
        const char *comma = memchr(text.start + start, ',', text.length - start);
        const size_t end = comma ? (size_t)(comma - text.start) : text.length;
        const struct script_slice word = { text.start + start, end - start };
        const uint64_t bits = prot_bits(word);

        if (bits == 0 || (*value & bits)) {
            snprintf(message, size, "%s '%.*s'; expected r, w or rw, then any of cache,noexec,mmio,priv, or none",
                     bits ? "repeated" : "unknown value", shown(word), word.start);
            return false;
        }
        *value |= bits;
        start = end + 1;
    }
    return true;
}

bool script_parse_value(enum op_field field, struct script_slice text, uint64_t *value, char *message, size_t size)
{
    switch (op_field_row(field)->form) {
    case FORM_NAMES: return parse_name(field, text, value, message, size);
    case FORM_DEVICE: return parse_device(field, text, value, message, size);
    case FORM_PROT: return parse_prot(text, value, message, size);
    case FORM_LIMIT:
        if (script_slice_is(text, "off")) {
            *value = UINT64_MAX;
            return true;
        }
        break;
    case FORM_COUNT:
        if (script_slice_is(text, "all")) {
            *value = UINT64_MAX;
            return true;
        }
        break;
    case FORM_PIECE:
        *value = 0;
        if (script_slice_is(text, "off")) return true;
        break;
    case FORM_ADDRESS:
    case FORM_SIZE:
    case FORM_NUMBER:
    case FORM_POWER: break;
    }
    return parse_number_field(field, text, value, message, size);
}
