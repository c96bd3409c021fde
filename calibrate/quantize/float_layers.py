"""Which linears and convolutions an INT8 graph keeps in floating point, whatever its target.

Little work that costs the logits much (docs/measured/ has the figures):

- depthwise convolutions and the landmark network's first one: a depthwise one sums nine products only, so
  errors do not average out, and every prompt hangs on the faint edges they see;
- the head: one vector by a few classes, and nothing after it that would average its errors out;
- of the landmark network, which is most of what INT8 costs, as much as is cheap: all of it in large models,
  in smaller ones the two bottlenecks that halve the map.
"""

from __future__ import annotations

import re
from pathlib import Path

from s2d_edge.calibrate.graphs.int8_macs import layers_of
from s2d_edge.calibrate.graphs.modules import module_of
from s2d_edge.calibrate.quantize.recipe import Int8Landmark, Recipe

_CHEAP = 0.05  # share of the MACs

# Modules by what of the landmark network is INT8, the dearest first; a stream's modules begin with "parts.".
_FLOAT: dict[Int8Landmark, re.Pattern[str]] = {
    "none": re.compile(r"(?:^|\.)(?:head$|landmark\.)"),
    "chains": re.compile(r"(?:^|\.)(?:head$|landmark\.(?:conv1|conv_23|conv_34)\.)"),
    "all": re.compile(r"(?:^|\.)(?:head$|landmark\.conv1\.)"),
}


def layers_in_float(graph: Path, recipe: Recipe) -> list[str]:
    """Names of those operations of an FP32 graph.

    Args:
        graph: whose operations are named after the modules that made them, as export does.
    """
    kept = _FLOAT[recipe.int8_landmark]
    return [layer.name for layer in layers_of(graph) if layer.depthwise or kept.search(module_of(layer.name))]


def affordable_landmark(graph: Path) -> Int8Landmark:
    """What of the landmark network is to be INT8, for the rest to be 5 % of an FP32 graph's MACs at most."""
    layers = list(layers_of(graph))
    affordable = _CHEAP * sum(layer.macs for layer in layers)
    for landmark, kept in _FLOAT.items():
        if sum(layer.macs for layer in layers if kept.search(module_of(layer.name))) <= affordable:
            return landmark
    return "all"
