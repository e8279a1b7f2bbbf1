"""
Does a leaf cost the same however large the call? The scale cases of mapproof-bench beside plain stores of equal bytes.

What machine and caches do to stores is not the engine's: a format is flat if its cost of a leaf rises, from 1 MiB on, at
most FLAT times as much as that of plain stores (general registers, as the engine's) does.
"""

import re

from . import page_text

FLAT = 1.5
BASE = 1 << 20
SCALE = re.compile(r"^scale/([a-z0-9_]+)/map_(\d+)([MGT])iB/warm$")
UNITS = {"M": 20, "G": 30, "T": 40}
LEGEND = "limit: storing the items, general registers"


def limit_names(item_bytes):
    """(the limit by general registers, the fastest): their cases."""
    unit, shift = ("MiB", 20) if item_bytes >= 1 << 20 else ("KiB", 10)
    name = f"limit/store_{item_bytes >> shift}{unit}"
    return name + "_scalar", name


def size_text(size):
    shift = size.bit_length() - 1
    return f"{1 << shift % 10} {'KMGT'[shift // 10 - 1]}iB"


def points_of(figures):
    """{format: {bytes: point}}; a point: ns, and stored, fastest (ns of a stored item; None: not measured)."""
    found = {}
    for name, mine in figures.items():
        match = SCALE.match(name)
        if not match:
            continue
        leaves = mine["leaves"]
        stored, fastest = (figures.get(limit, {}).get("cpu_time_ns") for limit in limit_names(int(leaves) * 8))
        point = {"ns": mine["cpu_time_ns"] / leaves, "stored": stored and stored / leaves, "fastest": fastest and fastest / leaves}
        found.setdefault(match[1], {})[int(match[2]) << UNITS[match[3]]] = point
    return {format: dict(sorted(points.items())) for format, points in found.items()}


def add_rises(points):
    """rise: of a leaf's cost since BASE; flatness: as a multiple of the rise of a stored item (None: cannot be told)."""
    base = points.get(BASE)
    for point in points.values():
        point["rise"] = point["ns"] / base["ns"] if base else None
        compares = base and base["stored"] and point["stored"]
        point["flatness"] = point["rise"] / (point["stored"] / base["stored"]) if compares else None
        point["ratio"] = point["ns"] / point["stored"] if point["stored"] else None
    return points


def verdict(rows):
    """(is every format flat, what is said of it); a format without plain stores of its sizes is not judged."""
    worst = {}
    for format, points in rows.items():
        told = [(point["flatness"], size) for size, point in points.items() if point["flatness"] and size != BASE]
        if told:
            worst[format] = max(told)
    if not worst:
        return None, ""
    flat = [format for format, (flatness, _) in worst.items() if flatness <= FLAT]
    format = max(worst, key=worst.get)
    flatness, size = worst[format]
    text = f"{len(flat)} of {page_text.plural(len(worst), 'format')} flat within {FLAT} of plain stores"
    return len(flat) == len(worst), f"{text}; least flat: {format}, {page_text.number(flatness)} at {size_text(size)}"


def chart(rows, colours):
    """The formats that have a limit at each size, and the limit itself."""
    whole = {name: points for name, points in rows.items() if len(points) > 2 and all(each["stored"] for each in points.values())}
    if not whole:
        return None
    series = [{"name": name, "colour": index % colours, "points": [(size, each["ns"]) for size, each in points.items()]}
              for index, (name, points) in enumerate(whole.items())]
    stored = {size: each["stored"] for points in whole.values() for size, each in points.items()}
    series.append({"name": LEGEND, "colour": "limit", "dash": "dotted", "points": sorted(stored.items())})
    return {"id": "scale", "kind": "lines", "title": "map: time of one leaf by the size of the call", "series": series}


def view(figures, colours=6):
    """None: not measured. rows: (format, [(size text, point or None)])."""
    rows = {format: add_rises(points) for format, points in points_of(figures).items()}
    if not rows:
        return None
    sizes = sorted({size for points in rows.values() for size in points})
    is_flat, sentence = verdict(rows)
    return {
        "sizes": [size_text(size) for size in sizes],
        "rows": [(format, [points.get(size) for size in sizes]) for format, points in rows.items()],
        "is_flat": is_flat,
        "sentence": sentence,
        "chart": chart(rows, colours),
    }
