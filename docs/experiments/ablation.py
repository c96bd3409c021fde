"""Train S2D with and without each of its parts on animated photographs, and evaluate each model.

    python docs/experiments/ablation.py STILLS MOVING OUT [--direction DIRECTED] [--seeds 0 1 2] [--rows ...]

STILLS are labelled photographs, MOVING what ``s2d-edge data animate`` made of them, DIRECTED the same with
``--direction``. Runs that exist under OUT are kept, so an interrupted table resumes when repeated.
Once OUT/image exists, several processes may each make some rows. OUT/ablation.jsonl has the figures and the
time of every row; OUT/maps has the landmark maps of the frames. A part that is left out stays at zero, where
it has no effect, and is not trained; everything else trains as usual.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.contracts.model_config import S2DConfig
from s2d_edge.contracts.runs import RUN_FILE, RunInfo
from s2d_edge.core import metrics
from s2d_edge.core.console import Console
from s2d_edge.core.errors import exit_with_a_sentence
from s2d_edge.core.files import whole_file
from s2d_edge.data.preparing.prepare import PreparedClips, prepare
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.model.checkpoint import load_run
from s2d_edge.model.s2d import S2D
from s2d_edge.train import stages
from s2d_edge.train.command import train
from s2d_edge.train.record.record import is_finished
from s2d_edge.train.supply import supply
from s2d_edge.train.supply.landmark_maps import LandmarkMaps, compute_maps

BATCH_CLIPS = 16
SECONDS = 2  # that a clip lasts
SHUFFLED = ", frames shuffled"
# What differs from the recipe `faces`. Maps of a landmark network that does not learn are computed once.
STILL = ("image.landmark_lr=0",)
PLAIN = (
    "video.epochs=6",
    "video.epoch_clips=0",
    "video.lr=3e-4",
    "video.augment.mixup=0.3",
    "video.augment.crop=0.6",
    "video.augment.rotate_deg=12",
)
DIRECTED = ("video.epochs=15", "video.label_smoothing=0", "head_scale=10", "temporal_contrast=true")
_PACE: dict[str, Any] = {"frames": 8, "fps": 8 / SECONDS}


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

    def start_times(self, scale: float) -> None:
        """None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the table: how its video stage differs from the usual one.

    Attributes:
        model: what stands in for S2D.
        temporal: which way the adapters look.
        frames: T, over the whole clip.
        shuffled: each clip's frames come in a random order, in testing; the model is that of the row without.
        changes: of the recipe.
        all_seeds: trained with every seed, not with the first alone.
        directed: on the clips whose labels distinguish onset from offset.
    """

    model: type[S2D] = S2D
    temporal: str = "bidirectional"
    frames: int = 8
    shuffled: bool = False
    changes: tuple[str, ...] = ()
    all_seeds: bool = False
    directed: bool = False


_DIRECTED: dict[str, Any] = {"directed": True, "temporal": "causal"}
ROWS = {
    "S2D": Row(all_seeds=True),
    "without TMA": Row(model=WithoutAdapters, all_seeds=True),
    "without MCP": Row(model=WithoutPrompters),
    "causal": Row(temporal="causal"),
    "with SDL, without mixup": Row(changes=("video.sdl.weight=1", "video.augment.mixup=0")),
    "T 4": Row(frames=4),
    "T 16": Row(frames=16),
    "onset or offset": Row(**_DIRECTED, all_seeds=True),
    "onset or offset, without TMA": Row(**_DIRECTED, model=WithoutAdapters, all_seeds=True),
    f"onset or offset{SHUFFLED}": Row(**_DIRECTED, shuffled=True),
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
    args = arguments.parse_args()
    for directed, kind in ((False, ""), (True, "onset or offset, ")):
        rows = {name: ROWS[name] for name in args.rows if ROWS[name].directed == directed}
        if (directed and args.direction is None) or (not rows and args.rows):
            continue
        baseline = _predict_by_image(args, directed)
        _print_row(args, f"{kind}image model, mean over frames", args.seeds[0], *baseline, None)
        for name, row in rows.items():
            for seed in args.seeds if row.all_seeds else args.seeds[:1]:
                _print_row(args, name, seed, *_predict_row(args, name, row, seed), baseline[1])


def _image_run(args: argparse.Namespace, row: Row) -> Path:
    """The run folder of the image model a row starts from, trained on the photographs."""
    name, model = "image", S2D
    if row.model is WithoutPrompters:
        name, model = "image-without-prompters", WithoutPrompters
    return _train(args, name, model, stage="image", data=args.stills, landmark=_landmark(args))


def _landmark(args: argparse.Namespace) -> Path:
    return args.landmark or _train(args, "landmark", recipe="landmark", stage="landmark", data=args.stills)


def _train(
    args: argparse.Namespace, name: str, model: type[S2D] = S2D, *, recipe: str = "faces", **options: Any
) -> Path:
    """The run ``name``, trained to its end unless it is there; how long that took goes into the record."""
    run: Path = args.out / name
    if (run / "landmark.json").is_file() or is_finished(run):
        return run
    if options["stage"] != "landmark":
        options["changes"] = (*options.get("changes", STILL), *args.changes)
    if "init" not in options:
        options["model"] = args.model
    began = time.perf_counter()
    with (
        patch.object(stages, "S2D", model),
        patch.object(supply, "compute_maps", partial(_maps_once, args.out / "maps")),
    ):
        if (run / RUN_FILE).is_file():
            train(resume=run, console=Console())
        else:
            train(recipe=recipe, out=run, **options, console=Console())
    _record(args, {"run": name, "seconds": round(time.perf_counter() - began)})
    return run


def _predict_row(
    args: argparse.Namespace, name: str, row: Row, seed: int
) -> tuple[metrics.Labels, metrics.Labels]:
    """Labels and predictions on the test clips of one row's model, trained first if the run is missing."""
    data = args.direction if row.directed else args.moving
    run = _train(
        args,
        f"{name.removesuffix(SHUFFLED).replace(', ', '-').replace(' ', '-')}-{seed}",
        row.model,
        stage="video",
        data=data,
        init=_image_run(args, row),
        temporal=row.temporal,
        frames=row.frames,
        fps=row.frames / SECONDS,
        seed=seed,
        changes=(*(DIRECTED if row.directed else PLAIN), *row.changes),
    )
    model, info = load_run(run)
    clips = _test_clips(data, info, info.spec, _shuffled if row.shuffled else prepare)
    return clips.labels, _predict(args, model, clips, model)


