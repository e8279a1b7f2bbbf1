/*
 * One of each, wired together: memory, RMP, page tables, IOMMU, oracle; and ops applied to them (design.md 1 and 3).
 *
 * Every applied op is checked (design.md 3): result, errno and mapped bytes against the oracle, and a hardware walk of
 * the raw bits at the first, a middle and the last byte of every leaf touched, and just outside both ends. An op that
 * touches more than 4096 leaves has an even sample of about 4096 walked. world_check looks at everything,
 * but walks only 64 leaves of a run of more: evenly spread, its first and last among them.
 *
 *   difference   engine, walker, RMP or IOMMU did not do what the oracle expects: a bug in mapproof or in the engine
 *                under test. The first one is kept with its op; fuzz targets crash on it.
 *   finding      STALE, LOSES DMA or EXPANDS (rmp.md 8): legal for this hardware, wrong for the guest. Counted by rule.
 *
 * Fixed cast: dev0 trusted, ASID 1, no S1, domain 0. dev1 as dev0, with S1 if the world has one. dev2 untrusted, no S1,
 * domain 0. dev3 untrusted, no S1, domain 1. Guest g has ASID g; domains 0 and 1 belong to guest 1.
 *
 * Memory map: data RAM [0, memory), host table pool [memory, memory + pool), the RMP covers both. The guest's S1 tables
 * are a pool of S1_TABLE_BYTES at gpa s1_tables, backed by hpa s1_backing; nothing maps them in S2 unless the script
 * does.
 *
 * Choices where the design leaves room:
 *   - With c_bit= and no oa_bits=, output addresses end at the C-bit; tables and memory must lie below it.
 *   - s1= is a table in its format's default configuration, for every pasid of dev1, in domain 0. Pairs: x86_64 on
 *     amdv1 and vtdss, riscv64 on riscv64_s2, armv8 on the armv8_s2 formats.
 *   - A sync invalidates what the engine gathered, upper levels included; for S1 pasid by pasid.
 *   - -ENOMEM is lawful at any leaf boundary where fail_alloc's limit is used up or fewer than 8 pages are left.
 *   - Through an IOTLB hit an outcome may lag in the window of rmp.md 8 (a): removed by an unmap, not synced, and named
 *     by a queued invalidation. Without the invalidation it is STALE. Only hits, and walks that began at a cached item,
 *     can be STALE: a fresh walk gives what is there now.
 *   - hw=off and rmp=off authorise by the tables alone.
 *   - dirty_read invalidates what it cleaned and waits; with unsynced=yes nobody does. A write through an entry that
 * the IOTLB holds then marks nothing, and the next dirty_read does not see it: expected, as pt.h says it may be.
 *   - Its bitmap begins at the piece that holds the first byte of the range, and has at most 2^18 bits: what lies
 * beyond is cleaned, counted in dirty= and in no bit.
 *   - A DMA of dev1 is skipped where S2 puts guest tables over the host's or over each other: hardware would mark items
 *     of the wrong table. Elsewhere out of place, it is done and not predicted (world_totals.unpredicted).
 *
 *   - The window of rmp.md 8 (b): the pages of a convert, from that op until the guest has its answer. There, no fault
 *     LOSES DMA and no hit is STALE. It covers domain 0, by gpa. EXPANDS is judged there as elsewhere.
 *   - policy= without an RMP means nothing: convert and step are skipped.
 *
 * Nothing is kept between worlds: world_begin resets at the cost of what was touched.
 */
#pragma once

#include "host/host.h"
#include "iommu/iommu.h"
#include "pt/engine.h"
#include "pt/recorder.h"
#include "script/op.h"
#include "world/world_rule.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WORLD_DOMAINS = 2,
    WORLD_DEVICES = 4,
    WORLD_S1_TABLE_BYTES = 1 << 20,
    WORLD_HELD_MAX = 64, /* DMAs that a stall holds back; a device has no more requests under way */
};

struct world;

/* What conversions cost (rmp.md 6). */
struct world_costs {
    uint64_t steps;         /* ops of the guest, the host and the firmware */
    uint64_t exits;         /* from the guest: the request, and a fault for each page that had to be split first */
    uint64_t updates;       /* RMPUPDATEs, tries included */
    uint64_t psmashes;      /* tries included */
    uint64_t splits, joins; /* resizes of S2 to 4K, and back to 2M */
    uint64_t tables;        /* pages that splits took for tables */
    uint64_t invalidations; /* commands */
    uint64_t flushes;       /* waits for them */
    uint64_t stalls;        /* of DMA */
    uint64_t held;          /* DMAs held back meanwhile and served later */
};

