"""How much of the landmark network should be INT8? Quantizes an FP32 OpenVINO bundle in three ways.

    python docs/experiments/int8_landmark.py bundles/NAME [--data DATA] [--clips 64] [--rounds 100]

Prints for each the share of INT8 multiplications, how far the logits of the test split move from those of
FP32 (RMS), WAR, and the median time of an answer, all graphs in turn.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import openvino as ov

from calibrate import openvino_graph
from calibrate.feeds import feeds_of
from calibrate.int8_macs import count_macs
from calibrate.recipe import recipe_for
from calibrate.samples import choose_samples
from firmware_host.engines import open_engine
from s2d_edge.bundle import Bundle, open_bundle, seal
from s2d_edge.console import Console
from s2d_edge.data.clips import load_many
from s2d_edge.data.datasets import open_dataset, require_split
from s2d_edge.data.samples import Sample
from s2d_edge.engine import Clip


def whole_network(model: ov.Model) -> list[str]:
    """Names of all convolutions of the landmark network."""
    return [
        op.get_friendly_name()
        for op in model.get_ops()
        if "Convolution" in op.get_type_name() and ".landmark." in op.get_friendly_name()
    ]


LEFT_IN_FLOAT: dict[str, Callable[[ov.Model], list[str]] | None] = {
    "nothing": None,
    "depthwise and first convolutions": openvino_graph.depthwise_convolutions,
    "the whole network": whole_network,
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("bundle", type=Path)
    arguments.add_argument("--data")
    arguments.add_argument("--clips", type=int, default=64)
    arguments.add_argument("--rounds", type=int, default=100)
    asked = arguments.parse_args()
    fp32 = open_bundle(asked.bundle)
    dataset = open_dataset(asked.data, Console(quiet=True), fp32.manifest.labels)
    test = require_split(dataset, "test")
    clips, truth = _load(fp32, test), np.array([sample.label for sample in test])
    calibration = _load(fp32, choose_samples(dataset, "train", asked.clips, 0))
    with tempfile.TemporaryDirectory() as folder:
        macs, engines = [0.0], [open_engine(fp32, "cpu")]
        for number, left in enumerate(LEFT_IN_FLOAT.values()):
            int8 = _quantized(fp32, Path(folder, str(number)), left, calibration)
            macs.append(count_macs(int8.graph_path).fraction)
            engines.append(open_engine(int8, "cpu"))
        answers = [np.concatenate([engine.infer(clip) for clip in clips]) for engine in engines]
        spent = np.empty((asked.rounds, len(engines)))
        for turn in range(asked.rounds):
            for which, engine in enumerate(engines):
                begin = time.perf_counter()
                engine.infer(clips[0])
                spent[turn, which] = 1000 * (time.perf_counter() - begin)
    print("| in floating point | INT8 MACs | logits apart (RMS) | WAR | ms an answer |")
    print("| --- | --- | --- | --- | --- |")
    names = ("everything (FP32)", *LEFT_IN_FLOAT)
    for name, share, logits, ms in zip(names, macs, answers, np.median(spent, axis=0), strict=True):
        apart = float(np.sqrt(np.mean((logits - answers[0]) ** 2)))
        war = float(np.mean(logits.argmax(axis=1) == truth))
        print(f"| {name} | {share:.1%} | {apart:.3f} | {war:.3f} | {ms:.1f} |")


def _load(bundle: Bundle, samples: tuple[Sample, ...]) -> list[Clip]:
    """The first window of each sample, (1, T, S, S, 3) uint8."""
    loaded = load_many([sample.path for sample in samples], bundle.manifest.spec, bundle.manifest.crop)
    return [clip.windows[:1] for clip in loaded]


def _quantized(
    fp32: Bundle, folder: Path, left: Callable[[ov.Model], list[str]] | None, clips: list[Clip]
) -> Bundle:
    manifest = fp32.manifest
    recipe = recipe_for(manifest.target, manifest.graph, manifest.mode)
    folder.mkdir()
    with (
        patch.object(openvino_graph, "depthwise_convolutions", left),
        feeds_of(fp32, clips) as feeds,
    ):
        openvino_graph.quantize_openvino(
            fp32.graph_path,
            folder / manifest.graph,
            replace(recipe, quantize_depthwise=left is None),
            feeds,
            len(feeds),
        )
    return Bundle(folder, seal(folder, manifest.model_copy(update={"self_test": None})))


if __name__ == "__main__":
    main()
