"""People's votes as targets: the loss against them, what trains on them, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from s2d_edge.contracts.model_config import PRESETS
from s2d_edge.contracts.runs import read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, DataError
from s2d_edge.data.augment.mixing import draw_mixture
from s2d_edge.data.check.training import open_training_data
from s2d_edge.data.preparing.prepare import prepare
from s2d_edge.data.reading.dataset import Dataset, Sample, vote_table
from s2d_edge.train.command import train
from s2d_edge.train.plan.settings import SdlSettings, StageSettings, TrainSettings
from s2d_edge.train.supply import supply
from s2d_edge.train.supply.account import listing_sha256
from s2d_edge.train.supply.feed import Feed
from s2d_edge.train.supply.target import cross_entropy, hard_target
from s2d_edge.train.supply.votes import with_targets
from tests.train.plans import make_plan
from tests.train.tiny import STILL, VIDEO, noisy_clips, stopped_after, write_landmark

QUIET = Console(quiet=True)
VOTES = np.array([[0.5, 0.3, 0.2], [0, 0, 0], [0, 0, 1], [0.1, 0.9, 0]], dtype=np.float32)
LABELS = np.array([0, 1, 2, 1])
ALL = np.ones(3, dtype=np.bool_)


def test_the_loss_is_against_the_votes_and_against_labels_where_there_are_none() -> None:
    logits = torch.randn((4, 3), generator=torch.Generator().manual_seed(0))
    target = hard_target(LABELS, ALL).with_votes(VOTES)
    losses = cross_entropy(logits, target, 0.1)
    votes, labels = torch.from_numpy(VOTES), torch.from_numpy(LABELS)
    wanted = F.cross_entropy(logits, votes, reduction="none")  # not smoothed
    wanted[1] = F.cross_entropy(logits[1:2], labels[1:2], label_smoothing=0.1)
    torch.testing.assert_close(losses, wanted)
    # The least loss is the votes' entropy, where the probabilities are the votes.
    exact = cross_entropy(torch.log(votes.clamp(min=1e-9)), target, 0.1)
    entropy = -(votes * torch.log(votes.clamp(min=1e-9))).sum(dim=1)
    torch.testing.assert_close(exact[[0, 2, 3]], entropy[[0, 2, 3]])


def test_votes_and_labels_that_a_set_lacks_go_together() -> None:
    """A clip of a set without class 1: its votes are for the others, and class 1's logit does not matter."""
    known = np.array([[True, False, True]])
    target = hard_target(np.array([0]), known).with_votes(np.array([[0.75, 0, 0.25]], dtype=np.float32))
    logits = torch.tensor([[1.0, 5.0, -1.0]])
    wanted = F.cross_entropy(logits[:, [0, 2]], torch.tensor([[0.75, 0.25]]), reduction="none")
    torch.testing.assert_close(cross_entropy(logits, target, 0.1), wanted)
    other = torch.tensor([[1.0, -50.0, -1.0]])
    torch.testing.assert_close(cross_entropy(other, target, 0.1), wanted)


def test_a_batch_carries_the_votes_of_its_clips_and_of_their_partners() -> None:
    prepared = noisy_clips(4)
    target = hard_target(prepared.labels, ALL).with_votes(VOTES)
    feed = Feed(clips=prepared, target=target, single_frames=True, maps=None)
    chosen, mixup = np.array([3, 0, 2]), replace(STILL, mixup=0.8)
    batch = feed.training_batch(chosen, mixup, torch.Generator().manual_seed(3))
    mixture = draw_mixture(3, torch.Generator(), mixup=0.8, cutmix=0)
    assert mixture is not None
    assert batch.blend is not None
    assert torch.equal(batch.target.shares, torch.from_numpy(VOTES[chosen]))
    assert batch.target.voted.all()
    rows = {tuple(row) for row in batch.blend.target.shares.tolist()}
    assert rows == {tuple(row) for row in torch.from_numpy(VOTES[chosen]).tolist()}
    (validated,) = feed.validation_batches(4)
    assert validated is not None
    assert validated.target.voted.tolist() == [True, False, True, True]


