#!/usr/bin/python3 -B
"""
scripts/hunt with a fuzzer that is none: hunt_test.py REPLAY_FUZZ_LOCKSTEP MAPPROOF_REPLAY SEEDS. The fuzzer of these
tests replays seeds, says what it likes, or ends as it likes; the hunt must see through all of it.
"""

import json
import os
import stat
import subprocess
import sys
import tempfile
import unittest

TARGET, REPLAY, SEEDS = (os.path.abspath(path) for path in sys.argv[1:4])
HUNT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "scripts/hunt")


class Hunt(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix="hunt_test.")
        self.addCleanup(place.cleanup)
        self.folder = place.name
        self.out = os.path.join(self.folder, "out")
        self.json = os.path.join(self.folder, "hunt.json")

    def hunt(self, fuzzer_script, *options, replay=REPLAY):
        fuzzer = os.path.join(self.folder, "fuzzer")
        with open(fuzzer, "w", encoding="utf-8") as file:
            file.write("#!/bin/bash\n" + fuzzer_script)
        os.chmod(fuzzer, stat.S_IRWXU)
        done = subprocess.run([HUNT, "--fuzzer", fuzzer, "--replay", replay, "--out", self.out, "--json", self.json,
                               *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout

    def test_all_found_and_confirmed(self):
        code, text = self.hunt(f'exec "{TARGET}" "{SEEDS}"\n')
        self.assertEqual(code, 0, text)
        self.assertIn("hunt: 5 of 5 found", text)
        with open(self.json, encoding="utf-8") as file:
            result = json.load(file)
        self.assertEqual(result["missing"], [])
        self.assertTrue(all(each["problem"] == "" for each in result["findings"]))
        self.assertEqual(sorted(os.listdir(self.out)), sorted(each["name"] + ".ops" for each in result["findings"]))

    def test_options_reach_the_fuzzer_and_the_corpus_is_empty(self):
        code, text = self.hunt('[ -z "$(ls -A "$1")" ] && [ "$*" = "corpus -max_total_time=7 -seed=42" ] || exit 9\n'
                               f'exec "{TARGET}" "{SEEDS}"\n', "--seconds", "7", "--seed", "42")
        self.assertEqual(code, 0, text)

    def test_one_missing(self):
        code, text = self.hunt(f'exec "{TARGET}" "{SEEDS}" 2>&1 | grep -v rmp-size-bystander.amd\\ \n')
        self.assertEqual(code, 1, text)
        self.assertIn("not found within 60 s: size fault of a bystander", text)
        self.assertIn("hunt: 4 of 5 found", text)

    def test_a_script_that_replay_refuses(self):
        code, text = self.hunt(f'"{TARGET}" "{SEEDS}"; sed -i s/fault=rmp-size/fault=rmp-gpa/ '
                               '"$MAPPROOF_FINDINGS"/loses-dma.rmp-size-bystander.amd.ops\n')
        self.assertEqual(code, 1, text)
        self.assertIn("loses-dma.rmp-size-bystander.amd: mapproof-replay exits with 1", text)

    def test_a_script_that_ends_in_something_else(self):
        code, text = self.hunt(f'"{TARGET}" "{SEEDS}"; cd "$MAPPROOF_FINDINGS" && '
                               "cp loses-dma.owner-mixed-2m.amd.ops stale.after-unmap.amd.ops\n")
        self.assertEqual(code, 1, text)
        self.assertIn("stale.after-unmap.amd: mapproof-replay does not end in after-unmap", text)

    def test_a_script_that_was_not_written(self):
        code, text = self.hunt(f'"{TARGET}" "{SEEDS}"; rm "$MAPPROOF_FINDINGS"/stale.after-unmap.amd.ops\n')
        self.assertEqual(code, 1, text)
        self.assertIn("stale.after-unmap.amd: no script was written", text)

    def test_a_difference_fails_whatever_was_found(self):
        code, text = self.hunt(f'"{TARGET}" "{SEEDS}"; echo "mapproof: difference at op 1 of 2"; exit 77\n')
        self.assertEqual(code, 1, text)
        self.assertIn("the fuzzer found a difference", text)

    def test_what_could_not_run(self):
        self.assertEqual(self.hunt("exit 3\n")[0], 2)
        self.assertEqual(self.hunt("exit 0\n")[0], 2)
        self.assertEqual(self.hunt(f'exec "{TARGET}" "{SEEDS}"\n', replay="/nonexistent")[0], 2)
        self.assertEqual(self.hunt("", "--seconds", "0")[0], 2)
        self.assertEqual(self.hunt("", "--nonsense")[0], 2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
