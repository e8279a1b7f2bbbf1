"""The hyperfine part: how long mapproof-replay takes for each real input, from start to end; its JSON as it wrote it."""

import os
import re

from . import schema
from .child import run

SECONDS_LIMIT = 900


def label(command):
    """'linux-6.12-vtd-nvme-e1000e.trace.xz/amdv1': what history calls a command, as it does the replays of inputs.json."""
    words = command.split()
    format_name = next((word.partition("=")[2] for word in words if word.startswith("--format=")), "")
    name = os.path.basename(words[-1]) if words else ""
    return f"{name}/{format_name}" if format_name else name


def run_part(workplace, program, files, mode):
    """Write hyperfine.json. Returns the part's entry for run.json."""
    out, log = workplace.result(schema.FILES["hyperfine"]), workplace.log("hyperfine.log")
    program = workplace.shown(program)
    commands = [f"{program} --format={mode.hyperfine_format} {file}" for file in files]
    part = f"{out}.part"
    command = ["hyperfine", "-N", "--style", "basic", "--warmup", "1", "--runs", str(mode.hyperfine_runs)]
    command += ["--export-json", part, *commands]

    def watch(line):
        if match := re.match(r"Benchmark \d+: (.*)", line):
            workplace.progress.at(label(match[1]))

    ended = run(command, log, watch, SECONDS_LIMIT)
    entry = {"seconds": round(ended.seconds, 1), "command": command[:-len(commands) - 1] + ["hyperfine.json", *commands]}
    if ended.status is None:
        return entry | {"state": "could-not-run", "message": f"{ended.note} (scripts/setup installs hyperfine)"}
    if ended.status != 0 or ended.note:
        message = f"hyperfine: {ended.note or f'exit code {ended.status}'}\n{ended.tail()}"
        return entry | {"state": "could-not-run", "message": message}
    try:
        schema.check_hyperfine(schema.read_json(part), out)
    except schema.Invalid as error:
        return entry | {"state": "could-not-run", "message": str(error)}
    os.replace(part, out)
    return entry | {"state": "ok", "message": ""}
