"""scripts/gate: its rules, on numbers whose answer is known. Nothing here judges a time; gate_run_test.py runs it."""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import numpy

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from gatelib import cases, child, code, judge, pairs, plant, rates, report, statistics  # noqa: E402
from gatelib.counts import by_function  # noqa: E402
from gatelib.failure import CannotMeasure  # noqa: E402
from gatelib.statistics import Count, Interval  # noqa: E402

CASE = cases.Case("map/amdv1/256x4K/warm", 1000)
OTHER = cases.Case("lookup/amdv1/random_1GiB_of_4K/warm", 2000)
SAME_COUNT = Count(1770000, 1770000, 1000)


def draw(ratio, generator, spread=0.01, count=20):
    """Pairs whose ratios scatter around `ratio`, while both sides wander together by 30 %, as on a shared machine."""
    base = 100 * generator.uniform(1, 1.3, count)
    return list(zip(base, base * ratio * numpy.exp(generator.normal(0, spread, count))))


class IntervalTest(unittest.TestCase):
    def test_it_agrees_with_order_statistics(self):
        """For 20 pairs the exact 99 % interval of a median runs from the 4th to the 17th value."""
        generator = numpy.random.default_rng(1)
        for seed in range(20):
            sample = draw(1.1, generator, 0.05)
            ratios = sorted(head / base for base, head in sample)
            found = statistics.interval(sample, seed)
            self.assertAlmostEqual(found.ratio, (ratios[9] + ratios[10]) / 2, places=12)
            self.assertTrue(ratios[2] <= found.low <= ratios[5], (found, ratios))
            self.assertTrue(ratios[14] <= found.high <= ratios[17], (found, ratios))

    def test_it_covers_the_truth(self):
        """99 % of the time by its name; the bootstrap of 20 values gives a little less."""
        generator = numpy.random.default_rng(2)
        hits = 0
        for seed in range(150):
            found = statistics.interval(draw(1.0, generator, 0.03), seed)
            hits += found.low <= 1.0 <= found.high
        self.assertGreaterEqual(hits, 144)
        self.assertLess(statistics.interval(draw(1.0, generator, 0.03), 0).high, 1.05)

    def test_equal_ratios_make_a_point(self):
        self.assertEqual(statistics.interval([(10, 11)] * 20, 1), Interval(1.1, 1.1, 1.1, 20))

    def test_the_same_seed_gives_the_same_interval(self):
        sample = draw(1.0, numpy.random.default_rng(3))
        self.assertEqual(statistics.interval(sample, 7), statistics.interval(sample, 7))

    def test_too_few_pairs_and_impossible_times_are_refused(self):
        for sample in ([(1, 1)] * 19, [(0, 1)] * 20, [(1, float("nan"))] * 20):
            with self.assertRaises(ValueError):
                statistics.interval(sample, 1)

    def test_rates_come_with_their_exact_interval(self):
        self.assertAlmostEqual(statistics.rate(0, 100)[2], 1 - 0.025 ** (1 / 100))
        self.assertAlmostEqual(statistics.rate(20, 20)[1], 0.025 ** (1 / 20))
        self.assertEqual(statistics.rate(0, 0), (None, 0.0, 1.0))


class RuleTest(unittest.TestCase):
    def verdict(self, low, again=None, count=SAME_COUNT, width=0.02):
        second = None if again is None else Interval(again + 0.01, again, again + 0.02, 20)
        return statistics.verdict(Interval(low + width / 2, low, low + width, 20), second, count)

    def test_slower_needs_both_sets_above_the_dead_band(self):
        self.assertEqual(self.verdict(1.031, 1.031), statistics.SLOWER)
        self.assertEqual(self.verdict(1.031, 1.030), statistics.UNCONFIRMED)
        self.assertEqual(self.verdict(1.030), statistics.SAME)

    def test_more_instructions_need_an_interval_above_one(self):
        risen = Count(1000000, 1100000, 1000)
        self.assertEqual(self.verdict(1.001, count=risen), statistics.INSTRUCTIONS)
        self.assertEqual(self.verdict(1.000, count=risen), statistics.WARNING)
        self.assertEqual(self.verdict(1.031, 1.0, count=risen), statistics.INSTRUCTIONS)

    def test_faster_is_beyond_the_dead_band(self):
        self.assertEqual(self.verdict(0.93), statistics.FASTER)
        self.assertEqual(self.verdict(0.96), statistics.SAME)

    def test_instructions_rise_beyond_one_percent_and_three_an_operation(self):
        for base, head, risen in ((100, 103, False), (100, 104, True), (1000, 1010, False), (1000, 1011, True), (9, 5, False)):
            self.assertEqual(Count(base * 50, head * 50, 50).has_risen, risen, (base, head))

    def test_an_open_question_is_one_that_more_pairs_could_answer(self):
        risen = Count(1000, 2000, 10)
        for low, high, count, is_open in (
            (0.99, 1.02, SAME_COUNT, False),
            (0.99, 1.05, SAME_COUNT, True),
            (1.04, 1.05, SAME_COUNT, False),
            (0.99, 1.02, risen, True),
            (1.01, 1.02, risen, False),
            (0.90, 0.99, risen, False),
        ):
            self.assertEqual(statistics.is_open(Interval(1.0, low, high, 20), count), is_open, (low, high))


