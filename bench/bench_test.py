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
# Granule (log2), index bits, leaf sizes up to 1 GiB (log2) of each default configuration: formats.md 1, said a third time.
FORMATS = {
    "amdv1": (12, 9, range(12, 31)),
    "x86_64": (12, 9, (12, 21, 30)),
    "vtdss": (12, 9, (12, 21, 30)),
    "riscv64": (12, 9, (12, 16, 21, 30)),
    "riscv64_s2": (12, 9, (12, 16, 21, 30)),
    "armv8": (12, 9, (12, 16, 21, 25, 30)),
    "armv8_16k": (14, 11, (14, 21, 25, 30)),
    "armv8_64k": (16, 13, (16, 21, 29)),
    "armv8_s2": (12, 9, (12, 16, 21, 25, 30)),
    "armv8_s2_16k": (14, 11, (14, 21, 25, 30)),
    "armv8_s2_64k": (16, 13, (16, 21, 29)),
    "fake": (11, 9, (11, 13, 16, 20, 23, 29, 30)),
}
INCOHERENT = ("x86_64", "vtdss", "armv8", "armv8_16k", "armv8_64k", "armv8_s2", "armv8_s2_16k", "armv8_s2_64k", "fake")
GROWS = ("amdv1", "fake")
NO_DIRTY_BIT = ("x86_64", "riscv64", "riscv64_s2")  # none that software reads
NO_LIVE_RESIZE = ("armv8", "armv8_16k", "armv8_64k", "armv8_s2", "armv8_s2_16k", "armv8_s2_64k")  # formats.md 6
CUTS = [(16, 11), (16, 12), (20, 12), (20, 19), (21, 12), (21, 20), (30, 12), (30, 29)]  # leaf, offset
RESIZES = [(16, 11), (16, 12), (20, 11), (20, 12), (21, 12), (29, 20), (30, 12), (30, 21)]  # and back
ALWAYS_BUILT = {"amdv1", "x86_64", "vtdss", "riscv64", "riscv64_s2", "armv8", "armv8_16k", "armv8_64k", "armv8_s2",
                "armv8_s2_16k", "armv8_s2_64k", "fake"}
WHOLE_SWEEP = ("amdv1", "x86_64")  # 1x2^n in every build and state; others: leaf sizes
SCALES = ("1MiB", "4MiB", "16MiB", "64MiB", "256MiB", "1GiB", "4GiB", "16GiB", "64GiB", "256GiB", "1TiB")
LIMITS = ("2KiB", "8KiB", "32KiB", "128KiB", "256KiB", "512KiB", "1MiB", "2MiB", "4MiB", "8MiB", "32MiB")
INPUTS = ("nvme-e1000e", "pagemap-thp", "pagemap-4k")
VARIANTS = ("amd", "amd-fill-2m", "smallest", "expanding", "cpu", "cca", "off")
CELLS = [f"{s1}-{s2}-{rmp}" for s1 in ("none", "4K", "2M") for s2 in ("4K", "2M") for rmp in ("4K", "2M")]
ROWS = [f"{s2}-{rmp}" for s2 in ("4K", "2M", "best") for rmp in ("4K", "2M", "mixed")]
TRAFFIC = ("sequential", "random", "strided", "trace")
IOTLB_COUNTERS = {"accesses", "hit_ratio", "hit_ratio_min", "hit_ratio_max", "fill_4K", "fill_2M", "walk_reads"}
IOTLB_COUNTERS |= {"faults_rmp_size", "faults", "repairs", "expands", "iotlb_entries", "reach_bytes"}
COUNTERS = {"leaves", "ns_per_leaf", "bytes_mapped_per_second", "table_bytes"}


def bench(*arguments, **environment):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, env={**os.environ, **environment})


def listed(*arguments):
    return bench("--list", *arguments).stdout.split()


def has_vector():
    return any(name.endswith("-vector") for name in listed())


def size(shift):
    return f"{1 << shift % 10}{'KMG'[shift // 10 - 1]}"


def built():
    """The formats of this build. Each must have a row above."""
    return list(dict.fromkeys(name.split("/")[1] for name in listed("--benchmark_filter=^lookup/")))


