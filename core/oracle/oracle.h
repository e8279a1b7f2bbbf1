/*
 * The oracle of page tables: remembers what was asked of one table and says what every call must return.
 *
 * Flat and slow on purpose: sorted runs of equal leaves, no levels, no items, nothing of core/pt. A run is consecutive
 * leaves of one size with consecutive targets and the same rights; its leaves are exactly those that the engine must
 * have written (greedy, formats.md 2.5).
 *
 * Every op is done in two steps, so that the caller can compare before anything is believed: *_predict says what must
 * happen and changes nothing, *_commit records what did. Between the two, the old runs can still be read.
 *
 * Sources: formats.md 1 (sizes), 2 (semantics), 7 (clean answers); invariants 17 to 22 and 29 of formats.md 3.
 */
#pragma once

#include "oracle/sorted.h"

#include <stdbool.h>
#include <stdint.h>

/* Rights and memory type, numbers as IOMMU_* of Linux (formats.md 0). */
enum {
    ORACLE_READ = 1,
    ORACLE_WRITE = 2,
    ORACLE_CACHE = 4,
    ORACLE_NOEXEC = 8,
    ORACLE_MMIO = 16,
    ORACLE_PRIV = 32,
};

enum { ORACLE_LEVELS = 6 };

/* What the oracle knows of a format without looking at any bit of it. */
struct oracle_format {
    const char *name;
    unsigned granule_shift;             /* smallest leaf */
    unsigned index_bits;                /* of a table below the top */
    unsigned max_level;                 /* highest level a top table can have */
    unsigned top_extra_bits;            /* index bits that a top table has, or may have, beyond index_bits */
    bool width_says_top;                /* the top level is the lowest that decodes the input width, so far widened */
    uint64_t leaf_sizes[ORACLE_LEVELS]; /* bitmap of leaf sizes by level, single items and runs */
    uint64_t contiguous_sizes;          /* of these, what a table without the contiguous switch lacks */
    uint64_t wide_sizes;                /* and what a table with output addresses up to 48 bits lacks */
    bool read_is_implied;               /* every leaf is readable */
    bool dirty_is_readable;             /* read_and_clear_dirty and set_dirty exist */
    bool dirty_by_switch;               /* but only with hardware_dirty */
    bool starts_dirty;                  /* writable leaves are born dirty; for good where that is not readable */
    bool can_resize, can_exchange;      /* the two capabilities of formats.md 6 */
    unsigned prot_bits; /* enum pt_prot bits that make leaves differ; MMIO by itself only as the C-bit */
};

/* What one item of a table of `level` translates: log2 of bytes. */
static inline unsigned oracle_item_shift(const struct oracle_format *format, unsigned level)
{
    return format->granule_shift + format->index_bits * level;
}

/* The same for the items that a leaf of 2^shift bytes is made of. */
static inline unsigned oracle_item_shift_of_leaf(const struct oracle_format *format, unsigned shift)
{
    return shift - (shift - format->granule_shift) % format->index_bits;
}

/* The row of that name; NULL: not known. */
const struct oracle_format *oracle_find_format(const char *name);

/* What a table was made with; the meaning of pt_config's fields. */
struct oracle_config {
    const struct oracle_format *format;
    unsigned va_bits, oa_bits, top_level;
    bool grows; /* the top grows on demand */
    bool sign_extend;
    bool upper_half;     /* input addresses have all bits above va_bits set */
    bool small_va;       /* amdv1 as Linux 7.2 */
    bool keeps_top;      /* Arm stage 2: tables stand side by side only where the architecture demands it */
    bool is_contiguous;  /* leaves of several items where the format has them by a switch */
    bool hardware_dirty; /* dirty bits where the format has them by a switch */
    bool needs_write;    /* leaves without the right to write are refused */
    bool has_c_bit;      /* leaves have an encryption bit, but for MMIO */
    uint64_t page_sizes; /* 0 = all the format has */
};

