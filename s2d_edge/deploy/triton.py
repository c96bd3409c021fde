"""Write model repositories for NVIDIA's Triton Inference Server, from an ONNX bundle.

A stream's rings are explicit inputs, and its new slots outputs. Triton's implicit state of a sequence does
not fit: an output of the same shape replaces it, so every frame would copy all of it, and the graph makes one
slot. With explicit state any instance serves any face. A client on the same machine keeps the rings in a
shared memory region, registered once, into which new slots are written in place.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from s2d_edge.contracts.bundle import Bundle, Manifest, TensorSpec

_TYPES = {"uint8": "TYPE_UINT8", "int32": "TYPE_INT32", "float32": "TYPE_FP32"}
_LABELS = "labels.txt"


def write_triton(bundle: Bundle, folder: Path, root: str, cache: str, plan: Path | None) -> None:
    """Write a repository for each way to run the bundle, the model under the same name in both.

    Two repositories, since Triton does not start if a model of its repository is not there, as the plan may
    not be.

    Args:
        folder: gets ``onnxruntime``, and for a jetson bundle ``tensorrt``.
        root: where the server will find ``folder``.
        cache: name of the folder below it for what ONNX Runtime's TensorRT builds.
        plan: TensorRT's, for this machine; None leaves its place empty.
    """
    manifest = bundle.manifest
    model = _model(folder / "onnxruntime", manifest, _onnxruntime(manifest, f"{root}/cache/{cache}"))
    shutil.copyfile(bundle.graph_path, model / "model.onnx")
    if manifest.target == "jetson":
        model = _model(folder / "tensorrt", manifest, ('platform: "tensorrt_plan"', *_instances("KIND_GPU")))
        if plan is not None:
            shutil.copyfile(plan, model / "model.plan")


def _model(repository: Path, manifest: Manifest, how: tuple[str, ...]) -> Path:
    """Write a model's configuration and labels, and return the folder of its first version."""
    version = repository / manifest.name / "1"
    version.mkdir(parents=True)
    text = "\n".join([f"name: {_quoted(manifest.name)}", *how, *_tensors(manifest), *_warm_up(manifest)])
    (version.parent / "config.pbtxt").write_text(f"{text}\n", encoding="utf-8")
    (version.parent / _LABELS).write_text("\n".join(manifest.labels) + "\n", encoding="utf-8")
    return version


def _onnxruntime(manifest: Manifest, cache: str) -> tuple[str, ...]:
    """Configure ONNX Runtime, for a jetson bundle with TensorRT and its options as Triton names them."""
    platform = 'platform: "onnxruntime_onnx"'
    if manifest.target != "jetson":
        return platform, *_instances("KIND_CPU")
    options = dict(manifest.execution.get("tensorrt", {}))
    int8, fp16 = (options.pop(f"trt_{name}_enable", "0") == "1" for name in ("int8", "fp16"))
    # Triton has one precision for both switches: beside INT8, what is not INT8 is computed in FP32.
    options["precision_mode"] = "INT8" if int8 else "FP16" if fp16 else "FP32"
    options |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": cache}
    options |= {"trt_timing_cache_enable": "1", "trt_timing_cache_path": cache}
    return (
        platform,
        *_instances("KIND_GPU"),
        "optimization { execution_accelerators { gpu_execution_accelerator [ {",
        '  name: "tensorrt"',
        *_parameters(options),
        "} ] } }",
    )


def _parameters(options: Mapping[str, str]) -> Iterator[str]:
    for key, value in options.items():
        yield f"  parameters {{ key: {_quoted(key)} value: {_quoted(value)} }}"


def _instances(kind: str) -> tuple[str, ...]:
    return (f"instance_group [ {{ count: 1 kind: {kind} }} ]",)


def _tensors(manifest: Manifest) -> Iterator[str]:
    yield "max_batch_size: 0  # every shape is static, the batch of one included"
    for side, specs in (("input", manifest.inputs), ("output", manifest.outputs)):
        for spec in specs:
            labels = f" label_filename: {_quoted(_LABELS)}" if spec is manifest.outputs[0] else ""
            yield f"{side} [ {{ name: {_quoted(spec.name)} {_form(spec)}{labels} }} ]"


def _warm_up(manifest: Manifest) -> Iterator[str]:
    """Configure a prediction before the first request: engines are built then, which takes minutes."""
    yield "model_warmup [ {"
    yield '  name: "zeros" batch_size: 1'
    for spec in manifest.inputs:
        yield f"  inputs {{ key: {_quoted(spec.name)} value {{ {_form(spec)} zero_data: true }} }}"
    yield "} ]"


def _form(spec: TensorSpec) -> str:
    return f"data_type: {_TYPES[spec.dtype]} dims: [ {', '.join(map(str, spec.shape))} ]"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
