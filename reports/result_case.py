"""A stored result in a folder of its own, and index.html as a parser sees it: what the tests of this folder share."""

import contextlib
import copy
import importlib.machinery
import importlib.util
import io
import json
import os
import re
import shutil
import sys
import tempfile
import unittest
from html.parser import HTMLParser

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from nightlylib import history, schema  # noqa: E402

FIXTURE = os.path.join(HERE, "fixture")


def load_script(name):
    """A script of scripts/ as a module."""
    path = os.path.join(os.path.dirname(HERE), "scripts", name)
    spec = importlib.util.spec_from_loader(name, importlib.machinery.SourceFileLoader(name, path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


report = load_script("report")


def squeeze(text):
    """One blank for each run of blanks and newlines; narrow no-break spaces stay."""
    return re.sub("[ \n]+", " ", text).strip()


class Page(HTMLParser):
    """What the tests look at: cells by row, attributes that load something, tags left open, the charts' data."""

    VOID = {"meta", "link", "img", "br", "hr", "input", "wbr", "source", "line", "circle", "polyline", "rect"}

    def __init__(self, text):
        super().__init__()
        self.rows, self.loads, self.open, self.cell = [], [], [], None
        self.ids, self.charts, self.script = [], None, None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "script":
            self.script = values.get("id", "")
        if "id" in values:
            self.ids.append(values["id"])
        if tag in ("link", "img", "iframe", "object", "embed", "video", "audio", "base"):
            self.loads.append(tag)
        self.loads += [f"{tag} {key}={value}" for key, value in values.items() if key in ("src", "srcset", "data")]
        if "://" in values.get("href", "") or values.get("href", "").startswith("//"):
            self.loads.append(f"{tag} href={values['href']}")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.cell = ""
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.VOID:
            return
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()
        if tag == "script":
            self.script = None
        if tag in ("td", "th"):
            self.rows[-1].append(squeeze(self.cell))
            self.cell = None

    def handle_data(self, data):
        if self.script == "charts":
            self.charts = json.loads(data)
        if self.cell is not None:
            self.cell += data


class ResultCase(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="mapproof-reports-")
        self.addCleanup(shutil.rmtree, self.root, True)
        self.folder = os.path.join(self.root, "result")
        shutil.copytree(FIXTURE, self.folder)
        self.result = schema.read_result(self.folder)

    def change(self, name, edit):
        """Edit one JSON file of the result; read it again."""
        path = os.path.join(self.folder, f"{name}.json")
        value = schema.read_json(path)
        edit(value)
        schema.write_json(path, value)

    def rows(self, text):
        """The first row of any table that begins with this cell, for each of them."""
        return {row[0]: row for row in reversed(Page(text).rows) if row}

    def render(self, *options):
        """Exit code, stderr and index.html (None if there is none)."""
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            with contextlib.redirect_stdout(io.StringIO()):
                code = report.main([self.folder, *options])
        path = os.path.join(self.folder, "index.html")
        text = None
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                text = file.read()
        return code, errors.getvalue(), text


class HistoryCase(ResultCase):
    def setUp(self):
        super().setUp()
        self.database = os.path.join(self.root, "history.sqlite")

    def store_as(self, started, factor=1.0, cpu=None):
        result = copy.deepcopy(self.result)
        result["run"]["started"] = started
        if cpu:
            result["run"]["machine"]["cpu"] = cpu
        for entry in result["bench"]["benchmarks"]:
            if entry["name"].startswith("map/"):
                entry["cpu_time"] *= factor
        return history.store(self.database, result, "somewhere")
