"""The sliding window of a face's last T samples."""

from __future__ import annotations

from collections import deque

import numpy as np

from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.contracts.engine import Clip
from s2d_edge.firmware_host.pipeline.messages import SampledFace
from s2d_edge.media.crop import Picture
from s2d_edge.media.sampling import pace_of, uniform_indices


class ClipWindow:
    """Collects the samples of one face and makes clips of them."""

    def __init__(self, spec: ClipSpec, *, stride: int) -> None:
        """Make an empty window.

        Args:
            spec: T and the sampling rate.
            stride: a clip is due every so many samples, once the window is full.
        """
        self._spec = spec
        self._stride = stride
        self._samples: deque[SampledFace] = deque(maxlen=spec.frames)
        self._since_clip = 0
        self._longest: tuple[SampledFace, ...] = ()
        self._clips = 0

    @property
    def filled(self) -> int:
        """Samples in the window, at most T."""
        return len(self._samples)

    @property
    def pace(self) -> float:
        """Mean distance of the samples in the window, in periods of the model's rate; 1 when empty."""
        if not self._samples:
            return 1.0
        return pace_of(self._samples[0].number, self._samples[-1].number, len(self._samples))

    def add(self, sample: SampledFace) -> Clip | None:
        """Add a sample.

        Returns:
            (1, T, S, S, 3) uint8 when a clip is due, else None.
        """
        self._samples.append(sample)
        self._since_clip += 1
        if len(self._samples) < self._spec.frames or (self._since_clip < self._stride and self._clips):
            return None
        self._since_clip = 0
        self._clips += 1
        return stack_clip([each.crop for each in self._samples])

    def clear(self) -> None:
        """Remove all samples; the next one belongs to another face, or comes after a gap."""
        if len(self._samples) > len(self._longest):
            self._longest = tuple(self._samples)
        self._samples.clear()
        self._since_clip = 0

    def stretched(self) -> tuple[Clip, SampledFace] | None:
        """Clear the window and make a clip of its longest run of samples, repeated to T; for short files.

        Returns:
            The clip, (1, T, S, S, 3) uint8, and its last sample; None if there was no sample at all.
        """
        self.clear()
        if not self._longest:
            return None
        indices = uniform_indices(len(self._longest), self._spec.frames)
        return stack_clip([self._longest[i].crop for i in indices]), self._longest[-1]


def stack_clip(crops: list[Picture]) -> Clip:
    """Stack T crops, each (S, S, 3) uint8 RGB, to a clip (1, T, S, S, 3)."""
    return np.stack(crops)[None]
