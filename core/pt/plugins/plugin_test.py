#!/usr/bin/python3
"""Engines from outside: the header as a plugin's author meets it, the examples through everything, liars caught by name.

    plugin_test.py GROUP BUILD LIARS      groups: header replay fuzz bench liars; BUILD has programs and rewalk.so
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..", "..")
CORPUS = os.path.join(ROOT, "corpus")
BUILD = LIARS = ""

# Each lie shows in this script: pages for reading only, a full table that comes, goes and comes again, a run of 64K.
SCRIPT = """\
world   format=amdv1 hw=amd policy=script memory=64M rmp=off
map     gpa=0x1000 hpa=0x3000 length=4K prot=r                -> ok
map     gpa=0x400000 hpa=0x401000 length=2M prot=rw           -> ok
unmap   gpa=0x400000 length=2M
map     gpa=0x10000 hpa=0x10000 length=64K prot=rw            -> ok
unmap   gpa=0x10000 length=64K
unmap   gpa=0x1000 length=4K
dma     iova=0x1000 access=read device=dev2                   -> fault=not-present
"""

# A 64K leaf that an unmap cuts, what came to lie beside it, and the whole mapping going in pieces.
TRACE_LINE = "  task-1 [000] ..... 1.{:06}: {}\n"
TRACE_EVENTS = (
    "map: IOMMU: iova=0x0000000000000000 - 0x0000000000200000 paddr=0x0000000000200000 size=2097152",
    "unmap: IOMMU: iova=0x0000000000004000 - 0x0000000000006000 size=8192 unmapped_size=8192",
    "map: IOMMU: iova=0x0000000000004000 - 0x0000000000005000 paddr=0x0000000000900000 size=4096",
    "map: IOMMU: iova=0x0000000000800000 - 0x0000000000801000 paddr=0x0000000000800000 size=4096",
    "unmap: IOMMU: iova=0x0000000000004000 - 0x0000000000005000 size=4096 unmapped_size=4096",
    "unmap: IOMMU: iova=0x0000000000800000 - 0x0000000000801000 size=4096 unmapped_size=4096",
    "unmap: IOMMU: iova=0x0000000000000000 - 0x0000000000004000 size=16384 unmapped_size=16384",
)
TRACE = "# tracer: nop\n#\n" + "".join(TRACE_LINE.format(i, text) for i, text in enumerate(TRACE_EVENTS))

# What a plugin without cut and resize does not do, and what the script says happens after it.
LACKING = """\
world   format={} policy=script memory=64M rmp=off
map     gpa=0x400000 hpa=0x400000 length=2M prot=rw           -> ok
cut     at=0x401000                                           -> ok
unmap   gpa=0x400000 length=4K                                -> bytes=0x1000
unmap   gpa=0x401000 length=4K                                -> bytes=0x1000
"""


def files(folder, suffix=".xz"):
    found = []
    for path, _, names in os.walk(os.path.join(CORPUS, folder)):
        found += [os.path.join(path, name) for name in names if name.endswith(suffix)]
    return sorted(found)


class PluginCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.script = os.path.join(folder.name, "lie.ops")
        with open(self.script, "w", encoding="utf-8") as file:
            file.write(SCRIPT)

    def run_program(self, name, *arguments, engine=None):
        environment = {**os.environ, "MAPPROOF_ENGINE": engine} if engine else None
        command = [os.path.join(BUILD, name), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=500, check=False, env=environment)

    def must(self, code, name, *arguments, engine=None):
        done = self.run_program(name, *arguments, engine=engine)
        self.assertEqual(done.returncode, code, f"{name} {arguments}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done.stdout, done.stderr

    @property
    def rewalk(self):
        return os.path.join(BUILD, "rewalk.so")

    @property
    def ladder(self):
        return os.path.join(BUILD, "ladder.so")

    @property
    def bare(self):
        return os.path.join(LIARS, "liar20.so")


class Header(PluginCase):
    """pt_plugin.h is all that an author needs."""

    def test_it_compiles_alone_as_c99_and_as_cxx(self):
        tried = 0
        for compiler, language, standard in (
            ("gcc", "c", "c99"),
            ("clang", "c", "c99"),
            ("gcc", "c", "c17"),
            ("g++", "c++", "c++11"),
            ("clang++", "c++", "c++11"),
            ("g++", "c++", "c++20"),
        ):
            if not shutil.which(compiler):
                continue
            tried += 1
            command = [compiler, "-x", language, f"-std={standard}", "-pedantic", "-Wall", "-Wextra", "-Werror"]
            command += ["-fsyntax-only", "-I", os.path.join(ROOT, "core"), "-"]
            author = '#include "pt/pt_plugin.h"\n'
            done = subprocess.run(command, input=author, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, f"{command}\n{done.stderr}")
        self.assertGreater(tried, 2)

    def test_the_example_includes_nothing_of_mapproof(self):
        allowed = {"pt/pt_plugin.h", "rewalk.h", "errno.h", "stdlib.h", "string.h"}
        allowed |= {"ladder.h", "ladder_kernel.h", "stdbool.h", "stdio.h"}
        for name in ("rewalk.c", "rewalk.h", "rewalk_cut.c", "ladder.c", "ladder.h", "ladder_kernel.h", "ladder_wrap.c"):
            with open(os.path.join(HERE, name), encoding="utf-8") as file:
                self.assertLessEqual(set(re.findall(r'#include ["<](.*)[">]', file.read())), allowed)


# Engine, its formats, golden cases that it must pass, those of other formats in `unsupported`.
EXAMPLES = (("rewalk", ("amdv1", "x86_64"), 1000, 10), ("ladder", ("vtdss",), 470, 20))


class Replay(PluginCase):
    """The examples in mapproof-replay."""

    def test_golden_files_of_its_formats_agree_on_every_line(self):
        for engine, formats, at_least, at_most in EXAMPLES:
            wanted = (*formats, "unsupported")
            chosen = [path for path in files("golden") if any(each in os.path.basename(path) for each in wanted)]
            chosen = [path for path in chosen if "dirty" not in path or engine == "rewalk"]
            out = self.must(0, "mapproof-replay", "--engine", getattr(self, engine), "--golden", *chosen)[0]
            passed, skipped = re.search(r"golden: ([0-9]+) passed, 0 failed, ([0-9]+) skipped", out).groups()
            self.assertGreater(int(passed), at_least)
            self.assertLess(int(skipped), at_most)

    def test_the_three_inputs_give_the_built_in_engine_s_totals(self):
        inputs = files("traces") + files("layouts")
        self.assertEqual(len(inputs), 3)
        for path in inputs:
            for name in ("amdv1", "x86_64"):
                ours = self.must(0, "mapproof-replay", "--format", name, path)[0]
                theirs = self.must(0, "mapproof-replay", "--format", name, "--engine", self.rewalk, path)[0]
                self.assertEqual(ours, theirs)

    def test_an_engine_without_cut_does_the_rest_of_the_three_inputs(self):
        for path in files("traces") + files("layouts"):
            ours = self.must(0, "mapproof-replay", "--format", "vtdss", path)[0]
            theirs = self.must(0, "mapproof-replay", "--format", "vtdss", "--engine", self.ladder, path)[0]
            lacking = "".join(re.findall(r"  n/a: ops that need .*\n", theirs))
            self.assertEqual("traces" in path, lacking.split()[-1:] == ["3"], lacking)
            theirs = theirs.replace(lacking, "") if lacking else theirs
            number_of_walks = r"hardware walks done by checks +[0-9]+"
            self.assertEqual(re.sub(number_of_walks, "", ours), re.sub(number_of_walks, "", theirs))

    def test_an_unmap_that_cuts_a_leaf_is_na_without_cut(self):
        path = self.script + ".trace"
        with open(path, "w", encoding="utf-8") as file:
            file.write(TRACE)
        for engine, name in ((self.ladder, "vtdss"), (self.bare, "amdv1"), (self.bare, "x86_64")):
            out = self.must(0, "mapproof-replay", "--format", name, "--engine", engine, path)[0]
            self.assertRegex(out, r"n/a: ops that need what the engine lacks +[1-9]")
            self.assertNotIn("still reachable", out)
        self.assertNotIn("n/a", self.must(0, "mapproof-replay", "--format", "amdv1", "--engine", self.rewalk, path)[0])

    def test_expectations_behind_an_op_that_it_lacks_are_na(self):
        for engine, name in ((self.ladder, "vtdss"), (self.bare, "amdv1")):
            with open(self.script, "w", encoding="utf-8") as file:
                file.write(LACKING.format(name))
            out = self.must(0, "mapproof-replay", "--engine", engine, self.script)[0]
            self.assertIn(f"{self.script}:3: n/a, as the engine has no cut: expected: ok\n", out)
            self.assertIn(f"{self.script}:4: n/a, as the engine has no cut: expected: bytes=0x1000\n", out)
        # what the world lacks, not the engine, is no excuse
        with open(self.script, "w", encoding="utf-8") as file:
            file.write("world format=vtdss rmp=off\nunmap iova=0x0 length=4K stage=s1 -> bytes=0x1000\n")
        self.must(1, "mapproof-replay", "--engine", self.ladder, self.script)

    def test_a_format_it_lacks_is_said(self):
        error = self.must(2, "mapproof-replay", "--format", "vtdss", "--engine", self.rewalk, self.script)[1]
        self.assertIn("rewalk.so has no format vtdss", error)

    def test_what_it_lacks_is_skipped(self):
        with open(self.script, "a", encoding="utf-8") as file:
            file.write("resize gpa=0x0 length=2M max=4K -> skipped\n")
        self.must(0, "mapproof-replay", "--engine", self.rewalk, self.script)
        self.must(0, "mapproof-replay", "--engine", self.bare, self.script)


class Fuzz(PluginCase):
    """The examples under the fuzz targets' corpora; formats that it lacks become one that it has."""

    def test_every_seed_agrees(self):
        for target in ("fuzz_engine", "fuzz_lockstep", "fuzz_formats"):
            for engine, name in ((self.rewalk, "rewalk"), (self.ladder, "ladder"), (self.bare, "liar")):
                error = self.must(0, f"replay_{target}", os.path.join(CORPUS, "seed", target), engine=engine)[1]
                self.assertIn(f"mapproof: engine {name} 1", error)

    def test_what_cannot_be_loaded_ends_with_a_message(self):
        error = self.must(2, "replay_fuzz_engine", self.script, engine="./nothing.so")[1]
        self.assertIn("./nothing.so: cannot be loaded", error)
        self.assertIn("no such engine", self.must(2, "replay_fuzz_engine", self.script, engine="amdv2")[1])


