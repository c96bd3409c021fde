"""What does each part of S2D buy? Trains it with and without them on animated photographs, and evaluates.

    python docs/experiments/ablation.py STILLS MOVING OUT [--direction DIRECTED] [--seeds 0 1 2] [--rows ROW...]

STILLS are labelled photographs, MOVING what ``s2d-edge data animate`` made of them, DIRECTED the same with
``--direction``. Runs that exist under OUT are kept, so a stopped table goes on, and once there is OUT/image,
several processes may each make some of the rows; OUT/ablation.jsonl has the figures and the time of every row.
A part that is left out stays at zero, where it changes nothing, and does not learn; all else trains as it
would.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from s2d_edge import metrics
from s2d_edge.console import Console
from s2d_edge.data.datasets import open_dataset, require_split
from s2d_edge.data.prepare import PreparedClips, prepare
from s2d_edge.model.checkpoint import load_run
from s2d_edge.model.config import S2DConfig
from s2d_edge.model.s2d import S2D
from s2d_edge.runs import RunInfo
from s2d_edge.sampling import ClipSpec
from s2d_edge.train import command, supply
from s2d_edge.train.plan import TrainOptions

BATCH_CLIPS = 16


class WithoutPrompters(S2D):
    """Every prompt is 0."""

    def __init__(self, config: S2DConfig) -> None:
        super().__init__(config)
        for name, parameter in self.prompters.named_parameters():
            if ".to_prompt." in name:
                torch.nn.init.zeros_(parameter)
        self.prompters.requires_grad_(False)
        self.prompt_embed.requires_grad_(False)


class WithoutAdapters(S2D):
    """Fresh adapters add 0, and stay fresh; frames have no times."""

    def __init__(self, config: S2DConfig) -> None:
        super().__init__(config)
        self.adapters.requires_grad_(False)
        if self.temporal_embedding is not None:
            self.temporal_embedding.requires_grad_(False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the table: how its video stage differs from the usual one.

    Attributes:
        model: what stands in for S2D.
        image: the image run it starts from.
        temporal: which way the adapters look.
        frames: T, over the whole clip.
        shuffled: each clip's frames come in a random order, in training and in testing.
        changes: of the recipe.
        all_seeds: trained with every seed, not with the first alone.
        directed: on the clips whose labels tell onset from offset.
    """

    model: type[S2D] = S2D
    image: str = "image"
    temporal: str = "bidirectional"
    frames: int = 8
    shuffled: bool = False
    changes: tuple[str, ...] = ()
    all_seeds: bool = False
    directed: bool = False


ROWS = {
    "S2D": Row(all_seeds=True),
    "without TMA": Row(model=WithoutAdapters, all_seeds=True),
    "without MCP": Row(model=WithoutPrompters, image="image-without-prompters"),
    "onset or offset": Row(directed=True),
    "onset or offset, without TMA": Row(directed=True, model=WithoutAdapters),
    "frames shuffled": Row(shuffled=True),
    "causal": Row(temporal="causal"),
    "onset or offset, causal": Row(directed=True, temporal="causal"),
    "with SDL": Row(changes=("video.sdl.weight=1",)),
    "onset or offset, frames shuffled": Row(directed=True, shuffled=True),
    "T 4": Row(frames=4),
    "T 16": Row(frames=16),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("stills")
    arguments.add_argument("moving")
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--direction", metavar="DIRECTED")
    arguments.add_argument("--model", default="demo")
    arguments.add_argument("--landmark", type=Path, help="default: one is taught on the stills")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments.add_argument("--set", dest="changes", action="append", default=[])
    arguments.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS), metavar="ROW")
    asked = arguments.parse_args()
    baseline = _image_answers(_image_run(asked, Row()), asked.moving)
    _tell(asked, "image model, mean over frames", 0, *baseline, None)
    for name in asked.rows:
        row = ROWS[name]
        if row.directed and asked.direction is None:
            continue
        for seed in asked.seeds if row.all_seeds else asked.seeds[:1]:
            truth, answers = _row_answers(asked, name, row, seed)
            _tell(asked, name, seed, truth, answers, None if row.directed else baseline[1])


def _image_run(asked: argparse.Namespace, row: Row) -> Path:
    with patch.object(command, "S2D", WithoutPrompters if row.model is WithoutPrompters else S2D):
        return _train(asked, row.image, stage="image", data=asked.stills, landmark=_landmark(asked))


def _landmark(asked: argparse.Namespace) -> Path:
    return asked.landmark or _train(asked, "landmark", stage="landmark", data=asked.stills, recipe="landmark")


