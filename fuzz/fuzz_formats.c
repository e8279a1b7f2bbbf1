/*
 * Do all formats translate alike? The same maps, lists, unmaps, cuts, resizes and dirty reads go to a table of every
 * engine row in its default configuration; results and translations, as each format's hardware walker finds them, must
 * be the same everywhere.
 *
 * Input:  op records or a text script (fuzz.h). Of the world only flush= counts: with nogaps tables are what their
 *         format can be beside its default: not snooped, marked by hardware, with a top that grows, above bit 48 of
 *         memory. Addresses and lengths are taken into what all formats have: multiples of 64K (the largest granule),
 *         inputs below 2^38 (the lower half of Sv39), outputs below 2^44. An unmap takes a whole earlier map:
 *         elsewhere leaves of different size end it at different places. Ops on the RMP and on devices are lookups of
 *         addresses.
 * Oracle: the maps that are live. After each op a walk of every row at the edges and a middle byte of what it touched;
 *         all live maps, pt_check and the pools' accounts at the end of each input. A list is as many live maps as it
 *         has runs; an unmap that hands over must name the memory of its map at once.
 * Limits: 256 ops, 64 live maps. Nothing is kept between inputs but the counters below.
 */
#include "fuzz.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/fault.h"
#include "formats_span.h"
#include "fuzz_chosen.h"
#include "fuzz_end.h"
#include "iommu/iommu.h"
#include "pt/engine.h"
#include "pt/pt_check.h"
#include "pt/pt_plugin_host.h"
#include "pt/recorder.h"
#include "script/script.h"
#include "world/table_walk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const enum script_theme fuzz_theme = SCRIPT_ANY;

enum {
    ROWS_MAX = 64,
    LIVE_MAX = 64,
    POOL_PAGES = 1 << 16,
};

#define POOL_BASE      (UINT64_C(1) << 36)
#define HIGH_POOL_BASE (UINT64_C(1) << 49) /* 64K granules say addresses above bit 47 in two parts */

/* One format's table and what hardware is told of it. */
struct row {
    const struct engine *engine;
    struct table_pool pool;
    struct pt pt;
    struct iommu_table walk;
    struct iommu_memory memory;
    uint8_t *seen; /* what hardware that does not snoop sees of the pool; NULL: no such table */
};

struct run {
    struct op ops[FUZZ_OPS_MAX];
    size_t count, at;
    struct live live[LIVE_MAX];
    unsigned live_count;
};

static struct {
    uint64_t execs, ops, refused;
} counters;

static struct row rows[ROWS_MAX];
static unsigned row_count;
static struct recorder_set recorders; /* for scripts/matrix */

static void print_counters(void)
{
    fprintf(stderr, "mapproof: execs=%" PRIu64 " ops=%" PRIu64 " findings=0\n", counters.execs, counters.ops);
    fprintf(stderr, "mapproof: formats=%u ops_refused=%" PRIu64 "\n", row_count, counters.refused);
    recorder_print(&recorders, "fuzz", NUMBER_CALLS, stderr);
}

