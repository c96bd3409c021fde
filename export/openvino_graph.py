"""The fused model as OpenVINO IR, weights uncompressed."""

from __future__ import annotations

import warnings
from pathlib import Path

import openvino as ov
import torch

from s2d_edge.core.openvino_core import save_graph
from s2d_edge.export.graph import Graph


def write_openvino(source: Graph, path: Path) -> None:
    """Write ``source`` to ``path`` (``model.xml``) and its weights beside it.

    Converted from PyTorch directly, not through ONNX, so attention becomes OpenVINO's own operator.
    """
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the tracer's, about shapes that are constant here
        graph = ov.convert_model(
            source.module,
            example_input=source.examples,
            input=[ov.PartialShape(list(spec.shape)) for spec in source.inputs],
        )
    for number, spec in enumerate(source.inputs):
        graph.input(number).set_names({spec.name})
    for number, spec in enumerate(source.outputs):
        graph.output(number).set_names({spec.name})
    save_graph(graph, path)  # compressed to FP16, the default, it would not have the parity that is promised
