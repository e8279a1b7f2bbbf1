#include "bench_traffic.h"

#include "bench.h"

#include "base/check.h"
#include "base/random.h"
#include "import/import.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TRACE_PATH   "corpus/traces/linux-6.12-vtd-nvme-e1000e.trace.xz"
#define MEMORY_GPA   UINT64_C(0x40000000)
#define MEMORY_BYTES (UINT64_C(256) << 20)
#define TRACE_BYTES  (UINT64_C(2) << 30)

enum {
    PAGES = 1 << 16, /* of MEMORY_BYTES */
    BUFFER_PAGES = 65,
    BUFFERS = PAGES / BUFFER_PAGES, /* 1008 */
    ROUNDS = 65,
    SEED = 20260122,
    OFFSET = 0x5a8, /* asked for inside each page */
};

const char *traffic_name(enum traffic_kind kind)
{
    static const char *const names[TRAFFIC_KINDS] = { "sequential", "random", "strided", "trace" };

    CHECK(kind < TRAFFIC_KINDS);
    return names[kind];
}

const char *traffic_text(enum traffic_kind kind)
{
    static const char *const texts[TRAFFIC_KINDS] = {
        "each of 65536 pages of 256 MiB once, in order",
        "65536 accesses to random pages of 256 MiB",
        "the first page of 1008 buffers 260 KiB apart, 65 rounds",
        "pages that a guest's NVMe and e1000e drivers mapped, in their order",
    };

    CHECK(kind < TRAFFIC_KINDS);
    return texts[kind];
}

void traffic_memory(enum traffic_kind kind, uint64_t *gpa, uint64_t *length)
{
    *gpa = kind == TRAFFIC_TRACE ? 0 : MEMORY_GPA;
    *length = kind == TRAFFIC_TRACE ? TRACE_BYTES : MEMORY_BYTES;
}

static void append(struct access_list *list, uint64_t gpa)
{
    if ((list->count & (list->count - 1)) == 0) {
        list->accesses = reallocarray(list->accesses, list->count ? 2 * list->count : 1, sizeof(*list->accesses));
        CHECK(list->accesses != NULL);
    }
    list->accesses[list->count++] = gpa;
}

static uint64_t made_up_page(enum traffic_kind kind, uint64_t i, struct random *random)
{
    switch (kind) {
    case TRAFFIC_RANDOM: return random_below(random, PAGES);
    case TRAFFIC_STRIDED: return i % BUFFERS * BUFFER_PAGES;
    default: return i;
    }
}

static void make_up(enum traffic_kind kind, struct access_list *list)
{
    const uint64_t count = kind == TRAFFIC_STRIDED ? BUFFERS * ROUNDS : PAGES;
    struct random random = random_seeded(SEED);

    for (uint64_t i = 0; i < count; i++) {
        append(list, MEMORY_GPA + (made_up_page(kind, i, &random) << SHIFT_4K) + OFFSET);
    }
}

static bool read_trace(struct access_list *list, char *message)
{
    const char *root = getenv("MAPPROOF_SOURCE_DIR");
    char path[BENCH_MESSAGE_BYTES / 2];
    struct import *import;
    struct import_op op;
    struct input *input;
    int result;

    snprintf(path, sizeof(path), "%s/%s", root ? root : MAPPROOF_SOURCE_DIR, TRACE_PATH);
    input = input_open(path, message, BENCH_MESSAGE_BYTES);
    if (!input) return false;
    if (input_kind(input) != INPUT_TRACE) {
        snprintf(message, BENCH_MESSAGE_BYTES, "%s: not a trace", path);
        input_close(input);
        return false;
    }
    import = import_new(input);
    CHECK(import != NULL);
    while ((result = import_next(import, &op)) == 1) {
        if (op.kind != IMPORT_MAP) continue;
        for (uint64_t offset = 0; offset < op.length; offset += bit(SHIFT_4K)) {
            append(list, op.target + offset + OFFSET);
        }
    }
    if (result < 0) snprintf(message, BENCH_MESSAGE_BYTES, "%s", import_message(import));
    if (result == 0 && import_totals(import)->target_end > TRACE_BYTES) {
        snprintf(message, BENCH_MESSAGE_BYTES, "%s: maps memory at 0x%" PRIx64 ", beyond 2 GiB", path,
                 import_totals(import)->target_end);
        result = -1;
    }
    import_free(import);
    input_close(input);
    return result == 0;
}

bool traffic_list(enum traffic_kind kind, const struct machine_plan *plan, struct access_list *list, char *message)
{
    /* Made once: Google Benchmark opens a case several times, and the trace takes 0.15 s to read. */
    static struct access_list made[TRAFFIC_KINDS];

    CHECK(kind < TRAFFIC_KINDS);
    if (made[kind].count == 0) {
        if (kind != TRAFFIC_TRACE) {
            make_up(kind, &made[kind]);
        } else if (!read_trace(&made[kind], message)) {
            traffic_free(&made[kind]);
            return false;
        }
    }
    list->count = made[kind].count;
    list->accesses = calloc(list->count, sizeof(*list->accesses));
    CHECK(list->accesses != NULL);
    for (uint64_t i = 0; i < list->count; i++) {
        const uint64_t gpa = made[kind].accesses[i];

        list->accesses[i] = gpa | (machine_is_shared(plan, gpa) ? ACCESS_SHARED : 0);
    }
    return true;
}

void traffic_free(struct access_list *list)
{
    free(list->accesses);
    *list = (struct access_list){ 0 };
}
