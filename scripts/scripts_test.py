"""The scripts refuse what they do not know with a message and exit code 2, and do nothing else."""

import os
import shutil
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


def run(*command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, **options)


class ScriptsTest(unittest.TestCase):
    def refused(self, *command):
        result = run(os.path.join(HERE, command[0]), *command[1:])
        self.assertEqual(result.returncode, 2, result)
        self.assertEqual(result.stdout, "")
        return result.stderr

    def test_test_refuses_an_unknown_argument(self):
        self.assertIn("unknown argument: --bogus", self.refused("test", "--bogus"))

    def test_test_refuses_an_unknown_preset(self):
        self.assertIn("no such test preset: nope", self.refused("test", "--preset", "nope"))

    def test_test_refuses_a_filter_without_value(self):
        self.assertIn("-R needs a regular expression", self.refused("test", "-R"))

    def test_setup_refuses_an_unknown_argument(self):
        self.assertIn("unknown argument: --bogus", self.refused("setup", "--bogus"))

    def test_setup_refuses_an_unknown_group(self):
        self.assertIn("no such group: nope", self.refused("setup", "--with", "nope"))

    def test_setup_check_says_nothing_where_nothing_is_missing(self):
        """A tree whose list names only what Debian cannot be without."""
        with self.tree("dpkg\nno-such-package sh # its command exists\n") as root:
            result = run(os.path.join(root, "scripts", "setup"), "--check")
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))

    def test_setup_check_names_what_is_missing_and_the_command(self):
        with self.tree("dpkg\nno-such-package # a comment\nother no-such-command\n") as root:
            result = run(os.path.join(root, "scripts", "setup"), "--check")
            self.assertEqual(result.returncode, 2)
            self.assertIn("missing: no-such-package other\n", result.stderr)
            self.assertIn("apt-get install -y --no-install-recommends no-such-package other\n", result.stderr)

    def test_setup_runs_npm_only_when_the_lock_file_asks_for_it(self):
        with self.tree("dpkg\n") as root:
            call = self.with_npm(root, "echo called $* >> ../calls && mkdir -p node_modules")
            for expected in (1, 1):
                self.assertEqual(call("--with", "pages").returncode, 0)
                self.assertEqual(self.calls(root), expected)
            self.assertEqual(call("--with", "echarts").returncode, 0)  # all of it serves for a part
            self.assertEqual(self.calls(root), 1)
            with open(os.path.join(root, "reports", "package-lock.json"), "a", encoding="utf-8") as file:
                file.write("\n")
            self.assertEqual(call("--check", "--with", "pages").returncode, 2)
            self.assertEqual(call("--with", "pages").returncode, 0)
            self.assertEqual(self.calls(root), 2)

    def test_setup_goes_on_without_echarts_and_not_without_what_tests_pages(self):
        with self.tree("dpkg\n") as root:
            call = self.with_npm(root, "false")
            without = call("--with", "echarts")
            self.assertEqual(without.returncode, 0)
            self.assertIn("pages will have no ECharts", without.stderr)
            self.assertEqual(call("--with", "pages").returncode, 2)

    def with_npm(self, root, body):
        """A tree with a lock file and an npm of ours; returns how to call its setup."""
        for folder in ("reports", "bin"):
            os.mkdir(os.path.join(root, folder))
        for name, text in (
            ("scripts/packages-echarts.txt", "nodejs sh\n"),
            ("scripts/packages-pages.txt", "nodejs sh\n"),
            ("reports/package-lock.json", "{}\n"),
            ("bin/npm", f"#!/bin/sh\n{body}\n"),
        ):
            with open(os.path.join(root, name), "w", encoding="utf-8") as file:
                file.write(text)
        os.chmod(os.path.join(root, "bin", "npm"), 0o755)
        environment = {**os.environ, "PATH": f"{root}/bin:{os.environ['PATH']}"}
        return lambda *arguments: run(os.path.join(root, "scripts", "setup"), *arguments, env=environment)

    def calls(self, root):
        with open(os.path.join(root, "calls"), encoding="utf-8") as file:
            return len(file.readlines())

    def test_report_refuses_to_do_nothing_and_a_history_that_is_not_there(self):
        self.assertIn("DIR", self.refused("report"))
        self.assertIn("no such file", self.refused("report", "--history", "/nonexistent/history.sqlite", "x"))

    def test_symbols_finds_writable_globals_and_clocks(self):
        """One of each, and read-only data that must not be taken for them."""
        source = (
            "#include <time.h>\nint counter; const int fine = 2; static const char *const names[] = { \"a\" };\n"
            "int f(void) { static int hidden = 3; return hidden++ + (int)time(0) + names[0][0] + fine; }\n"
        )
        with tempfile.TemporaryDirectory(prefix="mapproof-symbols-") as folder:
            code, library = os.path.join(folder, "a.o"), os.path.join(folder, "a.a")
            run("cc", "-x", "c", "-c", "-o", code, "-", input=source, check=True)
            run("ar", "rc", library, code, check=True)
            result = run(os.path.join(HERE, "symbols"), library)
        self.assertEqual(result.returncode, 1)
        for words in ("(a.o): writable global counter", "(a.o): writable global hidden", "(a.o): uses time", " 3 problems"):
            self.assertIn(words, result.stdout)

    def tree(self, packages):
        if not shutil.which("dpkg-query"):
            self.skipTest("not a Debian system")
        folder = tempfile.TemporaryDirectory(prefix="mapproof-setup-")
        os.mkdir(os.path.join(folder.name, "scripts"))
        shutil.copy(os.path.join(HERE, "setup"), os.path.join(folder.name, "scripts"))
        with open(os.path.join(folder.name, "scripts", "packages.txt"), "w", encoding="utf-8") as file:
            file.write(packages)
        return folder


if __name__ == "__main__":
    unittest.main()
