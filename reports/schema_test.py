#!/usr/bin/python3 -B
"""Every file of a result is checked when it is read: one broken value in each, and the message that names its place."""

import os
import re
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from nightlylib import schema  # noqa: E402

FIXTURE = os.path.join(HERE, "fixture")


class FilesTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="mapproof-schema-")
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copytree(FIXTURE, self.folder, dirs_exist_ok=True)

    def path(self, name):
        return os.path.join(self.folder, schema.FILES[name])

    def refused(self, name, change, message):
        """change(value) spoils the file in place; reading the result then says so."""
        value = schema.read_json(self.path(name))
        before = repr(value)
        change(value)
        self.assertNotEqual(repr(value), before)
        schema.write_json(self.path(name), value)
        with self.assertRaises(schema.Invalid) as caught:
            schema.read_result(self.folder)
        self.assertIn(f"{self.path(name)}: {message}", str(caught.exception))

    def test_the_stored_example_has_every_file_and_is_valid(self):
        result = schema.read_result(self.folder)
        self.assertEqual(set(result), {"run", *schema.FILES})

    def test_findings(self):
        self.refused("findings", lambda each: each[1].pop("count"), "[1]: count is None")

    def test_findings_of_an_unknown_kind(self):
        self.refused("findings", lambda each: each[0].update(finding="ODD"), "[0]: finding is 'ODD'")

    def test_findings_out_of_order(self):
        self.refused("findings", lambda each: each.reverse(), "the most severe is not first")

    def test_a_script_outside_the_result(self):
        self.refused("findings", lambda each: each[0].update(script="../x.ops"), "[0]: script is '../x.ops'")

    def test_a_step_without_words(self):
        self.refused("findings", lambda each: each[0]["steps"][2].pop("words"), "[0].steps[2]: words is None")

    def test_a_tier_that_does_not_exist(self):
        self.refused("perf", lambda perf: perf.update(tier="guess"), "tier is 'guess'")

    def test_an_event_that_was_not_counted_but_is_listed(self):
        def change(perf):
            perf["families"][0]["events"]["cycles"] = {"value": "<not supported>", "unit": ""}

        self.refused("perf", change, "families[0].events.cycles: value is '<not supported>'")

    def test_instructions_that_are_no_number(self):
        self.refused("perf", lambda perf: perf["instructions"][1].update(per_op=True), "instructions[1]: per_op is True")

    def test_a_flamegraph_without_samples(self):
        self.refused("perf", lambda perf: perf["flamegraph"].pop("samples"), "flamegraph: samples is None")

    def test_perf_may_have_no_flamegraph(self):
        perf = schema.read_json(self.path("perf"))
        schema.write_json(self.path("perf"), perf | {"flamegraph": None})
        self.assertIsNone(schema.read_result(self.folder)["perf"]["flamegraph"])

    def test_hyperfine_times(self):
        self.refused("hyperfine", lambda it: it["results"][0].update(times=[]), "results[0]: times are no numbers")
        shutil.copy(os.path.join(FIXTURE, "hyperfine.json"), self.folder)
        self.refused("hyperfine", lambda it: it.pop("results"), "results is not a list")

    def test_gate_rates(self):
        self.refused("gate", lambda it: it.pop("date"), "it: date is None")
        shutil.copy(os.path.join(FIXTURE, "gate.json"), self.folder)
        self.refused("gate", lambda it: it["rates"][0]["found"].pop("high"), "rates[0].found: high is None")

    def test_a_matrix(self):
        for change, message in (
            (lambda it: it.pop("columns"), "it: columns is None"),
            (lambda it: it["cells"].pop(), "rows, formats and cells differ in number"),
            (lambda it: it["cells"][1].pop(), "cells[1] has not a cell for each column"),
            (lambda it: it["cells"][0].__setitem__(1, "x"), "cells[0] (amdv1-l2, test_best_pgsize) is 'x'"),
            (lambda it: it["cells"][0].__setitem__(1, -1), "cells[0] (amdv1-l2, test_best_pgsize) is -1"),
            (lambda it: it["cells"][0].__setitem__(1, "-"), "cells[0] (amdv1-l2, test_best_pgsize): '-' without a reason"),
            (lambda it: it["cells"][0].__setitem__(1, 0), "cells[0]: a hole that holes do not list"),
            (lambda it: it["rows"].__setitem__(0, it["rows"][1]), "a row or a column stands twice"),
            (lambda it: it["reasons"][0].pop("reason"), "reasons[0]: reason is None"),
            (lambda it: it["failed"].append(7), "failed[0] is 7"),
        ):
            with self.subTest(message=message):
                self.refused("matrix", change, message)
                shutil.copy(os.path.join(FIXTURE, "matrix.json"), self.folder)

    def test_the_operations_of_a_matrix(self):
        for change, message in (
            (lambda it: it.pop("evidence"), "operations: evidence is None"),
            (lambda it: it["totals"].pop("stores"), "operations.totals: stores is None"),
            (lambda it: it["cells"].pop(), "operations: formats and cells differ in number"),
            (lambda it: it["cells"][1].pop(), "operations: x86_64 has not a row for each operation"),
            (lambda it: it["cells"][0][2].pop(), "operations: amdv1: map_list has not a cell for each evidence"),
            (lambda it: it["cells"][0][0].__setitem__(1, "x"), "operations: amdv1: map: oracle is 'x'"),
            (lambda it: it["cells"][0][0].__setitem__(1, "-"), "operations: amdv1: map: oracle: '-' without a reason"),
            (lambda it: it["cells"][0][0].__setitem__(1, 0), "operations: amdv1: map: oracle: a hole that holes do not list"),
            (lambda it: it["reasons"][0].pop("formats"), "operations.reasons[0]: formats is None"),
        ):
            with self.subTest(message=message):
                self.refused("matrix", lambda it, change=change: change(it["operations"]), message)
                shutil.copy(os.path.join(FIXTURE, "matrix.json"), self.folder)

    def test_a_hole_of_a_matrix_is_valid_where_it_is_listed(self):
        matrix = schema.read_json(self.path("matrix"))
        matrix["cells"][0][1] = 0
        matrix["holes"] += ["amdv1-l2: test_best_pgsize", "other: no configuration"]
        schema.write_json(self.path("matrix"), matrix)
        self.assertEqual(schema.read_result(self.folder)["matrix"], matrix)

    def test_texts_that_are_cut_short(self):
        for name, message in (("metrics", "does not end in # EOF"), ("flamegraph", "not an SVG")):
            schema.write_text(self.path(name), "half")
            with self.assertRaisesRegex(schema.Invalid, message):
                schema.read_result(self.folder)
            shutil.copy(os.path.join(FIXTURE, schema.FILES[name]), self.folder)

    def test_a_file_that_is_named_and_missing(self):
        os.remove(self.path("flamegraph"))
        with self.assertRaisesRegex(schema.Invalid, "flamegraph.svg: No such file"):
            schema.read_result(self.folder)


