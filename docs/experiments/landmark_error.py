"""Measure how far landmark networks are off FaceMesh's points, on people they were not trained on.

    python docs/experiments/landmark_error.py DATA FILE_OR_FOLDER… [--split test]

Errors are in units of the distance of the eyes' outer corners. The jaw is listed separately, since its points
mark no place of their own along the outline: networks trained on people's and on FaceMesh's points put them
elsewhere, each consistently.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from s2d_edge.core.console import Console
from s2d_edge.core.errors import exit_with_a_sentence
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.model.checkpoint import load_strictly, read_landmark
from s2d_edge.model.landmark import MobileFaceNet
from s2d_edge.train.landmark.faces import mesh_pool
from s2d_edge.train.landmark.teaching import point_error


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("data")
    arguments.add_argument("networks", type=Path, nargs="+")
    arguments.add_argument("--split", default="test")
    args = arguments.parse_args()
    console = Console()
    samples = open_dataset(args.data, console).require_split(args.split)
    pool = mesh_pool(samples, len(samples), 0, console, title=f"{args.split} faces")
    print(f"| {len(pool.pictures)} faces | all 68 points | without the jaw |\n| --- | --- | --- |")
    for path in args.networks:
        sizes, tensors = read_landmark(path)
        network = MobileFaceNet(sizes)
        load_strictly(network, tensors, str(path))
        error = point_error(network.eval(), pool)
        print(f"| {path} | {100 * error.whole:.1f} % | {100 * error.inner:.1f} % |")


if __name__ == "__main__":
    with exit_with_a_sentence():
        main()
