"""Results: smoothed probabilities, and one JSON object per line."""

from __future__ import annotations

import json
import math
import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from s2d_edge.core.errors import MediaError
from s2d_edge.core.files import whole_file


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveResult:
    """What the model says about the clip that ends with one frame.

    Attributes:
        t_s: time of that frame on the source's clock, seconds.
        frame: its number.
        face: x, y, width, height in that frame, pixels.
        track: number of the face among those followed so far, from 1.
        label: the most probable class.
        probabilities: of each class, smoothed over time.
        logits: of this clip alone, in label order.
        latency_ms: from the decoding of that frame to this result; for a file it includes waiting in line.
        infer_ms: the part of it the model took.
        dropped: source frames lost so far because analysis was slower than the camera.
        dropped_clips: clips lost so far because the model was slower than the samples.
        warming: a stream that has seen fewer frames of this face than the model looks back on.
    """

    t_s: float
    frame: int
    face: tuple[int, int, int, int]
    track: int
    label: str
    probabilities: dict[str, float]
    logits: tuple[float, ...]
    latency_ms: float
    infer_ms: float
    dropped: int
    dropped_clips: int
    warming: bool = False

    def to_json(self) -> str:
        """One line; ``warming`` stands in it only where it is true."""
        return json.dumps(
            {
                "t_s": round(self.t_s, 4),
                "frame": self.frame,
                "face": list(self.face),
                "track": self.track,
                "label": self.label,
                "probabilities": {label: round(p, 6) for label, p in self.probabilities.items()},
                "logits": [round(logit, 6) for logit in self.logits],
                "latency_ms": round(self.latency_ms, 2),
                "infer_ms": round(self.infer_ms, 2),
                "dropped": self.dropped,
                "dropped_clips": self.dropped_clips,
            }
            | ({"warming": True} if self.warming else {}),
            allow_nan=False,
            ensure_ascii=False,
        )


class Smoother:
    """Exponential smoothing by time: after ``seconds``, 1/e of an old answer is left."""

    def __init__(self, seconds: float) -> None:
        """``seconds`` = 0 passes everything as it is."""
        self._seconds = seconds
        self._last_s = 0.0
        self._value: NDArray[np.float32] | None = None

    def update(self, t_s: float, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take in (K,) probabilities of time ``t_s``; returns the smoothed (K,), which sum to one too."""
        if self._value is None or self._seconds == 0:
            self._value = probabilities
        else:
            keep = math.exp(-max(t_s - self._last_s, 0.0) / self._seconds)
            self._value = (keep * self._value + (1 - keep) * probabilities).astype(np.float32)
        self._last_s = t_s
        return self._value

    def reset(self) -> None:
        """Forget: the next answer is about another person or time."""
        self._value = None


class JsonLines:
    """Writes results to a file, whole or not at all, or to stdout as they come.

    A destination that exists and is no regular file, such as a pipe, is written directly.
    """

    def __init__(self, destination: str) -> None:
        """Open the destination.

        Raises:
            MediaError: it cannot be written.
        """
        self._name = "stdout" if destination == "-" else destination
        self._cleanup = ExitStack()
        path = Path(destination)
        try:
            if destination == "-":
                self._file: IO[str] = sys.stdout
            elif path.exists() and not path.is_file():
                self._file = self._cleanup.enter_context(path.open("w", encoding="utf-8"))
            else:
                scratch = self._cleanup.enter_context(whole_file(path))
                self._file = self._cleanup.enter_context(scratch.open("w", encoding="utf-8"))
        except OSError as error:
            raise MediaError(f"cannot write {destination}: {error.strerror}; choose another --json") from None

    def write(self, result: LiveResult) -> None:
        """Append one line and hand it over at once.

        Raises:
            MediaError: the disk is full, or the reader of the pipe is gone.
        """
        try:
            self._file.write(result.to_json() + "\n")
            self._file.flush()
        except BrokenPipeError:
            if self._file is sys.stdout:  # or the interpreter complains again when it exits
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise MediaError(f"the reader of {self._name} went away; results have nowhere to go") from None
        except OSError as error:
            raise MediaError(f"cannot write {self._name}: {error.strerror}; nothing was kept") from None

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._cleanup.__exit__(kind, error, trace)
        except OSError as problem:
            if error is None:
                raise MediaError(f"cannot write {self._name}: {problem.strerror}; nothing was kept") from None
