#!/usr/bin/python3 -B
"""The page as text: numbers are those of the JSON, no hole in a table, nothing loaded, whatever a result brings in."""

import base64
import copy
import hashlib
import json
import os
import re
import unittest

from nightlylib import bench, chart, page, page_cases, page_findings, page_history, page_matrix, page_scale, page_text, schema
from result_case import HistoryCase, Page, ResultCase, squeeze

THIN = "\u202f"
# What would end a script element, an attribute, a text, a comment, a template.
HOSTILE = "</script><script>alert(1)</script><!--\"'`${x}&amp;{{y}}"


class CaseTableTest(ResultCase):
    def test_every_measured_case_has_a_row_without_an_empty_cell(self):
        rows = self.rows(self.render()[2])
        for entry in self.result["bench"]["benchmarks"]:
            self.assertIn(entry["name"], rows)
            self.assertTrue(all(rows[entry["name"]]), rows[entry["name"]])

    def test_no_row_of_any_table_has_a_hole(self):
        for row in Page(self.render()[2]).rows:
            self.assertTrue(all(row[1:]), row)

    def test_figures_and_ratios_are_those_of_the_json(self):
        rows = self.rows(self.render()[2])
        ns = {entry["name"]: entry["cpu_time"] for entry in self.result["bench"]["benchmarks"]}
        for name, limit, unit in (
            ("map/amdv1/256x4K/warm", "limit/store_2KiB", "2 KiB"),
            ("map/amdv1/256x4K/warm-vector", "limit/store_2KiB", "2 KiB"),
            ("unmap/amdv1/256x4K/warm", "limit/store_2KiB", "2 KiB"),
            ("map/amdv1/1x1M/warm", "limit/store_2KiB", "2 KiB"),
            ("map/amdv1/1GiB_as_4K/warm", "limit/store_2MiB", "2 MiB"),
        ):
            self.assertEqual(rows[name][1].replace(THIN, ""), f"{ns[name]:.0f}")
            self.assertEqual(rows[name][3].replace(THIN, " "), f"{ns[name] / ns[limit]:.2f} of {unit}")
        self.assertEqual(rows["map/amdv1/1x4K/warm"][3], "no limit")
        self.assertEqual(float(rows["map/amdv1/256x4K/warm"][2]), round(ns["map/amdv1/256x4K/warm"] / 256, 3))

    def test_a_case_has_a_limit_only_if_it_writes_as_many_bytes(self):
        self.assertEqual(page_cases.limit_name("map/amdv1/1x1M/cold"), "limit/store_2KiB")  # one leaf of 256 items
        self.assertEqual(page_cases.limit_name("map/x86_64/1x1M/warm"), "limit/store_2KiB")  # 256 leaves
        self.assertEqual(page_cases.limit_name("unmap/x86_64/1GiB_as_4K/warm-vector"), "limit/store_2MiB")
        for name in ("map/armv8_s2_16k/1x1M/warm", "map/amdv1/1x2M/warm", "map/amdv1/1GiB_as_2M/warm", "limit/store_2KiB"):
            self.assertIsNone(page_cases.limit_name(name))

    def test_a_limit_that_was_not_measured_is_said_and_not_guessed(self):
        def without_limit(value):
            value["benchmarks"] = [each for each in value["benchmarks"] if each["name"] != "limit/store_2MiB"]

        self.change("bench", without_limit)
        text = self.render()[2]
        self.assertEqual(self.rows(text)["map/amdv1/1GiB_as_4K/warm"][3], "limit not measured")
        self.assertIn("Not measured in this run: limit/store_2MiB", text)

    def test_time_units_become_nanoseconds(self):
        def microseconds(value):
            for entry in value["benchmarks"]:
                if entry["name"] == "map/amdv1/1x4K/warm":
                    entry["cpu_time"], entry["time_unit"] = entry["cpu_time"] / 1000, "us"

        self.change("bench", microseconds)
        before, after = bench.figures(self.result["bench"]), bench.figures(schema.read_result(self.folder)["bench"])
        self.assertAlmostEqual(before["map/amdv1/1x4K/warm"]["cpu_time_ns"], after["map/amdv1/1x4K/warm"]["cpu_time_ns"])

    def test_repetitions_give_their_median_and_aggregates_are_left_out(self):
        entry = {"name": "map/amdv1/1x4K/warm", "run_type": "iteration", "time_unit": "ns", "cpu_time": 1.0}
        entries = [{**entry, "repetition_index": i, "cpu_time": ns} for i, ns in enumerate((30.0, 10.0, 12.0))]
        entries.append({**entry, "name": "map/amdv1/1x4K/warm_mean", "run_type": "aggregate", "cpu_time": 17.3})
        figures = bench.figures({"benchmarks": entries})
        self.assertEqual(list(figures), ["map/amdv1/1x4K/warm"])
        self.assertEqual(figures["map/amdv1/1x4K/warm"]["cpu_time_ns"], 12.0)
        self.assertEqual(figures["map/amdv1/1x4K/warm"]["repetitions"], 3)

    def test_a_sweep_of_sizes_becomes_a_chart_with_the_limit_line(self):
        def sweep(value):
            entry = copy.deepcopy(value["benchmarks"][0])
            for shift in range(13, 31):
                name = f"map/amdv1/1x{chart.size_text(shift)}/warm"
                if name != "map/amdv1/1x1M/warm":
                    value["benchmarks"].append({**entry, "name": name, "cpu_time": 20.0 + shift})

        self.change("bench", sweep)
        parsed = Page(self.render()[2])
        largest, small, limit = parsed.charts["sweep-map"]["series"]
        self.assertEqual(len(largest["points"]), 19)
        self.assertIn([1 << 30, 50.0], largest["points"])
        self.assertEqual([size for size, _ in small["points"]], [1 << 12, 1 << 20, 1 << 30])
        ns = {entry["name"]: entry["cpu_time"] for entry in self.result["bench"]["benchmarks"]}
        self.assertEqual(limit["points"], [[1 << 20, ns["limit/store_2KiB"]], [1 << 30, ns["limit/store_2MiB"]]])

    def test_a_seventh_format_begins_with_the_first_colour_again(self):
        figures = {f"map/f{index}/1x{size}/warm": {"cpu_time_ns": 1.0} for index in range(7) for size in ("4K", "8K", "16K", "32K", "64K")}
        series = page_cases.sweep_charts(figures)[0]["series"]
        self.assertEqual([each["colour"] for each in series], [0, 1, 2, 3, 4, 5, 0])

    def test_numbers_keep_three_digits(self):
        shown = [page_text.number(value) for value in (0, 0.49, 8.7, 25.3, 160.82, 186925.3, 812345)]
        self.assertEqual(shown, ["0", "0.490", "8.70", "25.3", "161", f"186{THIN}925", f"812{THIN}345"])
        shown = [page_text.nanoseconds(value) for value in (9.5, 999, 1420, 113680, 7.911e6, 1.2e9)]
        self.assertEqual([text.replace(THIN, " ") for text in shown], ["9.50 ns", "999 ns", "1.42 \u00b5s", "114 \u00b5s", "7.91 ms", "1.20 s"])

    def test_shares_are_never_rounded_to_all_or_nothing(self):
        shown = [page_text.share(value).replace(THIN, " ") for value in (0, 0.65, 0.998, 0.9999, 0.002, 0.00021, 1)]
        self.assertEqual(shown, ["0 %", "65 %", "99.8 %", "99.99 %", "0.2 %", "0.02 %", "100 %"])


