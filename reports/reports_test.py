#!/usr/bin/python3 -B
"""The files of a result: bad ones refused, writes whole, history kept, what programs print read as they print it."""

import contextlib
import copy
import io
import json
import os
import re
import sqlite3
import tempfile
import unittest
import zlib

from nightlylib import bench, fuzz, history, page_history, place, progress, schema
from nightlylib.modes import MODES, QUICK_CASES
from result_case import FIXTURE, HistoryCase, ResultCase


class HistoryTest(HistoryCase):
    def test_every_run_is_kept_with_its_raw_values(self):
        self.store_as("2026-01-29T02:00:00Z")
        self.store_as("2026-01-30T02:00:00Z")
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            self.assertEqual(database.execute("SELECT count(*) FROM runs").fetchone()[0], 2)
            query = "SELECT value FROM results WHERE part=? AND name=? AND metric=?"
            bench_rows = database.execute(query, ("bench", "map/amdv1/256x4K/warm", "cpu_time_ns")).fetchall()
            fuzz_rows = database.execute(query, ("fuzz", "fuzz_engine", "execs")).fetchall()
            packed = database.execute("SELECT counters, counters_bytes FROM runs").fetchall()
        entry = next(e for e in self.result["bench"]["benchmarks"] if e["name"] == "map/amdv1/256x4K/warm")
        self.assertEqual(bench_rows, [(entry["cpu_time"],)] * 2)
        self.assertEqual(fuzz_rows, [(812345.0,)] * 2)
        for counters, length in packed:
            text = zlib.decompress(counters)
            self.assertEqual(len(text), length)
            counters = json.loads(text)
            self.assertEqual(counters["bench"][entry["name"]]["table_bytes"], [entry["table_bytes"]])
            name = "linux-6.12-vtd-nvme-e1000e.trace.xz/amdv1"
            self.assertEqual(counters["inputs"][name]["totals.maps_read"], [127221])

    def old_file(self):
        """As files were when every value was a row of `results`. Returns these rows."""
        self.store_as("2026-01-29T02:00:00Z")
        self.store_as("2026-01-30T02:00:00Z", factor=1.5)
        with contextlib.closing(history.connect(self.database)) as database, database:
            rows = self.all_rows(database)
            for statement in ("DROP VIEW results", "DROP TABLE samples", "DROP TABLE series", "DROP INDEX runs_by_machine"):
                database.execute(statement)
            for column in ("counters", "counters_bytes"):
                database.execute(f"ALTER TABLE runs DROP COLUMN {column}")
            database.execute("CREATE TABLE results (run_id, part, name, repetition, metric, value REAL)")
            database.execute("CREATE INDEX results_by_name ON results (part, name, metric, run_id)")
            database.executemany("INSERT INTO results VALUES (?,?,?,?,?,?)", rows)
        return rows

    def all_rows(self, database):
        rows = database.execute("SELECT run_id, part, name, repetition, metric, value FROM results").fetchall()
        for run_id, packed in database.execute("SELECT id, counters FROM runs"):
            for part, names in json.loads(zlib.decompress(packed)).items():
                rows += [
                    (run_id, part, name, repetition, metric, float(value))
                    for name, metrics in names.items()
                    for metric, values in metrics.items()
                    for repetition, value in enumerate(values)
                ]
        return sorted(rows)

    def test_an_old_file_keeps_every_value_and_what_the_page_reads_of_it(self):
        rows = self.old_file()
        self.assertEqual(len(rows), 2 * len(list(history.rows_of(self.result))))
        run = {**self.result["run"], "started": "2026-02-01T02:00:00Z"}
        series = page_history.earlier(self.database, run)[1]  # migrates
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            self.assertEqual(self.all_rows(database), rows)
            self.assertEqual(database.execute("SELECT name FROM sqlite_master WHERE name = 'old_results'").fetchall(), [])
        first, second = series["map/amdv1/256x4K/warm"]
        self.assertAlmostEqual(second, 1.5 * first)
        self.store_as("2026-01-31T02:00:00Z")
        self.assertEqual(len(page_history.earlier(self.database, run)[0]), 3)

    def test_an_old_file_that_cannot_go_over_stays_as_it_was(self):
        rows = self.old_file()
        with contextlib.closing(sqlite3.connect(self.database)) as database, database:
            database.execute("INSERT INTO results SELECT * FROM results WHERE part = 'fuzz'")  # the new key forbids it
        with self.assertRaisesRegex(schema.Invalid, "history.sqlite: UNIQUE"):
            history.connect(self.database)
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            self.assertEqual(sorted(set(database.execute("SELECT * FROM results").fetchall())), rows)
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        self.assertEqual(tables, [("results",), ("runs",)])

    def test_a_store_that_fails_half_way_leaves_no_run(self):
        result = copy.deepcopy(self.result)
        result["fuzz"] = result["fuzz"] * 2  # the same target twice breaks the key
        with self.assertRaisesRegex(schema.Invalid, "history.sqlite: UNIQUE"):
            history.store(self.database, result, "somewhere")
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            self.assertEqual(database.execute("SELECT count(*) FROM runs").fetchone()[0], 0)


class RefusalTest(ResultCase):
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


class WholeFileTest(ResultCase):
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
        self.assertIn(MODES["quick"].fuzz_seconds, range(20, 31))
        self.assertGreaterEqual(MODES["default"].fuzz_seconds, 60)

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
