"""The board that the threads of a pipeline share: results of each frame, their bound, and its end."""

from __future__ import annotations

import threading
from dataclasses import replace

from s2d_edge.firmware_host.io.source import Frame
from s2d_edge.firmware_host.pipeline.board import Board
from s2d_edge.firmware_host.pipeline.messages import SearchedFrame
from s2d_edge.firmware_host.pipeline.stats import LiveStats
from tests.firmware_host.stand_ins import RESULT
from tests.pictures import plain

COUNTS = LiveStats().counts(dropped_frames=0, dropped_clips=0, unwritten_frames=0)
FRAME = Frame(0, 0.0, plain((0, 0, 0)), 0.0)
BOX = (1, 2, 30, 40)


def board(results_kept: int = 8) -> Board:
    return Board(("happy", "sad"), results_kept)


def searched(ticket: int) -> SearchedFrame:
    return SearchedFrame(
        FRAME, faces={1: BOX, 2: (50, 2, 30, 40)}, main=1, ticket=ticket, status="face found"
    )


def test_frame_is_drawn_with_the_newest_results_up_to_it() -> None:
    shared = board()
    shared.put_result(1, replace(RESULT, track=1, label="happy"))
    shared.put_result(2, None)  # no prediction is due at this sample
    shared.put_result(3, replace(RESULT, track=2))
    shared.put_result(4, replace(RESULT, track=1, label="sad"))
    labels = [[mark.label for mark in shared.overlay(searched(ticket)).faces] for ticket in range(5)]
    assert labels == [[None, None], ["happy", None], ["happy", None], ["happy", "sad"], ["sad", "sad"]]
    overlay = shared.overlay(searched(4))
    assert [mark.main for mark in overlay.faces] == [True, False]
    assert (overlay.label, overlay.status, overlay.faces[0].share) == ("sad", "face found", 0.75)


def test_results_kept_are_bounded_whatever_tickets_are_missing() -> None:
    """Dropped clips and strides leave gaps between the tickets of results."""
    shared = board(results_kept=8)
    for ticket in range(1, 10_000, 3):
        shared.put_result(ticket, RESULT)
        assert len(shared._order) == sum(map(len, shared._results.values())) <= 3
        shared.put_result(ticket + 1, None)
    for ticket in range(10_000, 10_008):
        shared.put_result(ticket, None)
    assert not shared._results
    assert not shared._order


def test_the_newest_result_about_a_followed_face_is_kept_however_long_the_stride() -> None:
    shared = board(results_kept=8)
    shared.put_result(1, replace(RESULT, track=1))
    shared.put_result(2, replace(RESULT, track=9))  # nobody follows this face
    shared.put_frame(searched(2))
    for ticket in range(3, 1000):
        shared.put_result(ticket, None)
    assert shared.overlay(searched(1000)).faces[0].label == "sad"
    assert list(shared._results) == [1]
    assert len(shared._order) == 1


class Counted(int):
    """A ticket that counts how often results are compared with it."""

    compared = 0

    def __ge__(self, other: int) -> bool:
        Counted.compared += 1
        return super().__ge__(other)


def test_a_look_costs_the_same_after_any_number_of_results() -> None:
    shared = board(results_kept=64)
    costs = []
    for ticket in range(1, 20_001):
        shared.put_result(ticket, replace(RESULT, track=ticket % 2 + 1) if ticket % 3 else None)
        if ticket in (100, 5_000, 20_000):
            Counted.compared = 0
            shared.overlay(searched(Counted(ticket)))
            costs.append(Counted.compared)
    assert 0 < max(costs) <= 6


def test_snapshot_before_and_after_the_first_frame() -> None:
    shared = board()
    before = shared.snapshot(COUNTS)
    assert (before.frame, before.result) == (None, None)
    assert before.overlay.status
    assert shared.with_newest_faces(FRAME).faces == {}
    shared.put_result(1, replace(RESULT, track=1))
    shared.put_frame(searched(1))
    after = shared.snapshot(COUNTS)
    assert after.frame is FRAME
    assert after.result is not None
    assert after.result.track == 1
    later = Frame(1, 0.1, FRAME.picture, 0.1)
    assert shared.with_newest_faces(later).frame is later
    assert shared.with_newest_faces(later).faces[1] == BOX


def test_waiting_for_a_result_ends_with_it_or_with_the_results() -> None:
    for finish in (lambda shared: shared.put_result(2, None), Board.end_results):
        shared = board()
        shared.wait_for_result(0)  # nothing to wait for
        waiter = threading.Thread(target=shared.wait_for_result, args=(2,))
        waiter.start()
        shared.put_result(1, RESULT)
        finish(shared)
        waiter.join()


def test_first_failure_is_the_one_that_is_raised() -> None:
    shared = board()
    first = ValueError("first")
    shared.fail(first)
    shared.fail(ValueError("second"))
    assert shared.error is first