class ScaleTest(ResultCase):
    def with_cases(self, ns_of_leaf, formats=("amdv1",), without=None):
        """The result with scale cases of two sizes and stores: 0.2 ns an item of 2 KiB, 0.4 of 32 MiB."""

        def change(value):
            entry = copy.deepcopy(value["benchmarks"][0])
            added = {f"scale/{format}/map_{size}/warm": (ns * leaves, leaves) for format in formats
                     for (size, leaves), ns in zip((("1MiB", 256), ("16GiB", 1 << 22)), ns_of_leaf)}
            added |= {"limit/store_2KiB_scalar": (51.2, 0), "limit/store_32MiB_scalar": (0.4 * (1 << 22), 0)}
            value["benchmarks"] = [each for each in value["benchmarks"] if each["name"] not in added]
            for name, (ns, leaves) in added.items():
                if name != without:
                    value["benchmarks"].append({**entry, "name": name, "run_name": name, "cpu_time": ns, "leaves": leaves, "ns_per_leaf": ns / leaves if leaves else 0})

        self.change("bench", change)
        return page_scale.view(bench.figures(schema.read_result(self.folder)["bench"]))

    def test_a_leaf_may_rise_as_much_as_stores_and_half_more(self):
        shown = self.with_cases((0.5, 1.49))  # 2.98 times, stores twice: 1.49
        self.assertTrue(shown["is_flat"])
        self.assertIn("1 of 1 format flat within 1.5 of plain stores; least flat: amdv1, 1.49 at 16 GiB", shown["sentence"])
        shown = self.with_cases((0.5, 1.51))
        self.assertFalse(shown["is_flat"])
        self.assertIn("0 of 1 format flat", shown["sentence"])

    def test_without_stores_of_equal_bytes_nothing_is_judged(self):
        shown = self.with_cases((0.5, 0.6), without="limit/store_32MiB_scalar")
        self.assertIsNone(shown["is_flat"])
        self.assertEqual(shown["sentence"], "")
        self.assertIsNone(page_scale.view({"limit/store_2KiB": {"cpu_time_ns": 1.0}}))

    def test_the_page_has_every_size_and_format(self):
        self.with_cases((0.5, 1.0), formats=("amdv1", "x86_64"))
        text = self.render()[2]
        rows = [row for row in Page(text).rows if row[0] in ("amdv1", "x86_64") and len(row) == 3 and "(2.5" in row[1]]
        self.assertEqual([row[1:] for row in rows], [["0.500 (2.50)", "1 (2.50)"]] * 2)
        self.assertIn("2 of 2 formats flat within 1.5", text)

    def test_the_chart_has_the_limit_beside_the_formats(self):
        self.with_cases((0.5, 1.0), formats=("amdv1", "x86_64"))
        value = copy.deepcopy(self.result["bench"]["benchmarks"][-1])
        for format in ("amdv1", "x86_64"):
            self.change("bench", lambda bench: bench["benchmarks"].append({**value, "name": f"scale/{format}/map_4MiB/warm", "cpu_time": 1024.0, "leaves": 1024}))
        self.change("bench", lambda bench: bench["benchmarks"].append({**value, "name": "limit/store_8KiB_scalar", "cpu_time": 204.8, "leaves": 0}))
        series = Page(self.render()[2]).charts["scale"]["series"]
        self.assertEqual([each["name"] for each in series], ["amdv1", "x86_64", page_scale.LEGEND])
        self.assertEqual([[size, round(ns, 6)] for size, ns in series[2]["points"]], [[1 << 20, 0.2], [1 << 22, 0.2], [1 << 34, 0.4]])


