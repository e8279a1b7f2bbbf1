/*
 * What a format's hardware walker is made of: its own decoder of one item, and the loop that all formats share.
 *
 * A format is one file (walker_<format>.c: a decoder, a struct walk_format, DEFINE_WALKER) and one row of WALKER_LIST.
 * The loop is inlined into each file with its format constant, so that no call is made per level.
 *
 * Levels count up from 0 = the table of the smallest leaves (formats.md 0).
 */
#pragma once

#include "base/bits.h"
#include "base/check.h"
#include "base/fault.h"
#include "iommu/iommu.h"

/* The formats that have a walker: X(token). */
#define WALKER_LIST(X)                                                                                                 \
    X(amdv1)                                                                                                           \
    X(x86_64)                                                                                                          \
    X(vtdss)                                                                                                           \
    X(riscv64)                                                                                                         \
    X(riscv64_s2)                                                                                                      \
    X(armv8)                                                                                                           \
    X(armv8_16k)                                                                                                       \
    X(armv8_64k)                                                                                                       \
    X(armv8_s2)                                                                                                        \
    X(armv8_s2_16k)                                                                                                    \
    X(armv8_s2_64k)                                                                                                    \
    X(fake)

enum item_kind { ITEM_EMPTY, ITEM_TABLE, ITEM_LEAF, ITEM_RESERVED, ITEM_NOT_ACCESSED };

/* What one item says. */
struct item_meaning {
    uint64_t
        address;     /* of the table, or of the first byte of the leaf; with items_advance, of this item's part of it */
    unsigned shift;  /* size of the leaf, a contiguous run as a whole */
    unsigned rights; /* enum walk_right: what the item itself allows; ANDed along the path */
};

/* ANDed along the path as rights are; not for an access to have: that all items lead to non-secure memory. */
enum walk_right { WALK_READ = 1, WALK_WRITE = 2, WALK_NON_SECURE = 4, WALK_ALL = 7 };

struct walk_format {
    unsigned granule_shift; /* smallest leaf */
    unsigned index_bits;    /* items of a table: 2^index_bits */
    unsigned top_level_max;
    unsigned top_extra_bits; /* a top table may have this many index bits more (concatenated tables) */
    uint64_t accessed, dirty, forced_coherent; /* bits of an item; 0 = the format has none */
    uint64_t inverted;                         /* of accessed and dirty: these are set while the bit is clear */
    bool accessed_in_tables;                   /* hardware marks table items too */
    unsigned marks_step;                       /* accessed and dirty are this many bits further up with each level */
    bool items_advance;                        /* the items of a run each hold the address of their own part */
    bool has_upper_half;                       /* iommu_table.upper_half means something */
    /* The C-bit is stripped from `item` already. `meaning` is set for tables (but for shift) and leaves. */
    enum item_kind (*decode)(const struct iommu_table *table, uint64_t item, unsigned level,
                             struct item_meaning *meaning);
    /* Is the memory of a leaf cached, write-back? NULL: items do not say. */
    bool (*is_write_back)(const struct iommu_table *table, uint64_t item);
};

/* An item that a walk may start at instead of the root: what the walk cache keeps. */
struct walk_start {
    uint64_t item;    /* raw, as it was read */
    uint64_t address; /* where it was read */
    unsigned rights;  /* AND over the items above it */
    unsigned level;
};

/* One walk of a table for a walk cache: what is asked, and what was found on the way. */
struct walk {
    uint64_t input;
    enum iommu_access access;
    const struct walk_start *start;         /* NULL: from the root */
    struct iommu_leaf leaf;                 /* out */
    struct walk_start path[IOMMU_PATH_MAX]; /* out: what was fetched, leaf.reads of them, top first */
    bool restarted;                         /* out: an item had changed; the walk began again at the root */
};

struct iommu_walker {
    const char *name;
    const struct walk_format *format;
    void (*run)(const struct iommu_table *table, const struct iommu_memory *memory, struct walk *walk);
    /* iommu_walk_on: never writing, keeping no path. */
    void (*look)(const struct iommu_table *table, const struct iommu_memory *memory, uint64_t input,
                 enum iommu_access access, struct iommu_chain *chain);
};

/* Run one walk; the result is in walk->leaf and walk->path. */
static inline void walk_table(const struct iommu_table *table, const struct iommu_memory *memory, struct walk *walk)
{
    table->walker->run(table, memory, walk);
}

