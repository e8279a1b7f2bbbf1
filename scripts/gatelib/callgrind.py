"""How an exact instruction count is made: of the operations alone, without set-up and verification."""

import re

COLLECTED = re.compile(r"Collected : ([0-9]+)")


def command(program, case, operations, out, arguments=()):
    """Counts `operations` operations of a case of mapproof-bench; the profile goes to the file `out`."""
    valgrind = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={out}"]
    return valgrind + [program, *arguments, "--count", str(operations), case]


def collected(text):
    """Instructions, of what valgrind wrote; None where it counted nothing."""
    found = COLLECTED.search(text)
    return int(found.group(1)) or None if found else None
