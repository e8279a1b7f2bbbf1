/* What the tests of the oracle of page tables share: two tables, and what is in them as text. */
#pragma once

#include "oracle/oracle.h"

#include "base/bits.h"
#include "base/random.h"
#include "base/test_main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { RW = ORACLE_READ | ORACLE_WRITE };

static inline struct oracle_table amdv1_table(void)
{
    struct oracle_table table = { 0 };
    const struct oracle_config config = {
        .format = oracle_find_format("amdv1"), .va_bits = 64, .oa_bits = 52, .top_level = 2, .grows = true
    };

    oracle_table_init(&table, &config);
    return table;
}

static inline struct oracle_table x86_table(bool sign_extend)
{
    struct oracle_table table = { 0 };
    const struct oracle_config config = { .format = oracle_find_format("x86_64"),
                                          .va_bits = sign_extend ? 48 : 47,
                                          .oa_bits = 52,
                                          .top_level = 3,
                                          .sign_extend = sign_extend };

    oracle_table_init(&table, &config);
    return table;
}

/* Map as far as the oracle says one can, and return what it says. */
static inline struct oracle_map_result map(struct oracle_table *table, uint64_t start, uint64_t target, uint64_t length)
{
    const struct oracle_request request = { start, target, length, RW };
    const struct oracle_map_result result = oracle_map_predict(table, &request);

    oracle_map_commit(table, &request, result.mapped);
    return result;
}

/* "12 13 12": the sizes of all leaves in order, for short tables. */
static inline const char *sizes(const struct oracle_table *table)
{
    static char text[256];
    struct oracle_run run;
    uint64_t from = 0;
    size_t length = 0;

    text[0] = 0;
    while (oracle_next_run(table, from, UINT64_MAX, &run)) {
        for (uint64_t i = 0; i < run.length >> run.shift && length + 4 < sizeof(text); i++)
            length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%u", length ? " " : "", run.shift);
        from = run.start + run.length;
        if (from == 0) break;
    }
    return text;
}
