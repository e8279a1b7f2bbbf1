#!/usr/bin/python3 -B
"""scripts/nightly from outside, with stand-ins for the programs that it runs: exit codes, files, stops, refusals."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, HERE)
from nightlylib import schema  # noqa: E402
from nightlylib.modes import COUNTS, FUZZ_TARGETS, QUICK_CASES  # noqa: E402
from result_case import load_script  # noqa: E402

matrix_script = load_script("matrix")

# By a quick run: speed is for the longer ones.
NOT_WRITTEN = {"speed"} | (set() if os.path.exists(os.path.join(HERE, "gate-rates.json")) else {"gate"})

# Stand-ins. $STAND_IN says how they misbehave.
CMAKE = r"""#!/bin/sh
[ "$STAND_IN" != build-fails ] || { echo "engine.c:7: error: expected ';'" >&2; exit 1; }
"""
BENCH = r"""#!/bin/bash
for argument; do
    case $argument in
    --list) cat HERE/cases; exit ;;
    --benchmark_out=*) out=${argument#*=} ;;
    esac
done
while read -r name; do echo "$name  180 ns  180 ns 1000"; done < HERE/cases
case $STAND_IN in
bench-hangs) cp FIXTURE/bench.json "$out.part"; touch HERE/started; sleep 60 ;;
bench-wrong) sed 's/"cpu_time": 18[0-9.]*,/"error_occurred": true, "error_message": "leaf 7 is not there",/' \
    FIXTURE/bench.json > "$out"; exit 1 ;;
bench-half) head -c 3000 FIXTURE/bench.json > "$out" ;;
*) cp FIXTURE/bench.json "$out" ;;
esac
"""
REPLAY = r"""#!/bin/bash
while (($#)); do case $1 in --json) out=$2; shift ;; --format=*) ;; *) file=$1 ;; esac; shift; done
if [[ $file == *.ops ]]; then
    [[ $STAND_IN != finding-unconfirmed || $file != *stale* ]] || { echo "$file:9: expected hit=4K, got fault=unmapped"; exit 1; }
    printf '  finding: %s\n' 'LOSES DMA' STALE EXPANDS
    exit
fi
[[ $STAND_IN != replay-bad || $file != *trace* ]] || { echo "$file:12: not an event" >&2; exit 2; }
echo '{"schema": 1, "files": [{"path": "x", "kind": "trace", "maps_read": 7, "leaves": {"4K": 9}}]}' > "$out"
[[ $STAND_IN != replay-differs ]] || { echo "op 5: oracle 0x1000, walk 0x2000"; exit 1; }
"""
FUZZ = r"""#!/bin/bash
for argument; do case $argument in -artifact_prefix=*) crashes=${argument#*=} ;; -max_total_time=*) echo "$argument" ;; esac; done
printf "#2000\\tpulse  cov: 2711 ft: 12001 corp: 604/112Kb lim: 4096 exec/s: 1000 rss: 60Mb\\n"
case $STAND_IN in
fuzz-crashes) echo "mapproof: difference at op 3 of 9"; echo abc > "${crashes}crash-da39a3ee" ;;
fuzz-hangs) trap 'echo "mapproof: execs=1999 ops=5997 findings=1"; exit 130' INT; touch HERE/started; sleep 60 & wait ;;
esac
if [[ $0 == *lockstep ]]; then
    cp FIXTURE/findings/*.ops "$MAPPROOF_FINDINGS"
    echo "mapproof: finding stale.iotlb-after-unmap.amd count=1877 first_exec=812 first_seconds=0.33 ops=5"
    echo "mapproof: finding expands.fill-covers-shared.amd-fill-2m count=96 first_exec=40211 first_seconds=13.40 ops=5"
    [[ $STAND_IN == finding-uncounted ]] ||
        echo "mapproof: finding loses-dma.rmp-size-bystander.amd count=4211 first_exec=1934 first_seconds=0.81 ops=6"
fi
[[ $STAND_IN == fuzz-silent ]] || echo "mapproof: execs=2001 ops=60030 findings=12"
echo "stat::number_of_executed_units: 2001"
[[ $STAND_IN != fuzz-crashes ]] || exit 77
"""
PERF = r"""#!/bin/bash
[[ $STAND_IN != perf-refuses ]] || { echo "Error: Access to performance monitoring is limited." >&2; exit 255; }
case $1 in
stat)
    while [[ $1 != -- ]]; do [[ $1 != -o ]] || out=$2; shift; done
    shift
    echo '{"counter-value" : "794.184432", "unit" : "msec", "event" : "task-clock"}' > "$out"
    if [[ $STAND_IN == perf-has-counters ]]; then
        echo '{"counter-value" : "1772215.000000", "unit" : "", "event" : "instructions:u"}' >> "$out"
    else
        echo '{"counter-value" : "<not supported>", "unit" : "", "event" : "instructions:u"}' >> "$out"
    fi ;;
record) ;;
script) printf '\n\t 1a amdv1_map_range (x)\n\t 2b run_case (x)\n\n\n\t 3c reset (x)\n\t 2b run_case (x)\n\n' ;;
esac
"""
VALGRIND = r"""#!/bin/bash
[[ $STAND_IN != nothing-counts ]] || { echo "valgrind: cannot" >&2; exit 1; }
echo "==1== Collected : 2000000"
"""
HYPERFINE = r"""#!/bin/bash
while (($#)); do case $1 in --export-json) out=$2; shift ;; esac; shift; done
[[ $STAND_IN != hyperfine-fails ]] || { echo "Error: Command terminated with non-zero exit code: 2" >&2; exit 1; }
cp FIXTURE/hyperfine.json "$out"
"""

# What scripts/matrix asks, and ctest with the golden files that the build would list.
RAN = r"""#!/bin/bash
case $0 in
*kunit*) test=${0##*/pt_kunit_}
    echo "ran amdv1 amdv1-l2 ${test%_test}"
    [[ $STAND_IN == matrix-hole && $0 == *iommu* ]] || echo "ran x86_64 x86_64-47 ${test%_test}" ;;
