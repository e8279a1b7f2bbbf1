"""The real inputs: mapproof-replay over each file and format with the oracle on; its totals into inputs.json."""

import os
import time

from . import schema
from .child import run

SECONDS_LIMIT = 600


def run_one(workplace, program, file, format_name):
    """Returns (totals or None, state, message)."""
    log = workplace.log(f"replay-{os.path.basename(file)}-{format_name}.log")
    out = workplace.log(f"replay-{os.path.basename(file)}-{format_name}.json")
    command = [program, f"--format={format_name}", "--json", out, os.path.join(workplace.root, file)]
    ended = run(command, log, None, SECONDS_LIMIT)
    if ended.status is None or ended.note:
        return None, "could-not-run", ended.note
    totals = None
    if os.path.exists(out):
        try:
            totals = totals_of(schema.read_json(out), out)
        except schema.Invalid as error:
            return None, "could-not-run", str(error)
    if ended.status == 1:
        return totals, "failed", ended.tail(40)
    if ended.status != 0:
        return None, "could-not-run", f"exit code {ended.status}\n{ended.tail()}"
    if totals is None:
        return None, "could-not-run", f"{out}: was not written"
    return totals, "ok", ""


def totals_of(replayed, path):
    """The one file's object in what mapproof-replay --json wrote."""
    files = replayed.get("files") if isinstance(replayed, dict) else None
    schema.need(isinstance(files, list) and len(files) == 1 and isinstance(files[0], dict), path, "no list 'files' of one")
    return {key: value for key, value in files[0].items() if key not in ("path", "file", "format")}


def run_part(workplace, program, files, formats):
    """Write inputs.json. Returns the part's entry for run.json."""
    entries, messages, states = [], [], []
    start = time.monotonic()
    for file in files:
        for format_name in formats:
            workplace.progress.at(f"{os.path.basename(file)} {format_name}")
            before = time.monotonic()
            totals, state, message = run_one(workplace, program, file, format_name)
            states.append(state)
            if message:
                messages.append(f"{file} {format_name}: {message}")
            if totals is None:
                continue
            seconds = round(time.monotonic() - before, 2)
            entries.append({"input": file, "format": format_name, "seconds": seconds, "totals": totals})
            schema.write_json(workplace.result("inputs.json"), entries)
    worst = next((state for state in ("failed", "could-not-run") if state in states), "ok")
    seconds = round(time.monotonic() - start, 1)
    return {"state": worst, "message": "\n".join(messages), "seconds": seconds, "command": [program, "--json"]}


def flatten(value, trail=""):
    """('a.b', number or text) for every leaf of nested objects and lists."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flatten(inner, f"{trail}.{key}" if trail else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from flatten(inner, f"{trail}.{index}" if trail else str(index))
    else:
        yield trail, value