__attribute__((format(printf, 3, 4))) static _Noreturn void differ(const struct run *run, const struct row *row,
                                                                   const char *format, ...)
{
    size_t length;
    char *text = script_print_ops(run->ops, run->count, &length);
    va_list arguments;

    fprintf(stderr, "mapproof: difference at op %zu of %zu\n%s: ", run->at, run->count - 1, row->engine->name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nscript:\n%s", text);
    free(text);
    abort();
}

/* ---- the tables -------------------------------------------------------------------------------------------------- */

static void on_top_changed(void *context, hpa_t top, unsigned level)
{
    struct row *row = context;

    row->walk.root = top.value;
    row->walk.top_level = level;
}

/* Nothing caches in this target: hardware is asked afresh each time. */
static void on_sync(void *context, iova_t first, iova_t last, unsigned freed)
{
    (void)context, (void)first, (void)last, (void)freed;
}

/* Hardware that does not snoop sees what was written back and nothing else. */
static void on_flush(void *context, hpa_t table, unsigned offset, unsigned length)
{
    const struct row *row = context;
    const uint64_t at = table.value - row->pool.base + offset;

    memcpy(row->seen + at, row->pool.bytes + at, length);
}

static const struct pt_hooks hooks = { .sync = on_sync, .top_changed = on_top_changed, .flush = on_flush };

static bool read_nothing(void *context, uint64_t address, uint64_t *value)
{
    (void)context, (void)address, (void)value;
    return false;
}

static void add_row(const struct engine *engine)
{
    CHECK(row_count < ROWS_MAX);
    rows[row_count].engine = engine;
    table_pool_init(&rows[row_count].pool, POOL_BASE, POOL_PAGES);
    if (engine->features & PT_DMA_INCOHERENT) {
        rows[row_count].seen = calloc(POOL_PAGES, POOL_PAGE_BYTES);
        CHECK(rows[row_count].seen != NULL);
    }
    row_count++;
}

/* Those of a plugin (fuzz_chosen.h) beside the built-in ones. */
static void find_rows(void)
{
    const struct engine *engine;

    for (unsigned i = 0; (engine = engine_at(i)) != NULL; i++) {
        if (engine_is_usable(engine)) add_row(engine);
    }
    for (unsigned i = 0; fuzz_plugin() && (engine = plugin_engine_at(fuzz_plugin(), i)) != NULL; i++) add_row(engine);
}

static bool has_high_tables(const struct engine *engine)
{
    return engine->geometry.granule_shift == UNIT_SHIFT && engine->oa_bits_max > 49;
}

/* Beside the default: what else the format can be. */
static void vary(const struct engine *engine, struct pt_config *config)
{
    if (has_high_tables(engine)) config->oa_bits = engine->oa_bits_max;
    if (engine->features & PT_DYNAMIC_TOP && !(config->features & PT_DYNAMIC_TOP)) {
        config->va_bits = engine->va_bits_max;
        config->top_level = 1;
        config->features |= PT_DYNAMIC_TOP;
    }
    config->features |= engine->features & (PT_HARDWARE_DIRTY | PT_DMA_INCOHERENT);
    if (config->features & PT_DMA_INCOHERENT) config->features &= ~(uint32_t)(PT_FLUSH_RANGE | PT_FLUSH_RANGE_NO_GAPS);
}

static void begin_row(struct row *row, bool is_varied)
{
    struct pt_config config = engine_default_config(row->engine);
    struct pt_info info;
    int error;

    if (is_varied) vary(row->engine, &config);
    if (row->seen) memset(row->seen, 0, row->pool.fresh * (uint64_t)POOL_PAGE_BYTES);
    table_pool_reset(&row->pool);
    row->pool.base = is_varied && has_high_tables(row->engine) ? HIGH_POOL_BASE : POOL_BASE;
    config.pool = &row->pool;
    config.hooks = &hooks;
    config.context = row;
    error = pt_init(&row->pt, row->engine, &config);
    if (error == -EOPNOTSUPP && is_varied && row->engine->complaint) { /* from outside: it may lack what is varied */
        begin_row(row, false);
        return;
    }
    CHECK(error == 0);
    if (getenv("MAPPROOF_RAN")) recorder_attach(&recorders, &row->pt);
    pt_get_info(&row->pt, &info);
    row->walk = table_walk(&row->pt);
    row->walk.set_accessed_dirty = info.features & PT_HARDWARE_DIRTY;
    row->memory = (struct iommu_memory){ .read = read_nothing,
                                         .window = info.features & PT_DMA_INCOHERENT ? row->seen : row->pool.bytes,
                                         .window_base = row->pool.base,
                                         .window_bytes = table_pool_size(&row->pool) };
}

/* ---- looking ----------------------------------------------------------------------------------------------------- */

static const struct live *find_live(const struct run *run, uint64_t input)
{
    for (unsigned i = 0; i < run->live_count; i++) {
        if (input - run->live[i].input < run->live[i].length) return &run->live[i];
    }
    return NULL;
}

static void check_mapped(const struct run *run, const struct row *row, const struct live *live, uint64_t input)
{
    const enum iommu_access access = live->prot & PT_READ ? IOMMU_READ : IOMMU_WRITE;
    const struct iommu_leaf leaf = iommu_walk(&row->walk, &row->memory, input, access);
    const uint64_t expected = live->target + (input - live->input);
    hpa_t found = { 0 };

    if (leaf.fault != IOMMU_NO_FAULT || leaf.address != expected || leaf.writable != ((live->prot & PT_WRITE) != 0))
        differ(run, row, "0x%" PRIx64 ": hardware finds %s 0x%" PRIx64 " writable=%d, expected 0x%" PRIx64 " prot=%u",
               input, iommu_fault_name(leaf.fault), leaf.address, leaf.writable, expected, live->prot);
    if (!pt_iova_to_phys(&row->pt, iova(input), &found) || found.value != expected)
        differ(run, row, "0x%" PRIx64 ": iova_to_phys finds 0x%" PRIx64 ", expected 0x%" PRIx64, input, found.value,
               expected);
}

/* Beyond a top that has not grown yet, absence shows as a canonical fault. */
static void check_absent(const struct run *run, const struct row *row, uint64_t input)
{
    const struct iommu_leaf leaf = iommu_walk(&row->walk, &row->memory, input, IOMMU_READ);
    hpa_t found;

    if (leaf.fault != IOMMU_NOT_PRESENT && leaf.fault != IOMMU_CANONICAL)
        differ(run, row, "0x%" PRIx64 ": hardware finds %s 0x%" PRIx64 ", expected nothing", input,
               iommu_fault_name(leaf.fault), leaf.address);
    if (pt_iova_to_phys(&row->pt, iova(input), &found))
        differ(run, row, "0x%" PRIx64 ": iova_to_phys finds 0x%" PRIx64 ", expected nothing", input, found.value);
}

static void check_at(const struct run *run, uint64_t input)
{
    const struct live *live = find_live(run, input);

    if (input >> INPUT_BITS) return;
    for (unsigned i = 0; i < row_count; i++) {
        if (live)
            check_mapped(run, &rows[i], live, input);
        else
            check_absent(run, &rows[i], input);
    }
}

/* Both edges from inside and outside, and bytes between. */
static void check_span(const struct run *run, uint64_t input, uint64_t length)
{
    const uint64_t offsets[] = { 0, length - 1, length / 2, length / 3 | 0xfff, align_down(length - 1, 21) };

    for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) check_at(run, input + offsets[i]);
    check_at(run, input - 1);
    check_at(run, input + length);
}

