"""What the gate says: the table on the screen, the JSON for other programs."""

import json
import os
import shlex
import tempfile

from gatelib import statistics
from gatelib.failure import CannotMeasure

SCHEMA = 1
MEANINGS = {
    statistics.SLOWER: "SLOWER, in two sets of pairs",
    statistics.INSTRUCTIONS: "SLOWER, and more instructions",
    statistics.WARNING: "warning: more instructions",
    statistics.UNCONFIRMED: "slower in one set only",
    statistics.FASTER: "faster",
    statistics.SAME: "",
}


def interval_text(time):
    return f"{time.ratio:.3f}  [{time.low:.3f}, {time.high:.3f}]"


def instructions_text(count):
    if count.base == count.head:
        return f"{count.base_each:.1f}"
    return f"{count.base_each:.1f} -> {count.head_each:.1f} ({count.head / count.base - 1:+.1%})"


def table(findings, repeat):
    """All cases, regressions first; below each regression its functions and the command. repeat(case): that command."""
    rows = [("benchmark", "ratio  99 % interval", "instructions per op", "verdict")]
    details = {}
    order = sorted(findings, key=lambda each: (not each.is_regression, each.verdict != statistics.WARNING))
    for each in order:
        row = (each.case.name, interval_text(each.time), instructions_text(each.count), MEANINGS[each.verdict])
        rows.append(row)
        details[each.case.name] = detail_lines(each, repeat)
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = []
    for row in rows:
        lines.append("  ".join([cell.ljust(width) for cell, width in zip(row, widths)] + [row[3]]).rstrip())
        lines += details.get(row[0], [])
    return "\n".join(lines)


def detail_lines(finding, repeat):
    lines = []
    if finding.again is not None:
        lines.append(f"    second set: {interval_text(finding.again)}")
    if finding.is_regression or finding.verdict == statistics.WARNING:
        lines += [f"    {change:+.1f} instructions per op  {name}" for name, change in finding.functions]
    if finding.is_regression:
        lines.append(f"    repeat: {repeat(finding.case)}")
    return lines


def repeat_command(options, base, head, case):
    """The command that measures one case again, whatever the code comparison says."""
    words = ["scripts/gate", "--force", "--case", case.name]
    if options.engine_a:
        words += ["--engine-a", options.engine_a, "--engine-b", options.engine_b]
        head = ""
    for flag, value in (("--preset", options.preset), ("--pairs", options.pairs), ("--cases", options.cases)):
        if value != options.defaults[flag]:
            words += [flag, str(value)]
    return shlex.join(words + [commit[:12] for commit in (base, head) if commit])


def interval_json(time):
    return None if time is None else {"ratio": time.ratio, "low": time.low, "high": time.high, "pairs": time.pairs}


def finding_json(finding):
    count = finding.count
    return {
        "name": finding.case.name,
        "verdict": finding.verdict,
        "time": interval_json(finding.time),
        "again": interval_json(finding.again),
        "operations": count.operations,
        "instructions_base": count.base,
        "instructions_head": count.head,
        "functions": [{"name": name, "change_per_operation": change} for name, change in finding.functions],
        "samples_ns": finding.samples,
    }


def check_writable(path):
    """Before minutes of work: can the result be written?"""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        raise CannotMeasure(f"--json {path}: is a directory")
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise CannotMeasure(f"--json {path}: cannot write in {folder}")


def write_json(path, document):
    """All of it or nothing: a reader never sees half a file."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".gate-", suffix=".json", delete=False) as file:
            try:
                json.dump(document, file, indent=1)
                file.write("\n")
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise CannotMeasure(f"--json {path}: {error.strerror}") from error
