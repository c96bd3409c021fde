"""Choosing the recipe: the gate's steps on real graphs and validation clips."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path

from s2d_edge.calibrate.graphs.sensitivity import LayerSensitivity, affordable_clips, layer_sensitivity
from s2d_edge.calibrate.measure.drop import Drop
from s2d_edge.calibrate.quantize.making import Workshop
from s2d_edge.calibrate.quantize.recipe import Recipe
from s2d_edge.calibrate.search.gate import GateReport, Trial, search
from s2d_edge.calibrate.search.steps import Candidate, change_between, steps_for
from s2d_edge.calibrate.search.tuning import Tuned, Tuning
from s2d_edge.calibrate.search.validation import Validation, ValidationClips
from s2d_edge.contracts.bundle import Bundle
from s2d_edge.core.console import Console


def choose_recipe(
    workshop: Workshop,
    usual: Recipe,
    validation: Validation,
    chosen_clips: ValidationClips,
    folder: Path,
    console: Console,
    tuning: Tuning | None = None,
) -> tuple[Candidate | None, GateReport]:
    """Try recipes until INT8 loses no more on the validation clips than is allowed, and answers enough alike.

    Args:
        usual: the target's own recipe, tried first.
        folder: empty; what is tried lies there.
        tuning: fine-tunes the weights, as the last resort; None where their run is not given.

    Returns:
        What passed, None where nothing did, and the record of all that were tried.

    Raises:
        QuantizationError, UnfitGraphError: not even the target's own recipe gives an INT8 graph.
        S2DEdgeError: what measuring raises.
    """
    numbers = count()

    @cache  # one training for all recipes that differ only in what stays in floating point
    def tune(recipe: Recipe) -> Tuned:
        assert tuning is not None  # else no step gives such a recipe
        place = folder / "tuned"
        place.mkdir()
        return tuning.tune(workshop.source, recipe, workshop.windows, place, console)

    def attempt(step: str, recipe: Recipe) -> Candidate:
        change = change_between(usual, recipe)
        if recipe != usual:
            console.say(f"trying {step}: {change}")
        tuned = tune(replace(recipe, float_layers=())) if recipe.tuning_steps else None
        used = workshop if tuned is None else replace(workshop, source=tuned.bundle)
        place = folder / str(next(numbers))
        place.mkdir()
        with ExitStack() as stack:
            controlled = recipe.algorithm == "accuracy-control"
            control = stack.enter_context(validation.control()) if controlled else None
            bundle = used.make(place, recipe, console, control)
        measured = validation.measure(bundle, console)
        lost = measured.drop.war_pp, measured.drop.uar_pp, measured.drop.agreement
        passed = validation.allowed.allows(*lost)
        if passed:
            bundle = used.complete(bundle, console)
        record = bundle.manifest.calibration
        assert record is not None  # the manifest's own check
        trial = Trial(
            step=step,
            change=change,
            passed=passed,
            drop=measured.drop,
            int8_mac_fraction=record.int8_mac_fraction,
            times_fp32=measured.times_fp32,
            outcome="chosen" if passed else _why_not(measured.drop, validation),
            tuning=None if tuned is None else tuned.record,
        )
        margin = validation.allowed.margin_pp(*lost)
        return Candidate(trial=trial, recipe=recipe, bundle=bundle, origin=used.source, margin_pp=margin)

    def refuse(step: str, why: str) -> Candidate:
        return Candidate(trial=Trial(step=step, change="", passed=False, outcome=why))

    def sensitivity(bundle: Bundle) -> tuple[LayerSensitivity, ...]:
        clips = workshop.windows[: affordable_clips(bundle.graph_path)]
        return layer_sensitivity(workshop.source, bundle, clips, console)

    settings = None if tuning is None else tuning.settings
    tried = search(steps_for(usual, sensitivity, settings), attempt, refuse)
    allowed = validation.allowed
    report = GateReport(
        max_drop_pp=allowed.war_pp,
        uar_allowed_pp=allowed.uar_pp,
        granularity_pp=allowed.granularity_pp,
        rarest_class=workshop.source.manifest.labels[allowed.rarest],
        split=chosen_clips.split,
        carved_from=chosen_clips.carved_from,
        n=len(validation),
        trials=tuple(candidate.trial for candidate in tried),
        min_agreement=allowed.agreement,
    )
    return (tried[-1] if report.passed else None), report


def _why_not(drop: Drop, validation: Validation) -> str:
    """Which of the two drops is too large, and whether too few clips are answered alike."""
    allowed = validation.allowed
    reasons = [
        f"{name} falls by {lost:.2f} pp, more than {most:.2f}"
        for name, lost, most in (
            ("WAR", drop.war_pp, allowed.war_pp),
            ("UAR", drop.uar_pp, allowed.uar_pp),
        )
        if lost > most
    ]
    if drop.agreement < allowed.agreement:
        reasons.append(f"{100 * drop.agreement:.2f} % alike, fewer than {100 * allowed.agreement:g}")
    return "; ".join(reasons)
