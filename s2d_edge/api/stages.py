"""The stages that make a model, training, export and quantization; each imports its tools when called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from s2d_edge.api.given import set_names
from s2d_edge.api.model import PathLike
from s2d_edge.core.console import Console

if TYPE_CHECKING:
    from s2d_edge.calibrate.report.records import DropReport


def export(
    run: PathLike | None = None,
    *,
    target: str = "cpu",
    mode: str = "window",
    data: PathLike | None = None,
    parity_clips: int = 4,
    out: PathLike | None = None,
    console: Console | None = None,
) -> Path:
    """Write a full-precision bundle of a run: one graph for a target, checked against PyTorch.

    Args:
        run: the run's folder; None takes the newest under ``runs/``.
        target: ``jetson``, ``intel-npu``, ``intel-gpu``, ``intel-cpu``, or ``cpu`` for the faster runtime
            here.
        mode: ``window`` classifies windows of T frames; ``stream``, for a causal model, predicts at every
            frame.
        data: clips that parity is checked on, as :func:`evaluate` takes them; None draws avatars.
        parity_clips: how many.
        out: the bundle's folder; None is ``bundles/RUN-TARGET``.
        console: shows progress; None prints warnings only.

    Returns:
        The bundle's folder.

    Raises:
        ConfigError: an unknown target or mode.
        CheckpointError: no run, or unusable weights.
        UnfitGraphError: the target cannot take the graph.
        S2DEdgeError: parity is missed; then no bundle is left.
    """
    from s2d_edge.export.command import export_run

    return export_run(
        _path(run),
        target=target,
        mode=mode,
        data=_text(data),
        parity_clips=parity_clips,
        out=_path(out),
        console=console or Console(quiet=True),
    )


def calibrate(
    bundle: PathLike | None = None,
    *,
    data: PathLike | None = None,
    split: str = "train",
    eval_split: str = "test",
    val_split: str | None = None,
    subset: int = 64,
    seed: int = 0,
    max_drop_pp: float = 0.5,
    min_agreement_percent: float | None = None,
    min_speedup: float | None = None,
    run: PathLike | None = None,
    tune_steps: int | None = None,
    tune_lr: float | None = None,
    tune_data: PathLike | None = None,
    sensitivity: int | None = None,
    skip_unreadable: bool = False,
    device: str = "auto",
    out: PathLike | None = None,
    json: str | None = None,
    console: Console | None = None,
) -> tuple[Path, DropReport]:
    """Quantize a full-precision bundle to INT8 for its target, and measure what that costs in accuracy.

    Recipes are tried, the cheapest first, until one passes the gate: on the validation clips it loses no more
    than ``max_drop_pp`` and agrees with full precision on ``min_agreement_percent``. The evaluation split is
    measured once, at the end.

    Args:
        bundle: the full-precision bundle; None takes the newest under ``bundles/``.
        data: labelled clips, as :func:`evaluate` takes them; None draws avatars.
        split: the calibration clips come from this split.
        eval_split: the accuracy drop is measured on this one.
        val_split: its clips decide which recipe passes; None takes ``val``, or a quarter of the people of
            ``split`` where the data has no such split.
        subset: calibration clips, chosen evenly over the classes.
        seed: of that choice, of the intervals, and of fine-tuning.
        max_drop_pp: largest drop of WAR and of UAR that passes, percentage points; ``inf`` takes the first
            recipe.
        min_agreement_percent: least share of the validation clips with the same predicted label as in full
            precision; None is 97.
        min_speedup: how many times as fast as FP32 INT8 must be, in the same runtime on this machine; None
            for any.
        run: the run that the bundle was exported from. Where no recipe passes, its weights are fine-tuned on
            ``split`` with INT8's rounding imitated, and quantized again.
        tune_steps: steps of that fine-tuning; None is 300.
        tune_lr: its first learning rate; None is 1e-5.
        tune_data: pictures or videos for that fine-tuning, which need no labels: a folder, or what ``data``
            takes; None takes the clips of ``split``.
        sensitivity: clips on which the cost of each group of layers is measured, 0 for none; None chooses by
            the model's size.
        skip_unreadable: leave out, and count, clips that cannot be read.
        device: both graphs are measured on it; as :func:`load` takes it.
        out: the INT8 bundle's folder; None is ``bundles/NAME-int8``.
        json: the report is also written to this file as JSON, ``-`` for stdout, even when no recipe passes.
        console: shows progress and the report; None prints warnings only.

    Returns:
        The INT8 bundle's folder, and the report.

    Raises:
        TooLargeDropError: no recipe passes; then no bundle is written.
        ConfigError: options that contradict each other.
        DataError: no calibration clips, or the same clip or person in two of the three kinds of clips.
        S2DEdgeError: what opening, loading and running raise.
    """
    from s2d_edge.calibrate.clips.choice import ClipChoice
    from s2d_edge.calibrate.command import calibrate_bundle
    from s2d_edge.calibrate.search.gate import gate_limits

    limits = gate_limits(max_drop_pp, min_agreement_percent, min_speedup)
    choice = ClipChoice(
        data=_text(data),
        split=split,
        eval_split=eval_split,
        val_split=val_split,
        subset=subset,
        seed=seed,
        skip_unreadable=skip_unreadable,
        is_gated=limits is not None,
    )
    tuner = None
    if (run, tune_steps, tune_lr, tune_data) != (None, None, None, None):
        from s2d_edge.qat.tuner import run_tuner

        tuner = run_tuner(_path(run), steps=tune_steps, lr=tune_lr, data=_text(tune_data), seed=seed)
    return calibrate_bundle(
        bundle,
        choice,
        limits,
        tuner=tuner,
        sensitivity=sensitivity,
        device=device,
        out=_path(out),
        json=json,
        console=console or Console(quiet=True),
    )


def train(
    *,
    stage: str | None = None,
    data: PathLike | Sequence[PathLike] | None = None,
    labels: str | None = None,
    model: str | None = None,
    init: PathLike | None = None,
    landmark: PathLike | None = None,
    recipe: str | None = None,
    config: PathLike | None = None,
    changes: str | Sequence[str] = (),
    epochs: int | None = None,
    seed: int | None = None,
    image_size: int | None = None,
    frames: int | None = None,
    temporal: str | None = None,
    teacher: PathLike | Sequence[PathLike] | None = None,
    fps: float | None = None,
    protocol: str = "default",
    skip_unreadable: bool = False,
    device: str = "auto",
    out: PathLike | None = None,
    resume: PathLike | None = None,
    console: Console | None = None,
) -> list[Path]:
    """Train the image stage, the video stage, or one after the other; each writes a run folder.

    Args:
        stage: ``image``, ``video``, or None for both; ``landmark`` trains a landmark network from
            photographs, ``pretrain`` a ViT from pictures or videos without labels, for ``init``.
        data: labelled clips, as :func:`evaluate` takes them: one set, or several that are joined by the names
            of their labels; None draws avatars.
        labels: those to train, in order, separated by commas, or the name of a published set such as
            ``affectnet7``; clips of others are left out, and counted. None takes all.
        model: the model's size, such as ``base``, ``small``, ``tiny`` or ``demo``; None takes that of
            ``init``, else ``demo``.
        init: a run's folder, or the weights of a plain ViT, to start from.
        landmark: the weights of a landmark network, or a run that holds one; None trains one on avatars.
        recipe: a named set of settings, such as ``quick``, ``faces``, ``paper`` or ``dfew``; None chooses by
            stage, model and data.
        config: a TOML file of settings that change the recipe.
        changes: settings that change the recipe, ``KEY=VALUE``: one, or several.
        epochs: of every stage trained.
        seed: of everything random.
        image_size: side of the model's picture, pixels.
        frames: T, the frames of a window.
        temporal: ``bidirectional``, or ``causal`` for streams; None takes that of ``init``, else
            bidirectional.
        teacher: one run or several, whose mean probabilities a stage follows beside the labels: image runs
            the image stage, video runs the video stage. They may be of any size and see larger pictures.
        fps: rate at which videos are sampled, frames per second.
        protocol: ``default``, or ``paper`` to sample a published dataset, and to choose the best epoch, as
            the official code does.
        skip_unreadable: leave out, and count, clips that cannot be read.
        device: ``auto``, ``cpu`` or ``cuda``.
        out: the run's folder; for both stages, ``-image`` and ``-video`` are added to its name.
        resume: continue the interrupted training of this run; no other setting but ``device`` may be given.
        console: shows progress; None prints warnings only.

    Returns:
        The run folders, in order.

    Raises:
        S2DEdgeError: settings, data, weights or a device that cannot be used.
        KeyboardInterrupt: interrupted by Ctrl-C or SIGTERM; the console said how to resume.
    """
    from s2d_edge.train.command import train as train_stages

    return train_stages(
        stage=stage,
        data=set_names(data) or None,
        labels=labels,
        model=model,
        init=_path(init),
        landmark=_path(landmark),
        recipe=recipe,
        config=_path(config),
        changes=(changes,) if isinstance(changes, str) else tuple(changes),
        epochs=epochs,
        seed=seed,
        image_size=image_size,
        frames=frames,
        temporal=temporal,
        teacher=_paths(teacher) or None,
        fps=fps,
        protocol=protocol,
        skip_unreadable=skip_unreadable,
        device=device,
        out=_path(out),
        resume=_path(resume),
        console=console or Console(quiet=True),
    )


def _path(given: PathLike | None) -> Path | None:
    return None if given is None else Path(given)


def _paths(given: PathLike | Sequence[PathLike] | None) -> tuple[Path, ...]:
    several = (given,) if isinstance(given, (str, Path)) else given or ()
    return tuple(map(Path, several))


def _text(given: PathLike | None) -> str | None:
    return None if given is None else str(given)
