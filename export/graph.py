"""Graphs to be written: a fused module, and name, layout and shape of its inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from s2d_edge.contracts.bundle import Mode, TensorSpec
from s2d_edge.export.fuse import FusedS2D
from s2d_edge.export.step import FusedStep, ring_layout
from s2d_edge.model.s2d import S2D

_TORCH = {"uint8": torch.uint8, "int32": torch.int32, "float32": torch.float32}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    """A graph to be written.

    Attributes:
        module: fused, in evaluation mode; takes ``inputs`` in order and returns ``outputs`` in order.
        inputs: with static shapes.
        outputs: with static shapes.
        mode: ``window`` or ``stream``.
    """

    module: nn.Module
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    mode: Mode

    @property
    def examples(self) -> tuple[Tensor, ...]:
        """Zeros in the shapes of the inputs, to trace the module with."""
        return tuple(torch.zeros(spec.shape, dtype=_TORCH[spec.dtype]) for spec in self.inputs)


def window_graph(model: S2D, fused: FusedS2D | None = None) -> Graph:
    """Graph from a clip to its logits; ``fused`` as in :func:`step_graph`."""
    config = model.config
    size = config.vit.image_size
    clip = TensorSpec(
        name="clip",
        layout="BTHWC",
        shape=(1, config.frames, size, size, 3),
        dtype="uint8",
        colour="RGB",
        range=(0.0, 255.0),
    )
    module = FusedS2D(model) if fused is None else fused
    return Graph(module=module, inputs=(clip,), outputs=(_logits(model),), mode="window")


def step_graph(model: S2D, *, in_place: bool, fused: FusedS2D | None = None) -> Graph:
    """Graph from a frame and the state to its logits and the new slot of every ring.

    Args:
        in_place: the runtime writes a new slot into its ring while the graph runs: rings of T slots, one of
            which is always masked, each a block of memory. Otherwise the host copies it after the step, T - 1
            slots suffice, and their layout is the one the attention reads.
        fused: an earlier fusion of ``model``, whose weights may have changed since; None fuses it now.

    Raises:
        ConfigError: the model is not causal.
    """
    module = FusedStep(model, in_place=in_place, fused=fused)
    config = model.config
    assert config.temporal is not None
    slots = config.frames if in_place else config.frames - 1
    size, width, heads = config.vit.image_size, config.vit.width, config.temporal.heads
    patches = config.vit.grid**2
    frame = TensorSpec(
        name="frame", layout="BHWC", shape=(1, size, size, 3), dtype="uint8", colour="RGB", range=(0.0, 255.0)
    )
    age = TensorSpec(name="age", layout="S", shape=(slots,), dtype="int32")
    sizes = {"S": slots, "N": patches, "A": heads, "C": config.bottleneck // heads, "D": width}
    layout = ring_layout(config, in_place=in_place)
    rings, new = [_tensor("classes", "SD", sizes)], [_tensor("class", "SD", sizes | {"S": 1})]
    for layer in range(config.vit.depth):
        for kind in ("key", "value"):
            rings.append(_tensor(f"{kind}s.{layer}", layout, sizes))
            new.append(_tensor(f"{kind}.{layer}", layout, sizes | {"S": 1}))
    return Graph(module=module, inputs=(frame, age, *rings), outputs=(_logits(model), *new), mode="stream")


def _logits(model: S2D) -> TensorSpec:
    return TensorSpec(name="logits", layout="BK", shape=(1, model.config.classes), dtype="float32")


def _tensor(name: str, layout: str, sizes: Mapping[str, int]) -> TensorSpec:
    return TensorSpec(name=name, layout=layout, shape=tuple(sizes[axis] for axis in layout), dtype="float32")
