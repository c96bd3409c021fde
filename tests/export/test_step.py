"""The step graph against the causal model that sees the whole history, on both runtimes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.model_config import TemporalConfig
from s2d_edge.core.console import Console
from s2d_edge.core.errors import BundleError, ConfigError, DeviceError
from s2d_edge.export.command import export_run
from s2d_edge.export.step import FusedStep
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.engines.stream import StreamSession
from s2d_edge.media.video import read_video
from s2d_edge.model.s2d import S2D
from tests.models import CAUSAL, TINY, random_model, with_vit, write_random_run
from tests.shared import Shared

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

T = CAUSAL.frames
# 4 channels a head, where CAUSAL has 8, and a block between the first and the last
NARROW_HEADS = replace(
    with_vit(CAUSAL, depth=3), temporal=TemporalConfig(ratio=1 / 3, heads=4, mode="causal")
)


def _frames(count: int) -> NDArray[np.uint8]:
    """(1, F, S, S, 3): a picture that drifts, so neighbours are similar, as in a video."""
    size = CAUSAL.vit.image_size
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 256, (size, size + count, 3), dtype=np.uint8)
    frames: NDArray[np.uint8] = np.stack([scene[:, k : k + size] for k in range(count)])[None]
    return frames


def _whole(model: S2D, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.inference_mode():
        logits: NDArray[np.float32] = model.stream(torch.from_numpy(frames))[0].numpy()
    return logits


RING_LAYOUTS = {  # every way a ring is written and read
    "host copies, wide heads": ("intel-cpu", CAUSAL),
    "host copies, narrow heads": ("intel-cpu", NARROW_HEADS),
    "device writes in place": ("jetson", CAUSAL),
}


@pytest.fixture(scope="module", params=RING_LAYOUTS)
def streamed(request: pytest.FixtureRequest, shared: Shared) -> tuple[S2D, Bundle]:
    target, config = RING_LAYOUTS[request.param]
    return random_model(config), shared.exported(target, "stream", config)


def _steps(session: StreamSession, frames: NDArray[np.uint8], first: int = 0) -> NDArray[np.float32]:
    return np.concatenate([session.step(frames[:, k], first + k) for k in range(frames.shape[1])])


@pytest.mark.slow(seconds=15)
def test_every_frame_has_the_logits_of_the_whole_history(streamed: tuple[S2D, Bundle]) -> None:
    model, bundle = streamed
    frames = _frames(80)  # twenty times round the rings
    want = _whole(model, frames)
    with open_engine(bundle, "cpu") as engine:
        session = engine.open_stream()
        np.testing.assert_allclose(_steps(session, frames), want, atol=1e-4)
        assert session.seen == T
        session.reset()
        assert session.seen == 0
        np.testing.assert_allclose(_steps(session, frames[:, :9]), want[:9], atol=1e-4)


@pytest.mark.slow(seconds=3)
def test_a_real_clip_frame_by_frame(streamed: tuple[S2D, Bundle], shared_data: Path) -> None:
    model, bundle = streamed
    side = CAUSAL.vit.image_size
    clip = itertools.islice(read_video(shared_data / "clips" / "d9.mp4"), 80)
    frames = np.stack([cv2.resize(picture, (side, side)) for _, picture in clip])[None]
    assert frames.shape[1] == 80
    with open_engine(bundle, "cpu") as engine:
        logits = _steps(engine.open_stream(), frames)
    np.testing.assert_allclose(logits, _whole(model, frames), atol=1e-4)


def test_two_faces_keep_two_states(streamed: tuple[S2D, Bundle]) -> None:
    model, bundle = streamed
    frames = _frames(12)
    other = ~frames
    with open_engine(bundle, "cpu") as engine:
        one, two = engine.open_stream(), engine.open_stream()
        mixed = [(one.step(frames[:, k], k), two.step(other[:, k], k)) for k in range(12)]
    np.testing.assert_allclose(np.concatenate([a for a, _ in mixed]), _whole(model, frames), atol=1e-4)
    np.testing.assert_allclose(np.concatenate([b for _, b in mixed]), _whole(model, other), atol=1e-4)


def test_a_gap_ages_the_slots_and_a_long_one_resets_the_state(streamed: tuple[S2D, Bundle]) -> None:
    model, bundle = streamed
    frames = _frames(T + 2)
    with open_engine(bundle, "cpu") as engine:
        session = engine.open_stream()
        _steps(session, frames[:, :T])
        session.step(frames[:, T], T + 1)  # one sample was lost: T - 2 older ones are left
        assert session.seen == T - 1
        assert not session.warming  # the stream is longer than T frames last
        assert session.pace == pytest.approx((T - 1) / (T - 2))
        late = session.step(frames[:, T + 1], 5 * T)
        assert session.seen == 1
    np.testing.assert_allclose(late, _whole(model, frames[:, T + 1 :]), atol=1e-4)


def test_a_clip_is_predicted_from_an_empty_state(streamed: tuple[S2D, Bundle]) -> None:
    model, bundle = streamed
    clip = _frames(T)
    with open_engine(bundle, "cpu") as engine:
        engine.infer(~clip)
        np.testing.assert_allclose(engine.infer(clip), _whole(model, clip)[-1:], atol=1e-4)


@pytest.mark.parametrize("apart", [4 / 3, 2.0, 2.6, 9.0])
def test_frames_further_apart_have_their_true_ages_in_files_too(
    streamed: tuple[S2D, Bundle], apart: float
) -> None:
    """The graph frame by frame, a clip of it, and the model in PyTorch agree about a slow source."""
    model, bundle = streamed
    clip, numbers = _frames(T), apart * np.arange(T)
    with open_engine(bundle, "cpu") as engine:
        predicted = engine.infer(clip, numbers)
        session = engine.open_stream()
        for frame, number in enumerate(numbers):
            live = session.step(clip[:, frame], number)
        usual = engine.infer(clip)
    np.testing.assert_array_equal(predicted, live)
    with torch.inference_mode():
        whole = model(torch.from_numpy(clip), numbers=torch.from_numpy(numbers)[None]).numpy()
    np.testing.assert_allclose(predicted, whole, atol=1e-4)
    assert np.abs(predicted - usual).max() > 1e-4


def test_the_manifest_describes_the_state(streamed: tuple[S2D, Bundle]) -> None:
    model, bundle = streamed
    manifest = bundle.manifest
    slots = T if manifest.graph == "model.onnx" else T - 1
    assert manifest.slots == slots
    assert all(ring.shape[ring.slot_axis] == slots for ring in manifest.rings)
    whole_slots = manifest.graph == "model.onnx" or model.config == NARROW_HEADS
    assert manifest.rings[1].slot_axis == (0 if whole_slots else 2)
    vit = model.config.vit
    assert len(manifest.rings) == 1 + 2 * vit.depth
    entry = vit.width + 2 * vit.depth * vit.grid**2 * model.config.bottleneck
    assert manifest.state_bytes == 4 * slots * entry


def test_an_input_that_is_no_next_frame_is_rejected(streamed: tuple[S2D, Bundle]) -> None:
    frames = _frames(2)
    with open_engine(streamed[1], "cpu") as engine:
        session = engine.open_stream()
        session.step(frames[:, 0], 3)
        with pytest.raises(DeviceError, match="sample 3"):
            session.step(frames[:, 1], 3)
        with pytest.raises(DeviceError, match="uint8"):
            session.step(frames[:, 0, :-1], 4)


def test_only_a_causal_run_becomes_a_stream(tmp_path: Path) -> None:
    write_random_run(tmp_path / "run", TINY)
    with pytest.raises(ConfigError, match="--temporal causal"):
        export_run(
            target="intel-cpu",
            mode="stream",
            run=tmp_path / "run",
            out=tmp_path / "bundle",
            console=Console(quiet=True),
        )
    assert not (tmp_path / "bundle").exists()
    with pytest.raises(ConfigError, match="--mode 'sideways'"):
        export_run(mode="sideways", console=Console(quiet=True))
    with pytest.raises(ConfigError):
        FusedStep(random_model(replace(CAUSAL, frames=1)), in_place=False)


@pytest.mark.slow(seconds=4)
def test_a_window_bundle_opens_no_stream(shared: Shared) -> None:
    bundle = shared.exported("intel-cpu", "window", CAUSAL)
    with open_engine(bundle, "cpu") as engine, pytest.raises(BundleError, match="--mode stream"):
        engine.open_stream()
