#!/usr/bin/python3 -B
"""
Write index.html of a result again from its JSON files, as after a change of the templates.
Exit 0: written. 2: a file is missing or not what README.md says; index.html is as it was.
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from nightlylib import history, page, schema  # noqa: E402


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="reports/render.py", description="Write DIR/index.html from DIR/*.json.")
    parser.add_argument("folder", metavar="DIR", help="a result of scripts/nightly")
    parser.add_argument("--history", metavar="FILE", help="history.sqlite to compare with; none by default")
    options = parser.parse_args(arguments)
    try:
        result = schema.read_result(options.folder)
        previous = history.previous(options.history, result["run"]) if options.history else None
        schema.write_text(os.path.join(options.folder, "index.html"), page.render(result, previous))
    except schema.Invalid as error:
        print(f"reports/render.py: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"reports/render.py: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