def _dataset(*votes: tuple[float, ...] | None, undecided: int = 0) -> Dataset:
    samples = [
        Sample(path=Path(f"{k}.png"), label=k % 2, split="train", votes=each) for k, each in enumerate(votes)
    ]
    more = [
        Sample(path=Path(f"u{k}.png"), label=0, split="train", votes=(0.5, 0.5)) for k in range(undecided)
    ]
    return Dataset(name="d", root=Path(), labels=("a", "b"), samples=tuple(samples), undecided=tuple(more))


def _plan(*, undecided: bool = False, stages: Sequence[str] = ("image",), **image: Any) -> Any:
    settings = TrainSettings(undecided=undecided, image=StageSettings(**image))
    return make_plan(settings=settings, stages=tuple(stages))


def test_votes_are_kept_only_where_a_stage_takes_them() -> None:
    """A training on labels, as of older versions, has the listing it had before votes were read."""
    plain, voted = _dataset(None, None), _dataset((0.6, 0.4), None, undecided=2)
    assert with_targets(voted, _plan()) == plain
    assert listing_sha256(with_targets(voted, _plan())) == listing_sha256(plain)
    taken = with_targets(voted, _plan(targets="votes"))
    assert taken.samples == voted.samples
    assert not taken.undecided
    both = with_targets(voted, _plan(targets="votes", undecided=True))
    assert len(both.undecided) == 2
    assert len({listing_sha256(each) for each in (plain, taken, both)}) == 3
    changed = replace(voted, samples=(replace(voted.samples[0], votes=(0.5, 0.5)), voted.samples[1]))
    assert listing_sha256(with_targets(changed, _plan(targets="votes"))) != listing_sha256(taken)


def test_what_makes_no_sense_with_votes_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"image\.targets.*'d'"):
        with_targets(_dataset(None, None), _plan(targets="votes"))
    with pytest.raises(ConfigError, match="targets='both'"):
        StageSettings(targets="both")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"undecided.*image\.targets"):
        _plan(undecided=True)
    with pytest.raises(ConfigError, match=r"undecided.*video\.targets"):
        _plan(undecided=True, targets="votes", stages=("image", "video"))
    with pytest.raises(ConfigError, match=r"undecided.*image\.sdl"):
        _plan(undecided=True, targets="votes", sdl=SdlSettings(weight=1.0))


HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


