"""Compare the predictions of a jetson bundle on emulated 64-bit Arm and on x86; ``make aarch64`` runs it.

    python -m tools.aarch64.check                # the model size `small`
    python -m tools.aarch64.check --size demo    # minutes less

1. Unpacks an arm64 Debian 12 (root.sh) and installs into it the wheels that a base install resolves to there,
   one ONNX Runtime, and s2d-edge itself, as a wheel made of this checkout.
2. Draws avatars; makes a model of random weights (model.py), exports it for jetson and calibrates it.
3. Runs `s2d-edge predict` here, and under qemu-user there: on the clips as they are, and on a video, whose
   face it finds with the bundle's face pack.
4. Compares labels, logits (compare.py) and faces found, and checks the modules that were imported there.

Everything is kept under ``--out`` (default build/aarch64), and finished steps are not repeated. A fault ends
with exit code 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from tools.aarch64.compare import TOLERANCE, compare
from tools.aarch64.pyproject import BOOKWORM, dependencies
from tools.aarch64.resolve import pip_platform, resolve

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("s2d_edge",)  # its links to the stages at the top are followed
# For this check only: it runs under Debian 12's qemu 7.2, where 1.31.1 crashes. The project requires 1.20
# or later.
ONNXRUNTIME = "1.23.2"
EMULATORS = ("qemu-aarch64-static", "qemu-aarch64")
# Modules that a prediction on a device must not import, though some may be installed there.
NEEDLESS = ("mediapipe", "openvino", "torch", "onnx", "nncf")


class CheckError(Exception):
    """The check cannot be made, or failed; one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """One run of ``predict``.

    Attributes:
        predictions: the JSON that it wrote.
        seconds: from start to end, imports and decoding included.
        cpu_seconds: of all cores.
        imported: top-level modules.
    """

    predictions: dict[str, Any]
    seconds: float
    cpu_seconds: float
    imported: frozenset[str]


class Root:
    """An unpacked arm64 Debian, and how to run its Python here."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.site = path / "usr/local/lib/python3.11/dist-packages"
        found = next(filter(None, map(shutil.which, EMULATORS)), None)
        if found is None:
            raise CheckError(
                "arm64 programs need qemu-user here; on Debian or Ubuntu: apt-get install qemu-user-static"
            )
        self.emulator = found

    def unpack(self) -> None:
        """Download and unpack the root, unless it is there."""
        if subprocess.run(
            ["sh", str(Path(__file__).with_name("root.sh")), str(self.path)], check=False
        ).returncode:
            raise CheckError(f"{self.path} could not be unpacked; the reason stands above")

    def install_wheels(self, onnxruntime: str) -> list[str]:
        """Install the wheels of the base and an ONNX Runtime, unless they are there; returns the pins."""
        wanted = [
            *dependencies(REPOSITORY / "pyproject.toml", BOOKWORM),
            Requirement(f"onnxruntime=={onnxruntime}"),
        ]
        record = self.path.with_name("wheels.json")
        requested = sorted(map(str, wanted))
        if record.is_file() and self.site.is_dir():
            done = json.loads(record.read_text("utf-8"))
            if done["asked"] == requested:
                pins: list[str] = done["pins"]
                return pins
        record.unlink(missing_ok=True)
        shutil.rmtree(self.site, ignore_errors=True)
        pins = [f"{wheel.name}=={wheel.version}" for wheel in resolve(wanted, BOOKWORM)]
        say(f"installing {len(pins)} aarch64 wheels")
        self._pip_install(*pins)
        record.write_text(json.dumps({"asked": requested, "pins": pins}, indent=1) + "\n", "utf-8")
        return pins

    def install_project(self) -> None:
        """Install this checkout, unless its sources are unchanged."""
        record = self.path.with_name("project.sha256")
        state = _state_of_sources()
        if record.is_file() and record.read_text("utf-8") == state and (self.site / "s2d_edge").is_dir():
            return
        record.unlink(missing_ok=True)
        say("installing this checkout")
        with tempfile.TemporaryDirectory() as folder:
            # A copy: setuptools would leave its build/ in the checkout, and take stale modules from there.
            copy = Path(folder) / "checkout"
            for package in PACKAGES:
                shutil.copytree(
                    REPOSITORY / package, copy / package, ignore=shutil.ignore_patterns("__pycache__")
                )
            for name in ("pyproject.toml", "README.md", "LICENSE"):
                shutil.copy2(REPOSITORY / name, copy / name)
            _pip("wheel", "--no-deps", "--wheel-dir", folder, str(copy))
            (wheel,) = Path(folder).glob("*.whl")
            self._pip_install("--upgrade", str(wheel))
        record.write_text(state, "utf-8")

    def _pip_install(self, *words: str) -> None:
        _pip("install", "--no-deps", "--target", str(self.site), *pip_platform(BOOKWORM), *words)

    def python(self, *words: str) -> list[str]:
        """The command that runs the root's Python."""
        return [self.emulator, "-L", str(self.path), str(self.path / "usr/bin/python3.11"), *words]


