"""Several sets train one model: masked labels, draws by weight, scores of each, and one record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

import s2d_edge
from s2d_edge.contracts.model_config import PRESETS
from s2d_edge.contracts.provenance import sentences
from s2d_edge.contracts.runs import read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, DataError
from s2d_edge.data.check.training import open_training_data
from s2d_edge.data.preparing import clips as clips_module
from s2d_edge.data.reading.joined import open_sets
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.model.s2d import S2D
from s2d_edge.train.command import train
from s2d_edge.train.loop.anchors import EmotionAnchors
from s2d_edge.train.loop.order import epoch_order
from s2d_edge.train.loop.validate import validate
from s2d_edge.train.plan.plan import plan_from_record
from s2d_edge.train.plan.settings import SdlSettings
from s2d_edge.train.processes import Processes
from s2d_edge.train.supply.account import listing_sha256, require_same_listing
from s2d_edge.train.supply.feed import Feed
from s2d_edge.train.supply.sets import JoinedSets, joined_sets
from s2d_edge.train.supply.target import cross_entropy, hard_target
from tests.data.reading.test_joined import write_set
from tests.train.plans import make_plan
from tests.train.tiny import IMAGE, VIDEO, noisy_clips, stopped_after, write_landmark

QUIET = Console(quiet=True)
KNOWN = np.array([[True, True, True], [True, True, False]])  # the second set lacks the last label


def test_a_label_that_a_set_lacks_never_counts_against_its_clips() -> None:
    """The loss is that of the known labels' softmax, and no gradient reaches the others' logits."""
    logits = torch.randn((4, 3), generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels, sources = np.array([0, 2, 1, 0]), np.array([0, 0, 1, 1])
    losses = cross_entropy(logits, hard_target(labels, KNOWN[sources]), 0.1)
    of_all = F.cross_entropy(logits[:2], torch.tensor([0, 2]), label_smoothing=0.1, reduction="none")
    of_two = F.cross_entropy(logits[2:, :2], torch.tensor([1, 0]), label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(losses, torch.cat((of_all, of_two)))
    losses.sum().backward()
    assert logits.grad is not None
    assert logits.grad[2:, 2].tolist() == [0, 0]
    assert logits.grad[:2].all()
    assert logits.grad.isfinite().all()


def test_anchors_of_a_label_that_a_set_lacks_do_not_count_either() -> None:
    anchors = EmotionAnchors(3, 4, SdlSettings(queue=2, top_k=1))
    everything, lacking = torch.from_numpy(KNOWN[:1]), torch.from_numpy(KNOWN[1:])
    features, logits = torch.ones(1, 4), torch.tensor([[1.0, 0.0, 3.0]])
    anchors.remember(features, logits, torch.tensor([2]), everything)
    anchors.remember(features, logits, torch.tensor([0]), lacking)
    assert anchors.probabilities[0, -1, 2] == 0
    one, other = (
        anchors.losses(torch.tensor([[1.0, 0.0, value]]), features, lacking) for value in (3.0, -9.0)
    )
    torch.testing.assert_close(one, other)
    assert one > 0
    target = anchors.soft_targets(features)[:, :2]
    wanted = F.binary_cross_entropy_with_logits(torch.tensor([[1.0, 0.0]]), target / target.sum())
    torch.testing.assert_close(one[0], wanted)


LABELS = np.repeat([0, 1, 0, 1], [60, 20, 12, 8])  # of two sets: 80 clips, and 20
SOURCES = np.repeat([0, 1], [80, 20])


@pytest.mark.parametrize(
    ("weights", "balance", "drawn"),
    [
        ((1.0, 4.0), 0.0, [[30, 10], [24, 16]]),  # 80 clips against 20 that count four times: half each
        ((2.0, 8.0), 0.0, [[30, 10], [24, 16]]),  # only their proportion counts
        ((1.0, 4.0), 1.0, [[22, 15], [18, 25]]),  # both classes equally; within each as above
    ],
)
def test_sets_are_drawn_by_their_weights(
    weights: tuple[float, ...], balance: float, drawn: list[list[int]]
) -> None:
    sets = JoinedSets(names=("x", "y"), weights=weights)
    order = epoch_order(LABELS, sets.of_clips(SOURCES), seed=1, epoch=0, balance=balance, clips=80)
    counts = np.zeros((2, 2), dtype=np.int64)
    np.add.at(counts, (SOURCES[order], LABELS[order]), 1)
    assert np.abs(counts - drawn).max() <= 1  # of which remainders decide
    shares = sets.shares(SOURCES)
    assert shares == {"x": 0.5, "y": 0.5}


def test_equal_weights_draw_every_clip_once() -> None:
    weights = JoinedSets(names=("x", "y"), weights=(3.0, 3.0)).of_clips(SOURCES)
    order = epoch_order(LABELS, weights, seed=1, epoch=0)
    assert sorted(order) == list(range(100))
    assert np.array_equal(order, epoch_order(LABELS, np.ones(100), seed=1, epoch=0))


def test_each_set_has_its_validation_score_and_counts_as_it_is_drawn() -> None:
    """Clips of the second set are not predicted as the label that it lacks, however probable."""
    prepared = replace(noisy_clips(4), labels=np.array([2, 0, 0, 1]), sources=np.array([0, 0, 1, 1]))
    feed = Feed(
        clips=prepared,
        target=hard_target(prepared.labels, KNOWN[prepared.sources]),
        single_frames=True,
        maps=None,
    )
    model = S2D(IMAGE)
    logits = torch.tensor([1.0, 0.0, 5.0])
    model.classify = lambda features: logits.expand(len(features), -1)  # type: ignore[method-assign]
    score = validate(
        model,
        feed,
        Processes("cpu"),
        shares={"x": 0.25, "y": 0.75},
        batch_clips=3,
        after_batch=lambda: None,
    )
    assert (score.sets["x"].war, score.sets["y"].war) == (0.5, 0.5)
    assert score.confusion.tolist() == [[1, 0, 1], [1, 0, 0], [0, 0, 1]]
    y_loss = float(F.cross_entropy(logits[:2].expand(2, -1), torch.tensor([0, 1])))
    assert score.sets["y"].loss == pytest.approx(y_loss, rel=1e-5)
    assert score.loss == pytest.approx(0.25 * score.sets["x"].loss + 0.75 * y_loss, rel=1e-5)


def test_weights_are_one_for_all_sets_or_one_for_each(tmp_path: Path) -> None:
    sets = [write_set(tmp_path / name, [("1.png", "a", "train")]) for name in ("x", "y")]
    joined = open_sets(sets, QUIET)
    assert joined_sets(joined, (2.0,)).weights == (2.0, 2.0)
    assert joined_sets(joined, (1.0, 3.0)).weights == (1.0, 3.0)
    with pytest.raises(ConfigError, match=r"set_weights=\[1, 2, 3\].*x, y"):
        joined_sets(joined, (1, 2, 3))


def test_a_plan_of_one_set_reads_as_before_and_one_of_several_names_them_all() -> None:
    for data, record in ((("a.csv",), "a.csv"), (("a.csv", "b.csv"), ["a.csv", "b.csv"])):
        plan = make_plan(data=data)
        assert plan.as_record()["data"] == record
        assert plan_from_record(json.loads(json.dumps(plan.as_record())), Path("run")) == plan


def test_the_listing_of_every_set_is_part_of_what_resuming_checks(tmp_path: Path) -> None:
    rows = [("1.png", "a", "train"), ("2.png", "b", "train")]
    one, two = (write_set(tmp_path / name, rows) for name in ("x", "y"))
    joined = open_sets([one, two], QUIET)
    began = {
        "data": {
            "listing_sha256": listing_sha256(joined),
            "listed": joined.splits,
            "sets": [
                {"listing_sha256": listing_sha256(open_dataset(each, QUIET)), "listed": {"train": 2}}
                for each in (one, two)
            ],
        }
    }
    require_same_listing(joined, began)
    require_same_listing(joined.in_order_of(("b", "a")), began)
    write_set(tmp_path / "y", [*rows, ("3.png", "a", "train")])
    with pytest.raises(DataError, match=r"'y'.*train 2, now 3"):
        require_same_listing(open_sets([one, two], QUIET), began)
    with pytest.raises(DataError, match="began"):
        require_same_listing(open_sets([one], QUIET), began)


@pytest.mark.parametrize("labels", [None, ("neutral", "happiness", "sad")])
def test_a_training_finds_its_sets_again_by_its_labels(
    tmp_path: Path, labels: tuple[str, ...] | None
) -> None:
    """A resumed training opens them with the run's labels; other words and more labels do not matter."""
    rows = [
        [(f"{split}{k}.png", label, split) for split in ("train", "val") for k, label in enumerate(each)]
        for each in (("happy", "sad", "contempt"), ("sadness", "neutral"))
    ]
    data = [write_set(tmp_path / name, each) for name, each in zip("xy", rows, strict=True)]
    began = open_training_data(data, QUIET, labels=labels)
    again = open_sets(data, QUIET, began.labels)
    assert (again.labels, again.sources, again.samples) == (began.labels, began.sources, began.samples)
    assert listing_sha256(again) == listing_sha256(began)
    assert began.known.sum(axis=1).tolist() == ([3, 2] if labels is None else [2, 2])