static void check_everything(const struct run *run)
{
    for (unsigned i = 0; i < run->live_count; i++) check_span(run, run->live[i].input, run->live[i].length);
    for (unsigned i = 0; i < row_count; i++) {
        const unsigned broken = pt_check(&rows[i].pt, NULL);

        if (broken) differ(run, &rows[i], "pt_check finds %u broken invariants", broken);
    }
}

/* ---- ops --------------------------------------------------------------------------------------------------------- */

static bool overlaps(const struct run *run, const struct live *span)
{
    for (unsigned i = 0; i < run->live_count; i++) {
        const struct live *live = &run->live[i];

        if (live->input < span->input + span->length && span->input < live->input + live->length) return true;
    }
    return false;
}

/* Take back what a map did before it failed: its exact length must be known (invariant 20). */
static void undo(const struct run *run, struct row *row, const struct live *span, uint64_t mapped)
{
    struct pt_gather gather = pt_gather_empty();
    const uint64_t removed = mapped ? pt_unmap_range(&row->pt, iova(span->input), mapped, &gather) : 0;

    if (removed != mapped)
        differ(run, row, "a failed map says it mapped 0x%" PRIx64 ", unmap removes 0x%" PRIx64, mapped, removed);
    pt_gather_sync(&row->pt, &gather);
}

