"""history.sqlite: every published run with its raw values, so that any question can be asked later."""

import json
import os
import sqlite3
import statistics
import zlib

from . import bench, hyperfine, inputs, schema

RUNS = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY,
    started TEXT NOT NULL,          -- UTC, ISO 8601
    mode TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    modified INTEGER NOT NULL,      -- tracked files differed from the commit
    machine TEXT NOT NULL,          -- only runs with the same text are compared
    folder TEXT NOT NULL,
    run_json TEXT NOT NULL,
    counters BLOB,                  -- zlib of JSON: {part: {name: {metric: [value of each repetition]}}}
    counters_bytes INTEGER          -- of that JSON
)"""
SERIES = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY,
    part TEXT NOT NULL,             -- bench, perf, hyperfine, inputs, fuzz, findings
    name TEXT NOT NULL,             -- case; case or family; input/format; target; key
    metric TEXT NOT NULL,           -- cpu_time_ns, seconds, execs, ...
    UNIQUE (part, name, metric)
)"""
# In the order in which runs come, so that pages fill up and a run is read in one piece.
SAMPLES = """
CREATE TABLE IF NOT EXISTS samples (
    run_id INTEGER NOT NULL REFERENCES runs(id),
    series_id INTEGER NOT NULL REFERENCES series(id),
    repetition INTEGER NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (run_id, series_id, repetition)
) WITHOUT ROWID"""
RESULTS = """
CREATE VIEW IF NOT EXISTS results AS
    SELECT run_id, part, name, repetition, metric, value FROM samples JOIN series ON series.id = series_id"""
BY_MACHINE = "CREATE INDEX IF NOT EXISTS runs_by_machine ON runs (machine, id)"
TABLES = (RUNS, SERIES, SAMPLES, RESULTS, BY_MACHINE)


def machine_key(run):
    """What must be equal for two runs to be compared."""
    machine = run["machine"]
    parts = [machine.get("cpu"), machine.get("cores"), run["compiler"].get("release"), run["flags"].get("release")]
    return " | ".join(str(part) for part in parts)


def connect(path):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    try:
        database = sqlite3.connect(path, timeout=30)
        if is_old(database):
            migrate(database)
        for statement in TABLES:
            database.execute(statement)
    except sqlite3.Error as error:
        raise schema.Invalid(f"{path}: {error}") from error
    return database


def is_old(database):
    """Every value, counters too, was a row of a table called results: 1.1 MB for a run of 738 cases."""
    return database.execute("SELECT 1 FROM sqlite_master WHERE name = 'results' AND type = 'table'").fetchone()


def migrate(database):
    """All values go over, or the file stays as it was; then it gives its room back."""
    with database:
        database.execute("BEGIN IMMEDIATE")
        if not is_old(database):  # another program was faster
            return
        database.execute("ALTER TABLE runs ADD COLUMN counters BLOB")
        database.execute("ALTER TABLE runs ADD COLUMN counters_bytes INTEGER")
        database.execute("ALTER TABLE results RENAME TO old_results")
        for statement in TABLES:
            database.execute(statement)
        for (run_id,) in database.execute("SELECT id FROM runs ORDER BY id").fetchall():
            query = "SELECT part, name, repetition, metric, value FROM old_results WHERE run_id = ?"
            insert_values(database, run_id, database.execute(query, (run_id,)).fetchall())
        database.execute("DROP TABLE old_results")
    database.execute("VACUUM")


def is_counter(part, metric):
    """Most values of a run, and seldom asked for; the page draws none of them. They lie together in runs.counters."""
    return part == "bench" and metric != "cpu_time_ns" or part == "inputs" and metric.startswith("totals.")


