"""Every link inside the repository leads to a file, and its anchor to a heading."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, anchors, inline_code, links, pages

_FILE = re.compile(r"\w+/[\w./-]*")  # a path below a room; placeholders and patterns have other signs


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        target, _, anchor = link.partition("#")
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{page}: {link}"
        assert not anchor or anchor in anchors(there), f"{page}: {link}"


def test_files_named_in_the_text_exist() -> None:
    rooms = {
        folder.name for root in (ROOT, ROOT / "s2d_edge") for folder in root.iterdir() if folder.is_dir()
    }
    named = {(page, code) for page in pages() for code in inline_code(page)}
    files = [(page, code) for page, code in named if _FILE.fullmatch(code) and code.split("/")[0] in rooms]
    assert len(files) > 40
    absent = [
        (page.name, code)
        for page, code in files
        if not any((root / code).exists() for root in (ROOT, ROOT / "s2d_edge"))
    ]
    assert absent == []


def test_every_page_of_the_shelf_is_in_the_index_and_the_site() -> None:
    docs = ROOT / "docs"
    shelf = {str(page.relative_to(docs)) for page in docs.rglob("*.md")} - {"index.md"}
    site = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert shelf <= set(links(docs / "index.md"))
    assert [name for name in sorted(shelf) if f": {name}\n" not in site] == []
