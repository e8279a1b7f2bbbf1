#!/usr/bin/python3 -B
"""
The table of speed: every goal for every format, gcc and clang, general and vector, beside stores, the re-walking plugin
and instruction counts, all from one run.

usage: speed.py [--rounds=5] [--min-time=0.01] [--formats=A,B] [--no-counts] [--out=speed.json] [GCC_BUILD CLANG_BUILD]
       speed.py speed.json            print the tables of an earlier run, as Markdown
       speed.py --write speed.json    put them into README.md and bench/SPEED.md

Builds are build/release and build/release-clang unless given. Exit 0: measured; 2: could not.
"""
import argparse
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "reports"), os.path.join(ROOT, "scripts")]  # scripts: gatelib counts instructions
from nightlylib import page_speed, schema, speed  # noqa: E402

TABLES = {"README.md": page_speed.short_markdown, os.path.join("bench", "SPEED.md"): page_speed.markdown}


def measured(options):
    folders = options.paths or [os.path.join("build", preset) for preset in speed.PRESETS.values()]
    if len(folders) != len(speed.PRESETS):
        sys.exit("speed.py: two builds, gcc's and clang's, or one speed.json")
    programs = dict(zip(speed.PRESETS, folders))
    run = speed.Speed(programs, options.rounds, options.min_time, os.devnull, lambda text: print(text, file=sys.stderr))
    failure = run.measure(options.formats and options.formats.split(","))
    if failure:
        print(f"speed.py: {failure}", file=sys.stderr)
        sys.exit(2)
    if not options.no_counts:
        run.count()
    document = run.document(ROOT, ["bench/speed.py", f"--rounds={options.rounds}", f"--min-time={options.min_time}"])
    schema.write_json(options.out, document)
    return document


def main(arguments):
    parser = argparse.ArgumentParser(usage="\n".join(__doc__.split("usage: ")[1].split("\n\n")[0].splitlines()))
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--min-time", type=float, default=0.01)
    parser.add_argument("--formats")
    parser.add_argument("--no-counts", action="store_true")
    parser.add_argument("--out", default="speed.json")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(arguments)
    is_stored = len(options.paths) == 1
    try:
        document = schema.read_json(options.paths[0]) if is_stored else measured(options)
        schema.check_speed(document, options.paths[0] if is_stored else options.out)
    except (schema.Invalid, OSError) as error:
        print(f"speed.py: {error}", file=sys.stderr)
        return 2
    if not options.write:
        print(page_speed.markdown(document), end="")
    for path, tables in TABLES.items() if options.write else ():
        page_speed.replace_between_marks(os.path.join(ROOT, path), tables(document))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
