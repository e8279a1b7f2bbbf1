"""Findings: outcomes that this hardware allows and the guest or its device did not deserve, with the script of each."""

import re
import urllib.parse
import xml.etree.ElementTree as ElementTree

import markupsafe

from . import page_text, schema

WHAT = {
    "LOSES DMA": "an access that is authorised, to a page that nobody is converting, faults",
    "STALE": "an access completes with a page, permission or owner that is no longer authorised",
    "EXPANDS": "an IOTLB entry covers a byte that its own check would refuse or send elsewhere",
}
SHORT = {"LOSES DMA": "lose DMA", "STALE": "reach what is gone", "EXPANDS": "expose a neighbour"}
SAID = re.compile(r"^# (entitled|happened): *(.+)$", re.MULTILINE | re.IGNORECASE)
SVG = "{http://www.w3.org/2000/svg}"
HARMLESS = {f"{SVG}{name}" for name in ("svg", "style", "g", "title", "desc", "rect", "text", "tspan", "path", "line")}


def groups(findings):
    """Findings by severity, the worst first, and in each by rule: [{finding, css, what, count, rules}]."""
    found = []
    for severity in schema.SEVERITY:
        entries = [each for each in findings if each["finding"] == severity]
        if entries:
            found.append(
                {
                    "finding": severity,
                    "css": entries[0]["css"],
                    "what": WHAT[severity],
                    "count": sum(each["count"] for each in entries),
                    "rules": [rule_of(entries, rule) for rule in dict.fromkeys(each["rule"] for each in entries)],
                }
            )
    return found


def rule_of(entries, rule):
    """One rule on all hardware that breaks it: the shortest script stands for it, the others follow."""
    mine = [each for each in entries if each["rule"] == rule]
    best = min(mine, key=lambda each: len(each["steps"]))
    confirmed = sum(each["confirmed"] for each in mine)
    return {
        "rule": rule,
        "title": best["title"],
        "hardware": [each["hw"] for each in mine],
        "count": sum(each["count"] for each in mine),
        "first": moment(min(each["first_seconds"] for each in mine)),
        "confirmed": "confirmed by replay" if confirmed == len(mine) else f"{confirmed} of {len(mine)} confirmed by replay",
        "best": best,
        "others": [each for each in mine if each is not best],
    }


def prepared(entry, script):
    """What one finding shows; script: the text of its file."""
    return {
        **entry,
        "css": entry["finding"].lower().replace(" ", "-"),
        "first": moment(entry["first_seconds"]),
        "said": [(name, text) for name, text in said(script) if text not in {step["words"] for step in entry["steps"]}],
        "file": entry["script"].rpartition("/")[2],
        "text": script,
        "download": "data:text/plain;charset=utf-8," + urllib.parse.quote(script, safe=""),
        "steps": [step_of(step) for step in entry["steps"]],
    }


def moment(seconds):
    """The fuzzer rounds to a hundredth of a second."""
    return f"after {page_text.seconds(seconds)}" if seconds else "at once"


def said(script):
    """What the head of a script says about right and wrong: [('Entitled', text), ('Happened', text)]."""
    return [(name.capitalize(), text) for name, text in SAID.findall(script)]


def words(text):
    """A sentence as markup: what stands between back quotes is a name."""
    parts = re.split(r"`([^`]*)`", text)
    quoted = [markupsafe.Markup("<code>{}</code>").format(part) if index % 2 else part for index, part in enumerate(parts)]
    return markupsafe.Markup("").join(quoted)


def step_of(step):
    op, arrow, outcome = step["op"].rpartition(" -> ")
    if not arrow:
        op, outcome = outcome, ""
    return {"words": step["words"], "op": op.strip(), "outcome": outcome, "is_fault": outcome.startswith("fault=")}


def sentence(shown):
    """'2 ways to lose DMA, 1 to reach what is gone': rules, not how often they were met nor on how much hardware."""
    words = []
    for group in shown:
        count = len(group["rules"])
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
