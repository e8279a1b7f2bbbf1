/* The book of findings: what is kept of an input that ended in one, how short it gets, and what is written. */
#include "findings.h"
#include "fuzz.h"

#include "base/test_main.h"
#include "script/script.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct finding_key bystander = { RULE_SIZE_BYSTANDER, 0 };

/* A size fault of a bystander among much that has nothing to do with it. */
static const char noisy[] = "world hw=%s check_validated=yes iotlb=large\n"
                            "fail_alloc n=9\n"
                            "map gpa=0x7f0000000 hpa=0x700000 length=64K domain=1\n"
                            "rmpupdate hpa=0x600000 size=2M gpa=0x800000\n"
                            "pvalidate hpa=0x600000 gpa=0x800000 size=2M\n"
                            "map gpa=0x800000 hpa=0x600000 length=2M\n"
                            "dirty_read gpa=0x800000 length=2M\n"
                            "dma iova=0x7f0000010 device=dev3\n"
                            "dma iova=0x845678 access=write\n"
                            "rmpupdate hpa=0x5000 gpa=0x5000\n"
                            "unmap gpa=0x7f0000000 length=64K domain=1\n"
                            "psmash hpa=0x600000\n"
                            "inv_pages gpa=0x800000 length=2M\n"
                            "dma iova=0x845678 access=write\n"
                            "completion_wait\n"
                            "evict iova=0x700000000\n"
                            "dma iova=0x867890\n";

struct case_script {
    struct op ops[FUZZ_OPS_MAX];
    size_t count;
};

static struct case_script read_script(const char *text)
{
    struct case_script result;
    struct script script;
    struct script_error error;

    if (!script_parse(text, strlen(text), &script, &error)) fail_msg("%u: %s\n%s", error.line, error.message, text);
    memcpy(result.ops, script.ops, script.count * sizeof(*script.ops));
    result.count = script.count;
    script_free(&script);
    return result;
}

static struct case_script noisy_on(const char *hw)
{
    char text[2048];

    snprintf(text, sizeof(text), noisy, hw);
    return read_script(text);
}

/* How the last op ends. */
static struct world_outcome play(struct world *world, const struct case_script *script)
{
    struct world_outcome outcome = { .rule = RULE_NONE };
    char message[256];

    assert_int_equal(world_begin(world, &script->ops[0], message, sizeof(message)), 0);
    for (size_t i = 1; i < script->count; i++) world_apply(world, &script->ops[i], &outcome);
    return outcome;
}

static void minimising_keeps_rule_and_hardware_and_drops_the_rest(void **state)
{
    static const char *const hardware[] = { "amd", "amd-fill-2m", "expanding" };
    static const unsigned numbers[] = { 0, 1, 3 };
    struct world *world = world_new();

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        const struct finding_key key = { RULE_SIZE_BYSTANDER, numbers[i] };
        struct case_script script = noisy_on(hardware[i]);

        assert_string_equal(op_hw_name(numbers[i]), hardware[i]);
        script.count = findings_minimise(world, &key, script.ops, script.count);
        assert_in_range(script.count, 5, 7);
        assert_int_equal(op_get(&script.ops[0], FIELD_HW), numbers[i]);
        assert_int_equal(op_get(&script.ops[0], FIELD_CHECK_VALIDATED), 0);
        assert_int_equal(play(world, &script).rule, RULE_SIZE_BYSTANDER);
        for (size_t at = 1; at < script.count; at++) {
            const enum op_kind kind = op_kind_of(&script.ops[at]);

            assert_true(kind == OP_MAP || kind == OP_RMPUPDATE || kind == OP_DMA || kind == OP_PSMASH ||
                        kind == OP_EVICT || kind == OP_CUT);
        }
    }
    world_free(world);
}

static void minimised_addresses_tell_guest_from_host(void **state)
{
    struct world *world = world_new();
    struct case_script script = noisy_on("amd");

    (void)state;
    script.count = findings_minimise(world, &bystander, script.ops, script.count);
    for (size_t at = 1; at < script.count; at++) {
        if (op_kind_of(&script.ops[at]) != OP_MAP) continue;
        assert_int_equal(op_get(&script.ops[at], FIELD_INPUT), 0x200000);
        assert_int_equal(op_get(&script.ops[at], FIELD_HPA), 0x400000);
    }
    world_free(world);
}

static void script_that_ends_otherwise_is_refused(void **state)
{
    static const struct finding_key others[] = { { RULE_SIZE_LEAF_LARGER, 0 },
                                                 { RULE_SIZE_BYSTANDER, 1 },
                                                 { RULE_AFTER_UNMAP, 0 } };
    struct world *world = world_new();
    struct case_script script = noisy_on("amd");

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(findings_minimise(world, &others[i], script.ops, script.count), 0);
    assert_int_equal(findings_minimise(world, &bystander, script.ops, script.count - 1), 0);
    world_free(world);
}

