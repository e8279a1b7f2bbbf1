"""The files that tidy reads: what git would commit, or everything below a folder that is not a git work tree."""

import os
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Finding:
    path: str
    line: int
    rule: str
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


class Tree:
    def __init__(self, root):
        self.root = os.path.abspath(root)
        self.paths = sorted(path for path in self._list() if os.path.lexists(self.absolute(path)))
        self.path_set = set(self.paths)
        self._bytes = {}

    def _list(self):
        if os.path.exists(os.path.join(self.root, ".git")):
            command = ["git", "-C", self.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
            listed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
            return {path for path in listed.decode().split("\0") if path}
        return {
            os.path.relpath(os.path.join(folder, name), self.root)
            for folder, _, names in os.walk(self.root)
            for name in names
        }

    def absolute(self, path):
        return os.path.join(self.root, path)

    def size(self, path):
        return os.lstat(self.absolute(path)).st_size

    def bytes(self, path):
        """The content; that of a symbolic link is where it points."""
        if path not in self._bytes:
            absolute = self.absolute(path)
            if os.path.islink(absolute):
                self._bytes[path] = os.readlink(absolute).encode()
            else:
                with open(absolute, "rb") as file:
                    self._bytes[path] = file.read()
        return self._bytes[path]

    def is_text(self, path):
        return b"\0" not in self.bytes(path)

    def text(self, path):
        return self.bytes(path).decode("utf-8", errors="replace")

    def is_script(self, path, interpreter):
        """Whether a file without extension starts with #! and names this interpreter."""
        first = self.bytes(path)[:64].split(b"\n", 1)[0]
        return "." not in os.path.basename(path) and first.startswith(b"#!") and interpreter.encode() in first

    def c_files(self):
        return [path for path in self.paths if path.endswith((".c", ".h", ".cc")) and self.is_text(path)]

    def python_files(self):
        return [path for path in self.paths if path.endswith(".py") or self.is_script(path, "python")]

    def shell_files(self):
        return [path for path in self.paths if path.endswith(".sh") or self.is_script(path, "sh")]