class JudgeTest(unittest.TestCase):
    """Whole decisions on drawn samples: each call of collect takes the next ratio of the case's list."""

    def decide(self, spread=0.01, counts=None, **ratios):
        """Ratios of CASE set by set, OTHER always 1. The finding of CASE, and how often each case was measured."""
        generator, calls = numpy.random.default_rng(5), {CASE.name: 0, OTHER.name: 0}

        def collect(some, _why):
            samples = {}
            for case in some:
                planned = ratios["sets"] if case == CASE else [1.0]
                samples[case.name] = draw(planned[min(calls[case.name], len(planned) - 1)], generator, spread)
                calls[case.name] += 1
            return samples

        counts = counts or {CASE.name: SAME_COUNT, OTHER.name: SAME_COUNT}
        findings = judge.judge([CASE, OTHER], counts, collect, 1)
        self.assertEqual([each.case for each in findings], [CASE, OTHER])
        self.assertFalse(findings[1].is_regression)
        return findings[0], calls

    def test_a_clear_regression_is_measured_twice_and_fails(self):
        finding, calls = self.decide(sets=[1.10, 1.10])
        self.assertEqual((finding.verdict, finding.is_regression), (statistics.SLOWER, True))
        self.assertEqual(calls, {CASE.name: 2, OTHER.name: 1})

    def test_a_regression_in_the_first_set_only_passes(self):
        finding, calls = self.decide(sets=[1.10, 1.00])
        self.assertEqual((finding.verdict, finding.is_regression), (statistics.UNCONFIRMED, False))
        self.assertEqual(calls[CASE.name], 2)

    def test_the_second_set_uses_no_pair_of_the_first(self):
        finding, _ = self.decide(sets=[1.10, 1.20])
        self.assertEqual((finding.time.pairs, finding.again.pairs), (20, 20))
        self.assertFalse(set(finding.samples["first"]) & set(finding.samples["second"]))
        self.assertGreater(finding.again.low, 1.15)

    def test_a_wide_interval_is_measured_longer_and_passes(self):
        finding, calls = self.decide(sets=[1.02], spread=0.5)
        self.assertEqual((finding.verdict, finding.time.pairs), (statistics.SAME, 80))
        self.assertEqual(calls[CASE.name], 4)

    def test_without_time_for_more_pairs_an_open_case_passes(self):
        generator = numpy.random.default_rng(6)
        asked = []

        def collect(some, why):
            asked.append(why)
            return None if why == judge.OPEN else {case.name: draw(1.02, generator, 0.5) for case in some}

        finding = judge.judge([CASE], {CASE.name: SAME_COUNT}, collect, 1)[0]
        self.assertEqual((finding.verdict, finding.time.pairs), (statistics.SAME, 20))
        self.assertEqual(asked, [judge.EVERY, judge.OPEN])

    def test_a_small_slowdown_passes(self):
        finding, _ = self.decide(sets=[1.02], spread=0.002)
        self.assertEqual((finding.verdict, finding.time.pairs), (statistics.SAME, 20))

    def test_a_small_slowdown_with_more_instructions_fails(self):
        counts = {CASE.name: Count(1770000, 1870000, 1000), OTHER.name: SAME_COUNT}
        finding, _ = self.decide(sets=[1.02], spread=0.002, counts=counts)
        self.assertEqual(finding.verdict, statistics.INSTRUCTIONS)

    def test_the_same_twice_passes(self):
        finding, calls = self.decide(sets=[1.0])
        self.assertEqual((finding.verdict, calls[CASE.name]), (statistics.SAME, 1))


