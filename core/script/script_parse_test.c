#include "base/test_main.h"
#include "script/op_table.h"
#include "script/script.h"

#include <stdlib.h>
#include <string.h>

/* The script of design.md 3. */
static const char sample[] =
    "world           format=amdv1 hw=amd policy=script memory=8M\n"
    "rmpupdate       hpa=0x400000 size=2M asid=1 gpa=0x200000          -> ok\n"
    "pvalidate       hpa=0x400000 asid=1 gpa=0x200000 size=2M          -> ok\n"
    "map             gpa=0x200000 hpa=0x400000 length=2M prot=rw       -> ok\n"
    "dma             iova=0x201000 access=write                        -> hpa=0x401000 fill=2M\n"
    "resize          gpa=0x200000 length=2M max=4K                     -> ok\n"
    "dma             iova=0x300000 access=write                        -> hpa=0x500000 hit=2M    # old entry, still "
    "right: not stale\n"
    "inv_pages       gpa=0x200000 length=2M                            -> ok\n"
    "completion_wait                                                   -> ok\n"
    "dma             iova=0x300000 access=write                        -> fault=rmp-size         # LOSES DMA: nobody "
    "converts this page\n"
    "psmash          hpa=0x400000                                      -> ok\n"
    "dma             iova=0x300000 access=write                        -> hpa=0x500000 fill=4K\n";

static struct script parse_ok(const char *text)
{
    struct script script;
    struct script_error error;

    if (!script_parse(text, strlen(text), &script, &error)) {
        fail_msg("%u:%u: %s", error.line, error.column, error.message);
    }
    return script;
}

static void sample_of_the_design_parses_as_it_is(void **state)
{
    struct script script = parse_ok(sample);

    (void)state;
    assert_int_equal(script.count, 12);
    assert_true(script.has_world);
    assert_int_equal(op_get(&script.ops[0], FIELD_MEMORY), 8 << 20);
    assert_int_equal(op_kind_of(&script.ops[1]), OP_RMPUPDATE);
    assert_int_equal(op_get(&script.ops[1], FIELD_SIZE), 1);
    assert_int_equal(op_get(&script.ops[1], FIELD_ASID), 1);
    assert_int_equal(op_get(&script.ops[1], FIELD_GPA), 0x200000);
    assert_int_equal(op_get(&script.ops[3], FIELD_INPUT), 0x200000);
    assert_int_equal(op_get(&script.ops[3], FIELD_HPA), 0x400000);
    assert_int_equal(op_get(&script.ops[3], FIELD_LENGTH), 2 << 20);
    assert_int_equal(op_get(&script.ops[3], FIELD_PROT), 3);
    assert_int_equal(op_get(&script.ops[4], FIELD_ACCESS), 1);
    assert_int_equal(op_get(&script.ops[4], FIELD_DEVICE), 0);
    assert_int_equal(op_get(&script.ops[5], FIELD_INPUT), 0x200000);
    assert_int_equal(op_get(&script.ops[5], FIELD_MAX), 12);
    assert_int_equal(op_get(&script.ops[7], FIELD_NOW), 0);
    assert_string_equal(script.notes[6].expectation, "hpa=0x500000 hit=2M");
    assert_string_equal(script.notes[6].comment, "old entry, still right: not stale");
    assert_int_equal(script.notes[6].line, 7);
    assert_null(script.notes[0].expectation);
    script_free(&script);
}

static void printing_the_sample_gives_it_back(void **state)
{
    struct script script = parse_ok(sample);
    size_t length;
    char *text = script_print(&script, &length);

    (void)state;
    assert_int_equal(length, strlen(text));
    assert_string_equal(text, "world           format=amdv1\n"
                              "rmpupdate       hpa=0x400000 size=2M gpa=0x200000   -> ok\n"
                              "pvalidate       hpa=0x400000 gpa=0x200000 size=2M   -> ok\n"
                              "map             gpa=0x200000 hpa=0x400000 length=2M -> ok\n"
                              "dma             iova=0x201000 access=write          -> hpa=0x401000 fill=2M\n"
                              "resize          gpa=0x200000 length=2M max=4K       -> ok\n"
                              "dma             iova=0x300000 access=write          -> hpa=0x500000 hit=2M  # old "
                              "entry, still right: not stale\n"
                              "inv_pages       gpa=0x200000 length=2M              -> ok\n"
                              "completion_wait                                     -> ok\n"
                              "dma             iova=0x300000 access=write          -> fault=rmp-size       # LOSES "
                              "DMA: nobody converts this page\n"
                              "psmash          hpa=0x400000                        -> ok\n"
                              "dma             iova=0x300000 access=write          -> hpa=0x500000 fill=4K\n");
    free(text);
    script_free(&script);
}

