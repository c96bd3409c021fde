"""The gate: what it allows, in what order it tries, and a hostile model brought back by it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from s2d_edge.calibrate.command import CalibrateOptions, calibrate
from s2d_edge.calibrate.quantize.making import Workshop
from s2d_edge.calibrate.quantize.recipe import Recipe, recipe_for
from s2d_edge.calibrate.report.render import gate_rows
from s2d_edge.calibrate.samples import choose_samples, record
from s2d_edge.calibrate.search.gate import Step, Trial, allowance, search
from s2d_edge.calibrate.search.validation import choose_validation, validating
from s2d_edge.contracts.bundle import Target, open_bundle
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, DataError, QuantizationError
from s2d_edge.data.preparing.clips import load_many
from s2d_edge.data.reading.dataset import Dataset, Sample
from s2d_edge.data.reading.open import open_dataset
from tests.calibrate.hostile import write_hostile
from tests.colours import write_colours
from tests.firmware_host.graphs import LABELS

QUIET = Console(quiet=True)


@dataclass(frozen=True, kw_only=True)
class Fake:
    trial: Trial


def attempts(passing: str, refused: str = "") -> tuple[list[tuple[str, str]], list[Fake]]:
    """Search with steps of two recipes each; what was attempted, and what came of it."""
    asked: list[tuple[str, str]] = []

    def attempt(step: str, recipe: str) -> Fake:
        asked.append((step, recipe))
        if recipe == refused:
            raise QuantizationError(f"{recipe} is hardly INT8")
        passed = recipe == passing
        return Fake(trial=Trial(step=step, change=recipe, passed=passed, outcome=""))

    def refuse(step: str, why: str) -> Fake:
        return Fake(trial=Trial(step=step, change="", passed=False, outcome=why))

    def after(tried: Sequence[Fake]) -> list[str]:
        return [f"after {len(tried)}"]

    steps: list[Step[str, Fake]] = [
        Step(name="own", recipes=lambda tried: ["usual"]),
        Step(name="ranges", recipes=lambda tried: ["usual", "wide", "narrow"]),
        Step(name="layers", recipes=after),
    ]
    return asked, search(steps, attempt, refuse)


def test_steps_are_tried_in_turn_and_the_first_that_passes_ends_it() -> None:
    assert attempts("usual")[0] == [("own", "usual")]
    asked, tried = attempts("wide")
    assert asked == [("own", "usual"), ("ranges", "wide")]  # no recipe twice
    assert [one.trial.passed for one in tried] == [False, True]


def test_a_later_step_sees_what_was_tried_and_none_may_pass() -> None:
    asked, tried = attempts("nothing")
    assert asked[-1] == ("layers", "after 3")
    assert not any(one.trial.passed for one in tried)


def test_a_recipe_that_gives_no_int8_graph_is_passed_over_with_its_reason() -> None:
    asked, tried = attempts("narrow", refused="wide")
    assert asked == [("own", "usual"), ("ranges", "wide"), ("ranges", "narrow")]
    assert tried[1].trial.outcome == "wide is hardly INT8"
    assert tried[-1].trial.passed
    with pytest.raises(QuantizationError, match="usual is hardly"):
        attempts("narrow", refused="usual")  # then no other would


def test_what_is_allowed() -> None:
    many = allowance([1000, 400, 0], 0.5)  # of two classes a clip of the rarer is 1/800 of UAR
    assert (many.war_pp, many.uar_pp, many.rarest) == (0.5, 0.5, 1)
    assert many.granularity_pp == pytest.approx(0.125)
    few = allowance([90, 5], 0.5)
    assert few.uar_pp == pytest.approx(10)
    assert few.allows(0.5, 10.0, 0.0)  # one clip of the rarest class
    assert not few.allows(0.5, 20.0, 1.0)
    assert not few.allows(0.51, 0.0, 1.0)
    assert few.allows(-3.0, -3.0, 0.0)
    assert allowance([3] * 3, 0.3).allows(0.1 + 0.2, 0.0, 0.0)  # rounding is no drop
    alike = allowance([100, 100], 0.5, min_agreement=0.97)
    assert alike.allows(0.5, 0.5, 194 / 200)
    assert not alike.allows(-1.0, -1.0, 193 / 200)
    assert alike.margin_pp(0.0, 0.0, 193 / 200) == pytest.approx(-0.5)


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
    with pytest.raises(DataError, match="no split 'dev'"):
        choose_validation(own, "dev", "train", 0, QUIET)


def test_settings_that_cannot_be() -> None:
    for split in ("train", "test"):
        with pytest.raises(ConfigError, match=f"--val-split {split!r} is --split or --eval-split too"):
            CalibrateOptions(val_split=split)
        assert not CalibrateOptions(val_split=split, max_drop_pp=np.inf).is_gated
    with pytest.raises(ConfigError, match="--max-drop nan"):
        CalibrateOptions(max_drop_pp=np.nan)
    for percent in (-1.0, 100.1, np.nan):
        with pytest.raises(ConfigError, match="give 0 to 100 percent"):
            CalibrateOptions(min_agreement_percent=percent)
    with pytest.raises(ConfigError, match="--min-agreement is of no use"):
        CalibrateOptions(max_drop_pp=np.inf, min_agreement_percent=97)


def hostile_data(root: Path) -> Path:
    for split, clips in (("train", 4), ("val", 20), ("test", 20)):
        write_colours(root, split, clips, lead=20)
    return root


@pytest.mark.parametrize(
    ("target", "planted", "step"),
    [
        ("intel-cpu", {"gain": 1000.0}, "SmoothQuant"),
        ("intel-cpu", {"outlier": 5000.0}, "sensitive layers in floating point"),
        ("jetson", {"gain": 1000.0}, "SmoothQuant"),
    ],
)
def test_planted_outliers_cost_plain_ptq_much_and_the_gate_brings_it_back(
    tmp_path: Path, target: Target, planted: dict[str, float], step: str
) -> None:
    fp32 = write_hostile(tmp_path / "fp32", target, **planted)
    data = hostile_data(tmp_path / "data")
    plain = replace(recipe_for(target, fp32.manifest.graph), ranges="minmax", smooth_quant_alpha=-1.0)
    assert drop_of(fp32.path, data, plain, tmp_path / "plain") >= 5

    options = CalibrateOptions(bundle=fp32.path, data=str(data), out=tmp_path / "int8", sensitivity=0)
    out, report = calibrate(options, QUIET)
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


def test_agreement_decides_where_there_is_no_accuracy_to_lose(tmp_path: Path) -> None:
    """Every picture has a wrong label, so INT8 can only win; all the same it is to answer as FP32 does."""
    fp32 = write_hostile(tmp_path / "fp32", "intel-cpu", gain=1000.0)
    data = tmp_path / "data"
    for split, clips in (("train", 4), ("val", 20), ("test", 20)):
        write_colours(data, split, clips, lead=20, wrong=clips)
    options = CalibrateOptions(bundle=fp32.path, data=str(data), out=tmp_path / "int8", sensitivity=0)

    _, careless = calibrate(replace(options, min_agreement_percent=0, out=tmp_path / "careless"), QUIET)
    assert careless.gate is not None
    assert [trial.step for trial in careless.gate.trials] == ["the target's recipe"]
    assert careless.drop.war_pp <= 0
    assert careless.drop.agreement < 0.95

    _, report = calibrate(options, QUIET)
    assert report.gate is not None
    own, chosen = report.gate.trials[0], report.gate.trials[-1]
    assert own.outcome.endswith("% alike, fewer than 97")
    assert chosen.step == "SmoothQuant"
    assert report.drop.agreement >= 0.97  # on test
    assert report.gate.best is chosen
    assert report.gate.min_agreement == 0.97


def test_accuracy_control_puts_the_hostile_layer_back(tmp_path: Path) -> None:
    """As the last resort: without the steps before it, on either backend, and where nothing may be lost."""
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
        limits = {"max_drop_pp": max_drop_pp, "min_agreement": min_agreement}
        assert drop_of(fp32.path, data, recipe, tmp_path / f"int8-{number}", **limits) <= max_drop_pp


def drop_of(
    fp32: Path,
    data: Path,
    recipe: Recipe,
    folder: Path,
    max_drop_pp: float = 0.5,
    min_agreement: float = 0.97,
) -> float:
    """What a recipe loses of WAR on the validation clips, percentage points."""
    source = open_bundle(fp32)
    manifest = source.manifest
    dataset = open_dataset(str(data), QUIET, LABELS)
    chosen = choose_samples(dataset, "train", 12, 0)
    clips = load_many([sample.path for sample in chosen], manifest.spec, manifest.crop)
    workshop = Workshop(
        source=source,
        name="int8",
        windows=[clip.windows[:1] for clip in clips],
        data="colours",
        split="train",
        seed=0,
        clips=record(chosen, dataset.root),
    )
    folder.mkdir()
    with (
        validating(
            source,
            dataset.split("val"),
            "val",
            max_drop_pp=max_drop_pp,
            min_agreement=min_agreement,
            device="cpu",
            seed=0,
            skip_unreadable=False,
            console=QUIET,
        ) as validation,
        validation.control() as control,
    ):
        made = workshop.make(folder, recipe, QUIET, control)
        return validation.measure(made, QUIET).drop.war_pp
