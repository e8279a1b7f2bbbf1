/*
 * Rules of formats.md 2.12 (invariant 31), held at every event of an observed engine: each word that it stores, each
 * call of a hook, each table that comes and goes. For pt_flush_test.c.
 *
 *   link    a table is led to from the tree only when every word below it was written back and not changed since
 *   done    the bit that says "this item was flushed" appears only in an item that was
 *   sync    at a sync, no table of the tree still shows the device something that is gone
 *   gone    a map makes a leaf of a table's item only when the device has seen it empty
 *   free    a table that came off the tree is not free before a sync
 *   waste   only words that were written since their last flush are flushed; more as said at may_flush
 *   return  at the end of a call device and CPU see the same tree, and every table item has its bit
 *   once    one flush a table (check_once)
 */
#pragma once

#include "base/device_view.h"
#include "pt/pt_kunit.h"

enum { LOG_PAGES = 4096, LOG_WORDS = LOG_PAGES * 512, LOG_OFF_MAX = 1024 };

/* What a call is allowed, beside the rules for all. */
enum log_call { LOG_MAP, LOG_MAP_LIST, LOG_UNMAP, LOG_OTHER };

struct flush_log {
    struct fixture f; /* the hooks' context is the log */
    const struct kunit_config *config;
    struct device_view view;
    bool is_running;
    enum log_call call;
    uint64_t before;             /* the word that is about to be written */
    uint8_t level[LOG_PAGES];    /* of the table in the tree that the page is of, plus 1; 0: not in the tree */
    uint8_t state[LOG_PAGES];    /* enum pool_page_state at the last event */
    bool is_pending[LOG_WORDS];  /* written since its last flush */
    bool is_written[LOG_PAGES];  /* leaves were written or removed by this call: the first page of a table */
    unsigned flushes[LOG_PAGES]; /* of leaves, by this call */
    uint32_t off[LOG_OFF_MAX];   /* pages of tables that came off the tree since the last sync */
    unsigned off_count;
};

static struct flush_log *logged; /* the observer has no context */
static struct {
    uint64_t calls, stores, flushes, links, bits, syncs, removals;
} log_total;

static void log_fail(const char *rule, const char *why, uint64_t address)
{
    struct flush_log *log = logged;

    logged = NULL;
    fail_msg("%s on %s, rule %s: %s, item at 0x%llx", log->config->name, log->f.pt.engine->name, rule, why,
             (unsigned long long)address);
}

static unsigned log_page(const struct flush_log *log, uint64_t address)
{
    return (unsigned)((address - log->f.pool.base) >> POOL_PAGE_SHIFT);
}

static unsigned log_word(const struct flush_log *log, uint64_t address)
{
    return (unsigned)((address - log->f.pool.base) / 8);
}

/* The first page of the table that a page is of. */
static unsigned log_first_page(const struct flush_log *log, unsigned page)
{
    while (log->f.pool.state[page] == POOL_BODY) page--;
    return page;
}

static unsigned log_pages_of(const struct flush_log *log, unsigned page)
{
    unsigned count = 1;

    while (page + count < log->f.pool.fresh && log->f.pool.state[page + count] == POOL_BODY) count++;
    return count;
}

static uint64_t log_address(const struct flush_log *log, unsigned page)
{
    return log->f.pool.base + ((uint64_t)page << POOL_PAGE_SHIFT);
}

static struct pt_decoded log_decode(const struct flush_log *log, uint64_t item, unsigned level)
{
    struct pt_decoded decoded;

    log->f.pt.engine->decode(&log->f.pt, item, level, &decoded);
    return decoded;
}

/* ---- the tree ---------------------------------------------------------------------------------------------------- */

enum log_visit { LOG_ENTER, LOG_LEAVE, LOG_CHECK, LOG_CHECK_BITS };

