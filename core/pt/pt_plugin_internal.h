/* A loaded plugin and its tables, shared by the files pt_plugin*.c. */
#pragma once

#include "pt/pt_plugin.h"
#include "pt/pt_plugin_host.h"

enum {
    PLUGIN_FORMATS_MAX = 32,
    PLUGIN_NAME_MAX = 64,
    PLUGIN_SCRATCH_PAGES = 512, /* tops of several tables at once, should threads make them */
    SHUT_TABLES = 8,
};

/* A table that was given back (pt_plugin_shut.c). */
struct shut_table {
    const struct table_pool *pool;
    void *bytes; /* NULL: none */
    size_t size;
    bool is_shut;
};

struct plugin_row {
    struct engine engine;
    struct plugin *plugin;
    const struct engine *built_in; /* of the same format: decodes items and knows the rules of init */
    char name[PLUGIN_NAME_MAX + 32];
};

struct plugin {
    void *handle;          /* of dlopen */
    struct ptp_plugin ops; /* a copy: entries beyond the plugin's own size are NULL */
    char *path;
    char title[2 * PLUGIN_NAME_MAX];
    struct plugin_row rows[PLUGIN_FORMATS_MAX];
    unsigned row_count;
    struct table_pool scratch;  /* where the built-in format makes its table for a moment */
    const char *volatile entry; /* at work; NULL: none */
    volatile uint64_t calls;    /* so far */
    char complaint[PLUGIN_MESSAGE_BYTES];
    struct {
        bool is_on;
        unsigned next;
        struct shut_table tables[SHUT_TABLES];
    } shut;
};

/* Fill in row->engine from the plugin's entries and row->built_in; the other fields stand already. */
void plugin_fill_row(struct plugin_row *row);

/* A table made by a plugin, and the host that it was given. */
struct attached {
    struct ptp_host host;
    struct plugin *plugin;
    struct pt *pt;
    struct ptp_table *table;
    uint64_t live;   /* tables that the plugin has and owes */
    bool lacked_one; /* an allocation failed since the last call began */
};

/*
 * What one call gathers: a range without gaps and the tables freed with it, not yet in the caller's gather. So a plugin
 * may remove page by page where the built-in engine adds its whole range at the end, and both sync alike.
 */
struct ptp_gather {
    struct attached *attached;
    struct pt_gather *gather;
    struct pt_gather pending;
    bool is_read; /* of dirty bits: gets the hull and never syncs (pt.h) */
};

/* Note what the plugin did wrong, with its path and the entry at work; the first is kept. */
void plugin_complain(struct plugin *plugin, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

/* What a plugin gets: its hooks that are missing here are missing there. */
struct ptp_host plugin_host_of(struct attached *attached, const struct pt_hooks *hooks);

/* What is pending joins the caller's gather. */
void plugin_commit(struct ptp_gather *gather);

void plugin_shut_all(struct plugin *plugin);
void plugin_open_all(struct plugin *plugin);

/* Shut what the plugin gave back while it is at work, and open it for everybody else. */
static inline void plugin_shut_enter(struct plugin *plugin)
{
    if (__builtin_expect(plugin->shut.is_on, 0)) plugin_shut_all(plugin);
}

static inline void plugin_shut_leave(struct plugin *plugin)
{
    if (__builtin_expect(plugin->shut.is_on, 0)) plugin_open_all(plugin);
}

/* A table was given back; the memory [from, from + size) is used again, or its pool may go. */
void plugin_shut_add(struct plugin *plugin, const struct table_pool *pool, void *bytes, size_t size);
void plugin_shut_drop(struct plugin *plugin, const void *from, size_t size);
