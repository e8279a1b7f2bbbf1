/* map_list and unmap ranges=yes: what they do, how they end, and that engines are found out which do them wrong. */
#include "world/world_liar.h"

#include "pt/engine.h"

#include <errno.h>

static void a_list_is_mapped_piece_behind_piece_and_handed_back(void **state)
{
    (void)state;
    play("world rmp=off\n"
         "map_list gpa=0x10000 hpa=0x80000 pieces=4 piece=4K stride=8K           -> ok\n"
         "dma iova=0x10008                                                       -> hpa=0x80008 fill=4K\n"
         "dma iova=0x13008                                                       -> hpa=0x86008 fill=4K\n"
         "unmap gpa=0x10000 length=16K ranges=yes                                -> bytes=0x4000 reports=4\n"
         "map_list gpa=0x10000 hpa=0x86000 pieces=4 piece=4K stride=8K order=down -> ok\n"
         "dma iova=0x13008                                                       -> hpa=0x80008 fill=4K\n"
         "map_list gpa=2M hpa=2M pieces=8 piece=256K stride=256K                 -> ok\n"
         "dma iova=0x212345                                                      -> hpa=0x212345 fill=2M\n"
         "cut at=0x201000                                                        -> ok\n"
         "unmap gpa=2M length=2M ranges=yes                                      -> bytes=0x200000 reports=1 freed=1\n"
         "unmap gpa=2M length=2M ranges=yes                                      -> bytes=0x0 reports=0\n");
}

static void a_list_ends_as_pt_h_says(void **state)
{
    (void)state;
    play("world\n"
         "map_list gpa=1M hpa=1M pieces=0 piece=4K stride=8K                     -> errno=EINVAL mapped=0x0\n"
         "map_list gpa=1M hpa=1M pieces=3 piece=4K stride=8K prot=noexec         -> errno=EINVAL mapped=0x0\n"
         "map_list gpa=1M hpa=1M pieces=3 piece=4K stride=8K last=empty          -> errno=EINVAL mapped=0x0\n"
         "map_list gpa=1M hpa=1M pieces=3 piece=4K stride=8K last=odd            -> errno=ENXIO mapped=0x0\n"
         "map_list gpa=1M hpa=1M pieces=3 piece=4K stride=8K last=ragged         -> errno=ENXIO mapped=0x0\n"
         "map_list gpa=1M hpa=1M pieces=3 piece=4K stride=8K last=beyond         -> errno=ERANGE mapped=0x0\n"
         "map_list gpa=1M hpa=1M pieces=3 piece=4K stride=8K last=endless        -> errno=ERANGE mapped=0x0\n"
         "map_list gpa=4M hpa=1M pieces=3 piece=4K stride=8K last=endless        -> errno=EOVERFLOW mapped=0x0\n"
         "map_list gpa=1M hpa=1M pieces=3 piece=0x1800 stride=8K                 -> errno=ENXIO mapped=0x0\n"
         "map_list gpa=1M hpa=1M pieces=2 piece=0x1000 stride=0 last=first       -> ok\n"
         "map_list gpa=0xfe000 hpa=8M pieces=9 piece=4K stride=8K                -> errno=EADDRINUSE mapped=0x2000\n"
         "fail_alloc n=0\n"
         "map_list gpa=0x1fe000 hpa=8M pieces=9 piece=4K stride=8K               -> errno=ENOMEM mapped=0x2000\n"
         "fail_alloc n=off\n"
         "unmap gpa=0xfe000 length=1G ranges=yes                                 -> bytes=0x4000 reports=4\n");
}

/* Half pages that continue each other are pages. The second run is asked only if the first passes. */
static void alignment_is_asked_of_runs_in_their_order(void **state)
{
    (void)state;
    play("world format=fake\n"
         "map_list iova=2M hpa=1M pieces=8 piece=0x2000 stride=8K                -> ok\n"
         "map_list iova=4M hpa=0x100400 pieces=2 piece=1K stride=0 last=beyond   -> errno=ENXIO mapped=0x0\n"
         "map_list iova=4M hpa=1M pieces=2 piece=2K stride=0 last=beyond         -> errno=ERANGE mapped=0x0\n");
    play("world format=x86_64 va_bits=48 sign_extend=yes\n"
         "map_list iova=0x7fffffffe000 hpa=1M pieces=3 piece=4K stride=8K last=odd -> errno=ENXIO mapped=0x0\n"
         "map_list iova=0x7fffffffe000 hpa=1M pieces=3 piece=4K stride=8K        -> errno=ERANGE mapped=0x0\n"
         "map_list iova=0x7fffffffe000 hpa=1M pieces=2 piece=4K stride=8K        -> ok\n");
}

