/* The inside of a world, shared by the files of this folder. See world.h. */
#pragma once

#include "base/bits.h"
#include "base/device_view.h"
#include "oracle/fills.h"
#include "oracle/leftovers.h"
#include "oracle/oracle.h"
#include "oracle/oracle_dma.h"
#include "oracle/ownership.h"
#include "world/world.h"
#include "world/world_history.h"

enum {
    WORLD_TABLES = 3, /* S2 (or the only stage) of domain 0 and 1, S1 of domain 0 */
    WORLD_S1_TABLE = 2,
    WORLD_S1_PAGES = WORLD_S1_TABLE_BYTES / POOL_PAGE_BYTES,
    WORLD_POOL_PAGES_MAX = 1 << 20, /* 4 GiB, reserved once, touched as needed */
    WORLD_QUEUE_MAX = 256,          /* commands that an IOMMU queue holds */
    WORLD_REMOVED_MAX = 256,
    WORLD_LEAVES_CHECKED = 4096, /* default of leaves_checked */
    WORLD_RUN_SAMPLE = 64,       /* leaves of a run that world_check walks */
    WORLD_TEXT_MAX = 6000,
    WORLD_PASIDS_MAX = 8,
    WORLD_DIRTY_BITS = 1 << 18, /* of a dirty_read's bitmap */
};

struct world_range {
    uint64_t first, last;
};

/* One page table with all that stands around it. */
struct world_table {
    struct world *world;
    bool exists;
    bool is_s1;
    uint16_t domain;
    struct pt pt;
    struct iommu_table walk;         /* as hardware is told to walk it */
    struct iommu_memory walk_memory; /* what the checks' walks read */
    struct iommu_chain chain;        /* of the walks of one check, during which nothing is written */
    struct pt_gather gather;         /* of unmaps with sync=no */
    struct oracle_table oracle;
    struct leftovers leftovers; /* what a walk cache may hold of it */
    bool forced_coherent, non_secure;
    uint64_t c_bit_mask;
    bool no_gaps;
    /* What the gather must hold: the hull of what was removed, and how many tables. first > last: nothing. */
    struct world_range hull;
    uint64_t hull_tables;
    /* The pieces of it, for the question whether an outcome may lag. More than that: everything may. */
    struct world_range removed[WORLD_REMOVED_MAX];
    unsigned removed_count;
    bool removed_overflowed;
    uint64_t leaf_items;     /* of the oracle's leaves, by world_check */
    uint32_t tables_reached; /* from the top, by the last check of everything */
    /* Hook calls during the op that runs. */
    unsigned syncs, tops;
    struct world_range synced;
    unsigned synced_tables;
    struct world_range synced_hull; /* of all of them */
    struct oracle_resize resize;    /* memory of world_resize.c */
};

/* A queued invalidation, as the world's own record of the queue. */
struct world_command {
    bool is_all;
    bool page_tables;
    struct fills_range range;
};

/* A table item that another thread has stored and not flushed yet (world_device.c). */
struct world_half_done {
    struct world_table *table; /* NULL: none */
    uint64_t address;
    uint64_t bare, item; /* without the bit, as it is, and as it will be */
};

struct world {
    struct physmem memory;
    struct table_pool pool, s1_pool;
    struct rmp *rmp;     /* NULL until one is needed */
    struct iommu *iommu; /* NULL until the first world_begin */
    bool has_rmp, has_s1;
    bool is_incoherent;
    struct device_view views[2]; /* of pool and s1_pool; made for the first incoherent world */
    struct world_half_done half_done;
    uint64_t device_events; /* of the op that runs */
    bool checks_owner;      /* there is an RMP and the hardware looks at it */
    uint64_t s1_tables, s1_backing;
    struct world_table tables[WORLD_TABLES];
    struct ownership ownership;
    struct oracle_machine machine;
    struct iommu_switches switches;
    struct fills fills;
    struct history history;
    struct world_command queue[WORLD_QUEUE_MAX];
    unsigned queued;
    uint32_t pasids[WORLD_PASIDS_MAX]; /* seen on devices with S1: what a driver must invalidate */
    unsigned pasid_count;
    bool pasids_overflowed;
    const struct engine *engine; /* NULL: by format */
    int policy;                  /* row of host_policy_at, -1: script */
    struct host_conversion conversion;
    struct world_costs costs; /* of it */
    struct world_step_hook step_hook;
    bool is_stalled;
    struct op held[WORLD_HELD_MAX]; /* dma ops, in their order */
    unsigned held_count;
    uint64_t dirty_words[WORLD_DIRTY_BITS / 64];
    struct op world_op;
    struct op op; /* the one that runs, or the last */
    struct world_outcome *outcome;
    unsigned leaves_checked; /* an op that touches more has a sample of about as many checked */
    uint64_t op_number;
    uint64_t moment; /* ops and steps, for what has to be put in order */
    bool is_step;    /* of a conversion: `op` is not the script's */
    struct world_totals totals;
    bool has_difference;
    unsigned problems; /* found since the last world_check began */
    char text[WORLD_TEXT_MAX];
};