struct oracle_table {
    struct oracle_config config;
    uint64_t page_sizes; /* bitmap of leaf sizes a map may use */
    unsigned top_level;  /* as it must be now */
    struct sorted runs;
    uint64_t mapped_bytes; /* sums over the runs */
    uint64_t leaves;
};

/* One leaf as it must be. */
struct oracle_leaf {
    uint64_t start;
    uint64_t target;
    unsigned shift; /* its size */
    unsigned prot;
    bool dirty; /* hardware wrote, or the bit was set, since the leaf was made or cleaned */
};

/* Consecutive leaves. */
struct oracle_run {
    uint64_t start;
    uint64_t length; /* a multiple of 2^shift */
    uint64_t target;
    unsigned shift;
    unsigned prot;
    bool dirty;
};

/* The level of a new top table: config->top_level, or what follows from the input width. */
unsigned oracle_top_level(const struct oracle_config *config);

/* Can dirtiness be read and cleared in such a table? */
bool oracle_reads_dirty(const struct oracle_config *config);

/* Start empty. The memory of an earlier use is kept; an all-zero struct is fine. */
void oracle_table_init(struct oracle_table *table, const struct oracle_config *config);
void oracle_table_free(struct oracle_table *table);

/* Input addresses end here: the number of bits that the top table of now decodes. */
unsigned oracle_reach_bits(const struct oracle_table *table);
/* Does the table decode `address` at all? (Else hardware faults as not canonical.) */
bool oracle_decodes(const struct oracle_table *table, uint64_t address);

/* The leaf over `address`. False: nothing is mapped there. */
bool oracle_find(const struct oracle_table *table, uint64_t address, struct oracle_leaf *leaf);

/* The first run piece at or after `from` and not beyond `last`, clipped to whole leaves that overlap [from, last]. */
bool oracle_next_run(const struct oracle_table *table, uint64_t from, uint64_t last, struct oracle_run *run);

/* Is anything mapped in [first, last]? *where = the first mapped address of it. */
bool oracle_any(const struct oracle_table *table, uint64_t first, uint64_t last, uint64_t *where);

struct oracle_request {
    uint64_t start;
    uint64_t target; /* map only */
    uint64_t length;
    unsigned prot; /* map only */
};

/* The next greedy piece of a map (formats.md 2.5): one leaf size and how many of it in a row. */
struct oracle_piece {
    unsigned shift;
    uint64_t length; /* bytes, a multiple of 2^shift */
};
struct oracle_piece oracle_greedy(uint64_t page_sizes, uint64_t start, uint64_t target, uint64_t length);

struct oracle_map_result {
    int error;
    uint64_t mapped;
    unsigned top_level; /* after the call, also where it fails later than the range check */
};

/* What map_range must return while memory lasts: invariants 20 and 21. */
struct oracle_map_result oracle_map_predict(const struct oracle_table *table, const struct oracle_request *request);

/* Is `mapped` a place where an allocation may have failed: a greedy leaf boundary before the predicted end? */
bool oracle_map_may_stop(const struct oracle_table *table, const struct oracle_request *request, uint64_t mapped);

/* The first `mapped` bytes of the request are there. Returns the number of leaves. */
uint64_t oracle_map_commit(struct oracle_table *table, const struct oracle_request *request, uint64_t mapped);

/* A list of memory to be mapped one piece behind the other. */
struct oracle_extent {
    uint64_t target, length;
};

struct oracle_list {
    uint64_t start;
    unsigned prot;
    unsigned count;
    const struct oracle_extent *extents;
};

/*
 * The same for map_list: extents that continue each other in memory are one request, mapped as map_range would; but
 * what is wrong with any of them is said before the first is mapped, in the order of the list.
 */
struct oracle_map_result oracle_list_predict(const struct oracle_table *table, const struct oracle_list *list);
bool oracle_list_may_stop(const struct oracle_table *table, const struct oracle_list *list, uint64_t mapped);
uint64_t oracle_list_commit(struct oracle_table *table, const struct oracle_list *list, uint64_t mapped);

