/*
 * Does the RMP answer every sequence of its instructions as the ownership oracle does, and keep its rules?
 *
 * Input:  op records or a text script (fuzz.h). RMP ops run as they are. Ops on tables and devices stand for RMP ops on
 *         pages used before (as_rmp_op), so that the scripts' mutator, which knows nothing of this target, still draws
 *         sequences of instructions: evict puts a page in use or out of it, dirty_read is a guest at VMPL 1 or 2 that
 *         adjusts and validates, what is left queries and reads.
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
#include "rmp/rmp.h"
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
    uint64_t in_use[IN_USE_MAX];
    unsigned in_use_count;
};

static struct {
    uint64_t execs, ops, refused;
} counters;

static struct rmp *rmp;
static struct ownership ownership;

static void print_counters(void)
{
    fprintf(stderr, "mapproof: execs=%" PRIu64 " ops=%" PRIu64 " findings=0\n", counters.execs, counters.ops);
    fprintf(stderr, "mapproof: ops_refused=%" PRIu64 "\n", counters.refused);
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
    if (kind != OP_RMPUPDATE) return op;
    op_set(&op, FIELD_ASSIGNED, 0);
    op_set(&op, FIELD_ASID, 0);
    return op;
}

/* RMP ops, dirty_read, evict and the kinds that only look stay what they are. */
static struct op as_rmp_op(const struct run *run, const struct op *op)
{
    switch (op_kind_of(op)) {
    case OP_MAP: return update_of_map(op);
    case OP_UNMAP: return op_on_recent(run, OP_RMPUPDATE, op_get(op, FIELD_INPUT));
    case OP_CUT: return op_on_recent(run, OP_PSMASH, op_get(op, FIELD_AT));
    case OP_INV_PAGES: return op_on_recent(run, OP_RMPADJUST, op_get(op, FIELD_INPUT));
    case OP_DMA: return op_on_recent(run, OP_PVALIDATE, op_get(op, FIELD_INPUT));
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
    bool agree = covered == page.covered && entry.assigned == page.assigned;

    for (unsigned i = 0; agree && page.assigned && i < OWNER_VMPLS; i++) agree = page.rights[i] == entry.perms[i];
    if (agree && page.assigned)
        agree = page.is_large == (entry.size == RMP_2M) && page.gpa == entry.gpa && page.asid == entry.asid &&
                page.immutable == entry.immutable && page.vmsa == entry.vmsa && page.validated == entry.validated;
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
    const bool is_shown = page.assigned && !is_follower;
    struct rmp_state state;
    const enum rmp_result result = rmp_read(rmp, hpa(address), &state);

    if (result != (page.covered ? RMP_OK : RMP_FAIL_INPUT))
        differ(run, "rmpread of 0x%" PRIx64 ": %s", address, rmp_result_name(result));
    if (state.assigned == page.assigned && state.gpa == (is_shown ? page.gpa : 0) &&
        state.asid == (is_shown ? page.asid : 0u) && state.immutable == (is_shown && page.immutable) &&
        (state.size == RMP_2M) == (is_shown && page.is_large))
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
        run->in_use[run->in_use_count++] = page;
    }
}

static void compare_result(struct run *run, int expected, enum rmp_result result)
{
    counters.refused += result != RMP_OK;
    if (expected == (int)result) return;
    differ(run, "expected %s, got %s", rmp_result_name((enum rmp_result)expected), rmp_result_name(result));
}

/* The oracle has no notion of use: a page in use is refused, after the operand and immutable pages, and stays. */
static void compare_refusal(struct run *run, enum rmp_result result)
{
    counters.refused++;
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

    if (is_in_use(run, align_down(page, is_large ? SHIFT_2M : SHIFT_4K), bit(is_large ? SHIFT_2M : SHIFT_4K)))
        compare_refusal(run, result);
    else
        compare_result(run, (int)ownership_update(&ownership, page, &owner), result);
}

static void do_psmash(struct run *run, const struct op *op)
{
    const uint64_t page = op_get(op, FIELD_HPA);
    const enum rmp_result result = rmp_psmash(rmp, hpa(page));

    if (is_in_use(run, align_down(page, SHIFT_2M), bit(SHIFT_2M)))
        compare_refusal(run, result);
    else
        compare_result(run, (int)ownership_psmash(&ownership, page), result);
}

static void do_guest_op(struct run *run, const struct op *op)
{
    const struct rmp_guest_page page = { .page = hpa(op_get(op, FIELD_HPA)),
                                         .gpa = gpa(op_get(op, FIELD_GPA)),
                                         .asid = (uint16_t)op_get(op, FIELD_ASID),
                                         .size = op_get(op, FIELD_SIZE) ? RMP_2M : RMP_4K };
    const struct owner_guest_page owner = { page.page.value, page.gpa.value, page.asid, page.size == RMP_2M };

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

static void do_op(struct run *run, const struct op *op)
{
    uint64_t page;

    switch (op_kind_of(op)) {
    case OP_RMPUPDATE: do_rmpupdate(run, op); break;
    case OP_PSMASH: do_psmash(run, op); break;
    case OP_PVALIDATE:
    case OP_RMPADJUST: do_guest_op(run, op); break;
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
