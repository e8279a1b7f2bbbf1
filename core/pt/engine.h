/*
 * struct engine: the op-level table. A row is one engine: a built-in format in one of its builds, or (later) an
 * adapter for an engine from outside. The host, the world, benches and tests pick a row by name and call through pt.h.
 *
 *   amdv1, x86_64                 general: no vector registers, what a kernel could use
 *   amdv1-vector, x86_64-vector   user space only: 16-byte stores
 *
 * An entry that a row does not have is NULL; pt.h then answers -EOPNOTSUPP.
 */
#pragma once

#include "pt/pt.h"
#include "pt/pt_check.h"

struct engine {
    const char *name;   /* unique: format or format-vector */
    const char *format; /* token of the format, as in files, reports and the iommu walkers */
    bool is_vector;
    bool has_dirty;         /* the format has a dirty bit that read_and_clear_dirty can read */
    bool resizes_in_place;  /* a live contiguous leaf may change its length (capability column 1) */
    bool exchanges_tables;  /* a live leaf may be exchanged for a table and back (capability column 2) */
    uint32_t default_features; /* of the default configuration, see engine_default_config */
    int (*init)(struct pt *pt, const struct pt_config *config);
    void (*deinit)(struct pt *pt);
    int (*map_range)(struct pt *pt, iova_t start, hpa_t target, uint64_t length, unsigned prot, uint64_t *mapped);
    uint64_t (*unmap_range)(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *gather);
    bool (*iova_to_phys)(const struct pt *pt, iova_t address, hpa_t *result);
    int (*read_and_clear_dirty)(struct pt *pt, iova_t start, uint64_t length, unsigned flags, pt_dirty_report *report,
                                void *context, struct pt_gather *gather);
    int (*set_dirty)(struct pt *pt, iova_t address);
    int (*cut)(struct pt *pt, iova_t at);
    void (*get_info)(const struct pt *pt, struct pt_info *info);
    void (*walk_items)(const struct pt *pt, void (*visit)(void *context, const struct pt_item *item), void *context);
    unsigned (*check)(const struct pt *pt, const struct pt_check_report *report);
};

/* The row of that name; NULL: no such engine is built, or this CPU cannot run it. */
const struct engine *engine_find(const char *name);

/* Row `index`, NULL past the end. Every row that is built. */
const struct engine *engine_at(unsigned index);

/* Would this CPU run the row? (Vector rows rely on 16-byte stores being atomic: CPUs with AVX.) */
bool engine_is_usable(const struct engine *engine);

/*
 * The default configuration of a format (design.md 7: what a plain format name means):
 *   amdv1   start level 2 growing, 64-bit VA, 52-bit OA, force coherence, flush range
 *   x86_64  4 levels, 47-bit VA, 52-bit OA, no sign extension, flush range
 * pool, hooks and context are left for the caller.
 */
struct pt_config engine_default_config(const struct engine *engine);