class FirstScreenTest(ResultCase):
    def first(self):
        text = self.render()[2]
        return text[: text.index("<main")]

    def test_a_crash_a_wrong_result_and_a_missing_part_show_on_the_first_screen(self):
        def break_it(run):
            run["parts"]["fuzz"].update(state="failed", message="mapproof: difference at op 3 of 9")
            run["parts"]["inputs"].update(state="could-not-run", message="no such file")

        self.change("run", break_it)
        self.change("fuzz", lambda entries: entries[0].update(crashes=1))
        first = self.first()
        self.assertIn("Something is wrong; fuzzing: failed; real inputs: could not run", first)
        self.assertIn('<b class="worse">1</b>', first)
        self.assertIn("; 1 crash<", first)
        self.assertIn("mapproof: difference at op 3 of 9", self.render()[2])

    def test_findings_are_counted_by_severity(self):
        self.assertIn("1 way to lose DMA, 1 to reach what is gone, 1 to expose a neighbour; no crashes", self.first())

    def test_what_was_measured_on_what(self):
        first = squeeze(self.first())
        cases = len(self.result["bench"]["benchmarks"])
        targets = len(self.result["fuzz"])
        self.assertIn(f"{cases} benchmark cases, 3 real inputs and {targets} fuzz targets, at commit <code>0123456789ab</code>", first)
        self.assertIn("Counters: software.", first)

    def test_a_run_without_some_files_says_so(self):
        def only_bench(run):
            run["files"] = {"bench": "bench.json"}
            run["state"] = "stopped"
            for name in run["parts"]:
                run["parts"][name]["state"] = "not-run"

        self.change("run", only_bench)
        code, _, text = self.render()
        self.assertEqual(code, 0)
        self.assertIn("Stopped before the end", text)
        self.assertIn("Nothing was fuzzed", text)

    def test_a_result_of_the_first_version_has_a_page(self):
        """Neither findings nor counters nor anything else that came later."""

        def old(run):
            run["files"] = {name: f"{name}.json" for name in ("bench", "inputs", "fuzz")}
            run["parts"] = {name: run["parts"][name] for name in ("bench", "inputs", "fuzz")}

        self.change("run", old)
        code, message, text = self.render()
        self.assertEqual((code, message), (0, ""))
        self.assertEqual(Page(text).open, [])

    def test_a_run_that_has_only_begun_has_a_page(self):
        self.change("run", lambda run: run.update(files={}, state="running"))
        code, message, text = self.render()
        self.assertEqual((code, message), (0, ""))
        self.assertIn("Still running", text)


