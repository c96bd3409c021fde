"""Compiled graphs that are kept for a CPU: the same logits, whatever has become of the files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.engine import Logits
from s2d_edge.firmware_host.bench.timing import random_clip
from s2d_edge.firmware_host.engines import open_engine
from tests.firmware_host.graphs import COLOUR_TO_LOGIT

_WEIGHT = COLOUR_TO_LOGIT[0, 0].tobytes()
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda content: b"",
    "cut short": lambda content: content[: len(content) // 2],
    "overwritten": lambda content: bytes(len(content)),
    "other bytes at the beginning": lambda content: content[:200] + b"\xff" * 64 + content[264:],
    "other weights": lambda content: content.replace(_WEIGHT, np.float32(0.3).tobytes()),
}


def logits_of(bundle: Bundle, *, keep: bool) -> Logits:
    with open_engine(bundle, "cpu", keep=keep) as engine:
        return engine.infer(random_clip(engine.spec))


@pytest.fixture
def kept(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Path]]:
    """Keep what is compiled in a folder of this test; returns a function that lists it."""
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    return lambda: sorted(path for path in (tmp_path / "cache").rglob("*") if path.is_file())


def test_nothing_is_kept_unless_asked(bundle: Bundle, kept: Callable[[], list[Path]]) -> None:
    logits_of(bundle, keep=False)
    assert kept() == []


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_kept_graph_predicts_the_same_and_a_damaged_one_is_made_anew(
    bundle: Bundle, kept: Callable[[], list[Path]], damage: str
) -> None:
    wanted = logits_of(bundle, keep=False)
    np.testing.assert_array_equal(logits_of(bundle, keep=True), wanted)
    files = kept()
    assert files
    np.testing.assert_array_equal(logits_of(bundle, keep=True), wanted)
    assert kept() == files
    for file in files:
        file.chmod(0o644)
        file.write_bytes(DAMAGE[damage](file.read_bytes()))
    np.testing.assert_array_equal(logits_of(bundle, keep=True), wanted)
