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
#include "base/digest.h"
#include "base/physmem.h"
#include "rmp/rmp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    IOMMU_DEVICES = 16,
    /*
     * Memory accesses of one translation are at most this: 5 S1 items, each fetched (6 S2 items, their A/D update, the
     * item) and updated (the same again), then 6 S2 items and their update: 5 * 16 + 7.
     */
    IOMMU_READS_MAX = 87,
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
    IOMMU_RMP_RANGE,   /* private access to an hpa that the RMP does not cover */
    IOMMU_NO_MEMORY,   /* a table lies where there is no memory */
    IOMMU_ACCESS_FLAG, /* Arm: the leaf was not accessed before, and software wants to know */
    IOMMU_FAULT_COUNT,
};

/* not-present, permission, canonical, reserved-bits, rmp-owner, ... as scripts and reports print them. */
const char *iommu_fault_name(enum iommu_fault fault);

/* ---- table walks ----------------------------------------------------------------------------------------------- */

/* One format's hardware walker: a row of walker.c, found once by its format token. */
struct iommu_walker;

/* The walker of "amdv1", "x86_64", ...; NULL: there is none. */
const struct iommu_walker *iommu_find_walker(const char *format);
/* The token of a walker's format. */
const char *iommu_walker_name(const struct iommu_walker *walker);

/* How hardware is told to walk one table: what a device table entry holds for it. */
struct iommu_table {
    const struct iommu_walker *walker; /* iommu_find_walker(engine->format); looked up once, not per walk */
    uint64_t root;                     /* address of the top table, in the space its items use */
    unsigned top_level;                /* level of the top table, 0 = smallest leaves */
    unsigned va_bits;    /* addresses beyond fault as canonical (amdv1 growing tables: what top_level decodes) */
    unsigned oa_bits;    /* leaves that reach beyond fault as reserved bits; a table only needs memory where it lies */
    uint64_t c_bit_mask; /* stripped from every address; 0 = none */
    bool sign_extend;
    bool set_accessed_dirty; /* the walk sets A and D in the leaf as hardware does */
    bool upper_half;         /* Arm TTBR1: input addresses have all bits above va_bits set */
    bool forces_write_back;  /* Arm S2 FWB: leaves say by another word that memory is write-back */
    bool unprivileged;       /* Arm stage 1: accesses are made as a user; leaves without that right refuse them */
};

enum iommu_access { IOMMU_READ, IOMMU_WRITE };

/*
 * The result of one table's walk. Which fault an item meets first: absence of memory, not-present, reserved bits; then
 * permission, which is judged at the leaf over the whole path.
 */
struct iommu_leaf {
    enum iommu_fault fault;
    uint64_t address;                       /* output address of the byte asked for */
    unsigned shift;                         /* size of the leaf: contiguous runs as a whole */
    bool readable, writable;                /* AND over the path, as hardware combines them */
    bool dirty, forced_coherent, encrypted; /* bits of the leaf; Arm has no D: writable as the item stands */
    bool non_secure;                        /* Arm stage 1: every item of the path leads to non-secure memory */
    bool write_back;                        /* Arm: the leaf's memory is cached, write-back */
    unsigned level;                         /* where the walk ended */
    unsigned reads;                         /* items fetched */
    uint64_t items[IOMMU_PATH_MAX];         /* raw items as read, top first, `reads` of them */
};

/*
 * Fetches and updates one word of a table for a walker. read: false = no memory, or the fetch itself faulted. cas:
 * false = the same, or the word no longer holds `expected`; the walker reads it again to tell the two apart, and walks
 * again from the root where the word has changed. A word in the window is fetched right here, without a call (the
 * read that follows a failed cas is always a call).
 */
struct iommu_memory {
    bool (*read)(void *context, uint64_t address, uint64_t *value);
    bool (*cas)(void *context, uint64_t address, uint64_t expected, uint64_t desired); /* NULL: never write */
    void *context;
    const uint8_t *window; /* the bytes of [window_base, window_base + window_bytes); base and size multiples of 8 */
    uint64_t window_base, window_bytes; /* 0 bytes: no window */
};

/* Walk `table` for the byte at `input`. Sources: the manuals as restated in formats.md 1. */
struct iommu_leaf iommu_walk(const struct iommu_table *table, const struct iommu_memory *memory, uint64_t input,
                             enum iommu_access access);

/*
 * A chain of walks of one table in memory that nobody changes meanwhile: the next walk begins at the table that the
 * last one ended in, where that covers its input. All zero, or is_known = false: the next walk begins at the root.
 */
struct iommu_chain {
    struct iommu_leaf leaf; /* out; `reads` and `items` count from where the walk began */
    bool is_known;
    unsigned shift, level; /* of the table's items */
    uint64_t input;        /* of the walk that reached it */
    uint64_t table;        /* its address */
    unsigned rights;       /* AND over the items above it */
};

