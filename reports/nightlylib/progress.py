"""What is going on: one line that changes on a terminal, a plain line now and then otherwise."""

import shutil
import sys
import time

PLAIN_EVERY_SECONDS = 15


class Progress:
    def __init__(self, stream=None):
        self.stream = stream or sys.stderr
        self.is_terminal = self.stream.isatty()
        self.start = time.monotonic()
        self.last_plain = self.start
        self.step_name = ""

    def step(self, name):
        self.step_name = name
        self.say(name)

    def say(self, text):
        """A line that stays."""
        self._clear()
        print(f"[{self._clock()}] {text}", file=self.stream, flush=True)
        self.last_plain = time.monotonic()

    def at(self, text):
        """Where the step is: overwritten by the next one on a terminal."""
        if self.is_terminal:
            width = shutil.get_terminal_size().columns
            line = f"[{self._clock()}] {self.step_name}: {text}"[: width - 1]
            print(f"\r\033[K{line}", end="", file=self.stream, flush=True)
        elif time.monotonic() - self.last_plain >= PLAIN_EVERY_SECONDS:
            self.say(f"{self.step_name}: {text}")

    def _clear(self):
        if self.is_terminal:
            print("\r\033[K", end="", file=self.stream)

    def _clock(self):
        seconds = int(time.monotonic() - self.start)
        return f"{seconds // 60:02d}:{seconds % 60:02d}"