static void printing_keeps_comments_blank_lines_and_outcomes(void **state)
{
    static const char text[] = "# what this is about\n"
                               "\n"
                               "world format=x86_64 va_bits=48\n"
                               "# then\n"
                               "map   iova=0x1000 hpa=0x2000 length=4K -> ok # one page\n"
                               "sync  #\n"
                               "\n"
                               "# the end\n";
    struct script script = parse_ok(text);
    size_t length;
    char *once = script_print(&script, &length);
    struct script again = parse_ok(once);
    char *twice = script_print(&again, &length);

    (void)state;
    assert_string_equal(once, "# what this is about\n"
                              "\n"
                              "world format=x86_64 va_bits=48\n"
                              "# then\n"
                              "map   iova=0x1000 hpa=0x2000 length=4K -> ok  # one page\n"
                              "sync                                          #\n"
                              "\n"
                              "# the end\n");
    assert_string_equal(once, twice);
    free(once);
    free(twice);
    script_free(&script);
    script_free(&again);
}

static void a_script_without_world_gets_the_default_one(void **state)
{
    struct script script = parse_ok("map gpa=0 hpa=0 length=4K\r\n\t # indented comment\r\nsync");
    struct script empty = parse_ok("");
    const struct op world = op_make(OP_WORLD);
    size_t length;
    char *text = script_print(&script, &length);

    (void)state;
    assert_int_equal(script.count, 3);
    assert_false(script.has_world);
    assert_memory_equal(&script.ops[0], &world, sizeof(world));
    assert_int_equal(script.notes[0].line, 0);
    assert_int_equal(script.notes[1].line, 1);
    assert_int_equal(script.notes[2].line, 3);
    assert_string_equal(text, "map  gpa=0x0 hpa=0x0 length=4K\n\t # indented comment\nsync\n");
    assert_int_equal(empty.count, 1);
    assert_memory_equal(&empty.ops[0], &world, sizeof(world));
    free(text);
    script_free(&script);
    script_free(&empty);
}

static void sizes_are_read_as_units_hex_and_decimal(void **state)
{
    struct script script = parse_ok("map gpa=2M hpa=0x200000 length=2097152\nmap gpa=1G hpa=1T length=3P prot=r,priv\n"
                                    "map gpa=18446744073709551615 hpa=0XfF length=0 prot=none\nfail_alloc n=off\n");

    (void)state;
    assert_int_equal(op_get(&script.ops[1], FIELD_INPUT), op_get(&script.ops[1], FIELD_LENGTH));
    assert_int_equal(op_get(&script.ops[1], FIELD_INPUT), op_get(&script.ops[1], FIELD_HPA));
    assert_int_equal(op_get(&script.ops[2], FIELD_INPUT), 1 << 30);
    assert_int_equal(op_get(&script.ops[2], FIELD_HPA), UINT64_C(1) << 40);
    assert_int_equal(op_get(&script.ops[2], FIELD_LENGTH), UINT64_C(3) << 50);
    assert_int_equal(op_get(&script.ops[2], FIELD_PROT), 33);
    assert_int_equal(op_get(&script.ops[3], FIELD_INPUT), UINT64_MAX);
    assert_int_equal(op_get(&script.ops[3], FIELD_HPA), 255);
    assert_int_equal(op_get(&script.ops[3], FIELD_PROT), 0);
    assert_int_equal(op_get(&script.ops[4], FIELD_COUNT_N), UINT64_MAX);
    script_free(&script);
}

static void a_world_of_one_stage_takes_either_name_of_the_input_address(void **state)
{
    struct script script =
        parse_ok("world format=x86_64\nmap gpa=0x1000 hpa=0 length=4K\nmap iova=0x2000 hpa=0 length=4K\n"
                 "unmap iova=0x1000 length=4K\ninv_pages gpa=0x1000 length=4K\n");

    (void)state;
    for (size_t i = 1; i < script.count; i++) {
        assert_int_equal(op_get(&script.ops[i], FIELD_STAGE), STAGE_DEFAULT);
        assert_int_not_equal(op_get(&script.ops[i], FIELD_INPUT), 0);
    }
    script_free(&script);
}

