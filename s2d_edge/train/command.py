"""The ``train`` verb: from what the user typed to finished run folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from s2d_edge.contracts.bundle import tool_versions
from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.contracts.model_config import S2DConfig
from s2d_edge.contracts.runs import RUN_FILE, RunInfo, read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import CheckpointError, ConfigError
from s2d_edge.core.files import choose_output
from s2d_edge.data.avatars.dataset import LANDMARKS_FILE
from s2d_edge.data.reading.dataset import Dataset
from s2d_edge.data.reading.open import AVATARS, open_dataset
from s2d_edge.model.checkpoint import read_landmark
from s2d_edge.model.initialise import FRESH_ADAPTERS, initialise
from s2d_edge.model.s2d import S2D
from s2d_edge.train.interrupt import InterruptGuard
from s2d_edge.train.job import Job
from s2d_edge.train.landmark_stage import train_landmark
from s2d_edge.train.landmarks import taught_network
from s2d_edge.train.learner import multiplies_bfloat16
from s2d_edge.train.loop import StageTraining
from s2d_edge.train.plan import LANDMARK_STAGE, STAGES, Plan, Stage, TrainOptions, describe, plan_from_record
from s2d_edge.train.processes import Processes
from s2d_edge.train.progress import RESUME, Snapshot, load_snapshot
from s2d_edge.train.record import is_finished
from s2d_edge.train.settings import StageSettings
from s2d_edge.train.start import resolve, video_config
from s2d_edge.train.supply import Maps, Supply, keep_maps, open_supply
from s2d_edge.train.teacher import Teacher, require_fitting

RUNS = Path("runs")


def train(options: TrainOptions, console: Console) -> list[Path]:
    """Train one stage or both, or resume.

    Returns:
        The run folders written, in order.

    Raises:
        S2DEdgeError: anything the user must change: settings, data, weights, device.
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM; how to resume has been said.
    """
    processes = Processes(options.device)
    console = processes.console(console)
    with InterruptGuard() as guard:
        if options.stage == LANDMARK_STAGE:
            if processes.count > 1:
                raise ConfigError("--stage landmark trains in one process; start it without torchrun")
            return [train_landmark(options, guard, console)]
        if options.resume is not None:
            return _resume(options.resume, processes, guard, console)
        return _start(options, processes, guard, console)


def _start(
    options: TrainOptions, processes: Processes, guard: InterruptGuard, console: Console
) -> list[Path]:
    start = processes.here_first(lambda: resolve(options, RUNS, console))
    require_work_for_all(start.plan, processes)
    if start.plan.teacher:  # before anything is prepared or trained
        spec = ClipSpec(frames=start.plan.frames, fps=start.plan.fps, size=start.config.vit.image_size)
        require_fitting(Path(start.plan.teacher), spec, start.dataset.labels)
    describe(start.plan, console)
    name = f"{start.dataset.name}-{start.plan.model}"
    folders = processes.decide(lambda: _choose_folders(options.out, name, start.plan.stages))
    sizes, landmark = start.config.landmark, None
    if options.landmark is not None:
        sizes, landmark = read_landmark(options.landmark)
    elif start.init is None or not start.init.is_dir():
        known = (start.dataset.root / LANDMARKS_FILE).is_file()  # training on avatars: teach on the same ones
        avatars = start.dataset if known else open_dataset(AVATARS, console)
        settings = start.plan.settings
        landmark = processes.here_first(
            lambda: taught_network(sizes, avatars, settings.landmark, settings.seed, console, guard)
        ).state_dict()
    session = _Session(start.plan, start.dataset, processes, guard, console)
    session.run(folders, replace(start.config, landmark=sizes), start.init, landmark)
    return folders


def _resume(folder: Path, processes: Processes, guard: InterruptGuard, console: Console) -> list[Path]:
    if (folder / RESUME).is_file() and not (folder / RUN_FILE).is_file():
        raise CheckpointError(
            f"the training of {folder} was killed before it began; remove the folder and start it again"
        )
    info = read_run(folder, need_weights=False)
    snapshot = load_snapshot(folder)
    plan = plan_from_record(info.settings, folder)
    later = plan.stages[plan.stages.index(info.stage) + 1 :]
    folders = [_sibling(folder, stage) for stage in later]
    if snapshot.progress.epoch >= plan.stage_settings(info.stage).epochs and is_finished(folder):
        begun = [path for path in folders if (path / RUN_FILE).is_file()]
        if begun or not folders:
            advice = f"resume {begun[0]} instead" if begun else f"begin a new run with --init {folder}"
            raise ConfigError(f"the training of {folder} is finished; {advice}")
    require_work_for_all(plan, processes)
    describe(plan, console)
    dataset = processes.here_first(
        lambda: open_dataset(plan.data, console, info.labels, missing_ok=plan.skip_unreadable)
    )
    session = _Session(plan, dataset, processes, guard, console)
    session.go_on(folder, info, snapshot)
    if folders:
        session.run(folders, video_config(info, plan.model, plan.frames, plan.temporal), folder, None)
    return [folder, *folders]


class _Session:
    """The stages of one command. They share the clips, which are prepared when the first one needs them."""

    def __init__(
        self, plan: Plan, dataset: Dataset, processes: Processes, guard: InterruptGuard, console: Console
    ) -> None:
        self._plan = plan
        self._dataset = dataset
        self._processes = processes
        self._guard = guard
        self._console = console
        self._supply: Supply | None = None
        self._maps: Maps | None = None  # of the landmark network as it is

    def run(
        self,
        folders: Sequence[Path],
        config: S2DConfig,
        init: Path | None,
        landmark: Mapping[str, Tensor] | None,
    ) -> None:
        """Train the stages of ``folders``, the last ones of the plan, each from the one before.

        Args:
            config: the video model's sizes.
            init: a run folder or a plain ViT's weights that the first stage starts from.
            landmark: the landmark network's weights; None where ``init`` brings them.
        """
        for stage, folder in zip(self._plan.stages[-len(folders) :], folders, strict=True):
            sizes = config if stage == "video" else config.as_image()
            torch.manual_seed(self._plan.settings.seed)  # what does not come from init starts from the seed
            model = S2D(replace(sizes, dropout=self._plan.stage_settings(stage).dropout))
            model.start_head(self._plan.settings.head_scale)
            fresh = stage == "video"
            if init is not None:
                notes = initialise(model, init, self._dataset.labels)
                fresh = fresh and FRESH_ADAPTERS in notes
                for note in notes:
                    self._console.say(note)
            if fresh and self._plan.settings.temporal_scale:
                model.start_times(self._plan.settings.temporal_scale)
            if fresh and self._plan.settings.temporal_contrast:
                model.start_contrast()
            if landmark is not None:
                model.landmark.load_state_dict(landmark)
            self._train(folder, self._describe(stage, folder, model, init), model, None)
            init, landmark = folder, None

    def go_on(self, folder: Path, info: RunInfo, snapshot: Snapshot) -> None:
        """Continue one stage from its snapshot."""
        model = S2D(info.model)
        model.load_state_dict(snapshot.model)
        progress = snapshot.progress
        self._console.say(f"resuming {folder} in epoch {progress.epoch + 1} after step {progress.step}")
        self._train(folder, info, model, snapshot)

    def _describe(self, stage: Stage, folder: Path, model: S2D, init: Path | None) -> RunInfo:
        size, margin = model.config.vit.image_size, self._plan.settings.margin
        return RunInfo(
            name=folder.name,
            stage=stage,
            labels=self._dataset.labels,
            fps=self._plan.fps,
            crop=CropRecipe(size=size, margin=margin),
            model=model.config,
            origin={"how": "trained", "data": self._dataset.name, "init": "" if init is None else str(init)},
            settings=self._plan.as_record(),
            tools=tool_versions("torch"),
        )

    def _train(self, folder: Path, info: RunInfo, model: S2D, snapshot: Snapshot | None) -> None:
        stage, device = info.stage, self._processes.device
        settings = self._plan.stage_settings(stage)
        if stage == "video":
            model.freeze_backbone()
        if settings.landmark_lr:
            model.landmark.tune_features()
        model = model.to(device)
        if self._supply is None:
            self._supply = self._processes.here_first(
                lambda: open_supply(self._plan, self._dataset, info.crop, self._console)
            )
        maps = self._maps_for(model, self._supply, settings)
        self._console.say(f"{stage} stage -> {folder}: {model.count_parameters()}, on {self._processes}")
        train_feed, val_feed = self._supply.feeds(stage, maps)
        follows = stage == "video" and self._plan.teacher
        job = Job(
            model=model,
            info=info,
            teacher=Teacher(Path(self._plan.teacher), model, info.labels, device) if follows else None,
            settings=settings,
            seed=self._plan.settings.seed,
            train=train_feed,
            val=val_feed,
            folder=folder,
            processes=self._processes,
            amp=self._mixed_precision(),
            snapshot_minutes=self._plan.settings.snapshot_minutes,
            score_start=_answers(info.origin["init"], info),
        )
        training = StageTraining(job, self._guard, self._console)
        if snapshot is not None:
            training.restore(snapshot)
        training.run()
        best = read_run(folder).origin["best_epoch"]
        judge = "test" if self._plan.protocol == "paper" else "validation"
        self._console.say(f"{folder} holds the weights of epoch {best}, the best on {judge}")

    def _maps_for(self, model: S2D, supply: Supply, settings: StageSettings) -> Maps:
        """Landmark maps for a stage; none where it changes the network that makes them."""
        if settings.landmark_lr:
            self._maps = None  # those of the stage before would be of another network
            return Maps()
        if not self._plan.settings.cache_landmarks:
            return Maps()
        if self._maps is None:
            device = self._processes.device
            self._maps = self._processes.here_first(lambda: keep_maps(supply, model, device, self._console))
        return self._maps

    def _mixed_precision(self) -> bool:
        """Whether the forward pass is in 16 bits: what the settings say of this device."""
        settings = self._plan.settings
        if self._processes.device.type != "cpu":
            return settings.amp
        if settings.cpu_bfloat16 and not multiplies_bfloat16():
            self._console.warn("this CPU does not multiply bfloat16 (cpu_bfloat16=true): it trains in FP32")
        return settings.cpu_bfloat16


def _answers(init: str, info: RunInfo) -> bool:
    """Whether a training starts from a run that answers its labels already, so that it can be scored."""
    return bool(init) and Path(init, RUN_FILE).is_file() and read_run(Path(init)).labels == info.labels


def require_work_for_all(plan: Plan, processes: Processes) -> None:
    """Check that every process gets a clip of every whole batch.

    Raises:
        ConfigError: a stage's batch has fewer clips than there are processes.
    """
    for stage in plan.stages:
        clips = plan.stage_settings(stage).batch_clips
        if clips < processes.count:
            raise ConfigError(
                f"{stage}.batch_clips={clips} is the batch of all {processes.count} processes together and "
                f"leaves some of them idle; set it to {processes.count} at least, or start fewer processes"
            )


def _choose_folders(out: Path | None, name: str, stages: Sequence[Stage]) -> list[Path]:
    """One folder per stage: ``out`` or ``runs/name``, with the stage added where that says more."""
    if out is not None and len(stages) == 1:
        return [choose_output(out, out)]
    if out is not None:
        return [choose_output(path, path) for path in (_with_stage(out, stage) for stage in stages)]
    base, number = RUNS / name, 1
    while any(_with_stage(base, stage).exists() for stage in stages):
        number += 1
        base = RUNS / f"{name}-{number}"
    return [_with_stage(base, stage) for stage in stages]


def _with_stage(base: Path, stage: Stage) -> Path:
    return base.with_name(f"{base.name}-{stage}")


def _sibling(folder: Path, stage: Stage) -> Path:
    """The folder of another stage of the same command."""
    name = folder.name
    for known in STAGES:
        name = name.removesuffix(f"-{known}")
    return folder.with_name(f"{name}-{stage}")
