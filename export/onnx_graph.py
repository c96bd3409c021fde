"""A fused model as an ONNX graph."""

from __future__ import annotations

import ast
import logging
import warnings
from pathlib import Path

import onnx
import torch

from s2d_edge.core.errors import S2DEdgeError
from s2d_edge.export.graph import Graph
from s2d_edge.lint.onnx_rules import IR_VERSION

OPSET = 18  # ≥ 17 for LayerNormalization; 18 is the oldest the exporter writes without conversion
_SCOPES = "pkg.torch.onnx.name_scopes"  # the exporter's list of the modules around a node, and the node
_PROTOBUF_LIMIT = 2**31 - 1  # bytes; beyond it a graph cannot be one file


def write_onnx(source: Graph, path: Path) -> None:
    """Write ``source`` to ``path``.

    Raises:
        S2DEdgeError: the graph came out over 2 GiB.
    """
    graph = _trace(source)
    graph.ir_version = IR_VERSION
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
    _name_after_modules(model)
    return model


def _name_after_modules(model: onnx.ModelProto) -> None:
    """Name each node MODULE/NODE, as OpenVINO's graphs do, in place.

    The exporter's notes, of which this is all that anybody here reads, are a third of a small graph's bytes.
    """
    for node in model.graph.node:
        scopes = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), "[]")
        modules = [module for module in ast.literal_eval(scopes)[:-1] if module]
        if modules:
            node.name = f"{modules[-1]}/{node.name}"
        del node.metadata_props[:]
