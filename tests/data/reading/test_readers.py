"""Labelled clips are read from CSV files and folders, or refused by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.open import list_data, open_dataset
from s2d_edge.data.reading.readers import read_csv, read_folders
from s2d_edge.data.reading.tables import read_pairs

QUIET = Console(quiet=True)


def write_csv(folder: Path, text: str, *clips: str) -> Path:
    """A labels.csv beside empty files with the clips' names."""
    for clip in clips:
        (folder / clip).parent.mkdir(parents=True, exist_ok=True)
        (folder / clip).touch()
    file = folder / "labels.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_csv_of_videos_pictures_and_folders(tmp_path: Path) -> None:
    (tmp_path / "frames" / "b").mkdir(parents=True)
    file = write_csv(
        tmp_path,
        "\ufeffpath, label,subject,split,valence\n"
        "a.mp4,sad,Ann,train,1\nframes/b,happy,,test,2\nc d.jpg,sad,Bo,test,3\n",
        "a.mp4",
        "c d.jpg",
    )
    dataset = read_csv(file)
    assert dataset.name == tmp_path.name
    assert dataset.labels == ("happy", "sad")
    assert [(s.path, s.label, s.subject, s.split) for s in dataset.samples] == [
        (tmp_path / "a.mp4", 1, "Ann", "train"),
        (tmp_path / "frames/b", 0, None, "test"),
        (tmp_path / "c d.jpg", 1, "Bo", "test"),
    ]
    assert dataset.splits == {"train": 1, "test": 2}


def test_csv_without_split_is_training_data_and_labels_follow_the_given_order(tmp_path: Path) -> None:
    file = write_csv(tmp_path, "label,path\nsad,a.jpg\nhappy,b.jpg\n", "a.jpg", "b.jpg")
    dataset = read_csv(file, ["sad", "neutral", "happy"])
    assert [(s.label, s.split) for s in dataset.samples] == [(0, "train"), (2, "train")]
    assert dataset.labels == ("sad", "neutral", "happy")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("path,label\n", "no rows"),
        ("path,emotion\na.jpg,sad\n", "'label', only 'path', 'emotion'"),
        ("file,label\na.jpg,sad\n", "'path'"),
        ("path,label\na.jpg,sad\na.jpg,happy\n", r"line 3: a\.jpg .*line 2"),
        ("path,label\na.jpg,\n", "line 2: .*'label'"),
        ("path,label\n,sad\n", "line 2: .*'path'"),
        ("path,label\na.jpg\n", "line 2: 1 cells .* 2"),
        ("path,label\na.jpg,sad,more\n", "line 2: 3 cells .* 2"),
        ('path,label\n"a.jpg,sad\n', "line 2: "),
        ('path,label\n"a\nb.jpg",sad\n', "line 3: .*'path'"),
        ('path,label\na.jpg,"sad\nder"\n', "line 3: .*'label'"),
        ("path,label\na.jpg,sad\0der\n", "line 2: .*'label'"),
        ("path,label,split\na.jpg,sad,\n", "line 2: .*'split'"),
    ],
)
def test_csv_that_cannot_be_used_says_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_csv(write_csv(tmp_path, text, "a.jpg"))
    assert "labels.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_csv_in_another_encoding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_bytes("path,label\nzoë.jpg,sad\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"labels\.csv, line 2: .*UTF-8"):
        read_csv(file)


@pytest.mark.parametrize("data", ["", " "])
def test_an_empty_name_is_no_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path, "path,label\na.jpg,sad\n", "a.jpg")
    for read in (open_dataset, list_data):
        with pytest.raises(DataError, match=f"--data '{data}'"):
            read(data, QUIET)


def test_annotations_in_another_encoding_are_refused_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "set_1.txt"
    file.write_bytes("a.mp4 1\nzoë.mp4 2\n".encode("cp1252"))
    with pytest.raises(DataError, match=r"set_1\.txt, line 2: .*0xeb.*UTF-8"):
        read_pairs(file)


def test_label_outside_the_set_names_line_label_and_set(tmp_path: Path) -> None:
    file = write_csv(tmp_path, "path,label\na.jpg,happy\nb.jpg,bored\n", "a.jpg", "b.jpg")
    with pytest.raises(DataError, match=r"line 3.*'bored'"):
        read_csv(file, ["happy", "sad"])


def test_missing_files_are_counted_and_the_first_named(tmp_path: Path) -> None:
    rows = "".join(f"{k}.jpg,sad\n" for k in range(9))
    file = write_csv(tmp_path, "path,label\n" + rows, "0.jpg")
    with pytest.raises(DataError, match=r"8 of 9 .*1\.jpg \(line 3\).* 3 more") as caught:
        read_csv(file)
    assert "7.jpg" not in str(caught.value)


