"""The label sets of the published datasets, in the order of their official annotation files."""

from __future__ import annotations

from dataclasses import dataclass

from s2d_edge.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSet:
    """The classes of a dataset, and how its clips run in time.

    Attributes:
        name: how the command line calls it.
        labels: class names; the position is the class index of the official files.
        fps: rate, in frames per second, at which a model trained on the dataset saw its frames.
    """

    name: str
    labels: tuple[str, ...]
    fps: float

    def __post_init__(self) -> None:
        if len(set(self.labels)) != len(self.labels) or not self.labels:
            raise ConfigError(f"labels={','.join(self.labels)!r} must name each class once")
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

KNOWN = {known.name: known for known in (DFEW, FERV39K, MAFW)}

DEFAULT_FPS = 8.0


def parse_label_set(text: str, fps: float | None = None) -> LabelSet:
    """Turn ``--labels`` into a label set.

    Args:
        text: ``dfew``, ``ferv39k``, ``mafw``, or the class names in order, separated by commas.
        fps: overrides the dataset's own sampling rate (frames per second).

    Raises:
        ConfigError: a class named twice, fewer than two classes, or a rate that is not positive.
    """
    known = KNOWN.get(text.strip().lower())
    if known is not None:
        return LabelSet(name=known.name, labels=known.labels, fps=fps or known.fps)
    labels = tuple(part.strip() for part in text.split(","))
    if len(labels) < 2 or not all(labels):
        raise ConfigError(
            f"--labels {text!r} is neither a known set ({', '.join(KNOWN)}) nor two or more class "
            "names separated by commas"
        )
    return LabelSet(name="custom", labels=labels, fps=fps or DEFAULT_FPS)
