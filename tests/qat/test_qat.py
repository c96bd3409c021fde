"""Quantization-aware fine-tuning: it brings INT8 nearer to FP32, and the gate records it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from s2d_edge.api.stages import calibrate
from s2d_edge.calibrate.graphs import int8_macs
from s2d_edge.calibrate.graphs.feeds import feeds_of
from s2d_edge.calibrate.quantize.onnx_graph import quantize_onnx
from s2d_edge.calibrate.quantize.openvino_graph import quantize_openvino
from s2d_edge.calibrate.quantize.recipe import Recipe, recipe_for
from s2d_edge.calibrate.report.render import tuning_sentences
from s2d_edge.calibrate.search import choose
from s2d_edge.calibrate.search.gate import Allowance
from s2d_edge.calibrate.search.steps import steps_for
from s2d_edge.calibrate.search.tuning import NOT_TUNED, TuningClips, TuningSettings
from s2d_edge.contracts.bundle import Bundle, open_bundle, seal
from s2d_edge.contracts.engine import Clip
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, DataError, TooLargeDropError
from s2d_edge.export.fuse import FusedS2D
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.qat.fake_quantize import FakeQuantizedModel
from s2d_edge.qat.tuner import RunTuner, run_tuner
from tests.calibrate.hostile import write_hostile
from tests.colours import write_colours
from tests.firmware_host.graphs import LABELS
from tests.models import CAUSAL, TINY, random_clip, random_model, write_random_run
from tests.shared import Shared

# Slow together, for what they share.
pytestmark = [pytest.mark.slow(seconds=1), pytest.mark.usefixtures("undrawn")]

QUIET = Console(quiet=True)
BRIEF = TuningSettings(steps=12, batch_clips=2, evaluations=4)


def _clips(first: int, count: int) -> list[Clip]:
    """Noise, a third of it dark and a third darker."""
    return [(random_clip(TINY, seed=k) // (1 + k % 3)).numpy() for k in range(first, first + count)]


CALIBRATION, TRAIN, HELD_OUT, UNSEEN = _clips(0, 4), _clips(0, 12), _clips(100, 6), _clips(200, 12)


def _int8(source: Bundle, recipe: Recipe, folder: Path) -> Bundle:
    """Quantize as the gate does, without its check: too few MACs of a tiny model are INT8."""
    folder.mkdir()
    quantize = quantize_onnx if recipe.backend == "onnx" else quantize_openvino
    with feeds_of(source, CALIBRATION) as feeds:
        quantize(source.graph_path, folder / source.manifest.graph, recipe, feeds, len(feeds))
    return Bundle(folder, seal(folder, source.manifest.model_copy(update={"self_test": None, "face": None})))


def _logits_of_unseen(bundle: Bundle) -> NDArray[np.float32]:
    """Logits on clips that neither trained nor chose the weights."""
    with open_engine(bundle, "cpu") as engine:
        return np.concatenate([engine.infer(clip) for clip in UNSEEN])


@pytest.mark.slow(seconds=12)
@pytest.mark.parametrize(("target", "mode"), [("intel-cpu", "window"), ("jetson", "stream")])
def test_int8_is_nearer_to_fp32_after_fine_tuning(
    shared: Shared, tmp_path: Path, target: str, mode: str
) -> None:
    fp32 = shared.exported(target, mode, CAUSAL if mode == "stream" else TINY)
    recipe = recipe_for(fp32.manifest.target, fp32.manifest.graph, fp32.manifest.mode)
    place = tmp_path / "tuned"
    place.mkdir()
    tuner = RunTuner(run=fp32.path.parent / "run", settings=BRIEF)
    tuner.check(fp32)
    clips = TuningClips(calibration=CALIBRATION, train=TRAIN, held_out=HELD_OUT)
    tuned = tuner.tune(fp32, recipe, clips, place, QUIET)
    assert open_bundle(place).manifest.mode == mode
    assert tuned.record.rms_after < tuned.record.rms_before
    assert (tuned.record.steps, tuned.record.clips, tuned.record.held_out) == (12, 12, 6)
    expected = _logits_of_unseen(fp32)
    before = _logits_of_unseen(_int8(fp32, recipe, tmp_path / "before")) - expected
    after = _logits_of_unseen(_int8(tuned.bundle, recipe, tmp_path / "after")) - expected
    assert np.square(after).mean() < 0.9**2 * np.square(before).mean()


@pytest.mark.slow(seconds=4)
@pytest.mark.parametrize("alpha", [0.95, -1.0])
def test_untrained_weights_are_unchanged_without_the_quantizers(alpha: float) -> None:
    fused = FusedS2D(random_model(TINY))
    recipe = replace(recipe_for("intel-cpu", "model.xml"), smooth_quant_alpha=alpha)
    quantized = FakeQuantizedModel(fused, recipe, CALIBRATION)
    clip = torch.from_numpy(UNSEEN[0])
    with torch.no_grad():
        assert (quantized(clip) - fused(clip)).abs().max() > 1e-3  # it does quantize
        assert torch.allclose(quantized.without_quantizers()(clip), fused(clip), atol=1e-5)


def test_a_run_that_is_not_the_bundles_is_rejected(shared: Shared, tmp_path: Path) -> None:
    fp32 = shared.exported("intel-cpu", "window", TINY)
    write_random_run(tmp_path / "other", TINY, seed=1)
    with pytest.raises(ConfigError, match=f"--run {tmp_path / 'other'}"):
        RunTuner(run=tmp_path / "other", settings=BRIEF).check(fp32)
    write_random_run(tmp_path / "slow", TINY, fps=2.0)
    with pytest.raises(ConfigError, match=f"--run {tmp_path / 'slow'}"):
        RunTuner(run=tmp_path / "slow", settings=BRIEF).check(fp32)
    with pytest.raises(ConfigError, match="--run"):
        calibrate(fp32.path, max_drop_pp=np.inf, run=fp32.path.parent / "run", console=QUIET)


def test_settings_out_of_range_are_rejected() -> None:
    with pytest.raises(ConfigError, match="--tune-steps 0"):
        TuningSettings(steps=0)
    with pytest.raises(ConfigError, match="--tune-lr 0"):
        TuningSettings(lr=0)
    assert TuningSettings().affordable(2**28) == 4
    assert TuningSettings().affordable(1) == 512


def test_tuning_options_need_a_run() -> None:
    assert run_tuner(None) is None
    options: list[dict[str, Any]] = [{"steps": 10}, {"lr": 1e-4}, {"data": "pictures"}]
    for each in options:
        with pytest.raises(ConfigError, match="--run"):
            run_tuner(None, **each)
    run = Path("runs/avatars")
    assert run_tuner(run, seed=3) == RunTuner(run=run, settings=TuningSettings(seed=3))
    tuner = run_tuner(run, steps=10, lr=1e-4)
    assert tuner is not None
    assert (tuner.settings.steps, tuner.settings.lr) == (10, 1e-4)


def _few_steps(monkeypatch: pytest.MonkeyPatch, *passes: bool) -> None:
    """Keep the first and the last step of the search, decide in the gate's place, and accept little INT8."""
    verdicts = iter(passes)
    monkeypatch.setattr(Allowance, "allows", lambda self, war_drop_pp, uar_drop_pp, agreement: next(verdicts))
    monkeypatch.setattr(
        choose,
        "steps_for",
        lambda *given: steps_for(*given)[:: len(steps_for(*given)) - 1],
    )
    monkeypatch.setattr(int8_macs, "LEAST_FRACTION", 0.5)


