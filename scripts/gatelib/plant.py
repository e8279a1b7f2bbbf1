"""
Slowdowns planted on purpose into a worktree's core/pt, to measure whether the gate finds them. A chain of dependent
multiplications goes to the start of an operation, and the operation's first address waits for its result: work that
the processor cannot put off until idle units are left. Its length is calibrated per place.
"""

import os
from dataclasses import dataclass

from gatelib.failure import CannotMeasure


@dataclass(frozen=True)
class Place:
    """Where: the line before which the chain goes, in which file, and the case it is calibrated on."""

    name: str
    path: str
    anchor: str
    address: str
    case: str


PLACES = (
    Place(
        "map",
        "core/pt/pt_map.inc.h",
        "    struct span span = { start.value, target.value, length, 0 };\n",
        "start.value",
        "map/amdv1/256x4K/warm",
    ),
    Place(
        "unmap",
        "core/pt/pt_unmap.inc.h",
        "    const struct clearing clearing = { start.value, start.value + length - 1, &freed, waiting };\n",
        "start.value",
        "unmap/amdv1/256x4K/warm",
    ),
)

CHAIN = """    {{
        uint64_t planted = {address};

        for (unsigned i = 0; i < {steps}u; i++) {{
            planted *= 0x9e3779b97f4a7c15u;
            __asm__ volatile("" : "+r"(planted)); /* each step is done, one after the other */
        }}
        __asm__ volatile("andq $0, %0" : "+r"(planted) : : "cc"); /* zero, but only when the chain has ended */
        {address} += planted;
    }}
"""


def plant(tree, place, steps):
    """Put a chain of `steps` multiplications into a worktree that has none."""
    path = os.path.join(tree, place.path)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise CannotMeasure(f"{path}: {error.strerror}") from error
    if text.count(place.anchor) != 1:
        raise CannotMeasure(f"{place.path}: the line to plant before is there {text.count(place.anchor)} times")
    chain = CHAIN.format(address=place.address, steps=steps)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(place.anchor, chain + place.anchor))