def test_folders(tmp_path: Path) -> None:
    for clip in ("train/sad/2.mp4", "train/sad/.hidden", "train/happy/1.JPG", "test/sad/3/000.png"):
        (tmp_path / clip).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / clip).touch()
    (tmp_path / "README.txt").touch()
    dataset = read_folders(tmp_path)
    assert dataset.labels == ("happy", "sad")
    assert {(s.path.relative_to(tmp_path).as_posix(), s.label, s.split) for s in dataset.samples} == {
        ("train/sad/2.mp4", 1, "train"),
        ("train/happy/1.JPG", 0, "train"),
        ("test/sad/3", 1, "test"),
    }


def test_folders_that_hold_no_clips(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv"):
        read_folders(tmp_path)
    (tmp_path / "train" / "sad").mkdir(parents=True)
    with pytest.raises(DataError, match="1 SPLIT/LABEL"):
        read_folders(tmp_path)
    (tmp_path / "train" / "sad" / "notes.txt").touch()
    with pytest.raises(DataError, match=r"notes\.txt"):
        read_folders(tmp_path)
    with pytest.raises(DataError, match=r"'sad'.*happy"):
        read_folders(tmp_path, ["happy"])


def test_open_dataset_distinguishes_files_from_folders(tmp_path: Path) -> None:
    file = write_csv(tmp_path, "path,label,split\na.jpg,sad,test\n", "a.jpg")
    assert open_dataset(str(file), QUIET).samples == open_dataset(str(tmp_path), QUIET).samples
    file.unlink()
    (tmp_path / "test" / "sad").mkdir(parents=True)
    (tmp_path / "a.jpg").rename(tmp_path / "test" / "sad" / "a.jpg")
    assert open_dataset(str(tmp_path), QUIET).splits == {"test": 1}


@pytest.mark.parametrize("name", ["absent", "clip.mp4"])
def test_open_dataset_rejects_other_files_and_folders(tmp_path: Path, name: str) -> None:
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(DataError, match=f"--data .*{name}"):
        open_dataset(str(tmp_path / name), QUIET)


def test_dataset_takes_the_order_of_other_labels_and_refuses_unknown_ones(tmp_path: Path) -> None:
    file = write_csv(tmp_path, "path,label\na.jpg,happy\nb.jpg,sad\n", "a.jpg", "b.jpg")
    dataset = read_csv(file)
    assert [s.label for s in dataset.in_order_of(["sad", "fear", "happy"]).samples] == [2, 0]
    with pytest.raises(DataError, match=r"'sad'.*fear, happy"):
        dataset.in_order_of(["fear", "happy"])


def test_missing_split_names_those_there_are(tmp_path: Path) -> None:
    dataset = read_csv(write_csv(tmp_path, "path,label,split\na.jpg,sad,val\n", "a.jpg"))
    with pytest.raises(DataError, match=r"'test'.*val \(1\)"):
        dataset.require_split("test")


def test_real_faces(shared_data: Path) -> None:
    dataset = open_dataset(str(shared_data / "faces"), QUIET)
    assert dataset.name == "faces"
    assert dataset.labels == ("anger", "happiness", "neutral", "sadness", "surprise")
    assert dataset.splits == {"train": 3924, "val": 674, "test": 645}


def test_clips_of_labels_that_a_model_lacks_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a CSV file and of folders; a label that is only misspelled is a fault, as is data without any."""
    text = "path,label,split\na.jpg,happy,test\nb.jpg,sad,test\nc.jpg,awe,test\nd.jpg,awe,train\n"
    file = write_csv(tmp_path, text, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    folders = tmp_path / "folders"
    for k, where in enumerate(("test/happy", "test/sad", "test/awe", "train/awe")):
        (folders / where).mkdir(parents=True)
        (folders / where / f"{k}.jpg").write_bytes((tmp_path / "a.jpg").read_bytes())
    for data in (file, folders):
        dataset = open_dataset(str(data), QUIET, ["sad", "fear", "happy"])
        assert sorted(sample.label for sample in dataset.samples) == [0, 2]
        assert dataset.labels == ("sad", "fear", "happy")
        assert dataset.left_out_of("test") == {"awe": 1}
        assert dataset.left_out_of("train") == {"awe": 1}
        assert "2 clips of all splits are left out: awe (2)" in " ".join(capsys.readouterr().err.split())
        with pytest.raises(DataError, match=r"fear.*awe, happy, sad"):
            open_dataset(str(data), QUIET, ["fear"])
        with pytest.raises(DataError, match=r"'Sad'"):
            open_dataset(str(data), QUIET, ["happy", "Sad"])
