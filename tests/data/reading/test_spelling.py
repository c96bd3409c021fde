"""Names that are one but for case, blanks or Unicode form; files that are one under two paths."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.columns import find_columns
from s2d_edge.data.reading.identity import Places
from s2d_edge.data.reading.open import list_data, open_dataset
from s2d_edge.data.reading.readers import list_csv, list_folders, read_csv, read_folders
from s2d_edge.data.reading.spelling import bare, in_one_line, is_text, spelled_apart
from s2d_edge.data.reading.split_names import misspelled
from tests.data.reading.test_readers import write_csv

QUIET = Console(quiet=True)
FILE = Path("labels.csv")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Happy", "happy"),
        ("STRASSE", "straße"),
        ("very happy", " very   happy "),
        ("very happy", "very\u00a0happy"),
        ("veryhappy", "very\thappy"),
        ("\u00e4", "a\u0308"),
        ("happy", "\ufeffhap\u200bpy"),
        ("１", "1"),
        ("ﬁt", "fit"),
    ],
)
def test_spellings_of_one_name(one: str, other: str) -> None:
    assert bare(one) == bare(other)
    assert spelled_apart([one, other, one]) == [tuple(sorted((one, other)))]


def test_different_names() -> None:
    assert spelled_apart(["happy", "sad", "happy-ish", "happy2", "hapy"]) == []


@given(st.text())
def test_bare_text_of_any_text_is_its_own(text: str) -> None:
    assert bare(bare(text)) == bare(text)
    assert is_text(in_one_line(text))


@pytest.mark.parametrize(
    "header",
    [
        "Path,Label,Subject,Split",
        "PATH,LABEL,SUBJECT,SPLIT",
        " path , label , subject , split ",
        "\ufeffPath,\u00a0label,sub\u200bject,Split",
        "ｐａｔｈ,label,subject,split",
    ],
)
def test_columns_in_any_case(tmp_path: Path, header: str) -> None:
    dataset = read_csv(write_csv(tmp_path, f"{header}\na.jpg,sad,Ann,test\n", "a.jpg"))
    (sample,) = dataset.samples
    assert (sample.subject, sample.split) == ("Ann", "test")


NEAR = {
    "split": "splits Splits spilt slpit splitt splt splir Split_ data_split split_name splitName SPL",
    "subject": "subjects Subjects subjet suject subejct subject_id subjectID SubjectId subj sub subject-no",
}


@pytest.mark.parametrize("name", [name for names in NEAR.values() for name in names.split()])
def test_a_near_miss_is_refused(name: str) -> None:
    with pytest.raises(DataError, match=name) as caught:
        find_columns(FILE, ["path", "label", name])
    column = next(column for column, names in NEAR.items() if name in names.split())
    assert repr(column) in str(caught.value)
    found = find_columns(FILE, ["path", "label", "subject", "split", name])
    assert found.further == ((name, 4),), "the true column is there: the other is only ignored"


@pytest.mark.parametrize(
    "name", ["valence", "object", "subjective", "project", "slip", "spirit", "result", "id"]
)
def test_other_columns_are_ignored_and_named(tmp_path: Path, name: str) -> None:
    listing = list_csv(write_csv(tmp_path, f"path,label,{name}\na.jpg,sad,3\n", "a.jpg"))
    assert any(repr(name) in note for note in listing.notes)


@pytest.mark.parametrize(
    "header", ["path,label,path", "path,label,Label", "path,label,split,SPLIT", "path,label,x,X "]
)
def test_a_column_named_twice_is_refused(tmp_path: Path, header: str) -> None:
    cells = ",".join("a.jpg" for _ in header.split(","))
    with pytest.raises(DataError, match=r"labels\.csv"):
        read_csv(write_csv(tmp_path, f"{header}\n{cells}\n", "a.jpg"))


@pytest.mark.parametrize(
    "header", ["path,label,Split", "path,label,splits", "path,label,x,x", "path,label,split"]
)
def test_a_resumed_older_run_reads_the_columns_that_it_read(tmp_path: Path, header: str) -> None:
    cells = ",".join("test" for _ in header.split(",")[2:])
    write_csv(tmp_path, f"{header}\na.jpg,sad,{cells}\n", "a.jpg")
    dataset = open_dataset(str(tmp_path), QUIET, as_written=True)
    assert dataset.splits == {"test" if header.endswith(",split") else "train": 1}


def test_columns_without_a_name_are_no_columns(tmp_path: Path) -> None:
    listing = list_csv(write_csv(tmp_path, "path,label,,\na.jpg,sad,,\n", "a.jpg"))
    assert listing.notes == ()


@pytest.mark.parametrize("mark", [";", "\t"])
def test_another_separator_is_named(tmp_path: Path, mark: str) -> None:
    with pytest.raises(DataError, match="comma"):
        read_csv(write_csv(tmp_path, f"path{mark}label\na.jpg{mark}sad\n", "a.jpg"))


def test_utf_16_is_named(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_bytes("path,label\na.jpg,sad\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"labels\.csv.*UTF-8"):
        read_csv(file)


def test_a_label_of_the_models_set_in_another_case_is_told(tmp_path: Path) -> None:
    write_csv(tmp_path, "path,label\na.jpg,Happy\n", "a.jpg")
    with pytest.raises(DataError, match=r"line 2: label 'Happy'.*'happy'"):
        open_dataset(str(tmp_path), QUIET, ["happy", "sad"])


def _second(folder: Path, how: str) -> str:
    """Another path of ``folder/a.jpg``, made by ``how``."""
    if how == "link to the folder":
        (folder / "there").symlink_to(folder, target_is_directory=True)
        return "there/a.jpg"
    if how == "link":
        (folder / "link.jpg").symlink_to("a.jpg")
        return "link.jpg"
    if how == "absolute":
        return str(folder / "a.jpg")
    return {"dot": "./a.jpg", "dots": f"../{folder.name}/a.jpg", "slashes": ".//a.jpg"}[how]


SPELLINGS = ["dot", "dots", "slashes", "absolute", "link to the folder", "link"]


@pytest.mark.parametrize("how", SPELLINGS)
def test_one_file_under_two_paths_is_one_clip(tmp_path: Path, how: str) -> None:
    file = write_csv(tmp_path, "", "a.jpg", "b.jpg")
    other = _second(tmp_path, how)
    file.write_text(f"path,label,split\na.jpg,sad,train\nb.jpg,sad,train\n{other},sad,test\n")
    ((entry, first),) = list_csv(file).repeats()
    assert (entry.line, first.line) == (4, 2)
    with pytest.raises(DataError, match=r"line 4: .*line 2"):
        read_csv(file)


def test_a_link_with_the_same_label_and_split_is_a_clip_of_its_own(tmp_path: Path) -> None:
    """Hubs keep equal files once, and people repeat clips by links."""
    file = write_csv(tmp_path, "path,label\na.jpg,sad\nlink.jpg,sad\n", "a.jpg")
    _second(tmp_path, "link")
    assert len(read_csv(file).samples) == 2


def test_a_frame_folder_with_a_slash_is_one_clip(tmp_path: Path) -> None:
    file = write_csv(tmp_path, "path,label\nclip,sad\nclip/,sad\n", "clip/1.jpg")
    assert len(list(list_csv(file).repeats())) == 1


def test_a_disk_that_knows_no_case_has_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = Places()
    for name in ("a.jpg", "A.jpg", "B.jpg"):
        (tmp_path / name).touch()
    assert places.file(tmp_path / "A.jpg") != places.file(tmp_path / "a.jpg"), "as this disk does"
    monkeypatch.setattr(Path, "samefile", lambda self, other: True)
    places = Places()
    assert places.file(tmp_path / "A.jpg") == places.file(tmp_path / "a.jpg")
    assert places.file(tmp_path / "B.jpg").name == "B.jpg"


NAMES = [
    b" a.jpg",
    b"a b\xc3\xa9.jpg",
    b"zo\xeb.jpg",  # Latin-1
    b"\xff\xfe.jpg",
    b"two\nlines.jpg",
    b"tab\t.jpg",
    b'quo"te, comma.jpg',
    b"[bold]a[b].jpg",
    b"#a?.jpg",
    b"$HOME ~.jpg",
    b"-o.jpg",
    b"x" * 251 + b".jpg",
    b"a\xcc\x88.jpg",
]


@pytest.mark.parametrize("name", NAMES, ids=[str(k) for k in range(len(NAMES))])
def test_any_name_that_the_disk_allows(
    tmp_path: Path, name: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train/sad").mkdir(parents=True)
    clip = Path(os.fsdecode(os.fsencode(tmp_path / "train/sad") + b"/" + name))
    clip.touch()
    assert [sample.path for sample in read_folders(tmp_path).samples] == [clip]
    quoted = b'"train/sad/' + name.replace(b'"', b'""') + b'"'
    if name.startswith(b" "):
        (tmp_path / " a.jpg").touch()
        clip, quoted = tmp_path / " a.jpg", b'" a.jpg"'
    file = tmp_path / "labels.csv"
    file.write_bytes(b"path,label\n" + quoted + b",sad\n")
    assert [sample.path for sample in read_csv(file).samples] == [clip]
    Console().warn(list_data(str(file), QUIET).relative(clip))
    assert "\n" not in capsys.readouterr().err.rstrip("\n")


@pytest.mark.parametrize("name", [b"zo\xeb", b"sa\nd", b"\x07"])
def test_a_label_must_be_text(tmp_path: Path, name: bytes) -> None:
    folder = os.fsencode(tmp_path / "train") + b"/" + name
    Path(os.fsdecode(folder)).mkdir(parents=True)
    (Path(os.fsdecode(folder)) / "a.jpg").touch()
    with pytest.raises(DataError, match="rename"):
        read_folders(tmp_path)
    (tmp_path / "a.jpg").touch()
    (tmp_path / "labels.csv").write_bytes(b'path,label\na.jpg,"' + name + b'"\n')
    with pytest.raises(DataError, match=r"line \d: .*'label'"):
        read_csv(tmp_path / "labels.csv")


@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines"])
def test_a_dataset_whose_folder_is_no_text_has_a_name_that_reports_can_hold(
    tmp_path: Path, name: bytes
) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    (folder / "train" / "sad").mkdir(parents=True)
    (folder / "train" / "sad" / "a.jpg").touch()
    (folder / "labels.csv").write_text("path,label\ntrain/sad/a.jpg,sad\n")
    for listed in (list_folders(folder), list_csv(folder / "labels.csv")):
        assert listed.name.encode().isascii()
        assert "\n" not in listed.name


@pytest.mark.parametrize(
    ("name", "beside", "wanted"),
    [
        ("training", "train", "train"),
        ("Trainset", "train", "train"),
        ("testing", "test", "test"),
        ("tst", "test", "test"),
        ("valset", "val", "val"),
        ("training", "test", None),  # the only one: a name like any other
        ("testing", "train", None),
        ("fold1", "train", None),
    ],
)
def test_a_split_that_reads_like_another_one_is_named(name: str, beside: str, wanted: str | None) -> None:
    assert misspelled(Counter({name: 5, beside: 3})) == ({} if wanted is None else {name: wanted})


def test_paths_written_on_windows_are_found(tmp_path: Path) -> None:
    dataset = read_csv(write_csv(tmp_path, "path,label\nb\\a.jpg,sad\nc\\d.jpg,sad\n", "b/a.jpg", "c\\d.jpg"))
    assert [sample.path for sample in dataset.samples] == [tmp_path / "b" / "a.jpg", tmp_path / "c\\d.jpg"]
