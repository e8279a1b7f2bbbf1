/*
 * A golden case on one of our engines: do the request, write the line as a golden file would show the answer, compare
 * the texts.
 */
#define _GNU_SOURCE /* vasprintf */
#include "import/golden_case.h"

#include "base/check.h"
#include "import/golden_arm.h"
#include "pt/armv8_registers.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Text that grows. `is_lost` is set when memory ran out. */
struct text {
    char *bytes;
    size_t length;
    bool is_lost;
};

struct replay {
    const struct golden_case *golden_case;
    struct table_pool *pool;
    struct pt pt;
    struct pt_gather gather;
    struct golden_arm arm; /* files of io-pgtable-arm */
    bool is_arm;
    bool is_gathering;     /* between gather_begin and gather_end */
    bool shows_flushes;    /* the case has sync= parts and table_pages lines all along */
    bool is_listed;        /* `items` is filled */
    struct text flushes;   /* sync= parts of the call under way */
    struct text ranges;    /* dirty ranges of the call under way */
    struct text line;      /* our reading of the line under way */
    struct text items;     /* our final table, one line an item */
    size_t items_compared; /* bytes of `items` that have been compared */
};

__attribute__((format(printf, 2, 3))) static void text_add(struct text *text, const char *format, ...)
{
    va_list arguments;
    char *more = NULL;
    char *bytes;
    int length;

    va_start(arguments, format);
    length = vasprintf(&more, format, arguments);
    va_end(arguments);
    bytes = length >= 0 ? realloc(text->bytes, text->length + (size_t)length + 1) : NULL;
    if (!bytes) {
        text->is_lost = true;
        if (length >= 0) free(more);
        return;
    }
    memcpy(bytes + text->length, more, (size_t)length + 1);
    free(more);
    text->bytes = bytes;
    text->length += (size_t)length;
}

static void text_clear(struct text *text)
{
    text->length = 0;
    if (text->bytes) *text->bytes = 0;
}

static const char *text_string(const struct text *text)
{
    return text->bytes ? text->bytes : "";
}

/* ---- what the engine asks of its owner -------------------------------------------------------------------------- */

static void on_sync(void *context, iova_t first, iova_t last, unsigned freed)
{
    struct replay *replay = context;

    text_add(&replay->flushes, " sync=0x%llx-0x%llx freed=%u", (unsigned long long)first.value,
             (unsigned long long)last.value, freed);
}

static void on_top_changed(void *context, hpa_t top, unsigned level)
{
    (void)context, (void)top, (void)level;
}

static void on_flush(void *context, hpa_t table, unsigned offset, unsigned length)
{
    (void)context, (void)table, (void)offset, (void)length;
}

static const struct pt_hooks hooks_all = { .sync = on_sync, .top_changed = on_top_changed, .flush = on_flush };
static const struct pt_hooks hooks_no_driver = { .sync = on_sync, .flush = on_flush };
static const struct pt_hooks hooks_no_device = { .sync = on_sync, .top_changed = on_top_changed };

static void on_dirty(void *context, iova_t start, uint64_t length)
{
    struct replay *replay = context;

    text_add(&replay->ranges, "%s0x%llx+0x%llx", replay->ranges.length ? "," : "", (unsigned long long)start.value,
             (unsigned long long)length);
}

static void on_item(void *context, const struct pt_item *item)
{
    struct replay *replay = context;

    text_add(&replay->items, "item level=%u va=0x%llx %s=0x%016llx\n", item->level, (unsigned long long)item->va.value,
             item->is_table ? "table" : "leaf", (unsigned long long)(item->is_table ? item->bare : item->raw));
}

/* ---- configuration ---------------------------------------------------------------------------------------------- */

static bool word_is(const struct golden_line *line, const char *key, const char *wanted)
{
    const char *value = golden_line_get(line, key);

    return value && strcmp(value, wanted) == 0;
}

/* What a table or init line asks for. */
static struct pt_config config_of(const struct golden_line *line, struct replay *replay)
{
    const char *features = golden_line_get(line, "features");
    const char *sizes = golden_line_get(line, "page_sizes");
    const uint64_t levels = golden_line_number(line, "levels");
    const char *bad;
    struct pt_config config = {
        .va_bits = (unsigned)golden_line_number(line, "va_bits"),
        .oa_bits = (unsigned)golden_line_number(line, "oa_bits"),
        .c_bit = (unsigned)golden_line_number(line, "c_bit"),
        .pool = replay->pool,
        .hooks = &hooks_all,
        .context = replay,
    };

