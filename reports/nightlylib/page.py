"""From a result to what index.html shows. All numbers are worked out here; the template only lays them out."""

import os
import re

import jinja2

from . import bench, chart, inputs, schema

NOTABLE_CHANGE = 0.10
CASE = re.compile(r"^(map|unmap)/([a-z0-9_]+)/([^/]+)/((?:warm|cold)(?:-vector)?)$")
SIZES = {"K": 10, "M": 20, "G": 30, "T": 40}

# What the ratio of a case is taken to: the fastest store of as many item bytes (design: names of limits).
LIMIT_OF_WORK = {
    "256x4K": "limit/store_2KiB",
    "256x2M": "limit/store_2KiB",
    "256x1G": "limit/store_2KiB",
    "1GiB_as_4K": "limit/store_2MiB",
}
# 1 MiB is 256 items where an item stands for 4K: one contiguous leaf of amdv1, 256 leaves of x86_64.
FORMATS_OF_4K_ITEMS = ("amdv1", "x86_64")
GROUPS = [
    ("warm", "Warm, general registers", "What a kernel could run: tables exist before and after, no vector registers."),
    ("warm-vector", "Warm, vector build", "User space only: kernel code may not use vector registers."),
    ("cold", "Cold, general registers", "Tables are allocated inside the call."),
    ("cold-vector", "Cold, vector build", "User space only."),
]
BANNERS = {
    "ok": ("good", "Nothing wrong was found"),
    "failed": ("bad", "Something is wrong"),
    "could-not-run": ("incomplete", "Something could not run"),
    "stopped": ("incomplete", "Stopped before the end"),
    "running": ("incomplete", "Still running"),
}
PART_TITLES = {"bench": "Benchmarks", "inputs": "Real inputs", "fuzz": "Fuzzing", "test": "Tests"}


def number(value, digits=3):
    """Three digits of what is not whole, all digits of what is, thousands apart: 0.490, 25.3, 180, 186 925."""
    if value is None:
        return "n/a"
    if float(value).is_integer() or abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}".replace(",", "\u202f")
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:.{digits - whole}f}"


def percent(change):
    if change is None:
        return ""
    return f"{change:+.0%}".replace("%", "\u202f%").replace("-", "\u2212")


def bytes_text(value):
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if value >= 1 << shift:
            return f"{number(value / (1 << shift))}\u202f{unit}"
    return f"{value:.0f}\u202fB"


def size_of(text):
    """'2M' -> 2^21; 0 for what is no size."""
    match = re.fullmatch(r"(\d+)([KMGT])", text)
    return int(match[1]) << SIZES[match[2]] if match else 0


def sweep_size(work):
    """Bytes of a 1x2^n case, 0 for any other."""
    return size_of(work[2:]) if work.startswith("1x") else 0


def limit_name(name):
    match = CASE.match(name)
    if not match:
        return None
    if match[3] == "1x1M" and match[2] in FORMATS_OF_4K_ITEMS:
        return "limit/store_2KiB"
    return LIMIT_OF_WORK.get(match[3])


def row_of(name, figures, before):
    """One case: its figures, what the ratio is to, and how it moved since the run before."""
    mine = figures[name]
    value = mine["cpu_time_ns"]
    limit = limit_name(name)
    limit_value = figures.get(limit, {}).get("cpu_time_ns")
    leaves = mine.get("leaves")
    per_leaf = mine.get("ns_per_leaf", value / leaves if leaves else None)
    old = before.get(name)
    change = (value - old) / old if old else None
    return {
        "name": name,
        "ns": value,
        "ns_per_leaf": per_leaf,
        "limit": limit if limit_value else None,
        "limit_missing": limit if limit and not limit_value else None,
        "ratio": value / limit_value if limit_value else None,
        "change": change,
        "is_notable": change is not None and abs(change) >= NOTABLE_CHANGE,
        "table_bytes": mine.get("table_bytes"),
        "repetitions": mine["repetitions"],
    }


def map_groups(figures, before):
    """The map/unmap cases by state; the 1x2^n sweep apart, but for the two sizes everybody looks at."""
    groups = []
    for state, title, note in GROUPS:
        cases = [(CASE.match(name), name) for name in figures if CASE.match(name)]
        names = [name for match, name in cases if match[4] == state]
        swept = [name for name in names if sweep_size(CASE.match(name)[3]) and CASE.match(name)[3] not in ("1x4K", "1x1M")]
        if len(swept) < 5:
            swept = []  # a few sizes are no sweep: they stay in the table
        main = [row_of(name, figures, before) for name in names if name not in swept]
        sweep = [row_of(name, figures, before) for name in swept]
        if names:
            groups.append({"title": title, "note": note, "state": state, "rows": main, "sweep": sweep})
    return groups


def sweep_charts(figures):
    """ns against size of one call, warm, general registers: one chart an operation, one line a format."""
    charts = []
    for operation in ("map", "unmap"):
        lines = {}
        for name, mine in figures.items():
            match = CASE.match(name)
            size = sweep_size(match[3]) if match and match[1] == operation and match[4] == "warm" else 0
            if size:
                lines.setdefault(match[2], []).append((size, mine["cpu_time_ns"]))
        lines = {name: sorted(points) for name, points in lines.items() if len(points) >= 5}
        if lines:
            charts.append(chart.log_log(f"{operation}: one call of 2\u207f bytes", lines))
    return charts