/* iommu_walk without side effect (cas is not used), into chain->leaf. Cost: levels below the one it begins at. */
void iommu_walk_on(const struct iommu_table *table, const struct iommu_memory *memory, uint64_t input,
                   enum iommu_access access, struct iommu_chain *chain);

/* iommu_walk in host memory, with no side effect: how oracles and tests read an engine's tables. */
struct iommu_leaf iommu_walk_physmem(const struct iommu_table *table, const struct physmem *memory, uint64_t input,
                                     enum iommu_access access);

/* The address that hardware reads from an item at `level`: of a table, or of a leaf's first byte. 0: it is neither. */
uint64_t iommu_item_address(const struct iommu_table *table, uint64_t item, unsigned level);

/* Is there a walker for this format token? */
static inline bool iommu_has_walker(const char *format)
{
    return iommu_find_walker(format) != NULL;
}

/* ---- variants and switches ------------------------------------------------------------------------------------- */

/*
 * A leaf's class is 4K below 2M and 2M from there on (rmp.md 4.3). What happens where the class of the S2 leaf and the
 * size of the RMP entry differ on a private access:
 */
enum iommu_size_rule {
    SIZE_MUST_MATCH,       /* fault rmp-size */
    SIZE_MISMATCH_SHRINKS, /* go on with the smaller of the two */
    SIZE_SMALL_EXPANDS,    /* S2 4K on RMP 2M goes on as 2M; S2 2M on RMP 4K faults */
    SIZE_REPAIRED,         /* as shrinks, and counted: a CPU's fault handler would have made them agree */
    SIZE_IGNORED,          /* sizes are not compared */
};

/* How large the IOTLB entry becomes. No S1 counts as unlimited. */
enum iommu_fill_rule {
    FILL_SMALLEST, /* min of S1 class and S2 class (after the size rule) */
    FILL_S2_CLASS, /* S2 class (after the size rule), S1 ignored */
    FILL_S1_S2,    /* min of S1 and S2 leaf, rounded down to 4K, 2M or 1G; also used by every row without an RMP */
};

struct iommu_variant {
    const char *name; /* amd, amd-fill-2m, smallest, expanding, cpu, cca, off */
    enum iommu_size_rule size_rule;
    enum iommu_fill_rule fill_rule;
    bool checks_owner; /* off: no RMP check at all */
    bool owner_only;   /* cca: of the touched 4K page, and nothing else: no gpa, immutable, validated, 2M region */
};

extern const struct iommu_variant iommu_variants[];
/* The row of that name or NULL. */
const struct iommu_variant *iommu_find_variant(const char *name);
/* Row `index`, NULL past the end. */
const struct iommu_variant *iommu_variant_at(unsigned index);

struct iommu_switches {
    bool recheck_on_hit;                          /* no  */
    bool invalidate_on_rmpupdate;                 /* no  */
    bool check_validated;                         /* no  */
    bool shared_read_checked;                     /* yes */
    bool ats_translated_checked;                  /* yes */
    bool leaf_only_invalidation_keeps_walk_cache; /* yes: an invalidation with PDE = 0 drops leaves only */
};

/*
 * recheck_on_hit                 the RMP check is repeated for the page touched by a hit; a failure faults, the entry
 * stays invalidate_on_rmpupdate        iommu_rmp_changed drops IOTLB entries over the page check_validated private
 * accesses need the Validated bit shared_read_checked            no: shared reads skip the owner check, and their entry
 * serves reads only ats_translated_checked         no: requests with is_translated pass unchecked
 * leaf_only_invalidation_keeps_walk_cache  no: an invalidation with PDE = 0 drops cached upper levels too
 */
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
    bool valid;   /* no: every access faults as not-present (SNP allows no pass-through, rmp.md 4.1) */
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

/*
 * Write a device table entry (0 .. IOMMU_DEVICES - 1). It is read at once (no DTE cache), and nothing cached under its
 * domain is dropped: queue invalidations. CHECKs that a valid entry has walkers and 4K-aligned roots.
 */
void iommu_set_device(struct iommu *iommu, unsigned device, const struct iommu_dte *dte);
const struct iommu_dte *iommu_device(const struct iommu *iommu, unsigned device);

/* The hardware's view of one table follows a growing top: set root and top level of every DTE of the domain. */
void iommu_set_root(struct iommu *iommu, uint16_t domain_id, bool s1, uint64_t root, unsigned top_level);

struct iommu_request {
    unsigned device;
    iova_t address;
    enum iommu_access access;
    bool is_private;    /* C-bit side; ignored (shared) for T=0 devices */
    uint32_t pasid;     /* 20 bits; part of the tag of S1 entries, ignored where the device has no S1 */
    bool is_translated; /* ATS: `address` is an hpa from the device's own cache; no walk, no fill, owner check only */
};

