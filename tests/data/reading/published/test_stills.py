"""RAF-DB, AffectNet and FER+ in their official layouts."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from s2d_edge.contracts.labels import AFFECTNET7, AFFECTNET8, FERPLUS, RAFDB
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.data.check.training import training_findings
from s2d_edge.data.reading.listing import as_dataset
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.data.reading.published.ferplus import leading, list_ferplus, majority
from s2d_edge.media.pictures import read_image
from tests.data.reading.published.layouts import write_picture, write_text

QUIET = Console(quiet=True)


def names(root: str, split: str) -> list[tuple[str, str]]:
    dataset = open_dataset(root, QUIET)
    return [(s.path.name, dataset.labels[s.label]) for s in dataset.split(split)]


def test_rafdb(tmp_path: Path) -> None:
    write_text(
        tmp_path / "basic/EmoLabel/list_patition_label.txt",
        "train_00001.jpg 5\ntrain_00002.jpg 7\ntest_0001.jpg 1\n",
    )
    for name in ("train_00001", "train_00002", "test_0001"):
        write_picture(tmp_path / f"basic/Image/aligned/{name}_aligned.jpg")
    for root in (tmp_path, tmp_path / "basic"):
        data = f"rafdb:{root}"
        assert names(data, "train") == [
            ("train_00001_aligned.jpg", "sadness"),
            ("train_00002_aligned.jpg", "neutral"),
        ]
        assert names(data, "test") == [("test_0001_aligned.jpg", "surprise")]
        assert open_dataset(data, QUIET).published is RAFDB
    with pytest.raises(DataError, match="EmoLabel/list_patition"):
        open_dataset(f"rafdb:{tmp_path / 'basic/Image'}", QUIET)


@pytest.fixture
def affectnet(tmp_path: Path) -> Path:
    """Two training pictures, one of contempt, and a validation picture; labels as text and as a number."""
    for split, stem, label in (
        ("train_set", "7", np.array("1")),
        ("train_set", "12", np.array("7")),
        ("val_set", "3", np.array([6])),
    ):
        write_picture(tmp_path / split / "images" / f"{stem}.jpg")
        (tmp_path / split / "annotations").mkdir(exist_ok=True)
        np.save(tmp_path / split / "annotations" / f"{stem}_exp.npy", label)
        np.save(tmp_path / split / "annotations" / f"{stem}_val.npy", np.array("0.5"))
    return tmp_path


def test_affectnet_with_and_without_contempt(affectnet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert names(f"affectnet8:{affectnet}", "train") == [("12.jpg", "contempt"), ("7.jpg", "happiness")]
    assert names(f"affectnet8:{affectnet}", "test") == [("3.jpg", "anger")]
    assert open_dataset(f"affectnet8:{affectnet}", QUIET).labels == AFFECTNET8.labels
    seven = open_dataset(f"affectnet7:{affectnet}", Console())
    assert (seven.labels, seven.splits) == (AFFECTNET7.labels, {"train": 1, "test": 1})
    assert "1 pictures of contempt are left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "7_exp.npy"),
        (b"\x93NUMPY cut", "7_exp.npy"),
        (np.array(["1", "2"]), "7_exp.npy.* 2 values"),
        (np.array({"a": 1}), "7_exp.npy"),  # a pickle is never opened
        (np.array("8"), r"7_exp.npy: .*id 8"),
    ],
)
def test_affectnet_annotation_that_cannot_be_used(
    affectnet: Path, content: bytes | np.ndarray[tuple[int, ...], np.dtype[np.generic]], message: str
) -> None:
    file = affectnet / "train_set/annotations/7_exp.npy"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        np.save(file, content, allow_pickle=True)
    with pytest.raises(DataError, match=message):
        open_dataset(f"affectnet8:{affectnet}", QUIET)


def test_affectnet_without_a_picture_or_a_folder(affectnet: Path) -> None:
    (affectnet / "train_set/images/7.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of 3 .*train_set/images/7\.jpg"):
        open_dataset(f"affectnet8:{affectnet}", QUIET)
    (affectnet / "val_set").rename(affectnet / "test_set")
    with pytest.raises(DataError, match="val_set/annotations"):
        open_dataset(f"affectnet8:{affectnet}", QUIET)


@pytest.mark.parametrize(
    ("votes", "label"),
    [
        ((10, 0, 0, 0, 0, 0, 0, 0, 0, 0), "neutral"),
        ((0, 0, 0, 0, 0, 0, 0, 6, 2, 2), "contempt"),
        ((4, 0, 0, 1, 3, 1, 1, 0, 0, 0), "neutral"),  # 4 of the 7 that are no single votes
        ((5, 0, 0, 5, 0, 0, 0, 0, 0, 0), None),
        ((4, 0, 0, 3, 2, 0, 0, 0, 1, 0), None),  # 4 of 9
        ((2, 0, 0, 1, 1, 0, 0, 0, 6, 0), None),  # unknown
        ((0, 0, 0, 0, 0, 0, 0, 0, 0, 10), None),  # no face
        ((1, 1, 1, 1, 1, 1, 1, 1, 1, 1), None),
    ],
)
def test_majority_of_ferplus(votes: tuple[int, ...], label: str | None) -> None:
    assert majority(votes) == label


@pytest.mark.parametrize(
    ("votes", "label"),
    [
        ((10, 0, 0, 0, 0, 0, 0, 0, 0, 0), "neutral"),
        ((0, 5, 0, 5, 0, 0, 0, 0, 0, 0), "happiness"),  # the first of two
        ((4, 0, 0, 3, 2, 0, 0, 0, 1, 0), "neutral"),
        ((3, 0, 0, 2, 2, 0, 0, 0, 3, 0), None),  # as many could not say
        ((2, 0, 0, 1, 1, 0, 0, 0, 0, 6), None),
        ((1, 1, 1, 1, 1, 1, 1, 1, 1, 1), None),
    ],
)
def test_leading_class_of_ferplus(votes: tuple[int, ...], label: str | None) -> None:
    assert leading(votes) == label


def test_ferplus_brings_votes_and_keeps_undecided_pictures_apart(ferplus: Path) -> None:
    dataset = open_dataset(f"ferplus:{ferplus}", QUIET)
    assert [sample.votes for sample in dataset.samples] == [
        (0.9, 0, 0, 0, 0.1, 0, 0, 0),
        (0, 0.8, 0.2, 0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0, 0, 1, 0),
    ]
    (undecided,) = dataset.undecided
    assert undecided.path.name == "fer0000001.png"
    assert undecided.votes == (0.5, 0, 0, 0.5, 0, 0, 0, 0)
    assert undecided.path.is_file()
    assert undecided not in dataset.split("train")


HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


@pytest.fixture
def ferplus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five pictures: one of each split, one undecided, one that shows no face."""
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    rows = (
        ("Training", "fer0000000.png", (9, 0, 0, 0, 1, 0, 0, 0, 0, 0)),
        ("Training", "fer0000001.png", (5, 0, 0, 5, 0, 0, 0, 0, 0, 0)),
        ("Training", "", (0, 0, 0, 0, 0, 0, 0, 0, 0, 10)),
        ("PublicTest", "fer0000003.png", (0, 8, 2, 0, 0, 0, 0, 0, 0, 0)),
        ("PrivateTest", "fer0000004.png", (0, 0, 0, 0, 0, 0, 10, 0, 0, 0)),
    )
    votes = [f"{usage},{name},{','.join(map(str, cast))}" for usage, name, cast in rows]
    write_text(tmp_path / "fer2013new.csv", "\n".join((HEADER, *votes)) + "\n")
    pixels = [f"0,{' '.join([str(50 * k)] * 2304)},{row[0]}" for k, row in enumerate(rows)]
    write_text(tmp_path / "fer2013.csv", "\n".join(("emotion,pixels,Usage", *pixels)) + "\n")
    return tmp_path