def rows_of(result):
    """(part, name, repetition, metric, value) of everything that was measured."""
    if "bench" in result:
        for name, repetition, metric, value in bench.raw_rows(result["bench"]):
            yield "bench", name, repetition, metric, value
    yield from perf_rows(result.get("perf", {}))
    yield from hyperfine_rows(result.get("hyperfine", {}))
    for entry in result.get("findings", []):
        for key in ("count", "first_exec", "first_seconds", "ops"):
            yield "findings", entry["key"], 0, key, float(entry[key])
    for entry in result.get("fuzz", []):
        for key, value in entry.items():
            if schema.is_number(value):
                yield "fuzz", entry["target"], 0, key, float(value)
    for entry in result.get("inputs", []):
        name = f"{os.path.basename(entry['input'])}/{entry['format']}"
        yield "inputs", name, 0, "seconds", float(entry["seconds"])
        for key, value in inputs.flatten(entry["totals"]):
            if schema.is_number(value):
                yield "inputs", name, 0, f"totals.{key}", float(value)


def perf_rows(perf):
    for entry in perf.get("instructions", []):
        yield "perf", entry["case"], 0, "instructions_per_op", float(entry["per_op"])
    for entry in perf.get("families", []):
        for event, reported in entry["events"].items():
            yield "perf", entry["family"], 0, event, float(reported["value"])


def hyperfine_rows(measured):
    for entry in measured.get("results", []):
        name = hyperfine.label(entry["command"])
        yield "hyperfine", name, 0, "median_seconds", float(entry["median"])
        for repetition, seconds in enumerate(entry["times"]):
            yield "hyperfine", name, repetition, "seconds", float(seconds)


def store(path, result, folder):
    """One transaction: the run is in with every value, or not at all. Returns its id. Raises Invalid."""
    database = connect(path)
    try:
        with database:
            return insert(database, result, folder)
    except sqlite3.Error as error:
        raise schema.Invalid(f"{path}: {error}") from error
    finally:
        database.close()


def insert(database, result, folder):
    run = result["run"]
    cursor = database.execute(
        "INSERT INTO runs (started, mode, commit_id, modified, machine, folder, run_json) VALUES (?,?,?,?,?,?,?)",
        (
            run["started"],
            run["mode"],
            run["commit"]["id"],
            int(run["commit"]["modified"]),
            machine_key(run),
            folder,
            json.dumps(run),
        ),
    )
    insert_values(database, cursor.lastrowid, list(rows_of(result)))
    return cursor.lastrowid


def insert_values(database, run_id, rows):
    kept = [row for row in rows if not is_counter(row[0], row[3])]
    series = [(part, name, metric) for part, name, _, metric, _ in kept]
    database.executemany("INSERT OR IGNORE INTO series (part, name, metric) VALUES (?,?,?)", series)
    find = "SELECT ?, id, ?, ? FROM series WHERE part = ? AND name = ? AND metric = ?"
    samples = [(run_id, repetition, value, part, name, metric) for part, name, repetition, metric, value in kept]
    database.executemany(f"INSERT INTO samples {find}", samples)
    text = json.dumps(counters_of(rows), separators=(",", ":")).encode()
    update = "UPDATE runs SET counters = ?, counters_bytes = ? WHERE id = ?"
    database.execute(update, (zlib.compress(text, 9), len(text), run_id))


def counters_of(rows):
    found = {}
    for part, name, _, metric, value in sorted(rows, key=lambda row: row[2]):  # repetitions in order
        if is_counter(part, metric):
            values = found.setdefault(part, {}).setdefault(name, {}).setdefault(metric, [])
            values.append(int(value) if value.is_integer() else value)
    return found


def previous(path, run):
    """
    The latest earlier run on the same machine, compiler and flags: (its run.json, {case: median cpu_time_ns}).
    None where there is none.
    """
    if not os.path.exists(path):
        return None
    database = connect(path)
    row = database.execute(
        "SELECT id, run_json FROM runs WHERE machine = ? AND started < ? ORDER BY started DESC, id DESC LIMIT 1",
        (machine_key(run), run["started"]),
    ).fetchone()
    if not row:
        database.close()
        return None
    collected = {}
    query = "SELECT name, value FROM results WHERE run_id = ? AND part = 'bench' AND metric = 'cpu_time_ns'"
    for name, value in database.execute(query, (row[0],)):
        collected.setdefault(name, []).append(value)
    database.close()
    return json.loads(row[1]), {name: statistics.median(values) for name, values in collected.items()}
