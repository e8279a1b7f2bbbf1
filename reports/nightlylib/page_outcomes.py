"""
What becomes of an IOTLB: the cases translate/* and iotlb/* as two tables of outcomes, three sentences and two charts.
All of it is a model: what holds for every geometry is worth a conclusion, a single figure is not (bench/README.md).
"""

import re

from . import page_text
from .page_text import share

TRANSLATE = re.compile(r"^translate/([^/]+)/((?:none|4K|2M)-[^-/]+-[^-/]+)/(hit|miss|fault)$")
IOTLB = re.compile(r"^iotlb/([^/]+)/([^-/]+-[^-/]+)/([^/]+)$")
TRAFFICS = ("sequential", "random", "strided", "trace")
SMALL, LARGE = "4K-4K", "2M-2M"  # S2-RMP: 4K only, and both large
MISMATCHES = ("4K-2M", "2M-4K", "2M-mixed")
HARDWARE = {
    "amd": "a size mismatch faults; an entry is as small as the smaller of S1 and S2",
    "amd-fill-2m": "the other reading of a disputed case: an entry is as large as S2 says",
    "smallest": "an entry is as small as the smallest of S1, S2 and RMP; sizes never fault",
    "expanding": "broken on purpose: S2 4K over RMP 2M fills a 2M entry",
    "cpu": "what a processor does: fault, psmash, retry. No DMA can",
    "cca": "ownership is checked per granule, sizes are not coupled",
    "off": "no RMP",
}


def fill_text(mine):
    """Size of what is filled; '' where nothing is."""
    sizes = [key.removeprefix("fill_") for key in mine if key.startswith("fill_") and mine[key] > 0]
    return " + ".join(sizes)


def outcome(mine):
    """One cell: {text, kind}. kind: lost, expands, repaired, small, large; the worst that is true."""
    faults = mine.get("faults", 0)
    filled = fill_text(mine)
    if faults >= 1:
        return {"text": "all lost", "kind": "lost"}
    if mine.get("expands"):
        return {"text": f"{filled} exposes", "kind": "expands"}
    if not filled:
        return {"text": "hit" if mine.get("hit_ratio") else "nothing", "kind": "none"}
    words = [filled]
    kind = "large" if "2M" in filled and "4K" not in filled else "small"
    if mine.get("repairs"):
        words, kind = [*words, "after repair"], "repaired"
    if faults:
        words, kind = [*words, f"{share(faults)} lost"], "partly-lost"
    return {"text": ", ".join(words), "kind": kind}


def groups(figures, pattern):
    return {name: pattern.match(name).groups() for name in figures if pattern.match(name)}


def matrix(figures, wanted):
    """wanted: {case: (hardware, combination)}. Rows of cells by combination, one column for each hardware variant."""
    hardware = list(dict.fromkeys(hw for hw, _ in wanted.values()))
    combinations = list(dict.fromkeys(combination for _, combination in wanted.values()))
    cells = {place: {**outcome(figures[name]), "name": name} for name, place in wanted.items()}
    empty = {"text": "n/a", "kind": "none", "name": ""}
    lines = [(row, [cells.get((hw, row), empty) for hw in hardware]) for row in combinations]
    return {"hardware": [(hw, HARDWARE.get(hw, "")) for hw in hardware], "rows": lines} if lines else None


def iotlb_matrix(figures, traffic):
    found = groups(figures, IOTLB)
    return matrix(figures, {name: (hw, combo) for name, (hw, combo, mine) in found.items() if mine == traffic})


def translate_matrix(figures):
    """One translation: a miss or a fault; hits come from an entry that a miss made."""
    found = groups(figures, TRANSLATE)
    return matrix(figures, {name: (hw, combo) for name, (hw, combo, kind) in found.items() if kind != "hit"})


def model_rows(figures, pattern):
    """A row for each case of the model, all counters that it has."""
    return [{"name": name, **figures[name], "outcome": outcome(figures[name])} for name in groups(figures, pattern)]


def case(figures, hw, combination, traffic):
    return figures.get(f"iotlb/{hw}/{combination}/{traffic}")


def filled(mine):
    return sum(value for key, value in mine.items() if key.startswith("fill_"))


def small_pages_sentence(figures, hw="amd"):
    """What a 4K-only S2 costs, least and most over the traffics."""
    ratios, reach = [], None
    for traffic in TRAFFICS:
        small, large = case(figures, hw, SMALL, traffic), case(figures, hw, LARGE, traffic)
        if small and large and filled(large):
            ratios.append(filled(small) / filled(large))
            reach = reach or (small, large)
    if not ratios:
        return None
    low, high = page_text.number(round(min(ratios))), page_text.number(round(max(ratios)))
    times = low if low == high else f"{low} to {high}"
    small, large = (page_text.bytes_text(mine["reach_bytes"]) for mine in reach)
    return {
        "title": "4K-only S2",
        "strong": f"{times} times the IOTLB fills",
        "text": f"of 2M pages, by traffic; a full IOTLB reaches {small} instead of {large} ({hw}, 64 sets of 8 ways).",
    }


