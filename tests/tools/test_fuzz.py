"""Damaged pictures and videos end in a clip, or in one sentence that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2d_edge.core.errors import MediaError
from tests.shared import Shared
from tools.fuzz import media, reading
from tools.fuzz.mutate import mutated
from tools.fuzz.reading import damaged_file, outcome_of, read_all


@pytest.fixture(scope="session")
def files(shared: Shared) -> dict[str, list[bytes]]:
    """Small sound files by suffix, each read whole once."""
    return media.sound_media(shared.folder("fuzz", lambda folder: None))


def test_every_kind_is_damaged_and_sound_before(files: dict[str, list[bytes]], tmp_path: Path) -> None:
    assert set(files) >= {*media.PICTURES, ".avi", ".mp4", ".mkv", ".mov"}
    for suffix, contents in files.items():
        for content in contents:
            path = tmp_path / f"a{suffix}"
            path.write_bytes(content)
            assert outcome_of(path) == "read"


@pytest.mark.parametrize("part", range(4))
def test_damage_is_read_or_refused(files: dict[str, list[bytes]], tmp_path: Path, part: int) -> None:
    outcomes = []
    for number in range(part * 75, part * 75 + 75):
        suffix, content = damaged_file(files, number, seed=1)
        path = tmp_path / f"{number}{suffix}"
        path.write_bytes(content)
        outcomes.append(outcome_of(path))
    assert set(outcomes) == {"read", "refused"}


def test_damage_is_the_same_again(files: dict[str, list[bytes]]) -> None:
    series = [damaged_file(files, number, seed=3) for number in range(60)]
    assert series == [damaged_file(files, number, seed=3) for number in range(60)]
    assert series != [damaged_file(files, number, seed=4) for number in range(60)]
    whole = {content for contents in files.values() for content in contents}
    assert sum(content in whole for _, content in series) < 10
    assert {len(mutated([b"x"], number)) for number in range(50)} > {0}  # also of the smallest file


def test_faults_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def raises(error: BaseException) -> str:
        def read(path: Path) -> None:
            raise error

        monkeypatch.setattr(reading, "read_to_the_end", read)
        return outcome_of(tmp_path / "a.mp4")

    assert raises(MediaError("a.mp4 is cut short")) == "refused"
    assert raises(MediaError("cut short")) == "says cut short"
    assert raises(MediaError("a.mp4:\nTraceback")).startswith("says")
    assert raises(ZeroDivisionError("by zero")) == "raises ZeroDivisionError: by zero"
    assert raises(SystemExit(70)) == "raises SystemExit: 70"


@pytest.mark.slow(seconds=4)
def test_files_are_read_in_processes(files: dict[str, list[bytes]], tmp_path: Path) -> None:
    got = dict(read_all(files, 60, 0, tmp_path, workers=1))
    assert sorted(got) == list(range(60))
    assert set(got.values()) == {"read", "refused"}
