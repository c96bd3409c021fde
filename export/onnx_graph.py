"""A fused model as an ONNX graph."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import onnx
import torch

from export.graph import Graph
from s2d_edge.errors import S2DEdgeError

OPSET = 18  # ≥ 17 for LayerNormalization; 18 is the oldest the exporter writes without conversion
_PROTOBUF_LIMIT = 2**31 - 1  # bytes; beyond it a graph cannot be one file


def write_onnx(source: Graph, path: Path) -> None:
    """Write ``source`` to ``path``.

    Raises:
        S2DEdgeError: the graph came out over 2 GiB.
    """
    graph = _trace(source)
    if graph.ByteSize() > _PROTOBUF_LIMIT:
        raise S2DEdgeError(
            f"the graph has {graph.ByteSize() / 2**30:.1f} GiB, more than the 2 GiB of one ONNX file; "
            "choose a smaller model"
        )
    onnx.save_model(graph, path)
    onnx.checker.check_model(str(path))


def _trace(source: Graph) -> onnx.ModelProto:
    # The exporter reports its optional packages and its folding on the logs: nothing a user can act on.
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                source.module,
                source.examples,
                input_names=[spec.name for spec in source.inputs],
                output_names=[spec.name for spec in source.outputs],
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    finally:
        logging.disable(previous)
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]  # where in the source a node came from: a third of a small graph's bytes
    return model
