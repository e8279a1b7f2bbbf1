/* Do traces and layouts become the ops their rule says, with every line accounted for? */
#include "import/import.h"

#include "base/random.h"
#include "base/test_main.h"
#include "import/live.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CORPUS MAPPROOF_SOURCE_DIR "/corpus/"

#define HEADER "# tracer: nop\n#\n"
#define MAP(iova, end, pa, size)                                                                                       \
    "   fio-55      [001] .....     6.094494: map: IOMMU: iova=" iova " - " end " paddr=" pa " size=" size "\n"
#define UNMAP(iova, end, size)                                                                                         \
    "   fio-55      [001] .....     6.094494: unmap: IOMMU: iova=" iova " - " end " size=" size " unmapped_size=" size \
    "\n"

enum { OPS_MAX = 16 };

struct result {
    struct import_op ops[OPS_MAX];
    unsigned count;
    int end; /* what the last import_next said */
    struct import_totals totals;
    enum input_kind kind;
    char message[INPUT_MESSAGE_BYTES]; /* without the path */
    const char *note;
};

static struct result import_text(const char *text)
{
    char path[] = "/tmp/import_test.XXXXXX";
    const int file = mkstemp(path);
    struct result result = { 0 };
    struct input *input;
    struct import *import;

    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
    input = input_open(path, result.message, sizeof(result.message));
    assert_non_null(input);
    result.kind = input_kind(input);
    import = import_new(input);
    assert_non_null(import);
    while (result.count < OPS_MAX && (result.end = import_next(import, &result.ops[result.count])) == 1) result.count++;
    result.totals = *import_totals(import);
    result.note = import_note(import, 0);
    if (result.end < 0) snprintf(result.message, sizeof(result.message), "%s", import_message(import) + strlen(path));
    import_free(import);
    input_close(input);
    unlink(path);
    return result;
}

static void assert_op(const struct import_op *op, enum import_op_kind kind, uint64_t input, uint64_t length)
{
    assert_int_equal(op->kind, kind);
    assert_int_equal(op->input, input);
    assert_int_equal(op->length, length);
}

/* Everything of a file: totals, and bytes live by the ops alone. */
static struct import_totals import_file(const char *path, uint64_t *live_bytes)
{
    char message[INPUT_MESSAGE_BYTES];
    struct input *input = input_open(path, message, sizeof(message));
    struct import_totals totals;
    struct import *import;
    struct import_op op;
    int got;

    assert_non_null(input);
    import = import_new(input);
    *live_bytes = 0;
    while ((got = import_next(import, &op)) == 1) {
        if (op.kind == IMPORT_MAP) *live_bytes += op.length;
        if (op.kind == IMPORT_UNMAP) *live_bytes -= op.length;
    }
    assert_int_equal(got, 0);
    totals = *import_totals(import);
    import_free(import);
    input_close(input);
    return totals;
}

static void the_real_trace_has_the_totals_its_makers_state(void **state)
{
    uint64_t live_bytes;
    const struct import_totals totals = import_file(CORPUS "traces/linux-6.12-vtd-nvme-e1000e.trace.xz", &live_bytes);

    (void)state;
    assert_int_equal(totals.maps_read, 127221);
    assert_int_equal(totals.unmaps_read, 62650);
    assert_int_equal(totals.skipped[SKIP_OVERLAP], 44);
    assert_int_equal(totals.skipped[SKIP_NOT_LIVE], 0);
    assert_int_equal(totals.partial_unmaps, 0);
    assert_int_equal(totals.cutting_unmaps, 3);
    assert_int_equal(totals.joined_unmaps, 9875);
    assert_int_equal(live_bytes, 259 * 4096);
    assert_int_equal(totals.lines, 189927);
    assert_int_equal(totals.skipped[SKIP_COMMENT], 12);
    assert_int_equal(totals.skipped[SKIP_AFTER_END], 44);
}

static void the_layouts_cover_their_guests_memory(void **state)
{
    uint64_t live_bytes;
    struct import_totals totals = import_file(CORPUS "layouts/pagemap-thp-4g.txt.xz", &live_bytes);

    (void)state;
    assert_int_equal(totals.maps_read, 148);
    assert_int_equal(live_bytes, UINT64_C(4) << 30);
    totals = import_file(CORPUS "layouts/pagemap-4k-4g.txt.xz", &live_bytes);
    assert_int_equal(totals.maps_read, 13476);
    assert_int_equal(live_bytes, UINT64_C(4) << 30);
    assert_int_equal(totals.skipped[SKIP_OVERLAP], 0);
}