static void in_a_world_of_two_stages_the_name_of_the_address_gives_the_stage(void **state)
{
    struct script script = parse_ok("world format=amdv1 s1=x86_64\n"
                                    "map iova=0x1000 gpa=0x5000 length=4K\n"
                                    "map gpa=0x5000 hpa=0x6000 length=4K\n"
                                    "map stage=s1 iova=0x1000 hpa=0x5000 length=4K\n"
                                    "unmap stage=s2 gpa=0x5000 length=4K\n"
                                    "cut at=0x5000 stage=s1\n"
                                    "map_list iova=0x1000 gpa=0x5000 pieces=2 piece=4K stride=8K\n");
    char text[OP_TEXT_MAX];

    (void)state;
    assert_int_equal(op_get(&script.ops[1], FIELD_STAGE), STAGE_S1);
    assert_int_equal(op_get(&script.ops[1], FIELD_INPUT), 0x1000);
    assert_int_equal(op_get(&script.ops[1], FIELD_HPA), 0x5000);
    assert_memory_equal(&script.ops[1], &script.ops[3], sizeof(script.ops[1]));
    assert_int_equal(op_get(&script.ops[2], FIELD_STAGE), STAGE_DEFAULT);
    assert_int_equal(op_get(&script.ops[2], FIELD_HPA), 0x6000);
    assert_int_equal(op_get(&script.ops[4], FIELD_STAGE), STAGE_S2);
    op_print(&script.ops[1], &script.ops[0], text);
    assert_string_equal(text, "map iova=0x1000 gpa=0x5000 length=4K stage=s1");
    op_print(&script.ops[6], &script.ops[0], text);
    assert_string_equal(text, "map_list iova=0x1000 gpa=0x5000 pieces=2 piece=4K stride=8K stage=s1");
    script_free(&script);
}

static void an_unassigning_rmpupdate_takes_asid_0_unless_told_otherwise(void **state)
{
    struct script script = parse_ok("rmpupdate hpa=0x1000 assigned=no\nrmpupdate hpa=0x1000 assigned=no asid=1\n"
                                    "rmpupdate assigned=yes hpa=0x1000\n");
    char text[OP_TEXT_MAX];

    (void)state;
    assert_int_equal(op_get(&script.ops[1], FIELD_ASID), 0);
    assert_int_equal(op_get(&script.ops[2], FIELD_ASID), 1);
    assert_int_equal(op_get(&script.ops[3], FIELD_ASID), 1);
    op_print(&script.ops[2], NULL, text);
    assert_string_equal(text, "rmpupdate hpa=0x1000 assigned=no asid=1");
    op_print(&script.ops[1], NULL, text);
    assert_string_equal(text, "rmpupdate hpa=0x1000 assigned=no");
    script_free(&script);
}

struct wrong {
    const char *text;
    unsigned line, column;
    const char *message; /* its beginning */
};

