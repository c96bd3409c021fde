"""Compare the speed of loading clips with the speed of training steps.

    python docs/experiments/loader_speed.py DATA [--model small] [--batch 8] [--clips 96] [--steps 6]

Clips are decoded, searched for faces and cropped once, before the first epoch, and read back from one file
by all epochs. So there are three speeds: of preparing, which is paid once; of taking a batch from what is
prepared and changing it at random, at every step; and of the step itself. A trainer waits for
data where taking is slower than stepping. All three are medians in frames a second, so they compare.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.contracts.model_config import preset
from s2d_edge.core.console import Console
from s2d_edge.core.errors import exit_with_a_sentence
from s2d_edge.data.preparing.clips import load_many
from s2d_edge.data.preparing.parallel import usable_cores
from s2d_edge.data.preparing.prepare import prepare
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.model.s2d import S2D
from s2d_edge.train.recipes import recipe
from s2d_edge.train.supply.feed import Batch, Feed
from s2d_edge.train.supply.target import cross_entropy, hard_target


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("data")
    arguments.add_argument("--model", default="small")
    arguments.add_argument("--recipe", default="paper")
    arguments.add_argument("--batch", type=int, default=8)
    arguments.add_argument("--clips", type=int, default=96)
    arguments.add_argument("--steps", type=int, default=6)
    args = arguments.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    console = Console()
    dataset = open_dataset(args.data, console)
    samples = dataset.require_split("train")[: args.clips]
    config = preset(args.model)
    spec = ClipSpec(frames=config.frames, fps=8.0, size=config.vit.image_size)
    crop = CropRecipe(size=spec.size)
    rates = {"preparing, once": _preparing([sample.path for sample in samples], spec, crop)}

    with tempfile.TemporaryDirectory() as cache:
        os.environ["S2D_EDGE_CACHE"] = cache
        clips = prepare(samples, spec, crop, console, title="clips")
        target = hard_target(clips.labels % config.classes, np.ones(config.classes, dtype=np.bool_))
        feed = Feed(clips=clips, target=target, single_frames=False, maps=None)
        augment = recipe(args.recipe).video.augment
        generator = torch.Generator().manual_seed(0)
        draws = np.random.default_rng(0)

        def take() -> Batch:
            chosen = draws.integers(len(feed.clips), size=args.batch)
            taken = feed.training_batch(chosen, augment, generator).to(device)
            if device.type == "cuda":
                torch.cuda.synchronize()
            return taken

        rates["taking a batch"] = _rate(take, args.steps, args.batch * spec.frames)
        batch = take()
        model = S2D(config).to(device)
        model.freeze_backbone()
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
                loss = cross_entropy(model(batch.clip, batch.maps), batch.target, 0.0).mean()
            loss.backward()
            optimizer.step()
            if device.type == "cuda":
                torch.cuda.synchronize()

        rates["a training step"] = _rate(step, args.steps, args.batch * spec.frames)

    where = f"{device.type.upper()}, {usable_cores()} cores, {torch.get_num_threads()} threads"
    print(f"{args.model}, T {spec.frames}, batch {args.batch}, {where}")
    print("| | frames a second |\n| --- | --- |")
    for name, rate in rates.items():
        print(f"| {name} | {rate:.1f} |")


def _preparing(paths: list[Path], spec: ClipSpec, crop: CropRecipe) -> float:
    """Frames a second, without the time the processes take to start."""
    clips = load_many(paths, spec, crop)
    next(clips)
    started, frames = time.perf_counter(), 0
    for clip in clips:
        frames += len(clip.frames)
    return frames / (time.perf_counter() - started)


def _rate(work: Callable[[], object], times: int, frames: int) -> float:
    """Frames a second by the median of ``times`` runs, after one that does not count."""
    seconds = []
    for _ in range(times + 1):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return frames / statistics.median(seconds[1:])


if __name__ == "__main__":
    with exit_with_a_sentence():
        main()
