#!/usr/bin/python3 -B
"""metrics.txt is OpenMetrics that other programs read: a strict parser, and promtool where it is installed."""

import os
import shutil
import subprocess
import sys
import unittest

from prometheus_client.openmetrics.parser import text_string_to_metric_families

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from nightlylib import metrics, schema  # noqa: E402

FIXTURE = os.path.join(HERE, "fixture")


def parsed(text):
    """{sample name: [(labels, value)]}; raises ValueError on anything that is not OpenMetrics."""
    samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    return samples


class MetricsTest(unittest.TestCase):
    def setUp(self):
        self.result = schema.read_result(FIXTURE)
        self.text = metrics.render(self.result)

    def value(self, name, **labels):
        values = [value for have, value in parsed(self.text)[name] if labels.items() <= have.items()]
        self.assertEqual(len(values), 1, f"{name} {labels}")
        return values[0]

    def test_the_stored_example_is_what_is_written_today(self):
        self.assertEqual(self.result["metrics"], self.text)

    def test_times_are_in_seconds(self):
        self.assertAlmostEqual(self.value("mapproof_bench_cpu_seconds", case="map/amdv1/1x4K/warm"), 25.3001e-9, 20)
        self.assertAlmostEqual(self.value("mapproof_perf_task_clock_seconds", family="map"), 1.4127)
        name = "linux-6.12-vtd-nvme-e1000e.trace.xz/amdv1"
        self.assertEqual(self.value("mapproof_replay_seconds", input=name), 0.359869963)
        self.assertEqual(self.value("mapproof_run_start_timestamp_seconds"), 1769824800)

    def test_every_part_has_its_values(self):
        self.assertEqual(self.value("mapproof_bench_instructions", case="map/amdv1/256x4K/warm"), 1772.2)
        self.assertEqual(self.value("mapproof_fuzz_crashes", target="fuzz_engine"), 0)
        self.assertEqual(self.value("mapproof_finding_occurrences", finding="LOSES DMA"), 4211)
        self.assertEqual(self.value("mapproof_part_is_ok", part="perf"), 1)

    def test_label_values_are_escaped(self):
        nasty = 'a "quoted" \\ back\nslash, {braces} µ'
        self.result["run"]["machine"]["cpu"] = nasty
        self.text = metrics.render(self.result)
        labels, value = parsed(self.text)["mapproof_run_info"][0]
        self.assertEqual((labels["cpu"], value), (nasty, 1))
        self.assertIn(r'cpu="a \"quoted\" \\ back\nslash, {braces} µ"', self.text)

    def test_the_parser_would_refuse_a_mistake(self):
        for old, new in (("# EOF\n", ""), ("_cpu_seconds{", "_cpu_seconds {"), ("# UNIT", "# UNITS")):
            with self.assertRaises(ValueError, msg=old):
                parsed(self.text.replace(old, new))

    def test_a_run_that_has_only_begun_is_valid_too(self):
        text = metrics.render({"run": self.result["run"]})
        self.assertEqual(parsed(text)["mapproof_run_seconds"], [({}, 118.2)])
        self.assertTrue(text.endswith("# EOF\n"))
        self.assertNotIn("mapproof_bench", text)

    def test_promtool_accepts_it(self):
        promtool = os.environ.get("MAPPROOF_PROMTOOL") or shutil.which("promtool")
        if not promtool:
            self.skipTest("no promtool (Debian: prometheus)")
        done = subprocess.run([promtool, "check", "metrics"], input=self.text, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
