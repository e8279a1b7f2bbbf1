"""Writes index.html of a result folder from its JSON files, its scripts and the history. JSON stays the truth."""

import os

from . import history, page, page_history, schema


def scripts_of(folder, findings):
    """{path: text} of the findings' scripts. Raises Invalid where one is missing."""
    return {entry["script"]: schema.read_text(os.path.join(folder, entry["script"])) for entry in findings}


def write(folder, history_file=None):
    """Raises schema.Invalid or OSError; index.html is then as it was."""
    result = schema.read_result(folder)
    previous = history.previous(history_file, result["run"]) if history_file else None
    past = page_history.earlier(history_file, result["run"])
    text = page.render(result, previous, past, scripts_of(folder, result.get("findings", [])))
    schema.write_text(os.path.join(folder, "index.html"), text)