def test_ferplus_unpacks_its_pictures_once(ferplus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = open_dataset(f"ferplus:{ferplus}", Console())
    assert "1 pictures without a majority are left out" in capsys.readouterr().err
    assert dataset.labels == FERPLUS.labels
    assert [(s.path.name, s.split, dataset.labels[s.label]) for s in dataset.samples] == [
        ("fer0000000.png", "train", "neutral"),
        ("fer0000003.png", "val", "happiness"),
        ("fer0000004.png", "test", "fear"),
    ]
    for sample, level in zip(dataset.samples, (0, 150, 200), strict=True):
        picture = read_image(sample.path)
        assert picture.shape == (48, 48, 3)
        assert (picture == level).all()
    written = dataset.samples[0].path.stat().st_mtime_ns
    again = open_dataset(f"ferplus:{ferplus}", QUIET)
    assert again.samples[0].path.stat().st_mtime_ns == written
    os.utime(ferplus / "fer2013.csv", (1, 1))  # another state of the file is unpacked again
    assert open_dataset(f"ferplus:{ferplus}", QUIET).samples[0].path != dataset.samples[0].path


def test_ferplus_takes_the_pictures_of_the_authors_script(ferplus: Path) -> None:
    for folder, name in (
        ("FER2013Train", "fer0000000"),
        ("FER2013Valid", "fer0000003"),
        ("FER2013Test", "fer0000004"),
    ):
        write_picture(ferplus / folder / f"{name}.png")
    (ferplus / "fer2013.csv").unlink()
    dataset = open_dataset(f"ferplus:{ferplus}", QUIET)
    assert [s.path.parent for s in dataset.samples] == [
        ferplus / folder for folder in ("FER2013Train", "FER2013Valid", "FER2013Test")
    ]


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("fer2013new.csv", "PublicTest", "Private", r"line 5: 'PublicTest' .*'Private'"),
        ("fer2013new.csv", ",NF", ",nf", "'NF'"),
        ("fer2013new.csv", ",9,", ",nine,", "line 2: 'nine'"),
        ("fer2013.csv", "150 150 ", "150 ", "line 5: .*48 × 48"),
        ("fer2013.csv", "150 150 ", "150 256 ", "line 5: .*48 × 48"),
        ("fer2013.csv", "150 150 ", "150 x ", "line 5: .*48 × 48"),
        ("fer2013.csv", "PrivateTest\n", "PrivateTest\n0,1,Training\n", "6 rows and fer2013new.csv 5"),
    ],
)
def test_ferplus_files_that_do_not_fit(ferplus: Path, name: str, old: str, new: str, message: str) -> None:
    file = ferplus / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        open_dataset(f"ferplus:{ferplus}", QUIET)
    unpacked = ferplus / "cache/ferplus"
    assert name == "fer2013new.csv" or not unpacked.exists() or not any(unpacked.iterdir())


