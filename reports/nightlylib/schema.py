"""The JSON files of a result: read them with every check that the page and the history rely on."""

import json
import os

SCHEMA = 1
PART_STATES = ("ok", "failed", "could-not-run", "stopped", "not-run")
FUZZ_KEYS = {
    "target": str,
    "fuzzer": str,
    "engine": str,
    "execs": int,
    "seconds": (int, float),
    "execs_per_second": (int, float),
    "ops_per_exec": (int, float),
    "edges": int,
    "corpus_files": int,
    "findings": int,
    "crashes": int,
}
NANOSECONDS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}


class Invalid(Exception):
    """A file is missing or is not what README.md says. The text is the whole message."""


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise Invalid(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise Invalid(f"{path}: not JSON: {error}") from error


def write_json(path, value):
    """A whole file or none: readers never meet half of one."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_text(path, text):
    part = f"{path}.part"
    with open(part, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(part, path)


def need(condition, path, text):
    if not condition:
        raise Invalid(f"{path}: {text}")


def check_run(run, path):
    need(isinstance(run, dict), path, "not an object")
    need(run.get("schema") == SCHEMA, path, f"schema is {run.get('schema')!r}, this generator reads {SCHEMA}")
    for key in ("mode", "state", "started", "seconds", "commit", "machine", "compiler", "flags", "parts", "files"):
        need(key in run, path, f"no key '{key}'")
    for name, part in run["parts"].items():
        need(part.get("state") in PART_STATES, path, f"parts.{name}.state is {part.get('state')!r}")
    for name, file in run["files"].items():
        need(isinstance(file, str) and os.path.basename(file) == file, path, f"files.{name} is not a plain file name")


def check_bench(bench, path):
    need(isinstance(bench, dict) and isinstance(bench.get("benchmarks"), list), path, "no list 'benchmarks'")
    need(isinstance(bench.get("context"), dict), path, "no object 'context'")
    for index, entry in enumerate(bench["benchmarks"]):
        place = f"benchmarks[{index}]"
        need(isinstance(entry, dict) and isinstance(entry.get("name"), str), path, f"{place} has no name")
        if entry.get("error_occurred"):
            continue
        place += f" ({entry['name']})"
        need(entry.get("time_unit") in NANOSECONDS, path, f"{place}: time_unit is {entry.get('time_unit')!r}")
        need(is_number(entry.get("cpu_time")) and entry["cpu_time"] >= 0, path, f"{place}: no cpu_time")


def check_fuzz(fuzz, path):
    need(isinstance(fuzz, list), path, "not a list")
    for index, entry in enumerate(fuzz):
        need(isinstance(entry, dict), path, f"[{index}] is not an object")
        need(set(entry) == set(FUZZ_KEYS), path, f"[{index}]: keys differ: {sorted(set(entry) ^ set(FUZZ_KEYS))}")
        for key, kind in FUZZ_KEYS.items():
            good = isinstance(entry[key], kind) and not isinstance(entry[key], bool)
            need(good, path, f"[{index}]: {key} is {entry[key]!r}")


def check_inputs(inputs, path):
    need(isinstance(inputs, list), path, "not a list")
    for index, entry in enumerate(inputs):
        place = f"[{index}]"
        need(isinstance(entry, dict), path, f"{place} is not an object")
        for key, kind in (("input", str), ("format", str), ("seconds", (int, float)), ("totals", (dict, list))):
            need(isinstance(entry.get(key), kind), path, f"{place}: {key} is {entry.get(key)!r}")


CHECKS = {"bench": check_bench, "fuzz": check_fuzz, "inputs": check_inputs}


def read_result(folder):
    """run.json and every file that it names, checked: {'run': ..., 'bench': ..., ...}. Raises Invalid."""
    path = os.path.join(folder, "run.json")
    run = read_json(path)
    check_run(run, path)
    result = {"run": run}
    for name, file in run["files"].items():
        path = os.path.join(folder, file)
        result[name] = read_json(path)
        if name in CHECKS:
            CHECKS[name](result[name], path)
    return result
