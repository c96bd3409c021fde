"""Choose the recipe: the steps of the search on real graphs and validation clips."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path

from s2d_edge.calibrate.clips.validation import ValidationClips
from s2d_edge.calibrate.graphs.sensitivity import LayerSensitivity, affordable_clips, layer_sensitivity
from s2d_edge.calibrate.quantize.float_layers import affordable_landmark, quantized_anyway
from s2d_edge.calibrate.quantize.making import Workshop
from s2d_edge.calibrate.quantize.recipe import Recipe, recipe_for
from s2d_edge.calibrate.search.gate import GateLimits, GateReport, Trial
from s2d_edge.calibrate.search.loop import search
from s2d_edge.calibrate.search.steps import Candidate, change_between, steps_for
from s2d_edge.calibrate.search.tuning import Tuned, Tuning
from s2d_edge.calibrate.search.validation import Measured, Validation, validating
from s2d_edge.contracts.bundle import Bundle
from s2d_edge.core.console import Console


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Result of the search.

    Attributes:
        bundle: the INT8 bundle that passes; None where none does.
        origin: the FP32 bundle it was quantized from: the given one, or one with fine-tuned weights.
        gate: None without a gate.
    """

    bundle: Bundle | None
    origin: Bundle
    gate: GateReport | None


def find_int8(
    workshop: Workshop,
    limits: GateLimits | None,
    tuning: Tuning | None,
    folder: Path,
    device: str,
    console: Console,
) -> Found:
    """Quantize by the target's own recipe, and with a gate by others until one passes.

    Args:
        limits: of the gate; None without one.
        tuning: fine-tunes the weights, as the last step; None where their run is not given.
        folder: empty; bundles that are tried lie there.
        device: graphs are measured on it.

    Raises:
        QuantizationError, UnfitGraphError: not even the target's own recipe gives an INT8 graph.
        S2DEdgeError: what measuring raises.
    """
    source, clips = workshop.source, workshop.clips
    manifest, validation = source.manifest, clips.validation
    landmark = affordable_landmark(source.graph_path)
    usual = replace(
        recipe_for(manifest.target, manifest.graph, manifest.mode, landmark),
        quantized_anyway=quantized_anyway(source.graph_path, landmark),
    )
    if usual.quantized_anyway:
        console.say(
            f"{usual.quantized_anyway} convolutions that larger models keep in floating point are quantized "
            "too, since an INT8 bundle has 90 % of its MACs in INT8"
        )
    if validation is None or limits is None:
        made = workshop.make(folder, usual, console)
        return Found(bundle=workshop.complete(made, console), origin=source, gate=None)
    with validating(
        source,
        validation.samples,
        f"{clips.dataset.name}/{validation.split}",
        limits,
        device=device,
        seed=clips.choice.seed,
        skip_unreadable=clips.choice.skip_unreadable,
        console=console,
    ) as measuring:
        chosen, gate = choose_recipe(workshop, usual, measuring, validation, folder, console, tuning)
    if chosen is None:
        return Found(bundle=None, origin=source, gate=gate)
    return Found(bundle=chosen.bundle, origin=chosen.origin or source, gate=gate)


def choose_recipe(
    workshop: Workshop,
    usual: Recipe,
    validation: Validation,
    validation_clips: ValidationClips,
    folder: Path,
    console: Console,
    tuning: Tuning | None = None,
) -> tuple[Candidate | None, GateReport]:
    """Try recipes until one passes the gate on the validation clips.

    Args:
        usual: the target's own recipe, tried first.
        folder: empty; bundles that are tried lie there.
        tuning: fine-tunes the weights, as the last step; None where their run is not given.

    Returns:
        The candidate that passes, None where none does, and the record of all that were tried.

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
        accurate = validation.allowed.allows(*lost)
        fast = 1 / measured.times_fp32 >= validation.min_speedup
        passed = accurate and fast
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
            outcome="chosen" if passed else _why_not(measured, validation),
            too_slow=accurate and not fast,
            tuning=None if tuned is None else tuned.record,
        )
        margin = validation.allowed.margin_pp(*lost)
        return Candidate(trial=trial, recipe=recipe, bundle=bundle, origin=used.source, margin_pp=margin)

    def reject(step: str, why: str) -> Candidate:
        return Candidate(trial=Trial(step=step, change="", passed=False, outcome=why))

    def sensitivity(bundle: Bundle) -> tuple[LayerSensitivity, ...]:
        clips = workshop.windows[: affordable_clips(bundle.graph_path)]
        return layer_sensitivity(workshop.source, bundle, clips, console)

    settings = None if tuning is None else tuning.settings
    tried = search(steps_for(usual, sensitivity, settings), attempt, reject)
    allowed = validation.allowed
    report = GateReport(
        max_drop_pp=allowed.war_pp,
        uar_allowed_pp=allowed.uar_pp,
        granularity_pp=allowed.granularity_pp,
        rarest_class=workshop.source.manifest.labels[allowed.rarest],
        split=validation_clips.split,
        carved_from=validation_clips.carved_from,
        n=len(validation),
        trials=tuple(candidate.trial for candidate in tried),
        min_agreement=allowed.agreement,
        min_speedup=validation.min_speedup,
    )
    return (tried[-1] if report.passed else None), report


def _why_not(measured: Measured, validation: Validation) -> str:
    """Name each limit that fails."""
    allowed, drop = validation.allowed, measured.drop
    reasons = [
        f"{name} falls by {lost:.2f} pp, more than {most:.2f}"
        for name, lost, most in (
            ("WAR", drop.war_pp, allowed.war_pp),
            ("UAR", drop.uar_pp, allowed.uar_pp),
        )
        if lost > most
    ]
    if drop.agreement < allowed.agreement:
        reasons.append(f"agreement {100 * drop.agreement:.2f} %, less than {100 * allowed.agreement:g}")
    if (speedup := 1 / measured.times_fp32) < validation.min_speedup:
        reasons.append(f"{speedup:.2f} times as fast as FP32, less than {validation.min_speedup:g}")
    return "; ".join(reasons)