@pytest.fixture
def ferplus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """FER+ of two splits, each with 4 neutral, 4 happy, 2 contemptuous and 2 undecided pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(PRESETS, "demo", VIDEO)
    monkeypatch.setattr(
        supply, "prepare", lambda clips, spec, crop, *rest, **how: prepare(clips, spec, None, *rest, **how)
    )
    kinds = (
        [(8, 1, 0, 0, 0, 0, 0, 1, 0, 0)] * 4
        + [(1, 7, 0, 0, 0, 0, 0, 0, 2, 0)] * 4
        + [(1, 0, 0, 0, 0, 0, 0, 9, 0, 0)] * 2
        + [(4, 4, 0, 0, 0, 0, 0, 2, 0, 0), (3, 5, 0, 0, 0, 0, 0, 2, 0, 0)]
    )
    rng = np.random.default_rng(0)
    root = tmp_path / "fer"
    rows: list[tuple[str | int, ...]] = []
    for usage, folder in (("Training", "FER2013Train"), ("PublicTest", "FER2013Valid")):
        (root / folder).mkdir(parents=True)
        for votes in kinds:
            name = f"fer{len(rows):07d}.png"
            picture = rng.integers(0, 256, (48, 48), dtype=np.uint8)
            assert cv2.imwrite(str(root / folder / name), picture)
            rows.append((usage, name, *votes))
    with (root / "fer2013new.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER.split(","), *rows])
    return root


@pytest.mark.slow(seconds=3)
def test_training_on_votes_and_on_some_of_the_labels(
    ferplus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = ("workers=1", "image.batch_clips=4", "image.epochs=1", "image.targets=votes")
    options: dict[str, Any] = {
        "stage": "image",
        "data": f"ferplus:{ferplus}",
        "landmark": write_landmark(Path("landmark.safetensors")),
        "changes": changes,
    }
    with pytest.raises(DataError, match=r"'fear'.*neutral"):  # no picture shows it
        train(**options, labels="happiness,fear", console=QUIET)
    with pytest.raises(DataError, match="surprise"):  # nor this
        train(**options, console=QUIET)
    capsys.readouterr()
    (run,) = train(**options, labels="happiness,neutral", console=Console())
    said = " ".join(capsys.readouterr().err.split())
    assert "4 clips of all splits are left out: contempt (4)" in said
    assert "8 of 8 training clips are trained towards people's votes" in said
    info = read_run(run)
    assert info.labels == ("happiness", "neutral")
    assert info.settings["settings"]["image"]["targets"] == "votes"
    assert info.made_from["data"]["train"]["of_each_label"] == {"happiness": 4, "neutral": 4}
    assert info.made_from["data"]["undecided"] == 0

    options["changes"] = (*changes, "undecided=true", "image.epochs=2")
    with stopped_after(2):
        train(**options, labels="happiness,neutral", out=Path("more"), console=QUIET)
    train(resume=Path("more"), console=QUIET)
    info = read_run(Path("more"))
    assert info.made_from["data"]["train"]["used"] == 10
    assert info.made_from["data"]["undecided"] == 2
    assert info.made_from["data"]["validation"]["used"] == 8, "a picture without a label scores nothing"
    assert json.loads(Path("more/run.json").read_text())["settings"]["settings"]["undecided"] is True


def test_a_models_votes_are_of_its_labels(ferplus: Path) -> None:
    """Votes for a class that is not trained are dropped, and the rest sums to 1 in the labels' order."""
    dataset = open_training_data([f"ferplus:{ferplus}"], QUIET, labels=["happiness", "neutral"])
    votes = {sample.votes for sample in dataset.samples}
    assert votes == {(1 / 9, 8 / 9), (7 / 8, 1 / 8)}
    assert {sample.votes for sample in dataset.undecided} == {(0.5, 0.5), (5 / 8, 3 / 8)}
    assert dataset.left_out_of("train") == {"contempt": 2}


def test_sets_with_votes_and_without_are_trained_on_together(ferplus: Path, tmp_path: Path) -> None:
    """Each clip towards what is known of it: its votes, or its label; among the labels that its set has."""
    photographs = tmp_path / "photographs"
    for k, label in enumerate(("awe", "awe", "happiness", "happiness")):
        path = photographs / "train" / label / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), np.full((48, 48), 60 * k, np.uint8))
    wanted = ["awe", "happiness", "neutral"]
    dataset = open_training_data([f"ferplus:{ferplus}", str(photographs)], QUIET, labels=wanted)
    samples = with_targets(dataset, _plan(targets="votes", undecided=True)).samples
    votes = vote_table(samples)
    assert votes is not None
    labels, sources = (np.array([getattr(each, name) for each in samples]) for name in ("label", "source"))
    target = hard_target(labels, dataset.known[sources]).with_votes(votes)
    assert target.voted.tolist() == (sources == 0).tolist()
    torch.testing.assert_close(target.shares.sum(dim=1), torch.ones(len(samples)))
    assert not target.shares[~target.known].any()
    assert target.known[sources == 0].tolist() == [[False, True, True]] * 16
    assert target.known[sources == 1].tolist() == [[True, True, False]] * 4
    assert cross_entropy(torch.randn(len(samples), 3), target, 0.1).isfinite().all()
