"""Rules of the gate: from numbers to a verdict. Measures nothing."""

from dataclasses import dataclass

import numpy
import scipy.stats

LEVEL = 0.99
RESAMPLES = 9999
PAIRS_MIN = 20
# Slower than this with certainty, twice, is a regression. Two builds of one commit differ by less (gate-rates).
DEAD_BAND = 1.03
# More instructions than max(1 %, 3 an operation): less is what a compiler's mood makes.
INSTRUCTIONS_RATIO = 0.01
INSTRUCTIONS_PER_OPERATION = 3.0

SLOWER = "slower"  # the time vote, twice
INSTRUCTIONS = "instructions"  # more of them, and slower beyond doubt
WARNING = "warning"  # more instructions, but no time that shows it
UNCONFIRMED = "unconfirmed"  # slower in the first set, not in the second
FASTER = "faster"  # the whole interval below 1 / 1.03
SAME = "same"
REGRESSIONS = (SLOWER, INSTRUCTIONS)


@dataclass(frozen=True)
class Interval:
    """Median of paired ratios head/base and its 99 % interval."""

    ratio: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Count:
    """Instructions of `operations` operations on each side."""

    base: int
    head: int
    operations: int

    @property
    def base_each(self):
        return self.base / self.operations

    @property
    def head_each(self):
        return self.head / self.operations

    @property
    def has_risen(self):
        allowed = max(INSTRUCTIONS_RATIO * self.base_each, INSTRUCTIONS_PER_OPERATION)
        return self.head_each - self.base_each > allowed


def interval(pairs, seed):
    """The Interval of [(base, head)], by bootstrap over the pairs (percentiles of the resampled medians)."""
    base, head = numpy.array(pairs, dtype=float).T
    if len(pairs) < PAIRS_MIN:
        raise ValueError(f"{len(pairs)} pairs, at least {PAIRS_MIN}")
    if not (numpy.all(numpy.isfinite(base)) and numpy.all(numpy.isfinite(head)) and base.min() > 0 and head.min() > 0):
        raise ValueError("times must be positive")
    ratios = head / base
    if numpy.all(ratios == ratios[0]):
        return Interval(float(ratios[0]), float(ratios[0]), float(ratios[0]), len(pairs))
    found = scipy.stats.bootstrap(
        (ratios,), numpy.median, confidence_level=LEVEL, n_resamples=RESAMPLES, method="percentile", random_state=seed
    ).confidence_interval
    return Interval(float(numpy.median(ratios)), float(found.low), float(found.high), len(pairs))


def is_suspect(time):
    """Slow enough in one set to ask a second."""
    return time.low > DEAD_BAND


def is_open(time, count):
    """Whether more pairs could change the answer: the interval neither excludes a regression nor shows one."""
    return time.low <= DEAD_BAND < time.high or (count.has_risen and time.low <= 1.0 < time.high)


def verdict(time, again, count):
    """One word of those above. `again`: the Interval of the second set, None if the first was no suspect."""
    if is_suspect(time) and again is not None and is_suspect(again):
        return SLOWER
    if count.has_risen:
        return INSTRUCTIONS if time.low > 1.0 else WARNING
    if is_suspect(time):
        return UNCONFIRMED
    return FASTER if time.high < 1 / DEAD_BAND else SAME


def rate(successes, trials):
    """(share, low, high): with the exact 95 % interval of a binomial share."""
    if trials == 0:
        return (None, 0.0, 1.0)
    found = scipy.stats.binomtest(successes, trials).proportion_ci(0.95, "exact")
    return (successes / trials, float(found.low), float(found.high))
