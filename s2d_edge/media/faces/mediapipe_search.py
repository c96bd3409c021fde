"""MediaPipe's own face mesh: the reference of our search, and the only one with an attention model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from s2d_edge.core.errors import MissingExtraError
from s2d_edge.media.crop import MESH_POINTS, Picture, Points
from s2d_edge.media.tracking import Box


class MediaPipeSearch:
    """Searches with the package ``mediapipe``."""

    def __init__(self, *, static: bool, max_faces: int, min_confidence: float, refined: bool) -> None:
        """Load the models; the arguments are those of :func:`s2d_edge.media.faces.search.open_search`.

        Raises:
            MissingExtraError: mediapipe is not installed.
        """
        with _native_stderr_silenced():
            try:
                import mediapipe
            except ModuleNotFoundError as error:
                raise MissingExtraError("mediapipe", "mediapipe", "this search for faces") from error

            solutions = mediapipe.solutions
            self._mesh = solutions.face_mesh.FaceMesh(
                static_image_mode=static,
                max_num_faces=max_faces,
                min_detection_confidence=min_confidence,
                refine_landmarks=refined,
            )
            self._still_mesh = (
                self._mesh
                if static
                else solutions.face_mesh.FaceMesh(
                    static_image_mode=True,
                    max_num_faces=1,
                    min_detection_confidence=min_confidence,
                    refine_landmarks=refined,
                )
            )
            self._far_detector = solutions.face_detection.FaceDetection(
                model_selection=1, min_detection_confidence=min_confidence
            )
            # The graphs start, and log, with their first face; the blank makes the tracker forget it.
            for picture in (_drawn_face(), np.zeros((192, 192, 3), np.uint8)):
                for solution in (self._mesh, self._still_mesh, self._far_detector):
                    solution.process(picture)

    def follow(self, frame: Picture) -> list[Points]:
        """See :class:`~s2d_edge.media.faces.search.FaceSearch`."""
        return _points(self._mesh, frame)

    def look(self, part: Picture) -> list[Points]:
        """See :class:`~s2d_edge.media.faces.search.FaceSearch`."""
        return _points(self._still_mesh, part)

    def far_box(self, frame: Picture) -> Box | None:
        """See :class:`~s2d_edge.media.faces.search.FaceSearch`."""
        detections = self._far_detector.process(frame).detections or []
        height, width = frame.shape[:2]
        boxes = [detection.location_data.relative_bounding_box for detection in detections]
        if not boxes:
            return None
        box = max(boxes, key=lambda each: each.width * each.height)
        return (
            round(box.xmin * width),
            round(box.ymin * height),
            round(box.width * width),
            round(box.height * height),
        )

    def close(self) -> None:
        """Free the models."""
        for solution in {
            id(each): each for each in (self._mesh, self._still_mesh, self._far_detector)
        }.values():
            solution.close()


def _points(mesh: Any, picture: Picture) -> list[Points]:
    square = _padded_to_square(picture)
    return [
        np.array([(mark.x, mark.y) for mark in face.landmark[:MESH_POINTS]], np.float32)
        * np.float32(square.shape[0])
        for face in mesh.process(square).multi_face_landmarks or []
    ]


def _padded_to_square(picture: Picture) -> Picture:
    """Pad right or below with black: FaceMesh's points are skewed on pictures that are not square."""
    height, width = picture.shape[:2]
    if height == width:
        return np.ascontiguousarray(picture)
    side = max(height, width)
    square: Picture = cv2.copyMakeBorder(
        picture, 0, side - height, 0, side - width, cv2.BORDER_CONSTANT, value=(0, 0, 0)
    )
    return square


def _drawn_face() -> Picture:
    """A face just good enough for every graph to run to its end. (192, 192, 3) uint8 RGB."""
    face = np.full((192, 192, 3), (120, 130, 140), np.uint8)

    def ellipse(centre: tuple[int, int], axes: tuple[int, int], colour: tuple[int, int, int]) -> None:
        cv2.ellipse(face, centre, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)

    ellipse((96, 100), (46, 62), (222, 180, 150))
    cv2.ellipse(face, (96, 62), (48, 34), 0, 180, 360, (60, 40, 30), -1, cv2.LINE_AA)
    for x in (78, 114):
        ellipse((x, 90), (9, 5), (250, 250, 250))
        ellipse((x, 90), (4, 4), (40, 30, 20))
        cv2.ellipse(face, (x, 80), (12, 4), 0, 190, 350, (60, 40, 30), 3, cv2.LINE_AA)
    cv2.ellipse(face, (96, 114), (7, 5), 0, 0, 180, (180, 130, 105), 2, cv2.LINE_AA)
    ellipse((96, 134), (17, 7), (170, 70, 70))
    soft: Picture = cv2.GaussianBlur(face, (0, 0), 1.2)
    return soft


@contextmanager
def _native_stderr_silenced() -> Iterator[None]:
    """Discard what MediaPipe's C++ parts log to file descriptor 2, which none of their settings stops."""
    try:
        kept = os.dup(2)
    except OSError:  # no stderr at all: nothing to silence
        yield
        return
    try:
        with Path(os.devnull).open("wb") as sink:
            os.dup2(sink.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
