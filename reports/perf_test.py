#!/usr/bin/python3 -B
"""The perf part without perf: what is read of its output, which cases are chosen, how a flamegraph is drawn."""

import os
import sys
import unittest
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path[:0] = [HERE, os.path.join(ROOT, "scripts")]
from gatelib import callgrind  # noqa: E402
from nightlylib import flame, perf, perfstat  # noqa: E402
from nightlylib.child import Ended  # noqa: E402
from nightlylib.modes import COUNTS, MODES, PERF_CASES  # noqa: E402

# As perf 6.1 writes it in a virtual machine.
NO_COUNTERS = """# started on Sun Nov 22 20:51:39 2026

{"counter-value" : "794.184432", "unit" : "msec", "event" : "task-clock", "event-runtime" : 794184432, "pcnt-running" : 100.00}
{"counter-value" : "1.000000", "unit" : "", "event" : "context-switches", "event-runtime" : 794184432}
{"counter-value" : "<not supported>", "unit" : "", "event" : "instructions:u", "event-runtime" : 0, "pcnt-running" : 100.00}
{"counter-value" : "<not counted>", "unit" : "", "event" : "cycles:u", "event-runtime" : 0, "pcnt-running" : 0.00}
"""


class StatTest(unittest.TestCase):
    def test_what_was_not_counted_is_absent_and_not_zero(self):
        events, absent = perfstat.parse(NO_COUNTERS)
        self.assertEqual(events["task-clock"], {"value": 794.184432, "unit": "msec"})
        self.assertEqual(sorted(events), ["context-switches", "task-clock"])
        self.assertEqual(absent, {"instructions": "not supported", "cycles": "not counted"})
        self.assertEqual(perfstat.tier_of(events), "software")
        self.assertIn("(not supported", perfstat.why_no_hardware(absent))

    def test_instructions_make_it_the_pmu_tier(self):
        text = NO_COUNTERS.replace("<not supported>", "1772215.000000")
        events, absent = perfstat.parse(text)
        self.assertEqual(events["instructions"], {"value": 1772215.0, "unit": ""})  # the name without :u
        self.assertEqual((perfstat.tier_of(events), perfstat.why_no_hardware(absent)), ("pmu", ""))

    def test_events_that_user_space_cannot_see_are_no_zeros(self):
        text = '{"counter-value" : "0.000000", "unit" : "", "event" : "context-switches:u"}\n'
        self.assertEqual(perfstat.parse(text), ({}, {"context-switches": "not visible from user space"}))

    def test_nothing_at_all_has_a_reason(self):
        for ended, message in (
            (Ended(None, "", 0.0, "perf: No such file or directory"), "perf: No such file or directory (scripts/setup"),
            (Ended(255, "Error:\nNo permission to enable task-clock event.\n", 0.1), "exit code 255"),
            (Ended(-9, "", 600.0, "timed out after 600 s"), "timed out after 600 s"),
        ):
            events, why = perfstat.stat(lambda command, e=ended: e, ["true"])
            self.assertEqual(events, {})
            self.assertIn(message, why)

    def test_a_program_that_fails_is_not_blamed_on_perf(self):
        def runner(command):
            with open(command[command.index("-o") + 1], "w", encoding="utf-8") as file:
                file.write(NO_COUNTERS)
            return Ended(1, "case failed", 0.1)

        events, why = perfstat.stat(runner, ["true"])
        self.assertEqual((events, why), ({}, "what perf stat ran failed: exit code 1"))


class ChoiceTest(unittest.TestCase):
    CASES = ["limit/store_2KiB", "map/amdv1/1x4K/warm", "map/amdv1/256x4K/warm", "policy/best/amd/cert", "policy/4K/amd/cert"]

    def test_every_family_of_the_list_is_there_a_new_one_by_its_first_case(self):
        chosen = perf.choose(self.CASES, PERF_CASES)
        self.assertEqual(list(chosen), ["limit", "map", "policy"])
        self.assertEqual(chosen["map"], ["map/amdv1/256x4K/warm"])
        self.assertEqual(chosen["policy"], ["policy/best/amd/cert"])

    def test_a_filter_names_its_cases_and_no_other(self):
        self.assertEqual(perf.filter_of(["replay/nvme-e1000e/amdv1"]), "--benchmark_filter=^(replay/nvme-e1000e/amdv1)$")

    def test_counts_are_the_modes_own_and_then_the_gates(self):
        cases = [case for case, _ in COUNTS] + ["map/x86_64/1x4K/cold", "map/x86_64/1x8K/cold"]
        self.assertEqual(perf.counts_wanted(cases, ROOT, MODES["quick"]), COUNTS)
        wanted = perf.counts_wanted(cases, ROOT, MODES["default"])
        self.assertEqual(wanted, COUNTS + [("map/x86_64/1x4K/cold", 500)])

    def test_a_count_is_read_from_what_valgrind_wrote(self):
        self.assertEqual(callgrind.collected("==9== Events    : Ir\n==9== Collected : 1772215\n"), 1772215)
        self.assertIsNone(callgrind.collected("==9== Collected : 0\n"))
        self.assertIsNone(callgrind.collected("valgrind: No such file"))


