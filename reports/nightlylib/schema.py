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

# Every part's file. What does not end in .json is text and is not read as anything else.
FILES = {
    "bench": "bench.json",
    "inputs": "inputs.json",
    "fuzz": "fuzz.json",
    "findings": "findings.json",
    "perf": "perf.json",
    "flamegraph": "flamegraph.svg",
    "hyperfine": "hyperfine.json",
    "gate": "gate.json",
    "matrix": "matrix.json",
    "speed": "speed.json",
    "metrics": "metrics.txt",
}
TIERS = ("pmu", "software", "callgrind")  # the best first
SEVERITY = ("LOSES DMA", "STALE", "EXPANDS")  # of findings, the worst first
NUMBER = (int, float)


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


def check_keys(value, kinds, path, place):
    """An object that has every key of `kinds`, each of that kind; further keys are for later versions."""
    need(isinstance(value, dict), path, f"{place} is not an object")
    for key, kind in kinds.items():
        inner = value.get(key)
        good = isinstance(inner, kind) and (kind is bool or not isinstance(inner, bool))
        need(good, path, f"{place}: {key} is {inner!r}")


def check_list(value, path, place=""):
    need(isinstance(value, list), path, f"{place} is not a list".strip())
    return [(f"{place}[{index}]", entry) for index, entry in enumerate(value)]


FINDING_KEYS = {
    "key": str,
    "finding": str,
    "rule": str,
    "hw": str,
    "title": str,
    "target": str,
    "count": int,
    "first_exec": int,
    "first_seconds": NUMBER,
    "ops": int,
    "script": str,
    "confirmed": bool,
    "steps": list,
}


def check_findings(findings, path):
    for place, entry in check_list(findings, path):
        check_keys(entry, FINDING_KEYS, path, place)
        need(entry["finding"] in SEVERITY, path, f"{place}: finding is {entry['finding']!r}")
        folder, name = os.path.split(entry["script"])
        need(folder == "findings" and name.endswith(".ops"), path, f"{place}: script is {entry['script']!r}")
        for inner, step in check_list(entry["steps"], path, f"{place}.steps"):
            check_keys(step, {"op": str, "words": str}, path, inner)
    ranks = [SEVERITY.index(entry["finding"]) for entry in findings]
    need(ranks == sorted(ranks), path, "the most severe is not first")


def check_perf(perf, path):
    check_keys(perf, {"tier": str, "why": str, "families": list, "instructions": list}, path, "it")
    need(perf["tier"] in TIERS, path, f"tier is {perf['tier']!r}")
    kinds = {"family": str, "tier": str, "cases": list, "seconds": NUMBER, "events": dict, "command": list}
    for place, entry in check_list(perf["families"], path, "families"):
        check_keys(entry, kinds, path, place)
        need(entry["tier"] in TIERS, path, f"{place}: tier is {entry['tier']!r}")
        for name, event in entry["events"].items():
            check_keys(event, {"value": NUMBER, "unit": str}, path, f"{place}.events.{name}")
    for place, entry in check_list(perf["instructions"], path, "instructions"):
        check_keys(entry, {"case": str, "per_op": NUMBER, "tier": str}, path, place)
    if perf.get("flamegraph") is not None:
        kinds = {"svg": str, "samples": int, "seconds": NUMBER, "event": str, "command": list}
        check_keys(perf["flamegraph"], kinds, path, "flamegraph")


def check_hyperfine(hyperfine, path):
    need(isinstance(hyperfine, dict), path, "not an object")
    kinds = {"command": str, "mean": NUMBER, "median": NUMBER, "min": NUMBER, "max": NUMBER, "times": list}
    for place, entry in check_list(hyperfine.get("results"), path, "results"):
        check_keys(entry, kinds, path, place)  # stddev is null after a single run
        need(entry["times"] and all(is_number(each) for each in entry["times"]), path, f"{place}: times are no numbers")


def check_gate(gate, path):
    kinds = {"schema": int, "commit": str, "date": str, "machine": dict, "settings": dict, "rates": list}
    check_keys(gate, kinds, path, "it")
    need(gate["rates"], path, "no rates")
    for place, row in check_list(gate["rates"], path, "rates"):
        check_keys(row, {"percent": NUMBER, "loaded": bool, "decisions": int, "ratio": NUMBER}, path, place)
        for name in ("found", "found_by_time", "suspected"):
            kinds = {"count": int, "share": NUMBER, "low": NUMBER, "high": NUMBER}
            check_keys(row.get(name), kinds, path, f"{place}.{name}")


