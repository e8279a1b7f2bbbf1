/* What a replay program says and how it ends, on good and bad input. */
#include "base/test_main.h"
#include "script/script.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/replay_test.XXXXXX";
static char output[8192];

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

static void write_file(const char *name, const void *bytes, size_t size)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void write_text(const char *name, const char *text)
{
    write_file(name, text, strlen(text));
}

/* Exit status of the program on `arguments`; what it printed is in `output`. */
static int replay(const char *arguments)
{
    char command[512];
    FILE *pipe;
    size_t length;
    int status;

    snprintf(command, sizeof(command), "cd %s && " REPLAY_PROGRAM " %s 2>&1", folder, arguments);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    length = fread(output, 1, sizeof(output) - 1, pipe);
    output[length] = 0;
    status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect_output(const char *text)
{
    if (!strstr(output, text)) fail_msg("no '%s' in:\n%s", text, output);
}

static void text_and_records_run_by_content_in_the_order_of_names(void **state)
{
    struct op ops[3] = { op_make(OP_WORLD), op_make(OP_MAP), op_make(OP_SYNC) };
    uint8_t records[sizeof(ops)];
    char path[256];

    (void)state;
    snprintf(path, sizeof(path), "%s/good", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    script_encode(ops, 3, records, sizeof(records));
    write_file("good/b.ops", records, sizeof(records));
    write_text("good/a.ops", "map iova=0 hpa=0 length=4K -> ok\n");
    write_text("good/empty", "");
    write_text("good/notes.md", "not a script");
    write_text("good/.hidden", "not a script");
    assert_int_equal(replay("good"), 0);
    expect_output("good/a.ops\ngood/b.ops\ngood/empty\n");
    expect_output("Tested 3 files\n");
    expect_output("mapproof: execs=3 ops=3 findings=0\n");
}

static void a_missing_file_is_an_error_though_others_ran(void **state)
{
    (void)state;
    write_text("one.ops", "sync\n");
    assert_int_equal(replay("gone.ops one.ops"), 1);
    expect_output("gone.ops: No such file or directory\n");
    expect_output("Tested 1 files\n");
}

static void an_empty_folder_tests_nothing_and_fails(void **state)
{
    char path[256];

    (void)state;
    snprintf(path, sizeof(path), "%s/none", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(replay("none"), 1);
    expect_output("nothing to test\n");
}

static void a_script_with_a_mistake_is_told_and_not_run(void **state)
{
    (void)state;
    write_text("bad.ops", "sync\nmap iova=0 hpa=0\n");
    assert_int_equal(replay("bad.ops"), 2);
    expect_output("bad.ops:2:1: map: missing key; expected length=\n");
    expect_output("Tested 0 files\n");
    assert_null(strstr(output, "execs="));
}

static void a_script_longer_than_the_limit_is_told(void **state)
{
    char text[257 * 5 + 1] = "";

    (void)state;
    for (unsigned i = 0; i < 256; i++) memcpy(text + 5 * i, "sync\n", 6);
    write_text("long.ops", text);
    assert_int_equal(replay("long.ops"), 2);
    expect_output("long.ops:256:1: op 257; expected at most 256 ops with the world\n");
}

static void no_argument_is_bad_usage(void **state)
{
    (void)state;
    assert_int_equal(replay(""), 2);
    expect_output("usage: ");
    assert_int_equal(replay("--help"), 2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_records_run_by_content_in_the_order_of_names),
        cmocka_unit_test(a_missing_file_is_an_error_though_others_ran),
        cmocka_unit_test(an_empty_folder_tests_nothing_and_fails),
        cmocka_unit_test(a_script_with_a_mistake_is_told_and_not_run),
        cmocka_unit_test(a_script_longer_than_the_limit_is_told),
        cmocka_unit_test(no_argument_is_bad_usage),
    };

    if (test_main_filter(tests, sizeof(tests) / sizeof(tests[0]), argc, argv)) return 2;
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
