"""Benchmark cases: their limits, how they moved, whether that is more than noise."""

import re

from . import page_text

NOTABLE_CHANGE = 0.10
RUNS_FOR_A_BAND = 5
COLOURS = 6  # --c0 to --c5 of style.css
CASE = re.compile(r"^(map|unmap)/([a-z0-9_]+)/([^/]+)/((?:warm|cold)(?:-vector)?)$")

# What the ratio of a case is taken to: the fastest store of as many item bytes (design: names of limits).
LIMIT_OF_WORK = {
    "256x4K": "limit/store_2KiB",
    "256x2M": "limit/store_2KiB",
    "256x1G": "limit/store_2KiB",
    "1GiB_as_4K": "limit/store_2MiB",
}
# 1 MiB is 256 items where an item stands for 4K: one contiguous leaf of amdv1, 256 leaves of x86_64.
FORMATS_OF_4K_ITEMS = ("amdv1", "x86_64")
# What the modelled IOMMU does has tables of its own (page_outcomes).
MODELLED = ("translate/", "iotlb/")
HEADLINE = [
    ("map/amdv1/256x4K/warm", "map 256 \u00d7 4K"),
    ("unmap/amdv1/256x4K/warm", "unmap 256 \u00d7 4K"),
    ("map/amdv1/256x4K/warm-vector", "map 256 \u00d7 4K, vector"),
    ("map/amdv1/1GiB_as_4K/warm", "map 1 GiB as 4K"),
]


def sweep_size(work):
    """Bytes of a 1x2^n case, 0 for any other."""
    return page_text.size_of(work[2:]) if work.startswith("1x") else 0


def limit_name(name):
    match = CASE.match(name)
    if not match:
        return None
    if match[3] == "1x1M" and match[2] in FORMATS_OF_4K_ITEMS:
        return "limit/store_2KiB"
    return LIMIT_OF_WORK.get(match[3])


def is_beyond_noise(value, old, band):
    """A tenth or more against the run before and, once there are runs to tell, outside of what they ever showed."""
    if not old or abs(value - old) / old < NOTABLE_CHANGE:
        return False
    return not band or band["runs"] < RUNS_FOR_A_BAND or not band["low"] <= value <= band["high"]


def row_of(name, figures, before, bands):
    """One case: its figures, what the ratio is to, how it moved since the run before, and what recent runs showed."""
    mine = figures[name]
    value = mine["cpu_time_ns"]
    limit = limit_name(name)
    limit_value = figures.get(limit, {}).get("cpu_time_ns")
    leaves = mine.get("leaves")
    old = before.get(name)
    return {
        "name": name,
        "ns": value,
        "ns_per_leaf": mine.get("ns_per_leaf", value / leaves if leaves else None),
        "limit": limit if limit_value else None,
        "limit_missing": limit if limit and not limit_value else None,
        "ratio": value / limit_value if limit_value else None,
        "change": (value - old) / old if old else None,
        "is_notable": is_beyond_noise(value, old, bands.get(name)),
        "band": bands.get(name),
        "table_bytes": mine.get("table_bytes"),
        "repetitions": mine["repetitions"],
    }


def rows(figures, before, bands):
    """A row for each case of the engine and of the limits."""
    return [row_of(name, figures, before, bands) for name in figures if not name.startswith(MODELLED)]


def headline(figures, before, bands):
    """The figures of the first screen, those that were measured."""
    return [row_of(name, figures, before, bands) | {"title": title} for name, title in HEADLINE if name in figures]


def compare(figures, before, bands):
    """How the cases moved: those beyond noise, largest first, and the limits as a measure of the machine."""
    moved = []
    for name, mine in figures.items():
        if before.get(name):
            moved.append((mine["cpu_time_ns"] / before[name] - 1, name))
    notable = [each for each in moved if is_beyond_noise(figures[each[1]]["cpu_time_ns"], before[each[1]], bands.get(each[1]))]
    notable = sorted((each for each in notable if not each[1].startswith("limit/")), key=lambda each: -abs(each[0]))
    return {
        "compared": len(moved),
        "slower": [each for each in notable if each[0] > 0],
        "faster": [each for each in notable if each[0] < 0],
        "limits": [each for each in moved if each[1].startswith("limit/")],
        "gone": sorted(set(before) - set(figures)),
    }


def lines_of(figures, operation):
    """{format: {size: ns}} of one call of 2^n bytes, warm, general registers: the largest leaves that fit."""
    found = {}
    for name, mine in figures.items():
        match = CASE.match(name)
        size = sweep_size(match[3]) if match and match[1] == operation and match[4] == "warm" else 0
        if size:
            found.setdefault(match[2], {})[size] = mine["cpu_time_ns"]
    return {name: points for name, points in found.items() if len(points) >= 5}


def small_leaf_lines(figures, operation):
    """{format: {size: ns}} of calls in which every leaf is 4K: one page, 256 pages, 1 GiB."""
    sizes = {"1x4K": 1 << 12, "256x4K": 1 << 20, "1GiB_as_4K": 1 << 30}
    found = {}
    for name, mine in figures.items():
        match = CASE.match(name)
        if match and match[1] == operation and match[4] == "warm" and match[3] in sizes:
            found.setdefault(match[2], {})[sizes[match[3]]] = mine["cpu_time_ns"]
    return {name: points for name, points in found.items() if len(points) >= 2}


def sweep_charts(figures):
    """ns against size of one call: a chart an operation; lines of each format, and what storing the items alone takes."""
    limits = [(size, name) for size, name in ((1 << 20, "limit/store_2KiB"), (1 << 30, "limit/store_2MiB")) if name in figures]
    charts = []
    for operation in ("map", "unmap"):
        series = []
        swept = lines_of(figures, operation)
        small = {name: points for name, points in small_leaf_lines(figures, operation).items() if name in swept}
        for index, name in enumerate(swept):
            colour = index % COLOURS
            series.append({"name": f"{name}, largest leaves", "colour": colour, "points": sorted(swept[name].items())})
            if name in small:
                points = sorted(small[name].items())
                series.append({"name": f"{name}, 4K leaves", "colour": colour, "dash": "dashed", "points": points})
        if series and limits:
            points = [(size, figures[name]["cpu_time_ns"]) for size, name in limits]
            series.append({"name": "limit: storing the 4K items", "colour": "limit", "dash": "dotted", "points": points})
        if series:
            charts.append({"id": f"sweep-{operation}", "kind": "lines", "title": f"{operation}: time of one call by its size", "series": series})
    return charts
