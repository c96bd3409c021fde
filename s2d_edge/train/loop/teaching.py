"""Let teachers see every view of the training clips once, and keep their logits for this and later trainings.

TinyViT (arXiv 2207.10666, section 3.1) keeps the logits of a large teacher together with how each picture was
augmented. Here a view is a seed, and all logits are kept, since expressions are few.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s2d_edge.core.caches import cache_folder
from s2d_edge.core.errors import DataError, TrainingError
from s2d_edge.train.context import Context
from s2d_edge.train.loop.teacher import Teacher
from s2d_edge.train.plan.settings import AugmentSettings, StageSettings
from s2d_edge.train.supply.feed import Feed
from s2d_edge.train.supply.kept_logits import KEY_BYTES, KeptLogits
from s2d_edge.train.supply.taught import Taught, clip_keys, view_seeds

# Part of the key of kept logits: raise it when the drawing of views or the pictures of them change.
_VIEWS_VERSION = 1
_SAVE_EVERY_S = 60.0


def taught_views(
    teachers: Sequence[tuple[Teacher, Feed]],
    student: Feed,
    settings: StageSettings,
    seed: int,
    context: Context,
) -> Taught:
    """Draw ``settings.distill_views`` views of each training clip, and look up or compute their logits.

    Args:
        teachers: each with the training clips as it sees them.
        student: the training clips as the student sees them.
        seed: of the views.

    Raises:
        DataError: a teacher can read other clips than the student.
        TrainingError: a teacher's logits are not finite.
    """
    keys = clip_keys(student.clips)
    seeds = view_seeds(keys, settings.distill_views, seed)
    logits = []
    for teacher, feed in teachers:
        if feed.clips.names != student.clips.names:
            raise DataError(
                f"the teacher {teacher.path} cannot read the clips that the student can; repair them, or "
                "leave them out of the listing"
            )
        own = keys if feed.clips is student.clips else clip_keys(feed.clips)
        computed = _logits_of(teacher, feed, own, seeds, settings, context)
        logits.append(teacher.in_students_order(computed))
    return Taught(seeds=seeds, logits=torch.stack(logits, dim=2))


def _logits_of(
    teacher: Teacher,
    feed: Feed,
    clips: Sequence[bytes],
    seeds: NDArray[np.int64],
    settings: StageSettings,
    context: Context,
) -> Tensor:
    """(n, V, K) float16 logits of one teacher; those that are kept are not computed again."""
    count, views = seeds.shape
    identity = hashlib.sha256(
        json.dumps(
            [teacher.info.weights_sha256, asdict(teacher.info.model), asdict(teacher.info.crop)],
            sort_keys=True,
        ).encode()
    ).hexdigest()
    path = cache_folder() / "teachers" / f"{identity[: 2 * KEY_BYTES]}.safetensors"
    kept = KeptLogits(path, teacher.info.model.classes, context.console)
    how = _how(settings.augment, single_frames=feed.single_frames)
    keys = [
        hashlib.sha256(clips[k] + how + seed.to_bytes(8, "big")).digest()[:KEY_BYTES]
        for k in range(count)
        for seed in seeds[k].tolist()
    ]
    missing = [place for place, key in enumerate(keys) if kept.lacks(key)]
    size = max(1, settings.batch_clips // context.processes.count)
    saved_at = time.monotonic()
    try:
        with context.console.progress(
            f"logits of the teacher {teacher.info.name}", len(keys), done=len(keys) - len(missing)
        ) as advance:
            for start in range(0, len(missing), size):
                places = missing[start : start + size]
                chosen = np.array([place // views for place in places])
                drawn = feed.seeded_views(chosen, [int(seeds.flat[k]) for k in places], settings.augment)
                clip, numbers = feed.show(drawn)
                logits = teacher.logits(clip, None, numbers)
                _require_finite(logits.half(), teacher, [feed.clips.names[k] for k in chosen])
                kept.add([keys[place] for place in places], logits)
                advance(len(places))
                if time.monotonic() - saved_at > _SAVE_EVERY_S:
                    kept.save()
                    saved_at = time.monotonic()
    finally:  # interrupted: what was computed is not lost
        kept.save()
    return torch.unflatten(kept.logits(keys), 0, (count, views))


def _how(augment: AugmentSettings, *, single_frames: bool) -> bytes:
    """All that a view depends on beside its clip and its seed."""
    drawn = asdict(augment)
    del drawn["mixup"], drawn["cutmix"]  # of batches, not of views
    return json.dumps([_VIEWS_VERSION, single_frames, drawn], sort_keys=True).encode()


def _require_finite(logits: Tensor, teacher: Teacher, names: Sequence[str]) -> None:
    wrong = (~torch.isfinite(logits).all(dim=1)).nonzero().flatten().tolist()
    if wrong:
        raise TrainingError(
            f"the logits of the teacher {teacher.path} are not finite for {names[wrong[0]]}; leave it out of "
            "--teacher, or check its weights with 's2d-edge evaluate'"
        )