/* Cached ones by smallest pages, so that there is something to merge. */
static int map_row(struct row *row, const struct live *span, uint64_t *mapped)
{
    const uint64_t sizes = row->pt.page_sizes;
    int error;

    if (span->length <= bit(24) && span->prot & PT_CACHE) row->pt.page_sizes = sizes & -sizes;
    error = pt_map_range(&row->pt, iova(span->input), hpa(span->target), span->length, span->prot, mapped);
    row->pt.page_sizes = sizes;
    return error;
}

static void do_map(struct run *run, const struct op *op)
{
    const struct live span = span_of(op);
    int expected = overlaps(run, &span) ? -EADDRINUSE : 0;

    if (run->live_count == LIVE_MAX) return;
    if (!(span.prot & (PT_READ | PT_WRITE))) expected = -EINVAL;
    for (unsigned i = 0; i < row_count; i++) {
        uint64_t mapped;
        const int error = map_row(&rows[i], &span, &mapped);

        if (error != expected) differ(run, &rows[i], "map gives %d, expected %d", error, expected);
        if (!error && mapped != span.length)
            differ(run, &rows[i], "map gives 0 and mapped 0x%" PRIx64 " of 0x%" PRIx64, mapped, span.length);
        if (error) undo(run, &rows[i], &span, mapped);
    }
    counters.refused += expected != 0;
    if (!expected) run->live[run->live_count++] = span;
    check_span(run, span.input, span.length);
}

static void do_map_list(struct run *run, const struct op *op)
{
    struct list list;
    int expected;

    make_list(op, &list);
    if (run->live_count + list.run_count > LIVE_MAX) return;
    expected = list.count == 0 || !(list.whole.prot & (PT_READ | PT_WRITE)) ? -EINVAL : list.error;
    if (!expected && overlaps(run, &list.whole)) expected = -EADDRINUSE;
    for (unsigned i = 0; i < row_count; i++) {
        const struct pt_list asked = { list.pieces, list.count };
        uint64_t mapped;
        const int error = pt_map_list(&rows[i].pt, iova(list.whole.input), &asked, list.whole.prot, &mapped);

        if (error != expected) differ(run, &rows[i], "map_list gives %d, expected %d", error, expected);
        if (!error && mapped != list.whole.length)
            differ(run, &rows[i], "map_list gives 0 and mapped 0x%" PRIx64 " of 0x%" PRIx64, mapped, list.whole.length);
        if (error != -EADDRINUSE && error && mapped)
            differ(run, &rows[i], "map_list gives %d after 0x%" PRIx64 " bytes", error, mapped);
        if (error) undo(run, &rows[i], &list.whole, mapped);
    }
    counters.refused += expected != 0;
    for (unsigned i = 0; i < list.run_count && !expected; i++) run->live[run->live_count++] = list.runs[i];
    for (unsigned i = 0; i < list.run_count; i++) check_span(run, list.runs[i].input, list.runs[i].length);
}

/* What an unmap of one live map hands over: all of its memory, once. */
struct handed {
    struct live got;
    unsigned count;
};

static void on_handed(void *context, iova_t start, hpa_t target, uint64_t length)
{
    struct handed *handed = context;

    handed->got = (struct live){ start.value, target.value, length, 0 };
    handed->count++;
}

static uint64_t unmap_live(const struct run *run, struct row *row, const struct live *gone, bool has_ranges)
{
    struct pt_gather gather = pt_gather_empty();
    struct handed handed = { .count = 0 };
    const struct pt_receiver receiver = { on_handed, &handed };
    const uint64_t removed = has_ranges ? pt_unmap_ranges(&row->pt, iova(gone->input), gone->length, &gather, &receiver)
                                        : pt_unmap_range(&row->pt, iova(gone->input), gone->length, &gather);

    if (has_ranges && (handed.count != 1 || handed.got.input != gone->input || handed.got.target != gone->target ||
                       handed.got.length != gone->length))
        differ(run, row, "unmap makes %u reports, the last of 0x%" PRIx64 ", 0x%" PRIx64 " to 0x%" PRIx64, handed.count,
               handed.got.input, handed.got.length, handed.got.target);
    pt_gather_sync(&row->pt, &gather);
    return removed;
}

