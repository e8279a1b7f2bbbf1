/* Built with -mgeneral-regs-only, as the general rows of the engine are. */
#include "bench_limit.h"

void bench_store_general(uint64_t *items, size_t count, uint64_t first, uint64_t step)
{
    const uint64_t *end = items + count;

    for (; items < end; items += 8) {
        items[0] = first;
        items[1] = first + step;
        items[2] = first + 2 * step;
        items[3] = first + 3 * step;
        first += 4 * step;
        items[4] = first;
        items[5] = first + step;
        items[6] = first + 2 * step;
        items[7] = first + 3 * step;
        first += 4 * step;
    }
}
