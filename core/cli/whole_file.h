/* Files that appear whole or not at all: results of long runs, scripts that are rewritten. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * A file that appears whole or not at all: written beside its path under another name, renamed at the end. A path that
 * is no regular file (a pipe, /dev/stdout) is written to directly.
 */
struct whole_file {
    char *path;      /* symbolic links resolved */
    char *temporary; /* NULL: written directly */
    int descriptor;
};

/* False: said why on stderr; nothing is left behind. Existing contents stay until whole_file_finish. */
bool whole_file_begin(struct whole_file *file, const char *path);
/* Write `size` bytes and put them in place. False: said why on stderr; the old contents stay. */
bool whole_file_finish(struct whole_file *file, const void *bytes, size_t size);
/* The same with a JSON text of `root`, keys in their order. */
bool whole_file_finish_json(struct whole_file *file, const json_t *root);
void whole_file_abandon(struct whole_file *file);
