"""
Where a result goes. It grows in DIR.partial, readable at any time, and takes the name DIR only when it is whole: a
rename, so that DIR holds one whole result or the other and never a mixture.
"""

import fcntl
import os
import shutil


class CannotWrite(Exception):
    """The text is the whole message."""


class ResultPlace:
    def __init__(self, out):
        self.out = os.path.abspath(out)
        self.folder = self.out + ".partial"
        self.lock = None

    def open(self):
        """Make an empty DIR.partial. Raises CannotWrite if it or DIR could not be written, or DIR is not ours."""
        self._refuse_foreign()
        try:
            os.makedirs(os.path.dirname(self.out), exist_ok=True)
            os.makedirs(self.folder, exist_ok=True)
            self._take_lock()
            for name in os.listdir(self.folder):
                remove(os.path.join(self.folder, name))
        except OSError as error:
            raise CannotWrite(f"--out {self.out}: cannot write {error.filename}: {error.strerror}") from error
        return self.folder

    def has_whole_result(self):
        return os.path.exists(os.path.join(self.out, "run.json"))

    def publish(self):
        """DIR.partial becomes DIR; a result that was there goes away after that."""
        old = None
        if self.has_whole_result():
            old = f"{self.out}.replaced"
            remove(old)
            os.rename(self.out, old)
        try:
            os.rename(self.folder, self.out)  # an empty DIR gives way
        except OSError as error:
            if old:
                os.rename(old, self.out)
            raise CannotWrite(f"{self.folder}: whole, but cannot become {self.out}: {error.strerror}") from error
        if old:
            remove(old)

    def _refuse_foreign(self):
        """DIR may be absent, empty, or an earlier result; nothing else is replaced."""
        if not os.path.lexists(self.out):
            return
        if not os.path.isdir(self.out) or os.path.islink(self.out):
            raise CannotWrite(f"--out {self.out}: is there and is not a directory")
        if os.path.ismount(self.out):
            raise CannotWrite(f"--out {self.out}: is a mount point, which a result cannot replace; name a folder in it")
        if os.listdir(self.out) and not self.has_whole_result():
            raise CannotWrite(f"--out {self.out}: holds files and no run.json, so it is no earlier result")

    def _take_lock(self):
        self.lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotWrite(f"--out {self.out}: another run is writing {self.folder}") from error


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)
