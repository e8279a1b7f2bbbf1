/* What a plugin may ask of us (struct ptp_host), every argument of it checked. */
#include "base/bits.h"
#include "pt/pt_plugin_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TABLE_BYTES_MAX = 512 << 10 };

void plugin_complain(struct plugin *plugin, const char *format, ...)
{
    va_list arguments;
    int used;

    if (plugin->complaint[0]) return;
    used = snprintf(plugin->complaint, sizeof(plugin->complaint), "%s: %s: ", plugin->path,
                    plugin->entry ? plugin->entry : "the host");
    if (used < 0 || (size_t)used >= sizeof(plugin->complaint)) return;
    va_start(arguments, format);
    vsnprintf(plugin->complaint + used, sizeof(plugin->complaint) - (size_t)used, format, arguments);
    va_end(arguments);
}

/* Bytes of the live table that starts at `table`; 0: there is none. */
static size_t live_bytes(const struct table_pool *pool, const void *table)
{
    const uint64_t offset = (uintptr_t)table - (uintptr_t)pool->bytes;
    uint32_t page = (uint32_t)(offset >> POOL_PAGE_SHIFT);
    size_t bytes = POOL_PAGE_BYTES;

    if (!is_aligned(offset, POOL_PAGE_SHIFT) || offset >> POOL_PAGE_SHIFT >= pool->fresh) return 0;
    if (pool->state[page] != POOL_LIVE) return 0;
    for (page++; page < pool->fresh && pool->state[page] == POOL_BODY; page++) bytes += POOL_PAGE_BYTES;
    return bytes;
}

static void *host_alloc(void *context, size_t size, size_t align)
{
    struct attached *attached = context;
    void *table;

    if (size == 0 || size > TABLE_BYTES_MAX || align > TABLE_BYTES_MAX || (align & (align - 1))) {
        plugin_complain(attached->plugin, "asked for a table of %zu bytes aligned to %zu", size, align);
        return NULL;
    }
    table = table_pool_alloc(attached->pt->pool, size > align ? size : align);
    if (!table) {
        attached->lacked_one = true;
        return NULL;
    }
    attached->live++;
    plugin_shut_drop(attached->plugin, table, live_bytes(attached->pt->pool, table));
    return table;
}

/* May the plugin give `table` back? A word with what it does otherwise. */
static bool may_free(struct attached *attached, const void *table, const char *what)
{
    if (live_bytes(attached->pt->pool, table) && attached->live) {
        attached->live--;
        return true;
    }
    plugin_complain(attached->plugin, "%s pa 0x%" PRIx64 ", which is no live table: freed twice, or never allocated",
                    what, table_pool_address(attached->pt->pool, table));
    return false;
}

static void host_free(void *context, void *table)
{
    struct attached *attached = context;
    struct table_pool *pool = attached->pt->pool;
    const size_t bytes = live_bytes(pool, table);

    if (!may_free(attached, table, "free_table of")) return;
    table_pool_free_dirty(pool, table);
    plugin_shut_add(attached->plugin, pool, table, bytes);
}

static void host_top_changed(void *context, uint64_t pa, unsigned level)
{
    struct attached *attached = context;
    struct pt *pt = attached->pt;

    if (!table_pool_is_live(pt->pool, pa) || level > 7) {
        plugin_complain(attached->plugin, "top_changed to pa 0x%" PRIx64 " level %u, which is no live table", pa,
                        level);
        return;
    }
    plugin_shut_leave(attached->plugin);
    pt->hooks->top_changed(pt->context, hpa(pa), level);
    plugin_shut_enter(attached->plugin);
    atomic_store_explicit(&pt->top, pa | level, memory_order_release);
}

