"""Compare other models with a first one on the same clips, with paired 95 % intervals.

    python docs/experiments/compare.py FIRST OTHER… [--data DATA] [--split test]

Models are run folders or bundles with the same labels. Clips are cropped once and shown to all.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from s2d_edge import load
from s2d_edge.contracts.evaluation import predict_clips
from s2d_edge.core import metrics
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, exit_with_a_sentence
from s2d_edge.data.preparing.clips import load_many
from s2d_edge.data.reading.open import open_dataset


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("models", type=Path, nargs="+")
    arguments.add_argument("--data")
    arguments.add_argument("--split", default="test")
    args = arguments.parse_args()
    opened = [load(path, device="cpu") for path in args.models]
    first_model = opened[0]
    if any((each.labels, each.spec) != (first_model.labels, first_model.spec) for each in opened):
        raise ConfigError("the models have different labels or clips; compare those that have the same")
    samples = open_dataset(args.data, Console(quiet=True), first_model.labels).require_split(args.split)
    paths = [each.path for each in samples]
    clips = list(load_many(paths, first_model.spec, first_model.crop))
    truth = np.array([sample.label for sample in samples], dtype=np.int64)
    print(f"| {len(samples)} clips | WAR | points of WAR above the first |")
    print("| --- | --- | --- |")
    first: metrics.Labels | None = None
    for path, each in zip(args.models, opened, strict=True):
        with each:
            predictions = predict_clips(each.engine, clips).predicted
        war = metrics.war(metrics.confusion(truth, predictions, len(first_model.labels)))
        if first is None:
            first, gain = predictions, ""
        else:
            found = 100 * (war - float(np.mean(first == truth)))
            low, high = metrics.war_drop_interval(truth, predictions, first, len(first_model.labels))
            gain = f"{found:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"
        print(f"| {path} | {war:.3f} | {gain} |")


if __name__ == "__main__":
    with exit_with_a_sentence():
        main()
