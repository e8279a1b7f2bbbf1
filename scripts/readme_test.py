"""What README.md names exists: files, folders, links, presets, scripts, and the programs that a build makes."""

import os
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("MAPPROOF_BUILD_DIR")  # set by ctest


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


class ReadmeTest(unittest.TestCase):
    text = read("README.md")
    presets = re.findall(r'"name": "([^"]+)", "configurePreset"', read("CMakePresets.json"))

    def test_links_lead_somewhere(self):
        for target in re.findall(r"\]\(([^)#]+)\)", self.text):
            self.assertTrue(os.path.exists(os.path.join(ROOT, target)), target)

    def test_paths_exist(self):
        paths = re.findall(r"(?<![\w/])(?:\./)?((?:core|bench|fuzz|corpus|reports|scripts)/[\w./-]*\w\b)(?!<)", self.text)
        self.assertGreater(len(paths), 10)
        for path in paths:
            if not path.startswith("reports/out"):
                self.assertTrue(os.path.exists(os.path.join(ROOT, path)), path)

    def test_the_map_of_the_tree_is_complete(self):
        tree = self.text.split("## The tree", 1)[1].split("\n\n", 2)[1]
        named = re.findall(r"^ {4,6}(\w+)/", tree, re.MULTILINE)
        folders = [name for name in os.listdir(ROOT) if os.path.isdir(os.path.join(ROOT, name)) and name[0] != "."]
        core = os.path.join(ROOT, "core")
        folders += [name for name in os.listdir(core) if os.listdir(os.path.join(core, name))]
        self.assertEqual(sorted(named), sorted(set(folders) - {"build"}))

    def test_presets_are_all_named_and_exist(self):
        listed = self.text.split("Presets:", 1)[1].split(". Each", 1)[0]
        self.assertEqual(sorted(re.findall(r"`([\w-]+)`", listed)), sorted(self.presets))
        for preset in re.findall(r"--preset ([\w-]+)|\./build/([\w-]+)/", self.text):
            self.assertIn("".join(preset), self.presets)

    def test_programs_are_built(self):
        if not BUILD:
            self.skipTest("no build folder")
        for program in re.findall(r"\./build/(?:dev|release)/([\w-]+)", self.text):
            if program != "mapproof-bench" or os.environ.get("MAPPROOF_BENCH") == "ON":
                self.assertTrue(os.access(os.path.join(BUILD, program), os.X_OK), program)

    def test_the_script_does_what_it_says(self):
        if not BUILD:
            self.skipTest("no build folder")
        script = re.search(r"^    world .*?(?=^$)", self.text, re.MULTILINE | re.DOTALL).group()
        self.assertGreater(script.count("->"), 5)
        with tempfile.NamedTemporaryFile("w", suffix=".ops") as file:
            file.write(script)
            file.flush()
            program = os.path.join(BUILD, "mapproof-replay")
            done = subprocess.run([program, file.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
