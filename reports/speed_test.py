#!/usr/bin/python3 -B
"""The part speed with stand-ins for the programs, its section of the page, and the tables in README.md and bench/SPEED.md."""

import copy
import os
import re
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path[:0] = [HERE, os.path.join(ROOT, "scripts")]
from nightlylib import page_speed, schema, speed, speed_lines  # noqa: E402
from nightlylib.modes import MODES  # noqa: E402
from nightlylib.progress import Progress  # noqa: E402
from nightlylib.workplace import Workplace  # noqa: E402
from result_case import Page, ResultCase  # noqa: E402

FORMATS = ("amdv1", "armv8", "armv8_16k", "armv8_64k", "armv8_s2", "armv8_s2_16k", "armv8_s2_64k", "fake", "riscv64",
           "riscv64_s2", "vtdss", "x86_64")  # fmt: skip

# Lists two formats of different granules; a case takes 7 ns, and 9 in the second process; the plugin has amdv1 only.
BENCH = r"""#!/usr/bin/python3 -B
import json, os, re, sys
cases = [f"{op}/{format}/{work}/warm{build}" for format, page in (("amdv1", "4K"), ("fake", "2K")) for build in ("", "-vector")
         for op, work in (("map", f"1x{page}"), ("map", f"256x{page}"), ("map", "1x1M"), ("map", f"1GiB_as_{page}"),
                          ("unmap", f"1x{page}"), ("unmap", f"256x{page}"), ("lookup", f"random_1GiB_of_{page}"))]
cases += ["map/amdv1_incoherent/1x4K/warm", "limit/store_2KiB", "limit/store_2KiB_scalar", "limit/store_4MiB", "limit/store_1MiB", "translate/amd/4K-4K-4K/hit"]
if "--list" in sys.argv:
    sys.exit(print("\n".join(cases)))
if "--count" in sys.argv:
    sys.exit(print("==1== Collected :", 1000 * int(sys.argv[sys.argv.index("--count") + 1])))
values = dict(each.split("=", 1) for each in sys.argv[1:] if "=" in each)
if os.environ.get("STAND_IN") == "fails":
    sys.exit("case failed")
with open(os.path.join(os.path.dirname(sys.argv[0]), "log"), "a") as log:
    print(values.get("--engine", "builtin"), file=log)
with open(os.path.join(os.path.dirname(sys.argv[0]), "log")) as log:
    ns = 7 if len(log.readlines()) == 1 else 9
chosen = [case for case in cases if re.search(values["--benchmark_filter"], case)]
entries = [{"name": case, "run_name": case, "run_type": "iteration", "time_unit": "ns", "cpu_time": ns, "real_time": ns,
            "leaves": 256 if "256x" in case else 1, "table_bytes": 4096} for case in chosen]
with open(values["--benchmark_out"], "w") as out:
    json.dump({"context": {}, "benchmarks": entries}, out)
"""
VALGRIND = '#!/bin/bash\nwhile [[ $1 == --* ]]; do shift; done\nexec "$@"\n'


class PartTest(ResultCase):
    def setUp(self):
        super().setUp()
        self.programs = {compiler: os.path.join(self.root, compiler) for compiler in speed.PRESETS}
        for path in ("gcc/mapproof-bench", "clang/mapproof-bench", "bin/valgrind"):
            path = os.path.join(self.root, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(VALGRIND if path.endswith("valgrind") else BENCH)
            os.chmod(path, 0o755)
        os.makedirs(os.path.join(self.folder, "log"))
        os.remove(os.path.join(self.folder, "speed.json"))
        self.was = dict(os.environ)
        os.environ["PATH"] = f"{self.root}/bin:{os.environ['PATH']}"
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(self.was)))

    def part(self):
        workplace = Workplace(ROOT, self.folder, Progress())
        return speed.run_part(workplace, self.programs, MODES["default"])

    def test_each_round_runs_every_program_and_medians_count(self):
        self.assertEqual(self.part()["state"], "ok")
        document = schema.read_json(os.path.join(self.folder, "speed.json"))
        schema.check_speed(document, "it")
        rows = page_speed.index_of(document)
        rounds = MODES["default"].speed_rounds
        for compiler in speed.PRESETS:
            with open(os.path.join(self.programs[compiler], "log"), encoding="utf-8") as file:
                engines = [line.strip() for line in file]
            self.assertEqual(set(engines), {"builtin", os.path.join(self.programs[compiler], "rewalk.so")})
            self.assertEqual(len(engines), 2 * rounds)
            row = rows["map/amdv1/256x4K/warm-vector", compiler, "builtin"]
            self.assertEqual((row["ns"], row["high"], row["rounds"], row["instructions"]), (9, 9, rounds, 1000))
        self.assertIn(("map/amdv1/256x4K/warm", "gcc", "rewalk"), rows)
        for absent in (("map/fake/256x2K/warm", "gcc", "rewalk"), ("map/amdv1/256x4K/warm-vector", "gcc", "rewalk"),
                       ("limit/store_1MiB", "gcc", "builtin"), ("map/amdv1_incoherent/1x4K/warm", "gcc", "builtin")):
            self.assertNotIn(absent, rows)
        self.assertIsNone(rows["limit/store_2KiB", "gcc", "builtin"]["instructions"])

    def test_a_program_that_fails_leaves_no_figures(self):
        os.environ["STAND_IN"] = "fails"
        part = self.part()
        self.assertEqual(part["state"], "could-not-run")
        self.assertIn("exit code 1", part["message"])
        self.assertFalse(os.path.exists(os.path.join(self.folder, "speed.json")))

    def test_a_build_that_is_not_there(self):
        os.remove(os.path.join(self.programs["clang"], "mapproof-bench"))
        self.assertIn("--list names no case of the table", self.part()["message"])


