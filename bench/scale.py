#!/usr/bin/python3 -B
"""
Does a leaf cost the same from 1 MiB to 1 TiB? The scale cases beside plain stores of equal bytes, in one shuffled run.

usage: scale.py PROGRAM|BENCH_JSON [FORMAT...]

PROGRAM is mapproof-bench: 5 repetitions of each case, in random order; medians count. BENCH_JSON is what it wrote.
Exit 0: every format is flat as reports/nightlylib/page_scale.py says it; 1: one is not; 2: could not tell.
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "reports"))
from nightlylib import bench, page_scale  # noqa: E402


def measured(program, formats):
    filter = f"^scale/({'|'.join(formats) or '.*'})/|^limit/"
    command = [program, "--benchmark_min_time=0.02", "--benchmark_repetitions=5", "--benchmark_format=json"]
    command += ["--benchmark_enable_random_interleaving=true", f"--benchmark_filter={filter}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(2)
    return json.loads(done.stdout)


def text(value):
    return "   n/a" if value is None else f"{value:6.2f}"


def show(rows):
    print("ns: of one leaf; store, fastest: of one stored item by general registers and by any; x: ns / store;")
    print("rise: ns since 1 MiB; flat: that rise as a multiple of the store's")
    for format, points in rows.items():
        print(f"\n{format:<14}    ns  store fastest     x   rise   flat")
        for size, point in points.items():
            cells = (point[key] for key in ("ns", "stored", "fastest", "ratio", "rise", "flatness"))
            print(f"{page_scale.size_text(size):>12} ", *(text(cell) for cell in cells))


def main(arguments):
    if not arguments:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    source, formats = arguments[0], arguments[1:]
    if source.endswith(".json"):
        with open(source, encoding="utf-8") as file:
            document = json.load(file)
    else:
        document = measured(source, formats)
    rows = {name: page_scale.add_rises(points) for name, points in page_scale.points_of(bench.figures(document)).items()}
    show({name: rows[name] for name in sorted(rows) if not formats or name in formats})
    is_flat, sentence = page_scale.verdict(rows)
    print(f"\n{sentence}" if sentence else "\nno scale case with plain stores of equal bytes")
    return {True: 0, False: 1, None: 2}[is_flat]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
