"""Planted faults: each row has its place, its target and its switch; scripts/faults tells what a run ended in; fuzz/faults/absent
sees a fault in any program. That the faults are found is scripts/faults' own business: it takes minutes."""

import importlib.machinery
import importlib.util
import os
import re
import subprocess
import tempfile
import types
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
FOLDER_OF_LAYER = {"PT": "pt", "WALK": "iommu", "IOTLB": "iommu", "IOMMU": "iommu", "RMP": "rmp", "WORLD": "world"}
TRIGGERED_WITHIN = 14  # lines after the question


def load():
    loader = importlib.machinery.SourceFileLoader("faults", os.path.join(HERE, "faults"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("faults", loader))
    loader.exec_module(module)
    return module


faults = load()


def run(*command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
                          **options)


def sites():
    """name -> [(folder below core, the lines from FAULT(name) on)]"""
    found = {}
    for folder, _, files in os.walk(os.path.join(ROOT, "core")):
        for file in sorted(files):
            if not file.endswith((".c", ".h")) or file == "fault.h":
                continue
            with open(os.path.join(folder, file), encoding="utf-8") as source:
                lines = source.read().splitlines()
            for number, line in enumerate(lines):
                for name in re.findall(r"\bFAULT\((\w+)\)", line):
                    after = "\n".join(lines[number:number + TRIGGERED_WITHIN])
                    layer = os.path.relpath(folder, os.path.join(ROOT, "core")).split(os.sep)[0]
                    found.setdefault(name, []).append((layer, after))
    return found


def test_cases():
    """program -> its cmocka cases"""
    found = {}
    for top in ("core", "fuzz"):
        for folder, _, files in os.walk(os.path.join(ROOT, top)):
            for file in files:
                if file.endswith("_test.c"):
                    with open(os.path.join(folder, file), encoding="utf-8") as source:
                        found[file[:-2]] = re.findall(r"\bcmocka_unit_test\w*\((\w+)", source.read())
    return found


class Rows(unittest.TestCase):
    def test_every_row_has_its_place_in_its_layer_and_counts_there(self):
        places = sites()
        self.assertEqual(sorted(places), sorted(faults.fault_rows()))
        for name, found in places.items():
            with self.subTest(fault=name):
                self.assertEqual(len(found), 1)
                self.assertEqual(found[0][0], FOLDER_OF_LAYER[name.split("_")[0]])
                self.assertIn("fault_triggered()", found[0][1])

    def test_every_row_names_a_target_that_exists_and_says_what_is_wrong(self):
        for name, (target, text) in faults.fault_rows().items():
            with self.subTest(fault=name):
                if target == faults.NO_TARGET:
                    self.assertIn(name, {row["fault"] for row in faults.history_rows()}, "nothing finds it")
                else:
                    self.assertTrue(os.path.exists(os.path.join(ROOT, "fuzz", target + ".c")), target)
                self.assertGreater(len(text.split()), 4)


class History(unittest.TestCase):
    """fuzz/faults/history.txt against the tree. That what it names fails is ctest faults_history in preset faults."""

    def setUp(self):
        self.rows = faults.history_rows()

    def test_every_entry_of_the_bug_history_has_a_row_in_order(self):
        numbers = list(dict.fromkeys(row["number"] for row in self.rows))
        expected = [str(number) for number in range(1, 45)]
        expected.insert(expected.index("19") + 1, "19b")
        expected += [f"x{number:02}" for number in range(1, 10)]
        self.assertEqual(numbers, expected + [""], "faults that are none of them stand behind")

    def test_a_row_has_a_fault_and_what_catches_it_or_says_why_not(self):
        for row in self.rows:
            with self.subTest(row=row):
                self.assertEqual(bool(row["fault"]), bool(row["catcher"]))
                self.assertNotEqual(bool(row["fault"]), bool(row["reason"]))

    def test_faults_and_rows_name_each_other(self):
        named = {}
        for row in self.rows:
            if row["fault"]:
                named.setdefault(row["fault"], set()).update({row["number"]} - {""})
        for name, (_, text) in faults.fault_rows().items():
            with self.subTest(fault=name):
                tags = re.findall(r"\[([^]]*)\]$", text)
                numbers = {tag for tag in tags[0].split(", ") if re.fullmatch(r"x?\d+b?", tag)} if tags else set()
                self.assertEqual(named.pop(name, set()), numbers)
        self.assertEqual(named, {}, "no such fault")

    def test_what_catches_a_fault_exists(self):
        cases = test_cases()
        for row in self.rows:
            with self.subTest(row=row):
                if row["catcher"].endswith(".ops"):
                    self.assertTrue(os.path.exists(os.path.join(ROOT, "corpus/regress", row["catcher"])))
                elif row["catcher"]:
                    program, case = row["catcher"].split(":")
                    self.assertIn(case, cases[program])

    def test_every_script_of_the_history_is_named(self):
        scripts = {file for file in os.listdir(os.path.join(ROOT, "corpus/regress")) if file.startswith("history_")}
        self.assertEqual(scripts - {row["catcher"] for row in self.rows}, set())

    def test_the_readme_has_the_table(self):
        with open(os.path.join(ROOT, "fuzz/faults/README.md"), encoding="utf-8") as readme:
            self.assertIn(faults.history_table(), readme.read(), "scripts/faults --table prints it")

    def catches(self, *lines, status):
        """What a catcher that prints these lines and ends so, with its fault, is taken for."""
        with tempfile.TemporaryDirectory(prefix="mapproof-faults-") as folder:
            program = os.path.join(folder, "some_test")
            with open(program, "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\n[ \"$MAPPROOF_FAULT\" = PT_X ] && [ \"$1\" = a_case ] || exit 9\n")
                file.writelines(f"echo '{line}'\n" for line in lines)
                file.write(f"exit {status}\n")
            os.chmod(program, 0o755)
            return faults.catches({"catcher": "some_test:a_case", "fault": "PT_X"}, folder)[0]

    def test_only_a_failure_by_the_fault_is_a_catch(self):
        self.assertTrue(self.catches("fault PT_X reached=2 triggered=1", status=1))
        self.assertTrue(self.catches("==1==ERROR: AddressSanitizer: SEGV", status=1))
        self.assertFalse(self.catches("fault PT_X reached=2 triggered=1", status=0))
        self.assertFalse(self.catches("fault PT_X reached=2 triggered=0", status=1))
        self.assertFalse(self.catches("Killed", status=137))
        self.assertFalse(self.catches("some_test: no test case matches 'a_case'", status=2))


class Script(unittest.TestCase):
    def refused(self, *arguments):
        result = run(os.path.join(HERE, "faults"), *arguments)
        self.assertEqual(result.returncode, 2, result)
        return result.stdout

    def test_it_refuses_what_it_does_not_know_and_builds_nothing(self):
        self.assertIn("unknown fault NOPE", self.refused("NOPE"))
        self.assertIn("no such target: fuzz_nope", self.refused("--target", "fuzz_nope"))
        self.assertIn("expected at least 1", self.refused("--seconds", "0"))
        self.assertIn("is for --quick", self.refused("--programs", "build/faults"))

    def test_it_lists_every_fault_with_its_target(self):
        result = run(os.path.join(HERE, "faults"), "--list")
        self.assertEqual(result.returncode, 0)
        for name, (target, text) in faults.fault_rows().items():
            self.assertRegex(result.stdout, rf"(?m)^{name} +{target} +{re.escape(text)}$")

    def hunt(self, *lines, status):
        """What a program that prints these lines and ends so is taken for."""
        with tempfile.TemporaryDirectory(prefix="mapproof-faults-") as folder:
            program = os.path.join(folder, "fuzz_fake")
            with open(program, "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\n[ \"$MAPPROOF_FAULT\" = PT_X ] || exit 3\n[ -d \"$1\" ] || exit 3\n")
                file.writelines(f"echo '{line}'\n" for line in lines)
                file.write(f"exit {status}\n")
            os.chmod(program, 0o755)
            return faults.hunt(program, "PT_X", types.SimpleNamespace(seconds=1, seed=1))

    def test_a_difference_is_a_find_and_its_counters_are_read(self):
        result = self.hunt("mapproof: difference at op 3 of 7", "mapproof: execs=12 ops=345 findings=1",
                           "fault PT_X reached=67 triggered=8", status=77)
        self.assertEqual((result["found"], result["how"], result["target"]), (True, "difference", "fuzz_fake"))
        self.assertEqual([result[key] for key in ("execs", "ops", "reached", "triggered")], [12, 345, 67, 8])

    def test_a_check_and_a_sanitizer_are_finds(self):
        self.assertTrue(self.hunt("core/rmp/rmp.c:12: CHECK failed: x", status=77)["found"])
        self.assertTrue(self.hunt("x.c:1:2: runtime error: shift", status=1)["found"])
        self.assertTrue(self.hunt("==1==ERROR: AddressSanitizer: heap-use-after-free", status=1)["found"])

    def test_the_time_limit_and_a_crash_of_another_kind_are_none(self):
        result = self.hunt("mapproof: execs=12 ops=345 findings=1", "fault PT_X reached=67 triggered=0", status=0)
        self.assertEqual((result["found"], result["how"], result["triggered"]), (False, "not found", 0))
        result = self.hunt("Killed", status=9)
        self.assertEqual((result["found"], result["how"]), (False, "exit 9"))


class Absent(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="mapproof-absent-")
        self.addCleanup(self.folder.cleanup)

    def program(self, name, source):
        path = os.path.join(self.folder.name, name)
        subprocess.run(["cc", "-x", "c", "-o", path, "-"], input=source + "\nint main(void) { return 0; }\n", text=True,
                       check=True)
        return path

    def absent(self, *programs):
        return run(os.path.join(ROOT, "fuzz/faults/absent"), "nm", *programs)

    def test_the_switch_is_seen_in_any_of_several_programs(self):
        clean = self.program("clean", "int fault_is_on_time;")
        planted = self.program("planted", "int fault_is_on(int fault) { return fault; }")
        self.assertEqual(self.absent(clean, clean).returncode, 0)
        for programs in ((planted,), (planted, clean), (clean, planted)):
            result = self.absent(*programs)
            self.assertEqual(result.returncode, 1)
            self.assertIn("planted: the switch of planted faults is linked in", result.stdout)

    def test_the_switch_of_this_tree_is_seen(self):
        """Compiled as the faults build does, so that renaming a symbol does not blind the check."""
        path = os.path.join(self.folder.name, "real")
        switch = os.path.join(ROOT, "fuzz/faults/fault.c")
        subprocess.run(["cc", "-DMAPPROOF_FAULTS", "-I", os.path.join(ROOT, "core"), "-o", path, "-x", "c", "-", switch],
                       input="int main(void) { return 0; }", text=True, check=True)
        self.assertEqual(self.absent(path).returncode, 1)

    def test_it_says_when_it_cannot_tell(self):
        clean = self.program("clean", "")
        self.assertEqual(self.absent().returncode, 2)
        self.assertEqual(self.absent(clean, os.path.join(self.folder.name, "missing")).returncode, 2)
        subprocess.run(["strip", clean], check=True)
        self.assertEqual(self.absent(clean).returncode, 2)


if __name__ == "__main__":
    unittest.main()
