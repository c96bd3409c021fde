"""The examples in the docstrings of the Python API run, and print what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import s2d_edge
from s2d_edge import api

_MODULES = ("s2d_edge", *(f"s2d_edge.api.{each.name}" for each in pkgutil.iter_modules(api.__path__)))


@pytest.mark.slow(seconds=3)
@pytest.mark.parametrize("name", _MODULES)
def test_examples_print_what_they_say(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples_to_run() -> None:
    finder = doctest.DocTestFinder(recurse=False)
    for thing in (s2d_edge, s2d_edge.load, s2d_edge.watch, s2d_edge.Model.predict, s2d_edge.Model.stream):
        name = getattr(thing, "__name__", "")
        assert any(test.examples for test in finder.find(thing, name)), name
