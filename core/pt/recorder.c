/* See recorder.h. */
#include "pt/recorder.h"

#include "base/bits.h"
#include "base/check.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char *const names[] = {
    [OPERATION_MAP] = "map",
    [OPERATION_UNMAP] = "unmap",
    [OPERATION_MAP_LIST] = "map_list",
    [OPERATION_UNMAP_RANGES] = "unmap_ranges",
    [OPERATION_LOOKUP] = "iova_to_phys",
    [OPERATION_DIRTY] = "dirty",
    [OPERATION_SET_DIRTY] = "set_dirty",
    [OPERATION_CUT] = "cut",
    [OPERATION_DECREASE] = "decrease",
    [OPERATION_INCREASE] = "increase",
    [OPERATION_GROWTH] = "growth",
    [OPERATION_INCOHERENT] = "incoherent",
};

_Static_assert(sizeof(names) / sizeof(names[0]) == OPERATION_COUNT, "a name for each");

const char *operation_name(enum pt_operation operation)
{
    return names[operation];
}

static const struct recorder *recorder_of(const struct pt *pt)
{
    return (const struct recorder *)pt->engine;
}

void recorder_event(const struct pt *pt)
{
    recorder_of(pt)->counts->pending++;
}

void recorder_event_of_last(const struct pt *pt)
{
    struct operation_counts *counts = recorder_of(pt)->counts;

    for (unsigned i = 0; i < OPERATION_COUNT; i++) counts->events[i] += counts->last >> i & 1;
}

/* The call is over, and was these operations. */
static void note(const struct pt *pt, unsigned operations)
{
    struct operation_counts *counts = recorder_of(pt)->counts;

    if (pt->features & PT_DMA_INCOHERENT) operations |= 1u << OPERATION_INCOHERENT;
    for (unsigned i = 0; i < OPERATION_COUNT; i++) {
        if (!(operations & 1u << i)) continue;
        counts->calls[i]++;
        counts->events[i] += counts->pending;
    }
    counts->last = operations;
    counts->pending = 0;
}

/* ---- map --------------------------------------------------------------------------------------------------------- */

struct before {
    unsigned top_level;
    uint64_t last; /* that the top can hold */
};

static struct before look_at_top(const struct pt *pt)
{
    const struct pt_geometry *geometry = &pt->engine->geometry;
    struct pt_info info;

    pt_get_info(pt, &info);
    return (struct before){ info.top_level, low_mask(min_u64(64, geometry->granule_shift +
                                                                     geometry->index_bits * (info.top_level + 1))) };
}

/* Did this map make the top taller, or fail to? */
static unsigned growth(const struct pt *pt, const struct before *before, uint64_t last, int result)
{
    const bool is_beyond = pt->features & PT_DYNAMIC_TOP && last > before->last;

    return look_at_top(pt).top_level != before->top_level || (is_beyond && result == -ENOMEM) ? 1u << OPERATION_GROWTH
                                                                                              : 0;
}

static int map_range(struct pt *pt, iova_t start, hpa_t target, uint64_t length, unsigned prot, uint64_t *mapped)
{
    const struct before before = look_at_top(pt);
    const int result = recorder_of(pt)->real->map_range(pt, start, target, length, prot, mapped);

    note(pt, 1u << OPERATION_MAP | growth(pt, &before, start.value + length - 1, result));
    return result;
}

static int map_list(struct pt *pt, iova_t start, const struct pt_list *list, unsigned prot, uint64_t *mapped)
{
    const struct before before = look_at_top(pt);
    const int result = recorder_of(pt)->real->map_list(pt, start, list, prot, mapped);
    uint64_t last = start.value - 1;

    for (size_t i = 0; i < list->count; i++) last += list->pieces[i].length;
    note(pt, 1u << OPERATION_MAP_LIST | growth(pt, &before, last, result));
    return result;
}

/* ---- resize ------------------------------------------------------------------------------------------------------ */

/* Leaf items by the size of their leaf. */
struct sizes {
    const struct pt *pt;
    uint64_t first, last; /* iovas, inclusive */
    uint64_t items[64];
    bool is_inside[64]; /* a leaf of that size lies in the range, or reaches into it */
};

static void count_item(void *context, const struct pt_item *item)
{
    struct sizes *sizes = context;
    struct pt_decoded decoded;

    if (item->is_table) return;
    sizes->pt->engine->decode(sizes->pt, item->raw, item->level, &decoded);
    sizes->items[decoded.shift & 63]++;
    if (item->va.value <= sizes->last && item->va.value + (bit(decoded.shift) - 1) >= sizes->first)
        sizes->is_inside[decoded.shift & 63] = true;
}

static struct sizes count_sizes(const struct pt *pt, uint64_t start, uint64_t length)
{
    struct sizes sizes = { .pt = pt, .first = start, .last = start + length - 1 };

    pt_walk_items(pt, count_item, &sizes);
    return sizes;
}

/* Where leaves above the limit went, some were split; where smaller ones did, some were merged. */
static unsigned directions(const struct sizes *before, const struct sizes *after, uint64_t max_leaf)
{
    unsigned found = 0;

    for (unsigned shift = 0; shift < 64; shift++) {
        if (after->items[shift] >= before->items[shift]) continue;
        found |= 1u << (bit(shift) > max_leaf ? OPERATION_DECREASE : OPERATION_INCREASE);
    }
    return found;
}

