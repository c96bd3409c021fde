"""One face's past: which slot of its rings holds what, how old it is, and what comes next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.bundle import Manifest
from s2d_edge.contracts.engine import Frame, Logits
from s2d_edge.core.errors import DeviceError

_NEVER = np.iinfo(np.int64).min // 2  # when an empty slot was written


class RingMemory(Protocol):
    """The rings of one face, where the graph can read them without a copy."""

    def step(self, frame: Frame, age: NDArray[np.int32], slot: int) -> Logits:
        """Answer one frame and keep what is new of it in ``slot`` of every ring.

        Args:
            frame: (1, S, S, 3) uint8 RGB.
            age: (slots,) sample periods since each slot was written; T for one not to be seen.
            slot: the oldest. In rings of T slots it is not to be seen in this step, and may be written
                during it; in rings of T - 1 slots it may be seen, and is written after it.

        Returns:
            (1, K) float32 logits.
        """
        ...

    def copies(self) -> dict[str, NDArray[Any]]:
        """Every ring by name, as it is now."""
        ...


class StreamSession:
    """Answers one face frame by frame. What the graph keeps of a frame stays in the face's rings.

    Frames are numbered by the sampling grid, so a lost sample shows as a gap: what lies before it is as old
    as it is, and nothing is repeated or invented in its place.
    """

    def __init__(self, manifest: Manifest, rings: RingMemory, check: Callable[[Logits], Logits]) -> None:
        """A face without a past.

        Args:
            manifest: of a stream bundle.
            rings: memory for its rings.
            check: returns logits that hold what they must, or raises.
        """
        self._frames = manifest.frames
        self._shape = manifest.inputs[0].shape
        self._names = manifest.inputs[0].name, manifest.inputs[1].name
        self._rings = rings
        self._check = check
        self._written: NDArray[np.int64] = np.full(manifest.slots, _NEVER)
        self._last = _NEVER
        self._seen = 0
        self.state_bytes = manifest.state_bytes

    @property
    def seen(self) -> int:
        """Frames the last answer rests on, its own included; T when warm, 0 after a reset."""
        return self._seen

    @property
    def warming(self) -> bool:
        """Whether the past is shorter than the model's T frames."""
        return self._seen < self._frames

    @property
    def next_number(self) -> int:
        """The sample that follows the last one without a gap."""
        return 0 if self._last == _NEVER else self._last + 1

    def reset(self) -> None:
        """Forget the past: what comes next does not belong to it."""
        self._written.fill(_NEVER)
        self._last = _NEVER
        self._seen = 0

    def step(self, frame: Frame, number: int) -> Logits:
        """Answer one frame.

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
                f"sample {number} comes after sample {self._last}; reset the stream to start over"
            )
        age = self._ages(number)
        slot = int(self._written.argmin())
        logits = self._check(self._rings.step(np.ascontiguousarray(frame), age, slot))
        self._written[slot] = number
        self._last = number
        self._seen = 1 + int((age < self._frames).sum())
        return logits

    def feed(self, frame: Frame, number: int) -> dict[str, NDArray[Any]]:
        """What the graph would be given for this frame, the rings copied: to calibrate on."""
        return {self._names[0]: frame, self._names[1]: self._ages(number), **self._rings.copies()}

    def _ages(self, number: int) -> NDArray[np.int32]:
        return np.minimum(number - self._written, self._frames).astype(np.int32)
