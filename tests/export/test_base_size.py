"""The step graph at base size, where sums are long and rings are large."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from export.command import ExportOptions, export_run
from firmware_host.engines import open_engine
from s2d_edge.bundle import open_bundle
from s2d_edge.console import Console
from s2d_edge.model.config import TemporalConfig, preset
from tests.models import write_random_run


@pytest.mark.slow
@pytest.mark.parametrize("target", ["intel-cpu", "jetson"])
def test_forty_frames_at_base_size(target: str, tmp_path: Path) -> None:
    config = replace(preset("base"), temporal=TemporalConfig(mode="causal"))
    model = write_random_run(tmp_path / "run", config)
    options = ExportOptions(
        target=target, mode="stream", run=tmp_path / "run", out=tmp_path / "bundle", clips=1
    )
    bundle = open_bundle(export_run(options, Console(quiet=True)))
    frames = np.random.default_rng(0).integers(0, 256, (1, 40, 224, 224, 3), dtype=np.uint8)
    with open_engine(bundle, "cpu") as engine:
        session = engine.open_stream()
        answers = np.concatenate([session.step(frames[:, k], k) for k in range(frames.shape[1])])
    with torch.inference_mode():
        whole = model.stream(torch.from_numpy(frames))[0].numpy()
    assert np.ptp(whole, axis=0).min() > 1e-2  # frames are told apart
    np.testing.assert_allclose(answers, whole, atol=1e-4)
