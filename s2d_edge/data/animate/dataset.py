"""Make a folder of animated stills, resume it, and finish it whole."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from s2d_edge.core.claims import claim_existing, releases_claims
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, DataError
from s2d_edge.core.files import whole_file, whole_folder, write_text
from s2d_edge.core.json_files import read_json
from s2d_edge.data.animate.clip import ClipPlan, animate, plan_clip
from s2d_edge.data.animate.landmarks import StillFaceFinder
from s2d_edge.data.animate.learning import resting_face
from s2d_edge.data.animate.resting import RestingFace
from s2d_edge.data.animate.settings import AnimateSettings
from s2d_edge.data.animate.stills import Still, Take, chosen, list_stills, takes
from s2d_edge.data.avatars.clips import encode
from s2d_edge.data.preparing.clips import unreadable_by
from s2d_edge.data.preparing.parallel import in_parallel, usable_cores
from s2d_edge.data.reading.dataset import ANIMATED_FILE
from s2d_edge.data.reading.open import AVATARS, open_dataset
from s2d_edge.data.reading.readers import LABELS_FILE
from s2d_edge.media.faces import search

ANIMATION_VERSION = 1  # raise it whenever the same settings would give other frames
SKIPPED_FILE, _RESTING_FILE = "skipped.csv", "resting.npz"
# A dot hides clips from every reader until the last one is there.
_CLIPS, _UNFINISHED = "clips", ".clips"
_RAW = "surrogateescape"  # names of files are bytes, and need not be text


@releases_claims
def animate_stills(
    data: str, out: Path, settings: AnimateSettings, console: Console, *, workers: int | None = None
) -> dict[str, Any]:
    """Animate every still of a dataset into the folder ``out``.

    The folder then holds a folder of JPEG frames per clip, ``labels.csv`` (path, label, subject, split, the
    still, which frame is the photograph, and the dataset's further columns), ``skipped.csv`` with the
    stills that show no face, ``animated.json`` and ``resting.npz``. A still's clips depend on the settings,
    its name and the faces at rest; not on the number of workers or on the other stills animated. A second
    call resumes where the first was stopped.

    Args:
        data: as ``--data`` takes it.
        workers: processes; by default one per core this process may use. 1 works in this process.

    Returns:
        Counts of stills and clips, and the settings, as plain values for JSON.

    Raises:
        DataError: ``out`` holds something else, the data are no stills, or no still shows a face.
        S2DEdgeError: another command is writing into ``out``.
        ConfigError: ``workers`` is not positive.
        MediaError: a still that cannot be decoded; names it.
    """
    workers = workers if workers is not None else usable_cores()
    if workers < 1:
        raise ConfigError(f"workers={workers} must be at least 1")
    everything = _open_stills(data, console)
    _check_apart(data, out)
    stills = chosen(everything, settings)
    if not stills:
        have = ", ".join(sorted({still.split for still in everything}))
        raise DataError(f"{data} has no split {settings.split!r}; choose one of: {have}")
    if left_out := _left_out(everything, stills, settings):
        console.warn(f"limit={settings.limit} is too small for every class; left out: {left_out}")
    examples = everything
    if settings.resting is not None:
        examples = _open_stills(settings.resting, console)
    _begin(out, settings, [*stills, *examples])
    claim_existing([out])
    try:
        return _animate_all(stills, examples, out, settings, console, workers)
    except KeyboardInterrupt:
        console.say(f"{out} is not finished; run the same command to resume it")
        raise


def _left_out(everything: Sequence[Still], stills: Sequence[Still], settings: AnimateSettings) -> str:
    """Classes and splits that a limit leaves without any still."""
    kept = {(still.split, still.label) for still in stills}
    there = {(s.split, s.label) for s in everything if settings.split in (None, s.split)}
    return ", ".join(f"{label!r} of {split!r}" for split, label in sorted(there - kept))


def _animate_all(
    stills: Sequence[Still],
    examples: Sequence[Still],
    out: Path,
    settings: AnimateSettings,
    console: Console,
    workers: int,
) -> dict[str, Any]:
    resting = resting_face(examples, settings.neutral, out / _RESTING_FILE, console, workers=workers)
    folder = out / _CLIPS if (out / _CLIPS).is_dir() else out / _UNFINISHED
    folder.mkdir(exist_ok=True)
    jobs = [_Job(still=still, folder=folder, settings=settings) for still in stills]
    made, skipped = 0, []
    with console.progress("animating stills", len(jobs)) as advance:
        done = in_parallel(
            _animate_one, jobs, workers=workers, start=partial(_start, resting), chunk=2, died=_refuse
        )
        for job, count in zip(jobs, done, strict=True):
            if count is None:
                skipped.append(job.still)
            else:
                made += count
            advance(1)
    _write_table(out / SKIPPED_FILE, ("still", "label", "subject", "split"), map(_skipped_row, skipped))
    if len(skipped) == len(stills):
        shutil.rmtree(folder)
        raise DataError(
            f"no face was found in any of the {len(stills)} stills, so no clip can be made; choose others"
        )
    missed = {still.name for still in skipped}
    _finish(out, folder, [still for still in stills if still.name not in missed], settings)
    return _report(out, stills, skipped, made, settings, console)


def _open_stills(data: str, console: Console) -> list[Still]:
    if data == AVATARS:
        raise DataError(f"{AVATARS!r} are clips already, and only stills can be animated; name photographs")
    return list_stills(open_dataset(data, console), data)


def _check_apart(data: str, out: Path) -> None:
    """Refuse an ``out`` inside folders SPLIT/LABEL, where its clips would be read as another split."""
    root = Path(data).resolve()
    if root.is_dir() and not (root / LABELS_FILE).is_file() and root in out.resolve().parents:
        raise DataError(f"{out} lies within {data}, where it would be read as a split; choose another folder")


def _begin(out: Path, settings: AnimateSettings, stills: Sequence[Still]) -> None:
    """Claim the folder for these settings and stills, or check that it was claimed for them before."""
    versions = {"animation_version": ANIMATION_VERSION, "face_search": search.SEARCH_VERSION}
    wanted = {**versions, **asdict(settings), "stills": _digest(stills)}
    described = out / ANIMATED_FILE
    if not described.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DataError(f"{out} exists and holds no animated stills; choose another folder")
    elif [path.name for path in out.iterdir()] != [ANIMATED_FILE]:  # else nothing was made yet
        stored = read_json(described, DataError, "choose another folder, or remove it first")
        for name, value in wanted.items():
            if stored.get(name) != value:
                what = "other stills" if name == "stills" else f"{name}={stored.get(name)}, not {value}"
                raise DataError(f"{out} was made with {what}; choose another folder, or remove it first")
        return
    write_text(described, json.dumps(wanted, indent=2) + "\n")


def _digest(stills: Iterable[Still]) -> str:
    """A hash of the stills' cells and of the state of their files."""
    digest = hashlib.sha256()
    for still in stills:
        state = still.path.stat()
        cells = (still.name, still.label, still.subject, still.split, *still.further.values())
        digest.update(
            "\0".join([*cells, str(state.st_size), str(state.st_mtime_ns)]).encode("utf-8", _RAW) + b"\n"
        )
    return digest.hexdigest()[:32]


def _finish(out: Path, folder: Path, stills: Sequence[Still], settings: AnimateSettings) -> None:
    """Publish the clips: their folder under its name, then the table that lists them."""
    further = list(dict.fromkeys(name for still in stills for name in still.further))
    rows = [row for still in stills for row in _rows(still, settings, further)]
    for leftover in folder.glob(".*"):  # of a run that was killed while writing
        shutil.rmtree(leftover)
    folder.replace(out / _CLIPS)
    _write_table(out / LABELS_FILE, ("path", "label", "subject", "split", "still", "apex", *further), rows)


def _rows(still: Still, settings: AnimateSettings, further: Sequence[str]) -> list[tuple[object, ...]]:
    cells = tuple(still.further.get(name, "") for name in further)
    return [
        (
            f"{_CLIPS}/{take.name}",
            take.label,
            still.subject,
            still.split,
            still.name,
            settings.frames - 1 - apex if take.backwards else apex,
            *cells,
        )
        for take in takes(still, settings)
        for apex in [_plan(still, take.number, settings).motion.apex]
    ]


def _skipped_row(still: Still) -> tuple[object, ...]:
    return (still.name, still.label, still.subject, still.split)


def _write_table(path: Path, header: Sequence[str], rows: Iterable[tuple[object, ...]]) -> None:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    with whole_file(path) as scratch:
        scratch.write_text(table.getvalue(), encoding="utf-8", errors=_RAW)


def _report(
    out: Path,
    stills: Sequence[Still],
    skipped: Sequence[Still],
    made: int,
    settings: AnimateSettings,
    console: Console,
) -> dict[str, Any]:
    missed = {still.name for still in skipped}
    clips = [(still, take) for still in stills if still.name not in missed for take in takes(still, settings)]
    kept = len(clips) - made
    console.say(f"{len(clips)} clips in {out}" + (f", {kept} of them made before" if kept else ""))
    if skipped:
        console.warn(
            f"no face was found in {len(skipped)} of {len(stills)} stills; they are listed in "
            f"{out / SKIPPED_FILE}"
        )
    return {
        "out": str(out),
        "stills": len(stills),
        "skipped": len(skipped),
        "clips": len(clips),
        "made": made,
        "labels": dict(Counter(take.label for _, take in clips)),
        "splits": dict(Counter(still.split for still, _ in clips)),
        "frames": settings.frames,
        "fps": settings.fps,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One still to be animated into ``folder``."""

    still: Still
    folder: Path
    settings: AnimateSettings


_finder: StillFaceFinder | None = None
_resting: RestingFace | None = None


def _refuse(job: _Job, how: str) -> NoReturn:
    raise unreadable_by(job.still.path, how)


def _start(resting: RestingFace) -> None:
    global _finder, _resting
    _finder, _resting = StillFaceFinder(), resting


def _plan(still: Still, number: int, settings: AnimateSettings) -> ClipPlan:
    return plan_clip(
        settings.seed,
        still.name,
        number,
        frames=settings.frames,
        fps=settings.fps,
        onset=settings.direction,
    )


def _animate_one(job: _Job) -> int | None:
    """Make the still's missing clips; return their number, or None when it shows no face."""
    assert _finder is not None
    assert _resting is not None
    missing: dict[int, list[Take]] = {}
    for take in takes(job.still, job.settings):
        if not (job.folder / take.name).is_dir():
            missing.setdefault(take.number, []).append(take)
    if not missing:
        return 0
    picture = job.still.picture(job.settings.size)
    points = _finder.find(picture)
    if points is None:
        return None
    for number, wanted in missing.items():
        plan = _plan(job.still, number, job.settings)
        files = [encode(frame, plan.camera.quality) for frame in animate(picture, points, _resting, plan)]
        for take in wanted:
            with whole_folder(job.folder / take.name) as scratch:
                for index, file in enumerate(files[::-1] if take.backwards else files):
                    (scratch / f"{index:03d}.jpg").write_bytes(file)
    return sum(len(wanted) for wanted in missing.values())
