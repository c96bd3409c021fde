"""The face pack: graphs rewritten from TFLite, in bundles, and searched with on either runtime."""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import tflite
from PIL import Image

from s2d_edge import starter
from s2d_edge.contracts.bundle import FORMAT_VERSION, FaceRecord, Target, copy_face_pack, open_bundle, seal
from s2d_edge.core.console import Console
from s2d_edge.core.errors import BundleError, ConfigError, MissingExtraError, S2DEdgeError
from s2d_edge.core.openvino_core import openvino_core
from s2d_edge.data.preparing.clips import load_many
from s2d_edge.export.faces import pack
from s2d_edge.export.faces.drawn import drawn_faces
from s2d_edge.export.faces.onnx_faces import as_onnx
from s2d_edge.export.faces.pack import write_pack
from s2d_edge.export.faces.tflite_graph import TFLiteGraph
from s2d_edge.lint.check import require_fit
from s2d_edge.media.faces import graphs, search
from s2d_edge.media.faces.graph_search import GraphSearch
from s2d_edge.media.faces.graphs import FaceFiles, installed_files, open_graphs, pack_of
from s2d_edge.media.faces.search import open_search
from s2d_edge.media.video import read_video
from tests.firmware_host.graphs import Pack, add_pack, make_bundle

GRAPHS = ("near", "far", "mesh")


@pytest.mark.parametrize("name", GRAPHS)
def test_rewritten_graphs_compute_what_mediapipes_files_do(face_pack: Pack, name: str) -> None:
    """On ONNX Runtime against OpenVINO's own reading of TFLite: neither reader is ours."""
    folder, record = face_pack
    source = getattr(installed_files(), name)
    target = folder / getattr(record, name)
    compiled = openvino_core().compile_model(str(source), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    for seed in range(3):
        noise = np.random.default_rng(seed).uniform(-1, 1, tuple(compiled.input(0).shape)).astype(np.float32)
        wanted = sorted(compiled([noise]).values(), key=lambda each: each.size)
        outputs: list[Any] = list(session.run(None, {"picture": noise}))
        found = sorted(outputs, key=lambda each: each.size)
        for one, other in zip(wanted, found, strict=True):
            assert one.shape == other.shape
            assert np.abs(one - other).max() <= 1e-5 * np.abs(one).max()


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_are_static_float_and_of_a_known_opset(face_pack: Pack, name: str) -> None:
    folder, record = face_pack
    model = onnx.load(folder / getattr(record, name))
    assert (model.ir_version, [each.version for each in model.opset_import]) == (10, [18])
    for value in itertools.chain(model.graph.input, model.graph.output):
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        assert all(each.dim_value > 0 for each in value.type.tensor_type.shape.dim)


@pytest.mark.parametrize("target", ["jetson", "intel-npu"])
@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_keep_the_rules_of_accelerators(face_pack: Pack, name: str, target: Target) -> None:
    folder, record = face_pack
    require_fit(folder / getattr(record, name), target, Console(quiet=True))


def test_notice_names_source_and_licence(face_pack: Pack) -> None:
    folder, record = face_pack
    text = (folder / record.notice).read_text()
    assert "Apache License, Version 2.0" in text
    assert record.source.split()[1] in text
    assert "face_landmark.tflite" in text
    assert record.licence == "Apache-2.0"


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_a_bundles_pack_needs_no_mediapipe(
    face_pack: Pack,
    tmp_path: Path,
    shared_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    runtime: str,
) -> None:
    _, frame = next(read_video(shared_data / "clips" / "d0.mp4"))
    plain = GraphSearch(open_graphs(), static=True, max_faces=1, min_confidence=0.5)
    (wanted,) = plain.follow(frame)
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    bundle = open_bundle(add_pack(face_pack, make_bundle(tmp_path / "bundle")).path)
    if runtime == "onnxruntime":
        monkeypatch.setitem(sys.modules, "openvino", None)
    search = GraphSearch(open_graphs(bundle), static=True, max_faces=1, min_confidence=0.5)
    (found,) = search.follow(frame)
    assert np.abs(found - wanted).max() < 0.05  # pixels
    search.close()


def test_a_pack_is_copied_with_its_hashes(face_pack: Pack, tmp_path: Path) -> None:
    source = open_bundle(add_pack(face_pack, make_bundle(tmp_path / "source")).path)
    other = make_bundle(tmp_path / "other")
    face = copy_face_pack(source, other.path)
    seal(other.path, other.manifest.model_copy(update={"format_version": FORMAT_VERSION, "face": face}))
    found = open_bundle(other.path)
    assert found.manifest.face == source.manifest.face
    assert pack_of(found) is not None
    assert copy_face_pack(make_bundle(tmp_path / "bare"), tmp_path) is None


@pytest.mark.parametrize("name", GRAPHS)
def test_a_damaged_or_missing_graph_is_named(face_pack: Pack, tmp_path: Path, name: str) -> None:
    path = add_pack(face_pack, make_bundle(tmp_path / "bundle")).path
    file = path / "face" / f"{name}.onnx"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(BundleError, match=f"{name}.onnx"):
        open_bundle(path)
    file.unlink()
    with pytest.raises(BundleError, match=f"{name}.onnx"):
        open_bundle(path)


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"\x1c\x00\x00\x00TFL2" + b"\x00" * 64])
def test_no_tflite_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "near.tflite").write_bytes(content)
    with pytest.raises(ConfigError, match=r"near\.tflite"):
        TFLiteGraph(tmp_path / "near.tflite")


