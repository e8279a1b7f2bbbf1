"""metrics.txt: the run in OpenMetrics text, for whoever scrapes files. Base units, so times are in seconds."""

import datetime

from . import bench, hyperfine

ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
# Counters of mapproof-bench that are shown beside the time: (counter, unit suffix, help).
COUNTERS = [
    ("table_bytes", "bytes", "Tables of one fresh mapping, root included."),
    ("hit_ratio", "ratio", "Accesses served by the IOTLB model."),
]


def label_value(value):
    return str(value).translate(ESCAPES)


class Family:
    """One metric: its name, which ends in its unit where it has one, and its samples."""

    def __init__(self, name, text, unit=""):
        assert not unit or name.endswith(f"_{unit}"), name
        self.name = f"mapproof_{name}"
        self.text = text
        self.unit = unit
        self.samples = []

    def add(self, value, **labels):
        if value is not None:
            self.samples.append((labels, value))
        return self

    def lines(self):
        if not self.samples:
            return
        yield f"# TYPE {self.name} gauge"
        if self.unit:
            yield f"# UNIT {self.name} {self.unit}"
        yield f"# HELP {self.name} {self.text}"
        for labels, value in self.samples:
            pairs = ",".join(f'{key}="{label_value(each)}"' for key, each in labels.items())
            yield f"{self.name}{{{pairs}}} {value:.10g}" if pairs else f"{self.name} {value:.10g}"


def run_families(run):
    about = Family("run_info", "What was run, on what; always 1.")
    machine = run["machine"]
    about.add(
        1,
        commit=run["commit"]["id"],
        modified=str(run["commit"]["modified"]).lower(),
        mode=run["mode"],
        cpu=machine.get("cpu", ""),
        cores=machine.get("cores", ""),
        kernel=machine.get("kernel", ""),
        compiler=run["compiler"].get("release", ""),
    )
    yield about
    start = datetime.datetime.strptime(run["started"], "%Y-%m-%dT%H:%M:%S%z").timestamp()
    yield Family("run_start_timestamp_seconds", "When the run began.", "seconds").add(start)
    yield Family("run_seconds", "Wall time of the run so far, builds included.", "seconds").add(run["seconds"])
    parts = Family("part_is_ok", "1 if the part ran and found nothing wrong, 0 otherwise; state says which.")
    spent = Family("part_seconds", "Wall time of a part.", "seconds")
    for name, part in run["parts"].items():
        parts.add(int(part["state"] == "ok"), part=name, state=part["state"])
        spent.add(part.get("seconds"), part=name)
    yield from (parts, spent)


def bench_families(figures):
    times = Family("bench_cpu_seconds", "CPU time of one operation, median over repetitions.", "seconds")
    for case, metrics in figures.items():
        times.add(metrics["cpu_time_ns"] / 1e9, case=case)
    yield times
    for counter, unit, text in COUNTERS:
        family = Family(f"bench_{counter}", text, unit)
        for case, metrics in figures.items():
            family.add(metrics.get(counter), case=case)
        yield family


def perf_families(perf):
    counts = Family("bench_instructions", "Instructions of one operation.")
    for entry in perf.get("instructions", []):
        counts.add(entry["per_op"], case=entry["case"], tier=entry["tier"])
    yield counts
    tasks = Family("perf_task_clock_seconds", "CPU time of the whole program under perf stat.", "seconds")
    for entry in perf.get("families", []):
        clock = entry["events"].get("task-clock")
        if clock and clock["unit"] == "msec":
            tasks.add(clock["value"] / 1e3, family=entry["family"], tier=entry["tier"])
    yield tasks


def replay_families(measured):
    replays = Family("replay_seconds", "mapproof-replay from start to end, median.", "seconds")
    for entry in measured.get("results", []):
        replays.add(entry["median"], input=hyperfine.label(entry["command"]))
    yield replays


def fuzz_families(fuzz, findings):
    for key, name, text in (
        ("execs", "fuzz_execs", "Inputs run."),
        ("execs_per_second", "fuzz_exec_rate", "Inputs run in a second."),
        ("ops_per_exec", "fuzz_ops_per_exec", "Operations applied and checked for each input."),
        ("edges", "fuzz_edges", "Edges covered at the end."),
        ("corpus_files", "fuzz_corpus_inputs", "Inputs kept at the end."),
        ("findings", "fuzz_findings", "Outcomes that are legal for the hardware and wrong for the guest."),
        ("crashes", "fuzz_crashes", "Inputs that crashed."),
    ):
        family = Family(name, text)
        for entry in fuzz:
            family.add(entry[key], target=entry["target"])
        yield family
    kinds = ("finding", "rule", "hw")
    counts = Family("finding_occurrences", "How often a finding was met while fuzzing.")
    firsts = Family("finding_first_seconds", "Fuzzing time until the finding was met.", "seconds")
    for entry in findings:
        labels = {key: entry[key] for key in kinds}
        counts.add(entry["count"], **labels)
        firsts.add(entry["first_seconds"], **labels)
    yield from (counts, firsts)


def render(result):
    """The whole text, of whatever parts the result has."""
    families = list(run_families(result["run"]))
    families += bench_families(bench.figures(result["bench"]) if "bench" in result else {})
    families += perf_families(result.get("perf", {}))
    families += replay_families(result.get("hyperfine", {}))
    families += fuzz_families(result.get("fuzz", []), result.get("findings", []))
    lines = [line for family in families for line in family.lines()]
    return "\n".join([*lines, "# EOF"]) + "\n"
