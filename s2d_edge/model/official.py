"""Official S2D checkpoints, converted: key names, sizes from shapes, the known exceptions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from s2d_edge.contracts.model_config import LandmarkConfig, S2DConfig, TemporalConfig, ViTConfig
from s2d_edge.core.errors import CheckpointError
from s2d_edge.model.checkpoint import Tensors, load_strictly, read_landmark, read_tensors
from s2d_edge.model.s2d import S2D

# Official name -> name in S2D, tried in order.
_RENAMES: tuple[tuple[str, str], ...] = (
    (r"^(cls_token|pos_embed|patch_embed\.proj|blocks\.)", r"vit.\1"),
    (r"^ln_post\.", "vit.norm."),
    (r"^patch_embed_prompt\.proj\.", "prompt_embed."),
    (r"^prompt_blocks\.(\d+)\.conv0_0\.", r"prompters.\1.from_tokens."),
    (r"^prompt_blocks\.(\d+)\.conv0_1\.", r"prompters.\1.from_prompt."),
    (r"^prompt_blocks\.(\d+)\.conv1x1\.", r"prompters.\1.to_prompt."),
    (r"^prompt_blocks\.(\d+)\.fovea\.smooth$", r"prompters.\1.smooth"),
    (r"^prompt_blocks\.(\d+)\.TMA\.T_Adapter\.D_fc1\.", r"adapters.\1.time_down."),
    (r"^prompt_blocks\.(\d+)\.TMA\.T_Adapter\.D_fc2\.", r"adapters.\1.time_up."),
    (r"^prompt_blocks\.(\d+)\.TMA\.T_Adapter\.attn\.", r"adapters.\1.time_attn."),
    (r"^prompt_blocks\.(\d+)\.TMA\.norm\.", r"adapters.\1.norm."),
    (r"^prompt_blocks\.(\d+)\.TMA\.S_Adapter\.D_fc1\.", r"adapters.\1.mix_down."),
    (r"^prompt_blocks\.(\d+)\.TMA\.S_Adapter\.D_fc2\.", r"adapters.\1.mix_up."),
    (r"^head\.fc_cls\.", "head."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedModel:
    """An official checkpoint, converted.

    Attributes:
        model: in evaluation mode.
        notes: on weights that were left out or made fresh, one sentence each.
        fresh_head: the checkpoint had no head for these labels.
    """

    model: S2D
    notes: tuple[str, ...] = field(default=())
    fresh_head: bool = False


def import_official(
    checkpoint: Path, landmark: Path, labels: Sequence[str], *, heads: int | None = None
) -> ImportedModel:
    """Build the model an official checkpoint was saved from, and load it.

    Args:
        checkpoint: image-stage or video-stage file of the official code.
        landmark: MobileFaceNet file the checkpoint was trained beside.
        labels: class names in the checkpoint's order.
        heads: attention heads of the ViT; D / 64 by default.

    Raises:
        CheckpointError: listing by name every key that is missing, unexpected or misshapen.
    """
    landmark_config, landmark_tensors = read_landmark(landmark)
    notes: list[str] = []
    tensors = _drop_known(read_tensors(checkpoint), notes)
    config = _infer_config(tensors, checkpoint, landmark_config, len(labels), heads)
    tensors = _fit_head(tensors, config, checkpoint, notes)
    tensors = _rename(tensors)
    model = S2D(config)
    fresh_head = "head.weight" not in tensors
    if fresh_head:
        tensors |= {"head.weight": model.head.weight.detach(), "head.bias": model.head.bias.detach()}
    tensors |= {f"landmark.{name}": value for name, value in landmark_tensors.items()}
    load_strictly(model, tensors, str(checkpoint))
    return ImportedModel(model=model.eval(), notes=tuple(notes), fresh_head=fresh_head)


def _drop_known(tensors: Tensors, notes: list[str]) -> Tensors:
    """Drop the landmark network that some checkpoints hold; rename the image stage's last norm."""
    embedded = [name for name in tensors if name.startswith("landmark")]
    if embedded:
        notes.append(f"left out {len(embedded)} landmark* keys: the landmark network comes from --landmark")
    kept = {name: value for name, value in tensors.items() if not name.startswith("landmark")}
    if "norm.weight" in kept and "ln_post.weight" not in kept:
        notes.append("read norm.* as ln_post.*, as image-stage checkpoints name it")
        kept = {re.sub(r"^norm\.", "ln_post.", name): value for name, value in kept.items()}
    return kept


