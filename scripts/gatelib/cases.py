"""Which benchmarks the gate measures: patterns of one file, where both commits have the case."""

import fnmatch
from dataclasses import dataclass

from gatelib.child import run
from gatelib.failure import CannotMeasure


REPETITIONS = 15


@dataclass(frozen=True)
class Case:
    name: str
    operations: int  # for --count: the same in every run, so that counts can be compared
    repetitions: int = REPETITIONS  # in a sample of its time


def parse(text, place):
    """[(pattern, operations, repetitions)] of a list of `PATTERN OPERATIONS [REPETITIONS]`, # begins a comment."""
    patterns = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        numbers = [int(word) for word in words[1:] if word.isdecimal()]
        if len(words) not in (2, 3) or len(numbers) != len(words) - 1 or 0 in numbers:
            raise CannotMeasure(f"{place}:{number}: expected PATTERN OPERATIONS [REPETITIONS]: {' '.join(words)}")
        patterns.append((words[0], *(numbers + [REPETITIONS])[:2]))
    if not patterns:
        raise CannotMeasure(f"{place}: no cases")
    return patterns


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            return parse(file.read(), path)
    except OSError as error:
        raise CannotMeasure(f"{path}: {error.strerror}") from error


def listed(side, deadline):
    result = run([side.program, *side.arguments, "--list"], deadline, "listing cases")
    if result.status != 0 or not result.stdout.split():
        raise CannotMeasure(f"{side.name}: {' '.join([side.program, *side.arguments])} --list: {result.tail() or 'no cases'}")
    return result.stdout.split()


def choose(patterns, base_names, head_names, only=()):
    """
    (cases, notes): what both commits have, in the order of the patterns, the first pattern deciding; a note for what
    only one of them has. `only`: further patterns, of which each case must match one.
    """
    cases, notes = {}, []
    for pattern, operations, repetitions in patterns:
        base, head = fnmatch.filter(base_names, pattern), fnmatch.filter(head_names, pattern)
        for name in base:
            if name in head and (not only or any(fnmatch.fnmatchcase(name, each) for each in only)):
                cases.setdefault(name, Case(name, operations, repetitions))
        notes += [f"only in base, not measured: {name}" for name in base if name not in head]
        notes += [f"only in head, not measured: {name}" for name in head if name not in base]
        if not base and not head:
            notes.append(f"in neither commit: {pattern}")
    for each in only:
        if not any(fnmatch.fnmatchcase(name, each) for name in cases):
            raise CannotMeasure(f"--case {each}: matches no case of the list that both commits have")
    if not cases:
        raise CannotMeasure("the commits have no case of the list in common")
    return list(cases.values()), list(dict.fromkeys(notes))
