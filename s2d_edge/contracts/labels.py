"""The label sets of the published datasets, in the order of their official annotation files."""

from __future__ import annotations

from dataclasses import dataclass, replace

from s2d_edge.contracts.names import labels_fault
from s2d_edge.core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSet:
    """The classes of a dataset, and the rate of its clips.

    Attributes:
        name: its name on the command line.
        labels: class names; the position is the class index of the official files, counted from 0.
        fps: rate, in frames per second, at which a model trained on the dataset saw its frames.
        stills: a dataset of pictures; its rate is the one given to a model trained on it.
    """

    name: str
    labels: tuple[str, ...]
    fps: float
    stills: bool = False

    def __post_init__(self) -> None:
        if not self.labels:
            raise ConfigError("labels must name a class at least")
        if fault := labels_fault(self.labels):
            raise ConfigError(f"labels={','.join(self.labels)!r}: {fault}; name each class once")
        if not self.fps > 0:
            raise ConfigError(f"fps={self.fps} must be positive")


# DFEW's clips arrive resampled to 16 frames each whatever their length; typical clips last two to
# three seconds, so the nearest fixed rate is about 6 frames per second. FERV39K and MAFW frame folders
# hold every video frame, and the official training takes consecutive ones.
DFEW = LabelSet(
    name="dfew", labels=("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear"), fps=6.0
)
FERV39K = LabelSet(
    name="ferv39k",
    labels=("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"),
    fps=25.0,
)
MAFW = LabelSet(
    name="mafw",
    labels=(
        "anger",
        "anxiety",
        "contempt",
        "disappointment",
        "disgust",
        "fear",
        "happiness",
        "helplessness",
        "neutral",
        "sadness",
        "surprise",
    ),
    fps=25.0,
)

DEFAULT_FPS = 8.0

RAFDB = LabelSet(
    name="rafdb",
    labels=("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"),
    fps=DEFAULT_FPS,
    stills=True,
)
AFFECTNET8 = LabelSet(
    name="affectnet8",
    labels=("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"),
    fps=DEFAULT_FPS,
    stills=True,
)
AFFECTNET7 = LabelSet(
    name="affectnet7", labels=AFFECTNET8.labels[:7], fps=AFFECTNET8.fps, stills=True
)  # without contempt
FERPLUS = LabelSet(
    name="ferplus",
    labels=("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    fps=DEFAULT_FPS,
    stills=True,
)

KNOWN = {known.name: known for known in (DFEW, FERV39K, MAFW, RAFDB, AFFECTNET7, AFFECTNET8, FERPLUS)}


def parse_label_set(text: str, fps: float | None = None) -> LabelSet:
    """Turn ``--labels`` into a label set.

    Args:
        text: a name of ``KNOWN``, or the class names in order, separated by commas.
        fps: overrides the dataset's own sampling rate (frames per second).

    Raises:
        ConfigError: a class named twice, fewer than two classes, or a rate that is not positive.
    """
    known = KNOWN.get(text.strip().lower())
    if known is not None:
        return replace(known, fps=known.fps if fps is None else fps)
    labels = tuple(part.strip() for part in text.split(","))
    if len(labels) < 2 or not all(labels):
        raise ConfigError(
            f"--labels {text!r} is neither a known set ({', '.join(KNOWN)}) nor two or more class "
            "names separated by commas"
        )
    return LabelSet(name="custom", labels=labels, fps=DEFAULT_FPS if fps is None else fps)
