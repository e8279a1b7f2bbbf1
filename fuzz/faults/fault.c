/* The switch and the counters of planted faults (base/fault.h). Linked by builds with MAPPROOF_FAULTS only. */
#include "base/fault.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const fault_names[FAULT_COUNT] = { [FAULT_NONE] = "none",
#define X(name, target, text) [FAULT_##name] = #name,
                                                      FAULT_LIST(X)
#undef X
};

static enum fault_id selected = FAULT_NONE;
static atomic_uint_fast64_t reached, triggered; /* engines run on several threads */

void fault_report(void)
{
    if (selected == FAULT_NONE) return;
    fprintf(stderr, "fault %s reached=%" PRIuFAST64 " triggered=%" PRIuFAST64 "\n", fault_names[selected],
            atomic_load(&reached), atomic_load(&triggered));
}

/* Before main: a fuzzer's main must not get the chance to run without the fault that was asked for. */
__attribute__((constructor)) static void select_fault(void)
{
    const char *name = getenv("MAPPROOF_FAULT");

    if (!name || !name[0]) return;
    for (unsigned i = 0; i < FAULT_COUNT; i++) {
        if (strcmp(name, fault_names[i]) != 0) continue;
        selected = (enum fault_id)i;
        atexit(fault_report);
        return;
    }
    fprintf(stderr, "MAPPROOF_FAULT: unknown fault '%s'; expected one of", name);
    for (unsigned i = 0; i < FAULT_COUNT; i++) fprintf(stderr, "%s %s", i ? "," : "", fault_names[i]);
    fprintf(stderr, "\n");
    _exit(2);
}

bool fault_is_on(enum fault_id fault)
{
    if (fault != selected) return false;
    atomic_fetch_add_explicit(&reached, 1, memory_order_relaxed);
    return true;
}

void fault_triggered(void)
{
    atomic_fetch_add_explicit(&triggered, 1, memory_order_relaxed);
}
