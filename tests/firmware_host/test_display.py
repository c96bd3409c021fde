"""The display of a live run: the annotated picture, the terminal's panel, and its one line."""

from __future__ import annotations

import io

import numpy as np
from rich.console import Console as RichConsole

from s2d_edge.firmware_host.io.annotate import annotate
from s2d_edge.firmware_host.io.capture_source import CaptureSource
from s2d_edge.firmware_host.io.panel import line, panel
from s2d_edge.firmware_host.io.results import LiveResult
from s2d_edge.firmware_host.io.view import FaceMark, Overlay, Snapshot
from s2d_edge.firmware_host.pipeline.stats import LiveStats
from tests.firmware_host.stand_ins import RESULT, FakeCapture
from tests.pictures import plain


def shown(box: tuple[int, int, int, int]) -> Overlay:
    return Overlay(
        labels=("happy", "sad"),
        faces=(FaceMark(box=box, label="sad", share=0.75),),
        label="sad",
        probabilities=RESULT.probabilities,
    )


def test_annotation_adds_a_strip_and_leaves_the_picture_beside_the_face() -> None:
    frame = np.random.default_rng(0).integers(0, 200, (240, 321, 3), dtype=np.uint8)
    labels = ("happy", "sad")
    before = annotate(frame, Overlay(labels=labels, status="no face, cleared after 0.5 s"))
    np.testing.assert_array_equal(before[:, :321], frame)
    overlay = shown((100, 80, 90, 100))
    after = annotate(frame, overlay)
    assert after.shape == before.shape  # the video keeps its size
    assert after.shape[1] % 2 == 0
    changed = (after[:, :321] != frame).any(axis=2)
    ys, xs = np.nonzero(changed)
    assert 95 <= xs.min() < xs.max() <= 200
    assert ys.max() <= 190
    assert not changed[95:165, 115:175].any()  # the face itself stays visible
    assert (after[:, 321:] != before[:, 321:]).any()
    for box in ((-30, -20, 60, 60), (300, 220, 60, 60), (0, 0, 321, 240)):  # at the rim
        annotate(frame, shown(box))
    annotate(plain((0, 0, 0), 40, 30), overlay)


def test_every_followed_face_is_marked_the_others_dimly() -> None:
    frame = plain((0, 0, 0), 320, 240)
    main = FaceMark(box=(20, 60, 80, 90), label="sad", share=0.75)
    other = FaceMark(box=(200, 60, 80, 90), label="happy", share=0.5, main=False)
    both = annotate(frame, Overlay(labels=("happy", "sad"), faces=(main, other)))[:, :320]
    alone = annotate(frame, Overlay(labels=("happy", "sad"), faces=(main,)))[:, :320]
    np.testing.assert_array_equal(both[:, :180], alone[:, :180])
    assert both[:, 180:].max() > 0
    assert np.ptp(both[:, 180:].max(axis=(0, 1))) < np.ptp(both[:, :180].max(axis=(0, 1)))  # in grey


def snapshot(result: LiveResult | None) -> Snapshot:
    stats = LiveStats()
    stats.frame_came()
    stats.frame_analysed(face=True)
    if result is not None:
        stats.result_came(result.latency_ms, result.infer_ms, result.pace)
    return Snapshot(
        frame=None,
        overlay=Overlay(
            labels=("happy", "sad"),
            faces=(
                FaceMark(box=(1, 2, 30, 40)),
                FaceMark(box=(50, 2, 30, 40), label="happy", share=0.6, main=False),
                FaceMark(box=(90, 2, 30, 40), main=False),
            ),
            status="face found",
        ),
        result=result,
        counts=stats.counts(dropped_frames=3, dropped_clips=1, unwritten_frames=0),
    )


def test_panel_and_line_show_all_that_matters() -> None:
    source = CaptureSource("camera 0", lambda: FakeCapture(1))
    for result, wanted in ((RESULT, ("sad", "75%", "p50 12 ms")), (None, ("face found",))):
        text = io.StringIO()
        RichConsole(file=text, width=100).print(
            panel(snapshot(result), engine="OpenVINO CPU", source=source, labels=("happy", "sad"))
        )
        for part in (
            *wanted,
            "others",
            "happy 60%, collecting",
            "camera 0: opening",
            "3 frames, 1 clips",
            "OpenVINO CPU",
            "frames/s",
        ):
            assert part in text.getvalue()
        assert wanted[0] in line(snapshot(result))
        assert "dropped 3 frames, 1 clips" in line(snapshot(result))