def _predict_by_image(args: argparse.Namespace, directed: bool) -> tuple[metrics.Labels, metrics.Labels]:
    """Labels, and the image model's predictions by the mean logits over each test clip's frames."""
    run, data = _image_run(args, Row()), args.moving
    if directed:  # trained further on frames of these clips, because it knows no onset yet
        data = args.direction
        run = _train(args, "image-directed", stage="image", data=data, init=run, **_PACE)
    model, info = load_run(run)
    clips = _test_clips(data, info, replace(info.spec, **_PACE), prepare)
    return clips.labels, _predict(args, model, clips, partial(_frame_by_frame, model))


def _maps_once(kept: Path, model: S2D, frames: NDArray[np.uint8], *rest: Any, **options: Any) -> LandmarkMaps:
    """Landmark maps of frames, computed once: most rows share them, and they take most of a row's time."""
    digest = hashlib.sha256(frames.data)
    for name, value in model.landmark.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    digest.update(f"{model.config.vit.grid} {model.config.grey}".encode())
    file = kept / f"{digest.hexdigest()}.safetensors"
    if not file.is_file():
        maps = compute_maps(model, frames, *rest, **options)
        with whole_file(file) as scratch:
            save_file({"maps": maps.values}, scratch)
    return LandmarkMaps(values=load_file(file)["maps"])


def _test_clips(data: str, info: RunInfo, spec: ClipSpec, how: Callable[..., PreparedClips]) -> PreparedClips:
    console = Console()
    samples = open_dataset(data, console, info.labels).require_split("test")
    return how(samples, spec, info.crop, console, title="test clips")


def _predict(
    args: argparse.Namespace,
    model: S2D,
    clips: PreparedClips,
    forward: Callable[[Tensor, Tensor], Tensor],
) -> metrics.Labels:
    """(n,) the class of each clip's largest logit; each has one window."""
    cpu = torch.device("cpu")
    maps = _maps_once(
        args.out / "maps", model, clips.frames, cpu, Console(), title="test clips", mirrored=False
    )
    found = []
    with torch.inference_mode():
        for start in range(0, len(clips), BATCH_CLIPS):
            index = clips.windows[start : start + BATCH_CLIPS]  # (B, T)
            seen = maps.gather(index, torch.zeros(len(index), dtype=torch.bool))  # (B, T, C, h, w)
            logits = forward(torch.from_numpy(clips.frames[index]), seen.flatten(0, 1))
            found.append(logits.argmax(dim=1))
    return torch.cat(found).numpy()


def _frame_by_frame(model: S2D, clip: Tensor, maps: Tensor) -> Tensor:
    """(B, T, H, W, 3) -> (B, K): an image model's logits, averaged over the frames."""
    logits: Tensor = model(clip.flatten(0, 1).unsqueeze(1), maps)  # (B·T, 1, H, W, 3) -> (B·T, K)
    return torch.unflatten(logits, 0, clip.shape[:2]).mean(dim=1)


def _shuffled(*given: Any, **options: Any) -> PreparedClips:
    """Clips prepared as usual, but each with its frames in a random order."""
    clips = prepare(*given, **options)
    return replace(clips, windows=np.random.default_rng(0).permuted(clips.windows, axis=1))


def _print_row(
    args: argparse.Namespace,
    name: str,
    seed: int,
    truth: metrics.Labels,
    predictions: metrics.Labels,
    baseline: metrics.Labels | None,
) -> None:
    """Print one line of the table, with the paired gain over the baseline in points and its 95 % interval."""
    classes = int(truth.max()) + 1
    counts = metrics.confusion(truth, predictions, classes)
    figures: dict[str, Any] = {"row": name, "seed": seed}
    figures |= {"n": len(truth), "war": metrics.war(counts), "uar": metrics.uar(counts)}
    gain = ""
    if baseline is not None:
        low, high = metrics.war_drop_interval(truth, predictions, baseline, classes)
        found = float(np.mean(predictions == truth) - np.mean(baseline == truth))
        figures["gain"] = [100 * value for value in (found, low, high)]
        gain = "{:+.2f} ({:+.2f} to {:+.2f})".format(*figures["gain"])
    _record(args, figures)
    print(f"| {name} | {seed} | {figures['war']:.3f} | {figures['uar']:.3f} | {gain} |", flush=True)


def _record(args: argparse.Namespace, figures: dict[str, Any]) -> None:
    with (args.out / "ablation.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    with exit_with_a_sentence():
        main()
