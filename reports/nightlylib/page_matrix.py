"""The section Formats: which test ran on which configuration, which operation has which proof, how often (matrix.json)."""

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


# What stands above the columns of evidence, and what a number in one counts.
EVIDENCE = {
    "unit": ("unit", "cases of the tests of core/pt that did it"),
    "oracle": ("oracle", "calls of drawn scripts that were compared with the oracle"),
    "fuzz": ("fuzz", "calls of the fuzz targets"),
    "hitless": ("hitless", "stores around which hardware walked"),
    "sweep": ("failure sweep", "allocations that were made to fail"),
    "bench": ("bench", "cases"),
}
OPERATIONS = {
    "dirty": "dirty read, clear",
    "decrease": "resize: decrease",
    "increase": "resize: increase",
    "growth": "growth of the top",
    "incoherent": "incoherent flush",
}


def operation_sentence(matrix):
    holes = page_text.plural(len(matrix["holes"]), "hole", "holes" if matrix["holes"] else "hole")
    totals = matrix["totals"]
    return (f"{page_text.plural(len(matrix['operations']), 'operation')} on {page_text.plural(len(matrix['formats']), 'format')}: "
            f"{holes}; {page_text.plural(totals['points'], 'failure point')} swept, "
            f"{page_text.plural(totals['stores'], 'store')} observed")


def summary_cell(numbers):
    """Of all formats: how many have it, of those that can, and the least of their numbers."""
    able = [each for each in numbers if each != "-"]
    if not able:
        return {"text": "cannot be", "kind": "none"}
    having = [each for each in able if each]
    if len(having) < len(able):
        return {"text": f"hole: {len(having)} of {len(able)}", "kind": "lost"}
    which = "all" if len(able) == len(numbers) else f"{len(able)}"
    return {"text": f"{which}, {page_text.number(min(able))} or more", "kind": "large"}


def operation_rows(matrix):
    """Each operation of each format, operation by operation."""
    why = {(format, each["operation"], each["evidence"]): each["reason"] for each in matrix["reasons"] for format in each["formats"]}
    rows = []
    for index, operation in enumerate(matrix["operations"]):
        for format, mine in zip(matrix["formats"], matrix["cells"]):
            cells = [cell(value, why.get((format, operation, evidence), ""))
                     for value, evidence in zip(mine[index], matrix["evidence"])]
            rows.append({"name": f"{operation} {format}", "cells": cells})
    return rows


def operations_view(matrix):
    """The second table, or None."""
    if not matrix:
        return None
    rows = operation_rows(matrix)
    numbers = [[[mine[row][column] for mine in matrix["cells"]] for column in range(len(matrix["evidence"]))]
               for row in range(len(matrix["operations"]))]
    has_hole = any(each["kind"] == "hole" for row in rows for each in row["cells"])
    together = {}
    for each in matrix["reasons"]:
        key = (each["operation"], page_text.both(each["formats"]) if len(each["formats"]) < len(matrix["formats"]) else "every format")
        together.setdefault((*key, each["reason"]), []).append(EVIDENCE.get(each["evidence"], (each["evidence"],))[0])
    return {
        "sentence": operation_sentence(matrix),
        "columns": [EVIDENCE.get(each, (each, each)) for each in matrix["evidence"]],
        "summary": {
            "hardware": [EVIDENCE.get(each, (each, each)) for each in matrix["evidence"]],
            "rows": [(OPERATIONS.get(operation, operation.replace("_", " ")), [summary_cell(each) for each in mine])
                     for operation, mine in zip(matrix["operations"], numbers)],
        },
        "rows": rows,
        "chips": ",".join((["hole"] if has_hole else []) + matrix["operations"]),
        "reasons": [(f"{operation}: {page_text.both(evidence)} of {formats}", reason)
                    for (operation, formats, reason), evidence in together.items()],
        "holes": matrix["holes"],
    }


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
    operations = operations_view(matrix.get("operations"))
    return {
        "operations": operations,
        "hole_count": len(matrix["holes"]) + (len(operations["holes"]) if operations else 0),
        "sentence": sentence(matrix),
        "columns": [(name.removeprefix("test_").replace("_", " "), name) for name in matrix["columns"]],
        "by_format": page_text.both(matrix["by_format"]),
        "rows": rows,
        "chips": ",".join((["hole"] if has_hole else []) + chips),
        "reasons": reasons(matrix),
        "holes": matrix["holes"],
        "failed": matrix["failed"],
    }
