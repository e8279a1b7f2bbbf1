#!/usr/bin/python3 -B
"""bench.json is Google Benchmark's own format: its compare.py (Debian: libbenchmark-tools) reads it as it is."""

import json
import os
import re
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURE = os.path.join(HERE, "fixture", "bench.json")
COMPARE = "/usr/share/benchmark/compare.py"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
ROW = re.compile(r"^(\S+)\s+([+-]\d+\.\d{4})\s+([+-]\d+\.\d{4})\s")  # name, change of time, change of cpu time


def names(path):
    with open(path, encoding="utf-8") as file:
        return [entry["name"] for entry in json.load(file)["benchmarks"]]


@unittest.skipUnless(os.path.exists(COMPARE), "no compare.py (Debian: libbenchmark-tools)")
class CompareTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="mapproof-compare-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def compare(self, before, after):
        """The printed table: ({name: change of cpu time}, all of the text)."""
        command = ["/usr/bin/python3", "-B", COMPARE, "--no-color", "benchmarks", before, after]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        text = COLOURS.sub("", done.stdout)
        rows = (ROW.match(line) for line in text.splitlines())
        return {match[1]: float(match[3]) for match in rows if match}, text

    def test_a_stored_result_against_one_that_is_a_quarter_slower(self):
        with open(FIXTURE, encoding="utf-8") as file:
            bench = json.load(file)
        for entry in bench["benchmarks"]:
            entry["real_time"] *= 1.25
            entry["cpu_time"] *= 1.25
        slower = os.path.join(self.folder, "slower.json")
        with open(slower, "w", encoding="utf-8") as file:
            json.dump(bench, file)
        changes, _ = self.compare(FIXTURE, slower)
        self.assertEqual({name: changes.get(name) for name in names(FIXTURE)}, {name: 0.25 for name in names(FIXTURE)})

    def test_a_fresh_result_with_repetitions(self):
        program = os.environ.get("MAPPROOF_BENCH")
        if not program:
            self.skipTest("no mapproof-bench in this build")
        paths = [os.path.join(self.folder, f"{name}.json") for name in ("before", "after")]
        for path in paths:
            command = [program, "--benchmark_filter=^(limit/store_2KiB|map/amdv1/1x4K/warm|map/amdv1/256x4K/warm)$"]
            command += ["--benchmark_min_time=0.001", "--benchmark_repetitions=9", f"--benchmark_out={path}"]
            subprocess.run(command, capture_output=True, timeout=120, check=True)
        changes, text = self.compare(*paths)
        self.assertEqual(set(names(paths[0])) - set(changes), set())
        self.assertIn("U Test, Repetitions: 9 vs 9", text)


if __name__ == "__main__":
    unittest.main()
