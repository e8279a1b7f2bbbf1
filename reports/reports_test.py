#!/usr/bin/python3 -B
"""The generator on a small stored result: numbers right, no hole, nothing loaded, bad files refused, writes whole."""

import contextlib
import copy
import io
import json
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import unittest
from html.parser import HTMLParser

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import render  # noqa: E402
from nightlylib import bench, chart, fuzz, history, page, place, progress, schema  # noqa: E402
from nightlylib.modes import MODES, QUICK_CASES  # noqa: E402

FIXTURE = os.path.join(HERE, "fixture")


def squeeze(text):
    """One blank for each run of blanks and newlines; narrow no-break spaces stay."""
    return re.sub("[ \n]+", " ", text).strip()


class Page(HTMLParser):
    """What the tests look at: cells by row, attributes that load something, tags left open."""

    VOID = {"meta", "link", "img", "br", "hr", "input", "wbr", "source", "line", "circle", "polyline"}

    def __init__(self, text):
        super().__init__()
        self.rows, self.loads, self.open, self.cell = [], [], [], None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag in ("script", "link", "img", "iframe", "object", "embed", "video", "audio", "base"):
            self.loads.append(tag)
        self.loads += [f"{tag} {key}={value}" for key, value in values.items() if key in ("src", "srcset", "data")]
        if "://" in values.get("href", "") or values.get("href", "").startswith("//"):
            self.loads.append(f"{tag} href={values['href']}")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.cell = ""
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.VOID:
            return
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()
        if tag in ("td", "th"):
            self.rows[-1].append(squeeze(self.cell))
            self.cell = None

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data


class Case(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="mapproof-reports-")
        self.addCleanup(shutil.rmtree, self.root, True)
        self.folder = os.path.join(self.root, "result")
        shutil.copytree(FIXTURE, self.folder)
        self.result = schema.read_result(self.folder)

    def change(self, name, edit):
        """Edit one JSON file of the result; read it again."""
        path = os.path.join(self.folder, f"{name}.json")
        value = schema.read_json(path)
        edit(value)
        schema.write_json(path, value)

    def render(self, *options):
        """Exit code, stderr and index.html (None if there is none)."""
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            code = render.main([self.folder, *options])
        path = os.path.join(self.folder, "index.html")
        text = None
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                text = file.read()
        return code, errors.getvalue(), text


