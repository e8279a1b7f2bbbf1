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
    "replay/nvme-e1000e/amdv1",
]
FUZZ_TARGETS = ["fuzz_engine"]
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
    tests_too: bool = False

    def bench_filter(self):
        """For --benchmark_filter; None: no filter."""
        if self.cases is None:
            return None
        return "^(" + "|".join(re.escape(case).replace(r"\-", "-") for case in self.cases) + ")$"


MODES = {
    "quick": Mode("quick", QUICK_CASES, 0.3, 1, 20, 300),
    "default": Mode("default", None, 0.1, 1, 60, 3600),
    "long": Mode("long", None, 0.25, 5, 1800, 4 * 3600, tests_too=True),
}
