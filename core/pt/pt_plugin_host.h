/*
 * Engines from outside, as mapproof sees them: load a shared object of the contract in pt_plugin.h and get rows of
 * struct engine made from it. A row behaves as any other: pt_init, pt_map_range, ... work on it; tables lie in the
 * config's pool; items are taken apart by the built-in format of the same token.
 *
 * The loaded plugin is an object; nothing is global. What it does wrong at a callback (a table freed twice, a leak, a
 * flush outside of tables, an errno that is none, a table made or refused against the rules) is kept as a complaint
 * with the plugin's path and the entry at work; the wrong call itself has no effect.
 *
 * Cost of a call through a row: one more indirect call and four stores. pt_init makes the built-in table beside it for
 * a moment, to know what the rules say. A struct pt of such a row must not move between pt_init and pt_deinit.
 */
#pragma once

#include "pt/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plugin;

enum { PLUGIN_MESSAGE_BYTES = 512 };

/* Is `text` a path to a plugin, not the name of a row: has it a slash or does it end in .so? */
bool plugin_is_path(const char *text);

/*
 * Load the file at `path`; a path without a slash is one in the current folder. NULL: message says what is wrong with
 * it (unreadable, no such symbol, another abi, an entry missing, an unknown format, ...), with the path in front.
 */
struct plugin *plugin_open(const char *path, char message[PLUGIN_MESSAGE_BYTES]);

/* Unload it. No table of its rows may be left. NULL is fine. */
void plugin_close(struct plugin *plugin);

/* The row of a format; NULL: the plugin has no such format. Good until plugin_close. */
const struct engine *plugin_engine(const struct plugin *plugin, const char *format);

/* Row `index` in the plugin's order, NULL past the end. */
const struct engine *plugin_engine_at(const struct plugin *plugin, unsigned index);

const char *plugin_path(const struct plugin *plugin);

/* What the plugin calls itself, with its version. */
const char *plugin_title(const struct plugin *plugin);

/* The first complaint since plugin_open or plugin_forget; NULL: none. The rows' entry `complaint` says the same. */
const char *plugin_complaint(const struct plugin *plugin);
void plugin_forget(struct plugin *plugin);

/*
 * Which entry is at work, for signal handlers: NULL outside of the plugin. *calls becomes the number of calls so far,
 * so that two looks can tell one long call from many short ones.
 */
const char *plugin_at_work(const struct plugin *plugin, uint64_t *calls);

/*
 * From now on, the tables that the plugin gave back last cannot be read or written while it is at work: who does gets
 * SIGSEGV. One thread only. Costs about 10 us a call, so not for benchmarks. plugin_gave_back: is `address` in one of
 * them? For signal handlers.
 */
void plugin_shut_tables(struct plugin *plugin);
bool plugin_gave_back(const struct plugin *plugin, const void *address);
