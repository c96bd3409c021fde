"""Searching a picture for faces: what a finder needs, and the choice of who does it."""

from __future__ import annotations

from typing import Protocol

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.core.errors import MissingExtraError
from s2d_edge.media.crop import Picture, Points
from s2d_edge.media.faces.graph_search import GraphSearch
from s2d_edge.media.faces.graphs import has_mediapipe, open_graphs
from s2d_edge.media.faces.mediapipe_search import MediaPipeSearch
from s2d_edge.media.tracking import Box

# Part of the key of everything that is kept of faces found: raise it when a picture would give other points.
SEARCH_VERSION = 2  # 1 was MediaPipe's own runtime


class FaceSearch(Protocol):
    """Searches pictures for faces; points are pixels of the given picture."""

    def follow(self, frame: Picture) -> list[Points]:
        """Return the (468, 2) float32 points of each face in the next frame, or in an unrelated picture."""
        ...

    def look(self, part: Picture) -> list[Points]:
        """Return the points of the faces in a picture, which is no frame of the stream."""
        ...

    def far_box(self, frame: Picture) -> Box | None:
        """Return the box of the largest face that a detector for small ones sees, pixels."""
        ...

    def close(self) -> None:
        """Free the models."""
        ...


def open_search(
    *, static: bool, max_faces: int, min_confidence: float, refined: bool, bundle: Bundle | None = None
) -> FaceSearch:
    """Load the graphs of a face mesh.

    Args:
        static: True for unrelated pictures, False for the frames of one stream.
        max_faces: most faces searched in a frame.
        min_confidence: of the detectors, in [0, 1].
        refined: place lids and lips by MediaPipe's attention model.
        bundle: its face pack is used, if it has one.

    Raises:
        MissingExtraError: no graphs of a mesh, or nothing to run them, are installed.
    """
    if not refined:
        try:
            graphs = open_graphs(bundle)
        except MissingExtraError:
            if not has_mediapipe():  # which brings a runtime of its own
                raise
        else:
            return GraphSearch(graphs, static=static, max_faces=max_faces, min_confidence=min_confidence)
    return MediaPipeSearch(static=static, max_faces=max_faces, min_confidence=min_confidence, refined=refined)
