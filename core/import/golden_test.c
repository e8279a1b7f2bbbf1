/* Does the golden reader notice what differs, and refuse what is malformed, at the right place? */
#include "import/golden.h"

#include "base/test_main.h"
#include "import/golden_line.h"
#include "pt/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN MAPPROOF_SOURCE_DIR "/corpus/golden/"

/* A whole case as the files have it. */
static const char good_case[] = "# title here\n"
                                "table fmt=x86_64 levels=4 va_bits=47 oa_bits=52 features=flush-range\n"
                                "page_sizes 0x40201000\n"
                                "table_pages 1\n"
                                "map iova=0x40000000 pa=0x12345000 len=0x1000 prot=rw -> ret=0 mapped=0x1000\n"
                                "table_pages 4\n"
                                "phys iova=0x40000123 -> 0x12345123\n"
                                "phys iova=0x40001000 -> 0x0\n"
                                "unmap iova=0x40000000 len=0x1000 -> bytes=0x1000 sync=0x40000000-0x40000fff freed=0\n"
                                "unmap iova=0x40000000 len=0x1000 -> bytes=0x0 nosync\n"
                                "map iova=0x40000000 pa=0x12345000 len=0x1000 prot=rw -> ret=0 mapped=0x1000\n"
                                "top_level 3\n"
                                "item level=3 va=0x0 table=0x0000000000000027\n"
                                "item level=2 va=0x40000000 table=0x0000000000000027\n"
                                "item level=1 va=0x40000000 table=0x0000000000000027\n"
                                "item level=0 va=0x40000000 leaf=0x0000000012345067\n"
                                "table_pages 4\n"
                                "end\n";

struct seen {
    unsigned differences, skips;
    uint64_t line, skipped;
    char name[64], golden[256], engine[256], format[32];
};

struct outcome {
    int result;
    struct golden_totals totals;
    struct seen seen;
    char path[64];
    char message[GOLDEN_MESSAGE_BYTES]; /* without the path */
};

static void on_difference(void *context, const struct golden_difference *difference)
{
    struct seen *seen = context;

    seen->differences++;
    seen->line = difference->line;
    snprintf(seen->name, sizeof(seen->name), "%s", difference->case_name);
    snprintf(seen->golden, sizeof(seen->golden), "%s", difference->golden);
    snprintf(seen->engine, sizeof(seen->engine), "%s", difference->engine);
}

static void on_skipped(void *context, const char *path, const char *format, uint64_t count)
{
    struct seen *seen = context;

    (void)path;
    seen->skips++;
    seen->skipped += count;
    snprintf(seen->format, sizeof(seen->format), "%s", format);
}

static struct outcome run_file(const char *path, const char *engine_name)
{
    struct outcome outcome = { 0 };
    struct golden_run run = {
        .engine = engine_name ? engine_find(engine_name) : NULL,
        .difference = on_difference,
        .skipped = on_skipped,
        .context = &outcome.seen,
    };
    const size_t length = strlen(path);

    outcome.result = golden_run_file(&run, path, &outcome.totals);
    snprintf(outcome.message, sizeof(outcome.message), "%s",
             strncmp(run.message, path, length) == 0 ? run.message + length : run.message);
    return outcome;
}

static struct outcome run_bytes(const void *bytes, size_t size)
{
    char path[] = "/tmp/golden_test.XXXXXX";
    const int file = mkstemp(path);
    struct outcome outcome;

    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, size), (ssize_t)size);
    close(file);
    outcome = run_file(path, NULL);
    unlink(path);
    return outcome;
}

/* The good case with the first `from` replaced by `to`. */
static struct outcome run_changed(const char *from, const char *to)
{
    const char *at = strstr(good_case, from);
    char text[sizeof(good_case) + 256];

    assert_non_null(at);
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good_case), good_case, to, at + strlen(from));
    return run_bytes(text, strlen(text));
}

