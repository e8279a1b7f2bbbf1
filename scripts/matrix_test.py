#!/usr/bin/python3 -B
"""Does scripts/matrix see a hole? Programs of a build are replaced by ones that say what they are told to."""

import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest

MATRIX = os.path.join(os.path.dirname(os.path.abspath(__file__)), "matrix")


def load_script():
    loader = importlib.machinery.SourceFileLoader("matrix_script", MATRIX)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


script = load_script()
# What each program says in a build without holes. Golden files are none: amdv1 is left out, fake needs none.
WHOLE = {
    "pt_kunit_format_test": "ran fake fake-46 test_init\nran fake fake-56 test_init\n",
    "pt_kunit_iommu_test": "ran fake fake-46 test_mixed\nran fake fake-56 test_mixed\n",
    "encode_decode_test": "",
    "generate_vs_oracle_test": "fake: 200 scripts (0 worlds refused)\n",
    "world_nested_test": "",
    "mapproof-bench": "map/fake/1x2K/warm\n",
    **{name: "" for name in script.operation_programs()},
    **{f"replay_{target}": "" for target in script.FUZZ_INPUTS},
}
# Names of cases, as the benchmarks call them.
CASES = {
    "iova_to_phys": "lookup/fake/warm/2K",
    "map_list": "map/fake/list_256x2K/warm",
    "unmap_ranges": "unmap/fake/ranges_256x2K/warm",
    "set_dirty": "dirty/fake/set_1GiB_of_2K/warm",
    "incoherent": "map/fake_incoherent/1x2K/warm",
    "decrease": "resize/fake/2M_to_4K/warm",
    "increase": "resize/fake/4K_to_2M/warm",
}


class Case(unittest.TestCase):
    def setUp(self):
        self.build = tempfile.TemporaryDirectory()
        self.addCleanup(self.build.cleanup)

    def run_matrix(self, *arguments, exit=0, **said):
        for name, text in {**WHOLE, **said}.items():
            path = os.path.join(self.build.name, name)
            with open(path, "w") as file:
                file.write(f"#!/bin/sh\ncat <<'END'\n{text}END\nexit {exit}\n")
            os.chmod(path, 0o755)
        only = [] if "--only" in arguments else ["--only", "configurations"]
        command = [MATRIX, "--build", self.build.name, *only, *arguments]
        return subprocess.run(command, capture_output=True, text=True)


class MatrixTest(Case):
    def test_a_whole_matrix_passes_and_is_written(self):
        path = os.path.join(self.build.name, "matrix.json")
        result = self.run_matrix("--json", path)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        with open(path) as file:
            matrix = json.load(file)
        self.assertEqual(matrix["rows"], ["fake-46", "fake-56"])
        self.assertEqual(matrix["columns"], ["test_init", "test_mixed", "golden", "oracle", "nested", "bench"])
        self.assertEqual(matrix["cells"], [[1, 1, "-", 200, "-", 1]] * 2)
        self.assertEqual((matrix["formats"], matrix["holes"], matrix["failed"]), (["fake", "fake"], [], []))
        self.assertEqual(matrix["by_format"], ["golden", "oracle", "nested", "bench"])
        reasons = [(each["column"], each["format"]) for each in matrix["reasons"]]
        self.assertEqual(reasons, [("golden", "fake"), ("nested", "fake")])
        self.assertIn("golden, oracle, nested and bench are counted by format", result.stdout)

    def test_a_test_that_skips_a_configuration_is_a_hole(self):
        result = self.run_matrix(pt_kunit_iommu_test="ran fake fake-46 test_mixed\n")
        self.assertEqual(result.returncode, 1)
        self.assertIn("hole: fake-56: test_mixed", result.stdout)

    def test_a_format_without_oracle_or_bench_is_a_hole(self):
        result = self.run_matrix(generate_vs_oracle_test="amdv1: 200 scripts\n")
        self.assertEqual(result.returncode, 1)
        self.assertIn("hole: fake-46: oracle", result.stdout)
        self.assertIn("hole: amdv1: no configuration", result.stdout)

    def test_a_format_without_golden_files_is_a_hole(self):
        result = self.run_matrix(encode_decode_test="ran amdv1 amdv1-l2 reads\n")
        self.assertIn("hole: amdv1-l2: golden", result.stdout)

    def test_a_failed_program_is_said(self):
        result = self.run_matrix(exit=1)
        self.assertEqual(result.returncode, 1)
        self.assertIn("failed: pt_kunit_format_test", result.stdout)

    def test_holes_are_written_too(self):
        path = os.path.join(self.build.name, "matrix.json")
        self.run_matrix("--json", path, pt_kunit_iommu_test="ran fake fake-46 test_mixed\n")
        with open(path) as file:
            self.assertEqual(json.load(file)["holes"], ["fake-56: test_mixed"])

    def test_it_names_every_program_that_it_runs(self):
        result = subprocess.run([MATRIX, "--programs"], capture_output=True, text=True)
        self.assertEqual(sorted(result.stdout.split()), sorted(WHOLE))

    def test_what_is_not_built_is_no_hole_but_an_error(self):
        result = subprocess.run([MATRIX, "--build", self.build.name], capture_output=True, text=True)
        self.assertEqual(result.returncode, 2)
        self.assertIn("pt_kunit_format_test is not built", result.stderr)


