/* What map_list must do, and what an unmap hands over: oracle.h. */
#include "base/bits.h"
#include "oracle/oracle_internal.h"

#include <errno.h>

/* ---- map_list ---------------------------------------------------------------------------------------------------- */

/*
 * The requests that a list comes to, one after the other. An extent of nothing is a request of its own: it is refused
 * where it stands.
 */
struct requests {
    const struct oracle_list *list;
    unsigned next;
    uint64_t end;   /* of those so far: an input address, 0 where it is 2^64 */
    bool is_at_end; /* it is */
};

static struct requests requests_of(const struct oracle_list *list)
{
    return (struct requests){ list, 0, list->start, false };
}

static bool next_request(struct requests *at, struct oracle_request *request)
{
    const struct oracle_extent *extents = at->list->extents;

    if (at->next == at->list->count) return false;
    *request = (struct oracle_request){ at->end, extents[at->next].target, extents[at->next].length, at->list->prot };
    at->next++;
    while (at->next < at->list->count && extents[at->next - 1].length && extents[at->next].length &&
           extents[at->next].target == request->target + request->length &&
           request->length + extents[at->next].length > request->length) {
        request->length += extents[at->next].length;
        at->next++;
    }
    at->is_at_end = at->is_at_end || (request->length > 0 && at->end + request->length == 0);
    at->end += request->length;
    return true;
}

/* The first refusal. *whole: all input addresses, and the target that comes first. */
static int check_list(const struct oracle_table *table, const struct oracle_list *list, struct oracle_request *whole)
{
    struct requests at = requests_of(list);
    struct oracle_request request;
    int error = oracle_check_prot(table, list->prot, list->count ? list->extents[0].target : 0);

    if (error) return error;
    if (list->count == 0) return -EINVAL;
    while (!error) {
        const bool is_behind_end = at.is_at_end;

        if (!next_request(&at, &request)) break;
        error = oracle_check_place(table, &request);
        if (is_behind_end && request.length > 0 && request.target <= low_mask(table->config.oa_bits))
            error = -EOVERFLOW;
    }
    if (error) return error;
    *whole = (struct oracle_request){ list->start, list->extents[0].target, at.end - list->start, list->prot };
    if (whole->length == 0) return -EOVERFLOW; /* 2^64 bytes */
    return oracle_level_covers(table, table->config.format->max_level, whole->start, whole->start + (whole->length - 1))
               ? 0
               : -ERANGE;
}

/* Where the greedy leaf over input address `where` begins, relative to the list. */
static uint64_t boundary_of(const struct oracle_table *table, const struct oracle_list *list, uint64_t where)
{
    struct requests at = requests_of(list);
    struct oracle_request request = { .start = list->start };

    while (next_request(&at, &request) && where - request.start >= request.length) {
    }
    return request.start - list->start + oracle_leaf_boundary(table, &request, where);
}

static unsigned level_needed(const struct oracle_table *table, const struct oracle_list *list,
                             const struct oracle_request *whole)
{
    struct requests at = requests_of(list);
    struct oracle_request first;

    if (!table->config.grows || !next_request(&at, &first)) return table->top_level;
    return oracle_level_needed(table, whole,
                               oracle_greedy(table->page_sizes, first.start, first.target, first.length).shift);
}

struct oracle_map_result oracle_list_predict(const struct oracle_table *table, const struct oracle_list *list)
{
    struct oracle_request whole = { 0 };
    struct oracle_map_result result = { check_list(table, list, &whole), 0, table->top_level };
    uint64_t where;

    if (result.error) return result;
    result.top_level = level_needed(table, list, &whole);
    result.mapped = whole.length;
    if (oracle_any(table, whole.start, whole.start + (whole.length - 1), &where)) {
        result.error = -EADDRINUSE;
        result.mapped = boundary_of(table, list, where);
    }
    return result;
}

bool oracle_list_may_stop(const struct oracle_table *table, const struct oracle_list *list, uint64_t mapped)
{
    const struct oracle_map_result all = oracle_list_predict(table, list);
    struct oracle_request whole;

    if (check_list(table, list, &whole)) return false;
    return mapped <= all.mapped && mapped < whole.length && boundary_of(table, list, list->start + mapped) == mapped;
}

uint64_t oracle_list_commit(struct oracle_table *table, const struct oracle_list *list, uint64_t mapped)
{
    struct requests at = requests_of(list);
    struct oracle_request request, whole;
    uint64_t leaves = 0;

    if (mapped == 0 || check_list(table, list, &whole)) return 0;
    table->top_level = level_needed(table, list, &whole);
    while (next_request(&at, &request) && request.start - list->start < mapped) {
        const uint64_t left = mapped - (request.start - list->start);

        leaves += oracle_map_commit(table, &request, min_u64(request.length, left));
    }
    return leaves;
}

/* ---- what an unmap hands over ------------------------------------------------------------------------------------ */

bool oracle_memory(const struct oracle_table *table, uint64_t from, uint64_t last, struct oracle_extent *memory)
{
    struct oracle_run run;

    if (!oracle_next_run(table, from, last, &run) || run.start != from) return false;
    *memory = (struct oracle_extent){ run.target, run.length };
    while (oracle_run_last(&run) < last) {
        const uint64_t next = oracle_run_last(&run) + 1;

        if (!oracle_next_run(table, next, last, &run) || run.start != next) return true;
        if (run.target != memory->target + memory->length) return true;
        memory->length += run.length;
    }
    return true;
}