class FindingTest(ResultCase):
    def test_each_finding_shows_its_steps_in_words_and_its_script(self):
        text = self.render()[2]
        plain = squeeze(re.sub(r"<[^>]*>", "", text))
        for finding in self.result["findings"]:
            self.assertIn(finding["title"], plain)
            for step in finding["steps"]:
                self.assertIn(step["words"], plain)
                self.assertIn(step["op"].rpartition(" -> ")[0], plain)
        for finding in self.result["findings"]:
            with open(os.path.join(self.folder, finding["script"]), encoding="utf-8") as file:
                self.assertIn(file.read().replace(">", "&gt;"), text)

    def test_what_was_right_and_what_happened_stand_before_the_steps(self):
        text = squeeze(self.render()[2])
        self.assertIn("<dt>Entitled</dt><dd>guest 1 and its device may write gpa 0x300000, which is validated and private.</dd>", text)
        self.assertIn("<dt>Happened</dt><dd>the access faults", text)

    def test_names_in_a_sentence_are_marked_and_the_rest_is_escaped(self):
        self.assertEqual(page_findings.words("on `a<b>` <i> `"), "on <code>a&lt;b&gt;</code> &lt;i&gt; `")

    def test_a_script_that_is_missing_is_refused(self):
        os.remove(os.path.join(self.folder, self.result["findings"][0]["script"]))
        code, message, _ = self.render()
        self.assertEqual(code, 2)
        self.assertIn(self.result["findings"][0]["script"] + ": No such file", message)

    def test_a_finding_that_replay_did_not_confirm_says_so(self):
        self.change("findings", lambda findings: findings[0].update(confirmed=False))
        self.assertIn("met 4\u202f211 times, 0 of 1 confirmed by replay", self.render()[2])

    def test_one_rule_on_several_hardware_is_one_finding_and_the_shortest_script_stands_for_it(self):
        def twice(findings):
            other = copy.deepcopy(findings[0])
            other.update(hw="cpu", key="loses-dma/rmp-size-bystander/cpu", count=9, steps=other["steps"][1:])
            findings.insert(1, other)

        self.change("findings", twice)
        text = self.render()[2]
        self.assertIn("1 way to lose DMA", text)
        self.assertIn("on <b>amd, cpu</b>; 5 steps, first after 810\u202fms, met 4\u202f220 times, confirmed by replay", squeeze(text))
        self.assertIn("On <b>amd</b>: 6 steps, met 4\u202f211 times", squeeze(text))