/* world.c */
/* Record a difference: printf text of what was expected and what came. Only the first is kept; all are counted. */
void world_differ(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3), cold));
/* The same, with the raw items and both answers about one address of a table. */
void world_differ_at(struct world_table *table, uint64_t address, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/* The table that an op's domain= and stage= name. NULL: this world has no such table. */
struct world_table *world_table_of(struct world *world, uint64_t domain, uint64_t stage);

/* What an engine from outside did wrong during the op, if anything, becomes a difference. */
void world_check_complaint(struct world *world);

/* world_sync.c: invalidations and their record */
extern const struct pt_hooks world_hooks;
void world_forget_gather(struct world_table *table);
void world_note_removed(struct world_table *table, uint64_t first, uint64_t last, uint64_t tables);
void world_check_gather(struct world_table *table);
void world_sync_gather(struct world_table *table);
bool world_queue(struct world *world, const struct world_command *command);
void world_wait(struct world *world);
void world_check_held(struct world *world);
bool world_may_lag(const struct world_table *table, uint64_t address, bool needs_command);

/* world_walk.c: hardware walks against the oracle */
/* Once the table has its pool, and again when the pool has moved. */
void world_aim_walks(struct world_table *table);
struct iommu_leaf world_walk(struct world_table *table, uint64_t address);
/* Does a walk of first, first + step, ... up to last find a dirty bit? */
bool world_any_dirty(struct world_table *table, uint64_t first, uint64_t last, uint64_t step);
void world_check_byte(struct world_table *table, uint64_t address);
void world_check_range(struct world_table *table, uint64_t first, uint64_t last, bool is_removed);
void world_check_run(struct world_table *table, const struct oracle_run *run);
void world_check_outside(struct world_table *table, uint64_t first, uint64_t last);

/* world_map.c */
/* The table of an op, ready for it. NULL: there is none, and the outcome says so. */
struct world_table *world_table_of_op(struct world *world, const struct op *op, struct world_outcome *outcome);
void world_do_map(struct world *world, const struct op *op, struct world_outcome *outcome);
void world_do_map_list(struct world *world, const struct op *op, struct world_outcome *outcome);
void world_do_unmap(struct world *world, const struct op *op, struct world_outcome *outcome);
void world_do_sync(struct world *world, const struct op *op, struct world_outcome *outcome);
void world_do_cut(struct world *world, const struct op *op, struct world_outcome *outcome);

/* world_dirty.c */
void world_do_dirty_read(struct world *world, const struct op *op, struct world_outcome *outcome);

/* world_device.c: walkers that do not snoop */
void world_device_begin(struct world *world);
void world_device_begin_op(struct world *world);
void world_device_end_op(struct world *world);
void world_device_check(struct world_table *table);
void world_on_flush(void *context, hpa_t at, unsigned offset, unsigned length);

/* world_resize.c */
void world_do_resize(struct world *world, const struct op *op, struct world_outcome *outcome);

/* world_apply.c */
/* The RMP's entry of an address against the oracle's. The world has an RMP. */
void world_check_owner(struct world *world, uint64_t address);

/* An op in the middle of another one: done and checked as any, not counted. */
void world_apply_inside(struct world *world, const struct op *op, struct world_outcome *outcome);

/* world_convert.c */
void world_convert_begin(struct world *world);
/* Is that page of domain 0 being converted (the window of rmp.md 8 (b))? */
bool world_is_converting(const struct world *world, uint64_t gpa);
void world_do_convert(struct world *world, const struct op *op, struct world_outcome *outcome);
void world_do_step(struct world *world, const struct op *op, struct world_outcome *outcome);
void world_do_stall(struct world *world, const struct op *op, struct world_outcome *outcome);

/* world_dma.c */
void world_do_dma(struct world *world, const struct op *op, struct world_outcome *outcome);
void world_do_evict(struct world *world, const struct op *op, struct world_outcome *outcome);
