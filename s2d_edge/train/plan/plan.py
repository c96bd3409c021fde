"""The plan of a training: data, sizes and settings, as ``run.json`` keeps them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args, overload

from s2d_edge.contracts.clip import Protocol, as_protocol
from s2d_edge.contracts.model_config import TemporalMode
from s2d_edge.core.console import Console
from s2d_edge.core.errors import CheckpointError, ConfigError
from s2d_edge.data.reading.open import AVATARS
from s2d_edge.data.reading.splits import CARVING, Carving
from s2d_edge.train.plan.overrides import dotted, parse_assignments, read_config, with_changes
from s2d_edge.train.plan.pretrain_settings import PretrainSettings
from s2d_edge.train.plan.settings import StageSettings, TrainSettings
from s2d_edge.train.recipes import recipe

Stage = Literal["image", "video"]
AnyStage = Literal["image", "video", "pretrain"]
STAGES: tuple[Stage, ...] = ("image", "video")
PRETRAIN_STAGE: Literal["pretrain"] = "pretrain"
LANDMARK_STAGE = "landmark"
DEFAULT_MODEL = "demo"
_OF_OLDER_RUNS = {"image.distill_views": 0, "video.distill_views": 0}  # what runs without the setting did


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A training as it is saved in ``run.json`` and resumed from there.

    Attributes:
        data: the sets, each as ``--data`` takes it, a path made absolute.
        model: name of the model's size.
        stages: those of the command, in order.
        frames: T of the prepared clips.
        temporal: mode of the video stage's adapters.
        teachers: absolute folders of the runs that the stages of their kind follow.
        fps: rate of the prepared clips, frames per second.
        settings: every number.
        protocol: sampling of the frames, and the split that chooses the best epoch.
        skip_unreadable: leave out clips that cannot be read.
        carving: the rule that takes validation clips out of training ones, where the data has none.
    """

    data: tuple[str, ...]
    model: str
    stages: tuple[AnyStage, ...]
    frames: int
    temporal: TemporalMode
    teachers: tuple[str, ...]
    fps: float
    settings: TrainSettings
    protocol: Protocol = "default"
    skip_unreadable: bool = False
    carving: Carving = CARVING

    def __post_init__(self) -> None:
        for name, value in (("model", self.model), *(("teacher", path) for path in self.teachers)):
            if type(value) is not str:
                raise ConfigError(f"{name}={value!r} must be text")
        if not self.data or any(type(each) is not str for each in self.data):
            raise ConfigError(f"data={self.data!r} must be text, once for each set")
        labelled = self.stages and set(self.stages) <= set(STAGES)
        if not labelled and self.stages != (PRETRAIN_STAGE,):
            raise ConfigError(
                f"stages={self.stages!r} must be among {', '.join(STAGES)}, or {PRETRAIN_STAGE!r} alone"
            )
        if self.temporal not in get_args(TemporalMode):
            raise ConfigError(
                f"temporal={self.temporal!r} must be one of {', '.join(get_args(TemporalMode))}"
            )
        as_protocol(self.protocol)
        if self.carving not in get_args(Carving):
            raise ConfigError(f"carving={self.carving!r} must be one of {', '.join(get_args(Carving))}")
        if type(self.frames) is not int or self.frames < 1:
            raise ConfigError(f"frames={self.frames!r} must be a whole number, at least 1")
        if type(self.fps) not in (int, float) or not 0 < self.fps < math.inf:
            raise ConfigError(f"fps={self.fps!r} must be a positive number")
        for stage in self.labelled_stages if self.settings.undecided else ():
            settings = self.stage_settings(stage)
            if settings.targets != "votes":
                raise ConfigError(
                    f"undecided=true adds clips without a majority label, and {stage}.targets="
                    f"{settings.targets!r} needs one; --set {stage}.targets=votes, or leave undecided out"
                )
            if settings.sdl.weight:
                raise ConfigError(
                    f"undecided=true adds clips without a majority label, and {stage}.sdl keeps its anchors "
                    f"by label; --set {stage}.sdl.weight=0, or leave undecided out"
                )

    @overload
    def stage_settings(self, stage: Stage) -> StageSettings: ...
    @overload
    def stage_settings(self, stage: AnyStage) -> StageSettings | PretrainSettings: ...
    def stage_settings(self, stage: AnyStage) -> StageSettings | PretrainSettings:
        """The settings of one stage."""
        if stage == PRETRAIN_STAGE:
            return self.settings.pretrain
        return self.settings.image if stage == "image" else self.settings.video

    @property
    def labelled_stages(self) -> tuple[Stage, ...]:
        """The stages that learn from labels."""
        return tuple(stage for stage in STAGES if stage in self.stages)

    @property
    def uses_votes(self) -> bool:
        """True if a stage is trained on people's votes."""
        return any(self.stage_settings(stage).targets == "votes" for stage in self.labelled_stages)

    def as_record(self) -> dict[str, Any]:
        """The plan as ``run.json`` stores it."""
        record = asdict(self)
        data = self.data[0] if len(self.data) == 1 else list(self.data)  # older versions know one set
        only = self.teachers[0] if len(self.teachers) == 1 else ""  # and one teacher
        stages, teachers = list(self.stages), list(self.teachers)
        return record | {"data": data, "stages": stages, "teachers": teachers, "teacher": only}