class Bench(PluginCase):
    """The example in mapproof-bench."""

    def test_it_runs_under_the_names_of_the_built_in_engine(self):
        flags = ("--benchmark_min_time=0.0001", "--benchmark_format=json")
        cases = "^(map|unmap|lookup)/(amdv1|x86_64)/(1x4K|256x4K|1x1M|random_1GiB_of_4K)/"
        names = self.must(0, "mapproof-bench", f"--engine={self.rewalk}", f"--benchmark_filter={cases}", "--list")[0]
        built_in = self.must(0, "mapproof-bench", "--engine", "general", f"--benchmark_filter={cases}", "--list")[0]
        self.assertEqual(names, built_in)
        self.assertIn("map/x86_64/256x4K/warm\n", names)
        out = self.must(0, "mapproof-bench", f"--engine={self.rewalk}", f"--benchmark_filter={cases}", *flags)[0]
        for name in names.split():
            self.assertIn(f'"{name}"', out)
        self.assertIn("amdv1@rewalk x86_64@rewalk", out)

    def test_what_a_plugin_lacks_has_no_case_and_the_rest_is_right(self):
        families = "-^(iotlb|translate|limit)|1GiB|scale/.*[TG]iB"
        flags = ("--benchmark_min_time=0.00001", f"--benchmark_filter={families}")
        for engine, lacks in ((self.ladder, "resize/|/list_|/ranges_"), (self.bare, "resize/|/list_|/ranges_|_incoherent")):
            names = self.must(0, "mapproof-bench", f"--engine={engine}", "--list", flags[1])[0]
            self.assertGreater(len(names.split()), 60)
            self.assertNotRegex(names, lacks)
            out = self.must(0, "mapproof-bench", f"--engine={engine}", *flags)[0]
            self.assertNotIn("ERROR", out)
        self.assertIn("map/vtdss_incoherent/256x4K/warm\n", self.must(0, "mapproof-bench", f"--engine={self.ladder}", "--list")[0])

    def test_it_replays_the_trace(self):
        arguments = ("--count", "20000", "replay/nvme-e1000e/amdv1")
        self.assertIn("20000 ops", self.must(0, "mapproof-bench", f"--engine={self.rewalk}", *arguments)[0])

    def test_a_wrong_engine_fails_its_case(self):
        liar = os.path.join(LIARS, "liar6.so")
        done = self.run_program("mapproof-bench", f"--engine={liar}", "--count", "10", "map/amdv1/1x4K/warm")
        self.assertEqual(done.returncode, 1)
        self.assertIn("map/amdv1/1x4K/warm: set-up: a map or unmap failed", done.stderr)
        done = self.run_program("mapproof-bench", f"--engine={os.path.join(LIARS, 'liar8.so')}", "--timeout=1", "--list")
        self.assertEqual(done.returncode, 0)
        liar = os.path.join(LIARS, "liar8.so")
        done = self.run_program("mapproof-bench", f"--engine={liar}", "--timeout=1", "--count", "5", "map/amdv1/1x4K/warm")
        self.assertEqual(done.returncode, 1)
        self.assertIn("liar8.so: map_range does not come back (--timeout) at map/amdv1/1x4K/warm", done.stderr)

    def test_bad_values_are_refused(self):
        self.assertIn("expected general, vector or FILE.so", self.must(2, "mapproof-bench", "--engine=vax")[1])
        self.assertIn("expected general", self.must(2, "mapproof-bench", "--engine")[1])
        self.assertIn("cannot be loaded", self.must(2, "mapproof-bench", "--engine=./vax.so", "--list")[1])
        self.assertIn("whole number of seconds", self.must(2, "mapproof-bench", "--timeout=x")[1])


