"""Clips of the followed faces: which frames are samples, and when a clip of a face is due."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable

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

    def __init__(self, seats: int, request: ClipSpec, *, stride: int, recipe: CropRecipe) -> None:
        """Start with empty windows.

        Args:
            seats: faces followed at most, each with a window of its own.
            request: frames, size and rate of a clip.
            stride: samples between two clips of a face.
            recipe: face crop of the bundle.
        """
        self._recipe = recipe
        self._sampler = PeriodicSampler(request.fps)
        self._windows = [ClipWindow(request, stride=stride) for _ in range(seats)]
        self._tracks = [0] * seats
        self._ticket = 0

    @property
    def ticket(self) -> int:
        """Requests made so far; the newest has this number."""
        return self._ticket

    def filled(self, seats: Iterable[int] | None = None) -> list[int]:
        """Samples in the windows of the given seats, or of all."""
        chosen = range(len(self._windows)) if seats is None else seats
        return [self._windows[seat].filled for seat in chosen]

    def number(self, frame: Frame) -> float | None:
        """Return the number of the next frame on the model's grid, None if it is no sample."""
        return self._sampler.number(frame.t_s)

    def take(
        self,
        frame: Frame,
        number: float | None,
        sightings: Iterable[Sighting],
        free: Collection[int] = (),
    ) -> list[ClipRequest]:
        """Add a frame's followed faces to their windows, if the frame is a sample.

        A face of a new track clears the window of its seat.

        Args:
            frame: the next one that was searched.
            number: as :meth:`number` gave it.
            sightings: the followed faces in it.
            free: seats whose track ended; their windows are cleared.

        Returns:
            The clips that are now due.
        """
        requests = []
        for seat in free:
            self._windows[seat].clear()
        for sighting in sightings:
            window = self._windows[sighting.seat]
            if self._tracks[sighting.seat] != sighting.track:
                self._tracks[sighting.seat] = sighting.track
                window.clear()
            if number is None:
                continue
            face = sighting.face
            crop = align_crop(frame.picture, face.points, self._recipe)
            sample = SampledFace(number, frame.t_s, frame.index, frame.arrived_s, face.box, crop)
            clip = window.add(sample)
            if clip is not None:
                requests.append(self._request(sighting.seat, clip, sample, window.pace))
        return requests

    def take_short(self) -> list[ClipRequest]:
        """Make a clip of each face's longest run of samples, its frames repeated; for short files."""
        requests = []
        for seat, window in enumerate(self._windows):
            stretched = window.stretched()
            if stretched is not None:
                requests.append(self._request(seat, *stretched, pace=1.0))  # repeated, which is said
        return requests

    def _request(self, seat: int, clip: Clip, last: SampledFace, pace: float) -> ClipRequest:
        self._ticket += 1
        return ClipRequest(self._ticket, seat, self._tracks[seat], clip, last, pace, time.perf_counter())
