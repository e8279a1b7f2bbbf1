"""
The perf part: events of each family of benchmarks (perf stat), exact instructions of single cases (callgrind), and where
a map spends its time (perf record, as a flamegraph). What this machine refuses is left out with the reason.
"""

import fnmatch
import os
import re
import tempfile
import time

from gatelib import callgrind
from gatelib.cases import load
from gatelib.failure import CannotMeasure

from . import bench, flame, perfstat, schema
from .child import Stopped, output_of, run

SECONDS_LIMIT = 600
FREQUENCY = 997  # samples a second; a prime, so as to follow no timer
STACK_BYTES = 4096  # of each sample: enough for the whole path, and a quarter of what perf would save
SAMPLED = "cpu-clock:u"
# Which file of instruction counts the gate keeps; its patterns say how many operations are enough.
COUNTED_BY_GATE = os.path.join("scripts", "gate_cases.txt")


def family_of(case):
    return case.split("/")[0]


def choose(cases, patterns):
    """{family: its cases that match}; where none does, the family's first case stands for it. In the order of `cases`."""
    families = {}
    for case in cases:
        families.setdefault(family_of(case), []).append(case)
    return {
        family: [case for case in names if any(fnmatch.fnmatchcase(case, each) for each in patterns)] or names[:1]
        for family, names in families.items()
    }


def filter_of(cases):
    return "--benchmark_filter=^(" + "|".join(re.escape(case).replace(r"\-", "-") for case in cases) + ")$"


def counts_wanted(cases, root, mode):
    """[(case, operations)]: the mode's own, and those of the gate's list that the mode asks for."""
    own = [(case, operations) for case, operations in mode.counts if case in cases]
    names = [case for case, _ in own]
    if mode.counts_of_gate:
        for pattern, operations, _ in load(os.path.join(root, COUNTED_BY_GATE)):
            found = [case for case in fnmatch.filter(cases, pattern) if case not in names]
            own += [(case, operations) for case in found]
            names += found
    return own


class Perf:
    """One run of the part; `document` is perf.json as far as it is known."""

    def __init__(self, workplace, program, mode):
        self.workplace = workplace
        self.program = workplace.shown(program)
        self.mode = mode
        self.log = workplace.log("perf.log")
        self.cases = []
        self.whys = []  # why a better tier, or a piece, is not there
        self.document = {"tier": None, "why": "", "families": [], "instructions": [], "flamegraph": None}

    def run(self, command):
        return run(command, self.log, None, SECONDS_LIMIT)

    def say_why(self, text):
        if text and text not in self.whys:
            self.whys.append(text)

    def stat_families(self):
        """Stops at the first family that perf refuses: the others would be refused as well."""
        for family, cases in choose(self.cases, self.mode.perf_cases).items():
            self.workplace.progress.at(f"perf stat: {family}")
            what = [self.program, filter_of(cases), f"--benchmark_min_time={self.mode.perf_min_time}"]
            start = time.monotonic()
            events, why = perfstat.stat(self.run, what)
            self.say_why(why)
            if not events:
                return
            self.document["families"].append(
                {
                    "family": family,
                    "tier": perfstat.tier_of(events),
                    "cases": cases,
                    "seconds": round(time.monotonic() - start, 2),
                    "events": events,
                    "command": perfstat.command(what),
                }
            )

    def count_instructions(self):
        try:
            wanted = counts_wanted(self.cases, self.workplace.root, self.mode)
        except CannotMeasure as error:
            self.say_why(str(error))
            return
        for case, operations in wanted:
            self.workplace.progress.at(f"instructions: {case}")
            ended = self.run(callgrind.command(self.program, case, operations, "/dev/null"))
            instructions = callgrind.collected(ended.text)
            if ended.status != 0 or not instructions:
                self.say_why(f"callgrind: {case}: {ended.note or f'exit code {ended.status}'}")
                if ended.status is None:
                    return  # no valgrind
                continue
            entry = {"case": case, "per_op": round(instructions / operations, 2), "tier": "callgrind", "ops": operations}
            self.document["instructions"].append(entry)

    def record_map(self):
        """flamegraph.svg: samples within the engine's map, everything else counted and left out."""
        cases = [case for case in self.mode.flame_cases if case in self.cases]
        if not cases:
            self.say_why("no flamegraph: none of its cases exists")
            return
        self.workplace.progress.at("perf record")
        command = ["perf", "record", "-e", SAMPLED, "-F", str(FREQUENCY), "--call-graph", f"dwarf,{STACK_BYTES}", "-N", "-B"]
        command += ["--", self.program, filter_of(cases), f"--benchmark_min_time={self.mode.flame_min_time}"]
        with tempfile.TemporaryDirectory(prefix="mapproof-perf-") as folder:
            data = os.path.join(folder, "perf.data")
            ended = self.run(command[:2] + ["-o", data] + command[2:])
            if ended.status != 0:
                said = ended.note or f"exit code {ended.status}: {ended.tail(3)}"
                self.say_why(f"no flamegraph: perf record: {said}")
                return
            script = output_of(["perf", "script", "-i", data, "-F", "ip,sym,dso"], self.log, SECONDS_LIMIT)
        if script.status != 0:
            self.say_why(f"no flamegraph: perf script: {script.note or f'exit code {script.status}'}")
            return
        self.draw(flame.fold(script.text), cases, command, ended.seconds)

    def draw(self, stacks, cases, command, seconds):
        inside = flame.within(stacks, "_map_range")
        samples, all_samples = sum(inside.values()), sum(stacks.values())
        if not samples:
            self.say_why(f"no flamegraph: none of {all_samples} samples is within a map; is the build without symbols?")
            return
        title = f"Where a map spends its time: {', '.join(cases)}"
        note = f"{samples} of {all_samples} samples of {SAMPLED}; the others are set-up, untimed unmaps and verification"
        name = schema.FILES["flamegraph"]
        schema.write_text(self.workplace.result(name), flame.svg(inside, "map", title, note))
        self.document["flamegraph"] = {
            "svg": name,
            "samples": samples,
            "all_samples": all_samples,
            "seconds": round(seconds, 2),
            "event": SAMPLED,
            "command": command,
        }

    def write(self):
        """perf.json, if anything was measured."""
        tiers = [each["tier"] for each in self.document["families"] + self.document["instructions"]]
        if not tiers:
            return False
        self.document["tier"] = min(tiers, key=schema.TIERS.index)
        self.document["why"] = "; ".join(self.whys)
        schema.write_json(self.workplace.result(schema.FILES["perf"]), self.document)
        return True


def run_part(workplace, program, mode):
    """Write perf.json and flamegraph.svg. Returns the part's entry for run.json."""
    start = time.monotonic()
    perf = Perf(workplace, program, mode)
    perf.cases = bench.list_all(program, perf.log)
    try:
        if perf.cases:
            perf.stat_families()
            perf.count_instructions()
            perf.record_map()
        else:
            perf.say_why(f"{perf.program} --list names no case")
    except Stopped:
        perf.write()
        raise
    is_measured = perf.write()
    part = {"seconds": round(time.monotonic() - start, 1)}
    if not is_measured:
        return part | {"state": "could-not-run", "message": "; ".join(perf.whys)}
    return part | {"state": "ok", "message": "", "tier": perf.document["tier"]}