def works(format, is_everywhere):
    """(shapes of map and unmap, shapes whose unmap frees tables, leaf sizes of lookups), in words of the names."""
    granule, index_bits, leaves = FORMATS[format]
    levels = [shift for shift in range(granule, 31, index_bits) if shift in leaves]
    sweep = [shift for shift in range(granule, 31)]
    if is_everywhere and format not in WHOLE_SWEEP:
        sweep = [shift for shift in sweep if shift in leaves]
    parts = [shift for shift in levels[:2] if shift < 30]
    names = [f"1x{size(shift)}" for shift in sweep] + [f"256x{size(shift)}" for shift in levels]
    names += [f"1GiB_as_{size(shift)}" for shift in parts] + ["1GiB_best"]
    return names, [f"1GiB_as_{size(shift)}" for shift in parts if shift + index_bits <= 30], [size(shift) for shift in parts]


def resizes(format):
    """Names of the cut and resize cases but for the build's suffix."""
    granule, index_bits, leaves = FORMATS[format]
    if format in NO_LIVE_RESIZE:
        return

    def level_shift(leaf):
        return granule + (leaf - granule) // index_bits * index_bits

    for leaf, at in CUTS:
        if leaf in leaves and at >= granule:
            yield f"cut/{format}/{size(leaf)}_at_{size(at)}/" + ("warm" if at >= level_shift(leaf) else "cold")
    for large, small in RESIZES:
        if large in leaves and small in leaves:
            state = "warm" if small >= level_shift(large) else "cold"
            yield f"resize/{format}/{size(large)}_to_{size(small)}/{state}"
            yield f"resize/{format}/{size(small)}_to_{size(large)}/{state}"


def batches(format):
    """Names of the cases of many pieces, but for the build's suffix."""
    granule = FORMATS[format][0]
    for operation, way in (("map", "list"), ("map", "calls"), ("unmap", "ranges"), ("unmap", "lookups"), ("unmap", "calls")):
        yield f"{operation}/{format}/{way}_256x{size(granule)}/warm"
    for operation, way in (("map", "list"), ("unmap", "ranges")):
        yield f"{operation}/{format}/{way}_1x{size(granule + 8)}/warm"


def layouts(format):
    """Names of the cases of whole layouts."""
    for layout in INPUTS[1:] if FORMATS[format][0] <= 12 else ():
        for operation, way in (("map", ""), ("map", "list_"), ("unmap", ""), ("unmap", "ranges_")):
            yield f"{operation}/{format}/{way}{layout}/cold"
        if format not in NO_LIVE_RESIZE:
            yield f"resize/{format}/{layout}_merged/cold"


def dirties(format):
    """Names of the dirty cases, but for the build's suffix."""
    if format in NO_DIRTY_BIT:
        return
    granule, index_bits, _ = FORMATS[format]
    for index, leaf in enumerate(works(format, True)[2]):
        if (1 << 30 - granule - index * index_bits) < 100:
            continue
        if index == 0:
            yield f"dirty/{format}/set_1GiB_of_{leaf}/warm"
        for percent in (0, 1, 50, 100):
            yield f"dirty/{format}/scan_1GiB_of_{leaf}_{percent}pct/warm"
            if index == 0 and percent > 0:
                yield f"dirty/{format}/peek_1GiB_of_{leaf}_{percent}pct/warm"


def incoherents(format, build):
    """Names of the cases whose walker does not snoop."""
    for operation in ("map", "unmap") if format in INCOHERENT else ():
        for count in (1, 256):
            case = f"{operation}/{format}_incoherent/{count}x{size(FORMATS[format][0])}/warm"
            yield case + build
            if not build and has_write_back():
                yield case + "-writeback"


def has_write_back():
    return os.uname().machine == "x86_64"


def measure(test, filter, *flags, **environment):
    result = bench(SHORT, "--benchmark_format=json", f"--benchmark_filter={filter}", *flags, **environment)
    test.assertEqual(result.returncode, 0, result.stderr)
    return json.loads(result.stdout)


def faults(variant, cell):
    """Does a private access fault for its size? rmp.md 4.6, said a third time."""
    s1, s2, rmp = cell.split("-")
    if variant in ("amd", "amd-fill-2m"):
        return s2 != rmp
    return variant == "expanding" and (s2, rmp) == ("2M", "4K")


def is_slow(test):
    """A sanitized build takes twenty times as long: there, a few cells stand for all."""
    return "sanitize" in measure(test, "^limit/store_2KiB$")["context"]["mapproof_flags"]


