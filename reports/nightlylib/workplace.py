"""What every part of a run shares."""

import os
from dataclasses import dataclass

from .progress import Progress


@dataclass
class Workplace:
    root: str  # of the source tree
    folder: str  # the growing result
    progress: Progress

    def log(self, name):
        return os.path.join(self.folder, "log", name)

    def result(self, name):
        return os.path.join(self.folder, name)
