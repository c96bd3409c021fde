"""Build the wheel and the sdist, and check both as a user meets them. ``make dist`` runs it.

    python -m tools.dist                # everything
    python -m tools.dist --build-only   # without installing the wheel

1. Builds the sdist from a copy of the files that git knows, and the wheel from that sdist, into ``dist/``.
2. Builds a second wheel straight from the copy; both wheels must hold the same files.
3. ``twine check --strict``.
4. Looks inside the wheel: one import package, no tests, no tools, the license, the expected extras.
5. Installs the wheel alone into a new environment outside the repository. There ``predict``,
   ``run --source``, ``doctor`` and the Python API use the starter, without torch, onnx and nncf.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PACKAGE = "s2d_edge"
EXTRAS = {"av", "dev", "docs", "ort", "ort-cuda", "train"}
TRAINING = ("torch", "onnx", "nncf")
# Files that an installation needs beside its Python files.
NEEDED = (
    "s2d_edge/py.typed",
    "s2d_edge/deploy/build_engine.sh",
    "s2d_edge/train/recipes/demo.toml",
    "s2d_edge/starter/CARD.md",
    "s2d_edge/starter/intel-cpu/model.xml",
    "s2d_edge/starter/jetson/model.onnx",
    "s2d_edge/export/__init__.py",
    "s2d_edge/calibrate/__init__.py",
    "s2d_edge/firmware_host/__init__.py",
)
_API = "import s2d_edge; print(s2d_edge.load('starter').predict('clip.mp4'))"
_DRAW = """
from pathlib import Path
from s2d_edge.data.avatars.clips import write_avatar_video
write_avatar_video(Path("clip.mp4"), seed=3, fps=12.5)
"""


class DistError(Exception):
    """A distribution is wrong; one sentence."""


def copy_of_checkout(folder: Path) -> Path:
    """Copy the files that git knows or would add, links as links; returns the copy.

    setuptools leaves ``build/`` and an egg-info where it works, and takes stale files from there.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    copy = folder / "checkout"
    for name in filter(None, listed.split("\0")):
        if os.path.lexists(REPOSITORY / name):  # a file may be deleted and not yet committed
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, copy / name, follow_symlinks=False)
    return copy


def build(copy: Path, out: Path, scratch: Path) -> tuple[Path, Path]:
    """Build both distributions from the copy.

    Returns:
        The sdist and the wheel, in ``out``.

    Raises:
        DistError: the wheel of the sdist differs from the checkout's.
    """
    out.mkdir(exist_ok=True)
    for old in (*out.glob("*.whl"), *out.glob("*.tar.gz")):
        old.unlink()
    _run(sys.executable, "-m", "build", "--outdir", out, copy)
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", scratch / "direct", copy)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    (direct,) = (scratch / "direct").glob("*.whl")
    one, other = contents(wheel), contents(direct)
    if one != other:
        names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
        raise DistError(f"the sdist builds another wheel than the checkout: {', '.join(names[:10])} differ")
    return sdist, wheel


def contents(wheel: Path) -> dict[str, str]:
    """SHA-256 of every file of a wheel, by name, without the list of files itself."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            name: hashlib.sha256(archive.read(name)).hexdigest()
            for name in archive.namelist()
            if not name.endswith("/RECORD")
        }


def inspect(wheel: Path) -> None:
    """Check names and metadata of a wheel.

    Raises:
        DistError: it holds more or less than it should.
    """
    names = set(contents(wheel))
    (info,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
    if others := sorted({name.split("/")[0] for name in names} - {PACKAGE, info}):
        raise DistError(f"{wheel.name} would add {', '.join(others)} beside {PACKAGE}")
    if missing := sorted({*NEEDED, f"{info}/licenses/LICENSE"} - names):
        raise DistError(f"{wheel.name} lacks {', '.join(missing)}")
    if unwanted := sorted(name for name in names if {"tests", "tools"} & set(Path(name).parts)):
        raise DistError(f"{wheel.name} holds {', '.join(unwanted[:5])}; tests and tools stay out")
    with zipfile.ZipFile(wheel) as archive:
        metadata: Message = Parser().parsestr(archive.read(f"{info}/METADATA").decode("utf-8"))
    if lost := sorted(EXTRAS - set(metadata.get_all("Provides-Extra", []))):
        raise DistError(f"{wheel.name} has no extra {', '.join(lost)}")
    base = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    if heavy := [line for line in base if line.startswith(TRAINING)]:
        raise DistError(f"{wheel.name} installs {', '.join(heavy)} without an extra")
    if not metadata.get_all("Classifier"):
        raise DistError(f"{wheel.name} has no classifiers")


def try_installed(wheel: Path, folder: Path) -> None:
    """Install the wheel alone into a new environment below ``folder`` and use it there.

    Raises:
        DistError: a command failed, or an unwanted package is there.
    """
    home = folder / "environment"
    venv.create(home, with_pip=True)
    python, work = home / "bin/python", folder / "elsewhere"
    work.mkdir()
    constraints = REPOSITORY / "constraints.txt"
    _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", constraints, wheel)
    there = "; ".join(("import importlib.util", "print(*(n for n in {!r} if importlib.util.find_spec(n)))"))
    unwanted = (*TRAINING, "export", "calibrate", "firmware_host", "tests", "tools")
    if found := _run(python, "-c", there.format(unwanted), cwd=work).split():
        raise DistError(f"installing {wheel.name} brought {', '.join(found)}")
    command = home / "bin/s2d-edge"
    _run(python, "-c", _DRAW, cwd=work)
    for words in (
        ("doctor", "--json", "doctor.json"),
        ("predict", "starter", "clip.mp4", "--json", "predicted.json"),
        ("run", "--bundle", "starter", "--source", "clip.mp4", "--json", "live.jsonl"),
    ):
        _run(command, *words, cwd=work)
        if not (work / words[-1]).is_file():
            raise DistError(f"s2d-edge {words[0]} wrote no JSON")
    printed = _run(python, "-c", _API, cwd=work)
    if "Prediction(" not in printed:
        raise DistError(f"the Python API printed {printed.strip()!r}, not a Prediction")


def _run(*words: object, cwd: Path = REPOSITORY) -> str:
    """Run a command without this checkout on Python's path; returns what it printed."""
    command = [str(word) for word in words]
    print(f"$ {' '.join(command)}", file=sys.stderr, flush=True)
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr)[-3000:]
        raise DistError(f"{' '.join(command)} ended with exit code {done.returncode}:\n{said}")
    return done.stdout


def main() -> int:
    """Build and check; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--build-only", action="store_true", help="do not install the wheel")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "dist", help="default: dist")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            copy = copy_of_checkout(Path(scratch))
            sdist, wheel = build(copy, options.out.resolve(), Path(scratch))
            _run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel)
            inspect(wheel)
            if not options.build_only:
                try_installed(wheel, Path(scratch))
        except DistError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    for path in (sdist, wheel):
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
