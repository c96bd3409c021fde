"""Learn the resting face from a set's stills."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.core.files import whole_file
from s2d_edge.data.animate.landmarks import Points, StillFaceFinder
from s2d_edge.data.animate.resting import FEWEST, RestingFace, learn_resting_face
from s2d_edge.data.animate.stills import Still, shuffled
from s2d_edge.data.preparing.clips import unreadable_by
from s2d_edge.data.preparing.parallel import in_parallel
from s2d_edge.data.reading.tables import read_arrays

_MOST = 400  # stills of one label; more only take time
_FROM = "train"  # other splits are used only where this one is too small


def resting_face(
    stills: Sequence[Still], neutral: str, kept: Path, console: Console, *, workers: int
) -> RestingFace:
    """Learn the resting face, or read the one that an earlier run learned from the same stills.

    Args:
        stills: the whole set, however few of them are to be animated.
        neutral: the label of faces at rest.
        kept: the file that holds it.

    Raises:
        DataError: too few neutral stills, or too few others, show a face.
    """
    names = ("mean", "modes", "person", "expression")
    if kept.is_file():
        stored = read_arrays(kept, names, "remove it, and faces at rest are learned again")
        return RestingFace(**dict(zip(names, stored, strict=True)))
    learned = _learn(_to_learn_from(stills, neutral), neutral, console, workers)
    with whole_file(kept) as scratch:
        np.savez(scratch, **{name: getattr(learned, name) for name in names})
    return learned


def _to_learn_from(stills: Sequence[Still], neutral: str) -> list[Still]:
    training = [still for still in stills if still.split == _FROM]
    for pool in (training, list(stills)):
        at_rest = sum(still.label == neutral for still in pool)
        if min(at_rest, len(pool) - at_rest) >= FEWEST:
            labels = sorted({still.label for still in pool})
            return [s for label in labels for s in shuffled(t for t in pool if t.label == label)[:_MOST]]
    at_rest = sum(still.label == neutral for still in stills)
    known = ", ".join(sorted({still.label for still in stills}))
    raise DataError(
        f"{at_rest} stills are labelled {neutral!r} and {len(stills) - at_rest} otherwise ({known}), and "
        f"faces at rest are learned from at least {FEWEST} of either; name the label of faces at rest with "
        "--neutral, or a set to learn them from with --resting"
    )


def _learn(stills: Sequence[Still], neutral: str, console: Console, workers: int) -> RestingFace:
    faces: dict[str, list[Points]] = {still.label: [] for still in stills}
    with console.progress("learning faces at rest", len(stills)) as advance:
        found = in_parallel(_find, stills, workers=workers, start=_start, chunk=8, died=_refuse)
        for still, points in zip(stills, found, strict=True):
            if points is not None:
                faces[still.label].append(points)
            advance(1)
    shapes = {label: np.array(each).reshape(-1, 468, 2) for label, each in faces.items()}
    at_rest = shapes.pop(neutral)
    return learn_resting_face(at_rest, shapes)


def _refuse(still: Still, how: str) -> NoReturn:
    raise unreadable_by(still.path, how)


_finder: StillFaceFinder | None = None


def _start() -> None:
    global _finder
    _finder = StillFaceFinder()


def _find(still: Still) -> Points | None:
    assert _finder is not None
    return _finder.find(still.picture(None))
