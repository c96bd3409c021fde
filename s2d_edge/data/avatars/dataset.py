"""Write a folder of avatar clips, and keep the demo set in the user's cache."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s2d_edge.core.caches import cache_folder
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, DataError
from s2d_edge.core.files import whole_folder
from s2d_edge.core.json_files import read_json
from s2d_edge.core.scratch import sweep
from s2d_edge.data.avatars.clips import check_clip, encode, render_clip
from s2d_edge.data.avatars.expression import LABELS
from s2d_edge.data.preparing.parallel import in_parallel, usable_cores
from s2d_edge.data.reading.dataset import AVATARS_FILE, Dataset, Sample
from s2d_edge.data.reading.readers import LABELS_FILE
from s2d_edge.data.reading.tables import read_arrays

GENERATOR_VERSION = 6  # raise it whenever the same spec would give other bytes
LANDMARKS_FILE = "landmarks.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class AvatarSpec:
    """A set of avatar clips. Every subject shows every expression once and lives in one split.

    Attributes:
        train, val, test: clips per class, hence subjects, of each split.
        frames: T, frames per clip.
        fps: frames per second.
        size: side of the frames, pixels.
        seed: seed of everything drawn.
    """

    train: int = 96
    val: int = 12
    test: int = 36
    frames: int = 8
    fps: float = 4.0
    size: int = 160
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.train, self.val, self.test) < 0 or self.subjects == 0:
            raise ConfigError(
                f"train={self.train}, val={self.val}, test={self.test} clips per class: none may be "
                "negative, and not all zero"
            )
        if self.seed < 0:
            raise ConfigError(f"seed={self.seed} must not be negative")
        check_clip(frames=self.frames, fps=self.fps, size=self.size)

    @classmethod
    def of_size(
        cls, clips_per_class: int, *, frames: int = 8, fps: float = 4.0, size: int = 160, seed: int = 0
    ) -> AvatarSpec:
        """Make a set of ``clips_per_class`` in all, divided like the default set: about 67/8/25 %.

        Raises:
            ConfigError: fewer than 3, one for each split.
        """
        if clips_per_class < 3:
            raise ConfigError(f"clips_per_class={clips_per_class} must be at least 3, one for each split")
        usual = cls()
        val = max(round(clips_per_class * usual.val / usual.subjects), 1)
        test = max(round(clips_per_class * usual.test / usual.subjects), 1)
        train = clips_per_class - val - test
        return cls(train=train, val=val, test=test, frames=frames, fps=fps, size=size, seed=seed)

    @property
    def subjects(self) -> int:
        """Number of people in all splits, equal to the clips per class."""
        return self.train + self.val + self.test

    @property
    def clips(self) -> int:
        """Number of clips in all splits."""
        return self.subjects * len(LABELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One clip to draw."""

    path: str
    label: int
    subject: int
    split: str


def _entries(spec: AvatarSpec) -> Iterator[_Entry]:
    subject = 0
    for split, count in (("train", spec.train), ("val", spec.val), ("test", spec.test)):
        for _ in range(count):
            for index, label in enumerate(LABELS):
                yield _Entry(path=f"clips/a{subject:04d}_{label}", label=index, subject=subject, split=split)
            subject += 1


def _write_clip(job: tuple[AvatarSpec, _Entry, Path]) -> NDArray[np.float32]:
    """Draw one clip into its folder. Returns its (T, 68, 2) landmarks."""
    spec, entry, root = job
    frames, landmarks = render_clip(
        spec.seed,
        entry.subject,
        entry.label,
        LABELS[entry.label],
        frames=spec.frames,
        fps=spec.fps,
        size=spec.size,
    )
    folder = root / entry.path
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        (folder / f"{number:03d}.jpg").write_bytes(encode(frame))
    return landmarks


def _dataset(root: Path, spec: AvatarSpec) -> Dataset:
    samples = tuple(
        Sample(path=root / entry.path, label=entry.label, split=entry.split, subject=f"a{entry.subject:04d}")
        for entry in _entries(spec)
    )
    return Dataset(name="avatars", root=root, labels=LABELS, samples=samples)


def _description(spec: AvatarSpec) -> dict[str, object]:
    return {"generator_version": GENERATOR_VERSION, "labels": list(LABELS), **asdict(spec)}


