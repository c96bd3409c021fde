"""Choose calibration clips, and keep them apart from the evaluation split."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from pathlib import Path

import pytest

from s2d_edge.calibrate.clips.disjoint import record, require_disjoint
from s2d_edge.calibrate.clips.samples import choose_samples
from s2d_edge.core.errors import ConfigError, DataError
from s2d_edge.data.preparing.clips import clip_sha256
from s2d_edge.data.reading.dataset import Dataset, Sample
from tests.colours import write_colours


def dataset(root: Path, counts: dict[int, int]) -> Dataset:
    samples = tuple(
        Sample(path=root / f"{label}-{k}.png", label=label, split="train")
        for label, count in counts.items()
        for k in range(count)
    )
    return Dataset(name="d", root=root, labels=("a", "b", "c"), samples=samples)


def test_choice_is_balanced_and_seeded(tmp_path: Path) -> None:
    data = dataset(tmp_path, {0: 100, 1: 3, 2: 50})
    chosen = choose_samples(data, "train", 21, seed=1)
    assert Counter(sample.label for sample in chosen) == {0: 9, 1: 3, 2: 9}
    assert chosen == choose_samples(data, "train", 21, seed=1)
    assert chosen != choose_samples(data, "train", 21, seed=2)
    assert len(set(chosen)) == 21


def test_each_person_is_taken_once_before_anybody_is_taken_twice(tmp_path: Path) -> None:
    people = ["Ann"] * 30 + ["Bo"] * 2 + ["Cy", None, None]
    samples = tuple(
        Sample(path=tmp_path / f"{k}.png", label=0, split="train", subject=person)
        for k, person in enumerate(people)
    )
    data = Dataset(name="d", root=tmp_path, labels=("a", "b"), samples=samples)
    for seed in range(5):
        chosen = [sample.subject for sample in choose_samples(data, "train", 9, seed)]
        assert Counter(chosen[:5]) == {"Ann": 1, "Bo": 1, "Cy": 1, None: 2}
        assert Counter(chosen[5:7]) == {"Ann": 1, "Bo": 1}
        assert chosen[7:] == ["Ann", "Ann"]


def test_small_split_gives_all_its_clips(tmp_path: Path) -> None:
    assert len(choose_samples(dataset(tmp_path, {0: 2, 1: 1}), "train", 64, seed=0)) == 3


def test_no_clip_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'val'"):
        choose_samples(dataset(tmp_path, {0: 2}), "val", 8, seed=0)
    with pytest.raises(ConfigError, match="--subset 0"):
        choose_samples(dataset(tmp_path, {0: 2}), "train", 0, seed=0)


def test_record_hashes_files_and_folders(tmp_path: Path) -> None:
    write_colours(tmp_path, "train", 2)
    file = tmp_path / "train" / "red" / "0.png"
    samples = [Sample(path=file, label=0, split="train"), Sample(path=file.parent, label=0, split="train")]
    one, folder = record(samples, tmp_path)
    assert (one.path, folder.path) == ("train/red/0.png", "train/red")
    assert one.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    second = hashlib.sha256((file.parent / "1.png").read_bytes()).hexdigest()
    assert folder.sha256 == hashlib.sha256(f"{one.sha256}{second}".encode()).hexdigest()
    (file.parent / "1.png").write_bytes(file.read_bytes())
    assert clip_sha256(file.parent) != folder.sha256


def test_overlap_by_path_content_or_person_is_rejected(tmp_path: Path) -> None:
    write_colours(tmp_path, "train", 2)
    write_colours(tmp_path, "test", 2)

    def sample(split: str, name: str, subject: str | None = None) -> Sample:
        return Sample(path=tmp_path / split / name, label=0, split=split, subject=subject)

    chosen = [sample("train", "red/0.png", "Ann"), sample("train", "green/0.png")]
    clips = record(chosen, tmp_path)
    apart = [sample("test", "red/0.png", "Bo"), sample("test", "green/0.png")]
    require_disjoint(chosen, clips, apart)
    with pytest.raises(DataError, match=r"red/0\.png"):
        require_disjoint(chosen, clips, [*apart, sample("train/../train", "red/0.png")])
    with pytest.raises(DataError, match=r"test/red/1\.png .*'Ann'"):
        require_disjoint(chosen, clips, [*apart, sample("test", "red/1.png", "Ann")])
    shutil.copy(tmp_path / "train" / "green" / "0.png", tmp_path / "test" / "copy.png")
    with pytest.raises(DataError, match=r"copy\.png .* train/green/0\.png"):
        require_disjoint(chosen, clips, [*apart, sample("test", "copy.png")])