# Lie: what mapproof-replay says. The fuzz target says it too.
DIFFERENCES = {
    1: r"engine: amdv1@liar\nthe hardware walk differs from the oracle\n[^$]* prot=0x1 [^$]* w=1 ",
    2: r"op 6: unmap [^$]*engine: amdv1@liar\nthe hardware walk finds something: expected fault=not-present",
    3: r"op 3: unmap [^$]*engine: amdv1@liar\ngather: expected .* and 1 tables .* and 0\n",
    5: r"op 5: unmap [^$]*engine: amdv1@liar\ngather: expected \[0x10000, 0x1ffff\] .* has \[0x10000, 0x1efff\]",
    6: r"engine: amdv1@liar\nmap: expected 0 mapped=0x1000, engine gave 0 mapped=0x2000\n",
    11: r"plugin .*liar11.so: unmap_range: gather_free_table of pa 0x[0-9a-f]+, which is no live table: freed twice",
    12: r"plugin .*liar12.so: create: answered -22; the rules say 0\n",
    13: r"plugin .*liar13.so: map_range: answered 22; expected 0 or a negative errno\n",
    14: r"engine: amdv1@liar\niova_to_phys differs from the oracle\n",
    18: r"plugin .*liar18.so: destroy: 1 tables were not given back: a leak\n",
}
ENDS = {
    4: "map_range used a table that it gave back (SIGSEGV)",
    7: "map_range crashed (SIGSEGV)",
    8: "map_range does not come back (--timeout)",
    19: "map_range used a table that it gave back (SIGSEGV)",
}
REFUSED = {
    9: "liar9.so: speaks abi 2, expected 1",
    10: "liar10.so: entry unmap_range is NULL, and every plugin must have it",
    16: "liar16.so: lists a format 'amdv9' that mapproof does not know",
    17: "liar17.so: exports no symbol ptp_plugin_table",
}