static void what_a_list_maps_goes_stale_like_what_a_map_does(void **state)
{
    (void)state;
    play("world rmp=off\n"
         "map_list gpa=0x1000 hpa=0x5000 pieces=2 piece=4K stride=12K            -> ok\n"
         "dma iova=0x2080                                                        -> hpa=0x8080 fill=4K\n"
         "unmap gpa=0x1000 length=8K sync=no ranges=yes                          -> bytes=0x2000 reports=2\n"
         "dma iova=0x2080                                                        -> hpa=0x8080 hit=4K # STALE\n"
         "map_list gpa=0x1000 hpa=0x9000 pieces=2 piece=4K stride=12K            -> ok\n"
         "dma iova=0x2080                                                        -> hpa=0x8080 hit=4K # STALE\n"
         "sync                                                                   -> ok\n"
         "dma iova=0x2080                                                        -> hpa=0xc080 fill=4K\n");
    play("world\n"
         "rmpupdate hpa=0x400000 size=2M gpa=0x200000\n"
         "map_list gpa=2M hpa=0x400000 pieces=2 piece=1M stride=1M               -> ok\n"
         "dma iova=2M                                                            -> hpa=0x400000 fill=2M\n"
         "unmap gpa=2M length=2M ranges=yes                                      -> bytes=0x200000 reports=1\n"
         "map_list gpa=2M hpa=0x500000 pieces=2 piece=1M stride=1M order=down    -> ok\n"
         "dma iova=2M                                                            -> fault=rmp-gpa\n");
}

/* ---- engines that lie ---------------------------------------------------------------------------------------------
 */

static enum list_lie {
    LIST_CHECKS_LATE,
    LIST_CHECKS_LATE_AND_HIDES_IT,
    LIST_DOES_NOT_JOIN,
    LIST_FORGETS_THE_LAST,
    LIST_TAKES_TARGETS_BACKWARDS,
    LIST_RUNS_OUT_AT_WILL,
    LIST_COUNTS_THE_LAST_TWICE,
} list_lie;

static int map_list(struct pt *pt, iova_t start, const struct pt_list *list, unsigned prot, uint64_t *mapped)
{
    const size_t count = list_lie == LIST_FORGETS_THE_LAST ? list->count - 1 : list->count;
    uint64_t done = 0;
    int error = 0;

    *mapped = 0;
    if (list_lie == LIST_RUNS_OUT_AT_WILL) return -ENOMEM;
    for (size_t i = 0; i < count && !error; i++) {
        const size_t at = list_lie == LIST_TAKES_TARGETS_BACKWARDS ? count - 1 - i : i;

        error = honest->map_range(pt, iova(start.value + *mapped), list->pieces[at].target, list->pieces[i].length,
                                  prot, &done);
        *mapped += done;
    }
    if (list_lie == LIST_FORGETS_THE_LAST || list_lie == LIST_COUNTS_THE_LAST_TWICE)
        *mapped += list->pieces[count - 1].length;
    if (list_lie == LIST_CHECKS_LATE_AND_HIDES_IT && error) *mapped = 0;
    return error;
}

