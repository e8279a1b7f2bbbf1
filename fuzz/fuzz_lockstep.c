/*
 * Does every DMA end as this hardware, these tables and this RMP say, and what does it end in that the guest did not
 * deserve? Any sequence of ops on both stages, the RMP, invalidations, evictions and DMA, on any hardware variant with
 * any switches.
 *
 * Input:  op records or a text script (fuzz.h); the first op is a world, the default one if there is none.
 * Oracle: world_apply compares each op with the oracle; a difference aborts (fuzz_run.h).
 *         STALE, LOSES DMA and EXPANDS (world.h) are findings: lawful for this hardware, wrong for the guest. They are
 *         counted by rule and hardware, each kept as its shortest script (findings.h), and the run goes on.
 * Limits: 256 ops. Between inputs only counters and the book of findings are kept; no outcome depends on them.
 *
 * MAPPROOF_FINDINGS=DIR   write the scripts there (the folder must exist)
 * MAPPROOF_STRICT=1       a finding aborts as a difference does
 */
#include "fuzz_run.h"

#include "findings.h"

#include <stdlib.h>
#include <string.h>

const enum script_theme fuzz_theme = SCRIPT_LOCKSTEP;

static struct findings *book; /* made at the first finding, kept to the end */

static bool is_strict(void)
{
    const char *strict = getenv("MAPPROOF_STRICT");

    return strict && strict[0] && strcmp(strict, "0") != 0;
}

static void on_finding(const struct fuzz_input *input, const struct world_outcome *outcome)
{
    const struct finding_source source = { input->ops, input->at + 1, input->exec, input->seconds };
    char what[160];

    if (is_strict()) {
        snprintf(what, sizeof(what), "finding %s %s on %s, and MAPPROOF_STRICT allows none,",
                 world_finding_name(outcome->finding), world_rule_name(outcome->rule),
                 op_hw_name((unsigned)op_get(&input->ops[0], FIELD_HW)));
        fuzz_abort(input, what, world_rule_title(outcome->rule));
    }
    if (!book) book = findings_new(getenv("MAPPROOF_FINDINGS"));
    findings_note(book, &source, outcome);
}

static void print(void)
{
    if (book) findings_print(book, stderr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzz_target target = { on_finding, print };

    fuzz_run(&target, data, size);
    return 0;
}
