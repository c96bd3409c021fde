"""Finding faces near and far, in pictures and in streams."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol

import cv2
import numpy as np

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.media.crop import Picture, Points
from s2d_edge.media.faces.search import FaceSearch, open_search
from s2d_edge.media.tracking import Box, Face, distinct_faces, is_new_face

MIN_CONFIDENCE = 0.5  # of the detectors, MediaPipe's default
# The mesh misplaces faces whose longer side is under this fraction of the frame's longer side.
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
    """A face mesh, helped where its short-range detector is weak.

    The mesh alone misses or misplaces faces that are small in the frame, and misses those that fill it.
    So a far face is searched again in a cut-out around it, and in a stream around the boxes that a
    :class:`~s2d_edge.media.tracking.FaceTracker` follows. When nothing is found, the surroundings of what
    the full-range detector sees are searched, and in single pictures the picture with a rim around
    it.
    """

    def __init__(
        self,
        *,
        static: bool,
        max_faces: int = 1,
        followed: int = 1,
        min_confidence: float = MIN_CONFIDENCE,
        refined: bool = False,
        bundle: Bundle | None = None,
        search: FaceSearch | None = None,
    ) -> None:
        """Load the models.

        Args:
            static: True for unrelated pictures; False for the frames of one stream, in order.
            max_faces: most faces found in one frame.
            followed: faces that a stream wants; with so many far ones known, only their surroundings are
                searched.
            min_confidence: of the detectors, in [0, 1].
            refined: place lids and lips by MediaPipe's attention model, which follows them more closely;
                face crops everywhere are made without it.
            bundle: its face pack is used, if it has one; else the graphs of the installed MediaPipe.
            search: searches single pictures for this finder, which closes it; None opens one that the other
                arguments describe.

        Raises:
            MissingExtraError: no graphs of a mesh, or nothing to run them, are installed.
        """
        self._static = static
        self._followed = followed
        self._search = search or open_search(
            static=static, max_faces=max_faces, min_confidence=min_confidence, refined=refined, bundle=bundle
        )

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
        self._search.close()

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
        seen = self._placed(self._search.follow(frame), frame, 0, 0)
        faces = distinct_faces(
            placed
            for face in seen
            for placed in (self._search_around(frame, face.box) if _is_far(face.box, frame) else [face])
        )
        for box in followed:
            if len(faces) < self._followed and is_new_face(box, (face.box for face in faces)):
                faces = distinct_faces([*faces, *self._search_around(frame, box)])
        if not faces:
            far = self._search.far_box(frame)
            faces = self._search_around(frame, far) if far is not None else []
        if not faces and self._static:
            faces = self._search_padded(frame)
        return faces

    def _placed(self, found: Sequence[Points], part: Picture, left: int, top: int) -> list[Face]:
        """Faces found in ``part``, whose corner lies at (left, top) of the frame; frame coordinates."""
        height, width = part.shape[:2]
        placed = (points + np.array([left, top], np.float32) for points in found)
        faces = (_face_within(points, left, top, width, height) for points in placed)
        return [face for face in faces if face is not None]

    def _search_around(self, frame: Picture, box: Box) -> list[Face]:
        x, y, w, h = box
        reach = FAR_CROP * max(w, h) / 2
        left, top = (max(0, round(c - reach)) for c in (x + w / 2, y + h / 2))
        right, bottom = (
            min(n, round(c + reach)) for c, n in ((x + w / 2, frame.shape[1]), (y + h / 2, frame.shape[0]))
        )
        if right - left < 16 or bottom - top < 16:
            return []
        part = frame[top:bottom, left:right]
        return self._placed(self._search.look(part), part, left, top)

    def _search_padded(self, frame: Picture) -> list[Face]:
        height, width = frame.shape[:2]
        rim = round(CLOSE_PADDING * max(height, width))
        padded = cv2.copyMakeBorder(frame, rim, rim, rim, rim, cv2.BORDER_REPLICATE)
        faces = []
        for face in self._placed(self._search.look(padded), padded, -rim, -rim):
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