    /* start_level and top_level are the same number, levels counts from one; a line has one of them */
    config.top_level = (unsigned)(golden_line_number(line, "start_level") + golden_line_number(line, "top_level") +
                                  (levels ? levels - 1 : 0));
    if (features) CHECK(golden_features(features, &config.features, &bad));
    if (sizes) CHECK(golden_page_sizes(sizes, &config.page_sizes, &bad));
    if (word_is(line, "driver_ops", "none")) config.hooks = &hooks_no_driver;
    if (word_is(line, "iommu_device", "none")) config.hooks = &hooks_no_device;
    /* Linux's amdv1 always has it; the table lines of these files leave it out */
    if (line->kind == GOLDEN_TABLE && word_is(line, "fmt", "amdv1")) config.features |= PT_ENCRYPT_TABLES;
    return config;
}

static void set_limit(struct replay *replay, const struct golden_line *line, const char *key)
{
    const char *value = golden_line_get(line, key);

    if (!value) return;
    replay->pool->allocations_left = strcmp(value, "off") == 0 ? POOL_NO_LIMIT : golden_line_number(line, key);
}

static void do_table(struct replay *replay, const struct golden_line *line, const struct engine *engine)
{
    struct pt_config config = config_of(line, replay);
    int error;

    if (replay->is_arm && !golden_arm_config(line, &config, &replay->arm)) {
        text_add(&replay->line, " -> refused");
        return;
    }
    error = pt_init(&replay->pt, engine, &config);
    if (error) {
        replay->pt.engine = NULL;
        text_add(&replay->line, " -> ret=%d", error);
    }
}

/* The driver of these tables gives no errno. */
static void do_arm_init(struct replay *replay, const struct golden_line *line, const struct engine *engine)
{
    struct pt_config config = config_of(line, replay);
    struct armv8_registers registers;
    char fields[128];

    if (!golden_arm_config(line, &config, &replay->arm) || pt_init(&replay->pt, engine, &config)) {
        replay->pt.engine = NULL;
        text_add(&replay->line, "fail");
        return;
    }
    golden_arm_print_registers(&replay->pt, &replay->arm, fields, sizeof(fields));
    CHECK(armv8_registers(&replay->pt, replay->arm.outer_write_back, &registers));
    text_add(&replay->line,
             "ret=0 page_sizes=0x%llx ias=%u oas=%u top_level=%u top_table_bytes=%u arm_start_level=%u %s",
             (unsigned long long)golden_arm_page_sizes(&replay->pt, &replay->arm), config.va_bits, config.oa_bits,
             3 - registers.start_level, registers.top_bytes, registers.start_level, fields);
}

