/* See explore_cell.h. */
#include "world/explore_cell.h"

#include "base/check.h"
#include "script/script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 2048, SCRIPT_OPS_MAX = 320 };

static const char *const guest_names[] = { "4k", "2m", "hostile", NULL };
static const char *const backing_names[] = { "2m", "4k", NULL };
static const char *const device_names[] = { "t1", "t1-s1", "t0", NULL };
static const char *const verdict_names[] = { "STALE", "LOSES DMA", "EXPANDS", "HANGS", "LEAKS", "REFUSES", "STALLS" };

const char *explore_guest_name(unsigned guest)
{
    return guest_names[guest];
}

const char *explore_backing_name(unsigned backing)
{
    return backing_names[backing];
}

const char *explore_device_name(unsigned device)
{
    return device_names[device];
}

const char *explore_verdict_name(unsigned bit)
{
    CHECK(bit < VERDICT_COUNT);
    return verdict_names[bit];
}

/* ---- the machine as a script ---------------------------------------------------------------------------------------
 */

struct machine {
    struct script prefix, events;
    struct explore_plan plan;
};

static void say(char text[TEXT_MAX], const char *line)
{
    CHECK(strlen(text) + strlen(line) + 2 < TEXT_MAX);
    strcat(text, line);
    strcat(text, "\n");
}

static void write_prefix(const struct explore_cell *cell, char text[TEXT_MAX])
{
    static const char *const switches[] = { " recheck_on_hit=yes", " invalidate_on_rmpupdate=yes",
                                            " check_validated=yes", " shared_read_checked=no", " keep_walk_cache=no" };

    snprintf(text, TEXT_MAX, "world memory=8M iotlb=small hw=%s policy=%s backing=%s%s", cell->hardware, cell->policy,
             cell->backing == EXPLORE_BACKING_2M ? "2M" : "4K", cell->device == EXPLORE_T1_S1 ? " s1=x86_64" : "");
    for (unsigned i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
        if (cell->switches >> i & 1) strcat(text, switches[i]);
    }
    say(text, "");
    say(text, "rmpupdate hpa=4M size=2M gpa=2M");
    say(text, "pvalidate hpa=4M size=2M gpa=2M");
    if (cell->backing == EXPLORE_BACKING_4K) say(text, "psmash hpa=4M");
    say(text, "map gpa=2M hpa=4M length=2M");
    if (cell->backing == EXPLORE_BACKING_4K) say(text, "resize gpa=2M length=2M max=4K");
    if (cell->device == EXPLORE_T0 && cell->guest == EXPLORE_2M) say(text, "map gpa=4M hpa=6M length=2M");
    if (cell->device == EXPLORE_T0 && cell->guest != EXPLORE_2M) say(text, "convert gpa=0x203000 length=4K to=shared");
    if (cell->device != EXPLORE_T1_S1) return;
    say(text, "rmpupdate hpa=0 size=2M gpa=0x40000000");
    say(text, "pvalidate hpa=0 size=2M gpa=0x40000000");
    if (strcmp(cell->policy, "4k-only") == 0 || cell->backing == EXPLORE_BACKING_4K) say(text, "psmash hpa=0");
    say(text, "map gpa=0x40000000 hpa=0 length=2M");
    if (cell->backing == EXPLORE_BACKING_4K) say(text, "resize gpa=0x40000000 length=2M max=4K");
    say(text, "map iova=0x201000 gpa=0x201000 length=4K stage=s1");
    say(text, "map iova=0x300000 gpa=0x300000 length=4K stage=s1");
}

/* The device's accesses, and what the IOTLB may forget. Returns which of the events wait for the guest. */
static uint64_t write_device_events(const struct explore_cell *cell, char text[TEXT_MAX])
{
    const uint64_t target = UINT64_C(1) << 4, shared = UINT64_C(1) << 6; /* behind two converts, the step, a dma */

    if (cell->device == EXPLORE_T0) {
        say(text, cell->guest == EXPLORE_2M ? "dma iova=0x403000 access=write device=dev2"
                                            : "dma iova=0x203000 access=write device=dev2");
        say(text, "dma iova=0x201000 access=write device=dev2");
        say(text, cell->guest == EXPLORE_2M ? "evict iova=0x403000 device=dev2" : "evict iova=0x203000 device=dev2");
        return cell->guest == EXPLORE_HOSTILE ? 0 : target;
    }
    if (cell->device == EXPLORE_T1_S1) {
        say(text, "dma iova=0x300000 access=write device=dev1");
        say(text, "dma iova=0x201000 access=write device=dev1");
        say(text, "evict iova=0x300000 device=dev1");
        return cell->guest == EXPLORE_HOSTILE ? 0 : target;
    }
    say(text, "dma iova=0x300000 access=write");
    say(text, "dma iova=0x201000 access=write");
    say(text, "evict iova=0x300000");
    say(text, "dma iova=0x201000 access=write private=no");
    return cell->guest == EXPLORE_HOSTILE ? 0 : target | shared;
}

static uint64_t write_events(const struct explore_cell *cell, char text[TEXT_MAX])
{
    const char *range = cell->guest == EXPLORE_2M ? "gpa=2M length=2M" : "gpa=0x201000 length=4K";
    char line[128];

    text[0] = 0;
    snprintf(line, sizeof(line), "convert %s to=shared steps=0", range);
    say(text, line);
    snprintf(line, sizeof(line), "convert %s to=private steps=0", range);
    say(text, line);
    say(text, "step");
    return write_device_events(cell, text);
}

