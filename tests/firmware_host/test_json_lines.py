"""JSON lines: growing with a live source, whole or absent for a recording; failures counted, never raised."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s2d_edge.core.errors import MediaError
from s2d_edge.firmware_host.io import attempts, json_lines
from s2d_edge.firmware_host.io.json_lines import GrowingLines, WholeLines, open_json_lines
from tests.firmware_host.stand_ins import RESULT
from tests.processes import wait_until


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at the very next line."""
    monkeypatch.setattr(attempts, "RETRY_AFTER_S", (0.0,))


def line_of(number: int) -> Any:
    return replace(RESULT, frame=number)


def frames_in(text: str) -> list[int]:
    return [json.loads(line)["frame"] for line in text.splitlines()]


@contextmanager
def refused(number: int, *, after: int = 0) -> Iterator[None]:
    """A disk that takes ``after`` bytes of a write and then refuses."""
    before = json_lines._write_all

    def write(file: Any, data: bytes) -> None:
        file.write(data[:after])
        raise OSError(number, os.strerror(number))

    json_lines._write_all = write
    try:
        yield
    finally:
        json_lines._write_all = before


def test_lines_of_a_recording_are_whole_or_absent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, said = tmp_path / "out.jsonl", list[str]()
    path.write_text("an earlier run")
    with open_json_lines(str(path), said.append, live=False) as lines:
        lines.write(RESULT)
        assert path.read_text() == "an earlier run"
    assert frames_in(path.read_text()) == [30]
    with pytest.raises(ZeroDivisionError), open_json_lines(str(path), said.append, live=False) as lines:
        lines.write(RESULT)
        raise ZeroDivisionError
    with open_json_lines(str(path), said.append, live=False) as lines:
        lines.write(RESULT)
        with refused(errno.ENOSPC):
            lines.write(RESULT)
        lines.write(RESULT)
    assert lines.lost == 2
    assert len(said) == 1
    assert "out.jsonl" in said[0]
    assert frames_in(path.read_text()) == [30]
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.jsonl"]
    with open_json_lines("-", said.append, live=False) as lines:
        lines.write(RESULT)
    assert frames_in(capfd.readouterr().out) == [30]


def test_lines_of_a_live_source_are_there_at_once_and_added_to_those_before(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.jsonl"
    for run in range(2):
        with GrowingLines(str(path), pytest.fail) as lines:
            for number in range(3):
                lines.write(line_of(10 * run + number))
                wait_until(lambda: path.read_text().endswith("\n"))
                wait_until(lambda wanted=10 * run + number: frames_in(path.read_text())[-1] == wanted)  # type: ignore[misc]
    assert frames_in(path.read_text()) == [0, 1, 2, 10, 11, 12]
    path.write_bytes(path.read_bytes()[:-5])  # of a run that was killed
    with GrowingLines(str(path), pytest.fail) as lines:
        lines.write(line_of(20))
    *whole, torn, last = path.read_text().splitlines()
    assert frames_in("\n".join([*whole, last])) == [0, 1, 2, 10, 11, 20]
    with pytest.raises(ValueError, match="line 1"):
        json.loads(torn)


def test_a_full_disk_is_said_once_counted_and_tried_again(tmp_path: Path) -> None:
    path, said = tmp_path / "out.jsonl", list[str]()
    with GrowingLines(str(path), said.append) as lines:
        lines.write(line_of(0))
        wait_until(lambda: path.stat().st_size > 0)
        with refused(errno.ENOSPC, after=20):
            for number in (1, 2, 3):
                lines.write(line_of(number))
            wait_until(lambda: lines.lost == 3)
        assert frames_in(path.read_text()) == [0]  # no half line
        assert len(said) == 1
        lines.write(line_of(4))
    assert frames_in(path.read_text()) == [0, 4]
    assert len(said) == 2
    assert "3" in said[1]


def test_pauses_between_attempts_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "RETRY_AFTER_S", (1.0, 5.0))
    now_s = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    tried = attempts.Attempts("x", "lines", lambda _: None)
    pauses = []
    for _ in range(4):
        tried.failed(OSError(errno.ENOSPC, "full"))
        while not tried.due:
            now_s += 0.5
        pauses.append(now_s)
    assert [later - earlier for earlier, later in zip([100.0, *pauses], pauses, strict=False)] == [1, 5, 5, 5]


