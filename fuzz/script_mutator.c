/*
 * libFuzzer's mutations on whole ops: a change of bits anywhere would mostly make another address that no earlier op
 * uses. Output is always legal records. libFuzzer only; AFL++ needs this as an afl_custom_* library.
 */
#include "fuzz.h"

#include "base/random.h"
#include "script/script.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    struct random random = random_seeded(seed);
    struct op ops[FUZZ_OPS_MAX];
    size_t capacity = max_size / OP_RECORD_BYTES;
    size_t count = fuzz_decode(data, size, ops);

    if (capacity == 0) return 0;
    if (capacity > FUZZ_OPS_MAX) capacity = FUZZ_OPS_MAX;
    if (count > capacity) count = capacity;
    count = script_mutate(&random, ops, count, capacity);
    return script_encode(ops, count, data, max_size);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2, uint8_t *out,
                                 size_t max_size, unsigned seed)
{
    struct random random = random_seeded(seed);
    struct op first[FUZZ_OPS_MAX], second[FUZZ_OPS_MAX], child[FUZZ_OPS_MAX];
    const struct script_part parents[2] = { { first, fuzz_decode(data1, size1, first) },
                                            { second, fuzz_decode(data2, size2, second) } };
    size_t capacity = max_size / OP_RECORD_BYTES;

    if (capacity == 0) return 0;
    if (capacity > FUZZ_OPS_MAX) capacity = FUZZ_OPS_MAX;
    return script_encode(child, script_crossover(&random, parents, child, capacity), out, max_size);
}
