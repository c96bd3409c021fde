"""The run folder that training hands to export. Reading and finding it needs no torch.

``run.json`` describes the model and how it was trained; ``weights.safetensors`` holds the best weights,
landmark network included, ``last.safetensors`` the last; ``resume.pt`` continues an interrupted training.
``metrics.jsonl`` has one line per epoch, ``tensorboard/`` the same figures; ``environment.json`` says where
it ran; ``learning-curve.png`` and ``confusion.png`` show how it went.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from s2d_edge.contracts.bundle import MANIFEST
from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.contracts.model_config import S2DConfig
from s2d_edge.contracts.names import labels_fault, name_fault
from s2d_edge.core.console import Console
from s2d_edge.core.errors import CheckpointError, ConfigError
from s2d_edge.core.files import folders_with, sha256_of, write_text
from s2d_edge.core.json_files import read_json

RUNS = Path("runs")  # under the working directory, unless --out says otherwise
RUN_FILE = "run.json"
WEIGHTS = "weights.safetensors"
FORMAT_VERSION = 1
FRESH_HEAD = "fresh"
HEAD_IS_UNTRAINED = (
    "the head of this model was made new when it was imported and never trained, so its predictions mean "
    "nothing; train it first: s2d-edge train --init"
)
_REMEDY = "train it again, or name another run"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """The contents of ``run.json``.

    Attributes:
        name: the run's name, by default its folder's.
        stage: ``image``, ``video``, or ``pretrain`` for an encoder without a classifier.
        labels: class names in logit order; none of an encoder.
        fps: sampling rate of its clips, frames per second.
        crop: the face crop it was trained with.
        model: every size of the network.
        origin: ``trained``, or ``imported`` with its source, and the data.
        settings: the resolved training settings, empty for an import.
        made_from: the clips counted, the hash of their listing, name and hash of other weights, the recipe
            and the command; empty for an import and in runs of older versions.
        weights_sha256: hash of ``weights.safetensors``; empty until first written.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    stage: Literal["image", "video", "pretrain"]
    labels: tuple[str, ...]
    fps: float
    crop: CropRecipe
    model: S2DConfig
    origin: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    made_from: dict[str, Any] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)
    weights_sha256: str = ""
    format_version: Literal[1] = 1

    def __post_init__(self) -> None:
        if fault := name_fault(self.name):
            raise ConfigError(f"name={self.name!r} {fault}")
        if self.stage == "pretrain":
            if self.labels:
                raise ConfigError(f"labels: {', '.join(self.labels)} of an encoder, which predicts none")
        elif fault := labels_fault(self.labels):
            raise ConfigError(f"labels: {fault}")
        elif len(self.labels) != self.model.classes:
            raise ConfigError(
                f"{len(self.labels)} labels for model.classes={self.model.classes}; give one label per class"
            )
        _ = self.spec  # which checks the rate
        if self.crop.size != self.model.vit.image_size:
            raise ConfigError(
                f"crop.size={self.crop.size} differs from vit.image_size={self.model.vit.image_size}"
            )

    @property
    def head_is_untrained(self) -> bool:
        """True if the classifier was made at an import and never trained: logits mean nothing."""
        return self.origin.get("head") == FRESH_HEAD

    @property
    def spec(self) -> ClipSpec:
        """The shape and pace of the clip that the model takes."""
        return ClipSpec(frames=self.model.frames, fps=self.fps, size=self.crop.size)


_ADAPTER: TypeAdapter[RunInfo] = TypeAdapter(RunInfo)


def read_run(path: Path, *, need_weights: bool = True, encoder_ok: bool = False) -> RunInfo:
    """Read ``run.json`` of the run folder ``path``.

    Args:
        encoder_ok: accept the run of a pre-training, which predicts nothing.

    Raises:
        CheckpointError: not a run folder, an unreadable or invalid ``run.json``, an unknown version, or
            (unless ``need_weights`` is False) no weights; an encoder, unless ``encoder_ok``.
    """
    file = path / RUN_FILE
    if not file.is_file():
        raise CheckpointError(f"{path} holds no {RUN_FILE}; {_what_instead(path)}")
    data = read_json(file, CheckpointError, _REMEDY)
    if data.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{file} has format_version {data.get('format_version')!r}; "
            f"this s2d-edge reads {FORMAT_VERSION}: {_REMEDY}"
        )
    try:
        info = _ADAPTER.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(f"{file}: field {where!r}: {first['msg']}; {_REMEDY}") from None
    except ConfigError as error:
        raise CheckpointError(f"{file}: {error}; {_REMEDY}") from None
    if info.stage == "pretrain" and not encoder_ok:
        raise CheckpointError(
            f"{path} is the run of a pre-training, an encoder that predicts nothing yet; train a model from "
            f"it: s2d-edge train --stage image --init {shlex.quote(str(path))} --data DATA"
        )
    if need_weights and not (path / WEIGHTS).is_file():
        raise CheckpointError(
            f"{path} holds no {WEIGHTS}: its training ended before the first epoch; "
            "continue it with 's2d-edge train --resume', or name another run"
        )
    return info


