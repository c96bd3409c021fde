"""The schema of ``manifest.json``: everything that a host must know of a bundle, validated."""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.contracts.names import file_fault, labels_fault, name_fault, text_fault

FORMAT_VERSION = 3  # 2 had no face pack, and did not name the graph that was quantized; 1 had no self-test
READABLE_VERSIONS = (1, 2, 3)
MANIFEST = "manifest.json"
HALF_GRAPH = "model_fp16.onnx"  # the same INT8 graph typed in 16 bits, for TensorRT 11; beside model.onnx
BUILD_SCRIPT = "build_engine.sh"  # builds TensorRT's plan on the device

Mode = Literal["window", "stream"]
Target = Literal["jetson", "intel-npu", "intel-gpu", "intel-cpu", "cpu"]
GraphFile = Literal["model.onnx", "model.xml"]
# The graphs that a target's runtimes read; of two, export takes the faster on this machine.
GRAPHS: dict[Target, tuple[GraphFile, ...]] = {
    "jetson": ("model.onnx",),
    "intel-npu": ("model.xml",),
    "intel-gpu": ("model.xml",),
    "intel-cpu": ("model.xml",),
    "cpu": ("model.xml", "model.onnx"),
}
# Targets whose devices were never available here; the sentence stands wherever they are offered.
EXPERIMENTAL_TARGETS: frozenset[Target] = frozenset({"jetson", "intel-npu", "intel-gpu"})
EXPERIMENTAL = "experimental: built to the documentation, not run on a device"
Precision = Literal["fp32", "int8"]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TensorSpec(_Record):
    """One input or output of the graph.

    ``layout`` names the axes (B clips, T frames, H, W, C colour, K classes; in streams S slots, N patches, A
    heads, D width); ``colour`` and ``range`` are given for pictures only.
    """

    name: str
    layout: str
    shape: tuple[int, ...]
    dtype: Literal["uint8", "int32", "float32"]
    colour: Literal["RGB"] | None = None
    range: tuple[float, float] | None = None

    @property
    def slot_axis(self) -> int:
        """Index of the axis along which a ring's slots lie.

        Raises:
            ValueError: the layout names no slot axis, or another number of axes than the shape has.
        """
        if len(self.layout) != len(self.shape):
            raise ValueError(f"{self.name} has {len(self.shape)} axes and the layout {self.layout!r}")
        return self.layout.index("S")


class ParityRecord(_Record):
    """Largest difference between the exported graph's logits and PyTorch's, on real clips."""

    clips: int = Field(ge=1)
    source: str
    tolerance: float = Field(gt=0)
    max_abs_logit_diff: float = Field(ge=0)


class CalibrationClip(_Record):
    """One clip that calibration measured ranges on. A frame folder hashes its files' hashes, in order."""

    path: str
    sha256: str


class CalibrationRecord(_Record):
    """The clips, seed and recipe that made the INT8 graph, and the FP32 graph it was made of.

    ``source_sha256`` is the hash of that graph and its weights; None in bundles before version 3.
    """

    data: str
    split: str
    seed: int
    recipe: dict[str, str | float | int | bool]
    int8_mac_fraction: Fraction
    clips: tuple[CalibrationClip, ...] = Field(min_length=1)
    source_sha256: str | None = None


class AccuracyRecord(_Record):
    """Accuracy on the evaluation split, measured through the host's engines; fractions, drops in points."""

    data: str
    split: str
    n: int = Field(ge=1)
    fp32_war: Fraction
    fp32_uar: Fraction
    int8_war: Fraction
    int8_uar: Fraction
    drop_war_pp: float
    drop_war_pp_ci95: tuple[float, float]
    drop_uar_pp: float
    drop_uar_pp_ci95: tuple[float, float]
    agreement: Fraction
    device: str


class EngineIdentity(_Record):
    """The runtime and device behind some logits, as far as these may depend on it.

    Attributes:
        runtime: name and version; beside ONNX Runtime's also TensorRT's.
        device: as ``--device`` names it.
        name: the processor's name; empty where it is unknown.
        driver: the driver's version; empty where it is unknown.
    """

    runtime: str
    device: str
    name: str
    driver: str = ""

    def __str__(self) -> str:
        driver = f" (driver {self.driver})" if self.driver else ""
        runtime = self.runtime.split("-")[0]  # a build's number is for machines
        return f"{self.device} {self.name}{driver} with {runtime}"


