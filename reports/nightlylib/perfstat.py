"""`perf stat -j` for each family of benchmarks: what perf can count on this machine, and why it is not more."""

import json
import os
import tempfile

from . import context

HARDWARE = ("instructions", "cycles", "branches", "branch-misses", "cache-misses")
SOFTWARE = ("task-clock", "page-faults", "context-switches", "cpu-migrations")
EVENTS = ",".join(SOFTWARE + tuple(f"{name}:u" for name in HARDWARE))
# Who may count user space only (perf adds :u) would get these as 0, whatever happened.
OF_THE_KERNEL = ("context-switches", "cpu-migrations")
PARANOID = "/proc/sys/kernel/perf_event_paranoid"


def command(program_and_arguments):
    return ["perf", "stat", "-j", "-e", EVENTS, "--", *program_and_arguments]


def parse(text):
    """({event: {value, unit}}, {event: why there is none}) of what perf stat -j wrote; names without :u."""
    events, absent = {}, {}
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            reported, value = entry["event"], entry["counter-value"]
        except (ValueError, KeyError, TypeError):
            continue  # comment lines; an empty one
        name, _, modifier = reported.partition(":")
        try:
            number = float(value)
        except ValueError:
            absent[name] = value.strip("<>")
            continue
        if modifier and name in OF_THE_KERNEL:
            absent[name] = "not visible from user space"
            continue
        events[name] = {"value": number, "unit": entry.get("unit", "")}
    return events, absent


def tier_of(events):
    if "instructions" in events:
        return "pmu"
    return "software" if events else None


def why_no_hardware(absent):
    """A sentence, or '' where the hardware counted."""
    reason = absent.get("instructions")
    if reason is None:
        return ""
    virtual = "; a virtual machine without performance counters" if context.is_virtual() else ""
    return f"perf counts no instructions here ({reason}{virtual}), so its software events stand in"


def why_not_at_all(ended):
    """Why perf stat gave nothing."""
    if ended.status is None:
        return f"{ended.note} (scripts/setup installs linux-perf)"
    said = " ".join(line.strip() for line in ended.text.splitlines() if line.strip())[:300]
    setting = context.first_match(PARANOID, r"^(-?\d+)")
    allowed = f"; kernel.perf_event_paranoid is {setting}" if setting else ""
    return f"perf stat: {ended.note or f'exit code {ended.status}'}{allowed}{f': {said}' if said else ''}"


def stat(runner, what):
    """(events, why there are none or no better ones) of one program run. runner(command): how it is run, an Ended."""
    with tempfile.TemporaryDirectory(prefix="mapproof-perf-") as folder:
        out = os.path.join(folder, "stat.json")
        whole = command(what)
        ended = runner(whole[:3] + ["-o", out] + whole[3:])
        try:
            with open(out, encoding="utf-8") as file:
                events, absent = parse(file.read())
        except OSError:
            events, absent = {}, {}
    if ended.status != 0 and events:
        return {}, f"what perf stat ran failed: {ended.note or f'exit code {ended.status}'}"
    if not events:
        return {}, why_not_at_all(ended)
    return events, why_no_hardware(absent)
