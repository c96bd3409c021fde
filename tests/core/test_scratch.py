"""Scratch folders: those of killed commands are removed, those in use are not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from s2d_edge.core.scratch import temporary_folder

_KILLED = """
import os, signal
from s2d_edge.core.scratch import temporary_folder

with temporary_folder() as folder:
    (folder / "clip.npy").write_bytes(b"frames")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_command_left_among_the_temporary_files_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)  # found anew
    killed = subprocess.run([sys.executable, "-c", _KILLED], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert (left / "clip.npy").is_file()
    with temporary_folder() as young:  # its owner may not have locked it yet
        assert set(tmp_path.iterdir()) == {left, young}
        (tmp_path / ".other.0123abcd").mkdir()
        an_hour_ago = time.time() - 3600
        for folder in tmp_path.iterdir():
            os.utime(folder, (an_hour_ago, an_hour_ago))
        with temporary_folder() as mine:
            assert set(tmp_path.iterdir()) == {young, mine, tmp_path / ".other.0123abcd"}
            assert mine.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == [tmp_path / ".other.0123abcd"]


def test_a_folder_of_temporary_files_that_cannot_be_listed_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def refuse(self: Path) -> None:
        raise PermissionError(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with temporary_folder() as folder:
        assert folder.parent == tmp_path