static void a_map_over_a_live_one_is_skipped_and_counted(void **state)
{
    const struct result result =
        import_text(HEADER MAP("0x1000", "0x3000", "0x8000", "8192") MAP("0x2000", "0x3000", "0x9000", "4096")
                        UNMAP("0x1000", "0x3000", "8192") MAP("0x2000", "0x3000", "0x9000", "4096"));

    (void)state;
    assert_int_equal(result.end, 0);
    assert_int_equal(result.count, 3);
    assert_op(&result.ops[0], IMPORT_MAP, 0x1000, 0x2000);
    assert_int_equal(result.ops[0].target, 0x8000);
    assert_int_equal(result.ops[0].line, 3);
    assert_op(&result.ops[1], IMPORT_UNMAP, 0x1000, 0x2000);
    assert_op(&result.ops[2], IMPORT_MAP, 0x2000, 0x1000);
    assert_int_equal(result.totals.skipped[SKIP_OVERLAP], 1);
    assert_int_equal(result.totals.target_end, 0xa000);
}

static void an_unmap_over_several_maps_is_one_op(void **state)
{
    const struct result result = import_text(HEADER MAP("0x1000", "0x2000", "0x8000", "4096") MAP(
        "0x2000", "0x4000", "0x20000", "8192") UNMAP("0x1000", "0x4000", "12288"));

    (void)state;
    assert_int_equal(result.count, 3);
    assert_op(&result.ops[2], IMPORT_UNMAP, 0x1000, 0x3000);
    assert_int_equal(result.totals.joined_unmaps, 1);
    assert_int_equal(result.totals.partial_unmaps, 0);
    assert_int_equal(result.totals.live_ranges, 0);
}

static void an_unmap_across_a_hole_becomes_one_op_a_run(void **state)
{
    const struct result result = import_text(HEADER MAP("0x1000", "0x2000", "0x8000", "4096") MAP(
        "0x3000", "0x4000", "0x20000", "4096") UNMAP("0x1000", "0x5000", "16384") UNMAP("0x1000", "0x5000", "16384"));

    (void)state;
    assert_int_equal(result.count, 4);
    assert_op(&result.ops[2], IMPORT_UNMAP, 0x1000, 0x1000);
    assert_op(&result.ops[3], IMPORT_UNMAP, 0x3000, 0x1000);
    assert_int_equal(result.totals.partial_unmaps, 1);
    assert_int_equal(result.totals.skipped[SKIP_NOT_LIVE], 1);
}

static void an_unmap_inside_a_map_cuts_at_both_edges_first(void **state)
{
    const struct result result = import_text(HEADER MAP("0x0", "0x10000", "0x40000", "65536")
                                                 UNMAP("0x4000", "0x6000", "8192") UNMAP("0x0", "0x10000", "65536"));

    (void)state;
    assert_int_equal(result.count, 6);
    assert_op(&result.ops[1], IMPORT_CUT, 0x4000, 0);
    assert_op(&result.ops[2], IMPORT_CUT, 0x6000, 0);
    assert_op(&result.ops[3], IMPORT_UNMAP, 0x4000, 0x2000);
    assert_op(&result.ops[4], IMPORT_UNMAP, 0x0, 0x4000);
    assert_op(&result.ops[5], IMPORT_UNMAP, 0x6000, 0xa000);
    assert_int_equal(result.totals.cutting_unmaps, 1);
}

static void every_other_line_is_counted_by_reason(void **state)
{
    const struct result result =
        import_text(HEADER "\n"
                           "CPU:1 [LOST 42 EVENTS]\n"
                           "   fio-55  [001] .....  6.094494: io_page_fault: IOMMU:a b iova=0x0 flags=0x0\n"
                           "   a map: b-9 [001] .....  6.094494: attach_device_to_domain: IOMMU: device=x\n" MAP(
                               "0x1000", "0x2000", "0x8000", "4096") "what is this\nTRACE-END\n"
                                                                     "map: IOMMU: after the end is no event\n");

    (void)state;
    assert_int_equal(result.end, 0);
    assert_int_equal(result.count, 1);
    assert_int_equal(result.totals.skipped[SKIP_COMMENT], 3);
    assert_int_equal(result.totals.skipped[SKIP_OTHER_EVENT], 2);
    assert_int_equal(result.totals.skipped[SKIP_OTHER_LINE], 2);
    assert_int_equal(result.totals.skipped[SKIP_AFTER_END], 2);
    assert_int_equal(result.totals.events_lost, 42);
    assert_non_null(strstr(result.note, "lost events"));
}