class TableTest(ResultCase):
    """What is made of the stored example."""

    def document(self):
        return copy.deepcopy(self.result["speed"])

    def row(self, document, case, compiler="gcc", engine="builtin"):
        return next(row for row in document["rows"] if (row["case"], row["compiler"], row["engine"]) == (case, compiler, engine))

    def test_a_goal_is_missed_above_it_and_not_at_it(self):
        document = self.document()
        row = self.row(document, "map/amdv1/256x4K/warm")
        for ns, misses in ((100, False), (100.1, True)):
            row["ns"] = ns
            shown = next(each for each in page_speed.goals(document) if each["case"] == row["case"])
            self.assertEqual(shown["cells"]["general", "gcc"]["misses"], misses)

    def test_a_goal_in_stores_is_taken_to_the_fastest_store_of_either_compiler(self):
        document = self.document()
        self.row(document, "limit/store_2MiB", "clang")["ns"] = 1000
        self.row(document, "limit/store_2MiB", "gcc")["ns"] = 2000
        for ns, misses in ((3000, False), (3001, True)):
            self.row(document, "map/amdv1/1GiB_as_4K/warm")["ns"] = ns
            shown = next(each for each in page_speed.goals(document) if each["case"] == "map/amdv1/1GiB_as_4K/warm")
            self.assertEqual(shown["cells"]["general", "gcc"]["misses"], misses)

    def test_stores_are_of_as_many_bytes_as_the_items(self):
        for case, limit in (("map/armv8_16k/1GiB_as_16K/warm", "limit/store_512KiB"), ("map/fake/1GiB_as_2K/warm", "limit/store_4MiB"),
                            ("map/armv8_64k/256x64K/warm", "limit/store_2KiB"), ("map/vtdss/1x1M/warm", "limit/store_2KiB"),
                            ("map/fake/1x1M/warm", None), ("map/amdv1/1x4K/warm", None)):
            self.assertEqual(page_speed.limit_case(case), limit)

    def test_the_page_has_every_line_and_the_published_tables(self):
        page = Page(self.render()[2])
        rows = [row for row in page.rows if row[0] == "amdv1"]
        self.assertGreaterEqual(len(rows), len(speed_lines.LINES))
        shapes = [row[0] for row in page.rows]
        for shape, *_ in speed_lines.PUBLISHED["amdv1"]:
            self.assertIn(shape.replace("*", "\u00d7"), shapes)
        self.assertIn("speed", page.ids)

    def test_a_result_without_it_has_no_section(self):
        os.remove(os.path.join(self.folder, "speed.json"))
        self.change("run", lambda run: run["files"].pop("speed"))
        self.assertNotIn('id="speed"', self.render()[2])


class WrittenTest(unittest.TestCase):
    """The tables in the tree: every line, every format. Not the figures: they are of the run that they name."""

    def read(self, *path):
        with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
            return file.read()

    def between(self, text):
        return text.split(page_speed.BEGIN, 1)[1].split(page_speed.END, 1)[0]

    def test_the_short_table_has_every_line_and_says_which_run_it_is(self):
        text = self.between(self.read("README.md"))
        for line in speed_lines.LINES:
            self.assertRegex(text, rf"(?m)^\| {re.escape(line.name)} \| {re.escape(page_speed.goal_text(line))} \|")
        self.assertRegex(text, r"^\n\d{4}-\d\d-\d\d \d\d:\d\d UTC, commit [0-9a-f]{12}")
        self.assertIn("`bench/speed.py --rounds=", text)

    def test_the_long_table_has_every_line_of_every_format_and_what_bounds_it(self):
        text = self.between(self.read("bench", "SPEED.md"))
        for line in speed_lines.LINES:
            section = text.split(f"### {line.name}\n", 1)[1].split("###", 1)[0]
            self.assertEqual(sorted(re.findall(r"(?m)^\| ([a-z0-9_]+) \|", section)), sorted(("format", *FORMATS)), line.name)
            self.assertIn(f"What bounds it: {line.bound}", section)
        for format, rows in speed_lines.PUBLISHED.items():
            table = text.split(f"| {format} | Linux new / old", 1)[1].split("\n\n", 1)[0]
            for shape, _, average, _ in rows:
                self.assertIn(f"| {shape.replace('*', chr(0xd7))} | {average[0]} / {average[1]} |", table)


if __name__ == "__main__":
    unittest.main()
