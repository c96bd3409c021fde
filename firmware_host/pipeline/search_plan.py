"""The frames that are searched for faces: samples, and those between them where a face could be lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from s2d_edge.media.tracking import Box, Sighting

SearchWhen = Literal["auto", "all", "samples"]

# A face that moves by more than this fraction of its width from one sample to the next is searched in every
# frame. It would still be followed at three times the speed (SAME_FACE_LATER in media/tracking.py).
STEADY_BELOW = 1 / 4


class SearchPlan:
    """Decides which frames of one stream are searched.

    The model takes crops of samples alone, a few frames per second. A frame between two samples needs a
    search only if somebody looks at its boxes, or if the followed faces may be elsewhere at the next sample:
    when one is new, moves quickly, or is out of view.
    """

    def __init__(self, when: SearchWhen, *, fps: float, gap_s: float, drawn: bool) -> None:
        """Start without any followed face.

        Args:
            when: ``samples`` searches samples alone, ``all`` every frame, ``auto`` what is needed.
            fps: the model's rate, samples per second.
            gap_s: a face that is gone for longer is another one when it comes back, so no two searches are
                further apart, whatever the model's rate.
            drawn: True if the boxes of every frame are drawn, in a window or a video.
        """
        self._every = when == "all" or (when == "auto" and drawn)
        self._samples_only = when == "samples"
        self._fps = fps
        self._gap_s = gap_s
        self._boxes: dict[int, Box] = {}  # where each face in view was at the last search, by track
        self._last_s = 0.0
        self._steady = True

    def wants(self, t_s: float, *, sample: bool) -> bool:
        """Return whether the frame at ``t_s`` seconds is to be searched; ``sample`` says if it is one."""
        if sample or self._every or self._samples_only:
            return sample or self._every
        return not self._steady or t_s - self._last_s >= self._gap_s

    def note(self, sightings: Sequence[Sighting], t_s: float, *, missing: bool) -> None:
        """Note what a search saw.

        Args:
            sightings: the followed faces in the frame.
            t_s: its time, seconds; rises from search to search.
            missing: True if a followed face is not in it.
        """
        boxes = {sighting.track: sighting.face.box for sighting in sightings}
        samples = (t_s - self._last_s) * self._fps  # since the last search
        self._steady = not missing and all(
            track in self._boxes and _shift(self._boxes[track], box) <= STEADY_BELOW * samples
            for track, box in boxes.items()
        )
        self._boxes, self._last_s = boxes, t_s


def _shift(before: Box, after: Box) -> float:
    """Distance between the centres of two boxes of one face along the longer axis, in widths of a box."""
    (x0, y0, w0, h0), (x1, y1, w1, h1) = before, after
    moved = max(abs(2 * x1 + w1 - 2 * x0 - w0), abs(2 * y1 + h1 - 2 * y0 - h0)) / 2
    return moved / max(min(w0, w1, h0, h1), 1)
