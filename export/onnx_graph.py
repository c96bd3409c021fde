"""A fused model as an ONNX graph: every shape static, LayerNormalization as one operator."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
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
        S2DEdgeError: the graph came out with a dynamic shape, a spelled-out LayerNorm, or over 2 GiB.
    """
    graph = _trace(source)
    if graph.ByteSize() > _PROTOBUF_LIMIT:
        raise S2DEdgeError(
            f"the graph has {graph.ByteSize() / 2**30:.1f} GiB, more than the 2 GiB of one ONNX file; "
            "choose a smaller model"
        )
    _check(graph, norms=sum(isinstance(m, torch.nn.LayerNorm) for m in source.module.modules()))
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
    return program.model_proto


def _check(graph: onnx.ModelProto, norms: int) -> None:
    """What TensorRT needs of the graph.

    Raises:
        S2DEdgeError: naming what is wrong.
    """
    opset = max(entry.version for entry in graph.opset_import if entry.domain in ("", "ai.onnx"))
    if opset < 17:
        raise S2DEdgeError(f"the graph is of opset {opset}; LayerNormalization needs 17")
    for value in (*graph.graph.input, *graph.graph.output):
        if any(not axis.dim_value for axis in value.type.tensor_type.shape.dim):
            raise S2DEdgeError(f"{value.name} came out with a dynamic dimension; the graph must be static")
    kinds = Counter(node.op_type for node in graph.graph.node)
    if kinds["LayerNormalization"] < norms or kinds["ReduceMean"] > 1:
        raise S2DEdgeError("a LayerNorm came out spelled out in parts; TensorRT would overflow it in fp16")
