"""From a result to what index.html shows. All numbers are worked out here and in page_*; the templates lay them out."""

import base64
import hashlib
import json
import os
import re

import jinja2
import markupsafe

from . import bench, chart, inputs, schema
from . import page_cases, page_findings, page_history, page_matrix, page_outcomes, page_programs, page_scale, page_speed, page_text
from .page_text import label, number

REPORTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TEMPLATES = os.path.join(REPORTS, "templates")
# The build of ECharts with lines, bars, points, marks and zoom; npm ci puts it there (scripts/setup --with echarts).
ECHARTS = os.path.join(REPORTS, "node_modules", "echarts", "dist", "echarts.common.min.js")
BANNERS = {
    "ok": ("good", "Nothing wrong was found: all parts ran, no crash, no wrong result"),
    "failed": ("bad", "Something is wrong"),
    "could-not-run": ("incomplete", "Something could not run"),
    "stopped": ("incomplete", "Stopped before the end"),
    "running": ("incomplete", "Still running"),
}
PART_TITLES = {
    "bench": "Benchmarks",
    "inputs": "Real inputs",
    "fuzz": "Fuzzing",
    "perf": "Counters",
    "hyperfine": "Whole replays",
    "matrix": "Formats",
    "speed": "Speed",
    "test": "Tests",
}


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


def measured_sentence(result, figures):
    """'738 benchmark cases, 3 real inputs, 4 fuzz targets'."""
    words = []
    if figures:
        words.append(page_text.plural(len(figures), "benchmark case"))
    if result.get("inputs"):
        words.append(page_text.plural(len({entry["input"] for entry in result["inputs"]}), "real input"))
    if result.get("fuzz"):
        words.append(page_text.plural(len(result["fuzz"]), "fuzz target"))
    return page_text.both(words)


def changed_sentence(change, previous):
    if not previous:
        return "First run on this machine: nothing to compare with"
    if not change["compared"]:
        return "No case in common with the last run"
    slower, faster = len(change["slower"]), len(change["faster"])
    if not slower and not faster:
        return f"None of {page_text.plural(change['compared'], 'case')} moved beyond noise"
    words = [f"{number(count)} {what}" for count, what in ((slower, "slower"), (faster, "faster")) if count]
    return f"{' and '.join(words)} of {page_text.plural(change['compared'], 'case')}"


def found_sentence(shown, crashes, fuzzed):
    if not fuzzed and not shown:
        return "Nothing was fuzzed"
    findings = page_findings.sentence(shown)
    ends = page_text.plural(crashes, "crash", "crashes")
    return f"{findings}; {ends}" if findings else f"{ends[0].upper()}{ends[1:]}"


def counts(result, figures):
    fuzz = result.get("fuzz", [])
    return {
        "fuzz": fuzz,
        "execs": sum(entry["execs"] for entry in fuzz),
        "fuzz_seconds": sum(entry["seconds"] for entry in fuzz),
        "findings": sum(entry["findings"] for entry in fuzz),
        "crashes": sum(entry["crashes"] for entry in fuzz),
        "bench_errors": bench.errors(result["bench"]) if "bench" in result else [],
        "repetitions": max((mine["repetitions"] for mine in figures.values()), default=0),
    }


