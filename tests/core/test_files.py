"""Files are read or refused by name, and written whole or not at all."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2d_edge.core.errors import BundleError
from s2d_edge.core.files import clear_scratch, copy_files, whole_file, whole_folder, write_text
from s2d_edge.core.json_files import read_json
from tests.hostile import DAMAGED, JSON


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_writing_below_a_file_is_refused(
    whole: Callable[[Path], AbstractContextManager[Path]], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError), whole(tmp_path / "file" / "new.mp4"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_whole_folder_replaces_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for text in ("first", "second"):
        with whole_folder(target) as scratch:
            (scratch / "file").write_text(text)
        assert (target / "file").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_whole_file_is_whole_or_absent(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk full"), whole_file(tmp_path / "out.json") as scratch:
        scratch.write_text("half")
        raise OSError("disk full")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(params=[0o077, 0o027, 0o002])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    wanted: int = request.param
    before = os.umask(wanted)
    yield wanted
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_umask_decides_who_reads_what_is_written(tmp_path: Path, umask: int) -> None:
    write_text(tmp_path / "file", "new")
    with whole_folder(tmp_path / "folder") as scratch:
        (scratch / "file").touch()
    assert mode_of(tmp_path / "file") == mode_of(tmp_path / "folder/file") == 0o666 & ~umask
    assert mode_of(tmp_path / "folder") == 0o777 & ~umask
    (tmp_path / "file").chmod(0o640)
    write_text(tmp_path / "file", "again")
    assert mode_of(tmp_path / "file") == 0o640  # a file that is replaced keeps its own


def test_a_disk_without_modes_keeps_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAT and CIFS refuse chmod."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    write_text(tmp_path / "file", "old")
    monkeypatch.setattr(os, "chmod", refuse)
    monkeypatch.setattr(Path, "chmod", refuse)
    write_text(tmp_path / "file", "new")
    for _ in range(2):
        with whole_folder(tmp_path / "folder") as scratch:
            (scratch / "in").mkdir()
            (scratch / "in" / "file").write_text("content")
    (tmp_path / "copy").mkdir()
    copy_files(tmp_path / "folder", tmp_path / "copy")
    assert (tmp_path / "file").read_text() == "new"
    assert (tmp_path / "copy" / "in" / "file").read_text() == "content"


def test_links_stay_links_and_what_they_lead_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name, target in (("link", "elsewhere/file"), ("dangling", "elsewhere/new/file")):
        (tmp_path / name).symlink_to(target)
        for text in ("first", "second"):
            write_text(tmp_path / name, text)
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / target).read_text() == "second"
    (tmp_path / "folders").symlink_to("elsewhere/folder")
    for _ in range(2):
        with whole_folder(tmp_path / "folders") as scratch:
            (scratch / "file").touch()
    assert (tmp_path / "folders").is_symlink()
    assert (tmp_path / "elsewhere/folder/file").is_file()
    assert not any(path.name.startswith(".") for path in tmp_path.rglob("*"))


def test_pipes_and_devices_are_written_and_stay(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "content")
    reader.join()
    assert read == ["content"]
    assert pipe.is_fifo()
    (tmp_path / "null").symlink_to("/dev/null")
    write_text(tmp_path / "null", "content")
    assert Path("/dev/null").is_char_device()
    handle = os.open(tmp_path / "open", os.O_WRONLY | os.O_CREAT)
    os.write(handle, b"before ")
    write_text(Path(f"/proc/self/fd/{handle}"), "after")  # as /dev/stdout is, where it goes to a file
    os.close(handle)
    assert (tmp_path / "open").read_text() == "before after"


def test_a_folder_is_refused_before_the_work(tmp_path: Path) -> None:
    worked = False
    with pytest.raises(IsADirectoryError), whole_file(tmp_path):
        worked = True
    assert not worked


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "a[]b", "*.json", "\udcff.json", "-", "a b\nc"])
def test_any_name_that_the_disk_allows(tmp_path: Path, name: str) -> None:
    for text in ("first", "second"):
        write_text(tmp_path / name, text)
        assert [path.name for path in tmp_path.iterdir()] == [name]
    (tmp_path / ".other.json").touch()
    killed = whole_file(tmp_path / name)  # never left
    assert killed.__enter__().is_file()
    clear_scratch(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, ".other.json"])


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_json_raises_the_given_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "damaged.json"
    file.write_bytes(content)
    with pytest.raises(BundleError, match=r"damaged\.json"):
        read_json(file, BundleError, "make it again")


def test_a_byte_order_mark_before_json_is_no_damage(tmp_path: Path) -> None:
    file = tmp_path / "from-windows.json"
    file.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(file, BundleError, "make it again") == {"a": 1}


def test_missing_json_raises_the_given_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"absent\.json"):
        read_json(tmp_path / "absent.json", BundleError, "make it again")


@given(payload=st.dictionaries(st.text(), JSON, max_size=5))
def test_json_objects_are_read_as_written(
    tmp_path_factory: pytest.TempPathFactory, payload: dict[str, object]
) -> None:
    file = tmp_path_factory.getbasetemp() / "payload.json"
    file.write_text(json.dumps(payload), encoding="utf-8")
    assert read_json(file, BundleError, "make it again") == payload