*oracle*) for format in amdv1 x86_64; do echo "$format: 200 scripts (0 worlds refused)"; done ;;
*nested*) for format in amdv1 x86_64; do echo "ran $format s1-s2 nested"; done ;;
esac
[[ $STAND_IN != test-fails || $0 != *decode* ]] || exit 1
"""


def operations():
    """hitless_test says what all programs would say of operations."""
    lines = [
        f"did {evidence} {format} {operation} 3"
        for format in ("amdv1", "x86_64")
        for operation in matrix_script.OPERATIONS
        for evidence in matrix_script.EVIDENCE
        if not matrix_script.reason_of(format, operation, evidence)
    ]
    said = "\n".join([*lines, "hitless: 700 stores observed"])
    return f"#!/bin/bash\ncat <<'END' | if [[ $STAND_IN == no-fuzz ]]; then grep -v 'fuzz x86_64 cut'; else cat; fi\n{said}\nEND\n"


RAN_BY = set(matrix_script.programs()) - {"mapproof-bench", "hitless_test"}
CTEST = r"""#!/bin/sh
echo "  Test #1: golden_amdv1-4k"
echo "  Test #2: golden_x86_64-47"
"""


class Case(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="mapproof-nightly-")
        self.addCleanup(shutil.rmtree, self.root, True)
        self.out = os.path.join(self.root, "result")
        self.history = os.path.join(self.root, "history.sqlite")
        for path, text in (
            ("bin/cmake", CMAKE),
            ("build/release/mapproof-bench", BENCH),
            ("build/release/mapproof-replay", REPLAY),
            ("bin/perf", PERF),
            ("bin/valgrind", VALGRIND),
            ("bin/hyperfine", HYPERFINE),
            ("bin/ctest", CTEST),
            *((f"build/release/{name}", RAN) for name in RAN_BY),
            ("build/release/hitless_test", operations()),
            *((f"build/fuzz/{target}", FUZZ) for target in FUZZ_TARGETS),
        ):
            self.stand_in(path, text)
        with open(os.path.join(self.root, "cases"), "w", encoding="utf-8") as file:
            file.write("\n".join(QUICK_CASES) + "\n")

    def stand_in(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("HERE", self.root).replace("FIXTURE", os.path.join(HERE, "fixture")))
        os.chmod(path, 0o755)

    def command(self, mode="quick"):
        program = os.path.join(HERE, "nightly.py")
        places = ["--out", self.out, "--history", self.history, "--builds", os.path.join(self.root, "build")]
        return ["/usr/bin/python3", "-B", program, "--mode", mode, *places]

    def environment(self, behaviour):
        return {**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}", "STAND_IN": behaviour}

    def nightly(self, behaviour="", mode="quick"):
        return subprocess.run(
            self.command(mode), env=self.environment(behaviour), capture_output=True, text=True, timeout=120, check=False
        )

    def read(self, *path):
        with open(os.path.join(*path), encoding="utf-8") as file:
            return file.read()

    def stored_runs(self):
        if not os.path.exists(self.history):
            return 0
        with sqlite3.connect(self.history) as database:
            return database.execute("SELECT count(*) FROM runs").fetchone()[0]


class WholeRunTest(Case):
    def test_a_good_run_writes_every_file_and_exits_0(self):
        done = self.nightly()
        self.assertEqual(done.returncode, 0, done.stderr)
        result = schema.read_result(self.out)  # checks every file
        self.assertEqual(result["run"]["state"], "complete")
        self.assertEqual(set(schema.FILES) - set(result["run"]["files"]), NOT_WRITTEN)
        self.assertEqual(self.read(self.out, "bench.json"), self.read(HERE, "fixture", "bench.json"))  # as is
        entry = result["fuzz"][0]
        self.assertEqual((entry["execs"], entry["ops_per_exec"], entry["edges"]), (2001, 30.0, 2711))
        self.assertEqual(len(result["inputs"]), 6)
        self.assertEqual(result["inputs"][0]["totals"]["maps_read"], 7)
        self.assertIn("Nothing wrong was found", self.read(self.out, "index.html"))
        self.assertIn("map/amdv1/256x4K/warm: 180", done.stdout)
        self.assertEqual(self.stored_runs(), 1)
        self.assertFalse(os.path.exists(f"{self.out}.partial"))
        self.assertFalse(os.path.exists(os.path.join(self.out, "crashes")))
        self.assertNotIn("\r", done.stderr)  # no terminal: plain lines
        self.assertIn("-max_total_time=4", self.read(self.out, "log", "fuzz_engine.log"))
        self.assertIn("-max_total_time=8", self.read(self.out, "log", "fuzz_lockstep.log"))
        self.assertEqual(self.read(self.out, "hyperfine.json"), self.read(HERE, "fixture", "hyperfine.json"))  # as is

    def test_the_matrix_is_that_of_the_tests_of_the_release_build(self):
        self.assertEqual(self.nightly().returncode, 0)
        result = schema.read_result(self.out)
        matrix = result["matrix"]
        self.assertEqual(result["run"]["files"]["matrix"], "matrix.json")
        self.assertEqual(result["run"]["parts"]["matrix"]["state"], "ok")
        self.assertEqual(matrix["rows"], ["amdv1-l2", "x86_64-47"])
        self.assertEqual(matrix["columns"], ["format", "iommu", "golden", "oracle", "nested", "bench"])
        of_amdv1, of_x86_64 = (sum(bool(re.match(rf"(map|unmap)/{each}/", case)) for case in QUICK_CASES) for each in ("amdv1", "x86_64"))
        self.assertEqual(matrix["cells"], [[1, 1, 1, 200, 1, of_amdv1], [1, 1, 1, 200, 1, of_x86_64]])
        self.assertEqual(matrix["operations"]["formats"], ["amdv1", "x86_64"])
        self.assertEqual(matrix["operations"]["totals"], {"points": 0, "stores": 700})
        self.assertIn("2 configurations of 2 formats, 6 columns: no hole", self.read(self.out, "index.html"))

    def test_a_quick_run_leaves_the_matrix_out_where_its_tests_are_not_built(self):
        os.remove(os.path.join(self.root, "build", "release", "world_nested_test"))
        done = self.nightly()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("matrix of formats and tests: left out, its programs are not built", done.stderr)
        result = schema.read_result(self.out)
        self.assertNotIn("matrix", result)
        self.assertNotIn("matrix", result["run"]["parts"])
        self.assertNotIn('href="#formats"', self.read(self.out, "index.html"))

    def test_what_was_found_is_listed_with_confirmed_scripts(self):
        self.assertEqual(self.nightly().returncode, 0)
        found = schema.read_result(self.out)["findings"]
        expected = schema.read_json(os.path.join(HERE, "fixture", "findings.json"))
        for key in ("key", "finding", "title", "count", "first_exec", "first_seconds", "ops", "script", "steps", "confirmed"):
            self.assertEqual([each[key] for each in found], [each[key] for each in expected])
        for each in found:
            self.assertEqual(self.read(self.out, each["script"]), self.read(HERE, "fixture", each["script"]))

    def test_the_tier_that_the_machine_gives_is_named_with_the_reason(self):
        self.assertEqual(self.nightly().returncode, 0)
        perf = schema.read_result(self.out)["perf"]
        self.assertEqual(perf["tier"], "software")
        self.assertIn("perf counts no instructions here (not supported", perf["why"])
        self.assertEqual({each["tier"] for each in perf["families"]}, {"software"})
        self.assertEqual([each["family"] for each in perf["families"]], list(dict.fromkeys(case.split("/")[0] for case in QUICK_CASES)))
        self.assertEqual(perf["families"][0]["events"], {"task-clock": {"value": 794.184432, "unit": "msec"}})
        self.assertEqual(perf["instructions"][0], {"case": COUNTS[0][0], "per_op": 1000.0, "tier": "callgrind", "ops": 2000})
        self.assertEqual((perf["flamegraph"]["samples"], perf["flamegraph"]["all_samples"]), (1, 2))
        self.assertIn("amdv1_map_range: 1 samples", self.read(self.out, "flamegraph.svg"))

    def test_hardware_counters_are_the_best_tier(self):
        self.assertEqual(self.nightly("perf-has-counters").returncode, 0)
        perf = schema.read_result(self.out)["perf"]
        self.assertEqual((perf["tier"], perf["why"]), ("pmu", ""))

    def test_without_perf_callgrind_still_counts(self):
        self.assertEqual(self.nightly("perf-refuses").returncode, 0)
        perf = schema.read_result(self.out)["perf"]
        self.assertEqual((perf["tier"], perf["families"], perf["flamegraph"]), ("callgrind", [], None))
        self.assertIn("perf stat: exit code 255; kernel.perf_event_paranoid is ", perf["why"])
        self.assertIn("Access to performance monitoring is limited", perf["why"])
        self.assertFalse(os.path.exists(os.path.join(self.out, "flamegraph.svg")))

    def test_the_history_has_instructions_and_times_of_whole_replays(self):
        self.nightly()
        with sqlite3.connect(self.history) as database:
            query = "SELECT value FROM results WHERE part = ? AND name = ? AND metric = ?"
            instructions = database.execute(query, ("perf", "map/amdv1/256x4K/warm", "instructions_per_op")).fetchall()
            name = "linux-6.12-vtd-nvme-e1000e.trace.xz/amdv1"
            medians = database.execute(query, ("hyperfine", name, "median_seconds")).fetchall()
            times = database.execute(query, ("hyperfine", name, "seconds")).fetchall()
            found = database.execute(query, ("findings", "stale/iotlb-after-unmap/amd", "count")).fetchall()
        expected = schema.read_json(os.path.join(HERE, "fixture", "hyperfine.json"))["results"][0]
        self.assertEqual((instructions, medians), ([(2000.0,)], [(expected["median"],)]))
        self.assertEqual([row[0] for row in times], expected["times"])
        self.assertEqual(found, [(1877.0,)])

    def test_a_second_run_replaces_the_first_and_compares_with_it(self):
        self.nightly()
        time.sleep(1.1)  # runs are told apart by their second
        self.assertEqual(self.nightly().returncode, 0)
        self.assertIn("of 12 cases", self.read(self.out, "index.html"))
        self.assertEqual(self.stored_runs(), 2)
        self.assertEqual([name for name in os.listdir(self.root) if name.startswith("result")], ["result"])


class WrongTest(Case):
    def expect(self, behaviour, part, message):
        done = self.nightly(behaviour)
        self.assertEqual(done.returncode, 1, done.stderr)
        run = schema.read_result(self.out)["run"]
        self.assertEqual((run["exit_code"], run["parts"][part]["state"]), (1, "failed"))
        self.assertIn(message, run["parts"][part]["message"])
        self.assertIn(message, done.stderr)
        self.assertIn("Something is wrong", self.read(self.out, "index.html"))

    def test_a_crash_exits_1_and_keeps_the_input(self):
        self.expect("fuzz-crashes", "fuzz", "mapproof: difference at op 3 of 9")
        self.assertEqual(os.listdir(os.path.join(self.out, "crashes", "fuzz_engine")), ["crash-da39a3ee"])
        self.assertEqual(schema.read_result(self.out)["fuzz"][0]["crashes"], 1)

    def test_a_case_with_a_wrong_result_exits_1(self):
        self.expect("bench-wrong", "bench", "map/amdv1/256x4K/warm: leaf 7 is not there")

    def test_a_finding_that_replay_does_not_confirm_exits_1(self):
        self.expect("finding-unconfirmed", "fuzz", "stale.iotlb-after-unmap.amd.ops: not confirmed: exit code 1")
        confirmed = {each["finding"]: each["confirmed"] for each in schema.read_result(self.out)["findings"]}
        self.assertEqual(confirmed, {"LOSES DMA": True, "STALE": False, "EXPANDS": True})

    def test_a_finding_that_nobody_counted_exits_1(self):
        self.expect("finding-uncounted", "fuzz", "loses-dma.rmp-size-bystander.amd.ops was written and not counted")

    def test_a_hole_in_the_matrix_exits_1_and_shows_on_the_first_screen(self):
        self.expect("matrix-hole", "matrix", "hole: x86_64-47: iommu")
        text = self.read(self.out, "index.html")
        self.assertIn("Something is wrong; formats: failed", text)
        self.assertIn("Holes in the matrix", text[: text.index("<main")])

    def test_a_hole_in_the_matrix_of_operations_exits_1_and_shows_on_the_first_screen(self):
        self.expect("no-fuzz", "matrix", "hole: x86_64: cut: fuzz")
        text = self.read(self.out, "index.html")
        self.assertIn("Holes in the matrix", text[: text.index("<main")])

    def test_a_test_of_the_matrix_that_fails_exits_1(self):
        self.expect("test-fails", "matrix", "failed: encode_decode_test")

    def test_a_replay_that_differs_exits_1(self):
        self.expect("replay-differs", "inputs", "op 5: oracle 0x1000, walk 0x2000")


class CannotRunTest(Case):
    def expect(self, behaviour, part, message):
        done = self.nightly(behaviour)
        self.assertEqual(done.returncode, 2, done.stderr)
        run = schema.read_result(self.out)["run"]
        self.assertEqual(run["parts"][part]["state"], "could-not-run")
        self.assertIn(message, run["parts"][part]["message"])
        self.assertIn("Something could not run", self.read(self.out, "index.html"))
        self.assertEqual(self.stored_runs(), 0)
        return run

    def test_a_build_that_fails(self):
        run = self.expect("build-fails", "bench", "engine.c:7: error: expected ';'")
        self.assertEqual({part["state"] for part in run["parts"].values()}, {"could-not-run"})

    def test_half_a_bench_json(self):
        run = self.expect("bench-half", "bench", "bench.json: not JSON")
        self.assertEqual(run["parts"]["fuzz"]["state"], "ok")

    def test_a_case_that_does_not_exist(self):
        with open(os.path.join(self.root, "cases"), "w", encoding="utf-8") as file:
            file.write("\n".join(QUICK_CASES[:-1]) + "\n")
        self.expect("", "bench", f"no such case: {QUICK_CASES[-1]}")

    def test_a_replay_that_refuses_its_input(self):
        self.expect("replay-bad", "inputs", "trace.xz:12: not an event")

    def test_a_fuzz_target_that_does_not_say_what_it_did(self):
        self.expect("fuzz-silent", "fuzz", "mapproof: execs=N")

    def test_neither_perf_nor_callgrind(self):
        self.stand_in("bin/perf", "#!/bin/sh\nexit 255\n")
        self.expect("nothing-counts", "perf", "callgrind: map/amdv1/1x4K/warm: exit code 1")

    def test_a_replay_that_hyperfine_cannot_time(self):
        self.expect("hyperfine-fails", "hyperfine", "Command terminated with non-zero exit code: 2")
        self.assertFalse(os.path.exists(os.path.join(self.out, "hyperfine.json")))

    def test_a_program_that_is_missing(self):
        os.remove(os.path.join(self.root, "build", "fuzz", "fuzz_engine"))
        self.expect("", "fuzz", "fuzz_engine: No such file or directory")

    def test_a_run_that_is_not_quick_needs_the_tests_of_the_matrix(self):
        os.remove(os.path.join(self.root, "build", "release", "world_nested_test"))
        done = self.nightly(mode="default")
        self.assertEqual(done.returncode, 2, done.stderr)
        part = schema.read_result(self.out)["run"]["parts"]["matrix"]
        self.assertEqual(part["state"], "could-not-run")
        self.assertIn("world_nested_test is not built", part["message"])

    def test_a_history_that_is_no_database(self):
        with open(self.history, "w", encoding="utf-8") as file:
            file.write("no database\n" * 100)
        done = self.nightly()
        self.assertEqual(done.returncode, 2)
        self.assertIn(f"scripts/nightly: {self.history}: ", done.stderr)

    def test_less_than_a_whole_result_does_not_replace_one(self):
        self.nightly()
        before = self.read(self.out, "run.json")
        done = self.nightly("bench-half")
        self.assertEqual(done.returncode, 2)
        self.assertEqual(self.read(self.out, "run.json"), before)
        self.assertIn("is as it was", done.stderr)
        self.assertIn("Something could not run", self.read(f"{self.out}.partial", "index.html"))


class StopTest(Case):
    def stop(self, number, behaviour="bench-hangs"):
        child = subprocess.Popen(
            self.command(), env=self.environment(behaviour), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 30
        while not os.path.exists(os.path.join(self.root, "started")) and time.monotonic() < deadline:
            time.sleep(0.05)
        half_way = self.read(f"{self.out}.partial", "index.html")
        child.send_signal(number)
        _, errors = child.communicate(timeout=60)
        return child.returncode, half_way, errors

    def test_ctrl_c_leaves_what_was_measured_and_replaces_nothing(self):
        code, half_way, errors = self.stop(signal.SIGINT)
        self.assertEqual(code, 2, errors)
        self.assertIn("Still running", half_way)
        self.assertFalse(os.path.exists(self.out))
        result = schema.read_result(f"{self.out}.partial")
        self.assertEqual((result["run"]["state"], result["run"]["parts"]["bench"]["state"]), ("stopped", "stopped"))
        self.assertEqual(len(result["bench"]["benchmarks"]), 12)  # salvaged
        self.assertIn("Stopped before the end", self.read(f"{self.out}.partial", "index.html"))
        self.assertEqual(self.stored_runs(), 0)
        self.assertEqual(self.nightly().returncode, 0)  # and the next run is not in its way
        self.assertFalse(os.path.exists(f"{self.out}.partial"))

    def test_a_stopped_fuzz_target_still_says_what_it_did(self):
        code, _, errors = self.stop(signal.SIGINT, "fuzz-hangs")
        self.assertEqual(code, 2, errors)
        entry = schema.read_result(f"{self.out}.partial")["fuzz"][-1]
        self.assertEqual((entry["ops_per_exec"], entry["findings"]), (3.0, 1))

    def test_sigterm_stops_as_well(self):
        self.assertEqual(self.stop(signal.SIGTERM)[0], 2)


class ModesTest(unittest.TestCase):
    def test_every_fuzz_target_of_the_build_is_fuzzed(self):
        with open(os.path.join(ROOT, "fuzz", "CMakeLists.txt"), encoding="utf-8") as file:
            targets = re.search(r"^set\(targets ([^)]*)\)", file.read(), re.MULTILINE)
        self.assertEqual(sorted(FUZZ_TARGETS), sorted(targets[1].split()))


class UsageTest(unittest.TestCase):
    """The script's own refusals, all before any set-up or build."""

    def refuse(self, *arguments, message):
        program = os.path.join(ROOT, "scripts", "nightly")
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stdout, "")
        self.assertIn(f"scripts/nightly: {message}", done.stderr)

    def test_an_unknown_flag(self):
        self.refuse("--fast", message="unknown argument: --fast")

    def test_a_stray_argument(self):
        self.refuse("--quick", "reports", message="unknown argument: reports")

    def test_quick_and_long(self):
        self.refuse("--quick", "--long", message="--quick and --long exclude each other")

    def test_out_without_a_directory(self):
        self.refuse("--out", message="--out needs a directory")
        self.refuse("--out=", message="--out needs a directory")

    def test_an_out_that_cannot_be_written(self):
        self.refuse("--quick", "--out", "/dev/null", message="--out /dev/null: is there and is not a directory")
        self.refuse("--quick", "--out", "/dev/null/x", message="--out /dev/null/x: cannot make /dev/null")
        self.refuse("--quick", "--out", "/proc/x/y", message="--out /proc/x/y: cannot make /proc/x")


if __name__ == "__main__":
    unittest.main()
