"""Call NNCF without telemetry and output on stdout, and with MediaPipe's version of protobuf."""

from __future__ import annotations

import importlib
import io
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, Union

from s2d_edge.calibrate.graphs.feeds import Feed
from s2d_edge.calibrate.quantize.accuracy_control import RANKED_ON, RESTORED_AT_MOST, Control
from s2d_edge.calibrate.quantize.recipe import Ranges, Recipe
from s2d_edge.core.errors import MissingExtraError
from s2d_edge.core.openvino_core import core_for_libraries


@contextmanager
def nncf_session() -> Iterator[Any]:
    """Import NNCF and yield it; during the block it is silent, and shares the process's OpenVINO core.

    Raises:
        MissingExtraError: NNCF or OpenVINO is not installed.
    """
    # NNCF reports each call to a server, except in continuous integration.
    os.environ.setdefault("NNCF_CI", "1")
    _allow_enums_in_annotations()
    try:
        import nncf
        import openvino  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "nncf", "train", "calibration") from None
    nncf.set_log_level(logging.ERROR)
    with redirect_stdout(io.StringIO()), core_for_libraries():
        yield nncf


def range_estimators() -> dict[Ranges, Any]:
    """Return NNCF's settings for each kind of range; within a session."""
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    return {
        "minmax": RangeEstimatorParametersSet.MEAN_MINMAX,
        "quantile": RangeEstimatorParametersSet.MEAN_QUANTILE,
        "histogram": RangeEstimatorParametersSet.HISTOGRAM,
    }


def quantize_graph(
    model: Any,
    recipe: Recipe,
    feeds: Iterable[Feed],
    count: int,
    *,
    ignored_names: list[str],
    ignored_types: list[str],
    control: Control | None = None,
) -> Any:
    """Quantize an ONNX or OpenVINO model as ``recipe`` says.

    Args:
        model: as its own library loads it.
        feeds: the graph's inputs by name, from :mod:`s2d_edge.calibrate.graphs.feeds`; iterated over twice.
        count: number of feeds.
        ignored_names: operations left in floating point.
        ignored_types: types of operations left in floating point; each must occur.
        control: validation function for a recipe of the algorithm ``accuracy-control``.

    Returns:
        The quantized model, of the same library.
    """
    with nncf_session() as nncf:
        from nncf.quantization.advanced_parameters import QuantizationParameters

        # NNCF gives each channel before a depthwise convolution its own scale; OpenVINO takes that, but
        # neither TensorRT nor ONNX Runtime then multiplies in INT8.
        activations = QuantizationParameters(per_channel=False) if recipe.backend == "onnx" else None
        advanced = nncf.AdvancedQuantizationParameters(
            activations_quantization_params=activations,
            activations_range_estimator_params=range_estimators()[recipe.ranges],
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(
                matmul=recipe.smooth_quant_alpha, convolution=recipe.smooth_convolutions_alpha
            ),
        )
        settings = {
            "model_type": nncf.ModelType.TRANSFORMER,
            "preset": nncf.QuantizationPreset(recipe.preset),
            "target_device": nncf.TargetDevice(recipe.device),
            "subset_size": count,
            "fast_bias_correction": recipe.fast_bias_correction,
            "ignored_scope": nncf.IgnoredScope(
                names=[*ignored_names, *recipe.float_layers], types=ignored_types
            ),
        }
        if recipe.algorithm == "post-training":
            return nncf.quantize(model, nncf.Dataset(feeds), advanced_parameters=advanced, **settings)
        assert control is not None  # the gate gives one with each such recipe
        return nncf.quantize_with_accuracy_control(
            model,
            nncf.Dataset(feeds),
            nncf.Dataset(control.items, control.feed),
            control.validate,
            max_drop=control.max_drop,
            drop_type=nncf.DropType.ABSOLUTE,
            advanced_quantization_parameters=advanced,
            advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
                max_num_iterations=RESTORED_AT_MOST,
                ranking_subset_size=min(RANKED_ON, len(control.items)),
                num_ranking_workers=1,
            ),
            **settings,
        )


def _allow_enums_in_annotations() -> None:
    """Give protobuf's enum wrapper the ``|`` that NNCF's ONNX backend uses in an annotation.

    MediaPipe holds protobuf below 5, whose wrapper has no ``|``; there, importing the backend ends in a
    TypeError. Newer protobufs are left as they are.
    """
    try:
        wrapper = importlib.import_module("google.protobuf.internal.enum_type_wrapper").EnumTypeWrapper
    except ModuleNotFoundError:
        return
    if "__or__" not in vars(wrapper):
        wrapper.__or__ = lambda self, other: Union[int, other]  # noqa: UP007