class OutcomeTest(ResultCase):
    COUNTERS = {"hit_ratio": 0.0, "hit_ratio_min": 0.0, "hit_ratio_max": 0.06, "fill_4K": 0.0, "fill_2M": 0.0, "faults": 0.0,
                "faults_rmp_size": 0.0, "repairs": 0.0, "expands": 0.0, "walk_reads": 1.0, "reach_bytes": 2097152.0}  # fmt: skip

    def iotlb(self, *cases):
        """Cases of the model in place of those of the fixture: (name, counters)."""

        def replace(value):
            entry = value["benchmarks"][0]
            kept = [each for each in value["benchmarks"] if not each["name"].startswith(page_cases.MODELLED)]
            value["benchmarks"] = kept + [{**entry, **self.COUNTERS, **counters, "name": name} for name, counters in cases]

        self.change("bench", replace)
        text = self.render()[2]
        return text[text.index('id="iotlb"') : text.index('id="cases"')]

    def test_the_price_of_small_pages_and_of_a_mismatch_is_said(self):
        shown = self.iotlb(
            ("iotlb/amd/4K-4K/random", {"fill_4K": 1.0}),
            ("iotlb/amd/2M-2M/random", {"fill_2M": 0.002, "hit_ratio": 0.998, "reach_bytes": 268435456.0}),
            ("iotlb/amd/2M-4K/random", {"faults": 1.0}),
            ("iotlb/expanding/4K-2M/random", {"fill_2M": 0.002, "expands": 1.0}),
        )
        self.assertIn("500 times the IOTLB fills", shown)
        self.assertIn(f"reaches 2{THIN}MiB instead of 256{THIN}MiB", shown)
        self.assertIn("All DMA is lost", shown)
        self.assertIn("expanding exposes neighbours", shown)
        self.assertIn("model, not silicon", shown)

    def test_a_cell_says_the_worst_that_is_true(self):
        shown = self.iotlb(
            ("iotlb/a/4K-4K/random", {"fill_4K": 1.0}),
            ("iotlb/b/4K-4K/random", {"fill_4K": 0.998, "faults": 0.002}),
            ("iotlb/c/4K-4K/random", {"faults": 1.0}),
            ("iotlb/d/4K-4K/random", {"fill_2M": 0.002, "expands": 1.0}),
            ("iotlb/e/4K-4K/random", {"fill_4K": 1.0, "repairs": 1.0}),
            ("iotlb/f/4K-4K/random", {"fill_2M": 0.002}),
        )
        rows = self.rows("<table>" + shown[shown.index("<tbody") : shown.index("</table>") + 8])
        self.assertEqual(rows["4K-4K"], ["4K-4K", "4K", f"4K, 0.2{THIN}% lost", "all lost", "2M exposes", "4K, after repair", "2M"])


