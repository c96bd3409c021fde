"""Make an INT8 bundle by a recipe, and check it against the rules of its target."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from s2d_edge.calibrate.clips.choice import ChosenClips
from s2d_edge.calibrate.graphs.feeds import Counted, feeds_of
from s2d_edge.calibrate.graphs.int8_macs import count_macs
from s2d_edge.calibrate.quantize.accuracy_control import Control, restored_layers
from s2d_edge.calibrate.quantize.recipe import Recipe
from s2d_edge.contracts.bundle import (
    FORMAT_VERSION,
    HALF_GRAPH,
    Bundle,
    CalibrationRecord,
    Manifest,
    seal,
    tool_versions,
)
from s2d_edge.contracts.engine import Clip
from s2d_edge.core.console import Console
from s2d_edge.deploy.jetson import write_build_script
from s2d_edge.lint.check import require_fit

_HALF_CLIPS = 8  # to compare the graph typed in 16 bits on
_NNCF_PASSES = 2  # over the clips: before SmoothQuant, and again for ranges and biases after it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Workshop:
    """Makes INT8 bundles of one FP32 bundle, each by another recipe, from one set of calibration clips.

    Attributes:
        source: the FP32 bundle.
        name: of the INT8 bundle.
    """

    source: Bundle
    name: str
    clips: ChosenClips

    @property
    def windows(self) -> Sequence[Clip]:
        """The calibration clips, (1, T, S, S, 3) uint8 RGB each."""
        return self.clips.windows

    def make(self, folder: Path, recipe: Recipe, console: Console, control: Control | None = None) -> Bundle:
        """Quantize into the empty ``folder``, and seal it.

        Args:
            control: validation function of NNCF's accuracy control, where the recipe uses it.

        Raises:
            QuantizationError: too little of the graph is INT8.
            UnfitGraphError: the graph breaks a rule of its target.
        """
        graph = folder / self.source.manifest.graph
        self._quantize(graph, recipe, console, control)
        macs = count_macs(graph)
        macs.require_int8()
        require_fit(graph, self.source.manifest.target, console)
        if recipe.algorithm == "accuracy-control":
            recipe = replace(recipe, float_layers=restored_layers(graph))
        calibration = CalibrationRecord(
            data=self.clips.dataset.name,
            split=self.clips.choice.split,
            seed=self.clips.choice.seed,
            recipe=recipe.as_record(),
            int8_mac_fraction=macs.fraction,
            clips=self.clips.records,
            source_sha256=self.source.graph_sha256,
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
        """Add the files that a bundle's target needs beside the INT8 graph, and seal it again.

        For TensorRT these are the graph typed in 16 bits, checked, and the script that builds an engine.

        Raises:
            QuantizationError: numbers in floating point do not fit in 16 bits.
            UnfitGraphError: the graph in 16 bits breaks a rule of its target.
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
            f"typed in 16 bits, the logits change by {found.rms:.2%} of their spread (RMS); the largest "
            f"number inside is {found.largest_inside:.3g}"
        )
        write_build_script(folder, self.name, "int8")
        return Bundle(folder, seal(folder, made.manifest))

    def _manifest(self, calibration: CalibrationRecord, recipe: Recipe) -> Manifest:
        """Return the FP32 manifest with another precision; inputs, labels, crop and FP32's hints stay."""
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
                "face": None,  # copied into the bundle that is chosen
            }
        )
