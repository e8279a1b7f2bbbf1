"""Company for a measurement: one process per other processor that copies memory without pause."""

import os
import subprocess
import sys
import time

from gatelib.child import end, running

START_SECONDS = 0.5
# 64 MiB: more than a second-level cache, so that memory and the shared cache are busy too.
COPY = "import numpy\na = numpy.ones(1 << 23)\nb = a.copy()\nwhile True:\n    b[:] = a\n    a[:] = b"


class Load:
    """with Load(True): the others are busy inside."""

    def __init__(self, is_on):
        self.count = max(os.cpu_count() - 1, 1) if is_on else 0
        self.children = []

    def __enter__(self):
        for _ in range(self.count):
            child = subprocess.Popen([sys.executable, "-c", COPY], start_new_session=True)
            self.children.append(child)
            running.add(child)
        if self.children:
            time.sleep(START_SECONDS)
        return self

    def __exit__(self, *_):
        for child in self.children:
            end(child)
            running.discard(child)
