"""Initial weights of a training: those of a run folder, or of a plain ViT in timm's key names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from s2d_edge.contracts.model_config import PRESETS, S2DConfig, ViTConfig
from s2d_edge.contracts.runs import WEIGHTS, read_run, verify_weights
from s2d_edge.core.errors import CheckpointError
from s2d_edge.model.checkpoint import Tensors, load_run, load_strictly, read_tensors
from s2d_edge.model.s2d import S2D
from s2d_edge.model.vit import ViT

FRESH_ADAPTERS = "temporal adapters start fresh"
MADE_CAUSAL = "the adapters become causal: ages take the place of the temporal embedding, whose mean stays"
_TEMPORAL = ("adapters.", "temporal_embedding")
_ENCODER = "vit."  # what a run's ViT is called within it
_VIT_KEY = "blocks.0.attn.qkv.weight"
_BLOCK = re.compile(r"^blocks\.\d+\.attn\.qkv\.weight$", re.MULTILINE)
# Parts of timm and MAE checkpoints that S2D does not have.
_VIT_IGNORED = ("head.", "fc_norm.", "mask_token", "decoder_", "head_dist.", "pre_logits.")


def initialise(model: S2D, source: Path, labels: Sequence[str] | None = None) -> tuple[str, ...]:
    """Load into ``model`` all weights of ``source`` that it has.

    Args:
        model: the model to start; changed in place.
        source: a run folder (its image or video model, or the encoder of a pre-training), or a plain ViT's
            ``.safetensors`` or ``.pth``.
        labels: of the model's logits, in order. The head of a run with other labels is not loaded, unless
            each label is one of the run's or a kind of one, as ``happiness-onset`` is of ``happiness``:
            then each class starts from the sum of the run's class and its fresh weights.

    Returns:
        Notes on the weights that were loaded and on those that start fresh, one sentence each.

    Raises:
        CheckpointError: nothing usable at ``source``, or sizes that differ, named key by key.
    """
    if source.is_dir() and read_run(source, encoder_ok=True).stage != "pretrain":
        return _from_run(model, source, labels)
    return (
        *initialise_encoder(model.vit, model.config.vit, source),
        "prompters, adapters and head start fresh",
    )


def initialise_encoder(vit: ViT, sizes: ViTConfig, source: Path) -> tuple[str, ...]:
    """Load a ViT alone, from whatever holds one.

    Args:
        vit: changed in place.
        sizes: its sizes.
        source: a run folder of any stage, or a plain ViT's ``.safetensors`` or ``.pth``.

    Returns:
        Notes on what was taken, one sentence each.

    Raises:
        CheckpointError: nothing usable at ``source``, or sizes that differ.
    """
    return _encoder_of_run(vit, sizes, source) if source.is_dir() else _from_vit(vit, sizes, source)


def _encoder_of_run(vit: ViT, sizes: ViTConfig, source: Path) -> tuple[str, ...]:
    info = read_run(source, encoder_ok=True)
    verify_weights(source, info)
    here, there = (replace(each, image_size=each.patch_size) for each in (sizes, info.model.vit))
    if here != there:
        differing = [
            f"vit.{name} {value} there, {asdict(here)[name]} here"
            for name, value in asdict(there).items()
            if value != asdict(here)[name]
        ]
        raise CheckpointError(
            f"--init {source} does not fit the model: {'; '.join(differing)}. Leave --model out to keep its "
            "sizes, or start from weights of these"
        )
    every = read_tensors(source / WEIGHTS)
    tensors = {name.removeprefix(_ENCODER): each for name, each in every.items() if name.startswith(_ENCODER)}
    notes = [
        f"took the ViT of {source}, {len(tensors)} of its {len(every)} tensors: vit.patch_embed, "
        f"vit.cls_token, vit.pos_embed, vit.blocks.0 to {sizes.depth - 1} and vit.norm"
    ]
    notes += _fit_positions(tensors, "pos_embed", sizes.grid)
    load_strictly(vit, tensors, str(source))
    return tuple(notes)


def _from_run(model: S2D, source: Path, labels: Sequence[str] | None) -> tuple[str, ...]:
    given, info = load_run(source)
    _require_sizes(model.config, given.config, source)
    tensors = dict(given.state_dict())
    fresh = model.state_dict()
    notes = [f"started from the weights of {source}"]
    if model.adapters and not given.adapters:
        tensors |= {name: value for name, value in fresh.items() if name.startswith(_TEMPORAL)}
        notes.append(FRESH_ADAPTERS)
    elif model.config.causal and not given.config.causal:
        times = tensors.pop("temporal_embedding").mean(dim=1)  # (1, 1, D)
        tensors["vit.pos_embed"] = tensors["vit.pos_embed"] + times
        tensors |= {name: value for name, value in fresh.items() if name.endswith(".age_bias")}
        notes.append(MADE_CAUSAL)
    elif model.adapters and given.config.causal and not model.config.causal:
        raise CheckpointError(
            f"{source} is a causal model, which has no times of frames for a bidirectional one; start from "
            "an image run, or train with --temporal causal"
        )
    elif given.adapters and not model.adapters:
        tensors = {name: value for name, value in tensors.items() if not name.startswith(_TEMPORAL)}
        notes.append("temporal adapters were left out")
    notes += _fit_positions(tensors, "vit.pos_embed", model.config.vit.grid)
    if given.config.grey != model.config.grey:
        seen, sees = ("luma" if each.grey else "colours" for each in (given.config, model.config))
        notes.append(f"it was trained on {seen}; this training uses {sees}")
    other_labels = labels is not None and tuple(labels) != info.labels
    if other_labels or given.head.weight.shape != model.head.weight.shape:
        rows = _parents(labels or (), info.labels)
        for name in ("head.weight", "head.bias"):
            tensors[name] = tensors[name][rows] + fresh[name] if rows else fresh[name]
        notes.append(
            f"the head starts {'from its and fresh weights' if rows else 'fresh'}: {given.config.classes} "
            f"classes there ({', '.join(info.labels)}), {model.config.classes} here"
        )
    load_strictly(model, tensors, str(source))
    return tuple(notes)


def _parents(labels: Sequence[str], known: Sequence[str]) -> list[int]:
    """Index of the known class of each label: the class itself, or the one the label is a kind of.

    Empty where a label has no such class, or where all are known: then only their order or number differs.
    """
    classes = [label if label in known else label.rpartition("-")[0] for label in labels]
    if set(labels) <= set(known) or not set(classes) <= set(known):
        return []
    return [known.index(name) for name in classes]


def _require_sizes(wanted: S2DConfig, given: S2DConfig, source: Path) -> None:
    """Check that a run's weights fit a model, but for picture, labels and times, which may differ."""
    here, there = _sizes(wanted), _sizes(given)
    differing = [
        f"{name} {there[name]} there, {size} here"
        for name, size in here.items()
        if there.get(name, size) != size
    ]
    if differing:
        raise CheckpointError(
            f"--init {source} does not fit the model: {'; '.join(differing)}. Leave --model and --landmark "
            "out to keep its sizes, or start from weights of these"
        )