static void assert_difference(const struct outcome *outcome, uint64_t line, const char *golden, const char *engine)
{
    assert_int_equal(outcome->result, 0);
    assert_int_equal(outcome->totals.failed, 1);
    assert_int_equal(outcome->seen.differences, 1);
    assert_int_equal(outcome->seen.line, line);
    assert_string_equal(outcome->seen.golden, golden);
    assert_string_equal(outcome->seen.engine, engine);
}

static void assert_refused(const struct outcome *outcome, const char *message)
{
    assert_int_equal(outcome->result, -EINVAL);
    assert_string_equal(outcome->message, message);
    assert_int_equal(outcome->totals.passed + outcome->totals.failed, 0);
}

static void a_case_that_agrees_passes(void **state)
{
    const struct outcome outcome = run_bytes(good_case, strlen(good_case));

    (void)state;
    assert_int_equal(outcome.result, 0);
    assert_int_equal(outcome.totals.passed, 1);
    assert_int_equal(outcome.seen.differences, 0);
}

static void one_flipped_digit_of_an_item_shows_both_readings(void **state)
{
    const struct outcome outcome = run_changed("leaf=0x0000000012345067", "leaf=0x0000000012345063");

    (void)state;
    assert_difference(&outcome, 16, "item level=0 va=0x40000000 leaf=0x0000000012345063",
                      "item level=0 va=0x40000000 leaf=0x0000000012345067");
    assert_string_equal(outcome.seen.name, "title here");
}