class FormatsTest(ResultCase):
    def shown(self):
        """(the first screen, the section)."""
        text = self.render()[2]
        section = text[text.index('<section id="formats"') :]
        return text[: text.index("<main")], section[: section.index("</section>")]

    def test_the_table_is_the_matrix_of_the_json(self):
        first, section = self.shown()
        matrix = self.result["matrix"]
        rows = Page(section[: section.index("<h3")]).rows
        self.assertEqual(len(rows), 1 + len(matrix["rows"]))
        self.assertEqual([len(row) for row in rows], [1 + len(matrix["columns"])] * len(rows))
        self.assertEqual(rows[0][:4], ["configuration", "init", "best pgsize", "map simple"])
        for row, name, cells in zip(rows[1:], matrix["rows"], matrix["cells"]):
            self.assertEqual(row, [name, *(str(cell) for cell in cells)])
        self.assertIn("5 configurations of 5 formats, 8 columns: no hole", section)
        self.assertIn("golden, oracle, nested and bench are counted by format, not by configuration", section)
        self.assertIn('<a href="#formats">Formats</a>', first)
        self.assertNotIn("hole", first[first.index("<body") :].lower())
        self.assertNotIn('class="hole"', section)

    def test_what_cannot_be_has_its_reason(self):
        section = squeeze(self.shown()[1])
        self.assertIn("<dt>- golden of riscv64_s2</dt><dd>Linux 7.0 has no second stage of RISC-V</dd>", section)
        self.assertIn("<dt>- golden of fake</dt><dd>no Linux has it</dd>", section)
        self.assertIn('<td data-v="" title="no Linux has it">-</td>', section)

    def test_formats_with_the_same_reason_stand_together(self):
        reason = self.result["matrix"]["reasons"][-1]
        both = {"reasons": [reason, {**reason, "format": "other"}]}
        self.assertEqual(page_matrix.reasons(both), [(reason["column"], f"{reason['format']} and other", reason["reason"])])

    def test_holes_are_red_listed_and_on_the_first_screen(self):
        def holes(matrix):
            matrix["cells"][1][2] = 0
            matrix["holes"] += ["x86_64-48sx: test_map_simple", "other: no configuration"]
            matrix["failed"].append("encode_decode_test")

        self.change("matrix", holes)
        first, section = self.shown()
        self.assertIn('<td data-v="0" class="hole">0<span class="hidden"> hole</span></td>', section)
        self.assertEqual(section.count('class="hole"'), 1)
        self.assertIn('<p class="strong worse">5 configurations of 5 formats, 8 columns: 2 holes</p>', section)
        for each in ("x86_64-48sx: test_map_simple", "other: no configuration", "encode_decode_test: failed"):
            self.assertIn(f"<li>{each}</li>", section)
        self.assertIn('Holes in the matrix</a></dt><dd><b class="worse">2</b>', first)

    def operations(self):
        """(first screen, all from the heading Operations to the end of the section)."""
        first, section = self.shown()
        return first, section[section.index('<h3 id="operations"') :]

    def test_the_table_of_operations_is_that_of_the_json(self):
        _, section = self.operations()
        matrix = self.result["matrix"]["operations"]
        summary, whole = section[: section.index("<details")], section[section.index("<details") :]
        rows = Page(whole).rows
        self.assertEqual(len(rows), 1 + len(matrix["formats"]) * len(matrix["operations"]))
        self.assertEqual(rows[0], ["operation", "unit", "oracle", "fuzz", "hitless", "failure sweep", "bench"])
        values = iter(rows[1:])
        for index, operation in enumerate(matrix["operations"]):
            for format, cells in zip(matrix["formats"], matrix["cells"]):
                self.assertEqual(next(values), [f"{operation} {format}", *(page_text.number(each) if each != "-" else "-" for each in cells[index])])
        rows = Page(summary).rows
        self.assertEqual(len(rows), 1 + len(matrix["operations"]))
        least = min(cells[0][0] for cells in matrix["cells"])
        self.assertEqual(rows[1][:2], ["map", f"all, {least} or more"])
        self.assertIn("cannot be", rows[5])
        self.assertIn("12 operations on 5 formats: no hole; 9\u202f602 failure points swept", section)
        self.assertNotIn('class="hole"', section)
        self.assertNotIn("k-lost", section)

    def test_the_reason_of_what_no_operation_can_have_stands_once(self):
        _, section = self.operations()
        self.assertEqual(section.count("stores nothing</dd>"), 1)
        self.assertIn("<dt>- iova_to_phys: hitless of every format</dt>", section)

    def test_holes_of_operations_are_red_listed_and_on_the_first_screen(self):
        def hole(matrix):
            matrix["operations"]["cells"][2][0][1] = 0
            matrix["operations"]["holes"].append("riscv64_s2: map: oracle")

        self.change("matrix", hole)
        first, section = self.operations()
        self.assertIn('<td class="k-lost">hole: 4 of 5</td>', section)
        self.assertIn('<td data-v="0" class="hole">0<span class="hidden"> hole</span></td>', section)
        self.assertIn("<li>riscv64_s2: map: oracle</li>", section)
        self.assertIn("12 operations on 5 formats: 1 hole;", section)
        self.assertIn('Holes in the matrix</a></dt><dd><b class="worse">1</b>', first)

    def test_a_matrix_without_operations_has_no_such_table(self):
        self.change("matrix", lambda matrix: matrix.pop("operations"))
        self.assertNotIn('id="operations"', self.shown()[1])

    def test_a_result_without_a_matrix_has_no_section_and_no_link(self):
        self.change("run", lambda run: run["files"].pop("matrix"))
        self.assertNotIn("#formats", self.render()[2])