#define X(token) extern const struct iommu_walker walker_##token;
WALKER_LIST(X)
#undef X

/* Another agent may change an item between a walker's fetch and its A/D update; more often than this is our mistake. */
enum { WALK_RESTARTS_MAX = 1000 };

static inline unsigned walk_item_shift(const struct walk_format *format, unsigned level)
{
    return format->granule_shift + format->index_bits * level;
}

/* Input bits that the table decodes: a growing table's are limited by its top (formats.md 1.1). */
static inline unsigned walk_input_bits(const struct walk_format *format, const struct iommu_table *table)
{
    const unsigned top = walk_item_shift(format, table->top_level) + format->index_bits + format->top_extra_bits;

    return top < table->va_bits ? top : table->va_bits;
}

static inline bool walk_is_canonical(const struct walk_format *format, const struct iommu_table *table, uint64_t input)
{
    const unsigned unused = 64 - walk_input_bits(format, table);

    if (FAULT(WALK_ALIASES_ABOVE_TOP) && !table->sign_extend && (input & ~low_mask(64 - unused)) &&
        !(input & ~low_mask(table->va_bits))) {
        fault_triggered();
        return true;
    }
    if (format->has_upper_half && table->upper_half) return ~input >> (64 - unused) == 0;
    if (table->sign_extend) return (uint64_t)((int64_t)(input << unused) >> unused) == input;
    return (input & ~low_mask(64 - unused)) == 0;
}

/* Does the leaf stay inside the output addresses that the table may produce? */
static inline bool walk_output_fits(const struct iommu_table *table, const struct item_meaning *meaning)
{
    return meaning->shift <= table->oa_bits && (meaning->address & ~low_mask(table->oa_bits)) == 0;
}

/*
 * The loop below and the decoders are one function in the end: what a walk knows stays in registers, each field of the
 * result is stored once, and nothing local has its address taken (sanitizers make that dear).
 */
#define WALK_INLINE static inline __attribute__((always_inline))

/* One walk as the loop sees it. */
struct walk_job {
    const struct iommu_table *table;
    const struct iommu_memory *memory;
    uint64_t input;
    enum iommu_access access;
    const struct walk_start *start; /* NULL: from the root */
    struct iommu_leaf *leaf;        /* out */
    struct walk_start *path;        /* out; NULL: not wanted, and no item is written either */
    struct iommu_chain *chain;      /* NULL: the walk begins at `start` or the root */
    const uint8_t *window;          /* of memory, at hand */
    uint64_t window_base, window_bytes;
};

/* Where a walk stands. */
struct walk_step {
    uint64_t item, address;
    unsigned rights;
    unsigned level;
    unsigned reads;
};

enum walk_mark { MARKED, ITEM_CHANGED, MARK_FAULTED };

/* Change the item at `address` as hardware does: by compare-exchange against what was decoded. */
enum walk_mark walk_exchange(const struct iommu_memory *memory, uint64_t address, uint64_t item, uint64_t desired);

WALK_INLINE void walk_note(const struct walk_job *job, const struct walk_step *step)
{
    struct walk_start *noted;

    if (!job->path || step->reads == 0) return;
    noted = &job->path[step->reads - 1];
    noted->item = step->item;
    noted->address = step->address;
    noted->rights = step->rights;
    noted->level = step->level;
}

/* Nothing to do where the bits are there already, or where the walk must not write. */
WALK_INLINE enum walk_mark walk_mark(const struct walk_format *format, const struct walk_job *job,
                                     struct walk_step *step, uint64_t bits)
{
    const uint64_t marked = ((step->item ^ format->inverted) | bits) ^ format->inverted;
    enum walk_mark mark;

    if (!job->path || !job->memory->cas || step->item == marked) return MARKED;
    mark = walk_exchange(job->memory, step->address, step->item, marked);
    if (mark != MARKED) return mark;
    step->item = marked;
    walk_note(job, step);
    return MARKED;
}

/* The walk ends at no leaf. */
WALK_INLINE void walk_fail(const struct walk_job *job, const struct walk_step *step, enum iommu_fault fault)
{
    struct iommu_leaf *leaf = job->leaf;

    leaf->fault = fault;
    leaf->address = 0;
    leaf->shift = 0;
    leaf->readable = leaf->writable = false;
    leaf->dirty = leaf->forced_coherent = leaf->encrypted = false;
    leaf->non_secure = leaf->write_back = false;
    leaf->level = step->level;
    leaf->reads = step->reads;
}