static void a_list_that_lies_is_noticed(void **state)
{
    static const struct {
        const char *line, *text;
    } cases[] = {
        [LIST_CHECKS_LATE] = { "map_list gpa=1M hpa=1M pieces=3 piece=4K stride=8K last=odd",
                               "map: expected -6 mapped=0x0, engine gave -6 mapped=0x2000" },
        [LIST_CHECKS_LATE_AND_HIDES_IT] = { "map_list gpa=1M hpa=1M pieces=3 piece=4K stride=8K last=odd",
                                            "the hardware walk finds something" },
        [LIST_DOES_NOT_JOIN] = { "map_list gpa=1M hpa=1M pieces=4 piece=4K stride=4K", "the hardware walk differs" },
        [LIST_FORGETS_THE_LAST] = { "map_list gpa=1M hpa=1M pieces=4 piece=4K stride=8K", "the hardware walk differs" },
        [LIST_TAKES_TARGETS_BACKWARDS] = { "map_list gpa=1M hpa=1M pieces=3 piece=4K stride=8K",
                                           "the hardware walk differs" },
        [LIST_RUNS_OUT_AT_WILL] = { "map_list gpa=1M hpa=1M pieces=3 piece=4K stride=8K", "engine gave -12" },
        [LIST_COUNTS_THE_LAST_TWICE] = { "map_list gpa=1M hpa=1M pieces=3 piece=4K stride=8K",
                                         "expected 0 mapped=0x3000, engine gave 0 mapped=0x4000" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world *world = world_of_liar();

        list_lie = (enum list_lie)i;
        liar.map_list = map_list;
        assert_true(apply(world, cases[i].line).is_difference);
        assert_differs(world, cases[i].text);
        world_free(world);
    }
}

/* Pages 0x1000 and 0x2000 lead to 0x5000 and 0x6000: one report. */
static enum report_lie {
    REPORT_IN_HALVES,
    REPORT_NOTHING,
    REPORT_THE_FIRST_PAGE_ONLY,
    REPORT_ANOTHER_TARGET,
    REPORT_FROM_BELOW,
    REPORT_TWICE,
    REPORT_BEFORE_IT_IS_GONE,
} report_lie;

static uint64_t unmap_ranges(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *gather,
                             const struct pt_receiver *receiver)
{
    uint64_t removed = 0;

    if (report_lie != REPORT_BEFORE_IT_IS_GONE) removed = honest->unmap_range(pt, start, length, gather);
    switch (report_lie) {
    case REPORT_IN_HALVES:
        receiver->report(receiver->context, start, hpa(0x5000), 0x1000);
        receiver->report(receiver->context, iova(start.value + 0x1000), hpa(0x6000), 0x1000);
        break;
    case REPORT_NOTHING: break;
    case REPORT_THE_FIRST_PAGE_ONLY: receiver->report(receiver->context, start, hpa(0x5000), 0x1000); break;
    case REPORT_ANOTHER_TARGET: receiver->report(receiver->context, start, hpa(0x6000), 0x2000); break;
    case REPORT_FROM_BELOW: receiver->report(receiver->context, iova(start.value - 0x1000), hpa(0x5000), 0x2000); break;
    case REPORT_TWICE: receiver->report(receiver->context, start, hpa(0x5000), 0x2000);
    /* fallthrough */
    case REPORT_BEFORE_IT_IS_GONE: receiver->report(receiver->context, start, hpa(0x5000), 0x2000); break;
    }
    return removed ? removed : honest->unmap_range(pt, start, length, gather);
}

static void reports_that_lie_are_noticed(void **state)
{
    static const char *const texts[] = {
        [REPORT_IN_HALVES] = "expected a report of 0x1000, 0x2000 to 0x5000, engine reports 0x1000, 0x1000 to 0x5000",
        [REPORT_NOTHING] = "0x2000 bytes of what was removed were not reported",
        [REPORT_THE_FIRST_PAGE_ONLY] = "expected a report of 0x1000, 0x2000 to 0x5000",
        [REPORT_ANOTHER_TARGET] = "engine reports 0x1000, 0x2000 to 0x6000",
        [REPORT_FROM_BELOW] = "engine reports 0x0, 0x2000",
        [REPORT_TWICE] = "expected a report of 0x3000, 0x0",
        [REPORT_BEFORE_IT_IS_GONE] = "what it reports is still mapped",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct world *world = world_of_liar();

        report_lie = (enum report_lie)i;
        liar.unmap_ranges = unmap_ranges;
        apply(world, "unmap gpa=0x1000 length=8K ranges=yes");
        assert_differs(world, texts[i]);
        world_free(world);
    }
}

static void an_engine_without_batches_has_none_asked_of_it(void **state)
{
    struct world *world = world_of_liar();

    (void)state;
    liar.map_list = NULL;
    liar.unmap_ranges = NULL;
    play_in(world, "map_list gpa=1M hpa=1M pieces=3 piece=4K stride=8K -> skipped\n"
                   "unmap gpa=0x1000 length=8K ranges=yes              -> bytes=0x2000\n");
    world_free(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_mapped_piece_behind_piece_and_handed_back),
        cmocka_unit_test(a_list_ends_as_pt_h_says),
        cmocka_unit_test(alignment_is_asked_of_runs_in_their_order),
        cmocka_unit_test(what_a_list_maps_goes_stale_like_what_a_map_does),
        cmocka_unit_test(a_list_that_lies_is_noticed),
        cmocka_unit_test(reports_that_lie_are_noticed),
        cmocka_unit_test(an_engine_without_batches_has_none_asked_of_it),
    };

    return TEST_MAIN(tests, argc, argv);
}
