"""The fuzzing part: libFuzzer on a copy of the seeds, its figures into fuzz.json, crashing inputs kept."""

import contextlib
import os
import re
import shutil
import tempfile

from . import findings, schema
from .child import Stopped, run

STATUS_LINE = re.compile(r"^#(\d+)\s.*\bcov: (\d+)(?:.*\bcorp: (\d+))?")
STAT_LINE = re.compile(r"^stat::(\w+):\s*(\d+)")
TARGET_LINE = re.compile(r"^mapproof: execs=(\d+) ops=(\d+) findings=(\d+)")
ARTIFACT = re.compile(r"^(crash|leak|timeout|oom)-")
MISMATCHES = "fuzz_lockstep"
STARTUP_SECONDS = 120  # beyond the time asked for: reading seeds, the last input


class Tally:
    """What the output of one run says, line by line."""

    def __init__(self):
        self.execs = self.ops = self.findings = self.edges = self.corpus = 0
        self.has_target_line = False
        self.target_execs = 0
        self.found = []  # a match for each line about one finding

    def read(self, line):
        if match := STATUS_LINE.match(line):
            self.execs = max(self.execs, int(match[1]))
            self.edges = int(match[2])
            self.corpus = int(match[3] or self.corpus)
        elif match := STAT_LINE.match(line):
            if match[1] == "number_of_executed_units":
                self.execs = int(match[2])
        elif match := TARGET_LINE.match(line):
            self.has_target_line = True
            self.target_execs, self.ops, self.findings = (int(text) for text in match.groups())
        elif match := findings.parse_line(line):
            self.found.append(match)


class Job:
    """One target and its run. `replay` is mapproof-replay, which confirms what a target writes as findings."""

    def __init__(self, workplace, program, seconds, replay):
        self.workplace = workplace
        self.target = os.path.basename(program)
        self.program = program
        self.seconds = seconds
        self.replay = replay
        self.crashes = workplace.result(f"crashes/{self.target}")
        self.tally = Tally()
        self.command = []

    def watch(self, line):
        self.tally.read(line)
        if STATUS_LINE.match(line):
            tally = self.tally
            self.workplace.progress.at(
                f"{self.target}: {tally.execs} runs, {tally.edges} edges, {tally.corpus} inputs kept"
            )

    def run(self):
        """Returns (entry for fuzz.json or None, state, message)."""
        os.makedirs(self.crashes, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="mapproof-corpus-") as corpus:
            with tempfile.TemporaryDirectory(prefix="mapproof-findings-") as found:
                try:
                    ended = self.fuzz(corpus, found)
                except Stopped as stopped:
                    for line in stopped.ended.text.splitlines():  # the last ones came after the stop
                        self.tally.read(line)
                    stopped.entry = self.entry(stopped.ended)
                    self.keep_findings(found)
                    raise
                problems = self.keep_findings(found)
        entry = self.entry(ended)
        with contextlib.suppress(OSError):  # not empty
            os.removedirs(self.crashes)
        state, message = judge(ended, self.tally, self.crashes)
        if state == "ok" and problems:
            state, message = "failed", "\n".join(problems)
        return (entry if self.tally.execs else None), state, message

    def fuzz(self, corpus, found):
        copy_seeds(os.path.join(self.workplace.root, "corpus", "seed", self.target), corpus)
        self.command = [self.program, f"-max_total_time={self.seconds}", "-print_final_stats=1"]
        self.command += [f"-artifact_prefix={self.crashes}/", "-timeout=10", corpus]  # the target sets its own lengths
        environment = {"UBSAN_OPTIONS": "print_stacktrace=1", findings.ENVIRONMENT: found}
        log, limit = self.workplace.log(f"{self.target}.log"), self.seconds + STARTUP_SECONDS
        return run(self.command, log, self.watch, limit, environment)

    def keep_findings(self, folder):
        if not self.tally.found and not os.listdir(folder):
            return []
        return findings.collect(self.workplace, self.replay, self.target, folder, self.tally.found)

    def entry(self, ended):
        return entry_of(self.target, self.tally, ended, self.crashes)


def copy_seeds(seeds, corpus):
    if not os.path.isdir(seeds):
        return
    for name in sorted(os.listdir(seeds)):
        if os.path.isfile(os.path.join(seeds, name)):
            shutil.copyfile(os.path.join(seeds, name), os.path.join(corpus, name))


def artifacts(crashes):
    return sorted(name for name in os.listdir(crashes) if ARTIFACT.match(name)) if os.path.isdir(crashes) else []


def entry_of(target, tally, ended, crashes):
    seconds = round(ended.seconds, 2)
    runs = tally.target_execs or tally.execs
    return {
        "target": target,
        "fuzzer": "libfuzzer",
        "engine": os.path.basename(os.environ.get("MAPPROOF_ENGINE", "")) or "builtin",
        "execs": tally.execs,
        "seconds": seconds,
        "execs_per_second": round(tally.execs / seconds, 1) if seconds else 0.0,
        "ops_per_exec": round(tally.ops / runs, 2) if runs else 0.0,
        "edges": tally.edges,
        "corpus_files": tally.corpus,
        "findings": tally.findings,
        "crashes": len(artifacts(crashes)),
    }


def judge(ended, tally, crashes):
    if ended.status is None:
        return "could-not-run", ended.note
    if artifacts(crashes):
        return "failed", first_report(ended.text)
    if ended.note or ended.status != 0 or not tally.execs:
        return "could-not-run", f"{ended.note or f'exit code {ended.status}'}\n{ended.tail()}"
    if not tally.has_target_line:
        return "could-not-run", "the target printed no line 'mapproof: execs=N ops=N findings=N'"
    return "ok", ""


def first_report(text):
    """The lines that say what went wrong: from the first report on, at most 40."""
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if re.search(r"difference|CHECK failed|runtime error|ERROR: |SUMMARY: ", line):
            return "\n".join(lines[index : index + 40])
    return "\n".join(lines[-20:])


def shares(targets, seconds):
    """{target: its seconds}: the one that looks for mismatches gets as much as any two others."""
    weights = {target: 2 if target == MISMATCHES else 1 for target in targets}
    return {target: max(1, seconds * weight // sum(weights.values())) for target, weight in weights.items()}


def run_part(workplace, programs, seconds, replay):
    """Fuzz with each program for its share of `seconds`; write fuzz.json. Returns the part's entry for run.json."""
    entries, messages, states, commands, spent = [], [], [], [], 0.0
    share = shares([os.path.basename(program) for program in programs], seconds)
    for program in programs:
        target = os.path.basename(program)
        job = Job(workplace, program, share[target], replay)
        try:
            entry, state, message = job.run()
        except Stopped as stopped:
            if stopped.entry["execs"]:
                schema.write_json(workplace.result("fuzz.json"), entries + [stopped.entry])
            raise
        if entry:
            entries.append(entry)
            spent += entry["seconds"]
        states.append(state)
        commands.append(job.command)
        if message:
            messages.append(f"{target}: {message}")
    if entries:
        schema.write_json(workplace.result("fuzz.json"), entries)
    worst = next((state for state in ("failed", "could-not-run") if state in states), "ok")
    return {"state": worst, "message": "\n".join(messages), "seconds": round(spent, 1), "commands": commands}
