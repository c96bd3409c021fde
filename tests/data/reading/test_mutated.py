"""Mutated labels files are used, or end in an error of ours that is one line."""

from __future__ import annotations

from pathlib import Path

from tests.data.reading.mutations import run


def test_mutated_labels_files(tmp_path: Path) -> None:
    (tmp_path / "SET").mkdir()
    endings = run(400, tmp_path / "SET")
    assert endings.keys() == {"trained", "DataError"}
    assert endings["trained"] >= 10
