"""The gate and the search: limits, order of the steps, and a hostile model that passes in the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import s2d_edge
from s2d_edge.calibrate.clips.choice import ClipChoice, choose_clips
from s2d_edge.calibrate.clips.validation import choose_validation
from s2d_edge.calibrate.quantize.making import Workshop
from s2d_edge.calibrate.quantize.recipe import Recipe, recipe_for
from s2d_edge.calibrate.report.render import gate_rows
from s2d_edge.calibrate.search.gate import GateLimits, Trial, allowance, gate_limits
from s2d_edge.calibrate.search.loop import Step, search
from s2d_edge.calibrate.search.validation import validating
from s2d_edge.contracts.bundle import Bundle, Target, open_bundle
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, DataError, QuantizationError
from s2d_edge.data.reading.dataset import Dataset, Sample
from tests.calibrate.hostile import write_hostile
from tests.colours import write_colours

pytestmark = pytest.mark.usefixtures("undrawn")

QUIET = Console(quiet=True)
USUAL = GateLimits(max_drop_pp=0.5, min_agreement=0.97)


@dataclass(frozen=True, kw_only=True)
class Fake:
    trial: Trial


def attempts(passing: str, failing: str = "") -> tuple[list[tuple[str, str]], list[Fake]]:
    """Search steps of one to three recipes; return what was attempted, and the candidates."""
    attempted: list[tuple[str, str]] = []

    def attempt(step: str, recipe: str) -> Fake:
        attempted.append((step, recipe))
        if recipe == failing:
            raise QuantizationError(recipe)
        passed = recipe == passing
        return Fake(trial=Trial(step=step, change=recipe, passed=passed, outcome=""))

    def reject(step: str, why: str) -> Fake:
        return Fake(trial=Trial(step=step, change="", passed=False, outcome=why))

    def after(tried: Sequence[Fake]) -> list[str]:
        return [f"after {len(tried)}"]

    steps: list[Step[str, Fake]] = [
        Step(name="own", recipes=lambda tried: ["usual"]),
        Step(name="ranges", recipes=lambda tried: ["usual", "wide", "narrow"]),
        Step(name="layers", recipes=after),
    ]
    return attempted, search(steps, attempt, reject)


def test_steps_are_tried_in_turn_until_one_passes() -> None:
    assert attempts("usual")[0] == [("own", "usual")]
    attempted, tried = attempts("wide")
    assert attempted == [("own", "usual"), ("ranges", "wide")]  # no recipe twice
    assert [one.trial.passed for one in tried] == [False, True]


def test_a_later_step_sees_earlier_trials_and_none_may_pass() -> None:
    attempted, tried = attempts("nothing")
    assert attempted[-1] == ("layers", "after 3")
    assert not any(one.trial.passed for one in tried)


def test_a_recipe_without_an_int8_graph_is_rejected_with_its_reason() -> None:
    attempted, tried = attempts("narrow", failing="wide")
    assert attempted == [("own", "usual"), ("ranges", "wide"), ("ranges", "narrow")]
    assert tried[1].trial.outcome == "wide"
    assert tried[-1].trial.passed
    with pytest.raises(QuantizationError, match="usual"):
        attempts("narrow", failing="usual")  # then no other recipe would give one


def test_limits_on_a_split() -> None:
    half = GateLimits(max_drop_pp=0.5, min_agreement=0.0)
    many = allowance([1000, 400, 0], half)  # of two classes a clip of the rarer is 1/800 of UAR
    assert (many.war_pp, many.uar_pp, many.rarest) == (0.5, 0.5, 1)
    assert many.granularity_pp == pytest.approx(0.125)
    few = allowance([90, 5], half)
    assert few.uar_pp == pytest.approx(10)
    assert few.allows(0.5, 10.0, 0.0)  # one clip of the rarest class
    assert not few.allows(0.5, 20.0, 1.0)
    assert not few.allows(0.51, 0.0, 1.0)
    assert few.allows(-3.0, -3.0, 0.0)
    exact = allowance([3] * 3, GateLimits(max_drop_pp=0.3, min_agreement=0.0))
    assert exact.allows(0.1 + 0.2, 0.0, 0.0)  # rounding is no drop
    agreeing = allowance([100, 100], GateLimits(max_drop_pp=0.5, min_agreement=0.97))
    assert agreeing.allows(0.5, 0.5, 194 / 200)
    assert not agreeing.allows(-1.0, -1.0, 193 / 200)
    assert agreeing.margin_pp(0.0, 0.0, 193 / 200) == pytest.approx(-0.5)


def people(split: str, *names: str) -> tuple[Sample, ...]:
    return tuple(
        Sample(path=Path(f"{split}-{k}.png"), label=k % 2, split=split, subject=name)
        for k, name in enumerate(names)
    )


def test_validation_clips_are_those_of_val_or_whole_people_of_the_calibration_split() -> None:
    samples = people("train", *(f"p{k // 4}" for k in range(32))) + people("test", "x", "y")
    without = Dataset(name="d", root=Path(), labels=("a", "b"), samples=samples)
    rest, carved = choose_validation(without, None, "train", 0, QUIET)
    assert (carved.split, carved.carved_from, len(carved.samples)) == ("val", "train", 8)
    assert not {one.subject for one in carved.samples} & {one.subject for one in rest.split("train")}
    assert len(rest.split("train")) == 24
    assert rest.split("test") == without.split("test")
    own = replace(without, samples=samples + people("val", "v"))
    same, given = choose_validation(own, None, "train", 0, QUIET)
    assert same == own
    assert (given.samples, given.carved_from) == (own.split("val"), None)
    with pytest.raises(DataError, match="'rest'"):
        choose_validation(own, "rest", "train", 0, QUIET)


def test_settings_out_of_range_are_rejected() -> None:
    for split in ("train", "test"):
        with pytest.raises(ConfigError, match=f"--val-split {split!r}"):
            clip_choice(None, val_split=split)
        assert clip_choice(None, val_split=split, is_gated=False)
    with pytest.raises(ConfigError, match="--subset 0"):
        clip_choice(None, subset=0)
    assert gate_limits(0.5, None) == GateLimits(max_drop_pp=0.5, min_agreement=0.97)
    assert gate_limits(np.inf, None) is None
    assert gate_limits(0.5, None, 1.2) == GateLimits(max_drop_pp=0.5, min_agreement=0.97, min_speedup=1.2)
    speed_alone = gate_limits(np.inf, None, 1.2)
    assert speed_alone is not None
    assert allowance([1, 1], speed_alone).allows(100.0, 100.0, 0.0)
    for speedup in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ConfigError, match=f"--min-speedup {speedup}"):
            gate_limits(0.5, None, speedup)
    for drop in (np.nan, -np.inf, -0.1, -1.0):
        with pytest.raises(ConfigError, match=f"--max-drop {drop}"):
            gate_limits(drop, None)
    for percent in (-1.0, 100.1, np.nan):
        with pytest.raises(ConfigError, match=f"--min-agreement {percent}"):
            gate_limits(0.5, percent)
    with pytest.raises(ConfigError, match="--min-agreement 97"):
        gate_limits(np.inf, 97)


def clip_choice(data: Path | None, **changes: Any) -> ClipChoice:
    options: dict[str, Any] = {
        "data": None if data is None else str(data),
        "split": "train",
        "eval_split": "test",
        "val_split": None,
        "subset": 12,
        "seed": 0,
        "skip_unreadable": False,
        "is_gated": True,
    }
    return ClipChoice(**(options | changes))


def hostile_data(root: Path) -> Path:
    for split, clips in (("train", 4), ("val", 10), ("test", 10)):
        write_colours(root, split, clips, lead=20)
    return root


@pytest.mark.slow(seconds=8)
@pytest.mark.parametrize(
    ("target", "planted", "step"),
    [
        ("intel-cpu", {"gain": 1000.0}, "SmoothQuant"),
        ("intel-cpu", {"outlier": 5000.0}, "sensitive layers in floating point"),
        ("jetson", {"gain": 1000.0}, "SmoothQuant"),
    ],
)
def test_planted_outliers_fail_the_plain_recipe_and_a_later_step_passes(
    tmp_path: Path, target: Target, planted: dict[str, float], step: str
) -> None:
    fp32 = write_hostile(tmp_path / "fp32", target, **planted)
    data = hostile_data(tmp_path / "data")
    out, report = s2d_edge.calibrate(
        fp32.path, data=str(data), out=tmp_path / "int8", sensitivity=0, console=QUIET
    )
    assert report.fp32.score["war"] == 1
    assert report.drop.war_pp <= 0.5  # on test
    assert report.drop.uar_pp <= 0.5
    gate = report.gate
    assert gate is not None
    own, chosen = gate.trials[0], gate.trials[-1]
    assert own.drop is not None
    assert own.drop.war_pp >= 5
    assert chosen.passed
    assert chosen.drop is not None
    assert chosen.drop.war_pp <= 0.5
    assert chosen.step == step
    recipe = open_bundle(out).manifest.calibration
    assert recipe is not None
    assert recipe.int8_mac_fraction >= 0.9
    assert ("float_layers" in recipe.recipe) == (chosen.step == "sensitive layers in floating point")
    assert json.loads((out / "report.json").read_text())["gate"]["trials"][-1]["step"] == chosen.step
    page, text = (out / "report.html").read_text(), (out / "report.md").read_text()
    for row in gate_rows(gate):
        assert row[-1] in text
    assert chosen.change in page


@pytest.mark.slow(seconds=6)
def test_agreement_decides_where_there_is_no_accuracy_to_lose(tmp_path: Path) -> None:
    """Every picture has a wrong label, so INT8 can only win; it still has to agree with FP32."""
    fp32 = write_hostile(tmp_path / "fp32", "intel-cpu", gain=1000.0)
    data = tmp_path / "data"
    for split, clips in (("train", 4), ("val", 10), ("test", 10)):
        write_colours(data, split, clips, lead=20, wrong=clips)

    _, report = s2d_edge.calibrate(
        fp32.path, data=str(data), out=tmp_path / "int8", sensitivity=0, console=QUIET
    )
    assert report.gate is not None
    own, chosen = report.gate.trials[0], report.gate.trials[-1]
    assert own.drop is not None
    assert own.drop.war_pp <= 0
    assert own.drop.agreement < 0.95
    assert own.outcome.startswith("agreement ")
    assert chosen.step == "SmoothQuant"
    assert report.drop.agreement >= 0.97  # on test
    assert report.gate.best is chosen
    assert report.gate.min_agreement == 0.97


@pytest.mark.slow(seconds=7)
def test_accuracy_control_puts_the_hostile_layer_back_into_floating_point(tmp_path: Path) -> None:
    """Without the steps before it, on either backend, and with limits that allow no loss."""
    data = hostile_data(tmp_path / "data")
    cases: tuple[tuple[Target, float, float], ...] = (
        ("intel-cpu", 0.5, 0.97),
        ("intel-cpu", 0.5, 1.0),
        ("jetson", 0.0, 0.97),
    )
    for number, (target, max_drop_pp, min_agreement) in enumerate(cases):
        fp32 = write_hostile(tmp_path / f"fp32-{number}", target, outlier=5000.0)
        recipe = replace(
            recipe_for(target, fp32.manifest.graph), algorithm="accuracy-control", smooth_quant_alpha=-1.0
        )
        limits = GateLimits(max_drop_pp=max_drop_pp, min_agreement=min_agreement)
        assert drop_of(fp32, data, recipe, tmp_path / f"int8-{number}", limits) <= max_drop_pp


def drop_of(
    fp32: Bundle,
    data: Path,
    recipe: Recipe,
    folder: Path,
    limits: GateLimits = USUAL,
) -> float:
    """Return the drop of WAR of one recipe on the validation clips, percentage points."""
    clips = choose_clips(clip_choice(data), fp32.manifest, QUIET)
    assert clips.validation is not None
    workshop = Workshop(source=fp32, name="int8", clips=clips)
    folder.mkdir()
    with (
        validating(
            fp32,
            clips.validation.samples,
            "val",
            limits,
            device="cpu",
            seed=0,
            skip_unreadable=False,
            console=QUIET,
        ) as validation,
        validation.control() as control,
    ):
        made = workshop.make(folder, recipe, QUIET, control)
        return validation.measure(made, QUIET).drop.war_pp