static void do_unmap(struct run *run, const struct op *op)
{
    struct live gone;
    unsigned index;

    counters.refused += run->live_count == 0;
    if (run->live_count == 0) return;
    index = (unsigned)((op_get(op, FIELD_INPUT) >> UNIT_SHIFT) % run->live_count);
    gone = run->live[index];
    for (unsigned i = 0; i < row_count; i++) {
        const uint64_t removed = unmap_live(run, &rows[i], &gone, op_get(op, FIELD_RANGES));

        if (removed != gone.length)
            differ(run, &rows[i], "unmap removes 0x%" PRIx64 " of 0x%" PRIx64, removed, gone.length);
    }
    run->live_count--;
    run->live[index] = run->live[run->live_count];
    check_span(run, gone.input, gone.length);
}

/* A cut changes no translation, whether the format can do it or not. */
static void do_cut(struct run *run, const struct op *op)
{
    const uint64_t number = op_get(op, FIELD_AT) >> UNIT_SHIFT;
    const struct live *live;
    uint64_t at;

    counters.refused += run->live_count == 0;
    if (run->live_count == 0) return;
    live = &run->live[number % run->live_count];
    at = live->input + align_down((number << UNIT_SHIFT) % live->length, UNIT_SHIFT);
    for (unsigned i = 0; i < row_count; i++) {
        const struct engine *engine = rows[i].engine;
        const int error = pt_cut(&rows[i].pt, iova(at));
        const bool may_refuse = !engine->cut || !engine->resizes_in_place || !engine->exchanges_tables;

        if (error && !(error == -EOPNOTSUPP && may_refuse)) differ(run, &rows[i], "cut gives %d", error);
    }
    check_span(run, live->input, live->length);
    check_at(run, at);
    check_at(run, at - 1);
}

/* The largest leaf of a resize. Some formats have only 4K below 2M, and 2M below 1G: not of too much at once. */
static unsigned draw_max(const struct op *op, const struct live *live)
{
    static const uint8_t shifts[] = { 16, 20, 21, 25, 30, 40 };
    const unsigned shift = shifts[op_get(op, FIELD_MAX) % sizeof(shifts)];

    if (live->length > bit(35)) return 40;
    return live->length > bit(26) && shift < 21 ? 21 : shift;
}

static void resize_all(const struct run *run, uint64_t start, uint64_t length, uint64_t max_leaf)
{
    for (unsigned i = 0; i < row_count; i++) {
        const struct engine *engine = rows[i].engine;
        const int error = pt_resize_range(&rows[i].pt, iova(start), length, max_leaf);
        const bool may_refuse = !engine->resize || !engine->resizes_in_place || !engine->exchanges_tables;

        if (error && !(error == -EOPNOTSUPP && may_refuse)) differ(run, &rows[i], "resize gives %d", error);
    }
}

/* So does a resize, of one live range or of part of it; now and then all of it is merged again. */
static void do_resize(struct run *run, const struct op *op)
{
    const uint64_t number = op_get(op, FIELD_INPUT) >> UNIT_SHIFT;
    const struct live *live;
    uint64_t start, length;

    counters.refused += run->live_count == 0;
    if (run->live_count == 0) return;
    live = &run->live[number % run->live_count];
    start = live->input + align_down((number << UNIT_SHIFT) % live->length, UNIT_SHIFT);
    length = (op_get(op, FIELD_LENGTH) % (live->input + live->length - start)) | low_mask(UNIT_SHIFT);
    resize_all(run, start, length + 1, bit(draw_max(op, live)));
    if (number & 1) resize_all(run, live->input, live->length, bit(40));
    check_span(run, live->input, live->length);
    check_at(run, start);
    check_at(run, start + length);
}

struct dirty_reports {
    const struct live *live;
    uint64_t next; /* the first address after the last report */
    uint64_t at;
    unsigned count, with_at, wrong;
};