class PublishedRatesTest(unittest.TestCase):
    """reports/gate-rates.json, as scripts/gate-rates --publish left it."""

    def test_it_says_what_was_measured_where_and_when(self):
        path = os.path.join(HERE, "gate-rates.json")
        gate = schema.read_json(path)
        schema.check_gate(gate, path)
        self.assertRegex(gate["commit"], "^[0-9a-f]{40}$")
        self.assertRegex(gate["date"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertTrue(gate["machine"]["processor"] and gate["machine"]["processors"])
        kinds = {(row["percent"], row["loaded"]): row for row in gate["rates"]}
        self.assertGreaterEqual(kinds[0, False]["decisions"], 100)
        self.assertGreaterEqual(kinds[10, False]["decisions"], 20)
        for row in gate["rates"]:
            self.assertEqual(len(row["ratios"]), row["decisions"])
            self.assertLessEqual(row["found"]["low"], row["found"]["share"])
            self.assertLessEqual(row["found"]["share"], row["found"]["high"])
            self.assertEqual(row["found"]["share"], row["found"]["count"] / row["decisions"])


class DocumentationTest(unittest.TestCase):
    """README.md names every file of a result and every key of the contract."""

    def setUp(self):
        with open(os.path.join(HERE, "README.md"), encoding="utf-8") as file:
            self.text = file.read()

    def test_every_file_is_in_the_table(self):
        for file in ("run.json", "index.html", *schema.FILES.values()):
            self.assertRegex(self.text, rf"(?m)^\| `{re.escape(file)}`", file)

    def test_every_key_is_described(self):
        keys = {*schema.FINDING_KEYS, *schema.FUZZ_KEYS}
        for name in ("run", "perf", "gate", "matrix"):
            path = os.path.join(FIXTURE, f"{name}.json")
            keys |= set(schema.read_json(path))
        for name in ("families", "instructions"):
            keys |= set(schema.read_json(os.path.join(FIXTURE, "perf.json"))[name][0])
        keys |= set(schema.read_json(os.path.join(FIXTURE, "gate.json"))["rates"][0])
        missing = sorted(key for key in keys if f"`{key}`" not in self.text)
        self.assertEqual(missing, [])


if __name__ == "__main__":
    unittest.main()
