"""The matrix part: scripts/matrix asks the tests of the release build what they ran, and on which formats; matrix.json."""

import os

from . import context, schema
from .child import run

SECONDS_LIMIT = 600  # it takes seconds; what hangs ends here


def script_of(root):
    return os.path.join(root, "scripts", "matrix")


def programs(root):
    """Names of the programs that the script runs, each a target of the build; none where it does not say."""
    return context.output_of([script_of(root), "--programs"], root).split()


def are_there(root, build):
    """Whether an earlier build left every program: a quick run then brings them up to date and asks them."""
    names = programs(root)
    return bool(names) and all(os.path.exists(os.path.join(build, name)) for name in names)


def run_part(workplace, build):
    """Write matrix.json, holes or not. Returns the part's entry for run.json."""
    out = workplace.result(schema.FILES["matrix"])
    part = f"{out}.part"
    command = [script_of(workplace.root), "--build", build, "--json", part]
    ended = run(command, workplace.log("matrix.log"), None, SECONDS_LIMIT)
    shown = [workplace.shown(word) for word in command[:3]] + ["--json", "matrix.json"]
    entry = {"seconds": round(ended.seconds, 1), "command": shown}
    if ended.note or ended.status not in (0, 1):
        message = f"{ended.note or f'exit code {ended.status}'}\n{ended.tail()}"
        return entry | {"state": "could-not-run", "message": message}
    try:
        matrix = schema.read_json(part)
        schema.check_matrix(matrix, part)
    except schema.Invalid as error:
        return entry | {"state": "could-not-run", "message": str(error)}
    os.replace(part, out)
    holes = matrix["holes"] + matrix.get("operations", {}).get("holes", [])
    wrong = [f"hole: {each}" for each in holes] + [f"failed: {each}" for each in matrix["failed"]]
    if ended.status == 1 and not wrong:
        return entry | {"state": "could-not-run", "message": f"exit code 1 without a hole\n{ended.tail()}"}
    return entry | {"state": "failed" if wrong else "ok", "message": "\n".join(wrong)}
