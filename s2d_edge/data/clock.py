"""The rate of frame folders: a set that was made here says it, others carry no clock."""

from __future__ import annotations

import json
from pathlib import Path

AVATARS_FILE, ANIMATED_FILE = "avatars.json", "animated.json"


def drawn_fps(root: Path) -> float | None:
    """Frames per second at which the frames of a set of avatars or animated stills were drawn.

    Args:
        root: the set's folder.

    Returns:
        None for any other set.
    """
    for name in (AVATARS_FILE, ANIMATED_FILE):
        described = root / name
        if described.is_file():
            return float(json.loads(described.read_text(encoding="utf-8"))["fps"])
    return None
