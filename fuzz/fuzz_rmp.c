/*
 * Does the RMP answer every sequence of its instructions as the ownership oracle does, and keep its rules?
 *
 * Input:  op records or a text script (fuzz.h). RMP ops run as they are. Ops on tables and devices stand for RMP ops on
 *         pages used before (as_rmp_op), so that the scripts' mutator, which knows nothing of this target, still draws
 *         sequences of instructions: evict puts a page in use or out of it, dirty_read is a guest at VMPL 1 or 2 that
 *         adjusts and validates, sync, completion_wait and fail_alloc are firmware's commands and holds, a resize is a
 *         2M page frozen, smashed, maybe spoilt, and unsmashed; what is left queries and reads.
 * Oracle: core/oracle/ownership: result of each instruction; after each, the entries at the page and at the edges of
 *         its 2M region as RMPQUERY, RMPREAD and a lookup show them. rmp_check, every assigned page and the sub-page
 *         counts of the regions touched: at the end of each input, and after every op of one input in 256, which has
 *         every page of those regions looked at in the end as well.
 * Limits: 256 ops. Nothing is kept between inputs but the counters below.
 */
#include "fuzz.h"
#include "fuzz_end.h"

#include "base/bits.h"
#include "base/fault.h"
#include "oracle/ownership.h"
#include "rmp/rmp_firmware.h"
#include "script/script.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const enum script_theme fuzz_theme = SCRIPT_ANY;

enum { CHECK_ALL_ONE_IN = 256, RECENT_PAGES = 8, REGIONS_MAX = 32, IN_USE_MAX = 4 };

struct recent_page {
    uint64_t hpa, gpa;
    bool is_large;
};

/* One input's run: what it has asked for so far. */
struct run {
    struct op ops[FUZZ_OPS_MAX];
    size_t count, at;
    struct recent_page recent[RECENT_PAGES];
    unsigned recent_count, recent_next;
    uint64_t regions[REGIONS_MAX]; /* 2M regions touched; more are looked at through the oracle's pages only */
    unsigned region_count;
    enum op_kind now; /* the instruction that is compared */
    uint64_t in_use[IN_USE_MAX];
    unsigned in_use_count;
};

static struct {
    uint64_t execs, ops, refused;
    uint64_t done[OP_KIND_LIMIT][2]; /* of each instruction: answered OK, refused */
} counters;

static struct rmp *rmp;
static struct ownership ownership;

static void print_counters(void)
{
    fprintf(stderr, "mapproof: execs=%" PRIu64 " ops=%" PRIu64 " findings=0\n", counters.execs, counters.ops);
    fprintf(stderr, "mapproof: ops_refused=%" PRIu64 "\n", counters.refused);
    for (unsigned kind = OP_RMPUPDATE; kind <= OP_RMP_HOLD; kind++)
        fprintf(stderr, "mapproof: %s ok=%" PRIu64 " refused=%" PRIu64 "\n", op_kind_name((enum op_kind)kind),
                counters.done[kind][0], counters.done[kind][1]);
}

__attribute__((format(printf, 2, 3))) static _Noreturn void differ(const struct run *run, const char *format, ...)
{
    size_t length;
    char *text = script_print_ops(run->ops, run->count, &length);
    va_list arguments;

    fprintf(stderr, "mapproof: difference at op %zu of %zu\n", run->at, run->count - 1);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nscript:\n%s", text);
    free(text);
    abort();
}

/* ---- which instruction an op is ---------------------------------------------------------------------------------- */

static const struct recent_page *recent_page(const struct run *run, uint64_t number)
{
    static const struct recent_page first = { 0 };

    return run->recent_count ? &run->recent[(number >> SHIFT_4K) % run->recent_count] : &first;
}

static void set_page(struct op *op, const struct recent_page *page)
{
    op_set(op, FIELD_HPA, page->hpa);
    if (op_has(op_kind_of(op), FIELD_GPA)) op_set(op, FIELD_GPA, page->gpa);
    if (op_has(op_kind_of(op), FIELD_SIZE)) op_set(op, FIELD_SIZE, page->is_large);
}

static struct op update_of_map(const struct op *map)
{
    const bool is_large = op_get(map, FIELD_LENGTH) >= bit(SHIFT_2M);
    struct op op = op_make(OP_RMPUPDATE);

