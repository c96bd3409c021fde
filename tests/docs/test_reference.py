"""Pages that are written from the code say what the code says."""

from __future__ import annotations

import json

import pytest

from s2d_edge.firmware_host.io.results import LiveResult
from tests.docs.pages import ROOT, blocks
from tools.docs.reference import PAGES, PARTS, renewed, stale
from tools.docs.verbs_page import commands


def test_pages_are_current() -> None:
    assert sorted(stale()) == [], "write them again: make reference"


def test_each_part_is_on_a_page() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES.glob("*.md"))
    assert [name for name in PARTS if f"<!-- generated: {name} -->" not in text] == []


def test_an_outdated_part_is_replaced_and_prose_is_kept() -> None:
    page = "Before.\n<!-- generated: result-line -->\nold\n<!-- end -->\nAfter.\n"
    text = renewed(page)
    assert "old" not in text
    assert "`probabilities`" in text
    assert text.startswith("Before.\n")
    assert text.endswith("After.\n")
    assert renewed(text) == text


def test_every_verb_and_option_is_described() -> None:
    page = (PAGES / "verbs.md").read_text("utf-8")
    for name, command in commands().items():
        assert f"## `{name}`" in page
        assert command.help
        for parameter in command.params:
            assert parameter.name == "help" or getattr(parameter, "help", None), f"{name} {parameter.name}"


@pytest.mark.parametrize("name", ["README.md", "docs/reference/results.md"])
def test_the_result_lines_shown_have_the_keys_that_are_written(name: str) -> None:
    written = set(LiveResult.__dataclass_fields__) - {"warming", "pace"}
    shown = [json.loads(block.text) for block in blocks(ROOT / name) if block.language == "json"]
    assert shown
    for line in shown:
        assert set(line) == written
        assert line["label"] == max(line["probabilities"], key=line["probabilities"].__getitem__)
