"""Model repositories, read by the servers' own schemas where a package brings them. No server ran here."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from google.protobuf import text_format
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from s2d_edge.calibrate.quantize.recipe import recipe_for
from s2d_edge.contracts.bundle import MANIFEST, Bundle, open_bundle, seal
from s2d_edge.core import processor
from s2d_edge.core.console import Console
from s2d_edge.core.errors import BundleError, ConfigError, S2DEdgeError
from s2d_edge.core.openvino_core import openvino_core
from s2d_edge.deploy.command import deploy_bundle
from s2d_edge.deploy.jetson import write_build_script
from s2d_edge.export.targets import EXECUTION
from tests.deploy import trtexec
from tests.firmware_host import fake_nvidia
from tests.firmware_host.graphs import CALIBRATED, LABELS, make_bundle, make_stream_bundle

QUIET = Console(quiet=True)
JETSON = EXECUTION["onnx"] | recipe_for("jetson", "model.onnx").execution

# What Triton's ONNX Runtime backend knows of TensorRT (its README); it refuses a model that names another.
TENSORRT_PARAMETERS = {
    "precision_mode",
    "max_workspace_size_bytes",
    "trt_layer_norm_fp32_fallback",
    "trt_engine_cache_enable",
    "trt_engine_cache_path",
    "trt_timing_cache_enable",
    "trt_timing_cache_path",
}


@pytest.fixture(scope="module")
def triton() -> Any:
    """Triton's ``model_config.proto`` as Python; of its client, whose other modules need gRPC."""
    package = importlib.util.find_spec("tritonclient")
    assert package is not None, "tritonclient is in the extra 'dev'"
    assert package.origin is not None
    file = Path(package.origin).parent / "grpc/model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("triton_model_config", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def jetson(tmp_path: Path) -> Bundle:
    made = make_bundle(tmp_path / "faces", graph="model.onnx", target="jetson", execution=JETSON)
    write_build_script(made.path, made.manifest.name, "fp32")
    seal(made.path, made.manifest)
    return open_bundle(made.path)


def deploy(
    bundle: Bundle, to: str, console: Console = QUIET, *, out: Path | None = None, root: str = "/models"
) -> Path:
    out = out or bundle.path.parent / "out"
    return deploy_bundle(bundle.path, to=to, out=out, root=root, console=console)


def _config(triton: Any, model: Path) -> Any:
    return text_format.Parse((model / "config.pbtxt").read_text(), triton.ModelConfig())


def _check_tensors(triton: Any, config: Any, bundle: Bundle) -> None:
    types = {"uint8": triton.TYPE_UINT8, "int32": triton.TYPE_INT32, "float32": triton.TYPE_FP32}
    for found, wanted in ((config.input, bundle.manifest.inputs), (config.output, bundle.manifest.outputs)):
        assert [(each.name, tuple(each.dims), each.data_type) for each in found] == [
            (spec.name, spec.shape, types[spec.dtype]) for spec in wanted
        ]
    [warm_up] = config.model_warmup
    assert warm_up.batch_size == 1  # the least that the schema allows
    assert set(warm_up.inputs) == {spec.name for spec in bundle.manifest.inputs}
    assert all(each.zero_data for each in warm_up.inputs.values())


