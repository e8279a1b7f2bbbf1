#!/usr/bin/python3 -B
"""Findings: the lines that a fuzz target prints, the scripts that it writes, and what replay says of them."""

import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from nightlylib import findings, fuzz, schema  # noqa: E402
from nightlylib.progress import Progress  # noqa: E402
from nightlylib.workplace import Workplace  # noqa: E402

LINE = "mapproof: finding loses-dma.rmp-size-bystander.amd-fill-2m count=123 first_exec=1234 first_seconds=0.80 ops=7"
SCRIPT = """# A page loses its DMA
# Entitled: guest 1 and its device.
# Happened: the access faults.

# The machine.
world           format=amdv1        -> ok

# The host maps it.
map   gpa=0x1000 hpa=0x2000 length=4K   -> ok    # a comment
dma iova=0x1000 -> fault=rmp-size
"""


class LineTest(unittest.TestCase):
    def test_key_and_statistics_are_read(self):
        match = findings.parse_line(LINE)
        self.assertEqual((match["slug"], match["rule"], match["hw"]), ("loses-dma", "rmp-size-bystander", "amd-fill-2m"))
        entry = findings.entry_of(match, "fuzz_lockstep", SCRIPT)
        self.assertEqual(entry["key"], "loses-dma/rmp-size-bystander/amd-fill-2m")
        self.assertEqual((entry["finding"], entry["count"], entry["first_exec"]), ("LOSES DMA", 123, 1234))
        self.assertEqual((entry["first_seconds"], entry["ops"]), (0.8, 7))
        self.assertEqual(entry["script"], "findings/loses-dma.rmp-size-bystander.amd-fill-2m.ops")

    def test_other_lines_are_none(self):
        for line in ("mapproof: execs=1 ops=2 findings=3", LINE.replace("loses-dma", "wins-dma"), LINE + " more", ""):
            self.assertIsNone(findings.parse_line(line))
        self.assertIsNone(findings.parse_line(LINE.replace("rmp-size-bystander", "../../evil")))

    def test_the_tally_of_a_run_keeps_them(self):
        tally = fuzz.Tally()
        for line in ("#2 INITED cov: 7", LINE, "mapproof: execs=10 ops=20 findings=3"):
            tally.read(line)
        self.assertEqual([match["rule"] for match in tally.found], ["rmp-size-bystander"])
        self.assertEqual((tally.findings, tally.ops), (3, 20))

    def test_the_mismatch_hunter_gets_twice_the_time(self):
        self.assertEqual(fuzz.shares(["fuzz_lockstep", "fuzz_engine", "fuzz_rmp"], 100), {
            "fuzz_lockstep": 50, "fuzz_engine": 25, "fuzz_rmp": 25,
        })  # fmt: skip
        self.assertEqual(fuzz.shares(["fuzz_engine"], 20), {"fuzz_engine": 20})


class ScriptTest(unittest.TestCase):
    def test_title_head_and_each_step_in_words(self):
        title, head, steps = findings.read_script(SCRIPT)
        self.assertEqual(title, "A page loses its DMA")
        self.assertEqual(head, ["Entitled: guest 1 and its device.", "Happened: the access faults."])
        self.assertEqual(steps, [
            {"op": "world format=amdv1 -> ok", "words": "The machine."},
            {"op": "map gpa=0x1000 hpa=0x2000 length=4K -> ok # a comment", "words": "The host maps it."},
            {"op": "dma iova=0x1000 -> fault=rmp-size", "words": ""},
        ])  # fmt: skip


class CollectTest(unittest.TestCase):
    """collect() with a stand-in for mapproof-replay that prints $SAYS and exits with $STATUS."""

    def setUp(self):
        root = tempfile.TemporaryDirectory(prefix="mapproof-findings-")
        self.addCleanup(root.cleanup)
        self.found = os.path.join(root.name, "found")
        self.replay = os.path.join(root.name, "replay")
        os.makedirs(self.found)
        os.makedirs(os.path.join(root.name, "out", "log"))
        self.write(self.replay, '#!/bin/sh\necho "$SAYS"\nexit $STATUS\n')
        os.chmod(self.replay, 0o755)
        self.place = Workplace(root.name, os.path.join(root.name, "out"), Progress(open(os.devnull, "w", encoding="utf-8")))
        self.addCleanup(self.place.progress.stream.close)

    def write(self, path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def collect(self, lines, names, says="  finding: LOSES DMA", status=0):
        for name in names:
            self.write(os.path.join(self.found, name), SCRIPT)
        os.environ.update(SAYS=says, STATUS=str(status))
        matches = [findings.parse_line(line) for line in lines]
        problems = findings.collect(self.place, self.replay, "fuzz_lockstep", self.found, matches)
        path = self.place.result("findings.json")
        entries = schema.read_json(path)
        schema.check_findings(entries, path)
        return entries, problems

    def test_a_confirmed_finding_and_its_script(self):
        name = "loses-dma.rmp-size-bystander.amd-fill-2m.ops"
        entries, problems = self.collect([LINE], [name])
        self.assertEqual(problems, [])
        self.assertTrue(entries[0]["confirmed"])
        with open(self.place.result(f"findings/{name}"), encoding="utf-8") as file:
            self.assertEqual(file.read(), SCRIPT)

    def test_what_replay_refuses_or_does_not_see_is_not_confirmed(self):
        name = "loses-dma.rmp-size-bystander.amd-fill-2m.ops"
        for says, status, message in (
            ("x.ops:9: expected ok", 1, "exit code 1: x.ops:9: expected ok"),
            ("  finding: STALE", 0, "found no LOSES DMA"),
        ):
            entries, problems = self.collect([LINE], [name], says, status)
            self.assertFalse(entries[0]["confirmed"])
            self.assertIn(message, problems[0])

    def test_a_script_without_statistics_and_statistics_without_a_script(self):
        entries, problems = self.collect([LINE], ["stale.unmap.amd.ops"])
        self.assertEqual(entries, [])
        self.assertIn("amd-fill-2m.ops was counted and not written", problems[0])
        self.assertIn("stale.unmap.amd.ops was written and not counted", problems[1])
        self.assertTrue(os.path.exists(self.place.result("findings/stale.unmap.amd.ops")))

    def test_the_most_severe_comes_first(self):
        lines = [LINE.replace("loses-dma", slug) for slug in ("expands", "stale", "loses-dma")]
        says = "  finding: LOSES DMA\n  finding: STALE\n  finding: EXPANDS"
        names = [f"{slug}.rmp-size-bystander.amd-fill-2m.ops" for slug in ("expands", "stale", "loses-dma")]
        entries, problems = self.collect(lines, names, says)
        self.assertEqual((problems, [each["finding"] for each in entries]), ([], ["LOSES DMA", "STALE", "EXPANDS"]))


if __name__ == "__main__":
    unittest.main()