class PageTest(Case):
    def test_every_measured_case_has_a_row_without_an_empty_cell(self):
        _, _, text = self.render()
        rows = {row[0]: row for row in Page(text).rows if row}
        for entry in self.result["bench"]["benchmarks"]:
            self.assertIn(entry["name"], rows)
            self.assertTrue(all(cell for cell in rows[entry["name"]]), rows[entry["name"]])

    def test_no_row_of_any_table_has_a_hole(self):
        _, _, text = self.render()
        for row in Page(text).rows:
            self.assertTrue(all(row[1:]), row)

    def test_figures_and_ratios_are_those_of_the_json(self):
        _, _, text = self.render()
        rows = {row[0]: row for row in Page(text).rows if row}
        ns = {entry["name"]: entry["cpu_time"] for entry in self.result["bench"]["benchmarks"]}
        for name, limit, unit in (
            ("map/amdv1/256x4K/warm", "limit/store_2KiB", "2 KiB"),
            ("map/amdv1/256x4K/warm-vector", "limit/store_2KiB", "2 KiB"),
            ("unmap/amdv1/256x4K/warm", "limit/store_2KiB", "2 KiB"),
            ("map/amdv1/1x1M/warm", "limit/store_2KiB", "2 KiB"),
            ("map/amdv1/1GiB_as_4K/warm", "limit/store_2MiB", "2 MiB"),
        ):
            self.assertEqual(rows[name][1].replace("\u202f", ""), f"{ns[name]:.0f}")
            self.assertEqual(rows[name][3].replace("\u202f", " "), f"{ns[name] / ns[limit]:.2f} of {unit}")
        self.assertEqual(rows["map/amdv1/1x4K/warm"][3], "no limit")
        self.assertEqual(float(rows["map/amdv1/256x4K/warm"][2]), round(ns["map/amdv1/256x4K/warm"] / 256, 3))

    def test_a_case_has_a_limit_only_if_it_writes_as_many_bytes(self):
        self.assertEqual(page.limit_name("map/amdv1/1x1M/cold"), "limit/store_2KiB")  # one leaf of 256 items
        self.assertEqual(page.limit_name("map/x86_64/1x1M/warm"), "limit/store_2KiB")  # 256 leaves
        self.assertEqual(page.limit_name("unmap/x86_64/1GiB_as_4K/warm-vector"), "limit/store_2MiB")
        for name in ("map/armv8_s2_16k/1x1M/warm", "map/amdv1/1x2M/warm", "map/amdv1/1GiB_as_2M/warm", "limit/store_2KiB"):
            self.assertIsNone(page.limit_name(name))

    def test_a_limit_that_was_not_measured_is_said_and_not_guessed(self):
        self.change("bench", lambda b: b["benchmarks"].pop(next(
            i for i, e in enumerate(b["benchmarks"]) if e["name"] == "limit/store_2MiB")))
        _, _, text = self.render()
        rows = {row[0]: row for row in Page(text).rows if row}
        self.assertEqual(rows["map/amdv1/1GiB_as_4K/warm"][3], "limit not measured")
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

    def test_the_page_loads_nothing_and_is_well_formed(self):
        _, _, text = self.render()
        parsed = Page(text)
        self.assertEqual(parsed.loads, [])
        self.assertEqual(parsed.open, [])
        self.assertIsNone(re.search(r"@import|url\(|<script|\bhttps?:", text))
        self.assertIn("prefers-color-scheme: dark", text)
        self.assertIn('name="viewport"', text)

    def test_text_from_outside_is_escaped(self):
        self.change("run", lambda run: run["commit"].update(subject="<script>alert(1)</script> & co"))
        _, _, text = self.render()
        self.assertNotIn("<script", text)
        self.assertIn("&lt;script&gt;alert(1)&lt;/script&gt; &amp; co", text)

    def test_a_crash_a_wrong_result_and_a_missing_part_show_on_the_first_screen(self):
        def break_it(run):
            run["parts"]["fuzz"].update(state="failed", message="mapproof: difference at op 3 of 9")
            run["parts"]["inputs"].update(state="could-not-run", message="no such file")

        self.change("run", break_it)
        self.change("fuzz", lambda entries: entries[0].update(crashes=1))
        _, _, text = self.render()
        first = text[: text.index("<h2>Map and unmap")]
        self.assertIn("Something is wrong; fuzzing: failed; real inputs: could not run", first)
        self.assertIn("mapproof: difference at op 3 of 9", first)
        self.assertIn('<b class="worse">1</b>', first)

    def test_a_run_without_some_files_says_so(self):
        def only_bench(run):
            run["files"] = {"bench": "bench.json"}
            run["state"] = "stopped"
            run["parts"]["fuzz"]["state"] = run["parts"]["inputs"]["state"] = "not-run"

        self.change("run", only_bench)
        code, _, text = self.render()
        self.assertEqual(code, 0)
        self.assertIn("Stopped before the end", text)
        self.assertIn("not run", text)

    def test_a_sweep_of_sizes_becomes_a_chart_and_leaves_the_main_table(self):
        def sweep(value):
            entry = copy.deepcopy(value["benchmarks"][0])
            for shift in range(13, 31):
                name = f"map/amdv1/1x{chart.size_text(shift)}/warm"
                if name != "map/amdv1/1x1M/warm":
                    value["benchmarks"].append({**entry, "name": name, "cpu_time": 20.0 + shift})

        self.change("bench", sweep)
        _, _, text = self.render()
        self.assertEqual(text.count("<svg"), 1)
        self.assertEqual(text.count("<circle"), 19)
        rows = [row[0] for row in Page(text).rows if "/" in row[0]]
        self.assertEqual(len(rows), len(set(rows)))
        self.assertIn("map/amdv1/1x1G/warm", rows)

    def test_numbers_keep_three_digits(self):
        shown = [page.number(value) for value in (0, 0.49, 8.7, 25.3, 160.82, 186925.3, 812345)]
        self.assertEqual(shown, ["0", "0.490", "8.70", "25.3", "161", "186\u202f925", "812\u202f345"])


