"""Face detection: a BlazeFace graph's anchors, the decoding of its output, and weighted suppression.

The constants are those of MediaPipe 0.10.21, under mediapipe/modules/face_detection: face_detection.pbtxt,
face_detection_short_range.pbtxt and face_detection_full_range.pbtxt. The method: V. Bazarevsky et al.,
"BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", arXiv 1907.05047, section 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from s2d_edge.media.crop import Picture
from s2d_edge.media.faces.cpu import Floats, Graph
from s2d_edge.media.faces.region import Region

# Detections that overlap more (intersection over union) are one face: min_suppression_threshold.
SAME_DETECTION = 0.3
# Scores are clipped before the sigmoid: score_clipping_thresh.
SCORE_LIMIT = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorKind:
    """Input and anchors of a detector.

    Attributes:
        size: side of its picture, pixels.
        grids: (stride in pixels, anchors at each place) of its feature maps, in order.
    """

    size: int
    grids: tuple[tuple[int, int], ...]

    def anchors(self) -> Floats:
        """Return the anchors' centres across the picture, (A, 2) float32 in [0, 1].

        Their sizes are all 1 (fixed_anchor_size), so that only the centres matter.
        """
        centres = []
        for stride, count in self.grids:
            places = (np.arange(self.size // stride, dtype=np.float32) + 0.5) * stride / self.size
            x, y = np.meshgrid(places, places)
            centres.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), count, axis=0))
        return np.concatenate(centres)


# Faces that are large in the picture: strides 8, 16, 16, 16, and an interpolated anchor beside each.
SHORT_RANGE = DetectorKind(size=128, grids=((8, 2), (16, 6)))
# Faces up to some five metres away: stride 4, without interpolated anchors.
FULL_RANGE = DetectorKind(size=192, grids=((4, 1),))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detection:
    """A detected face, in pixels of the frame.

    Attributes:
        score: in [0, 1].
        low, high: (2,) float32, corners of its box.
        keypoints: (6, 2) float32: the eyes (first the one on the left of an upright picture), nose tip,
            mouth, ears.
    """

    score: float
    low: Floats
    high: Floats
    keypoints: Floats

    def region(self) -> Region:
        """Return the turned square in which the mesh is searched."""
        return Region.around(self.low, self.high, self.keypoints[:2])


class Detector:
    """Finds faces in a frame with one graph."""

    def __init__(self, graph: Graph, kind: DetectorKind, min_score: float) -> None:
        """Take the graph of a kind; detections scored below ``min_score``, in [0, 1], are dropped."""
        self._graph, self._kind, self._min_score = graph, kind, min_score
        self._anchors = kind.anchors()

    def find(self, frame: Picture) -> list[Detection]:
        """Find the faces in a (H, W, 3) uint8 RGB frame, the best score first."""
        # The frame lies in the upper left corner of its square, as MediaPipe's mesh is given it: its own
        # placement in the middle skews the points of pictures that are not square.
        side = max(frame.shape[:2])
        whole = Region(x=side / 2, y=side / 2, side=side)
        picture = whole.cut(frame, self._kind.size, cv2.BORDER_CONSTANT)
        boxes, scores = self._graph(picture[None].astype(np.float32) / np.float32(127.5) - np.float32(1))
        decoded = decode(boxes[0], scores[0, :, 0], self._anchors, self._kind.size, self._min_score)
        return [
            Detection(score=score, low=placed[0], high=placed[1], keypoints=placed[2:])
            for score, points in suppress(*decoded)
            for placed in [whole.to_frame(points)]
        ]


def decode(
    boxes: Floats, scores: Floats, anchors: Floats, size: int, min_score: float
) -> tuple[Floats, Floats]:
    """Decode a graph's output for the anchors that see a face.

    Args:
        boxes: (A, 16) float32: centre, size and six keypoints, each (x, y), pixels from the anchor.
        scores: (A,) float32 logits.
        anchors: (A, 2) float32 in [0, 1].
        size: side of the graph's picture, pixels.
        min_score: in [0, 1].

    Returns:
        Scores (n,) float32 in [0, 1], the highest first; points (n, 8, 2) float32 across the picture: two
        corners of the box, six keypoints.
    """
    logits = np.clip(scores, -SCORE_LIMIT, SCORE_LIMIT).astype(np.float64)  # e¹⁰⁰ is too large for float32
    seen = (1 / (1 + np.exp(-logits))).astype(np.float32)
    kept = np.flatnonzero((seen >= min_score) & np.isfinite(boxes).all(axis=1))  # a device may fail
    kept = kept[np.argsort(-seen[kept], kind="stable")]
    points = boxes[kept].reshape(-1, 8, 2) / size
    half = points[:, 1] / 2
    points += anchors[kept, None]
    points[:, 1] = points[:, 0] + half
    points[:, 0] -= half
    return seen[kept], points


def suppress(scores: Floats, points: Floats) -> Iterator[tuple[float, Floats]]:
    """Blend overlapping detections: each face is the mean of its detections, weighted by their scores.

    Args:
        scores: (n,) float32, the highest first.
        points: (n, 8, 2) float32, the first two of which are corners of the box.

    Yields:
        The highest score of a face, and its (8, 2) float32 points.
    """
    low, high = points[:, 0], points[:, 1]
    areas = np.maximum(high - low, 0).prod(axis=1)
    rest = np.arange(len(scores))
    while len(rest):
        best = rest[0]
        inside = np.minimum(high[best], high[rest]) - np.maximum(low[best], low[rest])
        shared = np.maximum(inside, 0).prod(axis=1)
        union = areas[best] + areas[rest] - shared
        same = shared > SAME_DETECTION * union
        same[0] = True  # a box without an area overlaps with nothing
        weights = scores[rest[same]]
        blended = (points[rest[same]] * weights[:, None, None]).sum(axis=0) / weights.sum()
        yield float(scores[best]), blended.astype(np.float32)
        rest = rest[~same]
