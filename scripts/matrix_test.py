#!/usr/bin/python3 -B
"""Does scripts/matrix see a hole? Programs of a build are replaced by ones that say what they are told to."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

MATRIX = os.path.join(os.path.dirname(os.path.abspath(__file__)), "matrix")
# What each program says in a build without holes. Golden files are none: amdv1 is left out, fake needs none.
WHOLE = {
    "pt_kunit_format_test": "ran fake fake-46 test_init\nran fake fake-56 test_init\n",
    "pt_kunit_iommu_test": "ran fake fake-46 test_mixed\nran fake fake-56 test_mixed\n",
    "encode_decode_test": "",
    "generate_vs_oracle_test": "fake: 200 scripts (0 worlds refused)\n",
    "world_nested_test": "",
    "mapproof-bench": "map/fake/1x2K/warm\n",
}


class MatrixTest(unittest.TestCase):
    def setUp(self):
        self.build = tempfile.TemporaryDirectory()
        self.addCleanup(self.build.cleanup)

    def run_matrix(self, *arguments, exit=0, **said):
        for name, text in {**WHOLE, **said}.items():
            path = os.path.join(self.build.name, name)
            with open(path, "w") as file:
                file.write(f"#!/bin/sh\ncat <<'END'\n{text}END\nexit {exit}\n")
            os.chmod(path, 0o755)
        return subprocess.run([MATRIX, "--build", self.build.name, *arguments], capture_output=True, text=True)

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


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
