"""Look for a face in a dataset: one without any is no dataset of expressions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import cache, partial
from pathlib import Path

from s2d_edge.core.console import Console
from s2d_edge.core.errors import MediaError
from s2d_edge.data.preparing.parallel import in_parallel
from s2d_edge.media.faces.finder import FaceFinder
from s2d_edge.media.kinds import media_kind
from s2d_edge.media.pictures import frame_paths, read_image
from s2d_edge.media.sampling import sample_by_time
from s2d_edge.media.video import read_video

_LOOKED_AT_FIRST = 32  # clips; nearly every dataset shows a face there, before processes are worth starting


def shows_a_face(paths: Sequence[Path], fps: float, console: Console, *, workers: int) -> bool:
    """Search clips until a face is found; True at once where there is no clip.

    Args:
        paths: readable clips.
        fps: rate at which videos are sampled, frames per second.
        workers: processes for all but the first clips.
    """
    if not paths:
        return True
    search = partial(_has_face, fps=fps)
    with console.progress("looking for a face", len(paths)) as advance:
        for part, count in ((paths[:_LOOKED_AT_FIRST], 1), (paths[_LOOKED_AT_FIRST:], workers)):
            with closing(in_parallel(search, part, workers=count)) as found:
                for has_face in found:
                    if has_face:
                        return True
                    advance(1)
    return False


def _has_face(path: Path, fps: float) -> bool:
    try:
        kind = media_kind(path)
        if kind == "video":
            return any(_finder().find(frame) for _, frame in sample_by_time(read_video(path), fps))
        files = frame_paths(path) if kind == "folder" else [path]
        return any(_finder().find(read_image(file)) for file in files)
    except (MediaError, OSError):
        return False


@cache
def _finder() -> FaceFinder:
    return FaceFinder(static=True)