def _sizes(config: S2DConfig) -> dict[str, object]:
    """The sizes that weights depend on, but for the picture's."""
    sizes: dict[str, object] = {f"vit.{name}": size for name, size in asdict(config.vit).items()}
    del sizes["vit.image_size"]
    sizes |= {f"landmark.{name}": size for name, size in asdict(config.landmark).items()}
    if config.temporal is not None:
        sizes |= {"temporal.ratio": config.temporal.ratio, "temporal.heads": config.temporal.heads}
    return sizes | {"prompt_width": config.prompt_width}


def _from_vit(vit: ViT, sizes: ViTConfig, source: Path) -> tuple[str, ...]:
    tensors: Tensors = {
        name: value.to(torch.float32)
        for name, value in _vit_of(read_tensors(source), source).items()
        if not name.startswith(_VIT_IGNORED)
    }
    _require_vit_sizes(sizes, tensors, source)
    notes = [f"started the ViT from {source}"]
    if "norm.weight" not in tensors:
        fresh = vit.norm.state_dict()
        tensors |= {f"norm.{name}": value for name, value in fresh.items()}
        notes.append("the file has no last norm: it starts fresh")
    notes += _fit_positions(tensors, "pos_embed", sizes.grid)
    load_strictly(vit, tensors, str(source))
    return tuple(notes)


