"""Measure time and memory of each model size, as a window and as a stream, in FP32 and INT8.

For each preset: writes a causal run of random weights (speed does not depend on them), exports it in both
modes, calibrates both on a few avatars, and prints a row of what `s2d-edge benchmark` measures.
Everything goes through the commands a user types; finished steps are kept, so the script can be run again.

    python docs/experiments/sizes.py OUT base small tiny small-112 tiny-112
    python docs/experiments/sizes.py OUT base --frames 64 --stream-only
    python docs/experiments/sizes.py OUT base --target jetson
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.labels import DFEW
from s2d_edge.contracts.model_config import TemporalConfig, preset
from s2d_edge.contracts.runs import RunInfo
from s2d_edge.core.errors import exit_with_a_sentence
from s2d_edge.model.checkpoint import save_run
from s2d_edge.model.s2d import S2D

HEAD = (
    "| size | T | PyTorch ms | INT8 window ms | times | in linears | INT8 stream ms | times | of window/T "
    "| in linears | state MiB |"
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("out", type=Path)
    arguments.add_argument("sizes", nargs="+")
    arguments.add_argument("--target", default="intel-cpu")
    arguments.add_argument("--frames", type=int, default=16)
    arguments.add_argument("--rounds", type=int, default=10)
    arguments.add_argument("--stream-only", action="store_true")
    args = arguments.parse_args()
    avatars = args.out / "avatars"
    if not avatars.is_dir():
        _s2d_edge("data", "avatars", avatars, "--clips-per-class", 3)
    modes = ["stream"] if args.stream_only else ["window", "stream"]
    rows = [_measure(args.out, size, args.target, args.frames, modes, args.rounds) for size in args.sizes]
    print(HEAD, "|" + " --- |" * (HEAD.count("|") - 1), *rows, sep="\n")


def _measure(out: Path, size: str, target: str, frames: int, modes: list[str], rounds: int) -> str:
    name = f"{size}-T{frames}"
    run = out / "runs" / name
    if not run.is_dir():
        _write_run(run, size, frames)
    bundles = {mode: _bundle(out, run, target, mode) for mode in modes}
    against = [] if modes == ["stream"] else ["--against", run]
    timed = _s2d_edge_json("benchmark", *bundles.values(), *against, "--rounds", rounds)
    shares = _s2d_edge_json("benchmark", *bundles.values(), "--profile", "--rounds", 5)["profiles"]
    by_mode = dict(zip(modes, zip(timed["models"], shares, strict=False), strict=True))
    torch_ms = timed["models"][-1]["p50_ms"] if against else None
    stream, stream_share = by_mode["stream"]
    cells: list[object] = [size, frames, _figure(torch_ms, 0)]
    if "window" in by_mode:
        window, share = by_mode["window"]
        cells += [_figure(window["p50_ms"], 1), _times(torch_ms, window), f"{share['linear_share']:.0%}"]
    else:
        cells += ["", "", ""]
    cells += [_figure(stream["p50_ms"], 2), _times(torch_ms, stream)]
    cells += [
        f"{stream['p50_ms'] * frames / by_mode['window'][0]['p50_ms']:.2f}" if "window" in by_mode else ""
    ]
    cells += [f"{stream_share['linear_share']:.0%}", f"{stream['state_bytes'] / 2**20:.1f}"]
    return "| " + " | ".join(map(str, cells)) + " |"


def _figure(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _times(torch_ms: float | None, timed: dict[str, Any]) -> str:
    return "" if torch_ms is None else f"{torch_ms / timed['p50_ms']:.1f}"


def _write_run(run: Path, size: str, frames: int) -> None:
    torch.manual_seed(0)
    config = preset(size)
    temporal = replace(config.temporal or TemporalConfig(), mode="causal")
    config = replace(config, temporal=temporal, frames=frames, classes=len(DFEW.labels))
    info = RunInfo(
        name=run.name,
        stage="video",
        labels=DFEW.labels,
        fps=frames / 2,
        crop=CropRecipe(size=config.vit.image_size),
        model=config,
    )
    run.parent.mkdir(parents=True, exist_ok=True)
    save_run(run, info, S2D(config))


def _bundle(out: Path, run: Path, target: str, mode: str) -> Path:
    fp32 = out / "bundles" / f"{run.name}-{target}-{mode}"
    int8 = fp32.with_name(f"{fp32.name}-int8")
    if not fp32.is_dir():
        _s2d_edge("export", run, "--target", target, "--mode", mode, "--parity-clips", 1, "--out", fp32)
    if not int8.is_dir():
        _s2d_edge(
            "calibrate", fp32, "--data", out / "avatars", "--subset", 4, "--max-drop", "inf", "--out", int8
        )
    return int8


def _s2d_edge(*arguments: object) -> str:
    words = [sys.executable, "-m", "s2d_edge", *map(str, arguments)]
    print("$ s2d-edge", *words[3:], file=sys.stderr)
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def _s2d_edge_json(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_s2d_edge(*arguments, "--json", "-"))
    return found


if __name__ == "__main__":
    with exit_with_a_sentence():
        main()
