"""Parity of an exported graph with PyTorch, checked on clips before a bundle is written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from s2d_edge.contracts.bundle import ParityRecord
from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.contracts.engine import Clip, Engine
from s2d_edge.core.console import Console
from s2d_edge.core.errors import S2DEdgeError
from s2d_edge.data.avatars.clips import render_clip
from s2d_edge.data.avatars.expression import LABELS
from s2d_edge.data.preparing.clips import load_many
from s2d_edge.data.reading.open import open_dataset

TOLERANCE = 1e-3  # largest absolute difference of FP32 logits
_AVATAR_SEED = 2312  # a seed that no training set uses by default
_SHORTEST_AVATAR_CLIP = 4


def load_parity_clips(
    spec: ClipSpec, crop: CropRecipe, count: int, data: str | None, console: Console
) -> tuple[list[Clip], str]:
    """Load clips to compare on: of ``data``, or seeded avatars drawn at the network's size.

    Returns:
        ``count`` clips (1, T, H, W, 3) uint8 RGB, and the name of their source.

    Raises:
        S2DEdgeError: what opening and loading the data raises.
    """
    if data is None:
        clips = []
        for number in range(count):
            frames, _ = render_clip(
                _AVATAR_SEED,
                number,
                0,
                LABELS[number % len(LABELS)],
                frames=max(spec.frames, _SHORTEST_AVATAR_CLIP),
                fps=spec.fps,
                size=max(spec.size, 64),
            )
            clips.append(np.ascontiguousarray(frames[: spec.frames, : spec.size, : spec.size][None]))
        return clips, f"avatars, seed {_AVATAR_SEED}"
    dataset = open_dataset(data, console)
    step = max(len(dataset.samples) // count, 1)
    paths = [sample.path for sample in dataset.samples[::step][:count]]
    return [clip.windows[:1] for clip in load_many(paths, spec, crop)], dataset.name


def check_parity(
    reference: Engine, graph: Engine, clips: Sequence[Clip], source: str, console: Console
) -> ParityRecord:
    """Compare the logits of both engines clip by clip.

    Raises:
        S2DEdgeError: they differ by more than :data:`TOLERANCE` somewhere.
    """
    worst = 0.0
    with console.progress("checking parity", len(clips)) as advance:
        for clip in clips:
            worst = max(worst, float(np.abs(reference.infer(clip) - graph.infer(clip)).max()))
            advance(1)
    if worst > TOLERANCE:
        raise S2DEdgeError(
            f"{graph.description}: logits differ from PyTorch's by {worst:.2e} on {source}, more than "
            f"{TOLERANCE:.0e}; no bundle was written: report it with the output of s2d-edge doctor"
        )
    return ParityRecord(clips=len(clips), source=source, tolerance=TOLERANCE, max_abs_logit_diff=worst)
