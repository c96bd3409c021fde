"""Read the files that the starter's card is written from, and check that they belong together."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2d_edge.contracts.bundle import (
    MANIFEST,
    AccuracyRecord,
    Bundle,
    CalibrationRecord,
    find_bundles,
    open_bundle,
)
from s2d_edge.contracts.runs import WEIGHTS, RunInfo, read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.core.files import sha256_of
from s2d_edge.data.reading.dataset import Dataset
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.firmware_host.bundles import STARTER

SPLIT = "test"
COMMANDS = Path(__file__).with_name("make.sh")
_Scores = dict[tuple[str, str, str], dict[str, Any]]  # by the model's hash, its data and its split


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """One of the shipped bundles.

    Attributes:
        name: its name for ``--bundle``, such as ``starter-jetson``.
        accuracy, calibration: records of its manifest; every INT8 bundle has them.
    """

    name: str
    bundle: Bundle
    accuracy: AccuracyRecord
    calibration: CalibrationRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """The scores of one model on the test splits.

    Attributes:
        title: for the tables.
        on: by the dataset's name, the JSON of ``s2d-edge evaluate``.
    """

    title: str
    on: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that the card is written from.

    Attributes:
        run: the run that the bundles were exported from.
        weights_bytes: of its weights.
        shipped: in the order of their names.
        photographs: the image stage's data; no person is in two splits.
        clips: the video stage's data, animated from the photographs.
        scored: the run in PyTorch, then the bundles in their order.
        timings: entries of ``s2d-edge benchmark --json``; empty if speed was not measured.
        commands: the script that made everything.
    """

    run: RunInfo
    weights_bytes: int
    shipped: tuple[Shipped, ...]
    photographs: Dataset
    clips: Dataset
    scored: tuple[Scored, ...]
    timings: tuple[dict[str, Any], ...]
    commands: str


def gather(
    *, run: Path, photographs: str, clips: str, scores: Path, timings: Path | None, folder: Path
) -> Evidence:
    """Read and check everything that the card is written from.

    Args:
        run: the folder that the bundles were exported from.
        photographs, clips: as ``--data`` takes them.
        scores: a folder of JSON files that ``s2d-edge evaluate`` wrote.
        timings: the JSON file of ``s2d-edge benchmark``, if speed was measured.
        folder: the folder of the shipped bundles.

    Raises:
        S2DEdgeError: something is missing, damaged, or of another model.
    """
    info, quiet = read_run(run), Console(quiet=True)
    shipped = tuple(_shipped(path, info) for path in sorted(path for path, _ in find_bundles(folder)))
    if not shipped:
        raise DataError(f"{folder} holds no bundle; copy there what 's2d-edge calibrate' wrote")
    sets = [open_dataset(data, quiet, info.labels) for data in (photographs, clips)]
    for data in sets:
        require_apart(data)
    models = [("PyTorch, FP32", info.weights_sha256)]
    models += [(f"`{each.name}`, INT8", sha256_of(each.bundle.path / MANIFEST)) for each in shipped]
    found = _scores_in(scores)
    return Evidence(
        run=info,
        weights_bytes=(run / WEIGHTS).stat().st_size,
        shipped=shipped,
        photographs=sets[0],
        clips=sets[1],
        scored=tuple(
            Scored(title=title, on={data.name: _score(found, sha256, data, title) for data in sets})
            for title, sha256 in models
        ),
        timings=() if timings is None else tuple(_read(timings)["models"]),
        commands=COMMANDS.read_text(encoding="utf-8"),
    )


def require_apart(data: Dataset) -> None:
    """Require every sample to name its person, and no person to be in two splits.

    Raises:
        DataError: a person is in two splits, or a sample names no person.
    """
    split_of: dict[str, str] = {}
    for sample in data.samples:
        if sample.subject is None:
            raise DataError(f"{sample.path} does not say who is seen; the card promises splits by people")
        first = split_of.setdefault(sample.subject, sample.split)
        if first != sample.split:
            raise DataError(
                f"{sample.subject!r} is in the splits {first!r} and {sample.split!r} of {data.name!r}; "
                "the card promises splits that share no person"
            )


def _shipped(path: Path, run: RunInfo) -> Shipped:
    bundle = open_bundle(path)
    manifest = bundle.manifest
    if manifest.source_run != run.name or manifest.labels != run.labels:
        raise DataError(
            f"{path} was exported from the run {manifest.source_run!r}, not from {run.name!r}; name its run"
        )
    if manifest.accuracy is None or manifest.calibration is None:
        raise DataError(f"{path} is not what 's2d-edge calibrate' wrote; ship the INT8 bundle")
    return Shipped(
        name=f"{STARTER}-{path.name}",
        bundle=bundle,
        accuracy=manifest.accuracy,
        calibration=manifest.calibration,
    )


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{file} is not readable JSON ({error}); write it again") from None


def _scores_in(folder: Path) -> _Scores:
    found: _Scores = {}
    for file in sorted(folder.glob("*.json")):
        score = _read(file)
        try:
            found[score["model"]["sha256"], score["data"], score["split"]] = score
        except (KeyError, TypeError):
            raise DataError(
                f"{file} does not say which model it is of; write it with "
                "'s2d-edge evaluate MODEL --json FILE'"
            ) from None
    return found


def _score(found: _Scores, sha256: str, data: Dataset, title: str) -> dict[str, Any]:
    score, clips = found.get((sha256, data.name, SPLIT)), len(data.split(SPLIT))
    if score is None:
        raise DataError(
            f"there is no score of {title} on {data.name}/{SPLIT} for the model as it is now; write it into "
            f"the folder of scores with 's2d-edge evaluate MODEL --data … --split {SPLIT} --json FILE'"
        )
    if score["n"] != clips:
        raise DataError(
            f"the score of {title} is of {score['n']} clips, and {data.name}/{SPLIT} has {clips}; "
            "evaluate again"
        )
    return score
