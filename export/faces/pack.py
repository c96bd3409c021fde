"""Write a face pack: MediaPipe's graphs in ONNX, checked against its own files, with their notice."""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib import metadata
from pathlib import Path

import numpy as np

from s2d_edge.contracts.bundle import FaceRecord, copy_face_pack
from s2d_edge.core.caches import cache_folder
from s2d_edge.core.errors import S2DEdgeError
from s2d_edge.core.files import sha256_of, whole_folder, write_text
from s2d_edge.core.json_files import read_json
from s2d_edge.core.openvino_core import openvino_core
from s2d_edge.core.scratch import sweep
from s2d_edge.export.faces.drawn import drawn_faces
from s2d_edge.export.faces.onnx_faces import as_onnx
from s2d_edge.export.faces.tflite_graph import TFLiteGraph
from s2d_edge.firmware_host.engines.face_runtime import face_runtime_on_cpu
from s2d_edge.firmware_host.selftest.faces import write_face_self_test
from s2d_edge.media.faces.graphs import FaceFiles, has_mediapipe, installed_files, shipped_pack

# Part of the key under which packs are kept: raise it when a pack is made in another way.
PACK_VERSION = 2
FOLDER = "face"
GRAPHS = ("near", "far", "mesh")
_RECORD = "record.json"
_NOTICE = """\
The graphs in this folder find faces and their points. They were rewritten in ONNX from the files
{files}
of the package mediapipe {version}, Copyright The MediaPipe Authors, under the Apache License, Version 2.0:
https://www.apache.org/licenses/LICENSE-2.0
Their numbers are unchanged.
"""
# Outputs of a graph and of its ONNX form may differ by so much of the largest number: sums round otherwise.
TOLERANCE = 1e-5


def write_pack(folder: Path) -> FaceRecord:
    """Write the pack of the installed MediaPipe into a bundle that is being written.

    A pack is made once and kept in the user's cache folder. Where MediaPipe is missing, that of the starter
    is copied, if this installation holds one.

    Args:
        folder: the bundle's; the pack is put into ``face/`` there.

    Raises:
        MissingExtraError: MediaPipe is not installed, and no pack is there.
        ConfigError: its graphs are of a kind that is not known.
        S2DEdgeError: a rewritten graph's numbers are not those of MediaPipe's file.
    """
    shipped = None if has_mediapipe() else shipped_pack()
    copied = None if shipped is None else copy_face_pack(shipped, folder)
    if copied is not None:
        return copied
    files = installed_files()
    kept = cache_folder() / "faces" / _key(files)
    sweep(kept.parent, "[0-9a-f]{32}")
    record = _sound_record(kept)
    if record is None:
        with whole_folder(kept, shared=True) as scratch:
            record = _make(scratch, files)
            hashes = {name: sha256_of(scratch / name) for name in record.files}
            about = {"record": record.model_dump(), "sha256": hashes}
            write_text(scratch / _RECORD, json.dumps(about, indent=2) + "\n")
    shutil.copytree(kept / FOLDER, folder / FOLDER)
    return record


def _key(files: FaceFiles) -> str:
    """A key of everything that a pack depends on."""
    parts = [f"{PACK_VERSION} {metadata.version('mediapipe')}"]
    parts += [f"{name} {sha256_of(getattr(files, name))}" for name in GRAPHS]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _sound_record(kept: Path) -> FaceRecord | None:
    """Return the record of a pack that was kept; None where it is missing or damaged."""
    try:
        about = read_json(kept / _RECORD, S2DEdgeError, "")
        record = FaceRecord.model_validate(about["record"])
        sound = all(sha256_of(kept / name) == about["sha256"][name] for name in record.files)
    except (S2DEdgeError, OSError, KeyError, ValueError):
        return None
    return record if sound else None


def _make(folder: Path, files: FaceFiles) -> FaceRecord:
    pack = folder / FOLDER
    pack.mkdir()
    for name in GRAPHS:
        (pack / f"{name}.onnx").write_bytes(_rewritten(name, getattr(files, name)))
    version = metadata.version("mediapipe")
    listed = "\n".join(f"  {'/'.join(getattr(files, name).parts[-2:])}" for name in GRAPHS)
    (pack / "NOTICE.txt").write_text(_NOTICE.format(files=listed, version=version), encoding="utf-8")
    near, far, mesh = (f"{FOLDER}/{name}.onnx" for name in GRAPHS)
    record = FaceRecord(
        near=near,
        far=far,
        mesh=mesh,
        source=f"mediapipe {version}",
        licence="Apache-2.0",
        notice=f"{FOLDER}/NOTICE.txt",
    )
    return write_face_self_test(folder, record, drawn_faces(), face_runtime_on_cpu("model.xml"))


def _rewritten(name: str, source: Path) -> bytes:
    """Return a graph in ONNX, compared with its file.

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
