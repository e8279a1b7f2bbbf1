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
#include "iommu/iommu.h"

/* The formats that have a walker: X(token). */
#define WALKER_LIST(X) X(amdv1) X(x86_64)

enum item_kind { ITEM_EMPTY, ITEM_TABLE, ITEM_LEAF, ITEM_RESERVED };

/* What one item says. */
struct item_meaning {
    uint64_t address; /* of the table, or of the first byte of the leaf */
    unsigned shift;   /* size of the leaf, a contiguous run as a whole */
    bool readable, writable;
};

struct walk_format {
    unsigned granule_shift; /* smallest leaf */
    unsigned index_bits;    /* items of a table: 2^index_bits */
    unsigned top_level_max;
    unsigned top_extra_bits; /* a top table may have this many index bits more (concatenated tables) */
    uint64_t accessed, dirty, forced_coherent; /* bits of an item; 0 = the format has none */
    bool accessed_in_tables;                   /* hardware marks table items too */
    /* The C-bit is stripped from `item` already. `meaning` is set for tables and leaves. */
    enum item_kind (*decode)(const struct iommu_table *table, uint64_t item, unsigned level,
                             struct item_meaning *meaning);
};

/* An item that a walk may start at instead of the root: what the walk cache keeps. */
struct walk_start {
    uint64_t item;    /* raw, as it was read */
    uint64_t address; /* where it was read */
    unsigned level;
    bool readable, writable; /* AND of the items above it */
};

/* One walk: what is asked, and what was found on the way. */
struct walk {
    uint64_t input;
    enum iommu_access access;
    const struct walk_start *start;         /* NULL: from the root */
    struct iommu_leaf leaf;                 /* out */
    struct walk_start path[IOMMU_PATH_MAX]; /* out: what was fetched, leaf.reads of them, top first */
    bool restarted;                         /* out: an item had changed; the walk began again at the root */
};

struct walk_job {
    const struct iommu_table *table;
    const struct iommu_memory *memory;
    struct walk *walk;
};

struct iommu_walker {
    const char *name;
    const struct walk_format *format;
    void (*run)(const struct walk_job *job);
};

/* Run one walk; the result is in walk->leaf and walk->path. */
static inline void walk_table(const struct iommu_table *table, const struct iommu_memory *memory, struct walk *walk)
{
    table->walker->run(&(struct walk_job){ table, memory, walk });
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

    if (table->sign_extend) return (uint64_t)((int64_t)(input << unused) >> unused) == input;
    return (input & ~low_mask(64 - unused)) == 0;
}

/* Does the leaf stay inside the output addresses that the table may produce? */
static inline bool walk_output_fits(const struct iommu_table *table, const struct item_meaning *meaning)
{
    return meaning->shift <= table->oa_bits && (meaning->address & ~low_mask(table->oa_bits)) == 0;
}

enum walk_mark { MARKED, ITEM_CHANGED, MARK_FAULTED };

/* Set `bits` in an item as hardware does: by compare-exchange against what was decoded. */
static inline enum walk_mark walk_mark(const struct iommu_memory *memory, struct walk_start *at, uint64_t bits)
{
    uint64_t found = 0;

    if (!memory->cas || (at->item & bits) == bits) return MARKED;
    if (memory->cas(memory->context, at->address, at->item, at->item | bits)) {
        at->item |= bits;
        return MARKED;
    }
    if (memory->read(memory->context, at->address, &found) && found != at->item) return ITEM_CHANGED;
    return MARK_FAULTED;
}

/* The end of the path: output address, rights, A and D. False: the item changed under the walk. */
static inline bool walk_finish(const struct walk_format *format, const struct walk_job *job, struct walk_start *at,
                               const struct item_meaning *meaning)
{
    struct iommu_leaf *leaf = &job->walk->leaf;
    const bool is_write = job->walk->access == IOMMU_WRITE;
    enum walk_mark mark = MARKED;

    leaf->address = meaning->address | (job->walk->input & low_mask(meaning->shift));
    leaf->shift = meaning->shift;
    leaf->readable = at->readable && meaning->readable;
    leaf->writable = at->writable && meaning->writable;
    if (is_write ? !leaf->writable : !leaf->readable) leaf->fault = IOMMU_PERMISSION;
    if (leaf->fault == IOMMU_NO_FAULT && job->table->set_accessed_dirty) {
        mark = walk_mark(job->memory, at, format->accessed | (is_write ? format->dirty : 0));
        if (mark == MARK_FAULTED) leaf->fault = IOMMU_NO_MEMORY;
    }
    leaf->dirty = (at->item & format->dirty) != 0;
    leaf->forced_coherent = (at->item & format->forced_coherent) != 0;
    leaf->encrypted = (at->item & job->table->c_bit_mask) != 0;
    return mark != ITEM_CHANGED;
}

