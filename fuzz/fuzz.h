/*
 * What fuzz targets, the mutator and the replay driver share. A target defines LLVMFuzzerTestOneInput and nothing else
 * of libFuzzer's, so that replay.c can drive it with any compiler.
 */
#pragma once

#include "script/script.h"

#include <stddef.h>
#include <stdint.h>

enum {
    FUZZ_OPS_MAX = 256, /* ops of one input that are run, the world included */
    FUZZ_BYTES_MAX = FUZZ_OPS_MAX * OP_RECORD_BYTES,
};

/* One input, records or text (fuzz_decode). Always 0; a difference aborts. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * An input's ops, at most FUZZ_OPS_MAX, the first a world: records, or text if it looks like text, so that seeds can
 * stay readable. Text that does not parse is the default world alone; the replay driver refuses it before.
 */
size_t fuzz_decode(const uint8_t *data, size_t size, struct op ops[FUZZ_OPS_MAX]);

/* What the mutator draws for this target. Each target that takes records has one. */
extern const enum script_theme fuzz_theme;

/* libFuzzer's hooks (script_mutator.c); not linked into replay programs. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2, uint8_t *out,
                                 size_t max_size, unsigned seed);
