"""``train --stage pretrain``: pictures and videos without labels in, the run folder of an encoder out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from s2d_edge.contracts.bundle import tool_versions
from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.model_config import S2DConfig
from s2d_edge.contracts.names import name_of
from s2d_edge.contracts.runs import RunInfo, read_run
from s2d_edge.model.initialise import initialise_encoder
from s2d_edge.model.mae import MaskedAutoencoder
from s2d_edge.train.context import Context
from s2d_edge.train.plan.plan import PRETRAIN_STAGE, Plan
from s2d_edge.train.pretrain.step import PretrainJob
from s2d_edge.train.pretrain.training import Pretraining
from s2d_edge.train.record.progress import Snapshot
from s2d_edge.train.stages import identity, mixed_precision
from s2d_edge.train.supply.supply import Supply


def pretrain(
    plan: Plan,
    supply: Supply,
    config: S2DConfig,
    init: Path | None,
    folder: Path,
    asked: Mapping[str, str],
    context: Context,
) -> None:
    """Pre-train the ViT of a model's size.

    Args:
        config: sizes of the video model.
        init: weights of a ViT to start from: a run folder or a plain ViT's file.
        folder: the run folder to write.
        asked: what was asked for, as :class:`s2d_edge.train.stages.Stages` takes it.

    Raises:
        KeyboardInterrupt: requested to stop; everything is saved and can be resumed.
    """
    torch.manual_seed(plan.settings.seed)  # weights that init lacks start from the seed
    model = MaskedAutoencoder(config.as_image(), plan.settings.pretrain.masked)
    if init is not None:
        for note in initialise_encoder(model.vit, config.vit, init):
            context.console.say(note)
    info = RunInfo(
        name=name_of(folder),
        stage=PRETRAIN_STAGE,
        labels=(),
        fps=plan.fps,
        crop=CropRecipe(size=config.vit.image_size, margin=plan.settings.margin),
        model=model.config,
        origin={"how": "trained", "data": supply.dataset.name, "init": "" if init is None else str(init)},
        settings=plan.as_record(),
        made_from={**asked, "init": None if init is None else identity(init)},
        tools=tool_versions("torch"),
    )
    _train(plan, supply, model, info, folder, None, context)


def resume_pretraining(
    plan: Plan, supply: Supply, info: RunInfo, snapshot: Snapshot, folder: Path, context: Context
) -> None:
    """Continue a pre-training from its snapshot."""
    model = MaskedAutoencoder(info.model, plan.settings.pretrain.masked)
    progress = snapshot.progress
    context.console.say(f"resuming {folder} in epoch {progress.epoch + 1} after step {progress.step}")
    _train(plan, supply, model, info, folder, snapshot, context)


def _train(
    plan: Plan,
    supply: Supply,
    model: MaskedAutoencoder,
    info: RunInfo,
    folder: Path,
    snapshot: Snapshot | None,
    context: Context,
) -> None:
    settings = plan.settings.pretrain
    clips = supply.clips(info.crop)
    if snapshot is None:
        info = replace(info, made_from=info.made_from | {"data": supply.account})
    encoder, decoder = (
        sum(weight.numel() for weight in part.parameters()) / 1e6 for part in (model.vit, model.decoder)
    )
    context.console.say(
        f"pretrain stage -> {folder}: a ViT of {encoder:.2f} M parameters, and a decoder of {decoder:.2f} M "
        f"for now, on {context.processes}"
    )
    training = Pretraining(
        PretrainJob(
            model=model.to(context.device),
            info=info,
            settings=settings,
            seed=plan.settings.seed,
            sets=supply.sets,
            train=supply.feed(clips.train, single_frames=True),
            val=supply.feed(clips.val, single_frames=True),
            folder=folder,
            context=context,
            amp=mixed_precision(plan.settings, context),
            snapshot_minutes=plan.settings.snapshot_minutes,
        )
    )
    if snapshot is not None:
        training.restore(snapshot)
    training.run()
    best = read_run(folder, encoder_ok=True).origin["best_epoch"]
    context.console.say(
        f"{folder} holds the weights of epoch {best}, the best on validation; next: s2d-edge train "
        f"--stage image --init {folder} --data DATA"
    )