static void on_dirty(void *context, iova_t start, uint64_t length)
{
    struct dirty_reports *reports = context;
    const struct live *live = reports->live;

    reports->wrong += start.value < reports->next || start.value + length > live->input + live->length;
    reports->next = start.value + length;
    reports->count++;
    reports->with_at += reports->at - start.value < length;
}

static struct dirty_reports read_dirty(const struct run *run, struct row *row, const struct live *live, uint64_t at)
{
    const struct engine *engine = row->engine;
    const uint32_t modifier = engine->features & PT_HARDWARE_DIRTY;
    const int expected = engine->has_dirty && (row->pt.features & modifier) == modifier ? 0 : -EOPNOTSUPP;
    struct dirty_reports reports = { .live = live, .next = live->input, .at = at };
    struct pt_gather gather = pt_gather_empty();
    const int error =
        pt_read_and_clear_dirty(&row->pt, iova(live->input), live->length, 0, on_dirty, &reports, &gather);

    pt_gather_sync(&row->pt, &gather);
    if (error != expected || (error && reports.count) || reports.wrong)
        differ(run, row, "dirty_read gives %d and %u reports, %u wrong", error, reports.count, reports.wrong);
    return reports;
}

/* All is cleaned; then one leaf is dirty, the one of a byte; then none. */
static void do_dirty(struct run *run, const struct op *op)
{
    const uint64_t number = op_get(op, FIELD_INPUT) >> SHIFT_4K;
    const struct live *live;
    uint64_t at;

    counters.refused += run->live_count == 0;
    if (run->live_count == 0) return;
    live = &run->live[number % run->live_count];
    at = live->input + (number << SHIFT_4K) % live->length;
    for (unsigned i = 0; i < row_count; i++) {
        struct dirty_reports reports = read_dirty(run, &rows[i], live, at);
        const int error = pt_set_dirty(&rows[i].pt, iova(at));

        reports = read_dirty(run, &rows[i], live, at);
        if (error && (error != -EOPNOTSUPP || reports.count)) differ(run, &rows[i], "set_dirty gives %d", error);
        if (!error && live->prot & PT_WRITE && (reports.count != 1 || !reports.with_at))
            differ(run, &rows[i], "0x%" PRIx64 " is dirty: %u reports, %u of it", at, reports.count, reports.with_at);
        reports = read_dirty(run, &rows[i], live, at);
        if (reports.count) differ(run, &rows[i], "%u reports of what is clean", reports.count);
    }
    check_span(run, live->input, live->length);
}

static void do_op(struct run *run, const struct op *op)
{
    counters.ops++;
    switch (op_kind_of(op)) {
    case OP_MAP: do_map(run, op); break;
    case OP_MAP_LIST: do_map_list(run, op); break;
    case OP_UNMAP: do_unmap(run, op); break;
    case OP_CUT: do_cut(run, op); break;
    case OP_RESIZE: do_resize(run, op); break;
    case OP_DIRTY_READ: do_dirty(run, op); break;
    default: check_at(run, op->operand[0] & low_mask(INPUT_BITS)); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run run;

    if (row_count == 0) {
        find_rows();
        fuzz_end_begin(print_counters, fault_report);
    }
    run.count = fuzz_decode(data, size, run.ops);
    run.live_count = 0;
    counters.execs++;
    for (unsigned i = 0; i < row_count; i++) begin_row(&rows[i], op_get(&run.ops[0], FIELD_FLUSH));
    for (run.at = 1; run.at < run.count; run.at++) do_op(&run, &run.ops[run.at]);
    run.at = run.count - 1;
    check_everything(&run);
    for (unsigned i = 0; i < row_count; i++) {
        pt_deinit(&rows[i].pt);
        if (rows[i].engine->complaint && rows[i].engine->complaint(rows[i].engine))
            differ(&run, &rows[i], "plugin %s", rows[i].engine->complaint(rows[i].engine));
        if (rows[i].pool.live_pages) differ(&run, &rows[i], "%u table pages are lost", rows[i].pool.live_pages);
    }
    fuzz_end_if_asked();
    return 0;
}
