"""The state of a live run at one moment: faces and predictions to draw, and counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from s2d_edge.firmware_host.io.results import LiveResult
from s2d_edge.firmware_host.io.source import Frame
from s2d_edge.media.tracking import Box


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceMark:
    """A face to be marked.

    Attributes:
        box: where it is in the frame.
        label: its predicted label; None before the first prediction.
        share: probability of that label.
        main: True for the face that the bars are about.
    """

    box: Box
    label: str | None = None
    share: float = 0.0
    main: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """Faces and predictions to draw on one frame.

    Attributes:
        labels: every class, in the model's order.
        faces: those followed, in this frame.
        label: predicted for the main face; None before the first prediction.
        probabilities: of each class, for the main face; empty before the first prediction.
        status: what the face search sees; parts separated by a comma go on lines of their own.
    """

    labels: tuple[str, ...]
    faces: tuple[FaceMark, ...] = ()
    label: str | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Events since the start, losses by reason, and rates of the last seconds.

    Attributes:
        frames: taken from the source.
        analysed: of these, searched for faces.
        with_face: of these, with a followed face.
        passed_over: not searched, because they are no samples and no face could be lost (``--search``).
        results: predictions of the model.
        slow_results: of these, made of samples more than 1.2 times as far apart as the model learned.
        pace: of the newest of these: mean distance of its samples, in periods of the model's rate; 1 if none.
        dropped_frames: not searched, because the face search was slower than the source.
        dropped_clips: not predicted, because the model was slower than the samples.
        unwritten_frames: not in the annotated video, because writing it was slower than the source.
        failed_frames: not searched, because of a fault in a single frame.
        failed_clips: not predicted, because of a fault in a single clip.
        source_fps: frames per second over the last seconds.
        results_per_s: results per second over the last seconds.
        latency_p50_ms: from decoding a frame to its result, median; None before the first result.
        latency_p95_ms: 95th percentile of the latency.
        infer_p50_ms: part of the latency that the model took, median.
    """

    frames: int
    analysed: int
    passed_over: int
    with_face: int
    results: int
    slow_results: int
    pace: float
    dropped_frames: int
    dropped_clips: int
    unwritten_frames: int
    failed_frames: int
    failed_clips: int
    source_fps: float
    results_per_s: float
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    infer_p50_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The newest searched frame with its faces and predictions, and the counts.

    Attributes:
        frame: None before the first.
        overlay: what to draw on it.
        result: the newest about the main face; None before the first.
        counts: of everything so far.
    """

    frame: Frame | None
    overlay: Overlay
    result: LiveResult | None
    counts: Counts