class HistoryTest(Case):
    def setUp(self):
        super().setUp()
        self.database = os.path.join(self.root, "history.sqlite")

    def store_as(self, started, factor=1.0, cpu=None):
        result = copy.deepcopy(self.result)
        result["run"]["started"] = started
        if cpu:
            result["run"]["machine"]["cpu"] = cpu
        for entry in result["bench"]["benchmarks"]:
            if entry["name"].startswith("map/"):
                entry["cpu_time"] *= factor
        return history.store(self.database, result, "somewhere")

    def test_every_run_is_kept_with_its_raw_values(self):
        self.store_as("2026-01-29T02:00:00Z")
        self.store_as("2026-01-30T02:00:00Z")
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            self.assertEqual(database.execute("SELECT count(*) FROM runs").fetchone()[0], 2)
            query = "SELECT value FROM results WHERE part=? AND name=? AND metric=?"
            bench_rows = database.execute(query, ("bench", "map/amdv1/256x4K/warm", "cpu_time_ns")).fetchall()
            fuzz_rows = database.execute(query, ("fuzz", "fuzz_engine", "execs")).fetchall()
            input_name = "linux-6.12-vtd-nvme-e1000e.trace.xz/amdv1"
            input_rows = database.execute(query, ("inputs", input_name, "totals.maps_read")).fetchall()
        entry = next(e for e in self.result["bench"]["benchmarks"] if e["name"] == "map/amdv1/256x4K/warm")
        self.assertEqual(bench_rows, [(entry["cpu_time"],)] * 2)
        self.assertEqual(fuzz_rows, [(812345.0,)] * 2)
        self.assertEqual(input_rows, [(127221.0,)] * 2)

    def test_the_change_is_against_the_latest_run_before_on_this_machine(self):
        self.store_as("2026-01-28T02:00:00Z", 3.0)
        self.store_as("2026-01-30T02:00:00Z", 0.5)
        self.store_as("2026-01-30T12:00:00Z", 9.0, cpu="another")
        self.store_as("2026-02-28T02:00:00Z", 7.0)
        _, _, text = self.render("--history", self.database)
        rows = {row[0]: row for row in Page(text).rows if row}
        self.assertEqual(rows["map/amdv1/256x4K/warm"][4], "+100\u202f%")
        self.assertEqual(rows["unmap/amdv1/256x4K/warm"][4], "+0\u202f%")
        self.assertIn("7 slower, 0 faster by 10&nbsp;% or more, of 12 cases", squeeze(text))

    def test_without_an_earlier_run_the_page_says_so_and_has_no_empty_column(self):
        self.store_as("2026-01-30T12:00:00Z", cpu="another")
        _, _, text = self.render("--history", self.database)
        self.assertIn("nothing to compare with", text)
        self.assertNotIn("<th>change</th>", text)

    def test_a_store_that_fails_half_way_leaves_no_run(self):
        result = copy.deepcopy(self.result)
        result["fuzz"] = result["fuzz"] * 2  # the same target twice breaks the key
        with self.assertRaisesRegex(schema.Invalid, "history.sqlite: UNIQUE"):
            history.store(self.database, result, "somewhere")
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            self.assertEqual(database.execute("SELECT count(*) FROM runs").fetchone()[0], 0)

    def test_a_file_that_is_no_database_is_refused(self):
        with open(self.database, "w", encoding="utf-8") as file:
            file.write("this is no database, whatever its name says\n" * 20)
        code, message, _ = self.render("--history", self.database)
        self.assertEqual(code, 2)
        self.assertIn("history.sqlite: ", message)


