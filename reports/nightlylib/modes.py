"""How much each mode measures, and for how long."""

import re
from dataclasses import dataclass

# A couple of names that outside readers of bench.json look for; `--quick` measures these and nothing else.
QUICK_CASES = [
    "limit/store_2KiB",
    "limit/store_2KiB_scalar",
    "limit/store_2MiB",
    "map/amdv1/1x4K/warm",
    "map/amdv1/256x4K/warm",
    "map/amdv1/256x2M/warm",
    "map/amdv1/1x1M/warm",
    "map/amdv1/1GiB_as_4K/warm",
    "map/amdv1/256x4K/warm-vector",
    "map/x86_64/256x4K/warm",
    "unmap/amdv1/256x4K/warm",
    "map/amdv1/list_256x4K/warm",
    "unmap/amdv1/ranges_256x4K/warm",
    "cut/amdv1/2M_at_4K/cold",
    "resize/amdv1/2M_to_4K/cold",
    "dirty/amdv1/scan_1GiB_of_4K_1pct/warm",
    "scale/amdv1/map_1MiB/warm",
    "scale/amdv1/map_1GiB/warm",
    "limit/store_2MiB_scalar",
    "replay/nvme-e1000e/amdv1",
]
# What perf stat runs of each family; a family without any is stood for by its first case.
PERF_CASES = [
    "map/*/256x4K/warm",
    "map/amdv1/1GiB_as_4K/warm",
    "unmap/*/256x4K/warm",
    "lookup/*/random_1GiB_of_4K/warm",
    "replay/nvme-e1000e/amdv1",
    "translate/amd/4K-4K-4K/*",
    "iotlb/amd/4K-4K/random",
    "limit/store_2KiB*",
    "limit/store_2MiB",
    "cut/amdv1/2M_at_4K/cold",
    "resize/*/2M_to_4K/cold",
    "dirty/*/scan_1GiB_of_4K_1pct/warm",
    "growth/amdv1/1_level/cold",
    "scale/amdv1/map_1GiB/warm",
]
FLAME_CASES = ["map/amdv1/256x4K/warm", "map/amdv1/1GiB_as_4K/warm"]
# Instructions that are counted in every mode: (case, operations).
COUNTS = [
    ("map/amdv1/1x4K/warm", 2000),
    ("map/amdv1/256x4K/warm", 1000),
    ("map/amdv1/1x1M/warm", 1000),
    ("map/amdv1/256x4K/warm-vector", 1000),
    ("map/x86_64/256x4K/warm", 1000),
    ("unmap/amdv1/256x4K/warm", 1000),
    ("lookup/amdv1/random_1GiB_of_4K/warm", 2000),
    ("translate/amd/4K-4K-4K/hit", 1000),
    ("translate/amd/4K-4K-4K/miss", 1000),
]
FUZZ_TARGETS = ["fuzz_lockstep", "fuzz_engine", "fuzz_formats", "fuzz_rmp", "fuzz_parse"]
INPUT_FILES = [
    "corpus/traces/linux-6.12-vtd-nvme-e1000e.trace.xz",
    "corpus/layouts/pagemap-thp-4g.txt.xz",
    "corpus/layouts/pagemap-4k-4g.txt.xz",
]
INPUT_FORMATS = ["amdv1", "x86_64"]


@dataclass
class Mode:
    name: str
    cases: list  # exact names; None: every case
    min_time: float  # seconds a case, Google Benchmark's --benchmark_min_time
    repetitions: int
    fuzz_seconds: int  # in all
    bench_limit: int  # seconds after which the program counts as hanging
    perf_min_time: float  # seconds a case under perf stat
    flame_min_time: float  # and under perf record
    counts_of_gate: bool  # count the instructions of the gate's cases too
    hyperfine_runs: int
    tests_too: bool = False
    builds_tests: bool = True  # those that scripts/matrix asks
    speed_rounds: int = 5  # of the table of speed; 0: it is left out
    speed_min_time: float = 0.01  # seconds a case of it
    hyperfine_format: str = INPUT_FORMATS[0]
    perf_cases = PERF_CASES
    flame_cases = FLAME_CASES
    counts = COUNTS

    def bench_filter(self):
        """For --benchmark_filter; None: no filter."""
        if self.cases is None:
            return None
        return "^(" + "|".join(re.escape(case).replace(r"\-", "-") for case in self.cases) + ")$"


MODES = {
    "quick": Mode("quick", QUICK_CASES, 0.2, 1, 24, 300, 0.1, 0.5, False, 3, builds_tests=False, speed_rounds=0),
    "default": Mode("default", None, 0.02, 1, 120, 3 * 3600, 0.2, 1.5, True, 10),
    "long": Mode("long", None, 0.25, 5, 1800, 4 * 3600, 1, 5, True, 30, tests_too=True, speed_rounds=9),
}
