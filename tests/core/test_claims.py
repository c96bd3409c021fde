"""Output folders are claimed when they are chosen: commands that run at once never share one."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from s2d_edge.core.claims import (
    MARK,
    choose_output,
    choose_outputs,
    claim_existing,
    claim_outputs,
    release,
    releases_claims,
    require_vacant,
)
from s2d_edge.core.errors import S2DEdgeError
from s2d_edge.core.files import whole_folder

CLAIMS = """
import sys
from pathlib import Path
from s2d_edge.core.claims import choose_output
given = Path(sys.argv[1])
print(choose_output(given if "given" in sys.argv else None, given), flush=True)
sys.stdin.read()
"""


def other_process(folder: Path, *words: str) -> subprocess.Popen[str]:
    """A process that claims a folder, prints its name, and waits for the end of its input."""
    return subprocess.Popen(
        [sys.executable, "-c", CLAIMS, str(folder), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_outputs_never_replace_an_existing_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "file").touch()
    assert choose_output(None, tmp_path / "run").name == "run-2"
    assert choose_output(None, tmp_path / "run").name == "run-3"  # also within one process
    for taken in (tmp_path / "run", tmp_path / "run" / "file"):
        with pytest.raises(S2DEdgeError, match=str(taken)):
            choose_output(taken, taken)
        with pytest.raises(S2DEdgeError, match=str(taken)):
            require_vacant(taken)
    release(tmp_path / "run-2")
    release(tmp_path / "run-3")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    (tmp_path / "empty").mkdir()
    assert choose_output(tmp_path / "empty", tmp_path / "x") == tmp_path / "empty"
    release(tmp_path / "empty")


def test_commands_started_together_each_have_their_own(tmp_path: Path) -> None:
    processes = [other_process(tmp_path / "run") for _ in range(3)]
    try:
        names = [line_of(process) for process in processes]
        assert sorted(names) == [str(tmp_path / name) for name in ("run", "run-2", "run-3")]
        with pytest.raises(S2DEdgeError, match=str(tmp_path / "run")):
            choose_output(tmp_path / "run", tmp_path / "run")
        with pytest.raises(S2DEdgeError, match=str(tmp_path / "run")):
            claim_existing([tmp_path / "run"])
        processes[1].send_signal(signal.SIGKILL)
        processes[1].wait()
        assert (
            str(choose_output(None, tmp_path / "run")) == names[1]
        )  # nobody holds what a killed one claimed
        release(Path(names[1]))
    finally:
        for process in processes:
            process.communicate()
    assert list(tmp_path.iterdir()) == []


def test_a_pair_of_folders_is_claimed_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "run-video").mkdir()
    (tmp_path / "run-video" / "file").touch()

    @releases_claims
    def work() -> None:
        pair = choose_outputs(tmp_path / "run", ["-image", "-video"])
        assert [path.name for path in pair] == ["run-2-image", "run-2-video"]
        with pytest.raises(S2DEdgeError, match="run-video"):
            claim_outputs([tmp_path / "new", tmp_path / "run-video"])
        (pair[0] / "weights").touch()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "run-2-image",
        "run-2-image/weights",
        "run-video",
        "run-video/file",
    ]


def test_a_claimed_folder_is_replaced_and_leaves_no_mark(tmp_path: Path) -> None:
    out = choose_output(None, tmp_path / "bundle")
    assert (out / MARK).is_file()
    with whole_folder(out) as scratch:
        (scratch / "file").touch()
    assert [path.name for path in out.iterdir()] == ["file"]
    for free in (out, tmp_path / "runs" / "new" / "bundle"):
        with pytest.raises(ZeroDivisionError), whole_folder(choose_output(None, free)):
            raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize("shared", [False, True])
def test_a_folder_that_another_made_meanwhile_is_left_alone(tmp_path: Path, shared: bool) -> None:
    def write() -> None:
        with whole_folder(tmp_path / "out", shared=shared) as scratch:
            (scratch / "mine").touch()
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "theirs").touch()

    if shared:
        write()
    else:
        with pytest.raises(FileExistsError, match="out"):
            write()
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["out", "out/theirs"]


def test_a_disk_without_locks_has_claims_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    assert choose_output(None, tmp_path / "run") == tmp_path / "run"
    release(tmp_path / "run")
