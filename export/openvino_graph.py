"""The fused model as OpenVINO IR: static, weights uncompressed."""

from __future__ import annotations

import warnings
from pathlib import Path

import openvino as ov
import torch

from export.fuse import FusedS2D
from export.onnx_graph import INPUT, OUTPUT
from s2d_edge.errors import S2DEdgeError


def write_openvino(model: FusedS2D, clip: torch.Tensor, path: Path) -> None:
    """Write ``model`` to ``path`` (``model.xml``) and its weights beside it.

    Straight from PyTorch rather than through ONNX: attention arrives as OpenVINO's own operator.

    Args:
        clip: (1, T, H, W, 3) uint8, gives the static shape.

    Raises:
        S2DEdgeError: the graph came out with a dynamic dimension, which an NPU refuses.
    """
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # of the tracer, about shapes that are constant here
        graph = ov.convert_model(model, example_input=clip, input=[ov.PartialShape(list(clip.shape))])
    graph.input(0).set_names({INPUT})
    graph.output(0).set_names({OUTPUT})
    dynamic = [op.get_friendly_name() for op in graph.get_ops() if _is_dynamic(op)]
    if dynamic:
        raise S2DEdgeError(
            f"{len(dynamic)} operations came out dynamic, {dynamic[0]} first; an NPU needs static"
        )
    # FP16 compression is the default; it would cost the parity this bundle promises.
    ov.save_model(graph, path, compress_to_fp16=False)


def _is_dynamic(op: ov.Node) -> bool:
    return any(output.get_partial_shape().is_dynamic for output in op.outputs())