class SelfTestRecord(_Record):
    """The graph's logits for clips that every machine can draw from a seed.

    Attributes:
        file: (answers, K) float32 logits, as NumPy writes them.
        answers: number of logit vectors: one per clip, or one per frame of a stream.
        generator: version of the code that draws the clips.
        seed: seed of the clips.
        engine: the runtime and device that computed the logits.
    """

    file: str
    answers: int = Field(ge=2)
    generator: int = Field(ge=1)
    seed: int = Field(ge=0)
    engine: EngineIdentity


class FaceSelfTest(_Record):
    """Drawn faces, and where the graphs on a CPU found them.

    Attributes:
        file: ``pictures`` (faces, S, S, 3) uint8 RGB, ``points`` (faces, 468, 2) float32 and ``boxes``
            (faces, 4) int32, the far detector's, as NumPy's ``savez`` writes them; pixels.
        faces: number of pictures, with a face in each.
        engine: the runtime and device that found them.
    """

    file: str
    faces: int = Field(ge=1)
    engine: EngineIdentity


class FaceRecord(_Record):
    """The graphs with which a bundle finds faces, so that its host needs no other package for that.

    Files are named by their paths in the bundle; :class:`s2d_edge.media.faces.graphs.FaceGraphs` has the
    shapes.

    Attributes:
        near: file of the detector of large faces.
        far: file of the detector of small faces.
        mesh: file of the graph of the 468 points.
        source: the package and version they were made of.
        licence: an SPDX identifier.
        notice: file that names their authors.
        self_test: None in packs made before they carried one.
    """

    near: str
    far: str
    mesh: str
    source: str
    licence: str
    notice: str
    self_test: FaceSelfTest | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Every file of the pack."""
        tested = () if self.self_test is None else (self.self_test.file,)
        return (self.near, self.far, self.mesh, self.notice, *tested)


class Manifest(_Record):
    """Everything that a host must know of a bundle, as ``manifest.json`` holds it.

    ``files`` maps each other file of the bundle to its SHA-256; ``execution`` gives, per device, the runtime
    properties the graph was measured with.

    A ``window`` graph takes a window of T frames. A ``stream`` graph takes a frame, the age in sample periods
    of every slot of its rings (``frames`` for a masked slot), and the rings. After the logits it returns the
    new slot of each ring, in the rings' order.
    """

    format_version: Literal[1, 2, 3]
    name: str
    source_run: str
    target: Target
    precision: Precision
    mode: Mode
    frames: int = Field(ge=1)
    fps: float = Field(gt=0, le=240)
    graph: GraphFile
    inputs: tuple[TensorSpec, ...] = Field(min_length=1)
    outputs: tuple[TensorSpec, ...] = Field(min_length=1)
    labels: tuple[str, ...] = Field(min_length=2)
    crop: CropRecipe
    execution: dict[str, dict[str, str]]
    tools: dict[str, str]
    files: dict[str, str]
    parity: ParityRecord
    calibration: CalibrationRecord | None
    accuracy: AccuracyRecord | None
    self_test: SelfTestRecord | None = None
    face: FaceRecord | None = None

    @model_validator(mode="after")
    def _fits_itself(self) -> Manifest:
        pictures, logits = self.inputs[0], self.outputs[0]
        size = self.crop.size
        wanted = (1, size, size, 3) if self.mode == "stream" else (1, self.frames, size, size, 3)
        if pictures.shape != wanted or pictures.dtype != "uint8":
            raise ValueError(
                f"inputs[0] is {pictures.dtype} {pictures.shape}, frames and crop.size want uint8 {wanted}"
            )
        self._check_names()
        self._check_state()
        if logits.shape != (1, len(self.labels)):
            raise ValueError(f"outputs[0] has shape {logits.shape} for {len(self.labels)} labels")
        if self.graph not in self.files:
            raise ValueError(f"files lists no {self.graph}")
        if self.precision == "int8" and self.calibration is None:
            raise ValueError("calibration is missing from an int8 bundle")
        if self.calibration is not None and self.calibration.source_sha256 and self.format_version < 3:
            raise ValueError("calibration.source_sha256 came with format_version 3")
        if self.self_test is not None and self.format_version < 2:
            raise ValueError("self_test came with format_version 2")
        if self.self_test is not None and self.self_test.file not in self.files:
            raise ValueError(f"files lists no {self.self_test.file}")
        self._check_face()
        return self

    def _check_face(self) -> None:
        if self.face is None:
            return
        if self.format_version < 3:
            raise ValueError("face came with format_version 3")
        for file in self.face.files:
            if file not in self.files:
                raise ValueError(f"files lists no {file}")

    def _check_names(self) -> None:
        for field, name in (("name", self.name), ("source_run", self.source_run)):
            if fault := name_fault(name):
                raise ValueError(f"{field} {name!r} {fault}")
        if fault := labels_fault(self.labels):
            raise ValueError(f"labels: {fault}")
        for field, tensors in (("inputs", self.inputs), ("outputs", self.outputs)):
            names = [tensor.name for tensor in tensors]
            for number, name in enumerate(names):
                if fault := text_fault(name) or ("is there twice" if name in names[:number] else ""):
                    raise ValueError(f"{field}.{number}.name {name!r} {fault}")
        for name in self.files:
            if fault := file_fault(name):
                raise ValueError(f"files: {name!r} {fault}")
            if name == MANIFEST:
                raise ValueError(f"files lists {MANIFEST}, which holds them")
        if self.graph not in (taken := GRAPHS[self.target]):
            raise ValueError(f"graph is {self.graph}, and target {self.target} takes {' or '.join(taken)}")

    def _check_state(self) -> None:
        if self.mode == "window":
            if len(self.inputs) != 1:
                raise ValueError(f"a window graph takes one input, not {len(self.inputs)}")
            return
        if len(self.inputs) < 3:
            raise ValueError("a stream graph takes a frame, the ages of its slots, and rings")
        age, new = self.inputs[1], self.outputs[1:]
        if age.dtype != "int32" or len(age.shape) != 1 or age.shape[0] not in (self.frames - 1, self.frames):
            raise ValueError(
                f"inputs[1] is {age.dtype} {age.shape}, frames wants int32 ({self.frames - 1},) or "
                f"({self.frames},)"
            )
        if self.graph == "model.onnx" and any(
            ring.slot_axis != 0 or self.slots != self.frames for ring in self.rings
        ):
            raise ValueError(
                f"an ONNX stream writes in place: {self.frames} slots along each ring's first axis"
            )
        if len(new) != len(self.rings):
            raise ValueError(f"{len(self.rings)} rings, and new slots for {len(new)}")
        for ring, slot in zip(self.rings, new, strict=True):
            axis = ring.slot_axis
            one = (*ring.shape[:axis], 1, *ring.shape[axis + 1 :])
            if ring.shape[axis] != self.slots or slot.shape != one or slot.dtype != ring.dtype:
                raise ValueError(f"ring {ring.name} is {ring.shape}, its new slot {slot.name} {slot.shape}")

    @property
    def rings(self) -> tuple[TensorSpec, ...]:
        """The inputs that a stream keeps between frames; empty for a window graph."""
        return self.inputs[2:] if self.mode == "stream" else ()

    @property
    def slots(self) -> int:
        """Number of slots of each ring; 0 for a window graph."""
        return self.inputs[1].shape[0] if self.mode == "stream" else 0

    @property
    def state_bytes(self) -> int:
        """Memory of one face's rings, bytes; 0 for a window graph."""
        return sum(prod(ring.shape) * np.dtype(ring.dtype).itemsize for ring in self.rings)

    @property
    def spec(self) -> ClipSpec:
        """The shape and pace of the clip that the graph takes."""
        return ClipSpec(frames=self.frames, fps=self.fps, size=self.crop.size)
