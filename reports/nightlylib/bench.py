"""The benchmark part: run mapproof-bench, keep its JSON as it is, read figures from it."""

import json
import os
import statistics

from . import schema
from .child import Stopped, run

KNOWN_KEYS = {
    "name", "family_index", "per_family_instance_index", "run_name", "run_type", "repetitions", "repetition_index",
    "threads", "iterations", "real_time", "cpu_time", "time_unit", "aggregate_name", "aggregate_unit", "label",
    "error_occurred", "error_message",
}  # fmt: skip


def list_cases(program, mode, log):
    command = [program, "--list"]
    if mode.bench_filter():
        command.append(f"--benchmark_filter={mode.bench_filter()}")
    ended = run(command, log, seconds_limit=60)
    return [line for line in ended.text.splitlines() if "/" in line] if ended.status == 0 else []


def list_all(program, log):
    ended = run([program, "--list"], log, seconds_limit=60)
    return [line for line in ended.text.splitlines() if "/" in line] if ended.status == 0 else []


def run_part(workplace, program, mode):
    """Write bench.json. Returns the part's entry for run.json."""
    log, out = workplace.log("bench.log"), workplace.result("bench.json")
    cases = list_cases(program, mode, log)
    missing = sorted(set(mode.cases or []) - set(cases))
    command = [program, f"--benchmark_out={out}", "--benchmark_out_format=json"]
    command += [f"--benchmark_min_time={mode.min_time}", f"--benchmark_repetitions={mode.repetitions}"]
    if mode.bench_filter():
        command.append(f"--benchmark_filter={mode.bench_filter()}")
    done = 0

    def watch(line):
        nonlocal done
        words = line.split()
        if words and words[0] in cases:
            done += 1
            workplace.progress.at(f"{done}/{len(cases) * mode.repetitions} {' '.join(words[:3])}")

    try:
        ended = run(command, log, watch, mode.bench_limit)
    except Stopped:
        salvage(out)
        raise
    part = {"command": command, "exit_code": ended.status, "seconds": round(ended.seconds, 1)}
    return part | judge(ended, out, missing)


def judge(ended, out, missing):
    if ended.status is None or ended.note:
        return {"state": "could-not-run", "message": ended.note}
    try:
        bench = schema.read_json(out)
        schema.check_bench(bench, out)
    except schema.Invalid as error:
        set_aside(out)
        return {"state": "could-not-run", "message": f"{error}\n{ended.tail()}".strip()}
    wrong = [f"{name}: {text}" for name, text in errors(bench)]
    if ended.status == 1 or wrong:
        return {"state": "failed", "message": "\n".join(wrong) or ended.tail()}
    if ended.status != 0:
        return {"state": "could-not-run", "message": f"exit code {ended.status}\n{ended.tail()}"}
    if missing:
        return {"state": "could-not-run", "message": "no such case: " + ", ".join(missing)}
    return {"state": "ok", "message": ""}


def set_aside(out):
    """A file that is not what it should be is no part of the result; it stays with the logs."""
    if os.path.exists(out):
        os.replace(out, os.path.join(os.path.dirname(out), "log", "bench.rejected.json"))


def salvage(out):
    """After a stop: the cases that Google Benchmark had written, as a whole file."""
    try:
        with open(f"{out}.part", encoding="utf-8") as file:
            text = file.read()
        end = text.rindex("\n    }") + len("\n    }")
        bench = json.loads(text[:end] + "\n  ]\n}\n")
        schema.check_bench(bench, out)
    except (OSError, ValueError, schema.Invalid):
        return
    os.remove(f"{out}.part")
    schema.write_json(out, bench)


def errors(bench):
    return [(e["name"], e.get("error_message", "")) for e in bench["benchmarks"] if e.get("error_occurred")]


def raw_rows(bench):
    """Every measured value: (name, repetition, metric, value). Times in nanoseconds; aggregates are left out."""
    for entry in bench["benchmarks"]:
        if entry.get("error_occurred") or entry.get("run_type", "iteration") != "iteration":
            continue
        name, repetition = entry["name"], int(entry.get("repetition_index", 0))
        scale = schema.NANOSECONDS[entry["time_unit"]]
        yield name, repetition, "cpu_time_ns", entry["cpu_time"] * scale
        if schema.is_number(entry.get("iterations")):
            yield name, repetition, "iterations", float(entry["iterations"])
        for key, value in entry.items():
            if key not in KNOWN_KEYS and schema.is_number(value):
                yield name, repetition, key, float(value)


def figures(bench):
    """{name: {metric: median over repetitions, 'repetitions': n}} in the order of the file."""
    collected = {}
    for name, _, metric, value in raw_rows(bench):
        collected.setdefault(name, {}).setdefault(metric, []).append(value)
    medians = {}
    for name, metrics in collected.items():
        medians[name] = {metric: statistics.median(values) for metric, values in metrics.items()}
        medians[name]["repetitions"] = len(metrics["cpu_time_ns"])
    return medians
