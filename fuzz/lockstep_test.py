#!/usr/bin/python3 -B
"""
fuzz_lockstep from end to end, without libFuzzer: lockstep_test.py REPLAY_FUZZ_LOCKSTEP MAPPROOF_REPLAY SEEDS. Seeds go
in, commented scripts come out, and mapproof-replay confirms each one.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

TARGET, REPLAY, SEEDS = sys.argv[1:4]
NAMED = ["loses-dma.rmp-size-bystander.amd", "expands.beyond-s1-leaf.amd-fill-2m", "expands.beyond-s2-leaf.expanding",
         "stale.after-unmap.amd", "loses-dma.owner-mixed-2m.amd"]
LINE = re.compile(r"^mapproof: finding (\S+) count=(\d+) first_exec=(\d+) first_seconds=(\d+\.\d\d) ops=(\d+)$", re.M)


def environment(**more):
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MAPPROOF_")}
    return {**clean, **more}


def run(command, **more):
    return subprocess.run(command, env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Lockstep(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory(prefix="lockstep_test.")
        self.addCleanup(self.place.cleanup)
        self.folder = self.place.name

    def scripts(self):
        return sorted(name for name in os.listdir(self.folder))

    def test_seeds_give_every_named_finding_and_its_script(self):
        done = run([TARGET, SEEDS], MAPPROOF_FINDINGS=self.folder)
        self.assertEqual(done.returncode, 0, done.stdout)
        lines = {match[0]: match for match in LINE.findall(done.stdout)}
        self.assertEqual(self.scripts(), sorted(name + ".ops" for name in lines))
        for name in NAMED:
            self.assertIn(name, lines)
        for name, (_, count, first, _, ops) in lines.items():
            self.assertGreaterEqual(int(count), 1)
            self.assertGreaterEqual(int(first), 1)
            text = read(os.path.join(self.folder, name + ".ops"))
            steps = [line for line in text.splitlines() if line and not line.startswith("#")]
            self.assertEqual(len(steps), int(ops), name)
            self.assertTrue(all(" -> " in step for step in steps), text)

    def test_every_line_is_told_in_words_and_confirmed(self):
        run([TARGET, SEEDS], MAPPROOF_FINDINGS=self.folder)
        self.assertGreaterEqual(len(self.scripts()), len(NAMED))
        for name in self.scripts():
            path = os.path.join(self.folder, name)
            lines = read(path).splitlines()
            self.assertRegex(lines[0], r"^# [A-Z].{20,}")
            self.assertRegex(lines[2], r"^# entitled: .")
            self.assertRegex(lines[3], r"^# happened: .")
            for above, line in zip(lines, lines[1:]):
                if line and not line.startswith("#"):
                    self.assertRegex(above, r"^# [A-Z].*\.$", f"{name}: {line}")
            done = run([REPLAY, "--check=all", path])
            self.assertEqual(done.returncode, 0, done.stdout)
            finding, rule, hardware = name[:-len(".ops")].split(".")
            self.assertIn(f"finding={finding} rule={rule}", done.stdout)
            self.assertTrue(hardware == "amd" or f"hw={hardware}" in done.stdout, done.stdout)

    def test_a_script_that_promises_too_much_is_not_confirmed(self):
        run([TARGET, SEEDS], MAPPROOF_FINDINGS=self.folder)
        path = os.path.join(self.folder, NAMED[0] + ".ops")
        for old, new in (("rule=rmp-size-bystander", "rule=rmp-size-leaf-larger"), ("finding=loses-dma", "finding=stale"),
                         ("fault=rmp-size", "fault=rmp-owner")):
            changed = os.path.join(self.folder, "changed.ops")
            with open(changed, "w", encoding="utf-8") as file:
                file.write(read(path).replace(old, new))
            self.assertEqual(run([REPLAY, changed]).returncode, 1, new)

    def test_without_a_folder_nothing_is_written(self):
        done = run([TARGET, SEEDS])
        self.assertEqual(done.returncode, 0)
        self.assertGreaterEqual(len(LINE.findall(done.stdout)), len(NAMED))

    def test_a_folder_that_is_not_there_is_said_and_survived(self):
        done = run([TARGET, SEEDS], MAPPROOF_FINDINGS=os.path.join(self.folder, "missing"))
        self.assertEqual(done.returncode, 0)
        self.assertIn("No such file or directory", done.stdout)

    def test_strict_aborts_at_a_finding(self):
        done = run([TARGET, SEEDS], MAPPROOF_STRICT="1")
        self.assertEqual(done.returncode, -signal.SIGABRT)
        self.assertRegex(done.stdout, r"mapproof: finding [A-Z ]+ \S+ on \S+, and MAPPROOF_STRICT allows none, at op")
        self.assertIn("script:\nworld ", done.stdout)
        self.assertEqual(run([TARGET, SEEDS], MAPPROOF_STRICT="0").returncode, 0)

    def test_a_signal_ends_the_run_with_its_counters(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen([TARGET] + [SEEDS] * 20000, env=environment(), stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE, text=True)
            time.sleep(0.5)
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
            self.assertEqual(process.returncode, -number)
            self.assertEqual(errors.count("mapproof: execs="), 1, errors)
            self.assertTrue(LINE.search(errors), errors)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