class SafetyTest(ResultCase):
    def test_the_page_loads_nothing_and_is_well_formed(self):
        text = self.render()[2]
        parsed = Page(text)
        self.assertEqual(parsed.loads, [])
        self.assertEqual(parsed.open, [])
        self.assertEqual(len(parsed.ids), len(set(parsed.ids)))
        self.assertIsNone(re.search(r"@import|url\(", re.sub(r"(?s)<script>.*?</script>", "", text)))
        self.assertIn("prefers-color-scheme: dark", text)
        self.assertIn('name="viewport"', text)

    def test_the_policy_allows_the_scripts_of_the_page_and_nothing_else(self):
        text = self.render()[2]
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1].replace("&#39;", "'")
        scripts = re.findall(r"(?s)<script>(.*?)</script>", text)
        hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in scripts]
        self.assertEqual(re.findall(r"sha256-([^']*)", policy), hashes)
        self.assertTrue(policy.startswith("default-src 'none'; script-src 'sha256-"))

    def test_text_from_outside_is_escaped_everywhere(self):
        """Each text that a result brings in, made hostile: the page has as many scripts as before and no other tag."""
        before = Page(self.render()[2])
        self.change("run", lambda run: (run["commit"].update(subject=HOSTILE, short=HOSTILE), run["machine"].update(cpu=HOSTILE)))
        self.change("bench", lambda bench: bench["benchmarks"][0].update(name=f"map/{HOSTILE}/1x4K/warm"))
        self.change("hyperfine", lambda value: value["results"][0].update(command=f"replay {HOSTILE}"))
        self.change("perf", lambda perf: perf.update(why=HOSTILE))
        self.change("gate", lambda gate: gate["machine"].update(processor=HOSTILE))

        def matrix(it):
            it["rows"][0] = it["formats"][0] = it["columns"][0] = it["reasons"][0]["reason"] = HOSTILE
            it["cells"][0][1], it["failed"] = 0, [HOSTILE]
            it["holes"].append(f"{HOSTILE}: {it['columns'][1]}")
            it["operations"]["holes"].append(HOSTILE)
            it["operations"]["reasons"][0]["reason"] = HOSTILE

        self.change("matrix", matrix)

        def finding(findings):
            findings[0].update(title=HOSTILE, hw=HOSTILE, rule=HOSTILE, key=f'x" onfocus="{HOSTILE}')
            findings[0]["steps"][0].update(words=HOSTILE, op=f"{HOSTILE} -> {HOSTILE}")

        self.change("findings", finding)
        with open(os.path.join(self.folder, self.result["findings"][0]["script"]), "w", encoding="utf-8") as file:
            file.write(f"# {HOSTILE}\n")
        text = self.render()[2]
        after = Page(text)
        self.assertNotIn("<script>alert(1)", text)
        self.assertEqual((after.open, after.loads), ([], []))
        self.assertEqual(len(after.rows), len(before.rows))
        self.assertIn("<!--", after.charts["hyperfine"]["categories"][0])

    def test_data_for_the_scripts_cannot_end_its_element_and_reads_back_the_same(self):
        text = str(page.data_block({HOSTILE: [HOSTILE]}))
        self.assertIsNone(re.search(r"[<>&]", text))
        self.assertEqual(json.loads(text), {HOSTILE: [HOSTILE]})

    def test_a_flamegraph_that_could_run_or_load_something_is_left_out(self):
        good = self.result["flamegraph"]
        self.assertIsNotNone(page_findings.harmless_svg(good))
        for bad in (
            good.replace("</svg>", "<script>alert(1)</script></svg>"),
            good.replace("</svg>", '<image href="http://example.org/x.png"/></svg>'),
            good.replace("<g>", '<g onclick="alert(1)">', 1),
            good.replace("</style>", "body { display: none }\n</style>"),
            good.replace("</style>", ".flame { background: url(http://example.org) }\n</style>"),
            good.replace("</svg>", "<foreignObject/></svg>"),
            good[:-20],
        ):
            self.assertNotEqual(bad, good)
            self.assertIsNone(page_findings.harmless_svg(bad), bad[-200:])
        with open(os.path.join(self.folder, "flamegraph.svg"), "w", encoding="utf-8") as file:
            file.write(good.replace("</svg>", "<script>alert(1)</script></svg>\n"))
        text = self.render()[2]
        self.assertNotIn("alert(1)", text)
        self.assertIn("was left out of the page", text)

    def test_without_echarts_the_page_says_so_and_draws_what_it_can(self):
        kept = page.ECHARTS
        self.addCleanup(setattr, page, "ECHARTS", kept)
        page.ECHARTS = os.path.join(self.root, "none.js")
        code, _, text = self.render()
        self.assertEqual(code, 0)
        self.assertIn("ECharts was not installed", text)
        self.assertEqual(text.count("<script>"), 1)


