"""Install the published types of TensorRT for mypy. ``make install`` runs it.

    python -m tools.stubs

``tensorrt-stubs`` requires TensorRT itself, which is gigabytes, and puts its files into a folder that Python
could import as an empty ``tensorrt``. So the wheel alone is downloaded, and its folders are installed under
the names that only type checkers read: ``tensorrt-stubs`` and ``tensorrt_bindings-stubs`` (PEP 561). The five
signatures in them that are no Python are repaired.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

_PACKAGES = ("tensorrt", "tensorrt_bindings")
_REPAIRS = {
    "in: list[": "input: list[",
    "power: Weights = None, channel_axis: int)": "power: Weights = None, *, channel_axis: int)",
}
_CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"


def download(folder: Path) -> Path:
    """Download the wheel of the version in ``constraints.txt`` into ``folder``."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "-c", str(_CONSTRAINTS), "-d", str(folder), "tensorrt-stubs"], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, site_packages: Path) -> list[Path]:
    """Unpack a wheel's stubs into ``site_packages``, and return the folders written.

    Raises:
        SystemExit: the wheel lacks a package, or holds files that are no Python after the repairs.
    """
    written = []
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory(dir=site_packages) as scratch:
        for package in _PACKAGES:
            names = [name for name in archive.namelist() if name.startswith(f"{package}/")]
            if f"{package}/__init__.pyi" not in names:
                sys.exit(f"error: {wheel.name} holds no {package}/__init__.pyi; take another version of it")
            archive.extractall(scratch, names)
            for file in (Path(scratch) / package).rglob("*.pyi"):
                _repair(file)
            target = site_packages / f"{package}-stubs"
            shutil.rmtree(target, ignore_errors=True)
            (Path(scratch) / package).rename(target)
            written.append(target)
    return written


def _repair(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for wrong, right in _REPAIRS.items():
        text = text.replace(wrong, right)
    try:
        ast.parse(text)
    except SyntaxError as error:
        sys.exit(f"error: {file.name} is no Python ({error}); add to the repairs in {__file__}")
    file.write_text(text, encoding="utf-8")


def main() -> None:
    """Install the stubs into this interpreter's environment."""
    with tempfile.TemporaryDirectory() as folder:
        install(download(Path(folder)), Path(sysconfig.get_path("purelib")))


if __name__ == "__main__":
    main()
