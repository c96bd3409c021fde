"""A face search on graphs that this package runs itself."""

from __future__ import annotations

from functools import cached_property

from s2d_edge.media.crop import Picture, Points
from s2d_edge.media.faces.detector import FULL_RANGE, SHORT_RANGE, Detector
from s2d_edge.media.faces.graphs import FaceGraphs
from s2d_edge.media.faces.mesh import Mesh
from s2d_edge.media.tracking import Box

# MediaPipe's default of min_tracking_confidence: a region that shows no face with this probability is left.
MIN_PRESENCE = 0.5


class GraphSearch:
    """Searches with the graphs of a detector for near faces, of one for far faces, and of the mesh."""

    def __init__(self, graphs: FaceGraphs, *, static: bool, max_faces: int, min_confidence: float) -> None:
        """Take the graphs; the rest is as :func:`~s2d_edge.media.faces.search.open_search` has it."""
        self._graphs, self._min_confidence = graphs, min_confidence
        near = Detector(graphs.near, SHORT_RANGE, min_confidence)
        self._mesh = Mesh(graphs.mesh, near, static=static, max_faces=max_faces, min_presence=MIN_PRESENCE)
        self._still_mesh = (
            self._mesh
            if static
            else Mesh(graphs.mesh, near, static=True, max_faces=1, min_presence=MIN_PRESENCE)
        )

    @cached_property
    def _far(self) -> Detector:
        return Detector(self._graphs.far, FULL_RANGE, self._min_confidence)

    def follow(self, frame: Picture) -> list[Points]:
        """See :class:`~s2d_edge.media.faces.search.FaceSearch`."""
        return self._mesh.find(frame)

    def look(self, part: Picture) -> list[Points]:
        """See :class:`~s2d_edge.media.faces.search.FaceSearch`."""
        return self._still_mesh.find(part)

    def far_box(self, frame: Picture) -> Box | None:
        """See :class:`~s2d_edge.media.faces.search.FaceSearch`."""
        found = self._far.find(frame)
        if not found:
            return None
        largest = max(found, key=lambda each: float((each.high - each.low).prod()))
        (x0, y0), (x1, y1) = largest.low, largest.high
        return round(float(x0)), round(float(y0)), round(float(x1 - x0)), round(float(y1 - y0))

    def close(self) -> None:
        """Do nothing: the graphs hold memory alone, which goes with this object."""
