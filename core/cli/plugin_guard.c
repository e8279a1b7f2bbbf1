/* See plugin_guard.h. Handlers only call what POSIX lets them. */
#define _GNU_SOURCE /* sigaltstack, setitimer */
#include "cli/plugin_guard.h"

#include "pt/pt_plugin_host.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { STACK_BYTES = 64 << 10 }; /* a plugin may have used up the program's own */

static const struct crash {
    int number;
    const char *name;
} crashes[] = {
    { SIGSEGV, "SIGSEGV" }, { SIGBUS, "SIGBUS" }, { SIGILL, "SIGILL" }, { SIGFPE, "SIGFPE" }, { SIGABRT, "SIGABRT" }
};

enum { CRASHES = sizeof(crashes) / sizeof(crashes[0]) };

static struct {
    const char *program;
    const struct plugin *plugin;
    const char *volatile place;
    unsigned seconds, waited; /* waited: for the call that is number `calls` */
    uint64_t calls;
    int status;
    struct sigaction before[CRASHES];
} guard;

static void say(const char *text)
{
    const ssize_t written = write(STDERR_FILENO, text, strlen(text));

    (void)written; /* nothing left to do about it */
}

static void report(const char *entry, const char *what)
{
    say(guard.program);
    say(": plugin ");
    say(plugin_path(guard.plugin));
    say(": ");
    say(entry);
    say(what);
    if (guard.place) {
        say(" at ");
        say(guard.place);
    }
    say("\n");
}

static void on_crash(int number, siginfo_t *info, void *context)
{
    uint64_t calls;
    const char *entry = plugin_at_work(guard.plugin, &calls);
    unsigned i = 0;

    (void)context;
    while (i + 1 < CRASHES && crashes[i].number != number) i++;
    if (entry) {
        char what[64] = " crashed (";

        if (number == SIGSEGV && plugin_gave_back(guard.plugin, info->si_addr))
            strcpy(what, " used a table that it gave back (");
        strcat(strcat(what, crashes[i].name), ")");
        report(entry, what);
        if (guard.before[i].sa_handler == SIG_DFL) _exit(guard.status);
    }
    sigaction(number, &guard.before[i], NULL); /* what caused it runs again, or raise below */
    if (number == SIGABRT) raise(number);
}

static void on_second(int number)
{
    uint64_t calls;
    const char *entry = plugin_at_work(guard.plugin, &calls);

    (void)number;
    guard.waited = entry && calls == guard.calls ? guard.waited + 1 : 0;
    guard.calls = calls;
    if (guard.waited < guard.seconds) return;
    report(entry, " does not come back (--timeout)");
    _exit(guard.status);
}

void plugin_guard(const char *program, const struct plugin *plugin, unsigned seconds, int status)
{
    static char stack[STACK_BYTES];
    const stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
    const struct itimerval every_second = { { 1, 0 }, { 1, 0 } };
    struct sigaction action = { .sa_sigaction = on_crash, .sa_flags = SA_ONSTACK | SA_NODEFER | SA_SIGINFO };

    guard.program = program;
    guard.plugin = plugin;
    guard.seconds = seconds;
    guard.status = status;
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    sigaltstack(&alternate, NULL);
    for (unsigned i = 0; i < CRASHES; i++) sigaction(crashes[i].number, &action, &guard.before[i]);
    if (seconds == 0) return;
    action = (struct sigaction){ .sa_handler = on_second, .sa_flags = SA_ONSTACK | SA_RESTART };
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every_second, NULL);
}

void plugin_guard_end(void)
{
    const struct itimerval never = { 0 };

    if (!guard.plugin) return;
    if (guard.seconds) {
        setitimer(ITIMER_REAL, &never, NULL);
        signal(SIGALRM, SIG_IGN); /* one that is on its way */
    }
    for (unsigned i = 0; i < CRASHES; i++) sigaction(crashes[i].number, &guard.before[i], NULL);
    guard.plugin = NULL;
}

void plugin_guard_place(const char *place)
{
    guard.place = place;
}
