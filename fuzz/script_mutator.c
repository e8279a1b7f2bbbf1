/*
 * libFuzzer's mutations on whole ops: a change of bits anywhere would mostly make another address that no earlier op
 * uses. Output is always legal records. libFuzzer only; AFL++ needs this as an afl_custom_* library.
 */
#include "fuzz.h"

#include "base/check.h"
#include "base/random.h"
#include "script/script.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_given(int argc, char **argv, const char *flag)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], flag, strlen(flag)) == 0) return true;
    }
    return false;
}

/*
 * libFuzzer's own choices suit byte strings: inputs that start at 4 bytes and grow slowly. A whole script fits from the
 * start unless the command line says otherwise. Its entropic schedule counts features of all inputs again and again:
 * with twelve formats that was two thirds of the time.
 */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static char max_len[] = "-max_len=8192";
    static char len_control[] = "-len_control=0";
    static char entropic[] = "-entropic=0";
    char **longer = calloc((size_t)*argc + 4, sizeof(*longer)); /* libFuzzer's until the end */
    int count = *argc;

    _Static_assert(FUZZ_BYTES_MAX == 8192, "max_len above");
    CHECK(longer != NULL);
    memcpy(longer, *argv, (size_t)*argc * sizeof(*longer));
    if (!is_given(*argc, *argv, "-max_len=")) longer[count++] = max_len;
    if (!is_given(*argc, *argv, "-len_control=")) longer[count++] = len_control;
    if (!is_given(*argc, *argv, "-entropic=")) longer[count++] = entropic;
    *argv = longer;
    *argc = count;
    return 0;
}

/* Where no record fits, libFuzzer still wants a byte. */
static size_t too_small(uint8_t *out, size_t max_size)
{
    if (max_size) out[0] = '\n';
    return max_size ? 1 : 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    struct random random = random_seeded(seed);
    struct op ops[FUZZ_OPS_MAX];
    size_t capacity = max_size / OP_RECORD_BYTES;
    size_t count = fuzz_decode(data, size, ops);

    if (capacity == 0) return too_small(data, max_size);
    if (capacity > FUZZ_OPS_MAX) capacity = FUZZ_OPS_MAX;
    if (count > capacity) count = capacity;
    count = script_mutate_for(&random, fuzz_theme, ops, count, capacity);
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

    if (capacity == 0) return too_small(out, max_size);
    if (capacity > FUZZ_OPS_MAX) capacity = FUZZ_OPS_MAX;
    return script_encode(child, script_crossover(&random, parents, child, capacity), out, max_size);
}
