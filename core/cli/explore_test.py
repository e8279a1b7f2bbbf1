#!/usr/bin/python3 -B
"""mapproof-explore: exit codes, what it writes, and that every script it gives shows what it says in mapproof-replay."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest

EXPLORE, REPLAY = sys.argv[1:3]
ONE = ("--policy=cut-first", "--hw=amd", "--guest=4k", "--backing=2m", "--device=t1")
RULES = {"STALE": "finding=stale", "LOSES DMA": "finding=loses-dma", "EXPANDS": "finding=expands"}


def explore(*arguments):
    return subprocess.run([EXPLORE, *arguments], capture_output=True, text=True, timeout=300)


class Explore(unittest.TestCase):
    def test_bad_input_exits_2_and_says_what_was_wrong(self):
        for arguments in (("--policy=none",), ("--hw=x",), ("--depth=0",), ("--depth=9x",), ("--switches=some",), ("file",),
                          ("--nonsense",), ("--json=/nowhere/x.json",)):
            with self.subTest(arguments):
                result = explore(*arguments)
                self.assertEqual(result.returncode, 2)
                self.assertTrue(result.stderr)

    def test_every_script_shows_again_what_it_says(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.json")
            result = explore("--policy=psmash-first-late", "--hw=amd", "--guest=hostile", "--device=t1", "--json", path)
            self.assertEqual(result.returncode, 0, result.stderr)
            with open(path, encoding="utf-8") as file:
                run = json.load(file)
            self.assertTrue(run["complete"])
            shown = 0
            for cell in run["cells"]:
                for name, text in cell["scripts"].items():
                    script = os.path.join(folder, "x.ops")
                    with open(script, "w", encoding="utf-8") as file:
                        file.write(text)
                    replay = subprocess.run([REPLAY, script], capture_output=True, text=True, timeout=60)
                    self.assertEqual(replay.returncode, 0, replay.stdout + replay.stderr)
                    self.assertIn(RULES[name], replay.stdout)
                    shown += 1
            self.assertGreaterEqual(shown, 2)

    def test_a_verdict_is_words_and_a_closed_search(self):
        result = explore(*ONE)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("LOSES DMA", result.stdout)
        self.assertIn("1 of 1 cells", result.stdout)

    def test_a_depth_too_small_is_no_safety(self):
        result = explore("--policy=engine", *ONE[1:], "--depth=2")
        self.assertIn("NO COUNTEREXAMPLE TO DEPTH 2", result.stdout)
        self.assertNotIn("SAFE", result.stdout)

    def test_an_interrupted_search_keeps_what_it_has_and_exits_3(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.json")
            with subprocess.Popen([EXPLORE, "--json", path], stdout=subprocess.PIPE, text=True) as child:
                child.stdout.readline()
                child.send_signal(signal.SIGINT)
                child.communicate(timeout=120)
                self.assertEqual(child.returncode, 3)
            with open(path, encoding="utf-8") as file:
                run = json.load(file)
            self.assertFalse(run["complete"])
            self.assertGreaterEqual(len(run["cells"]), 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
