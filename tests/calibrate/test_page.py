"""The report's page: complete, readable, and self-contained."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from s2d_edge.calibrate.report.figures import recall_figure
from s2d_edge.calibrate.report.page import as_html
from s2d_edge.calibrate.report.verdict import judge
from tests.calibrate.reports import clips_of, gate_of, report_of, trial_of

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

TRUTH = np.tile([0, 1, 2], 40)
CHANGED = np.where(np.arange(120) < 12, (TRUTH + 1) % 3, TRUTH)
_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_VOID = {"meta", "link", "br"}


class Page(HTMLParser):
    """URLs that a browser would load, and titles that a reader would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.open: list[str] = []
        self.titles: list[str] = []
        self.figures: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        assert not any(name.startswith("on") for name, _ in attrs)
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag == "svg":
            self.figures.append(dict(attrs)["aria-label"] or "")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.titles.append(data)


@pytest.fixture(scope="module")
def page() -> str:
    """The page of a bundle whose name is an attack."""
    report = report_of(TRUTH, TRUTH, CHANGED)
    gate = gate_of(trial_of(TRUTH, TRUTH, CHANGED, passed=False), trial_of(TRUTH, TRUTH, TRUTH, passed=True))
    report = replace(report, int8=replace(report.int8, bundle="<script>alert(1)</script>"), gate=gate)
    return as_html(report, judge(report), clips_of(TRUTH, TRUTH, CHANGED))


def test_page_has_every_section_and_loads_nothing(page: str) -> None:
    read = Page(page)
    assert read.open == []
    assert read.titles == [
        "Accuracy",
        "Confusion",
        "Recall of each class",
        "Agreement",
        "Logits, FP32 against INT8",
        "Clips whose prediction changed most",
        "Layers",
        "Time and size",
        "Recipes tried",
        "What was not measured",
        "How it was measured",
    ]
    assert len(read.figures) == 5
    assert all(read.figures)  # a name each, for screen readers
    assert all(value.startswith(("#", "data:")) for value in read.loaded)
    assert not re.search(r"url\((?!#)|@import", page)
    assert "default-src 'none'" in page
    for shown in ("clips/0.png", "blocks.0.fc1", "INT8 costs accuracy", "McNemar", "90.0 %", "+10.00 pp"):
        assert shown in page


def test_figures_are_whole_svg_in_the_page_s_colours(page: str) -> None:
    figures = re.findall(r"<svg .*?</svg>", page, flags=re.DOTALL)
    identifiers: set[str] = set()
    for figure in figures:
        root = ElementTree.fromstring(figure)  # noqa: S314  (this test made it)
        assert root.get("viewBox")
        assert root.get("width") is None  # as wide as its column
        used = {element.get("id") for element in root.iter() if element.get("id")}
        # Ids that the library counts are equal in all figures, and nothing refers to them.
        referred = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", figure))
        assert referred <= used
        assert not identifiers & referred
        identifiers |= referred
    assert "var(--ink)" in page
    assert "#01020" not in page


def test_figures_are_equal_from_run_to_run(page: str) -> None:
    assert recall_figure(report_of(TRUTH, TRUTH, CHANGED)) in page


def test_names_cannot_write_into_the_page(page: str) -> None:
    assert "&lt;script&gt;" in page  # and no script, as the first test sees


@pytest.mark.skipif(_CHROMIUM is None, reason="no Chromium on PATH to open the page in")
def test_chromium_shows_the_page_without_a_message(page: str, tmp_path: Path) -> None:
    assert _CHROMIUM is not None
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    done = subprocess.run(
        [
            _CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=1000,1400",
            f"--screenshot={tmp_path / 'page.png'}",
            (tmp_path / "report.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (tmp_path / "page.png").stat().st_size > 20_000, done.stderr
    assert "CONSOLE" not in done.stderr  # where the page's policy would report what it blocked
