"""
The speed part: every goal of speed for every format, compiled by gcc and clang, the general and the vector build, beside
plain stores, the re-walking plugin and exact instruction counts. One run: rounds of all programs in random order, each
with its cases in random order; medians of CPU time count. speed.json is all that page_speed.py shows.
"""

import os
import random
import re
import statistics
import tempfile
import time

from gatelib import callgrind

from . import bench, context, schema
from .child import Stopped, run
from .speed_lines import REWALKING, rewalked_of, wanted_of

PRESETS = {"gcc": "release", "clang": "release-clang"}
SECONDS_LIMIT = 3600


class Speed:
    """One run. programs: {compiler: folder of its build}."""

    def __init__(self, programs, rounds, min_time, log, say=lambda text: None):
        self.programs, self.rounds, self.min_time, self.log, self.say = programs, rounds, min_time, log, say
        self.wanted = {}
        self.times = {}  # (compiler, engine, case) -> [ns of each round]
        self.leaves = {}  # case -> leaves of one operation
        self.table_bytes = {}
        self.counts = {}

    def program(self, compiler):
        return os.path.join(self.programs[compiler], "mapproof-bench")

    def engine(self, compiler, engine):
        return [f"--engine={os.path.join(self.programs[compiler], 'rewalk.so')}"] if engine == REWALKING else []

    def cases_of(self, engine):
        return rewalked_of(self.wanted) if engine == REWALKING else self.wanted

    def round(self, compiler, engine):
        """One process: all its cases once, in random order. Returns '' or what went wrong."""
        names = "|".join(re.escape(name).replace(r"\-", "-") for name in self.cases_of(engine))
        with tempfile.TemporaryDirectory(prefix="mapproof-speed-") as folder:
            out = os.path.join(folder, "bench.json")
            command = [self.program(compiler), *self.engine(compiler, engine), f"--benchmark_filter=^({names})$"]
            command += [f"--benchmark_min_time={self.min_time}", "--benchmark_enable_random_interleaving=true"]
            ended = run(command + [f"--benchmark_out={out}", "--benchmark_out_format=json"], self.log, None, SECONDS_LIMIT)
            if ended.note or ended.status != 0:
                return f"{compiler} {engine}: {ended.note or f'exit code {ended.status}: {ended.tail(3)}'}"
            document = schema.read_json(out)
        for name, figures in bench.figures(document).items():
            self.times.setdefault((compiler, engine, name), []).append(figures["cpu_time_ns"])
            self.leaves[name] = figures.get("leaves")
            if engine != REWALKING:
                self.table_bytes[name] = figures.get("table_bytes")
        return ""

    def measure(self, formats=None):
        """All rounds. Returns '' or what went wrong."""
        for compiler in self.programs:
            cases = bench.list_all(self.program(compiler), self.log)
            self.wanted = wanted_of(cases, formats)
            if not any(self.wanted.values()):
                return f"{self.program(compiler)} --list names no case of the table"
        jobs = [(compiler, engine) for compiler in self.programs for engine in ("builtin", REWALKING)
                if engine == "builtin" or rewalked_of(self.wanted)]
        for index in range(self.rounds):
            random.shuffle(jobs)
            for compiler, engine in jobs:
                self.say(f"round {index + 1} of {self.rounds}: {compiler}, {engine}")
                failure = self.round(compiler, engine)
                if failure:
                    return failure
        return ""

    def count(self):
        """Instructions of one operation, by callgrind; without valgrind there are none."""
        for compiler, engine, name in self.times:
            operations = self.cases_of(engine).get(name)
            if not operations:
                continue
            self.say(f"instructions: {compiler} {engine} {name}")
            command = callgrind.command(self.program(compiler), name, operations, "/dev/null", self.engine(compiler, engine))
            ended = run(command, self.log, None, SECONDS_LIMIT)
            if ended.status is None:
                return
            counted = callgrind.collected(ended.text)
            if ended.status == 0 and counted:
                self.counts[compiler, engine, name] = round(counted / operations, 2)

    def document(self, root, command):
        """What speed.json is."""
        rows = []
        for (compiler, engine, name), times in self.times.items():
            row = {"case": name, "compiler": compiler, "engine": engine, "ns": round(statistics.median(times), 3)}
            row |= {"low": round(min(times), 3), "high": round(max(times), 3), "rounds": len(times)}
            row |= {"leaves": self.leaves.get(name), "instructions": self.counts.get((compiler, engine, name))}
            rows.append(row | {"table_bytes": self.table_bytes.get(name)})
        return {
            "commit": context.commit(root),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": context.machine(),
            "compilers": {compiler: context.build(folder) for compiler, folder in self.programs.items()},
            "rounds": self.rounds,
            "min_time": self.min_time,
            "command": command,
            "rows": rows,
        }


def run_part(workplace, programs, mode):
    """Write speed.json. Returns the part's entry for run.json."""
    start = time.monotonic()
    speed = Speed(programs, mode.speed_rounds, mode.speed_min_time, workplace.log("speed.log"), workplace.progress.at)
    command = ["bench/speed.py", f"--rounds={speed.rounds}", f"--min-time={speed.min_time}"]
    failure = speed.measure()
    if not failure:
        try:
            speed.count()
        except Stopped:
            schema.write_json(workplace.result(schema.FILES["speed"]), speed.document(workplace.root, command))
            raise
        schema.write_json(workplace.result(schema.FILES["speed"]), speed.document(workplace.root, command))
    part = {"seconds": round(time.monotonic() - start, 1), "command": command}
    return part | {"state": "could-not-run" if failure else "ok", "message": failure}
