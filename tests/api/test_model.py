"""A model opened from Python: what it takes, what it predicts, and when it is closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import s2d_edge
from s2d_edge.contracts.engine import softmax
from s2d_edge.core.errors import BundleError, ConfigError, DeviceError, MediaError, S2DEdgeError
from tests.colours import write_colours
from tests.firmware_host.graphs import FRAMES, LABELS, make_bundle
from tests.models import TINY, write_random_run
from tests.pictures import plain, write_video

RED = plain((200, 40, 20))
GREEN = plain((40, 200, 20))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle that predicts the strongest colour of its pictures."""
    return make_bundle(tmp_path / "bundles" / "colours").path


@pytest.fixture
def model(folder: Path) -> Iterator[s2d_edge.Model]:
    with s2d_edge.load(folder) as opened:
        yield opened


@pytest.mark.parametrize("threads", [0, -1, True])
def test_no_threads_are_refused(threads: int) -> None:
    with pytest.raises(ConfigError, match=f"threads={threads}"):
        s2d_edge.load("starter", threads=threads)


def test_an_opened_model_describes_itself(folder: Path, model: s2d_edge.Model) -> None:
    assert model.path == folder
    assert model.labels == LABELS
    assert (model.spec.frames, model.spec.fps, model.spec.size) == (FRAMES, 10.0, 48)
    assert "OpenVINO" in model.description
    assert model.description in repr(model)


def test_a_prediction_has_every_figure(model: s2d_edge.Model) -> None:
    prediction = model.predict(np.stack([RED] * FRAMES), crop=False)
    assert (prediction.label, prediction.probability) == ("red", prediction.probabilities["red"])
    assert prediction.logits == pytest.approx((20, 4, 2))
    wanted = softmax(np.array([20, 4, 2], np.float32))
    assert list(prediction.probabilities) == list(LABELS)
    assert list(prediction.probabilities.values()) == pytest.approx(wanted.tolist(), rel=1e-4)
    assert (prediction.frames, prediction.faces_found, prediction.faces_missed) == (FRAMES, 0, 0)
    assert (prediction.repeated, prediction.warming) == (False, False)
    assert (prediction.t_s, prediction.face) == (None, None)


def test_a_frame_without_a_face_is_counted(model: s2d_edge.Model) -> None:
    prediction = model.predict([RED] * FRAMES)
    assert (prediction.label, prediction.faces_found, prediction.faces_missed) == ("red", 0, FRAMES)


def test_a_clip_is_the_same_in_memory_and_in_files(tmp_path: Path, model: s2d_edge.Model) -> None:
    generator = np.random.default_rng(0)
    frames = generator.integers(0, 255, (7, 64, 96, 3)).astype(np.uint8)  # 7: four of them are taken evenly
    files = [tmp_path / "clip" / f"{k}.png" for k in range(len(frames))]
    files[0].parent.mkdir()
    for file, frame in zip(files, frames, strict=True):
        Image.fromarray(frame).save(file)
    of_folder = model.predict(tmp_path / "clip", crop=False)
    assert of_folder.frames == FRAMES
    clips: list[Any] = [frames, list(frames), files, [str(files[0]), *frames[1:]], str(tmp_path / "clip")]
    for clip in clips:
        assert model.predict(clip, crop=False) == of_folder


def test_one_picture_stands_still(tmp_path: Path, model: s2d_edge.Model) -> None:
    Image.fromarray(GREEN).save(tmp_path / "green.png")
    of_file = model.predict(tmp_path / "green.png", crop=False)
    assert (of_file.label, of_file.frames) == ("green", 1)
    assert model.predict(GREEN, crop=False).logits == of_file.logits


def test_a_long_video_is_predicted_from_both_ends(tmp_path: Path, model: s2d_edge.Model) -> None:
    video = write_video(tmp_path / "clip.avi", [RED] * 10 + [GREEN] * 10, fps=20.0)
    prediction = model.predict(video, crop=False)
    assert prediction.frames == 2 * FRAMES
    assert prediction.logits[0] == pytest.approx(prediction.logits[1], rel=0.05)


