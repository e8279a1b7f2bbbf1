/*
 * One line of a golden file, taken apart. Internal to the golden reader.
 *
 *   KEYWORD field field ... [-> field field ...]      a field is key=value, or a bare word or number
 */
#pragma once

#include "import/golden.h"

enum golden_kind {
    GOLDEN_NOT_A_LINE,
    GOLDEN_TITLE, /* # NAME */
    GOLDEN_TABLE,
    GOLDEN_PAGE_SIZES,
    GOLDEN_TABLE_PAGES,
    GOLDEN_MAP,
    GOLDEN_UNMAP,
    GOLDEN_PHYS,
    GOLDEN_SETDIRTY,
    GOLDEN_DIRTY,
    GOLDEN_GATHER_BEGIN,
    GOLDEN_GATHER_END,
    GOLDEN_ALLOC_LIMIT,
    GOLDEN_TOP_LEVEL,
    GOLDEN_ITEM,
    GOLDEN_INIT,
    GOLDEN_END,
    /* arm/ only */
    GOLDEN_TABLES,
    GOLDEN_TOP_TABLE_BYTES,
    GOLDEN_ARM_START_LEVEL,
    GOLDEN_TCR,
    GOLDEN_VTCR,
    GOLDEN_KINDS,
};

struct golden_field {
    const char *key; /* "" for a bare word */
    const char *value;
    unsigned column; /* of the field's first character, from 1 */
    bool is_result;  /* stands after `->` */
};

struct golden_line {
    enum golden_kind kind;
    unsigned field_count;
    struct golden_field fields[GOLDEN_FIELDS_MAX];
};

/*
 * Take `text` apart in place (separators become zero bytes) and check it against its kind's keys and value forms.
 * False: *column and *message say what was expected where.
 */
bool golden_line_parse(struct golden_line *line, char *text, unsigned *column, char *message, size_t size);

/* Value of the request's field `key` ("" = the bare one), NULL where the line has none. */
const char *golden_line_get(const struct golden_line *line, const char *key);

/* The same as a number, 0 where the line has none. The form was checked when the line was parsed. */
uint64_t golden_line_number(const struct golden_line *line, const char *key);

/* Is there a result field of that key, or a bare result word equal to it? */
bool golden_line_has_result(const struct golden_line *line, const char *key);

/* Bits of a comma-separated list of the table line's feature names, prot names, page sizes. False: *bad is unknown. */
bool golden_features(const char *list, uint32_t *features, const char **bad);
bool golden_prot(const char *list, unsigned *prot, const char **bad);
bool golden_page_sizes(const char *list, uint64_t *sizes, const char **bad);

/* Write the feature list as init lines show it ("none" for 0). */
void golden_print_features(uint32_t features, char *buffer, size_t size);
