/*
 * struct engine: the op-level table. A row is one engine: a built-in format in one of its builds, or a
 * format of an engine from outside (pt_plugin_host.h). The host, the world, benches and tests pick a row by name and
 * call through pt.h.
 *
 *   amdv1, x86_64, vtdss, ...    general: no vector registers, what a kernel could use
 *   amdv1-vector, ...            user space only: 16-byte stores
 *
 * An entry that a row does not have is NULL; pt.h then answers -EOPNOTSUPP. The three entries behind `resize` are for
 * engines that keep state of their own; the built-in ones live in struct pt and have none of them.
 */
#pragma once

#include "pt/pt.h"

/* What an item is. */
enum pt_kind { PT_EMPTY, PT_LEAF, PT_TABLE };

/* The shape of a format's tables, for walks that do not know the format. */
struct pt_geometry {
    unsigned granule_shift; /* smallest leaf */
    unsigned index_bits;    /* log2 of the items of an interior table */
    unsigned level_max;
    unsigned top_extra_bits;                /* index bits that a top may have more */
    bool run_items_advance;                 /* addresses in the items of a run advance; else the items are identical */
    uint64_t (*leaf_sizes)(unsigned level); /* bitmap of leaf sizes, bit s = 2^s bytes */
    uint64_t (*optional_sizes)(const struct pt *pt); /* those of them that this table lacks for want of a feature */
};

/* An item taken apart. */
struct pt_decoded {
    enum pt_kind kind;
    unsigned shift;         /* leaf: its size, the whole run */
    uint64_t address;       /* leaf: output address of its first byte; table: address of the child */
    uint64_t item_address;  /* leaf: output address of what this item of the run translates, where these advance */
    uint64_t canonical;     /* the item that the format would write for what was decoded */
    uint64_t software_bits; /* table: bits that may be set beside canonical */
    uint64_t flushed_bit;   /* table: the one of them that says "this item was flushed" (PT_DMA_INCOHERENT), or 0 */
    uint64_t address_bits;  /* where the format keeps addresses */
    uint64_t level_bits;    /* bits that hold a level or say that the size is encoded (AMD NL), or 0 */
    uint64_t reserved;      /* leaf: attrs that are set and never written by this format; not 0: wrong */
    uint64_t hardware_bits; /* leaf: bits that hardware sets or clears by itself */
    uint64_t missing;       /* leaf: attrs of every leaf of this table (force coherence, ...) that are not set */
    bool is_dirty;
};

struct engine {
    const char *name;   /* unique: format or format-vector */
    const char *format; /* token of the format, as in files, reports and the iommu walkers */
    bool is_vector;
    uint32_t features; /* enum pt_feature that init accepts */
    unsigned va_bits_max, oa_bits_max;
    bool has_dirty;        /* the format has a dirty bit that read_and_clear_dirty can read */
    bool resizes_in_place; /* a live contiguous leaf may change its length (capability column 1) */
    bool exchanges_tables; /* a live leaf may be exchanged for a table and back (capability column 2) */
    struct pt_geometry geometry;
    int (*init)(struct pt *pt, const struct pt_config *config);
    void (*deinit)(struct pt *pt);
    int (*map_range)(struct pt *pt, iova_t start, hpa_t target, uint64_t length, unsigned prot, uint64_t *mapped);
    uint64_t (*unmap_range)(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *gather);
    int (*map_list)(struct pt *pt, iova_t start, const struct pt_list *list, unsigned prot, uint64_t *mapped);
    uint64_t (*unmap_ranges)(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *gather,
                             const struct pt_receiver *receiver);
    bool (*iova_to_phys)(const struct pt *pt, iova_t address, hpa_t *result);
    int (*read_and_clear_dirty)(struct pt *pt, iova_t start, uint64_t length, unsigned flags, pt_dirty_report *report,
                                void *context, struct pt_gather *gather);
    int (*set_dirty)(struct pt *pt, iova_t address);
    int (*cut)(struct pt *pt, iova_t at);
    int (*resize)(struct pt *pt, iova_t start, uint64_t length, uint64_t max_leaf);
    int (*set_page_sizes)(struct pt *pt, uint64_t mask);
    int (*enforce_coherence)(struct pt *pt);
    const char *(*complaint)(const struct engine *engine); /* what it did wrong at a hook, or NULL (plugin_complaint) */
    void (*get_info)(const struct pt *pt, struct pt_info *info);
    void (*decode)(const struct pt *pt, uint64_t item, unsigned level, struct pt_decoded *decoded); /* cold paths */
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
 *   vtdss   4 levels, 48-bit VA, 52-bit OA, force coherence, flush range
 *   riscv64     Sv48, sign extended, 56-bit OA, NAPOT 64K, flush range
 *   riscv64_s2  Sv48x4 (50-bit VA, root of 16K), 56-bit OA, NAPOT 64K, flush range
 *   armv8*  48-bit VA and OA, contiguous hint, flush range; 4 levels, 3 with 64K and with 16K stage 2 (2 top tables)
 *   fake        4 levels, 46-bit VA, 47-bit OA, flush range
 * pool, hooks and context are left for the caller.
 */
struct pt_config engine_default_config(const struct engine *engine);
