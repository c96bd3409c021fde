"""A bundle's self-test: synthetic clips, what a CPU answered them when it was made, and what a device does.

A driver or a runtime can answer nonsense without an error. The clips are drawn anew from their seed, so a
bundle carries only the answers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from s2d_edge.contracts.bundle import Bundle, EngineIdentity, SelfTestRecord, open_bundle
from s2d_edge.contracts.engine import Logits
from s2d_edge.core.console import Console, write_json
from s2d_edge.core.errors import BundleError, SelfTestError
from s2d_edge.firmware_host.bundles import BundleName, find_bundle
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.engines.base import GraphEngine
from s2d_edge.firmware_host.selftest.agreement import LIMITS, Agreement, Arithmetic, Limits, compare, faults
from s2d_edge.firmware_host.selftest.patterns import GENERATOR, moving_patterns

_FILE = "selftest.npy"
_CLIPS = 8
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTestReport:
    """A device's answers beside those of the bundle.

    Attributes:
        bundle: its name.
        engine: runtime and device in use.
        reference: what gave the bundle's answers.
        arithmetic: of the device, which sets the limits.
        limits: what passes for rounding.
        agreement: the figures.
        faults: what is beyond the limits.
        latency_p50_ms: of a clip, or of a frame of a stream.
        advice: what to do should it fail.
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
        """Whether the device can be trusted with this bundle."""
        return not self.faults

    def as_json(self) -> dict[str, Any]:
        """Every figure; identities as the manifest has them."""
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
        """The figures and their limits, for people."""
        found, limits = self.agreement, self.limits
        table = Table("figure", "found", "limit", title=f"{self.bundle} on {self.engine}")
        table.add_row("answers compared", f"{found.answers}", "")
        table.add_row("same class", f"{found.top_agreement:.1%}", "")
        table.add_row("RMS difference, of the spread", f"{found.rms:.3%}", f"at most {limits.rms:.1%}")
        table.add_row("largest difference", f"{found.largest:.3%}", f"at most {limits.largest:.1%}")
        table.add_row("correlation over clips", f"{found.correlation:.5f}", f"at least {limits.correlation}")
        table.add_row("latency p50", f"{self.latency_p50_ms:.1f} ms", "")
        return table

    def require(self) -> None:
        """Stop here if it failed.

        Raises:
            SelfTestError: with the evidence, and what to do.
        """
        if self.faults:
            raise SelfTestError(
                f"{self.engine} does not answer {self.bundle} as {self.reference} did: "
                f"{'; '.join(self.faults)}; the same class in {self.agreement.top_agreement:.0%} of "
                f"{self.agreement.answers} answers ({self.arithmetic} limits). {self.advice}"
            )


def check_bundle(given: BundleName | None, device: str, json: str | None, console: Console) -> SelfTestReport:
    """Put a device to the self-test of a bundle: print the figures, and write them as JSON if asked.

    Args:
        given: a bundle; None takes the newest under ``bundles`` that fits this machine, else the starter.

    Raises:
        SelfTestError: it failed; the figures were printed.
        S2DEdgeError: the bundle holds no self-test, or what opening and running raise.
    """
    bundle = open_bundle(find_bundle(given, device, console))
    _answers_of(bundle)  # says what is wrong with it, before a device is started
    with open_engine(bundle, device) as engine:
        console.say(engine.description)
        report = self_test(bundle, engine)
    console.show(report.as_table())
    if json is not None:
        write_json(json, report.as_json())
    report.require()
    console.say(f"passed: its answers are those of {report.reference}, up to {report.arithmetic} rounding")
    return report


def write_self_test(bundle: Bundle, console: Console) -> SelfTestRecord:
    """Have the CPU answer the self-test's clips, and write the answers into the bundle's folder.

    Returns:
        The record for its manifest; sealing the bundle hashes the file.
    """
    console.say("answering the self-test that the bundle will carry")
    with open_engine(bundle, "cpu") as engine:
        answers = np.concatenate([logits for logits, _ in _ask(engine, _SEED)])
        identity = engine.identity
    np.save(bundle.path / _FILE, answers, allow_pickle=False)
    return SelfTestRecord(file=_FILE, answers=len(answers), generator=GENERATOR, seed=_SEED, engine=identity)