def mismatch_sentence(figures, hw="amd"):
    """What a mismatch of S2 and RMP costs, and on which hardware."""
    lost = {}
    for name, (variant, combination, _) in groups(figures, IOTLB).items():
        if combination in MISMATCHES:
            lost[variant] = max(lost.get(variant, 0), figures[name].get("faults", 0))
    if hw not in lost:
        return None
    every = [variant for variant, faults in lost.items() if faults >= 1]
    strong = f"{'All' if lost[hw] >= 1 else share(lost[hw])} DMA is lost"
    text = f"on {hw}: it faults, and a device cannot try again."
    others = [variant for variant in every if variant != hw]
    if others:
        text += f" So it is, for one mismatch or another, on {page_text.both(others)}."
    return {"title": "A mismatch of S2 and RMP", "strong": strong, "text": text}


def variants_sentence(figures):
    """Who exposes memory, who shrinks, who does not care."""
    kinds = {}
    for name, (variant, combination, _) in groups(figures, IOTLB).items():
        if combination in MISMATCHES:
            kinds.setdefault(variant, set()).add(outcome(figures[name])["kind"])
    for name, (variant, _, _) in groups(figures, TRANSLATE).items():
        if outcome(figures[name])["kind"] == "expands":
            kinds.setdefault(variant, set()).add("expands")
    exposing = [variant for variant, seen in kinds.items() if "expands" in seen]
    clean = [variant for variant, seen in kinds.items() if seen <= {"small", "large"}]
    slow = [variant for variant in kinds if variant not in exposing and kinds[variant] & {"small", "partly-lost", "repaired"}]
    slow = [variant for variant in slow if variant not in clean]
    text = []
    if clean:
        text.append(f"{page_text.both(clean)} {'serves' if len(clean) == 1 else 'serve'} every mismatch")
    if slow:
        text.append(f"{page_text.both(slow)} {'pays' if len(slow) == 1 else 'pay'} with small entries and lost shared pages")
    if not kinds:
        return None
    strong = f"{page_text.both(exposing)} {'exposes' if len(exposing) == 1 else 'expose'} neighbours" if exposing else "No variant exposes memory"
    return {"title": "What variants change", "strong": strong, "text": "; ".join(text) + "." if text else ""}


def fills_chart(figures, hw="amd"):
    """Entries filled per 1000 accesses, S2 and RMP 4K against both 2M, by traffic."""
    having = [each for each in TRAFFICS if case(figures, hw, SMALL, each) and case(figures, hw, LARGE, each)]
    if not having:
        return None

    def values(combination):
        return [1000 * filled(case(figures, hw, combination, traffic)) for traffic in having]

    small, large = values(SMALL), values(LARGE)
    series = [
        {"name": "S2 4K, RMP 4K", "colour": 1, "values": small, "texts": [page_text.number(each) for each in small]},
        {"name": "S2 2M, RMP 2M", "colour": 0, "values": large, "texts": [page_text.number(each) for each in large]},
    ]
    return {"id": "iotlb-fills", "kind": "bars", "title": "Entries filled per 1000 accesses", "categories": having, "series": series}


def hits_chart(figures, hw="amd"):
    """Accesses that hit: for each traffic and size the band over all geometries, and the mark of one of them."""
    rows = []
    for traffic in TRAFFICS:
        for size, colour, combination in (("4K", 1, SMALL), ("2M", 0, LARGE)):
            mine = case(figures, hw, combination, traffic)
            if mine:
                low, high = mine.get("hit_ratio_min", mine["hit_ratio"]), mine.get("hit_ratio_max", mine["hit_ratio"])
                text = f"{share(low)} to {share(high)}; {share(mine['hit_ratio'])} with 64 sets of 8 ways"
                values = [round(100 * each, 3) for each in (low, high, mine["hit_ratio"])]
                rows.append({"name": f"{traffic}, {size}", "colour": colour, "values": values, "text": text})
    title = "Accesses that hit, least to most over 9 geometries"
    legend = [{"name": "S2 4K, RMP 4K", "colour": 1}, {"name": "S2 2M, RMP 2M", "colour": 0}]
    return {"id": "iotlb-hits", "kind": "ranges", "title": title, "unit": "%", "max": 100, "series": legend, "rows": rows} if rows else None


def view(figures):
    """Everything the section shows; None where nothing of the model was measured."""
    if not groups(figures, IOTLB) and not groups(figures, TRANSLATE):
        return None
    messages = [small_pages_sentence(figures), mismatch_sentence(figures), variants_sentence(figures)]
    return {
        "messages": [each for each in messages if each],
        "charts": [each for each in (fills_chart(figures), hits_chart(figures)) if each],
        "matrices": [(traffic, iotlb_matrix(figures, traffic)) for traffic in TRAFFICS if iotlb_matrix(figures, traffic)],
        "translate": translate_matrix(figures),
        "iotlb_rows": model_rows(figures, IOTLB),
        "translate_rows": model_rows(figures, TRANSLATE),
    }
