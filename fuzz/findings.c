/* See findings.h. */
#define _GNU_SOURCE /* vasprintf */
#include "findings.h"

#include "fuzz_chosen.h"
#include "fuzz_run.h"

#include "base/bits.h"
#include "base/check.h"
#include "script/script.h"
#include "world/world_words.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    HW_MAX = 16,     /* values that FIELD_HW can have */
    ASKS_MAX = 6000, /* runs of a script that one minimisation may take */
    OPS_FEW = 6,     /* a script that nobody needs shorter */
    PATH_BYTES = 4096,
    NAME_BYTES = 128,
    RESULT_BYTES = 256,
    GUEST_REGION = 0x200000,
    HOST_REGION = 0x400000,
};

struct finding {
    uint64_t count, first_exec;
    double first_seconds;
    size_t ops; /* of the best script */
};

struct findings {
    char *folder;        /* NULL: none */
    struct world *world; /* where scripts are minimised */
    struct finding found[RULE_COUNT][HW_MAX];
};

struct findings *findings_new(const char *folder)
{
    struct findings *findings = calloc(1, sizeof(*findings));

    CHECK(findings != NULL);
    findings->folder = folder ? strdup(folder) : NULL;
    findings->world = world_new();
    return findings;
}

void findings_free(struct findings *findings)
{
    if (!findings) return;
    world_free(findings->world);
    free(findings->folder);
    free(findings);
}

static void print_key(const struct finding_key *key, char name[NAME_BYTES])
{
    snprintf(name, NAME_BYTES, "%s.%s.%s", world_finding_token(world_rule_finding(key->rule)),
             world_rule_name(key->rule), op_hw_name(key->hw));
}

/* ---- minimising -------------------------------------------------------------------------------------------------- */

struct wish {
    struct world *world;
    const struct finding_key *key;
    bool is_lone; /* no finding before the last op */
};

static bool begin(struct world *world, const struct op *world_op)
{
    struct op op = *world_op; /* of a format that the engine has, since fuzz_run */
    char message[256];

    world_use_engine(world, fuzz_engine(&op));
    return world_begin(world, &op, message, sizeof(message)) == 0;
}

static bool ends_in_it(void *context, const struct op *ops, size_t count)
{
    const struct wish *wish = context;
    struct world_outcome outcome = { .rule = RULE_NONE };

    if (op_get(&ops[0], FIELD_HW) != wish->key->hw || !begin(wish->world, &ops[0])) return false;
    for (size_t i = 1; i < count; i++) {
        if (wish->is_lone && outcome.finding != FINDING_NONE) return false;
        world_apply(wish->world, &ops[i], &outcome);
    }
    return outcome.rule == wish->key->rule && !world_difference(wish->world);
}

static bool try_ops(struct wish *wish, struct op *ops, const struct op *trial, size_t count)
{
    if (!ends_in_it(wish, trial, count)) return false;
    memcpy(ops, trial, count * sizeof(*ops));
    return true;
}

/* An entry may go at any time: where something in the script only makes it go, the plainest way is to say so. */
static size_t try_evictions(struct wish *wish, struct op *ops, size_t count)
{
    const struct op *last = &ops[count - 1];
    struct op trial[FUZZ_OPS_MAX];
    struct op evict = op_make(OP_EVICT);

    if (op_kind_of(last) != OP_DMA) return count; /* met by one that a stall held back */
    op_set(&evict, FIELD_INPUT, op_get(last, FIELD_INPUT));
    op_set(&evict, FIELD_DEVICE, op_get(last, FIELD_DEVICE));
    op_set(&evict, FIELD_PASID, op_get(last, FIELD_PASID));
    for (size_t i = 1; i + 1 < count; i++) {
        if (op_kind_of(&ops[i]) == OP_EVICT) return count;
        memcpy(trial, ops, count * sizeof(*ops));
        trial[i] = evict;
        if (try_ops(wish, ops, trial, count)) return script_simplify(ops, count, ends_in_it, wish, ASKS_MAX);
    }
    return count;
}