class Flags(unittest.TestCase):
    def fails(self, code, message, *arguments, **environment):
        result = bench(*arguments, **environment)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertIn(message, result.stdout + result.stderr)

    def test_an_unknown_flag_exits_2(self):
        for flag in ("--benchmark_bogus=1", "--bogus", "--engines", "extra", "-h", "--benchmark_perf_counters=cycles"):
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

    def test_unknown_traffic_exits_2(self):
        self.fails(2, "--outcomes=x: expected sequential, random, strided or trace", "--outcomes=x")

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

    def test_a_case_whose_table_is_spoilt_exits_1(self):
        """After the run one item leads elsewhere, one leaf is left, one dirty bit or one flush is lost."""
        filter = "^(map|unmap|cut|resize|dirty|growth)/(amdv1|x86_64|armv8|fake)(_incoherent)?/.*/(warm|cold|warm-writeback)$"
        filter += "|^scale/(amdv1|fake)/map_(1|64)MiB|^limit/store_8KiB|^replay/pagemap-thp/amdv1$"
        message = "leads to|items are not as wanted|leaf items|are dirty, wanted|does not snoop|holds 0x|bytes are mapped in the end"
        names = [name for name in listed(f"--benchmark_filter={filter}") if "1x" not in name or "1x1M" in name or "_inc" in name]
        self.assertGreater(len(names), 100)
        for name in names:
            result = bench("--count", "1", name, MAPPROOF_BENCH_SELF_TEST="spoil")
            self.assertEqual(result.returncode, 1, name + result.stdout + result.stderr)
            self.assertRegex(result.stderr, message, name)

    def test_one_wrong_case_among_right_ones_exits_1(self):
        self.fails(1, "on purpose", SHORT, "--benchmark_filter=self_test/", MAPPROOF_BENCH_SELF_TEST="1")

    def test_cases_that_go_wrong_are_hidden(self):
        self.assertFalse([name for name in listed() if name.startswith("self_test")])


