/* Loading a plugin: everything that can be wrong with a file is found here, before any entry is called. */
#include "pt/pt_plugin_internal.h"

#include "base/check.h"

#include <ctype.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What struct ptp_plugin was when PTP_ABI 1 began. */
#define SIZE_1 (offsetof(struct ptp_plugin, unmap_ranges) + sizeof(((struct ptp_plugin *)0)->unmap_ranges))

bool plugin_is_path(const char *text)
{
    const size_t length = strlen(text);

    return strchr(text, '/') || (length > 3 && strcmp(text + length - 3, ".so") == 0);
}

__attribute__((format(printf, 3, 4))) static bool refuse(const struct plugin *plugin, char *message, const char *format,
                                                         ...)
{
    const int used = snprintf(message, PLUGIN_MESSAGE_BYTES, "%s: ", plugin->path);
    va_list arguments;

    if (used < 0 || used >= PLUGIN_MESSAGE_BYTES) return false;
    va_start(arguments, format);
    vsnprintf(message + used, PLUGIN_MESSAGE_BYTES - (size_t)used, format, arguments);
    va_end(arguments);
    return false;
}

/* dlsym gives a data pointer; POSIX says it may be called. */
typedef const struct ptp_plugin *table_function(void);

static const struct ptp_plugin *load(struct plugin *plugin, char *message)
{
    const struct ptp_plugin *given;
    table_function *function;
    void *symbol;

    plugin->handle = dlopen(plugin->path, RTLD_NOW | RTLD_LOCAL);
    if (!plugin->handle) {
        const char *why = dlerror();
        const size_t length = strlen(plugin->path);

        if (strncmp(why, plugin->path, length) == 0 && why[length] == ':') why += length + 2; /* said once is enough */
        refuse(plugin, message, "cannot be loaded: %s", why);
        return NULL;
    }
    symbol = dlsym(plugin->handle, PTP_SYMBOL);
    if (!symbol) {
        refuse(plugin, message, "exports no symbol " PTP_SYMBOL ", so it is no engine (core/pt/pt_plugin.h)");
        return NULL;
    }
    memcpy(&function, &symbol, sizeof(function));
    given = function();
    if (!given) refuse(plugin, message, PTP_SYMBOL " gave NULL: the engine does not run on this machine");
    return given;
}

static bool copy_ops(struct plugin *plugin, const struct ptp_plugin *given, char *message)
{
    if (given->abi != PTP_ABI)
        return refuse(plugin, message, "speaks abi %u, expected %u: build it with the pt_plugin.h of this mapproof",
                      given->abi, PTP_ABI);
    if (given->struct_size < SIZE_1 || given->struct_size > 1 << 16)
        return refuse(plugin, message, "says struct_size %zu, expected at least %zu", given->struct_size, SIZE_1);
    memcpy(&plugin->ops, given, given->struct_size < sizeof(plugin->ops) ? given->struct_size : sizeof(plugin->ops));
    return true;
}

/* The entries that every plugin has. */
static const char *missing_entry(const struct ptp_plugin *ops)
{
    if (!ops->create) return "create";
    if (!ops->destroy) return "destroy";
    if (!ops->get_info) return "get_info";
    if (!ops->top) return "top";
    if (!ops->map_range) return "map_range";
    if (!ops->unmap_range) return "unmap_range";
    return ops->iova_to_phys ? NULL : "iova_to_phys";
}

static bool is_name(const char *text)
{
    const size_t length = strnlen(text, PLUGIN_NAME_MAX);

    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)text[i]) && !strchr("._-", text[i])) return false;
    }
    return length > 0 && length < PLUGIN_NAME_MAX;
}

static bool add_row(struct plugin *plugin, const char *format, char *message)
{
    struct plugin_row *row = &plugin->rows[plugin->row_count];

    if (plugin_engine(plugin, format)) return refuse(plugin, message, "lists format %.32s twice", format);
    if (plugin->row_count == PLUGIN_FORMATS_MAX)
        return refuse(plugin, message, "lists more than %d formats, or the list has no NULL at its end",
                      PLUGIN_FORMATS_MAX);
    row->built_in = engine_find(format);
    if (!row->built_in || strcmp(row->built_in->format, format) != 0)
        return refuse(plugin, message, "lists a format '%.32s' that mapproof does not know", format);
    row->plugin = plugin;
    snprintf(row->name, sizeof(row->name), "%s@%s", row->built_in->format, plugin->ops.name);
    plugin_fill_row(row);
    plugin->row_count++;
    return true;
}

static bool fill(struct plugin *plugin, char *message)
{
    const struct ptp_plugin *ops = &plugin->ops;
    const char *missing = missing_entry(ops);

    if (missing) return refuse(plugin, message, "entry %s is NULL, and every plugin must have it", missing);
    if (!ops->name || !is_name(ops->name))
        return refuse(plugin, message, "its name is missing, long, or has more than letters, digits, . _ -");
    if (!ops->formats || !ops->formats[0]) return refuse(plugin, message, "lists no format");
    for (unsigned i = 0; ops->formats[i]; i++) {
        if (!add_row(plugin, ops->formats[i], message)) return false;
    }
    snprintf(plugin->title, sizeof(plugin->title), "%s%s%.*s", ops->name, ops->version ? " " : "", PLUGIN_NAME_MAX - 2,
             ops->version ? ops->version : "");
    return true;
}

/* A path with a slash: without one, dlopen would look in the system's folders. */
static char *path_of(const char *path)
{
    const size_t size = strlen(path) + sizeof("./");
    char *copy = malloc(size);

    CHECK(copy != NULL);
    snprintf(copy, size, "%s%s", strchr(path, '/') ? "" : "./", path);
    return copy;
}

struct plugin *plugin_open(const char *path, char message[PLUGIN_MESSAGE_BYTES])
{
    struct plugin *plugin = calloc(1, sizeof(*plugin));
    const struct ptp_plugin *given;

    CHECK(plugin != NULL);
    plugin->path = path_of(path);
    table_pool_init(&plugin->scratch, 0, PLUGIN_SCRATCH_PAGES);
    given = load(plugin, message);
    if (given && copy_ops(plugin, given, message) && fill(plugin, message)) return plugin;
    plugin_close(plugin);
    return NULL;
}

void plugin_close(struct plugin *plugin)
{
    if (!plugin) return;
    if (plugin->handle) dlclose(plugin->handle);
    table_pool_destroy(&plugin->scratch);
    free(plugin->path);
    free(plugin);
}

const struct engine *plugin_engine(const struct plugin *plugin, const char *format)
{
    for (unsigned i = 0; i < plugin->row_count; i++) {
        if (strcmp(plugin->rows[i].engine.format, format) == 0) return &plugin->rows[i].engine;
    }
    return NULL;
}

const struct engine *plugin_engine_at(const struct plugin *plugin, unsigned index)
{
    return index < plugin->row_count ? &plugin->rows[index].engine : NULL;
}

const char *plugin_path(const struct plugin *plugin)
{
    return plugin->path;
}

const char *plugin_title(const struct plugin *plugin)
{
    return plugin->title;
}

const char *plugin_complaint(const struct plugin *plugin)
{
    return plugin->complaint[0] ? plugin->complaint : NULL;
}

void plugin_forget(struct plugin *plugin)
{
    plugin->complaint[0] = 0;
}

const char *plugin_at_work(const struct plugin *plugin, uint64_t *calls)
{
    *calls = plugin->calls;
    return plugin->entry;
}
