"""Who is who: boxes of one face, who keeps a seat, who takes one over, and when a track ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2d_edge.media.tracking import Face, FaceTracker, box_overlap, distinct_faces, is_new_face
from tests.pictures import mesh_at


def face(x: int, y: int, side: int) -> Face:
    return Face(mesh_at(x, y, side), (x, y, side, side))


class Following:
    """A tracker that gets a frame every ``every_s`` seconds."""

    def __init__(self, seats: int, every_s: float = 0.1, **settings: float) -> None:
        self.tracker = FaceTracker(seats, **settings)
        self.every_s = every_s
        self.t_s = 0.0

    def __call__(self, faces: list[Face], after_s: float | None = None) -> dict[int, Face]:
        """The followed faces of the next frame, by track."""
        self.t_s += self.every_s if after_s is None else after_s
        return {each.track: each.face for each in self.tracker.follow(faces, self.t_s)}


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
        followed = Following(1)
        followed([first])
        assert followed([second]) == {track: second}


def test_one_seat_stays_with_a_person_until_another_comes() -> None:
    followed = Following(1)
    tracker = followed.tracker
    small, large = face(0, 0, 20), face(100, 100, 40)
    assert followed([]) == {}
    assert tracker.main == 0
    assert followed([small]) == {1: small}
    moved = face(4, 2, 20)
    assert followed([large, moved]) == {1: moved}  # the same person, though another is larger
    assert tracker.in_view == (moved.box,)
    assert followed([]) == {}
    assert tracker.main == 1  # lost a moment ago
    assert not tracker.in_view
    assert followed([large]) == {2: large}
    assert followed([large, small]) == {2: large}


def test_several_seats_keep_people_apart() -> None:
    followed = Following(2)
    tracker = followed.tracker
    left, right, third = face(0, 0, 20), face(100, 0, 20), face(50, 50, 30)
    assert followed([left, right]) == {1: left, 2: right}
    crossed = [face(97, 3, 20), face(5, 2, 20)]
    assert followed(crossed) == {1: crossed[1], 2: crossed[0]}  # by place, not by order
    assert followed([third, left, right]) == {1: left, 2: right}  # every seat is taken
    assert followed([third, right]) == {2: right, 3: third}  # the first is not in view
    assert tracker.main == 2
    assert tracker.in_view == (right.box, third.box)
    assert followed([face(2, 2, 20), left, right]).keys() == {2, 4}  # a face takes one seat only


def test_a_gap_ends_a_track() -> None:
    followed = Following(2, gap_s=0.5)
    left, right = face(0, 0, 20), face(100, 0, 20)
    followed([left, right])
    for _ in range(5):
        assert followed([right]) == {2: right}
    assert followed([left, right]) == {1: left, 2: right}  # half a second, not longer
    for _ in range(7):
        assert followed([right]) == {2: right}
    assert followed.tracker.main == 2
    assert followed.tracker.free == {0}
    assert followed([left, right]) == {2: right, 3: left}


@pytest.mark.parametrize("every_s", [1 / 60, 0.1, 1 / 1.5, 5.0])
def test_a_still_face_is_one_track_however_slow_the_search(every_s: float) -> None:
    """Also where every third frame misses it: one search without it is no time without it."""
    followed = Following(1, every_s, gap_s=0.5)
    still = face(40, 40, 30)
    for number in range(90):
        assert followed([] if number % 3 == 1 else [still]) == ({} if number % 3 == 1 else {1: still})


def test_a_face_is_known_again_from_further_off_where_frames_were_passed_over() -> None:
    for passed_over, track in ((False, 2), (True, 1)):
        tracker = FaceTracker(1)
        tracker.follow([face(0, 0, 30)], 0.0)
        if passed_over:
            tracker.pass_over(0.1)
        moved = face(25, 0, 30)  # an overlap of 0.09
        assert [each.track for each in tracker.follow([moved], 0.2)] == [track]
        assert [each.track for each in tracker.follow([face(50, 0, 30)], 0.3)] == [track + 1]


def test_a_pause_ends_the_tracks_whether_its_frames_are_searched_or_not() -> None:
    tracker = FaceTracker(1, pause_s=2.0)
    for number in range(10):
        tracker.follow([face(0, 0, 30)], number / 10)
    tracker.pass_over(4.0)
    assert [each.track for each in tracker.follow([face(0, 0, 30)], 4.1)] == [2]


@pytest.mark.parametrize("every_s", [1 / 60, 0.1, 1 / 1.5])
def test_a_face_that_was_seen_once_holds_no_seat(every_s: float) -> None:
    followed = Following(2, every_s, gap_s=0.5)
    still, ghost = face(40, 40, 30), face(120, 40, 30)
    followed([ghost, still])
    frames = 0
    while followed.tracker.free != {0}:
        assert followed([still]) == {2: still}
        frames += 1
    assert frames * every_s <= 0.5 + 2 * every_s + 1e-9
    assert followed.tracker.main == 2


def test_a_pause_of_the_source_ends_every_track() -> None:
    """A pause is out of line with the frames before it; a source that is slow throughout has none."""
    still = face(40, 40, 30)
    for every_s, pause_s, track in ((0.1, 1.9, 1), (0.1, 2.1, 2), (1.5, 5.9, 1), (1.5, 6.1, 2)):
        followed = Following(1, every_s, gap_s=0.5, pause_s=2.0)
        for _ in range(10):
            followed([still])
        assert followed([still], after_s=pause_s).keys() == {track}
    followed = Following(1, pause_s=2.0)
    assert followed([still], after_s=9.0).keys() == {1}
    assert followed([still], after_s=9.0).keys() == {1}  # the second frame: nobody knows the pace yet


FACES = st.lists(st.builds(face, st.integers(0, 200), st.integers(0, 200), st.integers(8, 60)), max_size=5)


@given(st.integers(1, 3), st.lists(st.tuples(FACES, st.floats(0.01, 3)), max_size=12))
def test_seats_tracks_and_boxes_stay_consistent(seats: int, frames: list[tuple[list[Face], float]]) -> None:
    tracker = FaceTracker(seats)
    held: dict[int, int] = {}  # track by seat
    newest = 0
    t_s = 0.0
    for faces, after_s in frames:
        t_s += after_s
        sightings = tracker.follow(faces, t_s)
        assert len(sightings) == min(len(faces), seats)  # a face is left out only if all seats are in view
        assert len({sighting.seat for sighting in sightings}) == len(sightings)
        assert len({id(sighting.face) for sighting in sightings}) == len(sightings)
        assert tracker.free.isdisjoint(sighting.seat for sighting in sightings)
        tracks = [sighting.track for sighting in sightings]
        assert tracks == sorted(set(tracks))
        for sighting in sightings:
            if held.get(sighting.seat) != sighting.track:
                assert sighting.track > newest
                held[sighting.seat] = sighting.track
        newest = max([newest, *tracks])
        assert tracker.in_view == tuple(sighting.face.box for sighting in sightings)
        assert not tracks or tracker.main <= tracks[0]
