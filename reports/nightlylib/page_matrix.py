"""The section Formats: which test ran on which configuration, and how often (matrix.json)."""

from . import page_text


def cell(value, reason):
    """{text, value, kind, title}: kind is hole, none (it cannot be) or ran."""
    if value == "-":
        return {"text": "-", "value": None, "kind": "none", "title": reason}
    return {"text": page_text.number(value), "value": value, "kind": "ran" if value else "hole", "title": ""}


def sentence(matrix):
    rows, formats = page_text.plural(len(matrix["rows"]), "configuration"), page_text.plural(len(set(matrix["formats"])), "format")
    holes = page_text.plural(len(matrix["holes"]), "hole", "holes" if matrix["holes"] else "hole")
    return f"{rows} of {formats}, {page_text.plural(len(matrix['columns']), 'column')}: {holes}"


def reasons(matrix):
    """(column, formats, reason): formats of one column with the same reason together."""
    together = {}
    for each in matrix["reasons"]:
        together.setdefault((each["column"], each["reason"]), []).append(each["format"])
    return [(column, page_text.both(formats), reason) for (column, reason), formats in together.items()]


def view(matrix):
    """What the section shows; None where it was not asked."""
    if not matrix:
        return None
    why = {(each["format"], each["column"]): each["reason"] for each in matrix["reasons"]}
    rows = []
    for row, name, values in zip(matrix["rows"], matrix["formats"], matrix["cells"]):
        cells = [cell(value, why.get((name, column), "")) for column, value in zip(matrix["columns"], values)]
        rows.append({"name": row, "format": name, "cells": cells})
    chips = list(dict.fromkeys(matrix["formats"]))
    has_hole = any(each["kind"] == "hole" for row in rows for each in row["cells"])
    return {
        "sentence": sentence(matrix),
        "columns": [(name.removeprefix("test_").replace("_", " "), name) for name in matrix["columns"]],
        "by_format": page_text.both(matrix["by_format"]),
        "rows": rows,
        "chips": ",".join((["hole"] if has_hole else []) + chips),
        "reasons": reasons(matrix),
        "holes": matrix["holes"],
        "failed": matrix["failed"],
    }
