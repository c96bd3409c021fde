"""Mixed precision, tried with a CPU's autocast: what computes in it, what does not, and the loss scaler."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning_fabric.plugins import Precision

from s2d_edge.model.pixels import LUMA, PIXEL_MEAN, PIXEL_STD
from s2d_edge.model.s2d import S2D
from s2d_edge.train.loop import learner
from s2d_edge.train.loop.learner import Learner
from s2d_edge.train.loop.loop import StageTraining
from s2d_edge.train.plan.settings import StageSettings
from s2d_edge.train.processes import Processes
from s2d_edge.train.record.progress import load_snapshot
from tests.models import CAUSAL, random_model
from tests.train.tiny import IMAGE, job, noisy_clips

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

_TOO_LARGE = 2.0**20
SETTINGS = StageSettings(epochs=4, batch_clips=4, lr=1e-3, warmup_epochs=1, accumulate=2)


def _mixed(name: str) -> Precision:
    if name == "bf16-mixed":
        return learner._Mixed("bf16-mixed", "cpu")
    return learner._Mixed("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=_TOO_LARGE))


@pytest.mark.parametrize("name", ["bf16-mixed", "16-mixed"])
def test_a_training_in_mixed_precision_runs_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(learner, "_choose_precision", lambda device, amp: _mixed(name))
    work = job(tmp_path / "run", SETTINGS, noisy_clips(8), noisy_clips(4))
    begin = work.model.head.weight.detach().clone()
    training = StageTraining(work)
    training.run()
    assert not torch.equal(work.model.head.weight, begin)
    assert work.model.head.weight.dtype == torch.float32
    snapshot = load_snapshot(tmp_path / "run")
    if name == "16-mixed":  # so large a scale overflows: those steps were left out, and it was lowered
        assert snapshot.scaler["scale"] < _TOO_LARGE
    else:
        assert snapshot.scaler == {}
    again = StageTraining(work)
    again.restore(snapshot)
    assert again._snapshot().scaler == snapshot.scaler


def test_pictures_reach_the_model_unrounded_and_logits_leave_it_in_fp32(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(learner, "_choose_precision", lambda device, amp: _mixed("bf16-mixed"))
    work = job(tmp_path, SETTINGS, noisy_clips(1), noisy_clips(1))
    seen: list[torch.Tensor] = []
    normalise = work.model.normalise

    def watch(clip: torch.Tensor) -> torch.Tensor:
        seen.append(clip)
        return normalise(clip)

    monkeypatch.setattr(work.model, "normalise", watch)
    clip = torch.full((1, 1, IMAGE.vit.image_size, IMAGE.vit.image_size, 3), 200.3)
    features, logits = Learner(work.model, SETTINGS, Processes("cpu"), amp=True).forward(clip, None)
    assert torch.equal(seen[0], clip)
    assert features.dtype == logits.dtype == torch.float32
    exact = work.model(clip)
    assert not torch.equal(logits, exact)  # it was computed in bfloat16
    torch.testing.assert_close(logits, exact, atol=0.05, rtol=0)


@pytest.mark.parametrize("name", [None, "bf16-mixed"])
def test_a_causal_model_learns_from_the_true_ages_of_frames(
    monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    if name is not None:
        monkeypatch.setattr(learner, "_choose_precision", lambda device, amp: _mixed("bf16-mixed"))
    model = random_model(CAUSAL).train()
    size = CAUSAL.vit.image_size
    clip = torch.randint(0, 256, (2, CAUSAL.frames, size, size, 3)).float()
    numbers = torch.arange(CAUSAL.frames, dtype=torch.float64) * torch.tensor([[1.0], [1.5]])
    training = Learner(model, SETTINGS, Processes("cpu"), amp=name is not None)
    _, plain = training.forward(clip, None)
    features, logits = training.forward(clip, None, numbers)
    assert features.dtype == logits.dtype == torch.float32
    torch.testing.assert_close(logits[0], plain[0], atol=0.05 if name else 1e-4, rtol=0)
    assert not torch.allclose(logits[1], plain[1], atol=1e-4)
    training.backward(logits.square().sum())
    gradients = [weight.grad for key, weight in model.named_parameters() if key.endswith("age_bias")]
    assert all(grad is not None and grad.isfinite().all() and grad.any() for grad in gradients)


@pytest.mark.parametrize(
    ("requested", "able", "precision"), [(0, 1, "32-true"), (1, 0, "32-true"), (1, 1, "bf16-mixed")]
)
def test_a_cpu_computes_in_bfloat16_only_on_request_and_if_able(
    monkeypatch: pytest.MonkeyPatch, requested: int, able: int, precision: str
) -> None:
    monkeypatch.setattr(learner, "multiplies_bfloat16", lambda: bool(able))
    assert learner._choose_precision(torch.device("cpu"), bool(requested)).precision == precision


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_luma_of_grey_models_is_computed_in_fp32(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = S2D(replace(IMAGE, grey=True)).eval()
    pictures = torch.randint(256, (2, 32, 32, 3), dtype=torch.uint8)
    with torch.inference_mode():
        wanted = model.normalise_pictures(pictures)
        with torch.autocast("cpu", dtype=dtype):
            found = model.normalise_pictures(pictures)
    assert found.dtype == torch.float32
    assert torch.equal(found, wanted)
    exact = pictures.double() @ torch.tensor(LUMA, dtype=torch.float64)
    levels = found[:, 0].double() * PIXEL_STD[0] + PIXEL_MEAN[0]
    assert (levels - exact).abs().max() < 1e-3
