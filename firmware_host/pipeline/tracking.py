"""Following faces from frame to frame, each with a window of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from s2d_edge.firmware_host.pipeline.window import ClipWindow
from s2d_edge.media.face import Face, box_overlap

# A face that overlaps where one was at least this much (intersection over union) is the same person.
SAME_PERSON = 0.2

Box = tuple[int, int, int, int]


@dataclass(slots=True, eq=False)
class Seat:
    """A place for one followed face.

    Attributes:
        number: of the seat, from 0.
        window: the samples of the face.
        track: counts the faces followed so far, from 1; one that comes back after a gap counts anew.
        box: where the face was seen last: x, y, width, height, pixels; None while the seat is free.
    """

    number: int
    window: ClipWindow
    track: int = 0
    box: Box | None = None


class FaceTracker:
    """Gives each face a seat, and keeps it there while it overlaps where it was a frame before."""

    def __init__(self, windows: Sequence[ClipWindow]) -> None:
        """One seat for each of the (empty) windows: so many faces are followed at most."""
        self.seats = tuple(Seat(number, window) for number, window in enumerate(windows))
        self._tracks = 0

    @property
    def main(self) -> Seat | None:
        """The seat of the face that is followed longest; None when none is."""
        taken = [seat for seat in self.seats if seat.box is not None]
        return min(taken, key=lambda seat: seat.track, default=None)

    def follow(self, faces: Sequence[Face], t_s: float) -> list[tuple[Seat, Face]]:
        """The followed ones among a frame's faces, the longest followed first.

        A new face takes a free seat, or that of somebody who is not in this frame; with every seat's face in
        view, further faces are passed over.

        Args:
            faces: of the frame of time ``t_s``, largest first.
        """
        late = [seat for seat in self.seats if seat.window.expire(t_s)]
        seen = self._match(faces)
        for seat in late:
            if seat in seen:
                self._begin(seat)
            else:
                seat.box = None
        for face in faces:
            if all(face is not other for other in seen.values()):
                place = self._place(seen)
                if place is None:
                    break
                self._begin(place)
                seen[place] = face
        for seat, face in seen.items():
            seat.box = face.box
        return sorted(seen.items(), key=lambda pair: pair[0].track)

    def _match(self, faces: Sequence[Face]) -> dict[Seat, Face]:
        """Faces that are where a followed one was, the best overlaps first."""
        overlaps = [
            (box_overlap(face.box, seat.box), seat, face)
            for seat in self.seats
            if seat.box is not None
            for face in faces
        ]
        matched: dict[Seat, Face] = {}
        for overlap, seat, face in sorted(overlaps, key=lambda each: -each[0]):
            taken = any(face is other for other in matched.values())
            if overlap >= SAME_PERSON and seat not in matched and not taken:
                matched[seat] = face
        return matched

    def _place(self, seen: dict[Seat, Face]) -> Seat | None:
        """A free seat, else the newest of those whose face is not in this frame."""
        free = [seat for seat in self.seats if seat.box is None and seat not in seen]
        lost = [seat for seat in self.seats if seat not in seen]
        return free[0] if free else max(lost, key=lambda seat: seat.track, default=None)

    def _begin(self, seat: Seat) -> None:
        """What comes now in this seat is another face, or the same one after a gap."""
        self._tracks += 1
        seat.track = self._tracks
        seat.window.clear()
