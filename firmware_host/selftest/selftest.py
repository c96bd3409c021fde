"""The self-test of a bundle: compare a device's logits for synthetic clips with those of a CPU.

A driver or a runtime can compute nonsense without an error. The clips are drawn again from their seed, so a
bundle carries only the reference logits, which a CPU computed when the bundle was made.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from s2d_edge.contracts.bundle import Bundle, EngineIdentity, SelfTestRecord
from s2d_edge.contracts.engine import Logits
from s2d_edge.core.console import Console, write_json
from s2d_edge.core.disk import refusals
from s2d_edge.core.errors import BundleError, SelfTestError
from s2d_edge.firmware_host.bundles import BundleName, find_bundle
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.engines.base import GraphEngine
from s2d_edge.firmware_host.selftest.agreement import LIMITS, Agreement, Arithmetic, Limits, compare, faults
from s2d_edge.firmware_host.selftest.faces import check_faces
from s2d_edge.firmware_host.selftest.patterns import GENERATOR, moving_patterns

_FILE = "selftest.npy"
_CLIPS = 8
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTestReport:
    """The result of a self-test.

    Attributes:
        bundle: its name.
        engine: runtime and device in use.
        reference: the engine that computed the reference logits.
        arithmetic: of the device, which sets the limits.
        limits: of the figures.
        agreement: the figures.
        faults: a phrase for each figure beyond its limit.
        latency_p50_ms: of a clip, or of a frame of a stream.
        advice: for the user, if it failed.
    """

    bundle: str
    engine: EngineIdentity
    reference: EngineIdentity
    arithmetic: Arithmetic
    limits: Limits
    agreement: Agreement
    faults: tuple[str, ...]
    latency_p50_ms: float
    advice: str

    @property
    def passed(self) -> bool:
        """True if every figure is within its limit."""
        return not self.faults

    def as_json(self) -> dict[str, Any]:
        """Return every figure, with the identities as the manifest writes them."""
        return {
            "passed": self.passed,
            "bundle": self.bundle,
            "engine": self.engine.model_dump(),
            "reference": self.reference.model_dump(),
            "arithmetic": self.arithmetic,
            "limits": asdict(self.limits),
            "agreement": asdict(self.agreement),
            "faults": list(self.faults),
            "latency_p50_ms": self.latency_p50_ms,
        }

    def as_table(self) -> Table:
        """Return the figures and their limits, for people."""
        found, limits = self.agreement, self.limits
        table = Table("figure", "found", "limit", title=f"{self.bundle} on {self.engine}")
        table.add_row("logits compared", f"{found.answers}", "")
        table.add_row("same predicted label", f"{found.top_agreement:.1%}", "")
        table.add_row("RMS difference, of the spread", f"{found.rms:.3%}", f"at most {limits.rms:.1%}")
        table.add_row("largest difference", f"{found.largest:.3%}", f"at most {limits.largest:.1%}")
        table.add_row("correlation over clips", f"{found.correlation:.5f}", f"at least {limits.correlation}")
        table.add_row("latency p50", f"{self.latency_p50_ms:.1f} ms", "")
        return table

    def require(self) -> None:
        """Raise if the self-test failed.

        Raises:
            SelfTestError: it failed; the message has the figures, and what to do.
        """
        if self.faults:
            raise SelfTestError(
                f"{self.engine} computes other logits for {self.bundle} than {self.reference} did: "
                f"{'; '.join(self.faults)}; the predicted label is equal in "
                f"{self.agreement.top_agreement:.0%} of {self.agreement.answers} "
                f"({self.arithmetic} limits). {self.advice}"
            )


def check_bundle(given: BundleName | None, device: str, json: str | None, console: Console) -> SelfTestReport:
    """Run the self-tests of a bundle on a device; print the figures, and write them as JSON if requested.

    Args:
        given: a bundle; None takes the newest under ``bundles`` that fits this machine, else the starter.

    Raises:
        SelfTestError: it failed; the figures were printed.
        S2DEdgeError: the bundle holds no self-test, or what opening and running raise.
    """
    bundle = find_bundle(given, device, console)
    _reference_of(bundle)  # raises if it is unusable, before a device is opened
    with open_engine(bundle, device) as engine:
        console.say(engine.description)
        report = self_test(bundle, engine)
        faces = check_faces(bundle, "auto", engine.identity.device)
    console.show(report.as_table())
    if json is not None:
        write_json(json, report.as_json() | {"faces": None if faces is None else faces.as_json()})
    report.require()
    console.say(
        f"passed: its logits agree with those of {report.reference}, up to {report.arithmetic} rounding"
    )
    if faces is not None:
        faces.require()
        console.say(
            f"passed: it finds the {faces.agreement.faces} drawn faces as {faces.reference} did; points are "
            f"{faces.agreement.mean_percent:.3f} % of the eyes' distance apart"
        )
    return report


def write_self_test(bundle: Bundle, console: Console) -> SelfTestRecord:
    """Compute the self-test's reference logits on the CPU, and write them into the bundle's folder.

    Returns:
        The record for its manifest; sealing the bundle hashes the file.
    """
    console.say("computing the logits of the self-test that the bundle will carry")
    with open_engine(bundle, "cpu") as engine:
        reference = np.concatenate([logits for logits, _ in _predict(engine, _SEED)])
        identity = engine.identity
    with refusals(bundle.path / _FILE):
        np.save(bundle.path / _FILE, reference, allow_pickle=False)
    return SelfTestRecord(
        file=_FILE, answers=len(reference), generator=GENERATOR, seed=_SEED, engine=identity
    )


def self_test(bundle: Bundle, engine: GraphEngine) -> SelfTestReport:
    """Compare an engine's logits with the reference logits that its bundle carries.

    Raises:
        BundleError: the bundle carries none, or none that this s2d-edge can draw the clips of.
        DeviceError: what the engine raises.
    """
    record, reference = _reference_of(bundle)
    predictions = list(_predict(engine, record.seed))
    found = np.concatenate([logits for logits, _ in predictions])
    if len(found) != len(reference):
        raise BundleError(
            f"{bundle.path}: its self-test holds logits of {len(reference)} inputs, {len(found)} are wanted; "
            "export the bundle again"
        )
    agreement, limits = compare(reference, found), LIMITS[engine.arithmetic]
    return SelfTestReport(
        bundle=bundle.manifest.name,
        engine=engine.identity,
        reference=record.engine,
        arithmetic=engine.arithmetic,
        limits=limits,
        agreement=agreement,
        faults=faults(agreement, limits),
        latency_p50_ms=float(np.median([ms for _, ms in predictions[1:]])),  # the first one warms up
        advice=_advice(engine.identity.device),
    )


def _reference_of(bundle: Bundle) -> tuple[SelfTestRecord, NDArray[np.float32]]:
    """Return the record of a bundle's self-test, and its reference logits (n, K)."""
    record = bundle.manifest.self_test
    if record is None:
        raise BundleError(
            f"{bundle.path} holds no self-test, since it was made before bundles carried one; "
            "make it again with 's2d-edge export' and 's2d-edge calibrate'"
        )
    if record.generator != GENERATOR:
        raise BundleError(
            f"{bundle.path}: its self-test was drawn by generator {record.generator}, this s2d-edge has "
            f"{GENERATOR}; export the bundle again, or use the s2d-edge that wrote it"
        )
    try:
        with (bundle.path / record.file).open("rb") as file:
            reference = np.lib.format.read_array(file, allow_pickle=False)  # type: ignore[no-untyped-call]
    except Exception as error:  # NumPy raises almost anything on files that it did not write
        raise BundleError(
            f"{bundle.path / record.file} cannot be read ({error}); export the bundle again"
        ) from None
    shape = (record.answers, len(bundle.manifest.labels))
    if reference.shape != shape or reference.dtype != np.float32 or not np.isfinite(reference).all():
        raise BundleError(
            f"{bundle.path / record.file} holds {reference.dtype} {reference.shape}, finite float32 {shape} "
            "are wanted; export the bundle again"
        )
    return record, reference


