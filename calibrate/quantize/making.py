"""From a recipe to an INT8 bundle that keeps its target's rules, not yet measured."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from s2d_edge.calibrate.graphs.feeds import Counted, feeds_of
from s2d_edge.calibrate.graphs.int8_macs import count_macs
from s2d_edge.calibrate.quantize.accuracy_control import Control, restored_layers
from s2d_edge.calibrate.quantize.recipe import Recipe
from s2d_edge.contracts.bundle import (
    FORMAT_VERSION,
    HALF_GRAPH,
    Bundle,
    CalibrationClip,
    CalibrationRecord,
    Manifest,
    seal,
    tool_versions,
)
from s2d_edge.contracts.engine import Clip
from s2d_edge.core.console import Console
from s2d_edge.deploy.jetson import write_build_script
from s2d_edge.lint.check import require_fit

_HALF_CLIPS = 8  # on which the graph typed in 16 bits is compared
_NNCF_PASSES = 2  # over the clips: before SmoothQuant, and again for ranges and biases after it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Workshop:
    """All that is the same for every recipe.

    Attributes:
        source: the FP32 bundle.
        name: of the INT8 bundle.
        windows: the calibration clips, (1, T, S, S, 3) uint8 each.
        data, split, seed: where they are from.
        clips: their records, in the same order.
    """

    source: Bundle
    name: str
    windows: Sequence[Clip]
    data: str
    split: str
    seed: int
    clips: tuple[CalibrationClip, ...]

    def make(self, folder: Path, recipe: Recipe, console: Console, control: Control | None = None) -> Bundle:
        """Quantize into the empty ``folder``, and seal it.

        Args:
            control: what NNCF's accuracy control goes by, where the recipe asks for it.

        Raises:
            QuantizationError: the graph is not INT8 enough.
            UnfitGraphError: the graph is not what the target needs.
        """
        graph = folder / self.source.manifest.graph
        self._quantize(graph, recipe, console, control)
        macs = count_macs(graph)
        macs.require_int8()
        require_fit(graph, self.source.manifest.target, console)
        if recipe.algorithm == "accuracy-control":
            recipe = replace(recipe, float_layers=restored_layers(graph))
        calibration = CalibrationRecord(
            data=self.data,
            split=self.split,
            seed=self.seed,
            recipe=recipe.as_record(),
            int8_mac_fraction=macs.fraction,
            clips=self.clips,
        )
        return Bundle(folder, seal(folder, self._manifest(calibration, recipe)))

    def _quantize(self, out: Path, recipe: Recipe, console: Console, control: Control | None) -> None:
        source = self.source
        with ExitStack() as stack:
            feeds = stack.enter_context(feeds_of(source, self.windows))
            advance = stack.enter_context(console.progress("quantizing", _NNCF_PASSES * len(feeds)))
            counted = Counted(feeds, advance)
            if recipe.backend == "onnx":
                from s2d_edge.calibrate.quantize.onnx_graph import quantize_onnx

                quantize_onnx(source.graph_path, out, recipe, counted, len(feeds), control)
            else:
                from s2d_edge.calibrate.quantize.openvino_graph import quantize_openvino

                quantize_openvino(source.graph_path, out, recipe, counted, len(feeds), control)

    def complete(self, made: Bundle, console: Console) -> Bundle:
        """Add what a bundle's target wants beside the INT8 graph, and seal it again.

        For TensorRT these are the same graph typed in 16 bits, checked, and the script that builds a plan.

        Raises:
            QuantizationError: 16 bits do not hold what of the graph is not INT8.
            UnfitGraphError: the graph in 16 bits is not what the target needs.
        """
        if made.manifest.target != "jetson":
            return made
        from s2d_edge.calibrate.quantize.half_typed import require_half, write_half_typed

        folder = made.path
        int8, half = folder / self.source.manifest.graph, folder / HALF_GRAPH
        write_half_typed(int8, half)
        with feeds_of(self.source, self.windows[:_HALF_CLIPS]) as feeds:
            found = require_half(int8, half, feeds)
        require_fit(half, self.source.manifest.target, console)
        console.say(
            f"typed in 16 bits, the logits move by {found.rms:.2%} of their spread (RMS); the largest number "
            f"inside is {found.largest_inside:.3g}"
        )
        write_build_script(folder, self.name, "int8")
        return Bundle(folder, seal(folder, made.manifest))

    def _manifest(self, calibration: CalibrationRecord, recipe: Recipe) -> Manifest:
        """The FP32 contract with another precision; inputs, labels, crop and the hints of FP32 stay."""
        fp32 = self.source.manifest
        return fp32.model_copy(
            update={
                "format_version": FORMAT_VERSION,
                "name": self.name,
                "precision": "int8",
                "execution": fp32.execution | recipe.execution,
                "tools": fp32.tools | tool_versions("nncf", "onnx", "onnxruntime", "openvino"),
                "calibration": calibration,
                "accuracy": None,
                "self_test": None,
            }
        )
