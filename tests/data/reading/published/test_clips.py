"""DFEW, FERV39K and MAFW in their official layouts, and their real annotations."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from s2d_edge.contracts.labels import DFEW, FERV39K, MAFW
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.dataset import Dataset
from s2d_edge.data.reading.listing import Listing
from s2d_edge.data.reading.open import absolute_data, list_data, open_dataset
from tests.data.reading.published.layouts import write_dfew, write_frames, write_text

QUIET = Console(quiet=True)


def labelled(dataset: Dataset, split: str) -> dict[str, str]:
    return {
        s.path.relative_to(dataset.root).as_posix(): dataset.labels[s.label] for s in dataset.split(split)
    }


@pytest.mark.parametrize("zero_based", [False, True])
def test_dfew_counts_from_one_in_the_authors_files_and_from_zero_in_the_codes(
    tmp_path: Path, zero_based: bool
) -> None:
    dataset = open_dataset(f"dfew/1:{write_dfew(tmp_path, frames=1, zero_based=zero_based)}", QUIET)
    assert dataset.name == "dfew-1"
    assert dataset.labels == DFEW.labels
    assert dataset.published is DFEW
    assert dataset.splits == {"train": 14, "test": 7}
    assert list(labelled(dataset, "test").items())[:2] == [
        ("Clip/clip_224x224_16f/00021", "happy"),
        ("Clip/clip_224x224_16f/00022", "sad"),
    ]
    assert {s.subject for s in dataset.samples} == {None}


def test_dfew_id_of_the_other_counting_is_refused(tmp_path: Path) -> None:
    write_dfew(tmp_path, frames=1)
    folder = tmp_path / "EmoLabel_DataSplit/train(single-labeled)"
    (folder / "set_1.csv").rename(folder / "train_set_1.csv")
    with pytest.raises(DataError, match=r"train_set_1\.csv, line 8: .*id 7"):
        open_dataset(f"dfew/1:{tmp_path}", QUIET)


def test_dfew_without_annotations_or_frames_names_them(tmp_path: Path) -> None:
    write_dfew(tmp_path, frames=1)
    with pytest.raises(DataError, match=r"/set_2\.csv, .*train_set_2"):
        open_dataset(f"dfew/2:{tmp_path}", QUIET)
    shutil.rmtree(tmp_path / "Clip/clip_224x224_16f/00003")
    with pytest.raises(DataError, match=r"1 of 21 .*Clip/clip_224x224_16f/00003 \(line 4\)"):
        open_dataset(f"dfew/1:{tmp_path}", QUIET)
    assert len(open_dataset(f"dfew/1:{tmp_path}", QUIET, missing_ok=True).samples) == 21


def test_ferv39k_by_name_and_by_id(tmp_path: Path) -> None:
    for path in ("Action/Sad/0010", "War/Happy/0001"):
        write_frames(tmp_path / "2_ClipsforFaceCrop" / path, 1, suffix=".jpg")
    write_text(tmp_path / "Annotation/train.csv", "path,id\nAction/Sad/0010,5\n")
    write_text(tmp_path / "Annotation/test.csv", "path,id\nWar/Happy/0001,3\n")
    by_id = open_dataset(f"ferv39k:{tmp_path}", QUIET)
    assert by_id.labels == FERV39K.labels
    assert labelled(by_id, "train") == {"2_ClipsforFaceCrop/Action/Sad/0010": "sad"}
    write_text(tmp_path / "4_setups/All_scenes/train_All.csv", "Action/Sad/0010 Sad\r\n")
    write_text(tmp_path / "4_setups/All_scenes/test_All.csv", "War/Happy/0001 Happy\r\n")
    assert open_dataset(f"ferv39k:{tmp_path}", QUIET).samples == by_id.samples


def test_mafw_text_and_csv(tmp_path: Path) -> None:
    for name, suffix in (("03747", ".png"), ("00025", ".jpg")):
        write_frames(tmp_path / "data/frames/frames_crop_align_224" / name, 1, suffix=suffix)
    single = "single/no_caption/set_3"
    write_text(tmp_path / f"anno/{single}/train.csv", "video_name,labels\n03747,7\n")
    write_text(tmp_path / f"anno/{single}/test.csv", "video_name,labels\n00025,0\n")
    by_id = open_dataset(f"mafw/3:{tmp_path}", QUIET)
    assert by_id.labels == MAFW.labels
    assert labelled(by_id, "train") == {"data/frames/frames_crop_align_224/03747": "helplessness"}
    write_text(tmp_path / f"Train & Test Set/{single}/train.txt", "03747.mp4 helplessness\r\n")
    write_text(tmp_path / f"Train & Test Set/{single}/test.txt", "00025.mp4 anger\r\n")
    assert open_dataset(f"mafw/3:{tmp_path}", QUIET).samples == by_id.samples


def test_annotations_under_the_root_are_not_taken_for_another_set(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_text(tmp_path / f"{split}.txt", "00025.mp4 anger\n")
    assert len(list_data(f"mafw/1:{tmp_path}", QUIET).entries) == 2
    with pytest.raises(DataError, match=r"train.*MAFW set 2"):
        list_data(f"mafw/2:{tmp_path}", QUIET)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video_name,label\n", "annotations.csv|set_1.csv"),
        ("video_name,label\n1,2,3\n", "line 2: '1,2,3'"),
        ("video_name,label\n1,\n", "line 2: '1,'"),
        ("video_name,label\n1,-1\n", r"id -1 \(of 1 to 7\)"),
        ("video_name,label\n1,bored\n", "'bored'"),
        ("video_name,label\n1,1\n00001,2\n", r"line 3: .*00001 .*line 2"),
    ],
)
def test_annotations_that_cannot_be_used_say_where(tmp_path: Path, text: str, message: str) -> None:
    write_dfew(tmp_path, frames=1)
    write_text(tmp_path / "EmoLabel_DataSplit/train(single-labeled)/set_1.csv", text)
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(f"dfew/1:{tmp_path}", QUIET)
    assert "set_1.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("dfw/1:ROOT", "'dfw'.*dfew, ferv39k, mafw, rafdb"),
        ("dfew:ROOT", "dfew/1:"),
        ("dfew/6:ROOT", "dfew/1:"),
        ("dfew/01:ROOT", "dfew/1:"),
        ("ferv39k/1:ROOT", "ferv39k:"),
        ("dfew/1:ROOT/absent", "absent"),
    ],
)
def test_unknown_datasets_and_folds_are_refused(tmp_path: Path, data: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_dataset(data.replace("ROOT", str(tmp_path)), QUIET)


def test_a_path_with_a_colon_stays_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_text(tmp_path / "faces:2.csv", "path,label\nclip,happy\n")
    write_frames(tmp_path / "clip", 1)
    assert len(open_dataset("faces:2.csv", QUIET).samples) == 1


def test_a_run_finds_its_data_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_dfew(tmp_path / "DFEW", frames=1).parent)
    assert absolute_data("dfew/1:DFEW") == f"dfew/1:{tmp_path}/DFEW"
    assert absolute_data("DFEW") == f"{tmp_path}/DFEW"


def test_class_indices_follow_the_models_order(tmp_path: Path) -> None:
    write_dfew(tmp_path, frames=1)
    wanted = tuple(reversed(DFEW.labels))
    dataset = open_dataset(f"dfew/1:{tmp_path}", QUIET, wanted)
    assert dataset.labels == wanted
    assert labelled(dataset, "test")["Clip/clip_224x224_16f/00021"] == "happy"
    with pytest.raises(DataError, match=r"joy, grief.*angry, disgust"):
        open_dataset(f"dfew/1:{tmp_path}", QUIET, ["joy", "grief"])
    fewer = open_dataset(f"dfew/1:{tmp_path}", QUIET, ["sad", "happy"])
    assert fewer.left_out_of("test") == {label: 1 for label in DFEW.labels if label not in ("happy", "sad")}


def counts(listing: Listing, split: str) -> Counter[str]:
    assert not list(listing.unknown_labels())
    assert not list(listing.repeats())
    return Counter(entry.label for entry in listing.entries if entry.split == split)


def test_real_dfew(shared_data: Path) -> None:
    listing = list_data(f"dfew/1:{shared_data}/annotations/DFEW", QUIET)
    train, test = counts(listing, "train"), counts(listing, "test")
    assert (train.total(), test.total()) == (9356, 2341)  # as the authors' README has it
    assert train == {
        "happy": 1956,
        "sad": 1515,
        "neutral": 2135,
        "angry": 1738,
        "surprise": 1175,
        "disgust": 116,
        "fear": 721,
    }
    assert listing.entries[0].path.name == "02522"


def test_real_ferv39k(shared_data: Path) -> None:
    listing = list_data(f"ferv39k:{shared_data}/annotations/FERV39K", QUIET)
    train, test = counts(listing, "train"), counts(listing, "test")
    assert (train.total(), test.total()) == (3999, 7847)  # train is cut to 4,000 lines
    assert test["happy"] == 1473
    for entry in listing.entries:  # scene / class / clip
        assert entry.path.parts[-2].lower() == entry.label


def test_real_mafw_by_id_and_by_name(shared_data: Path, tmp_path: Path) -> None:
    root = shared_data / "annotations/MAFW"
    by_id = list_data(f"mafw/1:{root}", QUIET)
    train, test = counts(by_id, "train"), counts(by_id, "test")
    assert (train.total(), test.total()) == (7333, 1839)
    assert (train["helplessness"], train["surprise"]) == (209, 857)
    for split in ("train", "test"):
        shutil.copy(root / f"{split}.txt", tmp_path)
    by_name = list_data(f"mafw/1:{tmp_path}", QUIET)
    assert [(e.path.name, e.label, e.split) for e in by_name.entries] == [
        (e.path.name, e.label, e.split) for e in by_id.entries
    ]