def _pip(verb: str, *words: str) -> None:
    quiet = ["--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", verb, *quiet, *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CheckError(f"pip {verb} failed: {done.stderr.strip()[-800:]}")


def _state_of_sources() -> str:
    files = [REPOSITORY / "pyproject.toml", REPOSITORY / "README.md"]
    for package in PACKAGES:  # rglob does not follow links to folders
        for folder, _, names in os.walk(REPOSITORY / package, followlinks=True):
            files += (Path(folder) / name for name in names if not name.endswith(".pyc"))
    state = hashlib.sha256()
    for path in sorted(files):
        state.update(
            f"{path.relative_to(REPOSITORY)}\0".encode() + hashlib.sha256(path.read_bytes()).digest()
        )
    return state.hexdigest()


def make_bundle(out: Path, size: str) -> tuple[Path, list[Path]]:
    """A calibrated jetson bundle of that size, and a clip of every expression, unless they are there."""
    # Only here, for what follows needs neither.
    from s2d_edge.contracts.model_config import preset
    from s2d_edge.core.console import Console
    from s2d_edge.data.reading.open import open_dataset
    from tools.aarch64.model import sampling, write_run

    spec = sampling(preset(size))
    clips = out / "avatars"
    if not clips.is_dir():
        shape = ["--frames", spec.frames, "--fps", spec.fps, "--size", spec.size]
        s2d_edge("data", "avatars", clips, "--clips-per-class", 4, *shape)
    dataset = open_dataset(str(clips), Console(quiet=True))
    run, fp32, int8 = out / f"{size}-run", out / f"{size}-jetson", out / f"{size}-jetson-int8"
    if not run.is_dir():
        say(f"making a random model of the size {size}")
        write_run(run, size, dataset.samples, dataset.labels)
    if not fp32.is_dir():
        s2d_edge("export", run, "--target", "jetson", "--parity-clips", 1, "--out", fp32)
    if not int8.is_dir():
        # The drop of a random model does not matter: the check is that both machines agree.
        few = ["--subset", 7, "--sensitivity", 0, "--max-drop", "inf", "--device", "cpu"]
        s2d_edge("calibrate", fp32, "--data", clips, *few, "--out", int8)
    return int8, [sample.path for sample in dataset.split("test")]


def draw_video(folder: Path) -> Path:
    """Seven seconds of one avatar, unless they are there."""
    from s2d_edge.data.avatars.clips import write_avatar_video

    path = folder / "face.mp4"
    if not path.is_file():
        write_avatar_video(path, seed=3, seconds=7, fps=12.5, size=256)
    return path


def face_faults(reference: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """A sentence for every clip without a face, or with another number of faces found there."""
    pairs = zip(reference["results"], other["results"], strict=True)
    found = [(one["path"], one["faces_found"], two["faces_found"]) for one, two in pairs]
    return [
        f"{path}: {here} faces here, {there} there" for path, here, there in found if not here == there > 0
    ]


def s2d_edge(*arguments: object) -> None:
    """Run a verb of this checkout here."""
    say(f"$ s2d-edge {' '.join(map(str, arguments))}")
    words = [sys.executable, "-m", "s2d_edge", *map(str, arguments)]
    if subprocess.run(words, check=False, cwd=REPOSITORY).returncode:
        raise CheckError(f"s2d-edge {arguments[0]} failed; the reason stands above")


def predict(
    python: Sequence[str],
    where: str,
    bundle: Path,
    clips: Sequence[Path],
    out: Path,
    *,
    crop: bool = False,
    **env: str,
) -> Predicted:
    """Run ``s2d-edge predict`` with that Python; its JSON and log stay in ``out``."""
    predictions, log = out / f"{where}.json", out / f"{where}.log"
    predictions.unlink(missing_ok=True)
    words = [*python, "-X", "importtime", "-m", "s2d_edge", "predict", str(bundle), *map(str, clips)]
    words += [*([] if crop else ["--no-crop"]), "--device", "cpu", "--json", str(predictions), "--quiet"]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with log.open("wb") as stream:
        code = subprocess.run(
            words,
            stdout=stream,
            stderr=stream,
            check=False,
            cwd=out,
            env={**kept, "PYTHONNOUSERSITE": "1", **env},
        ).returncode
    seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    log_text = log.read_text("utf-8", errors="replace")
    if code:
        how = f"died of signal {-code}" if code < 0 else f"ended with exit code {code}"
        messages = [line for line in log_text.splitlines() if not line.startswith("import time:")]
        raise CheckError(
            f"s2d-edge predict on {where} {how}: {' '.join(messages[-3:]) or 'no output'} ({log})"
        )
    return Predicted(
        predictions=json.loads(predictions.read_text("utf-8")),
        seconds=seconds,
        cpu_seconds=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        imported=imported_modules(log_text),
    )


def imported_modules(log: str) -> frozenset[str]:
    """Top-level modules in what ``python -X importtime`` writes."""
    return frozenset(re.findall(r"^import time: +\d+ \| +\d+ \| +(\w+)", log, re.MULTILINE))


def _version_of(pins: Sequence[str], package: str) -> str:
    return next(pin.partition("==")[2] for pin in pins if pin.startswith(f"{package}=="))


def say(text: str) -> None:
    """Print a line of progress on stderr."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Run the whole check; return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--size",
        default="small",
        help="a preset of contracts/model_config.py (default: %(default)s)",
    )
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "build/aarch64", help="default: build/aarch64"
    )
    parser.add_argument("--clips", type=int, default=7, help="how many, up to 7 (default: %(default)s)")
    parser.add_argument("--onnxruntime", default=ONNXRUNTIME, help="its version there (default: %(default)s)")
    options = parser.parse_args()
    try:
        return _check(options.size, options.clips, options.out.resolve(), options.onnxruntime)
    except CheckError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _check(size: str, most: int, out: Path, onnxruntime: str) -> int:
    out.mkdir(parents=True, exist_ok=True)
    root = Root(out / "root")
    root.unpack()
    pins = root.install_wheels(onnxruntime)
    root.install_project()
    work = out / size
    work.mkdir(exist_ok=True)
    bundle, clips = make_bundle(work, size)
    clips = clips[: max(most, 1)]
    say(f"predicting {len(clips)} clips here")
    here = predict([sys.executable], "x86", bundle, clips, work, PYTHONPATH=str(REPOSITORY))
    say("predicting them under qemu")
    there = predict(root.python(), "aarch64", bundle, clips, work)
    found = compare(here.predictions, there.predictions, TOLERANCE)
    say("predicting a video here, with its face")
    video = [draw_video(work)]
    seen = predict([sys.executable], "x86-video", bundle, video, work, crop=True, PYTHONPATH=str(REPOSITORY))
    say("predicting it under qemu")
    seen_there = predict(root.python(), "aarch64-video", bundle, video, work, crop=True)
    faces = compare(seen.predictions, seen_there.predictions, TOLERANCE)
    faults = [*found.faults, *faces.faults, *face_faults(seen.predictions, seen_there.predictions)]
    if needless := sorted((there.imported | seen_there.imported) & set(NEEDLESS)):
        faults = [*faults, f"predict imported {', '.join(needless)} without need"]
    print(*found.lines(), *faces.lines(), sep="\n")
    versions = f"ONNX Runtime {metadata.version('onnxruntime')} here, {onnxruntime} there"
    emulator = subprocess.run([root.emulator, "--version"], capture_output=True, text=True, check=True).stdout
    print(f"{size}, {platform.machine()} against aarch64 under {emulator.splitlines()[0]}; {versions}")
    installed = ", ".join(f"{name} {_version_of(pins, name)}" for name in ("numpy", "opencv-python-headless"))
    print(f"installed there: {installed}; imported of {', '.join(NEEDLESS)}: {', '.join(needless) or 'none'}")
    print(
        f"{here.seconds:.1f} s here ({here.cpu_seconds:.1f} s of CPU), {there.seconds:.1f} s emulated "
        f"({there.cpu_seconds:.1f} s of CPU); emulation says nothing about a board's speed"
    )
    result = {
        "size": size,
        "comparison": asdict(found) | {"difference": found.difference},
        "video": asdict(faces) | {"difference": faces.difference},
        "onnxruntime": {"x86": metadata.version("onnxruntime"), "aarch64": onnxruntime},
        "seconds": {"x86": here.seconds, "aarch64": there.seconds},
        "cpu_seconds": {"x86": here.cpu_seconds, "aarch64": there.cpu_seconds},
        "wheels": pins,
        "faults": faults,
    }
    (work / "result.json").write_text(json.dumps(result, indent=1, default=str) + "\n", "utf-8")
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
