/* A run that ends says what it did, however it ends. Each question in a process of its own. */
#include "fuzz_end.h"

#include "base/test_main.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int out = -1; /* what the child says */

static void say(char letter)
{
    assert_int_equal(write(out, &letter, 1), 1);
}

static void print(void)
{
    say('p');
}

static void print_abort(void)
{
    say('a');
}

/* A stand-in for libFuzzer's handler: it leaves without exit handlers. */
static void on_signal(int number)
{
    say('h');
    _exit(number);
}

/* What a child says that runs this; *status is how it ended. */
static const char *run_child(void (*body)(void), int *status)
{
    static char said[16];
    int ends[2];
    ssize_t length;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        out = ends[1];
        body();
        exit(0);
    }
    close(ends[1]);
    waitpid(child, status, 0);
    length = read(ends[0], said, sizeof(said) - 1);
    close(ends[0]);
    assert_true(length >= 0);
    said[length] = '\0';
    return said;
}

static void begin(void)
{
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    signal(SIGABRT, SIG_DFL);
    fuzz_end_begin(print, print_abort);
}

static void end_normally(void)
{
    begin();
    fuzz_end_if_asked();
}

static void end_by_sigint(void)
{
    begin();
    raise(SIGINT);
    say('.'); /* the input that runs is finished */
    raise(SIGPIPE);
    fuzz_end_if_asked();
    say('!');
}

/* As timeout(1) does it. */
static void end_by_two_sigterms(void)
{
    begin();
    raise(SIGTERM);
    raise(SIGTERM);
    fuzz_end_if_asked();
}

static void hang_after_sigint(void)
{
    begin();
    raise(SIGINT);
    sleep(3); /* an input that does not end; the second Ctrl-C */
    raise(SIGINT);
    say('!');
}

static void end_by_abort(void)
{
    begin();
    abort();
}

static void ignore_sigint(void)
{
    signal(SIGINT, SIG_IGN);
    fuzz_end_begin(print, NULL);
    raise(SIGINT);
    fuzz_end_if_asked();
    say('.');
}

static void counters_are_printed_once_at_a_normal_end(void **state)
{
    int status;

    (void)state;
    assert_string_equal(run_child(end_normally, &status), "p");
    assert_int_equal(status, 0);
}

static void a_signal_lets_the_input_end_then_prints_then_goes_to_the_handler_before_ours(void **state)
{
    int status;

    (void)state;
    assert_string_equal(run_child(end_by_sigint, &status), ".ph");
    assert_int_equal(WEXITSTATUS(status), SIGINT);
}

static void a_signal_sent_twice_at_once_is_one(void **state)
{
    int status;

    (void)state;
    assert_string_equal(run_child(end_by_two_sigterms, &status), "ph");
    assert_int_equal(WEXITSTATUS(status), SIGTERM);
}

static void a_second_signal_later_does_not_wait_for_the_input(void **state)
{
    int status;

    (void)state;
    assert_string_equal(run_child(hang_after_sigint, &status), "h");
}

static void an_abort_prints_and_stays_an_abort(void **state)
{
    int status;

    (void)state;
    assert_string_equal(run_child(end_by_abort, &status), "pa");
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void a_signal_that_was_ignored_stays_ignored(void **state)
{
    int status;

    (void)state;
    assert_string_equal(run_child(ignore_sigint, &status), ".p");
    assert_int_equal(status, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_are_printed_once_at_a_normal_end),
        cmocka_unit_test(a_signal_lets_the_input_end_then_prints_then_goes_to_the_handler_before_ours),
        cmocka_unit_test(a_signal_sent_twice_at_once_is_one),
        cmocka_unit_test(a_second_signal_later_does_not_wait_for_the_input),
        cmocka_unit_test(an_abort_prints_and_stays_an_abort),
        cmocka_unit_test(a_signal_that_was_ignored_stays_ignored),
    };

    return TEST_MAIN(tests, argc, argv);
}