def write_avatars(out: Path, spec: AvatarSpec, console: Console, workers: int | None = None) -> Dataset:
    """Draw a set of clips into the folder ``out``, whole or not at all.

    The folder holds ``labels.csv`` (path,label,subject,split), a folder of JPEG frames per clip,
    ``landmarks.npz`` and ``avatars.json``. The same spec gives the same bytes with any number of workers.

    Args:
        workers: processes; by default one per core this process may use. 1 draws in this process.

    Raises:
        DataError: ``out`` holds something other than avatars.
        OSError: the disk refuses.
    """
    if out.exists() and not (out / AVATARS_FILE).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} exists and is no avatar set; choose another folder, or remove it first")
    entries = list(_entries(spec))
    workers = workers if workers is not None else usable_cores()
    landmarks: list[NDArray[np.float32]] = []
    with whole_folder(out, shared=True) as scratch:
        jobs = [(spec, entry, scratch) for entry in entries]
        with console.progress("drawing avatars", len(jobs)) as advance:
            for points in in_parallel(_write_clip, jobs, workers=workers, chunk=7):
                landmarks.append(points)
                advance(1)
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(("path", "label", "subject", "split"))
        writer.writerows((e.path, LABELS[e.label], f"a{e.subject:04d}", e.split) for e in entries)
        (scratch / LABELS_FILE).write_text(table.getvalue(), encoding="utf-8")
        paths = np.array([entry.path for entry in entries])
        np.savez(scratch / LANDMARKS_FILE, paths=paths, points=np.stack(landmarks))
        (scratch / AVATARS_FILE).write_text(json.dumps(_description(spec), indent=2) + "\n", encoding="utf-8")
    if read_json(out / AVATARS_FILE, DataError, "choose another folder") != _description(spec):
        raise DataError(f"another command drew other avatars into {out} meanwhile; choose another folder")
    return _dataset(out, spec)


def read_landmarks(root: Path) -> dict[str, NDArray[np.float32]]:
    """Read the 68 landmarks of every clip of an avatar set.

    Returns:
        Clip path relative to ``root`` -> (T, 68, 2) float32, fractions of the picture's side (x, y), in
        iBUG's order.

    Raises:
        DataError: ``root`` is no avatar set, or its landmarks cannot be read.
    """
    file = root / LANDMARKS_FILE
    if not file.is_file():
        raise DataError(f"{root} holds no {LANDMARKS_FILE}; make a set with 's2d-edge data avatars {root}'")
    paths, points = read_arrays(file, ("paths", "points"), "make the set again")
    if len(paths) != len(points):
        raise DataError(f"{file} holds {len(paths)} paths and {len(points)} landmarks; make the set again")
    return dict(zip(paths.tolist(), points, strict=True))


def default_avatars(console: Console, spec: AvatarSpec | None = None, workers: int | None = None) -> Dataset:
    """Open the embedded demo set, drawn once into the user's cache.

    The folder's name holds a hash of the spec and the generator's version, so another version of the
    generator never meets old pictures.
    """
    spec = spec or AvatarSpec()
    wanted = _description(spec)
    key = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:12]
    root = cache_folder() / f"avatars-{key}"
    sweep(root.parent, "avatars-[0-9a-f]{12}")
    if _is_complete(root, spec):
        console.say(f"demo data: avatars in {root}")
        return _dataset(root, spec)
    console.say(f"demo data: drawing {spec.clips} avatar clips into {root} (once)")
    return write_avatars(root, spec, console, workers)


def _is_complete(root: Path, spec: AvatarSpec) -> bool:
    """True when ``root`` holds the set of ``spec`` with every frame."""
    try:
        stored = read_json(root / AVATARS_FILE, DataError, "make the set again")
    except DataError:
        return False
    names = {f"{number:03d}.jpg" for number in range(spec.frames)}
    return (
        stored == _description(spec)
        and (root / LABELS_FILE).is_file()
        and (root / LANDMARKS_FILE).is_file()
        and all(
            (root / entry.path).is_dir() and names == {file.name for file in (root / entry.path).iterdir()}
            for entry in _entries(spec)
        )
    )
