/*
 * What the IOMMU hardware does: device table, walks of raw table bits, the RMP check, the IOTLB, its commands.
 *
 * Reads memory only through physmem and shares no code with the engine (core/iommu never includes core/pt): a wrong
 * encoding must not be decoded by the same mistake. Deterministic: replacement is LRU by a counter, no clock.
 *
 * Truth of outcomes: rmp.md 4.6. What differs between devices is a row of `iommu_variants` and switches, never a branch
 * on a name. Everything disputed or inferred is a switch with the default of design.md 6.
 */
#pragma once

#include "base/addr.h"
#include "base/physmem.h"
#include "rmp/rmp.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    IOMMU_DEVICES = 16,
    IOMMU_READS_MAX = 64,  /* table reads of one access are at most this: (5 + 1) S1 levels * 6 S2 reads + 6 */
    IOMMU_PATH_MAX = 8,
};

/* Why an access failed. S1_ is added (in `of_s1_table`) when the access was the fetch of a guest table. */
enum iommu_fault {
    IOMMU_NO_FAULT,
    IOMMU_NOT_PRESENT,
    IOMMU_PERMISSION,
    IOMMU_CANONICAL,     /* the input address is outside what the table decodes */
    IOMMU_RESERVED_BITS, /* an item no software should write */
    IOMMU_RMP_OWNER,     /* private: not assigned or another ASID; shared: assigned */
    IOMMU_RMP_GPA,
    IOMMU_RMP_SIZE,
    IOMMU_RMP_IMMUTABLE,
    IOMMU_RMP_NOT_VALIDATED,
    IOMMU_RMP_RANGE, /* private access to an hpa that the RMP does not cover */
    IOMMU_NO_MEMORY, /* a table lies where there is no memory */
    IOMMU_FAULT_COUNT,
};

/* not-present, permission, canonical, reserved-bits, rmp-owner, ... as scripts and reports print them. */
const char *iommu_fault_name(enum iommu_fault fault);

/* ---- table walks ----------------------------------------------------------------------------------------------- */

/* How hardware is told to walk one table: what a device table entry holds for it. */
struct iommu_table {
    const char *format; /* "amdv1" or "x86_64": selects the walker row */
    uint64_t root;      /* address of the top table, in the space its items use */
    unsigned top_level; /* level of the top table, 0 = smallest leaves */
    unsigned va_bits;   /* addresses beyond fault as canonical (amdv1 growing tables: what top_level decodes) */
    unsigned oa_bits;   /* output addresses beyond fault as reserved bits */
    uint64_t c_bit_mask; /* stripped from every address; 0 = none */
    bool sign_extend;
    bool set_accessed_dirty; /* the walk sets A and D in the leaf as hardware does */
};

enum iommu_access { IOMMU_READ, IOMMU_WRITE };

/* The result of one table's walk. */
struct iommu_leaf {
    enum iommu_fault fault;
    uint64_t address;  /* output address of the byte asked for */
    unsigned shift;    /* size of the leaf: contiguous runs as a whole */
    bool readable, writable; /* AND over the path, as hardware combines them */
    bool dirty, forced_coherent, encrypted; /* bits of the leaf */
    unsigned level;    /* where the walk ended */
    unsigned reads;    /* items fetched */
    uint64_t items[IOMMU_PATH_MAX]; /* raw items, top first, `reads` of them */
};

/* Fetches and updates one word of a table for a walker. False: no memory, or the fetch itself faulted. */
struct iommu_memory {
    bool (*read)(void *context, uint64_t address, uint64_t *value);
    bool (*cas)(void *context, uint64_t address, uint64_t expected, uint64_t desired); /* NULL: never write */
    void *context;
};

/* Walk `table` for the byte at `input`. Sources: the manuals as restated in formats.md 1. */
struct iommu_leaf iommu_walk(const struct iommu_table *table, const struct iommu_memory *memory, uint64_t input,
                             enum iommu_access access);

/* iommu_walk in host memory, with no side effect: how oracles and tests read an engine's tables. */
struct iommu_leaf iommu_walk_physmem(const struct iommu_table *table, const struct physmem *memory, uint64_t input,
                                     enum iommu_access access);

/* Is there a walker for this format token? */
bool iommu_has_walker(const char *format);

/* ---- variants and switches ------------------------------------------------------------------------------------- */

enum iommu_size_rule { SIZE_MUST_MATCH, SIZE_MISMATCH_SHRINKS, SIZE_SMALL_EXPANDS, SIZE_REPAIRED, SIZE_IGNORED };
enum iommu_fill_rule { FILL_SMALLEST, FILL_S2_CLASS, FILL_S1_S2 };

struct iommu_variant {
    const char *name; /* amd, amd-fill-2m, smallest, expanding, cpu, cca, off */
    enum iommu_size_rule size_rule;
    enum iommu_fill_rule fill_rule;
    bool checks_owner; /* off: no RMP check at all */
};

extern const struct iommu_variant iommu_variants[];
/* The row of that name or NULL. */
const struct iommu_variant *iommu_find_variant(const char *name);
/* Row `index`, NULL past the end. */
const struct iommu_variant *iommu_variant_at(unsigned index);

struct iommu_switches {
    bool recheck_on_hit;          /* no  */
    bool invalidate_on_rmpupdate; /* no  */
    bool check_validated;         /* no  */
    bool shared_read_checked;     /* yes */
    bool ats_translated_checked;  /* yes */
    bool leaf_only_invalidation_keeps_walk_cache; /* yes: an invalidation with PDE = 0 drops leaves only */
};

