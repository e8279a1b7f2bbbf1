"""What the table of speed has: its lines and goals, the tables that Linux published, which case is which."""

import re
from dataclasses import dataclass

PAGES = ("2K", "4K", "16K", "64K")  # the smallest leaf of a format is the first of these that it has
REWALKING = "rewalk"
REWALKED = ("amdv1", "x86_64")  # formats of the plugin
ITEMS_OF_4K = ("amdv1", "x86_64", "vtdss", "riscv64", "riscv64_s2", "armv8", "armv8_s2")  # 1 MiB is 256 items


@dataclass(frozen=True)
class Line:
    """A line of the table: `case` has {format} and {page}; goals in ns of a call, or in multiples of plain stores."""

    name: str
    case: str
    general: float
    vector: float
    of_limit: bool = False
    count: int = 500  # operations whose instructions are counted
    bound: str = ""


LINES = (
    Line("map 256x4K", "map/{format}/256x{page}/warm", 100, 60,
         bound="a test and a store of each item; at 2.3 GHz 0.28 ns (3.3 instructions of gcc's, 2.8 of clang's: from 2^19 to 2^20 of amdv1), where plain stores take 0.18. The rest is the call, its checks, sizes and walk, as in a call of one 2M leaf"),
    Line("unmap 256x4K", "unmap/{format}/256x{page}/warm", 100, 60,
         bound="each item is read, compared and cleared in one pass; the rest is the call, its walk and the gather, as in a call of one 2M leaf"),
    Line("map 1x1M", "map/{format}/1x1M/warm", 100, 60,
         bound="the items in 1 MiB as in map 256x4K: 256 where an item is 4K, whatever the leaves; 64, 16 or one elsewhere"),
    Line("map 1GiB as 4K", "map/{format}/1GiB_as_{page}/warm", 3, 2, of_limit=True, count=4,
         bound="the items are 2 MiB (4 MiB of fake), more than a first-level cache: the test brings them in, then the stores change them, where plain stores do only that"),
    Line("map 1x4K", "map/{format}/1x{page}/warm", 12, 12, count=2000,
         bound="dependent loads, one a level, and the checks of the arguments: latency and 160 to 230 instructions"),
    Line("unmap 1x4K", "unmap/{format}/1x{page}/warm", 20, 20, count=2000,
         bound="dependent loads, one a level, then the gather and the list of tables: 270 to 430 instructions"),
    Line("lookup random", "lookup/{format}/random_1GiB_of_{page}/warm", 8, 8, count=2000,
         bound="dependent loads, one a level. The last is of 2 MiB of items (64K granules: 128 KiB, fake: 4 MiB), which is most of the difference between formats"),
)
MODEL_CASES = ("translate/amd/none-4K-4K/hit", "translate/amd/4K-4K-4K/hit", "iotlb/amd/4K-4K/trace", "iotlb/amd/best-2M/trace")
LIMITS = re.compile(r"^limit/store_(2KiB|128KiB|512KiB|2MiB|4MiB)(_scalar)?$")

# ns, (new, old) averages and minima of the commits that added the formats to Linux (generic_pt); None: not published.
# new: generic_pt, old: the code of the driver before. Sizes are 2^n bytes.
PUBLISHED = {
    "amdv1": (
        ("map 2^12", "map/amdv1/1x4K/warm", (65, 64), (62, 61)),
        ("map 2^13", "map/amdv1/1x8K/warm", (70, 66), (67, 62)),
        ("map 2^14", "map/amdv1/1x16K/warm", (73, 69), (71, 65)),
        ("map 2^15", "map/amdv1/1x32K/warm", (78, 75), (75, 71)),
        ("map 2^16", "map/amdv1/1x64K/warm", (89, 89), (86, 84)),
        ("map 2^17", "map/amdv1/1x128K/warm", (128, 121), (124, 112)),
        ("map 2^18", "map/amdv1/1x256K/warm", (175, 175), (170, 163)),
        ("map 2^19", "map/amdv1/1x512K/warm", (264, 306), (261, 279)),
        ("map 2^20", "map/amdv1/1x1M/warm", (444, 525), (438, 489)),
        ("map 2^21", "map/amdv1/1x2M/warm", (60, 62), (58, 59)),
        ("map 256*2^12", "map/amdv1/256x4K/warm", (381, 1833), (367, 1795)),
        ("map 256*2^21", "map/amdv1/256x2M/warm", (375, 1623), (356, 1555)),
        ("map 256*2^30", "map/amdv1/256x1G/warm", (356, 1338), (349, 1277)),
        ("unmap 2^12", "unmap/amdv1/1x4K/warm", (76, 89), (71, 86)),
        ("unmap 2^20", "unmap/amdv1/1x1M/warm", (96, 95), (91, 92)),
        ("unmap 2^21", "unmap/amdv1/1x2M/warm", (72, 88), (68, 85)),
        ("unmap 256*2^12", "unmap/amdv1/256x4K/warm", (372, 6583), (364, 6251)),
        ("unmap 256*2^21", "unmap/amdv1/256x2M/warm", (398, 6032), (392, 5758)),
        ("unmap 256*2^30", "unmap/amdv1/256x1G/warm", (396, 5665), (389, 5258)),
    ),
    "vtdss": (
        ("map 2^12", "map/vtdss/1x4K/warm", (53, 66), None),
        ("map 256*2^12", "map/vtdss/256x4K/warm", (384, 524), None),
        ("map 256*2^30", "map/vtdss/256x1G/warm", (376, 629), None),
        ("unmap 256*2^12", "unmap/vtdss/256x4K/warm", (216, 335), None),
    ),
    "x86_64": (
        ("map 2^12", "map/x86_64/1x4K/warm", (71, 61), None),
        ("map 256*2^12", "map/x86_64/256x4K/warm", (392, 1360), None),
        ("map 256*2^30", "map/x86_64/256x1G/warm", (378, 965), None),
    ),
}


def case_of(line, format, cases):
    """The line's case of this format, general build; None where the format has none."""
    page = next((each for each in PAGES if f"map/{format}/1x{each}/warm" in cases), None)
    name = line.case.format(format=format, page=page)
    return name if page and name in cases else None


def formats_of(cases):
    return list(dict.fromkeys(case.split("/")[1] for case in cases if case.startswith("map/") and case.endswith("/warm")
                              and "_incoherent" not in case and any(f"/1x{page}/" in case for page in PAGES)))


def wanted_of(cases, formats=None):
    """{case: operations to count, or None}: what is measured of the built-in engine, in the order of the table."""
    formats = [each for each in formats_of(cases) if not formats or each in formats]
    wanted = {}
    for line in LINES:
        for format in formats:
            name = case_of(line, format, cases)
            for each in (name, f"{name}-vector"):
                if each in cases:
                    wanted[each] = line.count
    for format in formats:
        for _, name, _, _ in PUBLISHED.get(format, ()):
            if name in cases:
                wanted.setdefault(name, 500)
    wanted |= {name: None for name in (*filter(LIMITS.match, cases), *MODEL_CASES) if name in cases}
    return wanted


def rewalked_of(wanted):
    """Those of the general build that the plugin is measured with too."""
    return {name: count for name, count in wanted.items()
            if name.split("/")[1] in REWALKED and name.endswith("/warm") and count}
