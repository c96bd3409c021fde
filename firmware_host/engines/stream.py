"""The state of one face in a stream: the age of every slot of its rings, and the slot to write next."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.bundle import Manifest
from s2d_edge.contracts.engine import Frame, Logits
from s2d_edge.core.errors import DeviceError
from s2d_edge.media.sampling import pace_of

_NEVER = -math.inf  # when an empty slot was written


class RingMemory(Protocol):
    """The rings of one face, in memory that the graph reads without a copy."""

    def step(self, frame: Frame, age: NDArray[np.int32], slot: int) -> Logits:
        """Compute the logits of one frame, and write its new slot into every ring.

        Args:
            frame: (1, S, S, 3) uint8 RGB.
            age: (slots,) sample periods since each slot was written; T for a masked one.
            slot: the oldest, which is written. Rings of T slots mask it in this step, and may be written
                during it; rings of T - 1 slots use it, and are written after the step.

        Returns:
            (1, K) float32 logits.
        """
        ...

    def copies(self) -> dict[str, NDArray[Any]]:
        """Return a copy of every ring by name."""
        ...


class StreamSession:
    """A stream of one face: logits frame by frame, from that frame and the state of those before it.

    Frames are numbered by the sampling grid, also between its points. A lost sample is a gap in the numbers:
    the slots before it get older, and nothing is repeated or invented in its place. The age that the graph
    sees is the difference of two numbers, rounded once: it is true to half a period, however long the stream.
    """

    def __init__(self, manifest: Manifest, rings: RingMemory, check: Callable[[Logits], Logits]) -> None:
        """Start a stream with empty state.

        Args:
            manifest: of a stream bundle.
            rings: memory for its rings.
            check: returns valid logits unchanged, and raises for others.
        """
        self._frames = manifest.frames
        self._shape = manifest.inputs[0].shape
        self._names = manifest.inputs[0].name, manifest.inputs[1].name
        self._rings = rings
        self._check = check
        self._written: NDArray[np.float64] = np.full(manifest.slots, _NEVER)
        self._first = self._last = _NEVER
        self._seen = 0
        self._pace = 1.0
        self.state_bytes = manifest.state_bytes

    @property
    def seen(self) -> int:
        """Frames that the last logits depend on, its own included: at most T, and 0 after a reset."""
        return self._seen

    @property
    def warming(self) -> bool:
        """True during warm-up: the stream is shorter than T frames at the model's rate.

        A source slower than this rate leaves fewer than T frames in that time, also after the warm-up.
        """
        return self._seen < self._frames and self._last - self._first < self._frames - 1

    @property
    def pace(self) -> float:
        """Mean distance of the frames that the last logits depend on, in periods of the model's rate.

        Where they depend on a single frame, its distance from the one before.
        """
        return self._pace

    @property
    def next_number(self) -> int:
        """The number of the sample that follows the last one without a gap."""
        return 0 if self._last == _NEVER else math.floor(self._last) + 1

    def reset(self) -> None:
        """Reset all state of the face; the next frame starts a new warm-up."""
        self._written.fill(_NEVER)
        self._first = self._last = _NEVER
        self._seen = 0
        self._pace = 1.0

    def step(self, frame: Frame, number: float) -> Logits:
        """Compute the logits of the next frame.

        Args:
            frame: (1, S, S, 3) uint8 RGB.
            number: of the sample on its grid; rises from call to call, until a reset.

        Returns:
            (1, K) float32 logits.

        Raises:
            DeviceError: wrong shape or dtype, a number that does not rise, or the device fails.
        """
        if frame.shape != self._shape or frame.dtype != np.uint8:
            raise DeviceError(
                f"a frame is {frame.dtype} {frame.shape}; this bundle wants uint8 {self._shape}"
            )
        if number <= self._last:
            raise DeviceError(
                f"sample {number} comes after sample {self._last}, but numbers must rise; reset the "
                "stream to start again"
            )
        age = self._ages(number)
        slot = int(self._written.argmin())
        seen = self._written[age < self._frames]
        logits = self._check(self._rings.step(np.ascontiguousarray(frame), age, slot))
        if self._last == _NEVER:
            self._first = number
        elif seen.size:
            self._pace = pace_of(float(seen.min()), number, 1 + len(seen))
        else:  # the frame before is too old to be seen
            self._pace = number - self._last
        self._written[slot] = self._last = number
        self._seen = 1 + len(seen)
        return logits

    def feed(self, frame: Frame, number: float) -> dict[str, NDArray[Any]]:
        """Return the graph's inputs for this frame, with copies of the rings, for calibration."""
        return {self._names[0]: frame, self._names[1]: self._ages(number), **self._rings.copies()}

    def _ages(self, number: float) -> NDArray[np.int32]:
        # Two frames are never of one time.
        age = np.rint(np.clip(number - self._written, 1, self._frames)).astype(np.int32)
        if len(age) == self._frames:  # the slot that the step may write while it reads the others
            age[self._written.argmin()] = self._frames
        return age
