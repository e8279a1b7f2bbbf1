/* Shared by the files of the oracle: how a run is stored in an item, and range checks. */
#pragma once

#include "oracle/oracle.h"

/*
 * word[0] = length, word[1] = target, word[2]:
 *   63      17  16    15    8 7     0
 *  |    -     |dirty|  prot  | shift |
 */
static inline struct oracle_run run_of_item(const struct sorted_item *item)
{
    return (struct oracle_run){
        .start = item->key,
        .length = item->word[0],
        .target = item->word[1],
        .shift = item->word[2] & 0xff,
        .prot = item->word[2] >> 8 & 0xff,
        .dirty = item->word[2] >> 16 & 1,
    };
}

static inline struct sorted_item item_of_run(const struct oracle_run *run)
{
    return (struct sorted_item){
        run->start,
        { run->length, run->target, (uint64_t)run->dirty << 16 | (uint64_t)run->prot << 8 | run->shift },
    };
}

/* -EINVAL length 0, -EOVERFLOW the range wraps, 0. */
int oracle_check_length(uint64_t start, uint64_t length);

/* Does a top table of `level` decode all of [first, last], on one side of a sign-extended table's hole? */
bool oracle_level_covers(const struct oracle_table *table, unsigned level, uint64_t first, uint64_t last);

/* What map must say to a request, and what of it is asked of each part of a list: formats.md 2.3 in its order. */
int oracle_check_prot(const struct oracle_table *table, unsigned prot, uint64_t target);
int oracle_check_place(const struct oracle_table *table, const struct oracle_request *request);
/* Where the greedy leaf that holds address `where` begins, relative to the request. */
uint64_t oracle_leaf_boundary(const struct oracle_table *table, const struct oracle_request *request, uint64_t where);
/* The top level that a map of `request` needs whose first leaf has 2^shift bytes, at least that of now. */
unsigned oracle_level_needed(const struct oracle_table *table, const struct oracle_request *request, unsigned shift);

/* Store a run in a hole. The sums of the table are the caller's. */
void oracle_insert(struct oracle_table *table, const struct oracle_run *run);
