"""The stages of one command, each trained from the weights of the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from s2d_edge.contracts.bundle import tool_versions
from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.model_config import S2DConfig
from s2d_edge.contracts.names import name_of
from s2d_edge.contracts.runs import RUN_FILE, RunInfo, read_run
from s2d_edge.core.files import sha256_of
from s2d_edge.model.checkpoint import tensors_sha256
from s2d_edge.model.initialise import FRESH_ADAPTERS, initialise
from s2d_edge.model.s2d import S2D
from s2d_edge.train.context import Context
from s2d_edge.train.loop.job import Job
from s2d_edge.train.loop.learner import multiplies_bfloat16
from s2d_edge.train.loop.loop import StageTraining
from s2d_edge.train.loop.teacher import Lessons, Teacher, teachers_of
from s2d_edge.train.loop.teaching import taught_views
from s2d_edge.train.plan.plan import Plan, Stage, labelled_stage
from s2d_edge.train.plan.settings import TrainSettings
from s2d_edge.train.record.progress import Snapshot
from s2d_edge.train.supply.feed import Feed
from s2d_edge.train.supply.supply import Supply

ASKED = ("recipe", "command")  # recorded of every stage of a command


class Stages:
    """Trains the stages of a plan on one supply of clips."""

    def __init__(self, plan: Plan, supply: Supply, context: Context, asked: Mapping[str, str]) -> None:
        """Set up.

        Args:
            asked: what was asked for, by the names in :data:`ASKED`.
        """
        self._asked = asked
        self._plan = plan
        self._supply = supply
        self._context = context

    def run(
        self,
        folders: Sequence[Path],
        config: S2DConfig,
        init: Path | None,
        landmark: Mapping[str, Tensor] | None,
        landmark_name: str = "",
    ) -> None:
        """Train the last ``len(folders)`` stages of the plan, each from the one before.

        Args:
            config: the video model's sizes.
            init: a run folder or a plain ViT's weights that the first stage starts from.
            landmark: the landmark network's weights; None where ``init`` brings them.
            landmark_name: what these are called in the record.
        """
        for each, folder in zip(self._plan.stages[-len(folders) :], folders, strict=True):
            stage = labelled_stage(each)
            if self._context.stop_requested():  # at the end of the stage before, too late for its last step
                raise KeyboardInterrupt
            model = self._fresh_model(stage, config, init, landmark)
            info = self._describe(stage, folder, model, init, landmark_name or f"of {init}")
            self._train(folder, info, model, None)
            init, landmark, landmark_name = folder, None, ""

    def resume(self, folder: Path, info: RunInfo, snapshot: Snapshot) -> None:
        """Continue one stage from its snapshot."""
        model = S2D(info.model)
        model.load_state_dict(snapshot.model)
        progress = snapshot.progress
        self._context.console.say(
            f"resuming {folder} in epoch {progress.epoch + 1} after step {progress.step}"
        )
        self._train(folder, info, model, snapshot)

    def _fresh_model(
        self, stage: Stage, config: S2DConfig, init: Path | None, landmark: Mapping[str, Tensor] | None
    ) -> S2D:
        settings = self._plan.settings
        sizes = config if stage == "video" else config.as_image()
        torch.manual_seed(settings.seed)  # weights that init lacks start from the seed
        model = S2D(replace(sizes, dropout=self._plan.stage_settings(stage).dropout))
        model.start_head(settings.head_scale)
        fresh = stage == "video"
        if init is not None:
            notes = initialise(model, init, self._supply.dataset.labels)
            fresh = fresh and FRESH_ADAPTERS in notes
            for note in notes:
                self._context.console.say(note)
        if fresh and settings.temporal_scale:
            model.start_times(settings.temporal_scale)
        if fresh and settings.temporal_contrast:
            model.start_contrast()
        if landmark is not None:
            model.landmark.load_state_dict(landmark)
        return model

    def _describe(self, stage: Stage, folder: Path, model: S2D, init: Path | None, landmark: str) -> RunInfo:
        plan, dataset = self._plan, self._supply.dataset
        teachers = [identity(path) for path in teachers_of(plan.teachers, stage)]
        return RunInfo(
            name=name_of(folder),
            stage=stage,
            labels=dataset.labels,
            fps=plan.fps,
            crop=CropRecipe(size=model.config.vit.image_size, margin=plan.settings.margin),
            model=model.config,
            origin={"how": "trained", "data": dataset.name, "init": "" if init is None else str(init)},
            settings=plan.as_record(),
            made_from={
                **self._asked,
                "landmark": {"name": landmark, "sha256": tensors_sha256(model.landmark.state_dict())},
                "init": None if init is None else identity(init),
                "teacher": teachers[0] if len(teachers) == 1 else None,
                "teachers": teachers,
            },
            tools=tool_versions("torch"),
        )

    def _train(self, folder: Path, info: RunInfo, model: S2D, snapshot: Snapshot | None) -> None:
        plan, context, stage = self._plan, self._context, labelled_stage(info.stage)
        settings = plan.stage_settings(stage)
        if stage == "video":
            model.freeze_backbone()
        if settings.landmark_lr:
            model.landmark.tune_features()
        model = model.to(context.device)
        train, val = self._supply.feeds(info, model, settings)
        if snapshot is None:
            info = replace(info, made_from=info.made_from | {"data": self._supply.account})
        context.console.say(f"{stage} stage -> {folder}: {model.count_parameters()}, on {context.processes}")
        train, lessons = self._lessons(info, model, train)
        job = Job(
            model=model,
            info=info,
            lessons=lessons,
            settings=settings,
            seed=plan.settings.seed,
            sets=self._supply.sets,
            train=train,
            val=val,
            folder=folder,
            context=context,
            amp=mixed_precision(plan.settings, context),
            snapshot_minutes=plan.settings.snapshot_minutes,
            score_start=_predicts_labels(info.origin["init"], info),
        )
        training = StageTraining(job)
        if snapshot is not None:
            training.restore(snapshot)
        training.run()
        best = read_run(folder).origin["best_epoch"]
        judge = "test" if plan.protocol == "paper" else "validation"
        context.console.say(f"{folder} holds the weights of epoch {best}, the best on {judge}")

    def _lessons(self, info: RunInfo, model: S2D, train: Feed) -> tuple[Feed, Lessons | None]:
        """The feed to train on, and what teachers add to its batches; None where there is no teacher."""
        plan, context = self._plan, self._context
        stage = labelled_stage(info.stage)
        settings = plan.stage_settings(stage)
        paths = teachers_of(plan.teachers, stage) if settings.distill else []
        if not paths:
            return train, None
        teachers = []
        for path in paths:
            teacher = Teacher(path, model, info.labels, context.device)
            clips = self._supply.training_clips(teacher.info.crop)
            own = None if clips is train.clips else replace(train, clips=clips, maps=None)
            teachers.append((teacher, own))
        if not settings.distill_views:
            return train, Lessons(teachers=teachers)
        shown = [(teacher, own or replace(train, maps=None)) for teacher, own in teachers]
        taught = context.processes.one_per_machine_first(
            lambda: taught_views(shown, train, settings, plan.settings.seed, context)
        )
        return replace(train, taught=taught), Lessons()


def mixed_precision(settings: TrainSettings, context: Context) -> bool:
    """True if the settings want the forward pass in 16 bits on this device."""
    if context.device.type != "cpu":
        return settings.amp
    if settings.cpu_bfloat16 and not multiplies_bfloat16():
        context.console.warn("this CPU does not multiply bfloat16 (cpu_bfloat16=true): it trains in FP32")
    return settings.cpu_bfloat16


def identity(weights: Path) -> dict[str, str]:
    """Name and hash of a run's weights or of a file of weights."""
    sha256 = read_run(weights, encoder_ok=True).weights_sha256 if weights.is_dir() else sha256_of(weights)
    return {"name": weights.name, "sha256": sha256}


def _predicts_labels(init: str, info: RunInfo) -> bool:
    """True if ``init`` is a run with the labels of ``info``, so that its weights can be scored."""
    known = bool(init) and Path(init, RUN_FILE).is_file()
    return known and read_run(Path(init), encoder_ok=True).labels == info.labels
