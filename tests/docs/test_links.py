"""Every link inside the repository leads to a file, and its anchor to a heading."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, anchors, links, pages


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        target, _, anchor = link.partition("#")
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{page}: {link}"
        assert not anchor or anchor in anchors(there), f"{page}: {link}"


def test_every_page_of_the_shelf_is_in_the_index_and_the_site() -> None:
    docs = ROOT / "docs"
    shelf = {str(page.relative_to(docs)) for page in docs.rglob("*.md")} - {"index.md"}
    site = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert shelf <= set(links(docs / "index.md"))
    assert [name for name in sorted(shelf) if f": {name}\n" not in site] == []
