/* See fuzz_end.h. */
#include "fuzz_end.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

enum { SIGNALS = 3 };

static const int signals[SIGNALS] = { SIGABRT, SIGINT, SIGTERM };
static struct sigaction previous[SIGNALS]; /* of these */
static volatile sig_atomic_t stop_signal;  /* asked for while an input ran */
static time_t stop_asked;                  /* when */
static void (*print_end)(void);
static void (*print_abort)(void);

/* What would have happened without us: libFuzzer's own handler, or the end. */
static void pass_on(int number)
{
    const struct sigaction *before = NULL;

    for (unsigned i = 0; i < SIGNALS; i++) {
        if (signals[i] == number) before = &previous[i];
    }
    if (!before) return;
    sigaction(number, before, NULL);
    if (before->sa_handler == SIG_DFL || before->sa_handler == SIG_IGN)
        raise(number);
    else if (before->sa_flags & SA_SIGINFO)
        before->sa_sigaction(number, NULL, NULL);
    else
        before->sa_handler(number);
}

/* abort() comes from the program itself, in the middle of no library call that matters: printing is safe. */
static void on_abort(int number)
{
    print_end();
    if (print_abort) print_abort();
    pass_on(number);
}

static time_t seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/*
 * From outside, at any moment: the input that runs is finished first. Asked again later, it is not. timeout(1) sends
 * its signal twice at once, to the program and to its group. In the group is llvm-symbolizer, whose end would be ours:
 * libFuzzer asks it for names and meets a broken pipe.
 */
static void on_stop(int number)
{
    if (stop_signal && seconds_now() - stop_asked > 1) pass_on(number);
    if (stop_signal) return;
    signal(SIGPIPE, SIG_IGN);
    stop_asked = seconds_now();
    stop_signal = number;
}

void fuzz_end_if_asked(void)
{
    if (!stop_signal) return;
    print_end();
    pass_on(stop_signal);
}

void fuzz_end_begin(void (*print)(void), void (*when_aborted)(void))
{
    print_end = print;
    print_abort = when_aborted;
    atexit(print);
    for (unsigned i = 0; i < SIGNALS; i++) {
        const struct sigaction action = { .sa_handler = signals[i] == SIGABRT ? on_abort : on_stop };

        sigaction(signals[i], &action, &previous[i]);
        /* A shell starts what runs in its background so. */
        if (signals[i] != SIGABRT && previous[i].sa_handler == SIG_IGN) sigaction(signals[i], &previous[i], NULL);
    }
}
