"""The step graph at base size, where sums are long and rings are large."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from s2d_edge.contracts.bundle import open_bundle
from s2d_edge.contracts.model_config import TemporalConfig, preset
from s2d_edge.core.console import Console
from s2d_edge.export.command import export_run
from s2d_edge.firmware_host.engines import open_engine
from tests.models import write_random_run


@dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """Forty frames, and what the causal model answers after each when it sees them all.

    Attributes:
        run: the model's run folder.
        frames: (1, 40, 224, 224, 3) uint8.
        answers: (40, K) float32 logits.
    """

    run: Path
    frames: NDArray[np.uint8]
    answers: NDArray[np.float32]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    run = tmp_path_factory.mktemp("base") / "run"
    model = write_random_run(run, replace(preset("base"), temporal=TemporalConfig(mode="causal")))
    frames = np.random.default_rng(0).integers(0, 256, (1, 40, 224, 224, 3), dtype=np.uint8)
    with torch.inference_mode():
        answers = model.stream(torch.from_numpy(frames))[0].numpy()
    assert np.ptp(answers, axis=0).min() > 1e-2  # frames are told apart
    return History(run=run, frames=frames, answers=answers)


@pytest.mark.slow(seconds=318)
@pytest.mark.parametrize("target", ["intel-cpu", "jetson"])
def test_forty_frames_at_base_size(target: str, history: History, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    bundle = open_bundle(
        export_run(
            target=target,
            mode="stream",
            run=history.run,
            out=out,
            parity_clips=1,
            console=Console(quiet=True),
        )
    )
    with open_engine(bundle, "cpu") as engine:
        session = engine.open_stream()
        answers = [session.step(history.frames[:, k], k) for k in range(history.frames.shape[1])]
    np.testing.assert_allclose(np.concatenate(answers), history.answers, atol=1e-4)