class ReadingTest(unittest.TestCase):
    def test_a_case_list_is_patterns_and_counts(self):
        found = cases.parse("# a comment\nmap/*/x 10 # why\n\nunmap/y 3 4\n", "list")
        self.assertEqual(found, [("map/*/x", 10, 15), ("unmap/y", 3, 4)])

    def test_a_bad_case_list_names_its_line(self):
        for text, words in (("a\n", "list:1: "), ("a 1\nb 0\n", "list:2: "), ("a 1 2 3\n", "list:1: "), ("a 1 b\n", "list:1: "), ("#\n", "no cases")):
            with self.assertRaisesRegex(CannotMeasure, words):
                cases.parse(text, "list")

    def test_only_what_both_commits_have_is_measured(self):
        patterns = [("map/*", 5, 2), ("map/a", 7, 3), ("gone", 1, 1)]
        chosen, notes = cases.choose(patterns, ["map/a", "map/b"], ["map/c", "map/a"])
        self.assertEqual(chosen, [cases.Case("map/a", 5, 2)])
        self.assertEqual(
            notes, ["only in base, not measured: map/b", "only in head, not measured: map/c", "in neither commit: gone"]
        )

    def test_nothing_in_common_is_no_pass(self):
        with self.assertRaisesRegex(CannotMeasure, "no case of the list in common"):
            cases.choose([("map/*", 5, 2)], ["map/a"], ["map/b"])
        with self.assertRaisesRegex(CannotMeasure, "--case nope: matches no case"):
            cases.choose([("map/*", 5, 2)], ["map/a"], ["map/a"], ["nope"])

    def test_the_case_list_is_one_of_this_benchmark(self):
        patterns = cases.load(os.path.join(HERE, "gate_cases.txt"))
        program = os.environ.get("MAPPROOF_GATE_BENCH")
        if not program:
            self.skipTest("no mapproof-bench in this build")
        names = subprocess.run([program, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        has_vector = any(name.endswith("-vector") for name in names)
        wanted = [each for each in patterns if has_vector or not each[0].endswith("-vector")]
        chosen, notes = cases.choose(wanted, names, names)
        self.assertEqual(notes, [])
        for each in rates.CASES:
            self.assertIn(each, chosen)

    def bench_json(self, times, **changes):
        each = {"run_name": "c", "run_type": "iteration", "time_unit": "us", **changes}
        return json.dumps({"benchmarks": [{**each, "cpu_time": time} for time in times]})

    def test_a_sample_is_the_lower_third_of_the_repetitions_in_ns(self):
        self.assertEqual(pairs.lower_third_ns(self.bench_json(range(15, 0, -1)), cases.Case("c", 1)), 6000.0)

    def test_missing_failed_and_foreign_repetitions_are_no_sample(self):
        ones = [1] * cases.REPETITIONS
        for text in (
            self.bench_json(ones[1:]),
            self.bench_json(ones, error_occurred=True),
            self.bench_json(ones, run_name="d"),
            self.bench_json([0] + ones[1:]),
            self.bench_json(ones, time_unit="h"),
            "{}",
            "nonsense",
        ):
            with self.assertRaises(CannotMeasure):
                pairs.lower_third_ns(text, cases.Case("c", 1))

    def test_half_of_the_pairs_begin_with_base(self):
        orders = pairs.balanced(24, random.Random(1))
        self.assertEqual(orders.count(("base", "head")), 12)
        self.assertEqual(orders.count(("head", "base")), 12)
        self.assertNotEqual(orders, sorted(orders))
        self.assertEqual(orders, pairs.balanced(24, random.Random(1)))

    def test_code_is_text_tables_and_their_relocations(self):
        listing = "\n".join(
            (
                "pt.c.o:     file format elf64-x86-64",
                "Contents of section .text:",
                " 0000 c3",
                "Contents of section .debug_info:",
                " 0000 01",
                "Contents of section .rodata.str1.1:",
                " 0000 02",
                "Contents of section .rodata:",
                " 0000 03",
                "RELOCATION RECORDS FOR [.text]:",
                "OFFSET TYPE VALUE",
                "RELOCATION RECORDS FOR [.debug_line]:",
                "x",
            )
        )
        wanted = ["member pt.c.o", "section .text", "0000 c3", "section .rodata", "0000 03"]
        wanted += ["relocations .text", "OFFSET TYPE VALUE"]
        self.assertEqual(list(code.code_lines(listing)), wanted)

    def test_callgrind_lists_are_read_with_and_without_an_object(self):
        text = "21,462 (100.0%)  PROGRAM TOTALS\n  934 ( 4.3%)  /b/build-head/./pt/a.h:map [/b/bench]\n2,000 (9.1%)  pt/b.h:map\n"
        self.assertEqual(by_function(text), {"pt/a.h:map": 934, "pt/b.h:map": 2000})


def is_running(process):
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ends_soon(process):
    """It was killed; on a busy machine it takes a moment to be gone. Left alone it would sleep for 50 s."""
    deadline = time.monotonic() + 20
    while is_running(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_running(process)


class ChildTest(unittest.TestCase):
    def test_a_child_that_outlives_the_budget_is_ended_with_its_children(self):
        with tempfile.NamedTemporaryFile(prefix="mapproof-gate-", mode="r") as file:
            command = ["sh", "-c", 'sleep 50 & echo $! >"$0"; wait', file.name]
            with self.assertRaisesRegex(CannotMeasure, "the budget of 1 s was used up while sleeping; give --budget"):
                child.run(command, child.Deadline(1), "sleeping")
            self.assertTrue(ends_soon(int(file.read())))

    def test_a_program_that_is_not_there_is_named(self):
        with self.assertRaisesRegex(CannotMeasure, "no-such-program: No such file"):
            child.run(["no-such-program"], child.Deadline(10), "looking")


class TableTest(unittest.TestCase):
    def finding(self, verdict, **more):
        time = Interval(1.1, 1.08, 1.12, 24)
        again = time if verdict == statistics.SLOWER else None
        return judge.Finding(CASE, time, again, Count(1770000, 1870000, 1000), verdict, {}, **more)

    def test_a_regression_comes_with_all_that_is_known(self):
        finding = self.finding(statistics.SLOWER, functions=[("core/pt/pt_map.inc.h:amdv1_map_range", 100.0)])
        text = report.table([finding], lambda case: f"COMMAND {case.name}")
        for words in (
            "map/amdv1/256x4K/warm  1.100  [1.080, 1.120]  1770.0 -> 1870.0 (+5.6%)  SLOWER, in two sets of pairs",
            "    second set: 1.100  [1.080, 1.120]",
            "    +100.0 instructions per op  core/pt/pt_map.inc.h:amdv1_map_range",
            "    repeat: COMMAND map/amdv1/256x4K/warm",
        ):
            self.assertIn(words, text.splitlines())

    def test_regressions_stand_first(self):
        good = judge.Finding(OTHER, Interval(1, 1, 1, 24), None, SAME_COUNT, statistics.SAME)
        lines = report.table([good, self.finding(statistics.INSTRUCTIONS)], str).splitlines()
        self.assertTrue(lines[1].startswith(CASE.name) and lines[-1].startswith(OTHER.name), lines)
        self.assertTrue(lines[-1].endswith("1770.0"), "nothing follows where there is nothing to say")


class RatesTest(unittest.TestCase):
    def decision(self, found, percent=10):
        return dict(percent=percent, loaded=False, found=found, found_by_time=False, suspected=found, ratio=1.1)

    def test_rates_count_what_was_decided(self):
        rows = rates.summary([self.decision(True)] * 3 + [self.decision(False)] + [self.decision(False, 0)] * 2)
        self.assertEqual([(row["percent"], row["decisions"], row["found"]["count"]) for row in rows], [(0, 2, 0), (10, 4, 3)])
        self.assertEqual(rows[1]["found"]["share"], 0.75)

    def test_what_is_published_has_the_ratios_and_not_every_decision(self):
        decisions = [self.decision(True) | {"load_average": load, "ratio": 1 + load / 50} for load in (5.0, 1.0, 2.0)]
        document = {"commit": "c", "decisions": decisions, "rates": rates.summary(decisions)}
        published = rates.publication(document)
        self.assertEqual(sorted(published), ["commit", "rates"])
        self.assertEqual(published["rates"][0]["ratios"], [1.02, 1.04, 1.1])
        self.assertEqual((published["rates"][0]["load_average"], published["rates"][0]["found"]["count"]), (2.0, 3))
        self.assertIn("decisions", document)
        self.assertEqual(rates.date_of(1795377295), "2026-11-22T19:54:55Z")

    def test_a_plant_found_in_another_case_only_is_not_found(self):
        place = plant.PLACES[0]
        slow, fine = Interval(1.1, 1.08, 1.12, 20), Interval(1.0, 0.99, 1.01, 20)
        planted, other = cases.Case(place.case, 1), cases.Case("other", 1)
        findings = [judge.Finding(planted, fine, None, SAME_COUNT, statistics.SAME)]
        findings += [judge.Finding(other, slow, slow, SAME_COUNT, statistics.SLOWER)]
        self.assertFalse(rates.outcome(rates.Question(10, place, None), findings)["found"])
        self.assertTrue(rates.outcome(rates.Question(0, None, None), findings)["found"], "A/A: any is a false alarm")

    def test_the_schedule_has_what_was_wanted(self):
        questions = [rates.Question(0, None, "a"), rates.Question(10, "map", "b"), rates.Question(10, "unmap", "c")]
        work = rates.schedule(questions, {(0, False): 5, (10, True): 4}, random.Random(1))
        self.assertEqual((work.count((questions[0], False)), work.count((questions[1], True)), len(work)), (5, 2, 9))

    def test_plants_fit_the_engine(self):
        for place in plant.PLACES:
            with tempfile.TemporaryDirectory(prefix="mapproof-plant-") as tree:
                target = os.path.join(tree, place.path)
                os.makedirs(os.path.dirname(target))
                shutil.copy(os.path.join(os.path.dirname(HERE), place.path), target)
                plant.plant(tree, place, 14)
                with open(target, encoding="utf-8") as file:
                    self.assertIn("i < 14u", file.read())


if __name__ == "__main__":
    unittest.main()
