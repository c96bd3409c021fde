"""Measure the cost of each group of linears and convolutions in INT8 alone, with all others in FP32.

Both graphs are joined to one. It holds every quantized layer twice, as the INT8 graph has it (smoothed, with
its quantizers and its corrected bias) and as the FP32 graph has it. A switch selects one of the two outputs.
With every switch off it computes the FP32 graph, with every switch on the INT8 graph. It is compiled once for
all groups.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from s2d_edge.calibrate.graphs.feeds import Feed, feeds_of
from s2d_edge.calibrate.graphs.int8_macs import Layer, layers_of
from s2d_edge.calibrate.graphs.modules import module_of
from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.engine import Clip, Logits
from s2d_edge.core.console import Console

_AFFORDABLE_MACS = 10**12
_MOST_CLIPS = 4

# Patterns of a layer's module, and the group it is counted in.
_GROUPS = (
    (r"(landmark\.\w+\.model\.\d+|landmark\.\w+)", r"\1"),
    (r"(blocks\.\d+)\.attention", r"\1.qkv"),
    (r"(blocks\.\d+\.\w+)", r"\1"),
    (r"(promptings\.\d+)\.(?:prompter|to_prompt)\b", r"\1.prompter"),
    (r"(promptings\.\d+)\.(?:time|mix_up)\b", r"\1.adapter"),
    (r"times\.(\d+)\b", r"promptings.\1.adapter"),  # of a stream's step
    (r"(promptings\.\d+\.\w+)", r"\1"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSensitivity:
    """Cost of one group of layers.

    Attributes:
        name: of the group: ``blocks.3.fc1``, ``promptings.3.adapter``, ``landmark.conv_34``, ``head``, …
        layers: names of its linears and convolutions in the graph, as NNCF ignores them.
        macs: its multiply-accumulates for one prediction.
        rms_logit_diff: root mean square, over feeds and classes, of the logits' difference from those of FP32
            when this group alone is INT8.
    """

    name: str
    layers: tuple[str, ...]
    macs: PositiveInt
    rms_logit_diff: float


class Switched(Protocol):
    """A graph whose quantized layers can be switched between FP32 and INT8."""

    def infer(self, feed: Feed, int8: NDArray[np.bool_]) -> Logits:
        """Compute the logits with the chosen groups in INT8.

        Args:
            feed: the graph's inputs by name.
            int8: (groups,) bool.

        Returns:
            (1, K) float32 logits.
        """
        ...


def layer_sensitivity(
    fp32: Bundle, int8: Bundle, clips: Sequence[Clip], console: Console
) -> tuple[LayerSensitivity, ...]:
    """Measure on the CPU the cost of each group of INT8 layers alone.

    Args:
        fp32: the bundle that was quantized.
        int8: the quantized bundle.
        clips: (1, T, S, S, 3) uint8 each; for a stream some steps of each, with the state FP32 has there.

    Returns:
        The most costly group first.

    Raises:
        QuantizationError: the INT8 graph is not the FP32 graph with quantizers around its layers.
    """
    groups = quantized_groups(int8.graph_path)
    graph = _switched(fp32, int8, {name: [layer.name for layer in group] for name, group in groups.items()})
    alone = np.eye(len(groups), dtype=np.bool_)
    with feeds_of(fp32, clips) as feeds:
        squares = np.zeros(len(groups))
        with console.progress("measuring layers", len(feeds) * len(groups)) as advance:
            for feed in feeds:
                target = graph.infer(feed, np.zeros(len(groups), dtype=np.bool_))
                for number, switches in enumerate(alone):
                    squares[number] += np.mean((graph.infer(feed, switches) - target) ** 2)
                    advance(1)
        distances = np.sqrt(squares / len(feeds))
    measured = [
        LayerSensitivity(
            name=name,
            layers=tuple(layer.name for layer in group),
            macs=sum(layer.macs for layer in group),
            rms_logit_diff=float(distance),
        )
        for (name, group), distance in zip(groups.items(), distances, strict=True)
    ]
    return tuple(sorted(measured, key=lambda one: one.rms_logit_diff, reverse=True))


def affordable_clips(graph: Path) -> int:
    """Return the number of clips on which measuring an INT8 graph's layers takes little time; at least one.

    Every group is one more inference, so the number falls with groups and with MACs per prediction.
    """
    groups = quantized_groups(graph)
    macs = sum(layer.macs for group in groups.values() for layer in group)
    return int(np.clip(_AFFORDABLE_MACS // max(macs * len(groups), 1), 1, _MOST_CLIPS))


def quantized_groups(graph: Path) -> dict[str, list[Layer]]:
    """Return the INT8 linears and convolutions of a graph by group, in the graph's order."""
    groups: dict[str, list[Layer]] = {}
    for layer in layers_of(graph):
        if layer.int8:
            groups.setdefault(group_of(module_of(layer.name)), []).append(layer)
    return groups


def group_of(module: str) -> str:
    """Return the group of a layer from the module it comes from; the module itself for other models."""
    module = module.removeprefix("parts.")  # a stream's step holds the fused model's parts
    for pattern, group in _GROUPS:
        found = re.search(rf"(?:^|\.){pattern}", module)
        if found:
            return found.expand(group)
    return module


def _switched(fp32: Bundle, int8: Bundle, groups: Mapping[str, Sequence[str]]) -> Switched:
    if int8.graph_path.suffix == ".onnx":
        from s2d_edge.calibrate.graphs.onnx_switches import SwitchedOnnx

        return SwitchedOnnx(fp32.graph_path, int8.graph_path, list(groups.values()))
    from s2d_edge.calibrate.graphs.openvino_switches import SwitchedOpenVINO

    return SwitchedOpenVINO(
        fp32.graph_path, int8.graph_path, list(groups.values()), int8.manifest.execution.get("cpu", {})
    )