# As `perf script -F ip,sym,dso` writes it: innermost first, what was inlined has a line of its own.
SCRIPT = """
\t           1be77 pt_sync_fill (inlined)
\t           1be77 map_some (/build/mapproof-bench)
\t           1c9f2 amdv1_map_range (/build/mapproof-bench)
\t            f765 (anonymous namespace)::run_case (/build/mapproof-bench)
\t           2d6ee [unknown] (/usr/lib/x86_64-linux-gnu/libbenchmark.so.1.7.1)
\tffffffffffffffff [unknown] ([unknown])

\t           1be77 pt_sync_fill+0x12 (/build/mapproof-bench)
\t           1be77 map_some+0x527 (/build/mapproof-bench)
\t           1c9f2 amdv1_map_range+0x292 (/build/mapproof-bench)
\t            f765 (anonymous namespace)::run_case+0x85 (/build/mapproof-bench)

\t           196ab walk_table (/build/mapproof-bench)
\t           19758 walk_table (/build/mapproof-bench)
\t           19972 pt_walk_items (/build/mapproof-bench)
"""


class FlameTest(unittest.TestCase):
    STACK = ("(anonymous namespace)::run_case", "amdv1_map_range", "map_some", "pt_sync_fill")

    def test_samples_are_folded_outermost_first_without_what_has_no_name(self):
        stacks = flame.fold(SCRIPT)
        self.assertEqual(stacks, {self.STACK: 2, ("pt_walk_items", "walk_table", "walk_table"): 1})

    def test_lines_that_begin_a_sample_may_be_there(self):
        header = "mapproof-bench 22240 11495.899580:    1003009 cpu-clock: \n"
        self.assertEqual(flame.fold(header + "\t 1 f (x)\n\n" + header + "\t 1 f (x)\n"), {("f",): 2})

    def test_only_what_is_within_a_map_is_kept(self):
        self.assertEqual(flame.within(flame.fold(SCRIPT), "_map_range"), {self.STACK[1:]: 2})

    def test_widths_are_shares_and_nothing_is_loaded_or_run(self):
        text = flame.svg({("a", "b<&>"): 3, ("a", "c"): 1}, "root", 'A "title" <here>', "note")
        root = ElementTree.fromstring(text)
        space = "{http://www.w3.org/2000/svg}"
        frames = {}
        for group in root.iter(f"{space}g"):
            frame = group.find(f"{space}rect")
            frames[group.find(f"{space}title").text] = (float(frame.get("width")), float(frame.get("y")))
        whole = flame.WIDTH - 2 * flame.MARGIN
        self.assertEqual(frames["root: 4 samples, 100.0%"][0], whole)
        self.assertEqual(frames["b<&>: 3 samples, 75.0%"][0], whole * 3 / 4)
        self.assertEqual(frames["c: 1 samples, 25.0%"][0], whole / 4)
        self.assertLess(frames["c: 1 samples, 25.0%"][1], frames["a: 4 samples, 100.0%"][1])  # callers below
        self.assertEqual(root.get("aria-label"), 'A "title" <here>')
        for forbidden in ("<script", "href", "url(", "@import", "http://www.w3.org/1999/xlink", "onclick", "onload"):
            self.assertNotIn(forbidden, text)

    def test_its_style_stays_within_the_picture(self):
        for line in flame.STYLE.splitlines():
            if "{" in line and "@media" not in line:
                self.assertTrue(line.strip().startswith(".flame"), line)

    def test_labels_fit_and_recursion_is_one_frame(self):
        self.assertEqual(flame.short("pt_sync_fill", 200), "pt_sync_fill")
        self.assertEqual(flame.short("pt_sync_fill", 40), "pt_s\u2026")
        self.assertEqual(flame.short("pt_sync_fill", 12), "")
        self.assertEqual(flame.without_recursion(("a", "a", "b", "a")), ("a", "b", "a"))

    def test_a_name_has_one_colour_bright_enough_for_black_letters(self):
        self.assertEqual(flame.colour("map_some"), flame.colour("map_some"))
        for name in ("map_some", "pt_sync_fill", "a", "unmap", "x" * 99):
            red, green, blue = (int(flame.colour(name)[at : at + 2], 16) / 255 for at in (1, 3, 5))
            linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in (red, green, blue)]
            luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
            ink = (0x1A / 255 + 0.055) / 1.055
            self.assertGreater((luminance + 0.05) / (ink**2.4 + 0.05), 4.5)  # WCAG AA


if __name__ == "__main__":
    unittest.main()
