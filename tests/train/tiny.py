"""A model and clips small enough to train in a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.model_config import LandmarkConfig, S2DConfig, TemporalConfig, ViTConfig
from s2d_edge.contracts.runs import RunInfo
from s2d_edge.core.console import Console
from s2d_edge.data.preparing.prepare import PreparedClips
from s2d_edge.model.landmark import MobileFaceNet
from s2d_edge.model.s2d import S2D
from s2d_edge.train import context as train_context
from s2d_edge.train.context import Context, InterruptGuard
from s2d_edge.train.loop.job import Job
from s2d_edge.train.plan.settings import AugmentSettings, StageSettings
from s2d_edge.train.processes import Processes
from s2d_edge.train.supply.feed import Feed
from s2d_edge.train.supply.landmark_maps import LandmarkMaps
from s2d_edge.train.supply.sets import JoinedSets
from s2d_edge.train.supply.target import hard_target

SIZE, FRAMES, CLASSES = 32, 4, 3

IMAGE = S2DConfig(
    vit=ViTConfig(image_size=SIZE, patch_size=16, width=32, depth=2, heads=2),
    landmark=LandmarkConfig(width=4, depths=(1, 1, 1)),
    temporal=None,
    frames=1,
    prompt_width=4,
    classes=CLASSES,
)
VIDEO = IMAGE.as_video(FRAMES, TemporalConfig(ratio=0.5, heads=2))

STILL = AugmentSettings(
    flip=0, rotate_deg=0, scale=0, shift=0, brightness=0, contrast=0, saturation=0, erase=0
)


class StopAfter(InterruptGuard):
    """Requested to stop when the loop looks for the n-th time."""

    def __init__(self, looks: int) -> None:
        self._left = looks
        super().__init__()

    @property
    def requested(self) -> bool:
        self._left -= 1
        return self._left <= 0

    @requested.setter
    def requested(self, value: bool) -> None:
        assert not value


@contextmanager
def stopped_after(looks: int) -> Iterator[None]:
    """Request the training in the block to stop when its loop looks for the n-th time; it must stop."""
    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(train_context, "InterruptGuard", lambda: StopAfter(looks))
        yield


def alone(interrupt: InterruptGuard | None = None, console: Console | None = None) -> Context:
    """The context of a training in this process alone."""
    return Context(
        processes=Processes("cpu"),
        console=console or Console(quiet=True),
        interrupt=interrupt or InterruptGuard(),
    )


def write_landmark(path: Path) -> Path:
    """Write random weights of a landmark network, of the tiny models' sizes; returns the file."""
    torch.manual_seed(0)
    save_file(MobileFaceNet(IMAGE.landmark).state_dict(), path)
    return path


def clips(frames: NDArray[np.uint8], labels: list[int]) -> PreparedClips:
    """(n, T, S, S, 3) uint8 as prepared clips of one window each."""
    n, t = frames.shape[:2]
    return PreparedClips(
        frames=frames.reshape(n * t, *frames.shape[2:]),  # (n·T, S, S, 3)
        windows=np.arange(n * t).reshape(n, t),
        first_window=np.arange(n + 1),
        labels=np.array(labels, dtype=np.int64),
        sources=np.zeros(n, dtype=np.int64),
        names=tuple(f"clip-{k}" for k in range(n)),
        faces_missed=0,
    )


def feed(
    prepared: PreparedClips,
    *,
    single_frames: bool = False,
    maps: LandmarkMaps | None = None,
    classes: int = CLASSES,
) -> Feed:
    """Clips whose target is their label."""
    target = hard_target(prepared.labels, np.ones(classes, dtype=np.bool_))
    return Feed(clips=prepared, target=target, single_frames=single_frames, maps=maps)


def noisy_clips(n: int, seed: int = 0) -> PreparedClips:
    """n clips of noise, labels in turn."""
    noise = np.random.default_rng(seed).integers(0, 256, (n, FRAMES, SIZE, SIZE, 3), dtype=np.uint8)
    return clips(noise, [k % CLASSES for k in range(n)])


def ramp_clips(n: int, seed: int = 0) -> PreparedClips:
    """Clips of the same grey levels, rising in class 0 and falling in class 1; only the order differs."""
    rng = np.random.default_rng(seed)
    labels = [k % 2 for k in range(n)]
    rising = np.linspace(40, 215, FRAMES)
    levels = np.stack([rising if label == 0 else rising[::-1] for label in labels])  # (n, T)
    noise = rng.normal(0, 4, (n, FRAMES, SIZE, SIZE, 3))
    return clips((levels[:, :, None, None, None] + noise).clip(0, 255).astype(np.uint8), labels)


def job(
    folder: Path,
    settings: StageSettings,
    train: PreparedClips,
    val: PreparedClips,
    *,
    video: bool = False,
    model: S2D | None = None,
    context: Context | None = None,
    interrupt: InterruptGuard | None = None,
) -> Job:
    """A job over tiny clips, its model made from a fixed seed."""
    torch.manual_seed(1)
    config = VIDEO if video else IMAGE
    model = model or S2D(config)
    folder.mkdir(parents=True, exist_ok=True)
    info = RunInfo(
        name=folder.name,
        stage="video" if video else "image",
        labels=tuple(f"label-{k}" for k in range(model.config.classes)),
        fps=4.0,
        crop=CropRecipe(size=SIZE),
        model=model.config,
        origin={"how": "trained"},
    )
    return Job(
        model=model,
        info=info,
        settings=settings,
        lessons=None,
        seed=5,
        train=feed(train, single_frames=not video, classes=model.config.classes),
        val=feed(val, single_frames=not video, classes=model.config.classes),
        sets=JoinedSets(names=("tiny",), weights=(1.0,)),
        folder=folder,
        context=context or alone(interrupt),
        amp=False,
    )