def _vit_of(tensors: Tensors, source: Path) -> Tensors:
    """The ViT's tensors in a checkpoint, under timm's names, whatever they are within (``backbone.``)."""
    if any(name.startswith("prompt_blocks.") for name in tensors):
        raise CheckpointError(
            f"--init {source} is an official S2D checkpoint; make a run of it with 's2d-edge import {source} "
            "--landmark FILE --labels NAMES', and give --init that run"
        )
    if any(name.startswith("prompters.") for name in tensors):
        raise CheckpointError(
            f"--init {source} is the weights of a run; give --init the run's folder, {source.parent}"
        )
    within = [name.removesuffix(_VIT_KEY) for name in tensors if name.endswith(_VIT_KEY)]
    whole = [prefix for prefix in within if f"{prefix}pos_embed" in tensors]
    if not whole:
        some = ", ".join(list(tensors)[:3])
        raise CheckpointError(
            f"--init {source} is not a ViT in timm's key names: it has no pos_embed and {_VIT_KEY}, but "
            f"{some}; give a run's folder, or a plain ViT's weights"
        )
    prefix = min(whole, key=len)  # a teacher or an average may lie beside the model itself
    return {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}


def _require_vit_sizes(wanted: ViTConfig, tensors: Tensors, source: Path) -> None:
    width, depth = tensors["pos_embed"].shape[-1], len(_BLOCK.findall("\n".join(tensors)))
    patch = tensors["patch_embed.proj.weight"].shape[-1] if "patch_embed.proj.weight" in tensors else None
    given = (width, depth, patch)
    if given != (wanted.width, wanted.depth, wanted.patch_size):
        fitting = [
            name
            for name, sizes in PRESETS.items()
            if given == (sizes.vit.width, sizes.vit.depth, sizes.vit.patch_size)
        ]
        advice = f"give --model {' or '.join(fitting)}" if fitting else "no --model has these sizes"
        raise CheckpointError(
            f"--init {source} is a ViT of width {width}, depth {depth} and patches of {patch} pixels; the "
            f"model has width {wanted.width}, depth {wanted.depth} and patches of {wanted.patch_size}: "
            f"{advice}"
        )


def _fit_positions(tensors: Tensors, name: str, grid: int) -> list[str]:
    """Resample the position embedding to grid×grid patches if needed; returns a note if it did."""
    if tensors[name].shape[1] == 1 + grid**2:
        return []
    tensors[name] = resample_positions(tensors[name], grid)
    return [f"position embedding resampled to {grid}×{grid} patches"]


def resample_positions(embedding: Tensor, grid: int) -> Tensor:
    """Resample a square position embedding, bicubic: (1, 1 + n², D) -> (1, 1 + grid², D).

    Raises:
        CheckpointError: the embedding is not a class token and a square of patches.
    """
    side = round((embedding.shape[1] - 1) ** 0.5)
    if side * side != embedding.shape[1] - 1:
        raise CheckpointError(f"pos_embed of shape {tuple(embedding.shape)} is not a square grid of patches")
    patches = torch.unflatten(embedding[:, 1:], 1, (side, side)).permute(0, 3, 1, 2)  # (1, D, side, side)
    patches = F.interpolate(patches, (grid, grid), mode="bicubic", align_corners=False, antialias=True)
    return torch.cat((embedding[:, :1], patches.flatten(2).transpose(1, 2)), dim=1)