class Names(unittest.TestCase):
    def promised_of(self, format, build):
        everywhere, frees, looked_up = works(format, True)
        for work in everywhere if build else works(format, False)[0]:
            yield f"map/{format}/{work}/warm{build}"
            yield f"unmap/{format}/{work}/warm{build}"
        for work in everywhere:
            yield f"map/{format}/{work}/cold{build}"
        for work in frees:
            yield f"unmap/{format}/{work}/cold{build}"
        for name in [*resizes(format), *batches(format), *dirties(format)]:
            yield name + build
        yield from incoherents(format, build)
        for work in ("0_levels", "1_level", "2_levels", "3_levels") if format in GROWS else ():
            yield f"growth/{format}/{work}/cold{build}"
        for work in looked_up:
            yield f"lookup/{format}/sequential_1GiB_of_{work}/warm{build}"
            yield f"lookup/{format}/random_1GiB_of_{work}/warm{build}"

    def promised(self):
        for format in built():
            for build in ("", "-vector") if has_vector() else ("",):
                yield from self.promised_of(format, build)
            for input in INPUTS if FORMATS[format][0] <= 12 else ():
                yield f"replay/{input}/{format}"
            yield from layouts(format)
            for work in SCALES:
                yield f"scale/{format}/map_{work}/warm"
        for bytes in LIMITS:
            yield from (f"limit/store_{bytes}", f"limit/store_{bytes}_scalar")
        for variant in VARIANTS:
            for cell in CELLS:
                for kind in ("fault",) if faults(variant, cell) else ("hit", "miss"):
                    yield f"translate/{variant}/{cell}/{kind}"
            for row in ROWS:
                for traffic in TRAFFIC:
                    yield f"iotlb/{variant}/{row}/{traffic}"

    def test_every_engine_is_measured(self):
        engines = measure(self, "^limit/store_2KiB$")["context"]["mapproof_engines"].replace("-vector", "")
        self.assertEqual(set(engines.split()), set(built()))
        self.assertLessEqual(ALWAYS_BUILT, set(built()))
        self.assertLessEqual(set(built()), set(FORMATS), "a format without a row in this file")

    def test_the_list_is_what_is_promised(self):
        names = listed()
        self.assertEqual(len(names), len(set(names)), "a name stands twice")
        self.assertEqual(sorted(names), sorted(self.promised()))

    def test_names_that_programs_outside_rely_on(self):
        """design.md 7, letter by letter, where the build has the format."""
        names = listed()
        wanted = ["map/amdv1/1x4K/warm", "map/x86_64/256x4K/warm", "map/amdv1/256x2M/warm", "map/amdv1/256x1G/warm"]
        wanted += ["map/vtdss/1GiB_as_4K/cold", "map/amdv1/1x1M/warm", "lookup/riscv64/random_1GiB_of_4K/warm"]
        wanted += ["map/armv8_s2_16k/256x16K/warm", "map/armv8_64k/256x512M/cold", "map/fake/256x2K/warm"]
        wanted += [f"replay/{input}/{format}" for input in INPUTS for format in ("amdv1", "x86_64", "vtdss")]
        for name in wanted:
            format = name.split("/")[2 if name.startswith("replay") else 1]
            self.assertEqual(name in names, format in built(), name)

    def test_the_filter_searches_the_exact_name(self):
        self.assertEqual(listed("--benchmark_filter=^map/amdv1/1x4K/warm$"), ["map/amdv1/1x4K/warm"])
        self.assertEqual(listed("--benchmark_list_tests", "--benchmark_filter=limit/store_2MiB$"), ["limit/store_2MiB"])
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
        filter = "^(un)?map/.*/(1x(2K|4K|16K|64K|1M)|256x.*|1GiB_as_(1M|2M|32M|512M)|1GiB_best)/"
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
            "map/vtdss/1x1M/warm": (256, 4),
            "map/riscv64/1x64K/warm": (1, 4),
            "map/riscv64/1x1M/warm": (16, 4),
            "map/armv8/1x1M/warm": (16, 4),
            "map/armv8/1x32M/cold": (1, 3),
            "map/armv8_s2/256x4K/warm": (256, 4),
            "map/armv8_16k/1x2M/warm": (1, 1 + 3 * 4),  # a root of two items, tables of 16K
            "map/armv8_16k/256x16K/warm": (256, 1 + 3 * 4),
            "map/armv8_s2_16k/1x1G/warm": (1, 8 + 4),  # two tables concatenated: 32K
            "map/armv8_s2_16k/1GiB_as_16K/warm": (65536, 8 + 4 + 32 * 4),
            "map/armv8_64k/1x1M/warm": (16, 1 + 2 * 16),  # a root of 64 items
            "map/armv8_64k/256x512M/warm": (256, 1 + 16),
            "unmap/armv8_64k/1GiB_as_64K/cold": (16384, 1 + 16 + 2 * 16),
            "cut/amdv1/1M_at_4K/warm": (9, 9),  # six places: the grown root, three levels of tables, six of leaves
            "cut/x86_64/1G_at_4K/cold": (1023, 10),
            "resize/x86_64/2M_to_4K/cold": (512, 10),
            "resize/amdv1/4K_to_1M/warm": (256, 9),
            "resize/riscv64/4K_to_64K/warm": (16, 10),
            "map/amdv1/list_256x4K/warm": (256, 3),
            "unmap/riscv64/ranges_256x4K/warm": (256, 4),
            "map/riscv64/list_1x1M/warm": (16, 4),
            "dirty/vtdss/scan_1GiB_of_4K_1pct/warm": (262144, 3 + 512),
            "dirty/armv8_16k/scan_1GiB_of_16K_50pct/warm": (65536, 1 + 2 * 4 + 32 * 4),
            "scale/amdv1/map_1MiB/warm": (256, 3),
            "scale/x86_64/map_16GiB/warm": (1 << 22, 2 + 16 + 8192),
            "scale/riscv64/map_1TiB/warm": (1 << 19, 3 + 1024),
            "map/fake/256x2K/warm": (256, 4),
            "map/fake/1x1M/warm": (1, 3),
        }
        for name, (leaves, tables) in wanted.items():
            if name.split("/")[1] not in built():
                continue
            with self.subTest(name):
                run = measure(self, f"^{name}$")["benchmarks"][0]
                self.assertEqual((run["leaves"], run["table_bytes"]), (leaves, tables * 4096))

    def test_every_format_is_verified_in_every_shape(self):
        """Each case reads its table back after the timing; a wrong one would be an error and exit code 1."""
        everything = "sequential_1GiB|1GiB_as" if is_slow(self) else "."
        for format in built():
            filter = f"^(map|unmap|lookup|cut|resize|dirty)/{format}/.*{everything}|^replay/pagemap-thp/{format}$"
            runs = measure(self, filter)["benchmarks"]
            self.assertEqual([run["name"] for run in runs], listed(f"--benchmark_filter={filter}"))
            self.assertFalse([run for run in runs if "error_occurred" in run])

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


