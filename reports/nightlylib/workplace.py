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

    def shown(self, path):
        """A path as somebody in the source tree would type it."""
        inside = os.path.relpath(path, self.root)
        return path if inside.startswith("..") else inside
