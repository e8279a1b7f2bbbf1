"""Rules about code: layers, sizes, formatting, headers. Each is a function from a Tree to findings."""

import ast
import os
import posixpath
import subprocess
from concurrent.futures import ThreadPoolExecutor

from tidylib import c_source
from tidylib.tree import Finding

FILE_LINES = 600
FUNCTION_LINES = 60
PARAMETERS = 5
NESTING = 3

# Parameter lists that others decided: map and dirty read of struct engine are the kernel's (engine.h), whoever implements
# them; pt_map_pages is the old driver call; RMPQUERY is the manual's (rmp.h); libFuzzer's crossover.
GIVEN_PARAMETERS = {
    "struct pt *, iova_t, hpa_t, uint64_t, unsigned, uint64_t *",
    "struct pt *, iova_t, uint64_t, unsigned, pt_dirty_report *, void *, struct pt_gather *",
}
MORE_PARAMETERS = {"pt_map_pages": 7, "rmp_query": 6, "LLVMFuzzerCustomCrossOver": 7}

# What each folder of core/ may include, itself apart.
LOWER = {
    "base": set(),
    "pt": {"base"},
    "rmp": {"base"},
    "oracle": {"base"},
    "script": {"base"},
    "iommu": {"base", "rmp"},
    "host": {"base", "pt", "rmp", "iommu", "script"},
    "world": {"base", "pt", "rmp", "oracle", "script", "iommu", "host"},
    "import": {"base", "pt", "rmp", "oracle", "script", "iommu", "host", "world"},
}
BELOW_PROGRAMS = set(LOWER)

# What programs share that no layer below may have: signals and a timer.
SHARED_BY_PROGRAMS = {"core/cli/plugin_guard.h"}

# Libraries that only these folders of core/ may use: the rest is C17 and libc.
LIBRARIES = {
    "argp.h": {"cli"},
    "jansson.h": {"cli"},
    "sqlite3.h": set(),
    "xxhash.h": {"cli"},
    "lzma.h": {"cli", "import"},
    "benchmark/benchmark.h": set(),
}


def layer_of(path):
    """("core", "pt") for core/pt/formats/x.h, ("bench", "") for bench/y.c."""
    parts = path.split("/")
    if parts[0] == "core":
        return "core", parts[1] if len(parts) > 2 else ""
    return parts[0], ""


def resolve(tree, path, included):
    """The file that a quoted include names: beside the file, under core/, or from the root."""
    for base in (posixpath.dirname(path), "core", ""):
        candidate = posixpath.normpath(posixpath.join(base, included))
        if candidate in tree.path_set:
            return candidate
    return None


def may_include(source, target):
    """Whether a file of layer `source` may include one of layer `target`."""
    if source == target:
        return True
    top, folder = source
    if target[0] != "core":
        return False
    if top == "core" and folder in LOWER:
        return target[1] in LOWER[folder]
    return target[1] in BELOW_PROGRAMS


def layers(tree):
    """Includes go down: base <- pt, rmp, oracle, script <- iommu <- host <- world <- import <- cli, bench, fuzz."""
    for path in tree.c_files():
        source = layer_of(path)
        for line, included, quoted in c_source.includes(tree.text(path)):
            if not quoted:
                allowed = LIBRARIES.get(included)
                if source[0] == "core" and allowed is not None and source[1] not in allowed:
                    yield Finding(path, line, "layers", f"core/{source[1]} may not use <{included}>")
                continue
            found = resolve(tree, path, included)
            if found is None:
                yield Finding(path, line, "layers", f'"{included}" is neither beside the file nor under core/')
            elif not may_include(source, layer_of(found)) and (source[0] == "core" or found not in SHARED_BY_PROGRAMS):
                names = "/".join(filter(None, source)), "/".join(filter(None, layer_of(found)))
                yield Finding(path, line, "layers", f"{names[0]} may not include {names[1]} ({included})")


def file_lines(tree):
    """No source file above 600 lines."""
    names = ("CMakeLists.txt",)
    suffixes = (".py", ".sh", ".cmake", ".js", ".mjs", ".css", ".html", ".j2", ".c", ".h", ".cc")
    scripts = set(tree.python_files()) | set(tree.shell_files())
    for path in tree.paths:
        if not (path.endswith(suffixes) or os.path.basename(path) in names or path in scripts):
            continue
        count = len(tree.text(path).splitlines())
        if count > FILE_LINES:
            yield Finding(path, FILE_LINES + 1, "file-lines", f"{count} lines, at most {FILE_LINES}")


def python_functions(text):
    """As c_source.functions, for Python; nesting is not measured."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            given = node.args
            count = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)
            count -= bool(given.args) and given.args[0].arg in ("self", "cls")
            yield c_source.Function(node.name, node.lineno, node.end_lineno, count, 0)


def functions(tree):
    """No function above 60 lines, 5 parameters or 3 levels of nesting."""
    for path in tree.c_files():
        for function in c_source.functions(tree.text(path)):
            yield from function_findings(path, function)
    for path in tree.python_files():
        try:
            found = list(python_functions(tree.text(path)))
        except SyntaxError as error:
            yield Finding(path, error.lineno or 1, "function-lines", f"not Python: {error.msg}")
            continue
        for function in found:
            yield from function_findings(path, function)


def function_findings(path, function):
    lines = function.last - function.line + 1
    allowed = MORE_PARAMETERS.get(function.name, PARAMETERS)
    if lines > FUNCTION_LINES:
        message = f"{function.name} has {lines} lines, at most {FUNCTION_LINES}"
        yield Finding(path, function.line, "function-lines", message)
    if function.parameters > allowed and function.types not in GIVEN_PARAMETERS:
        message = f"{function.name} has {function.parameters} parameters, at most {allowed}"
        yield Finding(path, function.line, "parameters", message)
    if function.nesting > NESTING:
        message = f"{function.name} nests {function.nesting} levels deep, at most {NESTING}"
        yield Finding(path, function.line, "nesting", message)


def in_parallel(work, items):
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for findings in pool.map(work, items):
            yield from findings


def formatting(tree, options):
    """Every C file is as clang-format leaves it."""
    if options.no_format:
        return

    def check(path):
        command = [options.clang_format, "--style=file", "--dry-run", "-Werror", tree.absolute(path)]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        places = [line.split(":")[1] for line in result.stdout.splitlines() if "-Wclang-format-violations" in line]
        if places:
            yield Finding(path, int(places[0]), "format", f"clang-format would change it ({len(places)} places)")
        elif result.returncode != 0:
            yield Finding(path, 1, "format", result.stdout.strip())

    yield from in_parallel(check, tree.c_files())


def headers(tree, options):
    """Every header has #pragma once and compiles alone; .inc.h is included with a parameter and does not."""

    def check(path):
        if "#pragma once" not in tree.text(path).splitlines():
            yield Finding(path, 1, "headers", "no #pragma once")
        command = [options.cc, "-std=gnu17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]
        command += ["-I", tree.absolute("core"), "-I", tree.root, "-x", "c", "-"]
        source = f'#include "{tree.absolute(path)}"\n'
        result = subprocess.run(command, input=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode != 0:
            first = next((line for line in result.stdout.splitlines() if "error" in line), result.stdout.strip())
            yield Finding(path, 1, "headers", f"does not compile alone: {first}")

    alone = [path for path in tree.c_files() if path.endswith(".h") and not path.endswith(".inc.h")]
    yield from in_parallel(check, alone)