/* What was asked for and could not be had: a split where there is a leaf to split. */
static unsigned refused(const struct sizes *sizes, uint64_t max_leaf)
{
    for (unsigned shift = 0; shift < 64; shift++) {
        if (bit(shift) > max_leaf && sizes->is_inside[shift]) return 1u << OPERATION_DECREASE;
    }
    return 1u << OPERATION_INCREASE;
}

static int resize(struct pt *pt, iova_t start, uint64_t length, uint64_t max_leaf)
{
    const struct sizes before = count_sizes(pt, start.value, length);
    const int result = recorder_of(pt)->real->resize(pt, start, length, max_leaf);
    const struct sizes after = count_sizes(pt, start.value, length);
    unsigned operations = directions(&before, &after, max_leaf);

    if (result == -EOPNOTSUPP || result == -ENOMEM) operations |= refused(&before, max_leaf);
    note(pt, operations);
    return result;
}

/* ---- the others -------------------------------------------------------------------------------------------------- */

static uint64_t unmap_range(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *gather)
{
    const uint64_t removed = recorder_of(pt)->real->unmap_range(pt, start, length, gather);

    note(pt, 1u << OPERATION_UNMAP);
    return removed;
}

static uint64_t unmap_ranges(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *gather,
                             const struct pt_receiver *receiver)
{
    const uint64_t removed = recorder_of(pt)->real->unmap_ranges(pt, start, length, gather, receiver);

    note(pt, 1u << OPERATION_UNMAP_RANGES);
    return removed;
}

/* Stores and takes nothing: events that are pending belong to the unmap whose receiver looks. */
static bool iova_to_phys(const struct pt *pt, iova_t address, hpa_t *result)
{
    recorder_of(pt)->counts->calls[OPERATION_LOOKUP]++;
    return recorder_of(pt)->real->iova_to_phys(pt, address, result);
}

static int read_and_clear_dirty(struct pt *pt, iova_t start, uint64_t length, unsigned flags, pt_dirty_report *report,
                                void *context, struct pt_gather *gather)
{
    const int result = recorder_of(pt)->real->read_and_clear_dirty(pt, start, length, flags, report, context, gather);

    note(pt, 1u << OPERATION_DIRTY);
    return result;
}

static int set_dirty(struct pt *pt, iova_t address)
{
    const int result = recorder_of(pt)->real->set_dirty(pt, address);

    note(pt, 1u << OPERATION_SET_DIRTY);
    return result;
}

static int cut(struct pt *pt, iova_t at)
{
    const int result = recorder_of(pt)->real->cut(pt, at);

    note(pt, 1u << OPERATION_CUT);
    return result;
}

/* ---- the set ----------------------------------------------------------------------------------------------------- */

static void recorder_begin(struct recorder *recorder, const struct engine *real, struct operation_counts *counts)
{
    struct engine *row = &recorder->row;

    recorder->real = real;
    recorder->counts = counts;
    *row = *real;
    if (real->map_range) row->map_range = map_range;
    if (real->unmap_range) row->unmap_range = unmap_range;
    if (real->map_list) row->map_list = map_list;
    if (real->unmap_ranges) row->unmap_ranges = unmap_ranges;
    if (real->iova_to_phys) row->iova_to_phys = iova_to_phys;
    if (real->read_and_clear_dirty) row->read_and_clear_dirty = read_and_clear_dirty;
    if (real->set_dirty) row->set_dirty = set_dirty;
    if (real->cut) row->cut = cut;
    if (real->resize) row->resize = resize;
}

void recorder_attach(struct recorder_set *set, struct pt *pt)
{
    for (unsigned i = 0; i < set->count; i++) {
        if (pt->engine == &set->recorders[i].row) return;
        if (pt->engine != set->recorders[i].real) continue;
        pt->engine = &set->recorders[i].row;
        return;
    }
    CHECK(set->count < RECORDERS_MAX);
    recorder_begin(&set->recorders[set->count], pt->engine, &set->counts[set->count]);
    pt->engine = &set->recorders[set->count].row;
    set->count++;
}

/* The engines of one format together, in the line of the first of them. */
static uint64_t number_of(const struct recorder_set *set, unsigned first, unsigned operation,
                          enum recorder_number number)
{
    const char *format = set->recorders[first].row.format;
    uint64_t sum = 0;

    for (unsigned i = 0; i < set->count; i++) {
        const struct operation_counts *counts = &set->counts[i];

        if (strcmp(set->recorders[i].row.format, format) != 0) continue;
        if (i < first) return 0;
        sum += number == NUMBER_EVENTS ? counts->events[operation] : counts->calls[operation];
    }
    return number == NUMBER_ONE ? sum > 0 : sum;
}

void recorder_print(struct recorder_set *set, const char *evidence, enum recorder_number number, FILE *file)
{
    for (unsigned i = 0; i < set->count; i++) {
        for (unsigned operation = 0; operation < OPERATION_COUNT; operation++) {
            const uint64_t shown = number_of(set, i, operation, number);

            if (shown)
                fprintf(file, "did %s %s %s %" PRIu64 "\n", evidence, set->recorders[i].row.format,
                        operation_name((enum pt_operation)operation), shown);
        }
    }
    memset(set->counts, 0, sizeof(set->counts));
}
