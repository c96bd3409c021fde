"""Batches: the generator alone decides what they are, clips are treated as one, and landmark maps follow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from s2d_edge.data.augment.transforms import GREY
from s2d_edge.train.plan.settings import AugmentSettings
from s2d_edge.train.supply import views
from s2d_edge.train.supply.feed import Batch, Feed
from s2d_edge.train.supply.landmark_maps import LandmarkMaps
from tests.train.tiny import FRAMES, SIZE, STILL, clips, noisy_clips
from tests.train.tiny import feed as make_feed

EVERYTHING = AugmentSettings(randaugment_ops=4, crop=0.7, mixup=0.8, cutmix=1.0)
OPERATIONS = replace(STILL, randaugment_ops=4)


def _batch(feed: Feed, augment: AugmentSettings, seed: int = 0) -> Batch:
    chosen = np.arange(len(feed.clips))
    return feed.training_batch(chosen, augment, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("single_frames", [False, True])
def test_the_same_generator_gives_the_same_batch(single_frames: bool) -> None:
    feed = make_feed(noisy_clips(6), single_frames=single_frames)
    first = _batch(feed, EVERYTHING).clip
    torch.manual_seed(99)  # no draw may come from elsewhere
    assert torch.equal(_batch(feed, EVERYTHING).clip, first)
    assert not torch.equal(_batch(feed, EVERYTHING, seed=1).clip, first)


def test_nothing_changes_where_all_is_off() -> None:
    feed = make_feed(noisy_clips(4))
    batch = _batch(feed, STILL)
    assert torch.allclose(
        batch.clip, torch.from_numpy(feed.clips.frames[feed.clips.windows]).float(), atol=1e-2
    )


def test_frames_that_are_no_period_apart_carry_their_places_on_the_grid() -> None:
    """Each clip its own, in whichever part of a batch, and in validation; the image stage has none."""
    prepared = noisy_clips(6)
    assert make_feed(prepared).training_batch(np.arange(6), STILL, torch.Generator()).numbers is None
    numbers = np.arange(FRAMES) * np.linspace(1, 2, 6)[:, None]  # (6, T)
    feed = make_feed(replace(prepared, numbers=numbers))
    chosen = np.array([4, 1, 5])
    whole = feed.training_batch(chosen, STILL, torch.Generator())
    part = feed.training_batch(chosen, STILL, torch.Generator(), np.array([2]))
    for batch, clips_of in ((whole, chosen), (part, chosen[2:])):
        assert batch.numbers is not None
        assert batch.numbers.tolist() == numbers[clips_of].tolist()
    validated = [batch.to(torch.device("cpu")) for batch in feed.validation_batches(4) if batch is not None]
    found = [batch.numbers for batch in validated if batch.numbers is not None]
    assert torch.cat(found).tolist() == numbers.tolist()
    image = replace(feed, single_frames=True).training_batch(chosen, STILL, torch.Generator())
    assert image.numbers is None


def test_randaugment_treats_all_frames_equally_and_every_clip_by_itself() -> None:
    picture = np.random.default_rng(5).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    same = np.broadcast_to(picture, (12, FRAMES, SIZE, SIZE, 3))
    clip = _batch(make_feed(clips(same, [0] * 12)), OPERATIONS).clip
    assert clip.dtype == torch.float32
    assert clip.min() >= 0
    assert clip.max() <= 255
    assert torch.equal(clip, clip[:, :1].expand_as(clip))
    assert len({one.numpy().tobytes() for one in clip[:, 0]}) > 9  # few of 12 had nothing to do


def test_kept_landmark_maps_move_with_the_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = noisy_clips(12)
    seen = torch.from_numpy(prepared.frames).permute(0, 3, 1, 2)  # (F, 3, S, S)
    # The pictures as their own landmark maps: what the one looks like, the other must.
    maps = LandmarkMaps(values=torch.stack((seen, seen.flip(3)), dim=1).half())
    monkeypatch.setattr(views, "recolour", lambda clip, _: clip)  # kept maps do not see colours
    feed = make_feed(prepared, maps=maps)
    batch = _batch(feed, replace(OPERATIONS, flip=0.5, rotate_deg=8, crop=0.7))
    assert batch.maps is not None
    pictures = batch.clip.permute(0, 1, 4, 2, 3).flatten(0, 1)  # (B·T, 3, S, S)
    filled = (pictures == GREY).all(dim=1, keepdim=True)
    assert 0.02 < filled.float().mean() < 0.5
    assert torch.allclose(torch.where(filled, 0.0, pictures), batch.maps, atol=1e-2)
