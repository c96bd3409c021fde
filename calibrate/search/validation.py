"""Measure INT8 graphs on the validation clips, which are loaded once and predicted by FP32 once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from s2d_edge.calibrate.graphs.feeds import feeds_of
from s2d_edge.calibrate.measure.drop import Drop, drop_between, drops_pp
from s2d_edge.calibrate.measure.pair import TIMED_CLIPS, time_in_turn
from s2d_edge.calibrate.quantize.accuracy_control import Control
from s2d_edge.calibrate.search.gate import Allowance, GateLimits, allowance
from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.engine import Clip, Engine
from s2d_edge.contracts.evaluation import gather, predict_windows
from s2d_edge.core import metrics
from s2d_edge.core.console import Console
from s2d_edge.core.disk import refusals
from s2d_edge.core.errors import DataError
from s2d_edge.core.scratch import temporary_folder
from s2d_edge.data.preparing.clips import load_many
from s2d_edge.data.preparing.tally import LoadingTally
from s2d_edge.data.reading.dataset import Sample
from s2d_edge.firmware_host.engines import open_engine


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredClip:
    """A loaded clip on disk: its distinct frames, and those that each window holds, with their times.

    Attributes:
        file: (N, S, S, 3) uint8 RGB as ``.npy``.
        index: (V, T) which of the N frames each window holds.
        window_numbers: see :class:`s2d_edge.contracts.evaluation.Windows`.
    """

    file: Path
    index: NDArray[np.int64]
    window_numbers: NDArray[np.float64] | None

    @property
    def windows(self) -> NDArray[np.uint8]:
        """(V, T, S, S, 3) uint8 RGB."""
        frames: NDArray[np.uint8] = np.load(self.file)
        return frames[self.index]


class _FirstWindows(Sequence[Clip]):
    """The first window of each clip, (1, T, S, S, 3), read on access."""

    def __init__(self, clips: Sequence[_StoredClip]) -> None:
        self._clips = clips

    def __len__(self) -> int:
        return len(self._clips)

    @overload
    def __getitem__(self, index: int) -> Clip: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Clip]: ...
    def __getitem__(self, index: int | slice) -> Clip | Sequence[Clip]:
        if isinstance(index, slice):
            return _FirstWindows(self._clips[index])
        return self._clips[index].windows[:1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """An INT8 graph on the validation clips.

    Attributes:
        times_fp32: median time of a prediction as a share of FP32's, measured in turn.
    """

    drop: Drop
    times_fp32: float


class Validation:
    """FP32's predictions on the validation clips, with which INT8 graphs are compared."""

    def __init__(
        self,
        source: Bundle,
        fp32: Engine,
        clips: Sequence[_StoredClip],
        truth: metrics.Labels,
        logits: Sequence[NDArray[np.float32]],
        limits: GateLimits,
        device: str,
        seed: int,
    ) -> None:
        """Args:
        fp32: the open engine of ``source``, on ``device``.
        truth: (n,) class indices.
        logits: FP32's, (V, K) of each clip's windows.
        seed: of the bootstraps.
        """
        self._source = source
        self._fp32 = fp32
        self._clips = clips
        self._truth = truth
        self._logits = logits
        self._device = device
        self._seed = seed
        supports = np.bincount(truth, minlength=len(source.manifest.labels)).tolist()
        self.allowed: Allowance = allowance(supports, limits)
        self.min_speedup = limits.min_speedup

    def __len__(self) -> int:
        return len(self._clips)

    def measure(self, int8: Bundle, console: Console) -> Measured:
        """Predict every clip with an INT8 graph, then time it and FP32 in turn on some.

        Raises:
            DeviceError: what the engine raises.
        """
        with (
            open_engine(int8, self._device) as engine,
            console.progress("validating", len(self._clips)) as advance,
        ):
            logits = []
            for clip in self._clips:
                logits.append(predict_windows(engine, clip))
                advance(1)
            few = [clip.windows[:1] for clip in self._clips[:TIMED_CLIPS]]
            times = time_in_turn(self._fp32, engine, few)
        labels = len(self._source.manifest.labels)
        drop = drop_between(gather(self._logits), gather(logits), self._truth, labels, self._seed)
        return Measured(drop=drop, times_fp32=float(np.median(times[1]) / np.median(times[0])))

    @contextmanager
    def control(self) -> Iterator[Control]:
        """Yield the validation function for NNCF's accuracy control, on each clip's first window."""
        classes = len(self._source.manifest.labels)

        def margin_pp(truth: metrics.Labels, before: metrics.Labels, after: metrics.Labels) -> float:
            agreement = metrics.agreement(before, after)
            return self.allowed.margin_pp(*drops_pp(truth, before, after, classes), agreement)

        with feeds_of(self._source, _FirstWindows(self._clips), steps=1) as feeds:
            first = np.stack([logits[0] for logits in self._logits])
            yield Control(feeds, self._truth, first, margin_pp)


@contextmanager
def validating(
    source: Bundle,
    samples: Sequence[Sample],
    where: str,
    limits: GateLimits,
    *,
    device: str,
    seed: int,
    skip_unreadable: bool,
    console: Console,
) -> Iterator[Validation]:
    """Load the validation clips, predict them with FP32, and keep its engine open while the block runs.

    The pictures are stored on disk (``$TMPDIR``): a split may be larger than memory, and finding faces in it
    again for every recipe would take longer than the predictions.

    Args:
        where: name of the split, for messages.

    Raises:
        DataError: no clip can be read.
        S2DEdgeError: what loading and running raise.
    """
    manifest, tally = source.manifest, LoadingTally()
    with temporary_folder() as folder, open_engine(source, device) as fp32:
        stored: list[_StoredClip] = []
        logits = []
        with console.progress(f"FP32 on {where}", len(samples)) as advance:
            clips = load_many(
                [sample.path for sample in samples],
                manifest.spec,
                manifest.crop,
                on_unreadable=tally.skip if skip_unreadable else None,
            )
            for clip in tally.watch(clips, advance):
                file = folder / f"{len(stored)}.npy"
                with refusals(file):
                    np.save(file, clip.frames)
                stored.append(_StoredClip(file=file, index=clip.index, window_numbers=clip.window_numbers))
                logits.append(predict_windows(fp32, clip))
        tally.report(console)
        if not stored:
            raise DataError(
                f"none of the {len(samples)} clips of {where} can be read, so the gate cannot decide; "
                "name another split with --val-split"
            )
        truth = np.array([sample.label for sample in tally.readable(samples)], dtype=np.int64)
        yield Validation(source, fp32, stored, truth, logits, limits, device, seed)