    set_page(&op, &(struct recent_page){ op_get(map, FIELD_HPA), op_get(map, FIELD_INPUT), is_large });
    /* Rights that no RMP has: a page for firmware, or one that is about to be launched. */
    if (op_get(map, FIELD_PROT) & ~UINT64_C(3)) op_set(&op, FIELD_IMMUTABLE, 1);
    if (op_get(map, FIELD_PROT) & UINT64_C(0x10)) {
        op_set(&op, FIELD_ASID, 0);
        op_set(&op, FIELD_GPA, 0);
    }
    return op;
}

static struct op op_on_page(enum op_kind kind, uint64_t page)
{
    struct op op = op_make(kind);

    op_set(&op, FIELD_HPA, page);
    return op;
}

static struct op op_on_recent(const struct run *run, enum op_kind kind, uint64_t number)
{
    struct op op = op_make(kind);

    set_page(&op, recent_page(run, number));
    if (kind == OP_PVALIDATE) op_set(&op, FIELD_VALIDATE, !(number >> 3 & 1));
    if (kind == OP_RMPADJUST) {
        op_set(&op, FIELD_VMPL, 1 + (number >> SHIFT_4K) % 3);
        op_set(&op, FIELD_PERMS, number >> 13 & OWNER_ALL_RIGHTS);
    }
    if (kind == OP_SET_STATE) op_set(&op, FIELD_STATE, 1 + (number >> 20) % OWNER_GUEST_VALID);
    if (kind == OP_RMP_HOLD) {
        op_set(&op, FIELD_HOLD, number >> 10 & 1);
        op_set(&op, FIELD_HOLD_N, number >> 11 & 3);
    }
    if (kind != OP_RMPUPDATE) return op;
    op_set(&op, FIELD_ASSIGNED, 0);
    op_set(&op, FIELD_ASID, 0);
    return op;
}

