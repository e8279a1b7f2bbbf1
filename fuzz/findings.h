/*
 * The findings of a run (world.h), each once: by rule and hardware variant, counted, with the shortest script that
 * leads to it.
 *
 * A script is minimised when its key is first seen, when an input gets there in fewer ops than the best script has, and
 * while that has more than 6 also the 4th, 16th ... time; every other time a finding costs a count. It keeps its key:
 * the same finding, rule and hardware at its last op.
 *
 * With a folder, each script is written there as <finding>.<rule>.<hw>.ops, whole or not at all: its title, what the
 * device was entitled to and what happened, then every op below a sentence about it, with what it must end in.
 * mapproof-replay confirms it.
 */
#pragma once

#include "script/op.h"
#include "world/world.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct findings;

/* The scripts' folder, or NULL: none are written. It must exist; what cannot be written is said on stderr. */
struct findings *findings_new(const char *folder);
void findings_free(struct findings *findings);

/* Where a finding came up. */
struct finding_source {
    const struct op *ops; /* the world first; the last one is the op that ended in the finding */
    size_t count;
    uint64_t exec; /* number of the input */
    double seconds;
};

/* Count a finding. Cost: a count, or a minimisation (above). */
void findings_note(struct findings *findings, const struct finding_source *source, const struct world_outcome *outcome);

/* `mapproof: finding KEY count=N first_exec=N first_seconds=S ops=N`, one line a key, in a fixed order. */
void findings_print(const struct findings *findings, FILE *file);

/* ---- what it is made of ------------------------------------------------------------------------------------------ */

/* What a script is kept for. */
struct finding_key {
    enum world_rule rule; /* names the finding too */
    unsigned hw;          /* FIELD_HW of the world */
};

/*
 * Make ops[0 .. count) as short and as round as can be while its last op still ends in the key's finding, and nothing
 * before does if that can be had. `world` is used up. Returns the new count; 0: the script does not end so.
 */
size_t findings_minimise(struct world *world, const struct finding_key *key, struct op *ops, size_t count);

/* The commented script (above) as a malloc'd string. Runs it in `world`. */
char *findings_describe(struct world *world, const struct finding_key *key, const struct op *ops, size_t count);
