"""The face mesh: 468 points of every face of a picture, or of a stream's next frame.

The order of the steps is that of MediaPipe 0.10.21's face_landmark_front_cpu.pbtxt, and the constants are
its own, under mediapipe/modules/face_landmark. The method: Y. Kartynnik et al., "Real-time Facial Surface
Geometry from Monocular Video on Mobile GPUs", arXiv 1907.06724.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from s2d_edge.media.crop import MESH_POINTS, Picture, Points
from s2d_edge.media.faces.cpu import Graph
from s2d_edge.media.faces.detector import Detector
from s2d_edge.media.faces.region import Region

MESH_SIZE = 192
# Outer corners of the eyes, between which the line levels a region. face_landmark_landmarks_to_roi.pbtxt:
# rotation_vector_start_keypoint_index, rotation_vector_end_keypoint_index.
OUTER_EYES = (33, 263)
# A region of the frame before replaces a detection that overlaps more with it: min_similarity_threshold.
SAME_REGION = 0.5
# Where frames were skipped, a face may have moved to the rim of its region, or half out of it, where the
# mesh is drawn back to the region's middle. A region that overlaps less with the detection of its face gives
# way to it; that of a face at rest overlaps by 0.75 and more. MediaPipe, which searches every frame, has
# neither this limit nor the next one.
STALE_REGION = 0.7
# Where the points of a followed face ask for a region that overlaps less with the one searched, a second
# search there finds them better.
CENTRED = 0.8


class Mesh:
    """Finds the points of faces; in a stream, where they were in the frame before."""

    def __init__(
        self, graph: Graph, detector: Detector, *, static: bool, max_faces: int, min_presence: float
    ) -> None:
        """Join the mesh's graph to a detector.

        Args:
            graph: as :attr:`~s2d_edge.media.faces.graphs.FaceGraphs.mesh`.
            static: True for unrelated pictures, False for the frames of one stream.
            max_faces: the detector is not asked once that many faces are followed.
            min_presence: probability below which a region shows no face, in (0, 1).
        """
        self._graph, self._detector = graph, detector
        self._static, self._max_faces = static, max_faces
        self._min_logit = math.log(min_presence / (1 - min_presence))
        self._followed: list[Region] = []

    def find(self, frame: Picture) -> list[Points]:
        """Return the points of each face in a (H, W, 3) uint8 RGB frame, (468, 2) float32 pixels."""
        regions = self._followed
        if len(regions) < self._max_faces:
            detected = [each.region() for each in self._detector.find(frame)[: self._max_faces]]
            regions = _joined(detected, regions)
        faces = [points for region in regions if (points := self._points_near(frame, region)) is not None]
        if not self._static:
            self._followed = [region_of(points) for points in faces]
        return faces

    def _points_near(self, frame: Picture, region: Region) -> Points | None:
        """The points of the face that a region shows; if it is followed, also at the region's rim."""
        points = self._points_in(frame, region)
        if points is None or not any(region is other for other in self._followed):
            return points
        centred = region_of(points)
        return points if centred.overlap(region) >= CENTRED else self._points_in(frame, centred)

    def _points_in(self, frame: Picture, region: Region) -> Points | None:
        if not region.side >= 1:  # a box without an area
            return None
        picture = region.cut(frame, MESH_SIZE, cv2.BORDER_REPLICATE)
        points, presence = self._graph(picture[None].astype(np.float32) / np.float32(255))
        if not (presence.item() >= self._min_logit and np.isfinite(points).all()):
            return None
        return region.to_frame(points.reshape(MESH_POINTS, 3)[:, :2] / np.float32(MESH_SIZE))


def region_of(points: Points) -> Region:
    """Return the region in which a face is searched next, from its (468, 2) points."""
    return Region.around(points.min(axis=0), points.max(axis=0), points[list(OUTER_EYES)])


def _joined(detected: Sequence[Region], followed: Sequence[Region]) -> list[Region]:
    """The detected regions that no followed one shows, then the followed ones that are not stale."""
    new, stale = [], set()
    for each in detected:
        overlaps = [each.overlap(other) for other in followed]
        nearest = max(overlaps, default=0.0)
        if nearest < STALE_REGION:
            new.append(each)
        if SAME_REGION < nearest < STALE_REGION:
            stale.add(overlaps.index(nearest))
    return [*new, *(region for index, region in enumerate(followed) if index not in stale)]
