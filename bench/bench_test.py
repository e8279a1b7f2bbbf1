#!/usr/bin/python3
"""What programs outside rely on: names, JSON, exit codes and messages of mapproof-bench. Nothing here judges a time.

usage: bench_test.py PROGRAM [TEST...]      TEST as unittest names it: Flags, Names.every_promised_name_is_listed, ...
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = ""
SHORT = "--benchmark_min_time=0.001"
FORMATS = ("amdv1", "x86_64")
SIZES = [f"1x{4 << n}K" for n in range(8)] + [f"1x{1 << n}M" for n in range(10)] + ["1x1G"]
WORKS = SIZES + ["256x4K", "256x2M", "256x1G", "1GiB_as_4K", "1GiB_as_2M", "1GiB_best"]
INPUTS = ("nvme-e1000e", "pagemap-thp", "pagemap-4k")
COUNTERS = {"leaves", "ns_per_leaf", "bytes_mapped_per_second", "table_bytes"}


def bench(*arguments, **environment):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, env={**os.environ, **environment})


def listed(*arguments):
    return bench("--list", *arguments).stdout.split()


def has_vector():
    return any(name.endswith("-vector") for name in listed())


def measure(test, filter, *flags, **environment):
    result = bench(SHORT, "--benchmark_format=json", f"--benchmark_filter={filter}", *flags, **environment)
    test.assertEqual(result.returncode, 0, result.stderr)
    return json.loads(result.stdout)


class Flags(unittest.TestCase):
    def fails(self, code, message, *arguments, **environment):
        result = bench(*arguments, **environment)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertIn(message, result.stdout + result.stderr)

    def test_an_unknown_flag_exits_2(self):
        for flag in ("--benchmark_bogus=1", "--bogus", "--engine", "extra", "-h", "--benchmark_perf_counters=cycles"):
            self.fails(2, f"unknown argument '{flag}'", flag)

    def test_a_bad_value_exits_2(self):
        self.fails(2, "--benchmark_min_time=abc: expected a number of seconds", "--benchmark_min_time=abc")
        self.fails(2, "expected a number of seconds", "--benchmark_min_time=-1")
        self.fails(2, "expected a whole number", "--benchmark_repetitions=two")
        self.fails(2, "expected console or json", "--benchmark_format=csv")
        self.fails(2, "expected true or false", "--benchmark_list_tests=maybe")
        self.fails(2, "expected ns, us, ms or s", "--benchmark_time_unit=h")

    def test_a_filter_that_matches_nothing_exits_2(self):
        self.fails(2, "no case matches 'nothing_like_this'", "--benchmark_filter=nothing_like_this")
        self.fails(2, "no case matches", "--benchmark_filter=-.")

    def test_a_bad_filter_exits_2(self):
        self.fails(2, "--benchmark_filter=(", "--benchmark_filter=(")

    def test_a_bad_count_exits_2(self):
        self.fails(2, "--count: expected a number", "--count")
        self.fails(2, "--count: expected a number", "--count", "0", "map/amdv1/1x4K/warm")
        self.fails(2, "--count: expected a number", "--count", "many", "map/amdv1/1x4K/warm")
        self.fails(2, "--count: expected the name", "--count", "5")
        self.fails(2, "no case is named 'map/amdv1'", "--count", "5", "map/amdv1")

    def test_an_unwritable_out_exits_2_and_measures_nothing(self):
        self.fails(2, "/nowhere/bench.json: No such file or directory", "--benchmark_out=/nowhere/bench.json")

    def test_help_exits_0(self):
        self.fails(0, "--count N CASE", "--help")

    def test_a_case_that_goes_wrong_exits_1(self):
        for name, message in (
            ("no_set_up", "set-up fails on purpose"),
            ("wrong_result", "the result is wrong on purpose"),
            ("wrong_state", "the state is wrong on purpose"),
        ):
            case = f"self_test/{name}"
            self.fails(1, message, SHORT, f"--benchmark_filter={case}$", MAPPROOF_BENCH_SELF_TEST="1")
            self.fails(1, message, "--count", "250", case, MAPPROOF_BENCH_SELF_TEST="1")

    def test_one_wrong_case_among_right_ones_exits_1(self):
        self.fails(1, "on purpose", SHORT, "--benchmark_filter=self_test/", MAPPROOF_BENCH_SELF_TEST="1")

    def test_cases_that_go_wrong_are_hidden(self):
        self.assertFalse([name for name in listed() if name.startswith("self_test")])


class Names(unittest.TestCase):
    def promised(self):
        vector = ("", "-vector") if has_vector() else ("",)
        for build in vector:
            for format in FORMATS:
                for work in WORKS:
                    yield f"map/{format}/{work}/warm{build}"
                    yield f"map/{format}/{work}/cold{build}"
                    yield f"unmap/{format}/{work}/warm{build}"
                yield f"unmap/{format}/1GiB_as_4K/cold{build}"
                yield f"unmap/{format}/1GiB_as_2M/cold{build}"
                for order in ("sequential", "random"):
                    yield f"lookup/{format}/{order}_1GiB_of_4K/warm{build}"
                    yield f"lookup/{format}/{order}_1GiB_of_2M/warm{build}"
        for input in INPUTS:
            for format in FORMATS:
                yield f"replay/{input}/{format}"
        yield from ("limit/store_2KiB", "limit/store_2MiB", "limit/store_2KiB_scalar")

    def test_the_list_is_what_is_promised(self):
        names = listed()
        self.assertEqual(len(names), len(set(names)), "a name stands twice")
        self.assertEqual(sorted(names), sorted(self.promised()))

    def test_the_filter_searches_the_exact_name(self):
        self.assertEqual(listed("--benchmark_filter=^map/amdv1/1x4K/warm$"), ["map/amdv1/1x4K/warm"])
        self.assertEqual(listed("--benchmark_list_tests", "--benchmark_filter=limit/store_2M"), ["limit/store_2MiB"])
        without = listed("--benchmark_filter=-^map")
        self.assertTrue(without)
        self.assertFalse([name for name in without if name.startswith("map")])


class Json(unittest.TestCase):
    def check_times(self, run):
        self.assertEqual(run["time_unit"], "ns")
        self.assertGreater(run["cpu_time"], 0)
        self.assertEqual(run["cpu_time"], run["real_time"])
        if "ns_per_leaf" in run:
            self.assertAlmostEqual(run["ns_per_leaf"] * run["leaves"] / run["cpu_time"], 1, places=6)

    def test_each_run_has_its_exact_name_and_counters(self):
        filter = "^(un)?map/.*/(1x4K|1x1M|256x4K|256x2M|256x1G|1GiB_as_2M)/"
        runs = measure(self, filter)["benchmarks"]
        self.assertEqual([run["name"] for run in runs], listed(f"--benchmark_filter={filter}"))
        for run in runs:
            self.assertEqual(run["run_name"], run["name"])
            self.assertNotIn("error_occurred", run)
            self.assertLessEqual(COUNTERS, set(run))
            self.check_times(run)

    def test_leaves_and_tables_are_those_of_the_format(self):
        wanted = {
            "map/amdv1/1x1M/warm": (1, 3),
            "map/x86_64/1x1M/warm": (256, 4),
            "map/amdv1/256x4K/warm": (256, 3),
            "map/amdv1/256x2M/cold": (256, 2),
            "map/x86_64/256x1G/warm": (256, 2),
            "map/amdv1/1x1G/warm": (1, 1),
            "unmap/x86_64/1GiB_as_4K/cold": (262144, 3 + 512),
            "unmap/amdv1/1GiB_as_2M/warm": (512, 3),
        }
        for name, (leaves, tables) in wanted.items():
            with self.subTest(name):
                run = measure(self, f"^{name}$")["benchmarks"][0]
                self.assertEqual((run["leaves"], run["table_bytes"]), (leaves, tables * 4096))

    def test_lookups_limits_and_replays_have_theirs(self):
        runs = measure(self, "^lookup/amdv1/random|^limit|^replay/pagemap-thp")["benchmarks"]
        for run in runs:
            self.check_times(run)
            if run["name"].startswith("limit"):
                self.assertIn("bytes_stored_per_second", run)
                self.assertTrue(run["label"])
            elif run["name"].startswith("lookup"):
                self.assertEqual(run["leaves"], 1)
            else:
                self.assertLessEqual(COUNTERS, set(run))

    def test_repetitions_keep_the_name_and_the_times(self):
        runs = measure(self, "^map/amdv1/1x4K/warm$", "--benchmark_repetitions=3")["benchmarks"]
        self.assertEqual(len(runs), 3 + 4)
        for run in runs:
            self.assertEqual(run["run_name"], "map/amdv1/1x4K/warm")
            self.assertEqual(run["cpu_time"], run["real_time"])

    def test_the_context_says_what_was_measured(self):
        context = measure(self, "^limit/store_2KiB$", "--benchmark_context=commit=abc")["context"]
        for key in ("mapproof_build_type", "mapproof_compiler", "mapproof_flags", "mapproof_engines", "timer_section_ns"):
            self.assertIn(key, context)
        self.assertEqual(context["commit"], "abc")

    def test_the_environment_does_not_choose_cases(self):
        runs = measure(self, "^limit/store_2KiB$", BENCHMARK_FILTER="nothing")["benchmarks"]
        self.assertEqual(len(runs), 1)

    def test_out_is_written_whole(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "bench.json")
            result = bench(SHORT, "--benchmark_filter=^limit/store_2KiB$", f"--benchmark_out={path}")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(os.listdir(folder), ["bench.json"])
            with open(path) as file:
                self.assertEqual(json.load(file)["benchmarks"][0]["name"], "limit/store_2KiB")


class Count(unittest.TestCase):
    CASE = "map/amdv1/256x4K/warm"

    def test_a_count_runs_the_operations_asked_for(self):
        for number in ("1", "7", "1000"):
            result = bench("--count", number, self.CASE)
            self.assertEqual((result.returncode, result.stdout), (0, f"count: {self.CASE} {number} ops\n"))

    def instructions(self, number, *environment):
        with tempfile.TemporaryDirectory() as folder:
            command = ["env", *environment, "valgrind", "--tool=callgrind", "--collect-atstart=no"]
            command += [f"--callgrind-out-file={folder}/out", PROGRAM, "--count", str(number), self.CASE]
            result = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        return int(result.stderr.split("Collected :")[1].split()[0])

    def test_callgrind_counts_the_same_each_time(self):
        if not shutil.which("valgrind"):
            self.skipTest("no valgrind")
        context = measure(self, "^limit/store_2KiB$")["context"]
        if "sanitize" in context["mapproof_flags"] or "coverage" in context["mapproof_flags"]:
            self.skipTest("valgrind does not run a sanitized program")
        first = self.instructions(24)
        self.assertGreater(first, 24 * 256 * 0.5)
        self.assertEqual(first, self.instructions(24, "SOMETHING=" + 1000 * "x"))
        # The first bracket of a run may hold a few instructions more; every further one is the same.
        second = self.instructions(48)
        self.assertEqual(self.instructions(72) - second, second - first)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
