"""Write a face pack: MediaPipe's graphs in ONNX, checked against its own files, with their notice."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np

from s2d_edge.contracts.bundle import FaceRecord
from s2d_edge.core.errors import S2DEdgeError
from s2d_edge.core.openvino_core import openvino_core
from s2d_edge.export.faces.onnx_faces import as_onnx
from s2d_edge.export.faces.tflite_graph import TFLiteGraph
from s2d_edge.media.faces.graphs import installed_files

FOLDER = "face"
GRAPHS = ("near", "far", "mesh")
_NOTICE = """\
The graphs in this folder find faces and their points. They were rewritten in ONNX from the files
{files}
of the package mediapipe {version}, Copyright The MediaPipe Authors, under the Apache License, Version 2.0:
https://www.apache.org/licenses/LICENSE-2.0
Their numbers are unchanged; float16 weights are stored as float32.
"""
# Outputs of a graph and of its ONNX form may differ by so much of the largest number: sums round otherwise.
TOLERANCE = 1e-5


def write_pack(folder: Path) -> FaceRecord:
    """Write the pack of the installed MediaPipe into a bundle that is being written.

    Args:
        folder: the bundle's; the pack is put into ``face/`` there.

    Raises:
        MissingExtraError: MediaPipe is not installed.
        ConfigError: its graphs are of a kind that is not known.
        S2DEdgeError: a rewritten graph's numbers are not those of MediaPipe's file.
    """
    files = installed_files()
    pack = folder / FOLDER
    pack.mkdir()
    for name in GRAPHS:
        (pack / f"{name}.onnx").write_bytes(_rewritten(name, getattr(files, name)))
    version = metadata.version("mediapipe")
    listed = "\n".join(f"  {'/'.join(getattr(files, name).parts[-2:])}" for name in GRAPHS)
    (pack / "NOTICE.txt").write_text(_NOTICE.format(files=listed, version=version), encoding="utf-8")
    return FaceRecord(
        **{name: f"{FOLDER}/{name}.onnx" for name in GRAPHS},
        source=f"mediapipe {version}",
        licence="Apache-2.0",
        notice=f"{FOLDER}/NOTICE.txt",
    )


@cache
def _rewritten(name: str, source: Path) -> bytes:
    """Return a graph in ONNX, made and compared once in a process.

    Raises:
        ConfigError: a graph of a kind that is not known.
        S2DEdgeError: its numbers are not those of MediaPipe's file.
    """
    outputs = ("points", "presence") if name == "mesh" else ("boxes", "scores")
    content: bytes = as_onnx(TFLiteGraph(source), f"face_{name}", outputs).SerializeToString()
    core, results = openvino_core(), []
    for model in (core.read_model(source), core.read_model(content)):
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        noise = np.random.default_rng(0).uniform(-1, 1, tuple(compiled.input(0).shape)).astype(np.float32)
        results.append(sorted(compiled([noise]).values(), key=lambda each: each.size))
    for wanted, found in zip(*results, strict=True):
        difference = float(np.abs(wanted - found).max())
        if not difference <= TOLERANCE * float(np.abs(wanted).max()):
            raise S2DEdgeError(
                f"{name}.onnx, rewritten from {source.name}, differs from it by {difference:.1e}; "
                "use the mediapipe of constraints.txt"
            )
    return content
