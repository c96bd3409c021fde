"""What the user asked ``train`` for, and what it resolves to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from s2d_edge.contracts.clip import Protocol, as_protocol
from s2d_edge.contracts.model_config import TemporalMode
from s2d_edge.core.console import Console
from s2d_edge.core.errors import CheckpointError, ConfigError
from s2d_edge.data.reading.open import AVATARS
from s2d_edge.train.overrides import dotted, parse_assignments, read_config, with_changes
from s2d_edge.train.recipes import recipe
from s2d_edge.train.settings import StageSettings, TrainSettings

Stage = Literal["image", "video"]
STAGES: tuple[Stage, ...] = ("image", "video")
LANDMARK_STAGE = "landmark"
DEFAULT_MODEL = "demo"
_FLAGS = {"changes": "set"}  # where an option and its field differ in more than hyphens


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """What was typed; None where nothing was.

    Attributes:
        stage: ``image``, ``video``, or None for one after the other; ``landmark`` for a landmark network.
        data: as ``--data`` takes it; None is the embedded avatars.
        model: a size of ``s2d_edge.contracts.model_config.PRESETS``.
        init: a run folder or a plain ViT's weights to start from.
        landmark: a landmark network's weights.
        out: the run folder; for both stages the name that ``-image`` and ``-video`` are added to.
        resume: a run folder whose training goes on; nothing else may be given with it.
        recipe: a name of ``s2d_edge.train.recipes``.
        config: a TOML file of settings.
        changes: ``key=value`` settings.
        epochs: of every stage trained.
        seed: of everything random.
        image_size: side of the picture the model sees, pixels; None is what ``init`` or ``model`` has.
        frames: T of the video model.
        temporal: ``bidirectional`` or ``causal`` adapters; None is what ``init`` has, else bidirectional.
        teacher: a video run whose logits the video stage follows beside the labels.
        fps: rate at which clips are sampled, frames per second.
        protocol: ``default``, or ``paper`` for what the official code does with published datasets.
        skip_unreadable: leave out clips that cannot be read.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    stage: str | None = None
    data: str | None = None
    model: str | None = None
    init: Path | None = None
    landmark: Path | None = None
    out: Path | None = None
    resume: Path | None = None
    recipe: str | None = None
    config: Path | None = None
    changes: tuple[str, ...] = ()
    epochs: int | None = None
    seed: int | None = None
    image_size: int | None = None
    frames: int | None = None
    temporal: str | None = None
    teacher: Path | None = None
    fps: float | None = None
    protocol: str = "default"
    skip_unreadable: bool = False
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.stage not in (None, *STAGES, LANDMARK_STAGE):
            raise ConfigError(
                f"--stage {self.stage!r} must be one of {', '.join(STAGES)}; leave it out for both, or give "
                f"{LANDMARK_STAGE!r} for a landmark network alone"
            )
        if self.teacher is not None and self.stage == "image":
            raise ConfigError("--teacher is for the video stage; leave it out of --stage image")
        if self.temporal not in (None, *get_args(TemporalMode)):
            raise ConfigError(
                f"--temporal {self.temporal!r} must be one of {', '.join(get_args(TemporalMode))}"
            )
        as_protocol(self.protocol)
        if self.resume is None:
            return
        typed = [item.name for item in fields(self) if getattr(self, item.name) != item.default]
        clash = [name for name in typed if name not in ("resume", "device")]
        if clash:
            flag = _FLAGS.get(clash[0], clash[0].replace("_", "-"))
            raise ConfigError(
                f"--resume goes on exactly as {self.resume} began; leave out --{flag}, or start anew with "
                f"--init {self.resume}"
            )

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages to train, in order."""
        return STAGES if self.stage is None else (cast(Stage, self.stage),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A training as it is saved in ``run.json`` and resumed from there.

    Attributes:
        data: as ``--data`` takes it, a path made absolute.
        model: name of the model's size.
        stages: those of the command, in order.
        frames: T of the prepared clips.
        temporal: which way the video stage's adapters look.
        teacher: folder of the run the video stage follows, made absolute; empty for none.
        fps: their rate.
        settings: every number.
        protocol: how their frames are sampled, and what chooses the best epoch.
        skip_unreadable: clips that cannot be read are left out.
    """

    data: str
    model: str
    stages: tuple[Stage, ...]
    frames: int
    temporal: TemporalMode
    teacher: str
    fps: float
    settings: TrainSettings
    protocol: Protocol = "default"
    skip_unreadable: bool = False

    def stage_settings(self, stage: Stage) -> StageSettings:
        """The settings of one stage."""
        return self.settings.image if stage == "image" else self.settings.video

    def as_record(self) -> dict[str, Any]:
        """For ``run.json``."""
        record = asdict(self)
        return record | {"stages": list(self.stages)}


def plan_from_record(record: Mapping[str, Any], source: Path) -> Plan:
    """The plan of a run of ours.

    Raises:
        CheckpointError: the run was not trained here (imported), or by another version.
    """
    try:
        settings = with_changes(TrainSettings(), dotted(record["settings"]), str(source))
        return Plan(
            data=record["data"],
            model=record["model"],
            stages=tuple(record["stages"]),
            frames=record["frames"],
            # Runs from before there was a choice.
            temporal=record.get("temporal", "bidirectional"),
            teacher=record.get("teacher", ""),
            fps=record["fps"],
            protocol=record.get("protocol", "default"),
            skip_unreadable=record.get("skip_unreadable", False),
            settings=settings,
        )
    except (KeyError, TypeError):
        raise CheckpointError(
            f"{source} holds no training settings to resume, perhaps because it was imported; start a new "
            f"training with --init {source}"
        ) from None


def resolve_settings(options: TrainOptions, model: str) -> TrainSettings:
    """Recipe, then ``--config``, then ``--set``, then the options of their own; the later wins.

    Args:
        options: what was typed.
        model: the model's size, which chooses the recipe where none was named.

    Raises:
        ConfigError: an unknown recipe or setting, or a value that is refused.
    """
    settings = recipe(options.recipe or _usual_recipe(options, model))
    if options.config is not None:
        settings = with_changes(settings, read_config(options.config), f"--config {options.config}")
    settings = with_changes(settings, parse_assignments(options.changes), "--set")
    if options.seed is not None:
        settings = replace(settings, seed=options.seed)
    if options.epochs is not None:
        changes = {f"{stage}.epochs": options.epochs for stage in options.stages}
        settings = with_changes(settings, changes, "--epochs")
    return settings


def _usual_recipe(options: TrainOptions, model: str) -> str:
    if options.stage == LANDMARK_STAGE:
        return "landmark"
    if model != DEFAULT_MODEL:
        return "paper"
    return "demo" if options.data in (None, AVATARS) else "quick"


def describe(plan: Plan, console: Console) -> None:
    """Print every resolved setting."""
    record = plan.as_record()
    groups: dict[str, list[str]] = {}
    for name, value in dotted(record).items():
        group, _, key = name.removeprefix("settings.").rpartition(".")
        if group.split(".")[0] in STAGES and group.split(".")[0] not in plan.stages:
            continue
        groups.setdefault(group or "training", []).append(f"{key} {value}")
    for group, settings in groups.items():
        console.say(f"{group}: {', '.join(settings)}")
