/*
 * MAPPROOF_ENGINE: the engine under test instead of each format's own, since libFuzzer owns the command line.
 *
 *   amdv1-vector   a row of core/pt/engine.h, for worlds of its format
 *   vector         <format>-vector for every format
 *   FILE.so        an engine from outside (core/pt/pt_plugin.h): worlds of formats that it lacks become one that it
 * has. Its coverage counts if it is built with -fsanitize-coverage=inline-8bit-counters,pc-table
 *
 * It is loaded before main, because libFuzzer counts what is there when it starts. What cannot be loaded ends the
 * program with exit code 2 and a message. Replay programs guard against crashes and endless calls of the plugin
 * (cli/plugin_guard.h, 10 s); libFuzzer does that itself (-timeout=SECONDS).
 */
#pragma once

#include "script/op.h"

struct engine;
struct plugin;

/* The row for a world; NULL: the format's own. May give *world_op another format, see above. */
const struct engine *fuzz_engine(struct op *world_op);

/* The engine from outside, or NULL. */
const struct plugin *fuzz_plugin(void);