def whole(without=(), format="fake"):
    """What programs say of operations of which each has all the evidence there can be."""
    said, cases = [], []
    for operation in script.OPERATIONS:
        for evidence in script.EVIDENCE:
            if (operation, evidence) == without or script.reason_of(format, operation, evidence):
                continue
            if evidence == "bench":
                cases.append(CASES.get(operation, f"{operation}/{format}/2K/warm"))
            else:
                said.append(f"did {evidence} {format} {operation} 3")
    return {
        "pt_kunit_format_test": "ran fake fake-46 test_init\n",
        "pt_kunit_iommu_test": "",
        "hitless_test": "\n".join(said) + "\nhitless: 700 stores observed, 2 walks\n",
        "pt_nomem_test": "swept 30 failure points over 2 configurations\n",
        "pt_nomem_leaf_test": "swept 4 failure points over 2 configurations\n",
        "mapproof-bench": "\n".join(cases) + "\n",
    }


class OperationTest(Case):
    def matrix_of(self, said):
        """The matrix without a program that is started: each says what `said` has of it."""
        run = script.Run(self.build.name)
        run.run = lambda name, *_: said.get(name, "")
        run.kunit()
        run.operations()
        return run.operation_matrix()

    def test_a_whole_matrix_passes_and_is_written(self):
        path = os.path.join(self.build.name, "matrix.json")
        result = self.run_matrix("--only", "operations", "--json", path, **whole())
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        with open(path) as file:
            matrix = json.load(file)["operations"]
        self.assertEqual(matrix["formats"], ["fake"])
        self.assertEqual(matrix["cells"][0][0], [3, 3, 3, 3, 3, 1])
        self.assertEqual(matrix["cells"][0][matrix["operations"].index("iova_to_phys")], [3, 3, 3, "-", "-", 1])
        self.assertEqual(matrix["totals"], {"points": 34, "stores": 700})
        self.assertIn("34 failure points swept, 700 stores observed", result.stdout)
        reason = {"operation": "iova_to_phys", "evidence": "hitless", "formats": ["fake"], "reason": "stores nothing"}
        self.assertIn(reason, matrix["reasons"])

    def test_every_cell_can_be_a_hole(self):
        seen = 0
        for operation in script.OPERATIONS:
            for evidence in script.EVIDENCE:
                if script.reason_of("fake", operation, evidence):
                    continue
                holes = self.matrix_of(whole(without=(operation, evidence)))["holes"]
                self.assertEqual(holes, [f"fake: {operation}: {evidence}"])
                seen += 1
        self.assertGreater(seen, 60)

    def test_a_hole_fails(self):
        result = self.run_matrix("--only", "operations", **whole(without=("cut", "fuzz")))
        self.assertEqual(result.returncode, 1)
        self.assertIn("hole: fake: cut: fuzz", result.stdout)

    def test_evidence_that_nobody_gives_any_more_is_a_hole_of_every_operation(self):
        said = whole()
        said["hitless_test"] = said["hitless_test"].replace("did fuzz", "gone fuzz")
        holes = self.matrix_of(said)["holes"]
        self.assertEqual(holes, [f"fake: {operation}: fuzz" for operation in script.OPERATIONS])

    def test_a_reason_that_is_not_true_any_more_is_an_error(self):
        said = whole()
        said["hitless_test"] += "did sweep fake unmap 1\n"
        holes = self.matrix_of(said)["holes"]
        self.assertEqual(holes, ["fake: unmap: sweep is 1, and cannot be: takes no table: sweep_no_memory_needed"])

    def test_a_word_that_it_does_not_know_is_an_error(self):
        said = whole()
        said["hitless_test"] += "did unit fake cuts 1\n"
        self.assertEqual(self.matrix_of(said)["holes"], ["fake: cuts: unit is unknown"])

    def test_a_format_that_appears_needs_all_of_it(self):
        said = whole()
        said["hitless_test"] += "did unit new map 1\n"
        holes = self.matrix_of(said)["holes"]
        self.assertIn("new: map: oracle", holes)
        self.assertIn("new: cut: hitless", holes)

    def test_a_configuration_that_ran_nowhere_else_is_all_holes(self):
        said = whole()
        said["pt_kunit_format_test"] += "ran amdv1 amdv1-l2 test_init\n"
        self.assertIn("amdv1: growth: bench", self.matrix_of(said)["holes"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
