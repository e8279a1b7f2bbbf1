"""What earlier runs on this machine measured: a series for each case, and the band that tells noise from change."""

import json
import os
import statistics

from . import history, page_text

RUNS_SHOWN = 500
RUNS_IN_BAND = 20


def earlier(path, run):
    """
    The latest RUNS_SHOWN runs before this one on the same machine, compiler and flags, oldest first:
    ([run.json], {case: [ns or None, ...]}), one value a run. Empty where there is no history.
    """
    if not path or not os.path.exists(path):
        return [], {}
    database = history.connect(path)
    try:
        found = database.execute(
            "SELECT id, run_json FROM runs WHERE machine = ? AND started < ? ORDER BY started DESC, id DESC LIMIT ?",
            (history.machine_key(run), run["started"], RUNS_SHOWN),
        ).fetchall()[::-1]
        place = {identity: index for index, (identity, _) in enumerate(found)}
        return [json.loads(text) for _, text in found], medians(database, place)
    finally:
        database.close()


def medians(database, place):
    """{case: [median ns of each run]}; place: {run id: index}."""
    raw = {}
    query = "SELECT name, value FROM results WHERE run_id = ? AND part = 'bench' AND metric = 'cpu_time_ns'"
    for identity, index in place.items():
        for name, value in database.execute(query, (identity,)):
            raw.setdefault(name, {}).setdefault(index, []).append(value)
    return {
        name: [statistics.median(values[index]) if index in values else None for index in range(len(place))]
        for name, values in raw.items()
    }


def bands(series):
    """{case: median, least and most of the latest RUNS_IN_BAND values}."""
    found = {}
    for name, values in series.items():
        recent = [value for value in values if value is not None][-RUNS_IN_BAND:]
        if recent:
            found[name] = {
                "median": statistics.median(recent),
                "low": min(recent),
                "high": max(recent),
                "runs": len(recent),
            }
    return found


def digits(value):
    """Four digits: what a chart can show."""
    return "" if value is None else f"{value:.4g}" if value < 10000 else f"{value:.0f}"


def text(band, value):
    """The band and this run's value in words."""
    low, median, high = (page_text.nanoseconds(band[key]) for key in ("low", "median", "high"))
    place = "within"
    if value < band["low"]:
        place = f"{page_text.share(1 - value / band['low'])} below"
    elif value > band["high"]:
        place = f"{page_text.share(value / band['high'] - 1)} above"
    runs = f"the latest {band['runs']} runs" if band["runs"] > 1 else "one run"
    return f"{page_text.nanoseconds(value)} now, {place} the band of {runs}: {low} to {high}, median {median}."


def chart(run, runs, series, figures):
    """The data of the history chart: earlier runs and this one. Values of a case are one text, '' where not measured."""
    if not runs or not figures:
        return None
    known = bands(series)
    cases = {}
    for name, mine in figures.items():
        values = series.get(name)
        if values:
            band = known[name]
            cases[name] = {
                "values": ",".join(digits(value) for value in [*values, mine["cpu_time_ns"]]),
                "band": [float(digits(band[key])) for key in ("low", "median", "high")],
                "text": text(band, mine["cpu_time_ns"]),
            }
    shown = [[each["started"], each["commit"]["short"] + ("+" if each["commit"]["modified"] else "")] for each in [*runs, run]]
    return {"id": "history", "kind": "history", "title": "History of a case", "runs": shown, "cases": cases} if cases else None
