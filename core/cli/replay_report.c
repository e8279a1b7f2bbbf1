/*
 * Output of mapproof-replay: lines, numbers (text and JSON at once), and the two tables of totals.
 */
#define _GNU_SOURCE /* vasprintf */
#include "cli/replay.h"

#include "base/bits.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_WIDTH = 44, VALUE_WIDTH = 14 };

void replay_error(const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

void replay_print(const struct replay *replay, const char *format, ...)
{
    va_list arguments;

    if (replay->options.is_ktap) fputs("# ", stdout);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
}

void replay_print_text(const struct replay *replay, const char *text)
{
    while (*text) {
        const size_t length = strcspn(text, "\n");

        replay_print(replay, "%.*s\n", (int)length, text);
        text += length + (text[length] == '\n');
    }
}

void replay_json_string(struct replay *replay, const char *key, const char *value)
{
    if (replay->json) json_object_set_new(replay->json, key, json_string(value));
}

void replay_number(struct replay *replay, const char *key, const char *name, uint64_t value)
{
    replay_print(replay, "  %-*s %*llu\n", NAME_WIDTH, name, VALUE_WIDTH, (unsigned long long)value);
    if (replay->json && key) json_object_set_new(replay->json, key, json_integer((json_int_t)value));
}

const char *replay_size(unsigned shift, char text[REPLAY_SIZE_BYTES])
{
    static const char units[] = "BKMGTPE";

    snprintf(text, REPLAY_SIZE_BYTES, "%u%c", 1u << (shift % 10), units[shift / 10]);
    return text;
}

/* One line and one JSON key for every size that occurred. */
static void print_by_size(struct replay *replay, const char *key, const char *name, const uint64_t counts[64])
{
    json_t *json = replay->json ? json_object() : NULL;

    for (unsigned shift = 0; shift < 64; shift++) {
        char size[REPLAY_SIZE_BYTES];
        char line[64];

        if (counts[shift] == 0) continue;
        replay_size(shift, size);
        snprintf(line, sizeof(line), "%s %s", name, size);
        replay_number(replay, NULL, line, counts[shift]);
        if (json) json_object_set_new(json, size, json_integer((json_int_t)counts[shift]));
    }
    if (json) json_object_set_new(replay->json, key, json);
}

static void print_findings(struct replay *replay, const struct world_totals *totals)
{
    json_t *json = replay->json ? json_object() : NULL;

    for (unsigned finding = FINDING_NONE + 1; finding < FINDING_KINDS; finding++) {
        const char *name = world_finding_name((enum world_finding)finding);
        char line[64];

        if (json) json_object_set_new(json, name, json_integer((json_int_t)totals->findings[finding]));
        if (totals->findings[finding] == 0) continue;
        snprintf(line, sizeof(line), "findings: %s", name);
        replay_number(replay, NULL, line, totals->findings[finding]);
    }
    if (json) json_object_set_new(replay->json, "findings", json);
}

void replay_world_totals(struct replay *replay)
{
    const struct world_totals *totals = world_totals(replay->world);

    replay_number(replay, "world_ops", "ops applied to the world, DMA included", totals->ops);
    replay_number(replay, "pages", "4K pages mapped", totals->pages);
    print_by_size(replay, "leaves", "leaves of", totals->leaves_by_shift);
    replay_number(replay, "table_pages_peak", "table pages at peak", totals->table_pages_peak);
    replay_number(replay, "check_walks", "hardware walks done by checks", totals->walks);
    print_findings(replay, totals);
}

static void print_faults(struct replay *replay, const struct iommu_stats *stats)
{
    json_t *json = replay->json ? json_object() : NULL;

    for (unsigned fault = IOMMU_NO_FAULT + 1; fault < IOMMU_FAULT_COUNT; fault++) {
        const char *name = iommu_fault_name((enum iommu_fault)fault);
        char line[64];

        if (stats->faults[fault] == 0) continue;
        snprintf(line, sizeof(line), "faults: %s", name);
        replay_number(replay, NULL, line, stats->faults[fault]);
        if (json) json_object_set_new(json, name, json_integer((json_int_t)stats->faults[fault]));
    }
    if (json) json_object_set_new(replay->json, "iotlb_faults", json);
}

void replay_iotlb_totals(struct replay *replay)
{
    const struct iommu *iommu = world_iommu(replay->world);
    const struct iommu_stats *stats = iommu_stats(iommu);
    uint64_t entries, reach;

    iommu_occupancy(iommu, &entries, &reach);
    replay_print(replay, "  IOTLB (a model of its geometry, not silicon)\n");
    replay_number(replay, "iotlb_translations", "translations", stats->translations);
    replay_number(replay, "iotlb_hits", "hits", stats->hits);
    print_by_size(replay, "iotlb_fills", "fills of", stats->fills_by_shift);
    print_faults(replay, stats);
    replay_number(replay, "iotlb_walk_reads", "memory reads of walks", stats->walk_reads);
    replay_number(replay, "iotlb_evictions", "entries evicted", stats->evictions);
    replay_number(replay, "iotlb_invalidations", "invalidations", stats->invalidations);
    if (stats->repairs) replay_number(replay, "iotlb_repairs", "mismatches a CPU would repair", stats->repairs);
    replay_number(replay, "iotlb_entries", "entries at the end", entries);
    replay_number(replay, "iotlb_reach_bytes", "bytes they reach", reach);
}
