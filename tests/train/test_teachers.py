"""Teachers: one or several, of any size; each sees a view of a picture once, and damage is never trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.contracts.model_config import PRESETS, S2DConfig
from s2d_edge.contracts.provenance import sentences
from s2d_edge.contracts.runs import read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, TrainingError
from s2d_edge.data.preparing.prepare import PreparedClips, prepare
from s2d_edge.model.s2d import S2D
from s2d_edge.train.command import train
from s2d_edge.train.loop.teacher import Lessons, Teacher, require_fitting
from s2d_edge.train.loop.teaching import taught_views
from s2d_edge.train.plan.settings import AugmentSettings, StageSettings
from s2d_edge.train.supply import supply
from s2d_edge.train.supply.feed import Batch, Feed
from s2d_edge.train.supply.kept_logits import KEY_BYTES, KeptLogits
from tests.models import with_vit, write_random_run
from tests.train.tiny import (
    CLASSES,
    IMAGE,
    SIZE,
    VIDEO,
    alone,
    clips,
    noisy_clips,
    stopped_after,
    write_landmark,
)
from tests.train.tiny import feed as make_feed

LABELS = ("a", "b", "c")
# Every draw that a view has, without mixing.
VARIED = AugmentSettings(crop=0.7)
SETTINGS = StageSettings(batch_clips=3, distill_views=2, augment=VARIED)


class Warned(Console):
    """Remembers its warnings."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.warned: list[str] = []

    def warn(self, text: str) -> None:
        self.warned.append(text)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache for this test alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of pictures shown to teachers, in the order of their batches."""
    counts: list[int] = []
    logits = Teacher.logits

    def counting(self: Teacher, clip: Tensor, *rest: Any) -> Tensor:
        counts.append(len(clip))
        return logits(self, clip, *rest)

    monkeypatch.setattr(Teacher, "logits", counting)
    return counts


def _teacher(config: S2DConfig = IMAGE, seed: int = 0, name: str = "teacher") -> Teacher:
    if not Path(name).exists():
        write_random_run(Path(name), config, seed=seed)
    return Teacher(Path(name), S2D(IMAGE), LABELS, torch.device("cpu"))


def _feed(prepared: PreparedClips, *, video: bool = False) -> Feed:
    return make_feed(prepared, single_frames=not video)


def _taught(
    feed: Feed, *teachers: Teacher, settings: StageSettings = SETTINGS, console: Console | None = None
) -> Feed:
    shown = [(teacher, feed) for teacher in teachers]
    return replace(feed, taught=taught_views(shown, feed, settings, 7, alone(console=console)))


def _batch(feed: Feed, augment: AugmentSettings = VARIED, seed: int = 0) -> Batch:
    return feed.training_batch(np.arange(len(feed.clips)), augment, torch.Generator().manual_seed(seed))


def _none(_: Feed) -> Batch:
    raise AssertionError("kept logits need no second feed")


@pytest.mark.slow(seconds=4)
@pytest.mark.parametrize("video", [False, True])
def test_kept_logits_are_those_of_the_very_pictures_trained_on(video: bool) -> None:
    """Several teachers, in the order given; each view is drawn again exactly, batch after batch."""
    configs = (VIDEO, replace(VIDEO, prompt_width=8)) if video else (IMAGE, with_vit(IMAGE, depth=1))
    teachers = [_teacher(config, k, f"teacher-{k}") for k, config in enumerate(configs)]
    augment = replace(VARIED, randaugment_ops=2 if video else 0)
    settings = replace(SETTINGS, augment=augment)
    feed = _taught(_feed(noisy_clips(5), video=video), *teachers, settings=settings)
    shown = set()
    for seed in range(3):
        batch = _batch(feed, augment, seed=seed)
        assert batch.taught is not None
        assert batch.taught.shape == (5, 2, CLASSES)
        for k, teacher in enumerate(teachers):
            assert torch.allclose(batch.taught[:, k], teacher.logits(batch.clip, None, None), atol=2e-3)
        shown |= {clip.numpy().tobytes() for clip in batch.clip}
    assert 5 < len(shown) <= 10  # two views of each clip
    generator = torch.Generator().manual_seed(0)
    part = feed.training_batch(np.arange(5), augment, generator, np.array([3, 4]))
    whole = _batch(feed, augment)
    assert torch.equal(part.clip, whole.clip[3:])
    assert part.taught is not None
    assert whole.taught is not None
    assert torch.equal(part.taught, whole.taught[3:])


@pytest.mark.slow(seconds=3)
def test_a_view_is_seen_once_and_a_change_is_seen_again(seen: list[int]) -> None:
    prepared, teacher = noisy_clips(5), _teacher()
    first = _taught(_feed(prepared), teacher)
    assert sum(seen) == 10
    again = _taught(_feed(prepared), teacher)
    assert sum(seen) == 10
    assert first.taught is not None
    assert again.taught is not None
    assert torch.equal(first.taught.logits, again.taught.logits)

    def further(change: Callable[[], Any]) -> int:
        before = sum(seen)
        change()
        return sum(seen) - before

    more = replace(SETTINGS, distill_views=3)
    assert further(lambda: _taught(_feed(prepared), teacher, settings=more)) == 5
    mixed = replace(SETTINGS, augment=replace(VARIED, mixup=0.8))  # of batches, not of views
    assert further(lambda: _taught(_feed(prepared), teacher, settings=mixed)) == 0
    other = replace(SETTINGS, augment=replace(VARIED, flip=0.1))
    assert further(lambda: _taught(_feed(prepared), teacher, settings=other)) == 10
    assert further(lambda: _taught(_feed(prepared), _teacher(seed=1, name="other"))) == 10
    frames = prepared.frames.copy()
    frames[0, 0, 0, 0] ^= 1
    assert further(lambda: _taught(_feed(replace(prepared, frames=frames)), teacher)) == 2  # one clip's
    moved = replace(prepared, names=tuple(f"elsewhere/{name}" for name in prepared.names))
    assert further(lambda: _taught(_feed(moved), teacher)) == 0


@pytest.mark.parametrize("kind", ["cut", "flipped", "emptied", "of another kind", "with other classes"])
def test_a_damaged_file_is_named_and_its_logits_are_computed_again(
    cache: Path, seen: list[int], kind: str
) -> None:
    feed, teacher = _feed(noisy_clips(3)), _teacher()
    whole = _taught(feed, teacher).taught
    (file,) = (cache / "teachers").iterdir()
    content = bytearray(file.read_bytes())
    if kind == "cut":
        file.write_bytes(content[:-5])
    elif kind == "flipped":
        content[-3] ^= 4  # a bit of a logit or a key: still a file of that kind
        file.write_bytes(content)
    elif kind == "emptied":
        file.write_bytes(b"")
    elif kind == "of another kind":
        file.write_bytes(Path("teacher/weights.safetensors").read_bytes())
    else:
        file.unlink()
        table = KeptLogits(file, CLASSES + 1, Console(quiet=True))
        table.add([b"k" * KEY_BYTES], torch.zeros(1, CLASSES + 1))
        table.save()
    before, console = sum(seen), Warned()
    again = _taught(feed, teacher, console=console).taught
    assert sum(seen) - before == 6
    assert len(console.warned) == 1
    assert file.name in console.warned[0]
    assert whole is not None
    assert again is not None
    assert torch.equal(again.logits, whole.logits)
    _taught(feed, teacher, console=console)
    assert len(console.warned) == 1  # it was written anew


def test_what_was_computed_before_an_interruption_is_kept(
    seen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, teacher = _feed(noisy_clips(6)), _teacher()
    counting = Teacher.logits

    def interrupted(self: Teacher, *given: Any) -> Tensor:
        if len(seen) == 2:
            raise KeyboardInterrupt
        return counting(self, *given)

    monkeypatch.setattr(Teacher, "logits", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _taught(feed, teacher)
    monkeypatch.setattr(Teacher, "logits", counting)
    _taught(feed, teacher)
    assert sum(seen) == 12


def test_logits_that_are_not_finite_are_refused_with_the_teacher_and_the_clip() -> None:
    teacher = _teacher()
    with torch.no_grad():
        teacher._model.head.bias.fill_(7e4)  # beyond half precision
    with pytest.raises(TrainingError, match=r"teacher.*clip-0"):
        _taught(_feed(noisy_clips(2)), teacher)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_loss_is_the_divergence_from_the_mean_of_softened_probabilities(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, CLASSES, generator=generator)
    taught = 3 * torch.randn(4, 2, CLASSES, generator=generator)
    batch = replace(_batch(_feed(noisy_clips(4))), taught=taught)
    followed = torch.softmax(taught / temperature, dim=2).mean(dim=1)
    student = torch.softmax(logits / temperature, dim=1)
    wanted = temperature**2 * (followed * (followed / student).log()).sum(dim=1)
    assert torch.allclose(Lessons().losses(logits, batch, _none, temperature), wanted, atol=1e-5)


def test_a_mixed_clip_follows_the_teachers_of_both_by_their_shares() -> None:
    feed = _taught(_feed(noisy_clips(5)), _teacher())
    batch = _batch(feed, replace(VARIED, mixup=0.8))
    assert batch.taught is not None
    assert batch.blend is not None
    assert batch.blend.taught is not None
    share = batch.blend.share[:, None]
    own, other = (torch.softmax(each[:, 0], dim=1) for each in (batch.taught, batch.blend.taught))
    followed = share * own + (1 - share) * other
    logits = torch.zeros(5, CLASSES)
    wanted = (followed * (followed * CLASSES).log()).sum(dim=1)
    assert torch.allclose(Lessons().losses(logits, batch, _none, 1.0), wanted, atol=1e-5)


def test_teachers_at_every_step_see_the_students_views_at_their_own_size() -> None:
    """Geometry does not depend on the size: a small and a large picture of one thing stay alike."""
    small = np.zeros((4, 1, SIZE, SIZE, 3), dtype=np.uint8)
    rng = np.random.default_rng(0)
    for clip in small:
        clip[0, 4:20, 6:18] = rng.integers(60, 255, 3)
    large = small.repeat(2, axis=2).repeat(2, axis=3)
    augment = AugmentSettings(brightness=0, contrast=0, saturation=0, erase=0.5)
    student, own = _feed(clips(small, [0] * 4)), _feed(clips(large, [0] * 4))
    teacher = _teacher(with_vit(IMAGE, image_size=2 * SIZE), name="large")

    def same_view(feed: Feed) -> Batch:
        return _batch(feed, augment)

    shrunk = F.avg_pool2d(same_view(own).clip[:, 0].permute(0, 3, 1, 2), 2)
    pictures = same_view(student).clip[:, 0].permute(0, 3, 1, 2)
    assert (shrunk - pictures).abs().mean() < 4
    logits = torch.zeros(4, CLASSES)
    loss = Lessons(teachers=[(teacher, own)]).losses(logits, same_view(student), same_view, 1.0)
    predicted = torch.softmax(teacher.logits(same_view(own).clip, None, None), dim=1)
    assert torch.allclose(loss, (predicted * (predicted * CLASSES).log()).sum(dim=1), atol=1e-5)


@pytest.mark.parametrize(
    ("stages", "spec", "labels", "message"),
    [
        (("video",), ClipSpec(frames=4, fps=4.0, size=SIZE), LABELS, "image"),
        (("image",), ClipSpec(frames=4, fps=4.0, size=SIZE), ("a", "z"), "'z'"),
        (("image", "video"), ClipSpec(frames=3, fps=4.0, size=SIZE), LABELS, "3 frames"),
        (("image", "video"), ClipSpec(frames=4, fps=5.0, size=SIZE), LABELS, "5 per second"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(
    stages: Any, spec: ClipSpec, labels: tuple[str, ...], message: str
) -> None:
    write_random_run(Path("image"), IMAGE)
    write_random_run(Path("video"), VIDEO)
    paths = ["image"] if stages[0] == stages[-1] else ["image", "video"]
    with pytest.raises(ConfigError, match=message):
        require_fitting(paths, stages, spec, labels)


def test_a_teacher_may_know_more_labels_and_be_of_another_size() -> None:
    write_random_run(Path("more"), with_vit(replace(IMAGE, classes=5), image_size=64))
    require_fitting(["more"], ("image",), ClipSpec(frames=4, fps=9.0, size=SIZE), ("c", "a"))
    teacher = Teacher(Path("more"), S2D(IMAGE), ("c", "a"), torch.device("cpu"))
    assert teacher.in_students_order(torch.arange(5.0)[None]).tolist() == [[2.0, 0.0]]


@pytest.mark.slow(seconds=4)
def test_a_command_with_teachers_of_both_stages_and_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: list[int]
) -> None:
    """Image runs teach the image stage, video runs the video stage; an interrupted training is resumed."""
    monkeypatch.setitem(PRESETS, "demo", VIDEO)
    # Faces are not searched, which takes longest and is not what is tested.
    monkeypatch.setattr(
        supply, "prepare", lambda clips, spec, crop, *rest, **how: prepare(clips, spec, None, *rest, **how)
    )
    rng = np.random.default_rng(0)
    rows = ["path,label,subject"]
    for k in range(9):
        cv2.imwrite(str(tmp_path / f"{k}.png"), rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
        rows.append(f"{k}.png,{LABELS[k % 3]},p{k // 3}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    write_random_run(Path("one"), with_vit(IMAGE, image_size=64))
    write_random_run(Path("two"), with_vit(IMAGE, depth=1))
    write_random_run(Path("moving"), replace(VIDEO, prompt_width=8))
    given: dict[str, Any] = {
        "data": str(tmp_path / "labels.csv"),
        "landmark": write_landmark(tmp_path / "landmark.safetensors"),
        "temporal": "causal",
        "fps": 4.0,
        "console": Console(quiet=True),
    }
    fast = ("workers=1", "image.batch_clips=3", "video.batch_clips=3", "image.epochs=2", "video.epochs=1")
    teachers = [Path("one"), Path("two"), Path("moving")]
    whole = train(**given, changes=fast, teacher=teachers, out=Path("whole"))
    clips_trained = read_run(whole[0]).made_from["data"]["train"]["used"]
    assert sum(seen) == 3 * 4 * clips_trained  # four views each, whatever the epochs
    with stopped_after(2):
        train(**given, changes=fast, teacher=teachers, out=Path("parted"))
    parted = train(resume=Path("parted-image"), console=Console(quiet=True))
    assert sum(seen) == 3 * 4 * clips_trained
    for ours, theirs in zip(parted, whole, strict=True):
        assert read_run(ours).weights_sha256 == read_run(theirs).weights_sha256
    made = [read_run(run).made_from for run in whole]
    assert [[each["name"] for each in one["teachers"]] for one in made] == [["one", "two"], ["moving"]]
    assert [one["teacher"] and one["teacher"]["name"] for one in made] == [None, "moving"]
    said = " ".join(sentences(made[0]))
    assert "teacher one" in said
    assert "teacher two" in said
    assert made[0]["command"].count("--teacher") == 3
    before = sum(seen)
    live = (*fast, "image.distill_views=0")
    train(**(given | {"temporal": None}), changes=live, teacher=teachers[:2], stage="image")
    assert sum(seen) - before == 2 * 2 * clips_trained  # at every step of two epochs
