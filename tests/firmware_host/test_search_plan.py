"""The search plan leaves out frames that need no face search, and no result changes by it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.firmware_host.io.source import Frame
from s2d_edge.firmware_host.pipeline.config import PipelineConfig
from s2d_edge.firmware_host.pipeline.following import FaceFollower
from s2d_edge.firmware_host.pipeline.per_face import FacePredictors
from s2d_edge.firmware_host.pipeline.search_plan import SearchPlan, SearchWhen
from s2d_edge.media.crop import Picture
from s2d_edge.media.tracking import Box, Face, Sighting
from tests.firmware_host.stand_ins import Constant
from tests.pictures import mesh_at, with_square

SPEC = ClipSpec(frames=4, fps=5, size=32)
POINTS = mesh_at(0, 0, 20)
PICTURE = with_square((200, 20, 20))


def face(x: float) -> Face:
    return Face(POINTS, (round(x), 0, 30, 30))


class Scripted:
    """Finds the faces that a script has for each frame, and counts the frames it was asked about."""

    def __init__(self, script: Sequence[Sequence[Face]]) -> None:
        self._script = script
        self.frame = -1
        self.searched: list[int] = []

    def find(self, frame: Picture, followed: Sequence[Box] = ()) -> list[Face]:
        self.searched.append(self.frame)
        return list(self._script[self.frame])

    def close(self) -> None:
        """Nothing to free."""


def follow(
    script: Sequence[Sequence[Face]],
    when: SearchWhen,
    *,
    fps: float = 25,
    drawn: bool = False,
    seats: int = 2,
    spec: ClipSpec = SPEC,
) -> tuple[list[int], list[tuple[int, int, int, Box]]]:
    """The frames that were searched, and of each clip its frame, seat, track and box."""
    config = PipelineConfig(max_faces=seats, search=when)
    detector = Scripted(script)
    predictors = FacePredictors(Constant(spec), config)
    follower = FaceFollower(
        detector, predictors, config, spec=spec, recipe=CropRecipe(size=spec.size), drawn=drawn
    )
    clips: list[tuple[int, int, int, Box]] = []
    for index in range(len(script)):
        detector.frame = index
        followed = follower.follow(Frame(index, index / fps, PICTURE, 0.0))
        if followed is not None:
            lasts = ((each.last, each) for each in followed.requests)
            clips.extend((last.index, each.seat, each.track, last.box) for last, each in lasts)
    return detector.searched, clips


def test_a_still_face_is_searched_in_samples_alone() -> None:
    still = [[face(0)]] * 100
    searched, clips = follow(still, "auto")
    assert searched == [0, 1, *range(5, 100, 5)]  # the second frame tells that it does not move
    assert follow(still, "samples") == (list(range(0, 100, 5)), clips)
    assert follow(still, "all") == (list(range(100)), clips)


def test_drawn_boxes_want_every_frame() -> None:
    still = [[face(0)]] * 20
    assert follow(still, "auto", drawn=True)[0] == list(range(20))
    assert follow(still, "samples", drawn=True)[0] == [0, 5, 10, 15]


def test_an_empty_picture_is_searched_in_samples_alone() -> None:
    assert follow([[]] * 20, "auto")[0] == [0, 5, 10, 15]


def test_a_quick_face_is_searched_in_every_frame() -> None:
    searched, clips = follow([[face(10 * i)] for i in range(60)], "auto")  # a third of its width per frame
    assert searched == list(range(60))
    assert {track for _, _, track, _ in clips} == {1}


def test_a_face_out_of_view_is_searched_in_every_frame_until_its_track_ends() -> None:
    searched, _ = follow([[face(0)]] * 41 + [[]] * 60, "auto")
    missing = range(45, 59)  # found missing at sample 45, and 0.5 s later its track ends
    assert set(missing) <= set(searched)
    assert [frame for frame in searched if frame > 60] == list(range(65, 101, 5))


def test_searches_of_a_slow_model_are_no_further_apart_than_a_gap() -> None:
    plan = SearchPlan("auto", fps=0.2, gap_s=0.5, drawn=False)
    for t_s in (0.0, 0.1):
        plan.note([Sighting(0, 1, face(0))], t_s, missing=False)
    assert not plan.wants(0.59, sample=False)
    assert plan.wants(0.61, sample=False)


PEOPLE = st.lists(
    st.tuples(
        st.integers(0, 40),  # the frame in which a person comes
        st.integers(20, 60),  # frames until they leave
        st.integers(-15, 15),  # pixels they move per frame
    ),
    min_size=1,
    max_size=2,
)


@pytest.mark.parametrize("fps", [6.0, 15.0, 25.0, 60.0])
@settings(max_examples=20)
@given(people=PEOPLE)
def test_frames_left_out_change_no_clip(people: list[tuple[int, int, int]], fps: float) -> None:
    """Two people far from each other come, move and leave; a clip shows the same as if all were searched."""
    script = [
        [
            face(1000 * number + speed * (frame - came))
            for number, (came, stays, speed) in enumerate(people)
            if came <= frame < came + stays
        ]
        for frame in range(80)
    ]
    every, wanted = follow(script, "all", fps=fps)
    some, clips = follow(script, "auto", fps=fps)
    assert set(some) <= set(every)
    # Who came first between two samples is not known, so tracks may have each other's numbers.
    assert sorted((frame, box) for frame, _, _, box in clips) == sorted(
        (frame, box) for frame, _, _, box in wanted
    )