/* Read the item that `at` points to and remember it. */
static inline bool walk_fetch(const struct walk_job *job, struct walk_start *at)
{
    struct iommu_leaf *leaf = &job->walk->leaf;

    leaf->level = at->level;
    if (!job->memory->read(job->memory->context, at->address, &at->item)) {
        leaf->fault = IOMMU_NO_MEMORY;
        return false;
    }
    leaf->items[leaf->reads] = at->item;
    job->walk->path[leaf->reads++] = *at;
    return true;
}

/* One pass from the start item or the root. False: an item changed under the walk. */
static inline bool walk_pass(const struct walk_format *format, const struct walk_job *job,
                             const struct walk_start *start)
{
    const struct iommu_table *table = job->table;
    struct iommu_leaf *leaf = &job->walk->leaf;
    const uint64_t input = job->walk->input & low_mask(walk_input_bits(format, table));
    unsigned shift = walk_item_shift(format, start ? start->level : table->top_level);
    struct walk_start at = { 0, table->root + 8 * (input >> shift), table->top_level, true, true };
    struct item_meaning meaning;

    if (start) at = *start;
    if (!start && !walk_fetch(job, &at)) return true;
    for (;;) {
        leaf->level = at.level;
        switch (format->decode(table, at.item & ~table->c_bit_mask, at.level, &meaning)) {
        case ITEM_EMPTY: leaf->fault = IOMMU_NOT_PRESENT; return true;
        case ITEM_RESERVED: leaf->fault = IOMMU_RESERVED_BITS; return true;
        case ITEM_LEAF:
            if (!walk_finish(format, job, &at, &meaning)) return false;
            if (leaf->reads) job->walk->path[leaf->reads - 1].item = at.item;
            return true;
        case ITEM_TABLE: break;
        }
        CHECK(at.level > 0);
        if (format->accessed_in_tables && table->set_accessed_dirty) {
            const enum walk_mark mark = walk_mark(job->memory, &at, format->accessed);

            if (mark == MARK_FAULTED) leaf->fault = IOMMU_NO_MEMORY;
            if (mark != MARKED) return mark == MARK_FAULTED;
            if (leaf->reads) job->walk->path[leaf->reads - 1].item = at.item;
        }
        at.address = meaning.address + 8 * ((input & low_mask(shift)) >> (shift - format->index_bits));
        at.readable = at.readable && meaning.readable;
        at.writable = at.writable && meaning.writable;
        at.level--;
        shift -= format->index_bits;
        if (!walk_fetch(job, &at)) return true;
    }
}

/* The whole walk. */
static inline void walk_run(const struct walk_format *format, const struct walk_job *job)
{
    const struct walk_start *start = job->walk->start;

    job->walk->restarted = false;
    if (!walk_is_canonical(format, job->table, job->walk->input)) {
        job->walk->leaf = (struct iommu_leaf){ .fault = IOMMU_CANONICAL, .level = job->table->top_level };
        return;
    }
    for (unsigned i = 0;; i++) {
        CHECK(i < WALK_RESTARTS_MAX);
        job->walk->leaf = (struct iommu_leaf){ 0 };
        if (walk_pass(format, job, start)) return;
        job->walk->restarted = true;
        start = NULL;
    }
}

/* A walker row from `token` and its struct walk_format of the name `format`. */
#define DEFINE_WALKER(token)                                                                                           \
    static void token##_run(const struct walk_job *job)                                                                \
    {                                                                                                                  \
        walk_run(&format, job);                                                                                        \
    }                                                                                                                  \
    const struct iommu_walker walker_##token = { #token, &format, token##_run }
