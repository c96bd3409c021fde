"""Compare ways to keep a stream's state: rings in FP32, FP16 or INT8, or variables inside the graph.

Takes an OpenVINO stream bundle, edits its graph into each variant, and prints a table: memory per face,
median time of a frame (all variants in turn), how far the logits move, and WAR on avatars.

    python docs/experiments/stream_state.py bundles/NAME [--rounds N] [--clips N]

INT8 rings are symmetric with one scale each, from the extremes on training clips.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops

from s2d_edge.calibrate.graphs.feeds import StreamFeeds
from s2d_edge.contracts.bundle import Bundle, TensorSpec, open_bundle
from s2d_edge.contracts.engine import Clip, Frame, Logits
from s2d_edge.core.console import Console
from s2d_edge.core.errors import exit_with_a_sentence
from s2d_edge.data.preparing.clips import load_many
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.firmware_host.bench.timing import next_step, random_clip, time_step
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.engines.stream import StreamSession

_CALIBRATION_CLIPS = 8


class Variant:
    """A graph edited from a bundle's, and the rings that it is fed with."""

    def __init__(self, bundle: Bundle, scales: dict[str, float] | None = None) -> None:
        self.manifest = bundle.manifest
        self.scales = scales or {}
        model = ov.Core().read_model(bundle.graph_path)
        self.pairs = list(zip(self.manifest.rings, self.manifest.outputs[1:], strict=True))
        self.edit(model)
        hints = self.manifest.execution.get("cpu", {}) | {"PERFORMANCE_HINT": "LATENCY"}
        self.request = ov.Core().compile_model(model, "CPU", hints).create_infer_request()
        self.rings = {ring.name: np.zeros(ring.shape, self.dtype(ring)) for ring, _ in self.pairs}

    def dtype(self, ring: TensorSpec) -> Any:
        return np.float32

    def edit(self, model: ov.Model) -> None:
        """FP32 rings: the graph as it is."""

    @property
    def state_bytes(self) -> int:
        return sum(ring.nbytes for ring in self.rings.values())

    def step(self, frame: Frame, age: NDArray[np.int32], slot: int) -> Logits:
        frame_spec, age_spec = self.manifest.inputs[:2]
        self.request.infer({frame_spec.name: frame, age_spec.name: age, **self.rings}, share_inputs=True)
        for ring, new in self.pairs:
            index = (slice(None),) * ring.slot_axis + (slot,)
            self.rings[ring.name][index] = self.request.get_tensor(new.name).data.squeeze(ring.slot_axis)
        return np.asarray(self.request.get_tensor(self.manifest.outputs[0].name).data)

    def copies(self) -> dict[str, NDArray[Any]]:
        return {name: ring.copy() for name, ring in self.rings.items()}


class HalfRings(Variant):
    """Rings in FP16, converted where the graph reads and writes them."""

    def dtype(self, ring: TensorSpec) -> Any:
        return np.float16

    def edit(self, model: ov.Model) -> None:
        steps = ov.preprocess.PrePostProcessor(model)
        for ring, new in self.pairs:
            steps.input(ring.name).tensor().set_element_type(ov.Type.f16)
            steps.output(new.name).tensor().set_element_type(ov.Type.f16)
        steps.build()


class ByteRings(Variant):
    """Rings in INT8 with a scale each; the small ring of class tokens stays as it is."""

    def dtype(self, ring: TensorSpec) -> Any:
        return np.int8 if ring.name in self.scales else np.float32

    def edit(self, model: ov.Model) -> None:
        for ring, new in self.pairs:
            if ring.name not in self.scales:
                continue
            scale = self.scales[ring.name]
            kept = model.input(ring.name).get_node()
            readers = list(kept.output(0).get_target_inputs())
            kept.set_element_type(ov.Type.i8)
            real = ops.multiply(ops.convert(kept, np.float32), np.float32(scale))
            for reader in readers:
                reader.replace_source_output(real.output(0))
            result = model.output(new.name).get_node()
            value = result.input(0).get_source_output()
            value.get_tensor().set_names({f"{new.name}.real"})
            steps = ops.round(ops.multiply(value, np.float32(1 / scale)), "half_to_even")
            byte = ops.convert(ops.clamp(steps, -127.0, 127.0), np.int8)
            result.input(0).replace_source_output(byte.output(0))
            result.input(0).get_tensor().set_names({new.name})
        model.validate_nodes_and_infer_types()