class Liars(PluginCase):
    """One thing wrong each (liar.c). The report names the plugin and what it did."""

    @staticmethod
    def liar(lie):
        return os.path.join(LIARS, f"liar{lie}.so")

    def replay(self, lie, *arguments):
        return self.run_program("mapproof-replay", "--timeout=1", "--engine", self.liar(lie), *(arguments or [self.script]))

    def test_wrong_tables_and_answers_differ(self):
        for lie, message in DIFFERENCES.items():
            done = self.replay(lie)
            said = done.stdout + done.stderr
            self.assertEqual(done.returncode, 2 if lie == 12 else 1, f"{lie}: {said}")
            self.assertRegex(said, message)

    def test_the_fuzz_target_stops_at_each_of_them(self):
        for lie, message in DIFFERENCES.items():
            done = self.run_program("replay_fuzz_engine", self.script, engine=self.liar(lie))
            self.assertIn(done.returncode, (-6, 1), f"{lie}: {done.stderr}")  # 1: a sanitizer reports the abort
            self.assertRegex(done.stderr, message)
            self.assertIn("mapproof: difference at op", done.stderr)

    def test_a_crash_and_an_endless_call_name_entry_and_place(self):
        for lie, message in ENDS.items():
            done = self.replay(lie)
            self.assertNotEqual(done.returncode, 0)
            line = 5 if "gave back" in message else 3
            self.assertIn(f"liar{lie}.so: {message} at {self.script}:{line}\n", done.stderr)
            self.assertIn("map iova=0x1000", done.stdout)  # what went before is not lost
            if lie == 8:
                continue  # ten seconds
            done = self.run_program("replay_fuzz_engine", self.script, engine=self.liar(lie))
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(f"mapproof: plugin {self.liar(lie)}: {message}\n", done.stderr)

    def test_golden_files_tell_too(self):
        golden = os.path.join(CORPUS, "golden", "amdv1-l2.txt.xz")
        self.assertRegex(self.replay(1, "--golden", golden).stdout, r"golden: [0-9]+ passed, [1-9][0-9]* failed")
        done = self.replay(18, "--golden", golden)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, DIFFERENCES[18])

    def test_what_is_no_plugin_is_refused(self):
        for lie, message in REFUSED.items():
            done = self.replay(lie)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertIn(message, done.stderr)
        for path, message in ((self.script, "file too short|invalid ELF header"), ("/nowhere/x.so", "No such file")):
            done = self.run_program("mapproof-replay", "--engine", path, self.script)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"{path}: cannot be loaded: ", done.stderr)
            self.assertRegex(done.stderr, message)

    def test_a_plugin_of_a_later_header_and_one_with_little_in_it_run(self):
        self.assertEqual(self.replay(15).returncode, 0)
        self.assertEqual(self.replay(20).returncode, 0)


GROUPS = {"header": Header, "replay": Replay, "fuzz": Fuzz, "bench": Bench, "liars": Liars}

if __name__ == "__main__":
    group, BUILD, LIARS = sys.argv[1:4]
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(GROUPS[group])
    sys.exit(not unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful())
