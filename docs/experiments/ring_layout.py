"""Time the FP32 step of each size with both layouts of a stream's rings, in turn.

    python docs/experiments/ring_layout.py tiny small [--frames 16] [--rounds 40]

``slots first`` sums the heads at once, ``heads first`` multiplies a small matrix per patch and head
(:mod:`s2d_edge.export.step`). Weights are random; speed does not depend on them.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from s2d_edge.contracts.bundle import open_bundle
from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.model_config import S2DConfig, TemporalConfig, preset
from s2d_edge.contracts.runs import RunInfo
from s2d_edge.core.console import Console
from s2d_edge.core.errors import exit_with_a_sentence
from s2d_edge.export import step
from s2d_edge.export.command import export_run
from s2d_edge.firmware_host.bench.timing import next_step, random_clip, time_step
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.model.checkpoint import save_run
from s2d_edge.model.s2d import S2D

NARROW_BELOW = {"slots first": 10**6, "heads first": 0}  # channels of a head: always narrow, never narrow


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("sizes", nargs="+")
    arguments.add_argument("--frames", type=int, default=16)
    arguments.add_argument("--rounds", type=int, default=40)
    args = arguments.parse_args()
    print("| size | T | channels of a head |", *(f"{name}, ms |" for name in NARROW_BELOW))
    print("| --- |" + " --- |" * (2 + len(NARROW_BELOW)))
    for size in args.sizes:
        config = preset(size)
        temporal = replace(config.temporal or TemporalConfig(), mode="causal")
        config = replace(config, temporal=temporal, frames=args.frames)
        with tempfile.TemporaryDirectory() as folder:
            times = _times(config, Path(folder), args.rounds)
        channels = config.bottleneck // temporal.heads
        print(f"| {size} | {args.frames} | {channels} |", *(f"{ms:.1f} |" for ms in times), flush=True)


def _times(config: S2DConfig, folder: Path, rounds: int) -> list[float]:
    """Median milliseconds of a frame in each layout."""
    torch.manual_seed(0)
    info = RunInfo(
        name="run",
        stage="video",
        labels=tuple("abcdefghijk"[: config.classes]),
        fps=6.0,
        crop=CropRecipe(size=config.vit.image_size),
        model=config,
    )
    save_run(folder / "run", info, S2D(config))
    sessions = []
    for name, below in NARROW_BELOW.items():
        with patch.object(step, "_NARROW", below):
            bundle = open_bundle(
                export_run(
                    target="intel-cpu",
                    mode="stream",
                    run=folder / "run",
                    out=folder / name,
                    parity_clips=1,
                    console=Console(quiet=True),
                )
            )
        sessions.append(open_engine(bundle, "cpu").open_stream())
    noise = random_clip(bundle.manifest.spec)
    for session in sessions:
        for _ in range(config.frames):
            next_step(session, noise)
    spent = [[time_step(session, noise) for session in sessions] for _ in range(rounds)]
    medians: list[float] = np.median(spent, axis=0).tolist()
    return medians


if __name__ == "__main__":
    with exit_with_a_sentence():
        main()