static void a_malformed_event_stops_at_its_place(void **state)
{
    static const struct {
        const char *line, *message;
    } lines[] = {
        { " a-1 [000] ..... 1.000000: map: IOMMU: iova=0x1000 - 0x2000 paddr=0x80zz size=4096\n",
          ":4:67: expected an address, 0x and at most 16 hexadecimal digits" },
        { " a-1 [000] ..... 1.000000: map: IOMMU: iova=0x1000 - 0x2000 paddr=0x8000\n", ":4:73: expected size=" },
        { " a-1 [000] ..... 1.000000: map: IOMMU: iova=0x1000 - 0x2000 paddr=0x8000 size=8192\n",
          ":4:79: expected a size that is the distance of the two addresses, not 0" },
        { " a-1 [000] ..... 1.000000: map: IOMMU: iova=0x1000 - 0x1fff paddr=0x8000 size=4096\n",
          ":4:79: expected a size that is the distance of the two addresses, not 0" },
        { " a-1 [000] ..... 1.000000: map: IOMMU: iova=0x1000 - 0x1000 paddr=0x8000 size=0\n",
          ":4:79: expected a size that is the distance of the two addresses, not 0" },
        { " a-1 [000] ..... 1.000000: map: IOMMU: iova=0x11111111111111111 - 0x2000 paddr=0x8000 size=0\n",
          ":4:45: expected an address, 0x and at most 16 hexadecimal digits" },
        { " a-1 [000] ..... 1.000000: unmap: IOMMU: iova=0x1000 - 0x2000 size=4096 more\n",
          ":4:73: expected unmapped_size=" },
        { " a-1 [000] ..... 1.000000: unmap: IOMM", ":4:35: expected IOMMU:" },
        { " a-1 [000] ..... 1.000000: map: IOMMU: iova=0x1000 - 0x2000 paddr=0x8000 size=4096 x\n",
          ":4:84: expected the end of the line" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char text[512];
        struct result result;

        snprintf(text, sizeof(text), "%s%s", HEADER MAP("0x1000", "0x2000", "0x8000", "4096"), lines[i].line);
        result = import_text(text);
        assert_int_equal(result.end, -1);
        assert_int_equal(result.count, 1);
        assert_int_equal(result.totals.maps_read, 1);
        assert_string_equal(result.message, lines[i].message);
    }
}

static void a_trace_of_unmaps_alone_names_the_cause(void **state)
{
    const struct result result = import_text(HEADER UNMAP("0x1000", "0x2000", "4096"));

    (void)state;
    assert_int_equal(result.end, 0);
    assert_int_equal(result.count, 0);
    assert_non_null(strstr(result.note, "kernels from 7.1 on"));
}

static void other_tools_print_events_with_their_system(void **state)
{
    const struct result result = import_text(
        "fio 55 [001] 6.094494: iommu:map: IOMMU: iova=0x1000 - 0x2000 paddr=0x8000 size=4096\n"
        "fio-55 [001] 6.094494: unmap:                IOMMU: iova=0x1000 - 0x2000 size=4096 unmapped_size=4096\n");

    (void)state;
    assert_int_equal(result.kind, INPUT_TRACE);
    assert_int_equal(result.count, 2);
}

static void the_last_byte_of_64_bits_has_a_place(void **state)
{
    const struct result result = import_text(HEADER MAP("0xfffffffffffff000", "0x0", "0x8000", "4096") MAP(
        "0xfffffffffffff000", "0x0", "0x9000", "4096") UNMAP("0xfffffffffffff000", "0x0", "4096"));

    (void)state;
    assert_int_equal(result.end, 0);
    assert_int_equal(result.count, 2);
    assert_op(&result.ops[1], IMPORT_UNMAP, UINT64_C(0xfffffffffffff000), 0x1000);
    assert_int_equal(result.totals.skipped[SKIP_OVERLAP], 1);
}

static void layout_lines_are_checked_like_events(void **state)
{
    const struct result good = import_text("# a comment\ngpa=0x0 hpa=0x200000 size=0x1000\n");
    const struct result key = import_text("gpa=0x0 hpa=0x200000 size=0x1000\ngpa=0x1000 pfn=0x1 size=0x1000\n");
    const struct result zero = import_text("gpa=0x0 hpa=0x200000 size=0x0\n");
    const struct result wraps = import_text("gpa=0xfffffffffffff000 hpa=0x200000 size=0x2000\n");

    (void)state;
    assert_int_equal(good.kind, INPUT_LAYOUT);
    assert_int_equal(good.count, 1);
    assert_op(&good.ops[0], IMPORT_MAP, 0, 0x1000);
    assert_int_equal(key.end, -1);
    assert_string_equal(key.message, ":2:12: expected hpa=");
    assert_string_equal(zero.message, ":1:27: expected a size, not 0, that ends within 64 bits");
    assert_int_equal(wraps.end, -1);
}

/* ---- the live set, against one byte a page ---------------------------------------------------------------------- */

enum { PAGES = 4096 };

/* Owner of each page, 0 = none; adjacent ranges have different owners. */
static void check_live(const struct live *live, const uint32_t *owner, uint64_t page)
{
    struct live_range range;
    const bool is_found = live_find(live, page, page, &range);
    uint64_t first = page;
    uint64_t last = page;

    assert_int_equal(is_found, owner[page] != 0);
    if (!is_found) return;
    while (first > 0 && owner[first - 1] == owner[page]) first--;
    while (last + 1 < PAGES && owner[last + 1] == owner[page]) last++;
    assert_int_equal(range.first, first);
    assert_int_equal(range.last, last);
}

static void mark(uint32_t *owner, uint64_t first, uint64_t last, uint32_t who)
{
    for (uint64_t page = first; page <= last; page++) owner[page] = who;
}

static void the_live_set_agrees_with_a_flat_model(void **state)
{
    static uint32_t owner[PAGES];
    struct random random = random_seeded(7);
    struct live live = { 0 };
    struct live_range range;
    uint32_t next_owner = 1;

    (void)state;
    for (unsigned step = 0; step < 20000; step++) {
        const uint64_t first = random_below(&random, PAGES);
        const uint64_t last = first + random_below(&random, 3);
        const uint64_t end = last < PAGES ? last : PAGES - 1;

        if (live_find(&live, first, end, &range)) {
            const uint64_t from = range.first > first ? range.first : first;
            const uint64_t to = range.last < end ? range.last : end;

            assert_true(live_remove(&live, from, to));
            mark(owner, from, to, 0);
            /* the upper part, if any, is a range of its own */
            if (range.last > to) mark(owner, to + 1, range.last, next_owner++);
        } else if (random_below(&random, 4) != 0) {
            assert_true(live_add(&live, (struct live_range){ first, end }));
            mark(owner, first, end, next_owner++);
        }
        check_live(&live, owner, first);
    }
    for (uint64_t page = 0; page < PAGES; page++) check_live(&live, owner, page);
    assert_true(live.count > 4);
    for (uint64_t page = 0; page < PAGES; page++) {
        if (owner[page]) assert_true(live_remove(&live, page, page));
        mark(owner, page, page, 0);
        check_live(&live, owner, PAGES - 1);
    }
    assert_int_equal(live.count, 0);
    assert_int_equal(live.ranges, 0);
    assert_true(live_add(&live, (struct live_range){ 5, 6 }));
    live_free(&live);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_real_trace_has_the_totals_its_makers_state),
        cmocka_unit_test(the_layouts_cover_their_guests_memory),
        cmocka_unit_test(a_map_over_a_live_one_is_skipped_and_counted),
        cmocka_unit_test(an_unmap_over_several_maps_is_one_op),
        cmocka_unit_test(an_unmap_across_a_hole_becomes_one_op_a_run),
        cmocka_unit_test(an_unmap_inside_a_map_cuts_at_both_edges_first),
        cmocka_unit_test(every_other_line_is_counted_by_reason),
        cmocka_unit_test(a_malformed_event_stops_at_its_place),
        cmocka_unit_test(a_trace_of_unmaps_alone_names_the_cause),
        cmocka_unit_test(other_tools_print_events_with_their_system),
        cmocka_unit_test(the_last_byte_of_64_bits_has_a_place),
        cmocka_unit_test(layout_lines_are_checked_like_events),
        cmocka_unit_test(the_live_set_agrees_with_a_flat_model),
    };

    return TEST_MAIN(tests, argc, argv);
}
