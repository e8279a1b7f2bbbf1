/*
 * Made-up DMA for inputs that have mappings only: what a device might do with them. The pattern is fixed, so that two
 * runs agree in every number; its words are printed with the totals.
 */
#pragma once

#include "base/random.h"
#include "import/import.h"
#include "script/op.h"

#include <stdbool.h>
#include <stdint.h>

enum { TRAFFIC_RECENT = 64, TRAFFIC_DEVICE = 2 /* untrusted, no S1 (world.h) */ };

/* The pattern in words. */
extern const char *const traffic_words;

struct traffic {
    struct random random;
    struct {
        uint64_t first, length;
    } recent[TRAFFIC_RECENT]; /* live, oldest first */
    unsigned recent_count;
    /* DMA still to be done for the op under way */
    uint64_t next, end; /* pages of a new mapping */
    bool has_unmapped, has_touch;
    uint64_t unmapped;
};

void traffic_begin(struct traffic *traffic);
/* The import op that was just applied. */
void traffic_note(struct traffic *traffic, const struct import_op *op);
/* The next DMA that follows it. False: none. *must_fault: the page was just unmapped. */
bool traffic_next(struct traffic *traffic, struct op *dma, bool *must_fault);
