"""The pipeline's settings refuse what cannot work, and name the option to change."""

from __future__ import annotations

import pytest

from s2d_edge.core.errors import ConfigError
from s2d_edge.firmware_host.pipeline.config import PipelineConfig


@pytest.mark.parametrize(
    "wrong",
    [
        {"stride": 0},
        {"stride": 1.5},
        {"stride": float("nan")},
        {"smooth_s": -1.0},
        {"face_gap_s": 0.0},
        {"max_faces": 0},
        {"max_faces": 2.5},
    ],
)
def test_pipeline_config_checks_itself(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="--"):
        PipelineConfig(**wrong)  # type: ignore[arg-type]