static void do_init(struct replay *replay, const struct golden_line *line, const struct engine *engine)
{
    const struct pt_config config = config_of(line, replay);
    struct pt_info info;
    char features[256];
    int error;

    set_limit(replay, line, "alloc_limit");
    error = pt_init(&replay->pt, engine, &config);
    text_add(&replay->line, "ret=%d", error);
    if (error) {
        replay->pt.engine = NULL;
        return;
    }
    pt_get_info(&replay->pt, &info);
    golden_print_features(info.features, features, sizeof(features));
    text_add(&replay->line, " top_level=%u page_sizes=0x%llx aperture=0x%llx-0x%llx features=%s", info.top_level,
             (unsigned long long)info.page_sizes, (unsigned long long)info.first.value,
             (unsigned long long)info.last.value, features);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static iova_t input_of(const struct golden_line *line)
{
    return iova(golden_line_number(line, "iova"));
}

static void do_map(struct replay *replay, const struct golden_line *line)
{
    const hpa_t target = hpa(golden_line_number(line, "pa"));
    const uint64_t length = golden_line_number(line, "len");
    const char *bad;
    uint64_t mapped = 0;
    unsigned prot;
    int error;

    CHECK(golden_prot(golden_line_get(line, "prot"), &prot, &bad));
    error = pt_map_range(&replay->pt, input_of(line), target, length, prot, &mapped);
    text_add(&replay->line, "ret=%d mapped=0x%llx%s", error, (unsigned long long)mapped,
             replay->shows_flushes ? text_string(&replay->flushes) : "");
}

/* The flush at the end of a gather: its sync= part, or nosync. */
static void add_gather_end(struct replay *replay, struct pt_gather *gather)
{
    pt_gather_sync(&replay->pt, gather);
    text_add(&replay->line, "%s", replay->flushes.length ? text_string(&replay->flushes) : " nosync");
}

static void do_unmap(struct replay *replay, const struct golden_line *line)
{
    struct pt_gather own = pt_gather_empty();
    const uint64_t length = golden_line_number(line, "len");
    struct pt_gather *gather = replay->is_gathering ? &replay->gather : &own;
    const uint64_t bytes = pt_unmap_range(&replay->pt, input_of(line), length, gather);

    text_add(&replay->line, "bytes=0x%llx", (unsigned long long)bytes);
    if (replay->is_gathering) {
        text_add(&replay->line, "%s", text_string(&replay->flushes));
    } else if (replay->shows_flushes) {
        add_gather_end(replay, &own);
    } else {
        pt_gather_sync(&replay->pt, &own);
    }
}

static void do_phys(struct replay *replay, const struct golden_line *line)
{
    hpa_t result = hpa(0);

    if (!pt_iova_to_phys(&replay->pt, input_of(line), &result)) result = hpa(0);
    text_add(&replay->line, "0x%llx", (unsigned long long)result.value);
}

static void do_dirty(struct replay *replay, const struct golden_line *line)
{
    struct pt_gather gather = pt_gather_empty();
    const uint64_t length = golden_line_number(line, "len");
    const bool clears = word_is(line, "flags", "clear");
    const int error = pt_read_and_clear_dirty(&replay->pt, input_of(line), length, clears ? 0 : PT_DIRTY_NO_CLEAR,
                                              on_dirty, replay, &gather);

    text_add(&replay->line, "ret=%d ranges=%s", error, replay->ranges.length ? text_string(&replay->ranges) : "none");
    if (clears) {
        add_gather_end(replay, &gather);
    } else {
        /* reading alone must not ask for a flush: one would show here */
        pt_gather_sync(&replay->pt, &gather);
        text_add(&replay->line, "%s", text_string(&replay->flushes));
    }
}

static void do_gather(struct replay *replay, enum golden_kind kind)
{
    if (kind == GOLDEN_GATHER_BEGIN) {
        replay->gather = pt_gather_empty();
        replay->is_gathering = true;
        return;
    }
    replay->is_gathering = false;
    pt_gather_sync(&replay->pt, &replay->gather);
    text_add(&replay->line, "%s", replay->flushes.length ? text_string(&replay->flushes) + 1 : "nosync");
}

static void do_page_sizes(struct replay *replay)
{
    struct pt_info info;

    pt_get_info(&replay->pt, &info);
    if (replay->is_arm) info.page_sizes = golden_arm_page_sizes(&replay->pt, &replay->arm);
    text_add(&replay->line, "page_sizes 0x%llx", (unsigned long long)info.page_sizes);
}

static void do_top_level(struct replay *replay)
{
    struct pt_info info;

    pt_get_info(&replay->pt, &info);
    text_add(&replay->line, "top_level %u", info.top_level);
}

static void do_arm_line(struct replay *replay, enum golden_kind kind)
{
    struct armv8_registers registers;
    char fields[128];

    if (!armv8_registers(&replay->pt, replay->arm.outer_write_back, &registers)) return;
    golden_arm_print_registers(&replay->pt, &replay->arm, fields, sizeof(fields));
    if (kind == GOLDEN_TABLES)
        text_add(&replay->line, "tables %u", table_pool_live_tables(replay->pool));
    else if (kind == GOLDEN_TOP_TABLE_BYTES)
        text_add(&replay->line, "top_table_bytes %u", registers.top_bytes);
    else if (kind == GOLDEN_ARM_START_LEVEL)
        text_add(&replay->line, "arm_start_level %u", registers.start_level);
    else
        text_add(&replay->line, "%s %s", registers.is_stage2 ? "vtcr" : "tcr", fields);
}

/* The next item of our table, or nothing where it has no more. */
static void do_item(struct replay *replay)
{
    const char *item, *newline;

    if (!replay->is_listed) {
        pt_walk_items(&replay->pt, on_item, replay);
        replay->is_listed = true;
    }
    item = text_string(&replay->items) + replay->items_compared;
    newline = strchr(item, '\n');
    if (!newline) return;
    text_add(&replay->line, "%.*s", (int)(newline - item), item);
    replay->items_compared += (size_t)(newline - item) + 1;
}

/* At the end every item has been compared, and without the table nothing of the pool is in use. */
static void do_end(struct replay *replay)
{
    do_item(replay);
    if (replay->line.length) return;
    pt_deinit(&replay->pt);
    replay->pt.engine = NULL;
    text_add(&replay->line, "end");
    if (replay->pool->live_pages)
        text_add(&replay->line, " with %u table pages in use after pt_deinit", replay->pool->live_pages);
}

/* Do what the line says, and leave our reading of it in replay->line. `prefix` bytes of the text are the request. */
static void do_line(struct replay *replay, const struct golden_line *line, const struct engine *engine)
{
    switch (line->kind) {
    case GOLDEN_TABLE: do_table(replay, line, engine); break;
    case GOLDEN_INIT: (replay->is_arm ? do_arm_init : do_init)(replay, line, engine); break;
    case GOLDEN_PAGE_SIZES: do_page_sizes(replay); break;
    case GOLDEN_TABLE_PAGES: text_add(&replay->line, "table_pages %u", replay->pool->live_pages); break;
    case GOLDEN_MAP: do_map(replay, line); break;
    case GOLDEN_UNMAP: do_unmap(replay, line); break;
    case GOLDEN_PHYS: do_phys(replay, line); break;
    case GOLDEN_SETDIRTY: text_add(&replay->line, "ret=%d", pt_set_dirty(&replay->pt, input_of(line))); break;
    case GOLDEN_DIRTY: do_dirty(replay, line); break;
    case GOLDEN_GATHER_BEGIN:
    case GOLDEN_GATHER_END: do_gather(replay, line->kind); break;
    case GOLDEN_ALLOC_LIMIT: set_limit(replay, line, ""); break;
    case GOLDEN_TOP_LEVEL: do_top_level(replay); break;
    case GOLDEN_ITEM: do_item(replay); break;
    case GOLDEN_END: do_end(replay); break;
    case GOLDEN_TABLES:
    case GOLDEN_TOP_TABLE_BYTES:
    case GOLDEN_ARM_START_LEVEL:
    case GOLDEN_TCR:
    case GOLDEN_VTCR: do_arm_line(replay, line->kind); break;
    default: text_add(&replay->line, "(this line has no meaning for %s)", engine->format); break;
    }
}

/* Kinds whose line repeats the request before our answer. */
static bool repeats_request(enum golden_kind kind)
{
    return kind == GOLDEN_TABLE || kind == GOLDEN_GATHER_BEGIN || kind == GOLDEN_ALLOC_LIMIT;
}

/* How many bytes of the text to take over: all of it, or up to and with the arrow, or none. */
static size_t request_length(const char *text, enum golden_kind kind)
{
    const char *arrow = strstr(text, "-> ");

    if (repeats_request(kind)) return strlen(text);
    return arrow ? (size_t)(arrow + 3 - text) : 0;
}

/* The part of the text that is compared: without trailing blanks and without what debug builds of Linux answer. */
static size_t compared_length(const char *text, enum golden_kind kind)
{
    const char *debug = kind == GOLDEN_INIT ? strstr(text, " | ") : NULL;
    size_t length = debug ? (size_t)(debug - text) : strlen(text);

    while (length > 0 && text[length - 1] == ' ') length--;
    return length;
}

/* 0 equal, 1 different, -ENOMEM */
static int replay_line(struct replay *replay, const struct golden_case_line *source, const struct engine *engine)
{
    const size_t length = compared_length(source->text, source->kind);
    struct golden_line line;
    char message[128];
    unsigned column;
    char *copy;

    copy = strndup(source->text, length);
    if (!copy) return -ENOMEM;
    text_clear(&replay->flushes);
    text_clear(&replay->ranges);
    text_clear(&replay->line);
    text_add(&replay->line, "%.*s", (int)request_length(copy, source->kind), copy);
    CHECK(golden_line_parse(&line, copy, &column, message, sizeof(message)));
    if (source == replay->golden_case->lines) replay->is_arm = golden_line_get(&line, "granule") != NULL;
    do_line(replay, &line, engine);
    free(copy);
    if (replay->line.is_lost || replay->flushes.is_lost || replay->ranges.is_lost || replay->items.is_lost)
        return -ENOMEM;
    return replay->line.length != length || memcmp(text_string(&replay->line), source->text, length) != 0;
}

static int fill_mismatch(struct replay *replay, const struct golden_case_line *source, struct golden_mismatch *mismatch)
{
    const bool is_missing = replay->line.length == 0;
    const bool is_extra = source->kind == GOLDEN_END && strncmp(text_string(&replay->line), "item", 4) == 0;

    mismatch->line = source->number;
    mismatch->golden = strdup(is_extra ? "(no further item)" : source->text);
    mismatch->engine = strdup(is_missing ? "(no further item)" : text_string(&replay->line));
    if (mismatch->golden && mismatch->engine) return 1;
    free(mismatch->golden);
    free(mismatch->engine);
    return -ENOMEM;
}

int golden_case_run(const struct golden_case *golden_case, const struct engine *engine, struct table_pool *pool,
                    struct golden_mismatch *mismatch)
{
    struct replay replay = { .golden_case = golden_case, .pool = pool, .gather = pt_gather_empty() };
    int result = 0;

    table_pool_reset(pool);
    replay.shows_flushes = golden_case->count > 2 && golden_case->lines[2].kind == GOLDEN_TABLE_PAGES;
    for (unsigned i = 0; i < golden_case->count && result == 0; i++) {
        result = replay_line(&replay, &golden_case->lines[i], engine);
        if (result == 1) result = fill_mismatch(&replay, &golden_case->lines[i], mismatch);
    }
    /* a case that ended early leaves its table; so do init lines */
    if (replay.pt.engine) pt_deinit(&replay.pt);
    free(replay.flushes.bytes);
    free(replay.ranges.bytes);
    free(replay.line.bytes);
    free(replay.items.bytes);
    return result;
}
