#!/usr/bin/python3 -B
"""
The page in a browser: makes pages of the stored result, of one with 500 runs of history and of a hostile one, and has
page_test.mjs open them. An argument: only the tests with it in their name. Exit 77 (skipped) where Node, Chromium or
reports/node_modules is missing: scripts/setup --with pages.
"""

import copy
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

from nightlylib import bench, page, page_file, schema
from result_case import FIXTURE, HERE

SKIPPED = 77
CASES, RUNS = 740, 500
HOSTILE = "</script><script>alert(1)</script><img/src=x/onerror=alert(2)><!--\"'`${x}&amp;{{y}}"


def missing():
    """What is not here, or ''."""
    for command in ("node", "chromium"):
        if not shutil.which(command):
            return f"no {command}"
    version = subprocess.run(["node", "--version"], stdout=subprocess.PIPE, text=True, check=False).stdout
    if int((re.match(r"v(\d+)", version) or [0, 0])[1]) < 18:
        return f"node is {version.strip()}, 18 is needed"
    for module in ("echarts", "playwright-core", "axe-core"):
        if not os.path.isdir(os.path.join(HERE, "node_modules", module)):
            return f"no reports/node_modules/{module}"
    return ""


def save(folder, name, text):
    schema.write_text(os.path.join(folder, f"{name}.html"), text)


def model_cases(entry):
    """Every kind of outcome of the modelled IOMMU, on every traffic."""
    counters = {"hit_ratio": 0.01, "hit_ratio_min": 0.0, "hit_ratio_max": 0.9, "walk_reads": 1.5, "reach_bytes": 2097152.0}
    none = {"fill_4K": 0.0, "fill_2M": 0.0, "faults": 0.0, "repairs": 0.0, "expands": 0.0}
    outcomes = [{"fill_4K": 1.0}, {"faults": 1.0}, {"fill_2M": 0.002}, {"fill_2M": 0.002, "expands": 1.0}]
    outcomes += [{"fill_4K": 1.0, "repairs": 1.0}, {"fill_4K": 0.998, "faults": 0.002}]
    names = [f"translate/{hw}/none-{sizes}/miss" for hw in ("amd", "expanding", "cpu") for sizes in ("4K-4K", "4K-2M")]
    for hw in ("amd", "amd-fill-2m", "smallest", "expanding", "cpu", "cca", "off"):
        for sizes in ("4K-4K", "2M-2M", "4K-2M", "2M-4K", "2M-mixed", "best-mixed"):
            names += [f"iotlb/{hw}/{sizes}/{traffic}" for traffic in ("sequential", "random", "strided", "trace")]
    for index, name in enumerate(names):
        yield {**entry, **none, **counters, **outcomes[index // 4 % len(outcomes)], "name": name}


def whole_matrix(matrix):
    """As many configurations and tests as a build has."""
    rows, columns = range(8), range(4)
    return {
        **matrix,
        "rows": [f"{name}-{index}" for index in rows for name in matrix["rows"]],
        "formats": matrix["formats"] * len(rows),
        "columns": [f"{name}_{index}" for index in columns for name in matrix["columns"]],
        "cells": [cells * len(columns) for cells in matrix["cells"]] * len(rows),
    }


def with_history(result, scripts):
    """As many cases as a whole run has, and RUNS runs before it."""
    result, generator = copy.deepcopy(result), random.Random(1)
    result["matrix"] = whole_matrix(result["matrix"])
    entries = result["bench"]["benchmarks"]
    known = {entry["name"] for entry in entries}
    entries += [entry for entry in model_cases(entries[0]) if entry["name"] not in known]
    entries += [{**entries[0], "name": f"{op}/vtdss/1x{size}/warm"} for op in ("map", "unmap") for size in ("4K", "8K", "64K", "1M", "2M", "1G")]
    for index in range(CASES - len(entries)):
        entries.append({**entries[0], "name": f"lookup/amdv1/case_{index}/warm"})
    runs = [copy.deepcopy(result["run"]) for _ in range(RUNS)]
    for index, run in enumerate(runs):
        run["started"] = f"2024-{1 + index // 45:02d}-{1 + index % 45 // 2:02d}T{index % 2:02d}:00:00Z"
    figures = bench.figures(result["bench"])
    series = {name: [mine["cpu_time_ns"] * generator.uniform(0.98, 1.05) for _ in runs] for name, mine in figures.items()}
    previous = (runs[-1], {name: values[-1] for name, values in series.items()})
    return page.render(result, previous, (runs, series), scripts)


def hostile(result, scripts):
    """Every text that a result brings in tries to become markup."""
    result = copy.deepcopy(result)
    matrix = result["matrix"]
    matrix["rows"][0] = matrix["formats"][0] = matrix["columns"][0] = matrix["reasons"][0]["reason"] = HOSTILE
    matrix["cells"][0][1], matrix["holes"], matrix["failed"] = 0, [f"{HOSTILE}: hole"], [HOSTILE]
    result["run"]["commit"].update(subject=HOSTILE, short=HOSTILE)
    result["run"]["machine"]["cpu"] = HOSTILE
    result["bench"]["benchmarks"][0]["name"] = f"map/{HOSTILE}/1x4K/warm"
    result["hyperfine"]["results"][0]["command"] = f"replay {HOSTILE}"
    result["findings"][0].update(title=HOSTILE, key=HOSTILE, hw=HOSTILE)
    result["findings"][0]["steps"][0].update(words=HOSTILE, op=HOSTILE)
    runs = [result["run"]] * 6
    series = {name: [mine["cpu_time_ns"]] * 6 for name, mine in bench.figures(result["bench"]).items()}
    return page.render(result, None, (runs, series), {**scripts, result["findings"][0]["script"]: HOSTILE})


def main():
    lacking = missing()
    if lacking:
        print(f"page_test: skipped: {lacking} (scripts/setup --with pages)")
        return SKIPPED
    result = schema.read_result(FIXTURE)
    scripts = page_file.scripts_of(FIXTURE, result["findings"])
    with tempfile.TemporaryDirectory(prefix="mapproof-pages-") as folder:
        save(folder, "plain", page.render(result, None, ([], {}), scripts))
        save(folder, "history", with_history(result, scripts))
        save(folder, "hostile", hostile(result, scripts))
        environment = {**os.environ, "CHROMIUM": shutil.which("chromium"), "PAGES": folder, "PAGE_TEST": " ".join(sys.argv[1:])}
        command = ["node", "--test", "--test-reporter=spec", os.path.join(HERE, "page_test.mjs")]
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