def view(result, previous=None, past=([], {}), scripts=None):
    """
    Everything the templates show. previous: (run, {case: ns}) of history.previous, or None; past: what
    page_history.earlier gave; scripts: {path in the result: text} of the findings.
    """
    run, scripts = result["run"], scripts or {}
    figures = bench.figures(result["bench"]) if "bench" in result else {}
    before = previous[1] if previous else {}
    bands = page_history.bands(past[1])
    counted = counts(result, figures)
    rows = page_cases.rows(figures, before, bands)
    change = page_cases.compare(figures, before, bands)
    found = [page_findings.prepared(each, scripts.get(each["script"], "")) for each in result.get("findings", [])]
    shown = page_findings.groups(found)
    sweeps = page_cases.sweep_charts(figures)
    return {
        "run": run,
        "banner": BANNERS[overall_state(run)],
        "troubles": troubles(run),
        "figures": figures,
        "headline": page_cases.headline(figures, before, bands),
        "measured": measured_sentence(result, figures),
        "previous": previous[0] if previous else None,
        "change": change,
        "changed": changed_sentence(change, previous),
        "found": found_sentence(shown, counted["crashes"], counted["fuzz"]),
        "finding_groups": shown,
        "rows": rows,
        "max_ratio": max((row["ratio"] for row in rows if row["ratio"]), default=1.0),
        "limits_missing": sorted({row["limit_missing"] for row in rows if row["limit_missing"]}),
        "sweeps": [(each, chart.log_log(each["series"])) for each in sweeps],
        "scale": page_scale_shown(figures),
        "outcomes": page_outcomes.view(figures),
        "history": page_history.chart(run, past[0], past[1], figures),
        "inputs": input_table(result.get("inputs", [])),
        "hyperfine": page_programs.hyperfine(result.get("hyperfine")),
        "perf": page_programs.perf(result.get("perf"), figures),
        "gate": page_programs.gate(result.get("gate")),
        "speed": page_speed.view(result.get("speed")),
        "formats": page_matrix.view(result.get("matrix")),
        **counted,
    }


def page_scale_shown(figures):
    """The part on scaling, with its chart as the page shows it before a script draws it."""
    shown = page_scale.view(figures)
    return shown and {**shown, "drawn": chart.log_log(shown["chart"]["series"]) if shown["chart"] else None}


def charts_of(shown):
    """Every chart's data for the scripts, by id."""
    charts = [each for each, _ in shown["sweeps"]]
    charts += [shown["scale"]["chart"]] if shown["scale"] and shown["scale"]["chart"] else []
    charts += shown["outcomes"]["charts"] if shown["outcomes"] else []
    charts += [shown["history"]] if shown["history"] else []
    charts += [shown["hyperfine"]["chart"]] if shown["hyperfine"] else []
    return {each["id"]: each for each in charts}


def data_block(value):
    """JSON that may stand inside a script element: no text in it can end that element or open a comment."""
    text = json.dumps(value, separators=(",", ":"))
    return markupsafe.Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def scripts_of_page():
    """([text of each script], whether ECharts is among them)."""
    texts, has_echarts = [read(os.path.join(TEMPLATES, "page.js"))], os.path.exists(ECHARTS)
    if has_echarts:
        echarts = re.sub(r"\n//# sourceMappingURL=.*\s*$", "\n", read(ECHARTS))
        schema.need(not re.search(r"</script|<!--", echarts, re.IGNORECASE), ECHARTS, "cannot stand inside a page")
        texts += [echarts, read(os.path.join(TEMPLATES, "charts.js"))]
    return texts, has_echarts


def policy(texts):
    """The page may run exactly these scripts and load nothing, whatever text a result brings in."""
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def render(result, previous=None, past=([], {}), scripts=None):
    """index.html as one text that loads nothing."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        {name: getattr(page_text, name) for name in ("number", "percent", "share", "nanoseconds", "seconds", "plural", "day")},
        bytes=page_text.bytes_text,
        words=page_findings.words,
    )
    shown = view(result, previous, past, scripts)
    texts, has_echarts = scripts_of_page()
    flamegraph = page_findings.harmless_svg(result["flamegraph"]) if result.get("flamegraph") else None
    page = environment.get_template("index.html.j2").render(
        shown,
        charts=data_block(charts_of(shown)),
        scripts=[markupsafe.Markup(text) for text in texts],
        has_echarts=has_echarts,
        policy=policy(texts),
        flamegraph=markupsafe.Markup(flamegraph) if flamegraph else None,
        flamegraph_refused=bool(result.get("flamegraph")) and not flamegraph,
    )
    return page + "\n"