def self_test(bundle: Bundle, engine: GraphEngine) -> SelfTestReport:
    """Compare an engine's answers with those its bundle carries.

    Raises:
        BundleError: the bundle carries none, or none that can be asked for here.
        DeviceError: what the engine raises.
    """
    record, wanted = _answers_of(bundle)
    asked = list(_ask(engine, record.seed))
    found = np.concatenate([logits for logits, _ in asked])
    if len(found) != len(wanted):
        raise BundleError(
            f"{bundle.path}: its self-test holds {len(wanted)} answers, {len(found)} were asked for; "
            "export the bundle again"
        )
    agreement, limits = compare(wanted, found), LIMITS[engine.arithmetic]
    return SelfTestReport(
        bundle=bundle.manifest.name,
        engine=engine.identity,
        reference=record.engine,
        arithmetic=engine.arithmetic,
        limits=limits,
        agreement=agreement,
        faults=faults(agreement, limits),
        latency_p50_ms=float(np.median([ms for _, ms in asked[1:]])),  # the first one warms up
        advice=_advice(engine.identity.device),
    )


def _answers_of(bundle: Bundle) -> tuple[SelfTestRecord, NDArray[np.float32]]:
    """The record of a bundle's self-test, and its answers (n, K)."""
    record = bundle.manifest.self_test
    if record is None:
        raise BundleError(
            f"{bundle.path} holds no self-test, since it was made before bundles carried one; "
            "make it anew with 's2d-edge export' and 's2d-edge calibrate'"
        )
    if record.generator != GENERATOR:
        raise BundleError(
            f"{bundle.path}: its self-test was drawn by generator {record.generator}, this s2d-edge has "
            f"{GENERATOR}; export the bundle again, or use the s2d-edge that wrote it"
        )
    try:
        with (bundle.path / record.file).open("rb") as file:
            answers = np.lib.format.read_array(file, allow_pickle=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise BundleError(
            f"{bundle.path / record.file} cannot be read ({error}); export the bundle again"
        ) from None
    shape = (record.answers, len(bundle.manifest.labels))
    if answers.shape != shape or answers.dtype != np.float32 or not np.isfinite(answers).all():
        raise BundleError(
            f"{bundle.path / record.file} holds {answers.dtype} {answers.shape}, finite float32 {shape} are "
            "wanted; export the bundle again"
        )
    return record, answers


def _ask(engine: GraphEngine, seed: int) -> Iterator[tuple[Logits, float]]:
    """Every answer to the self-test's clips, (1, K), and the milliseconds it took."""
    spec, streams = engine.spec, engine.manifest.mode == "stream"
    if streams:
        yield from _ask_stream(engine, seed)
        return
    for clip in moving_patterns(_CLIPS, spec.frames, spec.size, seed):
        begin = time.perf_counter()
        logits = engine.infer(clip[None])
        yield logits, 1000 * (time.perf_counter() - begin)


def _ask_stream(engine: GraphEngine, seed: int) -> Iterator[tuple[Logits, float]]:
    """Two clips frame by frame: until slots are written anew; then after a reset, with two samples lost."""
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
    """What to do about a device that answers wrongly."""
    if device == "cpu":
        return (
            "Use the FP32 bundle if this one is INT8, or make it on this machine with 's2d-edge export' and "
            "'s2d-edge calibrate'."
        )
    text = "Use --device cpu, or update the device's driver and try 's2d-edge selftest' again."
    if device == "npu":
        text += (
            " NPU drivers have answered transformers wrongly without an error, until a newer one "
            "(openvinotoolkit/openvino issue 37264)."
        )
    return text
