"""``Model.stream`` and ``watch``: one face, or a whole source, frame by frame."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import s2d_edge
from s2d_edge.core.errors import ConfigError, MediaError, S2DEdgeError, SelfTestError
from s2d_edge.firmware_host.selftest import trust
from s2d_edge.media.video import read_video
from tests.firmware_host.graphs import make_bundle
from tests.pictures import plain

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share


@pytest.fixture(scope="module", params=["stream", "window"])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[s2d_edge.Model]:
    """The starter, which predicts frame by frame, and a bundle that predicts windows."""
    if request.param == "stream":
        given: str | Path = "starter"
    else:
        given = make_bundle(tmp_path_factory.mktemp("bundles") / "colours", fps=5.0).path
    with s2d_edge.load(given) as opened:
        yield opened


@pytest.mark.slow(seconds=4)
@pytest.mark.parametrize(("stride", "smooth_s"), [(1, 0.5), (3, 0.0)])
def test_a_stream_predicts_as_the_live_pipeline_does(
    model: s2d_edge.Model, face_video: Path, stride: int, smooth_s: float
) -> None:
    watched = list(s2d_edge.watch(face_video, model, stride=stride, smooth_s=smooth_s))
    with model.stream(stride=stride, smooth_s=smooth_s) as stream:
        pushed = [stream.push(frame, t_s) for t_s, frame in read_video(face_video)]
    streamed = [prediction for prediction in pushed if prediction is not None]
    assert len(streamed) == len(watched) > 5
    for prediction, result in zip(streamed, watched, strict=True):
        assert prediction.t_s == result.t_s
        assert (prediction.label, prediction.face) == (result.label, result.face)
        assert prediction.warming == result.warming
        assert prediction.logits == pytest.approx(result.logits, abs=1e-4)
        assert prediction.probabilities == pytest.approx(result.probabilities, abs=1e-5)
        assert prediction.frames == prediction.faces_found


def test_a_stream_warms_up_and_is_reset_by_a_gap(model: s2d_edge.Model, face_video: Path) -> None:
    period_s, frames = 1 / model.spec.fps, [frame for _, frame in read_video(face_video)]
    with model.stream() as stream:
        assert stream.warming
        seen = []
        for number in range(model.spec.frames):
            prediction = stream.push(frames[number], number * period_s)
            seen.append(0 if prediction is None else prediction.frames)
            assert stream.warming == (number < model.spec.frames - 1)
        windowed = seen[0] == 0
        assert seen == [
            0 if windowed and number < model.spec.frames else number for number in range(1, model.spec.frames)
        ] + [model.spec.frames]
        after_s = model.spec.frames * period_s + 5
        prediction = stream.push(frames[0], after_s)
        assert stream.warming
        assert (prediction is None) if windowed else (prediction is not None and prediction.frames == 1)


def test_frames_without_a_face_give_no_prediction(model: s2d_edge.Model) -> None:
    with model.stream() as stream:
        assert [stream.push(plain((90, 90, 90)), t_s) for t_s in (0.0, 1.0)] == [None, None]


def test_a_stream_rejects_other_inputs(model: s2d_edge.Model) -> None:
    frame = plain((90, 90, 90))
    with model.stream() as stream:
        for t_s in (float("inf"), float("nan")):
            with pytest.raises(MediaError, match=str(t_s)):
                stream.push(frame, t_s)
        stream.push(frame, 2.0)
        for t_s in (2.0, 1.0, float("nan"), float("inf")):
            with pytest.raises(MediaError, match=r"2\.0 s"):
                stream.push(frame, t_s)
        with pytest.raises(MediaError, match="float64"):
            stream.push(frame.astype(np.float64), 3.0)
    stream.close()
    with pytest.raises(S2DEdgeError, match="closed"):
        stream.push(frame, 4.0)
    with pytest.raises(ConfigError, match="0"):
        model.stream(stride=0)


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("s2d-")}


def test_leaving_the_loop_ends_the_threads_and_leaves_the_model_open(
    model: s2d_edge.Model, face_video: Path
) -> None:
    for result in s2d_edge.watch(face_video, model):
        assert result.label in model.labels
        break
    assert _threads() == set()
    with s2d_edge.watch(face_video, model) as results:
        next(results)
        assert _threads()
    assert _threads() == set()
    assert model.predict(face_video).label in model.labels


@pytest.mark.slow(seconds=4)
def test_a_model_is_opened_and_closed_for_the_loop(
    face_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # nothing under bundles/ here: the starter
    results = list(s2d_edge.watch(str(face_video)))
    assert len(results) == len(list(s2d_edge.watch(face_video, "starter"))) > 20
    assert isinstance(results[0], s2d_edge.LiveResult)


def test_a_source_that_is_not_there_is_an_error(model: s2d_edge.Model) -> None:
    for source in ("absent.mp4", 99):
        with pytest.raises(MediaError, match=str(source)):
            s2d_edge.watch(source, model)
    for nothing in (None, True):
        with pytest.raises(ConfigError, match=str(nothing)):
            s2d_edge.watch(nothing, model)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="17"):
        s2d_edge.watch("absent.mp4", model, max_faces=17)


def test_a_device_is_tested_before_its_first_result(
    face_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise SelfTestError("untrusted")

    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path))
    monkeypatch.setattr("s2d_edge.api.live.require_trust", fail)
    with pytest.raises(SelfTestError):
        s2d_edge.watch(face_video, "starter")
    assert trust.require_trust is not fail
