/* See fuzz_chosen.h. */
#include "fuzz_chosen.h"

#include "base/check.h"
#include "cli/plugin_guard.h"
#include "pt/pt_plugin_host.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef FUZZ_REPLAY
#define FUZZ_REPLAY 0
#endif

enum { SECONDS = 10, NO_ENGINE = 2 };

static struct {
    struct plugin *plugin;
    const struct engine *row;
    bool is_vector;
} chosen;

static _Noreturn void refuse(const char *wanted, const char *why)
{
    fprintf(stderr, "mapproof: MAPPROOF_ENGINE=%s: %s\n", wanted, why);
    exit(NO_ENGINE);
}

__attribute__((constructor)) static void choose(void)
{
    const char *wanted = getenv("MAPPROOF_ENGINE");
    char message[PLUGIN_MESSAGE_BYTES];

    if (!wanted || !wanted[0]) return;
    if (plugin_is_path(wanted)) {
        chosen.plugin = plugin_open(wanted, message);
        if (!chosen.plugin) refuse(wanted, message);
        fprintf(stderr, "mapproof: engine %s (%s)\n", plugin_title(chosen.plugin), plugin_path(chosen.plugin));
        plugin_shut_tables(chosen.plugin);
        if (FUZZ_REPLAY) plugin_guard("mapproof", chosen.plugin, SECONDS, 1);
        return;
    }
    chosen.is_vector = strcmp(wanted, "vector") == 0;
    chosen.row = engine_find(chosen.is_vector ? "amdv1-vector" : wanted);
    if (!chosen.row) refuse(wanted, "no such engine in this build, or this CPU cannot run it");
}

const struct plugin *fuzz_plugin(void)
{
    return chosen.plugin;
}

/* The format of the plugin's row `index`, as a number of the world op's field. */
static unsigned format_at(unsigned index)
{
    const char *wanted = plugin_engine_at(chosen.plugin, index)->format;
    unsigned number = 0;

    while (strcmp(op_format_name(number), wanted) != 0) number++;
    return number;
}

const struct engine *fuzz_engine(struct op *world_op)
{
    const unsigned number = (unsigned)op_get(world_op, FIELD_FORMAT);
    const char *format = op_format_name(number);
    char name[64];

    if (chosen.plugin) {
        const struct engine *engine = plugin_engine(chosen.plugin, format);
        unsigned count = 0;

        if (engine) return engine;
        while (plugin_engine_at(chosen.plugin, count)) count++;
        op_set(world_op, FIELD_FORMAT, format_at(number % count));
        return plugin_engine_at(chosen.plugin, number % count);
    }
    if (!chosen.is_vector) return chosen.row && strcmp(chosen.row->format, format) == 0 ? chosen.row : NULL;
    snprintf(name, sizeof(name), "%s-vector", format);
    return engine_find(name);
}
