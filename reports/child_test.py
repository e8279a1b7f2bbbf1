#!/usr/bin/python3 -B
"""How programs are run and ended: what they wrote is kept, and nothing of them stays behind."""

import os
import signal
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from nightlylib import child  # noqa: E402

# A program with a helper, both in one group. Each says so when it gets SIGINT; the helper would go on.
PROGRAM = """
import os, signal, subprocess, sys, time
helper = subprocess.Popen([sys.executable, "-c", '''
import signal, time
signal.signal(signal.SIGINT, lambda *_: print("helper was asked", flush=True))
print("helper", flush=True)
time.sleep(60); time.sleep(60)
'''])
def stop(*_):
    print("asked", flush=True)
    sys.exit(130)
signal.signal(signal.SIGINT, stop)
time.sleep(60)
"""


class ChildTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="mapproof-child-")
        self.addCleanup(folder.cleanup)
        self.log = os.path.join(folder.name, "log")

    def test_a_stop_asks_the_program_alone_keeps_its_words_and_ends_its_helpers(self):
        def stop(*_):
            raise child.Stopped("SIGUSR1")

        def watch(line):
            if line == "helper":
                os.kill(os.getpid(), signal.SIGUSR1)

        self.addCleanup(signal.signal, signal.SIGUSR1, signal.signal(signal.SIGUSR1, stop))
        start = time.monotonic()
        with self.assertRaises(child.Stopped) as caught:
            child.run([sys.executable, "-c", PROGRAM], self.log, watch, 50)
        ended = caught.exception.ended
        self.assertEqual((ended.status, ended.text.splitlines()), (130, ["helper", "asked"]))
        self.assertLess(time.monotonic() - start, 30)

    def test_a_limit_of_time_ends_the_group(self):
        ended = child.run(["/bin/sh", "-c", "echo before; sleep 60; echo after"], self.log, None, 0.5)
        self.assertEqual((ended.text, ended.note), ("before\n", "timed out after 0.5 s"))

    def test_output_alone_and_errors_in_the_log(self):
        ended = child.output_of(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"], self.log)
        self.assertEqual((ended.status, ended.text, ended.note), (3, "out\n", ""))
        with open(self.log, encoding="utf-8") as file:
            self.assertEqual(file.read(), "err\n")
        self.assertEqual(child.output_of(["sleep", "60"], self.log, 0.5).note, "timed out after 0.5 s")

    def test_a_program_that_does_not_exist(self):
        for run in (child.run, child.output_of):
            ended = run(["/nowhere/x"], self.log)
            self.assertEqual((ended.status, ended.note), (None, "/nowhere/x: No such file or directory"))
        self.assertEqual(threading.active_count(), 1)  # no timer is left


if __name__ == "__main__":
    unittest.main()
