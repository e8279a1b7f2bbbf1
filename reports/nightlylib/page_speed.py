"""
The section Speed: the goals for every format, then the tables that Linux published beside ours; and both as Markdown
(bench/SPEED.md, and the short table of README.md), all from speed.json.
"""

import os
import re

from . import page_text
from . import speed_lines as speed
from .page_text import number

BUILDS = (("general", ""), ("vector", "-vector"))
BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"
MACHINE = (
    "Absolute times of the two sides do not compare. Linux's were taken in a kernel on its author's machine, through iommu_map(), "
    "which checks and dispatches before the engine runs, and compiled as a kernel is; ours in user space, on this machine, calling the "
    "engine, batches of calls between two readings of the clock. What does compare: how much faster the new engine is than one walk "
    "from the root a leaf, on either side; the cost of one more leaf; and instructions, which are exact for one compiler and differ "
    "between compilers. The re-walking engine is ours (core/pt/plugins/rewalk.c), called through the plugin adapter, and no driver's code."
)


def index_of(document):
    return {(row["case"], row["compiler"], row["engine"]): row for row in document["rows"]}


def limit_case(case, scalar=False):
    """Plain stores of as many item bytes as the call writes; None: no such limit."""
    _, format, work, _ = case.split("/")
    page = re.search(r"(?:256x|1GiB_as_)(\w+)", work)
    if work.startswith("256x") or (work == "1x1M" and format in speed.ITEMS_OF_4K):
        bytes_stored = 256 * 8
    elif page:
        bytes_stored = 8 * (1 << 30) // page_text.size_of(page[1])
    else:
        return None
    unit, shift = ("MiB", 20) if bytes_stored >= 1 << 20 else ("KiB", 10)
    return f"limit/store_{bytes_stored >> shift}{unit}{'_scalar' if scalar else ''}"


def fastest(rows, document, case):
    """ns of the fastest compiler's median; None: not measured."""
    times = [rows[case, compiler, "builtin"]["ns"] for compiler in document["compilers"] if (case, compiler, "builtin") in rows]
    return min(times) if times else None


def leaves_of(row):
    """Leaves of one operation; a contiguous run counts as one."""
    return row["leaves"] or 1


def cell(rows, line, case, compiler, limit):
    """One figure: {ns, text, misses, per_leaf, ratio}; None: not measured."""
    row = rows.get((case, compiler, "builtin"))
    if not row:
        return None
    goal = line.vector if case.endswith("-vector") else line.general
    ratio = row["ns"] / limit if limit else None
    value = ratio if line.of_limit else row["ns"]
    instructions = row.get("instructions")
    return {
        "ns": row["ns"],
        "ratio": ratio,
        "misses": value is not None and value > goal,
        "text": f"{number(row['ns'] / 1000)} \u00b5s = {number(ratio)}\u00d7" if line.of_limit and ratio else number(row["ns"]),
        "per_leaf": instructions / leaves_of(row) if instructions else None,
        "table_bytes": row.get("table_bytes"),
    }


def line_rows(document, rows, cases, formats, line):
    for format in formats:
        name = speed.case_of(line, format, cases)
        if not name:
            continue
        limit = limit_case(name)
        stores = fastest(rows, document, limit) if limit else None
        scalar = fastest(rows, document, limit_case(name, True)) if limit else None
        cells = {(build, compiler): cell(rows, line, name + suffix, compiler, stores)
                 for build, suffix in BUILDS for compiler in document["compilers"]}
        walked = [rows[name, compiler, speed.REWALKING]["ns"] for compiler in document["compilers"]
                  if (name, compiler, speed.REWALKING) in rows]
        yield {"line": line.name, "format": format, "case": name, "cells": cells, "stores": stores, "scalar": scalar,
               "rewalking": min(walked) if walked else None}


def goals(document):
    """A row for each line and format."""
    rows = index_of(document)
    cases = {case for case, _, engine in rows if engine == "builtin"}
    formats = speed.formats_of(sorted(cases, key=[row["case"] for row in document["rows"]].index))
    formats.sort(key=lambda format: (format not in speed.REWALKED, format))
    return [row for line in speed.LINES for row in line_rows(document, rows, cases, formats, line)]


def goal_text(line):
    unit = "\u00d7 stores" if line.of_limit else "ns"
    return f"{number(line.general)} / {number(line.vector)} {unit}"


def sentence(shown):
    cells = [each for row in shown for each in row["cells"].values() if each]
    reached = sum(not each["misses"] for each in cells)
    formats = len({row["format"] for row in shown})
    return f"{reached} of {len(cells)} figures of {page_text.plural(formats, 'format')} reach their goal"


def published(document):
    """(format, rows): what Linux published, and ours of the same shape."""
    rows = index_of(document)
    for format, lines in speed.PUBLISHED.items():
        shown = []
        for shape, case, average, least in lines:
            ours = {compiler: rows.get((case, compiler, "builtin")) for compiler in document["compilers"]}
            walked = {compiler: rows.get((case, compiler, speed.REWALKING)) for compiler in document["compilers"]}
            limit = limit_case(case)
            shown.append({"shape": shape, "case": case, "average": average, "least": least, "ours": ours, "rewalking": walked,
                          "stores": fastest(rows, document, limit) if limit else None})
        if any(each["ours"][compiler] for each in shown for compiler in document["compilers"]):
            yield format, shown


def models(document):
    rows = index_of(document)
    return [(case, {compiler: rows[case, compiler, "builtin"]["ns"] for compiler in document["compilers"]
                    if (case, compiler, "builtin") in rows})
            for case in speed.MODEL_CASES if fastest(rows, document, case)]