static void log_check_word(struct flush_log *log, uint64_t address, const struct pt_decoded *decoded, bool with_bits)
{
    const bool is_table = decoded->kind == PT_TABLE;
    const uint64_t cpu = device_view_read_cpu(&log->view, address);
    const uint64_t ignored = is_table ? decoded->flushed_bit : 0;

    if ((cpu ^ device_view_read(&log->view, address)) & ~ignored)
        log_fail(with_bits ? "return" : "link", "the device does not see what the CPU wrote", address);
    if (with_bits && is_table && (cpu & ignored) != ignored) log_fail("return", "no flush-done bit", address);
}

/* Items that the table uses: a top has as many as its width needs. */
static uint64_t log_items_of(const struct flush_log *log, uint64_t address)
{
    const struct pt_geometry *geometry = &log->f.pt.engine->geometry;
    struct pt_info info;
    unsigned shift;

    pt_get_info(&log->f.pt, &info);
    shift = geometry->granule_shift + geometry->index_bits * info.top_level;
    if (address != info.top.value || info.features & PT_DYNAMIC_TOP) return bit(geometry->index_bits);
    return bit((unsigned)min_u64(geometry->index_bits + geometry->top_extra_bits, info.va_bits - shift));
}

/* Each table from `address` down. Recursion is bounded by the level. */
static void log_visit(struct flush_log *log, uint64_t address, unsigned level, enum log_visit what)
{
    const unsigned page = log_page(log, address), pages = log_pages_of(log, page);

    for (unsigned i = 0; i < pages; i++) {
        if (what == LOG_ENTER) log->level[page + i] = (uint8_t)(level + 1);
        if (what == LOG_LEAVE) log->level[page + i] = 0;
    }
    if (what == LOG_LEAVE) {
        assert_true(log->off_count < LOG_OFF_MAX);
        log->off[log->off_count++] = page;
    }
    for (uint64_t at = address; at < address + 8 * log_items_of(log, address); at += 8) {
        const uint64_t item = device_view_read_cpu(&log->view, at);
        struct pt_decoded decoded = { .kind = PT_EMPTY };

        if (item) decoded = log_decode(log, item, level);
        if (what == LOG_CHECK || what == LOG_CHECK_BITS) log_check_word(log, at, &decoded, what == LOG_CHECK_BITS);
        if (decoded.kind == PT_TABLE) log_visit(log, decoded.address, level - 1, what);
    }
}