def _predict(engine: GraphEngine, seed: int) -> Iterator[tuple[Logits, float]]:
    """Yield the logits (1, K) of each of the self-test's clips, and the milliseconds they took."""
    spec, streams = engine.spec, engine.manifest.mode == "stream"
    if streams:
        yield from _predict_stream(engine, seed)
        return
    for clip in moving_patterns(_CLIPS, spec.frames, spec.size, seed):
        begin = time.perf_counter()
        logits = engine.infer(clip[None])
        yield logits, 1000 * (time.perf_counter() - begin)


def _predict_stream(engine: GraphEngine, seed: int) -> Iterator[tuple[Logits, float]]:
    """Yield the logits of two clips frame by frame: one longer than T, and after a reset one with gaps."""
    spec = engine.spec
    session = engine.open_stream()
    whole, gapped = moving_patterns(2, spec.frames + 2, spec.size, seed)
    for clip, lost in ((whole, ()), (gapped, (2, 3))):
        session.reset()
        for number, frame in enumerate(clip):
            if number in lost:
                continue
            begin = time.perf_counter()
            logits = session.step(frame[None], number)
            yield logits, 1000 * (time.perf_counter() - begin)


def _advice(device: str) -> str:
    """Return what to do about a device that fails the self-test."""
    if device == "cpu":
        return (
            "Use the FP32 bundle if this one is INT8, or make it on this machine with 's2d-edge export' and "
            "'s2d-edge calibrate'."
        )
    text = "Use --device cpu, or update the device's driver and try 's2d-edge selftest' again."
    if device == "npu":
        text += (
            " NPU drivers have computed wrong logits of transformers without an error, until a newer one "
            "(openvinotoolkit/openvino issue 37264)."
        )
    return text
