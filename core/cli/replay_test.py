#!/usr/bin/python3
"""End-to-end tests of mapproof-replay: exit codes, messages and files, for good and for bad input.

    replay_test.py GROUP PROGRAM      groups: options input script stream golden output
"""

import json
import lzma
import os
import pty
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import unittest

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "corpus")
PROGRAM = ""

SCRIPT = """\
# two pages and what a device sees of them
world           format=amdv1 hw=amd policy=script memory=8M
rmpupdate       hpa=0x400000 size=2M asid=1 gpa=0x200000          -> ok
pvalidate       hpa=0x400000 asid=1 gpa=0x200000 size=2M          -> ok
map             gpa=0x200000 hpa=0x400000 length=2M prot=rw       -> ok
dma             iova=0x201000 access=write                        -> hpa=0x401000 fill=2M
cut             at=0x300000                                       -> ok
dma             iova=0x300000 access=write                        -> hpa=0x500000 hit=2M    # old entry
inv_pages       gpa=0x200000 length=2M                            -> ok
completion_wait                                                   -> ok
dma             iova=0x300000 access=write                        -> fault=rmp-size
psmash          hpa=0x400000                                      -> ok
"""

EVENT = "   fio-55      [001] .....     6.094494: "


def map_event(iova, size, paddr):
    return f"{EVENT}map: IOMMU: iova=0x{iova:016x} - 0x{iova + size:016x} paddr=0x{paddr:016x} size={size}\n"


def unmap_event(iova, size):
    return f"{EVENT}unmap: IOMMU: iova=0x{iova:016x} - 0x{iova + size:016x} size={size} unmapped_size={size}\n"


TRACE = "# tracer: nop\n#\n" + map_event(0x1000, 4096, 0x8000) + map_event(0x2000, 8192, 0x20000) + unmap_event(0x1000, 12288)


# Formats whose smallest leaf is larger than the 4K pages of most machines.
LARGE_PAGES = {"armv8_16k": 0x4000, "armv8_64k": 0x10000, "armv8_s2_16k": 0x4000, "armv8_s2_64k": 0x10000}


class ReplayCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return self.path(name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def run_replay(self, code, *arguments):
        """Run the program; its exit code must be `code`. Returns stdout and stderr."""
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return done.stdout, done.stderr

    def formats(self):
        """The names that --format takes, from the message about one that it does not."""
        error = self.run_replay(2, "--format=vax", self.write("any", TRACE))[1]
        return error.split("there are:")[1].splitlines()[0].split()

    def leftovers(self):
        return [name for name in os.listdir(self.folder.name) if ".json." in name or ".ops." in name]


class Options(ReplayCase):
    def refuses(self, message, *arguments):
        script = self.write("a.ops", SCRIPT)
        out, error = self.run_replay(2, *arguments, script)
        self.assertIn(message, error)
        self.assertEqual(out, "")

    def test_unknown_names_are_refused_and_the_known_ones_listed(self):
        self.refuses("unknown format 'vax'; there are: amdv1 x86_64", "--format=vax")
        self.refuses("unknown hw 'vax'; there are: amd amd-fill-2m smallest expanding cpu cca off", "--hw=vax")
        self.refuses("unknown policy 'vax'; there are: script default 4k-only cut-first", "--policy=vax")
        self.refuses("unknown engine 'vax'; there are: amdv1 x86_64", "--engine=vax")
        engines = self.run_replay(2, "--engine=vax", self.write("a.ops", SCRIPT))[1].splitlines()[0].split()
        for name in self.formats():
            self.assertIn(name, engines)  # the list is whole
        self.refuses("unknown --check 'vax'", "--check=vax")
        self.refuses("unknown rmp 'vax'; there are: off on", "--rmp=vax")

    def test_unknown_flags_and_missing_files_are_refused(self):
        self.refuses("--vax", "--vax")
        self.assertIn("no FILE", self.run_replay(2)[1])

    def test_options_that_contradict_each_other_are_refused(self):
        self.refuses("--accept would write the answers of another world", "--accept", "--hw=cpu")
        self.refuses("--golden takes its world from the files", "--golden", "--format=amdv1")

    def test_help_and_usage_succeed(self):
        self.assertIn("--golden", self.run_replay(0, "--help")[0])


class Input(ReplayCase):
    def test_a_missing_file_is_named(self):
        out, error = self.run_replay(2, self.path("nothing.ops"))
        self.assertIn("nothing.ops: No such file or directory", error)
        self.assertIn(": Is a directory", self.run_replay(2, self.folder.name)[1])

    def test_an_empty_file_and_a_golden_file_are_refused_with_a_hint(self):
        self.assertIn("empty.ops:1:1: an empty file", self.run_replay(2, self.write("empty.ops", ""))[1])
        golden = os.path.join(CORPUS, "golden", "x86_64-47.txt.xz")
        self.assertIn("run it with --golden", self.run_replay(2, golden)[1])

    def test_bad_scripts_are_refused_at_their_place_and_do_not_run(self):
        for line, place, message in [
            ("mop iova=0x1000", "13:1", "mop"),
            ("map gpa=0x1000 hpa=0x1000 lenght=4K", "13:27", "lenght"),
            ("map gpa=0x1000 hpa=0x1000 length=4K prot=rx", "13:42", "r"),
            ("dma iova=0x11111111111111111 access=read", "13:10", ""),
            ("rmpupdate hpa=0x1000 asid=2000", "13:27", "1023"),
            ("dma iova=0x1000 access=peek", "13:24", "read"),
            ("map gpa=0x1000", "13:", "hpa"),
        ]:
            with self.subTest(line=line):
                out, error = self.run_replay(2, self.write("bad.ops", SCRIPT + line + "\n"))
                self.assertEqual(out, "")
                self.assertIn(f"bad.ops:{place}", error)
                self.assertIn(message, error)

    def test_damaged_xz_data_is_an_error(self):
        packed = lzma.compress(TRACE.encode() * 4000)
        out, error = self.run_replay(2, self.write("cut.xz", packed[: len(packed) // 2]))
        self.assertIn("cut.xz: the .xz data ends too early", error)
        self.assertIn("maps read", out)

    def test_what_a_file_holds_is_told_from_its_content(self):
        self.assertIn("trace, world", self.run_replay(0, self.write("a", TRACE))[0])
        self.assertIn("layout, world", self.run_replay(0, self.write("b", "gpa=0x0 hpa=0x200000 size=0x1000\n"))[0])
        self.assertIn("rmpupdate", self.run_replay(0, self.write("c", SCRIPT))[0])
        self.assertIn("trace, world", self.run_replay(0, self.write("d.xz", lzma.compress(TRACE.encode())))[0])
        self.run_replay(0, self.write("e", bytes([1] + [0] * 31)))

    def test_a_bad_file_among_good_ones_gives_2_and_the_good_ones_run(self):
        out, error = self.run_replay(2, self.write("a.ops", SCRIPT), self.path("none"), self.write("b", TRACE))
        self.assertIn("a.ops: 10 ops", out)
        self.assertIn("maps read", out)


class Script(ReplayCase):
    def test_every_op_is_printed_with_its_outcome(self):
        out, _ = self.run_replay(0, "--check=all", self.write("a.ops", SCRIPT))
        self.assertRegex(out, r"dma iova=0x201000 access=write +-> hpa=0x401000 fill=2M")
        self.assertRegex(out, r"dma iova=0x300000 access=write +-> fault=rmp-size")
        self.assertIn("a.ops: 10 ops", out)

    def test_an_expectation_that_does_not_hold_shows_both_and_stops(self):
        out, _ = self.run_replay(1, self.write("a.ops", SCRIPT.replace("hit=2M ", "hit=4K ")))
        self.assertIn("a.ops:8: expected: hpa=0x500000 hit=4K", out)
        self.assertRegex(out, r"a.ops:8: happened: hpa=0x500000 hit=2M")
        self.assertNotIn("psmash", out)

    def test_expectations_are_words_of_the_outcome_and_not_parts_of_words(self):
        self.run_replay(0, self.write("a.ops", SCRIPT.replace("hpa=0x401000 fill=2M", "fill=2M")))
        self.run_replay(1, self.write("a.ops", SCRIPT.replace("hpa=0x401000 fill=2M", "fill=2")))
        self.run_replay(1, self.write("a.ops", SCRIPT.replace("hpa=0x401000 fill=2M", "hpa=0x40100")))

    def test_accept_rewrites_what_does_not_hold_and_nothing_else(self):
        path = self.write("a.ops", SCRIPT.replace("hit=2M ", "hit=4K "))
        self.run_replay(0, "--accept", path)
        self.assertEqual(self.read("a.ops"), SCRIPT)
        self.assertIn("nothing to accept", self.run_replay(0, "--accept", path)[0])
        self.assertEqual(self.leftovers(), [])

    def test_accept_fills_a_script_that_expects_nothing(self):
        bare = "\n".join(line.split("->")[0].rstrip() for line in SCRIPT.splitlines()) + "\n"
        path = self.write("a.ops", bare)
        self.run_replay(0, "--accept", path)
        self.assertEqual(self.read("a.ops").count("->"), 11)
        self.run_replay(0, path)

    def test_accept_refuses_what_it_cannot_rewrite(self):
        path = self.write("a.ops.xz", lzma.compress(SCRIPT.encode()))
        self.assertIn("does not rewrite .xz", self.run_replay(2, "--accept", path)[1])
        self.assertIn("these are records", self.run_replay(2, "--accept", self.write("r", bytes([1] + [0] * 31)))[1])
        self.assertIn("this is a trace", self.run_replay(2, "--accept", self.write("t", TRACE))[1])

    def test_overrides_change_the_world(self):
        path = self.write("a.ops", SCRIPT)
        self.assertIn("happened: hpa=0x500000 fill=4K", self.run_replay(1, "--hw=smallest", path)[0])
        out, _ = self.run_replay(1, "--format=x86_64", path)
        self.assertIn("world format=x86_64", out)
        self.run_replay(0, "--engine=amdv1", path)

    def test_strict_counts_findings(self):
        path = self.write("a.ops", SCRIPT)
        out, _ = self.run_replay(0, path)
        self.assertIn("finding: LOSES DMA", out)
        self.assertIn("--strict allows none", self.run_replay(1, "--strict", path)[0])

    def test_explain_says_what_the_event_could_have_been(self):
        out, _ = self.run_replay(0, "--explain", self.write("a.ops", SCRIPT))
        self.assertIn("different size classes", out)
        self.assertIn("the same event fits rmp-owner", out)
        self.assertIn("in the RMP assigned size=2M asid=1 gpa=0x300000", out)
        self.assertIn("LOSES DMA: the guest", out)

    def test_a_world_that_cannot_be_is_refused_at_its_line(self):
        path = self.write("a.ops", "\n# comment\nworld format=x86_64 va_bits=64\n")
        self.assertIn("a.ops:3: this world cannot be", self.run_replay(2, path)[1])


class Stream(ReplayCase):
    def total(self, out, name):
        for line in out.splitlines():
            if line.startswith(f"  {name} "):
                return int(line.split()[-1])
        self.fail(f"no '{name}' in\n{out}")

    def test_a_trace_gives_its_totals(self):
        out, _ = self.run_replay(0, self.write("a", TRACE))
        self.assertEqual(self.total(out, "maps read"), 2)
        self.assertEqual(self.total(out, "unmaps read"), 1)
        self.assertEqual(self.total(out, "unmaps over several maps"), 1)
        self.assertEqual(self.total(out, "4K pages mapped"), 3)
        self.assertEqual(self.total(out, "DMA accesses"), 6)
        self.assertEqual(self.total(out, "served"), 5)
        self.assertEqual(self.total(out, "faulted after an unmap, as they must"), 1)
        self.assertEqual(self.total(out, "faulted otherwise"), 0)

    def test_a_malformed_event_stops_with_its_place_and_the_totals_so_far(self):
        text = TRACE + map_event(0x1000, 4096, 0x8000).replace("size=4096", "size=4k") + TRACE
        out, error = self.run_replay(2, self.write("a", text))
        self.assertIn("a:6:", error)
        self.assertIn("expected a decimal number of bytes", error)
        self.assertIn("totals up to line 5", out)
        self.assertEqual(self.total(out, "maps read"), 2)

    def test_a_malformed_layout_line_stops_at_its_place(self):
        out, error = self.run_replay(2, self.write("a", "gpa=0x0 hpa=0x0 size=0x1000\ngpa=0x0 hpa=0x0\n"))
        self.assertIn("a:2:16: expected size=", error)

    def test_a_trace_of_unmaps_alone_names_the_cause(self):
        out, _ = self.run_replay(0, self.write("a", "# tracer: nop\n" + unmap_event(0x1000, 4096)))
        self.assertIn("kernels from 7.1 on", out)
        self.assertEqual(self.total(out, "skipped: unmaps of nothing live"), 1)

    def test_overlapping_maps_are_counted_and_other_events_too(self):
        text = TRACE.replace(unmap_event(0x1000, 12288), "") + map_event(0x2000, 4096, 0x9000)
        text += f"{EVENT}attach_device_to_domain: IOMMU: device=0000:00:02.0\n" + "TRACE-END\nanything\n"
        out, _ = self.run_replay(0, self.write("a", text))
        self.assertEqual(self.total(out, "skipped: maps over a live mapping"), 1)
        self.assertEqual(self.total(out, "skipped: events of other kinds"), 1)
        self.assertEqual(self.total(out, "skipped: lines after TRACE-END"), 2)

    def test_an_unmap_that_cuts_a_mapping_leaves_the_rest_reachable(self):
        text = "# tracer: nop\n" + map_event(0x10000, 0x10000, 0x40000) + unmap_event(0x14000, 0x2000)
        text += map_event(0x14000, 0x2000, 0x90000)
        for form in "amdv1", "x86_64":
            out, _ = self.run_replay(0, f"--format={form}", "--check=all", self.write("a", text))
            self.assertEqual(self.total(out, "unmaps that cut a mapping"), 1)
            self.assertEqual(self.total(out, "faulted otherwise"), 0)

    def test_every_format_takes_a_trace_of_pages_that_it_has(self):
        text = "# tracer: nop\n" + map_event(0x100000, 0x200000, 0x400000) + map_event(0x400000, 0x10000, 0x20000)
        text += unmap_event(0x140000, 0x20000) + map_event(0x140000, 0x10000, 0x80000) + unmap_event(0x400000, 0x10000)
        layout = "gpa=0x0 hpa=0x200000 size=0x200000\ngpa=0x210000 hpa=0x10000 size=0x30000\n"
        small = self.write("small", TRACE)
        for name in self.formats():
            with self.subTest(name):
                for path in self.write("a", text), self.write("b", layout):
                    out, _ = self.run_replay(0, f"--format={name}", "--check=all", path)
                    self.assertEqual(self.total(out, "ops that the table refused, or did in part"), 0)
                    self.assertEqual(self.total(out, "faulted otherwise"), 0)
                    self.assertIn(f"world format={name} " if name != "amdv1" else "world ", out)
                if name not in LARGE_PAGES:
                    self.run_replay(0, f"--format={name}", "--check=all", small)

    def test_pages_smaller_than_the_formats_are_refused_at_their_line(self):
        half = "# tracer: nop\n" + map_event(0x1000, 0x1000, 0x3000) + map_event(0x2800, 0x800, 0x8000)
        out, error = self.run_replay(2, self.write("half", half))
        self.assertIn("half:3: this event needs pages of 2K; the smallest leaf of format=amdv1 is 4K", error)
        self.assertIn("totals up to line 2", out)
        text = "# tracer: nop\n" + map_event(0x100000, 0x100000, 0x400000) + map_event(0x2000, 0x2000, 0x20000)
        for name in set(LARGE_PAGES) & set(self.formats()):
            with self.subTest(name):
                out, error = self.run_replay(2, f"--format={name}", self.write("a", text))
                leaf = f"{LARGE_PAGES[name] >> 10}K"
                self.assertIn(f"a:3: this event needs pages of 8K; the smallest leaf of format={name} is {leaf}", error)
                self.assertIn("totals up to line 2", out)
                layout = self.write("b", "gpa=0x0 hpa=0x1000 size=0x10000\n")
                self.assertIn("b:1: this event needs pages of 4K", self.run_replay(2, f"--format={name}", layout)[1])

    def test_an_rmp_can_be_had_for_a_trace(self):
        out, _ = self.run_replay(0, "--rmp=on", self.write("a", TRACE))
        self.assertNotIn("rmp=off", out)
        self.assertEqual(self.total(out, "faulted otherwise"), 0)

    def test_check_all_walks_more_than_check_end(self):
        walks = "hardware walks done by checks"
        for name, content, flags in [("a", TRACE * 2, []), ("b.ops", SCRIPT, ["--outcomes"])]:
            path = self.write(name, content)
            once, _ = self.run_replay(0, *flags, path)
            always, _ = self.run_replay(0, *flags, "--check=all", path)
            self.assertGreater(self.total(always, walks), self.total(once, walks))

    def test_two_runs_print_the_same(self):
        path = self.write("a", TRACE)
        self.assertEqual(self.run_replay(0, path), self.run_replay(0, path))

    def test_interrupt_prints_the_totals_so_far(self):
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        with subprocess.Popen([PROGRAM, fifo], stdout=subprocess.PIPE, text=True) as process:
            with open(fifo, "w", encoding="utf-8") as feed:
                feed.write(TRACE * 3000)
                feed.flush()
                process.send_signal(signal.SIGINT)
                try:
                    feed.write(TRACE * 3000)
                except BrokenPipeError:
                    pass
            out = process.communicate(timeout=60)[0]
        self.assertEqual(process.returncode, 130)
        self.assertIn("totals up to line", out)
        self.assertLess(self.total(out, "maps read"), 12000)

    def test_a_terminal_sees_a_progress_bar_and_a_pipe_does_not(self):
        path = self.write("a", TRACE * 3000)
        self.assertEqual(self.run_replay(0, path)[1], "")
        master, slave = pty.openpty()
        subprocess.run([PROGRAM, path], stdout=subprocess.DEVNULL, stderr=slave, check=True, timeout=60)
        os.close(slave)
        self.assertIn(b"[####", os.read(master, 65536))
        os.close(master)


class Golden(ReplayCase):
    def golden(self, name):
        return os.path.join(CORPUS, "golden", name + ".txt.xz")

    def changed(self, old, new):
        with lzma.open(self.golden("x86_64-47"), "rt") as file:
            text = file.read()
        self.assertIn(old, text)
        return self.write("changed.txt", text.replace(old, new, 1))

    def test_cases_are_counted_per_file_and_in_all(self):
        case = "# t\ntable fmt=sparc levels=4 va_bits=48 oa_bits=52 features=flush-range\npage_sizes 0x40201000\nend\n"
        names = [self.golden("x86_64-47"), self.write("sparc.txt", case)]
        out, _ = self.run_replay(0, "--golden", *names)
        lines = out.splitlines()
        self.assertEqual(lines[0], f"{names[0]}: 12 passed, 0 failed, 0 skipped")
        self.assertIn("1 cases of format sparc skipped: it is not built", lines[1])
        self.assertEqual(lines[2], f"{names[1]}: 0 passed, 0 failed, 1 skipped")
        self.assertEqual(lines[3], "golden: 12 passed, 0 failed, 1 skipped")

    def test_no_format_of_the_corpus_is_skipped_where_every_format_is_built(self):
        files = [os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(CORPUS, "golden")) for name in names]
        out, _ = self.run_replay(0, "--golden", *sorted(name for name in files if name.endswith(".txt.xz")))
        if set(LARGE_PAGES) | {"riscv64", "riscv64_s2", "fake"} <= set(self.formats()):
            self.assertRegex(out, r"\ngolden: \d+ passed, 0 failed, 0 skipped\n$")

    def test_one_flipped_digit_fails_and_shows_both_readings(self):
        with lzma.open(self.golden("x86_64-47"), "rt") as file:
            lines = file.read().splitlines()
        number = next(i for i, line in enumerate(lines) if "leaf=" in line)
        wrong = lines[number][:-1] + ("6" if lines[number][-1] != "6" else "7")
        path = self.changed(lines[number], wrong)
        out, _ = self.run_replay(1, "--golden", path)
        self.assertIn(f"{path}:{number + 1}: case \"x86_64-47 seed", out)
        self.assertIn(f"  golden: {wrong}\n  engine: {lines[number]}\n", out)
        self.assertTrue(out.endswith("golden: 11 passed, 1 failed, 0 skipped\n"))

    def test_malformed_and_missing_files_are_refused(self):
        out, error = self.run_replay(2, "--golden", self.changed("page_sizes 0x", "page_size 0x"))
        self.assertIn("changed.txt:3:1: not a line of a golden file", error)
        self.assertIn("No such file", self.run_replay(2, "--golden", self.path("none"))[1])
        self.assertIn("a.ops:2:1: ", self.run_replay(2, "--golden", self.write("a.ops", SCRIPT))[1])

    def test_an_engine_is_asked_only_about_its_own_format(self):
        out, _ = self.run_replay(0, "--golden", "--engine=amdv1", self.golden("x86_64-47"))
        self.assertIn("12 cases of format x86_64 skipped: engine is amdv1", out)


class Output(ReplayCase):
    def test_json_has_the_totals(self):
        target = self.path("o.json")
        self.run_replay(0, "--json", target, self.write("a.ops", SCRIPT), self.write("b", TRACE))
        with open(target, encoding="utf-8") as file:
            result = json.load(file)
        self.assertEqual([entry["kind"] for entry in result["files"]], ["script", "trace"])
        self.assertEqual(result["files"][1]["maps_read"], 2)
        self.assertEqual(result["files"][1]["pages"], 3)
        self.assertEqual(result["result"], "ok")
        self.assertEqual(self.leftovers(), [])

    def test_a_target_that_cannot_be_written_is_said_before_any_work(self):
        script = self.write("a.ops", SCRIPT)
        for target in self.path("no/such/folder.json"), self.folder.name:
            out, error = self.run_replay(2, "--json", target, script)
            self.assertEqual(out, "")
            self.assertIn("cannot be written", error)

    def test_a_full_disk_gives_2_and_leaves_the_old_file(self):
        target = self.write("o.json", "old")
        script = self.write("a.ops", SCRIPT)

        def limit():  # files of at most 64 bytes; pipes are not limited
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))

        done = subprocess.run([PROGRAM, "--json", target, script], capture_output=True, text=True, timeout=60,
                              preexec_fn=limit, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("o.json: cannot be written: File too large", done.stderr)
        self.assertEqual(self.read("o.json"), "old")
        self.assertEqual(self.leftovers(), [])

    def test_a_run_that_fails_leaves_the_old_file_or_a_whole_new_one(self):
        target = self.write("o.json", "old")
        self.run_replay(2, "--json", target, "--format=vax", self.write("a.ops", SCRIPT))
        self.assertEqual(self.read("o.json"), "old")
        self.run_replay(2, "--json", target, self.path("none"))
        self.assertEqual(json.loads(self.read("o.json"))["result"], "bad input")

    def test_a_pipe_is_written_to_directly(self):
        # a pipe of our own: a program that gets this wrong would replace what the path names, and /dev is the machine's
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        with subprocess.Popen([PROGRAM, "--json", fifo, self.write("a.ops", SCRIPT)], stdout=subprocess.DEVNULL) as process:
            with open(fifo, encoding="utf-8") as file:
                self.assertEqual(json.load(file)["schema"], 1)
            self.assertEqual(process.wait(timeout=60), 0)
        self.assertTrue(stat.S_ISFIFO(os.stat(fifo).st_mode))

    def test_a_symbolic_link_stays_one(self):
        os.symlink("real.json", self.path("link.json"))
        self.write("real.json", "old")
        self.run_replay(0, "--json", self.path("link.json"), self.write("a.ops", SCRIPT))
        self.assertTrue(os.path.islink(self.path("link.json")))
        self.assertEqual(json.loads(self.read("real.json"))["schema"], 1)

    def test_ktap_has_one_test_a_file(self):
        out, _ = self.run_replay(1, "--ktap", self.write("a.ops", SCRIPT), self.write("b.ops", SCRIPT.replace("2M ", "4K ")))
        lines = out.splitlines()
        self.assertEqual(lines[:2], ["KTAP version 1", "1..2"])
        results = [line for line in lines[2:] if not line.startswith("# ")]
        self.assertEqual(results, [f"ok 1 {self.path('a.ops')}", f"not ok 2 {self.path('b.ops')}"])

    def test_ktap_names_skipped_formats(self):
        case = "# t\ntable fmt=sparc levels=4 va_bits=48 oa_bits=52 features=flush-range\npage_sizes 0x40201000\nend\n"
        out, _ = self.run_replay(0, "--ktap", "--golden", self.write("v.txt", case))
        self.assertIn(f"ok 1 {self.path('v.txt')} # SKIP format not built", out)


GROUPS = {"options": Options, "input": Input, "script": Script, "stream": Stream, "golden": Golden, "output": Output}

if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in GROUPS:
        sys.exit(__doc__)
    PROGRAM = sys.argv[2]
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(GROUPS[sys.argv[1]])
    if len(sys.argv) > 3:
        suite = unittest.TestSuite(test for test in suite if sys.argv[3] in test.id())
        if suite.countTestCases() == 0:
            sys.exit(f"no test matches '{sys.argv[3]}'")
    outcome = unittest.TextTestRunner(verbosity=2).run(suite)
    sys.exit(0 if outcome.wasSuccessful() else 1)