def _infer_config(
    tensors: Tensors, source: Path, landmark: LandmarkConfig, classes: int, heads: int | None
) -> S2DConfig:
    """Read every size from the tensors' shapes; attention heads are in no shape."""
    try:
        width = tensors["cls_token"].shape[-1]
        patch_size = tensors["patch_embed.proj.weight"].shape[-1]
        patches = tensors["pos_embed"].shape[1] - 1
        hidden = tensors["blocks.0.mlp.fc1.weight"].shape[0]
        prompt_width = tensors["prompt_blocks.0.conv0_0.weight"].shape[0]
        channels = tensors["patch_embed_prompt.proj.weight"].shape[1]
    except KeyError as error:
        raise CheckpointError(f"{source} is not an official S2D checkpoint: it has no {error}") from None
    if channels != landmark.channels:
        raise CheckpointError(
            f"{source} was trained beside a landmark map of {channels} channels; "
            f"--landmark gives {landmark.channels}; give the file it was trained with"
        )
    if heads is None and width % 64:
        raise CheckpointError(
            f"{source} has width {width}, which is not a multiple of 64; "
            "give its number of heads with --heads"
        )
    grid = round(patches**0.5)
    if grid * grid != patches:
        raise CheckpointError(f"{source}: pos_embed covers {patches} patches, which is not a square grid")
    vit = ViTConfig(
        image_size=grid * patch_size,
        patch_size=patch_size,
        width=width,
        depth=len({name.split(".")[1] for name in tensors if name.startswith("blocks.")}),
        heads=width // 64 if heads is None else heads,
        mlp_ratio=hidden / width,
    )
    temporal, frames = None, 1
    down = tensors.get("prompt_blocks.0.TMA.T_Adapter.D_fc1.weight")
    embedding = tensors.get("temporal_embedding")
    if down is not None and embedding is not None:
        temporal, frames = TemporalConfig(ratio=down.shape[0] / width), embedding.shape[1]
    return S2DConfig(
        vit=vit,
        landmark=landmark,
        temporal=temporal,
        frames=frames,
        prompt_width=prompt_width,
        classes=classes,
    )


def _fit_head(tensors: Tensors, config: S2DConfig, source: Path, notes: list[str]) -> Tensors:
    """Bring the classifier under ``head.fc_cls``; an image stage's head for other classes is left out."""
    if config.temporal is not None:
        weight = tensors.get("head.fc_cls.weight")
        if weight is not None and weight.shape[0] != config.classes:
            raise CheckpointError(
                f"{source}: head.fc_cls.weight has {weight.shape[0]} classes, --labels names "
                f"{config.classes}; name every class of the checkpoint"
            )
        return tensors
    heads = {name: value for name, value in tensors.items() if name.startswith("head.")}
    rest = {name: value for name, value in tensors.items() if name not in heads}
    fitting = {
        f"head.fc_cls.{name.rpartition('.')[2]}": value
        for name, value in heads.items()
        if value.shape[0] == config.classes and value.shape[1:] in ((), (config.vit.width,))
    }
    if fitting.keys() == {"head.fc_cls.weight", "head.fc_cls.bias"} and len(heads) == 2:
        return rest | fitting
    found = ", ".join(f"{name} {tuple(value.shape)}" for name, value in heads.items()) or "none"
    notes.append(
        f"made a new head for {config.classes} classes (the checkpoint's: {found}): "
        "its predictions mean nothing until it is trained"
    )
    return rest


def _rename(tensors: Tensors) -> Tensors:
    renamed: Tensors = {}
    for name, value in tensors.items():
        for pattern, ours in _RENAMES:
            name, hits = re.subn(pattern, ours, name)
            if hits:
                break
        if value.ndim == 4 and value.shape[-2:] == (1, 1) and not name.startswith("vit."):
            value = value.flatten(1)  # a 1×1 convolution is a linear on tokens
        if name == "temporal_embedding":
            value = value.unsqueeze(2)  # (1, T, D) -> (1, T, 1, D)
        renamed[name] = value.to(torch.float32)
    return renamed
