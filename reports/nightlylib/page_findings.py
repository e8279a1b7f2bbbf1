"""Findings: outcomes that this hardware allows and the guest or its device did not deserve, with the script of each."""

import urllib.parse
import xml.etree.ElementTree as ElementTree

from . import page_text, schema

WHAT = {
    "LOSES DMA": "an access that is authorised, to a page that nobody is converting, faults",
    "STALE": "an access completes with a page, permission or owner that is no longer authorised",
    "EXPANDS": "an IOTLB entry covers a byte that its own check would refuse or send elsewhere",
}
SHORT = {"LOSES DMA": "lose DMA", "STALE": "reach what is gone", "EXPANDS": "expose a neighbour"}
SVG = "{http://www.w3.org/2000/svg}"
HARMLESS = {f"{SVG}{name}" for name in ("svg", "style", "g", "title", "desc", "rect", "text", "tspan", "path", "line")}


def groups(findings):
    """Findings by severity, the worst first: [{finding, what, count, entries}]."""
    found = []
    for severity in schema.SEVERITY:
        entries = [each for each in findings if each["finding"] == severity]
        if entries:
            count = sum(each["count"] for each in entries)
            found.append({"finding": severity, "what": WHAT[severity], "count": count, "entries": entries})
    return found


def prepared(entry, script):
    """What one finding shows; script: the text of its file."""
    return {
        **entry,
        "css": entry["finding"].lower().replace(" ", "-"),
        "first": page_text.seconds(entry["first_seconds"]),
        "file": entry["script"].rpartition("/")[2],
        "text": script,
        "download": "data:text/plain;charset=utf-8," + urllib.parse.quote(script, safe=""),
        "steps": [step_of(step) for step in entry["steps"]],
    }


def step_of(step):
    op, arrow, outcome = step["op"].rpartition(" -> ")
    if not arrow:
        op, outcome = outcome, ""
    return {"words": step["words"], "op": op.strip(), "outcome": outcome, "is_fault": outcome.startswith("fault=")}


def sentence(shown):
    """'2 ways to lose DMA, 1 to reach what is gone': rules and variants, not how often they were met."""
    words = []
    for group in shown:
        count = len(group["entries"])
        way = "" if words else (" way" if count == 1 else " ways")
        words.append(f"{count}{way} to {SHORT[group['finding']]}")
    return ", ".join(words)


def harmless_svg(text):
    """
    The flamegraph for putting into the page, or None if it holds anything but shapes, texts and rules of their own:
    a picture may not run or load anything, nor restyle the page around it.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None
    for element in root.iter():
        if element.tag not in HARMLESS:
            return None
        if any(name.startswith("on") or name.endswith("href") or "url(" in value for name, value in element.attrib.items()):
            return None
        if element.tag == f"{SVG}style" and not is_harmless_style(element.text or ""):
            return None
    return text


def is_harmless_style(text):
    """Every rule is of .flame, nothing is loaded."""
    if "@import" in text or "url(" in text or "<" in text:
        return False
    heads = [line.split("{")[0].strip() for line in text.splitlines() if "{" in line]
    return all(head.startswith((".flame", "@media")) for head in heads)
