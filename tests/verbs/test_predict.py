"""``evaluate`` and ``predict``, from the command line to JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from s2d_edge.contracts.engine import softmax
from tests.colours import write_colours
from tests.firmware_host.graphs import LABELS, make_bundle
from tests.verbs.command import run


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundles" / "colours").path


@pytest.mark.slow(seconds=2)
def test_evaluate_writes_only_the_score_to_stdout(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_colours(tmp_path / "data", "test", 4, wrong=1)
    assert run("evaluate", bundle, "--data", data, "--json", "-") == 0
    out, err = capsys.readouterr()
    score = json.loads(out)
    assert score["n"] == 12
    assert score["war"] == score["uar"] == 0.75
    assert score["confusion"] == [[3, 1, 0], [0, 3, 1], [1, 0, 3]]
    for shown in ("75.00", "confusion", "recall blue", "OpenVINO"):
        assert shown in err


@pytest.mark.slow(seconds=2)
def test_an_unreadable_clip_ends_the_evaluation_or_is_skipped_and_counted(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_colours(tmp_path / "data", "test", 2, wrong=1)
    (data / "test/red/0.png").write_bytes(b"")
    assert run("evaluate", bundle, "--data", data, "--json", "-") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "red/0.png" in err
    assert run("evaluate", bundle, "--data", data, "--json", "-", "--skip-unreadable") == 0
    out, err = capsys.readouterr()
    score = json.loads(out)
    assert (score["n"], score["skipped"], score["protocol"]) == (5, 1, "default")
    assert score["confusion"] == [[1, 0, 0], [0, 1, 1], [1, 0, 1]]
    assert "warning: " in err
    assert "red/0.png" in "".join(err.split())


def test_evaluate_defaults_to_the_newest_bundle(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_colours(tmp_path / "data", "val", 1)
    monkeypatch.chdir(tmp_path)
    assert run("evaluate", "--data", "data", "--split", "val", "--json", "score.json", "--quiet") == 0
    assert json.loads((tmp_path / "score.json").read_text())["war"] == 1


def predictions_of(capsys: pytest.CaptureFixture[str], *words: object) -> list[dict[str, Any]]:
    assert run("predict", *words, "--json", "-") == 0
    payload = json.loads(capsys.readouterr().out)
    assert list(payload) == ["results", "unreadable"]
    assert payload["unreadable"] == []
    results: list[dict[str, Any]] = payload["results"]
    return results


def test_predict_files_pictures_and_folders(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = np.full((48, 48, 3), (20, 40, 200), np.uint8)
    folder = tmp_path / "clip"
    folder.mkdir()
    for k in range(4):
        assert cv2.imwrite(str(folder / f"{k}.png"), picture)  # BGR: red is strongest
    single = tmp_path / "green.png"
    assert cv2.imwrite(str(single), picture[:, :, [0, 2, 1]])
    red, green = predictions_of(capsys, bundle, folder, single, "--no-crop")
    assert list(red)[:4] == ["path", "label", "probabilities", "logits"]
    assert (red["path"], red["label"], green["label"]) == (str(folder), "red", "green")
    np.testing.assert_allclose(red["logits"], [20, 4, 2], rtol=1e-5)
    wanted = softmax(np.array([20, 4, 2], dtype=np.float32))
    assert list(red["probabilities"]) == list(LABELS)
    np.testing.assert_allclose(list(red["probabilities"].values()), wanted, rtol=1e-4)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("predict", "{bundle}", "absent.mp4"), "absent.mp4"),
        (("predict", "{bundle}", "good.png", "text.mp4", "--no-crop"), "text.mp4"),
        (("predict", "nowhere", "good.png"), "nowhere"),
        (("predict", ".", "good.png"), "manifest.json"),
        (("predict", "{bundle}", "good.png", "--device", "tpu"), "'tpu'"),
        (("evaluate", "{bundle}", "--data", "absent"), "--data absent"),
        (("evaluate", "{bundle}", "--data", "data", "--split", "val"), "'val'"),
        (("evaluate",), "bundles/"),
    ],
)
@pytest.mark.usefixtures("no_starter")
def test_an_error_is_one_sentence_and_exit_code_1(
    tmp_path: Path,
    bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    named: str,
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    write_colours(work / "data", "test", 1)
    (work / "text.mp4").write_text("not a video")
    assert cv2.imwrite("good.png", np.zeros((48, 48, 3), np.uint8))
    assert run(*(word.format(bundle=bundle) for word in words), "--quiet") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert named in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_a_run_folder_without_weights_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from s2d_edge.contracts.clip import CropRecipe
    from s2d_edge.contracts.model_config import preset
    from s2d_edge.contracts.runs import RunInfo, write_run_info

    model = preset("demo")
    crop = CropRecipe(size=model.vit.image_size)
    labels = tuple("abcdefg")
    write_run_info(tmp_path, RunInfo(name="r", stage="video", labels=labels, fps=8.0, crop=crop, model=model))
    assert run("predict", tmp_path, __file__, "--quiet") == 1
    assert "weights.safetensors" in capsys.readouterr().err