def test_an_operator_that_is_not_known_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def renamed(code: int) -> str:
        kind: str = original(code)
        return "SOFTMAX" if kind == "MAX_POOL_2D" else kind

    original: Callable[[int], str] = tflite.opcode2name
    monkeypatch.setattr(tflite, "opcode2name", renamed)
    with pytest.raises(ConfigError, match="SOFTMAX"):
        as_onnx(TFLiteGraph(installed_files().near), "near", ("boxes", "scores"))


def test_numbers_that_differ_end_the_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(graph: TFLiteGraph, name: str, outputs: tuple[str, str]) -> onnx.ModelProto:
        model = as_onnx(graph, name, outputs)
        bias = next(each for each in model.graph.initializer if ".bias" in each.name)
        values = onnx.numpy_helper.to_array(bias) + np.float16(1)
        bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
        return model

    monkeypatch.setattr(pack, "as_onnx", shifted)
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(S2DEdgeError, match=r"near\.onnx"):
        write_pack(tmp_path)


@pytest.mark.parametrize("damage", [None, "mesh.onnx", "selftest.npz", "record.json"])
def test_a_pack_is_made_once_and_again_where_it_was_damaged(
    face_pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str | None
) -> None:
    made = []

    def copied(folder: Path, files: FaceFiles) -> FaceRecord:
        made.append(files)
        shutil.copytree(face_pack[0] / "face", folder / "face")
        return face_pack[1]

    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(pack, "_make", copied)
    first = write_pack(tmp_path / "one")
    if damage is not None:
        (file,) = (tmp_path / "cache").rglob(damage)
        file.write_bytes(file.read_bytes()[:-2])
    assert write_pack(tmp_path / "other") == first
    assert made == [installed_files()] * (1 if damage is None else 2)
    for name in first.files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_without_mediapipe_the_starters_pack_serves(
    face_pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a Python that MediaPipe has no wheels for: it is searched with, and copied by export."""
    shipped = add_pack(face_pack, make_bundle(tmp_path / "starter/intel-cpu"))
    monkeypatch.setattr(starter, "__path__", [str(shipped.path.parent)])
    monkeypatch.setattr(graphs, "has_mediapipe", lambda: False)
    monkeypatch.setattr(pack, "has_mediapipe", lambda: False)
    (picture, *_) = drawn_faces()
    assert GraphSearch(open_graphs(), static=True, max_faces=1, min_confidence=0.5).look(picture)
    (tmp_path / "new").mkdir()
    assert write_pack(tmp_path / "new") == face_pack[1]


@pytest.mark.parametrize("missing", ["mediapipe", "runtime"])
def test_what_is_missing_is_named_with_the_bundle(
    face_pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """A bundle of an older format without MediaPipe, and one with a pack without a runtime."""
    bundle = make_bundle(tmp_path / "old", format_version=2)
    monkeypatch.setattr(graphs, "has_mediapipe", lambda: False)
    monkeypatch.setattr(search, "has_mediapipe", lambda: False)
    if missing == "runtime":
        bundle = add_pack(face_pack, bundle)
        monkeypatch.setitem(sys.modules, "openvino", None)
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match="onnxruntime" if missing == "runtime" else "of format 2"):
        open_search(static=True, max_faces=1, min_confidence=0.5, refined=False, bundle=bundle)


def test_a_missing_package_ends_the_loading_of_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A face search that fails is an error of its own: no clip is called damaged or skipped for it."""
    Image.fromarray(drawn_faces()[0]).save(tmp_path / "face.png")
    monkeypatch.setattr(graphs, "has_mediapipe", lambda: False)
    monkeypatch.setattr(search, "has_mediapipe", lambda: False)
    old = make_bundle(tmp_path / "old", format_version=2)
    clips = load_many(
        [tmp_path / "face.png"],
        old.manifest.spec,
        old.manifest.crop,
        bundle=old,
        on_unreadable=lambda path, error: pytest.fail(str(error)),
    )
    with pytest.raises(MissingExtraError, match="mediapipe"):
        list(clips)