def view(document):
    """None: not measured."""
    if not document:
        return None
    shown = goals(document)
    return {
        "document": document,
        "lines": [(line, goal_text(line), [row for row in shown if row["line"] == line.name]) for line in speed.LINES],
        "compilers": list(document["compilers"]),
        "rows": shown,
        "sentence": sentence(shown),
        "published": list(published(document)),
        "models": models(document),
        "machine": MACHINE,
    }


# ---- Markdown -------------------------------------------------------------------------------------------------------


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def shown_cell(each):
    if not each:
        return "n/a"
    return f"**{each['text']}**" if each["misses"] else each["text"]


def instructions_text(row, build):
    counts = [each and each["per_leaf"] for (kind, _), each in row["cells"].items() if kind == build]
    return " / ".join(number(each) for each in counts)


def columns(document):
    return [f"{build} {compiler}" for build, _ in BUILDS for compiler in document["compilers"]]


def stores_text(row):
    return f"{number(row['stores'])} / {number(row['scalar'])}" if row["stores"] else "n/a"


def origin(document):
    """Which run this is: date, machine, commit, compilers, command."""
    commit, machine = document["commit"], document["machine"]
    compilers = "; ".join(f"{made['compiler']} {made['flags']}" for made in document["compilers"].values())
    return (
        f"{page_text.day(document['date'])} UTC, commit {commit['short']}{' (modified)' if commit['modified'] else ''}, {machine['cpu']}, "
        f"{page_text.plural(machine['cores'], 'core')}{', virtual' if machine['is_virtual'] else ''}, load {machine['load_at_start']} at the start. "
        f"{compilers}. Medians of {document['rounds']} rounds in random order, one run for all rows: `{' '.join(document['command'])}`"
    )


LEGEND = (
    "ns of one call, CPU time; **bold**: the goal is missed. Goals: general / vector build, stated for a Zen 3 of 3.2 GHz. stores: plain stores of the same item "
    "bytes, any width / general registers. re-walking: the plugin, the faster compiler."
)


def markdown(document):
    shown = goals(document)
    parts = [f"{origin(document)}.\n", f"{LEGEND} Instructions: of one leaf, {' / '.join(document['compilers'])}.\n", f"{sentence(shown)}.\n"]
    head = ["format", *columns(document), "stores", "re-walking", "instructions general", "vector"]
    for line in speed.LINES:
        mine = [row for row in shown if row["line"] == line.name]
        cells = [[row["format"], *(shown_cell(each) for each in row["cells"].values()), stores_text(row), number(row["rewalking"]),
                  instructions_text(row, "general"), instructions_text(row, "vector")] for row in mine]
        parts += [f"### {line.name}\n", f"Goal {goal_text(line)}. What bounds it: {line.bound}.\n", table(head, cells)]
    rates = [[f"`{case}`", *(f"{number(times.get(compiler))} ns = {number(1000 / times[compiler])} M/s" if compiler in times else "n/a"
                             for compiler in document["compilers"])] for case, times in models(document)]
    parts += ["### IOMMU model\n", table(["case", *document["compilers"]], rates)]
    parts += ["### Against the published generic_pt tables\n", f"{MACHINE}\n"]
    for format, rows in published(document):
        parts.append(published_markdown(document, format, rows))
    return "\n".join(parts)


def pair(values):
    return f"{values[0]} / {values[1]}" if values else "n/a"


def published_markdown(document, format, rows):
    head = [format, "Linux new / old, average", "least", *document["compilers"], *(f"re-walking {each}" for each in document["compilers"]),
            "stores", *(f"instructions {each}" for each in document["compilers"])]
    cells = []
    for row in rows:
        ours, walked = row["ours"].values(), row["rewalking"].values()
        cells.append([row["shape"].replace("*", "\u00d7"), pair(row["average"]), pair(row["least"]), *(number(each and each["ns"]) for each in ours),
                      *(number(each and each["ns"]) for each in walked), number(row["stores"]),
                      *(number(each and each["instructions"]) for each in ours)])
    return table(head, cells)


def spread(rows, build):
    """From the best to the worst of all formats, each by its faster compiler."""
    best = [min((each["ratio"] or 0) if of_limit else each["ns"] for (kind, _), each in row["cells"].items() if kind == build and each)
            for row in rows for of_limit in [row["line"] in {line.name for line in speed.LINES if line.of_limit}]
            if any(each for (kind, _), each in row["cells"].items() if kind == build)]
    return f"{number(min(best))} to {number(max(best))}" if best else "n/a"


def short_markdown(document):
    """The lines for amdv1, and how far the other formats are from it."""
    shown = goals(document)
    head = ["amdv1", "goal", *columns(document), "stores", "re-walking", "instructions a leaf", f"all {len({row['format'] for row in shown})} formats, general"]
    cells = []
    for line in speed.LINES:
        mine = [row for row in shown if row["line"] == line.name]
        first = next((row for row in mine if row["format"] == "amdv1"), None)
        if not first:
            continue
        cells.append([line.name, goal_text(line), *(shown_cell(each) for each in first["cells"].values()), stores_text(first),
                      number(first["rewalking"]), instructions_text(first, "general"), spread(mine, "general")])
    return f"{origin(document)}.\n\n{LEGEND}\n\n{table(head, cells)}\n{sentence(shown)}.\n"


def replace_between_marks(path, text):
    with open(path, encoding="utf-8") as file:
        whole = file.read()
    before, rest = whole.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    with open(f"{path}.part", "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n{text}{END}{after}")
    os.replace(f"{path}.part", path)