class Variables(Variant):
    """OpenVINO's own state: a variable per ring, updated inside the graph."""

    def edit(self, model: ov.Model) -> None:
        slot = ops.parameter([1], np.int32, name="slot")
        slot.output(0).get_tensor().set_names({"slot"})
        sinks = []
        # Empty slots are not seen, so any value will do; but where a variable that starts from a constant is
        # only reshaped, OpenVINO 2026.4 goes on with the constant.
        anything = ops.multiply(ops.convert(slot, np.float32), np.float32(1e-9))
        for ring, new in self.pairs:
            given = model.input(ring.name).get_node()
            start = ops.broadcast(anything, ops.constant(np.array(ring.shape, np.int64)))
            read = ops.read_value(start, ring.name, np.float32, list(ring.shape))
            for reader in list(given.output(0).get_target_inputs()):
                reader.replace_source_output(read.output(0))
            result = model.output(new.name).get_node()
            value = result.input(0).get_source_output()
            axis = ops.constant(np.int32(ring.slot_axis))
            sinks.append(ops.assign(ops.scatter_update(read, slot, value, axis), ring.name))
            model.remove_parameter(given)
            model.remove_result(result)
        model.add_parameters([slot])
        model.add_sinks(sinks)

    def step(self, frame: Frame, age: NDArray[np.int32], slot: int) -> Logits:
        frame_spec, age_spec = self.manifest.inputs[:2]
        feeds = {frame_spec.name: frame, age_spec.name: age, "slot": np.array([slot], np.int32)}
        self.request.infer(feeds, share_inputs=True)
        return np.asarray(self.request.get_tensor(self.manifest.outputs[0].name).data)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("bundle", type=Path)
    arguments.add_argument("--rounds", type=int, default=30)
    arguments.add_argument("--clips", type=int, default=0, help="number of test clips; 0 for all")
    args = arguments.parse_args()
    console = Console(quiet=True)
    bundle = open_bundle(args.bundle)
    scales = _scales(bundle, _clips(bundle, "train", _CALIBRATION_CLIPS, console)[0])
    variants = {
        "FP32 rings": Variant(bundle),
        "FP16 rings": HalfRings(bundle),
        "INT8 rings": ByteRings(bundle, scales),
        "OpenVINO variables, FP32": Variables(bundle),
    }
    sessions = {
        name: StreamSession(bundle.manifest, rings, lambda logits: logits) for name, rings in variants.items()
    }
    times = _times(bundle, list(sessions.values()), args.rounds)
    clips, labels = _clips(bundle, "test", args.clips, console)
    logits = {name: _last_logits(session, clips) for name, session in sessions.items()}
    exact = logits["FP32 rings"]
    print("| state | MiB per face | ms a frame | times FP32 rings | RMS of logits moved | WAR |")
    print("| --- | --- | --- | --- | --- | --- |")
    for (name, rings), spent_ms in zip(variants.items(), times, strict=True):
        moved = float(np.sqrt(np.mean((logits[name] - exact) ** 2)))
        war = float(np.mean(logits[name].argmax(axis=1) == labels))
        print(
            f"| {name} | {rings.state_bytes / 2**20:.2f} | {spent_ms:.2f} | {spent_ms / times[0]:.2f} "
            f"| {moved:.1e} | {war:.3f} |"
        )


def _clips(bundle: Bundle, split: str, count: int, console: Console) -> tuple[list[Clip], NDArray[np.int64]]:
    samples = open_dataset(None, console, bundle.manifest.labels).require_split(split)
    samples = samples[:: max(len(samples) // count, 1) if count else 1]
    manifest = bundle.manifest
    loaded = load_many([sample.path for sample in samples], manifest.spec, manifest.crop)
    return [clip.windows[:1] for clip in loaded], np.array([sample.label for sample in samples])


def _scales(bundle: Bundle, clips: Sequence[Clip]) -> dict[str, float]:
    largest: dict[str, float] = {}
    with open_engine(bundle, "cpu") as engine:
        for feed in StreamFeeds(clips, engine.open_stream()):
            for ring in bundle.manifest.rings[1:]:
                seen = float(np.abs(feed[ring.name]).max())
                largest[ring.name] = max(largest.get(ring.name, 1e-6), seen)
    return {name: value / 127 for name, value in largest.items()}


def _times(bundle: Bundle, sessions: Sequence[StreamSession], rounds: int) -> list[float]:
    """Median milliseconds of a frame of each, in turn."""
    noise = random_clip(bundle.manifest.spec)
    for session in sessions:
        for _ in range(bundle.manifest.frames):
            next_step(session, noise)
    spent = [[time_step(session, noise) for session in sessions] for _ in range(rounds)]
    for session in sessions:
        session.reset()
    medians: list[float] = np.median(spent, axis=0).tolist()
    return medians


def _last_logits(session: StreamSession, clips: Sequence[Clip]) -> NDArray[np.float32]:
    """(clips, K) logits after the last frame of each clip."""
    found = []
    for clip in clips:
        session.reset()
        for number in range(clip.shape[1]):
            logits = session.step(np.ascontiguousarray(clip[:, number]), number)
        found.append(logits[0].copy())
    return np.stack(found)


if __name__ == "__main__":
    with exit_with_a_sentence():
        main()