/* Move every address of the op that lies in the 2M region `from`: of the host's memory, or of any other space. */
static void move_region(struct op *op, bool is_host, uint64_t from, uint64_t to)
{
    static const enum op_field fields[] = { FIELD_HPA, FIELD_INPUT, FIELD_AT, FIELD_GPA };
    const enum op_kind kind = op_kind_of(op);
    const bool is_s1 = op_has(kind, FIELD_STAGE) && op_get(op, FIELD_STAGE) == STAGE_S1;

    for (unsigned i = 0; i < 4; i++) {
        if (!op_has(kind, fields[i]) || (fields[i] == FIELD_HPA && !is_s1) != is_host) continue;
        if (align_down(op_get(op, fields[i]), SHIFT_2M) != from) continue;
        op_set(op, fields[i], op_get(op, fields[i]) - from + to);
    }
}

static void try_move(struct wish *wish, struct op *ops, size_t count, uint64_t from)
{
    struct op trial[FUZZ_OPS_MAX];

    for (unsigned is_host = 0; is_host < 2; is_host++) {
        memcpy(trial, ops, count * sizeof(*ops));
        for (size_t i = 1; i < count; i++) move_region(&trial[i], is_host, from, is_host ? HOST_REGION : GUEST_REGION);
        if (memcmp(trial, ops, count * sizeof(*ops)) != 0) try_ops(wish, ops, trial, count);
    }
}

/*
 * Addresses that people can tell apart, where the finding does not mind: guest memory at 2M, the host's at 4M. All
 * that lies in one 2M region moves together; one op alone would lose its meaning.
 */
static void tidy_addresses(struct wish *wish, struct op *ops, size_t count)
{
    static const enum op_field fields[] = { FIELD_HPA, FIELD_INPUT, FIELD_AT, FIELD_GPA };

    for (size_t i = count; i-- > 1;) {
        for (unsigned at = 0; at < 4; at++) {
            uint64_t region;

            if (!op_has(op_kind_of(&ops[i]), fields[at])) continue;
            region = align_down(op_get(&ops[i], fields[at]), SHIFT_2M);
            if (region != GUEST_REGION && region != HOST_REGION) try_move(wish, ops, count, region);
        }
    }
}

static size_t minimise(struct wish *wish, struct op *ops, size_t count)
{
    const size_t left = script_simplify(ops, count, ends_in_it, wish, ASKS_MAX);

    return left ? try_evictions(wish, ops, left) : 0;
}

size_t findings_minimise(struct world *world, const struct finding_key *key, struct op *ops, size_t count)
{
    struct wish wish = { world, key, true };
    size_t left;

    CHECK(count <= FUZZ_OPS_MAX);
    left = minimise(&wish, ops, count);
    if (left == 0) {
        wish.is_lone = false;
        left = minimise(&wish, ops, count);
    }
    if (left) tidy_addresses(&wish, ops, left);
    return left;
}

/* ---- telling ----------------------------------------------------------------------------------------------------- */

/* printf into a malloc'd string. */
__attribute__((format(printf, 1, 2))) static char *text_of(const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    CHECK(vasprintf(&text, format, arguments) >= 0);
    va_end(arguments);
    return text;
}

/* What stands above the first op. */
static char *head_of(const struct finding_key *key, const char *entitled, const char *happened, const char *machine)
{
    return text_of("# %s\n# finding: %s, rule %s, hardware %s\n# entitled: %s\n# happened: %s\n\n# %s\n",
                   world_rule_title(key->rule), world_finding_name(world_rule_finding(key->rule)),
                   world_rule_name(key->rule), op_hw_name(key->hw), entitled, happened, machine);
}

char *findings_describe(struct world *world, const struct finding_key *key, const struct op *ops, size_t count)
{
    struct script_note notes[FUZZ_OPS_MAX] = { 0 };
    struct op copy[FUZZ_OPS_MAX];
    struct script script = { .ops = copy, .notes = notes, .count = count, .has_world = true };
    struct world_outcome outcome;
    char words[WORLD_WORDS_MAX], machine[WORLD_WORDS_MAX], entitled[WORLD_WORDS_MAX], result[RESULT_BYTES];
    char *text;
    size_t length;

    memcpy(copy, ops, count * sizeof(*ops));
    CHECK(begin(world, &ops[0]));
    world_print_words(world, &ops[0], NULL, machine, sizeof(machine));
    for (size_t i = 1; i < count; i++) {
        world_apply(world, &ops[i], &outcome);
        world_print_words(world, &ops[i], &outcome, words, sizeof(words));
        world_print_result(&outcome, result, sizeof(result));
        notes[i].before = text_of("# %s\n", words);
        notes[i].expectation = text_of("%s", result);
    }
    world_print_entitled(world, &ops[count - 1], &outcome, entitled, sizeof(entitled));
    notes[0].before = head_of(key, entitled, words, machine);
    notes[0].expectation = text_of("ok");
    text = script_print(&script, &length);
    for (size_t i = 0; i < count; i++) {
        free((char *)notes[i].before);
        free((char *)notes[i].expectation);
    }
    return text;
}

