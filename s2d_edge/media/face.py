"""Finding faces with MediaPipe FaceMesh, near and far, in pictures and in streams."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import cv2
import numpy as np

from s2d_edge.media.crop import MESH_POINTS, Picture, Points
from s2d_edge.media.tracking import Box, Face, distinct_faces, is_new_face

# FaceMesh misplaces faces whose longer side is under this fraction of the frame's longer side.
FAR_BELOW = 0.25
# A far face is cut out of the frame this many times as wide as it was detected, and searched again.
FAR_CROP = 2.0
# A picture that one face fills is searched again with this much of its side added all around.
CLOSE_PADDING = 0.25


class FaceDetector(Protocol):
    """Finds the faces of one frame after another."""

    def find(self, frame: Picture, followed: Sequence[Box] = ()) -> list[Face]:
        """Find the faces in a (H, W, 3) uint8 RGB frame, largest first.

        Args:
            frame: the next one of the stream.
            followed: boxes of the followed faces in the frame before, which are looked for there.
        """
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


class FaceFinder:
    """FaceMesh, helped where its short-range detector is weak.

    FaceMesh alone misses or misplaces faces that are small in the frame, and misses those that fill it.
    So a far face is searched again in a cut-out around it, and in a stream around the boxes that a
    :class:`~s2d_edge.media.tracking.FaceTracker` follows. When nothing is found, the surroundings of what
    MediaPipe's full-range detector sees are searched, and in single pictures the picture with a rim around
    it.
    """

    def __init__(
        self,
        *,
        static: bool,
        max_faces: int = 1,
        followed: int = 1,
        min_confidence: float = 0.5,
        refined: bool = False,
    ) -> None:
        """Load the models.

        Args:
            static: True for unrelated pictures; False for the frames of one stream, in order.
            max_faces: most faces found in one frame.
            followed: faces that a stream wants; with so many far ones known, only their surroundings are
                searched.
            min_confidence: of the detectors, in [0, 1].
            refined: place lids and lips by FaceMesh's attention model, which follows them more closely;
                face crops everywhere are made without it.
        """
        self._static = static
        self._followed = followed
        with _native_stderr_silenced():
            import mediapipe

            solutions = mediapipe.solutions
            self._mesh = solutions.face_mesh.FaceMesh(
                static_image_mode=static,
                max_num_faces=max_faces,
                min_detection_confidence=min_confidence,
                refine_landmarks=refined,
            )
            self._close_mesh = (
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
                for solution in (self._mesh, self._close_mesh, self._far_detector):
                    solution.process(picture)

    def find(self, frame: Picture, followed: Sequence[Box] = ()) -> list[Face]:
        """Find the faces in a (H, W, 3) uint8 RGB frame, largest first.

        Args:
            frame: a picture, or the next one of the stream.
            followed: boxes of the followed faces in the frame before, which are looked for there; none in
                unrelated pictures.
        """
        faces = self._search_followed(frame, followed) or self._search_all(frame, followed)
        faces.sort(key=lambda face: face.area, reverse=True)
        return faces

    def close(self) -> None:
        """Free the models."""
        for solution in {id(s): s for s in (self._mesh, self._close_mesh, self._far_detector)}.values():
            solution.close()

    def __enter__(self) -> FaceFinder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _search_followed(self, frame: Picture, followed: Sequence[Box]) -> list[Face]:
        """The followed far faces, if all are still about where they were and no more are wanted."""
        if len(followed) < self._followed or not all(_is_far(box, frame) for box in followed):
            return []
        found = [self._search_around(frame, box) for box in followed]
        return distinct_faces(itertools.chain(*found)) if all(found) else []

    def _search_all(self, frame: Picture, followed: Sequence[Box]) -> list[Face]:
        """Every face in the whole frame."""
        seen = self._search(self._mesh, frame, 0, 0)
        faces = distinct_faces(
            placed
            for face in seen
            for placed in (self._search_around(frame, face.box) if _is_far(face.box, frame) else [face])
        )
        for box in followed:
            if len(faces) < self._followed and is_new_face(box, (face.box for face in faces)):
                faces = distinct_faces([*faces, *self._search_around(frame, box)])
        if not faces:
            far = self._detect_far(frame)
            faces = self._search_around(frame, far) if far is not None else []
        if not faces and self._static:
            faces = self._search_padded(frame)
        return faces

    def _search(self, mesh: Any, part: Picture, left: int, top: int) -> list[Face]:
        """Faces in ``part``, whose corner lies at (left, top) of the frame; frame coordinates."""
        height, width = part.shape[:2]
        square = _padded_to_square(part)
        found = mesh.process(square).multi_face_landmarks or []
        faces = []
        for landmarks in found:
            points = np.array([(mark.x, mark.y) for mark in landmarks.landmark[:MESH_POINTS]], np.float32)
            points = points * np.float32(square.shape[0]) + np.array([left, top], np.float32)
            face = _face_within(points, left, top, width, height)
            if face is not None:
                faces.append(face)
        return faces

    def _search_around(self, frame: Picture, box: Box) -> list[Face]:
        x, y, w, h = box
        reach = FAR_CROP * max(w, h) / 2
        left, top = (max(0, round(c - reach)) for c in (x + w / 2, y + h / 2))
        right, bottom = (
            min(n, round(c + reach)) for c, n in ((x + w / 2, frame.shape[1]), (y + h / 2, frame.shape[0]))
        )
        if right - left < 16 or bottom - top < 16:
            return []
        return self._search(self._close_mesh, np.ascontiguousarray(frame[top:bottom, left:right]), left, top)

    def _detect_far(self, frame: Picture) -> Box | None:
        """Box of the largest face the full-range detector sees, pixels."""
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

    def _search_padded(self, frame: Picture) -> list[Face]:
        height, width = frame.shape[:2]
        rim = round(CLOSE_PADDING * max(height, width))
        padded = cv2.copyMakeBorder(frame, rim, rim, rim, rim, cv2.BORDER_REPLICATE)
        faces = []
        for face in self._search(self._close_mesh, padded, -rim, -rim):
            inside = _face_within(face.points, 0, 0, width, height)
            if inside is not None:
                faces.append(inside)
        return faces


def _is_far(box: Box, frame: Picture) -> bool:
    return max(box[2:]) < FAR_BELOW * max(frame.shape[:2])


def _face_within(points: Points, left: int, top: int, width: int, height: int) -> Face | None:
    """The face, its box cut to the given part of the frame; None when nothing of it lies inside."""
    low, high = points.min(axis=0), points.max(axis=0)
    x0, x1 = (round(float(np.clip(x, left, left + width))) for x in (low[0], high[0]))
    y0, y1 = (round(float(np.clip(y, top, top + height))) for y in (low[1], high[1]))
    if x1 <= x0 or y1 <= y0:
        return None
    return Face(points, (x0, y0, x1 - x0, y1 - y0))


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
