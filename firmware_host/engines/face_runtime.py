"""Run a bundle's face pack on one of the devices of the bundle's runtime."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2d_edge.contracts.bundle import Bundle, EngineIdentity, GraphFile
from s2d_edge.core.errors import DeviceError, MissingExtraError
from s2d_edge.core.openvino_core import openvino_core
from s2d_edge.firmware_host.engines.base import Device
from s2d_edge.firmware_host.engines.caches import FACES, compiled_folder, intact
from s2d_edge.firmware_host.engines.choose import parse_device
from s2d_edge.media.faces.cpu import Compile, Floats, Graph, cpu_runtime, ordered

_REMEDY = "use --face-device cpu, or update the device's driver"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRuntime:
    """A device that searches for faces.

    Attributes:
        compiled: compiles the graph of a file there.
        identity: the runtime, device and driver that points may depend on.
    """

    compiled: Compile
    identity: EngineIdentity


def open_face_runtime(bundle: Bundle, device: str, model_device: str) -> FaceRuntime:
    """Return a device of the bundle's runtime for its face pack; a CPU gives one core.

    Args:
        bundle: it has a face pack.
        device: as ``--face-device`` gives it. ``auto`` is the model's, except for TensorRT, which would build
            engines for minutes: there it is CUDA, where ONNX Runtime has it, else the CPU.
        model_device: the device of the model.

    Raises:
        ConfigError: no such device name.
        MissingExtraError: the pack's runtime is not installed.
        DeviceError: this machine lacks the device, or it loads no driver.
    """
    if device.lower() != "auto":
        wanted = parse_device(device, "--face-device")
    else:
        wanted = parse_device("cuda" if model_device == "tensorrt" else model_device)
        if wanted not in _present(bundle):
            wanted = "cpu"
    if wanted == "cpu":
        return face_runtime_on_cpu(bundle.manifest.graph)
    if wanted not in (present := _present(bundle)):
        raise DeviceError(
            f"--face-device {device}: the runtime of {bundle.path} has no such device here; it has "
            f"{', '.join(present)}"
        )
    if bundle.manifest.graph == "model.xml":
        return _on_openvino(bundle, wanted)
    return _on_onnxruntime(bundle, wanted)


def _present(bundle: Bundle) -> tuple[Device, ...]:
    """The devices of the bundle's runtime; a plan for TensorRT is the model's, not the pack's."""
    if bundle.manifest.graph == "model.xml":
        from s2d_edge.firmware_host.engines import openvino_engine

        return openvino_engine.devices()
    try:
        from s2d_edge.firmware_host.engines import onnxruntime_engine
    except MissingExtraError:
        return ("cpu",)
    return onnxruntime_engine.devices()


def face_runtime_on_cpu(graph: GraphFile) -> FaceRuntime:
    """Return a CPU core, with the runtime of a bundle of this graph if it is installed.

    Raises:
        MissingExtraError: no runtime for a pack is installed.
    """
    runtime = cpu_runtime(graph)
    if runtime.name == "openvino":
        from s2d_edge.firmware_host.engines import openvino_engine

        identity = openvino_engine.identity_of(openvino_core(), "cpu")
    else:
        from s2d_edge.firmware_host.engines import onnxruntime_engine

        identity = onnxruntime_engine.identity_of("cpu")
    return FaceRuntime(compiled=runtime.compiled, identity=identity)


def _on_openvino(bundle: Bundle, device: Device) -> FaceRuntime:
    from s2d_edge.firmware_host.engines.openvino_engine import PLUGINS, brief, identity_of

    core, plugin = openvino_core(), PLUGINS[device]
    identity = identity_of(core, device)
    properties: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", **bundle.manifest.execution.get(device, {})}
    folder = compiled_folder("openvino", bundle.manifest, identity, FACES)
    if folder is not None:
        properties["CACHE_DIR"] = str(folder)

    def compiled(file: Path) -> Graph:
        try:
            with nullcontext() if folder is None else intact(folder, "*.blob"):
                request = core.compile_model(str(file), plugin, properties).create_infer_request()
        except RuntimeError as error:
            raise DeviceError(f"OpenVINO's {plugin} refuses {file} ({brief(error)}); {_REMEDY}") from None

        def search(picture: Floats) -> tuple[Floats, Floats]:
            try:
                return ordered(list(request.infer({0: picture}, share_inputs=True).values()))
            except RuntimeError as error:
                raise DeviceError(f"OpenVINO failed on {plugin} ({brief(error)}); {_REMEDY}") from None

        return search

    return FaceRuntime(compiled=compiled, identity=identity)


def _on_onnxruntime(bundle: Bundle, device: Device) -> FaceRuntime:
    import onnxruntime

    from s2d_edge.firmware_host.engines.onnxruntime_engine import PROVIDERS, brief, identity_of, providers_for

    identity, provider = identity_of(device), PROVIDERS[device]

    def compiled(file: Path) -> Graph:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        try:
            session = onnxruntime.InferenceSession(
                str(file),
                sess_options=options,
                providers=providers_for(bundle.manifest, device, identity, FACES),
                enable_fallback=0,
            )
        except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
            raise DeviceError(
                f"ONNX Runtime's {provider} refuses {file} ({brief(error)}); {_REMEDY}"
            ) from None
        if session.get_providers()[:1] != [provider]:
            raise DeviceError(
                f"ONNX Runtime could not load {provider} for {file}, and offers "
                f"{', '.join(session.get_providers())} instead; {_REMEDY}"
            )
        (name,) = (each.name for each in session.get_inputs())

        def search(picture: Floats) -> tuple[Floats, Floats]:
            try:
                return ordered(session.run(None, {name: picture}))
            except Exception as error:  # as above
                raise DeviceError(f"ONNX Runtime failed on {provider} ({brief(error)}); {_REMEDY}") from None

        return search

    return FaceRuntime(compiled=compiled, identity=identity)
