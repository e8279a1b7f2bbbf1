"""
Times, in shuffled pairs. A sample is the lower third of many short repetitions in a process of its own, so that address
layout is drawn anew each time; a pair is one sample of each side back to back, half of the pairs base first.
"""

import json
import os
import re

from gatelib.child import run
from gatelib.failure import CannotMeasure

# Shorter than a time slice, so that most repetitions are undisturbed. Not the fastest of them: a process that loses the
# processor between two timed sections is told too little time (bench.h). Measured on a shared two-core VM at load 5,
# base against itself, quartile distance of the ratios: 1 % so, 2 % with the median, 60 to 90 % with the fastest of
# five repetitions of 1 ms.
MIN_SECONDS = 0.0003


class Sampler:
    def __init__(self, base, head, deadline, progress):
        self.sides = {"base": base, "head": head}
        self.deadline = deadline
        self.progress = progress
        # Both sides replay the same inputs, also where a commit changed the corpus.
        self.environment = {**os.environ, "MAPPROOF_SOURCE_DIR": head.tree}

    def sample(self, side, case):
        """ns per operation."""
        command = [
            side.program,
            *side.arguments,
            f"--benchmark_filter=^{re.escape(case.name)}$",
            f"--benchmark_min_time={MIN_SECONDS}",
            f"--benchmark_repetitions={case.repetitions}",
            "--benchmark_format=json",
        ]
        result = run(command, self.deadline, "measuring times", environment=self.environment)
        if result.status != 0:
            raise CannotMeasure(f"{case.name} fails at {side.name} {side.commit[:12]}:\n{result.tail()}")
        return lower_third_ns(result.stdout, case)

    def collect(self, cases, pairs, generator):
        """{name: [(base ns, head ns)]}: a pair of every case, then the next of every case, cases shuffled each time."""
        orders = {case.name: balanced(pairs, generator) for case in cases}
        samples = {case.name: [] for case in cases}
        for index in range(pairs):
            for case in generator.sample(cases, len(cases)):
                times = {name: self.sample(self.sides[name], case) for name in orders[case.name][index]}
                samples[case.name].append((times["base"], times["head"]))
                self.progress.at(index, pairs, f"pairs of {len(cases)} cases: {case.name}")
            if index == 0:
                first_round = self.deadline.used()
            elif index == 2:
                self._check_pace((self.deadline.used() - first_round) / 2, pairs - 3)
        return samples

    def _check_pace(self, seconds_a_round, rounds):
        if seconds_a_round * rounds > self.deadline.left():
            raise CannotMeasure(
                f"{rounds} more rounds of {seconds_a_round:.1f} s do not fit the {self.deadline.left():.0f} s left of the "
                f"budget of {self.deadline.seconds:g} s; give --budget SECONDS or fewer cases (--case)"
            )


def balanced(pairs, generator):
    """Who goes first in each pair: half of them base, in random order."""
    orders = [("base", "head") if index % 2 == 0 else ("head", "base") for index in range(pairs)]
    generator.shuffle(orders)
    return orders


def lower_third_ns(text, case):
    """A third of the repetitions took less, by cpu_time in Google Benchmark's JSON."""
    units = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
    try:
        times = [
            float(each["cpu_time"]) * units[each["time_unit"]]
            for each in json.loads(text)["benchmarks"]
            if each["run_name"] == case.name and each["run_type"] == "iteration" and not each.get("error_occurred")
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise CannotMeasure(f"{case.name}: the benchmark's JSON is not as expected: {error!r}") from error
    if len(times) != case.repetitions or min(times) <= 0:
        raise CannotMeasure(f"{case.name}: expected {case.repetitions} positive times, found {times}")
    return sorted(times)[len(times) // 3]