class Outcomes(unittest.TestCase):
    """Counters of translate and iotlb cases, and the table of --outcomes. All figures here follow from sizes alone."""

    PAGES, REGIONS = 65536, 128  # of 256 MiB

    def counted(self, filter):
        runs = measure(self, filter)["benchmarks"]
        times = {"iterations", "real_time", "cpu_time"}
        for run in runs:
            self.assertNotIn("error_occurred", run, run)
            self.assertEqual(run["label"], "model, not silicon")
        return {run["name"]: {key: value for key, value in run.items() if key not in times} for run in runs}

    def check(self, run, **wanted):
        for counter, value in wanted.items():
            self.assertAlmostEqual(run[counter], value, places=12, msg=f"{run['name']} {counter}")

    def test_sequential_traffic_counts_pages_or_regions(self):
        pages, regions = self.PAGES, self.REGIONS
        rows = "4K-4K|2M-2M|4K-mixed|4K-2M|2M-4K|2M-mixed"
        runs = self.counted(f"^iotlb/(amd|smallest|expanding|cca)/({rows})/sequential$")
        self.assertEqual(len(runs), 4 * 6)
        small = {"fill_4K": 1, "fill_2M": 0, "hit_ratio": 0, "hit_ratio_max": 0, "faults": 0}
        small |= {"walk_reads": (pages + regions + 1) / pages, "iotlb_entries": 512, "reach_bytes": 512 * 4096}
        large = {"fill_4K": 0, "fill_2M": regions / pages, "hit_ratio": 1 - regions / pages, "faults": 0}
        large |= {"walk_reads": (regions + 1) / pages, "iotlb_entries": regions, "reach_bytes": regions << 21}
        lost = {"faults": 1, "faults_rmp_size": 1, "fill_4K": 0, "fill_2M": 0, "hit_ratio_max": 0, "iotlb_entries": 0}
        for variant in ("amd", "smallest", "expanding", "cca"):
            self.check(runs[f"iotlb/{variant}/4K-4K/sequential"], **small)
            self.check(runs[f"iotlb/{variant}/2M-2M/sequential"], **large)
            self.check(runs[f"iotlb/{variant}/4K-mixed/sequential"], **small)
        self.check(runs["iotlb/amd/4K-2M/sequential"], **lost)
        self.check(runs["iotlb/amd/2M-4K/sequential"], **lost)
        self.check(runs["iotlb/amd/2M-mixed/sequential"], faults=1, faults_rmp_size=1 - regions / pages)
        self.check(runs["iotlb/smallest/4K-2M/sequential"], **small)
        self.check(runs["iotlb/smallest/2M-4K/sequential"], fill_4K=1, faults=0, reach_bytes=512 * 4096)
        self.check(runs["iotlb/smallest/2M-mixed/sequential"], fill_4K=1 - regions / pages, faults=regions / pages)
        self.check(runs["iotlb/expanding/4K-2M/sequential"], expands=1, fill_2M=regions / pages, faults=0)
        self.check(runs["iotlb/cca/2M-mixed/sequential"], fill_2M=2 * regions / pages, faults=0)

    def test_every_access_is_a_hit_a_fill_or_a_fault(self):
        rows = "(4K-4K|2M-mixed)" if is_slow(self) else ".*"
        runs = self.counted(f"^iotlb/(amd-fill-2m|cpu)/{rows}/(random|strided|trace)$")
        self.assertEqual(len(runs), 2 * (2 if is_slow(self) else 9) * 3)
        for run in runs.values():
            self.assertLessEqual(IOTLB_COUNTERS, set(run))
            self.assertAlmostEqual(run["hit_ratio"] + run["fill_4K"] + run["fill_2M"] + run["faults"], 1, places=12)
            self.assertLessEqual(run["hit_ratio_min"], run["hit_ratio"])
            self.assertLessEqual(run["hit_ratio"], run["hit_ratio_max"])
            self.assertLessEqual(run["reach_bytes"], run["iotlb_entries"] * (1 << 21))

    def test_counters_are_the_same_in_every_run(self):
        filter = "^iotlb/smallest/2M-mixed/random$|^translate/amd/4K-"
        if not is_slow(self):
            filter += "|^iotlb/(amd|off)/(4K-4K|2M-mixed)/(random|trace)$"
        self.assertEqual(self.counted(filter), self.counted(filter))

    def test_each_translation_is_what_its_name_says(self):
        for name, run in self.counted("^translate/").items():
            _, variant, cell, kind = name.split("/")
            self.check(run, hit_ratio=kind == "hit", faults_rmp_size=kind == "fault", faults=kind == "fault")
            self.check(run, **{"fill_4K" if run["fill_4K"] else "fill_2M": kind == "miss"})
            self.check(run, expands=kind != "fault" and (variant, cell) in self.expanding())

    @staticmethod
    def expanding():
        cells = {("expanding", cell) for cell in CELLS if not faults("expanding", cell) and cell.count("4K") > 0}
        small_agree = {("expanding", f"{s1}-4K-4K") for s1 in ("none", "4K", "2M")}
        return cells - small_agree | {("amd-fill-2m", "4K-2M-2M")}

    def tables(self, traffic):
        result = bench(f"--outcomes={traffic}")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout, bench(f"--outcomes={traffic}").stdout)
        return result.stdout

    def rows(self, text, head):
        """The table whose head line begins so, name -> cells, cut where the head's columns begin."""
        lines = text.splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith(head))
        starts = [lines[at].index(f" {variant}") + 1 for variant in VARIANTS[:1]]
        for variant in VARIANTS[1:]:
            starts.append(lines[at].index(f" {variant} " if variant != "off" else " off", starts[-1]) + 1)
        rows = {}
        for line in lines[at + 1 :]:
            if not line:
                break
            cuts = starts + [len(line) + 1]
            rows[line.split()[0]] = [line[a:b].strip() for a, b in zip(cuts, cuts[1:])]
        return rows

    def test_the_table_has_no_hole(self):
        if is_slow(self):
            self.skipTest("takes minutes in a sanitized build; the cases above run the same code")
        text = self.tables("sequential")
        self.assertTrue(text.startswith("IOTLB outcomes. Model, not silicon."))
        truths = self.rows(text, "S1-S2-RMP")
        self.assertEqual(list(truths), CELLS)
        for cell, row in truths.items():
            for variant, said in zip(VARIANTS, row, strict=True):
                self.assertRegex(said, "^(4K|2M)( EXPANDS| repaired)?$|^rmp-size$")
                self.assertEqual(said == "rmp-size", faults(variant, cell), (variant, cell))
                self.assertEqual("EXPANDS" in said, (variant, cell) in self.expanding(), (variant, cell))
        costs = self.rows(text[text.index("What a mismatch") :], "S2-RMP")
        traffic = self.rows(text[text.index("\nsequential: ") :], "S2-RMP")
        for rows in (costs, traffic):
            self.assertEqual(list(rows), ROWS)
            self.assertTrue(all(len(row) == len(VARIANTS) and all(row) for row in rows.values()))
        self.assertIn("sequential  65536 / 128 = 512 x       65665 / 129 = 509 x", text)
        self.assertEqual(costs["2M-4K"], ["all lost", "all lost", "4K", "all lost", "4K R", "2M", "2M"])
        self.assertEqual(traffic["4K-2M"][0], "all fault")
        self.assertEqual(traffic["4K-2M"][3], "2.0 99.8% X")


class Count(unittest.TestCase):
    CASE = "map/amdv1/256x4K/warm"

    def test_a_count_runs_the_operations_asked_for(self):
        for number in ("1", "7", "1000"):
            result = bench("--count", number, self.CASE)
            self.assertEqual((result.returncode, result.stdout), (0, f"count: {self.CASE} {number} ops\n"))

    def test_part_of_a_batch_counts_too(self):
        for case in ("iotlb/amd/4K-4K/random", "translate/amd/none-4K-4K/miss", "translate/amd/4K-2M-2M/hit"):
            for number in ("1", "1000", "70001"):
                result = bench("--count", number, case)
                self.assertEqual((result.returncode, result.stdout), (0, f"count: {case} {number} ops\n"), result.stderr)

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
