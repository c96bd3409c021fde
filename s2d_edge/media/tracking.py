"""Who is who: when two boxes show one face, and the tracker that follows faces by it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from s2d_edge.media.crop import Points

Box = tuple[int, int, int, int]  # x, y, width, height, pixels

# Two boxes show one face if their overlap (intersection over union) is at least this: two detections in one
# frame, and the same person in two frames in a row. Below it, boxes of one size share less than a third of
# their area. So a face may move by two thirds of its width between two frames and is still followed: in seven
# real clips, searched in every third frame, a face overlaps with itself by 0.29 at least. Two people closer
# than that hide each other: a crop of one would show the other, so only one is kept.
SAME_FACE = 0.2
# Where frames between two searches were skipped, a followed face is known again by any real overlap.
SAME_FACE_LATER = 0.05

FACE_GAP_S = 0.5  # seconds without a face after which its track ends, unless the user says otherwise
# A source pauses when a frame takes this many times as long as the slowest of the last few.
_PAUSE_FACTOR = 4.0
_PACE_OVER = 8


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one frame.

    Attributes:
        points: (468, 2) float32 pixels, in FaceMesh's order; some may lie outside the frame.
        box: the points' bounding box inside the frame.
    """

    points: Points
    box: Box

    @property
    def area(self) -> int:
        """Pixels covered by the box."""
        return self.box[2] * self.box[3]


def box_overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    wide = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    high = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(wide, 0) * max(high, 0)
    return shared / max(one[2] * one[3] + other[2] * other[3] - shared, 1)


def is_new_face(box: Box, others: Iterable[Box]) -> bool:
    """True if the box shows none of the faces in the other boxes."""
    return all(box_overlap(box, other) < SAME_FACE for other in others)