class RefusalTest(Case):
    def refuse(self, *parts):
        code, message, text = self.render()
        self.assertEqual(code, 2)
        self.assertIsNone(text)
        for part in parts:
            self.assertIn(part, message)

    def overwrite(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def test_a_folder_without_run_json(self):
        os.remove(os.path.join(self.folder, "run.json"))
        self.refuse("run.json: No such file")

    def test_a_file_that_run_json_names_and_that_is_missing(self):
        os.remove(os.path.join(self.folder, "fuzz.json"))
        self.refuse("fuzz.json: No such file")

    def test_half_a_file(self):
        with open(os.path.join(self.folder, "bench.json"), encoding="utf-8") as file:
            text = file.read()
        self.overwrite("bench.json", text[: len(text) // 2])
        self.refuse("bench.json: not JSON")

    def test_another_schema(self):
        self.change("run", lambda run: run.update(schema=99))
        self.refuse("run.json: schema is 99, this generator reads 1")

    def test_a_run_without_its_commit(self):
        self.change("run", lambda run: run.pop("commit"))
        self.refuse("run.json: no key 'commit'")

    def test_a_file_outside_the_folder(self):
        self.change("run", lambda run: run["files"].update(bench="../bench.json"))
        self.refuse("files.bench is not a plain file name")

    def test_a_case_without_cpu_time(self):
        self.change("bench", lambda value: value["benchmarks"][2].pop("cpu_time"))
        self.refuse("bench.json: benchmarks[2] (map/amdv1/256x4K/warm): no cpu_time")

    def test_an_unknown_time_unit(self):
        self.change("bench", lambda value: value["benchmarks"][0].update(time_unit="fortnight"))
        self.refuse("bench.json: benchmarks[0] (map/amdv1/1x4K/warm): time_unit is 'fortnight'")

    def test_fuzz_entries_with_other_keys_or_types(self):
        self.change("fuzz", lambda entries: entries[0].pop("edges"))
        self.refuse("fuzz.json: [0]: keys differ: ['edges']")
        self.change("fuzz", lambda entries: entries[0].update(edges="many"))
        self.refuse("fuzz.json: [0]: edges is 'many'")

    def test_inputs_that_are_no_list(self):
        self.overwrite("inputs.json", "{}")
        self.refuse("inputs.json: not a list")


class WholeFileTest(Case):
    def test_a_page_that_cannot_be_made_leaves_the_old_one(self):
        self.render()
        path = os.path.join(self.folder, "index.html")
        with open(path, encoding="utf-8") as file:
            before = file.read()
        os.remove(os.path.join(self.folder, "bench.json"))
        self.assertEqual(self.render()[0], 2)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), before)

    def test_a_write_that_fails_half_way_leaves_the_old_file(self):
        path = os.path.join(self.root, "file.json")
        schema.write_json(path, {"n": 1})
        with self.assertRaises(UnicodeEncodeError):
            schema.write_text(path, "x" * 100000 + "\ud800")
        self.assertEqual(schema.read_json(path), {"n": 1})

    def test_a_result_takes_its_name_only_when_it_is_whole(self):
        out = os.path.join(self.root, "out")
        first = place.ResultPlace(out)
        schema.write_json(os.path.join(first.open(), "run.json"), {"n": 1})
        self.assertFalse(os.path.exists(out))
        first.publish()
        second = place.ResultPlace(out)
        folder = second.open()
        schema.write_json(os.path.join(folder, "run.json"), {"n": 2})
        self.assertEqual(schema.read_json(os.path.join(out, "run.json")), {"n": 1})
        second.publish()
        self.assertEqual(schema.read_json(os.path.join(out, "run.json")), {"n": 2})
        self.assertEqual(sorted(os.listdir(self.root)), ["out", "result"])

    def test_an_empty_directory_gives_way_and_a_foreign_one_does_not(self):
        empty, foreign = os.path.join(self.root, "empty"), os.path.join(self.root, "foreign")
        os.mkdir(empty)
        os.mkdir(foreign)
        with open(os.path.join(foreign, "thesis.txt"), "w", encoding="utf-8") as file:
            file.write("years of work\n")
        there = place.ResultPlace(empty)
        schema.write_json(os.path.join(there.open(), "run.json"), {})
        there.publish()
        self.assertTrue(os.path.exists(os.path.join(empty, "run.json")))
        with self.assertRaisesRegex(place.CannotWrite, "no earlier result"):
            place.ResultPlace(foreign).open()
        self.assertEqual(os.listdir(foreign), ["thesis.txt"])

    def test_a_place_that_cannot_be_written_is_refused(self):
        plain = os.path.join(self.root, "plain")
        with open(plain, "w", encoding="utf-8"):
            pass
        for out in (plain, os.path.join(plain, "below"), "/proc/nightly/out"):
            with self.assertRaisesRegex(place.CannotWrite, "--out /"):
                place.ResultPlace(out).open()

    def test_two_runs_do_not_share_a_place(self):
        out = os.path.join(self.root, "out")
        holder = place.ResultPlace(out)
        holder.open()
        with self.assertRaisesRegex(place.CannotWrite, "another run"):
            place.ResultPlace(out).open()


class ReadingTest(unittest.TestCase):
    """What programs print, read as they print it."""

    def test_libfuzzer_output(self):
        tally = fuzz.Tally()
        for line in (
            "#2\tINITED cov: 411 ft: 412 corp: 1/1b exec/s: 0 rss: 41Mb",
            "#65536\tpulse  cov: 1892 ft: 8211 corp: 301/40Kb lim: 1050 exec/s: 21845 rss: 512Mb",
            "#812345\tDONE   cov: 2711 ft: 12001 corp: 604/112Kb lim: 4096 exec/s: 40617 rss: 601Mb",
            "mapproof: execs=812346 ops=25377689 findings=1290",
            "mapproof: worlds_refused=1 ops_skipped=2 ops_refused=3",
            "stat::number_of_executed_units: 812346",
        ):
            tally.read(line)
        self.assertEqual((tally.execs, tally.edges, tally.corpus), (812346, 2711, 604))
        self.assertEqual((tally.ops, tally.findings), (25377689, 1290))

    def test_quick_measures_what_was_promised(self):
        promised = """
            map/amdv1/1x4K/warm map/amdv1/256x4K/warm map/amdv1/256x2M/warm map/amdv1/1x1M/warm
            map/amdv1/1GiB_as_4K/warm unmap/amdv1/256x4K/warm map/x86_64/256x4K/warm map/amdv1/256x4K/warm-vector
            limit/store_2KiB limit/store_2MiB replay/nvme-e1000e/amdv1""".split()
        self.assertEqual([name for name in promised if name not in QUICK_CASES], [])
        chosen = re.compile(MODES["quick"].bench_filter())
        self.assertTrue(all(chosen.search(name) for name in QUICK_CASES))
        self.assertIsNone(chosen.search("map/amdv1/256x4K/cold"))
        self.assertIsNone(chosen.search("map/amdv1/256x4K/warm-vectors"))
        self.assertEqual((MODES["quick"].fuzz_seconds, MODES["default"].fuzz_seconds), (20, 60))

    def test_a_stopped_google_benchmark_file_is_salvaged(self):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "bench.json")
            with open(os.path.join(FIXTURE, "bench.json"), encoding="utf-8") as file:
                whole = file.read()
            with open(f"{out}.part", "w", encoding="utf-8") as file:
                file.write(whole[: whole.index('"limit/store_2KiB_scalar"') + 60])
            bench.salvage(out)
            names = [entry["name"] for entry in json.loads(whole)["benchmarks"]]
            kept = [entry["name"] for entry in schema.read_json(out)["benchmarks"]]
            self.assertEqual(kept, names[: names.index("limit/store_2KiB_scalar")])


class ProgressTest(unittest.TestCase):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def test_a_terminal_gets_a_line_that_changes_and_a_log_gets_plain_lines(self):
        for stream, is_terminal in ((self.Terminal(), True), (io.StringIO(), False)):
            shown = progress.Progress(stream)
            shown.step("fuzzing")
            shown.at("977 runs")
            shown.say("fuzzing: ok")
            self.assertEqual("\r" in stream.getvalue(), is_terminal)
            self.assertEqual("977 runs" in stream.getvalue(), is_terminal)  # a log waits for its interval
            self.assertIn("] fuzzing: ok\n", stream.getvalue())


if __name__ == "__main__":
    unittest.main()
