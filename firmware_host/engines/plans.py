"""Find TensorRT plans that a bundle's ``build_engine.sh`` built on this machine, and check that they fit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from s2d_edge.contracts.bundle import BUILD_SCRIPT, Manifest
from s2d_edge.core.caches import cache_folder
from s2d_edge.core.errors import DeviceError
from s2d_edge.firmware_host.engines import nvidia
from s2d_edge.firmware_host.engines.cudart import Gpu, gpu


class NoPlanError(DeviceError):
    """No plan fits this bundle, GPU and TensorRT; the message is a part of a sentence."""


class PlanRecord(BaseModel):
    """The record that the script writes beside a plan; what trtexec did not print is empty.

    Attributes:
        model_sha256: of the bundle's ``model.onnx``.
        graph: the file the plan was built from, and its SHA-256.
        options: of trtexec, about types.
        gpu, compute_capability, multiprocessors: as CUDA names them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1]
    bundle: str
    model_sha256: str
    graph: Literal["model.onnx", "model_fp16.onnx"]
    graph_sha256: str
    plan_sha256: str
    options: str
    workspace_mib: int
    tensorrt: str
    gpu: str
    compute_capability: str
    multiprocessors: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan that fits this bundle, GPU and TensorRT, by its record; its bytes are not verified yet."""

    path: Path
    record: PlanRecord

    def read(self) -> bytes:
        """Read the plan's bytes, and verify them.

        Raises:
            DeviceError: they cannot be read, or are not those the record was written for.
        """
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise DeviceError(f"the plan cannot be read ({error}); {_BUILD} --force") from None
        if hashlib.sha256(data).hexdigest() != self.record.plan_sha256:
            raise DeviceError(
                f"{self.path} differs from what {BUILD_SCRIPT} recorded (sha256); it was altered or damaged: "
                f"{_BUILD} --force"
            )
        return data


_BUILD = f"build it again with the bundle's {BUILD_SCRIPT}"


def plan_folder(model_sha256: str) -> Path:
    """Return the folder in which the script keeps the plans of a bundle with this ``model.onnx``."""
    return cache_folder() / "plans" / model_sha256[:32]


def find_plan(manifest: Manifest) -> Plan:
    """Find the newest plan built from this bundle for this GPU and this TensorRT.

    Raises:
        NoPlanError: there is none; the message says why.
    """
    model = manifest.files.get("model.onnx", "")  # empty until a bundle is sealed
    found = plan_folder(model).glob("*.json") if model else ()
    records = sorted(found, key=lambda file: file.stat().st_mtime, reverse=True)
    if not records:
        raise NoPlanError(f"no plan was built by the bundle's {BUILD_SCRIPT}")
    version = ".".join(nvidia.tensorrt().split(".")[:3])
    if not version:
        raise NoPlanError("a plan was built, but there is no TensorRT here to run it")
    here = gpu()
    if here is None:
        raise NoPlanError("a plan was built, but CUDA finds no GPU here to run it")
    reasons = []
    for file in records:
        try:
            record = PlanRecord.model_validate_json(file.read_bytes())
        except (OSError, ValidationError):
            reasons.append(f"{file.name} is no record of a plan")
            continue
        unfit = next(_misfits(record, manifest, version, here), None)
        if unfit is None:
            return Plan(file.with_suffix(".plan"), record)
        reasons.append(f"{file.stem} {unfit}")
    raise NoPlanError(f"no plan fits: {'; '.join(reasons)}")


def _misfits(record: PlanRecord, manifest: Manifest, version: str, here: Gpu) -> Iterator[str]:
    """Yield each reason why a plan is not for this bundle, TensorRT or GPU."""
    if record.model_sha256 != manifest.files["model.onnx"]:
        yield "was built from another model.onnx"
    if record.graph_sha256 != manifest.files.get(record.graph):
        yield f"was built from another {record.graph}"
    if record.tensorrt != version:
        yield f"is of TensorRT {record.tensorrt}, not {version}"
    for what, of_plan, found in (
        ("", record.gpu, here.name),
        ("compute capability ", record.compute_capability, here.compute_capability),
        ("multiprocessors: ", record.multiprocessors, str(here.multiprocessors)),
    ):
        if of_plan and of_plan != found:
            yield f"is for another GPU ({what}{of_plan}, not {found})"
