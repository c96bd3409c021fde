"""Clips of the followed faces: which frames are samples, and when a clip of a face is due."""

from __future__ import annotations

from collections.abc import Iterable

from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.contracts.engine import Clip
from s2d_edge.firmware_host.io.source import Frame
from s2d_edge.firmware_host.pipeline.clip_window import ClipWindow
from s2d_edge.firmware_host.pipeline.messages import ClipRequest, SampledFace
from s2d_edge.media.crop import align_crop
from s2d_edge.media.sampling import PeriodicSampler
from s2d_edge.media.tracking import Sighting


class ClipMaker:
    """Crops the followed faces of sampled frames, and makes a request of each clip that is due."""

    def __init__(
        self, seats: int, request: ClipSpec, *, stride: int, gap_s: float, recipe: CropRecipe
    ) -> None:
        """Start with empty windows.

        Args:
            seats: faces followed at most, each with a window of its own.
            request: frames, size and rate of a clip.
            stride: samples between two clips of a face.
            gap_s: seconds without a sample after which a window is cleared.
            recipe: face crop of the bundle.
        """
        self._recipe = recipe
        self._sampler = PeriodicSampler(request.fps)
        self._windows = [ClipWindow(request, stride=stride, gap_s=gap_s) for _ in range(seats)]
        self._tracks = [0] * seats
        self._ticket = 0
        self.gap_s = self._windows[0].gap_s

    @property
    def ticket(self) -> int:
        """Requests made so far; the newest has this number."""
        return self._ticket

    def filled(self, seats: Iterable[int] | None = None) -> list[int]:
        """Samples in the windows of the given seats, or of all."""
        chosen = range(len(self._windows)) if seats is None else seats
        return [self._windows[seat].filled for seat in chosen]

    def expire(self, t_s: float) -> set[int]:
        """Clear the windows whose face was gone too long before time ``t_s``; returns their seats."""
        return {seat for seat, window in enumerate(self._windows) if window.expire(t_s)}

    def take(self, frame: Frame, sightings: Iterable[Sighting]) -> list[ClipRequest]:
        """Add a frame's followed faces to their windows, if the frame is a sample.

        A face of a new track clears the window of its seat.

        Returns:
            The clips that are now due.
        """
        sampled = self._sampler.due(frame.t_s)
        requests = []
        for sighting in sightings:
            window = self._windows[sighting.seat]
            if self._tracks[sighting.seat] != sighting.track:
                self._tracks[sighting.seat] = sighting.track
                window.clear()
            if not sampled:
                continue
            face = sighting.face
            crop = align_crop(frame.picture, face.points, self._recipe)
            sample = SampledFace(frame.t_s, frame.index, frame.arrived_s, face.box, crop)
            clip = window.add(sample)
            if clip is not None:
                requests.append(self._request(sighting.seat, clip, sample))
        return requests

    def take_short(self) -> list[ClipRequest]:
        """Make a clip of each face's longest run of samples, its frames repeated; for short files."""
        requests = []
        for seat, window in enumerate(self._windows):
            stretched = window.stretched()
            if stretched is not None:
                requests.append(self._request(seat, *stretched))
        return requests

    def _request(self, seat: int, clip: Clip, last: SampledFace) -> ClipRequest:
        self._ticket += 1
        return ClipRequest(self._ticket, seat, self._tracks[seat], clip, last)