/* For ops without an operand to draw from. */
static uint64_t number_of(const struct run *run)
{
    return (run->at + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 16;
}

/* RMP ops, dirty_read, evict, resize and the kinds that only look stay what they are. */
static struct op as_rmp_op(const struct run *run, const struct op *op)
{
    switch (op_kind_of(op)) {
    case OP_MAP: return update_of_map(op);
    case OP_UNMAP: return op_on_recent(run, OP_RMPUPDATE, op_get(op, FIELD_INPUT));
    case OP_CUT: return op_on_recent(run, OP_PSMASH, op_get(op, FIELD_AT));
    case OP_INV_PAGES: return op_on_recent(run, OP_RMPADJUST, op_get(op, FIELD_INPUT));
    case OP_DMA: return op_on_recent(run, OP_PVALIDATE, op_get(op, FIELD_INPUT));
    case OP_SYNC: return op_on_recent(run, OP_RECLAIM, number_of(run));
    case OP_COMPLETION_WAIT: return op_on_recent(run, OP_SET_STATE, number_of(run));
    case OP_FAIL_ALLOC: return op_on_recent(run, OP_RMP_HOLD, op_get(op, FIELD_COUNT_N) << 10);
    default: return *op;
    }
}

static void note_page(struct run *run, const struct op *op)
{
    const enum op_kind kind = op_kind_of(op);
    const uint64_t page = op_get(op, FIELD_HPA);
    const uint64_t region = align_down(page, SHIFT_2M);
    unsigned i = 0;

    while (i < run->region_count && run->regions[i] != region) i++;
    if (i == run->region_count && i < REGIONS_MAX) run->regions[run->region_count++] = region;
    if (kind != OP_RMPUPDATE || !op_get(op, FIELD_ASSIGNED)) return;
    run->recent[run->recent_next] = (struct recent_page){ page, op_get(op, FIELD_GPA), op_get(op, FIELD_SIZE) };
    run->recent_next = (run->recent_next + 1) % RECENT_PAGES;
    if (run->recent_count < RECENT_PAGES) run->recent_count++;
}

/* ---- what every reader must see ---------------------------------------------------------------------------------- */

static void compare_entry(const struct run *run, uint64_t address)
{
    const struct owner_page page = ownership_lookup(&ownership, address);
    struct rmp_entry entry;
    const bool covered = rmp_lookup(rmp, hpa(address), &entry);
    bool agree = covered == page.covered && entry.assigned == page.assigned && entry.immutable == page.immutable &&
                 (entry.size == RMP_2M) == page.is_large;

    for (unsigned i = 0; agree && page.assigned && i < OWNER_VMPLS; i++) agree = page.rights[i] == entry.perms[i];
    if (agree && page.assigned)
        agree = page.gpa == entry.gpa && page.asid == entry.asid && page.vmsa == entry.vmsa &&
                page.validated == entry.validated;
    if (agree) return;
    differ(run,
           "hpa 0x%" PRIx64 "\noracle: covered=%d assigned=%d large=%d asid=%u gpa=0x%" PRIx64 " immutable=%d vmsa=%d "
           "validated=%d rights=%x,%x,%x,%x\nrmp: covered=%d assigned=%d large=%d asid=%u gpa=0x%" PRIx64
           " immutable=%d vmsa=%d validated=%d rights=%x,%x,%x,%x",
           address, page.covered, page.assigned, page.is_large, page.asid, page.gpa, page.immutable, page.vmsa,
           page.validated, page.rights[0], page.rights[1], page.rights[2], page.rights[3], covered, entry.assigned,
           entry.size == RMP_2M, entry.asid, entry.gpa, entry.immutable, entry.vmsa, entry.validated, entry.perms[0],
           entry.perms[1], entry.perms[2], entry.perms[3]);
}

/* Assigned pages of the region without its first; 0 for a 2M page (R5). */
static unsigned expected_subpages(uint64_t region)
{
    struct sorted_place place;
    unsigned count = 0;

    for (bool more = sorted_find_from(&ownership.pages, region + 1, &place); more;
         more = sorted_next(&ownership.pages, &place)) {
        if (sorted_at(&ownership.pages, place)->key - region >= bit(SHIFT_2M)) break;
        count++;
    }
    return count;
}

/* RMPREAD shows the page's own entry: followers of a 2M page have assigned and nothing else. */
static void compare_read(const struct run *run, uint64_t address)
{
    const struct owner_page page = ownership_lookup(&ownership, address);
    const bool is_follower = page.is_large && !is_aligned(align_down(address, SHIFT_4K), SHIFT_2M);
    const bool is_locked =
        is_aligned(align_down(address, SHIFT_4K), SHIFT_2M) && ownership_is_locked(&ownership, address);
    const uint16_t asid = is_locked ? RMP_ASID_LOCKED : is_follower ? 0 : page.asid;
    struct rmp_state state;
    const enum rmp_result result = rmp_read(rmp, hpa(address), &state);

    if (result != (page.covered ? RMP_OK : RMP_FAIL_INPUT))
        differ(run, "rmpread of 0x%" PRIx64 ": %s", address, rmp_result_name(result));
    if (state.assigned == page.assigned && state.gpa == (is_follower ? 0 : page.gpa) && state.asid == asid &&
        state.immutable == (!is_follower && page.immutable) &&
        (state.size == RMP_2M) == (!is_follower && page.is_large))
        return;
    differ(run, "rmpread of 0x%" PRIx64 ": assigned=%d large=%d asid=%u gpa=0x%" PRIx64 " immutable=%d", address,
           state.assigned, state.size == RMP_2M, state.asid, state.gpa, state.immutable);
}

/* RMPQUERY of each VMPL by a guest with this asid that sees the page at `guest_address`. */
static void compare_query(const struct run *run, uint64_t address, uint64_t guest_address, uint16_t asid)
{
    const struct owner_page page = ownership_lookup(&ownership, address);
    const bool is_own = page.assigned && asid && page.asid == asid && !page.immutable &&
                        page.gpa == align_down(guest_address, SHIFT_4K);

    for (unsigned vmpl = 0; vmpl <= OWNER_VMPLS; vmpl++) {
        const struct rmp_guest_page guest = { .page = hpa(address), .gpa = gpa(guest_address), .asid = asid };
        const enum rmp_result expected = vmpl == OWNER_VMPLS ? RMP_FAIL_PERMISSION : is_own ? RMP_OK : RMP_NPF;
        uint8_t perms = 0;
        bool vmsa = false;
        enum rmp_page_size size = RMP_4K;
        const enum rmp_result result = rmp_query(rmp, &guest, vmpl, &perms, &vmsa, &size);

        if (result != expected)
            differ(run, "rmpquery of 0x%" PRIx64 " vmpl %u: expected %s, got %s", address, vmpl,
                   rmp_result_name(expected), rmp_result_name(result));
        if (result == RMP_OK && (perms != page.rights[vmpl] || vmsa != page.vmsa || (size == RMP_2M) != page.is_large))
            differ(run, "rmpquery of 0x%" PRIx64 " vmpl %u: rights %x, vmsa %d, size %d", address, vmpl, perms, vmsa,
                   size);
    }
}

static void check_around(const struct run *run, uint64_t address)
{
    const uint64_t region = align_down(address, SHIFT_2M);
    const struct owner_page page = ownership_lookup(&ownership, address);

    compare_entry(run, address);
    compare_entry(run, region);
    compare_entry(run, region + bit(SHIFT_2M) - 1);
    compare_read(run, address);
    compare_read(run, region);
    compare_query(run, address, page.gpa | (address & low_mask(SHIFT_4K)), page.asid);
}

static void on_violation(void *context, const struct rmp_violation *found)
{
    differ(context, "rmp_check: rule R%u at hpa 0x%" PRIx64 ": %s", found->rule, found->page.value, found->text);
}

/*
 * What the oracle assigns is looked at page by page (check_all); that the RMP assigns no more follows from the count,
 * which rmp_check holds against the entries (R5).
 */
static void check_region(const struct run *run, uint64_t region)
{
    struct rmp_entry head;
    struct rmp_state state;
    uint64_t where;
    unsigned subpages;

    if (!rmp_raw_entry(rmp, hpa(region), &head)) return;
    compare_entry(run, region);
    subpages = expected_subpages(region);
    rmp_read(rmp, hpa(region), &state);
    if (head.subpage_count != subpages || state.region_status != (subpages > 0))
        differ(run, "region 0x%" PRIx64 ": sub-page count %u, status %d; expected %u", region, head.subpage_count,
               state.region_status, subpages);
    if (rmp_region_is_shared(rmp, hpa(region)) == ownership_any(&ownership, region, bit(SHIFT_2M), &where))
        differ(run, "region 0x%" PRIx64 ": shared is wrong", region);
}

static void check_all(struct run *run)
{
    struct sorted_place place;

    for (bool more = sorted_first(&ownership.pages, &place); more; more = sorted_next(&ownership.pages, &place))
        compare_entry(run, sorted_at(&ownership.pages, place)->key);
    for (unsigned i = 0; i < run->region_count; i++) check_region(run, run->regions[i]);
    rmp_check(rmp, on_violation, run);
}

/* Every page, assigned or not: what check_all concludes, seen. */
static void check_every_page(const struct run *run)
{
    for (unsigned i = 0; i < run->region_count; i++) {
        for (unsigned page = 0; page < RMP_PAGES_PER_LARGE; page++) {
            compare_entry(run, run->regions[i] + ((uint64_t)page << SHIFT_4K));
            compare_read(run, run->regions[i] + ((uint64_t)page << SHIFT_4K));
        }
    }
}

/* ---- running ops ------------------------------------------------------------------------------------------------- */

static bool is_in_use(const struct run *run, uint64_t start, uint64_t length)
{
    for (unsigned i = 0; i < run->in_use_count; i++) {
        if (run->in_use[i] - start < length) return true;
    }
    return false;
}

static void toggle_in_use(struct run *run, uint64_t number)
{
    const uint64_t page = align_down(recent_page(run, number)->hpa, SHIFT_4K);
    unsigned i = 0;

    while (i < run->in_use_count && run->in_use[i] != page) i++;
    if (i < run->in_use_count) {
        run->in_use[i] = run->in_use[--run->in_use_count];
        rmp_set_in_use(rmp, hpa(page), false);
    } else if (i < IN_USE_MAX && rmp_set_in_use(rmp, hpa(page), true)) {
        /* One reason at a time: the oracle counts refusals by a hold and knows nothing of use. */
        rmp_hold(rmp, hpa(page), RMP_HOLD_INUSE, 0);
        ownership_hold(&ownership, page, false, 0);
        run->in_use[run->in_use_count++] = page;
    }
}

static void compare_result(struct run *run, int expected, enum rmp_result result)
{
    counters.refused += result != RMP_OK;
    counters.done[run->now][result != RMP_OK]++;
    if (expected == (int)result) return;
    differ(run, "expected %s, got %s", rmp_result_name((enum rmp_result)expected), rmp_result_name(result));
}

/* The oracle has no notion of use: a page in use is refused, after the operand and immutable pages, and stays. */
static void compare_refusal(struct run *run, enum rmp_result result)
{
    counters.refused++;
    counters.done[run->now][1]++;
    if (result == RMP_FAIL_INUSE || result == RMP_FAIL_INPUT || result == RMP_FAIL_PERMISSION) return;
    differ(run, "expected FAIL_INUSE, got %s", rmp_result_name(result));
}

static void do_rmpupdate(struct run *run, const struct op *op)
{
    const uint64_t page = op_get(op, FIELD_HPA);
    const bool is_large = op_get(op, FIELD_SIZE) == RMP_2M;
    const struct rmp_state state = { .gpa = op_get(op, FIELD_GPA),
                                     .asid = (uint32_t)op_get(op, FIELD_ASID),
                                     .assigned = op_get(op, FIELD_ASSIGNED),
                                     .immutable = op_get(op, FIELD_IMMUTABLE),
                                     .size = is_large ? RMP_2M : RMP_4K };
    const struct owner_state owner = { state.gpa, state.asid, state.assigned, state.immutable, is_large };
    const enum rmp_result result = rmp_update(rmp, hpa(page), &state);

    run->now = op_kind_of(op);
    if (is_in_use(run, align_down(page, is_large ? SHIFT_2M : SHIFT_4K), bit(is_large ? SHIFT_2M : SHIFT_4K)))
        compare_refusal(run, result);
    else
        compare_result(run, (int)ownership_update(&ownership, page, &owner), result);
}

static void do_psmash(struct run *run, const struct op *op)
{
    const uint64_t page = op_get(op, FIELD_HPA);
    const enum rmp_result result = rmp_psmash(rmp, hpa(page));

    run->now = op_kind_of(op);
    if (is_in_use(run, align_down(page, SHIFT_2M), bit(SHIFT_2M)))
        compare_refusal(run, result);
    else
        compare_result(run, (int)ownership_psmash(&ownership, page), result);
}

static void do_firmware_op(struct run *run, const struct op *op)
{
    const uint64_t page = op_get(op, FIELD_HPA);
    const bool is_large = op_has(op_kind_of(op), FIELD_SIZE) && op_get(op, FIELD_SIZE);
    const enum rmp_page_size size = is_large ? RMP_2M : RMP_4K;
    enum owner_result expected;

    run->now = op_kind_of(op);
    switch (op_kind_of(op)) {
    case OP_RECLAIM:
        expected = ownership_reclaim(&ownership, page, is_large);
        compare_result(run, (int)expected, rmp_reclaim(rmp, hpa(page), size));
        break;
    case OP_UNSMASH:
        expected = ownership_unsmash(&ownership, page);
        compare_result(run, (int)expected, rmp_unsmash(rmp, hpa(page)));
        break;
    default: {
        const unsigned to = (unsigned)op_get(op, FIELD_STATE);
        const uint64_t guest = op_get(op, FIELD_GPA);

        expected = ownership_set_name(&ownership, page, is_large, (enum owner_name)to, guest);
        compare_result(run, (int)expected, rmp_set_page_state(rmp, hpa(page), size, (enum rmp_page_state)to, guest));
        break;
    }
    }
}

static void do_hold(struct run *run, const struct op *op)
{
    const uint64_t page = op_get(op, FIELD_HPA);
    const bool is_region = op_get(op, FIELD_HOLD);
    const bool is_used = is_in_use(run, align_down(page, SHIFT_2M), bit(SHIFT_2M));
    const uint64_t n = is_used ? 0 : op_get(op, FIELD_HOLD_N);
    const bool is_done = rmp_hold(rmp, hpa(page), is_region ? RMP_HOLD_OVERLAP : RMP_HOLD_INUSE, n);

    run->now = op_kind_of(op);
    compare_result(run, ownership_hold(&ownership, page, is_region, n) ? 0 : 1, is_done ? RMP_OK : RMP_FAIL_INPUT);
}

static void do_guest_op(struct run *run, const struct op *op)
{
    const struct rmp_guest_page page = { .page = hpa(op_get(op, FIELD_HPA)),
                                         .gpa = gpa(op_get(op, FIELD_GPA)),
                                         .asid = (uint16_t)op_get(op, FIELD_ASID),
                                         .size = op_get(op, FIELD_SIZE) ? RMP_2M : RMP_4K };
    const struct owner_guest_page owner = { page.page.value, page.gpa.value, page.asid, page.size == RMP_2M };

    run->now = op_kind_of(op);
    compare_query(run, page.page.value, page.gpa.value, page.asid);
    if (op_kind_of(op) == OP_PVALIDATE) {
        const bool validate = op_get(op, FIELD_VALIDATE);
        const enum rmp_result result = rmp_pvalidate(rmp, &page, validate);

        compare_result(run, (int)ownership_validate(&ownership, &owner, validate), result);
    } else {
        const unsigned vmpl = (unsigned)op_get(op, FIELD_VMPL);
        const uint8_t perms = (uint8_t)op_get(op, FIELD_PERMS);
        const bool vmsa = op_get(op, FIELD_VMSA);
        const enum rmp_result result = rmp_adjust(rmp, &page, vmpl, perms, vmsa);

        compare_result(run, (int)ownership_adjust(&ownership, &owner, vmpl, perms, vmsa), result);
    }
}

/* RMPADJUST, then PVALIDATE, by a guest at VMPL 1 or 2 on its own page: may give what it has, to those below it. */
static void do_from_below(struct run *run, uint64_t number)
{
    const uint64_t address = recent_page(run, number)->hpa;
    const uint64_t drawn = number * UINT64_C(0x9e3779b97f4a7c15) >> 40;
    const unsigned caller = 1 + (drawn & 1);
    const unsigned vmpl = drawn >> 1 & 3;
    const uint8_t rights = drawn >> 3 & OWNER_ALL_RIGHTS;
    const struct owner_page page = ownership_lookup(&ownership, address);
    const struct rmp_guest_page guest = { .page = hpa(address),
                                          .gpa = gpa(page.gpa),
                                          .asid = page.asid,
                                          .size = page.is_large ? RMP_2M : RMP_4K,
                                          .vmpl = caller };
    const struct owner_guest_page owner = { address, page.gpa, page.asid, page.is_large };
    const bool is_misaligned = !is_aligned(page.gpa, page.is_large ? SHIFT_2M : SHIFT_4K);
    const enum rmp_result result = rmp_adjust(rmp, &guest, vmpl, rights, !page.vmsa);
    enum owner_result expected = OWNER_FAIL_PERMISSION;

    run->now = OP_RMPADJUST;
    if (is_misaligned)
        expected = OWNER_FAIL_INPUT;
    else if (vmpl > caller && (!page.assigned || !page.asid || page.immutable))
        expected = OWNER_NPF;
    else if (vmpl > caller && !(rights & ~page.rights[caller]))
        expected = ownership_adjust(&ownership, &owner, vmpl, rights, page.vmsa);
    compare_result(run, (int)expected, result);
    compare_result(run, is_misaligned ? OWNER_FAIL_INPUT : OWNER_FAIL_PERMISSION,
                   rmp_pvalidate(rmp, &guest, !page.validated));
}

/*
 * A 2M page that is frozen, smashed and unsmashed, as a launch would leave it: drawn op by op it never comes together.
 * Some of the time one of the 512 is spoilt in between: given back, at another guest address, or HV-fixed.
 */
static void do_freeze(struct run *run, uint64_t number)
{
    const uint64_t region = align_down(recent_page(run, number)->hpa, SHIFT_2M);
    const uint64_t drawn = number * UINT64_C(0x9e3779b97f4a7c15) >> 32;
    const uint64_t spoilt = region + (drawn & 1 ? 511 : drawn >> 8 & 511) * bit(SHIFT_4K);
    struct op large = op_on_page(OP_RMPUPDATE, region);
    struct op op = op_on_page(OP_PSMASH, region);

    op_set(&large, FIELD_GPA, region);
    op_set(&large, FIELD_SIZE, 1);
    op_set(&large, FIELD_IMMUTABLE, 1);
    do_rmpupdate(run, &large);
    do_psmash(run, &op);
    if (drawn >> 4 & 1) {
        op = op_on_page(OP_RECLAIM, spoilt);
        do_firmware_op(run, &op);
        op = op_on_page(OP_RMPUPDATE, spoilt);
        op_set(&op, FIELD_GPA, drawn >> 6 & 1 ? 0 : drawn >> 5 & 1 ? spoilt : 0x7000);
        op_set(&op, FIELD_ASID, !(drawn >> 6 & 1));
        op_set(&op, FIELD_IMMUTABLE, 1);
        do_rmpupdate(run, &op);
    }
    if (drawn >> 7 & 1) {
        op = op_on_page(OP_SET_STATE, spoilt);
        op_set(&op, FIELD_STATE, drawn >> 6 & 1 && !(drawn >> 12 & 7) ? OWNER_HV_FIXED : OWNER_PRE_SWAP);
        do_firmware_op(run, &op);
    }
    op = op_on_page(OP_UNSMASH, region);
    do_firmware_op(run, &op);
    do_rmpupdate(run, &large);
    note_page(run, &op);
}

static void do_op(struct run *run, const struct op *op)
{
    uint64_t page;

    switch (op_kind_of(op)) {
    case OP_RMPUPDATE: do_rmpupdate(run, op); break;
    case OP_PSMASH: do_psmash(run, op); break;
    case OP_PVALIDATE:
    case OP_RMPADJUST: do_guest_op(run, op); break;
    case OP_RECLAIM:
    case OP_UNSMASH:
    case OP_SET_STATE: do_firmware_op(run, op); break;
    case OP_RMP_HOLD: do_hold(run, op); break;
    case OP_RESIZE: do_freeze(run, op_get(op, FIELD_INPUT)); break;
    case OP_DIRTY_READ: do_from_below(run, op_get(op, FIELD_INPUT)); break;
    case OP_EVICT: toggle_in_use(run, op_get(op, FIELD_INPUT)); break;
    default: break;
    }
    page = op_has(op_kind_of(op), FIELD_HPA) ? op_get(op, FIELD_HPA) : recent_page(run, op->operand[0])->hpa;
    check_around(run, page);
    if (op_has(op_kind_of(op), FIELD_HPA)) note_page(run, op);
    counters.ops++;
}

/* Same ops, same answer: which inputs are looked at op by op. */
static bool checks_every_op(const struct run *run)
{
    uint64_t hash = run->count;

    for (size_t i = 0; i < run->count; i++) {
        hash = (hash ^ run->ops[i].head) * UINT64_C(0x9e3779b97f4a7c15);
        hash = (hash ^ hash >> 29 ^ run->ops[i].operand[1]) * UINT64_C(0x9e3779b97f4a7c15);
    }
    return (hash >> 40) % CHECK_ALL_ONE_IN == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run run;
    uint64_t covered;
    bool checks_often;

    memset(&run, 0, sizeof(run));
    run.count = fuzz_decode(data, size, run.ops);
    checks_often = checks_every_op(&run);
    covered = op_get(&run.ops[0], FIELD_MEMORY);
    if (!rmp) {
        rmp = rmp_new(covered);
        fuzz_end_begin(print_counters, fault_report);
    }
    counters.execs++;
    rmp_reset(rmp, covered);
    ownership_reset(&ownership, covered);
    ownership.keeps_page_size = op_get(&run.ops[0], FIELD_KEEP_PAGE_SIZE) || run.count % 4 == 3;
    rmp_set_switches(rmp, &(struct rmp_switches){ .keeps_page_size = ownership.keeps_page_size });
    for (run.at = 1; run.at < run.count; run.at++) {
        run.ops[run.at] = as_rmp_op(&run, &run.ops[run.at]);
        do_op(&run, &run.ops[run.at]);
        if (checks_often) check_all(&run);
    }
    check_all(&run);
    if (checks_often) check_every_page(&run);
    fuzz_end_if_asked();
    return 0;
}
