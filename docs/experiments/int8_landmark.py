"""Quantize an FP32 bundle with four shares of its landmark network in INT8, and compare them.

    python docs/experiments/int8_landmark.py bundles/NAME [--data DATA] [--split val] [--limit N] …

Prints for each the share of INT8 multiplications; how far the logits of a split, or of N of its clips, move
from those of FP32 (RMS), also as a share of their spread; the share of equal predicted labels; WAR; and the
median time of a prediction, all graphs in turn.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args
from unittest.mock import patch

import numpy as np

from s2d_edge.calibrate.clips.samples import choose_samples
from s2d_edge.calibrate.graphs.feeds import feeds_of
from s2d_edge.calibrate.graphs.int8_macs import count_macs
from s2d_edge.calibrate.quantize import onnx_graph, openvino_graph
from s2d_edge.calibrate.quantize.float_layers import layers_in_float
from s2d_edge.calibrate.quantize.recipe import Int8Landmark, Ranges, Recipe, recipe_for
from s2d_edge.contracts.bundle import Bundle, open_bundle, seal
from s2d_edge.contracts.engine import Clip
from s2d_edge.core.console import Console
from s2d_edge.core.errors import exit_with_a_sentence
from s2d_edge.data.preparing.clips import load_many
from s2d_edge.data.reading.dataset import Sample
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.firmware_host.engines import open_engine


def _but(landmark: Int8Landmark) -> Callable[[Path, Recipe], list[str]]:
    return lambda graph, recipe: layers_in_float(graph, replace(recipe, int8_landmark=landmark))


LEFT_IN_FLOAT: dict[str, Callable[[Path, Recipe], list[str]]] = {
    "nothing": lambda graph, recipe: [],
    "head, depthwise and first convolutions": _but("all"),
    "and the strided bottlenecks": _but("chains"),
    "and the whole network": _but("none"),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("bundle", type=Path)
    arguments.add_argument("--data")
    arguments.add_argument("--split", default="val")
    arguments.add_argument("--limit", type=int, help="clips of it, evenly over the classes (default: all)")
    arguments.add_argument("--clips", type=int, default=64)
    arguments.add_argument("--ranges", choices=get_args(Ranges), help="of activations, if not the recipe's")
    arguments.add_argument("--rounds", type=int, default=100)
    args = arguments.parse_args()
    fp32 = open_bundle(args.bundle)
    dataset = open_dataset(args.data, Console(quiet=True), fp32.manifest.labels)
    judged = dataset.require_split(args.split)
    if args.limit is not None:
        judged = choose_samples(dataset, args.split, args.limit, 0)
    clips, truth = _load(fp32, judged), np.array([sample.label for sample in judged])
    calibration = _load(fp32, choose_samples(dataset, "train", args.clips, 0))
    with tempfile.TemporaryDirectory() as folder:
        macs, engines = [0.0], [open_engine(fp32, "cpu")]
        for number, left in enumerate(LEFT_IN_FLOAT.values()):
            int8 = _quantized(fp32, Path(folder, str(number)), left, calibration, args.ranges)
            macs.append(count_macs(int8.graph_path).fraction)
            engines.append(open_engine(int8, "cpu"))
        graphs_logits = [np.concatenate([engine.infer(clip) for clip in clips]) for engine in engines]
        spent = np.empty((args.rounds, len(engines)))
        for turn in range(args.rounds):
            for which, engine in enumerate(engines):
                begin = time.perf_counter()
                engine.infer(clips[0])
                spent[turn, which] = 1000 * (time.perf_counter() - begin)
    print("| in floating point | INT8 MACs | logits apart (RMS) | of spread | agreement | WAR | ms |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    exact = graphs_logits[0]
    names = ("everything (FP32)", *LEFT_IN_FLOAT)
    for name, share, logits, ms in zip(names, macs, graphs_logits, np.median(spent, axis=0), strict=True):
        apart = float(np.sqrt(np.mean((logits - exact) ** 2)))
        war = float(np.mean(logits.argmax(axis=1) == truth))
        equal = float(np.mean(logits.argmax(axis=1) == exact.argmax(axis=1)))
        spread = apart / float(exact.std())
        print(f"| {name} | {share:.1%} | {apart:.3f} | {spread:.1%} | {equal:.1%} | {war:.3f} | {ms:.1f} |")


def _load(bundle: Bundle, samples: tuple[Sample, ...]) -> list[Clip]:
    """The first window of each sample, (1, T, S, S, 3) uint8."""
    loaded = load_many([sample.path for sample in samples], bundle.manifest.spec, bundle.manifest.crop)
    return [clip.windows[:1] for clip in loaded]


def _quantized(
    fp32: Bundle,
    folder: Path,
    left: Callable[[Path, Recipe], list[str]],
    clips: list[Clip],
    ranges: Ranges | None,
) -> Bundle:
    manifest = fp32.manifest
    recipe = recipe_for(manifest.target, manifest.graph, manifest.mode)
    if ranges is not None:
        recipe = replace(recipe, ranges=ranges)
    folder.mkdir()
    backend, quantize = (
        (onnx_graph, onnx_graph.quantize_onnx)
        if recipe.backend == "onnx"
        else (openvino_graph, openvino_graph.quantize_openvino)
    )
    with patch.object(backend, "layers_in_float", left), feeds_of(fp32, clips) as feeds:
        quantize(fp32.graph_path, folder / manifest.graph, recipe, feeds, len(feeds))
    return Bundle(folder, seal(folder, manifest.model_copy(update={"self_test": None, "face": None})))


if __name__ == "__main__":
    with exit_with_a_sentence():
        main()
