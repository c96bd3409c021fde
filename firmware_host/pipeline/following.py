"""Following faces through the frames of one stream, up to the clips that are due."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.firmware_host.io.source import Frame
from s2d_edge.firmware_host.pipeline.clips import ClipMaker
from s2d_edge.firmware_host.pipeline.config import PipelineConfig
from s2d_edge.firmware_host.pipeline.messages import ClipRequest
from s2d_edge.firmware_host.pipeline.per_face import FacePredictors
from s2d_edge.firmware_host.pipeline.search_plan import SearchPlan
from s2d_edge.media.faces.finder import FaceDetector
from s2d_edge.media.tracking import FaceTracker, Sighting


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """Outcome of the search of one frame.

    Attributes:
        sightings: the followed faces in it, the longest followed first.
        requests: the clips that are now due.
        sampled: True if the frame is a sample.
        search_ms: time of the search.
        crop_ms: time of what came after it: telling who is who, the crops, and the clips.
    """

    sightings: Sequence[Sighting]
    requests: Sequence[ClipRequest]
    sampled: bool
    search_ms: float
    crop_ms: float


class FaceFollower:
    """Searches the frames that need it, tells who is who, and makes clips of the followed faces.

    Attributes:
        tracker: gives each face a seat.
        clips: makes clips of the faces in the seats.
    """

    def __init__(
        self,
        detector: FaceDetector,
        predictors: FacePredictors,
        config: PipelineConfig,
        *,
        spec: ClipSpec,
        recipe: CropRecipe,
        drawn: bool = False,
    ) -> None:
        """Start a stream.

        Args:
            detector: finds the faces of a frame.
            predictors: say which clips they take.
            config: number of faces, longest gap without one, which frames are searched.
            spec: of the model's clips; a pause of the source that is longer than one ends all tracks.
            recipe: face crop of the bundle.
            drawn: True if the boxes of every frame are drawn.
        """
        self._detector = detector
        self._plan = SearchPlan(config.search, fps=spec.fps, gap_s=config.face_gap_s, drawn=drawn)
        self.tracker = FaceTracker(
            config.max_faces,
            gap_s=config.face_gap_s,
            pause_s=max(config.face_gap_s, spec.duration_s),
        )
        self.clips = ClipMaker(
            config.max_faces, predictors.request, stride=predictors.request_stride, recipe=recipe
        )

    def follow(self, frame: Frame) -> Followed | None:
        """Take the next frame; returns None where it needs no search."""
        number = self.clips.number(frame)
        if not self._plan.wants(frame.t_s, sample=number is not None):
            self.tracker.pass_over(frame.t_s)
            return None
        begun_s = time.perf_counter()
        faces = self._detector.find(frame.picture, self.tracker.in_view)
        found_s = time.perf_counter()
        sightings = self.tracker.follow(faces, frame.t_s)
        self._plan.note(sightings, frame.t_s, missing=self.tracker.missing > 0)
        requests = self.clips.take(frame, number, sightings, self.tracker.free)
        return Followed(
            sightings,
            requests,
            sampled=number is not None,
            search_ms=(found_s - begun_s) * 1e3,
            crop_ms=(time.perf_counter() - found_s) * 1e3,
        )