/* What is written is a script that gives back what it promises, op by op. */
static void described_script_holds_its_promises(void **state)
{
    struct world *world = world_new();
    struct case_script script = noisy_on("amd");
    struct script read;
    struct script_error error;
    char *text;

    (void)state;
    script.count = findings_minimise(world, &bystander, script.ops, script.count);
    text = findings_describe(world, &bystander, script.ops, script.count);
    if (!script_parse(text, strlen(text), &read, &error)) fail_msg("%u: %s\n%s", error.line, error.message, text);
    assert_int_equal(read.count, script.count);
    assert_memory_equal(read.ops, script.ops, script.count * sizeof(*read.ops));
    for (size_t i = 0; i < read.count; i++) {
        assert_non_null(read.notes[i].expectation);
        assert_non_null(read.notes[i].before);
        assert_non_null(strstr(read.notes[i].before, "# "));
    }
    assert_string_equal(read.notes[read.count - 1].expectation,
                        "fault=rmp-size finding=loses-dma rule=rmp-size-bystander");
    assert_int_equal(strncmp(text, "# ", 2), 0);
    assert_non_null(strstr(text, "\n# entitled: "));
    assert_non_null(strstr(text, "\n# happened: "));
    script_free(&read);
    free(text);
    world_free(world);
}

/* ---- the book ---------------------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/findings_test.XXXXXX";

static void note(struct findings *findings, const struct case_script *script, uint64_t exec)
{
    struct world *world = world_new();
    const struct world_outcome outcome = play(world, script);
    const struct finding_source source = { script->ops, script->count, exec, 0.25 * (double)exec };

    assert_int_not_equal(outcome.rule, RULE_NONE);
    findings_note(findings, &source, &outcome);
    world_free(world);
}

static void expect_book(const struct findings *findings, const char *text)
{
    char *got;
    size_t length;
    FILE *file = open_memstream(&got, &length);

    assert_non_null(file);
    findings_print(findings, file);
    fclose(file);
    assert_string_equal(got, text);
    free(got);
}

static const char mixed[] = "world\nmap gpa=0x200000 hpa=0x400000 length=2M\nmap gpa=0x0 hpa=0x0 length=4K domain=1\n"
                            "rmpupdate hpa=0x400000 gpa=0x200000\ndma iova=0x201000 device=dev2\n";

static void findings_are_counted_once_by_rule_and_hardware(void **state)
{
    struct findings *findings = findings_new(NULL);
    const struct case_script amd = noisy_on("amd"), expanding = noisy_on("expanding"), owner = read_script(mixed);

    (void)state;
    expect_book(findings, "");
    note(findings, &owner, 3);
    note(findings, &amd, 4);
    note(findings, &amd, 8);
    note(findings, &expanding, 12);
    expect_book(findings, "mapproof: finding loses-dma.rmp-size-bystander.amd count=2 first_exec=4 first_seconds=1.00 "
                          "ops=7\n"
                          "mapproof: finding loses-dma.rmp-size-bystander.expanding count=1 first_exec=12 "
                          "first_seconds=3.00 ops=7\n"
                          "mapproof: finding loses-dma.owner-mixed-2m.amd count=1 first_exec=3 first_seconds=0.75 "
                          "ops=4\n");
    findings_free(findings);
}

static char *read_file(const char *name)
{
    static char text[8192];
    char path[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "r");
    if (!file) return NULL;
    text[fread(text, 1, sizeof(text) - 1, file)] = 0;
    fclose(file);
    return text;
}

/* A shorter way: the first write through an entry that a read made walks again, so no eviction is needed. */
static void shorter_script_replaces_the_longer_one(void **state)
{
    static const char shorter[] = "world\nrmpupdate hpa=0x400000 size=2M gpa=0x200000\n"
                                  "map gpa=0x200000 hpa=0x400000 length=2M\ndma iova=0x200000\npsmash hpa=0x400000\n"
                                  "dma iova=0x200000 access=write\n";
    struct findings *findings = findings_new(folder);
    const struct case_script first = noisy_on("amd"), second = read_script(shorter);
    char path[256];

    (void)state;
    note(findings, &first, 1);
    assert_non_null(strstr(read_file("loses-dma.rmp-size-bystander.amd.ops"), "\nevict "));
    note(findings, &second, 2);
    assert_null(strstr(read_file("loses-dma.rmp-size-bystander.amd.ops"), "\nevict "));
    note(findings, &first, 3);
    assert_null(strstr(read_file("loses-dma.rmp-size-bystander.amd.ops"), "\nevict "));
    expect_book(findings, "mapproof: finding loses-dma.rmp-size-bystander.amd count=3 first_exec=1 first_seconds=0.25 "
                          "ops=6\n");
    findings_free(findings);
    snprintf(path, sizeof(path), "%s/loses-dma.rmp-size-bystander.amd.ops", folder);
    assert_int_equal(remove(path), 0);
    assert_int_equal(rmdir(folder), 0); /* no temporary file is left */
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minimising_keeps_rule_and_hardware_and_drops_the_rest),
        cmocka_unit_test(minimised_addresses_tell_guest_from_host),
        cmocka_unit_test(script_that_ends_otherwise_is_refused),
        cmocka_unit_test(described_script_holds_its_promises),
        cmocka_unit_test(findings_are_counted_once_by_rule_and_hardware),
        cmocka_unit_test_setup(shorter_script_replaces_the_longer_one, make_folder),
    };

    return TEST_MAIN(tests, argc, argv);
}
