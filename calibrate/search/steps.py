"""Steps of the search, in the order of their cost: first to find out, then to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import get_args

from s2d_edge.calibrate.graphs.int8_macs import LEAST_FRACTION, count_macs
from s2d_edge.calibrate.graphs.sensitivity import LayerSensitivity
from s2d_edge.calibrate.quantize.recipe import Ranges, Recipe
from s2d_edge.calibrate.search.gate import NO_CHANGE, Trial
from s2d_edge.calibrate.search.loop import Step
from s2d_edge.calibrate.search.tuning import NOT_TUNED, TuningSettings
from s2d_edge.contracts.bundle import Bundle
from s2d_edge.core.errors import QuantizationError

_ALPHAS = (0.8, 0.6, 0.4, -1.0)  # besides the recipe's own
_CONVOLUTION_ALPHAS = (0.5, 0.8)  # by default convolutions are not smoothed

Measure = Callable[[Bundle], tuple[LayerSensitivity, ...]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A recipe that was tried.

    Attributes:
        recipe: None where a step gave none.
        bundle: quantized by it; None where it gave no INT8 graph.
        origin: the FP32 bundle it was quantized from: the given one, or one with fine-tuned weights.
        margin_pp: percentage points left to the limits of the gate; negative where it fails.
    """

    trial: Trial
    recipe: Recipe | None = None
    bundle: Bundle | None = None
    origin: Bundle | None = None
    margin_pp: float = float("-inf")


def steps_for(
    recipe: Recipe, sensitivity: Measure, tuning: TuningSettings | None
) -> tuple[Step[Recipe, Candidate], ...]:
    """Return the steps of a target whose own recipe is ``recipe``.

    Ranges and smoothing cost nothing once found. Layers in floating point cost time in every prediction.
    NNCF's accuracy control chooses them by the predictions themselves, in many more measurements.
    Fine-tuning costs a training, and no time in the predictions.

    Args:
        sensitivity: measures the cost of each group of an INT8 graph's layers alone, the worst first.
        tuning: settings of the fine-tuning; None where the run that it starts from is not given.
    """

    def own(tried: Sequence[Candidate]) -> Iterator[Recipe]:
        yield recipe

    def ranges(tried: Sequence[Candidate]) -> Iterator[Recipe]:
        for kind in get_args(Ranges):
            yield replace(recipe, ranges=kind)

    def smoothing(tried: Sequence[Candidate]) -> Iterator[Recipe]:
        begin, _ = best_of(tried)
        for alpha in _ALPHAS:
            yield replace(begin, smooth_quant_alpha=alpha)
        begin, _ = best_of(tried)
        for alpha in _CONVOLUTION_ALPHAS:
            yield replace(begin, smooth_convolutions_alpha=alpha)

    def sensitive(tried: Sequence[Candidate]) -> Iterator[Recipe]:
        begin, bundle = best_of(tried)
        affordable = _affordable(sensitivity(bundle), bundle)
        count = 1
        while True:
            chosen = affordable[:count]
            names = tuple(name for group in chosen for name in group.layers)
            yield replace(begin, float_layers=(*begin.float_layers, *names))
            if count >= len(affordable):
                return
            count *= 2

    def controlled(tried: Sequence[Candidate]) -> Iterator[Recipe]:
        begin, _ = best_of(_all_int8(tried))
        # NNCF 3.4 restores a layer's original weights, and leaves the smoothing before it
        # (``_collect_original_biases_and_weights``): together they are neither graph.
        yield replace(
            begin, algorithm="accuracy-control", smooth_quant_alpha=-1.0, smooth_convolutions_alpha=-1.0
        )

    def tuned(tried: Sequence[Candidate]) -> Iterator[Recipe]:
        if tuning is None:
            raise QuantizationError(NOT_TUNED)
        # From the best that has every layer in INT8: fine-tuning may win back the loss at no cost in time.
        begin, _ = best_of(_all_int8(tried))
        with_tuning = replace(begin, tuning_steps=tuning.steps, tuning_lr=tuning.lr)
        yield with_tuning
        mixed = [one for one in tried if one.recipe is not None and one.recipe.float_layers]
        if mixed and any(one.recipe == with_tuning for one in tried):  # else fine-tuning itself failed
            yield replace(with_tuning, float_layers=best_of(mixed)[0].float_layers)

    return (
        Step(name="the target's recipe", recipes=own),
        Step(name="ranges", recipes=ranges),
        Step(name="SmoothQuant", recipes=smoothing),
        Step(name="sensitive layers in floating point", recipes=sensitive),
        Step(name="NNCF accuracy control", recipes=controlled),
        Step(name="quantization-aware fine-tuning", recipes=tuned),
    )


def best_of(tried: Sequence[Candidate]) -> tuple[Recipe, Bundle]:
    """Return the recipe nearest to passing; of several, the one whose logits are nearest to FP32's."""
    measured = [
        (one.margin_pp, -one.trial.drop.rms_logit_diff, -number, one.recipe, one.bundle)
        for number, one in enumerate(tried)
        if one.trial.drop is not None and one.recipe is not None and one.bundle is not None
    ]
    *_, recipe, bundle = max(measured, key=lambda one: one[:3])
    return recipe, bundle


def _all_int8(tried: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return the candidates that put no layer back into floating point."""
    return tuple(
        one
        for one in tried
        if one.recipe is not None and not one.recipe.float_layers and one.recipe.algorithm == "post-training"
    )


def change_between(usual: Recipe, recipe: Recipe) -> str:
    """Name the settings that differ from those of the target's own recipe, for people."""
    changes = []
    for setting in fields(Recipe):
        value = getattr(recipe, setting.name)
        if value == getattr(usual, setting.name):
            continue
        name = setting.name.replace("_", " ")
        changes.append(f"{len(value)} {name}" if isinstance(value, tuple) else f"{name} {value}")
    return ", ".join(changes) or NO_CHANGE


def _affordable(layers: Sequence[LayerSensitivity], bundle: Bundle) -> list[LayerSensitivity]:
    """Return the most costly groups that may go back to floating point together, the worst first.

    Raises:
        QuantizationError: no group may.
    """
    macs = count_macs(bundle.graph_path)
    spare = macs.int8 - LEAST_FRACTION * macs.total
    chosen = []
    for layer in layers:
        if layer.macs <= spare and layer.rms_logit_diff > 0:
            chosen.append(layer)
            spare -= layer.macs
    if not chosen:
        raise QuantizationError(
            f"no group of layers is small enough to leave {100 * LEAST_FRACTION:.0f} % of the MACs in INT8"
        )
    return chosen
