"""Build the wheel and the sdist, and check both as a user meets them. ``make dist`` runs it.

    python -m tools.dist                # everything
    python -m tools.dist --build-only   # without installing the wheel

1. Copies the files that git knows, and puts a face pack into the starter's bundles there. Builds the sdist
   from the copy, and the wheel from that sdist, into ``dist/``.
2. Builds a second wheel straight from the copy; both wheels must hold the same files.
3. ``twine check --strict``.
4. Looks inside the wheel: one import package, no tests, no tools, the license, the expected extras.
5. Installs the wheel alone into a new environment outside the repository. There ``predict``,
   ``run --source``, ``doctor`` and the Python API use the starter, without torch, onnx, nncf and MediaPipe:
   first with the versions of constraints.txt, then with the newest NumPy and the oldest OpenVINO that are
   allowed, then on ONNX Runtime alone. What the install adds to the environment must stay below a limit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

from s2d_edge.core.errors import S2DEdgeError
from tools.starter.faces import add_packs

REPOSITORY = Path(__file__).parents[1]
PACKAGE = "s2d_edge"
EXTRAS = {"av", "dev", "docs", "mediapipe", "ort", "ort-cuda", "train"}
TRAINING = ("torch", "onnx", "nncf", "mediapipe")
BROUGHT_BY_MEDIAPIPE = ("jax", "scipy", "matplotlib")
# What the install may add to an environment, MiB on disk. Of these OpenVINO 2026.4 has 180.
MOST_MIB = {"OpenVINO": 470, "the oldest OpenVINO": 450, "ONNX Runtime": 350}
OLDEST_OPENVINO = "openvino<2026"
# Files that an installation needs beside its Python files.
NEEDED = (
    "s2d_edge/py.typed",
    "s2d_edge/deploy/build_engine.sh",
    "s2d_edge/train/recipes/demo.toml",
    "s2d_edge/starter/CARD.md",
    "s2d_edge/starter/intel-cpu/model.xml",
    "s2d_edge/starter/intel-cpu/face/mesh.onnx",
    "s2d_edge/starter/intel-cpu/face/NOTICE.txt",
    "s2d_edge/starter/jetson/model.onnx",
    "s2d_edge/starter/jetson/face/mesh.onnx",
    "s2d_edge/starter/jetson/face/NOTICE.txt",
    "s2d_edge/export/__init__.py",
    "s2d_edge/calibrate/__init__.py",
    "s2d_edge/firmware_host/__init__.py",
)
_API = "import s2d_edge; m = s2d_edge.load('starter'); print(m.description, m.predict('clip.mp4'))"
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


def try_installed(wheel: Path, folder: Path, python: str) -> None:
    """Install the wheel alone into a new environment below ``folder`` and use it there.

    Args:
        python: the interpreter of the environment.

    Raises:
        DistError: a command failed, an unwanted package is there, or too much.
    """
    home = folder / "environment"
    _run(python, "-m", "venv", home)
    there, work = home / "bin/python", folder / "elsewhere"
    work.mkdir()
    empty = _mib(home)
    pip = (there, "-m", "pip", "--quiet", "--disable-pip-version-check")
    _run(*pip, "install", "-c", REPOSITORY / "constraints.txt", wheel)
    look = "; ".join(("import importlib.util", "print(*(n for n in {!r} if importlib.util.find_spec(n)))"))
    unwanted = (*TRAINING, *BROUGHT_BY_MEDIAPIPE, "export", "calibrate", "firmware_host", "tests", "tools")
    if found := _run(there, "-c", look.format(unwanted), cwd=work).split():
        raise DistError(f"installing {wheel.name} brought {', '.join(found)}")
    _run(there, "-c", _DRAW, cwd=work)
    _use(home, work, "intel-cpu")
    _check_size(home, empty, "OpenVINO")
    _run(*pip, "install", "--upgrade", "numpy", OLDEST_OPENVINO)
    _use(home, work, "intel-cpu")
    _check_size(home, empty, "the oldest OpenVINO")
    _run(*pip, "uninstall", "--yes", "openvino", "openvino-telemetry")
    _run(*pip, "install", "-c", REPOSITORY / "constraints.txt", "onnxruntime")
    _use(home, work, "jetson")
    _check_size(home, empty, "ONNX Runtime")


def _use(home: Path, work: Path, target: str) -> None:
    """Use the starter there; its bundle for ``target`` is the one that fits.

    Raises:
        DistError: a command failed, wrote nothing, or took another bundle.
    """
    for words in (
        ("doctor", "--json", "doctor.json"),
        ("predict", "starter", "clip.mp4", "--json", "predicted.json"),
        ("run", "--bundle", "starter", "--source", "clip.mp4", "--json", "live.jsonl"),
    ):
        (work / words[-1]).unlink(missing_ok=True)
        _run(home / "bin/s2d-edge", *words, cwd=work)
        if not (work / words[-1]).is_file():
            raise DistError(f"s2d-edge {words[0]} wrote no JSON")
    (predicted,) = json.loads((work / "predicted.json").read_text("utf-8"))["results"]
    if not predicted["faces_found"] or predicted["faces_missed"]:
        raise DistError(f"s2d-edge predict missed {predicted['faces_missed']} faces of a drawn clip")
    printed = _run(home / "bin/python", "-c", _API, cwd=work)
    if "Prediction(" not in printed or f"starter-{target}" not in printed:
        raise DistError(f"the Python API printed {printed.strip()!r}, no Prediction of starter-{target}")


def _check_size(home: Path, empty: int, runtime: str) -> None:
    added = _mib(home) - empty
    print(f"the install with {runtime} adds {added} MiB to an environment of {empty} MiB", file=sys.stderr)
    if added > MOST_MIB[runtime]:
        raise DistError(f"the install with {runtime} adds {added} MiB; {MOST_MIB[runtime]} are allowed")


def _mib(folder: Path) -> int:
    return int(_run("du", "-sm", folder).split()[0])


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
    parser.add_argument("--python", default=sys.executable, help="for the installed wheel; default: this one")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "dist", help="default: dist")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            copy = copy_of_checkout(Path(scratch))
            add_packs(copy / "s2d_edge/starter")
            sdist, wheel = build(copy, options.out.resolve(), Path(scratch))
            _run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel)
            inspect(wheel)
            if not options.build_only:
                try_installed(wheel, Path(scratch), options.python)
        except (DistError, S2DEdgeError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    for path in (sdist, wheel):
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