def _data(root: Path, labels: Sequence[str] = LABELS) -> str:
    """Pictures in the folders of ``labels``, whose number is that of the colours."""
    for split, clips in (("train", 4), ("val", 2), ("test", 1)):
        write_colours(root, split, clips, lead=60)
        for colour, label in zip(LABELS, labels, strict=True):
            (root / split / colour).rename(root / split / label)
    return str(root)


@pytest.mark.slow(seconds=12)
def test_the_search_ends_with_fine_tuning_and_records_it(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clips to train on have no labels, and none of them may be one to measure on."""
    fp32 = shared.exported("intel-cpu", "window", TINY)
    _few_steps(monkeypatch, False, True, True)  # the target's own recipe is made to fail
    loose = tmp_path / "loose" / "inside"
    loose.mkdir(parents=True)
    write_colours(tmp_path / "more", "train", 4, lead=60, seed=1)
    for number, picture in enumerate(sorted((tmp_path / "more").rglob("*.png"))):
        picture.rename(loose / f"{number}.png")
    given: dict[str, Any] = {
        "data": _data(tmp_path / "data", fp32.manifest.labels),
        "subset": 4,
        "sensitivity": 0,
        "run": fp32.path.parent / "run",
        "tune_steps": BRIEF.steps,
        "tune_lr": BRIEF.lr,
        "tune_data": loose.parent,
        "console": QUIET,
    }
    tested = next((tmp_path / "data" / "test").rglob("*.*"))
    copy = loose / f"copy{tested.suffix}"
    shutil.copy(tested, copy)
    with pytest.raises(DataError, match=tested.name):
        calibrate(fp32.path, **given, out=tmp_path / "overlapping")
    copy.unlink()
    out, report = calibrate(fp32.path, **given, out=tmp_path / "int8")
    assert report.gate is not None
    own, tuned = report.gate.trials
    assert (own.tuning, tuned.step) == (None, "quantization-aware fine-tuning")
    assert tuned.tuning is not None
    assert tuned.tuning.clips + tuned.tuning.held_out == 12
    assert tuned.tuning.rms_after < tuned.tuning.rms_before  # on held-out clips, which chose the weights
    manifest = open_bundle(out).manifest
    assert manifest.calibration is not None
    assert manifest.calibration.recipe["tuning_steps"] == BRIEF.steps
    assert manifest.face == fp32.manifest.face is not None  # the pack of the bundle that was named
    record = json.loads((out / "report.json").read_text())["gate"]["trials"][-1]["tuning"]
    assert record["kept_step"] == tuned.tuning.kept_step
    [sentence] = tuning_sentences(report.gate)
    assert sentence in (out / "report.md").read_text()
    assert "The weights after step" in (out / "report.html").read_text()


@pytest.mark.slow(seconds=3)
def test_without_a_run_the_report_says_that_fine_tuning_was_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fp32 = write_hostile(tmp_path / "fp32", "intel-cpu")
    _few_steps(monkeypatch, False)
    report = tmp_path / "report.json"
    with pytest.raises(TooLargeDropError):
        calibrate(
            fp32.path,
            data=_data(tmp_path / "data"),
            subset=6,
            out=tmp_path / "int8",
            json=str(report),
            console=QUIET,
        )
    assert not (tmp_path / "int8").exists()
    last = json.loads(report.read_text())["gate"]["trials"][-1]
    assert (last["step"], last["outcome"]) == ("quantization-aware fine-tuning", NOT_TUNED)