/* What an op did. Which fields mean something depends on the op; world_print_outcome knows. */
struct world_outcome {
    enum op_kind kind;
    int error;       /* 0 or -errno: map, cut, dirty_read, ... */
    uint64_t bytes;  /* map: mapped; unmap: removed; dirty_read: dirty bytes */
    uint64_t leaves; /* leaves written or removed, dirty leaves */
    uint64_t bits;   /* dirty_read with page=: set in the bitmap */
    bool has_bits;
    bool has_reports;    /* unmap ranges=yes: */
    unsigned reports;    /* pieces of memory handed over */
    unsigned freed;      /* table pages freed by syncs during the op */
    enum rmp_result rmp; /* RMP ops */
    struct iommu_outcome dma;
    enum world_finding finding;
    enum world_rule rule;      /* of the finding */
    struct op finding_op;      /* the dma that met it: of a stall, convert or step one that was held */
    bool is_difference;        /* see world_difference */
    bool is_held, is_not_sent; /* dma: held back by a stall; or refused, since WORLD_HELD_MAX are */
    unsigned served, faults;   /* stall on=no: of those that were held */
    /* convert and step: */
    uint64_t steps; /* done by this op */
    bool is_busy;   /* convert: one is under way, and goes on as it was */
    enum host_state state;
    enum host_reason reason;
    bool is_answered;         /* the guest has its answer, and the host is not ready yet */
    uint32_t leaked;          /* 4K pages, host.h */
    struct world_costs costs; /* of the conversion so far */
    bool is_skipped; /* the op means nothing in this world (e.g. stage=s1 without S1): no effect, printed as skipped */
    bool is_lacking; /* skipped, as the engine has no such entry: n/a */
    bool is_missed;  /* a cut that is_lacking and would have split a leaf */
};

struct world *world_new(void);
void world_free(struct world *world);

/*
 * Start again from nothing with the world described by `op` (kind OP_WORLD). 0, or a negative errno with a message of
 * at most `size` bytes in `message`: -EINVAL (keys that do not fit together), or what pt_init said.
 */
int world_begin(struct world *world, const struct op *op, char *message, size_t size);

/* The same with another engine row than `<format>` (amdv1-vector, a plugin's); NULL = by format. Kept until changed. S1
 * tables stay with the row of their format. */
void world_use_engine(struct world *world, const struct engine *engine);

/*
 * The end of a run of an engine from outside: its tables are destroyed as their owner would, and it must have given
 * everything back. Nothing to do for built-in rows (their tests look there). Returns the number of problems; the first
 * is kept as the difference. After it only world_begin, world_free, world_difference and the totals.
 */
unsigned world_end(struct world *world);

/* Do one op (not OP_WORLD), check it, and say what happened. */
void world_apply(struct world *world, const struct op *op, struct world_outcome *outcome);

/* Everything: pt_check of every table, rmp_check, oracle against walks over all ranges, pool accounts, O-rules that
 * hold at any time. Returns the number of problems; the first is kept as the difference. */
unsigned world_check(struct world *world);

/* The first difference since world_begin: one or more lines with both answers, the raw items of the walk, the RMP entry
 * and the op. NULL: none. Valid until the next world_begin. */
const char *world_difference(const struct world *world);

/*
 * A digest of everything that later ops depend on, with tables named by their place in the tree and not by address:
 * page tables, gathers, RMP, IOTLB, walk cache, queue, and what the oracle allows hardware to hold. Worlds with equal
 * digests answer equal ops equally; how a finding is named may differ (world_rule.h looks back). O(what is there).
 */
struct digest world_digest(const struct world *world);

/* Walk about so many leaves of an op that touches more (default 4096), for searches that replay their finds. */
void world_limit_walks(struct world *world, unsigned leaves);

/* "ok", "hpa=0x401000 fill=2M", "fault=rmp-size", "errno=EADDRINUSE mapped=0x3000", ...; returns the length as
 * snprintf. */
int world_print_outcome(const struct world_outcome *outcome, char *buffer, size_t size);

/* Running totals since world_begin. */
struct world_totals {
    uint64_t ops, maps, unmaps, mapped_bytes, unmapped_bytes, pages; /* pages: 4K pages mapped */
    uint64_t leaves_by_shift[64];                                    /* written by maps */
    uint64_t table_pages_peak;
    uint64_t findings[FINDING_KINDS];
    uint64_t walks;       /* hardware walks done by checks */
    uint64_t unpredicted; /* DMAs through guest tables that S2 does not put in their place */
    uint64_t conversions, refused;
    struct world_costs costs; /* of all of them */
};
const struct world_totals *world_totals(const struct world *world);

/* The parts, for replay, benches and tests. S1 tables: stage STAGE_S1. NULL where the world has no such table. */
struct pt *world_table(struct world *world, unsigned domain, enum op_stage stage);
struct iommu *world_iommu(struct world *world);
struct rmp *world_rmp(struct world *world); /* NULL: rmp=off */
struct physmem *world_memory(struct world *world);

/* The conversion under way, or the last one (HOST_IDLE: none yet); and whether DMA is held. */
const struct host_conversion *world_conversion(const struct world *world);
bool world_is_stalled(const struct world *world);
/* How many DMAs a stall holds back now. */
unsigned world_held(const struct world *world);

/* Told of every step of a conversion, once it is done. `op` said by a script does the same. */
struct world_step_hook {
    void (*step)(void *context, const struct host_step *step, const struct world_outcome *outcome);
    void *context;
};
/* Kept until changed; step = NULL: nobody is told. */
void world_watch_steps(struct world *world, struct world_step_hook hook);

/* From now to the next world_begin, calls on its tables are counted in `set`. */
void world_record(struct world *world, struct recorder_set *set);
