"""Following faces: who keeps a seat, who takes one over, and when a track ends."""

from __future__ import annotations

from s2d_edge.firmware_host.pipeline.tracking import FaceTracker
from s2d_edge.firmware_host.pipeline.window import ClipWindow
from s2d_edge.media.face import Face
from tests.firmware_host.stand_ins import SPEC, sample
from tests.pictures import mesh_at


def face(x: int, y: int, side: int) -> Face:
    return Face(mesh_at(x, y, side), (x, y, side, side))


def followed(tracker: FaceTracker, faces: list[Face], t_s: float = 0.0) -> dict[int, Face]:
    return {seat.track: face for seat, face in tracker.follow(faces, t_s)}


def tracker_of(seats: int) -> FaceTracker:
    return FaceTracker([ClipWindow(SPEC, stride=1, gap_s=0.5) for _ in range(seats)])


def test_one_seat_stays_with_a_person_until_another_comes() -> None:
    tracker = tracker_of(1)
    small, large = face(0, 0, 20), face(100, 100, 40)
    assert followed(tracker, []) == {}
    assert tracker.main is None
    assert followed(tracker, [small]) == {1: small}
    tracker.seats[0].window.add(sample(0))
    moved = face(4, 2, 20)
    assert followed(tracker, [large, moved]) == {1: moved}  # the same person, though another is larger
    assert followed(tracker, []) == {}
    assert tracker.main is tracker.seats[0]  # lost a moment ago
    assert tracker.seats[0].window.filled == 1
    assert followed(tracker, [large]) == {2: large}
    assert tracker.seats[0].window.filled == 0
    assert followed(tracker, [large, small]) == {2: large}


def test_several_seats_keep_people_apart() -> None:
    tracker = tracker_of(2)
    left, right, third = face(0, 0, 20), face(100, 0, 20), face(50, 50, 30)
    assert followed(tracker, [left, right]) == {1: left, 2: right}
    crossed = [face(97, 3, 20), face(5, 2, 20)]
    assert followed(tracker, crossed) == {1: crossed[1], 2: crossed[0]}  # by place, not by order
    assert followed(tracker, [third, left, right]) == {1: left, 2: right}  # every seat is taken
    assert followed(tracker, [third, right]) == {2: right, 3: third}  # the first is not in view
    assert tracker.main is not None
    assert tracker.main.track == 2
    assert followed(tracker, [face(2, 2, 20), left, right]).keys() == {2, 4}  # a face takes one seat only


def test_a_gap_ends_a_track() -> None:
    tracker = tracker_of(2)
    left, right = face(0, 0, 20), face(100, 0, 20)
    followed(tracker, [left, right])
    for seat in tracker.seats:
        seat.window.add(sample(0))
    tracker.seats[1].window.add(sample(4))
    assert followed(tracker, [right], 0.6) == {2: right}
    assert tracker.seats[0].box is None
    assert followed(tracker, [left, right], 0.7) == {2: right, 3: left}
    assert followed(tracker, [left, right], 1.5) == {3: left, 4: right}  # still there, but its past is gone