def _pictures(folder: Path, labels: str, splits: tuple[str, ...], *, seed: int) -> Path:
    """A set of noisy pictures, two people for each label in each split; each set has people 0, 1, 2 …"""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    rows = ["path,label,subject,split"]
    for k, (split, label, person) in enumerate(
        (split, label, person) for split in splits for label in labels for person in range(2)
    ):
        cv2.imwrite(str(folder / f"{k}.png"), rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
        rows.append(f"{k}.png,{label},{splits.index(split)}-{person}{label},{split}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A set of labels a, b, c with all splits, and one of b, d without ``val``; no face is searched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(PRESETS, "demo", VIDEO)
    monkeypatch.setattr(clips_module.ClipLoader, "_finder", _Nobody())
    return [
        _pictures(tmp_path / "first", "abc", ("train", "val", "test"), seed=0),
        _pictures(tmp_path / "second", "bd", ("train", "test"), seed=1),
    ]


class _Nobody:
    """A face finder that finds none."""

    def find(self, picture: Any) -> None:
        return None


@pytest.mark.slow(seconds=10)
def test_two_sets_train_both_stages_resume_and_are_evaluated(sets: list[Path]) -> None:
    options: dict[str, Any] = {
        "data": list(map(str, sets)),
        "landmark": write_landmark(Path("landmark.safetensors")),
        "changes": ("workers=1", "image.batch_clips=4", "video.batch_clips=4", "set_weights=[1, 3]"),
        "epochs": 1,
    }
    with pytest.raises(ConfigError, match="set_weights"):
        train(**options | {"changes": ("set_weights=[1, 2, 3]",)}, console=QUIET)
    whole = train(**options, out=Path("whole"), console=QUIET)
    with stopped_after(2):
        train(**options, out=Path("parted"), console=QUIET)
    listing = sets[1] / "labels.csv"
    before = listing.read_text()
    listing.write_text(before.replace(",train", ",test", 1))
    with pytest.raises(DataError, match=r"'second'.*train 4, now 3"):
        train(resume=Path("parted-image"), console=QUIET)
    listing.write_text(before)
    parted = train(resume=Path("parted-image"), console=QUIET)
    for one, other in zip(whole, parted, strict=True):
        assert read_run(one).weights_sha256 == read_run(other).weights_sha256
    info = read_run(whole[1])
    assert info.labels == ("a", "b", "c", "d")
    assert info.origin["data"] == "first+second"
    assert info.settings["data"] == options["data"]
    made = info.made_from["data"]
    first, second = made["sets"]
    assert (first["labels"], second["labels"]) == (["a", "b", "c"], ["b", "d"])
    assert (first["carved"], second["carved"], made["carved"]) == (0, 2, 2)
    assert first["train"]["of_each_label"] == {"a": 2, "b": 2, "c": 2, "d": 0}
    assert second["train"]["used"] + second["validation"]["used"] == 4
    assert made["train"]["used"] == first["train"]["used"] + second["train"]["used"]
    for one, folder in zip((first, second), sets, strict=True):
        assert one["listing_sha256"] == listing_sha256(open_dataset(str(folder), QUIET))
    words = info.made_from["command"].split()
    assert words.count("--data") == 2
    said = " ".join(sentences(info.made_from))
    assert "'first'" in said
    assert "'second'" in said
    record = json.loads((whole[0] / "metrics.jsonl").read_text().splitlines()[-1])
    shares = {"first": 6 / 12, "second": 3 * 2 / 12}
    for figure in ("war", "uar", "loss"):
        wanted = sum(share * record["val_sets"][name][figure] for name, share in shares.items())
        assert record[f"val_{figure}"] == pytest.approx(wanted)
    result = s2d_edge.evaluate(whole[1], data=options["data"])
    assert (result["n"], result["left_out"]) == (10, {})
    assert {name: found["n"] for name, found in result["sets"].items()} == {"first": 6, "second": 4}
    # Another model lacks d, and the second set has only b of its labels.
    one_set = {"data": str(sets[0]), "changes": ("workers=1",)}
    (alone,) = train(**options | one_set, stage="image", console=QUIET)
    result = s2d_edge.evaluate(alone, data=options["data"])
    assert (result["n"], result["left_out"]) == (8, {"d": 2})
    assert result["sets"]["second"]["restricted"]["war"] == 1.0
