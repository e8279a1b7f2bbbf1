#!/usr/bin/python3 -B
"""
Build, measure, fuzz, replay the real inputs, and write it all down: the work behind scripts/nightly, which does the
set-up first and says what the options mean. README.md beside this file describes what is written.
"""

import argparse
import datetime
import os
import re
import shutil
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "reports"), os.path.join(ROOT, "scripts")]  # scripts: gatelib counts instructions
from nightlylib import bench, child, context, fuzz, history, hyperfine, inputs, matrix, metrics, page, page_file, perf, schema, speed  # noqa: E402
from nightlylib.modes import FUZZ_TARGETS, INPUT_FILES, INPUT_FORMATS, MODES  # noqa: E402
from nightlylib.place import CannotWrite, ResultPlace  # noqa: E402
from nightlylib.progress import Progress  # noqa: E402
from nightlylib.workplace import Workplace  # noqa: E402

EXIT_OK, EXIT_WRONG, EXIT_CANNOT = 0, 1, 2
BUILD_LIMIT = 3600
BUILDS = {  # part: (preset, targets), ...
    "bench": [("release", ["mapproof-bench"])],
    "inputs": [("release", ["mapproof-replay"])],
    "fuzz": [("fuzz", FUZZ_TARGETS)],
    "speed": [(preset, ["mapproof-bench", speed.REWALKING]) for preset in speed.PRESETS.values()],
}
# And "matrix": the tests that scripts/matrix runs, from the same build as the benchmarks (Nightly.open).
BUILD_OF = {"perf": "bench", "hyperfine": "inputs"}  # parts that run what another one built
GATE_RATES = os.path.join(ROOT, "reports", "gate-rates.json")


