"""Avatars: labelled clips of drawn, shaded faces whose action units move.

With them the whole toolkit can be tried without anybody's photographs: a seed gives the same faces on every
machine. Needs no torch.
"""

from s2d_edge.data.avatars.clips import render_clip, write_avatar_video
from s2d_edge.data.avatars.dataset import (
    AvatarSpec,
    default_avatars,
    read_landmarks,
    write_avatars,
)
from s2d_edge.data.avatars.expression import LABELS

__all__ = [
    "LABELS",
    "AvatarSpec",
    "default_avatars",
    "read_landmarks",
    "render_clip",
    "write_avatar_video",
    "write_avatars",
]
