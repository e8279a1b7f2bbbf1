"""
Whole runs of scripts/gate in a small repository made here, whose benchmark reports what its source says, so that
nothing here judges a time.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = ("aa", "aa-loaded", "ten", "ten-loaded", "five", "five-loaded")


def needs_tools(test):
    missing = [tool for tool in ("git", "cmake", "ninja", "cc", "objdump", "valgrind") if not shutil.which(tool)]
    return unittest.skipIf(missing, f"no {', '.join(missing)} here")(test)


TINY = {
    "CMakeLists.txt": """cmake_minimum_required(VERSION 3.25)
project(tiny LANGUAGES C)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
add_library(mapproof_base STATIC core/base/base.c)
add_library(mapproof_pt STATIC core/pt/pt.c)
add_executable(mapproof-bench bench/bench.c)
target_link_libraries(mapproof-bench mapproof_pt mapproof_base)
""",
    "CMakePresets.json": """{ "version": 6, "configurePresets": [ { "name": "release", "generator": "Ninja",
    "binaryDir": "${sourceDir}/build/release", "cacheVariables": { "CMAKE_C_FLAGS_RELEASE": "-O1 -g",
    "CMAKE_BUILD_TYPE": "Release" } } ] }
""",
    ".gitignore": "/build/\n",
    "core/base/base.c": "int base(int x) { return x + 1; }\n",
    "core/pt/pt.c": """const char pt_file[] = __FILE__;
const int pt_table[] = { 1, 2, 3 };
/* nothing */
double pt_ns(void) { return 100.0; }
unsigned pt_work(unsigned x) { for (int i = 0; i < 100; i++) { x = x * 3 + 1; __asm__ volatile("" : "+r"(x)); } return x; }
""",
    "bench/bench.c": r"""#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <valgrind/callgrind.h>
