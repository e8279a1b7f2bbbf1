"""Rules about the tree: stray, binary and large files, lock files, names of machines. From a Tree to findings."""

import json
import os
import re

from tidylib.tree import Finding

FILE_BYTES = 2 * 1024 * 1024
TOP_FOLDERS = {"bench", "core", "corpus", "fuzz", "reports", "scripts"}
TOP_FILES = {"CMakeLists.txt", "CMakePresets.json", "LICENSE", "README.md"}

# Names of what builds, tests, fuzzers and profilers leave behind.
GENERATED = re.compile(
    r"""(^|/)(build|__pycache__|node_modules|CMakeFiles|Testing)/
      | ^reports/out/
      | \.(o|a|so|d|pyc|gcda|gcno|profraw|profdata|log|orig|rej|swp|tmp|sqlite|sqlite3)$ | ~$
      | (^|/)(crash|leak|timeout|oom|slow-unit)-[0-9a-f]{8,}[^/]*$
      | (^|/)(perf\.data|callgrind\.out|cachegrind\.out|vgcore|core\.[0-9]+|CMakeCache\.txt|compile_commands\.json)
      | (^|/)(build\.ninja|\.ninja_log|\.ninja_deps)$""",
    re.VERBOSE,
)
LOCK_FILES = {"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml"}
# Hosts of package registries, put together here so that this file names none.
HOSTS = re.compile(
    r"\bregistry\.[a-z0-9-]+\.[a-z]{2,}|\b("
    + "|".join(
        re.escape(".".join(parts))
        for parts in (
            ("deb", "debian", "org"),
            ("security", "debian", "org"),
            ("snapshot", "debian", "org"),
            ("pypi", "org"),
            ("files", "pythonhosted", "org"),
            ("proxy", "golang", "org"),
            ("crates", "io"),
        )
    )
    + r")\b"
)
# An absolute path that only one machine has.
MACHINE_PATH = re.compile(r"(?<![\w.*$}/<-])/(?:home|root|work|Users|mnt|media|export)/\w[\w./-]*")
NPMRC_LINE = "omit-lockfile-registry-resolved=true"


def stray(tree):
    """Nothing in the root but what design.md 2 lists; dot files are free."""
    for path in tree.paths:
        top, _, rest = path.partition("/")
        if top.startswith(".") or (top in TOP_FOLDERS if rest else top in TOP_FILES):
            continue
        yield Finding(path, 1, "stray", "does not belong in the root of the tree")


def generated(tree):
    """Nothing that a build, a test, a fuzzer or an editor wrote."""
    for path in tree.paths:
        if GENERATED.search(path):
            yield Finding(path, 1, "generated", "is generated; leave it out (.gitignore)")


def binary(tree):
    """Binary files in corpus/ only, executables nowhere."""
    for path in tree.paths:
        if tree.bytes(path)[:4] == b"\x7fELF":
            yield Finding(path, 1, "binary", "is an executable or object file")
        elif not path.startswith("corpus/") and not tree.is_text(path):
            yield Finding(path, 1, "binary", "is binary; only corpus/ may hold such files")


def large(tree):
    """No file above 2 MiB."""
    for path in tree.paths:
        if tree.size(path) > FILE_BYTES:
            yield Finding(path, 1, "large", f"{tree.size(path)} bytes, at most {FILE_BYTES}")


def prose(tree):
    """Text files of ours: not the corpus, whose bytes are data."""
    return [path for path in tree.paths if not path.startswith("corpus/") and tree.is_text(path)]


def numbered(tree, path):
    return enumerate(tree.text(path).split("\n"), 1)


def hosts(tree):
    """No file names the host of a package registry."""
    for path in prose(tree):
        for line, text in numbered(tree, path):
            match = HOSTS.search(text)
            if match:
                yield Finding(path, line, "hosts", f"names a package registry: {match.group()}")


def resolved_keys(value, trail=""):
    """Where a parsed lock file has a key `resolved`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "resolved" and isinstance(inner, str):
                yield trail or "/"
            yield from resolved_keys(inner, f"{trail}/{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from resolved_keys(inner, f"{trail}/{index}")


def lock_files(tree):
    """Lock files hold no `resolved`: which host served a package is no part of what was locked."""
    for path in tree.paths:
        name = os.path.basename(path)
        if name not in LOCK_FILES:
            continue
        if not name.endswith(".json"):
            for line, text in numbered(tree, path):
                if re.match(r"\s*(resolved|tarball)\b", text) or "tarball:" in text:
                    yield Finding(path, line, "lock-files", "says where a package came from")
            continue
        try:
            trails = list(resolved_keys(json.loads(tree.text(path))))
        except ValueError as error:
            yield Finding(path, 1, "lock-files", f"is not JSON: {error}")
            continue
        lines = [line for line, text in numbered(tree, path) if '"resolved"' in text] or [1]
        for index, trail in enumerate(trails):
            line = lines[min(index, len(lines) - 1)]
            yield Finding(path, line, "lock-files", f'"resolved" at {trail}')


def npmrc(tree):
    """Beside each package.json stands an .npmrc that keeps `resolved` out (npm reads that one); none sets a registry."""
    for path in tree.paths:
        folder, name = os.path.split(path)
        if name == "package.json":
            beside = os.path.join(folder, ".npmrc")
            if beside not in tree.path_set:
                yield Finding(path, 1, "npmrc", f"has no .npmrc beside it with {NPMRC_LINE}")
            elif NPMRC_LINE not in tree.text(beside).replace(" ", "").splitlines():
                yield Finding(beside, 1, "npmrc", f"lacks {NPMRC_LINE}")
        if name == ".npmrc":
            if os.path.join(folder, "package.json") not in tree.path_set:
                yield Finding(path, 1, "npmrc", "has no package.json beside it, so npm does not read it")
            for line, text in numbered(tree, path):
                if re.search(r"registry\s*=\s*\S|_auth", text) and NPMRC_LINE not in text.replace(" ", ""):
                    yield Finding(path, line, "npmrc", "sets a registry or a credential")


def machine_paths(tree):
    """No absolute path that only one machine has."""
    for path in prose(tree):
        for line, text in numbered(tree, path):
            match = MACHINE_PATH.search(text)
            if match:
                yield Finding(path, line, "machine-path", f"names a place on one machine: {match.group()}")


def whitespace(tree):
    """Lines end without blanks and with \\n, files with a newline; C and Python are indented with blanks."""
    no_tabs = (".c", ".h", ".cc", ".py", ".json")
    for path in prose(tree):
        text = tree.text(path)
        if text and not text.endswith("\n"):
            yield Finding(path, text.count("\n") + 1, "whitespace", "no newline at the end of the file")
        for line, content in numbered(tree, path):
            if content != content.rstrip():
                yield Finding(path, line, "whitespace", "blanks or a carriage return at the end of the line")
            elif "\t" in content and path.endswith(no_tabs):
                yield Finding(path, line, "whitespace", "a tab")
