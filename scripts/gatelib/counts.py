"""Exact instruction counts under callgrind, and which functions they changed in."""

import os
import re
from concurrent.futures import ThreadPoolExecutor

from gatelib import callgrind
from gatelib.child import end_all, run
from gatelib.failure import CannotMeasure
from gatelib.statistics import Count

FUNCTION = re.compile(r"\s*([0-9,]+) +\([ 0-9.]+%\)  (.*?)(?: \[[^]]*\])?$")

# -ffile-prefix-map makes file names relative to ., and callgrind puts the build folder before them.
BEFORE_PATH = re.compile(r"^(.*/)?\./")


class Counter:
    def __init__(self, base, head, folder, deadline):
        self.sides = (base, head)
        self.folder = folder
        self.deadline = deadline
        self.environment = {**os.environ, "MAPPROOF_SOURCE_DIR": head.tree}

    def out_file(self, side, case):
        return os.path.join(self.folder, f"{case.name.replace('/', '-')}.{side.name}.callgrind")

    def count_all(self, cases, progress):
        """{name: Count}. Counting does not mind company: as many at once as there are processors."""
        os.makedirs(self.folder, exist_ok=True)
        work = [(side, case) for case in cases for side in self.sides]
        collected = {}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            tasks = [pool.submit(self.count, *each) for each in work]
            try:
                for index, (each, task) in enumerate(zip(work, tasks)):
                    progress.at(index, len(work), f"instruction counts: {each[1].name}")
                    collected[each[0].name, each[1].name] = task.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                end_all()
                raise
        return {
            case.name: Count(*(collected[side.name, case.name] for side in self.sides), case.operations) for case in cases
        }

    def count(self, side, case):
        """Instructions of case.operations operations; set-up and verification are not collected."""
        out = self.out_file(side, case)
        command = callgrind.command(side.program, case.name, case.operations, out, side.arguments)
        result = run(command, self.deadline, "counting instructions", environment=self.environment)
        instructions = callgrind.collected(result.stderr)
        if result.status != 0 or not instructions:
            raise CannotMeasure(f"{case.name}: no count at {side.name} {side.commit[:12]}:\n{result.tail()}")
        return instructions

    def changes(self, case, most=3):
        """The functions whose own instructions changed most: [(name, change per operation)], the largest first."""
        base, head = (self._by_function(side, case) for side in self.sides)
        change = {name: head.get(name, 0) - base.get(name, 0) for name in base.keys() | head.keys()}
        ranked = sorted((name for name in change if change[name]), key=lambda name: (-abs(change[name]), name))
        return [(name, change[name] / case.operations) for name in ranked[:most]]

    def _by_function(self, side, case):
        command = ["callgrind_annotate", "--threshold=100", "--auto=no", self.out_file(side, case)]
        result = run(command, self.deadline, "reading counts")
        if result.status != 0:
            raise CannotMeasure(f"callgrind_annotate: {result.tail()}")
        return by_function(result.stdout)


def by_function(text):
    """{file:function: instructions} of callgrind_annotate's list."""
    functions = {}
    for line in text.splitlines():
        match = FUNCTION.match(line)
        if match and match.group(2) != "PROGRAM TOTALS":
            name = BEFORE_PATH.sub("", match.group(2))
            functions[name] = functions.get(name, 0) + int(match.group(1).replace(",", ""))
    return functions