struct iommu_outcome {
    enum iommu_fault fault;
    bool of_s1_table;     /* the fault was met fetching a guest S1 table */
    hpa_t hpa;            /* of the byte asked for, if no fault */
    bool is_hit;          /* served from the IOTLB */
    bool from_walk_cache; /* a walk began at a cached upper-level item, which may be stale */
    unsigned fill_shift;  /* size of the entry filled or hit: 12 or 21 under an RMP, also 30 by FILL_S1_S2; 0 = none */
    unsigned s1_shift, s2_shift; /* leaf sizes met, 0 = no such stage or a hit */
    unsigned reads;              /* memory reads of the walk, S1, S2 and A/D updates */
    bool repaired;               /* variant cpu: a psmash or resize would have repaired a mismatch; counted */
    uint64_t entry_input;        /* base of the IOTLB entry, input side */
    uint64_t entry_hpa;          /* and output side */
    bool readable, writable;     /* rights of the entry */
};

/*
 * One DMA access to the byte at request->address. Fills the IOTLB on success. Order: IOTLB; S1 walk, each table fetch
 * through S2 and the RMP (private on trusted devices); S2 walk; RMP check. The order of RMP checks is that of
 * rmp.md 3.1: range, owner and ASID, gpa, immutable, size, validated. An entry without the rights for the access, or a
 * write through an entry whose dirty bits are not set yet, counts as a miss and is walked again. A miss of a 4K entry
 * beside a larger one: the smaller is asked first.
 */
void iommu_translate(struct iommu *iommu, const struct iommu_request *request, struct iommu_outcome *outcome);

/* ---- commands ---------------------------------------------------------------------------------------------------- */

/*
 * INV_IOMMU_PAGES as Linux builds it (rmp.md 5.1): the address operand for [start, start + length): one 4K page, or the
 * enclosing naturally aligned power of two, encoded by its lowest clear bit; "all" where the first and last byte differ
 * above bit 51 or the range wraps. Length 0 counts as 1. S is in bit 0 of the result; PDE and GN are not in it.
 */
uint64_t iommu_encode_inv_address(iova_t start, uint64_t length);

/* The inclusive range that an encoded address names: 4K with S = 0, else from its lowest clear bit (rmp.md 5.1). */
void iommu_decode_inv_address(uint64_t encoded, uint64_t *first, uint64_t *last);

/*
 * guest = no: entries without S1 whose input, and entries with S1 whose guest physical address, lies in the range.
 * guest = yes: entries with S1 and this pasid whose input lies in the range. Both: of the domain only.
 */
struct iommu_inv_pages {
    uint16_t domain_id;
    uint64_t address; /* encoded, with S in bit 0 */
    bool page_tables; /* PDE: drop cached upper levels too */
    bool guest;       /* GN: S1 entries, of `pasid` only */
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

/* Hardware drops entries whenever it likes: those that cover `address`, of this device's domain. False: none.
 * The walk cache keeps what it has. */
bool iommu_evict(struct iommu *iommu, unsigned device, iova_t address, uint32_t pasid);
/* IOTLB and walk cache empty, queued commands stay. */
void iommu_drop_caches(struct iommu *iommu);

/* Called on every RMPUPDATE; drops entries over the page if the switch says so. */
void iommu_rmp_changed(struct iommu *iommu, hpa_t page, uint64_t length);

struct iommu_stats {
    uint64_t translations, hits, fills, walk_reads;
    uint64_t evictions;     /* live entries lost to a fill or to iommu_evict */
    uint64_t invalidations; /* commands that took effect */
    uint64_t repairs;
    uint64_t fills_by_shift[64];
    uint64_t faults[IOMMU_FAULT_COUNT];
};
const struct iommu_stats *iommu_stats(const struct iommu *iommu);
/* Entries in the IOTLB and the bytes they cover ("reach"). O(entries). */
void iommu_occupancy(const struct iommu *iommu, uint64_t *entries, uint64_t *reach_bytes);

/*
 * Names for what lies in tables, so that a digest does not depend on where tables were allocated. `table`: any address
 * inside a table. `item`: a raw item, of a guest's table or a host's; a leaf is its own name.
 */
struct iommu_names {
    uint64_t (*table)(void *context, uint64_t address);
    uint64_t (*item)(void *context, uint64_t item, unsigned level, bool of_guest);
    void *context;
};

/*
 * What later translations and commands depend on: IOTLB, walk cache, queue. How recently entries were used is left out:
 * two states are alike as long as no entry is lost for want of room. O(entries).
 */
struct digest iommu_digest(const struct iommu *iommu, const struct iommu_names *names);