struct oracle_unmap_result {
    uint64_t removed; /* bytes, invariant 22 */
    uint64_t leaves;
    uint64_t tables; /* taken off the tree, invariant 23 */
};

/* What unmap_range must do. */
struct oracle_unmap_result oracle_unmap_predict(const struct oracle_table *table, uint64_t start, uint64_t length);

/*
 * The memory behind [from, last], where a leaf starts at `from`: as much as is mapped without a hole and continues in
 * memory, whatever the leaves. False: nothing is mapped at `from`.
 */
bool oracle_memory(const struct oracle_table *table, uint64_t from, uint64_t last, struct oracle_extent *memory);

/* [start, start + removed) is gone; whole leaves. */
void oracle_unmap_commit(struct oracle_table *table, uint64_t start, uint64_t removed);

/* What cut must return; *leaf is the leaf that gets split where that is 0 and *splits is set. */
int oracle_cut_predict(const struct oracle_table *table, uint64_t at, struct oracle_leaf *leaf, bool *splits);
/* The leaf over `at` is two greedy halves: same targets, rights and dirtiness. */
void oracle_cut_commit(struct oracle_table *table, uint64_t at);

/* What a resize must do. All zero is an empty one; the memory of an earlier use is kept. */
struct oracle_resize {
    int error;
    bool splits;           /* some leaf is too large: tables are needed, or may be */
    uint64_t tables;       /* that merges empty and free */
    uint64_t first, last;  /* hull of what these translated; first > last: nothing */
    uint64_t items;        /* at most this many items led to them */
    struct sorted changes; /* the new runs, ascending: splits and merges, whole leaves */
};

/* request->start, length: the range. What pt_resize_range must return and do while memory lasts. */
void oracle_resize_predict(const struct oracle_table *table, const struct oracle_request *request, uint64_t max_leaf,
                           struct oracle_resize *resize);
void oracle_resize_free(struct oracle_resize *resize);
/* The next changed run at or after `from`, as it will be; *splits: of larger leaves. False: no more. */
bool oracle_resize_next(const struct oracle_table *table, const struct oracle_resize *resize, uint64_t from,
                        struct oracle_run *run, bool *splits);
/* Tables that the split of one leaf of 2^from into leaves of 2^to takes. */
uint64_t oracle_tables_of_split(const struct oracle_format *format, unsigned from, unsigned to);
/* All of it happened. */
void oracle_resize_commit(struct oracle_table *table, const struct oracle_resize *resize);
/* Memory ran out: the splits of leaves below `end` happened, and nothing else. */
void oracle_resize_commit_splits(struct oracle_table *table, const struct oracle_resize *resize, uint64_t end);

/* What read_and_clear_dirty must return before it looks at any leaf. */
int oracle_dirty_check(const struct oracle_table *table, uint64_t start, uint64_t length);
/* The first dirty leaf that overlaps [from, last], whole. False: none. */
bool oracle_next_dirty(const struct oracle_table *table, uint64_t from, uint64_t last, struct oracle_leaf *leaf);
/* The bits that a dirty leaf sets in a bitmap of a window: *first to *last. False: none, the leaf lies outside. */
struct oracle_window {
    uint64_t start; /* a multiple of 2^shift */
    uint64_t bits;
    unsigned shift; /* log2 of the bytes of a bit */
};
bool oracle_dirty_bits(const struct oracle_window *window, const struct oracle_leaf *leaf, uint64_t *first,
                       uint64_t *last);
/* Mark or clean the leaf over `address`, which is mapped. */
void oracle_set_dirty(struct oracle_table *table, uint64_t address, bool dirty);

/* What set_dirty must return: 0, -ENOENT, -EOPNOTSUPP, -ERANGE. */
int oracle_set_dirty_predict(const struct oracle_table *table, uint64_t address);

static inline uint64_t oracle_run_last(const struct oracle_run *run)
{
    return run->start + run->length - 1;
}
