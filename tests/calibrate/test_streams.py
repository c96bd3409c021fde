"""Calibrate a step graph on the state that a stream has on real clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s2d_edge.calibrate.graphs.feeds import Feed, feeds_of
from s2d_edge.calibrate.graphs.int8_macs import count_macs
from s2d_edge.calibrate.quantize.onnx_graph import quantize_onnx
from s2d_edge.calibrate.quantize.openvino_graph import quantize_openvino
from s2d_edge.calibrate.quantize.recipe import recipe_for
from s2d_edge.contracts.bundle import Bundle, Manifest, seal
from s2d_edge.contracts.engine import Clip
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.lint.check import lint_graph
from tests.models import CAUSAL, random_clip
from tests.shared import Shared

# Slow together, for what they share.
pytestmark = [pytest.mark.slow(seconds=1), pytest.mark.usefixtures("undrawn")]

T = CAUSAL.frames


def _clips(count: int) -> list[Clip]:
    return [random_clip(CAUSAL, seed=k).numpy() for k in range(count)]


@pytest.fixture(scope="module", params=["intel-cpu", "jetson"])
def streamed(request: pytest.FixtureRequest, shared: Shared) -> Bundle:
    return shared.exported(request.param, "stream", CAUSAL)


def _seen(feed: Feed, manifest: Manifest) -> Feed:
    """Keep the parts of a feed that the graph reads: an empty slot may hold any numbers."""
    seen = np.flatnonzero(feed["age"] < T)
    return feed | {ring.name: feed[ring.name].take(seen, ring.slot_axis) for ring in manifest.rings}


def _same(one: Feed, other: Feed) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_feeds_hold_the_state_that_the_graph_has_there(streamed: Bundle) -> None:
    manifest = streamed.manifest
    short, other, long = _clips(1)[0], *(np.concatenate(_clips(k + 2)[k:], axis=1) for k in (1, 3))
    with feeds_of(streamed, [short, other, long]) as feeds:  # of T, 2 · T and 2 · T frames
        first, second = list(feeds), list(feeds)
        assert len(feeds) == len(first) == 12
    assert all(
        _same(_seen(one, manifest), _seen(other, manifest)) for one, other in zip(first, second, strict=True)
    )
    for early, last in zip(first[::4], first[3::4], strict=True):
        assert set(early) == {spec.name for spec in manifest.inputs}
        ages = sorted(int(age) for age in last["age"] if age < T)
        assert ages == list(range(1, T))  # the last step sees every frame before it
        assert (early["age"] < T).sum() < T - 1  # the early one does not
        held = _seen(last, manifest)
        assert all(np.abs(held[ring.name]).max() > 0 for ring in manifest.rings)


@pytest.mark.slow(seconds=3)
@pytest.mark.parametrize("streamed", ["jetson"], indirect=True)
def test_int8_step_passes_the_rules_of_tensorrt(streamed: Bundle, tmp_path: Path) -> None:
    """One of them: only linears and convolutions have weights in 8 bits, so age biases keep 32."""
    out = tmp_path / "model.onnx"
    with feeds_of(streamed, _clips(1)) as feeds:
        recipe = recipe_for("jetson", "model.onnx", "stream")
        quantize_onnx(streamed.graph_path, out, recipe, feeds, len(feeds))
    assert lint_graph(out, "jetson") == []


@pytest.mark.slow(seconds=13)
def test_int8_step_stays_near_fp32(shared: Shared, tmp_path: Path) -> None:
    fp32 = shared.exported("intel-cpu", "stream", CAUSAL)
    folder = tmp_path / "int8"
    folder.mkdir()
    with feeds_of(fp32, _clips(6)) as feeds:
        recipe = recipe_for("intel-cpu", "model.xml", "stream")
        quantize_openvino(fp32.graph_path, folder / "model.xml", recipe, feeds, len(feeds))
    assert lint_graph(folder / "model.xml", "intel-npu") == []  # its rules include those of the CPU
    assert count_macs(folder / "model.xml").fraction > 0.7  # of a tiny model
    int8 = Bundle(folder, seal(folder, fp32.manifest.model_copy(update={"self_test": None, "face": None})))
    clips = _clips(10)[6:]
    with open_engine(fp32, "cpu") as one, open_engine(int8, "cpu") as other:
        expected = np.concatenate([one.infer(clip) for clip in clips])
        found = np.concatenate([other.infer(clip) for clip in clips])
    assert not np.array_equal(expected, found)
    assert np.abs(expected - found).mean() < 0.25 * np.abs(expected).mean()