struct iommu_switches iommu_default_switches(void);

struct iommu_geometry {
    unsigned sets; /* a power of two; 1 = fully associative */
    unsigned ways;
    unsigned walk_cache_entries; /* fully associative; 0 = none */
};

/* rmp.md 5.3 placeholders: 64 sets x 8 ways, 64 walk-cache entries. Model, not silicon. */
struct iommu_geometry iommu_default_geometry(void);

/* ---- the device side -------------------------------------------------------------------------------------------- */

/* One device table entry. */
struct iommu_dte {
    bool valid;
    bool trusted; /* T=1: may ask for private accesses */
    uint16_t domain_id;
    uint16_t asid; /* of the guest it belongs to, 0 = none */
    bool has_s1;
    struct iommu_table s1; /* root is a gpa; its items hold gpas */
    struct iommu_table s2; /* or the only stage; root is an hpa */
};

struct iommu_config {
    struct physmem *memory; /* not owned */
    struct rmp *rmp;        /* not owned; NULL: no RMP in this machine */
    const struct iommu_variant *variant;
    struct iommu_switches switches;
    struct iommu_geometry geometry;
};

struct iommu;

struct iommu *iommu_new(const struct iommu_config *config);
void iommu_free(struct iommu *iommu);
/* As new with another configuration. Cost: entries touched. */
void iommu_reset(struct iommu *iommu, const struct iommu_config *config);

/* Write a device table entry (0 .. IOMMU_DEVICES - 1). Nothing cached is dropped: see iommu_inv_device. */
void iommu_set_device(struct iommu *iommu, unsigned device, const struct iommu_dte *dte);
const struct iommu_dte *iommu_device(const struct iommu *iommu, unsigned device);

/* The hardware's view of one table follows a growing top: set root and top level of every DTE of the domain. */
void iommu_set_root(struct iommu *iommu, uint16_t domain_id, bool s1, uint64_t root, unsigned top_level);

struct iommu_request {
    unsigned device;
    iova_t address;
    enum iommu_access access;
    bool is_private; /* C-bit side; ignored (shared) for T=0 devices */
    uint32_t pasid;
};

struct iommu_outcome {
    enum iommu_fault fault;
    bool of_s1_table;   /* the fault was met fetching a guest S1 table */
    hpa_t hpa;          /* of the byte asked for, if no fault */
    bool is_hit;        /* served from the IOTLB */
    unsigned fill_shift; /* size of the entry filled or hit: 12 or 21 under an RMP */
    unsigned s1_shift, s2_shift; /* leaf sizes met, 0 = no such stage or a hit */
    unsigned reads;     /* memory reads of the walk, S1, S2 and A/D updates */
    bool repaired;      /* variant cpu: a psmash or resize would have repaired a mismatch; counted */
    uint64_t entry_input; /* base of the IOTLB entry, input side */
    uint64_t entry_hpa;   /* and output side */
    bool readable, writable; /* rights of the entry */
};

/* One DMA access of up to one byte's page. Fills the IOTLB on success. */
void iommu_translate(struct iommu *iommu, const struct iommu_request *request, struct iommu_outcome *outcome);

/* ---- commands ---------------------------------------------------------------------------------------------------- */

/*
 * INV_IOMMU_PAGES as Linux builds it (rmp.md 5.1): the address operand for [start, start + length): one 4K page, or the
 * enclosing naturally aligned power of two, encoded by its lowest clear bit; "all" from 2^52 on.
 */
uint64_t iommu_encode_inv_address(iova_t start, uint64_t length);

struct iommu_inv_pages {
    uint16_t domain_id;
    uint64_t address;  /* encoded, with S in bit 0 */
    bool page_tables;  /* PDE: drop cached upper levels too */
    bool guest;        /* GN: S1 entries, of `pasid` only */
    uint32_t pasid;
};

/* Queue a command; it takes effect at the completion wait. False: the queue is full (256 commands), nothing queued. */
bool iommu_inv_pages(struct iommu *iommu, const struct iommu_inv_pages *command);
bool iommu_inv_all(struct iommu *iommu);
/* COMPLETION_WAIT: every queued command takes effect. Returns how many there were. */
unsigned iommu_completion_wait(struct iommu *iommu);
/* Let the oldest queued command take effect early, as hardware may. False: none queued. */
bool iommu_take_one_command(struct iommu *iommu);
unsigned iommu_queued(const struct iommu *iommu);

/* Hardware drops entries whenever it likes: the one that covers `address`, of this device's domain. False: none. */
bool iommu_evict(struct iommu *iommu, unsigned device, iova_t address, uint32_t pasid);
void iommu_drop_caches(struct iommu *iommu);

/* Called on every RMPUPDATE; drops entries over the page if the switch says so. */
void iommu_rmp_changed(struct iommu *iommu, hpa_t page, uint64_t length);

struct iommu_stats {
    uint64_t translations, hits, fills, walk_reads, evictions, invalidations, repairs;
    uint64_t fills_by_shift[64];
    uint64_t faults[IOMMU_FAULT_COUNT];
};
const struct iommu_stats *iommu_stats(const struct iommu *iommu);
/* Entries in the IOTLB and the bytes they cover ("reach"). O(entries). */
void iommu_occupancy(const struct iommu *iommu, uint64_t *entries, uint64_t *reach_bytes);
