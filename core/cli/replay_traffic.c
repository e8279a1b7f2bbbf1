/* The traffic pattern, one DMA at a time. */
#include "cli/replay_traffic.h"

#include <string.h>

enum { PAGE_SHIFT = 12 };

#define PAGE_BYTES (UINT64_C(1) << PAGE_SHIFT)
#define SEED       UINT64_C(0x6d61707072)

const char *const traffic_words =
    "after each map: one write to every 4K page of it, ascending; after each unmap: one read of its first byte, which "
    "must fault; after each of them: one read of a random page of one of the 64 latest live mappings (seed fixed)";

void traffic_begin(struct traffic *traffic)
{
    *traffic = (struct traffic){ .random = random_seeded(SEED) };
}

static void remember(struct traffic *traffic, uint64_t first, uint64_t length)
{
    if (traffic->recent_count == TRAFFIC_RECENT) {
        traffic->recent_count--;
        memmove(traffic->recent, traffic->recent + 1, traffic->recent_count * sizeof(traffic->recent[0]));
    }
    traffic->recent[traffic->recent_count].first = first;
    traffic->recent[traffic->recent_count++].length = length;
}

/* Forget what overlaps [first, first + length). */
static void forget(struct traffic *traffic, uint64_t first, uint64_t length)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < traffic->recent_count; i++) {
        const bool is_apart =
            traffic->recent[i].first - first >= length && first - traffic->recent[i].first >= traffic->recent[i].length;

        if (is_apart) traffic->recent[kept++] = traffic->recent[i];
    }
    traffic->recent_count = kept;
}

void traffic_note(struct traffic *traffic, const struct import_op *op)
{
    if (op->kind == IMPORT_CUT) return;
    if (op->kind == IMPORT_MAP) {
        remember(traffic, op->input, op->length);
        traffic->next = op->input;
        traffic->end = op->input + op->length;
    } else {
        forget(traffic, op->input, op->length);
        traffic->has_unmapped = true;
        traffic->unmapped = op->input;
    }
    traffic->has_touch = true;
}

static struct op dma_op(uint64_t address, bool is_write)
{
    struct op op = op_make(OP_DMA);

    op_set(&op, FIELD_DEVICE, TRAFFIC_DEVICE);
    op_set(&op, FIELD_INPUT, address);
    op_set(&op, FIELD_ACCESS, is_write);
    return op;
}

bool traffic_next(struct traffic *traffic, struct op *dma, bool *must_fault)
{
    *must_fault = false;
    if (traffic->next != traffic->end) {
        *dma = dma_op(traffic->next, true);
        traffic->next = traffic->end - traffic->next > PAGE_BYTES ? traffic->next + PAGE_BYTES : traffic->end;
        return true;
    }
    if (traffic->has_unmapped) {
        traffic->has_unmapped = false;
        *must_fault = true;
        *dma = dma_op(traffic->unmapped, false);
        return true;
    }
    if (traffic->has_touch && traffic->recent_count > 0) {
        const uint64_t which = random_below(&traffic->random, traffic->recent_count);
        const uint64_t page = random_below(&traffic->random, traffic->recent[which].length);

        traffic->has_touch = false;
        *dma = dma_op(traffic->recent[which].first + page, false);
        return true;
    }
    traffic->has_touch = false;
    return false;
}
