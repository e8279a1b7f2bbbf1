/*
 * One cell of the matrix that mapproof-explore prints: a host policy, a hardware variant, and what guest, memory and
 * device are like (design.md 6). A cell is a small machine as a script, and what may happen to it.
 *
 * The machine: one 2M region of guest 1, gpa 2M at hpa 4M, mapped in S2 with the largest leaves that the policy maps.
 * Page 1 of it is converted back and forth; page 256 is a bystander.
 *
 *   guest    4k       converts the page at any time, and keeps the device away from it meanwhile
 *            2m       converts the whole region, likewise
 *            hostile  as 4k, and the device goes on while the page is converted
 *   backing  2m       memory comes in pages of 2M: so does the RMP's entry at the beginning
 *            4k       pages of 4K, as from anywhere: S2 leaves are of 4K too
 *   device   t1       trusted, no S1; private pages are reached as private, the converted one also as shared
 *            t1-s1    trusted, behind an S1 leaf of 4K for each of the two pages
 *            t0       not trusted: page 3 was made shared before, and belongs to it (guest 2m: a page of a second
 * region that was always shared); the converted page while it is shared
 *
 * Not in the model: more than one region, conversion or device at a time, memory running out, a CPU's accesses.
 */
#pragma once

#include "world/explore.h"

enum explore_guest { EXPLORE_4K, EXPLORE_2M, EXPLORE_HOSTILE, EXPLORE_GUESTS };
enum explore_backing { EXPLORE_BACKING_2M, EXPLORE_BACKING_4K, EXPLORE_BACKINGS };
enum explore_device { EXPLORE_T1, EXPLORE_T1_S1, EXPLORE_T0, EXPLORE_DEVICES };

/* The disputed switches that a script can reach, as bits; the default is none of them. */
enum {
    EXPLORE_RECHECK_ON_HIT = 1,
    EXPLORE_INVALIDATE_ON_RMPUPDATE = 2,
    EXPLORE_CHECK_VALIDATED = 4,
    EXPLORE_SHARED_READ_UNCHECKED = 8,
    EXPLORE_DROP_WALK_CACHE = 16, /* an invalidation of leaves only drops cached upper levels too */
    EXPLORE_SWITCHES = 32,
};

struct explore_cell {
    const char *policy, *hardware;
    enum explore_guest guest;
    enum explore_backing backing;
    enum explore_device device;
    unsigned switches;
};

/* "4k", "2m", ...; NULL past the end. */
const char *explore_guest_name(unsigned guest);
const char *explore_backing_name(unsigned backing);
const char *explore_device_name(unsigned device);

/* What a cell's search found, as bits. */
enum {
    VERDICT_STALE = 1,
    VERDICT_LOSES_DMA = 2,
    VERDICT_EXPANDS = 4,
    VERDICT_HANGS = 8,
    VERDICT_LEAKS = 16,
    VERDICT_REFUSES = 32,
    VERDICT_STALLS = 64,
    VERDICT_COUNT = 7,
    VERDICT_UNSAFE = VERDICT_STALE | VERDICT_LOSES_DMA | VERDICT_EXPANDS | VERDICT_HANGS | VERDICT_LEAKS,
};

/* "STALE", "LOSES DMA", ... of bit number `bit`. */
const char *explore_verdict_name(unsigned bit);

enum { EXPLORE_MESSAGE_BYTES = 200 };

struct explore_verdict {
    unsigned found; /* VERDICT_* */
    struct explore_result result;
    char message[EXPLORE_MESSAGE_BYTES]; /* of an error */
};

/*
 * Search the cell, and do every script that it found again in a fresh world with all checks. 0; -EINVAL with a message
 * where the cell makes no machine; -EIO where a script does not show again what was found (a bug of mapproof).
 * Safe: `found` has no bit of VERDICT_UNSAFE and the result is closed.
 */
int explore_cell(struct explore *explore, const struct explore_cell *cell, const struct explore_plan *limits,
                 struct explore_verdict *verdict);

/* The shortest script behind bit number `bit` of the verdict, as text (malloc'd). Of the cell searched last. */
char *explore_cell_script(struct explore *explore, const struct explore_cell *cell,
                          const struct explore_verdict *verdict, unsigned bit);