def check_matrix(matrix, path):
    kinds = {"rows": list, "formats": list, "columns": list, "by_format": list, "cells": list}
    check_keys(matrix, kinds | {"reasons": list, "holes": list, "failed": list}, path, "it")
    rows, formats, columns = matrix["rows"], matrix["formats"], matrix["columns"]
    for key in ("rows", "formats", "columns", "by_format", "holes", "failed"):
        for place, text in check_list(matrix[key], path, key):
            need(isinstance(text, str) and text, path, f"{place} is {text!r}")
    need(rows and columns, path, "no rows or no columns")
    need(len(set(rows)) == len(rows) and len(set(columns)) == len(columns), path, "a row or a column stands twice")
    need(len(formats) == len(rows) == len(matrix["cells"]), path, "rows, formats and cells differ in number")
    for place, each in check_list(matrix["reasons"], path, "reasons"):
        check_keys(each, {"column": str, "format": str, "reason": str}, path, place)
    reasons = {(each["format"], each["column"]) for each in matrix["reasons"]}
    for index, cells in enumerate(matrix["cells"]):
        place = f"cells[{index}]"
        need(isinstance(cells, list) and len(cells) == len(columns), path, f"{place} has not a cell for each column")
        for column, cell in zip(columns, cells):
            check_cell(cell, (formats[index], column) in reasons, path, f"{place} ({rows[index]}, {column})")
            need(cell != 0 or f"{rows[index]}: {column}" in matrix["holes"], path, f"{place}: a hole that holes do not list")


    if "operations" in matrix:
        check_operations(matrix["operations"], path)


def check_operations(matrix, path):
    check_keys(matrix, {"formats": list, "operations": list, "evidence": list, "cells": list, "totals": dict}, path, "operations")
    check_keys(matrix, {"reasons": list, "holes": list}, path, "operations")
    check_keys(matrix["totals"], {"points": int, "stores": int}, path, "operations.totals")
    for key in ("formats", "operations", "evidence", "holes"):
        for place, text in check_list(matrix[key], path, f"operations.{key}"):
            need(isinstance(text, str) and text, path, f"{place} is {text!r}")
    reasons = set()
    for place, each in check_list(matrix["reasons"], path, "operations.reasons"):
        check_keys(each, {"operation": str, "evidence": str, "formats": list, "reason": str}, path, place)
        reasons |= {(format, each["operation"], each["evidence"]) for format in each["formats"]}
    need(len(matrix["cells"]) == len(matrix["formats"]), path, "operations: formats and cells differ in number")
    for format, rows in zip(matrix["formats"], matrix["cells"]):
        need(len(rows) == len(matrix["operations"]), path, f"operations: {format} has not a row for each operation")
        for operation, cells in zip(matrix["operations"], rows):
            place = f"operations: {format}: {operation}"
            need(len(cells) == len(matrix["evidence"]), path, f"{place} has not a cell for each evidence")
            for evidence, cell in zip(matrix["evidence"], cells):
                check_cell(cell, (format, operation, evidence) in reasons, path, f"{place}: {evidence}")
                is_listed = f"{format}: {operation}: {evidence}" in matrix["holes"]
                need(cell != 0 or is_listed, path, f"{place}: {evidence}: a hole that holes do not list")


def check_cell(cell, has_reason, path, place):
    if cell == "-":
        need(has_reason, path, f"{place}: '-' without a reason")
    else:
        need(isinstance(cell, int) and not isinstance(cell, bool) and cell >= 0, path, f"{place} is {cell!r}")


def check_speed(speed, path):
    kinds = {"commit": dict, "date": str, "machine": dict, "compilers": dict, "rounds": int, "command": list, "rows": list}
    check_keys(speed, kinds, path, "it")
    need(speed["rows"], path, "no rows")
    seen = set()
    for place, row in check_list(speed["rows"], path, "rows"):
        check_keys(row, {"case": str, "compiler": str, "engine": str, "ns": NUMBER, "low": NUMBER, "high": NUMBER}, path, place)
        need(row["compiler"] in speed["compilers"], path, f"{place}: compiler is {row['compiler']!r}")
        need(row["engine"] in ("builtin", "rewalk"), path, f"{place}: engine is {row['engine']!r}")
        need(0 < row["low"] <= row["ns"] <= row["high"], path, f"{place}: ns is not between low and high")
        for key in ("leaves", "instructions", "table_bytes"):
            need(row.get(key) is None or is_number(row[key]), path, f"{place}: {key} is {row.get(key)!r}")
        key = (row["case"], row["compiler"], row["engine"])
        need(key not in seen, path, f"{place}: {row['case']} stands twice")
        seen.add(key)


def check_flamegraph(text, path):
    need(text.lstrip().startswith("<svg"), path, "not an SVG")


def check_metrics(text, path):
    need(text.endswith("# EOF\n"), path, "does not end in # EOF")


CHECKS = {
    "bench": check_bench,
    "fuzz": check_fuzz,
    "inputs": check_inputs,
    "findings": check_findings,
    "perf": check_perf,
    "hyperfine": check_hyperfine,
    "gate": check_gate,
    "matrix": check_matrix,
    "speed": check_speed,
    "flamegraph": check_flamegraph,
    "metrics": check_metrics,
}


def read_text(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise Invalid(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def read_result(folder):
    """
    run.json and every file that it names, checked: {'run': ..., 'bench': ..., ...}; flamegraph and metrics are texts.
    Raises Invalid.
    """
    path = os.path.join(folder, "run.json")
    run = read_json(path)
    check_run(run, path)
    result = {"run": run}
    for name, file in run["files"].items():
        path = os.path.join(folder, file)
        result[name] = read_json(path) if file.endswith(".json") else read_text(path)
        if name in CHECKS:
            CHECKS[name](result[name], path)
    return result