def _train(asked: argparse.Namespace, name: str, *, recipe: str = "faces", **options: Any) -> Path:
    """The run ``name``, trained unless it is there; how long that took goes into the record."""
    run: Path = asked.out / name
    if (run / "landmark.json").is_file() or (run / "weights.safetensors").is_file():
        return run
    changes = () if options["stage"] == "landmark" else tuple(asked.changes) + options.pop("changes", ())
    if "init" not in options:
        options["model"] = asked.model
    began = time.perf_counter()
    command.train(TrainOptions(recipe=recipe, changes=changes, out=run, **options), Console())
    _record(asked, {"run": name, "seconds": round(time.perf_counter() - began)})
    return run


def _row_answers(
    asked: argparse.Namespace, name: str, row: Row, seed: int
) -> tuple[metrics.Labels, metrics.Labels]:
    """Truth and answers on the test clips of one row's model, trained first where it is not there."""
    data = asked.direction if row.directed else asked.moving
    init = _image_run(asked, row)
    with ExitStack() as stack:
        stack.enter_context(patch.object(command, "S2D", row.model))
        if row.shuffled:
            stack.enter_context(patch.object(supply, "prepare", _shuffled))
        run = _train(
            asked,
            f"{name.replace(', ', '-').replace(' ', '-')}-{seed}",
            stage="video",
            data=data,
            init=init,
            temporal=row.temporal,
            frames=row.frames,
            fps=row.frames / 2,  # of clips of two seconds
            seed=seed,
            changes=row.changes,
        )
    model, info = load_run(run)
    clips = _test_clips(data, info, info.spec, _shuffled if row.shuffled else prepare)
    return clips.labels, _answers(model, clips)


def _image_answers(run: Path, data: str) -> tuple[metrics.Labels, metrics.Labels]:
    """Truth, and the class of the largest mean logit of the image model on the frames of each test clip."""
    model, info = load_run(run)
    clips = _test_clips(data, info, replace(info.spec, frames=8, fps=4.0), prepare)
    return clips.labels, _answers(lambda clip: _frame_by_frame(model, clip), clips)


def _test_clips(data: str, info: RunInfo, spec: ClipSpec, how: Callable[..., PreparedClips]) -> PreparedClips:
    console = Console()
    samples = require_split(open_dataset(data, console, info.labels), "test")
    return how(samples, spec, info.crop, console, title="test clips")


def _answers(model: Callable[[Tensor], Tensor], clips: PreparedClips) -> metrics.Labels:
    """(n,) the class of each clip's largest logit; each has one window."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(clips), BATCH_CLIPS):
            window = clips.frames[clips.windows[start : start + BATCH_CLIPS]]  # (B, T, S, S, 3)
            found.append(model(torch.from_numpy(window)).argmax(dim=1))
    return torch.cat(found).numpy()


def _frame_by_frame(model: S2D, clip: Tensor) -> Tensor:
    """(B, T, H, W, 3) -> (B, K): an image model's logits, averaged over the frames."""
    logits: Tensor = model(clip.flatten(0, 1).unsqueeze(1))  # (B·T, 1, H, W, 3) -> (B·T, K)
    return torch.unflatten(logits, 0, clip.shape[:2]).mean(dim=1)


def _shuffled(*given: Any, **options: Any) -> PreparedClips:
    """Clips prepared as usual, but each with its frames in a random order."""
    clips = prepare(*given, **options)
    return replace(clips, windows=np.random.default_rng(0).permuted(clips.windows, axis=1))


def _tell(
    asked: argparse.Namespace,
    name: str,
    seed: int,
    truth: metrics.Labels,
    answers: metrics.Labels,
    baseline: metrics.Labels | None,
) -> None:
    """One line of the table, with the paired gain on the baseline in points and its 95 % interval."""
    classes = int(truth.max()) + 1
    counts = metrics.confusion(truth, answers, classes)
    figures: dict[str, Any] = {"row": name, "seed": seed}
    figures |= {"n": len(truth), "war": metrics.war(counts), "uar": metrics.uar(counts)}
    gain = ""
    if baseline is not None:
        low, high = metrics.war_drop_interval(truth, answers, baseline, classes)
        found = float(np.mean(answers == truth) - np.mean(baseline == truth))
        figures["gain"] = [100 * value for value in (found, low, high)]
        gain = "{:+.2f} ({:+.2f} to {:+.2f})".format(*figures["gain"])
    _record(asked, figures)
    print(f"| {name} | {seed} | {figures['war']:.3f} | {figures['uar']:.3f} | {gain} |", flush=True)


def _record(asked: argparse.Namespace, figures: dict[str, Any]) -> None:
    with (asked.out / "ablation.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