def test_triton_gets_a_repository_for_each_runtime(
    triton: Any, jetson: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("S2D_EDGE_CACHE", str(jetson.path.parent / "cache"))
    out = deploy(jetson, "triton", Console())
    messages = " ".join(capsys.readouterr().err.split())
    assert "1/model.plan is left empty: no plan was built" in messages
    assert "--model-repository=/models/onnxruntime" in messages
    assert sorted(file.name for file in out.iterdir()) == [
        "cache",
        "manifest.json",
        "onnxruntime",
        "tensorrt",
    ]
    for runtime, platform in (("onnxruntime", "onnxruntime_onnx"), ("tensorrt", "tensorrt_plan")):
        [model] = (out / runtime).iterdir()
        config = _config(triton, model)
        assert (config.name, config.platform, config.max_batch_size) == ("faces", platform, 0)
        assert model.name == config.name
        [group] = config.instance_group
        assert (group.count, group.kind) == (1, triton.ModelInstanceGroup.KIND_GPU)
        _check_tensors(triton, config, jetson)
        assert config.output[0].label_filename == "labels.txt"
        assert tuple((model / "labels.txt").read_text().splitlines()) == LABELS
    graph = out / "onnxruntime/faces/1/model.onnx"
    assert graph.read_bytes() == jetson.graph_path.read_bytes()
    assert not list((out / "tensorrt/faces/1").iterdir())
    [accelerator] = _config(
        triton, out / "onnxruntime/faces"
    ).optimization.execution_accelerators.gpu_execution_accelerator
    assert accelerator.name == "tensorrt"
    parameters = dict(accelerator.parameters)
    assert parameters.keys() <= TENSORRT_PARAMETERS
    assert parameters["precision_mode"] == "INT8"
    assert parameters["trt_engine_cache_path"].startswith("/models/cache/")


def test_the_schema_refuses_what_it_does_not_know(triton: Any, jetson: Bundle) -> None:
    out = deploy(jetson, "triton")
    file = out / "onnxruntime/faces/config.pbtxt"
    file.write_text(file.read_text().replace("max_batch_size", "batch_size_max"))
    with pytest.raises(text_format.ParseError, match="batch_size_max"):
        _config(triton, file.parent)


def test_triton_gets_the_plan_where_there_is_one(
    jetson: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("S2D_EDGE_CACHE", str(jetson.path.parent / "cache"))
    trtexec.install(jetson.path.parent / "bin")
    environment = {
        "S2D_EDGE_CACHE": str(jetson.path.parent / "cache"),
        "PATH": f"{jetson.path.parent}/bin:/usr/bin:/bin",
    }
    subprocess.run(
        ["sh", str(jetson.path / "build_engine.sh")], env=environment, check=True, capture_output=True
    )
    fake_nvidia.install(monkeypatch)
    out = deploy(jetson, "triton", Console())
    assert (out / "tensorrt/faces/1/model.plan").read_text().startswith("PLAN 100300 ")
    assert "--model-repository=/models/tensorrt" in " ".join(capsys.readouterr().err.split())


def test_a_stream_s_state_is_explicit(triton: Any, tmp_path: Path) -> None:
    stream = make_stream_bundle(tmp_path / "frames")
    out = deploy(stream, "triton")
    config = _config(triton, out / "tensorrt/frames")
    _check_tensors(triton, config, stream)
    assert not config.HasField("sequence_batching")
    assert [each.name for each in config.input] == ["frame", "age", "classes", "keys.0"]


def test_a_cpu_s_onnx_bundle_requires_no_gpu(triton: Any, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / 'a "b"', graph="model.onnx")
    out = deploy(bundle, "triton")
    assert not (out / "tensorrt").exists()
    config = _config(triton, out / 'onnxruntime/a "b"')
    assert config.name == 'a "b"'
    assert config.instance_group[0].kind == triton.ModelInstanceGroup.KIND_CPU
    assert not config.HasField("optimization")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _ModelConfig(_Strict):
    """The model server's own schema (``src/schema.cpp``), written out; no Python package carries it."""

    name: StrictStr
    base_path: StrictStr
    batch_size: StrictInt | StrictStr | None = None
    model_version_policy: dict[str, Any] | None = None
    shape: dict[str, Any] | StrictStr | None = None
    layout: dict[str, Any] | StrictStr | None = None
    nireq: StrictInt | None = Field(default=None, ge=0)
    target_device: StrictStr | None = None
    plugin_config: dict[str, StrictStr | StrictInt | StrictBool] | None = None
    stateful: StrictBool | None = None


class _Entry(_Strict):
    config: _ModelConfig


class _OvmsConfig(_Strict):
    model_config_list: list[_Entry]


def test_the_model_server_gets_openvino_s_graphs(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "faces")
    root = tmp_path / "out"
    out = deploy(bundle, "ovms", root=str(root))
    text = (out / "config.json").read_text()
    [entry] = _OvmsConfig.model_validate_json(text).model_config_list
    assert (entry.config.name, entry.config.target_device) == ("faces", "CPU")
    assert entry.config.plugin_config == {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    # The server's way: version folders below base_path, and OpenVINO with the device and properties given.
    base = Path(entry.config.base_path)
    assert [version.name for version in base.iterdir()] == ["1"]
    compiled = openvino_core().compile_model(base / "1/model.xml", "CPU", entry.config.plugin_config)
    clip = np.full(bundle.manifest.inputs[0].shape, 100, np.uint8)
    np.testing.assert_allclose(compiled(clip)["logits"], [[10, 10, 10]], rtol=1e-6)
    assert json.loads((out / "manifest.json").read_text())["labels"] == list(LABELS)
    with pytest.raises(ValidationError):
        _OvmsConfig.model_validate_json(text.replace("base_path", "path"))


@pytest.mark.parametrize(("flags", "exact"), [("sse2 avx2", True), ("sse2 avx_vnni", False)])
def test_the_model_server_s_int8_sums_do_not_overflow(
    flags: str, exact: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "cpuinfo")
    bundle = make_bundle(tmp_path / "faces", precision="int8", calibration=CALIBRATED)
    out = deploy(bundle, "ovms")
    [entry] = _OvmsConfig.model_validate_json((out / "config.json").read_text()).model_config_list
    assert entry.config.plugin_config is not None
    assert ("LP_TRANSFORMS_MODE" in entry.config.plugin_config) is exact


@pytest.mark.parametrize(("target", "device"), [("intel-npu", "NPU"), ("intel-gpu", "GPU")])
def test_devices_that_compile_long_get_a_cache_of_the_model(
    tmp_path: Path, target: str, device: Literal["NPU", "GPU"]
) -> None:
    caches = []
    bundles = [
        make_bundle(tmp_path / name, frames=frames, target=target, execution=EXECUTION["openvino"])
        for name, frames in (("a", 4), ("b", 5))
    ]
    for turn, bundle in enumerate((*bundles, bundles[0])):
        out = deploy(bundle, "ovms", out=tmp_path / f"out-{turn}", root="/srv/")
        [entry] = _OvmsConfig.model_validate_json((out / "config.json").read_text()).model_config_list
        assert entry.config.target_device == device
        assert entry.config.base_path == f"/srv/{bundle.manifest.name}"
        assert entry.config.plugin_config is not None
        assert entry.config.plugin_config["INFERENCE_PRECISION_HINT"] == ("f16" if device == "NPU" else "f32")
        caches.append(entry.config.plugin_config["CACHE_DIR"])
    assert str(caches[0]).startswith("/srv/cache/")
    assert caches[0] == caches[2] != caches[1]


def test_invalid_options_and_damaged_bundles_are_rejected(jetson: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="k8s"):
        deploy(jetson, "k8s")
    with pytest.raises(ConfigError, match="--root"):
        deploy(jetson, "triton", root="models")
    with pytest.raises(ConfigError, match="--to triton"):
        deploy(jetson, "ovms")
    with pytest.raises(ConfigError, match="--to ovms"):
        deploy(make_bundle(tmp_path / "ir"), "triton")
    with pytest.raises(S2DEdgeError, match=jetson.path.name):
        deploy(jetson, "triton", out=jetson.path)
    jetson.graph_path.write_bytes(b"")
    with pytest.raises(BundleError, match="sha256"):
        deploy(jetson, "triton")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../../../x", "/srv/x", "", "..", "a/b", "a\0b", "a\nb"])
def test_a_name_that_leads_out_of_the_folder_is_never_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = make_bundle(tmp_path / "a/b/c/bundle").path
    content = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps(content | {"name": name}))
    monkeypatch.chdir(tmp_path / "a/b/c")
    before = sorted(tmp_path.rglob("*"))
    for out in (None, Path("own")):
        with pytest.raises(BundleError, match="name"):
            deploy_bundle(path, to="ovms", out=out, console=QUIET)
    assert sorted(tmp_path.rglob("*")) == before
