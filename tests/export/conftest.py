"""Fixtures of the tests of export."""

from __future__ import annotations

import pytest

from s2d_edge.export import command


@pytest.fixture
def no_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports write no self-test, which takes seconds where a model is large."""
    monkeypatch.setattr(command, "write_self_test", lambda bundle, console: None)
