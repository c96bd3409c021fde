"""The folder of what can be made again, on systems that lack what others have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from s2d_edge.core.caches import cache_folder
from s2d_edge.core.errors import ConfigError


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A home and temporary files of their own, and no other setting."""
    for name in ("S2D_EDGE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_a_tilde_is_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("S2D_EDGE_CACHE", "~/x")
    assert cache_folder() == tmp_path / "home/x"
    monkeypatch.delenv("S2D_EDGE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "~/y")
    assert cache_folder() == tmp_path / "home/y/s2d-edge"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which its specification says to ignore
    assert cache_folder() == tmp_path / "home/.cache/s2d-edge"


@pytest.mark.parametrize("home", ["/dev/null", "/proc/1/none"])
def test_a_home_that_cannot_be_written(home: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", home)
    assert cache_folder() == tmp_path / f"s2d-edge-{os.getuid()}"
    assert cache_folder().stat().st_mode & 0o777 == 0o700


def test_a_folder_of_temporary_files_that_others_can_write_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", "/dev/null")
    folder = tmp_path / f"s2d-edge-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(ConfigError, match="S2D_EDGE_CACHE"):
        cache_folder()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="S2D_EDGE_CACHE"):
        cache_folder()


def test_neither_a_home_nor_an_entry_in_the_list_of_users(tmp_path: Path) -> None:
    program = (
        "import os, pwd\n"
        "def unknown(_): raise KeyError\n"
        "pwd.getpwuid = unknown\n"
        "from s2d_edge.core.caches import cache_folder, ensure_home\n"
        "print(cache_folder())\n"
        "os.environ['S2D_EDGE_CACHE'] = '~/x'\n"
        "try:\n    cache_folder()\n"
        "except Exception as error:\n    print(type(error).__name__)\n"
        "ensure_home()\n"
        "import openvino\n"
        "print(openvino.Core().available_devices[0], os.environ['HOME'])\n"
    )
    mine = str(tmp_path / f"s2d-edge-{os.getuid()}")
    environment = {k: v for k, v in os.environ.items() if k != "HOME"} | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [mine, "ConfigError", f"CPU {mine}"]
