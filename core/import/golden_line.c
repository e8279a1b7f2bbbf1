/*
 * Lines of golden files, driven by one table: keyword, then the keys of the request, `->`, the keys of the result.
 *
 * A key's form is one letter after `=`, upper case where a line must have the key:
 *   x  hexadecimal with 0x     d  decimal, perhaps negative     r  A-B, hexadecimal     w  any word
 *   l  feature list            p  prot list                     s  page sizes           q  dirty ranges
 *   o  decimal or `off`        n  a bare word: the key itself
 * An empty key is a bare value.
 */
#include "import/golden_line.h"

#include "pt/pt.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INIT_REQUEST                                                                                                   \
    "fmt=w start_level=d top_level=d va_bits=d oa_bits=d features=l alloc_limit=d iommu_device=w driver_ops=w "        \
    "stage=d granule=w ias=d oas=d coherent=w quirks=w"
#define INIT_RESULT                                                                                                    \
    "ret=d top_level=d page_sizes=x aperture=r features=l ias=d oas=d top_table_bytes=d arm_start_level=d "            \
    "ips=d tg=d sh=d orgn=d irgn=d tsz=d mair=x ps=d sl0=d fail=n"

struct line_spec {
    const char *keyword;
    const char *request;
    const char *result; /* NULL: the line has no `->` */
};

static const struct line_spec specs[GOLDEN_KINDS] = {
    [GOLDEN_TABLE] = { "table",
                       "fmt=W start_level=d levels=d va_bits=d oa_bits=d c_bit=d mode=w page_sizes=s features=l "
                       "stage=d granule=w ias=d oas=d coherent=w quirks=w",
                       NULL },
    [GOLDEN_PAGE_SIZES] = { "page_sizes", "=X", NULL },
    [GOLDEN_TABLE_PAGES] = { "table_pages", "=D", NULL },
    [GOLDEN_MAP] = { "map", "iova=X pa=X len=X prot=P", "ret=D mapped=X sync=r freed=d" },
    [GOLDEN_UNMAP] = { "unmap", "iova=X len=X", "bytes=X sync=r freed=d nosync=n" },
    [GOLDEN_PHYS] = { "phys", "iova=X", "=X" },
    [GOLDEN_SETDIRTY] = { "setdirty", "iova=X", "ret=D" },
    [GOLDEN_DIRTY] = { "dirty", "iova=X len=X flags=W", "ret=D ranges=Q sync=r freed=d nosync=n" },
    [GOLDEN_GATHER_BEGIN] = { "gather_begin", "", NULL },
    [GOLDEN_GATHER_END] = { "gather_end", "", "sync=r freed=d nosync=n" },
    [GOLDEN_ALLOC_LIMIT] = { "alloc_limit", "=O", NULL },
    [GOLDEN_TOP_LEVEL] = { "top_level", "=D", NULL },
    [GOLDEN_ITEM] = { "item", "level=D va=X leaf=x table=x", NULL },
    [GOLDEN_INIT] = { "init", INIT_REQUEST, INIT_RESULT },
    [GOLDEN_END] = { "end", "", NULL },
    [GOLDEN_TABLES] = { "tables", "=D", NULL },
    [GOLDEN_TOP_TABLE_BYTES] = { "top_table_bytes", "=D", NULL },
    [GOLDEN_ARM_START_LEVEL] = { "arm_start_level", "=D", NULL },
    [GOLDEN_TCR] = { "tcr", "ips=D tg=D sh=D orgn=D irgn=D tsz=D mair=X", NULL },
    [GOLDEN_VTCR] = { "vtcr", "ps=D tg=D sh=D orgn=D irgn=D sl0=D tsz=D", NULL },
};

static const struct {
    const char *name;
    uint32_t feature;
} feature_names[] = {
    { "dma-incoherent", PT_DMA_INCOHERENT },   { "full-va", PT_FULL_VA },
    { "dynamic-top", PT_DYNAMIC_TOP },         { "sign-extend", PT_SIGN_EXTEND },
    { "flush-range", PT_FLUSH_RANGE },         { "flush-range-no-gaps", PT_FLUSH_RANGE_NO_GAPS },
    { "encrypt-tables", PT_ENCRYPT_TABLES },   { "force-coherence", PT_FORCE_COHERENCE },
    { "force-writeable", PT_FORCE_WRITEABLE }, { "napot-64k", PT_NAPOT_64K },
};