def test_a_long_video_is_predicted_window_by_window(tmp_path: Path, model: s2d_edge.Model) -> None:
    video = write_video(tmp_path / "clip.avi", [RED] * 16 + [GREEN] * 24, fps=20.0)
    predictions = list(model.predict_every(video, 0.4, crop=False))
    assert [prediction.label for prediction in predictions] == ["red", "red", "green", "green", "green"]
    assert [prediction.windows_s for prediction in predictions[:2]] == [((0.0, 0.3),), ((0.4, 0.7),)]
    assert predictions[-1].t_s == pytest.approx(1.9)
    assert predictions[0].seconds_covered == pytest.approx(0.3)
    with pytest.raises(MediaError, match="clock"):
        next(model.predict_every(tmp_path, 1.0))


def test_many_clips_are_predicted_in_order(
    tmp_path: Path, model: s2d_edge.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_colours(tmp_path / "data", "test", 1)
    paths = [data / "test" / label / "0.png" for label in LABELS]
    predictions = model.predict_many(paths, crop=False)
    assert [prediction.label for prediction in predictions] == list(LABELS)
    assert predictions == [model.predict(path, crop=False) for path in paths]
    assert capsys.readouterr() == ("", "")
    with pytest.raises(MediaError, match="absent"):
        model.predict_many([paths[0], "absent.png"])
    assert model.predict_many([]) == []
    for one in (paths[0], str(paths[0])):
        with pytest.raises(MediaError, match=paths[0].name):
            model.predict_many(one)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("clip", "named"),
    [
        (np.zeros((4, 8, 8, 3), np.float32), "float32"),
        (np.zeros((4, 3, 8, 8), np.uint8), r"\(3, 8, 8\)"),
        (np.zeros((8, 8), np.uint8), r"\(8,\)"),
        (np.zeros((0, 8, 8, 3), np.uint8), "no frame"),
        ([], "no frame"),
        ([RED, 7], "int"),
        (None, "NoneType"),
        (7, "int"),
        ("absent.mp4", "absent"),
    ],
)
def test_a_clip_of_another_kind_is_rejected(model: s2d_edge.Model, clip: Any, named: str) -> None:
    with pytest.raises(MediaError, match=named):
        model.predict(clip)


def test_a_closed_model_is_not_used_again(folder: Path) -> None:
    model = s2d_edge.load(folder)
    model.close()
    model.close()
    assert "closed" in repr(model)
    for use in (lambda: model.predict(RED), lambda: model.predict_many([folder]), model.stream):
        with pytest.raises(S2DEdgeError, match="closed"):
            use()


def test_a_model_that_is_not_there_is_an_error(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(S2DEdgeError, match="nowhere"):
        s2d_edge.load(tmp_path / "nowhere")
    with pytest.raises(BundleError, match="empty"):
        s2d_edge.load("")
    with pytest.raises(DeviceError, match="cuda"):
        s2d_edge.load(folder, device="cuda")
    (folder / "model.xml").write_text("")
    with pytest.raises(BundleError, match=r"model\.xml"):
        s2d_edge.load(folder)


def test_none_is_the_newest_bundle(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with s2d_edge.load() as model:
        assert model.path.resolve() == folder.resolve()


def test_a_run_is_a_model_too(tmp_path: Path) -> None:
    write_random_run(tmp_path / "run")
    with s2d_edge.load(tmp_path / "run") as model:
        assert (model.labels, model.bundle) == (("a", "b", "c"), None)
        assert "PyTorch" in model.description
        prediction = model.predict(np.zeros((TINY.frames, 64, 64, 3), np.uint8), crop=False)
    assert sum(prediction.probabilities.values()) == pytest.approx(1)


@pytest.mark.slow(seconds=2)
def test_evaluate_takes_an_opened_model_and_leaves_it_open(
    tmp_path: Path, folder: Path, model: s2d_edge.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_colours(tmp_path / "data", "test", 4, wrong=1)
    capsys.readouterr()
    result = s2d_edge.evaluate(model, data=data)
    assert (result["n"], result["war"], result["model"]["name"]) == (12, 0.75, "colours")
    assert s2d_edge.evaluate(folder, data=str(data)) == result
    assert model.predict(RED, crop=False).label == "red"
    assert capsys.readouterr().out == ""
