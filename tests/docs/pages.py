"""Reads Markdown pages: fenced blocks, links, anchors and prose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^\s*```(?P<language>\w*)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK = re.compile(r"\[(?:[^\]]*)\]\((?P<target>[^)\s]+)\)")
_ITEM = re.compile(r"^\s*(?:[-*]|\d+\.)\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block.

    Attributes:
        page: relative to the repository.
        line: of the fence, counted from 1.
        language: after the fence; may be empty.
        run: an HTML comment ``<!-- run -->`` stands above it.
    """

    page: str
    line: int
    language: str
    text: str
    run: bool

    def commands(self) -> list[str]:
        """Its lines, continued ones joined, without comments."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        lines = [re.sub(r"(^|\s)#.*", "", line).strip() for line in joined.splitlines()]
        return [line for line in lines if line]


def pages() -> list[Path]:
    """Every page for readers."""
    top = [ROOT / f"{name}.md" for name in ("README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG")]
    return [*top, *sorted((ROOT / "docs").rglob("*.md")), ROOT / "s2d_edge/starter/CARD.md"]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    lines = page.read_text("utf-8").splitlines()
    number = 0
    while number < len(lines):
        opened = _FENCE.match(lines[number])
        number += 1
        if opened is None:
            continue
        start = number
        while not lines[number].strip().startswith("```"):
            number += 1
        found.append(
            Block(
                page=str(page.relative_to(ROOT)),
                line=start,
                language=opened["language"],
                text="\n".join(lines[start:number]),
                run=start >= 2 and lines[start - 2].strip() == "<!-- run -->",
            )
        )
        number += 1
    return found


def without_blocks(page: Path) -> str:
    """The text of a page without fenced blocks and comments."""
    kept, inside = [], False
    for line in page.read_text("utf-8").splitlines():
        if _FENCE.match(line):
            inside = not inside
        elif not inside:
            kept.append(line)
    return _COMMENT.sub("", "\n".join(kept))


def links(page: Path) -> list[str]:
    """The targets of a page's links and pictures."""
    prose = re.sub(r"`[^`\n]+`", "code", without_blocks(page))
    return [found["target"] for found in _LINK.finditer(prose)]


def inline_code(page: Path) -> list[str]:
    """The inline code of the prose, each piece on one line."""
    return re.findall(r"`([^`]+)`", without_blocks(page))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    found = set()
    for line in without_blocks(page).splitlines():
        if line.startswith("#"):
            words = line.lstrip("#").strip().lower().replace("`", "")
            found.add(re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", words)))
    return found


def paragraphs(page: Path) -> Iterator[list[str]]:
    """Runs of prose lines; a list item is a paragraph of its own, tables and headings are none."""
    current: list[str] = []
    for raw in [*without_blocks(page).splitlines(), ""]:
        line = raw.lstrip("> ").rstrip()
        prose = bool(line) and not line.startswith(("|", "#", "!["))
        if current and (not prose or _ITEM.match(line)):
            yield current
            current = []
        if prose:
            current.append(_ITEM.sub("", line))