static const struct wrong wrongs[] = {
    /* ops */
    { "\n  frobnicate a=1\n", 2, 3, "unknown op 'frobnicate'; expected one of world map unmap sync cut resize " },
    { "cpu hpa=0\n", 1, 1, "unknown op 'cpu'; expected one of " },
    { "set_state hpa=0\n", 1, 1, "set_state: missing key; expected state=" },
    { "set_state hpa=0 state=shared\n", 1, 23, "state: unknown value 'shared'; expected hypervisor, hv-fixed" },
    { "rmp_hold hpa=0 what=busy\n", 1, 21, "what: unknown value 'busy'; expected inuse, overlap" },
    { "resize gpa=0 length=2M\n", 1, 1, "resize: missing key; expected max=" },
    { "resize gpa=0 length=2M max=12K\n", 1, 28, "max: 12K is no power of two" },
    { "resize gpa=0 length=2M max=0\n", 1, 28, "max: 0 is no power of two" },
    { "-> ok\n", 1, 1, "unknown op '->'" },
    { "sync\nworld format=amdv1\n", 2, 1, "world is not the first op; expected it once, before all others" },
    { "world\nworld\n", 2, 1, "world is not the first op" },
    /* keys */
    { "map gpa=0 hpa=0 length=4K size=4K\n", 1, 27,
      "map: unknown key 'size'; expected one of iova|gpa hpa length prot stage domain" },
    { "sync domain\n", 1, 6, "'domain' found; expected key=value, '->' or '#'" },
    { "completion_wait now=yes\n", 1, 17, "completion_wait: unknown key 'now'; expected one of no key" },
    { "dma gpa=0x1000\n", 1, 5, "dma: unknown key 'gpa'; expected one of iova access device private pasid" },
    { "map gpa=0 hpa=0 hpa=1 length=4K\n", 1, 17, "map: duplicate key 'hpa'; it stands in column 11 already" },
    { "map gpa=0 gpa=0 hpa=1 length=4K\n", 1, 11, "map: duplicate key 'gpa'; it stands in column 5 already" },
    { "map gpa=0 iova=0 hpa=1 length=4K\n", 1, 5, "map: duplicate key 'gpa'; iova= in column 11 is the input address" },
    { "map hpa=0 length=4K\n", 1, 1, "map: missing key; expected iova= or gpa=" },
    { "  map gpa=0 length=4K\n", 1, 3, "map: missing key; expected hpa=" },
    { "unmap gpa=0\n", 1, 1, "unmap: missing key; expected length=" },
    { "cut\n", 1, 1, "cut: missing key; expected at=" },
    { "map_list gpa=0 hpa=0 piece=4K stride=4K\n", 1, 1, "map_list: missing key; expected pieces=" },
    { "map_list gpa=0 hpa=0 pieces=64 piece=4K stride=4K\n", 1, 29, "pieces: 64 is out of range" },
    { "map_list gpa=0 hpa=0 pieces=2 piece=4K stride=2K\n", 1, 47, "stride: 2K is not a multiple of 4K" },
    { "map_list gpa=0 hpa=0 pieces=2 piece=4K stride=4G\n", 1, 47, "stride: 4G is out of range" },
    { "map_list gpa=0 hpa=0 pieces=2 piece=4K stride=4K last=least\n", 1, 55,
      "last: unknown value 'least'; expected alike, first, half," },
    { "pvalidate hpa=0\n", 1, 1, "pvalidate: missing key; expected gpa=" },
    { "fail_alloc\n", 1, 1, "fail_alloc: missing key; expected n=" },
    { "dma\n", 1, 1, "dma: missing key; expected iova=" },
    /* names against stages */
    { "world s1=x86_64\nunmap stage=s1 gpa=0 length=4K\n", 2, 16,
      "unmap: gpa= is no input address of stage 1; expected iova=" },
    { "world s1=x86_64\nunmap stage=s2 iova=0 length=4K\n", 2, 16,
      "unmap: iova= is no input address of stage 2; expected gpa=" },
    { "world s1=x86_64\nmap iova=0 gpa=0 hpa=0 length=4K\n", 2, 12, "map: gpa= is no input address of stage 1" },
    /* values */
    { "map gpa=zero hpa=0 length=4K\n", 1, 9,
      "gpa: 'zero' is not a number; expected hex, decimal, or decimal with K M G T P" },
    { "map gpa= hpa=0 length=4K\n", 1, 9, "gpa: '' is not a number" },
    { "map gpa=0x hpa=0 length=4K\n", 1, 9, "gpa: '0x' is not a number" },
    { "map gpa=-1 hpa=0 length=4K\n", 1, 9, "gpa: '-1' is not a number" },
    { "map gpa=0x10K hpa=0 length=4K\n", 1, 9, "gpa: '0x10K' is not a number" },
    { "map gpa=0 hpa=0 length=K\n", 1, 24, "length: 'K' is not a number" },
    { "map gpa=0 hpa=0x10000000000000000 length=4K\n", 1, 15, "hpa: 0x10000000000000000 does not fit in 64 bits" },
    { "map gpa=0 hpa=0 length=18446744073709551616\n", 1, 24, "length: 18446744073709551616 does not fit in 64 bits" },
    { "map gpa=0 hpa=0 length=16384P\n", 1, 24, "length: 16384P does not fit in 64 bits" },
    { "fail_alloc n=many\n", 1, 14,
      "n: 'many' is not a number; expected hex, decimal, or decimal with K M G T P, or off" },
    { "sync domain=16\n", 1, 13, "domain: 16 is out of range; expected 0 to 15" },
    { "rmpupdate hpa=0 asid=1024\n", 1, 22, "asid: 1024 is out of range; expected 0 to 1023" },
    { "dma iova=0 pasid=0x100000\n", 1, 18, "pasid: 0x100000 is out of range; expected 0 to 1048575" },
    { "world va_bits=65\n", 1, 15, "va_bits: 65 is out of range; expected 0 to 64" },
    { "world memory=0\n", 1, 14, "memory: 0 is out of range; expected 4K to 0xffffffffff000" },
    { "world memory=5000\n", 1, 14, "memory: 5000 is not a multiple of 4K" },
    { "world pool=5G\n", 1, 12, "pool: 5G is out of range; expected 4K to 4G" },
    { "world format=amdv2\n", 1, 14, "format: unknown value 'amdv2'; expected amdv1, x86_64" },
    { "world hw=intel\n", 1, 10,
      "hw: unknown value 'intel'; expected amd, amd-fill-2m, smallest, expanding, cpu, cca, off" },
    { "world policy=vax\n", 1, 14,
      "policy: unknown value 'vax'; expected script, default, 4k-only, cut-first, psmash-first, psmash-first-late, "
      "engine" },
    { "unmap gpa=0 length=4K sync=maybe\n", 1, 28, "sync: unknown value 'maybe'; expected no, yes" },
    { "rmpupdate hpa=0 size=1G\n", 1, 22, "size: unknown value '1G'; expected 4K, 2M" },
    { "dma iova=0 device=dev16\n", 1, 19, "device: unknown value 'dev16'; expected dev0 to dev15" },
    { "dma iova=0 device=0\n", 1, 19, "device: unknown value '0'; expected dev0 to dev15" },
    { "map gpa=0 hpa=0 length=4K prot=x\n", 1, 32,
      "prot: unknown value 'x'; expected r, w or rw, then any of cache,noexec,mmio,priv, or none" },
    { "map gpa=0 hpa=0 length=4K prot=rw,r\n", 1, 32, "prot: repeated 'r'" },
    { "map gpa=0 hpa=0 length=4K prot=rw,\n", 1, 32, "prot: unknown value ''" },
    /* the rest */
    { "sync ->\n", 1, 6, "nothing after '->'; expected an outcome such as ok" },
    { "sync -> # later\n", 1, 6, "nothing after '->'" },
    { "sync\ncut at=0x1000 \x01\n", 2, 15, "byte 0x01 found; expected text" },
    { "# fine\n# \x7f\n", 2, 3, "byte 0x7f found; expected text" },
};

