"""
A release build of each side. Folder names of equal length, -ffile-prefix-map and no tests: two builds of one commit
differ in nothing but letters of a path.
"""

import fcntl
import os
import shutil

from gatelib.child import run
from gatelib.failure import CannotMeasure

TOOLS = ("git", "cmake", "ninja", "objdump", "valgrind", "callgrind_annotate")


class Side:
    """
    One commit, placed and built. `name`: base or head, four letters like every other. Two engines of one build are two
    sides of one commit: `engine` is what --engine of mapproof-bench takes, and `at` names the tree that both share.
    """

    def __init__(self, name, commit, folder, engine=None, at=None):
        assert len(name) == 4
        self.name = name
        self.engine = engine
        self.arguments = [f"--engine={engine}"] if engine else []
        self.commit = commit
        self.tree = os.path.join(folder, at or name)
        self.build = os.path.join(folder, "build-" + (at or name))
        self.program = os.path.join(self.build, "mapproof-bench")


class Workshop:
    """The folder build/gate of a repository: worktrees, builds, counts. One gate at a time."""

    def __init__(self, repository, preset, deadline):
        self.repository = repository
        self.preset = preset
        self.deadline = deadline
        self.folder = os.path.join(repository.root, "build", "gate")
        self.lock = None

    def open(self):
        missing = [tool for tool in TOOLS if not shutil.which(tool)]
        if missing:
            raise CannotMeasure(f"no {', '.join(missing)} here; scripts/setup installs what is missing")
        try:
            os.makedirs(self.folder, exist_ok=True)
            # Closed only by our end: the lock must outlive every child. Beside the folder, which --clean removes.
            self.lock = open(self.folder + ".lock", "w", encoding="utf-8")
        except OSError as error:
            raise CannotMeasure(f"{error.filename}: {error.strerror}") from error
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotMeasure(f"another gate is at work in {self.folder}") from None

    def place(self, name, commit):
        side = Side(name, commit, self.folder)
        self.repository.place_tree(side.tree, commit)
        return side

    def place_engines(self, commit, engines):
        """A side for each engine, all in the tree and the build of base."""
        self.repository.place_tree(os.path.join(self.folder, "base"), commit)
        return [Side(name, commit, self.folder, engine, "base") for name, engine in zip(("base", "head"), engines)]

    def clean(self):
        self.repository.remove_trees(self.folder)

    def configure(self, side):
        mapped = f"-ffile-prefix-map={side.tree}=."
        command = ["cmake", "--preset", self.preset, "-B", side.build, "-DMAPPROOF_TESTS=OFF", "-DMAPPROOF_BENCH=ON"]
        command += [f"-DCMAKE_C_FLAGS={mapped}", f"-DCMAKE_CXX_FLAGS={mapped}", "-DMAPPROOF_WERROR=OFF"]
        self._must(side, command)

    def build(self, side, *targets):
        self._must(side, ["cmake", "--build", side.build, "--target", *targets])

    def _must(self, side, command):
        result = run(command, self.deadline, f"building {side.name}", cwd=side.tree)
        if result.status != 0:
            raise CannotMeasure(f"{side.name} {side.commit[:12]} does not build ({' '.join(command)}):\n{result.tail()}")
