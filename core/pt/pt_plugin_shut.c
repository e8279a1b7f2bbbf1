/*
 * Tables that a plugin gave back, shut while it is at work: reading one ends in SIGSEGV instead of in old items that
 * happen to be right. Outside of the plugin they are open: hardware may read them until the sync, checkers always.
 *
 * The latest SHUT_TABLES are kept, and a table that is allocated again drops out. Two system calls a table and call:
 * for checks, not for benchmarks.
 */
#define _GNU_SOURCE
#include "pt/pt_plugin_internal.h"

#include <sys/mman.h>
#include <unistd.h>

void plugin_shut_tables(struct plugin *plugin)
{
    plugin->shut.is_on = sysconf(_SC_PAGESIZE) == POOL_PAGE_BYTES;
}

static bool is_free(const struct shut_table *table)
{
    const size_t page = (size_t)((const uint8_t *)table->bytes - table->pool->bytes) >> POOL_PAGE_SHIFT;

    return table->pool->state[page] == POOL_FREE || table->pool->state[page] == POOL_RETIRED;
}

/* PROT_NONE, or as it was. Where that fails, there is no check: nothing is wrong with the engine. */
static void set(struct shut_table *table, bool is_shut)
{
    if (table->is_shut == is_shut) return;
    if (mprotect(table->bytes, table->size, is_shut ? PROT_NONE : PROT_READ | PROT_WRITE) == 0)
        table->is_shut = is_shut;
}

void plugin_shut_all(struct plugin *plugin)
{
    for (unsigned i = 0; i < SHUT_TABLES; i++) {
        struct shut_table *table = &plugin->shut.tables[i];

        if (table->bytes && is_free(table)) set(table, true);
    }
}

void plugin_open_all(struct plugin *plugin)
{
    for (unsigned i = 0; i < SHUT_TABLES; i++) {
        if (plugin->shut.tables[i].bytes) set(&plugin->shut.tables[i], false);
    }
}

void plugin_shut_add(struct plugin *plugin, const struct table_pool *pool, void *bytes, size_t size)
{
    struct shut_table *table;

    if (!plugin->shut.is_on) return;
    table = &plugin->shut.tables[plugin->shut.next++ % SHUT_TABLES];
    if (table->bytes) set(table, false);
    *table = (struct shut_table){ .pool = pool, .bytes = bytes, .size = size };
    set(table, true);
}

void plugin_shut_drop(struct plugin *plugin, const void *from, size_t size)
{
    for (unsigned i = 0; plugin->shut.is_on && i < SHUT_TABLES; i++) {
        struct shut_table *table = &plugin->shut.tables[i];

        if (!table->bytes || (uintptr_t)table->bytes - (uintptr_t)from >= size) continue;
        set(table, false);
        *table = (struct shut_table){ 0 };
    }
}

bool plugin_gave_back(const struct plugin *plugin, const void *address)
{
    for (unsigned i = 0; i < SHUT_TABLES; i++) {
        const struct shut_table *table = &plugin->shut.tables[i];

        if (table->is_shut && (uintptr_t)address - (uintptr_t)table->bytes < table->size) return true;
    }
    return false;
}