def plan_from_record(record: Mapping[str, Any], source: Path) -> Plan:
    """Read a plan back from ``settings`` of a ``run.json``.

    Raises:
        CheckpointError: the run was not trained here (imported) or by another version, or a setting is wrong.
    """
    try:
        settings = with_changes(TrainSettings(), _OF_OLDER_RUNS | dotted(record["settings"]), str(source))
        return Plan(
            data=(record["data"],) if isinstance(record["data"], str) else tuple(record["data"]),
            model=record["model"],
            stages=tuple(record["stages"]),
            frames=record["frames"],
            # Older runs lack the fields that have a default here.
            temporal=record.get("temporal", "bidirectional"),
            teachers=_teachers(record),
            fps=record["fps"],
            protocol=record.get("protocol", "default"),
            skip_unreadable=record.get("skip_unreadable", False),
            carving=record.get("carving", "by subject"),
            settings=settings,
        )
    except (KeyError, TypeError, AttributeError):
        raise CheckpointError(
            f"{source} holds no training settings to resume, perhaps because it was imported; start a new "
            f"training with --init {source}"
        ) from None
    except ConfigError as error:
        raise CheckpointError(
            f"the settings in the run {source} cannot be resumed: {error}; start a new training with "
            f"--init {source}"
        ) from None


def _teachers(record: Mapping[str, Any]) -> tuple[str, ...]:
    """The teachers of a run; older ones had one, or an empty text."""
    one = record.get("teacher", "")
    several = record.get("teachers", [one] if one else [])
    if type(one) is not str or type(several) is not list:
        raise ConfigError(f"teacher={one!r} must be text, and teachers={several!r} a list of texts")
    return tuple(several)


def resolve_settings(
    recipe_name: str,
    *,
    config: Path | None = None,
    changes: Sequence[str] = (),
    seed: int | None = None,
    epochs: int | None = None,
    stages: Sequence[AnyStage] = STAGES,
) -> TrainSettings:
    """Resolve recipe, ``--config``, ``--set``, ``--seed`` and ``--epochs``; the later one wins.

    Args:
        recipe_name: a name of :mod:`s2d_edge.train.recipes`.
        config: a TOML file of settings.
        changes: ``key=value`` settings.
        epochs: of each of ``stages``.

    Raises:
        ConfigError: an unknown recipe or setting, or a value out of range.
    """
    settings = recipe(recipe_name)
    if config is not None:
        settings = with_changes(settings, read_config(config), f"--config {config}")
    settings = with_changes(settings, parse_assignments(changes), "--set")
    if seed is not None:
        settings = with_changes(settings, {"seed": seed}, "--seed")
    if epochs is not None:
        settings = with_changes(settings, {f"{stage}.epochs": epochs for stage in stages}, "--epochs")
    return settings


def usual_recipe(model: str, data: Sequence[str], stages: Sequence[AnyStage] = STAGES) -> str:
    """Name the recipe of a training that names none: by stage, the model's size and the data."""
    if PRETRAIN_STAGE in stages:
        return PRETRAIN_STAGE
    if model != DEFAULT_MODEL:
        return "paper"
    return "demo" if set(data) == {AVATARS} else "quick"


def parse_stages(name: str | None) -> tuple[AnyStage, ...]:
    """The stages to train, in order; None means all.

    Raises:
        ConfigError: no such stage.
    """
    if name is None:
        return STAGES
    found = tuple(stage for stage in get_args(AnyStage) if stage == name)
    if not found:
        raise ConfigError(
            f"--stage {name!r} must be one of {', '.join(STAGES)}; leave it out for both, or give "
            f"{LANDMARK_STAGE!r} for a landmark network alone or {PRETRAIN_STAGE!r} for a ViT without labels"
        )
    return found


def labelled_stage(stage: AnyStage) -> Stage:
    """``stage``, which is known to learn from labels."""
    assert stage != PRETRAIN_STAGE
    return stage


def warn_of_warmups(plan: Plan, console: Console) -> None:
    """Name the stages that end before their learning rate has risen."""
    for stage in plan.stages:
        settings = plan.stage_settings(stage)
        if settings.epochs <= settings.warmup_epochs:
            console.warn(
                f"{stage}.epochs={settings.epochs} lies within {stage}.warmup_epochs="
                f"{settings.warmup_epochs:g}: the learning rate does not reach {stage}.lr={settings.lr:g}; "
                f"train longer, or --set {stage}.warmup_epochs={settings.epochs / 10:g}"
            )


def describe(plan: Plan, console: Console) -> None:
    """Print every resolved setting of the stages to train that has a value."""
    record = plan.as_record()
    del record["teacher"]  # among the teachers
    groups: dict[str, list[str]] = {}
    for name, value in dotted(record).items():
        if value in ("", [], None):
            continue
        group, _, key = name.removeprefix("settings.").rpartition(".")
        if group.split(".")[0] in get_args(AnyStage) and group.split(".")[0] not in plan.stages:
            continue
        groups.setdefault(group or "training", []).append(f"{key} {value}")
    for group, settings in groups.items():
        console.say(f"{group}: {', '.join(settings)}")
