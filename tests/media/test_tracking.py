"""Who is who: boxes of one face, who keeps a seat, who takes one over, and when a track ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2d_edge.media.tracking import Face, FaceTracker, box_overlap, distinct_faces, is_new_face
from tests.pictures import mesh_at


def face(x: int, y: int, side: int) -> Face:
    return Face(mesh_at(x, y, side), (x, y, side, side))


def followed(tracker: FaceTracker, faces: list[Face], ended: tuple[int, ...] = ()) -> dict[int, Face]:
    return {sighting.track: sighting.face for sighting in tracker.follow(faces, ended)}


def test_overlap_of_boxes() -> None:
    assert box_overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1.0
    assert box_overlap((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(50 / 150)
    assert box_overlap((0, 0, 10, 10), (20, 20, 5, 5)) == 0.0
    assert box_overlap((0, 0, 0, 0), (0, 0, 0, 0)) == 0.0


def test_one_rule_for_a_second_detection_and_for_the_next_frame() -> None:
    """A face that moved by two thirds of its width is the same one; a pixel further it is another."""
    first, same, other = face(0, 0, 30), face(20, 0, 30), face(21, 0, 30)
    assert distinct_faces([first, same]) == [first]
    assert distinct_faces([first, other]) == [first, other]
    assert not is_new_face(same.box, [first.box])
    for second, track in ((same, 1), (other, 2)):
        tracker = FaceTracker(1)
        tracker.follow([first])
        assert followed(tracker, [second]) == {track: second}


def test_one_seat_stays_with_a_person_until_another_comes() -> None:
    tracker = FaceTracker(1)
    small, large = face(0, 0, 20), face(100, 100, 40)
    assert followed(tracker, []) == {}
    assert tracker.main == 0
    assert followed(tracker, [small]) == {1: small}
    moved = face(4, 2, 20)
    assert followed(tracker, [large, moved]) == {1: moved}  # the same person, though another is larger
    assert tracker.in_view == (moved.box,)
    assert followed(tracker, []) == {}
    assert tracker.main == 1  # lost a moment ago
    assert not tracker.in_view
    assert followed(tracker, [large]) == {2: large}
    assert followed(tracker, [large, small]) == {2: large}


def test_several_seats_keep_people_apart() -> None:
    tracker = FaceTracker(2)
    left, right, third = face(0, 0, 20), face(100, 0, 20), face(50, 50, 30)
    assert followed(tracker, [left, right]) == {1: left, 2: right}
    crossed = [face(97, 3, 20), face(5, 2, 20)]
    assert followed(tracker, crossed) == {1: crossed[1], 2: crossed[0]}  # by place, not by order
    assert followed(tracker, [third, left, right]) == {1: left, 2: right}  # every seat is taken
    assert followed(tracker, [third, right]) == {2: right, 3: third}  # the first is not in view
    assert tracker.main == 2
    assert tracker.in_view == (right.box, third.box)
    assert followed(tracker, [face(2, 2, 20), left, right]).keys() == {2, 4}  # a face takes one seat only


def test_a_gap_ends_a_track() -> None:
    tracker = FaceTracker(2)
    left, right = face(0, 0, 20), face(100, 0, 20)
    followed(tracker, [left, right])
    assert followed(tracker, [right], ended=(0,)) == {2: right}
    assert tracker.main == 2
    assert followed(tracker, [left, right]) == {2: right, 3: left}
    assert followed(tracker, [left, right], ended=(1,)) == {3: left, 4: right}  # still there, but a new track


FACES = st.lists(st.builds(face, st.integers(0, 200), st.integers(0, 200), st.integers(8, 60)), max_size=5)


@given(st.integers(1, 3), st.lists(st.tuples(FACES, st.sets(st.integers(0, 2))), max_size=12))
def test_seats_tracks_and_boxes_stay_consistent(
    seats: int, frames: list[tuple[list[Face], set[int]]]
) -> None:
    tracker = FaceTracker(seats)
    held: dict[int, int] = {}  # track by seat
    newest = 0
    for faces, ended in frames:
        sightings = tracker.follow(faces, ended)
        assert len(sightings) == min(len(faces), seats)  # a face is left out only if all seats are in view
        assert len({sighting.seat for sighting in sightings}) == len(sightings)
        assert len({id(sighting.face) for sighting in sightings}) == len(sightings)
        tracks = [sighting.track for sighting in sightings]
        assert tracks == sorted(set(tracks))
        for sighting in sightings:
            if held.get(sighting.seat) != sighting.track or sighting.seat in ended:
                assert sighting.track > newest
                held[sighting.seat] = sighting.track
        newest = max([newest, *tracks])
        assert tracker.in_view == tuple(sighting.face.box for sighting in sightings)
        assert not tracks or tracker.main <= tracks[0]
