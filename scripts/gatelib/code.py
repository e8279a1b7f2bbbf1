"""
The first vote: is the machine code of the engine the same? Of core/pt and of core/base below it, in every member of
their libraries: bytes and relocations of .text, read-only tables and initialised data; not strings, not debugging
information. A CHECK carries its line number in .text, so a comment above one is a difference, and is measured.
"""

import hashlib
import os
import re

from gatelib.child import run
from gatelib.failure import CannotMeasure

LIBRARIES = ("mapproof_pt", "mapproof_base")
CODE = re.compile(r"\.(text|rodata|data)(\.|$)")
STRINGS = re.compile(r"\.rodata(\..*)?\.str")
MEMBER = re.compile(r"(\S+):\s+file format ")
HEADING = re.compile(r"(?:Contents of section (\S+):|RELOCATION RECORDS FOR \[(\S+)\]:)$")


def digest(side, deadline):
    """sha256 in hex of a side's engine code. Its libraries must be built."""
    digests = hashlib.sha256()
    found = 0
    for library in LIBRARIES:
        path = os.path.join(side.build, f"lib{library}.a")
        result = run(["objdump", "--full-contents", "--reloc", "--wide", path], deadline, "comparing code")
        if result.status != 0:
            raise CannotMeasure(f"{side.name}: objdump {path}: {result.tail()}")
        for line in code_lines(result.stdout):
            found += line.startswith("section .text")
            digests.update(line.encode() + b"\n")
    if found == 0:
        raise CannotMeasure(f"{side.name}: no code found in {', '.join(LIBRARIES)}")
    return digests.hexdigest()


def code_lines(listing):
    """The lines of objdump's listing that are code, each section under `section NAME` and each member under its own."""
    is_wanted = False
    for line in listing.splitlines():
        member, heading = MEMBER.match(line), HEADING.match(line)
        if member:
            is_wanted = False
            yield f"member {member.group(1)}"
        elif heading:
            name = heading.group(1) or heading.group(2)
            is_wanted = bool(CODE.match(name)) and not STRINGS.match(name)
            if is_wanted:
                yield f"{'section' if heading.group(1) else 'relocations'} {name}"
        elif is_wanted and line.strip():
            # The letters at the end of a contents line repeat its bytes.
            yield line.strip()
