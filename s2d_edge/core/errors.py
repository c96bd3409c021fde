"""What can go wrong, as one family of exceptions the command line turns into one sentence.

Every message says what was given, what was wanted and what to do next.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class S2DEdgeError(Exception):
    """Base of every error a user can cause or must act on; the command line exits with code 1."""


class ConfigError(S2DEdgeError):
    """A setting is out of range, unknown, or does not fit another setting."""


class DataError(S2DEdgeError):
    """A dataset, a label file or a clip cannot be used as it is."""


class MediaError(S2DEdgeError):
    """An image, a video or a camera cannot be opened, decoded or written."""


class CheckpointError(S2DEdgeError):
    """Weights are missing, misshapen, or not what the model needs."""


class BundleError(S2DEdgeError):
    """A bundle or its manifest is incomplete, altered, or of an unknown version."""


class DeviceError(S2DEdgeError):
    """A requested device, provider or runtime is missing or refuses the graph."""


class SelfTestError(DeviceError):
    """A device answers otherwise than the bundle's self-test says it must."""


class MissingExtraError(S2DEdgeError):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, package: str, extra: str, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs the package {package!r}, which is not installed; "
            f"install it with: pip install 's2d-edge[{extra}]'"
        )


class TooLargeDropError(S2DEdgeError):
    """INT8 costs more accuracy than ``--max-drop`` allows, or agrees less than ``--min-agreement`` wants."""


class TrainingError(S2DEdgeError):
    """A training cannot go on, such as when its loss is no longer a number."""


class QuantizationError(S2DEdgeError):
    """Too little of the INT8 graph is INT8."""


class UnfitGraphError(S2DEdgeError):
    """A graph breaks a documented rule of its target."""


@contextmanager
def told_in_a_sentence() -> Iterator[None]:
    """Around a script beside the command line: an error ends it with a sentence and exit code 1."""
    try:
        yield
    except (S2DEdgeError, OSError) as error:
        sys.exit(f"error: {error}")
