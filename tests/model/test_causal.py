"""Causal models: the logits at a frame depend on that frame and on a bounded number before it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from s2d_edge.contracts.model_config import TemporalConfig
from s2d_edge.core.errors import CheckpointError, ConfigError
from s2d_edge.model.initialise import MADE_CAUSAL, initialise
from s2d_edge.model.s2d import S2D
from s2d_edge.model.temporal import TemporalAdapter, ages_of
from tests.models import CAUSAL, TINY, random_model, write_random_run

T = CAUSAL.frames


def _frames(count: int, seed: int = 0) -> torch.Tensor:
    size = CAUSAL.vit.image_size
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (1, count, size, size, 3), dtype=torch.uint8, generator=generator)


def _logits(model: S2D, frames: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model.stream(frames)[0]


def test_ages_are_rounded_once_and_two_frames_are_never_of_one_time() -> None:
    numbers = torch.tensor([[0.0, 1.0, 2.0], [0.0, 4 / 3, 8 / 3], [5.0, 5.2, 9.0]], dtype=torch.float64)
    assert ages_of(numbers).tolist() == [
        [[0, -1, -2], [1, 0, -1], [2, 1, 0]],
        [[0, -1, -3], [1, 0, -1], [3, 1, 0]],
        [[0, -1, -4], [1, 0, -4], [4, 4, 0]],
    ]


def test_numbers_a_period_apart_change_nothing_and_each_clip_has_its_own() -> None:
    model = random_model(CAUSAL)
    clips = torch.cat([_frames(T), 255 - _frames(T)])
    even = torch.arange(T, dtype=torch.float64).expand(2, T)
    mixed = even * torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    with torch.inference_mode():
        plain, numbered = model(clips), model(clips, numbers=even + 7)
        apart = model(clips, numbers=mixed)
        alone = model(clips[1:], numbers=mixed[1:])
    assert torch.allclose(plain, numbered, atol=1e-5)
    assert torch.allclose(apart, torch.cat([plain[:1], alone]), atol=1e-5)
    assert (apart[1] - plain[1]).abs().max() > 1e-4


def test_later_frames_do_not_change_the_logits() -> None:
    model = random_model(CAUSAL)
    frames = _frames(3 * T)
    changed = frames.clone()
    changed[:, 2 * T :] = 255 - changed[:, 2 * T :]
    before, after = _logits(model, frames), _logits(model, changed)
    assert torch.allclose(before[: 2 * T], after[: 2 * T], atol=1e-5)
    assert (before[2 * T] - after[2 * T]).abs().max() > 1e-3


def test_the_order_of_earlier_frames_changes_the_logits() -> None:
    model = random_model(CAUSAL)
    frames = _frames(T)
    swapped = frames[:, [1, 0, *range(2, T)]]
    assert (_logits(model, frames)[-1] - _logits(model, swapped)[-1]).abs().max() > 1e-4


def test_adapters_started_from_contrast_respond_to_changes_with_a_sign() -> None:
    torch.manual_seed(0)
    adapter = S2D(CAUSAL).adapters[0]
    assert isinstance(adapter, TemporalAdapter)
    adapter.start_contrast()
    still, other = torch.randn(2, 1, 1, CAUSAL.vit.width)  # a patch token each
    seen: list[torch.Tensor] = []
    adapter.time_attn.register_forward_hook(lambda *given: seen.append(given[2][0, -1]))
    with torch.inference_mode():
        for tokens in ([still] * T, [still] * (T - 1) + [other], [other] * (T - 1) + [still]):
            adapter(torch.cat(tokens), T)
    still_out, came, went = (each - adapter.time_attn.proj.bias for each in seen)
    assert still_out.abs().max() < 1e-5
    assert came.abs().max() > 1e-2
    assert torch.nn.functional.cosine_similarity(came, went, dim=0) < -0.9


def test_frames_beyond_the_reach_do_not_change_the_logits() -> None:
    """Each block reaches T-1 frames further back, and the head T-1 more."""
    model = random_model(CAUSAL)
    reach = (CAUSAL.vit.depth + 1) * (T - 1)
    frames = _frames(reach + 2)
    changed = frames.clone()
    changed[:, 0] = 255 - changed[:, 0]
    before, after = _logits(model, frames), _logits(model, changed)
    assert torch.allclose(before[-1], after[-1], atol=1e-5)
    assert (before[reach] - after[reach]).abs().max() > 0


def test_a_clip_is_a_stream_of_t_frames() -> None:
    model = random_model(CAUSAL)
    frames = _frames(T)
    with torch.inference_mode():
        assert torch.allclose(model(frames), _logits(model, frames)[-1:], atol=1e-5)


def test_only_a_causal_model_streams_and_takes_any_length() -> None:
    model = random_model(TINY)
    with pytest.raises(ConfigError, match="--temporal causal"):
        model.stream(_frames(T))
    with pytest.raises(ConfigError, match="clips"):
        model(_frames(T + 1))
    with pytest.raises(ConfigError, match=r"temporal\.mode='sideways'"):
        TemporalConfig(mode="sideways")  # type: ignore[arg-type]


def test_a_bidirectional_run_starts_a_causal_model_but_not_the_other_way(tmp_path: Path) -> None:
    source = write_random_run(tmp_path / "both")
    causal = S2D(CAUSAL)
    notes = initialise(causal, tmp_path / "both")
    assert MADE_CAUSAL in notes
    carried = "adapters.1.time_down.weight"
    assert torch.equal(causal.state_dict()[carried], source.state_dict()[carried])
    assert source.temporal_embedding is not None
    moved = causal.vit.pos_embed - source.vit.pos_embed
    assert torch.allclose(moved, source.temporal_embedding.mean(dim=1).expand_as(moved), atol=1e-6)

    given = write_random_run(tmp_path / "causal", CAUSAL, seed=1)
    initialise(causal, tmp_path / "causal")
    assert torch.equal(causal.state_dict()["adapters.0.age_bias"], given.state_dict()["adapters.0.age_bias"])
    with pytest.raises(CheckpointError, match=r"--temporal causal"):
        initialise(S2D(TINY), tmp_path / "causal")
