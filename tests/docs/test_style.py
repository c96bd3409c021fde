"""Pages are easy to read: short sentences, short paragraphs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, pages, paragraphs

LONGEST_SENTENCE_WORDS = 25
LONGEST_PARAGRAPH_LINES = 8
_WRITTEN_FROM_CODE = ("docs/targets.md", "docs/reference/", "s2d_edge/starter/CARD.md", "CHANGELOG.md")


def _written_by_hand() -> list[Path]:
    return [page for page in pages() if not str(page.relative_to(ROOT)).startswith(_WRITTEN_FROM_CODE)]


@pytest.mark.parametrize("page", _written_by_hand(), ids=lambda page: str(page.relative_to(ROOT)))
def test_sentences_and_paragraphs_are_short(page: Path) -> None:
    for paragraph in paragraphs(page):
        assert len(paragraph) <= LONGEST_PARAGRAPH_LINES, paragraph[0]
        for sentence in _sentences(" ".join(paragraph)):
            assert len(sentence.split()) <= LONGEST_SENTENCE_WORDS, sentence


def _sentences(text: str) -> list[str]:
    """Split prose at ends of sentences, colons and semicolons; code is a word, brackets are left out."""
    text = re.sub(r"`[^`]+`", "code", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\([^()]*\)", "", text)
    return re.split(r"(?<=[.!?:;])\s+", text.replace("**", ""))
