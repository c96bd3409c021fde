"""Choose the linears and convolutions that an INT8 graph keeps in floating point, on every target.

They are few MACs with large errors of the logits (docs/measured/ has the figures):

- depthwise convolutions and the landmark network's first one: a depthwise one sums nine products only, so
  errors do not average out, and every prompt depends on the weak edges they detect;
- the head: one vector by a few classes, and nothing after it that would average its errors out;
- of the landmark network, which causes most of the loss, as much as is cheap: all of it in large models, in
  smaller ones the two bottlenecks that halve the map.

In the smallest models the first two kinds alone are more than the tenth of the MACs that may stay. The last
of them are quantized anyway then.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from s2d_edge.calibrate.graphs.int8_macs import LEAST_FRACTION, Layer, layers_of
from s2d_edge.calibrate.graphs.modules import module_of
from s2d_edge.calibrate.quantize.recipe import Int8Landmark, Recipe

_CHEAP = 0.05  # share of the MACs

# Modules by the INT8 part of the landmark network, the most costly first; a stream's begin with "parts.".
_FLOAT: dict[Int8Landmark, re.Pattern[str]] = {
    "none": re.compile(r"(?:^|\.)(?:head$|landmark\.)"),
    "chains": re.compile(r"(?:^|\.)(?:head$|landmark\.(?:conv1|conv_23|conv_34)\.)"),
    "all": re.compile(r"(?:^|\.)(?:head$|landmark\.conv1\.)"),
}

_FIRST = re.compile(r"(?:^|\.)landmark\.conv1\.")


def layers_in_float(graph: Path, recipe: Recipe) -> list[str]:
    """Name these operations of an FP32 graph.

    Args:
        graph: its operations are named after their modules, as export does.
    """
    fixed, others = _kept(list(layers_of(graph)), recipe.int8_landmark)
    return [layer.name for layer in (*fixed[: len(fixed) - recipe.quantized_anyway], *others)]


def quantized_anyway(graph: Path, landmark: Int8Landmark) -> int:
    """Count the layers, from the last, that must be quantized for enough of an FP32 graph to become INT8.

    See :attr:`s2d_edge.calibrate.quantize.recipe.Recipe.quantized_anyway`.
    """
    layers = list(layers_of(graph))
    fixed, others = _kept(layers, landmark)
    spare = (1 - LEAST_FRACTION) * sum(layer.macs for layer in layers) - sum(layer.macs for layer in others)
    count = 0
    while count < len(fixed) and sum(layer.macs for layer in fixed[: len(fixed) - count]) > spare:
        count += 1
    return count


def _kept(layers: Sequence[Layer], landmark: Int8Landmark) -> tuple[list[Layer], list[Layer]]:
    """Return the layers that stay in floating point: those that may be quantized anyway, and the others.

    The former are the landmark network's first convolution, then the depthwise ones in the graph's order.
    """
    kept = [each for each in layers if not each.depthwise and _FLOAT[landmark].search(module_of(each.name))]
    first = [layer for layer in kept if _FIRST.search(module_of(layer.name))]
    fixed = [*first, *(layer for layer in layers if layer.depthwise)]
    return fixed, [layer for layer in kept if layer not in first]


def affordable_landmark(graph: Path) -> Int8Landmark:
    """Choose the INT8 part of the landmark network, so that the rest is at most 5 % of a graph's MACs."""
    layers = list(layers_of(graph))
    affordable = _CHEAP * sum(layer.macs for layer in layers)
    for landmark, kept in _FLOAT.items():
        if sum(layer.macs for layer in layers if kept.search(module_of(layer.name))) <= affordable:
            return landmark
    return "all"
