"""Every rule of scripts/tidy fires on a planted violation and stays silent on a clean tree."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, HERE)
from tidylib import c_source  # noqa: E402

FORMAT = [] if shutil.which("clang-format") else ["--no-format"]
BODY = "    a++;\n"
REGISTRY = "registry" + ".example.org"
ELSEWHERE = "/ho" + "me/somebody/tree"

ENGINE_MAP = "struct pt *pt, iova_t start, hpa_t target, uint64_t length, unsigned prot, uint64_t *mapped"

CLEAN = {
    "CMakeLists.txt": "# nothing\n",
    "LICENSE": "MIT\n",
    "README.md": "# a tree\n",
    ".gitignore": "/build/\n",
    "core/base/addr.h": "#pragma once\n\n#include <stdint.h>\n\ntypedef struct {\n    uint64_t value;\n} iova_t;\n",
    "core/pt/pt.h": '#pragma once\n\n#include "base/addr.h"\n\nint pt_map(iova_t start);\n',
    "core/pt/pt.c": '#include "pt/pt.h"\n\nint pt_map(iova_t start)\n{\n    return start.value != 0;\n}\n',
    "core/pt/pt_engine.inc.h": f"static int FMT(map_range)({ENGINE_MAP})\n{{\n    return 0;\n}}\n",
    "core/pt/pt_map.inc.h": "static int FMT(map)(void)\n{\n    return 0;\n}\n",
    "core/iommu/iommu.h": '#pragma once\n\n#include "base/addr.h"\n\nint iommu_dma(iova_t start);\n',
    "reports/package.json": "{}\n",
    "reports/package-lock.json": '{ "packages": { "a": { "integrity": "x" } } }\n',
    "reports/.npmrc": "omit-lockfile-registry-resolved=true\n",
    "scripts/tool": "#!/bin/bash\necho\n",
    "corpus/golden/a.xz": "\x00binary\n",
}


def c_function(name, lines):
    """A C function of exactly that many lines, four of them its frame."""
    return f"void {name}(int a)\n{{\n{BODY * (lines - 4)}    (void)a;\n}}\n"


# (rule, file, content or None to delete, expected line, words of the message)
PLANTED = [
    ("layers", "core/iommu/walk.c", '#include "iommu/iommu.h"\n#include "pt/pt.h"\n', 2, "iommu may not include core/pt"),
    ("layers", "core/base/low.c", '#include "../pt/pt.h"\n', 1, "core/base may not include core/pt"),
    ("layers", "core/pt/cli.c", '#include "bench/b.h"\n', 1, "neither beside the file nor under core/"),
    ("layers", "core/pt/json.c", "#include <jansson.h>\n", 1, "may not use <jansson.h>"),
    ("file-lines", "core/pt/long.c", "int a;\n" * 601, 601, "601 lines"),
    ("file-lines", "scripts/long", "#!/bin/bash\n" + "true\n" * 600, 601, "601 lines"),
    ("function-lines", "core/pt/f.c", "int b;\n\n" + c_function("f", 61), 3, "f has 61 lines"),
    ("function-lines", "core/pt/g.inc.h", c_function("FMT(g)", 61), 1, "g has 61 lines"),
    ("function-lines", "scripts/f.py", "def f():\n" + "    pass\n" * 60, 1, "f has 61 lines"),
    ("parameters", "core/pt/p.c", "void p(int a, int b, int (*c)(int, int), int d, int e, int f)\n{\n}\n", 1, "6 param"),
    ("parameters", "scripts/p.py", "def f(a, b, c, d, e, f):\n    pass\n", 1, "6 parameters"),
    (
        "nesting",
        "core/pt/n.c",
        "void n(int a)\n{\n    if (a) {\n        if (a) {\n            if (a) {\n                if (a) {\n"
        "                    a++;\n                }\n            }\n        }\n    }\n}\n",
        1,
        "4 levels",
    ),
    ("format", "core/pt/s.c", "int a;\nint  b;\n", 2, "clang-format"),
    ("headers", "core/pt/once.h", "int once;\n", 1, "no #pragma once"),
    ("headers", "core/pt/alone.h", "#pragma once\n\nint alone(uint64_t a);\n", 1, "does not compile alone"),
    ("stray", "notes.txt", "hello\n", 1, "root"),
    ("stray", "src/a.md", "hello\n", 1, "root"),
    ("generated", "core/pt/pt.o", "object\n", 1, "generated"),
    ("generated", "reports/out/x/index.html", "<p>\n", 1, "generated"),
    ("generated", "fuzz/crash-" + "0123456789abcdef", "x\n", 1, "generated"),
    ("binary", "core/pt/blob", "a\x00b\n", 1, "only corpus/"),
    ("binary", "corpus/program", "\x7fELF\x00\n", 1, "executable"),
    ("large", "corpus/large.txt", "x" * (2 * 1024 * 1024) + "\n", 1, "2097153 bytes"),
    ("hosts", "scripts/get", f"#!/bin/sh\ncurl https://{REGISTRY}/x\n", 2, REGISTRY),
    ("lock-files", "reports/package-lock.json", '{\n "packages": { "a": {\n "resolved": "x" } } }\n', 3, "/packages/a"),
    ("lock-files", "reports/yarn.lock", 'a@1:\n  resolved "x"\n', 2, "came from"),
    ("npmrc", "reports/.npmrc", None, 1, "no .npmrc"),
    ("npmrc", "reports/.npmrc", "audit=false\n", 1, "lacks"),
    ("npmrc", ".npmrc", "omit-lockfile-registry-resolved=true\n", 1, "no package.json"),
    ("npmrc", "reports/.npmrc", "omit-lockfile-registry-resolved=true\nregistry=x\n", 2, "sets a registry"),
    ("machine-path", "README.md", f"# a tree\nsee {ELSEWHERE}\n", 2, ELSEWHERE),
    ("whitespace", "README.md", "# a tree\nb \n", 2, "end of the line"),
    ("whitespace", "README.md", "# a tree\nb", 2, "no newline"),
    ("whitespace", "scripts/tab.py", "if True:\n\tpass\n", 2, "a tab"),
]


class TidyTest(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="mapproof-tidy-")
        self.addCleanup(shutil.rmtree, self.root)
        shutil.copy(os.path.join(ROOT, ".clang-format"), self.root)
        for path, content in CLEAN.items():
            self.write(path, content)

    def write(self, path, content):
        absolute = os.path.join(self.root, path)
        if content is None:
            os.remove(absolute)
            return
        os.makedirs(os.path.dirname(absolute), exist_ok=True)
        with open(absolute, "w", encoding="latin-1", newline="") as file:
            file.write(content)

    def tidy(self, *arguments):
        command = ["/usr/bin/python3", "-B", os.path.join(HERE, "tidy"), *FORMAT, *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_a_clean_tree_has_no_findings(self):
        result = self.tidy(self.root)
        self.assertEqual((result.stdout, result.returncode), ("", 0), result.stderr)

    def test_what_git_ignores_is_not_read(self):
        subprocess.run(["git", "init", "-q", self.root], check=True)
        self.write("build/dev/pt.o", "object\n")
        self.write("untracked.txt", "text\n")
        result = self.tidy(self.root)
        self.assertEqual(result.stdout, "untracked.txt:1: stray: does not belong in the root of the tree\n")
        self.assertEqual(result.returncode, 1)

    def test_bad_usage_exits_2(self):
        for arguments in (["--bogus"], [os.path.join(self.root, "absent")], ["--clang-tidy", self.root]):
            self.assertEqual(self.tidy(*arguments).returncode, 2, arguments)

    @unittest.skipUnless(shutil.which("clang-tidy"), "no clang-tidy")
    def test_clang_tidy_reports_a_use_after_free(self):
        shutil.copy(os.path.join(ROOT, ".clang-tidy"), self.root)
        source = os.path.join(self.root, "freed.c")
        self.write("freed.c", "#include <stdlib.h>\nint f(void)\n{\n    int *a = calloc(1, 4);\n    free(a);\n    return *a;\n}\n")
        entry = {"directory": self.root, "file": source, "arguments": ["cc", "-c", source]}
        self.write("compile_commands.json", json.dumps([entry]))
        result = self.tidy("--clang-tidy", self.root)
        self.assertIn("freed.c:6:", result.stdout)
        self.assertIn("[clang-analyzer-unix.Malloc", result.stdout)
        self.assertEqual(result.returncode, 1)

    def test_every_rule_has_a_planted_violation(self):
        rules = set()
        for name in ("code_rules.py", "tree_rules.py"):
            with open(os.path.join(HERE, "tidylib", name), encoding="utf-8") as file:
                rules |= set(re.findall(r'Finding\([^"\n]*"([a-z-]+)"', file.read()))
        self.assertEqual(rules, {planted[0] for planted in PLANTED})


def planted_test(rule, path, content, line, words):
    def test(self):
        if rule == "format" and FORMAT:
            self.skipTest("no clang-format")
        self.write(path, content)
        result = self.tidy(self.root)
        found = [text for text in result.stdout.splitlines() if f": {rule}: " in text]
        self.assertEqual(len(found), 1, result.stdout + result.stderr)
        self.assertIn(f":{line}: {rule}: ", found[0])
        self.assertTrue(found[0].startswith(os.path.dirname(path)), found[0])
        self.assertIn(words, found[0])
        self.assertEqual(result.returncode, 1)
        others = [text for text in result.stdout.splitlines() if text not in found]
        self.assertEqual(others, [])

    return test


for number, planted in enumerate(PLANTED):
    setattr(TidyTest, f"test_{planted[0]}_{number}_is_reported", planted_test(*planted))


class FunctionsTest(unittest.TestCase):
    """(name, first line, last line, parameters, nesting) of what c_source.functions reads."""

    def read(self, text):
        return [(f.name, f.line, f.last, f.parameters, f.nesting) for f in c_source.functions(text)]

    def test_braces_in_strings_and_comments_do_not_count(self):
        text = "int f(void)\n{\n    g(\"}\\\"}\", '}'); // }\n    /* } */\n}\n"
        self.assertEqual(self.read(text), [("f", 1, 5, 0, 0)])

    def test_both_branches_of_an_if_are_read(self):
        text = "#if A\nint f(int a)\n{\n#else\nint f(int a, int b)\n{\n#endif\n    return 0;\n}\nint g(void)\n{\n}\n"
        self.assertEqual(self.read(text), [("f", 5, 9, 2, 0), ("g", 10, 12, 0, 0)])

    def test_initialisers_and_compound_literals_are_not_blocks(self):
        text = "int f(void) { struct s a = { { { { { 1 } } } } }; return g(&(struct s){ 1 }, (struct s){ { { { 2 } } } }); }"
        self.assertEqual(self.read(text), [("f", 1, 1, 0, 0)])

    def test_tables_and_types_at_file_scope_are_not_functions(self):
        text = "const struct t rows[] = { [A] = { .f = g } };\nenum e { A, B };\nstruct s { int (*f)(int); };\nint x(int);\n"
        self.assertEqual(self.read(text), [])

    def test_names_made_by_macros_and_attributes_are_understood(self):
        text = "__attribute__((cold)) static int FMT(map)(int a, int (*b)(int, int))\n{ FOR_EACH(a) { } }\n"
        self.assertEqual(self.read(text), [("map", 1, 2, 2, 1)])

    def test_macro_bodies_are_not_read(self):
        self.assertEqual(self.read("#define M(a) \\\n    { \\\n    a\nint f(void)\n{\n}\n"), [("f", 4, 6, 0, 0)])

    def test_parameter_types_come_without_names(self):
        text = "int f(struct pt *pt, const uint8_t *data, unsigned, int (*g)(int), iova_t at)\n{\n}\n"
        types = next(c_source.functions(text)).types
        self.assertEqual(types, "struct pt *, const uint8_t *, unsigned, int ( * g ) ( int ), iova_t")

    def test_macro_calls_without_semicolon_are_no_part_of_what_follows(self):
        text = "DEFINE(a, b)\nDEFINE(c, d)\nstruct way {\n    int a;\n};\nDEFINE(e)\nint f(int a)\n{\n}\n"
        self.assertEqual(self.read(text), [("f", 7, 9, 1, 0)])

    def test_functions_of_a_namespace_are_found(self):
        text = 'extern "C" {\nint f(void) { return 0; }\n}\nnamespace a {\nstruct B {\n    int g(int c) { return c; }\n};\n}\n'
        self.assertEqual(self.read(text), [("f", 2, 2, 0, 0), ("g", 6, 6, 1, 0)])


if __name__ == "__main__":
    unittest.main()
