"""The gate's own error rates: decisions about builds of which the answer is known."""

import datetime
import os
import random
import time
from collections import namedtuple
from statistics import median

from gatelib import judge, plant, report, statistics
from gatelib.cases import Case
from gatelib.counts import Counter
from gatelib.load import Load
from gatelib.pairs import Sampler

# The cases of each decision: one has the plant, one has not. Few, so that hundreds of decisions end within the hour.
CASES = [
    Case("map/amdv1/256x4K/warm", 1000),
    Case("unmap/amdv1/256x4K/warm", 1000),
]
PAIRS = 20
CALIBRATION_PAIRS = 60
CALIBRATION_ROUNDS = 4
CALIBRATION_MISS = 0.006
FIRST_STEPS_A_PERCENT = 1.4

# percent 0: the same commit built twice, place None. head: the side that is compared with base.
Question = namedtuple("Question", "percent place head")


class Rates:
    def __init__(self, workshop, base, progress):
        self.workshop = workshop
        self.base = base
        self.progress = progress
        self.deadline = workshop.deadline
        self.questions = []
        self.plants = []
        self.counts = {}
        self.decisions = []

    def build(self, percents):
        """The second build of the commit, and one of each place and percentage, calibrated."""
        same = self.workshop.place("head", self.base.commit)
        for side in (self.base, same):
            self._make(side)
        self.questions.append(Question(0, None, same))
        for place in plant.PLACES:
            for percent in percents:
                self.questions.append(self._calibrate(place, percent))
        for question in self.questions:
            folder = os.path.join(self.workshop.folder, "counts")
            counter = Counter(self.base, question.head, folder, self.deadline)
            self.counts[question] = counter.count_all(CASES, self.progress)

    def _make(self, side):
        self.progress.say(f"building {side.name}")
        self.workshop.configure(side)
        self.workshop.build(side, "mapproof-bench")

    def _calibrate(self, place, percent):
        """The number of steps whose measured ratio is nearest to the percentage; at most a few rounds of trying."""
        name = f"{place.name[0]}p{percent:02d}"
        wanted, steps, tried = percent / 100, round(percent * FIRST_STEPS_A_PERCENT), {}
        for _ in range(CALIBRATION_ROUNDS):
            side = self.workshop.place(name, self.base.commit)
            plant.plant(side.tree, place, steps)
            self._make(side)
            tried[steps] = self._ratio(side, place, len(tried))
            slower = tried[steps].ratio - 1
            self.progress.say(f"{place.name}: {steps} steps, {report.interval_text(tried[steps])}")
            if abs(slower - wanted) <= CALIBRATION_MISS:
                break
            following = min(max(round(steps * wanted / max(slower, 0.005)), 1), 4 * steps)
            if following in tried:
                break
            steps = following
        best = min(tried, key=lambda each: abs(tried[each].ratio - 1 - wanted))
        if best != steps or steps not in tried:
            side = self.workshop.place(name, self.base.commit)
            plant.plant(side.tree, place, best)
            self._make(side)
        self.plants.append(
            {
                "percent": percent,
                "place": place.name,
                "file": place.path,
                "case": place.case,
                "multiplications": best,
                "calibrated": report.interval_json(tried[best]),
            }
        )
        return Question(percent, place, side)

    def _ratio(self, side, place, seed):
        sampler = Sampler(self.base, side, self.deadline, self.progress)
        case = next(each for each in CASES if each.name == place.case)
        samples = sampler.collect([case], CALIBRATION_PAIRS, random.Random(seed))
        return statistics.interval(samples[case.name], seed)

    def decide(self, question, is_loaded, seed):
        """One decision on fresh pairs, as scripts/gate makes it; instruction counts are exact and made once."""
        start = time.monotonic()
        sampler, generator = Sampler(self.base, question.head, self.deadline, self.progress), random.Random(seed)
        with Load(is_loaded):
            findings = judge.judge(
                CASES, self.counts[question], lambda some, _: sampler.collect(some, PAIRS, generator), seed
            )
        decision = {
            "percent": question.percent,
            "place": question.place.name if question.place else None,
            "loaded": is_loaded,
            "seed": seed,
            "seconds": round(time.monotonic() - start, 2),
            "load_average": os.getloadavg()[0],
        }
        decision.update(outcome(question, findings))
        self.decisions.append(decision)
        return decision


def outcome(question, findings):
    """What a decision said: found = the case that the plant was calibrated on is a regression (A/A: any case)."""
    asked = [each for each in findings if question.place is None or each.case.name == question.place.case]
    return {
        "ratio": median(each.time.ratio for each in asked),
        "found": any(each.is_regression for each in asked),
        "found_by_time": any(each.verdict == statistics.SLOWER for each in asked),
        "suspected": any(statistics.is_suspect(each.time) for each in asked),
        "cases": [
            {
                "name": each.case.name,
                "verdict": each.verdict,
                "time": report.interval_json(each.time),
                "again": report.interval_json(each.again),
            }
            for each in findings
        ],
    }


def schedule(questions, wanted, generator):
    """
    [(question, is_loaded)], shuffled, so that an hour of trouble on the machine meets every kind alike and stopping
    early leaves a fair part of each. wanted: {(percent, is_loaded): decisions}, divided among the places.
    """
    work = []
    for (percent, is_loaded), count in wanted.items():
        having = [each for each in questions if each.percent == percent]
        work += [(having[index % len(having)], is_loaded) for index in range(count)]
    generator.shuffle(work)
    return work


def summary(decisions):
    """A row for each percentage with and without load."""
    rows = []
    for percent, is_loaded in sorted({(each["percent"], each["loaded"]) for each in decisions}):
        some = [each for each in decisions if (each["percent"], each["loaded"]) == (percent, is_loaded)]
        row = {"percent": percent, "loaded": is_loaded, "decisions": len(some)}
        row["ratio"] = median([each["ratio"] for each in some])
        for key in ("found", "found_by_time", "suspected"):
            hits = sum(each[key] for each in some)
            share, low, high = statistics.rate(hits, len(some))
            row[key] = {"count": hits, "share": share, "low": low, "high": high}
        rows.append(row)
    return rows


def date_of(seconds):
    """UTC, ISO 8601, of seconds since 1970."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def publication(document):
    """What is kept in the tree: all but the single decisions, of which each row has the ratios and the load."""
    kept = {key: value for key, value in document.items() if key != "decisions"}
    kept["rates"] = []
    for row in document["rates"]:
        kind = (row["percent"], row["loaded"])
        some = [each for each in document["decisions"] if (each["percent"], each["loaded"]) == kind]
        loads = [each["load_average"] for each in some]
        details = {"ratios": sorted(round(each["ratio"], 4) for each in some), "load_average": round(median(loads), 2)}
        kept["rates"].append(row | details)
    return kept
