"""The step graph at base's widths, where sums are long and rings are large.

All blocks of base have equal sizes, so two of its twelve show the rounding of sums over 768 and 3072
numbers and of rings of 196 patches and 16 slots. Twenty frames go once round the rings.
"""

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
    """Twenty frames, and the causal model's logits after each, computed from the whole history.

    Attributes:
        run: the model's run folder.
        frames: (1, 20, 224, 224, 3) uint8.
        logits: (20, K) float32.
    """

    run: Path
    frames: NDArray[np.uint8]
    logits: NDArray[np.float32]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    run = tmp_path_factory.mktemp("base") / "run"
    base = preset("base")
    shallow = replace(base, vit=replace(base.vit, depth=2), temporal=TemporalConfig(mode="causal"))
    model = write_random_run(run, shallow)
    frames = np.random.default_rng(0).integers(0, 256, (1, 20, 224, 224, 3), dtype=np.uint8)
    with torch.inference_mode():
        logits = model.stream(torch.from_numpy(frames))[0].numpy()
    assert np.ptp(logits, axis=0).min() > 1e-2  # logits depend on the frame
    return History(run=run, frames=frames, logits=logits)


@pytest.mark.slow(seconds=10)
@pytest.mark.parametrize("target", ["intel-cpu", "jetson"])
def test_steps_round_the_rings_have_the_logits_of_the_whole_history(
    target: str, history: History, tmp_path: Path, no_self_test: None
) -> None:
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
        logits = [session.step(history.frames[:, k], k) for k in range(history.frames.shape[1])]
    np.testing.assert_allclose(np.concatenate(logits), history.logits, atol=1e-4)