/* Where hardware marks the item that the walk is at. */
WALK_INLINE uint64_t walk_accessed(const struct walk_format *format, const struct walk_step *step)
{
    return format->accessed << format->marks_step * step->level;
}

WALK_INLINE uint64_t walk_dirty(const struct walk_format *format, const struct walk_step *step)
{
    return format->dirty << format->marks_step * step->level;
}

/* What an access sets in its leaf. */
WALK_INLINE uint64_t walk_leaf_marks(const struct walk_format *format, const struct walk_job *job,
                                     const struct walk_step *step)
{
    const uint64_t accessed = walk_accessed(format, step);
    const uint64_t dirty = walk_dirty(format, step);

    if (job->access != IOMMU_WRITE) return accessed;
    if (FAULT(WALK_FORGETS_DIRTY) && job->path && (step->item & accessed) &&
        ((step->item ^ format->inverted) & dirty) != dirty) {
        fault_triggered();
        return accessed;
    }
    return accessed | dirty;
}

/* The end of the path: output address, rights, A and D. False: the item changed under the walk. */
WALK_INLINE bool walk_finish(const struct walk_format *format, const struct walk_job *job, struct walk_step *step,
                             const struct item_meaning *meaning)
{
    struct iommu_leaf *leaf = job->leaf;
    const bool is_write = job->access == IOMMU_WRITE;
    const unsigned rights = step->rights & meaning->rights;
    const unsigned offset_bits = format->items_advance ? walk_item_shift(format, step->level) : meaning->shift;
    const bool readable = (rights & WALK_READ) != 0;
    const bool writable = (rights & WALK_WRITE) != 0;
    enum iommu_fault fault = (is_write ? writable : readable) ? IOMMU_NO_FAULT : IOMMU_PERMISSION;

    if (fault == IOMMU_NO_FAULT && job->table->set_accessed_dirty) {
        const enum walk_mark mark = walk_mark(format, job, step, walk_leaf_marks(format, job, step));

        if (mark == ITEM_CHANGED) return false;
        if (mark == MARK_FAULTED) fault = IOMMU_NO_MEMORY;
    }
    leaf->fault = fault;
    leaf->address = meaning->address | (job->input & low_mask(offset_bits));
    leaf->shift = meaning->shift;
    leaf->readable = readable;
    leaf->writable = writable;
    leaf->dirty = ((step->item ^ format->inverted) & walk_dirty(format, step)) != 0;
    leaf->forced_coherent = (step->item & format->forced_coherent) != 0;
    leaf->encrypted = (step->item & job->table->c_bit_mask) != 0;
    leaf->non_secure = (rights & WALK_NON_SECURE) != 0;
    leaf->write_back = format->is_write_back && format->is_write_back(job->table, step->item);
    leaf->level = step->level;
    leaf->reads = step->reads;
    return true;
}

/* Read the item that `step` points to and remember it. False: no memory there; the walk has ended. */
WALK_INLINE bool walk_fetch(const struct walk_job *job, struct walk_step *step)
{
    const struct iommu_memory *memory = job->memory;
    const uint64_t offset = step->address - job->window_base;
    uint64_t *item = &job->leaf->items[step->reads];

    if (offset < job->window_bytes) {
        step->item = __atomic_load_n((const uint64_t *)(const void *)(job->window + offset), __ATOMIC_ACQUIRE);
        *item = step->item;
    } else if (memory->read(memory->context, step->address, item)) {
        step->item = *item;
    } else {
        walk_fail(job, step, IOMMU_NO_MEMORY);
        return false;
    }
    step->reads++;
    walk_note(job, step);
    return true;
}

/* Does the table of the chain cover the input? */
WALK_INLINE bool walk_is_near(const struct walk_format *format, const struct walk_job *job)
{
    const struct iommu_chain *chain = job->chain;

    return chain && chain->is_known && (chain->input ^ job->input) >> (chain->shift + format->index_bits) == 0;
}

/* The walk has reached the table at `address`, below the top: the next one may begin there. */
WALK_INLINE void walk_remember(const struct walk_job *job, const struct walk_step *step, uint64_t address,
                               unsigned shift)
{
    struct iommu_chain *chain = job->chain;

    if (!chain) return;
    chain->is_known = true;
    chain->shift = shift;
    chain->level = step->level;
    chain->input = job->input;
    chain->table = address;
    chain->rights = step->rights;
}

