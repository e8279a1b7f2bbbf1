"""What fuzz_lockstep found: its scripts, each run by mapproof-replay, into findings.json and findings/."""

import os
import re
import shutil

from . import schema
from .child import run

ENVIRONMENT = "MAPPROOF_FINDINGS"  # the folder into which a target writes scripts
FOLDER = "findings"
SECONDS_LIMIT = 60
LINE = re.compile(
    r"^mapproof: finding (?P<slug>[a-z-]+)\.(?P<rule>[^\s/]+)\.(?P<hw>[^\s./]+) "
    r"count=(?P<count>\d+) first_exec=(?P<exec>\d+) first_seconds=(?P<seconds>[0-9.]+) ops=(?P<ops>\d+)$"
)
NAMES = {name.lower().replace(" ", "-"): name for name in schema.SEVERITY}


def parse_line(line):
    """The match of one `mapproof: finding ...` line of a finding that we have a name for, or None."""
    match = LINE.match(line)
    return match if match and match["slug"] in NAMES else None


def read_script(text):
    """
    (title, head, steps) of a script as fuzz_lockstep writes it: comment lines, of which the first is the title; then
    each op with a comment line of words before it.
    """
    comments, head, steps = [], [], []
    for line in text.splitlines():
        if line.startswith("#"):
            comments.append(line.lstrip("#").strip())
        elif line.strip():
            words = comments.pop() if comments else ""
            if not steps:
                head = [each for each in comments if each]
            steps.append({"op": re.sub(r"\s+", " ", line.strip()), "words": words})
            comments = []
    return (head[0] if head else ""), head[1:], steps


def confirm(workplace, program, path, finding):
    """'' if mapproof-replay meets every expectation of the script and names the finding; else what it said instead."""
    ended = run([program, path], workplace.log("findings.log"), None, SECONDS_LIMIT)
    if ended.status != 0:
        return ended.note or f"exit code {ended.status}: {ended.tail(8)}"
    if f"finding: {finding}" not in ended.text:
        return f"mapproof-replay ran it and found no {finding}"
    return ""


def entry_of(match, target, text):
    title, head, steps = read_script(text)
    name = NAMES[match["slug"]]
    return {
        "key": f"{match['slug']}/{match['rule']}/{match['hw']}",
        "finding": name,
        "rule": match["rule"],
        "hw": match["hw"],
        "title": title or f"{name}: {match['rule']} on {match['hw']}",
        "target": target,
        "count": int(match["count"]),
        "first_exec": int(match["exec"]),
        "first_seconds": float(match["seconds"]),
        "ops": int(match["ops"]),
        "script": f"{FOLDER}/{match['slug']}.{match['rule']}.{match['hw']}.ops",
        "confirmed": False,
        "head": head,
        "steps": steps,
    }


def collect(workplace, replay, target, folder, matches):
    """
    Copy the scripts in `folder` into the result and write findings.json of `matches` (one for each statistics line).
    Returns problems, a line each: a script that is not there, that nobody counted, or that replay does not confirm.
    """
    entries, problems = [], []
    scripts = sorted(name for name in os.listdir(folder) if name.endswith(".ops"))
    for name in scripts:
        os.makedirs(workplace.result(FOLDER), exist_ok=True)
        shutil.copyfile(os.path.join(folder, name), workplace.result(f"{FOLDER}/{name}"))
    for match in matches:
        name = f"{match['slug']}.{match['rule']}.{match['hw']}.ops"
        if name not in scripts:
            problems.append(f"{target}: {name} was counted and not written")
            continue
        scripts.remove(name)
        workplace.progress.at(f"confirming {name}")
        path = workplace.result(f"{FOLDER}/{name}")
        with open(path, encoding="utf-8", errors="replace") as file:
            entry = entry_of(match, target, file.read())
        problem = confirm(workplace, replay, path, entry["finding"])
        entry["confirmed"] = not problem
        problems += [f"{entry['script']}: not confirmed: {problem}"] if problem else []
        entries.append(entry)
    problems += [f"{target}: {name} was written and not counted" for name in scripts]
    entries.sort(key=lambda each: (schema.SEVERITY.index(each["finding"]), each["rule"], each["hw"]))
    schema.write_json(workplace.result(schema.FILES["findings"]), entries)
    return problems
