"""What is going on, on stderr: a bar on a terminal, otherwise a plain line at each step and every 15 seconds."""

import shutil
import sys
import time

PLAIN_EVERY_SECONDS = 15
BAR_WIDTH = 24


class Progress:
    def __init__(self, stream=None):
        self.stream = stream or sys.stderr
        self.is_terminal = self.stream.isatty()
        self.start = time.monotonic()
        self.last_plain = self.start

    def say(self, text):
        """A line that stays."""
        self.clear()
        print(f"[{self._clock()}] {text}", file=self.stream, flush=True)
        self.last_plain = time.monotonic()

    def at(self, done, total, what):
        """So much of it is done; overwritten by the next one on a terminal."""
        if self.is_terminal:
            filled = BAR_WIDTH * done // max(total, 1)
            bar = "#" * filled + "." * (BAR_WIDTH - filled)
            line = f"[{self._clock()}] [{bar}] {done}/{total} {what}"
            line = line[: shutil.get_terminal_size().columns - 1]
            print(f"\r\033[K{line}", end="", file=self.stream, flush=True)
        elif time.monotonic() - self.last_plain >= PLAIN_EVERY_SECONDS:
            self.say(f"{done}/{total} {what}")

    def clear(self):
        if self.is_terminal:
            print("\r\033[K", end="", file=self.stream, flush=True)

    def _clock(self):
        seconds = int(time.monotonic() - self.start)
        return f"{seconds // 60:02d}:{seconds % 60:02d}"
