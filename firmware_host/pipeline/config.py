"""Settings of the live pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from s2d_edge.core.errors import ConfigError
from s2d_edge.firmware_host.pipeline.search_plan import SearchWhen
from s2d_edge.media.tracking import FACE_GAP_S

MOST_FACES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineConfig:
    """Settings of a live run: how often it predicts, how it smooths, how many faces it follows.

    Attributes:
        stride: samples between results.
        smooth_s: time constant of the smoothing, seconds; 0 for none.
        face_gap_s: seconds without a face after which its state is reset.
        max_faces: faces followed at once, each with a window or stream of its own.
        search: the frames that are searched for faces, see :class:`SearchPlan`.
    """

    stride: int = 1
    smooth_s: float = 0.5
    face_gap_s: float = FACE_GAP_S
    max_faces: int = 1
    search: SearchWhen = "auto"

    def __post_init__(self) -> None:
        if self.stride < 1 or self.stride % 1:
            raise ConfigError(f"--stride {self.stride} must be a whole number of at least 1")
        if not 0 <= self.smooth_s <= 60:
            raise ConfigError(f"--smooth {self.smooth_s} must lie in [0, 60] seconds")
        if not 0 < self.face_gap_s <= 60:
            raise ConfigError(f"--face-gap {self.face_gap_s} must lie in (0, 60] seconds")
        if not 1 <= self.max_faces <= MOST_FACES or self.max_faces % 1:
            raise ConfigError(f"--max-faces {self.max_faces} must be a whole number in [1, {MOST_FACES}]")
        if self.search not in get_args(SearchWhen):
            raise ConfigError(f"--search {self.search} must be one of {', '.join(get_args(SearchWhen))}")