/* One pass from the start item or the root. False: an item changed under the walk. */
WALK_INLINE bool walk_pass(const struct walk_format *format, const struct walk_job *job, const struct walk_start *start)
{
    const struct iommu_table *table = job->table;
    const uint64_t c_bit_mask = table->c_bit_mask;
    const uint64_t input = job->input & low_mask(walk_input_bits(format, table));
    unsigned shift = walk_item_shift(format, start ? start->level : table->top_level);
    struct walk_step step = { 0, table->root + 8 * (input >> shift), WALK_ALL, table->top_level, 0 };
    struct item_meaning meaning;

    if (walk_is_near(format, job)) {
        shift = job->chain->shift;
        step.address = job->chain->table + 8 * (input >> shift & low_mask(format->index_bits));
        step.rights = job->chain->rights;
        step.level = job->chain->level;
    }
    if (start) step = (struct walk_step){ start->item, start->address, start->rights, start->level, 0 };
    if (!start && !walk_fetch(job, &step)) return true;
    for (;;) {
        switch (format->decode(table, step.item & ~c_bit_mask, step.level, &meaning)) {
        case ITEM_EMPTY: walk_fail(job, &step, IOMMU_NOT_PRESENT); return true;
        case ITEM_RESERVED: walk_fail(job, &step, IOMMU_RESERVED_BITS); return true;
        case ITEM_NOT_ACCESSED: walk_fail(job, &step, IOMMU_ACCESS_FLAG); return true;
        case ITEM_LEAF: return walk_finish(format, job, &step, &meaning);
        case ITEM_TABLE: break;
        }
        CHECK(step.level > 0);
        if (format->accessed_in_tables && table->set_accessed_dirty) {
            const enum walk_mark mark = walk_mark(format, job, &step, walk_accessed(format, &step));

            if (mark == MARK_FAULTED) walk_fail(job, &step, IOMMU_NO_MEMORY);
            if (mark != MARKED) return mark == MARK_FAULTED;
        }
        shift -= format->index_bits;
        step.address = meaning.address + 8 * (input >> shift & low_mask(format->index_bits));
        step.rights &= meaning.rights;
        step.level--;
        walk_remember(job, &step, meaning.address, shift);
        if (!walk_fetch(job, &step)) return true;
    }
}

/* The whole walk. Returns whether it began again. */
WALK_INLINE bool walk_whole(const struct walk_format *format, const struct walk_job *job)
{
    const struct walk_step top = { .level = job->table->top_level };

    if (!walk_is_canonical(format, job->table, job->input)) {
        walk_fail(job, &top, IOMMU_CANONICAL);
        return false;
    }
    if (walk_pass(format, job, job->start)) return false;
    for (unsigned i = 1; i < WALK_RESTARTS_MAX; i++) {
        if (walk_pass(format, job, NULL)) return true;
    }
    CHECK(!"an item changed under every pass of a walk");
    return true;
}

/* A walker row from `token` and its struct walk_format; a file with one row calls that `format`. */
#define DEFINE_WALKER(token) DEFINE_WALKER_OF(token, format)
#define DEFINE_WALKER_OF(token, of_format)                                                                             \
    static void token##_run(const struct iommu_table *table, const struct iommu_memory *memory, struct walk *walk)     \
    {                                                                                                                  \
        const struct walk_job job = {                                                                                  \
            table,      memory, walk->input,    walk->access,        walk->start,         &walk->leaf,                 \
            walk->path, NULL,   memory->window, memory->window_base, memory->window_bytes                              \
        };                                                                                                             \
                                                                                                                       \
        walk->restarted = walk_whole(&(of_format), &job);                                                              \
    }                                                                                                                  \
    static void token##_look(const struct iommu_table *table, const struct iommu_memory *memory, uint64_t input,       \
                             enum iommu_access access, struct iommu_chain *chain)                                      \
    {                                                                                                                  \
        const struct walk_job job = { table,                                                                           \
                                      memory,                                                                          \
                                      input,                                                                           \
                                      access,                                                                          \
                                      NULL,                                                                            \
                                      &chain->leaf,                                                                    \
                                      NULL,                                                                            \
                                      chain,                                                                           \
                                      memory->window,                                                                  \
                                      memory->window_base,                                                             \
                                      memory->window_bytes };                                                          \
                                                                                                                       \
        walk_whole(&(of_format), &job);                                                                                \
    }                                                                                                                  \
    const struct iommu_walker walker_##token = { #token, &(of_format), token##_run, token##_look }