class ChangeTest(HistoryCase):
    def test_the_change_is_against_the_latest_run_before_on_this_machine(self):
        self.store_as("2026-01-28T02:00:00Z", 3.0)
        self.store_as("2026-01-30T02:00:00Z", 0.5)
        self.store_as("2026-01-30T12:00:00Z", 9.0, cpu="another")
        self.store_as("2026-02-28T02:00:00Z", 7.0)
        text = self.render("--history", self.database)[2]
        rows = self.rows(text)
        self.assertEqual(rows["map/amdv1/256x4K/warm"][4], f"+100{THIN}%")
        self.assertEqual(rows["unmap/amdv1/256x4K/warm"][4], f"\u00b10{THIN}%")
        maps = sum(entry["name"].startswith("map/") for entry in self.result["bench"]["benchmarks"])
        cases = len(self.result["bench"]["benchmarks"])
        self.assertIn(f"{maps} slower of {cases} cases", squeeze(text))

    def test_a_change_within_what_recent_runs_showed_is_noise(self):
        for day in range(1, 9):
            self.store_as(f"2026-01-0{day}T02:00:00Z", 1.3 if day % 2 else 0.8)
        text = self.render("--history", self.database)[2]
        self.assertIn("moved beyond noise", text)
        self.assertIn(f'<span class="same">+25{THIN}%</span>', text)
        for day in range(10, 30):
            self.store_as(f"2026-01-{day}T02:00:00Z", 0.8)
        text = self.render("--history", self.database)[2]
        self.assertIn(f'<span class="worse">+25{THIN}%</span>', text)

    def test_the_history_of_a_case_is_every_run_before_and_this_one_with_the_band_of_the_latest(self):
        name = "map/amdv1/256x4K/warm"
        value = next(e["cpu_time"] for e in self.result["bench"]["benchmarks"] if e["name"] == name)
        for day in range(1, 31):
            self.store_as(f"2026-01-{day:02d}T02:00:00Z", 2.0 if day <= 10 else 1 + day / 1000)
        self.store_as("2026-01-30T12:00:00Z", 9.0, cpu="another")
        history = Page(self.render("--history", self.database)[2]).charts["history"]
        values = [float(text) for text in history["cases"][name]["values"].split(",")]
        self.assertEqual(len(history["runs"]), 31)
        self.assertEqual(values, [float(page_history.digits(each)) for each in
                                  [2 * value] * 10 + [value * (1 + day / 1000) for day in range(11, 31)] + [value]])  # fmt: skip
        expected = [value * factor for factor in (1.011, 1.0205, 1.030)]
        for got, wanted in zip(history["cases"][name]["band"], expected):
            self.assertAlmostEqual(got / wanted, 1, delta=0.001)
        self.assertIn(f" now, 1{THIN}% below the band of the latest 20 runs: ", history["cases"][name]["text"])

    def test_a_run_that_did_not_measure_a_case_leaves_a_gap(self):
        runs = [{"started": f"2026-01-0{day}T02:00:00Z", "commit": {"short": "x", "modified": False}} for day in (1, 2)]
        shown = page_history.chart(self.result["run"], runs, {"a/b": [None, 7.0]}, {"a/b": {"cpu_time_ns": 8.0}, "new": {"cpu_time_ns": 1.0}})
        self.assertEqual(shown["cases"]["a/b"]["values"], ",7,8")
        self.assertEqual(list(shown["cases"]), ["a/b"])

    def test_without_an_earlier_run_the_page_says_so_and_has_no_empty_column(self):
        self.store_as("2026-01-30T12:00:00Z", cpu="another")
        text = self.render("--history", self.database)[2]
        self.assertIn("nothing to compare with", text)
        self.assertNotIn(">change</th>", text)
        self.assertNotIn(">recent runs</th>", text)

    def test_a_file_that_is_no_database_is_refused(self):
        with open(self.database, "w", encoding="utf-8") as file:
            file.write("this is no database, whatever its name says\n" * 20)
        code, message, _ = self.render("--history", self.database)
        self.assertEqual(code, 2)
        self.assertIn("history.sqlite: ", message)


class ReportTest(ResultCase):
    def test_several_results_are_each_written_and_one_that_is_none_is_named(self):
        other = os.path.join(self.root, "other")
        os.mkdir(other)
        code, message, text = self.render(other)
        self.assertEqual(code, 2)
        self.assertIn(f"{other}/run.json: No such file", message)
        self.assertIn("</html>", text)


if __name__ == "__main__":
    unittest.main()