/* Whole or not at all, whoever else writes the same name. */
static void write_script(const struct findings *findings, const char *name, const char *text)
{
    char path[PATH_BYTES], temporary[PATH_BYTES];
    FILE *file;
    bool is_good;

    if (snprintf(path, sizeof(path), "%s/%s.ops", findings->folder, name) >= (int)sizeof(path) ||
        snprintf(temporary, sizeof(temporary), "%s/.%s.%ld", findings->folder, name, (long)getpid()) >=
            (int)sizeof(temporary)) {
        fprintf(stderr, "mapproof: %s: the name is too long\n", findings->folder);
        return;
    }
    file = fopen(temporary, "w");
    is_good = file && fputs(text, file) >= 0;
    if (file) is_good = fclose(file) == 0 && is_good;
    if (!is_good || rename(temporary, path) != 0) {
        fprintf(stderr, "mapproof: %s: %s\n", path, strerror(errno));
        unlink(temporary);
    }
}

/* ---- the book ---------------------------------------------------------------------------------------------------- */

static void keep_script(struct findings *findings, struct finding *finding, const struct finding_key *key,
                        const struct finding_source *source)
{
    struct op ops[FUZZ_OPS_MAX];
    char name[NAME_BYTES];
    size_t count;
    char *text;

    memcpy(ops, source->ops, source->count * sizeof(*ops));
    count = findings_minimise(findings->world, key, ops, source->count);
    CHECK(count > 0); /* what the target's world did, a fresh one does */
    if (finding->ops && count >= finding->ops) return;
    finding->ops = count;
    if (!findings->folder) return;
    text = findings_describe(findings->world, key, ops, count);
    print_key(key, name);
    write_script(findings, name, text);
    free(text);
}

/* The 1st; while the script is long also the 4th, 16th, ...: another way there may be shorter. */
static bool is_worth_a_look(const struct finding *finding)
{
    const bool is_power_of_4 = (finding->count & (finding->count - 1)) == 0 && trailing_zeros(finding->count) % 2 == 0;

    return is_power_of_4 && (finding->ops == 0 || finding->ops > OPS_FEW);
}

void findings_note(struct findings *findings, const struct finding_source *source, const struct world_outcome *outcome)
{
    const struct finding_key key = { outcome->rule, (unsigned)op_get(&source->ops[0], FIELD_HW) };
    struct finding *finding;

    CHECK(key.rule > RULE_NONE);
    CHECK(key.rule < RULE_COUNT);
    CHECK(key.hw < HW_MAX);
    finding = &findings->found[key.rule][key.hw];
    if (finding->count++ == 0) {
        finding->first_exec = source->exec;
        finding->first_seconds = source->seconds;
    }
    if (source->count < finding->ops || is_worth_a_look(finding)) keep_script(findings, finding, &key, source);
}

void findings_print(const struct findings *findings, FILE *file)
{
    for (unsigned rule = 0; rule < RULE_COUNT; rule++) {
        for (unsigned hw = 0; hw < HW_MAX; hw++) {
            const struct finding *finding = &findings->found[rule][hw];
            const struct finding_key key = { (enum world_rule)rule, hw };
            char name[NAME_BYTES];

            if (finding->count == 0) continue;
            print_key(&key, name);
            fprintf(file, "mapproof: finding %s count=%" PRIu64 " first_exec=%" PRIu64 " first_seconds=%.2f ops=%zu\n",
                    name, finding->count, finding->first_exec, finding->first_seconds, finding->ops);
        }
    }
}