def test_ferplus_without_pictures(ferplus: Path) -> None:
    (ferplus / "fer2013.csv").unlink()
    with pytest.raises(DataError, match=r"fer2013\.csv"):
        open_dataset(f"ferplus:{ferplus}", QUIET)


def test_grey_pictures_are_read_in_colour(ferplus: Path) -> None:
    path = open_dataset(f"ferplus:{ferplus}", QUIET).samples[0].path
    assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).ndim == 2


def test_ferplus_takes_a_picture_that_is_listed_twice_once(
    ferplus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = ferplus / "fer2013new.csv"
    header, *rows = file.read_text().splitlines()
    for name in ("FER2013Train", "FER2013Valid", "FER2013Test"):
        (ferplus / name).mkdir()
    file.write_text("\n".join([header, *rows, rows[1], rows[0], rows[0]]) + "\n")  # rows[1] is undecided
    listing = list_ferplus(ferplus, QUIET)
    assert [entry.line for entry in listing.entries] == [2, 5, 6]
    assert not list(listing.repeats())
    assert "1 pictures without a majority are left out" in listing.notes
    assert any(note.startswith("3 rows list a picture again") for note in listing.notes)
    file.write_text("\n".join([header, *rows, rows[0].replace(",9,0,", ",0,9,")]) + "\n")
    ((entry, first),) = list_ferplus(ferplus, QUIET).repeats()
    assert (entry.line, first.line) == (7, 2), "with other votes it is a fault"
    with pytest.raises(DataError, match=r"line 7: .*fer0000000\.png.*line 2"):
        open_dataset(f"ferplus:{ferplus}", QUIET, missing_ok=True)


@pytest.mark.slow(seconds=4)
def test_real_ferplus(shared_data: Path) -> None:
    listing = list_ferplus(shared_data / "ferplus", QUIET)
    assert Counter(entry.split for entry in listing.entries) == {"train": 25057, "val": 3199}
    undecided = Counter(entry.split for entry in listing.undecided)
    assert undecided == {"train": 3093, "val": 325}
    assert all(sum(entry.votes or ()) > 0 for entry in (*listing.entries, *listing.undecided))
    assert any(note.startswith("3 rows list a picture again") for note in listing.notes)
    dataset = as_dataset(listing)
    assert dataset.splits == {"train": 25057, "val": 3199}
    assert not [finding for finding in training_findings(listing) if finding.trouble]


def test_ferplus_without_a_part_of_it(ferplus: Path) -> None:
    file = ferplus / "fer2013new.csv"
    file.write_text("".join(line for line in file.read_text().splitlines(True) if "PrivateTest" not in line))
    (ferplus / "fer2013.csv").unlink()
    for folder, name in (("FER2013Train", "fer0000000"), ("FER2013Valid", "fer0000003")):
        write_picture(ferplus / folder / f"{name}.png")
    assert open_dataset(f"ferplus:{ferplus}", QUIET).splits == {"train": 1, "val": 1}