static const struct {
    const char *name;
    unsigned prot;
} prot_names[] = {
    { "none", 0 },         { "r", PT_READ },        { "w", PT_WRITE },   { "rw", PT_READ | PT_WRITE },
    { "cache", PT_CACHE }, { "noexec", PT_NOEXEC }, { "mmio", PT_MMIO }, { "priv", PT_PRIV },
};

enum {
    /* `bitN`, a feature bit that the format does not define, is bit 16 + N: no format with such lines defines those */
    UNDEFINED_FEATURE_SHIFT = 16,
    UNDEFINED_FEATURES = 16,
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A number at *text; *text moves behind it. False: none, or beyond 64 bits. */
static bool take_number(const char **text, bool is_hex, uint64_t *number)
{
    const char *digits = *text + (is_hex ? 2 : 0);
    char *end;

    if (is_hex && strncmp(*text, "0x", 2) != 0) return false;
    if (!(is_hex ? isxdigit((unsigned char)*digits) : isdigit((unsigned char)*digits))) return false;
    errno = 0;
    *number = strtoull(digits, &end, is_hex ? 16 : 10);
    *text = end;
    return errno == 0;
}

static bool is_number(const char *text, bool is_hex)
{
    uint64_t number;

    return take_number(&text, is_hex, &number) && *text == 0;
}

/* A-B, or A+B. */
static bool take_pair(const char **text, char separator)
{
    uint64_t number;

    if (!take_number(text, true, &number) || **text != separator) return false;
    ++*text;
    return take_number(text, true, &number);
}

static bool is_dirty_ranges(const char *text)
{
    if (strcmp(text, "none") == 0) return true;
    while (take_pair(&text, '+')) {
        if (*text == 0) return true;
        if (*text++ != ',') return false;
    }
    return false;
}

/* The length of the list's element at `list`. */
static size_t element_length(const char *list)
{
    return strcspn(list, ",");
}

static bool element_is(const char *list, const char *name)
{
    const size_t length = element_length(list);

    return length == strlen(name) && memcmp(list, name, length) == 0;
}

/* The element behind this one, NULL at the end. */
static const char *element_next(const char *list)
{
    list += element_length(list);
    return *list == ',' ? list + 1 : NULL;
}

static bool undefined_feature(const char *list, uint32_t *feature)
{
    uint64_t number;

    if (strncmp(list, "bit", 3) != 0) return false;
    list += 3;
    if (!take_number(&list, false, &number) || (*list != 0 && *list != ',')) return false;
    if (number >= UNDEFINED_FEATURES) return false;
    *feature = UINT32_C(1) << (UNDEFINED_FEATURE_SHIFT + number);
    return true;
}

bool golden_features(const char *list, uint32_t *features, const char **bad)
{
    *features = 0;
    if (strcmp(list, "none") == 0) return true;
    for (; list; list = element_next(list)) {
        uint32_t feature = 0;

        for (size_t i = 0; i < COUNT_OF(feature_names); i++) {
            if (element_is(list, feature_names[i].name)) feature = feature_names[i].feature;
        }
        if (!feature && !undefined_feature(list, &feature)) {
            *bad = list;
            return false;
        }
        *features |= feature;
    }
    return true;
}

void golden_print_features(uint32_t features, char *buffer, size_t size)
{
    size_t length = 0;

    for (size_t i = 0; i < COUNT_OF(feature_names); i++) {
        if (!(features & feature_names[i].feature) || length >= size) continue;
        length += (size_t)snprintf(buffer + length, size - length, "%s%s", length ? "," : "", feature_names[i].name);
        features &= ~feature_names[i].feature;
    }
    if (features && length < size)
        length += (size_t)snprintf(buffer + length, size - length, "%s0x%x", length ? "," : "", features);
    if (length == 0) snprintf(buffer, size, "none");
}

bool golden_prot(const char *list, unsigned *prot, const char **bad)
{
    *prot = 0;
    for (; list; list = element_next(list)) {
        bool is_known = false;

        for (size_t i = 0; i < COUNT_OF(prot_names); i++) {
            if (!element_is(list, prot_names[i].name)) continue;
            *prot |= prot_names[i].prot;
            is_known = true;
        }
        if (!is_known) {
            *bad = list;
            return false;
        }
    }
    return true;
}

/* A page size such as 4K: a power of two from 1 to 512 of a unit. */
static bool take_page_size(const char **list, uint64_t *size)
{
    static const char units[] = "KMGTP";
    const char *unit;
    uint64_t number;

    if (!take_number(list, false, &number) || number == 0 || number > 512 || (number & (number - 1))) return false;
    unit = **list ? strchr(units, **list) : NULL;
    if (!unit) return false;
    ++*list;
    *size = number << (10 * (unit - units + 1));
    return true;
}

bool golden_page_sizes(const char *list, uint64_t *sizes, const char **bad)
{
    const char *text = list;

    *bad = list;
    if (take_number(&text, true, sizes)) return *text == 0;
    *sizes = 0;
    for (; list; list = *list == ',' ? list + 1 : NULL) {
        uint64_t size;

        *bad = list;
        if (!take_page_size(&list, &size) || (*list != 0 && *list != ',')) return false;
        *sizes |= size;
    }
    return true;
}

/* What a value of that form should have been, or NULL if it is one. *bad is where it goes wrong. */
static const char *wrong_value(char form, const char *value, const char **bad)
{
    uint64_t sizes;
    uint32_t features;
    unsigned prot;
    const char *text = value;

    *bad = value;
    switch (form) {
    case 'x': return is_number(value, true) ? NULL : "a hexadecimal number of at most 64 bits with 0x";
    case 'd': return is_number(value + (*value == '-'), false) ? NULL : "a decimal number of at most 64 bits";
    case 'o': return strcmp(value, "off") == 0 || is_number(value, false) ? NULL : "a decimal number or off";
    case 'r': return take_pair(&text, '-') && *text == 0 ? NULL : "a range 0xFIRST-0xLAST";
    case 'q': return is_dirty_ranges(value) ? NULL : "ranges 0xSTART+0xLENGTH,... or none";
    case 'l': return golden_features(value, &features, bad) ? NULL : "a feature name";
    case 'p': return golden_prot(value, &prot, bad) ? NULL : "none, r, w, rw, cache, noexec, mmio or priv";
    case 's': return golden_page_sizes(value, &sizes, bad) ? NULL : "page sizes such as 4K,2M or 0x201000";
    default: return *value ? NULL : "a word";
    }
}

/* The form of `key` in a spec, 0 where it is not listed. The lower-case letter; `required` tells the case. */
static char spec_form(const char *spec, const char *key, size_t length)
{
    while (*spec) {
        const size_t key_length = strcspn(spec, "=");

        if (key_length == length && memcmp(spec, key, length) == 0) return spec[key_length + 1];
        spec += key_length + 2;
        spec += strspn(spec, " ");
    }
    return 0;
}

struct parse {
    struct golden_line *line;
    char *text; /* start of the line */
    unsigned *column;
    char *message;
    size_t size;
};

static bool refuse(const struct parse *parse, const char *place, const char *what, const char *text)
{
    *parse->column = (unsigned)(place - parse->text) + 1;
    snprintf(parse->message, parse->size, "%s%.80s", what, text);
    return false;
}

static bool parse_keyword(const struct parse *parse, const char *word)
{
    for (unsigned kind = 0; kind < GOLDEN_KINDS; kind++) {
        if (specs[kind].keyword && strcmp(specs[kind].keyword, word) == 0) {
            parse->line->kind = (enum golden_kind)kind;
            return true;
        }
    }
    return refuse(parse, word, "not a line of a golden file: ", word);
}

/* One key=value or bare word at `word`, which ends with a zero byte. */
static bool parse_field(const struct parse *parse, char *word, bool is_result)
{
    const struct line_spec *spec = &specs[parse->line->kind];
    const char *keys = is_result ? spec->result : spec->request;
    char *equals = strchr(word, '=');
    const size_t length = equals ? (size_t)(equals - word) : 0;
    struct golden_field *field = &parse->line->fields[parse->line->field_count];
    const char *expected, *bad;
    char form;

    if (parse->line->field_count == GOLDEN_FIELDS_MAX) return refuse(parse, word, "too many fields", "");
    *field = (struct golden_field){ equals ? word : "", equals ? equals + 1 : word, 0, is_result };
    field->column = (unsigned)(word - parse->text) + 1;
    parse->line->field_count++;
    if (!equals && spec_form(keys, word, strlen(word)) == 'n') return true;
    form = (char)tolower(spec_form(keys, word, length));
    if (!form || form == 'n') {
        if (equals) *equals = 0;
        return refuse(parse, word, equals ? "unknown key " : "unexpected word ", word);
    }
    if (equals) *equals = 0;
    expected = wrong_value(form, field->value, &bad);
    return !expected || refuse(parse, bad, "expected ", expected);
}

static bool has_field(const struct golden_line *line, bool is_result, const char *key, size_t length)
{
    for (unsigned i = 0; i < line->field_count; i++) {
        const struct golden_field *field = &line->fields[i];

        if (field->is_result == is_result && strlen(field->key) == length && memcmp(field->key, key, length) == 0)
            return true;
    }
    return false;
}

/* Every key that a line of this kind must have. */
static bool check_required(const struct parse *parse, const char *spec, bool is_result, const char *end)
{
    while (*spec) {
        const size_t length = strcspn(spec, "=");
        char missing[32];

        if (isupper((unsigned char)spec[length + 1]) && !has_field(parse->line, is_result, spec, length)) {
            snprintf(missing, sizeof(missing), "%.*s", (int)length, spec);
            return refuse(parse, end, length ? "missing key " : "missing value", missing);
        }
        spec += length + 2;
        spec += strspn(spec, " ");
    }
    return true;
}

/* A request has each key once. */
static bool check_once(const struct parse *parse)
{
    const struct golden_line *line = parse->line;

    for (unsigned i = 0; i < line->field_count; i++) {
        for (unsigned j = 0; j < i; j++) {
            if (line->fields[i].is_result || strcmp(line->fields[i].key, line->fields[j].key) != 0) continue;
            return refuse(parse, parse->text + line->fields[i].column - 1, "a second ", line->fields[i].key);
        }
    }
    return true;
}

bool golden_line_parse(struct golden_line *line, char *text, unsigned *column, char *message, size_t size)
{
    const struct parse parse = { line, text, column, message, size };
    const size_t length = strlen(text);
    const char *debug;
    bool is_result = false;
    char *rest = text;
    char *word;

    *line = (struct golden_line){ 0 };
    if (*text == '#') {
        line->kind = GOLDEN_TITLE;
        return true;
    }
    debug = strncmp(text, "init ", 5) == 0 ? strstr(text, " | ") : NULL;
    if (debug) text[debug - text] = 0; /* the answer of a debug build of Linux */
    word = strsep(&rest, " ");
    if (!parse_keyword(&parse, word)) return false;
    while ((word = strsep(&rest, " "))) {
        if (strcmp(word, "->") == 0 && !is_result && specs[line->kind].result) {
            is_result = true;
        } else if (*word && !parse_field(&parse, word, is_result)) {
            return false;
        }
    }
    if (!is_result && specs[line->kind].result) return refuse(&parse, text + length, "expected -> and a result", "");
    if (!check_required(&parse, specs[line->kind].request, false, text + length)) return false;
    if (is_result && !check_required(&parse, specs[line->kind].result, true, text + length)) return false;
    return check_once(&parse);
}

const char *golden_line_get(const struct golden_line *line, const char *key)
{
    for (unsigned i = 0; i < line->field_count; i++) {
        if (!line->fields[i].is_result && strcmp(line->fields[i].key, key) == 0) return line->fields[i].value;
    }
    return NULL;
}

uint64_t golden_line_number(const struct golden_line *line, const char *key)
{
    const char *value = golden_line_get(line, key);

    return value ? strtoull(value, NULL, strncmp(value, "0x", 2) == 0 ? 16 : 10) : 0;
}

bool golden_line_has_result(const struct golden_line *line, const char *key)
{
    for (unsigned i = 0; i < line->field_count; i++) {
        const struct golden_field *field = &line->fields[i];

        if (field->is_result && strcmp(*field->key ? field->key : field->value, key) == 0) return true;
    }
    return false;
}
