"""The base of the graph engines: it checks the graph against the manifest, each clip and all logits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

import numpy as np

from s2d_edge.contracts.bundle import Bundle, EngineIdentity, Manifest, TensorSpec
from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.contracts.engine import Clip, Engine, Logits, Numbers
from s2d_edge.core.errors import BundleError, DeviceError
from s2d_edge.firmware_host.engines.stream import RingMemory, StreamSession
from s2d_edge.firmware_host.selftest.agreement import Arithmetic

Device = Literal["cpu", "gpu", "npu", "cuda", "tensorrt"]


class DeviceAbsentError(DeviceError):
    """The runtime lists a device whose libraries this machine lacks."""


@dataclass(frozen=True, slots=True)
class GraphTensor:
    """One input or output of the loaded graph; a dimension that is not fixed is None."""

    names: frozenset[str]
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class NodeTime:
    """The time of one node of a graph in one prediction.

    Attributes:
        kind: the operator, and how the runtime computes it where it says so.
        ms: milliseconds.
        has_weights: one of its inputs is a constant, or one behind a quantizer.
    """

    kind: str
    ms: float
    has_weights: bool


class GraphEngine(ABC):
    """A bundle's graph on one device; subclasses load it and run it."""

    def __init__(self, bundle: Bundle) -> None:
        self._manifest = bundle.manifest
        self._where = bundle.path
        self._reason = ""
        self._stream: StreamSession | None = None

    @property
    def spec(self) -> ClipSpec:
        """The clip that the graph takes."""
        return self._manifest.spec

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in logit order."""
        return self._manifest.labels

    @property
    def description(self) -> str:
        """Precision, runtime and device in use, memory of a stream, and why the device was chosen."""
        text = f"{self._manifest.name}: {self._manifest.precision.upper()} on {self._device_text()}"
        if self._manifest.mode == "stream":
            text += f", frame by frame, {self._manifest.state_bytes / 2**20:.1f} MiB kept per face"
        return f"{text} ({self._reason})" if self._reason else text

    def explain(self, reason: str) -> None:
        """Add to the description why this device, or this way to it, was chosen."""
        self._reason = f"{self._reason}; {reason}" if self._reason else reason

    @property
    @abstractmethod
    def identity(self) -> EngineIdentity:
        """The runtime, device and driver, as far as the logits may depend on them."""

    @property
    @abstractmethod
    def arithmetic(self) -> Arithmetic:
        """The kind of numbers in which the device computes this graph; TF32 and BF16 count as 16 bits."""

    @property
    def manifest(self) -> Manifest:
        """The manifest of the bundle."""
        return self._manifest

    def infer(self, clip: Clip, numbers: Numbers | None = None) -> Logits:
        """Compute the logits of one clip.

        A stream graph gets the clip frame by frame, after a reset.

        Args:
            clip: (1, T, H, W, 3) uint8 RGB.
            numbers: (T,) where each frame lies on the model's grid, for a stream graph; None for frames that
                are a period apart.

        Returns:
            (1, K) float32 logits.

        Raises:
            DeviceError: wrong shape or dtype, logits that are not finite, or the device fails.
        """
        spec = self.spec
        wanted = (1, spec.frames, spec.size, spec.size, 3)
        if clip.shape != wanted or clip.dtype != np.uint8:
            raise DeviceError(f"a clip is {clip.dtype} {clip.shape}; this bundle wants uint8 {wanted}")
        clip = np.ascontiguousarray(clip)
        if self._manifest.mode == "window":
            return self._checked(self._run(clip))
        if self._stream is None:
            self._stream = self.open_stream()
        self._stream.reset()
        for frame, number in enumerate(range(spec.frames) if numbers is None else numbers.tolist()):
            logits = self._stream.step(clip[:, frame], number)
        return logits

    def open_stream(self) -> StreamSession:
        """Open a stream for one face, its state empty.

        Raises:
            BundleError: the bundle holds a window graph.
        """
        if self._manifest.mode != "stream":
            raise BundleError(
                f"{self._where} holds a window graph, which takes whole clips; for a stream, export the run "
                "with --mode stream"
            )
        return StreamSession(self._manifest, self._new_rings(), self._checked)

    def _checked(self, logits: Logits) -> Logits:
        if logits.shape != (1, len(self.labels)):
            raise DeviceError(
                f"{self._device_text()} returned logits of shape {logits.shape} for {len(self.labels)} labels"
            )
        if not np.isfinite(logits).all():
            raise DeviceError(
                f"{self._device_text()} returned logits that are not finite; its arithmetic does not hold "
                "this graph: use another --device, or export for another target"
            )
        return logits.astype(np.float32, copy=True)

    @abstractmethod
    def time_nodes(self, predict: Callable[[], object], rounds: int) -> list[NodeTime]:
        """Time every node while ``predict`` is called ``rounds`` times, after one warm-up.

        The engine must be opened with ``profile``; one of ONNX Runtime can be timed once.
        """

    @abstractmethod
    def close(self) -> None:
        """Free the device."""

    def __enter__(self) -> GraphEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _run(self, clip: Clip) -> Logits:
        """Compute the logits of a clip with a window graph."""

    @abstractmethod
    def _new_rings(self) -> RingMemory:
        """Return rings of zeros for a stream graph."""

    @abstractmethod
    def _device_text(self) -> str: ...

    def _check_graph(self, inputs: Sequence[GraphTensor], outputs: Sequence[GraphTensor]) -> None:
        """Compare the loaded graph with the manifest.

        Raises:
            BundleError: another number, name, shape or dtype.
        """
        check_tensors(self._where.name, "input", self._manifest.inputs, inputs)
        check_tensors(self._where.name, "output", self._manifest.outputs, outputs)


def stream_of(engine: Engine) -> StreamSession | None:
    """Open a stream of an engine with a stream graph; None for any other engine."""
    if isinstance(engine, GraphEngine) and engine.manifest.mode == "stream":
        return engine.open_stream()
    return None


def check_tensors(bundle: str, kind: str, wanted: Sequence[TensorSpec], found: Sequence[GraphTensor]) -> None:
    """Compare one side of a graph with the manifest.

    Raises:
        BundleError: another number, name, shape or dtype.
    """
    if len(found) != len(wanted):
        raise BundleError(
            f"{bundle}: the graph has {len(found)} {kind}s, the manifest {len(wanted)}; "
            "export the bundle again"
        )
    for spec in wanted:
        tensor = next((each for each in found if spec.name in each.names), None)
        if tensor is None:
            names = ", ".join(sorted(name for each in found for name in each.names))
            raise BundleError(
                f"{bundle}: the manifest's {kind} {spec.name!r} is not in the graph, which has {names}; "
                "export the bundle again"
            )
        if tensor.shape != spec.shape or tensor.dtype != spec.dtype:
            raise BundleError(
                f"{bundle}: {kind} {spec.name!r} is {tensor.dtype} {tensor.shape} in the graph and "
                f"{spec.dtype} {spec.shape} in the manifest; export the bundle again"
            )
