"""Drawn faces on which a face pack is tested."""

from __future__ import annotations

from s2d_edge.data.avatars.clips import render_clip
from s2d_edge.media.crop import Picture

_SEED = 25
_SIZE = 128
_PEOPLE = (("neutral", 0), ("happy", 1), ("surprise", 2), ("angry", 3))


def drawn_faces() -> list[Picture]:
    """Return pictures of different avatars, (S, S, 3) uint8 RGB each, one large face in each."""
    return [
        render_clip(_SEED, person, 0, label, frames=4, fps=4, size=_SIZE)[0][0] for label, person in _PEOPLE
    ]