static void log_visit_tree(struct flush_log *log, enum log_visit what)
{
    struct pt_info info;

    pt_get_info(&log->f.pt, &info);
    log_visit(log, info.top.value, info.top_level, what);
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

/* Tables that came into use or left it since the last event. */
static void log_meet_tables(struct flush_log *log)
{
    const struct table_pool *pool = &log->f.pool;

    for (unsigned page = 0; page < pool->fresh; page++) {
        if (log->state[page] == pool->state[page]) continue;
        if (log->state[page] == POOL_FREE) memset(&log->is_pending[page * 512], true, 512);
        log->state[page] = pool->state[page];
    }
    for (unsigned i = 0; i < log->off_count; i++) {
        if (pool->state[log->off[i]] == POOL_FREE)
            log_fail("free", "a table is free without a sync", log_address(log, log->off[i]));
    }
}

/* A table item of the tree: a new child, or the bit. */
static void log_table_item(struct flush_log *log, uint64_t address, const struct pt_decoded *old,
                           const struct pt_decoded *now)
{
    const unsigned level = log->level[log_page(log, address)] - 1u;
    const uint64_t item = device_view_read_cpu(&log->view, address);

    if (old->kind == PT_TABLE && old->address == now->address) {
        log_total.bits++;
        if ((device_view_read(&log->view, address) ^ item) & ~now->flushed_bit)
            log_fail("done", "the bit is set before the flush", address);
        log->is_pending[log_word(log, address)] = false; /* formats.md 2.12: the bit need not be flushed */
        return;
    }
    log_total.links++;
    if (item & now->flushed_bit) log_fail("done", "the item has the bit when it is stored", address);
    log_visit(log, now->address, level - 1, LOG_CHECK);
    log_visit(log, now->address, level - 1, LOG_ENTER);
}

static void log_store(struct flush_log *log, uint64_t address)
{
    const unsigned page = log_page(log, address);
    struct pt_decoded old, now;

    log_total.stores++;
    log_meet_tables(log);
    log->is_pending[log_word(log, address)] = true;
    if (log->level[page] == 0) return;
    old = log_decode(log, log->before, log->level[page] - 1u);
    now = log_decode(log, device_view_read_cpu(&log->view, address), log->level[page] - 1u);
    if (old.kind == PT_TABLE && (now.kind != PT_TABLE || now.address != old.address)) {
        log_total.removals++;
        log_visit(log, old.address, log->level[page] - 2u, LOG_LEAVE);
    }
    if (now.kind == PT_TABLE) log_table_item(log, address, &old, &now);
    if (now.kind == PT_LEAF || (now.kind == PT_EMPTY && log->call == LOG_UNMAP))
        log->is_written[log_first_page(log, page)] = true;
}

void pt_sync_observe(const pt_item_t *item, bool is_written)
{
    struct flush_log *log = logged;

    if (!log || !log->is_running) return;
    if (is_written)
        log_store(log, table_pool_address(&log->f.pool, item));
    else
        log->before = pt_sync_load(item);
}

/*
 * Flushed for nothing? A table that is not in the tree may be flushed as a whole, once. An item without its bit may be
 * flushed by whoever finds it. What lies between two written words of one table is flushed with them where a call
 * collects (map_list, unmap).
 */
static void log_check_waste(struct flush_log *log, uint64_t address, unsigned length)
{
    const unsigned page = log_page(log, address), first = log_word(log, address), last = first + length / 8 - 1;
    const bool collects = log->call == LOG_MAP_LIST || log->call == LOG_UNMAP;
    struct pt_decoded decoded;

    if (log->level[page] && length == 8) {
        decoded = log_decode(log, device_view_read_cpu(&log->view, address), log->level[page] - 1u);
        if (decoded.kind == PT_TABLE && !(device_view_read_cpu(&log->view, address) & decoded.flushed_bit)) return;
    }
    for (unsigned word = first; word <= last; word++) {
        const bool is_edge = word == first || word == last;

        if (!log->is_pending[word] && (is_edge || !collects))
            log_fail("waste", "a word is flushed that was not written", address + 8ull * (word - first));
    }
}

static void log_count_flush(struct flush_log *log, uint64_t address, unsigned length)
{
    const unsigned page = log_page(log, address), first = log_first_page(log, page);
    const uint64_t item = device_view_read_cpu(&log->view, address);

    if (log->call == LOG_UNMAP) {
        log->flushes[first]++;
        return;
    }
    if (log->level[page] == 0) return; /* under construction */
    if (length == 8 && log_decode(log, item, log->level[page] - 1u).kind == PT_TABLE) return;
    if (length == 8 && item == 0) return; /* an empty table was in the way */
    log->flushes[first]++;
}

/* Words of the tree: a new table's image is what an earlier owner left. */
static void log_check_gone(struct flush_log *log, uint64_t address, unsigned length)
{
    const unsigned page = log_page(log, address);

    if (log->level[page] == 0 || (log->call != LOG_MAP && log->call != LOG_MAP_LIST)) return;
    for (uint64_t at = address; at < address + length; at += 8) {
        const uint64_t cpu = device_view_read_cpu(&log->view, at), seen = device_view_read(&log->view, at);

        if (!cpu || !seen || log_decode(log, cpu, log->level[page] - 1u).kind != PT_LEAF) continue;
        if (log_decode(log, seen, log->level[page] - 1u).kind == PT_TABLE)
            log_fail("gone", "a leaf takes the place of a table that the device still sees", at);
    }
}

static void log_on_flush(void *context, hpa_t table, unsigned offset, unsigned length)
{
    struct flush_log *log = context;
    const uint64_t address = table.value + offset;

    log_total.flushes++;
    if (log->is_running) {
        log_meet_tables(log);
        log_check_waste(log, address, length);
        log_check_gone(log, address, length);
        log_count_flush(log, address, length);
    }
    device_view_flush(&log->view, address, length);
    memset(&log->is_pending[log_word(log, address)], false, length / 8);
}

static void log_on_sync(void *context, iova_t first, iova_t last, unsigned freed)
{
    struct flush_log *log = context;

    (void)first, (void)last, (void)freed;
    log_total.syncs++;
    log_meet_tables(log);
    for (unsigned page = 0; page < log->f.pool.fresh; page++) {
        if (log->level[page] == 0 || !memchr(&log->is_pending[page * 512], true, 512)) continue;
        for (uint64_t at = log_address(log, page); at < log_address(log, page + 1); at += 8) {
            const uint64_t seen = device_view_read(&log->view, at), cpu = device_view_read_cpu(&log->view, at);
            const uint64_t bits = cpu ? log_decode(log, cpu, log->level[page] - 1u).flushed_bit : 0;

            if (log->is_pending[log_word(log, at)] && seen != 0 && (seen ^ cpu) & ~bits)
                log_fail("sync", "the device still sees what is gone", at);
        }
    }
    log->off_count = 0;
}

static void log_on_top_changed(void *context, hpa_t top, unsigned level)
{
    struct flush_log *log = context;

    if (!log->is_running) return;
    log_meet_tables(log);
    log_visit(log, top.value, level, LOG_CHECK);
    log_visit(log, top.value, level, LOG_ENTER);
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static inline void log_begin(struct flush_log *log, enum log_call call)
{
    logged = log;
    log->call = call;
    memset(log->is_written, 0, sizeof(log->is_written));
    memset(log->flushes, 0, sizeof(log->flushes));
    log_meet_tables(log);
    log->is_running = true;
}

/* Leaves: one flush a table. A map of several sizes in one table takes one each. */
static inline void check_once(struct flush_log *log)
{
    const uint64_t sizes = log->f.pt.engine->geometry.leaf_sizes(0);
    const bool may_repeat = log->call == LOG_MAP && (sizes & (sizes - 1));

    for (unsigned page = 0; page < log->f.pool.fresh && log->call != LOG_OTHER; page++) {
        if (log->is_written[page] && log->flushes[page] == 0) log_fail("once", "not flushed", log_address(log, page));
        if (log->flushes[page] > 1 && !may_repeat) log_fail("once", "flushed twice", log_address(log, page));
    }
}

static inline void log_end(struct flush_log *log)
{
    log_meet_tables(log);
    log_visit_tree(log, LOG_CHECK_BITS);
    check_once(log);
    log->is_running = false;
    log_total.calls++;
}

static inline void log_open(struct flush_log *log, const struct engine *engine, const struct kunit_config *config)
{
    memset(log, 0, sizeof(*log));
    log->config = config;
    fixture_open(&log->f, config->format);
    log->f.hooks = (struct pt_hooks){ log_on_sync, log_on_top_changed, log_on_flush };
    log->f.config.context = log;
    kunit_configure(&log->f, config);
    log->f.config.features |= PT_DMA_INCOHERENT;
    device_view_init(&log->view, &log->f.pool);
    device_view_reset(&log->view, 1);
    assert_int_equal(pt_init(&log->f.pt, engine, &log->f.config), 0);
    logged = log;
    log_meet_tables(log);
    memset(log->is_pending, 0, sizeof(log->is_pending));
    log_visit_tree(log, LOG_CHECK);
    log_visit_tree(log, LOG_ENTER);
}

static inline void log_close(struct flush_log *log)
{
    logged = NULL;
    assert_int_equal(fixture_check(&log->f), 0);
    fixture_close(&log->f);
    device_view_destroy(&log->view);
}
