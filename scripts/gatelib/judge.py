"""One decision: times of every case, more where they leave it open, the suspects' afresh, a verdict each."""

from dataclasses import dataclass, field

from gatelib import statistics

# On a quiet machine one round decides. Under load an interval of 20 pairs can be 40 % wide.
ROUNDS_MAX = 4

EVERY, OPEN, SUSPECTS = "every case", "open cases, more", "suspects, afresh"


@dataclass
class Finding:
    """What is known of one case."""

    case: object
    time: statistics.Interval
    again: statistics.Interval
    count: statistics.Count
    verdict: str
    samples: dict = field(default_factory=dict)  # first, second: [(base ns, head ns)]
    functions: list = field(default_factory=list)

    @property
    def is_regression(self):
        return self.verdict in statistics.REGRESSIONS


def judge(cases, counts, collect, seed):
    """
    Findings in the order of `cases`. collect(cases, why) measures fresh pairs, {name: [(base, head)]}. It is called
    for every case, again for those that stay open, and then in the same way for the suspects alone, if there are any;
    no pair of the first set is used in the second. For OPEN it may return None: no time. The seed is the bootstrap's.
    """
    first, times = settle(cases, counts, collect, seed)
    suspects = [case for case in cases if statistics.is_suspect(times[case.name])]
    second, again = settle(suspects, counts, lambda some, why: collect(some, SUSPECTS if why == EVERY else why), seed + 1)
    findings = []
    for case in cases:
        name = case.name
        verdict = statistics.verdict(times[name], again.get(name), counts[name])
        samples = {"first": first[name], "second": second.get(name, [])}
        findings.append(Finding(case, times[name], again.get(name), counts[name], verdict, samples))
    return findings


def settle(cases, counts, collect, seed):
    """({name: pairs}, {name: Interval}) of one set: more pairs for the cases that are open, up to ROUNDS_MAX times."""
    samples, times = {case.name: [] for case in cases}, {}
    still_open = cases
    for index in range(ROUNDS_MAX):
        if not still_open:
            break
        fresh = collect(still_open, OPEN if index else EVERY)
        if fresh is None:
            break
        for case in still_open:
            samples[case.name] += fresh[case.name]
            times[case.name] = statistics.interval(samples[case.name], seed)
        still_open = [case for case in still_open if statistics.is_open(times[case.name], counts[case.name])]
    return samples, times
