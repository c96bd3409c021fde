"""Clips of followed faces: samples on the model's grid, windows that a new track or a gap clears."""

from __future__ import annotations

import pytest

from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.firmware_host.io.source import Frame
from s2d_edge.firmware_host.pipeline.clips import ClipMaker
from s2d_edge.firmware_host.pipeline.messages import ClipRequest
from s2d_edge.media.tracking import Face, Sighting
from tests.firmware_host.stand_ins import SPEC
from tests.pictures import mesh_at, with_square

FPS = 20  # twice the model's rate: every other frame is a sample


def clip_maker(seats: int = 2) -> ClipMaker:
    return ClipMaker(seats, SPEC, stride=1, recipe=CropRecipe(size=SPEC.size))


def sighting(seat: int, track: int) -> Sighting:
    return Sighting(seat, track, Face(mesh_at(30, 12, 40), (30, 12, 40, 40)))


def feed(
    clips: ClipMaker, frames: range, sightings: list[Sighting], *, fps: float = FPS
) -> list[ClipRequest]:
    picture = with_square((200, 20, 20))
    requests = []
    for index in frames:
        frame = Frame(index, index / fps, picture, 0.0)
        requests += clips.take(frame, clips.number(frame), sightings)
    return requests


def test_every_face_gets_a_clip_once_its_window_is_full() -> None:
    clips = clip_maker()
    assert feed(clips, range(6), [sighting(0, 1), sighting(1, 2)]) == []
    requests = feed(clips, range(6, 10), [sighting(0, 1), sighting(1, 2)])
    assert [(each.ticket, each.seat, each.track, each.last.index) for each in requests] == [
        (1, 0, 1, 6),
        (2, 1, 2, 6),
        (3, 0, 1, 8),
        (4, 1, 2, 8),
    ]
    assert requests[0].clip.shape == (1, SPEC.frames, SPEC.size, SPEC.size, 3)
    assert clips.ticket == 4
    assert clips.filled() == [4, 4]


def test_new_track_clears_the_window_of_its_seat_only() -> None:
    clips = clip_maker()
    feed(clips, range(8), [sighting(0, 1), sighting(1, 2)])
    assert feed(clips, range(8, 11), [sighting(0, 3)]) == []
    assert clips.filled() == [2, 4]
    assert clips.filled([0]) == [2]
    feed(clips, range(11, 12), [sighting(0, 4)])  # between two samples
    assert clips.filled() == [0, 4]


def test_the_window_of_a_seat_that_became_free_is_cleared() -> None:
    clips = clip_maker()
    feed(clips, range(8), [sighting(0, 1), sighting(1, 2)])
    frame = Frame(8, 8 / FPS, with_square((200, 20, 20)), 0.0)
    assert clips.take(frame, clips.number(frame), [sighting(1, 2)], {0})
    assert clips.filled() == [0, 4]


def test_each_request_says_how_far_apart_its_samples_are() -> None:
    for fps, pace in ((20, 1.0), (10, 1.0), (7.5, 4 / 3), (2.5, 4.0)):
        clips = clip_maker()
        requests = feed(clips, range(40), [sighting(0, 1)], fps=fps)
        assert [request.pace for request in requests] == pytest.approx([pace] * len(requests))
        assert len(requests) == (17 if fps == 20 else 37)
        assert requests[-1].last.number == pytest.approx(38 / 2 if fps == 20 else 39 * 10 / fps)


def test_short_file_gives_one_clip_for_each_face() -> None:
    clips = clip_maker()
    feed(clips, range(4), [sighting(0, 1)])
    (request,) = clips.take_short()
    assert (request.ticket, request.seat, request.track, request.last.index) == (1, 0, 1, 2)
    assert request.clip.shape == (1, SPEC.frames, SPEC.size, SPEC.size, 3)