def _what_instead(path: Path) -> str:
    """The likely kind of a folder or file that is no run, and what to give."""
    if (path / MANIFEST).is_file():
        return "it is a bundle: give the run that it was exported from"
    if path.is_file():
        return f"it is a file: give the run's folder{'' if path.parent == Path() else f', {path.parent}'}"
    inside = folders_with(path, RUN_FILE)
    beside = [path.with_name(f"{path.name}-{stage}") for stage in ("video", "image")] if path.name else []
    runs = inside or [folder for folder in beside if (folder / RUN_FILE).is_file()]
    if runs:
        return f"did you mean {' or '.join(map(str, runs[:3]))}?"
    if not path.exists():
        return "there is no such folder: check the path"
    return "a run is a folder written by 's2d-edge train' or 's2d-edge import'"


def write_run_info(path: Path, info: RunInfo) -> None:
    """Write ``run.json`` into the run folder ``path``, whole or not at all."""
    write_text(path / RUN_FILE, run_text(info))


def run_text(info: RunInfo) -> str:
    """The text of ``run.json``."""
    return json.dumps(asdict(info), indent=2) + "\n"


def verify_weights(path: Path, info: RunInfo) -> None:
    """Compare the weights in the run folder ``path`` with the hash that its ``run.json`` holds.

    Raises:
        CheckpointError: they differ, or cannot be read.
    """
    weights = path / WEIGHTS
    try:
        found = sha256_of(weights)
    except OSError as error:
        raise CheckpointError(f"{weights} cannot be read ({error.strerror}); {_REMEDY}") from None
    if found != info.weights_sha256:
        raise CheckpointError(
            f"{weights} differs from what {RUN_FILE} recorded (sha256): it was altered or damaged; "
            "take it from a backup, or train again"
        )


def find_runs(root: Path, stage: str | None = None, console: Console | None = None) -> list[Path]:
    """Find the run folders with weights directly under ``root``, newest first; hashes are not checked.

    Args:
        stage: only runs of this stage, ``image`` or ``video``; None is both.
        console: names every run that is skipped since it cannot be read, with the reason; None names none.
    """
    found = []
    for path in folders_with(root, RUN_FILE):
        try:
            info = read_run(path, need_weights=False, encoder_ok=True)
            wanted = info.stage != "pretrain" and stage in (None, info.stage)
            if wanted and (path / WEIGHTS).is_file():  # else its training only began
                found.append(((path / WEIGHTS).stat().st_mtime, path))
        except (CheckpointError, OSError) as error:
            _warn_of_skipped(error, console)
    return [path for _, path in sorted(found, reverse=True)]


def newest_run(root: Path, stage: str | None = None, console: Console | None = None) -> Path:
    """Return the run under ``root`` whose weights are newest; runs with damaged weights are skipped.

    Args:
        stage: only runs of this stage, ``image`` or ``video``.
        console: names every run that is skipped, with the reason; None names none.

    Raises:
        CheckpointError: none under ``root``, or only damaged ones.
    """
    damaged: list[CheckpointError] = []
    for path in find_runs(root, stage, console):
        try:
            verify_weights(path, read_run(path))
        except CheckpointError as error:
            damaged.append(error)
            continue
        for each in damaged:
            _warn_of_skipped(each, console)
        return path
    if damaged:
        raise damaged[0]
    wanted = f"{stage} run" if stage else "run"
    raise CheckpointError(f"there is no {wanted} with weights under {root}; make one with 's2d-edge train'")


def _warn_of_skipped(error: Exception, console: Console | None) -> None:
    if console is not None:
        console.warn(f"skipped a run: {error}")