@pytest.mark.parametrize("removed", [True, False])
def test_a_file_that_was_moved_is_opened_again_under_its_name(tmp_path: Path, removed: bool) -> None:
    path = tmp_path / "out.jsonl"
    with GrowingLines(str(path), pytest.fail) as lines:
        lines.write(line_of(0))
        wait_until(lambda: path.stat().st_size > 0)
        if removed:
            path.unlink()
        else:
            path.rename(tmp_path / "out.jsonl.1")
        lines.write(line_of(1))
    assert frames_in(path.read_text()) == [1]
    if not removed:
        assert frames_in((tmp_path / "out.jsonl.1").read_text()) == [0]


def test_links_pipes_and_devices_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "null").symlink_to("/dev/null")
    for kind in (WholeLines, GrowingLines):
        for name in ("link", "null"):
            with kind(str(tmp_path / name), pytest.fail) as lines:
                lines.write(RESULT)
            assert (tmp_path / name).is_symlink()
    assert frames_in((tmp_path / "target").read_text()) == [30, 30]
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_pipe_whose_reader_comes_late_leaves_and_comes_back(tmp_path: Path) -> None:
    pipe, said = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)

    with GrowingLines(str(pipe), said.append) as lines:
        for lost, frames in ((1, (1,)), (2, (3, 4))):
            lines.write(line_of(0))  # nobody reads, or nobody any more
            wait_until(lambda wanted=lost: lines.lost == wanted)  # type: ignore[misc]
            handle = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
            text = b""
            for number in frames:
                lines.write(line_of(number))
            while text.count(b"\n") < len(frames):
                with suppress(BlockingIOError):  # before the writer opened it there is an end, and no line
                    text += os.read(handle, 10_000)
            assert frames_in(text.decode()) == list(frames)
            os.close(handle)
    assert pipe.is_fifo()
    assert len(said) == 4


def test_a_reader_that_takes_nothing_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "CLOSE_WAIT_S", 0.05)
    monkeypatch.setattr(json_lines, "LINES_QUEUED", 10)
    os.mkfifo(tmp_path / "pipe")
    handle = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with GrowingLines(str(tmp_path / "pipe"), lambda _: None) as lines:
        for number in range(2000):  # more than a pipe holds
            lines.write(line_of(number))
    assert lines.lost > 0
    os.close(handle)


@pytest.mark.parametrize("live", [True, False])
def test_a_stdout_without_a_file_takes_lines_as_text(monkeypatch: pytest.MonkeyPatch, live: bool) -> None:
    said: list[str] = []
    monkeypatch.setattr("sys.stdout", out := io.StringIO())
    with open_json_lines("-", said.append, live=live) as lines:
        lines.write(RESULT)
        lines.write(RESULT)
    assert (frames_in(out.getvalue()), said) == ([30, 30], [])


def test_a_closed_stdout_is_said_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    said: list[str] = []
    with os.fdopen(writer, "w") as out:
        monkeypatch.setattr("sys.stdout", out)
        os.close(reader)
        for live in (True, False):
            with open_json_lines("-", said.append, live=live) as lines:
                for _ in range(3):
                    lines.write(RESULT)
            assert lines.lost == 3
    assert len(said) == 2


@pytest.mark.parametrize("live", [True, False])
def test_what_cannot_be_opened_is_an_error_before_the_run(tmp_path: Path, live: bool) -> None:
    (tmp_path / "file").touch()
    for name in (tmp_path, tmp_path / "file" / "out.jsonl"):
        with pytest.raises(MediaError, match=str(name)):
            open_json_lines(str(name), pytest.fail, live=live)
