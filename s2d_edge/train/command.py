"""Train one stage or both, or resume: from options to finished run folders."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from s2d_edge.contracts.clip import ClipSpec, as_protocol
from s2d_edge.contracts.labels import parse_label_set
from s2d_edge.contracts.runs import RUN_FILE, RunInfo, read_run
from s2d_edge.core.claims import claim_existing, releases_claims
from s2d_edge.core.console import Console
from s2d_edge.core.errors import CheckpointError, ConfigError
from s2d_edge.data.avatars.dataset import LANDMARKS_FILE
from s2d_edge.data.check.training import open_training_data
from s2d_edge.data.reading.dataset import Dataset
from s2d_edge.data.reading.joined import open_sets
from s2d_edge.data.reading.open import AVATARS, absolute_data, open_dataset, require_published
from s2d_edge.data.reading.unlabelled import open_unlabelled
from s2d_edge.model.checkpoint import read_landmark
from s2d_edge.train.context import Context, open_context
from s2d_edge.train.landmark.stage import train_landmark
from s2d_edge.train.landmark.teaching import taught_network
from s2d_edge.train.loop.teacher import require_fitting
from s2d_edge.train.plan.plan import (
    LANDMARK_STAGE,
    PRETRAIN_STAGE,
    Plan,
    describe,
    parse_stages,
    plan_from_record,
    resolve_settings,
    usual_recipe,
    warn_of_warmups,
)
from s2d_edge.train.plan.start import (
    Start,
    choose_folders,
    find_init,
    require_sizes,
    sibling_folder,
    usual_fps,
    video_sizes,
    video_sizes_after,
)
from s2d_edge.train.pretrain.stage import pretrain, resume_pretraining
from s2d_edge.train.record.progress import RESUME, how_to_resume, load_snapshot
from s2d_edge.train.record.record import is_finished
from s2d_edge.train.stages import ASKED, Stages
from s2d_edge.train.supply.account import require_same_listing
from s2d_edge.train.supply.supply import Supply
from s2d_edge.train.supply.votes import with_targets

_REPEATED = {"changes", "data", "teacher"}
_RESUME_TAKES = {"resume", "device", "console"}
_LANDMARK_TAKES = {
    "stage",
    "data",
    "model",
    "recipe",
    "config",
    "changes",
    "seed",
    "device",
    "out",
    "console",
}
_PRETRAIN_TAKES = _LANDMARK_TAKES | {"init", "epochs", "image_size", "frames", "fps", "skip_unreadable"}


@releases_claims
def train(
    *,
    stage: str | None = None,
    data: str | Sequence[str] | None = None,
    labels: str | None = None,
    model: str | None = None,
    init: Path | None = None,
    landmark: Path | None = None,
    recipe: str | None = None,
    config: Path | None = None,
    changes: Sequence[str] = (),
    epochs: int | None = None,
    seed: int | None = None,
    image_size: int | None = None,
    frames: int | None = None,
    temporal: str | None = None,
    teacher: Sequence[Path] | None = None,
    fps: float | None = None,
    protocol: str = "default",
    skip_unreadable: bool = False,
    device: str = "auto",
    out: Path | None = None,
    resume: Path | None = None,
    console: Console,
) -> list[Path]:
    """Train one stage or both, or resume an interrupted training.

    Args:
        stage: ``image``, ``video``, or None for one after the other; ``landmark`` for a landmark network,
            ``pretrain`` for a ViT that learns from pictures without labels.
        data: as ``--data`` takes it, once or several times; None is the embedded avatars.
        labels: those to train, in order, separated by commas, or the name of a published set; clips of others
            are left out, and counted. None takes all.
        model: a size of :data:`s2d_edge.contracts.model_config.PRESETS`; None is ``init``'s, else ``demo``.
        init: a run folder or a plain ViT's weights to start from.
        landmark: a landmark network's weights; None takes ``init``'s, else one taught on avatars.
        recipe: a name of :mod:`s2d_edge.train.recipes`; None chooses by stage, model and data.
        config: a TOML file of settings, which change the recipe.
        changes: ``key=value`` settings, which change both.
        epochs: of every stage trained.
        seed: of everything random.
        image_size: side of the picture the model sees, pixels; None is what ``init`` or ``model`` has.
        frames: T of the video model.
        temporal: ``bidirectional`` or ``causal`` adapters; None is what ``init`` has, else bidirectional.
        teacher: runs whose mean probabilities a stage follows beside the labels: image runs the image stage,
            video runs the video stage.
        fps: rate at which clips are sampled, frames per second.
        protocol: ``default``, or ``paper`` for the official code's way with published datasets.
        skip_unreadable: leave out clips that cannot be read.
        device: ``auto``, ``cpu`` or ``cuda``.
        out: the run folder; for both stages the name that ``-image`` and ``-video`` are added to.
        resume: a run folder whose training is resumed; beside it only ``device`` may be given.
        console: reports progress.

    Returns:
        The run folders written, in order.

    Raises:
        S2DEdgeError: something the user must change: settings, data, weights, device.
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after saving; a message says how to resume.
    """
    options = dict(locals())  # before any other local name exists
    given = _differing(options)
    sets = (data,) if isinstance(data, str) else tuple(data or ()) or (AVATARS,)
    if resume is not None and (flag := _flag_beside(given, _RESUME_TAKES)):
        raise ConfigError(
            f"--resume continues exactly as {resume} began; leave out {flag}, or start a new training with "
            f"--init {resume}"
        )
    if stage == LANDMARK_STAGE:
        if flag := _flag_beside(given, _LANDMARK_TAKES):
            raise ConfigError(f"{flag} is for the image and video stages; leave it out of --stage landmark")
        settings = resolve_settings(recipe or "landmark", config=config, changes=changes, seed=seed)
        with open_context(device, console) as context:
            return [train_landmark(sets, model, settings, out, context)]
    if stage == PRETRAIN_STAGE and (flag := _flag_beside(given, _PRETRAIN_TAKES)):
        raise ConfigError(f"{flag} is for the image and video stages; leave it out of --stage pretrain")
    stages, sampled = parse_stages(stage), as_protocol(protocol)
    chosen = None if labels is None else parse_label_set(labels).labels
    require_sizes(frames=frames, fps=fps, image_size=image_size)

    named: dict[str, str] = {}

    def begin(context: Context) -> Start:
        weights = find_init(init, stages, context.console)
        size = model or weights.model_name
        named["recipe"] = recipe or usual_recipe(size, sets, stages)
        settings = resolve_settings(
            named["recipe"],
            config=config,
            changes=changes,
            seed=seed,
            epochs=epochs,
            stages=stages,
        )
        if stages == (PRETRAIN_STAGE,):
            dataset = open_unlabelled(sets, context.console, missing_ok=skip_unreadable)
        else:
            dataset = weights.ordered(
                open_training_data(
                    sets,
                    context.console,
                    labels=chosen,
                    missing_ok=skip_unreadable,
                    needs_validation=sampled != "paper",
                )
            )
        if sampled == "paper":
            require_published(dataset)
        sizes = video_sizes(weights, model, frames=frames, image_size=image_size, temporal=temporal)
        if settings.temporal_contrast and not sizes.causal:
            raise ConfigError(
                "temporal_contrast=true is for causal adapters, which know how old frames are; "
                "add --temporal causal"
            )
        plan = Plan(
            data=tuple(map(absolute_data, sets)),
            model=size,
            stages=stages,
            frames=sizes.frames,
            temporal="causal" if sizes.causal else "bidirectional",
            teachers=tuple(str(path.resolve()) for path in teacher or ()),
            fps=usual_fps(dataset, weights.run) if fps is None else fps,
            protocol=sampled,
            skip_unreadable=skip_unreadable,
            settings=settings,
        )
        if stages != (PRETRAIN_STAGE,):  # whose model has no classifier
            sizes = replace(sizes, classes=len(dataset.labels))
        return Start(plan=plan, dataset=with_targets(dataset, plan), config=sizes, init=weights)

    with open_context(device, console) as context:
        if resume is not None:
            return _resume(resume, context)
        start = context.processes.one_per_machine_first(lambda: begin(context))
        return _run(start, landmark, out, context, named | {"command": _command_line(options, given)})


def _differing(options: Mapping[str, Any]) -> list[str]:
    """Names of the options of :func:`train` that are not at their defaults, in its order."""
    usual = inspect.signature(train).parameters
    return [name for name, value in options.items() if value != usual[name].default]


def _flag_beside(given: Sequence[str], allowed: set[str]) -> str | None:
    """The first of the ``given`` options that is not ``allowed``, as a flag."""
    names = [name for name in given if name not in allowed]
    if not names:
        return None
    return _flag(names[0])


def _command_line(options: Mapping[str, Any], given: Sequence[str]) -> str:
    """The command that trains as this call does, whether it came from the command line or from Python."""
    words = ["s2d-edge", "train"]
    for name in given:
        if name == "console":
            continue
        given_once = isinstance(options[name], str) or name not in _REPEATED
        for value in [options[name]] if given_once else options[name]:
            words += [_flag(name)] if value is True else [_flag(name), str(value)]
    return shlex.join(words)


def _flag(name: str) -> str:
    return "--set" if name == "changes" else f"--{name.replace('_', '-')}"


def _run(
    start: Start, landmark: Path | None, out: Path | None, context: Context, asked: Mapping[str, str]
) -> list[Path]:
    plan, dataset, processes = start.plan, start.dataset, context.processes
    supply = Supply(plan, dataset, context)
    require_clips_for_all(plan, processes.count)
    spec = ClipSpec(frames=plan.frames, fps=plan.fps, size=start.config.vit.image_size)
    require_fitting(plan.teachers, plan.stages, spec, dataset.labels)  # before anything is prepared
    describe(plan, context.console)
    warn_of_warmups(plan, context.console)
    folders = processes.on_rank_0(lambda: choose_folders(out, f"{dataset.name}-{plan.model}", plan.stages))
    if plan.stages == (PRETRAIN_STAGE,):
        pretrain(plan, supply, start.config, start.init.path, folders[0], asked, context)
        return folders
    sizes, weights, called = start.config.landmark, None, ""
    if landmark is not None:
        sizes, weights = read_landmark(landmark)
        called = landmark.name
    elif not start.init.brings_landmark:
        # Training on avatars: teach on the same ones.
        known = len(dataset.sources) == 1 and (dataset.root / LANDMARKS_FILE).is_file()
        avatars = dataset if known else open_dataset(AVATARS, context.console)
        network = processes.one_per_machine_first(
            lambda: taught_network(sizes, avatars, plan.settings.landmark, plan.settings.seed, context)
        )
        weights, called = network.state_dict(), f"taught on {avatars.name!r}"
    stages = Stages(plan, supply, context, asked)
    stages.run(folders, replace(start.config, landmark=sizes), start.init.path, weights, called)
    return folders


def _resume(folder: Path, context: Context) -> list[Path]:
    if (folder / RESUME).is_file() and not (folder / RUN_FILE).is_file():
        raise CheckpointError(
            f"the training of {folder} was killed before it began; remove the folder and start it again"
        )
    info = read_run(folder, need_weights=False, encoder_ok=True)
    context.kept.text = how_to_resume(folder)
    snapshot = load_snapshot(folder)
    plan = plan_from_record(info.settings, folder)
    later = plan.stages[plan.stages.index(info.stage) + 1 :]
    folders = [sibling_folder(folder, stage) for stage in later]
    if snapshot.progress.epoch >= plan.stage_settings(info.stage).epochs and is_finished(folder):
        begun = [path for path in folders if (path / RUN_FILE).is_file()]
        if begun or not folders:
            advice = f"resume {begun[0]} instead" if begun else f"begin a new run with --init {folder}"
            raise ConfigError(f"the training of {folder} is finished; {advice}")
    require_clips_for_all(plan, context.processes.count)
    describe(plan, context.console)
    context.processes.on_rank_0(lambda: claim_existing([folder, *folders]))
    dataset = context.processes.one_per_machine_first(lambda: _opened_again(plan, info, context.console))
    dataset = with_targets(dataset, plan)
    require_same_listing(dataset, info.made_from)
    if info.stage == PRETRAIN_STAGE:
        resume_pretraining(plan, Supply(plan, dataset, context), info, snapshot, folder, context)
        return [folder]
    asked = {name: str(info.made_from[name]) for name in ASKED if name in info.made_from}
    stages = Stages(plan, Supply(plan, dataset, context), context, asked)
    stages.resume(folder, info, snapshot)
    if folders:
        stages.run(folders, video_sizes_after(info, plan.model, plan.frames, plan.temporal), folder, None)
    return [folder, *folders]


def _opened_again(plan: Plan, info: RunInfo, console: Console) -> Dataset:
    """Open the data of a training that is resumed."""
    if info.stage == PRETRAIN_STAGE:
        return open_unlabelled(plan.data, console, missing_ok=plan.skip_unreadable)
    if len(plan.data) > 1:
        return open_sets(plan.data, console, info.labels, missing_ok=plan.skip_unreadable)
    return open_dataset(
        plan.data[0],
        console,
        info.labels,
        missing_ok=plan.skip_unreadable,
        as_written=plan.carving == "by subject",  # so old that names were exact
    )


def require_clips_for_all(plan: Plan, processes: int) -> None:
    """Check that every process gets a clip of every whole batch.

    Raises:
        ConfigError: a stage's batch has fewer clips than there are processes.
    """
    for stage in plan.stages:
        clips = plan.stage_settings(stage).batch_clips
        if clips < processes:
            raise ConfigError(
                f"{stage}.batch_clips={clips} is the batch of all {processes} processes together and "
                f"leaves some of them idle; set it to {processes} at least, or start fewer processes"
            )
