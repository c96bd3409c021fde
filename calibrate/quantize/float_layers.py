"""Choose the linears and convolutions that an INT8 graph keeps in floating point, on every target.

They are few MACs with large errors of the logits (docs/measured/ has the figures):

- depthwise convolutions and the landmark network's first one: a depthwise one sums nine products only, so
  errors do not average out, and every prompt depends on the weak edges they detect;
- the head: one vector by a few classes, and nothing after it that would average its errors out;
- of the landmark network, which causes most of the loss, as much as is cheap: all of it in large models, in
  smaller ones the two bottlenecks that halve the map.
"""

from __future__ import annotations

import re
from pathlib import Path

from s2d_edge.calibrate.graphs.int8_macs import layers_of
from s2d_edge.calibrate.graphs.modules import module_of
from s2d_edge.calibrate.quantize.recipe import Int8Landmark, Recipe

_CHEAP = 0.05  # share of the MACs

# Modules by the INT8 part of the landmark network, the most costly first; a stream's begin with "parts.".
_FLOAT: dict[Int8Landmark, re.Pattern[str]] = {
    "none": re.compile(r"(?:^|\.)(?:head$|landmark\.)"),
    "chains": re.compile(r"(?:^|\.)(?:head$|landmark\.(?:conv1|conv_23|conv_34)\.)"),
    "all": re.compile(r"(?:^|\.)(?:head$|landmark\.conv1\.)"),
}


def layers_in_float(graph: Path, recipe: Recipe) -> list[str]:
    """Name these operations of an FP32 graph.

    Args:
        graph: its operations are named after their modules, as export does.
    """
    kept = _FLOAT[recipe.int8_landmark]
    return [layer.name for layer in layers_of(graph) if layer.depthwise or kept.search(module_of(layer.name))]


def affordable_landmark(graph: Path) -> Int8Landmark:
    """Choose the INT8 part of the landmark network, so that the rest is at most 5 % of a graph's MACs."""
    layers = list(layers_of(graph))
    affordable = _CHEAP * sum(layer.macs for layer in layers)
    for landmark, kept in _FLOAT.items():
        if sum(layer.macs for layer in layers if kept.search(module_of(layer.name))) <= affordable:
            return landmark
    return "all"
