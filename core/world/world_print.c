/* Outcomes in the words of the op language (design.md 3). */
#include "world/world_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static const char *error_name(int error)
{
    switch (-error) {
    case 0: return "0";
    case EADDRINUSE: return "EADDRINUSE";
    case EAGAIN: return "EAGAIN";
    case EINVAL: return "EINVAL";
    case ENOENT: return "ENOENT";
    case ENOMEM: return "ENOMEM";
    case ENXIO: return "ENXIO";
    case EOPNOTSUPP: return "EOPNOTSUPP";
    case EOVERFLOW: return "EOVERFLOW";
    case ERANGE: return "ERANGE";
    default: return "?";
    }
}

static int print_error(int error, char *buffer, size_t size)
{
    return error ? snprintf(buffer, size, "errno=%s", error_name(error)) : snprintf(buffer, size, "ok");
}

static int print_map(const struct world_outcome *outcome, char *buffer, size_t size)
{
    if (!outcome->error) return snprintf(buffer, size, "ok");
    return snprintf(buffer, size, "errno=%s mapped=0x%" PRIx64, error_name(outcome->error), outcome->bytes);
}

static int print_unmap(const struct world_outcome *outcome, char *buffer, size_t size)
{
    char reports[24] = "", freed[24] = "";

    if (outcome->has_reports) snprintf(reports, sizeof(reports), " reports=%u", outcome->reports);
    if (outcome->freed) snprintf(freed, sizeof(freed), " freed=%u", outcome->freed);
    return snprintf(buffer, size, "bytes=0x%" PRIx64 "%s%s", outcome->bytes, reports, freed);
}

static int print_dirty(const struct world_outcome *outcome, char *buffer, size_t size)
{
    char bits[32] = "";

    if (outcome->has_bits) snprintf(bits, sizeof(bits), " bits=%" PRIu64, outcome->bits);
    return snprintf(buffer, size, "dirty=0x%" PRIx64 " leaves=%" PRIu64 "%s", outcome->bytes, outcome->leaves, bits);
}

static const char *size_name(unsigned shift)
{
    switch (shift) {
    case SHIFT_4K: return "4K";
    case SHIFT_2M: return "2M";
    case SHIFT_1G: return "1G";
    default: return "?";
    }
}

static int print_dma(const struct iommu_outcome *dma, char *buffer, size_t size)
{
    if (dma->fault)
        return snprintf(buffer, size, "fault=%s%s", dma->of_s1_table ? "s1-" : "", iommu_fault_name(dma->fault));
    return snprintf(buffer, size, "hpa=0x%" PRIx64 " %s=%s%s", dma->hpa.value, dma->is_hit ? "hit" : "fill",
                    size_name(dma->fill_shift), dma->repaired ? " repaired" : "");
}

static const char *state_name(const struct world_outcome *outcome)
{
    if (outcome->is_busy) return "busy";
    switch (outcome->state) {
    case HOST_RUNNING: return outcome->is_answered ? "answered" : "running";
    case HOST_DONE: return "done";
    case HOST_REFUSED: return "refused";
    case HOST_IDLE: break;
    }
    return "idle";
}

/* Counts that are not 0, of the whole conversion; steps are those of this op. */
static int print_conversion(const struct world_outcome *outcome, char *buffer, size_t size)
{
    const struct world_costs *costs = &outcome->costs;
    const struct {
        const char *name;
        uint64_t count;
    } counts[] = {
        { "leaked", outcome->leaked },   { "exits", costs->exits },     { "updates", costs->updates },
        { "psmashes", costs->psmashes }, { "splits", costs->splits },   { "joins", costs->joins },
        { "tables", costs->tables },     { "flushes", costs->flushes }, { "stalls", costs->stalls },
        { "held", costs->held },
    };
    const bool has_ended = outcome->state == HOST_DONE || outcome->state == HOST_REFUSED;
    int length = snprintf(buffer, size, "%s%s%s", state_name(outcome), outcome->reason ? "=" : "",
                          host_reason_name(outcome->reason));

    if (outcome->is_busy || outcome->state == HOST_IDLE) return length;
    length += snprintf(buffer + length, size - (size_t)length, " steps=%" PRIu64, outcome->steps);
    for (size_t i = 0; has_ended && i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (!counts[i].count) continue;
        length += snprintf(buffer + length, size - (size_t)length, " %s=%" PRIu64, counts[i].name, counts[i].count);
    }
    return length;
}

static int print_stall(const struct world_outcome *outcome, char *buffer, size_t size)
{
    if (!outcome->served) return snprintf(buffer, size, "ok");
    if (!outcome->faults) return snprintf(buffer, size, "ok served=%u", outcome->served);
    return snprintf(buffer, size, "ok served=%u faults=%u", outcome->served, outcome->faults);
}

int world_print_outcome(const struct world_outcome *outcome, char *buffer, size_t size)
{
    if (outcome->is_skipped) return snprintf(buffer, size, "skipped");
    switch (outcome->kind) {
    case OP_MAP:
    case OP_MAP_LIST: return print_map(outcome, buffer, size);
    case OP_UNMAP: return print_unmap(outcome, buffer, size);
    case OP_SYNC:
        return outcome->freed ? snprintf(buffer, size, "ok freed=%u", outcome->freed) : snprintf(buffer, size, "ok");
    case OP_DIRTY_READ:
        if (outcome->error) return print_error(outcome->error, buffer, size);
        return print_dirty(outcome, buffer, size);
    case OP_RMPUPDATE:
    case OP_PSMASH:
    case OP_PVALIDATE:
    case OP_RECLAIM:
    case OP_UNSMASH:
    case OP_SET_STATE:
    case OP_RMP_HOLD:
    case OP_RMPADJUST: return snprintf(buffer, size, "%s", rmp_result_name(outcome->rmp));
    case OP_DMA:
        if (outcome->is_held) return snprintf(buffer, size, "held");
        if (outcome->is_not_sent) return snprintf(buffer, size, "not-sent");
        return print_dma(&outcome->dma, buffer, size);
    case OP_STALL: return print_stall(outcome, buffer, size);
    case OP_CONVERT:
    case OP_STEP: return print_conversion(outcome, buffer, size);
    default: return print_error(outcome->error, buffer, size);
    }
}