static void host_flush(void *context, const void *table, size_t offset, size_t length)
{
    struct attached *attached = context;
    const struct pt *pt = attached->pt;
    const size_t bytes = live_bytes(pt->pool, table);
    uint64_t address;

    if (offset > bytes || length > bytes - offset) {
        plugin_complain(attached->plugin, "flush of [%zu, +%zu) of pa 0x%" PRIx64 ", which is not inside a live table",
                        offset, length, table_pool_address(pt->pool, table));
        return;
    }
    address = table_pool_address(pt->pool, table) + offset;
    pt->hooks->flush(pt->context, hpa(align_down(address, 12)), (unsigned)(address & 0xfff), (unsigned)length);
}

/* Entries that gather nothing are given no place for it. */
static bool has_gather(const struct ptp_gather *gather, const char *what)
{
    if (gather->gather) return true;
    plugin_complain(gather->attached->plugin, "%s in a call that must not", what);
    return false;
}

/* Is there a gap between what `gather` holds and [first, last]? */
static bool is_disjoint(const struct pt_gather *gather, uint64_t first, uint64_t last)
{
    return pt_gather_has_range(gather) && ((first > gather->last.value && first - gather->last.value > 1) ||
                                           (gather->first.value > last && gather->first.value - last > 1));
}

static void extend(struct pt_gather *gather, uint64_t first, uint64_t last)
{
    gather->first.value = min_u64(gather->first.value, first);
    gather->last.value = max_u64(gather->last.value, last);
}

/* The owner's hook and the checks behind it see all of the memory. */
static void sync(struct attached *attached, struct pt_gather *gather)
{
    plugin_shut_leave(attached->plugin);
    pt_gather_sync(attached->pt, gather);
    if (attached->plugin->entry) plugin_shut_enter(attached->plugin);
}

/* What is pending joins the caller's gather. */
void plugin_commit(struct ptp_gather *gather)
{
    struct pt *pt = gather->attached->pt;
    struct pt_gather *to = gather->gather;
    struct pt_gather *from = &gather->pending;

    if (pt_gather_has_range(from)) {
        if (!gather->is_read && pt->features & PT_FLUSH_RANGE_NO_GAPS &&
            is_disjoint(to, from->first.value, from->last.value))
            sync(gather->attached, to);
        extend(to, from->first.value, from->last.value);
    }
    table_pool_splice(pt->pool, &to->freed, &from->freed);
    *from = pt_gather_empty();
}

static void host_gather_add(struct ptp_gather *gather, uint64_t first, uint64_t last)
{
    if (!has_gather(gather, "gather_add")) return;
    if (first > last) {
        plugin_complain(gather->attached->plugin, "gather_add of [0x%" PRIx64 ", 0x%" PRIx64 "], whose end comes first",
                        first, last);
        return;
    }
    if (is_disjoint(&gather->pending, first, last)) plugin_commit(gather);
    extend(&gather->pending, first, last);
}

static void host_gather_free(struct ptp_gather *gather, void *table, int is_zero)
{
    struct table_pool *pool = gather->attached->pt->pool;
    const size_t bytes = live_bytes(pool, table);

    if (!has_gather(gather, "gather_free_table")) return;
    if (!may_free(gather->attached, table, "gather_free_table of")) return;
    if (!is_zero) memset(table, 0, bytes);
    table_pool_retire(pool, &gather->pending.freed, table);
    plugin_shut_add(gather->attached->plugin, pool, table, bytes);
}

static void host_gather_sync(struct ptp_gather *gather)
{
    if (!has_gather(gather, "gather_sync")) return;
    plugin_commit(gather);
    sync(gather->attached, gather->gather);
}

struct ptp_host plugin_host_of(struct attached *attached, const struct pt_hooks *hooks)
{
    return (struct ptp_host){
        .struct_size = sizeof(struct ptp_host),
        .context = attached,
        .linear_offset = table_pool_origin(attached->pt->pool),
        .alloc_table = host_alloc,
        .free_table = host_free,
        .top_changed = hooks && hooks->top_changed ? host_top_changed : NULL,
        .flush = hooks && hooks->flush ? host_flush : NULL,
        .gather_add = host_gather_add,
        .gather_free_table = host_gather_free,
        .gather_sync = host_gather_sync,
    };
}