static void every_mistake_is_told_with_its_place_and_what_was_expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        const struct wrong *wrong = &wrongs[i];
        struct script script;
        struct script_error error;

        if (script_parse(wrong->text, strlen(wrong->text), &script, &error)) fail_msg("parsed: %s", wrong->text);
        if (strncmp(error.message, wrong->message, strlen(wrong->message)) != 0) {
            fail_msg("for: %sgot:  %s\nwant: %s", wrong->text, error.message, wrong->message);
        }
        if (error.line != wrong->line || error.column != wrong->column) {
            fail_msg("for: %sgot %u:%u, want %u:%u", wrong->text, error.line, error.column, wrong->line, wrong->column);
        }
        assert_null(script.ops);
        assert_int_equal(script.count, 0);
    }
}

static void an_error_prints_as_compilers_do(void **state)
{
    const struct script_error error = { 3, 14, "hw: unknown value 'x'" };
    char text[64];

    (void)state;
    assert_int_equal(script_format_error("a.ops", &error, text, sizeof(text)), 33);
    assert_string_equal(text, "a.ops:3:14: hw: unknown value 'x'");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sample_of_the_design_parses_as_it_is),
        cmocka_unit_test(printing_the_sample_gives_it_back),
        cmocka_unit_test(printing_keeps_comments_blank_lines_and_outcomes),
        cmocka_unit_test(a_script_without_world_gets_the_default_one),
        cmocka_unit_test(sizes_are_read_as_units_hex_and_decimal),
        cmocka_unit_test(a_world_of_one_stage_takes_either_name_of_the_input_address),
        cmocka_unit_test(in_a_world_of_two_stages_the_name_of_the_address_gives_the_stage),
        cmocka_unit_test(an_unassigning_rmpupdate_takes_asid_0_unless_told_otherwise),
        cmocka_unit_test(every_mistake_is_told_with_its_place_and_what_was_expected),
        cmocka_unit_test(an_error_prints_as_compilers_do),
    };

    return TEST_MAIN(tests, argc, argv);
}