def distinct_faces(faces: Iterable[Face]) -> list[Face]:
    """The faces in order, without second detections of an earlier one."""
    kept: list[Face] = []
    for face in faces:
        if is_new_face(face.box, (other.box for other in kept)):
            kept.append(face)
    return kept


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A followed face in one frame.

    Attributes:
        seat: number of the place it holds among the followed faces, from 0.
        track: number of the face among those followed so far, from 1; a face that comes back after a gap
            gets a new number.
        face: its points and box in this frame.
    """

    seat: int
    track: int
    face: Face


@dataclass(slots=True, eq=False)
class _Seat:
    """A place for one followed face.

    Attributes:
        box: where it was seen last; None while the place is free.
        missing_since_s: time of the first frame in a row that was searched without finding it.
    """

    number: int
    track: int = 0
    box: Box | None = None
    missing_since_s: float | None = None


class FaceTracker:
    """Gives each face a seat, which it keeps while its box overlaps with where it was seen last.

    A track ends when frames were searched for longer than ``gap_s`` without finding its face. Time in which
    no frame was searched does not count, so a slow search follows a face as a fast one does. A pause of the
    whole source ends every track: nobody knows who was there meanwhile.

    Attributes:
        gap_s: seconds without a face after which its track ends.
    """

    def __init__(self, seats: int, *, gap_s: float = FACE_GAP_S, pause_s: float = FACE_GAP_S) -> None:
        """Free seats, numbered from 0.

        Args:
            seats: faces followed at most.
            gap_s: seconds without a face after which its track ends.
            pause_s: seconds without any frame that may be a pause; it is one if the frames before came far
                quicker.
        """
        self._seats = tuple(_Seat(number) for number in range(seats))
        self.gap_s = gap_s
        self._pause_s = pause_s
        self._apart_s: deque[float] = deque(maxlen=_PACE_OVER)  # between the last frames
        self._last_s: float | None = None
        self._tracks = 0
        self._passed_over = False
        self._in_view: tuple[Box, ...] = ()

    @property
    def main(self) -> int:
        """Track of the face that is followed longest, also while it is out of view; 0 if there is none."""
        return min((seat.track for seat in self._seats if seat.box is not None), default=0)

    @property
    def free(self) -> frozenset[int]:
        """Seats that nobody holds: never taken, or their track ended."""
        return frozenset(seat.number for seat in self._seats if seat.box is None)

    @property
    def missing(self) -> int:
        """Number of followed faces that are not in the last frame."""
        return len(self._seats) - len(self.free) - len(self._in_view)

    @property
    def in_view(self) -> tuple[Box, ...]:
        """Boxes of the followed faces in the last frame, the longest followed first."""
        return self._in_view

    def follow(self, faces: Sequence[Face], t_s: float) -> list[Sighting]:
        """Find the followed faces among the faces of the next frame.

        A new face takes a free seat, or the seat of somebody who is not in this frame. If the faces of all
        seats are in view, further faces are not followed.

        Args:
            faces: all of the frame, the most important first.
            t_s: time of the frame, seconds; rises from frame to frame.

        Returns:
            The followed faces in this frame, the longest followed first.
        """
        self._note_time(t_s)
        seen = self._match(faces, SAME_FACE_LATER if self._passed_over else SAME_FACE)
        self._passed_over = False
        for seat in self._seats:
            if seat.box is not None and seat not in seen:
                self._miss(seat, t_s)
        for face in faces:
            if all(face is not other for other in seen.values()):
                place = self._place(seen)
                if place is None:
                    break
                self._tracks += 1
                place.track = self._tracks
                seen[place] = face
        for seat, face in seen.items():
            seat.box = face.box
            seat.missing_since_s = None
        sightings = [Sighting(seat.number, seat.track, face) for seat, face in seen.items()]
        sightings.sort(key=lambda sighting: sighting.track)
        self._in_view = tuple(sighting.face.box for sighting in sightings)
        return sightings

    def pass_over(self, t_s: float) -> None:
        """Note the time of a frame that is not searched, seconds."""
        self._note_time(t_s)
        self._passed_over = True

    def _note_time(self, t_s: float) -> None:
        """Note the time of a frame; after a pause of the source every track ends."""
        if self._paused(t_s):
            for seat in self._seats:
                seat.box = None

    def _paused(self, t_s: float) -> bool:
        """Note the time of a frame; True if it comes after a pause of the source."""
        apart_s = 0.0 if self._last_s is None else t_s - self._last_s
        usual_s = max(self._apart_s, default=math.inf)
        if self._last_s is not None:
            self._apart_s.append(apart_s)
        self._last_s = t_s
        return apart_s > max(self._pause_s, _PAUSE_FACTOR * usual_s)

    def _miss(self, seat: _Seat, t_s: float) -> None:
        """Note that the face of a seat is not in the frame, and free the seat after a gap."""
        if seat.missing_since_s is None:
            seat.missing_since_s = t_s
        if t_s - seat.missing_since_s > self.gap_s:
            seat.box = None

    def _match(self, faces: Sequence[Face], least: float) -> dict[_Seat, Face]:
        """Faces that overlap by ``least`` with where a followed one was, the best overlaps first."""
        overlaps = [
            (box_overlap(face.box, seat.box), seat, face)
            for seat in self._seats
            if seat.box is not None
            for face in faces
        ]
        matched: dict[_Seat, Face] = {}
        for overlap, seat, face in sorted(overlaps, key=lambda each: -each[0]):
            taken = any(face is other for other in matched.values())
            if overlap >= least and seat not in matched and not taken:
                matched[seat] = face
        return matched

    def _place(self, seen: dict[_Seat, Face]) -> _Seat | None:
        """A free seat, else the newest of those whose face is not in this frame."""
        free = [seat for seat in self._seats if seat.box is None and seat not in seen]
        out_of_view = [seat for seat in self._seats if seat not in seen]
        return free[0] if free else max(out_of_view, key=lambda seat: seat.track, default=None)
