"""Label files of any content are listed, or end in a DataError."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s2d_edge.contracts.labels import AFFECTNET8
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.dataset import AVATARS_FILE, Dataset
from s2d_edge.data.reading.listing import Listing, as_dataset
from s2d_edge.data.reading.open import list_data, open_dataset
from s2d_edge.data.reading.published.affectnet import list_affectnet
from s2d_edge.data.reading.published.clips import list_dfew, list_ferv39k, list_mafw
from s2d_edge.data.reading.published.ferplus import list_ferplus
from s2d_edge.data.reading.published.rafdb import list_rafdb
from s2d_edge.data.reading.readers import list_csv
from s2d_edge.data.reading.tables import read_arrays
from tests.hostile import DAMAGED, csv_text

QUIET = Console(quiet=True)
NPY_HEAD = b"\x93NUMPY\x01\x00v\x00{'descr': '<i8', 'fortran_order': False, 'shape': (99999999999999,), }"
FERPLUS_HEAD = (
    "Usage,Image name," + "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where every published dataset's pictures could be; tests write the annotations."""
    root = tmp_path_factory.mktemp("published")
    for folder in ("FER2013Train", "FER2013Valid", "FER2013Test", "basic", "EmoLabel"):
        (root / folder).mkdir()
    for part in ("train_set", "val_set"):
        for folder in ("annotations", "images"):
            (root / part / folder).mkdir(parents=True)
    return root


def use(listing: Listing) -> None:
    """Everything that training and ``data check`` read of a listing; a DataError is fine."""
    assert len(list(listing.missing())) <= len(listing.entries)
    assert all(entry.where and listing.relative(entry.path) for entry in listing.entries)
    with suppress(DataError):
        assert isinstance(as_dataset(listing), Dataset)


@given(text=csv_text())
@example(text="path,label\n" + "x" * 300 + ",sad")
@example(text="path,label\n" + "x" * 200_000 + ",sad")
@example(text="\ufeffpath,label\na\0b.jpg,sad")
def test_csv_of_any_text(root: Path, text: str) -> None:
    file = root / "some.csv"
    file.write_text(text, encoding="utf-8", newline="")
    with suppress(DataError):
        use(list_csv(file))


@given(content=st.binary(max_size=100))
def test_csv_of_any_bytes(root: Path, content: bytes) -> None:
    file = root / "some.csv"
    file.write_bytes(b"path,label\n" + content)
    with suppress(DataError):
        use(list_csv(file))


READERS: dict[str, tuple[tuple[str, ...], Callable[[Path], Listing]]] = {
    "dfew": (("train_set_1.csv", "test_set_1.csv"), lambda root: list_dfew(root, 1)),
    "ferv39k": (("train.csv", "test.csv"), list_ferv39k),
    "mafw": (("train.csv", "test.csv"), lambda root: list_mafw(root, 1)),
    "rafdb": (("EmoLabel/list_patition_label.txt",), list_rafdb),
    "ferplus": (("fer2013new.csv",), lambda root: list_ferplus(root, QUIET)),
}


@pytest.mark.parametrize("name", READERS)
@given(text=csv_text(), cells=st.tuples(st.text(max_size=6), st.text(max_size=6)))
@example(text="a,--5", cells=("a", "b"))
@example(text="a," + "9" * 5000, cells=("a", "b"))
@example(text="", cells=("x" * 300, "\0"))
@example(text="", cells=("Training", ".."))
def test_published_annotations_of_any_text(root: Path, name: str, text: str, cells: tuple[str, str]) -> None:
    files, read = READERS[name]
    head = f"{FERPLUS_HEAD}\n{cells[0]},{cells[1]},9,0,0,0,0,0,0,0,0,0\n" if name == "ferplus" else ""
    for file in files:
        (root / file).write_text(f"{head}{cells[0]},{cells[1]}\n{text}", encoding="utf-8", newline="")
    with suppress(DataError):
        use(read(root))


@given(content=st.binary(max_size=200) | st.binary(max_size=80).map(lambda tail: NPY_HEAD + tail))
def test_affectnet_annotations_of_any_bytes(root: Path, content: bytes) -> None:
    for part in ("train_set", "val_set"):
        (root / part / "annotations/1_exp.npy").write_bytes(content)
    with suppress(DataError):
        use(list_affectnet(root, AFFECTNET8, QUIET))


@pytest.mark.parametrize("content", [*DAMAGED, NPY_HEAD, b"PK\x03\x04", b"PK\x05\x06" + bytes(18)])
def test_archives_of_arrays_of_other_content_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "arrays.npz"
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"arrays\.npz"):
        read_arrays(file, ["points"], "make it again")


def test_arrays_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    file = tmp_path / "arrays.npz"
    np.savez(file, a=np.arange(3), b=np.ones(2))
    b, a = read_arrays(file, ["b", "a"], "make it again")
    assert (a.tolist(), b.tolist()) == ([0, 1, 2], [1, 1])
    with pytest.raises(DataError, match="c"):
        read_arrays(file, ["c"], "make it again")
    single = tmp_path / "single.npz"
    with single.open("wb") as stream:
        np.save(stream, np.arange(3))
    with pytest.raises(DataError, match=r"single\.npz"):
        read_arrays(single, ["a"], "make it again")


@given(text=st.text(max_size=20))
@example(text="x" * 300)
@example(text="a\0b")
@example(text="dfew/1:a\0b")
@example(text="dfew/1:" + "x" * 300)
def test_data_of_any_spelling(text: str) -> None:
    with suppress(DataError):
        use(list_data(text + "?", QUIET))  # never "avatars", nor a folder beside the tests


@pytest.mark.parametrize("content", [*DAMAGED, b"{}", json.dumps({"fps": [4]}).encode()])
def test_damaged_description_of_a_drawn_set_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "train/sad").mkdir(parents=True)
    (tmp_path / "train/sad/a.jpg").touch()
    dataset = open_dataset(str(tmp_path), QUIET)
    assert dataset.sources[0].drawn_fps() is None
    (tmp_path / AVATARS_FILE).write_bytes(content)
    with pytest.raises(DataError, match=r"avatars\.json"):
        dataset.sources[0].drawn_fps()
