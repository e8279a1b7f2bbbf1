/*
 * mapproof-explore: which host policy keeps S2 and RMP in step, on which hardware? Searches one small machine for each
 * cell of policy x hardware x guest x backing x device, and says what it found in words; every find has a script.
 */
#define _GNU_SOURCE /* sigaction */
#include "cli/option.h"
#include "cli/whole_file.h"
#include "script/op.h"
#include "world/explore_cell.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_BYTES = 256, DEPTH = 60, SECOND = 1000000000 };

struct options {
    const char *policy, *hardware, *guest, *backing, *device, *json;
    unsigned depth;
    bool all_switches;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

/* ---- options --------------------------------------------------------------------------------------------------------
 */

enum option_key { OPTION_GUEST = 256, OPTION_BACKING, OPTION_DEVICE, OPTION_DEPTH, OPTION_JSON, OPTION_SWITCHES };

static const struct argp_option argp_options[] = {
    { "policy", 'p', "NAME|all", 0, "Host policy (all)", 1 },
    { "hw", 'w', "NAME|all", 0, "Hardware variant (all)", 1 },
    { "guest", OPTION_GUEST, "4k|2m|hostile|all", 0, "What the guest converts, and whether it goes on meanwhile (all)",
      1 },
    { "backing", OPTION_BACKING, "2m|4k|all", 0, "Pages of guest memory (all)", 1 },
    { "device", OPTION_DEVICE, "t1|t1-s1|t0|all", 0, "Trusted, trusted behind S1, or not trusted (all)", 1 },
    { "switches", OPTION_SWITCHES, "default|all", 0, "Disputed switches: as they are, or each combination (default)",
      1 },
    { "depth", OPTION_DEPTH, "N", 0, "At most N ops (60)", 2 },
    { "json", OPTION_JSON, "FILE", 0, "Write cells, verdicts and scripts to FILE, whole or not at all", 2 },
    { 0 },
};

static const char *policy_name(unsigned index)
{
    return op_policy_name(index + 1); /* 0 is `script`: none */
}

/* `all`, or one of the names. */
static const char *name_of(struct argp_state *state, const char *what, name_at *names, const char *wanted)
{
    if (strcmp(wanted, "all") != 0) option_name(state, what, names, wanted);
    return wanted;
}

static bool takes_all_switches(struct argp_state *state, const char *which)
{
    if (strcmp(which, "all") == 0) return true;
    if (strcmp(which, "default") != 0) argp_error(state, "unknown --switches '%s'; there are: default all", which);
    return false;
}

static const struct option_range depth_option = { "--depth", "a number", 1, EXPLORE_DEPTH_MAX };

static error_t take(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case 'p': options->policy = name_of(state, "policy", policy_name, text); break;
    case 'w': options->hardware = name_of(state, "hw", op_hw_name, text); break;
    case OPTION_GUEST: options->guest = name_of(state, "guest", explore_guest_name, text); break;
    case OPTION_BACKING: options->backing = name_of(state, "backing", explore_backing_name, text); break;
    case OPTION_DEVICE: options->device = name_of(state, "device", explore_device_name, text); break;
    case OPTION_DEPTH: options->depth = option_number(state, &depth_option, text); break;
    case OPTION_JSON: options->json = text; break;
    case OPTION_SWITCHES: options->all_switches = takes_all_switches(state, text); break;
    case ARGP_KEY_ARG: argp_error(state, "%s: no arguments are taken", text); break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* ---- cells ----------------------------------------------------------------------------------------------------------
 */

struct run {
    const struct options *options;
    struct explore *explore;
    struct explore_plan limits;
    json_t *cells;
    unsigned done, total, failed;
    uint64_t states, transitions;
    bool is_stopped;
};

static bool is_wanted(const char *wanted, const char *name)
{
    return strcmp(wanted, "all") == 0 || strcmp(wanted, name) == 0;
}

static bool go_on(void *context, uint32_t states, unsigned depth)
{
    const struct run *run = context;

    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%u of %u cells; this one: %u states, depth %u   ", run->done, run->total, states, depth);
    return !interrupted;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / SECOND;
}

/* "SAFE", "LOSES DMA, STALE", "no counterexample to depth n". */
static void put_words(const struct explore_verdict *verdict, char *words, size_t size)
{
    size_t length = 0;

    words[0] = 0;
    if (!(verdict->found & VERDICT_UNSAFE))
        length = (size_t)(verdict->result.is_closed
                              ? snprintf(words, size, "SAFE")
                              : snprintf(words, size, "NO COUNTEREXAMPLE TO DEPTH %u", verdict->result.depth));
    for (unsigned bit = 0; bit < VERDICT_COUNT && length < size; bit++) {
        if (!(verdict->found >> bit & 1)) continue;
        length +=
            (size_t)snprintf(words + length, size - length, "%s%s", length ? ", " : "", explore_verdict_name(bit));
    }
}

static json_t *scripts_of(struct run *run, const struct explore_cell *cell, const struct explore_verdict *verdict)
{
    json_t *scripts = json_object();

    for (unsigned bit = 0; bit < VERDICT_COUNT; bit++) {
        char *text;

        if (!(verdict->found >> bit & 1)) continue;
        text = explore_cell_script(run->explore, cell, verdict, bit);
        json_object_set_new(scripts, explore_verdict_name(bit), json_string(text));
        free(text);
    }
    return scripts;
}

static void report(struct run *run, const struct explore_cell *cell, const struct explore_verdict *verdict,
                   double spent)
{
    char words[MESSAGE_BYTES];

    put_words(verdict, words, sizeof(words));
    if (isatty(STDERR_FILENO)) fprintf(stderr, "\r%60s\r", "");
    printf("%-18s %-12s %-8s %-3s %-6s %2u  %-44s %7u states %8.2f s\n", cell->policy, cell->hardware,
           explore_guest_name(cell->guest), explore_backing_name(cell->backing), explore_device_name(cell->device),
           cell->switches, words, verdict->result.states, spent);
    json_array_append_new(
        run->cells,
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:b, s:i, s:I, s:i, s:f, s:o}", "policy", cell->policy, "hw",
                  cell->hardware, "guest", explore_guest_name(cell->guest), "backing",
                  explore_backing_name(cell->backing), "device", explore_device_name(cell->device), "switches",
                  (int)cell->switches, "verdict", words, "closed", verdict->result.is_closed, "states",
                  (int)verdict->result.states, "transitions", (json_int_t)verdict->result.transitions, "depth",
                  (int)verdict->result.depth, "seconds", spent, "scripts", scripts_of(run, cell, verdict)));
}

