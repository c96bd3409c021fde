"""CREMA-D and RAVDESS in their official layouts: names tell actor, emotion and level."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, DataError
from s2d_edge.data.check.training import training_findings
from s2d_edge.data.reading.dataset import Dataset
from s2d_edge.data.reading.listing import Listing
from s2d_edge.data.reading.open import list_data, open_dataset, require_published

QUIET = Console(quiet=True)


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture
def cremad(tmp_path: Path) -> Path:
    """Ten actors, every emotion; and the sound beside it."""
    for actor, emotion in product(range(1001, 1011), ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")):
        touch(tmp_path / f"VideoFlash/{actor}_DFA_{emotion}_XX.flv")
        touch(tmp_path / f"AudioWAV/{actor}_DFA_{emotion}_XX.wav")
    touch(tmp_path / "VideoFlash/1001_IEO_SAD_HI.flv", tmp_path / "VideoFlash/1004_ITH_SAD_X.flv")
    return tmp_path


@pytest.fixture
def ravdess(tmp_path: Path) -> Path:
    """Five actors who speak every emotion; one of them sings; with sound, without, and sound alone."""
    for actor, emotion, modality in product(range(1, 6), range(1, 9), (1, 2)):
        name = f"0{modality}-01-0{emotion}-01-01-02-0{actor}.mp4"
        touch(tmp_path / f"Video_Speech_Actor_0{actor}/Actor_0{actor}/{name}")
    touch(tmp_path / "Actor_03/01-02-04-02-01-01-03.mp4", tmp_path / "Actor_03/03-02-04-02-01-01-03.wav")
    return tmp_path


def people(dataset: Dataset) -> dict[str, set[str | None]]:
    return {name: {sample.subject for sample in dataset.split(name)} for name in dataset.splits}


def faults(listing: Listing) -> list[str]:
    return [finding.kind for finding in training_findings(listing) if finding.trouble]


def test_cremad(cremad: Path) -> None:
    listing = list_data(f"cremad:{cremad}", QUIET)
    assert not faults(listing)
    dataset = open_dataset(f"cremad:{cremad}", QUIET)
    assert dataset.labels == ("anger", "disgust", "fear", "happy", "neutral", "sad")
    assert len(dataset.samples) == 62
    assert people(dataset) == {
        "train": {"1001", "1002", "1003", "1006", "1007", "1008"},
        "val": {"1004", "1009"},
        "test": {"1005", "1010"},
    }
    told = {sample.path.stem: (dataset.labels[sample.label], sample.subject) for sample in dataset.samples}
    assert told["1001_IEO_SAD_HI"] == ("sad", "1001")
    assert told["1004_ITH_SAD_X"] == ("sad", "1004"), "the official list has one level of one letter"
    assert told["1010_DFA_FEA_XX"] == ("fear", "1010")
    assert listing.notes == ("levels: high 1, unspecified 61",)


def test_cremad_converted_and_flat(tmp_path: Path) -> None:
    touch(tmp_path / "VideoMP4/1001_DFA_ANG_LO.mp4", tmp_path / "VideoMP4/1001_dfa_ang_lo.avi")
    assert [entry.path.name for entry in list_data(f"cremad:{tmp_path}", QUIET).entries] == [
        "1001_DFA_ANG_LO.mp4"
    ]
    flat = tmp_path / "flat"
    touch(
        flat / "1002_DFA_HAP_MD.mkv", flat / "holiday.mp4", flat / "1002_DFA_JOY_MD.mkv", flat / "readme.txt"
    )
    listing = list_data(f"cremad:{flat}", QUIET)
    assert [(entry.label, entry.subject) for entry in listing.entries] == [("happy", "1002")]
    assert any("2 videos of other names" in note for note in listing.notes)


def test_cremad_without_its_videos(tmp_path: Path) -> None:
    touch(tmp_path / "AudioWAV/1001_DFA_ANG_XX.wav")
    with pytest.raises(DataError, match=r"VideoFlash.*1001_DFA_ANG_XX\.flv"):
        open_dataset(f"cremad:{tmp_path}", QUIET)
    touch(tmp_path / "VideoFlash/1001_DFA_ANG_XX.flv")
    (tmp_path / "VideoFlash/1001_DFA_ANG_XX.flv").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(DataError, match="git lfs pull"):
        open_dataset(f"cremad:{tmp_path}", QUIET)


def test_ravdess(ravdess: Path) -> None:
    listing = list_data(f"ravdess:{ravdess}", QUIET)
    assert not faults(listing)
    dataset = open_dataset(f"ravdess:{ravdess}", QUIET)
    assert dataset.labels[:4] == ("neutral", "calm", "happy", "sad")
    assert dataset.labels[4:] == ("angry", "fearful", "disgust", "surprised")
    assert len(dataset.samples) == 41
    assert people(dataset) == {"train": {"01", "02", "03"}, "val": {"04"}, "test": {"05"}}
    told = {sample.path.name: (dataset.labels[sample.label], sample.subject) for sample in dataset.samples}
    assert told["01-01-08-01-01-02-05.mp4"] == ("surprised", "05")
    assert told["01-02-04-02-01-01-03.mp4"] == ("sad", "03")
    assert not any(name.startswith("02") for name in told), "the same pictures, without sound"
    assert any("40 files show a clip again" in note for note in listing.notes)
    assert any("1 of the 41 clips are sung" in note for note in listing.notes)
    assert any(note == "levels: normal 40, strong 1" for note in listing.notes)


def test_ravdess_without_sound_alone_is_read(tmp_path: Path) -> None:
    touch(tmp_path / "Actor_24/02-01-05-02-02-01-24.mp4", tmp_path / "Actor_24/02-01-09-02-02-01-24.mp4")
    listing = list_data(f"ravdess:{tmp_path}", QUIET)
    assert [(entry.label, entry.subject, entry.split) for entry in listing.entries] == [
        ("angry", "24", "val")
    ]
    assert any("1 videos of other names" in note for note in listing.notes)


@pytest.mark.parametrize("name", ["cremad", "ravdess"])
def test_no_protocol_was_published_for_them(name: str, request: pytest.FixtureRequest) -> None:
    dataset = open_dataset(f"{name}:{request.getfixturevalue(name)}", QUIET)
    with pytest.raises(ConfigError, match=r"--protocol paper.*dfew") as caught:
        require_published(dataset)
    assert "cremad," not in str(caught.value)
    with pytest.raises(DataError, match=name):
        open_dataset(f"{name}/1:/nowhere", QUIET)


@pytest.mark.parametrize("name", ["cremad", "ravdess"])
def test_an_empty_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"no video of {name}"):
        open_dataset(f"{name}:{tmp_path}", QUIET)
