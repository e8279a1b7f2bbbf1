/*
 * mapproof-replay: what its parts share. replay_main.c has the options and picks the part by what a file holds:
 *
 *   scripts and records   replay_script.c     op by op, expectations compared
 *   traces and layouts    replay_stream.c     streamed, with made-up DMA (replay_traffic.c), totals
 *   golden files          replay_golden.c
 *
 * Exit codes: 0 all well, 1 a difference, an unmet expectation or (--strict) a finding, 2 bad input or options,
 * 130 stopped by Ctrl-C after the totals so far. Results go to stdout, messages about input to stderr.
 */
#pragma once

#include "cli/whole_file.h"
#include "import/golden.h"
#include "pt/pt_plugin_host.h"
#include "world/world.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct input;

enum replay_status { REPLAY_OK = 0, REPLAY_DIFFERS = 1, REPLAY_BAD = 2, REPLAY_STOPPED = 130 };

struct replay_options {
    const struct engine *engine; /* NULL: by format */
    struct plugin *plugin;       /* an engine from outside, before `engine`; NULL: none */
    unsigned timeout;            /* seconds that a call of the plugin may take */
    const char *json_path;
    int format, hw, policy, rmp; /* values of the world op's fields; -1: as the input says */
    bool checks_all, accepts, is_golden, explains, shows_iotlb, is_ktap, is_strict;
    char **paths;
    unsigned path_count;
};

struct replay {
    struct replay_options options;
    struct world *world; /* made on first use */
    json_t *json;        /* the file under way: an object of `files`; NULL without --json */
    json_t *json_files;
    struct golden_totals golden;
    unsigned tests; /* files finished, for KTAP */
};

/* Ctrl-C was pressed: finish the op, print the totals so far, stop. */
bool replay_is_interrupted(void);

enum replay_status replay_script(struct replay *replay, struct input *input);
enum replay_status replay_stream(struct replay *replay, struct input *input);
enum replay_status replay_golden(struct replay *replay, const char *path);

/*
 * Make the world of `op` with the options' overrides, which are written into *op. False: said why on stderr, with
 * `place` (file or file:line) in front.
 */
bool replay_begin(struct replay *replay, struct op *op, const char *place);

/* ---- output (replay_report.c) ------------------------------------------------------------------------------------ */

/* printf to stdout; under --ktap every line becomes a diagnostic. `format` ends with a newline. */
void replay_print(const struct replay *replay, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for text of several lines. */
void replay_print_text(const struct replay *replay, const char *text);
/* printf to stderr, a newline added. */
void replay_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A number of the file under way: a line `NAME  VALUE`, and the JSON key `key` (NULL: none). */
void replay_number(struct replay *replay, const char *key, const char *name, uint64_t value);
/* JSON only. */
void replay_json_string(struct replay *replay, const char *key, const char *value);

/* 4K, 2M, 512G ... for 2^shift bytes. */
enum { REPLAY_SIZE_BYTES = 16 };
const char *replay_size(unsigned shift, char text[REPLAY_SIZE_BYTES]);

/* What the world did: pages, leaves by size, tables, findings. */
void replay_world_totals(struct replay *replay);
/* What the IOMMU did: hits, fills by size, faults by reason, walk reads, entries and reach. */
void replay_iotlb_totals(struct replay *replay);

/* Why the last op ended as it did, in words; nothing where there is nothing to explain (replay_explain.c). */
void replay_explain(const struct replay *replay, const struct op *op, const struct world_outcome *outcome);