static void search(struct run *run, const struct explore_cell *cell)
{
    const double start = seconds();
    struct explore_verdict verdict;
    const int error = explore_cell(run->explore, cell, &run->limits, &verdict);

    run->done++;
    run->states += verdict.result.states;
    run->transitions += verdict.result.transitions;
    run->is_stopped = verdict.result.is_stopped;
    if (error) {
        run->failed++;
        fprintf(stderr, "%s/%s/%s/%s/%s/%u: %s\n", cell->policy, cell->hardware, explore_guest_name(cell->guest),
                explore_backing_name(cell->backing), explore_device_name(cell->device), cell->switches,
                verdict.message);
        return;
    }
    report(run, cell, &verdict, seconds() - start);
}

/* Cell `index` of all there are; false: past the end. */
static bool cell_at(unsigned index, bool all_switches, struct explore_cell *cell)
{
    unsigned policies = 0, variants = 0;
    const unsigned switches = all_switches ? EXPLORE_SWITCHES : 1;

    while (policy_name(policies)) policies++;
    while (op_hw_name(variants)) variants++;
    cell->switches = index % switches;
    index /= switches;
    cell->device = (enum explore_device)(index % EXPLORE_DEVICES);
    index /= EXPLORE_DEVICES;
    cell->backing = (enum explore_backing)(index % EXPLORE_BACKINGS);
    index /= EXPLORE_BACKINGS;
    cell->guest = (enum explore_guest)(index % EXPLORE_GUESTS);
    index /= EXPLORE_GUESTS;
    cell->hardware = op_hw_name(index % variants);
    index /= variants;
    cell->policy = index < policies ? policy_name(index) : NULL;
    return cell->policy != NULL;
}

static bool is_chosen(const struct options *options, const struct explore_cell *cell)
{
    return is_wanted(options->policy, cell->policy) && is_wanted(options->hardware, cell->hardware) &&
           is_wanted(options->guest, explore_guest_name(cell->guest)) &&
           is_wanted(options->backing, explore_backing_name(cell->backing)) &&
           is_wanted(options->device, explore_device_name(cell->device));
}

static bool write_json(const struct run *run, struct whole_file *file)
{
    json_t *root = json_pack("{s:i, s:b, s:O}", "schema", 1, "complete", !run->is_stopped, "cells", run->cells);
    const bool is_written = whole_file_finish_json(file, root);

    json_decref(root);
    return is_written;
}

static int explore_all(struct run *run)
{
    const struct options *options = run->options;
    struct whole_file json;
    struct explore_cell cell;

    if (options->json && !whole_file_begin(&json, options->json)) return 2;
    for (unsigned i = 0; cell_at(i, options->all_switches, &cell); i++) run->total += is_chosen(options, &cell);
    for (unsigned i = 0; cell_at(i, options->all_switches, &cell) && !run->is_stopped; i++) {
        if (is_chosen(options, &cell)) search(run, &cell);
        fflush(stdout);
    }
    printf("%u of %u cells, %lu states, %lu transitions, %.1f s%s\n", run->done, run->total, (unsigned long)run->states,
           (unsigned long)run->transitions, seconds(), run->is_stopped ? "; stopped early" : "");
    if (options->json && !write_json(run, &json)) return 2;
    if (run->failed) return 1;
    return run->is_stopped ? 3 : 0;
}

int main(int argc, char **argv)
{
    static const struct argp argp = { argp_options,
                                      take,
                                      NULL,
                                      "Which host policy keeps S2 and the RMP in step? Breadth-first search of every "
                                      "interleaving of a small machine, cell by cell.\v"
                                      "Exit 0: the search ran to its end, whatever the verdicts. 1: a counterexample "
                                      "does not replay. 2: bad input. 3: stopped early.",
                                      NULL,
                                      NULL,
                                      NULL };
    struct options options = { "all", "all", "all", "all", "all", NULL, DEPTH, false };
    struct run run = { .options = &options };
    const struct sigaction stop = { .sa_handler = on_interrupt };
    int code;

    argp_err_exit_status = 2;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    run.explore = explore_new();
    run.cells = json_array();
    run.limits = (struct explore_plan){ .depth = options.depth, .go_on = go_on, .context = &run };
    code = explore_all(&run);
    json_decref(run.cells);
    explore_free(run.explore);
    return code;
}