static void every_kind_of_line_is_compared(void **state)
{
    static const struct {
        const char *from, *to;
        uint64_t line;
    } changes[] = {
        { "page_sizes 0x40201000", "page_sizes 0x40201001", 3 },
        { "table_pages 1", "table_pages 2", 4 },
        { "ret=0 mapped=0x1000", "ret=-98 mapped=0x1000", 5 },
        { "ret=0 mapped=0x1000", "ret=0 mapped=0x2000", 5 },
        { "ret=0 mapped=0x1000", "ret=0 mapped=0x1000 sync=0x0-0xfff freed=0", 5 },
        { "-> 0x12345123", "-> 0x12345122", 7 },
        { "-> 0x0\n", "-> 0x1000\n", 8 },
        { "bytes=0x1000 sync", "bytes=0x2000 sync", 9 },
        { "sync=0x40000000-0x40000fff", "sync=0x40000000-0x40001fff", 9 },
        { "freed=0", "freed=1", 9 },
        { "sync=0x40000000-0x40000fff freed=0", "nosync", 9 },
        { "bytes=0x0 nosync", "bytes=0x0 sync=0x0-0xfff freed=0", 10 },
        { "top_level 3", "top_level 4", 12 },
        { "level=2 va=0x40000000", "level=2 va=0x80000000", 14 },
        { "table_pages 4\nend", "table_pages 3\nend", 17 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        const struct outcome outcome = run_changed(changes[i].from, changes[i].to);

        assert_int_equal(outcome.result, 0);
        assert_int_equal(outcome.totals.failed, 1);
        assert_int_equal(outcome.seen.line, changes[i].line);
    }
}

static void a_missing_item_and_one_too_many_are_differences(void **state)
{
    static const char last[] = "item level=0 va=0x40000000 leaf=0x0000000012345067\n";
    const struct outcome missing = run_changed(last, "");
    const struct outcome extra = run_changed(last, "item level=0 va=0x40000000 leaf=0x0000000012345067\n"
                                                   "item level=0 va=0x40001000 leaf=0x0000000012346067\n");

    (void)state;
    assert_difference(&missing, 17, "(no further item)", "item level=0 va=0x40000000 leaf=0x0000000012345067");
    assert_difference(&extra, 17, "item level=0 va=0x40001000 leaf=0x0000000012346067", "(no further item)");
}

static void a_table_that_cannot_be_made_is_a_difference(void **state)
{
    const struct outcome outcome = run_changed("va_bits=47", "va_bits=0");

    (void)state;
    assert_difference(&outcome, 2, "table fmt=x86_64 levels=4 va_bits=0 oa_bits=52 features=flush-range",
                      "table fmt=x86_64 levels=4 va_bits=0 oa_bits=52 features=flush-range -> ret=-22");
}

static void unmaps_of_the_base_set_are_compared_by_bytes_alone(void **state)
{
    static const char text[] = "# base\n"
                               "table fmt=x86_64 levels=4 va_bits=47 oa_bits=52 features=flush-range\n"
                               "page_sizes 0x40201000\n"
                               "map iova=0x40000000 pa=0x12345000 len=0x1000 prot=rw -> ret=0 mapped=0x1000\n"
                               "unmap iova=0x40000000 len=0x1000 -> bytes=0x1000\n"
                               "unmap iova=0x40000000 len=0x1000 -> bytes=0x0\n"
                               "end\n";
    const struct outcome outcome = run_bytes(text, strlen(text));

    (void)state;
    /* its only difference: the three tables that stay are not listed */
    assert_int_equal(outcome.seen.line, 7);
    assert_string_equal(outcome.seen.golden, "(no further item)");
}

static void tables_that_nobody_freed_are_a_difference(void **state)
{
    static const char text[] = "# a gather that never ends\n"
                               "table fmt=x86_64 levels=4 va_bits=47 oa_bits=52 features=flush-range\n"
                               "page_sizes 0x40201000\n"
                               "table_pages 1\n"
                               "map iova=0x40000000 pa=0x12345000 len=0x200000 prot=rw -> ret=0 mapped=0x200000\n"
                               "gather_begin\n"
                               "unmap iova=0x40000000 len=0x200000 -> bytes=0x200000\n"
                               "top_level 3\n"
                               "item level=3 va=0x0 table=0x0000000000000027\n"
                               "item level=2 va=0x40000000 table=0x0000000000000027\n"
                               "end\n";
    const struct outcome outcome = run_bytes(text, strlen(text));

    (void)state;
    assert_difference(&outcome, 11, "end", "end with 1 table pages in use after pt_deinit");
}

static void malformed_lines_are_refused_at_their_place(void **state)
{
    static const struct {
        const char *from, *to, *message;
    } changes[] = {
        { "prot=rw ->", "colour=red ->", ":5:46: unknown key colour" },
        { "prot=rw ->", "red ->", ":5:46: unexpected word red" },
        { "prot=rw ->", "prot=rx ->", ":5:51: expected none, r, w, rw, cache, noexec, mmio or priv" },
        { "iova=0x40000000 pa", "iova=0x4000000g pa",
          ":5:10: expected a hexadecimal number of at most 64 bits with 0x" },
        { "iova=0x40000000 pa", "iova=0x10000000000000000 pa",
          ":5:10: expected a hexadecimal number of at most 64 bits with 0x" },
        { "len=0x1000 prot", "prot", ":5:65: missing key len" },
        { "len=0x1000 prot", "len=0x1000 len=0x1 prot", ":5:46: a second len" },
        { "ret=0 mapped", "ret=zero mapped", ":5:61: expected a decimal number of at most 64 bits" },
        { " -> ret=0 mapped=0x1000", "", ":5:53: expected -> and a result" },
        { "features=flush-range", "features=flush-range,flush-rage", ":2:70: expected a feature name" },
        { "table_pages 1", "table_pages", ":4:12: missing value" },
        { "table_pages 1", "table_pegs 1", ":4:1: not a line of a golden file: table_pegs" },
        { "page_sizes 0x40201000\n", "", ":3:1: expected a page_sizes line after the table line" },
        { "# title here\n", "", ":1:1: expected a title line: # NAME" },
        { "top_level 3\n", "\n", ":12:1: an empty line inside a case" },
        { "top_level 3\n", "# next\n", ":12:1: a title inside a case; expected end" },
        { "\nend\n", "\n", ":17:1: the file ends inside a case; expected end" },
        { "sync=0x40000000-0x40000fff", "sync=0x40000000", ":9:55: expected a range 0xFIRST-0xLAST" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        const struct outcome outcome = run_changed(changes[i].from, changes[i].to);

        assert_refused(&outcome, changes[i].message);
    }
}

static void a_file_cut_off_in_its_xz_data_is_an_error(void **state)
{
    FILE *file = fopen(GOLDEN "x86_64-47.txt.xz", "rb");
    char bytes[4096];
    struct outcome outcome;

    (void)state;
    assert_non_null(file);
    assert_int_equal(fread(bytes, 1, sizeof(bytes), file), sizeof(bytes));
    fclose(file);
    outcome = run_bytes(bytes, sizeof(bytes));
    assert_int_equal(outcome.result, -EIO);
    assert_string_equal(outcome.message, ": the .xz data ends too early");

    memset(bytes + 2000, 0x55, 64);
    outcome = run_bytes(bytes, sizeof(bytes));
    assert_int_equal(outcome.result, -EIO);
}

static void a_missing_or_empty_file_is_an_error(void **state)
{
    const struct outcome missing = run_file("/nonexistent/golden.txt", NULL);
    const struct outcome empty = run_bytes("", 0);

    (void)state;
    assert_int_equal(missing.result, -EIO);
    assert_string_equal(missing.message, ": No such file or directory");
    assert_int_equal(empty.result, -EINVAL);
}

static void cases_of_formats_that_are_not_built_are_skipped_by_name(void **state)
{
    static const char text[] = "# short descriptors\n"
                               "table fmt=armv7 va_bits=32 oa_bits=40 features=none\n"
                               "page_sizes 0x1111000\n"
                               "top_level 1\n"
                               "end\n";
    static const char init[] = "init fmt=armv7 va_bits=32 oa_bits=40 features=none -> ret=0 top_level=1 "
                               "page_sizes=0x1111000 aperture=0x0-0xffffffff features=none\n"
                               "init fmt=armv7 va_bits=0 oa_bits=40 features=none -> ret=-22\n";
    const struct outcome short_format = run_bytes(text, strlen(text));
    const struct outcome short_init = run_bytes(init, strlen(init));

    (void)state;
    assert_int_equal(short_format.result, 0);
    assert_int_equal(short_format.totals.skipped, 1);
    assert_string_equal(short_format.seen.format, "armv7");
    assert_int_equal(short_init.result, 0);
    assert_int_equal(short_init.totals.skipped, 2);
    assert_int_equal(short_init.seen.skips, 1);
}

/* One row an Arm line: granule and stage choose the engine, every field of the answer is compared. */
static void an_arm_line_is_compared_in_every_field(void **state)
{
    static const char good[] = "init stage=2 granule=16K ias=48 oas=48 coherent=yes quirks=none -> ret=0 "
                               "page_sizes=0x2004000 ias=48 oas=48 top_level=2 top_table_bytes=32768 arm_start_level=1 "
                               "ps=5 tg=2 sh=3 orgn=1 irgn=1 sl0=2 tsz=16\n";
    static const char *const digits[] = { "page_sizes=0x2", "oas=48 top", "top_level=2", "bytes=3",
                                          "start_level=1",  "ps=5",       "tg=2",        "sh=3",
                                          "orgn=1",         "irgn=1",     "sl0=2",       "tsz=1" };
    static const char refused[] = "init stage=1 granule=4K ias=39 oas=40 coherent=yes quirks=outer-wbwa -> fail\n"
                                  "init stage=2 granule=64K ias=39 oas=40 coherent=yes quirks=hd -> fail\n"
                                  "init stage=1 granule=4K ias=39 oas=40 coherent=yes quirks=ns,bit9 -> fail\n";

    (void)state;
    assert_int_equal(run_bytes(good, strlen(good)).totals.passed, 1);
    assert_int_equal(run_bytes(refused, strlen(refused)).totals.passed, 3);
    for (size_t i = 0; i < sizeof(digits) / sizeof(digits[0]); i++) {
        char *bad = strdup(good);
        char *digit = strstr(strchr(bad, '>'), digits[i]) + strlen(digits[i]) - 1;

        if (*digit == 'p') digit = strstr(strchr(bad, '>'), "oas=4") + 4;
        *digit = *digit == '9' ? '8' : (char)(*digit + 1);
        assert_int_equal(run_bytes(bad, strlen(bad)).totals.failed, 1);
        free(bad);
    }
}

static void a_named_engine_runs_only_its_own_format(void **state)
{
    const struct outcome other = run_file(GOLDEN "x86_64-47.txt.xz", "amdv1");
    const struct outcome own = run_file(GOLDEN "x86_64-47.txt.xz", "x86_64");

    (void)state;
    assert_int_equal(other.totals.skipped, 12);
    assert_int_equal(own.totals.passed, 12);
}

static void init_lines_are_cases_and_debug_answers_are_left_out(void **state)
{
    static const char text[] =
        "# init matrix\n"
        "init fmt=amdv1 start_level=2 va_bits=32 oa_bits=52 features=dynamic-top,flush-range,encrypt-tables,"
        "force-coherence -> ret=-95 | debug ret=0 top_level=2\n"
        "init fmt=amdv1 start_level=1 va_bits=32 oa_bits=52 features=dynamic-top,flush-range,encrypt-tables,"
        "force-coherence driver_ops=none -> ret=0\n"
        "init fmt=x86_64 top_level=3 va_bits=47 oa_bits=52 features=bit7 -> ret=-95\n";
    const struct outcome outcome = run_bytes(text, strlen(text));

    (void)state;
    assert_int_equal(outcome.result, 0);
    assert_int_equal(outcome.totals.passed, 2);
    assert_int_equal(outcome.totals.failed, 1);
    assert_int_equal(outcome.seen.line, 3);
    assert_non_null(strstr(outcome.seen.engine, "-> ret=-22"));
}

static void lists_become_bits(void **state)
{
    uint32_t features;
    uint64_t sizes;
    unsigned prot;
    const char *bad;
    char text[256];

    (void)state;
    assert_true(golden_page_sizes("4K,2M,1G", &sizes, &bad));
    assert_int_equal(sizes, 0x40201000);
    assert_true(golden_page_sizes("0x10000", &sizes, &bad));
    assert_int_equal(sizes, 0x10000);
    assert_false(golden_page_sizes("3K", &sizes, &bad));
    assert_false(golden_page_sizes("4K,", &sizes, &bad));
    assert_true(golden_prot("rw,cache,noexec", &prot, &bad));
    assert_int_equal(prot, PT_READ | PT_WRITE | PT_CACHE | PT_NOEXEC);
    assert_true(golden_features("force-coherence,dynamic-top", &features, &bad));
    golden_print_features(features, text, sizeof(text));
    assert_string_equal(text, "dynamic-top,force-coherence");
    golden_print_features(0, text, sizeof(text));
    assert_string_equal(text, "none");
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_case_that_agrees_passes),
        cmocka_unit_test(one_flipped_digit_of_an_item_shows_both_readings),
        cmocka_unit_test(every_kind_of_line_is_compared),
        cmocka_unit_test(a_missing_item_and_one_too_many_are_differences),
        cmocka_unit_test(a_table_that_cannot_be_made_is_a_difference),
        cmocka_unit_test(unmaps_of_the_base_set_are_compared_by_bytes_alone),
        cmocka_unit_test(tables_that_nobody_freed_are_a_difference),
        cmocka_unit_test(malformed_lines_are_refused_at_their_place),
        cmocka_unit_test(a_file_cut_off_in_its_xz_data_is_an_error),
        cmocka_unit_test(a_missing_or_empty_file_is_an_error),
        cmocka_unit_test(cases_of_formats_that_are_not_built_are_skipped_by_name),
        cmocka_unit_test(an_arm_line_is_compared_in_every_field),
        cmocka_unit_test(a_named_engine_runs_only_its_own_format),
        cmocka_unit_test(init_lines_are_cases_and_debug_answers_are_left_out),
        cmocka_unit_test(lists_become_bits),
    };

    return TEST_MAIN(tests, argc, argv);
}
