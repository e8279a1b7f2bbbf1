"""
Commits and their worktrees. Nothing here writes to the user's work tree, index, branches or stash: git is told to take
no optional locks (status would refresh the index), to run no hooks, and to forget a GIT_DIR that a hook exported.
"""

import os
import shutil

from gatelib.child import run
from gatelib.failure import CannotMeasure

# What decides how fast the engine is; a change elsewhere does not make the tree dirty.
MEASURED = ("core", "bench", "CMakeLists.txt", "CMakePresets.json")


class Repository:
    def __init__(self, root, deadline):
        self.root = root
        self.deadline = deadline
        # Relative paths keep GIT_DIR and friends pointing elsewhere; git lists the variables, all begin so.
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self.environment["GIT_OPTIONAL_LOCKS"] = "0"

    def git(self, *arguments, cwd=None):
        command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false", *arguments]
        return run(command, self.deadline, "asking git", cwd or self.root, self.environment)

    def must(self, *arguments, cwd=None):
        result = self.git(*arguments, cwd=cwd)
        if result.status != 0:
            raise CannotMeasure(f"git {' '.join(arguments)}: {result.tail() or result.status}")
        return result.stdout.strip()

    def check(self):
        """The root is the top of a repository: a copy inside another one must not put worktrees there."""
        top = self.git("rev-parse", "--show-toplevel")
        if top.status != 0 or os.path.realpath(top.stdout.strip()) != os.path.realpath(self.root):
            raise CannotMeasure(f"{self.root}: not the top of a git repository")

    def commit(self, name):
        """The full hash that a revision names."""
        result = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}")
        if result.status != 0:
            raise CannotMeasure(f"unknown revision: {name}")
        return result.stdout.strip()

    def subject(self, commit):
        return self.must("log", "-1", "--format=%s", commit)

    def is_modified(self, *paths):
        """Whether tracked files there differ from HEAD."""
        return bool(self.must("diff", "--name-only", "HEAD", "--", *paths))

    def refuse_dirty(self):
        """Whoever leaves HEAD out means "what I have here"; what is not committed would not be measured."""
        changed = self.must("diff", "--name-only", "HEAD", "--", *MEASURED).splitlines()
        changed += self.must("ls-files", "--others", "--exclude-standard", "--", *MEASURED).splitlines()
        if changed:
            raise CannotMeasure(
                f"uncommitted changes would not be measured ({', '.join(changed[:3])}{', ...' if changed[3:] else ''}): "
                "commit them, or name HEAD to measure without them"
            )

    def place_tree(self, place, commit):
        """A worktree of ours at `place` with exactly `commit` in it, made or reused. Unchanged files keep their times."""
        if os.path.exists(place) and not self._is_worktree(place):
            shutil.rmtree(place)
        if not os.path.exists(place):
            os.makedirs(os.path.dirname(place), exist_ok=True)
            # -f: registered already where somebody deleted build/ by hand.
            self.must("worktree", "add", "-f", "--detach", place, commit)
        self.must("checkout", "--detach", "--force", commit, cwd=place)
        self.must("clean", "-ffdxq", cwd=place)
        if self.must("status", "--porcelain", cwd=place) or self.must("rev-parse", "HEAD", cwd=place) != commit:
            raise CannotMeasure(f"{place}: git did not put {commit} there")

    def remove_trees(self, folder):
        """Everything under `folder`, with git's records of the worktrees in it."""
        inside = os.path.realpath(folder) + os.sep
        for line in self.must("worktree", "list", "--porcelain").splitlines():
            place = line.removeprefix("worktree ")
            if line.startswith("worktree ") and os.path.realpath(place).startswith(inside):
                self.must("worktree", "remove", "--force", "--force", place)
        shutil.rmtree(folder, ignore_errors=True)

    def _is_worktree(self, place):
        """Whether git in `place` speaks of that folder itself, of this repository."""
        common = self.git("rev-parse", "--path-format=absolute", "--git-common-dir", "--show-toplevel", cwd=place)
        ours = self.must("rev-parse", "--path-format=absolute", "--git-common-dir")
        return common.status == 0 and common.stdout.splitlines() == [ours, os.path.realpath(place)]