static void parse(const char *text, struct script *script)
{
    struct script_error error;

    if (script_parse(text, strlen(text), script, &error)) return;
    fprintf(stderr, "explore: %u:%u: %s\n%s", error.line, error.column, error.message, text);
    CHECK(!"a cell's script parses");
}

static void make_machine(const struct explore_cell *cell, const struct explore_plan *limits, struct machine *machine)
{
    char text[TEXT_MAX];

    write_prefix(cell, text);
    parse(text, &machine->prefix);
    machine->plan = *limits;
    machine->plan.idle_only = write_events(cell, text);
    parse(text, &machine->events);
    machine->plan.prefix = machine->prefix.ops;
    machine->plan.prefix_count = machine->prefix.count;
    machine->plan.program = NULL;
    machine->plan.program_count = 0;
    machine->plan.events = machine->events.ops + 1; /* the first is the default world */
    machine->plan.event_count = machine->events.count - 1;
}

static void free_machine(struct machine *machine)
{
    script_free(&machine->prefix);
    script_free(&machine->events);
}

/* ---- verdicts -------------------------------------------------------------------------------------------------------
 */

static unsigned bit_of_rule(enum world_rule rule)
{
    switch (world_rule_finding(rule)) {
    case FINDING_STALE: return VERDICT_STALE;
    case FINDING_LOSES_DMA: return VERDICT_LOSES_DMA;
    case FINDING_EXPANDS: return VERDICT_EXPANDS;
    default: return 0;
    }
}

static unsigned verdict_of(const struct explore_result *result)
{
    unsigned found = 0;

    for (unsigned rule = 1; rule < RULE_COUNT; rule++) {
        if (result->finds[rule].is_known) found |= bit_of_rule((enum world_rule)rule);
    }
    for (unsigned end = 0; end < EXPLORE_ENDS; end++) found |= result->ends[end].is_known ? VERDICT_HANGS << end : 0;
    return found;
}

/* Does the script, done with every check, end in that finding and without a difference? */
static bool shows(const struct op *ops, size_t count, enum world_rule rule)
{
    struct world *world = world_new();
    struct world_outcome outcome = { .rule = RULE_NONE };
    bool is_shown;

    CHECK(world_begin(world, &ops[0], NULL, 0) == 0);
    for (size_t i = 1; i < count; i++) world_apply(world, &ops[i], &outcome);
    is_shown = !world_difference(world) && outcome.finding != FINDING_NONE && outcome.rule == rule;
    if (is_shown) world_check(world);
    is_shown = is_shown && !world_difference(world);
    world_free(world);
    return is_shown;
}

static int replay_finds(struct explore *explore, const struct machine *machine, struct explore_verdict *verdict)
{
    const struct explore_result *result = &verdict->result;
    struct op ops[SCRIPT_OPS_MAX];

    if (result->finds[RULE_NONE].is_known) {
        snprintf(verdict->message, sizeof(verdict->message), "engine, hardware and oracle differ");
        return -EIO;
    }
    for (unsigned rule = 1; rule < RULE_COUNT; rule++) {
        size_t count;

        if (!result->finds[rule].is_known) continue;
        count = explore_script(explore, &machine->plan, &result->finds[rule], ops, SCRIPT_OPS_MAX);
        if (shows(ops, count, (enum world_rule)rule)) continue;
        snprintf(verdict->message, sizeof(verdict->message), "the script of %s does not show it again",
                 world_rule_name((enum world_rule)rule));
        return -EIO;
    }
    return 0;
}

int explore_cell(struct explore *explore, const struct explore_cell *cell, const struct explore_plan *limits,
                 struct explore_verdict *verdict)
{
    struct machine machine;
    int error;

    make_machine(cell, limits, &machine);
    *verdict = (struct explore_verdict){ 0 };
    error = explore_run(explore, &machine.plan, &verdict->result, verdict->message, sizeof(verdict->message));
    if (!error) error = replay_finds(explore, &machine, verdict);
    if (!error) verdict->found = verdict_of(&verdict->result);
    free_machine(&machine);
    return error;
}

/* ---- scripts -------------------------------------------------------------------------------------------------------
 */

char *explore_cell_script(struct explore *explore, const struct explore_cell *cell,
                          const struct explore_verdict *verdict, unsigned bit)
{
    const struct explore_plan limits = { .depth = 1 };
    struct machine machine;
    struct op ops[SCRIPT_OPS_MAX];
    size_t best = 0, length;
    char *text;

    make_machine(cell, &limits, &machine);
    for (unsigned i = 1; i < RULE_COUNT + EXPLORE_ENDS; i++) {
        const bool is_rule = i < RULE_COUNT;
        const struct explore_find *find = is_rule ? &verdict->result.finds[i] : &verdict->result.ends[i - RULE_COUNT];
        const unsigned mine = is_rule ? bit_of_rule((enum world_rule)i) : (unsigned)VERDICT_HANGS << (i - RULE_COUNT);
        struct op other[SCRIPT_OPS_MAX];
        size_t count;

        if (!find->is_known || mine != 1u << bit) continue;
        count = explore_script(explore, &machine.plan, find, other, SCRIPT_OPS_MAX);
        if (best && count >= best) continue;
        best = count;
        memcpy(ops, other, count * sizeof(*ops));
    }
    CHECK(best > 0);
    text = script_print_ops(ops, best, &length);
    free_machine(&machine);
    return text;
}
