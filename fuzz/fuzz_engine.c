/*
 * Does every op do to the page tables, as hardware reads them, what it was asked to do, and nothing else?
 *
 * Input:  op records or a text script (fuzz.h); the first op is a world, the default one if there is none.
 * Oracle: world_apply compares result, errno and bytes with the oracle and walks the raw bits of what was touched;
 *         world_check looks at everything (fuzz_run.h).
 * Limits: 256 ops. Nothing is kept between inputs but counters.
 */
#include "fuzz_run.h"

const enum script_theme fuzz_theme = SCRIPT_ANY;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzz_target target = { 0 };

    fuzz_run(&target, data, size);
    return 0;
}
