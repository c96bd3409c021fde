"""The types of TensorRT, installed where type checkers look and Python does not."""

from __future__ import annotations

import importlib.util
import sys
import zipfile
from pathlib import Path

import pytest

from tools.stubs import install

_BROKEN = "def configure(self, in: list[int]) -> None: ...\n"


def _wheel(folder: Path, **files: str) -> Path:
    path = folder / "tensorrt_stubs.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}/__init__.pyi", text)
    return path


def test_stubs_are_repaired_and_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = _wheel(tmp_path, tensorrt="x: int\n", tensorrt_bindings=_BROKEN)
    for _ in range(2):  # a second installation replaces the first
        written = install(wheel, tmp_path)
    assert {folder.name for folder in written} == {"tensorrt-stubs", "tensorrt_bindings-stubs"}
    assert {path.name for path in tmp_path.iterdir()} == {wheel.name, *(folder.name for folder in written)}
    repaired = (tmp_path / "tensorrt_bindings-stubs/__init__.pyi").read_text()
    assert repaired == _BROKEN.replace("in:", "input:")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    assert importlib.util.find_spec("tensorrt") is None


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"tensorrt": ""}, "tensorrt_bindings"),
        ({"tensorrt": "def (", "tensorrt_bindings": ""}, "no Python"),
    ],
)
def test_a_wheel_of_another_kind_is_refused(tmp_path: Path, files: dict[str, str], named: str) -> None:
    with pytest.raises(SystemExit, match=named):
        install(_wheel(tmp_path, **files), tmp_path)