double pt_ns(void);
unsigned pt_work(unsigned x);
int main(int argc, char **argv)
{
    unsigned x = 1;
    int is_slow = 0;
    if (strncmp(argv[1], "--engine=", 9) == 0) { is_slow = strstr(argv[1], "slow") != NULL; argv++; argc--; }
    if (strcmp(argv[1], "--list") == 0) { puts("map/one\nmap/two"); return 0; }
    if (strcmp(argv[1], "--count") == 0) {
        CALLGRIND_TOGGLE_COLLECT;
        for (int i = 0; i < atoi(argv[2]); i++) x = is_slow ? pt_work(pt_work(x)) : pt_work(x);
        CALLGRIND_TOGGLE_COLLECT;
        return x == 12345;
    }
    const char *name = strstr(argv[1], "two") ? "map/two" : "map/one";
    printf("{ \"benchmarks\": [");
    for (int i = 0; i < 15; i++)
        printf("%s { \"run_name\": \"%s\", \"run_type\": \"iteration\", \"time_unit\": \"ns\", \"cpu_time\": %f }",
               i ? "," : "", name, pt_ns() * (1 + is_slow) + getpid() % 7 * 0.05);
    puts("] }");
    return argc < 2;
}
""",
    "scripts/gate_cases.txt": "map/* 100\n",
}


@needs_tools
class RunTest(unittest.TestCase):
    """Whole runs. The repository has a commit for each question, tagged; its work tree is left dirty on purpose."""

    @classmethod
    def setUpClass(cls):
        cls.place = tempfile.TemporaryDirectory(prefix="mapproof-gate-")
        cls.root = os.path.join(cls.place.name, "repo")
        for path, text in TINY.items():
            cls.write(path, text)
        for name in ("gate", "gate-rates"):
            shutil.copy(os.path.join(HERE, name), os.path.join(cls.root, "scripts"))
        shutil.copytree(
            os.path.join(HERE, "gatelib"),
            os.path.join(cls.root, "scripts", "gatelib"),
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        cls.git("init", "-q", "-b", "trunk")
        cls.commit("start")
        pt, bench = TINY["core/pt/pt.c"], TINY["bench/bench.c"]
        cls.commit("comment", "core/pt/pt.c", pt.replace("/* nothing */", "/* a word */"))
        cls.commit("table", "core/pt/pt.c", pt.replace("2, 3", "2, 4"))
        cls.commit("slower", "core/pt/pt.c", pt.replace("100.0", "110.0").replace("i < 100", "i < 120"))
        cls.commit("longer", "core/pt/pt.c", pt.replace("i < 100", "i < 120"))
        cls.commit("broken", "core/pt/pt.c", "no C\n")
        cls.git("checkout", "-q", "start", "--", "core")
        cls.commit("sleepy", "bench/bench.c", bench.replace("puts(", "sleep(60); puts("))
        cls.git("checkout", "-q", "--detach", "start")

    @classmethod
    def tearDownClass(cls):
        cls.place.cleanup()

    @classmethod
    def write(cls, path, text):
        path = os.path.join(cls.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    @classmethod
    def git(cls, *arguments):
        names = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return subprocess.run(
            ["git", *names, *arguments],
            cwd=cls.root,
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ).stdout

    @classmethod
    def commit(cls, tag, path=None, text=None):
        if path:
            cls.write(path, text)
        cls.git("add", "-A")
        cls.git("commit", "-q", "-m", tag)
        cls.git("tag", tag)

    def gate(self, *arguments, script="gate", **environment):
        command = [os.path.join(self.root, "scripts", script), *arguments]
        environment = {**os.environ, **environment}
        pipe = subprocess.PIPE
        return subprocess.run(command, stdout=pipe, stderr=pipe, text=True, timeout=100, env=environment)

    def refused(self, words, *arguments, **environment):
        result = self.gate(*arguments, **environment)
        self.assertEqual(result.returncode, 2, result)
        self.assertIn(words, result.stderr)
        self.assertNotIn("Traceback", result.stderr)

    def test_bad_arguments_exit_2(self):
        self.refused("BASE is missing")
        self.refused("unrecognized arguments: --bogus", "--bogus", "start")
        self.refused("unrecognized arguments: third", "start", "start", "third")
        self.refused("unknown revision: nope", "nope", "start")
        self.refused("unknown revision: nope", "start", "nope")
        self.refused("unknown revision: --all", "start", "--", "--all")
        self.refused("at least 20", "--pairs", "19", "start")
        self.refused("expected seconds", "--budget", "soon", "start")
        self.refused("--clean takes no commits", "--clean", "start")
        self.refused("cannot write in /nowhere", "--json", "/nowhere/x.json", "start", "start")
        self.refused("no-list.txt: No such file", "--cases", "no-list.txt", "start", "start")

    def test_help_exits_0(self):
        for script in ("gate", "gate-rates"):
            result = self.gate("--help", script=script)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertIn(f"usage: scripts/{script} ", result.stdout)

    def test_rates_refuse_what_they_do_not_know(self):
        self.refused("unrecognized arguments: --bogus", "--bogus", script="gate-rates")
        self.refused("expected a number", "--aa", "many", script="gate-rates")
        self.refused("expected seconds", "--budget", "soon", script="gate-rates")
        self.refused("unknown revision: nope", "nope", script="gate-rates")
        self.refused("cannot write in /nowhere", "--json", "/nowhere/x.json", script="gate-rates")
        self.refused("/reports", "--publish", script="gate-rates")  # the tiny repository has no such folder
        self.refused("nothing to decide", *[f"--{kind}=0" for kind in KINDS], script="gate-rates")

    def test_what_cannot_be_measured_exits_2(self):
        self.refused("does not build", "start", "broken")
        self.refused("--case nope: matches no case", "--force", "--case", "nope", "start", "start")
        self.refused("No such preset", "--preset", "bogus", "start", "start")

    def test_identical_code_passes_at_once(self):
        for head in ("start", "comment"):
            result = self.gate("start", head)
            self.assertEqual(result.returncode, 0, result)
            self.assertIn("PASS: core/pt and core/base are the same machine code", result.stdout)

    def test_a_changed_table_is_not_identical_code(self):
        result = self.gate("start", "table")
        self.assertEqual(result.returncode, 0, result)
        self.assertIn("PASS: 2 cases, 0 regressions, 0 warnings", result.stdout)

    def test_force_measures_identical_code(self):
        result = self.gate("--force", "--case", "*one", "start", "start")
        self.assertEqual(result.returncode, 0, result)
        self.assertIn("PASS: 1 cases, 0 regressions", result.stdout)

    def test_a_regression_exits_1_with_its_table_and_json(self):
        path = os.path.join(self.place.name, "slower.json")
        result = self.gate("--seed", "3", "--json", path, "start", "slower")
        self.assertEqual(result.returncode, 1, result)
        self.assertRegex(result.stdout, r"map/one +1\.\d\d\d +\[1\.\d+, 1\.\d+\] +\d+\.\d -> \d+\.\d \(\+\d+\.\d%\) +SLOWER, in two")
        self.assertIn("    +100.0 instructions per op  core/pt/pt.c:pt_work\n", result.stdout)
        base, head = (self.git("rev-parse", name).strip() for name in ("start", "slower"))
        self.assertIn(f"repeat: scripts/gate --force --case map/one {base[:12]} {head[:12]}", result.stdout)
        self.assertIn("FAIL: 2 cases, 2 regressions, 0 warnings", result.stdout)
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        self.assertEqual((document["base"], document["head"], document["exit"]), (base, head, 1))
        self.assertEqual((document["seed"], document["verdict"], document["same_code"]), (3, "fail", False))
        found = document["cases"][0]
        self.assertEqual((found["verdict"], len(found["samples_ns"]["first"])), ("slower", 24))
        self.assertEqual(found["instructions_head"] - found["instructions_base"], 100 * 100)
        self.assertEqual([name for name in os.listdir(self.place.name) if name.startswith(".gate-")], [])

    def test_two_engines_of_one_build_are_compared(self):
        slow, path = os.path.join(self.place.name, "slow.so"), os.path.join(self.place.name, "engines.json")
        with open(slow, "w", encoding="utf-8"):
            pass
        same = self.gate("--engine-a", "general", "--engine-b", "general", "start")
        self.assertEqual(same.returncode, 0, same)
        self.assertIn("PASS: 2 cases, 0 regressions", same.stdout)
        result = self.gate("--engine-a", "general", "--engine-b", slow, "--json", path, "start")
        self.assertEqual(result.returncode, 1, result)
        self.assertIn(f"base is engine general, head is engine {slow}", result.stdout)
        self.assertIn("FAIL: 2 cases, 2 regressions", result.stdout)
        base = self.git("rev-parse", "start").strip()[:12]
        again = f"repeat: scripts/gate --force --case map/one --engine-a general --engine-b {slow} {base}\n"
        self.assertIn(again, result.stdout)
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        self.assertEqual((document["engine_base"], document["engine_head"]), ("general", slow))
        self.assertEqual(document["base"], document["head"])
        self.refused("go together", "--engine-a", "general", "start")
        self.refused("two engines of one commit", "--engine-a", "general", "--engine-b", "vector", "start", "start")
        self.refused("neither general nor vector nor a file", "--engine-a", "vax", "--engine-b", "vector", "start")

    def test_more_instructions_in_the_same_time_warn(self):
        result = self.gate("start", "longer")
        self.assertEqual(result.returncode, 0, result)
        self.assertIn("warning: more instructions", result.stdout)
        self.assertIn("PASS: 2 cases, 0 regressions, 2 warnings", result.stdout)

    def test_work_tree_and_index_stay_as_they_are(self):
        """With a changed, a staged and an unknown file, from inside a hook's environment, and with build/ gone."""
        self.write("core/base/base.c", "changed\n")
        self.write("core/base/new.c", "staged\n")
        self.write("core/base/unknown.c", "unknown\n")
        self.git("add", "core/base/new.c")
        try:
            before = self.state()
            self.refused("uncommitted changes would not be measured (core/base/base.c, core/base/new.c", "start")
            shutil.rmtree(os.path.join(self.root, "build"), ignore_errors=True)
            hook = {"GIT_DIR": os.path.join(self.root, ".git"), "GIT_INDEX_FILE": os.path.join(self.root, ".git", "index")}
            self.assertEqual(self.gate("start", "HEAD", **hook).returncode, 0)
            self.assertEqual(self.state(), before)
            self.assertEqual(len(self.git("worktree", "list").splitlines()), 3)
            self.assertEqual(self.gate("--clean").returncode, 0)
            self.assertEqual(self.state(), before)
            self.assertEqual(len(self.git("worktree", "list").splitlines()), 1)
            self.assertFalse(os.path.exists(os.path.join(self.root, "build", "gate")))
            self.assertEqual(self.gate("start", "comment").returncode, 0)
            shutil.rmtree(os.path.join(self.root, "build"))
            self.assertEqual(self.gate("--clean").returncode, 0)
            self.assertEqual(len(self.git("worktree", "list").splitlines()), 1)
        finally:
            self.git("reset", "-q", "--hard", "start")
            self.git("clean", "-fdq", "core")

    def state(self):
        digests = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = sorted(set(folders) - {".git", "build"})
            for name in sorted(names):
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    digests.append((path, os.stat(path).st_mtime_ns, hashlib.sha256(file.read()).hexdigest()))
        with open(os.path.join(self.root, ".git", "index"), "rb") as file:
            index = hashlib.sha256(file.read()).hexdigest()
        return digests, index, self.git("for-each-ref"), self.git("rev-parse", "HEAD"), self.git("stash", "list")

    def test_head_may_be_left_out_of_a_clean_tree(self):
        self.assertEqual(self.gate("start").returncode, 0)

    def test_the_budget_ends_it(self):
        self.refused("the budget of 0.01 s was used up while", "--budget", "0.01", "start", "slower")
        # More pairs than any machine can start in that time, after builds that fit.
        self.refused("give --budget SECONDS", "--pairs", "100000", "--budget", "6", "--force", "start", "slower")

    def test_ctrl_c_ends_it_and_its_children(self):
        command = [os.path.join(self.root, "scripts", "gate"), "--force", "start", "sleepy"]
        gate = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            deadline = time.monotonic() + 30
            while not sleepers(self.root) and time.monotonic() < deadline:
                time.sleep(0.1)
            self.assertTrue(sleepers(self.root), "it never came to listing the cases")
            self.refused("another gate is at work", "start", "start")
            gate.send_signal(signal.SIGINT)
            stderr = gate.communicate(timeout=10)[1]
        finally:
            gate.kill()
            gate.wait()
        self.assertEqual(gate.returncode, 2, stderr)
        self.assertIn("scripts/gate: stopped; nothing was decided", stderr)
        self.assertEqual(sleepers(self.root), [])


def sleepers(root):
    """Benchmarks of this repository that run."""
    found = []
    for process in filter(str.isdecimal, os.listdir("/proc")):
        try:
            program = os.readlink(f"/proc/{process}/exe")
        except OSError:
            continue
        if program.startswith(root) and program.endswith("mapproof-bench"):
            found.append(program)
    return found


if __name__ == "__main__":
    unittest.main()
