/*
 * Ops and their outcomes in plain English, one sentence each: for scripts that people read (findings, --explain).
 *
 * What is said comes from the outcome and from the oracle's state right after the op, so call it before the next op.
 */
#pragma once

#include "world/world.h"

enum { WORLD_WORDS_MAX = 640 };

/*
 * One sentence, with its full stop, about an op that was just applied; for OP_WORLD, after world_begin, about the
 * machine (outcome NULL). Returns the length as snprintf does.
 */
int world_print_words(struct world *world, const struct op *op, const struct world_outcome *outcome, char *buffer,
                      size_t size);

/* world_print_outcome, and behind it `finding=loses-dma rule=rmp-size-bystander` where the op ended in one. */
int world_print_result(const struct world_outcome *outcome, char *buffer, size_t size);

/* What guest and device were entitled to, where the dma just applied ended in a finding: half a sentence. */
int world_print_entitled(struct world *world, const struct op *op, const struct world_outcome *outcome, char *buffer,
                         size_t size);