def other_rows(figures, before):
    return [row_of(name, figures, before) for name in figures if not CASE.match(name)]


def compare(figures, before):
    """How the cases moved: those by a tenth or more, largest first, and the limits as a measure of the machine."""
    moved = []
    for name, mine in figures.items():
        if name in before and before[name]:
            moved.append((mine["cpu_time_ns"] / before[name] - 1, name))
    notable = sorted((each for each in moved if abs(each[0]) >= NOTABLE_CHANGE), key=lambda each: -abs(each[0]))
    limits = [(change, name) for change, name in moved if name.startswith("limit/")]
    return {
        "compared": len(moved),
        "slower": [each for each in notable if each[0] > 0 and not each[1].startswith("limit/")],
        "faster": [each for each in notable if each[0] < 0 and not each[1].startswith("limit/")],
        "limits": limits,
        "gone": sorted(set(before) - set(figures)),
    }


def headline(figures, before):
    """The figures of the first screen, those that were measured."""
    wanted = [
        ("map/amdv1/256x4K/warm", "map 256 pages of 4K"),
        ("map/amdv1/256x4K/warm-vector", "the same, vector build"),
        ("unmap/amdv1/256x4K/warm", "unmap 256 pages of 4K"),
        ("map/amdv1/1GiB_as_4K/warm", "map 1 GiB as 4K"),
    ]
    return [row_of(name, figures, before) | {"title": title} for name, title in wanted if name in figures]


def input_table(entries):
    """A row for each total, a column for each file and format, columns of one file together."""
    files = list(dict.fromkeys(entry["input"] for entry in entries))
    columns = [entry for file in files for entry in entries if entry["input"] == file]
    flat = [dict(inputs.flatten(entry["totals"])) for entry in columns]
    keys = dict.fromkeys(key for totals in flat for key in totals)
    counted = {key: [totals.get(key) for totals in flat] for key in keys if any_number(key, flat)}
    rows = [("seconds", [number(entry["seconds"]) for entry in columns])]
    rows += [(label(key), [cell(value) for value in values]) for key, values in counted.items() if any(values)]
    return {
        "files": [(short_input(file), sum(entry["input"] == file for entry in columns)) for file in files],
        "formats": [entry["format"] for entry in columns],
        "rows": rows if entries else [],
        "zeros": [label(key) for key, values in counted.items() if not any(values)],
        "notes": input_notes(columns, flat, [key for key in keys if key not in counted]),
    }


def any_number(key, flat):
    return any(schema.is_number(totals.get(key)) for totals in flat)


def input_notes(columns, flat, keys):
    """What replay says in words, each text once: (what it is about, key, text)."""
    said = {}
    for entry, totals in zip(columns, flat):
        for key in keys:
            if totals.get(key):
                said.setdefault((key, str(totals[key])), []).append(f"{short_input(entry['input'])} {entry['format']}")
    everywhere = len(columns)
    return [("" if len(places) == everywhere else ", ".join(places), label(key), text) for (key, text), places in said.items()]


def short_input(path):
    return re.sub(r"\.(trace|txt)?\.xz$", "", os.path.basename(path))


def label(key):
    return key.replace("_", " ").replace(".", ": ")


def cell(value):
    if value is None:
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value, 6) if schema.is_number(value) else str(value)


def troubles(run):
    """(part title, state, message) of every part that did not end well, faults first."""
    found = [
        (PART_TITLES.get(name, name), part["state"], part.get("message", ""))
        for name, part in run["parts"].items()
        if part["state"] not in ("ok", "not-run")
    ]
    return sorted(found, key=lambda each: each[1] != "failed")


def overall_state(run):
    """What the banner says: a fault before anything else."""
    states = [part["state"] for part in run["parts"].values()]
    if "failed" in states:
        return "failed"
    if run["state"] in ("running", "stopped"):
        return run["state"]
    return "could-not-run" if "could-not-run" in states else "ok"


def view(result, previous):
    """Everything the template shows. `previous`: (run, {case: ns}) of history.previous, or None."""
    run = result["run"]
    figures = bench.figures(result["bench"]) if "bench" in result else {}
    before = previous[1] if previous else {}
    fuzz = result.get("fuzz", [])
    groups = map_groups(figures, before)
    rows = [row for group in groups for row in group["rows"] + group["sweep"]]
    return {
        "run": run,
        "banner": BANNERS[overall_state(run)],
        "troubles": troubles(run),
        "figures": figures,
        "headline": headline(figures, before),
        "previous": previous[0] if previous else None,
        "change": compare(figures, before),
        "groups": groups,
        "max_ratio": max((row["ratio"] for row in rows if row["ratio"]), default=1.0),
        "limits_missing": sorted({row["limit_missing"] for row in rows if row["limit_missing"]}),
        "charts": sweep_charts(figures),
        "others": other_rows(figures, before),
        "bench_errors": bench.errors(result["bench"]) if "bench" in result else [],
        "inputs": input_table(result.get("inputs", [])),
        "fuzz": fuzz,
        "execs": sum(entry["execs"] for entry in fuzz),
        "findings": sum(entry["findings"] for entry in fuzz),
        "crashes": sum(entry["crashes"] for entry in fuzz),
    }


def render(result, previous=None):
    """index.html as one text that loads nothing."""
    folder = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "templates")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, percent=percent, bytes=bytes_text)
    return environment.get_template("index.html.j2").render(view(result, previous)) + "\n"
