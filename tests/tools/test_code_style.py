"""Code reads well: files hold one idea, and a docstring's first line stands alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_LINES = 350
_NO_SENTENCE_BEGINS = ("What ", "How ", "Whether ", "Which ", "As above", "The same")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _sources(*more: str) -> Iterator[Path]:
    for folder in ("s2d_edge", "export", "calibrate", "firmware_host", "tools", *more):
        yield from (ROOT / folder).rglob("*.py")


def test_no_file_is_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in _sources("tests")}
    assert lengths
    assert [str(path) for path, lines in lengths.items() if lines > MOST_LINES] == []


def test_docstrings_begin_with_a_sentence_of_their_own() -> None:
    riddles = [
        f"{path}: {text.splitlines()[0]}"
        for path in _sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, _DOCUMENTED)
        if (text := ast.get_docstring(node)) is not None and text.startswith(_NO_SENTENCE_BEGINS)
    ]
    assert riddles == []
