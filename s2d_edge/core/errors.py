"""The exceptions that the command line turns into one sentence.

Every message says what was given, what was wanted and what to do next.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from s2d_edge.core.disk import sentence_of


class S2DEdgeError(Exception):
    """Base of every error that a user can cause or must act on; the command line exits with code 1."""


class ConfigError(S2DEdgeError):
    """A setting is out of range, unknown, or does not fit another setting."""


class DataError(S2DEdgeError):
    """A dataset, a label file or a clip cannot be used as it is."""


class MediaError(S2DEdgeError):
    """A picture, a video or a camera cannot be opened, decoded or written."""


class CheckpointError(S2DEdgeError):
    """Weights are missing, misshapen, or not what the model needs."""


class BundleError(S2DEdgeError):
    """A bundle or its manifest is incomplete, altered, or of an unknown version."""


class DeviceError(S2DEdgeError):
    """A requested device, provider or runtime is missing or refuses the graph."""


class SelfTestError(DeviceError):
    """A device's logits differ from those of the bundle's self-test by more than rounding."""


class MissingExtraError(S2DEdgeError):
    """A feature needs an optional dependency that is not installed.

    Attributes:
        package: the package that is missing.
        extra: the extra of s2d-edge that installs it.
        needed_for: the feature, as the subject of a sentence.
    """

    def __init__(self, package: str, extra: str, needed_for: str) -> None:
        # The arguments, not the message: an exception is pickled as its class and its arguments.
        super().__init__(package, extra, needed_for)
        self.package = package
        self.extra = extra
        self.needed_for = needed_for

    def __str__(self) -> str:
        return (
            f"{self.needed_for} needs the package {self.package!r}, which is not installed; "
            f"install it with: pip install 's2d-edge[{self.extra}]'"
        )


class TooLargeDropError(S2DEdgeError):
    """INT8 fails the gate: too large a drop, too little agreement with FP32, or too little speed.

    Attributes:
        war_drop_pp, uar_drop_pp: drops of the recipe nearest to passing, percentage points.
        agreement: share of the validation clips on which it agrees with FP32.
        speedup: median time of FP32 over its own.
    """

    def __init__(
        self,
        message: str,
        *,
        war_drop_pp: float = 0.0,
        uar_drop_pp: float = 0.0,
        agreement: float = 1.0,
        speedup: float = 1.0,
    ) -> None:
        super().__init__(message)
        self.war_drop_pp = war_drop_pp
        self.uar_drop_pp = uar_drop_pp
        self.agreement = agreement
        self.speedup = speedup


class TrainingError(S2DEdgeError):
    """A training cannot continue, for instance because its loss is no longer a number."""


class QuantizationError(S2DEdgeError):
    """Too small a share of the INT8 graph is INT8."""


class UnfitGraphError(S2DEdgeError):
    """A graph breaks a documented rule of its target."""


@contextmanager
def exit_with_a_sentence() -> Iterator[None]:
    """End a script beside the command line with a sentence and exit code 1 when an error occurs."""
    try:
        yield
    except S2DEdgeError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {sentence_of(error)}")
