/*
 * The op table's rows, for whoever works on every op and field alike: parser, printer, generator, mutator, simplifier
 * and the test that keeps README.md right. Users of single ops take op.h.
 */
#pragma once

#include "script/op.h"

/* How a field's value is written. Every number may be typed as hex, decimal or with a unit K M G T P. */
enum op_form {
    FORM_ADDRESS, /* 0x1000 */
    FORM_SIZE,    /* 8M, or hex where no unit fits */
    FORM_NUMBER,  /* 12 */
    FORM_POWER,   /* 4K for 12: a power of two, the value is its logarithm */
    FORM_PIECE,   /* the same, above 1, or `off` for 0 */
    FORM_DEVICE,  /* dev0 */
    FORM_NAMES,   /* one of `names` */
    FORM_PROT,    /* rw,mmio or none */
    FORM_LIMIT,   /* a number, or `off` for UINT64_MAX */
    FORM_COUNT,   /* a number, or `all` for UINT64_MAX */
};

/*
 * Where a field lives and how it is written. Bits [shift, shift + width) of word 0 (head) or 1..3 (operands) hold
 * value >> unit, so a field with unit 12 takes multiples of 4K only.
 */
struct op_field_row {
    const char *name;
    uint8_t word, shift, width, unit;
    enum op_form form;
    uint64_t min, max;        /* legal values, inclusive */
    uint64_t standard;        /* the default; op_default knows the one exception */
    const char *const *names; /* FORM_NAMES: max + 1 of them */
    const char *meaning;
};

enum {
    OP_SPEC_FIELDS_MAX = 40,
    OP_REQUIRED = 0x80, /* ORed to a field of a spec: a script must write it */
    OP_FIELD_MASK = 0x7f,
};

/* One op: its fields in the order they are printed. */
struct op_spec {
    const char *name;
    const char *meaning;
    uint8_t kind;
    uint8_t field_count;
    uint8_t fields[OP_SPEC_FIELDS_MAX];
};

/* Row `index` in the order of README.md, NULL past the end. */
const struct op_spec *op_spec_at(unsigned index);
/* The row of a kind, NULL if there is none. */
const struct op_spec *op_spec_of(enum op_kind kind);
/* The row of a name of `length` bytes, NULL if there is none. */
const struct op_spec *op_spec_find(const char *name, unsigned length);
const struct op_field_row *op_field_row(enum op_field field);

/* What the field is when a script does not write it, given the op's other fields. */
uint64_t op_default(const struct op *op, enum op_field field);

/* Longest text op_format_value writes, its 0 included. */
enum { OP_VALUE_TEXT_MAX = 64 };

/* The value as scripts write it. Returns its length. */
unsigned op_format_value(enum op_field field, uint64_t value, char text[OP_VALUE_TEXT_MAX]);
