"""Programs as wholes: hyperfine, perf and its tier, instruction counts, and how often the gate is wrong."""

import os
import shlex

from . import page_text

TIERS = {
    "pmu": "The processor's own counters",
    "software": "The kernel's software events, no processor counters",
    "callgrind": "Instructions counted by callgrind",
}


def command_name(command):
    """The input that a command replays: its last word without folders and endings; the command itself if there is none."""
    words = [word for word in command.split() if not word.startswith("-")]
    name = os.path.basename(words[-1]) if words else command
    for ending in (".xz", ".txt", ".trace"):
        name = name.removesuffix(ending)
    return name or command


def hyperfine(result):
    """Rows and a chart of every single run; None where hyperfine did not run."""
    if not result or not result["results"]:
        return None
    names = [command_name(each["command"]) for each in result["results"]]
    if len(set(names)) < len(names):
        names = [each["command"] for each in result["results"]]
    rows = [{**each, "name": name} for name, each in zip(names, result["results"])]
    chart = {
        "id": "hyperfine",
        "kind": "strips",
        "title": "Every run of each replay",
        "unit": "ms",
        "categories": names,
        "points": [[round(1000 * value, 3) for value in each["times"]] for each in rows],
        "medians": [round(1000 * each["median"], 3) for each in rows],
    }
    return {"rows": rows, "chart": chart}


def perf(result, figures):
    """Events by family and instructions by case; None where perf did not run."""
    if not result:
        return None
    names = list(dict.fromkeys(name for family in result["families"] for name in family["events"]))
    families = [
        {
            "family": family["family"],
            "tier": family["tier"],
            "cases": len(family["cases"]),
            "seconds": family["seconds"],
            "cells": [family["events"].get(name) for name in names],
            "command": shlex.join(str(word) for word in family["command"]),
        }
        for family in result["families"]
    ]
    units = [next((f["events"][name]["unit"] for f in result["families"] if name in f["events"]), "") for name in names]
    return {
        "tier": result["tier"],
        "tier_text": TIERS[result["tier"]],
        "why": result["why"],
        "events": list(zip(names, units)),
        "families": families,
        "instructions": [instruction_row(each, figures) for each in result["instructions"]],
        "flamegraph": result.get("flamegraph"),
    }


def instruction_row(entry, figures):
    """Instructions of an operation, and of a nanosecond of it where the case was timed as well."""
    time = figures.get(entry["case"], {}).get("cpu_time_ns")
    leaves = figures.get(entry["case"], {}).get("leaves")
    return {
        **entry,
        "per_leaf": entry["per_op"] / leaves if leaves else None,
        "per_ns": entry["per_op"] / time if time else None,
    }


def gate(result):
    """How often the gate is wrong: a row for each planted slowdown, alone and beside a load; None where not measured."""
    if not result:
        return None
    rows = [
        {
            "what": "same code twice" if each["percent"] == 0 else f"+{page_text.number(each['percent'])}{page_text.THIN}% planted",
            **each,
        }
        for each in result["rates"]
    ]
    false_alarms = sum(each["found"]["count"] for each in rows if each["percent"] == 0)
    asked = sum(each["decisions"] for each in rows if each["percent"] == 0)
    tens = [each for each in rows if each["percent"] == 10]
    found, planted = sum(each["found"]["count"] for each in tens), sum(each["decisions"] for each in tens)
    words = [f"{page_text.plural(false_alarms, 'false alarm')} in {page_text.plural(asked, 'comparison')} of a build with itself"] if asked else []
    if planted:
        words.append(f"{found} of {planted} slowdowns of 10{page_text.THIN}% found")
    sentence = "; ".join(words)
    return {"rows": rows, "sentence": sentence[:1].upper() + sentence[1:], "settings": result.get("settings", {}), "machine": gate_machine(result), **dates(result)}


def gate_machine(result):
    machine = result.get("machine", {})
    return machine.get("processor") or machine.get("cpu") or "unknown machine"


def dates(result):
    return {"commit": str(result.get("commit", ""))[:12], "date": page_text.day(str(result.get("date", "")))}
