"""Labelled pictures for the bundles of ``tests.firmware_host.graphs``, which predict the strongest colour."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tests.firmware_host.graphs import LABELS


def write_colours(
    root: Path, split: str, per_class: int, *, wrong: int = 0, lead: int = 100, seed: int = 0
) -> Path:
    """Write ``root/split/LABEL/*.png``, noisy pictures of one strongest colour, 48 × 48.

    Args:
        wrong: pictures of each class that show the next class's colour.
        lead: of the strongest colour over the others, of 255.
    """
    generator = np.random.default_rng([seed, *split.encode()])
    for index, label in enumerate(LABELS):
        folder = root / split / label
        folder.mkdir(parents=True)
        for k in range(per_class):
            picture = generator.integers(0, 120, (48, 48, 3)).astype(np.uint8)
            shown = (index + (k < wrong)) % len(LABELS)
            picture[:, :, shown] += lead
            assert cv2.imwrite(str(folder / f"{k}.png"), picture[:, :, ::-1])
    return root