def utc(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def could_not_run(message):
    return {"state": "could-not-run", "message": message}


def first_error(text, lines=25):
    """The output of a build from its first failure on."""
    output = text.splitlines()
    start = next((i for i, line in enumerate(output) if re.search(r"^FAILED:|\berror\b|Error", line)), -lines)
    return "\n".join(output[start:][:lines])


class Nightly:
    """One run. Every part writes its file into the growing result; a part that cannot run does not stop the others."""

    def __init__(self, mode, place, history_file, progress, builds):
        self.mode = mode
        self.place = place
        self.history_file = history_file
        self.progress = progress
        self.builds = builds  # folder that holds release/ and fuzz/
        self.started = datetime.datetime.now(datetime.timezone.utc)
        self.clock = time.monotonic()
        self.folder = None
        self.run = {}

    def open(self):
        self.folder = self.place.open()
        os.makedirs(os.path.join(self.folder, "log"))
        names = ["bench", "inputs", "perf", "hyperfine"] + (["matrix"] if self.wants_matrix() else [])
        names += (["speed"] if self.mode.speed_rounds else []) + ["fuzz"] + (["test"] if self.mode.tests_too else [])
        self.run = {
            "schema": schema.SCHEMA,
            "mode": self.mode.name,
            "state": "running",
            "exit_code": None,
            "started": utc(self.started),
            "seconds": 0,
            "commit": context.commit(ROOT),
            "machine": context.machine(),
            "compiler": {},
            "flags": {},
            "files": {},
            "parts": {name: {"state": "not-run", "message": ""} for name in names},
        }
        if os.path.exists(GATE_RATES):
            shutil.copyfile(GATE_RATES, os.path.join(self.folder, schema.FILES["gate"]))
        self.write()

    def wants_matrix(self):
        """A quick run builds no tests for it: it asks those that are there, brought up to date."""
        if self.mode.builds_tests or matrix.are_there(ROOT, os.path.join(self.builds, "release")):
            return True
        self.progress.say("matrix of formats and tests: left out, its programs are not built")
        return False

    def write(self):
        """run.json, metrics.txt and index.html of what is there so far: a stopped run can be read."""
        self.run["seconds"] = round(time.monotonic() - self.clock, 1)
        result = self.read()
        schema.write_text(os.path.join(self.folder, schema.FILES["metrics"]), metrics.render(result))
        self.read()
        page_file.write(self.folder, self.history_file)

    def read(self):
        """What is in the folder so far, after run.json has been written to name it all."""
        for name, file in schema.FILES.items():
            if os.path.exists(os.path.join(self.folder, file)):
                self.run["files"][name] = file
        schema.write_json(os.path.join(self.folder, "run.json"), self.run)
        return schema.read_result(self.folder)

    def part(self, name, title, work):
        self.progress.step(title)
        entry = self.run["parts"][name]
        try:
            entry.update(work())
        except child.Stopped:
            entry.update(state="stopped", message="stopped before its end")
            raise
        self.write()
        self.progress.say(f"{title}: {entry['state'].replace('-', ' ')}" + (f" ({entry['seconds']} s)" if "seconds" in entry else ""))
        if entry["state"] != "ok":
            print(entry["message"], file=sys.stderr)

    def build(self, part):
        """Configure and build what a part runs; returns '' or what went wrong."""
        for preset, targets in BUILDS[part] if part in BUILDS else [("release", matrix.programs(ROOT))]:
            failure = self.build_targets(part, preset, targets)
            if failure:
                return failure
        return ""

    def build_targets(self, part, preset, targets):
        self.progress.step(f"build {' '.join(targets)}")
        log = os.path.join(self.folder, "log", f"build-{part}.log")
        for command in (
            ["cmake", "--preset", preset],
            ["cmake", "--build", "--preset", preset, "--target", *targets],
        ):
            ended = child.run(command, log, self.progress.at, BUILD_LIMIT)
            if ended.status != 0:
                return f"{' '.join(command)}\n{ended.note or first_error(ended.text)}"
        made = context.build(os.path.join(self.builds, preset))
        self.run["compiler"][preset], self.run["flags"][preset] = made["compiler"], made["flags"]
        return ""

    def all_parts(self):
        failed = {part: self.build(part) for part in [*BUILDS, "matrix"] if part in self.run["parts"]}
        workplace = Workplace(ROOT, self.folder, self.progress)
        release, fuzzers = os.path.join(self.builds, "release"), os.path.join(self.builds, "fuzz")

        bench_program, replay = os.path.join(release, "mapproof-bench"), os.path.join(release, "mapproof-replay")
        programs = {compiler: os.path.join(self.builds, preset) for compiler, preset in speed.PRESETS.items()}
        targets = [os.path.join(fuzzers, target) for target in FUZZ_TARGETS]
        seconds = self.mode.fuzz_seconds
        for part, title, work in (
            ("bench", "benchmarks", lambda: bench.run_part(workplace, bench_program, self.mode)),
            ("inputs", "real inputs", lambda: inputs.run_part(workplace, replay, INPUT_FILES, INPUT_FORMATS)),
            ("perf", "perf and callgrind", lambda: perf.run_part(workplace, bench_program, self.mode)),
            ("hyperfine", "hyperfine", lambda: hyperfine.run_part(workplace, replay, INPUT_FILES, self.mode)),
            ("matrix", "matrix of formats and tests", lambda: matrix.run_part(workplace, release)),
            ("speed", "speed of every format", lambda: speed.run_part(workplace, programs, self.mode)),
            ("fuzz", f"fuzzing for {seconds} s", lambda: fuzz.run_part(workplace, targets, seconds, replay)),
        ):
            if part not in self.run["parts"]:
                continue
            failure = failed[BUILD_OF.get(part, part)]
            message = f"does not build: {failure}"
            self.part(part, title, (lambda m=message: could_not_run(m)) if failure else work)
        if self.mode.tests_too:
            self.part("test", "scripts/test --all", self.run_tests)

    def run_tests(self):
        log = os.path.join(self.folder, "log", "test.log")
        ended = child.run([os.path.join(ROOT, "scripts", "test"), "--all"], log, self.progress.at, 8 * 3600)
        state = {0: "ok", 1: "failed"}.get(ended.status, "could-not-run")
        last = (ended.text.strip().splitlines() or [ended.note])[-1]
        return {"state": state, "message": "" if state == "ok" else ended.tail(30), "seconds": round(ended.seconds), "summary": last}

    def finish(self):
        """The exit code, by the worst of the parts: a fault is a fault whatever else could not run."""
        states = [part["state"] for part in self.run["parts"].values()]
        code = EXIT_WRONG if "failed" in states else EXIT_OK if set(states) == {"ok"} else EXIT_CANNOT
        self.run["exit_code"] = code
        if self.run["state"] == "running":
            self.run["state"] = "complete"
        self.write()
        return code

    def publish(self, code):
        """Give the result its name and put it into the history, unless it is less whole than what it would replace."""
        if self.run["state"] == "stopped" or (code == EXIT_CANNOT and self.place.has_whole_result()):
            why = "stopped" if self.run["state"] == "stopped" else "something could not run"
            self.progress.say(f"{why}: {self.place.out} is as it was; what there is: {self.folder}/index.html")
            return
        self.place.publish()
        if code != EXIT_CANNOT:
            history.store(self.history_file, schema.read_result(self.place.out), self.place.out)
        self.progress.say(f"result: {self.place.out}/index.html")


def summary(nightly):
    """A few plain lines on stdout: what the page says first."""
    shown = page.view(schema.read_result(nightly.folder), history.previous(nightly.history_file, nightly.run))
    for row in shown["headline"]:
        ratio = f", {row['ratio']:.1f} x limit" if row["ratio"] else ""
        print(f"{row['name']}: {row['ns']:.1f} ns{ratio}")
    for entry in shown["fuzz"]:
        rate = f"{entry['execs_per_second']:.0f}/s, {entry['ops_per_exec']:.1f} ops each"
        print(f"{entry['target']}: {entry['execs']} execs, {rate}, {entry['findings']} findings, {entry['crashes']} crashes")
    for title, state, _ in shown["troubles"]:
        print(f"{title}: {state.replace('-', ' ')}")


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="scripts/nightly", allow_abbrev=False)
    parser.add_argument("--mode", choices=list(MODES), default="default")
    parser.add_argument("--out")
    parser.add_argument("--history", default=os.path.join(ROOT, "reports", "out", "history.sqlite"))
    parser.add_argument("--builds", default=os.path.join(ROOT, "build"))
    options = parser.parse_args(arguments)
    os.environ["PATH"] += ":/usr/bin:/bin"
    now = datetime.datetime.now(datetime.timezone.utc)
    out = options.out or os.path.join(ROOT, "reports", "out", now.strftime("%Y-%m-%dT%H%M%SZ"))
    nightly = Nightly(MODES[options.mode], ResultPlace(out), options.history, Progress(), options.builds)
    try:
        child.stop_on_signals()
        nightly.open()
        os.chdir(ROOT)
        try:
            nightly.all_parts()
        except child.Stopped as stopped:
            nightly.run["state"] = "stopped"
            nightly.progress.say(f"stopped by {stopped}")
        code = nightly.finish()
        summary(nightly)
        nightly.publish(code)
    except (CannotWrite, schema.Invalid) as error:
        print(f"scripts/nightly: {error}", file=sys.stderr)
        return EXIT_CANNOT
    except child.Stopped:
        return EXIT_CANNOT
    except OSError as error:
        print(f"scripts/nightly: {error.filename or ''}: {error.strerror}", file=sys.stderr)
        return EXIT_CANNOT
    return code


if __name__ == "__main__":
    sys.exit(main())
